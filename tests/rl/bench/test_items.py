"""Public benchmarks are read from their published layouts, and a copy that is not in it is refused with its place."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.core.errors import RecordError
from lego.rl.bench import items, suites
from tests.rl.bench import copies


@pytest.mark.parametrize("form", ["parquet", "folder", "dict"])
def test_gedit_is_read_from_parquet_and_from_folders_on_disk(tmp_path: Path, form: str) -> None:
    found = suites.find("gedit").load(copies.gedit(tmp_path, form))
    assert len(found) == 16
    assert found[0].id == "color_alter/en/co000"
    assert {item.lang for item in found} == {"en", "cn"}
    assert found[0].meta["intersection"]
    assert not found[1].meta["intersection"]
    assert np.array_equal(found[9].images[0].open().pixels, copies.pixels(1))
    assert found[9].images[0].where.endswith(f"row {2 if form == 'parquet' else 10}, input_image")


@pytest.mark.parametrize("form", ["archive", "repository"])
def test_imgedit_is_read_from_the_archive_and_from_the_repository(tmp_path: Path, form: str) -> None:
    found = suites.find("imgedit").load(copies.imgedit(tmp_path, form))
    assert [item.id for item in found[:2]] == ["0", "1"]
    assert found[4].group == "compose"
    assert np.array_equal(found[3].images[0].open().pixels, copies.pixels(3))


def test_imgedit_knows_hybrid_as_the_other_name_of_compose(tmp_path: Path) -> None:
    entries = {"7": {"id": "a/7.jpg", "prompt": "flip it", "edit_type": "hybrid"}}
    assert suites.find("imgedit").load(copies.imgedit(tmp_path, "archive", entries))[0].group == "compose"


def test_kris_gives_all_frames_the_truth_and_the_explanation(tmp_path: Path) -> None:
    found = {item.id: item for item in suites.find("kris").load(copies.kris(tmp_path))}
    assert len(found) == 12
    assert len(found["temporal_prediction/1"].images) == 2
    assert found["viewpoint_change/2"].gt
    assert found["biology/1"].explain == "water freezes"
    assert len(suites.find("kris").load(tmp_path / "KRIS_Bench")) == 12


def test_rise_knows_which_items_are_free_of_consistency_and_where_the_official_table_would_hold_nan(
    tmp_path: Path,
) -> None:
    found = {item.id: item for item in suites.find("rise").load(copies.rise(tmp_path))}
    free = found["causal_reasoning/causal_reasoning_1"]
    assert free.meta["free"]
    other = found["temporal_reasoning/temporal_reasoning_1"]
    assert not other.meta["free"]
    assert other.meta["taken as free"]
    assert found["spatial_reasoning/spatial_reasoning_2"].gt
    assert found["logical_reasoning/logical_reasoning_1"].explain == "a cross"


def test_no_item_is_taken_as_free_where_none_has_the_flag(tmp_path: Path) -> None:
    rows = [row for row in copies.rise_rows() if "consistency_free" not in row]
    assert not any(item.meta["taken as free"] for item in suites.find("rise").load(copies.rise(tmp_path, rows)))


def test_compbench_joins_the_turns_of_one_item(tmp_path: Path) -> None:
    found = suites.find("compbench").load(copies.compbench(tmp_path))
    assert [item.id for item in found] == [f"remove/{n:05}" for n in range(1, 6)]
    turns = found[-1]
    assert turns.instruction == "flip it horizontally. make it black and white"
    assert turns.mask is not None
    assert turns.mask.mask().box == (12, 10, 30, 25)
    assert turns.gt is not None
    assert np.array_equal(turns.images[0].open().pixels, copies.pixels(4))
    assert turns.gt.open().pixels[20, 20].std() == 0


def test_zh_is_another_name_of_cn(tmp_path: Path) -> None:
    found = suites.find("gedit").load(copies.gedit(tmp_path))
    assert items.chosen(found, "zh") == items.chosen(found, "cn")
    assert len(items.chosen(found, "cn", "color_alter", 2)) == 2
    with pytest.raises(RecordError, match="no language 'fr'"):
        items.chosen(found, "fr")
    with pytest.raises(RecordError, match="no group 'dogs'"):
        items.chosen(found, group="dogs")


def test_pictures_are_opened_only_when_they_are_asked_for(tmp_path: Path) -> None:
    copies.imgedit(tmp_path)
    (tmp_path / "Benchmark" / "singleturn" / "animal" / "000000003.jpg").unlink()
    found = suites.find("imgedit").load(tmp_path)
    with pytest.raises(RecordError, match="000000003") as caught:
        found[3].images[0].open()
    assert caught.value.hint


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "animal/../../secret.png", "C:\\secret.png", ""])
def test_no_path_in_a_data_file_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    entries = {"7": {"id": name, "prompt": "flip it", "edit_type": "add"}}
    (tmp_path / "Benchmark" / "singleturn").mkdir(parents=True)
    (tmp_path / "Benchmark" / "singleturn" / "singleturn.json").write_text(json.dumps(entries))
    with pytest.raises(RecordError, match="leads out of the data set") as caught:
        suites.find("imgedit").load(tmp_path)
    assert "item 7" in caught.value.where


def test_no_path_in_a_cell_leads_out_of_the_root(tmp_path: Path) -> None:
    rows = copies.gedit_rows(("color_alter",), 1)
    rows[0]["input_image"] = {"bytes": None, "path": "/etc/hostname"}
    item = suites.find("gedit").load(copies.gedit(tmp_path, rows=rows))[0]
    with pytest.raises(RecordError, match="leads out of the data set"):
        item.images[0].open()


@pytest.mark.parametrize("key", ["../x", "a/b", ".hidden", "", "x" * 300, "a\nb"])
def test_a_key_that_cannot_be_a_files_name_is_refused(tmp_path: Path, key: str) -> None:
    entries = {key: {"id": "a/1.jpg", "prompt": "flip it", "edit_type": "add"}}
    with pytest.raises(RecordError, match="cannot be a file's name"):
        suites.find("imgedit").load(copies.imgedit(tmp_path, "archive", entries))


def broken(**changes: Any) -> list[dict[str, Any]]:
    rows = copies.gedit_rows(("color_alter",), 2)
    rows[1].update(changes)
    return rows


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (broken(instruction_language="fr"), "instruction_language"),
        (broken(instruction=""), "instruction"),
        (broken(task_type="../out"), "cannot be a file's name"),
        (broken(key="co000"), "occurs twice"),
        ([{k: v for k, v in row.items() if k != "key"} for row in broken()], "no column key"),
    ],
)
def test_a_broken_row_says_what_and_where(tmp_path: Path, rows: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(RecordError, match=says) as caught:
        suites.find("gedit").load(copies.gedit(tmp_path, "folder", rows))
    assert str(tmp_path) in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize("name", list(suites.SUITES))
def test_a_root_without_the_data_set_says_what_belongs_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError) as caught:
        suites.find(name).load(tmp_path)
    assert str(tmp_path) in caught.value.where
    assert caught.value.hint


def test_a_damaged_table_and_damaged_json_are_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(RecordError, match="cannot read the table"):
        suites.find("gedit").load(tmp_path)
    (tmp_path / "datav2_total_w_subtask.json").write_text("[{")
    with pytest.raises(RecordError, match="no JSON"):
        suites.find("rise").load(tmp_path)
    (tmp_path / "datav2_total_w_subtask.json").write_text('[{"index": "1", "category": "musical_reasoning"}]')
    with pytest.raises(RecordError, match="category") as caught:
        suites.find("rise").load(tmp_path)
    assert caught.value.where.endswith("item 1")


def test_an_unknown_suite_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(RecordError) as caught:
        suites.find("mmlu")
    assert "gedit, imgedit" in caught.value.hint


def test_threads_find_the_right_pictures_in_a_table_of_many_row_groups(tmp_path: Path) -> None:
    rows = copies.gedit_rows(("color_alter",), 20)
    copies.table(rows, ("input_image", "input_image_raw")).to_parquet(tmp_path / "train.parquet", batch_size=3)
    found = suites.find("gedit").load(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda item: item.images[0].open().pixels, found))
    for n, pixels in enumerate(opened):
        assert np.array_equal(pixels, copies.pixels(n % 20))
