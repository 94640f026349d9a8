"""Layers: a cut-out scaled on its canvas, and one picture less another."""

from __future__ import annotations

import numpy as np
import pytest

from lego.core.values import Image, Mask
from lego.tools.layer import layer_scale, layer_subtract


@pytest.fixture
def layer() -> Image:
    """A red box of 20 x 10 at (10, 25) on a transparent canvas of 60 x 40."""
    pixels, alpha = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    pixels[25:35, 10:30], alpha[25:35, 10:30] = (200, 10, 10), 255
    return Image(pixels, alpha)


def box(image: Image) -> tuple[int, int, int, int] | None:
    assert image.alpha is not None
    return Mask(image.alpha).box


def test_the_bottom_edge_and_the_middle_stay_when_a_layer_is_scaled(layer: Image) -> None:
    assert box(layer_scale(layer, 0.5)) == (15, 30, 25, 35)
    large = layer_scale(layer, 2)
    assert box(large) == (0, 15, 40, 35)
    assert large.size == layer.size
    assert (large.pixels[20, 20] == (200, 10, 10)).all()
    assert box(layer_scale(layer, 8))[:2] == (0, 0)  # type: ignore[index]  # what hangs over is cut off


def test_a_picture_without_transparency_is_scaled_whole_and_an_empty_layer_stays(small: Image) -> None:
    half = layer_scale(small, 0.5)
    assert half.size == small.size
    assert box(half) == (10, 15, 30, 30)
    empty = Image(np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5), np.uint8))
    assert layer_scale(empty, 2) == empty


def test_what_a_cut_out_shows_is_hidden_and_colours_are_subtracted(layer: Image) -> None:
    ground = Image(np.full((40, 60, 3), 90, np.uint8))
    hidden = layer_subtract(ground, layer)
    assert hidden.alpha is not None
    assert (hidden.alpha[25:35, 10:30] == 0).all()
    assert (hidden.alpha > 0).sum() == 40 * 60 - 200
    less = layer_subtract(ground, Image(np.full((40, 60, 3), (30, 90, 200), np.uint8)))
    assert (less.pixels == (60, 0, 0)).all()
    with pytest.raises(ValueError, match="mask is 3 x 2"):
        layer_subtract(ground, Image(np.zeros((2, 3, 3), np.uint8)))
