"""Collages, pairs and insets: what lies where, in which colour, and that nothing is cropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image, Mask
from lego.executor import contract
from lego.tools import layout
from lego.tools.layout import before_after, collage, picture_in_picture, side_by_side

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255))


def flat(color: tuple[int, int, int], width: int = 90, height: int = 60) -> Image:
    return Image(np.full((height, width, 3), color, np.uint8))


def box_of(image: Image, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    box = Mask((image.pixels == color).all(2)).box
    assert box is not None
    return box


@pytest.mark.parametrize("name", ["collage", "side_by_side", "before_after", "picture_in_picture"])
def test_every_layout_keeps_the_contract(name: str) -> None:
    assert contract.check(getattr(layout, name)) == []


def test_a_collage_shows_every_picture_whole_in_order() -> None:
    made = collage(flat(COLORS[0]), [flat(c) for c in COLORS[1:]], columns=3, gap=5.0, color="#ffffff")
    boxes = [box_of(made, c) for c in COLORS]
    assert [b[1] == boxes[0][1] for b in boxes] == [True, True, True, False, False]
    assert boxes[0][0] < boxes[1][0] < boxes[2][0]
    assert boxes[3][0] < boxes[4][0]
    for x0, y0, x1, y1 in boxes:
        assert (x1 - x0) / (y1 - y0) == pytest.approx(1.5, rel=0.04)
        assert (made.pixels[y0 - 1, x0:x1] == 255).all()
    assert boxes[2][2] == boxes[4][2] == made.size[0] - 3
    assert (made.pixels[:3] == 255).all()


def test_a_collage_is_about_square_and_without_gaps_if_asked() -> None:
    made = collage(flat(COLORS[0]), [flat(c) for c in COLORS[1:4]], gap=0.0)
    assert box_of(made, COLORS[0])[:2] == (0, 0)
    assert box_of(made, COLORS[3])[2:] == made.size
    assert made.size == (180, 120)


def test_pictures_of_one_row_have_one_height(photos: Path) -> None:
    wide, high = Image.open(photos / "china.jpg"), Image.open(photos / "astronaut.png")
    made = collage(wide, [high], columns=2, gap=0.0)
    assert made.size[0] / made.size[1] == pytest.approx(640 / 427 + 1, rel=0.01)


def test_sixteen_large_pictures_make_no_monster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAX_SIDE", 400)
    assert max(collage(flat(COLORS[0]), [flat(COLORS[1])] * 15, columns=8).size) <= 400 + 40
    assert max(collage(flat(COLORS[0], 10, 300), [flat(COLORS[1], 10, 300)] * 3, columns=1).size) <= 400 + 40
    assert side_by_side(flat(COLORS[0], 3000, 20), flat(COLORS[1])).size[0] <= 400


def test_transparent_parts_show_the_colour_of_the_gaps() -> None:
    clear = Image(flat(COLORS[0]).pixels, np.zeros((60, 90), np.uint8))
    made = side_by_side(flat(COLORS[1]), clear, color="#102030")
    assert made.alpha is None
    assert (made.pixels[30, -20] == (16, 32, 48)).all()


def test_two_pictures_stand_side_by_side_at_one_height() -> None:
    made = side_by_side(flat(COLORS[0]), flat(COLORS[1], 30, 30), gap=10.0)
    left, right = box_of(made, COLORS[0]), box_of(made, COLORS[1])
    assert left == (0, 0, 90, 60)
    assert right[0] == 96
    assert right[3] - right[1] == right[2] - right[0] == 60


def test_one_above_the_other_has_one_width() -> None:
    made = side_by_side(flat(COLORS[0]), flat(COLORS[1], 30, 30), "vertical", gap=0.0)
    assert made.size == (90, 150)
    assert box_of(made, COLORS[1]) == (0, 60, 90, 150)


def test_before_stands_left_of_after() -> None:
    made = before_after(flat(COLORS[0]), flat(COLORS[1]))
    assert box_of(made, COLORS[1])[0] == 0
    assert box_of(made, COLORS[0])[0] > 89


def test_a_split_shows_half_of_each_with_a_line_between() -> None:
    made = before_after(flat(COLORS[0], 400, 300), flat(COLORS[1], 400, 300), "split", gap=4.0)
    assert made.size == (400, 300)
    before, line, after = (box_of(made, c) for c in (COLORS[1], (255, 255, 255), COLORS[0]))
    assert before[2] == line[0]
    assert line[2] == after[0]
    assert abs(line[0] - 199) < 3
    with pytest.raises(RefusedError, match="do not meet"):
        before_after(flat(COLORS[0]), flat(COLORS[1], 40, 40), "split")


def test_an_inset_lies_in_its_corner_with_border_round_corners_and_shadow() -> None:
    ground = flat((120, 120, 120), 400, 300)
    made = picture_in_picture(ground, flat(COLORS[0]), "top left", 0.3, border=5.0, rounding=10.0, color="#0000ff")
    inner, card = box_of(made, COLORS[0]), box_of(made, (0, 0, 255))
    assert inner[2] - inner[0] == 120
    assert [inner[0] - card[0], card[2] - inner[2]] == [4, 4]
    assert card[:2] == (12, 12)
    assert (made.pixels[12, 12] != (0, 0, 255)).any()  # its corner is round
    assert made.pixels[card[3] + 1, 70, 0] < 118  # and it throws a shadow
    assert (made.pixels[250:] == 120).all()


def test_a_plain_inset_is_a_bare_rectangle() -> None:
    ground = flat((120, 120, 120), 400, 300)
    made = picture_in_picture(ground, flat(COLORS[0]), "bottom right", 0.3, border=0.0, rounding=0.0, shadow=0.0)
    x0, y0, x1, y1 = box_of(made, COLORS[0])
    assert (x1, y1) == (388, 288)
    assert (made.pixels[y0:y1, x0:x1] == COLORS[0]).all()
    assert ((made.pixels != 120).any(2).sum()) == (x1 - x0) * (y1 - y0)
