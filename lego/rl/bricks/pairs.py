"""Pairs of pictures, before and after an edit, with the words that ask for it: what a brick learns from.

A data set of `lego.rl.records` whose records have targets, or a plain folder with ``pairs.jsonl``, a pair a line:
``{"before": "a.png", "after": "b.png", "words": "make it winter", "mask": "m.png"}``, the mask or not, all paths within
the folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lego.core.errors import ImageError, RecordError
from lego.core.ledger import rows
from lego.core.values import Image, Mask
from lego.rl import records

FILE = "pairs.jsonl"


@dataclass(frozen=True)
class Pair:
    """One pair.

    Attributes:
        mask: where the edit is; None for all of the picture.
        where: it stands, for messages.
    """

    before: Image
    after: Image
    words: str
    mask: Mask | None = None
    where: str = ""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    before: str = Field(min_length=1)
    after: str = Field(min_length=1)
    words: str = Field(min_length=1, max_length=2000)
    mask: str | None = None


def pairs(path: str | Path) -> Iterator[Pair]:
    """Yield the pairs of a data set in order; pictures are opened as they are reached.

    Raises:
        RecordError: there is none, or a pair is broken: a picture is missing, cut off, or of another size.
    """
    path = Path(path)
    found = False
    for pair in _plain(path) if (path / FILE).exists() else _recorded(path):
        found = True
        yield _checked(pair)
    if not found:
        hint = f"records with a target, or lines in {FILE}"
        raise RecordError("there are no pairs in it", where=str(path), hint=hint, code="no_pairs")


def _plain(folder: Path) -> Iterator[Pair]:
    for where, row in rows(folder / FILE, _Row, "give the folder of the pairs"):
        files = [_inside(folder, name, where) for name in (row.before, row.after)]
        try:
            mask = Mask.open(_inside(folder, row.mask, where)) if row.mask else None
            yield Pair(Image.open(files[0]), Image.open(files[1]), row.words, mask, where)
        except ImageError as error:
            hint = error.hint or "mend the line or take it out"
            raise RecordError(str(error), where=where, hint=hint, code="bad_pair") from error


def _recorded(path: Path) -> Iterator[Pair]:
    for number, record in enumerate(records.read(path), 1):
        if record.target is not None:
            yield Pair(record.image, record.target, record.instruction, record.mask, f"{path}, record {number}")


def _inside(folder: Path, name: str, where: str) -> Path:
    """The path of a file, which no line may lead out of its folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise RecordError(f"'{name}' leads out of the folder", where=where, hint="keep pictures beside the lines")
    return path


def _checked(pair: Pair) -> Pair:
    width, height = pair.before.size
    sizes = {"after": pair.after.size, **({"mask": pair.mask.size} if pair.mask else {})}
    for name, size in sizes.items():
        if size != pair.before.size:
            message = f"'{name}' is {size[0]} x {size[1]}, the picture before is {width} x {height}"
            raise RecordError(message, where=pair.where, hint="both must show the same place", code="bad_pair")
    return pair
