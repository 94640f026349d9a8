"""Replies: what a judge wrote, read strictly, or as the published scripts read it.

Every reader returns the numbers or raises ValueError with the reason in a sentence; none guesses.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from lego.builder.served import objects
from lego.rl.bench.formulas import Mode

THOUGHT = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)
LINE = re.compile(r"^[\s*_#>-]*([^:\n]{1,60}?)[\s*_]*:[\s*_]*(-?\d+(?:\.\d*)?)(?:\s*/\s*\d+)?[\s*_.]*$", re.MULTILINE)
FINAL = re.compile(r"final\s+scores?[\s*_]*:?[\s*_]*(-?\d+(?:\.\d+)?)?", re.IGNORECASE)
OFFICIAL_FINAL = re.compile(r"final scores?\*{0,2}:?\s*([\d*\s,]*)", re.IGNORECASE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def listed(text: str, count: int, low: float, high: float, mode: Mode) -> tuple[float, ...]:
    """Read ``{"score": [a, b], "reasoning": "..."}`` (GEdit-Bench, EditScore).

    Official mode takes any number of scores of any size from between the first brace and the last; where the published
    script would draw a random number, the reply is unreadable.
    """
    if mode == "official":
        found = re.search(r"\{.*\}", text, re.DOTALL)
        try:
            data = json.loads(found[0]) if found else None
        except ValueError:
            data = None
        scores = data.get("score") if isinstance(data, dict) else None
        if not isinstance(scores, list) or not scores:
            raise ValueError("there is no JSON with scores in it")
        return tuple(_number(score) for score in scores)
    answers = [data for data in objects(THOUGHT.sub("", text), strict=False) if "score" in data]
    if len(answers) != 1:
        raise ValueError(f"one JSON object with scores was asked for, and {len(answers) or 'none'} came")
    scores = answers[0]["score"]
    if not isinstance(scores, list) or len(scores) != count:
        raise ValueError(f"{count} scores were asked for, and {json.dumps(scores)[:60]} came")
    return _within(scores, low, high)


def lines(text: str, count: int, low: float, high: float, mode: Mode) -> tuple[float, ...]:
    """Read ``Name: n`` lines by their position; names differ from kind to kind (ImgEdit-Bench).

    Official mode takes only lines that ": " splits in two with nothing but digits behind, however many there are.
    """
    if mode == "official":
        split = [line.strip().split(": ") for line in text.splitlines()]
        found = [float(pair[1]) for pair in split if len(pair) == 2 and pair[1].isdecimal()]
        if not found:
            raise ValueError("there is no line with a score")
        return tuple(found)
    scores = [float(m[2]) for m in LINE.finditer(THOUGHT.sub("", text)) if "reasoning" not in m[1].lower()]
    if len(scores) != count:
        raise ValueError(f"{count} lines with a score were asked for, and {len(scores) or 'none'} came")
    return _within(scores, low, high)


def named(text: str, names: Sequence[str], low: float, high: float, mode: Mode) -> tuple[float, ...]:
    """Read the scores of a JSON object by their keys (KRIS-Bench).

    Official mode falls back on looking for the key and a digit anywhere.
    """
    answers = [data for data in objects(THOUGHT.sub("", text), strict=False) if all(name in data for name in names)]
    if len(answers) == 1 or (answers and mode == "official"):
        return _within([_digits(answers[0][name]) for name in names], low, high)
    if mode == "official":
        found = [re.search(rf'{re.escape(name)}"?\s*[:=]\s*"?(\d)', text) for name in names]
        if all(found):
            return tuple(float(match[1]) for match in found if match)
    raise ValueError(f"one JSON object with {' and '.join(names)} was asked for, and {len(answers) or 'none'} came")


def final(text: str, low: float, high: float, mode: Mode) -> tuple[float, ...]:
    """Read ``Final Score: n`` (RISEBench).

    Official mode takes whole numbers only, so that 3.5 is 3, and takes them from the first such line that has one.
    """
    if mode == "official":
        for match in OFFICIAL_FINAL.finditer(text):
            found = re.findall(r"\d+", match[1])
            if found:
                return tuple(map(float, found))
        raise ValueError("there is no final score")
    scores = [match[1] for match in FINAL.finditer(THOUGHT.sub("", text))]
    given = {float(score) for score in scores if score}
    if len(given) != 1:
        raise ValueError(f"one final score was asked for, and {len(given) or 'none'} came")
    return _within(list(given), low, high)


def _within(scores: Sequence[Any], low: float, high: float) -> tuple[float, ...]:
    numbers = tuple(_number(score) for score in scores)
    for number in numbers:
        if not low <= number <= high:
            raise ValueError(f"the score {number:g} is not between {low:g} and {high:g}")
    return numbers


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{json.dumps(value)[:40]} is no number")
    return float(value)


def _digits(value: Any) -> Any:
    """A number that a judge put in quotes is still one."""
    return float(value) if isinstance(value, str) and NUMBER.fullmatch(value.strip()) else value
