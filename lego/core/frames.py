"""Frames: how a crop of a picture is shown to a network that wants sides of its own, and how its answer comes back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.core.values import Box, Mask

Bools: TypeAlias = NDArray[np.bool_]
LEAST = 64  # px of a side: below, a latent picture has no room for the layers
LONGEST = 2.0  # times the trained side: a strip is shown narrower rather than longer
MARGIN = 0.5  # of a hole's longer side, that is shown around it each way; at least MARGIN_MIN px
MARGIN_MIN = 32
OVERLAP = 6  # px, as shown: what is painted goes on under the edge of the hole, so that no seam is seen


@dataclass(frozen=True)
class Frame:
    """How a crop is shown: scaled to about the area that the pipeline knows, then mirrored on to sides that it takes.

    Attributes:
        size: of the crop, height and width in px.
        shown: as scaled.
        padded: as handed over.
    """

    size: tuple[int, int]
    shown: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def of(cls, size: tuple[int, int], side: int, multiple: int) -> Frame:
        """Return the frame for a crop and a side in px whose square is the area that is known."""
        height, width = size
        scale = min(side / math.sqrt(height * width), LONGEST * side / max(size))
        shown = max(1, round(height * scale)), max(1, round(width * scale))
        padded = tuple(max(LEAST, -(-one // multiple) * multiple) for one in shown)
        return cls(size, shown, (padded[0], padded[1]))

    def show(self, array: Pixels) -> Pixels:
        """Return a crop as it is handed over."""
        low, right = self.padded[0] - self.shown[0], self.padded[1] - self.shown[1]
        return np.asarray(cv2.copyMakeBorder(_scaled(array, self.shown), 0, low, 0, right, cv2.BORDER_REFLECT))

    def back(self, made: Pixels) -> Pixels:
        """Return what came out, as the crop was."""
        return _scaled(made[: self.shown[0], : self.shown[1]], self.size)

    def under(self, hole: Bools | None) -> Pixels:
        """Return a hole of the crop as it is handed over, a little wider than it is; 255 is where to paint."""
        if hole is None:
            return np.full(self.padded, 255, np.uint8)
        covered = (self.show(hole.astype(np.uint8) * 255) > 0).astype(np.uint8)
        wide = cv2.dilate(covered, np.ones((2 * OVERLAP + 1, 2 * OVERLAP + 1), np.uint8))
        return np.asarray(255 * wide, np.uint8)


def surroundings(hole: Bools) -> Box:
    """Return the box of a hole and what is around it: left, top, right, bottom."""
    height, width = hole.shape
    box = Mask(hole).box
    assert box is not None
    x0, y0, x1, y1 = box
    room = max(MARGIN_MIN, round(MARGIN * max(x1 - x0, y1 - y0)))
    return max(0, x0 - room), max(0, y0 - room), min(width, x1 + room), min(height, y1 + room)


def _scaled(array: Pixels, size: tuple[int, int]) -> Pixels:
    way = cv2.INTER_AREA if size[1] < array.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(array, size[::-1], interpolation=way), np.uint8)
