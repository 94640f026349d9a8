"""Rewards with ground truth: how well a plan agrees with a reference, and a picture with the one that should come out.

The form follows Lego-Edit's second stage (arXiv 2509.12883: graph matching, threshold .6); its formulas are not public,
so those below are this project's own. Every term is kept apart, for the logs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ImageColor
from scipy.optimize import linear_sum_assignment
from skimage.color import deltaE_ciede2000, rgb2lab

from lego.core.errors import WorkflowError
from lego.core.registry import Registry
from lego.core.signature import Param
from lego.core.steps import Ref
from lego.core.values import Image, Mask
from lego.core.workflow import Bound, Workflow

TOOLS, EDGES, ARGS = 0.40, 0.35, 0.25  # weights of the graph's three parts
FORMAT, GRAPH = 0.1, 0.9  # weights of form and graph in the whole
PER_REPAIR = 0.25  # of the form, for each thing that had to be mended to read the plan
FAULTY = 0.2  # over one more than the number of its problems is what a plan that cannot run is worth
SUCCESS = 0.6  # of the graph: from here on a plan counts as right, as in the paper
SAME_PLACE = 0.5  # how much it counts for a match that two steps lie alike in their graphs, beside alike arguments
NEAR = 0.7  # of the wanted number: a difference that halves its score ...
LEAST, TOLERANCE = 0.02, 0.15  # ... but at least and at most these shares of its range
COLOR_TOLERANCE = 10.0  # CIEDE2000 that halves a colour's score: 2 is just seen, 20 is another colour
_LITTLE = "a an the of in on at to its it his her their this that some all 的 了 个 把 将 这 那"
LITTLE = frozenset(_LITTLE.split())  # words that name no thing
ALIKE, ALIKE_COLOR = 0.5, 0.25  # of an argument: as near as the tolerances say; everybody has a blue of their own
LEAK = 8.0  # of 255: mean change outside the mask at which nothing is left of that half


@dataclass(frozen=True)
class Reward:
    """What a plan or a picture is worth, 0..1, and the terms that it is made of."""

    total: float
    terms: Mapping[str, float]

    @property
    def success(self) -> bool:
        """Does it count as right (graph at least `SUCCESS`)?"""
        return self.terms.get("graph", self.total) >= SUCCESS


def plan(
    predicted: Workflow | str,
    references: Sequence[Workflow],
    registry: Registry,
    given: Mapping[str, str] | None = None,
    repairs: int = 0,
) -> Reward:
    """Compare a plan with one or several right ones; the best agreement counts.

    ``total = .1 format + .9 graph``, ``format = max(0, 1 - .25 repairs)``, ``graph = .4 F1(tools) + .35 F1(edges) + .25
    arguments``. Text that is no workflow is worth 0; a plan with problems at most .1, the less the more it has. Steps
    too many cost as much as steps too few.

    Args:
        predicted: a workflow or its JSON.
        references: right plans, which have no problems.
        registry: the tools on offer.
        given: kinds of the given values, as in `Workflow.check`.
        repairs: how many things were mended before the text could be read.

    Raises:
        WorkflowError: a reference has problems.
        ValueError: there is no reference.
    """
    if not references:
        raise ValueError("there is no reference to compare with")
    targets = [reference.bind(registry, given) for reference in references]
    form = max(0.0, 1 - PER_REPAIR * repairs)
    try:
        workflow = Workflow.load(predicted) if isinstance(predicted, str) else predicted
    except WorkflowError:
        return Reward(0.0, {"parsed": 0.0})
    problems = workflow.check(registry, given)
    if problems:
        return Reward(FAULTY / (1 + len(problems)), {"parsed": 1.0, "problems": float(len(problems)), "graph": 0.0})
    steps, results = workflow.bind(registry, given)
    best = max((_compared(steps, results, *target) for target in targets), key=lambda terms: terms["graph"])
    return Reward(FORMAT * form + GRAPH * best["graph"], {"parsed": 1.0, "problems": 0.0, "format": form, **best})


def agree(
    predicted: Workflow, references: Sequence[Workflow], registry: Registry, given: Mapping[str, str] | None = None
) -> bool:
    """Is a plan one of the right ones: the same graph, and each argument that the reference gives at least half alike?

    What the reference leaves open may be anything.
    """
    if predicted.check(registry, given):
        return False
    steps, results = predicted.bind(registry, given)
    return any(_same(steps, results, *reference.bind(registry, given)) for reference in references)


def _same(
    steps: Sequence[Bound], results: Sequence[Ref], wanted: Sequence[Bound], wanted_results: Sequence[Ref]
) -> bool:
    terms = _compared(steps, results, wanted, wanted_results)
    if terms["tools"] < 1 or terms["edges"] < 1:
        return False
    return all(
        similar(param, steps[i].args[param.name], wanted[j].args[param.name])
        >= (ALIKE_COLOR if param.format == "color" else ALIKE)
        for i, j in _matched(steps, wanted)
        for param in wanted[j].tool.params
        if param.name in wanted[j].step.args and not _refs(wanted[j].args[param.name])
    )


def picture(result: Image, target: Image, source: Image, mask: Mask | None = None) -> Reward:
    """Compare a picture with the one that should come out, inside the mask, and with the source outside of it.

    ``inside = max(0, 1 - |result - target| / |source - target|)``: the share of the wanted change that was made; an
    unchanged picture has 0. ``outside = max(0, 1 - mean |result - source| / 8)``. ``total`` is their mean where there
    is an outside, times .2 if nothing was achieved inside: doing nothing is worth little.

    Args:
        mask: where the picture may change; None for everywhere.

    Returns:
        0 where the sizes of result and target differ.
    """
    if result.size != target.size:
        return Reward(0.0, {"size": 0.0, "inside": 0.0, "outside": 0.0})
    made, wanted = result.pixels.astype(np.float32), target.pixels.astype(np.float32)
    if source.size != target.size:  # geometry: there is no change pixel by pixel to compare with
        close = max(0.0, 1 - float(np.abs(made - wanted).mean()) / LEAK)
        return Reward(close, {"size": 1.0, "inside": close, "outside": 1.0})
    before = source.pixels.astype(np.float32)
    where = np.ones(wanted.shape[:2], np.bool_) if mask is None else mask.pixels > 0
    due = float(np.abs(before - wanted)[where].mean()) if where.any() else 0.0
    left = float(np.abs(made - wanted)[where].mean()) if where.any() else 0.0
    inside = max(0.0, 1 - left / due) if due > 0 else float(left == 0)
    if where.all():
        return Reward(inside, {"size": 1.0, "inside": inside, "outside": 1.0})
    outside = max(0.0, 1 - float(np.abs(made - before)[~where].mean()) / LEAK)
    total = (inside + outside) / 2 * (1 if inside > 0 else 0.2)
    return Reward(total, {"size": 1.0, "inside": inside, "outside": outside})


def similar(param: Param, first: Any, second: Any) -> float:
    """How alike two values of a parameter are, 0..1.

    Numbers: ``2^-(difference / near)``, with near = .7 of the second number, within .02 and .15 of the range; 0 for
    opposite signs. Colours: ``2^-(CIEDE2000 / 10)``. Words that name a thing: F1 of their
    words without articles (of their character pairs in Chinese). Text to be shown, choices and switches: same or not.
    Lists: item by item, over the longer length.
    """
    if first is None or second is None:
        return float(first is second)
    if isinstance(first, list) and isinstance(second, list):
        each = sum(similar(param, a, b) for a, b in zip(first, second, strict=False))
        return each / max(len(first), len(second), 1)
    if param.kind in ("number", "integer"):
        if first * second < 0:
            return 0.0  # the other way round is no near miss
        span = (param.high - param.low) if param.high is not None and param.low is not None else abs(second)
        near = min(TOLERANCE * span, max(NEAR * abs(second), LEAST * span))
        return float(2 ** -(abs(first - second) / (near or 1)))
    if param.format == "color":
        labs = [rgb2lab(np.array([[ImageColor.getrgb(c)[:3]]], np.uint8)) for c in (first, second)]
        return float(2 ** -(float(deltaE_ciede2000(*labs)[0, 0]) / COLOR_TOLERANCE))
    if param.format == "target":
        return _overlap(Counter(_words(first)), Counter(_words(second)))
    if param.format == "text":
        return float(" ".join(str(first).split()) == " ".join(str(second).split()))
    return float(first == second)


def _words(text: str) -> list[str]:
    found = re.findall(r"[a-z0-9]+", text.lower())
    chinese = "".join(c for c in re.findall(r"[\u3400-\u9fff]", text) if c not in LITTLE)
    pairs = [chinese[n : n + 2] for n in range(len(chinese) - 1)] or list(chinese)
    return [word for word in found if word not in LITTLE] + pairs


def _overlap(first: Counter[Any], second: Counter[Any]) -> float:
    """F1 of two multisets; two empty ones agree."""
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


def _compared(
    steps: Sequence[Bound], results: Sequence[Ref], wanted: Sequence[Bound], wanted_results: Sequence[Ref]
) -> dict[str, float]:
    """Tools, edges and arguments of two graphs, the steps matched so that they agree best."""
    pairs = _matched(steps, wanted)
    names = {steps[i].step.id: wanted[j].step.id for i, j in pairs}
    mine = _edges(steps, results, names)
    theirs = _edges(wanted, wanted_results, {step.step.id: step.step.id for step in wanted})
    tools = _overlap(Counter(s.tool.name for s in steps), Counter(s.tool.name for s in wanted))
    args = [_alike(steps[i], wanted[j]) for i, j in pairs]
    terms = {
        "tools": tools,
        "edges": _overlap(mine, theirs),
        "args": sum(args) / max(len(steps), len(wanted), 1) if args else float(not steps and not wanted),
    }
    return {**terms, "graph": TOOLS * terms["tools"] + EDGES * terms["edges"] + ARGS * terms["args"]}


def _matched(steps: Sequence[Bound], wanted: Sequence[Bound]) -> list[tuple[int, int]]:
    """Pairs of steps of the same tool, chosen so that arguments and places agree best (optimal assignment)."""
    if not steps or not wanted:
        return []
    gain = np.zeros((len(steps), len(wanted)))
    above, above_wanted = _ancestry(steps), _ancestry(wanted)
    for i, step in enumerate(steps):
        for j, other in enumerate(wanted):
            if step.tool.name == other.tool.name:
                same = above[step.step.id] == above_wanted[other.step.id]
                gain[i, j] = 1 + _alike(step, other) + SAME_PLACE * same
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if gain[i, j] > 0]


def _ancestry(steps: Sequence[Bound]) -> dict[str, str]:
    """For each step a hash of the tools that it rests on, the same for the same graph above it."""
    known: dict[str, str] = {}
    for step in steps:
        parents = {
            name: [known.get(ref.step, f"${ref.step}") + "." + ref.output for ref in refs]
            for name, value in step.args.items()
            if (refs := _refs(value))
        }
        text = json.dumps([step.tool.name, parents], sort_keys=True)
        known[step.step.id] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return known


def _refs(value: Any) -> list[Ref]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, Ref)]


def _edges(steps: Sequence[Bound], results: Sequence[Ref], names: Mapping[str, str]) -> Counter[tuple[str, ...]]:
    """Every arrow of a graph: from where, which output, into which parameter of which step (or the result)."""
    ids = {step.step.id for step in steps}

    def name(step: str) -> str:
        return names.get(step, f"unmatched {step}") if step in ids else f"${step}"

    found = [
        (name(ref.step), ref.output, name(step.step.id), param)
        for step in steps
        for param, value in step.args.items()
        for ref in _refs(value)
    ]
    return Counter([*found, *((name(ref.step), ref.output, "", "result") for ref in results)])


def _alike(first: Bound, second: Bound) -> float:
    """Mean likeness of the literal arguments, defaults filled in; 1 for steps without any."""
    params = [p for p in first.tool.params if p.kind not in ("image", "mask")]
    scores = []
    for param in params:
        a, b = first.args.get(param.name), second.args.get(param.name)
        if param.name in first.step.args or param.name in second.step.args:  # two untouched defaults say nothing
            scores.append(float(bool(_refs(a)) == bool(_refs(b))) if _refs(a) or _refs(b) else similar(param, a, b))
    return sum(scores) / len(scores) if scores else 1.0
