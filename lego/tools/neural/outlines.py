"""Outlines of whatever a box or a point marks: SAM (Kirillov 2023), from transformers or as its authors wrote it.

Engines of `segment_box`, `segment_point` and `mask_refine`; and of `segment`, where a detector that reads words finds
the boxes first.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from lego.core.codec import Pixels
from lego.core.errors import StepError
from lego.core.models import Network, has_torchvision, hide_broken_torchvision
from lego.core.signature import Target
from lego.core.values import Image, Mask
from lego.tools.finders.candidates import Candidate, candidate
from lego.tools.finders.regions import Bools, full_size, small_copy
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.neural.faces import YUNET
from lego.tools.neural.loading import load_pair
from lego.tools.neural.segment import english, named
from lego.tools.pixels import must_fit
from lego.tools.segment import Refine, Thousandth, mask_refine, segment, segment_box, segment_point

SIDE = 1024  # px that SAM sees anyway
WORDS_GATE = 0.3  # of a detection by Grounding DINO; its authors take .25 to .35
OWL_GATE = 0.2  # of a detection by OWLv2, whose scores are lower
STUBS = ("", ".ops", ".ops.boxes", ".transforms", ".transforms.functional")  # what segment_anything imports of it
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels


class Sam(Protocol):
    """A network that outlines what is marked."""

    def outline(self, pixels: Pixels, box: Box | None, point: tuple[float, float] | None) -> tuple[Bools, float]:
        """Return the likeliest mask of what a box or a point marks, and how good it holds it to be, 0..1."""
        ...


class Transformers:
    """SAM as transformers has it."""

    def __init__(self, pair: tuple[Any, Any]) -> None:
        self.net, self.processor = pair

    def outline(self, pixels: Pixels, box: Box | None, point: tuple[float, float] | None) -> tuple[Bools, float]:
        """See `Sam`."""
        import torch

        marks: dict[str, Any] = {"input_boxes": [[list(box)]]} if box else {"input_points": [[list(point or ())]]}
        inputs = self.processor(Pillow.fromarray(pixels), return_tensors="pt", **marks)
        sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
        inputs = {
            k: v.to(self.net.device, self.net.dtype if v.is_floating_point() else None) for k, v in inputs.items()
        }
        with torch.inference_mode():
            out = self.net(**inputs, multimask_output=box is None)
        found = self.processor.image_processor.post_process_masks(out.pred_masks.float().cpu(), *sizes)[0][0]
        return _best(found.numpy(), out.iou_scores[0, 0].float().numpy(force=True))


class SegmentAnything:
    """SAM as its authors wrote it, in the package segment-anything."""

    def __init__(self, net: Any) -> None:
        with _stubbed():
            from segment_anything import SamPredictor

        self.net, self.predictor = net, SamPredictor

    def outline(self, pixels: Pixels, box: Box | None, point: tuple[float, float] | None) -> tuple[Bools, float]:
        """See `Sam`."""
        predictor = self.predictor(self.net)
        predictor.set_image(np.array(pixels))
        marks: dict[str, Any] = {"box": np.array(box)} if box else {}
        if point:
            marks = {"point_coords": np.array([point]), "point_labels": np.ones(1, np.int64)}
        found, scores, _ = predictor.predict(**marks, multimask_output=box is None)
        return _best(found, scores)


def load_sam(folder: Path, device: str, precision: str) -> Sam:
    """Return SAM of a folder of transformers."""
    return Transformers(load_pair(folder, device, precision, "SamModel", "SamProcessor"))


def load_segment_anything(folder: Path, device: str, precision: str) -> Sam:
    """Return SAM of a checkpoint of its authors, of whatever size: its shapes say how it is built."""
    hide_broken_torchvision()
    import torch

    weights = torch.load(next(folder.glob("*.pth")), map_location="cpu", weights_only=True)
    net = _built(weights)
    net.load_state_dict(weights)
    return SegmentAnything(net.eval().to(device))


def load_dino(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of Grounding DINO."""
    return load_pair(folder, device, precision, "GroundingDinoForObjectDetection", "GroundingDinoProcessor")


