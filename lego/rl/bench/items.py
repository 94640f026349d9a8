"""Items: the tasks of public benchmarks, read from a local copy; pictures are opened when they are asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lego.core.errors import ImageError, RecordError
from lego.core.values import Image, Mask

LONGEST = 180  # characters of a name that becomes a file's, so that a suffix and a temporary name fit in 255 bytes
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')  # in names of files, on one system or another
COPY = "is the copy whole, and is this its root? docs/benchmarks.md shows the layout"
LANGS = {"en": "en", "cn": "cn", "zh": "cn", "all": "all"}
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Picture:
    """A picture of a data set; nothing is read before it is opened.

    Attributes:
        where: the file, or the row and column, for errors.
        read: gives its path, its bytes, or the picture itself.
    """

    where: str
    read: Callable[[], Path | bytes | Image]

    def open(self) -> Image:
        """Read the picture.

        Raises:
            RecordError: there is none, or it is damaged.
        """
        try:
            return Image.open(self.read())
        except ImageError as error:
            raise RecordError(error.message, where=self.where, hint=COPY, code="bad_picture") from None

    def mask(self) -> Mask:
        """Read it as a mask: white is where the edit belongs.

        Raises:
            RecordError: as `open`.
        """
        pixels = self.open().pixels.max(-1)
        return Mask(pixels > (127 if pixels.max() > 1 else 0))  # some are stored as 0 and 1


@dataclass(frozen=True)
class Item:
    """One task.

    Attributes:
        id: unique in its suite, and the path of its result without the suffix.
        images: the picture to edit, and further ones that the words speak of.
        group: task or category as the suite names it.
        lang: of the instruction, "en" or "cn".
        gt: a right answer, where there is one.
        mask: where the right answer differs from the source.
        explain: what a right answer has to show, for the judge only.
        meta: flags of the suite.
    """

    id: str
    images: tuple[Picture, ...]
    instruction: str
    group: str
    lang: str = "en"
    gt: Picture | None = None
    mask: Picture | None = None
    explain: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


def chosen(items: Sequence[Item], lang: str = "all", group: str = "", limit: int = 0) -> list[Item]:
    """Return the items of a language ("en", "cn" or its other name "zh", "all") and group; of each group the first few.

    Args:
        limit: of items of each group and language; 0 is all.

    Raises:
        RecordError: there is no such language or group, or nothing is left.
    """
    if lang not in LANGS:
        raise RecordError(f"there is no language '{lang}'", where="--lang", hint="en, cn or all", code="unknown_lang")
    groups = dict.fromkeys(item.group for item in items)
    if group and group not in groups:
        hint = f"it has {', '.join(groups)}"
        raise RecordError(f"there is no group '{group}'", where="--group", hint=hint, code="unknown_group")
    counts: dict[tuple[str, str], int] = {}
    found = []
    for item in items:
        if LANGS[lang] not in ("all", item.lang) or group not in ("", item.group):
            continue
        key = (item.group, item.lang)
        counts[key] = counts.get(key, 0) + 1
        if not limit or counts[key] <= limit:
            found.append(item)
    if not found:
        raise RecordError("no item is in this language", where="--lang", hint="choose another", code="no_items")
    return found


def within(root: Path, name: str, where: str) -> Path:
    """Return the path of a file that a data set names; it may not lead out of the root.

    Links in the root are followed: caches of downloads are made of them, and no data file can hold one.

    Raises:
        RecordError: it is absolute, climbs, or is empty.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or re.search(r"[\\:\x00]", name):
        hint = "paths in a data file are relative and stay below its root"
        raise RecordError(f"'{name[:80]}' leads out of the data set", where=where, hint=hint, code="path_escape")
    return root.joinpath(*path.parts)


def picture(root: Path, name: str, where: str) -> Picture:
    """Return a picture that a data set names; see `within`."""
    path = within(root, name, where)
    return Picture(str(path), lambda: path)


def plain(name: str, where: str) -> str:
    """Return a name that becomes a file's, if it is fit for that.

    Raises:
        RecordError: it is empty, hidden, too long, or holds characters that file systems do not take.
    """
    if not name or name.startswith(".") or len(name.encode()) > LONGEST or FORBIDDEN.search(name):
        hint = "keys and groups become names of files: no slashes, no leading dot"
        raise RecordError(f"'{name[:80]}' cannot be a file's name", where=where, hint=hint, code="bad_name")
    return name


def unique(items: Sequence[Item], where: Path) -> list[Item]:
    """Return the items, of which no two may have one id.

    Raises:
        RecordError: two have, or there is none.
    """
    if not items:
        raise RecordError("there are no items in it", where=str(where), hint=COPY, code="no_items")
    seen: set[str] = set()
    for item in items:
        if item.id.casefold() in seen:  # some file systems take no notice of capitals
            hint = "two results would overwrite each other; mend the copy"
            raise RecordError(f"the item {item.id} occurs twice", where=str(where), hint=hint, code="twice")
        seen.add(item.id.casefold())
    return list(items)


def content(path: Path) -> Any:
    """Read a file of JSON.

    Raises:
        RecordError: it cannot be read, or is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"cannot read: {error.strerror}", where=str(path), hint=COPY, code="cannot_read") from None
    except ValueError as error:
        raise RecordError(f"this is no JSON: {error}", where=str(path), hint=COPY) from None


def entries(path: Path, kind: type[Model]) -> Iterator[tuple[str, str, Model]]:
    """Yield key, place and checked value of a JSON file that holds one object of objects.

    Raises:
        RecordError: the file cannot be read, or has another shape.
    """
    data = content(path)
    if not isinstance(data, dict):
        raise RecordError("one JSON object, keyed by item, was expected", where=str(path), hint=COPY)
    for key, value in data.items():
        where = f"{path}, item {key}"
        yield key, where, checked(value, kind, where)


def checked(value: Any, kind: type[Model], where: str) -> Model:
    """Return a row of a data set, checked.

    Raises:
        RecordError: it has another shape; the message names the fields.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'the row'}: {e['msg']}" for e in error.errors()[:4]]
        raise RecordError("; ".join(faults), where=where, hint=COPY) from None
