"""Upscaling: nearer to the truth than Lanczos, seamless, and it gives the original back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lego.core.values import Image
from lego.tools import scale
from lego.tools.scale import upscale


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((first.astype(np.float64) - second) ** 2)))


@pytest.mark.parametrize("photo", ["coffee.png", "flower.jpg", "astronaut.png"])
def test_it_comes_nearer_to_the_truth_than_lanczos(photos: Path, photo: str) -> None:
    truth = Image.open(photos / photo).pixels
    truth = truth[: truth.shape[0] // 2 * 2, : truth.shape[1] // 2 * 2]
    size = (truth.shape[1], truth.shape[0])
    small = np.asarray(cv2.resize(truth, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA), np.uint8)
    lanczos = cv2.resize(small, size, interpolation=cv2.INTER_LANCZOS4)
    assert psnr(upscale(Image(small)).pixels, truth) > psnr(lanczos, truth) + 0.05


def test_made_small_again_it_is_the_original(photos: Path) -> None:
    image = Image.open(photos / "chelsea.png")
    large = upscale(image, 3.0)
    assert large.size == (3 * image.size[0], 3 * image.size[1])
    back = cv2.resize(large.pixels, image.size, interpolation=cv2.INTER_AREA)
    assert np.abs(back.astype(int) - image.pixels).mean() < 0.3


def test_strips_leave_no_seams(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.open(photos / "china.jpg")
    whole = upscale(image, 2.0).pixels
    monkeypatch.setattr(scale, "ROWS", 50)
    parts = upscale(image, 2.0).pixels
    assert np.abs(whole.astype(int) - parts).max() <= 2
    assert (whole == parts).mean() > 0.999


def test_grey_stays_grey_and_a_factor_of_one_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    grey = Image(
        np.repeat(rng.integers(0, 256, (30, 41, 1), dtype=np.uint8), 3, axis=2), np.full((30, 41), 99, np.uint8)
    )
    large = upscale(grey, 2.5)
    assert (np.ptp(large.pixels, axis=2) == 0).all()
    assert large.alpha is not None
    assert large.alpha.shape == (75, 102)
    assert upscale(grey, 1.0) == grey


def test_what_would_be_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        upscale(Image(np.zeros((2, 6000, 3), np.uint8)), 4.0)
