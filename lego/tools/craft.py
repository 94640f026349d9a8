"""Printed, built and staged: halftone, poster, pixel art, tilt-shift.

Sizes count along the long side, so that a picture of 512 px and one of 12 megapixels look alike.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Share
from lego.core.values import Image, Mask
from lego.tools.finders.regions import small_copy
from lego.tools.flow import FULL, asked, laid_over
from lego.tools.palette import nearest, palette
from lego.tools.pixels import Plane, blend, from_lab, gaussian, guided, to_lab, to_uint8

TOY = {"amount": 0.6}  # what "miniature" implies
FALL = 0.3  # of the height, over which sharp becomes blurred
BLURS = (0.25, 0.5, 1.0)  # shares of the full blur that are mixed to grow it smoothly
SCREENS = (15.0, 75.0, 0.0, 45.0)  # degrees of the cyan, magenta, yellow and black screens in print
GREY = 2  # of 255 between the channels, up to which a picture has no colour and needs none of the inks
FINEST = 6  # px from dot to dot that a dot needs to be one
PRINTED = 3000  # px of the long side at which dots are drawn: round enough, and 12 megapixels take no longer
LOOK = 1024  # px of the long side on which shapes are found
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16 - 0.47


@tool(
    phrases={
        **asked(
            FULL,
            nouns=(
                "half tone", "halftone print", "printed dots", "print in halftone dots", "print in dots", "comic dots",
                "ben day dots", "ben-day dots", "cmyk dots", "cmyk print", "半调", "半色调", "网点印刷", "网点效果",
            ),
            aimed=("halftone", "halftone dots", "网点"),
        ),
        **asked(
            {**FULL, "mode": "black"},
            nouns=(
                "like newspaper", "newspaper print", "newspaper style", "newspaper effect", "newsprint",
                "black and white halftone", "halftone black and white", "报纸印刷", "报纸风格", "报纸效果", "黑白网点",
            ),
        ),
    }
)  # fmt: skip
def halftone(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    dots: Annotated[int, Field(ge=20, le=400, description="along the long side")] = 140,
    mode: Annotated[Literal["color", "black"], Field(description="four inks, or black on white")] = "color",
) -> Image:
    """Print the picture in dots of ink, as newspapers and old comics do.

    Each ink has a screen of its own angle (15, 75, 0, 45 degrees); dots grow until they meet.
    """
    if strength == 0:
        return image.replace(image.pixels)
    small = small_copy(image.pixels, PRINTED)
    fine = min(8, math.ceil(FINEST * dots / max(small.shape)))
    if fine > 1:  # dots of few pixels are drawn larger and scaled down, or they would be no dots
        small = np.asarray(cv2.resize(small, None, fx=fine, fy=fine, interpolation=cv2.INTER_CUBIC), np.uint8)
    pitch = max(small.shape) / dots
    light = np.asarray(gaussian(small, pitch * 0.3), np.uint8)
    if mode == "black" or not (np.ptp(small, 2) > GREY).any():
        grey = np.asarray(cv2.bitwise_not(cv2.cvtColor(light, cv2.COLOR_RGB2GRAY)), np.uint8)
        made: Pixels = cv2.bitwise_not(_screened(grey, pitch, SCREENS[3]))
    else:
        made = _four_inks(light, pitch)
    if fine > 1:
        made = np.asarray(cv2.resize(made, image.size, interpolation=cv2.INTER_AREA), np.uint8)
    return laid_over(image, made, strength, mask)


def _four_inks(light: Pixels, pitch: float) -> Pixels:
    """Print cyan, magenta, yellow and, where all three would lie thick, black; on average the colour stays."""
    grey = 255 - light.max(2).astype(np.float32)
    black = np.clip((grey - 60) * 0.9, 0, 255).astype(np.uint8)
    paper = cv2.bitwise_not(_screened(black, pitch, SCREENS[3]))
    planes = []
    for n in range(3):
        ink = (255 - light[..., n].astype(np.float32) - black) * 255 / np.maximum(255.0 - black, 1)
        dots = _screened(np.clip(ink, 0, 255).astype(np.uint8), pitch, SCREENS[n])
        planes.append(cv2.multiply(cv2.bitwise_not(dots), paper, scale=1 / 255))
    return np.asarray(cv2.merge(planes), np.uint8)


def _screened(ink: Pixels, pitch: float, angle: float) -> Pixels:
    """Dots of ink (0..255) whose area is the share of ink; their rims are one pixel soft."""
    height, width = ink.shape
    turn = np.radians(angle)
    k = 2 * np.pi / pitch
    x, y = np.arange(width, dtype=np.float32) * k, np.arange(height, dtype=np.float32) * k

    def wave(across: float, down: float) -> Plane:
        """cos(across x + down y), as two outer products: no cosine of each pixel."""
        made = np.outer(np.cos(down * y), np.cos(across * x)) - np.outer(np.sin(down * y), np.sin(across * x))
        return np.asarray(made, np.float32)

    c, s = float(np.cos(turn)), float(np.sin(turn))
    field = wave(c, s)
    field += wave(-s, c)  # -2..2, highest in the middle of a dot
    levels = np.quantile(_dot(), np.linspace(1, 0, 256)).astype(np.float32)  # the height above which that share lies
    levels[0], levels[-1] = 6, -6  # no ink is no dot, full ink leaves no gap
    field -= cv2.LUT(ink, levels)
    field *= np.float32(pitch / 2 / np.pi * 160)
    field += np.float32(127.5)
    return to_uint8(field)


def _dot() -> NDArray[np.float64]:
    wave = np.cos(np.linspace(0, 2 * np.pi, 128, endpoint=False))
    return np.asarray(wave[:, None] + wave)


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "posterized", "poster style", "poster look", "poster effect", "like poster", "into poster", "as poster",
            "make poster", "warhol", "flat colors", "flat colours", "screen print", "screen printed", "silkscreen",
            "海报风格", "海报效果", "海报化", "变成海报", "波普", "波普风格", "色调分离", "丝网印刷",
        ),
        aimed=(
            "poster art", "pop art", "pop art poster", "波普艺术",
        ),
        verbs=(
            "posterize", "posterise",
        ),
    ),
)  # fmt: skip
def posterize(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    colors: Annotated[int, Field(ge=2, le=24, description="inks")] = 10,
    detail: Annotated[float, Field(ge=0, le=1, description="how small the shapes may be")] = 0.5,
) -> Image:
    """Print the picture as a poster: few flat colours in clean shapes.

    The palette is found by k-means in Lab, and every shape is freed from specks.
    """
    if strength == 0:
        return image.replace(image.pixels)
    small = small_copy(image.pixels, LOOK)
    side = max(small.shape)
    lab = to_lab(small) / np.float32(100)
    light = np.ascontiguousarray(lab[..., 0])
    radius, eps = max(1, round(side * (0.012 - 0.01 * detail))), 0.004 - 0.003 * detail
    lab = 100 * np.dstack([guided(light, np.ascontiguousarray(lab[..., n]), radius, eps) for n in range(3)])
    inks = palette(lab, colors)
    scores = [gaussian(-np.square(lab - ink).sum(2), side * (0.0035 - 0.003 * detail)) for ink in inks]
    label = _best(scores, image.size)
    bold = np.asarray(inks[None] * np.array([1, 1.2, 1.2], np.float32), np.float32)
    table = np.zeros((256, 1, 3), np.uint8)
    table[: len(inks), 0] = to_uint8(from_lab(bold)[0])
    flat = cv2.LUT(cv2.merge([label] * 3), table)
    return laid_over(image, np.asarray(flat, np.uint8), strength, mask)


def _best(scores: list[Plane], size: tuple[int, int]) -> Pixels:
    """Number of the highest score at each pixel of the full size; rims are smooth, for the scores are enlarged."""
    label, top = np.zeros(size[::-1], np.uint8), np.full(size[::-1], -np.inf, np.float32)
    for n, score in enumerate(scores):
        large = np.asarray(cv2.resize(score, size, interpolation=cv2.INTER_LINEAR), np.float32)
        label[large > top] = n
        np.maximum(top, large, out=top)
    return label


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "pixelart", "8-bit", "8 bit", "8-bit look", "16-bit", "8-bit game", "8-bit art", "retro game",
            "like video game", "into video game", "like old video game", "像素风", "像素风格", "像素艺术", "像素游戏",
            "8位",
        ),
        aimed=(
            "pixel art", "像素画",
        ),
    ),
)  # fmt: skip
def pixel_art(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    blocks: Annotated[int, Field(ge=16, le=320, description="along the long side")] = 120,
    colors: Annotated[int, Field(ge=2, le=64, description="of the palette")] = 24,
    dither: Annotated[float, Field(ge=0, le=1, description="how much neighbouring colours are mixed in a grid")] = 0.2,
) -> Image:
    """Draw the picture as pixel art: square blocks in a small palette, as on a game console."""
    if strength == 0:
        return image.replace(image.pixels)
    cells = _cells(image, blocks)
    lab = to_lab(cells)
    lab[..., 0] += 0.35 * (lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), 1.5))  # outlines survive the blocks
    lab[..., 1:] *= 1.15
    shades = palette(lab, colors)
    tiles = np.tile(BAYER, (-(-lab.shape[0] // 4), -(-lab.shape[1] // 4)))[: lab.shape[0], : lab.shape[1]]
    lab[..., 0] += 14 * dither * tiles
    drawn = to_uint8(from_lab(shades[nearest(lab, shades)]))
    large = cv2.resize(drawn, image.size, interpolation=cv2.INTER_NEAREST)
    return laid_over(image, np.asarray(large, np.uint8), strength, mask)


def _cells(image: Image, count: int) -> Pixels:
    """One pixel for each of ``count`` squares along the long side."""
    scale = min(1.0, count / max(image.size))
    size = (max(1, round(image.size[0] * scale)), max(1, round(image.size[1] * scale)))
    return np.asarray(cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


@tool(
    phrases=asked(
        TOY,
        nouns=(
            "tilt shift", "tilt-shift", "tiltshift", "miniature", "miniature scene", "miniature effect", "toy town",
            "model village", "like toy", "移轴", "移轴摄影", "移轴效果", "微缩", "微缩景观", "小人国",
        ),
    ),
)  # fmt: skip
def tilt_shift(
    image: Image,
    mask: Mask | None = None,
    amount: Annotated[float, Field(ge=0, le=1, description="of blur; at 1 sigma is 1.5 % of the long side")] = 0.6,
    center: Annotated[float, Field(ge=0, le=1, description="height of the sharp band, 0 is the top")] = 0.6,
    band: Annotated[
        float, Field(ge=0, le=1, description="height of what stays sharp, as a share of the picture")
    ] = 0.2,
    vivid: Annotated[float, Field(ge=0, le=1, description="how much brighter the colours are")] = 0.4,
) -> Image:
    """Make the scene look like a miniature: a sharp band, blur above and below, bright colours.

    Convinces on scenes seen from afar and above; on portraits and close views it is no more than blur.
    """
    if amount == 0 and vivid == 0:
        return image.replace(image.pixels)
    height = image.size[1]
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    far = np.clip((np.abs(y - center) - band / 2) / FALL, 0, 1)
    at = np.interp(far * far * (3 - 2 * far), (0.0, *BLURS), range(len(BLURS) + 1))
    sharp = image.pixels
    if vivid:
        lab = to_lab(sharp)
        lab[..., 1:] *= 1 + 0.7 * vivid
        sharp = to_uint8(from_lab(lab))
    sigma = 0.015 * amount * max(image.size)
    layers = [sharp, *(np.asarray(gaussian(sharp, sigma * share), np.uint8) for share in BLURS)]
    made = np.empty_like(image.pixels)
    for n in range(len(BLURS)):
        rows = np.flatnonzero(np.minimum(at.astype(int), len(BLURS) - 1) == n)
        share = np.asarray(at[rows] - n, np.float32)[:, None, None]
        if rows.size:
            made[rows] = to_uint8(layers[n][rows] * (1 - share) + layers[n + 1][rows] * share)
    return blend(image, made, mask)
