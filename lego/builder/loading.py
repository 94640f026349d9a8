"""Vision-language models from a folder or the hub's cache: any image-text-to-text class of transformers."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lego.builder.prompt import FILE as FORM
from lego.core.errors import SettingsError

SEEING = ("vision_tower", "visual", "multi_modal_projector", "lm_head")  # stay as they are: they are small
ADAPTER = "adapter_config.json"  # of peft, in a folder that holds what was learned beside a model


@dataclass(frozen=True)
class Fetched:
    """A network and its processor as transformers reads them, and the folder that tells its form."""

    model: Any
    processor: Any
    folder: Path


def fetch(source: str, device: str | None = None, *, download: bool = False, small: bool = False) -> Fetched:
    """Load a vision-language model; arguments and errors as in `lego.builder.local.Local`."""
    from lego.core.processors import hide_broken_torchvision, load_processor

    hide_broken_torchvision()
    import torch
    from transformers import AutoModelForImageTextToText
    from transformers.utils import logging

    place = device or ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        folder = base = _fetched(source, download)
        if (folder / ADAPTER).is_file():
            facts = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
            base = _fetched(str(facts["base_model_name_or_path"]), download)
        processor = load_processor(base)
        kind = torch.float32 if place == "cpu" else torch.bfloat16
        packed = {"quantization_config": _packing(kind), "device_map": place} if small else {}
        model = AutoModelForImageTextToText.from_pretrained(base, dtype=kind, local_files_only=True, **packed)
        if base != folder:
            model = _merged(model, folder)
        model = (model if small else model.to(place)).eval()
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:  # transformers has no error of its own
        hint = "give a folder with an image-text-to-text model and its processor; hub ids must be in the cache"
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SettingsError(f"cannot be loaded: {why}", where=source, hint=hint, code="no_checkpoint") from error
    finally:
        if shown:
            logging.enable_progress_bar()
    return Fetched(model, processor, folder if (folder / FORM).is_file() else base)


def _fetched(source: str, download: bool) -> Path:
    """The folder of a checkpoint, by its path or hub id."""
    from huggingface_hub import snapshot_download

    folder = Path(source).expanduser()
    return folder if folder.is_dir() else Path(snapshot_download(source, local_files_only=not download))


def _merged(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():  # peft asks for a name that transformers will drop
        warnings.filterwarnings("ignore", ".*checkpointing.*", FutureWarning)
        return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()


def _packing(kind: Any) -> Any:
    from transformers import BitsAndBytesConfig

    left = [*SEEING, *(f"model.{name}" for name in SEEING)]
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=kind, llm_int8_skip_modules=left
    )
