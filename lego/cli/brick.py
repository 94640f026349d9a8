"""`lego train brick`: a network learns one edit from pairs of pictures, and becomes a tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lego.cli.terminal import Progress
from lego.core.errors import SettingsError

if TYPE_CHECKING:
    pass

STAGE = "brick"  # of `lego train`


def train_brick(recipe: str | None, data: Path | None, out: Path, scale: float, smoke: bool, resume: bool) -> None:
    """Train a brick, and say how to use it.

    Raises:
        SettingsError: the data or the recipe is not given.
        LegoError: as `lego.rl.bricks.training.train`.
    """
    from lego.core.brick_card import BrickCard
    from lego.rl.bricks.recipe import BrickRecipe
    from lego.rl.bricks.training import train

    for name, value, hint in (
        ("--recipe", recipe, "a TOML file; docs/train-a-brick.md shows one"),
        ("--data", data, "a folder of pairs: records with a target, or pairs.jsonl"),
    ):
        if value is None:
            raise SettingsError("`lego train brick` needs it", where=name, hint=hint, code="not_given")
    assert recipe is not None
    assert data is not None
    made = BrickRecipe.load(recipe).scaled(scale)
    with Progress(False) as bar:
        folder = train(made.smoke() if smoke else made, data, out, resume=resume, listen=bar.learn)
    card = BrickCard.read(folder)
    say = next(iter(card.phrases), card.name.replace("_", " "))
    print(f'wrote {folder}\ntry: lego edit photo.jpg "{say}" --tools {folder}')
