"""The few colours that stand for a picture, and their names."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.tools.pixels import Plane, to_lab

Ints = NDArray[np.int32]
SIDE = 96  # px of the long side from which a palette is taken: k-means is slow on more
VIVID = 1.4  # weight of a and b against L: small colourful things get a colour; at 1.6 faces turn red in patches
NAMES = {
    # what people call a colour, by examples; several of a name where it is wide
    "black": ("#0b0b0b", "#1c1c1e"), "dark grey": ("#3c3c3c", "#505254"), "grey": ("#6e6e70", "#8c8c8c", "#a2a2a2"),
    "light grey": ("#bababc", "#d6d6d6"), "white": ("#ececec", "#fdfdfd"),
    "dark red": ("#5a1010", "#8b1414"), "red": ("#b81c1c", "#dc2828", "#e84838"), "pink": ("#f0a0b4", "#e878a0"),
    "dark brown": ("#2e1c10", "#4a2e1c"), "brown": ("#6e4426", "#8a5a34", "#7c5440"), "tan": ("#b48c64", "#c8a484"),
    "beige": ("#e0ccb0", "#ecdcc4"), "orange": ("#e07820", "#f08c3c", "#d8602c", "#f8a010"),
    "peach": ("#f4b48c", "#f8c8a4"),
    "yellow": ("#ecc828", "#f4e060", "#d8b020"), "olive": ("#6a6420", "#50501c", "#8c8440"),
    "dark green": ("#142c10", "#1e4820", "#14402c"), "green": ("#2e7a32", "#4aa04a", "#6cb040"),
    "light green": ("#9cd08c", "#bce0a4"), "dark teal": ("#063434", "#0a4c4e"), "teal": ("#107878", "#2a9a98"),
    "dark blue": ("#0c1838", "#182c5c", "#22407c", "#080878"),
    "blue": ("#2454b4", "#2838c8", "#1c3cf0", "#3c78d4", "#4c74a8"),
    "light blue": ("#8cb4e0", "#b8d4f0", "#9cc0d8"), "purple": ("#5c2c8c", "#8048a8", "#40205c"),
    "lilac": ("#b498d0", "#ccb8e0"), "magenta": ("#b42878", "#d840a4"),
}  # fmt: skip


def palette(lab: Plane, count: int) -> Plane:
    """Return up to ``count`` colours (Lab, by seeded k-means) that stand for a picture, dark to light."""
    step = max(1, round(max(lab.shape) / SIDE))
    weights = np.array([1, VIVID, VIVID], np.float32)
    points = np.ascontiguousarray(lab[::step, ::step].reshape(-1, 3) * weights, np.float32)
    count = min(count, len(np.unique(points, axis=0)))
    cv2.setRNGSeed(1)
    rule = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.2)
    _, _, centres = cv2.kmeans(points, count, None, rule, 2, cv2.KMEANS_PP_CENTERS)
    colors = np.asarray(centres, np.float32) / weights
    return np.asarray(colors[np.argsort(colors[:, 0])], np.float32)


def nearest(lab: Plane, colors: Plane) -> Ints:
    """Return the number of the nearest colour for each pixel."""
    return np.asarray(np.square(lab[..., None, :] - colors).sum(3).argmin(2), np.int32)


def name_of(color: Plane) -> str:
    """Return what people call a colour given in Lab."""
    codes = [(name, bytes.fromhex(code[1:])) for name, several in NAMES.items() for code in several]
    known = to_lab(np.array([[list(code) for _, code in codes]], np.uint8))[0]
    return codes[int(np.square(known - color).sum(1).argmin())][0]
