"""A ledger: a file of JSON lines that threads add to, and that stays whole whenever the process is killed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from lego.core.errors import LegoError, RecordError, writing_code

ROOM = "is there room on the disk, and may you write there?"
Model = TypeVar("Model", bound=BaseModel)


class Ledger(Generic[Model]):
    """Adds lines to a file, one process at a time.

    On entering, a last line that a killed process could not finish is taken away.

    Args:
        path: of the file; its folder is made.
        kind: of the lines.

    Raises:
        RecordError: the file cannot be written, or another process is adding to it.
    """

    def __init__(self, path: Path, kind: type[Model]) -> None:
        self.path, self.kind = path, kind
        self.lock = threading.Lock()
        self.file: IO[bytes] | None = None

    def __enter__(self) -> Ledger[Model]:
        with contextlib.ExitStack() as stack, self._writing():
            self.file = stack.enter_context(alone(self.path))
            drop_cut_off_line(self.path)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stack.close()

    def lines(self) -> list[Model]:
        """Return what is in the file, the oldest first; nothing if there is none.

        Raises:
            RecordError: a line is broken.
        """
        return read(self.path, self.kind)

    def add(self, line: Model) -> None:
        """Write a line, whole and at once."""
        data = line.model_dump_json(exclude_defaults=True, by_alias=True).encode() + b"\n"
        with self._writing(), self.lock:
            assert self.file
            if self.file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            code = writing_code(error)
            raise RecordError(f"cannot write: {why}", where=str(self.path), hint=ROOM, code=code) from None


def read(path: Path, kind: type[Model]) -> list[Model]:
    """Return the lines of a ledger that may not exist yet, the oldest first; a line that is cut off is left out.

    Raises:
        RecordError: a line is broken.
    """
    if not path.exists():
        return []
    whole = path.read_bytes().endswith(b"\n")
    found: list[Model] = []
    lines = rows(path, kind, "is it the file that lego wrote?")
    while True:
        try:
            _, line = next(lines)
        except StopIteration:
            return found
        except RecordError as error:
            if whole or not error.where.endswith(f"line {_count(path)}"):
                raise
            return found
        found.append(line)


@contextlib.contextmanager
def alone(path: Path, kind: type[LegoError] = RecordError) -> Iterator[IO[bytes]]:
    """Open a file to add to it, which no other process does meanwhile; its folder is made.

    Raises:
        LegoError: of the kind; another process is adding to it.
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:  # what cannot be written is not tried again on closing
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


def complaint(error: Exception) -> str:
    """Return a validator's findings in one sentence."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = [
        f"{'.'.join(map(str, e['loc'])) or 'the line'}: {re.sub(r'^Value error, ', '', e['msg'])}"
        for e in error.errors()
    ]
    return "; ".join(found)


def _count(path: Path) -> int:
    return path.read_bytes().count(b"\n") + 1
