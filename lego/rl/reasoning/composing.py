"""Edits that need an answer first, made of any questions about pictures by asking a model.

The five steps of Uni-Edit (arXiv 2605.21487): a row's category and core answer; an instruction with the question in it
that does not tell the answer; the target, by our own editor or by a server that edits pictures; then the filters. Words
and prompts are ours. Of the conditions half name a wrong value: nothing is then to be done.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from lego import __version__
from lego.builder.base import Builder
from lego.builder.judge import DATA
from lego.builder.prompt import quoted
from lego.builder.served import Server, objects
from lego.builder.talker import Talker
from lego.core.ledger import rows
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.editor import Editor
from lego.rl import records
from lego.rl.folders import name_of
from lego.rl.reasoning.asking import TEMPERATURE, TRIES, Unfit
from lego.rl.reasoning.intelligent import CATEGORIES
from lego.rl.reasoning.judging import edited
from lego.rl.reasoning.leaks import leaked, meanings
from lego.rl.reasoning.ledger import Records, enough
from lego.rl.reasoning.pool import tongue
from lego.rl.reasoning.questions import Question
from lego.rl.records import Record

T = TypeVar("T")
LEFT_OUT = ("yes_no", "multiple_choice", "other")  # categories that no edit is made of
TOKENS = 500  # of an answer
LONGEST = 900  # characters of an instruction
GOOD = 3  # of five: the quality that a result must have
RENDERED = "rendered"  # the folder of pictures that a server made, in the data set's
CONDITIONAL = ("shape", "color", "count")  # categories with two templates

SORT = """A question about the picture, and its answer. {data}

QUESTION: {question}
ANSWER: {answer}

Which kind of question is it?
shape, color, count: what shape or colour something has, or how many there are
location: what is at a place that is described
knowledge: who or what it is, or something one has to know from elsewhere
caption: a description is asked for
ocr: something written is to be read
math: something is to be calculated
yes_no, multiple_choice, other: as they say
Give the core of the answer as well: the bare value for shape, color, count, knowledge and location, else the answer \
word for word. And give a wrong value of the same kind that could well be taken for right, "" where there is none.
Answer with one line of JSON and nothing else: {{"category": "...", "answer": "...", "wrong": "..."}}"""

WRITE = """A picture is to be edited by someone who must answer a question about it first. {data}

QUESTION: {question}
ANSWER: {answer}

Write the instruction for that edit: {template}
Rules: the question is part of it, in full or in other words. It must not tell the answer, nor anything that the \
answer could be guessed from{spare}. No coordinates, unless the question has them. One to three sentences in the \
language of the question.
Write also what the edit is for one who knows the answer: one plain sentence that says what to do to what.
Answer with one line of JSON and nothing else: {{"instruction": "...", "edit": "..."}}"""

IF = (
    "find out what the question asks; if it is {value}, one change to the very thing that was asked about follows (for "
    "a number: take that many away), and if not, nothing is changed. The value {value} is named in the condition."
)
TEMPLATES: dict[str, str] = {
    "shape": "find out the shape, and add a different thing of that same shape.",
    "color": "find out the colour, and add a different thing of that same colour.",
    "count": "find out the number, and add a group of things of another kind, exactly as many.",
    "knowledge": "find out the answer; the name of a person is written on a board or sign in the picture, anything "
    "else is put into the scene.",
    "location": "find the place that the question describes, and turn the thing there into another.",
    "caption": "instead of the scene show a close-up of something that is written on (a board, parchment, neon, "
    "a screen) with the description that the question asks for.",
    "ocr": "instead of the scene show a close-up of something that is written on (a board, parchment, neon, "
    "a screen) with the text that is to be read; keep the places that the question names.",
    "math": "give the question in full, rules for rounding too, and show a close-up of something that is written on "
    "with the way of calculating and the result.",
}

FOLLOWS = """The first picture was edited, the second is the result. {data}

INSTRUCTION: {instruction}
QUESTION: {question}
ANSWER: {answer}

The instruction needs the answer to the question. Is the second picture what the instruction asks for, given this \
answer, and is the rest as it was where the instruction does not speak of it?
Answer with one line of JSON and nothing else: {{"follows": "yes"}} or {{"follows": "no"}}"""

QUALITY = """Judge the picture by itself: is it free of artefacts, are its things whole and rightly built, do its \
parts fit together?
Answer with one line of JSON and nothing else, from 1 (spoilt) to 5 (flawless): {"quality": 0}"""


@dataclass(frozen=True)
class Sorted:
    """A row's category, core answer, and a wrong value ("" for none)."""

    category: str
    answer: str
    wrong: str


