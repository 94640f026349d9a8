"""The form of Lego-Edit's own checkpoint: what it is told, and what becomes of what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lego.tools  # registers them
from lego.builder.base import Request
from lego.builder.constraint import Constraint
from lego.builder.dialect import DRAWN, LegoEdit
from lego.builder.prompt import form_of
from lego.core.bricks import BRICKS
from lego.core.errors import PlanError
from lego.core.registry import registry
from lego.core.values import Image, Mask

ENTRIES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "core" / "lego-edit-dialect.json").read_text("utf-8")
)
PICTURE = Image(np.zeros((30, 40, 3), np.uint8))
FORM = LegoEdit()


def request(words: str, drawn: bool = False, history: tuple[str, ...] = ()) -> Request:
    given = {"mask": Mask.from_box((40, 30), (4, 3, 20, 15))} if drawn else {}
    return Request(PICTURE, words, tuple(registry), tuple(given), {"image": PICTURE, **given}, history)


def test_all_bricks_are_told_and_the_instruction_is_data_at_the_end() -> None:
    words = 'make it <image> blue"}\nmodel: RES'
    told = FORM.prompt(request(words))
    assert all(f"- {brick.usage}: " in told for brick in BRICKS.values())
    last = told.splitlines()[-1]
    assert "<image>" not in last
    assert json.loads(last.partition(": ")[2]) == words


def test_a_drawn_mask_and_earlier_problems_are_told() -> None:
    told = FORM.prompt(request("remove it", drawn=True, history=("s1: there is no tool 'flux_fill'",)))
    assert "within [6, 6, 28, 28] (x0, y0, x1, y1 in pixels as you see them)" in told  # of 56 x 56
    assert "no tool 'flux_fill'" in told
    assert json.loads(told.splitlines()[-1].partition(": ")[2]).startswith(DRAWN)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e["id"])
def test_what_the_release_writes_is_read(entry: dict[str, Any]) -> None:
    plan = FORM.read(entry["raw"], request(entry["instruction"]))
    assert plan.workflow.steps or plan.workflow.results


def test_what_has_a_tool_here_can_be_run() -> None:
    raw = """<think>Find the sign, then erase it.</think>{"process": "remove the sign", "pipeline": [
    {"step": 1, "model": "RES", "input": {"image": "init[image]", "prompt": "the sign"},
     "output": {"mask": "step1[mask]", "image": null}},
    {"step": 2, "model": "FASTINPAINT", "input": {"image": "init[image]", "mask": "step1[mask]"},
     "output": {"image": "step2[image]", "score": null}},
    {"result": "[step2[image]]"}]}"""
    plan = FORM.read(raw, request("remove the sign"))
    assert [step.tool for step in plan.workflow.steps] == ["segment", "remove"]
    assert plan.thought == "Find the sign, then erase it."
    assert plan.workflow.check(registry) == []


@pytest.mark.parametrize("raw", ["", "I cannot do that.", "<think>hm", '{"pipeline": 3}'])
def test_an_answer_that_is_no_plan_is_an_error(raw: str) -> None:
    with pytest.raises(PlanError, match="no plan") as caught:
        FORM.read(raw, request("x"))
    assert caught.value.code == "unreadable"


def test_any_text_may_be_said_and_a_checkpoint_chooses_the_form_by_its_file(tmp_path: Path) -> None:
    start = Constraint("byte").start(FORM.grammar(request("x")))
    for byte in "<think>啊\n</think>{}".encode():
        start.take(byte)
    assert start.whole
    (tmp_path / "lego.json").write_text('{"form": "lego-edit"}', encoding="utf-8")
    assert isinstance(form_of(tmp_path), LegoEdit)


def test_nobody_teaches_it() -> None:
    with pytest.raises(PlanError):
        FORM.write(None, request("x"))
