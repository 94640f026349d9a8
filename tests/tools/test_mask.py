"""Operations on masks."""

from __future__ import annotations

import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Mask
from lego.tools.mask import (
    mask_box,
    mask_feather,
    mask_fill_holes,
    mask_grow,
    mask_inside,
    mask_intersect,
    mask_invert,
    mask_near,
    mask_pick,
    mask_resize,
    mask_subtract,
    mask_union,
)  # fmt: skip

EMPTY = Mask(np.zeros((40, 60), np.uint8))
SQUARE = Mask.from_box((60, 40), (20, 10, 30, 20))
OTHER = Mask.from_box((60, 40), (25, 15, 50, 30))


def test_set_operations() -> None:
    assert mask_union(SQUARE, OTHER).share == pytest.approx((100 + 375 - 25) / 2400)
    assert mask_intersect(SQUARE, OTHER).box == (25, 15, 30, 20)
    assert mask_subtract(SQUARE, OTHER).share == pytest.approx(75 / 2400)
    assert mask_invert(mask_invert(SQUARE)) == SQUARE


def test_growing_and_shrinking_move_the_outline_by_so_many_pixels() -> None:
    assert mask_grow(SQUARE, 5).box == (15, 5, 35, 25)
    assert mask_grow(SQUARE, -3).box == (23, 13, 27, 17)
    assert mask_grow(SQUARE, 0) == SQUARE
    assert mask_grow(SQUARE, -50).box is None
    assert mask_grow(EMPTY, 30).box is None
    wide = mask_grow(Mask.from_box((300, 300), (140, 140, 160, 160)), 60)
    assert wide.box is not None
    assert abs(wide.box[0] - 80) <= 1
    assert wide.pixels[85, 85] == 0  # round corners: the diagonal is farther than 60


def test_feathering_softens_the_edge_and_keeps_the_amount() -> None:
    soft = mask_feather(SQUARE, 4)
    assert soft.share == pytest.approx(SQUARE.share, rel=0.02)
    assert 0 < soft.pixels[15, 19] < 255
    assert mask_feather(SQUARE, 0) == SQUARE


def test_the_box_of_a_mask_is_filled_and_an_empty_one_stays_empty() -> None:
    two = mask_union(SQUARE, OTHER)
    assert mask_box(two).share == pytest.approx(30 * 20 / 2400)
    assert mask_box(EMPTY) == EMPTY
    assert mask_box(Mask(np.full((4, 4), 100, np.uint8))).box is None  # fainter than half is not masked


def test_resizing_keeps_bottom_edge_and_middle() -> None:
    double = mask_resize(SQUARE, 2.0)
    assert double.box is not None
    x0, y0, x1, y1 = double.box
    assert abs((x0 + x1) / 2 - 25) <= 1
    assert abs(y1 - 20) <= 1
    assert abs((x1 - x0) - 20) <= 2
    assert abs(y0 - 0) <= 1
    half = mask_resize(SQUARE, 0.5)
    assert half.share == pytest.approx(SQUARE.share / 4, rel=0.2)
    assert mask_resize(EMPTY, 2.0) == EMPTY


def test_holes_are_filled_but_bays_are_not() -> None:
    ring = mask_subtract(SQUARE, Mask.from_box((60, 40), (23, 13, 27, 17)))
    assert mask_fill_holes(ring) == SQUARE
    bay = mask_subtract(SQUARE, Mask.from_box((60, 40), (23, 5, 27, 17)))
    assert mask_fill_holes(bay) == bay
    framed = Mask(np.full((5, 5), 255, np.uint8))
    assert mask_fill_holes(framed) == framed


SPOT = Mask.from_box((60, 40), (50, 35, 53, 38))


def test_parts_are_picked_by_place_and_by_size() -> None:
    scattered = mask_union(SQUARE, SPOT)
    assert mask_pick(scattered, "largest") == SQUARE
    assert mask_pick(scattered, "smallest") == SPOT
    assert mask_pick(scattered, "left", 2) == SPOT
    assert mask_pick(scattered, "bottom") == SPOT
    assert mask_pick(scattered, "right", 2) == SQUARE
    assert mask_pick(EMPTY) == EMPTY
    with pytest.raises(RefusedError, match="only 2 parts, not 3"):
        mask_pick(scattered, number=3)


def test_a_soft_rim_stays_with_the_part_that_it_belongs_to() -> None:
    soft = mask_feather(mask_union(SQUARE, SPOT), 2)
    assert mask_union(mask_pick(soft, "largest"), mask_pick(soft, "smallest")) == Mask(soft.pixels)
    assert mask_pick(soft, "largest").box == mask_feather(SQUARE, 2).box


def test_parts_near_and_inside_another_mask_are_kept_whole() -> None:
    scattered = mask_union(SQUARE, SPOT)
    beside = Mask.from_box((60, 40), (33, 10, 36, 20))
    assert mask_near(scattered, beside, 7) == SQUARE  # 4 px of 60
    assert mask_near(scattered, beside, 5).box is None
    assert mask_near(scattered, EMPTY, 100).box is None
    assert mask_inside(scattered, Mask.from_box((60, 40), (24, 0, 60, 40))) == scattered
    assert mask_inside(scattered, Mask.from_box((60, 40), (26, 0, 60, 40))) == SPOT
    frame = mask_subtract(Mask.from_box((60, 40), (15, 5, 35, 25)), Mask.from_box((60, 40), (17, 7, 33, 23)))
    assert mask_inside(scattered, frame) == SQUARE  # within the frame counts as inside
