"""The critic that measures: real edits are accepted, flawed ones are found out, and what it cannot tell is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lego.builder.base import Plan, Request
from lego.builder.measures import Pair, is_color, lab_of, moved, seen, spilled
from lego.builder.verdict import Verdict
from lego.core.codec import Pixels
from lego.core.trace import Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.editor import Editor
from lego.rounds import Round, Wish

EDITOR = Editor("rules", critic="pixels")


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image:
    return Image(cv2.resize(Image.open(photos / "coffee.png").pixels, (300, 200), interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def scene() -> Image:
    """Two things on a plain ground with a little grain."""
    pixels = np.full((200, 300, 3), (205, 210, 200), np.uint8)
    cv2.circle(pixels, (80, 100), 40, (200, 30, 40), -1, cv2.LINE_AA)
    cv2.rectangle(pixels, (180, 60), (250, 140), (30, 90, 200), -1)
    grain = np.random.default_rng(0).normal(0, 2, pixels.shape)
    return Image(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def verdict(before: Image, words: str, after: Image, plan: Workflow | None = None, mask: Mask | None = None) -> Verdict:
    """What the critic says of a result, whatever made it."""
    given: dict[str, Any] = {"image": before, **({"mask": mask} if mask else {})}
    flow = plan or Workflow((), "$image")
    run = EDITOR.run_of(Workflow((), "$image"), {"image": after}, 0, Trace(), None)
    return EDITOR.verdict_on(Wish(given, words), Round(Plan(flow), flow, given, run, 0), 0, Trace())


def done(before: Image, words: str, **given: Any) -> tuple[Image, Workflow]:
    made = EDITOR.edit(before, words, **given)
    return made.image, made.workflow


GOOD = [
    "turn the red ball blue", "remove the red ball", "brighten the red ball", "darken the picture", "make it warmer",
    "make the picture cooler", "make it black and white", "increase the saturation of the picture", "blur the blue box",
    "sharpen the picture", "add film grain", "flip it horizontally", "crop it to a square", "rotate it by 90 degrees",
    'write "HELLO" at the bottom in black', "turn the red ball green and darken the blue box", "把红色的球变成蓝色",
    "draw it in ink",
    "add a vignette", "remove the blue box, then make the picture warmer",
]  # fmt: skip


@pytest.mark.parametrize("words", GOOD)
def test_what_was_done_as_asked_is_accepted(scene: Image, words: str) -> None:
    after, plan = done(scene, words)
    found = verdict(scene, words, after, plan)
    assert found.outcome == "success", found
    assert found.scores
    assert found.scores.value == 100


@pytest.mark.parametrize(
    ("asked", "did", "told"),
    [
        ("brighten the picture", "darken the picture", "did the opposite"),
        ("make it warmer", "make it cooler", "did the opposite"),
        ("turn the red ball green", "turn the red ball blue", "did not get the colour"),
        ("brighten the red ball", "brighten the blue box", "where nothing was to be done"),
        ("brighten the red ball", "brighten the picture", "where nothing was to be done"),
        ("make it warmer", "make it warmer and flip it", "mirrored"),
        ("darken the picture", "darken the picture and make it black and white", "colours"),
        ("darken the picture", "darken the picture and crop it to a square", "which nobody asked for"),
        ("blur the picture", "draw it in ink", "became much lighter"),
        ('write "HELLO" at the bottom in black', 'write "HOUSE" at the bottom in black', "cannot be read"),
        ("crop it to a square", "crop it to 2:1", "not 1:1"),
        ("remove the red ball", "turn the red ball blue", "does not fit its surroundings"),
    ],
)
def test_a_plan_that_means_something_else_is_found_out(scene: Image, asked: str, did: str, told: str) -> None:
    after, plan = done(scene, did)
    found = verdict(scene, asked, after, plan)
    assert found.outcome == "failed", found
    assert told in found.reason
    assert found.findings
    assert found.scores
    assert found.scores.value < 100


def test_what_was_left_out_is_still_to_be_done(scene: Image) -> None:
    after, plan = done(scene, "turn the red ball green")
    found = verdict(scene, "turn the red ball green, then blur the blue box", after, plan)
    assert (found.outcome, found.then) == ("refine", "blur the blue box")
    assert found.scores
    assert found.scores.success == 5


def test_what_cannot_stand_alone_is_no_instruction_of_its_own(scene: Image) -> None:
    after, plan = done(scene, "turn the red ball green")
    found = verdict(scene, "turn the red ball green and darker", after, plan)
    assert found.outcome == "failed"
    assert not found.then


def test_nothing_done_has_failed(scene: Image) -> None:
    found = verdict(scene, "make it warmer", scene)
    assert (found.outcome, found.reason) == ("failed", "nothing was changed")


def spoil(scene: Image, words: str, change: Callable[[Pixels], None]) -> Verdict:
    after, plan = done(scene, words)
    pixels = after.pixels.copy()
    change(pixels)
    return verdict(scene, words, Image(pixels), plan)


def test_a_ghost_of_what_was_removed_is_seen(scene: Image) -> None:
    after, plan = done(scene, "remove the red ball")
    ghost = Image(np.rint(0.8 * scene.pixels + 0.2 * after.pixels).astype(np.uint8))
    found = verdict(scene, "remove the red ball", ghost, plan)
    assert "still there" in found.reason


def test_a_patch_that_does_not_fit_is_seen(scene: Image) -> None:
    def patch(pixels: Pixels) -> None:
        cv2.circle(pixels, (80, 100), 42, (40, 160, 60), -1)

    found = spoil(scene, "remove the red ball", patch)
    assert found.outcome == "failed"
    assert "does not fit" in found.reason
    assert found.scores
    assert found.scores.naturalness == 5


def test_a_line_around_the_place_is_seen(scene: Image) -> None:
    def line(pixels: Pixels) -> None:
        cv2.circle(pixels, (80, 100), 41, (255, 255, 255), 2)

    found = spoil(scene, "remove the red ball", line)
    assert "a line around" in found.reason
    assert found.scores
    assert found.scores.cleanness == 5


def test_a_change_elsewhere_is_seen(scene: Image) -> None:
    def corner(pixels: Pixels) -> None:
        pixels[:30, -30:] //= 2

    found = spoil(scene, "turn the red ball blue", corner)
    assert "where nothing was to be done" in found.reason
    assert found.scores
    assert found.scores.restraint < 4


def test_a_patch_in_a_whole_edit_is_seen(scene: Image) -> None:
    def corner(pixels: Pixels) -> None:
        pixels[:60, -60:] //= 2

    assert "a part of the picture" in spoil(scene, "make it warmer", corner).reason


def test_what_is_no_picture_any_more_is_worth_nothing(scene: Image) -> None:
    found = verdict(scene, "darken the picture", Image(np.zeros_like(scene.pixels)))
    assert found.outcome == "failed"
    assert found.scores
    assert found.scores.value == 0


def test_words_that_nobody_here_understands_are_no_reason_for_a_verdict(scene: Image) -> None:
    after, plan = done(scene, "make it warmer")
    found = verdict(scene, "make it sing like a nightingale", after, plan)
    assert (found.outcome, found.scores) == ("missing", None)
    assert "not understood" in found.reason


def test_a_thing_that_cannot_be_found_cannot_be_judged(scene: Image) -> None:
    after, plan = done(scene, "make it warmer")
    assert verdict(scene, "brighten the purple star", after, plan).outcome == "missing"


def test_abstract_words_are_judged_by_what_they_mean(scene: Image) -> None:
    words = "make it look like it was shot in 1975"
    after, plan = done(scene, words)
    assert verdict(scene, words, after, plan).outcome == "success"
    cool, plan = done(scene, "make it cooler")
    assert verdict(scene, words, cool, plan).outcome == "failed"


def test_a_place_that_the_user_drew_is_where_it_is_looked_for(scene: Image) -> None:
    mask = Mask.from_box(scene.size, (20, 20, 120, 160))
    after, plan = done(scene, "brighten it", mask=mask)
    assert verdict(scene, "brighten it", after, plan, mask).outcome == "success"
    everywhere, plan = done(scene, "brighten it")
    assert verdict(scene, "brighten it", everywhere, plan, mask).outcome == "failed"


def test_a_right_plan_with_a_bad_result_blames_its_tool(scene: Image) -> None:
    plan = done(scene, "brighten the picture")[1]
    found = verdict(scene, "brighten the picture", done(scene, "darken the picture")[0], plan)
    assert found.facts["blamed"] == ["exposure"]
    other = verdict(scene, "brighten the picture", *done(scene, "darken the picture"))
    assert other.facts["blamed"] == []  # the tool did what it was told


@pytest.mark.parametrize(
    "words", ["turn the red cup blue", "make it warmer", "darken it and add grain", "make it sepia"]
)
def test_photographs_are_judged_like_scenes(coffee: Image, words: str) -> None:
    after, plan = done(coffee, words)
    assert verdict(coffee, words, after, plan).outcome == "success"


def test_measures_say_where_which_way_and_how_far(scene: Image) -> None:
    brighter = Image(np.clip(scene.pixels.astype(int) + 30, 0, 255).astype(np.uint8))
    pair = Pair(scene, brighter)
    before, after = pair.measured("lightness", None) or (0, 0)
    assert moved("lightness", before, after) == 1
    assert moved("lightness", before, before + 0.5) == 0
    box = Mask.from_box(scene.size, (0, 0, 50, 50))
    assert seen(pair, box) > 0.99
    assert spilled(Pair(scene, scene), box, 5) == 0
    assert spilled(pair, box, 5) > 0.9
    assert pair.measured("lightness", Mask.from_box(scene.size, (0, 0, 1, 1))) is None
    assert is_color(lab_of("#c8202a"), "#ff0000")
    assert not is_color(lab_of("#20c82a"), "#ff0000")
    assert is_color(lab_of("#777777"), "#808080")
