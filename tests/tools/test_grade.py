"""Grading, judged by ramps of grey and by photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.grade import blacks, curves, fade, levels, split_tone, whites
from lego.tools.pixels import to_lab

NAMES = ("whites", "blacks", "curves", "levels", "fade", "split_tone")
RAMP = Image(np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(8, 0).repeat(3, 2))


@pytest.fixture(scope="module")
def china(photos: Path) -> Image:
    return Image.open(photos / "china.jpg")


def row(image: Image) -> Any:
    return image.pixels[0, :, 0].astype(int)


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds(name: str) -> None:
    assert check(registry[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_edits_stay_inside_the_mask(name: str, china: Image) -> None:
    mask = Mask.from_box(china.size, (100, 50, 300, 250))
    done = registry[name](china, mask)
    assert np.array_equal(done.pixels[mask.pixels == 0], china.pixels[mask.pixels == 0])


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("whites", {"whites": 0.0}), ("blacks", {"blacks": 0.0}), ("fade", {"amount": 0.0}),
        ("split_tone", {"amount": 0.0}), ("curves", {"points": [0, 0, 255, 255]}),
        ("levels", {"black": 0, "white": 255}),
    ],
)  # fmt: skip
def test_nothing_changes_at_zero(name: str, args: dict[str, Any], china: Image) -> None:
    assert np.array_equal(registry[name](china, **args).pixels, china.pixels)


@pytest.mark.parametrize("amount", [-100.0, -40.0, 40.0, 100.0])
def test_whites_move_the_bright_end_and_blacks_the_dark_one(amount: float) -> None:
    bright, dark = row(whites(RAMP, whites=amount)), row(blacks(RAMP, blacks=amount))
    up = np.sign(amount)
    assert np.abs(bright[:65] - np.arange(65)).max() <= 2
    assert np.abs(dark[192:] - np.arange(192, 256)).max() <= 2
    assert up * (bright[215] - 215) > 5
    assert up * (dark[40] - 40) > 5
    for done in (bright, dark):
        assert (np.diff(done) >= 0).all()
    assert np.unique(bright[200:]).size > 10  # nothing is cut off
    assert np.unique(dark[:56]).size > 10


def test_lowered_whites_leave_none_and_raised_blacks_leave_none() -> None:
    assert row(whites(RAMP, whites=-50.0))[255] == 225
    assert row(blacks(RAMP, blacks=50.0))[0] == 30


def test_a_curve_goes_through_its_points_and_rises_between_them() -> None:
    points = [0, 20, 50, 40, 60, 120, 200, 125, 255, 255]
    done = row(curves(RAMP, points=points))
    assert [done[x] for x in points[::2]] == points[1::2]
    assert (np.diff(done) >= 0).all()


def test_a_curve_without_points_adds_contrast(china: Image) -> None:
    assert to_lab(curves(china).pixels)[..., 0].std() > to_lab(china.pixels)[..., 0].std() + 0.5


def test_a_falling_curve_inverts() -> None:
    assert np.array_equal(row(curves(RAMP, points=[0, 255, 255, 0])), 255 - np.arange(256))


def test_a_curve_of_one_channel_leaves_the_others(china: Image) -> None:
    done = curves(china, points=[0, 40, 255, 255], channel="blue channel")
    assert np.array_equal(done.pixels[..., :2], china.pixels[..., :2])
    assert done.pixels[..., 2].min() >= 40


@pytest.mark.parametrize("points", [[0, 0, 255], [10, 0, 10, 255], [200, 0, 100, 255], []])
def test_points_that_are_no_curve_are_refused(points: list[int]) -> None:
    with pytest.raises(ValueError, match="no curve"):
        curves(RAMP, points=points)


def test_measured_levels_use_the_whole_range_of_a_flat_picture(china: Image) -> None:
    flat = china.replace((china.pixels * 0.5 + 50).astype(np.uint8))
    done = to_lab(levels(flat).pixels)[..., 0]
    assert np.percentile(done, 0.5) < 6
    assert np.percentile(done, 99.5) > 96
    assert (levels(flat).pixels.max(2) == 0).mean() < 0.005


def test_a_dark_picture_is_not_stretched_to_white() -> None:
    dim = Image((RAMP.pixels // 8).astype(np.uint8))
    assert levels(dim).pixels.max() < 60


def test_gamma_lightens_the_middle_and_keeps_the_ends() -> None:
    done = row(levels(RAMP, black=0, white=255, gamma=2.0))
    assert done[0] == 0
    assert done[255] == 255
    assert done[64] == pytest.approx(255 * (64 / 255) ** 0.5, abs=1)


def test_levels_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="not below"):
        levels(RAMP, black=200, white=100)


def test_fading_lifts_black_and_dulls_white() -> None:
    done = row(fade(RAMP, amount=1.0))
    assert done[0] == 64
    assert done[255] == 241
    assert (np.diff(done) >= 0).all()


def test_shadows_and_highlights_take_their_colours_and_greys_their_lightness() -> None:
    done = to_lab(split_tone(RAMP, shadows="#0000ff", highlights="#ff8000", amount=1.0).pixels)[0]
    assert done[50, 2] < -12
    assert done[200, 2] > 12
    assert np.abs(done[:, 0] - to_lab(RAMP.pixels)[0, :, 0]).max() < 2.5
    assert np.abs(done[0, 1:]).max() < 1
    assert np.hypot(*done[255, 1:]) < 8


def test_balance_moves_the_border_between_the_tones() -> None:
    low, high = (to_lab(split_tone(RAMP, balance=b).pixels)[0, 128, 2] for b in (-80.0, 80.0))
    assert high > low + 5
