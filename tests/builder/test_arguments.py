"""Arguments: what letters say of a card's parameters, with a reader whose words lie on axes of their own."""

from __future__ import annotations

import numpy as np
import pytest

from lego.builder.arguments import KINDS, LEVELS, ROWS, SIZE, Reader, options, overlap, rows
from lego.core.signature import Param
from lego.rl.invented import tool_of

SEA = tool_of(
    "[sea_state] Make the sea calm or rough. | waves: choice calm|choppy|big_storm = calm; foam: number 0..9 = 2; "
    "gulls: boolean = false; tint: color = #88aacc; sign: text"
)


def param(name: str) -> Param:
    found = SEA.param(name)
    assert found is not None
    return found


@pytest.fixture
def reader() -> Reader:
    """Knows a word for still water, two for rough water and one for birds, each on the axis of what it means."""
    weights = np.zeros((ROWS, SIZE), np.int8)
    for number, texts in enumerate((("calm",), ("big storm", "surf", "gale"), ("gulls", "birds"))):
        for text in texts:
            weights[rows(text)] = 0
            weights[rows(text), number] = 100
    kinds = np.zeros((len(KINDS), SIZE), np.float32)
    kinds[0, -1] = kinds[KINDS.index("<no!>"), -2] = 1000
    return Reader(
        weights, np.ones(SIZE, np.float32), kinds, np.zeros(len(KINDS), np.float32), np.array([10, 0, 0], np.float32)
    )


def likeliest(reader: Reader, text: str, name: str) -> str:
    """The token, or the kind, of what a text says of a parameter."""
    option = options(param(name))[int(reader.shares(text, param(name)).argmax())]
    return option.token or option.kind


def test_what_may_be_said_of_a_parameter_depends_on_its_kind() -> None:
    assert [option.token for option in options(param("waves"))] == ["", "<c_0>", "<c_1>", "<c_2>"]
    assert options(param("waves"))[3].choice == "big storm"
    assert [option.kind for option in options(param("foam"))] == ["", "said", *LEVELS]
    assert [option.token for option in options(param("gulls"))] == ["", "<yes>", "<no!>"]
    assert [option.kind for option in options(param("tint"))] == [option.kind for option in options(param("sign"))]


def test_words_say_the_option_that_they_are_near_to(reader: Reader) -> None:
    assert likeliest(reader, "surf", "waves") == likeliest(reader, "gale", "waves") == "<c_2>"
    assert likeliest(reader, "calm", "waves") == "<c_0>"
    assert likeliest(reader, "birds", "gulls") == "<yes>"
    shares = reader.shares("birds", param("waves"))
    assert float(shares.sum()) == pytest.approx(1)
    assert float(reader.shares("!?", param("waves")).sum()) == pytest.approx(1)  # no letters: no likelihood is lost


def test_letters_of_a_name_count_as_far_as_was_learned(reader: Reader) -> None:
    def blank(*sharp: float) -> Reader:
        """Knows no letters."""
        nothing = np.zeros_like(reader.weights)
        return Reader(nothing, reader.scale, reader.kinds, reader.bias, np.array(sharp, np.float32))

    tint = param("tint")
    assert blank(10, 0, 0).shares("tint", tint)[0] == blank(10, 0, 1).shares("xx", tint)[0] == 0.5
    assert blank(10, 0, 1).shares("tint", tint)[0] < 0.01
    assert likeliest(blank(10, 1, 0), "it gets choppy", "waves") == "<c_1>"
    assert overlap("choppy", set(rows("choppy sea").tolist())) > 0.9
    assert overlap("", {1, 2}) == 0
