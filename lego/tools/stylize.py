"""Drawn and painted: pencil, colour pencil, ink, cartoon, oil, watercolour.

Everything is measured in per cent of the long side and made on a copy of at most `SIDE` px, then enlarged: a picture
of 512 px and one of 12 megapixels look alike.
"""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Context, Share
from lego.core.values import Image, Mask
from lego.tools.finders.regions import small_copy
from lego.tools.flow import FULL, along, asked, enlarged, grain, laid_over, tangents
from lego.tools.pixels import Plane, from_lab, gaussian, guided, to_grey, to_lab

Thousandths = Annotated[
    float, Field(ge=0.5, le=20, description="width of a stroke", json_schema_extra={"unit": "‰ of the long side"})
]

LINE_GAIN = 45  # from a difference in light to ink: photographs' outlines differ by .02 to .1
FAINT = 0.004  # difference in light (0..1) under which it is noise
WHITE_FROM = 65  # percentile of light from which paper stays white
SIDE = 1600  # px of the long side on which strokes are made: finer than any of them, and 12 megapixels take no longer


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "in pencil", "with pencil", "graphite drawing", "hand drawn", "drawn by hand", "drawn in pencil",
            "drawn with pencil", "手绘", "速写", "铅笔素描", "手绘风格",
        ),
        aimed=(
            "pencil sketch", "pencil drawing", "sketch", "素描", "铅笔画",
        ),
        verbs=(
            "sketch {target}", "sketch of {target}", "draw {target} in pencil", "draw {target} with pencil",
            "draw in pencil", "draw with pencil",
        ),
    ),
)  # fmt: skip
def sketch(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    shading: Annotated[float, Field(ge=0, le=1, description="how much of the dark is hatched")] = 0.5,
    *,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Draw the picture in pencil on white paper, with lines and hatched shadows."""
    if strength == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    return laid_over(
        image, np.float32(255) * _pencil(small_copy(image.pixels, SIDE), shading, context.seed), strength, mask
    )


def _pencil(pixels: Pixels, shading: float, seed: int) -> Plane:
    """Lightness 0..1 of a drawing: the picture divided by its blurred self (a dodge), times hatched shadows."""
    side = max(pixels.shape)
    light = to_grey(pixels)
    calm = guided(light, light, max(1, round(side * 0.002)), 0.0008)
    lines = np.minimum(calm / np.maximum(gaussian(calm, side * 0.006), 0.02), 1)
    lines = np.clip((lines - 0.35) / 0.62, 0, 1) ** 1.3
    tone = gaussian(calm, side * 0.0015)
    white = float(np.clip(np.percentile(tone, WHITE_FROM), 0.3, 0.8))  # a night scene is no black sheet
    dark = np.clip(1 - tone / white, 0, 1)
    strokes = _hatched(light.shape, -55, 0.012, seed)
    crossed = np.minimum(strokes, _hatched(light.shape, -20, 0.009, seed + 1))  # where it is darkest, a second layer
    strokes = strokes + (crossed - strokes) * np.clip(2 * dark - 0.8, 0, 1)
    paper = 1 - shading * 1.6 * dark * (1 - 0.75 * strokes)
    return np.asarray(np.clip(lines * paper, 0.06, 1), np.float32)


def _hatched(shape: tuple[int, int], angle: float, length: float, seed: int) -> Plane:
    """Noise drawn out at ``angle`` degrees over ``length`` of the long side, as a hand hatches; 0..1."""
    flow = np.empty((*shape, 2), np.float32)
    flow[...] = (np.cos(np.radians(angle)), np.sin(np.radians(angle)))
    hatch = along(grain(shape, 0.1, seed), flow, max(shape) * length)
    return np.asarray(np.clip(0.5 + 0.3 * hatch / max(float(hatch.std()), 1e-3), 0, 1), np.float32)


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "color pencil", "colored pencils", "coloured pencils", "in colored pencil", "in coloured pencil",
            "crayon drawing", "in crayon", "drawn with colored pencils", "drawn with coloured pencils", "彩铅",
            "彩铅画", "彩色铅笔", "蜡笔画",
        ),
        aimed=(
            "colored pencil drawing", "coloured pencil drawing", "彩色铅笔画",
        ),
        verbs=(
            "draw with colored pencils", "draw with coloured pencils", "draw {target} with colored pencils",
            "draw {target} with coloured pencils", "draw {target} in crayon",
        ),
    ),
)  # fmt: skip
def color_pencil(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    shading: Annotated[float, Field(ge=0, le=1, description="how much of the dark is hatched")] = 0.4,
    *,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Draw the picture with coloured pencils on white paper."""
    if strength == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    small = small_copy(image.pixels, SIDE)
    drawn = _pencil(small, shading, context.seed)
    lab = to_lab(small)
    side = max(small.shape)
    strokes = _hatched(drawn.shape, -55, 0.012, context.seed)
    color = gaussian(lab, side * 0.0015)
    cover = (0.95 - 0.45 * strokes)[..., None]  # paper shows between the strokes
    color[..., 0] = 100 - (100 - color[..., 0]) * 0.62
    color[..., 1:] *= 1.35
    paper = np.array([97, 0, 0], np.float32)
    color = paper + (color - paper) * cover
    color[..., 0] *= drawn
    return laid_over(image, from_lab(np.asarray(color, np.float32)), strength, mask)


def _lines(light: Plane, width: float, flow: Plane) -> Plane:
    """How much darker (0..1) a place is than what lies beside it.

    Difference of Gaussians, smoothed along the edges (Kang 2007, Winnemoeller 2012): no specks, no broken lines.
    """
    fine, coarse = gaussian(light, width), gaussian(light, width * 1.6)
    return along(np.asarray(coarse - fine, np.float32), flow, width * 4)


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "ink", "in ink", "pen and ink", "pen drawing", "drawn in ink", "outline drawing", "outlines only",
            "only outlines", "lineart", "线描", "线条画", "钢笔画", "墨线", "黑白线稿",
        ),
        aimed=(
            "ink drawing", "line drawing", "line art", "线稿",
        ),
        verbs=(
            "draw {target} in ink", "draw in ink",
        ),
    ),
)  # fmt: skip
def ink(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    width: Thousandths = 1.4,
    blacks: Annotated[float, Field(ge=0, le=1, description="how much of the dark is filled in black")] = 0.5,
) -> Image:
    """Draw the picture in black ink on white paper: clean lines, and black where it is dark."""
    if strength == 0:
        return image.replace(image.pixels)
    small = small_copy(image.pixels, SIDE)
    light = to_grey(small)
    side = max(small.shape)
    wide = side * width / 1000
    flow = tangents(light, side * 0.004)
    calm = along(light, flow, wide * 2)
    around = gaussian(calm, side * 0.03)
    lines = _lines(calm, wide, flow) / (0.25 + around)  # in the dark, faint differences count too
    field = 1 - LINE_GAIN * np.maximum(lines - FAINT, 0)  # under a half is ink
    if blacks:
        dark = 0.34 * blacks * np.clip(around * 1.6, 0.25, 1)  # night scenes are not black all over
        field = np.minimum(field, (gaussian(calm, wide) - dark) * 50 + 0.5)
    full = enlarged(np.asarray(field, np.float32), image.size)
    rim = 2.2 * max(image.size) / side  # lines are cut out at full size, so that they are crisp there
    return laid_over(image, np.clip((full - 0.5) * rim + 0.5, 0, 1) * np.float32(255), strength, mask)


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "cartoonish", "toon", "comic style", "comic look", "comic effect", "comic book style", "comic strip",
            "cel shading", "cel shaded", "卡通化", "卡通画", "卡通风格", "漫画风格", "漫画效果", "漫画化", "动漫风格",
        ),
        aimed=(
            "cartoon", "comic", "comic book", "卡通", "漫画",
        ),
        verbs=(
            "cartoonize", "cartoonise", "cartoonify",
        ),
    ),
)  # fmt: skip
def cartoon(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    levels: Annotated[int, Field(ge=3, le=16, description="of light in flat areas")] = 7,
    lines: Annotated[float, Field(ge=0, le=1, description="darkness of the outlines")] = 0.8,
) -> Image:
    """Turn the picture into a cartoon: flat colours and dark outlines."""
    if strength == 0:
        return image.replace(image.pixels)
    small = small_copy(image.pixels, 1024)
    side = max(small.shape)
    lab = _flattened(small, side * 0.005)
    light = lab[..., 0] / np.float32(100)
    step = 1 / levels
    near = (np.floor(light / step) + 0.5) * step
    lab[..., 0] = 100 * (near + step / 2 * np.tanh((light - near) / step * 6))
    lab[..., 1:] *= 1.35
    flow = tangents(light, side * 0.005)
    drawn = _lines(light, side * 0.0016, flow)
    black = np.clip(LINE_GAIN * (drawn - 1.5 * FAINT), 0, 1) * lines
    rgb = from_lab(lab) * (1 - np.clip(black, 0, 1))[..., None]
    return laid_over(image, rgb, strength, mask)


