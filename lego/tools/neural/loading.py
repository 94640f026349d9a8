"""Loading networks of transformers from a folder, and never from anywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lego.core.models import hide_broken_torchvision


def load_pair(folder: Path, device: str, precision: str, model: str, processor: str) -> tuple[Any, Any]:
    """Return model and processor of a folder, by the names of their classes in transformers, ready to be asked.

    Raises:
        OSError, ValueError: the folder does not hold them.
    """
    hide_broken_torchvision()
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    dtype = getattr(torch, precision)
    net = getattr(transformers, model).from_pretrained(folder, dtype=dtype, local_files_only=True)
    return net.eval().to(device), getattr(transformers, processor).from_pretrained(folder, local_files_only=True)
