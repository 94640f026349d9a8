"""Shapes and arrows: where they stand, what they leave alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.values import Image, Mask
from lego.tools.draw import draw_arrow, draw_shape


@pytest.fixture(scope="module")
def rocket(photos: Path) -> Image:
    return Image.open(photos / "rocket.jpg")


@pytest.fixture(scope="module")
def thing(rocket: Image) -> Mask:
    """A disc a little right of the middle."""
    y, x = np.mgrid[: rocket.size[1], : rocket.size[0]]
    return Mask(np.hypot(x - 400, y - 200) < 60)


def changed(before: Image, after: Image) -> Mask:
    return Mask((before.pixels != after.pixels).any(2))


@pytest.mark.parametrize("shape", ["rectangle", "ellipse", "circle"])
def test_a_shape_goes_round_the_thing_without_touching_it(rocket: Image, thing: Mask, shape: str) -> None:
    made = draw_shape(rocket, shape, thing)  # type: ignore[arg-type]
    drawn = changed(rocket, made)
    assert not (drawn & thing).pixels.any()
    assert drawn.box is not None
    assert thing.box is not None
    for side, (outer, inner) in enumerate(zip(drawn.box, thing.box, strict=True)):
        assert 0 < (inner - outer if side < 2 else outer - inner) < 40


def test_an_underline_lies_below_and_a_cross_over_the_thing(rocket: Image, thing: Mask) -> None:
    below, over = (changed(rocket, draw_shape(rocket, shape, thing)) for shape in ("underline", "cross"))
    assert below.box is not None
    assert thing.box is not None
    assert below.box[1] >= thing.box[3]
    assert (over & thing).pixels.any()


def test_color_opacity_and_fill_are_what_was_asked_for(rocket: Image) -> None:
    box = [250, 250, 750, 750]
    solid = draw_shape(rocket, "rectangle", None, box, "#00ff00", 2.0, "#0000ff")
    assert tuple(solid.pixels[213, 320]) == (0, 0, 255)
    assert (solid.pixels == (0, 255, 0)).all(2).sum() > 4000
    half = draw_shape(rocket, "rectangle", None, box, "#00ff00", 2.0, "#0000ff", 0.5)
    wanted = (rocket.pixels[213, 320].astype(int) + np.array((0, 0, 255))) / 2
    assert np.abs(half.pixels[213, 320] - wanted).max() <= 1


def test_a_slanted_line_has_soft_edges_and_the_width_asked_for(rocket: Image) -> None:
    black = Image(np.zeros((400, 400, 3), np.uint8))
    made = draw_shape(black, "line", None, [100, 200, 900, 600], "#ffffff", 2.0)
    line = made.pixels[..., 0]
    assert np.unique(line).size > 8
    column = line[:, 200].astype(float).sum() / 255  # vertical cut of an 8 px stroke that falls by one half
    assert column == pytest.approx(8 * np.hypot(1, 0.5), abs=0.5)


def test_an_arrow_ends_just_before_the_thing_that_it_points_at(rocket: Image, thing: Mask) -> None:
    drawn = changed(rocket, draw_arrow(rocket, thing))
    assert not (drawn & thing).pixels.any()
    y, x = np.nonzero(drawn.pixels)
    assert 0 < np.hypot(x - 400, y - 200).min() - 60 < 15
    assert np.hypot(x - 400, y - 200).max() > 140


def test_an_arrow_runs_from_its_start_to_its_end_and_is_widest_at_the_head() -> None:
    black = Image(np.zeros((300, 600, 3), np.uint8))
    made = draw_arrow(black, None, [100, 500], [900, 500], "#ffffff", 2.0).pixels[..., 0] > 127
    columns = np.flatnonzero(made.any(0))
    assert abs(int(columns[0]) - 60) <= 4
    assert abs(int(columns[-1]) - 540) <= 2
    assert made[:, 520].sum() > 2 * made[:, 300].sum()


@pytest.mark.parametrize("make", [draw_shape, draw_arrow])
def test_an_empty_mask_draws_nothing_and_alpha_is_opaque_under_ink(rocket: Image, make: object) -> None:
    assert callable(make)
    empty = Mask(np.zeros(rocket.pixels.shape[:2], np.uint8))
    assert make(rocket, mask=empty) == rocket
    clear = Image(rocket.pixels, np.zeros(rocket.pixels.shape[:2], np.uint8))
    made = make(clear)
    assert made.alpha is not None
    assert (made.alpha == 255).any()
    assert (made.alpha == 0).any()
