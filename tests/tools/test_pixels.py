"""The arithmetic that the tools stand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lego.core.values import Image, Mask
from lego.tools.pixels import (
    Plane,
    base_layer,
    blend,
    curve_through,
    curved,
    from_lab,
    from_linear,
    gaussian,
    guided,
    in_strips,
    sampled,
    to_lab,
    to_linear,
    to_uint8,
)

GREYS = np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(3, 2)


@pytest.fixture(scope="module")
def light() -> Plane:
    photo = Image.open(Path(__file__).parents[2] / "docs" / "photos" / "coffee.png")
    return np.asarray(cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2GRAY) / 255, np.float32)


def test_blend_keeps_every_bit_where_the_mask_is_zero(small: Image, disc: Mask) -> None:
    done = blend(small, 255 - small.pixels, disc)
    assert np.array_equal(done.pixels[disc.pixels == 0], small.pixels[disc.pixels == 0])
    assert np.array_equal(done.pixels[disc.pixels == 255], 255 - small.pixels[disc.pixels == 255])


def test_blend_weighs_by_the_mask(small: Image) -> None:
    mask = Mask(np.full((30, 40), 51, np.uint8))  # a fifth
    edit = np.full_like(small.pixels, 200)
    expected = small.pixels + (200.0 - small.pixels) * 51 / 255
    assert np.abs(blend(small, edit, mask).pixels - expected).max() <= 0.5 + 1e-3


def test_blend_takes_floats_beyond_the_range(small: Image) -> None:
    edit = np.full(small.pixels.shape, 300, np.float32)
    edit[0] = -40
    pixels = blend(small, edit, None).pixels
    assert (pixels[0] == 0).all()
    assert (pixels[1:] == 255).all()


def test_blend_with_an_empty_mask_changes_nothing(small: Image) -> None:
    assert blend(small, 255 - small.pixels, Mask(np.zeros((30, 40), np.uint8))).digest == small.digest


def test_blend_keeps_the_alpha_and_has_no_notes(small: Image, disc: Mask) -> None:
    alpha = np.full((30, 40), 77, np.uint8)
    done = blend(Image(small.pixels, alpha, ("read from a TIFF",)), small.pixels, disc)
    assert np.array_equal(np.asarray(done.alpha), alpha)
    assert done.notes == ()


def test_blend_refuses_other_sizes(small: Image) -> None:
    with pytest.raises(ValueError, match=r"the mask is 30 x 40, the picture 40 x 30"):
        blend(small, small.pixels, Mask(np.zeros((40, 30), np.uint8)))
    with pytest.raises(ValueError, match="the edit has the shape"):
        blend(small, small.pixels[1:], None)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rounding_is_that_of_numpy(kind: type[np.floating[Any]]) -> None:
    values: NDArray[Any] = np.arange(-300, 600, 0.25).astype(kind).reshape(60, 20, 3)
    assert np.array_equal(to_uint8(values), np.clip(np.rint(values), 0, 255).astype(np.uint8))
    assert to_uint8(values[:, :1, :1]).shape == (60, 1, 1)
    assert to_uint8(values[..., 0]).shape == (60, 20)


def test_lab_and_linear_light_lead_there_and_back() -> None:
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 17)] * 3), -1).reshape(64, 64, 3).astype(np.uint8)
    assert np.array_equal(to_uint8(from_lab(to_lab(cube))), cube)
    assert np.array_equal(to_uint8(from_linear(to_linear(cube))), cube)


def test_lab_has_the_textbook_values() -> None:
    lab = to_lab(np.array([[[255, 255, 255], [255, 0, 0], [0, 0, 255]]], np.uint8))[0]
    assert np.allclose(lab, np.array([[100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]), atol=0.05)


def test_greys_have_no_chroma() -> None:
    assert np.abs(to_lab(GREYS)[..., 1:]).max() < 1e-3


def test_mid_grey_has_a_fifth_of_the_light_of_white() -> None:
    assert to_linear(GREYS)[0, 124, 0] == pytest.approx(0.202, abs=0.002)
    assert from_linear(np.array([2.0, 1.0, 0.0, -1.0])).tolist() == pytest.approx([255, 255, 0, 0])


def test_a_curve_may_differ_by_channel() -> None:
    curve = np.arange(256)[:, None] * np.array([1.0, 0.5, 0.0])
    assert curved(Image(GREYS), curve).pixels[0, 200].tolist() == [200, 100, 0]
    assert curved(Image(GREYS), np.arange(255, -1, -1)).pixels[0, 200].tolist() == [55, 55, 55]


def exact(guide: Plane, source: Plane, radius: int, eps: float) -> Plane:
    """The formula of the paper, window by window, without shortcuts."""
    side = (2 * radius + 1,) * 2

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane, side, borderType=cv2.BORDER_REFLECT), np.float32)

    a = (mean(guide * source) - mean(guide) * mean(source)) / (mean(guide**2) - mean(guide) ** 2 + eps)
    return mean(a) * guide + mean(mean(source) - a * mean(guide))


@pytest.mark.parametrize(("radius", "worst"), [(4, 1e-4), (12, 1e-4), (30, 0.03), (100, 0.03)])
def test_the_guided_filter_follows_the_paper(light: Plane, radius: int, worst: float) -> None:
    difference = np.abs(guided(light, light, radius, 0.01) - exact(light, light, radius, 0.01))
    assert difference.max() < worst
    assert difference.mean() < 0.002


def test_the_guided_filter_smooths_noise_and_keeps_an_edge() -> None:
    step = np.zeros((80, 120), np.float32)
    step[:, 60:] = 1
    noisy = step + np.random.default_rng(0).normal(0, 0.05, step.shape).astype(np.float32)
    smooth = guided(noisy, noisy, 8, 0.02)
    assert np.std(smooth[:, :50]) < 0.02
    assert smooth[:, 62:66].mean() - smooth[:, 54:58].mean() > 0.9


def test_a_mask_snaps_to_the_edges_of_the_guide() -> None:
    guide = np.zeros((64, 64), np.float32)
    guide[:, 32:] = 1
    rough = np.zeros_like(guide)
    rough[:, 28:] = 1  # four pixels too wide
    snapped = guided(guide, rough, 10, 1e-4)
    assert snapped[:, 28:31].mean() < 0.45
    assert snapped[:, 34:].mean() > 0.9


def test_the_guided_filter_refuses_planes_that_do_not_fit(light: Plane) -> None:
    with pytest.raises(ValueError, match="the guide has the shape"):
        guided(light, light[1:], 5, 0.01)


@pytest.mark.parametrize("shape", [(1, 1), (3, 517), (517, 3)])
def test_tiny_planes_survive(shape: tuple[int, int]) -> None:
    plane = np.full(shape, 0.5, np.float32)
    assert np.allclose(guided(plane, plane, 40, 0.01), 0.5, atol=1e-4)
    assert np.allclose(base_layer(plane), 0.5, atol=1e-4)
    assert np.allclose(gaussian(plane, 40), 0.5, atol=1e-4)


@pytest.mark.parametrize("sigma", [11.0, 12.0, 30.0])
def test_a_large_blur_looks_like_the_exact_one(light: Plane, sigma: float) -> None:
    honest = cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    assert np.abs(gaussian(light, sigma) - honest).max() < 2.5 / 255


def test_blend_takes_an_edit_over_and_does_not_copy_it(small: Image) -> None:
    edit = np.array(255 - small.pixels)
    done = blend(small, edit, None)
    assert np.shares_memory(done.pixels, edit)
    with pytest.raises(ValueError, match="read-only"):
        edit[0] = 0


def test_blend_copies_what_somebody_else_may_still_write_to(small: Image) -> None:
    larger = np.zeros((60, 40, 3), np.uint8)
    done = blend(small, larger[:30], None)
    larger[:] = 9
    assert done.pixels.max() == 0


def test_a_tall_mask_blends_the_same_in_strips_as_at_once() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.integers(0, 256, (2, 300, 9, 3), dtype=np.uint8)
    share = rng.integers(0, 256, (300, 9), dtype=np.uint8)
    expected = old + (new.astype(np.float32) - old) * (share[..., None].astype(np.float32) / 255)
    assert np.array_equal(blend(Image(old), new, Mask(share)).pixels, to_uint8(expected.astype(np.float32)))


def test_a_curve_rises_where_its_points_rise_and_keeps_within_them() -> None:
    points = [(0, 10), (90, 12), (100, 200), (160, 200), (255, 240)]
    curve = curve_through(points)
    assert [curve[x] for x, _ in points] == pytest.approx([y for _, y in points])
    assert (np.diff(curve) >= -1e-9).all()
    assert np.ptp(curve[100:161]) < 1e-9  # level where two neighbours are


def test_a_straight_curve_and_a_single_point_are_exact() -> None:
    assert curve_through([(0, 0), (255, 255)]) == pytest.approx(np.arange(256.0))
    assert (curve_through([(7, 30)]) == 30).all()


def test_strips_change_the_box_of_the_mask_and_all_of_it(small: Image) -> None:
    tall = Image(np.tile(small.pixels, (6, 1, 1)))
    assert np.array_equal(in_strips(tall, None, lambda part, *_: 255 - part), 255 - tall.pixels)
    mask = Mask.from_box(tall.size, (5, 10, 20, 170))
    done = in_strips(tall, mask, lambda part, *_: 255 - part)
    assert np.array_equal(done != tall.pixels, np.repeat(mask.pixels[..., None] > 0, 3, 2))


def test_a_sample_tells_the_mean_of_a_large_picture_and_finds_a_thin_mask() -> None:
    rng = np.random.default_rng(0)
    large = Image(rng.integers(0, 256, (1500, 2000, 3), dtype=np.uint8))
    pixels, where = sampled(large, None)
    assert where is None
    assert pixels.size < 0.2 * large.pixels.size
    assert pixels.mean() == pytest.approx(large.pixels.mean(), abs=1)
    thin = np.zeros((1500, 2000), np.uint8)
    thin[1, 1] = thin[1498, 1998] = 255
    thin[700, 701] = 9
    _, where = sampled(large, Mask(thin))
    assert where is not None
    assert where.any()
