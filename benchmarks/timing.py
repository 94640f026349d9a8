"""How things are measured: by turns, so that what else the machine does falls on all alike; the median counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

Work: TypeAlias = Callable[[], object]


def race(
    works: Mapping[str, Work], rounds: int, clock: Callable[[], float] = time.process_time, before: Work = lambda: None
) -> dict[str, float]:
    """Seconds of each, the median of several rounds; ``before`` is called before each and not counted."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            before()
            start = clock()
            work()
            times[name].append(clock() - start)
    return {name: statistics.median(found) for name, found in times.items()}
