"""What the checker of the Lego-Edit dialect says about plans that read well and mean nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lego.core.bricks import BRICKS, Finding
from lego.core.dialect import Parsed, check, parse

ENTRIES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("lego-edit-dialect.json").read_text("utf-8"))
NO_RATIOS = dict.fromkeys(["left_ratio", "right_ratio", "top_ratio", "bottom_ratio"])
RES = ("RES", {"image": "init[image]", "prompt": "cat"}, {"mask": "step1[mask]", "image": "step1[image]"})
Brick = tuple[str, dict[str, Any], dict[str, Any]]


def plan(*bricks: Brick, result: list[str] | None = None, numbers: list[int] | None = None) -> Parsed:
    """Steps numbered from 1, with the last one's first output as result."""
    numbers = numbers or list(range(1, len(bricks) + 1))
    steps: list[dict[str, Any]] = [
        {"step": n, "model": model, "input": inputs, "output": outputs}
        for n, (model, inputs, outputs) in zip(numbers, bricks, strict=True)
    ]
    last = [value for value in bricks[-1][2].values() if value][:1] if bricks else []
    return Parsed("", [*steps, {"result": last if result is None else result}])


def codes(parsed: Parsed, level: str = "error", **options: Any) -> list[str]:
    return [finding.code for finding in check(parsed, **options) if finding.level == level]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: str(e["id"]))
def test_the_corpus_has_no_faults(entry: dict[str, Any]) -> None:
    given = ("image", "mask") if entry["user_mask"] else ("image",)
    assert check(parse(entry["raw"]), given) == []


def test_the_corpus_uses_every_brick() -> None:
    used = {step.get("model") for entry in ENTRIES for step in parse(entry["raw"]).pipeline}
    assert used - {None} == set(BRICKS)
    assert len(BRICKS) == 17


def test_a_finding_is_a_problem_with_a_place_and_a_hint() -> None:
    (finding,) = check(plan(("REZ", {"image": "init[image]"}, {"mask": "step1[mask]"})))
    assert isinstance(finding, Finding)
    assert (finding.step, finding.arg, finding.code, finding.level) == ("step1", "model", "unknown_tool", "error")
    assert "RES" in finding.hint


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image": None}, "missing_arg"),  # their first step without an image is a KeyError
        ({"prompt": None}, "missing_arg"),
        ({"words": "cat"}, "unknown_arg"),
        ({"image": "the photo"}, "wrong_kind"),
        ({"image": "init[image] "}, "wrong_kind"),  # a reference is exact
        ({"image": "init[mask]"}, "wrong_kind"),
        ({"image": "init[photo]"}, "unknown_reference"),
        ({"image": "step7[image]"}, "unknown_reference"),
        ({"image": "step01[image]"}, "unknown_reference"),
        ({"prompt": 5}, "wrong_kind"),
        ({"prompt": True}, "wrong_kind"),
        ({"prompt": ["cat"]}, "wrong_kind"),
        ({"prompt": "init[image]"}, "wrong_kind"),
    ],
)
def test_inputs_are_held_against_the_brick(changes: dict[str, Any], code: str) -> None:
    assert codes(plan((RES[0], RES[1] | changes, RES[2]))) == [code]


@pytest.mark.parametrize(
    "literal",
    [
        "step, the upper one",
        "stepladder [tall]",
        "step1[mask",
        "step1 [mask]",
        "[step1[mask]]",
        "step１[mask]",
        "init[é]",
    ],
)
def test_what_only_looks_like_a_reference_is_a_literal(literal: str) -> None:
    assert check(plan((RES[0], RES[1] | {"prompt": literal}, RES[2]))) == []


def test_a_mask_that_nobody_painted_cannot_be_used() -> None:
    painted = plan(("BBOX", {"mask": "init[mask]"}, {"mask": "step1[mask]"}))
    assert codes(painted) == []
    assert codes(painted, given=("image",)) == ["unknown_reference"]


