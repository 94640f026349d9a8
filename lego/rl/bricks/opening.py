"""Opening what a brick is trained on: a pipeline, or a brick to go on with, and who reads its words."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lego.core.brick_card import home_of
from lego.core.errors import RecipeError, SettingsError
from lego.rl.bricks.families import FAMILIES, Family
from lego.rl.bricks.recipe import BrickRecipe

SIBLINGS = {"StableDiffusion3Pipeline": "StableDiffusion3InpaintPipeline"}  # of the same parts, and it edits
REASONED = Path("reason", "model")  # in the run of `lego train reason`
CANNOT = (OSError, ValueError, ImportError, KeyError, RuntimeError, AttributeError)  # diffusers has no error of its own


def open_family(recipe: BrickRecipe) -> tuple[Family, Path]:
    """Open the pipeline of a recipe; return it, and the folder that it came from.

    Raises:
        SettingsError: it is not there, or its reader is not.
        RecipeError: it is of another family, or its reader of another kind.
        ToolDefinitionError: it is a brick that is broken.
    """
    from lego.editor import open_network

    precision = "bfloat16" if recipe.lora and recipe.precision == "bf16" else "float32"
    with _told(recipe.model, "the model"):
        folder = _local(recipe.model, recipe.download)
        pipe = open_network(folder, precision)
    kind, name = FAMILIES[recipe.family], type(pipe).__name__
    if (other := SIBLINGS.get(name)) in kind.classes:
        diffusers: Any = importlib.import_module("diffusers")  # it has no types
        pipe, name = getattr(diffusers, other)(**pipe.components), other
    if name not in kind.classes:
        fits = [family for family, known in FAMILIES.items() if SIBLINGS.get(name, name) in known.classes]
        hint = f"its family is {fits[0]}" if fits else f"families are {', '.join(FAMILIES)}"
        message = f"the model is a {name}, and {recipe.family} is a {' or a '.join(kind.classes)}"
        raise RecipeError(message, where=recipe.model, hint=hint, code="other_family")
    if recipe.reader:
        with _told(recipe.reader, "the reader"):
            pipe.text_encoder = _reader(reader_of(recipe), pipe.text_encoder, recipe.reader)
    return kind(pipe, recipe), folder


def reader_of(recipe: BrickRecipe) -> Path:
    """Return the folder of the model that reads the words instead of the pipeline's own."""
    path = Path(recipe.reader)
    return (path / REASONED if (path / REASONED).is_dir() else path).resolve()


def _reader(folder: Path, old: Any, where: str) -> Any:
    """The model in a folder, which must say as much of words as the one whose place it takes."""
    from transformers import AutoConfig

    if not folder.is_dir():
        raise OSError("there is no such folder")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    found, wanted = _looks(config), _looks(old.config)
    for name, value in wanted.items():
        if found[name] != value:
            hint = "train the very model that the pipeline has as its text_encoder"
            message = f"{name} of the reader is {found[name]}, and that of the pipeline's is {value}"
            raise RecipeError(message, where=where, hint=hint, code="other_reader")
    return type(old).from_pretrained(folder, dtype=old.dtype, local_files_only=True)


def _looks(config: Any) -> dict[str, Any]:
    """What two models must have alike for one to stand in for the other."""
    text = config.get_text_config()
    sizes = {"hidden_size": text.hidden_size, "vocab_size": text.vocab_size}
    return {"model_type": config.model_type, **sizes, "image_token_id": getattr(config, "image_token_id", None)}


@contextmanager
def _told(where: str, what: str) -> Iterator[None]:
    try:
        yield
    except CANNOT as error:
        hint = "give a folder, or for a model of diffusers its name on the hub and `download = true` to fetch it"
        why = str(error).strip().splitlines()
        message = f"{what} cannot be opened: {why[0] if why else type(error).__name__}"
        raise SettingsError(message, where=where, hint=hint, code="no_model") from error


def _local(name: str, download: bool) -> Path:
    """The folder of a model or a brick; a model is fetched from the hub if it may be."""
    if Path(name).is_dir():
        return home_of(Path(name).resolve())
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, local_files_only=not download))
