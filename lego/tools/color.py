"""Colour: white balance, saturation, recolouring, black and white, film looks."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from pydantic import Field

from lego.core.registry import tool
from lego.core.signature import Color
from lego.core.values import Image, Mask
from lego.tools.pixels import LUMA, apply_curve, blend, from_lab, from_linear, to_lab, to_linear

Percent = Annotated[float, Field(ge=-100, le=100, json_schema_extra={"unit": "%"})]
Share = Annotated[float, Field(ge=0, le=1, description="0 leaves the picture, 1 is the full effect")]
SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))  # the customary matrix, rows R, G, B
GREY_CHROMA = 6.0  # Lab chroma under which a thing has no colour of its own to keep


@tool(
    phrases={
        "warm up": {"temperature": 30}, "warm": {"temperature": 30}, "warmer": {"temperature": 30},
        "more warmth": {"temperature": 30}, "cool down": {"temperature": -30}, "cool": {"temperature": -30},
        "cooler": {"temperature": -30}, "colder": {"temperature": -35}, "bluish": {"temperature": -30},
        "temperature": {}, "color temperature": {}, "调暖": {"temperature": 30}, "变暖": {"temperature": 30},
        "暖一点": {"temperature": 20}, "更暖": {"temperature": 30}, "暖色调": {"temperature": 30},
        "调冷": {"temperature": -30}, "变冷": {"temperature": -30}, "冷一点": {"temperature": -20},
        "更冷": {"temperature": -30}, "冷色调": {"temperature": -30}, "色温": {},
    }
)  # fmt: skip
def temperature(image: Image, mask: Mask | None = None, temperature: Percent = 30.0) -> Image:
    """Make the light warmer (towards amber) or cooler (towards blue); luminance stays."""
    gains = np.exp(np.array([0.004, 0, -0.004]) * temperature)
    return blend(image, _gained(image, gains), mask)


@tool(
    phrases={
        "tint": {}, "more magenta": {"tint": 25}, "magenta tint": {"tint": 25}, "less green": {"tint": 25},
        "more green": {"tint": -25}, "green tint": {"tint": -25}, "greener": {"tint": -25},
        "less magenta": {"tint": -25}, "偏洋红": {"tint": 25}, "偏绿": {"tint": -25}, "色调": {},
    }
)  # fmt: skip
def tint(image: Image, mask: Mask | None = None, tint: Percent = 20.0) -> Image:
    """Shift the light towards magenta (positive) or green (negative); luminance stays."""
    gains = np.exp(np.array([0.0015, -0.003, 0.0015]) * tint)
    return blend(image, _gained(image, gains), mask)


def _gained(image: Image, gains: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply the channels in linear light so that the picture's mean luminance stays what it is."""
    if (gains == 1).all():
        return image.pixels.astype(np.float32)
    light = to_linear(image.pixels)
    mean = light.reshape(-1, 3).mean(0, dtype=np.float64)
    luma = np.array(LUMA)
    gains = gains * float((mean @ luma + 1e-6) / ((mean * gains) @ luma + 1e-6))
    codes = to_linear(np.arange(256, dtype=np.uint8))[:, None] * gains
    return apply_curve(image.pixels, from_linear(codes)).astype(np.float32)


@tool(
    phrases=[
        "white balance", "fix white balance", "correct white balance", "auto white balance", "remove color cast",
        "fix color cast", "neutral colors", "correct colors", "白平衡", "校正白平衡", "自动白平衡", "去除偏色",
        "校正偏色",
    ]
)  # fmt: skip
def white_balance(image: Image, mask: Mask | None = None, amount: Share = 0.8) -> Image:
    """Take a colour cast out, so that greys are grey again.

    Shades of grey with p = 6 (Finlayson and Trezzi 2004) over pixels that are neither clipped nor black.
    """
    usable = (image.pixels.max(2) < 250) & (image.pixels.max(2) > 5)
    if amount == 0 or usable.sum() < 16:
        return image.replace(image.pixels)
    light = to_linear(image.pixels)[usable].astype(np.float64)
    norm = (light**6).mean(0) ** (1 / 6) + 1e-6
    gains = np.clip(norm.mean() / norm, 0.4, 2.5) ** amount
    return blend(image, _gained(image, gains), mask)


