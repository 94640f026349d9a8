"""The model pool under load: loads a request and memory, against loading for every call and against keeping everything.

    python benchmarks/pool.py

Networks are plain arrays of 24 to 64 MB that are written when they are loaded, so that the memory of the process tells
what is really held. Eight threads ask for one network, a tenth of them for two, in an order that favours some (Zipf).
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from lego.core.memory import CPU, release_memory
from lego.core.models import Pool
from lego.core.networks import Network

MB = 1 << 20
SIZES = (24, 32, 40, 48, 56, 64)  # MB
BUDGET = 90  # MB: too little for two of the larger ones with their margin
THREADS, LOAD, USE = 8, 0.002, 0.001  # of asking; seconds that a load and a call take at least
Use = Callable[..., AbstractContextManager[Any]]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=500)
    count = options.parse_args().requests
    loads: list[str] = []
    networks = [Network(f"n{size}", _loader(size, loads), {"float32": size * MB}) for size in SIZES]
    random = Random(3)
    weights = [1 / (rank + 1) for rank in range(len(networks))]
    jobs = [_job(random, networks, weights) for _ in range(count)]
    print(f"{count} requests, {THREADS} threads, networks of {SIZES} MB, budget {BUDGET} MB\n")
    print(f"{'':22}{'loads a request':>16}{'peak MB':>10}{'seconds':>10}")
    pool = Pool(lambda name: Path(), {CPU: BUDGET * MB})
    for name, use in (("pool", pool.use), ("a load for every call", _every_call), ("keep everything", _keeping())):
        loads.clear()
        release_memory()
        peak, seconds = _driven(use, jobs)
        print(f"{name:22}{len(loads) / count:16.2f}{peak / MB:10.0f}{seconds:10.1f}")
        if name == "pool":
            pool.unload()


def _job(random: Random, networks: Sequence[Network], weights: Sequence[float]) -> tuple[Network, ...]:
    first = random.choices(networks, weights)[0]
    small = [n for n in networks[:2] if n is not first]
    return (first, random.choice(small)) if first in networks[:2] and random.random() < 0.1 else (first,)


def _loader(size: int, loads: list[str]) -> Callable[[Path, str, str], Any]:
    def load(folder: Path, device: str, precision: str) -> Any:
        loads.append(precision)
        time.sleep(LOAD)
        return np.full(size * MB // 8, 1.0)

    return load


@contextmanager
def _every_call(*networks: Network) -> Any:
    yield tuple(network.load(Path(), CPU, "float32") for network in networks)


def _keeping() -> Use:
    held: dict[str, Any] = {}
    guard = threading.Lock()

    @contextmanager
    def use(*networks: Network) -> Any:
        with guard:
            for network in networks:
                if network.name not in held:
                    held[network.name] = network.load(Path(), CPU, "float32")
        yield tuple(held[network.name] for network in networks)

    return use


def _driven(use: Use, jobs: Sequence[tuple[Network, ...]]) -> tuple[int, float]:
    """Run the jobs; return the most memory that the process had above where it began, and the seconds."""
    begun, peak, over = _memory(), 0, threading.Event()

    def work(part: Sequence[tuple[Network, ...]]) -> None:
        for job in part:
            with use(*job) as nets:
                time.sleep(USE)
                assert [net.nbytes for net in nets] == [network.bytes["float32"] for network in job]
                del nets

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.002):
            peak = max(peak, _memory() - begun)

    threads = [threading.Thread(target=work, args=(jobs[n::THREADS],)) for n in range(THREADS)]
    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    over.set()
    watcher.join()
    return peak, seconds


def _memory() -> int:
    """Bytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
