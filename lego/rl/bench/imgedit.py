"""ImgEdit-Bench: nine kinds of edits of one step, judged by three scores each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from lego.core.codec import write_whole
from lego.core.errors import RecordError
from lego.rl.bench import formulas, replies
from lego.rl.bench.formulas import Mode
from lego.rl.bench.items import Item, entries, picture, plain, unique, within
from lego.rl.bench.prompts import IMGEDIT
from lego.rl.bench.suite import Call, Cells, Column, Scores, View

FILES = ("singleturn.json", "basic_edit.json")  # of the archive, and of the repository
PLACES = ("", "singleturn", "Basic", "Benchmark/singleturn", "Benchmark/Basic")  # of the files below the root
KINDS = tuple(IMGEDIT)
HYBRID = {"hybrid": "compose"}  # as leaderboards call it


class _Row(BaseModel):
    id: str
    prompt: str = Field(min_length=1)
    edit_type: str


class ImgEdit:
    """The suite."""

    name, title = "imgedit", "ImgEdit-Bench"
    prompts: Mapping[str, str] = IMGEDIT
    tokens, side = 1024, 0
    langs: Sequence[str] = ("en",)
    fitted, jpeg, nested, clamped = False, False, False, True
    columns: Sequence[Column] = (Column("score", 1, 5, rounded=True),)
    views: Sequence[View] = (
        View("mean of items", "score"),
        View("mean of types", "score", "groups"),
    )
    main = "score"

    def load(self, root: Path) -> list[Item]:
        """Read the archive's or the repository's layout; pictures are looked for beside either's file of items."""
        found = [path for place in PLACES for name in FILES if (path := root / place / name).is_file()]
        if not found:
            hint = f"the copy has {' or '.join(FILES)} in one of {', '.join(filter(None, PLACES))}"
            raise RecordError("there is no list of items", where=str(root), hint=hint, code="no_items")
        folders = [root / place for place in PLACES if (root / place).is_dir()]
        folders.insert(0, found[0].parent)
        items = []
        for key, where, row in entries(found[0], _Row):
            group = HYBRID.get(row.edit_type, row.edit_type)
            if group not in KINDS:
                hint = f"known are {', '.join(KINDS)}"
                raise RecordError(f"there is no type '{group}'", where=where, hint=hint, code="unknown_group")
            at = next((folder for folder in folders if within(folder, row.id, where).is_file()), folders[0])
            items.append(Item(plain(key, where), (picture(at, row.id, where),), row.prompt, group))
        return unique(items, found[0])

    def place(self, item: Item) -> str:
        """Its key."""
        return item.id

    def sections(self, item: Item) -> Sequence[str]:
        """Its type."""
        return (item.group,)

    def calls(self, item: Item, mode: Mode) -> Sequence[Call]:
        """One question, worded by the type."""
        return (Call("score", item.group, ("source", "result")),)

    def read(self, item: Item, call: str, text: str, mode: Mode) -> tuple[float, ...]:
        """Three scores from 1 to 5."""
        return replies.lines(text, 3, 1, 5, mode)

    def values(self, item: Item, scores: Scores, mode: Mode, clamp: bool) -> Mapping[str, Cells]:
        """The mean of the three."""
        return {"score": (formulas.imgedit(scores.get("score"), mode, clamp),)}


def write_replies(home: Path, texts: Mapping[str, str]) -> Path:
    """Write the judge's replies by key, as the official script that makes the means reads them."""
    text = json.dumps(dict(texts), ensure_ascii=False, indent=2)
    return write_whole(home / "result.json", text.encode())
