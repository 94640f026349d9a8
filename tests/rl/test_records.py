"""Data sets: what is written is read again, and a broken row says where it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.core.errors import RecordError
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.rl import records, scenes
from lego.rl.records import Record

PLAN = Workflow.load(
    {
        "version": 1,
        "steps": [
            {"id": "s1", "tool": "segment", "args": {"image": "$image", "target": "红球"}},
            {"id": "s2", "tool": "remove", "args": {"image": "$image", "mask": "$s1"}},
        ],
        "result": "$s2",
    }
)


def example(seed: int = 1) -> Record:
    scene = scenes.make(seed)
    drawn = scenes.render(scene)
    target = scenes.render(scene.without(0)).image
    mask = Mask(drawn.masks[0].pixels)
    return Record(drawn.image, "去掉红球", "zh", ("segment", "remove"), PLAN, target, mask, {"seed": seed})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    some = [example(1), Record(example(2).image, "make it brighter"), example(3)]
    assert records.write(tmp_path / "set", some[:2]) == 2
    assert records.write(tmp_path / "set", some[2:]) == 1
    assert list(records.read(tmp_path / "set")) == some


def test_a_picture_that_many_records_share_is_kept_once(tmp_path: Path) -> None:
    image = example().image
    records.write(tmp_path, [Record(image, f"brighten it by {n} %") for n in range(1, 6)])
    assert len(list((tmp_path / "pictures").iterdir())) == 1
    assert len({record.image.digest for record in records.read(tmp_path)}) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda row: row.pop("instruction"), "instruction: Field required"),
        (lambda row: row.update(instruction=""), "instruction: String should have at least 1"),
        (lambda row: row.update(language="fr"), "language"),
        (lambda row: row.update(colour="red"), "colour: Extra inputs"),
        (lambda row: row.update(image="../../secret.png"), "image: String should match pattern"),
        (lambda row: row.update(image="0" * 32 + ".png"), "cannot open"),
        (lambda row: row.update(workflow={"version": 9}), "workflow"),
    ],
)
def test_a_broken_row_says_where_it_is_and_what_is_wrong(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], says: str
) -> None:
    records.write(tmp_path, [example(1), example(2), example(3)])
    path = tmp_path / "records.jsonl"
    lines = path.read_text("utf-8").splitlines()
    row = json.loads(lines[1])
    change(row)
    path.write_text("\n".join([lines[0], json.dumps(row), lines[2]]), "utf-8")
    found = records.read(tmp_path)
    assert next(found) == example(1)
    with pytest.raises(RecordError, match="line 2") as caught:
        next(found)
    assert says in str(caught.value)
    assert caught.value.hint


def test_a_line_cut_off_by_a_full_disk_is_named(tmp_path: Path) -> None:
    records.write(tmp_path, [example(1)])
    path = tmp_path / "records.jsonl"
    path.write_text(path.read_text("utf-8") + '{"image": "00', "utf-8")
    with pytest.raises(RecordError, match="line 2"):
        list(records.read(tmp_path))
    records.write(tmp_path, [example(3)])  # going on takes the torn line away
    assert list(records.read(tmp_path)) == [example(1), example(3)]


def test_what_is_no_record_is_refused_and_those_before_it_are_kept(tmp_path: Path) -> None:
    image = example().image
    wrong = Record(image, "remove it", mask=Mask(np.zeros((3, 3), np.uint8)))
    with pytest.raises(RecordError, match="record 2: the mask is 3 x 3, the picture 128 x 128"):
        records.write(tmp_path, [Record(image, "flip it"), wrong])
    with pytest.raises(RecordError, match="record 1: instruction"):
        records.write(tmp_path, [Record(image, "")])
    with pytest.raises(RecordError, match="record 1"):
        records.write(tmp_path, [Record(image, "flip it", provenance={"score": float("nan")})])
    assert [record.instruction for record in records.read(tmp_path)] == ["flip it"]


def test_a_folder_that_is_none_and_one_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No such file") as caught:
        list(records.read(tmp_path / "nothing"))
    assert "data set" in caught.value.hint
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write"):
        records.write(tmp_path / "file", [example()])


def test_alpha_and_soft_masks_survive(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    alpha = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    image = Image(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8), alpha)
    soft = Mask(rng.integers(0, 256, (20, 30), dtype=np.uint8))
    records.write(tmp_path, [Record(image, "fade it", mask=soft)])
    (found,) = records.read(tmp_path)
    assert found.image == image
    assert found.mask == soft
