"""ReasonEdit's three stages with the real classes at toy size: to reason, to edit, and both together."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lego.cli import app
from lego.core.brick_card import BrickCard
from lego.core.errors import RecipeError, SettingsError, ToolDefinitionError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.signature import Context
from lego.rl.bricks import training
from lego.rl.bricks.joint import JointLearner
from lego.rl.bricks.opening import open_family
from lego.rl.bricks.pairs import pairs
from lego.rl.bricks.recipe import FOLDER, BrickRecipe
from lego.rl.bricks.store import Store
from lego.rl.reasoning.lessons import Book
from lego.rl.recipe import FOLDER as BUILDERS
from lego.rl.stage import metrics_of
from lego.tools import load_brick
from tests.builder.models import build
from tests.rl import brick_data
from tests.rl.reasoning.test_lessons import reflection, thought
from tests.tools.neural import toys

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.save("qwen-image-edit", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs, with their masks."""
    return brick_data.write(tmp_path_factory.mktemp("pairs"), 2, masks=True)


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    book = Book(tmp_path_factory.mktemp("lessons"))
    for lesson in (thought(), reflection()):
        book.add(lesson)
    return book.folder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    brick_data.look_small(monkeypatch.setattr)


def recipe(model: Path, lessons: Path, **more: Any) -> BrickRecipe:
    """Joint training of a toy."""
    joint = {"weight": 0.1, "lessons": str(lessons), "rank": 2}
    return brick_data.recipe(model, "qwen-image-edit", **{"joint": joint, "lr": 1e-2, **more})


def learner_of(made: BrickRecipe) -> JointLearner:
    return JointLearner(open_family(made)[0])  # type: ignore[arg-type]


