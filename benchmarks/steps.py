"""Measure what the executor costs a step: events, keys and checks included, beside plain calls and other engines."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import peers
from page import DOCS, table, write
from pydantic import Field
from timing import Work, race

import lego
from lego.core.steps import Step
from lego.core.trace import Trace
from lego.core.workflow import Workflow
from lego.executor.run import Executor

LENGTHS = (10, 100, 1000, 10_000, 100_000)
BAR = 50  # us a step
SHAPES = {"chain": peers.chain, "layered": peers.layered}
IMAGE = lego.Image(np.zeros((8, 8, 3), np.uint8))


@lego.tool
def bench_noop(images: list[lego.Image], k: Annotated[int, Field(ge=0, le=10**9)] = 0) -> lego.Image:
    """Do nothing."""
    return images[0]


def workflow(graph: peers.Graph, changed: int = 0) -> Workflow:
    """The graph as a workflow; ``changed`` is another argument of its last step."""
    last = len(graph) - 1
    steps = (
        Step(
            f"s{n}",
            "bench_noop",
            {"images": [f"$s{m}" for m in parents] or ["$image"], "k": n + (changed if n == last else 0)},
        )
        for n, parents in enumerate(graph)
    )
    return Workflow(tuple(steps), tuple(f"$s{n}" for n in range(max(0, last - 9), last + 1)))


def rounds(length: int) -> int:
    return 9 if length <= 1000 else 5 if length <= 10_000 else 3


def lego_run(flow: Workflow) -> tuple[Work, Work]:
    """Run it, and what makes the next run a first one; the executor's threads are there already."""
    executor = Executor()
    executor.run(workflow(peers.layered(20)), {"image": IMAGE})
    return lambda: executor.run(flow, {"image": IMAGE}, trace=Trace()), executor.cache.clear


def measure(shape: str, length: int) -> dict[str, float]:
    """Seconds of plain calls, a first run, the same again, and with the last step changed."""
    graph = SHAPES[shape](length)
    found = race({"plain": peers.plain(graph)}, rounds(length))
    run, forget = lego_run(workflow(graph))
    found |= race({"first": run}, rounds(length), before=forget)
    executor = Executor()
    flow = workflow(graph)
    executor.run(flow, {"image": IMAGE})
    found |= race({"again": lambda: executor.run(flow, {"image": IMAGE}, trace=Trace())}, rounds(length))
    leaves = iter([workflow(graph, n) for n in range(1, rounds(length) + 1)])
    found |= race({"leaf": lambda: executor.run(next(leaves), {"image": IMAGE}, trace=Trace())}, rounds(length))
    return found


def sizes(length: int) -> tuple[float, float]:
    """Bytes a step: of the events as JSON, and of memory at the most."""
    flow, trace, executor = workflow(peers.chain(length)), Trace(), Executor()
    tracemalloc.start()
    executor.run(flow, {"image": IMAGE}, trace=trace)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return len(trace.json()) / length, peak / length


def steps(found: dict[tuple[str, int], dict[str, float]]) -> str:
    """The section on steps."""
    rows = []
    for (shape, length), seconds in found.items():
        per = [f"{seconds[name] / length * 1e6:.1f} us" for name in ("plain", "first", "again", "leaf")]
        rows.append([shape, f"{length:,}", *per, f"{seconds['again'] * 1e3:,.2f} ms"])
        print(" ".join(rows[-1]), flush=True)
    ratio = {shape: found[shape, 100_000]["first"] / found[shape, 1000]["first"] / 100 for shape in SHAPES}
    bytes_rows = [[f"{n:,}", f"{events:,.0f}", f"{memory:,.0f}"] for n in LENGTHS[:4] for events, memory in [sizes(n)]]
    return f"""## What the executor costs

Steps that do nothing, on a picture of 8 x 8 px: all that is measured is reading, checking, binding, keys, the cache,
events, and the calls themselves. A chain is a line; layers are ten steps wide, and each step reads two of the layer
above. "First" runs everything, with the pool's threads started before; "again" runs the same workflow on the same
picture, all of it from the cache; "a leaf" has its last step changed. The bar is {BAR} us a step.

{table("shape | steps | plain calls, a step | first, a step | again, a step | a leaf, a step | again, all", rows)}

A step of a run of 100,000 costs {ratio["chain"]:.2f} times one of a run of 1,000 in a chain, {ratio["layered"]:.2f}
times in layers: memory that the processor's caches do not hold any more, and Python's collector, which looks at
everything a tenth as often while more than 10,000 steps run. There is no recursion, so a chain may be as long as memory
allows.

![time by steps](performance.png)

{table("steps in a chain | bytes of events a step | bytes of memory a step, at the most", bytes_rows)}
"""


