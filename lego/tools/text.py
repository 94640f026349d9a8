"""Words in the picture."""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from PIL import ImageColor
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Color, Text
from lego.core.values import Image, Mask
from lego.tools.compose import MARGIN, Position, place
from lego.tools.pixels import blend

FONT = "sans"  # embedded in OpenCV 5; what it lacks is taken from the embedded "uni" (CJK)
FINER = 4  # drawn at so many times the size and averaged down: letters are spaced evenly at any size
FINEST = 8192  # px; larger canvases are drawn less fine
LINE = 1.25  # height of a line in font sizes
SMALLEST = 6  # px; below this text cannot be read, so it is not shrunk further
WRAP_FROM = 0.6  # text is shrunk to this share of the wanted size before it is broken into lines
SHADOW = 0.06  # softness and offset of the shadow, in font sizes
SHADOW_OPACITY = 0.6
OUTLINE = 0.08  # of a font size, where a colour alone asks for an outline
PLATE = 0.35  # of a font size, by which a plate is larger than the words on it
PROBE = 32  # px at which missing glyphs are looked for


class Layout(NamedTuple):
    """Lines of text and the font size that fits them."""

    lines: tuple[str, ...]
    size: int
    width: int


@tool(
    effect="text",
    phrases={
        "add text": {}, "write": {}, "add words": {}, "add caption": {}, "caption": {}, "put text": {}, "put words": {},
        "add title": {"size": 12.0}, "add label": {}, "添加文字": {}, "加文字": {}, "写上": {},
        "加上文字": {}, "加标题": {"size": 12.0}, "添加标题": {"size": 12.0}, "写": {}, "加字幕": {},
        "add text {text}": {}, "write {text}": {}, "add {text}": {}, "put {text}": {}, "加上{text}": {},
        "添加{text}": {}, "add large text": {"size": 14.0}, "add big text": {"size": 14.0},
        "add small text": {"size": 4.0}, "add bold text": {"weight": 800}, "add text in large letters": {"size": 14.0},
        "add caption in large letters": {"size": 14.0}, "add text in small letters": {"size": 4.0},
        "write in large letters": {"size": 14.0}, "write in small letters": {"size": 4.0},
        "write in bold": {"weight": 800}, "用大字写": {"size": 14.0}, "用小字写": {"size": 4.0},
        "add text with shadow": {"shadow": True}, "write with shadow": {"shadow": True},
        "write with outline": {"outline": 0.08}, "add text with outline": {"outline": 0.08},
        "write with {outline_color} outline": {"outline": 0.08}, "write outlined": {"outline": 0.08},
        "add text with {outline_color} outline": {"outline": 0.08}, "add outlined text": {"outline": 0.08},
        "caption with {outline_color} outline": {"outline": 0.08},
        "add caption with {outline_color} outline": {"outline": 0.08}, "put {text} with outline": {"outline": 0.08},
        "put {text} with {outline_color} outline": {"outline": 0.08}, "add {text} with {outline_color} outline":
        {"outline": 0.08}, "write {text} with {outline_color} outline": {"outline": 0.08},
        "write {text} with outline": {"outline": 0.08}, "add {text} with outline": {"outline": 0.08},
        "write {text} on {plate} background": {}, "write {text} on {plate} box": {}, "add {text} on {plate} plate": {},
        "write {text} on {plate} plate": {}, "add text {text} on {plate} background": {}, "write {text} in box":
        {"plate": "#202020"}, "add {text} on {plate} background": {}, "带描边写上{text}": {"outline": 0.08},
        "写上{text}加描边": {"outline": 0.08}, "写上{text}带描边": {"outline": 0.08}, "写上{text}{outline_color}描边":
        {"outline": 0.08}, "在{plate}底上写{text}": {},
    }
)  # fmt: skip
def add_text(
    image: Image,
    text: Text,
    position: Position = "bottom",
    color: Color = "#ffffff",
    size: Annotated[
        float, Field(ge=1, le=50, description="of a line, of the picture's height", json_schema_extra={"unit": "%"})
    ] = 8.0,
    opacity: Annotated[float, Field(ge=0, le=1)] = 1.0,
    weight: Annotated[int, Field(ge=100, le=900, description="400 is regular, 700 bold")] = 500,
    angle: Annotated[
        float, Field(ge=-180, le=180, description="clockwise", json_schema_extra={"unit": "degrees"})
    ] = 0.0,
    shadow: Annotated[bool, Field(description="a soft dark edge, for busy or bright pictures")] = False,
    outline: Annotated[
        float, Field(ge=0, le=0.3, description="width of a line round the letters, in font sizes")
    ] = 0.0,
    outline_color: Annotated[Color | None, Field(description="black if left out; alone it asks for an outline")] = None,
    plate: Annotated[Color | None, Field(description="colour of a plate behind the words")] = None,
) -> Image:
    """Write words into the picture, at a place, in a colour and size.

    Latin, Greek, Cyrillic and CJK, in the fonts that OpenCV embeds; a new line starts at every line break. Text that is
    too wide is made smaller, then broken into lines; the notes say so.

    Raises:
        RefusedError: right-to-left script, or a character that the embedded fonts do not have.
    """
    text = "\n".join(" ".join(line.split()) for line in text.strip().replace("\\n", "\n").splitlines())
    if not text:
        return image.replace(image.pixels)
    refuse_unreadable(text)
    margin = round(MARGIN * min(image.size))
    room = (max(1, image.size[0] - 2 * margin), max(1, image.size[1] - 2 * margin))
    wanted = max(SMALLEST, round(size * image.size[1] / 100))
    layout = _fit(text, wanted, weight, room)
    stamp, ground = _turned(_drawn(layout, weight, position), round(PLATE * layout.size) if plate else 0, angle)
    if plate:
        image = _stamped(image, ground, position, plate, opacity)
    if shadow:
        image = _stamped(
            image, _softened(stamp, layout.size), position, "#000000", opacity * SHADOW_OPACITY, layout.size
        )
    if outline > 0 or outline_color:
        reach = max(1.0, (outline or OUTLINE) * layout.size)
        image = _stamped(
            image, _thickened(stamp, reach), position, outline_color or "#000000", opacity, math.ceil(reach) + 1
        )
    made = _stamped(image, stamp, position, color, opacity)
    return Image(made.pixels, made.alpha, _notes(layout, wanted, text))


