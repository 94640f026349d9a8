"""Crews: the workers with the same networks, who of them gets which step, and when there should be more or fewer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

DELAY = 0.05  # seconds that a step waits for a worker where its pixels are; moving 36 MB takes about as long


@dataclass(frozen=True)
class Trade:
    """What the workers of a crew can do, and what each of them takes.

    Attributes:
        name: of its networks, or "cpu" for tools without any.
        gpus: share of an accelerator.
        accelerator: bytes of it that its networks may take.
        memory: bytes of the machine's that its networks take.
    """

    name: str
    gpus: float = 0.0
    accelerator: int = 0
    memory: int = 0

    @property
    def resources(self) -> dict[str, float]:
        """What Ray books for a worker."""
        kind = {"GPU": self.gpus} if self.gpus else {"CPU": 1.0}
        return {**kind, "memory": float(self.memory)} if self.memory else kind


@dataclass(eq=False)
class Member:
    """A worker: its actor, its node ("" until it has begun), and since when it has had nothing to do."""

    actor: Any
    node: str = ""
    busy: bool = True
    since: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class _Wish:
    near: Mapping[str, int]
    avoid: str
    found: asyncio.Future[Member]
    at: float


class Crew:
    """The workers of a trade.

    Args:
        most: how many there may be.
        grow: called when somebody has to wait.

    Attributes:
        stillborn: workers that could not start, one after another.
    """

    def __init__(self, trade: Trade, most: int, grow: Callable[[Crew], None] = lambda crew: None) -> None:
        self.trade, self.most, self._grow = trade, most, grow
        self.stillborn = 0
        self.members: list[Member] = []
        self.counts: Counter[str] = Counter()
        self._wishes: list[_Wish] = []

    @property
    def waiting(self) -> int:
        """Steps that wait for a worker."""
        return len(self._wishes)

    @property
    def wanted(self) -> int:
        """How many more workers the queue is worth."""
        starting = sum(not member.node for member in self.members)
        return max(0, min(self.waiting - starting, self.most - len(self.members)))

    def late(self, seconds: float) -> int:
        """Steps that have waited for a worker longer than this."""
        now = time.monotonic()
        return sum(now - wish.at > seconds for wish in self._wishes)

    async def take(self, near: Mapping[str, int], avoid: str = "") -> Member:
        """Wait for a worker, best one where most of the pixels are.

        Args:
            near: bytes of the step's pixels by node.
            avoid: a node where it has failed; taken only if there is no other.
        """
        wish = _Wish(near, avoid, asyncio.get_running_loop().create_future(), time.monotonic())
        self._wishes.append(wish)
        self.match()
        self._grow(self)
        try:
            return await wish.found
        except asyncio.CancelledError:
            if wish in self._wishes:
                self._wishes.remove(wish)
            elif wish.found.done() and not wish.found.cancelled():
                self.give_back(wish.found.result())
            raise

    def give_back(self, member: Member) -> None:
        """Say that a worker is free."""
        member.busy, member.since = False, time.monotonic()
        self.match()

    def drop(self, member: Member) -> None:
        """Count a worker out."""
        if member in self.members:
            self.members.remove(member)

    def refuse(self, error: Exception) -> None:
        """Tell all who wait that there will be nobody."""
        for wish in self._wishes:
            if not wish.found.done():
                wish.found.set_exception(error)
        self._wishes.clear()

    def idle(self, seconds: float = 0.0) -> list[Member]:
        """Workers that have had nothing to do for so long, the longest first."""
        now = time.monotonic()
        found = [m for m in self.members if m.node and not m.busy and now - m.since >= seconds]
        return sorted(found, key=lambda m: m.since)

    def match(self) -> None:
        """Give free workers to those who wait, in turn; who would rather wait for another node does so for a moment."""
        now = time.monotonic()
        for wish in list(self._wishes):
            free = [m for m in self.members if m.node and not m.busy]
            if not free:
                return
            best = max(free, key=lambda m: (m.node != wish.avoid, wish.near.get(m.node, 0)))
            home = max(wish.near, key=lambda node: wish.near[node], default="")
            if best.node != home and now - wish.at < DELAY and any(m.node == home for m in self.members):
                asyncio.get_running_loop().call_later(DELAY - (now - wish.at) + 0.001, self.match)
                continue
            self._give(wish, best, home)

    def _give(self, wish: _Wish, member: Member, home: str) -> None:
        self._wishes.remove(wish)
        if wish.found.done():
            return
        member.busy = True
        self.counts["steps"] += 1
        if home and member.node != home:
            self.counts["moves"] += 1
            self.counts["moved_bytes"] += sum(wish.near.values()) - wish.near.get(member.node, 0)
        wish.found.set_result(member)
