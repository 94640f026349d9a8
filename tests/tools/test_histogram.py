"""Automatic enhancement, equalising and matching, judged by what they measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.histogram import auto_enhance, equalize, match_color
from lego.tools.pixels import to_lab

NAMES = ("auto_enhance", "equalize", "match_color")


@pytest.fixture(scope="module")
def china(photos: Path) -> Image:
    return Image.open(photos / "china.jpg")


@pytest.fixture(scope="module")
def flower(photos: Path) -> Image:
    return Image.open(photos / "flower.jpg")


def light(image: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return to_lab(image.pixels)[..., 0]


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds(name: str) -> None:
    assert check(registry[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_edits_stay_inside_the_mask_and_nothing_changes_at_zero(name: str, china: Image, flower: Image) -> None:
    more = {"reference": flower} if name == "match_color" else {}
    mask = Mask.from_box(china.size, (100, 50, 300, 250))
    done = registry[name](china, mask=mask, **more)
    assert np.array_equal(done.pixels[mask.pixels == 0], china.pixels[mask.pixels == 0])
    assert (done.pixels != china.pixels)[mask.pixels == 255].mean() > 0.3
    assert np.array_equal(registry[name](china, amount=0.0, **more).pixels, china.pixels)


def test_a_dim_flat_picture_is_lightened_and_stretched_and_that_is_said(flower: Image) -> None:
    dim = flower.replace((flower.pixels * 0.35 + 12).astype(np.uint8))
    done = auto_enhance(dim)
    assert np.median(light(done)) > np.median(light(dim)) + 6
    assert light(done).std() > 1.3 * light(dim).std()
    assert any("stretched" in note for note in done.notes)


def test_a_good_picture_is_changed_gently(china: Image) -> None:
    done = auto_enhance(china)
    assert 0.3 < np.abs(done.pixels.astype(float) - china.pixels).mean() < 9
    assert (done.pixels.min(2) == 255).mean() < (china.pixels.min(2) == 255).mean() + 0.02


def test_a_grey_picture_stays_grey_when_it_is_enhanced_or_equalised(china: Image) -> None:
    grey = Image(np.repeat(china.pixels[..., 1:2], 3, 2))
    for done in (auto_enhance(grey), equalize(grey)):
        assert (done.pixels.max(2).astype(int) - done.pixels.min(2)).max() <= 1


def test_equalising_brings_dark_and_bright_regions_together() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 3, (200, 300, 1)) + np.where(np.arange(300)[None, :, None] < 150, 40, 180)
    scene = Image(np.repeat(np.clip(pixels, 0, 255), 3, 2).astype(np.uint8))
    done = light(equalize(scene, amount=1.0))
    assert done[:, :140].std() > 1.3 * light(scene)[:, :140].std()
    assert done[:, 160:].std() > 1.3 * light(scene)[:, 160:].std()


def test_colours_move_towards_the_reference_and_more_with_more(china: Image, flower: Image) -> None:
    goal = to_lab(flower.pixels).reshape(-1, 3).mean(0)
    away = [
        float(np.abs(to_lab(match_color(china, flower, amount=a).pixels).reshape(-1, 3).mean(0) - goal)[1:].sum())
        for a in (0.0, 0.5, 1.0)
    ]
    assert away[0] > away[1] + 1 > away[2] + 1


def test_a_picture_matched_to_itself_stays_what_it_is(china: Image) -> None:
    assert np.abs(match_color(china, china).pixels.astype(int) - china.pixels).max() <= 1
