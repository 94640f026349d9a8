"""Workflow: a flat list of tool calls that refer to each other's outputs; read, checked and bound to tools.

    {"version": 1,
     "steps": [{"id": "s1", "tool": "segment", "args": {"image": "$image", "target": "the red car"}},
               {"id": "s2", "tool": "recolor", "args": {"image": "$image", "mask": "$s1", "color": "blue"}}],
     "result": "$s2"}

A reference is a whole string: ``$image``, ``$mask``, ``$s1`` (a step with one output), ``$s1.mask`` (a named output).
``$$`` at the start of a string gives a literal ``$``. References point backwards only, so cycles cannot exist.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lego.core import dialect
from lego.core.errors import WorkflowError
from lego.core.problems import VERSION, Problem, invalid, parse, shape
from lego.core.registry import Registry, Tool
from lego.core.signature import REFERABLE, Param
from lego.core.steps import REFERENCE, Ref, Step

IDENTIFIER = re.compile(r"[A-Za-z_]\w{0,39}")
RESERVED = re.compile(r"image|mask|reference\d*")
CODES = {
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "greater_than": "out_of_range",
    "less_than": "out_of_range",
    "multiple_of": "out_of_range",
    "finite_number": "out_of_range",
    "literal_error": "not_a_choice",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "value_error": "bad_value",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A checked step: its tool, every argument with defaults filled in, and the steps that it waits for."""

    step: Step
    tool: Tool[..., Any]
    args: Mapping[str, Any]
    needs: tuple[str, ...]

    @property
    def where(self) -> str:
        """The step as errors name it."""
        return f"{self.step.id} ({self.tool.name})"


