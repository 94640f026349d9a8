"""Measure whole edits against the same OpenCV calls written by hand, branches side by side, and groups of rollouts."""

from __future__ import annotations

import functools
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from page import table, write
from timing import race

import lego
import lego.tools
from lego.core.steps import Step
from lego.core.trace import Trace
from lego.core.workflow import Workflow
from lego.executor.run import Executor

PHOTO = Path(__file__).parents[1] / "docs" / "photos" / "dandelion.jpg"
SIZES = {1: (1200, 900), 12: (4000, 3000), 48: (8000, 6000)}
ROUNDS = {1: 15, 12: 9, 48: 3}
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
RETOUCH: tuple[tuple[str, dict[str, Any]], ...] = (
    ("exposure", {"exposure": 0.3}),
    ("contrast", {"contrast": 20.0}),
    ("temperature", {"temperature": 15.0}),
    ("vignette", {"amount": 0.3}),
    ("sharpen", {"amount": 0.5}),
)
ROLLOUTS = 8


def flow(*steps: tuple[str, dict[str, Any]]) -> Workflow:
    """A chain of steps."""
    named = [
        Step(f"s{n}", tool, {"image": f"$s{n - 1}" if n else "$image", **args}) for n, (tool, args) in enumerate(steps)
    ]
    return Workflow(tuple(named), f"$s{len(steps) - 1}")


def photo(megapixels: int) -> NDArray[np.uint8]:
    """The photograph at a size, RGB."""
    large = cv2.resize(cv2.imread(str(PHOTO)), SIZES[megapixels], interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_BGR2RGB), np.uint8)


