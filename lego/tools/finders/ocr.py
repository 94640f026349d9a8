"""Find words that stand in a picture: lines of text with their outline and how sure the reader is.

RapidOCR (PP-OCR: Du 2020 and later) reads them, with the models in its wheel; nothing is fetched. It comes with
the extra ``find``. On photographs right lines score .88 and more; a cup passes for an "8" at .90 and roof tiles for
"AAAAAA" at .81, so single characters and repeated ones count for nothing unless they are asked for by quoting them.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
from dataclasses import dataclass
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.errors import RefusedError
from lego.core.values import Image
from lego.tools.finders.regions import Found

Quad: TypeAlias = NDArray[np.float32]  # 4 x 2 px: top left, top right, bottom right, bottom left, as the line is read

GATE = 0.85
SURE_CHARACTER = 0.95  # of a single character that is asked for: the cup's "8" has .90
HINT = "pip install rapidocr onnxruntime (or the extra 'find'), or point at it: --box X0,Y0,X1,Y1 or --mask FILE"
LIST_FROM = 0.3  # lines below are noise, and nobody wants to hear of them
SMALLEST = 16  # px of the short side; nothing can be read on less
WIDER = 0.06  # of a line's height by which its quad is widened: the detector cuts off accents and tails
ALIKE = 0.8  # of the letters of a line must be those asked for, where the very words are not found: readers slip
NAMES = {"Det": "*_det_*.onnx", "Rec": "*_rec_*.onnx", "Cls": "*_cls_*.onnx"}
_lock = threading.Lock()  # the reader keeps state between its three networks


@dataclass(frozen=True)
class Line:
    """One line of text: what it says, where (on the full picture), how sure the reader is (0..1)."""

    text: str
    quad: Quad
    confidence: float
    letters: tuple[tuple[str, Quad], ...] = ()
    neighbours: tuple[bool, bool] = (False, False)  # is it part of a line that has letters before, after it?

    @property
    def height(self) -> float:
        """Height in px, across the direction of reading."""
        return float(np.linalg.norm(self.quad[3] - self.quad[0]) + np.linalg.norm(self.quad[2] - self.quad[1])) / 2

    @property
    def certain(self) -> bool:
        """Is it text beyond doubt, and not a pattern that looks like some?"""
        return self.confidence >= GATE and len(set(plain(self.text))) > 1


def available() -> bool:
    """Is the reader installed?"""
    return all(find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


@functools.lru_cache(maxsize=2)  # `segment` and the tool after it read the same picture
def read(image: Image) -> tuple[Line, ...]:
    """Return every line of text, from the top down, doubtful ones too.

    Takes .2-.8 s a photograph and 740 MB at its peak.

    Raises:
        RefusedError: the reader is not installed.
    """
    if not available():
        raise RefusedError(
            "text cannot be read: the reader is not installed", hint=HINT, code="no_reader", confidence=0.0
        )
    if min(image.size) < SMALLEST:
        return ()
    with _lock:
        found = _reader()(
            np.ascontiguousarray(image.pixels[..., ::-1]), return_word_box=True, return_single_char_box=True
        )
    if found.boxes is None or not found.txts:
        return ()
    letters = found.word_results or ((),) * len(found.txts)
    return tuple(
        Line(str(text), np.asarray(quad, np.float32), round(float(score), 3), _letters(each))
        for text, quad, score, each in zip(found.txts, found.boxes, found.scores, letters, strict=True)
    )


@functools.cache
def _reader() -> Any:
    """The reader, with the files of its own wheel named one by one, so that it has no reason to look elsewhere."""
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    import rapidocr

    folder = Path(str(rapidocr.__file__)).parent / "models"
    files = {name: next(iter(sorted(folder.glob(pattern))), None) for name, pattern in NAMES.items()}
    if None in files.values():
        raise RefusedError("text cannot be read: the reader's models are missing", hint=HINT, code="no_reader")
    paths = {f"{name}.model_path": str(path) for name, path in files.items()}
    return rapidocr.RapidOCR(params={"Global.log_level": "critical", "Global.text_score": LIST_FROM, **paths})


def _letters(found: Any) -> tuple[tuple[str, Quad], ...]:
    return tuple((str(text), np.asarray(quad, np.float32)) for text, _, quad in found)


def find(image: Image, words: str = "", choose: str = "") -> tuple[Found, tuple[Line, ...]]:
    """Return the lines (or only the words asked for) as a mask of the picture's size, and the lines themselves.

    Args:
        image: the picture.
        words: what the text says; case, spaces and punctuation do not count. "" for all text.
        choose: "left", "right", "top", "bottom", "center", "largest", "smallest", or a number and where it is
            counted from, such as "2 left" (the order of reading); "" for all.
    """
    lines = read(image)
    nothing = Found(np.zeros(image.pixels.shape[:2], np.bool_), 0.0, ("no text",))
    if not lines:
        return nothing, ()
    found = matching(lines, words) if words else tuple(line for line in lines if line.certain)
    found = chosen(found, choose, image.size)
    if not found:
        best = max(lines, key=lambda line: line.confidence)
        sure = 0.0 if words or choose else min(best.confidence, GATE - 0.01)
        said = ", ".join(f"'{line.text}'" for line in lines if line.certain)
        return Found(nothing.mask, round(sure, 3), (f"no such text, only {said or 'what is hardly text'}",)), ()
    said = ", ".join(f"'{line.text}'" for line in found[:5]) + (" and more" if len(found) > 5 else "")
    return Found(mask_of(found, image.size), min(line.confidence for line in found), (f"read {said}",)), found


def matching(lines: tuple[Line, ...], words: str) -> tuple[Line, ...]:
    """The lines that say the words, cut down to them; words may run over several lines."""
    wanted = plain(words)
    letters = [(c, n, quad) for n, line in enumerate(lines) if line.confidence >= GATE for c, quad in _spread(line)]
    joined = "".join(c for c, _, _ in letters)
    found: list[Line] = []
    at = joined.find(wanted) if wanted else -1
    while at >= 0:
        hit = letters[at : at + len(wanted)]
        numbers = dict.fromkeys(n for _, n, _ in hit)
        found += [cut(lines[number], [quad for _, n, quad in hit if n == number]) for number in numbers]
        at = joined.find(wanted, at + len(wanted))
    if len(wanted) == 1:
        return tuple(line for line in found if line.confidence >= SURE_CHARACTER)
    if found or not wanted:
        return tuple(found)
    near = [line for line in lines if line.certain and SequenceMatcher(None, wanted, plain(line.text)).ratio() >= ALIKE]
    return tuple(near)


def _spread(line: Line) -> list[tuple[str, Quad]]:
    """Every letter that counts, with its quad: the reader's own, else the line cut into equal parts."""
    own = [(c, quad) for text, quad in line.letters for c in plain(text)]
    if "".join(c for c, _ in own) == plain(line.text):
        return own
    share = 1 / max(1, len(line.text))
    return [
        (c, _part(line.quad, n * share, (n + 1) * share)) for n, letter in enumerate(line.text) for c in plain(letter)
    ]


