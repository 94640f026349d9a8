"""Stages: scenes arranged for a riddle, and what must be true of the picture that comes out.

A scene's things stand where `lego.rl.scenes` put them and get shapes and colours that make a question have one answer.
What should have happened is held against the target by the scene alone, without the workflow that made it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from lego.core.codec import Pixels
from lego.core.values import Image, Mask
from lego.rl import scenes
from lego.rl.phrasings import PLACES, Split
from lego.rl.scenes import APART, SHAPES, Item, Scene

SIDE = 256  # px of a picture
VIVID = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")  # nobody confounds them
CLEAR = 0.06  # of the side, by which one thing must be further left, or nearer, than another to be called so
BAND = 0.3  # of the side: how far down a sign at the top may reach, and up one at the bottom
BORDER = 3  # px round a thing that an edit of it may touch
GROWN = 0.16  # of a thing's width, by which removing it may reach further
GONE, KEPT = 26.0, 0.03  # mean distance (of 255) to the empty ground; share of a thing's pixels that may change
REST, RESTS = 24.0, 0.01  # distance to the ground of a pixel that is left over; their share that does not matter
STAYED = 0.01  # of a thing's pixels: where so few are as before, it was painted all over
FAR = 18.0  # in Lab, from the middle of a colour: what is further off has no name
LETTERS = 0.002  # of a place's pixels that writing changes at least
SMALLEST = 5  # px; of things narrower than two borders the whole is looked at
TRIES = 60  # places that are tried for a new thing
PALE = 0.12  # saturation below which a colour has no name here


@dataclass(frozen=True)
class Fact:
    """What must be so in the target.

    Attributes:
        what: "gone", the thing is not there, ``where`` is as if it had never been; "color", there it has this colour;
            "written", there stands something that was not there.
    """

    what: Literal["gone", "color", "written"]
    where: Mask
    color: str = ""


@dataclass(frozen=True)
class Ground:
    """A scene without colours and shapes of its own yet, and the colours that can be seen on it, in random order."""

    scene: Scene
    colors: tuple[str, ...]

    def arranged(self, looks: Sequence[tuple[str, str]]) -> Scene:
        """Return the scene with as many things as there are looks: shape and colour of each."""
        items = tuple(
            replace(item, shape=shape, color=color, rgb=scenes.rgb_of(color))  # type: ignore[arg-type]  # one of `SHAPES`
            for item, (shape, color) in zip(self.scene.items, looks, strict=False)
        )
        return replace(self.scene, items=items)


def ground(random: Random, split: Split, least: int, most: int, words: str = "") -> Ground:
    """Make up a scene for a part of the data; no scene is in two of them."""
    places = PLACES[split]
    while True:
        seed = random.randrange(10**7) * 100 + random.choice(places)
        scene = scenes.make(seed, least, most, words)
        seen = [c for c in VIVID if min(math.dist(scenes.rgb_of(c), rgb) for rgb in scene.colors) > APART]
        if len(seen) > most:
            return Ground(scene, tuple(random.sample(seen, len(seen))))


def part_of(seed: int) -> Split:
    """Return the part of the data that a scene belongs to."""
    return next(split for split in ("train", "val", "test") if seed % 100 in PLACES[split])


def shapes(random: Random, count: int) -> list[str]:
    """Return different shapes in random order."""
    return random.sample(SHAPES, count)


def first(scene: Scene, numbers: Sequence[int]) -> int | None:
    """Return which of some things clearly is the leftmost; None if none is."""
    order = sorted(numbers, key=lambda n: scene.items[n].x)
    clear = len(order) < 2 or scene.items[order[1]].x - scene.items[order[0]].x > CLEAR
    return order[0] if clear else None


def room(random: Random, scene: Scene, radius: float, taken: Sequence[tuple[float, float]] = ()) -> tuple[float, float]:
    """Return the middle of a free place for a thing, as shares of the sides.

    Args:
        radius: of the circle round the thing, as a share of the side.
        taken: middles of places that were given to things of that size.

    Raises:
        LookupError: there is none.
    """
    edge, written = radius + 0.02, 0.17 if scene.words else 0.0
    for _ in range(TRIES):
        x, y = random.uniform(edge, 1 - edge), random.uniform(edge + written, 1 - edge - written)
        free = all(math.hypot(x - i.x, y - i.y) > 1.2 * (radius + i.radius) for i in scene.items)
        if free and all(math.hypot(x - a, y - b) > 2.3 * radius for a, b in taken):
            return x, y
    raise LookupError("no room")


def box(middle: tuple[float, float], radius: float) -> list[int]:
    """Return the square in a circle's stead, in thousandths: left, top, right, bottom."""
    (x, y), half = middle, radius * 0.8
    return [round(1000 * side) for side in (x - half, y - half, x + half, y + half)]


