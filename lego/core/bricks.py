"""The 17 bricks of the Lego-Edit paper (arXiv 2509.12883): what each takes and gives, and how they chain."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from lego.core.problems import Problem

REFERENCE = re.compile(r"(init|step\d+)\[(\w+)\]", re.ASCII)  # always by fullmatch; anything else is a literal
RATIOS = ("left_ratio", "right_ratio", "top_ratio", "bottom_ratio")
FINDERS = ("RES", "SOS", "MASK-SEG")  # give the object's mask, and its cut-out as image
Fault: TypeAlias = tuple[str, str, str]  # code, message, hint


@dataclass(frozen=True)
class Finding(Problem):
    """A fault of a workflow in the dialect; ``step`` is written as there, "step3"."""

    level: Literal["error", "warning"] = "error"


@dataclass(frozen=True)
class Brick:
    """One brick: kinds of its inputs and outputs by name, and which inputs may be null."""

    name: str
    inputs: Mapping[str, str]
    nullable: frozenset[str]
    outputs: Mapping[str, str]
    predicts: bool

    @property
    def usage(self) -> str:
        """The brick as one line."""
        inputs = ", ".join(f"{name} or null" if name in self.nullable else name for name in self.inputs)
        return f"{self.name}({inputs}) -> {', '.join(self.outputs)}"


def _kind(name: str) -> str:
    """The dialect gives the same name the same kind everywhere."""
    words = {"prompt": "string", "style": "string", "caption": "string", "score": "number", "preimage": "image"}
    return words.get(name) or ("number" if name.endswith("ratio") else name.rstrip("12"))


def _brick(name: str, inputs: str, outputs: str, predicts: bool = False) -> Brick:
    names = [word.rstrip("?") for word in inputs.split()]
    nullable = frozenset(word[:-1] for word in inputs.split() if word.endswith("?"))
    return Brick(name, {n: _kind(n) for n in names}, nullable, {n: _kind(n) for n in outputs.split()}, predicts)


_PAIR = "mask1? mask2? image1? image2?"
BRICKS = {
    brick.name: brick
    for brick in (
        _brick("RES", "image prompt", "mask image", predicts=True),
        _brick("SOS", "image", "mask image", predicts=True),
        _brick("MASK-SEG", "image mask", "mask image", predicts=True),
        _brick("INVERSE", _PAIR, "mask image", predicts=True),
        _brick("ADD-PRED", "image prompt mask?", "mask", predicts=True),
        _brick("CMI-PRED", f"image {'? '.join(RATIOS)}?", "caption image mask", predicts=True),
        _brick("BBOX", "mask", "mask", predicts=True),
        _brick("FASTINPAINT", "image mask", "image score"),
        _brick("FLUX-INPAINT", "image mask preimage score", "image"),
        _brick("FLUX-FILL", "image mask prompt preimage?", "image"),
        _brick("FLUX-RCM", "image mask prompt", "image"),
        _brick("FLUX-CBG", "image mask prompt", "image"),
        _brick("FLUX-STYLE", "image mask? prompt style", "image"),
        _brick("FLUX-ENV", "image prompt", "image"),
        _brick("FLUX-POSE", "image prompt", "image"),
        _brick("COMPOSE", _PAIR, "mask image"),
        _brick("RESIZE", "mask? image? ratio", "mask image"),
    )
}


@dataclass(frozen=True)
class Source:
    """Where a reference points: the output of the step at ``index`` of the list; None for what the request holds."""

    index: int | None
    output: str
    kind: str


class Call:
    """One step of a chain, with the questions that rules and translation ask of it."""

    def __init__(self, chain: Chain, index: int, raw: Mapping[str, Any]) -> None:
        self.chain, self.index, self.raw = chain, index, raw
        self.number: int = raw["step"]
        self.name: str = raw["model"]
        self.inputs: Mapping[str, Any] = raw["input"]
        self.outputs: Mapping[str, Any] = raw["output"]
        self.brick = BRICKS.get(self.name)

    def has(self, *names: str) -> bool:
        """Are all these inputs given and not null?"""
        return all(self.inputs.get(name) is not None for name in names)

    def makes(self, name: str) -> bool:
        """Is this output declared and not null?"""
        return self.outputs.get(name) is not None

    def source(self, name: str) -> Source | None:
        """Return where an input comes from; None for a literal, null, or a reference to nothing."""
        return self.chain.find(self.inputs.get(name))[0]

    def maker(self, name: str) -> Call | None:
        """Return the step that an input comes from."""
        source = self.source(name)
        return self.chain.calls[source.index] if source and source.index is not None else None

    def error(self, arg: str, code: str, message: str, hint: str = "") -> Finding:
        """Return a finding of level error about this step."""
        return Finding(f"step{self.number}", arg, code, message, hint)

    def warn(self, arg: str, code: str, message: str, hint: str = "") -> Finding:
        """Return a finding of level warning about this step."""
        return Finding(f"step{self.number}", arg, code, message, hint, "warning")

    def __str__(self) -> str:
        return f"step {self.number} ({self.name})"


class Chain:
    """A pipeline in canonical form with its references resolved."""

    def __init__(self, pipeline: list[dict[str, Any]]) -> None:
        self.results: list[str] = pipeline[-1]["result"]
        self.calls = [Call(self, index, raw) for index, raw in enumerate(pipeline[:-1])]
        self._steps: dict[str, Call] = {}
        self._declared: dict[str, Source] = {}
        for call in self.calls:
            self._steps.setdefault(f"step{call.number}", call)
            for name, value in call.outputs.items():
                match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
                if match and match[1] == f"step{call.number}":
                    self._declared.setdefault(value, Source(call.index, name, _kind(name)))
        self.needs = [self._needs(call) for call in self.calls]

    def _needs(self, call: Call) -> list[int]:
        sources = [self.find(value)[0] for value in call.inputs.values()]
        return [source.index for source in sources if source and source.index is not None]

    def find(self, value: Any, given: Collection[str] = ("image", "mask")) -> tuple[Source | None, Fault]:
        """Resolve a reference; without one, the second value says why (code, message, hint)."""
        match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return None, ("bad_reference", f"{show(value)} is no reference", "write init[key] or stepN[key]")
        name, key = match[1], match[2]
        if name == "init":
            if key in given:
                return Source(None, key, _kind(key)), ("", "", "")
            return None, ("unknown_reference", f"no {key} was given", f"given: {', '.join(given)}")
        if name not in self._steps:
            return None, ("unknown_reference", f"there is no {name}", "number the steps as they are referred to")
        if value in self._declared:
            return self._declared[value], ("", "", "")
        call = self._steps[name]
        if key in call.outputs:
            return None, ("null_output", f"{value} is null or has another name: it does not flow", "declare it")
        return None, ("unknown_output", f"{name} does not declare the output '{key}'", f"declare it: {value}")

    def order(self) -> tuple[list[int], list[int]]:
        """Return the calls by data dependency, as near to list order as can be, and one cycle if there is any."""
        waits = [len(set(needs)) for needs in self.needs]
        users: list[list[int]] = [[] for _ in self.calls]
        for index, needs in enumerate(self.needs):
            for need in set(needs):
                users[need].append(index)
        ready = [index for index, count in enumerate(waits) if count == 0]
        order = []
        while ready:
            index = heapq.heappop(ready)
            order.append(index)
            for user in users[index]:
                waits[user] -= 1
                if waits[user] == 0:
                    heapq.heappush(ready, user)
        stuck = {index for index, count in enumerate(waits) if count}
        if not stuck:
            return order, []
        path: dict[int, None] = {}
        index = min(stuck)
        while index not in path:
            path[index] = None
            index = next(need for need in self.needs[index] if need in stuck)
        walked = list(path)
        return order, walked[walked.index(index) :]

    def live(self) -> set[int]:
        """Return the calls that lead to a result."""
        found = [self.find(text)[0] for text in self.results]
        return reach([s.index for s in found if s and s.index is not None], lambda index: self.needs[index])

    @cached_property
    def feeds_flux(self) -> set[int]:
        """The calls that a FLUX brick uses, directly or not."""
        flux = [call.index for call in self.calls if call.name.startswith("FLUX-")]
        return reach([need for index in flux for need in self.needs[index]], lambda index: self.needs[index])

    @cached_property
    def erases(self) -> bool:
        """Does any step erase something?"""
        return any(call.name in ("FASTINPAINT", "FLUX-INPAINT") for call in self.calls)

    def leads(self, start: int, goal: int) -> bool:
        """Does the call at ``start`` use, directly or not, the call at ``goal``?"""
        return goal in reach(self.needs[start], lambda index: self.needs[index])


def reach(start: Collection[Any], needs: Callable[[Any], Collection[Any]]) -> set[Any]:
    """Return everything that ``start`` leads to, itself included."""
    seen, queue = set(start), list(start)
    while queue:
        fresh = set(needs(queue.pop())) - seen
        seen |= fresh
        queue.extend(fresh)
    return seen


def show(value: Any) -> str:
    """Return a literal as a short text for a message; never recurses into what a builder nested."""
    return repr(value)[:60] if isinstance(value, str | int | float) else f"a {type(value).__name__}"