@dataclass(frozen=True)
class Workflow:
    """Steps in order, and the reference (or references) to what comes out; ``notes`` say what a reader dropped."""

    steps: tuple[Step, ...]
    result: str | tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def results(self) -> tuple[str, ...]:
        """The result references as a tuple, also when there is one."""
        return (self.result,) if isinstance(self.result, str) else self.result

    @classmethod
    def load(cls, source: Workflow | str | Path | Mapping[str, Any]) -> Workflow:
        """Read a workflow from a dict, JSON text, or the path of a JSON file.

        Raises:
            WorkflowError: not JSON, or not of the form above; ``details["problems"]`` lists every fault.
        """
        if isinstance(source, Workflow):
            return source
        if isinstance(source, Path):
            try:
                source = source.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not text"
                hint = "give a .json file, or a PNG that an edit wrote"
                raise WorkflowError(
                    f"cannot read the workflow: {why}", where=str(source), hint=hint, code="cannot_open"
                ) from None
        data = parse(source) if isinstance(source, str) else source
        problems = list(shape(data))
        if problems:
            raise invalid(problems)
        steps = tuple(Step(s["id"], s["tool"], dict(s.get("args", {}))) for s in data["steps"])
        result = data["result"]
        return cls(steps, result if isinstance(result, str) else tuple(result))

    @classmethod
    def from_lego_edit(cls, text: str) -> Workflow:
        """Read the dialect of the Lego-Edit paper (arXiv 2509.12883), repairing the faults that its builder makes."""
        parsed = dialect.parse(text)
        return cls(*dialect.translate(parsed))

    def dump(self) -> dict[str, Any]:
        """Return the workflow as plain data."""
        steps = [{"id": s.id, "tool": s.tool, "args": dict(s.args)} for s in self.steps]
        result = self.result if isinstance(self.result, str) else list(self.result)
        return {"version": VERSION, "steps": steps, "result": result}

    def json(self, indent: int | None = 2) -> str:
        """Return the workflow as JSON text, non-ASCII characters as they are."""
        return json.dumps(self.dump(), ensure_ascii=False, indent=indent)

    def then(self, following: Workflow) -> Workflow:
        """Return one workflow that goes on with the first result of this one where the other takes ``$image``.

        The other's steps are numbered on; its results are those of the whole.
        """
        taken = {step.id for step in self.steps}
        free = (name for n in itertools.count(len(taken) + 1) if (name := f"s{n}") not in taken)
        names = {step.id: next(free) for step in following.steps}

        def moved(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(moved(item) for item in value)
            found = REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if found is None:
                return value
            if found[1] == "image":
                return self.results[0]
            name = f"${names.get(found[1], found[1])}"
            return f"{name}.{found[2]}" if found[2] else name

        steps = [
            Step(names[s.id], s.tool, {name: moved(value) for name, value in s.args.items()}) for s in following.steps
        ]
        return Workflow((*self.steps, *steps), moved(following.result), (*self.notes, *following.notes))

    def check(self, registry: Registry, given: Mapping[str, str] | None = None) -> list[Problem]:
        """Return every problem at once; never raises.

        Args:
            registry: the tools that may be called.
            given: kind of each given value by name; by default one picture, ``{"image": "image"}``.
        """
        return _Checker(registry, given).run(self)[1]

    def bind(self, registry: Registry, given: Mapping[str, str] | None = None) -> tuple[list[Bound], tuple[Ref, ...]]:
        """Return the checked steps with canonical arguments, and the results as references.

        Raises:
            WorkflowError: the workflow has problems; ``details["problems"]`` lists them.
        """
        checker = _Checker(registry, given)
        bound, problems = checker.run(self)
        if problems:
            raise invalid(problems)
        return bound, checker.results


class _Checker:
    """One pass over a workflow that gathers problems and bound steps."""

    def __init__(self, registry: Registry, given: Mapping[str, str] | None) -> None:
        self.registry = registry
        self.kinds: dict[str, dict[str, str]] = {}  # by tool: the kinds of its outputs
        self.given = dict(given or {"image": "image"})
        self.outputs: dict[str, dict[str, str] | None] = {}  # None: an unknown tool, whose outputs cannot be known
        self.later: dict[str, Step] = {}
        self.problems: list[Problem] = []
        self.results: tuple[Ref, ...] = ()
        self._found: dict[str, tuple[Ref, str]] = {}  # references of known steps by their text, with their kinds

    def run(self, workflow: Workflow) -> tuple[list[Bound], list[Problem]]:
        self.later = {step.id: step for step in workflow.steps}
        bound = []
        for step in workflow.steps:
            self._identifier(step)
            tool = self.registry.get(step.tool)
            if tool is None:
                nearest = self.registry.nearest(step.tool)
                hint = f"did you mean '{nearest}'?" if nearest else "`lego tools` lists them"
                self._add(step, "", "unknown_tool", f"there is no tool '{step.tool}'", hint)
                self._references_of_unknown(step)
            else:
                bound.append(self._bind(step, tool))
            self.outputs[step.id] = None if tool is None else self._kinds(tool)
        if not workflow.results:
            self.problems.append(
                Problem("", "result", "no_result", "the workflow has no result", 'such as "result": "$s1"')
            )
        end = Step("", "", {})
        found = [self._reference(end, "result", text)[0] for text in workflow.results]
        self.results = tuple(ref for ref in found if ref is not None)
        return bound, self.problems

    def _kinds(self, tool: Tool[..., Any]) -> dict[str, str]:
        if tool.name not in self.kinds:
            self.kinds[tool.name] = {o.name: o.kind for o in tool.outputs}
        return self.kinds[tool.name]

    def _identifier(self, step: Step) -> None:
        if step.id in self.outputs:
            self._add(step, "", "duplicate_id", f"two steps are called '{step.id}'", "give each step its own id")
        elif not IDENTIFIER.fullmatch(step.id) or RESERVED.fullmatch(step.id) or step.id in self.given:
            self._add(
                step,
                "",
                "bad_id",
                f"'{step.id}' cannot be a step's id",
                "letters, digits and _, and not image, mask or reference",
            )

    def _bind(self, step: Step, tool: Tool[..., Any]) -> Bound:
        for name in step.args:
            if tool.param(name) is None:
                params = [p.name for p in tool.params]
                nearest = difflib.get_close_matches(name, params, 1, 0.5)
                hint = f"did you mean '{nearest[0]}'?" if nearest else f"allowed: {', '.join(params)}"
                self._add(step, name, "unknown_arg", f"'{tool.name}' has no parameter '{name}'", hint)
        args: dict[str, Any] = {}
        needs: list[str] = []
        for param in tool.params:
            if param.name in step.args:
                args[param.name] = self._value(step, param, step.args[param.name], needs)
            elif param.required:
                self._add(step, param.name, "missing_arg", f"'{tool.name}' needs '{param.name}'", str(param))
            else:
                default = param.default
                args[param.name] = default if default is None or param.kind in REFERABLE else param.validate(default)
        return Bound(step, tool, args, tuple(dict.fromkeys(needs)))

    def _value(self, step: Step, param: Param, value: Any, needs: list[str]) -> Any:
        if value is None and param.optional and param.kind in REFERABLE:
            return None
        if isinstance(value, list) and param.many:
            items = [self._one(step, param, item, needs) for item in value]
            if param.kind in REFERABLE and not items:
                self._add(step, param.name, "wrong_kind", f"no {param.kind} is in the list", f"allowed: {param}")
            if param.kind in REFERABLE:
                return items
            return items if any(isinstance(i, Ref) for i in items) else self._literal(step, param, items)
        one = self._one(step, param, value, needs)
        if isinstance(one, Ref):
            return [one] if param.many else one
        return None if param.kind in REFERABLE else self._literal(step, param, one)

    def _one(self, step: Step, param: Param, value: Any, needs: list[str]) -> Any:
        """Return a Ref for a reference, the unescaped literal otherwise."""
        if isinstance(value, str) and value.startswith("$") and not value.startswith("$$"):
            ref, kind = self._reference(step, param.name, value)
            fits = kind in ("", param.kind) or (kind, param.kind) == ("integer", "number")
            if not fits and not (param.kind == "choice" and kind == "string"):
                self._add(step, param.name, "wrong_kind", f"{value} is of kind {kind}, not {param.kind}", str(param))
            if ref is not None and ref.step not in self.given:
                needs.append(ref.step)
            return ref
        if param.kind in REFERABLE:
            hint = f"a reference to a step with an output of kind {param.kind}, such as $s1, or $image"
            self._add(step, param.name, "wrong_kind", f"{value!r} is no reference", hint)
        return value[1:] if isinstance(value, str) and value.startswith("$$") else value

    def _literal(self, step: Step, param: Param, value: Any) -> Any:
        try:
            return param.validate(value)
        except ValidationError as error:
            for fault in error.errors():
                code = CODES.get(fault["type"], "wrong_kind")
                self._add(step, param.name, code, f"{_show(value)} is refused: {fault['msg']}", f"allowed: {param}")
            return None

    def _reference(self, step: Step, arg: str, text: str) -> tuple[Ref | None, str]:
        """Return the reference and its kind; "" if the kind cannot be known."""
        if text in self._found:
            return self._found[text]
        match = REFERENCE.fullmatch(text)
        if not match:
            hint = f'for a literal text write "${text}"' if text.startswith("$") else "such as $image, $s1 or $s1.mask"
            self._add(step, arg, "bad_reference", f"{_show(text)} is not a reference", hint)
            return None, ""
        name, output = match[1], match[2] or ""
        if name in self.given:
            if output:
                self._add(step, arg, "unknown_output", f"${name} has no outputs of its own", f"write ${name}")
            return Ref(name), self.given[name]
        if name not in self.outputs:
            self._unknown(step, arg, name)
            return None, ""
        outputs = self.outputs[name]
        if outputs is None:
            return Ref(name, output), ""
        if not output and len(outputs) > 1:
            choices = " or ".join(f"${name}.{o}" for o in outputs)
            self._add(step, arg, "ambiguous_reference", f"${name} has several outputs", f"write {choices}")
            return None, ""
        if output and output not in outputs:
            self._add(
                step, arg, "unknown_output", f"step '{name}' has no output '{output}'", f"it has {', '.join(outputs)}"
            )
            return None, ""
        output = output or next(iter(outputs))
        found = self._found[text] = Ref(name, output), outputs[output]
        return found

    def _unknown(self, step: Step, arg: str, name: str) -> None:
        if name == step.id or (name in self.later and self._leads(name, step.id)):
            self._add(
                step,
                arg,
                "cycle",
                f"'{step.id}' waits for '{name}', which waits for '{step.id}'",
                "steps can only use earlier ones",
            )
        elif name in self.later:
            self._add(
                step,
                arg,
                "forward_reference",
                f"step '{name}' comes later",
                "steps can only use earlier ones; move it up",
            )
        elif RESERVED.fullmatch(name):
            hint = {"mask": "draw one: --mask FILE or --box X0,Y0,X1,Y1"}.get(name, "give it: --reference FILE")
            self._add(step, arg, "unknown_reference", f"no {name} was given", hint)
        else:
            known = [*self.given, *self.outputs]
            nearest = difflib.get_close_matches(name, known, 1, 0.5)
            hint = (
                f"did you mean ${nearest[0]}?" if nearest else f"known here: {', '.join('$' + k for k in known[-8:])}"
            )
            self._add(step, arg, "unknown_reference", f"there is no step '{name}'", hint)

    def _leads(self, start: str, goal: str) -> bool:
        """Does ``start`` depend on ``goal``, following references in any direction of the list?"""
        seen, queue = set(), [start]
        while queue:
            name = queue.pop()
            if name == goal:
                return True
            if name not in seen and name in self.later:
                seen.add(name)
                queue.extend(_names(self.later[name].args.values()))
        return False

    def _references_of_unknown(self, step: Step) -> None:
        for arg, value in step.args.items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, str) and item.startswith("$") and not item.startswith("$$"):
                    self._reference(step, arg, item)

    def _add(self, step: Step, arg: str, code: str, message: str, hint: str) -> None:
        self.problems.append(Problem(step.id, arg, code, message, hint))


def _names(values: Iterable[Any]) -> list[str]:
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [match[1] for item in flat if isinstance(item, str) and (match := REFERENCE.fullmatch(item))]


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
