"""Marks drawn on the picture: shapes around or under things, arrows that point at them."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Color, Coordinate
from lego.core.values import Image, Mask
from lego.tools.pixels import blend, must_fit

Floats: TypeAlias = NDArray[np.float64]
Shape: TypeAlias = Literal["rectangle", "ellipse", "circle", "line", "underline", "cross"]
Width: TypeAlias = Annotated[
    float, Field(ge=0.1, le=10, description="of the stroke, of the short side", json_schema_extra={"unit": "%"})
]

FINER = 4  # drawn at so many times the size and averaged down
FINEST = 8192  # px; larger canvases are drawn less fine
SHIFT = 4  # bits after the point of the coordinates that OpenCV draws at
HALF = 128  # from here on a soft pixel belongs to the thing
ROOM = 0.06  # of the thing's size between it and what is drawn around it
HEAD = 4.5  # widths of the stroke, that an arrow's head is wide and long
REACH = 0.28  # of the short side, that an arrow is long where only its end is given
GAP = 1.5  # widths of the stroke between an arrow's tip and the thing

CIRCLE, BOXED, LINED = {"shape": "circle"}, {"shape": "rectangle"}, {"shape": "underline"}
OVAL, CROSSED = {"shape": "ellipse"}, {"shape": "cross"}


@tool(
    scope="global",
    phrases={
        "draw {shape}": {}, "draw thick {shape} around {target}": {"width": 2.0},
        "draw thin {shape} around {target}": {"width": 0.4}, "put thick {shape} around {target}": {"width": 2.0},
        "put thin {shape} around {target}": {"width": 0.4}, "draw thick box around {target}": {"shape": "rectangle",
        "width": 2.0}, "draw {shape} around {target}": {}, "add {shape} around {target}": {},
        "put {shape} around {target}": {}, "draw box around {target}": BOXED, "put box around {target}": BOXED,
        "add box around {target}": BOXED, "draw frame around {target}": BOXED, "draw square around {target}": BOXED,
        "draw oval around {target}": OVAL, "put oval around {target}": OVAL, "draw ring around {target}": CIRCLE,
        "put ring around {target}": CIRCLE, "circle {target}": OVAL, "encircle {target}": OVAL, "draw box": BOXED,
        "mark {target} with {shape}": {}, "mark {target} with box": BOXED, "outline {target} with {shape}": {},
        "underline {target}": LINED, "draw line under {target}": LINED, "cross out {target}": CROSSED,
        "draw cross over {target}": CROSSED, "strike out {target}": CROSSED,
        "画圆圈": CIRCLE, "画圈": CIRCLE, "画圆": CIRCLE, "画方框": BOXED, "画框": BOXED, "画矩形": BOXED,
        "画椭圆": OVAL,
        "圈出{target}": OVAL, "圈住{target}": OVAL, "把{target}圈出来": OVAL, "把{target}圈起来": OVAL,
        "用圆圈圈出{target}": CIRCLE, "用圈圈出{target}": CIRCLE, "框出{target}": BOXED, "框住{target}": BOXED,
        "把{target}框出来": BOXED, "把{target}框起来": BOXED, "用方框框出{target}": BOXED, "用框框出{target}": BOXED,
        "在{target}周围画圆圈": CIRCLE, "在{target}周围画方框": BOXED, "在{target}周围画圈": CIRCLE,
        "在{target}周围画框": BOXED, "在{target}下面画线": LINED, "给{target}加下划线": LINED,
        "划掉{target}": CROSSED,
    },
)  # fmt: skip
def draw_shape(
    image: Image,
    shape: Shape = "rectangle",
    mask: Mask | None = None,
    box: Annotated[
        list[Coordinate] | None,
        Field(min_length=4, max_length=4, description="left, top, right, bottom"),
    ] = None,
    color: Color = "#e02020",
    width: Width = 0.9,
    fill: Annotated[Color | None, Field(description="of the inside; empty if left out")] = None,
    opacity: Annotated[float, Field(ge=0, le=1)] = 1.0,
) -> Image:
    """Draw a rectangle, ellipse, circle, line, underline or cross: around the masked thing, or in a box.

    With a mask a rectangle goes round the thing's box, an ellipse or circle round the thing itself, an underline below,
    a cross over it. A line runs from the box's first corner to its second. Without either, the shape stands in the
    middle.
    """
    must_fit(image, mask)
    if mask is not None and mask.box is None:
        return image.replace(image.pixels)
    stroke = max(1.0, width * min(image.size) / 100)
    place = _in_pixels(image.size, box) if mask is None else _around(mask, shape, stroke)
    paths = _paths(shape, place)
    if fill and shape in ("rectangle", "ellipse", "circle"):
        image = _inked(image, _cover(image.size, paths, 0.0), fill, opacity)
    return _inked(image, _cover(image.size, paths, stroke), color, opacity)


@tool(
    scope="global",
    phrases={
        "draw arrow": {}, "add arrow": {}, "draw thick arrow pointing at {target}": {"width": 2.2},
        "draw big arrow pointing at {target}": {"width": 2.2},
        "add big arrow pointing at {target}": {"width": 2.2}, "put arrow": {}, "draw arrow pointing at {target}": {},
        "draw arrow pointing to {target}": {}, "draw arrow to {target}": {}, "draw arrow at {target}": {},
        "add arrow pointing at {target}": {}, "add arrow pointing to {target}": {}, "add arrow to {target}": {},
        "put arrow pointing at {target}": {}, "put arrow pointing to {target}": {},
        "point at {target} with arrow": {},
        "point arrow at {target}": {}, "point to {target} with arrow": {}, "mark {target} with arrow": {},
        "arrow pointing at {target}": {}, "arrow pointing to {target}": {}, "画箭头": {}, "加箭头": {},
        "画箭头指向{target}": {}, "加箭头指向{target}": {}, "添加箭头指向{target}": {}, "用箭头指向{target}": {},
        "用箭头指出{target}": {}, "用箭头标出{target}": {}, "画一个箭头指向{target}": {},
        "画一个指向{target}的箭头": {},
        "画一支箭头指向{target}": {}, "加一个指向{target}的箭头": {},
    },
)  # fmt: skip
def draw_arrow(
    image: Image,
    mask: Mask | None = None,
    start: Annotated[list[Coordinate] | None, Field(min_length=2, max_length=2, description="x, y")] = None,
    end: Annotated[list[Coordinate] | None, Field(min_length=2, max_length=2, description="x, y of its tip")] = None,
    color: Color = "#e02020",
    width: Width = 1.2,
    opacity: Annotated[float, Field(ge=0, le=1)] = 1.0,
) -> Image:
    """Draw an arrow from one point to another, or pointing at the masked thing.

    With a mask and no end the tip stops just before the thing; without a start the arrow comes from where there is most
    room. Without any of them it points at the middle.
    """
    must_fit(image, mask)
    if mask is not None and mask.box is None:
        return image.replace(image.pixels)
    stroke = max(1.0, width * min(image.size) / 100)
    size = np.array(image.size, np.float64)
    first = None if start is None else np.array(start) * size / 1000
    last = None if end is None else np.array(end) * size / 1000
    if last is None and mask is not None:
        first, last = _aimed(mask, first, stroke)
    last = size / 2 if last is None else last
    first = last + _room(last, size) * REACH * size.min() if first is None else first
    shaft, head = _arrow(first, last, stroke)
    cover = np.maximum(_cover(image.size, [(shaft, False)], stroke), _cover(image.size, [(head, True)], 0.0))
    return _inked(image, cover, color, opacity)


def _in_pixels(size: tuple[int, int], box: list[int] | None) -> Floats:
    x0, y0, x1, y1 = box or (250, 250, 750, 750)
    return np.array([x0 * size[0], y0 * size[1], x1 * size[0], y1 * size[1]], np.float64) / 1000


def _around(mask: Mask, shape: str, stroke: float) -> Floats:
    """The box of what is drawn round the thing, with some room; it may leave the frame."""
    inside = mask.pixels >= min(HALF, int(mask.pixels.max()))
    x0, y0, x1, y1 = Mask(inside).box or (0, 0, 1, 1)
    middle, half = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0]) / 2
    if shape == "circle":
        half = np.full(2, half.max())
    room = ROOM * 2 * float(half.min() if shape == "underline" else half.max()) + stroke
    if shape in ("ellipse", "circle"):
        rows, columns = np.nonzero(inside)
        reach = np.hypot((columns + 0.5 - middle[0]) / half[0], (rows + 0.5 - middle[1]) / half[1])
        half = half * float(np.percentile(reach, 99.5))  # corners of a box's worth of hairs may stick out
    if shape == "cross":
        room = 0.0
    half = half + room
    return np.concatenate([middle - half, middle + half])


def _paths(shape: str, box: Floats) -> list[tuple[Floats, bool]]:
    """Lines through points (n x 2 px), each with: is it closed?"""
    x0, y0, x1, y1 = box
    if shape == "line":
        return [(np.array([(x0, y0), (x1, y1)]), False)]
    if shape == "underline":
        return [(np.array([(x0, y1), (x1, y1)]), False)]
    if shape == "cross":
        return [(np.array([(x0, y0), (x1, y1)]), False), (np.array([(x0, y1), (x1, y0)]), False)]
    if shape == "rectangle":
        return [(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), True)]
    radius = np.array([x1 - x0, y1 - y0]) / 2
    radius = np.full(2, np.abs(radius).min()) if shape == "circle" else radius
    turn = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    return [(np.array([x0 + x1, y0 + y1]) / 2 + radius * np.column_stack([np.cos(turn), np.sin(turn)]), True)]


def _aimed(mask: Mask, start: Floats | None, stroke: float) -> tuple[Floats, Floats]:
    """Where an arrow at the masked thing starts and ends: on the line to its middle, up to its edge."""
    rows, columns = np.nonzero(mask.pixels >= min(HALF, int(mask.pixels.max())))
    points = np.column_stack([columns, rows]) + 0.5
    middle = points.mean(0)
    size = np.array(mask.size, np.float64)
    away = _room(middle, size) if start is None else start - middle
    way = away / (float(np.hypot(*away)) or 1.0)
    along, across = (points - middle) @ way, (points - middle) @ np.array([-way[1], way[0]])
    near = np.abs(across) <= max(1.0, 2 * stroke)
    edge = float(along[near].max()) if near.any() else float(along.max())
    tip = middle + way * (edge + GAP * stroke)
    tip = np.clip(tip, stroke, np.maximum(size - stroke, stroke))
    return (tip + way * REACH * size.min() if start is None else start), tip


def _room(point: Floats, size: Floats) -> Floats:
    """The slanted direction in which the frame is furthest from a point."""
    ways = np.array([(1, -1), (-1, -1), (1, 1), (-1, 1)]) / math.sqrt(2)
    room = np.where(ways > 0, size - point, point).min(1)
    return np.asarray(ways[int(room.argmax())])


def _arrow(start: Floats, end: Floats, stroke: float) -> tuple[Floats, Floats]:
    """The shaft, up to the middle of the head, and the head's three corners."""
    way = end - start
    length = float(np.hypot(*way)) or 1.0
    way = way / length
    head = min(HEAD * stroke, 0.6 * length)
    base = end - way * head
    side = np.array([-way[1], way[0]]) * head / 2
    return np.array([start, base + way * head / 2]), np.array([end, base + side, base - side])


