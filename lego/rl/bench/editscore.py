"""EditScore: a reward model for edits as a judge (arXiv 2509.23909)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lego.core.errors import SettingsError
from lego.core.values import Image
from lego.rl.bench import replies
from lego.rl.bench.formulas import Mode, least, overall
from lego.rl.bench.items import Item
from lego.rl.bench.judging import SEED, Judged, Streak, fitted, tried
from lego.rl.bench.prompts import Prompts
from lego.rl.bench.suite import Cells, Column, Scores, Suite, View

KIND = "editscore"
RANGE = 25.0  # of the scores that the models give; ours are 0 to 10


class EditScore:
    """The reward model of the package `editscore`, asked one question at a time and read strictly.

    The package itself guesses where it cannot read (at random, or the middle of the scale) and shows the question for
    quality both pictures when it works in batches, so that only its prompts and its model are used here.

    Args:
        engine: an `editscore.EditScore`, or anything with its `SC_prompt`, `PQ_prompt` and `model`.
        name: of the model.
    """

    kind, alone = KIND, True

    def __init__(self, engine: Any, name: str, retries: int = 3, seed: int = SEED) -> None:
        self.engine, self.name, self.retries, self.seed = engine, name, retries, seed
        self.prompts = Prompts({"sc": engine.SC_prompt, "pq": engine.PQ_prompt}).hash
        self.facts: Mapping[str, Any] = {
            "temperature": getattr(engine.model, "temperature", None), "seed": seed, "pictures": "as they are",
            "scale": RANGE,
        }  # fmt: skip
        self._streak = Streak()

    @classmethod
    def open(cls, text: str, retries: int, seed: int) -> EditScore:
        """Load ``editscore:BACKBONE#MODEL+LORA``; the adapter may be left out.

        Raises:
            SettingsError: the package is not installed, or no model is named.
        """
        head, _, where = text.partition("#")
        model, _, lora = where.partition("+")
        backbone = head.partition(":")[2] or "qwen25vl"
        if not model:
            hint = "say which: --judge editscore:qwen25vl#MODEL+ADAPTER"
            raise SettingsError("EditScore needs a model", where="--judge", hint=hint, code="which_model")
        try:
            from editscore import EditScore as Engine
        except ImportError:
            hint = "pip install editscore torchvision peft qwen-vl-utils"
            raise SettingsError(
                "editscore is not installed", where="--judge", hint=hint, code="not_installed"
            ) from None
        options = {"lora_path": lora} if lora else {}
        engine = Engine(backbone=backbone, model_name_or_path=model, score_range=int(RANGE), seed=seed, **options)
        return cls(engine, f"editscore:{model}{'+' + lora if lora else ''}", retries, seed)

    def judge(self, item: Item, result: Image, number: int) -> Judged:
        """Ask both questions of the package about a result."""
        made = Judged()
        source = item.images[0].open()
        after = fitted(result, source, made.notes)
        before, after_ = source.pil().convert("RGB"), after.pil().convert("RGB")
        words = self.engine.SC_prompt.replace("<instruction>", item.instruction)
        model = self.engine.model

        def sc(number: int, seed: int) -> str:
            return str(model.inference(model.prepare_input([before, after_], words), seed=seed))

        def pq(number: int, seed: int) -> str:
            return str(model.inference(model.prepare_input([after_], self.engine.PQ_prompt), seed=seed))

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