@tool(
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
    lab = to_lab(image.pixels)
    lab[..., 1:] *= 1 + saturation / 100
    return blend(image, from_lab(lab), mask)


@tool(
    phrases={
        "vibrance": {}, "more vibrance": {"vibrance": 40}, "vibrant": {"vibrance": 40},
        "more vibrant": {"vibrance": 40}, "more vivid": {"vibrance": 50}, "vivid": {"vibrance": 50},
        "livelier": {"vibrance": 40}, "pop colors": {"vibrance": 50}, "colors pop": {"vibrance": 50}, "自然饱和度": {},
        "鲜艳": {"vibrance": 45}, "鲜艳一点": {"vibrance": 30}, "更生动": {"vibrance": 45},
    }
)  # fmt: skip
def vibrance(image: Image, mask: Mask | None = None, vibrance: Percent = 40.0) -> Image:
    """Strengthen pale colours and spare strong ones and skin, so that nothing turns gaudy."""
    if vibrance == 0:
        return image.replace(image.pixels)
    lab = to_lab(image.pixels)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    skin = np.exp(-(((hue - 50) / 18) ** 2)) * np.exp(
        -(((chroma - 28) / 18) ** 2)
    )  # where skin of every shade lies in Lab
    lab[..., 1:] *= (1 + vibrance / 100 * np.exp(-chroma / 35) * (1 - 0.6 * skin))[..., None]
    return blend(image, from_lab(lab), mask)


@tool(
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
    mask: Mask,
    color: Color,
    keep_shading: Annotated[
        float, Field(ge=0, le=1, description="1 keeps the thing's own light and dark, 0 takes the colour's lightness")
    ] = 0.75,
) -> Image:
    """Give the masked thing another colour and keep its shading, folds and shine.

    In Lab: the new hue at a strength that follows the old chroma (so highlights stay white), lightness moved towards
    the colour's about its own median. Things without colour of their own are painted evenly.
    """
    inside = mask.pixels > 127
    if not inside.any():
        inside = mask.pixels > 0
    if not inside.any():
        return image.replace(image.pixels)
    lab = to_lab(image.pixels)
    goal = to_lab(np.array([[ImageColor.getrgb(color)[:3]]], np.uint8))[0, 0]
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    typical = float(np.percentile(chroma[inside], 60))
    if typical < GREY_CHROMA:
        strength = np.clip(1 - np.abs(lab[..., 0] - 50) / 50, 0, 1) ** 0.4
        notes: tuple[str, ...] = ("the thing has hardly any colour of its own, so it was painted evenly",)
    else:
        strength = np.clip(chroma / typical, 0, 1.25)
        notes = ()
    median = float(np.median(lab[..., 0][inside]))
    shift = (1 - keep_shading) * (goal[0] - median)
    room = np.clip(np.minimum(lab[..., 0], 100 - lab[..., 0]) / 25, 0, 1)  # deep shadows and shine stay what they are
    lab[..., 0] = np.clip(lab[..., 0] + shift * room, 0, 100)
    lab[..., 1:] = goal[1:] * strength[..., None]
    done = blend(image, from_lab(lab), mask)
    return Image(done.pixels, done.alpha, notes)


@tool(
    phrases=[
        "black and white", "black & white", "b&w", "bw", "monochrome", "grayscale", "greyscale", "gray scale",
        "colorless", "drain color", "remove color", "remove all color", "黑白", "变成黑白", "变黑白", "灰度", "单色",
        "去掉颜色", "去色",
    ]
)  # fmt: skip
def black_and_white(image: Image, mask: Mask | None = None, amount: Share = 1.0) -> Image:
    """Take the colour out, weighing the channels as panchromatic film does."""
    grey = np.repeat(np.rint(image.pixels @ np.array([0.32, 0.54, 0.14], np.float32))[..., None], 3, 2)
    edit = image.pixels + (grey - image.pixels) * amount if amount < 1 else grey
    return blend(image, edit, mask)


@tool(
    phrases={
        "sepia": {"amount": 0.8}, "sepia tone": {"amount": 0.8}, "sepia toned": {"amount": 0.8},
        "brown toned": {"amount": 0.7}, "old photo": {"amount": 0.8}, "棕褐色": {"amount": 0.8},
        "怀旧": {"amount": 0.7}, "老照片": {"amount": 0.8}, "泛黄": {"amount": 0.6},
    }
)  # fmt: skip
def sepia(image: Image, mask: Mask | None = None, amount: Share = 0.7) -> Image:
    """Tone the picture brown like an old print."""
    toned = np.minimum(image.pixels @ np.array(SEPIA, np.float32).T, 255)
    toned *= 0.96  # the customary matrix lightens; this keeps paper white from clipping
    return blend(image, image.pixels + (toned - image.pixels) * np.float32(amount), mask)


@tool(
    phrases=["invert colors", "invert", "negative", "photo negative", "反色", "反相", "负片"],
)
def invert(image: Image, mask: Mask | None = None) -> Image:
    """Turn light into dark and every colour into its opposite, like a negative."""
    return blend(image, 255 - image.pixels, mask)


LOOKS: dict[str, tuple[float, float, tuple[int, int, int], tuple[int, int, int], tuple[int, int]]] = {
    # saturation, contrast power, tint of the shadows, tint of the highlights (added RGB), black and white point
    "faded": (0.75, 0.95, (6, 8, 14), (6, 2, -8), (26, 240)),
    "warm film": (0.95, 1.08, (-2, 0, 4), (12, 4, -14), (8, 250)),
    "cool film": (0.9, 1.08, (-4, 2, 10), (-6, 2, 8), (8, 250)),
    "teal and orange": (1.05, 1.15, (-12, 4, 14), (14, 4, -14), (4, 252)),
    "cross process": (1.25, 1.25, (-10, -4, 24), (10, 14, -22), (0, 255)),
    "bleach bypass": (0.45, 1.35, (0, 0, 2), (2, 2, 0), (0, 255)),
    "noir": (0.0, 1.45, (0, 0, 0), (0, 0, 0), (0, 255)),
    "matte": (0.85, 0.9, (4, 4, 6), (0, 0, -2), (34, 246)),
}
Look = Literal["faded", "warm film", "cool film", "teal and orange", "cross process", "bleach bypass", "noir", "matte"]


@tool(
    phrases={
        "faded look": {"name": "faded"}, "faded film": {"name": "faded"}, "warm film": {"name": "warm film"},
        "cool film": {"name": "cool film"}, "teal and orange": {"name": "teal and orange"},
        "cross process": {"name": "cross process"}, "cross processed": {"name": "cross process"},
        "bleach bypass": {"name": "bleach bypass"}, "noir": {"name": "noir"}, "film noir": {"name": "noir"},
        "matte look": {"name": "matte"}, "褪色": {"name": "faded"}, "暖色胶片": {"name": "warm film"},
        "冷色胶片": {"name": "cool film"}, "青橙色调": {"name": "teal and orange"}, "青橙": {"name": "teal and orange"},
        "黑色电影": {"name": "noir"}, "哑光": {"name": "matte"},
    }
)  # fmt: skip
def film_look(image: Image, mask: Mask | None = None, name: Look = "warm film", amount: Share = 0.8) -> Image:
    """Give the picture the colours of a film: faded, warm, cool, teal and orange, cross processed, noir, matte."""
    saturation, power, dark, light, (black, white) = LOOKS[name]
    codes = np.arange(256) / 255
    low, high = 0.5 * (codes * 2) ** power, 1 - 0.5 * ((1 - codes) * 2) ** power
    curve = black + np.where(codes < 0.5, low, high) * (white - black)
    weight = codes[:, None] ** 1.5
    table = curve[:, None] + np.array(dark) * (1 - weight) * (codes[:, None] ** 0.5) + np.array(light) * weight
    lab = to_lab(image.pixels)
    lab[..., 1:] *= saturation
    toned = apply_curve(np.clip(np.rint(from_lab(lab)), 0, 255).astype(np.uint8), table)
    return blend(image, cv2.addWeighted(image.pixels, 1 - amount, toned, amount, 0), mask)
