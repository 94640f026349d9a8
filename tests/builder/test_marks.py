"""Marks: choices and parameters that are named, only of tools that a passage may be about, each where it is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import lego.tools  # registers them
from lego.builder.hints import WIDTH, Encoder, Hints
from lego.builder.marks import marks, nearest
from lego.builder.ngrams import BUCKETS, buckets
from lego.builder.words import words_of
from lego.core.registry import registry
from lego.rl.invented import tool_of

SEA = tool_of(
    "[sea_state] Make the sea calm or rough. | waves: choice calm|choppy|storm = calm; foam_width: number 0..9"
)
LAMP = tool_of("[lamp_on] Switch a lamp on. | lit: boolean = true; side: choice left|top left|top right = left")
PARAMS = {
    "<T:move>": {"to": "<P:to>"},
    "<T:flip>": {"direction": "<P:direction>"},
    "<t_0>": {"waves": "<p_0>", "foam_width": "<p_1>"},
    "<t_1>": {"lit": "<p_0>", "side": "<p_1>"},
}
TOOLS = {"<T:move>": registry["move"], "<T:flip>": registry["flip"], "<t_0>": SEA, "<t_1>": LAMP}


@pytest.fixture
def hints() -> Hints:
    """What each is about lies on an axis of its own."""
    weights = np.zeros((BUCKETS, WIDTH), np.int8)
    for number, text in enumerate(("move", "flip mirror", "tax", "sea waves rough storm", "lamp lit switch")):
        weights[buckets(text)] = 0
        weights[buckets(text), number] = 100
    tools = 12 * np.eye(3, WIDTH, dtype=np.float32)
    bias, card = np.array([0, 0, 6], np.float32), np.array([12, 0], np.float32)
    return Hints(("<T:move>", "<T:flip>", ""), Encoder(weights, np.ones(WIDTH, np.float32), tools, bias, card))


def marked(hints: Hints, text: str) -> dict[str, str]:
    """What is shown, by the word that it stands after."""
    words = words_of(text)
    found = marks(hints, text, words, None, TOOLS, PARAMS.__getitem__)
    return {words[number].text: shown for number, shown in found.items()}


def test_a_choice_is_marked_with_the_tool_of_its_card_and_its_parameter(hints: Hints) -> None:
    found = marked(hints, "flip it vertically, then a stormy sea with foam 5")
    assert found["stormy"] == "<t_0><p_0><c_2>"
    assert found["foam"] == "<t_0><p_1>"
    vertical = registry["flip"].param("direction").choices.index("vertical")  # type: ignore[union-attr]
    assert found["vertically"] == f"<P:direction><c_{vertical}><T:flip>"
    assert "<t_0>" in found["5"]  # what the passage is about stands after its last word


def test_the_longest_name_that_is_said_counts(hints: Hints) -> None:
    assert marked(hints, "switch the lamp on at the top right")["right"].startswith("<t_1><p_1><c_2>")
    assert "<p_1><c_0>" in marked(hints, "switch the lamp on to the left of it")["left"]
    assert "<t_1><p_0>" in marked(hints, "switch a lit lamp on")["lit"]


def test_what_another_passage_is_about_is_not_marked(hints: Hints) -> None:
    found = marked(hints, "flip the calm one, then let the sea get choppy")
    assert "<t_0>" not in found["one"]
    assert "calm" not in found
    assert found["choppy"].startswith("<t_0><p_0><c_1>")


def test_known_tools_are_marked_with_choices_alone_each_once(hints: Hints) -> None:
    found = marked(hints, "move flip it to the top left")
    assert found["left"].count("<P:to>") == 1
    assert "<P:" not in marked(hints, "move it in that direction")["direction"]


def test_the_values_that_words_imply_are_marked_and_choices_that_they_name_too(hints: Hints) -> None:
    implied = replace(hints, senses=("<T:move>", "<T:flip><P:direction><c_1>", ""))
    assert marked(implied, "mirror it") == {"it": "<T:flip><P:direction><c_1>"}
    assert "<P:direction><c_0>" in marked(implied, "mirror it horizontally now")["horizontally"]


def test_what_is_quoted_or_in_chinese_names_nothing(hints: Hints) -> None:
    assert "<c_" not in "".join(marked(hints, 'the sea says "storm"').values())
    assert "<c_" not in "".join(marked(hints, "把海面变成暴风").values())
    assert marked(hints, "") == {}
    assert marked(hints, "ok") == {"ok": "<none>"}


def test_a_card_is_shown_only_where_it_rivals_the_known_tools(hints: Hints) -> None:
    known, new = (registry["move"], registry["flip"]), (LAMP, SEA)

    def shown(text: str) -> list[str]:
        return [tool.name for tool in nearest(hints, text, words_of(text), None, new, known)]

    assert shown("make the sea rough") == ["sea_state"]
    assert shown("mirror it horizontally") == []
    assert shown("mirror it, then switch the lamp on")[0] == "lamp_on"
    text = "mirror it"
    assert len(nearest(hints, text, words_of(text), None, new, ())) == 2
    assert nearest(hints, text, words_of(text), None, (), known) == ()
