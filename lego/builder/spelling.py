"""The values of the pointing form: how arguments and places are said in numbers of words and in few fixed values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from lego.builder.calls import BOX, DRAWN, NOT, Call
from lego.builder.words import Word, color_from, number_at, on_grid, ratio_from, span, value_of
from lego.core.errors import WorkflowError
from lego.core.signature import Param

KEEP = "<keep>"  # nothing is to be done
STRUCTURE = (
    "<pad>", "<unk>", "<image>", "<user>", "<asst>", "<end>", "<none>", "<on>", "<on?>", "<not>", "<but>", "<drawn>",
    "<box>", "<ref>", "<card>", "<:>", "<no>", "<only>", "<neg>", "<yes>", "<no!>", "<at>", "<k:number>", "<k:integer>",
    "<k:choice>", "<k:boolean>", "<k:string>", "<k:text>", "<k:color>", "<k:target>", KEEP,
)  # fmt: skip
LEVELS = {f"<a_{factor:g}>": factor for factor in (1.0, 0.5, 2.0, 0.25, 1.5)}  # times the usual amount
MOST = "<a_max>"  # as much as there is
FIXED = (0, 0.25, 0.5, 0.75, 1.5, 2, 3, 4, 5, 8, 10, 15, 20, 30, 40, 45, 60, 90, 100, 180, 270, 800, 1080, 1200, 1920)
SHAPES = ("1:1", "4:5", "5:4", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9", "2:1")
RATIOS = {f"<q:{ratio}>": ratio for ratio in SHAPES}
COLORS = {
    "<k:white>": "#ffffff", "<k:black>": "#000000", "<k:grey>": "#808080", "<k:red>": "#c8202a",
    "<k:orange>": "#f08020", "<k:yellow>": "#f2c81e", "<k:green>": "#2e9e4a", "<k:blue>": "#1f5fd0",
    "<k:purple>": "#7a2fa8", "<k:pink>": "#f08cb0", "<k:brown>": "#7a4a22", "<k:cream>": "#fff4d6",
}  # fmt: skip
FIXED_WORDS = {**COLORS, **RATIOS}
SLOTS = tuple(f"<c_{n}>" for n in range(32))  # places in a list of choices
VALUES = (*LEVELS, MOST, *(f"<v_{v:g}>" for v in FIXED), *COLORS, *RATIOS, *SLOTS)
USUAL = 0.25  # of its range: the usual amount of a number whose default says nothing
LONGEST_TEXT = 30  # words of a text without quotation marks
REGIONS = ("background", "subject", "sky", "text", "face")  # things that are meant without being named
REGION = "<r:{}>"
GRID = 32  # places that a box's sides can have
TOKEN = re.compile(r"<[^<>\s]+>")  # of an answer
HEX = re.compile("#[0-9a-f]{6}")
NEAR_COLOR = 100.0  # of 441: as far a colour may be from the fixed one that stands for it
NEAR = 0.45  # of a number: what may be taken for it where it cannot be said


def sayable(param: Param) -> bool:
    """Can the form give this parameter a value?"""
    return param.kind in ("number", "integer", "choice", "boolean", "string") and not param.many


def usual(param: Param) -> float:
    """What "a normal amount" of a number is: its default without the sign, else a quarter of its range."""
    assert param.low is not None
    assert param.high is not None
    default = param.default if isinstance(param.default, int | float) else 0
    return abs(float(default)) or USUAL * max(abs(param.low), abs(param.high))


class Spelling:
    """Says values with the words of one instruction, and reads them back."""

    def __init__(self, instruction: str, words: Sequence[Word]) -> None:
        self.instruction, self.words = instruction, tuple(words)
        self.texts = [word.text for word in words]
        self.used: set[int] = set()

    # -- what may be said ---------------------------------------------------------------------------------------------

    def options(self, param: Param) -> str:
        """Alternatives for a parameter's value, as Lark text; "" if it has none."""
        if param.kind in ("number", "integer"):
            return " | ".join(" ".join(tokens) for _, tokens in self._numbers(param))
        if param.kind == "choice":
            return " | ".join(SLOTS[: len(param.choices)])
        if param.kind == "boolean":
            return "<yes> | <no!>"
        if param.format == "color":
            return " | ".join([*(_w(n) for n, _ in self._readings(color_from)), *COLORS])
        if param.format == "ratio":
            return " | ".join([*(_w(n) for n, _ in self._readings(ratio_from)), *RATIOS])
        return self.spans(LONGEST_TEXT) if self.words else ""

    def spans(self, longest: int) -> str:
        """Alternatives for a span of words: the first word, then a last one not before it."""
        count = len(self.words)
        each = [f"{_w(a)} ({' | '.join(_w(b) for b in range(a, min(count, a + longest)))})" for a in range(count)]
        return " | ".join(each)

    # -- saying -------------------------------------------------------------------------------------------------------

    def place(self, call: Call) -> list[str]:
        """Say where a call works."""
        if not call.on:
            return []
        inner = call.on.removeprefix(NOT)
        said = ["<not>"] if call.on.startswith(NOT) else ["<on>"] if inner != DRAWN else []
        said += ["<drawn>"] if inner == DRAWN else self._thing(inner)
        return [*said, "<but>", *self._thing(call.but)] if call.but else said

    def asked(self, words: str) -> list[str]:
        """Say which words ask for what follows; nothing if they are not among the instruction's."""
        try:
            return ["<at>", *self._span(words)]
        except WorkflowError:
            return []

    def value(self, param: Param, value: Any) -> list[str]:
        """Say a value; the first word that reads as it, else the nearest fixed value.

        Raises:
            WorkflowError: nothing that can be said is near.
        """
        if param.kind in ("number", "integer"):
            return self._number(param, value)
        if param.kind == "choice":
            return [SLOTS[param.choices.index(value)]]
        if param.kind == "boolean":
            return ["<yes>" if value else "<no!>"]
        if param.format in ("color", "ratio"):
            reader = color_from if param.format == "color" else ratio_from
            found = self._first([n for n, read in self._readings(reader) if read == value])
            if found is not None:
                return [_w(found)]
            return [_nearest_color(value)] if param.format == "color" else [_ratio(value)]
        return self._span(str(value))

    def _number(self, param: Param, value: float) -> list[str]:
        options = list(self._numbers(param))
        exact = [tokens for other, tokens in options if abs(other - value) < 1e-6]
        words = [tokens for tokens in exact if tokens[-1].startswith("<w_")]
        if words:
            fresh = [t for t in words if int(t[-1][3:-1]) not in self.used]
            chosen = (fresh or words)[0]
            self.used.add(int(chosen[-1][3:-1]))
            return chosen
        if exact:
            return exact[0]
        near = min(options, key=lambda option: abs(option[0] - value), default=None)
        if near is None or near[0] * value < 0 or abs(near[0] - value) > NEAR * abs(value):
            raise WorkflowError(f"{value:g} for '{param.name}' is not among the words")
        return near[1]

    def _thing(self, words: str) -> list[str]:
        if words.startswith(BOX):
            left, top, right, bottom = (
                max(0, min(GRID - 1, round(int(v) * (GRID - 1) / 1000))) for v in words.split()[1:]
            )
            right, bottom = max(right, left + 1), max(bottom, top + 1)
            if max(right, bottom) >= GRID:
                raise WorkflowError("the box lies at the very edge")
            return ["<box>", *(f"<l_{n}>" for n in (left, right, top, bottom))]
        try:
            return self._span(words)
        except WorkflowError:
            if words in REGIONS:
                return [REGION.format(words)]
            raise

    def _span(self, text: str) -> list[str]:
        starts = []
        for first in range(len(self.words)):
            last = first
            while last + 1 < len(self.words) and len(span(self.instruction, self.words, first, last)) < len(text):
                last += 1
            if span(self.instruction, self.words, first, last).lower() == text.lower():
                starts.append((first, last))
        if not starts:
            raise WorkflowError(f"'{text}' is not among the words")
        return [_w(starts[0][0]), _w(starts[0][1])]

    def _first(self, places: Sequence[int]) -> int | None:
        fresh = [n for n in places if n not in self.used]
        chosen = next(iter(fresh or places), None)
        if chosen is not None:
            self.used.add(chosen)
        return chosen

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, param: Param, tokens: Sequence[str]) -> tuple[Any, int]:
        """Read a value from the front of the tokens; return it and how many tokens it took."""
        if param.kind in ("number", "integer"):
            used = 2 if tokens[0] == "<neg>" else 1
            said = list(tokens[:used])
            return next(value for value, option in self._numbers(param) if option == said), used
        if param.kind == "choice":
            return param.choices[SLOTS.index(tokens[0])], 1
        if param.kind == "boolean":
            return tokens[0] == "<yes>", 1
        if param.format in ("color", "ratio"):
            if tokens[0] in FIXED_WORDS:
                return FIXED_WORDS[tokens[0]], 1
            reader = color_from if param.format == "color" else ratio_from
            return dict(self._readings(reader))[int(tokens[0][3:-1])], 1
        return self.read_span(tokens)

    def read_span(self, tokens: Sequence[str]) -> tuple[str, int]:
        """Read a span of words from the front of the tokens."""
        first, last = (int(token[3:-1]) for token in tokens[:2])
        return span(self.instruction, self.words, first, last), 2

    # -- both ---------------------------------------------------------------------------------------------------------

    def _numbers(self, param: Param) -> Iterator[tuple[float, list[str]]]:
        """Every value that a number can take, with its tokens: words, amounts, fixed values."""
        for n in range(len(self.words)):
            word = number_at(self.words, n)
            if word is None:
                continue
            for negative in (False, True):
                value = value_of(word, param, negative)
                if value is not None and not (negative and value == 0):
                    yield value, [*["<neg>"] * negative, _w(n)]
        assert param.low is not None
        assert param.high is not None
        for sign, front in ((1, []), (-1, ["<neg>"])):
            end = param.high if sign > 0 else param.low
            for token, factor in LEVELS.items():
                value = on_grid(max(param.low, min(param.high, sign * factor * usual(param))), param)
                if value is not None and value * sign > 0:
                    yield value, [*front, token]
            if end * sign > 0:
                yield on_grid(end, param) or end, [*front, MOST]
        for fixed in FIXED:
            value = on_grid(fixed, param)
            if value is not None and abs(value - fixed) < 1e-9:
                yield value, [f"<v_{fixed:g}>"]

    def _readings(self, reader: Any) -> Iterator[tuple[int, str]]:
        for n in range(len(self.words)):
            found = reader(self.words, n)
            if found:
                yield n, found


def _nearest_color(value: str) -> str:
    """The fixed colour that stands for one that is not named.

    Raises:
        WorkflowError: none is near, or it is no colour.
    """
    wanted = [int(value[n : n + 2], 16) for n in (1, 3, 5)] if HEX.fullmatch(value) else None
    if wanted is None:
        raise WorkflowError(f"'{value}' is not among the words")
    apart = {
        token: math.dist(wanted, [int(color[n : n + 2], 16) for n in (1, 3, 5)]) for token, color in COLORS.items()
    }
    token = min(apart, key=lambda name: apart[name])
    if apart[token] > NEAR_COLOR:
        raise WorkflowError(f"no colour that can be said is near {value}")
    return token


def _ratio(value: str) -> str:
    token = f"<q:{value}>"
    if token not in RATIOS:
        raise WorkflowError(f"'{value}' is not among the words")
    return token


def _w(number: int) -> str:
    return f"<w_{number}>"
