"""The school: takes a builder through its stages, each beginning with what the one before it gave.

A run is a folder: ``recipe.json``, and for each stage ``checkpoint-N`` (to go on from), ``metrics.jsonl``, ``runs``
(TensorBoard), ``curves.png``, ``best`` (of the exams) and at the end ``model``, which `lego.builder.open` takes.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lego.core.errors import RecipeError, SettingsError, TrainingError
from lego.core.registry import Registry
from lego.rl import curves
from lego.rl.recipe import Grpo, Recipe, Stage

if TYPE_CHECKING:
    from lego.rl.checkpoint import Learner
    from lego.rl.stage import Listener

STAGES = ("sft", "grpo_gt", "grpo_free")  # those of "all"
REASON = "reason"  # by its name alone: it needs lessons, and a model that writes free text
ORDER = (REASON, *STAGES)  # as ReasonEdit has it (arXiv 2511.22625): first to think and to judge
RECIPE = "recipe.json"
EXAM_TOKENS = 512  # of an answer in an exam of the first stage; the others have a limit of their own


def train(
    recipe: Recipe,
    stages: Sequence[str],
    out: str | Path,
    registry: Registry,
    *,
    resume: bool = False,
    listen: Listener = lambda progress: None,
) -> Path:
    """Take a builder through stages of `ORDER`, in their order; return the folder of the model that comes out.

    Args:
        out: of the run.
        registry: the tools on offer.
        resume: go on with what is there: stages that are done are left alone, one that was stopped goes on from its
            last whole checkpoint, to the very weights that it would have reached without the stop.
        listen: called after every step.

    Raises:
        TrainingError: there is a run in the folder already, or a stage cannot go on.
        SettingsError: something that training needs is not installed.
        RecordError: the data cannot be read.
        RecipeError: a stage is asked for that the recipe does not have.
    """
    _check_installed()
    if REASON in stages and recipe.reason is None:
        hint = "take a recipe of a larger model, such as qwen2.5-vl-7b, or give yours a section [reason]"
        raise RecipeError("the recipe has no stage 'reason'", where=recipe.name, hint=hint, code="no_reason")
    out = Path(out)
    _prepare(out, recipe, stages, resume)
    start: Path | None = None
    for name in ORDER:
        model = out / name / "model"
        if name in stages and recipe.stages[name].steps and not (resume and model.exists()):
            _stage(recipe, name, start, out, registry, listen)
        start = model if model.exists() else start
    if start is None:
        raise TrainingError("no stage has any steps", where=recipe.name, hint="give one in the recipe", code="no_steps")
    return start


def export(out: str | Path) -> Path:
    """Write the ONNX graphs of the model of a run's last stage (or of a checkpoint folder); return its folder.

    Raises:
        TrainingError: there is no model in the folder.
        SettingsError: see `lego.rl.export.export`.
    """
    from lego.rl.export import export as write

    out = Path(out)
    models = [out / name / "model" for name in reversed(ORDER)]
    found = next((folder for folder in (*models, out) if (folder / "config.json").is_file()), None)
    if found is None:
        hint = "give the folder of a run, or of a checkpoint, by --out"
        raise TrainingError("there is no trained model here", where=str(out), hint=hint, code="no_model")
    return write(found)


def stages_of(name: str) -> tuple[str, ...]:
    """Return the stages that a name means: "reason", "sft", "grpo-gt", "grpo-free" or "all", which leaves out "reason".

    Raises:
        SettingsError: it means none.
    """
    if name == "all":
        return STAGES
    if name.replace("-", "_") not in ORDER:
        hint = f"one of {', '.join(s.replace('_', '-') for s in ORDER)}, or all"
        raise SettingsError(f"there is no stage '{name}'", hint=hint, code="unknown_stage")
    return (name.replace("-", "_"),)


def _stage(recipe: Recipe, name: str, start: Path | None, out: Path, registry: Registry, listen: Listener) -> None:
    """Train one stage and keep its best model."""
    from lego.rl.checkpoint import last_whole, open_learner
    from lego.rl.stage import Watch, best_of, metrics_of

    folder, stage = out / name, recipe.stages[name]
    learner = open_learner(recipe, start, out / "start", registry)
    watch = Watch(name, folder, listen, learner, _exam(recipe, stage, learner, registry), stage.exam_every)
    last = last_whole(folder)
    done = int(last.name.rpartition("-")[2]) if last else 0
    with warnings.catch_warnings():
        # TRL 1.16 asks transformers 5.24 for things by their old names
        warnings.filterwarnings("ignore", message=".*(activation|gradient)_checkpointing.*", category=FutureWarning)
        trainer = _trainer(recipe, name, learner, registry, folder, watch, done)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    if trainer.is_world_process_zero():
        if best_of(folder) >= 0:
            (folder / "best").rename(folder / "model")
        else:
            learner.save(folder / "model")
        curves.draw(metrics_of(folder), folder / "curves.png", f"{recipe.name}: {name}")
    trainer.accelerator.wait_for_everyone()


def _trainer(
    recipe: Recipe, name: str, learner: Learner, registry: Registry, folder: Path, watch: Any, done: int
) -> Any:
    if name == REASON:
        from lego.rl import reason

        return reason.trainer(recipe, learner, folder, watch, done)
    if name == "sft":
        from lego.rl import sft

        return sft.trainer(recipe, learner, registry, folder, watch, done)
    from lego.rl import grpo

    return grpo.trainer(recipe, name, learner, registry, folder, watch, done)


def _exam(recipe: Recipe, stage: Stage, learner: Learner, registry: Registry) -> Callable[[], float] | None:
    if not stage.exam_every:
        return None
    from lego.rl import rollouts, supply

    count = recipe.evaluation.count
    held = list(itertools.islice(supply.tasks(recipe.evaluation.data, registry, size=count), count))
    tokens = stage.max_tokens if isinstance(stage, Grpo) else EXAM_TOKENS
    return lambda: rollouts.accuracy(learner.checkpoint, [t for t in held if not getattr(t, "open", False)], tokens)


def _prepare(out: Path, recipe: Recipe, stages: Sequence[str], resume: bool) -> None:
    """Refuse to write over a run; keep the recipe with it."""
    there = [name for name in stages if (out / name / "metrics.jsonl").exists()]
    if there and not resume:
        hint = "go on with it by --resume, or choose another folder by --out"
        raise TrainingError(f"the stage '{there[0]}' was begun here before", where=str(out), hint=hint, code="begun")
    path = out / RECIPE
    if resume and path.exists() and not _same(path, recipe):
        hint = "take the recipe and the --scale of the beginning, or begin anew with another --out"
        raise TrainingError("this run was begun with another recipe", where=str(path), hint=hint, code="other_recipe")
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(recipe.model_dump(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"cannot write: {error.strerror}", where=str(out), code="cannot_write") from None


def _same(path: Path, recipe: Recipe) -> bool:
    """Is it the recipe that is kept in a file? Keys that the file does not know yet count as their defaults."""
    try:
        return Recipe.model_validate_json(path.read_text(encoding="utf-8")).model_dump() == recipe.model_dump()
    except (OSError, ValueError):
        return False


def _check_installed() -> None:
    from importlib.util import find_spec

    wanted = ("torch", "transformers", "trl", "datasets", "accelerate", "llguidance", "peft", "scipy", "skimage")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        hint = "install them (the extra 'rl')"
        raise SettingsError(f"training needs {', '.join(missing)}", hint=hint, code="not_installed")
