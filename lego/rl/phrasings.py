"""Phrasings: ways in which people ask for edits, written by hand, with slots for things and values.

One file a family in the folder ``data``; ``[tool]`` begins a section, then one phrasing a line::

    [exposure]
    make {it} {deg} brighter => exposure=normal
    darken <the sky> by {-exposure}

``(a|b|)`` are alternatives, ``<words>`` name the thing worked on, ``{thing}``, ``{around}``, ``{keep}`` are filled
with nouns, ``{parameter}`` with a value, ``{-parameter}`` with one that counts negative, ``{it}`` with the picture,
``{deg}`` and ``{deg2}`` with a degree. What follows ``=>`` is implied. A line with ``!`` joins no other. What is said
of every slider alike is in ``sliders.txt``.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lego.builder.words import words_of
from lego.core.registry import Tool

FOLDER = Path(__file__).parent / "data"
Split: TypeAlias = Literal["train", "val", "test", "few"]  # "few" is a fifth of "train"
PLACES: dict[Split, range] = {
    "test": range(8),
    "val": range(8, 14),
    "train": range(14, 100),
    "few": range(14, 31),
}  # of a hundred
PLAIN = {"en": 2, "zh": 3}  # words, or Chinese characters, of a phrasing that is in the training in any case
LEAD = 2  # words or Chinese characters that need not be said again
FOLDS = 4  # of the training's phrasings, see `lego.builder.hints`
CHINESE = re.compile(r"[\u3400-\u9fff]")
IMPLIED = re.compile(r"\s+=>\s*")
SLOT = re.compile(r"\{-?(\w+)\}")
NO_VALUES = {"it", "thing", "around", "keep", "deg", "deg2"}  # slots of things and degrees; the others are parameters
AMOUNTS = ("weak", "normal", "strong", "max")


@dataclass(frozen=True)
class Phrasing:
    """One way of asking.

    Attributes:
        calls: the tools that it asks for, each with the values that the words imply; amounts as ("-strong") text.
        text: the words with their slots.
        alone: it joins no other clause.
        common: it is said of every slider.
    """

    calls: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
    text: str
    alone: bool = False
    common: bool = False

    @functools.cached_property
    def names(self) -> str:
        """Of the tools that it asks for, "blur" or "exposure + vignette"."""
        return " + ".join(tool for tool, _ in self.calls)

    @functools.cached_property
    def length(self) -> int:
        """How many words it has, a slot counted as one."""
        return len(words_of(self.text))

    @functools.cached_property
    def plain(self) -> bool:
        """Is it among the plainest, which people say most? These are all learned, and none is examined."""
        return self.common or len(words_of(re.sub("[{<>}]", "", self.text))) <= PLAIN[self.language]

    @functools.cached_property
    def lead(self) -> str:
        """One or two words before the thing, if more follows: "make " of "make {thing} bluer"; else ""."""
        before, _, rest = self.text.partition("{thing}")
        short = rest.strip() and len(words_of(before)) <= LEAD and not re.search("[{<(]", before)
        return before if short else ""

    @functools.cached_property
    def valued(self) -> bool:
        """Does it say a value: a number, a colour, a choice, a text?"""
        return not NO_VALUES.issuperset(slots_in(self.text))

    @property
    def language(self) -> str:
        """See `language_of`."""
        return language_of(self.text)

    def within(self, split: Split) -> bool:
        """Is it in this part of the data?"""
        return split == "train" if self.plain and split != "few" else belongs(self.text, split)


@dataclass(frozen=True)
class Card:
    """A made-up tool: its card, the sentence in Chinese if there is one, and how people ask for it."""

    text: str
    chinese: str
    phrasings: tuple[Phrasing, ...]

    @property
    def name(self) -> str:
        """Of the tool."""
        return _name_of(self.text)


def slots_in(text: str) -> set[str]:
    """Return the names of a phrasing's slots: of parameters whose values stand in the words, of things, of degrees."""
    return set(SLOT.findall(text))


def language_of(text: str) -> str:
    """ "zh" if there is a Chinese character in it, else "en"."""
    return "zh" if CHINESE.search(text) else "en"


def _name_of(card: str) -> str:
    return card[1:].partition("]")[0]


def belongs(text: str, split: Split) -> bool:
    """Is a line in this part of the data, by its letters alone? Of 100, 8 are for the test, 6 for validation."""
    return _digest(text) % 100 in PLACES[split]


