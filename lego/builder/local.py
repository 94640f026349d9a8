"""A vision-language model on this machine as a builder: any image-text-to-text checkpoint of transformers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from lego.builder.base import Plan, Request
from lego.builder.constraint import Constraint
from lego.builder.prompt import Form, form_of
from lego.core.errors import PlanError, SettingsError
from lego.core.values import Image

MODULES = ("torch", "transformers", "llguidance")
LONG_SIDE = 768  # of the picture that the model sees (as in Lego-Edit, arXiv 2509.12883): about 750 tokens of Qwen-VL
NARROWEST = 50  # Qwen-VL refuses pictures over 200 times as long as wide; after rounding to patches this stays below
MAX_TOKENS = 4096  # of an answer; the grammar bounds it too, but by the longest text of every argument
MAX_INSTRUCTION = 4000  # characters; the cards of a hundred tools take 21,000
THINKING = "<think>\n"  # some chat templates begin the thought themselves; the grammar begins it, or does not
AGAIN = 0.7  # temperature after a plan with problems: the likeliest plan was the one that failed


@dataclass(frozen=True)
class Checkpoint:
    """What is loaded: the network, its processor, the constraint over its tokens, its form."""

    model: Any
    processor: Any
    constraint: Constraint
    form: Form


class Local:
    """Plans with a vision-language model on this machine.

    The weights are loaded with the first plan. One plan is made at a time, whichever thread asks.

    Args:
        source: a folder that ``save_pretrained`` wrote (model and processor), or a hub id that is in the cache.
        device: such as "cuda" or "cpu"; by default the best here.
        download: fetch a hub id that is not in the cache.

    Raises:
        SettingsError: no such folder, not a checkpoint, or torch, transformers or llguidance is not installed.
    """

    def __init__(self, source: str | Path, device: str | None = None, *, download: bool = False) -> None:
        missing = [name for name in MODULES if find_spec(name) is None]
        if missing:
            hint = f"install {' and '.join(missing)} (the extra 'neural')"
            raise SettingsError(f"the builder '{source}' needs {', '.join(missing)}", hint=hint, code="not_installed")
        folder = Path(source).expanduser()
        self.source = str(folder) if folder.is_dir() else str(source)
        if folder.is_dir() and not (folder / "config.json").is_file():
            hint = "give a folder that save_pretrained wrote: model and processor"
            raise SettingsError("the folder holds no checkpoint", where=self.source, hint=hint, code="no_checkpoint")
        if not folder.is_dir() and (folder.is_absolute() or self.source.startswith(".") or self.source.count("/") != 1):
            hint = "give the folder of a checkpoint, or a hub id such as Qwen/Qwen2.5-VL-7B-Instruct"
            raise SettingsError("there is no such folder", where=self.source, hint=hint, code="no_checkpoint")
        self.name = self.source
        self.device = device
        self.download = download
        self._lock = threading.Lock()
        self._loaded: Checkpoint | None = None

    def plan(self, request: Request) -> Plan:
        """Write a workflow for the request; see `Builder.plan`."""
        from lego.builder.decode import generate

        if not request.instruction.strip():
            raise PlanError("the instruction is empty", hint="say what to do", code="empty")
        if len(request.instruction) > MAX_INSTRUCTION:
            raise PlanError(
                f"the instruction has over {MAX_INSTRUCTION} characters", hint="ask for less", code="too_long"
            )
        with self._lock:
            self._loaded = loaded = self._loaded or load(self.source, self.device, download=self.download)
            matcher = loaded.constraint.start(loaded.form.grammar(request))
            found = generate(
                loaded.model, inputs_of(loaded, [request]), lambda _: matcher,
                temperature=AGAIN if request.history else 0.0, seed=len(request.history), max_tokens=MAX_TOKENS,
            )[0]  # fmt: skip
        if not found.whole:
            raise PlanError(f"the model's plan has over {MAX_TOKENS} tokens", hint="ask for less", code="too_long")
        return loaded.form.read(text_of(loaded, found.ids), request)


def load(source: str, device: str | None = None, *, download: bool = False) -> Checkpoint:
    """Load a checkpoint ready to plan; arguments and errors as in `Local`."""
    from lego.builder.processors import hide_broken_torchvision, load_processor

    hide_broken_torchvision()
    import torch
    from huggingface_hub import snapshot_download
    from transformers import AutoModelForImageTextToText
    from transformers.utils import logging

    place = device or ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        folder = Path(source)
        if not folder.is_dir():
            folder = Path(snapshot_download(source, local_files_only=not download))
        processor = load_processor(folder)
        kind = torch.float32 if place == "cpu" else torch.bfloat16
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=kind, local_files_only=True).to(place).eval()
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:  # transformers has no error of its own
        hint = "give a folder with an image-text-to-text model and its processor; hub ids must be in the cache"
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SettingsError(f"cannot be loaded: {why}", where=source, hint=hint, code="no_checkpoint") from error
    finally:
        if shown:
            logging.enable_progress_bar()
    processor.tokenizer.padding_side = "left"  # rows of different lengths must end together
    constraint = Constraint(processor.tokenizer, model.config.get_text_config().vocab_size)
    return Checkpoint(model, processor, constraint, form_of(folder))


def inputs_of(checkpoint: Checkpoint, requests: list[Request]) -> dict[str, Any]:
    """Return what the model reads for these requests, on its device: one row each, padded on the left."""
    pictures = [seen(request.image) for request in requests]
    processor = checkpoint.processor
    texts: list[str] = [
        processor.apply_chat_template(
            [
                {
                    "role": "user",
                    "content": [{"type": "image"}, {"type": "text", "text": checkpoint.form.prompt(request)}],
                }
            ],
            add_generation_prompt=True,
            tokenize=False,
        )
        for request in requests
    ]
    texts = [text.removesuffix(THINKING) for text in texts]
    read = processor(text=texts, images=pictures, return_tensors="pt", padding=len(texts) > 1)
    return dict(read.to(checkpoint.model.device))


def text_of(checkpoint: Checkpoint, ids: Sequence[int]) -> str:
    """Return an answer's text, with its special tokens."""
    words = checkpoint.processor.tokenizer
    return str(words.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def seen(image: Image) -> Pillow.Image:
    """Return the picture that a model looks at: RGB, its long side at most 768 pixels, no thinner than it can read."""
    picture = image.pil().convert("RGB")
    scale = min(1.0, LONG_SIDE / max(picture.size))
    wide, high = (max(1, round(side * scale)) for side in picture.size)
    least = -(-max(wide, high) // NARROWEST)
    size = max(wide, least), max(high, least)
    return picture if size == picture.size else picture.resize(size, Pillow.Resampling.LANCZOS, reducing_gap=2.0)
