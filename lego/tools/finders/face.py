"""Find faces seen from the front: a cascade of local binary patterns, checked by the colours of skin.

The cascade (Liao 2007, the one that scikit-image ships) comes with the extra ``find``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeAlias

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.tools.finders.regions import BACK, FRONT, MAYBE_BACK, MAYBE_FRONT, Bools, Found, grabcut, lab_of
from lego.tools.pixels import Plane

SIDE = 640  # px of the long side: 0.2 s, and faces of a twelfth of the height are still 24 px
SMALLEST = 24  # px, the cascade's own window
STEP = 1.07  # between the sizes that are tried
SURE = {
    8: 0.80,
    16: 0.88,
    24: 0.95,
}  # overlapping hits: confidence; with 4, fur, petals and a spoon pass on seven photographs
GATE = 0.75
SKIN = 0.5  # of the box's middle must have a colour of skin; the astronaut's has .95, the best of what is no face .6
SKIN_HUE = (20, 75)  # degrees in Lab, of skin of every shade
TALL, HIGH = 0.85, 0.46  # of a detector's box: side of the cascade's square over the same face, and where its middle is
Square: TypeAlias = tuple[int, int, int]  # left, top and side in px
Face: TypeAlias = tuple[float, float, float, float, float]  # left, top, width, height in px, and score
Detect: TypeAlias = Callable[[Pixels], list[Face]]
SKIN_CHROMA = (8, 48)


def find(pixels: Pixels, detect: Detect | None = None) -> Found:
    """Return all faces of a small copy (H x W x 3) as one mask.

    Args:
        detect: a better detector than the cascade.

    Raises:
        RefusedError: the extra that brings the cascade is not installed.
    """
    boxes, confidence = boxes_of(pixels, detect)
    mask = np.zeros(pixels.shape[:2], np.bool_)
    for box in boxes:
        mask |= _outlined(pixels, box)
    return Found(mask, confidence, (f"found {count(len(boxes))}",))


def boxes_of(pixels: Pixels, detect: Detect | None = None) -> tuple[list[Square], float]:
    """Return a square for each face, and how sure they are; arguments and errors as `find`."""
    return _cascaded(pixels) if detect is None else _detected(detect(pixels))


def count(faces: int) -> str:
    """Return a number of faces in words."""
    return "one face" if faces == 1 else f"{faces or 'no'} faces"


def _cascaded(pixels: Pixels) -> tuple[list[Square], float]:
    """What the cascade sees in the colours of skin, and how sure that is."""
    boxes: list[Square] = []
    confidence = 0.0
    for hits, sure in SURE.items():
        found = [box for box in _boxes(pixels, hits) if _skin(pixels, box) > SKIN]
        if not found:
            break
        boxes, confidence = boxes or found, sure
    return boxes, confidence


def _detected(faces: list[Face]) -> tuple[list[Square], float]:
    """The same of a detector, whose boxes end at the brows and the chin."""
    boxes = []
    for x, y, width, height, _ in faces:
        side = max(2, round(TALL * height))
        boxes.append((round(x + width / 2 - side / 2), round(y + HIGH * height - 0.54 * side), side))
    return boxes, min((face[4] for face in faces), default=0.0)


def _boxes(pixels: Pixels, hits: int) -> list[Square]:
    """Left, top and side of each square in which the cascade sees a face."""
    if find_spec("skimage") is None:
        raise RefusedError(
            "faces cannot be found: the detector is not installed",
            hint="pip install scikit-image (or the extra 'find'), or point at it: --box X0,Y0,X1,Y1 or --mask FILE",
            code="not_found",
            confidence=0.0,
        )
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    height, width = pixels.shape[:2]
    least = max(SMALLEST, height // 12)
    if min(height, width) <= least:
        return []
    found = Cascade(lbp_frontal_face_cascade_filename()).detect_multi_scale(
        pixels, STEP, 1, (least, least), (min(height, width),) * 2, min_neighbor_number=hits
    )
    return [(int(face["c"]), int(face["r"]), int(face["width"])) for face in found]


def _skin(pixels: Pixels, box: Square) -> float:
    """Share of a face's middle that has the colour of skin."""
    x, y, side = box
    middle = np.ascontiguousarray(pixels[y + side // 5 : y + side * 9 // 10, x + side // 5 : x + side * 4 // 5])
    return float(_like_skin(lab_of(middle)).mean())


def _like_skin(lab: Plane) -> Bools:
    chroma, hue = cv2.cartToPolar(lab[..., 1], lab[..., 2], angleInDegrees=True)
    toned = (chroma > SKIN_CHROMA[0]) & (chroma < SKIN_CHROMA[1]) & (lab[..., 0] > 20)
    return np.asarray(toned & (hue > SKIN_HUE[0]) & (hue < SKIN_HUE[1]), np.bool_)


def _outlined(pixels: Pixels, box: Square) -> Bools:
    """The face in a box: surely the oval in its middle, at most a wider one with chin and ears, cut along its edges."""
    x, y, side = box
    center = (x + side // 2, y + round(0.54 * side))
    labels = np.full(pixels.shape[:2], BACK, np.uint8)
    for label, across, down in ((MAYBE_BACK, 0.52, 0.72), (MAYBE_FRONT, 0.44, 0.60), (FRONT, 0.36, 0.48)):
        cv2.ellipse(labels, center, (round(across * side), round(down * side)), 0, 0, 360, label, -1)
    cut = grabcut(pixels, labels, 3)
    smooth = cv2.medianBlur(cut.astype(np.uint8), 2 * max(1, side // 24) + 1)
    return np.asarray((smooth > 0) | (labels == FRONT), np.bool_)
