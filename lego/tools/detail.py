"""Fine detail for a fill that was made at a smaller scale, copied from where the fill's patches came from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.tools.pixels import to_uint8

Bools = NDArray[np.bool_]
Ints = NDArray[np.int32]

TAPS = (-2, 0, 2)  # px, both ways: nine taps tell a 5 x 5 patch as well as all 25 do, in a third of the time
ROUNDS = 5  # of the search; more changed nothing that could be seen
STEPS = (1, 4)  # px from which neighbours pass their find on
FIRST_REACH = 0.5  # of the long side, halved with each random try
TRIES = 5


def restored(pixels: Pixels, small: Pixels, made: Pixels, hole: Bools, sources: Bools, seed: int) -> Pixels:
    """Scale a fill up to the picture's size, and give it back what scaling down had lost.

    For every pixel of the small fill the most similar source is found (generalised PatchMatch, Barnes 2010); the
    difference between the picture and its scaled-down self at that source is added to the enlarged fill.

    Args:
        pixels: the picture at full size.
        small, made: it and its fill, scaled down.
        hole, sources: at the small size, what was filled and what may be copied.
        seed: of the random search.
    """
    size = (pixels.shape[1], pixels.shape[0])
    large = cv2.resize(made, size, interpolation=cv2.INTER_CUBIC)
    whole = cv2.erode(np.pad(sources, 1).astype(np.uint8), np.ones((5, 5), np.uint8))[1:-1, 1:-1] > 0
    if not whole.any():
        return np.asarray(large, np.uint8)
    dy, dx = _offsets(made, hole, whole, seed)
    lost = pixels.astype(np.int16) - cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    up, across = pixels.shape[0] / hole.shape[0], pixels.shape[1] / hole.shape[1]
    rows, columns = np.nonzero(cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST))
    at = tuple(
        np.minimum((where / scale).astype(int), length - 1)
        for where, scale, length in zip((rows, columns), (up, across), hole.shape, strict=True)
    )
    y = np.clip(rows + np.rint(dy[at] * up).astype(int), 0, pixels.shape[0] - 1)
    x = np.clip(columns + np.rint(dx[at] * across).astype(int), 0, pixels.shape[1] - 1)
    result = np.array(large)
    result[rows, columns] = to_uint8(large[rows, columns].astype(np.float32) + lost[y, x])
    return result


def _offsets(made: Pixels, hole: Bools, sources: Bools, seed: int) -> tuple[Ints, Ints]:
    """From each pixel of the hole to its most similar source: rows and columns, 0 outside the hole."""
    random = np.random.default_rng(seed)
    height, width = hole.shape
    words = _described(made)
    rows, columns = np.nonzero(hole)
    mine = words[rows * width + columns].astype(np.int16)
    places = np.flatnonzero(sources)
    best = random.choice(places, rows.size)
    field = np.full((height, width), -1, np.int64)
    cost = np.full(rows.size, np.iinfo(np.int32).max, np.int64)

    def offer(y: NDArray[np.int64], x: NDArray[np.int64]) -> None:
        fits = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        fits[fits] = sources[y[fits], x[fits]]
        who = np.flatnonzero(fits)
        found = y[who] * width + x[who]
        off = ((mine[who] - words[found]).astype(np.int32) ** 2).sum(1)
        better = off < cost[who]
        best[who[better]], cost[who[better]] = found[better], off[better]

    offer(*np.divmod(best, width))
    for _ in range(ROUNDS):
        for step in STEPS:
            for down, right in ((step, 0), (-step, 0), (0, step), (0, -step)):
                field[rows, columns] = best
                theirs = field[np.clip(rows - down, 0, height - 1), np.clip(columns - right, 0, width - 1)]
                y, x = np.divmod(theirs, width)
                offer(np.where(theirs < 0, -1, y + down), x + right)
        for halvings in range(TRIES):
            reach = max(1, int(FIRST_REACH * max(hole.shape) * 0.3**halvings))
            y, x = np.divmod(best, width)
            offer(y + random.integers(-reach, reach + 1, y.size), x + random.integers(-reach, reach + 1, x.size))
    y, x = np.divmod(best, width)
    dy, dx = np.zeros((2, height, width), np.int32)
    dy[rows, columns], dx[rows, columns] = y - rows, x - columns
    return dy, dx


def _described(pixels: Pixels) -> NDArray[np.uint8]:
    """One row per pixel: the colours at the taps of its patch."""
    edge = max(TAPS)
    framed = np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)), "reflect" if min(pixels.shape[:2]) > edge else "edge")
    height, width = pixels.shape[:2]
    taps = [framed[edge + y : edge + y + height, edge + x : edge + x + width] for y in TAPS for x in TAPS]
    return np.concatenate(taps, 2).reshape(height * width, -1)
