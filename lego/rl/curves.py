"""Curves: the metrics of a stage as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

SHOWN = ("loss", "mean_token_accuracy", "accuracy", "reward", "terms/plan", "terms/exact", "kl", "entropy", "grad_norm")
SMOOTH = 0.9  # of the moving mean that is drawn over the points
FEW = 40  # points that are joined as they are
OUTLIERS = 0.02  # of the points at each end that may lie outside: the first losses would flatten all others


def draw(lines: Sequence[Mapping[str, float]], path: Path, title: str) -> Path | None:
    """Draw each metric over the steps; None where there is nothing to draw, or matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    found = {name: [(line["step"], line[name]) for line in lines if name in line] for name in SHOWN}
    found = {name: points for name, points in found.items() if points}
    if not found:
        return None
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (name, points) in enumerate(found.items(), 1):
        axes = figure.add_subplot(rows, columns, number)
        steps, values = zip(*points, strict=True)
        if len(values) < FEW:  # exams: a moving mean would only lag behind
            axes.plot(steps, values, "o-", markersize=4, linewidth=1.5)
        else:
            axes.plot(steps, values, ".", markersize=2, color="0.7")
            axes.plot(steps, _smooth(values), linewidth=1.5)
        axes.set_ylim(*_limits(values))
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)
    return path


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """What an axis shows: all but the farthest few points, with some air."""
    ordered = sorted(values)
    skip = int(OUTLIERS * len(ordered))
    low, high = ordered[skip], ordered[-1 - skip]
    air = 0.08 * (high - low) or 1.0
    return low - air, high + air


def _smooth(values: Sequence[float]) -> list[float]:
    """A moving mean without the pull of its start (as Adam's)."""
    made, mean, weight = [], 0.0, 0.0
    for value in values:
        mean = SMOOTH * mean + (1 - SMOOTH) * value
        weight = SMOOTH * weight + (1 - SMOOTH)
        made.append(mean / weight)
    return made
