"""Watermarks can be seen on dark and light ground, hide nothing, and stay where they are put."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image, Mask
from lego.executor import contract
from lego.tools.watermark import watermark


def plain(value: int) -> Image:
    return Image(np.full((300, 400, 3), value, np.uint8))


def changed(image: Image, made: Image) -> Mask:
    return Mask(np.abs(made.pixels.astype(int) - image.pixels).max(2) > 3)


def test_watermarks_keep_the_contract() -> None:
    assert contract.check(watermark) == []


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_mark_is_seen_on_any_ground_and_stays_faint(value: int) -> None:
    made = watermark(plain(value), "lego")
    difference = np.abs(made.pixels.astype(int) - value).max()
    assert 25 < difference <= 0.45 * 255 + 1


def test_a_mark_lies_in_its_corner_at_its_size() -> None:
    box = changed(plain(60), watermark(plain(60), "Ann Smith", size=30.0)).box
    assert box is not None
    assert 388 - box[2] <= 3
    assert 288 - box[3] <= 3
    assert 105 < box[2] - box[0] <= 120
    left = changed(plain(60), watermark(plain(60), "Ann Smith", position="top left")).box
    assert left is not None
    assert left[0] < 18
    assert left[1] < 18


def test_a_short_mark_is_no_giant() -> None:
    box = changed(plain(60), watermark(plain(60), "A", size=40.0)).box
    assert box is not None
    assert box[3] - box[1] < 60


def test_a_tiled_mark_is_everywhere_but_hides_nothing(photos: Path) -> None:
    image = Image.open(photos / "china.jpg")
    made = watermark(image, "sample", position="tiled")
    mask = changed(image, made)
    height, width = mask.pixels.shape
    parts = [mask.pixels[y : y + height // 3, x : x + width // 3] for y in (0, height // 3) for x in (0, width // 2)]
    assert all(part.any() for part in parts)
    assert mask.share < 0.25


def test_a_logo_is_the_mark_if_there_are_no_words() -> None:
    logo = Image(np.full((20, 20, 3), (255, 0, 0), np.uint8))
    made = watermark(plain(0), picture=logo, opacity=0.5)
    assert set(np.unique(made.pixels[..., 0])) <= {0, 127, 128}
    assert made.pixels[..., 1].max() == 0
    assert watermark(plain(0), "lego", picture=logo).pixels[..., 1].max() > 0


def test_a_watermark_of_nothing_is_refused_and_an_invisible_one_changes_nothing() -> None:
    with pytest.raises(RefusedError, match="says nothing"):
        watermark(plain(9), "  ")
    assert watermark(plain(9), "lego", opacity=0.0) == plain(9)


def test_a_mark_can_be_chinese() -> None:
    assert changed(plain(60), watermark(plain(60), "样张")).box is not None
