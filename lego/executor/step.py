"""One step: its key, its seed, its call, and the checks on what comes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lego.core.errors import ImageError, LegoError, StepError
from lego.core.memory import is_out_of_memory
from lego.core.networks import Place
from lego.core.registry import Engine, Tool
from lego.core.signature import Context
from lego.core.steps import Ref
from lego.core.values import Image, Mask
from lego.core.workflow import Bound

Outputs = Mapping[str, Any]
TYPES = {"image": Image, "mask": Mask, "string": str, "integer": int, "number": (int, float), "boolean": bool}
PARTS = (Ref, list)  # of arguments, that are replaced
EMPTY = "the mask is empty, so nothing was changed"


def head_of(tool: Tool[..., Any], engine: Engine, places: Sequence[Place]) -> str:
    """What the keys of all steps of a tool begin with: its version, the engine with its code, its networks' places."""
    networks = [[place.weights, place.device, place.precision] for place in places]
    return _text([tool.name, tool.version, engine.name, engine.version, engine.code, networks])


def key_of(bound: Bound, head: str, seed: int, keys: Mapping[str, str], given: Mapping[str, str]) -> tuple[str, int]:
    """Return the content key of a step and the seed of its own.

    The key covers what its tool is (``head``, from `head_of`), the arguments by content, and the seed if the tool takes
    one; a reference counts by the key of its parent. Two steps that would do the same share a key.
    """
    own = _digest(head + _text([_part(value, keys, given) for value in bound.args.values()]))
    if not bound.tool.context:
        return own, 0
    own_seed = int(_digest(f"{seed} {own}")[:8], 16)
    return _digest(f"{own} {own_seed}"), own_seed


def call(bound: Bound, engine: Engine, args: dict[str, Any], context: Context) -> Outputs:
    """Run one step and return its outputs by name.

    Whatever the tool raises leaves as a `StepError` that names the step; what it returns is checked for kind and
    size; pixels outside the mask of a local tool are the input's own, bit for bit.
    """
    tool = bound.tool
    try:
        unchanged = _before(tool, args)
        if unchanged is not None:
            return unchanged
        if tool.context:
            args = {**args, tool.context: context}
        return _after(tool, args, _named(tool, engine.function(**args)))
    except StepError as error:
        error.where = error.where or bound.where
        raise
    except LegoError as error:
        raise StepError(str(error), where=bound.where, hint=error.hint, code=error.code, **error.details) from error
    except Exception as error:  # the boundary: a tool is anybody's code
        if is_out_of_memory(error):  # its traceback would keep alive what filled the memory
            hint = "use a smaller picture, or close other programs"
            raise StepError("out of memory", where=bound.where, hint=hint, code="out_of_memory") from None
        fault = f"{type(error).__name__}: {error}"
        hint = "change its arguments, or report this to the tool's author"
        raise StepError(fault, where=bound.where, hint=hint) from error


def _before(tool: Tool[..., Any], args: Mapping[str, Any]) -> Outputs | None:
    """Refuse a mask that does not fit; with an empty one, return the picture as it is if that is all there is."""
    if tool.scope != "local":
        return None
    image, mask = args.get(tool.image), args.get(tool.mask)
    if image is None or mask is None:
        return None
    if mask.size != image.size:
        raise ImageError(
            f"the mask is {mask.size[0]} x {mask.size[1]}, the picture {image.size[0]} x {image.size[1]}",
            hint="make the mask as large as the picture",
            code="size_mismatch",
        )
    if mask.box is None and [o.kind for o in tool.outputs] == ["image"]:
        return {tool.outputs[0].name: Image(image.pixels, image.alpha, (EMPTY,), deep=image.deep)}
    return None


def _named(tool: Tool[..., Any], value: Any) -> dict[str, Any]:
    if len(tool.outputs) == 1 and not hasattr(type(value), "_fields"):
        return {tool.outputs[0].name: value}
    names = getattr(type(value), "_fields", ())
    if names != tuple(o.name for o in tool.outputs):
        wanted = ", ".join(o.name for o in tool.outputs)
        raise StepError(f"the tool returned {type(value).__name__}, not its outputs {wanted}", code="bad_output")
    return dict(zip(names, value, strict=True))


def _after(tool: Tool[..., Any], args: Mapping[str, Any], outputs: dict[str, Any]) -> Outputs:
    for output in tool.outputs:
        value = outputs[output.name]
        fits = isinstance(value, TYPES[output.kind])  # type: ignore[arg-type]  # the table holds types and tuples of types
        if not fits or (isinstance(value, bool) and output.kind != "boolean"):
            raise StepError(f"output '{output.name}' is {type(value).__name__}, not {output.kind}", code="bad_output")
    image = args.get(tool.image)
    made = next((o.name for o in tool.outputs if o.kind == "image"), None)
    if tool.scope == "geometric" or image is None or made is None:
        return outputs
    if outputs[made].size != image.size:
        message = f"the tool changed the size from {image.size} to {outputs[made].size}"
        raise StepError(message, hint='declare it with @lego.tool(scope="geometric")', code="bad_output")
    mask = args.get(tool.mask) if tool.scope == "local" else None
    if mask is not None and tool.param("grow") is None:
        outputs[made] = _outside_untouched(image, outputs[made], mask)
    return outputs


def _outside_untouched(before: Image, after: Image, mask: Mask) -> Image:
    """Put the input's own pixels back wherever the mask is 0, if the tool touched any."""
    outside = mask.pixels == 0
    if not (before.pixels != after.pixels).any(2)[outside].any():
        return after
    pixels = np.where(outside[..., None], before.pixels, after.pixels)
    return Image(pixels, after.alpha, (*after.notes, "the tool changed pixels outside the mask; they were put back"))


def resolved(args: Mapping[str, Any], find: Callable[[Ref], Any]) -> dict[str, Any]:
    """Return arguments with references, also those in lists, replaced by their values."""
    return {key: _resolve(value, find) if isinstance(value, PARTS) else value for key, value in args.items()}


def _resolve(value: Ref | list[Any], find: Callable[[Ref], Any]) -> Any:
    if isinstance(value, Ref):
        return find(value)
    return [_resolve(item, find) if isinstance(item, PARTS) else item for item in value]


def _part(value: Any, keys: Mapping[str, str], given: Mapping[str, str]) -> Any:
    if isinstance(value, Ref):
        return ["given", given[value.step]] if value.step in given else ["step", keys[value.step], value.output]
    return ["list", *(_part(item, keys, given) for item in value)] if isinstance(value, list) else ["is", value]


_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
