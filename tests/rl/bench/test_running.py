"""Benchmarks are run into the official trees, in parallel, and go on where they were killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.core.errors import PlanError, RecordError
from lego.core.ledger import Ledger
from lego.core.settings import Settings
from lego.core.values import Image
from lego.editor import Editor
from lego.rl.bench import running, suites
from lego.rl.bench.running import Way
from tests.rl.bench import copies

SETTINGS = Settings(cache_disk_mb=0)
SLOW = """
import time, sys
from pathlib import Path
from lego.core.settings import Settings
from lego.editor import Editor
from lego.rl.bench import running, suites
suite = suites.find("gedit")
editor = Editor("rules", settings=Settings(cache_disk_mb=0))
edit = editor.edit
def slow(*args, **options):
    time.sleep(0.05)
    return edit(*args, **options)
editor.edit = slow
items = suite.load(Path(sys.argv[1]))
running.run(suite, items, running.Way(editor), Path(sys.argv[2]), workers=3)
"""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor("rules", settings=SETTINGS)


MADE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "gedit": (copies.gedit, "rules/fullset/color_alter/cn/co001.png"),
    "imgedit": (copies.imgedit, "0.png"),
    "kris": (copies.kris, "images/temporal_prediction/1.png"),
    "rise": (copies.rise, "images/logical_reasoning/logical_reasoning_1.png"),
    "compbench": (copies.compbench, "remove/00001.png"),
}


@pytest.mark.parametrize("name", list(MADE))
def test_results_lie_where_the_official_scripts_look(tmp_path: Path, editor: Editor, name: str) -> None:
    copy, place = MADE[name]
    suite = suites.find(name)
    items = suite.load(copy(tmp_path / "data"))
    counts = running.run(suite, items, Way(editor), tmp_path / "out", workers=2)
    assert counts.total() == len(items)
    assert (tmp_path / "out" / place).is_file()
    home = running.home_of(suite, tmp_path / "out")
    able = [item for item in items if "song" not in item.instruction and "唱" not in item.instruction]
    assert all(running.result_of(suite, home, item) for item in able)


def test_gedit_has_the_source_beside_each_result_and_declined_items_have_neither(
    tmp_path: Path, editor: Editor
) -> None:
    suite = suites.find("gedit")
    items = suite.load(copies.gedit(tmp_path / "data"))
    counts = running.run(suite, items, Way(editor), tmp_path / "out", workers=2)
    assert counts == {"done": 12, "declined": 4}
    folder = tmp_path / "out" / "rules" / "fullset" / "subject-remove" / "en"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"su00{n}{end}.png" for n in range(3) for end in ("", "_SRCIMG")
    ]
    assert np.array_equal(Image.open(folder / "su000_SRCIMG.png").pixels, copies.pixels(0))
    assert np.array_equal(Image.open(folder / "su000.png").pixels, copies.pixels(0)[:, ::-1])
    log = lines(tmp_path / "out" / "rules" / "run.jsonl")
    declined = next(line for line in log if line["item"] == "color_alter/en/co003")
    assert declined["status"] == "declined"
    assert declined["error"]
    assert {line["builder"] for line in log} == {"rules"}
    assert all(line["version"] and line["seconds"] >= 0 for line in log)


def test_a_second_run_does_nothing_and_again_tries_what_did_not_succeed(tmp_path: Path, editor: Editor) -> None:
    suite = suites.find("imgedit")
    items = suite.load(copies.imgedit(tmp_path / "data"))
    told: list[str] = []

    def run(again: bool = False) -> Any:
        told.clear()
        way = Way(editor)
        return running.run(
            suite, items, way, tmp_path / "out", again=again, listen=lambda n, of, item: told.append(item)
        )

    first = run()
    assert len(told) == 10
    assert run() == first
    assert told == []
    run(again=True)
    assert told == ["3", "7"]
    (tmp_path / "out" / "0.png").unlink()
    run()
    assert told == ["0"]


def test_doing_nothing_gives_the_source_and_needs_no_builder(tmp_path: Path) -> None:
    suite = suites.find("gedit")
    items = suite.load(copies.gedit(tmp_path / "data"))
    assert running.run(suite, items, Way(None), tmp_path / "out") == {"done": 16}
    path = tmp_path / "out" / "nothing" / "fullset" / "color_alter" / "en" / "co003.png"
    assert np.array_equal(Image.open(path).pixels, copies.pixels(3))


def test_rounds_are_passed_on_and_kept_with_the_critic(tmp_path: Path) -> None:
    suite = suites.find("imgedit")
    items = suite.load(copies.imgedit(tmp_path / "data"))[:1]
    seen: list[dict[str, Any]] = []

    class Noting:
        builder = critic = type("Named", (), {"name": "noting"})

        def edit(self, image: Image, words: str, **options: Any) -> Any:
            seen.append(options)
            return type("Result", (), {"image": image})

    running.run(suite, items, Way(Noting(), 7, 2), tmp_path / "a")  # type: ignore[arg-type]  # stands in for an editor
    running.run(suite, items, Way(Noting(), 7), tmp_path / "b")  # type: ignore[arg-type]
    assert seen[0] == {"references": [], "seed": 7, "rounds": 2}
    assert seen[1]["rounds"] == 0
    (line,) = lines(tmp_path / "a" / "run.jsonl")
    assert (line["rounds"], line["critic"]) == (2, "noting")
    with pytest.raises(RecordError, match="2 rounds by noting"):
        running.run(suite, items, Way(Noting(), 7), tmp_path / "a")  # type: ignore[arg-type]


def test_further_pictures_are_given_as_references(tmp_path: Path) -> None:
    suite = suites.find("kris")
    items = [item for item in suite.load(copies.kris(tmp_path / "data")) if item.group == "temporal_prediction"]
    seen: list[int] = []

    class Noting:
        builder = type("Named", (), {"name": "noting"})

        def edit(self, image: Image, words: str, references: Any, **options: Any) -> Any:
            seen.append(len(references))
            return type("Result", (), {"image": image})

    running.run(suite, items, Way(Noting()), tmp_path / "out")  # type: ignore[arg-type]
    assert seen == [1, 1, 1]


def test_a_folder_holds_the_results_of_one_builder_and_seed(tmp_path: Path, editor: Editor) -> None:
    suite = suites.find("imgedit")
    items = suite.load(copies.imgedit(tmp_path / "data"))[:2]
    running.run(suite, items, Way(editor), tmp_path / "out")
    for way in (Way(None), Way(editor, 5)):
        with pytest.raises(RecordError, match="these results are of builder rules, seed 0"):
            running.run(suite, items, way, tmp_path / "out")


def test_two_processes_do_not_write_one_folder(tmp_path: Path, editor: Editor) -> None:
    suite = suites.find("imgedit")
    items = suite.load(copies.imgedit(tmp_path / "data"))
    with (
        Ledger(tmp_path / "out" / running.LOG, running.Run),
        pytest.raises(RecordError, match="another process"),
    ):
        running.run(suite, items, Way(editor), tmp_path / "out")


def test_a_server_that_is_gone_stops_the_run_and_declines_nothing(tmp_path: Path) -> None:
    suite = suites.find("imgedit")
    items = suite.load(copies.imgedit(tmp_path / "data"))

    class Gone:
        name = "gone"

        def plan(self, request: Any) -> Any:
            raise PlanError("the server does not answer", code="no_server")

    with pytest.raises(PlanError, match="does not answer"):
        running.run(suite, items, Way(Editor(Gone(), settings=SETTINGS)), tmp_path / "out", workers=2)
    assert (tmp_path / "out" / "run.jsonl").read_text() == ""


def test_a_torn_last_line_is_taken_away_and_a_broken_one_before_it_is_said(tmp_path: Path, editor: Editor) -> None:
    suite = suites.find("imgedit")
    items = suite.load(copies.imgedit(tmp_path / "data"))[:3]
    running.run(suite, items, Way(editor), tmp_path / "out")
    log = tmp_path / "out" / "run.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[:-20])
    running.run(suite, items, Way(editor), tmp_path / "out")
    assert len(lines(log)) == 3
    log.write_bytes(b"{nothing\n" + whole)
    with pytest.raises(RecordError, match="line 1"):
        running.run(suite, items, Way(editor), tmp_path / "out")


def test_killed_at_any_moment_a_run_repeats_nothing_and_loses_nothing(tmp_path: Path, editor: Editor) -> None:
    rows = copies.gedit_rows(("color_alter", "subject-remove"), 20)
    suite = suites.find("gedit")
    items = suite.load(copies.gedit(tmp_path / "data", rows=rows))
    out, log = tmp_path / "out", tmp_path / "out" / "rules" / "run.jsonl"
    finished: dict[str, int] = {}
    for moment in (3, 25):
        process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "data"), str(out)])
        end = time.monotonic() + 60
        while (not log.exists() or log.read_bytes().count(b"\n") < moment) and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        whole = log.read_bytes()
        made = [json.loads(line) for line in whole[: whole.rfind(b"\n") + 1].splitlines()]
        assert moment <= len(made) < len(items)
        finished = {line["item"]: n for n, line in enumerate(made)}
        for line in made:
            if line["status"] == "done":
                Image.open(out / "rules" / "fullset" / f"{line['item']}.png")
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    log.write_bytes(log.read_bytes() + b'{"item":"torn')
    (out / "rules" / "fullset" / ".torn.png.x1").write_bytes(b"half")
    counts = running.run(suite, items, Way(editor), out, workers=2)
    assert counts == {"done": 60, "declined": 20}
    written = [line["item"] for line in lines(log)]
    assert sorted(written) == sorted(item.id for item in items)  # each once
    for name in finished:
        path = out / "rules" / "fullset" / f"{name}.png"
        if path in times:
            assert path.stat().st_mtime_ns == times[path]
    assert not list(out.rglob(".*.png.*"))


def test_threads_make_the_same_pictures_as_one(tmp_path: Path, editor: Editor) -> None:
    suite = suites.find("imgedit")
    items = suite.load(copies.imgedit(tmp_path / "data"))
    running.run(suite, items, Way(editor), tmp_path / "one")
    running.run(suite, items, Way(editor), tmp_path / "four", workers=4)
    one = {path.name: path.read_bytes() for path in (tmp_path / "one").glob("*.png")}
    assert one == {path.name: path.read_bytes() for path in (tmp_path / "four").glob("*.png")}
