"""Measure what an edit takes of a core, part by part, and print it as the [cpu] of capacity.toml.

Processor time, medians; pictures are docs/photos/dandelion.jpg at 2 and 12 megapixels with noise added, as a camera's.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

import lego
from lego.core import codec

PHOTO = Path(__file__).parents[1] / "docs" / "photos" / "dandelion.jpg"
SIZES = ((1632, 1224), (4000, 3000))
WORDS = ("warm it up and add a vignette", "make it black and white", "brighten the shadows and sharpen it a little")
NOISE = 3.0  # of 255
ROUNDS = 5


def seconds(work: Callable[[], object]) -> float:
    """Median of the processor time."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def photograph(size: tuple[int, int]) -> bytes:
    """Return a JPEG file."""
    pixels = np.asarray(Pillow.open(PHOTO).convert("RGB").resize(size, Pillow.Resampling.LANCZOS)).astype(np.float32)
    pixels += np.random.default_rng(0).normal(0, NOISE, (*pixels.shape[:2], 1)).astype(np.float32)
    file = io.BytesIO()
    Pillow.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    return file.getvalue()


def measure(size: tuple[int, int]) -> dict[str, float]:
    """Return seconds a megapixel (of a plan: seconds), and bytes a megapixel of a file, as read and as written."""
    megapixels = size[0] * size[1] / 1e6
    data = photograph(size)
    image = lego.Image.open(data)
    editor = lego.Editor(settings=lego.Settings(cache_memory_mb=0))
    plans = [editor.plan(image, words).workflow for words in WORDS]
    steps = sum(len(plan.steps) for plan in plans)
    written = codec.encode(image.pil(), Path("x.jpg"), {})
    return {
        "decode": seconds(lambda: lego.Image.open(data)) / megapixels,
        "encode": seconds(lambda: codec.encode(image.pil(), Path("x.jpg"), {})) / megapixels,
        "digest": seconds(lambda: lego.Image(np.array(image.pixels)).digest) / megapixels,
        "tools": seconds(lambda: [editor.run(plan, image) for plan in plans]) / steps / megapixels,
        "plan": seconds(lambda: [editor.plan(image, words) for words in WORDS]) / len(WORDS),
        "bytes": (len(data) + len(written)) / 2 / megapixels,
    }


if __name__ == "__main__":
    for width, height in SIZES:
        print(f"# {width} x {height}")
        print("\n".join(f"{name} = {value:.4g}" for name, value in measure((width, height)).items()))
        sys.stdout.flush()
