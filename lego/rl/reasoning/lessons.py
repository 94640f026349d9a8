"""Lessons: what a model that thinks and judges learns from, as a data set.

A thinking lesson pairs an instruction with its concrete words; a reflection lesson is a source, a result and the
picture that should have come out, with the verdict on the result. A data set is a folder: ``lessons.jsonl``, one lesson
a line of either kind, and ``pictures/``, as records have them. ``dropped.jsonl`` tells what was tried and left out, and
why.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, ValidationError, model_validator

from lego.builder.verdict import Assessment, Conclusion, Scores
from lego.core.errors import ImageError, LegoError, RecordError
from lego.core.values import Image
from lego.rl.folders import NAME, PICTURES, ROOM, complaint, drop_cut_off_line, keep, name_of, rows

FILE, DROPPED = "lessons.jsonl", "dropped.jsonl"
LONG = 2000  # characters of an instruction, as in records
HINT = "give the folder of a data set of lessons; `lego synth` writes one"
Language: TypeAlias = Literal["en", "zh"]
Kind: TypeAlias = Literal["thinking", "reflection"]
Way: TypeAlias = Literal["decomposed", "abstract", "unchanged"]
Outcome: TypeAlias = Literal["success", "refine", "failed"]
Picture: TypeAlias = Annotated[str, Field(pattern=f"^{NAME}$")]
Words: TypeAlias = Annotated[str, Field(min_length=1, max_length=LONG, pattern=r"\S")]
Points: TypeAlias = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Provenance(_Part):
    """Where a lesson comes from.

    Attributes:
        source: "scenes" for those made without a model, else the name of the pool's folder.
        key: names the task within its kind; of one key a data set has one lesson at most.
        seed: that it was made with.
        model: who wrote or judged it; "" for none.
        version: of lego.
        facts: whatever else is known, such as what was spoilt.
    """

    source: str = Field(min_length=1)
    key: str = Field(min_length=1)
    seed: int
    version: str = Field(min_length=1)
    model: str = ""
    facts: dict[str, JsonValue] = {}


@dataclass(frozen=True)
class Thinking:
    """An instruction and its concrete words.

    Attributes:
        way: "decomposed", a complex one in simple edits; "abstract", a vague one in concrete words; "unchanged", a
            clear one that is left as it is.
    """

    image: Image
    instruction: str
    answer: str
    way: Way
    language: Language
    provenance: Provenance


@dataclass(frozen=True)
class Reflection:
    """A result and the verdict on it.

    Attributes:
        source, result: the picture before and after.
        target: what should have come out; None if nobody knows.
        rewritten: the instruction in concrete words where the edit was planned from these, or "".
        description: how the result should look.
        conclusion: the thought and the outcome, with the next instruction for "refine".
        scores: how good the result is; None where the judge could not say.
    """

    source: Image
    result: Image
    target: Image | None
    instruction: str
    rewritten: str
    language: Language
    description: str
    assessment: Assessment
    conclusion: Conclusion
    scores: Scores | None
    provenance: Provenance


Lesson: TypeAlias = Thinking | Reflection


class ThinkingRow(_Part):
    """A line of a thinking lesson."""

    kind: Literal["thinking"]
    image: Picture
    instruction: Words
    answer: Words
    way: Way
    language: Language
    provenance: Provenance

    @model_validator(mode="after")
    def _agrees(self) -> ThinkingRow:
        if (self.way == "unchanged") != (self.answer == self.instruction):
            raise ValueError(f"the way is '{self.way}', the answer {'' if self.way == 'unchanged' else 'not '}another")
        return self


class _Assessed(_Part):
    meets: Literal["yes", "partial", "no", ""]
    major: Count
    minor: Count
    omissions: Count
    hallucinations: Count
    raw: Points
    reason: str


class _Scored(_Part):
    success: Points
    restraint: Points
    naturalness: Points
    cleanness: Points


class ReflectionRow(_Part):
    """A line of a reflection lesson."""

    kind: Literal["reflection"]
    source: Picture
    result: Picture
    target: Picture | None = None
    instruction: Words
    rewritten: str = Field(default="", max_length=LONG)
    language: Language
    description: Words
    assessment: _Assessed
    outcome: Outcome
    thought: Words
    then: str = Field(default="", max_length=LONG)
    scores: _Scored | None = None
    provenance: Provenance

    @model_validator(mode="after")
    def _agrees(self) -> ReflectionRow:
        if (self.outcome == "refine") != bool(self.then.strip()):
            raise ValueError(f"'then' is what comes next after 'refine', and empty else; the outcome is {self.outcome}")
        if self.then.strip() == self.instruction.strip():
            raise ValueError("'then' only repeats the instruction")
        return self


Row: TypeAlias = ThinkingRow | ReflectionRow


class Line(RootModel[Annotated[Row, Field(discriminator="kind")]]):
    """A line of the file, of either kind."""


class Dropped(_Part):
    """A line that tells of a task that gave no lesson."""

    kind: Kind
    key: str = Field(min_length=1)
    reason: str = Field(min_length=1)


class Book:
    """A data set that is being written, by several threads if need be.

    A lesson is written after its pictures, as one whole line; a line that a killed run could not finish is taken away
    when the book is opened again.

    Args:
        folder: of the data set, which is made if there is none.

    Raises:
        RecordError: a line is broken, or the folder cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.done: set[tuple[Kind, str]] = set()
        self.counts: Counter[tuple[Kind, str, str]] = Counter()  # lessons by kind, source, and way or outcome
        self.dropped: Counter[tuple[Kind, str]] = Counter()  # tasks by kind and reason
        self._lock = threading.Lock()
        try:
            (self.folder / PICTURES).mkdir(parents=True, exist_ok=True)
            for name in (FILE, DROPPED):
                drop_cut_off_line(self.folder / name)
                (self.folder / name).touch()
        except OSError as error:
            raise self._cannot_write(error) from None
        for _, line in rows(self.folder / FILE, Line, HINT):
            self._learn(line.root)
        for _, lost in rows(self.folder / DROPPED, Dropped, HINT):
            self.done.add((lost.kind, lost.key))
            self.dropped[lost.kind, lost.reason] += 1

    def add(self, lesson: Lesson) -> bool:
        """Write a lesson; False if there is one of its kind and key already.

        Raises:
            RecordError: it is none, or cannot be written; all that are there can still be read.
        """
        row = row_of(lesson)
        if (row.kind, row.provenance.key) in self.done:
            return False
        try:
            for image in _pictures(lesson):
                keep(self.folder, image)
            self._append(FILE, row.model_dump(exclude_defaults=True))
        except (OSError, ImageError) as error:
            raise self._cannot_write(error) from None
        with self._lock:
            self._learn(row)
        return True

    def drop(self, kind: Kind, key: str, reason: str) -> None:
        """Tell that a task gave no lesson, so that it is not tried again.

        Raises:
            RecordError: it cannot be written.
        """
        try:
            self._append(DROPPED, {"kind": kind, "key": key, "reason": reason})
        except OSError as error:
            raise self._cannot_write(error) from None
        with self._lock:
            self.done.add((kind, key))
            self.dropped[kind, reason] += 1

    def _learn(self, row: Row) -> None:
        self.done.add((row.kind, row.provenance.key))
        label = row.way if row.kind == "thinking" else row.outcome
        self.counts[row.kind, row.provenance.source, label] += 1

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
        message = f"{why}; all lessons that are there can be read"
        return RecordError(message, where=str(self.folder), hint=ROOM, code="cannot_write")


