"""Sums of n-gram vectors that learn, for hints and for what is read of arguments.

Beside what it is taught, an embedding learns from a dictionary (`lego.rl.dictionary`) that a Chinese word and its
English meaning are near to each other, first alone and then in every step: InfoNCE among the pairs of a step (arXiv
1807.03748).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.builder.ngrams import buckets

RATE, LAST = 6e-3, 0.05  # Adam's, and the share of it that is left at the end
FREE = 5  # how much quicker biases and sharpness learn
SHARP, SPREAD = 10.0, 0.3  # at the start: of likelihoods, and the length of an n-gram's vector
PAIRS = 512  # of the dictionary in a step that has nothing else
AMONG, WEIGHT = 128, 0.3  # pairs in a step of all else, and what they count there
ORDERS = 3  # in which a model that ships learns its examples


class Embedding:
    """A vector for each bucket of n-grams; a step touches few of them, so their gradients are sparse.

    Args:
        count, size: of the vectors, and of each.
        dropped: share of a text's n-grams that are left out.
        pairs: texts that mean the same, the dictionary.
    """

    def __init__(self, count: int, size: int, dropped: float, pairs: Sequence[tuple[str, str]] = ()) -> None:
        import torch

        self.dropped = dropped
        self.pairs = _numbers(tuple(pairs), count)
        self.grams = torch.nn.EmbeddingBag(count, size, mode="sum", sparse=True)
        torch.nn.init.normal_(self.grams.weight, std=SPREAD / size**0.5)

    def sums(self, texts: Sequence[NDArray[np.int64]], random: np.random.Generator) -> Any:
        """Return the sum of vectors of each text's n-grams, texts x size."""
        import torch

        kept = [grams[random.random(len(grams)) >= self.dropped] for grams in texts]
        places = torch.tensor([0, *(len(grams) for grams in kept[:-1])]).cumsum(0)
        return self.grams(torch.from_numpy(np.concatenate(kept)), places)

    def rounded(self) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Return what was learned as count x size steps, and how long a step is in each of the columns."""
        weights = self.grams.weight.detach().numpy()
        scale = np.maximum(np.abs(weights).max(0), 1e-6) / 127
        return np.round(weights / scale).astype(np.int8), scale.astype(np.float32)

    def learn(
        self,
        slow: Sequence[Any],
        free: Sequence[Any],
        loss: Callable[[NDArray[np.int64]], Any],
        count: int,
        size: int,
        random: np.random.Generator,
        orders: int = 1,
    ) -> None:
        """Learn from the dictionary, then from each of some examples once, at rates that fall.

        Args:
            slow, free: the other parameters; biases and sharpness are free.
            loss: of the examples of these numbers.
            count, size: of the examples, and of a step; a rest is left out.
            orders: in so many random orders, each from where the dictionary led; the mean of what was learned in them
                stays, which depends less on the order.
        """
        import torch

        def apart(numbers: NDArray[np.int64]) -> Any:
            return self._apart([self.pairs[number] for number in numbers], random)

        def both(numbers: NDArray[np.int64]) -> Any:
            return loss(numbers) + WEIGHT * apart(random.integers(0, len(self.pairs), AMONG))

        if self.pairs:
            _steps([self._optimizer()], apart, len(self.pairs), PAIRS, random)
        learning = [self.grams.weight, *slow, *free]
        begun = [part.detach().clone() for part in learning]
        found = []
        for _ in range(orders):
            _put(learning, begun)
            rest = torch.optim.Adam([{"params": slow}, {"params": free, "lr": FREE * RATE}], RATE)
            _steps([self._optimizer(), rest], both if self.pairs else loss, count, size, random)
            found.append([part.detach().clone() for part in learning])
        _put(learning, [torch.stack(parts).mean(0) for parts in zip(*found, strict=True)])

    def _optimizer(self) -> Any:
        import torch

        sparse: Any = torch.optim.SparseAdam
        return sparse([self.grams.weight], RATE, betas=(0.0, 0.999))

    def _apart(self, pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], random: np.random.Generator) -> Any:
        """How far the texts of each pair are from each other, rather than from those of the other pairs."""
        import torch

        one, other = (
            torch.nn.functional.normalize(self.sums(side, random), dim=1) for side in zip(*pairs, strict=True)
        )
        scores, own = SHARP * one @ other.T, torch.arange(len(pairs))
        return (torch.nn.functional.cross_entropy(scores, own) + torch.nn.functional.cross_entropy(scores.T, own)) / 2


def _put(parts: Sequence[Any], values: Sequence[Any]) -> None:
    """Set parameters."""
    import torch

    with torch.no_grad():
        for part, value in zip(parts, values, strict=True):
            part.copy_(value)


def _steps(
    optimizers: Sequence[Any],
    loss: Callable[[NDArray[np.int64]], Any],
    count: int,
    size: int,
    random: np.random.Generator,
) -> None:
    """One pass over some examples; arguments as in `Embedding.learn`."""
    import torch

    if not count:
        return
    order, steps = random.permutation(count), max(1, count // size)
    left = lambda step: 1 - (1 - LAST) * step / steps  # noqa: E731
    fading = [torch.optim.lr_scheduler.LambdaLR(optimizer, left) for optimizer in optimizers]
    for step in range(steps):
        loss(order[step * size : (step + 1) * size]).backward()
        for optimizer, rate in zip(optimizers, fading, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            rate.step()


@functools.lru_cache(maxsize=4)
def _numbers(pairs: Sequence[tuple[str, str]], count: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The n-grams of the texts of pairs."""
    return [(buckets(one, count), buckets(other, count)) for one, other in pairs]
