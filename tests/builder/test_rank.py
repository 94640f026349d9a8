"""Ranking by letters: the nearest card first, in two languages, in next to no time."""

from __future__ import annotations

import math
import time

import pytest

import lego.tools  # registers the embedded tools
from lego.builder.rank import ROOM, Index, card, grams, offered, rank
from lego.core.registry import registry

TOOLS = list(registry)
INDEX = Index([card(tool) for tool in TOOLS])


def first(query: str, count: int = 1) -> list[str]:
    scores = INDEX.rank(query)
    return [TOOLS[n].name for n in sorted(range(len(TOOLS)), key=lambda n: -scores[n])[:count]]


@pytest.mark.parametrize(
    ("query", "tool"),
    [
        ("sharpening", "sharpen"),
        ("could you please mirror it upside down", "flip"),
        ("take the haze out", "dehaze"),
        ("turn this into a watercolour painting", "watercolor"),
        ("whiter teeth", "whiten_teeth"),
        ("把照片裁剪成正方形", "crop"),
        ("加上水印", "watermark"),
        ("背景虚化", "blur"),
        ("变成素描", "sketch"),
    ],
)
def test_the_card_that_is_meant_comes_first(query: str, tool: str) -> None:
    assert first(query) == [tool]


def test_the_scores_are_those_of_the_formula() -> None:
    documents = ["cat", "cat cat dog"]
    idf = math.log(1 + (2 - 2 + 0.5) / (2 + 0.5))
    lengths = [len(grams(document)) for document in documents]
    mean = sum(lengths) / 2

    def score(often: int, length: int) -> float:
        return idf * often * 2.5 / (often + 1.5 * (0.25 + 0.75 * length / mean))

    each = len(grams("cat"))
    wanted = [each * score(1, lengths[0]), each * score(2, lengths[1])]
    assert rank("cat", documents) == pytest.approx(wanted)


def test_texts_that_share_nothing_have_no_score_and_odd_ones_do_no_harm() -> None:
    assert rank("zzz", ["cat", ""]) == [0.0, 0.0]
    assert rank("", ["cat"]) == [0.0]
    assert rank("cat", []) == []
    assert rank("cat", ["", ""]) == [0.0, 0.0]
    assert rank("\U0001f600 \ud800 {}", ["cat"]) == [0.0]


def test_grams_are_of_whole_words_and_of_chinese_characters() -> None:
    assert grams("Cat") == [" ca", "cat", "at ", " cat", "cat "]
    assert grams("变亮it") == ["变", "亮", "变亮", " it", "it ", " it "]


def test_a_hundred_cards_are_ranked_in_under_a_millisecond() -> None:
    assert len(TOOLS) >= 100
    query = "make the red car on the left a little brighter, then blur everything but the people, 然后裁成正方形"
    times = []
    for _ in range(50):
        start = time.perf_counter()
        INDEX.rank(query)
        times.append(time.perf_counter() - start)
    assert min(times) < 1e-3  # the least of many: other work on the machine is not what is measured


def test_while_there_is_room_all_cards_are_offered() -> None:
    assert offered(tuple(TOOLS), "sharpen it") == tuple(TOOLS)


def test_of_too_many_cards_the_nearest_and_those_known_longest_are_offered(forgetful: None) -> None:
    from lego.rl.invented import tool_of

    kinds = ["moss", "rust", "frost", "soot", "dew", "sand", "snow", "lava"]
    many = [tool_of(f"[{kind}_{n}] Cover the thing number {n} in {kind} as if it stood there for {n} years.")
            for n in range(60) for kind in kinds]  # fmt: skip
    tools = (*TOOLS, *many)
    found = offered(tools, "cover it in lava as number 41")
    assert sum(len(tool.line_of_prompt) for tool in found) <= ROOM
    assert set(TOOLS) <= set(found)
    assert "lava_41" in [tool.name for tool in found]
    assert len(found) < len(tools)
    assert [tools.index(tool) for tool in found] == sorted(tools.index(tool) for tool in found)
