"""Tools that do not exist: cards to learn from how a tool that was never seen is called.

A card is one line: ``[add_rain] Let it rain over the scene. | mask; amount: number 0..100 % = 50; tone: color = #fff``.
The tool made of it can be offered and planned with; run, it gives the picture back as it is.
"""

from __future__ import annotations

import inspect
import re
from random import Random
from typing import Annotated, Any, Literal

from pydantic import Field

from lego.core import signature
from lego.core.errors import ToolDefinitionError
from lego.core.registry import Tool
from lego.core.signature import Color, Text
from lego.core.values import Image, Mask

CARD = re.compile(r"\[(\w+)\]\s*([^|]+?)\s*(?:\|\s*(.*))?")
PARAM = re.compile(r"(\w+): (number|integer|color|text|choice|boolean)\s*([^=]*?)\s*(?:=\s*(.+))?")
RANGE = re.compile(r"(-?[\d.]+)\.\.(-?[\d.]+)\s*(.*)")


def shuffled(card: str, random: Random) -> str:
    """Return a card with its parameters, and the choices of each, in another order.

    Where each of them always has the same place, places are learned by heart, and cards are not read.
    """
    head, bar, rest = card.partition(" | ")
    params = [_reordered(part.strip(), random) for part in rest.split(";")] if bar else []
    return head + bar + "; ".join(random.sample(params, len(params)))


def _reordered(param: str, random: Random) -> str:
    """A parameter with its choices in another order; the first is the default where none is named."""
    match = PARAM.fullmatch(param)
    if not match or match[2] != "choice":
        return param
    choices = [choice.strip() for choice in match[3].split("|")]
    return f"{match[1]}: choice {'|'.join(random.sample(choices, len(choices)))} = {match[4] or choices[0]}"


def tool_of(card: str) -> Tool[..., Any]:
    """Make the tool that a card describes; it is not registered.

    Raises:
        ToolDefinitionError: this is no card, or it has faults.
    """
    match = CARD.fullmatch(card.strip())
    if not match:
        raise ToolDefinitionError(f"this is no card: {card[:80]}", hint="write [name] Sentence. | parameters")
    name, sentence, rest = match[1], match[2], match[3] or ""
    params = [_param(part.strip(), card) for part in rest.split(";") if part.strip()]
    params.sort(key=lambda p: (p.default is not p.empty, p.name != "mask"))

    def function(*args: Any, **kwargs: Any) -> Any:
        return args[0] if args else kwargs["image"]

    image = inspect.Parameter("image", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Image)
    function.__signature__ = inspect.Signature([image, *params], return_annotation=Image)  # type: ignore[attr-defined]  # read by inspect
    function.__annotations__ = {p.name: p.annotation for p in (image, *params)} | {"return": Image}
    function.__name__ = function.__qualname__ = name
    function.__doc__ = sentence
    found, faults = signature.read(function)
    if faults:
        raise ToolDefinitionError(f"the card of '{name}' has faults: {'; '.join(faults)}", hint="mend the card")
    masked = any(p.kind == "mask" for p in found.params)
    return Tool(function, found, "local" if masked else "global", (), "1", True)


def _param(text: str, card: str) -> inspect.Parameter:
    if text in ("mask", "mask!"):
        return _parameter("mask", Mask, ...) if text == "mask!" else _parameter("mask", Mask | None, None)
    match = PARAM.fullmatch(text)
    if not match:
        raise ToolDefinitionError(f"this is no parameter: '{text}'", where=card[:60], hint="name: kind range = default")
    name, kind, detail, default = match[1], match[2], match[3].strip(), (match[4] or "").strip()
    if kind in ("number", "integer"):
        limits = RANGE.fullmatch(detail)
        if not limits:
            raise ToolDefinitionError(f"'{name}' has no range", where=card[:60], hint="write number 0..100 % = 50")
        base: Any = float if kind == "number" else int
        extra = {"unit": limits[3].strip()} if limits[3].strip() else None
        bounds = Field(ge=base(limits[1]), le=base(limits[2]), json_schema_extra=extra)
        return _parameter(name, Annotated[base, bounds], base(default) if default else ...)
    if kind == "choice":
        choices = tuple(choice.strip() for choice in detail.split("|"))
        return _parameter(name, Literal[choices], default or choices[0])
    if kind == "boolean":
        return _parameter(name, bool, default == "true")
    if kind == "color":
        return _parameter(name, Color, default or ...)
    return _parameter(name, Text, default.strip("\"'") if default else ...)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    value = inspect.Parameter.empty if default is ... else default
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation, default=value)
