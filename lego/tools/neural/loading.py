"""Loading networks of transformers from a folder, and never from anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lego.core.processors import hide_broken_torchvision


def load_net(folder: Path, device: str, precision: str, model: str) -> Any:
    """Return the model of a folder, by the name of its class in transformers, ready to be asked.

    Raises:
        OSError, ValueError: the folder does not hold it.
    """
    hide_broken_torchvision()
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    dtype = getattr(torch, precision)
    net = getattr(transformers, model).from_pretrained(folder, dtype=dtype, local_files_only=True)
    return net.eval().to(device)


def load_pair(folder: Path, device: str, precision: str, model: str, processor: str) -> tuple[Any, Any]:
    """Return model and processor of a folder, by the names of their classes; errors as `load_net`."""
    net = load_net(folder, device, precision, model)
    import transformers

    return net, getattr(transformers, processor).from_pretrained(folder, local_files_only=True)


def moved(inputs: Mapping[str, Any], net: Any) -> dict[str, Any]:
    """Return inputs on the device of a model, numbers with a point in its precision."""
    return {k: v.to(net.device, net.dtype if v.is_floating_point() else None) for k, v in inputs.items()}
