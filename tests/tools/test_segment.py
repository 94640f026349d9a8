"""Finding things in real photographs, and declining to."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image, Mask
from lego.tools.finders import words
from lego.tools.segment import mask_refine, segment, segment_box, segment_point


def share(mask: Mask, x0: int, y0: int, x1: int, y1: int) -> float:
    """How much of a box is masked."""
    return float(mask.pixels[y0:y1, x0:x1].mean() / 255)


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(__file__).parents[2] / "docs" / "photos"


def test_the_red_cup_and_saucer_are_found_without_the_table_the_coffee_or_the_rim(folder: Path) -> None:
    mask = segment(Image.open(folder / "coffee.png"), "the red cup and saucer")
    assert mask.confidence is not None
    assert mask.confidence >= 0.72
    assert share(mask, 95, 180, 150, 260) > 0.95  # saucer
    assert share(mask, 270, 230, 340, 270) > 0.9  # the cup's shaded side
    assert share(mask, 230, 115, 340, 180) == 0  # coffee
    assert share(mask, 500, 280, 600, 400) == 0  # table
    assert any("cannot be checked" in note for note in mask.notes)


def test_the_orange_suit_is_found_without_face_hair_and_flag(folder: Path) -> None:
    mask = segment(Image.open(folder / "astronaut.png"), "the orange suit")
    assert share(mask, 70, 300, 120, 420) > 0.95
    assert share(mask, 170, 20, 290, 150) == 0
    assert share(mask, 0, 0, 40, 200) < 0.02


def test_a_suit_goes_on_behind_straps(folder: Path) -> None:
    mask = segment(Image.open(folder / "astronaut.png"), "the orange suit")
    assert share(mask, 205, 440, 235, 490) > 0.95  # cut off from the rest by belt and buckle


def test_a_face_is_found_by_its_outline_and_nothing_else_is_taken_for_one(folder: Path) -> None:
    astronaut = Image.open(folder / "astronaut.png")
    mask = segment(astronaut, "the face")
    assert mask.confidence is not None
    assert mask.confidence > 0.9
    assert share(mask, 200, 90, 255, 165) == 1
    assert share(mask, 0, 0, 512, 45) == 0
    assert share(mask, 0, 190, 512, 512) == 0
    assert segment(astronaut, "人脸") == mask
    for photo in ("chelsea.png", "flower.jpg", "coffee.png", "china.jpg", "rocket.jpg", "dandelion.jpg"):
        with pytest.raises(RefusedError, match="no faces"):
            segment(Image.open(folder / photo), "face")


def test_without_the_detector_faces_are_declined_with_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lego.tools.finders.face.find_spec", lambda name: None)
    with pytest.raises(RefusedError) as caught:
        segment(Image.open(folder / "astronaut.png"), "face")
    assert "pip install scikit-image" in caught.value.hint


def test_the_sky_ends_at_the_temple_and_at_the_horizon(folder: Path) -> None:
    mask = segment(Image.open(folder / "china.jpg"), "天空")
    assert share(mask, 20, 10, 85, 120) > 0.99
    assert share(mask, 180, 120, 280, 200) < 0.02  # temple
    assert share(mask, 400, 230, 520, 270) < 0.02  # lake


def test_subject_and_background_are_each_others_opposite(folder: Path) -> None:
    flower = Image.open(folder / "flower.jpg")
    subject, background = segment(flower, "subject"), segment(flower, "background")
    assert (subject.pixels.astype(int) + background.pixels == 255).all()
    assert share(subject, 230, 140, 380, 300) > 0.99
    assert segment(flower, "the flower") == subject


@pytest.mark.parametrize(
    ("photo", "target"),
    [
        ("rocket.jpg", "rocket"),
        ("coffee.png", "unicorn"),
        ("coffee.png", "the green cup"),
        ("coffee.png", "sky"),
        ("chelsea.png", "sky"),
        ("chelsea.png", "subject"),
        ("chelsea.png", "flower"),
        ("astronaut.png", "background"),
        ("rocket.jpg", "the red car"),
        ("coffee.png", "the white cup"),
    ],
)
def test_what_is_not_there_or_cannot_be_told_is_declined(folder: Path, photo: str, target: str) -> None:
    with pytest.raises(RefusedError) as caught:
        segment(Image.open(folder / photo), target)
    assert target.removeprefix("the ") in str(caught.value)
    assert "--box" in caught.value.hint
    assert caught.value.details["confidence"] < 0.75


def test_a_flower_that_is_green_is_no_flower(folder: Path) -> None:
    flower = Image.open(folder / "flower.jpg")
    green = Image(np.ascontiguousarray(flower.pixels[..., [1, 0, 2]]))  # red and green change places
    with pytest.raises(RefusedError, match="colours of a flower"):
        segment(green, "flower")


def balls() -> Image:
    """Three red balls and a blue one on grey: small at the left, large in the middle."""
    pixels = np.full((200, 400, 3), 150, np.uint8)
    for x, radius, color in ((60, 18, (200, 30, 30)), (190, 40, (205, 25, 30)), (320, 25, (198, 32, 28))):
        cv2.circle(pixels, (x, 100), radius, color, -1, cv2.LINE_AA)
    cv2.circle(pixels, (260, 40), 20, (30, 60, 210), -1, cv2.LINE_AA)
    return Image(pixels)


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("the red ball on the left", 60),
        ("the rightmost red ball", 320),
        ("the second red ball from the left", 190),
        ("the first red ball from the right", 320),
        ("the second largest red ball", 320),
        ("the largest red ball", 190),
        ("最大的红球", 190),
        ("右边的红球", 320),
        ("the blue ball", 260),
    ],
)
def test_place_words_and_ordinals_choose_among_what_was_found(target: str, where: int) -> None:
    mask = segment(balls(), target)
    assert mask.box is not None
    assert mask.box[0] < where < mask.box[2]
    assert mask.box[2] - mask.box[0] < 90


def test_what_was_not_chosen_is_named_and_what_is_not_there_is_not_chosen() -> None:
    mask = segment(balls(), "the red ball on the left")
    assert any(note.startswith("runners-up: at the center (6.") for note in mask.notes)
    with pytest.raises(RefusedError, match="only 3 red regions"):
        segment(balls(), "the fifth red ball from the left")


def test_without_a_place_word_all_of_a_colour_are_taken_and_it_is_said() -> None:
    mask = segment(balls(), "the red balls")
    assert min(share(mask, x - 8, 92, x + 8, 108) for x in (60, 190, 320)) == 1
    assert share(mask, 250, 30, 270, 50) == 0
    assert any("3 red regions" in note for note in mask.notes)


def test_the_outline_is_exact_within_a_pixel_or_two() -> None:
    truth = np.zeros((200, 400), np.uint8)
    cv2.circle(truth, (190, 100), 40, 255, -1)
    found = segment(balls(), "the largest red ball").pixels > 127
    wrong = np.logical_xor(found, truth > 127)
    assert wrong.sum() / (truth > 127).sum() < 0.06


def test_finding_is_repeatable(folder: Path) -> None:
    image = Image.open(folder / "coffee.png")
    cv2.setRNGSeed(77)
    first = segment(image, "red").digest
    cv2.setRNGSeed(1234)
    assert segment(image, "red").digest == first


@pytest.mark.parametrize(
    ("target", "kind", "color", "choose"),
    [
        ("the sky", "sky", "", ""),
        ("天空", "sky", "", ""),
        ("main subject", "subject", "", ""),
        ("背景", "background", "", ""),
        ("the third green car from the left", "color", "green", "3 left"),
        ("the second yellow cup from the right", "color", "yellow", "2 right"),
        ("the second largest blue box", "color", "blue", "2 largest"),
        ("第二个红球", "color", "red", "2 left"),
        ("左边的红色汽车", "color", "red", "left"),
        ("navy boats", "color", "blue", ""),
        ("white cup", "grey", "", ""),
        ("whole picture", "all", "", ""),
        ("unicorn", "thing", "", ""),
        ("rosewood table", "thing", "", ""),
    ],
)
def test_words_are_read(target: str, kind: str, color: str, choose: str) -> None:
    assert words.read(target) == words.Wanted(kind, color, choose)


def test_a_box_around_a_thing_is_tightened_to_it(folder: Path) -> None:
    flower = Image.open(folder / "flower.jpg")
    mask = segment_box(flower, 240, 180, 720, 870)
    assert share(mask, 230, 140, 380, 300) > 0.99
    assert share(mask, 154, 80, 180, 110) < 0.05  # the box's corner
    whole = segment_box(flower, 0, 0, 500, 1000, refine=False)
    assert whole.share == pytest.approx(0.5, abs=0.01)
    with pytest.raises(ValueError, match="empty"):
        segment_box(flower, 500, 0, 500, 10)


def test_a_roughly_drawn_mask_is_tightened_and_an_even_patch_left_alone(folder: Path) -> None:
    flower = Image.open(folder / "flower.jpg")
    rough = np.zeros(flower.pixels.shape[:2], np.uint8)
    cv2.ellipse(rough, (306, 222), (125, 118), 0, 0, 360, 255, -1)
    rough = np.roll(rough, 14, 1)
    truth = segment(flower, "subject").pixels > 127
    found = mask_refine(flower, Mask(rough)).pixels > 127

    def agreement(mask: np.ndarray) -> float:
        return float((mask & truth).sum() / (mask | truth).sum())

    assert agreement(found) > max(0.85, agreement(rough > 127) + 0.05)
    empty = Mask(np.zeros(rough.shape, np.uint8))
    assert mask_refine(flower, empty) == empty
    with pytest.raises(ValueError, match="the picture 640 x"):
        mask_refine(flower, Mask(np.ones((3, 3), np.uint8)))


def test_a_point_finds_the_even_thing_under_it() -> None:
    mask = segment_point(balls(), 475, 500)
    assert share(mask, 170, 80, 210, 120) > 0.98
    assert share(mask, 40, 80, 80, 120) < 0.05
    assert mask.confidence is not None
    assert mask.confidence <= 0.7
