"""Faces by YuNet (Wu 2023): small, turned and several ones too, where the cascade sees only large ones from the front.

It is handed to whatever looks for faces, if its weights are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.core.networks import Network
from lego.tools.finders.face import Face
from lego.tools.neural.catalogue import CATALOGUE

SURE = 0.85  # of a detection: a dandelion has .76
LEAST = 8  # px of a side of the picture, below which there is nothing to be seen


class YuNet:
    """The detector.

    Args:
        path: of its ONNX file.
    """

    def __init__(self, path: Path) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of a default that does no harm
        self.net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), SURE)

    def __call__(self, pixels: Pixels) -> list[Face]:
        """Return the faces of a picture (H x W x 3)."""
        height, width = pixels.shape[:2]
        if min(height, width) < LEAST:
            return []
        self.net.setInputSize((width, height))
        found = self.net.detect(np.ascontiguousarray(pixels[..., ::-1]))[1]
        rows = np.zeros((0, 15)) if found is None else np.asarray(found, np.float64)
        return [(float(f[0]), float(f[1]), float(f[2]), float(f[3]), float(f[14])) for f in rows]


def load_yunet(folder: Path, device: str, precision: str) -> Any:
    """Return the detector of a folder."""
    return YuNet(next(folder.glob("*.onnx")))


YUNET = Network("yunet", load_yunet, CATALOGUE["yunet"].memory("float32"), working=50 << 20)
FaceNet: TypeAlias = Annotated[Any, YUNET]
