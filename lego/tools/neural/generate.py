"""Engines that generate: diffusion pipelines for painting into a mask, for obeying a sentence, and for what is missing.

The last in the order here whose weights are there, and fit, is used. Where another engine does the same without
diffusion, they are used on an accelerator only.
"""

from dataclasses import replace
from typing import Annotated, Any

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.core.networks import Network
from lego.core.signature import Area, Color, Context, Thing
from lego.core.values import Box, Image, Mask
from lego.tools import piece
from lego.tools.fill import Grow, remove, removed
from lego.tools.finders.regions import Bools, placed
from lego.tools.generate import Order, Prompt, Strength, generate_fill, instruct_edit
from lego.tools.geometry import Extended, Mode, Share, Sides, extend_canvas, extended
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.neural.diffusion import Painter, load_painter
from lego.tools.neural.fill import LAMA, invented
from lego.tools.patchmatch import Filled
from lego.tools.pixels import blend
from lego.tools.room import MOST_THING, find_room

NEEDED = ("torch", "transformers", "diffusers")
TILE = 1024  # px; where memory runs out a pipeline works on less
NOTHING = "the empty place behind it, nothing but background, seamless, photograph"
ONWARD = "the scene goes on beyond the frame, seamless, photograph"
FITTED = 0.5  # strength with which a cut-out that was put into a picture is painted over, at most
DRAFT = 0.1  # of the progress that the draft of a removal counts for
RING = 25  # px around a hole whose light a draft should have, as in Lego-Edit
TRUST = ((30, 0.7), (70, 0.8), (255, 0.9))  # difference in grey up to which a draft is kept so far: its strength
WHOLE = 0.4  # of the picture: a draft of so large a hole is not kept at all


def pipeline(name: str, working: int, *precisions: str) -> Network:
    """Return the network of a pipeline in the catalogue; ``working`` is what one call takes beside it, in MB."""
    return Network(name, load_painter, CATALOGUE[name].memory(*precisions), working << 20, streams=True)


PAINTERS = (
    pipeline("sd-inpaint", 2500, "float16", "float32"),
    pipeline("sdxl-inpaint", 5000, "float16", "float32"),
    pipeline("qwen-image", 8000, "bfloat16", "float32"),
    pipeline("flux-fill", 6000, "bfloat16", "float32"),
)
EDITORS = (
    pipeline("instruct-pix2pix", 2500, "float16", "float32"),
    pipeline("qwen-image-edit", 8000, "bfloat16", "float32"),
    pipeline("flux-kontext", 6000, "bfloat16", "float32"),
)


def filled(
    net: Painter, image: Image, prompt: str, mask: Mask | None, strength: float, picture: Image | None, context: Context
) -> Image:
    """Return a picture with what a pipeline paints into a mask; arguments as `generate_fill`."""
    where = find_room(image, prompt[:MOST_THING]) if mask is None else mask
    if where.box is None:
        return image.replace(image.pixels)
    ground = image.pixels
    if picture is not None:
        ground, strength = standing(image, picture, where.box), min(strength, FITTED)
    hole = where.pixels > 0
    made, notes = net.paint(ground, hole, prompt, context, strength)
    chosen = () if mask is not None else (f"painted {placed(hole)}, because no place was given",)
    return _noted(blend(image, made, where), (*chosen, *notes))


def standing(image: Image, picture: Image, box: Box) -> Pixels:
    """Return a picture with a cut-out that stands in a box, as large as fits, in the middle of its lower edge."""
    x0, y0, x1, y1 = box
    left, top, right, bottom = (picture.alpha is not None and Mask(picture.alpha).box) or (0, 0, *picture.size)
    alpha = None if picture.alpha is None else picture.alpha[top:bottom, left:right]
    share = min((x1 - x0) / (right - left), (y1 - y0) / (bottom - top))
    size = max(1, round((right - left) * share)), max(1, round((bottom - top) * share))
    thing = piece.resized(Image(picture.pixels[top:bottom, left:right], alpha), size)
    return piece.over(image, thing, (round((x0 + x1 - size[0]) / 2), y1 - size[1])).pixels


