"""Items: what is asked for, one picture each, and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from lego.core.settings import Settings

HOME = ".lego"  # the folder in OUT that holds ledger and thumbnails
THUMBS = "thumbs"
SEEDS = 2**32
Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Item:
    """One picture and what is to be done with it.

    Attributes:
        output: where the result goes, below the output folder, with "/"; no two items have the same.
        image: the picture.
        words: the instruction; "" if there is a workflow.
        workflow: JSON text; "" if there are words.
        mask, box, references, seed, rounds: as in `Editor.edit`; no seed is one made of the content.
    """

    output: str
    image: Path
    words: str = ""
    workflow: str = ""
    mask: Path | None = None
    box: Box | None = None
    references: tuple[Path, ...] = ()
    seed: int | None = None
    rounds: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the result depends on."""
        return (self.image, *([self.mask] if self.mask else []), *self.references)

    @property
    def facts(self) -> list[Any]:
        """What is asked for, without files, as plain data."""
        return [self.words, self.workflow, self.box, bool(self.mask), self.rounds]


@dataclass(frozen=True)
class Way:
    """How items are done; it pickles, so that it can be sent to whoever does them.

    Attributes:
        out: the folder of results.
        tools: files and folders with further tools.
        quality: of JPEG and WebP, 0 to 100; None for what `lego edit` takes.
        shares: among how many processes the budgets of memory are divided.
        sheet: make thumbnails.
    """

    out: Path
    settings: Settings
    tools: tuple[Path, ...] = ()
    quality: int | None = None
    shares: int = 1
    sheet: bool = True

    def asked(self, item: Item) -> str:
        """Return a digest of everything but the item's files that decides the result."""
        return digest_of([item.output, *item.facts, item.seed, *self._facts])

    @cached_property
    def _facts(self) -> list[Any]:
        settings = self.settings
        chosen = [getattr(settings, name) for name in ("builder", "rounds", "strategy", "think", "seed", "metadata")]
        files = [*self.tools, *([settings.concepts] if settings.concepts else []), Path(settings.builder)]
        return [*chosen, settings.critic, self.quality, [_contents(path) for path in files if path.exists()]]


class Seen(BaseModel):
    """A file as it was: size in bytes (-1 if there was none), time of change in ns, digest of its bytes."""

    model_config = ConfigDict(frozen=True)

    path: str
    size: int
    changed: int = 0
    digest: str = ""

    @classmethod
    def at(cls, path: Path) -> Seen:
        """Look at a file and read it."""
        try:
            facts = path.stat()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError:
            return cls(path=str(path), size=-1)
        return cls(path=str(path), size=facts.st_size, changed=facts.st_mtime_ns, digest=digest)

    def holds(self, path: Path) -> bool:
        """Is a file what this one was? It is read only if its size is the same and its time of change is not."""
        try:
            facts = path.stat()
        except OSError:
            return self.size == -1
        if facts.st_size != self.size:
            return False
        return facts.st_mtime_ns == self.changed or Seen.at(path).digest == self.digest


class Line(BaseModel):
    """What became of an item: a line of the ledger.

    Attributes:
        asked: digest of what was asked for, see `Way.asked`.
        inputs: the files it was made from, as they were.
        made: the files that were written.
        thumbs: names of the small pictures before and after; "" where there is none.
        lost: how often whoever did it died.
    """

    model_config = ConfigDict(extra="forbid")

    output: str
    asked: str
    status: Literal["done", "failed"]
    image: str
    words: str = ""
    inputs: list[Seen] = []
    made: list[Seen] = []
    thumbs: tuple[str, str] = ("", "")
    seed: int = 0
    seconds: float = 0.0
    steps: list[str] = []
    notes: list[str] = []
    texts: list[str] = []
    verdict: str = ""
    code: str = ""
    error: str = ""
    hint: str = ""
    lost: int = 0

    def finished(self, asked: str, item: Item, out: Path, again: bool) -> bool:
        """Is there nothing left to do for an item, as long as it is asked for in the same way?"""
        if asked != self.asked or (again and self.status == "failed"):
            return False
        if len(self.inputs) != len(item.files) or any(_size(out / seen.path) != seen.size for seen in self.made):
            return False
        return all(seen.holds(path) for seen, path in zip(self.inputs, item.files, strict=True))


def digest_of(facts: Any) -> str:
    """Return a digest of plain data."""
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def seed_of(base: int, item: Item, inputs: Iterable[Seen]) -> int:
    """Return the seed of an item: its own, or one made of its content, whatever else is done and in which order."""
    if item.seed is not None:
        return item.seed
    return int(digest_of([base, item.facts, [seen.digest for seen in inputs]]), 16) % SEEDS


def thumb_path(out: Path, name: str) -> Path:
    """Return where a thumbnail is."""
    return out / HOME / THUMBS / name[:2] / name


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _contents(path: Path) -> list[Any]:
    """What tells whether a file, or a folder with large files, has changed."""
    if path.is_file():
        return [path.name, Seen.at(path).digest]
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return [[str(file.relative_to(path)), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
