"""Imitation: the batches and the loss."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

import pytest
import torch

import lego.tools
from lego.builder.spelling import TOKEN
from lego.core.processors import load_processor
from lego.core.registry import registry
from lego.core.values import Image
from lego.rl import sft, supply
from lego.rl.checkpoint import open_learner
from lego.rl.head import add_head
from lego.rl.recipe import Data, Recipe
from lego.rl.stage import Watch
from tests.builder.models import build


def rows(small: Image, answers: list[str]) -> list[dict[str, object]]:
    user = [{"role": "user", "content": "brighten the picture by a lot"}, {"role": "user", "content": "do"}]
    return [
        {"prompt": [user[n % 2]], "completion": [{"role": "assistant", "content": text}], "images": [small.pil()]}
        for n, text in enumerate(answers)
    ]


@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl", "qwen3_vl"])
def test_the_loss_is_the_model_s_own_over_the_answers(kind: str, tmp_path: Path, small: Image) -> None:
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(build(kind, tmp_path)).eval()
    processor = load_processor(tmp_path)
    add_head(model)
    batch = sft.Collator(processor)(rows(small, ["a longer answer than the other", "b"]))
    labels = batch["labels"]
    assert labels.shape[1] % sft.SHAPE == 0
    answer = processor.tokenizer.decode(labels[1][labels[1] != -100])
    assert answer == "b" + processor.tokenizer.eos_token
    at = torch.zeros_like(labels, dtype=torch.bool)
    at[:, :-1] = labels[:, 1:] != -100
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with torch.no_grad():
        logits = model(**inputs, at=at)
        ours = torch.nn.functional.cross_entropy(logits, labels[:, 1:][at[:, :-1]])
        mask = (torch.arange(labels.shape[1]) <= (labels != -100).long().cumsum(1).argmax(1)[:, None]).long()
        theirs = model(**{**inputs, "attention_mask": mask}, labels=labels).loss
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_rows_do_not_see_each_other_s_padding(tmp_path: Path, small: Image) -> None:
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(build("llava", tmp_path)).eval()
    processor = load_processor(tmp_path)
    add_head(model)
    collator = sft.Collator(processor)
    pair = collator(rows(small, ["a much longer answer, and then some more of it", "b"]))
    lone = collator(rows(small, ["", "b"])[1:])

    def score(batch: dict[str, torch.Tensor], row: int) -> torch.Tensor:
        at = torch.zeros_like(batch["labels"], dtype=torch.bool)
        at[row, :-1] = batch["labels"][row, 1:] != -100
        with torch.no_grad():
            return model(**{k: v for k, v in batch.items() if k != "labels"}, at=at)

    assert torch.allclose(score(pair, 1), score(lone, 0), atol=1e-4)


def test_a_model_learns_a_few_examples_by_heart(micro: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("nano").smoke()
    stage = recipe.sft.model_copy(update={"steps": 80, "lr": 3e-3, "batch": 8, "data": Data(seed=5)})
    recipe = recipe.model_copy(update={"sft": stage})
    learner = open_learner(recipe, micro, tmp_path, registry)
    few = list(itertools.islice(supply.examples(stage.data, registry, learner.form), 8))
    watch = Watch("sft", tmp_path / "sft", lambda at: None, learner, None, 0)
    trainer = sft.trainer(recipe, learner, registry, tmp_path / "sft", watch)
    trainer.train_dataset = supply.stream(lambda: (sft.row(e, learner.form) for e in itertools.cycle(few)))
    trainer.args.save_strategy = "no"
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert losses[-1] < losses[0] / 4


def test_hidden_words_keep_their_numbers_and_nothing_else_is_touched() -> None:
    prompt = "<card><t_0>new tool<:>does it.<t_0><user>make<w_0>it<w_1>##%<w_2><T:crop>pop<w_3><asst>"
    assert sft.hidden(prompt, 0.0, Random(1)) == prompt
    whole = prompt.replace("make", "<unk>").replace("it<w", "<unk><w").replace("##%", "<unk>").replace("pop", "<unk>")
    assert sft.hidden(prompt, 0.999, Random(1)) == whole
    some = [sft.hidden(prompt, 0.5, Random(seed)).count("<unk>") for seed in range(200)]
    assert 1.7 < sum(some) / len(some) < 2.3


def test_what_a_form_adds_is_added_to_the_logits_of_the_token_that_it_is_about(micro: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("nano").smoke()
    learner = open_learner(recipe, micro, tmp_path, registry)
    few = list(itertools.islice(supply.examples(recipe.sft.data, registry, learner.form), 6))
    lessons = [sft.row(example, learner.form) for example in few]
    batch = sft.Collator(learner.processor)(lessons)
    labels, leans = batch["labels"], batch["leans"]
    at = torch.zeros_like(labels, dtype=torch.bool)
    at[:, :-1] = labels[:, 1:] != -100
    found = sft.leaned(torch.zeros(int(at.sum()), len(learner.tokenizer)), at, leans)
    wanted = labels[:, 1:][at[:, :-1]]
    names = learner.tokenizer.convert_ids_to_tokens(wanted.tolist())
    before = [names[n - 3 : n - 2] == ["<at>"] for n in range(len(names))]
    assert any(before)
    assert all(bool(row.any()) for row, here in zip(found, before, strict=True) if here)
    assert int((found != 0).sum()) == sum(len(lesson["lean"]) for lesson in lessons)
    starts = itertools.accumulate(at.sum(1).tolist(), initial=0)
    for example, lesson, start in zip(few, lessons, starts, strict=False):
        lean = learner.form.lean(example.task.request)
        assert lean is not None
        for number, token, more in lesson["lean"]:
            assert lean(TOKEN.findall(example.answer)[:number])[token] == more != 0
            own = found[start + number, learner.tokenizer.convert_tokens_to_ids(token)].item()
            assert own == pytest.approx(more, abs=1e-5)
