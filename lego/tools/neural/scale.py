"""The engine of `upscale`: Swin2SR (Conde 2022), which enlarges twice with the detail that is likely."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.core.networks import Network
from lego.core.signature import Context
from lego.core.values import Image
from lego.tools.geometry import scaled
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.neural.loading import load_net
from lego.tools.scale import Factor, goal, upscale

TWICE = 2  # what the network does
TILE, SEAM = 256, 16  # px that are looked at together, and beside them, which are thrown away
MULTIPLE = 8  # of which sides must be, the network's window


def load_swin2sr(folder: Path, device: str, precision: str) -> Any:
    """Return Swin2SR of a folder of transformers."""
    return load_net(folder, device, precision, "Swin2SRForImageSuperResolution")


SWIN = Network("swin2sr", load_swin2sr, CATALOGUE["swin2sr"].memory("float32"), working=2 << 30, shared=True)


@upscale.engine("swin2sr", requires=("torch", "transformers"), tile=TILE)
def _(
    image: Image,
    factor: Factor = 2.0,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
    *,
    net: Annotated[Any, SWIN],
) -> Image:
    size = goal(image, factor)
    if size == image.size:
        return image.map(lambda a: a)
    pixels, rounds = image.pixels, 1 if factor <= TWICE else 2
    for number in range(rounds):
        pixels = doubled(net, pixels, context, number / rounds, 1 / rounds)
    way = cv2.INTER_AREA if size[0] < pixels.shape[1] else cv2.INTER_CUBIC
    made = np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)
    return Image(made, None if image.alpha is None else scaled(image.alpha, size))


def doubled(net: Any, pixels: Pixels, context: Context, done: float = 0.0, share: float = 1.0) -> Pixels:
    """Return a picture (H x W x 3) at twice its size, made in tiles that overlap.

    Args:
        context: its tile, if it has one, is the side of a tile in px.
        done, share: of the progress: what was before, and what this is.
    """
    side = max(MULTIPLE, (context.tile or TILE) // MULTIPLE * MULTIPLE)
    made = np.empty((TWICE * pixels.shape[0], TWICE * pixels.shape[1], 3), np.uint8)
    tiles = list(_tiles(pixels.shape[0], pixels.shape[1], side))
    for number, (top, bottom, left, right) in enumerate(tiles):
        up, down = max(0, top - SEAM), min(pixels.shape[0], bottom + SEAM)
        before, behind = max(0, left - SEAM), min(pixels.shape[1], right + SEAM)
        large = _asked(net, pixels[up:down, before:behind])
        y, x = TWICE * (top - up), TWICE * (left - before)
        rows, columns = TWICE * (bottom - top), TWICE * (right - left)
        made[TWICE * top : TWICE * bottom, TWICE * left : TWICE * right] = large[y : y + rows, x : x + columns]
        context.progress(done + share * (number + 1) / len(tiles))
    return made


def _tiles(height: int, width: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield top, min(height, top + side), left, min(width, left + side)


def _asked(net: Any, pixels: Pixels) -> Pixels:
    import torch

    height, width = pixels.shape[:2]
    low, right = -height % MULTIPLE, -width % MULTIPLE
    padded = cv2.copyMakeBorder(pixels, 0, low, 0, right, cv2.BORDER_REFLECT)
    picture = torch.from_numpy(padded.transpose(2, 0, 1)[None].astype(np.float32) / 255).to(net.device, net.dtype)
    with torch.inference_mode():
        found = net(pixel_values=picture).reconstruction[0].float().clamp(0, 1).numpy(force=True)
    large = np.rint(found.transpose(1, 2, 0) * 255).astype(np.uint8)
    return np.asarray(large[: TWICE * height, : TWICE * width], np.uint8)
