"""Rewards in the form that TRL's trainers call: whole batches, columns by name, None for a sample to be left out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from lego.core.errors import TrainingError
from lego.rl.rewards import Reward

OneByOne: TypeAlias = Callable[..., "Reward | float | None"]
Batch: TypeAlias = Callable[..., "list[float | None]"]


def for_trl(function: OneByOne, name: str = "") -> Batch:
    """Turn the reward of one sample into the reward function of `trl.GRPOTrainer`.

    The function is called once a sample with those of ``prompt``, ``completion`` (plain text, also of a chat),
    ``completion_ids`` and the data set's columns that its parameters name; a parameter with a default may be missing.
    The terms of a `Reward` go into the trainer's log, averaged over the batch, as ``name/term``.

    Args:
        function: gives a `Reward`, a number, or None for a sample that is to be left out.
        name: under which TRL logs it; by default the function's own.

    Raises:
        TrainingError: (when called) a reward is NaN, infinite or no number, or a column is missing; ``where`` names
            the reward and the sample.
    """
    label = name or getattr(function, "__name__", type(function).__name__)
    parameters = inspect.signature(function).parameters
    wanted = {name: p for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}

    def reward(
        prompts: Sequence[Any], completions: Sequence[Any], completion_ids: Any = None, **columns: Any
    ) -> list[float | None]:
        known = {"prompt": prompts, "completion": [_text(c) for c in completions], "completion_ids": completion_ids}
        samples = _samples(label, wanted, {**columns, **known}, len(completions))
        given = [function(**sample) for sample in samples]
        values = [_number(value, f"{label}, sample {number}") for number, value in enumerate(given, 1)]
        _log(label, given, columns.get("log_metric"))
        return values

    reward.__name__ = reward.__qualname__ = label
    return reward


def _samples(
    label: str, wanted: Mapping[str, inspect.Parameter], columns: Mapping[str, Any], count: int
) -> list[dict[str, Any]]:
    """The arguments of each call: what the function's parameters name."""
    found = {}
    for name, parameter in wanted.items():
        if columns.get(name) is None:
            if parameter.default is parameter.empty:
                hint = f"the data set has no column '{name}'; give the reward's parameter a default, or add the column"
                raise TrainingError(f"there is no column '{name}'", where=label, hint=hint, code="missing_column")
        elif len(columns[name]) != count:
            hint = "each column has one value for each completion"
            message = f"the column '{name}' has {len(columns[name])} values for {count} completions"
            raise TrainingError(message, where=label, hint=hint, code="missing_column")
        else:
            found[name] = columns[name]
    return [{name: values[number] for name, values in found.items()} for number in range(count)]


def _text(completion: Any) -> str:
    """Plain text; of a conversation what its last message says."""
    content = completion
    if isinstance(completion, list):
        content = completion[-1].get("content") if completion else ""
    if isinstance(content, list):  # a message in parts, as vision-language models have it
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _number(value: Reward | float | None, where: str) -> float | None:
    if value is None:
        return None
    total = value.total if isinstance(value, Reward) else value
    try:
        number = float(total)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        hint = "a reward is a finite number, or None to leave the sample out"
        raise TrainingError(f"the reward is {total!r}", where=where, hint=hint)
    return number


def _log(label: str, given: Sequence[Any], log_metric: Callable[[str, float], None] | None) -> None:
    """Hand the mean of each term to the trainer."""
    if log_metric is None:
        return
    terms: dict[str, list[float]] = {}
    for value in given:
        for name, term in value.terms.items() if isinstance(value, Reward) else ():
            terms.setdefault(name, []).append(term)
    for name, values in terms.items():
        log_metric(f"{label}/{name}", sum(values) / len(values))
