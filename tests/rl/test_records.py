"""Data sets: what is written is read again, and a broken row says where it is."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
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


def rich() -> list[Record]:
    """Records with everything in them: a plan, soft mask, alpha, sixteen bits, Chinese, provenance in depth."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (21, 30, 3), dtype=np.uint8)
    alpha, soft = rng.integers(0, 256, (21, 30), dtype=np.uint8), rng.integers(0, 256, (21, 30), dtype=np.uint8)
    deep = rng.integers(0, 65536, (21, 30, 3), dtype=np.uint16)
    image = Image(pixels, alpha)
    sixteen = Image((deep >> 8).astype(np.uint8), deep=deep)
    return [
        example(1),
        Record(
            image, "fade it “slowly”", target=Image(pixels[::-1]), mask=Mask(soft), provenance={"a": {"b": [1, None]}}
        ),
        Record(sixteen, "把它调亮", "zh"),
    ]


def same_to_the_bit(found: list[Record], wanted: list[Record]) -> None:
    assert found == wanted
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one.image.pixels, other.image.pixels)
        for a, b in ((one.image.alpha, other.image.alpha), (one.target, other.target), (one.mask, other.mask)):
            assert (a is None) == (b is None)
    deep = [record.image.deep for record in found]
    assert [d is not None for d in deep] == [record.image.deep is not None for record in wanted]


def test_records_become_a_data_set_of_hugging_face_and_come_back_to_the_bit() -> None:
    dataset = records.to_dataset(rich())
    assert dataset.num_rows == 3
    assert isinstance(dataset.features["image"], datasets.Image)
    assert dataset[0]["image"].size == (128, 128)  # a Pillow picture, as its users expect
    assert json.loads(dataset[0]["workflow"])["steps"][0]["tool"] == "segment"
    same_to_the_bit(list(records.from_dataset(dataset)), rich())
    assert list(records.from_dataset(records.to_dataset([]))) == []


def test_a_parquet_file_holds_records_to_the_bit_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "new" / "set.parquet"
    assert records.write(path, rich()[:1]) == 1
    assert records.write(path, rich()[1:]) == 2
    same_to_the_bit(list(records.read(path)), rich())
    assert [p.name for p in path.parent.iterdir()] == ["set.parquet"]


def test_parquet_files_are_those_of_hugging_face_both_ways(tmp_path: Path) -> None:
    ours, theirs = str(tmp_path / "ours.parquet"), str(tmp_path / "theirs.parquet")
    records.write(ours, rich())
    dataset = datasets.Dataset.from_parquet(ours, cache_dir=str(tmp_path / "cache"))
    assert dataset.features == records.to_dataset(rich()).features
    same_to_the_bit(list(records.from_dataset(dataset)), rich())
    records.to_dataset(rich()).to_parquet(theirs)
    same_to_the_bit(list(records.read(theirs)), rich())


def test_a_data_set_of_other_people_needs_image_and_instruction_only() -> None:
    picture = example().image.pil()
    features = datasets.Features({"image": datasets.Image(), "instruction": datasets.Value("string")})
    dataset = datasets.Dataset.from_dict({"image": [picture], "instruction": ["flip it"]}, features=features)
    assert list(records.from_dataset(dataset)) == [Record(example().image, "flip it")]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("image", {"bytes": b"no picture", "path": None}),
        ("image", {"bytes": None, "path": "/etc/passwd"}),
        ("image", None),
        ("instruction", ""),
        ("instruction", None),
        ("language", "fr"),
        ("workflow", "{"),
        ("workflow", '{"version": 9}'),
        ("target", {"bytes": b"\x89PNG\r\n", "path": None}),
        ("mask", "another size"),
        ("provenance", "[1]"),
    ],
)
@pytest.mark.parametrize("way", ["dataset", "parquet"])
def test_a_broken_row_of_a_table_says_which_one_and_in_which_column(
    tmp_path: Path, way: str, column: str, value: Any
) -> None:
    import pyarrow
    import pyarrow.parquet

    good = [example(1), example(2), example(3)]
    whole = records.to_dataset(good)
    rows = whole.with_format("arrow")[:].to_pylist()
    if value == "another size":
        value = records.to_dataset([Record(rich()[1].image, "x")]).with_format("arrow")[:].to_pylist()[0]["image"]
    rows[1][column] = value
    table = pyarrow.Table.from_pylist(rows, whole.features.arrow_schema)
    pyarrow.parquet.write_table(table, tmp_path / "set.parquet")
    broken: Iterator[Record] = (
        records.read(tmp_path / "set.parquet") if way == "parquet" else records.from_dataset(datasets.Dataset(table))
    )
    assert next(broken) == good[0]
    with pytest.raises(RecordError, match="row 2") as caught:
        next(broken)
    assert caught.value.message.startswith(column)
    assert caught.value.hint


