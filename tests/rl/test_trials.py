"""Trials, and flaws made on purpose: the truth is known, and a flaw is one."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import lego.tools  # registers them
from lego.builder.base import Request
from lego.builder.rules import Rules
from lego.core.registry import registry
from lego.core.values import Image
from lego.editor import Editor
from lego.rl import flaws
from lego.rl.flaws import FlawedBuilder, flawed_registry, spoil
from lego.rl.trials import interval, trial

EDITOR = Editor("rules")


@pytest.mark.parametrize("number", range(30))
def test_the_right_plan_gives_what_should_come_out_and_nothing_done_does_not(number: int) -> None:
    item = trial(number)
    assert item.done(item.target)
    assert not item.done(item.image)
    assert len(item.calls) == len(item.parts)
    made = EDITOR.run(item.workflow, item.image, seed=1).image
    assert item.done(made)


def test_the_same_number_gives_the_same_trial() -> None:
    assert trial(5).image.digest == trial(5).image.digest
    assert trial(5).instruction == trial(5).instruction
    assert len({trial(n).instruction for n in range(40)}) > 25
    assert {trial(n).language for n in range(40)} == {"en", "zh"}


def test_a_change_elsewhere_is_not_done() -> None:
    item = next(t for t in map(trial, range(60)) if t.mask is not None)
    pixels = item.target.pixels.copy()
    where = item.mask.pixels == 0 if item.mask else None
    assert where is not None
    pixels[where] = pixels[where] // 2
    assert not item.done(Image(pixels))


@pytest.mark.parametrize("kind", flaws.PLANS)
def test_every_kind_of_flawed_plan_can_be_made_and_differs(kind: str) -> None:
    found = [(t, made) for t in map(trial, range(60)) if (made := spoil(t, kind))]
    assert len(found) >= 3
    for item, made in found:
        assert made.calls != item.calls
        assert made.kind == kind
        assert bool(made.then) == (made.outcome == "refine")


@pytest.mark.parametrize("kind", flaws.TOOLS)
def test_every_kind_of_marred_result_differs_from_the_good_one(kind: str) -> None:
    item = next(t for t in map(trial, range(60)) if t.mask is not None and t.calls[0].tool == "exposure")
    made = flaws.mar(kind, item.image, item.target, item.mask, 3)
    assert made.size == item.target.size
    assert (made.pixels != item.target.pixels).any()
    assert made.digest == flaws.mar(kind, item.image, item.target, item.mask, 3).digest


def test_held_kinds_exist() -> None:
    assert {*flaws.PLANS, *flaws.TOOLS} > flaws.HELD


def test_tools_are_marred_as_often_as_is_asked_and_another_seed_may_help() -> None:
    item = trial(3)
    marred = []
    for number in range(12):
        log: list[str] = []
        tools = flawed_registry(registry, ["idle"], 0.5, number, log)
        seen = []
        for seed in (0, 1, 2, 3, 0):
            before = len(log)
            Editor("rules", registry=tools).run(item.workflow, item.image, seed=seed)
            seen.append(len(log) > before)
        assert seen[0] == seen[-1]  # chance is the seed's
        marred.append(seen[:-1])
    assert any(len(set(seen)) > 1 for seen in marred)
    assert 0.25 < sum(map(sum, marred)) / 48 < 0.75


def test_a_flawed_builder_is_flawed_as_often_as_is_asked() -> None:
    item = next(t for t in map(trial, range(60)) if len(t.calls) == 2)
    request = Request(item.image, item.instruction, tuple(registry))

    def wrong(share: float) -> int:
        builders = [FlawedBuilder(item, Rules(), registry, share, list(flaws.PLANS), seed) for seed in range(30)]
        return sum(builder.plan(request).workflow != item.workflow for builder in builders)

    assert wrong(0.0) == 0
    assert wrong(1.0) == 30
    assert 5 <= wrong(0.5) <= 25


def test_an_interval_holds_the_share_most_of_the_time() -> None:
    random, held = np.random.default_rng(Random(1).randrange(100)), 0
    for _ in range(300):
        low, high = interval(int(random.binomial(50, 0.8)), 50)
        held += low <= 0.8 <= high
    assert held >= 0.9 * 300
    assert interval(0, 0) == (0, 1)
    assert interval(10, 10)[1] == 1
