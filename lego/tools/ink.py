"""Ink and ground: which pixels in a line's outline are printed, and what is under them.

Everything here measures how calm the ground is and how unlike the ink, so that tools can decline.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.core.values import Box
from lego.tools.finders import ocr
from lego.tools.finders.ocr import Line, Quad
from lego.tools.finders.regions import Bools, ellipse
from lego.tools.pixels import Plane, to_lab, to_uint8

GATE = 0.80  # of seven texts the well removed had .83-.95, the others 0-.56
SEED = 1  # of the clustering, which draws from OpenCV's own generator
CONTRAST = 40.0  # Lab units between ink and ground from which on they are told apart beyond doubt
SHADING = 1.0  # of a line's height: light that falls off more slowly than this is no ink
CALM, WILD = 3.0, 18.0  # norm of the ground's Lab deviations; up to 6 (the gate) fills differed from the truth by 1-4
INK_SHARE = (0.05, 0.65)  # of a line's outline that ink takes
RADIUS = 4  # px from which the fill draws (Bertalmio 2001)
RELAX = (7,) * 12 + (5,) * 12 + (3,) * 12  # px of the means that relax a fill, from coarse to fine
WORKING = 64  # px: higher lines are worked on smaller, where letters are as thin as the fill can bridge
EDGE = 0.6  # times its share of the outline, that ink takes of its rim: letters end before it, a tree goes through
STROKE = 0.2  # of a line's height, to which ink may be deep: half a stroke of the boldest letters
BESIDE = 0.15  # of a line's height around the ink, where the ground has to be calm
OVERLAP = 0.3  # of a line's outline may lie in that of another: on curled paper it would be cut through
HALO = 0.3  # of a line's height, to which soft edges, outlines and shadows reach
SHADOWED = 0.4  # of the ring round the ink differs from the ground further off: there is a shadow or outline
LEFT_OVER = 6.0  # Lab units: what still differs so much from the fill, beside the ink, is its soft edge or shadow
WORKABLE = 5  # px; lower lines cannot be told from their ground
PUREST = 0.3  # of the ink, whose colour is the median of it: the rest is mixed with ground


@dataclass(frozen=True)
class Lifted:
    """A line without its ink: the ground (crop of the picture), the ink's coverage, and how sure this went well."""

    box: Box
    ground: Pixels
    ink: Bools
    color: Plane
    confidence: float
    why: str


