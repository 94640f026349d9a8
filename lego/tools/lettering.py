"""Printed words on calm ground: taken off, or other words in their place.

Both decline where the ground is not calm or the ink not clear (see `ink`): a smear is worse than a word left standing.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

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
from lego.tools.ink import GATE, coverage, lift
from lego.tools.pixels import Plane, blend, must_fit, to_uint8
from lego.tools.text import glyphs, refuse_unreadable

FINER = 4  # drawn at so many times the size
LIKENESS = (
    0.94  # correlation of the old words, set by us, with their ink: ours has .97, other sans .78-.97, serifs less
)
WEIGHTS = (300, 400, 500, 600, 700, 800, 900)
SOFTNESS = (0.0, 0.02, 0.04)  # of a line's height, by which printed edges are blurred
Where: TypeAlias = Literal["anywhere", "top", "bottom", "left", "right", "center"]

FLAT = 1.6  # heights of a line, of the strip in which its letters are compared
SAMPLED = 0.55  # px, by which any picture is soft from its pixels alone: that comes by itself
DRAWN = 160  # px at which letters are drawn before they are brought to size
NARROWEST = 0.72  # times the old letters' width: longer words are narrowed so far, and no further


class Setting(NamedTuple):
    """How the old words were set: weight, softness, the size of the box of their ink, how well ours cover them."""

    weight: int
    softness: float
    box: Box
    likeness: float


_TAKE = [
    f"{verb} {what}"
    for verb in ("remove", "erase", "delete", "get rid of", "clear away", "take off")
    for what in ("text", "words", "all text", "lettering", "writing", "caption", "letters", "subtitles")
]


@tool(
    effect="gone",
    phrases=[
        *_TAKE, "take text off", "clean text off", "wipe text off", "remove text {target}", "remove words {target}",
        "erase text {target}", "erase words {target}", "delete text {target}", "delete words {target}",
        "去掉文字", "去除文字", "删除文字", "移除文字", "擦除文字", "擦掉文字", "抹掉文字", "清除文字", "去字",
        "删掉文字",
        "去掉字幕", "去除字幕", "把文字去掉", "把文字删掉", "把文字擦掉", "把文字移除", "把文字删除",
        "去掉文字{target}",
        "删除文字{target}", "把文字{target}去掉", "把{target}这几个字去掉", "把{target}几个字去掉", "把字去掉",
        "去掉字", "去掉所有文字", "删除所有文字", "把所有文字去掉",
    ]
)  # fmt: skip
def remove_text(
    image: Image,
    mask: Mask | None = None,
    position: Annotated[Where, Field(description="the part of the picture whose text goes")] = "anywhere",
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Take printed words off calm ground: all that can be read, or those that the mask covers.

    Ink and ground are told apart by 2-means in Lab within each line's outline; the ink is filled from its surroundings
    (Navier-Stokes, Bertalmio 2001, relaxed to a membrane), soft edges and shadows with it. Lines that stand on a busy
    ground are left, and the notes name them. Needs the extra ``find``.

    Raises:
        RefusedError: no text is there, or none of it can be removed well; `remove` fills busy ground.
    """
    context.progress(0.0)
    lines = _covered(image, mask, position)
    if mask is not None and mask.box is None:
        return image.replace(image.pixels)
    pixels, done, left, others = image.pixels.copy(), [], [], ocr.read(image)
    for number, line in enumerate(lines):
        context.progress(number / len(lines))
        lifted = lift(image.pixels, line, others)
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
            hint="`remove` copies texture into busy ground: quote the words (remove 'SALE') or mark them",
            reason="busy",
        )
    made = blend(image, pixels, mask)
    return Image(made.pixels, made.alpha, (f"removed {', '.join(done)}", *left))


