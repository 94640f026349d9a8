"""Chinese and English words that mean the same are read from CC-CEDICT, and an embedding learns that they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lego.builder.ngrams import buckets
from lego.rl import dictionary
from lego.rl.embedding import Embedding

COUNT, SIZE = 1 << 12, 32


@pytest.mark.parametrize(
    ("definition", "meanings"),
    [
        ("to paint; paint (CL:個|个[ge4])", ["paint", "paint"]),
        ("the moon", ["moon"]),
        ("(of a knife) to be sharp", ["sharp"]),
        ("variant of 圈[quan1]", []),
        ("surname Zhang", []),
        ("a kind of small boat that is rowed by one", []),
    ],
)
def test_a_definition_gives_its_short_meanings(definition: str, meanings: list[str]) -> None:
    assert dictionary.meanings(definition) == meanings


def test_there_are_everyday_words_in_it() -> None:
    pairs = set(dictionary.pairs())
    assert {("木", "wood"), ("蓝色", "blue"), ("风暴", "storm"), ("左边", "left")} <= pairs
    assert len(pairs) > 100_000


def apart(net: Embedding, pairs: tuple[tuple[str, str], ...]) -> float:
    """How often a Chinese word is nearer to the meaning of another pair than to its own."""
    import torch

    random = np.random.default_rng(0)
    sides: list[Any] = [
        torch.nn.functional.normalize(net.sums([buckets(pair[side], COUNT) for pair in pairs], random), dim=1)
        for side in (0, 1)
    ]
    near = sides[0] @ sides[1].T
    return float((near > near.diagonal()[:, None]).float().mean())


def test_an_embedding_learns_that_they_mean_the_same() -> None:
    import torch

    pairs = dictionary.pairs()[::400]
    losses = {}
    for given in ((), pairs):
        torch.manual_seed(0)
        net = Embedding(COUNT, SIZE, 0.0, given)
        other = torch.nn.Parameter(torch.zeros(1))
        net.learn([other], [], lambda numbers: torch.zeros((), requires_grad=True), 4000, 50, np.random.default_rng(0))
        losses[bool(given)] = apart(net, pairs)
    assert losses[False] > 0.3  # by chance a half
    assert losses[True] < 0.05
