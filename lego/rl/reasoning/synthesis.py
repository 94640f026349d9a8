"""Synthesis: lessons are made, one after the other or many at once, into a data set that a stopped run goes on with.

Without a model a lesson is named by its seed and number, and processes share the work. With one, the wishes of a pool
are asked about by threads; what could not be used is kept with its reason, so that it is not asked again.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from random import Random
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from lego.core.errors import ImageError, PlanError, RecordError
from lego.rl.reasoning.asking import Unfit
from lego.rl.reasoning.ledger import Ledger, enough
from lego.rl.reasoning.pool import Wish
from lego.rl.reasoning.thinking_pairs import SHARES

TROUBLE = 5  # errors of the model in a row, after which the run ends: it is down, not one question bad
AT_ONCE = 8  # lessons that a process makes at a time
FEW = 32  # lessons that one process makes before others have started
NOTHING = "no lesson was found"
Listener: TypeAlias = Callable[[int, int], None]


Made = TypeVar("Made")
Given = TypeVar("Given", covariant=True)


class Maker(Protocol[Given]):
    """Makes lessons without a model, by their numbers."""

    def lesson(self, number: int) -> Given | None: ...


class Keyed(Protocol):
    """What lessons are made of; the key names it."""

    @property
    def key(self) -> str: ...


Source = TypeVar("Source", bound=Keyed)


@dataclass(frozen=True)
class Task(Generic[Source]):
    """A wish, and the way or outcome that a lesson of it is to have; "" for whichever it gets."""

    label: str
    wish: Source


def numbered(
    book: Ledger[Made],
    kind: str,
    key: Callable[[int], str],
    maker: Callable[[], Maker[Made]],
    count: int,
    workers: int = 1,
    listen: Listener = lambda done, count: None,
) -> int:
    """Make the lessons of the numbers from 0 to ``count`` that are not there yet; return how many gave none.

    Args:
        key: of a lesson by its number.
        maker: makes the maker; with several workers it goes to other processes, which it must be able to (a class with
            its arguments by ``functools.partial``).
        workers: processes; 1 works in this one.

    Raises:
        RecordError: the data set cannot be written.
    """
    with ExitStack() as stack:
        stack.enter_context(book.alone())
        todo = [number for number in range(count) if not book.done(kind, key(number))]
        found: Iterator[Made | None]
        if workers > 1 and len(todo) > FEW:
            pool = ProcessPoolExecutor(min(workers, len(todo)), get_context("spawn"), _begin, (maker,))
            stack.callback(pool.shutdown, cancel_futures=True)
            found = pool.map(_made, todo, chunksize=AT_ONCE)
        else:
            found = map(maker().lesson, todo) if todo else iter(())
        for done, (number, lesson) in enumerate(zip(todo, found, strict=True), count - len(todo) + 1):
            if lesson is None:
                book.drop(kind, key(number), NOTHING)
            else:
                book.add(lesson)
            listen(done, count)
    return book.dropped[kind, NOTHING]


_maker: Maker[Any]  # of a process that makes lessons for another


def _begin(maker: Callable[[], Maker[Any]]) -> None:
    global _maker
    threading.Thread(target=_follow, daemon=True).start()
    _maker = maker()


def _follow() -> None:
    """End with the process that gives the work: one that was killed would leave the others waiting for ever."""
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _made(number: int) -> Any:
    return _maker.lesson(number)


class Asking(Generic[Source, Made]):
    """Makes lessons of a pool's wishes by asking a model, several at once.

    Args:
        kind: of the lessons.
        source: the name of the pool; lessons of other sources do not count.
        shares: of the ways or outcomes; they are kept to as far as the pool allows.
        count: of the lessons that the data set shall have of this kind and source.
        make: of a task; may raise `Unfit`, and errors of the model and of pictures.
    """

    def __init__(
        self,
        book: Ledger[Made],
        kind: str,
        source: str,
        shares: Mapping[str, float],
        count: int,
        make: Callable[[Task[Source]], Made],
    ) -> None:
        self.book, self.kind, self.source, self.count, self.make = book, kind, source, count, make
        self.wanted = dict(zip(shares, _parts(shares, count), strict=True))
        self.flying: dict[Future[Made], Task[Source]] = {}
        self.trouble = 0

    def run(
        self,
        queues: Mapping[str, Iterator[Source]],
        workers: int,
        listen: Listener = lambda done, count: None,
    ) -> None:
        """Ask until there are enough lessons, or no wishes are left.

        Args:
            queues: the wishes for each way; under "" those whose outcome is not known before.

        Raises:
            PlanError: the model cannot be asked; what is done is kept.
            RecordError: the data set cannot be written.
        """
        with self.book.alone(), ThreadPoolExecutor(workers) as pool:
            try:
                while True:
                    while len(self.flying) < workers and (task := self._next(queues)):
                        self.flying[pool.submit(self._checked, task)] = task
                    if not self.flying:
                        return
                    for future in wait(self.flying, return_when=FIRST_COMPLETED).done:
                        self._settle(self.flying.pop(future), future)
                    listen(self.count - sum(self.lacking().values()), self.count)
            finally:
                pool.shutdown(cancel_futures=True)

    def _checked(self, task: Task[Source]) -> Made:
        lesson = self.make(task)
        try:
            self.book.check(lesson)
        except RecordError as error:
            raise Unfit(f"it is no lesson: {error.message}") from None
        return lesson

    def lacking(self) -> dict[str, int]:
        """Return how many lessons of each way or outcome are wanted still."""
        there = {label: self.book.counts[self.kind, self.source, label] for label in self.wanted}
        return {label: max(0, wanted - there[label]) for label, wanted in self.wanted.items()}

    def _next(self, queues: Mapping[str, Iterator[Source]]) -> Task[Source] | None:
        """A wish that was not tried before, for what is lacking most beside what is being asked."""
        lacking = self.lacking()
        if "" in queues:
            if sum(lacking.values()) <= 0:
                return None
            short = [label for label, count in lacking.items() if count]
            wish = next((w for w in queues[""] if not self.book.done(self.kind, w.key, short)), None)
            return Task("", wish) if wish else None
        for task in self.flying.values():
            lacking[task.label] -= 1
        for label in sorted(lacking, key=lambda name: -lacking[name] / (self.wanted[name] or 1)):
            if lacking[label] > 0:
                wish = next((w for w in queues[label] if not self.book.done(self.kind, w.key)), None)
                if wish:
                    return Task(label, wish)
        return None

    def _settle(self, task: Task[Source], future: Future[Made]) -> None:
        try:
            lesson = future.result()
        except Unfit as error:
            self.trouble = 0
            self.book.drop(self.kind, task.wish.key, str(error))
        except ImageError:
            self.book.drop(self.kind, task.wish.key, "the picture cannot be read")
        except PlanError:  # not kept: the next run may ask again
            self.trouble += 1
            self.book.dropped[self.kind, "the model could not be asked"] += 1
            if self.trouble >= TROUBLE:
                raise
        else:
            self.trouble = 0
            label = self.book.label(lesson)
            if self.lacking().get(label, 0) > 0:
                self.book.add(lesson)
            else:
                self.book.drop(self.kind, task.wish.key, enough(label))


def mixed(wishes: list[Source], seed: int) -> list[Source]:
    """Return wishes in random order."""
    return Random(f"pool {seed}").sample(wishes, len(wishes))


def by_way(wishes: list[Wish]) -> dict[str, Iterator[Wish]]:
    """Return the wishes that each way of thinking can be made of, in order."""
    simple = iter([wish for wish in wishes if not wish.complex])
    return {way: iter([w for w in wishes if w.complex]) if way == "decomposed" else simple for way in SHARES}


def _parts(shares: Mapping[str, float], count: int) -> list[int]:
    """A count in whole parts, which add up to it."""
    sums = list(itertools.accumulate(shares.values()))
    ends = [round(count * total / sums[-1]) for total in sums]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]
