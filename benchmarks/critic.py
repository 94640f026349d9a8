"""How long the critic that measures takes for one look at a photograph of 1024 px, the edit itself left out.

python benchmarks/critic.py
"""

from __future__ import annotations

import statistics
from pathlib import Path

import cv2
import numpy as np

from lego.core.trace import Reviewed
from lego.core.values import Image
from lego.editor import Editor

PHOTOS = Path(__file__).parents[1] / "docs" / "photos"
SIDE = 1024
LOOKS = 9
WORDS = (
    ("coffee.png", "turn the red cup blue"), ("coffee.png", "remove the red cup"), ("coffee.png", "make it warmer"),
    ("chelsea.png", "darken the picture and add grain"), ("chelsea.png", "make it black and white"),
    ("china.jpg", "make the sky warmer"), ("flower.jpg", "blur the background"), ("rocket.jpg", "crop it to a square"),
    ("coffee.png", "make it look like it was shot in 1975"), ("rocket.jpg", 'write "APOLLO" at the bottom'),
)  # fmt: skip


def photograph(name: str) -> Image:
    """A photograph, its long side 1024 px."""
    pixels = Image.open(PHOTOS / name).pixels
    scale = SIDE / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return Image(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8))


def main() -> None:
    """Print the median and the longest look for each wish."""
    editor = Editor("rules", critic="pixels")
    medians = []
    for name, words in WORDS:
        image = photograph(name)
        times = []
        for seed in range(LOOKS + 1):
            result = editor.edit(image, words, rounds=1, seed=seed)
            times.append(1000 * next(iter(result.trace.of(Reviewed))).seconds)
        times = times[1:]  # the first look loads what it needs
        medians.append(statistics.median(times))
        print(f"{words:44} {medians[-1]:6.0f} ms, at most {max(times):.0f}")
    print(f"{'median of all':44} {statistics.median(medians):6.0f} ms, slowest wish {max(medians):.0f}")


if __name__ == "__main__":
    main()
