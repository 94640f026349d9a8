"""Lines that ought to be parallel: the camera turned upright after the fact."""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.values import Image

Floats: TypeAlias = NDArray[np.float64]

FOCAL = 1.0  # focal length in long sides, as of a 36 mm lens on film: what it is, the pixels do not tell
LOOK = 1024  # px of the long side on which lines are looked for
UPRIGHT = 25.0  # degrees from upright within which a line may be a wall's edge
LONG_LINE = 0.04  # of the long side: shorter ones are texture
AGREE = 1.0  # degrees from upright within which lines are, once the camera is turned
ENOUGH_LINES = 1.5  # long sides of agreeing lines
ENOUGH_SHARE = 0.6  # of all that might be upright, by length
SPREAD = 0.16  # of the width, over which agreeing lines must be spread: convergence shows only between places apart
LEVEL = 0.7  # degrees; a camera tilted by less is held straight
TOO_FAR = 25.0  # degrees; a camera so steep is meant to be
LEAST_LEFT = 0.4  # of the picture's area that has to be left
LANCZOS_UP_TO = 4_000_000  # px; larger pictures are turned by cubic resampling, three times as fast

Tilt: TypeAlias = Annotated[float, Field(ge=-30, le=30, json_schema_extra={"unit": "degrees"})]


@tool(
    scope="geometric",
    phrases={
        "fix perspective": {}, "correct perspective": {}, "perspective correction": {}, "fix converging lines": {},
        "fix converging verticals": {}, "correct converging verticals": {}, "straighten verticals": {},
        "make verticals parallel": {}, "straighten building": {}, "fix keystone": {}, "correct keystone": {},
        "keystone correction": {}, "make building upright": {}, "make buildings straight": {},
        "fix leaning building": {},
        "stop building leaning back": {}, "make walls vertical": {}, "make vertical lines straight": {},
        "fix perspective by {vertical}": {}, "tilt camera up {vertical}": {}, "tilt perspective {vertical}": {},
        "校正透视": {}, "透视校正": {}, "修正透视": {}, "纠正透视": {}, "矫正透视": {}, "校正梯形": {},
        "梯形校正": {},
        "把建筑拉直": {}, "让建筑垂直": {}, "校正建筑": {}, "垂直校正": {}, "校正垂直线": {},
    },
)  # fmt: skip
def perspective(
    image: Image,
    vertical: Annotated[
        Tilt | None, Field(description="how far the camera looked up (down: below 0); found if left out")
    ] = None,
    horizontal: Annotated[Tilt, Field(description="how far it looked to the right of straight on")] = 0.0,
) -> Image:
    """Turn the camera upright after the fact, so that walls stop leaning; crops to what is left.

    Without an angle it is read from the straight lines (LSD, Grompone von Gioi 2010): the point in which uprights meet
    gives tilt and roll of the camera (a rotation about its centre, so nothing but the view changes).

    Raises:
        RefusedError: no angle was given and the lines do not tell one, or too little of the picture would be left.
    """
    if vertical is None and horizontal == 0:
        pitch, roll, note = _tilt(image.pixels)
    else:
        pitch, roll, note = math.radians(vertical or 0.0), 0.0, ""
    if pitch == 0 and roll == 0 and horizontal == 0:
        return Image(image.pixels, image.alpha, (note,) if note else ())
    turned, left = _turned(image, _rotation(pitch, math.radians(horizontal), roll))
    return Image(turned.pixels, turned.alpha, tuple(n for n in (note, f"{left:.0%} of the picture is left") if n))


def _rotation(pitch: float, yaw: float, roll: float) -> Floats:
    """Turns what the tilted camera saw into what an upright one sees."""
    (cp, sp), (cy, sy), (cr, sr) = ((math.cos(a), math.sin(a)) for a in (pitch, yaw, roll))
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z)


def _turned(image: Image, rotation: Floats) -> tuple[Image, float]:
    """The picture as the turned camera sees it, cropped to the largest piece of its own proportions."""
    width, height = image.size
    focal = FOCAL * max(width, height)
    camera = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    matrix = camera @ rotation @ np.linalg.inv(camera)
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float64)
    depth = np.column_stack([corners, np.ones(4)]) @ matrix[2]
    if depth.min() <= 0.1:
        raise RefusedError("the camera would turn too far", hint="give a smaller angle", reason="too_far")
    quad = np.asarray(cv2.perspectiveTransform(corners[None], matrix)[0], np.float64)
    middle, share = _largest_inside(quad, width, height)
    half = share / 2 * np.array([(-width, -height), (width, -height), (width, height), (-width, height)])
    kept = cv2.perspectiveTransform((middle + half)[None], np.linalg.inv(matrix))[0]
    left = float(cv2.contourArea(kept.astype(np.float32))) / (width * height)
    if left < LEAST_LEFT and min(width, height) > 8:
        raise RefusedError(
            f"only {left:.0%} of the picture would be left", hint="give a smaller angle", reason="too_far"
        )
    size = (max(1, round(width * share)), max(1, round(height * share)))
    shift = np.array([[1, 0, (size[0] - 1) / 2 - middle[0]], [0, 1, (size[1] - 1) / 2 - middle[1]], [0, 0, 1]])
    way = cv2.INTER_LANCZOS4 if width * height <= LANCZOS_UP_TO else cv2.INTER_CUBIC
    whole = shift @ matrix
    made = image.map(lambda a: cv2.warpPerspective(a, whole, size, flags=way, borderMode=cv2.BORDER_REPLICATE))
    return made, min(1.0, left)


