"""Printed words on calm ground: taken off, or other words in their place.

Ink is told from ground by clustering colours in the line's outline. Everything here measures how calm the ground is and
how unlike the ink, and declines where that does not suffice: smeared letters are worse than none changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import MAX_TEXT, Context, Text
from lego.core.values import Box, Image, Mask
from lego.tools.finders import ocr
from lego.tools.finders.ocr import Line, Quad
from lego.tools.finders.regions import Bools, ellipse
from lego.tools.pixels import Plane, blend, to_lab, to_uint8
from lego.tools.text import glyphs, refuse_unreadable

GATE = 0.80  # of seven texts the well removed had .83-.95, the others 0-.56
SEED = 1  # of the clustering, which draws from OpenCV's own generator
CONTRAST = 40.0  # Lab units between ink and ground from which on they are told apart beyond doubt
CALM, WILD = 7.0, 22.0  # norm of the ground's Lab deviations: up to the first a fill is invisible, from the second not
INK_SHARE = (0.05, 0.65)  # of a line's outline that ink takes
RADIUS = 4  # px from which the fill draws (Bertalmio 2001)
WORKING = 64  # px: higher lines are worked on smaller, where letters are as thin as the fill can bridge
EDGE = 0.4  # times its share of the outline, that ink takes of its rim: letters end before it, a tree goes through
STROKE = 0.2  # of a line's height, to which ink may be deep: half a stroke of the boldest letters
BESIDE = 0.15  # of a line's height around the ink, where the ground has to be calm
HALO = 0.3  # of a line's height, to which soft edges, outlines and shadows reach
SHADOWED = 0.6  # of the ring round the ink differs from the ground further off: there is a shadow or outline
LEFT_OVER = 6.0  # Lab units: what still differs so much from the fill, beside the ink, is its soft edge or shadow
WORKABLE = 5  # px; lower lines cannot be told from their ground
FINER = 4  # drawn at so many times the size
PUREST = 0.3  # of the ink, whose colour is the median of it: the rest is mixed with ground
LIKENESS = 0.72  # overlap of the old words as we would set them with the ink that is there; below, the letters differ
WEIGHTS = (300, 400, 500, 600, 700, 800, 900)
SOFTNESS = (0.0, 0.02, 0.04)  # of a line's height, by which printed edges are blurred
DRAWN = 160  # px at which letters are drawn before they are brought to size
NARROWEST = 0.72  # times the old letters' width: longer words are narrowed so far, and no further


@dataclass(frozen=True)
class Lifted:
    """A line without its ink: the ground (crop of the picture), the ink's coverage, and how sure this went well."""

    box: Box
    ground: Pixels
    ink: Bools
    color: Plane
    confidence: float
    why: str


class Setting(NamedTuple):
    """How the old words were set: weight, softness, the size of the box of their ink, how well ours cover them."""

    weight: int
    softness: float
    box: Box
    likeness: float


@tool(
    phrases=[
        "remove text", "remove words", "erase text", "erase words", "delete text", "delete words", "get rid of text",
        "take text off", "remove lettering", "remove writing", "remove caption", "remove watermark", "clean text off",
        "wipe text", "remove all text", "remove text {target}", "remove words {target}", "erase text {target}",
        "erase words {target}", "delete text {target}", "delete words {target}", "去掉文字", "去除文字", "删除文字",
        "移除文字", "擦除文字", "抹掉文字", "清除文字", "去字", "去水印", "去掉水印", "去除水印", "把文字去掉", "把文字删掉",
        "把文字擦掉", "把文字移除", "把水印去掉", "去掉文字{target}", "删除文字{target}", "把文字{target}去掉",
        "把{target}文字去掉", "把字去掉", "去掉字",
    ]
)  # fmt: skip
def remove_text(image: Image, mask: Mask | None = None, context: Context = Context()) -> Image:  # noqa: B008
    """Take printed words off calm ground: all that can be read, or those that the mask covers.

    Ink and ground are told apart by 2-means in Lab within each line's outline; the ink is filled from its surroundings
    (Navier-Stokes, Bertalmio 2001), soft edges and shadows with it. Needs the extra ``find``. Lines that stand on a busy
    ground are left, and the notes name them.

    Raises:
        RefusedError: no text is there, or none of it can be removed well; `remove` fills busy ground.
    """
    lines = _covered(image, mask)
    if mask is not None and mask.box is None:
        return image.replace(image.pixels)
    pixels, done, left = image.pixels.copy(), [], []
    for number, line in enumerate(lines):
        context.progress(number / len(lines))
        lifted = lift(image.pixels, line)
        if lifted.confidence < GATE:
            left.append(f"'{line.text}' was left: {lifted.why}")
            continue
        x0, y0, x1, y1 = lifted.box
        part = pixels[y0:y1, x0:x1]
        part[lifted.ink] = lifted.ground[lifted.ink]
        done.append(f"'{line.text}'")
    if not done:
        raise RefusedError(
            "the text cannot be removed well" + "".join(f"; {note}" for note in left),
            hint="mark it with a box or mask and use `remove`, which also fills busy ground",
            reason="busy",
        )
    made = blend(image, pixels, mask)
    return Image(made.pixels, made.alpha, (f"removed {', '.join(done)}", *left))


