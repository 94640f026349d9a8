"""Engines of `remove`: LaMa (Suvorov 2022), which invents what stands behind a thing from the whole of a scene."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.core.networks import Network
from lego.core.processors import hide_broken_torchvision
from lego.core.signature import Area, Context
from lego.core.values import Image
from lego.tools.fill import Grow, remove, removed
from lego.tools.finders.regions import Bools
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.patchmatch import Filled

TILE = 1024  # px of the long side that LaMa sees at once; it was trained at 256, and copes with this
MULTIPLE = 8  # its sides must be multiples of it
MARGIN = 1.0  # of a hole's longer side, that is seen each way; at least MARGIN_MIN px
MARGIN_MIN = 96


def load_lama(folder: Path, device: str, precision: str) -> Any:
    """Return LaMa as TorchScript (``*.pt``), which holds a graph and no Python."""
    hide_broken_torchvision()
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.load` is", DeprecationWarning)
        return torch.jit.load(str(next(folder.glob("*.pt"))), map_location=device).eval()


LAMA = Network("lama", load_lama, CATALOGUE["lama"].memory("float32"), working=3 << 30, shared=True)


@remove.engine("lama", requires=("torch",), tile=TILE)
def _(
    image: Image,
    mask: Area,
    grow: Grow = 0.07,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
    *,
    net: Annotated[Any, LAMA],
) -> Image:
    return removed(image, mask, grow, lambda pixels, hole: invented(net, pixels, hole, context))


def invented(net: Any, pixels: Pixels, hole: Bools, context: Context) -> Filled:
    """Fill every hole with LaMa, each seen with its surroundings; all else stays as it is.

    Args:
        net: takes a picture (1, 3, H, W), 0..1, and its hole (1, 1, H, W), 1 in it; sides are multiples of 8.
        pixels: H x W x 3.
        hole: H x W.
    """
    made = np.array(pixels)
    parts = list(_parts(hole))
    for number, (x0, y0, x1, y1) in enumerate(parts):
        crop, inside = made[y0:y1, x0:x1], hole[y0:y1, x0:x1]
        crop[inside] = _asked(net, crop, inside, context)[inside]
        context.progress((number + 1) / len(parts))
    count = "one hole" if len(parts) == 1 else f"{len(parts)} holes"
    return Filled(made, (f"filled {count} with LaMa",))


def _parts(hole: Bools) -> Iterator[tuple[int, int, int, int]]:
    """For each hole what of the picture is looked at: holes whose surroundings meet are one."""
    height, width = hole.shape
    whole = np.zeros(hole.shape, np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8))
    for x, y, wide, high, _ in boxes[1:]:
        room = max(MARGIN_MIN, round(MARGIN * max(wide, high)))
        whole[max(0, y - room) : y + high + room, max(0, x - room) : x + wide + room] = 1
    _, _, areas, _ = cv2.connectedComponentsWithStats(whole)
    for x, y, wide, high, _ in areas[1:]:
        yield int(x), int(y), min(width, int(x + wide)), min(height, int(y + high))


def _asked(net: Any, pixels: Pixels, hole: Bools, context: Context) -> Pixels:
    """What LaMa makes of a part, at its size."""
    import torch

    height, width = hole.shape
    scale = min(1.0, (context.tile or TILE) / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    gone = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    right, low = -size[0] % MULTIPLE, -size[1] % MULTIPLE
    padded = cv2.copyMakeBorder(small, 0, low, 0, right, cv2.BORDER_REFLECT)
    holes = cv2.copyMakeBorder(gone, 0, low, 0, right, cv2.BORDER_REFLECT)
    picture = torch.from_numpy(padded.transpose(2, 0, 1)[None].astype(np.float32) / 255).to(context.device)
    where = torch.from_numpy(holes[None, None].astype(np.float32)).to(context.device)
    with torch.inference_mode():
        found = net(picture, where)[0].float().clamp(0, 1).numpy(force=True)
    made = np.rint(found.transpose(1, 2, 0)[: size[1], : size[0]] * 255).astype(np.uint8)
    return np.asarray(cv2.resize(made, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
