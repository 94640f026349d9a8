"""Find the hair of faces that are seen: what a network takes for hair, as far as it grows from a face's surroundings.

The network alone takes fur, petals and wood for hair as well; none of these has a face of a person in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from lego.core.codec import Pixels
from lego.tools.finders import face
from lego.tools.finders.regions import Found, parts
from lego.tools.pixels import Plane

SIDE = face.SIDE
GATE = 0.6
HAIR = 0.5  # likelihood from which a pixel is hair
ASIDE, ABOVE, BELOW = 0.7, 0.9, 0.6  # sides of a face's square around it, in which its hair begins
LEAST = 0.02  # of that: less hair is none
Likelihood: TypeAlias = Callable[[Pixels], Plane]


def find(pixels: Pixels, likely: Likelihood, detect: face.Detect | None = None) -> Found:
    """Return the hair of all faces of a small copy (H x W x 3) as one mask.

    Args:
        likely: gives for each pixel how likely it is hair, H x W, 0..1.
        detect: finds faces; the cascade does without it.

    Raises:
        RefusedError: the cascade is not installed.
    """
    boxes, confidence = face.boxes_of(pixels, detect)
    if not boxes:
        return Found(np.zeros(pixels.shape[:2], np.bool_), 0.0, ("hair is found around faces, and no face was seen",))
    share = likely(pixels)
    near = np.zeros(share.shape, np.bool_)
    for x, y, side in boxes:
        top, left = max(0, round(y - ABOVE * side)), max(0, round(x - ASIDE * side))
        near[top : round(y + (1 + BELOW) * side), left : round(x + (1 + ASIDE) * side)] = True
    grown = [part for part in parts(share > HAIR) if (part & near).any()]
    rough = np.any(grown, axis=0) if grown else np.zeros(near.shape, np.bool_)
    if (rough & near).mean() < LEAST * near.mean():
        return Found(rough, 0.0, ("no hair was seen around the face",))
    return Found(rough, round(min(confidence, float(share[rough].mean())), 3), (f"hair of {face.count(len(boxes))}",))
