"""A workflow told in words, from the cards of its tools: for critics that read, and for people."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from skimage.color import deltaE_ciede2000, rgb2lab

from lego.builder.lexicon import COLORS
from lego.core.registry import Registry
from lego.core.signature import REFERABLE, Param
from lego.core.steps import Ref
from lego.core.workflow import Bound, Workflow

PLAIN = ("black", "gray", "white", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "magenta", "pink",
         "brown", "navy", "teal", "beige")  # fmt: skip


@dataclass(frozen=True)
class Deed:
    """A step that does something to be seen: it makes a picture, or what it makes is a result.

    Attributes:
        bound: the step with its arguments.
        place: on what, in words: "the red cup", "everything but the sky"; "" for the whole picture.
        targets: the words in ``place`` that the plan itself chose.
        after: ids of the deeds that it rests on, through any number of steps.
    """

    bound: Bound
    place: str
    targets: tuple[str, ...]
    after: frozenset[str]

    @cached_property
    def said(self) -> dict[str, Any]:
        """The literal arguments that the plan gives, without the defaults."""
        params = {p.name for p in self.bound.tool.params if p.kind not in REFERABLE}
        return {name: self.bound.args[name] for name in self.bound.step.args if name in params}

    @cached_property
    def signature(self) -> str:
        """The same for two steps that do the same thing in the same place, one after the other or not."""
        others = [
            repr(value)
            for param in self.bound.tool.params
            if param.kind == "image" and param.name != "image" and (value := self.bound.args.get(param.name))
        ]
        return json.dumps([self.bound.tool.name, self.said, self.place, others], sort_keys=True, default=str)


def deeds(workflow: Workflow, registry: Registry, given: Mapping[str, str] | None = None) -> list[Deed]:
    """Return what a workflow does, in order: steps that no result needs, and the finding of places, are left out.

    Raises:
        WorkflowError: the workflow has problems.
    """
    steps, results = workflow.bind(registry, given)
    known = {step.step.id: step for step in steps}
    wanted = needed(steps, results)
    shown = {ref.step for ref in results}
    done = {
        name for name in wanted if name in shown or any(output.kind == "image" for output in known[name].tool.outputs)
    }
    above: dict[str, frozenset[str]] = {}
    found = []
    for step in steps:
        name = step.step.id
        above[name] = frozenset[str]().union(*(above[n] | ({n} & done) for n in step.needs if n in above))
        if name in done:
            places = [value for p in step.tool.params if p.kind == "mask" and (value := step.args.get(p.name))]
            if not any(output.kind == "image" for output in step.tool.outputs):
                places = [Ref(name)]  # a mask that is asked for is its own place
            told = [_place(ref, known) for value in places for ref in refs(value)]
            place = " and ".join(words for words, _ in told)
            found.append(Deed(step, place, tuple(t for _, targets in told for t in targets), above[name]))
    return found


def describe(workflow: Workflow, registry: Registry, given: Mapping[str, str] | None = None) -> str:
    """Tell a workflow in English, a numbered sentence for each thing that it does; the same plan gives the same text.

    Texts and names that the plan chose stand in JSON quotes, so that they cannot be taken for anything else.

    Raises:
        WorkflowError: the workflow has problems.
    """
    return "\n".join(f"{n}. {_sentence(deed)}" for n, deed in enumerate(deeds(workflow, registry, given), 1))


def needed(steps: Sequence[Bound], results: Sequence[Ref]) -> set[str]:
    """Return the ids of the steps that the results rest on; the executor runs no other."""
    known = {step.step.id: step for step in steps}
    found: set[str] = set()
    queue = [ref.step for ref in results]
    while queue:
        name = queue.pop()
        if name in known and name not in found:
            found.add(name)
            queue.extend(known[name].needs)
    return found


def refs(value: Any) -> list[Ref]:
    """Return the references in an argument, which may be a list."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, Ref)]


@functools.lru_cache(maxsize=4096)
def color_name(color: str) -> str:
    """Return the plain English name nearest to a colour (``#rrggbb``), by CIEDE2000."""
    names, labs = _named()
    return names[int(np.argmin(deltaE_ciede2000(_lab(color), labs)))]


@functools.cache
def _named() -> tuple[list[str], NDArray[np.float64]]:
    """Plain names, each with the shade that builders mean by it and with the one of the web."""
    shades = [(name, shade) for name in PLAIN for shade in {COLORS.get(name, name), name}]
    return [name for name, _ in shades], np.concatenate([_lab(shade) for _, shade in shades])


def _lab(color: str) -> NDArray[np.float64]:
    return np.asarray(rgb2lab(np.array([[ImageColor.getrgb(color)[:3]]], np.uint8))[0], np.float64)


def _sentence(deed: Deed) -> str:
    sentence = deed.bound.tool.sentence.rstrip(".。")
    params = {p.name: p for p in deed.bound.tool.params}
    told = [f"{name.replace('_', ' ')} {_value(params[name], value)}" for name, value in deed.said.items()]
    place = f"Where: {deed.place}. " if deed.place else ""
    return f"[{deed.bound.tool.name}] {sentence}. {place}" + (f"With {', '.join(told)}." if told else "")


def _value(param: Param, value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(param, item) for item in value) + "]"
    if param.format == "color" and isinstance(value, str):
        return f"{color_name(value)} ({value})"
    if param.kind in ("number", "integer") and value is not None:
        return f"{value:+g} {param.unit}".strip() if (param.low or 0) < 0 else f"{value:g} {param.unit}".strip()
    return json.dumps(value, ensure_ascii=False)


def _place(ref: Ref, known: Mapping[str, Bound]) -> tuple[str, list[str]]:
    """Words for a mask, and the targets in them."""
    step = known.get(ref.step)
    if step is None:
        return "the part that the user marked", []
    name = step.tool.name
    targets = [str(step.args[p.name]) for p in step.tool.params if p.format == "target" and step.args.get(p.name)]
    if targets:
        return " and ".join(json.dumps(target, ensure_ascii=False) for target in targets), targets
    inner = [
        _place(inside, known) for p in step.tool.params if p.kind == "mask" for inside in refs(step.args.get(p.name))
    ]
    words = [text for text, _ in inner]
    below = [target for _, found in inner for target in found]
    if name == "mask_invert" and words:
        return f"everything but {words[0]}", below
    if name == "mask_subtract" and len(words) == 2:
        return f"{words[0]} without {words[1]}", below
    if name in ("mask_union", "mask_intersect"):
        return (" and " if name == "mask_union" else " where it is also ").join(words), below
    told = Deed(step, "", (), frozenset()).said
    args = "".join(f", {key} {json.dumps(value, ensure_ascii=False)}" for key, value in told.items())
    return f"{name.replace('_', ' ')}{args}" + (f" of {' and '.join(words)}" if words else ""), below
