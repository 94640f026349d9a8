"""Plain words: calls said as simple edits that the rules plan as meant, whatever words the user had for them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from lego.builder.base import Request
from lego.builder.calls import BOX, DRAWN, NOT, Call, workflow_of
from lego.builder.lexicon import COLORS, CSS, PLACES
from lego.builder.rules import Rules
from lego.core.errors import PlanError, WorkflowError
from lego.core.registry import Registry, Tool
from lego.core.signature import Param
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.rl import phrasings, rewards
from lego.rl.clauses import chosen
from lego.rl.phrasings import Phrasing

SLOT = re.compile(r"\{(-?)(\w+)\}")
KEPT = 20_000  # plans that are kept: the same short words come again and again
SIDE = 16  # px of the picture that plans are checked over: the rules do not look at it
JOINTS = {"en": ", ", "zh": "，"}
DEGREES = {"en": {-1: "a little", 1: "a lot"}, "zh": {-1: "稍微", 1: "大幅"}}
FAR = 0.3  # times what a phrase implies: beyond that no "a little" leads there
LESS, MORE = 0.75, 1.3  # times what a phrase implies: from here on the words say how much
DOUBLED = re.compile(r"\b([a-z]+) \1\b")  # "90 degrees degrees": the phrasing names the unit of a slot itself
COMPARED = re.compile(r"(?:more|less|\w+er)\b")
IT = {"en": "the picture", "zh": "照片"}
UNITS = {"stops": (" stops", "档"), "degrees": (" degrees", "度"), "px": (" pixels", "像素"), "K": ("K", "K")}


class Plain:
    """Says calls in the words of the tools' own cards, those of the training.

    Args:
        tools: those that may be called.
    """

    def __init__(self, tools: Sequence[Tool[..., Any]]) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self.registry = Registry()
        for tool in tools:
            self.registry.add(tool)
        self._plans: dict[str, Workflow | None] = {}
        self.phrasings: dict[tuple[str, str], list[Phrasing]] = {}
        for phrasing in phrasings.of_cards_own(tools):
            if phrasing.within("train"):
                self.phrasings.setdefault((phrasing.calls[0][0], phrasing.language), []).append(phrasing)

    def edits(self, random: Random, calls: Sequence[Call], language: str, exact: bool) -> str | None:
        """Say calls as simple edits, joined by commas; None if there are no words for one of them.

        Args:
            exact: with the numbers of the calls, where the words have room for them.
        """
        said = [self._edit(random, call, language, exact) for call in calls]
        words = [text for text in said if text is not None]
        if len(words) < len(calls):
            return None
        joined = JOINTS[language].join(words)
        return joined if len(calls) == 1 or self.means(joined, calls) else None

    def means(self, words: str, calls: Sequence[Call]) -> bool:
        """Do the rules plan these words as the calls?"""
        found = self.plan(words)
        try:
            wanted = workflow_of(calls, self.registry)
        except WorkflowError:
            return False
        return found is not None and rewards.agree(found, [wanted], self.registry, {"image": "image"})

    def plan(self, words: str) -> Workflow | None:
        """Return what the rules plan for some words; None if they do not understand them."""
        if words not in self._plans:
            if len(self._plans) >= KEPT:
                self._plans.clear()
            try:
                self._plans[words] = Rules().plan(Request(_blank(), words, tuple(self.registry))).workflow
            except PlanError:
                self._plans[words] = None
        return self._plans[words]

    def _edit(self, random: Random, call: Call, language: str, exact: bool) -> str | None:
        if call.but or call.on == DRAWN or call.on.startswith((NOT, BOX)):
            return None
        found = self.phrasings.get((call.tool, language), [])
        found = random.sample(found, len(found))
        numbered = {id(p) for p in found if any(p.text.count(f"{{{n}}}") for n in _numbers(self.tools[call.tool]))}
        for phrasing in sorted(found, key=lambda p: (id(p) in numbered) != exact):
            for text in self._said(random, phrasing, call, language):
                if self.means(text, [call]):
                    return text
        return None

    def _said(self, random: Random, phrasing: Phrasing, call: Call, language: str) -> Iterator[str]:
        """Ways of saying a call by a phrasing, none if it has other slots."""
        tool = self.tools[call.tool]
        target = next((p.name for p in tool.params if p.format == "target"), "")
        thing = call.on or str(call.args.get(target, ""))
        text = chosen(random, phrasing.text)
        if bool(thing) != ("{thing}" in text):
            return
        for sign, name in SLOT.findall(text):
            if name == "thing":
                word: str | None = thing if language == "zh" else f"the {thing}"
            elif name == "it":
                word = IT[language]
            else:
                param = tool.param(name)
                word = _value(param, call.args[name], sign, language) if param and name in call.args else None
            if word is None:
                return
            text = text.replace(f"{{{sign}{name}}}", word)
        implied = dict(phrasing.calls[0][1])
        said = {name for _, name in SLOT.findall(phrasing.text)}
        if not _fits(tool, implied, call.args.keys() - said - {target}, call):
            return
        for degree in () if DOUBLED.search(text) else _degrees(tool, implied, call):
            yield _degreed(text, degree, language)


def _fits(tool: Tool[..., Any], implied: Mapping[str, Any], open_: set[str], call: Call) -> bool:
    """Does what a phrase implies come near what is called for and not said otherwise? The rules have the last word."""
    if not implied.keys() <= call.args.keys() or not open_ <= implied.keys():
        return False
    for name in open_:
        usual, wanted = implied[name], call.args[name]
        if isinstance(usual, bool | str) or isinstance(wanted, bool | str):
            if usual != wanted:
                return False
        elif name in _numbers(tool) and not (usual * wanted > 0 and FAR < wanted / usual < 1 / FAR):
            return False
    return True


def _degrees(tool: Tool[..., Any], implied: Mapping[str, Any], call: Call) -> tuple[int, ...]:
    """Less than usual, as usual or more: the likeliest first, by what a phrase implies and what is called for."""
    for name in _numbers(tool):
        usual, wanted = implied.get(name), call.args.get(name)
        if isinstance(usual, int | float) and isinstance(wanted, int | float) and usual * wanted > 0:
            ratio = wanted / usual
            return (-1, 0) if ratio < LESS else (1, 0) if ratio > MORE else (0,)
    return (0, 1, -1)


def _degreed(text: str, degree: int, language: str) -> str:
    words = DEGREES[language].get(degree, "")
    if not words:
        return text
    if language == "zh":
        return f"{words}{text}"
    return f"{words} {text}" if COMPARED.match(text) else f"{text} {words}"


def _numbers(tool: Tool[..., Any]) -> list[str]:
    return [p.name for p in tool.params if p.kind in ("number", "integer")]


def _value(param: Param, value: Any, sign: str, language: str) -> str | None:
    """Say a value; None where there are no words for it."""
    if param.kind == "choice":
        ways = [w for w in PLACES.get(str(value), ()) if bool(phrasings.CHINESE.search(w)) == (language == "zh")]
        return min(ways, key=len) if ways else str(value).replace("_", " ")
    if param.format == "color":
        return _color(str(value), language)
    if param.kind == "string":
        return f'"{value}"' if language == "en" else f"“{value}”"
    if param.kind not in ("number", "integer") or (sign and value > 0):
        return None
    size = abs(value) if sign else value
    if param.unit == "%" or (not param.unit and (param.high or 0) <= 1):
        return f"{size if param.unit else 100 * size:g}%"
    return f"{size:g}{UNITS[param.unit][language == 'zh'] if param.unit in UNITS else ''}"


def _color(code: str, language: str) -> str:
    """A colour's name, or its code if it has none."""
    names = {**CSS, **COLORS} if language == "en" else {n: c for n, c in COLORS.items() if not n.isascii()}
    name = next((n for n, c in names.items() if c.lower() == code.lower() and n.isascii() == (language == "en")), "")
    return code if not name else name if language == "en" else f"{name}色"


@functools.cache
def _blank() -> Image:
    import numpy as np

    return Image(np.zeros((SIDE, SIDE, 3), np.uint8))
