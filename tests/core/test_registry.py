"""Tools from functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import Field, ValidationError

from lego.core.errors import StepError, ToolDefinitionError
from lego.core.registry import Registry, registry, tool
from lego.core.signature import Color, Context
from lego.core.values import Image, Mask

pytestmark = pytest.mark.usefixtures("forgetful")


class Pair(NamedTuple):
    image: Image
    mask: Mask


def test_the_card_is_made_from_the_signature() -> None:
    @tool(phrases={"glow": {"amount": 0.3}, "glow {tint}": {}})
    def rt_glow(
        image: Image,
        mask: Mask | None = None,
        amount: Annotated[float, Field(ge=0, le=1, description="how much", json_schema_extra={"unit": "%"})] = 0.5,
        tint: Color = "red",
        mode: Literal["soft", "hard"] = "soft",
        *,
        context: Context,
    ) -> Pair:
        """Let it glow. The rest is for people."""
        raise AssertionError

    card = registry["rt_glow"].card
    assert card["description"] == "Let it glow."
    assert card["scope"] == "local"
    assert card["parameters"]["required"] == ["image"]
    properties = card["parameters"]["properties"]
    assert list(properties) == ["image", "mask", "amount", "tint", "mode"]
    assert properties["amount"] == {
        "type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.01, "description": "how much", "unit": "%",
        "default": 0.5,
    }  # fmt: skip
    assert properties["mode"]["enum"] == ["soft", "hard"]
    assert card["outputs"] == [{"name": "image", "kind": "image"}, {"name": "mask", "kind": "mask"}]
    assert registry["rt_glow"].context == "context"


def test_all_faults_of_a_definition_are_reported_together_with_their_lines() -> None:
    def rt_bad(  # type: ignore[no-untyped-def]
        image,
        *more: Any,
        amount: float,
        count: Annotated[int, Field(ge=0, le=3)] = 7,
        table: dict[str, int] | None = None,
    ) -> dict[str, int]:
        raise AssertionError

    with pytest.raises(ToolDefinitionError) as caught:
        tool(phrases={"go {where}": {"what": 1}})(rt_bad)
    faults = caught.value.details["faults"]
    assert len(faults) == 9
    first = rt_bad.__code__.co_firstlineno
    assert faults[0].startswith(f"{first + 1}: parameter 'image' has no type")
    assert faults[3].startswith(f"{first + 4}: parameter 'count' has the default 7")
    assert "rt_bad" not in registry


def test_a_name_that_is_taken_is_refused_with_both_places() -> None:
    def rt_one(image: Image) -> Image:
        """Do one thing."""
        return image

    tool(rt_one)
    tool(rt_one)  # running the same definition again, as notebooks do, replaces it

    def other() -> Any:
        def rt_one(image: Image) -> Image:
            """Do another."""
            return image

        return rt_one

    with pytest.raises(ToolDefinitionError, match=r"taken by the tool at .*test_registry"):
        tool(other())


def test_an_engine_must_have_the_parameters_of_its_tool() -> None:
    @tool
    def rt_two(image: Image, amount: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Image:
        """Do two."""
        return image

    with pytest.raises(ToolDefinitionError, match="parameters differ"):

        @rt_two.engine("wrong")
        def _(image: Image, amount: Annotated[float, Field(ge=0, le=2)] = 0.5) -> Image:
            return image


def test_the_best_engine_that_can_run_is_chosen_with_a_reason(small: Image) -> None:
    @tool
    def rt_three(image: Image) -> Image:
        """Do three."""
        return image

    @rt_three.engine("better", requires=("a_module_that_nobody_has",))
    def _(image: Image) -> Image:
        raise AssertionError

    engine, reason = rt_three.choose()
    assert engine.name == "embedded"
    assert "a_module_that_nobody_has" in reason
    assert rt_three(small) is small

    @rt_three.engine("best", requires=("json",))
    def _(image: Image) -> Image:
        return Image(255 - image.pixels)

    assert rt_three.choose()[0].name == "best"
    assert rt_three(small) != small


def test_bounds_and_choices_and_colours_are_enforced() -> None:
    @tool
    def rt_four(
        image: Image, amount: Annotated[float, Field(ge=0, le=1)], tint: Color, mode: Literal["a", "b"]
    ) -> Image:
        """Do four."""
        return image

    amount, tint, mode = rt_four.params[1:]
    assert amount.validate(1) == 1.0
    assert tint.validate("Teal") == "#008080"
    for param, value in (
        (amount, 1.1),
        (amount, "1"),
        (amount, float("nan")),
        (tint, "bluish"),
        (mode, "c"),
        (amount, True),
    ):
        with pytest.raises(ValidationError):
            param.validate(value)


def test_a_file_of_tools_is_loaded_and_a_broken_one_leaves_nothing_behind(tmp_path: Path) -> None:
    good = tmp_path / "mine.py"
    good.write_text(
        "import lego\n\n@lego.tool\ndef rt_mine(image: lego.Image) -> lego.Image:\n"
        "    '''Do mine.'''\n    return image\n"
    )
    assert [t.name for t in registry.load(good)] == ["rt_mine"]
    registry.remove("rt_mine")
    bad = tmp_path / "bad.py"
    bad.write_text(good.read_text() + "\n1 / 0\n")
    with pytest.raises(ToolDefinitionError, match=r"line 8.*ZeroDivisionError"):
        registry.load(bad)
    assert "rt_mine" not in registry
    (tmp_path / "empty.py").write_text("")
    for name in ("empty.py", "missing.py"):
        with pytest.raises(ToolDefinitionError):
            registry.load(tmp_path / name)


def test_the_nearest_name_is_offered() -> None:
    box = Registry()

    @tool
    def rt_brighten(image: Image) -> Image:
        """Make it brighter."""
        return image

    box.add(rt_brighten)
    assert box.nearest("rt_brigten") == "rt_brighten"
    assert box.nearest("zzz") is None


def test_a_card_alone_has_no_engine_until_one_is_given(small: Image) -> None:
    @tool(abstract=True)
    def rt_card(image: Image) -> Image:
        """Do what nothing here can."""
        raise AssertionError

    assert not rt_card.runs()
    assert "rt_card" not in registry.running()
    with pytest.raises(StepError, match="'rt_card' cannot run here"):
        rt_card(small)

    @rt_card.engine("plain")
    def _(image: Image) -> Image:
        return Image(255 - image.pixels)

    assert "rt_card" in registry.running()
    assert rt_card(small) == Image(255 - small.pixels)
