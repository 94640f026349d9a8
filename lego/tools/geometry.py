"""Where the picture ends and which way is up: crop, rotate, straighten, flip, resize, border, extend."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from pydantic import Field

from lego.core import depth
from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Color, Context, Coordinate
from lego.core.values import Image, Mask
from lego.tools import patchmatch
from lego.tools.pixels import check_size

Anchor: TypeAlias = Literal[
    "center", "top", "bottom", "left", "right", "top left", "top right", "bottom left", "bottom right"
]
Side: TypeAlias = Annotated[int, Field(ge=1, le=16384, json_schema_extra={"unit": "px"})]
Mode: TypeAlias = Annotated[
    Literal["fill", "reflect", "color"], Field(description="continue the scene, mirror it, or one flat colour")
]
Share: TypeAlias = Annotated[float, Field(ge=0, le=50, json_schema_extra={"unit": "%"})]

BOX = 1000  # boxes count in thousandths of the picture
LOOK = 1024  # px of the long side on which lines are looked for
LEAN = 15.0  # degrees: a line that leans more is meant to
LONG_LINE = 0.03  # of the long side: shorter ones are texture
AGREE = 1.0  # degrees within which lines agree
ENOUGH_LINES = 0.9  # long sides of agreeing lines; rocket and astronaut have 1.8 and more, cats and flowers up to .55
RIVAL = 0.6  # votes for another lean, as a share of the best: above it (china's roofs, .63-.80) nothing is sure
RIVAL_FROM = 2.5  # degrees from the best lean

ACROSS, DOWN = {"direction": "horizontal"}, {"direction": "vertical"}
AROUND = {"left": 15.0, "right": 15.0, "top": 15.0, "bottom": 15.0}  # % that "zoom out" adds: fills still convince


class Extended(NamedTuple):
    """The larger picture, and where it is new."""

    image: Image
    mask: Mask


@tool(
    scope="geometric",
    phrases={
        "crop to {ratio}": {}, "crop {ratio}": {}, "cut to {ratio}": {}, "trim to {ratio}": {}, "make {ratio}": {},
        "aspect ratio {ratio}": {}, "{ratio} crop": {}, "crop square": {"ratio": "1:1"}, "square": {"ratio": "1:1"},
        "crop": {}, "裁剪成{ratio}": {}, "裁成{ratio}": {}, "裁剪为{ratio}": {}, "裁成正方形": {"ratio": "1:1"},
        "裁剪成正方形": {"ratio": "1:1"}, "裁剪": {},
    },
)  # fmt: skip
def crop(
    image: Image,
    ratio: Annotated[
        str | None,
        Field(max_length=11, description="width:height, such as 4:5", json_schema_extra={"format": "ratio"}),
    ] = None,
    box: Annotated[
        list[Coordinate] | None,
        Field(min_length=4, max_length=4, description="left, top, right, bottom"),
    ] = None,
    width: Side | None = None,
    height: Side | None = None,
    anchor: Annotated[Anchor, Field(description="the part that is kept")] = "center",
) -> Image:
    """Cut the picture down to a ratio, a box or a size, keeping the largest part that fits.

    The box is taken first; inside it the largest piece of the ratio, or of the width and height in px (one alone
    keeps the other side; more than there is means all there is). With nothing given the picture stays as it is.

    Raises:
        ValueError: the ratio cannot be read, or the box is empty.
    """
    x0, y0, x1, y1 = _in_pixels(image.size, box)
    room = (x1 - x0, y1 - y0)
    wide, high = _of_ratio(room, ratio) if ratio else room
    wide, high = min(width or wide, wide), min(height or high, high)
    left = x0 + _placed(room[0] - wide, "left" in anchor, "right" in anchor)
    top = y0 + _placed(room[1] - high, "top" in anchor, "bottom" in anchor)
    return image.map(lambda a: a[top : top + high, left : left + wide])


def _in_pixels(size: tuple[int, int], box: list[int] | None) -> tuple[int, int, int, int]:
    if box is None:
        return 0, 0, size[0], size[1]
    x0, y0, x1, y1 = (round(v * size[n % 2] / BOX) for n, v in enumerate(box))
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError(f"the box {box} is empty: right and bottom must lie beyond left and top")
    x0, y0 = min(x0, size[0] - 1), min(y0, size[1] - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _of_ratio(room: tuple[int, int], ratio: str) -> tuple[int, int]:
    """The largest size of a ratio in a room, exact to the rounding pixel."""
    across = ratio_of(ratio)
    width = min(room[0], max(1, round(room[1] * across)))
    return width, min(room[1], max(1, round(width / across))) if width == room[0] else room[1]


def ratio_of(ratio: str) -> float:
    """Read "4:5", "16 x 9" or "square" as width over height."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[:/x×：]\s*(\d+(?:\.\d+)?)\s*", ratio.lower())
    across, down = (float(v) for v in found.groups()) if found else (1.0, 1.0 if ratio.strip() == "square" else 0.0)
    if across <= 0 or down <= 0:
        raise ValueError(f"'{ratio}' is no ratio; write width:height, such as 4:5")
    return across / down


