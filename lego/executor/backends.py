"""Whose hands do the steps: threads on this machine, or a cluster. Keys, order, events and checks are not theirs."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from lego.core.memory import measured
from lego.core.models import Pool
from lego.core.registry import Engine
from lego.core.signature import Context
from lego.core.workflow import Bound
from lego.executor.cache import Cache
from lego.executor.ladder import Climbed, climb

Again: TypeAlias = Callable[[str, str], Mapping[str, Any]]  # makes a step's outputs anew, by step and output
MAX_THREADS = 4  # the work is native code that uses several cores by itself; more threads only add memory


@dataclass(slots=True)
class Order:
    """One step to do: what, by which engine, on which values.

    Attributes:
        key: of its content; two orders with one key give the same outputs.
        args: by parameter, references replaced by values.
    """

    key: str
    bound: Bound
    engine: Engine
    args: dict[str, Any]
    context: Context


class Backend(Protocol):
    """Whose hands do the steps.

    Attributes:
        cache: its own, where outputs do not lie in this process; else None.
        inline: is a step that is alone done by who asks, because handing it over costs more than a small step?
    """

    cache: Cache | None
    inline: bool

    def submit(self, job: Callable[[], bool]) -> None:
        """Run a job of this process soon, in a thread; it never raises, and returns True if it was given up."""

    def give_up(self) -> None:
        """Count one running job as lost, so that another may run in its place."""

    def make(self, order: Order, pool: Pool | None, stop: Callable[[], None]) -> Climbed:
        """Do a step, and wait for it.

        Args:
            stop: called while waiting; raises if the step should not go on.

        Raises:
            StepError: the step failed. A fault of the machinery is not the step's: then it is done again.
        """

    def adopt(self, step: str, outputs: Mapping[str, Any], again: Again) -> None:
        """Hear of a step's outputs that are in use, and how to make them again should they be lost."""

    def measure(self, memory: int, accelerator: int, share: float = 1.0) -> Mapping[str, int]:
        """Return budgets for networks where they would run, as `lego.core.memory.measured`."""

    def describe(self) -> str:
        """Say in a sentence whose hands they are."""

    def ready(self) -> None:
        """Return when a step could begin at once; for who sets a time limit, and does not mean the start by it."""

    def close(self) -> None:
        """End when the jobs are done."""


class Threads:
    """A pool of daemon threads, so that a tool which never returns cannot keep the program from ending.

    Args:
        workers: how many steps run at once; by default the number of cores, at most four.
    """

    cache: Cache | None = None
    inline = True

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or min(MAX_THREADS, os.cpu_count() or 1)
        self._jobs: queue.SimpleQueue[Callable[[], bool] | None] = queue.SimpleQueue()
        self._threads = 0
        self._stuck = 0  # threads in a job that was given up; others work in their place
        self._guard = threading.Lock()

    def submit(self, job: Callable[[], bool]) -> None:
        """Run a job as soon as a thread is free.

        A job reports its own result and never raises; it returns True if it was given up meanwhile (see `give_up`).
        """
        with self._guard:
            if self._threads - self._stuck < self.workers:
                self._start()
        self._jobs.put(job)

    def make(self, order: Order, pool: Pool | None, stop: Callable[[], None]) -> Climbed:
        """Do a step here and now."""
        return climb(order.bound, order.engine, order.args, order.context, pool, stop)

    def adopt(self, step: str, outputs: Mapping[str, Any], again: Again) -> None:
        """What is in this process is not lost."""

    def measure(self, memory: int, accelerator: int, share: float = 1.0) -> Mapping[str, int]:
        """Return budgets for this machine."""
        return measured(memory, accelerator, share)

    def ready(self) -> None:
        """Threads always are."""

    def describe(self) -> str:
        """Say how many."""
        return f"{self.workers} steps of this process at once"

    def give_up(self) -> None:
        """Count one running job as lost, so that another thread takes the place of its own."""
        with self._guard:
            self._stuck += 1
            self._start()

    def close(self) -> None:
        """Let the threads end when their jobs are done."""
        with self._guard:
            for _ in range(self._threads):
                self._jobs.put(None)
            self._threads = self._stuck = 0

    def _start(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name="lego-step", daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            given_up = job()
            del job  # a thread that waits holds nothing: networks freed by it while Python ends would abort the process
            if given_up:
                with self._guard:
                    self._stuck = max(0, self._stuck - 1)
                    self._threads = max(0, self._threads - 1)
                return