def load_owl(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of OWLv2."""
    return load_pair(folder, device, precision, "Owlv2ForObjectDetection", "Owlv2Processor")


def _network(name: str, load: Any, working: int, *precisions: str) -> Network:
    return Network(name, load, CATALOGUE[name].memory(*precisions), working << 20, shared=True)


SAM = _network("sam", load_sam, 2500, "float32")
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


@segment_box.engine("segment-anything", requires=("torch", "segment_anything"))
def _(
    image: Image, left: Thousandth = 0, top: Thousandth = 0, right: Thousandth = 1000, bottom: Thousandth = 1000,
    refine: Refine = True, *, net: Annotated[Any, OFFICIAL],
) -> Mask:  # fmt: skip
    return _in_box(net, image, left, top, right, bottom, refine)


@segment_box.engine("sam", requires=NEEDED)
def _(
    image: Image, left: Thousandth = 0, top: Thousandth = 0, right: Thousandth = 1000, bottom: Thousandth = 1000,
    refine: Refine = True, *, net: Annotated[Any, SAM],
) -> Mask:  # fmt: skip
    return _in_box(net, image, left, top, right, bottom, refine)


@segment_point.engine("segment-anything", requires=("torch", "segment_anything"))
def _(image: Image, x: Thousandth, y: Thousandth, *, net: Annotated[Any, OFFICIAL]) -> Mask:
    return _outlined(net, image, None, (x * image.size[0] / 1000, y * image.size[1] / 1000))


@segment_point.engine("sam", requires=NEEDED)
def _(image: Image, x: Thousandth, y: Thousandth, *, net: Annotated[Any, SAM]) -> Mask:
    return _outlined(net, image, None, (x * image.size[0] / 1000, y * image.size[1] / 1000))


@mask_refine.engine("segment-anything", requires=("torch", "segment_anything"))
def _(image: Image, mask: Mask, *, net: Annotated[Any, OFFICIAL]) -> Mask:
    return _refined(net, image, mask)


@mask_refine.engine("sam", requires=NEEDED)
def _(image: Image, mask: Mask, *, net: Annotated[Any, SAM]) -> Mask:
    return _refined(net, image, mask)


@segment.engine("owlv2 and sam", requires=(*NEEDED, "scipy"))
def _(
    image: Image,
    target: Target,
    *,
    boxes: Annotated[Any, OWL],
    net: Annotated[Any, SAM],
    faces: Annotated[Any, YUNET] = None,
) -> Mask:  # fmt: skip
    return named(image, target, lambda pixels, noun: _cut_out(net, pixels, owl_boxes(boxes, pixels, noun)), faces)


@segment.engine("grounding-dino and sam", requires=NEEDED)
def _(
    image: Image,
    target: Target,
    *,
    boxes: Annotated[Any, DINO],
    net: Annotated[Any, SAM],
    faces: Annotated[Any, YUNET] = None,
) -> Mask:  # fmt: skip
    return named(image, target, lambda pixels, noun: _cut_out(net, pixels, dino_boxes(boxes, pixels, noun)), faces)


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


def _best(masks: NDArray[Any], scores: NDArray[Any]) -> tuple[Bools, float]:
    best = int(np.argmax(scores))
    return np.asarray(masks[best] > 0, np.bool_), float(scores[best])


def _scaled(numbers: Any, scale: float) -> Any:
    return tuple(number * scale for number in numbers) if numbers else None


def _built(weights: dict[str, Any]) -> Any:
    """An untrained SAM of the shapes of some weights."""
    import torch

    with _stubbed():
        from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    try:
        _, grid, _, wide = weights["image_encoder.pos_embed"].shape
        patch = weights["image_encoder.patch_embed.proj.weight"].shape[-1]
        blocks = len({name.split(".")[2] for name in weights if name.startswith("image_encoder.blocks.")})
        windows = [(weights[f"image_encoder.blocks.{n}.attn.rel_pos_h"].shape[0] + 1) // 2 for n in range(blocks)]
        head = weights["image_encoder.blocks.0.attn.rel_pos_h"].shape[1]
        out = weights["image_encoder.neck.0.weight"].shape[0]
        inner = weights["image_encoder.blocks.0.mlp.lin1.weight"].shape[0]
        mixed = weights["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0]
        depth = len({n.split(".")[3] for n in weights if n.startswith("mask_decoder.transformer.layers.")})
        narrow = weights["mask_decoder.transformer.layers.0.cross_attn_token_to_image.q_proj.weight"].shape[0]
        hidden = weights["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0]
        masks = weights["prompt_encoder.mask_downscaling.3.weight"].shape[0]
    except (KeyError, ValueError) as error:
        hint = "give a sam_vit_b, sam_vit_l or sam_vit_h checkpoint"
        raise StepError(f"this is no checkpoint of SAM: {error}", hint=hint, code="bad_weights") from None
    local = [n for n, window in enumerate(windows) if window < grid]
    heads = 8  # of the decoder in every published size, the only number that no shape tells
    return Sam(
        image_encoder=ImageEncoderViT(
            depth=blocks, embed_dim=wide, img_size=grid * patch, mlp_ratio=inner / wide, patch_size=patch,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), num_heads=wide // head, qkv_bias=True, use_rel_pos=True,
            global_attn_indexes=[n for n in range(blocks) if n not in local],
            window_size=windows[local[0]] if local else 0, out_chans=out,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=out, image_embedding_size=(grid, grid), input_image_size=(grid * patch,) * 2,
            mask_in_chans=masks,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3, transformer_dim=out, iou_head_depth=3, iou_head_hidden_dim=hidden,
            transformer=TwoWayTransformer(
                depth=depth, embedding_dim=out, mlp_dim=mixed, num_heads=heads, attention_downsample_rate=out // narrow
            ),
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )  # fmt: skip


@contextlib.contextmanager
def _stubbed() -> Iterator[None]:
    """Let segment_anything be imported where torchvision cannot be: it needs two trifles of it, given here."""
    if has_torchvision():
        yield
        return
    before = {name: sys.modules.get(f"torchvision{name}") for name in STUBS}
    stubs = {name: types.ModuleType(f"torchvision{name}") for name in STUBS}
    stubs[".ops.boxes"].batched_nms = stubs[".ops.boxes"].box_area = None  # type: ignore[attr-defined]  # not used here
    functional = stubs[".transforms.functional"]
    functional.to_pil_image = Pillow.fromarray  # type: ignore[attr-defined]
    functional.resize = lambda picture, size: picture.resize(size[::-1], Pillow.Resampling.BILINEAR)  # type: ignore[attr-defined]
    for name, stub in stubs.items():
        sys.modules[f"torchvision{name}"] = stub
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(f"torchvision{name}", None)
            else:
                sys.modules[f"torchvision{name}"] = module
