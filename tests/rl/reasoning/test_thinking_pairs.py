"""Thinking pairs without a model: the mix, the answers, and a run that is killed and goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from lego.builder.base import Request
from lego.builder.calls import Call
from lego.builder.rules import Rules
from lego.core.registry import registry
from lego.rl import phrasings
from lego.rl.reasoning import lessons, synthesis, thinking_pairs
from lego.rl.reasoning.lessons import Book, Thinking
from lego.rl.reasoning.plain import Plain
from lego.rl.reasoning.pool import tongue
from lego.rl.reasoning.thinking_pairs import Pairs

COUNT = 60


@pytest.fixture(scope="module")
def pairs() -> list[Thinking]:
    made = Pairs(registry, seed=5)
    found = [made.lesson(number) for number in range(COUNT)]
    return [pair for pair in found if pair is not None]


def test_every_number_gives_a_pair_in_both_languages(pairs: list[Thinking]) -> None:
    assert len(pairs) == COUNT
    for pair in pairs:
        lessons.row_of(pair)
        assert tongue(pair.answer) == tongue(pair.instruction) == pair.language
    assert {pair.language for pair in pairs} == {"en", "zh"}
    assert len({pair.instruction for pair in pairs}) > 0.8 * COUNT


def test_all_answers_are_planned_by_the_rules_and_are_three_edits_at_most(pairs: list[Thinking]) -> None:
    tools = tuple(registry.running())
    for pair in pairs:
        assert Rules().plan(Request(pair.image, pair.answer, tools)).workflow.steps, pair.answer
        facts = pair.provenance.facts
        if pair.way == "decomposed":
            assert 2 <= len(facts["calls"]) <= 3  # type: ignore[arg-type]  # a list
            assert len(re.split("[,，]", pair.answer)) >= len(facts["calls"])  # type: ignore[arg-type]


def test_an_answer_means_the_calls_that_the_question_was_made_of(pairs: list[Thinking]) -> None:
    plain = Plain(tuple(registry.running()))
    for pair in pairs:
        calls = pair.provenance.facts.get("calls")
        if isinstance(calls, list):
            assert plain.means(pair.answer, [Call.model_validate(call) for call in calls])


def test_wishes_are_about_things_in_the_picture_too(pairs: list[Thinking]) -> None:
    named = [pair for pair in pairs if '"on"' in json.dumps(pair.provenance.facts)]
    assert len(named) >= 3
    assert all(str(pair.provenance.facts["picture"]).startswith("scene") for pair in named)
    for pair in named:
        for call in pair.provenance.facts["calls"]:  # type: ignore[union-attr]  # a list
            assert call.get("on", "") in pair.answer  # type: ignore[union-attr, operator]


def test_the_mix_is_that_of_the_paper() -> None:
    ways = Counter(thinking_pairs.way_of(Random(f"thinking {n}")) for n in range(2000))
    assert abs(ways["decomposed"] / 2000 - 0.31) < 0.03
    assert abs(ways["abstract"] / 2000 - 0.44) < 0.03
    assert abs(ways["unchanged"] / 2000 - 0.25) < 0.03


def test_a_number_gives_the_same_pair_alone(pairs: list[Thinking]) -> None:
    again = Pairs(registry, seed=5)
    for number in (7, 31):
        assert again.lesson(number) == pairs[number]


def test_only_words_of_the_training_are_used() -> None:
    made = Pairs(registry)
    for found in made.ways.values():
        assert all(phrasing.within("train") for phrasing in found)
    for found in made.plain.phrasings.values():
        assert all(phrasing.within("train") for phrasing in found)
    test = [p.text for p in phrasings.of_tools() if not p.within("train")]
    assert not {p.text for found in made.ways.values() for p in found} & set(test)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_one_language_can_be_asked_for(language: str) -> None:
    made = Pairs(registry, seed=2, language=language)
    assert {pair.language for n in range(6) if (pair := made.lesson(n))} == {language}


def test_carriers_lead_a_concept_in_and_its_concrete_words_are_the_answer(pairs: list[Thinking]) -> None:
    from lego.builder import thinking

    concepts = thinking.load(thinking.FILE)
    found = [pair for pair in pairs if "concept" in pair.provenance.facts]
    assert found
    for pair in found:
        concept = concepts[str(pair.provenance.facts["concept"])]
        done = concept.do_zh if pair.language == "zh" else concept.do_en
        assert re.fullmatch(re.escape(done).replace(r"\{thing\}", ".+"), pair.answer)
        assert not re.search(r"[{}]", pair.instruction + pair.answer)
        assert "#" not in pair.instruction


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("unripe {thing}", "the unripe red ball"),
        ("iodine on starchy {thing}", "iodine on starchy red ball"),
        ("rust on {thing}", "rust on the red ball"),
        ("{thing} as a yellow cab", "the red ball as a yellow cab"),
    ],
)
def test_a_thing_stands_in_a_concept_s_name_as_people_say_it(way: str, said: str) -> None:
    assert thinking_pairs._named(way, "the red ball") == said
    assert thinking_pairs._named("没熟的{thing}", "红色的球") == "没熟的红色的球"


def test_amounts_are_said_as_near_as_words_can() -> None:
    plain = Plain(tuple(registry.running()))
    for seed in range(5):
        weak = plain.edits(Random(seed), [Call(tool="exposure", args={"exposure": 0.25})], "en", False)
        strong = plain.edits(Random(seed), [Call(tool="exposure", args={"exposure": 1.0})], "en", False)
        assert weak is not None
        assert strong is not None
        assert "a little" in weak
        assert "a lot" in strong
        exact = plain.edits(Random(seed), [Call(tool="resize", args={"scale": 2.5})], "en", True)
        assert exact is not None
        assert "2.5" in exact


def test_a_killed_run_goes_on_and_ends_with_what_an_unbroken_one_gives(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lego", "synth", "thinking", "--seed", "9", "--workers", "1", "--count", "12"]
    run = subprocess.Popen([*command, "--out", str(tmp_path / "killed")], stdout=subprocess.DEVNULL)
    file = tmp_path / "killed" / lessons.FILE
    limit = time.monotonic() + 100
    while (not file.exists() or file.read_bytes().count(b"\n") < 3) and time.monotonic() < limit:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    kept = file.read_bytes().count(b"\n")
    assert kept < 12
    with file.open("a") as out:
        out.write('{"kind": "thin')  # as a kill in the middle of a line leaves it
    before = file.read_bytes().rpartition(b"\n")[0]
    maker = Pairs(registry, seed=9)
    for name in ("killed", "whole"):
        synthesis.numbered(
            Book(tmp_path / name), "thinking", lambda n: thinking_pairs.key_of(9, "both", n), lambda: maker, 12
        )
    assert file.read_bytes().startswith(before)
    assert file.read_text() == (tmp_path / "whole" / lessons.FILE).read_text()
    assert len(list(lessons.read(tmp_path / "killed"))) == 12


def test_processes_share_the_work_and_give_the_same_lessons(tmp_path: Path) -> None:
    import functools

    key = functools.partial(thinking_pairs.key_of, 4, "both")
    maker = functools.partial(thinking_pairs.made, 4, "both")
    count = synthesis.FEW + 2
    synthesis.numbered(Book(tmp_path / "two"), "thinking", key, maker, count, workers=2)
    rows = [json.loads(line) for line in (tmp_path / "two" / lessons.FILE).read_text().splitlines()]
    assert [row["provenance"]["key"] for row in rows] == [key(n) for n in range(count)]
    one = Pairs(registry, 4).lesson(count - 1)
    assert one
    assert lessons.row_of(one).model_dump(exclude_defaults=True) == rows[-1]
