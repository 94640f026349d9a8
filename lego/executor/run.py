"""The executor: runs a workflow, independent steps at once, whatever is cached not at all."""

from __future__ import annotations

import contextlib
import queue
import time
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lego.core.errors import CancelledError, StepError, StepTimeoutError
from lego.core.models import Pool
from lego.core.registry import Registry
from lego.core.registry import registry as default_registry
from lego.core.signature import Context
from lego.core.steps import Ref
from lego.core.trace import Event, Noted, RunDone, StepDone, StepFailed, StepProgress, StepStarted, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Bound, Workflow
from lego.executor.backends import Again, Backend, Order, Threads
from lego.executor.cache import Cache, Outputs
from lego.executor.collector import at_rest, seldom
from lego.executor.spill import MEMORY_BYTES, Spill
from lego.executor.step import resolved
from lego.executor.tasks import Task, tasks_of

MANY = 10_000  # steps; over the objects of fewer the collector walks in no time
QUICK = 2e-4  # seconds; a step that takes less costs more to hand over than to do
POLL = 0.05  # seconds between looks at the cancel token while steps run
NOBODY = Context()  # for tools that do not ask
WORTH_TELLING = 0.01  # progress events closer together than this share are left out


class Cancel:
    """A token that stops one run: from another thread, from a listener, or by a deadline.

    Attributes:
        cancelled: has somebody asked to stop?
    """

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """Stop the run as soon as the running steps look."""
        self.cancelled = True


@dataclass(frozen=True)
class Run:
    """What a workflow gave: outputs of every step that ran, errors of those that did not, and the results in order."""

    outputs: Mapping[str, Outputs]
    errors: Mapping[str, StepError]
    results: tuple[Any, ...]

    @property
    def failure(self) -> StepError | None:
        """The first error, if a result is missing because of one."""
        return next(iter(self.errors.values()), None)


