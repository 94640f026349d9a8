"""The nano builder before it has learned anything: a small LLaVA of stock classes, with a tokenizer made for pointing.

SigLIP sees the picture at 96 px (36 tokens), Qwen2 reads and writes; every size follows from one dial.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lego.builder import NANO
from lego.builder.hints import FILE as HINTS
from lego.builder.pointing import Pointing, Vocabulary
from lego.builder.prompt import FILE as FORM
from lego.builder.spelling import KEEP
from lego.core.registry import Registry
from lego.rl import hinting, instructions
from lego.rl.pictures import PATCH, SIDE

PIECES = 4096  # of words, beside the special tokens
SLIGHT = 0.03  # of the phrasings, for the hints of a model that tests train
SIGHT, GLANCE = 2500, 2  # steps of learning to see, and those of a model that tests train
SAMPLES = 30_000  # tasks whose words the tokenizer is made of
TEMPLATE = (  # a message is a text, or parts of which a picture is one
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}<end>{% endif %}{% endfor %}"
)
SIZES = {"nano": (256, 6), "micro": (64, 2), "small": (384, 8)}  # width of the text model, layers


def build(folder: str | Path, registry: Registry, size: str = "nano", seed: int = 0) -> Path:
    """Write a checkpoint that can be trained: model, processor, chat template, hints, ``lego.json``.

    What reads has random weights; what sees has learned to (`lego.rl.sight`), in a quarter of an hour.

    Args:
        registry: the tools that get a token each.
        size: "nano" (6.9 million parameters), "micro" (for tests) or "small".

    Raises:
        KeyError: there is no such size.
    """
    import torch
    from transformers import LlavaForConditionalGeneration

    from lego.rl import sight

    folder, dial = Path(folder), SIZES[size]
    registry = registry.running()
    vocabulary = Vocabulary.of(registry)
    few = 600 if size == "micro" else SAMPLES
    tokenizer = _tokenizer(vocabulary, _corpus(registry, vocabulary, few), PIECES if size != "micro" else 600)
    hints = hinting.teach(registry, seed, 1.0 if size != "micro" else SLIGHT)
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(_config(tokenizer, *dial))
    sight.teach(model, SIGHT if size != "micro" else GLANCE, seed)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    _processor(tokenizer).save_pretrained(folder)
    hints.save(folder / HINTS)
    facts = {"form": "pointing", "hints": True, "keep": True, "tools": vocabulary.tools}
    (folder / FORM).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return folder


def reopen(folder: str | Path, registry: Registry, source: Path = NANO, share: float = 1.0) -> Path:
    """Write the builder that ships as a checkpoint to go on with.

    Its hints are taught anew, because those of the folds, which training needs, do not ship. A token for doing nothing
    is added where it has none, and the thresholds below which it asks back are left out: they were set for others.

    Args:
        registry: the tools on offer.
        source: the checkpoint.
        share: of the phrasings that the hints are taught; less for tests.
    """
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    folder = Path(folder)
    facts = json.loads((source / FORM).read_text(encoding="utf-8"))
    processor = LlavaProcessor.from_pretrained(source)
    model = LlavaForConditionalGeneration.from_pretrained(source, dtype="float32")
    more = {"additional_special_tokens": [KEEP]}
    if processor.tokenizer.add_special_tokens(more, replace_extra_special_tokens=False):
        model.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    hinting.teach(registry, 0, share).save(folder / HINTS)
    for threshold in ("sure", "sharp"):
        facts.pop(threshold, None)
    (folder / FORM).write_text(json.dumps({**facts, "keep": True}, indent=1) + "\n", encoding="utf-8")
    return folder


def _corpus(registry: Registry, vocabulary: Vocabulary, count: int) -> Iterable[str]:
    form = Pointing(vocabulary.tools)
    for task in itertools.islice(instructions.tasks(registry, "train", seed=1), count):
        yield form.prompt(task.request)


def _tokenizer(vocabulary: Vocabulary, corpus: Iterable[str], pieces: int) -> Any:
    """Byte-pair pieces of lower-case words; a Chinese character and a sign stand alone."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[\u3400-\u9fff]"), "isolated"), pre_tokenizers.Whitespace()]
    )
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])  # llguidance reads tokens through it
    special = vocabulary.tokens
    inner = _stripped(corpus, special)
    made.train_from_iterator(
        inner,
        trainers.BpeTrainer(
            vocab_size=len(special) + pieces, special_tokens=special, min_frequency=2, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        pad_token="<pad>",
        eos_token="<end>",
        additional_special_tokens=special[2:],
        clean_up_tokenization_spaces=False,
    )


def _stripped(corpus: Iterable[str], special: Iterable[str]) -> Iterable[str]:
    """The words between the special tokens."""
    tokens = re.compile("|".join(re.escape(token) for token in sorted(special, key=len, reverse=True)))
    for text in corpus:
        yield tokens.sub(" ", text)


def _config(tokenizer: Any, width: int, layers: int) -> Any:
    from transformers import LlavaConfig, Qwen2Config, SiglipVisionConfig

    vision = SiglipVisionConfig(
        hidden_size=128, intermediate_size=384, num_hidden_layers=3, num_attention_heads=4,
        image_size=SIDE, patch_size=PATCH, vision_use_head=False,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=width * 3, num_hidden_layers=layers,
        num_attention_heads=max(2, width // 64), num_key_value_heads=max(2, width // 64), max_position_embeddings=1024,
        tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1, vision_feature_select_strategy="full", image_seq_length=(SIDE // PATCH) ** 2,
        tie_word_embeddings=True,
    )  # fmt: skip


def _processor(tokenizer: Any) -> Any:
    from transformers import LlavaProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    return LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        image_token="<image>",
        chat_template=TEMPLATE,
    )
