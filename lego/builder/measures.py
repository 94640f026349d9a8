"""Measures on a picture before and after: what changed, where, which way, and whether it shows that something was done.

Light and colour are measured in CIELAB on copies of 512 px, detail on 1024 px; what was touched at all, on every pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.values import Image, Mask

Plane: TypeAlias = NDArray[np.float32]
Bools: TypeAlias = NDArray[np.bool_]
SIDE, FINE = 512, 1024  # px of the long side, for light and colour and for detail
VISIBLE = 8.0  # of 255: a change of a channel that anybody sees
RIM = 3  # px of a place that are left out where detail is measured
RING = 0.05  # of the long side: how far around a place its surroundings reach
FEWEST = 12  # pixels of a small copy from which on something can be said
STANDS_OUT = 15.0  # Lab units by which a thing differs from its surroundings, pixel by pixel
GHOST = 0.5  # of that difference, from which on a thing is still to be seen
STEP = 6.0  # Lab units from pixel to pixel that are seen as an edge
FLAT, EXTREME = 8, 0.99  # values between darkest and lightest of a picture that is all but constant; share all black
CLEARLY = 0.3  # of the difference to the picture that was not mirrored
COLORFUL = 4.0  # mean chroma from which on there is colour to lose
DETAILED = 2.0  # standard deviation of the fine L of a place that has detail to lose
LEVELS, UNEVEN = 16, 20.0  # of lightness that are told apart; L by which places of one level may change differently
CHROMATIC = 12.0  # Lab chroma from which on a colour has a hue that people name


@dataclass(frozen=True)
class Pair:
    """A picture before and after, of one size.

    Attributes:
        before, after: the pictures.
    """

    before: Image
    after: Image

    @cached_property
    def change(self) -> NDArray[np.uint8]:
        """The largest change of a pixel's channels and alpha, 0..255, H x W."""
        found = cv2.absdiff(self.before.pixels, self.after.pixels).max(-1)
        alphas = [image.alpha for image in (self.before, self.after)]
        if any(alpha is not None for alpha in alphas):
            first, last = (np.full_like(found, 255) if alpha is None else alpha for alpha in alphas)
            found = np.maximum(found, cv2.absdiff(first, last))
        return np.asarray(found, np.uint8)

    @cached_property
    def labs(self) -> tuple[Plane, Plane]:
        """Both in CIELAB, h x w x 3, at most 512 px."""
        return _lab(_small(self.before.pixels, SIDE)), _lab(_small(self.after.pixels, SIDE))

    @cached_property
    def greys(self) -> tuple[Plane, Plane]:
        """Both in grey, 0..255, at most 1024 px."""
        first, last = (_small(image.pixels, FINE) for image in (self.before, self.after))
        return _grey(first), _grey(last)

    def place(self, mask: Mask | None) -> Bools:
        """Return where a mask covers the copies of `labs`; everywhere without one."""
        return _covered(mask, self.labs[0].shape[:2])

    def measured(self, name: str, mask: Mask | None) -> tuple[float, float] | None:
        """Return a measure of `lego.core.effects.MEASURES` before and after; None if the place is too small.

        lightness: mean L. contrast: standard deviation of L. saturation: mean chroma. warmth: mean b. magenta: mean a.
        sharpness: mean absolute Laplacian of grey. grain: noise by the median of the diagonal detail (Donoho 1995).
        """
        if name in ("sharpness", "grain"):
            where = _covered(mask, self.greys[0].shape)
            if mask is not None:  # at its rim a blur that ends there makes an edge of its own
                where = np.asarray(cv2.erode(where.astype(np.uint8), _disc(RIM)) > 0)
            if where.sum() < FEWEST:
                return None
            first, last = (_detail(grey, where, name) for grey in self.greys)
            return first, last
        where = self.place(mask)
        if where.sum() < FEWEST:
            return None
        first, last = (_toned(lab[where], name) for lab in self.labs)
        return first, last


