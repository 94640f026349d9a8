"""EditScore, a reward model for edits (arXiv 2509.23909), asked one question at a time and read strictly.

Its package guesses where it cannot read (at random, or the middle of the scale) and shows the question for quality both
pictures when it works in batches, so that only its prompts and its model are used here.
"""

from __future__ import annotations

from typing import Any

from lego.builder import verdict
from lego.builder.base import Review
from lego.builder.verdict import Scores, Verdict
from lego.core.errors import SettingsError
from lego.core.values import Image

KIND = "editscore"
RANGE = 25.0  # of the scores that the models give; ours are 0 to 10
ENOUGH = 8.0  # of 10, from which on both scores together are a success (as in EditThinker, arXiv 2512.05965)
TRIES = 3
SEED = 42


class EditScore:
    """The reward model of the package `editscore`.

    Args:
        engine: an `editscore.EditScore`, or anything with its `SC_prompt`, `PQ_prompt` and `model`.
        name: of the model.
    """

    def __init__(self, engine: Any, name: str) -> None:
        self.engine, self.name = engine, name

    @classmethod
    def open(cls, text: str, seed: int = SEED) -> EditScore:
        """Load ``editscore:BACKBONE#MODEL+LORA``; the adapter may be left out.

        Raises:
            SettingsError: the package is not installed, or no model is named.
        """
        head, _, where = text.partition("#")
        model, _, lora = where.partition("+")
        backbone = head.partition(":")[2] or "qwen25vl"
        if not model:
            hint = "say which: editscore:qwen25vl#MODEL+ADAPTER"
            raise SettingsError("EditScore needs a model", where=text, hint=hint, code="which_model")
        try:
            from editscore import EditScore as Engine
        except ImportError:
            hint = "pip install editscore torchvision peft qwen-vl-utils"
            raise SettingsError("editscore is not installed", where=text, hint=hint, code="not_installed") from None
        options = {"lora_path": lora} if lora else {}
        engine = Engine(backbone=backbone, model_name_or_path=model, score_range=int(RANGE), seed=seed, **options)
        return cls(engine, f"{KIND}:{model}{'+' + lora if lora else ''}")

    def edit(self, before: Image, after: Image, instruction: str, seed: int) -> str:
        """Ask how well the instruction was followed, and how little else was changed."""
        words = self.engine.SC_prompt.replace("<instruction>", instruction)
        return self._said([before, after], words, seed)

    def look(self, after: Image, seed: int) -> str:
        """Ask how natural the result looks, and how free of artefacts it is."""
        return self._said([after], self.engine.PQ_prompt, seed)

    def _said(self, images: list[Image], words: str, seed: int) -> str:
        model = self.engine.model
        return str(model.inference(model.prepare_input([i.pil().convert("RGB") for i in images], words), seed=seed))


class Rewarder:
    """EditScore as a critic: it scores and gives its reasons, and does not say what would be left to do.

    A result with at least 8 of 10 in all scores is a success, any other has failed; a score that cannot be read in
    three tries is missing.

    Args:
        model: the reward model.
    """

    def __init__(self, model: EditScore) -> None:
        self.model, self.name = model, model.name

    def review(self, review: Review) -> Verdict:
        """Score a result; see `lego.builder.critic.Critic.review`."""
        edit = look = None
        for seed in range(review.seed, review.seed + TRIES):
            edit = edit or verdict.pair(self.model.edit(review.before, review.after, review.instruction, seed), RANGE)
            look = look or verdict.pair(self.model.look(review.after, seed), RANGE)
        if edit is None or look is None:
            return Verdict("missing", f"no scores of '{self.name}' could be read")
        scores = Scores(*edit[:2], *look[:2])
        reason = " ".join(filter(None, (edit[2], look[2]))) or "no reason was given"
        good = min(*edit[:2], *look[:2]) >= ENOUGH
        return Verdict("success" if good else "failed", reason, "", () if good else (reason,), scores)
