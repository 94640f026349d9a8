"""The frame: laid round a thing, or moved in from the sides."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.values import Box, Image, Mask
from lego.tools.finders import subject
from lego.tools.finders.regions import full_size, small_copy
from lego.tools.geometry import ratio_of
from lego.tools.pixels import must_fit

HALF = 128  # from here on a soft pixel belongs to the thing


@tool(
    scope="geometric",
    phrases={
        "crop to subject": {}, "crop to subject with ratio {ratio}": {}, "crop to subject with ratio of {ratio}": {},
        "crop to {target} with ratio {ratio}": {}, "crop to {target} with ratio of {ratio}": {},
        "crop to subject in {ratio}": {}, "crop to {target} in {ratio}": {}, "{ratio} crop of {target}": {},
        "{ratio} crop around {target}": {}, "crop to {ratio} around {target}": {}, "crop around subject": {},
        "crop tightly": {"margin": 0.04}, "auto crop": {},
        "crop tight": {"margin": 0.04}, "crop to {target}": {}, "crop around {target}": {}, "crop in on {target}": {},
        "crop closely around {target}": {"margin": 0.04}, "crop tightly around {target}": {"margin": 0.04},
        "zoom in on {target}": {}, "zoom in": {}, "zoom in to {target}": {}, "frame subject": {}, "crop in": {},
        "crop everything but {target}": {}, "close-up of {target}": {}, "crop to main subject": {},
        "裁剪到主体": {}, "裁剪到{target}": {}, "围绕{target}裁剪": {}, "围绕主体裁剪": {}, "裁剪出{target}": {},
        "只保留{target}裁剪": {}, "拉近{target}": {}, "特写{target}": {}, "按主体裁剪": {}, "突出主体裁剪": {},
        "把{target}裁剪出来": {},
    },
)  # fmt: skip
def crop_to_subject(
    image: Image,
    mask: Mask | None = None,
    margin: Annotated[
        float, Field(ge=0, le=2, description="room on every side, as a share of the thing's size")
    ] = 0.15,
    ratio: Annotated[
        str | None,
        Field(max_length=11, description="width:height, such as 4:5", json_schema_extra={"format": "ratio"}),
    ] = None,
) -> Image:
    """Cut the picture down to the masked thing, or to its main subject, with some room around.

    With a ratio the frame is widened (never narrowed through the thing) and pushed into the picture. The subject is
    found as by `segment`.

    Raises:
        RefusedError: no mask was given and the picture has no clear subject.
        ValueError: the ratio cannot be read.
    """
    if mask is None:
        mask = _subject(image)
    must_fit(image, mask)
    thing = Mask(np.where(mask.pixels >= HALF, np.uint8(255), np.uint8(0))).box or mask.box
    if thing is None:
        return image.map(lambda a: a)
    x0, y0, x1, y1 = _frame(thing, image.size, margin, ratio_of(ratio) if ratio else None)
    return image.map(lambda a: a[y0:y1, x0:x1])


Strip = Annotated[int, Field(ge=0, le=8192, json_schema_extra={"unit": "px"})]


@tool(
    scope="geometric",
    phrases=[
        "crop {left} from left", "crop {right} from right", "crop {top} from top", "crop {bottom} from bottom",
        "crop {left} off left", "crop {right} off right", "crop {top} off top", "crop {bottom} off bottom",
        "cut {left} off left", "cut {right} off right", "cut {top} off top", "cut {bottom} off bottom",
        "cut {left} from left", "cut {right} from right", "cut {top} from top", "cut {bottom} from bottom",
        "trim {left} from left", "trim {right} from right", "trim {top} from top", "trim {bottom} from bottom",
        "trim {left} off left", "trim {right} off right", "trim {top} off top", "trim {bottom} off bottom",
        "左边裁掉{left}", "右边裁掉{right}", "上边裁掉{top}", "下边裁掉{bottom}", "底部裁掉{bottom}", "顶部裁掉{top}",
    ],
)  # fmt: skip
def trim(image: Image, left: Strip = 0, top: Strip = 0, right: Strip = 0, bottom: Strip = 0) -> Image:
    """Cut strips of so many pixels off the sides of the picture.

    Raises:
        RefusedError: nothing would be left.
    """
    width, height = image.size
    if left + right >= width or top + bottom >= height:
        raise RefusedError(
            f"nothing would be left of {width} x {height} px", hint="cut off less", reason="nothing_left"
        )
    return image.map(lambda a: a[top : height - bottom, left : width - right])


def _subject(image: Image) -> Mask:
    found = subject.find(small_copy(image.pixels, subject.SIDE))
    if found.confidence < subject.GATE:
        raise RefusedError(
            f"there is no clear subject: confidence {found.confidence:.2f} of the {subject.GATE:.2f} that are needed",
            hint="point at it: --box X0,Y0,X1,Y1 or --mask FILE, or name a coloured thing",
            code="not_found",
            confidence=found.confidence,
        )
    return Mask(full_size(subject.smoothed(found.mask), image.pixels))


def _frame(thing: Box, size: tuple[int, int], margin: float, ratio: float | None) -> Box:
    """The thing's box with its margin, widened to the ratio as far as the picture goes, and pushed inside."""
    x0, y0, x1, y1 = thing
    room = margin * max(x1 - x0, y1 - y0)
    wide, high = min(size[0], x1 - x0 + 2 * room), min(size[1], y1 - y0 + 2 * room)
    if ratio:
        wide, high = max(wide, high * ratio), max(high, wide / ratio)
        shrink = min(1.0, size[0] / wide, size[1] / high)
        wide, high = wide * shrink, high * shrink
        if wide < x1 - x0 - 1 or high < y1 - y0 - 1:
            wide, high = max(wide, x1 - x0), max(high, y1 - y0)  # the thing goes before the ratio
    spans = [_placed((x0 + x1) / 2, wide, size[0]), _placed((y0 + y1) / 2, high, size[1])]
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def _placed(middle: float, length: float, limit: int) -> tuple[int, int]:
    whole = min(limit, max(1, round(length)))
    start = min(max(0, round(middle - whole / 2)), limit - whole)
    return start, start + whole
