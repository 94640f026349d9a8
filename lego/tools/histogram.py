"""What the tones of a picture measure, put right: automatic enhancement, equalising, another picture's colours."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Share
from lego.core.values import Image, Mask
from lego.tools.color import vibrance, white_balance
from lego.tools.grade import measured_ends
from lego.tools.pixels import Plane, blend, curved, from_lab, in_strips, to_lab
from lego.tools.tone import clarity, shadows

SIDE = 512  # px at which pictures are measured
MIDDLE = (42.0, 60.0)  # L within which the middle of a picture looks well exposed
FARTHEST = 14.0  # Lab units by which the mean colour may move; beyond, white cups turn cyan
SPREAD = (0.5, 1.7)  # by how much a colour's spread may shrink or grow before it looks muddy or torn


@tool(
    phrases={
        "auto enhance": {}, "enhance": {}, "auto tone": {}, "auto adjust": {}, "auto fix": {},
        "auto correct": {}, "auto color": {}, "enhance automatically": {}, "improve": {}, "improve photo": {},
        "make it better": {}, "make picture better": {}, "make photo better": {}, "make image better": {},
        "make picture look better": {}, "make photo look better": {}, "make image look better": {},
        "make {target} better": {}, "make {target} look better": {}, "fix exposure": {},
        "correct exposure": {}, "touch up": {}, "make it nicer": {}, "fix lighting": {}, "optimize": {},
        "beautify photo": {}, "自动增强": {}, "自动调整": {}, "自动优化": {}, "自动修图": {}, "一键美化": {},
        "优化": {},
        "美化": {}, "优化曝光": {}, "增强": {}, "自动色调": {}, "一键增强": {},
    }
)  # fmt: skip
def auto_enhance(image: Image, mask: Mask | None = None, amount: Share = 0.8) -> Image:
    """Improve exposure, contrast and colour gently, by what the picture itself measures.

    A fraction of the colour cast goes; tones are stretched towards black and white; a middle that is too dark or too
    light moves; deep shadows open; pale colours and fine structure gain a little. The notes say what was done.
    """
    if amount == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    low, high = measured_ends(image, mask)
    light, chroma = _measured(image.pixels, mask)
    codes = np.clip((np.arange(256) - low * amount) / (255 - (low + 255 - high) * amount), 0, 1)
    stretch = 100 / max(high - low, 1) * 2.55
    middle = float(np.median(light))
    stretched = float(np.clip((middle - low / 2.55) * stretch, 0, 100))
    aim = float(np.clip(stretched, *MIDDLE))
    lift = float(np.clip((aim - stretched) / 25, -0.5, 0.9)) * amount
    slope = 2.0**lift
    edit = white_balance(image, amount=0.3 * amount)
    edit = curved(edit, 255 * slope * codes / (1 + (slope - 1) * codes))
    dark = float(np.clip((light < 18).mean() - 0.15, 0, 0.5))
    if dark > 0:
        edit = shadows(edit, shadows=70 * dark * amount)
    pale = float(np.clip((45 - chroma) / 30, 0.2, 1))
    if chroma > 2:
        edit = vibrance(edit, vibrance=25 * pale * amount)
    edit = clarity(edit, clarity=14 * amount)
    done = blend(image, edit.pixels, mask)
    told = (
        (f"tones stretched from {low}-{high} towards 0-255", low > 5 or high < 250),
        (f"the middle {'lightened' if lift > 0 else 'darkened'}", abs(lift) > 0.05),
        ("shadows opened", dark > 0.05),
    )
    return Image(done.pixels, done.alpha, tuple(note for note, true in told if true) or ("tones were well placed",))


def _measured(pixels: Pixels, mask: Mask | None) -> tuple[Plane, float]:
    """L of a small copy where the mask is, and the mean chroma there."""
    small, where = _small(pixels, mask)
    lab = to_lab(small)[where]
    return lab[:, 0], float(np.hypot(lab[:, 1], lab[:, 2]).mean())


def _small(pixels: Pixels, mask: Mask | None) -> tuple[Pixels, NDArray[np.bool_]]:
    """A small copy, and where the mask covers it; everywhere if it covers nothing of it."""
    shrink = max(1, max(pixels.shape[:2]) / SIDE)
    size = (max(1, round(pixels.shape[1] / shrink)), max(1, round(pixels.shape[0] / shrink)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    where = np.ones(small.shape[:2], np.bool_)
    if mask is not None:
        covered = cv2.resize(mask.pixels, size, interpolation=cv2.INTER_AREA) > 127
        where = covered if covered.any() else where
    return small, where


@tool(
    phrases={
        "equalize": {}, "equalise": {}, "clahe": {}, "equalize histogram": {}, "histogram equalization": {},
        "adaptive contrast": {}, "even out lighting": {}, "even out light": {}, "even out exposure": {},
        "balance exposure": {}, "均衡化": {}, "直方图均衡": {}, "直方图均衡化": {}, "均衡光线": {}, "均匀光线": {},
    }
)  # fmt: skip
def equalize(image: Image, mask: Mask | None = None, amount: Share = 0.5) -> Image:
    """Even the light out, so that dark and bright regions both show their detail.

    Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of L in 8 x 8 fields; colourfulness follows.
    """
    if amount == 0:
        return image.replace(image.pixels)
    lab = to_lab(image.pixels)
    light = lab[..., 0]
    fine = cv2.convertScaleAbs(light, alpha=2.55)
    fields = (max(1, min(8, image.size[0] // 8)), max(1, min(8, image.size[1] // 8)))
    even = cv2.createCLAHE(2.0, fields).apply(fine).astype(np.float32)
    change = cv2.subtract(even, fine.astype(np.float32))  # added, not taken over: 8-bit steps do not show
    change *= np.float32(amount / 2.55)
    gain = np.sqrt(np.clip(1 + change / np.maximum(light, 5), 0.6, 1.6))
    lab[..., 0] = np.clip(light + change, 0, 100)
    lab[..., 1:] *= gain[..., None]
    return blend(image, from_lab(lab), mask)


@tool(
    phrases=[
        "match colors", "match color", "match color to reference", "match colors of reference",
        "match reference", "color match", "match color grade", "copy colors from reference", "copy colors of reference",
        "transfer colors", "color transfer", "use colors of reference", "same colors as reference", "like reference",
        "匹配颜色", "颜色匹配", "追色", "仿色", "匹配参考图", "匹配参考图颜色", "使用参考图颜色", "匹配参考图色调",
    ]
)  # fmt: skip
def match_color(image: Image, reference: Image, mask: Mask | None = None, amount: Share = 0.5) -> Image:
    """Give the picture the colours of a second one, the reference: its cast, its colourfulness, its contrast.

    Mean and spread of L, a and b move towards the reference's (Reinhard 2001); the spreads by a factor of .5 to 1.7, L
    half as far as the colours, because all of it looks muddy.
    """
    if amount == 0:
        return image.replace(image.pixels)
    small, where = _small(image.pixels, mask)
    mine, theirs = to_lab(small)[where], to_lab(_small(reference.pixels, None)[0]).reshape(-1, 3)
    share = amount * np.array([0.5, 1, 1], np.float32)
    ratio = np.clip(theirs.std(0) / np.maximum(mine.std(0), 1), *SPREAD)
    ratio = np.where(mine.std(0) < 1, 1, ratio)  # what has no spread has none to scale
    gain = (1 + share * (ratio - 1)).astype(np.float32)
    move = share * (theirs.mean(0) - mine.mean(0))
    move *= min(1, FARTHEST / max(float(np.hypot(move[1], move[2])), 1e-3))
    shift = ((1 - gain) * mine.mean(0) + move).astype(np.float32)

    def matched(pixels: Pixels, *_: slice) -> Plane:
        lab = to_lab(pixels) * gain + shift
        lab[..., 0] = np.clip(lab[..., 0], 0, 100)
        return from_lab(lab)

    return blend(image, in_strips(image, mask, matched), mask)
