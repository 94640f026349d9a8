"""Processors of checkpoints, also where their own class wants torchvision, which none of our pictures needs."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# the processors of these also read films, and cannot be made without torchvision; ours has no films
FILMED = {
    "qwen2_vl": ("transformers.models.qwen2_vl.processing_qwen2_vl", "Qwen2VLProcessor"),
    "qwen2_5_vl": ("transformers.models.qwen2_5_vl.processing_qwen2_5_vl", "Qwen2_5_VLProcessor"),
    "qwen3_vl": ("transformers.models.qwen3_vl.processing_qwen3_vl", "Qwen3VLProcessor"),
    "qwen3_vl_moe": ("transformers.models.qwen3_vl.processing_qwen3_vl", "Qwen3VLProcessor"),
}


def load_processor(folder: str | Path, kind: str = "") -> Any:
    """Return the processor in a folder, for pictures and text; what transformers raises is passed on.

    Args:
        kind: the type of its model, if the folder has no model's configuration that tells it.
    """
    from transformers import AutoConfig, AutoProcessor

    kind = kind or AutoConfig.from_pretrained(folder, local_files_only=True).model_type
    if kind not in FILMED or has_torchvision():
        return AutoProcessor.from_pretrained(folder, local_files_only=True)
    from transformers import AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    images = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return picture_processor(kind)(images, tokenizer, chat_template=_template(Path(folder), tokenizer))


@functools.cache
def picture_processor(kind: str) -> Any:
    """Return the processor class of a model type of Qwen-VL for pictures alone, which can do without torchvision.

    It is made from an image processor, a tokenizer and a chat template, and is saved under the original's name and
    library, by itself and with a pipeline of diffusers.
    """
    from transformers import ProcessorMixin

    module, name = FILMED[kind]
    original = getattr(importlib.import_module(module), name)

    def __init__(self: Any, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:  # noqa: N807
        for role, text in (("image", "<|image_pad|>"), ("video", "<|video_pad|>")):
            setattr(self, f"{role}_token", text)
            setattr(self, f"{role}_token_id", tokenizer.convert_tokens_to_ids(text))
        for role in ("vision_start", "vision_end"):
            setattr(self, f"{role}_token", f"<|{role}|>")
            setattr(self, f"{role}_token_id", tokenizer.convert_tokens_to_ids(f"<|{role}|>"))
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    facts = {"__init__": __init__, "__module__": original.__module__, "__doc__": original.__doc__}
    return type(name, (original,), facts)


def _template(folder: Path, tokenizer: Any) -> str | None:
    """The chat template: of its own file, as new checkpoints have it, in JSON as older ones, or the tokenizer's."""
    new, old = folder / "chat_template.jinja", folder / "chat_template.json"
    if new.is_file():
        return new.read_text(encoding="utf-8")
    if old.is_file():
        return str(json.loads(old.read_text(encoding="utf-8"))["chat_template"])
    return getattr(tokenizer, "chat_template", None)


def hide_broken_torchvision() -> None:
    """Let transformers find no torchvision rather than one that cannot be imported, which breaks all its models.

    It looks only whether the package is there; one built for another torch fails on import.
    """
    if find_spec("torchvision") is not None and not has_torchvision():
        sys.modules["torchvision"] = None  # type: ignore[assignment]


def has_torchvision() -> bool:
    """Is there one that can be imported?"""
    try:
        importlib.import_module("torchvision")
    except Exception:  # a build for another torch fails in many ways, and then is as good as none
        return False
    return True
