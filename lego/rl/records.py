"""Records: the examples that builders learn from and are judged by.

A data set is a folder: ``records.jsonl``, one example a line, and ``pictures/``, PNG files named by their content, so
that a picture that many examples share is kept once. Or it is one Parquet file with the pictures in it, in the form of
Hugging Face's `datasets`, to and from whose objects records turn as well.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

from lego.core import codec, depth
from lego.core.errors import ImageError, LegoError, RecordError
from lego.core.ledger import ROOM, complaint, drop_cut_off_line, rows
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.rl.folders import NAME, PICTURES, keep, name_of

if TYPE_CHECKING:
    from datasets import Dataset, Features

FILE = "records.jsonl"
PARQUET = ".parquet"
BATCH = 32  # records that are packed or unpacked at once: some megabytes
Language: TypeAlias = Literal["en", "zh"]


@dataclass(frozen=True)
class Record:
    """One example.

    Attributes:
        image: the picture.
        instruction: what is asked, in plain words.
        tools: names of the tools on offer; empty means all that are registered.
        workflow: a reference plan, if there is one.
        target: the picture that should come out, if it is known.
        mask: where the picture may change, if it is known.
        provenance: where the example comes from: source, seed, licence, versions.
    """

    image: Image
    instruction: str
    language: Language = "en"
    tools: tuple[str, ...] = ()
    workflow: Workflow | None = None
    target: Image | None = None
    mask: Mask | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Row(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str = Field(pattern=f"^{NAME}$")
    instruction: str = Field(min_length=1, max_length=2000)
    language: Language = "en"
    tools: list[str] = []
    workflow: dict[str, Any] | None = None
    target: str | None = Field(None, pattern=f"^{NAME}$")
    mask: str | None = Field(None, pattern=f"^{NAME}$")
    provenance: dict[str, Any] = {}


class _Cell(BaseModel):
    """A picture in a table."""

    data: bytes = Field(alias="bytes")
    path: str | None = None


class _Cells(BaseModel):
    """A row of a table."""

    model_config = ConfigDict(extra="forbid")

    image: _Cell
    instruction: str = Field(min_length=1, max_length=2000)
    language: Language = "en"
    tools: list[str] = []
    workflow: Json[dict[str, Any]] | None = None
    target: _Cell | None = None
    mask: _Cell | None = None
    provenance: Json[dict[str, Any]] = {}


def write(path: str | Path, records: Iterable[Record]) -> int:
    """Append records to a data set, which is made if there is none; return how many were written.

    In a folder a row is written after its pictures, as one line; a line that an interrupted run could not finish is
    taken away first. A Parquet file (``path`` ends in .parquet) is written anew beside the old one, which it then
    replaces: it appears whole or not at all. Masks are kept without their confidence.

    Raises:
        RecordError: it cannot be written (then ``details["written"]`` says how many records were, and all that were
            there can still be read), or a record is none (an empty instruction, a mask of another size).
    """
    path = Path(path)
    return _write_table(path, records) if path.suffix == PARQUET else _write_folder(path, records)


def _write_folder(folder: Path, records: Iterable[Record]) -> int:
    count = 0
    try:
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        drop_cut_off_line(folder / FILE)
        with (folder / FILE).open("a", encoding="utf-8") as file:
            for record in records:
                file.write(_line(folder, record, count + 1) + "\n")
                file.flush()  # so that the count is true if the next one fails
                count += 1
    except (OSError, ImageError) as error:
        with contextlib.suppress(OSError):
            drop_cut_off_line(folder / FILE)
        raise _cannot_write(folder, error, count) from None
    return count


def _write_table(path: Path, records: Iterable[Record]) -> int:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            count = _fill(file, path, records)
        os.replace(part, path)
    except (OSError, ImageError) as error:
        raise _cannot_write(path, error, 0) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def _fill(file: IO[bytes], old: Path, records: Iterable[Record]) -> int:
    """Write the table that is there already, and the new records after it."""
    import pyarrow as arrow
    from pyarrow.parquet import ParquetWriter

    schema, count = _features().arrow_schema, 0
    with ParquetWriter(file, schema) as writer:
        if old.exists():
            for batch in _batches(old):
                if not batch.schema.equals(schema):
                    hint = "choose another file, or read this one and write its records anew"
                    raise RecordError("its columns are not those of records", where=str(old), hint=hint)
                writer.write_batch(batch)
        numbered = enumerate(records, 1)
        while some := list(itertools.islice(numbered, BATCH)):
            writer.write_table(arrow.Table.from_pylist([_packed(r, n) for n, r in some], schema))
            count += len(some)
    return count


def _cannot_write(path: Path, error: OSError | ImageError, count: int) -> RecordError:
    why = error.message.removeprefix("cannot write: ") if isinstance(error, ImageError) else error.strerror or error
    message = f"cannot write: {why}; {count} records were written, and all that are there can be read"
    return RecordError(message, where=str(path), hint=ROOM, code="cannot_write", written=count)


def read(path: str | Path) -> Iterator[Record]:
    """Yield the records of a data set (a folder or a .parquet file) in order; pictures are opened as they are reached.

    Raises:
        RecordError: there is no such data set, or a row is broken; ``where`` names the file and the line or row.
    """
    path = Path(path)
    if path.suffix == PARQUET:
        number = 0
        for batch in _batches(path):
            for row in batch.to_pylist():
                number += 1
                yield _unpacked(row, f"{path}, row {number}")
        return
    for where, line in rows(path / FILE, Row, "give the folder of a data set"):
        yield _record(path, line, where)


def to_dataset(records: Iterable[Record]) -> Dataset:
    """Return records as a `datasets.Dataset` in memory, pictures as PNG; ``push_to_hub`` and the rest are then its own.

    Columns: image, target and mask (`Image`), instruction, language, tools (a list), workflow and provenance (JSON).

    Raises:
        RecordError: a record is none.
    """
    from datasets import Dataset

    packed = [_packed(record, number) for number, record in enumerate(records, 1)]
    columns = {name: [row[name] for row in packed] for name in _Cells.model_fields}
    return Dataset.from_dict(columns, features=_features())


def from_dataset(dataset: Dataset) -> Iterator[Record]:
    """Yield the records in a `datasets.Dataset` with the columns of `to_dataset`; only image and instruction must be.

    Pictures must be in it as bytes: no path is followed.

    Raises:
        RecordError: a row is broken; ``where`` names the row, and the message the column.
    """
    from datasets import Image as Picture

    for name, feature in dataset.features.items():
        if isinstance(feature, Picture):
            dataset = dataset.cast_column(name, Picture(decode=False))
    for number, row in enumerate(dataset, 1):
        yield _unpacked(row, f"row {number}")


def _line(folder: Path, record: Record, number: int) -> str:
    row = row_of(record, number)
    for value in (record.image, record.target, record.mask):
        if value is not None:
            keep(folder, value)
    return json.dumps(row.model_dump(exclude_defaults=True), ensure_ascii=False)


def row_of(record: Record, number: int) -> Row:
    """Return a record as a line, checked; the number is for messages.

    Raises:
        RecordError: it is none.
    """
    mask, (width, height) = record.mask, record.image.size
    try:
        if mask is not None and mask.size != record.image.size:
            raise ValueError(f"the mask is {mask.size[0]} x {mask.size[1]}, the picture {width} x {height}")
        json.dumps(dict(record.provenance), allow_nan=False)
        return Row(
            image=name_of(record.image),
            instruction=record.instruction,
            language=record.language,
            tools=list(record.tools),
            workflow=record.workflow.dump() if record.workflow else None,
            target=name_of(record.target) if record.target else None,
            mask=name_of(record.mask) if record.mask else None,
            provenance=dict(record.provenance),
        )
    except (ValidationError, TypeError, ValueError) as error:
        raise RecordError(complaint(error), where=f"record {number}", hint="mend the record or leave it out") from None


def _features() -> Features:
    from datasets import Features, Value
    from datasets import Image as Picture

    texts = ("instruction", "language", "workflow", "provenance")
    pictures = ("image", "target", "mask")
    features = {name: Value("string") for name in texts} | {name: Picture() for name in pictures}
    return Features({name: features.get(name, [Value("string")]) for name in _Cells.model_fields})


def _packed(record: Record, number: int) -> dict[str, Any]:
    """A record as a row of a table."""
    row = row_of(record, number).model_dump()
    pictures = {"image": record.image, "target": record.target, "mask": record.mask}
    cells = {name: value and {"bytes": _png(value), "path": None} for name, value in pictures.items()}
    texts = {name: row[name] and json.dumps(row[name], ensure_ascii=False) for name in ("workflow", "provenance")}
    return {**row, **cells, **texts, "provenance": texts["provenance"] or "{}"}


def _unpacked(row: Mapping[str, Any], where: str) -> Record:
    column = ""
    try:
        cells = _Cells.model_validate({name: value for name, value in row.items() if value is not None})
        column = "image"
        image = Image.open(cells.image.data)
        column = "target"
        target = Image.open(cells.target.data) if cells.target else None
        column = "mask"
        mask = Mask.open(cells.mask.data) if cells.mask else None
        if mask is not None and mask.size != image.size:
            raise ImageError(f"it is {mask.size[0]} x {mask.size[1]}, the picture {image.size[0]} x {image.size[1]}")
        column = "workflow"
        flow = None if cells.workflow is None else Workflow.load(cells.workflow)
    except ValidationError as error:
        raise RecordError(complaint(error), where=where, hint="mend the row or take it out") from None
    except LegoError as error:
        raise RecordError(f"{column}: {error.message}", where=where, hint=error.hint or "mend the row") from error
    return Record(image, cells.instruction, cells.language, tuple(cells.tools), flow, target, mask, cells.provenance)


def _batches(path: Path) -> Iterator[Any]:
    """The record batches of a Parquet file."""
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

    try:
        with path.open("rb") as file:
            yield from ParquetFile(file).iter_batches(BATCH)
    except (OSError, arrow.ArrowException) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RecordError(f"cannot read: {why}", where=str(path), hint="give a data set's Parquet file") from None


def _png(value: Image | Mask) -> bytes:
    if isinstance(value, Mask):
        return codec.encode(value.pil(), Path("mask.png"), {})
    if value.deep is not None:
        return depth.encode(value.deep, value.alpha, ".png", {}, value.exif)
    return codec.encode(value.pil(), Path("image.png"), {}, value.exif)


def _record(folder: Path, row: Row, where: str) -> Record:
    pictures = folder / PICTURES
    try:
        return Record(
            image=Image.open(pictures / row.image),
            instruction=row.instruction,
            language=row.language,
            tools=tuple(row.tools),
            workflow=Workflow.load(row.workflow) if row.workflow is not None else None,
            target=Image.open(pictures / row.target) if row.target else None,
            mask=Mask.open(pictures / row.mask) if row.mask else None,
            provenance=row.provenance,
        )
    except LegoError as error:
        raise RecordError(str(error), where=where, hint=error.hint or "mend the line or take it out") from error