def _notes(layout: Layout, wanted: int, text: str) -> tuple[str, ...]:
    notes = []
    if layout.size < wanted:
        notes.append(f"the text was made smaller ({layout.size} px instead of {wanted}) to fit the picture")
    if len(layout.lines) > text.count("\n") + 1:
        notes.append(f"the text was broken into {len(layout.lines)} lines to fit the picture")
    return tuple(notes)


def refuse_unreadable(text: str) -> None:
    """Refuse what would come out wrong: right-to-left scripts are not reordered, missing glyphs become '?'."""
    if any(unicodedata.bidirectional(c) in ("R", "AL", "RLE", "RLO", "RLI") for c in text):
        raise RefusedError(
            "right-to-left scripts cannot be written: the letters would come out in the wrong order",
            hint="make a picture of the text elsewhere and use `paste`",
            reason="right_to_left",
        )
    missing = [c for c in dict.fromkeys(text) if c not in " \n?？" and _is_missing(c)]
    if missing:
        raise RefusedError(
            f"the embedded fonts have no glyph for {' '.join(missing)}",
            hint="leave these characters out, or make a picture of the text elsewhere and use `paste`",
            reason="no_glyph",
            missing="".join(missing),
        )


@lru_cache(maxsize=4096)
def _is_missing(character: str) -> bool:
    if unicodedata.combining(character):
        return False
    return bool(np.array_equal(_probe(character), _probe("?")))


