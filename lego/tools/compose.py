"""Things as pieces: cut one out, paste it, copy it, move it, make it larger or smaller."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Context, Thing
from lego.core.values import Box, Image, Mask
from lego.tools import piece
from lego.tools.fill import SURE, copied, take_out, widen
from lego.tools.matting import mask_matte
from lego.tools.piece import Blending, Piece, Shadow

Position: TypeAlias = Literal[
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right"
]
Way: TypeAlias = Annotated[float, Field(ge=-100, le=100, json_schema_extra={"unit": "%"})]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
To: TypeAlias = Annotated[Position | None, Field(description="where in the picture it goes, instead of a distance")]

MARGIN = 0.04  # of the short side between what is placed and the frame
GROW = 0.07  # how far the hole of a moved thing is widened, as in `remove`
MAX_PIECE = 16384  # px of a side, as in `resize`
HERE = Context()


class Cutout(NamedTuple):
    """The piece on transparent ground, and where in it the thing is."""

    image: Image
    mask: Mask


@tool(
    scope="geometric",
    phrases={
        "cut out": {}, "cutout": {}, "extract": {}, "isolate": {}, "transparent background": {},
        "make background transparent around": {}, "remove background around": {}, "抠图": {}, "抠出": {}, "抠出来": {},
        "提取": {}, "把{target}抠出来": {}, "裁出": {},
        "cut out {target} with fine hair": {"edge": "hair"}, "cut out {target} with hair": {"edge": "hair"},
        "cut out {target} with fur": {"edge": "hair"}, "cut out {target} with fine edges": {"edge": "hair"},
        "cut out {target} with its hair": {"edge": "hair"}, "cut out {target} hair by hair": {"edge": "hair"},
        "精细抠图": {"edge": "hair"}, "精细抠出": {"edge": "hair"}, "发丝级抠图": {"edge": "hair"},
        "发丝级抠出": {"edge": "hair"}, "把{target}精细抠出来": {"edge": "hair"},
    },
)  # fmt: skip
def cut(
    image: Image,
    mask: Thing,
    trim: Annotated[bool, Field(description="cut the picture down to the thing's box")] = True,
    edge: Annotated[
        Literal["mask", "hair"], Field(description="as soft as the mask is, or found anew for hair and fur")
    ] = "mask",
    context: Context = HERE,
) -> Cutout:
    """Cut the masked thing out, on transparent ground, ready to be pasted elsewhere.

    Alpha is the mask (times the picture's own alpha); soft edges give up the old background's colour (Forte 2021).
    With ``edge="hair"`` the mask goes through `mask_matte` first; not by default, because hard outlines gain nothing.

    Raises:
        RefusedError: the mask is empty.
    """
    if mask.box is None:
        raise RefusedError("the mask is empty, so there is nothing to cut out", hint="mark the thing", reason="empty")
    notes: tuple[str, ...] = ()
    if edge == "hair":
        _, reason = mask_matte.choose()
        mask = mask_matte(image, mask, context=context)
        notes = (f"the edge was found anew ({reason})", *mask.notes)
    pixels, alpha = piece.cut_from(image, mask)
    x0, y0, x1, y1 = mask.box if trim and mask.box else (0, 0, *image.size)
    part = Mask(alpha[y0:y1, x0:x1], mask.confidence)
    return Cutout(Image(pixels[y0:y1, x0:x1], part.pixels, notes), part)


@tool(
    phrases={
        "paste": {}, "insert": {}, "put on top": {}, "overlay": {}, "stick": {}, "place on top": {}, "add logo": {},
        "粘贴": {}, "贴上": {}, "叠加": {}, "插入": {}, "加上标志": {},
        "paste logo": {}, "stick logo": {}, "place logo": {}, "place logo on top": {}, "把标志贴到{position}": {},
        "把logo贴到{position}": {}, "把参考图贴到{position}": {},
        "paste reference with matching colors": {"blending": "match"}, "put logo": {}, "insert logo": {},
        "paste sticker": {}, "add sticker": {}, "put sticker": {},
        "paste cutout": {}, "paste reference": {}, "paste second picture": {}, "paste other picture": {},
        "paste other photo": {}, "add reference": {}, "overlay logo": {}, "overlay reference": {},
        "add second picture on top": {}, "put reference on top": {},
        "paste seamlessly": {"blending": "poisson"}, "blend in": {"blending": "poisson"},
        "blend in seamlessly": {"blending": "poisson"},
        "paste in {position} with shadow": {"shadow": 0.6},
        "paste reference in {position} with shadow": {"shadow": 0.6},
        "paste reference in {position} at {scale} with shadow": {"shadow": 0.6}, "paste reference at {scale} size": {},
        "paste logo in {position} with shadow": {"shadow": 0.6}, "paste reference in {position} at {scale} size": {},
        "paste at {scale} size": {}, "paste at {scale} scale": {}, "paste logo at {scale} size": {},
        "blend in reference": {"blending": "poisson"}, "paste reference seamlessly": {"blending": "poisson"},
        "paste and match colors": {"blending": "match"}, "paste matching colors": {"blending": "match"},
        "paste reference and match colors": {"blending": "match"}, "paste with matching light": {"blending": "match"},
        "paste with shadow": {"shadow": 0.6}, "paste reference with shadow": {"shadow": 0.6},
        "paste sticker with shadow": {"shadow": 0.6}, "add sticker with shadow": {"shadow": 0.6},
        "贴上标志": {}, "加标志": {}, "加上logo": {}, "加logo": {}, "贴上logo": {}, "贴上贴纸": {}, "加贴纸": {},
        "叠加第二张": {}, "贴上参考图": {}, "贴上另一张": {}, "无缝粘贴": {"blending": "poisson"},
        "无缝融合": {"blending": "poisson"}, "融合进来": {"blending": "poisson"},
        "贴上并匹配颜色": {"blending": "match"}, "粘贴并匹配颜色": {"blending": "match"}, "带阴影贴上": {"shadow": 0.6},
    }
)  # fmt: skip
def paste(
    image: Image,
    picture: Image,
    position: Position = "center",
    scale: Annotated[float, Field(ge=0.05, le=2, description="width of the piece, as a share of the picture's")] = 0.4,
    opacity: Share = 1.0,
    blending: Blending = "alpha",
    shadow: Shadow = 0.0,
    x: Annotated[float | None, Field(ge=0, le=1, description="middle of the piece, as a share of the width")] = None,
    y: Annotated[float | None, Field(ge=0, le=1, description="middle of the piece, as a share of the height")] = None,
) -> Image:
    """Lay another picture or a cut-out over this one, at a place and in a size.

    The piece keeps its proportions and its transparency; what hangs over the frame is cut off. A piece that would be
    higher than the picture is made to fit, unless ``scale`` is above 1. ``x`` and ``y`` count from the left and the
    top and win over ``position``. "poisson" (Pérez 2003) suits pieces whose own ground is like the new one; "match"
    keeps a thing's own colours but for a half shift (Reinhard 2001).
    """
    width, height = image.size
    share = scale * width / picture.size[0]
    if scale <= 1:
        share = min(share, height / picture.size[1])
    size = (max(1, round(picture.size[0] * share)), max(1, round(picture.size[1] * share)))
    left, top = place(image.size, size, position, inset=MARGIN if scale < 1 else 0)
    at = (
        left if x is None else round(x * width - size[0] / 2),
        top if y is None else round(y * height - size[1] / 2),
    )
    return piece.lay(image, piece.resized(picture, size), at, opacity, blending, shadow)


def place(room: tuple[int, int], size: tuple[int, int], position: str, inset: float = 0.0) -> tuple[int, int]:
    """Left and top px of a thing of ``size`` at one of nine places, ``inset`` short sides away from the frame."""
    margin = round(inset * min(room))
    x = margin if "left" in position else room[0] - size[0] - margin if "right" in position else None
    y = margin if "top" in position else room[1] - size[1] - margin if "bottom" in position else None
    return (room[0] - size[0]) // 2 if x is None else x, (room[1] - size[1]) // 2 if y is None else y


@tool(
    scope="global",
    phrases={
        "duplicate": {}, "copy": {}, "clone": {}, "make copy of": {}, "add another": {}, "复制": {}, "再加一个": {},
        "克隆": {},
        "duplicate {target} to left": {"dx": -25.0}, "duplicate {target} to right": {"dx": 25.0},
        "copy {target} to left": {"dx": -25.0}, "copy {target} to right": {"dx": 25.0},
        "把{target}复制到左边": {"dx": -25.0}, "把{target}复制到右边": {"dx": 25.0},
        "copy {target} to {to}": {}, "duplicate {target} in {to}": {}, "put copy of {target} in {to}": {},
        "把{target}复制到{to}": {},
    },
)  # fmt: skip
def duplicate(
    image: Image,
    mask: Thing,
    dx: Way = 25.0,
    dy: Way = 0.0,
    to: To = None,
    blending: Blending = "alpha",
    shadow: Shadow = 0.0,
) -> Image:
    """Put a copy of the masked thing elsewhere in the picture; the thing itself stays.

    Args:
        image: the picture.
        mask: the thing.
        dx: how far to the right, in per cent of the width; negative is left.
        dy: how far down, in per cent of the height; negative is up.
        to: a place in the picture; then ``dx`` and ``dy`` do not count.
        blending: as in `paste`.
        shadow: as in `paste`.
    """
    if mask.box is None:
        return image.replace(image.pixels)
    return piece.lay(image, _lifted(image, mask), _goal(image, mask.box, dx, dy, to), 1.0, blending, shadow)


@tool(
    scope="global",
    phrases={
        "move": {}, "shift": {}, "移动": {},
        "move {target} left": {"dx": -20.0}, "move {target} to left": {"dx": -20.0},
        "move {target} right": {"dx": 20.0}, "move {target} to right": {"dx": 20.0}, "move {target} up": {"dy": -20.0},
        "move {target} down": {"dy": 20.0}, "shift {target} left": {"dx": -20.0},
        "shift {target} to left": {"dx": -20.0},
        "shift {target} right": {"dx": 20.0}, "shift {target} to right": {"dx": 20.0},
        "shift {target} up": {"dy": -20.0},
        "shift {target} down": {"dy": 20.0}, "把{target}向左移": {"dx": -20.0}, "把{target}向右移": {"dx": 20.0},
        "把{target}向上移": {"dy": -20.0}, "把{target}向下移": {"dy": 20.0}, "把{target}往左移": {"dx": -20.0},
        "把{target}往右移": {"dx": 20.0}, "把{target}往上移": {"dy": -20.0}, "把{target}往下移": {"dy": 20.0},
        "move {target} {dx} left": {"dx": -20.0}, "move {target} {dx} right": {"dx": 20.0},
        "move {target} to center": {"to": "center"}, "center {target}": {"to": "center"},
        "put {target} in center": {"to": "center"}, "move {target} to corner {to}": {}, "move {target} to {to}": {},
        "move {target} into {to}": {}, "put {target} in {to}": {}, "place {target} in {to}": {},
        "把{target}移到左边": {"dx": -20.0}, "把{target}移到右边": {"dx": 20.0}, "把{target}移到中间": {"to": "center"},
        "把{target}移到中央": {"to": "center"}, "把{target}居中": {"to": "center"}, "把{target}移到{to}": {},
        "把{target}移动到{to}": {}, "把{target}放到{to}": {},
    },
)  # fmt: skip
def move(
    image: Image,
    mask: Thing,
    dx: Way = 0.0,
    dy: Way = 0.0,
    to: To = None,
    blending: Blending = "alpha",
    shadow: Shadow = 0.0,
    context: Context = HERE,
) -> Image:
    """Move the masked thing to another place and fill the hole from around it.

    Args:
        image: the picture.
        mask: the thing; a piece that leaves the frame is cut off.
        dx: how far to the right, in per cent of the width; negative is left.
        dy: how far down, in per cent of the height; negative is up.
        to: a place in the picture; then ``dx`` and ``dy`` do not count.
        blending: as in `paste`.
        shadow: as in `paste`.
        context: of the run.

    Raises:
        RefusedError: it reaches over three sides of the picture, so it is no thing; or nothing is left to fill from.
    """
    core = mask.pixels >= SURE
    if not core.any() or mask.box is None:
        return image.replace(image.pixels)
    _must_end(image.size, mask.box)
    at = _goal(image, mask.box, dx, dy, to)
    if at == mask.box[:2]:
        return image.replace(image.pixels)
    pixels, notes = take_out(image.pixels, core, GROW, copied(context))
    moved = piece.lay(image.replace(pixels), _lifted(image, mask), at, 1.0, blending, shadow)
    return Image(moved.pixels, moved.alpha, (*notes, *moved.notes))


@tool(
    scope="global",
    phrases={
        "make smaller": {"change": -30.0}, "make bigger": {"change": 35.0}, "make larger": {"change": 35.0},
        "变大": {"change": 35.0}, "变小": {"change": -30.0},
        "make {target} bigger": {"change": 35.0}, "make {target} larger": {"change": 35.0},
        "make {target} {change} bigger": {"change": 35.0}, "make {target} {change} larger": {"change": 35.0},
        "make {target} {change} smaller": {"change": -30.0}, "enlarge {target}": {"change": 35.0},
        "make {target} smaller": {"change": -30.0}, "shrink {target}": {"change": -30.0},
        "scale up {target}": {"change": 35.0}, "scale down {target}": {"change": -30.0},
        "make {target} twice as big": {"to": 200.0}, "make {target} twice as large": {"to": 200.0},
        "double size of {target}": {"to": 200.0}, "make {target} half as big": {"to": 50.0},
        "make {target} half size": {"to": 50.0}, "halve size of {target}": {"to": 50.0},
        "shrink {target} by half": {"to": 50.0}, "scale down by half": {"to": 50.0},
        "scale {target} down by half": {"to": 50.0}, "make {target} tiny": {"to": 40.0},
        "make {target} huge": {"to": 180.0}, "make {target} giant": {"to": 180.0},
        "scale {target} to {to}": {}, "resize {target} to {to}": {}, "enlarge {target} to {to}": {},
        "shrink {target} to {to}": {}, "make {target} {to} of size": {}, "把{target}变大": {"change": 35.0},
        "把{target}放大": {"change": 35.0}, "把{target}变小": {"change": -30.0}, "把{target}缩小": {"change": -30.0},
        "放大{target}": {"change": 35.0}, "缩小{target}": {"change": -30.0}, "把{target}放大一倍": {"to": 200.0},
        "把{target}缩小一半": {"to": 50.0}, "把{target}放大到{to}": {}, "把{target}缩小到{to}": {},
        "让{target}大一点": {"change": 18.0}, "让{target}小一点": {"change": -15.0},
    },
)  # fmt: skip
def resize_object(
    image: Image,
    mask: Thing,
    change: Annotated[
        float, Field(ge=-90, le=300, description="of its size; less than 0 is smaller", json_schema_extra={"unit": "%"})
    ] = -30.0,
    to: Annotated[
        float | None,
        Field(ge=10, le=400, description="its new size, instead of a change", json_schema_extra={"unit": "%"}),
    ] = None,
    blending: Blending = "alpha",
    shadow: Shadow = 0.0,
    context: Context = HERE,
) -> Image:
    """Make the masked thing larger or smaller where it stands, and fill what it uncovers from around it.

    Its lower edge stays where it is; a thing that the frame cuts off stays at that side, so that the cut stays hidden.

    Raises:
        RefusedError: it reaches over three sides of the picture, so it is no thing; or nothing is left to fill from.
    """
    core = mask.pixels >= SURE
    scale = 1 + change / 100 if to is None else to / 100
    if not core.any() or mask.box is None or scale == 1:
        return image.replace(image.pixels)
    _must_end(image.size, mask.box)
    x0, y0, x1, y1 = mask.box
    size = (min(MAX_PIECE, max(1, round((x1 - x0) * scale))), min(MAX_PIECE, max(1, round((y1 - y0) * scale))))
    thing = piece.resized(Image(*_lifted(image, mask)), size)
    at, notes = _stand(image.size, mask.box, size)
    ground = image
    if (widen(core, GROW) & (_footprint(image.size, thing, at) < SURE)).any():
        pixels, told = take_out(image.pixels, core, GROW, copied(context))
        ground, notes = image.replace(pixels), (*told, *notes)
    made = piece.lay(ground, thing, at, 1.0, blending, shadow)
    return Image(made.pixels, made.alpha, (*notes, *made.notes))


def _must_end(room: tuple[int, int], box: Box) -> None:
    """A sky or a floor has no other side that could come to light."""
    if (box[0] == 0) + (box[1] == 0) + (box[2] == room[0]) + (box[3] == room[1]) > 2:
        raise RefusedError(
            "what is marked runs over three sides of the picture: it is a part of the scene, not a thing in it",
            hint="mark a thing that ends within the picture", reason="no_thing",
        )  # fmt: skip


def _stand(room: tuple[int, int], box: Box, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Left and top px of a thing that gets another size: lower edge kept, or the side at which the frame cuts it."""
    x0, y0, x1, y1 = box
    left, right, above, below = x0 == 0, x1 == room[0], y0 == 0, y1 == room[1]
    x = x0 if left and not right else x1 - size[0] if right and not left else round((x0 + x1 - size[0]) / 2)
    y = y0 if above and not below else y1 - size[1]
    cut_off = (left and right and size[0] < room[0]) or (above and below and size[1] < room[1])
    return (x, y), ("the frame cuts the thing off on two sides, so one cut shows now",) if cut_off else ()


def _footprint(room: tuple[int, int], thing: Piece, at: tuple[int, int]) -> Pixels:
    """What a piece covers of the picture, 0..255."""
    flat = Image(np.zeros((room[1], room[0], 3), np.uint8), np.zeros((room[1], room[0]), np.uint8))
    covered = piece.over(flat, thing, at).alpha
    assert covered is not None
    return covered


def _lifted(image: Image, mask: Mask) -> Piece:
    """The masked thing in its box."""
    assert mask.box is not None
    x0, y0, x1, y1 = mask.box
    pixels, alpha = piece.cut_from(image, mask)
    return Piece(pixels[y0:y1, x0:x1], alpha[y0:y1, x0:x1])


def _goal(image: Image, box: Box, dx: float, dy: float, to: str | None) -> tuple[int, int]:
    """Left and top px of the thing after a shift by per cent of the sides, or at a place.

    "left" and "right" keep its height, "top" and "bottom" its distance from the sides; where the frame cuts the thing
    off it stays at that side, so that the cut stays hidden, unless it is sent to the side across.
    """
    x0, y0, x1, y1 = box
    if to is None:
        return x0 + round(dx * image.size[0] / 100), y0 + round(dy * image.size[1] / 100)
    x, y = place(image.size, (x1 - x0, y1 - y0), to, MARGIN)
    if to in ("top", "bottom") or (x0 == 0 and "right" not in to) or (x1 == image.size[0] and "left" not in to):
        x = x0
    if to in ("left", "right") or (y0 == 0 and "bottom" not in to) or (y1 == image.size[1] and "top" not in to):
        y = y0
    return x, y
