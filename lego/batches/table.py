"""Tables of edits: CSV, or JSON objects one a line. Every fault is told at once, with its line."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from lego.batches.items import SEEDS, Box, Item
from lego.core.errors import RecordError, WorkflowError
from lego.core.ledger import complaint
from lego.core.workflow import Workflow

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
SEPARATORS = ",;\t"
BETWEEN = ";"  # the references in one cell
SHOWN = 10  # faults that a message lists
NEAR = 0.75  # how like a known column's name another has to be, to be taken for a slip of the pen
Row: TypeAlias = Mapping[str, Any]


def _box(value: Any) -> Any:
    return value.replace(";", ",").split(",") if isinstance(value, str) else value


def _list(value: Any) -> Any:
    return [part.strip() for part in value.split(BETWEEN) if part.strip()] if isinstance(value, str) else value


class Asked(BaseModel):
    """A row: the picture, and what is to be done with it."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    image: Annotated[str, Field(min_length=1)]
    instruction: str = ""
    workflow: str = ""
    mask: str = ""
    box: Annotated[Box | None, BeforeValidator(_box)] = None
    references: Annotated[list[str], BeforeValidator(_list)] = []
    output: str = ""
    seed: Annotated[int | None, Field(ge=0, lt=SEEDS)] = None
    rounds: Annotated[int | None, Field(ge=0, le=10)] = None

    @field_validator("output")
    @classmethod
    def _inside(cls, value: str) -> str:
        path = Path(value)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("it has to lie below the output folder")
        return path.as_posix() if value else ""


COLUMNS = tuple(Asked.model_fields)
HINT = f"columns are {', '.join(COLUMNS)}"


def read(path: Path, words: str = "", workflow: str = "") -> tuple[list[Item], list[str]]:
    """Return the items of a table, and the columns that nobody reads; paths in it begin at its folder.

    Args:
        words, workflow: for rows without an instruction or a workflow of their own.

    Raises:
        RecordError: the file cannot be read, or rows are wrong; the message has all their lines.
    """
    rows = list(_rows(path))
    names = {name for _, row, _ in rows for name in row}
    _check_names(names, path)
    faults = [f"line {number}: {fault}" for number, _, fault in rows if fault]
    items = []
    for number, row, fault in rows:
        if fault:
            continue
        try:
            items.append(item_of(row, path.parent, words, workflow))
        except ValueError as error:  # a ValidationError is one
            faults.append(f"line {number}: {complaint(error)}")
    if faults:
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        shown = "\n  ".join(faults[:SHOWN])
        raise RecordError(f"{len(faults)} of {len(rows)} rows are wrong\n  {shown}{more}", where=str(path), hint=HINT)
    if not items:
        raise RecordError("there are no rows", where=str(path), hint=HINT)
    return items, sorted(names - set(COLUMNS))


def item_of(row: Row, folder: Path = Path(), words: str = "", workflow: str = "") -> Item:
    """Return the item of a row, whose paths begin at the folder.

    Raises:
        ValueError: a value is wrong, there is no such file, or nothing says what to do.
    """
    given = {name: str(value) if isinstance(value, Path) else value for name, value in row.items()}
    asked = Asked.model_validate({name: value for name, value in given.items() if value not in ("", None)})
    image, mask = folder / asked.image, folder / asked.mask if asked.mask else None
    references = tuple(folder / name for name in asked.references)
    missing = [str(path) for path in (image, mask, *references) if path and not path.is_file()]
    if missing:
        raise ValueError(f"no such file: {', '.join(missing)}")
    if mask and asked.box:
        raise ValueError("both a mask and a box; give one of them")
    flow = _workflow(folder / asked.workflow) if asked.workflow else ""
    if flow and asked.instruction:
        raise ValueError("both an instruction and a workflow; give one of them")
    said = asked.instruction or ("" if flow or workflow else words)
    flow = flow or ("" if said else workflow)
    if not (said or flow):
        raise ValueError("nothing says what to do: give an instruction or a workflow")
    name = asked.output or _name(asked.image)
    return Item(name, image, said, flow, mask, asked.box, references, asked.seed, asked.rounds)


def _name(image: str) -> str:
    """The picture's own path as a name below the output folder; only its own name if it lies elsewhere."""
    path = Path(image)
    return path.name if path.is_absolute() or ".." in path.parts else path.as_posix()


def _workflow(path: Path) -> str:
    try:
        return Workflow.load(path).json(None)
    except WorkflowError as error:
        raise ValueError(str(error)) from None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield each row's line, its values by column, and what is wrong with it as a row."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise RecordError(f"cannot read the table: {why}", where=str(path), hint="save it as UTF-8") from None
    yield from _objects(text) if path.suffix.lower() in (".jsonl", ".ndjson") else _cells(text, path)


def _objects(text: str) -> Iterator[tuple[int, dict[str, Any], str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            yield number, {}, f"not JSON: {error.msg} at character {error.pos + 1}"
            continue
        yield (number, row, "") if isinstance(row, dict) else (number, {}, "not an object: {...}")


def _cells(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names: list[str] = []
    begin = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begin, {}, f"not CSV: {error}"
            return
        number, begin = begin, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if not names:
            names = [cell.strip().lower() for cell in cells]
            if "image" not in names:
                raise RecordError(
                    "the first line does not name a column 'image'",
                    where=f"{path}, line {number}",
                    hint=HINT,
                    code="no_column",
                )
        elif len(cells) > len(names):
            yield number, {}, f"{len(cells)} cells for {len(names)} columns; put texts with '{separator}' in quotes"
        else:
            yield number, dict(zip(names, cells, strict=False)), ""


def _check_names(names: set[str], path: Path) -> None:
    """Refuse a column that looks like one of ours written wrongly; others are left alone."""
    for name in sorted(names - set(COLUMNS)):
        nearest = difflib.get_close_matches(name, COLUMNS, 1, NEAR)
        if nearest:
            raise RecordError(
                f"there is no column '{name}'",
                where=str(path),
                hint=f"did you mean '{nearest[0]}'?",
                code="unknown_column",
            )
