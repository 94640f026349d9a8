"""From a function's signature to the parameters and outputs of a tool, with every fault at once."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

from PIL import ImageColor
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from lego.core.networks import Network
from lego.core.values import Image, Mask

STEP = 0.01  # step of a number that names none: fine enough for every slider, and decoding stays finite
MAX_TEXT = 200  # characters of a string that names no limit
MAX_ITEMS = 16  # items of a list that names no limit
THOUSANDTHS = "‰"  # the unit of boxes and points: of the picture's width, or of its height
MAX_SENTENCE = 200  # the first sentence is the tool's prompt to the builder; longer ones are never read

KINDS: dict[Any, str] = {Image: "image", Mask: "mask", str: "string", int: "integer", float: "number", bool: "boolean"}
REFERABLE = ("image", "mask")  # kinds that only a reference can give


@dataclass(frozen=True)
class Context:
    """What a tool may know about the run; a parameter with this type is filled in by the executor.

    Attributes:
        seed: the step's own seed, derived from the run's.
        device: where networks run: "cpu", "cuda", "mps".
        progress: report the share done, 0..1; cancelling and time-outs take hold here.
        tile: longest side in pixels that an engine is to work on at once; 0 leaves it to the engine.
    """

    seed: int = 0
    device: str = "cpu"
    progress: Callable[[float], None] = field(default=lambda share: None)
    tile: int = 0


def _color(text: str) -> str:
    try:
        red, green, blue = ImageColor.getrgb(text.strip().lower())[:3]
    except ValueError:
        raise ValueError("not a colour; write #RRGGBB or an English colour name such as 'teal'") from None
    return f"#{red:02x}{green:02x}{blue:02x}"


Color: TypeAlias = Annotated[str, Field(max_length=32, json_schema_extra={"format": "color"}), AfterValidator(_color)]
"""A colour: ``#RRGGBB`` or a CSS name; tools receive ``#rrggbb``."""

Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT, json_schema_extra={"format": "text"})]
"""Words to be shown as they are, never translated."""

Target: TypeAlias = Annotated[str, Field(max_length=80, json_schema_extra={"format": "target"})]
"""Words that name a thing in the picture: 'the red car on the left'."""


Share: TypeAlias = Annotated[float, Field(ge=0, le=1, description="0 leaves the picture, 1 is the full effect")]
"""How much of an effect."""

Coordinate: TypeAlias = Annotated[int, Field(ge=0, le=1000, json_schema_extra={"unit": THOUSANDTHS})]
"""In thousandths: of the height if its name begins with top, bottom or y, else of the width; in a list by turns."""

Percent: TypeAlias = Annotated[float, Field(ge=-100, le=100, json_schema_extra={"unit": "%"})]
"""An effect and its opposite."""

Thing: TypeAlias = Annotated[Mask, Field(json_schema_extra={"format": "thing"})]
"""A mask of one thing: a box that a user draws round it is tightened to its outline first."""

Area: TypeAlias = Annotated[Mask, Field(json_schema_extra={"format": "area"})]
"""A mask of which all is meant, even if it is a mere box."""


@dataclass(frozen=True)
class Param:
    """One parameter of a tool.

    Attributes:
        kind: "image", "mask", "string", "integer", "number", "boolean" or "choice"; of the items if ``many``.
        many: it takes a list.
        optional: None is allowed.
        required: there is no default.
        low, high, step, unit: bounds, step and unit of a number, None or "" if there is none.
        format: "color", "text", "target" or "" for strings; "thing", "area" or "" for masks.
    """

    name: str
    kind: str
    annotation: Any
    many: bool = False
    optional: bool = False
    required: bool = True
    default: Any = None
    description: str = ""
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    unit: str = ""
    format: str = ""

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The validator of a literal value (made when first used)."""
        return TypeAdapter(self.annotation)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema; images and masks are references to earlier steps."""
        if self.kind in REFERABLE:
            one: dict[str, Any] = {"type": "string", "pattern": r"^\$\w+(\.\w+)?$", "x-kind": self.kind}
            schema: dict[str, Any] = {"type": "array", "items": one, "maxItems": MAX_ITEMS} if self.many else one
            schema = {"anyOf": [schema, {"type": "null"}]} if self.optional else schema
        else:
            schema = self.adapter.json_schema()
            _complete(schema)
        if self.description:
            schema["description"] = self.description
        if not self.required:
            schema["default"] = self.default
        return schema

    def validate(self, value: Any) -> Any:
        """Return the literal in its canonical form (1 becomes 1.0 for a number); raises pydantic's ValidationError."""
        return self.adapter.validate_python(value, strict=True)

    def __str__(self) -> str:
        inner = {"image": "Image", "mask": "Mask", "choice": " | ".join(repr(c) for c in self.choices)}.get(
            self.kind, self.kind
        )
        if self.low is not None or self.high is not None:
            inner += f" {_short(self.low)}..{_short(self.high)}"
        if self.unit:
            inner += f" {self.unit}"
        if self.format and self.kind not in REFERABLE:
            inner = self.format
        inner = f"list of {inner}" if self.many else inner
        tail = "" if self.required else f" = {self.default!r}"
        return f"{self.name}: {inner}{tail}"


