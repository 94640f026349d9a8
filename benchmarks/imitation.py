"""How many examples a second imitation learns from: a plain loop, this school's trainer, TRL's own.

All three on the same batches of the nano builder, in one run, one thread: core-seconds are what counts.
"""

from __future__ import annotations

import itertools
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from lego.core.registry import registry
from lego.rl import sft, supply
from lego.rl.checkpoint import Learner, open_learner
from lego.rl.recipe import Recipe
from lego.rl.stage import Watch

STEPS, WARM = 24, 4


def main() -> None:
    """Print the three rates."""
    torch.set_num_threads(1)
    recipe = Recipe.load("nano").model_copy(update={"workers": 0})
    recipe = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"steps": STEPS, "bucket": 2})})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = Path(folder)
        learner = open_learner(recipe, None, out / "start", registry)
        found = supply.examples(recipe.sft.data, registry, learner.form)
        lessons = [{**sft.row(e, learner.form), "lean": []} for e in itertools.islice(found, STEPS * recipe.sft.batch)]
        lessons.sort(key=lambda row: len(row["prompt"][0]["content"]))
        print(f"plain loop         {_plain(recipe, learner, lessons):6.1f} examples a core-second")
        for name in ("this trainer", "TRL's SFTTrainer"):
            learner = open_learner(recipe, out / "start", out, registry)
            print(f"{name:18} {_trained(recipe, learner, lessons, out / name[:4], name[0] == 't'):6.1f}")


def _plain(recipe: Recipe, learner: Learner, lessons: list[Any]) -> float:
    """Forward, backward, step on ready batches: logits everywhere, as a loop of a dozen lines has them."""
    collator, size = sft.Collator(learner.processor), recipe.sft.batch
    batches = [collator(lessons[n : n + size]) for n in range(0, len(lessons), size)]
    optimizer = torch.optim.AdamW(learner.model.parameters(), lr=1e-4)
    begun = 0.0
    for number, batch in enumerate(batches):
        if number == WARM:
            begun = time.process_time()
        with torch.autocast("cpu", torch.bfloat16):
            loss = learner.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return (len(batches) - WARM) * size / (time.process_time() - begun)


def _trained(recipe: Recipe, learner: Learner, lessons: list[Any], out: Path, ours: bool) -> float:
    """A trainer from rows to steps, pictures and tokens included, without writing checkpoints."""
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTTrainer

    class Clock(TrainerCallback):  # type: ignore[misc]
        begun = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step == WARM:
                self.begun = time.process_time()

    clock = Clock()
    trainer = sft.trainer(recipe, learner, registry, out, Watch("sft", out, lambda at: None, learner, None, 0))
    trainer.train_dataset = supply.stream(lambda: iter(lessons))
    trainer.args.save_strategy = "no"
    if not ours:
        trainer.args.report_to = []
        trainer = SFTTrainer(
            learner.model, trainer.args, train_dataset=trainer.train_dataset, processing_class=learner.processor
        )
        trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    trainer.train()
    return (STEPS - WARM) * recipe.sft.batch / (time.process_time() - clock.begun)


if __name__ == "__main__":
    main()
