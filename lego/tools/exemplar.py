"""Exemplar-based filling in our own code, compiled by numba: import it only where it is used.

Multi-scale PatchMatch (Wexler 2007, Barnes 2009) with features of texture (Newson 2014); where copied pieces meet, a
screened Poisson equation evens out their light (Perez 2003, Darabi 2012).

The first call ever compiles for 4.0 s (one core). The machine code (650 kB) is kept in ``__pycache__`` beside this
file, or in the user's cache folder where that cannot be written, and costs .5 s once in each later process. A call
then takes .2 s at 512 px and .6 s at 1024 px for a hole of 1-6 % on one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.tools.pixels import to_uint8

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
F = TypeVar("F", bound=Callable[..., Any])

RADIUS = 4  # px of a patch round its centre: 3 to 5 differ by .2 dB
SIDE = 2 * RADIUS + 1
CHANNELS = 5  # Lab and two of texture
TEXTURE = 3.0  # weight of the texture's features; without them fills are too smooth (.87 of the true gradient)
TEXTURE_SIDE = 9  # px of the window that texture is averaged over
LEAST_SIDE = 4 * SIDE  # px: a coarser level has too few patches
LEAST_SOURCES = 50  # whole patches that a level needs
FADE = 1.3  # trust in what is filled already falls by this factor with each px of depth
LEAST_TRUST = 1e-4  # or patches in the middle of large holes would weigh nothing
ROUNDS = (15, 6, 3)  # of search and vote at the coarsest, the middle and the finest level
WIDE = 2  # rounds that search the whole level; later ones an eighth of it
SEAM = 24.0  # of 255: a larger jump between two pieces is the edge of a thing, not another light
SCREEN = 0.01  # pull towards what was copied, against what the gradients want: reaches about ten px
RELAX = 60  # rounds of over-relaxation
OVER = 1.7  # of 1..2: how far each overshoots
FARE = 25.0  # cost, per value of a patch, of copying from as far as the whole diagonal: nearer things fit better
FARE_OUTSIDE = 1500.0  # the same for a hole along the frame: what is known on one side only is best continued
OFFSET = 0.15  # dearer by this times its squared distance is a patch whose centre lies off the pixel, in the last vote


class _Level(NamedTuple):
    """One scale: features framed by RADIUS px (rows x columns and channels), the hole, centres of whole sources."""

    features: Floats
    hole: Bools
    whole: Bools


class _Field(NamedTuple):
    """For each pixel, which source's patch stands for its own, and at what cost."""

    y: Ints
    x: Ints
    cost: Floats


def inpaint(
    pixels: Pixels,
    hole: Bools,
    sources: Bools,
    seed: int,
    progress: Callable[[float], None] | None = None,
    beyond: bool = False,
) -> Pixels:
    """Fill ``hole`` with pixels copied from ``sources``; all others stay as they are.

    Args:
        pixels: H x W x 3 uint8, RGB.
        hole, sources: H x W; no patch reaches beyond ``sources``, of which at least one whole patch is needed.
        seed: of the random search.
        progress: told the share done after each round; what it raises ends the work.
        beyond: the hole continues the scene beyond the frame; then what is near counts far more.
    """
    if not hole.any():
        return np.array(pixels)
    levels = _pyramid(pixels, hole, sources)
    work = [_rounds(n, len(levels)) * int(level.hole.sum()) for n, level in enumerate(levels)]
    state = np.array([seed % 2**62], np.int64)
    fare = FARE_OUTSIDE if beyond else FARE
    field: _Field | None = None
    done = 0.0
    for n in range(len(levels) - 1, -1, -1):
        level = levels[n]
        weight, ys, xs = _targets(level.hole)
        field = _started(level, field, ys, xs, state)
        if n < len(levels) - 1:
            _vote(level.features, level.hole, ys, xs, *field, _scale(field, ys, xs))
        rounds = _rounds(n, len(levels))
        for turn in range(rounds):
            reach = max(level.hole.shape) // (1 if turn < WIDE else 8)
            _search(level.features, weight, level.whole, ys, xs, *field, reach, fare, state)
            if n or turn < rounds - 1:
                _vote(level.features, level.hole, ys, xs, *field, _scale(field, ys, xs))
            done += work[n] / rounds
            if progress:
                progress(done / sum(work))
    assert field is not None  # there is at least one level
    oy, ox = _origins(hole, *field)
    ys, xs = (axis.astype(np.int32) for axis in np.nonzero(hole))
    return np.where(
        hole[..., None], to_uint8(_merged(pixels.astype(np.float32), hole, sources, oy, ox, ys, xs)), pixels
    )