@tool(
    effect="text",
    phrases=[
        "replace text {old} with {new}", "replace {old} with {new}", "replace words {old} with {new}",
        "replace {old} by {new}", "change text {old} to {new}", "change text from {old} to {new}",
        "change {old} to {new}", "change {old} into {new}", "change words {old} to {new}", "turn {old} into {new}",
        "make text {old} say {new}", "edit text {old} to {new}", "rewrite {old} as {new}", "make {old} read {new}",
        "make {old} say {new}", "make sign say {new} instead of {old}", "say {new} instead of {old}",
        "change {old} on sign to {new}", "change text {old} on sign to {new}", "{new} instead of {old}",
        "把{old}改成{new}", "将{old}改为{new}", "把文字{old}改成{new}", "把文字{old}改为{new}",
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

    For plain letters on calm ground: the old words are set in the embedded typeface, and where that does not cover
    their ink the tool declines. New words are set as the old ones were, narrowed if they are longer, and centred on
    them. Needs the extra ``find``.

    Raises:
        RefusedError: the words are not there, the ground is busy, the typeface differs, or the new words are too long.
    """
    refuse_unreadable(new)
    context.progress(0.0)
    found, lines = ocr.find(image, old)
    if not lines:
        raise _declined(f"'{old}' is not there: {found.notes[0]}", "not_found")
    if " ".join(new.split()) == "":
        return remove_text.function(image, Mask(found.mask), "anywhere", context)
    pixels, notes, others = image.pixels, [], ocr.read(image)
    for number, line in enumerate(lines):
        context.progress(number / len(lines))
        words = " ".join(new.split())
        words = words.upper() if line.text.isupper() and not old.isupper() else words
        pixels = _reset(pixels, line, words, others)
        notes.append(f"'{line.text}' now reads '{words}'")
    made = image.replace(pixels)
    return Image(made.pixels, made.alpha, tuple(notes))


def _declined(why: str, reason: str) -> RefusedError:
    hint = "take the words off with `remove_text` and write new ones with `add_text`, or mask them and use `remove`"
    return RefusedError(why, hint=hint, reason=reason)


def _covered(image: Image, mask: Mask | None, position: str) -> tuple[Line, ...]:
    """The lines that are surely text; with a mask, those of which it covers the better part."""
    must_fit(image, mask)
    if mask is not None and mask.box is None:
        return ()
    read = tuple(line for line in ocr.read(image) if line.certain)
    lines = list(read if position == "anywhere" else ocr.chosen(read, position, image.size))
    if mask is not None:
        lines = [part for line in lines for part in _clipped(line, mask)]
    if not lines:
        where = " in the mask" if mask else "" if position == "anywhere" else f" there ({position})"
        raise RefusedError(
            f"no text is to be read{where}", hint="mark it with a box or mask and use `remove`", reason="not_found"
        )
    return tuple(lines)


def _clipped(line: Line, mask: Mask) -> list[Line]:
    """The line cut down to the letters that the mask covers, so that only their ground is judged; none if it misses."""
    width, height = mask.size
    centers = np.rint([quad.mean(0) for _, quad in line.letters] or [line.quad.mean(0)]).astype(int)
    hits = mask.pixels[centers[:, 1].clip(0, height - 1), centers[:, 0].clip(0, width - 1)] > 127
    if not hits.any():
        return []
    if hits.all() or not line.letters:
        return [line]
    return [ocr.cut(line, [quad for (_, quad), hit in zip(line.letters, hits, strict=True) if hit])]


def _reset(pixels: Pixels, line: Line, new: str, others: tuple[Line, ...]) -> Pixels:
    """Put new words in a line's place."""
    lifted = lift(pixels, line, others)
    if lifted.confidence < GATE:
        raise _declined(f"'{line.text}' cannot be replaced well: {lifted.why}", "busy")
    across = float(np.linalg.norm(line.quad[1] - line.quad[0]))
    if across < 0.8 * line.height * min(2, len(line.text)) ** 0.5:
        raise _declined(f"'{line.text}' stands upright on its end, which cannot be set", "vertical")
    x0, y0, x1, y1 = lifted.box
    quad = ocr.widened(line.quad, (FLAT - 1) / 2 * line.height) - np.array((x0, y0), np.float32)
    crop = pixels[y0:y1, x0:x1]
    flat = _flattened(coverage(crop, lifted), quad, line.height)
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


def _flattened(plane: Plane, quad: Quad, height: float) -> Plane:
    """The line set upright, 64 to 160 px high with its room."""
    high = int(np.clip(FLAT * height, 64, 160))
    wide = max(
        8, round(high * float(np.linalg.norm(quad[1] - quad[0])) / max(1.0, float(np.linalg.norm(quad[3] - quad[0]))))
    )
    corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), corners)
    return np.asarray(cv2.warpPerspective(plane, matrix, (wide, high), flags=cv2.INTER_LINEAR), np.float32)


