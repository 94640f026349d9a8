"""Turning the camera upright: measured on a made-up street, whose tilt is known, and refused where nothing tells."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image
from lego.tools.perspective import _rotation, _tilt, _turned, perspective


@pytest.fixture(scope="module")
def street(photos: Path) -> Image:
    """Three houses with windows before a real sky, upright, with grain."""
    sky = Image.open(photos / "china.jpg").pixels[:120, 300:]
    canvas = cv2.resize(sky, (900, 675))
    for x0, x1, top, color in (
        (60, 315, 110, (150, 110, 80)),
        (350, 600, 45, (170, 170, 160)),
        (640, 850, 190, (120, 60, 50)),
    ):
        cv2.rectangle(canvas, (x0, top), (x1, 675), color, -1)
        for x in range(x0 + 20, x1 - 35, 55):
            for y in range(top + 25, 620, 75):
                cv2.rectangle(canvas, (x, y), (x + 30, y + 45), (40, 50, 60), -1)
                cv2.rectangle(canvas, (x, y), (x + 30, y + 45), (220, 220, 210), 2)
    grain = np.random.default_rng(1).normal(0, 5, canvas.shape)
    return Image(np.clip(canvas + grain, 0, 255).astype(np.uint8))


def tilted(image: Image, up: float, lean: float = 0.0) -> Image:
    return _turned(image, _rotation(math.radians(-up), 0.0, math.radians(-lean)))[0]


@pytest.mark.parametrize(("up", "lean"), [(10.0, 0.0), (-8.0, 2.0), (5.0, -3.0)])
def test_the_tilt_is_read_from_the_walls_and_taken_back(street: Image, up: float, lean: float) -> None:
    seen = tilted(street, up, lean)
    pitch, roll, note = _tilt(seen.pixels)
    assert math.degrees(pitch) == pytest.approx(up, rel=0.12)  # the crop hides how long the lens is
    assert math.degrees(roll) == pytest.approx(lean, abs=0.5)
    assert ("up" if up > 0 else "down") in note
    made = perspective(seen)
    left = _tilt(made.pixels)
    assert left[:2] == (0.0, 0.0)
    assert seen.size[0] / seen.size[1] == pytest.approx(made.size[0] / made.size[1], rel=0.01)


def test_an_upright_street_stays_as_it_is(street: Image) -> None:
    made = perspective(street)
    assert made == street
    assert "already" in made.notes[0]


@pytest.mark.parametrize(
    "photo", ["chelsea.png", "rocket.jpg", "coffee.png", "flower.jpg", "china.jpg", "astronaut.png"]
)
def test_where_no_walls_tell_it_is_refused(photos: Path, photo: str) -> None:
    with pytest.raises(RefusedError, match="cannot be told"):
        perspective(Image.open(photos / photo))


def test_a_given_angle_widens_the_top_and_shows_no_empty_corner(photos: Path) -> None:
    white = Image(np.full((300, 400, 3), 255, np.uint8), np.full((300, 400), 200, np.uint8))
    for angles in ((12.0, 0.0), (None, -15.0), (-8.0, 6.0)):
        made = perspective(white, *angles)
        assert (made.pixels == 255).all()
        assert made.alpha is not None
        assert made.alpha.shape == made.pixels.shape[:2]
    bars = np.zeros((300, 400, 3), np.uint8)
    bars[:, 100:104] = bars[:, 296:300] = 255
    columns = [np.flatnonzero(row > 127) for row in perspective(Image(bars), 12.0).pixels[..., 0]]
    assert np.ptp(columns[2]) > np.ptp(columns[-3]) + 20


def test_nothing_is_turned_by_nought_and_too_much_is_refused(street: Image) -> None:
    assert perspective(street, 0.0) == street
    with pytest.raises(RefusedError, match="would be left"):
        perspective(street, 30.0, 30.0)
