"""Folders of data sets: a file of JSON objects, one a line, and beside it pictures that are named by their content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from lego.core.errors import LegoError, RecordError
from lego.core.values import Image, Mask

PICTURES = "pictures"
NAME = r"[0-9a-f]{32}\.png"  # a picture's digest; nothing else is opened, so that no row can lead out of the folder
ROOM = "is there room on the disk, and may you write there?"
Model = TypeVar("Model", bound=BaseModel)


def rows(path: Path, kind: type[Model], hint: str) -> Iterator[tuple[str, Model]]:
    """Yield the lines of a file of JSON objects, each checked, with where it stands.

    Raises:
        RecordError: the file cannot be read (then with the hint), or a line is broken.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:  # Windows begins files with a mark
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
        raise RecordError(complaint(error), where=where, hint="mend the line or take it out") from None


def drop_cut_off_line(path: Path) -> None:
    """Take away a last line that an interrupted run could not finish, so that the next one does not grow onto it."""
    text = path.read_bytes() if path.exists() else b""
    if text and not text.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(text.rfind(b"\n") + 1)


@contextmanager
def alone(path: Path, kind: type[LegoError] = RecordError) -> Iterator[IO[bytes]]:
    """Open a file to add to it, which no other process does meanwhile; its folder is made.

    Raises:
        LegoError: of the kind; another process is adding to it.
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if not _locked(file):
            hint = "wait for it, or choose another folder"
            raise kind("another process is at work here", where=str(path), hint=hint, code="busy")
        yield file


def _locked(file: IO[Any]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows, where two processes have to keep apart by themselves
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this disk knows no locks
        return True
    return True


def keep(folder: Path, value: Image | Mask) -> str:
    """Write a picture into a data set unless it is there; return its name.

    Raises:
        ImageError: it cannot be written.
    """
    path = folder / PICTURES / name_of(value)
    if not path.exists():
        value.save(path)
    return path.name


def name_of(value: Image | Mask) -> str:
    """Return a picture's name in a data set."""
    return f"{value.digest}.png"


def complaint(error: Exception) -> str:
    """Return a validator's findings in one sentence."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = [
        f"{'.'.join(map(str, e['loc'])) or 'the line'}: {re.sub(r'^Value error, ', '', e['msg'])}"
        for e in error.errors()
    ]
    return "; ".join(found)
