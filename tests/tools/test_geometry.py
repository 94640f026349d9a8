"""Crop, rotate, straighten, flip, resize, border, extend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image
from lego.executor import contract
from lego.tools import geometry
from lego.tools.geometry import border, crop, extend_canvas, flip, resize, rotate, straighten


@pytest.mark.parametrize("name", ["crop", "rotate", "straighten", "flip", "resize", "border", "extend_canvas"])
def test_every_geometric_tool_keeps_the_contract(name: str) -> None:
    assert contract.check(getattr(geometry, name)) == []


@pytest.mark.parametrize(
    ("ratio", "size"),
    [("1:1", (427, 427)), ("4:5", (342, 427)), ("16:9", (640, 360)), ("3:1", (640, 213)), ("square", (427, 427))],
)
def test_a_crop_is_the_largest_of_its_ratio(photos: Path, ratio: str, size: tuple[int, int]) -> None:
    assert crop(Image.open(photos / "china.jpg"), ratio=ratio).size == size


def test_a_crop_is_centred_unless_anchored(small: Image) -> None:
    assert (crop(small, ratio="1:1").pixels == small.pixels[:, 5:35]).all()
    assert (crop(small, ratio="1:1", anchor="left").pixels == small.pixels[:, :30]).all()
    assert (crop(small, width=10, height=10, anchor="bottom right").pixels == small.pixels[-10:, -10:]).all()


def test_a_crop_to_a_box_counts_in_thousandths(small: Image) -> None:
    assert (crop(small, box=[250, 0, 750, 500]).pixels == small.pixels[:15, 10:30]).all()


@pytest.mark.parametrize("ratio", ["4", "0:5", "wide", "4:"])
def test_an_unreadable_ratio_is_refused(small: Image, ratio: str) -> None:
    with pytest.raises(ValueError, match="no ratio"):
        crop(small, ratio=ratio)


def test_an_empty_box_is_refused(small: Image) -> None:
    with pytest.raises(ValueError, match="empty"):
        crop(small, box=[500, 0, 500, 900])


@pytest.mark.parametrize(("angle", "turns"), [(90.0, 3), (-90.0, 1), (180.0, 2), (270.0, 1), (-360.0, 0), (360.0, 0)])
def test_quarter_turns_are_exact_and_clockwise(small: Image, angle: float, turns: int) -> None:
    assert (rotate(small, angle).pixels == np.rot90(small.pixels, turns)).all()


def test_a_positive_angle_turns_clockwise() -> None:
    pixels = np.zeros((101, 101, 3), np.uint8)
    pixels[5:15, 45:56] = 255  # at twelve o'clock
    turned = rotate(Image(pixels), 45.0, expand=True).pixels[..., 0]
    rows, columns = np.nonzero(turned > 128)
    assert columns.mean() > turned.shape[1] * 0.6
    assert rows.mean() < turned.shape[0] * 0.4


@pytest.mark.parametrize("size", [(400, 300), (300, 400), (500, 60)])
@pytest.mark.parametrize("angle", [3.0, -17.0, 45.0, 80.0, 133.0])
def test_a_turned_crop_shows_no_empty_corner(size: tuple[int, int], angle: float) -> None:
    image = Image(np.full((size[1], size[0], 3), 200, np.uint8), np.full((size[1], size[0]), 255, np.uint8))
    sine, cosine = abs(np.sin(np.radians(angle))), abs(np.cos(np.radians(angle)))
    width, height = rotate(image, angle).size
    half = np.array([width * cosine + height * sine, width * sine + height * cosine]) / 2
    assert (half <= np.array(size) / 2 + 1).all()  # its corners, turned back, lie inside the picture
    assert width * height > 0.9 * geometry._inner(*size, sine, cosine)[0] * geometry._inner(*size, sine, cosine)[1]
    ground = rotate(image, angle, expand=True, color="red")
    assert ground.size[0] >= width
    assert tuple(ground.pixels[0, 0]) == (255, 0, 0)


def test_the_inner_rectangle_is_the_largest() -> None:
    angle = np.radians(20)
    sine, cosine = np.sin(angle), np.cos(angle)
    best = 0.0
    for width in range(10, 430):  # by trying: the highest rectangle of each width
        room = min((400 - width * cosine) / sine, (300 - width * sine) / cosine)
        best = max(best, width * room)
    width, height = geometry._inner(400, 300, sine, cosine)
    assert width * height == pytest.approx(best, rel=0.01)


def test_a_leaning_picture_is_levelled(photos: Path) -> None:
    leaning = rotate(Image.open(photos / "astronaut.png"), 5.0)
    level = straighten(leaning)
    assert "leaned" in level.notes[0]
    assert float(level.notes[0].split("leaned ")[1].split()[0]) == pytest.approx(5, abs=1)
    assert level.size[0] < leaning.size[0]
    assert abs(geometry.lean_of(level.pixels)[0]) < 1


def test_lines_that_disagree_are_not_averaged(photos: Path) -> None:
    with pytest.raises(RefusedError, match="different ways"):
        straighten(Image.open(photos / "china.jpg"))


@pytest.mark.parametrize("name", ["chelsea.png", "dandelion.jpg", "flower.jpg"])
def test_a_picture_without_straight_lines_is_not_guessed_at(photos: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="cannot be told") as caught:
        straighten(Image.open(photos / name))
    assert "angle" in caught.value.hint


def test_a_given_angle_is_taken_as_it_is(photos: Path) -> None:
    image = Image.open(photos / "chelsea.png")
    assert straighten(image, 2.0) == rotate(image, 2.0)


def test_flips_mirror(small: Image) -> None:
    assert (flip(small).pixels == small.pixels[:, ::-1]).all()
    assert (flip(small, "vertical").pixels == small.pixels[::-1]).all()


def test_one_side_alone_keeps_the_proportions(small: Image) -> None:
    assert resize(small, width=80).size == (80, 60)
    assert resize(small, height=15).size == (20, 15)
    assert resize(small, width=10, height=10).size == (10, 10)
    assert resize(small, scale=0.5).size == (20, 15)


def test_a_picture_that_would_be_too_large_is_refused(small: Image) -> None:
    with pytest.raises(ValueError, match="too large"):
        resize(small, height=16384)


def test_making_smaller_does_not_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(resize(Image(stripes), width=12).pixels) < 60  # bilinear: 255


def test_a_border_lies_around_the_untouched_picture(small: Image) -> None:
    framed = border(small, 7, "#102030")
    assert framed.size == (54, 44)
    assert (framed.pixels[7:-7, 7:-7] == small.pixels).all()
    assert tuple(framed.pixels[0, 0]) == (16, 32, 48)


def test_alpha_follows_every_change(small: Image) -> None:
    alpha = np.arange(1200, dtype=np.uint16).reshape(30, 40).astype(np.uint8)
    seen = Image(small.pixels, alpha)
    assert (np.asarray(rotate(seen, 90.0).alpha) == np.rot90(alpha, 3)).all()
    assert (np.asarray(crop(seen, ratio="1:1").alpha) == alpha[:, 5:35]).all()
    assert np.asarray(border(seen, 3).alpha)[0, 0] == 255


@pytest.mark.parametrize("mode", ["fill", "reflect", "color"])
def test_extending_keeps_the_old_pixels_and_says_where_it_is_new(photos: Path, mode: str) -> None:
    image = crop(Image.open(photos / "china.jpg"), width=200, height=150, anchor="bottom")
    wide = extend_canvas(image, left=20.0, bottom=10.0, mode=mode)  # type: ignore[arg-type]
    assert wide.image.size == (240, 165)
    assert (wide.image.pixels[:150, 40:] == image.pixels).all()
    assert not wide.mask.pixels[:150, 40:].any()
    assert (wide.mask.pixels == 255).sum() == 240 * 165 - 200 * 150
    if mode == "fill":
        assert "PatchMatch" in wide.image.notes[0]


def test_extending_by_nothing_changes_nothing(small: Image) -> None:
    same, mask = extend_canvas(small)
    assert same == small
    assert mask.box is None
