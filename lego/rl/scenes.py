"""Scenes with known truth: pictures drawn from a list of things, so that the pixels after an edit are known as well.

A `Scene` is data: what stands where, in which colour and material. `render` draws it with one mask a thing; an edit of
the scene (`without`, `recolored`, `moved`, `resized`) drawn again is what the edit of the picture should give.
"""

from __future__ import annotations

import colorsys
import functools
import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.core.values import Image, Mask

Shape: TypeAlias = Literal["ball", "box", "triangle", "star", "heart", "ring", "cross", "diamond"]
Material: TypeAlias = Literal["matte", "shiny", "striped", "dotted"]
Order: TypeAlias = Literal["left", "right", "top", "bottom", "largest", "smallest"]
Ground: TypeAlias = Literal["plain", "gradient", "horizon", "checks", "clouds"]

SHAPES: tuple[Shape, ...] = ("ball", "box", "triangle", "star", "heart", "ring", "cross", "diamond")
MATERIALS: tuple[Material, ...] = ("matte", "shiny", "striped", "dotted")
GROUNDS: tuple[Ground, ...] = ("plain", "gradient", "horizon", "checks", "clouds")
COLORS: dict[str, tuple[float, float, float]] = {
    # hue in degrees, saturation, value: the middle of what people call so (kept clear of the neighbours' borders)
    "red": (0, 0.85, 0.80), "orange": (28, 0.90, 0.95), "yellow": (52, 0.90, 0.95), "green": (125, 0.75, 0.60),
    "cyan": (182, 0.75, 0.80), "blue": (220, 0.80, 0.80), "purple": (278, 0.65, 0.65), "pink": (330, 0.50, 0.95),
    "brown": (25, 0.70, 0.45), "white": (0, 0.0, 0.97), "grey": (0, 0.0, 0.55), "black": (0, 0.0, 0.08),
}  # fmt: skip
HUE_SPREAD, VALUE_SPREAD = 6.0, 0.05  # by which a colour varies and is still called the same
SMALL, LARGE = (0.07, 0.10), (0.15, 0.21)  # radius as a share of the short side; the gap keeps the words apart
APART = 70.0  # of 255: at least so far an item is from both of the ground's colours, or nobody would see it
ROOM = 1.12  # radii between the centres of two things, times their sum: no thing hides another
TRIES = 40  # places that are tried for a thing before the scene does without it
FINE = 4  # bits after the point in OpenCV's coordinates


@dataclass(frozen=True)
class Item:
    """One thing of a scene.

    Attributes:
        x, y: centre, as shares of width and height.
        radius: of the circle around it, as a share of the short side.
        color: its name in `COLORS`; ``rgb`` what it is here, 0..255.
        angle: degrees by which it is turned, clockwise.
    """

    shape: Shape
    color: str
    rgb: tuple[int, int, int]
    material: Material
    x: float
    y: float
    radius: float
    angle: float = 0.0

    @property
    def size(self) -> str:
        """ "small", "large", or "" between."""
        return "small" if self.radius <= SMALL[1] else "large" if self.radius >= LARGE[0] else ""


@dataclass(frozen=True)
class Words:
    """Words in a scene: centre as shares of width and height, height of a line as a share of the short side."""

    text: str
    x: float
    y: float
    height: float
    rgb: tuple[int, int, int]


class Rendered(NamedTuple):
    """A scene drawn: the picture, a mask for each item in order, and one for the words (None without any)."""

    image: Image
    masks: tuple[Mask, ...]
    words: Mask | None


@dataclass(frozen=True)
class Scene:
    """A picture as data; ``colors`` are the ground's two colours, ``noise`` its grain (standard deviation, of 255)."""

    ground: Ground
    colors: tuple[tuple[int, int, int], tuple[int, int, int]]
    items: tuple[Item, ...]
    words: Words | None = None
    noise: float = 0.0
    seed: int = 0

    def without(self, *numbers: int) -> Scene:
        """Return the scene without some items: what removing them should give."""
        return replace(self, items=tuple(item for n, item in enumerate(self.items) if n not in numbers))

    def recolored(self, number: int, color: str, rgb: tuple[int, int, int] | None = None) -> Scene:
        """Return the scene with one item in another colour; ``rgb`` as in the middle of its name if left out."""
        return self._with(number, color=color, rgb=rgb or rgb_of(color))

    def moved(self, number: int, dx: float, dy: float) -> Scene:
        """Return the scene with one item elsewhere, by shares of width and height."""
        return self._with(number, x=self.items[number].x + dx, y=self.items[number].y + dy)

    def resized(self, number: int, factor: float) -> Scene:
        """Return the scene with one item larger or smaller about its centre."""
        return self._with(number, radius=self.items[number].radius * factor)

    def order(self, by: Order) -> list[int]:
        """Numbers of the items in an order, as ordinals count them."""
        keys = {
            "left": lambda i: i.x, "right": lambda i: -i.x, "top": lambda i: i.y, "bottom": lambda i: -i.y,
            "largest": lambda i: -i.radius, "smallest": lambda i: i.radius,
        }  # fmt: skip
        return sorted(range(len(self.items)), key=lambda n: keys[by](self.items[n]))

    def _with(self, number: int, **changes: object) -> Scene:
        item = replace(self.items[number], **changes)  # type: ignore[arg-type]  # the callers' names are the fields'
        return replace(self, items=tuple(item if n == number else old for n, old in enumerate(self.items)))


