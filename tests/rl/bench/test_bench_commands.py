"""The commands, as a user types them: run, score and report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lego.cli import app
from lego.core.errors import LegoError
from tests.rl.bench import copies, judges
from tests.rl.bench.copies import COPIES


def lego(*words: object) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, words)])


def ok(*words: object) -> str:
    result = lego(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEGO_CACHE_DISK_MB", "0")


@pytest.mark.parametrize("name", list(COPIES))
def test_a_suite_goes_from_pictures_to_a_page(tmp_path: Path, name: str) -> None:
    root, out, page = COPIES[name](tmp_path / "data"), tmp_path / "out", tmp_path / "page.html"
    assert "rules:" in ok("run", name, root, "--out", out, "--builder", "rules", "--workers", 2)
    with judges.served() as (judge, _):
        assert " 0 missing" in ok("score", name, root, out, "--judge", judge, "--workers", 2)
    ok("score", name, root, out, "--judge", "pixels")
    told = ok("report", name, root, out, "--html", page)
    assert "judged" in told
    assert f"wrote {page}" in told
    assert "data:image/jpeg" in page.read_text(encoding="utf-8")
    data = json.loads(ok("report", name, root, out, "--json"))
    kinds = [table["kind"] for table in data["tables"]]
    assert set(kinds) == {"talker", "pixels"}
    assert all(group["missing"] == 0 for group in data["tables"][0]["groups"].values())


def test_a_language_a_group_and_a_limit_choose_the_items(tmp_path: Path) -> None:
    root, out = copies.gedit(tmp_path / "data"), tmp_path / "out"
    told = ok("run", "gedit", root, "--out", out, "--lang", "zh", "--group", "color_alter", "--limit", 2)
    assert "2 done of 2 items" in told
    told = ok("report", "gedit", root, out, "--lang", "cn", "--limit", 3)
    assert "6 items, 2 done, 4 not run" in told
    assert "nothing is judged yet" in told


def test_doing_nothing_is_a_baseline_with_a_folder_of_its_own(tmp_path: Path) -> None:
    root, out = copies.gedit(tmp_path / "data"), tmp_path / "out"
    ok("run", "gedit", root, "--out", out, "--baseline", "nothing", "--lang", "en")
    ok("run", "gedit", root, "--out", out, "--builder", "rules", "--lang", "en", "--name", "mine")
    assert sorted(path.name for path in out.iterdir()) == ["mine", "nothing"]
    result = lego("report", "gedit", root, out)
    assert isinstance(result.exception, LegoError)
    assert "several: mine, nothing" in str(result.exception)
    ok("score", "gedit", root, out / "nothing", "--judge", "pixels", "--lang", "en")
    data = json.loads(ok("report", "gedit", root, out / "nothing", "--lang", "en", "--json"))
    assert data["tables"][0]["overall"]["mean of groups, changed"]["mean"] == 0


def test_official_mode_writes_the_official_files(tmp_path: Path) -> None:
    root, out = copies.gedit(tmp_path / "data"), tmp_path / "out"
    ok("run", "gedit", root, "--out", out, "--baseline", "nothing", "--limit", 1)
    with judges.served() as (judge, _):
        ok("score", "gedit", root, out, "--judge", judge, "--mode", "official")
    told = ok("report", "gedit", root, out, "--mode", "official", "--limit", 1)
    assert "nothing_color_alter_gpt_score.csv" in told
    assert "mode official" in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "mmlu", "data", "--out", "out"), "no suite 'mmlu'"),
        (("run", "kris", "data", "--out", "out", "--baseline", "noise"), "no baseline 'noise'"),
        (("run", "kris", "data", "--out", "out", "--lang", "fr"), "no language 'fr'"),
        (("run", "kris", "data", "--out", "out", "--lang", "cn"), "no item is in this language"),
        (("report", "kris", "data", "out"), "there are no results"),
        (("report", "kris", "data", "data", "--mode", "strict"), "no mode 'strict'"),
        (("score", "kris", "data", "data", "--judge", "mystery"), "no model 'mystery'"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], says: str
) -> None:
    copies.kris(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    result = lego(*words)
    assert isinstance(result.exception, LegoError)
    assert says in str(result.exception)
    assert result.exception.hint


def test_results_of_which_all_were_declined_are_results(tmp_path: Path) -> None:
    rows = [row for row in copies.gedit_rows() if "song" in row["instruction"]]
    root, out = copies.gedit(tmp_path / "data", rows=rows), tmp_path / "out"
    ok("run", "gedit", root, "--out", out, "--builder", "rules")
    ok("score", "gedit", root, out, "--judge", "pixels")
    assert "2 items, 2 declined" in ok("report", "gedit", root, out)


def test_the_smoke_set_is_run_for_every_builder_with_a_floor_and_a_ceiling() -> None:
    told = ok("smoke", "--builder", "rules", "--count", 6)
    assert [line.split(":")[0] for line in told.splitlines() if "ms an edit" in line] == ["nothing", "truth", "rules"]
    lines = [json.loads(line) for line in ok("smoke", "--builder", "rules", "--count", 2, "--json").splitlines()]
    assert [line["builder"] for line in lines] == ["nothing"] * 2 + ["truth"] * 2 + ["rules"] * 2
    assert {line["status"] for line in lines[:2]} == {"wrong"}


def test_rounds_are_measured_with_flaws_in_plans_and_in_tools() -> None:
    told = ok("rounds", "--count", 3)
    assert told.count("right after 2 rounds") == 2
    assert "flawed results found" in told
