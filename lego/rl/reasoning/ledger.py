"""Ledgers: data sets of things that are made one by one, in a folder that a stopped run goes on with.

Each is written after its pictures, as one whole line; what was tried and left out stands in ``dropped.jsonl`` with the
reason, so that it is not tried again. A line that a killed run could not finish is taken away when it is opened again.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lego.core.errors import ImageError, RecordError
from lego.core.ledger import ROOM, alone, drop_cut_off_line, rows
from lego.core.values import Image, Mask
from lego.rl import records
from lego.rl.folders import PICTURES, keep
from lego.rl.records import Record

DROPPED = "dropped.jsonl"
T = TypeVar("T")


class Dropped(BaseModel):
    """A line that tells of a task that gave nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: str = Field(min_length=1)
    key: str = Field(min_length=1)
    reason: str = Field(min_length=1)


class Ledger(ABC, Generic[T]):
    """A data set that is being written, by several threads if need be, and by one process at a time.

    Args:
        folder: of the data set, which is made if there is none.

    Attributes:
        counts: of what is there, by kind, source, and label.
        dropped: of what was left out, by kind and reason.

    Raises:
        RecordError: a line is broken, the folder cannot be written, or another process is writing it.
    """

    file: ClassVar[str]
    called: ClassVar[str]  # what it holds, for messages
    hint: ClassVar[str]

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.Lock()
        self._size = -1  # of its files, when they were last read
        with self.alone():
            pass

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process write it meanwhile; what others have written is known then.

        Raises:
            RecordError: another process is writing it.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(alone(self.folder / self.file))
                (self.folder / PICTURES).mkdir(exist_ok=True)
                for name in (self.file, DROPPED):
                    (self.folder / name).touch()
                    drop_cut_off_line(self.folder / name)
            except OSError as error:
                raise self._cannot_write(error) from None
            if self._size != self._sizes():
                self._read()
            try:
                yield
            finally:
                self._size = self._sizes()

    def done(self, kind: str, key: str, lacking: Collection[str] = ()) -> bool:
        """Is something of a kind and key there, or was it left out? What was left out only because there was enough of
        its label counts no more where this is lacking.
        """
        reason = self._lost.get((kind, key))
        return (kind, key) in self._made or (reason is not None and reason not in map(enough, lacking))

    def add(self, made: T) -> bool:
        """Write what was made; False if there is one of its kind and key already.

        Raises:
            RecordError: it is none, or cannot be written; all that are there can still be read.
        """
        line = self.check(made)
        told = self.told(made)
        if told[:2] in self._made:
            return False
        try:
            for image in self.pictures(made):
                keep(self.folder, image)
            self._append(self.file, line)
        except (OSError, ImageError) as error:
            raise self._cannot_write(error) from None
        with self._lock:
            self._learn(*told)
        return True

    def drop(self, kind: str, key: str, reason: str) -> None:
        """Tell that a task gave nothing, so that it is not tried again.

        Raises:
            RecordError: it cannot be written.
        """
        try:
            self._append(DROPPED, {"kind": kind, "key": key, "reason": reason})
        except OSError as error:
            raise self._cannot_write(error) from None
        with self._lock:
            self._lose(kind, key, reason)

    def label(self, made: T) -> str:
        """Return what shares of it are wanted by."""
        return self.told(made)[3]

    @abstractmethod
    def check(self, made: T) -> dict[str, Any]:
        """Return it as a line.

        Raises:
            RecordError: it is none.
        """

    @abstractmethod
    def told(self, made: T) -> tuple[str, str, str, str]:
        """Return its kind, key, source and label."""

    @abstractmethod
    def pictures(self, made: T) -> Iterable[Image | Mask]:
        """Return the pictures that go with it."""

    @abstractmethod
    def _there(self) -> Iterable[tuple[str, str, str, str]]:
        """Kind, key, source and label of each line of the file."""

    def _sizes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in (self.file, DROPPED))

    def _read(self) -> None:
        self._made: set[tuple[str, str]] = set()
        self._lost: dict[tuple[str, str], str] = {}
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.dropped: Counter[tuple[str, str]] = Counter()
        for _, lost in rows(self.folder / DROPPED, Dropped, self.hint):
            self._lose(lost.kind, lost.key, lost.reason)
        for told in self._there():
            self._learn(*told)

    def _learn(self, kind: str, key: str, source: str, label: str) -> None:
        self._made.add((kind, key))
        self.counts[kind, source, label] += 1
        if old := self._lost.pop((kind, key), ""):
            self.dropped[kind, old] -= 1

    def _lose(self, kind: str, key: str, reason: str) -> None:
        if old := self._lost.get((kind, key)):
            self.dropped[kind, old] -= 1
        self._lost[kind, key] = reason
        self.dropped[kind, reason] += 1

    def _append(self, name: str, data: dict[str, Any]) -> None:
        text = json.dumps(data, ensure_ascii=False) + "\n"
        with self._lock, (self.folder / name).open("a", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                drop_cut_off_line(self.folder / name)
                raise

    def _cannot_write(self, error: OSError | ImageError) -> RecordError:
        why = error.message if isinstance(error, ImageError) else f"cannot write: {error.strerror or error}"
        message = f"{why}; all {self.called} that are there can be read"
        return RecordError(message, where=str(self.folder), hint=ROOM, code="cannot_write")


def enough(label: str) -> str:
    """Return the reason for which is left out what there is enough of."""
    return f"enough of '{label}'"


class Records(Ledger[Record]):
    """A data set of records that need an answer first; their provenance holds source, key and category."""

    file, called = records.FILE, "records"
    hint = "give the folder of a data set; `lego synth intelligent` writes one"
    kind = "intelligent"

    def check(self, made: Record) -> dict[str, Any]:
        return records.row_of(made, sum(self.counts.values()) + 1).model_dump(exclude_defaults=True)

    def told(self, made: Record) -> tuple[str, str, str, str]:
        return self._named(made.provenance)

    def pictures(self, made: Record) -> Iterable[Image | Mask]:
        return [value for value in (made.image, made.target, made.mask) if value is not None]

    def _there(self) -> Iterable[tuple[str, str, str, str]]:
        for _, row in rows(self.folder / self.file, records.Row, self.hint):
            yield self._named(row.provenance)

    def _named(self, provenance: Any) -> tuple[str, str, str, str]:
        return (self.kind, *(str(provenance.get(name, "")) for name in ("key", "source", "category")))  # type: ignore[return-value]  # three more
