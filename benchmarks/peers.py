"""What else runs graphs of steps, driven alike: a no-op a node, in a chain or in layers of ten.

Each peer is a function from a graph to a function that runs it afresh; one that is not installed says so. A graph lists
the parents of each node by number. `pip install -r benchmarks/requirements.txt` installs them; ComfyUI is run where
COMFYUI_DIR names a checkout whose requirements are installed.
"""

from __future__ import annotations

import graphlib
import importlib
import json
import os
import subprocess
import sys
import typing
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeAlias

from timing import Work

Graph: TypeAlias = list[tuple[int, ...]]
WIDTH = 10


def chain(length: int) -> Graph:
    """Every node reads the one before."""
    return [(n - 1,) if n else () for n in range(length)]


def layered(length: int) -> Graph:
    """Ten nodes side by side; each reads two of the layer above."""
    return [(n - WIDTH, n - n % WIDTH - WIDTH + (n + 1) % WIDTH) if n >= WIDTH else () for n in range(length)]


def noop(*values: Any) -> Any:
    """Return the first value."""
    return values[0] if values else 0


def plain(graph: Graph) -> Work:
    """The same calls in a loop."""

    def run() -> None:
        made: list[Any] = []
        for parents in graph:
            made.append(noop(*(made[n] for n in parents)))

    return run


def threads(graph: Graph) -> Work:
    """graphlib and two threads: what one would write in ten lines."""
    pool = ThreadPoolExecutor(2)

    def run() -> None:
        order = graphlib.TopologicalSorter(dict(enumerate(graph)))
        order.prepare()
        made: dict[int, Any] = {}
        running: dict[Any, int] = {}
        while order.is_active():
            for n in order.get_ready():
                running[pool.submit(noop, *(made[m] for m in graph[n]))] = n
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                n = running.pop(future)
                made[n] = future.result()
                order.done(n)

    return run


def dask(graph: Graph) -> Work:
    """dask.delayed with its threads."""
    library = importlib.import_module("dask")

    def run() -> None:
        made: list[Any] = []
        for parents in graph:
            made.append(library.delayed(noop)(*(made[n] for n in parents)))
        library.compute(*made[-WIDTH:], scheduler="threads", num_workers=2)

    return run


def langgraph(graph: Graph) -> Work:
    """A compiled StateGraph, a key of the state a node."""
    library = importlib.import_module("langgraph.graph")
    state = typing.TypedDict("State", {f"k{n}": Any for n in range(len(graph))}, total=False)  # type: ignore[misc]
    made = library.StateGraph(state)
    for n, parents in enumerate(graph):
        made.add_node(f"n{n}", lambda state, n=n, parents=parents: {f"k{n}": noop(*(state[f"k{m}"] for m in parents))})
        made.add_edge([f"n{m}" for m in parents] if parents else library.START, f"n{n}")
    compiled = made.compile()
    return lambda: compiled.invoke({"k0": 0}, {"recursion_limit": len(graph) + 10})


def comfy(graph: Graph) -> float:
    """Seconds of ComfyUI's executor for a fresh run, in a process of its own, by its own processor clock.

    Raises:
        RuntimeError: it fails; the last line says how.
    """
    command = [sys.executable, str(Path(__file__).with_name("comfy.py")), json.dumps(graph)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=os.environ["COMFYUI_DIR"], check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "no output").splitlines()[-1])
    return float(done.stdout.strip().splitlines()[-1])


def comfy_missing() -> str:
    """Why ComfyUI cannot be run, or ""."""
    folder = os.environ.get("COMFYUI_DIR")
    if not folder:
        return "ComfyUI was not run: COMFYUI_DIR names no checkout"
    return "" if (Path(folder) / "execution.py").exists() else f"ComfyUI was not run: no execution.py in {folder}"
