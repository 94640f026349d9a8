"""SAM (Kirillov 2023), which outlines whatever a box or a point marks: three forms of it, asked in one way."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from lego.core.codec import Pixels
from lego.core.errors import StepError
from lego.core.processors import has_torchvision, hide_broken_torchvision
from lego.tools.finders.regions import Bools
from lego.tools.neural.loading import load_net, load_pair, moved

STUBS = ("", ".ops", ".ops.boxes", ".transforms", ".transforms.functional")  # what segment_anything imports of it
MEAN, SPREAD = (np.array(of, np.float32) for of in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # ImageNet's
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
        with torch.inference_mode():
            out = self.net(**moved(inputs, self.net), multimask_output=box is None)
        found = self.processor.image_processor.post_process_masks(out.pred_masks.float().cpu(), *sizes)[0][0]
        return best(found.numpy(), out.iou_scores[0, 0].float().numpy(force=True))


class Sam2:
    """SAM 2 (Ravi 2024) as transformers has it; its own processor needs torchvision, and is not used."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def outline(self, pixels: Pixels, box: Box | None, point: tuple[float, float] | None) -> tuple[Bools, float]:
        """See `Sam`."""
        import torch

        height, width = pixels.shape[:2]
        size = self.net.config.prompt_encoder_config.image_size
        side = int(size[0] if isinstance(size, list | tuple) else size)
        square = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        seen = torch.from_numpy(((square - MEAN) / SPREAD).transpose(2, 0, 1)[None])
        stretch = torch.tensor([side / width, side / height] * 2)
        marks: dict[str, Any] = {"input_boxes": (torch.tensor(box) * stretch)[None, None]} if box else {}
        if point:
            marks["input_points"] = (torch.tensor(point) * stretch[:2])[None, None, None]
            marks["input_labels"] = torch.ones(1, 1, 1, dtype=torch.int64)
        with torch.inference_mode():
            out = self.net(**moved({"pixel_values": seen, **marks}, self.net), multimask_output=box is None)
        large = torch.nn.functional.interpolate(
            out.pred_masks[:, 0].float(), (height, width), mode="bilinear", align_corners=False
        )
        return best(large[0].numpy(force=True), out.iou_scores[0, 0].float().numpy(force=True))


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
        return best(found, scores)


def load_sam(folder: Path, device: str, precision: str) -> Sam:
    """Return SAM of a folder of transformers."""
    return Transformers(load_pair(folder, device, precision, "SamModel", "SamProcessor"))


def load_sam2(folder: Path, device: str, precision: str) -> Sam:
    """Return SAM 2 of a folder of transformers."""
    return Sam2(load_net(folder, device, precision, "Sam2Model"))


def load_segment_anything(folder: Path, device: str, precision: str) -> Sam:
    """Return SAM of a checkpoint of its authors, of whatever size: its shapes say how it is built."""
    hide_broken_torchvision()
    import torch

    weights = torch.load(next(folder.glob("*.pth")), map_location="cpu", weights_only=True)
    net = _built(weights)
    net.load_state_dict(weights)
    return SegmentAnything(net.eval().to(device))


def best(masks: NDArray[Any], scores: NDArray[Any]) -> tuple[Bools, float]:
    best = int(np.argmax(scores))
    return np.asarray(masks[best] > 0, np.bool_), float(scores[best])


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
