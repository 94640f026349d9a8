"""Marks that say whose picture it is: faint words or a logo, in a corner or all over."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import cv2
import numpy as np
from PIL import ImageColor
from pydantic import Field

from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Color, Text
from lego.core.values import Image
from lego.tools import piece
from lego.tools.compose import MARGIN, Share, place
from lego.tools.piece import Piece
from lego.tools.text import add_text

Spot: TypeAlias = Literal[
    "tiled", "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right"
]

TILE_TURN = -30.0  # degrees that a tiled watermark rises by: no straight crop gets between its rows
TILE_ROOM = 1.4  # distance of tiles, in their own sizes
STAMP = 1600  # px of the canvas that words are drawn on before they are scaled: finer than any mark needs
LINE_HIGH = 0.3  # of the mark's width: the height of words at most, so that "A" is no larger than "Ann Smith"
EMBOSS = 0.05  # softness of the dark edge of white words, of their height: a mark on white has to be seen too
EMBOSS_OPACITY = 0.7


@tool(
    phrases={
        "watermark": {}, "add watermark": {}, "put watermark": {}, "watermark with {text}": {},
        "add watermark {text}": {},
        "watermark {text}": {}, "add {text} watermark": {}, "add {text} as watermark": {}, "stamp {text}": {},
        "put {text} as watermark": {}, "put watermark {text}": {}, "add watermark {text} in {position}": {},
        "add copyright {text}": {}, "watermark {text} in {position}": {}, "tile watermark": {"position": "tiled"},
        "tile watermark {text}": {"position": "tiled"}, "tiled watermark {text}": {"position": "tiled"},
        "add tiled watermark": {"position": "tiled"}, "add tiled watermark {text}": {"position": "tiled"},
        "repeat watermark {text}": {"position": "tiled"}, "watermark all over": {"position": "tiled"},
        "watermark {text} all over": {"position": "tiled"}, "watermark {text} everywhere": {"position": "tiled"},
        "cover with watermark {text}": {"position": "tiled"}, "watermark with logo": {}, "logo watermark": {},
        "add logo watermark": {}, "add logo as watermark": {},
        "use logo as watermark": {}, "use reference as watermark": {}, "添加水印": {}, "加水印": {}, "加上水印": {},
        "打水印": {}, "打上水印": {}, "加水印{text}": {}, "添加水印{text}": {}, "打上水印{text}": {},
        "加上{text}水印": {},
        "加{text}水印": {}, "平铺水印": {"position": "tiled"}, "平铺水印{text}": {"position": "tiled"},
        "满屏水印": {"position": "tiled"}, "满屏水印{text}": {"position": "tiled"},
        "铺满水印{text}": {"position": "tiled"},
        "用标志作水印": {}, "用参考图作水印": {},
    }
)  # fmt: skip
def watermark(
    image: Image,
    text: Text = "",
    picture: Image | None = None,
    position: Annotated[Spot, Field(description="one place, or repeated all over")] = "bottom right",
    size: Annotated[
        float,
        Field(ge=2, le=100, description="width of the mark, of the picture's width", json_schema_extra={"unit": "%"}),
    ] = 22.0,
    opacity: Share = 0.45,
    color: Color = "#ffffff",
) -> Image:
    """Mark the picture with faint words or a logo, in a corner or repeated all over.

    Words are the mark if there are any, else the picture. They have a soft dark edge, so that they can be read on
    light ground too.

    Raises:
        RefusedError: there are neither words nor a picture, or the words cannot be written (see `add_text`).
    """
    if picture is None and not text.strip():
        raise RefusedError(
            "the watermark says nothing", hint='write its words in quotes, or give a logo with --reference FILE',
            reason="empty",
        )  # fmt: skip
    mark = picture if picture is not None and not text.strip() else Image(*_lettered(text, color))
    width = max(1, round(size / 100 * image.size[0]))
    share = min(width / mark.size[0], image.size[1] / mark.size[1])
    if mark is not picture:
        share = min(share, LINE_HIGH * width / mark.size[1])
    shape = (max(1, round(mark.size[0] * share)), max(1, round(mark.size[1] * share)))
    stamp = piece.resized(mark, shape)
    if position == "tiled":
        return piece.over(image, _tiled(stamp, image.size), (0, 0), opacity)
    return piece.over(image, stamp, place(image.size, shape, position, MARGIN), opacity)


def _lettered(text: str, color: str) -> Piece:
    """Words tightly boxed, with a soft edge: dark round light words, light round dark ones."""
    ink = ImageColor.getrgb(color)[:3]
    canvas = Image(np.full((STAMP // 2, STAMP, 3), ink, np.uint8), np.zeros((STAMP // 2, STAMP), np.uint8))
    drawn = add_text(canvas, text, "center", color, 20.0, 1.0, 600)
    assert drawn.alpha is not None
    rows, columns = np.nonzero(drawn.alpha)
    high = int(rows.max() - rows.min() + 1)
    soft = max(1.0, EMBOSS * high)
    room = round(3 * soft)
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    sharp = cv2.copyMakeBorder(drawn.alpha[box], room, room, room, room, cv2.BORDER_CONSTANT, value=0)
    halo = cv2.GaussianBlur(sharp, (0, 0), soft).astype(np.float32) * np.float32(EMBOSS_OPACITY)
    letters = sharp.astype(np.float32) / 255
    alpha = np.maximum(sharp, halo)
    edge = np.full((*sharp.shape, 3), 0 if sum(ink) > 382 else 255, np.float32)
    share = letters / np.maximum(alpha / 255, 1e-3)
    pixels = edge + (np.array(ink, np.float32) - edge) * np.clip(share, 0, 1)[..., None]
    return Piece(np.rint(pixels).astype(np.uint8), np.rint(alpha).astype(np.uint8))


def _tiled(stamp: Piece, room: tuple[int, int]) -> Piece:
    """Repeat a mark along rising rows, every other row shifted by half."""
    turned = _turned(stamp)
    high, wide = turned.alpha.shape
    step_x, step_y = max(1, round(TILE_ROOM * wide)), max(1, round(TILE_ROOM * high))
    ground = Image(np.zeros((room[1], room[0], 3), np.uint8), np.zeros((room[1], room[0]), np.uint8))
    pixels, alpha = np.array(ground.pixels), np.zeros((room[1], room[0]), np.uint8)
    for row, top in enumerate(range(-high // 2, room[1], step_y)):
        for left in range(-wide // 2 - (row % 2) * step_x // 2, room[0], step_x):
            x0, y0, x1, y1 = max(0, left), max(0, top), min(room[0], left + wide), min(room[1], top + high)
            if x0 < x1 and y0 < y1:
                part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
                pixels[y0:y1, x0:x1], alpha[y0:y1, x0:x1] = turned.pixels[part], turned.alpha[part]
    return Piece(pixels, alpha)


def _turned(stamp: Piece) -> Piece:
    """The mark rising to the right; colours are carried beyond its edge first, so that none bleeds in."""
    high, wide = stamp.alpha.shape
    turn = np.deg2rad(abs(TILE_TURN))
    size = (
        int(np.ceil(wide * np.cos(turn) + high * np.sin(turn))) + 2,
        int(np.ceil(wide * np.sin(turn) + high * np.cos(turn))) + 2,
    )
    matrix = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), -TILE_TURN, 1)
    matrix[:, 2] += (size[0] - wide) / 2, (size[1] - high) / 2
    pixels = cv2.warpAffine(stamp.pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Piece(np.asarray(pixels, np.uint8), np.asarray(cv2.warpAffine(stamp.alpha, matrix, size), np.uint8))