def _rounds(level: int, count: int) -> int:
    return ROUNDS[0] if level == count - 1 else ROUNDS[2] if level == 0 else ROUNDS[1]


def _pyramid(pixels: Pixels, hole: Bools, sources: Bools) -> list[_Level]:
    """Halved until the hole is no deeper than a patch, finest first; the coarsest has a first fill."""
    deepest = float(cv2.distanceTransform(np.asarray(hole, np.uint8), cv2.DIST_L2, 5).max())
    wanted = max(0, math.ceil(math.log2(max(deepest, 1) / RADIUS)))
    planes, known = _features(pixels, hole), (~hole).astype(np.float32)
    levels = [(planes, hole, sources)]
    for _ in range(wanted):
        planes, known, hole, sources = _halved(planes, known, hole, sources)
        if min(hole.shape) < LEAST_SIDE or _whole(sources & ~hole).sum() < LEAST_SOURCES:
            break
        levels.append((planes, hole, sources & ~hole))
    coarsest = levels[-1]
    levels[-1] = (_smeared(coarsest[0], coarsest[1]), *coarsest[1:])
    return [_Level(_framed(p), h, _whole(s)) for p, h, s in levels]


def _features(pixels: Pixels, hole: Bools) -> Floats:
    """Lab and how busy it is across and down, H x W x CHANNELS, 0..255; nothing of the hole enters."""
    known = (~hole).astype(np.float32)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sure = cv2.erode(known, np.ones((3, 3), np.uint8))
    total = np.maximum(cv2.blur(sure, (TEXTURE_SIDE, TEXTURE_SIDE)), 1e-6)
    planes = [cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)]
    for dx, dy in ((1, 0), (0, 1)):
        slope = np.abs(cv2.Sobel(grey, cv2.CV_32F, dx, dy, ksize=1)) * sure
        planes.append((TEXTURE * cv2.blur(slope, (TEXTURE_SIDE, TEXTURE_SIDE)) / total)[..., None])
    return np.asarray(np.concatenate(planes, 2) * known[..., None], np.float32)


def _halved(planes: Floats, known: Floats, hole: Bools, sources: Bools) -> tuple[Floats, Floats, Bools, Bools]:
    """Half the size: binomial means over known pixels; any of the hole makes hole, only whole sources are sources."""
    weight = cv2.pyrDown(known)
    means = [cv2.pyrDown(planes[..., c] * known) / np.maximum(weight, 1e-6) for c in range(CHANNELS)]
    size = (weight.shape[1], weight.shape[0])
    even = [np.pad(m, ((0, m.shape[0] % 2), (0, m.shape[1] % 2)), "edge") for m in (hole, ~sources)]
    fewer = [np.asarray(m.reshape(size[1], 2, size[0], 2).any((1, 3)), np.bool_) for m in even]
    return np.asarray(np.stack(means, -1), np.float32), (~fewer[0]).astype(np.float32), fewer[0], ~fewer[1]


def _whole(sources: Bools) -> Bools:
    """Centres of patches that lie in the sources altogether."""
    framed = np.pad(sources, RADIUS).astype(np.uint8)
    return np.asarray(cv2.erode(framed, np.ones((SIDE, SIDE), np.uint8))[RADIUS:-RADIUS, RADIUS:-RADIUS] > 0)


def _smeared(planes: Floats, hole: Bools) -> Floats:
    """A first fill by diffusion (Telea 2004)."""
    bytes_, mask = np.clip(planes, 0, 255).astype(np.uint8), hole.astype(np.uint8)
    groups = [bytes_[..., :3], bytes_[..., 3], bytes_[..., 4]]
    made = [cv2.inpaint(np.ascontiguousarray(g), mask, 5, cv2.INPAINT_TELEA) for g in groups]
    return np.where(hole[..., None], np.dstack(made), planes).astype(np.float32)


def _framed(planes: Floats) -> Floats:
    """With RADIUS px of frame, columns and channels in one axis, so that a patch's row is one run of memory."""
    framed = np.pad(planes, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), "edge")
    return np.ascontiguousarray(framed.reshape(framed.shape[0], -1), np.float32)


def _targets(hole: Bools) -> tuple[Floats, Ints, Ints]:
    """How far each pixel (framed, 0 beyond the picture) is to be trusted, and the pixels whose patches see the hole."""
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    weight = np.pad(np.maximum(FADE**-depth, LEAST_TRUST), RADIUS).astype(np.float32)
    ys, xs = np.nonzero(cv2.dilate(hole.astype(np.uint8), np.ones((SIDE, SIDE), np.uint8)))
    return np.repeat(weight, CHANNELS, 1), ys.astype(np.int32), xs.astype(np.int32)


