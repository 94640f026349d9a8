"""Results are judged strictly and resumably; what cannot be judged is missing, with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.builder.editscore import EditScore
from lego.core.errors import PlanError, RecordError, SettingsError
from lego.core.values import Image
from lego.rl.bench import panel, prompts, running, scoring, suites, summary
from lego.rl.bench.editscore import Scorer
from lego.rl.bench.formulas import Mode
from lego.rl.bench.judging import Asked
from lego.rl.bench.pixels import Measured
from lego.rl.bench.prompts import Prompts
from lego.rl.bench.running import Way
from lego.rl.bench.suite import Suite
from tests.rl.bench import copies, judges
from tests.rl.bench.copies import COPIES
from tests.rl.bench.judges import asked, done


def lines(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / scoring.FILE).read_text().splitlines()]


@pytest.mark.parametrize("name", list(COPIES))
def test_every_question_of_every_suite_is_answered_and_kept_with_its_facts(tmp_path: Path, name: str) -> None:
    suite, items, home = done(tmp_path, name)
    judge = asked(suite)
    assert scoring.score(suite, items, home, judge, workers=3) == (len(items), 0, 0)
    assert len(lines(home)) == len(items)
    line = lines(home)[0]
    assert line["judge"] == "http://judge/v1#canned"
    assert line["facts"]["temperature"] == 0
    assert line["facts"]["seed"] == 42
    assert line["facts"]["pictures"].startswith("PNG")
    assert line["prompts"] == Prompts(suite.prompts).hash
    assert set(line["scores"]) == set(line["raw"])
    sent = judge.talker.asked  # type: ignore[attr-defined]
    assert not any("<instruction>" in call["words"] or "<explanation>" in call["words"] for call in sent)


def test_a_second_scoring_asks_nothing_and_a_result_made_anew_is_judged_anew(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    scoring.score(suite, items, home, asked(suite))
    judge = asked(suite)
    scoring.score(suite, items, home, judge)
    talker = judge.talker
    assert isinstance(talker, judges.Canned)
    assert talker.asked == []
    Image(copies.pixels(77)).save(home / "4.png")
    scoring.score(suite, items, home, judge)
    assert len(talker.asked) == 1


def test_other_prompts_and_further_passes_are_judged_beside_the_first(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    scoring.score(suite, items, home, asked(suite))
    again = asked(suite)
    scoring.score(suite, items, home, again, passes=3)
    assert isinstance(again.talker, judges.Canned)
    assert len(again.talker.asked) == 2 * len(items)
    assert {call["seed"] for call in again.talker.asked} == {43, 44}
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"add": "Brief reasoning please: <edit_prompt>", "unknown": "x"}))
    theirs = Asked(suite, judges.Canned(), prompts.read(path, suite.prompts))
    scoring.score(suite, items, home, theirs)
    assert len({line["prompts"] for line in lines(home)}) == 2
    assert len(lines(home)) == 4 * len(items)


def test_an_unreadable_reply_is_asked_for_again_by_sampling_and_then_missing_with_its_words(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "gedit")
    judge = asked(
        suite, lambda words, number: "I'm sorry, but I can't." if "first picture" in words else judges.good(words, 1)
    )
    assert scoring.score(suite, items[:2], home, judge, passes=1) == (0, 2, 0)
    line = lines(home)[0]
    assert line["scores"] == {"sc": None, "pq": [9, 10]}
    assert line["missing"] == {"sc": "one JSON object with scores was asked for, and none came"}
    assert line["raw"]["sc"] == "I'm sorry, but I can't."
    assert line["tries"] == {"sc": 4}
    assert isinstance(judge.talker, judges.Canned)
    assert [call["temperature"] for call in judge.talker.asked[:4]] == [0, 0.7, 0.7, 0.7]
    assert len({call["seed"] for call in judge.talker.asked[:4]}) == 4


def test_what_is_missing_is_asked_for_again_only_if_wished(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    scoring.score(suite, items, home, asked(suite, lambda words, number: "no", retries=0))
    assert scoring.score(suite, items, home, asked(suite))[:2] == (0, len(items))
    assert scoring.score(suite, items, home, asked(suite), again=True)[:2] == (len(items), 0)


def test_a_reply_that_comes_at_the_second_try_counts_and_the_tries_are_kept(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    judge = asked(suite, lambda words, number: "" if number == 1 else judges.good(words, number))
    assert scoring.score(suite, items[:1], home, judge) == (1, 0, 0)
    assert lines(home)[0]["tries"] == {"score": 2}
    assert "missing" not in lines(home)[0]


def fails(code: str) -> judges.Answer:
    def answer(words: str, number: int) -> str:
        raise PlanError("the server answers 500", code=code)

    return answer


def test_a_judge_that_is_gone_stops_the_scoring_and_nothing_is_kept(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    with pytest.raises(PlanError):
        scoring.score(suite, items, home, asked(suite, fails("no_server")))
    assert lines(home) == []


def test_a_judge_that_fails_now_and_then_leaves_a_gap_and_one_that_always_fails_stops_the_scoring(
    tmp_path: Path,
) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    failing = fails("bad_server")
    judge = asked(suite, lambda words, n: failing(words, n) if n <= 4 else judges.good(words, n))
    assert scoring.score(suite, items, home, judge)[:2] == (9, 1)
    assert lines(home)[0]["missing"]["score"] == "no answer: the server answers 500"
    with pytest.raises(PlanError, match="500"):
        scoring.score(suite, items, home, asked(suite, failing), passes=2)


def test_a_result_that_cannot_be_opened_is_missing_and_one_that_is_not_there_is_not_generated(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    (home / "0.png").write_bytes(b"\x89PNG nothing")
    (home / "1.png").unlink()
    assert scoring.score(suite, items, home, asked(suite)) == (len(items) - 2, 1, 1)
    assert "result" in lines(home)[0]["missing"]


def test_the_judge_sees_the_result_in_the_size_of_the_source_and_jpeg_in_official_mode(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "gedit")
    path = running.result_of(suite, home, items[0])
    assert path
    Image.open(Image.open(path).pil().resize((24, 20))).save(path)
    for mode in ("fixed", "official"):
        judge = asked(suite, mode=mode)
        scoring.score(suite, items[:1], home, judge)
        assert isinstance(judge.talker, judges.Canned)
        source, result = judge.talker.asked[0]["images"]
        assert result.size == source.size == copies.SIZE
        assert np.array_equal(source.pixels, copies.pixels(0)) == (mode == "fixed")
        assert len(judge.talker.asked[1]["images"]) == 1
        assert lines(home)[-1]["notes"] == ["resized from 24 x 20 to 48 x 40"]
    assert "JPEG" in lines(home)[-1]["facts"]["pictures"]


def test_words_in_an_instruction_are_not_taken_for_slots(tmp_path: Path) -> None:
    item = suites.find("imgedit").load(copies.imgedit(tmp_path))[0]
    odd = type(item)(item.id, item.images, "write <explanation> {reference}", "add", explain="secret")
    text = Prompts({"add": "Do: <edit_prompt>; {reference}"}).fill("add", odd)
    assert text == "Do: write <explanation> {reference}; secret"


def test_a_file_without_a_prompt_of_the_suite_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    for content, says in (("[]", "object of texts"), ('{"x": "y"}', "no prompt of this suite"), ("{", "no JSON")):
        path.write_text(content)
        with pytest.raises(RecordError, match=says):
            prompts.read(path, suites.find("kris").prompts)


def test_one_letter_makes_another_hash() -> None:
    assert Prompts({"a": "x"}).hash != Prompts({"a": "y"}).hash
    assert Prompts({"a": "x", "b": "y"}).hash == Prompts({"b": "y", "a": "x"}).hash


class Model:
    """Stands in for the model of the package editscore, and records its calls."""

    temperature = 0.7

    def __init__(self, replies: list[str]) -> None:
        self.replies = replies
        self.calls: list[dict[str, Any]] = []

    def prepare_input(self, images: list[Any], text: str) -> dict[str, Any]:
        return {"images": images, "text": text}

    def inference(self, prompt: dict[str, Any], seed: int) -> str:
        self.calls.append({**prompt, "seed": seed})
        return self.replies[len(self.calls) - 1]


class Engine:
    SC_prompt, PQ_prompt = "edited? <instruction>", "clean?"

    def __init__(self, replies: list[str]) -> None:
        self.model = Model(replies)


def test_editscore_is_asked_by_its_prompts_and_read_strictly(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    replies = ['{"score": [20, 25]}', "", '{"reasoning": "x", "score": [26, 25]}', '{"score": [25, 10]}']
    engine = Engine([*replies, *['{"score": [12]}'] * 8])
    judge = Scorer(EditScore(engine, "editscore:model"), retries=3)
    assert scoring.score(suite, items[:2], home, judge, workers=4) == (1, 1, 0)
    first, second = lines(home)
    assert first["scores"] == {"sc": [8, 10], "pq": [10, 4]}
    assert first["tries"] == {"pq": 3}
    assert second["scores"] == {"sc": None, "pq": None}
    calls = engine.model.calls
    assert [len(call["images"]) for call in calls[:3]] == [2, 1, 1]  # the quality of the result is judged alone
    assert calls[0]["text"] == f"edited? {items[0].instruction}"
    assert calls[0]["seed"] == 42


def test_editscore_that_is_not_installed_says_how_to_get_it() -> None:
    suite = suites.find("gedit")
    with pytest.raises(SettingsError, match="needs a model"):
        panel.judge_of("editscore", suite, Prompts(suite.prompts), "fixed", 3)
    with pytest.raises(SettingsError, match="not installed") as caught:
        panel.judge_of("editscore:qwen25vl#some/model+some/adapter", suite, Prompts(suite.prompts), "fixed", 3)
    assert "pip install" in caught.value.hint


def test_pixels_need_no_model(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "compbench")
    judge = panel.judge_of("pixels", suite, Prompts({}), "fixed", 0)
    assert isinstance(judge, Measured)
    assert scoring.score(suite, items, home, judge, workers=2) == (5, 0, 0)
    assert lines(home)[0]["scores"]["background PSNR"] == [100]


def test_a_served_model_judges_over_http(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "rise")
    with judges.served() as (name, requests):
        judge = panel.judge_of(name, suite, Prompts(suite.prompts), "fixed", 3)
        assert scoring.score(suite, items, home, judge, workers=2)[1:] == (0, 0)
    assert len(requests) == sum(len(suite.calls(item, "fixed")) for item in items)
    assert requests[0]["max_tokens"] == 4096


def test_a_torn_line_of_a_killed_scoring_is_judged_again_and_no_other(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    scoring.score(suite, items, home, asked(suite))
    path = home / scoring.FILE
    path.write_bytes(path.read_bytes()[:-9])
    assert len(summary.summarise(suite, items, home).tables[0].scores) == len(items) - 1  # a report may come between
    judge = asked(suite)
    assert scoring.score(suite, items, home, judge) == (len(items), 0, 0)
    assert isinstance(judge.talker, judges.Canned)
    assert len(judge.talker.asked) == 1
    assert len(lines(home)) == len(items)
