"""Asking diffusion pipelines of diffusers: any size in and the same out, seeds, progress with every step.

Each family of pipelines has habits of its own about sizes and arguments. They are all asked in one way: a crop is
scaled to what the family was trained at, padded to a size that it takes, and brought back.
"""

from __future__ import annotations

import importlib
import inspect
import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from lego.core.codec import Pixels
from lego.core.errors import RefusedError, StepError
from lego.core.frames import Frame, surroundings
from lego.core.processors import has_torchvision, hide_broken_torchvision, load_processor
from lego.core.signature import Context
from lego.tools.finders.regions import Bools

LORAS = "loras"  # folder beside the weights: adapters in it are merged into them, in the order of their names
SOFT = 1.5  # times the pixels that were painted: enlarging to more is seen
LATIN = ("LATIN", "DIGIT")  # what the names of the letters of English and its loanwords begin with


@dataclass(frozen=True)
class Habits:
    """How a family of pipelines wants to be asked.

    Attributes:
        side: px; pictures of about this area were trained with.
        multiple: of which sides must be.
        steps: of denoising, as its authors advise.
        given: arguments that are always the same.
        english: it reads nothing else.
    """

    side: int
    multiple: int
    steps: int
    given: Mapping[str, Any] = field(default_factory=dict)
    english: bool = True


_SD = Habits(512, 8, 30, {"guidance_scale": 7.5})
_QWEN = Habits(1024, 16, 40, {"true_cfg_scale": 4.0, "negative_prompt": " "}, english=False)
FAMILIES: dict[str, Habits] = {
    "StableDiffusionInpaintPipeline": _SD,
    "StableDiffusionXLInpaintPipeline": Habits(1024, 8, 30, {"guidance_scale": 7.5}),
    "StableDiffusion3InpaintPipeline": Habits(1024, 16, 28, {"guidance_scale": 7.0}),
    "FluxFillPipeline": Habits(1024, 16, 30, {"guidance_scale": 30.0, "max_sequence_length": 512}),
    "QwenImageInpaintPipeline": _QWEN,
    "StableDiffusionInstructPix2PixPipeline": Habits(512, 8, 30, {"guidance_scale": 7.5, "image_guidance_scale": 1.5}),
    "FluxKontextPipeline": Habits(1024, 16, 28, {"guidance_scale": 3.5, "_auto_resize": False}),
    "QwenImageEditPipeline": _QWEN,
    "QwenImageEditPlusPipeline": _QWEN,
}


