"""Tiny vision-language models with random weights, saved as folders: the real classes, tokenizers made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lego.core.processors import picture_processor
from lego.core.registry import registry

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
KINDS = ("llava", "qwen2_5_vl", "qwen3_vl")


def tokenizer(vocabulary: int = 600) -> Any:
    """A byte-level BPE over the tools' cards."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator([tool.line_of_prompt for tool in registry], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left",
        additional_special_tokens=[*SPECIAL[1:2], *SPECIAL[3:]],
    )  # fmt: skip


def build(kind: str, folder: Path, seed: int = 0, wide: int = 32) -> Path:
    """Save a model of a kind of `KINDS` and its processor into a folder; return the folder."""
    import torch

    torch.manual_seed(seed)
    words = tokenizer()
    model, processor = (_llava if kind == "llava" else _qwen)(kind, words, wide)
    model.generation_config.eos_token_id = words.eos_token_id
    model.generation_config.pad_token_id = words.pad_token_id
    with torch.no_grad():
        for weight in model.parameters():  # larger than the usual start, so that the likeliest token is clear
            if weight.dim() > 1:
                weight.mul_(3)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _text(words: Any, wide: int) -> dict[str, Any]:
    return {
        "vocab_size": len(words) + 7, "hidden_size": wide, "intermediate_size": 2 * wide, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
    }  # fmt: skip


def _llava(kind: str, words: Any, wide: int) -> tuple[Any, Any]:
    from transformers import (
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=16,
        vision_use_head=False,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=Qwen2Config(**_text(words, wide)), tie_word_embeddings=True,
        image_token_id=words.convert_tokens_to_ids("<image>"), image_seq_length=16,
        vision_feature_layer=-1, vision_feature_select_strategy="full",
    )  # fmt: skip
    processor = LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size={"height": 64, "width": 64}), tokenizer=words, patch_size=16,
        vision_feature_select_strategy="full", num_additional_image_tokens=0, image_token="<image>",
        chat_template=TEMPLATE.replace("IMAGE", "<image>"),
    )  # fmt: skip
    return LlavaForConditionalGeneration(config), processor


def qwen(kind: str) -> tuple[Any, Any]:
    """Return a Qwen-VL and its processor."""
    return _qwen(kind, tokenizer(), 32)


def _qwen(kind: str, words: Any, wide: int) -> tuple[Any, Any]:
    import transformers
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    new = kind == "qwen3_vl"
    name = "Qwen3VL" if new else "Qwen2_5_VL"
    ids = {
        f"{role}_token_id": words.convert_tokens_to_ids(f"<|{text}|>")
        for role, text in (
            ("image", "image_pad"), ("video", "video_pad"),
            ("vision_start", "vision_start"), ("vision_end", "vision_end"),
        )
    }  # fmt: skip
    text = {
        **_text(words, wide),
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
    }
    vision: dict[str, Any] = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 32,
    }
    vision |= {"patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 2}
    if new:
        vision |= {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64}
        text |= {"head_dim": 8}
    else:
        vision |= {"window_size": 32, "fullatt_block_indexes": [1]}
    config = getattr(transformers, f"{name}Config")(
        text_config=text, vision_config=vision, tie_word_embeddings=True, **ids
    )
    images = Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    )
    template = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    processor = picture_processor(kind)(images, words, chat_template=template)
    return getattr(transformers, f"{name}ForConditionalGeneration")(config), processor
