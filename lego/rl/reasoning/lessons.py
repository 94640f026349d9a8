"""Lessons: what a model that thinks and judges learns from, as a data set.

A thinking lesson pairs an instruction with its concrete words; a reflection lesson is a source, a result and the
picture that should have come out, with the verdict on the result. A data set is a folder: ``lessons.jsonl``, one lesson
a line of either kind, and ``pictures/``, as records have them. ``dropped.jsonl`` tells what was tried and left out, and
why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, ValidationError, model_validator

from lego.builder.verdict import Assessment, Conclusion, Scores
from lego.core.errors import LegoError, RecordError
from lego.core.ledger import complaint, rows
from lego.core.values import Image
from lego.rl.folders import NAME, PICTURES, name_of
from lego.rl.reasoning import ledger
from lego.rl.reasoning.ledger import Ledger

FILE, DROPPED = "lessons.jsonl", ledger.DROPPED
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


class Book(Ledger[Lesson]):
    """A data set of lessons that is being written; see `Ledger`. Labels are ways and outcomes."""

    file, called, hint = FILE, "lessons", HINT

    def check(self, made: Lesson) -> dict[str, Any]:
        return row_of(made).model_dump(exclude_defaults=True)

    def told(self, made: Lesson) -> tuple[str, str, str, str]:
        kind, label = ("thinking", made.way) if isinstance(made, Thinking) else ("reflection", made.conclusion.outcome)
        return kind, made.provenance.key, made.provenance.source, label

    def pictures(self, made: Lesson) -> list[Image]:
        return _pictures(made)

    def _there(self) -> Iterator[tuple[str, str, str, str]]:
        for _, line in rows(self.folder / FILE, Line, HINT):
            row = line.root
            label = row.way if row.kind == "thinking" else row.outcome
            yield row.kind, row.provenance.key, row.provenance.source, label


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
