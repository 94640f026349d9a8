"""Measure what the executor costs a step, beside plain calls of the same functions, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
from pydantic import Field

import lego
from lego.core.steps import Step
from lego.core.workflow import Workflow
from lego.executor.run import Executor

ROUNDS = 5


@lego.tool
def bench_noop(image: lego.Image, k: Annotated[int, Field(ge=0, le=10**9)] = 0) -> lego.Image:
    """Do nothing."""
    return image


def chain(length: int) -> Workflow:
    steps = (Step(f"s{n}", "bench_noop", {"image": f"$s{n - 1}" if n else "$image", "k": n}) for n in range(length))
    return Workflow(tuple(steps), f"$s{length - 1}")


def layered(length: int) -> Workflow:
    """Ten steps side by side, each reading one of the layer above."""
    steps = (
        Step(f"s{n}", "bench_noop", {"image": f"$s{n - 10}" if n > 9 else "$image", "k": n}) for n in range(length)
    )
    return Workflow(tuple(steps), tuple(f"$s{n}" for n in range(length - 10, length)))


def median(work: Callable[[], object]) -> float:
    """Seconds of processor time, median of several."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    image = lego.Image(np.zeros((8, 8, 3), np.uint8))
    function = bench_noop.function
    print(f"{'shape':8} {'steps':>6} {'plain calls':>14} {'first run':>16} {'cached run':>14}")
    for shape in (chain, layered):
        for length in (10, 100, 1000, 10_000):
            workflow = shape(length)
            plain = median(lambda length=length: [function(image, n) for n in range(length)])
            first = median(lambda workflow=workflow: Executor().run(workflow, {"image": image}))
            executor = Executor()
            executor.run(workflow, {"image": image})
            again = median(lambda workflow=workflow, executor=executor: executor.run(workflow, {"image": image}))
            per = first / length * 1e6
            print(f"{shape.__name__:8} {length:6} {plain * 1e3:11.2f} ms {per:10.0f} us/step {again * 1e3:11.2f} ms")


if __name__ == "__main__":
    main()
