"""The optimizer of a brick: AdamW, in 8 bits where that works."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from lego.core.errors import SettingsError
from lego.rl.bricks.recipe import BrickRecipe


def optimizer(recipe: BrickRecipe, parameters: Sequence[Any]) -> Any:
    """Return the optimizer that a recipe asks for.

    Raises:
        SettingsError: 8 bits are asked for, and bitsandbytes is not there or cannot be opened.
    """
    import torch

    given = {"lr": recipe.lr, "betas": recipe.betas, "weight_decay": recipe.decay}
    fits = recipe.optimizer == "auto" and torch.cuda.is_available() and find_spec("bitsandbytes") is not None
    if recipe.optimizer == "adamw8bit" or fits:
        return _eight_bits()(list(parameters), **given)
    return torch.optim.AdamW(list(parameters), **given)


def _eight_bits() -> Any:
    hint = "pip install bitsandbytes, or let optimizer = 'auto' take what is there"
    if find_spec("bitsandbytes") is None:
        raise SettingsError("AdamW in 8 bits needs bitsandbytes", hint=hint, code="not_installed")
    try:
        return importlib.import_module("bitsandbytes.optim").AdamW8bit
    except Exception as error:  # a build for other hardware fails in many ways
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SettingsError(f"bitsandbytes cannot be opened: {why}", hint=hint, code="not_installed") from error
