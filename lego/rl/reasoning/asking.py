"""Asking a model for thinking pairs: complex instructions in simple edits, simple ones made abstract."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from lego import __version__
from lego.builder.judge import DATA
from lego.builder.prompt import quoted
from lego.builder.served import objects
from lego.builder.talker import Talker
from lego.core.values import Image
from lego.rl.reasoning.lessons import Language, Provenance, Thinking
from lego.rl.reasoning.plain import JOINTS
from lego.rl.reasoning.pool import QUOTE, Wish, tongue

T = TypeVar("T")
TRIES = 3  # of a question whose answer cannot be used
TEMPERATURE = 0.8  # of making up; a decomposition is asked for plainly at first
TOKENS = 400  # of an answer
MOST = 3  # edits of a decomposition
LONGEST = 240  # characters of an edit, or of an abstract instruction
NUMBERED = re.compile(r"^\s*(?:\(?\d+[.):、]|[-*•]|[①-⑨])")

DECOMPOSE = """The picture is to be edited, and the instruction below asks for it in a complicated way. {data}

INSTRUCTION: {instruction}

Say the same as one, two or three simple edits, in the order in which they are to be done. Each edit stands by \
itself: one action (such as add, replace, remove, colour, light, background, style, material, text, crop), the thing \
that it is done to, and where that is if there are several. Name what is in the picture. Leave nothing out, add \
nothing, and let no edit undo another. Quote texts that are to be written or changed letter by letter. Write in the \
language of the instruction, without numbers or bullets.
Answer with one line of JSON and nothing else: {{"edits": ["...", "..."]}}"""

ABSTRACT = """The picture is to be edited as the instruction below says. {data}

INSTRUCTION: {instruction}

Make up what a person might have said who wants just this edit but does not name it: an occasion, a mood, a place, a \
time, a cause whose effect the edit shows, or a need that it serves. Who looks at the picture and thinks for a moment \
must come to this very edit, and not to a different one. Name neither the action nor the new colour, thing or style; \
the thing in the picture that is meant may be named. One short sentence in the language of the instruction.
Answer with one line of JSON and nothing else: {{"abstract": "..."}}"""


class Unfit(Exception):  # noqa: N818  # it is counted, not told
    """A task gave no lesson; its text is the reason, one of few, so that reasons can be counted."""


class Writer:
    """Makes thinking pairs of wishes by asking a model; may be used by several threads.

    Args:
        source: the name of the pool.
    """

    def __init__(self, talker: Talker, source: str, seed: int = 0) -> None:
        self.talker, self.source, self.seed = talker, source, seed

    def lesson(self, way: str, wish: Wish) -> Thinking:
        """Make a pair, in one of the ways of `lego.rl.reasoning.lessons.Way`.

        Raises:
            Unfit: no answer of the model could be used.
            ImageError: the picture cannot be read.
            PlanError: the model cannot be asked.
        """
        image, own, language = wish.image(), wish.instruction, wish.language
        question, answer = own, own
        if way == "decomposed":
            prompt = DECOMPOSE.format(data=DATA, instruction=quoted(own))
            edits = self._asked(prompt, image, lambda text: decomposition(text, own, language), 0.0)
            answer = JOINTS[language].join(edits)
        elif way == "abstract":
            prompt = ABSTRACT.format(data=DATA, instruction=quoted(own))
            question = self._asked(prompt, image, lambda text: abstraction(text, own, language), TEMPERATURE)
        model = self.talker.name if way != "unchanged" else ""
        made = Provenance(source=self.source, key=wish.key, seed=self.seed, version=__version__, model=model)
        return Thinking(image, question, answer, way, language, made)  # type: ignore[arg-type]  # checked when it is written

    def _asked(self, prompt: str, image: Image, read: Callable[[str], T], first: float) -> T:
        """Ask until the answer can be used; then the last reason why not."""
        why = Unfit("no answer")
        for number in range(TRIES):
            temperature = TEMPERATURE if number else first
            said = self.talker.say(prompt, [image], tokens=TOKENS, temperature=temperature, seed=self.seed + number)
            try:
                return read(said)
            except Unfit as error:
                why = error
        raise why


def decomposition(text: str, instruction: str, language: Language) -> list[str]:
    """Read ``{"edits": [...]}``: one to three edits, each a short line in the language.

    Raises:
        Unfit: it is none, repeats the instruction, or loses a quoted text.
    """
    edits = _only(text, "edits")
    if not isinstance(edits, list) or not 1 <= len(edits) <= MOST or not all(isinstance(edit, str) for edit in edits):
        raise Unfit(f"not one to {MOST} edits")
    edits = [_line(edit, language) for edit in edits]
    if any(NUMBERED.match(edit) for edit in edits):
        raise Unfit("the edits are numbered")
    joined = JOINTS[language].join(edits)
    if _plain(joined) == _plain(instruction):
        raise Unfit("the instruction is only repeated")
    if len({_plain(edit) for edit in edits}) < len(edits):
        raise Unfit("an edit is repeated")
    if any(quote[1:-1] not in joined for quote in QUOTE.findall(instruction)):
        raise Unfit("a quoted text is lost")
    return edits


def abstraction(text: str, instruction: str, language: Language) -> str:
    """Read ``{"abstract": "..."}``: one short line in the language.

    Raises:
        Unfit: it is none, or says the instruction itself.
    """
    found = _only(text, "abstract")
    if not isinstance(found, str):
        raise Unfit("not one sentence")
    found = _line(found, language)
    if _plain(instruction) in _plain(found) or _plain(found) in _plain(instruction):
        raise Unfit("the instruction is only repeated")
    return found


def _only(text: str, name: str) -> Any:
    """The value of the one key of the one object in a text."""
    found = list(objects(text))
    if len(found) != 1 or set(found[0]) != {name}:
        raise Unfit("not the JSON that was asked for")
    return found[0][name]


def _line(text: str, language: Language) -> str:
    text = text.strip().rstrip(",;，；。.")
    if not text or len(text) > LONGEST or "\n" in text or "<" in text:
        raise Unfit("empty, too long, or several lines")
    if tongue(text) != language:
        raise Unfit("in another language")
    return text


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
