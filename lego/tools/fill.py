"""What stands where the mask is: nothing (`remove`), a colour, a gradient, another picture."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Area, Color, Context
from lego.core.values import Image, Mask
from lego.tools import paint, patchmatch
from lego.tools.pixels import BOXY, blend

GROW_MIN = 3  # px that a mask grows by if it grows at all: every outline drawn or found is a little too tight
STROKE = 4.0  # a thing longer than this many times its depth counts as so long only: a wire is not a large thing
SURE = 26  # of 255: fainter mask is the tail of a soft edge, not a thing to take out
FEATHER = 2.0  # px over which the fill fades into the picture, inside what the mask grew by
LARGE = 0.15  # of the picture: larger boxes leave too little around them that belongs there
MOST = 0.6  # of the picture: beyond, what is left is copied again and again
LINES = 2  # that cross a box's border: one may be chance
LINE = 0.12  # of the box's short side that a line must run inside and outside, at least LINE_MIN px
LINE_MIN = 8.0
LOOK = 384  # px of the long side on which lines are looked for
SIDES = 5.0  # px from a line to its two sides
DIVIDES = 25.0  # of 255: sides that differ by more are two things
Grow: TypeAlias = Annotated[
    float, Field(ge=0, le=0.5, description="how far the mask is widened, as a share of the masked thing's size")
]
DIRECTION = "0 runs from top to bottom, 90 from left to right, 180 from bottom to top"


@tool(
    effect="gone",
    phrases=[
        "remove", "erase", "delete", "get rid of", "take out", "take away", "clean up", "wipe out", "clear away",
        "inpaint", "去掉", "移除", "删除", "去除", "擦除", "消除", "抹掉", "把{target}去掉", "把{target}移除",
        "把{target}删掉", "把{target}擦掉", "heal", "spot heal", "heal spot", "heal blemish", "heal scratch",
        "retouch spot",
        "remove blemish", "remove spot", "remove dust", "remove scratch", "fix blemish", "fix scratch", "touch up",
        "修复", "修补", "修复划痕", "修复瑕疵", "去瑕疵", "去除瑕疵", "去污点", "祛痘", "去痘", "祛斑",
        "去划痕", "去掉划痕",
    ]
)  # fmt: skip
def remove(
    image: Image,
    mask: Area,
    grow: Grow = 0.07,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Take what the mask covers out of the picture and fill the place from around it.

    The mask is widened by ``grow`` times its size (the square root of its area), at least 2-3 px, because outlines are
    mostly a little tight and shadows hug things; with 0 nothing outside the mask changes. It heals spots and scratches
    too. The notes say which method filled it, and why, and what speaks against a mask that is a mere box.

    Raises:
        RefusedError: the mask covers so much that what is left could not fill it.
    """
    return removed(image, mask, grow, copied(context))


def removed(image: Image, mask: Mask, grow: float, fill: patchmatch.Fill) -> Image:
    """Remove what a mask covers, with whatever fills holes; the rest as in `remove`."""
    core = mask.pixels >= SURE
    if core.mean() > MOST:
        raise RefusedError(
            f"the mask covers {core.mean():.0%} of the picture, and the rest would only be repeated all over it",
            hint="mark only the thing that should go; to be left with one thing, cut it out or replace the background",
            reason="no_source",
        )
    if not core.any():
        note = "the mask is too faint to remove anything" if mask.box else "the mask is empty, so nothing was removed"
        return Image(image.pixels, image.alpha, (note,))
    pixels, notes = take_out(image.pixels, core, grow, fill)
    return Image(pixels, image.alpha, (*notes, *_doubts(image.pixels, core)))


def _doubts(pixels: Pixels, core: patchmatch.Bools) -> list[str]:
    """What speaks against a box as a mask: its size, and lines that run on beyond it."""
    x0, y0, x1, y1 = box = Mask(core).box or (0, 0, 0, 0)
    area = (x1 - x0) * (y1 - y0)
    if core.sum() < BOXY * area:
        return []
    doubts = []
    if core.mean() > LARGE:
        doubts.append(
            f"the box covers {core.mean():.0%} of the picture; a mask of the thing alone leaves less to invent"
        )
    lines = _crossing(pixels, box)
    if lines >= LINES:
        doubts.append(f"{lines} edges run across the box's border and are cut there; a tighter mask may keep them")
    return doubts


