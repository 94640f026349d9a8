"""Reinforcement under the grammar: the probabilities, the loss and the groups that are left out."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lego.tools
from lego.builder.local import inputs_of
from lego.core.registry import registry
from lego.rl import grpo, rollouts, supply
from lego.rl.checkpoint import Learner, open_learner
from lego.rl.env import right
from lego.rl.recipe import Recipe
from lego.rl.stage import Watch

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # TRL's own, see school.py


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    smoke = Recipe.load("nano").smoke()
    stage = smoke.grpo_gt.model_copy(update={"prompts": 3, "group": 4, "execute": False, "beta": 0.1, "warmup": 0.0})
    return smoke.model_copy(update={"precision": "fp32", "grpo_gt": stage})


@pytest.fixture
def learner(recipe: Recipe, micro: Path, tmp_path: Path) -> Learner:
    return open_learner(recipe, micro, tmp_path, registry)


def begun(recipe: Recipe, learner: Learner, out: Path) -> tuple[Any, dict[str, Any]]:
    """A trainer and its first batch of answers."""
    watch = Watch("grpo_gt", out, lambda at: None, learner, None, 0)
    trainer = grpo.trainer(recipe, "grpo_gt", learner, registry, out, watch)
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    rows = next(iter(trainer.get_train_dataloader()))
    return trainer, trainer._prepare_inputs(rows)


def gradient(trainer: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Of the loss of a batch, all weights in one row."""
    trainer.model.zero_grad()
    trainer.compute_loss(trainer.model, dict(batch)).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


