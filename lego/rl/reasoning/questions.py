"""Questions: rows of a file of visual question answering, read one after the other."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lego.core.errors import RecordError
from lego.core.values import Image
from lego.rl.records import PARQUET

BATCH = 32  # rows of a Parquet file that are held at once
LONGEST = 80  # characters of a picture's path that stay in the names of files
ASKED, ANSWERED = ("human", "user"), ("gpt", "assistant")  # who speaks in conversations
PLACE = re.compile(r"<image(?:_placeholder)?>\s*")  # where the picture stands in what is asked
HINT = "a file of rows is .jsonl or .parquet, with an image, a question and an answer in each"


@dataclass(frozen=True)
class Columns:
    """How the columns are called."""

    image: str = "image"
    question: str = "question"
    answer: str = "answer"


@dataclass(frozen=True)
class Question:
    """A picture, a question about it, and the answer.

    Attributes:
        key: names it: a digest of picture, question and answer.
        stem: what files made of it are named by.
        picture: a file, or its bytes.
        where: the file and the row that it stands in.
    """

    key: str
    question: str
    answer: str
    stem: str
    picture: Path | bytes
    where: str

    def image(self) -> Image:
        """Open the picture.

        Raises:
            ImageError: it cannot be read.
        """
        return Image.open(self.picture)


def read(
    path: str | Path, columns: Columns | None = None, folder: str | Path | None = None, lost: Counter[str] | None = None
) -> Iterator[Question]:
    """Yield the questions of a file in order, each once; pictures are not opened.

    An image is a path within the folder, a file's bytes, or both as Hugging Face's `datasets` keep them; or a list of
    just one of these. An answer that is no text, but a list, counts by its first entry. Question and answer may be one
    column of conversations, as LLaVA has them (``from`` and ``value``, or ``role`` and ``content``): of these the first
    question and its answer.

    Args:
        folder: of the pictures; by default that of the file.
        lost: where rows that are passed over are counted, by the reason.

    Raises:
        RecordError: the file cannot be read, or its first row lacks a column.
    """
    path, columns = Path(path), columns or Columns()
    home, lost = Path(folder or path.parent).resolve(), Counter() if lost is None else lost
    seen: set[str] = set()
    for number, row in enumerate(_parquet(path, columns) if path.suffix == PARQUET else _lines(path), 1):
        where = f"{path}, row {number}"
        missing = [name for name in vars(columns).values() if name not in row]
        if missing and number == 1:
            there = ", ".join(map(str, row)) or "none"
            raise RecordError(f"there is no column '{missing[0]}'", where=where, hint=f"the columns are {there}")
        made = _question(row, columns, home, where)
        if isinstance(made, str):
            lost[made] += 1
        elif made.key in seen:
            lost["a row stands there twice"] += 1
        else:
            seen.add(made.key)
            yield made


def _question(row: Mapping[str, Any], columns: Columns, home: Path, where: str) -> Question | str:
    """A row as a question, or why it is none."""
    image, asked, said = (row.get(name) for name in (columns.image, columns.question, columns.answer))
    asked, said = _turn(asked, ASKED), _turn(said, ANSWERED)
    if isinstance(image, list):
        if len(image) != 1:
            return "a row has not just one picture"
        image = image[0]
    said = said[0] if isinstance(said, list) and said else said
    said = str(said) if isinstance(said, int | float) else said
    if not isinstance(asked, str) or not asked.strip() or not isinstance(said, str) or not said.strip():
        return "a row has no question or no answer"
    name, data = "", image
    if isinstance(image, dict):
        name, data = str(image.get("path") or ""), image.get("bytes") or image.get("path")
    if isinstance(data, str):
        name, found = data, (home / data).resolve()
        if not found.is_relative_to(home):
            return "a picture is not in the folder"
        data = found
    if not isinstance(data, bytes | Path):
        return "a row has not just one picture"
    mark = hashlib.blake2b(data, digest_size=8).hexdigest() if isinstance(data, bytes) else name
    key = hashlib.blake2b(f"{mark}\n{asked}\n{said}".encode(), digest_size=12).hexdigest()
    return Question(key, asked.strip(), said.strip(), _stem(name) if name else mark, data, where)


def _turn(value: Any, who: tuple[str, ...]) -> Any:
    """What somebody says first in a conversation; anything else as it is."""
    if not isinstance(value, list) or not value or not all(isinstance(turn, dict) for turn in value):
        return value
    for turn in value:
        said = turn.get("value", turn.get("content"))
        if turn.get("from", turn.get("role")) in who and isinstance(said, str):
            return PLACE.sub("", said)
    return None


def _stem(name: str) -> str:
    """What files made of a picture are named by: its path without what a name of a file cannot have."""
    text = re.sub(r'[\\/:*?"<>|\s]+', "_", re.sub(r"\.\w+$", "", name)).strip("._") or "picture"
    if len(text.encode()) <= LONGEST:
        return text
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{text.encode()[: LONGEST - 9].decode(errors='ignore')}_{digest}"


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):  # noqa: B007  # it tells where an error was
                row = json.loads(line) if line.strip() else {}
                if not isinstance(row, dict):
                    raise ValueError
                if row:
                    yield row
    except OSError as error:
        raise RecordError(f"cannot read: {error.strerror or error}", where=str(path), hint=HINT) from None
    except ValueError:  # of JSON, and of UTF-8
        where = f"{path}, line {number}"
        raise RecordError("cannot read: it is not JSON in UTF-8, one object a line", where=where, hint=HINT) from None


def _parquet(path: Path, columns: Columns) -> Iterator[Mapping[str, Any]]:
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

    try:
        with path.open("rb") as file:
            table = ParquetFile(file)
            wanted = [name for name in vars(columns).values() if name in table.schema_arrow.names]
            for batch in table.iter_batches(BATCH, columns=wanted):
                yield from batch.to_pylist()
    except (OSError, arrow.ArrowException) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RecordError(f"cannot read: {why}", where=str(path), hint=HINT) from None
