"""Looking at scenes: lists of what is where, in the form of small models, in place of a share of the instructions."""

from __future__ import annotations

import itertools
import re
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

import lego.tools
from lego.builder.spelling import GRID
from lego.core.registry import registry
from lego.rl import looking, scenes, supply
from lego.rl.looking import Look, look
from lego.rl.recipe import Data

THING = re.compile(r"<box><l_(\d+)><l_(\d+)><l_(\d+)><l_(\d+)> (\w+) (\w+)")


def listed(answer: str) -> list[tuple[list[int], str, str]]:
    """Left, right, top, bottom on the grid, colour and shape of each thing."""
    found = THING.findall(answer)
    assert "".join(f"<box><l_{a}><l_{b}><l_{c}><l_{d}> {e} {f}" for a, b, c, d, e, f in found) == answer
    return [([int(side) for side in sides], color, shape) for *sides, color, shape in found]


def test_all_things_are_listed_where_they_are_and_in_the_order_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[scenes.Scene] = []
    make = scenes.make

    def noted(seed: int, least: int, most: int) -> scenes.Scene:
        made.append(make(seed, least, most))
        return made[-1]

    monkeypatch.setattr(scenes, "make", noted)
    orders = {
        "left": lambda box: box[0] + box[1], "right": lambda box: -box[0] - box[1], "top": lambda box: box[2] + box[3],
        "bottom": lambda box: -box[2] - box[3],
    }  # fmt: skip
    seen = set()
    for number in range(300):
        monkeypatch.setattr(looking, "spot", lambda random, order, language: order)
        _, prompt, answer = look(Random(number))
        order = prompt.removeprefix("<user>look ").removesuffix("<asst>")
        things = listed(answer)
        scene = made[-1]
        assert sorted((color, shape) for _, color, shape in things) == sorted((i.color, i.shape) for i in scene.items)
        for (left, right, top, bottom), color, shape in things:
            near = [i for i in scene.items if (i.color, i.shape) == (color, shape)]
            middles = [
                abs((left + right) / 2 / (GRID - 1) - i.x) + abs((top + bottom) / 2 / (GRID - 1) - i.y) for i in near
            ]
            assert min(middles) < 0.08
        if order in orders:
            keys = [orders[order](box) for box, _, _ in things]
            assert all(a <= b + 1 for a, b in itertools.pairwise(keys))  # the grid is coarse
        seen.add((order, len(things)))
    assert {order for order, _ in seen} == {"left", "right", "top", "bottom", "largest", "smallest"}
    assert {count for _, count in seen} == {1, 2, 3, 4}


def test_the_words_are_those_that_instructions_use() -> None:
    prompts = {look(Random(number))[1] for number in range(400)}
    assert any("the lowest object" in prompt for prompt in prompts)
    assert any("最左边的" in prompt for prompt in prompts)


def form(name: str) -> Any:
    return SimpleNamespace(
        name=name, write=lambda flow, request, thought: "plan", prompt=lambda request: request.instruction
    )


def test_a_share_of_the_instructions_gives_way_and_every_run_has_the_same() -> None:
    def kinds(data: Data, name: str = "pointing", window: int = 0) -> list[str]:
        found = supply.examples(data, registry, form(name), window, 50)
        return [e.prompt for e in itertools.islice(found, 200)]

    half = kinds(Data(look=0.5))
    looks = [prompt.startswith("<user>look ") for prompt in half]
    assert 70 < sum(looks) < 130
    assert kinds(Data(look=0.5)) == half
    assert kinds(Data(look=0.5), window=1)[:150] == half[50:]
    assert not any(prompt.startswith("<user>look ") for prompt in kinds(Data()) + kinds(Data(look=0.5), "json"))


def test_what_is_read_without_its_picture_is_never_a_look() -> None:
    found = supply.examples(Data(look=0.9, plain=100), registry, form("pointing"), 0, 50)
    first = list(itertools.islice(found, 150))
    assert not any(isinstance(e.task, Look) for e in first[:100])
    assert any(isinstance(e.task, Look) for e in first[100:])
