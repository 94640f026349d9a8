"""Haze and glow, judged by photographs into which haze was put."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.haze import dehaze, glow
from lego.tools.pixels import to_lab


@pytest.fixture(scope="module")
def flower(photos: Path) -> Image:
    return Image.open(photos / "flower.jpg")


def hazy(image: Image, through: float) -> Image:
    return image.replace((image.pixels * through + np.array([215, 220, 228]) * (1 - through)).astype(np.uint8))


def off(first: Image, second: Image) -> float:
    return float(np.abs(first.pixels.astype(float) - second.pixels).mean())


@pytest.mark.parametrize("name", ["dehaze", "glow"])
def test_the_contract_holds(name: str) -> None:
    assert check(registry[name]) == []


@pytest.mark.parametrize("name", ["dehaze", "glow"])
def test_edits_stay_inside_the_mask_and_greys_stay_grey(name: str, flower: Image) -> None:
    mask = Mask.from_box(flower.size, (100, 50, 300, 250))
    done = registry[name](flower, mask)
    assert np.array_equal(done.pixels[mask.pixels == 0], flower.pixels[mask.pixels == 0])
    grey = Image(np.repeat(flower.pixels[..., :1], 3, 2))
    done = registry[name](grey)
    assert (done.pixels.max(2) == done.pixels.min(2)).all()


def test_nothing_changes_at_zero(flower: Image) -> None:
    assert np.array_equal(dehaze(flower, dehaze=0.0).pixels, flower.pixels)
    assert np.array_equal(glow(flower, amount=0.0).pixels, flower.pixels)


def test_haze_that_was_put_in_is_mostly_taken_out(flower: Image) -> None:
    veiled = hazy(flower, 0.65)
    some, most = dehaze(veiled, dehaze=50.0), dehaze(veiled, dehaze=100.0)
    assert off(most, flower) < 0.6 * off(veiled, flower)
    assert off(most, flower) < off(some, flower) < off(veiled, flower)
    assert to_lab(most.pixels)[..., 0].std() > 1.2 * to_lab(veiled.pixels)[..., 0].std()
    assert most.notes == ()


def test_a_clear_picture_hardly_changes_and_that_is_said(photos: Path) -> None:
    coffee = Image.open(photos / "coffee.png")
    done = dehaze(coffee)
    assert off(done, coffee) < 6
    assert "hardly any haze" in done.notes[0]


def test_a_glow_spreads_from_what_is_bright() -> None:
    pixels = np.full((200, 300, 3), 40, np.uint8)
    pixels[90:110, 140:160] = 255
    done = glow(Image(pixels), amount=1.0, radius=3.0).pixels.astype(int)
    assert done[100, 165, 0] > done[100, 10, 0] + 20  # beside the light, and far from it
    assert done[100, 165, 0] > done[100, 180, 0]
    assert done[100, 10, 0] <= 40


def test_a_glow_keeps_fine_detail(flower: Image) -> None:
    fine = [np.abs(np.diff(to_lab(i.pixels)[..., 0], axis=1)).mean() for i in (flower, glow(flower))]
    assert fine[1] > 0.8 * fine[0]