def make(seed: int, least: int = 2, most: int = 6, words: str = "") -> Scene:
    """Make up a scene; the same seed gives the same one.

    Args:
        least, most: how many items are wanted; crowded scenes may get fewer than ``most``, never fewer than ``least``.
        words: to be written into it, above or below the items.
    """
    random = np.random.default_rng(seed)
    ground = GROUNDS[random.integers(len(GROUNDS))]
    pale = [_varied(random, COLORS[name], 0.25, 0.9) for name in random.choice(list(COLORS), 2)]
    written = None
    if words:
        at = 0.1 if random.random() < 0.5 else 0.9
        written = Words(words, 0.5, at, float(random.uniform(0.09, 0.12)), (20, 20, 24))
    items: list[Item] = []
    wanted = int(random.integers(least, most + 1))
    while len(items) < wanted:
        item = _placed(random, items, bool(words), pale)
        if item is None and len(items) >= least:
            break
        if item is None:
            items.clear()  # the first ones stood in the way: begin again
            continue
        items.append(item)
    return Scene(ground, (pale[0], pale[1]), tuple(items), written, float(random.uniform(0, 3)), seed)


def render(scene: Scene, size: tuple[int, int] = (128, 128)) -> Rendered:
    """Draw a scene at a size (width, height in px); grain and ground do not change when only items do."""
    width, height = size
    canvas = _ground(scene, size)
    masks = []
    for item in scene.items:
        cover = _cover(item, size)
        masks.append(cover)
        _paint(canvas, item, cover)
    lettering = _written(canvas, scene.words) if scene.words else None
    if scene.noise > 0:
        grain = np.zeros((height, width), np.int16)
        cv2.setRNGSeed(scene.seed % 2**31)
        cv2.randn(grain, 0, scene.noise)
        canvas = cv2.add(canvas, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    return Rendered(
        Image(np.asarray(canvas, np.uint8)),
        tuple(Mask(cover) for cover in masks),
        None if lettering is None else Mask(lettering),
    )


def rgb_of(color: str) -> tuple[int, int, int]:
    """The middle of what a name of `COLORS` means, 0..255."""
    return _rgb(*COLORS[color])


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((hue % 360) / 360, min(1, max(0, saturation)), min(1, max(0, value)))
    return round(255 * red), round(255 * green), round(255 * blue)


def _varied(
    random: np.random.Generator, middle: tuple[float, float, float], saturation: float = 1.0, value: float = 0.0
) -> tuple[int, int, int]:
    """A colour near the middle; for grounds paler (``saturation`` times as strong) and at least ``value`` bright."""
    hue = middle[0] + random.uniform(-HUE_SPREAD, HUE_SPREAD)
    bright = middle[2] + random.uniform(-VALUE_SPREAD, VALUE_SPREAD)
    return _rgb(hue, middle[1] * saturation, max(value * random.uniform(0.75, 1), bright) if value else bright)


def _placed(
    random: np.random.Generator, others: list[Item], words: bool, ground: list[tuple[int, int, int]]
) -> Item | None:
    seen = [name for name in COLORS if min(math.dist(rgb_of(name), color) for color in ground) > APART]
    color = seen[random.integers(len(seen))]
    low, high = (SMALL, LARGE)[int(random.random() < 0.55)]
    radius = float(random.uniform(low, high))
    edge = radius + 0.02
    top = edge + (0.16 if words else 0.0)
    shape, material = SHAPES[random.integers(len(SHAPES))], MATERIALS[random.integers(len(MATERIALS))]
    angle = float(random.uniform(-20, 20)) if shape not in ("ball", "ring") else 0.0
    rgb = _varied(random, COLORS[color])
    for _ in range(TRIES):
        x, y = random.uniform(edge, 1 - edge), random.uniform(top, 1 - top)
        if all(math.hypot(x - o.x, y - o.y) > ROOM * (radius + o.radius) for o in others):
            return Item(shape, color, rgb, material, float(x), float(y), radius, angle)
    return None


def _ground(scene: Scene, size: tuple[int, int]) -> Pixels:
    first, last = (np.array(color, np.float32) for color in scene.colors)
    share = _pattern(scene.ground, size, scene.seed)
    return np.asarray(first + (last - first) * share[..., None], np.uint8)


@functools.lru_cache(maxsize=64)
def _fixed_pattern(ground: Ground, size: tuple[int, int]) -> NDArray[np.float32]:
    width, height = size
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None] + np.zeros((1, width), np.float32)
    if ground == "plain":
        return np.zeros_like(y)
    if ground == "gradient":
        return y
    if ground == "horizon":
        return (y > 0.55).astype(np.float32)
    rows, columns = np.indices((height, width)) * 8 // min(size)
    return ((rows + columns) % 2).astype(np.float32) * np.float32(0.5)


