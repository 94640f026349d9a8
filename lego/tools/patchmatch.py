"""Filling holes: which way, at which scale, from which surroundings; under `remove`, `move` and `extend_canvas`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import patchmatch
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.tools import detail
from lego.tools.pixels import to_uint8

Bools = NDArray[np.bool_]
Progress: TypeAlias = Callable[[float], None]

LONG_SIDE = 1024  # of what PatchMatch sees: its time grows with the area, 2-4 s here
MARGIN = 1.2  # sides of the hole's box that are looked at each way; more brings foreign things, less repeats
THIN = 5.0  # px; holes no deeper than this are filled better by diffusion (21.9 against 21.5 dB) and 20 times faster
TINY = 32  # px; below this side the pyramid has no level with enough sources
FEW = 400  # whole patches that must remain to copy from, or the fill repeats itself visibly
RADIUS = 5  # px of PatchMatch's patches: equal to 3 in dB, better where lines cross the hole
DIFFUSION_RADIUS = 5.0  # px of cv2.inpaint
MANY = 6  # holes filled one by one, each at its own scale; more are filled together

RING = 0.25  # ring round the hole that says what belongs there, in sqrt(hole area); at least RING_MIN px
RING_MIN = 8
BINS = (20, 6, 6)  # width of the colour histogram's cells in uint8 Lab
COMMON = 0.02  # share of the commonest cell above which a colour belongs there; at .002 coffee's saucer gets wood
PURE = 0.85  # share of such colours that a patch's neighbourhood needs to be copied from
ENOUGH = 2.0  # sources must cover this many times the hole, or the gate stays open

AT_FRAME = 0.25  # of the frame: a hole that has more of it continues the picture
BAND = 4  # px of the rim that are filled too, to see how far off the fill's light is there
LIGHT = 0.12  # softness of the correction of light, in sqrt(hole area)
REACH = 6.0  # softnesses over which the correction fades into the hole
OFF = 40.0  # of 255: rim pixels that differ by more are another thing, not another light

CALM = 4.0  # of 255, rms about a curved plane: skies lie at 1-2, the next calm photograph (wood) at 11
CALM_RING = 0.5  # width of the ring that the plane is fitted to, in sqrt(hole area); at least CALM_RING_MIN px
CALM_RING_MIN = 24
CALM_OFF = 24.0  # of 255: where the fill is further from the plane it shows another thing, such as a cloud

_turn = threading.Lock()  # PatchMatch's seed is global: one round of seed and call at a time


class Engine(NamedTuple):
    """What searches and copies patches (pixels, hole, sources, seed, progress -> pixels), and why it is this one."""

    name: str
    reason: str
    inpaint: Callable[[Pixels, Bools, Bools, int, Progress], Pixels]
    seamless: bool  # its fills have the light of their rim already


class Filled(NamedTuple):
    """The picture with its holes filled, and one sentence per hole about how and why."""

    pixels: Pixels
    notes: tuple[str, ...]


Fill: TypeAlias = Callable[[Pixels, Bools], Filled]  # what fills a picture's holes


def engines(hole: Bools) -> list[Engine]:
    """The engines that run here, best first for this hole; none where diffusion has to do.

    Inside a picture PyPatchMatch keeps a little more texture (docs/tools-quality.md); along the frame, where a scene is
    continued, its fills show a seam and ours do not.
    """
    outside = at_frame(hole)
    why = "it continues a scene beyond the frame without a seam" if outside else "PyPatchMatch has no library here"
    found = [Engine("numba", why, _numba, True)] if find_spec("numba") else []
    if patchmatch.patchmatch_available:
        why = "numba is not installed" if outside else "it keeps texture best"
        found.insert(len(found) if outside else 0, Engine("PyPatchMatch", why, _pypatchmatch, False))
    return found


def at_frame(hole: Bools) -> bool:
    """Whether the hole continues the picture rather than lies in it."""
    return bool(np.concatenate([hole[0], hole[-1], hole[:, 0], hole[:, -1]]).mean() > AT_FRAME)


def fill(
    pixels: Pixels, hole: Bools, seed: int = 0, progress: Progress | None = None, engine: Engine | None = None
) -> Filled:
    """Fill every pixel of ``hole`` from what is around it; all others stay as they are, bit for bit.

    Args:
        pixels: H x W x 3 uint8, RGB.
        hole: H x W, True where to fill. What the picture holds there has no influence.
        seed: of the random search; the same seed gives the same bytes.
        progress: told the share done; what it raises ends the work.
        engine: one of `engines`; the first of them for each hole if left out.

    Raises:
        RefusedError: nothing is left to fill from.
    """
    if hole.all():
        raise RefusedError(
            "the mask covers the whole picture, so there is nothing to fill it from",
            hint="mark only the thing that should go",
            reason="no_source",
        )
    result = np.array(pixels)
    notes: list[str] = []
    parts = _parts(hole)
    todo = hole.copy()
    for number, part in enumerate(parts):
        y, x = _window(part)
        told = _within(progress, number, len(parts))
        result[y, x], note = _fill_one(result[y, x], part[y, x], todo[y, x], seed, engine, told)
        todo &= ~part
        notes.append(note)
        if progress:
            progress((number + 1) / len(parts))
    return Filled(result, tuple(dict.fromkeys(notes)))


def _within(progress: Progress | None, number: int, count: int) -> Progress:
    """Progress within one of several parts."""

    def told(share: float) -> None:
        if progress:
            progress((number + min(share, 0.99)) / count)

    return told


def _parts(hole: Bools) -> list[Bools]:
    """The thin holes together, then each thick one, largest first."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=8)
    depth = _depth(hole)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, labels[hole], depth[hole])
    thick = [n for n in np.argsort(-stats[:, cv2.CC_STAT_AREA], kind="stable") if n and deepest[n] > THIN]
    thin = np.isin(labels, [n for n in range(1, count) if deepest[n] <= THIN]) & hole
    whole = [np.isin(labels, thick)] if len(thick) > MANY else [labels == n for n in thick]
    return [part for part in [thin, *whole] if part.any()]


