"""The critic that needs no model: it reads the user's words by the rules, and measures whether the picture shows it.

What the words ask for is read anew, not taken from the plan: so a plan that means something else is found out. A
tool's card says what can be measured (`lego.core.effects`); of a tool that says nothing only a change can be seen.
Where the rules do not understand the words, or nothing can be measured, the verdict is missing.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lego.builder import measures
from lego.builder.base import Request, Review
from lego.builder.measures import Pair
from lego.builder.rules import Rules, Understood
from lego.builder.thinking import Thinker
from lego.builder.verdict import HIGHEST, Outcome, Scores, Verdict
from lego.core.effects import MEASURES
from lego.core.errors import LegoError, PlanError
from lego.core.registry import Tool
from lego.core.steps import Step
from lego.core.values import Mask
from lego.core.workflow import Workflow

Status: TypeAlias = Literal["met", "omitted", "wrong", "unknown"]
SEEN = 0.01  # share of a place that must change visibly for an edit to be there
STILL = 0.35  # share of a thing's own pixels that may look as before after its removal: shadows and what is alike
UNFIT = 3.0  # standard deviations by which a filled place may differ from its surroundings
SPILL = 0.002  # share of the pixels elsewhere that may have changed: outlines found twice differ by a few
ROOM = 0.02  # of the long side: how far around the place that was meant an edit may reach
WIDENED = 2  # times what a step is told to widen its mask by: for shadows that hug a thing
LIGHT = {"lightness": 60.0, "contrast": 30.0, "color": 70.0, "saturation": 25.0, "warmth": 15.0}
OTHER_LIGHT = 8.0  # L by which a place may become lighter or darker for any other kind of deed
TINGED, TURNED = 8.0, 25.0  # Lab units, or degrees where the light changes, by which a mean colour may move unasked
PALED = 0.4  # times the colourfulness that it had
KEPT = 0.4  # correlation of detail with what it was
PART = 0.01  # share of a place that may change otherwise than the rest
LINE = 5.0  # L by which an outline may stand out as a line
UNASKED, TRACED = 4.0, 5.0  # the most that is given where something was changed unasked, where the work shows
READ = 400  # px of the long side to which what is small is enlarged before it is read
TEXT_ROOM = 1.0  # heights of a text around it that belong to it
RATIO = 0.03  # by which sides may miss a ratio that was asked for
WAYS = {
    "lightness": ("lighter", "darker"), "contrast": ("richer in contrast", "flatter"),
    "saturation": ("more colourful", "paler"), "warmth": ("warmer", "cooler"),
    "magenta": ("more magenta", "greener"), "sharpness": ("sharper", "softer"), "grain": ("grainier", "cleaner"),
}  # fmt: skip


@dataclass(frozen=True)
class Deed:
    """What the words ask for: a step that makes a picture, where, and the clause that says so.

    Attributes:
        mask: the reference to where; "" for the whole picture.
        place: that place in the source; None for the whole picture, or if it cannot be found.
        planned: the plan says just so; then it is the tool's fault if it cannot be seen.
    """

    step: Step
    tool: Tool[..., Any]
    said: str
    mask: str = ""
    place: Mask | None = None
    planned: bool = False

    @property
    def kind(self) -> str:
        return self.tool.effect.kind if self.tool.effect else ""

    @property
    def sign(self) -> int:
        """Which way its measure is to go."""
        own = self.tool.param(self.tool.name)
        value = self.step.args.get(self.tool.name, own.default if own else 0)
        turned = own is not None and (own.low or 0) < 0 and isinstance(value, int | float) and value < 0
        return (self.tool.effect.sign if self.tool.effect else 1) * (-1 if turned else 1)

    @property
    def where(self) -> str:
        return f"the place of '{self.said or self.tool.name}'" if self.mask else "the picture"


@dataclass(frozen=True)
class Check:
    """What was found of a deed; without one, of the rest of the picture: then it says which score that spoils."""

    status: Status
    sentence: str = ""
    deed: Deed | None = None
    spoils: Literal["", "restraint", "naturalness", "cleanness"] = ""


class Observer:
    """The critic "pixels"; see `lego.builder.critic.Critic`.

    ``scores``: success is 10 times the share of what could be checked and was met; restraint 10, or 4 where anything
    was changed unasked, less 20 times the share of pixels that changed where they should not; naturalness 10, or 5
    where a filled place does not fit; cleanness 10, or 5 with a seam; both 0 for what is no picture.

    Args:
        thinker: knows what abstract words mean.
    """

    name = "pixels"

    def __init__(self, thinker: Thinker | None = None) -> None:
        self.thinker = thinker or Thinker()

    def review(self, review: Review) -> Verdict:
        """Measure a result; see `Critic.review`."""
        if not measures.sane(review.after) and measures.sane(review.before):
            wrong = Check("wrong", "the result is all but one colour")
            return _verdict([wrong], Scores(0, 0, 0, 0))
        if review.after.digest == review.before.digest:
            return _verdict([Check("omitted", "nothing was changed")], Scores(0, HIGHEST, HIGHEST, HIGHEST))
        try:
            understood = self._understood(review.request)
        except PlanError as error:
            return Verdict("missing", f"the words are not understood by the rules: {error.message}")
        deeds = list(_deeds(understood, review))
        if review.before.size != review.after.size or any(deed.tool.scope == "geometric" for deed in deeds):
            checks = [_reshaped(deed, review) for deed in deeds]
            if not any(deed.tool.scope == "geometric" for deed in deeds):
                width, height = review.after.size
                told = f"the picture is now {width} x {height}, which nobody asked for"
                checks.append(Check("wrong", told, spoils="restraint"))
            return _verdict(checks, _scores(checks, 0.0))
        pair = Pair(review.before, review.after)
        checks = [_checked(deed, [pair, *(_steps(deed, review) if len(deeds) > 1 else ())], review) for deed in deeds]
        deeds = [check.deed for check in checks if check.deed]  # now with the places of texts
        share = _spilled(deeds, pair)
        checks += [*_elsewhere(share), *_unasked(deeds, pair), *(c for deed in deeds for c in _traces(deed, pair))]
        return _verdict(checks, _scores(checks, share))

    def _understood(self, request: Request) -> Understood:
        request = replace(request, history=())
        thought = self.thinker.known(request.instruction)
        return Rules().read(replace(request, instruction=thought.concrete) if thought else request)


def _deeds(understood: Understood, review: Review) -> Iterator[Deed]:
    """What the words ask for, with its places looked for in the source."""
    workflow, tools = understood.plan.workflow, {tool.name: tool for tool in review.request.tools}
    for step in workflow.steps:
        tool = tools[step.tool]
        if not any(output.kind == "image" for output in tool.outputs):
            continue
        name = next((p.name for p in tool.params if p.kind == "mask" and p.name in step.args), "")
        mask = str(step.args[name]) if name else ""
        place = _found(workflow, mask, review) if mask else None
        planned = any(other.tool == step.tool and _plain(other) == _plain(step) for other in review.workflow.steps)
        yield Deed(step, tool, understood.said.get(step.id, ""), mask, place, planned)


def _plain(step: Step) -> dict[str, Any]:
    """The arguments of a step that are no references."""
    return {name: value for name, value in step.args.items() if not str(value).startswith("$")}


def _steps(deed: Deed, review: Review) -> list[Pair]:
    """The steps of the plan whose tools promise what the deed does, as far as they keep the picture's size."""
    kinds = {tool.name: tool.effect.kind for tool in review.request.tools if tool.effect}
    return [
        Pair(before, after)
        for name, before, after in review.steps
        if before.size == after.size and kinds.get(name) == deed.kind
    ]


