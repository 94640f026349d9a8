"""The bench counts what it says it counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lego.tools  # registers the embedded tools
from lego import builder as builders
from lego.builder.base import Plan, Request
from lego.builder.calls import Call, workflow_of
from lego.core.errors import PlanError, RecordError
from lego.core.registry import registry
from lego.core.workflow import Workflow
from lego.rl.bench import plan as bench

CASES: list[dict[str, Any]] = [
    {
        "instruction": "make it brighter",
        "category": "light",
        "calls": [[{"tool": "exposure", "args": {"exposure": 0.6}}]],
    },
    {"instruction": "blur all but the sky", "calls": [[{"tool": "blur", "on": "not: sky"}]]},
    {
        "instruction": "把红色杯子变成蓝色",
        "language": "zh",
        "calls": [[{"tool": "recolor", "args": {"color": "blue"}, "on": "红色杯子"}]],
    },
    {"instruction": "remove this", "calls": [[{"tool": "remove", "on": "mask"}]], "given": ["mask"]},
    {"instruction": "what time is it?", "category": "question", "calls": []},
]


def file(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


class Fixed:
    """A builder that always answers the same."""

    name = "fixed"

    def __init__(self, *calls: Call) -> None:
        self.calls = calls

    def plan(self, request: Request) -> Plan:
        if not self.calls:
            raise PlanError("no")
        return Plan(workflow_of(self.calls, registry))


def test_the_rules_plan_what_is_plain(tmp_path: Path) -> None:
    outcomes = list(bench.run(builders.open("rules"), file(tmp_path, CASES), registry))
    assert [o.right for o in outcomes] == [True] * 5
    assert not any(o.wrong for o in outcomes)


def test_refusing_everything_is_right_only_where_that_was_meant_and_never_a_wrong_edit(tmp_path: Path) -> None:
    outcomes = list(bench.run(Fixed(), file(tmp_path, CASES), registry))
    assert [o.right for o in outcomes] == [False] * 4 + [True]
    assert not any(o.wrong for o in outcomes)


def test_always_the_same_edit_is_wrong_everywhere_else(tmp_path: Path) -> None:
    outcomes = list(bench.run(Fixed(Call(tool="exposure", args={"exposure": 0.65})), file(tmp_path, CASES), registry))
    assert [o.right for o in outcomes] == [True] + [False] * 4
    assert [o.wrong for o in outcomes] == [False] + [True] * 4
    rows = {row[0]: row[1:] for row in bench.table(outcomes)}
    assert rows["light"][:3] == (1, 1.0, 0.0)
    assert rows["light"][3] == pytest.approx(1, abs=0.03)
    assert rows["all"][:3] == (5, 0.2, 0.8)
    assert rows["Chinese"][0] == 1


def test_an_amount_may_be_off_a_little_but_not_turned_round(tmp_path: Path) -> None:
    for stops, right in ((0.6, True), (0.95, True), (-0.6, False), (0.0, False), (3.5, False)):
        fixed = Fixed(Call(tool="exposure", args={"exposure": stops}))
        (outcome, *_) = bench.run(fixed, file(tmp_path, CASES[:1]), registry)
        assert outcome.right == right, stops


def test_calls_become_the_workflow_that_they_mean() -> None:
    calls = [
        Call(tool="recolor", args={"color": "#ff0000"}, on="car"),
        Call(tool="crop", args={"ratio": "1:1"}),
        Call(tool="blur", on="not: car"),
    ]
    flow: Workflow = workflow_of(calls, registry)
    assert flow.check(registry) == []
    assert [s.tool for s in flow.steps] == ["segment", "recolor", "crop", "segment", "mask_invert", "blur"]
    assert flow.steps[3].args["image"] == "$s3"  # after cropping the car is looked for anew


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"instruction": ""}, "line 2"),
        ({"instruction": "x", "calls": [[{"tool": "flip", "colour": 1}]]}, "line 2"),
        ({"instruction": "x", "calls": [[{"tool": "no_such_tool"}]]}, "instruction 2"),
        ({"instruction": "x", "calls": [[{"tool": "exposure", "args": {"exposure": 99}}]]}, "instruction 2"),
    ],
)
def test_a_broken_case_says_where_it_is(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        list(bench.run(Fixed(), file(tmp_path, [CASES[0], row]), registry))


def test_the_command_prints_a_table_or_lines(tmp_path: Path) -> None:
    path = file(tmp_path, CASES)
    command = [sys.executable, "-m", "lego", "bench", "plan", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "rules on 5 instructions" in done.stdout
    assert done.stdout.splitlines()[-3].split()[:3] == ["all", "5", "100%"]
    lines = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [json.loads(line)["right"] for line in lines] == [True] * 5
    missing = subprocess.run([*command[:-1], "nothing.jsonl"], capture_output=True, text=True)
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr


def test_every_answer_of_the_validation_set_is_a_plan_and_no_instruction_occurs_twice() -> None:
    path = Path(__file__).parents[3] / "benchmarks" / "validation.jsonl"
    outcomes = list(bench.run(Fixed(), path, registry))  # raises if an answer is none
    assert len({o.case.instruction for o in outcomes}) == len(outcomes) >= 200
    assert sum(o.case.language == "zh" for o in outcomes) >= 40
