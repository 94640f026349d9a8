"""Hold `remove` against the truth and against its rivals (`python benchmarks/removal.py`).

Writes its section of docs/tools-quality.md and the sheet docs/quality/removal.jpg.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import patchmatch as plain_patchmatch
from numpy.typing import NDArray
from page import write
from skimage.metrics import structural_similarity

from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.tools import patchmatch
from lego.tools.fill import remove

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "quality"
Pixels = NDArray[np.uint8]
Bools = NDArray[np.bool_]

SIDES = (512, 1024)  # px of the long side
SEEDS = (0, 1)  # of the random search; figures are means
CELL = 150  # px of a picture on the contact sheet
VIEW = 2.6  # radii of the hole that a cell shows


class Hole(NamedTuple):
    """A place in a photograph where nothing stands that should go, so that the truth is known.

    ``lumps`` > 0 makes the outline irregular. The verdicts are by eye, on the sheet in docs/quality, of `remove` with
    PyPatchMatch and with numba: look again when the engines change.
    """

    photo: str
    what: str
    x: float
    y: float
    radius: float
    lumps: float
    verdicts: tuple[str, str]


HOLES = (
    Hole(
        "china.jpg",
        "roof, trees, lake",
        0.60,
        0.82,
        0.13,
        0,
        ("good: the roofs go on, a few stray bits in the lake", "good: trees and lake, without the roof's corner"),
    ),
    Hole("coffee.png", "wood", 0.93, 0.75, 0.08, 0, ("slight: right colour, but soft", "good: grain and scratches")),
    Hole(
        "chelsea.png",
        "fur by the eye",
        0.62,
        0.30,
        0.10,
        0,
        ("bad: the fur runs into the eye", "slight: a seam in the fur, the eye cut off straight"),
    ),
    Hole("china.jpg", "tree tops", 0.76, 0.78, 0.08, 0.3, ("good", "slight: a pale notch above the trees")),
    Hole("china.jpg", "hazy sky", 0.72, 0.22, 0.10, 0.3, ("good", "good")),
    Hole("dandelion.jpg", "blurred grass", 0.55, 0.86, 0.06, 0.3, ("good", "good: the blade is shorter")),
    Hole("dandelion.jpg", "dark grass", 0.22, 0.84, 0.08, 0, ("slight: the stem bends", "slight: the stem bends")),
    Hole("rocket.jpg", "evening sky", 0.22, 0.30, 0.08, 0.3, ("good", "slight: a dark speck")),
    Hole("flower.jpg", "blurred leaves", 0.85, 0.80, 0.10, 0.3, ("good", "slight: a darker shape")),
    Hole(
        "coffee.png", "wood and saucer", 0.12, 0.80, 0.09, 0.3, ("bad: the rim goes astray", "bad: the rim goes astray")
    ),
    Hole("chelsea.png", "fur of the cheek", 0.45, 0.60, 0.06, 0.3, ("slight: hairs lie another way", "good")),
    Hole("astronaut.png", "orange suit", 0.20, 0.90, 0.06, 0, ("slight: a rim shows at the fold", "good")),
)


def photo(name: str, side: int) -> Pixels:
    pixels = np.asarray(Image.open(ROOT / "docs" / "photos" / name).pixels)
    scale = side / max(pixels.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=way), np.uint8)


def shape(hole: Hole, pixels: Pixels) -> Bools:
    """A disc, or a blob whose radius swings with the angle."""
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    down, right = rows - hole.y * height, columns - hole.x * width
    angle = np.arctan2(down, right)
    swing = sum(np.cos(k * angle + 7 * hole.x * k) / k for k in (2, 3, 5))
    return np.asarray(np.hypot(down, right) <= hole.radius * width * (1 + hole.lumps * swing), np.bool_)


def methods() -> dict[str, Callable[[Pixels, Bools, int], Pixels]]:
    """Every way of filling that is compared; each sees a black hole, not the truth."""

    def diffusion(way: int) -> Callable[[Pixels, Bools, int], Pixels]:
        return lambda pixels, hole, seed: cv2.inpaint(pixels, hole.astype(np.uint8), 5, way)

    def plain(pixels: Pixels, hole: Bools, seed: int) -> Pixels:
        plain_patchmatch.set_random_seed(seed)
        return np.asarray(plain_patchmatch.inpaint(pixels, hole.astype(np.uint8), patch_size=5), np.uint8)

    def ours(engine: patchmatch.Engine) -> Callable[[Pixels, Bools, int], Pixels]:
        def fill(pixels: Pixels, hole: Bools, seed: int) -> Pixels:
            before = patchmatch.engines
            patchmatch.engines = lambda hole: [engine]
            try:
                return remove(Image(pixels), Mask(hole), grow=0.0, context=Context(seed=seed)).pixels
            finally:
                patchmatch.engines = before

        return fill

    found = {engine.name: engine for engine in patchmatch.engines(np.zeros((8, 8), np.bool_))}
    return {
        "cv2 Telea": diffusion(cv2.INPAINT_TELEA),
        "cv2 Navier-Stokes": diffusion(cv2.INPAINT_NS),
        "PyPatchMatch alone": plain,
        "remove, PyPatchMatch": ours(found["PyPatchMatch"]),
        "remove, numba": ours(found["numba"]),
    }


def steepness(pixels: Pixels, where: Bools) -> float:
    """The mean gradient, which a smear lacks."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))[where].mean())


