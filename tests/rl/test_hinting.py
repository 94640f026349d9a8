"""Hints are learned from the training's phrasings alone, and a fold's model knows nothing of its fold."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from lego.builder.hints import Hints, letters
from lego.builder.words import words_of
from lego.core.registry import registry
from lego.rl import hinting, phrasings
from lego.rl.clauses import Setting, fill
from lego.rl.phrasings import FOLDS, Phrasing, fold_of


@pytest.fixture(scope="module")
def hints() -> Hints:
    return hinting.teach(registry, seed=1, share=0.15)


def named(hints: Hints, split: phrasings.Split, fold: int | None = None) -> float:
    """The share of phrasings whose tool is the likeliest, to the model that a task of the fold would get."""
    tools = {tool.name: tool for tool in registry}
    model = hints.whole if fold is None else hints.folds[fold]
    random, right, count = Random(2), 0, 0
    chosen: list[Phrasing] = [p for p in phrasings.of_tools() if p.within(split)]
    for phrasing in Random(3).sample(chosen, len(chosen)):
        if fold is not None and fold_of(phrasing.text) != fold:
            continue
        try:
            text = fill(phrasing, Setting(random, tools, phrasing.language, "train")).text
        except ValueError:
            continue
        best = hints.tools[int(np.argmax(model.shares(letters(text, words_of(text)))))]
        right, count = right + (best in [name for name, _ in phrasing.calls]), count + 1
        if count == 400:
            break
    return right / count


def test_they_name_the_tool_of_phrasings_that_they_never_saw(hints: Hints) -> None:
    assert named(hints, "val") > 0.4  # of a hundred tools; the whole training reaches twice that


def test_there_is_a_model_for_every_fold(hints: Hints) -> None:
    assert len(hints.folds) == FOLDS
    assert hints.tools[-1] == ""
    assert set(hints.tools[:-1]) == {tool.name for tool in registry.running()}


def test_the_whole_model_knows_more_of_a_fold_than_the_model_without_it(hints: Hints) -> None:
    own = np.mean([named(hints, "train", fold) for fold in range(FOLDS)])
    assert named(hints, "train") > own + 0.02


def test_the_same_seed_teaches_the_same() -> None:
    one, two = (hinting.teach(registry, seed=4, share=0.01) for _ in range(2))
    assert np.array_equal(one.whole.weights, two.whole.weights)
    assert not np.array_equal(one.whole.weights, one.folds[0].weights)
