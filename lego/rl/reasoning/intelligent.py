"""Edits that need an answer first, made without a model: riddles over scenes, their targets, and how they are checked.

The target is what the workflow gives; what should have come out is held against it by the scene's truth. What fails is
not kept, and another riddle of the same category is made in its stead.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, TypeAlias

from lego import __version__
from lego.builder.base import Request
from lego.builder.calls import thought_of, workflow_of
from lego.core.errors import LegoError, SettingsError
from lego.core.registry import Registry, registry
from lego.core.workflow import Workflow
from lego.editor import Editor
from lego.rl.instructions import Task, language_of
from lego.rl.phrasings import Split
from lego.rl.reasoning import readings, riddles, staging
from lego.rl.reasoning.desk import HOLDING, NAMED, Desk, Riddle
from lego.rl.reasoning.leaks import leaked
from lego.rl.records import Record

CATEGORIES = ("shape", "color", "count", "knowledge", "location", "caption", "ocr", "math")
MIXES: dict[str, dict[str, float]] = {
    # of Uni-Edit's sets of 40 and of 148 thousand, in percent; and as many of each
    "40k": {"location": 37.8, "shape": 20.0, "count": 16.1, "color": 16.1, "math": 2.5, "caption": 2.5, "ocr": 2.5,
            "knowledge": 2.5},
    "148k": {"caption": 33.3, "ocr": 20.8, "count": 13.5, "location": 10.3, "math": 8.1, "shape": 5.5, "color": 4.4,
             "knowledge": 4.1},
    "equal": dict.fromkeys(CATEGORIES, 12.5),
}  # fmt: skip
SOURCE = "scenes"
Makers: TypeAlias = Mapping[str, tuple[tuple[str, Callable[[Desk], Riddle]], ...]]
TRIES = 200  # of a riddle, until one comes out right
MAKERS: Makers = {
    "shape": (("a", riddles.shape_if), ("b", riddles.shape_add)),
    "color": (("a", riddles.color_if), ("b", riddles.color_add)),
    "count": (("a", riddles.count_if), ("b", riddles.count_add)),
    "knowledge": (("a", readings.knowledge_written), ("b", readings.knowledge_put)),
    "location": (("b", riddles.location),),
    "caption": (("b", readings.caption),),
    "ocr": (("b", readings.ocr),),
    "math": (("b", readings.maths),),
}

POINTED = {"location": 3, "shape": 2, "color": 2, "count": 2, "knowledge": 1}  # shares of what calls can point at
POINTERS: Makers = {  # and what makes them
    "location": MAKERS["location"],
    "shape": MAKERS["shape"][:1],
    "color": MAKERS["color"],
    "count": MAKERS["count"][:1],
    "knowledge": MAKERS["knowledge"][1:],
}


class Riddles:
    """Makes records of riddles by their numbers; the same seed, number and options give the same one.

    Args:
        language: "en", "zh" or "both".
        split: "train", "val" or "test"; they share no scene and no wording.
        mix: shares of the categories.
        makers: what makes a riddle of each, by template; all by default.
    """

    def __init__(
        self,
        seed: int = 0,
        language: str = "both",
        split: Split = "train",
        mix: Mapping[str, float] | None = None,
        makers: Makers | None = None,
    ) -> None:
        self.seed, self.language, self.split, self.mix = seed, language, split, dict(mix or MIXES["40k"])
        self.makers = makers or MAKERS
        self.editor = Editor("rules")
        self.lost: dict[str, int] = {}  # riddles that were not kept, by the reason

    def lesson(self, number: int) -> Record | None:
        """Return the record of a number, 0 or more; None if no riddle came out right."""
        for riddle, desk, told in self.riddles(number):
            record = self._kept(riddle, desk, told)
            if record:
                return record
        return None

    def riddles(self, number: int) -> Iterator[tuple[Riddle, Desk, dict[str, str]]]:
        """Yield up to `TRIES` riddles of a number, each with the desk that it was made at, its key and category."""
        key = key_of(self.seed, self.language, self.split, self.mix, number)
        random = Random(f"intelligent {key}")
        category = category_of(self.mix, number)
        language = language_of(random, self.language)
        template, make = random.choice(self.makers[category])
        holds, named = random.random() < HOLDING, random.random() < NAMED
        for _ in range(TRIES):
            desk = Desk(random, language, self.split, holds=holds, named=named)
            with contextlib.suppress(LookupError):  # this scene does not suit; not counted, the next one may
                yield make(desk), desk, {"key": key, "category": category, "template": template}

    def _kept(self, riddle: Riddle, desk: Desk, told: dict[str, Any]) -> Record | None:
        """Run the workflow and check all; None if something is wrong."""
        if leaks(riddle):
            return self._lose("it tells the answer")
        image = desk.drawing(riddle.scene).image
        workflow = workflow_for(riddle)
        try:
            target = self.editor.run(workflow, image, seed=0).image
        except LegoError as error:
            return self._lose(f"the workflow fails: {error.code}")
        wrong = staging.faults(image, target, riddle.scene, riddle.where, riddle.facts, riddle.touched)
        if wrong:
            return self._lose(wrong[0])
        facts = {
            "source": SOURCE, **told, "seed": self.seed, "split": self.split, "scene": riddle.scene.seed,
            "question": riddle.question, "answer": riddle.answer, "condition": riddle.condition, "named": riddle.named,
            "holds": riddle.holds, "wordings": desk.used, "version": __version__,
        }  # fmt: skip
        return Record(
            image, riddle.instruction, desk.language, (), workflow, target, riddle.where, facts  # type: ignore[arg-type]  # "en" or "zh"
        )  # fmt: skip

    def _lose(self, why: str) -> Record | None:
        self.lost[why] = self.lost.get(why, 0) + 1
        return None


def tasks(registry: Registry, split: Split = "train", seed: int = 0) -> Iterator[Task]:
    """Yield riddles without end as tasks for a builder that writes calls; the same seed gives the same ones.

    Their plans name things in words of the instruction, and by their boxes what it has no words for (shapes are found
    by such words only where a network finds nouns). They come from the truth of the scenes, without a run; where
    nothing is to be done the plan has no steps. Riddles whose edits calls cannot point at (writing, drawing, pasting)
    are left out.
    """
    maker = Riddles(seed, split=split, mix=POINTED, makers=POINTERS)
    offered = tuple(registry)
    for number in itertools.count():
        riddle, desk, _ = next(maker.riddles(number), (None, None, None))
        if riddle and desk and (riddle.pointed or not riddle.holds) and not leaks(riddle):
            image = desk.drawing(riddle.scene).image
            request = Request(image, riddle.instruction, offered)
            workflow = workflow_of(riddle.pointed, offered)
            thought = thought_of(riddle.said, riddle.pointed) if riddle.pointed else ""
            yield Task(request, workflow, desk.language, riddle.pointed, thought=thought, mask=riddle.where)


def leaks(riddle: Riddle) -> frozenset[str]:
    """Return what a riddle tells of its answer; a condition that names a value is left out, as it may be wrong."""
    words = riddle.instruction.casefold()
    if riddle.named:
        words = words.replace(riddle.condition.casefold(), " ")
    return leaked(words, riddle.answer, strict=True)


def workflow_for(riddle: Riddle) -> Workflow:
    """Return the workflow of a riddle; one without steps where nothing is to be done."""
    if riddle.steps:
        return Workflow.load({"version": 1, "steps": list(riddle.steps), "result": f"${riddle.steps[-1]['id']}"})
    if riddle.calls:
        return workflow_of(riddle.calls, registry)
    return Workflow.load({"version": 1, "steps": [], "result": "$image"})


def category_of(mix: Mapping[str, float], number: int) -> str:
    """Return the category of a number; of the first ones, however many, each category has its share to within one.

    Each number goes to the category whose next record is due first, at (records so far + one half) / share.
    """
    total = sum(mix.values())
    shares = {name: share / total for name, share in mix.items() if share > 0}
    due = {name: math.floor(max(0, number - len(shares)) * share) for name, share in shares.items()}
    for _ in range(number - sum(due.values())):
        due[_next(shares, due)] += 1
    return _next(shares, due)


def _next(shares: Mapping[str, float], due: Mapping[str, int]) -> str:
    return min(shares, key=lambda name: ((due[name] + 0.5) / shares[name], name))


def mix_of(text: str) -> dict[str, float]:
    """Read a mix: one of `MIXES`, or shares such as ``"count=2,color=1"``; categories that are left out get none.

    Raises:
        SettingsError: it is none.
    """
    if text in MIXES:
        return MIXES[text]
    hint = f"give one of {', '.join(MIXES)}, or shares of {', '.join(CATEGORIES)}, such as count=2,color=1"
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        if name.strip() not in CATEGORIES or not share.strip().replace(".", "", 1).isdigit():
            raise SettingsError(f"'{text}' is no mix", hint=hint, code="bad_mix")
        mix[name.strip()] = float(share)
    if not sum(mix.values()):
        raise SettingsError(f"'{text}' has no category", hint=hint, code="bad_mix")
    return mix


def key_of(seed: int, language: str, split: str, mix: Mapping[str, float], number: int) -> str:
    """Return what names the record of a number."""
    shares = ",".join(f"{name}={share:g}" for name, share in sorted(mix.items()))
    name = hashlib.blake2b(shares.encode(), digest_size=3).hexdigest()
    return f"{SOURCE} {language} {split} {name} {seed} {number}"


def made(seed: int, language: str, split: Split, mix: Mapping[str, float]) -> Riddles:
    """Return what makes records with the tools of the package; a process of its own can call it."""
    return Riddles(seed, language, split, mix)