def _depth(hole: Bools) -> NDArray[np.float32]:
    """How far each pixel of the hole is from the nearest known one; the frame is no source."""
    return np.asarray(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _window(hole: Bools) -> tuple[slice, slice]:
    """The hole's box with a margin of its own size each way."""
    sides = []
    for axis, length in ((1, hole.shape[0]), (0, hole.shape[1])):
        where = np.flatnonzero(hole.any(axis))
        low, high = int(where[0]), int(where[-1]) + 1
        margin = max(round((high - low) * MARGIN), TINY)
        sides.append(slice(max(0, low - margin), min(length, high + margin)))
    return sides[0], sides[1]


def _fill_one(
    pixels: Pixels, hole: Bools, unknown: Bools, seed: int, engine: Engine | None, progress: Progress
) -> tuple[Pixels, str]:
    """Fill one hole inside its window; ``unknown`` also covers the other holes, which are no sources."""
    depth = float(_depth(hole).max())
    if depth <= THIN:
        return _diffuse(pixels, hole), f"diffusion (Navier-Stokes): the hole is at most {depth:.0f} px deep"
    if min(hole.shape) < TINY:
        return _diffuse(pixels, hole), "low quality: diffusion, because the picture is too small to copy patches from"
    engine = engine or next(iter(engines(hole)), None)
    if engine is None:
        return _diffuse(pixels, hole), "low quality: diffusion, because neither numba nor PyPatchMatch runs here"
    shrink = min(1.0, LONG_SIDE / max(hole.shape))
    small, small_hole, small_unknown = _shrunk(pixels, hole, unknown, shrink)
    sources = _sources(small, small_hole, small_unknown)
    if sources is None:
        return _diffuse(pixels, hole), "low quality: diffusion, because too little is left to copy from"
    made = _lit(small, small_hole, sources, seed, engine, progress)
    if shrink < 1:
        made = detail.restored(pixels, small, made, small_hole, sources, seed)
    share = sources.mean() / max(1e-9, 1 - small_unknown.mean())
    scale = "" if shrink == 1 else f" at {shrink:.0%} of its size, then given back its fine detail"
    note = (
        f"PatchMatch ({engine.name}, because {engine.reason}){scale}, copied from the {share:.0%} of the surroundings "
        "that look like the hole's rim"
    )
    return np.where(hole[..., None], made, pixels), note


def _diffuse(pixels: Pixels, hole: Bools) -> Pixels:
    """Bertalmio 2001: colours flow in along edges. Right for scratches, a smear in anything deeper."""
    made: Pixels = cv2.inpaint(pixels, hole.astype(np.uint8), DIFFUSION_RADIUS, cv2.INPAINT_NS)
    return np.where(hole[..., None], made, pixels)


def _lit(pixels: Pixels, hole: Bools, sources: Bools, seed: int, engine: Engine, progress: Progress) -> Pixels:
    """Fill the hole and a band of its rim; what the band lacks in light, the hole gets too, so that no seam shows."""
    size = 2 * BAND + 1
    wide = cv2.dilate(hole.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0
    if engine.seamless or _patches(sources & ~wide) < FEW:
        return engine.inpaint(pixels, hole, sources & ~hole, seed, progress)
    made = _calmed(pixels, engine.inpaint(pixels, wide, sources & ~wide, seed, progress), wide, sources & ~wide)
    lack = pixels.astype(np.float32) - made
    rim = wide & ~hole & (np.abs(lack).max(2) < OFF)
    sigma = max(BAND, LIGHT * float(np.sqrt(hole.sum())))
    fade = np.exp(-_depth(hole) / (REACH * sigma))[..., None]
    return to_uint8(made + _spread(lack, rim, sigma) * fade)


def _spread(values: NDArray[np.float32], where: Bools, sigma: float) -> NDArray[np.float32]:
    """The Gaussian mean of the values (H x W x 3) that count, 0 where none is near."""
    weight = where.astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    sums = cv2.GaussianBlur(values * weight[..., None], (0, 0), sigma).reshape(values.shape)
    return np.asarray(np.where(total > 1e-4, sums / np.maximum(total, 1e-6), 0), np.float32)


def _calmed(pixels: Pixels, made: Pixels, hole: Bools, sources: Bools) -> Pixels:
    """In calm surroundings (sky, wall) give the fill their large-scale light, so that no band or patch shows.

    The light is a plane of second degree through the sources round the hole, outliers left out, bent at the rim to what
    is there; what the fill has of it (its Gaussian mean) is replaced where most of the ring is calm. Busy surroundings,
    which no such plane fits, leave the fill as it is.
    """
    width = max(CALM_RING_MIN, CALM_RING * float(np.sqrt(hole.sum())))
    ring = ~hole & (cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5) <= width)
    plane, rms = _plane(pixels, ring & sources)
    if rms > CALM:
        return made
    sigma = max(BAND, LIGHT * float(np.sqrt(hole.sum())))
    rest = pixels - plane
    calm = ring & sources & (np.abs(rest).max(2) < 3 * CALM)
    off = _spread(plane + _spread(rest, calm, sigma) - made, hole, sigma)
    near = _spread(calm[..., None].astype(np.float32), ring, width / 2)  # where most of the ring is calm
    near = np.clip(2 * near - 0.6, 0, 1) * (np.abs(off).max(2, keepdims=True) < CALM_OFF)
    weight = cv2.GaussianBlur(near, (0, 0), sigma / 2)[..., None]
    return np.where(hole[..., None], to_uint8(made + off * weight), pixels)


def _plane(pixels: Pixels, where: Bools) -> tuple[NDArray[np.float32], float]:
    """The plane of second degree that fits ``where`` best, H x W x 3, and how far what it explains is from it (rms)."""
    y, x = (
        2 * axis / max(1, length - 1) - 1 for axis, length in zip(np.indices(where.shape), where.shape, strict=True)
    )
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], -1).astype(np.float32)
    known, values = terms[where], pixels[where].astype(np.float32)
    fits = np.ones(len(known), np.bool_)
    for _ in range(3):
        if fits.sum() < FEW:
            return np.zeros(pixels.shape, np.float32), np.inf
        factors, *_ = np.linalg.lstsq(known[fits], values[fits], rcond=None)
        off = np.abs(known @ factors - values).max(1)
        fits = off < max(3.0, 2.5 * float(np.median(off)))
    rms = float(np.sqrt(((known @ factors - values)[fits] ** 2).mean()))
    return np.asarray(terms @ factors, np.float32), rms


