"""Outlines of whatever a box or a point marks, by SAM in any of its forms.

Engines of `segment_box`, `segment_point` and `mask_refine`; and of `segment`, where a detector that reads words finds
the boxes first. The last in the order here whose weights are there, and fit, is used.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from PIL import Image as Pillow

from lego.core.codec import Pixels
from lego.core.networks import Network
from lego.core.signature import Coordinate, Target
from lego.core.values import Image, Mask
from lego.tools.finders.candidates import Candidate, candidate
from lego.tools.finders.regions import full_size, small_copy
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.neural.faces import FaceNet
from lego.tools.neural.hair import HairNet
from lego.tools.neural.loading import load_pair
from lego.tools.neural.sam import Box, Sam, load_sam, load_sam2, load_segment_anything
from lego.tools.neural.segment import english, named
from lego.tools.pixels import must_fit
from lego.tools.segment import Refine, mask_refine, segment, segment_box, segment_point

SIDE = 1024  # px that SAM sees anyway
WORDS_GATE = 0.3  # of a detection by Grounding DINO; its authors take .25 to .35
OWL_GATE = 0.2  # of a detection by OWLv2, whose scores are lower
Detect: TypeAlias = Callable[[Any, Pixels, str], list[tuple[Box, float]]]


def load_dino(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of Grounding DINO."""
    return load_pair(folder, device, precision, "GroundingDinoForObjectDetection", "GroundingDinoProcessor")


