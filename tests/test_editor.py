"""Whole edits of real photographs by words, judged by their pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import lego
from lego.builder.base import Plan, Request
from lego.core.errors import ImageError, LegoError, PlanError, RefusedError, StepError, WorkflowError
from lego.core.steps import Step
from lego.core.trace import Planned, RunStarted
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.editor import Editor, EditResult

FACE = (slice(95, 145), slice(200, 250))  # of astronaut.png
SUIT = (slice(300, 440), slice(60, 120))  # and the left sleeve


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor("rules")


def tools(result: EditResult) -> list[str]:
    return [step.tool for step in result.workflow.steps]


def lab(image: Image) -> Any:
    return cv2.cvtColor(image.pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def test_black_and_white_except_the_flower(editor: Editor, photos: Path) -> None:
    before = Image.open(photos / "flower.jpg")
    after = editor.edit(before, "make it black and white except the flower").image
    grey = after.pixels.max(2) == after.pixels.min(2)
    assert grey[:60].mean() > 0.95
    middle = (slice(180, 260), slice(260, 340))
    assert np.array_equal(after.pixels[middle], before.pixels[middle])
    assert 0.5 < grey.mean() < 0.95


def test_shadows_cooler_and_four_by_five(editor: Editor, photos: Path) -> None:
    result = editor.edit(photos / "china.jpg", "brighten the shadows, cool it down a little and crop to 4:5")
    assert tools(result) == ["shadows", "temperature", "crop"]
    assert result.image.size == (342, 427)
    assert lab(result.image)[..., 2].mean() < lab(result.source)[..., 2].mean()
    assert np.percentile(lab(result.image)[..., 0], 10) > np.percentile(lab(result.source)[..., 0], 10)


def test_a_vintage_and_dramatic_look_in_chinese(editor: Editor, photos: Path) -> None:
    result = editor.edit(photos / "coffee.png", "让图像更具戏剧性的复古感")
    assert {"contrast", "sepia", "vignette"} <= set(tools(result))
    assert len(set(tools(result))) == len(tools(result))
    before, after = lab(result.source)[..., 0], lab(result.image)[..., 0]
    assert after[:30, :30].mean() < before[:30, :30].mean()


def test_the_red_cup_and_saucer_turn_blue_and_the_table_stays(editor: Editor, photos: Path) -> None:
    result = editor.edit(photos / "coffee.png", "turn the red cup and saucer blue")
    saucer = (slice(200, 260), slice(95, 140))
    assert lab(result.image)[saucer][..., 2].mean() < -20
    table = (slice(300, 390), slice(500, 590))
    assert np.array_equal(result.image.pixels[table], result.source.pixels[table])


def test_the_orange_suit_turns_green_and_the_face_stays(editor: Editor, photos: Path) -> None:
    result = editor.edit(photos / "astronaut.png", "turn the orange suit green but keep the face")
    assert np.array_equal(result.image.pixels[FACE], result.source.pixels[FACE])
    assert lab(result.image)[SUIT][..., 1].mean() < -10


def test_what_is_to_be_kept_but_cannot_be_found_stops_the_edit(editor: Editor, photos: Path) -> None:
    with pytest.raises(RefusedError, match="face") as caught:
        editor.edit(photos / "coffee.png", "turn the red cup blue but keep the face")
    assert caught.value.hint


def test_a_rocket_in_a_box_is_removed_and_nothing_else_changes(editor: Editor, photos: Path) -> None:
    before = Image.open(photos / "rocket.jpg")
    box = (312, 132, 354, 420)
    after = editor.edit(before, "remove the rocket", box=box).image
    changed = (after.pixels != before.pixels).any(2)
    assert changed[150:400, 320:350].mean() > 0.5
    changed[110:, 290:376] = False
    assert not changed.any()


@pytest.mark.parametrize("words", ["remove the rocket", "remove the unicorn", "turn the unicorn blue"])
def test_what_cannot_be_found_is_not_edited(editor: Editor, photos: Path, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        editor.edit(photos / "rocket.jpg", words)
    assert "--box" in caught.value.hint
    assert "s1 (segment)" in caught.value.where


def test_words_are_written_half_transparent_at_the_bottom_right(editor: Editor, photos: Path) -> None:
    result = editor.edit(photos / "rocket.jpg", "add 'SpaceX' in white at the bottom right, half transparent")
    assert dict(result.workflow.steps[0].args)["text"] == "SpaceX"
    changed = (result.image.pixels != result.source.pixels).any(2)
    rows, columns = np.nonzero(changed)
    assert rows.min() > 427 * 0.6
    assert columns.min() > 640 * 0.4
    assert result.image.pixels[changed].max() < 255 or result.source.pixels[changed].max() > 240


def test_turning_and_framing(editor: Editor, photos: Path) -> None:
    result = editor.edit(photos / "chelsea.png", "rotate 90 degrees clockwise, then add a 20 px white border")
    assert result.image.size == (340, 491)
    assert (result.image.pixels[:20] == 255).all()
    assert np.array_equal(result.image.pixels[20:-20, 20:-20], np.rot90(result.source.pixels, -1))


def test_the_sky_becomes_a_gradient_and_the_temple_stays(editor: Editor, photos: Path) -> None:
    result = editor.edit(photos / "china.jpg", "make the sky a gradient from orange to purple")
    after = result.image.pixels.astype(int)
    top = after[5, 5:100].mean(0)
    assert top[0] > top[2] + 60  # orange above
    temple = (slice(300, 400), slice(250, 400))
    assert np.array_equal(result.image.pixels[temple], result.source.pixels[temple])


def test_an_unclear_background_is_declined_and_one_around_a_box_is_blurred(editor: Editor, photos: Path) -> None:
    with pytest.raises(RefusedError, match="background"):
        editor.edit(photos / "astronaut.png", "blur the background")
    result = editor.edit(photos / "astronaut.png", "blur the background", box=(20, 10, 375, 512))
    assert np.array_equal(result.image.pixels[FACE], result.source.pixels[FACE])
    rocket = (slice(40, 240), slice(380, 470))
    sharp = [cv2.Laplacian(i.pixels[rocket], cv2.CV_64F).var() for i in (result.source, result.image)]
    assert sharp[1] < sharp[0] / 4


@pytest.mark.parametrize("words", ["", "  ", "what time is it?", "asdf qwer", "remove", "今天天气怎么样"])
def test_what_is_no_edit_is_refused_with_a_hint(editor: Editor, photos: Path, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        editor.edit(photos / "coffee.png", words)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("words", "weights"), [("replace the cup with a vase", "flux-fill"), ("让他微笑", "flux-kontext")]
)
def test_what_only_networks_can_do_says_which_to_fetch(editor: Editor, photos: Path, words: str, weights: str) -> None:
    with pytest.raises(StepError, match=f"lego models pull {weights}"):
        editor.edit(photos / "coffee.png", words)


def test_the_result_knows_its_steps_and_saves_everything(editor: Editor, photos: Path, tmp_path: Path) -> None:
    result = editor.edit(photos / "coffee.png", "turn the red cup blue and then flip it")
    assert isinstance(result.step("s1"), Mask)
    with pytest.raises(KeyError):
        result.step("s99")
    folder = result.save(tmp_path / "out")
    names = {file.name for file in folder.iterdir()}
    assert {"result.png", "workflow.json", "trace.json", "report.html", "s1-mask.png"} <= names
    assert Workflow.load(folder / "workflow.json") == result.workflow
    assert json.loads((folder / "trace.json").read_text())[0]["event"] == "planned"
    assert "data:image" in result._repr_html_()
    assert result._repr_png_().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_bytes_and_the_trace_says_so(photos: Path) -> None:
    first, second, third = (
        Editor().edit(photos / "chelsea.png", "add film grain", seed=seed).image.digest for seed in (4, 4, 5)
    )
    assert first == second != third
    trace = Editor().edit(photos / "chelsea.png", "add film grain", seed=4).trace
    started = next(trace.of(RunStarted))
    assert started.seed == 4
    assert started.given["image"] == Image.open(photos / "chelsea.png").digest
    assert {"lego", "numpy", "opencv-python-headless"} <= set(started.versions)


def test_a_mask_of_the_wrong_size_is_refused(editor: Editor, photos: Path) -> None:
    with pytest.raises(ImageError, match="10 x 10"):
        editor.edit(photos / "coffee.png", "remove it", mask=np.ones((10, 10), bool))
    with pytest.raises(ImageError, match="both"):
        editor.edit(photos / "coffee.png", "remove it", mask=np.ones((400, 600), bool), box=(0, 0, 5, 5))


def test_alpha_travels_through_an_edit(editor: Editor) -> None:
    rgba = np.random.default_rng(1).integers(0, 256, (40, 60, 4), dtype=np.uint8)
    image = editor.edit(rgba, "turn it black and white and flip it horizontally").image
    assert image.alpha is not None
    assert np.array_equal(image.alpha, rgba[:, ::-1, 3])


class Stubborn:
    """A builder that needs to be told."""

    name = "stubborn"

    def __init__(self, lessons: int) -> None:
        self.lessons = lessons
        self.heard: list[tuple[str, ...]] = []

    def plan(self, request: Request) -> Plan:
        self.heard.append(request.history)
        tool = "flip" if len(self.heard) > self.lessons else "flop"
        return Plan(Workflow((Step("s1", tool, {"image": "$image"}),), "$s1"))


def test_problems_go_back_to_the_builder_in_words_twice_at_most(small: Image) -> None:
    builder = Stubborn(2)
    result = Editor(builder).edit(small, "anything")
    assert [len(history) for history in builder.heard] == [0, 1, 2]
    assert "there is no tool 'flop'" in builder.heard[1][0]
    assert [len(event.problems) for event in result.trace.of(Planned)] == [1, 1, 0]
    with pytest.raises(WorkflowError, match="flop"):
        Editor(Stubborn(3)).edit(small, "anything")


@pytest.mark.usefixtures("forgetful")
def test_what_was_finished_before_a_failure_is_kept(small: Image) -> None:
    @lego.tool
    def e_fail(image: Image) -> Image:
        """Fail always."""
        raise OSError("no such thing")

    steps = (Step("a", "flip", {"image": "$image"}), Step("b", "e_fail", {"image": "$a"}))
    with pytest.raises(StepError) as caught:
        lego.run(Workflow(steps, "$b"), small)
    assert caught.value.where == "b (e_fail)"
    assert np.array_equal(caught.value.details["kept"]["a"]["image"].pixels, small.pixels[:, ::-1])


def test_a_mask_as_the_only_result_is_shown_as_a_picture(editor: Editor, photos: Path) -> None:
    steps = (Step("a", "segment", {"image": "$image", "target": "the red cup"}),)
    result = editor.run(Workflow(steps, "$a"), photos / "coffee.png")
    assert isinstance(result.values[0], Mask)
    assert result.image.size == (600, 400)


def test_limits_are_kept(photos: Path) -> None:
    settings = lego.Settings.load({"max_megapixels": 0.1})
    with pytest.raises(LegoError, match="megapixels"):
        Editor(settings=settings).edit(photos / "coffee.png", "flip it")
