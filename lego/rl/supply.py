"""The supply of tasks: endless and seeded, from phrasings or from a data set, beginning anywhere.

It comes in windows of a fixed number of tasks that depend on nothing but the seed and the window's number. A run that
goes on after a stop begins at its window, and nothing is lost or seen twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar

from lego.builder.base import Request
from lego.builder.prompt import Form
from lego.core.errors import PlanError, RecordError, WorkflowError
from lego.core.registry import Registry
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.rl import instructions, records
from lego.rl.instructions import Level
from lego.rl.phrasings import Split
from lego.rl.reasoning import intelligent
from lego.rl.recipe import INSTRUCTIONS, Data

APART = 1_000_003  # between the seeds of two runs: windows of one never meet those of another
T = TypeVar("T")
AHEAD = 512  # records that are shuffled among each other


class Task(Protocol):
    """A request, the plan that it asks for (None: it is to be declined), and its language."""

    @property
    def request(self) -> Request: ...
    @property
    def workflow(self) -> Workflow | None: ...
    @property
    def language(self) -> str: ...


@dataclass(frozen=True)
class Known:
    """A task made of a record: it may know the picture that should come out, and may know no plan."""

    request: Request
    workflow: Workflow | None
    language: str
    target: Image | None = None
    mask: Mask | None = None
    open: bool = False  # no plan is known; with False, no plan means that it is to be declined
    thought: str = ""  # of the record's provenance: a trace of reasoning that leads to the plan


@dataclass(frozen=True)
class Example:
    """A task as a checkpoint meets it: the user's message and the answer."""

    task: Task
    prompt: str
    answer: str


def tasks(data: Data, registry: Registry, window: int = 0, size: int = 256) -> Iterator[Task]:
    """Yield tasks without end, from a window on; the same arguments give the same ones.

    Args:
        size: of a window.

    Raises:
        RecordError: the data set cannot be read, or is empty.
    """
    return drawn(data, registry, lambda task: task, window, size)


def _level(data: Data, done: int) -> Level:
    """What tasks are like after so many."""
    return "plain" if done < data.plain else "words" if done < data.plain + data.words else data.level


def examples(data: Data, registry: Registry, form: Form, window: int = 0, size: int = 256) -> Iterator[Example]:
    """Yield tasks with what a checkpoint reads and should answer; tasks that its form has no words for are left out.

    A window has ``size`` examples. Arguments and errors as in `tasks`.
    """
    return drawn(data, registry, lambda task: _example(task, form), window, size)


def drawn(
    data: Data, registry: Registry, accept: Callable[[Task], T | None], window: int = 0, size: int = 256
) -> Iterator[T]:
    """Yield what ``accept`` makes of the tasks, ``size`` a window; those that it makes None of are passed over.

    Raises:
        RecordError: as in `tasks`, or nothing in the data set is accepted.
    """
    if data.source != INSTRUCTIONS:
        yield from itertools.islice(_of_records(data, registry, accept), window * size, None)
    for number in itertools.count(window):
        seed, level = data.seed * APART + number, _level(data, number * size)
        made: Iterator[Task] = instructions.tasks(registry, data.split, seed, data.unseen_words, level)
        if level not in ("plain", "words"):  # those are read without their pictures
            split: Split = "train" if data.split == "few" else data.split
            placed = instructions.tasks(registry, data.split, seed, data.unseen_words, "placed")
            made = _mixed(made, placed, data.places, seed)
            made = _mixed(made, intelligent.tasks(registry, split, seed), data.riddles, seed)
        yield from itertools.islice(_accepted(made, accept), size)


def _mixed(tasks: Iterator[Task], others: Iterator[Task], share: float, seed: int) -> Iterator[Task]:
    """Tasks of two sources, a share of them from the second."""
    if not share:
        return tasks
    random = Random(f"mixed {seed}")
    return (next(others if random.random() < share else tasks) for _ in itertools.count())


def sorted_by_length(source: Iterator[Example], batch: int, bucket: int, seed: int) -> Iterator[Example]:
    """Yield the examples so that batches are of like lengths: windows of ``bucket`` batches in random order."""
    for number in itertools.count():
        window = sorted(itertools.islice(source, batch * bucket), key=lambda e: len(e.prompt) + len(e.answer))
        batches = [window[n : n + batch] for n in range(0, len(window), batch)]
        Random(f"{seed} {number}").shuffle(batches)
        yield from itertools.chain(*batches)
        if len(window) < batch * bucket:
            return


def stream(rows: Callable[[], Iterator[dict[str, Any]]]) -> Any:
    """Return a `datasets.IterableDataset` of what a function yields, objects untouched.

    The usual constructor would pickle the function to name the data set by its content; this one has a fixed name.
    """
    from datasets.io.generator import GeneratorDatasetInputStream

    return GeneratorDatasetInputStream(generator=rows, streaming=True, fingerprint="lego").read()


def _accepted(source: Iterable[Task], accept: Callable[[Task], T | None]) -> Iterator[T]:
    return (found for found in map(accept, source) if found is not None)


def _example(task: Task, form: Form) -> Example | None:
    if getattr(task, "open", False):
        return None  # nobody knows the plan
    try:
        answer = form.write(task.workflow, task.request, getattr(task, "thought", ""))
        prompt = form.prompt(task.request)
    except (PlanError, WorkflowError):
        return None
    return Example(task, prompt, answer)


def _of_records(data: Data, registry: Registry, accept: Callable[[Task], T | None]) -> Iterator[T]:
    for epoch in itertools.count():
        random = Random(f"{data.seed} {epoch}")
        source = records.read(Path(data.source))
        count = 0
        while chunk := list(itertools.islice(source, AHEAD)):
            random.shuffle(chunk)
            for found in _accepted((known(record, registry) for record in chunk), accept):
                count += 1
                yield found
        if not count:
            hint = "write some first, with plans of tools that are on offer"
            raise RecordError("there are no examples in it that can be used", where=data.source, hint=hint)


def known(record: records.Record, registry: Registry) -> Known:
    """Make a task of a record.

    Raises:
        RecordError: it offers a tool that is not registered.
    """
    missing = [name for name in record.tools if name not in registry]
    if missing:
        hint = "register it before the training: `--tools` takes a file"
        raise RecordError(f"there is no tool '{missing[0]}'", where=record.instruction[:60], hint=hint)
    tools = tuple(registry[name] for name in record.tools) or tuple(registry)
    values: dict[str, Image | Mask] = {"image": record.image}
    if record.mask and record.workflow and "$mask" in record.workflow.json():
        values["mask"] = record.mask
    given = tuple(name for name in values if name != "image")
    request = Request(record.image, record.instruction, tools, given, values)
    thought = str(record.provenance.get("thought", ""))
    return Known(
        request, record.workflow, record.language, record.target, record.mask, record.workflow is None, thought
    )
