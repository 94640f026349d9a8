"""Wordings of riddles: the lines of ``data/riddles.txt``, each for one part of the data only."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from random import Random

from lego.rl import phrasings
from lego.rl.phrasings import Split, language_of

MARKS = {"v|": "val", "t|": "test"}  # before a line; one without is for training
CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
SLOT = re.compile(r"\{\w+\}")


@functools.cache
def of(section: str, language: str, split: Split) -> tuple[str, ...]:
    """Return the wordings of a section in a language for a part of the data."""
    found = []
    for line in phrasings.sections("riddles")[section]:
        part = MARKS.get(line[:2], "train")
        text = line[2:] if line[:2] in MARKS else line
        if part == split and (language_of(SLOT.sub("", text)) == "zh") == (language == "zh"):
            found.append(text)
    return tuple(found)


@functools.cache
def sections() -> tuple[str, ...]:
    """Return the names of all sections."""
    return tuple(phrasings.sections("riddles"))


@dataclass
class Pen:
    """Says things in the wordings of one part of the data, and remembers in which.

    Attributes:
        used: the wordings, as they stand in the file.
    """

    random: Random
    language: str
    split: Split
    used: list[str] = field(default_factory=list)

    def say(self, section: str, **slots: str) -> str:
        """Return a wording of a section with its slots filled."""
        line = self.random.choice(of(section, self.language, self.split))
        self.used.append(line)
        text = CHOICE.sub(lambda found: self.random.choice(found[1].split("|")), line)
        return re.sub(r"\{(\w+)\}", lambda found: slots[found[1]], text)

    def either(self, english: str, chinese: str) -> str:
        """Return one of two texts by the language."""
        return chinese if self.language == "zh" else english


def sentence(text: str) -> str:
    """Return a text with capitals where sentences begin, and with "an" where "a" would not do."""
    text = re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", text)
    return re.sub(r"(^|[.?!:] )([a-z])", lambda found: found[1] + found[2].upper(), text)
