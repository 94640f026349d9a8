"""The contract: what every tool promises, checked by running it. `lego tools check` and the tests both use this."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from lego.core.errors import RefusedError
from lego.core.models import Pool
from lego.core.registry import Engine, Tool
from lego.core.signature import Context, Param
from lego.core.values import Image, Mask

SIZES = ((96, 64), (1, 1), (517, 3), (3, 517))  # a small photograph, and the shapes that break careless code
SLOW = 2.0  # seconds after which a tool has to report progress
SEED = 7


def check(tool: Tool[..., Any], pool: Pool | None = None) -> list[str]:
    """Run every engine of a tool that can run here on small pictures; return each broken promise as a sentence.

    Promised: outputs of the declared kinds and sizes; inputs untouched; the same bytes for the same seed; an empty mask
    changes nothing; not one pixel changes outside the mask; odd sizes work; the schema refuses what is out of range;
    alpha is kept; progress is reported by what takes over 2 s. A tool may decline with `RefusedError` at any time.

    Args:
        pool: where the networks of its engines come from; without one, engines with networks are not run.
    """
    faults = [fault for param in tool.params for fault in _schema(param)]
    for engine in tool.engines.values():
        if not engine.lacks(pool):
            with _ready(engine, pool) as whole:
                found = [fault for size in SIZES for fault in _behaviour(tool, whole, size)]
            faults += [f"{engine.name} engine: {fault}" for fault in found]
    return list(dict.fromkeys(faults))


def sample(size: tuple[int, int], seed: int = 0) -> Image:
    """Return a made-up photograph: a gradient, a disc, noise and half-transparent corners."""
    width, height = size
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    base = np.dstack([40 + 160 * x, 60 + 120 * y, 200 - 150 * x])
    base[_disc(size).pixels > 0] = (210, 60, 40)
    pixels = np.clip(base + rng.normal(0, 4, base.shape), 0, 255).astype(np.uint8)
    alpha = np.full((height, width), 255, np.uint8)
    alpha[: height // 8, : width // 8] = 128
    return Image(pixels, alpha)


def _disc(size: tuple[int, int]) -> Mask:
    width, height = size
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return Mask((np.clip((0.5 - np.hypot(x, y)) * 8 + 0.5, 0, 1) * 255).astype(np.uint8))


@contextlib.contextmanager
def _ready(engine: Engine, pool: Pool | None) -> Iterator[Engine]:
    """An engine with its networks in it."""
    held = engine.held(pool)
    if pool is None or not held:
        yield engine
        return
    with pool.use(*held.values()) as nets:
        given = dict(zip(held, nets, strict=True))
        yield replace(engine, function=functools.partial(engine.function, **given))


def _schema(param: Param) -> Iterator[str]:
    """Values just beyond the bounds must be refused."""
    beyond: list[Any] = []
    if param.low is not None:
        beyond.append(param.low - (1 if param.kind == "integer" else 0.01))
    if param.high is not None:
        beyond.append(param.high + (1 if param.kind == "integer" else 0.01))
    if param.kind == "choice":
        beyond.append("none of the choices")
    for value in beyond:
        try:
            param.validate([value] if param.many else value)
        except ValidationError:
            continue
        yield f"the schema of '{param.name}' accepts {value!r}"


def _seconds(tool: Tool[..., Any], engine: Engine, args: dict[str, Any]) -> float:
    """Of one more call: what the first one loads, such as the reader of words, it loads once in a process."""
    start = time.monotonic()
    _call(tool, engine, args, lambda share: None)
    return time.monotonic() - start


def _behaviour(tool: Tool[..., Any], engine: Engine, size: tuple[int, int]) -> Iterator[str]:
    shape = f"{size[0]} x {size[1]}"
    args = _arguments(tool, size, _disc(size))
    before = {name: value.digest for name, value in args.items() if isinstance(value, Image | Mask)}
    reports: list[float] = []
    start = time.monotonic()
    try:
        outputs = _call(tool, engine, args, reports.append)
    except RefusedError:
        return
    except Exception as error:  # anybody's code: whatever it raises is the finding
        yield f"fails on a picture of {shape}: {type(error).__name__}: {error}"
        return
    silent = not (reports or engine.needed)  # one pass of a network cannot report
    if silent and time.monotonic() - start > SLOW and _seconds(tool, engine, args) > SLOW:
        yield f"takes over {SLOW:g} s on a picture of {shape} and reports no progress"
    yield from _kinds(tool, outputs, args, shape)
    fresh = {name: _copy(value).digest for name, value in args.items() if isinstance(value, Image | Mask)}
    if fresh != before:
        yield "writes to its inputs"
    again = _call(tool, engine, args, lambda share: None)
    if tool.deterministic and [_digest(v) for v in again] != [_digest(v) for v in outputs]:
        yield f"gives other bytes for the same seed on a picture of {shape}"
    if tool.scope == "local":
        yield from _locality(tool, engine, args, size)


def _kinds(tool: Tool[..., Any], outputs: tuple[Any, ...], args: dict[str, Any], shape: str) -> Iterator[str]:
    kinds: dict[str, Any] = {
        "image": Image,
        "mask": Mask,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    if len(outputs) != len(tool.outputs):
        yield f"returns {len(outputs)} outputs, not {len(tool.outputs)}"
        return
    image = next((args[p.name] for p in tool.params if p.kind == "image" and not p.many), None)
    for output, value in zip(tool.outputs, outputs, strict=True):
        if not isinstance(value, kinds[output.kind]):
            yield f"output '{output.name}' is {type(value).__name__}, not {output.kind}"
        elif image is not None and tool.scope != "geometric" and isinstance(value, Image):
            if value.size != image.size:
                yield f"changes the size of a picture of {shape} to {value.size}, but is not declared geometric"
            elif image.alpha is not None and tool.params and tool.scope == "local" and value.alpha is None:
                yield "loses the picture's alpha; return image.replace(pixels)"


def _locality(tool: Tool[..., Any], engine: Engine, args: dict[str, Any], size: tuple[int, int]) -> Iterator[str]:
    """Outside the mask nothing may change, and with an empty mask nothing at all."""
    name = next(p.name for p in tool.params if p.kind == "mask" and not p.many)
    source = next((args[p.name] for p in tool.params if p.kind == "image" and not p.many), None)
    if source is None:
        return
    empty = Mask(np.zeros((size[1], size[0]), np.uint8))
    grow = {"grow": 0.0} if tool.param("grow") else {}
    for mask, promise in (
        (args[name], "changes pixels outside the mask"),
        (empty, "changes the picture though the mask is empty"),
    ):
        try:
            outputs = _call(tool, engine, {**args, **grow, name: mask}, lambda share: None)
        except RefusedError:
            continue
        except Exception as error:  # as above
            yield f"fails with an empty mask: {type(error).__name__}: {error}"
            continue
        image = next(value for value in outputs if isinstance(value, Image))
        if image.size == source.size and (image.pixels != source.pixels).any(2)[mask.pixels == 0].any():
            yield promise


def _arguments(tool: Tool[..., Any], size: tuple[int, int], mask: Mask) -> dict[str, Any]:
    """Sample pictures and masks for every reference, defaults where there are any, middling values elsewhere."""
    args: dict[str, Any] = {}
    for number, param in enumerate(tool.params):
        if param.kind in ("image", "mask"):
            value: Any = sample(size, number) if param.kind == "image" else mask
        elif not param.required:
            value = param.default if param.default is None else param.validate(param.default)
            args[param.name] = value
            continue
        else:
            value = _middle(param)
        args[param.name] = [value] if param.many else value
    return args


def _middle(param: Param) -> Any:
    if param.kind in ("number", "integer"):
        middle = ((param.low or 0) + (param.high or 0)) / 2
        return round(middle) if param.kind == "integer" else float(middle)
    if param.kind == "choice":
        return param.choices[0]
    return {"boolean": True, "color": "#2a6fb0", "target": "everything", "ratio": "4:5"}.get(
        param.format or param.kind, "lego"
    )


def _call(
    tool: Tool[..., Any], engine: Engine, args: dict[str, Any], progress: Callable[[float], None]
) -> tuple[Any, ...]:
    extra = {tool.context: Context(SEED, "cpu", progress, engine.tile)} if tool.context else {}
    value = engine.function(**args, **extra)
    return tuple(value) if hasattr(type(value), "_fields") else (value,)


def _copy(value: Image | Mask) -> Image | Mask:
    if isinstance(value, Image):
        return Image(value.pixels, value.alpha)
    return Mask(value.pixels, value.confidence)


def _digest(value: Any) -> str:
    return value.digest if isinstance(value, Image | Mask) else repr(value)
