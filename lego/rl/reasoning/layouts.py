"""Layouts: a data set of records as the files that trainers of picture-making models read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lego.core.errors import RecordError
from lego.core.ledger import ROOM, rows
from lego.rl import records
from lego.rl.folders import PICTURES

Layout: TypeAlias = Literal["bagel", "janus"]
HINT = "give the folder of a data set; `lego synth intelligent` writes one"
PICTURE = "<image_placeholder>"  # of Janus-Pro: stands for a picture of the turn


def write(folder: str | Path, layout: Layout) -> Path:
    """Write ``bagel.jsonl`` or ``janus.jsonl`` into a data set's folder, anew; rows without a target are left out.

    Paths are relative to the folder; pictures are not copied. The file appears whole or not at all.

    Raises:
        RecordError: the data set cannot be read, or the file not be written.
    """
    folder = Path(folder)
    path = folder / f"{layout}.jsonl"
    part = path.with_suffix(f".{os.getpid()}.part")
    made = {"bagel": _bagel, "janus": _janus}[layout]
    try:
        with part.open("w", encoding="utf-8") as file:
            for row in _rows(folder):
                file.write(json.dumps(made(row), ensure_ascii=False) + "\n")
        os.replace(part, path)
    except OSError as error:
        raise RecordError(f"cannot write: {error.strerror or error}", where=str(path), hint=ROOM) from None
    finally:
        part.unlink(missing_ok=True)
    return path


def _rows(folder: Path) -> Iterator[records.Row]:
    for _, row in rows(folder / records.FILE, records.Row, HINT):
        if row.target:
            yield row


def _bagel(row: records.Row) -> dict[str, Any]:
    told = row.provenance
    return {
        "image_path": f"{PICTURES}/{row.image}",
        "edit_instruction": row.instruction,
        "output_image_path": f"{PICTURES}/{row.target}",
        "task_category": told.get("category", ""),
        "original_question": told.get("question", ""),
        "original_answer": told.get("original", told.get("answer", "")),
        "process_answer": told.get("answer", ""),
    }


def _janus(row: records.Row) -> dict[str, Any]:
    asked = {
        "role": "<|User|>",
        "content": f"{PICTURE}\n{row.instruction}",
        "images": [f"{PICTURES}/{row.image}"],
    }
    return {"conversations": [asked, {"role": "<|Assistant|>", "content": "", "images": [f"{PICTURES}/{row.target}"]}]}
