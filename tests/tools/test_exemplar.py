"""Filling by our own compiled search."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lego.core.values import Image
from lego.tools import patchmatch
from lego.tools.geometry import extend_canvas

pytest.importorskip("numba")
from lego.tools import exemplar

Bools = NDArray[np.bool_]


def photo(path: Path, long: int = 256) -> NDArray[np.uint8]:
    pixels = Image.open(path).pixels
    scale = long / max(pixels.shape)
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def disc(pixels: NDArray[np.uint8], x: float, y: float, radius: float) -> Bools:
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    return np.asarray(np.hypot(columns - x * width, rows - y * height) <= radius * width, np.bool_)


def texture(pixels: NDArray[np.uint8], where: Bools) -> float:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))[where].mean())


def test_a_hole_in_wood_is_filled_with_wood(photos: Path) -> None:
    pixels = photo(photos / "coffee.png", 512)
    hole = disc(pixels, 0.93, 0.75, 0.08)
    made = exemplar.inpaint(pixels, hole, ~hole, 0)
    assert 0.7 < texture(made, hole) / texture(pixels, hole) < 1.3  # diffusion: .15
    assert (made == pixels)[~hole].all()
    assert np.abs(made[hole].mean(0) - pixels[hole].mean(0)).max() < 12


def test_what_stood_in_the_hole_or_is_no_source_has_no_influence() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 120, (90, 120, 3), dtype=np.uint8)
    pixels[:, 80:] = (250, 20, 20)
    hole = disc(pixels, 0.35, 0.5, 0.1)
    sources = ~hole
    sources[:, 80:] = False
    painted = pixels.copy()
    painted[hole] = (0, 255, 0)
    made = exemplar.inpaint(painted, hole, sources, 0)
    assert (made == exemplar.inpaint(pixels, hole, sources, 0)).all()
    assert made[hole].max() < 150


def test_the_same_seed_gives_the_same_bytes(photos: Path) -> None:
    pixels = photo(photos / "china.jpg")
    hole = disc(pixels, 0.6, 0.8, 0.12)
    one, two, again = (exemplar.inpaint(pixels, hole, ~hole, seed) for seed in (1, 2, 1))
    assert (one == again).all()
    assert (one != two).any()


def test_pieces_of_different_light_meet_without_a_seam() -> None:
    light = np.linspace(60, 200, 200)[None, :] + np.random.default_rng(0).normal(0, 1.5, (140, 200))
    pixels = np.dstack([np.clip(light, 0, 255).astype(np.uint8)] * 3)
    hole = disc(pixels, 0.5, 0.5, 0.15)
    made = exemplar.inpaint(pixels, hole, ~hole, 0)
    inner, outer = (
        cv2.erode(hole.astype(np.uint8), np.ones((3, 3))),
        cv2.dilate(hole.astype(np.uint8), np.ones((3, 3))),
    )
    rim = (outer > 0) & (inner == 0)
    assert texture(made, rim) < 1.2 * texture(pixels, rim)
    assert np.abs(made[hole].astype(int) - pixels[hole]).mean() < 8


def test_cancelling_takes_hold_before_the_end(photos: Path) -> None:
    pixels = photo(photos / "china.jpg")
    hole = disc(pixels, 0.6, 0.8, 0.12)
    told: list[float] = []

    def stop(share: float) -> None:
        told.append(share)
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        exemplar.inpaint(pixels, hole, ~hole, 0, stop)
    assert 0 < told[0] < told[1] < told[2] < 0.5
    told.clear()
    exemplar.inpaint(pixels, hole, ~hole, 0, told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_an_empty_hole_changes_nothing(small: Image) -> None:
    hole = np.zeros((30, 40), np.bool_)
    assert (exemplar.inpaint(small.pixels, hole, ~hole, 0) == small.pixels).all()


def test_a_sky_goes_on_beyond_the_frame_without_a_seam(photos: Path) -> None:
    image = Image(photo(photos / "china.jpg", 400))
    made = extend_canvas(image, top=15.0, left=10.0)
    assert "numba" in made.image.notes[0]
    border = np.asarray(made.mask.pixels > 0)
    rim = (cv2.dilate(border.astype(np.uint8), np.ones((3, 3))) > 0) & ~border
    rim[120:] = False  # the sky
    light = made.image.pixels.astype(int)
    across = np.abs(light[1:] - light[:-1]).max(2)[rim[1:]]
    assert across.mean() < 1.3  # .83; PyPatchMatch: 1.9


def test_engines_are_chosen_by_where_the_hole_lies() -> None:
    inside, frame = np.zeros((40, 60), np.bool_), np.ones((40, 60), np.bool_)
    inside[10:20, 10:20] = True
    frame[5:35, 5:55] = False
    assert [e.name for e in patchmatch.engines(frame)] == ["numba", "PyPatchMatch"]
    assert [e.name for e in patchmatch.engines(inside)] == ["PyPatchMatch", "numba"]


def test_without_patchmatch_numba_fills_and_without_both_diffusion(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = photo(photos / "china.jpg", 200)
    hole = disc(pixels, 0.6, 0.8, 0.12)
    monkeypatch.setattr("patchmatch.patchmatch_available", False)
    assert "numba" in patchmatch.fill(pixels, hole).notes[0]
    monkeypatch.setattr(patchmatch, "find_spec", lambda name: None)
    assert "low quality" in patchmatch.fill(pixels, hole).notes[0]


def test_numba_is_loaded_only_where_it_is_used() -> None:
    code = "import sys, lego.tools; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
