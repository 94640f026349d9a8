"""Light and dark: exposure, brightness, contrast, highlights, shadows, clarity."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from lego.core.registry import tool
from lego.core.values import Image, Mask
from lego.tools.pixels import apply_curve, base_layer, blend, from_lab, from_linear, gaussian, to_lab, to_linear

Stops = Annotated[float, Field(ge=-4, le=4, description="1 doubles the light", json_schema_extra={"unit": "stops"})]
Percent = Annotated[float, Field(ge=-100, le=100, json_schema_extra={"unit": "%"})]


@tool(
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

    Light is scaled by 2^exposure in linear light; what grows brighter rolls off towards white instead of clipping.
    """
    light = to_linear(np.arange(256, dtype=np.uint8)) * 2.0**exposure
    knee = 0.8  # up to here the scaling is exact; above, the rest of the range is squeezed in
    top = 2.0**exposure
    if top > 1:
        over = np.clip((light - knee) / (top - knee), 0, 1)
        slope = (top - knee) / (1 - knee)  # of the shoulder at the knee, so that the curve has no corner
        shoulder = knee + (1 - knee) * (1 - (1 - over) ** slope)
        light = np.where(light > knee, shoulder, light)
    return blend(image, apply_curve(image.pixels, from_linear(light)), mask)


@tool(
    phrases={
        "brightness": {}, "more brightness": {"brightness": 20}, "increase brightness": {"brightness": 20},
        "raise brightness": {"brightness": 20}, "reduce brightness": {"brightness": -20},
        "decrease brightness": {"brightness": -20}, "lower brightness": {"brightness": -20},
        "增加亮度": {"brightness": 20}, "提高亮度": {"brightness": 20}, "降低亮度": {"brightness": -20}, "亮度": {},
    }
)  # fmt: skip
def brightness(image: Image, mask: Mask | None = None, brightness: Percent = 20.0) -> Image:
    """Raise or lower the middle tones while black and white stay where they are."""
    codes = np.arange(256) / 255
    gamma = 2.0 ** (-brightness / 60)  # 60 % halves the exponent: mid grey 0.5 becomes 0.71, a full stop and a half
    return blend(image, apply_curve(image.pixels, 255 * codes**gamma), mask)


@tool(
    phrases={
        "contrast": {"contrast": 25}, "more contrast": {"contrast": 25}, "increase contrast": {"contrast": 25},
        "boost contrast": {"contrast": 30}, "add contrast": {"contrast": 25}, "raise contrast": {"contrast": 25},
        "contrastier": {"contrast": 25}, "punchier": {"contrast": 25}, "less contrast": {"contrast": -25},
        "reduce contrast": {"contrast": -25}, "lower contrast": {"contrast": -25},
        "decrease contrast": {"contrast": -25}, "flatter": {"contrast": -25}, "增加对比度": {"contrast": 25},
        "提高对比度": {"contrast": 25}, "增强对比度": {"contrast": 25}, "降低对比度": {"contrast": -25},
        "减少对比度": {"contrast": -25}, "对比度": {},
    }
)  # fmt: skip
def contrast(image: Image, mask: Mask | None = None, contrast: Percent = 20.0) -> Image:
    """Push light and dark apart, or together, around the middle of the picture.

    An S-curve through the mean luminance (kept between 0.3 and 0.6); ends stay at 0 and 255, so nothing is crushed.
    """
    pivot = float(np.clip(cv2.mean(cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY))[0] / 255, 0.3, 0.6))
    power = 2.0 ** (contrast / 100 * 1.2)  # 100 % gives a slope of 2.3 at the pivot
    codes = np.arange(256) / 255
    low = pivot * (codes / pivot) ** power
    high = 1 - (1 - pivot) * ((1 - codes) / (1 - pivot)) ** power
    return blend(image, apply_curve(image.pixels, 255 * np.where(codes < pivot, low, high)), mask)


@tool(
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
    """Lighten or darken only the dark areas, keeping the detail in them."""
    return _regional(image, mask, shadows / 100, dark=True)


@tool(
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
    """Darken or lighten only the bright areas, keeping the detail in them."""
    return _regional(image, mask, highlights / 100, dark=False)


def _regional(image: Image, mask: Mask | None, amount: float, dark: bool) -> Image:
    """Move L where the base layer is dark (or bright), and keep local detail and colourfulness in proportion."""
    if amount == 0:
        return image.replace(image.pixels)
    lab = to_lab(image.pixels)
    base = base_layer(lab[..., 0] / np.float32(100))
    weight = base * (1 - base) ** 3 if dark else base**3 * (1 - base)
    near = 1 - np.clip((base - 0.85) / 0.15, 0, 1) if not dark else np.float32(1)  # paper white must not turn grey
    moved = np.clip(base + 2 * amount * weight * near, 0.001, 1)
    ratio = moved / np.clip(base, 0.02, 1)
    lab[..., 0] = np.clip(lab[..., 0] * np.clip(ratio, 0.3, 3), 0, 100)
    lab[..., 1:] *= np.sqrt(np.clip(ratio, 0.7, 1.5))[..., None]
    return blend(image, from_lab(lab), mask)


@tool(
    phrases={
        "clarity": {"clarity": 30}, "more clarity": {"clarity": 30}, "add clarity": {"clarity": 30},
        "local contrast": {"clarity": 30}, "crisper": {"clarity": 25}, "more detail": {"clarity": 30},
        "more texture": {"clarity": 30}, "less clarity": {"clarity": -30}, "softer": {"clarity": -30}, "清晰度": {},
        "增加清晰度": {"clarity": 30}, "提高清晰度": {"clarity": 30}, "更清晰": {"clarity": 30},
        "增强细节": {"clarity": 30},
    }
)  # fmt: skip
def clarity(image: Image, mask: Mask | None = None, clarity: Percent = 25.0) -> Image:
    """Strengthen or soften local contrast, so that surfaces look crisper or smoother."""
    if clarity == 0:
        return image.replace(image.pixels)
    lab = to_lab(image.pixels)
    light = lab[..., 0]
    detail = light - gaussian(light, max(1.0, max(image.size) / 60))
    middle = 1 - ((light - 50) / 50) ** 4  # black and white stay, so that nothing clips
    lab[..., 0] = np.clip(light + detail * (clarity / 100) * middle, 0, 100)
    return blend(image, from_lab(lab), mask)
