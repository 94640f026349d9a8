"""Air and light: haze taken away, a glow laid round what is bright."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Share
from lego.core.values import Image, Mask
from lego.tools.pixels import Plane, blend, gaussian, guided, strips, to_uint8

SIDE = 800  # px at which haze is measured: it has no finer detail than that
MOST = 0.6  # of the haze is taken at 100 %; beyond that skies turn to lead and noise comes out
THINNEST = 0.15  # of the light reaches the camera at least
NEUTRAL = 0.85  # of the air's strongest channel that its others have at least
NO_HAZE = 0.06  # of the light is veiled in a clear picture


@tool(
    effect="+contrast",
    phrases={
        "dehaze": {"dehaze": 70}, "remove haze": {"dehaze": 80}, "remove fog": {"dehaze": 90}, "defog": {"dehaze": 80},
        "clear haze": {"dehaze": 80}, "clear fog": {"dehaze": 80}, "reduce haze": {"dehaze": 50},
        "less hazy": {"dehaze": 60}, "less foggy": {"dehaze": 60}, "less haze": {"dehaze": 60},
        "cut haze": {"dehaze": 70},
        "cut through haze": {"dehaze": 80}, "remove mist": {"dehaze": 80}, "remove smog": {"dehaze": 80},
        "get rid of haze": {"dehaze": 80}, "too hazy": {"dehaze": 70}, "去雾": {"dehaze": 70}, "除雾": {"dehaze": 70},
        "去雾霾": {"dehaze": 80}, "去除雾霾": {"dehaze": 80}, "去除雾气": {"dehaze": 80}, "减少雾气": {"dehaze": 50},
        "去朦胧": {"dehaze": 60},
    }
)  # fmt: skip
def dehaze(
    image: Image,
    mask: Mask | None = None,
    dehaze: Annotated[
        float, Field(ge=0, le=100, description="100 takes 60 % of the haze", json_schema_extra={"unit": "%"})
    ] = 60.0,
) -> Image:
    """Take haze, mist and smog out of a picture: distant things regain their contrast and colour.

    Dark channel prior (He 2009): the veil is measured as the darkest channel of each neighbourhood against the colour
    of the air, refined along the picture's edges, and taken off. A clear picture hardly changes, and a note says so.
    """
    if dehaze == 0:
        return image.replace(image.pixels)
    air, veil = _haze(image.pixels)
    share = MOST * dehaze / 100
    guide = np.asarray(cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
    veil = np.asarray(cv2.resize(veil, image.size), np.float32)
    veil = guided(guide, veil, max(1, max(image.size) // 25), 1e-3)
    edit = np.empty_like(image.pixels)
    for rows, _ in strips(0, 0, *image.size):
        through = np.clip(1 - share * veil[rows], THINNEST, 1)[..., None]
        edit[rows] = to_uint8(air + (image.pixels[rows].astype(np.float32) - air) / through)
    done = blend(image, edit, mask)
    clear = float(np.median(veil)) < NO_HAZE
    return Image(done.pixels, done.alpha, ("hardly any haze was found",) if clear else ())


def _haze(pixels: Pixels) -> tuple[Plane, Plane]:
    """The colour of the air, 3 values, and how much of each place of a small copy is veiled by it, 0..1."""
    shrink = max(1, max(pixels.shape[:2]) / SIDE)
    size = (max(1, round(pixels.shape[1] / shrink)), max(1, round(pixels.shape[0] / shrink)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    reach = max(size) // 80
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    dark = cv2.erode(small.min(2), window)
    brightest = dark >= np.percentile(dark, 99.9)
    air = small[brightest].mean(0)
    air = np.maximum(air, max(60, NEUTRAL * air.max())).astype(np.float32)  # dark or colourful is no air, but a thing
    veil = cv2.erode((small / air).min(2).astype(np.float32), window)
    return air, np.clip(veil, 0, 1)


@tool(
    phrases={
        "glow": {}, "add glow": {}, "soft glow": {}, "warm glow": {}, "dreamy glow": {"amount": 0.7}, "bloom": {},
        "add bloom": {},
        "bloom to highlights": {}, "glow to highlights": {}, "make highlights glow": {},
        "make lights glow": {},
        "orton": {}, "orton effect": {}, "soft focus": {}, "diffusion filter": {}, "pro mist": {}, "mist filter": {},
        "glowing": {}, "glowing highlights": {}, "halation": {"radius": 1.0}, "柔光": {}, "柔焦": {}, "辉光": {},
        "光晕": {}, "泛光": {}, "加柔光": {}, "奥顿效果": {},
    }
)  # fmt: skip
def glow(
    image: Image,
    mask: Mask | None = None,
    amount: Share = 0.5,
    radius: Annotated[
        float,
        Field(ge=0.2, le=10, description="sigma of the glow in % of the long side", json_schema_extra={"unit": "%"}),
    ] = 2.0,
) -> Image:
    """Let bright things glow softly, as through a diffusion filter or in Orton's sandwiched slides.

    A blurred copy of the bright parts is laid over the picture (screen), and the middle tones are held back by as much
    as it lifts them; detail stays.
    """
    if amount == 0:
        return image.replace(image.pixels)
    codes = np.arange(256, dtype=np.float32) / 255
    bright = cv2.LUT(image.pixels, 0.75 * codes**2.2)
    veil = gaussian(bright, radius / 100 * max(image.size))
    held = cv2.LUT(image.pixels, (codes * (1 - 0.25 * amount * (1 - codes))).astype(np.float32))
    edit = np.empty_like(image.pixels)
    for rows, _ in strips(0, 0, *image.size):
        edit[rows] = to_uint8(255 * (1 - (1 - held[rows]) * (1 - np.float32(amount) * veil[rows])))
    return blend(image, edit, mask)
