"""The nano builder before training: stock classes, small, and its tokens are the form's."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest

import lego.tools  # registers the embedded tools
from lego.builder import open as open_builder
from lego.builder.base import Request
from lego.builder.prompt import form_of
from lego.core.errors import PlanError
from lego.core.registry import registry
from lego.rl import nano, pictures


def test_every_token_of_the_form_is_one_token_and_words_meet_no_other(micro: Path) -> None:
    from transformers import AutoProcessor

    tokenizer = AutoProcessor.from_pretrained(micro).tokenizer
    form = form_of(micro)
    tokens = form.vocabulary.tokens  # type: ignore[attr-defined]  # it is pointing
    assert tokenizer.convert_tokens_to_ids(tokens) == list(range(len(tokens)))
    assert tokenizer.tokenize("<user>lamp<w_0>天<w_1>##%<w_2><asst>")[0] == "<user>"
    assert "<w_2>" in tokenizer.tokenize("<user>lamp<w_0>天<w_1>##%<w_2><asst>")


def test_untrained_it_plans_something_valid_or_declines(micro: Path) -> None:
    builder = open_builder(str(micro))
    image = pictures.scene(1)[1].image
    for words in ("make it brighter", "remove the red ball on the left", "把天空变蓝"):
        with contextlib.suppress(PlanError):  # it may decline
            plan = builder.plan(Request(image, words, tuple(registry), (), {"image": image}))
            assert not plan.workflow.check(registry, {"image": "image"})


def test_the_checkpoint_says_its_form_and_its_tools(micro: Path) -> None:
    facts = json.loads((micro / "lego.json").read_text())
    assert facts["form"] == "pointing"
    assert len(facts["tools"]) == len(registry.running())


def test_one_that_ships_goes_on_with_a_token_for_doing_nothing(micro: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    source = tmp_path / "source"
    _without_keep(micro, source)
    nano.reopen(tmp_path / "again", registry, source, nano.SLIGHT)
    facts = json.loads((tmp_path / "again" / "lego.json").read_text())
    assert facts["keep"]
    assert not {"sure", "sharp"} & set(facts)
    words = AutoProcessor.from_pretrained(tmp_path / "again").tokenizer
    assert words.tokenize("<w_0><keep><asst>") == ["<w_0>", "<keep>", "<asst>"]
    old, new = (AutoModelForImageTextToText.from_pretrained(f).state_dict() for f in (source, tmp_path / "again"))
    for name, weights in old.items():
        assert torch.equal(weights, new[name][: len(weights)] if weights.dim() else new[name])
    assert form_of(tmp_path / "again").keep  # type: ignore[attr-defined]  # it is pointing


def _without_keep(folder: Path, out: Path) -> None:
    """A checkpoint as it was before there was the token: another name stands in its place."""
    shutil.copytree(folder, out)
    for file in out.glob("*.json"):
        file.write_text(file.read_text(encoding="utf-8").replace("<keep>", "<once>"), encoding="utf-8")
    facts = json.loads((out / "lego.json").read_text())
    del facts["keep"]
    (out / "lego.json").write_text(json.dumps({**facts, "sure": 0.25, "sharp": 0.5}))


def test_there_is_no_other_size(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        nano.build(tmp_path, registry, "huge")