def around(box: Sequence[int], border: int = BORDER) -> Mask:
    """Return a box in thousandths as a mask, widened by a border in px (narrowed by a negative one)."""
    left, top, right, bottom = (side * SIDE / 1000 for side in box)
    cover = np.zeros((SIDE, SIDE), np.uint8)
    cover[
        max(0, round(top) - border) : round(bottom) + border, max(0, round(left) - border) : round(right) + border
    ] = 255
    return Mask(cover)


def grown(mask: Mask, item: Item, share: float = 0.0) -> Mask:
    """Return where an edit of a thing may change the picture: the thing, `BORDER` px and a share of its width more."""
    reach = BORDER + round(share * 2 * item.radius * SIDE)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return Mask(np.where(cv2.dilate(mask.pixels, kernel) > 0, 255, 0).astype(np.uint8))


def band(place: str) -> Mask:
    """Return the upper ("top") or lower ("bottom") part of the picture, where signs hang."""
    cover, depth = np.zeros((SIDE, SIDE), np.uint8), round(BAND * SIDE)
    cover[:depth] = 255
    return Mask(cover if place == "top" else np.ascontiguousarray(cover[::-1]))


def everywhere() -> Mask:
    """Return the mask of the whole picture."""
    return Mask(np.full((SIDE, SIDE), 255, np.uint8))


def faults(
    image: Image, target: Image, scene: Scene, where: Mask | None, facts: Sequence[Fact], touched: Sequence[int]
) -> list[str]:
    """Return what is not as it should be in a target, in words; nothing for a right one.

    Args:
        where: the picture may change there only; None for nowhere at all.
        touched: numbers of the things that the edit is about; all others must still be there, unless the whole picture
            may change.
    """
    if target.size != image.size:
        return ["it has another size"]
    changed = (image.pixels != target.pixels).any(-1)
    if where is None:
        return ["it is not the very same picture"] if changed.any() else []
    found = [] if changed.any() else ["nothing was done"]
    if changed[where.pixels == 0].any():
        found.append("it changed outside of the place")
    drawn = scenes.render(scene, (SIDE, SIDE))
    empty = scenes.render(replace(scene, items=()), (SIDE, SIDE)).image
    for fact in facts:
        inside = _core(fact.where) if fact.what == "color" else fact.where.pixels > 127
        if fact.what == "gone":
            found += _left(target, empty, inside)
        if fact.what == "color" and (name := named(target.pixels[inside])) != fact.color:
            found.append(f"it is {name or 'of no colour that has a name'} where it should be {fact.color}")
        if fact.what == "color" and (~changed[inside]).mean() > STAYED:
            found.append("a part of it is as it was")
        if fact.what == "written" and changed[inside].mean() < LETTERS:
            found.append("nothing is written")
    if (where.pixels == 0).any():
        for number, mask in enumerate(drawn.masks):
            if number not in touched and changed[mask.pixels > 127].mean() > KEPT:
                found.append("another thing was changed")
    return found


def _left(target: Image, empty: Image, inside: NDArray[np.bool_]) -> list[str]:
    """What is left of a thing that should be gone, within its outline."""
    off = np.abs(target.pixels.astype(np.float32) - empty.pixels).mean(-1)[inside]
    if off.mean() > GONE:
        return ["a thing is still there"]
    return ["a part of a thing is still there"] if (off > REST).mean() > RESTS else []


def named(pixels: Pixels) -> str:
    """Return which of `VIVID` the middle colour of some pixels (n x 3, 0..255) is nearest to; "" for a pale one,
    and for one far from all.

    Nearest in CIE Lab, lightness at half its weight: shading changes it.
    """
    middle = np.median(pixels.reshape(-1, 3), 0)
    if middle.max() - middle.min() < PALE * middle.max():
        return ""
    known = np.array([*(scenes.rgb_of(name) for name in VIVID), middle], np.float64)[None] / 255
    lab = rgb2lab(known)[0] * (0.5, 1, 1)
    far = np.linalg.norm(lab[:-1] - lab[-1], axis=-1)
    return VIVID[int(far.argmin())] if far.min() <= FAR else ""


def _core(mask: Mask) -> NDArray[np.bool_]:
    """A mask without its rim, where colours mix; a thin one as it is."""
    inside = (mask.pixels > 127).astype(np.uint8)
    core = cv2.erode(inside, np.ones((SMALLEST, SMALLEST), np.uint8)) > 0
    return core if core.any() else inside > 0
