"""How likely each pixel is hair, by MediaPipe's hair segmentation (Tkachenka 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.core.networks import Network
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.pixels import Plane

SIDE = 512  # px of the square that it looks at


class Hair:
    """The network.

    Args:
        path: of its TFLite file.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.net = Interpreter(model_path=str(path), num_threads=1)
        self.net.allocate_tensors()

    def __call__(self, pixels: Pixels) -> Plane:
        """Return for each pixel of a picture (H x W x 3) how likely it is hair, 0..1."""
        height, width = pixels.shape[:2]
        square = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        before = np.zeros((SIDE, SIDE, 1), np.float32)  # what was found in the frame before: this is no film
        self.net.set_tensor(self.net.get_input_details()[0]["index"], np.concatenate([square, before], 2)[None])
        self.net.invoke()
        logits = self.net.get_tensor(self.net.get_output_details()[0]["index"])[0]
        share = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
        return np.asarray(cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def load_hair(folder: Path, device: str, precision: str) -> Hair:
    """Return the network of a folder."""
    return Hair(next(folder.glob("*.tflite")))


HAIR = Network("hair", load_hair, CATALOGUE["hair"].memory("float32"), working=100 << 20, modules=("ai_edge_litert",))
HairNet: TypeAlias = Annotated[Any, HAIR]
