"""The supply of tasks."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import lego.tools
from lego.builder.prompt import Json
from lego.core.errors import RecordError
from lego.core.registry import registry
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.rl import records, supply
from lego.rl.reasoning import staging
from lego.rl.recipe import Data


def words(tasks: object, count: int) -> list[str]:
    return [task.request.instruction for task in itertools.islice(tasks, count)]  # type: ignore[call-overload]


def test_a_supply_can_begin_at_any_window() -> None:
    whole = words(supply.tasks(Data(seed=3), registry, size=10), 40)
    assert words(supply.tasks(Data(seed=3), registry, window=2, size=10), 20) == whole[20:]
    assert words(supply.tasks(Data(seed=4), registry, size=10), 40) != whole
    assert len(set(whole)) > 30


def test_data_sets_repeat_shuffled_and_can_begin_anywhere(tmp_path: Path, small: Image) -> None:
    records.write(tmp_path, [records.Record(small, f"do {n}") for n in range(7)])
    data = Data(source=str(tmp_path), seed=1)
    whole = words(supply.tasks(data, registry, size=5), 21)
    assert [sorted(whole[n : n + 7]) for n in (0, 7, 14)] == [[f"do {n}" for n in range(7)]] * 3
    assert whole[:7] != whole[7:14]
    assert words(supply.tasks(data, registry, window=2, size=5), 11) == whole[10:]


def test_an_empty_data_set_is_an_error(tmp_path: Path) -> None:
    records.write(tmp_path, [])
    with pytest.raises(RecordError, match="no examples"):
        next(supply.tasks(Data(source=str(tmp_path)), registry))


def test_examples_are_what_a_form_writes_and_reads() -> None:
    form = Json()
    for example in itertools.islice(supply.examples(Data(), registry, form, size=40), 40):
        if example.task.workflow is None:
            assert "decline" in example.answer
        else:
            plan = form.read(example.answer, example.task.request)
            assert plan.workflow.steps
            assert " => " in plan.thought  # which words ask for what


def test_a_records_own_trace_of_reasoning_is_imitated(tmp_path: Path, small: Image) -> None:
    flow = Workflow.load(
        {"version": 1, "steps": [{"id": "s1", "tool": "flip", "args": {"image": "$image"}}], "result": "$s1"}
    )
    records.write(tmp_path, [records.Record(small, "mirror it", workflow=flow, provenance={"thought": "One flip."})])
    example = next(supply.examples(Data(source=str(tmp_path)), registry, Json()))
    assert example.answer.startswith("<think>One flip.</think>{")


def test_batches_have_like_lengths_and_nothing_is_lost() -> None:
    found = list(itertools.islice(supply.examples(Data(), registry, Json(), size=256), 256))
    ordered = list(supply.sorted_by_length(iter(found), 8, 16, seed=0))
    assert sorted(map(id, found)) == sorted(map(id, ordered))

    def spread(examples: list[supply.Example]) -> int:
        lengths = [[len(e.prompt) + len(e.answer) for e in examples[n : n + 8]] for n in range(0, 256, 8)]
        return sum(max(batch) - min(batch) for batch in lengths)

    assert spread(ordered) < spread(found) / 2


def test_a_record_without_a_plan_is_no_lesson_in_declining(tmp_path: Path, small: Image) -> None:
    records.write(tmp_path, [records.Record(small, "do")])
    with pytest.raises(RecordError, match="can be used"):
        next(supply.examples(Data(source=str(tmp_path)), registry, Json()))


def test_what_is_passed_over_moves_no_window() -> None:
    def odd(task: supply.Task) -> str | None:
        words = task.request.instruction
        return words if len(words) % 2 else None

    whole = list(itertools.islice(supply.drawn(Data(seed=3), registry, odd, size=10), 40))
    assert list(itertools.islice(supply.drawn(Data(seed=3), registry, odd, window=2, size=10), 20)) == whole[20:]
    assert all(len(words) % 2 for words in whole)


def test_a_data_set_of_which_nothing_can_be_used_is_an_error(tmp_path: Path, small: Image) -> None:
    records.write(tmp_path, [records.Record(small, "do")])
    with pytest.raises(RecordError, match="can be used"):
        next(supply.drawn(Data(source=str(tmp_path)), registry, lambda task: None))


def test_a_share_of_the_tasks_are_about_things_that_have_to_be_seen() -> None:
    def placed(data: Data, window: int = 0) -> list[bool]:
        tasks = itertools.islice(supply.tasks(data, registry, window, size=50), 200)
        plans = [task.workflow.steps if task.workflow else () for task in tasks]
        return [any(step.tool == "segment_box" and "top" in step.args for step in steps) for steps in plans]

    half = placed(Data(places=0.5, seed=3))
    assert sum(placed(Data(seed=3))) < 30
    assert 80 < sum(half) < 150
    assert placed(Data(places=0.5, seed=3), window=1)[:150] == half[50:]
    assert not any(placed(Data(places=1.0, plain=100, seed=3))[:100])  # those are read without pictures


def test_a_share_of_the_tasks_are_riddles_and_a_supply_of_them_can_begin_anywhere() -> None:
    data = Data(riddles=0.5, seed=3)
    whole = list(itertools.islice(supply.tasks(data, registry, size=20), 60))
    riddles = [
        task for task in whole if task.request.image.size == (staging.SIDE, staging.SIDE) and not task.request.given
    ]
    kept = [task for task in riddles if task.workflow and not task.workflow.steps]
    assert 15 <= len(riddles) <= 45
    assert kept
    assert words(supply.tasks(data, registry, window=2, size=20), 20) == [t.request.instruction for t in whole[40:]]
    early = list(itertools.islice(supply.tasks(Data(riddles=1.0, plain=10, seed=3), registry, size=10), 20))
    assert all(task.workflow is None or task.workflow.steps for task in early[:10])  # those are read without pictures
