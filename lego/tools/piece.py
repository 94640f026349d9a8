"""Pieces on their way into a picture: scaled, matched to the ground, laid over it, with a shadow below."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.values import Image, Mask
from lego.tools import paint
from lego.tools.geometry import scaled
from lego.tools.pixels import Plane, blend, from_lab, gaussian, to_lab, to_uint8

Blending: TypeAlias = Annotated[
    Literal["alpha", "match", "poisson"],
    Field(description="as it is; half way to the light and colours around; or colours flowing in from the seam"),
]
Shadow: TypeAlias = Annotated[float, Field(ge=0, le=1, description="strength of a soft shadow, 0 is none")]

MATCH = 0.5  # of the way to the surroundings: Reinhard's whole way is muddy, 40-60 % is not
MATCH_MOST = (15.0, 6.0, 6.0)  # Lab units of shift at most: more turns orange petals mint under a blue sky
MATCH_CONTRAST = (0.75, 1.2)  # bounds of the change in contrast
AROUND = 0.5  # sides of the piece that count as its surroundings on each side
POISSON_SIDE = 512  # px at which the correction is solved: it is smooth, so it can be brought up to any size
POISSON_LEAST = 10  # px of a side: seamlessClone works its mask inwards by 3 and raises on what is left of less
POISSON_ROOM = 4  # px around the piece, so that seamlessClone never meets the frame
SHADOW_MOST = 0.6  # opacity of the darkest shadow; more looks like a hole
FOOT = 0.12  # of the thing's height whose outline stands on the ground
FOOT_FLAT = 0.14  # height of the contact shadow, as a share of the thing's width
FOOT_SOFT = 0.035  # its softness, as a share of the thing's width
DROP_SOFT = 0.03  # softness of the shadow of a whole picture, as a share of its short side
DROP_DOWN = 0.02  # how far that shadow falls, likewise


class Piece(NamedTuple):
    """Colours, and how opaque they are."""

    pixels: Pixels
    alpha: Pixels


def cut_from(image: Image, mask: Mask) -> Piece:
    """The thing's own colours, soft pixels freed of the background, and its alpha; both of the picture's size."""
    alpha = mask.pixels
    if image.alpha is not None:
        alpha = np.rint(mask.pixels.astype(np.float32) * image.alpha / 255).astype(np.uint8)
    return Piece(paint.freed(image.pixels, mask.pixels), alpha)


def resized(picture: Image, size: tuple[int, int]) -> Piece:
    """Scale colours weighted by alpha, so that what lies under the transparent ground does not bleed in."""
    if picture.alpha is None:
        return Piece(scaled(picture.pixels, size), np.full((size[1], size[0]), 255, np.uint8))
    solid = picture.alpha > 0
    pixels = np.where(solid[..., None], picture.pixels, 0)
    if not solid.all() and solid.any():
        mean = cv2.boxFilter(pixels.astype(np.float32), -1, (5, 5), normalize=False)
        count = cv2.boxFilter(solid.astype(np.float32), -1, (5, 5), normalize=False)[..., None]
        spread = np.clip(mean / np.maximum(count, 1), 0, 255).astype(np.uint8)
        pixels = np.where(solid[..., None], pixels, spread)
    return Piece(scaled(pixels, size), scaled(picture.alpha, size))


def lay(
    image: Image,
    piece: Piece,
    at: tuple[int, int],
    opacity: float = 1.0,
    blending: str = "alpha",
    shadow: float = 0.0,
) -> Image:
    """Lay a piece over the picture at left, top px, matched to it as asked, its shadow first."""
    if _visible(image, piece, at) is None:
        return Image(image.pixels, image.alpha, ("the piece would lie outside the picture, so it was left out",))
    notes: tuple[str, ...] = ()
    if blending == "match":
        piece = matched(image.pixels, piece, at)
    elif blending == "poisson":
        piece, notes = _flowing(image.pixels, piece, at)
    if shadow > 0:
        dark, by = _shadow(piece, shadow * SHADOW_MOST)
        image = over(image, dark, (at[0] + by[0], at[1] + by[1]), opacity)
    made = over(image, piece, at, opacity)
    return Image(made.pixels, made.alpha, notes)


def _visible(image: Image, piece: Piece, at: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The piece's box within the picture: left, top, right, bottom."""
    x0, y0 = max(0, at[0]), max(0, at[1])
    x1, y1 = min(image.size[0], at[0] + piece.alpha.shape[1]), min(image.size[1], at[1] + piece.alpha.shape[0])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def over(image: Image, piece: Piece, at: tuple[int, int], opacity: float = 1.0) -> Image:
    """Blend a piece in at left, top px; where the ground is transparent it becomes as opaque as the piece."""
    box = _visible(image, piece, at)
    if box is None:
        return image.replace(image.pixels)
    x0, y0, x1, y1 = box
    part = (slice(y0 - at[1], y1 - at[1]), slice(x0 - at[0], x1 - at[0]))
    edit, weight = np.array(image.pixels), np.zeros(image.pixels.shape[:2], np.uint8)
    edit[y0:y1, x0:x1] = piece.pixels[part]
    weight[y0:y1, x0:x1] = np.rint(piece.alpha[part] * np.float32(opacity))
    if image.alpha is None:
        return blend(image, edit, Mask(weight))
    top, under = weight.astype(np.float32) / 255, image.alpha.astype(np.float32) / 255
    joint = top + under * (1 - top)
    share = np.rint(255 * top / np.maximum(joint, 1e-6)).astype(np.uint8)
    merged = blend(image, edit, Mask(share))
    return Image(merged.pixels, np.rint(joint * 255).astype(np.uint8))


