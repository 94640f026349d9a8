"""What an embedding learns from examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lego.rl.embedding import Embedding

COUNT, SIZE, EXAMPLES = 64, 8, 40


def learned(random: np.random.Generator, orders: int) -> tuple[Any, Any]:
    """The vectors and a further parameter of one that began as all others do, after examples of one n-gram each."""
    torch.manual_seed(0)
    net, further = Embedding(COUNT, SIZE, 0.0), torch.nn.Parameter(torch.zeros(SIZE))

    def loss(numbers: np.ndarray[Any, Any]) -> Any:
        own = net.sums([np.array([number]) for number in numbers], random) + further
        return (own - torch.from_numpy(numbers)[:, None].float()).square().mean()

    net.learn([further], [], loss, EXAMPLES, 4, random, orders)
    return net.grams.weight.detach(), further.detach()


def test_several_orders_leave_the_mean_of_what_each_has_learned_from_the_same_beginning() -> None:
    random = np.random.default_rng(3)
    one, two = learned(random, 1), learned(random, 1)
    assert not torch.allclose(one[1], two[1]), "the order matters"
    for mean, first, second in zip(learned(np.random.default_rng(3), 2), one, two, strict=True):
        assert torch.allclose(mean, (first + second) / 2, atol=1e-6)
