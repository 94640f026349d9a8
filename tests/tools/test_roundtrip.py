"""What undoes itself, over many sizes and values: geometry and masks to the byte, light to a level."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lego.core.values import Image, Mask
from lego.tools.color import invert
from lego.tools.framing import crop_to_subject
from lego.tools.geometry import border, crop, flip, resize, rotate
from lego.tools.mask import (
    mask_box,
    mask_fill_holes,
    mask_grow,
    mask_intersect,
    mask_invert,
    mask_subtract,
    mask_union,
)
from lego.tools.scale import upscale
from lego.tools.tone import brightness, contrast, exposure

SIDE = st.integers(1, 48)
quick = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def pictures(draw: st.DrawFn, low: int = 0, high: int = 255) -> Image:
    """Colour or grey, with or without alpha, of any small size."""
    width, height = draw(SIDE), draw(SIDE)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = rng.integers(low, high + 1, (height, width, draw(st.sampled_from([1, 3]))), np.uint8)
    alpha = rng.integers(0, 256, (height, width), np.uint8) if draw(st.booleans()) else None
    return Image(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels, alpha)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Hard, soft, empty or full."""
    shape = (draw(SIDE), draw(SIDE))
    values = st.sampled_from([0, 255]) if draw(st.booleans()) else st.integers(0, 255)
    return Mask(draw(arrays(np.uint8, shape, elements=values, fill=values)))


@quick
@given(pictures())
def test_four_quarter_turns_two_flips_and_two_inversions_change_no_byte(image: Image) -> None:
    turned = image
    for _ in range(4):
        turned = rotate(turned, 90.0)
    assert turned == image
    assert rotate(rotate(image, 180.0), -180.0) == image
    assert flip(flip(image, "horizontal"), "horizontal") == image
    assert flip(flip(image, "vertical"), "vertical") == image
    assert flip(flip(image, "horizontal"), "vertical") == rotate(image, 180.0)
    assert invert(invert(image)) == image


@quick
@given(pictures())
def test_a_quarter_turn_swaps_the_sides_and_moves_no_value(image: Image) -> None:
    turned = rotate(image, 90.0)
    assert turned.size == image.size[::-1]
    assert (np.sort(turned.pixels, axis=None) == np.sort(image.pixels, axis=None)).all()


@quick
@given(pictures(low=8, high=110), st.floats(0.1, 1.0))
def test_more_and_then_as_much_less_exposure_gives_the_picture_back(image: Image, stops: float) -> None:
    back = exposure(exposure(image, exposure=stops), exposure=-stops)
    assert np.abs(back.pixels.astype(int) - image.pixels).max() <= 1
    if image.alpha is not None:
        assert back.alpha is not None
        assert (back.alpha == image.alpha).all()


@quick
@given(pictures(), masks())
def test_no_amount_and_no_mask_give_the_bytes_of_the_input(image: Image, mask: Mask) -> None:
    empty = Mask(np.zeros(image.pixels.shape[:2], np.uint8))
    for made in (
        exposure(image, exposure=0.0), brightness(image, brightness=0.0), contrast(image, contrast=0.0),
        rotate(image, 0.0), crop(image), resize(image), upscale(image, 1.0), border(image, 0), invert(image, empty),
        crop_to_subject(image, empty),
    ):  # fmt: skip
        assert made == image
    assert mask_grow(mask, 0) == mask


@quick
@given(pictures())
def test_a_picture_inverted_through_a_mask_and_its_opposite_is_inverted_whole(image: Image) -> None:
    left = Mask.from_box(image.size, (0, 0, image.size[0] // 2, image.size[1]))
    assert invert(invert(image, left), ~left) == invert(image)


@quick
@given(pictures(), st.integers(1, 30))
def test_a_border_cropped_off_leaves_the_picture(image: Image, width: int) -> None:
    framed = border(image, width)
    assert framed.size == (image.size[0] + 2 * width, image.size[1] + 2 * width)
    assert crop(framed, width=image.size[0], height=image.size[1]) == image


@quick
@given(pictures(), st.floats(0.1, 4.0), st.integers(1, 200))
def test_resizing_keeps_the_proportions_to_the_pixel(image: Image, scale: float, side: int) -> None:
    width, height = image.size
    assert resize(image, scale=scale).size == (max(1, round(width * scale)), max(1, round(height * scale)))
    wide = resize(image, width=side)
    assert wide.size[0] == side
    assert abs(wide.size[1] - max(1, side * height / width)) <= 0.5
    flat = Image(np.full_like(image.pixels, 93))
    assert (resize(flat, scale=scale).pixels == 93).all()


@quick
@given(pictures(), st.sampled_from([2.0, 3.0, 4.0]))
def test_upscaling_multiplies_the_sides_and_keeps_what_is_flat(image: Image, factor: float) -> None:
    large = upscale(image, factor)
    assert large.size == (round(image.size[0] * factor), round(image.size[1] * factor))
    flat = Image(np.full_like(image.pixels, 201))
    assert (upscale(flat, factor).pixels == 201).all()


@quick
@given(masks())
def test_mask_operations_obey_the_laws_of_sets(mask: Mask) -> None:
    nothing = Mask(np.zeros_like(mask.pixels))
    assert mask_invert(mask_invert(mask)) == mask
    assert mask_union(mask, mask) == mask
    assert mask_intersect(mask, mask) == mask
    assert mask_union(mask, nothing) == mask
    assert mask_subtract(mask, nothing) == mask
    assert mask_intersect(mask, nothing) == nothing
    assert mask_subtract(nothing, mask) == nothing
    assert mask_fill_holes(mask_fill_holes(mask)) == mask_fill_holes(mask)
    assert mask_box(mask_box(mask)) == mask_box(mask)


@quick
@given(masks(), st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_de_morgan_holds_and_growing_only_adds(mask: Mask, seed: int, amount: int) -> None:
    other = Mask(np.random.default_rng(seed).integers(0, 256, mask.pixels.shape, np.uint8))
    assert mask_invert(mask_union(mask, other)) == mask_intersect(mask_invert(mask), mask_invert(other))
    assert mask_invert(mask_intersect(mask, other)) == mask_union(mask_invert(mask), mask_invert(other))
    assert (mask_grow(mask, amount).pixels >= mask.pixels).all()
    assert (mask_grow(mask, -amount).pixels <= mask.pixels).all()
    assert mask_invert(mask_grow(mask_invert(mask), amount)) == mask_grow(mask, -amount)
