"""Colour: white balance, saturation, recolouring, black and white, one colour alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Color, Percent, Share, Thing
from lego.core.values import Image, Mask
from lego.tools.pixels import (
    BOXY,
    LUMA,
    Plane,
    blend,
    curved,
    from_lab,
    from_linear,
    in_strips,
    sampled,
    scale_chroma,
    strongest_chroma,
    to_lab,
    to_linear,
    to_uint8,
)

PANCHROMATIC = (0.32, 0.54, 0.14)  # how bright R, G, B look on black and white film: skin lighter, skies darker
KELVIN = 27.0  # a percent of temperature in kelvin: 500 K from 6000 K turn R / B by e^.149, a percent by e^.008
FILTERS = {  # weights of R, G, B behind a glass held before black and white film
    "no filter": PANCHROMATIC,
    "yellow filter": (0.45, 0.50, 0.05),
    "orange filter": (0.62, 0.40, -0.02),
    "red filter": (0.85, 0.25, -0.10),
    "green filter": (0.15, 0.75, 0.10),
    "blue filter": (0.02, 0.23, 0.75),
}
Glass = Literal["no filter", "yellow filter", "orange filter", "red filter", "green filter", "blue filter"]
GREY_CHROMA = 6.0  # Lab chroma up to which a thing has no colour of its own to follow
COLOUR_CHROMA = 18.0  # and from which it surely has


@tool(
    effect="+warmth",
    phrases={
        "暖色": {"temperature": 30}, "冷色": {"temperature": -30},
        "warm up": {"temperature": 30}, "warm": {"temperature": 30}, "warmer": {"temperature": 30},
        "more warmth": {"temperature": 30}, "cool down": {"temperature": -30}, "cool": {"temperature": -30},
        "cooler": {"temperature": -30}, "colder": {"temperature": -35}, "bluish": {"temperature": -30},
        "temperature": {}, "color temperature": {}, "increase temperature": {"temperature": 30},
        "raise temperature": {"temperature": 30}, "higher temperature": {"temperature": 30},
        "lower temperature": {"temperature": -30}, "reduce temperature": {"temperature": -30},
        "decrease temperature": {"temperature": -30}, "提高色温": {"temperature": 30}, "升高色温": {"temperature": 30},
        "增加色温": {"temperature": 30}, "降低色温": {"temperature": -30}, "减少色温": {"temperature": -30},
        "调暖": {"temperature": 30}, "变暖": {"temperature": 30},
        "暖一点": {"temperature": 20}, "更暖": {"temperature": 30}, "暖色调": {"temperature": 30},
        "调冷": {"temperature": -30}, "变冷": {"temperature": -30}, "冷一点": {"temperature": -20},
        "更冷": {"temperature": -30}, "冷色调": {"temperature": -30}, "色温": {},
    }
)  # fmt: skip
def temperature(
    image: Image,
    mask: Mask | None = None,
    temperature: Percent = 30.0,
    kelvin: Annotated[
        float | None,
        Field(
            ge=0,
            le=3000,
            description="size of the shift at daylight, instead of percents; the sign of temperature says which way",
            json_schema_extra={"unit": "K"},
        ),
    ] = None,
) -> Image:
    """Make the light warmer (towards amber) or cooler (towards blue), in percents or kelvin; luminance stays."""
    if kelvin is not None:
        temperature = float(np.copysign(kelvin, temperature)) / KELVIN
    gains = np.exp(np.array([0.004, 0, -0.004]) * temperature)
    return _gained(image, mask, gains, mask)


@tool(
    effect="+magenta",
    phrases={
        "tint": {}, "more magenta": {"tint": 25}, "magenta tint": {"tint": 25}, "less green": {"tint": 25},
        "more green": {"tint": -25}, "green tint": {"tint": -25}, "greener": {"tint": -25},
        "less magenta": {"tint": -25}, "偏洋红": {"tint": 25}, "偏绿": {"tint": -25}, "色调": {},
    }
)  # fmt: skip
def tint(image: Image, mask: Mask | None = None, tint: Percent = 20.0) -> Image:
    """Shift the light towards magenta (positive) or green (negative); luminance stays."""
    gains = np.exp(np.array([0.0015, -0.003, 0.0015]) * tint)
    return _gained(image, mask, gains, mask)


def _gained(image: Image, measured: Mask | None, gains: NDArray[np.float64], mask: Mask | None) -> Image:
    """Multiply the channels in linear light so that the mean luminance of what is measured stays what it is."""
    if (gains == 1).all():
        return image.replace(image.pixels)
    counts, light = _counts(*sampled(image, measured)), _linear_codes()
    luma = np.array(LUMA) * (counts @ light + 1e-9)
    gains = gains * float(luma.sum() / (luma @ gains))
    return curved(image, from_linear(light[:, None] * gains), mask)


def _counts(pixels: Pixels, where: Pixels | None) -> NDArray[np.float64]:
    """How often each channel has each of the 256 values, 3 x 256; only where ``where`` is not 0."""
    found = [cv2.calcHist([pixels], [channel], where, [256], [0, 256]).ravel() for channel in range(3)]
    return np.asarray(found, np.float64)


def _linear_codes() -> NDArray[np.float64]:
    """The light of each of the 256 values."""
    return np.asarray(to_linear(np.arange(256, dtype=np.uint8)).ravel(), np.float64)


@tool(
    phrases=[
        "white balance", "fix white balance", "correct white balance", "auto white balance", "remove color cast",
        "fix color cast", "remove colour cast", "fix colour cast", "neutral colors", "fix colors", "correct colors",
        "白平衡",         "校正白平衡", "自动白平衡", "去除偏色",
        "校正偏色",
    ]
)  # fmt: skip
def white_balance(image: Image, mask: Mask | None = None, amount: Share = 0.8) -> Image:
    """Take a colour cast out, so that greys are grey again.

    Shades of grey with p = 6 (Finlayson and Trezzi 2004) over pixels that are neither clipped nor black.
    """
    pixels, _ = sampled(image, None)
    red, green, blue = cv2.split(pixels)
    usable = np.asarray(cv2.inRange(cv2.max(cv2.max(red, green), blue), 6, 249), np.uint8)
    counts = _counts(pixels, usable)
    if amount == 0 or counts[0].sum() < 16:
        return image.replace(image.pixels)
    norm = (counts @ _linear_codes() ** 6 / counts.sum(1)) ** (1 / 6) + 1e-6
    gains = np.clip(norm.mean() / norm, 0.4, 2.5) ** amount
    return _gained(image, None, gains, mask)


@tool(
    effect="+saturation",
    phrases={
        "saturate": {"saturation": 30}, "more saturated": {"saturation": 30}, "more saturation": {"saturation": 30},
        "increase saturation": {"saturation": 30}, "boost saturation": {"saturation": 30}, "saturation": {},
        "boost colors": {"saturation": 30}, "more colorful": {"saturation": 30}, "desaturate": {"saturation": -50},
        "less saturated": {"saturation": -30}, "reduce saturation": {"saturation": -30},
        "lower saturation": {"saturation": -30}, "less saturation": {"saturation": -30}, "muted": {"saturation": -35},
        "mute colors": {"saturation": -35}, "增加饱和度": {"saturation": 30}, "提高饱和度": {"saturation": 30},
        "降低饱和度": {"saturation": -30}, "减少饱和度": {"saturation": -30}, "饱和度": {},
        "更鲜艳": {"saturation": 30},
    }
)  # fmt: skip
def saturation(image: Image, mask: Mask | None = None, saturation: Percent = 25.0) -> Image:
    """Make all colours stronger or paler; -100 leaves none, hues and greys stay."""
    if saturation == 0:
        return image.replace(image.pixels)
    gain = 1 + saturation / 100
    edit = in_strips(image, mask, lambda pixels, *_: from_lab(scale_chroma(to_lab(pixels), gain)))
    return blend(image, edit, mask)


@tool(
    effect="+saturation",
    phrases={
        "vibrance": {}, "more vibrance": {"vibrance": 40}, "vibrant": {"vibrance": 40},
        "more vibrant": {"vibrance": 40}, "enhance colors": {"vibrance": 40}, "improve colors": {"vibrance": 30},
        "better colors": {"vibrance": 30}, "增强色彩": {"vibrance": 40}, "增强颜色": {"vibrance": 40},
        "more vivid": {"vibrance": 50}, "vivid": {"vibrance": 50},
        "livelier": {"vibrance": 40}, "pop colors": {"vibrance": 50}, "make colors pop": {"vibrance": 50},
        "let colors pop": {"vibrance": 50},
        "colors to pop": {"vibrance": 50}, "自然饱和度": {},
        "鲜艳": {"vibrance": 45}, "鲜艳一点": {"vibrance": 30}, "更生动": {"vibrance": 45},
    }
)  # fmt: skip
def vibrance(image: Image, mask: Mask | None = None, vibrance: Percent = 40.0) -> Image:
    """Strengthen pale colours and spare strong ones and skin, so that nothing turns gaudy."""
    if vibrance == 0:
        return image.replace(image.pixels)
    return blend(image, in_strips(image, mask, lambda pixels, *_: _vivid(pixels, vibrance / 100)), mask)


def _vivid(pixels: Pixels, amount: float) -> Plane:
    lab = to_lab(pixels)
    chroma, hue = cv2.cartToPolar(lab[..., 1], lab[..., 2], angleInDegrees=True)
    skin = np.exp(-(((hue - 50) / 18) ** 2) - ((chroma - 28) / 18) ** 2)  # skin of every shade lies there in Lab
    gain = 1 + np.float32(amount) * np.exp(chroma / -35) * (1 - np.float32(0.6) * skin)
    return from_lab(scale_chroma(lab, gain))


@tool(
    effect="color",
    phrases=[
        "turn {target} {color}", "make {target} {color}", "color {target} {color}", "recolor {target} {color}",
        "recolor {target} to {color}", "paint {target} {color}", "dye {target} {color}", "tint {target} {color}",
        "turn {target} into {color}", "turn {target} to {color}", "change {target} to {color}",
        "change color of {target} to {color}", "change {target} color to {color}", "recolor", "把{target}变成{color}",
        "把{target}改成{color}", "把{target}变为{color}", "把{target}染成{color}", "将{target}变成{color}",
        "将{target}改为{color}", "把{target}涂成{color}", "把{target}的颜色改成{color}", "把{target}的颜色变成{color}",
    ]
)  # fmt: skip
def recolor(
    image: Image,
    mask: Thing,
    color: Color,
    keep_shading: Annotated[
        float, Field(ge=0, le=1, description="1 keeps the thing's own light and dark, 0 takes the colour's lightness")
    ] = 0.75,
) -> Image:
    """Give the masked thing another colour and keep its shading, folds and shine.

    In Lab: the colour's hue, at a strength that follows the thing's own chroma, so that shine and stripes stay white;
    grey and white things are painted as strongly as they are lit. The thing's median lightness moves towards the
    colour's as far as ``keep_shading`` says, but at least so far that the colour can be told.
    """
    inside = mask.pixels > min(127, int(mask.pixels.max()) - 1)
    if mask.box is None:
        return image.replace(image.pixels)
    x0, y0, x1, y1 = mask.box
    lab, inside = to_lab(np.ascontiguousarray(image.pixels[y0:y1, x0:x1])), inside[y0:y1, x0:x1]
    goal = to_lab(np.array([[ImageColor.getrgb(color)[:3]]], np.uint8))[0, 0].astype(float)
    light, chroma = lab[..., 0].copy(), cv2.magnitude(lab[..., 1], lab[..., 2])
    level, typical = float(np.median(light[inside])), float(np.percentile(chroma[inside], 60))
    strongest = float(np.hypot(goal[1], goal[2]))
    edge, hue = _family(goal, strongest)
    aim = _level(level, goal[0], strongest, edge, keep_shading)
    lab[..., 0] = shaded = _relit(light, level, aim, keep_shading)
    own = np.clip((typical - GREY_CHROMA) / (COLOUR_CHROMA - GREY_CHROMA), 0, 1)  # has it a colour to follow?
    strength = own * np.clip(chroma / max(typical, 1), 0, 1.25) + (1 - own) * np.clip(shaded / max(aim, 1), 0, 1.2)
    scale = np.arange(101)
    strength = np.minimum(strongest * strength, np.interp(shaded, scale, edge))
    lab[..., 1] = strength * np.interp(shaded, scale, np.cos(hue))
    lab[..., 2] = strength * np.interp(shaded, scale, np.sin(hue))
    edit = image.pixels.copy()
    edit[y0:y1, x0:x1] = to_uint8(from_lab(lab))
    if own == 0 and strongest > COLOUR_CHROMA and inside.mean() > BOXY:
        raise RefusedError(
            "the masked box has hardly any colour of its own, so all in it would be painted alike",
            hint="draw a mask along the thing: --mask FILE",
            reason="no_colour",
        )
    done = blend(image, edit, mask)
    note = "the thing has hardly any colour of its own, so all of it was painted, wheels and windows too"
    return Image(done.pixels, done.alpha, (note,) if own == 0 else ())


def _family(goal: NDArray[Any], chroma: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """The highest chroma and the hue (radians) that a colour has at L 0..100 for the eye to call it the same.

    Lab bends blue: its lighter and paler kin look purple. For a hue to stay in Oklab (Ottosson 2020), which does not,
    that of Lab has to fall by about .36 degrees for each unit of L gained and .22 for each unit of chroma lost.
    """
    light, hue = np.arange(101, dtype=np.float32), np.full(101, np.degrees(np.arctan2(goal[2], goal[1])) % 360)
    edge = np.minimum(_edge(light, hue), chroma)
    blue = np.exp(-(((hue - 297) / 22) ** 2))
    hue = hue - blue * (0.36 * np.maximum(light - goal[0], 0) + 0.22 * (chroma - edge))
    return np.minimum(_edge(light, hue), chroma * 1.25), np.radians(hue)


def _edge(light: Plane, hue: NDArray[Any]) -> Plane:
    return strongest_chroma(light[:, None], np.asarray(hue, np.float32)[:, None])[:, 0]


def _level(level: float, goal: float, chroma: float, edge: NDArray[Any], keep: float) -> float:
    """The lightness to which a thing of median lightness ``level`` goes to be called by the new colour."""
    aim = level + (1 - keep) * (goal - level)
    if keep == 1:
        return aim
    reach = 5 * keep / (1 - keep) * min(1, chroma / 40)  # 15 at .75: navy and sky blue differ; black is black
    aim = float(np.clip(aim, goal - reach, goal + reach))
    needed = np.flatnonzero(edge >= 0.8 * (1 - keep**8) * chroma)  # at L 90 nothing is red, only pink
    aim = float(np.clip(aim, needed.min(), needed.max())) if needed.size else aim
    return float(np.clip(aim, min(8, level), max(94, level)))  # room for folds in black and for shine on white


def _relit(light: Plane, level: float, aim: float, keep: float) -> Plane:
    """Move ``level`` to ``aim``, black and white staying, without tearing noise apart."""
    steepest = 1.8
    depth = min(1, 0.4 + 0.8 * keep)  # of the shading: all of it from .75 on
    down = depth * min(aim / max(level, 1), steepest)
    up = depth * min((100 - aim) / max(100 - level, 1), steepest)
    away = light - np.float32(level)
    return np.asarray(np.clip(aim + away * np.where(away < 0, down, up), 0, 100), np.float32)


@tool(
    effect="-saturation",
    phrases={
        "black and white": {}, "black & white": {}, "b&w": {}, "bw": {}, "monochrome": {}, "grayscale": {},
        "greyscale": {}, "gray scale": {}, "colorless": {}, "drain color": {}, "remove color": {},
        "remove all color": {}, "black and white with {glass}": {}, "dramatic black and white": {"glass": "red filter"},
        "black and white with dark sky": {"glass": "red filter"},
        "dramatic black and white with dark sky": {"glass": "red filter"}, "红色滤镜的黑白": {"glass": "red filter"},
        "黑白": {}, "变成黑白": {}, "变黑白": {}, "灰度": {},
        "单色": {}, "去掉颜色": {}, "去色": {}, "红色滤镜黑白": {"glass": "red filter"},
        "黑白红色滤镜": {"glass": "red filter"}, "黑白加红滤镜": {"glass": "red filter"},
        "橙色滤镜黑白": {"glass": "orange filter"}, "黄色滤镜黑白": {"glass": "yellow filter"},
        "绿色滤镜黑白": {"glass": "green filter"}, "蓝色滤镜黑白": {"glass": "blue filter"},
    }
)  # fmt: skip
def black_and_white(image: Image, mask: Mask | None = None, amount: Share = 1.0, glass: Glass = "no filter") -> Image:
    """Take the colour out as panchromatic film does, or as it does behind a coloured glass: red darkens the sky."""
    return blend(image, _mixed(image, np.repeat(_grey(image, FILTERS[glass])[..., None], 3, 2), amount), mask)


ONE_COLOR = (
    "color pop {target}", "selective color", "selective color {target}", "color splash",
    "color splash {target}", "keep only {target} in color", "only {target} in color", "only keep {target} in color",
    "keep {target} in color and rest black and white", "keep {target} color and rest black and white",
    "keep {target} in color and turn everything else black and white", "keep only color of {target}",
    "keep {target} in color and make rest black and white", "only keep color of {target}",
    "keep {target} in color and turn rest black and white", "keep {target} in color rest black and white",
    "keep {target} in color everything else black and white",
    "keep {target} in color and everything else black and white", "keep only {target} colored",
    "leave only {target} in color", "make only {target} in color", "isolate color of {target}",
)  # fmt: skip


@tool(
    scope="global",
    phrases=[
        *(text.replace("color", word) for text in ONE_COLOR for word in ("color", "colour")),
        "局部彩色", "保留{target}的颜色其余黑白", "只保留{target}的颜色", "只保留{target}", "只保留{target}颜色",
        "保留{target}颜色其余黑白", "保留{target}颜色其他黑白", "只留{target}的颜色", "突出{target}的颜色",
        "保留{target}的颜色其他黑白", "保留{target}的颜色其他变黑白", "保留{target}的颜色其余变成黑白",
        "只让{target}保持彩色", "保留{target}彩色其余黑白", "只有{target}是彩色",
    ],
)  # fmt: skip
def color_pop(image: Image, mask: Mask, amount: Share = 1.0) -> Image:
    """Keep the colour of the masked thing only and turn everything else black and white."""
    if mask.box is None:
        return image.replace(image.pixels)
    return black_and_white.function(image, ~mask, amount)


@tool(
    phrases={
        "sepia": {"amount": 0.8}, "sepia tone": {"amount": 0.8}, "sepia toned": {"amount": 0.8},
        "brown toned": {"amount": 0.7}, "old photo": {"amount": 0.8}, "棕褐色": {"amount": 0.8},
        "怀旧": {"amount": 0.7}, "老照片": {"amount": 0.8}, "泛黄": {"amount": 0.6},
    }
)  # fmt: skip
def sepia(image: Image, mask: Mask | None = None, amount: Share = 0.7) -> Image:
    """Tone the picture brown like an old print."""
    share = np.linspace(0, 1, 256)
    bell = 4 * share * (1 - share)  # silver is toned most where there is a middling amount of it
    lab = np.stack([5 + 91 * share, 9 * bell + share, 20 * bell + 9 * share], -1)  # brown, on cream paper
    return blend(image, _mixed(image, _toned(image, lab), amount), mask)


@tool(
    phrases={
        "duotone": {}, "duotone {dark} and {light}": {}, "duotone in {dark} and {light}": {},
        "duotone from {dark} to {light}": {}, "two-tone": {}, "two tone": {}, "two-tone {dark} and {light}": {},
        "双色调": {}, "{dark}和{light}双色调": {}, "双色": {},
    }
)  # fmt: skip
def duotone(
    image: Image, mask: Mask | None = None, dark: Color = "#231557", light: Color = "#ffd9a0", amount: Share = 1.0
) -> Image:
    """Print the picture in two colours: one for its dark parts, one for its light ones."""
    ends = to_lab(np.array([[ImageColor.getrgb(dark)[:3], ImageColor.getrgb(light)[:3]]], np.uint8))[0]
    share = np.linspace(0, 1, 256)[:, None]
    return blend(image, _mixed(image, _toned(image, ends[0] + (ends[1] - ends[0]) * share), amount), mask)


def _grey(image: Image, weights: tuple[float, float, float] = PANCHROMATIC) -> Pixels:
    """The picture as film sees it, H x W; panchromatic unless other weights of R, G, B are given."""
    return np.asarray(cv2.transform(image.pixels, np.array([weights], np.float32)), np.uint8).reshape(
        image.pixels.shape[:2]
    )


def _toned(image: Image, lab: NDArray[Any]) -> Pixels:
    """Give each of the 256 greys the Lab colour in its row."""
    table = from_lab(np.asarray(lab, np.float32)[:, None])[:, 0]
    return np.asarray(cv2.LUT(np.repeat(_grey(image)[..., None], 3, 2), to_uint8(table)[:, None]), np.uint8)


def _mixed(image: Image, edit: Pixels, amount: float) -> Pixels:
    """Between the picture (0) and the edit (1)."""
    return np.asarray(cv2.addWeighted(image.pixels, 1 - amount, edit, amount, 0), np.uint8)


@tool(
    phrases=["invert colors", "invert", "negative", "photo negative", "反色", "反相", "负片"],
)
def invert(image: Image, mask: Mask | None = None) -> Image:
    """Turn light into dark and every colour into its opposite, like a negative."""
    return curved(image, np.arange(255, -1, -1, dtype=np.uint8), mask)
