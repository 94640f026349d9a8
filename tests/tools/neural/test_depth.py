"""Masks by distance: one sense whatever the network tells, edges and bounds; real classes at toy size."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lego.core.memory import CPU
from lego.core.models import Pool, shelf
from lego.core.steps import Step
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.executor.contract import check
from lego.executor.run import Executor
from lego.tools.neural.depth import distances
from lego.tools.segment import mask_distance


class Ramp:
    """Stands for a network that sees the left as near: what it tells is known, what is made of it is judged."""

    def __init__(self, kind: str, values: Any) -> None:
        self.config, self.device, self.dtype = SimpleNamespace(depth_estimation_type=kind), "cpu", torch.float32
        self.values = values

    def __call__(self, **given: Any) -> Any:
        return self.values

    def pair(self) -> tuple[Any, Any]:
        class Processor:
            def __call__(self, picture: Any, return_tensors: str) -> Any:
                return Inputs()

            def post_process_depth_estimation(self, out: Any, target_sizes: Any) -> Any:
                return [{"predicted_depth": out}]

        class Inputs(dict[str, Any]):
            def to(self, *args: Any) -> Any:
                return self

        return self, Processor()


def engine(net: Any, image: Image, **args: Any) -> Any:
    return mask_distance.engines["depth-anything"].function(image, **args, net=net)


@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_near_and_far_mean_the_same_whatever_the_network_tells(kind: str) -> None:
    across = torch.linspace(1, 9, 200).repeat(100, 1)  # metres
    net = Ramp(kind, across if kind == "metric" else 10 / across).pair()
    away = distances(net, np.zeros((100, 200, 3), np.uint8))
    assert away[:, :3].max() < 0.05
    assert away[:, -3:].min() > 0.95
    image = Image(np.zeros((100, 200, 3), np.uint8))
    near, far = engine(net, image, near=0.0, far=50.0), engine(net, image, near=50.0, far=100.0)
    assert near.pixels[:, 0].min() == far.pixels[:, -1].min() == 255
    assert near.pixels[:, -1].max() == far.pixels[:, 0].max() == 0
    assert abs(near.share + far.share - 1) < 0.02
    assert engine(net, image, near=0.0, far=100.0).share == 1


def test_a_picture_of_one_distance_is_all_near_and_wrong_bounds_are_refused() -> None:
    net = Ramp("relative", torch.full((40, 60), 3.0)).pair()
    image = Image(np.zeros((40, 60, 3), np.uint8))
    assert engine(net, image, near=0.0, far=50.0).share == 1
    assert engine(net, image, near=50.0, far=100.0).share == 0
    with pytest.raises(ValueError, match="give near < far"):
        engine(net, image, near=60.0, far=50.0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=32, num_attention_heads=2, num_hidden_layers=4, image_size=70, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, neck_hidden_sizes=[8, 16, 16, 16], reassemble_hidden_size=32, fusion_hidden_size=16,
        head_hidden_size=8,
    )  # fmt: skip
    net = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        for weight in net.parameters():  # larger than the usual start, so that something is seen
            if weight.dim() > 1:
                weight.mul_(10)
        net.head.conv3.bias.fill_(1.0)  # else the last rectifier lets nothing through
    net.save_pretrained(folder / "depth-anything")
    size = {"height": 70, "width": 70}
    DPTImageProcessorPil(size=size, ensure_multiple_of=14, keep_aspect_ratio=True).save_pretrained(
        folder / "depth-anything"
    )
    return folder


def test_the_real_classes_run_from_a_folder_and_keep_the_contract(models: Path, small: Image) -> None:
    pool = Pool(shelf(models), {CPU: 8 << 30})
    flow = Workflow((Step("s1", "mask_distance", {"image": "$image", "far": 40.0}),), "$s1")
    done = Executor(pool=pool).run(flow, {"image": small})
    if done.failure:
        raise done.failure
    assert done.results[0].size == small.size
    assert 0.05 < done.results[0].share < 0.95
    one = copy(mask_distance)
    assert check(one, pool) == []
    assert pool.counts.loads == 1
