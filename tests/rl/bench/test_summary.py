"""The tables count what was judged, what is missing and what was not generated, and say how sure their means are."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lego.rl.bench import official, running, scoring, suites
from lego.rl.bench.judging import Asked
from lego.rl.bench.page import page
from lego.rl.bench.panel import judge_of
from lego.rl.bench.prompts import Prompts
from lego.rl.bench.running import Way
from lego.rl.bench.suite import Column
from lego.rl.bench.summary import _figure, summarise
from tests.rl.bench import copies, judges
from tests.rl.bench.copies import COPIES
from tests.rl.bench.judges import asked, done

ODD = Column("x", 0, 10)


def first_fails(words: str, number: int) -> str:
    return "no" if number == 1 else judges.good(words, number)


def test_missing_and_not_generated_are_counted_and_bound_the_mean(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "gedit")
    (home / "fullset" / "color_alter" / "en" / "co003.png").unlink()
    scoring.score(suite, items, home, asked(suite, first_fails, retries=0))
    made = summarise(suite, items, home)
    english, chinese = made.tables
    assert [english.lang, chinese.lang] == ["en", "cn"]
    color, subject = english.lines
    assert [color.items, color.judged, color.missing, color.absent] == [4, 2, 1, 1]
    assert [subject.items, subject.judged, subject.missing, subject.absent] == [4, 4, 0, 0]
    o = color.figures["O"]
    assert o.mean == 6
    assert list(o.bounds) == [3, 8]
    assert english.overall["mean of groups, O"].mean == 6
    bounds = [list(table.overall[f"{name}, O"].bounds) for table, name in (
        (english, "mean of groups"), (english, "Intersection, mean of groups"), (chinese, "mean of items"),
    )]  # fmt: skip
    assert bounds == [[4.5, 7], [4.5, 7], [6, 6]]  # of two that are flagged one is missing


def test_the_interval_is_that_of_the_bootstrap_and_the_same_each_time() -> None:
    cells = [[(float(n % 10),) for n in range(100)]]
    one, two = _figure(cells, ODD, "fixed"), _figure(cells, ODD, "fixed")
    assert one == two
    assert one.interval
    low, high = one.interval
    assert 4.5 - low == pytest.approx(1.96 * 2.872 / 10, rel=0.15)  # the normal approximation
    assert high - 4.5 == pytest.approx(1.96 * 2.872 / 10, rel=0.15)
    assert _figure([[(4.0,)]], ODD, "fixed").interval is None
    nothing = _figure([[(None,)]], ODD, "fixed")
    assert (nothing.mean, nothing.interval, nothing.bounds) == (None, None, (0, 10))


def test_the_mean_of_several_passes_is_taken_for_each_item_and_a_lost_one_costs_nothing(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "rise")
    items = [item for item in items if item.group == "causal_reasoning"]

    def answer(words: str, number: int) -> str:
        return "no" if number > 4 else f"Final Score: {3 if number <= 2 else 5}"

    scoring.score(suite, items, home, asked(suite, answer, retries=0), passes=3)
    table = summarise(suite, items, home).tables[0]
    assert table.passes == 3
    assert table.cells[items[0].id]["percent"] == (75,)
    assert list(table.cells[items[0].id]["accuracy"]) == [50]
    assert table.lines[0].judged == 1


def test_one_scoring_serves_both_modes(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    text = "Brief reasoning: fine\nOne: 4.\nTwo: 5\nThree: 5"
    scoring.score(suite, items, home, asked(suite, lambda words, number: text))
    assert summarise(suite, items, home, "fixed").tables[0].overall["mean of items"].mean == 4
    assert summarise(suite, items, home, "fixed", False).tables[0].overall["mean of types"].mean == pytest.approx(
        14 / 3
    )
    assert summarise(suite, items, home, "official").tables[0].overall["mean of types"].mean == 5


def test_judges_are_never_mixed(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    scoring.score(suite, items, home, asked(suite))
    scoring.score(suite, items, home, asked(suite, seed=7))
    scoring.score(suite, items, home, judge_of("pixels", suite, Prompts({}), "fixed", 0))
    tables = summarise(suite, items, home).tables
    assert [table.kind for table in tables] == ["talker", "talker", "pixels"]
    assert tables[0].judge != tables[1].judge


def test_a_judgement_of_a_result_that_was_made_anew_does_not_count(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    scoring.score(suite, items, home, asked(suite))
    (home / "0.png").write_bytes((home / "1.png").read_bytes())
    made = summarise(suite, items, home)
    assert made.stale == 1
    assert made.tables[0].lines[0].missing == 1


def test_kris_shows_groups_and_their_dimensions(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "kris")
    scoring.score(suite, items, home, asked(suite))
    table = summarise(suite, items, home).tables[0]
    names = [line.name for line in table.lines]
    assert names == [
        "Factual",
        "Factual: attribute",
        "Factual: spatial",
        "Factual: temporal",
        "Conceptual",
        "Conceptual: natural",
    ]
    factual, conceptual = (table.overall[f"{name}, flat mean"].mean for name in ("Factual", "Conceptual"))
    assert factual == pytest.approx((100 + 100 + 50) / 3)
    assert conceptual == pytest.approx((100 + 100 + 75 + 50) / 4)
    assert table.overall["overall, flat mean"].mean == pytest.approx((9 * 250 + 3 * 325) / 39)
    assert table.overall["Procedural, flat mean"].mean is None


def test_a_perfect_background_is_never_shown_alone(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "compbench")
    scoring.score(suite, items, home, judge_of("pixels", suite, Prompts({}), "fixed", 0))
    table = summarise(suite, items, home).tables[0]
    assert table.main == "foreground SSIM"
    figures = table.lines[0].figures
    assert figures["background PSNR"].mean == 100
    assert figures["changed inside"].mean == 0
    assert (figures["foreground PSNR"].mean or 100) < 100
    assert {label.partition(", ")[2] for label in table.overall} == set(figures)


def test_gedit_writes_the_official_tables(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "gedit")
    scoring.score(suite, items, home, asked(suite, first_fails, retries=0))
    written = official.export(summarise(suite, items, home, "official"))
    assert [str(path.relative_to(tmp_path / "out")) for path in written] == [
        f"nothing/canned/eval_results_new/nothing_{group}_gpt_score.csv" for group in ("color_alter", "subject-remove")
    ]
    with written[0].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "source_image", "edited_image", "instruction", "sementics_score", "quality_score", "intersection_exist",
        "instruction_language",
    ]  # fmt: skip
    assert len(rows) == 7  # the one that failed is left out, as the script does
    assert {row["instruction_language"] for row in rows} == {"en", "cn"}
    assert (float(rows[0]["sementics_score"]), float(rows[0]["quality_score"])) == (4, 9)
    assert Path(rows[0]["source_image"]).is_file()


def test_imgedit_writes_the_replies_for_the_official_script(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "imgedit")
    scoring.score(suite, items, home, asked(suite))
    (path,) = official.export(summarise(suite, items, home, "official"))
    assert path == home / "result.json"
    assert set(json.loads(path.read_text())) == {item.id for item in items}


@pytest.mark.parametrize("name", list(COPIES))
def test_the_page_is_complete_in_itself_and_escapes_what_others_wrote(tmp_path: Path, name: str) -> None:
    suite, items, home = done(tmp_path, name)
    odd = [type(item)(**{**vars(item), "instruction": "<script>alert(1)</script>"}) for item in items]
    judge = Asked(suite, judges.Canned(lambda words, number: "<img src=x>"), Prompts(suite.prompts), retries=0)
    scoring.score(suite, odd, home, judge)
    text = page(summarise(suite, odd, home), 2)
    assert "<script" not in text
    assert "<img src=x" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert text.count("data:image/jpeg") >= 4
    assert suite.title in text


def test_the_page_shows_why_a_result_is_not_there(tmp_path: Path) -> None:
    from lego.core.settings import Settings
    from lego.editor import Editor

    suite = suites.find("gedit")
    items = suite.load(copies.gedit(tmp_path / "data"))
    running.run(suite, items, Way(Editor("rules", settings=Settings(cache_disk_mb=0))), tmp_path / "out")
    made: Any = summarise(suite, items, running.home_of(suite, tmp_path / "out"))
    assert made.runs == {"done": 12, "declined": 4}
    text = page(made)
    assert "not generated" in text
    assert "declined:" in text
    assert "Nothing is judged yet" in text


def test_kris_writes_the_metrics_of_each_type_on_their_own_scale(tmp_path: Path) -> None:
    suite, items, home = done(tmp_path, "kris")
    scoring.score(suite, items, home, asked(suite))
    written = official.export(summarise(suite, items, home, "official"))
    assert len(written) == 4
    metrics = json.loads((home / "images" / "biology" / "metrics.json").read_text())["1"]
    scores = {name: value for name, value in metrics.items() if name.endswith("_score")}
    assert scores == {"consistency_score": 5, "quality_score": 5, "instruction_score": 4, "knowledge_score": 3}
