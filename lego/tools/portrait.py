"""Portraits: skin smoothed, red eyes mended, teeth whitened; each in a mask, or in the faces that are found."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Share
from lego.core.values import Image, Mask
from lego.tools.finders import face
from lego.tools.finders.regions import Bools, full_size, small_copy
from lego.tools.neural.faces import FaceNet
from lego.tools.pixels import Plane, blend, from_lab, gaussian, guided, to_lab, to_uint8

EYES = (0.2, 0.6, 0.1, 0.9)  # of a face's box: top, bottom, left, right
MOUTH = (0.6, 0.86, 0.28, 0.72)
LEAST_SKIN = 0.1  # of the mask; with less it covers something else
LEAST_TEETH = 0.01  # of the mask
FEATURE = 12.0  # L by which a feature of the face differs from the skin about it; blemishes differ by less
PORES = 0.5  # of the finest texture stays
GLARE = (70, 110)  # red from which it can be the flash's: in an eye that is pointed at, in a face (brown eyes have 90)
REDNESS = 1.9  # R² / (G² + B²) from which a pupil is red; skin has 1.0, lips up to 1.8
ROUND = 0.55  # of the circle about it that a pupil fills at least


@tool(
    effect="-grain",
    phrases={
        "smooth skin": {"amount": 0.6}, "soften skin": {"amount": 0.5}, "retouch skin": {"amount": 0.6},
        "skin smoothing": {"amount": 0.6}, "smooth face": {"amount": 0.6}, "smooth out skin": {"amount": 0.6},
        "airbrush": {"amount": 0.8}, "airbrush skin": {"amount": 0.8}, "airbrush face": {"amount": 0.8},
        "clear skin": {"amount": 0.7}, "clean up skin": {"amount": 0.6}, "smoother skin": {"amount": 0.6},
        "make skin smoother": {"amount": 0.6}, "make skin softer": {"amount": 0.5},
        "reduce wrinkles": {"amount": 0.8}, "remove wrinkles": {"amount": 0.9}, "soften wrinkles": {"amount": 0.7},
        "beauty filter": {"amount": 0.6}, "beautify face": {"amount": 0.6}, "beautify portrait": {"amount": 0.6},
        "beautify skin": {"amount": 0.6}, "retouch face": {"amount": 0.6}, "retouch portrait": {"amount": 0.6},
        "磨皮": {"amount": 0.6}, "美肤": {"amount": 0.6}, "皮肤光滑": {"amount": 0.6}, "光滑皮肤": {"amount": 0.6},
        "平滑皮肤": {"amount": 0.6}, "柔化皮肤": {"amount": 0.5}, "美颜": {"amount": 0.6}, "去皱纹": {"amount": 0.8},
        "皮肤更光滑": {"amount": 0.6}, "祛皱": {"amount": 0.8},
    }
)  # fmt: skip
def smooth_skin(image: Image, mask: Mask | None = None, amount: Share = 0.6, *, faces: FaceNet = None) -> Image:
    """Smooth the skin of faces (or of what is masked) and keep its pores, and eyes, lips and hair as they are.

    What differs a little from a blur within the skin (a fortieth of the face and up) is taken down, in L and in colour;
    half of the finest texture stays, and what differs much is a feature.

    Raises:
        RefusedError: no mask is given and no face found, or what is masked has hardly any skin.
    """
    if amount == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    where = _faces(image, "skin", faces) if mask is None else mask
    x0, y0, x1, y1 = where.box or (0, 0, *image.size)
    lab = to_lab(np.ascontiguousarray(image.pixels[y0:y1, x0:x1]))
    inside = where.pixels[y0:y1, x0:x1]
    skin = _skin(lab)
    if float(skin[inside > 127].mean() if (inside > 127).any() else skin.mean()) < LEAST_SKIN:
        raise _nothing("skin", "the mask covers hardly anything of the colour of skin")
    side = math.sqrt(max(1, int((inside > 127).sum())))
    light: Plane = lab[..., 0].copy()
    share = np.float32(amount) * guided(light / np.float32(100), skin, max(1, round(side / 40)), 1e-3).clip(0, 1)
    even = _even(lab, skin, side / 24)
    plain = skin * np.exp(-(((light - even[..., 0]) / FEATURE) ** 2))  # without hair, brows, nostrils and shine
    even = _even(lab, plain, side / 24)
    blotch = light - even[..., 0]
    texture = light - cv2.GaussianBlur(light, (0, 0), max(0.6, side / 160), borderType=cv2.BORDER_REFLECT)
    weight = share * np.exp(-((blotch / FEATURE) ** 2))
    lab[..., 0] = np.clip(light - weight * (blotch - PORES * texture), 0, 100)
    lab[..., 1:] -= (np.float32(0.4) * weight)[..., None] * (lab[..., 1:] - even[..., 1:])
    edit = image.pixels.copy()
    edit[y0:y1, x0:x1] = to_uint8(from_lab(lab))
    return blend(image, edit, where)


def _even(lab: Plane, skin: Plane, sigma: float) -> Plane:
    """Lab blurred within the skin, as if there were nothing else."""
    weight = np.asarray(gaussian(skin, sigma), np.float32)[..., None] + np.float32(1e-3)
    return np.asarray((gaussian(lab * skin[..., None], sigma) + lab * np.float32(1e-3)) / weight, np.float32)


def _faces(image: Image, what: str, detect: face.Detect | None) -> Mask:
    """The faces in the picture; refused if there is none for sure."""
    found = face.find(small_copy(image.pixels, face.SIDE), detect)
    if found.confidence < face.GATE or not found.mask.any():
        raise _nothing(what, "no face was found for sure")
    return Mask(full_size(found.mask, image.pixels), found.confidence)


def _nothing(what: str, why: str) -> RefusedError:
    return RefusedError(
        f"there is no {what} to retouch: {why}", hint="point at it: --box X0,Y0,X1,Y1 or --mask FILE", code="not_found"
    )


def _skin(lab: Plane) -> Plane:
    """How much each pixel has the colour of skin, 0..1, with soft limits."""
    chroma, hue = cv2.cartToPolar(lab[..., 1], lab[..., 2], angleInDegrees=True)
    hue = np.where(hue > 300, hue - 360, hue)
    return np.asarray(
        _within(hue, *face.SKIN_HUE, 8) * _within(chroma, *face.SKIN_CHROMA, 5) * _within(lab[..., 0], 25, 200, 8),
        np.float32,
    )


def _within(values: NDArray[Any], low: float, high: float, soft: float) -> NDArray[Any]:
    """1 between the limits, falling to 0 over ``soft`` beyond them."""
    return np.asarray(np.clip(1 + np.minimum(values - low, high - values) / soft, 0, 1))


def _part(where: Mask, area: tuple[float, float, float, float]) -> Mask:
    """The part of each face's box in which eyes or mouth are, cut out of the faces."""
    pixels = np.zeros_like(where.pixels)
    count, _, boxes, _ = cv2.connectedComponentsWithStats((where.pixels > 127).astype(np.uint8))
    for x, y, width, height, _ in boxes[1:count]:
        rows = slice(y + round(area[0] * height), y + max(1, round(area[1] * height)))
        columns = slice(x + round(area[2] * width), x + max(1, round(area[3] * width)))
        pixels[rows, columns] = where.pixels[rows, columns]
    return Mask(pixels, where.confidence)