def _placed(free: int, low: bool, high: bool) -> int:
    return 0 if low else free if high else free // 2


@tool(
    scope="geometric",
    phrases={
        "rotate {angle}": {}, "turn {angle}": {}, "rotate by {angle}": {}, "rotate": {"angle": 90.0},
        "rotate clockwise": {"angle": 90.0}, "rotate right": {"angle": 90.0}, "rotate to right": {"angle": 90.0},
        "rotate counterclockwise": {"angle": -90.0}, "rotate counter clockwise": {"angle": -90.0},
        "rotate anticlockwise": {"angle": -90.0}, "rotate left": {"angle": -90.0}, "rotate to left": {"angle": -90.0},
        "upside down": {"angle": 180.0}, "旋转{angle}": {}, "顺时针旋转": {"angle": 90.0},
        "逆时针旋转": {"angle": -90.0},
        "向右旋转": {"angle": 90.0}, "向左旋转": {"angle": -90.0}, "旋转": {"angle": 90.0}, "颠倒": {"angle": 180.0},
    },
)  # fmt: skip
def rotate(
    image: Image,
    angle: Annotated[
        float, Field(ge=-360, le=360, description="clockwise", json_schema_extra={"unit": "degrees"})
    ] = 90.0,
    expand: Annotated[bool, Field(description="keep the whole picture on a larger ground instead of cropping")] = False,
    color: Annotated[Color, Field(description="of the ground, if there is any")] = "#000000",
) -> Image:
    """Turn the picture clockwise by any angle; quarter turns are exact.

    Other angles are resampled once (Lanczos) and cropped to the largest upright rectangle inside, so that no empty
    corner shows; with ``expand`` the canvas grows instead and its corners take ``color``.
    """
    quarters, rest = divmod(angle, 90)
    if rest == 0:
        return image.map(lambda a: np.rot90(a, -int(quarters) % 4))
    return _turned(image, angle, expand, color)


