"""Colour, judged by the pixels of photographs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lego.core.errors import RefusedError
from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.color import (
    black_and_white,
    color_pop,
    duotone,
    invert,
    recolor,
    saturation,
    sepia,
    temperature,
    tint,
    vibrance,
    white_balance,
)
from lego.tools.pixels import LUMA, scale_chroma, to_lab, to_linear

PHOTOS = Path(__file__).parents[2] / "docs" / "photos"
AMOUNTS = {
    "temperature": "temperature", "tint": "tint", "saturation": "saturation", "vibrance": "vibrance",
    "white_balance": "amount", "black_and_white": "amount", "sepia": "amount", "duotone": "amount",
}  # fmt: skip
GREYS = Image(np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(8, 0).repeat(3, 2))
BLUE, GREEN = "#1f5fd0", "#2e9e4a"


@pytest.fixture(scope="module")
def china() -> Image:
    return Image.open(PHOTOS / "china.jpg")


@pytest.fixture(scope="module")
def coffee() -> Image:
    return Image.open(PHOTOS / "coffee.png")


@pytest.fixture(scope="module")
def saucer(coffee: Image) -> Mask:
    """The red of cup and saucer, by its colour inside an ellipse."""
    lab = to_lab(coffee.pixels)
    around = cv2.ellipse(np.zeros(lab.shape[:2], np.uint8), (278, 238), (200, 150), 0, 0, 360, 255, -1)
    return Mask((around > 0) & (chroma(lab) > 35) & (np.abs(hue(lab) - 40) < 22))


def chroma(lab: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.hypot(lab[..., 1], lab[..., 2]))


def hue(lab: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360)


def tool(name: str) -> Any:
    return registry[name]


@pytest.mark.parametrize("name", [*AMOUNTS, "recolor", "invert", "color_pop"])
def test_the_contract_holds(name: str) -> None:
    assert check(tool(name)) == []


@pytest.mark.parametrize(("name", "amount"), AMOUNTS.items())
def test_nothing_changes_at_zero(name: str, amount: str, china: Image, coffee: Image) -> None:
    for photo in (china, coffee):
        assert np.array_equal(tool(name)(photo, **{amount: 0.0}).pixels, photo.pixels)


@pytest.mark.parametrize(("name", "amount"), AMOUNTS.items())
def test_more_changes_more(name: str, amount: str, coffee: Image) -> None:
    top = tool(name).param(amount).high
    steps = [np.abs(tool(name)(coffee, **{amount: top * share}).pixels - coffee.pixels.astype(float)).mean()
             for share in (0.2, 0.5, 1.0)]  # fmt: skip
    assert 0.1 < steps[0] < steps[1] < steps[2]


@pytest.mark.parametrize("name", list(AMOUNTS))
def test_edits_stay_inside_the_mask(name: str, china: Image) -> None:
    mask = Mask.from_box(china.size, (100, 50, 300, 250))
    done = tool(name)(china, mask)
    assert np.array_equal(done.pixels[mask.pixels == 0], china.pixels[mask.pixels == 0])
    assert (done.pixels != china.pixels)[mask.pixels == 255].mean() > 0.3


@pytest.mark.parametrize("amount", [-60.0, 60.0, 100.0])
def test_greys_stay_grey_when_colours_change(amount: float) -> None:
    assert np.array_equal(saturation(GREYS, saturation=amount).pixels, GREYS.pixels)
    assert np.array_equal(vibrance(GREYS, vibrance=amount).pixels, GREYS.pixels)


@pytest.mark.parametrize("name", ["china.jpg", "coffee.png", "flower.jpg"])
def test_saturation_keeps_hue_and_lightness_even_of_strong_colours(name: str) -> None:
    photo = Image.open(PHOTOS / name)
    before, after = to_lab(photo.pixels), to_lab(saturation(photo, saturation=80.0).pixels)
    coloured = (chroma(before) > 25) & (before[..., 0] > 15)
    turned = np.abs((hue(after) - hue(before) + 180) % 360 - 180)[coloured]
    assert np.percentile(turned, 99) < 4
    assert np.percentile(np.abs(after - before)[..., 0], 99) < 2
    assert (chroma(after) - chroma(before))[coloured].mean() > 5


def test_no_saturation_is_grey(coffee: Image) -> None:
    done = saturation(coffee, saturation=-100.0).pixels
    assert (done.max(2).astype(int) - done.min(2)).max() <= 1


def test_vibrance_favours_pale_colours(coffee: Image) -> None:
    before, after = chroma(to_lab(coffee.pixels)), chroma(to_lab(vibrance(coffee, vibrance=100.0).pixels))
    ratio = after / np.maximum(before, 1)
    assert ratio[(before > 8) & (before < 20)].mean() > 1.3
    assert ratio[before > 60].mean() < 1.12


def test_vibrance_spares_skin() -> None:
    faces = np.array([[[224, 172, 140], [150, 175, 215]]], np.uint8)  # skin, and a sky as pale
    before = chroma(to_lab(faces))
    skin, sky = (chroma(to_lab(vibrance(Image(faces), vibrance=100.0).pixels)) / before)[0]
    assert 1 < skin < sky - 0.1


def test_scaled_colours_never_leave_what_srgb_can_show() -> None:
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), -1).reshape(18, -1, 3).astype(np.uint8)
    lab = to_lab(cube)
    stronger = scale_chroma(lab, 3.0)
    shown = to_lab(_through_bytes(stronger))
    assert np.percentile(np.abs(shown - stronger)[..., 0], 99) < 1.5
    assert (chroma(stronger) >= chroma(lab) - 1e-3).all()


def _through_bytes(lab: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255), np.uint8)


def test_warmth_adds_amber_and_keeps_the_light(china: Image) -> None:
    warm, cool = temperature(china, temperature=40.0), temperature(china, temperature=-40.0)
    assert to_lab(warm.pixels)[..., 2].mean() > to_lab(china.pixels)[..., 2].mean() + 4
    assert to_lab(cool.pixels)[..., 2].mean() < to_lab(china.pixels)[..., 2].mean() - 4
    for done in (warm, cool):
        assert luminance(done) == pytest.approx(luminance(china), rel=0.03)


def luminance(image: Image) -> float:
    return float((to_linear(image.pixels) @ np.array(LUMA, np.float32)).mean())


def test_warmth_keeps_the_light_of_what_is_masked() -> None:
    pixels = np.full((40, 60, 3), 120, np.uint8)
    pixels[:, 30:] = (40, 60, 220)
    part = Mask.from_box((60, 40), (0, 0, 30, 40))
    done = temperature(Image(pixels), part, temperature=60.0).pixels[:, :30]
    grey = luminance(Image(np.full((4, 4, 3), 120, np.uint8)))
    assert luminance(Image(np.ascontiguousarray(done))) == pytest.approx(grey, rel=0.02)


def test_tint_goes_to_magenta_and_back_to_green(china: Image) -> None:
    a = to_lab(china.pixels)[..., 1].mean()
    assert to_lab(tint(china, tint=40.0).pixels)[..., 1].mean() > a + 3
    assert to_lab(tint(china, tint=-40.0).pixels)[..., 1].mean() < a - 3


@pytest.mark.parametrize("cast", [-60.0, 60.0])
def test_white_balance_takes_most_of_a_cast_away(china: Image, cast: float) -> None:
    neutral = white_balance(china, amount=1.0)
    tinged = temperature(china, temperature=cast)
    mended = white_balance(tinged, amount=1.0)
    before = np.abs(to_lab(tinged.pixels) - to_lab(neutral.pixels))[..., 2].mean()
    after = np.abs(to_lab(mended.pixels) - to_lab(neutral.pixels))[..., 2].mean()
    assert after < 0.5 * before


def test_a_red_saucer_turns_blue_and_keeps_its_shading(coffee: Image, saucer: Mask) -> None:
    done = recolor(coffee, saucer, BLUE)
    inside = saucer.pixels == 255
    before, after = to_lab(coffee.pixels)[inside], to_lab(done.pixels)[inside]
    assert np.percentile(np.abs(hue(after) - 283), 90) < 12
    assert np.corrcoef(before[:, 0], after[:, 0])[0, 1] > 0.95
    assert chroma(after).mean() > 35
    assert np.array_equal(done.pixels[~inside], coffee.pixels[~inside])


@pytest.mark.parametrize(("color", "low", "high"), [("#0000ff", 270, 312), ("#008000", 120, 150), ("#ffff00", 90, 112)])
def test_named_colours_are_recognised_afterwards(
    coffee: Image, saucer: Mask, color: str, low: float, high: float
) -> None:
    lab = to_lab(recolor(coffee, saucer, color).pixels)[saucer.pixels == 255]
    lit = lab[lab[:, 0] > 15]
    assert ((hue(lit) > low) & (hue(lit) < high)).mean() > 0.95


def test_light_and_dark_kin_of_a_colour_differ(coffee: Image, saucer: Mask) -> None:
    inside = saucer.pixels == 255
    lights = [
        float(np.median(to_lab(recolor(coffee, saucer, color).pixels)[inside][:, 0]))
        for color in ("#000000", "#000080", BLUE, "#87ceeb", "#ffffff")
    ]
    assert all(after > before + 4 for before, after in pairwise(lights))
    assert lights[0] < 20
    assert lights[-1] > 80


def test_a_light_thing_painted_blue_is_not_purple() -> None:
    light = Image(np.full((20, 20, 3), (250, 170, 90), np.uint8))
    done = recolor(light, Mask(np.full((20, 20), 255, np.uint8)), "#000080", 0.99).pixels[0, 0].astype(int)
    assert done[0] < done[1] + 25  # a blue of that lightness by Lab's own hue has 50 more red than green
    assert done[2] > done[1] + 60


def test_a_white_thing_painted_red_is_red_and_not_pink() -> None:
    rng = np.random.default_rng(0)
    shading = np.linspace(190, 250, 60)[None, :, None] + rng.normal(0, 2, (40, 60, 1))
    white = Image(np.repeat(shading, 3, 2).astype(np.uint8))
    whole = Mask(np.full((40, 60), 255, np.uint8))
    with pytest.raises(RefusedError, match="painted alike"):
        recolor(white, whole, "#ff0000")  # a mere box would take wheels and road along
    drawn = np.full((40, 60), 255, np.uint8)
    drawn[:8, :8] = 0
    done = recolor(white, Mask(drawn), "#ff0000")
    lab = to_lab(done.pixels)
    assert chroma(lab)[drawn > 0].mean() > 62
    assert np.corrcoef(to_lab(white.pixels)[..., 0][drawn > 0], lab[..., 0][drawn > 0])[0, 1] > 0.9
    assert "colour of its own" in done.notes[0]


def test_kept_shading_leaves_the_lightness(coffee: Image, saucer: Mask) -> None:
    inside = saucer.pixels == 255
    before = to_lab(coffee.pixels)[inside][:, 0]
    kept = to_lab(recolor(coffee, saucer, "#87ceeb", 1.0).pixels)[inside][:, 0]
    taken = to_lab(recolor(coffee, saucer, "#87ceeb", 0.0).pixels)[inside][:, 0]
    assert np.abs(kept - before).mean() < 2
    assert np.median(taken) == pytest.approx(79, abs=2)


def test_shine_and_stripes_stay_white() -> None:
    pixels = np.full((40, 60, 3), (200, 40, 30), np.uint8)
    pixels[:, 20:26] = 245
    done = recolor(Image(pixels), Mask(np.full((40, 60), 255, np.uint8)), GREEN).pixels
    assert np.ptp(done[:, 20:26].astype(int), axis=2).max() < 12
    assert (done[:, :18, 1] > done[:, :18, 0] + 40).all()


def test_a_faint_mask_is_recoloured_faintly(coffee: Image) -> None:
    faint = Mask(np.full(coffee.pixels.shape[:2], 40, np.uint8))
    difference = np.abs(recolor(coffee, faint, BLUE).pixels.astype(int) - coffee.pixels)
    assert 0 < difference.mean() < 40


def test_black_and_white_has_no_colour(china: Image) -> None:
    pixels = black_and_white(china).pixels
    assert (pixels.max(2) == pixels.min(2)).all()
    assert pixels.std() > 0.8 * china.pixels.std()


def test_sepia_is_brown_on_cream(china: Image) -> None:
    lab = to_lab(sepia(china, amount=1.0).pixels)
    middle, paper = lab[np.abs(lab[..., 0] - 50) < 5], lab[lab[..., 0] > 94]
    assert 50 < hue(middle.mean(0)) < 80
    assert 15 < chroma(middle).mean() < 30
    assert chroma(paper).mean() < 14


def test_duotone_runs_from_one_colour_to_the_other() -> None:
    done = duotone(GREYS, dark="#002040", light="#ffe0c0").pixels
    assert np.abs(done[0, 0].astype(int) - (0, 0x20, 0x40)).max() <= 2
    assert np.abs(done[0, 255].astype(int) - (0xFF, 0xE0, 0xC0)).max() <= 2
    assert (np.diff(to_lab(done)[0, :, 0]) > -0.3).all()


def test_inverting_twice_gives_the_picture_back(china: Image) -> None:
    assert np.array_equal(invert(invert(china)).pixels, china.pixels)


def test_kelvin_give_the_size_of_a_shift_and_temperature_its_direction(china: Image) -> None:
    b = to_lab(china.pixels)[..., 2].mean()
    warm, warmer = (to_lab(temperature(china, kelvin=k).pixels)[..., 2].mean() for k in (500.0, 1000.0))
    cool = to_lab(temperature(china, temperature=-30.0, kelvin=500.0).pixels)[..., 2].mean()
    assert b + 1.5 < warm < warmer - 1.5
    assert cool == pytest.approx(2 * b - warm, abs=0.7)
    assert np.array_equal(temperature(china, kelvin=0.0).pixels, china.pixels)


def test_a_shift_in_kelvin_is_that_of_a_black_body() -> None:
    grey = Image(np.full((8, 8, 3), 128, np.uint8))
    red, _, blue = to_linear(temperature(grey, kelvin=500.0).pixels)[0, 0]
    assert np.log(red / blue) == pytest.approx(0.149, abs=0.02)  # Planck between 6000 and 5500 K in linear sRGB


def test_a_red_glass_darkens_a_blue_sky_and_a_green_one_lightens_grass(china: Image) -> None:
    plain, red = (black_and_white(china, glass=g).pixels[..., 0].astype(float) for g in ("no filter", "red filter"))
    blue = np.asarray(hue(to_lab(china.pixels)) > 220) & (chroma(to_lab(china.pixels)) > 8)
    assert red[blue].mean() < plain[blue].mean() - 5
    grass = Image(np.full((4, 4, 3), (90, 150, 60), np.uint8))
    assert black_and_white(grass, glass="green filter").pixels[0, 0, 0] > black_and_white(grass).pixels[0, 0, 0] + 5


def test_every_glass_leaves_greys_as_they_are() -> None:
    for glass in ("no filter", "yellow filter", "orange filter", "red filter", "green filter", "blue filter"):
        assert np.abs(black_and_white(GREYS, glass=glass).pixels.astype(int) - GREYS.pixels).max() <= 1


def test_a_popped_colour_stays_alone(coffee: Image, saucer: Mask) -> None:
    done = color_pop(coffee, saucer).pixels
    assert np.array_equal(done[saucer.pixels == 255], coffee.pixels[saucer.pixels == 255])
    assert np.ptp(done[saucer.pixels == 0].astype(int), axis=1).max() == 0


def test_what_was_warmed_by_some_kelvin_can_be_cooled_by_them_again(china: Image) -> None:
    warm = temperature(china, kelvin=500.0)
    back = temperature(warm, temperature=-30.0, kelvin=500.0).pixels.astype(int)
    whole = warm.pixels.max(2) < 250  # what reached white cannot come back
    assert np.abs(back - china.pixels)[whole].max() <= 3
