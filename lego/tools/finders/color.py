"""Find regions by the name of a colour: in hue and CIELAB chroma, tidied by GrabCut.

Measured on the seven photographs of docs/photos: see the table in docs/finding.md.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from lego.core.codec import Pixels
from lego.tools.finders.candidates import Candidate, candidate, chosen
from lego.tools.finders.regions import (
    BACK,
    FRONT,
    MAYBE_BACK,
    MAYBE_FRONT,
    Bools,
    Found,
    edge_share,
    ellipse,
    frame_share,
    grabcut,
    lab_of,
    parts,
    placed,
    separation,
)  # fmt: skip
from lego.tools.pixels import Plane

SIDE = 512
GATE = 0.72  # of the nine colours on seven photographs, what lies below is wrong or torn; see docs/finding.md
HUES: dict[str, tuple[float, float]] = {
    # degrees in HSV; neighbours overlap, because names do
    "red": (-20, 18), "orange": (7, 44), "yellow": (40, 68), "green": (66, 165), "cyan": (165, 200), "blue": (195, 262),
    "purple": (255, 305), "pink": (295, 350), "brown": (8, 45),
}  # fmt: skip
SOFT_HUE = 4.0  # degrees over which a hue fades out of its name
MIN_CHROMA = 22.0  # Lab; below, people say grey, beige, or nothing
MIN_SHARE = 0.0004  # of the picture; smaller regions are specks
MIN_SPREAD = 5.0  # degrees of hue within which every thing varies by shading alone
DARK = 30.0  # L; below, a gap between parts of a thing is its own shade, above it is something else
SHADE_HUE = 15.0  # degrees that a hue may drift in the shade
SHADE_CHROMA = 8.0  # black has no hue of its own: a black collar is no shade of an orange suit
SPECK = 0.01  # of the region: smaller holes are shine or dirt
STRAP = 0.05  # of the long side: pieces of the same hue that are nearer belong together
MOST_RIVALS = 4  # that a note names
RIVAL = 0.10  # a region of this share of the best one's weight counts too


def find(pixels: Pixels, name: str, choose: str = "") -> Found:
    """Return the regions of a colour.

    Args:
        pixels: a small copy, H x W x 3.
        name: one of `HUES`.
        choose: "" takes all regions that matter; else "left", "right", "top", "bottom", "center", "largest",
            "smallest", or a number and where it is counted from, such as "2 left".
    """
    lab = lab_of(pixels)
    hue = _hue(pixels, name)
    weights = _weight(lab, hue, name)
    found = _candidates(weights, hue)
    if not any(c.mask.any() for c in found):
        return Found(np.zeros(weights.shape, np.bool_), 0.0, (f"nothing {name} was found",))
    taken = chosen(found, choose)
    if not taken:
        return Found(np.zeros(weights.shape, np.bool_), 0.0, (f"found only {_count(len(found), name)}",))
    mask = np.any([c.mask for c in taken], axis=0)
    mask = _tidied(pixels, mask)
    total = sum(c.weight for c in found)
    share = sum(c.weight for c in taken) / total if choose else max(c.weight for c in found) / total
    purity = float(weights[mask].mean()) if mask.any() else 0.0
    parts_of_it = 0.35 * separation(lab, mask) + 0.20 * edge_share(pixels, mask)
    confidence = parts_of_it + 0.25 * (1.0 if choose else share) + 0.20 * purity
    notes = [f"found {_count(len(taken), name)}; what it is cannot be checked by colour"]
    if len(found) > 1 and not choose:
        notes.append("say 'on the left' or 'the largest' to take one of them")
    others = [c for c in found if all(c is not t for t in taken)]
    if others:
        notes.append(f"runners-up: {'; '.join(placed(c.mask) for c in others[:MOST_RIVALS])}")
    return Found(_whole(mask, lab, hue), round(confidence, 3), tuple(notes))


def weight(pixels: Pixels, name: str) -> Plane:
    """Return how much each pixel has a colour of `HUES`, 0..1, by itself."""
    return _weight(lab_of(pixels), _hue(pixels, name), name)


def _hue(pixels: Pixels, name: str) -> Plane:
    """Signed distance of each pixel's HSV hue from the middle of the colour's range, -180..180 degrees."""
    hsv = cv2.cvtColor(np.asarray(cv2.medianBlur(pixels, 3), np.float32) / 255, cv2.COLOR_RGB2HSV)
    return np.asarray((hsv[..., 0] - sum(HUES[name]) / 2 + 180) % 360 - 180, np.float32)


def _weight(lab: Plane, hue: Plane, name: str) -> Plane:
    """How much each pixel has the colour, 0..1."""
    half = (HUES[name][1] - HUES[name][0]) / 2
    off = np.abs(hue)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    weight = np.clip((half + SOFT_HUE - off) / SOFT_HUE, 0, 1) * np.clip((chroma - MIN_CHROMA + 4) / 8, 0, 1)
    weight *= np.clip((lab[..., 0] - 10) / 5, 0, 1)
    if name == "brown":
        weight = weight * np.clip((52 - lab[..., 0]) / 8, 0, 1)
    elif name == "orange":
        weight = weight * np.clip((lab[..., 0] - 34) / 8, 0, 1)
    sure = weight > 0.5
    if name not in ("brown",) and sure.any():
        strong = float(np.percentile(chroma[sure], 85))
        weight = weight * np.clip((chroma - 0.42 * strong) / (0.16 * strong), 0, 1)  # skin beside an orange suit
    return np.asarray(weight, np.float32)


def _even(part: Bools, weight: Plane, hue: Plane) -> Bools:
    """Cut off what only borders on the thing: a red saucer's own hue varies little, the reddish table's is another."""
    values = hue[part & (weight > 0.5)]
    if values.size == 0:
        return part
    middle = float(np.median(values))
    spread = float(np.median(np.abs(values - middle)))
    near = np.abs(hue - middle) < max(MIN_SPREAD, 3.0 * spread)
    kept = cv2.morphologyEx((part & near).astype(np.uint8), cv2.MORPH_OPEN, ellipse(max(1, max(part.shape) // 170)))
    return np.asarray(kept > 0, np.bool_)


def _candidates(weight: Plane, hue: Plane) -> list[Candidate]:
    side = max(weight.shape)
    mask = (weight > 0.5).astype(np.uint8)
    radius = max(1, round(side / 260))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, ellipse(radius))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, ellipse(max(1, radius // 2)))
    found = []
    even = [_even(part, weight, hue) for part in parts(np.asarray(mask > 0, np.bool_)) if part.mean() >= MIN_SHARE]
    for part in sorted((p for whole in even for p in parts(whole)), key=lambda p: -int(p.sum())):
        if part.mean() < MIN_SHARE:
            break
        found.append(candidate(part, float(weight[part].sum()) * (1 - 0.6 * min(1.0, 2 * frame_share(part)))))
    best = max((c.weight for c in found), default=0.0)
    things = [c for c in found if c.weight >= RIVAL * best]
    return _joined(things, [c for c in found if c.weight < RIVAL * best], hue)


def _joined(things: list[Candidate], pieces: list[Candidate], hue: Plane) -> list[Candidate]:
    """Give small pieces of the same hue to the thing beside them: a suit goes on behind a strap."""
    if not pieces:
        return things
    off = [cv2.distanceTransform((~thing.mask).astype(np.uint8), cv2.DIST_L2, 5) for thing in things]
    for piece in pieces:
        gaps = [float(distance[piece.mask].min()) for distance in off]
        nearest = int(np.argmin(gaps))
        thing = things[nearest]
        drift = abs(float(np.median(hue[piece.mask])) - float(np.median(hue[thing.mask])))
        if gaps[nearest] <= STRAP * max(hue.shape) and drift < MIN_SPREAD:
            things[nearest] = replace(thing, mask=thing.mask | piece.mask, weight=thing.weight + piece.weight)
    return things


def _tidied(pixels: Pixels, mask: Bools) -> Bools:
    """Let GrabCut move the outline by at most a sixtieth of the side, and close small holes such as shine."""
    band = max(2, round(max(mask.shape) / 60))
    solid = np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, ellipse(max(1, band // 3))) > 0)
    labels = np.full(mask.shape, BACK, np.uint8)
    labels[cv2.dilate(solid.astype(np.uint8), ellipse(band)) > 0] = MAYBE_BACK
    labels[solid] = MAYBE_FRONT
    depth = cv2.distanceTransform(np.pad(solid, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    for part in parts(solid):
        labels[part & (depth > min(band / 2, 0.5 * float(depth[part].max())))] = FRONT  # a thin part has a core too
    cut = grabcut(pixels, labels, 3)
    kept = [part for part in parts(cut) if (part & mask).any()]
    return np.any(kept, axis=0) if kept else solid


def _whole(mask: Bools, lab: Plane, hue: Plane) -> Bools:
    """Add what belongs to the thing though its colour faded: dark shade between its parts, and small coloured holes.

    The shadow of a spoon belongs to the saucer; the white inside of the cup and the spoon itself do not.
    """
    points = cv2.findNonZero(mask.astype(np.uint8))
    hull = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), cv2.convexHull(points), 1) > 0
    off = np.abs(hue - float(np.median(hue[mask])))
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    shade = hull & (lab[..., 0] < DARK) & (off < SHADE_HUE) & (chroma > SHADE_CHROMA)
    joined = cv2.morphologyEx((mask | shade).astype(np.uint8), cv2.MORPH_CLOSE, ellipse(max(1, max(mask.shape) // 170)))
    mask = np.any([part for part in parts(np.asarray(joined > 0, np.bool_)) if (part & mask).any()], axis=0)
    strong = float(np.median(chroma[mask]))
    for hole in parts(~mask):
        size = hole.sum() / mask.sum()
        coloured = float(np.median(chroma[hole])) > 0.5 * strong
        if frame_share(hole) == 0 and (size < SPECK or (size < 0.06 and coloured)):
            mask = mask | hole
    return mask


def _count(number: int, name: str) -> str:
    return f"one {name} region" if number == 1 else f"{number} {name} regions"
