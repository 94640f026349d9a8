"""Verdicts: what a critic's words say, with the caps of ReasonEdit, and what is no verdict at all."""

from __future__ import annotations

import json

import pytest

from lego.builder.verdict import (
    Assessment,
    Conclusion,
    Scores,
    Verdict,
    assessment,
    conclusion,
    pair,
    told,
    written,
)


def said(**changes: object) -> str:
    data = {"meets_instruction": "yes", "major_conflicts": 0, "minor_conflicts": 0, "omissions": 0, "raw_score": 9.5}
    return json.dumps({**data, "reason": "so", **changes})


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({}, 9.5),
        ({"major_conflicts": 1}, 8),
        ({"major_conflicts": 2}, 5),
        ({"omissions": 1}, 7),
        ({"hallucinations": 2}, 7),
        ({"meets_instruction": "partial"}, 5),
        ({"meets_instruction": "no"}, 2),
        ({"meets_instruction": None}, 8.99),
        ({"minor_conflicts": 2, "raw_score": 10}, 10),
        ({"minor_conflicts": 3, "raw_score": 10}, 8.99),
        ({"minor_conflicts": 9, "raw_score": 10}, 7),
        ({"raw_score": 1}, 1),  # never taken for a share of one
        ({"raw_score": 14}, 10),
        ({"raw_score": -3}, 0),
    ],
)
def test_an_assessment_is_capped_by_what_is_wrong(changes: dict[str, object], score: float) -> None:
    found = assessment(said(**changes))
    assert found
    assert found.score == score


def test_every_cap_that_applies_is_kept() -> None:
    found = assessment(said(major_conflicts=2, omissions=1, meets_instruction="partial"))
    assert found
    assert [cap for _, cap in found.caps] == [5, 5, 7, 8.99]


@pytest.mark.parametrize(
    "text",
    ["", "fine", "{}", said(raw_score="high"), said(major_conflicts=-1), said(omissions=1.5), said(raw_score=True)],
)
def test_what_is_no_assessment_is_none(text: str) -> None:
    assert assessment(text) is None


def test_an_assessment_is_found_among_other_words() -> None:
    found = assessment(f"Let me see {{}}.\n```json\n{said(meets_instruction='YES')}\n```")
    assert found == Assessment("yes", 0, 0, 0, 0, 9.5, "so")
    assert assessment(written(found)) == found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<#Think> all there <#Success>", Conclusion("success", "all there")),
        ("so: <#Think> nearly <#Reflection> add the moon", Conclusion("refine", "nearly", "add the moon")),
        ("<#Think>spoilt<#Failed>", Conclusion("failed", "spoilt")),
        ("<#Success> or? <#Think> yes <#Success>", Conclusion("success", "yes")),  # before the thought nothing counts
    ],
)
def test_a_conclusion_is_a_thought_and_one_closing_tag(text: str, wanted: Conclusion) -> None:
    assert conclusion(text) == wanted
    assert conclusion(told(wanted)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "", "<#Success>", "<#Think> hm", "<#Think> a <#Success> <#Failed>", "<#Think> a <#Think> b <#Success>",
        "<#Think> empty <#Reflection>  ", "<#Think> a <#Others>",
    ],
)  # fmt: skip
def test_all_else_is_no_conclusion(text: str) -> None:
    assert conclusion(text) is None


@pytest.mark.parametrize("text", ["", '{"score": []}', '{"score": [3]}', '{"score": [3, "4"]}', '{"score": [3, 11]}',
                                  '{"score": [-1, 4]}', '{"score": [1, 2, 3]}', '{"score": 7}'])  # fmt: skip
def test_scores_are_two_numbers_in_their_range_or_none(text: str) -> None:
    assert pair(text) is None


def test_scores_of_another_range_are_brought_to_ten() -> None:
    assert pair('{"score": [3, 4.5], "reasoning": "ok"}') == (3, 4.5, "ok")
    assert pair('{"score": [25, 10]}', highest=25) == (10, 4, "")


def test_a_round_is_worth_the_product_of_the_smaller_scores() -> None:
    assert Scores(9, 7, 8, 10).value == 56
    assert Verdict("success", "", scores=Scores(0, 0, 0, 0)).judged
    assert not Verdict("success", "").judged
    assert not Verdict("missing", "", scores=Scores(9, 9, 9, 9)).judged
