"""Networks that say what a picture shows, of the real classes at toy size."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import pytest

from lego.core.errors import CancelledError
from lego.core.memory import CPU
from lego.core.models import Pool, shelf
from lego.core.steps import Step
from lego.core.trace import StepDone, StepProgress, Trace
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.executor.contract import check
from lego.executor.run import Cancel, Executor
from lego.tools.describe import caption
from lego.tools.neural.describe import MOST
from tests.builder.models import build

FLOW = Workflow((Step("s1", "caption", {"image": "$image"}),), "$s1")


def blip(folder: Path) -> None:
    import torch
    from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration, BlipProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    torch.manual_seed(1)
    letters = [chr(n) for n in range(97, 123)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    tokenizer = BertTokenizerFast(vocab={word: n for n, word in enumerate(words)})
    small = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 64}
    ends = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    config = BlipConfig(
        text_config={**small, **ends, "vocab_size": len(words), "encoder_hidden_size": 32, "projection_dim": 32},
        vision_config={**small, "image_size": 32, "patch_size": 16}, projection_dim=32,
    )  # fmt: skip
    BlipForConditionalGeneration(config).save_pretrained(folder)
    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    BlipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    blip(folder / "blip")
    build("qwen2_5_vl", folder / "qwen2.5-vl")
    return folder


def only(models: Path, name: str) -> Pool:
    return Pool(lambda asked: models / name if asked == name else None, {CPU: 64 << 30})


@pytest.mark.parametrize("name", ["blip", "qwen2.5-vl"])
def test_a_picture_is_put_into_words_the_same_each_time(name: str, models: Path, small: Image) -> None:
    texts = []
    for _ in range(2):
        trace = Trace()
        done = Executor(pool=only(models, name)).run(FLOW, {"image": small}, trace=trace)
        if done.failure:
            raise done.failure
        assert next(trace.of(StepDone)).engine == name
        assert list(trace.of(StepProgress))
        texts.append(done.results[0])
    assert texts[0] == texts[1]
    assert isinstance(texts[0], str)
    assert texts[0]
    assert "<|" not in texts[0]


@pytest.mark.parametrize("name", ["blip", "qwen2.5-vl"])
def test_the_engines_keep_the_contract_of_every_tool(name: str, models: Path) -> None:
    one = copy(caption)
    one.engines = {name: caption.engines[name]}
    assert check(one, only(models, name)) == []


def test_it_can_be_stopped_between_words(models: Path, small: Image) -> None:
    cancel, seen = Cancel(), []

    def listen(event: Any) -> None:
        if isinstance(event, StepProgress):
            seen.append(event.share)
            cancel.cancel()

    done = Executor(pool=only(models, "blip")).run(FLOW, {"image": small}, cancel=cancel, trace=Trace(listen))
    assert isinstance(done.failure, CancelledError)
    assert len(seen) <= 2 < MOST


def test_the_more_telling_one_is_used_where_both_are_there(models: Path) -> None:
    assert caption.choose(Pool(shelf(models), {CPU: 64 << 30}))[0].name == "qwen2.5-vl"
    assert caption.choose(Pool(shelf(models), {CPU: 8 << 30}))[0].name == "blip"
