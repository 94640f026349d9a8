"""Sums of n-gram vectors that learn, for hints and for what is read of arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE, LAST = 6e-3, 0.05  # Adam's, and the share of it that is left at the end
FREE = 5  # how much quicker biases and sharpness learn
SHARP, SPREAD = 10.0, 0.3  # at the start: of likelihoods, and the length of an n-gram's vector


class Embedding:
    """A vector for each bucket of n-grams; a step touches few of them, so their gradients are sparse.

    Args:
        count, size: of the vectors, and of each.
        dropped: share of a text's n-grams that are left out.
    """

    def __init__(self, count: int, size: int, dropped: float) -> None:
        import torch

        self.dropped = dropped
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
    ) -> None:
        """Learn from each of some examples once, in any order, at a rate that falls.

        Args:
            slow, free: the other parameters; biases and sharpness are free.
            loss: of the examples of these numbers.
            count, size: of the examples, and of a step; a rest is left out.
        """
        import torch

        order, steps = random.permutation(count), max(1, count // size)
        few = torch.optim.SparseAdam([self.grams.weight], RATE, betas=(0.0, 0.999))
        rest = torch.optim.Adam([{"params": slow}, {"params": free, "lr": FREE * RATE}], RATE)
        left = lambda step: 1 - (1 - LAST) * step / steps  # noqa: E731
        fading = [torch.optim.lr_scheduler.LambdaLR(optimizer, left) for optimizer in (few, rest)]
        for step in range(steps):
            loss(order[step * size : (step + 1) * size]).backward()
            for optimizer, rate in zip((few, rest), fading, strict=True):
                optimizer.step()
                optimizer.zero_grad()
                rate.step()
