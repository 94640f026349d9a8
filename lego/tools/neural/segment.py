"""Engines of `segment` that know things by name.

What needs no network stays with the embedded finders: text, the sky, faces, subject and background. All engines find
candidates; which of them is meant (by colour, place, number) is decided alike.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lego.core.codec import Pixels
from lego.core.errors import RefusedError
from lego.core.networks import Network
from lego.core.signature import Target
from lego.core.values import Image, Mask
from lego.tools.finders import color, words
from lego.tools.finders.candidates import Candidate, candidate, chosen
from lego.tools.finders.regions import (
    BACK,
    FRONT,
    MAYBE_BACK,
    MAYBE_FRONT,
    Bools,
    full_size,
    grabcut,
    lab_of,
    parts,
    placed,
    small_copy,
)
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.neural.classes import COCO, class_of
from lego.tools.neural.faces import FaceNet
from lego.tools.neural.hair import HairNet
from lego.tools.neural.loading import load_pair
from lego.tools.pixels import Plane
from lego.tools.segment import segment

Find: TypeAlias = Callable[[Pixels, str], list[Candidate]]
EMBEDDED = ("all", "text", "sky", "face", "subject", "background")  # kinds that need no network
HINT = "point at it: --box X0,Y0,X1,Y1 or --mask FILE, or say what is really there"
SIDE = 640  # px of the long side on which candidates are cut out
COLORED = 0.05  # share of a thing that must have the colour that it is said to have: a red cup may be white inside
LOOSE = 0.08  # of a box's side: a thing that ends so far from it was cut out wrongly
GREYS = {"white": (70.0, 101.0), "black": (-1.0, 35.0), "grey": (25.0, 80.0)}  # Lab lightness of things without colour
GREY_NAMES = {"gray": "grey", "silver": "grey", "白": "white", "黑": "black", "灰": "grey", "银": "grey"}
DULL = 16.0  # Lab chroma below which a pixel has no colour of its own
SPECK = 0.002  # of the picture: smaller pieces of a class are noise
RIVAL = 0.3  # of the largest piece: smaller pieces of a class are not counted as things
SCORE, OVERLAP = 0.3, 0.45  # of a detection, and of two that are one thing, as in YOLOX's own demo
YOLOX_SIDE, STRIDES, GROUND = 416, (8, 16, 32), 114  # px of its square and of its cells, grey around the picture
CLIPSEG_GATE = 0.4  # of its likelihood; its authors take .3 to .5


def load_semantic(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of a semantic segmentation of transformers."""
    return load_pair(folder, device, precision, "AutoModelForSemanticSegmentation", "AutoImageProcessor")


def load_yolox(folder: Path, device: str, precision: str) -> Any:
    """Return the session of an exported YOLOX."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(next(folder.glob("*.onnx"))), providers=["CPUExecutionProvider"])


def load_clipseg(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of CLIPSeg."""
    return load_pair(folder, device, precision, "CLIPSegForImageSegmentation", "CLIPSegProcessor")


YOLOX = Network("yolox", load_yolox, CATALOGUE["yolox"].memory("float32"), working=100 << 20, shared=True)
DEEPLAB = Network("deeplab", load_semantic, CATALOGUE["deeplab"].memory("float32"), working=300 << 20, shared=True)
CLIPSEG = Network(
    "clipseg", load_clipseg, CATALOGUE["clipseg"].memory("float16", "float32"), working=700 << 20, shared=True
)


@segment.engine("yolox")
def _(image: Image, target: Target, *, net: Annotated[Any, YOLOX], faces: FaceNet = None, hair: HairNet = None) -> Mask:
    return named(image, target, lambda pixels, noun: detected(net, pixels, noun), faces, hair)


@segment.engine("deeplab", requires=("torch", "transformers"))
def _(
    image: Image, target: Target, *, net: Annotated[Any, DEEPLAB], faces: FaceNet = None, hair: HairNet = None
) -> Mask:
    return named(image, target, lambda pixels, noun: classified(net, pixels, noun), faces, hair)


@segment.engine("deeplab and yolox", requires=("torch", "transformers"))
def _(
    image: Image,
    target: Target,
    *,
    outlines: Annotated[Any, DEEPLAB],
    boxes: Annotated[Any, YOLOX],
    faces: FaceNet = None,
    hair: HairNet = None,
) -> Mask:
    def find(pixels: Pixels, noun: str) -> list[Candidate]:
        known = _number(outlines[0], noun) is not None
        return classified(outlines, pixels, noun) if known else detected(boxes, pixels, noun)

    return named(image, target, find, faces, hair)


@segment.engine("clipseg", requires=("torch", "transformers"))
def _(
    image: Image, target: Target, *, net: Annotated[Any, CLIPSEG], faces: FaceNet = None, hair: HairNet = None
) -> Mask:
    return named(image, target, lambda pixels, noun: described(net, pixels, noun), faces, hair)


