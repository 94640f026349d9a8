"""Lessons: what is written comes back, what is broken is told, and their questions are those of use."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lego.builder import judge, thinking, verdict
from lego.builder.prompt import quoted
from lego.builder.verdict import Assessment, Conclusion, Scores
from lego.core.errors import RecordError
from lego.core.values import Image
from lego.rl.reasoning import exchanges, lessons
from lego.rl.reasoning.lessons import Book, Lesson, Provenance, Reflection, Thinking


def picture(seed: int) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8))


def thought(key: str = "t", answer: str = "warm it up a little, add grain") -> Thinking:
    made = Provenance(source="scenes", key=key, seed=3, version="1", facts={"concept": "seventies"})
    return Thinking(picture(1), "as if shot in 1975", answer, "abstract", "en", made)


def reflection(key: str = "r", outcome: str = "refine") -> Reflection:
    then = "remove the red ball" if outcome == "refine" else ""
    found = Assessment("partial", 1, 0, 1, 0, 7.5, 'the "red" ball is still there')
    return Reflection(
        picture(2),
        picture(3),
        picture(4) if outcome != "failed" else None,
        "把红球去掉",
        "",
        "zh",
        "没有红球",
        found,
        Conclusion(outcome, "the ball is still there", then),  # type: ignore[arg-type]  # one of the three
        Scores(4, 9.5, 8, 10) if outcome == "refine" else None,
        Provenance(source="pool", key=key, seed=0, version="1", model="http://localhost/v1#m"),
    )


def test_lessons_of_both_kinds_come_back_as_they_were(tmp_path: Path) -> None:
    written: list[Lesson] = [thought(), *(reflection(outcome, outcome) for outcome in ("success", "refine", "failed"))]
    book = Book(tmp_path)
    assert all(book.add(lesson) for lesson in written)
    assert list(lessons.read(tmp_path)) == written
    assert not book.add(thought()), "of one key there is one lesson"
    again = Book(tmp_path)
    outcomes = {("reflection", "pool", outcome): 1 for outcome in ("success", "refine", "failed")}
    assert again.counts == book.counts == Counter({("thinking", "scenes", "abstract"): 1, **outcomes})


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    book = Book(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda number: book.add(thought(str(number))), range(80)))
    assert len(list(lessons.read(tmp_path))) == 80


def test_a_line_that_a_killed_run_left_half_written_is_taken_away(tmp_path: Path) -> None:
    Book(tmp_path).add(thought())
    with (tmp_path / lessons.FILE).open("a") as file:
        file.write('{"kind": "thinking", "image": "0123')
    with pytest.raises(RecordError, match="line 2"):
        list(lessons.read(tmp_path))
    book = Book(tmp_path)
    book.add(thought("second"))
    assert [lesson.provenance.key for lesson in lessons.read(tmp_path)] == ["t", "second"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image": "../../secret.png"}, "image"),
        ({"image": "0" * 31 + "/.png"}, "image"),
        ({"more": 1}, "more: Extra inputs"),
        ({"way": "unchanged"}, "the way is 'unchanged'"),
        ({"answer": " "}, "answer"),
        ({"language": "de"}, "language"),
        ({"kind": "other"}, "kind"),
        ({"provenance": {"source": "x", "key": "k", "seed": "1", "version": "1"}}, "seed"),
    ],
)
def test_a_broken_thinking_line_is_told_with_its_file_and_line(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    Book(tmp_path).add(thought())
    file = tmp_path / lessons.FILE
    row = json.loads(file.read_text())
    with file.open("a") as out:
        out.write(json.dumps({**row, **change}) + "\n")
    for read in (lambda: list(lessons.read(tmp_path)), lambda: Book(tmp_path), lambda: exchanges.Supply(tmp_path)):
        with pytest.raises(RecordError, match=told) as caught:
            read()
        assert caught.value.where == f"{file}, line 2"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"outcome": "success"}, "'then' is what comes next"),
        ({"then": ""}, "'then' is what comes next"),
        ({"then": "把红球去掉"}, "only repeats"),
        ({"outcome": "missing"}, "outcome"),
        ({"scores": {"success": 11, "restraint": 1, "naturalness": 1, "cleanness": 1}}, "success"),
        ({"assessment": {"meets": "yes", "major": -1, "minor": 0, "omissions": 0, "hallucinations": 0, "raw": 1,
                         "reason": ""}}, "major"),
    ],
)  # fmt: skip
def test_a_broken_reflection_line_is_told(change: dict[str, object], told: str, tmp_path: Path) -> None:
    Book(tmp_path).add(reflection())
    file = tmp_path / lessons.FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(RecordError, match=told):
        list(lessons.read(tmp_path))


def test_what_is_no_lesson_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    book = Book(tmp_path)
    with pytest.raises(RecordError, match="lesson t: answer"):
        book.add(replace(thought(), answer=""))
    missing = replace(reflection(), conclusion=Conclusion("missing", "nothing"))
    with pytest.raises(RecordError, match="outcome"):
        book.add(missing)
    assert not (tmp_path / lessons.FILE).read_text()
    assert not list((tmp_path / "pictures").iterdir())


def test_a_picture_that_is_gone_is_told_with_its_line(tmp_path: Path) -> None:
    Book(tmp_path).add(thought())
    next((tmp_path / "pictures").iterdir()).unlink()
    with pytest.raises(RecordError, match="No such file") as caught:
        list(lessons.read(tmp_path))
    assert "line 1" in caught.value.where
    with pytest.raises(RecordError, match="cannot read") as caught:
        list(lessons.read(tmp_path / "nowhere"))
    assert "lego synth" in caught.value.hint


def test_questions_are_those_of_use_and_answers_read_back() -> None:
    lesson = thought()
    asked = exchanges.of(lesson, "think")
    assert asked.prompt == thinking.PROMPT.format(instruction=quoted(lesson.instruction))
    assert (asked.images, asked.answer) == ((lesson.image,), lesson.answer)
    seen = reflection()
    words = quoted(seen.instruction)
    describe, assess, conclude = (exchanges.of(seen, part) for part in ("describe", "assess", "conclude"))
    assert (describe.prompt, describe.images) == (judge.describing(words), (seen.source,))
    assert (assess.prompt, assess.images) == (judge.assessing(words, seen.description), (seen.result,))
    assert verdict.assessment(assess.answer) == seen.assessment
    assert conclude.prompt == judge.concluding(words, "", seen.assessment)
    assert conclude.images == (seen.source, seen.result)
    assert verdict.conclusion(conclude.answer) == seen.conclusion


def test_the_supply_goes_through_all_in_a_new_order_each_time_and_begins_anywhere(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for lesson in (thought("a", "粗颗粒"), thought("b"), reflection("c"), reflection("d", "success")):
        book.add(lesson)
    found = [e.answer for e in itertools.islice(exchanges.Supply(tmp_path, 1).exchanges(), 24)]
    rounds = [found[:8], found[8:16], found[16:]]
    assert sorted(rounds[0]) == sorted(rounds[1]) == sorted(rounds[2])
    assert rounds[0] != rounds[1]
    for start in (3, 8, 13):
        later = itertools.islice(exchanges.Supply(tmp_path, 1).exchanges(start), 24 - start)
        assert [e.answer for e in later] == found[start:]


def test_an_empty_data_set_has_no_supply(tmp_path: Path) -> None:
    Book(tmp_path)
    with pytest.raises(RecordError, match="no lessons"):
        exchanges.Supply(tmp_path)