def test_null_does_not_flow() -> None:
    parsed = plan(
        (RES[0], RES[1], {"mask": None, "image": "step1[image]"}),
        ("BBOX", {"mask": "step1[mask]"}, {"mask": "step2[mask]"}),
        result=["step1[image]", "step2[mask]"],
    )
    assert codes(parsed) == ["null_output"]


def test_an_output_must_be_declared_to_be_used() -> None:
    parsed = plan((RES[0], RES[1], {"mask": "step1[mask]"}), result=["step1[mask]", "step1[image]"])
    assert codes(parsed) == ["unknown_output"]


@pytest.mark.parametrize(
    ("outputs", "code"),
    [
        ({"mask": "step2[mask]"}, "foreign_output"),
        ({"mask": "init[mask]"}, "foreign_output"),
        ({"mask": "the mask"}, "bad_reference"),
        ({"mask": 5}, "bad_reference"),
        ({"caption": "step1[caption]"}, "unknown_output"),
    ],
)
def test_a_step_names_its_own_outputs_only(outputs: dict[str, Any], code: str) -> None:
    parsed = plan((RES[0], RES[1], outputs | {"image": "step1[image]"}), result=["step1[image]"])
    assert codes(parsed) == [code]


def test_an_output_under_another_name_is_a_warning_and_still_resolves() -> None:
    parsed = plan(
        (RES[0], RES[1], {"mask": "step1[region]"}), ("BBOX", {"mask": "step1[region]"}, {"mask": "step2[mask]"})
    )
    assert codes(parsed) == []
    assert codes(parsed, "warning") == ["renamed_output"]


def test_two_steps_with_one_number_are_an_error() -> None:
    parsed = plan(RES, RES, numbers=[1, 1], result=["step1[mask]"])
    assert codes(parsed) == ["duplicate_id"]
    box = ("BBOX", {"mask": "step1[mask]"}, {"mask": "step1[mask]"})
    assert codes(plan(RES, box, numbers=[1, 1])) == ["duplicate_id"]  # the first keeps the name, so there is no cycle


def test_a_reference_to_a_later_step_is_a_warning_because_data_sets_the_order() -> None:
    box = ("BBOX", {"mask": "step1[mask]"}, {"mask": "step2[mask]"})
    parsed = plan(box, RES, numbers=[2, 1], result=["step2[mask]"])
    assert codes(parsed) == []
    assert codes(parsed, "warning") == ["forward_reference"]


def test_steps_that_wait_for_each_other_are_an_error() -> None:
    def box(number: int, other: int) -> Brick:
        return "BBOX", {"mask": f"step{other}[mask]"}, {"mask": f"step{number}[mask]"}

    after = ("BBOX", {"mask": "step2[mask]"}, {"mask": "step3[mask]"})
    (cycle,) = (f for f in check(plan(box(1, 2), box(2, 1), after)) if f.level == "error")
    assert cycle.code == "cycle"
    assert "step 3" not in cycle.message
    assert codes(plan(box(1, 1))) == ["cycle"]


def test_a_step_that_leads_nowhere_is_a_warning() -> None:
    box = ("BBOX", {"mask": "step1[mask]"}, {"mask": "step2[mask]"})
    assert codes(plan(RES, box, result=["step1[mask]"]), "warning") == ["redundant_step"]
    assert codes(plan(RES, box, result=["init[image]"]), "warning") == ["redundant_step", "redundant_step"]


@pytest.mark.parametrize(
    ("result", "code"), [([], "no_result"), (["mask"], "bad_reference"), (["step9[mask]"], "unknown_reference")]
)
def test_a_result_is_a_reference_that_exists(result: list[str], code: str) -> None:
    assert codes(plan(RES, result=result)) == [code]


def test_chinese_prompts_are_a_warning_and_accents_are_not() -> None:
    assert codes(plan((RES[0], RES[1] | {"prompt": "左边的猫"}, RES[2])), "warning") == ["not_english"]
    assert codes(plan((RES[0], RES[1] | {"prompt": "café table, 5 °C"}, RES[2])), "warning") == []


