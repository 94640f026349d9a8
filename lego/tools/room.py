"""Where a new thing could stand: a box by the words' place and size, where the picture is calm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Area
from lego.core.values import Box, Image, Mask
from lego.tools.finders import subject
from lego.tools.finders.regions import gradient, small_copy
from lego.tools.pixels import Plane

LOOK = 192  # px of the long side on which room is looked for
USUAL = 0.34  # of the picture's short side: the square root of a new thing's area
SIZES = {  # times that
    1.6: r"\b(huge|giant|enormous)\b|巨大", 1.3: r"\b(big|large|tall)\b|大", 0.65: r"\b(small|little)\b|小",
    0.45: r"\b(tiny|miniature)\b|微型",
}  # fmt: skip
SHAPES = {  # width to height of what is so called; other things are about square
    0.45: r"\b(man|woman|person|boy|girl|child|lady|soldier|tree|bottle|lamp|lighthouse|tower|giraffe|statue|candle|"
    r"penguin|vase|ladder)\b|人|树|瓶|灯|塔",
    1.9: r"\b(car|bus|truck|train|boat|ship|sofa|couch|bench|bed|crocodile|fence|rainbow|plane|airplane)\b|"
    r"车|船|沙发|床",
}
ALOFT = r"\b(bird|balloon|moon|sun|cloud|plane|airplane|kite|star|stars|rainbow|drone|helicopter|firework|fireworks|"
ALOFT += r"bat|dragon|eagle|seagull|in the sky)\b|鸟|气球|月亮|太阳|云|飞机|风筝|星|天上|天空"
PLACES: dict[str, tuple[float | None, float | None]] = {  # middle of the box, in shares of the picture, if it is said
    r"\bleft\b|左": (0.18, None), r"\bright\b|右": (0.82, None), r"\b(top|upper|above)\b|上": (None, 0.2),
    r"\b(bottom|lower|below|foreground)\b|下": (None, 0.8), r"\b(middle|cent(er|re))\b|中间|中央": (0.5, 0.55),
}  # fmt: skip
STANDS, FLIES = 0.85, 0.22  # where the feet of a thing stand, and the middle of one that flies
STRAY = 2.5  # cost of a box one whole side away from where it should be, in units of the picture's mean unrest
SAID = 8.0  # the same where the words say the place
CENTRAL = 0.3  # the same, from the middle of a picture where no place is said
MOST = 2.0  # times the mean unrest: what is more restless is as bad
COVERS = 4.0  # cost of a box that lies wholly on what the picture is of
SURE = 0.3  # confidence from which it is known what that is
TIGHT = 0.9  # of the picture's sides that a thing may take
MOST_THING = 200  # characters
Thing: TypeAlias = Annotated[
    str, Field(max_length=MOST_THING, description="what is to stand there, and where: a small dog on the left")
]


@dataclass(frozen=True)
class _Wish:
    """What the words tell: sides in shares of the short side, and where the middle should be, as far as it is said."""

    wide: float
    high: float
    x: float | None
    y: float | None
    flies: bool


@tool(
    phrases={
        "find room for {thing}": {}, "find place for {thing}": {}, "where could {thing} go": {},
        "where is room for {thing}": {}, "mark place for {thing}": {}, "给{thing}找个位置": {},
    }
)  # fmt: skip
def find_room(image: Image, thing: Thing, mask: Area | None = None) -> Mask:
    """Mask a box where a new thing could stand, by its usual size and place, where the picture is calm.

    The words' place (left, top, middle) counts most, then where such things are (birds fly, dogs stand), then how much
    there would be to cover. With a mask the box lies in it, on its bottom edge. Nothing is put there.
    """
    wish = _wish(thing)
    if mask is not None and mask.box is not None:
        return _within(image, wish, mask)
    height, width = image.size[1], image.size[0]
    small = small_copy(image.pixels, LOOK)
    scale = small.shape[1] / width
    box = _best(small, wish)
    x0, y0, x1, y1 = (round(side / scale) for side in box)
    return Mask.from_box(image.size, (x0, y0, min(width, max(x0 + 1, x1)), min(height, max(y0 + 1, y1))))


def _wish(words: str) -> _Wish:
    text = words.lower()
    side = USUAL * next((factor for factor, pattern in SIZES.items() if re.search(pattern, text)), 1.0)
    shape = next((ratio for ratio, pattern in SHAPES.items() if re.search(pattern, text)), 1.0)
    x = y = None
    for pattern, (across, down) in PLACES.items():
        if re.search(pattern, text):
            x, y = (across if x is None else x), (down if y is None else y)
    return _Wish(side * shape**0.5, side / shape**0.5, x, y, bool(re.search(ALOFT, text)))


def _sides(wish: _Wish, short: int, room: tuple[float, float]) -> tuple[float, float]:
    """Width and height of the box in px, in a picture of that short side, made to fit a room's width and height."""
    wide, high = wish.wide * short, wish.high * short
    fit = min(1.0, room[0] / wide, room[1] / high)
    return max(1.0, wide * fit), max(1.0, high * fit)


def _best(pixels: Pixels, wish: _Wish) -> Box:
    """The box of least unrest and least stray, on the small copy."""
    height, width = pixels.shape[:2]
    wide, high = (round(side) for side in _sides(wish, min(width, height), (TIGHT * width, TIGHT * height)))
    unrest = gradient(pixels)
    bad = np.minimum(unrest / max(1e-6, float(unrest.mean())), MOST)
    seen = subject.find(pixels)
    if seen.confidence >= SURE:
        bad = bad + COVERS * seen.mask
    sums = cv2.integral(bad.astype(np.float64))
    inner = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    cost = inner / (wide * high) + _stray(wish, (width, height), (wide, high))
    y, x = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return int(x), int(y), int(x) + wide, int(y) + high


def _stray(wish: _Wish, size: tuple[int, int], box: tuple[int, int]) -> Plane:
    """For every place of a box how far it is from where it should be."""
    (width, height), (wide, high) = size, box
    x = (np.arange(width - wide + 1)[None] + wide / 2) / width
    y = (np.arange(height - high + 1)[:, None] + high / 2) / height
    across = CENTRAL * np.abs(x - 0.5) if wish.x is None else SAID * np.abs(x - wish.x)
    usual = FLIES if wish.flies else STANDS - high / height / 2
    down = STRAY * np.abs(y - usual) if wish.y is None else SAID * np.abs(y - wish.y)
    return np.asarray(across + down, np.float32)


def _within(image: Image, wish: _Wish, mask: Mask) -> Mask:
    """The box on the bottom edge of a drawn area, in the middle of its width, and only inside of it (as Lego-Edit)."""
    x0, y0, x1, y1 = mask.box or (0, 0, 0, 0)
    wide, high = _sides(wish, min(image.size), (x1 - x0, y1 - y0))
    middle = (x0 + x1) / 2
    box = Mask.from_box(image.size, (max(x0, middle - wide / 2), y1 - high, min(x1, middle + wide / 2), y1))
    inside = box & mask
    return inside if inside.box else Mask(mask.pixels)
