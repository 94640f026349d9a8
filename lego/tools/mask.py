"""Mask operations: invert, join, intersect, subtract, grow, feather, box, resize, fill holes, pick, near, inside."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.values import Mask
from lego.tools.finders.regions import ellipse

HALF = 128  # from here on a soft pixel counts as masked where only yes or no will do
WIDE = 24  # px; larger elements are slow, and a distance map does the same


@tool
def mask_invert(mask: Mask) -> Mask:
    """Mask everything but what the mask covers."""
    return ~mask


@tool
def mask_union(first: Mask, second: Mask) -> Mask:
    """Mask what either mask covers."""
    return first | second


@tool
def mask_intersect(first: Mask, second: Mask) -> Mask:
    """Mask only what both masks cover."""
    return first & second


@tool
def mask_subtract(first: Mask, second: Mask) -> Mask:
    """Mask what the first mask covers and the second does not."""
    return first - second


@tool
def mask_grow(
    mask: Mask,
    amount: Annotated[
        int, Field(ge=-200, le=200, description="less than 0 shrinks", json_schema_extra={"unit": "px"})
    ] = 5,
) -> Mask:
    """Widen the mask on all sides, or shrink it."""
    if amount == 0:
        return Mask(mask.pixels, mask.confidence)
    pixels = mask.pixels if amount > 0 else 255 - mask.pixels
    grown = _dilated(pixels, abs(amount))
    return Mask(grown if amount > 0 else 255 - grown, mask.confidence)


def _dilated(pixels: Pixels, radius: int) -> Pixels:
    if radius <= WIDE:
        return np.asarray(cv2.dilate(pixels, ellipse(radius)), np.uint8)
    outside = (pixels < HALF).astype(np.uint8)
    if outside.all():
        return np.array(pixels)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    soft = np.clip((radius + 0.5 - distance) * 255, 0, 255).astype(np.uint8)
    return np.asarray(np.maximum(pixels, soft), np.uint8)


@tool
def mask_feather(
    mask: Mask, radius: Annotated[float, Field(ge=0, le=200, json_schema_extra={"unit": "px"})] = 4.0
) -> Mask:
    """Soften the mask's edge over about so many pixels."""
    if radius < 0.1:
        return Mask(mask.pixels, mask.confidence)
    return Mask(np.asarray(cv2.GaussianBlur(mask.pixels, (0, 0), radius / 2), np.uint8), mask.confidence)


@tool
def mask_box(mask: Mask) -> Mask:
    """Mask the whole smallest box around what the mask covers; an empty mask stays empty."""
    half = Mask(np.where(mask.pixels >= HALF, np.uint8(255), np.uint8(0)))
    return Mask.from_box(mask.size, half.box) if half.box else half


@tool
def mask_resize(mask: Mask, factor: Annotated[float, Field(ge=0.1, le=4)] = 1.2) -> Mask:
    """Scale what the mask covers; its bottom edge and the middle of its width stay where they are (as in Lego-Edit)."""
    if mask.box is None:
        return Mask(mask.pixels, mask.confidence)
    x0, _, x1, y1 = mask.box
    middle = (x0 + x1) / 2
    matrix = np.array([[factor, 0, middle * (1 - factor)], [0, factor, y1 * (1 - factor)]])
    matrix[:, 2] += (factor - 1) / 2  # pixel centres lie half a pixel in
    flags = cv2.INTER_LINEAR if factor >= 1 else cv2.INTER_AREA
    return Mask(
        np.asarray(cv2.warpAffine(np.array(mask.pixels), matrix, mask.size, flags=flags), np.uint8), mask.confidence
    )


@tool
def mask_fill_holes(mask: Mask) -> Mask:
    """Mask what the mask encloses as well."""
    outside = np.pad(np.where(mask.pixels >= HALF, np.uint8(0), np.uint8(1)), 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), 2)
    return Mask(np.where(outside[1:-1, 1:-1] == 1, np.uint8(255), mask.pixels), mask.confidence)


@tool(
    phrases={
        "keep the largest part": {"order": "largest"}, "only the leftmost part": {"order": "left"},
        "only the rightmost part": {"order": "right"}, "最大的部分": {"order": "largest"},
    }
)  # fmt: skip
def mask_pick(
    mask: Mask,
    order: Literal["left", "right", "top", "bottom", "largest", "smallest"] = "left",
    number: Annotated[int, Field(ge=1, le=50, description="1 is the first in that order")] = 1,
) -> Mask:
    """Keep one connected part of the mask: the second from the left, the third largest.

    Raises:
        RefusedError: the mask has fewer parts.
    """
    count, labels, stats, centers = cv2.connectedComponentsWithStats((mask.pixels >= HALF).astype(np.uint8))
    area = stats[:, cv2.CC_STAT_AREA]
    key = {"left": centers[:, 0], "right": -centers[:, 0], "top": centers[:, 1], "bottom": -centers[:, 1],
           "largest": -area, "smallest": area}[order]  # fmt: skip
    if mask.box is None:
        return Mask(mask.pixels, mask.confidence)
    if number >= count:
        parts = "1 part" if count == 2 else f"{count - 1} parts"
        raise RefusedError(f"the mask has only {parts}, not {number}", hint="give a smaller number", code="not_found")
    best = 1 + int(np.argsort(key[1:], kind="stable")[number - 1])
    return Mask(_parts_kept(mask.pixels, labels, {best}), mask.confidence)


@tool
def mask_near(
    mask: Mask,
    other: Mask,
    distance: Annotated[float, Field(ge=0, le=100, json_schema_extra={"unit": "%"})] = 5.0,
) -> Mask:
    """Keep the parts of the mask that lie near what the other mask covers: the ball beside the box.

    ``distance`` is a share of the picture's long side between the nearest points.
    """
    far = cv2.distanceTransform((other.pixels < HALF).astype(np.uint8), cv2.DIST_L2, 5)
    reach = distance / 100 * max(mask.size) if other.box else -1.0
    _, labels = cv2.connectedComponents((mask.pixels >= HALF).astype(np.uint8))
    return Mask(_parts_kept(mask.pixels, labels, set(np.unique(labels[far <= reach]).tolist()) - {0}), mask.confidence)


@tool
def mask_inside(
    mask: Mask,
    other: Mask,
    share: Annotated[float, Field(ge=0.1, le=1, description="of a part that has to lie inside")] = 0.5,
) -> Mask:
    """Keep the parts of the mask that lie inside what the other mask covers, holes of the other mask filled."""
    around = mask_fill_holes.function(other).pixels >= HALF
    count, labels = cv2.connectedComponents((mask.pixels >= HALF).astype(np.uint8))
    whole, within = np.bincount(labels.ravel(), minlength=count), np.bincount(labels[around], minlength=count)
    return Mask(
        _parts_kept(mask.pixels, labels, set(np.flatnonzero(within >= share * whole).tolist()) - {0}), mask.confidence
    )


def _parts_kept(pixels: Pixels, labels: NDArray[np.int32], kept: set[int]) -> Pixels:
    """Clear all parts but some; soft rims go or stay with the part that is nearest."""
    stay = np.isin(labels, sorted(kept))
    if not stay.any():
        return np.zeros_like(pixels)
    gone = (labels > 0) & ~stay
    if not gone.any():
        return pixels
    near, far = (cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, 5) for part in (stay, gone))
    return np.where(near <= far, pixels, np.uint8(0))
