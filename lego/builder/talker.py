"""Talkers: vision-language models that look at pictures and answer in words, for thinking, judging and writing data."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from PIL import Image as Pillow

from lego.builder.frame import seen
from lego.builder.loading import fetch
from lego.builder.served import Server, Unsupported, picture
from lego.core.errors import SettingsError
from lego.core.values import Image

LONG_SIDE = 1024  # px of a picture that is shown (as ReasonEdit does, arXiv 2511.22625)
TOKENS = 1024  # of an answer, unless more or less are asked for
TOP_P = 0.9  # where an answer is sampled
THOUGHT = re.compile(r"^.*</think(?:ing)?>\s*", re.DOTALL)  # also where the chat template opened it
MODULES = ("torch", "transformers")


class Talker(Protocol):
    """Whoever looks and answers."""

    name: str

    def say(
        self,
        words: str,
        images: Sequence[Image] = (),
        *,
        tokens: int = TOKENS,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        """Answer.

        Args:
            words: what is asked; the pictures stand before them, in order.
            images: shown with a long side of 1024 px at most.
            tokens: of the answer; it is cut there.
            temperature: 0 takes the likeliest words.
            seed: of a temperature above 0.

        Returns:
            The words, thinking left out; "" if the model says nothing, or declines.

        Raises:
            PlanError: it cannot be asked at all.
        """
        ...


class Served:
    """A model behind an OpenAI-compatible server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.name = server.name

    def say(
        self,
        words: str,
        images: Sequence[Image] = (),
        *,
        tokens: int = TOKENS,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        """See `Talker.say`; pictures are sent as PNG."""
        content = [
            *(picture(seen(image, longest=LONG_SIDE), "PNG") for image in images),
            {"type": "text", "text": words},
        ]
        sampled = {"seed": seed, "top_p": TOP_P} if temperature else {}
        try:
            reply = self.server.complete(
                [{"role": "user", "content": content}], tokens=tokens, temperature=temperature, **sampled
            )
        except Unsupported as error:
            raise error.told() from None
        return THOUGHT.sub("", reply.text).strip()


class Loaded:
    """A vision-language model on this machine, loaded with the first question.

    Args:
        source, device: as in `lego.builder.local.Local`.
        load, lock: where model and processor come from, for one that also plans; by default they are loaded anew.

    Raises:
        SettingsError: torch or transformers is not installed.
    """

    def __init__(
        self,
        source: str | Path,
        device: str | None = None,
        load: Callable[[], tuple[Any, Any]] | None = None,
        lock: threading.Lock | None = None,
    ) -> None:
        missing = [name for name in MODULES if find_spec(name) is None]
        if missing:
            hint = "install the extra 'neural', or give a served model: http://localhost:8000/v1#model"
            raise SettingsError(f"the model '{source}' needs {', '.join(missing)}", hint=hint, code="not_installed")
        self.source, self.device = str(source), device
        self.name = str(source)
        self._load, self._lock = load or self._fetched, lock or threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def say(
        self,
        words: str,
        images: Sequence[Image] = (),
        *,
        tokens: int = TOKENS,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        """See `Talker.say`; the same seed gives the same words."""
        with self._lock:
            self._loaded = loaded = self._loaded or self._load()
            return _generated(
                *loaded, words, [seen(image, longest=LONG_SIDE) for image in images], tokens, temperature, seed
            )

    def _fetched(self) -> tuple[Any, Any]:
        found = fetch(self.source, self.device)
        return found.model, found.processor


def _generated(
    model: Any, processor: Any, words: str, pictures: list[Pillow.Image], tokens: int, temperature: float, seed: int
) -> str:
    import torch

    content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": words}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    read = processor(text=[text], images=[pictures] if pictures else None, return_tensors="pt").to(model.device)
    sampled = {"temperature": temperature, "top_p": TOP_P, "top_k": 0} if temperature else {}
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(seed)
        made = model.generate(**read, max_new_tokens=tokens, do_sample=bool(temperature), **sampled)
    answer = processor.tokenizer.decode(made[0, read["input_ids"].shape[1] :], skip_special_tokens=True)
    return THOUGHT.sub("", str(answer)).strip()


def open(name: str) -> Talker:
    """Return the talker of that name: ``http://server/v1#model``, or a vision-language model by folder or hub id.

    Raises:
        SettingsError: there is none, or it cannot be loaded here.
    """
    if name.startswith(("http://", "https://")):
        return Served(Server(name))
    if "/" in name or Path(name).is_dir():
        return Loaded(name)
    hint = "http://server/v1#model, the folder of a vision-language model, or its hub id"
    raise SettingsError(f"there is no model '{name}' to talk to", hint=hint, code="unknown_model")
