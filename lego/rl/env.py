"""The environment of reinforcement: from what a model wrote to what it is worth, many at once.

Whatever goes wrong with a plan is part of its worth. Only a reward that is no number stops the training.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from lego.builder.prompt import Form, kinds_of, registry_of
from lego.core.errors import LegoError, PlanError, TrainingError
from lego.core.registry import Registry
from lego.core.settings import Settings
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.editor import Editor
from lego.rl import rewards
from lego.rl.recipe import Grpo
from lego.rl.supply import Task

CACHE = 512  # MB of results that the plans of a group share


@dataclass(frozen=True)
class Judged:
    """What an answer is worth, 0..1 (None: it is to be left out), its terms, and why it is low."""

    total: float | None
    terms: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


class Environment:
    """Judges answers.

    Args:
        form: that answers are read in.
        registry: the tools that can run.
        stage: weights and limits. With weights for "plan" (graph match), "exact" (as meant) and "picture" (agreement
            with the target) the total is their weighted mean, over those that are known for the task. With a weight
            for "free" it is `critics.without_truth`, and refusals are left out.
        threads: plans judged at once.
        backend: whose hands run them; None as in the settings.
    """

    def __init__(
        self, form: Form, registry: Registry, stage: Grpo, threads: int = 4, backend: str | None = None
    ) -> None:
        self.form = form
        self.stage = stage
        limits = {"timeout": stage.picture_timeout, "cache_memory_mb": CACHE, "backend": backend}
        self.editor = Editor("rules", registry=registry, settings=Settings.load(limits))
        self.editor.executor.backend.ready()
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="judge")
        self.weights: dict[str, float] = dict(stage.weights)  # type: ignore[arg-type]  # narrower names are names

    def judge(self, tasks: Sequence[Task], texts: Sequence[str]) -> list[Judged]:
        """Judge answers, each to its task, side by side.

        Raises:
            TrainingError: a term is no number; ``where`` names it and the sample.
        """
        found = list(self.pool.map(self._judged, tasks, texts))
        for number, (task, judged) in enumerate(zip(tasks, found, strict=True)):
            for name, value in [*judged.terms.items(), ("total", judged.total)]:
                if value is not None and not math.isfinite(value):
                    hint = "mend the reward; samples that cannot be judged are worth None"
                    where = f"reward '{name}', sample {number}: {task.request.instruction[:60]!r}"
                    raise TrainingError(f"a reward is {value}", where=where, hint=hint)
        return found

    def _judged(self, task: Task, text: str) -> Judged:
        try:
            return self._worth(task, text)
        except TrainingError:
            raise
        except Exception as error:  # a tool may raise anything: the plan is worth nothing, and the run goes on
            return Judged(0.0, {}, f"{type(error).__name__}: {error}")

    def _worth(self, task: Task, text: str) -> Judged:
        truth = "free" not in self.weights
        plan = None
        try:
            plan = self.form.read(text, task.request).workflow
        except PlanError as error:
            if error.code != "declined":
                return Judged(0.0, {"read": 0.0}, error.message)
        if plan is None or (truth and task.workflow is None):
            terms = {"read": 1.0, "declined": float(plan is None)}
            if not truth:  # a fixed worth would teach to refuse whatever is hard
                return Judged(None, terms, "refused: nobody can say whether that was right")
            return Judged(float(plan is None and task.workflow is None), terms)
        return self._against_truth(task, plan) if truth else self._free(task, plan)

    def _against_truth(self, task: Task, plan: Workflow) -> Judged:
        assert task.workflow is not None
        registry, kinds = registry_of(task.request.tools), kinds_of(task.request)
        graph = rewards.plan(plan, [task.workflow], registry, kinds)
        terms = {"read": 1.0, "declined": 0.0, "plan": graph.total}
        terms["exact"] = float(rewards.agree(plan, [task.workflow], registry, kinds))
        reason = ""
        if self.stage.execute:
            score, reason = self._run(task, plan)
            terms |= score
        known = {name: weight for name, weight in self.weights.items() if name in terms}
        total = sum(weight * terms[name] for name, weight in known.items()) / (sum(known.values()) or 1.0)
        return Judged(total, terms, reason)

    def _run(self, task: Task, plan: Workflow) -> tuple[dict[str, float], str]:
        """Did it run, and how near its picture is to the one that should come out, if that is known."""
        if any(step.tool not in self.editor.registry for step in plan.steps):
            return {}, ""  # a made-up tool: there is nothing to run
        values = task.request.values
        try:
            result = self.editor.run(plan, task.request.image, seed=0, **_others(values))
        except LegoError as error:
            target: Image | None = getattr(task, "target", None)
            return {"ran": 0.0, **({"picture": 0.0} if target else {})}, f"{error.code}: {error}"
        target = getattr(task, "target", None)
        if target is None or not result.images:
            return {"ran": 1.0}, ""
        near = rewards.picture(result.image, target, task.request.image, getattr(task, "mask", None))
        return {"ran": 1.0, "picture": near.total}, ""

    def _free(self, task: Task, plan: Workflow) -> Judged:
        from lego.rl import critics

        values = {"image": task.request.image, **task.request.values}
        found = critics.without_truth(task.request.instruction, plan, values, self.editor, self._judge)
        if found is None:
            return Judged(None, {}, "the judge gave no answer")
        return Judged(found.total, {"read": 1.0, "declined": 0.0, **found.terms})

    @functools.cached_property
    def _judge(self) -> Any:
        if self.stage.judge is None:
            return None
        from lego.rl.judges import Served

        return Served(self.stage.judge.url, self.stage.judge.model)

    def close(self) -> None:
        """Let the threads go."""
        self.pool.shutdown()


def right(task: Task, text: str, form: Form) -> bool:
    """Is an answer as the task's writer meant: the same calls, or a refusal where that was right?"""
    try:
        plan = form.read(text, task.request).workflow
    except PlanError as error:
        return task.workflow is None and error.code == "declined"
    return meant(task, plan)


def meant(task: Task, plan: Workflow) -> bool:
    """Is a plan the one that the task asks for?"""
    kinds = kinds_of(task.request)
    return task.workflow is not None and rewards.agree(plan, [task.workflow], registry_of(task.request.tools), kinds)


def _others(values: Mapping[str, Image | Mask]) -> dict[str, Any]:
    """Given values beside the picture, as `Editor.run` takes them."""
    references = [value for name, value in values.items() if name.startswith("reference")]
    return {"mask": values.get("mask"), "references": references}
