"""The nano builder before training: stock classes, small, and its tokens are the form's."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

import lego.tools  # registers the embedded tools
from lego.builder import open as open_builder
from lego.builder.base import Request
from lego.builder.prompt import form_of
from lego.core.errors import PlanError
from lego.core.registry import registry
from lego.rl import nano, pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nano.build(tmp_path_factory.mktemp("nano") / "start", registry, "micro", seed=1)


def test_every_token_of_the_form_is_one_token_and_words_meet_no_other(folder: Path) -> None:
    from transformers import AutoProcessor

    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    form = form_of(folder)
    tokens = form.vocabulary.tokens  # type: ignore[attr-defined]  # it is pointing
    assert tokenizer.convert_tokens_to_ids(tokens) == list(range(len(tokens)))
    assert tokenizer.tokenize("<user>lamp<w_0>天<w_1>##%<w_2><asst>")[0] == "<user>"
    assert "<w_2>" in tokenizer.tokenize("<user>lamp<w_0>天<w_1>##%<w_2><asst>")


def test_untrained_it_plans_something_valid_or_declines(folder: Path) -> None:
    builder = open_builder(str(folder))
    image = pictures.scene(1)[1].image
    for words in ("make it brighter", "remove the red ball on the left", "把天空变蓝"):
        with contextlib.suppress(PlanError):  # it may decline
            plan = builder.plan(Request(image, words, tuple(registry), (), {"image": image}))
            assert not plan.workflow.check(registry, {"image": "image"})


def test_the_checkpoint_says_its_form_and_its_tools(folder: Path) -> None:
    facts = json.loads((folder / "lego.json").read_text())
    assert facts["form"] == "pointing"
    assert len(facts["tools"]) == len(registry.running())


def test_there_is_no_other_size(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        nano.build(tmp_path, registry, "huge")
