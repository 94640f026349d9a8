"""What the picture's tokens of a checkpoint say of scenes and faults that it never saw, read by linear heads.

python benchmarks/sight.py lego/builder/nano        # the eyes stay as they are, the heads learn
python benchmarks/sight.py --teach 2500             # eyes from scratch, taught as `lego.rl.nano.build` does it
"""

from __future__ import annotations

import argparse
import itertools
from random import Random
from typing import Any

import numpy as np
import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration

from lego.builder import NANO
from lego.rl import sight

PROBED, RATE = 600, 2e-3  # steps of the heads alone, and Adam's rate
HELD = 12  # batches that are measured


def main() -> None:
    """Print a line for each thing that is asked."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", nargs="?", help="of a checkpoint")
    options.add_argument("--teach", type=int, default=0, metavar="STEPS", help="teach eyes from scratch")
    asked = options.parse_args()
    if asked.teach:
        torch.manual_seed(0)
        model = LlavaForConditionalGeneration._from_config(LlavaConfig.from_pretrained(NANO))
        heads = sight.teach(model, asked.teach)
    else:
        model = LlavaForConditionalGeneration.from_pretrained(asked.folder or NANO, dtype="float32")
        heads = probed(model)
    for name, value in measured(model, heads).items():
        print(f"{name:22}{value:8.3f}")


def probed(model: Any) -> sight.Heads:
    """Return heads that have learned to read the tokens as they are."""
    eyes, heads = sight.eyes_of(model).eval(), sight.Heads(model.config.text_config.hidden_size)
    optimizer = torch.optim.Adam(heads.parameters(), RATE)
    for asked in itertools.islice(sight.stream(1), PROBED):
        with torch.no_grad():
            tokens = sight.tokens_of(eyes, sight.prepared(asked.pixels))
        loss = sum(heads.losses(tokens, asked).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return heads


def measured(model: Any, heads: sight.Heads) -> dict[str, float]:
    """Shares that are right, and how far the sides of the first things are off, in cells of the form's grid."""
    eyes, random = sight.eyes_of(model).eval(), Random("held")
    right: dict[str, list[bool]] = {f"first: {order}": [] for order in sight.ORDERS} | {"fault": []}
    off: list[float] = []
    for asked in (sight.batch(random) for _ in range(HELD)):
        with torch.no_grad():
            tokens = sight.tokens_of(eyes, sight.prepared(asked.pixels))
            firsts = heads.firsts(tokens).argmax(1).numpy()
            sides = heads.sides(tokens).unflatten(-1, (4, -1)).argmax(-1).numpy()
            kinds = heads.faults(tokens.mean(1)).argmax(-1).numpy()
        for row, order in np.argwhere(asked.firsts != sight.NOTHING):
            token = asked.firsts[row, order]
            right[f"first: {sight.ORDERS[order]}"].append(bool(firsts[row, order] == token))
            off.append(float(np.abs(sides[row, token] - asked.sides[row, token]).mean()))
        there = asked.faults != sight.NOTHING
        right["fault"] += (kinds == asked.faults)[there].tolist()
    return {name: float(np.mean(hits)) for name, hits in right.items()} | {"cells off": float(np.mean(off))}


if __name__ == "__main__":
    main()
