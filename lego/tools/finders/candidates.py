"""Several things that may be meant, and the one that a place word or an ordinal picks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lego.tools.finders.regions import Bools


@dataclass(frozen=True)
class Candidate:
    """One of several things that may be meant: where, how heavy, its centre in shares of width and height."""

    mask: Bools
    weight: float
    center: tuple[float, float]


def candidate(mask: Bools, weight: float) -> Candidate:
    """Return a candidate; its centre is that of its mask, which must not be empty."""
    rows, columns = np.nonzero(mask)
    return Candidate(mask, weight, (float(columns.mean() / mask.shape[1]), float(rows.mean() / mask.shape[0])))


def chosen(found: list[Candidate], choose: str) -> list[Candidate]:
    """Return the candidates that a place word or an ordinal picks."""
    keys = {
        "left": lambda c: c.center[0], "right": lambda c: -c.center[0], "top": lambda c: c.center[1],
        "bottom": lambda c: -c.center[1], "largest": lambda c: -c.mask.sum(), "smallest": lambda c: c.mask.sum(),
        "center": lambda c: np.hypot(c.center[0] - 0.5, c.center[1] - 0.5),
    }  # fmt: skip
    if choose in keys:
        return [min(found, key=keys[choose])]
    if choose:
        number, _, side = choose.partition(" ")
        return sorted(found, key=keys[side])[int(number) - 1 : int(number)]
    return found
