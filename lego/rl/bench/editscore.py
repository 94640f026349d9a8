"""EditScore as a judge of benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lego.builder.editscore import KIND, RANGE, EditScore
from lego.core.values import Image
from lego.rl.bench import replies
from lego.rl.bench.formulas import Mode, least, overall
from lego.rl.bench.items import Item
from lego.rl.bench.judging import SEED, Judged, Streak, fitted, tried
from lego.rl.bench.prompts import Prompts
from lego.rl.bench.suite import Cells, Column, Scores, Suite, View


class Scorer:
    """EditScore as a judge of a benchmark; see `lego.builder.editscore`.

    Args:
        model: the reward model.
    """

    kind, alone = KIND, True

    def __init__(self, model: EditScore, retries: int = 3, seed: int = SEED) -> None:
        self.model, self.name, self.retries, self.seed = model, model.name, retries, seed
        engine = model.engine
        self.prompts = Prompts({"sc": engine.SC_prompt, "pq": engine.PQ_prompt}).hash
        self.facts: Mapping[str, Any] = {
            "temperature": getattr(engine.model, "temperature", None), "seed": seed, "pictures": "as they are",
            "scale": RANGE,
        }  # fmt: skip
        self._streak = Streak()

    def judge(self, item: Item, result: Image, number: int) -> Judged:
        """Ask both questions of the package about a result."""
        made = Judged()
        source = item.images[0].open()
        after = fitted(result, source, made.notes)

        def sc(number: int, seed: int) -> str:
            return self.model.edit(source, after, item.instruction, seed)

        def pq(number: int, seed: int) -> str:
            return self.model.look(after, seed)

        def read(text: str) -> tuple[float, ...]:
            return tuple(s / RANGE * 10 for s in replies.listed(text, 2, 0, RANGE, "fixed"))

        for name, ask in (("sc", sc), ("pq", pq)):
            tried(made, name, ask, read, self.retries, self.seed + number, self._streak)
        return made


class Rewarded:
    """What EditScore's scores come to: as in GEdit-Bench."""

    columns: Sequence[Column] = (Column("SC", 0, 10), Column("PQ", 0, 10), Column("O", 0, 10))
    views: Sequence[View] = (View("mean of groups, O", "O", "groups"), View("mean of items, O", "O"))

    main = "O"

    def __init__(self, suite: Suite) -> None:
        self.suite = suite

    def sections(self, item: Item) -> Sequence[str]:
        """As the suite's."""
        return self.suite.sections(item)

    def values(self, item: Item, scores: Scores, mode: Mode, clamp: bool) -> Mapping[str, Cells]:
        """SC, PQ and the root of their product."""
        sc, pq = least(scores.get("sc")), least(scores.get("pq"))
        return {"SC": (sc,), "PQ": (pq,), "O": (overall(sc, pq),)}
