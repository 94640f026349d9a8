"""Reading the Lego-Edit paper's workflow dialect: the repair ladder and its limits."""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lego.core.dialect import Parsed, parse
from lego.core.errors import WorkflowError
from lego.core.workflow import Workflow

ENTRIES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("lego-edit-dialect.json").read_text("utf-8"))
BY_ID = {entry["id"]: entry for entry in ENTRIES}
STEP = '{"step": 1, "model": "SOS", "input": {"image": "init[image]"}, "output": {"mask": "step1[mask]"}}'
PLAIN = f'{{"process": "cut", "pipeline": [{STEP}, {{"result": "[step1[mask]]"}}]}}'


def plain(parsed: Parsed) -> dict[str, Any]:
    return {"process": parsed.process, "pipeline": parsed.pipeline}


def refused(text: str) -> WorkflowError:
    with pytest.raises(WorkflowError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: str(e["id"]))
def test_every_entry_of_the_corpus_parses_exactly(entry: dict[str, Any]) -> None:
    assert plain(parse(entry["raw"])) == entry["should_parse_to"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: str(e["id"]))
def test_there_is_one_repair_for_each_kind_of_fault(entry: dict[str, Any]) -> None:
    faults = [fault for fault in entry.get("faults", []) if fault != "<think> block"]  # reasoning is asked for
    assert len(parse(entry["raw"]).repairs) == len(faults)


def test_a_number_keeps_its_kind() -> None:
    (first, *_) = parse(BY_ID["outpaint-unequal"]["raw"]).pipeline
    assert type(first["input"]["left_ratio"]) is float


def test_the_reasoning_is_kept_and_costs_nothing() -> None:
    parsed = parse(f"<think>First {{x}}, then y.\n</think>\n{PLAIN}")
    assert (parsed.thought, parsed.repairs) == ("First {x}, then y.", ())


def test_reasoning_without_its_opening_tag_is_reasoning_too() -> None:
    assert parse(f"hm {PLAIN.replace('cut', 'draft')}</think>{PLAIN}").process == "cut"


def test_reasoning_that_never_closes_is_truncated_even_with_a_draft_in_it() -> None:
    assert refused(f"<think>A draft: {PLAIN}").code == "truncated"
    assert refused(f"<think>done</think><think>A draft: {PLAIN}").code == "truncated"


def test_the_workflow_stands_after_the_last_reasoning() -> None:
    parsed = parse(f"<think>a</think>{PLAIN.replace('cut', 'draft')}</think>{PLAIN}")
    assert parsed.process == "cut"
    assert "draft" in parsed.thought


def test_the_word_think_inside_the_instruction_is_only_text() -> None:
    assert parse(PLAIN.replace("cut", "write <think> on it")).process == "write <think> on it"


@pytest.mark.parametrize("cut", [1, 2, 30, 60, 100])
def test_an_object_that_never_ends_is_truncated_and_never_closed_by_guess(cut: int) -> None:
    assert refused(PLAIN[:-cut]).code == "truncated"


def test_a_complete_workflow_inside_one_that_never_ends_is_not_taken_for_it() -> None:
    assert refused(f'{{"process": "x", "pipeline": [{PLAIN}').code == "truncated"


def test_a_string_that_never_ends_is_truncated() -> None:
    assert refused('{"process": "cut} \\"}').code == "truncated"


@pytest.mark.parametrize("text", ["", "I cannot do that.", '{"steps": []}', "{step 2} {}", "[1, 2]", "null"])
def test_a_text_without_a_pipeline_is_no_workflow(text: str) -> None:
    assert refused(text).code == "no_workflow"


def test_braces_in_the_prose_before_the_workflow_do_no_harm() -> None:
    before = 'As {step 2} says, 5" {wide}, {"feather": 4} and {unclosed'
    (repair,) = parse(f"{before} {PLAIN}").repairs
    assert "prose" in repair


def test_the_word_pipeline_as_a_value_makes_no_workflow() -> None:
    parsed = parse(f'{{"kind": "pipeline", "n": [": pipeline"]}} {PLAIN}')
    assert parsed.process == "cut"


def test_a_workflow_inside_a_wrapper_is_found() -> None:
    parsed = parse(f'{{"workflow": {PLAIN}, "note": "}}"}}')
    assert parsed.process == "cut"
    assert parsed.repairs


def test_the_first_of_two_workflows_counts() -> None:
    assert parse(PLAIN + PLAIN.replace("cut", "other")).process == "cut"


def test_a_byte_order_mark_is_no_fault() -> None:
    assert parse("\ufeff" + PLAIN).repairs == ()


def test_full_width_punctuation_is_turned_outside_strings_only() -> None:
    text = PLAIN.translate(str.maketrans(",:{}", "，：｛｝")).replace("cut", "左，右：｛｝")
    parsed = parse(text.replace('"[step1[mask]]"', '［"step1[mask]"］'))
    assert parsed.process == "左，右：｛｝"
    assert parsed.pipeline[-1] == {"result": ["step1[mask]"]}
    (repair,) = parsed.repairs
    assert "full-width" in repair


