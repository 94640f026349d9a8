"""Layers: cut-outs on a canvas as large as the picture that they came from, as chains of models hand them on."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from lego.core.registry import tool
from lego.core.values import Image, Mask
from lego.tools import piece
from lego.tools.pixels import must_fit


@tool(phrases={"scale layer by {factor}": {}, "resize layer by {factor}": {}, "把图层缩放{factor}": {}})
def layer_scale(image: Image, factor: Annotated[float, Field(ge=0.05, le=8)]) -> Image:
    """Scale what a cut-out shows on its canvas; its bottom edge and the middle of its width stay where they are.

    The canvas keeps its size, and what hangs over it is cut off (as RESIZE in Lego-Edit). A picture without
    transparency is all there is to scale.
    """
    alpha = np.full(image.pixels.shape[:2], 255, np.uint8) if image.alpha is None else image.alpha
    box = Mask(alpha).box
    if box is None:
        return image.replace(image.pixels)
    x0, y0, x1, y1 = box
    size = max(1, round((x1 - x0) * factor)), max(1, round((y1 - y0) * factor))
    thing = piece.resized(Image(image.pixels[y0:y1, x0:x1], alpha[y0:y1, x0:x1]), size)
    empty = Image(np.zeros_like(image.pixels), np.zeros_like(alpha))
    return piece.over(empty, thing, (round((x0 + x1 - size[0]) / 2), y1 - size[1]))


@tool(phrases=["subtract layer", "subtract second picture", "difference between pictures", "图层相减"])
def layer_subtract(image: Image, picture: Image) -> Image:
    """Take a second picture of the same size away: what a cut-out shows is hidden, colours are subtracted.

    With transparency in the second one, this one becomes transparent where that one is not; without, each channel is
    the first less the second, 0 at least (as INVERSE in Lego-Edit).

    Raises:
        ValueError: the sizes differ.
    """
    if picture.alpha is None:
        must_fit(image, Mask(np.zeros(picture.pixels.shape[:2], np.uint8)))
        return image.replace(cv2.subtract(image.pixels, picture.pixels))
    must_fit(image, Mask(picture.alpha))
    own = np.float32(255) if image.alpha is None else image.alpha.astype(np.float32)
    left = np.rint(own * (1 - picture.alpha.astype(np.float32) / 255)).astype(np.uint8)
    return Image(image.pixels, left)
