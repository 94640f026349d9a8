"""From a trained nano checkpoint to one that plans without torch: ONNX graphs beside its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lego.builder import hints, light, local
from lego.builder.base import Request
from lego.builder.light import Facts, Light
from lego.core.codec import write_whole
from lego.core.errors import SettingsError
from lego.core.values import Image
from lego.rl.graphs import Weights, picture_graph, text_graph

CLOSE = 1e-3  # what the logits may differ by; float32 sums in another order differ by about 1e-6
TEXT_MARK = "the request"
UNLIKE = "this release of transformers may do it differently; say so to the project"
WANTED = {
    "model_type": "llava",
    "vision_config.model_type": "siglip_vision_model",
    "vision_config.hidden_act": "gelu_pytorch_tanh",
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
    "projector_hidden_act": "gelu",
    "text_config.model_type": "qwen2",
    "text_config.hidden_act": "silu",
    "text_config.rope_parameters.rope_type": "default",
    "text_config.use_sliding_window": False,
    "text_config.tie_word_embeddings": True,
    "tie_word_embeddings": True,
}  # of the configuration: what the graphs are written for


def export(folder: str | Path) -> Path:
    """Write the graphs of a checkpoint that `lego.rl.nano` built, so that it plans without torch; return the folder.

    The weights become float16 in ``model.safetensors``, which transformers reads as before; ``picture.onnx`` and
    ``text.onnx`` (under 50 kB) read them from there. Of the hints only those for planning stay. Both ways are compared
    on a picture before it returns, and nothing of the graphs is left behind where they differ.

    Raises:
        SettingsError: no checkpoint, one of another kind, or weights that float16 cannot hold (code "not_exportable").
        ImageError: the disk is full or may not be written to.
    """
    folder = Path(folder)
    for name in ("config.json", light.WEIGHTS, light.TOKENIZER):
        if not (folder / name).is_file():
            raise _refused(folder, f"the checkpoint has no {name}", "give the folder that a stage of training wrote")
    from transformers import AutoConfig, AutoProcessor

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    _check_kind(folder, config)
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    _forget(folder)
    _halve(folder / light.WEIGHTS)
    _shed(folder / hints.FILE)
    weights = Weights(folder / light.WEIGHTS)
    text = text_graph(config, weights)
    text.metadata_props.add(key=light.FACTS, value=_facts(folder, config, processor).model_dump_json())
    write_whole(folder / light.PICTURE, picture_graph(config, weights).SerializeToString())
    write_whole(folder / light.TEXT, text.SerializeToString())
    try:
        _compare(folder)
    except SettingsError:
        _forget(folder)
        raise
    return folder


def _forget(folder: Path) -> None:
    for name in (light.PICTURE, light.TEXT):
        (folder / name).unlink(missing_ok=True)


def _check_kind(folder: Path, config: Any) -> None:
    for path, wanted in WANTED.items():
        found: Any = config.to_dict()
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found != wanted:
            message = f"{path} is {found!r}; graphs are written only for {wanted!r}"
            raise _refused(folder, message, "larger checkpoints plan with torch; export is for `lego.rl.nano`")
    if config.text_config.num_key_value_heads != config.text_config.num_attention_heads:
        raise _refused(folder, "its heads share keys and values", "build it with as many of these as of heads")


def _halve(path: Path) -> None:
    """Make the weights float16, whole or not at all."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save

    try:
        weights = {name: weight.to(torch.float16) for name, weight in load_file(path).items()}
    except SafetensorError as error:
        raise _refused(
            path.parent, f"{path.name} cannot be read: {error}", "is it whole? train on, or copy it again"
        ) from None
    for name, weight in weights.items():
        if not bool(torch.isfinite(weight).all()):
            raise _refused(path.parent, f"float16 cannot hold {name}", "train with weight decay, or for less long")
    write_whole(path, save(weights, {"format": "pt"}))


def _shed(path: Path) -> None:
    """Leave out of the hints what only training needs."""
    if path.is_file():
        replace(hints.Hints.load(path), folds=()).save(path)


def _facts(folder: Path, config: Any, processor: Any) -> Facts:
    """What the light way has to know of the processor and of the chat template."""
    images, tokenizer = processor.image_processor, processor.tokenizer
    said = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": TEXT_MARK}]}]
    shown = processor.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    pictured = processor.image_token * config.image_seq_length
    before, _, after = shown.replace(processor.image_token, pictured).partition(TEXT_MARK)
    return Facts(
        side=images.size["height"], resample=int(images.resample), mean=tuple(images.image_mean),
        std=tuple(images.image_std), before=before, after=after, eos=(tokenizer.eos_token_id,),
        weights=light.header_digest(folder / light.WEIGHTS),
    )  # fmt: skip


def _compare(folder: Path) -> None:
    """Hold the graphs against transformers: the same tokens and pixels in, the same logits out, block after block."""
    picture = Image(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    request = Request(picture, "make the sky on the left warmer by 20%, then crop it to 4:5", ())
    ours, theirs = Light(folder), local.load(str(folder), "cpu")
    inputs = local.inputs_of(theirs, [request])
    if ours.ids(request) != inputs["input_ids"][0].tolist():
        raise _refused(folder, "tokenizer and chat template give other tokens than the graphs", UNLIKE)
    if not np.array_equal(ours.pixels(picture), inputs["pixel_values"].numpy()):
        raise _refused(folder, "the processor makes the picture ready in another way than the graphs", UNLIKE)
    one, other = ours.start(request), theirs.start(request)
    for block in ([], [7, 8, 9, 10], [11]):
        for session in (one, other) if block else ():
            session.feed([block])
        far = float(np.abs(one.logits - other.logits[0].numpy()).max())
        if not far < CLOSE:  # NaN is far as well
            raise _refused(folder, f"the graphs' logits differ by {far:.2g}", UNLIKE)


def _refused(folder: Path, message: str, hint: str) -> SettingsError:
    return SettingsError(message, where=str(folder), hint=hint, code="not_exportable")