@tool(
    phrases=[
        "replace text {old} with {new}", "replace {old} with {new}", "replace words {old} with {new}",
        "replace {old} by {new}", "change text {old} to {new}", "change text from {old} to {new}",
        "change {old} to {new}", "change {old} into {new}", "change words {old} to {new}", "turn {old} into {new}",
        "make text {old} say {new}", "edit text {old} to {new}", "rewrite {old} as {new}", "make {old} read {new}",
        "make {old} say {new}", "把{old}改成{new}", "将{old}改为{new}", "把文字{old}改成{new}", "把文字{old}改为{new}",
        "把{old}换成{new}", "将文字{old}替换为{new}", "将{old}替换为{new}", "{old}改成{new}", "把{old}替换成{new}",
    ]
)  # fmt: skip
def replace_text(
    image: Image,
    old: Annotated[str, Field(max_length=MAX_TEXT, description="the words as they stand in the picture")],
    new: Text,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Put other words in the place of printed ones, in their colour, size, weight and direction.

    For plain upright letters on calm ground: the old words are set in the embedded typeface, and where that does not cover
    their ink the tool declines. New words are set as the old ones were, narrowed if they are longer, and centred on them.
    Needs the extra ``find``.

    Raises:
        RefusedError: the words are not there, the ground is busy, the typeface differs, or the new words are too long.
    """
    refuse_unreadable(new)
    found, lines = ocr.find(image, old)
    if not lines:
        raise _declined(f"'{old}' is not there: {found.notes[0]}", "not_found")
    if " ".join(new.split()) == "":
        return remove_text.function(image, Mask(found.mask), context)
    pixels, notes = image.pixels, []
    for number, line in enumerate(lines):
        context.progress(number / len(lines))
        pixels = _reset(pixels, line, " ".join(new.split()))
        notes.append(f"'{line.text}' now reads '{new}'")
    made = image.replace(pixels)
    return Image(made.pixels, made.alpha, tuple(notes))


def _declined(why: str, reason: str) -> RefusedError:
    hint = "take the words off with `remove_text` and write new ones with `add_text`, or mask them and use `remove`"
    return RefusedError(why, hint=hint, reason=reason)


def _covered(image: Image, mask: Mask | None) -> tuple[Line, ...]:
    """The lines that are surely text; with a mask, those of which it covers the better part."""
    if mask is not None and mask.size != image.size:
        raise ValueError(f"the mask is {mask.size[0]} x {mask.size[1]}, the picture {image.size[0]} x {image.size[1]}")
    if mask is not None and mask.box is None:
        return ()
    lines = [line for line in ocr.read(image) if line.certain]
    if mask is not None:
        halves = [(line, ocr.mask_of((line,), image.size)) for line in lines]
        lines = [_clipped(line, mask) for line, own in halves if (mask.pixels[own] > 127).any()]
    if not lines:
        where = "no text is to be read" + (" in the mask" if mask else "")
        raise RefusedError(where, hint="mark it with a box or mask and use `remove`", reason="not_found")
    return tuple(lines)


def _clipped(line: Line, mask: Mask) -> Line:
    """The line cut down to the letters that the mask covers, so that only their ground is judged."""
    centers = [(letter, np.rint(letter[1].mean(0)).astype(int)) for letter in line.letters]
    width, height = mask.size
    inside = tuple(
        c for c, (x, y) in centers if mask.pixels[min(max(y, 0), height - 1), min(max(x, 0), width - 1)] > 127
    )
    if not inside or len(inside) == len(line.letters):
        return line
    return ocr.cut(line, [quad for _, quad in inside])


def lift(pixels: Pixels, line: Line) -> Lifted:
    """Take a line's ink off; the confidence tells how calm the ground is and how clear the ink."""
    pad = round(max(6.0, 0.35 * line.height))
    box = _box_of(line.quad, pad, pixels.shape)
    x0, y0, x1, y1 = box
    crop = np.ascontiguousarray(pixels[y0:y1, x0:x1])
    nothing = Lifted(box, crop, np.zeros(crop.shape[:2], np.bool_), np.zeros(3, np.float32), 0.0, "it is too small")
    if line.height < WORKABLE or min(crop.shape[:2]) < WORKABLE:
        return nothing
    scale = min(1.0, WORKING / line.height)
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    small = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8) if scale < 1 else crop
    inside = _filled((line.quad - (x0, y0)) * scale, small.shape)
    reach = _filled((ocr.widened(line.quad, 0.15 * line.height) - (x0, y0)) * scale, small.shape)
    ink, confidence, why = _ink(small, inside, reach, line.height * scale)
    if confidence < GATE:
        return Lifted(box, crop, nothing.ink, nothing.color, confidence, why)
    hole, ground = _emptied(small, ink, line.height * scale)
    if scale < 1:
        ground, hole = _back(crop, ground, hole)
        ink = np.asarray(
            cv2.resize(ink.astype(np.uint8), crop.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0, np.bool_
        )
    color = _pure(crop, ground, ink)
    return Lifted(box, ground, hole, color, confidence, why)


def _box_of(quad: Quad, pad: int, shape: tuple[int, ...]) -> Box:
    low, high = np.floor(quad.min(0)) - pad, np.ceil(quad.max(0)) + pad
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    return x0, y0, max(x0 + 1, min(shape[1], int(high[0]))), max(y0 + 1, min(shape[0], int(high[1])))


def _filled(quad: Quad, shape: tuple[int, ...]) -> Bools:
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(canvas, [np.rint(quad).astype(np.int32)], (1,))
    return np.asarray(canvas > 0, np.bool_)


def _ink(pixels: Pixels, inside: Bools, reach: Bools, height: float) -> tuple[Bools, float, str]:
    """The ink in a line's outline, how sure it comes off unseen, and why not if it does not."""
    lab = to_lab(pixels)
    none = np.zeros(inside.shape, np.bool_)
    rim = inside & ~np.asarray(cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    values = np.ascontiguousarray(lab[inside])
    if len(values) < 32 or not rim.any():
        return none, 0.0, "it is too small"
    cv2.setRNGSeed(SEED)
    rule = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.2)
    _, labels, centers = cv2.kmeans(values, 2, np.zeros((len(values), 1), np.int32), rule, 3, cv2.KMEANS_PP_CENTERS)
    first = np.zeros(inside.shape, np.bool_)
    first[inside] = labels.ravel() == 1
    share = [float(first[inside].mean()), float(first[rim].mean())]
    swap = share[0] - share[1] < (1 - share[0]) - (1 - share[1])
    ink = inside & ~first if swap else first
    amount, edge = (1 - v if swap else v for v in share)
    depth = float(cv2.distanceTransform(np.pad(ink, 1).astype(np.uint8), cv2.DIST_L2, 5).max())
    if not INK_SHARE[0] < amount < INK_SHARE[1] or edge > EDGE * amount or depth > STROKE * height + 1:
        return none, 0.0, "its ink cannot be told from what is behind it"
    apart = float(np.linalg.norm(centers[0] - centers[1]))
    wild = _wildness(lab, ink, reach, height)
    sure = min(1.0, apart / CONTRAST) * float(np.clip((WILD - wild) / (WILD - CALM), 0, 1))
    what = "the ground is too busy" if apart >= CONTRAST else "the ink is too like the ground"
    return ink, round(sure, 3), f"{what} (confidence {sure:.2f} of the {GATE:.2f} that are needed)"


def _wildness(lab: Plane, ink: Bools, reach: Bools, height: float) -> float:
    """Norm of the ground's Lab deviations where it is wildest, in windows along the ink: one post is enough."""
    around = reach & ~_grown(ink, 3) & _grown(ink, round(BESIDE * height) + 3)
    if around.sum() < 16:
        return WILD
    side = 2 * round(0.3 * height) + 1
    weight = around.astype(np.float32)

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.boxFilter(plane, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT))

    count = mean(weight)
    share = np.maximum(count, 1)[..., None]
    first = mean(lab * weight[..., None]) / share
    second = mean(lab * lab * weight[..., None]) / share
    spread = np.sqrt(np.maximum(second - first * first, 0).sum(2))
    return float(np.percentile(spread[around & (count > 0.1 * count.max())], 97))