def _found(workflow: Workflow, mask: str, review: Review) -> Mask | None:
    try:
        found = review.run(Workflow(workflow.steps, mask), review.request.values)[0]
    except LegoError:
        return None
    return found if isinstance(found, Mask) and found.size == review.before.size else None


def _checked(deed: Deed, pairs: Sequence[Pair], review: Review) -> Check:
    """Hold a deed against the picture; ``pairs``: source and result, then the steps of a plan of several."""
    pair = pairs[0]
    if deed.mask and deed.place is None:
        return Check("unknown", deed=deed)
    if deed.kind in MEASURES and "kelvin" not in deed.step.args:
        return _measured(deed, pairs)
    if deed.kind == "gone" and deed.place is not None:
        return _gone(deed, deed.place, pair)
    if deed.kind == "color":
        return _colored(deed, pairs)
    if deed.kind == "text":
        return _readable(deed, pairs, review)
    if deed.kind == "mirror":
        right = measures.mirrored(pair, deed.step.args.get("direction") == "vertical")
        return Check("met" if right else "wrong", "the picture is not mirrored", deed)
    there = measures.seen(pair, deed.place if deed.tool.scope == "local" else None) >= SEEN
    return Check("met" if there else "omitted", f"nothing was done in {deed.where}", deed)


