"""A tool with a mask and two outputs."""

from typing import Annotated, NamedTuple

import cv2
import numpy as np
from pydantic import Field

import lego


class Lit(NamedTuple):
    image: lego.Image
    light: lego.Mask


@lego.tool(scope="global", phrases=["spotlight {target}", "put {target} in the spotlight", "打光"])
def spotlight(image: lego.Image, mask: lego.Mask, dark: Annotated[float, Field(ge=0, le=1)] = 0.7) -> Lit:
    """Darken everything but what the mask covers, with a soft edge of light."""
    radius = max(1.0, max(image.size) / 40)
    light = cv2.GaussianBlur(np.array(mask.pixels), (0, 0), radius)
    share = np.maximum(light, mask.pixels)[..., None] / np.float32(255)
    pixels = image.pixels * (1 - dark * (1 - share))
    return Lit(image.replace(pixels.astype(np.uint8)), lego.Mask(light))
