"""Reflection lessons without a model: trials with known truth, done right or spoilt on purpose, and the right verdict.

After ReasonEdit's set (arXiv 2511.22625): source, result and target, with success, refine and failed as 3:1:1. What is
counted is what was spoilt; a result passes as right only if its pixels are (`Trial.done`), and as spoilt only if not.
Kinds of flaws in `lego.rl.flaws.HELD` are left out: critics are measured by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
from pydantic import JsonValue

from lego import __version__
from lego.builder.calls import Call, workflow_of
from lego.builder.verdict import Assessment, Conclusion, Scores
from lego.core.errors import LegoError
from lego.core.values import Image
from lego.editor import Editor
from lego.rl import flaws, trials
from lego.rl.instructions import language_of
from lego.rl.pictures import names
from lego.rl.reasoning import reflection_words as words
from lego.rl.reasoning.lessons import Language, Outcome, Provenance, Reflection
from lego.rl.scenes import Item
from lego.rl.trials import Trial

SHARES: dict[str, float] = {"success": 0.6, "refine": 0.2, "failed": 0.2}
BANDS: dict[str, tuple[float, float]] = {"success": (9, 10), "refine": (3.5, 8.99), "failed": (0, 3.4)}  # of scores
SOURCE = "trials"
FIRST, LAST = 1_000_000, 2_000_000_000  # numbers of trials; those below are for measuring critics
TRIES = 200  # of a lesson, until a trial fits and its result is what it should be
OVERDONE = 2.5  # times what was asked for
LIMITS = {"exposure": 2.5, "temperature": 80.0, "saturation": 100.0, "contrast": 90.0}
KINDS: dict[str, tuple[str, ...]] = {
    "success": ("",),
    "refine": ("left out", "left out", "overdone"),
    "failed": ("opposite", "other thing", "idle", "spilling", "seam", "patch", "black"),
}
ENGLISH = ("other thing",)  # kinds that `lego.rl.flaws` makes of English trials alone
LOOKS: dict[str, tuple[float, float]] = {  # naturalness and cleanness by what was spoilt
    "": (9.5, 9.5), "left out": (9.5, 9.5), "overdone": (6, 8), "opposite": (9, 9.5), "other thing": (9.5, 9.5),
    "idle": (10, 10), "spilling": (4, 4), "seam": (4, 2), "patch": (3, 2), "black": (0, 0),
}  # fmt: skip
PARTS = ("done", "lacking", "wrong")
SEEN = 2.0  # of 255: a change that was due
LEAST = {"": 0.9, "spilling": 0.8, "seam": 0.8}  # of what was asked for, where it was done
HALF = 0.5  # of what was asked for, where it was overdone
ASTRAY = 5.0  # times the share of pixels far off that were to stay: a fifth of the picture leaves nothing of the score
UNNAMED = Provenance(source=SOURCE, key="none", seed=0, version=__version__)


@dataclass(frozen=True)
class _Tried:
    """A trial with a result: what was done of it, what not, and what else is to be seen."""

    trial: Trial
    result: Image
    kind: str = ""
    done: tuple[Call, ...] = ()
    lacking: tuple[Call, ...] = ()
    wrong: tuple[Call, ...] = ()
    then: str = ""


class Reflections:
    """Makes reflection lessons; the same seed and number give the same one.

    Args:
        language: "en", "zh" or "both".
    """

    def __init__(self, seed: int = 0, language: str = "both") -> None:
        self.seed, self.language = seed, language
        self.editor = Editor("rules")

    def lesson(self, number: int) -> Reflection | None:
        """Return the lesson of a number, 0 or more; None if no trial was found that fits."""
        key = key_of(self.seed, self.language, number)
        random = Random(f"reflection {key}")
        outcome = outcome_of(random)
        language = language_of(random, self.language)
        kind = random.choice([kind for kind in KINDS[outcome] if language == "en" or kind not in ENGLISH])
        for _ in range(TRIES):
            trial = trials.trial(random.randrange(FIRST, LAST))
            tried = self._tried(random, trial, kind) if trial.language == language else None
            lesson = tried and _lesson(random, tried, outcome, language)
            if lesson:
                facts: dict[str, JsonValue] = {"trial": trial.number, "spoilt": kind}
                made = Provenance(source=SOURCE, key=key, seed=self.seed, version=__version__, facts=facts)
                return replace(lesson, provenance=made)
        return None

    def _tried(self, random: Random, trial: Trial, kind: str) -> _Tried | None:
        """Carry a trial out, spoilt in one way; None where that way does not fit, or the result does not show it.

        Trials that the tools cannot do right are passed over: what is wrong with their results is not known.
        """
        right = self._run(trial, trial.calls)
        if right is None or not trial.done(right):
            return None
        if not kind:
            return _Tried(trial, right, done=trial.calls)
        if kind == "left out":
            found = self._left_out(random, trial)
        elif kind == "overdone":
            found = self._overdone(trial)
        elif kind in flaws.PLANS:
            found = self._spoilt(random, trial, kind)
        else:
            found = _marred(random, trial, right, kind)
        return found if found and not trial.done(found.result) else None

    def _left_out(self, random: Random, trial: Trial) -> _Tried | None:
        spoilt = flaws.spoil(trial, "left out", random.randrange(1 << 30))
        result = self._run(trial, spoilt.calls) if spoilt else None
        if not spoilt or not result:
            return None
        lacking = tuple(call for call in trial.calls if call not in spoilt.calls)
        return _Tried(trial, result, "left out", spoilt.calls, lacking, then=spoilt.then)

    def _overdone(self, trial: Trial) -> _Tried | None:
        at = next((n for n, call in enumerate(trial.calls) if call.tool in LIMITS), None)
        if at is None:
            return None
        call, limit = trial.calls[at], LIMITS[trial.calls[at].tool]
        amount = max(-limit, min(limit, OVERDONE * call.args[call.tool]))
        calls = list(trial.calls)
        calls[at] = call.model_copy(update={"args": {call.tool: amount}})
        form = words.NEXT.get((words.form_of(call), trial.language))
        result = self._run(trial, calls) if form else None
        if not form or not result:
            return None
        then = form.format(x=call.on or {"en": "the picture", "zh": "照片"}[trial.language])
        return _Tried(trial, result, "overdone", trial.calls, then=then)

    def _spoilt(self, random: Random, trial: Trial, kind: str) -> _Tried | None:
        """A flawed plan: one of the calls was changed."""
        spoilt = flaws.spoil(trial, kind, random.randrange(1 << 30))
        result = self._run(trial, spoilt.calls) if spoilt else None
        if not spoilt or not result:
            return None
        done = tuple(call for call in trial.calls if call in spoilt.calls)
        lacking = tuple(call for call in trial.calls if call not in spoilt.calls)
        wrong = tuple(call for call in spoilt.calls if call not in trial.calls)
        return _Tried(trial, result, kind, done, lacking, wrong)

    def _run(self, trial: Trial, calls: Sequence[Call]) -> Image | None:
        try:
            return self.editor.run(workflow_of(calls, self.editor.registry), trial.image, seed=0).image
        except LegoError:
            return None


def _marred(random: Random, trial: Trial, right: Image, kind: str) -> _Tried | None:
    """A result that was marred after the right calls."""
    if right.size != trial.image.size or (kind in ("seam", "patch") and trial.mask is None):
        return None  # there is no place to see it at
    result = flaws.mar(kind, trial.image, right, trial.mask, random.randrange(1 << 30))
    lacking = trial.calls if kind in ("idle", "black", "patch") else ()
    return _Tried(trial, result, kind, () if lacking else trial.calls, lacking)


def key_of(seed: int, language: str, number: int) -> str:
    """Return what names the lesson of a number."""
    return f"{SOURCE} {language} {seed} {number}"


def made(seed: int, language: str) -> Reflections:
    """Return what makes lessons with the tools of the package; a process of its own can call it."""
    return Reflections(seed, language)


def outcome_of(random: Random) -> Outcome:
    """Draw the outcome of a lesson."""
    return random.choices(list(SHARES), list(SHARES.values()))[0]  # type: ignore[return-value]  # one of its keys


def agrees(outcome: str, assessment: Assessment) -> bool:
    """Does the capped score of an assessment fit the outcome?"""
    low, high = BANDS[outcome]
    return low <= assessment.score <= high


def _lesson(random: Random, tried: _Tried, outcome: Outcome, language: Language) -> Reflection | None:
    """Put a result into words; None where there are none for one of its calls."""
    trial = tried.trial
    parts = {name: [words.seen(random, call, language) for call in getattr(tried, name)] for name in PARTS}
    done, lacking, wrong = ([part for part in parts[name] if part] for name in PARTS)
    if None in (*parts["done"], *parts["lacking"], *parts["wrong"]):
        return None
    scores = _scores(tried)
    thought = [
        words.sentence(random, (words.PARTLY if tried.kind else words.RIGHT)[language], done, language),
        words.sentence(random, words.LACK[language], lacking, language),
        words.sentence(random, words.INSTEAD[language], wrong, language),
        _flaw(random, tried, language),
        words.kept(random, trial.calls, language) if outcome != "failed" else "",
        random.choice(words.CLOSE[outcome, language]),
    ]
    return Reflection(
        trial.image, tried.result, trial.target, trial.instruction, "", language,
        _description(random, trial, language), _assessment(random, tried, language, scores),
        Conclusion(outcome, words.paragraph(thought, language), tried.then), scores, UNNAMED,
    )  # fmt: skip


def _description(random: Random, trial: Trial, language: Language) -> str:
    """How the target looks."""
    removed = {call.on for call in trial.calls if call.tool == "remove"}
    gone = [number for number, item in enumerate(trial.scene.items) if removed & set(_called(item))]
    tools = {call.tool for call in trial.calls}
    shown = words.things(random, trial.scene.without(*gone), language, "flip" in tools) if "crop" not in tools else ""
    seen = words.joined(_some([words.seen(random, call, language) for call in trial.calls]), language)
    end = "." if language == "en" else "。"
    return words.paragraph([shown, f"{seen}{end}", words.kept(random, trial.calls, language)], language)


def _called(item: Item) -> tuple[str, str]:
    english, chinese = names(item)
    return f"the {english}", chinese


def _flaw(random: Random, tried: _Tried, language: Language) -> str:
    ways = words.FLAWS.get((tried.kind, language))
    return random.choice(ways) if ways else ""


def _assessment(random: Random, tried: _Tried, language: Language, scores: Scores) -> Assessment:
    """Counts of what was spoilt, as it is to be seen in the result alone."""
    kind, lacking = tried.kind, len(tried.lacking)
    named = tried.lacking if kind else tried.done
    ways = words.LACK if kind else words.RIGHT
    said = words.sentence(random, ways[language], _some([words.seen(random, c, language) for c in named]), language)
    if not kind:
        return Assessment("yes", 0, 0, 0, 0, round(9 + scores.success / 10, 1), said)
    reason = words.paragraph([said, _flaw(random, tried, language) if kind != "idle" else ""], language)
    meets = "no" if lacking == len(tried.trial.calls) else "yes" if kind in ("spilling", "seam") else "partial"
    if kind == "left out":
        return Assessment(meets, 0, 0, lacking, 0, random.choice((4.0, 4.5, 5.0)), reason)
    if kind == "overdone":
        return Assessment(meets, 0, 1, 0, 0, random.choice((4.5, 5.0, 5.5, 6.0)), reason)
    major = {"opposite": 1, "spilling": 1, "seam": 1, "patch": 1, "black": 2}.get(kind, 0)
    made_up = int(kind in ("other thing", "spilling"))
    omissions = lacking if kind in ("other thing", "idle", "black") else 0
    raw = 0.0 if kind == "black" else random.choice((0.5, 1.0, 1.5) if meets == "no" else (2.0, 2.5, 3.0))
    return Assessment(meets, major, 0, omissions, made_up, raw, reason)


def _scores(tried: _Tried) -> Scores:
    """What is as it should be: by the calls where some are lacking, else measured against the target."""
    trial, kind = tried.trial, tried.kind
    natural, clean = LOOKS[kind]
    if tried.result.size != trial.target.size or trial.image.size != trial.target.size:
        return Scores(round(10 * len(tried.done) / len(trial.calls), 1), 10.0, natural, clean)
    off, due = (np.abs(image.pixels.astype(np.float32) - trial.target.pixels).mean(-1)
                for image in (tried.result, trial.image))  # fmt: skip
    place = due > SEEN
    near = float((off <= trials.DONE * due)[place].mean()) if place.any() else 1.0
    near = max(near, LEAST.get(kind, 0.0)) if kind != "overdone" else HALF
    near = len(tried.done) / len(trial.calls) if tried.lacking else near
    astray = (off > trials.FAR) if kind in ("spilling", "black") else (off > trials.FAR) & ~place
    return Scores(round(10 * near, 1), round(10 * (1 - min(1.0, ASTRAY * float(astray.mean()))), 1), natural, clean)


def _some(parts: Sequence[str | None]) -> list[str]:
    return [part for part in parts if part]