def pair(model: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Parsed:
    names = dict.fromkeys(["mask1", "mask2", "image1", "image2"])
    return plan((model, names | inputs, outputs))


@pytest.mark.parametrize("model", ["INVERSE", "COMPOSE"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        ({"mask1": "init[mask]", "mask2": "init[mask]"}, {"mask": "step1[mask]", "image": None}, []),
        ({"image1": "init[image]", "image2": "init[image]"}, {"image": "step1[image]"}, []),
        ({"mask1": "init[mask]"}, {"mask": "step1[mask]"}, ["missing_arg"]),
        ({"image1": "init[image]"}, {"image": "step1[image]"}, ["missing_arg"]),
        ({"image2": "init[image]"}, {"image": "step1[image]"}, ["missing_arg"]),
        ({}, {"mask": "step1[mask]"}, ["one_kind"]),
        ({"mask2": "init[mask]", "image2": "init[image]"}, {"mask": "step1[mask]"}, ["one_kind"]),
        ({"mask1": "init[mask]", "mask2": "init[mask]"}, {"image": "step1[image]"}, ["one_kind"]),
    ],
)
def test_one_kind_per_call(model: str, inputs: dict[str, Any], outputs: dict[str, Any], expected: list[str]) -> None:
    assert codes(pair(model, inputs, outputs)) == expected


def test_only_inverse_makes_a_complement_of_one_mask() -> None:
    one, out = {"mask2": "init[mask]"}, {"mask": "step1[mask]"}
    assert codes(pair("INVERSE", one, out)) == []
    assert codes(pair("COMPOSE", one, out)) == ["missing_arg"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        ({"mask": "init[mask]", "image": None, "ratio": 0.5}, {"mask": "step1[mask]"}, []),
        ({"mask": "init[mask]", "image": None, "ratio": 0}, {"mask": "step1[mask]"}, ["out_of_range"]),
        ({"mask": "init[mask]", "image": None, "ratio": 2}, {"image": "step1[image]"}, ["one_kind"]),
        ({"mask": "init[mask]", "image": "init[image]", "ratio": 2}, {"mask": "step1[mask]"}, ["one_kind"]),
        ({"mask": None, "image": None, "ratio": 2}, {"mask": "step1[mask]"}, ["one_kind"]),
        ({"mask": "init[mask]", "image": None, "ratio": "2"}, {"mask": "step1[mask]"}, ["wrong_kind"]),
    ],
)
def test_resize_takes_exactly_one(inputs: dict[str, Any], outputs: dict[str, Any], expected: list[str]) -> None:
    assert codes(plan(("RESIZE", inputs, outputs))) == expected


@pytest.mark.parametrize(
    ("ratios", "outputs", "expected"),
    [
        ({}, {"caption": "step1[caption]", "image": None, "mask": None}, []),
        ({}, {"caption": "step1[caption]", "image": "step1[image]", "mask": "step1[mask]"}, ["no_canvas", "no_canvas"]),
        ({"left_ratio": 1.5}, {"image": "step1[image]", "mask": "step1[mask]"}, ["all_or_none"]),
        (dict.fromkeys(NO_RATIOS, 0.5), {"image": "step1[image]", "mask": "step1[mask]"}, ["out_of_range"] * 4),
        (dict.fromkeys(NO_RATIOS, 1), {"image": "step1[image]", "mask": "step1[mask]"}, []),
    ],
)
def test_ratios_are_all_given_or_none(ratios: dict[str, Any], outputs: dict[str, Any], expected: list[str]) -> None:
    assert codes(plan(("CMI-PRED", {"image": "init[image]"} | NO_RATIOS | ratios, outputs))) == expected


def canvas() -> Brick:
    outputs = {name: f"step1[{name}]" for name in ("caption", "image", "mask")}
    return "CMI-PRED", {"image": "init[image]"} | dict.fromkeys(NO_RATIOS, 1.5), outputs


