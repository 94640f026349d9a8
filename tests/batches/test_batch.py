"""Batches from Python: what is done, what is not done twice, and what becomes of faults."""

from __future__ import annotations

import csv
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lego
from lego.batches.books import Batch, Standing
from lego.batches.items import Line
from lego.core.errors import CancelledError, LegoError, RecordError, SettingsError, WorkflowError
from lego.core.ledger import Ledger, read
from lego.core.values import Image, Mask

FLIP: dict[str, Any] = {
    "version": 1, "steps": [{"id": "s1", "tool": "flip", "args": {"image": "$image"}}], "result": "$s1",
}  # fmt: skip
GRAIN = "add a lot of grain"


@pytest.fixture
def photos_tree(photos: Path, tmp_path: Path) -> Path:
    """Five pictures in a tree."""
    root = tmp_path / "photos"
    (root / "trip").mkdir(parents=True)
    for name, to in (("coffee.png", "cup.png"), ("chelsea.png", "trip/cat.png")):
        shutil.copy(photos / name, root / to)
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
        Image(pixels).save(root / "trip" / f"n{number}.png")
    return root


def batch(pictures: Any, words: str = "", out: Path = Path(), **options: Any) -> Batch:
    options = {"backend": "threads", "workers": 2, **options}
    return lego.batch(pictures, words, out, **options)