def figures(made: Pixels, truth: Pixels, hole: Bools) -> tuple[float, float, float]:
    """PSNR in the hole (dB), SSIM in the hole, mean gradient in the fill / in the truth."""
    off = ((made[hole].astype(float) - truth[hole]) ** 2).mean()
    similar = structural_similarity(truth, made, channel_axis=2, full=True)[1].mean(2)[hole].mean()
    return 10 * np.log10(255**2 / max(off, 1e-9)), float(similar), steepness(made, hole) / steepness(truth, hole)


def removal() -> str:
    """Fill every hole by every method, at both sizes; write the sheet."""
    ways = methods()
    for way in ways.values():  # compile, load
        small = photo("china.jpg", 128)
        way(small, shape(HOLES[0], small), 0)
    results: dict[tuple[str, int, int], tuple[float, ...]] = {}
    rows = []
    for side in SIDES:
        for number, hole in enumerate(HOLES):
            truth = photo(hole.photo, side)
            where = shape(hole, truth)
            blank = np.where(where[..., None], 0, truth).astype(np.uint8)
            made = {}
            for name, way in ways.items():
                start = time.process_time()
                tries = [way(blank, where, seed) for seed in SEEDS]
                seconds = (time.process_time() - start) / len(SEEDS)
                results[name, side, number] = (*np.mean([figures(t, truth, where) for t in tries], 0), seconds)
                made[name] = tries[0]
            if side == SIDES[-1]:
                rows.append(_row(hole, truth, where, made))
            print(f"{side} {number + 1:2} {hole.photo} {hole.what}", flush=True)
    PICTURES.mkdir(exist_ok=True)
    sheet = np.vstack([_titles(["truth", "hole", *ways]), *rows])
    Image(sheet).pil().save(PICTURES / "removal.jpg", quality=80)  # under 400 kB
    return _report(list(ways), results)


def _row(hole: Hole, truth: Pixels, where: Bools, made: dict[str, Pixels]) -> Pixels:
    reach = round(VIEW * hole.radius * truth.shape[1] / (1 + hole.lumps))
    y, x = round(hole.y * truth.shape[0]), round(hole.x * truth.shape[1])
    marked = np.where(where[..., None], (255, 0, 255), truth).astype(np.uint8)
    cells = []
    for picture in (truth, marked, *made.values()):
        framed = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), constant_values=255)
        part = framed[y : y + 2 * reach, x : x + 2 * reach]
        cell = cv2.resize(part, (CELL - 4, CELL - 4), interpolation=cv2.INTER_AREA)
        cells.append(np.pad(cell, ((2, 2), (2, 2), (0, 0)), constant_values=255))
    return np.asarray(np.hstack(cells), np.uint8)


def _titles(names: list[str]) -> Pixels:
    bar = np.full((20, CELL * len(names), 3), 255, np.uint8)
    for n, name in enumerate(names):
        cv2.putText(bar, name, (n * CELL + 4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return bar


def _report(names: list[str], results: dict[tuple[str, int, int], tuple[float, ...]]) -> str:
    lines = [
        "## Removal",
        "",
        f"{len(HOLES)} holes of 1-6 % in places where nothing is removed, so that the truth is known; means of "
        f"{len(SEEDS)} seeds. Texture is",
        "the mean gradient in the fill / in the truth: 1 is right, a smear has less. PSNR and SSIM favour the smear.",
        "Some holes lie where things end: no method can know what stood there. `remove` takes PyPatchMatch, whose",
        "texture is nearest to the truth, and numba where there is none; `extend_canvas` takes numba, which shows no",
        "seam there.",
        "",
        "| method | PSNR 512 / 1024 | SSIM 512 / 1024 | texture 512 / 1024 | s 512 / 1024 |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        means = [np.mean([results[name, side, n] for n in range(len(HOLES))], 0) for side in SIDES]
        cells = [" / ".join(f"{m[k]:.{places}f}" for m in means) for k, places in enumerate((1, 2, 2, 2))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"![Truth, hole and fills, at {SIDES[-1]} px](quality/removal.jpg)",
        "",
        f"Hole by hole at {SIDES[-1]} px, in the order of the sheet; texture, then what the eye says.",
        "",
        "| hole | PyPatchMatch | numba | by eye: remove, PyPatchMatch | by eye: remove, numba |",
        "|---|---|---|---|---|",
    ]
    for n, hole in enumerate(HOLES):
        cells = [f"{results[name, SIDES[-1], n][2]:.2f}" for name in names[-2:]]
        where = f"{hole.photo.partition('.')[0]}: {hole.what}"
        lines.append(f"| {where} | {' | '.join(cells)} | {hole.verdicts[0]} | {hole.verdicts[1]} |")
    return "\n".join(lines)


def main() -> None:
    cv2.setNumThreads(1)
    write("removal", removal())


if __name__ == "__main__":
    main()
