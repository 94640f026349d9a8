"""The description follows what is done to the picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import lego
from lego.core.values import Image
from lego.tools.color import black_and_white, saturation, temperature, tint
from lego.tools.describe import Description, describe
from lego.tools.geometry import rotate
from lego.tools.palette import name_of
from lego.tools.pixels import to_lab
from lego.tools.text import add_text
from lego.tools.tone import exposure

NAMES = ["astronaut.png", "chelsea.png", "china.jpg", "coffee.png", "dandelion.jpg", "flower.jpg", "rocket.jpg"]


@pytest.fixture(scope="module")
def pictures(photos: Path) -> dict[str, Image]:
    return {name.partition(".")[0]: Image.open(photos / name) for name in NAMES}


@pytest.fixture(scope="module")
def facts(pictures: dict[str, Image]) -> dict[str, Description]:
    return {name: describe(image) for name, image in pictures.items()}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for no subject, which takes most of the time, where the test is about something else."""
    monkeypatch.setattr("lego.tools.describe._subject", lambda pixels: ("", 0.0))


def noised(image: Image, sigma: float) -> Image:
    noise = np.random.default_rng(0).normal(0, sigma, image.pixels.shape)
    return Image(np.clip(image.pixels + noise, 0, 255).astype(np.uint8))


def blurred(image: Image, sigma: float) -> Image:
    return Image(np.asarray(cv2.GaussianBlur(image.pixels, (0, 0), sigma)))


def test_the_photographs_are_described_as_one_sees_them(facts: dict[str, Description]) -> None:
    for name, words in {
        "astronaut": ("Of medium brightness", "neutral in tone", "sharp", "clean", "orange", "13% pure black"),
        "china": ("high in contrast", "neutral in tone", "light blue", "the main subject fills"),
        "coffee": ("vivid in colour", "warm in tone", "red", "brown"),
        "dandelion": ("warm in tone", "dark green", "1600 x 900 px (16:9)"),
        "flower": ("Dark (mean 30 of 100)", "dark teal", "orange", "the main subject fills"),
        "rocket": ("Dark", "low in contrast", "cool in tone", "Mostly dark blue", "no subject stands out"),
    }.items():
        for word in words:
            assert word in facts[name].text, (name, word, facts[name].text)
    assert all("sharp" in fact.text and "clean" in fact.text for fact in facts.values())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_brightness_follows_the_exposure(name: str, pictures: dict[str, Image], facts: dict[str, Description]) -> None:
    dark, bright = (describe(exposure(pictures[name], exposure=stops)) for stops in (-1.5, 1.5))
    assert dark.brightness < facts[name].brightness - 8
    assert bright.brightness > facts[name].brightness + 10
    assert "ark (" in dark.text
    assert "ark (" not in bright.text


@pytest.mark.usefixtures("quick")
def test_clipped_light_and_black_are_counted(pictures: dict[str, Image], facts: dict[str, Description]) -> None:
    image = pictures["china"]
    blown = describe(Image(np.clip(image.pixels.astype(int) * 2, 0, 255).astype(np.uint8)))
    crushed = describe(Image(np.clip(image.pixels.astype(int) - 90, 0, 255).astype(np.uint8)))
    assert facts["china"].white < 0.02 < 0.2 < blown.white
    assert facts["china"].black < 0.02 < 0.1 < crushed.black
    assert "pure white" in blown.text
    assert "pure black" in crushed.text
    assert "pure" not in facts["china"].text


@pytest.mark.usefixtures("quick")
def test_contrast_follows_flattening(pictures: dict[str, Image], facts: dict[str, Description]) -> None:
    flat = describe(Image((128 + (pictures["china"].pixels - 128.0) * 0.25).astype(np.uint8)))
    assert facts["china"].contrast > 75
    assert flat.contrast < 0.4 * facts["china"].contrast
    assert "low in contrast" in flat.text or "very flat" in flat.text


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["astronaut", "china"])
def test_the_cast_is_named_by_its_direction(name: str, pictures: dict[str, Image]) -> None:
    image = Image(pictures[name].pixels[::2, ::2])
    assert describe(image).cast == "none"
    assert describe(temperature(image, temperature=70.0)).cast == "warm"
    assert describe(temperature(image, temperature=-70.0)).cast == "cool"
    assert describe(tint(image, tint=-60.0)).cast == "green"
    assert describe(tint(image, tint=60.0)).cast == "magenta"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", NAMES)
def test_the_cast_moves_with_the_light_in_every_photograph(name: str, pictures: dict[str, Image]) -> None:
    image = Image(pictures[name.partition(".")[0]].pixels[::2, ::2])
    warm, cool = (describe(temperature(image, temperature=value)) for value in (50.0, -50.0))
    assert warm.cast_b > cool.cast_b + 1.5


@pytest.mark.usefixtures("quick")
def test_colours_fade_from_vivid_to_none(pictures: dict[str, Image], facts: dict[str, Description]) -> None:
    coffee = pictures["coffee"]
    pale, grey = describe(saturation(coffee, saturation=-85.0)), describe(black_and_white(coffee))
    assert facts["coffee"].saturation > pale.saturation > grey.saturation
    assert "pale in colour" in pale.text
    assert "without colour" in grey.text
    assert grey.cast == "none"
    assert set(grey.colors.replace(",", "").split()) & {"red", "brown", "orange"} == set()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["chelsea", "dandelion", "rocket"])
