"""Grading: the ends of the tonal range, curves, levels, faded blacks, tinted shadows and highlights."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from pydantic import Field

from lego.core.registry import tool
from lego.core.signature import Color, Percent, Share
from lego.core.values import Image, Mask
from lego.tools.pixels import curve_through, curved, from_lab, sampled, to_lab

Code = Annotated[int, Field(ge=0, le=255)]
REACH = 60  # of 255: how far an end point moves at 100 %
SOFTEST = 14  # of 255 that remain between what becomes white and white itself, so that nothing is cut off
OUTLIERS = 0.001  # share of the picture that measured ends may cut off
FARTHEST = (64, 160)  # codes between which measured ends never go: a dark picture is meant to be dark
STRONGEST = 30  # Lab chroma of a tint at full amount
S_CURVE = (0, 0, 64, 54, 192, 203, 255, 255)


@tool(
    effect="+lightness",
    phrases={
        "whites": {}, "make whites brighter": {"whites": 40}, "make whites whiter": {"whites": 40},
        "pull whites down": {"whites": -40}, "bring whites down": {"whites": -40},
        "make whites darker": {"whites": -40},
        "push whites up": {"whites": 40}, "brighter whites": {"whites": 40}, "brighten whites": {"whites": 40},
        "whiter whites": {"whites": 40}, "raise whites": {"whites": 40}, "boost whites": {"whites": 40},
        "increase whites": {"whites": 40}, "lift whites": {"whites": 40}, "lower whites": {"whites": -40},
        "reduce whites": {"whites": -40}, "decrease whites": {"whites": -40}, "darken whites": {"whites": -40},
        "pull down whites": {"whites": -40}, "bring down whites": {"whites": -40}, "白色色阶": {}, "白场": {},
        "提高白色色阶": {"whites": 40}, "提亮白色": {"whites": 40}, "降低白色色阶": {"whites": -40},
        "压低白色": {"whites": -40}, "白色更白": {"whites": 40},
    }
)  # fmt: skip
def whites(image: Image, mask: Mask | None = None, whites: Percent = 40.0) -> Image:
    """Move the white end of the range: up, light greys become nearly white; down, white itself turns light grey.

    A smooth curve over the upper three quarters; nothing is clipped, dark areas stay.
    """
    move = REACH * abs(whites) / 100
    end = (255 - move, 255 - min(move, SOFTEST)) if whites > 0 else (255, 255 - move)
    points = [(0, 0), (64, 64), end] + ([(255, 255)] if whites > 0 else [])
    return curved(image, curve_through(points), mask)


@tool(
    effect="+lightness",
    phrases={
        "blacks": {}, "make blacks deeper": {"blacks": -40}, "make blacks darker": {"blacks": -40},
        "make blacks blacker": {"blacks": -40}, "pull blacks down": {"blacks": -40},
        "make blacks lighter": {"blacks": 40},
        "make blacks brighter": {"blacks": 40}, "deeper blacks": {"blacks": -40}, "deepen blacks": {"blacks": -40},
        "darker blacks": {"blacks": -40}, "blacker blacks": {"blacks": -40}, "richer blacks": {"blacks": -35},
        "darken blacks": {"blacks": -40}, "lower blacks": {"blacks": -40}, "crush blacks": {"blacks": -80},
        "crushed blacks": {"blacks": -80}, "reduce blacks": {"blacks": -40}, "raise blacks": {"blacks": 40},
        "brighten blacks": {"blacks": 40}, "lighten blacks": {"blacks": 40}, "open blacks": {"blacks": 40},
        "黑色色阶": {}, "黑场": {}, "降低黑色色阶": {"blacks": -40}, "压低黑色": {"blacks": -40},
        "加深黑色": {"blacks": -40}, "提高黑色色阶": {"blacks": 40}, "提亮黑色": {"blacks": 40},
        "黑色更黑": {"blacks": -40},
    }
)  # fmt: skip
def blacks(image: Image, mask: Mask | None = None, blacks: Percent = -30.0) -> Image:
    """Move the black end of the range: down, dark greys become nearly black; up, black itself turns dark grey.

    A smooth curve over the lower three quarters; nothing is clipped, bright areas stay.
    """
    move = REACH * abs(blacks) / 100
    end = (move, min(move, SOFTEST)) if blacks < 0 else (0, move)
    points = ([(0, 0)] if blacks < 0 else []) + [end, (191, 191), (255, 255)]
    return curved(image, curve_through(points), mask)


@tool(
    phrases=[
        "curves", "tone curve", "s-curve", "s curve", "apply s-curve", "add s-curve", "apply curves", "adjust curves",
        "curves in {channel}", "{channel} curve", "曲线", "调整曲线", "S曲线", "S形曲线", "加一条S形曲线", "色调曲线",
    ]
)  # fmt: skip
def curves(
    image: Image,
    mask: Mask | None = None,
    points: Annotated[
        list[Code] | None,
        Field(description="in, out, in, out ...: points of the curve, 0..255, in rising; unset: a gentle S"),
    ] = None,
    channel: Literal["all channels", "red channel", "green channel", "blue channel"] = "all channels",
) -> Image:
    """Apply a tone curve through points (in, out), to all channels or to one; without points a gentle S for contrast.

    Monotone cubic interpolation (Fritsch and Carlson 1980); beyond the first and the last point the curve is level.

    Raises:
        ValueError: an odd count of numbers, or the ins do not rise.
    """
    values = list(S_CURVE) if points is None else points
    pairs = list(zip(values[::2], values[1::2], strict=False))
    if len(values) % 2 or not pairs or any(left[0] >= right[0] for left, right in pairwise(pairs)):
        raise ValueError(f"the points {values} are no curve; give in, out, in, out ..., each in larger than the last")
    curve = curve_through(pairs)
    if channel != "all channels":
        straight = np.arange(256.0)
        names = ("red channel", "green channel", "blue channel")
        curve = np.stack([curve if name == channel else straight for name in names], 1)
    return curved(image, curve, mask)


@tool(
    phrases={
        "levels": {}, "auto levels": {}, "adjust levels": {}, "fix levels": {}, "stretch levels": {},
        "stretch histogram": {}, "stretch tonal range": {}, "gamma": {}, "gamma {gamma}": {}, "gamma of {gamma}": {},
        "use full tonal range": {}, "auto contrast": {}, "autocontrast": {}, "色阶": {}, "自动色阶": {}, "调整色阶": {},
        "拉伸直方图": {}, "自动对比度": {}, "伽马": {}, "伽马{gamma}": {},
    }
)  # fmt: skip
def levels(
    image: Image,
    mask: Mask | None = None,
    black: Annotated[Code | None, Field(description="what becomes black; unset: measured")] = None,
    white: Annotated[Code | None, Field(description="what becomes white; unset: measured")] = None,
    gamma: Annotated[float, Field(ge=0.2, le=5, description="over 1 brightens the middle")] = 1.0,
) -> Image:
    """Stretch the tones so that they run from black to white; the ends are measured unless they are given.

    Measured ends cut off a thousandth of the picture (of what is masked). One curve for all channels: hues stay.

    Raises:
        ValueError: black is not below white.
    """
    low, high = measured_ends(image, mask)
    low, high = low if black is None else black, high if white is None else white
    if low >= high:
        raise ValueError(f"black {low} is not below white {high}")
    share = np.clip((np.arange(256) - low) / (high - low), 0, 1)
    return curved(image, 255 * share ** (1 / gamma), mask)


def measured_ends(image: Image, mask: Mask | None) -> tuple[int, int]:
    """The codes at which the greys of the picture (of what is masked) begin and end, but for outliers."""
    pixels, where = sampled(image, mask)
    counts = cv2.calcHist([cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)], [0], where, [256], [0, 256]).ravel()
    if counts.sum() == 0:
        return 0, 255
    below = np.cumsum(counts, dtype=np.float64) / counts.sum(dtype=np.float64)
    low, high = np.searchsorted(below, [OUTLIERS, 1 - OUTLIERS])
    return min(int(low), FARTHEST[0]), max(int(high), FARTHEST[1])


@tool(
    effect="-contrast",
    phrases={
        "fade": {"amount": 0.5}, "fade colors": {"amount": 0.5}, "lifted blacks": {"amount": 0.5},
        "lift blacks": {"amount": 0.5}, "milky blacks": {"amount": 0.6}, "faded blacks": {"amount": 0.5},
        "fade blacks": {"amount": 0.5}, "fade shadows": {"amount": 0.5}, "fade effect": {"amount": 0.5},
        "淡化": {"amount": 0.5}, "褪色效果": {"amount": 0.5}, "抬高黑位": {"amount": 0.5}, "提升黑位": {"amount": 0.5},
    }
)  # fmt: skip
def fade(image: Image, mask: Mask | None = None, amount: Share = 0.5) -> Image:
    """Fade the picture as an old print: black turns dark grey, white a little duller, colours calmer in the dark."""
    curve = curve_through([(0, 64 * amount), (80, 80 + 14 * amount), (190, 190 - 2 * amount), (255, 255 - 14 * amount)])
    return curved(image, curve, mask)


@tool(
    phrases={
        "split tone": {}, "split toning": {}, "split-tone": {}, "split-toning": {}, "color grade": {},
        "color grading": {}, "split tone {shadows} and {highlights}": {},
        "split tone in {shadows} and {highlights}": {},
        "split tone with {shadows} and {highlights}": {}, "{shadows} shadows and {highlights} highlights": {},
        "tint shadows {shadows} and highlights {highlights}": {},
        "split tone shadows {shadows} and highlights {highlights}": {},
        "shadows {shadows} and highlights {highlights}": {},
        "{shadows} in shadows and {highlights} in highlights": {}, "tint shadows {shadows}": {"highlights": "#808080"},
        "tint highlights {highlights}": {"shadows": "#808080"}, "阴影染成{shadows}": {"highlights": "#808080"},
        "高光染成{highlights}": {"shadows": "#808080"},
        "make shadows {shadows} and highlights {highlights}": {},
        "color grade {shadows} and {highlights}": {}, "分离色调": {}, "调色": {},
        "阴影{shadows}高光{highlights}": {}, "阴影偏{shadows}高光偏{highlights}": {},
        "阴影加{shadows}高光加{highlights}": {}, "暗部{shadows}亮部{highlights}": {},
    }
)  # fmt: skip
def split_tone(
    image: Image,
    mask: Mask | None = None,
    shadows: Color = "#1f7a8c",
    highlights: Color = "#f0a860",
    balance: Annotated[
        float,
        Field(ge=-100, le=100, description="under 0 more of the shadows' colour", json_schema_extra={"unit": "%"}),
    ] = 0.0,
    amount: Share = 0.5,
) -> Image:
    """Tinge the shadows with one colour and the highlights with another, as in cinema; teal and orange by default.

    The colours' chroma in Lab is laid over greys of every lightness; black, white and the greys' lightness stay.
    """
    if amount == 0:
        return image.replace(image.pixels)
    light = to_lab(np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, 2))[:, 0, 0] / 100
    turn = np.clip((light - 0.5 + balance / 400) / 0.3, -1, 1) / 2 + 0.5
    upper = turn * turn * (3 - 2 * turn)
    room = np.minimum(1, 5 * np.minimum(light, 1.04 - light))  # none in black, a little on white paper
    tones = [tone * share[:, None] for tone, share in zip(_tones(shadows, highlights), (1 - upper, upper), strict=True)]
    tinged = np.concatenate([light[:, None] * 100, sum(tones) * (amount * room[:, None])], 1)
    table = from_lab(np.asarray(tinged[:, None], np.float32))[:, 0]
    return curved(image, table, mask)


def _tones(*colors: str) -> list[NDArray[np.float32]]:
    """The a and b of colours, strong ones held to a chroma that does not turn grey into paint."""
    found = []
    for color in colors:
        a, b = to_lab(np.array([[ImageColor.getrgb(color)[:3]]], np.uint8))[0, 0, 1:]
        found.append(np.array([a, b], np.float32) * min(1, STRONGEST / max(float(np.hypot(a, b)), 1e-3)))
    return found