def load_owl(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of OWLv2."""
    return load_pair(folder, device, precision, "Owlv2ForObjectDetection", "Owlv2Processor")


def _network(name: str, load: Any, working: int, *precisions: str) -> Network:
    return Network(name, load, CATALOGUE[name].memory(*precisions), working << 20, shared=True)


SAM = _network("sam", load_sam, 2500, "float32")
SAM2 = _network("sam2", load_sam2, 1500, "float32")
OFFICIAL = _network("segment-anything", load_segment_anything, 2500, "float32")
DINO = _network("grounding-dino", load_dino, 2000, "float32")
OWL = _network("owlv2", load_owl, 2500, "float32")
NEEDED = ("torch", "transformers")


def _in_box(net: Sam, image: Image, left: int, top: int, right: int, bottom: int, refine: bool) -> Mask:
    if not refine or right <= left or bottom <= top:
        return segment_box.function(image, left, top, right, bottom, refine)
    width, height = image.size
    box = (left * width / 1000, top * height / 1000, right * width / 1000, bottom * height / 1000)
    return _outlined(net, image, box, None)


def _refined(net: Sam, image: Image, mask: Mask) -> Mask:
    must_fit(image, mask)
    if mask.box is None or mask.share > 0.98:
        return Mask(mask.pixels, mask.confidence)
    return _outlined(net, image, mask.box, None)


def _outlined(net: Sam, image: Image, box: Box | None, point: tuple[float, float] | None) -> Mask:
    """The mask of what is marked, in pixels of the picture, at its size."""
    small = small_copy(image.pixels, SIDE)
    scale = small.shape[1] / image.size[0]
    found, score = net.outline(small, _scaled(box, scale), _scaled(point, scale))
    return Mask(full_size(found, image.pixels), round(min(1.0, max(0.0, score)), 3))


def _outlines(network: Network, *needed: str) -> None:
    @segment_box.engine(network.name, requires=needed)
    def _(
        image: Image, left: Coordinate = 0, top: Coordinate = 0, right: Coordinate = 1000, bottom: Coordinate = 1000,
        refine: Refine = True, *, net: Annotated[Any, network],
    ) -> Mask:  # fmt: skip
        return _in_box(net, image, left, top, right, bottom, refine)

    @segment_point.engine(network.name, requires=needed)
    def _(image: Image, x: Coordinate, y: Coordinate, *, net: Annotated[Any, network]) -> Mask:
        return _outlined(net, image, None, (x * image.size[0] / 1000, y * image.size[1] / 1000))

    @mask_refine.engine(network.name, requires=needed)
    def _(image: Image, mask: Mask, *, net: Annotated[Any, network]) -> Mask:
        return _refined(net, image, mask)


def _finds(detector: Network, network: Network, seen: Detect, *needed: str) -> None:
    @segment.engine(f"{detector.name} and {network.name}", requires=needed)
    def _(
        image: Image, target: Target, *, boxes: Annotated[Any, detector], net: Annotated[Any, network],
        faces: FaceNet = None,
        hair: HairNet = None,
    ) -> Mask:  # fmt: skip
        return named(image, target, lambda pixels, noun: _cut_out(net, pixels, seen(boxes, pixels, noun)), faces, hair)


def dino_boxes(pair: tuple[Any, Any], pixels: Pixels, noun: str) -> list[tuple[Box, float]]:
    """Return the boxes that Grounding DINO (Liu 2023) sees for a noun, with their scores.

    Args:
        pair: model and processor.
        pixels: H x W x 3.
    """
    import torch

    net, processor = pair
    inputs = processor(images=Pillow.fromarray(pixels), text=[[f"a {english(noun)}"]], return_tensors="pt").to(
        net.device
    )
    with torch.inference_mode():
        out = net(**inputs)
    (found,) = processor.post_process_grounded_object_detection(
        out, inputs.input_ids, threshold=WORDS_GATE, text_threshold=WORDS_GATE, target_sizes=[pixels.shape[:2]]
    )
    return _clipped(found, pixels)


def owl_boxes(pair: tuple[Any, Any], pixels: Pixels, noun: str) -> list[tuple[Box, float]]:
    """Return the boxes that OWLv2 (Minderer 2023) sees for a noun, with their scores; arguments as `dino_boxes`."""
    import torch

    net, processor = pair
    inputs = processor(images=Pillow.fromarray(pixels), text=[[f"a photo of a {english(noun)}"]], return_tensors="pt")
    with torch.inference_mode():
        out = net(**inputs.to(net.device))
    (found,) = processor.post_process_grounded_object_detection(
        out, threshold=OWL_GATE, target_sizes=[pixels.shape[:2]], text_labels=[[noun]]
    )
    return _clipped(found, pixels)


def _clipped(found: Any, pixels: Pixels) -> list[tuple[Box, float]]:
    """Boxes cut at the picture's border, without those that lie outside, the surest first."""
    height, width = pixels.shape[:2]
    boxes = found["boxes"].float().numpy(force=True).clip(0, [width, height, width, height])
    scores = found["scores"].float().numpy(force=True)
    kept = [n for n in np.argsort(-scores) if boxes[n, 2] > boxes[n, 0] + 1 and boxes[n, 3] > boxes[n, 1] + 1]
    return [((*map(float, boxes[n]),), float(scores[n])) for n in kept]  # type: ignore[misc]  # four of them


def _cut_out(net: Sam, pixels: Pixels, boxes: Sequence[tuple[Box, float]]) -> list[Candidate]:
    """What is in boxes, each thing once."""
    found: list[Candidate] = []
    for box, score in boxes:
        mask, quality = net.outline(pixels, box, None)
        again = any((mask & other.mask).sum() > 0.7 * min(mask.sum(), other.mask.sum()) for other in found)
        if mask.any() and not again:
            found.append(candidate(mask, score * quality))
    return found


def _scaled(numbers: Any, scale: float) -> Any:
    return tuple(number * scale for number in numbers) if numbers else None


_outlines(OFFICIAL, "torch", "segment_anything")
_outlines(SAM, *NEEDED)
_outlines(SAM2, *NEEDED)
for _sam in (SAM, SAM2):
    _finds(OWL, _sam, owl_boxes, *NEEDED, "scipy")
for _sam in (SAM, SAM2):
    _finds(DINO, _sam, dino_boxes, *NEEDED)
