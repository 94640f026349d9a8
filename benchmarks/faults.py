"""Edits on a cluster whose processes and nodes are killed while it works: what is lost, doubled or wrong.

    python benchmarks/faults.py                           300 edits, a kill every 20 of them
    python benchmarks/faults.py --edits 1000 --every 10   more of both

A real Ray cluster of several nodes on this machine. Real photographs are edited by words, 8 at once, each with two to
three wishes; meanwhile, after random numbers of edits that the seed decides, a worker's process gets SIGKILL, a node's
raylet does (with it everything on the node, and the pixels that lay there), or the foreman. Killed nodes are replaced.
Every result is compared byte for byte with what threads give.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lego.core.settings import Settings, quiet_ray
from lego.core.trace import StepDone
from lego.core.values import Image
from lego.editor import Editor

PHOTOS = Path(__file__).parents[1] / "docs" / "photos"
WISHES = (
    "make it warmer", "make it black and white", "sharpen it", "add a vignette", "brighten it a little",
    "increase the contrast", "make it cooler", "add film grain", "blur it a little", "flip it horizontally",
    "give it a sepia tone", "rotate it by 90 degrees", "make the colors more vivid", "darken it a little",
)  # fmt: skip
AT_ONCE = 8
POLL = 0.02  # seconds between looks at how far it is
STORE = 256 << 20  # bytes of a node's object store
KINDS = ("worker", "node", "foreman")  # what is killed
SHARES = (0.6, 0.3, 0.1)  # how often
QUICK = {  # a dead node is noticed within seconds; on a machine that others use workers are not the last to be served
    "health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 6,
    "worker_niceness": 0,
}  # fmt: skip


class Nodes:
    """A Ray cluster on this machine, whose nodes and processes can be killed.

    Args:
        count: of nodes that work, with one processor each, beside the head, which has none.
    """

    def __init__(self, count: int) -> None:
        quiet_ray()
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False, "_system_config": QUICK}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.working: list[Any] = []
        for _ in range(count):
            self.add()

    @property
    def address(self) -> str:
        """Of the cluster."""
        return str(self.cluster.address)

    def add(self, **resources: Any) -> str:
        """Add a node; return its name."""
        node = self.cluster.add_node(**{"num_cpus": 1, "object_store_memory": STORE, **resources})
        self.working.append(node)
        return str(node.node_id)

    def kill(self, name: str) -> None:
        """Kill a node at once, with all that works and lies there."""
        node = next(node for node in self.working if node.node_id == name)
        self.working.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def processes(self, title: str) -> list[int]:
        """Return the processes of an actor's class."""
        raylets = {_raylet(node) for node in [self.cluster.head_node, *self.working]}
        return [pid for pid, parent, name in _running() if parent in raylets and name.startswith(f"ray::{title}")]

    def close(self) -> None:
        """End it all."""
        import ray

        ray.shutdown()
        self.cluster.shutdown()


def _raylet(node: Any) -> int:
    found = node.all_processes.get("raylet") or []
    return int(found[0].process.pid) if found else -1


def _running() -> Iterator[tuple[int, int, str]]:
    """Process, parent and title of everything that runs."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                yield int(folder.name), int(parent), (folder / "cmdline").read_bytes().split(b"\0")[0].decode()


@dataclass
class Log:
    """What happened.

    Attributes:
        kills: of each kind.
        lost: edits without a result; wrong: with other bytes; doubled: with a step or a result that came twice.
    """

    kills: Counter[str] = field(default_factory=Counter)
    submitted: int = 0
    delivered: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    again: int = 0
    seconds: float = 0.0

    @property
    def ended(self) -> int:
        """Edits that are over, well or not."""
        return self.delivered + len(self.lost)

    def dump(self) -> dict[str, Any]:
        """Return it as data."""
        return {
            "kills": dict(self.kills), "kills injected": sum(self.kills.values()), "edits submitted": self.submitted,
            "results delivered": self.delivered, "results lost": len(self.lost), "duplicates": len(self.doubled),
            "wrong bytes": len(self.wrong), "steps done again": self.again, "seconds": round(self.seconds, 1),
        }  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One edit: a photograph, and what is wished."""

    photo: Path
    words: str

    def __str__(self) -> str:
        return f"{self.photo.name}: {self.words}"


def edits(count: int, seed: int) -> list[Edit]:
    """Return different edits of all photographs, drawn by the seed."""
    rng = random.Random(seed)
    photos = sorted(path for path in PHOTOS.iterdir() if path.suffix in (".png", ".jpg"))
    found: dict[Edit, None] = {}
    while len(found) < count:
        words = ", then ".join(rng.sample(WISHES, rng.choice((2, 3))))
        found[Edit(rng.choice(photos), words)] = None
    return list(found)


