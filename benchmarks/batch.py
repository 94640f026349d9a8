"""Measure `lego batch`: pictures a minute with one and two workers, in processes and in threads, and a plain loop.

Every way edits the same photographs of two megapixels in a process of its own, start-up included; the ways take turns,
and the table has medians. `table()` returns it; run as a program, this prints it and, without arguments (pictures,
rounds), writes it into docs/performance.md.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from page import write
from PIL import Image as Pillow

ROOT = Path(__file__).parents[1]
PICTURES, ROUNDS = 32, 3
SIZE = (1632, 1224)  # two megapixels
WORDS = "warm it up, add a vignette and sharpen it a little"
LOOP = """
import sys
from pathlib import Path
import lego
for path in sorted(Path(sys.argv[1]).glob("*.jpg")):
    lego.edit(path, sys.argv[2]).write(Path(sys.argv[3]) / path.name)
"""
BATCH = [sys.executable, "-m", "lego", "batch"]
WAYS = {
    "a loop of `lego.edit`": None,
    "`lego batch --workers 1`": ["--workers", "1"],
    "`lego batch --workers 2`": ["--workers", "2"],
    "`lego batch --workers 2 --no-sheet`": ["--workers", "2", "--no-sheet"],
    "`lego batch --workers 2 --backend threads`": ["--workers", "2", "--backend", "threads"],
}


def photographs(folder: Path, count: int) -> None:
    """Write so many JPEG files, all different."""
    sources = [Pillow.open(path).convert("RGB") for path in sorted((ROOT / "docs" / "photos").glob("*.*g"))]
    for number in range(count):
        source = sources[number % len(sources)]
        cut = 2 * (number // len(sources))
        box = (cut, cut, source.width - cut, source.height - cut)
        source.crop(box).resize(SIZE, Pillow.Resampling.LANCZOS).save(folder / f"{number:03}.jpg", quality=92)


def seconds(photos: Path, out: Path, options: list[str] | None) -> tuple[float, float]:
    """Wall and processor time of one way, its workers' included; what goes wrong ends the measurement."""
    out.mkdir()
    loop = [sys.executable, "-c", LOOP, str(photos), WORDS, str(out)]
    command = loop if options is None else [*BATCH, str(photos), WORDS, "-o", str(out), *options]
    start, before = time.perf_counter(), _used()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    took = time.perf_counter() - start, _used() - before
    assert len(list(out.glob("*.jpg"))) == len(list(photos.glob("*.jpg")))
    return took


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(count: int = PICTURES, rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Return the medians of wall and processor time of each way, in seconds."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        photos.mkdir()
        photographs(photos, count)
        for number in range(rounds):
            for way, (name, options) in enumerate(WAYS.items()):
                times[name].append(seconds(photos, Path(place) / f"{number}-{way}", options))
    return {name: (median(wall for wall, _ in t), median(cpu for _, cpu in t)) for name, t in times.items()}


def table(count: int = PICTURES, rounds: int = ROUNDS) -> str:
    """Return the section for docs/performance.md."""
    times = measure(count, rounds)
    plain = next(iter(times.values()))[0]
    rows = [
        f"| {name} | {wall:.1f} s | {60 * count / wall:.0f} | {plain / wall:.2f} | {cpu / count:.2f} s |"
        for name, (wall, cpu) in times.items()
    ]
    load = f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return "\n".join(
        (
            f"{count} photographs of two megapixels, “{WORDS}”, planned by nano. The whole command, start-up",
            f"included; medians of {rounds} by turns; {os.cpu_count()} cores{load}. By `python benchmarks/batch.py`.",
            "",
            "| | wall | pictures a minute | times the loop | processor time a picture |",
            "|---|---|---|---|---|",
            *rows,
        )
    )


if __name__ == "__main__":
    made = table(*map(int, sys.argv[1:3]))
    print(made)
    if len(sys.argv) == 1:
        write("batch", f"## Batches\n\n{made}", "performance")
