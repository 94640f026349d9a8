"""The constraint over a model's tokens: bytes, byte-level and whole-word tokenizers, special tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lego.tools  # registers the embedded tools
from lego.builder.constraint import Constraint, unpacked
from lego.builder.grammar import workflow_grammar
from lego.core.registry import registry
from tests.builder.models import tokenizer


@pytest.fixture(scope="module")
def bytewise() -> Constraint:
    return Constraint("byte")


@pytest.fixture(scope="module")
def pointing() -> Any:
    """A tokenizer of whole words (Metaspace) with special tokens that stand for tools and places in the words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<end>", *(f"<w_{n}>" for n in range(8)), "<T:remove>", "<T:exposure>"]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    raw.decoder = decoders.Metaspace()
    letters = [chr(code) for code in range(33, 127)]
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=letters, vocab_size=200, show_progress=False)
    raw.train_from_iterator(["remove the red car"] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<end>", pad_token="<pad>", additional_special_tokens=special[2:]
    )


def test_a_grammar_that_cannot_be_read_and_a_token_that_is_not_allowed_are_errors(bytewise: Constraint) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        bytewise.start("start: nothing")
    with pytest.raises(ValueError, match="not allowed"):
        bytewise.start('start: "a"').take(ord("b"))


def test_a_matcher_copies_itself_and_knows_its_end(bytewise: Constraint) -> None:
    matcher = bytewise.start('start: "ab" | "ac"')
    assert matcher.forced() == [ord("a")]
    matcher.take(ord("a"))
    twin = matcher.copy()
    twin.take(ord("c"))
    assert twin.done
    assert np.flatnonzero(twin.allowed()).tolist() == bytewise.eos
    assert not matcher.done
    assert np.flatnonzero(matcher.allowed()).tolist() == [ord("b"), ord("c")]


def test_special_tokens_can_be_named_and_given_as_ranges(pointing: Any) -> None:
    constraint = Constraint(pointing, len(pointing) + 3)
    first, last = pointing.convert_tokens_to_ids(["<w_0>", "<w_7>"])
    remove, exposure, end = pointing.convert_tokens_to_ids(["<T:remove>", "<T:exposure>", "<end>"])
    matcher = constraint.start(f"start: <T:remove> <[{first}-{last}]> <end> | <T:exposure> <end>")
    assert np.flatnonzero(matcher.allowed()).tolist() == sorted([remove, exposure])
    matcher.take(remove)
    assert np.flatnonzero(matcher.allowed()).tolist() == list(range(first, last + 1))
    matcher.take(first + 2)
    assert np.flatnonzero(matcher.allowed()).tolist() == [end]
    matcher.take(end)
    assert matcher.done
    assert len(matcher.allowed()) == len(pointing) + 3


def test_the_words_of_a_whole_word_tokenizer_are_held_to_the_grammar(pointing: Any) -> None:
    matcher = Constraint(pointing).start('start: " remove the red car"')
    for token in pointing("remove the red car", add_special_tokens=False).input_ids:
        assert matcher.allowed()[token]
        matcher.take(token)
    assert matcher.done


def test_forced_runs_are_spelled_as_the_tokenizer_spells_them() -> None:
    """Else a model would meet spellings in serving that it never saw in training."""
    words = tokenizer()
    constraint = Constraint(words, len(words) + 7)
    text = '{"version":1,"steps":[{"id":"s1","tool":"sepia","args":{"image":"$image"}}],"result":"$s1"}'
    ids = words(text).input_ids
    matcher = constraint.start(workflow_grammar(registry))
    place = 0
    while not matcher.done:
        run = matcher.forced()
        assert run == ids[place : place + len(run)]
        for token in run or ids[place : place + 1]:
            matcher.take(token)
            place += 1
    assert place == len(ids)


def test_masks_are_bits_from_the_lowest(bytewise: Constraint) -> None:
    matcher = bytewise.start('start: "a" | "b"')
    assert unpacked(matcher.mask(), bytewise.n_vocab).nonzero()[0].tolist() == [97, 98]
    assert matcher.mask()[12] == 0b110
    assert unpacked(np.stack([matcher.mask()] * 2), 100).shape == (2, 100)


def test_a_tokenizer_may_know_more_tokens_than_the_network() -> None:
    words = tokenizer()
    assert Constraint(words, 100).n_vocab == len(words)
