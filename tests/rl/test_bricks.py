"""Bricks learn from pairs, whatever the family, are kept, and come back as tools that plain words call."""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import brick as bench
from lego.core.brick_card import FILE, BrickCard
from lego.core.errors import RecipeError, RecordError, SettingsError, ToolDefinitionError, TrainingError
from lego.core.ledger import alone
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.signature import Context
from lego.core.values import Image
from lego.editor import Editor, brick_painter
from lego.executor.contract import check
from lego.rl import records
from lego.rl.bricks import families, optimizing, result, training
from lego.rl.bricks.joint import JointLearner
from lego.rl.bricks.learner import Learner
from lego.rl.bricks.opening import open_family
from lego.rl.bricks.pairs import Pair, pairs
from lego.rl.bricks.recipe import FOLDER, BrickRecipe
from lego.rl.bricks.store import Store
from lego.rl.recipe import names
from lego.rl.stage import Progress, metrics_of
from lego.tools import load_brick
from tests.rl import brick_data
from tests.rl.reasoning.test_lessons import reflection, thought
from tests.tools.neural import toys

NEEDS_MASK = {**brick_data.CARD, "mask_needed": True}
CHANNELS = {"conditioning": "channels", "card": NEEDS_MASK}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {  # toy, family, what else the recipe says
    "sd-inpaint": ("sd-inpaint", "sd-inpaint", CHANNELS),
    "sd-inpaint diptych": ("sd-inpaint", "sd-inpaint", {"conditioning": "diptych"}),
    "sdxl-inpaint": ("sdxl-inpaint", "sdxl-inpaint", CHANNELS),
    "instruct-pix2pix": ("instruct-pix2pix", "instruct-pix2pix", {}),
    "sd3 diptych": ("sd3", "sd3", {}),
    "sd3 of text to image": ("sd3-text", "sd3", {}),
    "sd3 channels": ("sd3-channels", "sd3", CHANNELS),
    "flux-fill diptych": ("flux-fill", "flux-fill", {}),
    "flux-fill channels": ("flux-fill", "flux-fill", CHANNELS),
    "flux-kontext": ("flux-kontext", "flux-kontext", {}),
    "qwen-image-edit": ("qwen-image-edit", "qwen-image-edit", {}),
    "qwen-image-edit one": ("qwen-image-edit-one", "qwen-image-edit", {}),
}
UNGUIDED = {"qwen-image-edit": {"true_cfg_scale": 1.0}, "instruct-pix2pix": {"guidance_scale": 1.0}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in dict.fromkeys(toy for toy, _, _ in CASES.values()):
        toys.save(name, folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pair, with its mask."""
    return brick_data.write(tmp_path_factory.mktemp("pairs"), 1, masks=True)


@pytest.fixture(scope="module")
def brick(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A brick of a toy that learned little."""
    folder = tmp_path_factory.mktemp("brick")
    made = brick_data.recipe(models / "instruct-pix2pix", "instruct-pix2pix", steps=1)
    return training.train(made, brick_data.write(folder / "pairs", 2), folder / "run")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    brick_data.look_small(monkeypatch.setattr)


def opened(name: str, models: Path, **more: Any) -> Learner:
    toy, family, given = CASES[name]
    return Learner(open_family(brick_data.recipe(models / toy, family, **{**given, **more}))[0])


def loss(learner: Learner, kept: families.Kept) -> float:
    """The loss with noise that is always the same."""
    import torch

    with torch.inference_mode():
        return float(np.mean([float(learner.loss(kept, torch.Generator().manual_seed(n))) for n in range(8)]))


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.usefixtures("forgetful")
def test_each_family_learns_one_pair_and_comes_back_as_a_tool(
    name: str, models: Path, data: Path, tmp_path: Path
) -> None:
    toy, family, given = CASES[name]
    made = brick_data.recipe(models / toy, family, **{**given, "steps": 12, "lr": 5e-3, "look_every": 12})
    kept: list[Learner] = []
    real = Learner.loss

    def watch(self: Learner, batch: families.Kept, random: Any) -> Any:
        kept.append(self)
        return real(self, batch, random)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "loss", watch)
        folder = training.train(made, data, tmp_path / "run")
    lines = metrics_of(tmp_path / "run")
    assert len(lines) == 12
    assert all(np.isfinite(line["loss"]) for line in lines)
    learner = kept[-1]
    store = Store(tmp_path / "run" / "cache", learner.family, "again")
    batch = store.batch([store.keep(next(pairs(data)))], [False])
    assert loss(learner, batch) < loss(opened(name, models), batch)
    assert (tmp_path / "run" / "looks" / "step-000012.jpg").stat().st_size > 1000

    tool = load_brick(folder)
    pool = Pool(lambda name: None, {CPU: 300 << 30})
    engine, _ = tool.choose(pool)
    before, _, mask = brick_data.pair(5, (75, 50))
    with pool.use(*engine.networks.values()) as (net,):
        out = engine.function(before, mask=mask, net=net, context=Context(seed=1))
        mine = brick_painter(learner.family.pipe, BrickCard.read(folder))
        same, _ = mine.paint(before.pixels, mask.pixels > 0, brick_data.CARD["prompt"], Context(seed=1))
    assert out.size == before.size
    assert (out.pixels == before.pixels)[mask.pixels == 0].all()
    assert (out.pixels != before.pixels)[mask.pixels > 0].mean() > 0.5
    off = np.abs(out.pixels.astype(int) - same)[mask.pixels == 255]
    assert off.max() <= 2  # merged into the weights it rounds otherwise than beside them


@pytest.mark.parametrize("name", list(CASES))
def test_what_is_learned_from_is_what_the_pipeline_shows_the_network(
    name: str, models: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    vae = importlib.import_module("diffusers.models.autoencoders.vae").DiagonalGaussianDistribution
    monkeypatch.setattr(vae, "sample", lambda self, generator=None: self.mode())
    learner = opened(name, models, lora=None)
    family, pair = learner.family, next(pairs(data))
    seen: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = []
    hook = family.net.register_forward_hook(
        lambda net, args, kwargs, out: seen.append((args, kwargs, out[0])), with_kwargs=True
    )
    card = result.card(learner, "", result.UNKNOWN, {})
    unguided = UNGUIDED.get(family.recipe.family, {} if "flux" in name else {"guidance_scale": 1.0})
    painter = brick_painter(family.pipe, card.model_copy(update={"given": unguided}))
    assert pair.mask
    painter.paint(pair.before.pixels, pair.mask.pixels > 0, card.prompt, Context(seed=3))
    hook.remove()
    args, kwargs, said = seen[0]
    with torch.inference_mode():
        store = Store(tmp_path, family, "")
        kept = store.batch([store.keep(pair)], [False])
        clean = kept["clean"]
        given = args[0] if args else kwargs["hidden_states"]
        if given.ndim == 3:  # tokens
            rows, columns = clean.shape[-2] // 2, clean.shape[-1] // 2
            noisy = families.unpacked(given[:, : rows * columns, : 4 * clean.shape[1]], rows, columns)
        else:
            noisy = given[:, : clean.shape[1]]
        time = args[1] if args else kwargs["timestep"]
        ours = family.predict(noisy, time / 1000 if "sd3" in name else time.expand(1), kept)
    if said.ndim == 3:
        said = families.unpacked(said[:, : rows * columns], rows, columns)
    torch.testing.assert_close(ours, said, atol=1e-4, rtol=1e-3)


def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(models: Path, tmp_path: Path) -> None:
    folder = brick_data.write(tmp_path / "pairs", 3)
    made = brick_data.recipe(
        models / "instruct-pix2pix", "instruct-pix2pix", steps=5, batch=2, save_every=2, drop=0.3,
        lora={"rank": 2, "dropout": 0.2},
    )  # fmt: skip
    brick_data.train_until_killed(made, folder, tmp_path / "killed")
    assert not (tmp_path / "killed" / "brick").exists()
    with pytest.raises(TrainingError, match="begun here before"):
        training.train(made, folder, tmp_path / "killed")
    with pytest.raises(TrainingError, match="begun otherwise"):
        training.train(made.scaled(2), folder, tmp_path / "killed", resume=True)
    with alone(tmp_path / "killed" / "metrics.jsonl"), pytest.raises(TrainingError, match="another process"):
        training.train(made, folder, tmp_path / "killed", resume=True)
    steps: list[int] = []

    def count(at: Progress) -> None:
        steps.extend([at.step] if at.stage == "brick" else [])

    killed = training.train(made, folder, tmp_path / "killed", resume=True, listen=count)
    whole = training.train(made, folder, tmp_path / "whole")
    assert steps == [3, 4, 5]
    assert BrickCard.read(killed).digest == BrickCard.read(whole).digest
    told = [[line["loss"] for line in metrics_of(tmp_path / name)] for name in ("killed", "whole")]
    assert told[0] == told[1]
    assert len(told[0]) == 5
    assert training.train(made, folder, tmp_path / "whole", resume=True) == whole
    assert [path.name for path in training.checkpoints(tmp_path / "whole")] == ["checkpoint-4", "checkpoint-5"]


def test_a_small_network_may_learn_as_a_whole_with_checkpointed_gradients(models: Path, tmp_path: Path) -> None:
    folder = brick_data.write(tmp_path / "pairs", 3)
    made = brick_data.recipe(
        models / "sd-inpaint", "sd-inpaint", conditioning="diptych", lora=None, hold=1, look_every=2, steps=2,
        gradient_checkpointing=True, schedule="cosine", warmup=0.5, accumulate=2, noise="middle",
    )  # fmt: skip
    out = training.train(made, folder, tmp_path / "run")
    assert (out / "model" / "model_index.json").exists()
    assert {"loss", "held", "norm", "lr"} <= set(metrics_of(tmp_path / "run")[-1])
    card = BrickCard.read(out)
    assert card.base == ""
    assert card.trained["pairs"] == 3


@pytest.mark.usefixtures("forgetful")
def test_a_model_of_text_to_image_comes_out_as_one_that_edits(models: Path, data: Path, tmp_path: Path) -> None:
    """The hub has Stable Diffusion 3 only so; as a whole network it is saved under the class that paints into masks."""
    assert (
        json.loads((models / "sd3-text" / "model_index.json").read_text())["_class_name"] == "StableDiffusion3Pipeline"
    )
    out = training.train(brick_data.recipe(models / "sd3-text", "sd3", lora=None, steps=1), data, tmp_path / "run")
    index = json.loads((out / "model" / "model_index.json").read_text())
    assert index["_class_name"] == BrickCard.read(out).pipeline == "StableDiffusion3InpaintPipeline"
    tool, (before, _, mask) = load_brick(out), brick_data.pair(5, (75, 50))
    engine, _ = tool.choose(pool := Pool(lambda name: None, {CPU: 300 << 30}))
    with pool.use(*engine.networks.values()) as (net,):
        made = engine.function(before, mask=mask, net=net, context=Context(seed=1))
    assert (made.pixels == before.pixels)[mask.pixels == 0].all()
    with pytest.raises(RecipeError, match="the model is a StableDiffusion3Pipeline, ") as caught:
        open_family(brick_data.recipe(models / "sd3-text", "flux-fill"))
    assert caught.value.hint == "its family is sd3"


def test_eight_bits_are_taken_where_they_work_and_go_on_after_a_stop(
    models: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"lora": None, "steps": 4, "save_every": 2}  # bitsandbytes keeps 32 bits for small weights, as adapters' are
    made = brick_data.recipe(models / "instruct-pix2pix", "instruct-pix2pix", optimizer="adamw8bit", **more)
    with monkeypatch.context() as patch:
        patch.setattr(optimizing, "find_spec", lambda name: None)
        with pytest.raises(SettingsError, match="needs bitsandbytes") as caught:
            training.train(made, data, tmp_path / "none")
        assert "pip install bitsandbytes" in caught.value.hint
    pytest.importorskip("bitsandbytes")
    first = training.train(made, data, tmp_path / "whole")
    state = torch_of(tmp_path / "whole" / "checkpoint-4" / "optimizer.pt")["state"]
    kinds = {str(v.dtype) for found in state.values() for part in found.values() for v in _tensors(part)}
    assert "torch.uint8" in kinds
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for name in ("brick", "checkpoint-4"):
        shutil.rmtree(tmp_path / "cut" / name)
    again = training.train(made, data, tmp_path / "cut", resume=True)
    assert BrickCard.read(first).digest == BrickCard.read(again).digest  # of all files, tokenizers' too
    plain = made.model_copy(update={"optimizer": "auto"})  # on a processor it is the exact one
    learner = training.train(plain, data, tmp_path / "plain")
    assert BrickCard.read(learner).digest != BrickCard.read(first).digest


def torch_of(path: Path) -> Any:
    return importlib.import_module("torch").load(path, weights_only=True)


def _tensors(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else [value]
    return [one for one in values if hasattr(one, "dtype")]


def test_the_other_predictions_of_schedulers_are_learned_too(models: Path, data: Path, tmp_path: Path) -> None:
    import torch

    learner = opened("instruct-pix2pix", models)
    store = Store(tmp_path, learner.family, "")
    kept = store.batch([store.keep(next(pairs(data)))], [False])
    assert learner.scheduler
    found = {}
    for kind in ("epsilon", "v_prediction", "sample"):
        learner.scheduler.register_to_config(prediction_type=kind)
        found[kind] = float(learner.loss(kept, torch.Generator().manual_seed(0)).detach())
    assert len(set(found.values())) == 3
    learner.family.pipe.scheduler.register_to_config(prediction_type="flow")
    with pytest.raises(RecipeError, match="predicts 'flow'"):
        Learner(learner.family)


def test_pictures_of_other_shapes_share_no_pass_and_words_are_dropped_as_often_as_asked(
    models: Path, tmp_path: Path
) -> None:
    learner = opened("flux-kontext", models)
    store = Store(tmp_path, learner.family, "")
    found = []
    for seed, size in ((0, (64, 64)), (1, (96, 64)), (2, (64, 64))):
        before, after, _ = brick_data.pair(seed, size)
        found.append(store.keep(Pair(before, after, "blue")))
    assert [len(group) for group in training.alike(found)] == [2, 1]
    batch = store.batch([found[0], found[2]], [True, False])
    assert batch["clean"].shape[0] == 2
    assert not bool((batch["text"][0] == batch["text"][1]).all())


def test_data_sets_of_records_are_read_too(tmp_path: Path) -> None:
    before, after, mask = brick_data.pair(0)
    rows = [records.Record(before, "blue", target=after, mask=mask), records.Record(before, "no target")]
    records.write(tmp_path, rows)
    found = list(pairs(tmp_path))
    assert [(p.words, p.after.digest, p.mask and p.mask.digest) for p in found] == [("blue", after.digest, mask.digest)]


def test_broken_pairs_are_told_with_their_place(tmp_path: Path) -> None:
    brick_data.write(tmp_path, 1)
    line = tmp_path / "pairs.jsonl"
    good = json.loads(line.read_text())

    def fails(why: str, **changes: str) -> None:
        line.write_text(json.dumps(good | changes) + "\n")
        with pytest.raises(RecordError, match=why) as caught:
            list(pairs(tmp_path))
        assert "line 1" in caught.value.where

    Image(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "small.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "0-a.png").read_bytes()[:300])
    fails("'after' is 9 x 8, the picture before is 64 x 64", after="small.png")
    fails("none.png", before="none.png")
    fails("cut.png", before="cut.png")
    fails("leads out", before="../x.png")
    fails("words", words="")
    fails("whatever", whatever="x")
    line.write_text("")
    with pytest.raises(RecordError, match="no pairs"):
        list(pairs(tmp_path))
    with pytest.raises(RecordError, match="cannot read"):
        list(pairs(tmp_path / "nowhere"))


def test_models_that_do_not_fit_are_told(models: Path, data: Path, tmp_path: Path) -> None:
    toys.sd("StableDiffusionImg2ImgPipeline", 4).save_pretrained(tmp_path / "other")
    with pytest.raises(RecipeError, match="the model is a StableDiffusionImg2ImgPipeline"):
        open_family(brick_data.recipe(tmp_path / "other", "sd3"))
    with pytest.raises(RecipeError, match="FluxKontextPipeline") as caught:
        open_family(brick_data.recipe(models / "flux-kontext", "flux-fill"))
    assert "its family is flux-kontext" in caught.value.hint
    with pytest.raises(SettingsError, match="cannot be opened"):
        open_family(brick_data.recipe(tmp_path / "nothing", "sd3"))
    with pytest.raises(RecipeError, match="no layer of the model ends in nothing"):
        opened("sd3 diptych", models, lora={"targets": ["nothing"]})
    with pytest.raises(TrainingError, match="1 of 1 pairs are held back"):
        training.train(brick_data.recipe(models / "sd3", "sd3", hold=1), data, tmp_path / "run")


def test_what_is_no_number_and_a_full_disk_stop_the_run_and_keep_the_checkpoint(
    models: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = brick_data.recipe(models / "instruct-pix2pix", "instruct-pix2pix", save_every=1)
    real, count = Learner.loss, iter(range(100))

    def broken(self: Learner, kept: families.Kept, random: Any) -> Any:
        return real(self, kept, random) * (float("nan") if next(count) == 1 else 1)

    monkeypatch.setattr(Learner, "loss", broken)
    with pytest.raises(TrainingError, match="the loss is no number at step 2") as caught:
        training.train(made, data, tmp_path / "run")
    assert "line 1" in caught.value.where
    assert caught.value.code == "not_a_number"
    monkeypatch.setattr(Learner, "loss", real)
    torch = importlib.import_module("torch")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", partial(_raise, full))
        with pytest.raises(TrainingError, match="No space left") as caught:
            training.train(made, data, tmp_path / "run", resume=True)
    assert caught.value.code == "cannot_write"
    assert [path.name for path in training.checkpoints(tmp_path / "run")] == ["checkpoint-1"]
    assert not list((tmp_path / "run").glob("part-*"))
    training.train(made, data, tmp_path / "run", resume=True)


def _raise(error: Exception, *args: Any, **more: Any) -> None:
    raise error


def test_recipes_that_ship_are_whole_and_wrong_ones_are_told(tmp_path: Path, models: Path) -> None:
    for name in names(FOLDER):
        BrickRecipe.load(name)
    page = (Path(__file__).parents[2] / "docs" / "train-a-brick.md").read_text(encoding="utf-8")
    BrickRecipe.model_validate(tomllib.loads(page.partition("```toml\n")[2].partition("```")[0]))
    good = brick_data.recipe(models, "sd3").model_dump()

    def fails(why: str, **changes: Any) -> None:
        with pytest.raises(ValueError, match=why):
            BrickRecipe.model_validate(good | changes)

    fails("flux-kontext takes sequence, not diptych", family="flux-kontext", conditioning="diptych")
    fails("mask_needed must be true", family="sd-inpaint")
    fails("instruct-pix2pix's alone", image_guidance=1.5)
    fails("the slots", card={**brick_data.CARD, "prompt": "make it {color}"})
    fails("cannot be called 'mask'", card={**brick_data.CARD, "prompt": "{mask}", "slots": {"mask": "x"}})
    fails("cannot be needed", card={**brick_data.CARD, "mask": "none", "mask_needed": True})
    path = tmp_path / "r.toml"
    path.write_text('name = "x"\nfamly = "sd3"\n')
    with pytest.raises(RecipeError, match="there is no key 'famly'") as caught:
        BrickRecipe.load(path)
    assert "did you mean 'family'?" in caught.value.hint
    with pytest.raises(RecipeError, match="there is no recipe 'nothing'"):
        BrickRecipe.load("nothing")


@pytest.mark.usefixtures("forgetful")
def test_plain_words_call_a_brick_through_its_card(brick: Path) -> None:
    tool = load_brick(brick)
    assert load_brick(brick).name == tool.name  # again: it replaces itself
    before, _, mask = brick_data.pair(7, (70, 60))
    editor = Editor(builder="rules")
    done = editor.edit(before, "dip the ball in blue", seed=1)
    assert [step.tool for step in done.workflow.steps] == ["dip_in_blue"]
    assert done.image.size == before.size
    assert (done.image.pixels != before.pixels).mean() > 0.5
    masked = editor.edit(before, "dip the ball in blue", mask=mask, seed=1)
    assert (masked.image.pixels == before.pixels)[mask.pixels == 0].all()
    assert check(tool, editor.pool) == []
    assert [row[0] for row in editor.pool.rows()] == [str(BrickCard.read(brick).base)]


@pytest.mark.usefixtures("forgetful")
def test_slots_of_the_prompt_become_parameters_and_the_thing_becomes_the_mask(
    brick: Path, tmp_path: Path, photos: Path
) -> None:
    card = json.loads((brick / FILE).read_text())
    changed = {
        "name": "drench",
        "prompt": "make it {color} {}",
        "slots": {"color": "of the paint"},
        "phrases": {"drench in {color}": {}},
    }
    _copied(brick, tmp_path, card | changed)
    tool = load_brick(tmp_path)
    assert [(p.name, p.kind, p.required) for p in tool.params] == [
        ("image", "image", True), ("color", "string", True), ("mask", "mask", False)
    ]  # fmt: skip
    assert BrickCard.read(tmp_path).told({"color": "{red}"}) == "make it {red} {}"
    before, _, _ = brick_data.pair(7)
    plan = Editor(builder="rules").plan(before, "drench in green")
    assert plan.workflow.steps[0].args["color"] == "green"
    thing = {"name": "drench", "mask": "thing", "mask_needed": True, "phrases": {"drench {target}": {}}}
    _copied(brick, tmp_path, card | thing)
    load_brick(tmp_path)
    steps = Editor(builder="rules").plan(photos / "coffee.png", "drench the red cup").workflow.steps
    assert [step.tool for step in steps] == ["segment", "drench"]
    assert steps[1].args["mask"] == "$s1"


@pytest.mark.usefixtures("forgetful")
def test_folders_that_hold_no_brick_are_told(brick: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolDefinitionError, match="cannot read"):
        load_brick(tmp_path)
    card = json.loads((brick / FILE).read_text())
    for changes, why in (
        ({"whatever": 1}, "whatever"), ({"pipeline": "Other"}, "how to ask a Other"),
        ({"base": ""}, "'model' is missing"), ({"name": "segment"}, "the name is taken"),
    ):  # fmt: skip
        _copied(brick, tmp_path, card | changes)
        with pytest.raises(ToolDefinitionError, match=why):
            load_brick(tmp_path)
    _copied(brick, tmp_path, card | {"name": "lonely", "base": "flux-kontext"})
    tool = load_brick(tmp_path)  # its base is not here: it is known, and not offered
    assert not tool.runs(Pool(lambda name: None, {CPU: 1 << 40}))
    assert tool.runs(Pool(lambda name: tmp_path, {CPU: 1 << 40}))


def _copied(brick: Path, folder: Path, card: dict[str, Any]) -> None:
    (folder / "adapter.safetensors").write_bytes((brick / "adapter.safetensors").read_bytes())
    (folder / FILE).write_text(json.dumps(card))


@pytest.mark.slow
@pytest.mark.usefixtures("forgetful")
def test_an_edit_is_learned_from_scratch_on_scenes_that_training_never_saw(tmp_path: Path) -> None:
    """The short form of benchmarks/brick.py: the way is the same, and it stops long before the pictures are good."""
    known = bench.pairs(96)
    vae = bench.autoencoder([image for before, after, _ in known for image in (before, after)], 25, width=8)
    model = bench.editor(vae, tmp_path / "start", width=16)
    records.write(tmp_path / "data", [records.Record(before, bench.WORDS, target=after) for before, after, _ in known])
    made = bench.recipe(model, 60).model_copy(update={"hold": 16, "look_every": 20, "looks": 1, "lr": 2e-3})
    folder = training.train(made, tmp_path / "data", tmp_path / "run")
    held = [line["held"] for line in metrics_of(tmp_path / "run") if line["step"] in (20, 60)]
    assert held[1] < held[0] < 1  # what says nothing is off by 1
    found = bench.measure(load_brick(folder), bench.pairs(2, bench.HELD))
    assert found["masked_out"] == 0
    assert BrickCard.read(folder).base == ""