@dataclass(frozen=True)
class Written:
    """An instruction, and the edit for one who knows the answer."""

    instruction: str
    edit: str


class Composer:
    """Makes records of questions by asking a model; may be used by several threads.

    Args:
        talker: who sorts, writes and judges.
        painter: a server that makes the targets; None for our own editor.
        builder: who plans for the editor; None for that of the settings.
        folder: of the data set; pictures of the painter are kept in it, and are not asked for again.
        source: the name of the file.
        wanted: are more of a category wanted? Asked before anything is written.
    """

    def __init__(
        self,
        talker: Talker,
        painter: Server | None,
        builder: str | Builder | None,
        folder: Path,
        source: str,
        seed: int = 0,
        wanted: Callable[[str], bool] = lambda category: True,
    ) -> None:
        self.talker, self.painter, self.source, self.seed, self.wanted = talker, painter, source, seed, wanted
        self.editor = Editor(builder)
        self.folder = folder / RENDERED
        self._said: dict[str, str] = {}  # the key of the row that said it, by picture and words
        if (folder / records.FILE).exists():
            for _, line in rows(folder / records.FILE, records.Row, Records.hint):
                key = str(line.provenance.get("key"))
                self._said[_saying(line.image, line.instruction)] = key
        self._lock = threading.Lock()

    def record(self, row: Question) -> Record:
        """Make a record.

        Raises:
            Unfit: the row gives none; its text is the reason.
            ImageError: the picture cannot be read.
            PlanError: a model cannot be asked.
        """
        image = row.image()
        found = self._asked(sorting(row), [image], sorted_as)
        if found.category in LEFT_OUT:
            raise Unfit(f"a question of the kind {found.category}")
        if not self.wanted(found.category):
            raise Unfit(enough(found.category))
        random = Random(f"{self.seed} {row.key}")
        conditional = found.category in CONDITIONAL and random.random() < 0.5
        holds = not (conditional and found.wrong and random.random() < 0.5)
        value = (found.answer if holds else found.wrong) if conditional else ""
        made = self._asked(writing(row, found, value), [], lambda text: written(text, row, found.answer, value))
        self._claim(row, image, made)
        target, workflow = (image, EMPTY) if not holds else self._target(row, image, made, found)
        facts: dict[str, Any] = {
            "source": self.source, "key": row.key, "category": found.category, "template": "a" if conditional else "b",
            "seed": self.seed, "question": row.question, "original": row.answer, "answer": found.answer,
            "condition": value, "named": conditional, "holds": holds, "edit": made.edit, "model": self.talker.name,
            "painter": self._painter(holds), "version": __version__,
        }  # fmt: skip
        if holds:
            facts["quality"] = self._judged(row, image, target, made, found)
        return Record(image, made.instruction, tongue(made.instruction), (), workflow, target, None, facts)

    def _painter(self, holds: bool) -> str:
        return "" if not holds else self.painter.name if self.painter else self.editor.builder.name

    def _claim(self, row: Question, image: Image, made: Written) -> None:
        """Let no two rows say the same of one picture."""
        with self._lock:
            if self._said.setdefault(_saying(name_of(image), made.instruction), row.key) != row.key:
                raise Unfit("the same was said before")

    def _target(self, row: Question, image: Image, made: Written, found: Sorted) -> tuple[Image, Workflow | None]:
        if self.painter:
            target, workflow = self._painted(self.painter, row, image, made, found), None
        else:
            done = edited(self.editor, image, made.edit, self.seed)
            target, workflow = done.image, done.workflow
        if target.size == image.size and (target.pixels == image.pixels).all():
            raise Unfit("nothing was changed")
        return target, workflow

    def _painted(self, painter: Server, row: Question, image: Image, made: Written, found: Sorted) -> Image:
        path = self.folder / name_for(row.stem, made.instruction, image)
        if not path.exists():
            words = f"{made.instruction}\n(The question: {row.question} The answer: {found.answer}. So: {made.edit})"
            target = Image.open(painter.paint(image.pil(), words))
            self.folder.mkdir(parents=True, exist_ok=True)
            target.save(path)
        return Image.open(path)

    def _judged(self, row: Question, image: Image, target: Image, made: Written, found: Sorted) -> int:
        """The quality of a result that does what was asked."""
        asked = FOLLOWS.format(
            data=DATA, instruction=quoted(made.instruction), question=quoted(row.question), answer=quoted(found.answer)
        )
        if not self._asked(asked, [image, target], follows):
            raise Unfit("the result is not what was asked for")
        points = self._asked(QUALITY, [target], quality)
        if points < GOOD:
            raise Unfit(f"the result's quality is below {GOOD}")
        return points

    def _asked(self, prompt: str, images: list[Image], read: Callable[[str], T]) -> T:
        """Ask until the answer can be used; then the last reason why not."""
        why = Unfit("no answer")
        for number in range(TRIES):
            temperature = TEMPERATURE if number else 0.0
            said = self.talker.say(prompt, images, tokens=TOKENS, temperature=temperature, seed=self.seed + number)
            try:
                return read(said)
            except Unfit as error:
                why = error
        raise why


