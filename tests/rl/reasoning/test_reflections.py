"""Reflection lessons: the mix, honest counts, verdicts that read back, and a pool that a model judges."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from lego.builder import verdict
from lego.builder.base import Request
from lego.builder.calls import Call
from lego.builder.rules import Rules
from lego.cli import app
from lego.core.registry import registry
from lego.core.values import Image
from lego.rl import flaws, records, trials
from lego.rl.reasoning import exchanges, lessons, pool, reflection_words, reflections, synthesis
from lego.rl.reasoning.lessons import Book, Reflection
from lego.rl.reasoning.pool import tongue
from lego.rl.reasoning.reflections import Reflections
from tests.serving import serving

COUNT = 40


@pytest.fixture(scope="module")
def found() -> list[Reflection]:
    made = Reflections(seed=3)
    return [lesson for number in range(COUNT) if (lesson := made.lesson(number))]


def test_every_number_gives_a_lesson_and_its_result_is_what_the_verdict_says(found: list[Reflection]) -> None:
    assert len(found) == COUNT
    for lesson in found:
        lessons.row_of(lesson)
        trial = trials.trial(int(str(lesson.provenance.facts["trial"])))
        assert trial.number >= reflections.FIRST
        assert (lesson.source, lesson.target, lesson.instruction) == (trial.image, trial.target, trial.instruction)
        assert trial.done(lesson.result) == (lesson.conclusion.outcome == "success")


def test_the_mix_is_three_to_one_to_one(found: list[Reflection]) -> None:
    outcomes = Counter(reflections.outcome_of(Random(f"reflection {n}")) for n in range(2000))
    for outcome, share in (("success", 0.6), ("refine", 0.2), ("failed", 0.2)):
        assert abs(outcomes[outcome] / 2000 - share) < 0.03  # type: ignore[index]  # one of the three
    assert {lesson.conclusion.outcome for lesson in found} == {"success", "refine", "failed"}


def test_verdicts_read_back_and_the_capped_score_agrees_with_the_outcome(found: list[Reflection]) -> None:
    for lesson in found:
        assert verdict.assessment(exchanges.of(lesson, "assess").answer) == lesson.assessment
        assert verdict.conclusion(exchanges.of(lesson, "conclude").answer) == lesson.conclusion
        assert reflections.agrees(lesson.conclusion.outcome, lesson.assessment), lesson
        assert (lesson.assessment.caps == []) == (lesson.conclusion.outcome == "success")
        assert lesson.scores
        assert (lesson.scores.value >= 70) == (lesson.conclusion.outcome == "success")


def test_counts_are_those_of_what_was_spoilt(found: list[Reflection]) -> None:
    for lesson in found:
        kind, seen = lesson.provenance.facts["spoilt"], lesson.assessment
        if kind == "left out":
            assert (seen.omissions, seen.major, seen.meets) == (1, 0, "partial")
        elif kind == "black":
            assert (seen.major, seen.meets) == (2, "no")
            assert not lesson.result.pixels.any()
        elif kind == "idle":
            assert seen.omissions >= 1
            assert np.array_equal(lesson.result.pixels, lesson.source.pixels)
        elif kind == "other thing":
            assert (seen.omissions, seen.hallucinations) == (1, 1)


def test_words_are_in_the_language_of_the_instruction(found: list[Reflection]) -> None:
    for lesson in found:
        said = (lesson.description, lesson.conclusion.thought, lesson.assessment.reason)
        assert {tongue(text) for text in said} == {lesson.language}
        assert not any(re.search(r"[{}]|\.\.|。。|  ", text) for text in said)


def test_what_comes_next_is_planned_by_the_rules(found: list[Reflection]) -> None:
    tools = tuple(registry.running())
    nexts = [lesson for lesson in found if lesson.conclusion.outcome == "refine"]
    assert nexts
    for lesson in nexts:
        assert Rules().plan(Request(lesson.result, lesson.conclusion.then, tools)).workflow.steps


def test_kinds_that_critics_are_measured_by_are_left_out() -> None:
    kinds = {kind for kinds in reflections.KINDS.values() for kind in kinds}
    assert not kinds & flaws.HELD
    assert kinds - {"", "overdone"} == (set(flaws.PLANS) | set(flaws.TOOLS)) - flaws.HELD


def test_there_are_words_for_every_call_of_a_trial_in_both_languages() -> None:
    for kind in (*trials.ON_THINGS, *trials.ON_ALL):
        for language in ("en", "zh"):
            call = Call(tool=kind.tool, args=kind.args)
            assert reflection_words.seen(Random(0), call, language), (kind.tool, language)


def test_lessons_are_written_by_number_and_gone_on_with(tmp_path: Path) -> None:
    maker = Reflections(seed=8)

    def write(name: str, count: int) -> None:
        book = Book(tmp_path / name)
        synthesis.numbered(book, "reflection", lambda n: reflections.key_of(8, "both", n), lambda: maker, count)

    write("whole", 5)
    write("parts", 2)
    with (tmp_path / "parts" / lessons.FILE).open("a") as file:
        file.write('{"kind": "refl')
    write("parts", 5)
    texts = [(tmp_path / name / lessons.FILE).read_text() for name in ("whole", "parts")]
    assert texts[0] == texts[1]


class Server(BaseHTTPRequestHandler):
    """Judges: what is asked decides what it thinks of the result."""

    asked: ClassVar[Counter[str]] = Counter()
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = body["messages"][0]["content"][-1]["text"]
        found = re.search(r'INSTRUCTION: (".*")', words)
        own = json.loads(found[1]) if found else ""
        with self.lock:
            self.asked[own] += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"choices": [{"message": {"content": self.answer(own, words)}}]}).encode())

    def answer(self, own: str, words: str) -> str:
        if '"score"' in words:
            return '{"score": [9, 8], "reasoning": "fine"}'
        if '"raw_score"' in words:
            good = "brighten" in own or "darken" in own
            return verdict.written(verdict.Assessment("yes" if good else "partial", 0, 0, 0, 0, 9.0, "so it is"))
        if "<#Think>" in words:
            end = "<#Success>" if "en it" in own or "flip" in own else "<#Reflection> and now blur it a little"
            return f"<#Think> I see {end}"
        return "nothing at all" if "describe me" in own else "a brighter picture"

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.asked.clear()
    with serving(Server) as address:
        yield f"{address}/v1#m"


def test_a_pool_is_edited_and_judged_to_the_mix_and_nothing_is_judged_twice(
    url: str, tmp_path: Path, small: Image
) -> None:
    wishes = [f"brighten it by {n} %" for n in range(10, 20)] + [f"rotate it by {n} degrees" for n in range(10, 16)]
    wishes += ["flip it", "sing me a song", "describe the picture"]
    target = small.map(lambda pixels: pixels // 2)
    records.write(tmp_path / "pool", [records.Record(small, wish, target=target) for wish in wishes])
    command = ["synth", "reflection", "--pool", str(tmp_path / "pool"), "--model", url, "--out", str(tmp_path / "out"),
               "--builder", "rules", "--workers", "2"]  # fmt: skip
    done = CliRunner().invoke(app, [*command, "--count", "10"])
    assert done.exit_code == 0, done.output
    assert "8 lessons in reflection: 2 refine, 6 success" in done.output
    assert "no picture came out" in done.output
    assert "the judge's score and outcome disagree" in done.output
    assert "2 are wanting" in done.output
    for lesson in lessons.read(tmp_path / "out"):
        assert isinstance(lesson, Reflection)
        assert lesson.target == target
        assert lesson.description == "a brighter picture"
        assert lesson.provenance.model == url
        assert lesson.provenance.facts["builder"] == "rules"
        assert lesson.scores == verdict.Scores(9, 8, 9, 8)
    asked = Counter(Server.asked)
    again = CliRunner().invoke(app, [*command, "--count", "10"])
    assert Server.asked == asked, "nothing is judged twice"
    assert "8 lessons" in again.output


def test_the_pool_of_a_reflection_may_be_a_folder_of_pictures(url: str, tmp_path: Path, small: Image) -> None:
    small.save(tmp_path / "a.png")
    (tmp_path / pool.FILE).write_text(json.dumps({"image": "a.png", "instruction": "darken it"}) + "\n")
    command = ["synth", "reflection", "--pool", str(tmp_path), "--model", url, "--builder", "rules"]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out"), "--count", "3"])
    assert "1 lessons in reflection: 1 success" in done.output
    (lesson,) = lessons.read(tmp_path / "out")
    assert isinstance(lesson, Reflection)
    assert lesson.target is None
    assert lesson.result.pixels.mean() < small.pixels.mean()