def _numba(pixels: Pixels, hole: Bools, sources: Bools, seed: int, progress: Progress) -> Pixels:
    from lego.tools import exemplar  # imports numba

    return exemplar.inpaint(pixels, hole, sources, seed, progress, at_frame(hole))


def _pypatchmatch(pixels: Pixels, hole: Bools, sources: Bools, seed: int, progress: Progress) -> Pixels:
    """In its masks 1 means hole, and in the other one no source. It tells no progress."""
    barred = ~(sources | hole)
    with _turn:
        patchmatch.set_random_seed(seed)
        made: Pixels = patchmatch.inpaint(
            pixels, hole.astype(np.uint8), global_mask=barred.astype(np.uint8), patch_size=RADIUS
        )
    return made


def _shrunk(pixels: Pixels, hole: Bools, unknown: Bools, scale: float) -> tuple[Pixels, Bools, Bools]:
    """Scale down; a small pixel that saw any of a hole belongs to the hole."""
    if scale == 1:
        return pixels, hole, unknown
    size = (max(1, round(hole.shape[1] * scale)), max(1, round(hole.shape[0] * scale)))
    masks = [cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0 for m in (hole, unknown)]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), masks[0], masks[1]


def _sources(pixels: Pixels, hole: Bools, unknown: Bools) -> Bools | None:
    """Where to copy from: what looks like the rim of the hole, so that nothing foreign is repeated in it.

    None if even without this gate too few whole patches remain.
    """
    known = ~unknown
    gated = known & _alike(pixels, hole, known)
    if gated.sum() >= ENOUGH * hole.sum() and _patches(gated) >= FEW:
        return gated
    return known if _patches(known) >= FEW else None


