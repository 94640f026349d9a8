"""How many instructions a builder plans as their writers meant them; a file tells which calls are right."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lego.builder.base import Builder, Request
from lego.builder.calls import Call, workflow_of
from lego.core.errors import PlanError, RecordError, WorkflowError
from lego.core.ledger import rows as rows_of
from lego.core.registry import Registry
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.rl import rewards, scenes


class Case(BaseModel):
    """An instruction and its right answers; none means that it is to be declined."""

    model_config = ConfigDict(extra="forbid")

    instruction: str = Field(min_length=1)
    language: Literal["en", "zh"] = "en"
    category: str = "other"
    calls: list[list[Call]] = []
    given: list[Literal["mask", "reference"]] = []


@dataclass(frozen=True)
class Outcome:
    """What a builder made of a case.

    Attributes:
        right: as meant, or declined where that was right.
        wrong: it would edit something that was not asked; a needless refusal is not wrong in this sense.
        graph: agreement with the best reference, 0..1 (see `rewards.plan`); of refusals 1 or 0.
        seconds: that planning took.
        plan: the workflow as data, or the refusal's words.
    """

    case: Case
    right: bool
    wrong: bool
    graph: float
    seconds: float
    plan: Any


def cases(path: str | Path) -> list[Case]:
    """Read a file with one JSON object a line.

    Raises:
        RecordError: no such file, or a broken line; ``where`` names it.
    """
    found = [case for _, case in rows_of(Path(path), Case, "give a file of instructions")]
    if not found:
        raise RecordError("there are no instructions in it", where=str(path), hint="one JSON object a line")
    return found


def run(
    builder: Builder, path: str | Path, registry: Registry, progress: Callable[[float], None] = lambda share: None
) -> Iterator[Outcome]:
    """Let a builder plan every case of a file; yield what came of each.

    Raises:
        RecordError: a line is broken, or an answer is no valid plan; checked before the first one is planned.
    """
    todo = cases(path)
    answers = [_answers(case, registry, f"{path}, instruction {n}") for n, case in enumerate(todo, 1)]
    for number, (case, right) in enumerate(zip(todo, answers, strict=True), 1):
        yield _judged(builder, case, right, registry)
        progress(number / len(todo))


def table(outcomes: Sequence[Outcome]) -> list[tuple[str, int, float, float, float]]:
    """Rows of category, count, shares right and wrong, mean agreement; languages and the whole at the end."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.case.category, []).append(outcome)
    rows = sorted(groups.items())
    rows += [
        (name, [o for o in outcomes if o.case.language == key]) for key, name in (("en", "English"), ("zh", "Chinese"))
    ]
    rows.append(("all", list(outcomes)))
    return [
        (name, len(g), _mean([o.right for o in g]), _mean([o.wrong for o in g]), _mean([o.graph for o in g]))
        for name, g in rows
        if g
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _answers(case: Case, registry: Registry, where: str) -> list[Workflow]:
    found = []
    for calls in case.calls:
        try:
            flow = workflow_of(calls, registry, case.given)
            flow.bind(registry, _kinds(case))
        except WorkflowError as error:
            raise RecordError(f"the answer to '{case.instruction}' is no plan: {error}", where=where) from None
        found.append(flow)
    return found


def _kinds(case: Case) -> dict[str, str]:
    return {"image": "image", **{name: "mask" if name == "mask" else "image" for name in case.given}}


def _judged(builder: Builder, case: Case, right: Sequence[Workflow], registry: Registry) -> Outcome:
    values = _values(case)
    request = Request(values["image"], case.instruction, tuple(registry.running()), tuple(case.given), values)  # type: ignore[arg-type]  # "image" is one
    start = time.perf_counter()
    try:
        flow = builder.plan(request).workflow
    except PlanError as error:
        seconds = time.perf_counter() - start
        return Outcome(case, not right, False, float(not right), seconds, str(error))
    seconds = time.perf_counter() - start
    if not right:
        return Outcome(case, False, True, 0.0, seconds, flow.dump())
    agrees = rewards.agree(flow, right, registry, _kinds(case))
    graph = rewards.plan(flow, right, registry, _kinds(case)).terms.get("graph", 0.0)
    return Outcome(case, agrees, not agrees, graph, seconds, flow.dump())


def _values(case: Case) -> Mapping[str, Image | Mask]:
    """A picture, and a drawn mask (no mere box) or a second picture where the case has one."""
    scene = scenes.render(scenes.make(3), (96, 96))
    values: dict[str, Image | Mask] = {"image": scene.image}
    if "mask" in case.given:
        y, x = np.mgrid[:96, :96]
        values["mask"] = Mask(np.hypot(x - 48, y - 48) < 20)
    if "reference" in case.given:
        values["reference"] = scenes.render(scenes.make(4), (96, 96)).image
    return values
