"""Hints are learned from the training's phrasings alone, and a fold's model knows nothing of its fold."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from lego.builder.hints import Hints, letters
from lego.builder.rank import card as text_of
from lego.builder.words import words_of
from lego.core.registry import registry
from lego.rl import hinting, instructions, phrasings
from lego.rl.clauses import Setting, fill
from lego.rl.phrasings import FOLDS, Phrasing, belongs, fold_of


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
        right, count = right + bool(set(best) & {name for name, _ in phrasing.calls}), count + 1
        if count == 400:
            break
    return right / count


def test_they_name_the_tool_of_phrasings_that_they_never_saw(hints: Hints) -> None:
    assert named(hints, "val") > 0.4  # of a hundred tools; the whole training reaches twice that


def test_there_is_a_model_for_every_fold(hints: Hints) -> None:
    assert len(hints.folds) == FOLDS
    assert hints.senses[-1] == ""
    assert {tool for tools in hints.tools for tool in tools} == {tool.name for tool in registry.running()}
    assert "<T:black_and_white>" in hints.senses
    assert any(sense.startswith("<T:exposure><P:exposure><neg>") for sense in hints.senses)


@pytest.mark.parametrize(
    ("phrasing", "sense"),
    [
        (Phrasing((("grain", (("amount", "strong"),)),), "gritty"), "<T:grain><P:amount><a_2>"),
        (Phrasing((("grain", ()),), "grain at {amount}"), "<T:grain>"),  # the words say how much
        (Phrasing((("exposure", (("exposure", "-normal"),)),), "darker"), "<T:exposure><P:exposure><neg><a_1>"),
        (Phrasing((("flip", (("direction", "vertical"),)),), "upside down"), "<T:flip><P:direction><c_1>"),
        (Phrasing((("segment", ()),), "find {thing}"), "<T:segment>"),
        (Phrasing((("sepia", ()), ("grain", (("amount", "weak"),))), "old"), "<T:sepia><T:grain><P:amount><a_0.5>"),
    ],
)
def test_a_sense_holds_the_values_that_words_imply(phrasing: Phrasing, sense: str) -> None:
    assert {found for _, found in senses(phrasing, 1)} == {sense}


def senses(phrasing: Phrasing, seed: int) -> list[tuple[str, str]]:
    """Of fillings: what is said, and what it means."""
    tools = {tool.name: tool for tool in registry}
    found = hinting.filled(phrasing, tools, Random(seed))
    return [(text, hinting.sense_of(calls, phrasings.slots_in(phrasing.text), tools)) for text, calls in found]


def test_a_degree_is_a_part_of_the_sense() -> None:
    phrasing = Phrasing((("grain", (("amount", "normal"),)),), "{deg} more grain in the whole of my old photo")
    found = {text.startswith("more"): sense for n in range(20) for text, sense in senses(phrasing, n)}
    assert found[True] == "<T:grain><P:amount><a_1>"
    assert found[False] in ("<T:grain><P:amount><a_0.5>", "<T:grain><P:amount><a_2>")


def test_the_whole_model_knows_more_of_a_fold_than_the_model_without_it(hints: Hints) -> None:
    own = np.mean([named(hints, "train", fold) for fold in range(FOLDS)])
    assert named(hints, "train") > own + 0.02


def test_the_same_seed_teaches_the_same() -> None:
    one, two = (hinting.teach(registry, seed=4, share=0.01) for _ in range(2))
    assert np.array_equal(one.whole.weights, two.whole.weights)
    assert not np.array_equal(one.whole.weights, one.folds[0].weights)


def test_words_are_nearest_to_the_card_that_they_ask_for_though_it_was_never_seen(hints: Hints) -> None:
    cards = [card for card in phrasings.of_cards() if belongs(card.text, "val")]
    random, right, count = Random(5), 0, 0
    for number, card in enumerate(cards):
        said = next((p.text for p in card.phrasings if p.language == "en" and "{" not in p.text), card.name)
        others = random.sample(cards[:number] + cards[number + 1 :], 3)
        texts = [text_of(instructions.tool(one, "en")) for one in (card, *others)]
        likely = hints.whole.scores(said, texts)[len(hints.senses) :]
        right, count = right + (likely.argmax() == 0), count + 1
    assert right > 0.6 * count  # by chance a quarter; the whole training reaches .9


def test_cards_of_a_fold_are_as_likely_as_they_are_right(hints: Hints) -> None:
    assert {float(part.card[1]) for part in hints.folds} == {float(hints.whole.card[1])}
    random, likely = Random(6), []
    cards = [card for card in phrasings.of_cards() if belongs(card.text, "train")]
    for fold, model in enumerate(hints.folds):
        own = [card for card in cards if fold_of(card.text) == fold]
        for card in random.sample(own, 40):
            text = text_of(instructions.tool(card, "en"))
            asking = next(p.text for p in card.phrasings if p.language == "en")
            other = random.choice([one for one in own if one is not card])
            stranger = text_of(instructions.tool(other, "en"))
            likely.append([model.shares(asking, [shown])[-1] for shown in (text, stranger)])
    asked, not_asked = np.mean(likely, axis=0)
    assert asked > 2 * not_asked
    assert asked > 0.4
