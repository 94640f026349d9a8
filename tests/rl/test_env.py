"""The environment: every answer is worth something, whatever goes wrong with it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

import lego
import lego.tools
from lego.builder.base import Request
from lego.builder.prompt import Json
from lego.core.errors import TrainingError
from lego.core.registry import registry
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.rl import rewards
from lego.rl.env import Environment
from lego.rl.recipe import Grpo
from lego.rl.supply import Known

STAGE = Grpo(steps=1, lr=1e-5, execute=True, weights={"plan": 0.5, "exact": 0.25, "picture": 0.25}, picture_timeout=2)


def one(tool: str, **args: object) -> Workflow:
    steps = [{"id": "s1", "tool": tool, "args": {"image": "$image", **args}}]
    return Workflow.load({"version": 1, "steps": steps, "result": "$s1"})


def task(image: Image, flow: Workflow | None, instruction: str = "brighten it by a stop") -> Known:
    request = Request(image, instruction, tuple(registry), (), {"image": image})
    target = lego.run(flow, image).image if flow and flow.steps[0].tool == "exposure" else None
    return Known(request, flow, "en", target)


def test_the_right_answer_is_worth_all_and_a_near_one_more_than_a_wrong_one(small: Image) -> None:
    wanted = task(small, one("exposure", exposure=1.0))
    world = Environment(Json(), registry, STAGE)
    plans = [one("exposure", exposure=1.0), one("exposure", exposure=2.0), one("flip")]
    best, near, wrong = world.judge([wanted] * 3, [Json().write(plan, wanted.request) for plan in plans])
    assert best.total == 1.0
    assert best.terms["picture"] == 1.0
    assert best.total > near.total > wrong.total  # type: ignore[operator]


def test_declining_is_right_only_where_nothing_can_be_done(small: Image) -> None:
    world = Environment(Json(), registry, STAGE)
    possible, impossible = task(small, one("exposure", exposure=1.0)), task(small, None, "book me a flight")
    decline = '{"decline":"cannot"}'
    assert [judged.total for judged in world.judge([possible, impossible], [decline] * 2)] == [0.0, 1.0]
    edit = Json().write(one("exposure", exposure=1.0), impossible.request)
    assert world.judge([impossible], [edit])[0].total == 0.0


def test_what_cannot_be_read_is_worth_nothing_and_says_why(small: Image) -> None:
    judged = Environment(Json(), registry, STAGE).judge([task(small, one("flip"))], ["{ nonsense"])[0]
    assert judged.total == 0.0
    assert "no plan" in judged.reason


def test_a_tool_that_crashes_or_hangs_costs_its_answer_and_not_the_run(small: Image, forgetful: None) -> None:
    @lego.tool
    def break_down(image: Image) -> Image:
        """Break down."""
        raise ZeroDivisionError("of all things")

    @lego.tool
    def dawdle(image: Image) -> Image:
        """Take a long time."""
        time.sleep(8)
        return image

    wanted = task(small, one("exposure", exposure=1.0))
    wanted = replace(wanted, request=replace(wanted.request, tools=tuple(registry)))
    world = Environment(Json(), registry, STAGE)
    texts = [Json().write(one(name), wanted.request) for name in ("break_down", "dawdle")]
    broken, slow = world.judge([wanted] * 2, texts)
    for judged, word in ((broken, "step_failed"), (slow, "timeout")):
        assert judged.total is not None
        assert judged.total < 0.6
        assert judged.terms["ran"] == 0.0
        assert judged.reason.startswith(word)


def test_a_reward_that_is_no_number_stops_the_training(small: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "agree", lambda *args: float("nan"))
    wanted = task(small, one("flip"))
    with pytest.raises(TrainingError, match="nan") as caught:
        Environment(Json(), registry, STAGE).judge([wanted], [Json().write(one("flip"), wanted.request)])
    assert "exact" in caught.value.where
    assert "sample 0" in caught.value.where


def test_without_truth_an_honest_plan_is_worth_more_than_nonsense_and_refusals_are_left_out(small: Image) -> None:
    stage = STAGE.model_copy(update={"weights": {"free": 1.0}})
    world = Environment(Json(), registry, stage)
    asked = task(small, None, "make it brighter")
    plans = [one("exposure", exposure=0.8), one("flip")]
    honest, nonsense = world.judge([asked] * 2, [Json().write(plan, asked.request) for plan in plans])
    assert honest.total > nonsense.total + 0.2  # type: ignore[operator]
    refusal = world.judge([asked], ['{"decline":"no"}'])[0]
    assert refusal.total is None
