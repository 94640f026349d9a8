"""Tables of edits: what they may say, and how wrong ones are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lego.batches import table
from lego.batches.items import Item
from lego.core.errors import RecordError
from lego.core.values import Image

FLIP = {"version": 1, "steps": [{"id": "s1", "tool": "flip", "args": {"image": "$image"}}], "result": "$s1"}


@pytest.fixture
def folder(tmp_path: Path, small: Image) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "in/b.png", "m.png"):
        small.save(tmp_path / name)
    (tmp_path / "w.json").write_text(json.dumps(FLIP))
    return tmp_path


def rows(folder: Path, text: str, name: str = "t.csv", words: str = "") -> list[Item]:
    (folder / name).write_text(text, encoding="utf-8")
    return table.read(folder / name, words)[0]


def refused(folder: Path, text: str, name: str = "t.csv") -> str:
    with pytest.raises(RecordError) as caught:
        rows(folder, text, name)
    return f"{caught.value} {caught.value.hint}"


def test_a_csv_says_all_that_an_edit_can_be_told(folder: Path) -> None:
    text = (
        "image,instruction,mask,references,output,seed,rounds\n"
        'in/b.png,"warm it, then crop",m.png,a.png;m.png,x/y.jpg,7,2\n'
    )
    (item,) = rows(folder, text)
    assert item.words == "warm it, then crop"
    assert (item.output, item.seed, item.rounds) == ("x/y.jpg", 7, 2)
    assert item.files == (folder / "in/b.png", folder / "m.png", folder / "a.png", folder / "m.png")


def test_semicolons_tabs_and_the_mark_that_excel_writes_are_read(folder: Path) -> None:
    assert rows(folder, "\ufeffimage;instruction\na.png;flip it\n")[0].words == "flip it"
    assert rows(folder, "Image\tInstruction\na.png\tflip it\n", "t.tsv")[0].words == "flip it"


def test_json_lines_say_the_same(folder: Path) -> None:
    text = json.dumps({"image": "a.png", "instruction": "翻转", "box": [0, 0, 9, 9], "seed": 3})
    (item,) = rows(folder, f"{text}\n\n", "t.jsonl")
    assert (item.words, item.box, item.seed) == ("翻转", (0, 0, 9, 9), 3)


def test_a_row_may_name_a_workflow(folder: Path) -> None:
    (item,) = rows(folder, "image,workflow\na.png,w.json\n")
    assert json.loads(item.workflow) == FLIP
    assert item.words == ""


def test_rows_without_words_take_those_of_the_command(folder: Path) -> None:
    found = rows(folder, "image,instruction\na.png,\nin/b.png,flip it\n", words="warm it")
    assert [item.words for item in found] == ["warm it", "flip it"]


def test_names_of_results_keep_the_tree_and_cannot_leave_it(folder: Path) -> None:
    assert rows(folder, "image,instruction\nin/b.png,flip\n")[0].output == "in/b.png"
    assert rows(folder, f"image,instruction\n{folder}/in/b.png,flip\n")[0].output == "b.png"
    assert "line 2: output: it has to lie below" in refused(folder, "image,instruction,output\na.png,flip,../x.png\n")


def test_all_wrong_rows_are_told_with_their_lines(folder: Path) -> None:
    text = (
        "image,instruction,seed\n"
        'a.png,"two\nlines",1\n'
        "gone.png,flip,1\n"
        "a.png,,1\n"
        "a.png,flip,many\n"
        "a.png,flip,1,more\n"
        ",flip,1\n"
    )
    told = refused(folder, text)
    assert "5 of 6 rows are wrong" in told
    for fault in ("line 4: no such file", "line 5: nothing says", "line 6: seed:", "line 7: 4 cells", "line 8: image:"):
        assert fault in told


def test_what_is_no_json_is_told_with_its_line(folder: Path) -> None:
    told = refused(folder, '{"image": "a.png", "instruction": "flip"}\n{"image": \n[1]\n', "t.jsonl")
    assert "line 2: not JSON" in told
    assert "line 3: not an object" in told


def test_a_column_that_is_misspelt_is_refused_and_a_strange_one_is_named(folder: Path) -> None:
    assert "did you mean 'instruction'?" in refused(folder, "image,instuction\na.png,flip\n")
    assert "column 'image'" in refused(folder, "picture,instruction\na.png,flip\n")
    (folder / "t.csv").write_text("id,image,instruction\n1,a.png,flip\n")
    assert table.read(folder / "t.csv")[1] == ["id"]


def test_contradictions_are_refused(folder: Path) -> None:
    assert "both an instruction and a workflow" in refused(folder, "image,instruction,workflow\na.png,flip,w.json\n")
    assert "both a mask and a box" in refused(folder, 'image,instruction,mask,box\na.png,flip,m.png,"0,0,5,5"\n')
