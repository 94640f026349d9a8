"""Reading the words of an instruction one by one."""

from __future__ import annotations

from typing import Any

import pytest

from lego.builder.words import MOST, color_from, number_at, ratio_from, span, value_of, words_of
from lego.core.registry import registry


def read(text: str) -> list[Any]:
    words = words_of(text)
    found = [number_at(words, n) for n in range(len(words))]
    return [(word.value, word.unit) for word in found if word]


def test_words_know_where_they_stand_so_that_a_span_keeps_the_users_letters() -> None:
    text = 'Write "Hello, World" on the Red-ish Van'
    words = words_of(text)
    assert span(text, words, 1, 1) == "Hello, World"
    assert span(text, words, 4, 5) == "Red-ish Van"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("by 30%", (30.0, "%")),
        ("thirty five percent", (35.0, "%")),
        ("one and a half stops", (1.5, "stops")),
        ("half a stop", (0.5, "stops")),
        ("1.5 stops", (1.5, "stops")),
        ("百分之三十", (30.0, "%")),
        ("九十度", (90.0, "degrees")),
        ("twice as large", (2.0, "")),
    ],
)
def test_numbers_are_read_in_digits_and_in_words(text: str, number: tuple[float, str]) -> None:
    assert read(text)[0] == number


def test_a_number_lands_in_the_parameters_unit_or_nowhere() -> None:
    def value(tool: str, param: str, text: str, negative: bool = False) -> Any:
        wanted = registry[tool].param(param)
        word = number_at(words_of(text), 0)
        assert wanted is not None
        assert word is not None
        return value_of(word, wanted, negative)

    assert value("exposure", "exposure", "100%") == 1.0
    assert value("exposure", "exposure", "50%", negative=True) == -1.0
    assert value("exposure", "exposure", "9 stops") is None
    assert value("contrast", "contrast", "30 px") is None
    assert value("fade", "amount", "40%") == 0.4
    assert value("fade", "amount", "40") == 0.4
    assert value("resize", "scale", "150%") == 1.5
    assert value("border", "width", "20 px") == 20


def test_colours_and_ratios_are_read_where_they_begin() -> None:
    words = words_of("a sky blue 4:5 square, 3 by 2, #Ff0000的边框")
    assert color_from(words, 1) == "#87ceeb"
    assert [ratio_from(words, n) for n in (3, 4, 6)] == ["4:5", "1:1", "3:2"]
    assert color_from(words, 10) == "#ff0000"
    assert color_from(words, 0) is None


def test_no_more_words_are_seen_than_can_be_pointed_at() -> None:
    assert len(words_of("word " * 500)) == MOST
