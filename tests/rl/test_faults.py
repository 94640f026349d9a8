"""Photographs made worse: the remedy that is named really is one."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import lego
from lego.core.values import Image
from lego.rl import faults


@pytest.fixture(scope="module")
def editor() -> lego.Editor:
    return lego.Editor()


@pytest.fixture(scope="module")
def cat(photos: Path) -> Image:
    return Image.open(photos / "chelsea.png")


def off(first: Image, second: Image) -> float:
    """Root mean square difference of what both show (of the middle, if one is cut closer)."""
    width, height = (min(pair) for pair in zip(first.size, second.size, strict=True))
    cut = []
    for image in (first, second):
        x, y = (image.size[0] - width) // 2, (image.size[1] - height) // 2
        cut.append(image.pixels[y : y + height, x : x + width].astype(float))
    return float(np.sqrt(((cut[0] - cut[1]) ** 2).mean()))


def test_every_kind_has_a_remedy() -> None:
    assert set(faults.KINDS) == set(get_args(faults.Kind))


@pytest.mark.parametrize("kind", faults.KINDS)
@pytest.mark.parametrize("amount", [0.0, 0.5, 1.0])
def test_the_remedy_brings_the_picture_nearer_to_the_original(
    editor: lego.Editor, cat: Image, kind: faults.Kind, amount: float
) -> None:
    fault = faults.add(cat, kind, amount, seed=1)
    steps = [{"id": "a", "tool": fault.tool, "args": {"image": "$image", **fault.args}}]
    mended = editor.run({"version": 1, "steps": steps, "result": "$a"}, fault.image).image
    assert off(mended, fault.original) < 0.93 * off(fault.image, fault.original)


@pytest.mark.parametrize("kind", faults.KINDS)
def test_a_stronger_fault_is_further_from_the_original_and_a_faint_one_can_be_seen(
    cat: Image, kind: faults.Kind
) -> None:
    distances = [off((f := faults.add(cat, kind, amount, seed=2)).image, f.original) for amount in (0.0, 0.5, 1.0)]
    assert 2 < distances[0] < distances[1] < distances[2]


def test_seeds_decide_noise_and_side(cat: Image) -> None:
    noisy = [faults.add(cat, "noisy", 0.5, seed).image for seed in (1, 1, 2)]
    assert noisy[0] == noisy[1] != noisy[2]
    sides = {faults.add(cat, "tilted", 0.5, seed).args["angle"] > 0 for seed in range(8)}
    assert sides == {True, False}


@pytest.mark.parametrize("size", [(1, 1), (3, 517), (40, 30)])
def test_odd_sizes_can_be_made_worse(size: tuple[int, int]) -> None:
    image = Image(np.full((size[1], size[0], 3), 90, np.uint8))
    for kind in get_args(faults.Kind):
        assert faults.add(image, kind, 1.0).image.size == faults.add(image, kind, 1.0).original.size


def test_an_amount_out_of_range_is_refused(cat: Image) -> None:
    with pytest.raises(ValueError, match=r"0 to 1, not 1\.5"):
        faults.add(cat, "dark", 1.5)