def _measured(deed: Deed, pairs: Sequence[Pair]) -> Check:
    """Does the measure go the right way: in all, or in a step of the plan where others may hide it?"""
    values = pairs[0].measured(deed.kind, deed.place)
    if values is None:
        return Check("unknown", deed=deed)
    way = measures.moved(deed.kind, *values)
    told = f"{deed.kind} {values[0]:.1f} before, {values[1]:.1f} after"
    later = (found for pair in pairs[1:] if (found := pair.measured(deed.kind, deed.place)))
    if way == deed.sign or any(measures.moved(deed.kind, *found) == deed.sign for found in later):
        return Check("met", told, deed)
    wanted = WAYS[deed.kind][0 if deed.sign > 0 else 1]
    if deed.kind == "contrast" and deed.sign > 0 and measures.seen(pairs[0], deed.place) >= SEEN:
        return Check("unknown", deed=deed)  # a bright or dark picture has little to push apart
    if way:
        return Check("wrong", f"{deed.where} should become {wanted} and did the opposite ({told})", deed)
    bound = _at_its_end(deed, values[0])
    return Check(
        "unknown" if bound else "omitted", f"{deed.where} should become {wanted} and hardly did ({told})", deed
    )


def _at_its_end(deed: Deed, before: float) -> bool:
    """Can the measure not go much further: no colour to lose, no noise to take away?"""
    least = {"saturation": 2.0, "grain": 1.0, "sharpness": 0.5, "contrast": 2.0}
    return deed.sign < 0 and deed.kind in least and before < least[deed.kind]


def _gone(deed: Deed, place: Mask, pair: Pair) -> Check:
    left = measures.remains(pair, place)
    if left is None:
        there = measures.seen(pair, place) < SEEN
        return Check("omitted" if there else "met", f"nothing was taken out of {deed.where}", deed)
    told = f"{left:.0%} of it look as before"
    return Check("omitted" if left > STILL else "met", f"what was to be removed is still there ({told})", deed)


def _colored(deed: Deed, pairs: Sequence[Pair]) -> Check:
    name = next((p.name for p in deed.tool.params if p.format == "color" and p.name in deed.step.args), "")
    found = measures.color_of(pairs[0], deed.place)
    if not name or found is None:
        return Check("unknown", deed=deed)
    color = str(deed.step.args[name])
    later = (made for pair in pairs[1:] if (made := measures.color_of(pair, deed.place)))
    if measures.is_color(found[1], color) or any(measures.is_color(made[1], color) for made in later):
        return Check("met", deed=deed)
    changed = float(abs(found[1] - found[0]).max()) > measures.STEP
    return Check("wrong" if changed else "omitted", f"{deed.where} did not get the colour {color}", deed)


