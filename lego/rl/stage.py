"""What the stages of the school share: the arguments of their trainers, whole checkpoints, and telling how it goes."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from lego.rl.checkpoint import WHOLE, Learner, cannot_write
from lego.rl.recipe import Lora, Recipe, Stage

METRICS = "metrics.jsonl"
LINES = 400  # of metrics a stage, about: enough for a curve
_NEW = hasattr(TrainingArguments, "activation_checkpointing")  # renamed in transformers 5.24
_CHECKPOINTING = "activation_checkpointing" if _NEW else "gradient_checkpointing"  # said always: TRL's default is on
STEADY = 2.0  # seconds after which the time left is told; before, it is a guess


@dataclass(frozen=True)
class Progress:
    """A step was done; ``left`` is the estimate of the seconds to the end of the stage, None at first."""

    stage: str
    step: int
    steps: int
    metrics: Mapping[str, float]
    left: float | None


Listener: TypeAlias = Callable[[Progress], None]


def arguments(recipe: Recipe, name: str, stage: Stage, out: Path, **more: Any) -> dict[str, Any]:
    """Return the arguments that TRL's trainers share, from a recipe."""
    return {
        "output_dir": str(out),
        "max_steps": stage.steps,
        "learning_rate": stage.lr,
        "warmup_steps": math.ceil(stage.warmup * stage.steps),
        "lr_scheduler_type": stage.schedule,
        "weight_decay": stage.decay,
        "adam_beta1": stage.betas[0],
        "adam_beta2": stage.betas[1],
        "max_grad_norm": stage.clip,
        "gradient_accumulation_steps": stage.accumulate,
        "save_steps": stage.every,
        "save_total_limit": 2,  # the newest, and the one before in case the newest was cut off
        "logging_steps": max(1, stage.steps // LINES),
        "logging_first_step": True,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "bf16": recipe.precision == "bf16",
        "use_cpu": not torch.cuda.is_available(),
        _CHECKPOINTING: recipe.gradient_checkpointing,
        "deepspeed": recipe.deepspeed or None,
        "report_to": ["tensorboard"] if find_spec("tensorboard") else [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "ignore_data_skip": True,  # the supply begins at the right window by itself, without making the ones before
        "dataloader_pin_memory": torch.cuda.is_available(),
        **more,
    }


def adapters(lora: Lora | None) -> Any:
    """Return PEFT's configuration, or None."""
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        task_type="CAUSAL_LM",
    )


class Keeping:
    """Mixed into a trainer: checkpoints are whole or not there, and nothing is sent anywhere."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"  # type: ignore[attr-defined]
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
            (folder / WHOLE).write_text("this checkpoint was written to its end\n", encoding="utf-8")
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise cannot_write(error, folder) from error

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load weights under the names that they were saved by.

        ``save_pretrained`` renames the weights of LLaVA and others, and transformers' trainer would load the file
        without renaming them back: it warns, and goes on with the weights of the beginning.
        """
        found = self.model  # type: ignore[attr-defined]
        if hasattr(found, "peft_config") or self.is_deepspeed_enabled or self.is_fsdp_enabled:  # type: ignore[attr-defined]
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        saved = type(found).from_pretrained(resume_from_checkpoint, dtype=found.dtype, local_files_only=True)
        found.load_state_dict(saved.state_dict())

    def _send_telemetry(self) -> None:
        """Nothing is sent: TRL would report the kind of training to the hub."""

    def create_model_card(self, *args: Any, **more: Any) -> None:
        """None is written: TRL's names a hub account."""


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
    """Writes the metrics of a stage, tells a listener, and sits exams.

    Args:
        exam: gives the held-out accuracy of the network as it is; the best one is kept in the folder ``best``.
        every: steps between exams.
    """

    def __init__(
        self, name: str, out: Path, listen: Listener, learner: Learner, exam: Callable[[], float] | None, every: int
    ) -> None:
        self.name, self.out, self.listen, self.learner, self.exam, self.every = name, out, listen, learner, exam, every
        self.begun = time.monotonic()
        self.first = 0
        self.chief = True  # of several processes, the one that writes
        self.last: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Drop the lines of steps that are done again, and sit the first exam."""
        self.begun, self.first, self.chief = time.monotonic(), state.global_step, state.is_world_process_zero
        self.out.mkdir(parents=True, exist_ok=True)
        lines = [line for line in metrics_of(self.out) if line["step"] <= state.global_step]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        if self.chief:
            (self.out / METRICS).write_text(text, encoding="utf-8")
        if self.exam and not (self.out / "best").exists():
            self._sit(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **more: Any) -> None:
        """Keep a line."""
        found = {name: value for name, value in (logs or {}).items() if isinstance(value, int | float)}
        self.last |= found
        self._write(state.global_step, found)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Tell the listener, and sit an exam when it is time."""
        done = state.global_step - self.first
        took = time.monotonic() - self.begun
        left = took / done * (state.max_steps - state.global_step) if took > STEADY else None
        if self.chief:
            self.listen(Progress(self.name, state.global_step, state.max_steps, dict(self.last), left))
        if self.exam and (state.global_step % self.every == 0 or state.global_step == state.max_steps):
            self._sit(state.global_step)

    def _sit(self, step: int) -> None:
        assert self.exam
        score = self.exam()
        self.last["accuracy"] = score
        self._write(step, {"accuracy": score})
        if self.chief and score > best_of(self.out):
            self.learner.save(self.out / "best")
            (self.out / "best.json").write_text(json.dumps({"accuracy": score, "step": step}) + "\n", encoding="utf-8")

    def _write(self, step: int, found: Mapping[str, float]) -> None:
        if not self.chief:
            return
        line = {"step": step, "seconds": round(time.monotonic() - self.begun, 2), **found}
        with (self.out / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({k: v for k, v in line.items() if v == v}) + "\n")


def watched(trainer: Any, watch: Watch) -> Any:
    """Let a watch look on, in place of transformers' own printing."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    watch.learner.model = trainer.model
    return trainer


def metrics_of(out: Path) -> list[dict[str, float]]:
    """Return the metrics of a stage, a dict a line; a line that was cut off is left out."""
    path = out / METRICS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def best_of(out: Path) -> float:
    """Return the accuracy of the best exam of a stage; below 0 before the first."""
    path = out / "best.json"
    return float(json.loads(path.read_text(encoding="utf-8"))["accuracy"]) if path.exists() else -1.0
