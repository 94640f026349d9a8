"""Pools: pictures with instructions, from which lessons are made by asking a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lego.builder.thinking import JOINT
from lego.builder.words import words_of
from lego.core.errors import RecordError
from lego.core.ledger import rows
from lego.core.values import Image
from lego.rl import records
from lego.rl.folders import PICTURES
from lego.rl.phrasings import language_of
from lego.rl.reasoning.lessons import LONG, Language

FILE = "instructions.jsonl"
HINT = f"a pool is a folder with {records.FILE}, or with {FILE} and pictures; docs/reasoning-data.md shows both"
LONG_ENOUGH = {"en": 16, "zh": 24}  # words, or Chinese characters, from which on one sentence is complex
QUOTE = re.compile(r"\"[^\"]*\"|“[^”]*”|「[^」]*」|『[^』]*』")


@dataclass(frozen=True)
class Wish:
    """A picture and what is asked of it.

    Attributes:
        key: names it: a digest of the picture's name and the words.
        picture, target: files; the target is what should come out, None if nobody knows.
        where: the file and the line that it stands in.
    """

    key: str
    instruction: str
    language: Language
    picture: Path
    target: Path | None
    where: str

    @property
    def complex(self) -> bool:
        """Does it look like more than one edit, or is it long?"""
        words = QUOTE.sub("", self.instruction)
        parts = [part for part in JOINT.split(words)[::2] if part.strip()]
        return len(parts) > 1 or len(words_of(words)) > LONG_ENOUGH[self.language]

    def image(self) -> Image:
        """Open the picture.

        Raises:
            ImageError: it cannot be read.
        """
        return Image.open(self.picture)

    def aim(self) -> Image | None:
        """Open the target, if there is one.

        Raises:
            ImageError: it cannot be read.
        """
        return Image.open(self.target) if self.target else None


class _Line(BaseModel):
    """A line of `FILE`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str = Field(min_length=1, max_length=500)
    instruction: str = Field(min_length=1, max_length=LONG, pattern=r"\S")
    language: Language | None = None


def read(folder: str | Path) -> list[Wish]:
    """Return the wishes of a pool in order, each once; pictures are not opened.

    Args:
        folder: a data set of `lego.rl.records`, or pictures with `instructions.jsonl`: ``{"image": "a.jpg",
            "instruction": "..."}`` a line, and ``"language"`` if it is not told by the letters.

    Raises:
        RecordError: it is no pool, a line is broken, or names a picture outside of the folder.
    """
    folder = Path(folder)
    found = _of_records(folder) if (folder / records.FILE).is_file() else _of_lines(folder)
    wishes = list({wish.key: wish for wish in found}.values())
    if not wishes:
        raise RecordError("there are no instructions in it", where=str(folder), hint=HINT, code="empty_pool")
    return wishes


def _of_records(folder: Path) -> Iterator[Wish]:
    for where, row in rows(folder / records.FILE, records.Row, HINT):
        target = folder / PICTURES / row.target if row.target else None
        yield _wish(folder / PICTURES / row.image, row.image, row.instruction, row.language, target, where)


def _of_lines(folder: Path) -> Iterator[Wish]:
    home = folder.resolve()
    for where, line in rows(folder / FILE, _Line, HINT):
        path = (home / line.image).resolve()
        if not path.is_relative_to(home):
            hint = "names are taken within the folder; no '..', and no link that leads out"
            raise RecordError(f"'{line.image}' is not in the pool's folder", where=where, hint=hint)
        language = line.language or tongue(line.instruction)
        yield _wish(path, line.image, line.instruction, language, None, where)


def tongue(text: str) -> Language:
    """Return the language of a text; what it quotes may be in another."""
    return "zh" if language_of(QUOTE.sub("", text)) == "zh" else "en"


def _wish(picture: Path, name: str, instruction: str, language: Language, target: Path | None, where: str) -> Wish:
    key = hashlib.blake2b(f"{name}\n{instruction}".encode(), digest_size=12).hexdigest()
    return Wish(key, instruction.strip(), language, picture, target, where)
