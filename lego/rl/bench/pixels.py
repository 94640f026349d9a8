"""Pixels: what can be measured of a result without a judge, against the source and, where there is one, the truth.

What lies outside the mask is to stay as it was, what lies inside is to become as in the true result. Doing nothing
gives a perfect background, so that it is never shown without the rest.
SSIM: Wang et al. 2004, with their window, a Gaussian of 1.5 pixels cut at 11 x 11, and constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from lego.core.values import Image, Mask
from lego.rl.bench.formulas import Mode
from lego.rl.bench.items import Item
from lego.rl.bench.judging import Judged, fitted
from lego.rl.bench.suite import Cells, Column, Scores, Suite, View

KIND = "pixels"
RADIUS, SIGMA = 5, 1.5  # pixels of SSIM's window
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MOST = 100.0  # dB; equal pixels would have no end
SEEN = 8  # levels of 255 by which a channel has to differ to count as changed: codecs move pixels by less
TRUE = ("background PSNR", "background SSIM", "foreground PSNR", "foreground SSIM", "changed inside", "changed outside")
KEPT = ("PSNR to source", "changed")
ENDS = {"PSNR": (0.0, MOST), "SSIM": (-1.0, 1.0), "changed": (0.0, 100.0)}

Floats = NDArray[np.float32]


def measured(source: Image, result: Image, gt: Image | None, mask: Mask | None) -> dict[str, float | None]:
    """Measure a result.

    Args:
        source, result: of one size.
        gt, mask: of that size too; both or neither.

    Returns:
        Figures by name: PSNR in dB, at most 100; SSIM -1..1; changed pixels in percent. None where there is nothing to
        measure, as outside a mask that covers all.
    """
    change = _changed(source, result)
    if gt is None or mask is None:
        everywhere = np.ones(change.shape, bool)
        return dict(zip(KEPT, (_psnr(source, result, everywhere), _percent(change, everywhere)), strict=True))
    inside = mask.pixels > 0
    kernel = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    outside = cv2.dilate(inside.astype(np.uint8), kernel) == 0
    x0, y0, x1, y1 = mask.box or (0, 0, 0, 0)
    framed = np.zeros_like(inside)
    framed[y0:y1, x0:x1] = True
    figures = (
        _psnr(source, result, outside), _ssim(source, result, outside), _psnr(gt, result, framed),
        _ssim(gt, result, framed), _percent(change, inside), _percent(change, outside),
    )  # fmt: skip
    return dict(zip(TRUE, figures, strict=True))


def psnr(first: Image, second: Image) -> float:
    """Peak signal to noise of two pictures of one size, in dB, at most 100."""
    value = _psnr(first, second, np.ones(first.pixels.shape[:2], bool))
    assert value is not None
    return value


def ssim(first: Image, second: Image) -> float:
    """Structural similarity of two pictures of one size: the mean over pixels and channels, -1..1."""
    return float(_ssim_map(first.pixels, second.pixels).mean())


class Pixels:
    """The measure.

    Args:
        suite: gives the groups; with `true` its items have true results and masks.
    """

    def __init__(self, suite: Suite, true: bool) -> None:
        self.suite, self.names = suite, TRUE if true else KEPT
        self.main = "foreground SSIM" if true else "changed"
        self.columns: Sequence[Column] = [Column(name, *_ends(name)) for name in self.names]
        self.views: Sequence[View] = [View(f"mean of groups, {name}", name, "groups") for name in self.names]

    def sections(self, item: Item) -> Sequence[str]:
        """As the suite's."""
        return self.suite.sections(item)

    def values(self, item: Item, scores: Scores, mode: Mode, clamp: bool) -> Mapping[str, Cells]:
        """The figures as they were measured."""
        return {name: ((scores.get(name) or (None,))[0],) for name in self.names}


class Measured:
    """Measures pixels; no model."""

    kind, name, prompts, alone = KIND, KIND, "", False
    facts: Mapping[str, Any] = {}

    def judge(self, item: Item, result: Image, number: int) -> Judged:
        """Compare a result with its source, and with the truth where there is one."""
        made = Judged()
        source = item.images[0].open()
        result = fitted(result, source, made.notes)
        gt = fitted(item.gt.open(), source, made.notes) if item.gt and item.mask else None
        mask = item.mask.mask() if item.gt and item.mask else None
        if mask and mask.size != source.size:
            made.notes.append(f"mask resized from {mask.size[0]} x {mask.size[1]}")
            mask = Mask(np.asarray(mask.pil().resize(source.size, Pillow.Resampling.NEAREST)))
        for name, value in measured(source, result, gt, mask).items():
            made.scores[name] = None if value is None else (round(value, 6),)
            if value is None:
                made.missing[name] = "the mask covers nothing" if mask and mask.box is None else "the mask covers all"
        return made


def _ends(name: str) -> tuple[float, float]:
    return next(ends for word, ends in ENDS.items() if word in name)


def _changed(first: Image, second: Image) -> NDArray[np.bool_]:
    apart = np.abs(first.pixels.astype(np.int16) - second.pixels).max(-1)
    return np.asarray(apart > SEEN, np.bool_)


def _percent(change: NDArray[np.bool_], where: NDArray[np.bool_]) -> float | None:
    return 100 * float(change[where].mean()) if where.any() else None


def _psnr(first: Image, second: Image, where: NDArray[np.bool_]) -> float | None:
    if not where.any():
        return None
    error = float(np.square(first.pixels[where].astype(np.float64) - second.pixels[where]).mean())
    return MOST if error == 0 else min(MOST, 10 * float(np.log10(255**2 / error)))


def _ssim(first: Image, second: Image, where: NDArray[np.bool_]) -> float | None:
    return float(_ssim_map(first.pixels, second.pixels)[where].mean()) if where.any() else None


def _ssim_map(first: Any, second: Any) -> Floats:
    """SSIM at each pixel, H x W x 3."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    both = _blurred(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + C1) * (2 * both + C2)
    return np.asarray(likeness / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2)), np.float32)


def _blurred(array: Any) -> Any:
    side = 2 * RADIUS + 1
    return cv2.GaussianBlur(array, (side, side), SIGMA, borderType=cv2.BORDER_REFLECT)