def test_noise_is_measured_and_named(name: str, pictures: dict[str, Image], facts: dict[str, Description]) -> None:
    little, much = (describe(noised(pictures[name], sigma)) for sigma in (5.0, 15.0))
    assert facts[name].noise < 3 < little.noise < much.noise
    assert little.noise == pytest.approx(5, abs=1.5)
    assert much.noise == pytest.approx(15, abs=3)
    assert "a little noisy" in little.text
    assert ", noisy" in much.text


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["astronaut", "china", "coffee", "flower"])
def test_sharpness_follows_blur(name: str, pictures: dict[str, Image], facts: dict[str, Description]) -> None:
    soft, lost = (describe(blurred(pictures[name], sigma)) for sigma in (1.0, 2.5))
    assert facts[name].sharpness > soft.sharpness > lost.sharpness
    assert "a little soft" in soft.text
    assert "blurred" in lost.text


@pytest.mark.usefixtures("quick")
def test_a_large_picture_is_measured_as_it_looks_on_a_screen(pictures: dict[str, Image]) -> None:
    image = pictures["dandelion"]
    double = Image(np.asarray(cv2.resize(image.pixels, (3200, 1800), interpolation=cv2.INTER_CUBIC)))
    one, two = describe(image), describe(double)
    assert one.sharpness == pytest.approx(two.sharpness, abs=0.05)
    assert one.brightness == pytest.approx(two.brightness, abs=0.5)
    assert one.colors.split()[:2] == two.colors.split()[:2]


@pytest.mark.usefixtures("quick")
def test_a_lean_is_read_where_lines_tell(pictures: dict[str, Image], facts: dict[str, Description]) -> None:
    leaning = describe(rotate(pictures["astronaut"], 4.0))
    assert leaning.lean == pytest.approx(facts["astronaut"].lean + 4, abs=0.7)
    assert not leaning.level
    assert f"leans {leaning.lean:.1f} degrees clockwise" in leaning.text
    assert facts["chelsea"].lean == 0
    assert not facts["chelsea"].level
    assert "leans" not in facts["chelsea"].text


def test_a_clear_subject_has_a_box_and_others_have_none(facts: dict[str, Description]) -> None:
    left, top, right, bottom = (int(v) for v in facts["flower"].subject.split(","))
    assert np.abs(np.array([left, top, right, bottom]) - (266, 206, 695, 838)).max() < 25  # see docs/finding.md
    assert facts["flower"].subject_confidence > 0.85
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        assert facts[name].subject == ""
        assert facts[name].subject_confidence < 0.75


@pytest.mark.usefixtures("quick")
def test_colours_are_named_with_their_shares() -> None:
    pixels = np.full((60, 100, 3), (30, 160, 60), np.uint8)
    pixels[:, :30] = (230, 200, 40)
    assert describe(Image(pixels)).colors == "green 70%, yellow 30%"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ((255, 0, 0), "red"), ((0, 128, 0), "green"), ((0, 0, 255), "blue"), ((255, 255, 0), "yellow"),
        ((0, 0, 0), "black"), ((255, 255, 255), "white"), ((128, 128, 128), "grey"), ((255, 165, 0), "orange"),
        ((139, 69, 19), "brown"), ((128, 0, 128), "purple"), ((0, 128, 128), "teal"), ((255, 192, 203), "pink"),
        ((135, 206, 235), "light blue"), ((0, 0, 128), "dark blue"), ((245, 245, 220), "beige"),
    ],
)  # fmt: skip
def test_css_colours_keep_their_names(code: tuple[int, int, int], name: str) -> None:
    assert name_of(to_lab(np.array([[code]], np.uint8))[0, 0]) == name


@pytest.mark.usefixtures("quick")
def test_odd_pictures_are_described_without_nonsense() -> None:
    for size in ((1, 1), (3, 517), (64, 64)):
        for value in (0, 255):
            told = describe(Image(np.full((*size, 3), value, np.uint8)))
            assert told.text.startswith("Very")
            assert "nan" not in told.text
            assert "sharp" not in told.text
            assert "blurred" not in told.text


@pytest.mark.parametrize(
    "words",
    ["describe it", "analyze the photo", "what is in the numbers of this picture", "描述", "分析图片", "图片信息"],
)
def test_the_words_lead_to_the_description(words: str, photos: Path) -> None:
    plan = lego.plan(photos / "coffee.png", words)
    assert [step.tool for step in plan.workflow.steps] == ["describe"]
    assert plan.workflow.result == "$s1.text"


def test_an_edit_and_its_description_give_both(photos: Path) -> None:
    result = lego.edit(photos / "coffee.png", "make it black and white, then describe it")
    assert np.ptp(result.image.pixels, 2).max() == 0
    assert "without colour" in result.texts[0]
    first = lego.edit(photos / "coffee.png", "describe it, then make it black and white")
    assert "vivid in colour" in first.texts[0]
    assert np.ptp(first.image.pixels, 2).max() == 0


def test_a_description_alone_shows_the_source_and_saves_its_words(photos: Path, tmp_path: Path) -> None:
    result = lego.edit(photos / "coffee.png", "describe it")
    assert not result.pictured
    assert result.shown is result.source
    assert "vivid in colour" in result.report()
    folder = result.save(tmp_path / "out")
    assert (folder / "result.txt").read_text() == result.texts[0] + "\n"
    assert not (folder / "result.png").exists()


def test_the_words_in_a_picture_are_told(photos: Path) -> None:
    rocket = Image.open(photos / "rocket.jpg")
    assert describe(rocket).words == ""
    told = describe(add_text(rocket, "GRAND OPENING", position="top", size=10.0))
    assert told.words == "GRAND OPENING"
    assert "it reads “GRAND OPENING”" in told.text


def test_without_the_reader_the_words_are_left_out(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lego.tools.finders.ocr.available", lambda: False)
    assert describe(add_text(Image.open(photos / "rocket.jpg"), "HELLO", size=12.0)).words == ""