def weights(folder: Path) -> dict[str, Any]:
    """All weights in a folder."""
    load = importlib.import_module("safetensors.torch").load_file
    return {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load(file).items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    torch = importlib.import_module("torch")
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def teach(command: str, recipe: Path, out: str, *more: str) -> None:
    """Run `lego train`, as a user does."""
    done = CliRunner().invoke(app, ["train", command, "--recipe", str(recipe), "--out", out, "--smoke", *more])
    assert done.exit_code == 0, (done.output, done.exception)


def shipped(folder: Path, name: str, into: Path, *changes: tuple[str, str]) -> Path:
    """A recipe that ships, at toy size."""
    text = (folder / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    tomllib.loads(text)
    path = into / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("second", ["whole", "adapter"])
@pytest.mark.usefixtures("forgetful")
def test_the_three_recipes_that_ship_go_on_from_each_other_by_three_commands(
    second: str, model: Path, data: Path, lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(lessons, "lessons")
    for part in ("text_encoder", "processor"):
        shutil.copytree(model / part, "vl", dirs_exist_ok=True)
    quick = (("= 1024", "= 64"), ("hold = 16", "hold = 1\ninfer_steps = 2\nprecision = 'fp32'"))
    one = shipped(
        BUILDERS, "qwen2.5-vl-7b", tmp_path, ('"Qwen/Qwen2.5-VL-7B-Instruct"', '"vl"'), ('"bf16"', '"fp32"'),
        ("lr = 1e-4", "lr = 1e-2"),
    )  # fmt: skip
    adapters = (("[card]", "[lora]\nrank = 4\n\n[card]"),) if second == "adapter" else ()
    two = shipped(
        FOLDER, "reasonedit-editing", tmp_path, *quick, ('"Qwen/Qwen-Image-Edit-2509"', f'"{model}"'),
        ("lr = 1e-5", "lr = 1e-2"), *adapters,
    )  # fmt: skip
    three = shipped(FOLDER, "reasonedit-joint", tmp_path, *quick, ("lr = 6e-6", "lr = 1e-2"))
    teach("reason", one, "reasonedit-1")
    teach("brick", two, "reasonedit-2", "--data", str(data))
    teach("brick", three, "reasonedit-3", "--data", str(data))

    begun, reasoned = weights(model / "text_encoder"), weights(tmp_path / "reasonedit-1/reason/model")
    assert not same(begun, reasoned)
    reader = "model/text_encoder" if second == "whole" else "reader"
    assert same(weights(tmp_path / "reasonedit-2/brick" / reader), reasoned), "it is kept as the first stage left it"
    card = BrickCard.read(tmp_path / "reasonedit-3/brick")
    assert Path(card.base) == tmp_path / "reasonedit-2/brick"
    tool = load_brick("reasonedit-3")  # by the run
    engine, _ = tool.choose(pool := Pool(lambda name: None, {CPU: 300 << 30}))
    before, _, mask = brick_data.pair(5, (75, 50))
    with pool.use(*engine.networks.values()) as (net,):
        out = engine.function(before, order="make the ball blue", mask=mask, net=net, context=Context(seed=1))
        first = type(net.pipe.text_encoder).from_pretrained("reasonedit-1/reason/model").state_dict()
        last = net.pipe.text_encoder.state_dict()
        painter = net.pipe.transformer.state_dict()
    assert (out.pixels == before.pixels)[mask.pixels == 0].all()
    attended = "model.language_model.layers.0.self_attn.q_proj.weight"
    assert not (last[attended] == first[attended]).all(), "the third stage taught the reader"
    other = "model.language_model.layers.0.mlp.up_proj.weight"
    assert (last[other] == first[other]).all(), "and began with that of the first"
    attended = "transformer_blocks.0.attn.to_q.weight"
    found = [weights(model / "transformer")[attended]]
    found += [open_family(BrickRecipe.load(path))[0].net.state_dict()[attended] for path in (three,)]
    found += [painter[attended]]
    assert not (found[0] == found[1]).all(), "the third begins with what the second painted with"
    assert not (found[1] == found[2]).all()


def test_a_reader_that_does_not_fit_is_told(model: Path, lessons: Path, tmp_path: Path) -> None:
    def fails(kind: type[Exception], why: str, reader: Path) -> None:
        with pytest.raises(kind, match=why):
            open_family(recipe(model, lessons, reader=str(reader)))

    fails(SettingsError, "the reader cannot be opened: there is no such folder", tmp_path / "nothing")
    fails(RecipeError, "model_type of the reader is qwen3_vl", build("qwen3_vl", tmp_path / "three"))
    fails(RecipeError, "hidden_size of the reader is 64", build("qwen2_5_vl", tmp_path / "wide", wide=64))
    (tmp_path / "empty").mkdir()
    fails(SettingsError, "the reader cannot be opened", tmp_path / "empty")
    with pytest.raises(ValueError, match="only qwen-image-edit"):
        brick_data.recipe(model, "sd3", reader="x")


def test_a_brick_whose_base_is_only_a_name_cannot_be_gone_on_with(model: Path, data: Path, tmp_path: Path) -> None:
    made = brick_data.recipe(model, "qwen-image-edit", steps=1, base="qwen-image-edit")
    training.train(made, data, tmp_path / "run")
    with pytest.raises(ToolDefinitionError, match="its base 'qwen-image-edit' is no folder here"):
        open_family(brick_data.recipe(tmp_path / "run", "qwen-image-edit"))


def test_a_joint_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    model: Path, data: Path, lessons: Path, tmp_path: Path
) -> None:
    made = recipe(model, lessons, steps=5, accumulate=2, save_every=2, drop=0.3, gradient_checkpointing=True)
    brick_data.train_until_killed(made, data, tmp_path / "killed", small=True)
    steps: list[int] = []
    killed = training.train(
        made, data, tmp_path / "killed", resume=True,
        listen=lambda at: steps.extend([at.step] if at.stage == "brick" else []),
    )  # fmt: skip
    whole = training.train(made, data, tmp_path / "whole")
    assert steps == [3, 4, 5]
    told = [[line | {"seconds": 0} for line in metrics_of(tmp_path / name)] for name in ("killed", "whole")]
    assert told[0] == told[1]
    assert same(weights(killed), weights(whole)), "what paints"
    assert same(weights(killed / "reader"), weights(whole / "reader")), "and what reads"
    assert BrickCard.read(killed).digest == BrickCard.read(whole).digest


def test_pairs_that_are_held_back_are_measured_by_their_pictures_alone(
    model: Path, data: Path, lessons: Path, tmp_path: Path
) -> None:
    """So their loss compares with that of a run without lessons; what it begins with knows nothing of either."""
    given = {"steps": 1, "hold": 1, "look_every": 1, "lr": 1e-9, "drop": 0.9, "lora": {"rank": 4}}
    training.train(recipe(model, lessons, **given), data, tmp_path / "joint")
    training.train(recipe(model, lessons, **given, joint=None), data, tmp_path / "alone")
    joint, alone = (metrics_of(tmp_path / name)[-1] for name in ("joint", "alone"))
    assert joint["held"] == pytest.approx(alone["held"], rel=1e-4)
    assert joint["loss"] > joint["held"]


def test_a_reader_that_saves_memory_has_the_same_gradients(
    model: Path, data: Path, lessons: Path, tmp_path: Path
) -> None:
    torch = importlib.import_module("torch")
    found = []
    for saves in (False, True):
        learner = learner_of(recipe(model, lessons, gradient_checkpointing=saves))
        store = Store(tmp_path / "cache", learner.family, "")
        kept = store.batch([store.keep(next(pairs(data)))], [False])
        learner.train(True)
        learner.together(kept, ["blue"], 0, torch.Generator().manual_seed(0)).backward()
        found.append([p.grad.clone() for p in learner.parameters.values() if p.grad is not None])
        language = learner.reader.get_base_model().model.language_model
        assert bool(getattr(language, "gradient_checkpointing", False)) == saves
    assert len(found[0]) == len(found[1]) > 0
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("forgetful")
def test_painter_and_reader_learn_together_and_both_come_back(
    model: Path, data: Path, lessons: Path, tmp_path: Path
) -> None:
    """ReasonEdit's third stage: the picture's loss reaches the reader of the words, beside that of lessons."""
    made = recipe(model, lessons, steps=4, look_every=4)
    folder = training.train(made, data, tmp_path / "run")
    lines = metrics_of(tmp_path / "run")
    assert all(line["language"] > 0 for line in lines)
    assert lines[-1]["loss"] > 0.1 * lines[-1]["language"]
    weights = importlib.import_module("safetensors.torch").load_file(folder / "reader" / "adapter_model.safetensors")
    assert weights
    assert any(bool(value.any()) for name, value in weights.items() if "lora_B" in name)  # they begin as zeros
    tool = load_brick(folder)
    engine, _ = tool.choose(Pool(lambda name: None, {CPU: 300 << 30}))
    before, _, mask = brick_data.pair(5, (75, 50))
    with Pool(lambda name: None, {CPU: 300 << 30}).use(*engine.networks.values()) as (net,):
        out = engine.function(before, mask=mask, net=net, context=Context(seed=1))
        assert not [name for name, _ in net.pipe.text_encoder.named_parameters() if "lora" in name]
    assert (out.pixels == before.pixels)[mask.pixels == 0].all()
    learner = learner_of(made)
    store = Store(tmp_path / "cache", learner.family, "")
    kept = store.batch([store.keep(next(pairs(data)))], [False])
    told = learner.read(kept.pop("look"), ["the ball is blue"])
    importlib.import_module("torch").testing.assert_close(told["text"], kept["text"])  # as at the edit
    random = importlib.import_module("torch").Generator().manual_seed(0)
    learner.loss({**kept, **told}, random).backward()
    grads = [p.grad for name, p in learner.parameters.items() if name.startswith("reader.")]
    norms = [float(grad.norm()) for grad in grads if grad is not None]
    assert sum(norms) > 0  # of the picture's loss alone
