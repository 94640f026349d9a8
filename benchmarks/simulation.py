"""A simulation, event by event, of jobs that visit stations of several servers, first come first served.

It knows nothing of the formulas that it checks: times are drawn, servers are busy or free, networks are in the memory
of a server or have to be loaded.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

Visit = tuple[str, float, str]  # which station, how many seconds, which network ("" for none)


@dataclass(frozen=True)
class Station:
    """Servers that share a queue.

    Attributes:
        memory: of each server; 0 is enough for everything.
        loading: of a network by name, its size, and the seconds that it takes to load it.
    """

    servers: int
    memory: float = 0.0
    loading: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass
class Measured:
    """What was seen, the warm-up left out.

    Attributes:
        latencies: seconds from arrival to end, of each job.
        busy: utilisation of each station, 0..1.
        waits: mean seconds that a visit waited, by station.
        loads: networks that had to be loaded, as a share of the visits that need one.
    """

    latencies: list[float]
    busy: dict[str, float]
    waits: dict[str, float]
    loads: float

    @property
    def mean(self) -> float:
        """Mean latency in seconds."""
        return sum(self.latencies) / len(self.latencies)

    def quantile(self, share: float) -> float:
        """Latency that so many jobs stay under."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Server:
    """One server: what is in its memory, the least recently used first."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.held: OrderedDict[str, float] = OrderedDict()

    def load(self, network: str) -> float:
        """Return the seconds until a network is there."""
        if not network or not self.station.memory:
            return 0.0
        if network in self.held:
            self.held.move_to_end(network)
            return 0.0
        size, seconds = self.station.loading[network]
        while self.held and sum(self.held.values()) + size > self.station.memory:
            self.held.popitem(last=False)
        self.held[network] = size
        return seconds


def simulate(
    stations: dict[str, Station], route: Callable[[Random], Sequence[Visit]], rate: float, jobs: int, seed: int = 0
) -> Measured:
    """Let jobs arrive at random (Poisson) and go their ways; the first tenth is not counted.

    Args:
        route: draws the visits of a job.
        rate: arrivals a second.
        jobs: how many.
    """
    random, numbers = Random(seed), itertools.count()
    free = {name: [_Server(station) for _ in range(station.servers)] for name, station in stations.items()}
    queues: dict[str, deque[tuple[float, int, float, str]]] = {name: deque() for name in stations}
    busy, waits = dict.fromkeys(stations, 0.0), {name: [0, 0.0] for name in stations}
    needed = loaded = 0
    events: list[tuple[float, int, int, str, _Server | None]] = []
    begun, ways, latencies = [0.0] * jobs, [deque[Visit]()] * jobs, []
    clock, first = 0.0, jobs // 10
    for number in range(jobs):
        clock += random.expovariate(rate)
        begun[number], ways[number] = clock, deque(route(random))
        heapq.heappush(events, (clock, next(numbers), number, "", None))
    start, end = begun[first], begun[-1]

    def serve(name: str, now: float) -> None:
        nonlocal needed, loaded
        while free[name] and queues[name]:
            since, number, seconds, network = queues[name].popleft()
            server = free[name].pop(random.randrange(len(free[name])) if len(free[name]) > 1 else 0)
            extra = server.load(network)
            if number >= first:
                waits[name][0] += 1
                waits[name][1] += now - since
                needed += bool(network)
                loaded += extra > 0
            until = now + seconds + extra
            busy[name] += max(0.0, min(until, end) - max(now, start))
            heapq.heappush(events, (until, next(numbers), number, name, server))

    while events:
        now, _, number, name, server = heapq.heappop(events)
        if server is not None:
            free[name].append(server)
            serve(name, now)
        if ways[number]:
            to, seconds, network = ways[number].popleft()
            queues[to].append((now, number, seconds, network))
            serve(to, now)
        elif number >= first:
            latencies.append(now - begun[number])
    span = end - start
    return Measured(
        latencies, {name: busy[name] / span / stations[name].servers for name in stations},
        {name: total / count if count else 0.0 for name, (count, total) in waits.items()},
        loaded / needed if needed else 0.0,
    )  # fmt: skip
