"""The paper's bricks as our tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lego.core import dialect
from lego.core.brick_translation import color_of
from lego.core.dialect import Parsed, parse
from lego.core.errors import WorkflowError
from lego.core.registry import Registry, registry
from lego.core.steps import Step
from lego.core.workflow import Workflow

ENTRIES = {e["id"]: e for e in json.loads(Path(__file__).with_name("lego-edit-dialect.json").read_text("utf-8"))}
SIDES = ("left", "right", "top", "bottom")
RES = ("RES", {"image": "init[image]", "prompt": "cat"}, {"mask": "step1[mask]", "image": "step1[image]"})
MASKS = {"image1": None, "image2": None}


def translate(*bricks: tuple[str, dict[str, Any], dict[str, Any]], result: list[str] | None = None) -> Workflow:
    steps: list[dict[str, Any]] = [
        {"step": n, "model": model, "input": inputs, "output": outputs}
        for n, (model, inputs, outputs) in enumerate(bricks, 1)
    ]
    return Workflow(*dialect.translate(Parsed("", [*steps, {"result": result or [f"step{len(bricks)}[mask]"]}])))


def of(name: str) -> Workflow:
    return Workflow(*dialect.translate(parse(ENTRIES[name]["raw"])))


def lines(workflow: Workflow) -> dict[str, tuple[str, dict[str, Any]]]:
    return {step.id: (step.tool, dict(step.args)) for step in workflow.steps}


def test_moving_with_a_cut_out_keeps_all_three_results() -> None:
    workflow = of("move-with-cutout")
    assert workflow.result == ("$s1", "$s3", "$s5")
    assert lines(workflow) == {
        "s1": ("segment", {"image": "$image", "target": "scooter"}),
        "s1_cut": ("cut", {"image": "$image", "mask": "$s1", "trim": False}),
        "s3": ("remove", {"image": "$image", "mask": "$s1"}),
        "s4": ("find_room", {"image": "$s3", "thing": "add a parked mint-green scooter at the left kerb"}),
        "s5": (
            "generate_fill",
            {
                "image": "$s3",
                "mask": "$s4",
                "prompt": "a mint-green scooter with a brown seat, parked",
                "picture": "$s1_cut.image",
            },
        ),
    }


def test_a_draft_that_only_served_the_second_erasing_is_left_out_and_noted() -> None:
    notes = of("move-with-cutout").notes
    assert any("step 3 (FLUX-INPAINT)" in note and "score" in note for note in notes)
    assert any("step 2 (FASTINPAINT)" in note and "left out" in note for note in notes)


def test_masks_are_refined_joined_boxed_and_resized() -> None:
    workflow = of("mask-only-result")
    assert workflow.result == "$s5"
    assert lines(workflow) == {
        "s1": ("mask_refine", {"image": "$image", "mask": "$mask"}),
        "s2": ("segment", {"image": "$image", "target": "lantern"}),
        "s3": ("mask_union", {"first": "$s1", "second": "$s2"}),
        "s4": ("mask_box", {"mask": "$s3"}),
        "s5": ("mask_resize", {"mask": "$s4", "factor": 1.1}),
    }
    assert workflow.notes == ()


def test_inverse_is_a_complement_or_a_difference() -> None:
    assert lines(of("new-scene-then-style"))["s1"] == ("segment", {"image": "$image", "target": "subject"})
    assert lines(of("new-scene-then-style"))["s2"] == ("mask_invert", {"mask": "$s1"})
    assert lines(of("mask-difference-zh"))["s3"] == ("mask_subtract", {"first": "$s1", "second": "$s2"})
    assert lines(of("mask-difference-zh"))["s5"] == ("layer_subtract", {"image": "$s4", "picture": "$image"})


def canvas(**ratios: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    inputs = {"image": "init[image]"} | {f"{side}_ratio": ratios.get(side, 1.0) for side in SIDES}
    return "CMI-PRED", inputs, {name: f"step1[{name}]" for name in ("caption", "image", "mask")}


@pytest.mark.parametrize(
    ("ratios", "percent"),
    [
        ({"right": 1.4, "top": 1.75}, (0, 40, 75, 0)),
        (dict.fromkeys(SIDES, 1.5), (25, 25, 25, 25)),
        (dict.fromkeys(SIDES, 2), (50, 50, 50, 50)),  # the source then fills a quarter
        (dict.fromkeys(SIDES, 1.0), (0, 0, 0, 0)),
        ({"left": 1.5, "right": 1.5, "top": 1.5, "bottom": 1.49}, (50, 50, 50, 49)),
        ({"left": 1.1255}, (12.55, 0, 0, 0)),
        ({"left": 3}, (200, 0, 0, 0)),  # the bounds of extend_canvas refuse it
    ],
)
def test_ratios_become_percent_of_the_side(ratios: dict[str, Any], percent: tuple[float, ...]) -> None:
    workflow = translate(canvas(**ratios), result=["step1[image]", "step1[mask]"])
    assert lines(workflow) == {"s1": ("extend_canvas", {"image": "$image"} | dict(zip(SIDES, percent, strict=True)))}
    assert workflow.result == ("$s1.image", "$s1.mask")


def test_a_canvas_that_is_only_filled_is_filled_by_the_tool_that_made_it() -> None:
    workflow = of("outpaint-unequal")
    assert [step.tool for step in workflow.steps] == ["extend_canvas"]
    assert workflow.result == "$s1.image"
    assert any("FLUX-FILL" in note and "left out" in note for note in workflow.notes)
    assert any("CMI-PRED" in note and "`caption` is left out" in note for note in workflow.notes)
    assert [step.tool for step in of("global-chain-outpaint-equal").steps] == ["instruct_edit"] * 2 + ["extend_canvas"]


def test_a_background_is_painted_anew_and_a_style_is_ours_where_there_is_one() -> None:
    steps = lines(of("new-scene-then-style"))
    assert steps["s3"] == ("generate_fill", {"image": "$image", "mask": "$s2", "prompt": "an empty theatre stage"})
    assert steps["s5"] == ("sketch", {"image": "$s3"})
    style = {"image": "init[image]", "mask": None, "prompt": "a boat", "style": "ukiyo-e woodblock print"}
    (step,) = translate(("FLUX-STYLE", style, {"image": "step1[image]"}), result=["step1[image]"]).steps
    assert (step.tool, step.args["instruction"]) == ("instruct_edit", "turn it into ukiyo-e woodblock print")
    spoilt = style | {"style": "spoiled film"}
    assert translate(("FLUX-STYLE", spoilt, {"image": "step1[image]"}), result=["step1[image]"]).steps[0].tool != "oil"


def test_a_caption_alone_is_told() -> None:
    asked = {"image": "init[image]"} | {f"{side}_ratio": None for side in SIDES}
    workflow = translate(("CMI-PRED", asked, {"caption": "step1[caption]"}), result=["step1[caption]"])
    assert workflow.steps == (Step("s1", "caption", {"image": "$image"}),)
    assert workflow.result == "$s1"


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry["kind"] == "well-formed"])
def test_every_right_workflow_of_theirs_is_right_with_our_tools(name: str) -> None:
    problems = of(name).check(registry, {"image": "image", "mask": "mask"})
    assert [p.code for p in problems] == ["out_of_range"] * (name == "outpaint-unequal")  # we extend by half at most


@pytest.mark.parametrize("ratios", [{"left": None}, {"left": "1.5"}, {"left": True}, {"left": float("inf")}])
def test_ratios_that_are_no_numbers_keep_the_brick(ratios: dict[str, Any]) -> None:
    assert translate(canvas(**ratios), result=["step1[image]"]).steps[0].tool == "cmi_pred"


@pytest.mark.parametrize(
    ("prompt", "color"),
    [
        ("change the door to red", "red"),
        ("Change the red door to dark green.", "darkgreen"),
        ("turn the door into a light-blue color", "lightblue"),
        ("paint the door teal", "teal"),
        ("change the door to gold colour", "gold"),
        ("change the door to the color gold", "gold"),
        ("change the curtain to linen", ""),  # cloth, though ImageColor knows the name
        ("change the trim to gold", ""),
        ("change the mailbox to mustard yellow", ""),
        ("change the ottoman to olive green velvet", ""),
        ("paint the garden wall mustard yellow", ""),
        ("change one to red and one to blue stripes", ""),
        ("red", ""),
        ("", ""),
        (None, ""),
        ("to " * 100_000 + "red", ""),
    ],
)
def test_only_a_plain_colour_name_is_a_recolouring(prompt: Any, color: str) -> None:
    assert color_of(prompt) == color


def test_a_recolouring_is_noted() -> None:
    paint = {"image": "init[image]", "mask": "step1[mask]", "prompt": "change the cat to red"}
    workflow = translate(RES, ("FLUX-RCM", paint, {"image": "step2[image]"}), result=["step2[image]"])
    assert workflow.steps[-1] == Step("s2", "recolor", {"image": "$image", "mask": "$s1", "color": "red"})
    assert workflow.result == "$s2"
    assert any("red" in note for note in workflow.notes)


def test_scaling_a_cut_out_is_not_our_resize_of_a_picture() -> None:
    steps = lines(of("resize-and-compose-images"))
    assert steps["s1"][1]["target"] == "stepladder [the tall one]"
    assert steps["s3"] == ("layer_scale", {"image": "$s1_cut.image", "factor": 0.5})
    assert steps["s4"] == ("paste", {"image": "$s2", "picture": "$s3", "scale": 1.0})


def test_literals_that_begin_with_a_dollar_are_escaped() -> None:
    workflow = translate(("RES", {"image": "init[image]", "prompt": "$image"}, {"mask": "step1[mask]"}))
    assert workflow.steps[0].args["target"] == "$$image"


def test_a_result_that_is_no_reference_cannot_become_one() -> None:
    problems = translate(RES, result=["$image"]).check(Registry())
    assert "bad_reference" in {problem.code for problem in problems}


def test_steps_run_by_data_dependency_and_else_in_list_order() -> None:
    def box(source: str, number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        return "BBOX", {"mask": source}, {"mask": f"step{number}[mask]"}

    workflow = translate(box("step3[mask]", 1), box("init[mask]", 2), box("init[mask]", 3), result=["step1[mask]"])
    assert [step.id for step in workflow.steps] == ["s2", "s3", "s1"]


def test_a_cycle_is_refused() -> None:
    with pytest.raises(WorkflowError) as caught:
        translate(
            ("BBOX", {"mask": "step2[mask]"}, {"mask": "step1[mask]"}),
            ("BBOX", {"mask": "step1[mask]"}, {"mask": "step2[mask]"}),
        )
    assert caught.value.code == "cycle"


def test_references_to_nothing_are_left_to_our_checker() -> None:
    workflow = translate(("BBOX", {"mask": "step9[mask]"}, {"mask": "step1[mask]"}))
    assert workflow.steps[0].args == {"mask": "$s9.mask"}
    assert "unknown_reference" in {problem.code for problem in workflow.check(Registry())}


def test_a_step_that_claims_the_name_of_another_does_not_overwrite_it() -> None:
    thief = ("BBOX", {"mask": "init[mask]"}, {"mask": "step1[mask]"})
    assert translate(RES, thief, result=["step1[mask]"]).result == "$s1"
    early = ("BBOX", {"mask": "init[mask]"}, {"mask": "step2[mask]"})
    owner = ("RES", RES[1], {"mask": "step2[mask]"})
    assert translate(early, owner, result=["step2[mask]"]).result == "$s2"


def test_bricks_called_against_their_rules_keep_their_names() -> None:
    both = {"mask1": None, "mask2": "init[mask]", "image1": "init[image]", "image2": "init[image]"}
    assert translate(("INVERSE", both, {"mask": "step1[mask]"})).steps[0].tool == "inverse"
    one = MASKS | {"mask1": None, "mask2": "init[mask]"}
    assert translate(("COMPOSE", one, {"mask": "step1[mask]"})).steps[0].tool == "compose"


def test_an_unknown_brick_is_passed_on_value_for_value() -> None:
    bright = (
        "FLUX-BRIGHT",
        {"image": "init[image]", "ratio": 0.7, "tags": ["$a", "init[mask]"]},
        {"image": "step1[image]"},
    )
    workflow = translate(bright, result=["step1[image]"])
    assert workflow.steps == (Step("s1", "flux_bright", {"image": "$image", "ratio": 0.7, "tags": ["$$a", "$mask"]}),)
    assert workflow.result == "$s1.image"


def test_steps_that_were_unused_before_the_translation_stay() -> None:
    assert [step.id for step in translate(RES, (*RES[:2], {}), result=["step1[mask]"]).steps] == ["s1", "s2"]


def test_unknown_tools_are_what_our_checker_reports() -> None:
    for entry in ENTRIES.values():
        workflow = Workflow(*dialect.translate(parse(entry["raw"])))
        problems = workflow.check(Registry(), {"image": "image", "mask": "mask"})
        assert {problem.code for problem in problems} == {"unknown_tool"}
