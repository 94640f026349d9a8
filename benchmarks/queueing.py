"""Queueing theory in closed formulas: how long jobs wait for servers, and how often a network is not in memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """How long a visit takes: mean seconds, and the squared coefficient of variation (0 constant, 1 exponential)."""

    mean: float
    scv: float = 1.0

    @classmethod
    def mixed(cls, parts: Sequence[tuple[float, float]]) -> Service:
        """Return that of a mixture of (weight, seconds)."""
        total = sum(weight for weight, _ in parts)
        mean = sum(weight * seconds for weight, seconds in parts) / total if total else 0.0
        square = sum(weight * seconds**2 for weight, seconds in parts) / total if total else 0.0
        return cls(mean, square / mean**2 - 1 if mean else 0.0)


def erlang_b(servers: int, load: float) -> float:
    """Return the probability that all servers are busy where nobody waits (Erlang 1917), by the stable recursion.

    Args:
        load: offered, in erlangs: arrivals a second times seconds of service.
    """
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Return the probability of having to wait in M/M/c; 1 if there are too few servers."""
    if load >= servers:
        return 1.0
    blocked = erlang_b(servers, load)
    return blocked / (1 - load / servers * (1 - blocked))


def waiting(rate: float, service: Service, servers: int, arrivals: float = 1.0) -> float:
    """Return the mean wait in seconds in G/G/c (Allen and Cunneen); exact for M/M/c and M/G/1.

    Args:
        rate: arrivals a second.
        arrivals: squared coefficient of variation of the times between them; 1 is Poisson.
    """
    load = rate * service.mean
    if load >= servers:
        return math.inf
    if not load:
        return 0.0
    return erlang_c(servers, load) * service.mean / (servers - load) * (arrivals + service.scv) / 2


def late(rate: float, service: Service, servers: int, patience: float) -> float:
    """Return the share that waits longer than so many seconds: exact for M/M/c, with the wait scaled for M/G/c."""
    load = rate * service.mean
    if load >= servers:
        return 1.0
    chance = erlang_c(servers, load)
    mean = waiting(rate, service, servers)
    return chance * math.exp(-patience * chance / mean) if mean else 0.0


def misses(shares: Sequence[float], sizes: Sequence[float], memory: float) -> list[float]:
    """Return how likely each network is not in memory when it is asked for, if the least recently used goes first.

    Exact for independent requests (King 1971): the order of last uses is a permutation with a known probability, and
    its longest beginning that fits is in memory. For up to eight networks.

    Args:
        shares: of the requests; sum 1.
        sizes: in the unit of the memory; each fits alone.
    """
    wanted = [number for number, share in enumerate(shares) if share > 0]
    absent = [0.0] * len(shares)
    for order in itertools.permutations(wanted):
        chance, left, room = 1.0, 1.0, memory
        fits = True
        for number in order:
            chance *= shares[number] / left
            left -= shares[number]
        for number in order:
            room -= sizes[number]
            fits = fits and room >= 0
            if not fits:
                absent[number] += chance
    return absent