@tool(
    phrases=[
        "red eye", "remove red eye", "remove red eyes", "fix red eye", "fix red eyes", "red eye removal",
        "correct red eye", "red eye correction", "red-eye", "remove red-eye", "fix red-eye", "get rid of red eyes",
        "红眼", "去红眼", "消除红眼", "去除红眼", "修复红眼", "红眼修正",
    ]
)  # fmt: skip
def red_eye(image: Image, mask: Mask | None = None, amount: Share = 1.0, *, faces: FaceNet = None) -> Image:
    """Turn pupils that the flash made red dark again, in the masked eyes or in the faces that are found.

    Red and round spots lose their red to the mean of green and blue; glints stay.

    Raises:
        RefusedError: no mask is given and no face found, or there is no red round spot in it.
    """
    if amount == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    where = _part(_faces(image, "red eye", faces), EYES) if mask is None else mask
    x0, y0, x1, y1 = where.box or (0, 0, *image.size)
    part = image.pixels[y0:y1, x0:x1].astype(np.float32)
    red, others = part[..., 0], part[..., 1] ** 2 + part[..., 2] ** 2
    glaring = (red**2 > REDNESS * (others + 100)) & (red > GLARE[mask is None]) & (where.pixels[y0:y1, x0:x1] > 0)
    pupils = _round_spots(np.asarray(glaring, np.bool_), mask is None)
    if not pupils.any():
        raise _nothing("red eye", "it holds no red and round spot")
    soft = cv2.GaussianBlur(pupils.astype(np.float32), (0, 0), max(0.6, math.sqrt(pupils.sum()) / 25))
    share = np.float32(amount) * np.clip(soft * 2, 0, 1) * np.clip((red / np.sqrt(others / 2 + 1) - 1) / 0.3, 0, 1)
    part[..., 0] += share * ((part[..., 1] + part[..., 2]) / 2 - red)
    part *= (1 - np.float32(0.25) * share)[..., None]
    edit = image.pixels.copy()
    edit[y0:y1, x0:x1] = to_uint8(part)
    return blend(image, edit, where)