def _grown(mask: Bools, radius: int) -> Bools:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), ellipse(radius)) > 0, np.bool_)


def _emptied(pixels: Pixels, ink: Bools, height: float) -> tuple[Bools, Pixels]:
    """Fill the ink from around it; what beside it differs from a fill from further off was its edge, outline or shadow."""
    halo = _grown(ink, max(3, round(HALO * height)))
    soft = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1), np.uint8)
    far = np.linalg.norm(to_lab(soft) - to_lab(_inpainted(pixels, halo)), axis=2) > LEFT_OVER
    ring = _grown(ink, max(3, round(0.5 * HALO * height))) & ~_grown(ink, 2)
    shadowed = bool(ring.any()) and float(far[ring].mean()) > SHADOWED
    rest = far & (halo if shadowed else _grown(ink, 4))
    _, parts = cv2.connectedComponents((rest | ink).astype(np.uint8))
    touching = np.isin(parts, np.unique(parts[ink])) & (parts > 0)
    hole = _grown(ink, 2) | _grown(np.asarray(touching, np.bool_), 1)
    return hole, _inpainted(pixels, hole)


def _inpainted(pixels: Pixels, hole: Bools) -> Pixels:
    if hole.all():
        return pixels
    return np.asarray(
        cv2.inpaint(np.ascontiguousarray(pixels), hole.astype(np.uint8), RADIUS, cv2.INPAINT_NS), np.uint8
    )