class Painter:
    """A pipeline, asked in the one way.

    Args:
        pipe: of a class in `FAMILIES`.
        habits: of its own; None for those of its family.

    Raises:
        StepError: of another class.
    """

    def __init__(self, pipe: Any, habits: Habits | None = None) -> None:
        name = type(pipe).__name__
        if name not in FAMILIES:
            hint = f"known are {', '.join(FAMILIES)}"
            raise StepError(f"nothing here knows how to ask a {name}", hint=hint, code="bad_weights")
        self.pipe, self.habits = pipe, habits or FAMILIES[name]
        self.accepted = frozenset(inspect.signature(pipe.__call__).parameters)
        pipe.set_progress_bar_config(disable=True)

    def to(self, device: str) -> None:
        """Move it."""
        self.pipe.to(device)

    def stream(self, device: str) -> None:
        """Let it run on a device that it does not fit into: each layer's weights come when it is their turn, and go."""
        import torch

        ahead = device.startswith("cuda")  # the next layer comes while one is at work
        self.pipe.enable_group_offload(
            torch.device(device), offload_type="leaf_level", use_stream=ahead, low_cpu_mem_usage=ahead
        )

    def paint(
        self, pixels: Pixels, hole: Bools | None, prompt: str, context: Context, strength: float = 1.0
    ) -> tuple[Pixels, tuple[str, ...]]:
        """Return what the words make of a picture, at its size, and notes; around a hole it may be changed as well.

        Args:
            pixels: H x W x 3.
            hole: H x W, True where it matters; None for all of the picture.
            prompt: what is to be seen, or to be done.
            context: its tile, if it has one, is the side of what is worked on.
            strength: 0..1; below 1 it begins with what is there.

        Raises:
            RefusedError: it cannot read the words, or its own filter withheld what it made.
            StepError: it made no numbers.
        """
        if self.habits.english and not _is_latin(prompt):
            hint = "say in English what is to be seen"
            raise RefusedError(f"this network reads English, not '{prompt}'", hint=hint, code="language")
        whole = pixels.shape[:2]
        x0, y0, x1, y1 = surroundings(hole) if hole is not None else (0, 0, whole[1], whole[0])
        cut = None if hole is None else hole[y0:y1, x0:x1]
        side = min(self.habits.side, context.tile or self.habits.side)
        frame = Frame.of((y1 - y0, x1 - x0), side, self.habits.multiple)
        asked: dict[str, Any] = {"prompt": prompt, "image": Pillow.fromarray(frame.show(pixels[y0:y1, x0:x1]))}
        if "mask_image" in self.accepted:
            asked |= {"mask_image": Pillow.fromarray(frame.under(cut)), "strength": strength}
        made = np.array(pixels)
        made[y0:y1, x0:x1] = frame.back(self._asked(asked, frame.padded, context))
        return made, tuple(self._notes(prompt, frame))

    def _asked(self, asked: dict[str, Any], size: tuple[int, int], context: Context) -> Pixels:
        """Run it: the same seed gives the same bytes, and what is broken off leaves nothing behind."""
        import torch

        strength = asked.get("strength", 1.0)
        steps = max(self.habits.steps, math.ceil(1 / max(strength, 0.01)))  # int(steps * strength) must be one at least
        taken = max(1, int(steps * strength))

        def step(pipe: Any, number: int, moment: Any, kept: dict[str, Any]) -> dict[str, Any]:
            context.progress(min(1.0, (number + 1) / taken))
            return kept

        sizes = {"height": size[0], "width": size[1], "max_area": size[0] * size[1]}
        asked |= {name: value for name, value in sizes.items() if name in self.accepted}
        self.pipe.scheduler = type(self.pipe.scheduler).from_config(self.pipe.scheduler.config)
        made = self.pipe(
            **asked, **self.habits.given, num_inference_steps=steps, output_type="np", callback_on_step_end=step,
            generator=torch.Generator("cpu").manual_seed(context.seed),
        )  # fmt: skip
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            hint = "say it differently, or try another seed"
            raise RefusedError("the network's own filter withheld what it made", hint=hint, code="withheld")
        values = np.asarray(made.images[0], np.float32)
        if not np.isfinite(values).all():
            hint = "try another seed"
            raise StepError("the network made what is no number", hint=hint, code="not_a_number")
        return np.asarray(np.rint(values.clip(0, 1) * 255), np.uint8)

    def _notes(self, prompt: str, frame: Frame) -> Iterator[str]:
        if frame.size[0] * frame.size[1] > SOFT * frame.shown[0] * frame.shown[1]:
            yield f"painted at {frame.shown[1]} x {frame.shown[0]} px and enlarged; a smaller area comes out sharper"
        limit = getattr(getattr(self.pipe, "tokenizer", None), "model_max_length", 0)
        if "max_sequence_length" not in self.accepted and 0 < limit < len(self.pipe.tokenizer(prompt).input_ids):
            yield f"the network read only the first {limit} pieces of the words"


def load_painter(folder: Path, device: str, precision: str) -> Painter:
    """Return the pipeline in a folder, with the adapters beside it merged into it.

    Raises:
        OSError, ValueError: the folder does not hold one, or an adapter does not fit it.
        StepError: it is one that nothing here knows how to ask.
    """
    pipe = open_pipe(folder, precision)
    painter = Painter(pipe)
    for file in sorted((folder / LORAS).glob("*.safetensors")):
        merge(pipe, file)
    pipe.to(device)
    return painter


def open_pipe(folder: Path, precision: str, kind: str = "DiffusionPipeline") -> Any:
    """Return the pipeline in a folder as a class of diffusers, or as its own; errors as `load_painter`."""
    hide_broken_torchvision()
    import torch
    import transformers

    diffusers: Any = importlib.import_module("diffusers")  # it has no types
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # else a line for every processor that needs no torchvision
    dtype = getattr(torch, precision)
    variant = "fp16" if any(folder.glob("*/*.fp16.safetensors")) else None
    return getattr(diffusers, kind).from_pretrained(
        folder, dtype=dtype, variant=variant, local_files_only=True, **_looking(folder)
    )


def merge(pipe: Any, adapter: Path) -> None:
    """Merge an adapter's file into the weights of a pipeline."""
    pipe.load_lora_weights(adapter.parent, weight_name=adapter.name, local_files_only=True)
    pipe.fuse_lora()
    pipe.unload_lora_weights()


def _looking(folder: Path) -> dict[str, Any]:
    """The processor of a pipeline whose words are read by a Qwen-VL, which diffusers could not load itself here."""
    if has_torchvision() or not (folder / "processor").is_dir():
        return {}
    return {"processor": load_processor(folder / "processor", "qwen2_5_vl")}


def _is_latin(text: str) -> bool:
    """Is no letter of another script in it?"""
    return all(unicodedata.name(letter, "LATIN").startswith(LATIN) for letter in text if letter.isalnum())
