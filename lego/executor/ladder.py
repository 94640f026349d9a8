"""The ladder: what is tried, one after another, when a step with networks runs out of memory.

Free what is idle and try again; smaller tiles, if the engine takes them; the processor; another engine of the tool.
Each rung leaves its reason. Pixels that come from a lower rung are not those of the engine that was chosen, so the
caller does not cache them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lego.core.errors import StepError
from lego.core.memory import CPU, is_out_of_memory
from lego.core.models import Pool
from lego.core.registry import Engine
from lego.core.signature import Context
from lego.core.workflow import Bound
from lego.executor.step import Outputs, call

HALF = 2  # tiles are made smaller by it


@dataclass(slots=True)
class Climbed:
    """What a step gave, and what had to be done for it.

    Attributes:
        reasons: of the rungs that were needed, in order.
        other: the pixels may differ from those of the engine as it was chosen.
        cached: somebody else had made it, and nothing was done.
    """

    outputs: Outputs
    reasons: list[str] = field(default_factory=list)
    other: bool = False
    cached: bool = False


@dataclass(frozen=True)
class _Rung:
    engine: Engine
    context: Context
    device: str | None
    reason: str
    other: bool


def climb(
    bound: Bound,
    engine: Engine,
    args: dict[str, Any],
    context: Context,
    pool: Pool | None,
    stop: Callable[[], None] = lambda: None,
) -> Climbed:
    """Run a step, with its networks if it has any; where memory runs out, go down the ladder.

    Raises:
        StepError: as `step.call`; code ``out_of_memory`` if no rung helped, with all of them in the message.
    """
    if pool is None or not engine.held(pool):
        return Climbed(call(bound, engine, args, context))
    told: list[str] = []
    changed = False
    for rung in _rungs(bound, engine, context, pool):
        if rung.reason:
            pool.unload()
            told.append(rung.reason)
            changed |= rung.other
        try:
            return Climbed(_once(bound, rung, args, pool, stop), told, changed)
        except Exception as error:
            if getattr(error, "code", "") != "out_of_memory" and not is_out_of_memory(error):
                raise
        # outside of the handler nothing holds the failed call's tensors any more
    where = bound.where
    hint = "use a smaller picture, close other programs, or set a smaller budget (`lego doctor` shows it)"
    raise StepError(f"out of memory, also after: {'; '.join(told)}", where=where, hint=hint, code="out_of_memory")


def _rungs(bound: Bound, engine: Engine, context: Context, pool: Pool) -> Iterator[_Rung]:
    yield _Rung(engine, context, None, "", False)
    yield _Rung(engine, context, None, "memory ran out: idle networks were let go", False)
    tile = engine.tile
    while tile and tile > engine.least_tile:
        tile //= HALF
        yield _Rung(engine, replace(context, tile=tile), None, f"memory ran out: tiles of {tile} px", True)
    if any(place.device != CPU for place in engine.places(pool)):
        slow = replace(context, device=CPU, tile=tile)
        yield _Rung(engine, slow, CPU, "memory ran out: on the processor", True)
    names = list(bound.tool.engines)
    for name in reversed(names[: names.index(engine.name)]):
        other = bound.tool.engines[name]
        if not other.lacks(pool):
            yield _Rung(other, replace(context, tile=other.tile), None, f"memory ran out: engine '{name}'", True)


def _once(bound: Bound, rung: _Rung, args: dict[str, Any], pool: Pool, stop: Callable[[], None]) -> Outputs:
    networks = rung.engine.held(pool)
    if not networks:
        return call(bound, rung.engine, args, rung.context)
    with pool.use(*networks.values(), device=rung.device, stop=stop) as nets:
        return call(bound, rung.engine, {**args, **dict(zip(networks, nets, strict=True))}, rung.context)
