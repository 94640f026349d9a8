"""Photographs with known faults: made worse on purpose, so that the right remedy and its result are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.core.values import Image

Kind: TypeAlias = Literal["dark", "bright", "warm", "cool", "noisy", "blurred", "hazy", "flat", "pale", "tilted"]
Change: TypeAlias = Callable[[Pixels, int], Pixels]
AIR = (226, 230, 236)  # what haze turns things into
TILT = (1.5, 10.0)  # degrees, from just visible to strong
DECODE = np.where(np.arange(256) <= 10, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4)


@dataclass(frozen=True)
class Fault:
    """A photograph made worse.

    Attributes:
        image: the worse picture.
        original: what a perfect remedy gives back; of a tilted picture it is cut as ``image`` is.
        amount: how strong the fault is, 0 (can just be seen) to 1.
        tool, args: the remedy, one call on the whole picture; its amounts are the fault's own, turned round.
    """

    kind: Kind
    image: Image
    original: Image
    amount: float
    tool: str
    args: Mapping[str, Any]


def add(image: Image, kind: Kind, amount: float, seed: int = 0) -> Fault:
    """Return the photograph with a fault of one kind.

    Args:
        amount: 0..1; at 0 it can just be seen.
        seed: of noise, and of the side to which a picture is tilted.

    Raises:
        ValueError: the amount is out of range.
    """
    if not 0 <= amount <= 1:
        raise ValueError(f"the amount of a fault is 0 to 1, not {amount}")
    if kind == "tilted":
        return _tilted(image, amount, seed)
    change, tool, args = FAULTS[kind](amount)
    return Fault(kind, Image(change(image.pixels, seed)), image, amount, tool, args)


def _gained(gains: NDArray[np.float64]) -> Change:
    """Multiply linear light, one gain a channel."""
    light = np.clip(DECODE[:, None] * gains, 0, 1)
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    table = np.rint(255 * curve).astype(np.uint8)[:, None]
    return lambda pixels, seed: np.asarray(cv2.LUT(pixels, table), np.uint8)


def _exposed(stops: float) -> Change:
    return _gained(np.full(3, 2.0**stops))


def _tinted(warmth: float) -> Change:
    """Red up and blue down by e^(.004 warmth), luminance as it was."""
    gains = np.exp(np.array([0.004, 0, -0.004]) * warmth)
    return _gained(gains / float(gains @ (0.2126, 0.7152, 0.0722)))


def _noisy(sigma: float) -> Change:
    def change(pixels: Pixels, seed: int) -> Pixels:
        grain = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
        return np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8)

    return change


def _blurred(share: float) -> Change:
    """By a Gaussian of ``share`` thousandths of the long side."""

    def change(pixels: Pixels, seed: int) -> Pixels:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), max(0.3, share * max(pixels.shape[:2]) / 1000)), np.uint8)

    return change


def _towards(share: float, aim: Callable[[Pixels], NDArray[np.float32]]) -> Change:
    """Move every pixel a share of the way to what ``aim`` says."""
    return lambda pixels, seed: np.rint(pixels + (aim(pixels) - pixels) * share).astype(np.uint8)


def _air(pixels: Pixels) -> NDArray[np.float32]:
    return np.array(AIR, np.float32)


def _middle(pixels: Pixels) -> NDArray[np.float32]:
    return np.full(3, 128, np.float32)


def _grey(pixels: Pixels) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)[..., None]


def _tilted(image: Image, amount: float, seed: int) -> Fault:
    """Turned about its middle and cut to the largest upright part; the original is cut alike."""
    side = 1 if np.random.default_rng(seed).random() < 0.5 else -1
    angle = side * round(TILT[0] + (TILT[1] - TILT[0]) * amount, 2)
    width, height = image.size
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
    turned = cv2.warpAffine(image.pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    sine, cosine = abs(np.sin(np.radians(angle))), abs(np.cos(np.radians(angle)))
    share = 1 / (cosine + sine * max(width / height, height / width))  # the same proportions, and no empty corner
    x, y = (min(int((1 - share) / 2 * length) + 1, (length - 1) // 2) for length in (width, height))
    cut = (slice(y, height - y), slice(x, width - x))
    worse, original = (Image(np.ascontiguousarray(array[cut])) for array in (turned, image.pixels))
    return Fault("tilted", worse, original, amount, "straighten", {"angle": -angle})


FAULTS: dict[str, Callable[[float], tuple[Change, str, dict[str, Any]]]] = {
    "dark": lambda a: (_exposed(-(0.6 + 1.9 * a)), "exposure", {"exposure": round(0.6 + 1.9 * a, 2)}),
    "bright": lambda a: (_exposed(0.4 + 0.6 * a), "exposure", {"exposure": -round(0.4 + 0.6 * a, 2)}),
    "warm": lambda a: (_tinted(25 + 60 * a), "temperature", {"temperature": -round(25 + 60 * a, 2)}),
    "cool": lambda a: (_tinted(-25 - 60 * a), "temperature", {"temperature": round(25 + 60 * a, 2)}),
    "noisy": lambda a: (_noisy(8 + 22 * a), "denoise", {"strength": round(0.5 + 0.4 * a, 2)}),
    "blurred": lambda a: (_blurred(1.5 + 2 * a), "deblur", {"amount": 1.0}),
    "hazy": lambda a: (_towards(0.25 + 0.35 * a, _air), "dehaze", {"dehaze": round(60 + 40 * a, 2)}),
    "flat": lambda a: (_towards(0.3 + 0.3 * a, _middle), "contrast", {"contrast": round(40 + 60 * a, 2)}),
    "pale": lambda a: (_towards(0.4 + 0.4 * a, _grey), "saturation", {"saturation": round(60 + 40 * a, 2)}),
}
KINDS: tuple[str, ...] = (*FAULTS, "tilted")
