"""`lego train`: whole runs through all stages, with real steps of the optimizer, on pictures."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import lego
import lego.tools
from lego.cli import app
from lego.core.errors import PlanError, RecipeError, RecordError, SettingsError, TrainingError
from lego.core.registry import registry
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.rl import records, scenes, school
from lego.rl.recipe import Data, Lora, Recipe
from lego.rl.stage import Progress
from tests.builder.models import build

TOOLS = ("exposure", "flip", "segment", "remove", "blur")


def examples(folder: Path, count: int = 6) -> Path:
    """A data set of few tools: prompts of these fit a toy."""
    found = []
    for seed in range(count):
        image = scenes.render(scenes.make(seed), (56, 56)).image
        steps = [{"id": "s1", "tool": "exposure", "args": {"image": "$image", "exposure": 0.5 * (seed % 3 + 1)}}]
        flow = Workflow.load({"version": 1, "steps": steps, "result": "$s1"})
        target = lego.run(flow, image).image
        found.append(records.Record(image, f"brighten it {seed}", tools=TOOLS, workflow=flow, target=target))
    records.write(folder, found)
    return folder


def small(model: Path | str, data: Path, **more: Any) -> Recipe:
    """A recipe of two steps a stage on a data set."""
    recipe = Recipe.load("nano").smoke()
    source = Data(source=str(data))
    stages = {name: part.model_copy(update={"data": source, "steps": 2}) for name, part in recipe.stages.items()}
    stages["sft"] = stages["sft"].model_copy(update={"batch": 2})
    exam = recipe.evaluation.model_copy(update={"data": source, "count": 2})
    return recipe.model_copy(update={"model": str(model), "evaluation": exam, **stages, **more})


def beginner(micro: Path) -> Recipe:
    """The recipe of a smoke run whose model is there already."""
    return Recipe.load("nano").smoke().model_copy(update={"model": str(micro)})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a model."""
    return load_file(folder / "model.safetensors")


