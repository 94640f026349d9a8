"""Diffusion pipelines of the real classes at toy size, built from a config with random weights and saved."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

CLIP: dict[str, Any] = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 64}
IMAGE_ENDS: dict[str, Any] = {"block_out_channels": (8, 16, 16, 16), "latent_channels": 4, "norm_num_groups": 4}


def _diffusers() -> Any:  # which has no types
    return importlib.import_module("diffusers")


def tokenizer(length: int = 77) -> Any:
    """CLIP's tokenizer over single bytes."""
    from transformers import CLIPTokenizer

    letters = [chr(n) for n in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={t: n for n, t in enumerate(words)}, merges=[], model_max_length=length)


def _clip(projected: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    size = tokenizer().vocab_size
    ends = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1, "projection_dim": 32}
    config = CLIPTextConfig(**CLIP, **ends, vocab_size=size, max_position_embeddings=77)
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _vae(**more: Any) -> Any:
    ends = IMAGE_ENDS | more
    blocks = len(ends["block_out_channels"])
    return _diffusers().AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks, up_block_types=("UpDecoderBlock2D",) * blocks, **ends
    )


def _unet(channels: int, **more: Any) -> Any:
    return _diffusers().UNet2DConditionModel(
        sample_size=64, in_channels=channels, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4, **({"cross_attention_dim": 32} | more),
    )  # fmt: skip


def _scheduler() -> Any:
    return _diffusers().DDIMScheduler(steps_offset=1, clip_sample=False)


def sd(name: str, channels: int) -> Any:
    """A pipeline of Stable Diffusion 1.5's parts, of the class of that name."""
    return getattr(_diffusers(), name)(
        vae=_vae(), text_encoder=_clip(), tokenizer=tokenizer(), unet=_unet(channels), scheduler=_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def sdxl() -> Any:
    """Stable Diffusion XL for painting into masks."""
    unet = _unet(
        9, cross_attention_dim=64, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=80, transformer_layers_per_block=1,
    )  # fmt: skip
    return _diffusers().StableDiffusionXLInpaintPipeline(
        vae=_vae(), text_encoder=_clip(), text_encoder_2=_clip(projected=True), tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), unet=unet, scheduler=_scheduler(),
    )  # fmt: skip


def _t5() -> tuple[Any, Any]:
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -2.0), ("▁", -2.0), *((chr(n), -3.0) for n in range(33, 127))]
    text = T5Config(
        d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=2, vocab_size=len(pieces), feed_forward_proj="gated-gelu"
    )
    return T5EncoderModel(text), T5TokenizerFast(vocab=pieces, extra_ids=0)


def sd3(channels: int = 16) -> Any:
    """Stable Diffusion 3 for painting into masks; with 33 channels it sees what is around them."""
    transformer = _diffusers().SD3Transformer2DModel(
        sample_size=64, patch_size=2, in_channels=channels, out_channels=16, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=32, caption_projection_dim=32, pooled_projection_dim=64,
        pos_embed_max_size=64,
    )  # fmt: skip
    encoder, words = _t5()
    return _diffusers().StableDiffusion3InpaintPipeline(
        transformer=transformer, scheduler=_diffusers().FlowMatchEulerDiscreteScheduler(),
        vae=_vae(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1,
                 scaling_factor=0.4),
        text_encoder=_clip(projected=True), tokenizer=tokenizer(), text_encoder_2=_clip(projected=True),
        tokenizer_2=tokenizer(), text_encoder_3=encoder, tokenizer_3=words,
    )  # fmt: skip


def flux(name: str, channels: int) -> Any:
    """A pipeline of FLUX's parts, of the class of that name."""
    encoder, words = _t5()
    transformer = _diffusers().FluxTransformer2DModel(
        in_channels=channels, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )  # fmt: skip
    return getattr(_diffusers(), name)(
        scheduler=_diffusers().FlowMatchEulerDiscreteScheduler(),
        vae=_vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, scaling_factor=0.4),
        text_encoder=_clip(), tokenizer=tokenizer(), text_encoder_2=encoder, tokenizer_2=words,
        transformer=transformer,
    )  # fmt: skip


def qwen(name: str) -> Any:
    """A pipeline of Qwen-Image's parts, of the class of that name; those that edit have a processor too."""
    from tests.builder.models import qwen as vision_language

    model, processor = vision_language("qwen2_5_vl")
    vae = _diffusers().AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, num_res_blocks=1, latents_mean=[0.0] * 4, latents_std=[1.0] * 4
    )
    transformer = _diffusers().QwenImageTransformer2DModel(
        in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    looks = {"processor": processor} if "Edit" in name else {}
    return getattr(_diffusers(), name)(
        scheduler=_diffusers().FlowMatchEulerDiscreteScheduler(), vae=vae, text_encoder=model,
        tokenizer=processor.tokenizer, transformer=transformer, **looks,
    )  # fmt: skip


BUILT: dict[str, Any] = {
    "sd-inpaint": lambda: sd("StableDiffusionInpaintPipeline", 9),
    "sdxl-inpaint": sdxl,
    "flux-fill": lambda: flux("FluxFillPipeline", 288),
    "instruct-pix2pix": lambda: sd("StableDiffusionInstructPix2PixPipeline", 8),
    "qwen-image": lambda: qwen("QwenImageInpaintPipeline"),
    "qwen-image-edit": lambda: qwen("QwenImageEditPlusPipeline"),
    "flux-kontext": lambda: flux("FluxKontextPipeline", 16),
}

MORE: dict[str, Any] = {  # that only the school knows: no engine of the catalogue has them
    "sd3": sd3,
    "sd3-channels": lambda: sd3(33),
    "sd3-text": lambda: _diffusers().StableDiffusion3Pipeline(**sd3().components),
    "qwen-image-edit-one": lambda: qwen("QwenImageEditPipeline"),
}


def save(name: str, folder: Path) -> Path:
    """Build the toy that stands under a name of the catalogue, and save it as the hub would keep it."""
    import torch

    torch.manual_seed(0)
    (BUILT | MORE)[name]().save_pretrained(folder / name, safe_serialization=True)
    index = folder / name / "model_index.json"
    facts = json.loads(index.read_text())
    if "processor" in facts:  # ours stands in for this one, where there is no torchvision
        index.write_text(json.dumps(facts | {"processor": ["transformers", "Qwen2VLProcessor"]}))
    return folder / name