def lift(pixels: Pixels, line: Line, others: tuple[Line, ...] = ()) -> Lifted:
    """Take a line's ink off; the confidence tells how calm the ground is and how clear the ink.

    ``others`` are all lines of the picture: those beside this one are no part of its ground.
    """
    pad = round(max(6.0, 0.5 * line.height))
    box = _box_of(line.quad, pad, pixels.shape)
    x0, y0, x1, y1 = box
    crop = np.ascontiguousarray(pixels[y0:y1, x0:x1])
    nothing = Lifted(box, crop, np.zeros(crop.shape[:2], np.bool_), np.zeros(3, np.float32), 0.0, "it is too small")
    if line.height < WORKABLE or min(crop.shape[:2]) < WORKABLE:
        return nothing
    scale = min(1.0, WORKING / line.height)
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    small = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8) if scale < 1 else crop
    inside = _filled((line.quad - (x0, y0)) * scale, small.shape)
    beside = [_filled((quad - (x0, y0)) * scale, small.shape) for quad in _beside(line, others)]
    strange = np.asarray(np.any(beside, axis=0), np.bool_) if beside else np.zeros(inside.shape, np.bool_)
    if (strange & inside).sum() > OVERLAP * inside.sum():
        return Lifted(box, crop, nothing.ink, nothing.color, 0.0, "another line lies over its outline")
    small = _inpainted(small, _grown(strange, 1) & ~inside)  # other lines are no part of its ground
    ends = 0.0 if any(line.neighbours) else 0.45 * line.height  # beside a part of a line stand other letters
    reach = _filled((ocr.widened(line.quad, 0.45 * line.height, ends) - (x0, y0)) * scale, small.shape)
    ink, confidence, why = _ink(small, inside, reach, line.height * scale)
    ink = _own(ink, strange)
    if confidence < GATE or not ink.any():
        return Lifted(box, crop, nothing.ink, nothing.color, confidence, why)
    hole, ground = _emptied(small, ink, line.height * scale)
    if scale < 1:
        ground, hole = _back(crop, ground, hole)
        ink = np.asarray(
            cv2.resize(ink.astype(np.uint8), crop.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0, np.bool_
        )
    color = _pure(crop, ground, ink)
    return Lifted(box, ground, hole, color, confidence, why)


def _own(ink: Bools, strange: Bools) -> Bools:
    """The ink without the pieces that lie mostly in other lines' outlines."""
    _, parts = cv2.connectedComponents(ink.astype(np.uint8), connectivity=8)
    whole = np.bincount(parts.ravel())
    theirs = np.bincount(parts[strange], minlength=len(whole))
    return np.asarray(ink & (theirs <= 0.6 * whole)[parts], np.bool_)


def _beside(line: Line, others: tuple[Line, ...]) -> list[Quad]:
    """The quads of the other lines: all in which the middle of this one does not lie."""
    x, y = (float(v) for v in line.quad.mean(0))
    quads = [other.quad for other in others]
    return [quad for quad in quads if cv2.pointPolygonTest(np.asarray(quad, np.float32), (x, y), False) < 0]


def _box_of(quad: Quad, pad: int, shape: tuple[int, ...]) -> Box:
    low, high = np.floor(quad.min(0)) - pad, np.ceil(quad.max(0)) + pad
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    return x0, y0, max(x0 + 1, min(shape[1], int(high[0]))), max(y0 + 1, min(shape[0], int(high[1])))


def _filled(quad: Quad, shape: tuple[int, ...]) -> Bools:
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(canvas, [np.rint(quad).astype(np.int32)], (1,))
    return np.asarray(canvas > 0, np.bool_)


def _ink(pixels: Pixels, inside: Bools, reach: Bools, height: float) -> tuple[Bools, float, str]:
    """The ink in a line's outline, how sure it comes off unseen, and why not if it does not."""
    lab = to_lab(pixels)
    none = np.zeros(inside.shape, np.bool_)
    rim = inside & ~np.asarray(cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    shading = np.asarray(cv2.GaussianBlur(lab, (0, 0), SHADING * height, borderType=cv2.BORDER_REFLECT), np.float32)
    values = np.ascontiguousarray((lab - shading)[inside])
    if len(values) < 32 or not rim.any():
        return none, 0.0, "it is too small"
    cv2.setRNGSeed(SEED)
    rule = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.2)
    _, labels, centers = cv2.kmeans(values, 2, np.zeros((len(values), 1), np.int32), rule, 3, cv2.KMEANS_PP_CENTERS)
    first = np.zeros(inside.shape, np.bool_)
    first[inside] = labels.ravel() == 1
    share = [float(first[inside].mean()), float(first[rim].mean())]
    swap = share[0] - share[1] < (1 - share[0]) - (1 - share[1])
    ink = inside & ~first if swap else first
    amount, edge = (1 - v if swap else v for v in share)
    depth = float(cv2.distanceTransform(np.pad(ink, 1).astype(np.uint8), cv2.DIST_L2, 5).max())
    if not INK_SHARE[0] < amount < INK_SHARE[1] or edge > EDGE * amount or depth > STROKE * height + 1:
        return none, 0.0, "its ink cannot be told from what is behind it"
    apart = float(np.linalg.norm(centers[0] - centers[1]))
    wild = _wildness(pixels, ink, reach, height)
    sure = min(1.0, apart / CONTRAST) * float(np.clip((WILD - wild) / (WILD - CALM), 0, 1))
    what = "the ground is too busy" if apart >= CONTRAST else "the ink is too like the ground"
    return ink, round(sure, 3), f"{what} (confidence {sure:.2f} of the {GATE:.2f} that are needed)"


def _wildness(pixels: Pixels, ink: Bools, reach: Bools, height: float) -> float:
    """Norm of the ground's Lab deviations from a smooth one, where it is wildest along the ink: a post is enough."""
    start = _halo(pixels, ink, height)
    around = reach & ~_grown(ink, start) & _grown(ink, round(BESIDE * height) + start)
    if around.sum() < 16:
        return WILD
    known = (reach & ~_grown(ink, start)).astype(np.float32)

    def mean(plane: Plane, sigma: float) -> Plane:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT), np.float32)

    lab = to_lab(pixels)
    smooth = mean(lab * known[..., None], BESIDE * height) / np.maximum(mean(known, BESIDE * height), 1e-3)[..., None]
    rest = np.square(lab - smooth).sum(2) * around
    spread = np.sqrt(mean(rest, BESIDE * height) / np.maximum(mean(around.astype(np.float32), BESIDE * height), 1e-2))
    return float(np.percentile(spread[around], 99))


