"""Pixel arithmetic that several tools share: blending through a mask, Lab, linear light, the guided filter."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import MAX_PIXELS, Pixels
from lego.core.values import Image, Mask

Plane: TypeAlias = NDArray[np.float32]
SAMPLE = 150_000  # pixels that tell the tones of a picture as well as all do
STRIP = 1 << 16  # pixels that are changed at a time: what is between stays in the processor's cache, and in one heap
MAX_SIDE = 16384  # px
BOXY = 0.98  # of its box: a mask that fills more was drawn as a box
LUMA = (0.2126, 0.7152, 0.0722)  # of linear sRGB light (ITU-R BT.709)
D65 = np.array([0.95047, 1.0, 1.08883])  # the white of sRGB in XYZ (IEC 61966-2-1)
XYZ_TO_RGB = np.array([[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]])


def blend(image: Image, edit: NDArray[Any], mask: Mask | None) -> Image:
    """Return ``in + (edit - in) * mask / 255``; bit for bit the input where the mask is 0, ``edit`` where it is 255.

    Args:
        edit: H x W x 3, uint8 or float 0..255 (rounded and clipped). A uint8 array of one's own is taken over, not
            copied: it can no longer be written to.

    Raises:
        ValueError: the sizes differ.
    """
    if edit.shape != image.pixels.shape:
        raise ValueError(f"the edit has the shape {edit.shape}, the picture {image.pixels.shape}")
    must_fit(image, mask)
    if mask is None:
        return image.replace(_locked(to_uint8(edit)))
    if mask.box is None:
        return image.replace(image.pixels)
    x0, y0, x1, y1 = mask.box
    pixels = image.pixels.copy()
    for area in strips(x0, y0, x1, y1):
        old = pixels[area].astype(np.float32)
        share = mask.pixels[area][..., None].astype(np.float32) / 255
        pixels[area] = to_uint8(old + (edit[area].astype(np.float32) - old) * share)
    return image.replace(_locked(pixels))


def check_size(size: tuple[int, int]) -> None:
    """Refuse to make a picture (width, height in px) that nobody could open again; raises ValueError."""
    if max(size) > MAX_SIDE or size[0] * size[1] > MAX_PIXELS:
        limit = f"at most {MAX_SIDE} px a side and {MAX_PIXELS // 1_000_000} megapixels"
        raise ValueError(f"{size[0]} x {size[1]} is too large; {limit}")


def must_fit(image: Image, mask: Mask | None) -> None:
    """Raise a ValueError if there is a mask and it is not as large as the picture."""
    if mask is not None and mask.size != image.size:
        raise ValueError(f"the mask is {mask.size[0]} x {mask.size[1]}, the picture {image.size[0]} x {image.size[1]}")


def _locked(pixels: Pixels) -> Pixels:
    """Give up writing to an array of one's own, so that a picture need not copy it."""
    if pixels.base is None:
        pixels.flags.writeable = False
    return pixels


def in_strips(image: Image, mask: Mask | None, change: Callable[[Pixels, slice, slice], NDArray[Any]]) -> Pixels:
    """Change the pixels a few rows at a time, which keeps what is between in the processor's cache: twice as fast.

    Args:
        mask: only its box is changed; None changes everything.
        change: gets some rows of the picture (uint8), and which rows and columns they are; returns them changed (uint8
            or float 0..255). Each pixel must depend on itself and its place alone.
    """
    width, height = image.size
    edit = np.empty((height, width, 3), np.uint8) if mask is None else image.pixels.copy()
    x0, y0, x1, y1 = (0, 0, width, height) if mask is None else mask.box or (0, 0, 0, 0)
    for area in strips(x0, y0, x1, y1):
        edit[area] = to_uint8(change(image.part(*area), *area))
    return edit


