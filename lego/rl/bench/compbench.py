"""CompBench: edits in crowded scenes, with true results and masks, so that no judge is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lego.core.errors import RecordError
from lego.core.values import Image, Mask
from lego.rl.bench.formulas import Mode
from lego.rl.bench.gedit import GEdit
from lego.rl.bench.items import COPY, Item, Picture, plain, unique
from lego.rl.bench.prompts import GEDIT
from lego.rl.bench.suite import Call, Cells, Column, Scores, View
from lego.rl.bench.tables import Row, Table

SMALL = ("task", "instruction")
PICTURES = ("input_image", "edited_image", "mask")
DIGITS = 5  # of an item's number in its task
JOIN = {True: "。", False: ". "}  # between the instructions of several turns, after Chinese and after other words


class CompBench:
    """The suite; a judge is asked as in GEdit-Bench, if one is wanted at all."""

    name, title = "compbench", "CompBench"
    prompts: Mapping[str, str] = GEDIT
    tokens, side = 512, 0
    langs: Sequence[str] = ("en",)
    fitted, jpeg, nested, clamped = True, False, False, False
    columns: Sequence[Column] = GEdit.columns
    views: Sequence[View] = (View("mean of tasks, O", "O", "groups"), View("mean of items, O", "O"))
    main = GEdit.main

    def __init__(self) -> None:
        self._asked = GEdit()

    def load(self, root: Path) -> list[Item]:
        """Read Parquet files or a `save_to_disk` folder; see `Suite.load`."""
        numbers: dict[str, int] = {}
        items = []
        for row in Table(root).rows(SMALL, PICTURES):
            task = row.values["task"]
            task = task[0] if isinstance(task, list) and task else task
            group = plain(task if isinstance(task, str) else "", row.where)
            numbers[group] = numbers.get(group, 0) + 1
            items.append(_item(row, group, f"{group}/{numbers[group]:0{DIGITS}}"))
        return unique(items, root)

    def place(self, item: Item) -> str:
        """Its task and number; there is no official tree."""
        return item.id

    def sections(self, item: Item) -> Sequence[str]:
        """Its task."""
        return (item.group,)

    def calls(self, item: Item, mode: Mode) -> Sequence[Call]:
        """As in GEdit-Bench."""
        return self._asked.calls(item, mode)

    def read(self, item: Item, call: str, text: str, mode: Mode) -> tuple[float, ...]:
        """As in GEdit-Bench."""
        return self._asked.read(item, call, text, mode)

    def values(self, item: Item, scores: Scores, mode: Mode, clamp: bool) -> Mapping[str, Cells]:
        """As in GEdit-Bench."""
        return self._asked.values(item, scores, mode, clamp)


def _item(row: Row, group: str, name: str) -> Item:
    """One row; of several turns all instructions in one, from the first source to the last result, all masks joined."""
    said = row.values["instruction"]
    turns = said if isinstance(said, list) else [said]
    if not turns or not all(isinstance(turn, str) and turn.strip() for turn in turns):
        raise RecordError("instruction: there is none", where=row.where, hint=COPY)
    first, last = (0, -1) if isinstance(said, list) else (None, None)
    return Item(
        id=name,
        images=(row.picture("input_image", first),),
        instruction=_joined(turns),
        group=group,
        gt=row.picture("edited_image", last),
        mask=_Masks(row, len(turns)).picture() if isinstance(said, list) else row.picture("mask"),
        meta={"turns": len(turns)},
    )


def _joined(turns: Sequence[str]) -> str:
    text = ""
    for turn in turns:
        end = text.rstrip(" .。")
        text = f"{end}{JOIN[not end.isascii()]}{turn.strip()}" if end else turn.strip()
    return text


class _Masks:
    """The masks of several turns, which become one."""

    def __init__(self, row: Row, count: int) -> None:
        self.row, self.count = row, count

    def picture(self) -> Picture:
        return Picture(f"{self.row.where}, mask", self._read)

    def _read(self) -> Image:
        joined: Mask | None = None
        for index in range(self.count):
            mask = self.row.picture("mask", index).mask()
            joined = mask if joined is None or joined.size != mask.size else joined | mask
        assert joined
        return Image(np.dstack([joined.pixels] * 3))
