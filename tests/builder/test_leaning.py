"""Leaning: what is added to logits after each part of an answer, by hints that are certain."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import lego.tools  # registers them
from lego.builder.arguments import KINDS, SIZE, Reader, options
from lego.builder.hints import LOWEST, WIDTH, Encoder, Hints
from lego.builder.leaning import DOUBT, Leaning
from lego.builder.ngrams import BUCKETS
from lego.builder.words import words_of
from lego.core.registry import registry
from lego.core.signature import Param
from lego.rl.invented import tool_of

SENSES = {
    "<T:grain>": 0.2,
    "<T:grain><P:amount><a_2>": 0.5,
    "<T:sepia><T:grain><P:amount><a_0.5>": 0.25,
    "<T:flip><P:direction><c_1>": 0.05,
    "": 0.0,
}
SEA = tool_of("[sea_state] Make the sea rough. | mask; waves: choice calm|storm = calm; foam: number 0..9 = 2")
TOOLS = {"<T:grain>": registry["grain"], "<T:sepia>": registry["sepia"], "<t_0>": SEA}
PARAMS = {"<T:grain>": {"amount": "<P:amount>"}, "<T:sepia>": {}, "<t_0>": {"waves": "<p_0>", "foam": "<p_1>"}}
TEXT = "make it gritty like the old sea"


class Certain(Hints):
    """Hints that hold the same likely for all words."""

    def senses_of(
        self, text: str, fold: int | None, cards: Sequence[str], known: Collection[str]
    ) -> NDArray[np.float32]:
        return np.array(list(SENSES.values()), np.float32)


class Sure(Reader):
    """A reader that finds the second of all choices, and nothing said of numbers."""

    def shares(self, text: str, param: Param) -> NDArray[np.float32]:
        count = len(options(param))
        likely = [0.1, 0.2, 0.7] if param.kind == "choice" else [0.9, *[0.1 / (count - 1)] * (count - 1)]
        return np.array(likely, np.float32)


@pytest.fixture
def hints() -> Hints:
    none = np.zeros(0, np.float32)
    reader = Sure(np.zeros((0, SIZE), np.int8), none, np.zeros((len(KINDS), SIZE), np.float32), none, none)
    whole = Encoder(
        np.zeros((BUCKETS, WIDTH), np.int8), np.ones(WIDTH, np.float32), np.zeros((len(SENSES), WIDTH), np.float32),
        np.zeros(len(SENSES), np.float32), np.array([1, 0], np.float32), reader,
    )  # fmt: skip
    return Certain(tuple(SENSES), whole)


def added(hints: Hints, *said: str) -> dict[str, float]:
    """What is added after an answer that has said so much since it named the words."""
    find = Leaning(hints, TEXT, words_of(TEXT), None, TOOLS, PARAMS.__getitem__)
    return dict(find(["<at>", "<w_0>", "<w_6>", *said]))


def odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


def test_before_an_answer_names_words_nothing_is_added(hints: Hints) -> None:
    find = Leaning(hints, TEXT, words_of(TEXT), None, TOOLS, PARAMS.__getitem__)
    assert find(["<at>"]) == find(["<at>", "<w_1>"]) == find(["<T:grain>"]) == {}


@pytest.mark.parametrize(("share", "more"), [(0.0, {"<none>": -DOUBT}), (0.5, {})])
def test_declining_is_held_back_where_the_words_certainly_mean_something(
    hints: Hints, monkeypatch: pytest.MonkeyPatch, share: float, more: dict[str, float]
) -> None:
    monkeypatch.setitem(SENSES, "", share)
    assert Leaning(hints, TEXT, words_of(TEXT), None, TOOLS, PARAMS.__getitem__)([]) == more
    assert Leaning(hints, "?!", words_of(""), None, TOOLS, PARAMS.__getitem__)([]) == {}


def test_words_lean_towards_tools_and_cards(hints: Hints) -> None:
    assert set(added(hints)) == {"<T:grain>", "<T:sepia>", "<T:flip>", "<t_0>"}


def test_an_answer_goes_on_as_the_likeliest_sense_does(hints: Hints) -> None:
    assert added(hints, "<T:grain>") == {"<P:amount>": pytest.approx(odds(0.5 / 0.7))}
    assert set(added(hints, "<T:grain>", "<P:amount>")) == {"<a_2>"}
    assert set(added(hints, "<T:sepia>")) == {"<T:grain>"}  # the second tool of a look
    assert set(added(hints, "<T:sepia>", "<T:grain>", "<P:amount>")) == {"<a_0.5>"}


def test_where_a_sense_ends_no_further_tool_of_a_look_is_likely(hints: Hints) -> None:
    more = added(hints, "<T:grain>", "<P:amount>", "<a_2>")
    assert more == dict.fromkeys(["<T:grain>", "<T:sepia>"], pytest.approx(-odds(1 - LOWEST)))


def test_what_stands_in_the_words_is_no_part_of_a_sense(hints: Hints) -> None:
    for place in (["<on>", "<w_5>", "<w_6>"], ["<not>", "<drawn>"], ["<on>", "<r:sky>", "<but>", "<w_1>", "<w_1>"]):
        assert set(added(hints, "<T:grain>", *place)) == {"<P:amount>"}
    box = ["<on>", "<box>", "<l_1>", "<l_9>", "<l_2>", "<l_30>"]
    assert set(added(hints, "<T:grain>", *box)) == {"<P:amount>"}
    assert set(added(hints, "<T:grain>", "<P:size>", "<neg>", "<w_3>")) == {"<P:amount>"}
    for number in range(1, len(box)):  # nothing in the middle of a place
        assert added(hints, "<T:grain>", *box[:number]) == {}


def test_a_sense_that_is_unlikely_says_nothing(hints: Hints) -> None:
    assert added(hints, "<T:flip>") == {"<P:direction>": pytest.approx(odds(0.99))}
    assert added(hints, "<T:flip>", "<P:direction>", "<c_0>") == added(hints, "<T:blur>") == {}


def test_only_the_last_words_that_an_answer_names_count(hints: Hints) -> None:
    assert set(added(hints, "<T:sepia>", "<at>", "<w_1>", "<w_1>", "<T:grain>")) == {"<P:amount>"}


def test_cards_lean_on_what_the_words_say_of_their_parameters(hints: Hints) -> None:
    assert added(hints, "<t_0>", "<on>", "<w_5>", "<w_6>") == {"<p_0>": pytest.approx(odds(0.9))}
    values = added(hints, "<t_0>", "<p_0>")
    assert values == {"<c_0>": pytest.approx(np.log(2 / 7)), "<c_1>": 0.0}
    assert added(hints, "<t_0>", "<p_0>", "<c_1>") == {}
    assert set(added(hints, "<t_0>", "<p_1>")) == {"<a_0.5>", "<a_1>", "<a_2>", "<a_max>"}


def test_without_a_reader_cards_are_left_to_the_network(hints: Hints) -> None:
    bare = replace(hints, whole=replace(hints.whole, reader=None))
    assert added(bare, "<t_0>") == added(bare, "<t_0>", "<p_0>") == {}
