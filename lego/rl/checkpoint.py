"""Checkpoints of a school: opening what is to learn, and keeping what has learned."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lego.builder.constraint import Constraint
from lego.builder.hints import FILE as HINTS_FILE
from lego.builder.local import Checkpoint
from lego.builder.prompt import FILE as FORM_FILE
from lego.builder.prompt import Form, form_of
from lego.core.errors import SettingsError, TrainingError
from lego.core.processors import hide_broken_torchvision, load_processor
from lego.core.registry import Registry
from lego.rl.head import add_head
from lego.rl.recipe import OWN, Recipe

WHOLE = "whole"  # a file that is written last: a checkpoint without it was cut off


@dataclass
class Learner:
    """What learns: the network, its processor, the form that it plans in, and the folder that it came from."""

    model: Any
    processor: Any
    form: Form
    folder: Path

    @property
    def tokenizer(self) -> Any:
        """Of the processor."""
        return self.processor.tokenizer

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """What `lego.builder.local` plans with: the network under the grammar."""
        width = self.model.config.get_text_config().vocab_size
        return Checkpoint(self.model, self.processor, Constraint(self.tokenizer, width), self.form)

    def save(self, folder: Path) -> Path:
        """Write a folder that `lego.builder.open` takes; adapters are merged into a copy of the weights.

        Raises:
            TrainingError: it cannot be written; nothing half-written stays.
        """
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            _merged(self.model).save_pretrained(part)
            self.processor.save_pretrained(part)
            for name in (FORM_FILE, HINTS_FILE):
                if (self.folder / name).exists():
                    shutil.copy(self.folder / name, part / name)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        except Exception as error:
            shutil.rmtree(part, ignore_errors=True)
            raise cannot_write(error, folder) from error
        return folder


def open_learner(recipe: Recipe, start: Path | None, scratch: Path, registry: Registry) -> Learner:
    """Open what a stage begins with.

    Args:
        start: the folder of the stage before; None for the recipe's model.
        scratch: where a model that is built from scratch is written first.

    Raises:
        SettingsError: there is no such model, or what it needs is not installed.
    """
    hide_broken_torchvision()
    from transformers import AutoModelForImageTextToText
    from transformers.utils import logging

    logging.disable_progress_bar()
    if start is None and recipe.model in OWN:
        start = _nano(recipe, scratch, registry)
    name = str(start or recipe.model)
    dtype = "bfloat16" if recipe.lora and recipe.precision == "bf16" else "float32"
    try:
        folder = _local(name, recipe.download)
        model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, local_files_only=True, attn_implementation=_attention()
        )
        processor = load_processor(folder)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:  # transformers has no error of its own
        hint = "give a folder or the name of a model on the hub, and `download = true` to fetch it"
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SettingsError(f"cannot open the model: {why}", where=name, hint=hint, code="no_checkpoint") from error
    processor.tokenizer.padding_side = "left"  # answers of one batch begin together
    add_head(model)
    return Learner(model, processor, form_of(folder), folder)


def _attention() -> str:
    """On a CPU plain products are quicker than torch's fused attention: a step of 64 short examples by a quarter."""
    import torch

    return "sdpa" if torch.accelerator.is_available() else "eager"


def _nano(recipe: Recipe, scratch: Path, registry: Registry) -> Path:
    """Write a nano builder that knows nothing, or the one that ships; of several processes the first does."""
    from accelerate import PartialState

    from lego.rl import nano

    state = PartialState()
    with state.main_process_first():
        if not state.is_main_process:
            return scratch
        if recipe.model == "shipped":
            return nano.reopen(scratch, registry)
        return nano.build(scratch, registry, recipe.size, recipe.seed)


def _local(name: str, download: bool) -> Path:
    """The folder of a model, which is fetched from the hub if it may be."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, local_files_only=not download))


def last_whole(folder: Path) -> Path | None:
    """Return the newest checkpoint of a stage that was written to its end, and take away those that were not."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in found:
        if not (path / WHOLE).exists():
            shutil.rmtree(path, ignore_errors=True)
    return next((path for path in reversed(found) if (path / WHOLE).exists()), None)


def cannot_write(error: BaseException, path: Path) -> TrainingError:
    """The error for a checkpoint that could not be written, whichever library said so."""
    free = shutil.disk_usage(path.parent if path.parent.exists() else Path.cwd()).free >> 20
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return TrainingError(
        f"the checkpoint cannot be written: {why}",
        where=str(path),
        hint=f"{free} MB are free there; make room and go on with --resume: the checkpoint before is intact",
        code="cannot_write",
    )


def _merged(model: Any) -> Any:
    if not hasattr(model, "merge_and_unload"):
        return model
    import copy

    return copy.deepcopy(model).merge_and_unload()