def _cover(size: tuple[int, int], paths: list[tuple[Floats, bool]], stroke: float) -> Pixels:
    """Coverage of strokes so wide, or of the insides if that is 0; 0..255, of the picture's size."""
    cover = np.zeros((size[1], size[0]), np.uint8)
    points = np.concatenate([path for path, _ in paths])
    low = np.clip(np.floor(points.min(0) - stroke - 1), 0, size).astype(int)
    high = np.clip(np.ceil(points.max(0) + stroke + 1), 0, size).astype(int)
    wide, high_ = int(high[0] - low[0]), int(high[1] - low[1])
    if wide <= 0 or high_ <= 0:
        return cover
    finer = max(1, min(FINER, FINEST // max(wide, high_)))
    canvas = np.zeros((high_ * finer, wide * finer), np.uint8)
    for path, closed in paths:
        corners = np.rint(((path - low) * finer - 0.5) * (1 << SHIFT)).astype(np.int32)
        if stroke:
            thick = max(1, round(stroke * finer))
            cv2.polylines(canvas, [corners], closed, (255,), thick, cv2.LINE_AA, SHIFT)
        else:
            cv2.fillPoly(canvas, [corners], (255,), cv2.LINE_AA, SHIFT)
    cover[low[1] : high[1], low[0] : high[0]] = cv2.resize(canvas, (wide, high_), interpolation=cv2.INTER_AREA)
    return cover


def _inked(image: Image, cover: Pixels, color: str, opacity: float) -> Image:
    weight: Any = np.rint(cover * np.float32(opacity)).astype(np.uint8)
    flat = np.broadcast_to(np.array(ImageColor.getrgb(color)[:3], np.uint8), image.pixels.shape)
    made = blend(image, flat, Mask(weight))
    return made if image.alpha is None else Image(made.pixels, np.maximum(image.alpha, weight))
