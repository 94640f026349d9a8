"""A ledger: a file of JSON lines that threads add to, and that stays whole whenever the process is killed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Generic, TypeVar

from pydantic import BaseModel

from lego.core.errors import RecordError
from lego.rl.folders import ROOM, alone, drop_cut_off_line, rows

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
            self.file.write(data)
            self.file.flush()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            raise RecordError(f"cannot write: {why}", where=str(self.path), hint=ROOM, code="cannot_write") from None


def read(path: Path, kind: type[Model]) -> list[Model]:
    """Return the lines of a ledger that may not exist yet, the oldest first; a line that is cut off is left out.

    Raises:
        RecordError: a line is broken.
    """
    if not path.exists():
        return []
    whole = path.read_bytes().endswith(b"\n")
    found: list[Model] = []
    lines = rows(path, kind, "is it the file that `lego bench` wrote?")
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


def _count(path: Path) -> int:
    return path.read_bytes().count(b"\n") + 1