def _readable(deed: Deed, pairs: Sequence[Pair], review: Review) -> Check:
    """Can a text be read where the picture changed?"""
    name = next((p.name for p in reversed(deed.tool.params) if p.format == "text" and p.name in deed.step.args), "")
    text = str(deed.step.args.get(name, "")).replace('"', "")
    finder = next((t for t in review.request.tools if any(p.format == "target" for p in t.params)), None)
    if not text or finder is None:
        return Check("unknown", deed=deed)
    told = f'the text "{text}" cannot be read in the picture'
    box = measures.touched(pairs[-1])  # of the step that wrote it, where that is known
    if box is None or not any(step.tool == deed.tool.name for step in review.workflow.steps):
        return Check("omitted", told, deed)
    target = next(p.name for p in finder.params if p.format == "target")
    image = next(p.name for p in finder.params if p.kind == "image")
    look = Workflow((Step("s1", finder.name, {image: "$image", target: f'"{text}"'}),), "$s1")
    part, times = measures.enlarged(review.after, box, READ)
    try:
        found = review.run(look, {"image": part})[0]
    except LegoError as error:  # without a reader here nobody can tell
        return Check("wrong" if error.code == "not_found" else "unknown", told, deed)
    if not isinstance(found, Mask) or found.box is None:
        return Check("wrong", told, deed)
    left, top, right, bottom = (side / times + box[n % 2] for n, side in enumerate(found.box))
    room, (width, height) = TEXT_ROOM * (bottom - top), review.after.size
    sides = (max(0, left - room), max(0, top - room), min(width, right + room), min(height, bottom + room))
    return Check("met", told, replace(deed, place=Mask.from_box(review.after.size, sides)))


def _reshaped(deed: Deed, review: Review) -> Check:
    """Of a deed beside one that changes the picture's shape: by the steps of the plan, if it is about all of it."""
    if deed.tool.scope != "geometric":
        pairs = _steps(deed, review)
        if not pairs and deed.kind in (*MEASURES, "gone", "color"):
            return Check("omitted", f"nothing was done for '{deed.said or deed.tool.name}'", deed)
        return Check("unknown", deed=deed) if deed.mask or not pairs else _checked(deed, pairs, review)
    if deed.kind == "mirror" and review.before.size == review.after.size:
        return _checked(deed, [Pair(review.before, review.after)], review)
    width, height = review.after.size
    args = deed.step.args
    for param in deed.tool.params:
        if param.format == "ratio" and isinstance(args.get(param.name), str):
            wide, high = (float(side) for side in args[param.name].split(":"))
            if abs(width / height / (wide / high) - 1) > RATIO + 1 / min(width, height):
                return Check("wrong", f"the picture is {width} x {height} and not {args[param.name]}", deed)
    turned = args.get("angle")
    if deed.tool.name == "rotate" and isinstance(turned, int | float) and turned % 180 == 90:
        right = review.before.size == (height, width)
        return Check("met" if right else "wrong", "the picture was not turned", deed)
    return Check("met", deed=deed)


def _spilled(deeds: Sequence[Deed], pair: Pair) -> float:
    """Share of the pixels away from all places that changed; 0 where an edit may be anywhere."""
    places = [
        deed.place for deed in deeds if deed.place is not None and (deed.tool.scope == "local" or deed.kind == "text")
    ]
    if not deeds or len(places) < len(deeds):
        return 0.0
    union = functools.reduce(operator.or_, places)
    grows = [float(deed.step.args.get("grow", p.default)) for deed in deeds if (p := deed.tool.param("grow"))]
    reach = round(ROOM * max(pair.before.size))
    reach += math.ceil(WIDENED * max(grows, default=0.0) * math.sqrt(union.share * union.pixels.size))
    return measures.spilled(pair, union, reach)


def _elsewhere(share: float) -> list[Check]:
    sentence = f"{share:.1%} of the picture changed where nothing was to be done"
    return [Check("wrong", sentence, spoils="restraint")] if share > SPILL else []


def _unasked(deeds: Sequence[Deed], pair: Pair) -> Iterator[Check]:
    """What changed in the places, and in the rest of the picture, that no deed explains."""
    whole = [deed for deed in deeds if not deed.mask and deed.kind != "text"]
    places = [(deed.where, pair.place(deed.place)) for deed in deeds if deed.place is not None]
    rest = np.ones(pair.labs[0].shape[:2], bool)
    for _, where in places:
        rest &= ~where
    for name, where in [*places, *([("the picture", rest)] if whole else [])]:
        here = [deed for deed in deeds if deed in whole or (deed.place is not None and deed.where == name)]
        if where.sum() >= measures.FEWEST and all(deed.kind for deed in here):
            yield from _side_effects(name, {deed.kind for deed in here}, where, pair)
    kinds = {deed.kind for deed in deeds}
    if whole and all(deed.kind for deed in deeds) and "mirror" not in kinds:
        for vertical in (False, True):
            if measures.mirrored(pair, vertical, clearly=True):
                yield _uncalled("the picture was mirrored")


