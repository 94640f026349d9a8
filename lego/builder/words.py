"""The words of an instruction, numbered, and what each can be read as: a number, a colour, a ratio, a quoted text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lego.builder.lexicon import NUMBERS, TOKEN, UNITS, Token, color_at, converted, less, tokens_of
from lego.core.signature import Param

MOST = 96  # words of an instruction that can be pointed at; the rest is not seen
RATIOS = {
    "square": "1:1", "squared": "1:1", "widescreen": "16:9", "panorama": "21:9", "panoramic": "21:9", "story": "9:16",
    "方形": "1:1", "正方形": "1:1", "方": "1:1", "宽屏": "16:9", "竖屏": "9:16",
}  # fmt: skip
FACTORS = {"half": 0.5, "halve": 0.5, "double": 2.0, "twice": 2.0, "triple": 3.0, "quadruple": 4.0}
TENS = {n for n, value in NUMBERS.items() if value in (20, 30, 40, 50, 60, 70, 80, 90) and n.isascii()}


@dataclass(frozen=True)
class Word(Token):
    """A token and where it stands in the instruction."""

    start: int = 0
    end: int = 0


def words_of(instruction: str) -> list[Word]:
    """Split an instruction into at most `MOST` words, numbers with their units, quotes and signs."""
    found = []
    for match in TOKEN.finditer(instruction):
        token = next(iter(tokens_of(match[0])), None)
        if token is not None:
            found.append(Word(token.text, token.kind, token.value, token.unit, match.start(), match.end()))
    return found[:MOST]


def span(instruction: str, words: Sequence[Word], first: int, last: int) -> str:
    """The user's own letters from one word to another; quotation marks around the whole fall away."""
    if first == last and words[first].kind == "quote":
        return words[first].text
    return instruction[words[first].start : words[last].end].strip()


def number_at(words: Sequence[Word], at: int) -> Word | None:
    """Read the number that begins at a word, in digits or in words ("thirty five percent", "one and a half stops")."""
    word = words[at]
    if word.kind == "number":
        return word
    if word.kind != "word" or word.text not in {**NUMBERS, **FACTORS}:
        return None
    value, end = NUMBERS.get(word.text, FACTORS.get(word.text, 0.0)), at + 1
    texts = [w.text for w in words[at : at + 5]]
    if word.text in TENS and len(texts) > 1 and 0 < NUMBERS.get(texts[1], 0) < 10 and texts[1].isascii():
        value, end = value + NUMBERS[texts[1]], at + 2
    elif texts[1:2] == ["hundred"]:
        value, end = value * 100, at + 2
    elif texts[1:4] == ["and", "a", "half"]:
        value, end = value + 0.5, at + 4
    elif word.text in ("half", "quarter") and texts[1:2] in (["a"], ["an"]):
        end = at + 2
    unit = ""
    if end < len(words) and words[end].text in UNITS:
        unit, end = UNITS[words[end].text], end + 1
    return Word(word.text, "number", value, unit, word.start, words[end - 1].end)


def value_of(word: Word, param: Param, negative: bool = False) -> float | int | None:
    """A number in a parameter's unit and on its grid; None where it cannot be or lies out of range.

    ``negative`` makes it something taken away: 30 % less in stops is log2 of .7.
    """
    token = less(word) if negative else word
    value = converted(token, param.unit)
    if value is None or param.low is None or param.high is None:
        return None
    if param.high <= 1 and not word.unit and abs(value) > 1:  # "strength 40" of what runs from 0 to 1
        value /= 100
    return on_grid(value, param)


def on_grid(value: float, param: Param) -> float | int | None:
    """The nearest value that a parameter takes; None out of its range."""
    assert param.low is not None
    assert param.high is not None
    if param.kind == "integer":
        whole = round(value)
        return whole if param.low <= whole <= param.high else None
    step = param.step or 0.01
    rounded = round(round(value / step) * step, 6)
    return rounded if param.low <= rounded <= param.high else None


def color_from(words: Sequence[Word], at: int) -> str | None:
    """The colour named from a word on, as #rrggbb."""
    found = color_at(words, at)
    return found[0] if found else None


def ratio_from(words: Sequence[Word], at: int) -> str | None:
    """The ratio named from a word on, as W:H."""
    word = words[at]
    if word.kind == "ratio":
        return word.text
    if word.text in RATIOS:
        return RATIOS[word.text]
    texts = [w.text for w in words[at : at + 3]]
    if len(texts) == 3 and texts[1] in ("by", "to", "x", "比"):
        sides = [re.sub(r"[^\d.]", "", t) or f"{NUMBERS.get(t, 0):g}" for t in (texts[0], texts[2])]
        if all(side not in ("", "0") for side in sides):
            return ":".join(sides)
    return None
