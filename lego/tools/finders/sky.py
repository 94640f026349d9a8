"""Find the sky: the border below which every column leaves it (Shen and Wang 2013), refined by GrabCut."""

from __future__ import annotations

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.tools.finders.regions import (
    BACK,
    FRONT,
    MAYBE_BACK,
    MAYBE_FRONT,
    Bools,
    Found,
    ellipse,
    grabcut,
    gradient,
    lab_of,
    parts,
    separation,
)  # fmt: skip
from lego.tools.pixels import Plane

SIDE = 384
GATE = 0.78  # between the sky of china.jpg and the most sky-like of the six photographs without one
HORIZON = 10.0  # grey levels a pixel of the row's median edge; clouds stay below, because they are never so straight
HORIZON_WIDTH = 0.25  # share of the picture's width that the sky still has there
THRESHOLDS = np.linspace(8, 250, 40)


def find(pixels: Pixels) -> Found:
    """Return the sky of a small copy; confidence 0 if there is nothing like one at the top."""
    border = _border(pixels)
    height = pixels.shape[0]
    rows = np.arange(height)[:, None]
    rough = np.asarray(rows < border[None], np.bool_)
    if rough.mean() < 0.01:
        return Found(np.zeros(rough.shape, np.bool_), 0.0, ("nothing at the top looks like sky",))
    labels = np.full(rough.shape, MAYBE_BACK, np.uint8)
    labels[cv2.dilate(rough.astype(np.uint8), ellipse(9)) > 0] = MAYBE_FRONT
    labels[~rough] = np.where(labels[~rough] == MAYBE_FRONT, MAYBE_BACK, labels[~rough])
    labels[rough] = MAYBE_FRONT
    padded = np.pad(rough.astype(np.uint8), ((7, 0), (7, 7)), mode="edge")
    labels[cv2.erode(padded, ellipse(7), borderValue=1)[7:, 7:-7] > 0] = FRONT
    floor = max(1.35 * float(np.percentile(border, 95)), 0.25 * height)
    labels[np.broadcast_to(rows > floor, labels.shape)] = BACK
    cut = grabcut(pixels, labels, 5)
    lab = lab_of(pixels)
    mask, cut_off = _above_horizon(pixels, _joined(cut, lab))
    note = "; what lies below the horizon was left out" if cut_off else ""
    return Found(mask, round(_confidence(pixels, lab, mask), 3), (f"found the sky by its border and colour{note}",))


def _border(pixels: Pixels) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """First row of each column that is no sky, for the threshold that parts sky and ground best."""
    edges = gradient(pixels)
    colors = pixels.reshape(-1, 3).astype(np.float64)
    height, width = edges.shape
    best, border = -1.0, np.zeros(width, np.int64)
    for threshold in THRESHOLDS:
        crossed = edges > threshold
        first = np.where(crossed.any(0), crossed.argmax(0), height)
        sky = (np.arange(height)[:, None] < first[None]).ravel()
        if sky.sum() < 20 or (~sky).sum() < 20:
            continue
        score = _energy(colors[sky], colors[~sky])
        if score > best:
            best, border = score, first
    return border


def _energy(
    sky: np.ndarray[tuple[int, int], np.dtype[np.float64]], ground: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> float:
    """High when both parts are even in colour, the sky above all."""
    spread = [np.cov(part.T) for part in (sky, ground)]
    volume = [np.cbrt(max(float(np.linalg.det(c)), 0.0)) for c in spread]
    largest = [float(np.linalg.eigvalsh(c)[-1]) for c in spread]
    return float(1 / (2 * volume[0] + volume[1] + 2 * largest[0] + largest[1] + 1e-6))


def _above_horizon(pixels: Pixels, mask: Bools) -> tuple[Bools, bool]:
    """End the sky where an edge runs straight across all of it: below lies water that mirrors it."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.8)
    down = np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    rows = [row for row in range(mask.shape[0]) if mask[row].mean() > HORIZON_WIDTH]
    strength = np.array([float(np.median(down[row][mask[row]])) for row in rows])
    for number in range(8, len(rows)):
        above = float(np.median(strength[:number]))
        straight = strength[number] > max(HORIZON, 4 * above)
        if straight and mask[rows[number] :].sum() < 0.5 * mask.sum():
            edge = number + int(strength[number : number + 6].argmax())  # haze makes the horizon a few rows deep
            kept = mask.copy()
            kept[rows[edge] + 1 :] = False
            return kept, True
    return mask, False


def _joined(cut: Bools, lab: Plane) -> Bools:
    """Keep what touches the top, and islands of the same colour in its upper half."""
    top = [part for part in parts(cut) if part[:3].any()]
    if not top:
        return np.zeros(cut.shape, np.bool_)
    main = np.any(top, axis=0)
    mean = lab[main].mean(0)
    lowest = int(np.flatnonzero(main.any(1))[-1])
    for part in parts(cut):
        near = np.flatnonzero(part.any(1))[-1] <= lowest
        if not (part & main).any() and near and float(np.linalg.norm(lab[part].mean(0) - mean)) < 14:
            main = main | part
    return np.asarray(main, np.bool_)


def _confidence(pixels: Pixels, lab: Plane, mask: Bools) -> float:
    """Sky is at the top, smooth, blue or bright and pale, not green, and unlike what is below."""
    if mask.mean() < 0.03:
        return 0.0
    L, a, b = (lab[..., n][mask] for n in range(3))  # noqa: N806 - the colour space's names
    top = float(mask[:3].mean())
    texture = float(np.median(gradient(pixels)[mask]))
    blue = float(((b < -3) | ((L > 60) & (np.hypot(a, b) < 18))).mean())
    green = float(((a < -10) & (b > 8)).mean())
    smooth = float(np.clip(1.2 - texture / 18, 0, 1))
    return float(top * smooth * (0.25 + 0.75 * blue) * (1 - green) * (0.4 + 0.6 * separation(lab, mask)))
