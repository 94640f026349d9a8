"""Reading, checking and binding workflows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import Field

from lego.core import registry as registries
from lego.core.errors import WorkflowError
from lego.core.registry import Registry, tool
from lego.core.signature import Color
from lego.core.steps import Ref, Step
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow


class Found(NamedTuple):
    image: Image
    mask: Mask
    caption: str


@pytest.fixture
def box(forgetful: None) -> Registry:
    """Three tools of every shape."""

    @tool
    def wf_find(image: Image, words: Annotated[str, Field(max_length=20)]) -> Found:
        """Find a thing."""
        raise AssertionError

    @tool
    def wf_paint(
        image: Image,
        mask: Mask | None = None,
        amount: Annotated[float, Field(ge=0, le=1)] = 0.5,
        color: Color = "red",
        mode: str = "soft",
        boxes: list[Annotated[int, Field(ge=0, le=9)]] | None = None,
    ) -> Image:
        """Paint it."""
        raise AssertionError

    @tool
    def wf_stack(images: list[Image]) -> Image:
        """Put pictures on each other."""
        raise AssertionError

    kept = Registry()
    for name in ("wf_find", "wf_paint", "wf_stack"):
        kept.add(registries.registry[name])
    return kept


def flow(*steps: tuple[str, str, dict[str, Any]], result: Any = "$a") -> Workflow:
    return Workflow(tuple(Step(*step) for step in steps), result)


def codes(workflow: Workflow, box: Registry, **given: str) -> list[tuple[str, str, str]]:
    return [(p.step, p.arg, p.code) for p in workflow.check(box, {"image": "image", **given})]


def test_a_sound_workflow_has_no_problems_and_binds_with_defaults(box: Registry) -> None:
    workflow = flow(
        ("a", "wf_find", {"image": "$image", "words": "$$5 note"}),
        ("b", "wf_paint", {"image": "$a.image", "mask": "$a.mask", "amount": 1}),
        ("c", "wf_stack", {"images": ["$b", "$image"]}),
        result=["$c", "$a.mask"],
    )
    assert workflow.check(box) == []
    bound, results = workflow.bind(box)
    assert bound[0].args["words"] == "$5 note"
    assert isinstance(bound[1].args["amount"], float)
    assert bound[1].args == {
        "image": Ref("a", "image"), "mask": Ref("a", "mask"), "amount": 1.0, "color": "#ff0000", "mode": "soft",
        "boxes": None,
    }  # fmt: skip
    assert bound[2].needs == ("b",)
    assert results == (Ref("c", "image"), Ref("a", "mask"))


def test_every_fault_is_reported_at_once_and_only_where_it_is(box: Registry) -> None:
    workflow = flow(
        ("a", "wf_fnd", {"image": "$image"}),
        ("b", "wf_paint", {"image": "$a", "mask": "$image", "amount": 7, "colour": "red"}),
        ("b", "wf_paint", {"image": "$nobody", "color": "no such colour", "boxes": [1, 99]}),
        ("image", "wf_paint", {"image": "$image", "mode": "x" * 201}),
        ("c", "wf_paint", {}),
        ("d", "wf_paint", {"image": "$5 off"}),
        ("e", "wf_paint", {"image": "a literal"}),
        result="$c.mask",
    )
    assert codes(workflow, box) == [
        ("a", "", "unknown_tool"),
        ("b", "colour", "unknown_arg"),
        ("b", "mask", "wrong_kind"),
        ("b", "amount", "out_of_range"),
        ("b", "", "duplicate_id"),
        ("b", "image", "unknown_reference"),
        ("b", "color", "bad_value"),
        ("b", "boxes", "out_of_range"),
        ("image", "", "bad_id"),
        ("image", "mode", "too_long"),
        ("c", "image", "missing_arg"),
        ("d", "image", "bad_reference"),
        ("e", "image", "wrong_kind"),
        ("", "result", "unknown_output"),
    ]


def test_hints_name_the_nearest_tool_and_parameter(box: Registry) -> None:
    problems = flow(("a", "wf_pant", {}), ("b", "wf_paint", {"image": "$image", "colour": "red"}), result="$b").check(
        box
    )
    assert "did you mean 'wf_paint'" in problems[0].hint
    assert "did you mean 'color'" in problems[1].hint


def test_a_cycle_is_named_as_one(box: Registry) -> None:
    workflow = flow(("a", "wf_paint", {"image": "$b"}), ("b", "wf_paint", {"image": "$a"}))
    assert codes(workflow, box) == [("a", "image", "cycle")]
    assert codes(flow(("a", "wf_paint", {"image": "$a"})), box) == [("a", "image", "cycle")]


def test_a_forward_reference_without_a_cycle_is_told_apart(box: Registry) -> None:
    workflow = flow(("a", "wf_paint", {"image": "$b"}), ("b", "wf_paint", {"image": "$image"}))
    assert codes(workflow, box) == [("a", "image", "forward_reference")]


def test_a_bare_reference_to_several_outputs_is_never_guessed(box: Registry) -> None:
    workflow = flow(
        ("a", "wf_find", {"image": "$image", "words": "x"}), ("b", "wf_paint", {"image": "$a"}), result="$b"
    )
    problem = workflow.check(box)[0]
    assert problem.code == "ambiguous_reference"
    assert "$a.image or $a.mask or $a.caption" in problem.hint


def test_a_mask_that_was_not_given_says_how_to_give_one(box: Registry) -> None:
    workflow = flow(("a", "wf_paint", {"image": "$image", "mask": "$mask"}))
    assert "--mask" in workflow.check(box)[0].hint
    assert workflow.check(box, {"image": "image", "mask": "mask"}) == []


def test_a_text_output_can_feed_a_text_parameter(box: Registry) -> None:
    steps = (
        ("a", "wf_find", {"image": "$image", "words": "x"}),
        ("b", "wf_find", {"image": "$image", "words": "$a.caption"}),
    )
    assert flow(*steps, result="$b.mask").check(box) == []


def test_binding_a_faulty_workflow_raises_with_all_problems(box: Registry) -> None:
    with pytest.raises(WorkflowError) as caught:
        flow(("a", "nothing", {}), ("b", "wf_paint", {})).bind(box)
    assert len(caught.value.details["problems"]) == 2
    assert caught.value.code == "unknown_tool"


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    workflow = flow(("a", "wf_paint", {"image": "$image", "mode": "复古"}), result=("$a", "$image"))
    path = tmp_path / "w.json"
    path.write_text(workflow.json(), encoding="utf-8")
    assert Workflow.load(path) == Workflow.load(workflow.json()) == Workflow.load(workflow.dump()) == workflow
    assert "复古" in workflow.json()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "bad_shape"),
        ('{"version": 2, "steps": [], "result": "$image"}', "bad_version"),
        ('{"version": 1, "steps": [1], "result": "$image"}', "bad_shape"),
        ('{"version": 1, "steps": [], "result": []}', "no_result"),
        ('{"version": 1, "steps": {}, "result": "$image", "more": 1}', "bad_shape"),
        ('{"version": 1, "steps": [{"id": 1, "tool": "x", "args": []}], "result": "$image"}', "bad_shape"),
    ],
)
def test_what_is_no_workflow_is_refused_with_the_place(text: str, code: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        Workflow.load(text)
    assert caught.value.code == code
    assert str(caught.value)


def test_a_very_long_chain_is_checked_without_recursion(box: Registry) -> None:
    steps = [("s0", "wf_paint", {"image": "$image"})]
    steps += [(f"s{n}", "wf_paint", {"image": f"$s{n - 1}"}) for n in range(1, 5000)]
    assert flow(*steps, result="$s4999").check(box) == []
    backwards = [("s0", "wf_paint", {"image": "$s4999"}), *steps[1:]]
    assert codes(flow(*backwards, result="$s4999"), box) == [("s0", "image", "cycle")]


@pytest.mark.parametrize(
    ("images", "code"),
    [
        ([], "wrong_kind"),
        (["$reference"], "unknown_reference"),
        (["$nobody", "$5 off"], "unknown_reference"),
        (["a literal", 3, None], "wrong_kind"),
        ([["$image"]], "wrong_kind"),
    ],
)
def test_a_list_of_pictures_without_any_is_a_problem_and_no_crash(box: Registry, images: list[Any], code: str) -> None:
    assert ("a", "images", code) in codes(flow(("a", "wf_stack", {"images": images})), box)
