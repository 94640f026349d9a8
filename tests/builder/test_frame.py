"""Boxes of models that count pixels of what they see: sent in sides that stay, told, and brought back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

import lego.tools  # registers the embedded tools
from lego.builder.base import Request
from lego.builder.frame import LONG_SIDE, NAMED, PATCH, from_pixels, seen, sides
from lego.builder.local import inputs_of, load
from lego.builder.prompt import Json
from lego.core.registry import registry
from lego.core.steps import Step
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from tests.builder.models import build

TOOLS = tuple(registry[name] for name in ("segment_box", "segment_point", "crop", "draw_arrow", "exposure"))
WIDE = Image(np.zeros((500, 1000, 3), np.uint8))  # seen as 756 x 392


@given(st.tuples(st.integers(1, 9000), st.integers(1, 9000)))
def test_sides_are_whole_patches_and_no_longer_than_others_send(size: tuple[int, int]) -> None:
    made = sides(size, pixels=True)
    assert all(side % PATCH == 0 and 2 * PATCH <= side <= LONG_SIDE for side in made)
    assert max(made) / min(made) < 200


@given(st.tuples(st.integers(30, 3000), st.integers(30, 3000)))
def test_the_processor_of_such_a_model_leaves_the_sides(size: tuple[int, int]) -> None:
    wide, high = sides(size, pixels=True)
    assert smart_resize(high, wide, factor=PATCH) == (high, wide)


def test_such_a_checkpoint_is_known_and_sees_whole_patches(tmp_path: Path) -> None:
    checkpoint = load(str(build("qwen2_5_vl", tmp_path)))
    assert checkpoint.form.pixels
    small = Request(Image(np.zeros((115, 109, 3), np.uint8)), "crop it", TOOLS)
    _, down, across = inputs_of(checkpoint, [small])["image_grid_thw"][0].tolist()
    assert (14 * across, 14 * down) == seen(small.image, pixels=True).size == (112, 112)


@pytest.mark.parametrize("kind", ["llava", "qwen3_vl"])
def test_others_count_in_thousandths(kind: str, tmp_path: Path) -> None:
    assert not load(str(build(kind, tmp_path))).form.pixels


def test_one_that_was_trained_here_counts_as_it_was_taught(tmp_path: Path) -> None:
    folder = build("qwen2_5_vl", tmp_path)
    (folder / "lego.json").write_text('{"form": "json"}')
    assert not load(str(folder)).form.pixels


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", True),
        ("qwen2.5vl:7b", True),
        ("XiaomiMiMo/MiMo-VL-7B-RL", True),
        ("Qwen/Qwen3-VL-8B-Instruct", False),
        ("Qwen/Qwen2-VL-7B-Instruct", False),
        ("gpt-5", False),
    ],
)
def test_a_served_model_is_known_by_its_name(name: str, counts: bool) -> None:
    assert bool(NAMED.search(name)) is counts


def test_the_model_is_told_how_to_count_and_where_the_user_drew() -> None:
    mask = Mask.from_box((1000, 500), (500, 250, 1000, 500))
    told = Json(pixels=True).prompt(Request(WIDE, "crop it", TOOLS, ("mask",), {"image": WIDE, "mask": mask}))
    assert "Where a card says ‰, count pixels of the picture as you see it: 756 wide, 392 high." in told
    assert "within [378, 196, 756, 392] (x0, y0, x1, y1 in pixels as you see them)" in told
    assert "left: integer 0..1000 ‰" in told
    assert "count pixels" not in Json().prompt(Request(WIDE, "crop it", TOOLS))


def test_an_answer_comes_back_in_thousandths() -> None:
    steps = [
        {"id": "s1", "tool": "segment_box",
         "args": {"image": "$image", "left": 189, "top": 98, "right": 378, "bottom": 392}},
        {"id": "s2", "tool": "exposure", "args": {"image": "$image", "mask": "$s1", "exposure": 1.5}},
        {"id": "s3", "tool": "crop", "args": {"image": "$s2", "box": [0, 98, 756, 294], "width": 640}},
    ]  # fmt: skip
    text = json.dumps({"version": 1, "steps": steps, "result": "$s3"})
    plan = Json(pixels=True).read(text, Request(WIDE, "crop it", TOOLS))
    box, light, crop = (step.args for step in plan.workflow.steps)
    assert box == {"image": "$image", "left": 250, "top": 250, "right": 500, "bottom": 1000}
    assert light["exposure"] == 1.5
    assert crop == {"image": "$s2", "box": [0, 250, 1000, 750], "width": 640}


def test_what_lies_outside_is_brought_to_the_edge_and_what_is_no_number_stays() -> None:
    flow = Workflow(
        (
            Step("s1", "segment_point", {"image": "$image", "x": 900, "y": -3}),
            Step("s2", "draw_arrow", {"image": "$image", "start": [378, "here"], "end": None}),
        ),
        "$s2",
    )
    point, arrow = (step.args for step in from_pixels(flow, TOOLS, (756, 392)).steps)
    assert (point["x"], point["y"]) == (1000, 0)
    assert arrow == {"image": "$image", "start": [500, "here"], "end": None}
