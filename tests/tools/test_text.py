"""Words in the picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image, Mask
from lego.executor import contract
from lego.tools import compose
from lego.tools.text import add_text

GREY = Image(np.full((300, 400, 3), 100, np.uint8))


def ink(image: Image) -> tuple[int, int, int, int]:
    box = Mask((image.pixels != 100).any(2)).box
    assert box is not None
    return box


def test_writing_keeps_the_contract() -> None:
    assert contract.check(add_text) == []


@pytest.mark.parametrize(
    "position", ["top left", "top", "top right", "left", "center", "right", "bottom left", "bottom"]
)
def test_words_stand_at_their_place_with_a_margin(position: compose.Position) -> None:
    x0, y0, x1, y1 = ink(add_text(GREY, "Hill", position))
    assert (x0 == 12) == ("left" in position)
    assert (x1 == 388) == ("right" in position)
    assert (y0 == 12) == ("top" in position)
    assert (y1 == 288) == ("bottom" in position)
    if "left" not in position and "right" not in position:
        assert abs(x0 + x1 - 400) <= 1


def test_colour_and_opacity_are_those_asked_for() -> None:
    opaque = add_text(GREY, "HHH", color="#ff0000", size=30.0, weight=900).pixels.reshape(-1, 3)
    assert (opaque == (255, 0, 0)).all(1).sum() > 500
    half = add_text(GREY, "HHH", color="#ff0000", size=30.0, weight=900, opacity=0.5).pixels.reshape(-1, 3).astype(int)
    assert (np.abs(half - (178, 50, 50)).max(1) <= 1).sum() > 500
    assert not (half[:, 0] > 180).any()
    assert add_text(GREY, "HHH", opacity=0.0) == GREY


def test_size_is_that_of_a_line() -> None:
    heights = [np.subtract(*ink(add_text(GREY, "H", size=size))[3:0:-2]) for size in (10.0, 20.0)]
    assert heights[1] == pytest.approx(2 * heights[0], abs=2)
    assert 0.6 < heights[1] / 60 < 0.85  # a capital is about 0.72 of its font size


def test_heavier_words_have_more_ink() -> None:
    light, bold = ((add_text(GREY, "Hello", weight=w).pixels != 100).any(2).sum() for w in (200, 900))
    assert bold > 1.4 * light


def test_edges_are_smooth() -> None:
    assert len(np.unique(add_text(GREY, "Oo", size=20.0).pixels)) > 20


def test_small_words_are_spaced_like_large_ones() -> None:
    wide = Image(np.full((600, 1600, 3), 100, np.uint8))
    words = "Illumination of the wavelet"
    small, large = (ink(add_text(wide, words, "center", size=size)) for size in (2.0, 10.0))
    assert (large[2] - large[0]) / (small[2] - small[0]) == pytest.approx(5, rel=0.03)


def test_no_letter_of_a_long_small_line_is_cut_off() -> None:
    wide = Image(np.full((300, 1600, 3), 100, np.uint8))
    line = "mill " * 30 + "H"
    x1 = ink(add_text(wide, line, "left", size=4.0))[2]
    alone = ink(add_text(wide, "H", "left", size=4.0))
    last = (add_text(wide, line, "left", size=4.0).pixels[:, x1 - (alone[2] - alone[0]) : x1] != 100).any(2).sum()
    assert last == pytest.approx((add_text(wide, "H", "left", size=4.0).pixels != 100).any(2).sum(), rel=0.25)


def test_words_that_are_too_wide_are_made_smaller() -> None:
    made = add_text(GREY, "twelve letters", size=22.0)
    x0, _, x1, _ = ink(made)
    assert x0 >= 11
    assert x1 <= 389
    assert "smaller" in made.notes[0]


def test_a_long_sentence_is_broken_into_lines() -> None:
    made = add_text(GREY, "a sentence that is much too long to be written in one line at this size", size=9.0)
    x0, _, x1, _ = ink(made)
    assert x0 >= 11
    assert x1 <= 389
    assert "broken into" in made.notes[-1]
    assert (
        "broken into" in add_text(GREY, "这是一个很长的句子没有空格但是也应该换行显示出来才对啊", size=12.0).notes[-1]
    )


def test_every_break_starts_a_line() -> None:
    one, two = (ink(add_text(GREY, words)) for words in ("HH", "HH\nHH"))
    assert two[3] - two[1] > 1.9 * (one[3] - one[1])
    assert two[2] - two[0] == one[2] - one[0]


def test_chinese_is_written() -> None:
    one, three = ((add_text(GREY, words, size=20.0).pixels != 100).any(2).sum() for words in ("颐", "颐和园"))
    assert three > 1.8 * one > 0


@pytest.mark.parametrize("words", ["مرحبا", "שלום", "hi שלום"])
def test_right_to_left_scripts_are_refused(words: str) -> None:
    with pytest.raises(RefusedError, match="right-to-left") as caught:
        add_text(GREY, words)
    assert caught.value.hint


@pytest.mark.parametrize("words", ["😀", "नमस्ते", "ok 😀"])
def test_characters_without_a_glyph_are_refused(words: str) -> None:
    with pytest.raises(RefusedError, match="no glyph"):
        add_text(GREY, words)


def test_question_marks_are_written() -> None:
    assert add_text(GREY, "why?") != add_text(GREY, "why")


def test_turned_words_run_clockwise_downwards() -> None:
    rows, columns = np.nonzero((add_text(GREY, "HHHHHHHH", "center", angle=45.0).pixels != 100).any(2))
    assert np.corrcoef(rows, columns)[0, 1] > 0.9
    x0, y0, x1, y1 = ink(add_text(GREY, "HHHHHHHH", "center", angle=90.0))
    assert y1 - y0 > 4 * (x1 - x0)


def test_a_shadow_darkens_the_ground_but_not_the_words() -> None:
    plain, shaded = (add_text(GREY, "HHH", size=30.0, weight=900, shadow=s).pixels.astype(int) for s in (False, True))
    core = (plain == 255).all(2)
    assert (shaded[core] == 255).all()
    assert shaded.min() < 80
    assert plain.min() == 100


def test_words_on_transparent_ground_are_opaque() -> None:
    made = add_text(Image(GREY.pixels, np.zeros((300, 400), np.uint8)), "HHH", size=30.0, weight=900)
    alpha = np.asarray(made.alpha)
    assert alpha.max() == 255
    assert alpha.min() == 0


def test_no_words_change_nothing(small: Image) -> None:
    assert add_text(small, "  \n ") == small


def test_an_outline_surrounds_the_letters_in_its_own_colour(photos: Path) -> None:
    image = Image.open(photos / "rocket.jpg")
    plain = add_text(image, "Launch", "top", "#ffffff", 12.0)
    lined = add_text(image, "Launch", "top", "#ffffff", 12.0, outline=0.1, outline_color="#c00000")
    letters = (plain.pixels != image.pixels).any(2)
    red = (lined.pixels[..., 0] > 150) & (lined.pixels[..., 1] < 60)
    assert red.sum() > 0.3 * letters.sum()
    assert not red[(plain.pixels == 255).all(2)].any()  # the letters themselves stay white
    reach = round(0.1 * 0.12 * image.size[1]) + 2
    grown = cv2.dilate(letters.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    assert not (lined.pixels != image.pixels).any(2)[~grown].any()


def test_a_plate_stands_behind_the_words_and_turns_with_them(photos: Path) -> None:
    image = Image.open(photos / "coffee.png")
    flat = add_text(image, "2.50", "center", "#ffffff", 10.0, plate="#203040")
    turned = add_text(image, "2.50", "center", "#ffffff", 10.0, angle=30.0, plate="#203040")
    for made in (flat, turned):
        plate = (made.pixels == (0x20, 0x30, 0x40)).all(2)
        assert plate.sum() > 1000
    box, tilted = (Mask((made.pixels != image.pixels).any(2)).box for made in (flat, turned))
    assert box is not None
    assert tilted is not None
    assert tilted[3] - tilted[1] > 1.4 * (box[3] - box[1])
