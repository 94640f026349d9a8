"""Does a cluster grow with the queue, and shrink when it is empty? Ray's own autoscaler, with made-up nodes.

    python benchmarks/autoscaling.py     it stops every Ray of this machine first

The head node has no processors; nodes of one come and go, four at the most. Steps sleep, so that two cores are enough.
"""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

import lego
from lego.core.settings import Settings
from lego.editor import Editor
from lego.executor.cluster.hands import Ray
from lego.tools import load_tools

MOST, STEPS, SECONDS = 4, 40, 2.0
IDLE = 0.2  # minutes after which Ray ends a node on which nothing runs
SLEEP = f"""
import time
import lego

@lego.tool
def bench_sleep(image: lego.Image, n: int = 0) -> lego.Image:
    \"\"\"Sleep.\"\"\"
    time.sleep({SECONDS})
    return lego.Image(image.pixels)
"""


def watch(hands: Ray, start: float, over: threading.Event) -> None:
    """Print how many nodes and workers there are, whenever it changes."""
    told = None
    while not over.wait(0.5):
        state = hands.state()
        crew = state["crews"].get("cpu", {"workers": [], "busy": 0, "waiting": 0})
        now = (len(state["nodes"]) - 1, len(crew["workers"]))
        if now != told:
            told = now
            waiting = f"{crew['busy']} steps under way, {crew['waiting']} wait"
            print(f"{time.monotonic() - start:6.1f} s: {now[0]} nodes beside the head, {now[1]} workers; {waiting}")


def main() -> None:
    """Send steps, and tell of the nodes until all are gone."""
    from ray.cluster_utils import AutoscalingCluster

    node = {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": MOST}
    cluster = AutoscalingCluster({"CPU": 0}, {"small": node}, idle_timeout_minutes=IDLE)
    cluster.start()
    over = threading.Event()
    try:
        settings = replace(Settings.load({"builder": "rules"}), backend="ray", ray_address="auto")
        editor = Editor("rules", settings=settings)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "sleep.py").write_text(SLEEP)
            load_tools(editor.registry, Path(folder) / "sleep.py")
        hands = editor.executor.backend
        assert isinstance(hands, Ray)
        start = time.monotonic()
        threading.Thread(target=watch, args=(hands, start, over), daemon=True).start()
        picture = lego.Image(np.zeros((8, 8, 3), np.uint8))

        def one(n: int) -> None:
            step = {"id": "a", "tool": "bench_sleep", "args": {"image": "$image", "n": n}}
            editor.run({"version": 1, "steps": [step], "result": "$a"}, picture)

        with ThreadPoolExecutor(STEPS) as pool:
            list(pool.map(one, range(STEPS)))
        took = time.monotonic() - start
        print(f"{STEPS} steps of {SECONDS:g} s in {took:.1f} s; one worker takes {STEPS * SECONDS:.0f} s")
        end = time.monotonic() + 300
        while len(hands.state()["nodes"]) > 2 and time.monotonic() < end:
            time.sleep(1)
        print(f"{time.monotonic() - start:.1f} s: {len(hands.state()['nodes']) - 1} nodes are left beside the head")
    finally:
        over.set()
        cluster.shutdown()


if __name__ == "__main__":
    main()
