"""The picture of a stage's metrics."""

from __future__ import annotations

from pathlib import Path

from lego.core.values import Image
from lego.rl import curves


def test_each_metric_that_there_is_gets_a_part_of_the_picture(tmp_path: Path) -> None:
    lines = [{"step": float(n), "loss": 8 / (n + 1)} for n in range(100)] + [{"step": 50.0, "accuracy": 0.3}]
    made = curves.draw(lines, tmp_path / "curves.png", "a stage")
    assert made is not None
    both = Image.open(made)
    alone = Image.open(curves.draw(lines[:100], tmp_path / "one.png", "a stage") or "")
    assert both.size[0] > 1.5 * alone.size[0]
    assert both.pixels.std() > 5


def test_nothing_to_draw_is_no_picture(tmp_path: Path) -> None:
    assert curves.draw([], tmp_path / "none.png", "a stage") is None
    assert not (tmp_path / "none.png").exists()


def test_a_few_outliers_do_not_flatten_the_rest() -> None:
    low, high = curves._limits([20.0, *[1 + n / 100 for n in range(200)]])
    assert high < 4
    assert low < 1.1