@dataclass(frozen=True)
class Output:
    """One named output of a tool; ``kind`` as in `Param`."""

    name: str
    kind: str


@dataclass(frozen=True)
class Signature:
    """What `read` found in a function.

    Attributes:
        context: the parameter that gets a `Context`, None if there is none.
        networks: what the pool hands in, by parameter.
        spare: those of them that have a default, and are done without where their weights are missing.
    """

    sentence: str
    doc: str
    params: tuple[Param, ...]
    outputs: tuple[Output, ...]
    context: str | None
    line: int
    networks: Mapping[str, Network] = field(default_factory=dict)
    spare: frozenset[str] = frozenset()

    def first(self, kind: str) -> str:
        """The name of the first parameter that takes one value of a kind, or ""."""
        return next((p.name for p in self.params if p.kind == kind and not p.many), "")


def read(function: Callable[..., Any]) -> tuple[Signature, list[str]]:
    """Read a function's signature and docstring; return it with all its faults as ``line: sentence``."""
    faults: list[str] = []
    lines = _lines(function)
    line = function.__code__.co_firstlineno
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # a name in an annotation may raise anything
        return Signature("", "", (), (), None, line), [f"{line}: the annotations cannot be read: {error}"]
    params, context = [], None
    networks: dict[str, Network] = {}
    spare: set[str] = set()
    for parameter in inspect.signature(function).parameters.values():
        at = lines.get(parameter.name, line)
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            faults.append(f"{at}: '{parameter}' cannot be named in a workflow; give each parameter a name of its own")
        elif hints.get(parameter.name) is Context:
            context = parameter.name
        elif network := _network(hints.get(parameter.name)):
            networks[parameter.name] = network
            spare |= {parameter.name} if parameter.default is not parameter.empty else set()
        elif parameter.name not in hints:
            faults.append(f"{at}: parameter '{parameter.name}' has no type; allowed: {_allowed()}")
        else:
            param, found = _param(parameter, hints[parameter.name])
            params.append(param)
            faults.extend(f"{at}: parameter '{parameter.name}' {fault}" for fault in found)
    outputs, found = _outputs(hints.get("return"))
    sentence, doc, more = _docstring(function)
    faults.extend(f"{line}: {fault}" for fault in found + more)
    return Signature(sentence, doc, tuple(params), outputs, context, line, networks, frozenset(spare)), faults


def _network(hint: Any) -> Network | None:
    """The network that ``Annotated[Any, NETWORK]`` declares."""
    found = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((item for item in found if isinstance(item, Network)), None)


def _param(parameter: inspect.Parameter, hint: Any) -> tuple[Param, list[str]]:
    facts = _unwrap(hint)
    required = parameter.default is parameter.empty
    base = facts["base"]
    choices = get_args(base) if get_origin(base) is Literal else ()
    kind = "choice" if choices else KINDS.get(base, "")
    free = kind == "string" and not facts["limited"] and not facts["many"]
    annotation = Annotated[hint, Field(max_length=MAX_TEXT)] if free else hint
    param = Param(
        parameter.name, kind, annotation, facts["many"], facts["optional"], required,
        None if required else parameter.default, facts["description"], choices,
        facts["low"], facts["high"], facts["step"], facts["unit"], facts["format"],
    )  # fmt: skip
    if not kind:
        return param, [f"has the type {_name(hint)}; allowed: {_allowed()}"]
    faults = []
    if kind in ("number", "integer") and (param.low is None or param.high is None):
        faults.append("is a number without bounds; write Annotated[float, Field(ge=..., le=...)]")
    if not required and kind in REFERABLE and parameter.default is not None:
        faults.append("can only have None as default, because pictures come from earlier steps")
    if not required and kind not in REFERABLE and not faults:
        try:
            param.validate(parameter.default)
        except ValidationError as error:
            faults.append(f"has the default {parameter.default!r}, which it refuses: {error.errors()[0]['msg']}")
    return param, faults


