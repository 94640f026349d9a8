"""The stage of reasoning: a model learns to think and to judge from lessons, by the next token of the right answers.

After ReasonEdit's first stage (arXiv 2511.22625). What is asked, and the pictures with it, are those of use
(`lego.builder.thinking`, `lego.builder.judge`), so that what was learned holds there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lego.builder.frame import seen
from lego.builder.talker import LONG_SIDE
from lego.core.errors import TrainingError
from lego.rl.checkpoint import Learner
from lego.rl.reasoning.exchanges import Exchange, Supply
from lego.rl.recipe import Recipe
from lego.rl.stage import Watch


def trainer(recipe: Recipe, learner: Learner, out: Path, watch: Watch, start: int = 0) -> Any:
    """Return the trainer of the stage; ``start`` is the step that it goes on from.

    Raises:
        RecordError: the lessons cannot be read.
        TrainingError: the model writes plans alone.
    """
    from lego.rl import sft

    stage = recipe.reason
    assert stage
    if learner.form.name == "pointing":
        hint = "take a vision-language model that talks, such as that of the recipe qwen2.5-vl-7b"
        raise TrainingError("this model writes plans alone, no free text", where=str(learner.folder), hint=hint)
    lessons = Supply(stage.data.source, stage.data.seed)

    def rows(processes: int) -> Iterator[dict[str, Any]]:
        done = start * stage.batch * stage.accumulate * processes
        return map(row, lessons.exchanges(done))

    return sft.made(recipe, "reason", stage, learner, rows, out, watch)


def row(exchange: Exchange) -> dict[str, Any]:
    """Return an exchange as TRL's vision data has it, the pictures as a talker sees them."""
    return {
        "prompt": [{"role": "user", "content": exchange.prompt}],
        "completion": [{"role": "assistant", "content": exchange.answer}],
        "images": [seen(image, longest=LONG_SIDE) for image in exchange.images],
    }
