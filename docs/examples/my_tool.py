from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

import lego


@lego.tool
def emboss(image: lego.Image, depth: Annotated[float, Field(ge=0, le=1)] = 0.5) -> lego.Image:
    """Emboss the picture as if it were pressed into metal."""
    relief = cv2.filter2D(image.pixels, cv2.CV_32F, np.float32([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]])) + 128
    return image.replace(
        np.clip(cv2.addWeighted(image.pixels.astype(np.float32), 1 - depth, relief, depth, 0), 0, 255).astype(np.uint8)
    )
