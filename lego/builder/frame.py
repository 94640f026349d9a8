"""The picture as a model sees it, and boxes on it as a family of models counts them.

Plans count in thousandths of the picture, and so do most models that were taught boxes (Qwen2-VL, Qwen3-VL, Gemini).
Qwen2.5-VL (arXiv 2502.13923) and what was made of it, as MiMo-VL and Lego-Edit's checkpoint, count in pixels of the
picture as it reaches the network. Its processor rounds sides to multiples of 28, so the picture is sent in such sides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PIL import Image as Pillow

from lego.core.registry import Tool
from lego.core.signature import THOUSANDTHS, Param
from lego.core.values import Image
from lego.core.workflow import Workflow

LONG_SIDE = 768  # of the picture that the model sees (as in Lego-Edit, arXiv 2509.12883): about 750 tokens of Qwen-VL
NARROWEST = 50  # Qwen-VL refuses pictures over 200 times as long as wide; after rounding to patches this stays below
PATCH = 28  # px of a picture's token of Qwen2.5-VL, of which its processor takes at least two by two
KIND = "qwen2_5_vl"  # in the configuration of such a checkpoint
NAMED = re.compile(r"qwen-?2\.5-?vl|mimo-?vl", re.IGNORECASE)  # in the name of one that is served
UPRIGHT = ("top", "bottom", "y")  # how the names of parameters begin that count from the top


def seen(image: Image, pixels: bool = False, longest: int = LONG_SIDE) -> Pillow.Image:
    """Return the picture that a model looks at, RGB, in the size of `sides`."""
    picture, size = image.pil().convert("RGB"), sides(image.size, pixels, longest)
    return picture if size == picture.size else picture.resize(size, Pillow.Resampling.LANCZOS, reducing_gap=2.0)


def sides(size: tuple[int, int], pixels: bool = False, longest: int = LONG_SIDE) -> tuple[int, int]:
    """Return width and height of the picture that a model looks at, no thinner than it can read.

    Args:
        size: of the picture.
        pixels: the model counts boxes in pixels: whole patches, so that its processor leaves the picture as it is.
        longest: px of the long side.
    """
    scale = min(1.0, longest / max(size))
    wide, high = (max(1, round(side * scale)) for side in size)
    least = -(-max(wide, high) // NARROWEST)
    wide, high = max(wide, least), max(high, least)
    return (_patched(wide), _patched(high)) if pixels else (wide, high)


def _patched(side: int) -> int:
    return PATCH * min(LONG_SIDE // PATCH, max(2, round(side / PATCH)))


def rule(size: tuple[int, int]) -> str:
    """Return the sentence that tells a model how to count; ``size`` of the picture that it looks at."""
    return (
        f"- Where a card says {THOUSANDTHS}, count pixels of the picture as you see it: {size[0]} wide, {size[1]} high."
    )


def from_pixels(workflow: Workflow, tools: Sequence[Tool[..., Any]], size: tuple[int, int]) -> Workflow:
    """Return a workflow whose boxes and points count in pixels of a picture (width, height) in thousandths."""
    params = {(tool.name, p.name): p for tool in tools for p in tool.params if p.unit == THOUSANDTHS}
    steps = [
        replace(step, args={k: _counted(params.get((step.tool, k)), v, size) for k, v in step.args.items()})
        for step in workflow.steps
    ]
    return replace(workflow, steps=tuple(steps))


def _counted(param: Param | None, value: Any, size: tuple[int, int]) -> Any:
    if param is None or not isinstance(value, int | float | list):
        return value
    if not isinstance(value, list):
        return _thousandth(value, size[param.name.startswith(UPRIGHT)])
    return [_thousandth(v, size[n % 2]) if isinstance(v, int | float) else v for n, v in enumerate(value)]


def _thousandth(pixels: float, side: int) -> int:
    return max(0, min(1000, round(1000 * pixels / side)))