def _flattened(pixels: Pixels, sigma: float, rounds: int = 3) -> Plane:
    """Lab with texture smoothed away and edges kept: repeated bilateral filters (Winnemoeller 2006)."""
    lab = to_lab(pixels)
    radius = max(1, round(sigma))
    for _ in range(rounds):
        lab = np.asarray(cv2.bilateralFilter(lab, 2 * radius + 1, 9.0, sigma), np.float32)
    return lab


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "oil", "in oil", "in oils", "oil paint", "oil painted", "painterly", "into painting", "like painting",
            "as painting", "like painted", "painted in oil", "painted in oils", "brush strokes", "油画风格",
            "油画笔触", "变成绘画",
        ),
        aimed=(
            "oil painting", "painting", "油画",
        ),
        verbs=(
            "paint {target} in oil", "paint with oil",
        ),
    ),
)  # fmt: skip
def oil(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    brush: Thousandths = 4.0,
    relief: Annotated[float, Field(ge=0, le=1, description="how much the bristles show in the light")] = 0.4,
    *,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Paint the picture in oil: strokes that follow its forms, thick enough to catch the light."""
    if strength == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    small = small_copy(image.pixels, SIDE)
    side = max(small.shape)
    wide = side * brush / 1000
    painted = _commonest(small, wide)
    flow = tangents(to_grey(np.asarray(painted, np.uint8)), wide * 2)
    painted = along(painted, flow, wide * 2.5)
    bristles = along(grain(painted.shape[:2], brush * 0.022, context.seed), flow, wide * 5)
    bristles /= max(float(bristles.std()), 1e-3)
    height = bristles * np.float32(0.016) + gaussian(painted.mean(2) / np.float32(255), wide * 0.3)
    shine = (height - np.roll(height, (1, 1), (0, 1))) * np.float32(side / 1000)
    shine[0], shine[:, 0] = 0, 0
    painted = painted * (1 + 6 * relief * np.clip(shine, -0.05, 0.05))[..., None]
    lab = to_lab(np.asarray(np.clip(painted, 0, 255), np.uint8))
    lab[..., 1:] *= 1.15
    return laid_over(image, from_lab(lab), strength, mask)


def _commonest(pixels: Pixels, radius: float, bins: int = 8) -> Plane:
    """The mean colour of the locally commonest of ``bins`` greys (Haeberli's oil, softly weighed), 0..255."""
    grey = to_grey(pixels) * np.float32(bins - 1)
    rgb = pixels.astype(np.float32)
    total, weight = np.zeros_like(rgb), np.zeros((*grey.shape, 1), np.float32)
    for level in range(bins):
        here = np.maximum(1 - np.abs(grey - np.float32(level)), 0)[..., None]
        packed = gaussian(np.dstack([rgb * here, here]), radius * 0.7)
        share = packed[..., 3:] ** 5
        total += packed[..., :3] * share
        weight += packed[..., 3:] * share
    return np.asarray(total / np.maximum(weight, 1e-12), np.float32)


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "watercolors", "watercolours", "in watercolor", "in watercolour", "painted in watercolor",
            "painted in watercolour", "water color", "water colour", "aquarelle", "水彩风格",
        ),
        aimed=(
            "watercolor", "watercolour", "watercolor painting", "watercolour painting", "水彩", "水彩画",
        ),
        verbs=(
            "paint {target} in watercolor", "paint {target} in watercolour",
        ),
    ),
)  # fmt: skip
def watercolor(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    wetness: Annotated[float, Field(ge=0, le=1, description="how far the colours run")] = 0.5,
    paper: Annotated[float, Field(ge=0, le=1, description="how much the paper's grain shows")] = 0.5,
    *,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Paint the picture in watercolour: flat washes, darker rims, and the grain of the paper.

    Pigment density as in Bousseau 2006: c' = c - (c - c^2)(d - 1).
    """
    if strength == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    small = small_copy(image.pixels, 1280)
    side = max(small.shape)
    washed = _commonest(small, side * (0.001 + 0.008 * wetness), 12)
    flow = tangents(to_grey(np.asarray(washed, np.uint8)), side * 0.006)
    washed = along(washed, flow, side * (0.002 + 0.008 * wetness))
    lab = to_lab(np.asarray(washed, np.uint8))
    lab[..., 0] = 100 - (100 - lab[..., 0]) * 0.78
    lab[..., 1:] *= 1.25
    color = from_lab(lab) / np.float32(255)
    light = lab[..., 0] / np.float32(100)
    rims = np.maximum(gaussian(light, side * 0.004) - light, 0)
    blots = grain(light.shape, 6.0, context.seed) * 0.6 + grain(light.shape, 1.5, context.seed + 1) * 0.4
    fibre = grain(light.shape, 0.16, context.seed + 2) + 0.7 * grain(light.shape, 0.4, context.seed + 3)
    density = 1 + 5 * rims + 0.22 * blots + 0.16 * paper * fibre
    color = color - (color - color * color) * (density - 1)[..., None]
    return laid_over(image, 255 * np.clip(color, 0, 1), strength, mask)
