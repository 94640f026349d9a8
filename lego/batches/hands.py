"""Hands: those who do items. A hand does one at a time; several share a list. What the items are is not their business.

Threads of this process, processes on this machine and actors of a cluster are all hands: whoever has `do` and `close`.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

TRIES = 2  # an item during which a hand died is tried once more: something else may have taken the memory

T = TypeVar("T")
R = TypeVar("R")
T_in = TypeVar("T_in", contravariant=True)
R_out = TypeVar("R_out", covariant=True)


class LostError(Exception):
    """Whoever did an item died while doing it; the message says of what. The hand can be asked again."""


class Hand(Protocol[T_in, R_out]):
    """One who does items, one at a time."""

    def do(self, item: T_in) -> R_out:
        """Do an item.

        Raises:
            LostError: the hand died meanwhile.
            LegoError: it can do no item at all.
        """

    def close(self) -> None:
        """End, at once if need be."""


Outcome: TypeAlias = "tuple[T, R | LostError, int]"


def run_items(
    items: Iterable[T], hands: Sequence[Hand[T, R]], stop: threading.Event
) -> Generator[Outcome[T, R], None, None]:
    """Let hands do items; yield each with what came of it and how often a hand died of it, as they are done.

    A hand that dies gives its item back, to be done when all others are; if it dies again, its error is the outcome.
    Closed early, it begins nothing more and waits for what is under way; a KeyboardInterrupt breaks that off.

    Args:
        stop: when set, nothing more is begun; what is under way is still done and yielded.

    Raises:
        Exception: what a hand raised beside `LostError`; the others have finished what they had.
    """
    work: _Work[T, R] = _Work(items, stop)
    threads = [threading.Thread(target=work.loop, args=(hand,), daemon=True, name="lego-hand") for hand in hands]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            while (outcome := work.outcomes.get()) is not None:
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
    except BaseException as error:
        work.ended = True
        if isinstance(error, Exception | GeneratorExit):
            for thread in threads:
                thread.join()
        raise


class _Work(Generic[T, R]):
    """What is to be done, and what has been."""

    def __init__(self, items: Iterable[T], stop: threading.Event) -> None:
        self.todo = deque((item, 0) for item in items)
        self.outcomes: queue.SimpleQueue[Outcome[T, R] | BaseException | None] = queue.SimpleQueue()
        self.stop = stop
        self.ended = False

    def loop(self, hand: Hand[T, R]) -> None:
        """Take items until there are no more; a lost one goes to the end, where this loop comes by again."""
        try:
            while not (self.stop.is_set() or self.ended):
                try:
                    item, lost = self.todo.popleft()
                except IndexError:
                    break
                self._do(hand, item, lost)
        except BaseException as error:
            self.ended = True
            self.outcomes.put(error)
        self.outcomes.put(None)

    def _do(self, hand: Hand[T, R], item: T, lost: int) -> None:
        try:
            self.outcomes.put((item, hand.do(item), lost))
        except LostError as error:
            if lost + 1 < TRIES:
                self.todo.append((item, lost + 1))
            else:
                self.outcomes.put((item, error, lost + 1))
