"""Pairs and recipes that tests of bricks share."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lego.core.values import Image, Mask
from lego.rl import scenes
from lego.rl.bricks.recipe import BrickRecipe

CARD: dict[str, Any] = {
    "name": "dip_in_blue",
    "sentence": "Dip the ball in blue paint.",
    "phrases": {"dip the ball in blue": {}},
    "mask": "area",
    "prompt": "the ball is blue",
}


def pair(seed: int, size: tuple[int, int] = (64, 64)) -> tuple[Image, Image, Mask]:
    """A scene, the same with its first thing in blue, and where that is."""
    scene = scenes.make(seed, 2, 4)
    drawn = scenes.render(scene, size)
    return drawn.image, scenes.render(scene.recolored(0, "blue"), size).image, drawn.masks[0]


KILLED = """
import os, signal, sys
from pathlib import Path
from lego.rl.bricks.recipe import BrickRecipe
from lego.rl.bricks.training import train
from tests.rl import brick_data
if sys.argv[4]:
    brick_data.look_small()
made = BrickRecipe.model_validate_json(sys.argv[1])
die = lambda at: at.stage == "brick" and at.step == 3 and os.kill(os.getpid(), signal.SIGKILL)
train(made, sys.argv[2], sys.argv[3], listen=die)
"""


def train_until_killed(made: BrickRecipe, data: Path, folder: Path, small: bool = False) -> None:
    """Train in a process that kills itself in step 3; with as many threads as here, on which the order of sums depends.

    Args:
        small: whoever reads looks at small pictures, as after `look_small`.
    """
    threads = str(importlib.import_module("torch").get_num_threads())
    command = [sys.executable, "-c", KILLED, made.model_dump_json(), str(data), str(folder), "small" if small else ""]
    done = subprocess.run(
        command, capture_output=True, cwd=Path(__file__).parents[2], env=os.environ | {"OMP_NUM_THREADS": threads},
        check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-800:]


def write(folder: Path, count: int, masks: bool = False, size: tuple[int, int] = (64, 64)) -> Path:
    """Write pairs as a plain folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for seed in range(count):
        before, after, mask = pair(seed, size)
        row = {"before": f"{seed}-a.png", "after": f"{seed}-b.png", "words": "the ball is blue"}
        before.save(folder / row["before"])
        after.save(folder / row["after"])
        if masks:
            row["mask"] = f"{seed}-m.png"
            mask.save(folder / row["mask"])
        lines.append(json.dumps(row) + "\n")
    (folder / "pairs.jsonl").write_text("".join(lines))
    return folder


def recipe(model: Path, family: str, **more: Any) -> BrickRecipe:
    """A short recipe for a toy."""
    given: dict[str, Any] = {
        "name": "toy", "model": str(model), "family": family, "card": CARD, "size": 64, "steps": 3, "lr": 1e-3,
        "precision": "fp32", "infer_steps": 2, "warmup": 0.0, "lora": {"rank": 4, "alpha": 8},
    }  # fmt: skip
    return BrickRecipe.model_validate(given | more)


def look_small(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let Qwen-Image-Edit look at pictures of 64 px; it looks at a megapixel else, whatever it is given."""
    plus = importlib.import_module("diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus")
    one = importlib.import_module("diffusers.pipelines.qwenimage.pipeline_qwenimage_edit")
    put(plus, "VAE_IMAGE_SIZE", 64 * 64)
    put(plus, "CONDITION_IMAGE_SIZE", 64 * 64)
    real = one.calculate_dimensions
    put(one, "calculate_dimensions", lambda area, ratio: real(64 * 64, ratio))
