"""The panel: who may judge, by name, and what their scores come to."""

from __future__ import annotations

from lego.builder import talker
from lego.builder.editscore import KIND, EditScore
from lego.rl.bench import editscore, pixels
from lego.rl.bench.formulas import Mode
from lego.rl.bench.judging import SEED, Asked, Judge
from lego.rl.bench.prompts import Prompts
from lego.rl.bench.suite import Measure, Suite


def judge_of(
    text: str, suite: Suite, prompts: Prompts, mode: Mode, retries: int, temperature: float = 0.0, seed: int = SEED
) -> Judge:
    """Return a judge: "pixels", "editscore:BACKBONE#MODEL+ADAPTER", or whom `lego.builder.talker.open` opens.

    Raises:
        SettingsError: there is no such judge here.
    """
    if text == pixels.KIND:
        return pixels.Measured()
    if text.partition("#")[0].partition(":")[0] == KIND:
        return editscore.Scorer(EditScore.open(text, seed), retries, seed)
    return Asked(suite, talker.open(text), prompts, mode, retries, temperature, seed)


def measure_of(kind: str, suite: Suite, true: bool) -> Measure:
    """Return what a kind of judge's scores come to.

    Args:
        true: the items have true results and masks.
    """
    if kind == pixels.KIND:
        return pixels.Pixels(suite, true)
    return editscore.Rewarded(suite) if kind == KIND else suite
