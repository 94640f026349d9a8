"""The capacity model: its formulas against a simulation that knows nothing of them, and against known values."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from random import Random
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def queueing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("queueing")


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("simulation")


@pytest.fixture
def capacity(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("capacity")


def test_erlang_gives_the_values_of_the_tables(queueing: Any) -> None:
    assert queueing.erlang_b(5, 3.0) == pytest.approx(0.1101, abs=1e-4)
    assert queueing.erlang_c(5, 4.0) == pytest.approx(0.5541, abs=1e-4)
    assert queueing.erlang_c(1, 0.7) == pytest.approx(0.7)  # M/M/1: as often as the server is busy
    assert queueing.erlang_c(3, 3.0) == 1.0


def test_one_server_with_constant_times_halves_the_wait_of_exponential_ones(queueing: Any) -> None:
    exponential = queueing.waiting(0.8, queueing.Service(1.0, 1.0), 1)
    assert exponential == pytest.approx(4.0)  # rho / (1 - rho)
    assert queueing.waiting(0.8, queueing.Service(1.0, 0.0), 1) == pytest.approx(2.0)  # Pollaczek and Khinchine
    assert queueing.waiting(1.0, queueing.Service(1.0), 1) == math.inf


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.8), (4, 0.7), (8, 0.85)])
@pytest.mark.parametrize("kind", ["exponential", "constant", "two"])
def test_waits_on_paper_are_those_that_are_simulated(
    servers: int, load: float, kind: str, queueing: Any, simulation: Any
) -> None:
    draws: dict[str, Any] = {
        "exponential": lambda random: random.expovariate(1.0), "constant": lambda random: 1.0,
        "two": lambda random: 0.2 if random.random() < 0.8 else 4.2,
    }  # fmt: skip
    service = {
        "exponential": queueing.Service(1.0, 1.0), "constant": queueing.Service(1.0, 0.0),
        "two": queueing.Service.mixed([(0.8, 0.2), (0.2, 4.2)]),
    }[kind]  # fmt: skip
    assert service.mean == pytest.approx(1.0)

    def route(random: Random) -> Any:
        return [("desk", draws[kind](random), "")]

    seen = simulation.simulate({"desk": simulation.Station(servers)}, route, load * servers, 60_000, seed=5)
    assert seen.busy["desk"] == pytest.approx(load, rel=0.03)
    exact = servers == 1 or kind == "exponential"
    paper = queueing.waiting(load * servers, service, servers)
    assert paper == pytest.approx(seen.waits["desk"], rel=0.1 if exact else 0.2)


def test_the_share_that_waits_too_long_is_that_which_is_simulated(queueing: Any, simulation: Any) -> None:
    def route(random: Random) -> Any:
        return [("desk", random.expovariate(1.0), "")]

    service = queueing.Service(1.0, 1.0)
    assert queueing.late(1.6, service, 2, 0.0) == pytest.approx(queueing.erlang_c(2, 1.6))
    seen = simulation.simulate({"desk": simulation.Station(2)}, route, 1.6, 60_000, seed=5)
    mean = queueing.waiting(1.6, service, 2)
    assert seen.waits["desk"] == pytest.approx(mean, rel=0.1)
    assert queueing.late(1.6, service, 2, 3 * mean) < queueing.late(1.6, service, 2, mean)


def test_networks_that_do_not_fit_are_loaded_as_often_as_on_paper(queueing: Any, simulation: Any) -> None:
    shares, sizes = [0.5, 0.3, 0.2], [4.0, 5.0, 6.0]
    absent = queueing.misses(shares, sizes, 10.0)
    names = ["a", "b", "c"]
    desk = simulation.Station(1, 10.0, {name: (size, 0.5) for name, size in zip(names, sizes, strict=True)})

    def route(random: Random) -> Any:
        return [("desk", 0.1, random.choices(names, shares)[0])]

    seen = simulation.simulate({"desk": desk}, route, 0.8, 40_000, seed=2)
    assert seen.loads == pytest.approx(sum(s * m for s, m in zip(shares, absent, strict=True)), rel=0.04)
    assert queueing.misses(shares, sizes, 15.0) == pytest.approx([0.0, 0.0, 0.0])
    assert queueing.misses(shares, sizes, 6.0) == pytest.approx([1 - share for share in shares])  # one at a time


@pytest.mark.parametrize("gpus", [8, 64])
def test_the_whole_model_is_near_its_simulation(gpus: int, capacity: Any) -> None:
    model = capacity.Model(capacity.load(), gpus)
    rate = 0.7 * model.ceilings()[0][0]
    seen = capacity.simulate(model.stations, model.route, rate, 8_000, seed=3)
    assert model.latency(rate) == pytest.approx(seen.mean, rel=0.1)
    name = model.ceilings()[0][1]
    assert seen.busy[name] == pytest.approx(0.7, rel=0.06)


def test_the_first_bottleneck_moves_when_it_is_widened(capacity: Any) -> None:
    facts = capacity.load()
    first = capacity.Model(facts, 64).ceilings()[0][1]
    assert first == "database"
    wider = {**facts, "door": {**facts["door"], "writers": 8}}
    assert capacity.Model(wider, 64).ceilings()[0][1] == "GPUs"
    assert capacity.Model(facts, 1).ceilings()[0][1] == "GPUs"


def test_costs_follow_the_prices_and_the_utilisation(capacity: Any) -> None:
    facts = capacity.load()
    gpu, core = capacity.Model(facts, 1).hours()
    half = {**facts, "plan": {**facts["plan"], "utilisation": facts["plan"]["utilisation"] / 2}}
    assert capacity.Model(half, 1).hours() == pytest.approx((2 * gpu, 2 * core))
    embedded = capacity.Model(capacity.only(facts, "embedded"), 1)
    assert embedded.hours()[0] == 0
    assert embedded.demand("cores") > 0


def test_every_table_can_be_made_and_stands_on_the_page(capacity: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "JOBS", 400)
    page = (BENCHMARKS.parent / "docs" / "scaling.md").read_text(encoding="utf-8")
    for name, table in capacity.TABLES.items():
        rows = table(capacity.load())
        assert rows[0] in page, f"`python benchmarks/capacity.py --page` writes {name}"
        assert len({row.count("|") for row in rows}) == 1
    for table in (capacity.throughput, capacity.kinds, capacity.days):  # no simulation: exactly as now computed
        assert "\n".join(table(capacity.load())) in page
