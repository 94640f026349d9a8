"""Focus: a slight blur measured and taken back, as far as that can be done honestly."""

from __future__ import annotations

from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Context, Share
from lego.core.values import Image, Mask
from lego.tools.filter import noise_of
from lego.tools.pixels import Plane, blend, to_uint8

ROUNDS = 10  # of Richardson and Lucy; more gains .1 dB and rings
STRIP = 256  # rows at a time, to keep memory small and to report progress
REBLUR = 1.0  # px by which the picture is blurred once more to see how blurred it was
WORST = 3.2  # px of blur beyond which nothing true can be brought back
SHARP = 0.7  # px: what the edges of a sharp picture measure at most
OVERSHOOT = 0.03  # of the range by which an edge may leave what lies around it: no rings
EDGES = 98  # percentile of gradients from which the blur is measured


@tool(
    effect="+sharpness",
    phrases={
        "deblur": {"amount": 0.8}, "unblur": {"amount": 0.8}, "remove blur": {"amount": 0.8},
        "fix blur": {"amount": 0.8},
        "reduce blur": {"amount": 0.6}, "fix focus": {"amount": 0.8}, "fix blurry photo": {"amount": 0.8},
        "less blurry": {"amount": 0.7}, "make it less blurry": {"amount": 0.7}, "bring into focus": {"amount": 0.8},
        "too blurry": {"amount": 0.8}, "it is out of focus": {"amount": 0.8},
        "it's out of focus": {"amount": 0.8}, "remove motion blur": {"amount": 0.8}, "fix motion blur": {"amount": 0.8},
        "photo is out of focus": {"amount": 0.8}, "sharpen out of focus": {"amount": 0.8}, "refocus": {"amount": 0.8},
        "correct focus": {"amount": 0.8}, "去模糊": {"amount": 0.8}, "消除模糊": {"amount": 0.8},
        "去除模糊": {"amount": 0.8}, "修复模糊": {"amount": 0.8}, "减少模糊": {"amount": 0.6},
        "修复失焦": {"amount": 0.8},
    }
)  # fmt: skip
def deblur(
    image: Image,
    mask: Mask | None = None,
    amount: Share = 0.8,
    radius: Annotated[
        float | None,
        Field(ge=0.3, le=3, description="sigma of the blur; unset: measured", json_schema_extra={"unit": "px"}),
    ] = None,
    *,
    context: Context,
) -> Image:
    """Take back a slight blur of the lens; it is measured first, and a strong one is refused.

    Richardson-Lucy deconvolution of the light by a Gaussian, held to what lies around each pixel so that nothing rings.
    The blur's sigma comes from how much the steepest edges lose when they are blurred once more (Zhuo and Sim 2011).

    Raises:
        RefusedError: the picture is blurred by more than can be brought back.
    """
    if amount == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    sigma = radius or blur_of(image.pixels)
    if sigma > WORST:
        raise RefusedError(
            f"the picture is blurred by about {sigma:.1f} px, and over {WORST} px the detail is gone",
            hint="sharpen it, or make it smaller",
            code="too_blurred",
        )
    if radius is None and sigma < SHARP:
        return Image(
            image.pixels,
            image.alpha,
            ("its edges are sharp already, so nothing was done; motion blur cannot be taken back",),
        )
    x0, y0, x1, y1 = (0, 0, *image.size) if mask is None or mask.box is None else mask.box
    edit = image.pixels.copy()
    noise, width = noise_of(image) / 255, max(0.3, min(sigma, 3.0))
    pad = 4 * int(np.ceil(width)) + 4
    for top in range(y0, y1, STRIP):
        bottom = min(top + STRIP, y1)
        first, last = max(0, top - pad), min(image.size[1], bottom + pad)
        left, right = max(0, x0 - pad), min(image.size[0], x1 + pad)
        grey = cv2.cvtColor(np.ascontiguousarray(image.pixels[first:last, left:right]), cv2.COLOR_RGB2GRAY)
        gained = _gained(np.asarray(grey, np.float32) / np.float32(255), width, noise)
        gained = gained[top - first : bottom - first, x0 - left : x1 - left, None]
        edit[top:bottom, x0:x1] = to_uint8(edit[top:bottom, x0:x1] + np.float32(255 * amount) * gained)
        context.progress((bottom - y0) / (y1 - y0))
    done = blend(image, edit, mask)
    return Image(done.pixels, done.alpha, (f"a blur of {width:.1f} px was taken back",))


def _gained(light: Plane, sigma: float, noise: float) -> Plane:
    """What deconvolution adds to the light (0..1); what noise could be is left out."""

    def blurred(plane: NDArray[np.floating[Any]]) -> Plane:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)

    sharp = light = np.maximum(light, np.float32(1 / 255))
    for _ in range(ROUNDS):
        sharp = sharp * blurred(light / np.maximum(blurred(sharp), np.float32(1e-3)))
    window = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(light, window) - OVERSHOOT, cv2.dilate(light, window) + OVERSHOOT
    gained = np.clip(sharp, low, high) - light
    trust = gained**2 / (gained**2 + np.float32((2 * noise) ** 2 + 1e-6))
    return np.asarray(gained * trust, np.float32)


def blur_of(pixels: Pixels) -> float:
    """Estimate the sigma of the blur of the sharpest things in a picture in px; 0 if it has no edges."""
    light = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)
    if min(light.shape) < 16:
        return 0.0
    before, after = _steepness(light), _steepness(cv2.GaussianBlur(light, (0, 0), REBLUR))
    strong = before >= max(8.0, float(np.percentile(before, EDGES)))
    if strong.sum() < 20:
        return 0.0
    ratio = float(np.percentile(before[strong] / np.maximum(after[strong], 1e-3), 75))
    return float(REBLUR / np.sqrt(max(ratio**2 - 1, 1e-4)))


def _steepness(light: Plane) -> Plane:
    return np.asarray(cv2.magnitude(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)), np.float32)
