"""A small pointing checkpoint with random weights."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import lego.tools  # registers the embedded tools
from lego.core.registry import registry


def build(folder: Path) -> Path:
    """Save one as training would; its tokenizer takes seconds to make, so tests copy one that is made once."""
    import torch
    from transformers import LlavaForConditionalGeneration

    from lego.rl import nano

    nano.build(folder, registry, "micro")
    model = LlavaForConditionalGeneration.from_pretrained(folder)
    with torch.no_grad():
        for weight in model.parameters():  # larger than the usual start, so that the likeliest token is clear
            if weight.dim() > 1:
                weight.mul_(2)
    model.save_pretrained(folder)
    return folder


def configure(folder: Path, file: str, **changes: object) -> None:
    """Change entries of a JSON file of the checkpoint; a name may lead inward, as in ``text_config__vocab_size``."""
    path = folder / file
    found = json.loads(path.read_text(encoding="utf-8"))
    for name, value in changes.items():
        *outer, last = name.split("__")
        functools.reduce(lambda inner, key: inner[key], outer, found)[last] = value
    path.write_text(json.dumps(found), encoding="utf-8")
