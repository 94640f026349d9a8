"""Soft edges: hair is found, hard parts stay hard, and nothing far from the outline changes."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from lego.core.codec import Pixels
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.executor import contract
from lego.tools.matting import mask_matte

ENGINES = [engine.name for engine in mask_matte.engines.values() if not engine.missing]


def hairy() -> tuple[Image, Pixels, Mask]:
    """A made-up furry disc before smooth ground, its true opacity, and an outline without the hairs."""
    rng = np.random.default_rng(1)
    canvas = np.zeros((640, 640), np.uint8)
    cv2.circle(canvas, (320, 320), 180, 255, -1)
    for turn in rng.uniform(0, 2 * np.pi, 260):
        start = (320 + 178 * np.cos(turn), 320 + 178 * np.sin(turn))
        lean = turn + rng.normal(0, 0.4)
        end = (start[0] + 40 * np.cos(lean), start[1] + 40 * np.sin(lean))
        cv2.line(canvas, tuple(map(int, start)), tuple(map(int, end)), 255, 4, cv2.LINE_AA)
    truth = np.asarray(cv2.resize(canvas, (160, 160), interpolation=cv2.INTER_AREA), np.uint8)
    share = truth[..., None] / 255
    ground = np.linspace(40, 90, 160)[:, None, None] * np.array([0.5, 1, 1.2])
    fur = np.array([210, 170, 110]) + rng.normal(0, 8, (160, 160, 1))
    pixels = np.clip(fur * share + ground * (1 - share), 0, 255).astype(np.uint8)
    outline = np.asarray(cv2.resize(cv2.circle(canvas * 0, (320, 320), 180, 255, -1), (160, 160)), np.uint8)
    return Image(pixels), truth, Mask(outline)


LEFT = {"embedded": 0.92, "pymatting": 0.6}  # of the error of a bald outline


def matte(engine: str, image: Image, mask: Mask) -> Mask:
    made: Mask = mask_matte.engines[engine].function(image, mask, 12.0, Context())
    return made


def test_matting_keeps_the_contract() -> None:
    assert contract.check(mask_matte) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_hair_comes_out_of_a_bald_outline(engine: str) -> None:
    image, truth, mask = hairy()
    found = matte(engine, image, mask).pixels.astype(int)
    error, before = (np.abs(a.astype(int) - truth).sum() for a in (found, mask.pixels))
    assert error < LEFT[engine] * before
    hairs = (truth > 200) & (mask.pixels == 0)
    assert found[hairs].mean() > 40


@pytest.mark.parametrize("engine", ENGINES)
def test_far_from_the_outline_the_mask_is_as_sure_as_before(engine: str) -> None:
    image, _, mask = hairy()
    found = matte(engine, image, mask).pixels
    away = np.hypot(*np.mgrid[-80:80, -80:80])
    assert (found[away < 32] == 255).all()
    assert (found[away > 60] == 0).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_large_things_are_solved_small_and_keep_their_edge(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image, truth, mask = hairy()
    monkeypatch.setattr("lego.tools.matting.SIDE", 90)
    found = matte(engine, image, mask).pixels.astype(int)
    assert np.abs(found - truth).sum() < 0.9 * np.abs(mask.pixels.astype(int) - truth).sum()


def test_a_mask_without_another_side_stays_as_it_is() -> None:
    image, _, _ = hairy()
    for value in (0, 255):
        mask = Mask(np.full((160, 160), value, np.uint8))
        made = mask_matte(image, mask)
        assert made == mask
        assert made.notes


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    code = "import sys, lego.tools; print([m for m in ('pymatting', 'numba', 'scipy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_solver_reports_progress_and_can_be_stopped() -> None:
    image, _, mask = hairy()
    seen: list[float] = []
    mask_matte(image, mask, context=Context(progress=seen.append))
    assert len(seen) > 3
    assert seen == sorted(seen)

    def stop(share: float) -> None:
        if share > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mask_matte(image, mask, context=Context(progress=stop))
