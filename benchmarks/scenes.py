"""How many scenes a core makes up and draws in a second (`python benchmarks/scenes.py`)."""

from __future__ import annotations

import statistics
import time

import cv2

from lego.rl import scenes

COUNT = 300
ROUNDS = 5


def main() -> None:
    cv2.setNumThreads(1)
    for side in (128, 256, 512):
        rates = []
        for _ in range(ROUNDS):
            start = time.process_time()
            for seed in range(COUNT):
                scenes.render(scenes.make(seed), (side, side))
            rates.append(COUNT / (time.process_time() - start))
        print(f"{side:4} px  {statistics.median(rates):6.0f} scenes a second and core")


if __name__ == "__main__":
    main()