def named(image: Image, target: str, find: Find, faces: Any = None, hair: Any = None) -> Mask:
    """Find what a target names, and of what was found the one that it means."""
    wanted = words.read(target)
    noun = words.noun_of(target)
    if wanted.kind in EMBEDDED or not noun or (wanted.kind == "hair" and hair is not None):
        return segment.function(image, target, faces=faces, hair=hair)
    small = small_copy(image.pixels, SIDE)
    found = [c for c in find(small, noun) if _colored(small, c.mask, wanted, target)]
    taken = chosen(found, wanted.choose) if found else []
    if not taken:
        seen = f"found only {len(found)}" if found else f"nothing that could be '{target}' was seen"
        raise RefusedError(f"'{target}' was not found; {seen}", hint=HINT, code="not_found", confidence=0.0)
    mask = np.any([c.mask for c in taken], axis=0)
    sure = round(sum(c.weight for c in taken) / len(taken), 3)
    notes = [f"found {len(taken)} x '{noun}', confidence {sure:.2f}"]
    if len(found) > 1 and not wanted.choose:
        notes.append("say 'on the left' or 'the largest' to take one of them")
    if others := [c for c in found if all(c is not t for t in taken)]:
        notes.append(f"others: {'; '.join(placed(c.mask) for c in others[:4])}")
    return Mask(full_size(mask, image.pixels), sure, tuple(notes))


def classified(net: Any, pixels: Pixels, noun: str) -> list[Candidate]:
    """Return the pieces of a class of a semantic segmentation; ``weight`` is its mean likelihood there.

    Args:
        net: model and processor.
        pixels: H x W x 3.

    Raises:
        RefusedError: the network does not know such a thing.
    """
    import torch
    from PIL import Image as Pillow

    model, processor = net
    number = _number(model, noun)
    if number is None:
        raise _unknown(noun, model.config.id2label.values())
    inputs = processor(Pillow.fromarray(pixels), return_tensors="pt").to(model.device, model.dtype)
    with torch.inference_mode():
        logits = model(**inputs).logits.float()
    height, width = pixels.shape[:2]
    large = torch.nn.functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
    share = large.softmax(1)[0, number].numpy(force=True)
    return _pieces(pixels, np.asarray(share), np.asarray(large[0].argmax(0).numpy(force=True) == number))


def described(net: Any, pixels: Pixels, noun: str) -> list[Candidate]:
    """Return what CLIPSeg (Lueddecke 2022) takes for the words; ``weight`` is its mean likelihood there."""
    import torch
    from PIL import Image as Pillow

    model, processor = net
    inputs = processor(text=[f"a photo of a {english(noun)}"], images=[Pillow.fromarray(pixels)], return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs.to(model.device)).logits
    height, width = pixels.shape[:2]
    share = logits.reshape(1, 1, *logits.shape[-2:]).float().sigmoid()
    large = torch.nn.functional.interpolate(share, (height, width), mode="bilinear", align_corners=False)
    found = np.asarray(large[0, 0].numpy(force=True))
    return _pieces(pixels, found, found > CLIPSEG_GATE)


def detected(net: Any, pixels: Pixels, noun: str) -> list[Candidate]:
    """Return what YOLOX (Ge 2021) takes for a class, cut out of its boxes; ``weight`` is its score.

    Args:
        net: the session.
        pixels: H x W x 3.

    Raises:
        RefusedError: it is none of COCO's classes.
    """
    name = class_of(noun)
    if not name:
        raise _unknown(noun, COCO)
    boxes, scores = _yolox(net, pixels, list(COCO).index(name))
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), SCORE, OVERLAP) if len(boxes) else []
    height, width = pixels.shape[:2]
    found, unclear = [], 0
    for number in np.asarray(kept, np.int64).flatten():
        x, y, wide, high = boxes[number]
        x0, y0 = max(0, round(x)), max(0, round(y))
        x1, y1 = min(width, round(x + wide)), min(height, round(y + high))
        if x1 > x0 and y1 > y0:
            cut = _cut_out(pixels, (x0, y0, x1, y1))
            unclear += cut is None
            found += [candidate(cut, float(scores[number]))] if cut is not None else []
    if unclear and not found:
        hint = "`lego models pull clipseg` knows outlines, or draw it: --mask FILE"
        raise RefusedError(f"'{noun}' was seen, but its outline is not clear", hint=hint, code="not_found")
    return found


def english(noun: str) -> str:
    """Return a noun as networks that read English want it.

    Raises:
        RefusedError: it is not English, and no class has that name.
    """
    name = noun if noun.isascii() else class_of(noun)
    if not name:
        hint = "say it in English, or point at it: --box X0,Y0,X1,Y1 or --mask FILE"
        raise RefusedError(f"this network reads English, and '{noun}' is not", hint=hint, code="not_found")
    return name


