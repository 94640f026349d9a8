"""Pieced together: stained glass and low poly.

Shapes are found on a small copy and drawn at the picture's own size: a picture of 512 px and one of 12 megapixels look
alike.
"""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lego.core.codec import Pixels
from lego.core.registry import tool
from lego.core.signature import Context, Share
from lego.core.values import Image, Mask
from lego.tools.finders.regions import small_copy
from lego.tools.flow import FULL, asked, enlarged, laid_over
from lego.tools.pixels import Plane, from_lab, gaussian, to_lab, to_uint8

Ints = NDArray[np.int32]

LOOK = 1024  # px of the long side on which shapes are found
GLASS = 720  # px of the long side on which panes are cut; their rims are drawn at full size
COLOR_PULL = 26  # units of Lab that pull a pane's rim by one pane
LEAD = (31.0, 31.0, 31.0, 0.0)  # the dark grey of lead between panes


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "stained-glass", "leaded glass", "church window", "glass mosaic", "彩窗", "花窗", "玻璃花窗", "彩绘玻璃",
        ),
        aimed=(
            "stained glass", "stained glass window", "彩色玻璃",
        ),
    ),
)  # fmt: skip
def stained_glass(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    panes: Annotated[int, Field(ge=50, le=3000, description="in the whole picture")] = 700,
    lead: Annotated[float, Field(ge=0, le=1, description="width of the dark lines")] = 0.5,
    *,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Turn the picture into a stained glass window: bright panes that follow its shapes, set in lead."""
    if strength == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    small = small_copy(image.pixels, GLASS)
    side = max(small.shape)
    calm = cv2.bilateralFilter(small, 0, 40, side * 0.004) if min(small.shape[:2]) > 8 else small
    lab = gaussian(to_lab(np.asarray(calm, np.uint8)), side * 0.002)
    label = _panes(lab, panes, context.seed)
    count = int(label.max()) + 1
    number = np.maximum(np.bincount(label.ravel(), minlength=count), 1)
    means = np.stack([np.bincount(label.ravel(), lab[..., n].ravel(), count) / number for n in range(3)], 1)
    means[:, 0] = 8 + 0.98 * means[:, 0]
    means[:, 1:] *= 1.45
    colors = to_uint8(from_lab(np.asarray(means[None], np.float32))[0])
    same = np.ones(label.shape, np.uint8)
    same[:, 1:] &= label[:, 1:] == label[:, :-1]
    same[1:] &= label[1:] == label[:-1]
    away = gaussian(np.minimum(cv2.distanceTransform(same, cv2.DIST_L2, 5), side), side * 0.0008)  # one pane: no lead
    size, scale = image.size, max(image.size) / side
    wide = np.float32(0.0014 * side * (0.35 + 1.3 * lead) * np.sqrt(700 / panes))
    away = enlarged(away, size)
    large = cv2.resize(colors[label], size, interpolation=cv2.INTER_NEAREST)
    glass = np.clip((away - wide) * np.float32(scale) + 0.5, 0, 1) if lead else np.ones_like(away)
    glass *= 0.84 + 0.2 * np.clip(away / (4 * wide), 0, 1)  # glass is thinner and lighter in the middle
    made = cv2.multiply(large, cv2.merge([glass] * 3), dtype=cv2.CV_8U)
    return laid_over(image, np.asarray(cv2.max(made, LEAD), np.uint8), strength, mask)


def _panes(lab: Plane, count: int, seed: int, rounds: int = 5) -> Ints:
    """Label panes that keep to one colour and stay compact: k-means of place and colour (as SLIC, Achanta 2012)."""
    height, width = lab.shape[:2]
    pitch = max(1.0, float(np.sqrt(height * width / count)))
    random = np.random.default_rng(seed)
    rows, columns = (max(1, round(length / pitch)) for length in (height, width))
    gy, gx = np.mgrid[0:rows, 0:columns] + 0.5
    spots = np.stack([gx.ravel() * width / columns, gy.ravel() * height / rows], 1)
    spots += random.uniform(-0.45, 0.45, spots.shape) * pitch
    return _grown(lab, np.asarray(np.clip(spots, 0, (width - 1, height - 1)), np.float32), pitch, rounds)


def _grown(lab: Plane, spots: Plane, pitch: float, rounds: int) -> Ints:
    """Give every pixel to the nearest spot in place and colour, and move the spots to the middle of what they got."""
    height, width = lab.shape[:2]
    weight = np.float32(pitch / COLOR_PULL)
    y, x = np.indices((height, width), np.float32)
    tint = lab[spots[:, 1].astype(int), spots[:, 0].astype(int)]
    label = np.zeros((height, width), np.int32)
    reach = round(1.6 * pitch) + 1
    for _ in range(rounds):
        cost = np.full((height, width), np.inf, np.float32)
        for n, ((cx, cy), color) in enumerate(zip(spots, tint, strict=True)):
            area = np.s_[max(0, int(cy) - reach) : int(cy) + reach + 1, max(0, int(cx) - reach) : int(cx) + reach + 1]
            off = (x[area] - cx) ** 2 + (y[area] - cy) ** 2
            off += weight**2 * np.square(lab[area] - color).sum(2)
            better = off < cost[area]
            cost[area][better] = off[better]
            label[area][better] = n
        flat = label.ravel()
        number = np.maximum(np.bincount(flat, minlength=len(spots)), 1)
        planes = (x, y, lab[..., 0], lab[..., 1], lab[..., 2])
        means = np.stack([np.bincount(flat, p.ravel(), len(spots)) / number for p in planes], 1).astype(np.float32)
        spots, tint = means[:, :2], means[:, 2:]
    return label


@tool(
    phrases=asked(
        FULL,
        nouns=(
            "lowpoly", "low polygon", "polygon art", "polygonal", "flat triangles", "made of triangles",
            "低多边形风格",
        ),
        aimed=(
            "low poly", "low-poly", "低多边形",
        ),
    ),
)  # fmt: skip
def low_poly(
    image: Image,
    mask: Mask | None = None,
    strength: Share = 1.0,
    points: Annotated[int, Field(ge=50, le=6000, description="corners of triangles")] = 2400,
    *,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Build the picture from flat triangles, small where there is detail."""
    if strength == 0 or (mask is not None and mask.box is None):
        return image.replace(image.pixels)
    small = small_copy(image.pixels, LOOK)
    height, width = small.shape[:2]
    corners = _corners(small, points, context.seed)
    plan = cv2.Subdiv2D((-1, -1, width + 2, height + 2))
    plan.insert(corners.tolist())
    triangles = np.asarray(plan.getTriangleList(), np.float32).reshape(-1, 3, 2)
    inside = ((triangles > -0.5) & (triangles < (width + 0.5, height + 0.5))).all((1, 2))
    triangles = triangles[inside]
    middle = triangles.mean(1, keepdims=True)
    spots = np.concatenate([middle, middle + (triangles - middle) * 0.5, middle + (triangles - middle) * -0.25], 1)
    spots = np.clip(np.rint(spots), 0, (width - 1, height - 1)).astype(int)
    colors = np.median(small[spots[..., 1], spots[..., 0]], 1)  # of one side of an edge, not a mixture of both
    full = np.array(cv2.resize(small, image.size))
    scale = np.array([image.size[0] / width, image.size[1] / height], np.float32)
    for triangle, color in zip(triangles, colors, strict=True):
        at = np.rint((triangle * scale) * 16).astype(np.int32)
        cv2.fillConvexPoly(full, at, color.tolist(), cv2.LINE_AA, 4)
    return laid_over(image, full, strength, mask)


def _corners(pixels: Pixels, count: int, seed: int) -> Plane:
    """Draw corners where the light changes, the frame's own corners and sides among them."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = gaussian(grey, side * 0.002)
    edge = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    edge = gaussian(np.sqrt(edge), side * 0.002)
    wish = edge / max(float(edge.mean()), 1e-3) + 0.1
    gap = np.clip(0.62 * np.sqrt(height * width / count) / np.sqrt(wish), 1, 4 * np.sqrt(height * width / count))
    random = np.random.default_rng(seed)
    ridge = cv2.dilate(edge, np.ones((3, 3), np.uint8)) == edge  # corners on an edge, not beside it
    order = random.random((height, width)) - 2.0 * (ridge & (wish > 1.2)) * np.minimum(wish / 4, 1)
    pool = order.ravel().argsort()[: 12 * count]
    taken = np.zeros((height, width), np.uint8)
    chosen: list[tuple[float, float]] = []
    for y, x in zip(*np.divmod(pool, width), strict=True):
        if not taken[y, x]:
            chosen.append((float(x), float(y)))
            cv2.circle(taken, (int(x), int(y)), int(gap[y, x]), 1, -1)
        if len(chosen) == count:
            break
    rim = np.linspace(0, 1, 12)
    frame = [(x * width, y * height) for t in rim for x, y in ((t, 0), (t, 1), (0, t), (1, t))]
    return np.array(list(dict.fromkeys(chosen + frame)), np.float32)
