"""Blur that was put in, measured and taken back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.registry import registry
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.focus import blur_of, deblur


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image:
    return Image.open(photos / "coffee.png")


def blurred(image: Image, sigma: float) -> Image:
    return image.replace(cv2.GaussianBlur(image.pixels, (0, 0), sigma))


def taken_back(image: Image, mask: Mask | None = None, amount: float = 0.8, radius: float | None = None) -> Image:
    return deblur(image, mask, amount, radius, context=Context())


def off(first: Image, second: Image) -> float:
    return float(((first.pixels.astype(float) - second.pixels) ** 2).mean())


def test_the_contract_holds() -> None:
    assert check(registry["deblur"]) == []


@pytest.mark.parametrize("sigma", [1.2, 2.0, 3.0])
def test_the_blur_is_measured_and_a_good_part_of_the_loss_comes_back(coffee: Image, sigma: float) -> None:
    soft = blurred(coffee, sigma)
    assert blur_of(soft.pixels) == pytest.approx(sigma, abs=0.4)
    done = taken_back(soft, amount=1.0)
    assert off(done, coffee) < 0.88 * off(soft, coffee)
    assert f"{sigma:.0f}"[0] in done.notes[0]


def test_a_sharp_picture_is_left_alone(coffee: Image) -> None:
    done = taken_back(coffee)
    assert np.array_equal(done.pixels, coffee.pixels)
    assert "sharp already" in done.notes[0]


def test_a_strong_blur_is_refused(coffee: Image) -> None:
    with pytest.raises(RefusedError, match="blurred by about"):
        taken_back(blurred(coffee, 5.0))


def test_no_rings_stand_round_an_edge() -> None:
    pixels = np.full((64, 64, 3), 70, np.uint8)
    pixels[:, 32:] = 180
    done = taken_back(blurred(Image(pixels), 2.0), amount=1.0, radius=2.0).pixels.astype(int)
    assert done.min() >= 70 - 9
    assert done.max() <= 180 + 9


def test_noise_is_not_sharpened(coffee: Image) -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(128 + rng.normal(0, 6, (200, 200, 1)), 0, 255).astype(np.uint8).repeat(3, 2)
    done = taken_back(Image(noisy), amount=1.0, radius=1.5)
    assert done.pixels.std() < 1.25 * noisy.std()


def test_edits_stay_inside_the_mask(coffee: Image) -> None:
    soft = blurred(coffee, 1.5)
    mask = Mask.from_box(soft.size, (100, 50, 300, 250))
    part, whole = taken_back(soft, mask), taken_back(soft)
    assert np.array_equal(part.pixels[mask.pixels == 0], soft.pixels[mask.pixels == 0])
    assert np.array_equal(part.pixels[60:240, 110:290], whole.pixels[60:240, 110:290])
