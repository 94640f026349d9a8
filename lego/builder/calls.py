"""Calls: the short form of a plan, one line a wish, from which the workflow follows.

Most wishes are "do this, with these values, to that thing". A call says just so; finding the thing, handing its mask
on, the order of pictures and the second picture follow by rule. Files of expected answers and small builders write it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from lego.core.errors import WorkflowError
from lego.core.registry import Registry, Tool
from lego.core.signature import REFERABLE, Param
from lego.core.values import Mask
from lego.core.workflow import Workflow

NOT = "not: "  # before a target: everything but it
BOX = "box: "  # before four numbers: left, top, right, bottom, in thousandths of the picture
DRAWN = "mask"  # what the user drew
SIDES = ("left", "top", "right", "bottom")
ASKS, THEN = " => ", ", then "  # in a thought: between the words and the calls that they ask for, between these calls


class Call(BaseModel):
    """One call: the tool, the arguments that the words determine, and on what.

    Attributes:
        on: "" for the whole picture, "mask" for what the user drew, "not: X" for everything but X, "box: L T R B" for
            the thing in a box, else the words that name the thing.
        but: what is left out of it, in the same words; "" for nothing.
    """

    model_config = ConfigDict(extra="forbid")

    tool: str
    args: dict[str, Any] = {}
    on: str = ""
    but: str = ""


def workflow_of(
    calls: Sequence[Call], tools: Registry | Sequence[Tool[..., Any]], given: Sequence[str] = (), boxed: bool = False
) -> Workflow:
    """Write the workflow that a list of calls means; things are looked for in the picture as given, once each.

    No calls mean that nothing is to be done: a workflow without steps.

    Args:
        tools: those on offer.
        given: names of further given values: "mask", "reference", "reference2", ...
        boxed: the given mask is a mere box; for tools that work on one thing it is tightened first.

    Raises:
        WorkflowError: a call names a tool that is not on offer, or needs one to find its thing.
    """
    return _Writer({tool.name: tool for tool in tools}, given, boxed).write(calls)


def said(call: Call) -> str:
    """A call in a few words: the tool, and on what."""
    where = f" on {call.on}" if call.on else ""
    return f"{call.tool}{where}" + (f" without {call.but}" if call.but else "")


def thought_of(words: str, calls: Sequence[Call]) -> str:
    """A line of a thought: which words ask for which calls."""
    return f"{words}{ASKS}{THEN.join(map(said, calls))}"


def asked_in(thought: str) -> list[tuple[str, int]]:
    """Read a thought's lines: words, and how many calls they ask for; lines that say something else are passed over."""
    parts = [line.rpartition(ASKS) for line in thought.splitlines() if ASKS in line]
    return [(words.strip(), calls.count(THEN) + 1) for words, _, calls in parts]


def calls_of(
    workflow: Workflow, tools: Registry | Sequence[Tool[..., Any]], given: Sequence[str] = (), boxed: bool = False
) -> list[Call]:
    """Say a workflow in calls; the arguments are those of `workflow_of`.

    Raises:
        WorkflowError: no calls give this workflow, as where a step takes a mask from two others.
    """
    known = {tool.name: tool for tool in tools}
    masks = {"$mask": DRAWN}
    buts: dict[str, tuple[str, str]] = {}
    calls: list[Call] = []
    for step in workflow.steps:
        tool, args, name = known.get(step.tool), step.args, f"${step.id}"
        if tool is None:
            raise WorkflowError(f"there is no tool '{step.tool}'")
        if (on := _words_for(step.tool, args, masks)) and _used(workflow, name):
            masks[name] = on
            continue
        if step.tool == "mask_subtract" and _used(workflow, name):
            buts[name] = (masks.get(str(args.get("first")), ""), masks.get(str(args.get("second")), ""))
            continue
        place = mask_of(tool)
        where = str(args.get(place.name, "")) if place else ""
        on, but = buts.get(where, (masks.get(where, ""), ""))
        literal = {p.name: _plain(args[p.name]) for p in tool.params if p.name in args and p.kind not in REFERABLE}
        calls.append(Call(tool=step.tool, args=literal, on=on, but=but))
    if workflow_of(calls, tools, given, boxed).dump() != workflow.dump():
        raise WorkflowError("this workflow cannot be said in calls")
    return calls


