"""Things as pieces: cut one out, paste it, copy it, move it."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.tools import paint
from lego.tools.fill import SURE, take_out
from lego.tools.geometry import scaled
from lego.tools.pixels import blend

Position: TypeAlias = Literal[
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right"
]
Way: TypeAlias = Annotated[float, Field(ge=-100, le=100, json_schema_extra={"unit": "%"})]

MARGIN = 0.04  # of the short side between what is placed and the frame
GROW = 0.07  # how far the hole of a moved thing is widened, as in `remove`


class Cutout(NamedTuple):
    """The piece on transparent ground, and where in it the thing is."""

    image: Image
    mask: Mask


@tool(
    scope="geometric",
    phrases=["cut out", "cutout", "extract", "isolate", "transparent background", "make background transparent around",
             "remove background around", "抠图", "抠出", "抠出来", "提取", "把{target}抠出来", "裁出"],
)  # fmt: skip
def cut(
    image: Image,
    mask: Mask,
    trim: Annotated[bool, Field(description="cut the picture down to the thing's box")] = True,
) -> Cutout:
    """Cut the masked thing out, on transparent ground, ready to be pasted elsewhere.

    Alpha is the mask (times the picture's own alpha); soft edges give up the old background's colour (Forte 2021).

    Raises:
        RefusedError: the mask is empty.
    """
    if mask.box is None:
        raise RefusedError("the mask is empty, so there is nothing to cut out", hint="mark the thing", reason="empty")
    pixels, alpha = _piece(image, mask)
    x0, y0, x1, y1 = mask.box if trim else (0, 0, *image.size)
    part = Mask(alpha[y0:y1, x0:x1], mask.confidence)
    return Cutout(Image(pixels[y0:y1, x0:x1], part.pixels), part)


def _piece(image: Image, mask: Mask) -> tuple[Pixels, Pixels]:
    """The thing's own colours, soft pixels freed of the background, and its alpha; both of the picture's size."""
    alpha = mask.pixels
    if image.alpha is not None:
        alpha = np.rint(mask.pixels.astype(np.float32) * image.alpha / 255).astype(np.uint8)
    return paint.freed(image.pixels, mask.pixels), alpha


@tool(
    phrases=["paste", "insert", "put on top", "overlay", "stick", "place on top", "add logo", "粘贴",
             "贴上", "叠加", "插入", "加上标志"]
)  # fmt: skip
def paste(
    image: Image,
    picture: Image,
    position: Position = "center",
    scale: Annotated[float, Field(ge=0.05, le=2, description="width of the piece, as a share of the picture's")] = 0.4,
    opacity: Annotated[float, Field(ge=0, le=1)] = 1.0,
) -> Image:
    """Lay another picture or a cut-out over this one, at a place and in a size.

    The piece keeps its proportions and its transparency; what hangs over the frame is cut off. A piece that would be
    higher than the picture is made to fit, unless ``scale`` is above 1.
    """
    width, height = image.size
    share = scale * width / picture.size[0]
    if scale <= 1:
        share = min(share, height / picture.size[1])
    size = (max(1, round(picture.size[0] * share)), max(1, round(picture.size[1] * share)))
    pixels, alpha = _resized(picture, size)
    x, y = place(image.size, size, position, inset=MARGIN if scale < 1 else 0)
    return _over(image, pixels, alpha, (x, y), opacity)


def _resized(picture: Image, size: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """Scale colours weighted by alpha, so that what lies under the transparent ground does not bleed in."""
    if picture.alpha is None:
        return scaled(picture.pixels, size), np.full((size[1], size[0]), 255, np.uint8)
    solid = picture.alpha > 0
    pixels = np.where(solid[..., None], picture.pixels, 0)
    if not solid.all() and solid.any():
        mean = cv2.boxFilter(pixels.astype(np.float32), -1, (5, 5), normalize=False)
        count = cv2.boxFilter(solid.astype(np.float32), -1, (5, 5), normalize=False)[..., None]
        spread = np.clip(mean / np.maximum(count, 1), 0, 255).astype(np.uint8)
        pixels = np.where(solid[..., None], pixels, spread)
    return scaled(pixels, size), scaled(picture.alpha, size)


def place(room: tuple[int, int], size: tuple[int, int], position: str, inset: float = 0.0) -> tuple[int, int]:
    """Left and top px of a thing of ``size`` at one of nine places, ``inset`` short sides away from the frame."""
    margin = round(inset * min(room))
    x = margin if "left" in position else room[0] - size[0] - margin if "right" in position else None
    y = margin if "top" in position else room[1] - size[1] - margin if "bottom" in position else None
    return (room[0] - size[0]) // 2 if x is None else x, (room[1] - size[1]) // 2 if y is None else y


def _over(image: Image, pixels: Pixels, alpha: Pixels, at: tuple[int, int], opacity: float = 1.0) -> Image:
    """Blend a piece in at left, top px; where the ground is transparent it becomes as opaque as the piece."""
    width, height = image.size
    x0, y0 = max(0, at[0]), max(0, at[1])
    x1, y1 = min(width, at[0] + alpha.shape[1]), min(height, at[1] + alpha.shape[0])
    if x0 >= x1 or y0 >= y1:
        return Image(image.pixels, image.alpha, ("the piece would lie outside the picture, so it was left out",))
    part = (slice(y0 - at[1], y1 - at[1]), slice(x0 - at[0], x1 - at[0]))
    edit, weight = np.array(image.pixels), np.zeros((height, width), np.uint8)
    edit[y0:y1, x0:x1] = pixels[part]
    weight[y0:y1, x0:x1] = np.rint(alpha[part] * opacity)
    if image.alpha is None:
        return blend(image, edit, Mask(weight))
    top, under = weight.astype(np.float32) / 255, image.alpha.astype(np.float32) / 255
    joint = top + under * (1 - top)
    share = np.rint(255 * top / np.maximum(joint, 1e-6)).astype(np.uint8)
    merged = blend(image, edit, Mask(share))
    return Image(merged.pixels, np.rint(joint * 255).astype(np.uint8))


@tool(
    scope="global",
    phrases={
        "duplicate": {}, "copy": {}, "clone": {}, "make copy of": {}, "add another": {}, "复制": {}, "再加一个": {},
        "克隆": {},
        "duplicate {target} to left": {"dx": -25.0}, "duplicate {target} to right": {"dx": 25.0},
        "copy {target} to left": {"dx": -25.0}, "copy {target} to right": {"dx": 25.0},
        "把{target}复制到左边": {"dx": -25.0}, "把{target}复制到右边": {"dx": 25.0},
    },
)  # fmt: skip
def duplicate(image: Image, mask: Mask, dx: Way = 25.0, dy: Way = 0.0) -> Image:
    """Put a copy of the masked thing elsewhere in the picture; the thing itself stays.

    Args:
        image: the picture.
        mask: the thing.
        dx: how far to the right, in per cent of the width; negative is left.
        dy: how far down, in per cent of the height; negative is up.
    """
    return _set_down(image, image, mask, dx, dy)


@tool(
    scope="global",
    phrases={
        "move": {}, "shift": {}, "移动": {},
        "move {target} left": {"dx": -20.0}, "move {target} to left": {"dx": -20.0},
        "move {target} right": {"dx": 20.0}, "move {target} to right": {"dx": 20.0}, "move {target} up": {"dy": -20.0},
        "move {target} down": {"dy": 20.0}, "shift {target} left": {"dx": -20.0},
        "shift {target} to left": {"dx": -20.0},
        "shift {target} right": {"dx": 20.0}, "shift {target} to right": {"dx": 20.0},
        "shift {target} up": {"dy": -20.0},
        "shift {target} down": {"dy": 20.0}, "把{target}向左移": {"dx": -20.0}, "把{target}向右移": {"dx": 20.0},
        "把{target}向上移": {"dy": -20.0}, "把{target}向下移": {"dy": 20.0}, "把{target}往左移": {"dx": -20.0},
        "把{target}往右移": {"dx": 20.0},
    },
)  # fmt: skip
def move(
    image: Image,
    mask: Mask,
    dx: Way = 0.0,
    dy: Way = 0.0,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Move the masked thing to another place and fill the hole from around it.

    Args:
        image: the picture.
        mask: the thing; a piece that leaves the frame is cut off.
        dx: how far to the right, in per cent of the width; negative is left.
        dy: how far down, in per cent of the height; negative is up.
        context: of the run.
    """
    core = mask.pixels >= SURE
    if not core.any() or (dx == 0 and dy == 0):
        return image.replace(image.pixels)
    pixels, notes = take_out(image.pixels, core, GROW, context)
    moved = _set_down(image.replace(pixels), image, mask, dx, dy)
    return Image(moved.pixels, moved.alpha, (*notes, *moved.notes))


def _set_down(ground: Image, image: Image, mask: Mask, dx: float, dy: float) -> Image:
    """Lay the masked thing of ``image`` over ``ground``, shifted by per cent of the sides."""
    if mask.box is None:
        return ground.replace(ground.pixels)
    x0, y0, x1, y1 = mask.box
    pixels, alpha = _piece(image, mask)
    at = (x0 + round(dx * image.size[0] / 100), y0 + round(dy * image.size[1] / 100))
    return _over(ground, pixels[y0:y1, x0:x1], alpha[y0:y1, x0:x1], at)
