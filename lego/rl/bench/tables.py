"""Tables: Parquet files and `save_to_disk` folders, whose small columns are read at once and pictures one by one."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lego.core.errors import RecordError
from lego.rl.bench.items import COPY, Picture, content, within

SPLIT = "train"  # the only one that these data sets have; asked for by name, never by order
HELD = 6  # columns of row groups that are kept, so that threads at neighbouring rows do not read them again


class Part(Protocol):
    """A file of a table."""

    path: Path
    names: Sequence[str]
    count: int

    def column(self, name: str) -> list[Any]:
        """All values of a column."""
        ...

    def cell(self, row: int, name: str) -> Any:
        """One value."""
        ...


class _Parquet:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        from pyarrow.parquet import ParquetFile

        self.path = path
        self.file = ParquetFile(path)
        self.names: Sequence[str] = list(self.file.schema_arrow.names)
        meta = self.file.metadata
        self.count = meta.num_rows
        self.starts = [0]
        for group in range(meta.num_row_groups):
            self.starts.append(self.starts[-1] + meta.row_group(group).num_rows)
        self.held: dict[tuple[int, str], Any] = {}
        self.lock = threading.Lock()

    def column(self, name: str) -> list[Any]:
        values: list[Any] = self.file.read([name]).column(name).to_pylist()
        return values

    def cell(self, row: int, name: str) -> Any:
        group = bisect.bisect_right(self.starts, row) - 1
        with self.lock:
            if (group, name) not in self.held:
                while len(self.held) >= HELD:
                    self.held.pop(next(iter(self.held)))
                self.held[group, name] = self.file.read_row_group(group, [name]).column(name)
            return self.held[group, name][row - self.starts[group]].as_py()


class _Arrow:
    """A file of a `save_to_disk` folder, mapped into memory."""

    def __init__(self, path: Path) -> None:
        import pyarrow as arrow

        self.path = path
        self.table = arrow.ipc.open_stream(arrow.memory_map(str(path))).read_all()
        self.names: Sequence[str] = list(self.table.column_names)
        self.count = self.table.num_rows

    def column(self, name: str) -> list[Any]:
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    def cell(self, row: int, name: str) -> Any:
        return self.table.column(name)[row].as_py()


class Table:
    """The rows of a data set on this machine.

    Args:
        root: a Parquet file, a folder with such files in it, or a folder that `datasets.save_to_disk` wrote.

    Raises:
        RecordError: there is no table there, or a file is damaged.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            import pyarrow as arrow
        except ImportError:
            hint = "pip install 'lego[rl]'"
            raise RecordError("tables need pyarrow", where=str(root), hint=hint, code="not_installed") from None
        self.parts: list[Part] = []
        for path in _files(root):
            try:
                self.parts.append(_Parquet(path) if path.suffix == ".parquet" else _Arrow(path))
            except (OSError, arrow.ArrowException) as error:
                why = getattr(error, "strerror", None) or str(error).splitlines()[0]
                raise RecordError(f"cannot read the table: {why}", where=str(path), hint=COPY) from None

    def rows(self, small: Sequence[str], pictures: Sequence[str]) -> list[Row]:
        """Return all rows with their small columns.

        Args:
            small: columns that are read now.
            pictures: columns that must be there, and are read later.

        Raises:
            RecordError: a column is missing.
        """
        found = []
        for part in self.parts:
            missing = [name for name in (*small, *pictures) if name not in part.names]
            if missing:
                message = f"there is no column {' or '.join(missing)}; it has {', '.join(part.names)}"
                raise RecordError(message, where=str(part.path), hint=COPY, code="no_column")
            columns = [part.column(name) for name in small]
            for number in range(part.count):
                values = {name: column[number] for name, column in zip(small, columns, strict=True)}
                found.append(Row(self.root, part, number, values))
        return found


class Row:
    """A row of a table: its small values, and its pictures when they are asked for."""

    def __init__(self, root: Path, part: Part, number: int, values: Mapping[str, Any]) -> None:
        self.root, self.part, self.number, self.values = root, part, number, values

    @property
    def where(self) -> str:
        """File and row, counted from 1."""
        return f"{self.part.path}, row {self.number + 1}"

    def picture(self, column: str, index: int | None = None) -> Picture:
        """Return a picture in the row; of a column of lists the one at an index."""
        where = f"{self.where}, {column}"
        return Picture(where, lambda: self._bytes(column, index, where))

    def _bytes(self, column: str, index: int | None, where: str) -> bytes | Path:
        value = self.part.cell(self.number, column)
        if index is not None:
            value = value[index] if isinstance(value, list) and -len(value) <= index < len(value) else None
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return within(self.root if self.root.is_dir() else self.root.parent, value, where)
        if not isinstance(value, bytes):
            raise RecordError("there is no picture", where=where, hint=COPY, code="no_picture")
        return value


def _files(root: Path) -> list[Path]:
    if root.is_file() and root.suffix == ".parquet":
        return [root]
    for folder in (root, root / SPLIT):
        state = folder / "state.json"
        if state.is_file():
            listed = content(state)
            files = listed.get("_data_files") if isinstance(listed, dict) else None
            if not isinstance(files, list) or not all(isinstance(f, dict) and "filename" in f for f in files):
                raise RecordError("it does not list the files of a data set", where=str(state), hint=COPY)
            return [within(folder, str(f["filename"]), str(state)) for f in files]
    found = sorted(path for path in root.rglob("*.parquet") if path.is_file()) if root.is_dir() else []
    if not found:
        hint = "give the folder with its .parquet files, or one that datasets.save_to_disk wrote"
        raise RecordError("there is no table here", where=str(root), hint=hint, code="no_table")
    named = [path for path in found if path.name.startswith(SPLIT)]
    return named or found
