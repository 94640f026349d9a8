"""Portraits, judged on the one face among the photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.pixels import to_lab
from lego.tools.portrait import red_eye, smooth_skin, whiten_teeth

NAMES = ("smooth_skin", "red_eye", "whiten_teeth")
CHEEK, EYE = (slice(118, 132), slice(244, 256)), (slice(95, 107), slice(196, 212))
TEETH = (slice(142, 148), slice(214, 234))
PUPILS = ((204, 101), (247, 104))


@pytest.fixture(scope="module")
def astronaut(photos: Path) -> Image:
    return Image.open(photos / "astronaut.png")


@pytest.fixture(scope="module")
def face(astronaut: Image) -> Mask:
    return Mask(cv2.ellipse(np.zeros((512, 512), np.uint8), (224, 118), (44, 62), 0, 0, 360, 255, -1))


@pytest.fixture(scope="module")
def flashed(astronaut: Image) -> Image:
    pixels = np.array(astronaut.pixels)
    for place in PUPILS:
        cv2.circle(pixels, place, 3, (205, 45, 50), -1, cv2.LINE_AA)
    return Image(pixels)


def fine(image: Image, where: tuple[slice, slice]) -> float:
    """How much structure of middling size there is."""
    light = to_lab(image.pixels)[..., 0]
    return float((cv2.GaussianBlur(light, (0, 0), 1) - cv2.GaussianBlur(light, (0, 0), 4))[where].std())


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds(name: str) -> None:
    assert check(registry[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_that_holds_nothing_of_the_kind_is_refused(name: str, photos: Path) -> None:
    china = Image.open(photos / "china.jpg")
    with pytest.raises(RefusedError, match="to retouch"):
        registry[name](china, Mask.from_box(china.size, (300, 20, 420, 90)))  # sky


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_at_zero_or_with_an_empty_mask(name: str, astronaut: Image) -> None:
    empty = Mask(np.zeros((512, 512), np.uint8))
    assert np.array_equal(registry[name](astronaut, amount=0.0).pixels, astronaut.pixels)
    assert np.array_equal(registry[name](astronaut, empty).pixels, astronaut.pixels)


def test_skin_grows_smoother_and_eyes_stay_sharp(astronaut: Image, face: Mask) -> None:
    done = smooth_skin(astronaut, face, amount=1.0)
    assert fine(done, CHEEK) < 0.75 * fine(astronaut, CHEEK)
    assert fine(done, EYE) > 0.93 * fine(astronaut, EYE)
    assert np.array_equal(done.pixels[face.pixels == 0], astronaut.pixels[face.pixels == 0])
    assert np.abs(to_lab(done.pixels)[CHEEK].mean((0, 1)) - to_lab(astronaut.pixels)[CHEEK].mean((0, 1))).max() < 3.5


def test_teeth_lose_their_yellow_and_lips_and_skin_stay(astronaut: Image, face: Mask) -> None:
    mouth = Mask.from_box((512, 512), (200, 132, 250, 162))
    done = to_lab(whiten_teeth(astronaut, mouth, amount=1.0).pixels)
    before = to_lab(astronaut.pixels)
    tooth = (before[TEETH][..., 1] < 4) & (before[TEETH][..., 0] > 80)
    assert (before - done)[TEETH][tooth][:, 2].mean() > 3
    assert (done - before)[TEETH][tooth][:, 0].mean() > 0.5
    assert np.abs(done - before)[152:160, 210:240].mean() < 0.4  # the lower lip


def test_red_pupils_turn_dark_and_nothing_else_changes(flashed: Image) -> None:
    eyes = Mask.from_box((512, 512), (192, 92, 260, 112))
    done = red_eye(flashed, eyes)
    for x, y in PUPILS:
        red, green, blue = done.pixels[y, x].astype(int)
        assert red < 70
        assert abs(red - (green + blue) / 2) < 12
    changed = (done.pixels != flashed.pixels).any(2)
    assert changed.sum() < 300
    assert np.array_equal(done.pixels[~changed], flashed.pixels[~changed])


def test_a_red_box_is_no_red_eye() -> None:
    red = Image(np.full((40, 60, 3), (200, 40, 40), np.uint8))
    with pytest.raises(RefusedError, match="no red and round"):
        red_eye(red, Mask.from_box((60, 40), (10, 10, 50, 30)))


def test_a_face_is_found_without_a_mask(astronaut: Image, flashed: Image) -> None:
    smooth = smooth_skin(astronaut, amount=1.0)
    assert fine(smooth, CHEEK) < 0.8 * fine(astronaut, CHEEK)
    assert np.array_equal(smooth.pixels[300:], astronaut.pixels[300:])
    assert (whiten_teeth(astronaut).pixels != astronaut.pixels)[TEETH].any()
    assert red_eye(flashed).pixels[101, 204, 0] < 80
    with pytest.raises(RefusedError, match="no red and round"):
        red_eye(astronaut)  # brown eyes are not red


def test_without_a_face_the_tools_decline(photos: Path) -> None:
    coffee = Image.open(photos / "coffee.png")
    for name in NAMES:
        with pytest.raises(RefusedError, match="no face"):
            registry[name](coffee)