def _probe(character: str) -> Pixels:
    canvas = np.zeros((2 * PROBE, 2 * PROBE), np.uint8)
    cv2.putText(canvas, character, (4, PROBE + 8), (255,), cv2.FontFace(FONT), PROBE, 400)
    return canvas


def _measure(line: str, size: int, weight: int) -> int:
    """Width of a line in px, measured as finely as it is drawn: advances are whole px, so small sizes run narrower."""
    if not line:
        return 0
    box = cv2.getTextSize((0, 0), line, (0, 0), cv2.FontFace(FONT), size * FINER, weight)
    return -(-int(box[2]) // FINER)


def _fit(text: str, wanted: int, weight: int, room: tuple[int, int]) -> Layout:
    """Shrink to `WRAP_FROM` of the wanted size if that is enough, else break into lines and shrink as far as needed."""
    lines = tuple(text.split("\n"))
    size = _largest(lines, wanted, weight, room)
    if size >= WRAP_FROM * wanted or size >= wanted:
        return _layout(lines, size, weight)
    best = _layout(lines, size, weight)
    for tried in range(wanted, size, -max(1, wanted // 40)):
        broken = tuple(piece for line in lines for piece in _broken(line, tried, weight, room[0]))
        if len(broken) * LINE * tried <= room[1] and all(_measure(b, tried, weight) <= room[0] for b in broken):
            return _layout(broken, tried, weight)
    return best


def _largest(lines: tuple[str, ...], wanted: int, weight: int, room: tuple[int, int]) -> int:
    width = max(_measure(line, wanted, weight) for line in lines)
    share = min(1.0, room[0] / max(1, width), room[1] / (len(lines) * LINE * wanted))
    return max(SMALLEST, int(wanted * share))


def _layout(lines: tuple[str, ...], size: int, weight: int) -> Layout:
    return Layout(lines, size, max(_measure(line, size, weight) for line in lines))


def _broken(line: str, size: int, weight: int, room: int) -> list[str]:
    """Break a line at spaces, or between ideographs, so that each piece fits."""
    pieces: list[str] = []
    current = ""
    for word in _words(line):
        if current and _measure((current + word).strip(), size, weight) > room:
            pieces.append(current.strip())
            current = ""
        current += word
    return [*pieces, current.strip()]


def _words(line: str) -> list[str]:
    """Where a line may be broken: after spaces and around wide (CJK) characters, but not before punctuation."""
    words: list[str] = []
    for character in line:
        wide = unicodedata.east_asian_width(character) in "WF"
        closing = unicodedata.category(character) in ("Po", "Pe", "Pf")
        if words and (closing or character == " " or not (wide or words[-1].endswith(" ") or _wide_end(words[-1]))):
            words[-1] += character
        else:
            words.append(character)
    return words


def _wide_end(word: str) -> bool:
    return unicodedata.east_asian_width(word[-1]) in "WF"


def _drawn(layout: Layout, weight: int, position: str) -> Pixels:
    """Coverage of the text, 0..255, tightly boxed; lines are set flush with the side that the position names."""
    pitch = round(LINE * layout.size)
    pad = layout.size // 2 + 2  # italics and accents overhang the measured box
    width, height = layout.width + 2 * pad, pitch * len(layout.lines) + 2 * pad
    finer = max(1, min(FINER, FINEST // max(width, height)))
    canvas = np.zeros((height * finer, width * finer), np.uint8)
    face = cv2.FontFace(FONT)
    for number, line in enumerate(layout.lines):
        free = layout.width - _measure(line, layout.size, weight)
        left = pad + (0 if "left" in position else free if "right" in position else free // 2)
        base = pad + number * pitch + layout.size
        cv2.putText(
            canvas, line, (left * finer, base * finer), (255,), face, layout.size * finer, weight, 0, (0, 1 << 30)
        )
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return _trimmed(np.asarray(small, np.uint8))


def glyphs(line: str, size: int, weight: int) -> tuple[Pixels, int]:
    """Coverage of one line, 0..255, tightly boxed, and how far its top lies below the base line (px, less than 0)."""
    width, height = _measure(line, size, weight) + size, 3 * size
    canvas = np.zeros((height, width), np.uint8)
    cv2.putText(canvas, line, (size // 2, 2 * size), (255,), cv2.FontFace(FONT), size, weight, 0, (0, 1 << 30))
    box = Mask(canvas).box or (0, 2 * size - 1, 1, 2 * size)
    return canvas[box[1] : box[3], box[0] : box[2]], box[1] - 2 * size


def _trimmed(stamp: Pixels) -> Pixels:
    box = Mask(stamp).box
    return stamp if box is None else stamp[box[1] : box[3], box[0] : box[2]]


def _turned(stamp: Pixels, room: int, angle: float) -> tuple[Pixels, Pixels]:
    """The stamp turned clockwise, with so much room around it, and the plate that it stands on."""
    stamp = np.asarray(cv2.copyMakeBorder(stamp, room, room, room, room, cv2.BORDER_CONSTANT, value=0), np.uint8)
    plate = np.full_like(stamp, 255)
    if angle == 0:
        return stamp, plate
    height, width = stamp.shape
    radius = int(np.hypot(width, height)) + 2
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
    matrix[:, 2] += (radius - width) / 2, (radius - height) / 2
    turned = [
        np.asarray(cv2.warpAffine(a, matrix, (radius, radius), flags=cv2.INTER_CUBIC), np.uint8) for a in (stamp, plate)
    ]
    x0, y0, x1, y1 = Mask(turned[1] if room else turned[0]).box or (0, 0, 1, 1)
    return turned[0][y0:y1, x0:x1], turned[1][y0:y1, x0:x1]


def _thickened(stamp: Pixels, reach: float) -> Pixels:
    """The stamp grown by ``reach`` px all around, larger by one px more than that on every side."""
    room = math.ceil(reach) + 1
    padded = cv2.copyMakeBorder(stamp, room, room, room, room, cv2.BORDER_CONSTANT, value=0)
    height, width = padded.shape
    finer = max(1, min(FINER, FINEST // max(width, height)))
    large = cv2.resize(padded, (width * finer, height * finer), interpolation=cv2.INTER_LINEAR)
    distance = cv2.distanceTransform((large < 128).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    grown = np.asarray(np.clip(reach * finer + 0.5 - distance, 0, 1) * 255, np.uint8)
    return np.asarray(np.maximum(cv2.resize(grown, (width, height), interpolation=cv2.INTER_AREA), padded), np.uint8)


def _softened(stamp: Pixels, size: int) -> Pixels:
    """The stamp's shadow, larger by one font size on every side."""
    padded = cv2.copyMakeBorder(stamp, size, size, size, size, cv2.BORDER_CONSTANT, value=0)
    soft = cv2.GaussianBlur(padded, (0, 0), max(0.5, SHADOW * size)).astype(np.float32)
    return np.asarray(np.clip(soft * 1.5, 0, 255), np.uint8)


def _stamped(image: Image, stamp: Pixels, position: str, color: str, opacity: float, outset: int = 0) -> Image:
    """Blend a colour in through the stamp at its place; ``outset`` px of the stamp on every side are not its own."""
    own = (stamp.shape[1] - 2 * outset, stamp.shape[0] - 2 * outset)
    x, y = place(image.size, own, position, MARGIN)
    x, y = x - outset, y - outset
    width, height = image.size
    weight = np.zeros((height, width), np.uint8)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + stamp.shape[1]), min(height, y + stamp.shape[0])
    if x0 < x1 and y0 < y1:
        weight[y0:y1, x0:x1] = np.rint(stamp[y0 - y : y1 - y, x0 - x : x1 - x] * opacity)
    flat = np.broadcast_to(np.array(ImageColor.getrgb(color)[:3], np.uint8), image.pixels.shape)
    made = blend(image, flat, Mask(weight))
    return made if image.alpha is None else Image(made.pixels, np.maximum(image.alpha, weight))
