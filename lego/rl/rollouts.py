"""Rollouts: what a model answers under the grammar, sampled for reinforcement or greedy for an exam."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.builder.base import Request
from lego.builder.decode import Completion, generate
from lego.builder.local import Checkpoint, inputs_of, text_of
from lego.builder.planning import lean_of
from lego.rl.env import right
from lego.rl.supply import Task

AT_ONCE = 32  # prompts of an exam that are decoded side by side
ROWS = 128  # answers side by side on a CPU: 640 take twice as long and three times the memory


def roll(
    checkpoint: Checkpoint, requests: Sequence[Request], count: int, temperature: float, seed: int, max_tokens: int
) -> list[Completion]:
    """Return ``count`` answers for each request, those of a request next to each other; see `decode.generate`."""
    size = max(1, ROWS // count) if checkpoint.model.device.type == "cpu" else len(requests)
    found: list[Completion] = []
    with evaluating(checkpoint.model):
        for first in range(0, len(requests), size):
            part = list(requests[first : first + size])
            starts = [checkpoint.constraint.start(checkpoint.form.grammar(request)) for request in part]
            found += generate(
                checkpoint.model,
                inputs_of(checkpoint, part),
                starts.__getitem__,
                leans=[lean_of(checkpoint, request) for request in part],
                count=count,
                temperature=temperature,
                seed=seed,
                max_tokens=max_tokens,
            )
    return found


def accuracy(
    checkpoint: Checkpoint,
    tasks: Sequence[Task],
    max_tokens: int,
    progress: Callable[[float], None] = lambda share: None,
) -> float:
    """Return the share of tasks that are planned as meant: greedy answers under the grammar."""
    good = 0
    for start in range(0, len(tasks), AT_ONCE):
        part = tasks[start : start + AT_ONCE]
        found = roll(checkpoint, [task.request for task in part], 1, 0.0, 0, max_tokens)
        texts = [text_of(checkpoint, completion.ids) for completion in found]
        good += sum(right(task, text, checkpoint.form) for task, text in zip(part, texts, strict=True))
        progress(min(1.0, (start + AT_ONCE) / len(tasks)))
    return good / len(tasks)


@dataclass(frozen=True)
class Choices:
    """What could be chosen in some answers.

    Attributes:
        places: for each answer and place a row of the table, -1 where nothing was chosen.
        table: the allowed tokens as packed bits, rows x bytes; places share a few hundred different rows.
        leans: what was added to the logits: rows of the table, tokens, additions; 3 x additions.
    """

    places: NDArray[np.int64]
    table: NDArray[np.uint8]
    leans: NDArray[np.float64]


def choices(found: Sequence[Completion]) -> Choices:
    """Return what could be chosen in these answers."""
    length = max(len(completion.ids) for completion in found)
    places = np.full((len(found), length), -1, np.int64)
    known: dict[tuple[bytes, tuple[tuple[int, float], ...]], int] = {}
    for number, completion in enumerate(found):
        free = np.flatnonzero(completion.free)
        for place, mask, lean in zip(free, completion.masks, completion.leans, strict=True):
            places[number, place] = known.setdefault((mask.tobytes(), tuple(lean.items())), len(known))
    width = found[0].masks.shape[1]
    table = [np.frombuffer(bits, np.uint8) for bits, _ in known] or [np.zeros(width, np.uint8)]
    leans = [(row, *pair) for row, (_, pairs) in enumerate(known) for pair in pairs]
    return Choices(places, np.stack(table), np.array(leans, np.float64).reshape(-1, 3).T)


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Switch dropout and checkpointing of activations off for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