def _part(quad: Quad, start: float, end: float) -> Quad:
    """What lies between two shares of a line's length."""
    top, base = quad[1] - quad[0], quad[2] - quad[3]
    return np.array(
        [quad[0] + start * top, quad[0] + end * top, quad[3] + end * base, quad[3] + start * base], np.float32
    )


def cut(line: Line, quads: list[Quad]) -> Line:
    """The part of a line that holds these letters, as far as the middle of the gaps beside them."""
    if len(quads) == len(_spread(line)):
        return line
    along = line.quad[1] - line.quad[0]
    length = float(along @ along) or 1.0
    places = sorted(
        (float(np.min((q - line.quad[0]) @ along)), float(np.max((q - line.quad[0]) @ along))) for q in quads
    )
    start, end = places[0][0] / length, places[-1][1] / length
    others = [(q - line.quad[0]) @ along / length for _, q in _spread(line)]
    before = [float(o.max()) for o in others if float(o.mean()) < start]
    after = [float(o.min()) for o in others if float(o.mean()) > end]
    low = (start + min(max(before), start)) / 2 if before else 0.0
    high = (end + max(min(after), end)) / 2 if after else 1.0
    part = _part(line.quad, low, high)
    inside = tuple(letter for letter in line.letters if any(letter[1] is q for q in quads))
    text = "".join(text for text, _ in inside) or line.text
    return Line(text, part, line.confidence, inside, (bool(before), bool(after)))


def chosen(lines: tuple[Line, ...], choose: str, size: tuple[int, int]) -> tuple[Line, ...]:
    """The lines in that half (or middle third) of the picture, the largest, the smallest, or one by its number."""
    if not choose or not lines:
        return lines
    number, _, side = choose.rpartition(" ")
    if number or side in ("largest", "smallest"):
        ordered = list(lines) if side not in ("bottom", "right") else list(reversed(lines))
        if side in ("largest", "smallest"):
            ordered.sort(key=lambda line: -line.height if side == "largest" else line.height)
        return tuple(ordered[int(number or 1) - 1 : int(number or 1)])
    x = {line.quad.tobytes(): float(line.quad[:, 0].mean()) / size[0] for line in lines}
    y = {line.quad.tobytes(): float(line.quad[:, 1].mean()) / size[1] for line in lines}
    where = {"left": (x, 0.0, 0.45), "right": (x, 0.55, 1.0), "top": (y, 0.0, 0.45), "bottom": (y, 0.55, 1.0)}
    axis, low, high = where.get(choose, (x, 0.33, 0.67))
    return tuple(line for line in lines if low <= axis[line.quad.tobytes()] <= high)


def mask_of(lines: tuple[Line, ...], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The union of the lines' quads, a little widened."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    for line in lines:
        cv2.fillPoly(canvas, [np.rint(widened(line.quad, WIDER * line.height + 1)).astype(np.int32)], (1,))
    return np.asarray(canvas > 0, np.bool_)


def widened(quad: Quad, by: float, along: float | None = None) -> Quad:
    """Move the four sides of a quad outwards by so many px; ``along`` for its two ends, ``by`` if left out."""
    across, down = quad[1] + quad[2] - quad[0] - quad[3], quad[2] + quad[3] - quad[0] - quad[1]
    across = across / (math.hypot(*across) or 1.0) * (by if along is None else along)
    down = down / (math.hypot(*down) or 1.0) * by
    return np.asarray(quad + np.array([-across - down, across - down, across + down, down - across]), np.float32)


def plain(text: str) -> str:
    """Letters and digits alone, without case."""
    return "".join(c for c in text.casefold() if c.isalnum())