def _pattern(ground: Ground, size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """From the first colour (0) to the second (1)."""
    if ground != "clouds":
        return _fixed_pattern(ground, size)
    coarse = np.random.default_rng(seed).random((6, 6), np.float32)
    return np.asarray(np.clip(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), 0, 1), np.float32)


def _cover(item: Item, size: tuple[int, int]) -> Pixels:
    """How much of each pixel an item covers, 0..255."""
    short = min(size)
    radius = item.radius * short
    center = np.array([item.x * size[0], item.y * size[1]])
    cover = np.zeros(size[::-1], np.uint8)
    middle = _fixed(center)
    if item.shape in ("ball", "ring"):
        cv2.circle(cover, middle, round(radius * 2**FINE), 255, -1, cv2.LINE_AA, FINE)
        if item.shape == "ring":
            cv2.circle(cover, middle, round(0.55 * radius * 2**FINE), 0, -1, cv2.LINE_AA, FINE)
        return cover
    turn = math.radians(item.angle)
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    corners = np.rint((_outline(item.shape) @ matrix * radius + center - 0.5) * 2**FINE).astype(np.int32)
    cv2.fillPoly(cover, [corners], 255, cv2.LINE_AA, FINE)
    return cover


@functools.cache
def _outline(shape: str) -> NDArray[np.float64]:
    """Corners of a shape in the unit circle, x to the right, y down."""
    if shape == "star":
        reach = np.where(np.arange(10) % 2, 0.42, 1.0)
        turn = np.arange(10) * np.pi / 5
        return np.stack([reach * np.sin(turn), -reach * np.cos(turn)], 1)
    if shape == "heart":
        t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        x = 16 * np.sin(t) ** 3
        y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
        return np.stack([x, y], 1) / 17
    corners = {
        "box": [(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)],
        "triangle": [(0, -1), (0.87, 0.5), (-0.87, 0.5)],
        "diamond": [(0, -1), (0.65, 0), (0, 1), (-0.65, 0)],
        "cross": [
            (-0.3, -0.95), (0.3, -0.95), (0.3, -0.3), (0.95, -0.3), (0.95, 0.3), (0.3, 0.3),
            (0.3, 0.95), (-0.3, 0.95), (-0.3, 0.3), (-0.95, 0.3), (-0.95, -0.3), (-0.3, -0.3),
        ],
    }[shape]  # fmt: skip
    return np.array(corners, np.float64)


def _paint(canvas: Pixels, item: Item, cover: Pixels) -> None:
    """Lay an item's surface over the canvas, within its box."""
    height, width = cover.shape
    short, reach = min(width, height), 1.05 * item.radius * min(width, height) + 2
    left, right = max(0, int(item.x * width - reach)), min(width, int(item.x * width + reach) + 1)
    top, bottom = max(0, int(item.y * height - reach)), min(height, int(item.y * height + reach) + 1)
    if left >= right or top >= bottom:
        return
    part, share = canvas[top:bottom, left:right], cover[top:bottom, left:right, None].astype(np.float32) / 255
    y, x = np.ogrid[top:bottom, left:right]
    u = (x - item.x * width) / (item.radius * short)
    v = (y - item.y * height) / (item.radius * short)
    surface = np.array(item.rgb, np.float32) * _light(item.material, u, v)[..., None]
    if item.material == "shiny":
        glint = np.exp(-((u + 0.35) ** 2 + (v + 0.4) ** 2) / 0.05)[..., None]
        surface += (255 - surface) * 0.75 * glint
    canvas[top:bottom, left:right] = np.clip(part + (surface - part) * share, 0, 255)


def _light(material: Material, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float32]:
    """How light the surface is, about 1; u and v run from -1 to 1 over the item."""
    base = 1.04 - 0.16 * (0.5 * u + v)
    if material == "striped":
        base = base * np.where(np.floor(4 * (u + v)) % 2, 1.0, 0.72)
    elif material == "dotted":
        base = base * np.where(np.hypot(((3 * u) % 1) - 0.5, ((3 * v) % 1) - 0.5) < 0.27, 0.66, 1.0)
    return np.asarray(base, np.float32)


def _written(canvas: Pixels, words: Words) -> Pixels:
    """Write the words into the canvas; return what they cover."""
    height, width = canvas.shape[:2]
    face, size = cv2.FontFace("sans"), max(6, round(words.height * min(width, height)))
    box = cv2.getTextSize((0, 0), words.text, (0, 0), face, size, 600)
    at = (round(words.x * width - box[2] / 2 - box[0]), round(words.y * height - box[3] / 2 - box[1]))
    cover = np.zeros((height, width), np.uint8)
    cv2.putText(cover, words.text, at, (255,), face, size, 600)
    share = cover[..., None].astype(np.float32) / 255
    canvas[:] = np.rint(canvas + (np.array(words.rgb, np.float32) - canvas) * share)
    return cover


def _fixed(point: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.rint((point - 0.5) * 2**FINE).astype(int)
    return int(x), int(y)