def _started(level: _Level, coarse: _Field | None, ys: Ints, xs: Ints, state: NDArray[np.int64]) -> _Field:
    """The coarser field doubled; where there is none, or it points at no source, a random source."""
    shape = level.hole.shape
    places = np.argwhere(level.whole).astype(np.int32)
    drawn = places[np.random.default_rng(int(state[0]) & 0xFFFFFFFF).integers(0, len(places), len(ys))]
    y, x = np.full((2, *shape), -1, np.int32)
    cost = np.full(shape, np.inf, np.float32)
    if coarse is not None:
        half = ys // 2, xs // 2
        found = np.stack([coarse.y[half] * 2 + ys % 2, coarse.x[half] * 2 + xs % 2], 1)
        fits = (coarse.y[half] >= 0) & (found[:, 0] < shape[0]) & (found[:, 1] < shape[1])
        fits[fits] = level.whole[found[fits, 0], found[fits, 1]]
        drawn = np.where(fits[:, None], found, drawn)
        cost[ys, xs] = np.where(fits, coarse.cost[half], np.inf)
    y[ys, xs], x[ys, xs] = drawn.T
    return _Field(y, x, cost)


def _scale(field: _Field, ys: Ints, xs: Ints) -> float:
    """The cost beyond which a patch has little say: the median."""
    costs = field.cost[ys, xs]
    sure = costs[np.isfinite(costs)]
    return max(float(np.percentile(sure, 50)), 1e-3) if sure.size else 1.0


def _compiled(function: F) -> F:
    made: F = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"})(function)
    return made


@_compiled
def _search(
    features: Floats, weight: Floats, whole: Bools, ys: Ints, xs: Ints, fy: Ints, fx: Ints, cost: Floats,
    reach: int, fare: float, state: NDArray[np.int64],
) -> None:  # fmt: skip
    """A forward and a backward sweep: the neighbours' finds, moved along, then random places ever nearer the best."""
    height, width = whole.shape
    row = SIDE * CHANNELS
    mine, trust = np.empty((SIDE, row), np.float32), np.empty((SIDE, row), np.float32)
    random = state[0]
    for sweep in range(2):
        step = 1 - 2 * sweep
        for k in range(len(ys)):
            at = k if sweep == 0 else len(ys) - 1 - k
            y, x = ys[at], xs[at]
            total = np.float32(0)
            for i in range(SIDE):
                for j in range(row):
                    mine[i, j] = features[y + i, x * CHANNELS + j]
                    trust[i, j] = weight[y + i, x * CHANNELS + j]
                    total += trust[i, j]
            dear = total * np.float32(fare / (height * height + width * width))
            by, bx = fy[y, x], fx[y, x]
            best = cost[y, x] * total
            if sweep == 0:  # the features have changed since
                best = _off(features, mine, trust, by, bx, np.float32(np.inf), dear * ((y - by) ** 2 + (x - bx) ** 2))
            for side in range(2):
                ny, nx = (y - step, x) if side else (y, x - step)
                if 0 <= ny < height and 0 <= nx < width and fy[ny, nx] >= 0:
                    cy, cx = fy[ny, nx] + y - ny, fx[ny, nx] + x - nx
                    if 0 <= cy < height and 0 <= cx < width and whole[cy, cx] and (cy != by or cx != bx):
                        off = _off(features, mine, trust, cy, cx, best, dear * ((y - cy) ** 2 + (x - cx) ** 2))
                        if off < best:
                            best, by, bx = off, cy, cx
            far = reach
            while far >= 1:
                random = random * 6364136223846793005 + 1442695040888963407
                cy = by + ((random >> 33) & 0x3FFFFFFF) % (2 * far + 1) - far
                random = random * 6364136223846793005 + 1442695040888963407
                cx = bx + ((random >> 33) & 0x3FFFFFFF) % (2 * far + 1) - far
                if 0 <= cy < height and 0 <= cx < width and whole[cy, cx]:
                    off = _off(features, mine, trust, cy, cx, best, dear * ((y - cy) ** 2 + (x - cx) ** 2))
                    if off < best:
                        best, by, bx = off, cy, cx
                far //= 2
            fy[y, x], fx[y, x], cost[y, x] = by, bx, best / total
    state[0] = random


@_compiled
def _off(features: Floats, mine: Floats, trust: Floats, y: int, x: int, best: Any, total: Any) -> Any:
    """``total`` and the weighted sum of squared differences from a source's patch; given up once over ``best``."""
    for i in range(SIDE):
        part = np.float32(0)
        for j in range(SIDE * CHANNELS):
            d = features[y + i, x * CHANNELS + j] - mine[i, j]
            part += d * d * trust[i, j]
        total += part
        if total >= best:
            break
    return total