def test_log_probabilities_are_those_that_the_answers_were_drawn_with(
    learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(learner.form), "lean", lambda *_: lambda last: {"<T:crop>": 1.5, "<w_0>": -2.0})
    tasks = list(itertools.islice(supply.tasks(Recipe.load("nano").grpo_gt.data, registry), 3))
    found = rollouts.roll(learner.checkpoint, [task.request for task in tasks], 2, 1.0, 5, 48)
    made = rollouts.choices(found)
    places, table, leans = (torch.from_numpy(part) for part in (made.places, made.table, made.leans))
    assert leans.shape[1] > 1
    for row, completion in enumerate(found):
        length = len(completion.ids)
        assert [bool(p >= 0) for p in places[row, :length]] == list(completion.free)
        task = tasks[row // 2]
        read = inputs_of(learner.checkpoint, [task.request])
        answer = torch.tensor([completion.ids])
        ids = torch.cat([read["input_ids"], answer], 1)
        under = grpo._UnderGrammar(learner.model, places[row : row + 1, :length], table, leans, 1.0)
        with torch.no_grad():
            out = under(ids, pixel_values=read["pixel_values"])
        said = out.log_probs[0, -length:].numpy()
        assert np.allclose(said, completion.logps, atol=1e-4)
        assert (said[~np.array(completion.free)] == 0).all()
        assert (out.entropy[0, -length:] >= 0).all()


def test_answers_that_are_rolled_out_in_parts_are_the_same(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = itertools.islice(supply.tasks(Recipe.load("nano").grpo_gt.data, registry), 5)
    requests = [task.request for task in tasks]
    whole = rollouts.roll(learner.checkpoint, requests, 2, 1.0, 5, 48)
    monkeypatch.setattr(rollouts, "ROWS", 4)
    parts = rollouts.roll(learner.checkpoint, requests, 2, 1.0, 5, 48)
    assert [one.ids for one in parts] == [one.ids for one in whole]


def test_forced_tokens_carry_no_loss_and_do_not_count(recipe: Recipe, learner: Learner, tmp_path: Path) -> None:
    _, batch = begun(recipe, learner, tmp_path)
    free = batch["places"] >= 0
    assert 0 < free.sum() < batch["completion_mask"].sum(), "this grammar forces something and leaves something"
    mask = batch["completion_mask"].bool()
    assert torch.equal(batch["tool_mask"].bool() & mask, free & mask)
    loud = batch["advantages"].abs() > grpo.MUTE
    assert batch["num_items_in_batch"] == free[loud].sum()


def test_leaving_out_groups_that_agree_changes_no_gradient(
    recipe: Recipe, learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = recipe.model_copy(update={"grpo_gt": recipe.grpo_gt.model_copy(update={"beta": 0.0})})
    trainer, batch = begun(quiet, learner, tmp_path)
    batch["advantages"] = torch.tensor([1.0, -1.0, 0.5, -0.5, 0, 0, 0, 0, 2.0, -1.0, -1.0, 0.0])

    short = gradient(trainer, batch)
    assert len(grpo._without_mute(batch)["advantages"]) == 7
    monkeypatch.setattr(grpo, "_without_mute", dict)
    whole = gradient(trainer, batch)
    assert whole.abs().max() > 1e-4
    assert torch.allclose(short, whole, atol=1e-6)


def test_an_answer_that_was_given_twice_is_seen_once_and_counts_twice(
    recipe: Recipe, learner: Learner, tmp_path: Path
) -> None:
    trainer, batch = begun(recipe, learner, tmp_path)  # beta is not 0: the divergence counts twice as well
    rows = torch.tensor([0, 0, 1, 0, 4, 4, 5, 5, 8, 8, 8, 9])  # of three prompts
    per_row = {name for name, value in batch.items() if isinstance(value, torch.Tensor) and value.shape[:1] == (12,)}
    batch |= {name: batch[name][rows] for name in per_row}
    batch["advantages"] = torch.tensor([1.0, -2.0, 0.5, -1.0])[torch.tensor([0, 0, 1, 0, 2, 2, 3, 3, 0, 0, 0, 1])]
    batch["tool_mask"] = (batch["places"] >= 0).long()

    once = grpo._once(batch, 4)
    loud = once["advantages"] != 0
    assert loud.sum() == 6
    assert once["tool_mask"][loud].sum() == batch["tool_mask"].sum(), "no token is lost"
    short, whole = gradient(trainer, batch | once), gradient(trainer, batch)
    assert whole.abs().max() > 1e-4
    assert torch.allclose(short, whole, atol=1e-6)


def test_a_batch_in_which_all_groups_agree_still_has_a_pass(recipe: Recipe, learner: Learner, tmp_path: Path) -> None:
    trainer, batch = begun(recipe, learner, tmp_path)
    batch["advantages"] = torch.zeros(12)
    loss = trainer.compute_loss(trainer.model, dict(batch))
    loss.backward()
    assert torch.isfinite(loss)


def test_a_step_makes_better_answers_likelier(recipe: Recipe, learner: Learner, tmp_path: Path) -> None:
    trainer, batch = begun(recipe, learner, tmp_path)
    batch["advantages"] = torch.tensor([1.0, -1.0] * 6)
    optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.05)

    def likely() -> torch.Tensor:
        under = grpo._UnderGrammar(trainer.model, batch["places"], trainer._table, trainer._leans, 1.0)
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
        with torch.no_grad():
            found = under(ids, attention_mask=mask, pixel_values=batch["pixel_values"]).log_probs
        return found.sum(1)

    before = likely()
    trainer.compute_loss(trainer.model, dict(batch)).backward()
    optimizer.step()
    change = likely() - before
    assert change[0::2].mean() > change[1::2].mean()


def test_the_policy_begins_where_the_reference_is(recipe: Recipe, learner: Learner, tmp_path: Path) -> None:
    trainer, batch = begun(recipe, learner, tmp_path)
    under = grpo._UnderGrammar(trainer.model, batch["places"], trainer._table, trainer._leans, 1.0)
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        mine = under(ids, attention_mask=mask, pixel_values=batch["pixel_values"]).log_probs
    width = batch["completion_ids"].shape[1]
    assert torch.allclose(mine[:, -width:], batch["ref_per_token_logps"], atol=1e-5)


def test_an_exam_counts_the_answers_that_are_as_meant(learner: Learner) -> None:
    tasks = list(itertools.islice(supply.tasks(Recipe.load("nano").evaluation.data, registry), 5))
    shares: list[float] = []
    assert 0 <= rollouts.accuracy(learner.checkpoint, tasks, 32, shares.append) <= 1
    assert shares[-1] == 1.0
    form = learner.form
    truth = [form.write(task.workflow, task.request) for task in tasks]
    assert all(right(task, text, form) for task, text in zip(tasks, truth, strict=True))
