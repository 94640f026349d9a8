"""Rewards without ground truth, each by itself, and together with a judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import lego
import lego.tools  # registers the embedded tools
from lego.core.errors import LegoError, TrainingError, WorkflowError
from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.rl import critics, scenes
from lego.rl.rewards import Reward

Step = tuple[str, dict[str, Any]]
SCENE = scenes.make(5)
DRAWN = scenes.render(SCENE, (120, 90))
PICTURE = DRAWN.image
RED: Step = ("segment", {"image": "$image", "target": "red"})
GIVEN: dict[str, Image | Mask] = {"image": PICTURE}


def flow(*steps: Step, result: str = "") -> Workflow:
    """Steps named t1, t2, ...; ``image`` is the step before unless it is given."""
    rows = []
    for number, (tool, args) in enumerate(steps, 1):
        before = f"$t{number - 1}" if number > 1 else "$image"
        takes = registry[tool].param("image") is not None if tool in registry else True
        rows.append({"id": f"t{number}", "tool": tool, "args": ({"image": before} if takes else {}) | args})
    return Workflow.load({"version": 1, "steps": rows, "result": result or f"$t{len(rows)}"})


@pytest.fixture(scope="module")
def editor() -> lego.Editor:
    return lego.Editor()


def facts(editor: lego.Editor, plan: Workflow, given: Mapping[str, Image | Mask] = GIVEN) -> Reward:
    outcome = critics.attempt(editor, plan, given)
    assert isinstance(outcome, lego.EditResult), outcome
    after = outcome.images[0] if outcome.images else outcome.values[0]
    return critics.pixel_facts(outcome.source, after, plan, registry, outcome.run.outputs, given)


def test_validity_is_all_or_little() -> None:
    assert critics.validity(flow(("sepia", {})), registry).total == 1
    assert critics.validity(flow(("sepia", {})).json(), registry).total == 1
    one, two = flow(("sepia", {"amount": 9.0})), flow(("sepia", {"amount": 9.0, "colour": 1}))
    assert critics.validity(one, registry).total == pytest.approx(0.1)
    assert critics.validity(two, registry).total == pytest.approx(0.2 / 3)
    for text in ("once upon a time", "", "[" * 10_000, '{"version": 1, "steps": ['):
        assert critics.validity(text, registry).total == 0
    drawn = flow(("blur", {"mask": "$mask"}))
    assert critics.validity(drawn, registry).total < 1
    assert critics.validity(drawn, registry, {"image": "image", "mask": "mask"}).total == 1


@pytest.mark.parametrize(
    ("plan", "term", "share"),
    [
        (flow(("sepia", {}), ("blur", {"image": "$image"})), "unused", 1 / 2),
        (flow(("sepia", {}), ("blur", {}), ("sepia", {})), "repeated", 1 / 3),
        (flow(("flip", {}), ("flip", {})), "cancelled", 1),
        (flow(("flip", {}), ("blur", {}), ("flip", {})), "cancelled", 2 / 3),
        (flow(("flip", {}), ("flip", {}), ("flip", {})), "cancelled", 2 / 3),
        (flow(("exposure", {"exposure": 0.5}), ("exposure", {"exposure": -0.5})), "cancelled", 1),
        (flow(("rotate", {"angle": 90.0}), ("rotate", {"angle": 270.0})), "cancelled", 1),
        (flow(("invert", {}), ("invert", {})), "cancelled", 1),
        (flow(("exposure", {"exposure": 0.0})), "idle", 1),
        (flow(("vignette", {"amount": 0.0}), ("sepia", {})), "idle", 1 / 2),
        (flow(("sharpen", {"amount": 0.0, "radius": 2.0})), "idle", 1),
        (flow(("rotate", {"angle": 0.0})), "idle", 1),
        (flow(("trim", {})), "idle", 1),
        (flow(("blur", {"radius": 0.0})), "idle", 1),
    ],
)
def test_steps_of_no_use_are_counted(plan: Workflow, term: str, share: float) -> None:
    found = critics.redundancy(plan, registry)
    assert found.terms[term] == pytest.approx(share)
    assert found.total == pytest.approx(1 - share)


def test_masks_turned_round_twice_and_found_twice_are_of_no_use() -> None:
    find: Step = ("segment", {"image": "$image", "target": "sky"})
    turned = flow(find, ("mask_invert", {"mask": "$t1"}), ("mask_invert", {"mask": "$t2"}),
                  ("blur", {"image": "$image", "mask": "$t3"}))  # fmt: skip
    assert critics.redundancy(turned, registry).terms["cancelled"] == pytest.approx(1 / 2)
    twice = flow(find, find, ("mask_union", {"first": "$t1", "second": "$t2"}),
                 ("blur", {"image": "$image", "mask": "$t3"}))  # fmt: skip
    assert critics.redundancy(twice, registry).terms["repeated"] == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    "plan",
    [
        flow(("flip", {"direction": "horizontal"}), ("flip", {"direction": "vertical"})),
        flow(("exposure", {"exposure": 0.5}), ("exposure", {"exposure": -0.3})),
        flow(("rotate", {"angle": 90.0}), ("rotate", {"angle": 45.0})),
        flow(("blur", {"radius": 2.0}), ("sepia", {}), ("sharpen", {})),
        flow(RED, ("remove", {"image": "$image", "mask": "$t1", "grow": 0.0})),
        flow(("flip", {"image": "$image"}), ("side_by_side", {"picture": "$image"})),
        flow(RED, ("recolor", {"image": "$image", "mask": "$t1", "color": "blue"}),
             ("segment", {"image": "$image", "target": "green"}),
             ("recolor", {"image": "$t2", "mask": "$t3", "color": "blue"})),
        flow(("add_text", {"text": "a", "position": "top"}), ("add_text", {"text": "a", "position": "bottom"})),
        flow(("perspective", {})),
        flow(("straighten", {})),
        flow(("move", {"mask": "$mask", "to": "left"})),
    ],
)  # fmt: skip
def test_steps_that_look_alike_but_do_something_are_not(plan: Workflow) -> None:
    kinds = {"image": "image", "mask": "mask"}
    assert critics.redundancy(plan, registry, kinds).total == 1, critics.redundancy(plan, registry, kinds).terms


def test_a_plan_without_steps_or_with_problems_has_no_form() -> None:
    empty = Workflow.load({"version": 1, "steps": [], "result": "$image"})
    for plan in (empty, flow(("nothing_like_it", {}))):
        assert critics.redundancy(plan, registry).total == 0


def test_execution_tells_how_far_it_went(editor: lego.Editor) -> None:
    assert critics.execution(critics.attempt(editor, flow(("sepia", {})), GIVEN)).total == 1
    broken = flow(
        ("sepia", {}), ("segment", {"target": "the purple elephant"}), ("blur", {"image": "$t1", "mask": "$t2"})
    )
    outcome = critics.attempt(editor, broken, GIVEN)
    assert isinstance(outcome, LegoError)
    found = critics.execution(outcome)
    assert found.terms["ran"] == 0
    assert 0 < found.total == pytest.approx(0.2 * found.terms["done"])
    assert found.terms["done"] == pytest.approx(1 / 3)
    never = critics.attempt(editor, flow(("no_such_tool", {})), GIVEN)
    assert isinstance(never, WorkflowError)
    assert critics.execution(never).total == 0


def test_a_picture_changed_where_it_should_is_worth_all(editor: lego.Editor) -> None:
    disc = Mask(DRAWN.masks[0].pixels)
    given = {**GIVEN, "mask": disc}
    for plan in (
        flow(("exposure", {"exposure": 0.5})),
        flow(("recolor", {"mask": "$mask", "color": "purple"})),
        flow(("remove", {"mask": "$mask"})),
        flow(("crop", {"ratio": "1:1"}), ("sketch", {})),
        flow(("rotate", {"angle": 90.0})),
        flow(("cut", {"mask": "$mask", "trim": False}), result="$t1.image"),
    ):
        found = facts(editor, plan, given)
        assert found.total > 0.9, (plan, found.terms)


def test_an_unchanged_picture_is_worth_nothing_and_a_hardly_changed_one_little(editor: lego.Editor) -> None:
    assert facts(editor, flow(("exposure", {"exposure": 0.0}))).total == 0
    assert facts(editor, flow(("flip", {}), ("flip", {}))).total == 0
    assert facts(editor, flow(("exposure", {"exposure": 0.01}))).total < 0.4
    nowhere = {**GIVEN, "mask": Mask(np.zeros((90, 120), np.uint8))}
    assert facts(editor, flow(("recolor", {"mask": "$mask", "color": "red"})), nowhere).total == 0


@pytest.mark.parametrize(
    "ruined",
    [
        np.zeros((90, 120, 3), np.uint8), np.full((90, 120, 3), 255, np.uint8), np.full((90, 120, 3), 90, np.uint8),
        np.zeros((4, 120, 3), np.uint8) + np.arange(120, dtype=np.uint8)[:, None],
    ],
)  # fmt: skip
def test_a_ruined_picture_is_worth_nothing(ruined: np.ndarray[Any, Any]) -> None:
    plan = flow(("sepia", {}))
    assert critics.pixel_facts(PICTURE, Image(ruined), plan, registry, {}).total == 0


def test_a_source_that_is_black_or_small_itself_may_stay_so(editor: lego.Editor) -> None:
    black = np.zeros((90, 120, 3), np.uint8)
    given: dict[str, Image | Mask] = {"image": Image(black)}
    assert facts(editor, flow(("add_text", {"text": "."})), given).terms["sane"] == 1
    dot: dict[str, Image | Mask] = {"image": Image(black[:3, :5] + np.arange(5, dtype=np.uint8)[:, None] * 40)}
    assert facts(editor, flow(("invert", {})), dot).terms["sane"] == 1


def test_a_step_that_leaks_out_of_its_mask_is_seen() -> None:
    plan = flow(("exposure", {"mask": "$mask", "exposure": 1.0}))
    mask = Mask(DRAWN.masks[0].pixels)
    clean = PICTURE.pixels.copy()
    clean[mask.pixels > 0] //= 2
    leaking = clean.copy()
    leaking[-1, -1] ^= 1  # a single level of a single pixel
    worth = [
        critics.pixel_facts(PICTURE, Image(p), plan, registry, {"t1": {"image": Image(p)}}, {**GIVEN, "mask": mask})
        for p in (clean, leaking)
    ]
    assert [w.terms["outside"] for w in worth] == [1, 0]
    assert worth[1].total <= worth[0].total - 0.4


def test_a_mask_or_a_text_alone_is_worth_half_at_most(editor: lego.Editor) -> None:
    assert facts(editor, flow(("segment", {"target": "yellow"}))).total == 0.5
    assert facts(editor, flow(("describe", {}), result="$t1.text")).total == 0.5
    assert facts(editor, flow(("segment_box", {"refine": False}))).total == 0  # all of the picture


class Counting:
    """A judge that knows which tools are right and counts those that it reads in the plan."""

    def __init__(self, *right: str) -> None:
        self.right, self.asked = set(right), ""

    def __call__(self, prompt: str) -> str:
        self.asked = prompt
        line = next(line for line in prompt.splitlines() if line.startswith("PLAN: "))
        found = {told.partition("[")[2].partition("]")[0] for told in json.loads(line.removeprefix("PLAN: "))}
        return json.dumps({"add": len(self.right - found), "remove": len(found - self.right)})


def test_the_text_critic_pays_by_what_is_missing_and_too_much() -> None:
    judge = Counting("sepia", "vignette")

    def worth(*tools: str) -> float:
        found = critics.text_critic("make it look old", flow(*((tool, {}) for tool in tools)), registry, judge)
        assert found is not None
        return found.total

    assert worth("sepia", "vignette") == 1
    assert worth("sepia") == 0.5
    assert worth("sepia", "vignette", "grain") == 0.5
    assert worth("blur") == 0.25
    assert '"make it look old"' in judge.asked
    assert "Blur the picture or a part of it" in judge.asked


def test_without_a_judgement_there_is_no_reward_and_bad_plans_need_no_judge(editor: lego.Editor) -> None:
    good, bad = flow(("sepia", {})), flow(("no_such_tool", {}))
    assert critics.text_critic("x", good, registry, lambda prompt: "hm") is None
    assert critics.without_truth("x", good, GIVEN, editor, lambda prompt: "") is None

    def never(prompt: str) -> str:
        raise AssertionError("the judge was asked about a plan that cannot run")

    for plan in (bad, "no plan", flow(("segment", {"target": "the purple elephant"}))):
        found = critics.without_truth("x", plan, GIVEN, editor, never)
        assert found is not None
        assert found.total == 0
    worthless = critics.text_critic("x", bad, registry, never)
    assert worthless is not None
    assert worthless.total == 0


def test_a_judge_that_cannot_be_asked_stops_the_training(editor: lego.Editor) -> None:
    def gone(prompt: str) -> str:
        raise TrainingError("the judge does not answer")

    with pytest.raises(TrainingError):
        critics.without_truth("make it sepia", flow(("sepia", {})), GIVEN, editor, gone)


def test_the_whole_is_the_weighted_sum_of_its_parts(editor: lego.Editor) -> None:
    plan = flow(("sepia", {}), ("sepia", {}), ("vignette", {}))
    for judge in (None, Counting("sepia", "vignette", "grain")):
        found = critics.without_truth("make it sepia with a vignette", plan, GIVEN, editor, judge)
        assert found is not None
        terms = found.terms
        assert found.total == pytest.approx(0.3 * terms["form"] + 0.4 * terms["critic"] + 0.3 * terms["picture"])
        assert terms["form"] == pytest.approx(2 / 3)
        assert ("add" in terms) == (judge is not None)
        assert ("covered" in terms) == (judge is None)
    with_json = critics.without_truth("make it sepia with a vignette", plan.json(), GIVEN, editor)
    assert with_json == critics.without_truth("make it sepia with a vignette", plan, GIVEN, editor)


def test_drawn_masks_and_second_pictures_are_handed_to_the_plan(editor: lego.Editor) -> None:
    given: dict[str, Image | Mask] = {
        **GIVEN,
        "mask": Mask(DRAWN.masks[0].pixels),
        "reference": scenes.render(scenes.make(9), (120, 90)).image,
    }
    plan = flow(("fill_picture", {"mask": "$mask", "picture": "$reference"}))
    found = critics.without_truth("put the other picture where I marked", plan, given, editor)
    assert found is not None
    assert found.terms["picture"] == 1