def fold_of(text: str) -> int:
    """Which of the `FOLDS` a line of the training belongs to."""
    return _digest(text) // 100 % FOLDS


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


@functools.cache
def of_tools() -> tuple[Phrasing, ...]:
    """All phrasings of single tools, of looks that need several, and of sliders."""
    found = []
    for path in sorted(FOLDER.glob("tools_*.txt")):
        for header, line in _sections(path):
            if header is not None:
                found.append(_phrasing(_calls(header), line))
    known = {phrasing.text for phrasing in found}
    return (*found, *(phrasing for phrasing in _of_sliders() if phrasing.text not in known))


def _of_sliders() -> Iterator[Phrasing]:
    """What is said of every slider alike, up and down."""
    found = sections("sliders")
    for names in found["names"]:
        tool, english, chinese = (part.strip() for part in names.split("|"))
        for text in (*found["up"], *found["down"]):
            sign = "-" if text in found["down"] else ""
            said = text.replace("{name}", chinese if language_of(text) == "zh" else english)
            filled = said.replace("{value}", f"{{{sign}{tool}}}")
            line = filled if filled != said else f"{said} => {tool}={sign}normal"
            yield replace(_phrasing(_calls(tool), line), common=True)


def of_cards_own(registry: Iterable[Tool[..., Any]]) -> Iterator[Phrasing]:
    """The phrases that tools bring themselves, but for bare names of numbers."""
    for tool in registry:
        for phrase in tool.phrases if any(p.kind == "image" for p in tool.params) else ():
            implied = {k: v for k, v in phrase.args.items() if k != "target" or tool.param("target")}
            if (phrase.args or " " in phrase.text or CHINESE.search(phrase.text)) and len(implied) == len(phrase.args):
                yield Phrasing(((tool.name, tuple(implied.items())),), phrase.text.replace("{target}", "{thing}"))


@functools.cache
def of_cards() -> tuple[Card, ...]:
    """The made-up tools."""
    cards: list[tuple[str, str, list[Phrasing]]] = []
    for line in _lines(FOLDER / "invented.txt"):
        if line.startswith("["):
            cards.append((line, "", []))
        elif line.startswith("zh: "):
            cards[-1] = (cards[-1][0], line.removeprefix("zh: "), cards[-1][2])
        else:
            cards[-1][2].append(_phrasing(((_name_of(cards[-1][0]), ()),), line))
    return tuple(Card(text, chinese, tuple(phrasings)) for text, chinese, phrasings in cards)


@functools.cache
def lines(name: str, split: Split | None = None) -> tuple[str, ...]:
    """The entries of a plain list (nouns_en, texts, decline, ...), all or those of a part of the data."""
    return tuple(line for line in _lines(FOLDER / f"{name}.txt") if split is None or belongs(line, split))


@functools.cache
def sections(name: str) -> dict[str, tuple[str, ...]]:
    """The entries of a list that has sections."""
    found: dict[str, list[str]] = {}
    for header, line in _sections(FOLDER / f"{name}.txt"):
        found.setdefault(header or "", []).append(line)
    return {header: tuple(entries) for header, entries in found.items()}


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def _sections(path: Path) -> Iterator[tuple[str | None, str]]:
    header = None
    for line in _lines(path):
        if line.startswith("[") and line.endswith("]"):
            header = line[1:-1]
        else:
            yield header, line


def _calls(header: str) -> tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]:
    """``exposure`` or ``contrast.contrast=15 + sepia.amount=0.5``: each tool once, its values together."""
    calls: dict[str, list[tuple[str, Any]]] = {}
    for part in header.split(" + "):
        for item in part.split(","):
            name, _, rest = item.strip().partition(".")
            values = calls.setdefault(name, [])
            if rest:
                param, _, value = rest.partition("=")
                values.append((param.strip(), _value(value.strip())))
    return tuple((tool, tuple(values)) for tool, values in calls.items())


def _phrasing(calls: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...], line: str) -> Phrasing:
    text, *rest = IMPLIED.split(line, maxsplit=1)
    alone = text.startswith("!")
    text = text.removeprefix("!").strip()
    if not rest:
        return Phrasing(calls, text, alone)
    pairs = [part.partition("=") for part in rest[0].split(",") if part.strip()]
    values = tuple((name.strip(), _value(value.strip())) for name, _, value in pairs)
    return Phrasing(((calls[0][0], (*calls[0][1], *values)), *calls[1:]), text, alone)


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number
