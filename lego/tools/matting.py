"""How opaque the edge of a thing is: hair, fur and fine leaves as soft masks."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Context, Thing
from lego.core.values import Image, Mask
from lego.tools.geometry import scaled
from lego.tools.pixels import Plane, guided, must_fit, to_grey, to_uint8

Reach: TypeAlias = Annotated[
    float,
    Field(
        ge=0.5, le=15,
        description="how far hair reaches to both sides of the outline, of the thing's size",
        json_schema_extra={"unit": "%"},
    ),
]  # fmt: skip
Solver: TypeAlias = Callable[[Pixels, Pixels, Pixels, int], Plane]

REACH = 5.0
SIDE = 1024  # px at which edges are solved: 1.4 s; larger ones are brought up along the picture's own edges
FLAT = 1e-4  # variance of grey under which the guided filter sees no edge: hairs have 10 times that
CLIP = {"guided": 0.1, "closed form": 0.04}  # of alpha at both ends: both leave a veil there that is no hair
SHIFTS = (1e-3, 1e-2, 0.1, 1.0)  # of the diagonal; with less the factorisation fails on smooth pictures, with more it
# takes 3 times as many steps
STEPS = 40  # that the solver mostly needs, for the progress bar
UNKNOWN = 128  # in a trimap: neither surely thing (255) nor surely background (0)


class _Band(NamedTuple):
    """The part of the picture that holds the thing, and what is known of it."""

    window: tuple[slice, slice]
    core: Pixels
    trimap: Pixels
    reach: int


@tool(
    phrases=[
        "matte", "matte hair of", "matte fur of", "refine hair of", "refine fur of", "refine edges of",
        "soften outline of", "select {target} with fine hair", "select {target} with its hair",
        "优化{target}的边缘", "细化{target}的边缘", "细化{target}的毛发", "选中{target}的发丝",
    ]
)  # fmt: skip
def mask_matte(
    image: Image,
    mask: Thing,
    reach: Reach = REACH,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Mask:
    """Soften a mask where hair, fur or fine leaves make its outline uncertain.

    Within ``reach`` per cent of the thing's size (the square root of its area) on both sides of the outline, the
    opacity is found anew from the picture; the mask's own softness there is given up. Of things with a hard outline a
    plain mask is the better one. With pymatting installed (the extra ``fill``) by closed-form matting (Levin
    2008), which took 17-39 % of a plain outline's error away on made-up hair over four photographs; without it by a
    guided filter (He 2010), 4-18 %. pymatting compiles itself at its first use, which takes half a minute to a minute,
    once; after that about 1 s at 512 px and 10 s at the most, because larger things are solved at 1024 px.
    """
    return _matted(image, mask, reach, _by_guided_filter)


@mask_matte.engine("pymatting", requires=["pymatting"])
def _(
    image: Image,
    mask: Thing,
    reach: Reach = REACH,
    context: Context = Context(),  # noqa: B008  # as above
) -> Mask:
    def solve(pixels: Pixels, core: Pixels, trimap: Pixels, radius: int) -> Plane:
        return _closed_form(pixels, trimap, context.progress)

    return _matted(image, mask, reach, solve)


def _matted(image: Image, mask: Mask, reach: float, solve: Solver) -> Mask:
    must_fit(image, mask)
    band = _band(mask, reach)
    if band is None:
        note = "the mask leaves no room for an uncertain edge, so it was left as it is"
        return Mask(mask.pixels, mask.confidence, (note,))
    pixels = np.ascontiguousarray(image.pixels[band.window])
    share = min(1.0, SIDE / max(band.trimap.shape))
    size = (max(1, round(pixels.shape[1] * share)), max(1, round(pixels.shape[0] * share)))
    trimap = np.asarray(cv2.resize(band.trimap, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    core = scaled(band.core, size)
    alpha = solve(scaled(pixels, size), core, trimap, max(2, round(band.reach * share)))
    if share < 1:
        rough = np.asarray(cv2.resize(alpha, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.float32)
        alpha = guided(to_grey(pixels), rough, max(2, round(1.5 / share)), FLAT)
    made = np.zeros(mask.pixels.shape, np.uint8)
    soft = to_uint8(np.asarray(np.clip(alpha, 0, 1) * 255, np.float32))
    made[band.window] = np.where(band.trimap == UNKNOWN, soft, band.trimap)
    return Mask(made, mask.confidence)


def _band(mask: Mask, reach: float) -> _Band | None:
    """Where the outline is uncertain; None if that leaves nothing sure on one of its sides."""
    core = (mask.pixels > 127).astype(np.uint8)
    box = Mask(core * np.uint8(255)).box
    if box is None:
        return None
    radius = max(2, round(reach / 100 * float(np.sqrt(core.sum()))))
    x0, y0, x1, y1 = box
    room = 2 * radius + 2
    window = (slice(max(0, y0 - room), y1 + room), slice(max(0, x0 - room), x1 + room))
    core = core[window]
    inner = cv2.distanceTransform(core, cv2.DIST_L2, 5) > radius if core.min() == 0 else core > 0
    outer = cv2.distanceTransform(1 - core, cv2.DIST_L2, 5) > radius
    if not inner.any() or not outer.any():
        return None
    trimap = np.where(inner, 255, np.where(outer, 0, UNKNOWN)).astype(np.uint8)
    return _Band(window, core * np.uint8(255), trimap, radius)


def _by_guided_filter(pixels: Pixels, core: Pixels, trimap: Pixels, radius: int) -> Plane:
    """The outline drawn to the picture's own edges."""
    soft = guided(to_grey(pixels), core.astype(np.float32) / np.float32(255), radius, FLAT)
    return _clipped(soft, CLIP["guided"])


def _closed_form(pixels: Pixels, trimap: Pixels, progress: Callable[[float], None]) -> Plane:
    """Closed-form matting (Levin 2008) by PyMatting; cancelling takes hold between the solver's iterations."""
    progress(0.0)
    from pymatting.alpha.estimate_alpha_cf import estimate_alpha_cf
    from pymatting.preconditioner.ichol import ichol

    done = 0

    def step(*_: object) -> None:
        nonlocal done
        done += 1
        progress(min(0.95, 0.2 + 0.75 * done / STEPS))

    known = np.select([trimap == 255, trimap == 0], [1.0, 0.0], 0.5)
    progress(0.1)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints of shifts that are too small
        warnings.simplefilter("ignore")
        alpha = estimate_alpha_cf(
            pixels / 255.0, known, preconditioner=lambda a: ichol(a, shifts=SHIFTS), cg_kwargs={"callback": step}
        )
    return _clipped(np.asarray(alpha, np.float32), CLIP["closed form"])


def _clipped(alpha: Plane, share: float) -> Plane:
    return np.asarray(np.clip((alpha - share) / (1 - 2 * share), 0, 1), np.float32)
