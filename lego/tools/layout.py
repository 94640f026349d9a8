"""Several pictures in one: a collage, two side by side, before and after, one inset in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import numpy as np
from PIL import ImageColor
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Color
from lego.core.values import Image
from lego.tools import piece
from lego.tools.compose import MARGIN, Position, place
from lego.tools.geometry import scaled
from lego.tools.piece import Piece, Shadow

Gap: TypeAlias = Annotated[
    float,
    Field(ge=0, le=20, description="between the pictures, of a row's height", json_schema_extra={"unit": "%"}),
]

MAX_SIDE = 8192  # px of what is put together: 16 large photographs in a row would be 100 000 px wide
MAX_HEIGHT = 4  # widths: a single high picture in a row of its own would be taller than anybody scrolls


@tool(
    scope="geometric",
    phrases={
        "collage": {}, "make collage": {}, "photo collage": {}, "collage of pictures": {},
        "collage of all pictures": {},
        "put together in collage": {}, "put together in grid": {}, "arrange in grid": {}, "contact sheet": {},
        "grid of pictures": {}, "photo grid": {}, "combine into grid": {}, "combine into collage": {},
        "combine photos into collage": {}, "combine pictures into collage": {}, "collage of photos": {},
        "2 by 2 grid": {"columns": 2}, "3 by 3 grid": {"columns": 3},
        "combine into collage with small gaps": {"gap": 1.0}, "collage with small gaps": {"gap": 1.0},
        "combine into one": {},
        "mosaic of pictures": {},
        "collage with {columns} columns": {}, "collage in {columns} columns": {}, "{columns} column collage": {},
        "grid with {columns} columns": {}, "collage with {color} background": {}, "collage on {color}": {},
        "collage with {color} gaps": {}, "collage without gaps": {"gap": 0.0}, "collage with no gap": {"gap": 0.0},
        "collage with wide gaps": {"gap": 6.0}, "拼图": {}, "拼成一张": {}, "照片拼贴": {}, "拼贴": {}, "做成拼图": {},
        "九宫格": {"columns": 3}, "拼成{columns}列": {}, "拼成网格": {}, "{color}背景拼图": {},
    },
)  # fmt: skip
def collage(
    image: Image,
    pictures: list[Image],
    columns: Annotated[int, Field(ge=0, le=8, description="0 makes the arrangement about square")] = 0,
    gap: Gap = 2.0,
    color: Color = "#ffffff",
) -> Image:
    """Put this picture and others together in rows, like a contact sheet, nothing cropped.

    In every row the pictures have one height, and all rows one width; the order is kept. Transparent parts show the
    colour of the gaps.
    """
    every = [image, *pictures]
    across = columns or int(np.ceil(np.sqrt(len(every))))
    rows = np.array_split(np.arange(len(every)), -(-len(every) // across))
    lines = [[every[n] for n in row] for row in rows]
    widest = max(sum(p.size[0] / p.size[1] for p in line) for line in lines) * image.size[1]
    width = max(1, min(MAX_SIDE, round(widest)))
    space = round(gap / 100 * min(image.size[1], width))
    bands = [_row(line, width, space, color) for line in lines]
    share = min(1.0, min(MAX_SIDE, MAX_HEIGHT * width) / sum(b.shape[0] for b in bands))
    sheet = _stacked(bands, space, color)
    if share < 1:
        sheet = scaled(sheet, (max(1, round(sheet.shape[1] * share)), max(1, round(sheet.shape[0] * share))))
    return Image(_framed(sheet, space, color))


@tool(
    scope="geometric",
    phrases={
        "side by side": {}, "put side by side": {}, "place side by side": {}, "side by side with reference": {},
        "put next to reference": {}, "put next to other picture": {}, "put next to each other": {}, "diptych": {},
        "join side by side": {}, "join horizontally": {}, "combine side by side": {},
        "combine pictures side by side": {}, "put photos side by side": {}, "put both next to each other": {},
        "put one above other": {"direction": "vertical"}, "stack vertically": {"direction": "vertical"},
        "join vertically": {"direction": "vertical"}, "put above each other": {"direction": "vertical"},
        "put above reference": {"direction": "vertical"}, "stack on top of each other": {"direction": "vertical"},
        "并排": {}, "左右拼接": {}, "横向拼接": {}, "并排放在一起": {}, "排放在一起": {}, "放在一起": {},
        "拼在一起": {}, "左右并排": {},
        "上下拼接": {"direction": "vertical"},
        "纵向拼接": {"direction": "vertical"},
    },
)  # fmt: skip
def side_by_side(
    image: Image,
    picture: Image,
    direction: Literal["horizontal", "vertical"] = "horizontal",
    gap: Gap = 2.0,
    color: Color = "#ffffff",
) -> Image:
    """Put another picture to the right of this one, or below, at the same height or width, with a gap between."""
    return _pair(image, picture, direction, gap, color)


@tool(
    scope="geometric",
    phrases={
        "before and after": {}, "show before and after": {}, "before after": {}, "before and after comparison": {},
        "difference before and after": {}, "show difference before and after": {},
        "compare with original": {}, "compare before and after": {}, "show original next to it": {},
        "show original side by side": {}, "side by side with original": {}, "put original next to it": {},
        "show before and after side by side": {}, "split view": {"style": "split"},
        "before after split": {"style": "split"},
        "split before and after": {"style": "split"}, "before and after in one": {"style": "split"},
        "half original half edited": {"style": "split"}, "half before half after": {"style": "split"},
        "前后对比": {}, "对比图": {}, "与原图对比": {}, "和原图对比": {}, "和原图并排": {}, "做成前后对比": {},
        "显示前后对比": {},
        "一半原图一半效果": {"style": "split"}, "左右分屏对比": {"style": "split"}, "分屏对比": {"style": "split"},
    },
)  # fmt: skip
def before_after(
    image: Image,
    before: Image,
    style: Annotated[
        Literal["side by side", "split"],
        Field(description="both in full, or the left half of one, the right of the other"),
    ] = "side by side",
    gap: Gap = 2.0,
    color: Color = "#ffffff",
) -> Image:
    """Show the picture before the edit to the left of this one; "split" shows one scene, half before, half after.

    Raises:
        RefusedError: a split of pictures of different sizes.
    """
    if style == "side by side":
        return _pair(before, image, "horizontal", gap, color)
    if before.size != image.size:
        raise RefusedError(
            f"the picture was {before.size[0]} x {before.size[1]} and is {image.size[0]} x {image.size[1]} now, so "
            "their halves do not meet", hint="show them side by side", reason="size_mismatch",
        )  # fmt: skip
    width = image.size[0]
    line = max(1, round(gap / 100 * min(image.size) / 4)) if gap and width > 2 else 0
    pixels = np.array(image.pixels)
    pixels[:, : width // 2] = before.pixels[:, : width // 2]
    pixels[:, (width - line) // 2 : (width - line) // 2 + line] = ImageColor.getrgb(color)[:3]
    return image.replace(pixels)


def _pair(first: Image, second: Image, direction: str, gap: float, color: str) -> Image:
    space = round(gap / 100 * min(first.size))
    if direction == "vertical":
        width = min(MAX_SIDE, max(first.size[0], second.size[0]))
        return Image(_stacked([_row([p], width, 0, color) for p in (first, second)], space, color))
    height = min(MAX_SIDE, max(first.size[1], second.size[1]))
    across = sum(p.size[0] / p.size[1] for p in (first, second)) * height + space
    return Image(_row([first, second], max(3, min(MAX_SIDE, round(across))), space, color))


def _row(pictures: Sequence[Image], width: int, space: int, color: str) -> Pixels:
    """Pictures of one height side by side that fill a width, gaps included."""
    shapes = [p.size[0] / p.size[1] for p in pictures]
    room = max(len(pictures), width - space * (len(pictures) - 1))
    height = max(1, min(MAX_SIDE, round(room / sum(shapes))))
    ends = np.rint(np.cumsum([0.0, *shapes]) / sum(shapes) * room).astype(int)
    made = _flat((height, width), color)
    for number, picture in enumerate(pictures):
        size = (max(1, int(ends[number + 1] - ends[number])), height)
        left = int(ends[number]) + number * space
        part = made[:, left : left + size[0]]
        part[:] = _on(picture, size, color)[:, : part.shape[1]]
    return made


def _on(picture: Image, size: tuple[int, int], color: str) -> Pixels:
    """A picture scaled, on a flat ground where it is transparent."""
    if picture.alpha is None:
        return scaled(picture.pixels, size)
    return piece.over(Image(_flat(size[::-1], color)), piece.resized(picture, size), (0, 0)).pixels


def _stacked(bands: Sequence[Pixels], space: int, color: str) -> Pixels:
    between = _flat((space, bands[0].shape[1]), color)
    parts = [part for band in bands for part in (band, between)][:-1]
    return np.asarray(np.vstack(parts), np.uint8)


def _framed(sheet: Pixels, space: int, color: str) -> Pixels:
    made = _flat((sheet.shape[0] + 2 * space, sheet.shape[1] + 2 * space), color)
    made[space : space + sheet.shape[0], space : space + sheet.shape[1]] = sheet
    return made


def _flat(shape: tuple[int, int], color: str) -> Pixels:
    return np.full((*shape, 3), ImageColor.getrgb(color)[:3], np.uint8)


@tool(
    phrases={
        "picture-in-picture": {}, "inset": {}, "inset with {color} border": {}, "add reference as inset": {},
        "add as inset": {},
        "add reference as inset with {color} border": {}, "show as inset": {}, "add inset": {}, "inset reference": {},
        "put reference in corner": {},
        "put second picture in corner": {}, "put other picture in corner": {}, "put small picture in corner": {},
        "put reference in {position}": {}, "put other picture in {position}": {},
        "put second picture in {position}": {},
        "put other photo in {position}": {}, "small reference in {position}": {}, "inset in {position}": {},
        "put reference in small": {}, "show reference as inset": {}, "画中画": {}, "做成画中画": {},
        "小图放在{position}": {},
        "把参考图放在{position}": {}, "把另一张放在{position}": {}, "把小图放在{position}": {},
        "polaroid inset": {"border": 5.0, "rounding": 0.0}, "round inset": {"rounding": 50.0},
    }
)  # fmt: skip
def picture_in_picture(
    image: Image,
    picture: Image,
    position: Position = "bottom right",
    scale: Annotated[
        float, Field(ge=0.05, le=0.9, description="width of the inset, as a share of the picture's")
    ] = 0.3,
    border: Annotated[
        float, Field(ge=0, le=15, description="of its short side", json_schema_extra={"unit": "%"})
    ] = 2.5,
    rounding: Annotated[
        float, Field(ge=0, le=50, description="radius of its corners, of its short side; 50 makes ends round")
    ] = 6.0,
    color: Color = "#ffffff",
    shadow: Shadow = 0.6,
) -> Image:
    """Show another picture small in a corner of this one, with a border, rounded corners and a soft shadow."""
    width, height = image.size
    share = min(scale * width / picture.size[0], 0.9 * height / picture.size[1])
    size = (max(1, round(picture.size[0] * share)), max(1, round(picture.size[1] * share)))
    inset = _mounted(piece.resized(picture, size), border, rounding, color)
    at = place(image.size, (inset.alpha.shape[1], inset.alpha.shape[0]), position, MARGIN)
    return piece.lay(image, inset, at, shadow=shadow)


def _mounted(inner: Piece, border: float, rounding: float, color: str) -> Piece:
    """A picture on a rounded card that is a border larger; transparent pictures show the card."""
    height, width = inner.alpha.shape
    edge = round(border / 100 * min(width, height))
    radius = rounding / 100 * min(width, height)
    size = (width + 2 * edge, height + 2 * edge)
    card = Image(_flat(size[::-1], color))
    window = np.rint(inner.alpha * (_rounded((width, height), radius).astype(np.float32) / 255)).astype(np.uint8)
    card = piece.over(card, Piece(inner.pixels, window), (edge, edge))
    alpha = _rounded(size, radius + edge if radius else 0.0)
    if edge == 0:
        alpha = window
    return Piece(card.pixels, alpha)


def _rounded(size: tuple[int, int], radius: float) -> Pixels:
    """Coverage of a rectangle with rounded corners, 0..255, by its distance field."""
    width, height = size
    radius = min(radius, min(size) / 2)
    if radius < 1:
        return np.full((height, width), 255, np.uint8)
    across = np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius)
    down = np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius)
    away = np.hypot(np.maximum(across, 0)[None], np.maximum(down, 0)[:, None]) - radius
    return np.asarray(np.rint(np.clip(0.5 - away, 0, 1) * 255), np.uint8)
