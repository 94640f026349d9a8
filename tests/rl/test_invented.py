"""Cards of tools that do not exist."""

from __future__ import annotations

import numpy as np
import pytest

from lego.core.errors import ToolDefinitionError
from lego.core.registry import registry
from lego.core.values import Image
from lego.rl.invented import tool_of


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
