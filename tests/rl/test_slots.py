"""What fills the slots: words and the values that they mean."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest

import lego.tools  # registers the embedded tools
from lego.builder.words import color_from, number_at, value_of, words_of
from lego.core.registry import registry
from lego.core.signature import Param
from lego.rl import phrasings, slots
from lego.rl.invented import tool_of


def param(tool: str, name: str) -> Param:
    found = registry[tool].param(name)
    assert found is not None
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("tool", "name"),
    [("exposure", "exposure"), ("contrast", "contrast"), ("rotate", "angle"), ("border", "width"), ("fade", "amount"),
     ("resize", "scale"), ("temperature", "kelvin"), ("posterize", "colors")],
)  # fmt: skip
def test_numbers_are_said_so_that_they_read_back(tool: str, name: str, language: str) -> None:
    wanted, random = param(tool, name), Random(1)
    for negative in (False, wanted.low is not None and wanted.low < 0):
        for _ in range(40):
            text, value = slots.said(random, wanted, language, "train", negative)
            word = number_at(words_of(text), 0)
            assert word is not None
            assert value_of(word, wanted, negative) == value
            assert wanted.validate(value) == value
            assert value < 0 if negative else value > 0


def test_colours_and_texts_read_back_as_well() -> None:
    random = Random(2)
    for language in ("en", "zh"):
        for _ in range(60):
            text, color = slots.said(random, param("recolor", "color"), language, "train")
            assert color_from(words_of(text), 0) == color
            quoted, words = slots.said(random, param("add_text", "text"), language, "train")
            assert words_of(quoted)[0].kind == "quote"
            assert words_of(quoted)[0].text == words


@pytest.mark.parametrize(
    ("value", "degree", "meant"),
    [("normal", 0, 20.0), ("strong", 0, 40.0), ("-weak", 0, -10.0), ("max", 0, 100.0), ("normal", 1, 40.0),
     ("normal", -1, 10.0), ("strong", 1, 100.0), (35, 0, 35.0)],
)  # fmt: skip
def test_amounts_are_relative_to_the_tools_usual_one(value: Any, degree: int, meant: float) -> None:
    assert slots.implied(param("contrast", "contrast"), value, degree) == meant


def test_an_amount_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="out of range"):
        slots.implied(param("fade", "amount"), "-normal")


def test_nouns_come_with_fitting_articles() -> None:
    random = Random(3)
    nouns = [slots.noun(random, "en", "train") for _ in range(300)]
    assert all(noun.said.endswith(noun.name) for noun in nouns)
    assert not [noun.said for noun in nouns if noun.said.startswith(("the the ", "my my "))]
    assert not [noun.said for noun in nouns if noun.said.startswith("this ") and noun.name.endswith("power lines")]
    assert not [noun.said for noun in nouns if re.match(r"(the|my|this|that|our) (her|his|my|their|our) ", noun.said)]


@pytest.mark.parametrize(
    ("language", "red", "reds", "places", "placed"),
    [
        ("en", "red ", 32, slots.WHERE, 150),
        ("zh", "红", 56, ("左边的", "右边的", "中间的", "后面的", "前面的"), 50),
    ],
)
def test_things_are_told_apart_by_colour_and_place_in_the_training_alone(
    language: str, red: str, reds: int, places: tuple[str, ...], placed: int
) -> None:
    nouns = [slots.noun(Random(n), language, "train").name for n in range(4000)]
    assert sum(name.startswith(red) for name in nouns) > reds  # 27 and 44 are so by themselves
    assert sum(name.startswith(places) or name.endswith(places) for name in nouns) > placed  # 74 and 18
    held = slots._held(language)
    assert not held & set(nouns)
    elsewhere = [slots.noun(Random(n), language, "test").name for n in range(400)]
    assert not [name for name in elsewhere if name not in held and not re.search(" and | & |[和跟与]", name)]


def test_no_description_makes_a_noun_that_is_to_be_new(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "white mug" in phrasings.lines("nouns_en", "val") + phrasings.lines("nouns_en", "test")
    for described, taken in (("white mug", False), ("white moose", True)):
        monkeypatch.setattr(slots, "_described", lambda random, language, name, made=described: made)
        assert any(described in slots.noun(Random(n), "en", "train").name for n in range(200)) is taken


def test_a_number_whose_range_has_no_usual_value_is_said_all_the_same() -> None:
    fever = tool_of("[fever] Colour by heat. | limit: number 35..42 = 38").param("limit")
    assert fever is not None
    text, value = slots.said(Random(1), fever, "en", "train")
    assert (text, value) == ("38.5", 38.5)


def test_now_and_then_two_things_are_named_at_once_more_often_in_the_training() -> None:
    random = Random(5)
    for language, joint in (("en", " and "), ("zh", "和")):
        named = [slots.noun(random, language, "train") for _ in range(400)]
        pairs = [noun for noun in named if joint in noun.name]
        assert 30 < len(pairs) < 200
        assert all(noun.said.endswith(noun.name) for noun in pairs)  # the name is a span of what is said
        held = [slots.noun(random, language, "test").name for _ in range(400)]
        assert 5 < sum(joint in name for name in held) < len(pairs)
