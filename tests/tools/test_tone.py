"""Light and dark, judged by the pixels of photographs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.pixels import to_lab, to_linear
from lego.tools.tone import brightness, clarity, contrast, exposure, highlights, shadows

NAMES = ("exposure", "brightness", "contrast", "shadows", "highlights", "clarity")
RAMP = Image(np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(8, 0).repeat(3, 2))


@pytest.fixture(scope="module")
def china() -> Image:
    return Image.open(Path(__file__).parents[2] / "docs" / "photos" / "china.jpg")


def light(image: Image) -> NDArray[np.float32]:
    return to_lab(image.pixels)[..., 0]


def tool(name: str) -> Any:
    return registry[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds(name: str) -> None:
    assert check(tool(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_at_zero(name: str, china: Image) -> None:
    assert np.array_equal(tool(name)(china, **{name: 0.0}).pixels, china.pixels)


@pytest.mark.parametrize("name", ["exposure", "brightness", "shadows", "highlights"])
def test_more_is_lighter_at_every_step(name: str, china: Image) -> None:
    values = [-4.0, -1.0, 0.0, 1.0, 4.0] if name == "exposure" else [-100.0, -30.0, 0.0, 30.0, 100.0]
    means = [float(light(tool(name)(china, **{name: value})).mean()) for value in values]
    assert all(after > before + 0.5 for before, after in pairwise(means))


@pytest.mark.parametrize("name", ["contrast", "clarity"])
def test_more_spreads_the_light_at_every_step(name: str, china: Image) -> None:
    spreads = [float(light(tool(name)(china, **{name: value})).std()) for value in (-100.0, -30.0, 0.0, 30.0, 100.0)]
    assert all(after > before + 0.05 for before, after in pairwise(spreads))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [-1.0, -0.4, 0.4, 1.0])
def test_greys_stay_grey_and_keep_their_order(name: str, share: float) -> None:
    param = tool(name).param(name)
    done = tool(name)(RAMP, **{name: share * param.high}).pixels
    assert (done.max(2) - done.min(2)).max() == 0
    if name != "clarity":  # which is not a curve
        assert (np.diff(done[0, :, 0].astype(int)) >= 0).all()


def test_one_stop_doubles_the_light_up_to_the_middle() -> None:
    codes = slice(20, 130)
    before, after = to_linear(RAMP.pixels)[0, codes, 0], to_linear(exposure(RAMP, exposure=1.0).pixels)[0, codes, 0]
    assert np.abs(after / before - 2).max() < 0.1
    darker = to_linear(exposure(RAMP, exposure=-1.0).pixels)[0, 100:, 0]
    assert np.abs(darker / to_linear(RAMP.pixels)[0, 100:, 0] - 0.5).max() < 0.02


def test_a_brightened_sky_keeps_its_clouds(china: Image) -> None:
    done = exposure(china, exposure=0.6)
    sky = (slice(0, 100), slice(350, 600))
    assert (done.pixels[sky].min(2) == 255).mean() < 0.02
    assert light(done)[sky].std() > 0.5 * light(china)[sky].std()


@pytest.mark.parametrize("amount", [-100.0, -25.0, 25.0, 100.0])
def test_contrast_never_tears_neighbouring_values_apart(amount: float) -> None:
    values = contrast(RAMP, contrast=amount).pixels[0, :, 0].astype(int)
    assert values[0] == 0
    assert values[-1] == 255
    assert np.diff(values).max() <= 3
    assert np.unique(values[:40]).size > 12  # blacks are not crushed into one


def test_contrast_turns_about_the_mean_of_what_is_masked(small: Image) -> None:
    pixels = np.full((40, 60, 3), 100, np.uint8)
    pixels[:, 30:] = 230
    left = Mask.from_box((60, 40), (0, 0, 30, 40))
    alone = contrast(Image(pixels), left, contrast=50.0).pixels[0, 0, 0]
    assert alone == pytest.approx(100, abs=1)
    assert contrast(Image(pixels), contrast=50.0).pixels[0, 0, 0] < 90


def test_shadows_leave_bright_areas_alone(china: Image) -> None:
    before, after = light(china), light(shadows(china, shadows=60.0))
    dark, bright = before < 25, before > 85
    assert (after - before)[dark].mean() > 4
    assert np.abs(after - before)[bright].mean() < 1


def test_highlights_leave_dark_areas_alone(china: Image) -> None:
    before, after = light(china), light(highlights(china, highlights=-60.0))
    dark, bright = before < 30, before > 80
    assert (before - after)[bright].mean() > 4
    assert np.abs(after - before)[dark].mean() < 1.5


def test_recovered_skies_gain_colour_and_structure(china: Image) -> None:
    sky = (slice(0, 100), slice(350, 600))
    before, after = to_lab(china.pixels)[sky], to_lab(highlights(china, highlights=-60.0).pixels)[sky]
    assert after[..., 0].std() > 1.1 * before[..., 0].std()
    assert np.hypot(after[..., 1], after[..., 2]).mean() > 1.1 * np.hypot(before[..., 1], before[..., 2]).mean()


def test_paper_stays_whiter_than_light_grey_when_highlights_fall() -> None:
    page = np.full((64, 64, 3), 255, np.uint8)
    page[:, 32:] = 225
    done = light(highlights(Image(page), highlights=-100.0))
    assert done[32, 4] > 86
    assert done[32, 4] > done[32, 60] + 8


def test_clarity_draws_little_of_a_halo_along_a_skyline() -> None:
    pixels = np.full((160, 1000, 3), 200, np.uint8)
    pixels[80:] = 60
    pixels[100:, ::2] = 66  # and something to make clearer
    before, after = light(Image(pixels)), light(clarity(Image(pixels), clarity=100.0))
    assert np.abs(after - before)[40:79].max() < 7.5  # without the edge-keeping base 19
    assert after[120:, 200:800].std() > 1.4 * before[120:, 200:800].std()


def test_brightness_keeps_black_and_white_and_can_be_undone() -> None:
    done = brightness(RAMP, brightness=50.0)
    assert done.pixels[0, 0, 0] == 0
    assert done.pixels[0, 255, 0] == 255
    back = brightness(done, brightness=-50.0).pixels.astype(int)
    assert np.abs(back - RAMP.pixels).max() <= 2


@pytest.mark.parametrize("name", NAMES)
def test_edits_stay_inside_the_mask(name: str, china: Image) -> None:
    mask = Mask.from_box(china.size, (100, 50, 300, 250))
    done = tool(name)(china, mask)
    assert np.array_equal(done.pixels[mask.pixels == 0], china.pixels[mask.pixels == 0])
    assert (done.pixels != china.pixels)[mask.pixels == 255].mean() > 0.3
