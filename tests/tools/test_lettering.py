"""Words in pictures: read, found by what they say, taken off, replaced."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image, Mask
from lego.tools.finders import ocr, words
from lego.tools.lettering import remove_text, replace_text
from lego.tools.segment import segment
from lego.tools.text import add_text


@pytest.fixture(scope="module")
def flower(photos: Path) -> Image:
    return Image.open(photos / "flower.jpg")


@pytest.fixture(scope="module")
def signed(flower: Image) -> Image:
    """Two lines on calm ground, one of them tilted."""
    first = add_text(flower, "Open daily", "right", "#ffd040", 7.0, angle=4.0)
    return add_text(first, "秋日花园", "top left", "#ffffff", 8.0)


def differs(first: Image, second: Image) -> Mask:
    return Mask((first.pixels != second.pixels).any(2))


def mean_error(first: Image, second: Image, where: Mask) -> float:
    gap = np.abs(first.pixels.astype(np.float32) - second.pixels)
    return float(gap[where.pixels > 0].mean())


def test_text_is_found_where_it_was_written_in_english_and_chinese(flower: Image, signed: Image) -> None:
    ink = differs(flower, signed)
    for target in ("the text", "文字", "all the words"):
        mask = segment(signed, target)
        assert mask.confidence is not None
        assert mask.confidence > 0.9
        assert (mask.pixels > 0)[ink.pixels > 0].mean() > 0.99
        assert mask.share < 0.08


def test_quoted_words_are_found_alone(flower: Image, signed: Image) -> None:
    whole, part = segment(signed, "the words 'OPEN DAILY'"), segment(signed, "the word 'daily'")
    assert whole.box is not None
    assert part.box is not None
    assert part.box[0] > whole.box[0] + 50
    assert (part - whole).share < 0.1 * part.share
    chinese = segment(signed, "“花园”")
    assert chinese.box is not None
    assert chinese.box[2] < 300
    with pytest.raises(RefusedError, match="no such text, only"):
        segment(signed, "the words 'Closed'")


def test_a_place_chooses_among_lines(signed: Image) -> None:
    top, right = segment(signed, "the text at the top"), segment(signed, "the text on the right")
    assert not (top & right).pixels.any()
    with pytest.raises(RefusedError):
        segment(signed, "the text at the bottom")


@pytest.mark.parametrize("photo", ["coffee.png", "chelsea.png", "china.jpg", "astronaut.png"])
def test_what_only_looks_like_text_is_refused(photos: Path, photo: str) -> None:
    with pytest.raises(RefusedError, match="was not found"):
        segment(Image.open(photos / photo), "the text")
    with pytest.raises(RefusedError):
        segment(Image.open(photos / photo), "'8'")


def test_without_the_reader_the_hint_names_the_extra(monkeypatch: pytest.MonkeyPatch, flower: Image) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(ocr, "find_spec", lambda name: None)
    ocr.read.cache_clear()
    for ask in (lambda: segment(flower, "text"), lambda: remove_text(flower), lambda: replace_text(flower, "a", "b")):
        with pytest.raises(RefusedError) as caught:
            ask()
        assert "pip install rapidocr" in str(caught.value.hint)


def test_the_reader_is_not_loaded_before_it_is_used() -> None:
    code = "import lego, sys, lego.tools; sys.exit(bool({'rapidocr', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("target", "said", "choose"),
    [
        ("the text", "", ""),
        ("the words 'SALE 50%'", "SALE 50%", ""),
        ("the sign that says “打折”", "打折", ""),
        ("text that says grand opening", "grand opening", ""),
        ("写着打折的文字", "打折", ""),
        ("the caption at the bottom", "", "bottom"),
        ("第二行文字", "", "2 left"),
    ],
)
def test_targets_that_mean_text(target: str, said: str, choose: str) -> None:
    wanted = words.read(target)
    assert (wanted.kind, wanted.said, wanted.choose) == ("text", said, choose)


def test_a_coloured_thing_with_an_apostrophe_is_no_text() -> None:
    assert words.read("the red car's door and the dog's tail").kind == "color"


def test_text_comes_off_calm_ground_as_if_it_had_never_been(flower: Image, signed: Image) -> None:
    ink = differs(flower, signed)
    clean = remove_text(signed)
    assert mean_error(signed, flower, ink) > 40
    assert mean_error(clean, flower, ink) < 4
    assert not ocr.read(clean)
    away = ~Mask(ocr.mask_of(tuple(ocr.read(signed)), signed.size)).pixels.astype(bool)
    assert (clean.pixels == signed.pixels)[away].mean() > 0.999


def test_a_shadow_goes_with_its_text(flower: Image) -> None:
    shadowed = add_text(flower, "Open daily", "right", "#ffffff", 6.0, shadow=True)
    clean = remove_text(shadowed)
    assert mean_error(clean, flower, differs(flower, shadowed)) < 4


def test_a_mask_and_a_position_choose_what_comes_off(signed: Image) -> None:
    clean = remove_text(signed, segment(signed, "'Open daily'"))
    assert [line.text for line in ocr.read(clean)] == ["秋日花园"]
    assert [line.text for line in ocr.read(remove_text(signed, position="top"))] == ["Open daily"]


@pytest.mark.parametrize(
    ("photo", "position"), [("coffee.png", "bottom"), ("chelsea.png", "center"), ("china.jpg", "center")]
)
def test_text_on_busy_ground_stays_and_the_reason_is_said(photos: Path, photo: str, position: str) -> None:
    written = add_text(Image.open(photos / photo), "Good morning", position, "#ffffff", 9.0)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="cannot be removed well"):
        remove_text(written)
    with pytest.raises(RefusedError, match="cannot be replaced well"):
        replace_text(written, "Good morning", "Good evening")


@pytest.mark.parametrize(("old", "new"), [("Open daily", "Closed now"), ("daily", "today"), ("花园", "公园")])
def test_new_words_stand_where_the_old_ones_stood(flower: Image, signed: Image, old: str, new: str) -> None:
    made = replace_text(signed, old, new)
    reads = [line.text for line in ocr.read(made)]
    assert any(new in text for text in reads)
    assert not any(old in text for text in reads)
    place, moved = segment(signed, f"'{old}'").box, segment(made, f"'{new}'").box
    assert place is not None
    assert moved is not None
    assert abs((place[1] + place[3]) - (moved[1] + moved[3])) < 12
    assert abs((place[3] - place[1]) - (moved[3] - moved[1])) < 12


def test_new_words_keep_the_colour_and_the_capitals(photos: Path) -> None:
    china = Image.open(photos / "china.jpg")
    written = add_text(china, "GRAND OPENING", "top right", "#a02020", 8.0)
    made = replace_text(written, "opening", "closing")
    assert [line.text for line in ocr.read(made) if line.certain] == ["GRAND CLOSING"]
    ink = made.pixels[differs(china, made).pixels > 0]
    dark = ink[ink.sum(1) <= np.quantile(ink.sum(1), 0.2)]
    assert np.abs(np.median(dark, axis=0) - (0xA0, 0x20, 0x20)).max() < 16


def test_words_that_are_missing_or_too_long_are_refused(signed: Image) -> None:
    with pytest.raises(RefusedError, match="is not there"):
        replace_text(signed, "Closed", "Open")
    with pytest.raises(RefusedError, match="too long"):
        replace_text(signed, "Open daily", "Open every day but Sunday and Monday")


def test_a_large_picture_is_filled_with_its_grain(flower: Image) -> None:
    rng = np.random.default_rng(5)
    large = np.kron(np.full((2, 3, 1), 90, np.uint8), np.ones((400, 400, 3), np.uint8))
    grainy = Image(np.clip(large + rng.normal(0, 6, large.shape[:2])[..., None], 0, 255).astype(np.uint8))
    written = add_text(grainy, "Open daily", "center", "#ffffff", 20.0)
    ink = differs(grainy, written)
    clean = remove_text(written)
    assert 3 < clean.pixels[ink.pixels > 0].std() < 9
    assert abs(float(clean.pixels[ink.pixels > 0].mean()) - 90) < 2


def test_a_paragraph_comes_off_as_a_whole_and_line_by_line(photos: Path) -> None:
    rocket = Image.open(photos / "rocket.jpg")
    written = add_text(rocket, "Open daily\nuntil six\n除了周日", "top", "#ffffff", 5.0)
    assert mean_error(remove_text(written), rocket, differs(rocket, written)) < 3
    one = remove_text(written, segment(written, "'until six'"))
    assert [line.text for line in ocr.read(one)] == ["Open daily", "除了周日"]
    other = replace_text(written, "until six", "from nine")
    assert [line.text for line in ocr.read(other)] == ["Open daily", "from nine", "除了周日"]


def test_letters_unlike_those_that_can_be_written_are_left() -> None:
    calm = Image(np.full((300, 700, 3), 60, np.uint8))
    upright = add_text(calm, "Good morning", "center", "#ffffff", 18.0).pixels
    slanted = cv2.warpAffine(
        upright, np.array([[1, -0.4, 60], [0, 1.0, 0]]), (700, 300), borderMode=cv2.BORDER_REPLICATE
    )
    assert replace_text(Image(upright), "morning", "evening").notes
    with pytest.raises(RefusedError, match="unlike those"):
        replace_text(Image(np.asarray(slanted, np.uint8)), "morning", "evening")