def _grown(mask: Bools, radius: int) -> Bools:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), ellipse(radius)) > 0, np.bool_)


def _emptied(pixels: Pixels, ink: Bools, height: float) -> tuple[Bools, Pixels]:
    """Fill the ink and its soft edge, outline or shadow: what beside it differs from the ground further off."""
    halo = _halo(pixels, ink, height)
    rest = _unlike(pixels, ink, height) & _grown(ink, halo if halo > 3 else 4)
    _, parts = cv2.connectedComponents((rest | ink).astype(np.uint8))
    touching = np.isin(parts, np.unique(parts[ink])) & (parts > 0)
    hole = _grown(ink, 2) | _grown(np.asarray(touching, np.bool_), 1)
    return hole, _inpainted(pixels, hole)


def _halo(pixels: Pixels, ink: Bools, height: float) -> int:
    """How far beside the ink (px) the ground begins: 3, or more if most of the ring round it is shadow or outline."""
    ring = _grown(ink, max(3, round(0.5 * HALO * height))) & ~_grown(ink, 2)
    shadowed = ring.any() and float(_unlike(pixels, ink, height)[ring].mean()) > SHADOWED
    return max(3, round(HALO * height)) if shadowed else 3


def _unlike(pixels: Pixels, ink: Bools, height: float) -> Bools:
    """What differs from the ground further off, as a fill from there shows it."""
    far = _inpainted(pixels, _grown(ink, max(3, round(HALO * height))))
    soft = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1), np.uint8)
    return np.asarray(np.linalg.norm(to_lab(soft) - to_lab(far), axis=2) > LEFT_OVER, np.bool_)


def _inpainted(pixels: Pixels, hole: Bools) -> Pixels:
    """Navier-Stokes, then relaxed towards a membrane, which takes the facets out of it."""
    if hole.all() or not hole.any():
        return pixels
    made = cv2.inpaint(np.ascontiguousarray(pixels), hole.astype(np.uint8), RADIUS, cv2.INPAINT_NS).astype(np.float32)
    for side in RELAX:
        made = np.where(hole[..., None], cv2.blur(made, (side, side), borderType=cv2.BORDER_REFLECT), pixels)
    return to_uint8(made.astype(np.float32))


def _back(crop: Pixels, ground: Pixels, hole: Bools) -> tuple[Pixels, Bools]:
    """A fill made small, brought to full size, with the grain of the ground around it."""
    size = crop.shape[1::-1]
    wide = np.asarray(cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR) > 0, np.bool_)
    large = np.asarray(cv2.resize(ground, size, interpolation=cv2.INTER_CUBIC), np.float32)
    soft = np.asarray(cv2.resize(cv2.resize(crop, ground.shape[1::-1], interpolation=cv2.INTER_AREA), size), np.float32)
    grain = (crop.astype(np.float32) - soft)[~wide]
    deviation = float(np.median(np.abs(grain))) * 1.4826 if grain.size else 0.0  # of a normal distribution
    noise = np.random.default_rng(SEED).normal(0, deviation, (*crop.shape[:2], 1))
    return to_uint8(np.where(wide[..., None], large + noise, crop).astype(np.float32)), wide


def _pure(crop: Pixels, ground: Pixels, ink: Bools) -> Plane:
    """Colour of the ink: the median of that part of it that is least like the ground."""
    far = np.linalg.norm(crop.astype(np.float32) - ground.astype(np.float32), axis=2)
    if not ink.any():
        return np.zeros(3, np.float32)
    pure = ink & (far >= np.quantile(far[ink], 1 - PUREST))
    return np.asarray(np.median(crop[pure], axis=0), np.float32)


def coverage(crop: Pixels, lifted: Lifted) -> Plane:
    """How much ink each pixel holds, 0..1: its place on the way from the ground's colour to the ink's."""
    ground = lifted.ground.astype(np.float32)
    way = lifted.color - ground
    share = ((crop - ground) * way).sum(2) / np.maximum((way * way).sum(2), 1.0)
    return np.asarray(np.where(lifted.ink, np.clip(share, 0, 1), 0), np.float32)
