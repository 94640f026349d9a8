"""The summary: tables of what a judge's scores come to, with how sure they are and how far they could be off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.core import ledger
from lego.rl.bench.formulas import Mode, mean
from lego.rl.bench.items import Item
from lego.rl.bench.judging import TALKER
from lego.rl.bench.panel import measure_of
from lego.rl.bench.running import LOG, Run, result_of
from lego.rl.bench.scoring import FILE, Score, digest
from lego.rl.bench.suite import Cells, Column, Measure, Scores, Suite, View

DRAWS, SEED, INNER = 1000, 0, (2.5, 97.5)  # of the bootstrap: samples, their seed, and the percentiles of 95 %


@dataclass(frozen=True)
class Figure:
    """A mean over what was judged.

    Attributes:
        mean: None if nothing was.
        interval: 95 % of the bootstrap over items; None for fewer than two.
        bounds: the mean if all that is missing, or was not generated, had the lowest and the highest value.
    """

    mean: float | None
    interval: tuple[float, float] | None
    bounds: tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A group: how many of its items were judged, lack a score, and were not generated; and figures by column."""

    name: str
    items: int
    judged: int
    missing: int
    absent: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Table:
    """What one judge, asked with one set of prompts, made of the items of one language.

    Attributes:
        lang: "" where the suite has one language.
        passes: judgements of an item at most.
        overall: figures of all items by label.
        cells: by item and column.
        scores: the judge's lines by item.
    """

    judge: str
    kind: str
    prompts: str
    lang: str
    mode: Mode
    clamp: bool
    passes: int
    columns: Sequence[Column]
    main: str
    lines: Sequence[Line]
    overall: Mapping[str, Figure]
    items: Sequence[Item]
    cells: Mapping[str, Mapping[str, Cells]]
    scores: Mapping[str, Sequence[Score]]

    def dump(self) -> dict[str, Any]:
        """As data."""
        facts = ("judge", "kind", "prompts", "lang", "mode", "clamp", "passes")
        counts = ("items", "judged", "missing", "absent")
        groups = {
            line.name: {**{name: getattr(line, name) for name in counts}, **_dumped(line.figures)}
            for line in self.lines
        }
        return {**{name: getattr(self, name) for name in facts}, "groups": groups, "overall": _dumped(self.overall)}


@dataclass(frozen=True)
class Summary:
    """A report.

    Attributes:
        runs: what became of the items: done, declined, failed, and not run.
        stale: judgements of results that were made anew since, which do not count.
        log: the lines of the run, by item.
        results: where pictures are, by item.
    """

    suite: Suite
    home: Path
    items: Sequence[Item]
    runs: Mapping[str, int]
    builder: str
    stale: int
    tables: Sequence[Table]
    log: Mapping[str, Run] = field(default_factory=dict)
    results: Mapping[str, Path] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """As data."""
        return {
            "suite": self.suite.name, "builder": self.builder, "results": str(self.home), "items": len(self.items),
            "runs": dict(self.runs), "stale": self.stale, "tables": [table.dump() for table in self.tables],
        }  # fmt: skip


def summarise(
    suite: Suite, items: Sequence[Item], home: Path, mode: Mode = "fixed", clamp: bool | None = None
) -> Summary:
    """Make a table of each judge's scores, set of prompts and language; with no scores, none.

    Replies are read again from the judge's own words, so that one scoring serves both modes.

    Args:
        clamp: hold scores to each other as the prompts ask; by default in fixed mode.

    Raises:
        RecordError: a file of the results is broken.
    """
    log = {line.item: line for line in ledger.read(home / LOG, Run)}
    results = {item.id: path for item in items if (path := result_of(suite, home, item))}
    digests = {name: digest(path) for name, path in results.items()}
    fresh = {line.key: line for line in ledger.read(home / FILE, Score) if line.item in digests}
    current = [line for line in fresh.values() if line.digest == digests[line.item]]
    judges: dict[tuple[str, str], list[Score]] = {}
    for line in current:
        judges.setdefault((line.judged_by, line.prompts), []).append(line)
    clamped = mode == "fixed" if clamp is None else clamp
    langs = dict.fromkeys(item.lang for item in items)
    tables = []
    for lines in judges.values():
        for lang in langs:
            some = [item for item in items if item.lang == lang]
            tables.append(_table(suite, some, lines, set(results), mode, clamped and suite.clamped))
    runs: Counter[str] = Counter(
        log[item.id].status if item.id in log else "done" if item.id in results else "not run" for item in items
    )
    builder = next((line.builder for line in log.values()), home.name)
    stale = len(fresh) - len(current)
    return Summary(suite, home, items, runs, builder, stale, tables, log, results)