def seen(pair: Pair, mask: Mask | None) -> float:
    """Return the share of a place where the picture changed visibly, 0..1."""
    where = slice(None) if mask is None else mask.pixels > 127
    change = pair.change[where]
    return float((change >= VISIBLE).mean()) if change.size else 0.0


def spilled(pair: Pair, mask: Mask, reach: int) -> float:
    """Return the share of the pixels that changed at all farther than ``reach`` px from a mask."""
    cover = mask.pixels
    if reach:
        cover = _dilated(cover, reach)
    outside = cover == 0
    return float((pair.change[outside] > 0).mean()) if outside.any() else 0.0


def remains(pair: Pair, mask: Mask) -> float | None:
    """Return the share of a thing's own pixels (those unlike its surroundings) that still differ from them that way.

    None if the thing is hardly unlike them, so that nobody could tell.
    """
    where = pair.place(mask)
    ring = _ring(where)
    if where.sum() < FEWEST or ring.sum() < FEWEST:
        return None
    old, new = pair.labs
    around = np.median(old[ring], 0)
    away = old - around
    far = np.linalg.norm(away, axis=-1)
    own = where & (far > STANDS_OUT)
    if own.sum() < max(FEWEST, 0.1 * where.sum()):
        return None
    left = ((new - around) * away).sum(-1)[own] / far[own] ** 2  # 1 as before, 0 as the surroundings
    return float((left > GHOST).mean())


def misfit(pair: Pair, mask: Mask) -> float:
    """Return how much a filled place differs from what surrounds it, in standard deviations of the surroundings."""
    where = pair.place(mask)
    ring = _ring(where)
    if where.sum() < FEWEST or ring.sum() < FEWEST:
        return 0.0
    new = pair.labs[1]
    around, spread = new[ring].mean(0), new[ring].std(0) + 4.0
    return float((np.abs(new[where].mean(0) - around) / spread).max())


def seam(pair: Pair, mask: Mask) -> float:
    """Return how much stronger the edges along a mask's outline became, in Lab units from pixel to pixel."""
    where = pair.place(mask).astype(np.uint8)
    band = (cv2.dilate(where, _disc(2)) > 0) & (cv2.erode(where, _disc(2)) == 0)
    if band.sum() < FEWEST:
        return 0.0
    old, new = (_steps(lab)[band] for lab in pair.labs)
    return float(np.percentile(new, 75) - np.percentile(old, 75))


def halo(pair: Pair, mask: Mask) -> float:
    """Return how much a thin line along a mask's outline, lighter or darker than both sides, gained: in L, 0..100."""
    where = pair.place(mask).astype(np.uint8)
    band = (cv2.dilate(where, _disc(2)) > 0) & (cv2.erode(where, _disc(3)) == 0)
    if band.sum() < FEWEST:
        return 0.0
    old, new = (_lines(lab[..., 0])[band].mean() for lab in pair.labs)
    return float(new - old)


def shifted(pair: Pair, where: Bools) -> tuple[float, float, float, float, float]:
    """Return how a place changed where nothing says how it should.

    Returns:
        The change of its mean L; that of its mean a and b, as a length; by how many degrees its mean hue turned (0
        without a hue); how colourful it is, times what it was (1 where it was not); and the correlation of its detail
        with what it was (1 where it had none).
    """
    old, new = (lab[where].mean(0) for lab in pair.labs)
    move = new - old
    turn = 0.0
    if min(np.hypot(*old[1:]), np.hypot(*new[1:])) > CHROMATIC:
        turn = abs(float(np.degrees(np.arctan2(new[2], new[1]) - np.arctan2(old[2], old[1]))))
        turn = min(turn, 360 - turn)
    strong, left = (float(np.hypot(lab[where][:, 1], lab[where][:, 2]).mean()) for lab in pair.labs)
    faded = left / strong if strong > COLORFUL else 1.0
    first, last = (_fine(lab[..., 0])[where] for lab in pair.labs)
    kept = 1.0
    if first.std() > DETAILED:
        kept = float((first * last).mean() / (first.std() * max(float(last.std()), 1e-3)))
    return float(move[0]), float(np.hypot(*move[1:])), turn, faded, kept


