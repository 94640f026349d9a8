"""Filters: blur, sharpen, denoise, grain, vignette, pixelate."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.tools.pixels import Plane, blend, from_lab, gaussian, to_lab

Share = Annotated[float, Field(ge=0, le=1, description="0 leaves the picture, 1 is the full effect")]
TV_STEPS = 24  # iterations after which Chambolle's projection changes 8-bit values no more at these weights


@tool(
    phrases={
        "blur": {"radius": 1.2}, "blur out": {"radius": 1.6}, "blurry": {"radius": 1.2}, "blurred": {"radius": 1.2},
        "out of focus": {"radius": 1.2}, "defocus": {"radius": 1.2}, "soften": {"radius": 0.4},
        "bokeh": {"radius": 1.6}, "make {target} blurry": {"radius": 1.2}, "make {target} blurred": {"radius": 1.2},
        "make {target} out of focus": {"radius": 1.2}, "gaussian blur": {"radius": 1.0}, "模糊": {"radius": 1.2},
        "虚化": {"radius": 1.2}, "把{target}模糊": {"radius": 1.2}, "把{target}虚化": {"radius": 1.2},
        "{target}模糊": {"radius": 1.2}, "{target}虚化": {"radius": 1.2}, "柔化": {"radius": 0.4},
    }
)  # fmt: skip
def blur(
    image: Image,
    mask: Mask | None = None,
    radius: Annotated[
        float,
        Field(ge=0, le=10, description="Gaussian sigma in % of the long side", json_schema_extra={"unit": "%"}),
    ] = 1.0,
) -> Image:
    """Blur the picture or a part of it, such as the background; what is not blurred does not leak into it.

    With a mask the blur is normalised: the Gaussian of image times mask over that of the mask.
    """
    sigma = radius / 100 * max(image.size)
    if sigma < 0.1:
        return image.replace(image.pixels)
    if mask is None:
        return blend(image, gaussian(image.pixels, sigma), None)
    weight = mask.pixels.astype(np.float32)[..., None] / 255
    total = gaussian(weight[..., 0], sigma)[..., None]
    mixed = gaussian(image.pixels * weight, sigma)
    blurred = np.where(total > 1e-4, mixed / np.maximum(total, 1e-4), image.pixels)
    return blend(image, np.clip(blurred, 0, 255), mask)


@tool(
    phrases={
        "sharpen": {"amount": 0.6}, "sharper": {"amount": 0.6}, "sharpness": {"amount": 0.6}, "crisp": {"amount": 0.5},
        "unsharp mask": {"amount": 0.6}, "锐化": {"amount": 0.6}, "更锐利": {"amount": 0.6}, "锐利": {"amount": 0.6},
    }
)  # fmt: skip
def sharpen(
    image: Image,
    mask: Mask | None = None,
    amount: Annotated[float, Field(ge=0, le=2, description="1 doubles fine contrast")] = 0.6,
    radius: Annotated[float, Field(ge=0.3, le=5, json_schema_extra={"unit": "px"})] = 1.2,
) -> Image:
    """Sharpen fine detail without coloured fringes or bright halos.

    Unsharp mask on L with a soft threshold (noise stays) and a limit on overshoot.
    """
    lab = to_lab(image.pixels)
    light = lab[..., 0]
    detail = light - cv2.GaussianBlur(light, (0, 0), radius, borderType=cv2.BORDER_REFLECT)
    detail *= detail**2 / (detail**2 + 1.0)  # under about 1 L it is noise
    lab[..., 0] = np.clip(light + amount * 8 * np.tanh(detail / 8), 0, 100)
    return blend(image, from_lab(lab), mask) if amount else image.replace(image.pixels)


@tool(
    phrases={
        "denoise": {"strength": 0.5}, "noise reduction": {"strength": 0.5}, "reduce noise": {"strength": 0.5},
        "remove noise": {"strength": 0.6}, "clean noise": {"strength": 0.5}, "less noisy": {"strength": 0.5},
        "less grainy": {"strength": 0.5}, "remove grain": {"strength": 0.6}, "smooth noise": {"strength": 0.5},
        "降噪": {"strength": 0.5}, "去噪": {"strength": 0.5}, "减少噪点": {"strength": 0.5},
        "去除噪点": {"strength": 0.6},
    }
)  # fmt: skip
def denoise(image: Image, mask: Mask | None = None, strength: Share = 0.5, *, context: Context) -> Image:
    """Smooth noise away and keep edges.

    Total variation (Rudin 1992) by Chambolle's projection (2004), colour smoothed twice as much as light; the weight is
    0.16 x strength, 0.08 being right for noise of sigma 20.
    """
    if strength == 0:
        return image.replace(image.pixels)
    lab = to_lab(image.pixels)
    for channel, scale, weight in ((0, 100.0, 0.16), (1, 100.0, 0.24), (2, 100.0, 0.24)):
        lab[..., channel] = _total_variation(lab[..., channel] / scale, weight * strength) * scale
        context.progress((channel + 1) / 3)
    return blend(image, from_lab(lab), mask)


def _total_variation(plane: Plane, weight: float) -> Plane:
    """Return the plane u that minimises |u - plane|^2 / 2 + weight |grad u| (Chambolle 2004)."""
    down, right = np.zeros_like(plane), np.zeros_like(plane)
    smooth = plane
    for _ in range(TV_STEPS):
        divergence = down + right
        divergence[1:] -= down[:-1]
        divergence[:, 1:] -= right[:, :-1]
        smooth = plane + weight * divergence
        step_down, step_right = np.zeros_like(plane), np.zeros_like(plane)
        step_down[:-1] = smooth[1:] - smooth[:-1]
        step_right[:, :-1] = smooth[:, 1:] - smooth[:, :-1]
        rate = np.float32(0.25 / weight)
        scale = 1 + rate * np.hypot(step_down, step_right)
        down = np.asarray((down + rate * step_down) / scale, np.float32)
        right = np.asarray((right + rate * step_right) / scale, np.float32)
    return smooth


@tool(
    phrases={
        "vignette": {"amount": 0.5}, "add vignette": {"amount": 0.5}, "darken corners": {"amount": 0.5},
        "dark corners": {"amount": 0.5}, "darken edges": {"amount": 0.5}, "暗角": {"amount": 0.5},
        "加暗角": {"amount": 0.5}, "添加暗角": {"amount": 0.5}, "晕影": {"amount": 0.5},
    }
)  # fmt: skip
def vignette(
    image: Image,
    mask: Mask | None = None,
    amount: Share = 0.5,
    softness: Annotated[float, Field(ge=0.05, le=1, description="width of the fall-off")] = 0.6,
) -> Image:
    """Darken the corners so that the eye stays in the middle."""
    if amount == 0:
        return image.replace(image.pixels)
    width, height = image.size
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    distance = np.sqrt(x[None] ** 2 + y[:, None] ** 2) / np.sqrt(2)  # 1 in the corners, whatever the ratio
    start = 0.95 - 0.85 * softness
    fall = np.clip((distance - start) / (1.02 - start), 0, 1)
    light = 1 - amount * 0.85 * (fall * fall * (3 - 2 * fall))
    return blend(image, image.pixels * light[..., None].astype(np.float32), mask)


@tool(
    phrases={
        "grain": {"amount": 0.35}, "film grain": {"amount": 0.35}, "add grain": {"amount": 0.35},
        "add film grain": {"amount": 0.35}, "grainy": {"amount": 0.45}, "grainier": {"amount": 0.45},
        "add noise": {"amount": 0.4}, "颗粒": {"amount": 0.35}, "颗粒感": {"amount": 0.4}, "加颗粒": {"amount": 0.35},
        "胶片颗粒": {"amount": 0.35}, "噪点": {"amount": 0.35},
    }
)  # fmt: skip
def grain(
    image: Image,
    mask: Mask | None = None,
    amount: Share = 0.35,
    size: Annotated[float, Field(ge=0.3, le=3, description="of a grain", json_schema_extra={"unit": "px"})] = 0.8,
    *,
    context: Context,
) -> Image:
    """Add film grain: grey, a little soft, strongest in the middle tones."""
    if amount == 0:
        return image.replace(image.pixels)
    width, height = image.size
    noise = film_noise(context.seed, (height, width), size)
    light = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    response = 0.35 + 0.65 * 4 * light * (1 - light)
    return blend(image, image.pixels + (noise * response * amount * 40)[..., None], mask)


def film_noise(seed: int, shape: tuple[int, int], size: float) -> Plane:
    """Return noise of mean 0 and deviation 1 whose grains are about ``size`` px wide."""
    noise = np.random.default_rng(seed).standard_normal(shape, np.float32)
    if size > 0.4 and min(shape) > 2:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), size / 2), np.float32)
        noise /= max(float(noise.std()), 1e-3)
    return noise


@tool(
    phrases={
        "pixelate": {}, "pixelated": {}, "pixelize": {}, "mosaic": {}, "censor": {"cell": 24},
        "anonymize": {"cell": 24}, "make {target} pixelated": {}, "8-bit look": {"cell": 8}, "马赛克": {},
        "打码": {"cell": 24}, "像素化": {}, "给{target}打码": {"cell": 24}, "给{target}打马赛克": {},
        "把{target}打码": {"cell": 24},
    }
)  # fmt: skip
def pixelate(
    image: Image,
    mask: Mask | None = None,
    cell: Annotated[int, Field(ge=4, le=100, description="side of a block", json_schema_extra={"unit": "px"})] = 16,
) -> Image:
    """Replace the picture or a part of it by coarse blocks, so that nobody can be recognised."""
    box = (0, 0, *image.size) if mask is None else mask.box
    if box is None:
        return image.replace(image.pixels)
    x0, y0, x1, y1 = box
    part = image.pixels[y0:y1, x0:x1]
    blocks = (max(1, round((x1 - x0) / cell)), max(1, round((y1 - y0) / cell)))
    small: Pixels = np.asarray(cv2.resize(part, blocks, interpolation=cv2.INTER_AREA), np.uint8)
    edit: NDArray[np.uint8] = image.pixels.copy()
    edit[y0:y1, x0:x1] = cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
    return blend(image, edit, mask)