def _turned(image: Image, angle: float, expand: bool, color: str) -> Image:
    width, height = image.size
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    if expand:
        size = (math.ceil(width * cosine + height * sine), math.ceil(width * sine + height * cosine))
    else:
        size = _inner(width, height, sine, cosine)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    ground = ImageColor.getrgb(color)[:3]

    def turn(array: NDArray[Any]) -> NDArray[Any]:
        if not expand:
            return np.asarray(
                cv2.warpAffine(array, matrix, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
            )
        fill = _ground(array, ground)
        return np.asarray(
            cv2.warpAffine(
                array, matrix, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_CONSTANT, borderValue=fill
            )
        )

    return image.map(turn)


def _inner(width: int, height: int, sine: float, cosine: float) -> tuple[int, int]:
    """The largest upright rectangle inside a turned one, by area."""
    long, short = max(width, height), min(width, height)
    if short <= 2 * sine * cosine * long or abs(sine - cosine) < 1e-9:
        half = short / 2  # two of its corners touch the long sides
        wide, high = (half / sine, half / cosine) if width >= height else (half / cosine, half / sine)
    else:
        double = cosine * cosine - sine * sine
        wide, high = (width * cosine - height * sine) / double, (height * cosine - width * sine) / double
    return max(1, int(wide)), max(1, int(high))


@tool(
    scope="geometric",
    phrases=[
        "straighten", "level", "level horizon", "straighten horizon", "fix horizon", "fix tilt", "correct tilt",
        "make straight", "straighten by {angle}", "拉直", "扶正", "校正水平", "校正倾斜", "摆正", "水平校正",
    ],
)  # fmt: skip
def straighten(
    image: Image,
    angle: Annotated[
        float | None,
        Field(ge=-15, le=15, description="clockwise; found if left out", json_schema_extra={"unit": "degrees"}),
    ] = None,
) -> Image:
    """Level a tilted picture and crop the corners; without an angle, the lean is read from its straight lines.

    Line segments (LSD, Grompone von Gioi 2010) within 15 degrees of upright or level vote with their length.

    Raises:
        RefusedError: no angle was given and the lines do not agree on one.
    """
    if angle is not None:
        return rotate(image, angle, False, "#000000")
    lean, note = lean_of(image.pixels)
    level = rotate(image, -lean, False, "#000000") if lean else image
    return Image(level.pixels, level.alpha, (note,))


def lean_of(pixels: Pixels) -> tuple[float, str]:
    """Clockwise degrees by which the picture leans, and the reason; 0 if it is level."""
    angles, lengths, side = _lines(pixels)
    near = np.abs(angles) <= LEAN
    angles, lengths = angles[near], lengths[near]
    if lengths.sum() < ENOUGH_LINES * side:
        raise _unsure("it shows no long straight lines")
    grid = np.arange(-LEAN, LEAN + 0.05, 0.1)
    votes = (lengths * np.clip(1 - np.abs(grid[:, None] - angles) / AGREE, 0, 1)).sum(1)
    best = grid[votes.argmax()]
    agree = np.abs(angles - best) <= AGREE
    rival = votes[np.abs(grid - best) > RIVAL_FROM].max() / votes.max()
    if lengths[agree].sum() < ENOUGH_LINES * side:
        raise _unsure("it shows no long straight lines that agree")
    if rival > RIVAL:
        raise _unsure("its lines lean in different ways")
    lean = float(np.average(angles[agree], weights=lengths[agree]))
    if abs(lean) < 0.1:
        return 0.0, "the picture is level already (its lines lean by less than 0.1 degrees)"
    way = "clockwise" if lean > 0 else "counterclockwise"
    share = lengths[agree].sum() / lengths.sum()
    return lean, f"the picture leaned {abs(lean):.1f} degrees {way}, as {share:.0%} of its straight lines say"


def _unsure(why: str) -> RefusedError:
    return RefusedError(f"the lean of the picture cannot be told: {why}", hint="give the angle, -15 to 15 degrees")


def _lines(pixels: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Lean of each straight line from level or upright in -45..45 degrees clockwise, its length, the long side."""
    scale = min(1.0, LOOK / max(pixels.shape))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if found is None:
        return np.zeros(0), np.zeros(0), max(size)
    x0, y0, x1, y1 = np.asarray(found, np.float64).reshape(-1, 4).T
    lengths = np.hypot(x1 - x0, y1 - y0)
    long = lengths > LONG_LINE * max(size)
    angles = (np.degrees(np.arctan2(y1 - y0, x1 - x0)) + 45) % 90 - 45
    return angles[long], lengths[long], max(size)


@tool(
    effect="mirror",
    scope="geometric",
    phrases={
        "flip": {}, "mirror": {}, "flip horizontally": ACROSS, "mirror horizontally": ACROSS, "flip left right": ACROSS,
        "flip vertically": DOWN, "mirror vertically": DOWN, "flip upside down": DOWN, "翻转": {}, "水平翻转": ACROSS,
        "左右翻转": ACROSS, "镜像": ACROSS, "垂直翻转": DOWN, "上下翻转": DOWN,
    },
)  # fmt: skip
def flip(image: Image, direction: Literal["horizontal", "vertical"] = "horizontal") -> Image:
    """Mirror the picture, left to right or top to bottom."""
    return image.map(lambda a: a[:, ::-1] if direction == "horizontal" else a[::-1])


@tool(
    scope="geometric",
    phrases={
        "resize to {width} by {height}": {}, "resize to {width} x {height}": {},
        "scale to {width} x {height}": {}, "resize to {width} wide": {},
        "resize to {width} width": {}, "resize to {height} high": {}, "resize to {height} tall": {},
        "resize to {width}": {}, "scale to {width}": {}, "scale by {scale}": {}, "resize by {scale}": {},
        "shrink": {"scale": 0.5}, "half size": {"scale": 0.5}, "double size": {"scale": 2.0}, "enlarge": {"scale": 2.0},
        "make twice as large": {"scale": 2.0}, "make twice as big": {"scale": 2.0},
        "make half as large": {"scale": 0.5}, "make half as big": {"scale": 0.5},
        "shrink to half size": {"scale": 0.5}, "double": {"scale": 2.0},
        "resize": {}, "缩放到宽{width}": {}, "宽度改为{width}": {}, "高度改为{height}": {}, "缩放到{width}": {},
        "缩小": {"scale": 0.5}, "放大": {"scale": 2.0},
    },
)  # fmt: skip
def resize(
    image: Image,
    width: Side | None = None,
    height: Side | None = None,
    scale: Annotated[
        float, Field(ge=0.02, le=8, description="of both sides, if neither width nor height is given")
    ] = 1.0,
) -> Image:
    """Make the picture larger or smaller; one side alone keeps the proportions.

    Raises:
        ValueError: a side would be longer than 16384 px, or the whole larger than 100 megapixels.
    """
    wide, high = image.size
    if width is None and height is None:
        size = (round(wide * scale), round(high * scale))
    else:
        size = (width or round(wide * (height or 1) / high), height or round(high * (width or 1) / wide))
    size = (max(1, size[0]), max(1, size[1]))
    check_size(size)
    return image.map(lambda a: scaled(a, size))


def scaled(array: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale to width x height: area means downwards (no aliasing), Lanczos upwards (crisp)."""
    if (array.shape[1], array.shape[0]) == size:
        return array
    down = size[0] * size[1] < array.shape[0] * array.shape[1]
    made: Pixels = cv2.resize(array, size, interpolation=cv2.INTER_AREA if down else cv2.INTER_LANCZOS4)
    return made


@tool(
    scope="geometric",
    phrases={
        "add border": {}, "border": {}, "add {color} border": {}, "add frame": {}, "{color} frame": {}, "frame": {},
        "put border around": {}, "thin border": {"width": 12}, "thick border": {"width": 80}, "加边框": {},
        "put frame around": {}, "put {color} frame around": {}, "put {color} border around": {},
        "thin {color} border": {"width": 12}, "thick {color} border": {"width": 80},
        "thin {color} frame": {"width": 12}, "thick {color} frame": {"width": 80},
        "put thick {color} frame around": {"width": 80}, "put thin {color} frame around": {"width": 12},
        "添加边框": {}, "加{color}边框": {}, "加相框": {}, "加{width}边框": {},
    },
)  # fmt: skip
def border(
    image: Image,
    width: Annotated[int, Field(ge=0, le=2000, json_schema_extra={"unit": "px"})] = 40,
    color: Color = "#ffffff",
) -> Image:
    """Put a plain frame around the picture, which grows by its width on every side."""
    return _padded(image, (width, width, width, width), cv2.BORDER_CONSTANT, color)


@tool(
    scope="geometric",
    phrases={
        "extend canvas": AROUND, "extend canvas on each side": AROUND, "extend canvas on all sides": AROUND,
        "expand canvas": AROUND,
        "zoom out": AROUND,
        "uncrop": AROUND,
        "extend canvas to left": {"left": 20.0}, "extend canvas {left} on left": {}, "extend canvas {left} to left": {},
        "extend canvas to right": {"right": 20.0}, "extend canvas {right} on right": {},
        "extend canvas {right} to right": {},
        "extend canvas to top": {"top": 20.0}, "extend canvas {top} on top": {}, "extend canvas {top} to top": {},
        "extend canvas to bottom": {"bottom": 20.0}, "extend canvas {bottom} on bottom": {},
        "extend canvas {bottom} to bottom": {},
        "extend to left": {"left": 20.0}, "extend left": {"left": 20.0}, "extend to right": {"right": 20.0},
        "extend right": {"right": 20.0}, "extend up": {"top": 20.0}, "extend top": {"top": 20.0},
        "extend down": {"bottom": 20.0}, "extend bottom": {"bottom": 20.0}, "make wider": {"left": 20.0, "right": 20.0},
        "扩展画布": AROUND, "向左扩展": {"left": 20.0},
        "扩图": AROUND, "向右扩展": {"right": 20.0},
        "向上扩展": {"top": 20.0}, "向下扩展": {"bottom": 20.0},
    },
)  # fmt: skip
def extend_canvas(
    image: Image,
    left: Share = 0.0,
    right: Share = 0.0,
    top: Share = 0.0,
    bottom: Share = 0.0,
    mode: Mode = "fill",
    color: Color = "#ffffff",
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Extended:
    """Make room around the picture and continue the scene into it; also returns the mask of the new room.

    Sides are in per cent of the picture's width or height. The old pixels stay as they are. "fill" is by PatchMatch
    and convinces on landscapes and textures; it invents no new things.
    """
    sides = Sides(left, right, top, bottom)
    return extended(image, sides, mode, color, lambda p, new: patchmatch.fill(p, new, context.seed, context.progress))


class Sides(NamedTuple):
    """What is added to each side, in % of the picture's width or height."""

    left: float
    right: float
    top: float
    bottom: float


def extended(image: Image, sides: Sides, mode: str, color: str, fill: patchmatch.Fill) -> Extended:
    """Extend the canvas, with whatever fills what is new in mirrored pixels; the rest as in `extend_canvas`."""
    width, height = image.size
    left, right = (round(share * width / 100) for share in sides[:2])
    top, bottom = (round(share * height / 100) for share in sides[2:])
    way = cv2.BORDER_CONSTANT if mode == "color" else cv2.BORDER_REFLECT
    large = _padded(image, (top, bottom, left, right), way, color)
    new = np.ones((large.size[1], large.size[0]), np.bool_)
    new[top : top + height, left : left + width] = False
    if mode == "fill" and new.any():
        pixels, notes = fill(large.pixels, new)
        large = Image(pixels, large.alpha, notes)
    return Extended(large, Mask(new))


def _padded(image: Image, sides: tuple[int, int, int, int], way: int, color: str) -> Image:
    """Add top, bottom, left and right px; a flat ground is opaque."""
    value = ImageColor.getrgb(color)[:3]
    return image.map(lambda a: np.asarray(cv2.copyMakeBorder(a, *sides, way, value=_ground(a, value))))


def _ground(array: NDArray[Any], color: tuple[int, ...]) -> Any:
    """A colour (0..255) in the array's own depth; opaque for alpha."""
    if array.ndim == 2:
        return 255
    return tuple(channel * depth.SCALE for channel in color) if array.dtype == np.uint16 else color