def test_a_full_width_space_is_full_width_punctuation() -> None:
    assert "full-width" in parse(PLAIN.replace(", ", ",\u3000")).repairs[0]


def test_trailing_commas_are_dropped_and_counted() -> None:
    parsed = parse(PLAIN.replace("]}", "\n,]\n, }"))
    assert plain(parsed) == plain(parse(PLAIN))
    assert parsed.repairs == ("dropped trailing commas (2)",)


def test_missing_commas_are_put_in_and_counted() -> None:
    parsed = parse(
        PLAIN.replace(', "pipeline"', '"pipeline"').replace('1, "model"', '1\n"model"').replace("}, {", "}{")
    )
    assert plain(parsed) == plain(parse(PLAIN))
    assert parsed.repairs == ("put in missing commas (3)",)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace(": 1", ": one"),
        PLAIN.replace(": 1", ": NaN"),
        PLAIN.replace(": 1", ": -Infinity"),
        PLAIN.replace(": 1", ": " + "1" * 5000),
        PLAIN.replace(", ", ",, "),
        PLAIN.replace('"cut"', '"a tag reading "FREE", please"'),
        PLAIN.replace("]}", "}"),
        PLAIN.replace("cut", "c\nut"),
    ],
)
def test_what_no_rung_mends_is_not_json(text: str) -> None:
    assert refused(text).code == "not_json"


def test_the_error_names_the_line_in_the_whole_text() -> None:
    error = refused("<think>\n\n</think>\nHere:\n" + PLAIN.replace(": 1", ":\n\n one"))
    assert error.where.startswith("line 7")


def test_single_quotes_and_comments_need_json5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "json5", None)
    assert refused(PLAIN.replace('"', "'")).code == "not_json"
    assert refused(PLAIN.replace('"pipeline":', '"pipeline" /* { */:')).code == "not_json"


def test_json5_reads_single_quotes_comments_and_bare_names_where_it_is_installed() -> None:
    pytest.importorskip("json5")
    text = (
        PLAIN.replace('"cut"', "'say \"{\" twice' // don't, {\n").replace('"pipeline"', "pipeline").replace("1,", "1")
    )
    parsed = parse(text)
    assert parsed.process == 'say "{" twice'
    assert parsed.pipeline == parse(PLAIN).pipeline
    assert len(parsed.repairs) == 2


def test_a_result_before_the_last_place_is_moved_to_the_end() -> None:
    text = f'{{"process": "cut", "pipeline": [{{"result": ["step1[mask]"]}}, {STEP}]}}'
    parsed = parse(text)
    assert plain(parsed) == plain(parse(PLAIN))
    assert len(parsed.repairs) == 1


def test_a_result_said_twice_is_dropped_and_one_said_differently_is_refused() -> None:
    twice = PLAIN[:-1] + ', "result": "[step1[mask]]"}'
    assert plain(parse(twice)) == plain(parse(PLAIN))
    assert refused(twice.replace("[step1[mask]]", "[init[image]]", 1)).code == "bad_shape"


def test_a_single_reference_becomes_a_list() -> None:
    parsed = parse(PLAIN.replace("[step1[mask]]", "step1[mask]"))
    assert plain(parsed) == plain(parse(PLAIN))
    assert len(parsed.repairs) == 1


def test_a_list_of_results_is_split_at_commas_and_not_inside_strings_of_prompts() -> None:
    parsed = parse(PLAIN.replace("[step1[mask]]", "[step1[mask],init[image] ]").replace("cut", "a, step b"))
    assert parsed.pipeline[-1] == {"result": ["step1[mask]", "init[image]"]}
    assert parsed.process == "a, step b"
    assert parsed.repairs == ()


def test_a_missing_process_and_unknown_names_at_the_top_are_repairs() -> None:
    assert len(parse(PLAIN.replace('"process": "cut"', '"version": 2')).repairs) == 2


@pytest.mark.parametrize(
    "text",
    [
        '{"process": "x", "pipeline": {}}',
        '{"process": "x", "pipeline": []}',
        '{"process": 5, "pipeline": [{"result": "[init[image]]"}]}',
        '{"process": "x", "pipeline": ["SOS", {"result": "[init[image]]"}]}',
        '{"process": "x", "pipeline": [{"result": null}]}',
        '{"process": "x", "pipeline": [{"result": [1]}]}',
        '{"process": "x", "pipeline": [{"result": "all of it"}]}',
        PLAIN.replace(": 1", ": 0"),
        PLAIN.replace(": 1", ': "1"'),
        PLAIN.replace(": 1", ": true"),
        PLAIN.replace('"SOS"', "null"),
        PLAIN.replace('"input": {"image": "init[image]"}', '"input": null'),
        PLAIN.replace('"output"', '"outputs"'),
        PLAIN.replace('"image": "init[image]"', '"image": "init[image]", "image": "init[mask]"'),
    ],
)
def test_json_that_is_no_workflow_has_a_bad_shape(text: str) -> None:
    error = refused(text)
    assert error.code == "bad_shape"
    assert error.message


