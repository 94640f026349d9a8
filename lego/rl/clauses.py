"""Clauses: one wish in words, made from a phrasing by filling its slots, with the calls that it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from lego.builder.calls import BOX, NOT, Call, mask_of
from lego.builder.calls import DRAWN as DRAWN_MASK
from lego.core.registry import Tool
from lego.core.signature import REFERABLE
from lego.rl import phrasings, slots
from lego.rl.phrasings import Phrasing, Split
from lego.rl.slots import Noun

PIECE = re.compile(r"\{(-?\w+)\}|<([^<>]+)>")
CHOICE = re.compile(r"\(([^()]*)\)")
ARTICLE = re.compile(
    r"^(?:the|a|an|my|his|her|our|their|your|its|this|that|these|those)\s+|^(?:那个|这个|那只|那些|这些|我的)", re.I
)
SHOWN = re.compile("background|backdrop|bg|背景")  # things that every picture has
SAY_DRAWN = 0.7  # of things named where the user drew a mask: "the selected area" and the like


@dataclass(frozen=True)
class Setting:
    """What a clause is made in.

    Attributes:
        tools: by name.
        split: whose nouns and texts.
        drawn: the user drew a mask.
        before: the thing that the clause before was about; "" if there is none, or it is not to be taken up.
        spot: a thing that is named by its place or size alone: its box, and which it is ("left", ...).
        things: what is in the picture, and alone may be named; empty for anything.
    """

    random: Random
    tools: Mapping[str, Tool[..., Any]]
    language: str
    split: Split
    drawn: bool = False
    before: str = ""
    spot: tuple[str, str] | None = None
    things: tuple[Noun, ...] = ()


@dataclass
class Clause:
    """One wish: pieces of text, each with whether it must stay as it is, and the calls."""

    pieces: list[tuple[str, bool]]
    calls: list[Call]
    phrasing: Phrasing

    @property
    def text(self) -> str:
        """The wish in words."""
        return re.sub(r"\s+", " ", "".join(piece for piece, _ in self.pieces)).strip()

    @property
    def thing(self) -> str:
        """The words that name what it is about, "" if none do."""
        on = self.calls[0].on
        return "" if on == DRAWN_MASK or on.startswith((NOT, BOX)) else on


def fill(phrasing: Phrasing, setting: Setting) -> Clause:
    """Fill a phrasing in.

    Raises:
        ValueError: it does not fit here, as a thing named for a tool that works on the whole picture.
    """
    return _Filler(phrasing, setting).clause()


def chosen(random: Random, text: str) -> str:
    """Choose among the alternatives of a phrasing."""
    return CHOICE.sub(lambda match: random.choice(match[1].split("|")), text)


class _Filler:
    def __init__(self, phrasing: Phrasing, setting: Setting) -> None:
        self.phrasing, self.setting, self.random = phrasing, setting, setting.random
        self.tool = setting.tools[phrasing.calls[0][0]]
        self.calls = [Call(tool=name, args=dict(values)) for name, values in phrasing.calls]
        self.first = self.calls[0]
        self.degree = 0
        self.text = chosen(self.random, phrasing.text)
        self.numbered = any(self.tool.param(name) for name in phrasings.slots_in(self.text))

    def clause(self) -> Clause:
        pieces: list[tuple[str, bool]] = []
        at = 0
        for match in PIECE.finditer(self.text):
            pieces += [(self.text[at : match.start()], False), self._piece(match[1], match[2])]
            at = match.end()
        pieces.append((self.text[at:], False))
        for call in self.calls:
            self._settle(call, self.degree if call is self.first else 0)
        return Clause(pieces, self.calls, self.phrasing)

    def _piece(self, slot: str, literal: str | None) -> tuple[str, bool]:
        language = self.setting.language
        if literal is not None:
            if self.setting.things and not SHOWN.search(literal):
                raise ValueError(f"'{literal}' may not be in the picture")
            self._put_on(ARTICLE.sub("", literal))
            return literal, True
        if slot in ("deg", "deg2"):
            self.degree = 0 if self.numbered else self.random.choice((0, 0, -1, 1))
            words = slots.DEGREES[language][self.degree][int(slot == "deg2")] if self.degree else ("",)
            return self.random.choice(words), False
        if slot == "it":
            return self.random.choice(slots.PICTURE[language]), False
        if slot in ("thing", "around", "keep"):
            return self._noun(slot), True
        param = self.tool.param(slot.lstrip("-"))
        if param is None:
            raise ValueError(f"'{slot}' is no slot of '{self.tool.name}'")
        text, value = slots.said(self.random, param, language, self.setting.split, slot.startswith("-"))
        self.first.args[param.name] = value
        return text, True

    def _noun(self, slot: str) -> str:
        """Name a thing (or the marked part, a place, the thing of the clause before), and say so in the call."""
        setting, language = self.setting, self.setting.language
        free = slot == "thing" and not self.first.on and mask_of(self.tool) is not None
        if free and setting.drawn and self.random.random() < SAY_DRAWN:
            self.first.on = DRAWN_MASK
            return self.random.choice(slots.DRAWN[language])
        if free and setting.before and not setting.drawn:
            self.first.on = setting.before
            return "it" if language == "en" else "它"
        if free and setting.spot and not setting.drawn:
            self.first.on = BOX + setting.spot[0]
            return spot(self.random, setting.spot[1], language)
        things = setting.things
        found = self.random.choice(things) if things else slots.noun(self.random, language, setting.split)
        if slot == "keep":
            self.first.but, self.first.on = (found.name, self.first.on) if self.first.on else ("", NOT + found.name)
        elif slot == "around":
            self.first.on = NOT + found.name
        else:
            self._put_on(found.name)
        return found.said

    def _put_on(self, name: str) -> None:
        """Say what the call works on: its mask, or the words that it looks for."""
        target = next((p for p in self.tool.params if p.format == "target"), None)
        if target is not None and mask_of(self.tool) is None:
            self.first.args[target.name] = name
        elif mask_of(self.tool) is None or self.first.on:
            raise ValueError(f"'{self.tool.name}' cannot be aimed at '{name}'")
        else:
            self.first.on = DRAWN_MASK if self.setting.drawn else name

    def _settle(self, call: Call, degree: int) -> None:
        """Turn implied amounts into values, let a degree change the first of them, and say where it works."""
        tool = self.setting.tools[call.tool]
        call.on = call.args.pop("on", call.on)  # "remove the background" names no thing, but means the subject
        for name, value in call.args.items():
            param = tool.param(name)
            if param is None:
                raise ValueError(f"'{tool.name}' has no '{name}'")
            amount = isinstance(value, str) and param.kind in ("number", "integer")
            call.args[name] = param.validate(slots.implied(param, value, degree if amount else 0))
            degree = 0 if amount else degree
        numbers = [v for v in call.args.values() if isinstance(v, int | float) and not isinstance(v, bool)]
        main = next((p for p in tool.params if p.kind in ("number", "integer") and p.default), None)
        if degree and not numbers and main is not None:
            call.args[main.name] = slots.implied(main, "normal" if main.default > 0 else "-normal", degree)
        place = mask_of(tool)
        if place and not call.on and self.setting.drawn and tool.scope == "local":
            call.on = DRAWN_MASK
        if place and place.required and not call.on:
            raise ValueError(f"'{call.tool}' needs a thing")
        if missing := [
            p.name for p in tool.params if p.required and p.kind not in REFERABLE and p.name not in call.args
        ]:
            raise ValueError(f"'{call.tool}' needs '{missing[0]}'")


def spot(random: Random, order: str, language: str) -> str:
    """Name a thing by its place or size alone: "the lowest object"."""
    words = phrasings.sections("spots")
    ways = [w for w in words[order] if phrasings.language_of(w) == language]
    return random.choice(ways).replace("{g}", random.choice(words[f"words_{language}"]))
