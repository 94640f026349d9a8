"""Graphs beside a checkpoint's weights: the same network, one file of weights, nothing left where they differ."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lego.tools  # registers the embedded tools
from lego.builder import hints, light
from lego.builder.base import Request
from lego.builder.hints import Hints
from lego.builder.light import Light
from lego.builder.local import Local
from lego.core.errors import SettingsError
from lego.core.registry import registry
from lego.core.values import Image
from lego.rl.export import CLOSE, export
from lego.rl.graphs import Weights
from lego.rl.phrasings import FOLDS
from tests.builder.small import configure

PICTURE = Image(np.random.default_rng(2).integers(0, 256, (70, 50, 3), np.uint8))
WORDS = "make the sky on the left warmer by 20%, then crop it to 4:5"


@pytest.fixture(scope="module")
def folder(exported: Path) -> Path:
    return exported


@pytest.fixture
def checkpoint(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "checkpoint"))


def parameters(folder: Path) -> Any:
    from transformers import LlavaForConditionalGeneration

    return LlavaForConditionalGeneration.from_pretrained(folder, dtype="float32").eval()


def graphs(folder: Path) -> list[Path]:
    return [folder / name for name in (light.PICTURE, light.TEXT) if (folder / name).exists()]


def test_graph_and_transformers_give_the_same_logits_block_after_block(folder: Path) -> None:
    import torch

    network, model = Light(folder), parameters(folder)
    request = Request(PICTURE, WORDS, tuple(registry))
    prompt, session = network.ids(request), network.start(request)
    answer = [30, 31, 32, 33, 200, 201, 7, 8]
    with torch.inference_mode():
        pixels = torch.from_numpy(network.pixels(PICTURE))
        wanted = model(input_ids=torch.tensor([prompt + answer]), pixel_values=pixels).logits[0].numpy()
    assert np.abs(wanted).max() > 0.1
    place = len(prompt)
    np.testing.assert_allclose(session.logits, wanted[place - 1], atol=CLOSE)
    for size in (1, 4, 2, 1):
        session.feed([answer[place - len(prompt) :][:size]])
        place += size
        np.testing.assert_allclose(session.logits, wanted[place - 1], atol=CLOSE)


def test_every_weight_is_float16_in_one_file_that_both_read(folder: Path, trained: Path) -> None:
    import torch

    model, before = parameters(folder), parameters(trained)
    count = sum(weight.numel() for weight in model.parameters())
    size = (folder / light.WEIGHTS).stat().st_size
    assert 2 * count <= size < 2 * count + 30_000  # and the header
    assert {facts["dtype"] for facts in Weights(folder / light.WEIGHTS).facts.values()} == {"F16"}
    assert sum(path.stat().st_size for path in graphs(folder)) < 50_000
    for name, weight in before.state_dict().items():
        assert torch.equal(weight.half().float(), model.state_dict()[name])


def test_the_graphs_read_the_weights_of_the_file(folder: Path, tmp_path: Path) -> None:
    """Other values in the same places are another network, without a new export."""
    from safetensors.torch import load_file, save_file

    other = Path(shutil.copytree(folder, tmp_path / "other"))
    weights = load_file(other / light.WEIGHTS)
    name = next(name for name in weights if name.endswith("language_model.norm.weight") or "model.norm.weight" in name)
    weights[name] = weights[name] * 2
    save_file(weights, other / light.WEIGHTS, {"format": "pt"})
    request = Request(PICTURE, WORDS, tuple(registry))
    one, two = Light(folder).start(request).logits, Light(other).start(request).logits
    np.testing.assert_allclose(two, 2 * one, atol=1e-4)


def test_weights_are_found_under_the_names_that_any_release_saves(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    names = ["model.language_model.norm.weight", "language_model.model.norm.bias"]
    names.append("vision_tower.vision_model.head.weight")
    save_file({name: np.zeros(3, np.float16) for name in names}, tmp_path / "w.safetensors")
    found = {"language_model.norm.weight", "language_model.norm.bias", "vision_tower.head.weight"}
    assert set(Weights(tmp_path / "w.safetensors").facts) == found


def test_the_graphs_pass_onnx_own_checks(folder: Path) -> None:
    import onnx

    for path in graphs(folder):
        onnx.checker.check_model(str(path), full_check=True)


def test_an_export_again_changes_nothing(folder: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(folder, tmp_path / "again"))
    assert export(again) == again
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
    assert {path.name for path in again.iterdir()} == {path.name for path in folder.iterdir()}


def test_after_more_training_it_is_exported_anew(folder: Path, tmp_path: Path) -> None:
    import torch

    again = Path(shutil.copytree(folder, tmp_path / "again"))
    model = parameters(again)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(1.5)
    model.save_pretrained(again)
    request = Request(PICTURE, WORDS, tuple(registry))
    fresh = Light(export(again)).start(request).logits
    assert np.abs(fresh - Light(folder).start(request).logits).max() > CLOSE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vision_config__hidden_act": "relu"}, "vision_config.hidden_act is 'relu'"),
        ({"vision_feature_select_strategy": "default"}, "vision_feature_select_strategy"),
        ({"text_config__hidden_act": "gelu"}, "text_config.hidden_act is 'gelu'"),
        ({"text_config__num_key_value_heads": 1}, "share keys and values"),
        (
            {"text_config__rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
            "rope_type is 'linear'",
        ),
    ],
)
def test_a_network_of_another_kind_is_refused(checkpoint: Path, change: dict[str, object], message: str) -> None:
    configure(checkpoint, "config.json", **change)
    before = (checkpoint / light.WEIGHTS).read_bytes()
    with pytest.raises(SettingsError, match=message) as caught:
        export(checkpoint)
    assert caught.value.code == "not_exportable"
    assert (checkpoint / light.WEIGHTS).read_bytes() == before
    assert not graphs(checkpoint)


@pytest.mark.parametrize("change", [{"image_processor__do_normalize": False}, {"image_processor__rescale_factor": 0.5}])
def test_where_the_two_ways_differ_no_graphs_are_left(folder: Path, tmp_path: Path, change: dict[str, object]) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    configure(other, "processor_config.json", **change)
    with pytest.raises(SettingsError, match="makes the picture ready in another way"):
        export(other)
    assert not graphs(other)
    assert not Local(other).light


def test_weights_that_float16_cannot_hold_are_refused(checkpoint: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(checkpoint / light.WEIGHTS)
    name = next(iter(weights))
    weights[name][0] = 1e6
    save_file(weights, checkpoint / light.WEIGHTS, {"format": "pt"})
    with pytest.raises(SettingsError, match=f"cannot hold {name}"):
        export(checkpoint)
    assert not graphs(checkpoint)


@pytest.mark.parametrize("name", ["config.json", light.WEIGHTS, light.TOKENIZER])
def test_what_is_no_checkpoint_is_refused(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(SettingsError, match=f"has no {name}"):
        export(checkpoint)


def test_a_file_of_weights_that_is_none_is_refused(checkpoint: Path) -> None:
    (checkpoint / light.WEIGHTS).write_bytes(b"not weights at all")
    with pytest.raises(SettingsError, match="cannot be read"):
        export(checkpoint)


def test_of_the_hints_only_those_for_planning_stay(trained: Path, folder: Path) -> None:
    before, after = (Hints.load(path / hints.FILE) for path in (trained, folder))
    assert len(before.folds) == FOLDS
    assert after.folds == ()
    assert after.reader(0) is after.reader(None) is not None
    assert np.array_equal(before.whole.weights, after.whole.weights)