EMPTY = Workflow.load({"version": 1, "steps": [], "result": "$image"})


def sorting(row: Question) -> str:
    """Return what is asked to sort a row."""
    return SORT.format(data=DATA, question=quoted(row.question), answer=quoted(row.answer))


def writing(row: Question, found: Sorted, value: str) -> str:
    """Return what is asked to write an instruction; ``value``: what the condition names, "" for no condition."""
    template = IF.format(value=quoted(value)) if value else TEMPLATES[found.category]
    spare = ", but for the value that the condition names" if value else ""
    return WRITE.format(
        data=DATA, question=quoted(row.question), answer=quoted(found.answer), template=template, spare=spare
    )


def sorted_as(text: str) -> Sorted:
    """Read a category, the core answer and a wrong value.

    Raises:
        Unfit: it is none.
    """
    data = _only(text, {"category", "answer", "wrong"})
    category, answer, wrong = (str(data[name]).strip() for name in ("category", "answer", "wrong"))
    if category not in (*CATEGORIES, *LEFT_OUT) or not answer:
        raise Unfit("no category that is known")
    right = wrong.casefold() == answer.casefold() or (meanings(wrong) and meanings(wrong) == meanings(answer))
    return Sorted(category, answer, "" if right else wrong)  # one that says the same is not wrong


def written(text: str, row: Question, answer: str, value: str) -> Written:
    """Read an instruction and an edit; the condition must name its value, once, and nothing may tell the answer.

    Raises:
        Unfit: it is none.
    """
    data = _only(text, {"instruction", "edit"})
    instruction, edit = (data[name].strip() if isinstance(data[name], str) else "" for name in ("instruction", "edit"))
    if not instruction or not edit or len(instruction) > LONGEST or len(edit) > LONGEST or "\n" in instruction:
        raise Unfit("empty, too long, or several lines")
    if tongue(instruction) != tongue(row.question):
        raise Unfit("in another language")
    words, named = instruction.casefold(), _whole(value)
    if value and not named.search(words):
        raise Unfit("the condition does not name its value")
    # the question may name things that the answer names as well: they are no news
    news = leaked(named.sub(" ", words, count=1) if value else words, answer) - leaked(row.question, answer, True)
    if news:
        raise Unfit("it tells the answer")
    return Written(instruction, edit)


def _whole(value: str) -> re.Pattern[str]:
    """What finds a value as whole words; Chinese has no spaces between them."""
    text = re.escape(value.casefold())
    return re.compile(rf"(?<![a-z0-9]){text}(?![a-z0-9])" if value.isascii() else text)


def follows(text: str) -> bool:
    """Read whether a result follows its instruction.

    Raises:
        Unfit: it is no answer.
    """
    said = _only(text, {"follows"})["follows"]
    if said not in ("yes", "no"):
        raise Unfit("neither yes nor no")
    return bool(said == "yes")


def quality(text: str) -> int:
    """Read a quality of 1 to 5.

    Raises:
        Unfit: it is none.
    """
    said = _only(text, {"quality"})["quality"]
    if isinstance(said, bool) or not isinstance(said, int) or not 1 <= said <= 5:
        raise Unfit("no quality of 1 to 5")
    return said


def name_for(stem: str, instruction: str, image: Image) -> str:
    """Return the name of a picture that a server made: the source's, and digests of the instruction and the source, as
    pictures of two data sets may be called alike.
    """
    digest = hashlib.md5(instruction.encode(), usedforsecurity=False).hexdigest()
    return f"{stem}_{digest[:8]}_{image.digest[:8]}.png"


def _saying(picture: str, instruction: str) -> str:
    return picture + "\n" + re.sub(r"[\W_]+", " ", instruction.casefold()).strip()


def _only(text: str, names: set[str]) -> dict[str, Any]:
    """The one object in a text, with just these keys."""
    found = list(objects(text))
    if len(found) != 1 or set(found[0]) != names:
        raise Unfit("not the JSON that was asked for")
    return found[0]
