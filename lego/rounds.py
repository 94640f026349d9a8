"""The rounds of an edit: plan, run, look, and go on from the result or begin again, until it is right; the best wins.

After ReasonEdit (arXiv 2511.22625). A verdict "refine" goes on from the result with what is still to be done, "failed"
begins again from the source with a new seed and with what was wrong; a step that fails is learned from too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from lego.builder.base import Plan
from lego.builder.feedback import Feedback
from lego.builder.verdict import Verdict
from lego.core.errors import CancelledError, LegoError, PlanError, StepError, StepTimeoutError, WorkflowError
from lego.core.registry import Registry
from lego.core.trace import Noted, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.run import Cancel, Run

SEEDS = 2**32


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        given: "image" and what else was given.
        words: the user's own.
        concrete: these in concrete words, if they were abstract.
        rounds: how often a result may be sent round again; 0 takes the first and asks no critic.
        refine: may a round go on from the result of the one before? Else each begins from the source.
        feedback: what the user said of earlier results.
    """

    given: Mapping[str, Image | Mask]
    words: str
    concrete: str = ""
    seed: int = 0
    rounds: int = 0
    refine: bool = True
    feedback: tuple[Feedback, ...] = ()
    cancel: Cancel | None = None


@dataclass(frozen=True)
class Round:
    """One round: the plan, the workflow from the source on, what came out, and what the critic said of it."""

    plan: Plan
    workflow: Workflow
    given: Mapping[str, Image | Mask]
    run: Run
    seed: int
    verdict: Verdict | None = None

    @property
    def picture(self) -> Image:
        """The first picture among the results."""
        return next(value for value in self.run.results if isinstance(value, Image))

    @property
    def steps(self) -> Iterator[tuple[str, Image, Image]]:
        """The steps that made a picture, in order: the tool, what it was given, what it gave."""
        known: dict[str, Any] = {f"${name}": value for name, value in self.given.items()}
        for step in self.workflow.steps:
            made = self.run.outputs.get(step.id, {})
            known |= {f"${step.id}.{name}": value for name, value in made.items()}
            if len(made) == 1:
                known[f"${step.id}"] = next(iter(made.values()))
            picture = next((value for value in made.values() if isinstance(value, Image)), None)
            sources = (known.get(value) for value in step.args.values() if isinstance(value, str))
            source = next((value for value in sources if isinstance(value, Image)), None)
            if source is not None and picture is not None:
                yield step.tool, source, picture

    @property
    def pictured(self) -> bool:
        """Is there a picture among the results?"""
        return any(isinstance(value, Image) for value in self.run.results)


@dataclass(frozen=True)
class Try:
    """What a plan is asked for with.

    Attributes:
        start: the picture it is for, and what else was given that fits it.
        history: what was wrong before.
        without: tools that are not offered.
        tried: plans for this picture that did not do.
    """

    start: Mapping[str, Image | Mask]
    words: str
    history: tuple[str, ...] = ()
    tried: tuple[Workflow, ...] = ()
    without: frozenset[str] = frozenset()
    feedback: tuple[Feedback, ...] = ()


class Hands(Protocol):
    """Whoever plans, runs and looks: the editor."""

    @property
    def registry(self) -> Registry: ...

    def plan_of(self, attempt: Try, trace: Trace) -> Plan: ...

    def run_of(
        self, workflow: Workflow, given: Mapping[str, Image | Mask], seed: int, trace: Trace, cancel: Cancel | None
    ) -> Run: ...

    def verdict_on(self, wish: Wish, made: Round, number: int, trace: Trace) -> Verdict: ...


