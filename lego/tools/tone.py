"""Light and dark: exposure, brightness, contrast, highlights, shadows, clarity."""

from __future__ import annotations

from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lego.core.registry import tool
from lego.core.signature import Percent
from lego.core.values import Image, Mask
from lego.tools.pixels import (
    Plane,
    base_layer,
    blend,
    curved,
    from_lab,
    from_linear,
    guided,
    sampled,
    to_lab,
    to_linear,
)

Stops = Annotated[float, Field(ge=-4, le=4, description="1 doubles the light", json_schema_extra={"unit": "stops"})]
CLARITY_EDGE = 0.02  # variance of L (0..1) that counts as an edge: along a skyline a third of the plain halo is left


@tool(
    effect="+lightness",
    phrases={
        "brighten": {"exposure": 0.6}, "brighter": {"exposure": 0.6}, "lighten": {"exposure": 0.5},
        "lighter": {"exposure": 0.5}, "more exposure": {"exposure": 0.6}, "overexpose": {"exposure": 1.0},
        "darken": {"exposure": -0.6}, "darker": {"exposure": -0.6}, "less exposure": {"exposure": -0.6},
        "underexpose": {"exposure": -1.0}, "exposure": {}, "too dark": {"exposure": 0.8},
        "too bright": {"exposure": -0.8}, "提亮": {"exposure": 0.6}, "变亮": {"exposure": 0.6},
        "调亮": {"exposure": 0.6}, "亮一点": {"exposure": 0.4}, "变暗": {"exposure": -0.6}, "调暗": {"exposure": -0.6},
        "压暗": {"exposure": -0.6}, "暗一点": {"exposure": -0.4}, "增加曝光": {"exposure": 0.6},
        "降低曝光": {"exposure": -0.6}, "曝光": {},
    }
)  # fmt: skip
def exposure(image: Image, mask: Mask | None = None, exposure: Stops = 0.5) -> Image:
    """Make the picture lighter or darker, as a longer or shorter exposure would.

    Light is scaled by 2^exposure in linear light. What grows brighter does so exactly up to the middle of the range and
    rolls off towards white above it, as film does, so that skies keep their clouds.
    """
    light = to_linear(np.arange(256, dtype=np.uint8))
    gain = 2.0**exposure
    scaled = light * gain
    if gain > 1:
        knee = min(0.25, 0.5 / gain)  # of the light that comes in: as dark as foliage, mid grey is .2
        rest = 1 - gain * knee
        shoulder = gain * knee + rest * _bent((light - knee) / (1 - knee), gain * (1 - knee) / rest)
        scaled = np.where(light > knee, shoulder, scaled)
    return curved(image, from_linear(scaled), mask)


def _bent(x: NDArray[Any], slope: float) -> NDArray[Any]:
    """A curve from (0, 0) to (1, 1) with this slope at 0 and its inverse at 1 (Schlick 1994): it flattens nothing."""
    return np.asarray(slope * x / (1 + (slope - 1) * x))


@tool(
    effect="+lightness",
    phrases={
        "brightness": {}, "more brightness": {"brightness": 20}, "increase brightness": {"brightness": 20},
        "raise brightness": {"brightness": 20}, "reduce brightness": {"brightness": -20},
        "decrease brightness": {"brightness": -20}, "lower brightness": {"brightness": -20},
        "增加亮度": {"brightness": 20}, "提高亮度": {"brightness": 20}, "降低亮度": {"brightness": -20}, "亮度": {},
    }
)  # fmt: skip
def brightness(image: Image, mask: Mask | None = None, brightness: Percent = 20.0) -> Image:
    """Raise or lower the middle tones while black and white stay where they are."""
    slope = 2.0 ** (brightness / 50)  # at 50 % mid grey 0.5 becomes 0.67; unlike gamma it does not lift noise in black
    return curved(image, 255 * _bent(np.arange(256) / 255, slope), mask)


@tool(
    effect="+contrast",
    phrases={
        "contrast": {"contrast": 25}, "more contrast": {"contrast": 25}, "increase contrast": {"contrast": 25},
        "boost contrast": {"contrast": 30}, "add contrast": {"contrast": 25}, "raise contrast": {"contrast": 25},
        "contrastier": {"contrast": 25}, "enhance contrast": {"contrast": 25},
        "improve contrast": {"contrast": 20}, "better contrast": {"contrast": 20}, "high contrast": {"contrast": 35},
        "punchier": {"contrast": 25}, "less contrast": {"contrast": -25},
        "reduce contrast": {"contrast": -25}, "lower contrast": {"contrast": -25},
        "decrease contrast": {"contrast": -25}, "flatter": {"contrast": -25}, "增加对比度": {"contrast": 25},
        "提高对比度": {"contrast": 25}, "增强对比度": {"contrast": 25}, "降低对比度": {"contrast": -25},
        "减少对比度": {"contrast": -25}, "对比度": {},
    }
)  # fmt: skip
def contrast(image: Image, mask: Mask | None = None, contrast: Percent = 20.0) -> Image:
    """Push light and dark apart, or together, around the middle of the picture.

    An S-curve through the mean luminance (of what is masked, kept between 0.3 and 0.6). Black and white stay, and the
    slope stays between 0.4 and 2.3 everywhere: neither are ends crushed nor is noise in them torn apart.
    """
    pixels, where = sampled(image, mask)
    mean = cv2.mean(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), where)[0]
    pivot = float(np.clip(mean / 255, 0.3, 0.6))
    slope = 2.0 ** (contrast / 100 * 1.2)  # at the pivot
    codes = np.arange(256) / 255
    low = pivot * _bent(codes / pivot, 1 / slope)
    high = 1 - (1 - pivot) * _bent((1 - codes) / (1 - pivot), 1 / slope)
    return curved(image, 255 * np.where(codes < pivot, low, high), mask)