def test_tables_that_are_none_and_columns_too_many_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    with pytest.raises(RecordError, match="No such file"):
        list(records.read(path))
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(RecordError, match="cannot read"):
        list(records.read(path))
    with pytest.raises(RecordError, match="cannot read"):
        records.write(path, [example()])
    assert path.read_bytes().startswith(b"PAR1 and")
    dataset = records.to_dataset([example()]).add_column("colour", ["red"])
    with pytest.raises(RecordError, match="row 1: colour"):
        list(records.from_dataset(dataset))
    dataset.to_parquet(path)
    with pytest.raises(RecordError, match="columns"):
        records.write(path, [example()])


def test_what_is_no_record_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    records.write(path, [example(1)])
    with pytest.raises(RecordError, match="record 2: instruction"):
        records.write(path, [example(2), Record(example().image, "")])
    with pytest.raises(RecordError, match="record 1"):
        records.to_dataset([Record(example().image, "x", provenance={"score": float("nan")})])
    assert list(records.read(path)) == [example(1)]
    assert [p.name for p in tmp_path.iterdir()] == ["set.parquet"]


FULL = """
import resource, sys
from lego.core.errors import RecordError
from lego.core.values import Image
from lego.rl import records
import numpy as np
path, limit = sys.argv[1], int(sys.argv[2])
made = lambda n: records.Record(Image(np.full((8, 8, 3), n, np.uint8)), f"wish number {n} " + "x" * 300)
records.write(path, [made(n) for n in range(3)])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    records.write(path, (made(n) for n in range(3, 60)))
except RecordError as error:
    assert error.code == "cannot_write", error.code
    print(error.details["written"], str(error).replace(chr(10), " "))
"""


@pytest.mark.parametrize("kind", ["set", "set.parquet"])
def test_no_more_room_in_the_middle_of_a_record_leaves_all_that_were_there(tmp_path: Path, kind: str) -> None:
    """The limit on a file's size makes the system cut a write off in its middle, as a full disk does."""
    path = tmp_path / kind
    done = subprocess.run([sys.executable, "-c", FULL, path, "5000"], capture_output=True, text=True, check=True)
    written, said = done.stdout.split(maxsplit=1)
    assert "cannot write: " in said
    assert f"{written} records were written" in said
    found = [record.instruction.split()[2] for record in records.read(path)]
    assert found == [str(n) for n in range(3 + int(written))]
    assert 0 < int(written) < 57 if kind == "set" else written == "0"
    assert not list(tmp_path.glob(".*"))
    assert records.write(path, [example(9)]) == 1  # with room again it goes on
    assert list(records.read(path))[-1] == example(9)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.write(tmp_path, [example(1)])

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)  # the last thing that is done for a picture
        with pytest.raises(RecordError, match=r"No space left on device; 0 records were written") as caught:
            records.write(tmp_path, [example(2)])
    assert "room on the disk" in caught.value.hint
    assert list(records.read(tmp_path)) == [example(1)]
    assert len(list((tmp_path / "pictures").iterdir())) == 3
