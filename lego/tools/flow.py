"""What styles share: smoothing along edges, as brushes and pens move; grain; laying the result over the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.values import Image, Mask
from lego.tools.pixels import Plane, blend, gaussian, to_uint8

FULL = {"strength": 1.0}  # what the bare words imply; "a little" and "slightly" take less
AIMED = ("turn {target} into *", "make {target} *", "make {target} like *", "convert {target} to *")
AIMED_CHINESE = ("{target}变成*", "{target}转成*", "{target}改成*", "{target}做成*")
TAPS = (1, 3, 9)  # thirds of thirds: three passes of three taps make an even stroke of 27 steps
GRAIN_CELLS = 1000  # of noise along the long side at a grain of 0.1 %


def asked(
    args: Mapping[str, Any], nouns: Sequence[str], aimed: Sequence[str] = (), verbs: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return the ways to ask for a style, as phrases of a tool.

    Args:
        args: what they imply.
        nouns: they mean the whole picture, or "brighten the sketch" would be a sketch of something called "brighten".
        aimed: nouns that a thing can be turned into as well: "turn the cup into a cartoon".
        verbs: phrases that stand for themselves, with whatever they are about.
    """
    found = {noun: {**args, "target": "everything"} for noun in (*nouns, *aimed)}
    for noun in aimed:
        for form in AIMED if noun.isascii() else AIMED_CHINESE:
            found[form.replace("*", noun)] = dict(args)
    return found | {verb: dict(args) for verb in verbs}


def laid_over(image: Image, made: NDArray[Any], strength: float, mask: Mask | None) -> Image:
    """Enlarge what was made on a smaller copy (grey or RGB, 0..255), and lay it over the picture."""
    full = enlarged(to_uint8(made), image.size)
    if full.ndim == 2:
        full = cv2.cvtColor(full, cv2.COLOR_GRAY2RGB)
    if strength < 1:
        full = np.asarray(cv2.addWeighted(image.pixels, 1 - strength, full, strength, 0), np.uint8)
    return blend(image, full, mask)


def enlarged(made: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Scale to width x height, smoothly."""
    if (made.shape[1], made.shape[0]) == size:
        return made
    return np.asarray(cv2.resize(made, size, interpolation=cv2.INTER_CUBIC))


def tangents(light: Plane, sigma: float) -> Plane:
    """Return unit vectors (x, y) along the edges of ``light`` (H x W, 0..1), smoothed over ``sigma`` px.

    The minor eigenvector of the smoothed structure tensor (Bigun 1987), as in Kang 2007 and Kyprianidis 2009.
    """
    across = cv2.Sobel(light, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REFLECT)
    down = cv2.Sobel(light, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REFLECT)
    tensor = gaussian(np.dstack([across * across, across * down, down * down]), sigma)
    angle = 0.5 * cv2.phase(tensor[..., 0] - tensor[..., 2], 2 * tensor[..., 1]).reshape(light.shape) + np.pi / 2
    return np.asarray(np.dstack([np.cos(angle), np.sin(angle)]), np.float32)


def along(planes: Plane, flow: Plane, reach: float) -> Plane:
    """Average ``planes`` (H x W or H x W x C) along ``flow`` over ``reach`` px to either side."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for tap in TAPS:
        step = flow * np.float32(tap * reach / sum(TAPS))
        total = planes.copy()
        for sign in (1, -1):
            total += cv2.remap(
                planes, x + sign * step[..., 0], y + sign * step[..., 1], cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )  # fmt: skip
        planes = total / np.float32(3)
    return planes


def grain(shape: tuple[int, int], size: float, seed: int) -> Plane:
    """Return noise of mean 0 and deviation 1 whose grains are ``size`` % of the long side wide."""
    cells = max(2, round(GRAIN_CELLS * 0.1 / size))
    scale = cells / max(shape)
    coarse = (max(2, round(shape[0] * scale)), max(2, round(shape[1] * scale)))
    noise = np.random.default_rng(seed).standard_normal(coarse, np.float32)
    way = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    noise = np.asarray(cv2.resize(noise, (shape[1], shape[0]), interpolation=way), np.float32)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-3), np.float32)