def _yolox(net: Any, pixels: Pixels, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """All boxes (left, top, width, height in pixels) and their scores for a class."""
    height, width = pixels.shape[:2]
    scale = min(YOLOX_SIDE / height, YOLOX_SIDE / width)
    inner = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_LINEAR)
    square = np.full((YOLOX_SIDE, YOLOX_SIDE, 3), GROUND, np.float32)
    square[: inner.shape[0], : inner.shape[1]] = inner[..., ::-1]
    (raw,) = net.run(None, {net.get_inputs()[0].name: square.transpose(2, 0, 1)[None]})
    cells = [
        (column, row, stride)
        for stride in STRIDES
        for row in range(YOLOX_SIDE // stride)
        for column in range(YOLOX_SIDE // stride)
    ]
    grid = np.asarray(cells, np.float32)
    found = raw[0]
    middle = (found[:, :2] + grid[:, :2]) * grid[:, 2:]
    size = np.exp(found[:, 2:4]) * grid[:, 2:]
    boxes = np.concatenate([middle - size / 2, size], 1) / scale
    return np.asarray(boxes, np.float32), np.asarray(found[:, 4] * found[:, 5 + number], np.float32)


def _cut_out(pixels: Pixels, box: tuple[int, int, int, int]) -> Bools | None:
    """The thing in a box: its middle surely, its edge perhaps, nothing beyond (GrabCut); None if it is not as large."""
    x0, y0, x1, y1 = box
    labels = np.full(pixels.shape[:2], BACK, np.uint8)
    labels[y0:y1, x0:x1] = MAYBE_BACK
    inset_x, inset_y = (x1 - x0) // 12, (y1 - y0) // 12
    labels[y0 + inset_y : y1 - inset_y, x0 + inset_x : x1 - inset_x] = MAYBE_FRONT
    center, axes = ((x0 + x1) // 2, (y0 + y1) // 2), (max(1, (x1 - x0) // 8), max(1, (y1 - y0) // 6))
    cv2.ellipse(labels, center, axes, 0, 0, 360, FRONT, -1)
    cut = grabcut(pixels, labels, 5)
    if not cut.any():
        return None
    rows, columns = np.nonzero(cut)
    gaps = (columns.min() - x0, x1 - 1 - columns.max(), rows.min() - y0, y1 - 1 - rows.max())
    sides = (x1 - x0, x1 - x0, y1 - y0, y1 - y0)
    return cut if all(gap <= LOOSE * side for gap, side in zip(gaps, sides, strict=True)) else None


def _pieces(pixels: Pixels, share: Plane, mask: Bools) -> list[Candidate]:
    """The connected pieces of a mask that count, their outlines moved to the picture's edges."""
    whole = [part for part in parts(mask) if part.mean() > SPECK]
    found = [part for part in whole if part.sum() > RIVAL * whole[0].sum()]
    return [candidate(_sharpened(pixels, part, share), float(share[part].mean())) for part in found]


def _sharpened(pixels: Pixels, part: Bools, share: Plane) -> Bools:
    """Networks see in cells of many pixels: within a cell of the outline GrabCut decides."""
    band = max(2, max(part.shape) // 60)
    labels = np.full(part.shape, BACK, np.uint8)
    solid = part.astype(np.uint8)
    around = np.ones((2 * band + 1, 2 * band + 1), np.uint8)
    labels[cv2.dilate(solid, around) > 0] = MAYBE_BACK
    labels[part] = MAYBE_FRONT
    labels[(cv2.erode(solid, around) > 0) & (share > 0.5)] = FRONT
    cut = grabcut(pixels, labels, 3)
    return cut if cut.sum() > 0.5 * part.sum() else part


def _colored(pixels: Pixels, mask: Bools, wanted: words.Wanted, target: str) -> bool:
    """Has a candidate the colour that it is said to have, if it is said to have one?"""
    if wanted.kind == "color":
        return bool(color.weight(pixels, wanted.color)[mask].mean() > COLORED)
    if wanted.kind != "grey":
        return True
    lab = lab_of(pixels)
    said = next(word for word in words.GREYS if word in target.lower())
    low, high = GREYS[GREY_NAMES.get(said, said)]
    dull = np.hypot(lab[..., 1], lab[..., 2]) < DULL
    return bool((dull & (lab[..., 0] > low) & (lab[..., 0] < high))[mask].mean() > COLORED)


def _number(model: Any, noun: str) -> int | None:
    """The number of a semantic segmentation's class that a noun stands for, whatever it calls it there."""
    labels = {name.replace(" ", ""): number for number, name in model.config.id2label.items()}
    name = class_of(noun)
    others = [name, *COCO[name].split()] if name else []
    return next((labels[one] for other in (noun, *others) if (one := other.replace(" ", "")) in labels), None)


def _unknown(noun: str, known: Any) -> RefusedError:
    names = ", ".join(sorted(str(name) for name in known if name != "background"))
    return RefusedError(f"'{noun}' is nothing that this network knows", hint=f"it knows {names}", code="not_found")