def test_smoke_goes_through_all_stages_and_the_model_plans(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = CliRunner().invoke(app, ["train", "all", "--smoke", "--out", str(run)])
    assert done.exit_code == 0, done.output
    assert f"wrote {run / 'grpo_free' / 'model'}" in done.output.replace("\n", "")
    for name in school.STAGES:
        lines = [json.loads(line) for line in (run / name / "metrics.jsonl").read_text().splitlines()]
        assert any("loss" in line for line in lines)
        assert any("accuracy" in line for line in lines)
        assert (run / name / "curves.png").read_bytes().startswith(b"\x89PNG")
        assert list((run / name / "runs").rglob("events*")), "TensorBoard has nothing to show"
    first, last = weights(run / "start"), weights(run / "sft" / "checkpoint-3")
    assert any(not torch.equal(first[name], last[name]) for name in first)
    editor = lego.Editor(str(run / "grpo_free" / "model"))
    # under the grammar even a model that knows nothing writes plans that hold
    request = lego.builder.base.Request(Image.open("docs/photos/chelsea.png"), "brighten it", tuple(editor.registry))
    with contextlib.suppress(PlanError):  # it may decline
        assert not editor.builder.plan(request).workflow.check(editor.registry)
    done = CliRunner().invoke(app, ["train", "export", "--out", str(run)])
    assert done.exit_code == 0, done.output
    assert (run / "grpo_free" / "model" / "text.onnx").exists()
    with contextlib.suppress(PlanError):
        assert not lego.builder.open(str(run / "grpo_free" / "model")).plan(request).workflow.check(editor.registry)


def test_exporting_what_is_not_there_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no trained model here") as caught:
        school.export(tmp_path)
    assert "--out" in caught.value.hint


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl"])
def test_models_of_the_large_recipes_go_through_all_stages_at_toy_size(kind: str, tmp_path: Path) -> None:
    data, model = examples(tmp_path / "data"), build(kind, tmp_path / "model")
    adapters = Lora(rank=4, alpha=8, targets=["q_proj", "v_proj"]) if kind == "qwen2_5_vl" else None
    recipe = small(model, data, precision="fp32", lora=adapters)
    told: list[Progress] = []
    made = school.train(recipe, school.STAGES, tmp_path / "run", registry, listen=told.append)
    assert [(at.stage, at.step) for at in told] == [(name, step) for name in school.STAGES for step in (1, 2)]
    assert all(torch.isfinite(torch.tensor(at.metrics.get("loss", 0.0))) for at in told)
    source = next(records.read(data))
    request = lego.builder.base.Request(source.image, source.instruction, tuple(registry[name] for name in TOOLS))
    with contextlib.suppress(PlanError):  # it may decline, or never come to an end
        assert not lego.builder.open(str(made)).plan(request).workflow.check(registry)


@pytest.mark.parametrize(("stage", "lora"), [("sft", None), ("grpo_gt", None), ("sft", Lora(rank=4))])
def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    stage: str, lora: Lora | None, micro: Path, tmp_path: Path
) -> None:
    recipe = beginner(micro)
    part = recipe.stages[stage].model_copy(update={"steps": 4, "exam_every": 0, "execute": False})
    recipe = recipe.model_copy(update={stage: part, "lora": lora})

    def kill(at: Progress) -> None:
        if at.step == 3:  # a step after the last checkpoint but one: its work is done again
            raise KeyboardInterrupt

    whole = school.train(recipe, [stage], tmp_path / "whole", registry)
    with pytest.raises(KeyboardInterrupt):
        school.train(recipe, [stage], tmp_path / "killed", registry, listen=kill)
    with pytest.raises(TrainingError, match="begun here before") as caught:
        school.train(recipe, [stage], tmp_path / "killed", registry)
    assert "--resume" in caught.value.hint
    steps: list[int] = []
    resumed = school.train(
        recipe, [stage], tmp_path / "killed", registry, resume=True, listen=lambda at: steps.append(at.step)
    )
    assert steps == [3, 4]
    first, second = weights(whole), weights(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)
    lines = [json.loads(line) for line in (tmp_path / "killed" / stage / "metrics.jsonl").read_text().splitlines()]
    logged = [line["step"] for line in lines if "grad_norm" in line]
    assert logged == sorted(set(logged)), "a step that was done twice is told once"


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """Let the system refuse larger files, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)


def test_a_full_disk_leaves_the_last_checkpoint_whole_and_the_run_can_go_on(micro: Path, tmp_path: Path) -> None:
    recipe = beginner(micro)
    recipe = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"exam_every": 0})})
    room = little_room(100_000)

    def fill(at: Progress) -> None:
        if at.step == 2:
            room.__enter__()

    try:
        with pytest.raises(TrainingError, match="checkpoint cannot be written") as caught:
            school.train(recipe, ["sft"], tmp_path, registry, listen=fill)
    finally:
        room.__exit__(None, None, None)
    assert caught.value.code == "cannot_write"
    assert "--resume" in caught.value.hint
    assert [path.name for path in (tmp_path / "sft").glob("checkpoint-*")] == ["checkpoint-1"]
    school.train(recipe, ["sft"], tmp_path, registry, resume=True)
    assert (tmp_path / "sft" / "model" / "model.safetensors").exists()


def test_a_run_is_not_gone_on_with_under_another_recipe(micro: Path, tmp_path: Path) -> None:
    recipe = beginner(micro)
    short = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"steps": 1, "exam_every": 0})})
    school.train(short, ["sft"], tmp_path, registry)
    with pytest.raises(TrainingError, match="another recipe"):
        school.train(recipe, ["sft"], tmp_path, registry, resume=True)


def test_mistakes_are_told_before_anything_is_trained(micro: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no stage 'dpo'"):
        school.stages_of("dpo")
    with pytest.raises(RecipeError, match="no recipe 'nanoo'"):
        Recipe.load("nanoo")
    recipe = small(micro, tmp_path / "nothing")
    with pytest.raises(RecordError, match="cannot read"):
        school.train(recipe, ["sft"], tmp_path / "run", registry)
    lost = replace(next(records.read(examples(tmp_path / "data", 1))), tools=("no_such_tool",))
    records.write(tmp_path / "lost", [lost])
    with pytest.raises(RecordError, match="no_such_tool"):
        school.train(small(micro, tmp_path / "lost"), ["sft"], tmp_path / "run2", registry)
    with pytest.raises(SettingsError, match="cannot open the model"):
        school.train(small(tmp_path / "no-model", tmp_path / "data"), ["sft"], tmp_path / "run3", registry)
