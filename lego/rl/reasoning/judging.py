"""Reflection lessons of a pool: a builder edits its pictures, and a model judges what came out."""

from __future__ import annotations

import json

from pydantic import JsonValue

from lego import __version__
from lego.builder import verdict
from lego.builder.base import Builder, Request, Review
from lego.builder.judge import Judge
from lego.builder.served import ABSENT
from lego.builder.talker import Talker
from lego.builder.verdict import FLAWED, LACKING, Conclusion, Verdict
from lego.core.errors import ImageError, PlanError, StepError, WorkflowError
from lego.core.values import Image
from lego.editor import Editor, EditResult
from lego.rl.reasoning.asking import Unfit
from lego.rl.reasoning.lessons import Provenance, Reflection
from lego.rl.reasoning.pool import Wish


class Jury:
    """Edits wishes and lets a model judge the results; may be used by several threads.

    Args:
        talker: who judges.
        builder: who plans; None for that of the settings.
        source: the name of the pool.
        seed: of the edits and of answers that are sampled.
    """

    def __init__(self, talker: Talker, builder: str | Builder | None, source: str, seed: int = 0) -> None:
        self.judge, self.source, self.seed = Judge(talker), source, seed
        self.editor = Editor(builder)

    def lesson(self, wish: Wish) -> Reflection:
        """Make a lesson.

        Raises:
            Unfit: no picture came out, or no whole verdict.
            ImageError: the picture cannot be read.
            PlanError: the model cannot be asked.
        """
        image = wish.image()
        made = edited(self.editor, image, wish.instruction, self.seed)
        rewritten = made.plan.concrete if made.plan else ""
        request = Request(image, wish.instruction, tuple(self.editor.registry.running(self.editor.pool)))
        found = self.judge.review(
            Review(image, made.image, wish.instruction, rewritten, request, made.workflow, (), _unrun, self.seed)
        )
        assessment = verdict.assessment(json.dumps(found.facts["assessment"]))
        if assessment is None or not found.facts["expected"] or found.outcome == "missing":
            raise Unfit("the judge gave no whole verdict")
        if not agree(found, assessment.score):
            raise Unfit("the judge's score and outcome disagree")
        if found.then.strip() == wish.instruction:
            raise Unfit("the judge's next instruction only repeats the first")
        name = self.judge.name
        facts: dict[str, JsonValue] = {"builder": self.editor.builder.name, "workflow": made.workflow.dump()}
        kept = Provenance(
            source=self.source, key=wish.key, seed=self.seed, version=__version__, model=name, facts=facts
        )
        return Reflection(
            image, made.image, wish.aim(), wish.instruction, rewritten, wish.language, found.facts["expected"],
            assessment, Conclusion(found.outcome, found.reason, found.then), found.scores, kept,
        )  # fmt: skip


def edited(editor: Editor, image: Image, words: str, seed: int) -> EditResult:
    """Edit a picture without looking at the result.

    Raises:
        Unfit: no picture came out.
        PlanError: the model that plans cannot be asked.
    """
    try:
        made = editor.edit(image, words, seed=seed, rounds=0)
    except (ImageError, PlanError, StepError, WorkflowError) as error:
        if error.code in ABSENT:
            raise
        raise Unfit(f"no picture came out: {error.code}") from None
    if not made.images:
        raise Unfit("no picture came out: words alone")
    return made


def agree(found: Verdict, score: float) -> bool:
    """Can a capped score and an outcome both be meant? Success below 7 and failure without a flaw cannot."""
    return not (found.outcome == "success" and score < LACKING) and not (found.outcome == "failed" and score > FLAWED)


def _unrun(*given: object) -> tuple[object, ...]:
    """A judge that looks measures nothing."""
    raise AssertionError("this judge runs no workflows")
