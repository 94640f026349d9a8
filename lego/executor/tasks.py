"""What a run is made of before it starts: every step with its engine, its key and its seed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from lego.core.errors import StepError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.registry import Engine
from lego.core.values import Image, Mask
from lego.core.workflow import Bound
from lego.executor.step import head_of, key_of


@dataclass(slots=True)
class Task:
    """A step on its way: what it is, which engine, its key, since when it runs, and if it is to stop."""

    bound: Bound
    engine: Engine
    reason: str
    key: str
    seed: int
    device: str
    waits: int = 0
    children: list[str] = field(default_factory=list)
    started: float = 0.0
    progress: float = 0.0
    stopped: bool = False


def tasks_of(bound: list[Bound], given: Mapping[str, Image | Mask], seed: int, pool: Pool | None) -> dict[str, Task]:
    """Return the steps of a run by name, in order; ``seed`` is the run's.

    Raises:
        StepError: a tool has no engine that can run here.
    """
    digests = {name: value.digest for name, value in given.items()}
    keys: dict[str, str] = {}
    tasks = {}
    ways: dict[str, tuple[Engine, str, str, str]] = {}
    for item in bound:
        if item.tool.name not in ways:
            ways[item.tool.name] = _way(item, pool)
        engine, reason, device, head = ways[item.tool.name]
        key, own_seed = key_of(item, head, seed, keys, digests)
        if not item.tool.deterministic:
            key = f"{key}-{uuid.uuid4().hex}"  # its children must not be served results of another run
        keys[item.step.id] = key
        tasks[item.step.id] = Task(item, engine, reason, key, own_seed, device)
    return tasks


def _way(item: Bound, pool: Pool | None) -> tuple[Engine, str, str, str]:
    """The engine of a step's tool, the reason for it, its device, and what the keys of its steps begin with."""
    try:
        engine, reason = item.tool.choose(pool)
    except StepError as error:
        error.where = item.where
        raise
    places = engine.places(pool)
    return engine, reason, next((place.device for place in places), CPU), head_of(item.tool, engine, places)