def _words_for(tool: str, args: Mapping[str, Any], masks: Mapping[str, str]) -> str:
    """What a step that finds something finds, in the words of `Call.on`; "" for other steps."""
    inner = masks.get(str(args.get("mask")), "")
    if tool == "segment":
        return str(_plain(args.get("target", "")))
    if tool == "segment_box":
        return BOX + " ".join(str(args.get(side)) for side in SIDES)
    if tool == "mask_invert" and inner:
        return NOT + inner
    return DRAWN if tool == "mask_refine" and inner == DRAWN else ""


def _used(workflow: Workflow, name: str) -> bool:
    return any(name in step.args.values() for step in workflow.steps)


def boxed(mask: Any) -> bool:
    """Is a mask a whole rectangle, drawn round a thing and not along it?"""
    return isinstance(mask, Mask) and mask.box is not None and mask == Mask.from_box(mask.size, mask.box)


def mask_of(tool: Tool[..., Any]) -> Param | None:
    """The parameter that says where a tool works, or None."""
    return next((p for p in tool.params if p.kind == "mask" and not p.many), None)


@dataclass
class _Writer:
    tools: dict[str, Tool[..., Any]]
    given: Sequence[str]
    boxed: bool
    steps: list[dict[str, Any]] = field(default_factory=list)
    known: dict[tuple[str, str], str] = field(default_factory=dict)
    image: str = "$image"
    source: str = "$image"  # where things are looked for: the picture before its colours were changed

    def write(self, calls: Sequence[Call]) -> Workflow:
        told: list[str] = []
        pictured = False
        for call in calls:
            tool = self._tool(call.tool)
            made = self._add(call.tool, self._args(call, tool))
            shown = next((o for o in tool.outputs if o.kind == "image"), tool.outputs[0])
            made = made if len(tool.outputs) == 1 else f"{made}.{shown.name}"
            if shown.kind == "image":
                self.image, pictured = made, True
            else:  # words beside an edit follow the picture
                told.append(made)
            if tool.scope == "geometric":
                self.source = self.image
        results = [self.image, *told] if pictured or not calls else told
        return Workflow.load({"version": 1, "steps": self.steps, "result": results if len(results) > 1 else results[0]})

    def _args(self, call: Call, tool: Tool[..., Any]) -> dict[str, Any]:
        args: dict[str, Any] = {}
        others = [f"${name}" for name in self.given if name.startswith("reference")]
        for number, param in enumerate(p for p in tool.params if p.kind == "image"):
            if number == 0:
                args[param.name] = [self.image] if param.many else self.image
            elif param.name == "before":
                args[param.name] = "$image"
            elif others:
                args[param.name] = others if param.many else others[0]
        place = mask_of(tool)
        if place and call.on:
            args[place.name] = self._place(call, thing=place.format == "thing")
        return args | {name: escaped(value) for name, value in call.args.items()}

    def _place(self, call: Call, thing: bool) -> str:
        where = self._mask(call.on, thing)
        if not call.but:
            return where
        return self._once("mask_subtract", {"first": where, "second": self._mask(call.but, thing)})

    def _mask(self, on: str, thing: bool) -> str:
        if on.startswith(NOT):
            return self._once("mask_invert", {"mask": self._mask(on.removeprefix(NOT), thing)})
        if on == DRAWN and self.boxed and thing:
            return self._once("mask_refine", {"image": self.source, "mask": "$mask"})
        if on == DRAWN:
            return "$mask"
        if on.startswith(BOX):
            sides = dict(zip(SIDES, map(int, on.split()[1:]), strict=True))
            return self._once("segment_box", {"image": self.source, **sides})
        return self._once("segment", {"image": self.source, "target": escaped(on)})

    def _once(self, name: str, args: dict[str, Any]) -> str:
        """The reference to a mask step, which is written once however often it is asked for."""
        key = (name, str(args))
        if key not in self.known:
            self._tool(name)
            self.known[key] = self._add(name, args)
        return self.known[key]

    def _tool(self, name: str) -> Tool[..., Any]:
        if name not in self.tools:
            raise WorkflowError(f"there is no tool '{name}'", hint="register it, or say it differently")
        return self.tools[name]

    def _add(self, tool: str, args: dict[str, Any]) -> str:
        self.steps.append({"id": f"s{len(self.steps) + 1}", "tool": tool, "args": args})
        return f"$s{len(self.steps)}"


def escaped(value: Any) -> Any:
    """A literal as a workflow writes it: a leading $ would be a reference."""
    return f"${value}" if isinstance(value, str) and value.startswith("$") else value


def _plain(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and value.startswith("$$") else value