def strips(x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns of strips that a box is cut into, small enough for the processor's cache."""
    rows = max(1, STRIP // max(1, x1 - x0))
    return ((slice(top, min(top + rows, y1)), slice(x0, x1)) for top in range(y0, y1, rows))


def sampled(image: Image, mask: Mask | None) -> tuple[Pixels, Pixels | None]:
    """Every n-th pixel of the picture and the mask, to measure tones by: about 150,000 in the mask's box."""
    x0, y0, x1, y1 = (0, 0, *image.size) if mask is None else mask.box or (0, 0, *image.size)
    for step in (max(1, int(((y1 - y0) * (x1 - x0) / SAMPLE) ** 0.5)), 1):
        area = (slice(y0, y1, step), slice(x0, x1, step))
        where = None if mask is None else np.ascontiguousarray(mask.pixels[area])
        if where is None or where.any() or step == 1:
            break
    return image.part(*area), where


def to_uint8(values: NDArray[Any]) -> Pixels:
    """Round (halves to even) and clip to 0..255; uint8 comes back as it is."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.float32 and values.ndim in (2, 3):  # three times as fast as numpy, the same bytes
        return np.asarray(cv2.add(values, (0, 0, 0, 0), dtype=cv2.CV_8U), np.uint8).reshape(values.shape)
    rounded: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def to_lab(pixels: Pixels) -> Plane:
    """Return CIELAB as float32, L 0..100, a and b about -127..127; `from_lab` gives the same bytes back.

    By way of linear light, because OpenCV reads sRGB floats through a coarse table (greys get a chroma of .1).
    """
    return np.asarray(cv2.cvtColor(to_linear(pixels), cv2.COLOR_LRGB2LAB), np.float32)


def from_lab(lab: Plane) -> Plane:
    """Return RGB as float32 0..255, not yet rounded; colours outside sRGB are clipped."""
    rgb = np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32)
    return np.multiply(rgb, 255, out=rgb)


def to_grey(pixels: Pixels) -> Plane:
    """Return the luma of each pixel, H x W, 0..1 (ITU-R BT.601, as OpenCV weighs)."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)


def to_linear(pixels: Pixels) -> Plane:
    """Return linear light, 0..1, as float32 (the sRGB curve, IEC 61966-2-1)."""
    codes = np.arange(256) / 255
    curve = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    return np.asarray(cv2.LUT(pixels, curve.astype(np.float32)), np.float32)


def from_linear(light: NDArray[Any]) -> Plane:
    """Return sRGB values 0..255 as float32 from linear light; what is above 1 is clipped."""
    light = np.clip(light, 0, 1)
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return np.asarray(curve * 255, np.float32)


def scale_chroma(lab: Plane, gain: float | Plane) -> Plane:
    """Return Lab with its chroma multiplied by ``gain`` (a number or H x W), L and hue as they are.

    What grows stronger bends towards the most that sRGB can show of its hue at its lightness. Clipped there, colours
    would change their hue and lose their folds.
    """
    chroma, hue = cv2.cartToPolar(lab[..., 1], lab[..., 2], angleInDegrees=True)
    more = np.asarray((np.asarray(gain, np.float32) - 1) * chroma, np.float32)
    room = np.maximum(strongest_chroma(lab[..., 0], hue) - chroma, 0.01)
    ratio = 1 + np.where(more > 0, more * room / cv2.magnitude(more, room), more) / np.maximum(chroma, 1e-3)
    return np.asarray(np.dstack([lab[..., 0], lab[..., 1] * ratio, lab[..., 2] * ratio]), np.float32)


def strongest_chroma(light: Plane, hue: Plane) -> Plane:
    """Return the highest chroma that sRGB can show at L (0..100) and a hue in degrees, both H x W; exact to about 1."""
    rows = np.asarray(np.clip(light, 0, 100), np.float32)
    return np.asarray(cv2.remap(_gamut(), np.mod(hue, 360).astype(np.float32), rows, cv2.INTER_LINEAR), np.float32)


@functools.cache
def _gamut() -> Plane:
    """The edge of sRGB in Lab: chroma by L (rows 0..100) and hue (columns 0..360 degrees), found by halving."""
    light, hue = np.meshgrid(np.arange(101.0), np.radians(np.arange(361.0)), indexing="ij")
    low, high = np.zeros_like(light), np.full_like(light, 140.0)  # blue, the strongest, has a chroma of 134
    height = (light + 16) / 116
    for _ in range(12):
        middle = (low + high) / 2
        thirds = [height + middle * np.cos(hue) / 500, height, height - middle * np.sin(hue) / 200]
        xyz = np.stack([np.where(f > 6 / 29, f**3, (f - 4 / 29) * 108 / 841) for f in thirds], -1) * D65
        inside = ((xyz @ XYZ_TO_RGB.T > -1e-4) & (xyz @ XYZ_TO_RGB.T < 1 + 1e-4)).all(-1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(low, np.float32)


def curved(image: Image, curve: NDArray[Any], mask: Mask | None = None) -> Image:
    """Look every value up in a curve of 256 values (or 256 x 3, one column a channel), 0..255, through a mask.

    Without a mask nothing is computed until somebody looks: a run of curves is one pass (`Image.through`).
    """
    made = image.through(to_uint8(curve))
    return made if mask is None else blend(image, made.pixels, mask)


def curve_through(points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Return 256 values 0..255 on a smooth curve through points (x, y), x rising; level beyond the first and the last.

    Cubic between the points and never beyond them: where they rise the curve rises (Fritsch and Carlson 1980).
    """
    x, y = np.asarray(points, np.float64).reshape(-1, 2).T
    codes = np.clip(np.arange(256.0), x[0], x[-1])
    if x.size == 1:
        return np.full(256, y[0])
    width = np.diff(x)
    slope = np.diff(y) / width
    tangent = np.concatenate([slope[:1], (slope[:-1] + slope[1:]) / 2, slope[-1:]])
    tangent[1:-1][slope[:-1] * slope[1:] <= 0] = 0
    steepest = 3 * np.minimum(np.abs(np.append(slope, slope[-1])), np.abs(np.append(slope[0], slope)))
    tangent = np.clip(tangent, -steepest, steepest)
    part = np.clip(np.searchsorted(x, codes, "right") - 1, 0, width.size - 1)
    step, share = width[part], (codes - x[part]) / width[part]
    straight = y[part] + (y[part + 1] - y[part]) * share * share * (3 - 2 * share)
    bend = share * (1 - share) * step * (tangent[part] * (1 - share) - tangent[part + 1] * share)
    return np.asarray(straight + bend)


def guided(guide: Plane, source: Plane, radius: int, eps: float) -> Plane:
    """Smooth ``source`` along the edges of ``guide``, both H x W (guided filter, He 2010, by box means).

    Windows of 33 px and more are computed on a coarser grid (He and Sun 2015), but from the moments of the full
    picture: on photographs the result differs by .001 of the range on average, .02 at most, and comes 8 times as fast.

    Args:
        radius: half the window in px.
        eps: variance of the guide under which a window counts as flat; 0.01 for a guide of 0..1.
    """
    if guide.shape != source.shape:
        raise ValueError(f"the guide has the shape {guide.shape}, the source {source.shape}")
    height, width = guide.shape
    step = max(1, min(radius // 8, height, width))
    grid = (-(-width // step), -(-height // step))
    side = 2 * round(radius / step) + 1

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

    def moment(plane: Plane) -> Plane:
        return mean(plane if step == 1 else np.asarray(cv2.resize(plane, grid, interpolation=cv2.INTER_AREA)))

    guide_mean, source_mean = moment(guide), moment(source)
    slope = (moment(guide * source) - guide_mean * source_mean) / (moment(guide * guide) - guide_mean**2 + eps)
    offset = mean(source_mean - slope * guide_mean)
    slope = mean(slope)
    if step > 1:
        slope = np.asarray(cv2.resize(slope, (width, height)), np.float32)
        offset = np.asarray(cv2.resize(offset, (width, height)), np.float32)
    return np.asarray(slope * guide + offset, np.float32)


def base_layer(light: Plane) -> Plane:
    """Return the large light and dark areas of ``light`` (H x W, 0..1), edges kept: guided by itself."""
    base: Plane = np.clip(guided(light, light, max(1, max(light.shape) // 20), 0.01), 0, 1)
    return base


def gaussian(plane: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Blur by a Gaussian of ``sigma`` px; large ones are computed on a smaller copy, which looks the same."""
    shrink = int(sigma // 6)
    if shrink < 2 or min(plane.shape[:2]) < 8 * shrink:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(sigma, 0.05), borderType=cv2.BORDER_REFLECT))
    height, width = plane.shape[:2]
    small = cv2.resize(plane, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
