"""Pictures beyond the budget of memory: they wait in a file, and come back when somebody looks."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from pydantic import Field

from lego.core.registry import tool
from lego.core.steps import Step
from lego.core.trace import Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor import spill
from lego.executor.cache import Cache
from lego.executor.run import Executor
from lego.executor.spill import Spill

pytestmark = pytest.mark.usefixtures("forgetful")
SIDE = 64
BYTES = SIDE * SIDE * 3


def picture(fill: int) -> Image:
    return Image(np.full((SIDE, SIDE, 3), fill, np.uint8))


def in_file(image: Image | Mask) -> bool:
    return all(held.present is None for held in image.held)


def test_the_oldest_beyond_the_budget_wait_in_a_file_and_come_back_equal() -> None:
    kept = Spill(3 * BYTES)
    pictures = [picture(n) for n in range(8)]
    for image in pictures:
        kept.hold({"image": image})
        assert kept.used <= 3 * BYTES
    assert [in_file(image) for image in pictures] == [True] * 5 + [False] * 3
    for n, image in enumerate(pictures):
        assert image == picture(n)
        assert image.size == (SIDE, SIDE)
        assert not image.pixels.flags.writeable
        assert image.pixels.flags.c_contiguous
    assert [in_file(image) for image in pictures] == [True] * 5 + [False] * 3, "looking maps it for the moment only"


def test_alpha_sixteen_bits_and_masks_wait_and_come_back_too() -> None:
    rng = np.random.default_rng(0)
    alpha = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    deep = rng.integers(0, 65536, (SIDE, SIDE, 3), dtype=np.uint16)
    image, mask = Image(picture(7).pixels, alpha, ("said",), deep=deep), Mask(alpha, 0.5)
    digests = Image(picture(7).pixels, alpha, deep=deep).digest, Mask(alpha, 0.5).digest
    Spill(0).hold({"image": image, "mask": mask})
    assert in_file(image)
    assert in_file(mask)
    assert (image.digest, mask.digest) == digests
    assert image.notes == ("said",)
    assert image.deep is not None
    assert image.deep.dtype == np.uint16
    assert mask.box is not None


def test_what_nobody_holds_is_not_counted_and_its_place_in_the_file_is_used_again() -> None:
    kept = Spill(2 * BYTES)
    for n in range(50):
        pictures = [picture(n), picture(n + 1), picture(n + 2), picture(n + 3)]
        for image in pictures:
            kept.hold({"image": image})
        assert [image.pixels[0, 0, 0] for image in pictures] == [n, n + 1, n + 2, n + 3]
    del pictures, image
    gc.collect()
    assert kept.used == 0
    assert kept.laid_down <= 4 * BYTES


def test_pixels_that_somebody_still_looks_at_are_never_written_over() -> None:
    kept = Spill(0)
    first = picture(1)
    kept.hold({"image": first})
    pixels = first.pixels[3:9]
    del first
    for n in range(2, 20):
        kept.hold({"image": picture(n)})
    assert (pixels == 1).all()


def test_pictures_that_share_their_pixels_are_counted_and_written_once() -> None:
    kept = Spill(BYTES)
    one = picture(1)
    twins = [Image(one.pixels, notes=(str(n),)) for n in range(5)]
    for image in twins:
        kept.hold({"image": image})
    assert kept.used == BYTES
    kept.hold({"image": picture(2)})
    other = picture(3)
    kept.hold({"image": other})
    assert all(in_file(image) for image in twins)
    assert kept.laid_down == BYTES
    assert all(image == picture(1) for image in twins)


def test_a_picture_that_waits_for_a_curve_counts_once_somebody_looks() -> None:
    kept = Spill(10 * BYTES)
    made = picture(9).through(np.arange(255, -1, -1, dtype=np.uint8))
    kept.hold({"image": made})
    assert kept.used == 0
    assert made.pixels[0, 0, 0] == 246
    assert kept.used == BYTES
    base = picture(4)
    small = Spill(0)
    small.hold({"image": base})
    assert in_file(base)
    assert base.through(np.arange(255, -1, -1, dtype=np.uint8)).pixels[0, 0, 0] == 251


def test_a_full_disk_leaves_pictures_in_memory_and_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "RESERVE", 1 << 60)
    executor, trace = Executor(memory_bytes=0), Trace()

    @tool
    def x_next(image: Image) -> Image:
        """Count on."""
        return Image(image.pixels + np.uint8(1))

    flow = Workflow((Step("s1", "x_next", {"image": "$image"}),), "$s1")
    run = executor.run(flow, {"image": picture(3)}, trace=trace)
    assert run.results[0] == picture(4)
    assert not in_file(run.results[0])
    assert [os.strerror(errno.ENOSPC) in note for note in trace.notes] == [True]
    assert executor.spill.complaint() == ""


def test_every_step_of_a_long_run_can_be_looked_at_beyond_the_budget(tmp_path: Path) -> None:
    @tool
    def x_next(image: Image, n: Annotated[int, Field(ge=0, le=10**6)] = 0) -> Image:
        """Count on."""
        return Image(image.pixels + np.uint8(1))

    steps = tuple(Step(f"s{n}", "x_next", {"image": f"$s{n - 1}" if n else "$image"}) for n in range(40))
    executor = Executor(cache=Cache(0), memory_bytes=4 * BYTES)
    run = executor.run(Workflow(steps, "$s39"), {"image": picture(0)})
    assert executor.spill.used <= 4 * BYTES
    assert run.results[0] == picture(40)
    assert all(run.outputs[f"s{n}"]["image"] == picture(n + 1) for n in range(40))
    assert not list(Path(tempfile.gettempdir()).glob("lego-*.spill")), "the file has no name"


LONG = """
import sys
from pathlib import Path
import numpy as np
from lego.core.registry import tool
from lego.core.steps import Step
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.executor.cache import Cache
from lego.executor.run import Executor

@tool
def x_next(image: Image) -> Image:
    "Count on."
    pixels = image.pixels + np.uint8(1)
    pixels.flags.writeable = False
    return Image(pixels)

def peak():
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

budget = int(sys.argv[1])
steps = tuple(Step(f"s{n}", "x_next", {"image": f"$s{n - 1}" if n else "$image"}) for n in range(60))
start = Image(np.zeros((1000, 1000, 3), np.uint8))
before = peak()
run = Executor(cache=Cache(10 << 20), memory_bytes=budget).run(Workflow(steps, "$s59"), {"image": start})
took = peak() - before
assert run.results[0].pixels.max() == run.results[0].pixels.min() == 60
assert all(run.outputs[f"s{n}"]["image"].pixels[-1, -1, -1] == n + 1 for n in range(60))
print(took)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks of memory are read from /proc")
def test_a_long_run_over_large_pictures_stays_under_its_budget() -> None:
    def peak(budget: int) -> int:
        command = [sys.executable, "-c", LONG, str(budget)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    one = 3_000_000
    assert peak(1 << 40) > 50 * one, "without a budget all 60 pictures are in memory"
    assert peak(8 * one) < 14 * one, "the budget, and what a step works on"
