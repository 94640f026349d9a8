"""The table of looks and concepts: that it is whole, unmistakable, and asks for what the tools here can do."""

from __future__ import annotations

import functools
import re
import tomllib
from collections import Counter
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from lego import builder
from lego.builder.base import Plan, Request
from lego.builder.lexicon import tokens_of
from lego.builder.offer import Offer
from lego.core.registry import registry
from lego.core.values import Image

TABLE: dict[str, dict[str, Any]] = tomllib.loads(files("lego.builder").joinpath("concepts.toml").read_text("utf-8"))
PICTURE = Image(np.zeros((4, 4, 3), np.uint8))
SLOT = "{thing}"
THINGS = {"en": "the red cup", "zh": "红杯子"}
FINDS = {"segment"}  # steps that say where, and change nothing
CHINESE = re.compile(r"[\u3400-\u9fff]")
EDITS = re.compile(r",\s*|，")


def plan(words: str) -> Plan:
    made = builder.open("rules").plan(Request(PICTURE, words, tuple(registry.running()), ()))
    assert made.workflow.check(registry, {"image": "image"}) == [], words
    return made


def ways() -> list[tuple[str, str]]:
    """Every way of saying with the concept that it stands for."""
    return [(way, name) for name, concept in TABLE.items() for way in concept["en"] + concept["zh"]]


@functools.cache
def done(name: str, language: str) -> list[tuple[str, dict[str, Any]]]:
    """The edits that a concept's recipe becomes, without the search for where."""
    words = TABLE[name][f"do_{language}"].replace(SLOT, THINGS[language])
    return [(s.tool, dict(s.args)) for s in plan(words).workflow.steps if s.tool not in FINDS]


def test_there_are_at_least_eighty_concepts() -> None:
    assert len(TABLE) >= 80


@pytest.mark.parametrize("name", TABLE)
def test_a_concept_has_both_languages_and_a_reason(name: str) -> None:
    concept = TABLE[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert set(concept) == {"en", "zh", "do_en", "do_zh", "why"}
    assert concept["en"]
    assert concept["zh"]
    assert all(way == way.strip().lower() and not CHINESE.search(way) for way in concept["en"])
    assert all(way == way.strip().lower() for way in concept["zh"])
    assert concept["why"].endswith(".")
    assert len(concept["why"]) > 20


def test_no_way_of_saying_stands_for_two_concepts() -> None:
    assert [way for way, count in Counter(way for way, _ in ways()).items() if count > 1] == []


def test_digits_of_a_year_are_not_claimed_twice() -> None:
    years = [way for way, _ in ways() if re.fullmatch(r"[\d#]{4}", way)]
    assert years
    for way in years:
        same = re.compile(way.replace("#", r"[\d#]"))
        assert [other for other in years if same.fullmatch(other)] == [way]


def test_a_slot_stands_once_at_an_end_of_a_way_and_in_both_recipes() -> None:
    for name, concept in TABLE.items():
        slotted = {SLOT in way for way in concept["en"] + concept["zh"]}
        recipes = {SLOT in concept["do_en"], SLOT in concept["do_zh"]}
        assert slotted == recipes, name
        assert len(slotted) == 1, name
        for way in concept["en"] + concept["zh"]:
            assert way.count("{") == way.count(SLOT) <= 1, way
            assert SLOT not in way or way.startswith(SLOT) or way.endswith(SLOT), way
            own = way.replace(SLOT, "").strip()
            assert SLOT not in way or len(own) >= (2 if CHINESE.search(way) else 4), way


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_is_planned_edit_by_edit(name: str, language: str) -> None:
    edits = EDITS.split(TABLE[name][f"do_{language}"])
    assert 1 <= len(edits) <= 4
    assert len(done(name, language)) == len(edits)


@pytest.mark.parametrize("name", TABLE)
def test_both_languages_ask_for_the_same_edits(name: str) -> None:
    english, chinese = done(name, "en"), done(name, "zh")
    assert Counter(tool for tool, _ in english) == Counter(tool for tool, _ in chinese)
    for tool, args in english:
        others = [theirs for same, theirs in chinese if same == tool]
        numbers = {key: value for key, value in args.items() if isinstance(value, float)}
        assert any(numbers.items() <= theirs.items() for theirs in others), (tool, args, others)


@pytest.mark.slow  # 1,500 sentences are read
def test_no_way_of_saying_is_a_wish_that_the_tools_know_already() -> None:
    offer = Offer(tuple(registry.running()))
    known = []
    for way, name in ways():
        said = way.replace(SLOT, THINGS["zh" if CHINESE.search(way) else "en"]).replace("#", "5")
        if offer.clause(tokens_of(f"make it look like {said}")) is not None:
            known.append((name, way))
    assert known == []
