"""What can be said of a picture without knowing what it shows: light, colour, sharpness, noise, lean, subject.

The words' thresholds lie between what the seven photographs of docs/photos measure and what copies of them measure that
were darkened, tinted, noised, blurred and flattened; a builder reads them to choose what to do.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.registry import tool
from lego.core.signature import Context
from lego.core.values import Image
from lego.tools.filter import noise_of
from lego.tools.finders import ocr
from lego.tools.finders import subject as subjects
from lego.tools.finders.regions import small_copy
from lego.tools.geometry import lean_of
from lego.tools.palette import name_of, nearest, palette
from lego.tools.pixels import Plane, to_lab

LOOK = 512  # px of the long side on which light and colour are measured
FOCUS = 1024  # px of the long side on which sharpness is: what is sharp there looks sharp on a screen
SUBJECT = 160  # px: finds the flower and the pagoda as at 320, in a fifth of the time
READ = 1280  # px: signs that can be read at a glance are found, in a quarter of the time of 12 megapixels
LONGEST = 200  # characters of words
NOISE_WINDOW = 2048  # px: noise is the same all over, and must not be scaled away

BRIGHTNESS = ((20, "very dark"), (33, "dark"), (62, "of medium brightness"), (80, "bright"), (101, "very bright"))
CONTRAST = ((20, "very flat"), (40, "low in contrast"), (75, ""), (101, "high in contrast"))
SATURATION = ((2, "without colour"), (9, "pale in colour"), (32, ""), (200, "vivid in colour"))
# sharp photographs have .37-.59, blurred by 1 px .15-.26; nothing at all is told of a picture without edges
SHARPNESS = ((0.01, ""), (0.14, "blurred"), (0.3, "a little soft"), (2, "sharp"))
NOISE = ((3, "clean"), (7, "a little noisy"), (256, "noisy"))  # of 255; the photographs have up to 2.6
BLACK, WHITE = 3, 252  # to 3 and from 252 nothing can be told apart
CLIPPED = 0.02  # share of black or white pixels that is worth a word
CAST = 4.0  # Lab units: astronaut and china, which look neutral, have 3.6 and 1.9
CASTS = ((25, "magenta"), (115, "warm"), (190, "green"), (305, "cool"), (361, "magenta"))  # degrees of hue in Lab
COLORS = 8  # clusters, before those of one name are joined
WORTH_NAMING = 0.06  # share of the picture from which a colour is named
LEVEL = 0.3  # degrees: less is not seen
RATIOS = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 10), (16, 9), (2, 1), (21, 9))


class Description(NamedTuple):
    """Facts of a picture, as words and numbers."""

    text: str
    width: int
    height: int
    brightness: float
    contrast: float
    black: float
    white: float
    cast: str
    cast_a: float
    cast_b: float
    saturation: float
    noise: float
    sharpness: float
    lean: float
    level: bool
    colors: str
    subject: str
    subject_confidence: float
    words: str


@tool(
    phrases=[
        "describe", "describe what can be measured", "analyze", "analyse", "measure", "inspect", "examine",
        "what is in numbers of picture", "what are facts of picture", "facts about picture", "picture facts",
        "image info", "picture info", "photo info", "image statistics", "statistics", "tell me about",
        "what can you say about", "how is exposure", "what colors does have", "what colours does have",
        "what is wrong with", "描述", "描述一下", "描述图片", "分析", "分析图片", "分析一下", "图片信息", "照片信息",
        "检查图片", "检查照片",
    ]
)  # fmt: skip
def describe(image: Image) -> Description:
    """Say in words and numbers how the picture is: light, contrast, colours, cast, sharpness, noise, lean, words.

    What it shows is not told: that needs a network. Words are read if the extra ``find`` is installed. Measured on
    small copies (noise in a window of 2048 px).

    Returns:
        text: all of it as sentences.
        width, height: in px.
        brightness: mean L, 0..100. contrast: from the 5th to the 95th percentile of L.
        black, white: shares of clipped pixels, 0..1.
        cast: "none", "warm", "cool", "green" or "magenta"; cast_a, cast_b: mean of Lab over the duller half of the
            pixels. A warm wall is no fault: whether it is one only a look can tell.
        saturation: mean Lab chroma.
        noise: standard deviation, of 255 (Donoho 1995).
        sharpness: what edges lose of their slope by a blur of 1 px at a long side of 1024 px, 0..1 (after Crete 2007).
        lean: degrees clockwise, 0 if unknown; level: whether the lines tell that it is level.
        colors: names with shares. subject: its box, "left,top,right,bottom" in thousandths, "" if none is sure.
        words: the lines of text in it, separated by " / "; at most 200 characters.
    """
    small = small_copy(image.pixels, LOOK)
    lab = to_lab(small)
    light = lab[..., 0]
    low, high = (float(v) for v in np.percentile(light, (5, 95)))
    a, b = _cast(lab)
    lean, sure = _lean(image.pixels)
    box, confidence = _subject(image.pixels)
    facts = Description(
        text="",
        width=image.size[0],
        height=image.size[1],
        brightness=round(float(light.mean()), 1),
        contrast=round(high - low, 1),
        black=_share(image.pixels, 0, BLACK),
        white=_share(image.pixels, WHITE, 255),
        cast=_word(CASTS, math.degrees(math.atan2(b, a)) % 360) if math.hypot(a, b) >= CAST else "none",
        cast_a=round(a, 1),
        cast_b=round(b, 1),
        saturation=round(float(cv2.magnitude(lab[..., 1], lab[..., 2]).mean()), 1),
        noise=round(_noise(image), 1),
        sharpness=round(_sharpness(image.pixels), 2),
        lean=round(lean, 1),
        level=sure and abs(lean) < LEVEL,
        colors=_colors(lab),
        subject=box,
        subject_confidence=confidence,
        words=_words(image),
    )
    return facts._replace(text=_told(facts, sure))


class Caption(NamedTuple):
    """What a picture shows, as a sentence in English."""

    caption: str


@tool(
    abstract=True,
    phrases=[
        "caption", "write caption for it", "what is in picture", "what does picture show", "what is shown",
        "what do you see", "描述画面内容", "图里有什么", "写一句说明",
    ],
)  # fmt: skip
def caption(image: Image, context: Context = Context()) -> Caption:  # noqa: B008  # frozen, so sharing it is safe
    """Say in an English sentence what the picture shows."""
    raise NotImplementedError


def _word(table: tuple[tuple[float, str], ...], value: float) -> str:
    return next(word for limit, word in table if value < limit)


def _share(pixels: Pixels, low: int, high: int) -> float:
    """Share of pixels with all channels from low to high."""
    inside = cv2.inRange(pixels, np.full(3, low, np.uint8), np.full(3, high, np.uint8))
    return round(float(np.mean(np.asarray(inside, np.uint8) > 0)), 3)


def _cast(lab: Plane) -> tuple[float, float]:
    """Mean a and b of the duller half: grey things are among it, and a colourful subject is not."""
    pixels = lab.reshape(-1, 3)
    seen = pixels[(pixels[:, 0] > 12) & (pixels[:, 0] < 97)]  # black and white have no colour to tell
    if len(seen) == 0:
        return 0.0, 0.0
    chroma = np.hypot(seen[:, 1], seen[:, 2])
    dull = seen[chroma <= np.median(chroma)]
    return float(dull[:, 1].mean()), float(dull[:, 2].mean())


def _noise(image: Image) -> float:
    width, height = image.size
    left, top = max(0, width - NOISE_WINDOW) // 2, max(0, height - NOISE_WINDOW) // 2
    return noise_of(Image(image.pixels[top : top + NOISE_WINDOW, left : left + NOISE_WINDOW]))


def _sharpness(pixels: Pixels) -> float:
    grey = cv2.cvtColor(small_copy(pixels, FOCUS), cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = _slope(grey)
    steepest = slope >= np.percentile(slope, 97)
    before = float(slope[steepest].mean())
    after = float(_slope(np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0)))[steepest].mean())
    return (before - after) / before if before > 1 else 0.0


def _slope(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _lean(pixels: Pixels) -> tuple[float, bool]:
    try:
        return lean_of(pixels)[0], True
    except RefusedError:
        return 0.0, False


def _colors(lab: Plane) -> str:
    """Names of the main colours with their shares; shades of one name count together."""
    few = palette(lab, COLORS)
    step = max(1, round(max(lab.shape) / 256))
    counts = np.bincount(nearest(lab[::step, ::step], few).ravel(), minlength=len(few))
    shares: dict[str, float] = {}
    for color, count in zip(few, counts, strict=True):
        name = name_of(color)
        shares[name] = shares.get(name, 0.0) + float(count) / float(counts.sum())
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share:.0%}" for n, (name, share) in enumerate(ranked) if n == 0 or share >= WORTH_NAMING)


def _subject(pixels: Pixels) -> tuple[str, float]:
    """Box in thousandths and confidence of the main subject; no box if it is not sure."""
    found = subjects.find(small_copy(pixels, SUBJECT))
    if found.confidence < subjects.GATE or not found.mask.any():
        return "", found.confidence
    rows, columns = np.flatnonzero(found.mask.any(1)), np.flatnonzero(found.mask.any(0))
    height, width = found.mask.shape
    ends = (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
    return ",".join(str(round(1000 * end)) for end in ends), found.confidence


def _words(image: Image) -> str:
    if not ocr.available():
        return ""
    lines = ocr.read(Image(small_copy(image.pixels, READ)))
    text = " / ".join(line.text for line in lines if line.certain)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _told(facts: Description, lean_known: bool) -> str:
    words = [
        f"{_word(BRIGHTNESS, facts.brightness)} (mean {facts.brightness:.0f} of 100)",
        _word(CONTRAST, facts.contrast),
        _word(SATURATION, facts.saturation),
        *([f"{facts.black:.0%} pure black"] if facts.black >= CLIPPED else []),
        *([f"{facts.white:.0%} pure white"] if facts.white >= CLIPPED else []),
        f"{facts.cast} in tone" if facts.cast != "none" else "neutral in tone",
        _word(SHARPNESS, facts.sharpness),
        f"{_word(NOISE, facts.noise)} (noise about {facts.noise:.0f} of 255)",
        _leaning(facts, lean_known),
    ]
    look = ", ".join(word for word in words if word)
    where = (
        f"the main subject fills {facts.subject} (thousandths)" if facts.subject else "no subject stands out for sure"
    )
    where += f"; it reads “{facts.words}”" if facts.words else ""
    size = f"{facts.width} x {facts.height} px ({_ratio(facts.width, facts.height)})"
    return f"{look[0].upper()}{look[1:]}. Mostly {facts.colors}. {size}; {where}."


def _leaning(facts: Description, known: bool) -> str:
    if not known:
        return ""  # no lines that tell
    way = "clockwise" if facts.lean > 0 else "counterclockwise"
    return "level" if facts.level else f"leans {abs(facts.lean):.1f} degrees {way}"


def _ratio(width: int, height: int) -> str:
    """The customary ratio within 1 %, or the ratio as a number."""
    long, short = max(width, height), min(width, height)
    near = next(((x, y) for x, y in RATIOS if abs(long / short * y / x - 1) < 0.01), None)
    if near is None:
        return f"{width / height:.2f}:1"
    return f"{near[0]}:{near[1]}" if width >= height else f"{near[1]}:{near[0]}"
