"""Numerals: numbers that are written in words, English or Chinese, as digits."""

from __future__ import annotations

import re

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
SMALL = {word: number for number, word in enumerate(_SMALL.split())}
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = {word: 10 * number for number, word in enumerate(_TENS.split(), 2)}
UNITS = {"hundred": 100, "thousand": 1000, "million": 10**6}
WORD = "|".join([*SMALL, *TENS, *UNITS])
ENGLISH = re.compile(rf"\b(?:{WORD})(?:(?:\s+and)?[\s-]+(?:{WORD}))*\b")
DIGITS = {digit: number for number, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "俩": 2}
POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10**4}
CHINESE = re.compile("[零一二三四五六七八九〇两十百千万]{2,}")
GROUPED = re.compile(r"\b\d{1,3}(?:[,，]\d{3})+\b")
ENDS = re.compile(r"(\d)(?:(\.\d*[1-9])0+|\.0+)(?!\d)")  # of decimals, that make no difference
YEAR = 4  # signs that are read one by one; fewer are a guess: "三四" is three or four


def in_digits(text: str) -> str:
    """Return a text (in lower case) with its numbers of several words or signs as digits: "twenty-five", 二十五 and
    "1,200.0" become 25 and 1200. Single words and signs stay as they are.
    """
    text = GROUPED.sub(lambda found: re.sub("[,，]", "", found[0]), text)
    text = ENDS.sub(lambda found: found[1] + (found[2] or ""), text)
    return CHINESE.sub(lambda found: _chinese(found[0]), ENGLISH.sub(lambda found: _english(found[0]), text))


def _english(text: str) -> str:
    words = [word for word in re.split(r"[\s-]+", text) if word != "and"]
    if len(words) == 1:
        return str((TENS | UNITS)[text]) if text not in SMALL else text
    if not set(words) & {*TENS, *UNITS}:
        return text  # "two three": a list
    whole = part = 0
    for word in words:
        if word == "hundred":
            part = 100 * (part or 1)
        elif word in UNITS:
            whole, part = whole + UNITS[word] * (part or 1), 0
        else:
            part += SMALL[word] if word in SMALL else TENS[word]
    return str(whole + part)


def _chinese(text: str) -> str:
    if not set(text) & set(POWERS):
        return "".join(str(DIGITS[sign]) for sign in text) if len(text) >= YEAR else text
    whole = part = digit = 0
    for sign in text:
        if sign in DIGITS:
            digit = DIGITS[sign]
        elif sign == "万":
            whole, part, digit = (part + digit) * 10**4, 0, 0
        else:
            part, digit = part + (digit or 1) * POWERS[sign], 0
    return str(whole + part + digit)
