"""Measure what a user waits for: `import lego`, `lego --version`, and a whole edit of one megapixel, cold."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

ROUNDS = 7
ROOT = Path(__file__).parents[1]


def median(*command: str) -> float:
    """Seconds of a fresh process, median of several."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    python = sys.executable
    empty = median(python, "-c", "pass")
    print(f"{'an empty python':44} {empty:6.2f} s")
    print(f"{'import lego':44} {median(python, '-c', 'import lego') - empty:6.2f} s more")
    print(f"{'lego --version':44} {median(python, '-m', 'lego', '--version'):6.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        photo = str(Path(folder) / "one-megapixel.jpg")
        picture = cv2.imread(str(ROOT / "docs" / "photos" / "dandelion.jpg"))
        cv2.imwrite(photo, cv2.resize(picture, (1333, 750)))
        for words in ("brighten the shadows and cool it down a little", "turn it black and white", "crop to 4:5"):
            seconds = median(python, "-m", "lego", "edit", photo, words, "-o", str(Path(folder) / "out.jpg"))
            print(f"lego edit 1 MP.jpg {words!r:38.38} {seconds:6.2f} s")


if __name__ == "__main__":
    main()
