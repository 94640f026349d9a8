"""A vision-language model on this machine as a builder: any image-text-to-text checkpoint of transformers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lego.builder import light, planning
from lego.builder.base import Plan, Request
from lego.builder.constraint import Constraint
from lego.builder.decode import TorchSession
from lego.builder.frame import KIND, seen
from lego.builder.loading import ADAPTER, fetch
from lego.builder.prompt import FILE as FORM_FILE
from lego.builder.prompt import Form, Json, form_of
from lego.builder.talker import Loaded, Talker
from lego.core.errors import SettingsError

MODULES = ("torch", "transformers", "llguidance")
THINKING = "<think>\n"  # some chat templates begin the thought themselves; the grammar begins it, or does not


@dataclass(frozen=True)
class Checkpoint:
    """What is loaded: the network, its processor, the constraint over its tokens, its form."""

    model: Any
    processor: Any
    constraint: Constraint
    form: Form

    def start(self, request: Request) -> TorchSession:
        """See `lego.builder.planning.Network`."""
        return TorchSession(self.model, inputs_of(self, [request]))

    def text(self, ids: Sequence[int]) -> str:
        """See `lego.builder.planning.Network`."""
        return text_of(self, ids)


class Local:
    """Plans with a vision-language model on this machine.

    The weights are loaded with the first plan. One plan is made at a time, whichever thread asks.

    Args:
        source: a folder that ``save_pretrained`` wrote (model and processor), or a hub id that is in the cache. One
            with graphs that `lego.rl.export` wrote runs in ONNX Runtime, without torch.
        device: such as "cuda" or "cpu", with torch; by default the best here.
        download: fetch a hub id that is not in the cache.
        small: keep the weights of the layers in 4 bits (NF4, Dettmers 2023): a quarter of the memory, a little worse.

    A folder of peft's adapters (LoRA) is loaded with the model that it names, and merged into it.

    Raises:
        SettingsError: no such folder, not a checkpoint, or torch, transformers or llguidance is not installed.
    """

    def __init__(
        self, source: str | Path, device: str | None = None, *, download: bool = False, small: bool = False
    ) -> None:
        folder = Path(source).expanduser()
        graphs = device is None and not small and (folder / light.TEXT).is_file()
        adapted = (folder / ADAPTER).is_file()
        needed = (*MODULES, *(["bitsandbytes"] if small else []), *(["peft"] if adapted else []))
        ways = (light.MODULES, needed) if graphs else (needed,)
        lacking = [[name for name in modules if find_spec(name) is None] for modules in ways]
        if all(lacking):
            missing = lacking[0]
            extra = "" if graphs else " (the extra 'neural')"
            hint = f"install {' and '.join(missing)}{extra}, or plan by rules: the builder 'rules' needs no network"
            raise SettingsError(f"the builder '{source}' needs {', '.join(missing)}", hint=hint, code="not_installed")
        self.light = graphs and not lacking[0]  # the quicker way by far: a second less before the first plan
        self.source = str(folder) if folder.is_dir() else str(source)
        if folder.is_dir() and not adapted and not (folder / "config.json").is_file():
            hint = "give a folder that save_pretrained wrote: model and processor"
            raise SettingsError("the folder holds no checkpoint", where=self.source, hint=hint, code="no_checkpoint")
        if not folder.is_dir() and (folder.is_absolute() or self.source.startswith(".") or self.source.count("/") != 1):
            hint = "give the folder of a checkpoint, or a hub id such as Qwen/Qwen2.5-VL-7B-Instruct"
            raise SettingsError("there is no such folder", where=self.source, hint=hint, code="no_checkpoint")
        self.name = self.source
        self.device = device
        self.download, self.small = download, small
        self._lock = threading.Lock()
        self._loaded: planning.Network | None = None

    def plan(self, request: Request) -> Plan:
        """Write a workflow for the request; see `Builder.plan`."""
        with self._lock:
            self._loaded = loaded = self._loaded or self._load()
            return planning.plan(loaded, request)

    @property
    def talker(self) -> Talker | None:
        """The same model, asked in words; None for one that was trained to write plans of its own form only."""
        folder = Path(self.source)
        if self.light or (folder.is_dir() and not isinstance(form_of(folder), Json)):
            return None
        return Loaded(self.source, self.device, self._shared, self._lock)

    def _shared(self) -> tuple[Any, Any]:
        """The network and its processor, loaded once for planning and talking."""
        self._loaded = loaded = self._loaded or self._load()
        assert isinstance(loaded, Checkpoint)
        return loaded.model, loaded.processor

    def _load(self) -> planning.Network:
        if self.light:
            return light.Light(Path(self.source))
        return load(self.source, self.device, download=self.download, small=self.small)


def load(source: str, device: str | None = None, *, download: bool = False, small: bool = False) -> Checkpoint:
    """Load a checkpoint ready to plan; arguments and errors as in `Local`."""
    found = fetch(source, device, download=download, small=small)
    processor, model = found.processor, found.model
    processor.tokenizer.padding_side = "left"  # rows of different lengths must end together
    constraint = Constraint(processor.tokenizer, model.config.get_text_config().vocab_size)
    form = form_of(found.folder)
    if isinstance(form, Json) and not (found.folder / FORM_FILE).is_file():  # as it came, not trained here
        form = Json(pixels=model.config.model_type == KIND)
    return Checkpoint(model, processor, constraint, form)


def inputs_of(checkpoint: Checkpoint, requests: list[Request]) -> dict[str, Any]:
    """Return what the model reads for these requests, on its device: one row each, padded on the left."""
    pictures = [seen(request.image, checkpoint.form.pixels) for request in requests]
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
