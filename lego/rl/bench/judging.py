"""Judging: who looks at a result, and the scores that come of it.

A judgement that cannot be had is missing: it is asked for again a few times, and then kept as null with the reason and
the raw words. It is never a guess, a midpoint or zero, and never left out in silence.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image as Pillow

from lego.builder.talker import LONG_SIDE, Talker
from lego.core.errors import CancelledError, LegoError, SettingsError
from lego.core.values import Image
from lego.rl.bench.formulas import Mode
from lego.rl.bench.items import Item
from lego.rl.bench.prompts import Prompts
from lego.rl.bench.suite import Shown, Suite

TALKER = "talker"  # the kind of judge that answers in words
SEED = 42  # the official scripts' own
AGAIN = 0.7  # the least temperature of a further try: the likeliest reply was the one that could not be read
GONE = ("no_server", "which_model")  # codes of errors after which no other question would be answered either
ALIKE = 24  # tries in a row, over all threads, that end in an error and not in a reply: then the judge is at fault


@dataclass
class Judged:
    """What a judge made of a result.

    Attributes:
        scores: of each question; None is missing.
        missing: why, by question.
        raw: the judge's words, by question: of the last try.
        tries: how often it was asked, by question, where more than once.
        notes: what was done to the pictures.
    """

    scores: dict[str, tuple[float, ...] | None] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Judge(Protocol):
    """Whoever judges.

    Attributes:
        kind: "talker", "editscore" or "pixels".
        name: of the model.
        prompts: a hash of what it is asked; empty if nothing.
        facts: temperature, seed, format of pictures, mode.
        alone: it can do one thing at a time.
    """

    kind: str
    name: str
    prompts: str
    facts: Mapping[str, Any]
    alone: bool

    def judge(self, item: Item, result: Image, number: int) -> Judged:
        """Judge a result for the so many-th time, counted from 0."""
        ...


class Asked:
    """A talker that is asked a suite's questions.

    Args:
        suite: whose questions.
        talker: who answers.
        prompts: the words.
        mode: official mode shows JPEG where the script does, and reads replies as loosely.
        retries: further tries for a reply that cannot be read.
        temperature: of sampling.
        seed: of the first pass; each further one has the next.
    """

    kind, alone = TALKER, False

    def __init__(
        self,
        suite: Suite,
        talker: Talker,
        prompts: Prompts,
        mode: Mode = "fixed",
        retries: int = 3,
        temperature: float = 0.0,
        seed: int = SEED,
    ) -> None:
        self.suite, self.talker, self.texts, self.mode = suite, talker, prompts, mode
        self.retries, self.temperature, self.seed = retries, temperature, seed
        self.name, self.prompts = talker.name, prompts.hash
        self.jpeg = mode == "official" and suite.jpeg
        shown = "JPEG, Pillow's default quality" if self.jpeg else "PNG"
        self.side = min(suite.side or LONG_SIDE, LONG_SIDE)
        self.facts: Mapping[str, Any] = {
            "mode": mode,
            "temperature": temperature,
            "seed": seed,
            "pictures": f"{shown}, long side at most {self.side}",
        }
        self._streak = Streak()

    def judge(self, item: Item, result: Image, number: int) -> Judged:
        """Ask every question of the suite about a result."""
        made = Judged()
        source = item.images[0].open()
        if self.suite.fitted:
            result = fitted(result, source, made.notes)
        shown: dict[Shown, Callable[[], list[Image]]] = {
            "source": lambda: [source],
            "sources": lambda: [source, *(image.open() for image in item.images[1:])],
            "gt": lambda: [item.gt.open()] if item.gt else [],
            "result": lambda: [result],
            "frames": lambda: _placed([source, *(image.open() for image in item.images[1:])], result, item),
        }
        for call in self.suite.calls(item, self.mode):
            images = [self._seen(image) for name in call.images for image in shown[name]()]
            words = self.texts.fill(call.prompt, item)

            def ask(number: int, seed: int, words: str = words, images: Sequence[Image] = images) -> str:
                heat = max(self.temperature, AGAIN) if number else self.temperature
                return self.talker.say(words, images, tokens=self.suite.tokens, temperature=heat, seed=seed)

            def read(text: str, name: str = call.name) -> tuple[float, ...]:
                return self.suite.read(item, name, text, self.mode)

            tried(made, call.name, ask, read, self.retries, self.seed + number, self._streak)
        return made

    def _seen(self, image: Image) -> Image:
        picture = image.pil().convert("RGB")
        picture.thumbnail((self.side, self.side), Pillow.Resampling.LANCZOS)
        if self.jpeg:
            file = io.BytesIO()
            picture.save(file, "JPEG")
            return Image.open(file.getvalue())
        return Image.open(picture)


def _placed(frames: list[Image], result: Image, item: Item) -> list[Image]:
    at = item.meta["place"] - 1
    return [*frames[:at], result, *frames[at:]]


class Streak:
    """Counts errors in a row, over all threads."""

    def __init__(self) -> None:
        self.lock, self.count = threading.Lock(), 0

    def note(self, error: LegoError | None) -> None:
        """Take notice of an answer, or of an error.

        Raises:
            LegoError: the error, if it was one of too many in a row.
        """
        with self.lock:
            self.count = self.count + 1 if error else 0
            if error and self.count >= ALIKE:
                raise error


def tried(
    made: Judged,
    name: str,
    ask: Callable[[int, int], str],
    read: Callable[[str], tuple[float, ...]],
    retries: int,
    seed: int,
    streak: Streak,
) -> None:
    """Ask a question until the reply can be read, a few times at most; what cannot be had is missing.

    Args:
        made: where scores, reasons and raw words go, by the question's name.
        ask: asks, given the number of the try and a seed; those of further tries are far from those of further passes.
        read: gives the scores, or raises ValueError.

    Raises:
        LegoError: the judge cannot be reached, or failed many times in a row.
    """
    why = ""
    for number in range(retries + 1):
        try:
            text = ask(number, seed + 1000 * number)
        except CancelledError:
            raise
        except LegoError as error:
            if error.code in GONE or isinstance(error, SettingsError):
                raise
            streak.note(error)
            why = f"no answer: {error.message}"
            continue
        streak.note(None)
        made.raw[name] = text
        try:
            made.scores[name] = read(text)
        except ValueError as error:
            why = str(error)
            continue
        made.missing.pop(name, None)
        break
    else:
        made.scores[name], made.missing[name] = None, why
    if number:
        made.tries[name] = number + 1


def fitted(result: Image, source: Image, notes: list[str]) -> Image:
    """Return the result in the size of the source, and note it where that changed it."""
    if result.size == source.size:
        return result
    notes.append(f"resized from {result.size[0]} x {result.size[1]} to {source.size[0]} x {source.size[1]}")
    return Image.open(result.pil().convert("RGB").resize(source.size, Pillow.Resampling.LANCZOS))