def test_the_mask_of_a_canvas_needs_that_canvas_or_what_was_made_from_it() -> None:
    fill = {"mask": "step1[mask]", "prompt": "step1[caption]", "preimage": None}
    wrong = plan(canvas(), ("FLUX-FILL", fill | {"image": "init[image]"}, {"image": "step2[image]"}))
    assert codes(wrong) == ["canvas_without_mask"]
    dusk = ("FLUX-ENV", {"image": "step1[image]", "prompt": "dusk"}, {"image": "step2[image]"})
    right = plan(canvas(), dusk, ("FLUX-FILL", fill | {"image": "step2[image]"}, {"image": "step3[image]"}))
    assert codes(right) == []
    assert codes(right, "warning") == ["predicted"]


def test_flux_inpaint_needs_its_draft_and_score_and_takes_no_prompt() -> None:
    inputs = {"image": "init[image]", "mask": "init[mask]", "preimage": "init[image]", "score": 0.8}
    out = {"image": "step1[image]"}
    assert codes(plan(("FLUX-INPAINT", inputs, out)), "warning") == ["no_draft"]
    assert codes(plan(("FLUX-INPAINT", inputs | {"prompt": "x"}, out))) == ["unknown_arg"]
    assert codes(plan(("FLUX-INPAINT", inputs | {"score": None, "preimage": None}, out))) == ["missing_arg"] * 2
    assert codes(plan(("FLUX-INPAINT", inputs | {"score": 1.5}, out))) == ["out_of_range"]
    assert codes(plan(("FLUX-INPAINT", inputs | {"score": -0.5}, out))) == ["out_of_range"]


def test_the_place_for_a_new_object_is_used_by_a_flux_brick_and_is_not_another_object() -> None:
    place = {"image": "init[image]", "prompt": "add a hat on the cat", "mask": "step1[mask]"}
    alone = plan(RES, ("ADD-PRED", place, {"mask": "step2[mask]"}))
    assert codes(alone, "warning") == ["no_flux", "object_as_place"]
    erase = ("FASTINPAINT", {"image": "init[image]", "mask": "step1[mask]"}, {"image": "step3[image]"})
    emptied = plan(RES, ("ADD-PRED", place, {"mask": "step2[mask]"}), erase, result=["step2[mask]", "step3[image]"])
    assert codes(emptied, "warning") == ["no_flux"]
    fill = {"image": "init[image]", "mask": "step2[mask]", "prompt": "hat", "preimage": None}
    used = plan(
        RES,
        ("ADD-PRED", place | {"mask": None, "prompt": "hat"}, {"mask": "step2[mask]"}),
        ("FLUX-FILL", fill, {"image": "step3[image]"}),
        result=["step3[image]", "step1[mask]"],
    )
    assert codes(used, "warning") == ["phrase"]


def test_a_new_background_wants_the_inverse_of_the_subject() -> None:
    scene = {"image": "init[image]", "mask": "step1[mask]", "prompt": "a beach"}
    assert codes(plan(RES, ("FLUX-CBG", scene, {"image": "step2[image]"})), "warning") == ["background_mask", "phrase"]


def test_a_style_wants_a_caption_as_prompt() -> None:
    style = {"image": "init[image]", "mask": None, "prompt": "a cat", "style": "oil"}
    assert codes(plan(("FLUX-STYLE", style, {"image": "step1[image]"})), "warning") == ["no_caption"]
    assert codes(plan(("FLUX-STYLE", style | {"style": None}, {"image": "step1[image]"}))) == ["missing_arg"]


def test_a_nullable_input_left_out_and_an_unknown_name_in_a_step_are_warnings() -> None:
    parsed = plan(("ADD-PRED", {"image": "init[image]", "prompt": "add x"}, {"mask": "step1[mask]"}))
    parsed.pipeline[0]["reason"] = "because"
    assert codes(parsed) == []
    assert codes(parsed, "warning")[:2] == ["unknown_key", "missing_arg"]


def test_checking_what_is_nested_deeply_never_raises() -> None:
    text = '{"process": "", "pipeline": [{"step": 1, "model": "RES", "input": {"image": %s}, "output": {"mask": %s}}, '
    nested = "[" * 900 + "]" * 900
    parsed = parse(text % (nested, nested) + '{"result": "[step1[mask]]"}]}')
    assert {"wrong_kind", "bad_reference"} <= set(codes(parsed))