def _back(crop: Pixels, ground: Pixels, hole: Bools) -> tuple[Pixels, Bools]:
    """A fill made small, brought to full size, with the grain of the ground around it."""
    size = crop.shape[1::-1]
    wide = np.asarray(cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR) > 0, np.bool_)
    large = np.asarray(cv2.resize(ground, size, interpolation=cv2.INTER_CUBIC), np.float32)
    soft = np.asarray(cv2.resize(cv2.resize(crop, ground.shape[1::-1], interpolation=cv2.INTER_AREA), size), np.float32)
    grain = (crop.astype(np.float32) - soft)[~wide]
    deviation = float(np.median(np.abs(grain))) * 1.4826 if grain.size else 0.0  # of a normal distribution
    noise = np.random.default_rng(SEED).normal(0, deviation, (*crop.shape[:2], 1))
    return to_uint8(np.where(wide[..., None], large + noise, crop).astype(np.float32)), wide


def _pure(crop: Pixels, ground: Pixels, ink: Bools) -> Plane:
    """Colour of the ink: the median of that part of it that is least like the ground."""
    far = np.linalg.norm(crop.astype(np.float32) - ground.astype(np.float32), axis=2)
    if not ink.any():
        return np.zeros(3, np.float32)
    pure = ink & (far >= np.quantile(far[ink], 1 - PUREST))
    return np.asarray(np.median(crop[pure], axis=0), np.float32)


