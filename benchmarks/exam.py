"""How many held-out tasks a builder plans as meant, by kind; and what it makes of the same words over other pictures.

    python benchmarks/exam.py nano --count 600

"known" asks in phrasings of the training about things that it never saw, "unseen" in phrasings that it never saw.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import replace

import lego.tools  # noqa: F401  # registers them
from lego.builder import open as open_builder
from lego.builder.base import Builder
from lego.core.errors import PlanError
from lego.core.registry import registry
from lego.rl import instructions
from lego.rl.env import meant
from lego.rl.instructions import Task

SEEN = ("fault seen", "place seen")  # kinds whose answer is in the picture


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("builder", help="a name, or the folder of a checkpoint")
    options.add_argument("--count", type=int, default=600, help="tasks of each sort")
    options.add_argument("--split", choices=("val", "test"), default="test")
    asked = options.parse_args()
    builder = open_builder(asked.builder)
    columns: list[dict[str, list[bool]]] = []
    for unseen in (False, True):
        tasks = list(itertools.islice(instructions.tasks(registry, asked.split, 77, unseen), asked.count))
        columns.append(tally(builder, tasks))
    found = [task for task in tasks if kind(task) in SEEN]
    swapped = [
        replace(one, request=_with_picture(one, other))
        for one, other in zip(found, [*found[1:], *found[:1]], strict=True)
    ]
    columns.append({name: hits for name, hits in tally(builder, swapped).items() if name in SEEN})
    print(f"{asked.builder}, split {asked.split}\n\n{'':14}{'known':>14}{'unseen':>14}{'other picture':>14}")
    for name in sorted({name for column in columns for name in column}, key=lambda n: (n == "all", n)):
        print(
            f"{name:14}" + "".join(f"{_share(column.get(name)):>{14 + 2 * n // 2}}" for n, column in enumerate(columns))
        )


def tally(builder: Builder, tasks: Sequence[Task]) -> dict[str, list[bool]]:
    """Whether each task was planned as meant, by kind and language."""
    hits: dict[str, list[bool]] = {}
    for task in tasks:
        right = as_meant(builder, task)
        for name in (kind(task), {"en": "English", "zh": "Chinese"}[task.language], "all"):
            hits.setdefault(name, []).append(right)
    return hits


def as_meant(builder: Builder, task: Task) -> bool:
    """Is the plan the one that was asked for, or declined where that was right?"""
    try:
        plan = builder.plan(task.request).workflow
    except PlanError:
        return task.workflow is None
    return meant(task, plan)


def kind(task: Task) -> str:
    """What is hard about a task."""
    if task.workflow is None:
        return "to decline"
    if task.seen:
        return SEEN[0]
    if any(call.on.startswith("box: ") for call in task.calls):
        return SEEN[1]
    if task.invented:
        return "new tool"
    return f"{len(task.source)} wish" + "es" * (len(task.source) > 1)


def _with_picture(task: Task, other: Task) -> instructions.Request:
    image = other.request.image
    return replace(task.request, image=image, values={**task.request.values, "image": image})


def _share(hits: Sequence[bool] | None) -> str:
    return f"{sum(hits) / len(hits):.0%} of {len(hits)}" if hits else ""


if __name__ == "__main__":
    main()
