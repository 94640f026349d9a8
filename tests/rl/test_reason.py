"""The stage of reasoning: large models' real classes, at toy size, learn lessons by heart and answer them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lego.tools
from lego.builder import talker, thinking
from lego.builder.frame import seen
from lego.core.errors import RecipeError, RecordError, TrainingError
from lego.core.processors import load_processor
from lego.core.registry import registry
from lego.rl import reason, school, sft
from lego.rl.checkpoint import open_learner
from lego.rl.reasoning import exchanges
from lego.rl.reasoning.lessons import Book
from lego.rl.recipe import Data, Lora, Reason, Recipe
from lego.rl.stage import Progress, metrics_of
from tests.builder.models import build
from tests.rl.reasoning.test_lessons import reflection, thought

KINDS = ("qwen2_5_vl", "qwen3_vl")
LORA = Lora(rank=16, alpha=32, targets=["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    book = Book(tmp_path / "lessons")
    for lesson in (thought(), reflection()):
        book.add(lesson)
    return book.folder


def recipe(model: Path, data: Path, **more: Any) -> Recipe:
    stage = Reason(data=Data(source=str(data)), steps=2, lr=1e-2, batch=4, save_every=1, decay=0.0)
    found = Recipe.load("qwen2.5-vl-7b").smoke()
    changes = {"model": str(model), "precision": "fp32", "lora": LORA, "gradient_checkpointing": False}
    return found.model_copy(update={**changes, "reason": stage.model_copy(update=more)})


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_reads_in_training_what_it_reads_in_use(kind: str, tmp_path: Path) -> None:
    folder = build(kind, tmp_path / kind)
    learner = open_learner(recipe(folder, tmp_path), None, tmp_path, registry)
    processor = load_processor(folder)
    parts = [exchanges.of(thought(), "think"), *(exchanges.of(reflection(), p) for p in ("assess", "conclude"))]
    batch = sft.Collator(learner.processor)([reason.row(part) for part in parts])
    patches = 0
    for number, part in enumerate(parts):
        content = [*({"type": "image"} for _ in part.images), {"type": "text", "text": part.prompt}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        pictures = [seen(image, longest=talker.LONG_SIDE) for image in part.images]
        read = processor(text=[text], images=[pictures], return_tensors="pt")  # as `lego.builder.talker` does
        ids = read["input_ids"][0]
        assert torch.equal(batch["input_ids"][number, : len(ids)], ids)
        said = batch["labels"][number][batch["labels"][number] != -100]
        assert processor.tokenizer.decode(said) == part.answer + processor.tokenizer.eos_token
        own = read["pixel_values"]
        assert torch.equal(batch["pixel_values"][patches : patches + len(own)], own)
        patches += len(own)
    assert len(batch["pixel_values"]) == patches
    assert len(batch["image_grid_thw"]) == 4, "one, one and two pictures"


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_over_rows_of_one_picture_and_of_two_is_the_model_s_own(kind: str, tmp_path: Path) -> None:
    learner = open_learner(recipe(build(kind, tmp_path / kind), tmp_path), None, tmp_path, registry)
    model = learner.model.eval()
    parts = [exchanges.of(reflection(), "describe"), exchanges.of(reflection(), "conclude")]
    batch = sft.Collator(learner.processor)([reason.row(part) for part in parts])
    labels = batch["labels"]
    at = torch.zeros_like(labels, dtype=torch.bool)
    at[:, :-1] = labels[:, 1:] != -100
    with torch.no_grad():
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        ours = torch.nn.functional.cross_entropy(model(**inputs, at=at), labels[:, 1:][at[:, :-1]])
        theirs = model(**batch).loss
    assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(("kind", "lora"), [("qwen2_5_vl", LORA), ("qwen2_5_vl", None), ("qwen3_vl", LORA)])
def test_a_model_learns_a_lesson_by_heart_and_says_it_when_it_is_opened_again(
    kind: str, lora: Lora | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinking, "PROMPT", "{instruction}")  # a toy on a CPU reads long questions slowly
    book = Book(tmp_path / "lessons")
    lesson = thought(answer="warm it")
    book.add(lesson)
    taught = recipe(build(kind, tmp_path / "model"), book.folder, steps=80, batch=2, save_every=80, warmup=0.0)
    taught = taught.model_copy(update={"lora": lora})
    made = school.train(taught, ["reason"], tmp_path / "run", registry)
    losses = [line["loss"] for line in metrics_of(tmp_path / "run" / "reason") if "loss" in line]
    assert losses[-1] < losses[0] - 1
    assert made == tmp_path / "run" / "reason" / "model"
    asked = exchanges.of(lesson, "think")
    assert talker.open(str(made)).say(asked.prompt, asked.images, tokens=12) == lesson.answer


def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(data: Path, tmp_path: Path) -> None:
    from tests.rl.test_train import weights

    made = recipe(build("qwen2_5_vl", tmp_path / "model"), data, steps=4, batch=1)

    def kill(at: Progress) -> None:
        if at.step == 3:
            raise KeyboardInterrupt

    whole = school.train(made, ["reason"], tmp_path / "whole", registry)
    with pytest.raises(KeyboardInterrupt):
        school.train(made, ["reason"], tmp_path / "killed", registry, listen=kill)
    steps: list[int] = []
    resumed = school.train(
        made, ["reason"], tmp_path / "killed", registry, resume=True, listen=lambda at: steps.append(at.step)
    )
    assert steps == [3, 4]
    first, second = weights(whole), weights(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_next_stage_begins_with_what_reasoning_gave(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lego.rl import checkpoint
    from tests.rl.test_train import examples

    begun: list[Path | None] = []
    opened = checkpoint.open_learner

    def watched(made: Recipe, start: Path | None, *more: Any) -> Any:
        begun.append(start)
        return opened(made, start, *more)

    monkeypatch.setattr(checkpoint, "open_learner", watched)
    made = recipe(build("qwen3_vl", tmp_path / "model"), data, steps=1, batch=1)
    plans = {"data": Data(source=str(examples(tmp_path / "plans", 2))), "steps": 1, "batch": 1, "exam_every": 0}
    made = made.model_copy(update={"sft": made.sft.model_copy(update=plans)})
    last = school.train(made, ["sft", "reason"], tmp_path / "run", registry)
    assert begun == [None, tmp_path / "run" / "reason" / "model"]
    assert last == tmp_path / "run" / "sft" / "model"


def test_all_leaves_reasoning_out() -> None:
    assert school.stages_of("reason") == ("reason",)
    assert school.stages_of("all") == school.STAGES
    assert "reason" not in school.STAGES


def test_what_cannot_reason_is_told_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no stage 'reason'") as caught:
        school.train(Recipe.load("nano"), ["reason"], tmp_path / "run", registry)
    assert "qwen2.5-vl-7b" in caught.value.hint
    with pytest.raises(TrainingError, match="no free text"):
        school.train(recipe(Path("lego/builder/nano"), data), ["reason"], tmp_path / "run2", registry)
    toy = build("qwen2_5_vl", tmp_path / "model")
    with pytest.raises(RecordError, match="cannot read"):
        school.train(recipe(toy, tmp_path / "nothing"), ["reason"], tmp_path / "run3", registry)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace('data = { source = "lessons" }\n', "", 1), "'reason.data': Field required"),
        (lambda text: text.replace('{ source = "lessons" }', "{ seed = 1 }", 1), "folder of the lessons"),
        (lambda text: text.replace('source = "lessons" }', 'source = "lessons" }\nexam_every = 5', 1), "exam_every"),
        (lambda text: text.replace('model = "Qwen/Qwen2.5-VL-7B-Instruct"', 'model = "nano"'), "writes plans alone"),
    ],
)
def test_mistakes_in_the_section_are_told(change: Callable[[str], str], told: str, tmp_path: Path) -> None:
    from lego.rl.recipe import FOLDER

    text = (FOLDER / "qwen2.5-vl-7b.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(change(text), encoding="utf-8")
    with pytest.raises(RecipeError, match=told):
        Recipe.load(tmp_path / "mine.toml")


def test_every_recipe_of_a_model_that_talks_can_reason() -> None:
    from lego.rl import recipe as recipes

    for name in recipes.names():
        assert (Recipe.load(name).reason is None) == (Recipe.load(name).model in ("nano", "shipped"))
