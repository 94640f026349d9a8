"""Cards of tools that do not exist."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from lego.core.errors import ToolDefinitionError
from lego.core.registry import Tool, registry
from lego.core.values import Image
from lego.rl.invented import shuffled, tool_of


def test_a_card_becomes_a_tool_with_that_signature() -> None:
    tool = tool_of(
        "[knit] Turn it into wool. | mask!; rows: integer 1..90 = 20; heat: number -2..2 stops = 0.5; "
        "tone: color = #ff0000; words: text; stitch: choice small|large = large; loose: boolean = true"
    )
    assert [p.name for p in tool.params] == ["image", "mask", "words", "rows", "heat", "tone", "stitch", "loose"]
    assert tool.scope == "local"
    rows, heat, stitch = (tool.param(name) for name in ("rows", "heat", "stitch"))
    assert rows is not None
    assert heat is not None
    assert stitch is not None
    assert (rows.low, rows.high, rows.default) == (1, 90, 20)
    assert (heat.unit, heat.default) == ("stops", 0.5)
    assert (stitch.choices, stitch.default) == (("small", "large"), "large")
    assert tool.name not in registry


def test_another_order_of_a_card_makes_the_same_tool() -> None:
    card = "[paint] Paint. | mask; size: number 1..9 px = 3; kind: choice oil|ink|chalk; dry: boolean = true; by: text"

    def told(tool: Tool[..., Any]) -> set[tuple[object, ...]]:
        return {(p.name, p.kind, p.default, frozenset(p.choices), p.low, p.high, p.required) for p in tool.params}

    tools = [tool_of(shuffled(card, Random(seed))) for seed in range(12)]
    assert all(told(tool) == told(tool_of(card)) for tool in tools)
    assert all(tool.sentence == "Paint." for tool in tools)
    assert len({tuple(p.name for p in tool.params) for tool in tools}) > 3
    kinds = [tool.param("kind") for tool in tools]
    assert len({kind.choices for kind in kinds if kind}) > 3
    assert shuffled("[plain] Do it.", Random(1)) == "[plain] Do it."


def test_run_it_gives_the_picture_back() -> None:
    picture = Image(np.zeros((2, 2, 3), np.uint8))
    assert tool_of("[knit] Turn it into wool.")(picture) is picture


@pytest.mark.parametrize(
    ("card", "why"),
    [("knit it", "no card"), ("[knit] Wool. | rows 20", "no parameter"),
     ("[knit] Wool. | rows: number = 2", "no range"), ("[knit] Wool. | rows: number 0..1 = 7", "faults")],
)  # fmt: skip
def test_what_is_no_card_is_refused_with_the_reason(card: str, why: str) -> None:
    with pytest.raises(ToolDefinitionError, match=why):
        tool_of(card)