@pytest.mark.parametrize(
    "text",
    [
        '{"pipeline": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"pipeline": ' + "[" * 100_000,
        '{"pipeline": ' * 100_000,
        '{"pipeline": ' * 100_000 + "1" + "}" * 100_000,
        "{" * 100_000 + PLAIN[:-2],
    ],
)
def test_deep_nesting_is_an_error_of_ours(text: str) -> None:
    assert refused(text).code in ("truncated", "not_json", "no_workflow")


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "unit",
    [
        "{",
        "}",
        "{}",
        '{"',
        '{"a":',
        "{'",
        "{ ",
        '\\"',
        "'\\",
        "/*",
        "//",
        '{"pipeline":[',
        '{"pipeline":{},',
        "`",
        "<think>",
    ],
)
def test_a_megabyte_takes_seconds_at_most(unit: str) -> None:
    for text in (unit * (MEGABYTE // len(unit)), '{"' + unit * (MEGABYTE // len(unit)) + PLAIN):
        began = time.process_time()
        with contextlib.suppress(WorkflowError):
            parse(text)
        assert time.process_time() - began < 8  # a quadratic step would take minutes


def test_a_megabyte_of_duplicate_names_is_refused_in_linear_time() -> None:
    names = ", ".join(f'"n{i}": 1' for i in range(60_000))
    assert refused(f'{{"pipeline": [], {names}, "n59999": 2}}').code == "bad_shape"


def test_the_repairs_reach_the_notes_of_the_workflow() -> None:
    workflow = Workflow.from_lego_edit(f"```json\n{PLAIN}\n```")
    assert any("fence" in note for note in workflow.notes)


# Round trip: a canonical workflow, spelled with every slip that the ladder mends, comes back as it was.
WORDS = st.text(max_size=20).filter(lambda text: "think>" not in text)
VALUES = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
NAMES = st.text("abcdefgh", min_size=1, max_size=5)
STEPS = st.fixed_dictionaries(
    {
        "step": st.integers(1, 99),
        "model": WORDS,
        "input": st.dictionaries(NAMES, VALUES, max_size=4),
        "output": st.dictionaries(NAMES, WORDS | st.none(), max_size=3),
    }
)
REFERENCES = st.from_regex(re.compile(r"(init|step[1-9])\[[a-z]{1,5}\]", re.ASCII), fullmatch=True)
FAULTS = ("trailing", "missing", "wide", "top", "fence", "prose")


def spell(value: Any, slips: set[str], draw: Any) -> str:
    """Write JSON, with slips at random separators."""

    def separated(parts: list[str], ends: str) -> str:
        out = ends[0]
        for index, part in enumerate(parts):
            choices = [","]
            if index == len(parts) - 1:
                choices = ["", *([","] if "trailing" in slips else [])]
            else:
                choices += [" "] if "missing" in slips else []
                choices += ["，"] if "wide" in slips else []
            out += part + draw(st.sampled_from(choices)) + draw(st.sampled_from(["", "\n  "]))
        return out + ends[1]

    if isinstance(value, dict):
        members = [f"{json.dumps(k)}: {spell(v, slips, draw)}" for k, v in value.items()]
        return separated(members, "{}")
    if isinstance(value, list):
        return separated([spell(item, slips, draw) for item in value], "[]")
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_slip_comes_back_as_the_canonical_form(data: st.DataObject) -> None:
    steps = data.draw(st.lists(STEPS, max_size=4))
    references = data.draw(st.lists(REFERENCES, min_size=1, max_size=3))
    slips = data.draw(st.sets(st.sampled_from(FAULTS)))
    process = data.draw(WORDS)
    raw: dict[str, Any] = {"process": process, "pipeline": list(steps)}
    result = data.draw(st.sampled_from([references, f"[{', '.join(references)}]"]))
    if "top" in slips:
        raw["result"] = result
    else:
        raw["pipeline"].append({"result": result})
    text = spell(raw, slips, data.draw)
    if "fence" in slips:
        text = f"```json\n{text}\n```"
    if "prose" in slips:
        text = f'Here is {{it}}, 5" wide: {text}\nDone, {{"a": 1}}.'
    thought = data.draw(st.sampled_from(["", '<think>draft {"pipeline": []}</think>']))
    parsed = parse(thought + text)
    assert plain(parsed) == {"process": process, "pipeline": [*steps, {"result": references}]}
    if not slips:
        assert parsed.repairs == ()
    for slip, word in (("top", "top level"), ("fence", "fence"), ("prose", "prose")):
        assert (slip in slips) == any(word in repair for repair in parsed.repairs)
