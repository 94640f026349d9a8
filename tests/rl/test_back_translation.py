"""The plan told in words again: what the words ask for is found in it, and what they do not ask for costs."""

from __future__ import annotations

import time
from typing import Any

import pytest

import lego.tools  # registers the embedded tools
from lego.builder.calls import Call, workflow_of
from lego.core.registry import registry
from lego.core.workflow import Workflow
from lego.rl.back_translation import back_translation
from lego.rl.rewards import Reward


def call(tool: str, on: str = "", **args: Any) -> Call:
    return Call(tool=tool, args=args, on=on)


def worth(instruction: str, *calls: Call) -> Reward:
    return back_translation(instruction, workflow_of(calls, registry), registry)


PLANS: dict[str, tuple[Call, ...]] = {
    "turn the red cup blue": (call("recolor", "red cup", color="blue"),),
    "make it brighter and blur everything but the dog": (call("exposure", exposure=0.6), call("blur", "not: dog")),
    'write "SALE 50%" at the top in yellow, then crop to 1:1': (
        call("add_text", text="SALE 50%", position="top", color="yellow"),
        call("crop", ratio="1:1"),
    ),
    "convert the photo to black and white and add a vignette": (call("black_and_white"), call("vignette")),
    "remove the person on the left and sharpen the picture": (call("remove", "person on the left"), call("sharpen")),
    "rotate 90 degrees, then put a 20 px black border around it": (
        call("rotate", angle=90.0),
        call("border", width=20, color="black"),
    ),
    "把红色杯子变成蓝色，然后整体调亮一点": (call("recolor", "红色杯子", color="blue"), call("exposure", exposure=0.4)),
    "把背景虚化，再裁成正方形": (call("blur", "背景"), call("crop", ratio="1:1")),
    "照片太暗了，提亮一些，并写上“新年快乐”": (call("exposure", exposure=0.6), call("add_text", text="新年快乐")),
    "去掉左边的人，饱和度提高30%": (call("remove", "左边的人"), call("saturation", saturation=30.0)),
}


@pytest.mark.parametrize("instruction", PLANS)
def test_the_right_plan_is_worth_much_and_more_than_that_of_any_other_wish(instruction: str) -> None:
    right = worth(instruction, *PLANS[instruction]).total
    assert right > 0.7
    others = [worth(instruction, *calls).total for wish, calls in PLANS.items() if wish != instruction]
    assert max(others) < right - 0.2


@pytest.mark.parametrize(
    ("instruction", "right", "wrong"),
    [
        ("turn the red cup blue", call("recolor", "red cup", color="blue"), call("recolor", "red cup", color="green")),
        ("turn the red cup blue", call("recolor", "red cup", color="#2060c8"), call("recolor", "table", color="blue")),
        ("make it darker", call("exposure", exposure=-0.6), call("exposure", exposure=0.6)),
        ("把照片调暗", call("exposure", exposure=-0.6), call("exposure", exposure=0.6)),
        ("flip vertically", call("flip", direction="vertical"), call("flip", direction="horizontal")),
        ("rotate by 30 degrees", call("rotate", angle=30.0), call("rotate", angle=90.0)),
        ("饱和度提高30%", call("saturation", saturation=30.0), call("saturation", saturation=-80.0)),
        ('write "Hello"', call("add_text", text="Hello"), call("add_text", text="Goodbye")),
        ('write "Hello"', call("add_text", text="Hello"), call("add_text", text='write "Hello"')),
        ("写上“你好”", call("add_text", text="你好"), call("add_text", text="写上“你好”")),
        ("crop to 4:5", call("crop", ratio="4:5"), call("crop", ratio="16:9")),
    ],
)
def test_a_wrong_colour_place_direction_number_or_text_costs(instruction: str, right: Call, wrong: Call) -> None:
    assert worth(instruction, wrong).total < worth(instruction, right).total - 0.15


def test_what_is_missing_is_not_covered_and_what_is_too_much_is_not_called_for() -> None:
    instruction = "remove the person on the left and sharpen the picture"
    both = PLANS[instruction]
    assert worth(instruction, both[0]).terms["covered"] < 0.7
    assert worth(instruction, *both, call("sepia"), call("vignette")).terms["called"] < 0.6
    assert worth(instruction, *both).total > worth(instruction, *both, call("sepia")).total + 0.1


def test_a_deed_done_again_is_called_for_once() -> None:
    once, twice = (worth("sharpen it", *[call("sharpen", amount=0.5)] * n).terms["called"] for n in (1, 2))
    assert twice == pytest.approx(once / 2)


def test_the_order_of_the_words_counts_for_deeds_that_rest_on_each_other() -> None:
    text, crop = PLANS['write "SALE 50%" at the top in yellow, then crop to 1:1']
    instruction = 'write "SALE 50%" at the top in yellow, then crop to 1:1'
    assert worth(instruction, text, crop).terms["inverted"] == 0
    assert worth(instruction, crop, text).terms["inverted"] == 1
    assert worth(instruction, crop, text).total == pytest.approx(worth(instruction, text, crop).total / 2)


@pytest.mark.parametrize("instruction", ["", "please", "，。", '"', "\ud800", "x" * 2000, "把" * 500])
def test_words_that_say_nothing_do_no_harm(instruction: str) -> None:
    assert worth(instruction, call("sepia")).total < 0.5


def test_plans_that_cannot_run_or_do_nothing_are_worth_nothing() -> None:
    empty = Workflow.load({"version": 1, "steps": [], "result": "$image"})
    unknown = Workflow.load({"version": 1, "steps": [{"id": "a", "tool": "nope", "args": {}}], "result": "$a"})
    for plan in (empty, unknown):
        assert back_translation("make it sepia", plan, registry).total == 0


def test_it_takes_milliseconds() -> None:
    worth("warm it up", call("temperature"))  # the cards are indexed once
    start = time.perf_counter()
    for instruction, calls in PLANS.items():
        worth(instruction, *calls)
    assert (time.perf_counter() - start) / len(PLANS) < 0.05
