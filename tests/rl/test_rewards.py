"""Rewards: right plans in any form get all of it, and tricks get little."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import lego.tools  # registers the embedded tools
from lego.core.errors import WorkflowError
from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.rl import rewards, scenes

GIVEN = {"image": "image"}
Step = tuple[str, str, dict[str, Any]]


def flow(*steps: Step, result: str = "") -> Workflow:
    rows = [{"id": name, "tool": tool, "args": args} for name, tool, args in steps]
    return Workflow.load({"version": 1, "steps": rows, "result": result or f"${steps[-1][0]}"})


def of(predicted: Workflow | str, *references: Workflow, repairs: int = 0) -> rewards.Reward:
    return rewards.plan(predicted, references, registry, GIVEN, repairs)


CUP: Step = ("s1", "segment", {"image": "$image", "target": "the red cup"})
RIGHT = flow(
    CUP,
    ("s2", "recolor", {"image": "$image", "mask": "$s1", "color": "#1f5fd0"}),
    ("s3", "exposure", {"image": "$s2", "exposure": 0.6}),
)


def test_the_same_plan_gets_everything_whatever_its_steps_are_called() -> None:
    assert of(RIGHT, RIGHT).total == pytest.approx(1.0)
    renamed = flow(
        ("find", "segment", {"image": "$image", "target": "red cup"}),
        ("paint", "recolor", {"image": "$image", "mask": "$find", "color": "#1f5fd0", "keep_shading": 0.75}),
        ("light", "exposure", {"image": "$paint", "exposure": 0.6}),
    )
    found = of(renamed, RIGHT)
    assert found.total == pytest.approx(1.0)
    assert found.success


def test_the_order_of_independent_steps_does_not_count() -> None:
    sky: Step = ("s2", "segment", {"image": "$image", "target": "the sky"})
    last: Step = ("s3", "mask_union", {"first": "$s1", "second": "$s2"})
    assert of(flow(sky, CUP, last), flow(CUP, sky, last)).total == pytest.approx(1.0)


def test_the_best_of_several_references_counts() -> None:
    other = flow(("s1", "brightness", {"image": "$image", "brightness": 30.0}))
    assert of(RIGHT, other, RIGHT).total == pytest.approx(1.0)
    assert of(RIGHT, other).total < 0.4


def test_near_arguments_lose_little_and_far_ones_more() -> None:
    def with_exposure(stops: float, color: str = "#1f5fd0", target: str = "the red cup") -> float:
        steps = (
            ("s1", "segment", {"image": "$image", "target": target}),
            ("s2", "recolor", {"image": "$image", "mask": "$s1", "color": color}),
            ("s3", "exposure", {"image": "$s2", "exposure": stops}),
        )
        return of(flow(*steps), RIGHT).total

    assert 1 > with_exposure(0.7) > with_exposure(1.5) > with_exposure(-2.0) > 0.8
    assert 1 > with_exposure(0.6, "#2a66d6") > with_exposure(0.6, "#40a0d0") > with_exposure(0.6, "#d02020")
    assert 1 > with_exposure(0.6, target="red cup on the left") > with_exposure(0.6, target="the green plate")


def test_what_cannot_run_or_is_no_plan_is_worth_next_to_nothing() -> None:
    assert of("once upon a time", RIGHT).total == 0
    assert of('{"version": 1, "steps": [', RIGHT).total == 0
    unknown = flow(("s1", "enlarge_nose", {"image": "$image"}))
    far = flow(("s1", "exposure", {"image": "$image", "exposure": 99}), ("s2", "flip", {"image": "$s9"}))
    assert 0 < of(far, RIGHT).total < of(unknown, RIGHT).total <= 0.1
    assert not of(far, RIGHT).success


def test_repairs_cost_a_part_of_the_form() -> None:
    assert of(RIGHT, RIGHT, repairs=2).total == pytest.approx(0.95)
    assert of(RIGHT, RIGHT, repairs=9).total == pytest.approx(0.9)


def everything() -> Workflow:
    """A step of every tool that takes one picture only, in a chain."""
    steps: list[Step] = []
    for tool in registry:
        needs = [p for p in tool.params if p.required and p.name != "image"]
        if not needs and tool.param("image") and [o.kind for o in tool.outputs] == ["image"]:
            before = f"$t{len(steps)}" if steps else "$image"
            steps.append((f"t{len(steps) + 1}", tool.name, {"image": before}))
    return flow(*steps)


@pytest.mark.parametrize("trick", ["empty", "echo", "everything", "repeated", "masks only", "right tools, wrong wires"])
def test_tricks_get_little(trick: str) -> None:
    tricks: dict[str, Workflow | str] = {
        "empty": json.dumps({"version": 1, "steps": [], "result": "$image"}),
        "echo": flow(("s1", "flip", {"image": "$image"}), result="$image"),
        "everything": everything(),
        "repeated": flow(CUP, *(copy_of_the_paint(n) for n in range(12)), result="$r11"),
        "masks only": flow(CUP),
        "right tools, wrong wires": flow(
            CUP,
            ("s2", "recolor", {"image": "$image", "mask": "$s1", "color": "#d02020"}),
            ("s3", "exposure", {"image": "$image", "exposure": -2.0}),
            result="$image",
        ),
    }
    found = of(tricks[trick], RIGHT)
    assert found.total < (0.75 if trick == "right tools, wrong wires" else 0.5), found.terms


def copy_of_the_paint(number: int) -> Step:
    return (f"r{number}", "recolor", {"image": "$image", "mask": "$s1", "color": "#1f5fd0"})


def test_a_reference_with_problems_and_none_at_all_are_refused() -> None:
    with pytest.raises(WorkflowError):
        of(RIGHT, flow(("s1", "no_such_tool", {"image": "$image"})))
    with pytest.raises(ValueError, match="no reference"):
        of(RIGHT)


def test_a_picture_is_worth_what_changed_inside_and_what_stayed_outside() -> None:
    scene = scenes.make(5)
    drawn = scenes.render(scene)
    source, mask = drawn.image, Mask(drawn.masks[0].pixels)
    target = scenes.render(scene.recolored(0, "blue" if scene.items[0].color != "blue" else "red")).image
    assert rewards.picture(target, target, source, mask).total == 1
    assert rewards.picture(source, target, source, mask).total == pytest.approx(0.1)  # nothing done
    half = Image(((source.pixels.astype(int) + target.pixels) // 2).astype(np.uint8))
    assert rewards.picture(half, target, source, mask).terms["inside"] == pytest.approx(0.5, abs=0.02)
    leaking = Image(np.where(mask.pixels[..., None] > 0, target.pixels, 255 - source.pixels))
    assert rewards.picture(leaking, target, source, mask).total == pytest.approx(0.5)
    noise = Image(np.random.default_rng(0).integers(0, 256, source.pixels.shape, dtype=np.uint8))
    assert rewards.picture(noise, target, source, mask).total < 0.2
    smaller = Image(np.ascontiguousarray(source.pixels[:-1]))
    assert rewards.picture(smaller, target, source, mask).total == 0


def test_a_cut_or_turned_picture_is_compared_with_the_target_alone() -> None:
    source = scenes.render(scenes.make(5)).image
    target = Image(np.ascontiguousarray(source.pixels[10:, 5:]))
    assert rewards.picture(target, target, source).total == 1
    shifted = Image(np.ascontiguousarray(source.pixels[:-10, :-5]))
    assert rewards.picture(shifted, target, source).total < 0.5
