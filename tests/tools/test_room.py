"""Room for a new thing: where the words say, of a fitting size, and on nothing that matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.values import Image, Mask
from lego.tools.room import find_room


def middle(mask: Mask) -> tuple[float, float]:
    x0, y0, x1, y1 = mask.box or (0, 0, 0, 0)
    return (x0 + x1) / 2 / mask.size[0], (y0 + y1) / 2 / mask.size[1]


@pytest.fixture(scope="module")
def rocket(photos: Path) -> Image:
    return Image.open(photos / "rocket.jpg")


@pytest.mark.parametrize(
    ("words", "x", "y"),
    [
        ("a man on the right", (0.7, 1), (0.4, 1)), ("a small tree at the left", (0, 0.5), (0.4, 1)),
        ("a bird", (0, 1), (0, 0.4)), ("右上角一只鸟", (0.6, 1), (0, 0.4)), ("a dog at the bottom", (0, 1), (0.6, 1)),
        ("a cloud in the middle", (0.3, 0.7), (0.3, 0.7)),
    ],
)  # fmt: skip
def test_it_stands_where_the_words_say(
    rocket: Image, words: str, x: tuple[float, float], y: tuple[float, float]
) -> None:
    across, down = middle(find_room(rocket, words))
    assert x[0] <= across <= x[1]
    assert y[0] <= down <= y[1]


def test_size_and_shape_are_those_of_the_thing(rocket: Image) -> None:
    usual, large, tiny = (find_room(rocket, words).share for words in ("a dog", "a huge dog", "a tiny dog"))
    assert tiny < 0.3 * usual < usual < 0.6 * large
    man, bus = (find_room(rocket, words).box or (0, 0, 1, 1) for words in ("a man", "a bus"))
    assert (man[2] - man[0]) < (man[3] - man[1])
    assert (bus[2] - bus[0]) > (bus[3] - bus[1])


def test_what_the_picture_is_of_is_not_covered() -> None:
    rng = np.random.default_rng(0)
    pixels = np.full((200, 300, 3), 120, np.uint8)
    pixels[:, 100:] = rng.integers(0, 256, (200, 200, 3))
    mask = find_room(Image(pixels), "a cat")
    assert middle(mask)[0] < 0.4


def test_a_drawn_area_holds_it_on_its_bottom_edge() -> None:
    image = Image(np.zeros((200, 300, 3), np.uint8))
    area = Mask.from_box((300, 200), (100, 20, 220, 150))
    box = find_room(image, "a small dog", area).box
    assert box is not None
    assert box[3] == 150
    assert abs((box[0] + box[2]) / 2 - 160) <= 1
    assert box[0] > 100
    ring = Mask(np.where(np.hypot(*np.mgrid[-100:100, -150:150]) > 90, 255, 0).astype(np.uint8))
    inside = find_room(image, "a huge dog", ring)
    assert ((inside.pixels > 0) <= (ring.pixels > 0)).all()
    assert inside.box
