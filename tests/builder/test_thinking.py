"""Thinking: abstract words become concrete ones, concrete words stay, and a model is asked where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import lego.tools  # registers them
from lego.builder.base import Request
from lego.builder.thinking import Thinker, load, ways
from lego.core.errors import SettingsError
from lego.core.registry import registry
from lego.core.values import Image

PICTURE = Image(np.zeros((30, 40, 3), np.uint8))
MINE = """
[seventies]
en = ["My Seventies"]
zh = ["我的七十年代"]
do_en = "warm it up"
do_zh = "调暖"
why = "because"
[thirsty]
en = ["{thing} lacks water", "a thirsty {thing}"]
do_en = "turn {thing} brown"
why = "leaves wilt"
"""


def request(words: str) -> Request:
    return Request(PICTURE, words, tuple(registry))


def thought(words: str, thinker: Thinker | None = None) -> str | None:
    found = (thinker or Thinker()).think(request(words))
    return found.concrete if found else None


@pytest.fixture
def mine(tmp_path: Path) -> Thinker:
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    return Thinker(file)


@pytest.mark.parametrize(
    "words",
    ["make it look like it was shot in 1975", "As if it was taken in 1975!", "give it a 1975 look", "像1975年拍的"],
)
def test_a_concept_is_known_whatever_leads_to_it(words: str) -> None:
    concept = load(Path(lego.__file__).parent / "builder/concepts.toml")["seventies"]
    assert thought(words) == (concept.do_en if words.isascii() else concept.do_zh)


@pytest.mark.parametrize(
    "words",
    [
        "warm it up", "turn the red cup blue", "add snow", "put a cloud in the sky", "remove the sign of 1975",
        "write '1975' at the bottom", "把天空变暖", "add a dog in 1975", "", "darken the night sky", "加一场雪吗",
    ],
)  # fmt: skip
def test_what_is_concrete_or_holds_more_than_the_concept_stays(words: str) -> None:
    assert thought(words) is None


def test_only_the_abstract_clause_is_rewritten(mine: Thinker) -> None:
    assert thought("make it look like my seventies and crop to a square", mine) == "warm it up, crop to a square"
    assert thought("crop to a square, then make it look like my seventies", mine) == "crop to a square, warm it up"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("this leaf lacks water", "turn the leaf brown"),
        ("make it look like my oak tree lacks water", "turn the oak tree brown"),
        ("it lacks water", None), ("the picture lacks water", None), ("a thirsty plant", "turn the plant brown"),
    ],
)  # fmt: skip
def test_a_concept_may_be_said_of_a_thing(mine: Thinker, words: str, wanted: str | None) -> None:
    assert thought(words, mine) == wanted


def test_a_file_adds_concepts_and_replaces_ours(mine: Thinker) -> None:
    assert thought("my seventies", mine) == "warm it up"
    assert thought("make it look like it was shot in 1975", mine) is None  # this concept is mine now
    assert thought("make it look like midnight", mine)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[x", "cannot be read"),
        ('[x]\nen = ["a"]\ndo_en = "b"', "why"),
        ('[x]\nen = []\ndo_en = "b"\nwhy = "c"', "en"),
        ('[x]\nen = ["a"]\ndo_en = "b"\nwhy = "c"\nzz = 1', "zz"),
    ],
)  # fmt: skip
def test_a_broken_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=told) as caught:
        Thinker(file)
    assert "broken.toml" in caught.value.where
    with pytest.raises(SettingsError, match="cannot be read"):
        Thinker(tmp_path / "none.toml")


def test_every_way_of_saying_leads_to_its_own_concept() -> None:
    thinker = Thinker()
    for name, concept in thinker.concepts.items():
        for way, done in ways(concept):
            english = way.isascii() or "é" in way
            thing = "the red cup" if english else "红色的杯子"
            if "珊瑚" in way:  # two concepts speak of corals
                continue
            found = thinker.known(way.replace("#", "5").replace("{thing}", thing))
            assert found, (name, way)
            assert found.concrete == done.replace("{thing}", thing), (name, way)


def test_what_a_network_here_can_paint_is_left_to_it() -> None:
    here = tuple(registry.running())
    assert Thinker().think(Request(PICTURE, "变成冬天", here))  # a hint of winter, where nothing can paint one
    assert Thinker().think(Request(PICTURE, "变成冬天", (*here, registry["instruct_edit"]))) is None


class Model:
    name = "model"

    def __init__(self, answer: str) -> None:
        self.answer, self.asked = answer, list[tuple[str, Sequence[Image]]]()

    def say(
        self, words: str, images: Sequence[Image] = (), *, tokens: int = 0, temperature: float = 0.0, seed: int = 0
    ) -> str:
        self.asked.append((words, images))
        return self.answer


def test_a_model_is_asked_with_the_picture_about_abstract_words_only() -> None:
    model = Model("turn the leaf's edges brown")
    thinker = Thinker(talker=model)
    assert thought("this leaf lacks potassium", thinker) == "turn the leaf's edges brown"
    words, images = model.asked[0]
    assert list(images) == [PICTURE]
    assert '"this leaf lacks potassium"' in words
    assert thought("warm it up", thinker) is None
    assert len(model.asked) == 1


@pytest.mark.parametrize("answer", ["", "This Leaf lacks potassium", "x" * 5000])
def test_an_answer_that_says_nothing_new_changes_nothing(answer: str) -> None:
    assert thought("this leaf lacks potassium", Thinker(talker=Model(answer))) is None