def uneven(pair: Pair, where: Bools) -> float:
    """Return the share of a place that became lighter or darker than the rest of it of the same lightness, by 20 L."""
    old, new = (lab[..., 0] for lab in pair.labs)
    change = cv2.blur(new - old, (5, 5))[where]
    level = np.clip(old[where] / 100 * LEVELS, 0, LEVELS - 1).astype(int)
    usual = np.array([np.median(change[level == n]) if (level == n).any() else 0.0 for n in range(LEVELS)])
    return float((np.abs(change - usual[level]) > UNEVEN).mean())


def color_of(pair: Pair, mask: Mask | None) -> tuple[Plane, Plane] | None:
    """Return the median colour of a place before and after, as L, a, b; None if it is too small."""
    where = pair.place(mask)
    if where.sum() < FEWEST:
        return None
    first, last = (np.asarray(np.median(lab[where], 0), np.float32) for lab in pair.labs)
    return first, last


def is_color(found: Plane, wanted: str, hue: float = 35.0) -> bool:
    """Does a colour (L, a, b) have the hue of another (``#rrggbb``), or as little of one? ``hue``: degrees between."""
    goal = lab_of(wanted)
    chroma, needed = float(np.hypot(*found[1:])), float(np.hypot(*goal[1:]))
    if needed < CHROMATIC:
        nearer = abs(found[0] - goal[0]) < 35
        return chroma < 1.5 * CHROMATIC and nearer
    angle = np.degrees(np.arctan2(found[2], found[1]) - np.arctan2(goal[2], goal[1]))
    return chroma > min(CHROMATIC, 0.4 * needed) and abs((angle + 180) % 360 - 180) < hue


def lab_of(color: str) -> Plane:
    """Return ``#rrggbb`` as L, a, b."""
    rgb = np.array([[[int(color[n : n + 2], 16) for n in (1, 3, 5)]]], np.uint8)
    return np.asarray(_lab(rgb)[0, 0], np.float32)


def sane(image: Image) -> bool:
    """Is it a picture: neither all but constant, nor nearly all black or white?"""
    return not degenerate(_small(image.pixels, SIDE))


def degenerate(pixels: NDArray[np.uint8]) -> bool:
    """Are pixels (H x W x 3) all but constant, or nearly all black or white?"""
    if int(pixels.max()) - int(pixels.min()) < FLAT:
        return True
    return bool(max((pixels.max(-1) < FLAT).mean(), (pixels.min(-1) > 255 - FLAT).mean()) > EXTREME)


def touched(pair: Pair) -> tuple[int, int, int, int] | None:
    """Return the box of what changed visibly, with half its height of room: left, top, right, bottom in px; or None."""
    rows, columns = (np.flatnonzero((pair.change >= VISIBLE).any(axis)) for axis in (1, 0))
    if not rows.size:
        return None
    room = (rows[-1] - rows[0] + 1) // 2 + 4
    width, height = pair.after.size
    left, top = max(0, columns[0] - room), max(0, rows[0] - room)
    return int(left), int(top), int(min(width, columns[-1] + room)), int(min(height, rows[-1] + room))


def enlarged(image: Image, box: tuple[int, int, int, int], side: int) -> tuple[Image, int]:
    """Return a part of a picture, small ones enlarged to about ``side`` px on the long side, and how many times."""
    left, top, right, bottom = box
    part = np.ascontiguousarray(image.pixels[top:bottom, left:right])
    times = max(1, round(side / max(part.shape[:2])))
    if times > 1:
        size = (part.shape[1] * times, part.shape[0] * times)
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return Image(part), times


