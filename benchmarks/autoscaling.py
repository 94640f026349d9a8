"""Does a cluster grow with the queue, and shrink when it is empty? Ray's own autoscaler, with made-up nodes.

    python benchmarks/autoscaling.py     it stops every Ray of this machine first

The head node has no processors; nodes of one come and go, four at the most. Steps sleep, so that two cores are enough.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

import lego
from lego.core.settings import Settings
from lego.editor import Editor
from lego.executor.cluster import joining
from lego.executor.cluster.hands import Ray
from lego.executor.cluster.worker import Terms

MOST, STEPS, SECONDS = 4, 40, 2.0
WORKER_IDLE = 10.0  # seconds after which a worker goes; by default 120
IDLE = 0.2  # minutes after which Ray ends a node on which nothing runs


@lego.tool
def bench_sleep(image: lego.Image, n: Annotated[int, Field(ge=0, le=999)] = 0) -> lego.Image:
    """Sleep."""
    time.sleep(SECONDS)
    return lego.Image(image.pixels + np.uint8(n))


def started() -> Any:
    """Start a cluster that grows; the wheel lacks the file with which Ray's own tests begin theirs."""
    from ray.cluster_utils import AutoscalingCluster

    class Cluster(AutoscalingCluster):
        def _generate_config(self, head: dict[str, Any], kinds: dict[str, Any], **given: Any) -> dict[str, Any]:
            first = {"resources": head, "node_config": {}, "max_workers": 0}
            lists = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
            return {
                "cluster_name": "made-up", "max_workers": MOST, "idle_timeout_minutes": IDLE, "upscaling_speed": 1.0,
                "provider": {
                    "type": "fake_multinode", "use_node_id_as_ip": True, "disable_node_updaters": True,
                    "disable_launch_config_check": True,
                },
                "head_node_type": "ray.head.default", "auth": {}, "docker": {},
                "available_node_types": {**kinds, "ray.head.default": first}, "file_mounts": {},
                "cluster_synced_files": [], "file_mounts_sync_continuously": False, "rsync_exclude": [],
                "rsync_filter": [], **{f"{name}_commands": [] for name in lists},
            }  # fmt: skip

    node = {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": MOST}
    cluster = Cluster({"CPU": 0}, {"small": node})
    cluster.start()
    return cluster


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
    cluster = started()
    over = threading.Event()
    try:
        settings = replace(Settings.load({"builder": "rules"}), backend="ray", ray_address="auto")
        editor = Editor("rules", settings=settings)
        hands = editor.executor.backend
        assert isinstance(hands, Ray)
        joining.join("auto")
        joining.hire(Terms(settings.models_folder), 1 << 28, 0, WORKER_IDLE)
        start = time.monotonic()
        threading.Thread(target=watch, args=(hands, start, over), daemon=True).start()
        picture = lego.Image(np.zeros((1000, 1000, 3), np.uint8))

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
