"""What a cluster costs beside threads: start, memory, one small step, a cached run, 12 megapixels in five steps.

    python benchmarks/cluster.py

A Ray of this machine alone, started as `lego` starts it. Wall time, medians; both ways go by turns in one run.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lego.core.settings import Settings
from lego.core.steps import Step
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.editor import Editor
from lego.executor.cluster.hands import Ray

SMALL, LARGE = (64, 64), (3000, 4000)  # height x width
STEPS, ROUNDS = 20, 7
RETOUCH = ("exposure", "contrast", "temperature", "sharpen", "vignette")  # as they are by default


def picture(size: tuple[int, int], seed: int) -> Image:
    """Noise, so that no two are alike."""
    return Image(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def flips(count: int) -> Workflow:
    """A chain of small steps."""
    steps = [
        Step(f"s{n}", "flip", {"image": f"$s{n - 1}" if n else "$image", "direction": "horizontal"})
        for n in range(count)
    ]
    return Workflow(tuple(steps), f"$s{count - 1}")


def retouch() -> Workflow:
    """Five steps that people do."""
    steps = [Step(f"s{n}", name, {"image": f"$s{n - 1}" if n else "$image"}) for n, name in enumerate(RETOUCH)]
    return Workflow(tuple(steps), f"$s{len(steps) - 1}")


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds of wall time."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def both(name: str, far: Callable[[int], Any], near: Callable[[int], Any], each: int = 1) -> None:
    """Time both ways by turns, on pictures of their own; print medians."""
    found: dict[str, list[float]] = {"far": [], "near": []}
    for seed in range(ROUNDS):
        found["far"].append(timed(lambda seed=seed: far(seed)) / each)
        found["near"].append(timed(lambda seed=seed: near(seed)) / each)
    middle = {way: statistics.median(times) for way, times in found.items()}
    print(f"{name:46} cluster {middle['far']:8.2f} ms   threads {middle['near']:8.2f} ms", flush=True)


def memory() -> tuple[int, float]:
    """Processes of Ray that this one began, and megabytes that they hold; shared pages are divided among them."""
    parents, sizes = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError, StopIteration):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                lines = (folder / "smaps_rollup").read_text().splitlines()
                sizes[int(folder.name)] = int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    mine = {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= new
    mine.discard(os.getpid())
    return len(mine), sum(sizes.get(pid, 0) for pid in mine) / 1024


def main() -> None:
    """Measure and print."""
    settings = Settings.load({"builder": "rules"})
    near = Editor("rules", settings=settings)
    far = Editor("rules", settings=replace(settings, backend="ray", ray_address=sys.argv[1] if sys.argv[1:] else ""))
    hands = far.executor.backend
    assert isinstance(hands, Ray)
    print(f"import and start of Ray {timed(lambda: hands.foreman) / 1000:.1f} s", flush=True)
    print(f"the first worker {timed(hands.ready) / 1000:.1f} s more", flush=True)
    count, megabytes = memory()
    print(f"{count} processes, {megabytes:,.0f} MB", flush=True)

    small, chain, large = flips(1), flips(STEPS), retouch()
    smalls = [picture(SMALL, seed) for seed in range(ROUNDS)]
    for flow in (small, large):  # whatever is loaded when first used
        far.run(flow, picture(SMALL, 999)), near.run(flow, picture(SMALL, 999))
    both("one small step", lambda n: far.run(small, smalls[n]), lambda n: near.run(small, smalls[n]))
    both(f"a small step in a chain of {STEPS}", lambda n: far.run(chain, picture(SMALL, n + 100)),
         lambda n: near.run(chain, picture(SMALL, n + 100)), STEPS)  # fmt: skip
    both(f"a run of {STEPS} steps, all made before", lambda n: far.run(chain, picture(SMALL, 100)),
         lambda n: near.run(chain, picture(SMALL, 100)))  # fmt: skip
    pictures = [picture(LARGE, seed) for seed in range(ROUNDS)]
    both("12 Mpx, 5 steps, result brought", lambda n: far.run(large, pictures[n]).image.pixels.sum(),
         lambda n: near.run(large, pictures[n]).image.pixels.sum())  # fmt: skip
    count, megabytes = memory()
    print(f"at the end: {count} processes, {megabytes:,.0f} MB")
    print(hands.describe())


if __name__ == "__main__":
    main()
