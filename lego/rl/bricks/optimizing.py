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
        SettingsError: 8 bits are asked for, and bitsandbytes or CUDA is not there.
    """
    import torch

    eight = find_spec("bitsandbytes") is not None and torch.cuda.is_available()
    if recipe.optimizer == "adamw8bit" and not eight:
        hint = "install bitsandbytes, or let optimizer = 'auto' take what is there"
        raise SettingsError("AdamW in 8 bits needs bitsandbytes and CUDA", hint=hint, code="not_installed")
    given = {"lr": recipe.lr, "betas": recipe.betas, "weight_decay": recipe.decay}
    if recipe.optimizer != "adamw" and eight:
        optim: Any = importlib.import_module("bitsandbytes.optim")  # it has no types
        return optim.AdamW8bit(list(parameters), **given)
    return torch.optim.AdamW(list(parameters), **given)
