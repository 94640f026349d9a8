"""Arguments: what words say of the parameters of a tool that was never seen before, by their letters alone.

As in `lego.builder.hints` texts become vectors, the sum of one for each of their n-grams. What may be said of a
parameter (nothing; a value that stands in the words; much; yes; one of its choices) has a vector too: that of the names
of parameter and choice, and one of its kind. What is said is what the words' vector is nearest to, and nearer where the
letters of a name are among theirs.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lego.builder.ngrams import buckets, softmax, summed
from lego.builder.spelling import SLOTS
from lego.core.signature import Param

ROWS, SIZE = 1 << 15, 64  # buckets of n-grams; numbers of a vector
NOTHING, SAID, CHOICE = "", "said", "choice"  # kinds, beside the tokens that a value is
YES, LEVELS = ("<yes>", "<no!>"), ("<a_0.5>", "<a_1>", "<a_2>", "<a_max>")
KINDS = (NOTHING, SAID, CHOICE, *YES, *LEVELS)


@dataclass(frozen=True)
class Option:
    """What may be said of a parameter.

    Attributes:
        kind: one of `KINDS`.
        token: what an answer would say; "" if that is in the words, or nothing.
        name, choice: the words of the parameter's name and, if it is one, of the choice.
    """

    kind: str
    token: str
    name: str
    choice: str = ""


@functools.lru_cache(maxsize=1 << 14)
def options(param: Param) -> tuple[Option, ...]:
    """Return what may be said of a parameter, first nothing."""
    name = param.name.replace("_", " ")
    if param.kind == "choice":
        choices = [str(choice).replace("_", " ") for choice in param.choices]
        found = [Option(CHOICE, token, name, choice) for token, choice in zip(SLOTS, choices, strict=False)]
    elif param.kind == "boolean":
        found = [Option(kind, kind, name) for kind in YES]
    else:
        levels = LEVELS if param.kind in ("number", "integer") else ()
        found = [Option(SAID, "", name), *(Option(level, level, name) for level in levels)]
    return (Option(NOTHING, "", name), *found)


@dataclass(frozen=True, eq=False)
class Reader:
    """One model.

    Attributes:
        weights: of the n-grams, ROWS x SIZE, in steps of ``scale``.
        scale: SIZE.
        kinds, bias: a vector and a bias for each of `KINDS`; KINDS x SIZE, KINDS.
        sharp: how sharp the likelihood is; how much it counts that the letters of a choice's name, and of a
            parameter's, are among those of the words.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("weights", "scale", "kinds", "bias", "sharp")
    weights: NDArray[np.int8]
    scale: NDArray[np.float32]
    kinds: NDArray[np.float32]
    bias: NDArray[np.float32]
    sharp: NDArray[np.float32]

    @property
    def fits(self) -> bool:
        """Has it the size that it should have?"""
        return self.weights.shape == (ROWS, SIZE) and self.kinds.shape == (len(KINDS), SIZE)

    def shares(self, text: str, param: Param) -> NDArray[np.float32]:
        """Return how likely a text says each of the options of a parameter; they sum to 1."""
        own, letters = self._sum(text), set(rows(text).tolist())
        return softmax(np.array([self._score(own, letters, option) for option in options(param)], np.float32))

    def _score(self, own: NDArray[np.float32], letters: Collection[int], option: Option) -> float:
        kind = KINDS.index(option.kind)
        vector = self._sum(f"{option.name} {option.choice}") + self.kinds[kind]
        sharp, by_choice, by_name = self.sharp.tolist()
        shared = by_choice * overlap(option.choice, letters) + by_name * overlap(option.name, letters) * (kind > 0)
        lengths = float(np.linalg.norm(own)) * float(np.linalg.norm(vector))
        near = float(own @ vector) / max(lengths, 1e-9)
        return float(sharp * (near + shared) + self.bias[kind])

    def _sum(self, text: str) -> NDArray[np.float32]:
        return summed(rows(text), self.weights, self.scale)


@functools.lru_cache(maxsize=1 << 16)
def rows(text: str) -> NDArray[np.int64]:
    """Return the numbers of a text's n-grams."""
    return buckets(text, ROWS)


def overlap(name: str, letters: Collection[int]) -> float:
    """Return which share of a name's n-grams is among those of some words; 0 of no name."""
    own = rows(name)
    return sum(gram in letters for gram in own.tolist()) / max(1, len(own))
