"""Film looks: recipes that keep a picture whole and differ from one another."""

from __future__ import annotations

import typing
from itertools import combinations

import numpy as np
import pytest

from lego.core.registry import registry
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.executor.contract import check
from lego.tools.looks import LOOKS, SPOKEN, Look, film_look
from lego.tools.pixels import to_lab

GREYS = Image(np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(8, 0).repeat(3, 2))
NAMES = typing.get_args(Look)
WITHOUT_COLOR = ("noir", "pushed black and white", "soft black and white", "landscape black and white")
SPREAD_OUT = ("grain", "vignette", "glow")  # steps that are no curve


@pytest.fixture(scope="module")
def china(photos: typing.Any) -> Image:
    return Image.open(photos / "china.jpg")


def look(image: Image, mask: Mask | None = None, name: Look = "warm film", amount: float = 1.0) -> Image:
    return film_look(image, mask, name, amount, context=Context())


def test_the_contract_holds() -> None:
    assert check(registry["film_look"]) == []


def test_nothing_changes_at_zero(china: Image) -> None:
    assert np.array_equal(look(china, amount=0.0).pixels, china.pixels)


def test_there_are_many_looks_and_every_one_has_a_recipe_and_words() -> None:
    assert set(NAMES) == set(LOOKS) == set(SPOKEN.values())
    assert len(NAMES) >= 20


def test_every_recipe_is_of_registered_tools_with_arguments_that_they_take() -> None:
    for recipe in LOOKS.values():
        for tool, args in recipe:
            assert registry[tool.name] is tool
            for name, value in args.items():
                param = tool.param(name)
                assert param is not None
                param.validate(value)


def test_no_two_looks_are_alike(china: Image) -> None:
    small = Image(np.ascontiguousarray(china.pixels[::4, ::4]))
    done = {name: to_lab(look(small, name=name).pixels) for name in NAMES}
    for first, second in combinations(NAMES, 2):
        assert np.abs(done[first] - done[second]).mean() > 1, (first, second)


@pytest.mark.parametrize("name", NAMES)
def test_looks_keep_the_order_of_greys_and_crush_nothing(name: Look) -> None:
    done = GREYS
    for tool, args in LOOKS[name]:
        done = done if tool.name in SPREAD_OUT else tool(done, **args)
    light = to_lab(done.pixels)[0, :, 0]
    assert (np.diff(light) > -0.8).all()
    assert np.unique(done.pixels[0, :, 1]).size > 110
    assert np.unique(done.pixels[0, :40, 1]).size > 9


@pytest.mark.parametrize("name", WITHOUT_COLOR)
def test_black_and_white_films_have_no_colour(name: Look, china: Image) -> None:
    pixels = look(china, name=name).pixels
    assert (pixels.max(2) == pixels.min(2)).all()


def test_noir_is_darker(china: Image) -> None:
    assert look(china, name="noir").pixels.mean() < china.pixels.mean() - 10


def test_faded_film_has_no_black(china: Image) -> None:
    assert look(china, name="faded").pixels.min() > 15


def test_half_a_look_lies_between(china: Image) -> None:
    whole, half = look(china, name="golden film"), look(china, name="golden film", amount=0.5)
    between = (whole.pixels.astype(float) + china.pixels) / 2
    assert np.abs(half.pixels - between).max() <= 1


def test_a_look_stays_inside_the_mask(china: Image) -> None:
    mask = Mask.from_box(china.size, (100, 50, 300, 250))
    done = look(china, mask, "moonlight")
    assert np.array_equal(done.pixels[mask.pixels == 0], china.pixels[mask.pixels == 0])
    assert done.pixels[mask.pixels == 255].mean() < china.pixels[mask.pixels == 255].mean() - 20
