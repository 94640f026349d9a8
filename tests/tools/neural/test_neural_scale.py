"""Swin2SR behind `upscale`: sizes, tiles and progress, with the real class at toy size."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest
import torch

from lego.core.memory import CPU
from lego.core.models import Pool, shelf
from lego.core.signature import Context
from lego.core.values import Image
from lego.executor.contract import check
from lego.tools.neural.scale import SWIN, doubled
from lego.tools.scale import upscale


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

    torch.manual_seed(0)
    config = Swin2SRConfig(
        image_size=64, patch_size=1, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=8, mlp_ratio=2.0,
        upscale=2, img_range=1.0, upsampler="pixelshuffle",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models")
    Swin2SRForImageSuperResolution(config).save_pretrained(folder / "swin2sr")
    return Pool(shelf(folder), {CPU: 8 << 30})


def noise(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("factor", "size"), [(2.0, (74, 42)), (1.5, (56, 32)), (3.0, (111, 63)), (1.0, (37, 21))])
def test_any_size_is_enlarged_by_any_factor(pool: Pool, factor: float, size: tuple[int, int]) -> None:
    image = Image(noise(21, 37), np.full((21, 37), 200, np.uint8))
    with pool.use(SWIN) as (net,):
        made = upscale.engines["swin2sr"].function(image, factor, Context(), net=net)
    assert made.size == size
    assert made.alpha is not None
    assert made.alpha.shape == size[::-1]


def test_tiles_leave_no_seam_and_report_progress(pool: Pool) -> None:
    pixels = noise(70, 90)
    told: list[float] = []
    with pool.use(SWIN) as (net,):
        whole = doubled(net, pixels, Context(tile=96))
        tiled = doubled(net, pixels, Context(tile=32, progress=told.append))
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert len(told) == 9
    assert told[-1] == 1


def test_it_is_used_where_its_weights_are_and_keeps_the_contract(pool: Pool) -> None:
    assert upscale.choose(pool)[0].name == "swin2sr"
    one = copy(upscale)
    one.engines = {"swin2sr": upscale.engines["swin2sr"]}
    assert check(one, pool) == []
    with pytest.raises(ValueError, match="too large"), pool.use(SWIN) as (net,):
        one.engines["swin2sr"].function(Image(noise(1, 9000)), 2.0, Context(), net=net)
