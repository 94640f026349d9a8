"""Exchanges: lessons as questions and answers, in the very words that are asked when a model thinks and judges."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from lego.builder import judge, thinking, verdict
from lego.builder.prompt import quoted
from lego.core.errors import RecordError
from lego.core.ledger import rows
from lego.core.values import Image
from lego.rl.reasoning import lessons
from lego.rl.reasoning.lessons import Lesson, Line, Row, Thinking

Part: TypeAlias = Literal["think", "describe", "assess", "conclude"]
PARTS: dict[str, tuple[Part, ...]] = {"thinking": ("think",), "reflection": ("describe", "assess", "conclude")}
MOST = max(map(len, PARTS.values()))


@dataclass(frozen=True)
class Exchange:
    """A question about pictures, in their order, and the answer."""

    prompt: str
    images: tuple[Image, ...]
    answer: str


def of(lesson: Lesson, part: Part) -> Exchange:
    """Return one of the questions that a lesson answers; see `lego.builder.thinking` and `lego.builder.judge`."""
    words = quoted(lesson.instruction)
    if isinstance(lesson, Thinking):
        return Exchange(thinking.PROMPT.format(instruction=words), (lesson.image,), lesson.answer)
    if part == "describe":
        return Exchange(judge.describing(words), (lesson.source,), lesson.description)
    if part == "assess":
        asked = judge.assessing(words, lesson.description)
        return Exchange(asked, (lesson.result,), verdict.written(lesson.assessment))
    asked = judge.concluding(words, lesson.rewritten, lesson.assessment)
    return Exchange(asked, (lesson.source, lesson.result), verdict.told(lesson.conclusion))


class Supply:
    """The exchanges of a data set of lessons, endless and shuffled anew for each time through.

    All lines are checked first; pictures are opened as they are reached.

    Args:
        seed: of the order.

    Raises:
        RecordError: the data set cannot be read, has a broken line, or is empty.
    """

    def __init__(self, folder: str | Path, seed: int = 0) -> None:
        self.folder, self.seed = Path(folder), seed
        self.file = self.folder / lessons.FILE
        self.numbers = array("q")  # of each exchange: number of its line, times `MOST`, and of its part
        self.starts = array("q", [0])  # where each line begins, in bytes
        for where, line in rows(self.file, Line, lessons.HINT):
            number = int(where.rpartition(" ")[2])
            self.numbers.extend((number - 1) * MOST + n for n in range(len(PARTS[line.root.kind])))
        if not self.numbers:
            raise RecordError("there are no lessons in it", where=str(self.folder), hint=lessons.HINT)
        with self.file.open("rb") as file:
            for text in file:
                self.starts.append(self.starts[-1] + len(text))

    def exchanges(self, start: int = 0) -> Iterator[Exchange]:
        """Yield exchanges without end, from a number on; the same seed gives the same ones.

        Raises:
            RecordError: a picture cannot be read; ``where`` names the line.
        """
        for epoch in itertools.count(start // len(self.numbers)):
            order = list(self.numbers)
            Random(f"{self.seed} {epoch}").shuffle(order)
            for number in order[start % len(self.numbers) :]:
                yield self._exchange(*divmod(number, MOST))
            start = 0

    def _exchange(self, line: int, part: int) -> Exchange:
        with self.file.open("rb") as file:
            file.seek(self.starts[line])
            row: Row = Line.model_validate_json(file.readline()).root
        lesson = lessons.opened(self.folder, row, f"{self.file}, line {line + 1}")
        return of(lesson, PARTS[row.kind][part])