def _reset(pixels: Pixels, line: Line, new: str) -> Pixels:
    """Put new words in a line's place."""
    lifted = lift(pixels, line)
    if lifted.confidence < GATE:
        raise _declined(f"'{line.text}' cannot be replaced well: {lifted.why}", "busy")
    across = float(np.linalg.norm(line.quad[1] - line.quad[0]))
    if across < 0.8 * line.height * min(2, len(line.text)) ** 0.5:
        raise _declined(f"'{line.text}' stands upright on its end, which cannot be set", "vertical")
    x0, y0, x1, y1 = lifted.box
    quad = ocr.widened(line.quad, 0.3 * line.height) - np.array((x0, y0), np.float32)
    crop = pixels[y0:y1, x0:x1]
    flat = _flattened(_coverage(crop, lifted), quad, line.height)
    setting = _setting(flat, line.text)
    if setting.likeness < LIKENESS:
        raise _declined(
            f"'{line.text}' is set in letters unlike those that can be written here "
            f"(likeness {setting.likeness:.2f} of the {LIKENESS:.2f} that are needed)", "typeface",
        )  # fmt: skip
    drawn = _set(flat.shape, max(2, -(-FINER * round(line.height) // flat.shape[0])), line, new, setting)
    cover = _laid(drawn, quad, (crop.shape[1], crop.shape[0]))[..., None]
    ground = np.where(lifted.ink[..., None], lifted.ground, crop).astype(np.float32)
    made = pixels.copy()
    made[y0:y1, x0:x1] = to_uint8((ground + (lifted.color - ground) * cover).astype(np.float32))
    return made


def _coverage(crop: Pixels, lifted: Lifted) -> Plane:
    """How much ink each pixel holds, 0..1: its place on the way from the ground's colour to the ink's."""
    ground = lifted.ground.astype(np.float32)
    way = lifted.color - ground
    share = ((crop - ground) * way).sum(2) / np.maximum((way * way).sum(2), 1.0)
    return np.asarray(np.where(lifted.ink, np.clip(share, 0, 1), 0), np.float32)


def _flattened(plane: Plane, quad: Quad, height: float) -> Plane:
    """The line set upright, 64 to 160 px high with its room."""
    high = int(np.clip(1.6 * height, 64, 160))
    wide = max(
        8, round(high * float(np.linalg.norm(quad[1] - quad[0])) / max(1.0, float(np.linalg.norm(quad[3] - quad[0]))))
    )
    corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), corners)
    return np.asarray(cv2.warpPerspective(plane, matrix, (wide, high), flags=cv2.INTER_LINEAR), np.float32)


def _setting(flat: Plane, text: str) -> Setting:
    """Set the old words in every weight and softness over their own ink, and keep what covers it best."""
    box = Mask(flat > 0.5).box or (0, 0, 1, 1)
    best = Setting(400, 0.0, box, 0.0)
    for weight in WEIGHTS:
        x0, y0, x1, y1 = box
        stamp, _ = glyphs(text, DRAWN, weight)
        for softness in SOFTNESS:
            ours = np.zeros(flat.shape, np.float32)
            ours[y0:y1, x0:x1] = cv2.resize(stamp, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA) / np.float32(255)
            ours = _blurred(ours, softness * (y1 - y0))
            overlap = float(np.minimum(ours, flat).sum() / max(1.0, float(np.maximum(ours, flat).sum())))
            if overlap > best.likeness:
                best = Setting(weight, softness, box, overlap)
    return best


def _set(shape: tuple[int, ...], factor: int, line: Line, new: str, setting: Setting) -> Plane:
    """The new words on the old ones' base line, about their middle, on a plane ``factor`` times as fine as ``shape``."""
    x0, y0, x1, y1 = (factor * v for v in setting.box)
    old, above = glyphs(line.text, DRAWN, setting.weight)
    stamp, over = glyphs(new, DRAWN, setting.weight)
    across, down = (x1 - x0) / old.shape[1], (y1 - y0) / old.shape[0]
    room = min(x1 - x0 + 0.5 * (y1 - y0), factor * shape[1] - 4.0)
    narrowed = min(1.0, room / (across * stamp.shape[1]))
    if narrowed < NARROWEST:
        raise _declined(f"'{new}' is too long for the place of '{line.text}'", "too_long")
    size = (max(1, round(across * narrowed * stamp.shape[1])), max(1, round(down * stamp.shape[0])))
    plane = np.zeros((factor * shape[0], factor * shape[1]), np.float32)
    left, top = round((x0 + x1 - size[0]) / 2), round(y0 + (over - above) * down)
    high, wide = plane.shape
    if left < 0 or top < 0 or left + size[0] > wide or top + size[1] > high:
        raise _declined(f"'{new}' does not fit into the place of '{line.text}'", "too_long")
    plane[top : top + size[1], left : left + size[0]] = cv2.resize(
        stamp, size, interpolation=cv2.INTER_AREA if size[0] < stamp.shape[1] else cv2.INTER_CUBIC
    ) / np.float32(255)
    return np.clip(_blurred(plane, setting.softness * (y1 - y0)), 0, 1)


def _laid(plane: Plane, quad: Quad, size: tuple[int, int]) -> Plane:
    """Warp a plane onto a quad, finer than needed and averaged down."""
    finer = FINER if size[0] * size[1] < 1_000_000 else FINER // 2
    height, width = plane.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, np.asarray(quad * finer, np.float32))
    large = cv2.warpPerspective(plane, matrix, (size[0] * finer, size[1] * finer), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), np.float32)


def _blurred(plane: Plane, sigma: float) -> Plane:
    return plane if sigma < 0.3 else np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