@dataclass
class Rounds:
    """One edit on its way."""

    hands: Hands
    wish: Wish
    trace: Trace
    done: list[Round] = field(default_factory=list)
    failures: list[LegoError] = field(default_factory=list)
    tried: list[Workflow] = field(default_factory=list)
    start: Round | None = None  # whose result the next round goes on from
    words: str = ""
    history: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    blamed: set[str] = field(default_factory=set)
    fresh: int = 0  # how often it began again from the source

    def make(self) -> int:
        """Make rounds until one is right, or none is left; return the number of the best.

        Raises:
            LegoError: no round gave anything.
        """
        self.words = self.wish.concrete or self.wish.words
        for _ in range(self.wish.rounds + 1):
            try:
                made = self._round()
            except CancelledError:
                raise
            except (PlanError, WorkflowError, StepTimeoutError) as error:
                self.failures.append(error)
                break
            except StepError as error:
                self._failed(error)
                continue
            if made is None:
                continue
            self.done.append(made)
            if made.verdict is None or made.verdict.outcome in ("success", "missing"):
                break
            self._turn(made, made.verdict)
        if not self.done:
            raise self.failures[0]
        if self.failures and self.wish.rounds:
            self.trace.add(Noted(f"a round came to nothing: {self.failures[-1].message}"))
        best = chosen(self.done)
        verdict = self.done[best].verdict
        if verdict and verdict.outcome != "success":
            self.trace.add(Noted(f"the critic does not vouch for it: {verdict.reason}"))
        return best

    def _round(self) -> Round | None:
        """Plan, run and look once; None where the plan is one that was tried before, and chance has no part in it."""
        plan = self._planned()
        workflow = self.start.workflow.then(plan.workflow) if self.start else plan.workflow
        seed = self.start.seed if self.start else (self.wish.seed + self.fresh) % SEEDS
        if workflow in self.tried and not any(self.hands.registry[step.tool].context for step in workflow.steps):
            self.history = (*self.history, "the same plan was tried before")
            return None
        self.tried.append(workflow)
        run = self.hands.run_of(workflow, self.wish.given, seed, self.trace, self.wish.cancel)
        made = Round(plan, workflow, self.wish.given, run, seed)
        if not self.wish.rounds or not made.pictured:
            return made
        verdict = self._known(made) or self.hands.verdict_on(self.wish, made, len(self.done), self.trace)
        return replace(made, verdict=verdict)

    def _planned(self) -> Plan:
        """Plan without the tools at fault, or with all where nothing can be planned so."""
        given = dict(self.wish.given)
        if self.start:
            picture = self.start.picture
            given = {name: v for name, v in given.items() if not isinstance(v, Mask) or v.size == picture.size}
            given["image"] = picture
        tried = () if self.start else tuple(self.tried)
        attempt = Try(given, self.words, self.history, tried, self.without, self.wish.feedback)
        if self.without:
            with contextlib.suppress(PlanError, WorkflowError):
                return self.hands.plan_of(attempt, self.trace)
        return self.hands.plan_of(replace(attempt, without=frozenset()), self.trace)

    def _failed(self, error: StepError) -> None:
        """Learn from a step that failed."""
        self.failures.append(error)
        self.history = (*self.history, f"the plan failed while it ran: {error}")
        self._restart()

    def _known(self, made: Round) -> Verdict | None:
        """The verdict on the same picture in an earlier round."""
        return next((r.verdict for r in self.done if r.picture.digest == made.picture.digest), None)

    def _turn(self, made: Round, verdict: Verdict) -> None:
        """Set out for the next round."""
        if verdict.outcome == "refine" and self.wish.refine and verdict.then:
            self.start, self.words, self.history = made, verdict.then, ()
            return
        self.history = (*self.history, *verdict.findings)
        faulty = set(verdict.facts.get("blamed", ()))
        tools = {step.tool for step in made.plan.workflow.steps} & faulty
        again = {name for name in tools if name in self.blamed or not self.hands.registry[name].context}
        self.without |= again
        self.blamed |= tools
        self._restart()

    def _restart(self) -> None:
        self.start, self.words = None, self.wish.concrete or self.wish.words
        self.fresh += 1


def chosen(rounds: Sequence[Round]) -> int:
    """Return the number of the best round: the highest value; of equals one that was accepted, then the later.

    Rounds that nobody could judge are no candidates; if there are no others, the last one is taken.
    """
    judged = [n for n, made in enumerate(rounds) if made.verdict and made.verdict.judged]
    if not judged:
        return len(rounds) - 1

    def rank(number: int) -> tuple[float, bool, int]:
        verdict = rounds[number].verdict
        assert verdict
        assert verdict.scores
        return verdict.scores.value, verdict.outcome == "success", number

    return max(judged, key=rank)