def read(folder: str | Path) -> Iterator[Lesson]:
    """Yield the lessons of a data set in order; pictures are opened as they are reached.

    Raises:
        RecordError: there is no such data set, or a line is broken; ``where`` names the file and the line.
    """
    folder = Path(folder)
    for where, line in rows(folder / FILE, Line, HINT):
        yield opened(folder, line.root, where)


def opened(folder: Path, row: Row, where: str) -> Lesson:
    """Return a line as a lesson, with its pictures.

    Raises:
        RecordError: a picture cannot be read.
    """

    def picture(name: str) -> Image:
        return Image.open(folder / PICTURES / name)

    try:
        if row.kind == "thinking":
            return Thinking(picture(row.image), row.instruction, row.answer, row.way, row.language, row.provenance)
        return Reflection(
            picture(row.source),
            picture(row.result),
            picture(row.target) if row.target else None,
            row.instruction,
            row.rewritten,
            row.language,
            row.description,
            Assessment(**row.assessment.model_dump()),
            Conclusion(row.outcome, row.thought, row.then),
            Scores(**row.scores.model_dump()) if row.scores else None,
            row.provenance,
        )
    except LegoError as error:
        raise RecordError(str(error), where=where, hint=error.hint or "mend the line or take it out") from error


def row_of(lesson: Lesson) -> Row:
    """Return a lesson as a line, checked.

    Raises:
        RecordError: it is none: an empty answer, a way or an outcome that does not fit, a score out of 0..10.
    """
    shared = {"instruction": lesson.instruction, "language": lesson.language, "provenance": lesson.provenance}
    try:
        if isinstance(lesson, Thinking):
            own = {"image": name_of(lesson.image), "answer": lesson.answer, "way": lesson.way}
            return ThinkingRow(kind="thinking", **shared, **own)  # type: ignore[arg-type]  # checked by the model
        found, end, scores = lesson.assessment, lesson.conclusion, lesson.scores
        return ReflectionRow(
            kind="reflection",
            source=name_of(lesson.source),
            result=name_of(lesson.result),
            target=name_of(lesson.target) if lesson.target else None,
            rewritten=lesson.rewritten,
            description=lesson.description,
            assessment=_Assessed(**vars(found)),
            outcome=end.outcome,  # type: ignore[arg-type]  # "missing" is refused
            thought=end.thought,
            then=end.then,
            scores=_Scored(**vars(scores)) if scores else None,
            **shared,  # type: ignore[arg-type]  # checked by the model
        )
    except ValidationError as error:
        where = f"lesson {lesson.provenance.key}"
        raise RecordError(complaint(error), where=where, hint="mend the lesson or leave it out") from None


def _pictures(lesson: Lesson) -> list[Image]:
    if isinstance(lesson, Thinking):
        return [lesson.image]
    return [image for image in (lesson.source, lesson.result, lesson.target) if image is not None]