def contents(folder: Path) -> dict[str, bytes]:
    """Every result by its name."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".lego" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.suffix != ".html"}


def done(out: Path) -> list[str]:
    """The items that were done, in order, as often as they were."""
    return [line.output for line in read(out / ".lego" / "ledger.jsonl", Line)]


def test_a_folder_keeps_its_tree(photos_tree: Path, tmp_path: Path) -> None:
    made = batch(photos_tree, "flip it", tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == ["cup.png", "trip/cat.png", *(f"trip/n{n}.png" for n in range(3))]
    assert [line.output for line in made.done] == sorted(contents(tmp_path / "out"))
    before, after = Image.open(photos_tree / "trip/cat.png"), Image.open(tmp_path / "out/trip/cat.png")
    assert np.array_equal(after.pixels, before.pixels[:, ::-1])


def test_patterns_files_and_several_folders(photos_tree: Path, tmp_path: Path) -> None:
    batch(str(photos_tree / "*" / "n?.png"), "flip it", tmp_path / "a")
    assert sorted(contents(tmp_path / "a")) == [f"trip/n{n}.png" for n in range(3)]
    batch([photos_tree / "cup.png", photos_tree / "trip"], "flip it", tmp_path / "b")
    assert sorted(contents(tmp_path / "b")) == ["cup.png", "trip/cat.png", *(f"trip/n{n}.png" for n in range(3))]


def test_results_below_the_pictures_are_not_taken_for_pictures(photos_tree: Path) -> None:
    for _ in range(2):
        assert batch(photos_tree, "flip it", photos_tree / "out").standing.total == 5


def test_nothing_is_done_twice(photos_tree: Path, tmp_path: Path) -> None:
    batch(photos_tree, GRAIN, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    made = batch(photos_tree, GRAIN, tmp_path / "out")
    assert (made.standing.fresh, made.standing.finished) == (0, 5)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}


def test_what_has_changed_is_done_anew_and_nothing_else(photos_tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fresh(**options: Any) -> int:
        return batch(photos_tree, options.pop("words", "flip it"), out, **options).standing.fresh

    assert fresh() == 5
    Image.open(photos_tree / "trip/n0.png").replace(np.zeros((30, 40, 3), np.uint8)).save(photos_tree / "trip/n0.png")
    assert fresh() == 1
    (out / "trip/n1.png").unlink()
    assert fresh() == 1
    (out / "trip/n2.png").write_bytes(b"cut")
    assert fresh() == 1
    os.utime(photos_tree / "cup.png")  # touched, not changed
    assert fresh() == 0
    assert fresh(words="turn it upside down") == 5
    assert fresh(words="turn it upside down", settings=lego.Settings(builder="rules", seed=8)) == 5
    assert fresh(words="turn it upside down", settings=lego.Settings(builder="rules", seed=8), format="jpg") == 5
    assert fresh(words="", workflow=FLIP) == 5


def test_results_depend_neither_on_order_nor_on_company_nor_on_workers(photos_tree: Path, tmp_path: Path) -> None:
    batch(photos_tree, GRAIN, tmp_path / "all", workers=3)
    batch(photos_tree, GRAIN, tmp_path / "one", workers=1)
    assert contents(tmp_path / "all") == contents(tmp_path / "one")
    batch(photos_tree / "trip" / "n1.png", GRAIN, tmp_path / "alone")
    assert contents(tmp_path / "alone")["n1.png"] == contents(tmp_path / "all")["trip/n1.png"]
    lines = {line.output: line.seed for line in read(tmp_path / "all/.lego/ledger.jsonl", Line)}
    assert len(set(lines.values())) == 5  # no two pictures have the same grain


def test_processes_give_what_threads_give(photos_tree: Path, tmp_path: Path) -> None:
    batch(photos_tree, GRAIN, tmp_path / "threads")
    batch(photos_tree, GRAIN, tmp_path / "processes", backend="processes")
    assert contents(tmp_path / "threads") == contents(tmp_path / "processes")


def test_a_seed_of_a_row_is_kept_and_can_be_used_by_an_edit(photos_tree: Path, tmp_path: Path) -> None:
    batch([{"image": photos_tree / "cup.png", "instruction": GRAIN, "seed": 5}], out=tmp_path / "out")
    alone = lego.edit(photos_tree / "cup.png", GRAIN, seed=5)
    assert np.array_equal(Image.open(tmp_path / "out/cup.png").pixels, alone.image.pixels)
    text = Image.read_text(tmp_path / "out/cup.png")
    assert text["lego_seed"] == "5"
    assert lego.run(tmp_path / "out/cup.png", photos_tree / "trip/cat.png").workflow == alone.workflow


def test_a_workflow_instead_of_words(photos_tree: Path, tmp_path: Path) -> None:
    made = batch(photos_tree, workflow=FLIP, out=tmp_path / "out")
    assert all(line.steps == ["flip(image=$image)"] for line in made.done)
    wrong = {**FLIP, "steps": [{"id": "s1", "tool": "flop", "args": {}}]}
    for backend in ("threads", "processes"):
        with pytest.raises(WorkflowError, match="flop"):  # once, not for every picture
            batch(photos_tree, workflow=wrong, out=tmp_path / "bad", backend=backend)


def test_what_cannot_be_read_fails_alone_and_is_listed(photos_tree: Path, tmp_path: Path) -> None:
    (photos_tree / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "out"
    made = batch(photos_tree, "flip it", out)
    assert [line.code for line in made.failed] == ["not_an_image"]
    assert len(made.done) == 5
    with made.failures.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["image"].endswith("broken.jpg")
    assert "not a picture" in row["error"]
    assert batch(photos_tree, "flip it", out).standing.fresh == 0
    assert len(batch(photos_tree, "flip it", out).failed) == 1
    assert batch(photos_tree, "flip it", out, again=True).standing.fresh == 1
    shutil.copy(photos_tree / "cup.png", photos_tree / "broken.jpg")
    assert not batch(photos_tree, "flip it", out).failed
    assert not made.failures.exists()


def test_what_a_tool_declines_fails_with_its_hint_and_what_it_saw(photos_tree: Path, tmp_path: Path) -> None:
    (line,) = batch(photos_tree / "cup.png", "remove the unicorn", tmp_path / "out").failed
    assert line.code == "not_found"
    assert line.hint
    assert line.thumbs[0]
    assert not line.thumbs[1]


@pytest.mark.usefixtures("forgetful")
def test_a_bug_in_a_tool_spoils_one_picture(photos_tree: Path, tmp_path: Path) -> None:
    @lego.tool
    def stumble(image: Image) -> Image:
        """Stumble over narrow pictures."""
        if image.size[0] == 40:
            raise ZeroDivisionError("oh")
        return image

    flow = {**FLIP, "steps": [{"id": "s1", "tool": "stumble", "args": {"image": "$image"}}]}
    made = batch(photos_tree, workflow=flow, out=tmp_path / "out")
    assert (len(made.done), len(made.failed)) == (2, 3)
    assert "oh" in made.failed[0].error


def test_words_are_written_beside_the_place_of_the_picture(photos_tree: Path, tmp_path: Path) -> None:
    made = batch(photos_tree / "cup.png", "describe it", tmp_path / "out")
    assert "colour" in (tmp_path / "out" / "cup.png.txt").read_text()
    assert not (tmp_path / "out" / "cup.png").exists()
    assert batch(photos_tree / "cup.png", "describe it", tmp_path / "out").standing.fresh == 0
    assert made.done[0].texts[0] in made.sheet.read_text(encoding="utf-8")


def test_formats_and_their_quality(photos_tree: Path, tmp_path: Path) -> None:
    sizes = []
    for quality in (20, 90):
        out = tmp_path / str(quality)
        batch(photos_tree / "cup.png", "flip it", out, format="jpg", quality=quality)
        sizes.append((out / "cup.jpg").stat().st_size)
    assert sizes[0] * 3 < sizes[1]


def test_masks_for_all_and_a_folder_of_masks(photos_tree: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks" / "trip"
    masks.mkdir(parents=True)
    for number in range(3):
        Mask.from_box((40, 30), (0, 0, 10 * number, 30)).save(masks / f"n{number}.png")
    pattern = str(photos_tree / "*" / "n?.png")
    batch(pattern, "invert it", tmp_path / "out", mask=tmp_path / "masks")
    before, after = Image.open(photos_tree / "trip/n2.png").pixels, Image.open(tmp_path / "out/trip/n2.png").pixels
    assert np.array_equal(before[:, 20:], after[:, 20:])
    assert not np.array_equal(before[:, :20], after[:, :20])
    with pytest.raises(SettingsError, match="no mask"):
        batch(photos_tree, "invert it", tmp_path / "more", mask=tmp_path / "masks")


def test_results_of_one_name_are_refused_before_anything_runs(photos_tree: Path, tmp_path: Path) -> None:
    Image.open(photos_tree / "cup.png").save(photos_tree / "cup.jpg")
    with pytest.raises(SettingsError, match=r"cup.jpg and .*cup.png both give cup.webp"):
        batch(photos_tree, "flip it", tmp_path / "out", format="webp")
    rows = [{"image": photos_tree / "cup.png", "instruction": words} for words in ("flip it", "warm it")]
    with pytest.raises(SettingsError, match="overwrite each other"):
        batch(rows, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    batch([{**row, "output": f"{n}.png"} for n, row in enumerate(rows)], out=tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == ["0.png", "1.png"]


def test_what_was_given_is_never_overwritten(photos_tree: Path) -> None:
    with pytest.raises(SettingsError, match="overwrite"):
        batch(photos_tree / "cup.png", "flip it", photos_tree)


@pytest.mark.parametrize(
    ("pictures", "words", "message"),
    [("nowhere", "flip it", "no such file"), ("*.nothing", "flip it", "no pictures"), ("photos", "", "what to do")],
)
def test_mistakes_are_told_before_the_work(
    pictures: str, words: str, message: str, photos_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LegoError, match=message):
        batch(pictures, words, tmp_path / "out")


def test_two_batches_do_not_write_into_one_folder(photos_tree: Path, tmp_path: Path) -> None:
    with Ledger(tmp_path / "out/.lego/ledger.jsonl", Line), pytest.raises(RecordError, match="another process"):
        batch(photos_tree, "flip it", tmp_path / "out")


def test_a_stop_ends_it_after_what_is_under_way_and_the_next_call_goes_on(photos_tree: Path, tmp_path: Path) -> None:
    stop, out = threading.Event(), tmp_path / "out"

    def listen(at: Standing) -> None:
        if at.fresh == 2:
            stop.set()

    picture = next(photos_tree.rglob("*.png"))
    rows = [{"image": picture, "output": f"{n}.png"} for n in range(60)]  # enough for a slow listener to be heard
    with pytest.raises(CancelledError, match="of 60 are done") as caught:
        batch(rows, GRAIN, out, workers=1, listen=listen, stop=stop)
    assert "same command again" in caught.value.hint
    assert 2 <= len(done(out)) < 60
    assert "still to be done" in (out / "sheet.html").read_text(encoding="utf-8")
    batch(rows, GRAIN, out)
    assert sorted(done(out)) == sorted(set(done(out)))
    batch(rows, GRAIN, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_full_disk_ends_it_and_counts_no_picture_as_failed(
    photos_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = tmp_path / "out", os.fdopen

    def full(handle: int, mode: str) -> Any:
        file = real(handle, mode)
        if len([path for path in out.rglob("*.png") if ".lego" not in path.parts and path.name[0] != "."]) >= 2:
            file.close()
            raise OSError(28, "No space left on device")
        return file

    monkeypatch.setattr("lego.core.codec.os.fdopen", full)
    with pytest.raises(LegoError, match="the disk is full; 2 of 5 are done") as caught:
        batch(photos_tree, "flip it", out, workers=1, sheet=False)
    assert "make room" in caught.value.hint
    monkeypatch.undo()
    monkeypatch.setenv("LEGO_BUILDER", "rules")
    assert not list(out.rglob(".*.png.*"))
    assert batch(photos_tree, "flip it", out, sheet=False).standing.fresh == 3


def test_the_rate_and_the_time_left_are_of_this_run() -> None:
    at = Standing(total=100, finished=60, failed=0, fresh=10, seconds=30.0)
    assert at.rate == 20
    assert at.left == 120
    assert Standing(100, 60, 0, 0, 0.0).left is None


def test_an_editor_of_ones_own_does_it_in_this_process(photos_tree: Path, tmp_path: Path) -> None:
    editor = lego.Editor("rules")
    made = lego.batch(photos_tree, "flip it", tmp_path / "out", editor=editor, sheet=False)
    assert len(made.done) == 5
    assert not made.sheet.exists()
    assert len(editor.executor.cache) > 0
