"""What is measured without a judge is what it is said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lego.core.values import Image, Mask
from lego.rl.bench import pixels, suites
from tests.rl.bench import copies


def test_psnr_and_ssim_agree_with_another_implementation() -> None:
    first, second = copies.pixels(1), np.clip(copies.pixels(1).astype(int) + 9, 0, 255).astype(np.uint8)
    second[5:20, 5:20] = copies.pixels(2)[5:20, 5:20]
    ours = pixels.ssim(Image(first), Image(second))
    theirs = structural_similarity(
        first, second, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )[1].mean()
    assert ours == pytest.approx(theirs, abs=0.002)
    assert pixels.psnr(Image(first), Image(second)) == pytest.approx(peak_signal_noise_ratio(first, second))


def test_equal_pictures_have_a_hundred_decibels_and_no_more() -> None:
    picture = Image(copies.pixels(3))
    assert pixels.psnr(picture, picture) == 100
    assert pixels.ssim(picture, picture) == pytest.approx(1)


def test_doing_nothing_has_a_perfect_background_and_changes_nothing_inside(tmp_path: Path) -> None:
    item = suites.find("compbench").load(copies.compbench(tmp_path))[0]
    source = item.images[0].open()
    assert item.gt
    made = pixels.Measured().judge(item, source, 0)
    flat = {name: scores[0] for name, scores in made.scores.items() if scores}
    assert flat["background PSNR"] == 100
    assert flat["changed inside"] == 0
    assert flat["foreground PSNR"] < 40
    perfect = pixels.Measured().judge(item, item.gt.open(), 0)
    assert list(perfect.scores["foreground PSNR"] or ()) == [100]
    assert (perfect.scores["changed inside"] or [0])[0] > 20
    assert perfect.scores["changed outside"] == (0,)


def test_what_the_windows_of_the_mask_reach_is_not_background() -> None:
    source = Image(np.full((40, 40, 3), 100, np.uint8))
    mask = Mask.from_box((40, 40), (15, 15, 25, 25))
    changed = source.pixels.copy()
    changed[15:25, 15:25] = 200
    figures = pixels.measured(source, Image(changed), Image(changed), mask)
    assert figures["background SSIM"] == pytest.approx(1)
    assert figures["background PSNR"] == 100
    changed[2:6, 2:6] = 200
    stray = pixels.measured(source, Image(changed), Image(changed), mask)
    assert (stray["background PSNR"] or 100) < 40
    assert stray["changed outside"] == pytest.approx(100 * 16 / (1600 - 400))


def test_a_result_of_another_size_is_resized_and_that_is_noted(tmp_path: Path) -> None:
    item = suites.find("compbench").load(copies.compbench(tmp_path))[0]
    small = Image.open(item.images[0].open().pil().resize((24, 20)))
    made = pixels.Measured().judge(item, small, 0)
    assert made.notes == ["resized from 24 x 20 to 48 x 40"]
    assert made.scores["background PSNR"]


def test_an_empty_mask_leaves_the_foreground_missing_with_the_reason() -> None:
    source = Image(copies.pixels(1))
    figures = pixels.measured(source, source, source, Mask(np.zeros((40, 48), np.uint8)))
    assert figures["foreground SSIM"] is None
    assert figures["background SSIM"] == pytest.approx(1)
    full = pixels.measured(source, source, source, Mask(np.full((40, 48), 255, np.uint8)))
    assert full["background SSIM"] is None


def test_where_there_is_no_truth_it_is_measured_how_much_of_the_source_is_kept(tmp_path: Path) -> None:
    item = suites.find("imgedit").load(copies.imgedit(tmp_path))[0]
    made = pixels.Measured().judge(item, item.images[0].open(), 0)
    assert made.scores == {"PSNR to source": (100.0,), "changed": (0.0,)}
