"""Filters, judged by the pixels of photographs and of made-up scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lego.core.registry import registry
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.filter import blur, denoise, film_noise, grain, motion_blur, noise_of, pixelate, sharpen, vignette
from lego.tools.pixels import to_lab

PHOTOS = Path(__file__).parents[2] / "docs" / "photos"
AMOUNTS = {
    "blur": "radius", "motion_blur": "length", "sharpen": "amount", "denoise": "strength", "vignette": "amount",
    "grain": "amount",
}  # fmt: skip


@pytest.fixture(scope="module")
def coffee() -> Image:
    return Image.open(PHOTOS / "coffee.png")


@pytest.fixture(scope="module")
def scene() -> tuple[Image, Mask]:
    """A red disc before a grey wall, and the mask of the wall, its rim as soft as that of the disc."""
    x, y = np.meshgrid(np.arange(200), np.arange(160))
    disc = np.clip((40 - np.hypot(x - 100, y - 80)) / 2 + 0.5, 0, 1)[..., None]
    pixels = disc * (220, 20, 20) + (1 - disc) * 120.0
    return Image(np.rint(pixels).astype(np.uint8)), Mask((255 - disc[..., 0] * 255).astype(np.uint8))


def noisy(image: Image, sigma: float) -> Image:
    noise = np.random.default_rng(1).normal(0, sigma, image.pixels.shape)
    return Image(np.clip(np.rint(image.pixels + noise), 0, 255).astype(np.uint8))


def decibels(one: Image, other: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.pixels.astype(float) - other.pixels) ** 2)))


def tool(name: str) -> Any:
    return registry[name]


@pytest.mark.parametrize("name", [*AMOUNTS, "pixelate"])
def test_the_contract_holds(name: str) -> None:
    assert check(tool(name)) == []


@pytest.mark.parametrize(("name", "amount"), AMOUNTS.items())
def test_nothing_changes_at_zero(name: str, amount: str, coffee: Image) -> None:
    assert np.array_equal(tool(name)(coffee, **{amount: 0.0}).pixels, coffee.pixels)


@pytest.mark.parametrize(("name", "amount"), AMOUNTS.items())
def test_more_changes_more(name: str, amount: str, coffee: Image) -> None:
    top = tool(name).param(amount).high
    steps = [np.abs(tool(name)(coffee, **{amount: top * share}).pixels - coffee.pixels.astype(float)).mean()
             for share in (0.2, 0.5, 1.0)]  # fmt: skip
    assert 0.1 < steps[0] < steps[1] < steps[2]


@pytest.mark.parametrize("name", [*AMOUNTS, "pixelate"])
def test_edits_stay_inside_the_mask(name: str, coffee: Image) -> None:
    mask = Mask.from_box(coffee.size, (350, 150, 600, 390))
    done = tool(name)(coffee, mask)
    assert np.array_equal(done.pixels[mask.pixels == 0], coffee.pixels[mask.pixels == 0])
    assert (done.pixels != coffee.pixels)[mask.pixels == 255].mean() > 0.3


@pytest.mark.parametrize("radius", [1.0, 5.0, 10.0])
def test_a_blurred_background_takes_nothing_from_the_subject(scene: tuple[Image, Mask], radius: float) -> None:
    image, wall = scene
    done = blur(image, wall, radius=radius).pixels[wall.pixels == 255].astype(int)
    assert (done[:, 0] - done[:, 1]).max() <= 4  # the plain Gaussian reddens it by 60


def test_a_smeared_background_takes_nothing_from_the_subject(scene: tuple[Image, Mask]) -> None:
    image, wall = scene
    done = motion_blur(image, wall, length=10.0, angle=20.0).pixels[wall.pixels == 255].astype(int)
    assert (done[:, 0] - done[:, 1]).max() <= 4


def test_a_blur_is_as_wide_as_it_says() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[:, 200:] = 255
    profile = np.diff(blur(Image(pixels), radius=2.0).pixels[150, :, 0].astype(float))
    place = np.arange(399) + 0.5
    mean = (profile * place).sum() / profile.sum()
    assert np.sqrt((profile * (place - mean) ** 2).sum() / profile.sum()) == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("angle", [0.0, 90.0, 30.0])
def test_motion_blur_goes_along_its_angle(angle: float) -> None:
    dot = np.zeros((101, 101, 3), np.uint8)
    dot[49:52, 49:52] = 255
    y, x = np.nonzero(motion_blur(Image(dot), length=15.0, angle=angle).pixels[..., 0] > 10)
    along = np.radians(angle)
    spread = np.ptp((x - 50) * np.cos(along) - (y - 50) * np.sin(along))
    across = np.ptp((x - 50) * np.sin(along) + (y - 50) * np.cos(along))
    assert 12 < spread < 21
    assert across < 6


def test_sharpening_leaves_hues_and_faint_noise(coffee: Image) -> None:
    done = sharpen(coffee, amount=1.0)
    before, after = to_lab(coffee.pixels), to_lab(done.pixels)
    assert np.percentile(np.abs(after - before)[..., 1:], 95) < 3
    flat = noisy(Image(np.full((80, 80, 3), 120, np.uint8)), 1.0)
    assert sharpen(flat, amount=1.0).pixels.std() < 1.25 * flat.pixels.std()
    edges = [cv2.Laplacian(image.pixels, cv2.CV_32F).std() for image in (coffee, done)]
    assert edges[1] > 1.2 * edges[0]


@pytest.mark.parametrize(("sigma", "gain"), [(20.0, 6.5), (8.0, 4.5)])
def test_denoising_gains_decibels(coffee: Image, sigma: float, gain: float) -> None:
    worse = noisy(coffee, sigma)
    assert decibels(denoise(worse, context=Context()), coffee) > decibels(worse, coffee) + gain


def test_denoising_spares_a_clean_picture(coffee: Image) -> None:
    assert decibels(denoise(coffee, context=Context()), coffee) > 44


@pytest.mark.parametrize("sigma", [3.0, 8.0, 20.0])
@pytest.mark.parametrize("name", ["coffee.png", "astronaut.png", "rocket.jpg"])
def test_the_noise_is_measured(name: str, sigma: float) -> None:
    assert noise_of(noisy(Image.open(PHOTOS / name), sigma)) == pytest.approx(sigma, rel=0.35)


def test_noise_cut_off_in_black_is_not_taken_for_little() -> None:
    pixels = np.zeros((160, 160, 3), np.uint8)
    pixels[:64] = 128
    assert noise_of(noisy(Image(pixels), 10.0)) == pytest.approx(10, rel=0.2)
    white = np.full((160, 160, 3), 255, np.uint8)
    white[:64] = 190
    assert noise_of(noisy(Image(white), 10.0)) == pytest.approx(10, rel=0.2)


def test_denoising_has_no_seams_and_reports_progress() -> None:
    ramp = np.linspace(60, 200, 523)[:, None, None] + np.zeros((523, 70, 3))
    reports: list[float] = []
    done = denoise(noisy(Image(ramp.astype(np.uint8)), 10.0), strength=1.0, context=Context(progress=reports.append))
    rows = done.pixels.mean((1, 2))
    assert np.abs(np.diff(rows - ramp[:, 0, 0])).max() < 3
    assert reports == sorted(reports)
    assert reports[-1] == 1
    assert len(reports) == 3


def test_a_vignette_darkens_corners_and_not_the_middle() -> None:
    done = vignette(Image(np.full((90, 160, 3), 200, np.uint8)), amount=0.6).pixels[..., 0].astype(int)
    assert done[45, 80] == 200
    assert done[0, 0] < 110
    assert abs(done[0, 0] - done[-1, -1]) <= 1
    assert (np.diff(done[45, 80:]) <= 0).all()
    assert 120 < done[0, 80] < 200


def test_grain_is_grey_even_and_the_same_for_the_same_seed(coffee: Image) -> None:
    one, same, other = (grain(coffee, context=Context(seed=seed)).pixels for seed in (4, 4, 5))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    flat = Image(np.full((200, 200, 3), 128, np.uint8))
    done = grain(flat, amount=0.35, context=Context()).pixels
    assert (done.max(2) == done.min(2)).all()
    assert done.mean() == pytest.approx(128, abs=0.5)
    assert done.std() == pytest.approx(10.5, rel=0.1)


def test_grain_is_weakest_in_black_and_white() -> None:
    flats = [Image(np.full((80, 80, 3), level, np.uint8)) for level in (8, 128, 247)]
    spread = [grain(flat, amount=0.5, context=Context()).pixels.std() for flat in flats]
    assert spread[0] < 0.6 * spread[1]
    assert spread[2] < 0.6 * spread[1]


def test_coarser_grain_is_smoother_and_as_strong() -> None:
    fine, coarse = film_noise(1, (200, 200), 0.4), film_noise(1, (200, 200), 3.0)
    assert fine.std() == pytest.approx(1, abs=0.02)
    assert coarse.std() == pytest.approx(1, abs=0.02)
    assert neighbours(coarse) > 0.7 > 0.1 > neighbours(fine)


def neighbours(noise: NDArray[np.float32]) -> float:
    return float(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1])


def test_a_pixelated_face_is_a_few_even_blocks() -> None:
    astronaut = Image.open(PHOTOS / "astronaut.png")
    face = Mask.from_box(astronaut.size, (175, 60, 275, 180))
    part = pixelate(astronaut, face).pixels[60:180, 175:275]
    assert len(np.unique(part.reshape(-1, 3), axis=0)) <= 80
    assert (part[:12, :12] == part[0, 0]).mean() > 0.6


def test_blocks_start_at_the_corner_of_what_is_masked() -> None:
    image = noisy(Image(np.full((100, 100, 3), 128, np.uint8)), 40.0)
    done = pixelate(image, Mask.from_box((100, 100), (13, 7, 53, 47)), cell=20).pixels
    for y, x in ((7, 13), (7, 33), (27, 13), (27, 33)):
        assert (done[y : y + 20, x : x + 20] == done[y, x]).all()
    assert (done[7, 13] != done[7, 33]).any()


def test_half_a_mask_hides_all() -> None:
    image = noisy(Image(np.full((40, 40, 3), 128, np.uint8)), 40.0)
    half = Mask(np.full((40, 40), 128, np.uint8))
    assert len(np.unique(pixelate(image, half, cell=20).pixels.reshape(-1, 3), axis=0)) == 4


def test_fine_blocks_over_a_large_thing_come_with_a_warning(coffee: Image) -> None:
    whole = Mask(np.full(coffee.pixels.shape[:2], 255, np.uint8))
    assert "recognised" in pixelate(coffee, whole, cell=8).notes[0]
    assert pixelate(coffee, whole).notes == ()
    assert pixelate(coffee, cell=8).notes == ()  # a mosaic of the whole picture is not meant to hide
