"""Records: the examples that builders learn from and are judged by, as one file of lines and a folder of pictures.

A data set is a folder: ``records.jsonl``, one example a line, and ``pictures/``, PNG files named by their content, so
that a picture that many examples share is kept once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lego.core.errors import LegoError, RecordError
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow

FILE, PICTURES = "records.jsonl", "pictures"
NAME = r"[0-9a-f]{32}\.png"  # a picture's digest; nothing else is opened, so that no row can lead out of the folder
Language: TypeAlias = Literal["en", "zh"]
Model = TypeVar("Model", bound=BaseModel)


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


class _Row(BaseModel):
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


def write(folder: str | Path, records: Iterable[Record]) -> int:
    """Append records to a data set, which is made if there is none; return how many were written.

    A row is written after its pictures, as one line; a line that an interrupted run could not finish is taken away
    first. Masks are kept without their confidence.

    Raises:
        RecordError: the folder cannot be written, or a record is none (an empty instruction, a mask of another size).
    """
    folder = Path(folder)
    try:
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        _drop_cut_off_line(folder / FILE)
        with (folder / FILE).open("a", encoding="utf-8") as file:
            count = 0
            for record in records:
                file.write(_line(folder, record, count + 1) + "\n")
                count += 1
    except OSError as error:
        hint = "is there room on the disk, and may you write there?"
        raise RecordError(
            f"cannot write: {error.strerror}", where=str(folder), hint=hint, code="cannot_write"
        ) from None
    return count


def read(folder: str | Path) -> Iterator[Record]:
    """Yield the records of a data set in order; pictures are opened as they are reached.

    Raises:
        RecordError: there is no such data set, or a row is broken; ``where`` names the file and the line.
    """
    for where, row in rows(Path(folder) / FILE, _Row, "give the folder of a data set"):
        yield _record(Path(folder), row, where)


def rows(path: Path, kind: type[Model], hint: str) -> Iterator[tuple[str, Model]]:
    """Yield the lines of a file of JSON objects, each checked, with where it stands.

    Raises:
        RecordError: the file cannot be read (then with the hint), or a line is broken.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                where = f"{path}, line {number}"
                if line.strip():
                    yield where, _checked(line, kind, where)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise RecordError(f"cannot read: {why}", where=str(path), hint=hint) from None


def _checked(line: str, kind: type[Model], where: str) -> Model:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise RecordError(_why(error), where=where, hint="mend the line or take it out") from None


def _drop_cut_off_line(path: Path) -> None:
    """Take away a last line that an interrupted run could not finish, so that the next one does not grow onto it."""
    text = path.read_bytes() if path.exists() else b""
    if text and not text.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(text.rfind(b"\n") + 1)


def _line(folder: Path, record: Record, number: int) -> str:
    mask, (width, height) = record.mask, record.image.size
    if mask is not None and mask.size != record.image.size:
        raise RecordError(
            f"the mask is {mask.size[0]} x {mask.size[1]}, the picture {width} x {height}",
            where=f"record {number}",
            hint="make the mask as large as the picture",
        )
    try:
        row = _Row(
            image=_kept(folder, record.image),
            instruction=record.instruction,
            language=record.language,
            tools=list(record.tools),
            workflow=record.workflow.dump() if record.workflow else None,
            target=_kept(folder, record.target) if record.target else None,
            mask=_kept(folder, record.mask) if record.mask else None,
            provenance=dict(record.provenance),
        )
        return json.dumps(row.model_dump(exclude_defaults=True), ensure_ascii=False, allow_nan=False)
    except (ValidationError, TypeError, ValueError) as error:
        raise RecordError(
            _why(error), where=f"record {number}", hint="mend the record; those before it are kept"
        ) from None


def _kept(folder: Path, value: Image | Mask) -> str:
    name = f"{value.digest}.png"
    path = folder / PICTURES / name
    if not path.exists():
        value.save(path)
    return name


def _record(folder: Path, row: _Row, where: str) -> Record:
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


def _why(error: Exception) -> str:
    """A validator's findings in one sentence."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = [
        f"{'.'.join(map(str, e['loc'])) or 'the line'}: {re.sub(r'^Value error, ', '', e['msg'])}"
        for e in error.errors()
    ]
    return "; ".join(found)
