"""How many edits a second given machines do, where the first bottleneck is and the next, and what 1,000 edits cost.

On paper, by the formulas of `queueing.py`, and checked by `simulation.py` with the same parameters, which stand in
capacity.toml with the source of each. `python benchmarks/capacity.py [FILE.toml]` prints what your figures give;
`--page` writes docs/scaling.md's tables and plot.
"""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from queueing import Service, misses, waiting
from simulation import Station, Visit, simulate

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "scaling.md"
PLOT = HERE.parent / "docs" / "scaling.png"
DAY = 86_400.0
SIZES = (1, 8, 64)  # accelerators
LOADS = (0.3, 0.5, 0.7, 0.8, 0.9)
JOBS = 40_000


@dataclass(frozen=True)
class Kind:
    """A kind of edit: its share, and the networks that it calls one after another."""

    name: str
    share: float
    networks: tuple[str, ...]


class Model:
    """The machines and the edits, as a file says.

    Args:
        facts: as in capacity.toml.
        gpus: how many accelerators; cores and nodes follow from the file.
    """

    def __init__(self, facts: dict[str, Any], gpus: int, cores: int | None = None) -> None:
        self.facts, self.gpus = facts, gpus
        self.nodes = max(1, math.ceil(gpus / facts["net"]["gpus_per_node"]))
        self.cores = cores or self.nodes * facts["net"]["cores_per_node"]
        self.kinds = [Kind(n, k["share"], tuple(k["networks"])) for n, k in facts["kinds"].items()]
        self.sizes: list[tuple[float, float]] = [
            (megapixels, share) for megapixels, share in facts["pictures"]["sizes"]
        ]
        assert abs(sum(kind.share for kind in self.kinds) - 1) < 1e-9, "the shares of the kinds have to sum to 1"
        assert abs(sum(share for _, share in self.sizes) - 1) < 1e-9, "the shares of the sizes have to sum to 1"

    def before(self, megapixels: float) -> float:
        """Processor seconds until the networks run: reading, the digest, the plan."""
        cpu = self.facts["cpu"]
        return (cpu["decode"] + cpu["digest"]) * megapixels + (cpu["plan"] if self.plans_here else 0.0)

    def after(self, megapixels: float, calls: int) -> float:
        """Processor seconds afterwards: embedded tools, the engine, handing over, the digest, writing."""
        cpu = self.facts["cpu"]
        steps = max(0.0, cpu["steps"] - calls)
        work = cpu["tools"] * steps * megapixels + cpu["engine"] * cpu["steps"]
        moved = calls * (cpu["hand_over"] + cpu["put"] * megapixels)
        return float(work + moved + (cpu["digest"] + cpu["encode"]) * megapixels)

    def carried(self, megapixels: float, calls: int) -> float:
        """Seconds of a node's link: the file in and out, and raw pixels to each network's node and back."""
        bytes_ = 2 * self.facts["pictures"]["jpeg_bytes_per_megapixel"] * megapixels
        away = 1 - 1 / self.nodes  # the share of calls that land on another node
        raw = 2 * 3e6 * megapixels * calls * away
        return float((bytes_ + raw) * 8 / (self.facts["net"]["gigabits"] * 1e9))

    @property
    def plans_here(self) -> bool:
        """Does nano plan, on the processor?"""
        return not any("planner" in kind.networks for kind in self.kinds)

    def seconds(self, network: str) -> float:
        """Accelerator seconds of one call, its network being there."""
        return float(self.facts["networks"][network]["seconds"])

    def loading(self, network: str) -> float:
        """Seconds until a network is in the accelerator's memory."""
        return float(self.facts["networks"][network]["size"] / self.facts["gpu"]["load"])

    def calls(self, hit: bool, kind: Kind) -> tuple[str, ...]:
        """The networks that really run; after a hit of the cache only the planner does."""
        return tuple(name for name in kind.networks if not hit or name == "planner")

    def edits(self) -> Iterator[tuple[float, float, tuple[str, ...]]]:
        """Yield every sort of edit: its probability, its megapixels, the networks that run."""
        hits = self.facts["cache"]["hits"]
        for kind in self.kinds:
            for megapixels, share in self.sizes:
                for hit, chance in ((True, hits), (False, 1 - hits)):
                    yield kind.share * share * chance, megapixels, self.calls(hit, kind)

    @cached_property
    def lacking(self) -> dict[str, float]:
        """How likely each network has to be loaded when it is called."""
        wanted: dict[str, float] = {}
        for chance, _, calls in self.edits():
            for name in calls:
                wanted[name] = wanted.get(name, 0.0) + chance
        total = sum(wanted.values())
        names = list(wanted)
        sizes = [self.facts["networks"][name]["size"] for name in names]
        if not names or sum(sizes) <= self.facts["gpu"]["memory"]:
            return dict.fromkeys(names, 0.0)
        shares = [wanted[name] / total for name in names]
        return dict(zip(names, misses(shares, sizes, self.facts["gpu"]["memory"]), strict=True))

    @cached_property
    def visits(self) -> dict[str, list[tuple[float, float]]]:
        """The visits to each station: how many of them an edit makes, and seconds."""
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in self.stations}
        for chance, megapixels, calls in self.edits():
            found["cores"] += [(chance, self.before(megapixels)), (chance, self.after(megapixels, len(calls)))]
            found["links"].append((chance, self.carried(megapixels, len(calls))))
            found["database"].append((chance, self.facts["door"]["database"]))
            for name in calls:
                absent = self.lacking[name]
                found["GPUs"] += [(chance * (1 - absent), self.seconds(name)),
                                  (chance * absent, self.seconds(name) + self.loading(name))]  # fmt: skip
        return found

    @property
    def stations(self) -> dict[str, Station]:
        """Who serves."""
        networks = self.facts["networks"]
        loading = {name: (facts["size"], self.loading(name)) for name, facts in networks.items()}
        small = sum(networks[name]["size"] for name in self.lacking) > self.facts["gpu"]["memory"]
        memory = self.facts["gpu"]["memory"] if small else 0.0
        return {
            "database": Station(self.facts["door"]["writers"]), "cores": Station(self.cores),
            "links": Station(self.nodes), "GPUs": Station(self.gpus, memory, loading),
        }  # fmt: skip

    def demand(self, station: str) -> float:
        """Seconds of a station that one edit takes."""
        return sum(count * seconds for count, seconds in self.visits[station])

    def ceilings(self) -> list[tuple[float, str]]:
        """Edits a second at which each station would be busy all the time, the lowest first: the bottlenecks."""
        servers = {name: station.servers for name, station in self.stations.items()}
        return sorted((servers[name] / self.demand(name), name) for name in servers if self.demand(name))

    def latency(self, rate: float) -> float:
        """Mean seconds from arrival to end, on paper."""
        total = 0.0
        for name, station in self.stations.items():
            count = sum(count for count, _ in self.visits[name])
            service = Service.mixed(self.visits[name])
            total += count * (service.mean + waiting(rate * count, service, station.servers))
        return total

    def route(self, random: Random) -> list[Visit]:
        """Draw an edit for the simulation."""
        kind = random.choices(self.kinds, [kind.share for kind in self.kinds])[0]
        megapixels = random.choices([m for m, _ in self.sizes], [share for _, share in self.sizes])[0]
        calls = self.calls(random.random() < self.facts["cache"]["hits"], kind)
        return [
            ("database", self.facts["door"]["database"], ""), ("cores", self.before(megapixels), ""),
            ("links", self.carried(megapixels, len(calls)), ""),
            *(("GPUs", self.seconds(name), name) for name in calls),
            ("cores", self.after(megapixels, len(calls)), ""),
        ]  # fmt: skip

    def hours(self) -> tuple[float, float]:
        """GPU hours and core hours of 1,000 edits, at the utilisation that is planned for."""
        share = 3.6 * self.facts["plan"]["utilisation"]
        return self.demand("GPUs") / share, self.demand("cores") / share


