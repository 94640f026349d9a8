"""Measure how long a small checkpoint takes to plan: cold, in a fresh process, and warm, part by part.

    python benchmarks/planning.py FOLDER

The folder is one that `lego train export` wrote. So that the figures do not depend on how well it was trained, the
warm answers are the teacher's: the network runs in full, and its choices are overruled.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import lego.tools  # noqa: F401  registers the embedded tools
from lego.builder.decode import Session, answers
from lego.builder.light import Light
from lego.builder.local import load
from lego.builder.planning import lean_of
from lego.core.errors import WorkflowError
from lego.core.registry import registry
from lego.rl import instructions

ROOT = Path(__file__).parents[1]
ROUNDS = 7
TASKS = 60  # for each number of calls
COLD = """
import time; start = time.perf_counter()
import numpy as np
from lego import Editor, Image
from lego.core.errors import PlanError
editor = Editor({folder!r})
imported = time.perf_counter()
try: editor.plan(Image(np.zeros((960, 1280, 3), np.uint8)), "remove the sign, make the sky warmer and crop it to 4:5")
except PlanError: pass
print(imported - start, time.perf_counter() - start)
"""


@dataclass
class Told:
    """A session that runs the network and then says what the teacher would."""

    session: Session
    ids: list[int]  # what the teacher has yet to say
    chosen: int = 0  # how many of these were said by `draw`, and will be fed

    def feed(self, blocks: Sequence[Sequence[int]]) -> None:
        (block,) = blocks
        del self.ids[: len(block) - self.chosen]  # what the grammar forced
        self.chosen = 0
        self.session.feed(blocks)

    def draw(self, places: Sequence[int], masks: Any, draws: Sequence[float], temperature: float, *more: Any) -> Any:
        self.session.draw(places, masks, draws, temperature, *more)
        self.chosen = 1
        return [(self.ids.pop(0), 0.0)]

    def keep(self, places: Sequence[int]) -> None: ...


def cold(folder: str) -> None:
    found = []
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", COLD.format(folder=folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        found.append([float(figure) for figure in done.stdout.split()])
    imported, planned = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"cold, fresh process: import {imported:.2f} s, with load and the first plan {planned:.2f} s")


def warm(name: str, network: Any) -> None:
    """Median milliseconds of each part for tasks of one, two and three calls."""
    made = (t for t in instructions.tasks(registry, "val", seed=5) if t.workflow and not t.invented)
    wanted = dict.fromkeys((1, 2, 3), TASKS)
    parts: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    while any(wanted.values()):
        task = next(made)
        count = min(3, len(task.calls))
        if not wanted[count]:
            continue
        wanted[count] -= 1
        marks = [time.perf_counter()]
        grammar = network.form.grammar(task.request)
        marks.append(time.perf_counter())
        matcher = network.constraint.start(grammar)
        marks.append(time.perf_counter())
        session = network.start(task.request)
        marks.append(time.perf_counter())
        try:
            teacher = network.form.write(task.workflow, task.request)
        except WorkflowError:  # the task names a thing that is not among its words
            wanted[count] += 1
            continue
        ids = [*network.constraint.ids(teacher), network.constraint.eos[0]]
        marks.append(time.perf_counter())  # the teacher's own time is not counted
        leans = [lean_of(network, task.request)]
        found = answers(Told(session, ids), [matcher], leans=leans, max_tokens=300)[0]
        network.form.read(network.text(found.ids), task.request)
        marks.append(time.perf_counter())
        text, read, prompt, _, answer = np.diff(marks) * 1000
        for part, value in (("grammar", text), ("reading it", read), ("prompt", prompt), ("answer", answer)):
            parts[count][part].append(value)
        parts[count]["all"].append(text + read + prompt + answer)
        parts[count]["tokens"].append(len(found.ids))
    for count, columns in sorted(parts.items()):
        figures = "  ".join(f"{part} {statistics.median(values):5.1f}" for part, values in columns.items())
        print(f"{name}, {count} call{'s' if count > 1 else ' '}, median ms:  {figures}")


def main() -> None:
    folder = sys.argv[1]
    cold(folder)
    quick = Light(Path(folder))
    warm("ONNX Runtime", quick)
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
        warm("torch       ", load(folder, "cpu"))


if __name__ == "__main__":
    main()
