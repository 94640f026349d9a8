"""GEdit-Bench: real instructions in English and Chinese, judged for the edit and for the picture (Step1X-Edit)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lego.core.codec import write_whole
from lego.rl.bench import formulas, replies
from lego.rl.bench.formulas import Mode
from lego.rl.bench.items import LANGS, Item, checked, plain, unique
from lego.rl.bench.prompts import GEDIT
from lego.rl.bench.suite import Call, Cells, Column, Scores, View
from lego.rl.bench.tables import Table

SMALL = ("task_type", "key", "instruction", "instruction_language", "Intersection_exist")
HEADER = (
    "source_image", "edited_image", "instruction", "sementics_score", "quality_score", "intersection_exist",
    "instruction_language",
)  # fmt: skip  # spelt as the official script spells them
SOURCE = "_SRCIMG"  # added to the name of the copy of the source that lies beside each result


class _Row(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    task_type: str
    key: str
    instruction: str = Field(min_length=1)
    instruction_language: str = Field(pattern="^(en|cn|zh)$")
    Intersection_exist: bool


def flagged(item: Item) -> bool:
    """Is the item among those that all compared editors had answered?"""
    return bool(item.meta["intersection"])


class GEdit:
    """The suite."""

    name, title = "gedit", "GEdit-Bench"
    prompts: Mapping[str, str] = GEDIT
    tokens, side = 512, 0
    langs: Sequence[str] = ("en", "cn")
    fitted, jpeg, nested, clamped = True, True, True, False
    columns: Sequence[Column] = (Column("SC", 0, 10), Column("PQ", 0, 10), Column("O", 0, 10))
    views: Sequence[View] = (
        *(View(f"mean of groups, {name}", name, "groups") for name in ("O", "SC", "PQ")),
        *(View(f"Intersection, mean of groups, {name}", name, "groups", flagged) for name in ("O", "SC", "PQ")),
        View("mean of items, O", "O"),
    )
    main = "O"

    def load(self, root: Path) -> list[Item]:
        """Read Parquet files or a `save_to_disk` folder; see `Suite.load`."""
        items = []
        for row in Table(root).rows(SMALL, ("input_image",)):
            data = checked(row.values, _Row, row.where)
            lang = LANGS[data.instruction_language]
            group, key = plain(data.task_type, row.where), plain(data.key, row.where)
            items.append(
                Item(
                    id=f"{group}/{lang}/{key}",
                    images=(row.picture("input_image"),),
                    instruction=data.instruction,
                    group=group,
                    lang=lang,
                    meta={"intersection": data.Intersection_exist, "key": key},
                )
            )
        return unique(items, root)

    def place(self, item: Item) -> str:
        """As the official script looks for it."""
        return f"fullset/{item.id}"

    def sections(self, item: Item) -> Sequence[str]:
        """Its group."""
        return (item.group,)

    def calls(self, item: Item, mode: Mode) -> Sequence[Call]:
        """Was it edited as asked (source and result), and is it well made (result)?"""
        return Call("sc", "sc", ("source", "result")), Call("pq", "pq", ("result",))

    def read(self, item: Item, call: str, text: str, mode: Mode) -> tuple[float, ...]:
        """Two scores from 0 to 10."""
        return replies.listed(text, 2, 0, 10, mode)

    def values(self, item: Item, scores: Scores, mode: Mode, clamp: bool) -> Mapping[str, Cells]:
        """SC, PQ and the root of their product."""
        sc, pq = formulas.least(scores.get("sc")), formulas.least(scores.get("pq"))
        return {"SC": (sc,), "PQ": (pq,), "O": (formulas.overall(sc, pq),)}


def write_tables(home: Path, judge: str, values: Mapping[str, tuple[Item, Path, float, float]]) -> list[Path]:
    """Write the official script's tables, one a group; return where they are.

    Args:
        home: the folder of the editor.
        judge: names the folder of the tables.
        values: items that are judged, with the picture, SC and PQ.
    """
    folder = home / judge / "eval_results_new"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for group in dict.fromkeys(item.group for item, *_ in values.values()):
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(HEADER)
        for item, path, sc, pq in values.values():
            if item.group == group:
                source = path.with_name(f"{path.stem}{SOURCE}{path.suffix}")
                table.writerow([source, path, item.instruction, sc, pq, flagged(item), item.lang])
        written.append(write_whole(folder / f"{home.name}_{group}_gpt_score.csv", text.getvalue().encode()))
    return written