def load(path: Path = HERE / "capacity.toml") -> dict[str, Any]:
    """Read the parameters."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def only(facts: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the facts where all edits are of one kind."""
    return {**facts, "kinds": {kind: {**facts["kinds"][kind], "share": 1.0}}}


def throughput(facts: dict[str, Any]) -> list[str]:
    """Edits a second of each number of accelerators: the ceiling, and what is planned for."""
    rows = [
        "| GPUs | cores | edits a second | a day | busiest | next | mean latency |",
        "|---|---|---|---|---|---|---|",
    ]
    for gpus in SIZES:
        model = Model(facts, gpus)
        (first, name), (second, other), *_ = model.ceilings()
        rate = first * facts["plan"]["utilisation"]
        day = rate * DAY / facts["plan"]["peak"]
        further = f"{other}, at {second / first:.1f} times that"
        rows.append(f"| {gpus} | {model.cores} | {rate:.2f} | {day:,.0f} | {name} | {further} "
                    f"| {model.latency(rate):.1f} s |")  # fmt: skip
    return rows


def kinds(facts: dict[str, Any]) -> list[str]:
    """What 1,000 edits of each kind take."""
    rows = ["| kind | networks | GPU s | core s | edits a second of one GPU | 1,000 edits cost | as a formula |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name in [*facts["kinds"], ""]:
        model = Model(only(facts, name) if name else facts, 1)
        gpu, core = model.hours()
        demand = model.demand("GPUs")
        rate = f"{facts['plan']['utilisation'] / demand:.2f}" if demand else "-"
        price = facts["price"]
        used = ", ".join(facts["kinds"][name]["networks"]) if name else "as mixed"
        rows.append(f"| {name or 'all'} | {used or '-'} | {demand:.3f} | {model.demand('cores'):.3f} | {rate} "
                    f"| {gpu * price['gpu'] + core * price['core']:.3f} | {gpu:.4f} G + {core:.4f} C |")  # fmt: skip
    return rows


def days(facts: dict[str, Any]) -> list[str]:
    """The machines that so many edits a day need at their peak, and what the links carry."""
    rows = ["| edits a day | at the peak, a second | GPUs | cores | writers | links | object store, TB a day |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    share = facts["plan"]["utilisation"]
    for count in (10_000, 100_000, 1_000_000):
        rate = count / DAY * facts["plan"]["peak"]
        gpus = max(1, math.ceil(rate * Model(facts, 1).demand("GPUs") / share))
        model = Model(facts, gpus)
        cores = math.ceil(rate * model.demand("cores") / share)
        writers = math.ceil(rate * facts["door"]["database"] / share)
        gigabits = rate * model.demand("links") * facts["net"]["gigabits"]
        raw = count / 1e12 * sum(chance * 2 * 3e6 * size * len(calls) for chance, size, calls in model.edits())
        rows.append(f"| {count:,} | {rate:.2f} | {gpus} | {cores} | {writers} | {gigabits:.1f} Gbit/s | {raw:.1f} |")
    return rows


def compared(facts: dict[str, Any]) -> list[str]:
    """Paper against simulation."""
    rows = ["| GPUs | busiest at | mean latency, paper | simulated | error | 95 % are under | busiest, simulated |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    for gpus in SIZES:
        model = Model(facts, gpus)
        ceiling, name = model.ceilings()[0]
        for load_ in LOADS:
            paper = model.latency(load_ * ceiling)
            seen = simulate(model.stations, model.route, load_ * ceiling, JOBS, seed=gpus)
            rows.append(f"| {gpus} | {load_:.0%} | {paper:.2f} s | {seen.mean:.2f} s | {paper / seen.mean - 1:+.1%} "
                        f"| {seen.quantile(0.95):.1f} s | {name} {seen.busy[name]:.1%} |")  # fmt: skip
    return rows


def small(facts: dict[str, Any], memory: float = 24.0) -> list[str]:
    """One accelerator whose memory does not hold all: what loading costs, on paper and simulated."""
    names = ("removal", "fill")
    whole = sum(facts["kinds"][name]["share"] for name in names)
    mixed = {name: {**facts["kinds"][name], "share": facts["kinds"][name]["share"] / whole} for name in names}
    rows = [
        "| memory | loads a call, paper | simulated | GPU s an edit | edits a second at most |",
        "|---|---|---|---|---|",
    ]
    for size in (memory, 12.0):
        model = Model({**facts, "kinds": mixed, "gpu": {**facts["gpu"], "memory": size}}, 1)
        calls = sum(chance * len(names) for chance, _, names in model.edits())
        paper = sum(chance * sum(model.lacking[n] for n in names) for chance, _, names in model.edits()) / calls
        most = model.ceilings()[0][0]
        seen = simulate(model.stations, model.route, 0.5 * most, JOBS // 2, seed=1)
        rows.append(f"| {size:g} GB | {paper:.1%} | {seen.loads:.1%} | {model.demand('GPUs'):.2f} | {most:.2f} |")
    return rows


def plot(facts: dict[str, Any], path: Path = PLOT) -> None:
    """Draw latency against load: lines on paper, dots simulated."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.6), dpi=110)
    for gpus, color in zip(SIZES, ("#c2410c", "#0f766e", "#4338ca"), strict=True):
        model = Model(facts, gpus)
        ceiling, _ = model.ceilings()[0]
        line = [number / 100 for number in range(2, 97)]
        axes.plot(line, [model.latency(load_ * ceiling) for load_ in line], color=color, lw=1.8,
                  label=f"{gpus} GPU{'s' if gpus > 1 else ''}: {ceiling:.1f} edits a second at most")  # fmt: skip
        dots = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
        seen = [simulate(model.stations, model.route, load_ * ceiling, JOBS // 2, seed=7 * gpus) for load_ in dots]
        axes.plot(dots, [one.mean for one in seen], "o", color=color, ms=5)
        axes.plot(dots, [one.quantile(0.95) for one in seen], "^", color=color, ms=4, mfc="none")
    axes.set(xlabel="load of the busiest station", ylabel="seconds from arrival to end", ylim=(0, 60), xlim=(0, 1))
    title = "Latency against load: lines on paper, dots simulated; 19 of 20 edits stay below the triangles"
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)


TABLES = {"throughput": throughput, "kinds": kinds, "days": days, "compared": compared, "small": small}


def write(facts: dict[str, Any]) -> None:
    """Put the tables between their markers on the page, and draw the plot."""
    page = PAGE.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        page = page[: page.index(first) + len(first)] + "\n".join(table(facts)) + "\n" + page[page.index(last) :]
    PAGE.write_text(page, encoding="utf-8")
    plot(facts)


def main(words: Sequence[str]) -> None:
    """Print the tables, or write them."""
    files = [Path(word) for word in words if not word.startswith("-")]
    facts = load(*files[:1])
    if "--page" in words:
        return write(facts)
    for name, table in TABLES.items():
        print(f"\n{name}\n")
        print("\n".join(table(facts)))


if __name__ == "__main__":
    main(sys.argv[1:])