class Executor:
    """Runs workflows over a registry of tools.

    Args:
        registry: the tools.
        cache: outputs by content, shared by all runs of this executor; by default the backend's own, if it has one.
        workers: how many steps run at once.
        pool: where the networks of the tools come from; without one, engines without networks run.
        memory_bytes: budget for the pictures of all runs that anybody holds; the oldest beyond it wait in a file.
        backend: whose hands do the steps, to be closed by whoever opened it; by default threads of this process,
            ``workers`` of them.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        cache: Cache | None = None,
        workers: int | None = None,
        pool: Pool | None = None,
        memory_bytes: int = MEMORY_BYTES,
        backend: Backend | None = None,
    ) -> None:
        self.registry = default_registry if registry is None else registry
        self.backend: Backend = Threads(workers) if backend is None else backend
        if backend is None:
            weakref.finalize(self, self.backend.close)
        held = self.backend.cache if cache is None else cache
        self.cache = Cache() if held is None else held
        self.pool = pool
        self.spill = Spill(memory_bytes, self.cache.folder)
        self.pace: dict[int, dict[str, float]] = {}  # seconds that a tool took last, by the magnitude of the pictures

    def run(
        self,
        workflow: Workflow,
        given: Mapping[str, Image | Mask],
        *,
        seed: int = 0,
        trace: Trace | None = None,
        cancel: Cancel | None = None,
        timeout: float | None = None,
        step_timeout: float | None = None,
    ) -> Run:
        """Run a workflow on the given values.

        A failing step stops its descendants only; everything else is finished and kept. Steps that no result needs are
        not run.

        Args:
            given: "image" and, as far as the workflow uses them, "mask", "reference", ...
            seed: of the run; each step derives its own from it and from what it does.
            trace: gets an event for everything that happens.
            timeout, step_timeout: seconds for the whole run and for one step; None waits for ever.

        Raises:
            WorkflowError: the workflow has problems; nothing was run.
            StepError: a tool has no engine that can run here (code ``no_engine``); nothing was run.
        """
        kinds = {name: "mask" if isinstance(value, Mask) else "image" for name, value in given.items()}
        told = Trace() if trace is None else trace
        with at_rest():
            bound, results = workflow.bind(self.registry, kinds)
            job = _Job(self, bound, results, given, seed, told, cancel or Cancel(), timeout, step_timeout)

        def again(step: str, output: str) -> Outputs:
            return self.run(replace(workflow, result=f"${step}.{output}"), given, seed=seed).outputs[step]

        job.again = again
        return job.run()


class _Job:
    """One run. Everything but `_work` happens in the calling thread, so events need no locks."""

    def __init__(
        self,
        executor: Executor,
        bound: list[Bound],
        results: tuple[Ref, ...],
        given: Mapping[str, Image | Mask],
        seed: int,
        trace: Trace,
        cancel: Cancel,
        timeout: float | None,
        step_timeout: float | None,
    ) -> None:
        self.executor, self.given, self.results = executor, given, results
        self.trace, self.cancel, self.step_timeout = trace, cancel, step_timeout
        self.start = time.monotonic()
        self.deadline = None if timeout is None else self.start + timeout
        self.outputs: dict[str, Outputs] = {}
        self.errors: dict[str, StepError] = {}
        self.running: dict[str, Task] = {}
        self.news: queue.SimpleQueue[tuple[str, Any, float, bool]] = queue.SimpleQueue()
        self.tasks = tasks_of(bound, self.given, seed, executor.pool)
        self.again: Again  # runs up to a step once more, for outputs that a backend lost
        largest = max((value.nbytes for value in given.values()), default=0)
        self.pace = executor.pace.setdefault(largest.bit_length(), {})
        self.inline = executor.backend.inline and timeout is None and step_timeout is None

    def run(self) -> Run:
        status = "failed"
        try:
            with at_rest():
                ready = self._plan()
            with seldom if len(self.tasks) >= MANY else contextlib.nullcontext():
                self._loop(ready)
            status = "failed" if self.errors else "done"
            if any(isinstance(error, CancelledError) for error in self.errors.values()):
                status = "cancelled"
            elif any(isinstance(error, StepTimeoutError) for error in self.errors.values()):
                status = "timeout"
        except BaseException:
            status = "cancelled"
            self.cancel.cancel()
            raise
        finally:
            for task in self.running.values():
                task.stopped = True
            if fault := self.executor.spill.complaint():
                self.trace.add(Noted(fault))
            self.trace.add(RunDone(status, time.monotonic() - self.start))
        found = tuple(self._find(ref) for ref in self.results if ref.step in self.given or ref.step in self.outputs)
        return Run(self.outputs, self.errors, found)

    def _plan(self) -> deque[Task]:
        """Walk back from the results: what the cache holds needs no ancestors. Return the steps that can start.

        Ancestors that are not needed are shown too if the cache holds them, so that every step can be looked at.
        """
        wanted: dict[str, Task] = {}
        served: dict[str, Outputs] = {}
        seen: dict[str, bool] = {}  # by name: was it needed?
        self.executor.cache.look([task.key for task in self.tasks.values()])
        stack = [(ref.step, True) for ref in self.results if ref.step in self.tasks]
        while stack:
            name, needed = stack.pop()
            if seen.get(name, False) or seen.get(name) == needed:
                continue
            seen[name] = needed
            task = self.tasks[name]
            outputs = served.get(name) or self.executor.cache.get(task.key)
            if outputs is not None:
                served[name] = outputs
            elif needed:
                wanted[name] = task
            stack.extend((parent, name in wanted) for parent in task.bound.needs)
        for name in self.tasks:
            if name in served:
                self._done(self.tasks[name], served[name], 0.0, True)
        for name, task in wanted.items():
            missing = [need for need in task.bound.needs if need in wanted]
            task.waits = len(missing)
            for need in missing:
                wanted[need].children.append(name)
        return deque(task for name, task in self.tasks.items() if name in wanted and not task.waits)

    def _loop(self, ready: deque[Task]) -> None:
        while ready or self.running:
            self._look_at_the_clock(ready)
            alone = self.inline and len(ready) == 1 and not self.running
            while ready:
                task = ready.popleft()
                quick = self.inline and self.pace.get(task.bound.tool.name, 1.0) < QUICK
                self._launch(task, alone or quick)
            if not self.running:
                continue
            try:
                name, value, seconds, cached = self.news.get(timeout=None if alone else POLL)
            except queue.Empty:
                continue
            self._hear(name, value, seconds, cached, ready)

    def _launch(self, task: Task, here: bool) -> None:
        """Start a step: here if it is the only one, or was quick the last time, else in the pool."""
        name = task.bound.step.id
        self.trace.add(StepStarted(name, task.bound.tool.name))
        task.started = time.monotonic()
        self.running[name] = task
        values = resolved(task.bound.args, self._find)
        if here:
            self._work(task, values)
        else:
            self.executor.backend.submit(lambda: self._work(task, values))

    def _work(self, task: Task, args: dict[str, Any]) -> bool:
        """Run in any thread: compute, or wait for who computes; put the outcome into the news. Was it given up?"""
        name = task.bound.step.id
        context = self._context(task) if task.bound.tool.context else NOBODY
        cache = self.executor.cache
        start = time.monotonic()

        def stop() -> None:
            self._stop(task)

        try:
            stop()
            with cache.alone(task.key, stop):
                outputs = cache.get(task.key)
                cached = outputs is not None
                if outputs is None:
                    order = Order(task.key, task.bound, task.engine, args, context)
                    made = self.executor.backend.make(order, self.executor.pool, stop)
                    outputs, seconds, cached = made.outputs, time.monotonic() - start, made.cached
                    self.pace[task.bound.tool.name] = seconds
                    task.reason = "; ".join([task.reason, *made.reasons]) if made.reasons else task.reason
                    stop()
                    if task.bound.tool.deterministic and not made.other:
                        cache.put(task.key, outputs, seconds)
            self.news.put((name, outputs, time.monotonic() - start, cached))
        except StepError as error:
            self.news.put((name, error, time.monotonic() - start, False))
        except BaseException as error:
            fault = StepError(f"{type(error).__name__}: {error}", where=task.bound.where)
            fault.__cause__ = error
            self.news.put((name, fault, time.monotonic() - start, False))
            if not isinstance(error, Exception):
                raise
        return task.stopped

    def _context(self, task: Task) -> Context:
        name = task.bound.step.id

        def progress(share: float) -> None:
            self._stop(task)
            if share >= task.progress + WORTH_TELLING or share >= 1 > task.progress:
                task.progress = share
                self.news.put((name, StepProgress(name, min(1.0, max(0.0, share))), 0.0, False))

        return Context(task.seed, task.device, progress, task.engine.tile)

    def _stop(self, task: Task) -> None:
        """Raise if this step should not go on."""
        if self.cancel.cancelled or task.stopped:
            raise CancelledError("the run was stopped", where=task.bound.where, hint="nothing was saved; run it again")

    def _hear(self, name: str, value: Any, seconds: float, cached: bool, ready: deque[Task]) -> None:
        if isinstance(value, Event):
            if name in self.running:
                self.trace.add(value)
            return
        task = self.running.pop(name, None)
        if task is None:
            return  # it was given up, and its late answer counts no more
        if isinstance(value, StepError):
            self._fail(task, value)
            return
        self._done(task, value, seconds, cached)
        for child in task.children:
            self.tasks[child].waits -= 1
            if not self.tasks[child].waits and child not in self.errors:
                ready.append(self.tasks[child])

    def _done(self, task: Task, outputs: Outputs, seconds: float, cached: bool) -> None:
        name = task.bound.step.id
        self.outputs[name] = outputs
        self.executor.spill.hold(outputs)
        self.executor.backend.adopt(name, outputs, self.again)
        notes = tuple([note for value in outputs.values() for note in getattr(value, "notes", ())])
        told = (name, task.bound.tool.name, task.engine.name, task.reason, cached, seconds, task.seed)
        self.trace.add(StepDone(*told, outputs, notes))

    def _fail(self, task: Task, error: StepError) -> None:
        """Record a failure, and that of everything that waits for it."""
        name = task.bound.step.id
        self.errors[name] = error
        self.trace.add(StepFailed(name, task.bound.tool.name, error.code, error.message, error.hint))
        stack = list(task.children)
        while stack:
            child = stack.pop()
            if child in self.errors:
                continue
            bound = self.tasks[child].bound
            skipped = StepError(
                f"it needs '{name}', which failed",
                where=bound.where,
                hint=error.hint,
                code="skipped",
            )
            self.errors[child] = skipped
            self.trace.add(StepFailed(child, bound.tool.name, "skipped", skipped.message, skipped.hint))
            stack.extend(self.tasks[child].children)

    def _look_at_the_clock(self, ready: deque[Task]) -> None:
        """Give up what was cancelled or takes too long."""
        if self.cancel.cancelled:
            self._give_up(
                [*self.running.values(), *ready],
                CancelledError,
                "the run was stopped",
                "nothing was saved; run it again",
            )
            ready.clear()
            return
        if self.deadline is None and self.step_timeout is None:
            return
        now = time.monotonic()
        if self.deadline is not None and now > self.deadline:
            took = f"the run took longer than {self.deadline - self.start:g} s"
            self._give_up(
                [*self.running.values(), *ready], StepTimeoutError, took, "allow more time, or use a smaller picture"
            )
            ready.clear()
        elif self.step_timeout is not None:
            late = [task for task in self.running.values() if now - task.started > (self.step_timeout or 0)]
            took = f"the step took longer than {self.step_timeout:g} s"
            self._give_up(late, StepTimeoutError, took, "allow more time, or use a smaller picture")

    def _give_up(self, tasks: list[Task], kind: type[StepError], message: str, hint: str) -> None:
        for task in tasks:
            name = task.bound.step.id
            task.stopped = True
            if self.running.pop(name, None):
                self.executor.backend.give_up()
            if name not in self.errors:
                self._fail(task, kind(message, where=task.bound.where, hint=hint))

    def _find(self, ref: Ref) -> Any:
        return self.given[ref.step] if ref.step in self.given else self.outputs[ref.step][ref.output]
