"""A workflow told in words: what it does, where, with what, and nothing that it does not do."""

from __future__ import annotations

from typing import Any

import pytest

import lego.tools  # registers the embedded tools
from lego.core.errors import WorkflowError
from lego.core.registry import registry
from lego.core.workflow import Workflow
from lego.rl.wording import color_name, deeds, describe


def flow(*steps: tuple[str, str, dict[str, Any]], result: str = "") -> Workflow:
    rows = [{"id": name, "tool": tool, "args": args} for name, tool, args in steps]
    return Workflow.load({"version": 1, "steps": rows, "result": result or f"${steps[-1][0]}"})


def test_a_plan_is_told_step_by_step_with_places_and_arguments() -> None:
    told = describe(
        flow(
            ("a", "segment", {"image": "$image", "target": "the red cup"}),
            ("b", "mask_invert", {"mask": "$a"}),
            ("c", "blur", {"image": "$image", "mask": "$b", "radius": 1.5}),
            ("d", "recolor", {"image": "$c", "mask": "$a", "color": "#1f5fd0"}),
            ("e", "exposure", {"image": "$d", "exposure": 0.5}),
            ("f", "add_text", {"image": "$e", "text": 'Say "hi"\nnow', "position": "top left"}),
        ),
        registry,
    )
    lines = told.split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("1. [blur] Blur the picture or a part of it")
    assert 'Where: everything but "the red cup". With radius 1.5 %.' in lines[0]
    assert 'Where: "the red cup". With color blue (#1f5fd0).' in lines[1]
    assert lines[2].endswith("With exposure +0.5 stops.")
    assert 'With text "Say \\"hi\\"\\nnow", position "top left".' in lines[3]


def test_the_same_plan_gives_the_same_text_whatever_its_steps_are_called() -> None:
    first = flow(("a", "flip", {"image": "$image"}), ("b", "sepia", {"image": "$a"}))
    second = flow(("x", "flip", {"image": "$image"}), ("y", "sepia", {"image": "$x"}))
    assert describe(first, registry) == describe(second, registry)


def test_steps_that_no_result_needs_and_the_finding_of_places_are_no_deeds() -> None:
    plan = flow(
        ("a", "segment", {"image": "$image", "target": "sky"}),
        ("b", "sepia", {"image": "$image"}),
        ("c", "blur", {"image": "$image", "mask": "$a"}),
        ("d", "flip", {"image": "$c"}),
    )
    found = deeds(plan, registry)
    assert [deed.bound.step.id for deed in found] == ["c", "d"]
    assert found[0].targets == ("sky",)
    assert found[1].after == {"c"}


def test_a_mask_that_is_asked_for_is_a_deed_and_a_drawn_one_is_the_users() -> None:
    (found,) = deeds(flow(("a", "segment", {"image": "$image", "target": "the dog"})), registry)
    assert found.place == '"the dog"'
    drawn = flow(("a", "remove", {"image": "$image", "mask": "$mask"}))
    given = {"image": "image", "mask": "mask"}
    assert "Where: the part that the user marked." in describe(drawn, registry, given)


@pytest.mark.parametrize(
    ("step", "place"),
    [
        (("m", "mask_union", {"first": "$a", "second": "$b"}), '"cat" and "dog"'),
        (("m", "mask_subtract", {"first": "$a", "second": "$b"}), '"cat" without "dog"'),
        (("m", "mask_intersect", {"first": "$a", "second": "$b"}), '"cat" where it is also "dog"'),
        (("m", "mask_pick", {"mask": "$a", "order": "left"}), 'mask pick, order "left" of "cat"'),
    ],
)
def test_masks_made_of_masks_are_told(step: tuple[str, str, dict[str, Any]], place: str) -> None:
    plan = flow(
        ("a", "segment", {"image": "$image", "target": "cat"}),
        ("b", "segment", {"image": "$image", "target": "dog"}),
        step,
        ("c", "blur", {"image": "$image", "mask": "$m"}),
    )
    assert deeds(plan, registry)[0].place == place


def test_a_deed_done_again_has_the_same_signature_and_one_elsewhere_another() -> None:
    plan = flow(
        ("a", "segment", {"image": "$image", "target": "cat"}),
        ("b", "blur", {"image": "$image", "mask": "$a"}),
        ("c", "blur", {"image": "$b", "mask": "$a"}),
        ("d", "blur", {"image": "$c"}),
    )
    first, second, third = (deed.signature for deed in deeds(plan, registry))
    assert first == second != third


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ("#c8202a", "red"), ("#ff0000", "red"), ("#1f5fd0", "blue"), ("#0000ff", "blue"), ("#f2c81e", "yellow"),
        ("#101010", "black"), ("#fafafa", "white"), ("#808080", "gray"), ("#2e9e4a", "green"), ("#7a4a22", "brown"),
    ],
)  # fmt: skip
def test_colours_have_their_everyday_names(color: str, name: str) -> None:
    assert color_name(color) == name


def test_a_plan_with_problems_is_not_told() -> None:
    with pytest.raises(WorkflowError):
        describe(flow(("a", "no_such_tool", {})), registry)