class Killer:
    """Kills parts of a cluster. It works in the main thread, because Ray adds nodes there alone.

    Args:
        every: edits between kills, on average.
        tell: hears of each.
    """

    def __init__(self, nodes: Nodes, log: Log, every: float, seed: int, tell: Callable[[str], None]) -> None:
        self.nodes, self.log, self.every, self.tell = nodes, log, every, tell
        self.count = len(nodes.working)
        self.rng = random.Random(seed)

    def until(self, work: list[Future[None]]) -> None:
        """Kill one after another until all work is done."""
        due = self._due()
        while wait(work, POLL).not_done:
            if self.log.ended >= due:
                self.kill(self.rng.choices(KINDS, SHARES)[0])
                due = self._due()

    def _due(self) -> float:
        """Edits that will have ended when the next one is killed."""
        return self.log.ended + self.rng.uniform(0.5, 1.5) * self.every

    def kill(self, kind: str) -> None:
        """Kill one of a kind, if there is one."""
        if kind == "node":
            name = self.rng.choice(self.nodes.working).node_id
            self.nodes.kill(name)
            self._done(kind, name[:8])
        while len(self.nodes.working) < self.count:  # on a busy machine a node may not come up in time
            try:
                self.nodes.add()
            except Exception as error:
                self.tell(f"a new node did not start: {error}")
        if kind == "node":
            return
        pids = self.nodes.processes("Foreman" if kind == "foreman" else "Worker")
        if pids:
            pid = self.rng.choice(sorted(pids))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self._done(kind, f"process {pid}")

    def _done(self, kind: str, name: str) -> None:
        self.log.kills[kind] += 1
        self.tell(f"killed: {kind} {name}")


def run(work: list[Edit], nodes: Nodes, every: float, seed: int, tell: Callable[[str], None] = print) -> Log:
    """Do edits on a cluster while its parts are killed; compare with threads."""
    settings = replace(Settings.load({"builder": "rules", "cache_memory_mb": 256}), backend="threads")
    near = Editor("rules", settings=settings)
    expected = {edit: near.edit(edit.photo, edit.words).image for edit in work}
    far = Editor("rules", settings=replace(settings, backend="ray", ray_address=nodes.address))
    far.executor.cache.clear()  # what other runs made
    log, start = Log(), time.monotonic()
    seen: Counter[Edit] = Counter()

    def one(edit: Edit) -> None:
        log.submitted += 1
        try:
            result = far.edit(edit.photo, edit.words)
            pixels = result.image.pixels
        except Exception as error:  # whatever it is, the result is not there
            log.lost.append(f"{edit}: {error!r}")
            tell(f"lost: {log.lost[-1]}")
            return
        seen[edit] += 1
        log.delivered += 1
        events = list(result.trace.of(StepDone))
        steps = Counter(event.step for event in events)
        log.again += sum(event.reason.count("done again") for event in events)
        untold = {step.id for step in result.workflow.steps} - set(steps)
        served = any(event.cached for event in events)  # then what came before it is not needed, and may be lost
        if seen[edit] > 1 or max(steps.values()) > 1 or (untold and not served):
            log.doubled.append(f"{edit}: {dict(steps)}, without {sorted(untold)}")
            tell(f"twice: {log.doubled[-1]}")
        if (
            not np.array_equal(pixels, expected[edit].pixels)
            or Image(pixels).digest != Image(expected[edit].pixels).digest
        ):
            log.wrong.append(str(edit))
        if log.delivered % 50 == 0:
            tell(f"{log.delivered} of {len(work)} edits")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(one, edit) for edit in work]
        Killer(nodes, log, every, seed, tell).until(futures)
        for future in futures:
            future.result()
    log.seconds = time.monotonic() - start
    tell(f"counts of the last foreman: {json.dumps(far.executor.backend.state()['counts'])}")  # type: ignore[attr-defined]
    return log


def main() -> None:
    """Run it, and write a log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--every", type=float, default=20.0, help="edits between kills, on average")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--log", type=Path, help="write what happened here")
    asked = parser.parse_args()
    start, lines = time.monotonic(), []

    def tell(text: str) -> None:
        lines.append(f"{time.monotonic() - start:7.1f} s  {text}")
        print(lines[-1], flush=True)

    tell(f"{asked.edits} edits on {asked.nodes} nodes, seed {asked.seed}")
    nodes = Nodes(asked.nodes)
    tell("the cluster is up")
    try:
        log = run(edits(asked.edits, asked.seed), nodes, asked.every, asked.seed, tell)
    finally:
        nodes.close()
    tell(json.dumps(log.dump(), indent=1))
    if asked.log:
        asked.log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(bool(log.lost or log.doubled or log.wrong))


if __name__ == "__main__":
    main()
