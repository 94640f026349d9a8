"""Rewards without ground truth: what a plan shows by itself, by its run and by its picture.

The form follows Lego-Edit's third stage (arXiv 2509.12883): a gate on execution, and a critic that counts what is
missing and what is too much. The paper judges the text of the plan only; here the picture counts too. Formulas and
weights are this project's own. `rewards` has those with ground truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.builder.measures import Pair, degenerate
from lego.core.errors import LegoError, WorkflowError
from lego.core.registry import Registry
from lego.core.signature import REFERABLE
from lego.core.steps import Ref
from lego.core.values import Image, Mask
from lego.core.workflow import Bound, Workflow
from lego.editor import Editor, EditResult
from lego.rl.back_translation import back_translation
from lego.rl.judges import Judge, judgement, question
from lego.rl.rewards import FAULTY, Reward
from lego.rl.wording import Deed, deeds, describe, needed, refs

RAN, CRITIC, PICTURE = 0.3, 0.4, 0.3  # weights of a clean run, of the critic, and of what is to be seen
PARTIAL = 0.2  # of the share of steps that were done, where the run failed
BOTH_WAYS = ("flip", "invert", "mask_invert")  # done twice alike, these tools undo themselves
EFFECTS = ("amount", "strength")  # a tool's whole effect, beside the number that has the tool's own name ...
EXTENTS = ("radius", "length", "angle", "dx", "dy", "left", "right", "top", "bottom", "width")  # ... or else all these
VISIBLE = 8.0  # of 255: a change that anybody sees
MOST_CHANGED, WITHIN = 0.01, 0.1  # shares of the pixels of a picture, and of those in a mask, that are looked at
WIDENED, ROUND = 2, 6  # times what a step is told to widen its mask by, and px on top: for shadows that hug a thing
SMALLEST, LARGEST = 8, 8  # px of a side; times the side that it was
UNSEEN = 0.5  # of the picture's worth, for a mask or a text: it is there, but nothing shows that it is the right one


def validity(plan: Workflow | str, registry: Registry, given: Mapping[str, str] | None = None) -> Reward:
    """Is it a workflow without problems?

    ``total`` = 1 if so, .2 / (1 + problems) for one with problems, 0 for text that is none.

    Args:
        given: kinds of the given values, as in `Workflow.check`.
    """
    try:
        workflow = Workflow.load(plan)
    except WorkflowError:
        return Reward(0.0, {"parsed": 0.0})
    problems = workflow.check(registry, given)
    return Reward(FAULTY / (1 + len(problems)) if problems else 1.0, {"parsed": 1.0, "problems": float(len(problems))})


def redundancy(workflow: Workflow, registry: Registry, given: Mapping[str, str] | None = None) -> Reward:
    """Are all its steps of use?

    ``total = 1 - redundant / steps``. Redundant is a step that no result needs (``unused``), that does what one before
    it did in the same place (``repeated``), that another one undoes, as two flips or +.5 and -.5 stops (``cancelled``,
    both), or whose amount is 0 (``idle``). The terms are shares of all steps.

    Returns:
        0 for a plan with problems or without steps.
    """
    try:
        steps, results = workflow.bind(registry, given)
        done = deeds(workflow, registry, given)
    except WorkflowError:
        steps = []
    if not steps:
        return Reward(0.0, dict.fromkeys(("unused", "repeated", "cancelled", "idle"), 0.0))
    wanted = needed(steps, results)
    cancelled = _cancelled(done) | _undone_masks(steps)
    found = {
        "unused": {step.step.id for step in steps} - wanted,
        "repeated": _repeated(done, [step for step in steps if step.step.id not in cancelled]),
        "cancelled": cancelled,
        "idle": {step.step.id for step in steps if _idle(step)},
    }
    total = 1 - len(set().union(*found.values())) / len(steps)
    return Reward(total, {name: len(ids) / len(steps) for name, ids in found.items()})


def execution(outcome: EditResult | LegoError) -> Reward:
    """Did it run?

    ``total`` = 1 if every result came out, else .2 of the share of steps that were done (``done``).

    Args:
        outcome: what `attempt` gave.
    """
    if isinstance(outcome, EditResult):
        return Reward(1.0, {"ran": 1.0, "done": 1.0})
    kept, failed = len(outcome.details.get("kept", ())), len(outcome.details.get("failed", ()))
    done = kept / (kept + failed) if kept + failed else 0.0
    return Reward(PARTIAL * done, {"ran": 0.0, "done": done})


def attempt(
    editor: Editor, workflow: Workflow, given: Mapping[str, Image | Mask], seed: int = 0
) -> EditResult | LegoError:
    """Run a plan; one that fails is an outcome as well.

    Args:
        given: "image" and, as far as the plan may use them, "mask", "reference", "reference2", ...
    """
    references = [value for name, value in given.items() if name not in ("image", "mask")]
    try:
        return editor.run(
            workflow,
            given["image"],  # type: ignore[arg-type]  # by this name it is a picture, and references are
            mask=given.get("mask"),  # type: ignore[arg-type]
            references=references,  # type: ignore[arg-type]
            seed=seed,
        )
    except LegoError as error:
        return error


def text_critic(
    instruction: str, workflow: Workflow, registry: Registry, judge: Judge, given: Mapping[str, str] | None = None
) -> Reward | None:
    """Let a language model count what is missing in a plan and what is too much, as the paper's critic does.

    ``total = 1 / (1 + add + remove)``. Instruction and plan go into the prompt as JSON data on one line each, with
    every line break and ``<`` escaped: nothing in them can end the quotation or pass for a control token.

    Returns:
        None where the judge gave no usable answer: that sample is to be left out. 0 for a plan with problems.

    Raises:
        TrainingError: the judge cannot be asked at all.
    """
    try:
        told = describe(workflow, registry, given).split("\n")
    except WorkflowError:
        return Reward(0.0, {})
    counts = judgement(judge(question(instruction, told)))
    if counts is None:
        return None
    add, remove = counts
    return Reward(1 / (1 + add + remove), {"add": float(add), "remove": float(remove)})


def pixel_facts(
    before: Image,
    after: Any,
    workflow: Workflow,
    registry: Registry,
    outputs: Mapping[str, Mapping[str, Any]],
    given: Mapping[str, Image | Mask] | None = None,
) -> Reward:
    """Did what should change change, did the rest stay, and is it still a picture?

    ``total = sane * changed * (inside + outside) / 2``.

    ``sane``: 0 for a picture that is all but constant, over 99 % black or white, below 8 px or over eight times as
    wide or high, unless the source was so. ``changed``: mean change of the most changed hundredth of the pixels, over
    8 of 255, at most 1; 1 for another size. ``inside``: the same of the most changed tenth within the mask,
    averaged over the steps that edit; of steps without a mask as ``changed``. ``outside``: share of the steps of
    local tools with a mask that left all outside as it was, bit for bit. Which way it changed is not judged.

    Args:
        before: the source.
        after: what came out. A mask or a text is worth .5, if it is neither empty nor all.
        outputs: what the steps gave, `EditResult.run.outputs`; a step that is missing there is not judged.
        given: the given values by name, by default the source alone.
    """
    if not isinstance(after, Image):
        there = 0 < after.share < 1 if isinstance(after, Mask) else bool(str(after).strip())
        return Reward(UNSEEN * there, {"sane": float(there), "changed": 0.0, "inside": 0.0, "outside": 1.0})
    values = given or {"image": before}
    kinds = {name: "mask" if isinstance(value, Mask) else "image" for name, value in values.items()}
    inside, outside = [], []
    for deed in deeds(workflow, registry, kinds):
        facts = _step_facts(deed.bound, values, outputs)
        if facts:
            inside.append(facts[0])
            outside += [] if facts[1] is None else [facts[1]]
    sane, changed = float(_sane(before, after)), _changed(before, after)
    terms = {
        "sane": sane,
        "changed": changed,
        "inside": sum(inside) / len(inside) if inside else changed,
        "outside": sum(outside) / len(outside) if outside else 1.0,
    }
    return Reward(sane * changed * (terms["inside"] + terms["outside"]) / 2, terms)


def without_truth(
    instruction: str,
    plan: Workflow | str,
    given: Mapping[str, Image | Mask],
    editor: Editor,
    judge: Judge | None = None,
    seed: int = 0,
) -> Reward | None:
    """Judge a plan for which no right one is known: run it, and weigh its form, the critic and the picture.

    ``total`` = 0 for what is no valid plan, fails, or takes no step; else ``.3 redundancy + .4 critic + .3 picture``.

    Args:
        instruction: the user's words.
        plan: a workflow or its JSON.
        given: "image" and what else there is.
        editor: runs it, with its registry.
        judge: for `text_critic`; without one, `back_translation` is the critic.

    Returns:
        None where the judge gave no usable answer.

    Raises:
        TrainingError: the judge cannot be asked at all.
    """
    kinds = {name: "mask" if isinstance(value, Mask) else "image" for name, value in given.items()}
    valid = validity(plan, editor.registry, kinds)
    if valid.total < 1:
        return Reward(0.0, {"valid": 0.0, "ran": 0.0})
    workflow = Workflow.load(plan)
    form = redundancy(workflow, editor.registry, kinds)
    outcome = attempt(editor, workflow, given, seed)
    if not isinstance(outcome, EditResult) or form.total == 0:
        return Reward(0.0, {"valid": 1.0, "ran": float(isinstance(outcome, EditResult)), "form": form.total})
    if judge:
        critic = text_critic(instruction, workflow, editor.registry, judge, kinds)
    else:
        critic = back_translation(instruction, workflow, editor.registry, kinds)
    if critic is None:
        return None
    after = outcome.images[0] if outcome.images else outcome.values[0]
    picture = pixel_facts(outcome.source, after, workflow, editor.registry, outcome.run.outputs, given)
    terms = {"valid": 1.0, "ran": 1.0, "form": form.total, "critic": critic.total, "picture": picture.total}
    total = RAN * form.total + CRITIC * critic.total + PICTURE * picture.total
    return Reward(total, {**terms, **form.terms, **critic.terms, **picture.terms})


def _repeated(done: Sequence[Deed], steps: Sequence[Bound]) -> set[str]:
    """Ids of deeds done before in the same place, and of other steps with the very same arguments."""
    seen: set[str] = set()
    found = set()
    keys = {deed.bound.step.id: deed.signature for deed in done}
    for step in steps:
        key = keys.get(step.step.id) or f"{step.tool.name} {sorted(step.args.items(), key=lambda item: item[0])!r}"
        if key in seen:
            found.add(step.step.id)
        seen.add(key)
    return found


def _cancelled(done: Sequence[Deed]) -> set[str]:
    """Ids of the deeds that a later one resting on them undoes, and of those that undo them."""
    waiting: list[Deed] = []
    found: set[str] = set()
    for deed in done:
        other = next((o for o in waiting if o.bound.step.id in deed.after and _opposite(o, deed)), None)
        if other is None:
            waiting.append(deed)
        else:
            waiting.remove(other)
            found |= {other.bound.step.id, deed.bound.step.id}
    return found


def _opposite(first: Deed, second: Deed) -> bool:
    """Does the second undo the first: the same tool in the same place, turned round?"""
    tool = first.bound.tool
    if tool.name != second.bound.tool.name or first.place != second.place:
        return False
    if tool.name in BOTH_WAYS:
        return first.signature == second.signature
    signed = [p for p in tool.params if p.kind in ("number", "integer") and not p.many and (p.low or 0) < 0]
    others = [p.name for p in tool.params if p not in signed and p.kind not in REFERABLE]
    pairs = [(first.bound.args[p.name] or 0, second.bound.args[p.name] or 0, p.unit) for p in signed]
    if not any(a for a, _, _ in pairs) or any(first.bound.args[n] != second.bound.args[n] for n in others):
        return False
    return all(abs(a + b) < 1e-6 or (unit == "degrees" and (a + b) % 360 == 0) for a, b, unit in pairs)


def _undone_masks(steps: Sequence[Bound]) -> set[str]:
    """Ids of masks turned round and round again."""
    turned = {step.step.id for step in steps if step.tool.name == "mask_invert"}
    pairs = [(step.step.id, name) for step in steps if step.step.id in turned for name in step.needs if name in turned]
    return {name for pair in pairs for name in pair}


def _idle(step: Bound) -> bool:
    """Is its amount 0? By the names of numbers that amounts have among the embedded tools."""
    numbers = {p.name: step.args.get(p.name) for p in step.tool.params if p.kind in ("number", "integer")}
    for name in (step.tool.name, *EFFECTS):
        if name in numbers:
            return bool(numbers[name] == 0)
    extents = [numbers[name] for name in EXTENTS if name in numbers]
    others = [name for name in step.step.args if name not in numbers and not refs(step.args.get(name))]
    return bool(extents) and not others and all(value == 0 for value in extents)


def _step_facts(
    step: Bound, given: Mapping[str, Image | Mask], outputs: Mapping[str, Mapping[str, Any]]
) -> tuple[float, float | None] | None:
    """How much changed where a step was to work, and whether all else stayed; None if its pictures are not known."""
    source = next((_find(step.args[p.name], given, outputs) for p in step.tool.params if p.kind == "image"), None)
    made = next((value for value in outputs.get(step.step.id, {}).values() if isinstance(value, Image)), None)
    if not isinstance(source, Image) or made is None:
        return None
    mask = next((_find(step.args[p.name], given, outputs) for p in step.tool.params if p.kind == "mask"), None)
    if not isinstance(mask, Mask) or source.size != made.size or mask.size != made.size:
        return _changed(source, made), None
    if step.tool.scope != "local":
        return _changed(source, made), None
    change = Pair(source, made).change
    where = mask.pixels > 127
    inside = _seen(change[where], WITHIN) if where.any() else 0.0
    return inside, float(not change[_reach(step, mask) == 0].any())


def _reach(step: Bound, mask: Mask) -> NDArray[np.uint8]:
    """Where a step may work: its mask, widened if it is told to widen it."""
    grow = step.args.get("grow")
    if not isinstance(grow, int | float) or not grow:
        return mask.pixels
    reach = math.ceil(WIDENED * grow * math.sqrt(np.count_nonzero(mask.pixels))) + ROUND
    return np.asarray(cv2.dilate(mask.pixels, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), np.uint8)


def _find(value: Any, given: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]) -> Any:
    ref = next(iter(refs(value)), None)
    if not isinstance(ref, Ref):
        return None
    return outputs[ref.step].get(ref.output) if ref.step in outputs else given.get(ref.step)


def _changed(before: Image, after: Image) -> float:
    if before.size != after.size:
        return 1.0
    return _seen(Pair(before, after).change, MOST_CHANGED)


def _seen(change: NDArray[np.uint8], share: float) -> float:
    """Mean of the most changed share of the pixels, over what anybody sees."""
    ordered = np.sort(change, axis=None)
    return min(1.0, float(ordered[-max(1, round(share * ordered.size)) :].mean()) / VISIBLE)


def _sane(before: Image, after: Image) -> bool:
    sides = list(zip(before.size, after.size, strict=True))
    if any(new < min(SMALLEST, old) or new > LARGEST * old for old, new in sides):
        return False
    return not degenerate(after.pixels) or degenerate(before.pixels)
