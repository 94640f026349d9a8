"""What is made on a cluster, by content, under a budget of bytes; what costs least to make again goes first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from lego.executor.cluster.parcels import Facts

SMALL = 1024  # bytes that an entry costs beside its pixels


@dataclass
class Made:
    """Outputs of a step.

    Attributes:
        facts, refs: by output; what has no pixels has no reference.
        node: where the pixels were made.
        seconds: that it took.
    """

    facts: dict[str, Facts]
    refs: dict[str, Any]
    node: str
    seconds: float
    score: float = field(default=0.0, compare=False)

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        return SMALL + sum(facts.nbytes for facts in self.facts.values())


class Shelf:
    """Outputs by key, held by references (GreedyDual-Size, Cao 1997, as in `lego.executor.cache`).

    Args:
        budget: bytes of pixels that it may hold.
    """

    def __init__(self, budget: int) -> None:
        self.budget, self.used = budget, 0
        self._entries: dict[str, Made] = {}
        self._clock = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Made | None:
        """Return what is stored under a key, or None."""
        entry = self._entries.get(key)
        if entry:
            entry.score = self._clock + entry.seconds / entry.nbytes
        return entry

    def put(self, key: str, made: Made) -> None:
        """Store outputs."""
        self.forget(key)
        if made.nbytes > self.budget:
            return
        made.score = self._clock + made.seconds / made.nbytes
        self._entries[key] = made
        self.used += made.nbytes
        while self.used > self.budget:
            worst = min(self._entries, key=lambda key: self._entries[key].score)
            self._clock = self._entries[worst].score
            self.forget(worst)

    def forget(self, key: str) -> None:
        """Drop an entry, if it is there."""
        gone = self._entries.pop(key, None)
        if gone:
            self.used -= gone.nbytes

    def sweep(self, alive: Collection[str]) -> None:
        """Drop what was made on nodes that are gone; copies elsewhere are not counted on."""
        for key in [key for key, made in self._entries.items() if made.node not in alive]:
            self.forget(key)

    def clear(self) -> None:
        """Drop everything."""
        for key in list(self._entries):
            self.forget(key)
