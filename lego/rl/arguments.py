"""Teaching what words say of the parameters of tools that were never seen, from those of made-up ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.builder.arguments import KINDS, NOTHING, ROWS, SAID, SIZE, Option, Reader, options, overlap, rows
from lego.builder.pointing import PARAMS
from lego.builder.spelling import Spelling, sayable
from lego.core.errors import WorkflowError
from lego.core.registry import Tool
from lego.core.signature import Param
from lego.rl.embedding import SHARP, SPREAD, Embedding

STEP = 128  # wishes
DROPPED = 0.2  # share of n-grams left out
NEVER = -1e9  # the score of what is no option


@dataclass(frozen=True)
class Lesson:
    """Words for a made-up tool: their n-grams, the options of each of its parameters, which is meant, their fold."""

    grams: NDArray[np.int64]
    options: tuple[tuple[Option, ...], ...]
    meant: tuple[int, ...]
    fold: int


def lesson(text: str, tool: Tool[..., Any], args: Mapping[str, Any], said: Collection[str], fold: int) -> Lesson:
    """Return what there is to learn of a wish.

    Args:
        text: its words.
        args: those of the call that it asks for.
        said: the parameters whose values stand in the words.
    """
    params = [param for param in tool.params if sayable(param)][:PARAMS]
    meant = tuple(_meant(param, args[param.name], param.name in said) if param.name in args else 0 for param in params)
    return Lesson(rows(text), tuple(options(param) for param in params), meant, fold)


def _meant(param: Param, value: Any, said: bool) -> int:
    """The number of the option; of a number for which there is none, as if it stood in the words."""
    kinds = [option.token or option.kind for option in options(param)]
    if said and SAID in kinds:
        return kinds.index(SAID)
    try:
        token = "".join(Spelling("", ()).value(param, value))
    except WorkflowError:
        token = SAID
    return kinds.index(token if token in kinds else SAID if SAID in kinds else NOTHING)


def taught(lessons: Sequence[Lesson], seed: int, without: int | None, pairs: Sequence[tuple[str, str]] = ()) -> Reader:
    """Return what has learned from all lessons but those of a fold, in one pass; softmax cross-entropy of the options.

    Args:
        without: None leaves out no fold.
        pairs: a dictionary, see `Embedding`.
    """
    import torch

    known = [one for one in lessons if one.fold != without and one.meant]
    net = _Net(seed, pairs)
    random = np.random.default_rng(seed)

    def loss(numbers: NDArray[np.int64]) -> Any:
        part = [known[number] for number in numbers]
        meant = torch.tensor([option for one in part for option in one.meant])
        return torch.nn.functional.cross_entropy(net.scores(part, random), meant)

    net.grams.learn([net.kinds], [net.bias, net.sharp], loss, len(known), STEP, random)
    return net.reader()


class _Net:
    """A reader that learns."""

    def __init__(self, seed: int, pairs: Sequence[tuple[str, str]]) -> None:
        import torch

        torch.manual_seed(seed)
        self.grams = Embedding(ROWS, SIZE, DROPPED, pairs)
        self.kinds = torch.nn.Parameter(torch.randn(len(KINDS), SIZE) * SPREAD)
        self.bias = torch.nn.Parameter(torch.zeros(len(KINDS)))
        self.sharp = torch.nn.Parameter(torch.tensor([SHARP, 0.0, 0.0]))

    def scores(self, part: Sequence[Lesson], random: np.random.Generator) -> Any:
        """Of each option of each parameter, in rows filled up with `NEVER`."""
        import torch

        own = torch.nn.functional.normalize(self.grams.sums([one.grams for one in part], random), dim=1)
        asked = [(number, row) for number, one in enumerate(part) for row in one.options]
        there = {option: n for n, option in enumerate(dict.fromkeys(option for _, row in asked for option in row))}
        kinds = torch.tensor([KINDS.index(option.kind) for option in there])
        names = [rows(f"{option.name} {option.choice}") for option in there]
        vectors = torch.nn.functional.normalize(self.grams.sums(names, random) + self.kinds[kinds], dim=1)
        letters = [frozenset(one.grams.tolist()) for one in part]
        shape = (len(asked), max(len(row) for _, row in asked))
        number, shared = np.full(shape, -1), np.zeros((*shape, 2), np.float32)
        for place, (wish, row) in enumerate(asked):
            number[place, : len(row)] = [there[option] for option in row]
            for n, option in enumerate(row[1:], 1):
                shared[place, n] = overlap(option.choice, letters[wish]), overlap(option.name, letters[wish])
        wishes, at = torch.tensor([wish for wish, _ in asked]), torch.from_numpy(number)
        near = (own @ vectors.T)[wishes].gather(1, at.clamp(min=0)) + torch.from_numpy(shared) @ self.sharp[1:]
        return (self.sharp[0] * near + self.bias[kinds][at.clamp(min=0)]).masked_fill(at < 0, NEVER)

    def reader(self) -> Reader:
        """What was learned, in few bits."""
        weights, scale = self.grams.rounded()
        kinds, bias, sharp = (part.detach().numpy().copy() for part in (self.kinds, self.bias, self.sharp))
        return Reader(weights, scale, kinds, bias, sharp)
