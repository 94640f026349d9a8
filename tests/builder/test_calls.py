"""Calls: what workflow they mean, and back."""

from __future__ import annotations

from typing import Any

import pytest

from lego.builder.calls import Call, calls_of, workflow_of
from lego.core.errors import WorkflowError
from lego.core.registry import registry
from lego.core.workflow import Workflow

ASKED: list[tuple[list[Call], tuple[str, ...]]] = [
    ([Call(tool="exposure", args={"exposure": 0.5})], ()),
    ([Call(tool="remove", on="red car"), Call(tool="crop", args={"ratio": "1:1"}), Call(tool="blur", on="sky")], ()),
    ([Call(tool="blur", on="not: dog"), Call(tool="saturation", on="dog", args={"saturation": 30.0})], ()),
    ([Call(tool="saturation", on="sky", but="the birds")], ()),
    ([Call(tool="remove", on="box: 100 200 300 400")], ()),
    ([Call(tool="blur", on="mask"), Call(tool="remove", on="not: mask")], ("mask",)),
    ([Call(tool="paste")], ("reference",)),
    ([Call(tool="collage")], ("reference", "reference2")),
    ([Call(tool="before_after"), Call(tool="describe")], ()),
    ([Call(tool="segment", args={"target": "$100 note"})], ()),
    ([Call(tool="add_text", args={"text": "$5"})], ()),
]
KINDS = {"image": "image", "mask": "mask", "reference": "image", "reference2": "image"}


@pytest.mark.parametrize(("calls", "given"), ASKED)
def test_calls_mean_a_valid_workflow_and_come_back_from_it(calls: list[Call], given: tuple[str, ...]) -> None:
    flow = workflow_of(calls, registry, given)
    assert not flow.check(registry, {name: KINDS[name] for name in ("image", *given)})
    assert calls_of(flow, registry, given) == calls


def test_a_thing_is_looked_for_once_and_before_its_colours_change() -> None:
    flow = workflow_of([Call(tool="blur", on="dog"), Call(tool="sharpen", on="dog")], registry)
    assert [step.tool for step in flow.steps] == ["segment", "blur", "sharpen"]
    assert flow.steps[0].args["image"] == "$image"


def test_after_a_crop_things_are_looked_for_in_the_cropped_picture() -> None:
    flow = workflow_of([Call(tool="crop", args={"ratio": "1:1"}), Call(tool="remove", on="dog")], registry)
    assert flow.steps[1].args == {"image": "$s1", "target": "dog"}


def test_a_drawn_box_is_tightened_for_tools_that_work_on_one_thing_only() -> None:
    thing = workflow_of([Call(tool="recolor", args={"color": "#ff0000"}, on="mask")], registry, ("mask",), boxed=True)
    area = workflow_of([Call(tool="blur", on="mask")], registry, ("mask",), boxed=True)
    assert [step.tool for step in thing.steps] == ["mask_refine", "recolor"]
    assert [step.tool for step in area.steps] == ["blur"]
    assert calls_of(thing, registry, ("mask",), boxed=True)[0].on == "mask"


def test_a_tool_that_is_not_there_is_named() -> None:
    with pytest.raises(WorkflowError, match="there is no tool 'fly'"):
        workflow_of([Call(tool="fly")], registry)


def test_no_calls_are_a_workflow_without_steps() -> None:
    flow = workflow_of([], registry)
    assert flow.dump() == {"version": 1, "steps": [], "result": "$image"}
    assert calls_of(flow, registry) == []


def test_a_workflow_that_calls_cannot_say_is_refused() -> None:
    data: dict[str, Any] = {
        "version": 1,
        "steps": [
            {"id": "s1", "tool": "segment", "args": {"image": "$image", "target": "a"}},
            {"id": "s2", "tool": "segment", "args": {"image": "$image", "target": "b"}},
            {"id": "s3", "tool": "mask_union", "args": {"first": "$s1", "second": "$s2"}},
            {"id": "s4", "tool": "blur", "args": {"image": "$image", "mask": "$s3"}},
        ],
        "result": "$s4",
    }
    with pytest.raises(WorkflowError, match="cannot be said"):
        calls_of(Workflow.load(data), registry)
