"""Trained bricks as tools: the folder that `lego train brick` wrote is registered, and every builder knows it.

The card in it is the tool; its network is declared so that the pool loads it, holds it and lets it go like any other.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image as Pillow
from pydantic import Field

from lego.core.brick_card import ADAPTER, DIPTYCH, FILE, MODEL, READER, BrickCard, home_of
from lego.core.codec import Pixels
from lego.core.errors import ToolDefinitionError
from lego.core.networks import Network
from lego.core.registry import Tool, tool
from lego.core.signature import Area, Context, Thing
from lego.core.values import Image, Mask
from lego.tools.neural.diffusion import FAMILIES, Painter, merge, open_pipe
from lego.tools.neural.generate import NEEDED, instructed

FAMILY = "bricks"  # the family of all of them, as `lego tools` lists them
WORKING = {  # MB that one call takes beside the weights, at the side that the family was made for
    "StableDiffusionInpaintPipeline": 2500, "StableDiffusionInstructPix2PixPipeline": 2500,
    "StableDiffusionXLInpaintPipeline": 5000, "StableDiffusion3InpaintPipeline": 5000, "FluxFillPipeline": 6000,
    "FluxKontextPipeline": 6000, "QwenImageEditPipeline": 8000, "QwenImageEditPlusPipeline": 8000,
}  # fmt: skip
LEAST_WORKING = 32  # MB
HALF = ("StableDiffusionInpaintPipeline", "StableDiffusionInstructPix2PixPipeline", "StableDiffusionXLInpaintPipeline")
MOST_SLOT = 200  # characters of the words in a slot


class DiptychPainter(Painter):
    """A pipeline that fills masks, and sees the picture as the left one of two (ICEdit, arXiv 2504.20690)."""

    def _asked(self, asked: dict[str, Any], size: tuple[int, int], context: Context) -> Pixels:
        left = np.asarray(asked["image"])
        mask = np.zeros((size[0], 2 * size[1]), np.uint8)
        mask[:, size[1] :] = 255
        both = {
            "image": Pillow.fromarray(np.concatenate([left, left], 1)),
            "mask_image": Pillow.fromarray(mask),
            "prompt": DIPTYCH.format(words=asked["prompt"]),
        }
        return super()._asked({**asked, **both}, (size[0], 2 * size[1]), context)[:, size[1] :]


def brick_painter(pipe: Any, card: BrickCard) -> Painter:
    """Return a pipeline that is asked as a brick's card says.

    Raises:
        StepError: it is of a class that nothing here knows how to ask.
    """
    kind = DiptychPainter if card.conditioning == "diptych" else Painter
    painter = kind(pipe)
    given = {**painter.habits.given, **card.given}
    painter.habits = replace(painter.habits, side=card.side, steps=card.steps, given=given)
    return painter


def load_brick(path: str | Path) -> Tool[..., Any]:
    """Register the brick in a folder as a tool; return it. Loaded again, it replaces itself.

    It is offered where its weights are: a whole network lies in the folder, what an adapter is added to is looked for
    by its name among the weights of `lego models`, or is a folder.

    Args:
        path: of the folder that `lego train brick` wrote, or of its run.

    Raises:
        ToolDefinitionError: there is no brick, its card is broken, or its name is taken by another tool.
    """
    folder = home_of(Path(path).resolve())
    card = BrickCard.read(folder)
    if card.pipeline not in WORKING:
        hint = f"known are {', '.join(WORKING)}"
        raise ToolDefinitionError(f"nothing here knows how to ask a {card.pipeline}", where=str(folder), hint=hint)
    made = tool(phrases=card.phrases, effect=card.effect, version=card.digest[:12], abstract=True)(_function(card))
    network = _network(card, folder)
    made.engine(network.name, requires=NEEDED, version=card.digest[:12], tile=card.side)(_function(card, network))
    return made


def _network(card: BrickCard, folder: Path) -> Network:
    known = FAMILIES[card.pipeline]
    half = "float16" if card.pipeline in HALF else "bfloat16"
    sizes = {half: 2 * card.parameters, "float32": 4 * card.parameters}
    working = max(LEAST_WORKING, round(WORKING[card.pipeline] * (card.side / known.side) ** 2)) << 20
    load = partial(_loaded, folder, card)
    if not card.base:
        return Network(card.name, load, sizes, working, streams=True, folder=folder / MODEL, variant=card.digest)
    base = Path(card.base)
    where = base if base.is_absolute() else folder / base if (folder / base).is_dir() else None
    return Network(card.base, load, sizes, working, streams=True, folder=where, variant=card.digest)


def open_network(folder: Path, precision: str, kind: str = "DiffusionPipeline") -> Any:
    """Return the pipeline in a folder of diffusers, or of a brick, with what was learned merged into it.

    Args:
        kind: the class of a folder of diffusers; a brick's card names its own.

    Raises:
        OSError, ValueError: the folder does not hold one, or an adapter does not fit it.
        ToolDefinitionError: it is a brick that is broken, or whose base is no folder here.
    """
    if not (folder / FILE).is_file():
        return open_pipe(folder, precision, kind)
    card = BrickCard.read(folder)
    base = folder / (card.base or MODEL)
    if not base.is_dir():
        hint = "write the folder of its base into brick.json, or give the recipe that trains it a folder as `base`"
        raise ToolDefinitionError(f"its base '{card.base}' is no folder here", where=str(folder), hint=hint)
    return _learned(open_network(base, precision, card.pipeline), folder, card)


def _loaded(brick: Path, card: BrickCard, folder: Path, device: str, precision: str) -> Painter:
    """The pipeline of a brick, on a device."""
    painter = brick_painter(_learned(open_network(folder, precision, card.pipeline), brick, card), card)
    painter.to(device)
    return painter


def _learned(pipe: Any, brick: Path, card: BrickCard) -> Any:
    """A pipeline with what a brick has learned: its adapter, and the network that reads the words."""
    if card.base:
        merge(pipe, brick / ADAPTER)
    reader = brick / READER
    if (reader / "adapter_config.json").is_file():
        _merge_reader(pipe, reader)
    elif reader.is_dir():
        old = pipe.text_encoder
        pipe.text_encoder = type(old).from_pretrained(reader, dtype=old.dtype, local_files_only=True)
    return pipe


def _merge_reader(pipe: Any, folder: Path) -> None:
    """Merge what the network that reads the words has learned into it."""
    peft: Any = importlib.import_module("peft")
    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.24 for things by their old names
        warnings.filterwarnings("ignore", message=".*_checkpointing.*", category=FutureWarning)
        pipe.text_encoder = peft.PeftModel.from_pretrained(pipe.text_encoder, folder).merge_and_unload()


def _function(card: BrickCard, network: Network | None = None) -> Callable[..., Image]:
    """The tool's function; without a network it is only the card, and its body is never run."""

    def brick(
        image: Image, net: Any = None, mask: Mask | None = None, context: Context = Context(), **words: str  # noqa: B008
    ) -> Image:  # fmt: skip
        return instructed(net, image, mask, card.told(words), context)

    kinds: dict[str, Any] = {"image": Image}
    covers: Any = Thing if card.mask == "thing" else Area
    if card.mask_needed:
        kinds["mask"] = covers
    kinds |= {n: Annotated[str, Field(max_length=MOST_SLOT, description=what)] for n, what in card.slots.items()}
    if card.mask != "none" and not card.mask_needed:
        kinds["mask"] = covers | None
    kinds["context"] = Context
    defaults = {"mask": None, "context": Context()} if not card.mask_needed else {"context": Context()}
    any_way, named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    empty = inspect.Parameter.empty
    asked = [inspect.Parameter(n, any_way, default=defaults.get(n, empty), annotation=k) for n, k in kinds.items()]
    if network:
        kinds["net"] = Annotated[Any, network]
        asked.append(inspect.Parameter("net", named, annotation=kinds["net"]))
    brick.__signature__ = inspect.Signature(asked, return_annotation=Image)  # type: ignore[attr-defined]
    brick.__annotations__ = {**kinds, "return": Image}
    brick.__name__, brick.__qualname__, brick.__module__ = card.name, card.name, FAMILY
    brick.__doc__ = card.sentence
    return brick
