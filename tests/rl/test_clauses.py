"""One wish filled in."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

import lego.tools  # registers the embedded tools
from lego.core.registry import registry
from lego.rl.clauses import Clause, Setting, fill
from lego.rl.phrasings import Phrasing

TOOLS = {tool.name: tool for tool in registry}


def filled(tool: str, text: str, seed: int = 0, language: str = "en", values: Any = (), **more: Any) -> Clause:
    return fill(Phrasing(((tool, tuple(values)),), text), Setting(Random(seed), TOOLS, language, "train", **more))


def test_literal_things_are_what_it_works_on() -> None:
    clause = filled("blur", "blur <the background>")
    assert clause.text == "blur the background"
    assert clause.calls[0].on == "background"
    assert clause.thing == "background"


def test_around_and_keep_leave_a_thing_out() -> None:
    around, kept = filled("blur", "blur all but {around}"), filled("saturation", "more colour, but keep {keep}")
    both = filled("saturation", "more colour in {thing}, but keep {keep}")
    assert around.calls[0].on.startswith("not: ")
    assert kept.calls[0].on.startswith("not: ")
    assert both.calls[0].on in both.text
    assert both.calls[0].but in both.text
    assert both.calls[0].but


def test_it_is_the_thing_of_the_clause_before() -> None:
    clause = filled("blur", "blur {thing}", before="red car")
    assert clause.text == "blur it"
    assert clause.calls[0].on == "red car"


def test_what_the_user_drew_is_what_it_works_on() -> None:
    for seed in range(10):
        assert filled("recolor", "make {thing} {color}", seed, drawn=True).calls[0].on == "mask"
    assert filled("blur", "blur {it}", drawn=True).calls[0].on == "mask"
    assert filled("crop", "crop it {ratio}", drawn=True).calls[0].on == ""


def test_a_thing_named_by_its_place_is_a_box() -> None:
    clause = filled("remove", "remove {thing}", spot=("1 2 300 400", "left"))
    assert clause.calls[0].on == "box: 1 2 300 400"
    assert "left" in clause.text


def test_degrees_change_the_usual_amount() -> None:
    amounts = {filled("contrast", "add contrast {deg2}", seed).calls[0].args.get("contrast") for seed in range(30)}
    assert amounts == {None, 10.0, 40.0}


@pytest.mark.parametrize(
    ("tool", "text"),
    [("crop", "crop {thing}"), ("remove", "remove"), ("recolor", "recolour <the car>"), ("blur", "{hue}")],
)
def test_what_does_not_fit_the_tool_is_refused(tool: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be aimed|needs|no slot"):
        filled(tool, text)