def _round_spots(spots: Bools, in_face: bool) -> Bools:
    """Those connected spots that fill most of the circle about them, widened by their soft rim."""
    kept = np.zeros(spots.shape, np.uint8)
    closed = cv2.morphologyEx(spots.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    most = 0.06 if in_face else 0.7  # of the area that is looked at; a whole red box is no eye
    for contour in contours:
        _, radius = cv2.minEnclosingCircle(contour)
        area = cv2.contourArea(contour) + len(contour) / 2 + 1  # to the outer edge of its pixels
        if radius >= 1 and area > ROUND * math.pi * (radius + 0.5) ** 2 and area < most * spots.size:
            cv2.drawContours(kept, [contour], -1, 1, -1)
    return np.asarray(cv2.dilate(kept, np.ones((3, 3), np.uint8)) > 0, np.bool_)


@tool(
    phrases={
        "whiten teeth": {}, "whiter teeth": {}, "white teeth": {}, "brighten teeth": {}, "teeth whitening": {},
        "make teeth whiter": {}, "make teeth white": {}, "bleach teeth": {"amount": 0.8}, "whiten smile": {},
        "brighten smile": {}, "fix yellow teeth": {"amount": 0.8}, "teeth whiter": {}, "美白牙齿": {}, "牙齿美白": {},
        "牙齿变白": {}, "牙齿更白": {}, "白牙": {}, "让牙齿更白": {},
    }
)  # fmt: skip
def whiten_teeth(image: Image, mask: Mask | None = None, amount: Share = 0.6, *, faces: FaceNet = None) -> Image:
    """Whiten teeth: less yellow and a little lighter, in the masked mouth or in the faces that are found.

    Only what is light, pale and yellowish changes; lips and gums stay.

    Raises:
        RefusedError: no mask is given and no face found, or nothing in it looks like teeth.
    """
    if amount == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    where = _part(_faces(image, "tooth", faces), MOUTH) if mask is None else mask
    x0, y0, x1, y1 = where.box or (0, 0, *image.size)
    lab = to_lab(np.ascontiguousarray(image.pixels[y0:y1, x0:x1]))
    inside = where.pixels[y0:y1, x0:x1] > 127
    teeth = _teeth(lab, inside)
    if teeth[inside].mean() < LEAST_TEETH if inside.any() else True:
        raise _nothing("tooth", "nothing in it is as light, pale and yellowish as teeth")
    share = np.float32(amount) * teeth
    lab[..., 2] -= share * np.float32(0.75) * np.maximum(lab[..., 2] - 1, 0)
    lab[..., 1] -= share * np.float32(0.4) * np.maximum(lab[..., 1], 0)
    lab[..., 0] += share * np.minimum(10, np.float32(0.35) * (96 - lab[..., 0]).clip(0))
    edit = image.pixels.copy()
    edit[y0:y1, x0:x1] = to_uint8(from_lab(lab))
    return blend(image, edit, where)


def _teeth(lab: Plane, inside: Bools) -> Plane:
    """How much each pixel looks like a tooth, 0..1: lighter and far less red than the lips and skin about it."""
    if not inside.any():
        return np.zeros(lab.shape[:2], np.float32)
    level, redness = float(np.median(lab[..., 0][inside])), float(np.percentile(lab[..., 1][inside], 70))
    light = _within(lab[..., 0], np.clip(level - 5, 45, 72), 200, 8)
    found = light * _within(lab[..., 1], -8, np.clip(0.35 * redness, 1, 6), 2.5) * _within(lab[..., 2], -4, 34, 6)
    found *= redness > 6  # nothing red about it: no mouth
    clean = cv2.morphologyEx(found.astype(np.float32), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    clean = clean * _central(np.asarray((clean > 0.2) & inside, np.bool_))
    return np.asarray(cv2.GaussianBlur(clean, (0, 0), max(0.5, max(inside.shape) / 200)), np.float32)


def _central(spots: Bools) -> Plane:
    """Those connected spots that are large and about the middle, 1; a sheen on the cheek is neither."""
    _, labels, boxes, centers = cv2.connectedComponentsWithStats(spots.astype(np.uint8))
    away = (centers / (spots.shape[1], spots.shape[0]) - 0.5) / 0.22
    weight = boxes[:, cv2.CC_STAT_AREA] * np.exp(-(away**2).sum(1))
    weight[0] = 0
    kept = weight > 0.15 * max(float(weight.max()), 1e-6)
    return np.asarray(cv2.dilate(kept[labels].astype(np.float32), np.ones((3, 3), np.uint8)), np.float32)