@_compiled
def _vote(
    features: Floats, hole: Bools, ys: Ints, xs: Ints, fy: Ints, fx: Ints, cost: Floats, scale: float
) -> None:  # fmt: skip
    """Each pixel of the hole becomes the mean of what the patches over it say, the surer and the nearer the more."""
    height, width = hole.shape
    sums = np.empty(CHANNELS, np.float32)
    for k in range(len(ys)):
        y, x = ys[k], xs[k]
        if not hole[y, x]:
            continue
        sums[:] = 0
        total = np.float32(0)
        for ny in range(max(0, y - RADIUS), min(height, y + RADIUS + 1)):
            for nx in range(max(0, x - RADIUS), min(width, x + RADIUS + 1)):
                if fy[ny, nx] < 0:
                    continue
                near = (ny - y) ** 2 + (nx - x) ** 2
                say = np.float32(math.exp(-cost[ny, nx] / scale - near / (2.0 * RADIUS)) + 1e-9)
                sy, sx = fy[ny, nx] + y - ny + RADIUS, fx[ny, nx] + x - nx + RADIUS
                total += say
                for c in range(CHANNELS):
                    sums[c] += say * features[sy, sx * CHANNELS + c]
        for c in range(CHANNELS):
            features[y + RADIUS, (x + RADIUS) * CHANNELS + c] = sums[c] / total


@_compiled
def _origins(hole: Bools, fy: Ints, fx: Ints, cost: Floats) -> tuple[Ints, Ints]:
    """The last vote: each pixel is copied from the one best patch over it, so that nothing is averaged away."""
    height, width = hole.shape
    oy, ox = np.empty((height, width), np.int32), np.empty((height, width), np.int32)
    for y in range(height):
        for x in range(width):
            oy[y, x], ox[y, x] = y, x
            if not hole[y, x]:
                continue
            least = np.inf
            for ny in range(max(0, y - RADIUS), min(height, y + RADIUS + 1)):
                for nx in range(max(0, x - RADIUS), min(width, x + RADIUS + 1)):
                    if fy[ny, nx] < 0:
                        continue
                    price = (cost[ny, nx] + 1e-3) * (1 + OFFSET * ((ny - y) ** 2 + (nx - x) ** 2))
                    if price < least:
                        least = price
                        oy[y, x], ox[y, x] = fy[ny, nx] + y - ny, fx[ny, nx] + x - nx
    return oy, ox


@_compiled
def _step(pixels: Floats, sources: Bools, oy: Ints, ox: Ints, y: int, x: int, dy: int, dx: int, c: int) -> Any:
    """By how much a pixel should exceed its neighbour: as at their origins; as copied where another thing begins."""
    ny, nx = y + dy, x + dx
    ay, ax, by, bx = oy[y, x], ox[y, x], oy[ny, nx], ox[ny, nx]
    jump = pixels[ay, ax, c] - pixels[by, bx, c]
    own = 0 <= ay + dy < sources.shape[0] and 0 <= ax + dx < sources.shape[1] and sources[ay + dy, ax + dx]
    other = 0 <= by - dy < sources.shape[0] and 0 <= bx - dx < sources.shape[1] and sources[by - dy, bx - dx]
    found = jump
    if own and (dy + dx > 0 or not other):  # the upper or left one's, so that both directions agree; a mean would blur
        found = pixels[ay, ax, c] - pixels[ay + dy, ax + dx, c]
    elif other:
        found = pixels[by - dy, bx - dx, c] - pixels[by, bx, c]
    return found if abs(jump - found) <= SEAM else jump


@_compiled
def _merged(pixels: Floats, hole: Bools, sources: Bools, oy: Ints, ox: Ints, ys: Ints, xs: Ints) -> Floats:
    """Where pieces of different light meet, keep their gradients and let the light flow over (screened Poisson)."""
    height, width = hole.shape
    made = pixels.copy()
    for k in range(len(ys)):
        made[ys[k], xs[k]] = pixels[oy[ys[k], xs[k]], ox[ys[k], xs[k]]]
    push = np.zeros((len(ys), 3), np.float32)
    for k in range(len(ys)):
        y, x = ys[k], xs[k]
        for c in range(3):
            push[k, c] = SCREEN * made[y, x, c]
            for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    push[k, c] += _step(pixels, sources, oy, ox, y, x, dy, dx, c)
    for turn in range(RELAX):
        for j in range(len(ys)):
            k = j if turn % 2 == 0 else len(ys) - 1 - j
            y, x = ys[k], xs[k]
            for c in range(3):
                total, count = push[k, c], np.float32(SCREEN)
                for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        total += made[y + dy, x + dx, c]
                        count += 1
                made[y, x, c] += OVER * (total / count - made[y, x, c])
    return made