def _table(
    suite: Suite, items: Sequence[Item], lines: Sequence[Score], made: set[str], mode: Mode, clamp: bool
) -> Table:
    first = lines[0]
    measure = measure_of(first.kind, suite, any(item.gt and item.mask for item in items))
    scores: dict[str, list[Score]] = {}
    for line in sorted(lines, key=lambda line: line.number):
        scores.setdefault(line.item, []).append(line)
    cells = {item.id: _cells(suite, measure, item, scores.get(item.id, []), mode, clamp) for item in items}
    sections: dict[str, list[Item]] = {}
    for item in items:
        for name in measure.sections(item):
            sections.setdefault(name, []).append(item)
    return Table(
        judge=first.judged_by,
        kind=first.kind,
        prompts=first.prompts,
        lang=items[0].lang if len(suite.langs) > 1 else "",
        mode=mode,
        clamp=clamp,
        passes=max(map(len, scores.values())),
        columns=measure.columns,
        main=measure.main,
        lines=[_line(name, some, cells, measure.columns, made, mode) for name, some in sections.items()],
        overall={view.label: _viewed(view, measure, items, cells, mode) for view in measure.views},
        items=items,
        cells=cells,
        scores=scores,
    )


def _cells(
    suite: Suite, measure: Measure, item: Item, lines: Sequence[Score], mode: Mode, clamp: bool
) -> Mapping[str, Cells]:
    """An item's cells; of several passes the mean of each. What was not judged is missing in either mode."""
    if not lines:
        return measure.values(item, {}, "fixed", clamp)
    passes = [measure.values(item, _read(suite, item, line, mode), mode, clamp) for line in lines]
    return {
        name: tuple(mean([made[name][n] for made in passes]) for n in range(len(passes[0][name]))) for name in passes[0]
    }


def _read(suite: Suite, item: Item, line: Score, mode: Mode) -> Scores:
    """The scores of a line: of words, read again."""
    if line.kind != TALKER:
        return {name: None if scores is None else tuple(scores) for name, scores in line.scores.items()}
    found: dict[str, tuple[float, ...] | None] = {}
    for name, text in line.raw.items():
        try:
            found[name] = suite.read(item, name, text, mode)
        except ValueError:
            found[name] = None
    return found


def _line(
    name: str,
    items: Sequence[Item],
    cells: Mapping[str, Mapping[str, Cells]],
    columns: Sequence[Column],
    made: set[str],
    mode: Mode,
) -> Line:
    absent = sum(item.id not in made for item in items)
    whole = sum(item.id in made and is_whole(cells[item.id]) for item in items)
    figures = {column.name: _figure([[cells[i.id][column.name] for i in items]], column, mode) for column in columns}
    return Line(name, len(items), whole, len(items) - absent - whole, absent, figures)


def is_whole(cells: Mapping[str, Cells]) -> bool:
    """Is no score of an item missing?"""
    return all(value is not None for cell in cells.values() for value in cell)


def _viewed(
    view: View, measure: Measure, items: Sequence[Item], cells: Mapping[str, Mapping[str, Cells]], mode: Mode
) -> Figure:
    column = next(column for column in measure.columns if column.name == view.column)
    groups: dict[str, list[Cells]] = {}
    for item in items:
        if view.only(item):
            name = measure.sections(item)[-1] if view.how == "groups" else ""
            groups.setdefault(name, []).append(cells[item.id][view.column])
    return _figure(list(groups.values()), column, mode)


def _figure(groups: Sequence[Sequence[Cells]], column: Column, mode: Mode) -> Figure:
    """The mean over the means of groups, with its interval and bounds; one group gives its mean."""
    digits = 2 if column.rounded and mode == "official" else None
    means = [_rounded(mean([value for cell in group for value in cell]), digits) for group in groups]
    ends = [
        mean([mean([end if value is None else value for cell in group for value in cell]) for group in groups])
        for end in (column.low, column.high)
    ]
    low, high = (end if value is None else value for end, value in zip((column.low, column.high), ends, strict=True))
    return Figure(mean(means), _interval(groups), (low, high))


def _rounded(value: float | None, digits: int | None) -> float | None:
    return value if value is None or digits is None else round(value, digits)


def _interval(groups: Sequence[Sequence[Cells]]) -> tuple[float, float] | None:
    """The bootstrap over items, within each group; an item's cells stay together."""
    rng = np.random.default_rng(SEED)
    drawn: list[NDArray[np.float64]] = []
    most = 0
    for group in groups:
        known = [[value for value in cell if value is not None] for cell in group]
        known = [values for values in known if values]
        if not known:
            continue
        most = max(most, len(known))
        sums, counts = np.array([sum(v) for v in known]), np.array([len(v) for v in known])
        chosen = rng.integers(0, len(known), (DRAWS, len(known)))
        drawn.append(sums[chosen].sum(1) / counts[chosen].sum(1))
    if most < 2:
        return None
    low, high = np.percentile(np.mean(drawn, axis=0), INNER)
    return float(low), float(high)


def _dumped(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {
        name: {"mean": figure.mean, "interval": figure.interval, "bounds": figure.bounds}
        for name, figure in figures.items()
    }