def _unwrap(hint: Any) -> dict[str, Any]:
    """Peel Annotated, Optional and list from a type and gather what the Fields say."""
    facts: dict[str, Any] = dict.fromkeys(("low", "high", "step"), None)
    facts |= {"many": False, "optional": False, "description": "", "unit": "", "format": "", "limited": False}
    while True:
        origin = get_origin(hint)
        if origin is Annotated:
            hint, *metadata = get_args(hint)
            for item in metadata:
                if isinstance(item, FieldInfo):
                    _gather(item, facts)
        elif origin in (typing.Union, types.UnionType) and type(None) in get_args(hint) and len(get_args(hint)) == 2:
            facts["optional"] = True
            hint = next(a for a in get_args(hint) if a is not type(None))
        elif origin is list and not facts["many"]:
            facts["many"], facts["limited"] = True, False
            hint = get_args(hint)[0]
        else:
            facts["base"] = hint
            return facts


def _gather(info: FieldInfo, facts: dict[str, Any]) -> None:
    facts["description"] = facts["description"] or info.description or ""
    for item in info.metadata:
        for key, name in (("low", "ge"), ("high", "le"), ("step", "multiple_of")):
            facts[key] = getattr(item, name, None) if facts[key] is None else facts[key]
        facts["limited"] |= getattr(item, "max_length", None) is not None
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    for key in ("unit", "format"):
        facts[key] = facts[key] or str(extra.get(key, ""))


def _outputs(hint: Any) -> tuple[tuple[Output, ...], list[str]]:
    if hint is None or hint is type(None):
        return (), ["it has no return type; write -> Image, -> Mask, or a NamedTuple of these, str, int, float, bool"]
    if hint in KINDS:
        kind = KINDS[hint]
        return (Output({"string": "text", "integer": "number", "boolean": "flag"}.get(kind, kind), kind),), []
    fields = getattr(hint, "_fields", None)
    if fields is None:
        return (), [f"it returns {_name(hint)}; allowed: Image, Mask, str, int, float, bool, or a NamedTuple of these"]
    hints = typing.get_type_hints(hint)
    wrong = [name for name in fields if hints[name] not in KINDS]
    faults = [
        f"its output '{name}' has the type {_name(hints[name])}; allowed: Image, Mask, str, int, float, bool"
        for name in wrong
    ]
    return tuple(Output(name, KINDS.get(hints[name], "")) for name in fields), faults


def _docstring(function: Callable[..., Any]) -> tuple[str, str, list[str]]:
    doc = inspect.getdoc(function) or ""
    first = re.split(r"\n\s*\n", doc, maxsplit=1)[0].replace("\n", " ")
    sentence = re.split(r"(?<=[.!。])\s", first, maxsplit=1)[0].strip()
    if not sentence:
        return "", doc, ["it has no docstring; its first sentence tells the builder what the tool does"]
    if len(sentence) > MAX_SENTENCE:
        return (
            sentence,
            doc,
            [f"the first sentence of its docstring has {len(sentence)} characters; at most {MAX_SENTENCE}"],
        )
    return sentence, doc, []


def _lines(function: Callable[..., Any]) -> dict[str, int]:
    """Line of each parameter, where the source can be read."""
    try:
        source, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(source)))
    except (OSError, SyntaxError, TypeError):
        return {}
    node = tree.body[0]
    if not isinstance(node, ast.FunctionDef):
        return {}
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    return {a.arg: start + a.lineno - 1 for a in arguments if a is not None}


def _complete(schema: dict[str, Any]) -> None:
    """Give every number a step and every string and list a limit, so that constrained decoding ends."""
    for part in [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        _complete(part)
    kind = schema.get("type")
    if kind == "number":
        schema.setdefault("multipleOf", STEP)
    elif kind == "string" and not {"enum", "const"} & set(schema):
        schema.setdefault("maxLength", MAX_TEXT)
    elif kind == "array":
        schema.setdefault("maxItems", MAX_ITEMS)
    schema.pop("title", None)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", None) or str(hint)


def _allowed() -> str:
    return "Image, Mask, str, int, float, bool, Literal[...], lists of these, or one of these | None"
