"""What comes out of a training: the brick's folder, and on the way sheets of pictures to look at."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image as Pillow

from lego.core.brick_card import BrickCard
from lego.core.codec import Pixels
from lego.core.signature import Context
from lego.rl.bricks.pairs import Pair

if TYPE_CHECKING:
    from lego.rl.bricks.learner import Learner

CELL = 192  # px, the longest side of a picture on a sheet
GAP = 4
QUALITY = 88
GUIDED = {"qwen-image-edit": "true_cfg_scale"}  # what the guidance is called; "guidance_scale" elsewhere
STEPS = {"flux-kontext": 28, "qwen-image-edit": 40, "sd3": 28}  # of denoising; 30 elsewhere
UNKNOWN = "0" * 32


def card(learner: Learner, base: str, digest: str, trained: Mapping[str, Any]) -> BrickCard:
    """Return the card of a brick."""
    import torch

    recipe, pipe = learner.recipe, learner.family.pipe
    parts = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    given: dict[str, float | int | str | bool] = {}
    if recipe.guidance is not None:
        given[GUIDED.get(recipe.family, "guidance_scale")] = recipe.guidance
    if recipe.image_guidance is not None:
        given["image_guidance_scale"] = recipe.image_guidance
    return BrickCard(
        **recipe.card.model_dump(), pipeline=type(pipe).__name__, conditioning=recipe.way, side=recipe.size,
        steps=recipe.infer_steps or STEPS.get(recipe.family, 30), given=given, base=base,
        parameters=sum(p.numel() for part in parts for p in part.parameters()), digest=digest, trained=dict(trained),
    )  # fmt: skip


def write(folder: Path, learner: Learner, model: Path, pairs: int, metrics: Mapping[str, float]) -> Path:
    """Write a brick, whole or not at all.

    Args:
        model: the folder that the pipeline was opened from.
        pairs: how many it learned from, those held back included.
        metrics: of the last step.

    Raises:
        OSError: it cannot be written.
    """
    recipe = learner.recipe
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    learner.save(part)
    base = (recipe.base or str(model)) if recipe.lora else ""
    facts = {"recipe": recipe.name, "family": recipe.family, "model": recipe.model, "steps": recipe.steps}
    facts |= {"pairs": pairs, "seed": recipe.seed, **{n: v for n, v in metrics.items() if n in ("loss", "held")}}
    card(learner, base, digest_of(part), facts).write(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def digest_of(folder: Path) -> str:
    """Return the digest of all files of a folder, 32 hexadecimal digits; the same for the same weights."""
    found = hashlib.blake2b(digest_size=16)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            if path.suffix == ".safetensors":  # whose writer puts what is told of the file in any order
                head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
                found.update(json.dumps(head, sort_keys=True).encode())
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def sheet(learner: Learner, looks: Sequence[Pair], path: Path) -> None:
    """Draw pairs as a sheet of rows: before, made, as it should be. Made as the brick will be asked."""
    from lego.editor import brick_painter

    recipe = learner.recipe
    painter = brick_painter(learner.family.pipe, card(learner, "", UNKNOWN, {}))
    rows = []
    for pair in looks[: recipe.looks]:
        hole = None if pair.mask is None or pair.mask.box is None else pair.mask.pixels > 0
        words = pair.words if recipe.card.slots else recipe.card.prompt
        made, _ = painter.paint(pair.before.pixels, hole, words, Context(seed=recipe.seed))
        made = made if hole is None else np.where(hole[..., None], made, pair.before.pixels)
        rows.append([pair.before.pixels, made, pair.after.pixels])
    Pillow.fromarray(tiled(rows)).save(path, quality=QUALITY)


def tiled(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """Return pictures side by side and below each other, on white."""
    cells = [[_cell(pixels) for pixels in row] for row in rows]
    return np.concatenate([np.concatenate(row, 1) for row in cells], 0)


def _cell(pixels: Pixels) -> Pixels:
    """A picture as large as a cell allows, in its middle."""
    scale = CELL / max(pixels.shape[:2])
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    cell = np.full((CELL + GAP, CELL + GAP, 3), 255, np.uint8)
    top, left = (CELL + GAP - size[1]) // 2, (CELL + GAP - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
    return cell
