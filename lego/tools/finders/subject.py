"""Find the one thing that a photograph is about: several GrabCuts from different seeds, and the best-scored of them.

Seeds: a central rectangle; background-robust saliency (Zhu 2014) and sharpness, each with a leaning to the centre.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.tools.finders.regions import (
    BACK,
    FRONT,
    MAYBE_BACK,
    MAYBE_FRONT,
    Bools,
    Found,
    edge_share,
    ellipse,
    frame_share,
    grabcut,
    lab_of,
    parts,
    placed,
    separation,
)
from lego.tools.pixels import Plane

SIDE = 320
GATE = 0.75  # above, the subject was right on the seven photographs; see docs/finding.md
AREA = (0.003, 0.65)  # shares of the picture that a subject takes
CELLS = 18  # cells of the saliency's grid along the long side: 200 to 320 of them, as many as superpixels are customary
GEODESIC = 10.0  # Lab units over which one colour becomes another (sigma of Zhu 2014)


def find(pixels: Pixels) -> Found:
    """Return the subject of a small copy, with a confidence that is low where several things compete."""
    height, width = pixels.shape[:2]
    if min(height, width) < 32:
        return Found(np.zeros((height, width), np.bool_), 0.0, ("the picture is too small to have a subject",))
    lab = lab_of(pixels)
    candidates = [mask for mask in _candidates(pixels, lab) if AREA[0] < mask.mean() < AREA[1]]
    if not candidates:
        return Found(np.zeros((height, width), np.bool_), 0.0, ("nothing stands out from its surroundings",))
    centre = _centre(height, width)
    scored = [(_confidence(pixels, lab, mask, candidates, centre), -n, mask) for n, mask in enumerate(candidates)]
    confidence, _, best = max(scored, key=lambda item: item[:2])
    notes = ["took the main subject; what it is cannot be checked without a network"]
    others = [item for item in scored if (item[2] & best).sum() < 0.5 * (item[2] | best).sum()]
    if others:
        second, _, other = max(others, key=lambda item: item[:2])
        notes.append(f"runner-up: {placed(other)}, confidence {second:.2f}")
    return Found(best, round(confidence, 3), tuple(notes))


def _candidates(pixels: Pixels, lab: Plane) -> Iterator[Bools]:
    height, width = pixels.shape[:2]
    labels = np.full((height, width), BACK, np.uint8)
    labels[round(0.08 * height) : round(0.92 * height), round(0.08 * width) : round(0.92 * width)] = MAYBE_FRONT
    yield grabcut(pixels, labels, 5)
    centre = 0.35 + 0.65 * _centre(height, width)
    salient, sharp = _saliency(lab), _sharpness(pixels)
    for plane in (salient, salient * centre, sharp * centre, (salient + sharp) * centre):
        cut = grabcut(pixels, _seeds(plane), 5)
        found = parts(cut)
        if not found:
            continue
        yield found[0]
        large = [part for part in found if part.sum() >= 0.15 * found[0].sum()]
        if len(large) > 1:
            yield np.asarray(np.any(large, axis=0), np.bool_)


def _centre(height: int, width: int) -> Plane:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.asarray(np.exp(-(((x / width - 0.5) / 0.45) ** 2) - ((y / height - 0.52) / 0.5) ** 2), np.float32)


def _seeds(plane: Plane) -> NDArray[np.uint8]:
    """Labels for GrabCut from a map of how likely the subject is, by Otsu's threshold."""
    scaled = plane / max(float(plane.max()), 1e-6)
    threshold, _ = cv2.threshold(np.asarray(scaled * 255, np.uint8), 0, 255, cv2.THRESH_OTSU)
    level = threshold / 255
    labels = np.full(plane.shape, MAYBE_BACK, np.uint8)
    labels[scaled < 0.35 * level] = BACK
    labels[scaled > level] = MAYBE_FRONT
    labels[scaled > min(0.95, level + 0.6 * (1 - level))] = FRONT
    return labels


