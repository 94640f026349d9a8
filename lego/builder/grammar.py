"""From the tools on offer to a grammar of exactly the workflows that they allow.

The grammar is Lark text for llguidance (its docs/syntax.md and docs/parametric.md): every rule may carry one number of
64 bits. Bit 0 says that a picture was made, bit 1 that a mask was; above them each step has a field that holds the
*shape* of its outputs (their names and kinds), so a reference is offered only to an output that exists and has the
right kind. Given values are known beforehand and take no bits.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from PIL import ImageColor

from lego.core.registry import Tool
from lego.core.signature import MAX_ITEMS, MAX_TEXT, REFERABLE, STEP, Param

OPENING = '{"version":1,"steps":['
MAX_STEPS = 12
MAX_RESULTS = 4
MAX_REFERENCES = 8  # in one list: pictures for a collage
BITS = 64
MADE = {"image": 0, "mask": 1}  # the bit that says that a step made one
FIELDS = len(MADE)  # where the fields of the steps begin
CHARACTER = r'/[^"\\\x00-\x1f\x7f]|\\["\\n]/'
FIRST = r'/[^"\\$\x00-\x1f\x7f]|\\["\\n]|\$\$/'  # a leading $ would be a reference; $$ stands for it
RATIO = re.compile(r"([1-9][0-9]{0,3}|[1-9][0-9]?\.[0-9]{1,2}):([1-9][0-9]{0,3}|[1-9][0-9]?\.[0-9]{1,2})")
FORMATS = {
    "color": r'/"#[0-9a-f]{6}"/ | ' + " | ".join(json.dumps(f'"{name}"') for name in sorted(ImageColor.colormap)),
    "ratio": f'/"{RATIO.pattern}"/',
}  # strings that a check or a tool reads further than their length

Shape: TypeAlias = tuple[tuple[str, str], ...]
Alternative: TypeAlias = tuple[Sequence[str], str]


def workflow_grammar(
    tools: Iterable[Tool[..., Any]], given: Mapping[str, str] | None = None, max_steps: int = MAX_STEPS
) -> str:
    """Return the grammar whose texts are workflows of these tools: each loads, and `Workflow.check` finds nothing.

    The text is compact JSON in one form only: ids s1, s2, ..., arguments in the order of the signature, literals for
    everything that is no picture or mask, the last step's output first in the result. A plan that made a picture
    ends in one (or in words about it); one that made none may end in a mask or in words.

    Args:
        tools: those on offer; ones that can never be called with these are left out.
        given: kind of each given value by name; by default one picture, ``{"image": "image"}``.
        max_steps: the longest plan; fewer where the tools' outputs have over 31 different shapes.

    Raises:
        ValueError: no tool can be called.
    """
    return f"%llguidance {{}}\nstart: workflow\n{workflow_rules(tools, given, max_steps)}"


def workflow_rules(
    tools: Iterable[Tool[..., Any]], given: Mapping[str, str] | None = None, max_steps: int = MAX_STEPS
) -> str:
    """Return the rules of `workflow_grammar` without a start: ``workflow`` is their head."""
    return _rules(tuple(tools), tuple((given or {"image": "image"}).items()), max_steps)


@functools.lru_cache(maxsize=64)
def _rules(tools: tuple[Tool[..., Any], ...], given: tuple[tuple[str, str], ...], max_steps: int) -> str:
    usable = _callable(tools, {kind for _, kind in given})
    if not usable:
        raise ValueError("no tool on offer can be called")
    return _Writer(usable, dict(given), max_steps).write()


def _callable(tools: Sequence[Tool[..., Any]], kinds: set[str]) -> list[Tool[..., Any]]:
    """The tools whose required pictures and masks are given or can be made by others of them."""
    usable: list[Tool[..., Any]] = []
    while True:
        have = kinds | {o.kind for tool in usable for o in tool.outputs}
        more = [t for t in tools if t not in usable and all(_fillable(p, have) for p in t.params if p.required)]
        if not more:
            return [t for t in tools if t in usable]
        usable += more


def _fillable(param: Param, kinds: set[str]) -> bool:
    return param.kind in kinds if param.kind in REFERABLE else step_of(param) > 0


def step_of(param: Param) -> Decimal:
    """Return the step of a number, made finer until a multiple of it lies within the bounds; 0 if none does."""
    if param.kind not in ("number", "integer"):
        return Decimal(1)
    step = Decimal(str(param.step or (1 if param.kind == "integer" else STEP)))
    low, high = Decimal(str(param.low)), Decimal(str(param.high))
    for _ in range(8):
        if math.ceil(low / step) <= math.floor(high / step):
            return step
        if param.kind == "integer" or param.step:
            break
        step /= 10
    return Decimal(0)


def _lit(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _any(conditions: Sequence[str], joint: str = "or") -> str:
    """One condition from several; the functions of the grammar take two each."""
    return functools.reduce(lambda one, other: f"{joint}({one},{other})", conditions) if conditions else ""


class _Writer:
    """Gathers rules; one that reads the bits, or calls one that does, carries them: it is called with ``::_``."""

    def __init__(self, tools: Sequence[Tool[..., Any]], given: Mapping[str, str], max_steps: int) -> None:
        self.tools = tools
        self.given = given
        self.shapes: list[Shape] = list(dict.fromkeys(_shape(t) for t in tools))
        self.width = len(self.shapes).bit_length()
        self.steps = max(1, min(max_steps, (BITS - FIELDS) // self.width))
        self.kinds = set(given.values()) | {kind for shape in self.shapes for _, kind in shape}
        self.lines: list[str] = []
        self.carrying: set[str] = set()
        self.known: dict[str, str] = {}

    def write(self) -> str:
        for kind in REFERABLE:
            if kind in self.kinds:
                given = [([_lit(f'"${name}"')], "") for name, its in self.given.items() if its == kind]
                self.rule(f"ref_{kind}", *given, *self._made(kind))
        self.rule("made_image", *self._made("image"))
        self.rule("made_any", *self._made(""))
        self.rule("more0", ([_lit("]")], ""))
        for count in range(1, MAX_RESULTS):
            self.rule(f"more{count}", ([_lit("]")], ""), ([_lit(","), "made_any", f"more{count - 1}"], ""))
        for code, shape in enumerate(self.shapes, 1):
            self.rule(f"call{code}", *(self._call(t) for t in self.tools if _shape(t) == shape))
        for number in range(self.steps, 0, -1):
            for code, shape in enumerate(self.shapes, 1):
                self._after(number, code, shape)
            self.rule(f"s{number}", *(self._step(number, code) for code in range(1, len(self.shapes) + 1)))
        start = "s1::0" if "s1" in self.carrying else "s1"
        self.lines.append(f"workflow: {_lit(OPENING)} {start} {_lit('}')}")
        return "\n".join(self.lines) + "\n"

    def rule(self, name: str, *alternatives: Alternative) -> str:
        """Write a rule and return its name; without alternatives nothing is written, and nobody may call it."""
        if any(
            condition or any(_argument(p) or p in self.carrying for p in parts) for parts, condition in alternatives
        ):
            self.carrying.add(name)
        lines = []
        for parts, condition in alternatives:
            called = " ".join(f"{p}::_" if p in self.carrying else p for p in parts) or '""'
            lines.append(f"{called} %if {condition}" if condition else called)
        if lines:
            self.lines.append(f"{name}{'::_' if name in self.carrying else ''}: " + "\n  | ".join(lines))
        return name

    def value(self, text: str) -> str:
        """The name of a rule without bits for this text; equal texts share one."""
        if text not in self.known:
            self.known[text] = f"v{len(self.known)}"
            self.lines.append(f"{self.known[text]}: {text}")
        return self.known[text]

    def terminal(self, text: str) -> str:
        """The same for a terminal, which the lexer reads as one expression."""
        if text not in self.known:
            self.known[text] = f"T{len(self.known)}"
            self.lines.append(f"{self.known[text]}: {text}")
        return self.known[text]

    def _field(self, number: int) -> int:
        return FIELDS + (number - 1) * self.width

    def _made(self, kind: str) -> list[Alternative]:
        """References to every output of a kind ("" for any) that a step made, each if that step has it."""
        found: list[Alternative] = []
        for number in range(1, self.steps + 1):
            start = self._field(number)
            having: dict[str, list[str]] = {}
            for code, shape in enumerate(self.shapes, 1):
                for suffix, its in _suffixes(shape):
                    if kind in ("", its):
                        having.setdefault(suffix, []).append(f"eq([{start}:{start + self.width}],{code})")
            found += [([_lit(f'"$s{number}{suffix}"')], _any(codes)) for suffix, codes in having.items()]
        return found

    def _step(self, number: int, code: int) -> Alternative:
        bits = code << self._field(number)
        for _, kind in self.shapes[code - 1]:
            bits |= 1 << MADE[kind] if kind in MADE else 0
        after = f"after{number}_{code}"
        after += f"::bit_or({bits})" if after in self.carrying else ""
        wanted = [
            needs for tool in self.tools if _shape(tool) == self.shapes[code - 1] for needs in [self._needs(tool)]
        ]
        condition = "" if "" in wanted else _any(list(dict.fromkeys(wanted)))
        return [_lit(f'{{"id":"s{number}","tool":"'), f"call{code}", _lit("}"), after], condition

    def _after(self, number: int, code: int, shape: Shape) -> None:
        """What may follow a step: the next one, or the end with this step's output first in the result."""
        kinds = {kind for _, kind in shape}
        chief = "image" if "image" in kinds else ""  # of several outputs, the one that may stand alone
        heads = [f'"$s{number}{suffix}"' for suffix, kind in _suffixes(shape) if chief in ("", kind)]
        end = '],"result":'
        alternatives: list[Alternative] = [([_lit(","), f"s{number + 1}"], "")] if number < self.steps else []
        alone = "bit_clear(0)" if kinds == {"mask"} and "image" in self.kinds_made else ""
        start = self._field(number)
        other = MAX_RESULTS - 1
        if len(shape) > 1:
            listing, clear = "", "_"
        else:  # its only output stands in the list already
            listing, clear = (
                "" if number > 1 else "never",
                f"bit_and({~(((1 << self.width) - 1) << start) & (1 << BITS) - 1})",
            )
        for head in heads:
            alternatives.append(([_lit(end + head)], alone))
            if listing == "never":
                continue
            first = [_lit(f"{end}[{head},")]
            if chief or "image" not in self.kinds_made:
                alternatives.append(([*first, f"made_any::{clear}", f"more{other - 1}::{clear}"], ""))
            else:
                alternatives.append(([*first, "made_image", f"more{other - 1}::{clear}"], "bit_set(0)"))
                alternatives.append(([*first, f"made_any::{clear}", f"more{other - 1}::{clear}"], "bit_clear(0)"))
        self.rule(f"after{number}_{code}", *alternatives)

    @property
    def kinds_made(self) -> set[str]:
        return {kind for shape in self.shapes for _, kind in shape}

    def _needs(self, tool: Tool[..., Any]) -> str:
        kinds = {p.kind for p in tool.params if p.required and p.kind in REFERABLE} - set(self.given.values())
        return _any([f"bit_set({MADE[kind]})" for kind in sorted(kinds)], "and")

    def _call(self, tool: Tool[..., Any]) -> Alternative:
        params = [p for p in tool.params if _fillable(p, self.kinds)]
        return [_lit(f'{tool.name}","args":{{'), *self._args(tool, params, first=True), _lit("}")], self._needs(tool)

    def _args(self, tool: Tool[..., Any], params: Sequence[Param], first: bool) -> list[str]:
        """The arguments from here on; an optional one is a rule of its own that may be empty."""
        if not params:
            return []
        param, rest = params[0], params[1:]
        written = [_lit(f"{'' if first else ','}{_lit(param.name)}:"), self._value(param)]
        if param.required:
            return [*written, *self._args(tool, rest, first=False)]
        absent = param.kind in REFERABLE and param.kind not in self.given.values()
        condition = f"bit_set({MADE[param.kind]})" if absent else ""
        if first:  # whether the next one needs a comma depends on this one
            name = f"{tool.name}_{len(params)}"
            after = self._args(tool, rest, first=False)
            return [self.rule(name, (self._args(tool, rest, first=True), ""), ([*written, *after], condition))]
        key = f"{written} {condition}"
        if key not in self.known:
            self.known[key] = self.rule(f"o{len(self.known)}", ([], ""), (written, condition))
        return [self.known[key], *self._args(tool, rest, first=False)]

    def _value(self, param: Param) -> str:
        """The name of the rule for a parameter's value."""
        if param.kind in REFERABLE:
            return self._references(param.kind) if param.many else f"ref_{param.kind}"
        schema = _schema(param)
        one = self._literal(param, schema.get("items", schema))
        if param.many:
            low, high = schema.get("minItems", 0), min(schema.get("maxItems", MAX_ITEMS), MAX_ITEMS)
            items = f'"[" {one} ("," {one}){{{max(low, 1) - 1},{max(high, 1) - 1}}} "]"' if high else '"[]"'
            one = self.value(f'"[]" | {items}' if not low and high else items)
        null = param.optional and param.default is not None  # else leaving it out says the same
        return self.value(f'{one} | "null"') if null else one

    def _references(self, kind: str) -> str:
        tail = self.known.get(f"list of {kind}")
        if tail is None:
            tail = self.rule(f"{kind}_tail1", ([_lit("]")], ""))
            for count in range(2, MAX_REFERENCES + 1):
                again = ([_lit(","), f"ref_{kind}", tail], "")
                tail = self.rule(f"{kind}_tail{count}", ([_lit("]")], ""), again)
            tail = self.rule(f"{kind}_list", ([_lit("["), f"ref_{kind}", tail], ""))
            self.known[f"list of {kind}"] = tail
        return tail

    def _literal(self, param: Param, schema: Mapping[str, Any]) -> str:
        if param.kind == "choice":
            values = [f"${c}" if isinstance(c, str) and c.startswith("$") else c for c in param.choices]
            return self.value(" | ".join(_lit(json.dumps(value, ensure_ascii=False)) for value in values))
        if param.kind == "boolean":
            return self.value('"true" | "false"')
        if param.kind == "string":
            return self._string(param, schema)
        step = step_of(param)
        bounds = {"minimum": param.low, "maximum": param.high, "multipleOf": float(step)}
        if param.kind == "integer":
            bounds = {name: int(value) for name, value in bounds.items() if value is not None}
        return self.value(f"%json {json.dumps({'type': param.kind, **bounds})}")

    def _string(self, param: Param, schema: Mapping[str, Any]) -> str:
        if param.format in FORMATS:
            return self.terminal(FORMATS[param.format])
        low = max(int(schema.get("minLength", 0)), 1 if param.format == "target" else 0)
        high = int(schema.get("maxLength", MAX_TEXT))
        if "pattern" in schema:
            body = f"/{schema['pattern'].removeprefix('^').removesuffix('$').replace('/', chr(92) + '/')}/"
            plain = f'/[^"\\\\$\\x00-\\x1f\\x7f][^"\\\\\\x00-\\x1f\\x7f]{{{max(low, 1) - 1},{max(high, 1) - 1}}}/'
            return self.terminal(f'"\\"" ({body} & {plain}) "\\""')
        text = f"({FIRST}) ({CHARACTER}){{{max(low, 1) - 1},{max(high, 1) - 1}}}"
        return self.terminal(f'"\\"" {text if low else f"({text})?"} "\\""' if high else '"\\"\\""')


def _shape(tool: Tool[..., Any]) -> Shape:
    return tuple((o.name, o.kind) for o in tool.outputs)


def _suffixes(shape: Shape) -> list[tuple[str, str]]:
    """How each output of a step is referred to, and its kind: "" alone, ".mask" among several."""
    return [("" if len(shape) == 1 else f".{name}", kind) for name, kind in shape]


def _argument(part: str) -> bool:
    return not part.startswith(('"', "/")) and "::" in part


def _schema(param: Param) -> dict[str, Any]:
    schema = param.schema
    return (
        next((part for part in schema["anyOf"] if part.get("type") != "null"), schema) if "anyOf" in schema else schema
    )
