"""The light way to plan with a small checkpoint: its exported graphs in ONNX Runtime, without torch and transformers.

`lego.rl.export` writes the graphs; they read their weights from the very ``model.safetensors`` that transformers reads.
What else the network needs to know (how the picture is made ready, what stands around the prompt) lies in the graph of
the text as metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydantic import BaseModel, ConfigDict

from lego.builder.base import Request
from lego.builder.constraint import Constraint, unpacked
from lego.builder.frame import seen
from lego.builder.prompt import form_of
from lego.core.errors import SettingsError
from lego.core.values import Image

MODULES = ("onnxruntime", "llguidance")
PICTURE, TEXT, WEIGHTS, TOKENIZER = "picture.onnx", "text.onnx", "model.safetensors", "tokenizer.json"
FACTS = "lego"  # the key of the metadata
Past: TypeAlias = dict[str, NDArray[np.float32]]  # keys and values of each layer: heads x tokens x width

THREADS = 1  # of seven million parameters a step takes 0.8 ms; with a second thread to wait for, 1.1 (1.7 if it spins)


class Facts(BaseModel):
    """What the graphs do not say: how the picture and the prompt are made ready.

    Attributes:
        side: of the square picture in pixels, to which it is resized with Pillow's filter number ``resample``.
        mean, std: of the colours, in 0..1, that the network takes for 0 and 1.
        before, after: the text around the form's prompt, a token for each of the picture's features in it.
        eos: the tokens that end an answer.
        weights: `header_digest` of the weights that the graphs were made for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    side: int
    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    before: str
    after: str
    eos: tuple[int, ...]
    weights: str


def header_digest(weights: Path) -> str:
    """Return a digest of what a safetensors file says about its weights: their names, types, shapes and places.

    Other values in the same places have the same digest, and the same graphs fit them.
    """
    with weights.open("rb") as file:
        size = file.read(8)
        return hashlib.sha256(size + file.read(min(int.from_bytes(size, "little"), 1 << 24))).hexdigest()


class Light:
    """A checkpoint's network in ONNX Runtime; see `lego.builder.planning.Network`.

    Args:
        folder: where `lego.rl.export.export` wrote.

    Raises:
        SettingsError: a file is missing or broken, or the graphs belong to other weights.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._load(folder)
        except SettingsError:
            raise
        except Exception as error:  # those of ONNX Runtime have no common base
            why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise _broken(folder, f"the exported checkpoint cannot be loaded: {why}") from error

    def _load(self, folder: Path) -> None:
        for name in (PICTURE, TEXT, WEIGHTS, TOKENIZER):
            if not (folder / name).is_file():
                raise _broken(folder, f"the exported checkpoint has no {name}")
        self.form = form_of(folder)
        self._picture, self._text = _session(folder / PICTURE), _session(folder / TEXT)
        self.facts = Facts.model_validate_json(self._text.get_modelmeta().custom_metadata_map.get(FACTS, "{}"))
        if self.facts.weights != header_digest(folder / WEIGHTS):
            raise _broken(folder, f"{TEXT} was made for other weights than those in {WEIGHTS}")
        logits, *caches = self._text.get_outputs()
        self.caches = [cache.name.removeprefix("next_") for cache in caches]
        self.past = {name: _nothing(cache.shape) for name, cache in zip(self.caches, caches, strict=True)}
        tokenizer = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
        tokenizer |= {"padding": None, "truncation": None}  # training leaves them as it last used them
        self.constraint = Constraint(json.dumps(tokenizer), logits.shape[0], list(self.facts.eos))

    def start(self, request: Request) -> LightSession:
        """Read the picture and the prompt of a request."""
        features = self._picture.run(None, {"pixels": self.pixels(request.image)})[0]
        return LightSession(self, self.ids(request), features)

    def ids(self, request: Request) -> list[int]:
        """Return the tokens of the prompt, those kept for the picture included."""
        return self.constraint.ids(f"{self.facts.before}{self.form.prompt(request)}{self.facts.after}")

    def pixels(self, image: Image) -> NDArray[np.float32]:
        """Return the picture as the network takes it, 1 x 3 x side x side; the same numbers as SigLIP's processor."""
        side = self.facts.side
        small = seen(image).resize((side, side), Pillow.Resampling(self.facts.resample))
        shares = np.asarray(small, np.uint8).astype(np.float64) / 255
        mean, std = (np.array(numbers, np.float32) for numbers in (self.facts.mean, self.facts.std))
        found = (shares.astype(np.float32) - mean) / std
        return np.ascontiguousarray(found.transpose(2, 0, 1)[None], np.float32)

    def text(self, ids: Sequence[int]) -> str:
        """Return an answer's text, with its special tokens."""
        return self.constraint.text(ids)

    def run(self, ids: Sequence[int], features: NDArray[np.float32], past: Past) -> tuple[NDArray[np.float32], Past]:
        """Run the text's part over new tokens; return the logits after the last one, and the past with them."""
        logits, *caches = self._text.run(None, {"ids": np.array(ids, np.int64), "features": features, **past})
        return logits, dict(zip(self.caches, caches, strict=True))


class LightSession:
    """One answer under way in ONNX Runtime; see `lego.builder.decode.Session`."""

    def __init__(self, network: Light, ids: Sequence[int], features: NDArray[np.float32]) -> None:
        self.network = network
        self.features = features
        self.logits, self.past = network.run(ids, features, network.past)

    def feed(self, blocks: Sequence[Sequence[int]]) -> None:
        """See `Session.feed`."""
        (block,) = blocks
        self.logits, self.past = self.network.run(block, self.features, self.past)

    def draw(
        self,
        places: Sequence[int],
        masks: NDArray[np.uint8],
        draws: Sequence[float],
        temperature: float,
        leans: Sequence[Mapping[int, float]] = (),
    ) -> list[tuple[int, float]]:
        """See `Session.draw`."""
        allowed = unpacked(masks[0], len(self.logits))
        logits = self.logits.astype(np.float64)
        for token, more in (leans[0] if leans else {}).items():
            logits[token] += more
        scores = np.where(allowed, logits / (temperature or 1.0), -np.inf)
        logps = scores - scores.max()
        logps -= np.log(np.exp(logps).sum())
        drawn = int(scores.argmax())
        if temperature:
            ladder = np.exp(logps).cumsum()
            drawn = int(np.searchsorted(ladder, draws[0] * ladder[-1], side="right"))
        return [(drawn, float(logps[drawn]))]

    def keep(self, places: Sequence[int]) -> None:
        """See `Session.keep`; the only row stays."""


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 4  # what fails is raised as well
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _nothing(shape: Sequence[Any]) -> NDArray[np.float32]:
    """An empty past: heads x 0 x width."""
    return np.zeros((shape[0], 0, shape[2]), np.float32)


def _broken(folder: Path, message: str) -> SettingsError:
    hint = "write the graphs again: `lego train export` with this folder"
    return SettingsError(message, where=str(folder), hint=hint, code="no_checkpoint")
