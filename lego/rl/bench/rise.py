"""RISEBench: edits that have to be thought out: what time does, what causes do, where things are, what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lego.core.errors import RecordError
from lego.rl.bench import formulas, replies
from lego.rl.bench.formulas import Mode
from lego.rl.bench.items import COPY, Item, checked, content, picture, plain, unique
from lego.rl.bench.prompts import RISE
from lego.rl.bench.suite import Call, Cells, Column, Scores, Shown, View

FILE = "datav2_total_w_subtask.json"
LOGICAL, SPATIAL = "logical_reasoning", "spatial_reasoning"
DIMENSIONS = ("consistency", "reasoning", "plausibility")


class _Row(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    index: str
    category: str = Field(pattern="^(temporal|causal|spatial|logical)_reasoning$")
    subtask: str = ""
    instruction: str = Field(min_length=1)
    image: str
    reference: str | None = None
    reference_txt: str | None = None
    reference_img: str | None = None
    reasoning_img: Any = None
    consistency_free: Any = None
    reasoning_wo_ins: Any = None


class Rise:
    """The suite."""

    name, title = "rise", "RISEBench"
    prompts: Mapping[str, str] = RISE
    tokens, side = 4096, 768
    langs: Sequence[str] = ("en",)
    fitted, jpeg, nested, clamped = False, False, False, False
    columns: Sequence[Column] = tuple(Column(name, 0, 100, 1) for name in ("accuracy", "percent", *DIMENSIONS))
    views: Sequence[View] = (
        View("accuracy, of all items", "accuracy"),
        View("accuracy, mean of categories", "accuracy", "groups"),
        View("percent, of all items", "percent"),
        View("percent, mean of categories", "percent", "groups"),
    )
    main = "accuracy"

    def load(self, root: Path) -> list[Item]:
        """Read the list of items, and pictures beside it or in its folder ``data``."""
        path = root if root.is_file() else root / FILE
        rows = content(path)
        if not isinstance(rows, list):
            raise RecordError("one JSON list of items was expected", where=str(path), hint=COPY)
        flagged = any(isinstance(row, dict) and row.get("consistency_free") is not None for row in rows)
        items = [self._item(row, f"{path}, item {n}", path.parent, flagged) for n, row in enumerate(rows, 1)]
        return unique(items, path)

    def _item(self, raw: Any, where: str, root: Path, flagged: bool) -> Item:
        row = checked(raw, _Row, where)
        folder = root / "data" if (root / "data").is_dir() and not (root / row.image).is_file() else root
        image = picture(folder, row.image, where)
        truth = picture(folder, row.reference_img, where) if row.reference_img else None
        logical = row.category == LOGICAL
        if not (row.reference or row.reference_txt or truth):
            raise RecordError("it has no reference", where=where, hint=COPY)
        free = _set(row.consistency_free)
        return Item(
            id=f"{row.category}/{plain(row.index, where)}",
            images=(image,),
            instruction=row.instruction,
            group=row.category,
            gt=truth if row.category in (LOGICAL, SPATIAL) else None,
            explain=row.reference_txt or row.reference or "",
            meta={
                "subtask": row.subtask,
                "free": free and not logical,
                "taken as free": not logical and (free or (flagged and row.consistency_free is None)),
                "source shown": _set(row.reasoning_img),
                "truth in words": bool(row.reference_txt),
                "without words": _set(row.reasoning_wo_ins),
            },
        )

    def place(self, item: Item) -> str:
        """As the official script looks for it."""
        return f"images/{item.id}"

    def sections(self, item: Item) -> Sequence[str]:
        """Its category."""
        return (item.group,)

    def calls(self, item: Item, mode: Mode) -> Sequence[Call]:
        """Consistency unless the item is free of it, reasoning, and plausibility unless it is logical.

        In official mode consistency is with the right answer where the item shows one, as the script has it.
        """
        logical = item.group == LOGICAL
        truth = item.gt is not None and not (logical and item.meta["truth in words"])
        first: Shown = "gt" if truth and mode == "official" else "source"
        found = [] if item.meta["free"] else [
            Call("consistency", "logical_consistency" if logical else "consistency", (first, "result"))
        ]  # fmt: skip
        if logical and truth:
            name = "logical_truth_alone" if item.meta["without words"] else "logical_truth"
            found.append(Call("reasoning", name, ("gt", "result")))
        elif logical:
            found.append(Call("reasoning", "logical", ("result",)))
        elif truth:
            found.append(Call("reasoning", "reasoning_truth", ("gt", "result")))
        elif item.meta["source shown"]:
            found.append(Call("reasoning", "reasoning_source", ("source", "result")))
        else:
            found.append(Call("reasoning", "reasoning", ("result",)))
        if not logical:
            found.append(Call("plausibility", "plausibility", ("result",)))
        return found

    def read(self, item: Item, call: str, text: str, mode: Mode) -> tuple[float, ...]:
        """One score: 0 or 1 of logical items, 1 to 5 of others."""
        logical = item.group == LOGICAL
        scores = replies.final(text, *((0, 1) if logical else (1, 5)), mode)
        if logical and mode == "fixed" and scores[0] not in (0, 1):
            raise ValueError(f"the score {scores[0]:g} is neither 0 nor 1")
        return scores

    def values(self, item: Item, scores: Scores, mode: Mode, clamp: bool) -> Mapping[str, Cells]:
        """Accuracy, percent, and the dimensions as percent."""
        logical, free = item.group == LOGICAL, bool(item.meta["free"])
        asked = [call.name for call in self.calls(item, mode)]
        given = {name: _one(scores.get(name)) for name in asked}
        unjudged = None in given.values()
        if unjudged and mode == "official":
            given = dict.fromkeys(given)  # the script then leaves out the item
        c, r, p = (given.get(name) for name in DIMENSIONS)
        if logical:
            c, r = formulas.from_bit(c), formulas.from_bit(r)
        taken = bool(item.meta["taken as free"]) if mode == "official" else free
        percents = {name: formulas.percent(value) for name, value in zip(DIMENSIONS, (c, r, p), strict=True)}
        dimensions = [value for name, value in zip(DIMENSIONS, (c, r, p), strict=True) if name in asked]
        return {
            "accuracy": (formulas.accurate(dimensions, unjudged, free, mode),),
            "percent": (formulas.percent(formulas.rise(logical, c, r, p, taken)),),
            **{name: (percents[name],) if name in asked else () for name in DIMENSIONS},
        }


def _one(scores: tuple[float, ...] | None) -> float | None:
    """The score of a question; None where the official reader found another number of them."""
    return scores[0] if scores and len(scores) == 1 else None


def _set(flag: Any) -> bool:
    """Flags are there or not there, true or a text."""
    return bool(flag) and str(flag).strip().lower() not in ("false", "nan", "0")