def _largest_inside(quad: Floats, width: int, height: int) -> tuple[Floats, float]:
    """Middle and size (as a share of width x height) of the largest upright rectangle in a convex quad; at most 1.

    Each side allows ``share <= (c - n m) / (|n| half)``; the least of the four is concave in m, so a grid that closes
    in finds its top.
    """
    after = np.roll(quad, -1, axis=0)
    normal = np.column_stack([after[:, 1] - quad[:, 1], quad[:, 0] - after[:, 0]])  # outwards, as y points down
    limit = (normal * quad).sum(1)
    need = np.abs(normal) @ np.array([(width - 1) / 2, (height - 1) / 2])
    low, high = quad.min(0), quad.max(0)
    best, share = quad.mean(0), 0.0
    for _ in range(12):
        grid = np.stack(np.meshgrid(*np.linspace(low, high, 15).T), -1).reshape(-1, 2)
        allowed = ((limit - grid @ normal.T) / np.maximum(need, 1e-9)).min(1)
        best, share = grid[allowed.argmax()], float(allowed.max())
        reach = (high - low) / 7
        low, high = best - reach, best + reach
    return best, min(1.0, share)


def _tilt(pixels: Pixels) -> tuple[float, float, str]:
    """Pitch and roll of the camera in radians, and the reason; 0 if it was held straight."""
    ends = _uprights(pixels)
    if len(ends) < 4 or _lengths(ends).sum() < ENOUGH_LINES:
        raise _unsure("it shows no long upright lines")
    weight = _lengths(ends)
    rays = np.concatenate([ends, np.full((len(ends), 2, 1), FOCAL)], axis=2)
    lines = np.cross(rays[:, 0], rays[:, 1])
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    trust = weight.copy()
    p = q = 0.0
    for _ in range(20):  # least squares, line by line less for those that disagree
        (p, q), *_ = np.linalg.lstsq(lines[:, [0, 2]] * trust[:, None], -lines[:, 1] * trust, rcond=None)
        miss = np.degrees(np.abs(lines @ np.array([p, 1, q])) / math.hypot(p, 1, q))
        trust = weight / (1 + (miss / (AGREE / 2)) ** 2)
    good = miss < AGREE
    if weight[good].sum() < max(ENOUGH_LINES, ENOUGH_SHARE * weight.sum()):
        raise _unsure("its lines meet in different points")
    middle = ends[good].mean(1)[:, 0]
    if np.sqrt(np.average((middle - np.average(middle, weights=weight[good])) ** 2, weights=weight[good])) < SPREAD:
        raise _unsure("its upright lines stand too close together")
    pitch, roll = -math.atan2(q, math.hypot(p, 1)), math.atan2(p, 1)
    if max(abs(pitch), abs(roll)) > math.radians(TOO_FAR):
        raise _unsure("its lines lean so far that they may be meant to")
    up, lean = math.degrees(pitch), math.degrees(roll)
    if max(abs(up), abs(lean)) < LEVEL:
        return 0.0, 0.0, f"the uprights are parallel already (the camera was tilted by {abs(up):.1f} degrees)"
    leaned = f" and leaned by {abs(lean):.1f}" if abs(lean) >= LEVEL else ""
    way = "up" if pitch > 0 else "down"
    return pitch, roll, f"the camera looked {abs(up):.1f} degrees {way}{leaned}, as the upright lines say"


def _unsure(why: str) -> RefusedError:
    hint = "give the angle: vertical, -30 to 30 degrees (above 0 if the camera looked up)"
    return RefusedError(f"how the camera was tilted cannot be told: {why}", hint=hint, reason="unsure")


def _lengths(ends: Floats) -> Floats:
    return np.asarray(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1))


def _uprights(pixels: Pixels) -> Floats:
    """Ends (n x 2 x 2) of the nearly upright segments, from the picture's middle, in long sides."""
    scale = min(1.0, LOOK / max(pixels.shape))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if found is None:
        return np.zeros((0, 2, 2))
    ends = np.asarray(found, np.float64).reshape(-1, 2, 2)
    ends = (ends - ((size[0] - 1) / 2, (size[1] - 1) / 2)) / max(size)
    way = ends[:, 1] - ends[:, 0]
    lean = np.degrees(np.arctan2(np.abs(way[:, 0]), np.abs(way[:, 1])))
    return np.asarray(ends[(lean < UPRIGHT) & (_lengths(ends) > LONG_LINE)])