def _setting(flat: Plane, text: str) -> Setting:
    """Set the old words in every weight and softness over their own ink, and keep what covers it best."""
    box = Mask(flat > 0.5).box or (0, 0, 1, 1)
    x0, y0, x1, y1 = box
    best, setting = -1.0, Setting(400, 0.0, box, 0.0)
    for weight in WEIGHTS:
        stamp, _ = glyphs(text, DRAWN, weight)
        for softness in SOFTNESS:
            ours = np.zeros(flat.shape, np.float32)
            ours[y0:y1, x0:x1] = cv2.resize(stamp, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA) / np.float32(255)
            ours = _blurred(ours, softness * (y1 - y0))
            overlap = float(np.minimum(ours, flat).sum() / max(1.0, float(np.maximum(ours, flat).sum())))
            if overlap > best:
                best, setting = overlap, Setting(weight, softness, box, _likeness(ours, flat, 0.05 * (y1 - y0)))
    return setting


def _likeness(first: Plane, second: Plane, sigma: float) -> float:
    """Correlation of two covers, both softened, so that thin letters are not judged by their edges alone."""
    a, b = (_blurred(plane, sigma).ravel() for plane in (first, second))
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def _set(shape: tuple[int, ...], factor: int, line: Line, new: str, setting: Setting) -> Plane:
    """The new words on the old ones' base line, on a plane ``factor`` times as fine as ``shape``."""
    x0, y0, x1, y1 = (factor * v for v in setting.box)
    old, above = glyphs(line.text, DRAWN, setting.weight)
    stamp, over = glyphs(new, DRAWN, setting.weight)
    across, down = (x1 - x0) / old.shape[1], (y1 - y0) / old.shape[0]
    free = 2 - sum(line.neighbours)
    room = min(x1 - x0 + 0.25 * free * (y1 - y0), factor * shape[1] - 4.0)
    narrowed = min(1.0, room / (across * stamp.shape[1]))
    if narrowed < NARROWEST:
        raise _declined(f"'{new}' is too long for the place of '{line.text}'", "too_long")
    size = (max(1, round(across * narrowed * stamp.shape[1])), max(1, round(down * stamp.shape[0])))
    plane = np.zeros((factor * shape[0], factor * shape[1]), np.float32)
    before, after = line.neighbours
    left = x0 if before else x1 - size[0] if after else round((x0 + x1 - size[0]) / 2)
    top = round(y0 + (over - above) * down)
    high, wide = plane.shape
    if left < 0 or top < 0 or left + size[0] > wide or top + size[1] > high:
        raise _declined(f"'{new}' does not fit into the place of '{line.text}'", "too_long")
    plane[top : top + size[1], left : left + size[0]] = cv2.resize(
        stamp, size, interpolation=cv2.INTER_AREA if size[0] < stamp.shape[1] else cv2.INTER_CUBIC
    ) / np.float32(255)
    pixel = factor * shape[0] / (FLAT * line.height)  # of the picture, on the plane
    soft = max(0.0, (setting.softness * (y1 - y0)) ** 2 - (SAMPLED * pixel) ** 2) ** 0.5
    return np.clip(_blurred(plane, soft), 0, 1)


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