def beside(found: dict[tuple[str, int], dict[str, float]]) -> str:
    """The section on other engines; adds their seconds to what was found."""
    missing = [peers.comfy_missing()] if peers.comfy_missing() else []
    rows = []
    for (shape, graph_of), length in [(item, n) for item in SHAPES.items() for n in (10, 100, 1000)]:
        graph = graph_of(length)
        run, forget = lego_run(workflow(graph))
        works: dict[str, Work] = {"lego": run, "plain calls": peers.plain(graph), "graphlib": peers.threads(graph)}
        for name, make in (("Dask", peers.dask), ("LangGraph", peers.langgraph)):
            try:
                works[name] = make(graph)
            except ImportError as error:
                missing.append(f"{name} was not run: {error}")
        seconds = race(works, 5, before=forget)
        if not peers.comfy_missing():
            try:
                seconds["ComfyUI"] = peers.comfy(graph)
            except RuntimeError as error:
                missing.append(f"ComfyUI, {shape} of {length}: {error}")
        found[shape, length] |= seconds
        others = ["plain calls", "graphlib", "Dask", "LangGraph", "ComfyUI"]
        shown = [
            f"{seconds[n] * 1e3:,.2f} ms ({seconds[n] / seconds['lego']:.3g} x)" if n in seconds else "-"
            for n in others
        ]
        rows.append([shape, f"{length:,}", f"{seconds['lego'] * 1e3:,.2f} ms", *shown])
        print(" ".join(rows[-1]), flush=True)
    told = "".join(f"\n- {text}" for text in dict.fromkeys(missing))
    return f"""## Beside other engines

The same graphs of no-ops, a whole first run, side by side; in brackets how many times lego's. Two threads each.
LangGraph is compiled before. lego alone checks arguments, keys every step by content and caches it.

{table("shape | steps | lego | plain calls | graphlib, 2 threads | Dask | LangGraph | ComfyUI", rows)}
{told}
"""


def plot(found: dict[tuple[str, int], dict[str, float]], path: Path) -> None:
    """Whole runs by length, both axes logarithmic: what is linear runs along the grey lines."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True, constrained_layout=True)
    looks: dict[str, tuple[str, dict[str, Any]]] = {
        "first": ("lego, first run", {"color": "#1f5fa8", "lw": 2, "marker": "o"}),
        "again": ("lego, again", {"color": "#1f5fa8", "lw": 1.5, "ls": "--", "marker": "o", "mfc": "white"}),
        "LangGraph": ("LangGraph", {"color": "#c05621", "marker": "s"}),
        "Dask": ("Dask", {"color": "#b7950b", "marker": "^"}),
        "graphlib": ("graphlib, 2 threads", {"color": "#5f8d4e", "marker": "v"}),
        "ComfyUI": ("ComfyUI", {"color": "#8e44ad", "marker": "D"}),
        "plain": ("plain calls", {"color": "#8a8f98", "marker": "."}),
    }
    for panel, shape in zip(panels, SHAPES, strict=True):
        for name, (label, look) in looks.items():
            points = [(n, found[shape, n][name] * 1e3) for n in LENGTHS if name in found[shape, n]]
            if points:
                panel.plot(*zip(*points, strict=True), label=label, ms=5, **look)
        panel.plot(LENGTHS, [n * BAR / 1e3 for n in LENGTHS], color="#cfd3d8", lw=6, zorder=0, label=f"{BAR} us a step")
        panel.set(xscale="log", yscale="log", title=shape, xlabel="steps")
        panel.grid(True, color="#eceef0")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ms of processor time, whole run")
    panels[1].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> None:
    for _ in range(5):  # a process that has just begun is slower, whatever it does
        lego_run(workflow(peers.layered(10_000)))[0]()
    found = {(shape, length): measure(shape, length) for shape in SHAPES for length in LENGTHS}
    write("steps", steps(found), "performance")
    write("peers", beside(found), "performance")
    plot(found, DOCS / "performance.png")


if __name__ == "__main__":
    main()
