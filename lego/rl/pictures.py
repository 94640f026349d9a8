"""Pictures to train with: scenes and cut-outs of photographs, small, some with a fault that an edit mends."""

from __future__ import annotations

import functools
import operator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import get_args

import cv2
import numpy as np
from PIL import ImageColor

from lego.builder.calls import Call
from lego.core.codec import Pixels
from lego.core.values import Image, Mask
from lego.rl import faults, scenes
from lego.rl.faults import Fault
from lego.rl.scenes import Order
from lego.rl.slots import Noun

SIDE = 96  # px of a training picture
PATCH = 16  # px of a token of it
STORE = 4000  # different scenes
PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "ihc.png",
)  # in scikit-image
CHINESE = {
    "ball": "球", "box": "方块", "triangle": "三角形", "star": "星星", "heart": "爱心", "ring": "圆环", "cross": "十字",
    "diamond": "菱形", "red": "红色", "orange": "橙色", "yellow": "黄色", "green": "绿色", "cyan": "青色",
    "blue": "蓝色", "purple": "紫色", "pink": "粉色", "brown": "棕色", "white": "白色", "grey": "灰色", "black": "黑色",
}  # fmt: skip
CLEARLY_BEYOND, CLEARLY_LARGER = 0.12, 0.04  # of the picture's side: from there on a thing is the first in an order
PHOTO_SHARE = 0.4  # of pictures that are cut from a photograph


def any_of(random: Random) -> Image:
    """A scene of the store, or a part of a photograph."""
    return photo(random) if random.random() < PHOTO_SHARE else scene(random.randrange(STORE))[1].image


@functools.lru_cache(maxsize=STORE)
def scene(number: int) -> tuple[scenes.Scene, scenes.Rendered]:
    """A scene of the store, as data and drawn."""
    made = scenes.make(number)
    return made, scenes.render(made, (SIDE, SIDE))


def photo(random: Random, size: int = SIDE) -> Image:
    """A square part of one of scikit-image's photographs, mirrored or not, its side in px."""
    pixels = _photos()[random.randrange(len(_photos()))]
    height, width = pixels.shape[:2]
    side = int(min(height, width) * random.uniform(0.45, 1))
    x, y = random.randint(0, width - side), random.randint(0, height - side)
    cut = cv2.resize(pixels[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
    return Image(np.ascontiguousarray(cut[:, ::-1] if random.random() < 0.5 else cut))


def faulty(random: Random, kinds: tuple[str, ...]) -> Fault:
    """A picture with a fault of one of the kinds, clearly visible."""
    kind = random.choice(kinds)
    fault = faults.add(any_of(random), kind, random.uniform(0.2, 1), random.randrange(1 << 30))  # type: ignore[arg-type]  # one of `faults.KINDS`
    if fault.image.size == (SIDE, SIDE):
        return fault
    worse, original = (Image(cv2.resize(i.pixels, (SIDE, SIDE))) for i in (fault.image, fault.original))
    return replace(fault, image=worse, original=original)


def spot(number: int, random: Random) -> tuple[str, str] | None:
    """Where a thing of a scene stands that is the first in some order, and that order; None if none clearly is.

    Returns:
        The box as left, top, right, bottom in thousandths; "left", "right", "top", "bottom", "largest" or "smallest".
    """
    made = scene(number)[0]
    by = random.choice(get_args(Order))
    found = first(made, by)
    if found is None:
        return None
    item = made.items[found]
    sides = (item.x - item.radius, item.y - item.radius, item.x + item.radius, item.y + item.radius)
    return " ".join(str(round(1000 * min(1, max(0, side)))) for side in sides), by


def first(made: scenes.Scene, by: Order) -> int | None:
    """The number of the thing that is the first in an order; None if it is the only one, or none clearly is."""
    order = made.order(by)
    if len(order) < 2:
        return None
    one, other = made.items[order[0]], made.items[order[1]]
    key = {"left": "x", "right": "x", "top": "y", "bottom": "y"}.get(by, "radius")
    apart = abs(getattr(one, key) - getattr(other, key))
    return order[0] if apart >= (CLEARLY_LARGER if key == "radius" else CLEARLY_BEYOND) else None


def things(number: int, language: str) -> tuple[Noun, ...]:
    """The things of a scene that colour and shape name without doubt."""
    items = scene(number)[0].items
    colors = [item.color for item in items]
    named = [names(item) for item in items if colors.count(item.color) == 1]
    return tuple(Noun(chinese, chinese) if language == "zh" else Noun(f"the {name}", name) for name, chinese in named)


def after(number: int, call: Call) -> tuple[Image, Mask] | None:
    """What a call on a thing of a scene should give, and where it may change the picture; None if that is not known."""
    made, before = scene(number)
    found = [n for n, item in enumerate(made.items) if call.on in names(item)]
    if len(found) != 1 or call.but:
        return None
    one, args = found[0], call.args
    if call.tool == "remove":
        edited = made.without(one)
    elif call.tool == "recolor" and "color" in args:
        red, green, blue = ImageColor.getrgb(args["color"])[:3]
        edited = made.recolored(one, made.items[one].color, (red, green, blue))
    elif call.tool == "move" and "to" not in args:
        edited = made.moved(one, args.get("dx", 0.0) / 100, args.get("dy", 0.0) / 100)
    elif call.tool == "resize_object" and "change" in args:
        edited = made.resized(one, 1 + args["change"] / 100)
    else:
        return None
    drawn = scenes.render(edited, (SIDE, SIDE))
    masks = [before.masks[one], *([drawn.masks[one]] if len(drawn.masks) == len(before.masks) else [])]
    return drawn.image, functools.reduce(operator.or_, masks)


def names(item: scenes.Item) -> tuple[str, str]:
    return f"{item.color} {item.shape}", f"{CHINESE[item.color]}的{CHINESE[item.shape]}"


def drawn(image: Image, random: Random) -> Mask:
    """A round mask as a user would paint it, no mere box."""
    width, height = image.size
    y, x = np.mgrid[:height, :width]
    center = random.uniform(0.3, 0.7) * width, random.uniform(0.3, 0.7) * height
    return Mask(np.hypot(x - center[0], y - center[1]) < random.uniform(0.1, 0.3) * width)


@functools.cache
def _photos() -> tuple[Pixels, ...]:
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    return tuple(Image.open(folder / name).pixels for name in PHOTOS if (folder / name).exists())