def rounded(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def bent(x: NDArray[Any], slope: float) -> NDArray[Any]:
    return np.asarray(slope * x / (1 + (slope - 1) * x))


def same_calls(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The retouch as one would write it out for these numbers: the same formulas, the same bytes, one call a step."""
    codes = np.arange(256) / 255
    linear = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4).astype(np.float32)

    def encoded(light: NDArray[Any]) -> NDArray[Any]:
        light = np.clip(light, 0, 1)
        return np.asarray(255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(light, 1 / 2.4) - 0.055))

    step = max(1, int((pixels.shape[0] * pixels.shape[1] / 150_000) ** 0.5))

    gain = 2.0**0.3  # exposure
    knee = min(0.25, 0.5 / gain)
    rest = 1 - gain * knee
    shoulder = gain * knee + rest * bent((linear - knee) / (1 - knee), gain * (1 - knee) / rest)
    curve = encoded(np.where(linear > knee, shoulder, linear * gain)).astype(np.float32)
    pixels = np.asarray(cv2.LUT(pixels, rounded(curve)), np.uint8)

    mean = cv2.mean(cv2.cvtColor(np.ascontiguousarray(pixels[::step, ::step]), cv2.COLOR_RGB2GRAY))[0]  # contrast
    pivot, slope = float(np.clip(mean / 255, 0.3, 0.6)), 2.0**0.24
    low, high = pivot * bent(codes / pivot, 1 / slope), 1 - (1 - pivot) * bent((1 - codes) / (1 - pivot), 1 / slope)
    pixels = np.asarray(cv2.LUT(pixels, rounded(255 * np.where(codes < pivot, low, high))), np.uint8)

    small = np.ascontiguousarray(pixels[::step, ::step])  # temperature
    light = linear.astype(np.float64)
    counts = np.asarray([cv2.calcHist([small], [c], None, [256], [0, 256]).ravel() for c in range(3)], np.float64)
    luma = np.array([0.2126, 0.7152, 0.0722]) * (counts @ light + 1e-9)
    gains = np.exp(np.array([0.004, 0, -0.004]) * 15)
    gains = gains * float(luma.sum() / (luma @ gains))
    table = rounded(encoded(light[:, None] * gains).astype(np.float32))
    pixels = np.asarray(cv2.LUT(pixels, table[:, None, :]), np.uint8)

    height, width = pixels.shape[:2]  # vignette
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    distance = np.sqrt(x[None] ** 2 + y[:, None] ** 2) / np.sqrt(2)
    start = 0.95 - 0.85 * 0.6
    fall = np.clip((distance - start) / (1.02 - start), 0, 1)
    dark = (1 - 0.3 * 0.85 * (fall * fall * (3 - 2 * fall))).astype(np.float32)
    pixels = np.asarray(cv2.add(pixels * dark[..., None], (0, 0, 0, 0), dtype=cv2.CV_8U), np.uint8)

    lab = cv2.cvtColor(cv2.LUT(pixels, linear), cv2.COLOR_LRGB2LAB)  # sharpen
    light = lab[..., 0]
    detail = light - cv2.GaussianBlur(light, (0, 0), 1.2, borderType=cv2.BORDER_REFLECT)
    detail *= detail**2 / (detail**2 + 1.0)
    lab[..., 0] = np.clip(light + 0.5 * 8 * np.tanh(detail / 8), 0, 100)
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.asarray(cv2.add(np.multiply(rgb, 255, out=rgb), (0, 0, 0, 0), dtype=cv2.CV_8U), np.uint8)


def quick_calls(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What one writes in ten lines for about the same look; other pixels."""
    codes = np.arange(256) / 255
    pixels = np.asarray(cv2.LUT(pixels, rounded(255 * codes ** (1 / 1.2))), np.uint8)
    pixels = np.asarray(cv2.convertScaleAbs(pixels, alpha=1.15, beta=-19), np.uint8)
    table = rounded(255 * codes[:, None] * np.array([1.06, 1.0, 0.94]))
    pixels = np.asarray(cv2.LUT(pixels, table[:, None, :]), np.uint8)
    height, width = pixels.shape[:2]
    dark = cv2.getGaussianKernel(height, height * 0.7) @ cv2.getGaussianKernel(width, width * 0.7).T
    dark = (dark / dark.max()).astype(np.float32)
    pixels = np.asarray(cv2.multiply(pixels, cv2.merge([dark] * 3), dtype=cv2.CV_8U), np.uint8)
    return np.asarray(cv2.addWeighted(pixels, 1.5, cv2.GaussianBlur(pixels, (0, 0), 1.2), -0.5, 0), np.uint8)


def executed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The retouch by lego, from an array to an array, nothing in the cache before."""
    run = Executor().run(flow(*RETOUCH), {"image": lego.Image(pixels)}, trace=Trace())
    return np.asarray(run.results[0].pixels)


def retouches() -> str:
    """The section on whole edits."""
    rows, files = [], []
    for megapixels in SIZES:
        pixels = photo(megapixels)
        if not np.array_equal(executed(pixels), same_calls(pixels)):
            raise SystemExit("the code written by hand gives other pixels; mend it")
        room = np.empty_like(pixels)
        works = {
            "lego": lambda pixels=pixels: executed(pixels),
            "same": lambda pixels=pixels: same_calls(pixels),
            "quick": lambda pixels=pixels: quick_calls(pixels),
            "floor": lambda pixels=pixels, room=room: [np.copyto(room, pixels) for _ in RETOUCH],
        }
        s = race(works, ROUNDS[megapixels])
        rows.append(
            [
                f"{megapixels} Mpx",
                *(f"{s[name]:.3f} s" for name in works),
                f"**{s['lego'] / s['same']:.2f}**",
                f"{s['lego'] / s['quick']:.2f}",
                f"{s['lego'] / s['floor']:.0f}",
            ]
        )
        print(" ".join(rows[-1]), flush=True)
        files.append([f"{megapixels} Mpx", *whole_files(pixels, ROUNDS[megapixels])])
        print(" ".join(files[-1]), flush=True)
    names = ", ".join(name for name, _ in RETOUCH)
    return f"""## Whole edits

A retouch of five steps ({names}) of a photograph on one thread, from an array to an array; copies, hashing, keys,
checks and events are included. "By hand" are the same OpenCV and numpy calls written out for these numbers, without
lego: before anything is measured the bytes are compared, and are equal. "In ten lines" is what one would write for
about the same look; the pixels are others. The floor is moving the bytes: five times a `memcpy` of the picture. lego
can be faster than the same calls by hand, because three of the steps only move values along curves, and wait until the
fourth looks (`Image.through`): they become one pass; and the vignette is drawn while its rows are in the processor's
cache.

{table("picture | lego | by hand | in ten lines | floor | lego / by hand | lego / ten lines | lego / floor", rows)}

From a JPEG file to a JPEG file (quality 95, no subsampling), decoding and encoding included:

{table("picture | lego | by hand, cv2 | codec alone, cv2 | lego / by hand", files)}
"""


def whole_files(pixels: NDArray[np.uint8], rounds: int) -> list[str]:
    """The same edit from file to file."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.jpg", Path(folder) / "out.jpg"
        cv2.imwrite(str(source), pixels[..., ::-1], JPEG)

        def by_lego() -> None:
            run = Executor().run(flow(*RETOUCH), {"image": lego.Image.open(source)}, trace=Trace())
            run.results[0].save(target)

        def by_hand() -> None:
            made = same_calls(np.asarray(cv2.cvtColor(cv2.imread(str(source)), cv2.COLOR_BGR2RGB), np.uint8))
            cv2.imwrite(str(target), cv2.cvtColor(made, cv2.COLOR_RGB2BGR), JPEG)

        def codec() -> None:
            cv2.imwrite(str(target), cv2.imread(str(source)), JPEG)

        s = race({"lego": by_lego, "hand": by_hand, "codec": codec}, rounds)
    return [*(f"{seconds:.3f} s" for seconds in s.values()), f"**{s['lego'] / s['hand']:.2f}**"]


def branches() -> str:
    """The section on steps side by side."""
    image = lego.Image(photo(12))
    amounts = [0.3 + n / 10 for n in range(4)]
    steps = [Step(f"b{n}", "sharpen", {"image": "$image", "amount": amount}) for n, amount in enumerate(amounts)]
    work = Workflow(tuple(steps), tuple(f"$b{n}" for n in range(4)))
    sharpen = lego.registry["sharpen"].function

    def bare(workers: int) -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda amount: sharpen(image, amount=amount), amounts))

    works: dict[str, Any] = {f"lego {n}": (lambda n=n: Executor(workers=n).run(work, {"image": image})) for n in (1, 2)}
    works |= {f"bare {n}": functools.partial(bare, n) for n in (1, 2)}
    s = race(works, 7, time.perf_counter)
    rows = [
        [name, f"{s[f'{key} 1']:.2f} s", f"{s[f'{key} 2']:.2f} s", f"**{s[f'{key} 1'] / s[f'{key} 2']:.2f}**"]
        for key, name in (("lego", "lego"), ("bare", "the function in a bare pool of threads"))
    ]
    print(rows, flush=True)
    return f"""## Branches side by side

Four steps (`sharpen` at 12 Mpx, each on one thread) that do not wait for each other, on a machine with {os.cpu_count()}
cores and a load of {os.getloadavg()[0]:.1f}; wall. What the bare threads reach is what the machine had to give.

{table("| one worker | two workers | times as fast", rows)}
"""