def instructed(net: Painter, image: Image, mask: Mask | None, instruction: str, context: Context) -> Image:
    """Return a picture as an editing pipeline makes it; arguments as `instruct_edit`."""
    if mask is not None and mask.box is None:
        return image.replace(image.pixels)
    made, notes = net.paint(image.pixels, None if mask is None else mask.pixels > 0, instruction, context)
    return _noted(blend(image, made, mask), notes)


def _noted(image: Image, notes: tuple[str, ...]) -> Image:
    return Image(image.pixels, image.alpha, notes) if notes else image


def _fills(network: Network) -> None:
    @generate_fill.engine(network.name, requires=NEEDED, tile=TILE)
    def _(
        image: Image, prompt: Prompt, mask: Area | None = None, strength: Strength = 1.0,
        picture: Image | None = None, context: Context = Context(),  # noqa: B008
        *, net: Annotated[Any, network],
    ) -> Image:  # fmt: skip
        return filled(net, image, prompt, mask, strength, picture, context)


def _obeys(network: Network) -> None:
    @instruct_edit.engine(network.name, requires=NEEDED, tile=TILE)
    def _(
        image: Image, instruction: Order, mask: Thing | None = None, context: Context = Context(),  # noqa: B008
        *, net: Annotated[Any, network],
    ) -> Image:  # fmt: skip
        return instructed(net, image, mask, instruction, context)


def _removes(network: Network) -> None:
    @remove.engine(f"lama and {network.name}", requires=NEEDED, tile=TILE, accelerated=True)
    def _(
        image: Image, mask: Area, grow: Grow = 0.07, context: Context = Context(),  # noqa: B008
        *, draft: Annotated[Any, LAMA], net: Annotated[Any, network],
    ) -> Image:  # fmt: skip
        return removed(image, mask, grow, lambda pixels, hole: refined(draft, net, pixels, hole, context))


def _extends(network: Network) -> None:
    @extend_canvas.engine(network.name, requires=NEEDED, tile=TILE, accelerated=True)
    def _(
        image: Image, left: Share = 0.0, right: Share = 0.0, top: Share = 0.0, bottom: Share = 0.0, mode: Mode = "fill",
        color: Color = "#ffffff", context: Context = Context(),  # noqa: B008
        *, net: Annotated[Any, network],
    ) -> Extended:  # fmt: skip
        def fill(pixels: Pixels, new: Bools) -> Filled:
            made, notes = net.paint(pixels, new, ONWARD, context)
            return Filled(np.where(new[..., None], made, pixels), notes)

        return extended(image, Sides(left, right, top, bottom), mode, color, fill)


def refined(draft: Any, net: Painter, pixels: Pixels, hole: Bools, context: Context) -> Filled:
    """Fill a hole with LaMa's draft, and paint over the draft as far as it does not fit (after Lego-Edit, Jia 2025)."""
    first = invented(draft, pixels, hole, replace(context, progress=lambda share: context.progress(DRAFT * share)))
    rest = replace(context, progress=lambda share: context.progress(DRAFT + (1 - DRAFT) * share))
    strength = distrust(first.pixels, hole)
    made, notes = net.paint(first.pixels, hole, NOTHING, rest, strength)
    note = f"painted over it with strength {strength:g}"
    return Filled(np.where(hole[..., None], made, pixels), (*first.notes, note, *notes))


def distrust(draft: Pixels, hole: Bools) -> float:
    """Return how far a draft is to be painted over, .7 to 1: more where its light is not that around the hole."""
    if hole.mean() > WHOLE:
        return 1.0
    grey = cv2.cvtColor(draft, cv2.COLOR_RGB2GRAY)
    ring = (cv2.dilate(hole.astype(np.uint8), np.ones((RING, RING), np.uint8)) > 0) & ~hole
    off = abs(float(grey[hole].mean()) - float(grey[ring].mean())) if ring.any() else 255.0
    return next(strength for limit, strength in TRUST if off <= limit)


for _network in PAINTERS:
    _fills(_network)
for _network in EDITORS:
    _obeys(_network)
for _network in PAINTERS[1:]:  # the first draws things where there should be none, and blurs
    _removes(_network)
    _extends(_network)
