"""Feedback about tools binds plans; all else is one more wish."""

from __future__ import annotations

import pytest

import lego.tools  # registers them
from lego.builder.feedback import joined, read
from lego.core.registry import registry
from lego.core.steps import Step
from lego.core.workflow import Workflow

TOOLS = list(registry)


@pytest.mark.parametrize(
    ("said", "without", "wanted", "order"),
    [
        ("don't use segment before inpaint", set(), set(), (("segment", "remove"),)),
        ("do not call segment after remove", set(), set(), (("remove", "segment"),)),
        ("never use remove", {"remove"}, set(), ()),
        ("please use brightness instead of exposure", {"exposure"}, {"brightness"}, ()),
        ("use sharpen, not clarity", {"clarity"}, {"sharpen"}, ()),
        ("don't use the black and white tool", {"black_and_white"}, set(), ()),
        ("不要用 vignette", {"vignette"}, set(), ()),
    ],
)
def test_what_is_said_of_tools_is_read(
    said: str, without: set[str], wanted: set[str], order: tuple[tuple[str, str], ...]
) -> None:
    found = read(said, TOOLS)
    assert (set(found.without), set(found.wanted), found.order) == (without, wanted, order)
    assert found.binds


@pytest.mark.parametrize("said", ["add grain", "apply a vignette", "warmer, please", "not so dark", "使用胶片颗粒", ""])
def test_a_wish_binds_nothing(said: str) -> None:
    assert not read(said, TOOLS).binds


def flow(*tools: str) -> Workflow:
    return Workflow(tuple(Step(f"s{n}", tool, {}) for n, tool in enumerate(tools, 1)), f"$s{len(tools)}")


def test_plans_that_break_it_are_told_in_sentences() -> None:
    found = read("don't use segment before inpaint", TOOLS)
    assert list(found.faults(flow("segment", "remove"))) == [
        "the user does not want 'segment' to be used before 'remove'"
    ]
    assert not list(found.faults(flow("remove", "segment")))
    assert not list(found.faults(flow("segment_box", "remove")))
    other = read("use brightness instead of exposure", TOOLS)
    assert len(list(other.faults(flow("exposure")))) == 2
    assert not list(other.faults(flow("brightness")))


def test_a_further_wish_is_said_after_the_first() -> None:
    assert joined("warm it up.", "add grain") == "warm it up, then add grain"
    assert joined("调暖。", "加颗粒") == "调暖，然后加颗粒"