def _sharpness(pixels: Pixels) -> Plane:
    """Where fine detail is: gradient over that of a blurred copy on the strongest edges, spread out."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    strength, soft = (
        np.hypot(*(cv2.Sobel(g, cv2.CV_32F, *d) for d in ((1, 0), (0, 1)))) for g in (grey, _blurred(grey, 1.5))
    )
    ratio = np.where(strength > np.percentile(strength, 80), strength / (soft + 4), 0)
    spread = _blurred(ratio.astype(np.float32), max(pixels.shape) / 30)
    return np.asarray(spread / max(float(spread.max()), 1e-6), np.float32)


def _blurred(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _saliency(lab: Plane) -> Plane:
    """Saliency by boundary connectivity and least squares (Zhu 2014), on a grid of cells instead of superpixels."""
    height, width = lab.shape[:2]
    step = max(height, width) / CELLS
    rows, columns = max(2, round(height / step)), max(2, round(width / step))
    small = cv2.resize(lab, (columns, rows), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float64)
    y, x = (axis.ravel() for axis in np.mgrid[0:rows, 0:columns])
    near = np.hypot((x[:, None] - x) / columns, (y[:, None] - y) / rows)
    touch = (np.abs(x[:, None] - x) <= 1) & (np.abs(y[:, None] - y) <= 1)
    edge = (x == 0) | (y == 0) | (x == columns - 1) | (y == rows - 1)
    colour = np.linalg.norm(small[:, None] - small, axis=2)
    path = _shortest(np.where(touch | (edge[:, None] & edge), colour, np.inf))
    span = np.exp(-(path**2) / (2 * GEODESIC**2))
    length, area = span[:, edge].sum(1), span.sum(1)
    background = 1 - np.exp(-((length / np.sqrt(area)) ** 2) / 2)
    front = (colour * np.exp(-(near**2) / (2 * 0.25**2))) @ background
    front = front / max(front.max(), 1e-9)
    ties = np.where(touch, np.exp(-(colour**2) / (2 * GEODESIC**2)) + 0.1, 0)
    np.fill_diagonal(ties, 0)
    system = np.diag(background + front + ties.sum(1)) - ties
    values = np.clip(np.linalg.solve(system, front), 0, None).reshape(rows, columns)
    full = cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = float(full.min()), float(full.max())
    return np.asarray((full - low) / max(high - low, 1e-6), np.float32)


def _shortest(cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths of the shortest paths between all cells (Floyd and Warshall 1962), a row at a time."""
    path = cost.copy()
    np.fill_diagonal(path, 0)
    for middle in range(len(path)):
        np.minimum(path, path[:, middle, None] + path[None, middle], out=path)
    return path


def _confidence(pixels: Pixels, lab: Plane, mask: Bools, others: list[Bools], centre: Plane) -> float:
    """0..1: unlike its ring, outlined by edges, agreed on by the other candidates, in one piece, solid, central."""
    largest = parts(mask)[0]
    points = cv2.findNonZero(mask.astype(np.uint8))
    hull = float(cv2.contourArea(cv2.convexHull(points))) or 1.0
    agree = float(np.median([(mask & o).sum() / max((mask | o).sum(), 1) for o in others]))
    value = 0.30 * separation(lab, mask) + 0.15 * edge_share(pixels, mask) + 0.25 * agree
    value += 0.10 * float(largest.sum() / mask.sum()) + 0.10 * min(1.0, float(mask.sum()) / hull)
    value += 0.20 * float(centre[mask].mean()) - 0.5 * frame_share(mask) - 0.10
    return float(np.clip(value, 0, 1))


def smoothed(mask: Bools) -> Bools:
    """Take off hairs and fill pinholes of a found mask."""
    radius = max(1, max(mask.shape) // 200)
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, ellipse(radius))
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, ellipse(radius)) > 0, np.bool_)
