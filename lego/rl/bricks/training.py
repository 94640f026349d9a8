"""The training of a brick: pairs in, a folder out that is a tool.

A run is a folder: ``recipe.json``, ``cache`` (what encoders said), ``metrics.jsonl``, ``checkpoint-N`` (to go on from),
``looks`` (sheets of pictures: before, made, as it should be), and at the end ``brick``, which `lego.tools.load_brick`
and ``--tools`` take.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lego.core.brick_card import RUN
from lego.core.errors import SettingsError, TrainingError
from lego.core.ledger import alone
from lego.rl.bricks import result
from lego.rl.bricks.pairs import Pair
from lego.rl.bricks.recipe import BrickRecipe
from lego.rl.bricks.store import Example, Store

if TYPE_CHECKING:
    from lego.rl.bricks.learner import Learner
    from lego.rl.stage import Listener

NAME = RUN  # of the stage, and of the folder that comes out
RECIPE, METRICS, CACHE, LOOKS = "recipe.json", "metrics.jsonl", "cache", "looks"
KEPT = 2  # checkpoints
HELD_SEED = 12345  # of the noise on pairs that are held back: always the same, so that losses compare
NEEDED = ("torch", "transformers", "diffusers", "peft", "accelerate", "safetensors")


def train(
    recipe: BrickRecipe,
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    listen: Listener = lambda progress: None,
) -> Path:
    """Train a brick on a data set of pairs; return its folder.

    Args:
        data: see `lego.rl.bricks.pairs`.
        out: of the run.
        resume: go on from the last whole checkpoint, to the very weights that the run would have reached without the
            stop (on one machine's processor; an accelerator may round otherwise).
        listen: called after every pair that is encoded, and after every step.

    Raises:
        TrainingError: there is a run in the folder already, another process is at work on it, the loss is no number, or
            the disk is full.
        RecordError: a pair is broken.
        RecipeError: the recipe does not fit the model.
        SettingsError: the model is not there, or something that training needs is not installed.
    """
    _check_installed()
    data, out = Path(data), Path(out)
    _prepare(out, recipe, data, resume)
    if resume and (out / NAME).exists():
        return out / NAME
    with alone(out / METRICS, TrainingError):
        return _trained(recipe, data, out, listen)


def _trained(recipe: BrickRecipe, data: Path, out: Path, listen: Listener) -> Path:
    from lego.rl.bricks.opening import open_family, reader_of

    family, folder = open_family(recipe)
    encoders = [folder, *([reader_of(recipe)] if recipe.reader else [])]
    store = Store(out / CACHE, family, " ".join(f"{path} {path.stat().st_mtime_ns}" for path in encoders))
    begun = time.monotonic()
    family.pipe.to(_device())
    examples, looks = store.fill(data, recipe.hold, lambda done: _tell(listen, "encode", done, done, {}))
    family.pipe.to("cpu")
    learner = _learner(family)
    for name in learner.parts:
        getattr(family.pipe, name).to(_device())
    split = len(examples) - recipe.hold
    run = Run(recipe, out, learner, store, examples[:split], examples[split:], looks, listen, begun)
    run.go()
    try:
        return result.write(out / NAME, learner, folder, len(examples), run.last)
    except OSError as error:
        raise cannot_write(error, out) from error


@dataclass
class Run:
    """The steps of a training.

    Attributes:
        examples, held: to learn from; held back.
        looks: pairs to look at.
        last: metrics.
    """

    recipe: BrickRecipe
    out: Path
    learner: Learner
    store: Store
    examples: Sequence[Example]
    held: Sequence[Example]
    looks: Sequence[Pair]
    listen: Listener
    begun: float
    last: dict[str, float] = field(default_factory=dict)

    def go(self) -> None:
        """Take the steps that are left."""
        from lego.rl.bricks.optimizing import optimizer

        recipe = self.recipe
        self.optimizer = optimizer(recipe, list(self.learner.parameters.values()))
        start = self._load()
        self._trim(start)
        first = time.monotonic()
        for step in range(start, recipe.steps):
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.lr * rate(recipe, step)
            self.last |= self._step(step)
            done = step + 1
            if recipe.look_every and (done % recipe.look_every == 0 or done == recipe.steps):
                self._look(done)
            self._write(done)
            if done % recipe.every == 0 or done == recipe.steps:
                self._save(done)
            left = (time.monotonic() - first) / (done - start) * (recipe.steps - done)
            _tell(self.listen, NAME, done, recipe.steps, self.last, left)

    def _step(self, step: int) -> dict[str, float]:
        """Take one step; all that is random in it comes from its number."""
        import torch

        recipe, seed = self.recipe, mixed(self.recipe.seed, step)
        random = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout
        self.learner.train(True)
        total = 0.0
        for part in range(recipe.accumulate):
            number = step * recipe.accumulate + part
            chosen = self._chosen(number)
            for group in alike(chosen):
                loss = self._loss(group, number, random) * len(group) / len(chosen) / recipe.accumulate
                total += loss.item()
                if not math.isfinite(total):
                    raise self._no_number("the loss", step, group)
                loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(self.learner.parameters.values()), recipe.clip)
        if not math.isfinite(float(norm)):
            raise self._no_number("a gradient", step, chosen)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        now = float(self.optimizer.param_groups[0]["lr"])
        return {"loss": total, **self.learner.facts, "norm": float(norm), "lr": now}

    def _loss(self, group: Sequence[Example], number: int | None, random: Any) -> Any:
        """The loss on examples of one shape in a pass; without a number only on their pictures, as they are."""
        import torch

        drop = 0.0 if number is None else self.recipe.drop
        none = (torch.rand(len(group), generator=random) < drop).tolist() if drop else [False] * len(group)
        kept = {name: value.to(_device()) for name, value in self.store.batch(group, none).items()}
        with torch.autocast(_device(), torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            words = ["" if off else example.said for example, off in zip(group, none, strict=True)]
            if number is None:
                return self.learner.measured(kept, words, random)
            return self.learner.together(kept, words, number, random)

    def _chosen(self, number: int) -> list[Example]:
        """The examples of a pass: all in an order of their own, then all in another."""
        count = len(self.examples)
        found = []
        for at in range(number * self.recipe.batch, (number + 1) * self.recipe.batch):
            order = np.random.default_rng([self.recipe.seed, at // count]).permutation(count)
            found.append(self.examples[order[at % count]])
        return found

    def _look(self, done: int) -> None:
        """Measure the loss on what is held back, and draw a sheet."""
        import torch

        self.learner.train(False)
        with torch.inference_mode():
            random = torch.Generator().manual_seed(HELD_SEED)
            losses = [float(self._loss([example], None, random)) for example in self.held]
            if losses:
                self.last["held"] = sum(losses) / len(losses)
            self.learner.family.pipe.to(_device())
            try:
                (self.out / LOOKS).mkdir(exist_ok=True)
                result.sheet(self.learner, self.looks, self.out / LOOKS / f"step-{done:06d}.jpg")
            except OSError as error:
                raise cannot_write(error, self.out) from error
        for name, part in self.learner.family.pipe.components.items():
            if isinstance(part, torch.nn.Module) and name not in self.learner.parts:
                part.to("cpu")

    def _write(self, done: int) -> None:
        line = {"step": done, "seconds": round(time.monotonic() - self.begun, 2), **self.last}
        try:
            with (self.out / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise cannot_write(error, self.out) from error

    def _trim(self, start: int) -> None:
        """Drop the lines of steps that are done again."""
        from lego.rl.stage import metrics_of

        lines = [line for line in metrics_of(self.out) if line["step"] <= start]
        try:
            (self.out / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        except OSError as error:
            raise cannot_write(error, self.out) from error
        self.last = {n: v for n, v in lines[-1].items() if n not in ("step", "seconds")} if lines else {}

    def _save(self, done: int) -> None:
        """Write a checkpoint, whole or not at all; older ones go."""
        import torch
        from safetensors.torch import save_file

        folder = self.out / f"checkpoint-{done}"
        part = folder.with_name(f"part-{done}")
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            weights = {name: p.detach().cpu().contiguous() for name, p in self.learner.parameters.items()}
            save_file(weights, part / "weights.safetensors")
            torch.save(self.optimizer.state_dict(), part / "optimizer.pt")
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        except Exception as error:  # safetensors and torch have errors of their own for a full disk
            shutil.rmtree(part, ignore_errors=True)
            raise cannot_write(error, self.out) from error
        for old in checkpoints(self.out)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _load(self) -> int:
        """Go on from the last checkpoint; return its step, 0 without one."""
        import torch
        from safetensors.torch import load_file

        found = checkpoints(self.out)
        if not found:
            return 0
        kept = load_file(found[-1] / "weights.safetensors")
        for name, parameter in self.learner.parameters.items():
            parameter.data.copy_(kept[name])
        self.optimizer.load_state_dict(torch.load(found[-1] / "optimizer.pt", map_location="cpu", weights_only=True))
        return int(found[-1].name.rpartition("-")[2])

    def _no_number(self, what: str, step: int, group: Sequence[Example]) -> TrainingError:
        hint = "a lower lr, a longer warmup, or precision = 'fp32'; --resume goes on from the last checkpoint"
        where = ", ".join(example.where for example in group)
        return TrainingError(f"{what} is no number at step {step + 1}", where=where, hint=hint, code="not_a_number")


def rate(recipe: BrickRecipe, step: int) -> float:
    """Return the rate of learning at a step, as a share of the top one."""
    warm = round(recipe.warmup * recipe.steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    way = (step - warm) / max(1, recipe.steps - warm)
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * way))
    return 1 - way if recipe.schedule == "linear" else 1.0


def alike(examples: Sequence[Example]) -> list[list[Example]]:
    """Return examples in groups of one shape, which can be one batch."""
    groups: dict[object, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.shape, []).append(example)
    return list(groups.values())


def mixed(seed: int, step: int) -> int:
    """Return the seed of a step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


def checkpoints(out: Path) -> list[Path]:
    """Return the checkpoints of a run, the oldest first; each appeared whole."""
    return sorted(out.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def cannot_write(error: BaseException, out: Path) -> TrainingError:
    """Return the error for what could not be written, whichever library said so."""
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    free = shutil.disk_usage(out).free >> 20
    hint = f"{free} MB are free there; make room and go on with --resume: the checkpoint before is intact"
    return TrainingError(f"cannot write: {why}", where=str(out), hint=hint, code="cannot_write")


def _prepare(out: Path, recipe: BrickRecipe, data: Path, resume: bool) -> None:
    """Refuse to write over a run; keep the recipe with it."""
    path = out / RECIPE
    facts = {"data": str(data.resolve()), "recipe": recipe.model_dump()}
    if path.exists() and not resume:
        hint = "go on with it by --resume, or choose another folder by --out"
        raise TrainingError("a brick was begun here before", where=str(out), hint=hint, code="begun")
    if path.exists() and not _same(path, facts):
        hint = "take the recipe and the data of the beginning, or begin anew with another --out"
        raise TrainingError("this run was begun otherwise", where=str(path), hint=hint, code="other_recipe")
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"cannot write: {error.strerror}", where=str(out), code="cannot_write") from None


def _same(path: Path, facts: dict[str, Any]) -> bool:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept["recipe"] = BrickRecipe.model_validate(kept["recipe"]).model_dump()  # with keys that came later
        return bool(kept == facts)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _learner(family: Any) -> Learner:
    from lego.rl.bricks.learner import Learner

    if not family.recipe.joint:
        return Learner(family)
    from lego.rl.bricks.joint import JointLearner

    return JointLearner(family)


def _tell(
    listen: Listener, name: str, done: int, count: int, metrics: dict[str, float], left: float | None = None
) -> None:
    from lego.rl.stage import Progress

    listen(Progress(name, done, count, dict(metrics), left))


def _device() -> str:
    import torch

    return torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"


def _check_installed() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        hint = "install them (the extra 'rl')"
        raise SettingsError(f"training needs {', '.join(missing)}", hint=hint, code="not_installed")