def _side_effects(name: str, kinds: set[str], where: NDArray[np.bool_], pair: Pair) -> Iterator[Check]:
    """What changed in a place beside what deeds of these kinds do there."""
    if kinds & {"gone", "text", "mirror"}:
        return
    light, tinge, turn, faded, kept = measures.shifted(pair, where)
    if abs(light) > max([LIGHT.get(kind, OTHER_LIGHT) for kind in kinds]):
        yield _uncalled(f"{name} became much {'lighter' if light > 0 else 'darker'}")
    toned = bool(kinds & {"lightness", "contrast"})
    if not kinds & {"saturation", "color", "warmth", "magenta"} and (
        faded < PALED or (turn > TURNED if toned else tinge > TINGED)
    ):
        yield _uncalled(f"the colours of {name} changed")
    if not kinds & {"sharpness", "grain", "color"} and kept < KEPT:
        yield _uncalled(f"the detail of {name} is lost")
    if not kinds & {"contrast", "color", "saturation"} and measures.uneven(pair, where) > PART:
        yield _uncalled(f"a part of {name} changed otherwise than the rest")


def _uncalled(what: str) -> Check:
    return Check("wrong", f"{what}, which nobody asked for", spoils="restraint")


def _traces(deed: Deed, pair: Pair) -> Iterator[Check]:
    """Traces of the work: a filled place that does not fit, a seam."""
    if deed.place is None or deed.kind in ("", "text"):
        return
    if deed.mask != "$mask" and measures.halo(pair, deed.place) > LINE:
        yield Check("wrong", f"there is a line around {deed.where}", spoils="cleanness")
    if deed.kind != "gone":
        return
    if measures.misfit(pair, deed.place) > UNFIT:
        yield Check("wrong", f"what fills {deed.where} does not fit its surroundings", spoils="naturalness")
    if measures.seam(pair, deed.place) > measures.STEP:
        yield Check("wrong", f"there is a seam around {deed.where}", spoils="cleanness")


def _scores(checks: Sequence[Check], spilled: float) -> Scores | None:
    known = [check for check in checks if check.deed and check.status != "unknown"]
    spoilt = {check.spoils for check in checks}
    if not known and spoilt <= {""}:
        return None
    success = HIGHEST * sum(check.status == "met" for check in known) / len(known) if known else 0.0
    restraint = max(0.0, (UNASKED if "restraint" in spoilt else HIGHEST) - 20 * spilled)
    natural, clean = (TRACED if name in spoilt else HIGHEST for name in ("naturalness", "cleanness"))
    return Scores(success, restraint, natural, clean)


def _verdict(checks: Sequence[Check], scores: Scores | None) -> Verdict:
    faults = [check for check in checks if check.status in ("omitted", "wrong")]
    met = [check for check in checks if check.status == "met"]
    findings = tuple(check.sentence for check in faults)
    facts: dict[str, Any] = {"checks": [[c.deed.tool.name if c.deed else "", c.status, c.sentence] for c in checks]}
    facts["blamed"] = [c.deed.tool.name for c in faults if c.deed and c.deed.planned]
    if not faults and not met:
        return Verdict("missing", "nothing that was asked for can be measured", facts=facts)
    if not faults:
        return Verdict("success", f"{len(met)} of {len(met)} wishes can be seen", scores=scores, facts=facts)
    left = [check.deed.said for check in faults if check.deed]
    then = ", then ".join(filter(None, left))
    going = bool(met) and all(check.status == "omitted" for check in faults) and all(left)
    outcome: Outcome = "refine" if going else "failed"
    return Verdict(outcome, "; ".join(findings), then if going else "", findings, scores, facts)
