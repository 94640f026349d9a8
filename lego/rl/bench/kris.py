"""KRIS-Bench: edits that need knowledge, of facts, of concepts and of procedures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, Field

from lego.core.codec import write_whole
from lego.core.errors import RecordError
from lego.rl.bench import formulas, replies
from lego.rl.bench.formulas import Mode
from lego.rl.bench.items import COPY, Item, entries, picture, plain, unique
from lego.rl.bench.prompts import KRIS
from lego.rl.bench.suite import Call, Cells, Column, Scores, Shown, View

FILE = "annotation.json"
VIEWPOINT, FRAMES, ANOMALY = "viewpoint_change", "temporal_prediction", "anomaly_correction"
GROUPS = {
    ("Factual", "attribute"): (
        "count_change", "color_change", "size_adjustment", "part_completion", ANOMALY,
    ),
    ("Factual", "spatial"): (VIEWPOINT, "position_movement"),
    ("Factual", "temporal"): (FRAMES,),
    ("Conceptual", "social"): ("humanities", "practical_knowledge"),
    ("Conceptual", "natural"): ("biology", "chemistry", "geography", "medicine", "mathematics", "physics"),
    ("Procedural", "logical"): ("abstract_reasoning", "rule-based_reasoning"),
    ("Procedural", "decomposition"): ("multi-element_composition", "multi-instruction_execution"),
}  # fmt: skip
KNOWING = ("social", "natural", "logical")  # whose items have a score for knowledge
PLACE = {kind: place for place, kinds in GROUPS.items() for kind in kinds}
NUMBERED = re.compile(r"\d+-(\d+)")  # a frame's name: item and place
METRICS = {"VC": "consistency", "VQ": "quality", "IF": "instruction", "KP": "knowledge"}


class _Row(BaseModel):
    ori_img: str | list[str]
    gt_img: str | list[str] | None = None
    ins_en: str = Field(min_length=1)
    explain_en: str | None = None


def _group(name: str) -> View:
    return View(f"{name}, flat mean", "score", "items", lambda item: PLACE[item.group][0] == name)


class Kris:
    """The suite."""

    name, title = "kris", "KRIS-Bench"
    prompts: Mapping[str, str] = KRIS
    tokens, side = 1000, 0
    langs: Sequence[str] = ("en",)
    fitted, jpeg, nested, clamped = False, False, False, True
    columns: Sequence[Column] = tuple(Column(name, 0, 100) for name in ("score", *METRICS))
    views: Sequence[View] = (
        *(_group(name) for name in dict.fromkeys(group for group, _ in GROUPS)),
        View("overall, flat mean", "score"),
        View("overall, mean of the dimensions", "score", "groups"),
    )
    main = "score"

    def load(self, root: Path) -> list[Item]:
        """Read ``<type>/annotation.json``, below the root or its folder KRIS_Bench."""
        base = next(
            (b for b in (root, root / "KRIS_Bench") if any((b / kind / FILE).is_file() for kind in PLACE)), None
        )
        if base is None:
            raise RecordError(f"there is no <type>/{FILE}", where=str(root), hint=COPY, code="no_items")
        items = []
        for kind in PLACE:
            if (base / kind / FILE).is_file():
                items += self._typed(base / kind, kind)
        return unique(items, base)

    def _typed(self, folder: Path, kind: str) -> list[Item]:
        items = []
        for key, where, row in entries(folder / FILE, _Row):
            sources = [row.ori_img] if isinstance(row.ori_img, str) else row.ori_img
            truths = [row.gt_img] if isinstance(row.gt_img, str) else row.gt_img or []
            if not sources:
                raise RecordError("ori_img is empty", where=where, hint=COPY)
            items.append(
                Item(
                    id=f"{kind}/{plain(key, where)}",
                    images=tuple(picture(folder, name, where) for name in sources),
                    instruction=row.ins_en,
                    group=kind,
                    gt=picture(folder, truths[-1], where) if truths and truths[-1] else None,
                    explain=row.explain_en or "",
                    meta={"place": _place(sources)} if kind == FRAMES else {},
                )
            )
        return items

    def place(self, item: Item) -> str:
        """As the official scripts look for it."""
        return f"images/{item.id}"

    def sections(self, item: Item) -> Sequence[str]:
        """Its group, and its dimension in that."""
        group, dimension = PLACE[item.group]
        return group, f"{group}: {dimension}"

    def calls(self, item: Item, mode: Mode) -> Sequence[Call]:
        """Consistency, quality, and the instruction, where it takes knowledge together with that."""
        shown: tuple[Shown, ...] = ("sources", "result")
        form = ""
        if item.group == VIEWPOINT and item.gt:
            shown, form = ("source", "gt", "result"), "_view"
        elif item.group == FRAMES:
            shown, form = ("frames",), "_frames"
        last = Call("instruction", f"instruction{form}", shown)
        if item.group == ANOMALY and item.explain and mode == "fixed":  # the script has such a prompt, and misses it
            last = Call("instruction", "instruction_anomaly", shown)
        if _knowing(item):
            last = Call("knowledge", "knowledge", shown)
        return Call("consistency", f"consistency{form}", shown), Call("quality", "quality", ("result",)), last

    def read(self, item: Item, call: str, text: str, mode: Mode) -> tuple[float, ...]:
        """Scores from 1 to 5: one, or those of instruction and knowledge."""
        names = ("instruction", "knowledge") if call == "knowledge" else (call,)
        return replies.named(text, [f"{name}_score" for name in names], 1, 5, mode)

    def values(self, item: Item, scores: Scores, mode: Mode, clamp: bool) -> Mapping[str, Cells]:
        """Each metric as percent, and all of them in one column, whose mean is the flat one."""
        knowing = _knowing(item)
        pair = scores.get("knowledge") or (None, None)
        following = pair[0] if knowing else _first(scores.get("instruction"))
        made = formulas.kris(
            _first(scores.get("consistency")), _first(scores.get("quality")), following, pair[1], clamp
        )
        metrics = {name: (value,) for name, value in zip(METRICS, made, strict=True)}
        cells: dict[str, Cells] = {**metrics, "KP": metrics["KP"] if knowing else ()}
        return {"score": tuple(value for cell in cells.values() for value in cell), **cells}


def write_metrics(home: Path, values: Mapping[str, tuple[Item, Mapping[str, Cells]]]) -> list[Path]:
    """Write the official scripts' metrics.json of each type, beside its pictures; return where they are.

    Args:
        values: items that are judged, with their cells; a score that is missing is left out.
    """
    kinds: dict[str, dict[str, dict[str, Any]]] = {}
    for item, cells in values.values():
        row: dict[str, Any] = {"instruction": item.instruction, "explain": item.explain}
        for name, metric in METRICS.items():
            for value in cells[name]:
                if value is not None:
                    row[f"{metric}_score"] = round(value / 25 + 1, 6)
        kinds.setdefault(item.group, {})[item.id.partition("/")[2]] = row
    written = []
    for kind, rows in kinds.items():
        text = json.dumps(rows, ensure_ascii=False, indent=2)
        written.append(write_whole(home / "images" / kind / "metrics.json", text.encode()))
    return written


def _place(names: Sequence[str]) -> int:
    """Which frame is wanted, counted from 1: the one that is lacking among those that are there, else the next."""
    found = [int(match[1]) for name in names if (match := NUMBERED.search(PurePosixPath(name).name))]
    if len(found) != len(names):
        return len(names) + 1
    lacking = sorted(set(range(1, len(names) + 2)) - set(found))
    return lacking[0] if len(lacking) == 1 else len(names) + 1


def _knowing(item: Item) -> bool:
    return PLACE[item.group][1] in KNOWING


def _first(scores: tuple[float, ...] | None) -> float | None:
    return scores[0] if scores else None
