"""Painting behind what is kept: edges without fringes, gradients in a perceptual space, light kept from underneath."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import ImageColor

from lego.core.codec import Pixels
from lego.core.values import Mask
from lego.tools.pixels import Plane, from_linear, to_linear, to_uint8

WINDOWS = (0.06, 0.02, 0.005)  # of the foreground estimate's passes, in long sides: three leave .7-.9 of two's error
SURENESS = 8  # power of alpha in the first pass: plain alpha (1) lets the other side in, 1.3-10 times the error
CLOUD_LIMIT = 0.25  # of OKLab lightness: detail beyond this is a thing, not a cloud

# OKLab (Ottosson 2020): linear sRGB to cone responses, then their cube roots to lightness and two colour axes.
_OKLAB_LMS = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929],
     [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]], np.float32)  # fmt: skip
_OKLAB_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468],
     [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]], np.float32)  # fmt: skip
_LMS_OKLAB = np.linalg.inv(_OKLAB_LMS)
_LAB_OKLAB = np.linalg.inv(_OKLAB_LAB)


def behind(pixels: Pixels, paint: Pixels, mask: Pixels) -> Pixels:
    """Lay paint where the mask is, behind what is kept: soft pixels give up the old background's colour first."""
    kept = freed(pixels, ~mask).astype(np.float32)
    made = kept + (paint.astype(np.float32) - kept) * (mask.astype(np.float32) / 255)[..., None]
    return np.where((mask > 0)[..., None], to_uint8(made), pixels)


def freed(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The picture with the colours of the thing alone where its alpha is soft; elsewhere as it was."""
    soft = (alpha > 0) & (alpha < 255)
    if not soft.any():
        return pixels
    side = max(alpha.shape)
    x0, y0, x1, y1 = Mask(soft).box or (0, 0, 0, 0)
    room = round(sum(WINDOWS) * side / 2) + len(WINDOWS)  # beyond the reach of all passes nothing counts
    window = (slice(max(0, y0 - room), y1 + room), slice(max(0, x0 - room), x1 + room))
    own = foreground(pixels[window], alpha[window].astype(np.float32) / np.float32(255), side)
    made = np.array(pixels)
    np.copyto(made[window], to_uint8(own), where=soft[window][..., None])
    return made


def foreground(pixels: Pixels, alpha: Plane, side: int) -> Plane:
    """Colours of the kept thing alone: blur-fusion (Forte 2021), begun from the pixels that are surely one or other.

    ``side`` is the long side of the whole picture in px, of which this may be a part.
    """
    picture = pixels.astype(np.float32)
    rear = 1 - alpha
    front = back = picture
    power = SURENESS
    for share in WINDOWS:
        size = max(3, int(share * side) | 1)
        front_mean, back_mean = _mean(front, alpha**power, size), _mean(back, rear**power, size)
        rest = picture - alpha[..., None] * front_mean - rear[..., None] * back_mean
        front, back = np.clip(front_mean + alpha[..., None] * rest, 0, 255), np.clip(back_mean, 0, 255)
        power = 1
    return front


def _mean(values: Plane, weight: Plane, size: int) -> Plane:
    """Weighted local mean; where no weight is near, the values themselves."""
    total = cv2.blur(weight, (size, size))[..., None]
    mean = cv2.blur(values * weight[..., None], (size, size)) / np.maximum(total, 1e-4)
    return np.where(total > 1e-4, mean, values)


def gradient(mask: Mask, start: Plane, end: Plane, angle: float) -> Plane:
    """OKLab values of the gradient over the whole frame; flat before its start and after its end."""
    assert mask.box is not None
    x0, y0, x1, y1 = mask.box
    turn = np.deg2rad(angle)
    dx, dy = float(np.sin(turn)), float(np.cos(turn))
    height, width = mask.pixels.shape
    x = np.arange(width, dtype=np.float32)[None] - (x0 + x1 - 1) / 2
    y = np.arange(height, dtype=np.float32)[:, None] - (y0 + y1 - 1) / 2
    reach = max(1.0, abs(dx) * (x1 - x0 - 1) + abs(dy) * (y1 - y0 - 1))
    t = np.clip((x * dx + y * dy) / reach + 0.5, 0, 1)[..., None].astype(np.float32)
    lab = start + (end - start) * t
    wanted = (1 - t) * np.hypot(*start[1:]) + t * np.hypot(*end[1:])
    chroma = np.hypot(lab[..., 1:2], lab[..., 2:3])
    lab[..., 1:] *= np.sqrt(np.clip(wanted / np.maximum(chroma, 1e-4), 1, 4))  # half way back to full colour
    return np.asarray(lab, np.float32)


def detail(pixels: Pixels, mask: Pixels) -> Plane:
    """Lightness in the mask less the plane that fits it best: clouds and folds without the old gradient."""
    light = to_oklab(pixels)[..., 0]
    inside = mask > 127
    if inside.sum() < 16:
        return np.zeros(mask.shape, np.float32)
    rows, columns = np.nonzero(inside)
    step = max(1, rows.size // 20000)  # a plane needs no more
    rows, columns = rows[::step], columns[::step]
    design = np.column_stack([rows / mask.shape[0], columns / mask.shape[1], np.ones(rows.size)])
    plane, *_ = np.linalg.lstsq(design, light[rows, columns], rcond=None)
    height, width = mask.shape
    fitted = plane[0] * np.arange(height)[:, None] / height + plane[1] * np.arange(width)[None] / width + plane[2]
    return np.asarray(np.clip(light - fitted, -CLOUD_LIMIT, CLOUD_LIMIT), np.float32)


def lab_of(color: str) -> Plane:
    """OKLab of a colour given as #rrggbb or a CSS name."""
    return np.asarray(to_oklab(np.array([[ImageColor.getrgb(color)[:3]]], np.uint8))[0, 0], np.float32)


def to_oklab(pixels: Pixels) -> Plane:
    """uint8 sRGB to OKLab: lightness 0..1 and two colour axes."""
    return np.asarray(np.cbrt(to_linear(pixels) @ _OKLAB_LMS.T) @ _OKLAB_LAB.T, np.float32)


def dithered(lab: Plane) -> Pixels:
    """OKLab to uint8 sRGB, clipped, with interleaved gradient noise (Jimenez 2014) of one step against banding."""
    cones = (lab @ _LAB_OKLAB.T) ** 3
    encoded = from_linear(cones @ _LMS_OKLAB.T)
    y, x = np.mgrid[: lab.shape[0], : lab.shape[1]]
    noise = (52.9829189 * ((0.06711056 * x + 0.00583715 * y) % 1)) % 1
    return np.asarray(np.clip(np.floor(encoded + noise[..., None]), 0, 255), np.uint8)
