"""What every finder needs: a small copy, seeded GrabCut, sharp masks at full size, and how well a mask fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.tools.pixels import Plane, guided, to_lab

Bools: TypeAlias = NDArray[np.bool_]
BACK, FRONT, MAYBE_BACK, MAYBE_FRONT = 0, 1, 2, 3  # OpenCV's labels for GrabCut
SEED = 1  # of GrabCut's clustering, which draws from OpenCV's own generator and differs between runs without


@dataclass(frozen=True)
class Found:
    """A mask (bool, on the small copy), how sure the finder is (0..1), and what it saw."""

    mask: Bools
    confidence: float
    notes: tuple[str, ...] = ()


def small_copy(pixels: Pixels, side: int) -> Pixels:
    """Return the picture with its long side at most ``side`` px."""
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return np.array(pixels)
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def grabcut(pixels: Pixels, labels: NDArray[np.uint8], rounds: int) -> Bools:
    """Cut foreground from background (Rother 2004), seeded, from labels of 0..3; lacking a class, the labels decide."""
    labels = labels.copy()
    front = (labels == FRONT) | (labels == MAYBE_FRONT)
    if not front.any() or front.all() or min(pixels.shape[:2]) < 8:
        return np.asarray(front, np.bool_)
    cv2.setRNGSeed(SEED)
    back, fore, no_box = np.zeros((1, 65)), np.zeros((1, 65)), (0, 0, 1, 1)
    cv2.grabCut(np.ascontiguousarray(pixels[..., ::-1]), labels, no_box, back, fore, rounds, cv2.GC_INIT_WITH_MASK)
    return np.asarray((labels == FRONT) | (labels == MAYBE_FRONT), np.bool_)


def full_size(mask: Bools, pixels: Pixels) -> Pixels:
    """Bring a small mask to the picture's size so that its outline follows the picture's edges (He 2010).

    What lies well outside stays exactly 0 and what lies well inside exactly 255.
    """
    height, width = pixels.shape[:2]
    scale = max(1.0, width / mask.shape[1], height / mask.shape[0])
    soft = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    if min(height, width) < 16:
        return np.asarray(soft > 0.5, np.uint8) * np.uint8(255)
    guide = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
    radius = round(2 * scale) + 1
    snapped = guided(guide, np.asarray(soft, np.float32), radius, 1e-4)
    alpha = np.clip((snapped - 0.25) / 0.5, 0, 1)
    reach = 2 * radius + 1
    near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2)
    far = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST)
    deep = cv2.erode((soft > 0.5).astype(np.uint8), ellipse(reach))
    alpha = np.where(deep > 0, 1.0, np.where(far > 0, alpha, 0.0))
    return np.asarray(np.rint(alpha * 255), np.uint8)


def ellipse(radius: int) -> NDArray[np.uint8]:
    """Return a round structuring element."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def histogram(lab: Plane, where: Bools) -> NDArray[np.float64]:
    """Return the normalised Lab histogram of a region, 12 x 24 x 24 bins."""
    L, a, b = lab[where].T if where.any() else np.zeros((3, 1), np.float32)  # noqa: N806 - the colour space's names
    bins, _ = np.histogramdd((L, a, b), (12, 24, 24), ((0, 100.01), (-110, 110), (-110, 110)))
    smooth = cv2.GaussianBlur(bins.reshape(12, 576), (1, 3), 0.7).reshape(12, 24, 24)
    return np.asarray(smooth / max(smooth.sum(), 1e-9))


def separation(lab: Plane, mask: Bools) -> float:
    """How unlike its surroundings a region is, 0..1: 1 - Bhattacharyya coefficient of its colours and a ring's."""
    area = int(mask.sum())
    if area == 0:
        return 0.0
    ring = np.asarray(cv2.dilate(mask.astype(np.uint8), ellipse(max(2, round(0.5 * area**0.5)))) > 0) & ~mask
    if not ring.any():
        return 0.0
    return float(1 - np.sqrt(histogram(lab, mask) * histogram(lab, ring)).sum())


def gradient(pixels: Pixels) -> Plane:
    """Return the strength of edges in grey levels a pixel."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), 1)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *d) for d in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down), np.float32)


def edge_share(pixels: Pixels, mask: Bools) -> float:
    """Share of the outline that lies on the picture's strongest quarter of edges, 0..1."""
    strength = cv2.dilate(gradient(pixels), np.ones((3, 3), np.uint8))
    outline = mask ^ (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0)
    return float((strength[outline] > np.percentile(strength, 75)).mean()) if outline.any() else 0.0


def frame_share(mask: Bools) -> float:
    """Share of the picture's border that the mask covers, 0..1."""
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return float(border.mean())


def parts(mask: Bools) -> list[Bools]:
    """Return the connected parts, largest first."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found = [np.asarray(labels == n, np.bool_) for n in range(1, count)]
    return sorted(found, key=lambda part: -int(part.sum()))


def lab_of(pixels: Pixels) -> Plane:
    """Return float Lab of a lightly smoothed copy, so that grain does not decide."""
    return to_lab(np.asarray(cv2.medianBlur(pixels, 3), np.uint8))


def placed(mask: Bools) -> str:
    """Say where a region is and how large: "at the top left (3.0% of the picture)"."""
    rows, columns = np.nonzero(mask)
    y, x = rows.mean() / mask.shape[0], columns.mean() / mask.shape[1]
    place = f"{('top', '', 'bottom')[int(3 * y)]} {('left', '', 'right')[int(3 * x)]}".strip() or "center"
    return f"at the {place} ({mask.mean():.1%} of the picture)"