@tool(
    effect="+lightness",
    phrases={
        "brighten shadows": {"shadows": 45}, "lift shadows": {"shadows": 45}, "open shadows": {"shadows": 45},
        "lighten shadows": {"shadows": 45}, "raise shadows": {"shadows": 45}, "recover shadows": {"shadows": 50},
        "fill light": {"shadows": 40}, "darken shadows": {"shadows": -40}, "deepen shadows": {"shadows": -40},
        "lower shadows": {"shadows": -40}, "deeper shadows": {"shadows": -40}, "crush shadows": {"shadows": -70},
        "shadows": {}, "提亮阴影": {"shadows": 45}, "提亮暗部": {"shadows": 45}, "阴影提亮": {"shadows": 45},
        "暗部提亮": {"shadows": 45}, "压暗阴影": {"shadows": -40}, "加深阴影": {"shadows": -40}, "阴影": {}, "暗部": {},
    }
)  # fmt: skip
def shadows(image: Image, mask: Mask | None = None, shadows: Percent = 40.0) -> Image:
    """Lighten or darken only the dark areas, keeping the detail in them.

    The base layer b of L (0..1) moves by 2 s b (1 - b)^3; detail and colourfulness follow in proportion.
    """
    if shadows == 0:
        return image.replace(image.pixels)
    lab = to_lab(image.pixels)
    base = base_layer(lab[..., 0] / np.float32(100))
    ratio = 1 + shadows / 50 * (1 - base) ** 3
    lab[..., 0] = np.minimum(lab[..., 0] * np.maximum(ratio, 0.3), 100)
    lab[..., 1:] *= np.sqrt(np.clip(ratio, 0.7, 1.5))[..., None]
    return blend(image, from_lab(lab), mask)


@tool(
    effect="+lightness",
    phrases={
        "recover highlights": {"highlights": -50}, "lower highlights": {"highlights": -45},
        "reduce highlights": {"highlights": -45}, "darken highlights": {"highlights": -45},
        "bring down highlights": {"highlights": -45}, "tame highlights": {"highlights": -45},
        "brighten highlights": {"highlights": 35}, "raise highlights": {"highlights": 35},
        "boost highlights": {"highlights": 35}, "highlights": {}, "降低高光": {"highlights": -45},
        "压低高光": {"highlights": -45}, "恢复高光": {"highlights": -50}, "提亮高光": {"highlights": 35}, "高光": {},
    }
)  # fmt: skip
def highlights(image: Image, mask: Mask | None = None, highlights: Percent = -40.0) -> Image:
    """Darken or lighten only the bright areas, keeping the detail in them.

    The base layer of L moves from 0.45 upwards. What is darkened gains what light had washed out: up to 40 % local
    contrast and, where it is pale, 60 % colour. White moves half as far as light grey: paper does not turn grey.
    """
    if highlights == 0:
        return image.replace(image.pixels)
    amount = highlights / 100
    lab = to_lab(image.pixels)
    light: Plane = lab[..., 0] / np.float32(100)
    base = base_layer(light)
    weight = _step(base, 0.45, 0.85)
    if amount < 0:
        moved = base + 0.24 * amount * weight * (1 - 0.5 * _step(base, 0.88, 1))
        detail = 1 - 0.4 * amount * weight
        pale = np.exp(cv2.magnitude(lab[..., 1], lab[..., 2]) * np.float32(-1 / 15))  # skies, not oranges
        lab[..., 1:] *= (1 - 0.6 * amount * weight * pale)[..., None]
    else:
        moved = base + 0.6 * amount * weight * (1 - base)
        detail = 1 - 0.3 * amount * weight
    lab[..., 0] = 100 * np.clip(moved + (light - base) * detail, 0, 1)
    return blend(image, from_lab(lab), mask)


def _step(x: Plane, start: float, end: float) -> Plane:
    """Rise smoothly from 0 at ``start`` to 1 at ``end``."""
    share = np.clip((x - np.float32(start)) / np.float32(end - start), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


@tool(
    effect="+sharpness",
    phrases={
        "clarity": {"clarity": 30}, "more clarity": {"clarity": 30}, "add clarity": {"clarity": 30},
        "local contrast": {"clarity": 30}, "crisper": {"clarity": 25}, "more detail": {"clarity": 30},
        "more texture": {"clarity": 30}, "enhance details": {"clarity": 30}, "enhance texture": {"clarity": 30},
        "bring out details": {"clarity": 30}, "less clarity": {"clarity": -30}, "softer": {"clarity": -30},
        "清晰度": {},
        "增加清晰度": {"clarity": 30}, "提高清晰度": {"clarity": 30}, "更清晰": {"clarity": 30},
        "增强细节": {"clarity": 30},
    }
)  # fmt: skip
def clarity(image: Image, mask: Mask | None = None, clarity: Percent = 25.0) -> Image:
    """Strengthen or soften local contrast, so that surfaces look crisper or smoother.

    What the edge-keeping base layer of L lacks is scaled: no halos along roofs and skies.
    """
    if clarity == 0:
        return image.replace(image.pixels)
    lab = to_lab(image.pixels)
    light: Plane = lab[..., 0] / np.float32(100)
    detail = light - guided(light, light, max(1, max(image.size) // 50), CLARITY_EDGE)
    away = np.square(2 * light - 1)
    detail *= np.float32(clarity / 100) * (1 - away * away)  # black and white stay, so that nothing clips
    lab[..., 0] = 100 * np.clip(light + detail, 0, 1)
    return blend(image, from_lab(lab), mask)
