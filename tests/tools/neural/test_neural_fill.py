"""LaMa behind `remove`: its contract, with a small network of its kind."""

from __future__ import annotations

import warnings
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lego.core.errors import RefusedError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.signature import Context
from lego.core.steps import Step
from lego.core.trace import StepDone, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.contract import check
from lego.executor.run import Executor
from lego.tools.fill import remove
from lego.tools.neural import fill


class Blur(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """What LaMa is to those who call it: it refuses sides that are no multiples of 8, and composites."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        assert image.shape[2] % 8 == 0
        assert image.shape[3] % 8 == 0
        known = 1 - mask
        mean = (image * known).sum([2, 3], keepdim=True) / known.sum()
        return image * known + mean * mask


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "lama"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Blur()), str(folder / "big-lama.pt"))
    return folder.parent


def run(models: Path, image: Image, mask: Mask, **args: Any) -> tuple[Image, StepDone]:
    pool = Pool(lambda name: models / name if (models / name).is_dir() else None, {CPU: 8 << 30})
    trace = Trace()
    flow = Workflow((Step("s1", "remove", {"image": "$image", "mask": "$mask", **args}),), "$s1")
    done = Executor(pool=pool).run(flow, {"image": image, "mask": mask}, trace=trace)
    if done.failure:
        raise done.failure
    return done.results[0], next(trace.of(StepDone))


@pytest.mark.parametrize("size", [(97, 61), (8, 8), (600, 13), (64, 64)])
def test_pictures_of_any_size_come_back_untouched_outside(models: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = Image(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    mask = Mask.from_box(size, (size[0] // 3, size[1] // 3, size[0] // 2, size[1] // 2))
    made, event = run(models, image, mask, grow=0.0)
    assert event.engine == "lama"
    assert made.size == size
    outside = mask.pixels == 0
    assert (made.pixels[outside] == image.pixels[outside]).all()
    assert (made.pixels[~outside] != image.pixels[~outside]).any()


def test_the_thing_is_filled_from_around_it_and_fades_into_the_picture(models: Path) -> None:
    pixels = np.full((200, 300, 3), (40, 90, 160), np.uint8)
    pixels[80:120, 130:170] = (250, 30, 30)
    made, event = run(models, Image(pixels), Mask.from_box((300, 200), (128, 78, 172, 122)))
    assert np.abs(made.pixels.astype(int) - (40, 90, 160)).max() <= 2
    assert event.notes[0] == "filled one hole with LaMa"
    assert run(models, Image(pixels), Mask.from_box((300, 200), (128, 78, 172, 122)))[0].digest == made.digest


def test_holes_far_apart_are_seen_one_by_one_and_neighbours_together() -> None:
    hole = np.zeros((900, 1600), np.bool_)
    hole[100:120, 100:120] = hole[100:120, 160:180] = hole[700:760, 1400:1460] = True
    boxes = list(fill._parts(hole))
    assert boxes == [(4, 4, 276, 216), (1304, 604, 1556, 856)]


def test_large_parts_are_shown_smaller_and_a_smaller_tile_is_obeyed() -> None:
    shown: list[Any] = []

    def net(image: Any, mask: Any) -> Any:
        shown.append(tuple(image.shape[2:]))
        return image

    pixels = np.zeros((900, 1600, 3), np.uint8)
    hole = np.zeros((900, 1600), np.bool_)
    hole[200:700, 300:1300] = True
    for tile in (0, 512):
        fill.invented(net, pixels, hole, Context(tile=tile))
    assert shown == [(576, 1024), (288, 512)]


def test_what_remove_declines_is_declined_with_a_network_too(models: Path) -> None:
    image = Image(np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(RefusedError, match="covers 81% of the picture"):
        run(models, image, Mask.from_box((50, 50), (0, 0, 45, 45)))


def test_the_engine_keeps_the_contract_of_every_tool(models: Path) -> None:
    pool = Pool(lambda name: models / name if (models / name).is_dir() else None, {CPU: 8 << 30})
    only = copy(remove)
    only.engines = {"lama": remove.engines["lama"]}
    assert check(only, pool) == []
    assert pool.counts.loads == 1
