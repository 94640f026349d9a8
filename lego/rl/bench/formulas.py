"""Formulas: how public benchmarks make figures of a judge's numbers, as published and with their slips mended.

In ``official`` mode the quirks of the published scripts are kept, all but those that guess at random; in ``fixed``
mode not. None stands for a judgement that is missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["official", "fixed"]
MODES: tuple[Mode, ...] = ("official", "fixed")
TOP = 5.0  # of the scales from 1 to 5
BAD_FOLLOWING = 2.0  # KRIS: an instruction followed no better than that shows no knowledge


def least(scores: Sequence[float] | None) -> float | None:
    """The lowest of the scores of one question."""
    return min(scores) if scores else None


def overall(sc: float | None, pq: float | None) -> float | None:
    """GEdit-Bench, EditScore: sqrt(SC * PQ) of one item; the mean of these is not the root of the means."""
    return None if sc is None or pq is None else math.sqrt(sc * pq)


def imgedit(scores: Sequence[float] | None, mode: Mode, clamp: bool) -> float | None:
    """ImgEdit-Bench: the mean of an item's scores.

    Args:
        scores: three from 1 to 5; in official mode as many as the script happens to find.
        mode: the official script rounds to two digits.
        clamp: hold the second and third to the first, as the prompt asks and the script does not check.
    """
    if not scores:
        return None
    held = [scores[0], *(min(score, scores[0]) for score in scores[1:])] if clamp else scores
    value = sum(held) / len(held)
    return round(value, 2) if mode == "official" else value


def percent(score: float | None) -> float | None:
    """KRIS-Bench, RISEBench: 1 to 5 as 0 to 100."""
    return None if score is None else (score - 1) * 25


def kris(
    consistency: float | None, quality: float | None, following: float | None, knowledge: float | None, clamp: bool
) -> tuple[float | None, float | None, float | None, float | None]:
    """KRIS-Bench: the four scores of an item as percent.

    Args:
        clamp: knowledge is 1 where the instruction was not followed, as the prompt asks and the script does not check.
    """
    if clamp and knowledge is not None and following is not None and following <= BAD_FOLLOWING:
        knowledge = 1.0
    return percent(consistency), percent(quality), percent(following), percent(knowledge)


def from_bit(score: float | None) -> float | None:
    """RISEBench, logical items: 0 or 1 as 1 or 5."""
    return None if score is None else 4 * min(score, 1) + 1


def rise(
    logical: bool, consistency: float | None, reasoning: float | None, plausibility: float | None, free: bool
) -> float | None:
    """RISEBench: the score of an item, 1 to 5.

    Args:
        logical: such items have no plausibility, and their scores have gone through `from_bit`.
        free: of consistency, which is then not asked for.
    """
    if logical:
        shares = ((0.3, consistency), (0.7, reasoning))
    elif free:
        shares = ((0.8, reasoning), (0.2, plausibility))
    else:
        shares = ((0.3, consistency), (0.5, reasoning), (0.2, plausibility))  # type: ignore[assignment]
    total = 0.0
    for share, score in shares:
        if score is None:
            return None
        total += share * score
    return max(1.0, total / 2) if reasoning == 1 else total


def accurate(scores: Sequence[float | None], unjudged: bool, free: bool, mode: Mode) -> float | None:
    """RISEBench: 100 if every dimension has 5, else 0.

    Args:
        scores: of the dimensions that the item has.
        unjudged: one of them could not be read. The official script counts 0 then.
        free: of consistency. The official script never counts such an item as accurate.
    """
    if mode == "official" and (unjudged or free):
        return 0.0
    return None if unjudged else 100.0 * all(score == TOP for score in scores)


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of what is not missing."""
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None
