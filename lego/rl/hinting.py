"""Teaching the hints of a nano builder: linear models over n-grams, of all phrasings and without each fold of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lego.builder.hints import BUCKETS, Hints, Linear, buckets, letters
from lego.builder.words import words_of
from lego.core.registry import Registry, Tool
from lego.rl import phrasings
from lego.rl.clauses import Setting, fill
from lego.rl.phrasings import FOLDS, Phrasing, fold_of

COPIES = 3  # fillings of a phrasing
BATCH, RATE, DROPPED = 128, 0.3, 0.3  # examples a step, Adagrad's rate, share of n-grams left out
TRIES = 4  # to fill a phrasing in
Example: TypeAlias = tuple[NDArray[np.int64], tuple[int, ...], int]  # n-grams, tools, fold


def teach(registry: Registry, seed: int = 0, share: float = 1.0) -> Hints:
    """Return hints that have learned from the training's phrasings; about three minutes on one core.

    Args:
        registry: the tools that may be meant; those that need weights are left out.
        share: of the phrasings; less for tests.
    """
    registry = registry.running()
    tools = (*sorted(tool.name for tool in registry), "")
    examples = list(_examples(registry, tools, Random(seed), share))
    parts = [_taught([e for e in examples if e[2] != fold], len(tools), seed) for fold in (None, *range(FOLDS))]
    return Hints(tools, parts[0], tuple(parts[1:]))


def _examples(registry: Registry, tools: Sequence[str], random: Random, share: float) -> Iterator[Example]:
    known = {tool.name: tool for tool in registry}
    numbers = {name: number for number, name in enumerate(tools)}
    for phrasing in (*phrasings.of_tools(), *phrasings.of_cards_own(registry)):
        held = phrasing.within("train") and random.random() < share
        if held and all(name in known for name, _ in phrasing.calls):
            meant = tuple(numbers[name] for name, _ in phrasing.calls)
            for text in _filled(phrasing, known, random):
                yield _grams(text), meant, fold_of(phrasing.text)
    for line in phrasings.lines("decline", "train"):
        if random.random() < share:
            yield _grams(re.sub(r"[!{}]", "", line)), (numbers[""],), fold_of(line)


def _grams(text: str) -> NDArray[np.int64]:
    return buckets(letters(text, words_of(text)))


def _filled(phrasing: Phrasing, tools: dict[str, Tool[..., Any]], random: Random) -> Iterator[str]:
    for _ in range(COPIES):
        for _ in range(TRIES):
            try:
                yield fill(phrasing, Setting(random, tools, phrasing.language, "train")).text
                break
            except ValueError:
                continue


def _taught(examples: Sequence[Example], tools: int, seed: int) -> Linear:
    """One pass over the examples with Adagrad; softmax cross-entropy, shared out where several tools are meant."""
    import torch

    weights = torch.nn.EmbeddingBag(BUCKETS, tools, mode="sum")
    torch.nn.init.zeros_(weights.weight)
    bias = torch.zeros(tools, requires_grad=True)
    optimizer = torch.optim.Adagrad([weights.weight, bias], lr=RATE)
    random = np.random.default_rng(seed)
    order = random.permutation(len(examples))
    for start in range(0, len(order), BATCH):
        batch = [examples[number] for number in order[start : start + BATCH]]
        kept = [grams[random.random(len(grams)) >= DROPPED] for grams, _, _ in batch]
        places = torch.tensor([0, *(len(grams) for grams in kept[:-1])]).cumsum(0)
        sizes = torch.tensor([max(1, len(grams)) for grams in kept]).sqrt()[:, None]
        wanted = torch.zeros(len(batch), tools)
        for row, (_, meant, _) in enumerate(batch):
            for tool in meant:
                wanted[row, tool] += 1 / len(meant)
        scores = weights(torch.from_numpy(np.concatenate(kept)), places) / sizes + bias
        loss = torch.nn.functional.cross_entropy(scores, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = weights.weight.detach().numpy()
    scale = np.maximum(np.abs(found).max(0), 1e-6) / 127
    return Linear(np.round(found / scale).astype(np.int8), scale.astype(np.float32), bias.detach().numpy())