def matched(ground: Pixels, piece: Piece, at: tuple[int, int]) -> Piece:
    """Shift the piece's mean colour, and stretch its contrast, half way to the ground around it (Reinhard 2001).

    In Lab, by means and spreads; both changes are bounded, so that a thing keeps its own colour.
    """
    height, width = piece.alpha.shape
    room_x, room_y = round(AROUND * width) + 1, round(AROUND * height) + 1
    rows = slice(max(0, at[1] - room_y), max(0, at[1] + height + room_y))
    near = ground[rows, max(0, at[0] - room_x) : max(0, at[0] + width + room_x)]
    solid = piece.alpha > 127
    if not solid.any() or near.size == 0:
        return piece
    there, lab = to_lab(near).reshape(-1, 3), to_lab(piece.pixels)
    mean, spread = lab[solid].mean(0), float(lab[..., 0][solid].std())
    shift = np.clip(MATCH * (there.mean(0) - mean), -np.array(MATCH_MOST), MATCH_MOST)
    ratio = (float(there[:, 0].std()) + 1) / (spread + 1)
    lab[..., 0] = (lab[..., 0] - mean[0]) * np.clip(ratio**MATCH, *MATCH_CONTRAST) + mean[0]
    return Piece(to_uint8(from_lab(np.asarray(lab + shift, np.float32))), piece.alpha)


def _flowing(ground: Pixels, piece: Piece, at: tuple[int, int]) -> tuple[Piece, tuple[str, ...]]:
    """Give the piece the ground's colours at its seam, its own detail within (Pérez 2003).

    The correction is solved on a small copy and brought up: it is smooth. Pieces of a few pixels stay as they are.
    """
    x0, y0 = max(0, at[0]), max(0, at[1])
    x1, y1 = min(ground.shape[1], at[0] + piece.alpha.shape[1]), min(ground.shape[0], at[1] + piece.alpha.shape[0])
    part = (slice(y0 - at[1], y1 - at[1]), slice(x0 - at[0], x1 - at[0]))
    share = min(1.0, POISSON_SIDE / max(x1 - x0, y1 - y0))
    size = (max(1, round((x1 - x0) * share)), max(1, round((y1 - y0) * share)))
    there, own, alpha = (scaled(a, size) for a in (ground[y0:y1, x0:x1], piece.pixels[part], piece.alpha[part]))
    solid = Mask(np.where(alpha > 127, 255, 0).astype(np.uint8)).box
    kept = "the piece is too small for its colours to flow, so it was laid over as it is"
    if solid is None or min(solid[2] - solid[0], solid[3] - solid[1]) < POISSON_LEAST:
        return piece, (kept,)
    there, own = (_padded(a, POISSON_ROOM, cv2.BORDER_REPLICATE) for a in (there, own))
    where = _padded(np.where(alpha > 127, 255, 0).astype(np.uint8), POISSON_ROOM)
    x, y, w, h = cv2.boundingRect(where)
    try:
        # on a copy, because it writes to the mask
        made = cv2.seamlessClone(own, there, where.copy(), (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)
    except cv2.error:  # it raises on shapes that it leaves undocumented
        return piece, (kept,)
    change = np.where((where > 0)[..., None], made.astype(np.float32) - own, 0)
    change = _spread(change, where)[POISSON_ROOM:-POISSON_ROOM, POISSON_ROOM:-POISSON_ROOM]
    pixels = np.array(piece.pixels)
    full = cv2.resize(change, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    pixels[part] = to_uint8(pixels[part].astype(np.float32) + full)
    return Piece(pixels, piece.alpha), ()


def _spread(change: Plane, where: Pixels) -> Plane:
    """Carry the correction a few pixels outwards, so that soft edges get it too."""
    weight = (where > 0).astype(np.float32)
    near = cv2.blur(weight, (9, 9))[..., None]
    mean = cv2.blur(change, (9, 9)) / np.maximum(near, 1e-3)
    return np.asarray(np.where((where > 0)[..., None], change, np.where(near > 1e-3, mean, 0)), np.float32)


def _shadow(piece: Piece, strength: float) -> tuple[Piece, tuple[int, int]]:
    """The shadow as a black piece, and how far from the piece it lies.

    A cut-out stands on the ground: its lower part, flattened and blurred, lies under its lower edge. A picture without
    transparency lies flat: its shadow falls a little downwards.
    """
    box = Mask(piece.alpha).box
    if box is None:
        return piece, (0, 0)
    x0, y0, x1, y1 = box
    if bool((piece.alpha[y0:y1, x0:x1] > 127).mean() > 0.95):
        soft = max(1.0, DROP_SOFT * min(x1 - x0, y1 - y0))
        return _blurred(piece.alpha, soft, strength, (0, round(DROP_DOWN * min(x1 - x0, y1 - y0))))
    foot = piece.alpha[y1 - max(1, round(FOOT * (y1 - y0))) : y1, x0:x1]
    flat = scaled(foot, (x1 - x0, max(1, round(FOOT_FLAT * (x1 - x0)))))
    soft = max(1.0, FOOT_SOFT * (x1 - x0))
    return _blurred(flat, soft, strength, (x0, y1 - round(0.6 * flat.shape[0])))


def _blurred(alpha: Pixels, soft: float, strength: float, by: tuple[int, int]) -> tuple[Piece, tuple[int, int]]:
    room = round(3 * soft)
    wide = _padded(alpha, room)
    dark = to_uint8(np.asarray(gaussian(wide.astype(np.float32) * np.float32(strength), soft), np.float32))
    return Piece(np.zeros((*dark.shape, 3), np.uint8), dark), (by[0] - room, by[1] - room)


def _padded(array: Pixels, room: int, way: int = cv2.BORDER_CONSTANT) -> Pixels:
    return np.asarray(cv2.copyMakeBorder(array, room, room, room, room, way, value=0), np.uint8)