def groups() -> str:
    """The section on rollouts that begin alike."""
    image = lego.Image(photo(1))
    begin = (("exposure", {"exposure": 0.4}), ("clarity", {"clarity": 20.0}), ("vibrance", {"vibrance": 30.0}))
    flows = [
        flow(*begin, ("sharpen", {"amount": 0.3 + n / 20}), ("vignette", {"amount": 0.2 + n / 20}))
        for n in range(ROLLOUTS)
    ]

    def shared() -> None:
        executor = Executor()
        for one in flows:
            executor.run(one, {"image": image})

    s = race({"shared": shared, "alone": lambda: [Executor().run(one, {"image": image}) for one in flows]}, 7)
    return f"""## Rollouts that begin alike

A group of {ROLLOUTS} rollouts, as GRPO samples them, of one megapixel: five steps each, the first three in common. One
executor runs each common step once ({3 + 2 * ROLLOUTS} steps in place of {5 * ROLLOUTS}): {s["shared"]:.2f} s of
processor time, {s["alone"]:.2f} s without sharing, **{s["alone"] / s["shared"]:.2f} times** as fast.
"""


def main() -> None:
    cv2.setNumThreads(1)
    write("edits", retouches(), "performance")
    write("branches", branches(), "performance")
    write("groups", groups(), "performance")


if __name__ == "__main__":
    main()