def mirrored(pair: Pair, vertical: bool, clearly: bool = False) -> bool:
    """Is the picture after more like the mirrored one before than like that itself (``clearly``: by far)?"""
    old, new = pair.labs
    turned = old[::-1] if vertical else old[:, ::-1]
    same = float(np.abs(new - old).mean())
    return float(np.abs(new - turned).mean()) < (CLEARLY * same if clearly else same)


def _small(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _lab(pixels: NDArray[np.uint8]) -> Plane:
    return np.asarray(cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _grey(pixels: NDArray[np.uint8]) -> Plane:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)


def _covered(mask: Mask | None, shape: tuple[int, ...]) -> Bools:
    if mask is None:
        return np.ones(shape[:2], bool)
    cover = mask.pixels
    if cover.shape != shape[:2]:
        cover = np.asarray(cv2.resize(cover, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cover > 127)


def _toned(lab: Plane, name: str) -> float:
    if name == "lightness":
        return float(lab[:, 0].mean())
    if name == "contrast":
        return float(lab[:, 0].std())
    if name == "saturation":
        return float(np.hypot(lab[:, 1], lab[:, 2]).mean())
    return float(lab[:, 2 if name == "warmth" else 1].mean())


def _detail(grey: Plane, where: Bools, name: str) -> float:
    if name == "sharpness":
        return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[where].mean())
    diagonal = cv2.filter2D(grey, cv2.CV_32F, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6)
    return float(np.median(np.abs(diagonal[where])) / 0.6745)


def _steps(lab: Plane) -> Plane:
    """The Lab distance of each pixel to its neighbours to the right and below, the larger one."""
    right, down = np.zeros(lab.shape[:2], np.float32), np.zeros(lab.shape[:2], np.float32)
    right[:, :-1] = np.linalg.norm(lab[:, 1:] - lab[:, :-1], axis=-1)
    down[:-1] = np.linalg.norm(lab[1:] - lab[:-1], axis=-1)
    return np.maximum(right, down)


def _lines(light: Plane) -> Plane:
    """How much a pixel is lighter or darker than its surroundings of 7 px, where that is a line or a dot."""
    kernel = _disc(3)
    bright = light - cv2.morphologyEx(light, cv2.MORPH_OPEN, kernel)
    dark = cv2.morphologyEx(light, cv2.MORPH_CLOSE, kernel) - light
    return np.asarray(np.maximum(bright, dark), np.float32)


def _fine(light: Plane) -> Plane:
    return np.asarray(light - cv2.blur(light, (9, 9)), np.float32)


def _ring(where: Bools) -> Bools:
    """The surroundings of a place, with a little room between."""
    cover = where.astype(np.uint8)
    inner, outer = _dilated(cover, 2), _dilated(cover, 2 + max(3, round(RING * max(where.shape))))
    return np.asarray((outer > 0) & (inner == 0))


def _dilated(cover: NDArray[np.uint8], reach: int) -> NDArray[np.uint8]:
    long = 2 * reach + 1
    high = cv2.dilate(cover, np.ones((long, 1), np.uint8))
    return np.asarray(cv2.dilate(high, np.ones((1, long), np.uint8)), np.uint8)


def _disc(radius: int) -> Any:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


LEAST: Mapping[str, tuple[float, float]] = {
    # what a measure must change by at least: by so much, or by this share of what it was
    "lightness": (1.0, 0.0), "contrast": (0.3, 0.02), "saturation": (0.8, 0.05), "warmth": (1.0, 0.0),
    "magenta": (0.8, 0.0), "sharpness": (0.15, 0.03), "grain": (0.3, 0.1),
}  # fmt: skip


def moved(name: str, first: float, last: float) -> int:
    """Return which way a measure went, 1 or -1; 0 if it hardly changed."""
    least, share = LEAST[name]
    change = last - first
    return 0 if abs(change) < max(least, share * abs(first)) else 1 if change > 0 else -1
