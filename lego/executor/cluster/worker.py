"""A worker: an actor that does one step at a time, with networks of its own under the budget of its trade."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lego.core.errors import CancelledError, LegoError, StepError
from lego.core.memory import CPU, measured
from lego.core.models import Pool, shelf
from lego.core.signature import Context
from lego.core.steps import Step
from lego.core.values import Image, Mask
from lego.core.workflow import Bound
from lego.executor.cache import Cache
from lego.executor.cluster.freight import Name, unwrap
from lego.executor.cluster.parcels import Facts, pack, unpack
from lego.executor.ladder import climb

PATIENCE = 120.0  # seconds that pixels may take to come from another node; then they count as lost


@dataclass(frozen=True)
class Slot:
    """Stands in an argument for the value that ``refs[index]`` of a job gives."""

    index: int


@dataclass(frozen=True)
class Job:
    """A step on its way to a worker.

    Attributes:
        tool: by name or by value, see `freight`; ``ref`` to it if it is large.
        args: with a `Slot` for each value that ``refs`` give.
        pictures: names of the outputs that have pixels, in order.
        near: bytes of ``refs`` by node.
        stored: may the outputs be shared with other runs?
    """

    key: str
    step: str
    tool: Name | bytes
    engine: str
    args: Mapping[str, Any]
    refs: list[Any]
    pictures: tuple[str, ...]
    seed: int
    device: str
    tile: int
    near: Mapping[str, int]
    stored: bool


@dataclass
class Report:
    """What a worker says of a job, beside the pixels.

    Attributes:
        facts: by output; empty if it failed.
        error: of the step.
        lost: which of its ``refs`` no node holds any more.
        other: as in `ladder.Climbed`.
    """

    facts: dict[str, Facts] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    other: bool = False
    seconds: float = 0.0
    error: LegoError | None = None
    lost: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Terms:
    """What all workers of a cluster have in common, as in `Settings`."""

    models: Path
    folder: Path | None = None
    disk_bytes: int = 0


class Worker:
    """Does the steps of one crew.

    Args:
        terms: where weights are, and a folder that all nodes share, if there is one.
        memory, accelerator: bytes that networks may take; 0 as `memory.measured` says.
    """

    def __init__(self, terms: Terms, memory: int, accelerator: int) -> None:
        self.pool = Pool(shelf(terms.models), partial(_budgets, memory, accelerator))
        self.disk = Cache(0, terms.folder, terms.disk_bytes)
        self._guard = threading.Lock()
        self._shares: dict[str, float] = {}  # by ticket, while it runs
        self._stopped: set[str] = set()

    def node(self) -> str:
        """Say where it is, once it is ready."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def do(self, ticket: str, job: Job) -> Any:
        """Do a step; return a report and the packed value of each output with pixels.

        Nothing that a tool raises leaves it: the faults that do are those of the machinery.
        """
        start = time.monotonic()
        self._shares[ticket] = 0.0
        report, values = self._done(ticket, job)
        report.seconds = time.monotonic() - start
        with self._guard:
            self._shares.pop(ticket, None)
            self._stopped.discard(ticket)
        packed = [pack(values[name]) if name in values else None for name in job.pictures]
        return (report, *packed) if packed else report

    def hear(self, ticket: str, stop: bool) -> float | None:
        """Say how far a step is, and stop it if asked; None if it is not here."""
        with self._guard:
            if stop and ticket in self._shares:
                self._stopped.add(ticket)
            return self._shares.get(ticket)

    def rest(self) -> None:
        """Return when nothing is being done: calls wait for those before them."""

    def _done(self, ticket: str, job: Job) -> tuple[Report, Mapping[str, Any]]:
        values: list[Image | Mask] = []
        lost = []
        for index, ref in enumerate(job.refs):
            found = _got(ref)
            if found is None:
                lost.append(index)
            else:
                values.append(unpack(found))
        if lost:
            return Report(lost=lost), {}
        report, outputs = Report(), self.disk.get(job.key)
        try:
            if outputs is None:
                outputs = self._made(ticket, job, values, report)
        except LegoError as error:
            return Report(error=error), {}
        except Exception as error:  # the boundary, as in the executor
            return Report(error=StepError(f"{type(error).__name__}: {error}", where=f"{job.step} ({job.engine})")), {}
        report.facts = {name: Facts.of(value) for name, value in outputs.items()}
        return report, {name: outputs[name] for name in job.pictures}

    def _made(self, ticket: str, job: Job, values: list[Image | Mask], report: Report) -> Mapping[str, Any]:
        tool, engine = unwrap(job.tool, job.engine)
        args = {name: _filled(value, values) for name, value in job.args.items()}
        bound = Bound(Step(job.step, tool.name, {}), tool, args, ())

        def stop() -> None:
            if ticket in self._stopped:
                raise CancelledError("the run was stopped", where=f"{job.step} ({tool.name})")

        def progress(share: float) -> None:
            stop()
            self._shares[ticket] = share

        start = time.monotonic()
        context = Context(job.seed, job.device, progress, job.tile)
        made = climb(bound, engine, args, context, self.pool, stop)
        stop()
        report.reasons, report.other = made.reasons, made.other
        if job.stored and not made.other:
            self.disk.put(job.key, made.outputs, time.monotonic() - start)
        return made.outputs


def _budgets(memory: int, accelerator: int) -> Mapping[str, int]:
    """What this worker may take; of an accelerator nothing, unless it was given a share."""
    found = measured(memory, accelerator)
    return found if accelerator else {CPU: found[CPU]}


def _filled(value: Any, values: list[Image | Mask]) -> Any:
    if isinstance(value, Slot):
        return values[value.index]
    return [_filled(item, values) for item in value] if isinstance(value, list) else value


def _got(ref: Any) -> Any:
    """The packed value behind a reference; None if it is lost."""
    import ray

    try:
        return ray.get(ref, timeout=PATIENCE)
    except (ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
        return None