def _crossing(pixels: Pixels, box: tuple[int, int, int, int]) -> int:
    """How many edges of things run straight on across the box's border (LSD, Grompone von Gioi 2010).

    An edge divides two colours; wood's grain, with the same on both sides, is texture and can be filled.
    """
    x0, y0, x1, y1 = box
    run = max(LINE_MIN, LINE * min(x1 - x0, y1 - y0))
    edge = round(2 * run)
    left, top = max(0, x0 - edge), max(0, y0 - edge)
    part = pixels[top : y1 + edge, left : x1 + edge]
    scale = min(1.0, LOOK / max(part.shape))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))[0]
    if found is None:
        return 0
    ends = np.asarray(found, np.float64).reshape(-1, 2, 2)
    along = np.linspace(0, 1, 33)[None, :, None]
    points = ends[:, :1] * (1 - along) + ends[:, 1:] * along
    whole = points / scale + (left, top)
    inside = ((whole > (x0, y0)) & (whole < (x1, y1))).all(2).mean(1)
    length = np.hypot(*(ends[:, 1] - ends[:, 0]).T) / scale
    long = (inside * length > run) & ((1 - inside) * length > run)
    return int((_divides(small, points[long]) > DIVIDES).sum())


def _divides(pixels: Pixels, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The difference in colour (of 255) between the two sides of each line of points, N x steps x (x, y)."""
    smooth = cv2.GaussianBlur(pixels, (0, 0), SIDES / 2).astype(np.float64)
    way = points[:, -1] - points[:, 0]
    off = SIDES * np.stack([-way[:, 1], way[:, 0]], 1) / np.maximum(np.hypot(*way.T), 1e-9)[:, None]
    sides = []
    for sign in (1, -1):
        at = np.rint(points + sign * off[:, None]).astype(int)
        x, y = (np.clip(at[..., c], 0, pixels.shape[1 - c] - 1) for c in (0, 1))
        sides.append(smooth[y, x].mean(1))
    return np.asarray(np.abs(sides[0] - sides[1]).max(1))


def copied(context: Context) -> patchmatch.Fill:
    """Return what fills holes with patches from around them."""
    return lambda pixels, hole: patchmatch.fill(pixels, hole, context.seed, context.progress)


def take_out(pixels: Pixels, core: patchmatch.Bools, grow: float, fill: patchmatch.Fill) -> patchmatch.Filled:
    """Fill ``core`` widened by ``grow``, fading into the picture within what was added."""
    hole = widen(core, grow)
    made, notes = fill(pixels, hole)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    weight = np.where(core, 255, np.clip(depth / FEATHER, 0, 1) * 255)
    return patchmatch.Filled(blend(Image(pixels), made, Mask(weight.astype(np.uint8))).pixels, notes)


def widen(core: patchmatch.Bools, grow: float) -> patchmatch.Bools:
    """Widen a mask by ``grow`` times its size, at least `GROW_MIN` px (one less for strokes); by nothing if 0.

    The size is the square root of the area, for long thin things no more than `STROKE` times their depth.
    """
    if grow <= 0:
        return core
    depth = float(cv2.distanceTransform(np.pad(core, 1).astype(np.uint8), cv2.DIST_L2, 5).max())
    least = GROW_MIN if depth > GROW_MIN else GROW_MIN - 1
    radius = max(least, grow * min(float(np.sqrt(core.sum())), STROKE * depth))
    return np.asarray(cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5) <= radius, np.bool_)


@tool(
    effect="color",
    phrases={
        "replace {target} with {color}": {}, "fill {target} with {color}": {},
        "paint over {target} with {color}": {}, "fill {target} in {color}": {}, "swap {target} for {color}": {},
        "plain {color} {target}": {}, "solid {color} {target}": {}, "把{target}换成{color}": {},
        "把{target}替换成{color}": {}, "用{color}填充{target}": {}, "把{target}填成{color}": {},
        "把{target}换成纯{color}": {}, "change background to {color}": {"target": "background"},
        "make background {color}": {"target": "background"}, "turn background {color}": {"target": "background"},
        "{color} background": {"target": "background"}, "set background to {color}": {"target": "background"},
        "background to {color}": {"target": "background"}, "把背景换成{color}": {"target": "背景"},
        "把背景变成{color}": {"target": "背景"}, "背景换成{color}": {"target": "背景"},
        "{color}背景": {"target": "背景"}, "背景改成{color}": {"target": "背景"},
        "{color} backdrop": {"target": "background"}, "put {target} on {color}": {"target": "everything else"},
        "put {target} on {color} background": {"target": "everything else"},
        "place {target} on {color} background": {"target": "everything else"},
        "put {target} in front of {color} background": {"target": "everything else"},
        "put {target} on {color} backdrop": {"target": "everything else"},
        "put {target} on plain {color} background": {"target": "everything else"},
        "put {target} on plain {color} backdrop": {"target": "everything else"},
        "put {target} on solid {color} background": {"target": "everything else"},
        "place {target} in front of {color} background": {"target": "everything else"},
        "place {target} on {color} backdrop": {"target": "everything else"},
        "set {target} against {color} background": {"target": "everything else"},
        "把{target}放到{color}背景上": {"target": "everything else"},
        "把{target}放在{color}背景上": {"target": "everything else"},
        "把{target}放在{color}背景前": {"target": "everything else"},
    }
)  # fmt: skip
def fill_color(
    image: Image,
    mask: Mask,
    color: Color,
    keep_detail: Annotated[
        float, Field(ge=0, le=1, description="how much of the light and dark underneath shows through")
    ] = 0.0,
) -> Image:
    """Paint the masked part in one flat colour, for a plain background or sky.

    Soft edges are freed from the old surroundings' colour (Forte 2021). ``keep_detail`` lets clouds or folds show.
    """
    flat = np.broadcast_to(np.array(ImageColor.getrgb(color)[:3], np.uint8), image.pixels.shape)
    if keep_detail > 0:
        lab = np.array(np.broadcast_to(paint.lab_of(color), image.pixels.shape))
        lab[..., 0] += keep_detail * paint.detail(image.pixels, mask.pixels)
        flat = paint.dithered(lab)
    return image.replace(paint.behind(image.pixels, flat, mask.pixels))


@tool(
    phrases={
        "make {target} a gradient from {start} to {end}": {},
        "turn {target} into a gradient from {start} to {end}": {},
        "fill {target} with a gradient from {start} to {end}": {},
        "replace {target} with a gradient from {start} to {end}": {}, "gradient {target} from {start} to {end}": {},
        "{target} fade from {start} to {end}": {}, "fade {target} from {start} to {end}": {},
        "把{target}变成从{start}到{end}的渐变": {}, "把{target}变成{start}到{end}的渐变": {},
        "把{target}换成从{start}到{end}的渐变": {}, "把{target}换成{start}到{end}的渐变": {},
        "{target}从{start}渐变到{end}": {},
        "put {target} on gradient from {start} to {end}": {"target": "everything else"},
        "put {target} on gradient background from {start} to {end}": {"target": "everything else"},
        "{start} to {end} gradient background": {"target": "background"},
        "gradient background {start} to {end}": {"target": "background"},
        "把{target}放到{start}到{end}的渐变背景上": {"target": "everything else"},
        "把背景换成{start}{end}渐变": {"target": "背景"}, "{start}到{end}渐变背景": {"target": "背景"},
    }
)  # fmt: skip
def fill_gradient(
    image: Image,
    mask: Mask,
    start: Color,
    end: Color,
    angle: Annotated[float, Field(ge=0, le=360, description=DIRECTION, json_schema_extra={"unit": "degrees"})] = 0.0,
    keep_detail: Annotated[
        float, Field(ge=0, le=1, description="how much of the clouds, light and dark underneath shows through")
    ] = 0.3,
) -> Image:
    """Paint the masked part with a smooth gradient between two colours, such as a sunset sky.

    It runs across the mask's box, in OKLab (Ottosson 2020) with the colourfulness kept up half way, and is dithered.
    """
    if mask.box is None:
        return image.replace(image.pixels)
    lab = paint.gradient(mask, paint.lab_of(start), paint.lab_of(end), angle)
    if keep_detail > 0:
        lab[..., 0] += keep_detail * paint.detail(image.pixels, mask.pixels)
    return image.replace(paint.behind(image.pixels, paint.dithered(lab), mask.pixels))


@tool(
    phrases={
        "put behind": {}, "place behind": {}, "use as background": {"target": "background"},
        "use as new background": {"target": "background"}, "use as sky": {"target": "sky"},
        "use as new sky": {"target": "sky"}, "用作背景": {"target": "背景"}, "作为背景": {"target": "背景"},
        "放在{target}的位置": {}, "replace {target} with reference": {}, "change {target} to reference": {},
        "swap {target} for reference": {}, "put {target} on reference": {"target": "everything else"},
        "put {target} in front of reference": {"target": "everything else"},
        "use reference as background": {"target": "background"}, "use reference as sky": {"target": "sky"},
        "replace {target} with picture": {}, "replace {target} with other picture": {},
        "change {target} to other picture": {}, "swap {target} for other picture": {},
        "put {target} on other picture": {"target": "everything else"},
        "put {target} in front of other picture": {"target": "everything else"},
        "use other picture as background": {"target": "background"}, "use other picture as sky": {"target": "sky"},
        "replace {target} with other photo": {}, "change {target} to other photo": {},
        "swap {target} for other photo": {}, "put {target} on other photo": {"target": "everything else"},
        "put {target} in front of other photo": {"target": "everything else"},
        "use other photo as background": {"target": "background"}, "use other photo as sky": {"target": "sky"},
        "replace {target} with second picture": {}, "change {target} to second picture": {},
        "swap {target} for second picture": {}, "put {target} on second picture": {"target": "everything else"},
        "put {target} in front of second picture": {"target": "everything else"},
        "use second picture as background": {"target": "background"}, "use second picture as sky": {"target": "sky"},
        "replace {target} with second photo": {}, "change {target} to second photo": {},
        "swap {target} for second photo": {}, "put {target} on second photo": {"target": "everything else"},
        "put {target} in front of second photo": {"target": "everything else"},
        "use second photo as background": {"target": "background"}, "use second photo as sky": {"target": "sky"},
        "put {target} on new background": {"target": "everything else"},
        "change background to picture": {"target": "background"},
        "use picture as background": {"target": "background"}, "make picture background": {"target": "background"},
        "把{target}换成参考图": {}, "把{target}换成另一张": {}, "把背景换成图": {"target": "背景"},
        "背景换成图": {"target": "背景"}, "用参考图作背景": {"target": "背景"}, "用参考图做背景": {"target": "背景"},
        "用图做背景": {"target": "背景"}, "替换{target}为参考图": {}, "用图作背景": {"target": "背景"},
        "把天空换成图": {"target": "天空"}, "把{target}放到参考图上": {"target": "everything else"},
        "把{target}放到另一张图上": {"target": "everything else"},
        "把{target}放在参考图前": {"target": "everything else"},
    }
)  # fmt: skip
def fill_picture(
    image: Image, mask: Mask, picture: Image, fit: Literal["cover", "contain", "stretch"] = "cover"
) -> Image:
    """Put another picture where the mask is, for example a new background or sky.

    Args:
        image: the picture that keeps everything outside the mask.
        mask: where the other picture shows.
        picture: it is laid over the mask's box; where it is transparent, ``image`` stays.
        fit: "cover" fills the box and crops, "contain" shows all of it and leaves the rest, "stretch" distorts.
    """
    if mask.box is None:
        return image.replace(image.pixels)
    x0, y0, x1, y1 = mask.box
    laid, shown = _fitted(picture, (x1 - x0, y1 - y0), fit)
    under = np.array(image.pixels)
    under[y0:y1, x0:x1] = laid
    weight = np.zeros(mask.pixels.shape, np.uint8)
    weight[y0:y1, x0:x1] = np.rint(shown.astype(np.float32) * mask.pixels[y0:y1, x0:x1] / 255)
    return image.replace(paint.behind(image.pixels, under, weight))


def _fitted(picture: Image, size: tuple[int, int], fit: str) -> tuple[Pixels, Pixels]:
    """Scale a picture into a box; return its pixels and how opaque they are."""
    width, height = picture.size
    across, down = size[0] / width, size[1] / height
    if fit != "stretch":
        across = down = max(across, down) if fit == "cover" else min(across, down)
    scaled = (max(1, round(width * across)), max(1, round(height * down)))
    way = cv2.INTER_AREA if across < 1 else cv2.INTER_CUBIC
    alpha = picture.alpha if picture.alpha is not None else np.full(picture.pixels.shape[:2], 255, np.uint8)
    pixels, alpha = (np.asarray(cv2.resize(a, scaled, interpolation=way)) for a in (picture.pixels, alpha))
    laid, shown = np.zeros((size[1], size[0], 3), np.uint8), np.zeros((size[1], size[0]), np.uint8)
    (tx, sx, w), (ty, sy, h) = (_centred(have, room) for have, room in zip(scaled, size, strict=True))
    laid[ty : ty + h, tx : tx + w] = pixels[sy : sy + h, sx : sx + w]
    shown[ty : ty + h, tx : tx + w] = alpha[sy : sy + h, sx : sx + w]
    return laid, shown


def _centred(have: int, room: int) -> tuple[int, int, int]:
    """Centre a length in a room: where it starts there, where it starts in itself, how much is seen."""
    return max(0, (room - have) // 2), max(0, (have - room) // 2), min(have, room)