def _patches(known: Bools) -> int:
    """How many whole patches fit."""
    side = 2 * RADIUS + 1
    framed = np.pad(known.astype(np.uint8), 1)
    return int(cv2.erode(framed, np.ones((side, side), np.uint8)).sum())


def _alike(pixels: Pixels, hole: Bools, known: Bools) -> Bools:
    """Pixels whose neighbourhood has the colours of the ring round the hole."""
    lab = cv2.cvtColor(cv2.medianBlur(pixels, 5), cv2.COLOR_RGB2LAB)
    shape = tuple(-(-256 // width) for width in BINS)
    cells = np.ravel_multi_index(tuple(lab[..., c] // BINS[c] for c in range(3)), shape)
    width = max(RING_MIN, RING * float(np.sqrt(hole.sum())))
    ring = known & (cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5) <= width)
    histogram = np.bincount(cells[ring], minlength=int(np.prod(shape))).astype(np.float32).reshape(shape)
    smooth = _smooth(histogram)
    common = (smooth > COMMON * max(float(smooth.max()), 1e-9))[tuple(lab[..., c] // BINS[c] for c in range(3))]
    share = cv2.blur((common & known).astype(np.float32), (9, 9))
    return np.asarray(share > PURE, np.bool_)


def _smooth(histogram: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gaussian of sigma .7 along L and 1 along a and b, so that a colour's neighbours count too."""
    for axis, sigma in enumerate((0.7, 1.0, 1.0)):
        moved = np.moveaxis(histogram, axis, 0)
        flat = np.ascontiguousarray(moved.reshape(moved.shape[0], -1))
        blurred = cv2.GaussianBlur(flat, (1, 7), sigmaX=1e-6, sigmaY=sigma, borderType=cv2.BORDER_CONSTANT)
        histogram = np.moveaxis(blurred.reshape(moved.shape), 0, axis)
    return histogram
