"""Find things: by words, by a box, by a point, by a rough mask."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Coordinate, Target
from lego.core.values import Image, Mask
from lego.tools.finders import color, face, hair, ocr, sky, subject, words
from lego.tools.finders.regions import (
    BACK,
    FRONT,
    MAYBE_BACK,
    MAYBE_FRONT,
    Bools,
    Found,
    ellipse,
    full_size,
    grabcut,
    lab_of,
    separation,
    small_copy,
)
from lego.tools.finders.words import Wanted
from lego.tools.neural.faces import FaceNet
from lego.tools.neural.hair import HairNet
from lego.tools.pixels import must_fit

SIDE = 512  # px at which a user's box, point or mask is refined: GrabCut takes a tenth of what it takes at 1600
AREA = (0.0004, 0.70)  # shares of the picture that a found colour may take; more is the light, not a thing
HINT = "point at it: --box X0,Y0,X1,Y1 or --mask FILE; to find things by name a network is needed"
COLOURFUL = 18.0  # Lab chroma that a subject must have to pass for a flower
Refine = Annotated[bool, Field(description="cut out the thing in the box; else the whole box")]
Near: TypeAlias = Annotated[
    float, Field(ge=0, le=100, description="0 is the nearest thing", json_schema_extra={"unit": "%"})
]
Far: TypeAlias = Annotated[
    float, Field(ge=0, le=100, description="100 is the farthest", json_schema_extra={"unit": "%"})
]


@tool(
    phrases=[
        "segment",
        "select",
        "find",
        "mask",
        "show mask of",
        "find mask of",
        "分割",
        "选中",
        "选择",
        "找出",
        "抠图",
    ]
)
def segment(image: Image, target: Target, *, faces: FaceNet = None, hair: HairNet = None) -> Mask:
    """Find what the words name: a coloured thing ("the red car on the left"), text, the sky, subject or background.

    Text is all there is, or what is quoted: "the words 'SALE'"; the mask covers the words, not the sign under them.
    Colours, the sky and a clear subject are found; nouns cannot be checked, and the notes say so. A flower is accepted
    if the subject is colourful and not green.

    Raises:
        RefusedError: nothing was found with enough confidence; ``details`` carry it and the rejected ``mask``.
    """
    wanted = words.read(target)
    if wanted.kind == "all":
        return Mask(np.full(image.pixels.shape[:2], 255, np.uint8), 1.0)
    found, gate = _text(image, wanted) if wanted.kind == "text" else _found(image.pixels, wanted, target, faces, hair)
    area = float(found.mask.mean())
    if found.confidence < gate or (wanted.kind == "color" and not AREA[0] < area < AREA[1]):
        seen = "; ".join(found.notes) or "nothing"
        raise RefusedError(
            f"'{target}' was not found for sure: confidence {found.confidence:.2f} of the {gate:.2f} that are needed, "
            f"{area:.0%} of the picture; {seen}",
            hint=HINT,
            code="not_found",
            confidence=found.confidence,
            mask=Mask(full_size(found.mask, image.pixels), found.confidence),
        )
    if wanted.kind == "text":  # whole lines, which need not follow the edges of their letters
        return Mask(found.mask, found.confidence, (*found.notes, f"confidence {found.confidence:.2f}"))
    mask = full_size(found.mask, image.pixels)
    mask = 255 - mask if wanted.kind == "background" else mask
    return Mask(mask, found.confidence, (*found.notes, f"confidence {found.confidence:.2f}"))


def _text(image: Image, wanted: Wanted) -> tuple[Found, float]:
    return ocr.find(image, wanted.said, wanted.choose)[0], ocr.GATE


def _found(
    pixels: Pixels, wanted: Wanted, target: str, faces: face.Detect | None, likely: hair.Likelihood | None
) -> tuple[Found, float]:
    """Ask the finder that the words call for; return what it found, and its gate."""
    if wanted.kind == "color":
        return color.find(small_copy(pixels, color.SIDE), wanted.color, wanted.choose), color.GATE
    if wanted.kind == "sky":
        return sky.find(small_copy(pixels, sky.SIDE)), sky.GATE
    if wanted.kind == "face":
        return face.find(small_copy(pixels, face.SIDE), faces), face.GATE
    if wanted.kind == "hair" and likely is not None:
        return hair.find(small_copy(pixels, hair.SIDE), likely, faces), hair.GATE
    if wanted.kind in ("subject", "background", "flower"):
        small = small_copy(pixels, subject.SIDE)
        found = subject.find(small)
        if wanted.kind == "flower" and not _could_be_a_flower(small, found.mask):
            found = Found(found.mask, 0.0, ("the subject has not the colours of a flower",))
        return found, subject.GATE
    if wanted.kind == "hair":
        hint = "`lego models pull hair` finds it around faces; or draw it: --mask FILE"
        raise RefusedError(
            f"'{target}' was not looked for; hair takes a network", hint=hint, code="not_found", confidence=0.0
        )
    what = "white, black and grey things" if wanted.kind == "grey" else "a noun"
    why = f"{what} cannot be found here without a network: only colours, text, the sky, the subject and the background"
    raise RefusedError(f"'{target}' was not looked for; {why}", hint=HINT, code="not_found", confidence=0.0)


def _could_be_a_flower(pixels: Pixels, mask: Bools) -> bool:
    if not mask.any():
        return False
    a, b = (float(np.median(lab_of(pixels)[..., n][mask])) for n in (1, 2))
    return bool(np.hypot(a, b) > COLOURFUL and a > -8)


@tool(phrases=["segment box", "框选"])
def segment_box(
    image: Image,
    left: Coordinate = 0,
    top: Coordinate = 0,
    right: Coordinate = 1000,
    bottom: Coordinate = 1000,
    refine: Refine = True,
) -> Mask:
    """Find the thing in a box given in thousandths of the picture's width and height."""
    if right <= left or bottom <= top:
        raise ValueError(f"the box {left}, {top}, {right}, {bottom} is empty; give left < right and top < bottom")
    width, height = image.size
    x0, y0, x1, y1 = left * width / 1000, top * height / 1000, right * width / 1000, bottom * height / 1000
    mask = Mask.from_box(image.size, (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
    return _refined(image, mask, sure=0.0) if refine else mask


@tool(abstract=True, phrases=["mask by distance", "mask what is near", "mask what is far away", "按距离选取"])
def mask_distance(
    image: Image,
    near: Near = 0.0,
    far: Far = 50.0,
) -> Mask:
    """Mask what is between two distances from the camera, in per cent of the way from the nearest to the farthest.

    Edges are as soft as a twentieth of that way. Distances are those that a network sees, not metres.

    Raises:
        ValueError: ``near`` is not below ``far``.
    """
    raise NotImplementedError


@tool(phrases=["segment point", "点选"])
def segment_point(image: Image, x: Coordinate, y: Coordinate) -> Mask:
    """Find the thing at a point given in thousandths of the picture's width and height; less sure than a box."""
    small = small_copy(image.pixels, SIDE)
    height, width = small.shape[:2]
    column, row = min(width - 1, x * width // 1000), min(height - 1, y * height // 1000)
    lab = lab_of(small)
    near = np.linalg.norm(lab - lab[row, column], axis=2) < 18  # Lab units within which one material varies
    _, labels = cv2.connectedComponents(near.astype(np.uint8))
    part = np.asarray(labels == labels[row, column], np.bool_) & near
    if not part.any():
        part[row, column] = True
    marks = np.full(part.shape, MAYBE_BACK, np.uint8)
    marks[cv2.dilate(part.astype(np.uint8), ellipse(max(2, max(part.shape) // 40))) > 0] = MAYBE_FRONT
    marks[part] = FRONT
    cut = grabcut(small, marks, 3)
    confidence = round(min(0.7, separation(lab, cut)), 3)  # a click alone was right half the time, so never surer
    return Mask(full_size(cut, image.pixels), confidence, ("grown from one point; check its outline",))


@tool(phrases=["refine mask", "tighten mask", "优化选区"])
def mask_refine(image: Image, mask: Mask) -> Mask:
    """Tighten a roughly drawn mask or box to the outline of the thing in it."""
    must_fit(image, mask)
    return _refined(image, mask, sure=0.25)


def _refined(image: Image, mask: Mask, sure: float) -> Mask:
    """GrabCut in the mask's surroundings; ``sure`` is the share of its depth that surely is the thing."""
    if mask.box is None or mask.share > 0.98:
        return Mask(mask.pixels, mask.confidence)
    x0, y0, x1, y1 = mask.box
    room_x, room_y = round(0.4 * (x1 - x0)) + 8, round(0.4 * (y1 - y0)) + 8
    left, top = max(0, x0 - room_x), max(0, y0 - room_y)
    right, bottom = min(image.size[0], x1 + room_x), min(image.size[1], y1 + room_y)
    crop = np.ascontiguousarray(image.pixels[top:bottom, left:right])
    small = small_copy(crop, SIDE)
    rough = cv2.resize(mask.pixels[top:bottom, left:right], small.shape[1::-1], interpolation=cv2.INTER_AREA) > 127
    if not rough.any():
        return Mask(mask.pixels, mask.confidence)
    depth = cv2.distanceTransform(np.pad(rough.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    marks = np.full(rough.shape, BACK, np.uint8)
    if sure:
        margin = max(2, round(0.15 * float(depth.max())))
        marks[cv2.dilate(rough.astype(np.uint8), ellipse(margin)) > 0] = MAYBE_BACK
    marks[rough] = MAYBE_FRONT
    if sure:
        marks[depth > (1 - sure) * float(depth.max())] = FRONT
    cut = grabcut(small, marks, 5)
    if cut.sum() < 0.1 * rough.sum():
        note = "nothing in it stands out, so it was left as drawn"
        return Mask(mask.pixels, mask.confidence, (note,))
    pixels = np.zeros(mask.pixels.shape, np.uint8)
    pixels[top:bottom, left:right] = full_size(subject.smoothed(cut), crop)
    return Mask(pixels, round(separation(lab_of(small), cut), 3))
