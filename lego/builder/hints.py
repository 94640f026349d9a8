"""Hints: what a passage of an instruction may mean, by its letters alone.

Texts become vectors, the sum of one for each of their hashed n-grams of letters, as fastText has it (arXiv 1607.01759).
Each sense of the tools that are known by heart has a vector of its own (a tool, a tool with values that words imply, a
look), a tool that was never seen before that of its card's text, and a passage means what its vector is near to
(StarSpace, arXiv 1709.03856). A network of a few million parameters that is trained from scratch on the same phrasings
generalises less from letters, but knows what surrounds them. So its prompt shows the hints, and it decides.

In training a hint must be as good as it will be later. Therefore the file of a checkpoint under training holds one
model for each fold of the phrasings too, which has not seen that fold (`lego.rl.hinting`).
"""

from __future__ import annotations

import functools
import io
import math
import re
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.builder.arguments import Reader
from lego.builder.ngrams import BUCKETS, buckets, softmax, summed
from lego.builder.words import Word
from lego.core.codec import write_whole

FILE = "hints.npz"
ARRAYS = ("weights", "scale", "tools", "bias", "card")  # in it, those of `Encoder`, one a model
READ = "read_"  # before the names of those of `lego.builder.arguments.Reader`
WIDTH = 128  # numbers of a vector
LEAST, MOST = 0.08, 3  # share of the likelihood that a tool must have to be named; tools of a passage
CLEAR = 0.4  # share of a tool's likelihood that one of its senses must have to be shown
ALIKE = 0.7  # how likely one tool must be in both of two passages, so that they are two wishes for it
LOWEST = 0.01  # a tool's likelihood, as far as the network has to overrule it
TOOL = re.compile(r"<T:([^>]+)>")
BREAK = re.compile(
    r"[,;.!?，。；！？、\n]+|\b(?:and|then|also|plus)\b|&|\+(?!\d)|\s[-–—]\s|(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])"
    r"|然后|接着|再|并且|并|同时|顺便|还有|另外|之后|最后|而且|以后|和",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class Encoder:
    """One model.

    Attributes:
        weights: of the n-grams, BUCKETS x WIDTH, in steps of ``scale``.
        scale: WIDTH.
        tools: a vector for each sense, as long as its likelihood is sharp; senses x WIDTH.
        bias: one a sense.
        card: how sharp the likelihood of a card is, and its bias.
        reader: what words say of the parameters of cards; None leaves these to the network.
    """

    weights: NDArray[np.int8]
    scale: NDArray[np.float32]
    tools: NDArray[np.float32]
    bias: NDArray[np.float32]
    card: NDArray[np.float32]
    reader: Reader | None = None

    def vector(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a text, of length 1; of one without letters, 0."""
        found = summed(buckets(text), self.weights, self.scale)
        return np.asarray(found / max(float(np.linalg.norm(found)), 1e-9), np.float32)

    def scores(self, text: str, cards: Sequence[str] = ()) -> NDArray[np.float32]:
        """Return for each sense, then for each text of a card, a logarithm of how likely the text is about it."""
        own = _kept(self, text)
        sharp, bias = self.card
        others = [sharp * float(_kept(self, card) @ own) + bias for card in cards]
        return np.concatenate([self.tools @ own + self.bias, np.array(others, np.float32)])

    def shares(self, text: str, cards: Sequence[str] = ()) -> NDArray[np.float32]:
        """Return how likely the text is about each sense, then each card; they sum to 1."""
        return softmax(self.scores(text, cards))


def _log(share: float) -> float:
    return math.log(max(share, LOWEST))


@functools.lru_cache(maxsize=1 << 14)
def _kept(encoder: Encoder, text: str) -> NDArray[np.float32]:
    """The vector of a card, or of a passage, which choosing cards, marks and odds all ask for."""
    return encoder.vector(text)


@dataclass(frozen=True)
class Passage:
    """A part of an instruction: the numbers of its first and last word, and the senses and cards it may be about."""

    first: int
    last: int
    senses: tuple[str, ...]
    cards: tuple[int, ...] = ()


@dataclass(frozen=True)
class Hints:
    """The hints of a checkpoint.

    Attributes:
        senses: what words may mean, in the tokens of an answer: a tool alone (``<T:blur>``), with the values that
            words imply (``<T:grain><P:amount><a_2>``), or several tools, which make a look; "" stands for nothing that
            a tool here could do.
        whole: learned from all phrasings.
        folds: each learned from all phrasings and made-up tools but one fold's; empty once training is over.
    """

    senses: tuple[str, ...]
    whole: Encoder
    folds: tuple[Encoder, ...] = ()

    @functools.cached_property
    def tools(self) -> tuple[tuple[str, ...], ...]:
        """The tools of each sense."""
        return tuple(tuple(TOOL.findall(sense)) for sense in self.senses)

    @functools.cached_property
    def groups(self) -> dict[str, NDArray[np.intp]]:
        """The numbers of the senses of one tool, by its token, and of each look alone."""
        found: dict[str, list[int]] = {}
        for number, (sense, tools) in enumerate(zip(self.senses, self.tools, strict=True)):
            found.setdefault(sense if len(tools) != 1 else f"<T:{tools[0]}>", []).append(number)
        return {name: np.array(numbers) for name, numbers in found.items()}

    @classmethod
    def load(cls, path: Path) -> Hints:
        """Read the file of a checkpoint.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
                senses, arrays = data["senses"].tolist(), [data[name] for name in ARRAYS]
                read = [data[READ + name] for name in Reader.ARRAYS] if READ + Reader.ARRAYS[0] in data else []
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise ValueError(f"{path.name} is broken: {error}") from None
        readers = [Reader(*part) for part in zip(*read, strict=True)]
        parts = [Encoder(*part) for part in zip(*arrays, strict=True)]
        if readers:
            parts = [replace(part, reader=reader) for part, reader in zip(parts, readers, strict=True)]
        sizes = {(part.weights.shape, part.tools.shape) for part in parts}
        if sizes != {((BUCKETS, WIDTH), (len(senses), WIDTH))} or not all(part.fits for part in readers):
            raise ValueError(f"{path.name} is of another size")
        return cls(tuple(senses), parts[0], tuple(parts[1:]))

    def save(self, path: Path) -> None:
        """Write the file of a checkpoint, whole or not at all."""
        models = (self.whole, *self.folds)
        held: dict[str, Any] = {name: np.stack([getattr(part, name) for part in models]) for name in ARRAYS}
        if self.whole.reader:
            held |= {READ + name: np.stack([getattr(part.reader, name) for part in models]) for name in Reader.ARRAYS}
        file = io.BytesIO()
        np.savez_compressed(file, senses=np.array(self.senses), **held)
        write_whole(path, file.getvalue())

    def passages(
        self, instruction: str, words: Sequence[Word], fold: int | None = None, cards: Sequence[str] = ()
    ) -> list[Passage]:
        """Return the passages of an instruction, with the tools and cards that each may be about.

        Args:
            fold: of the training's phrasings that the instruction was made of, if it was.
            cards: their texts.
        """
        model = self._model(fold)
        found: list[tuple[int, int, NDArray[np.float32], NDArray[np.float32]]] = []
        for first, last in _cut(instruction, words):
            shares = model.shares(letters(instruction, words[first : last + 1]), cards)
            summed = self._summed(shares)
            if found:  # "black and white" is one passage: together it says more than its halves
                joined = model.shares(letters(instruction, words[found[-1][0] : last + 1]), cards)
                more, halves = self._summed(joined), (found[-1][3], summed)
                if more.max() > max(half.max() for half in halves) and not _alike(more, halves):
                    first, shares, summed = found.pop()[0], joined, more
            found.append((first, last, shares, summed))
        return [Passage(first, last, *self._likely(shares, summed)) for first, last, shares, summed in found]

    def rivalry(
        self,
        instruction: str,
        words: Sequence[Word],
        fold: int | None,
        cards: Sequence[str],
        known: Collection[str],
    ) -> list[float]:
        """Return for each card how likely some passage is about it, were there no tools but it and those ``known``."""
        most = [0.0] * len(cards)
        for passage in self.passages(instruction, words, fold, cards):
            text = letters(instruction, words[passage.first : passage.last + 1])
            scores = self._scores(text, fold, cards, known)
            rest = np.logaddexp.reduce(scores[: len(self.senses)])
            alone = 1 / (1 + np.exp(rest - scores[len(self.senses) :]))
            most = [max(old, float(new)) for old, new in zip(most, alone, strict=True)]
        return most

    def odds(
        self, text: str, fold: int | None, cards: Sequence[str], known: Collection[str]
    ) -> tuple[dict[str, float], list[float]]:
        """Return the logarithm of how likely the text is about each tool and each card, `LOWEST` at least.

        Args:
            known: the tools on offer; all others count for nothing, so that a card may stand in for one of them.
        """
        shares = softmax(self._scores(text, fold, cards, known))
        sums: dict[str, float] = {}
        for tools, share in zip(self.tools, shares.tolist(), strict=False):
            if tools:  # a look begins with the first of its tools
                sums[tools[0]] = sums.get(tools[0], 0.0) + share
        return {tool: _log(share) for tool, share in sums.items()}, [
            _log(n) for n in shares[len(self.senses) :].tolist()
        ]

    def reader(self, fold: int | None) -> Reader | None:
        """What tells of words of a fold what they say of a card's parameters."""
        return self._model(fold).reader

    def senses_of(
        self, text: str, fold: int | None, cards: Sequence[str], known: Collection[str]
    ) -> NDArray[np.float32]:
        """Return how likely each sense is; arguments as in `odds`."""
        return softmax(self._scores(text, fold, cards, known))[: len(self.senses)]

    def _scores(self, text: str, fold: int | None, cards: Sequence[str], known: Collection[str]) -> NDArray[np.float32]:
        """The encoder's, without the senses of tools that are not on offer."""
        scores = self._model(fold).scores(text, cards)
        there = frozenset(known)
        gone = [n for n, tools in enumerate(self.tools) if not there.issuperset(tools)]
        scores[gone] = -np.inf
        return scores

    def _model(self, fold: int | None) -> Encoder:
        return self.folds[fold % len(self.folds)] if fold is not None and self.folds else self.whole

    def _summed(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        """How likely each group is, then each card."""
        groups = [shares[numbers].sum() for numbers in self.groups.values()]
        return np.concatenate([np.array(groups, np.float32), shares[len(self.senses) :]])

    def _likely(
        self, shares: NDArray[np.float32], summed: NDArray[np.float32]
    ) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The likeliest sense of each of the likeliest groups, the tool alone where none stands out; and the cards."""
        order = [n for n in np.argsort(-summed, kind="stable")[:MOST] if summed[n] >= LEAST]
        groups, senses = list(self.groups.items()), []
        for name, numbers in (groups[n] for n in order if n < len(groups)):
            best = numbers[shares[numbers].argmax()]
            clear = shares[best] >= CLEAR * shares[numbers].sum()
            senses.append(self.senses[best] if clear else name)
        return tuple(senses), tuple(int(n) - len(groups) for n in order if n >= len(groups))


def letters(instruction: str, words: Sequence[Word]) -> str:
    """Return the part of an instruction that some of its words make up; what is quoted says nothing about a tool."""
    parts, at = [], words[0].start if words else 0
    for word in words:
        if word.kind == "quote":
            parts.append(instruction[at : word.start] + '""')
            at = word.end
    return "".join([*parts, instruction[at : words[-1].end] if words else ""])


def _alike(joined: NDArray[np.float32], halves: Sequence[NDArray[np.float32]]) -> bool:
    """Is each half by itself about what both are together? "Remove the dog and remove the car" are two wishes."""
    place = joined.argmax()
    return all(half.argmax() == place and half[place] >= ALIKE for half in halves)


def _cut(instruction: str, words: Sequence[Word]) -> list[tuple[int, int]]:
    """The first and the last word between two breaks; a break inside a word (a quote, a number) is none."""
    breaks = [
        found.span()
        for found in BREAK.finditer(instruction)
        if not any(word.start < found.start() < word.end for word in words)
    ]
    said = [n for n, word in enumerate(words) if not any(a <= word.start < b for a, b in breaks)]
    cut: list[tuple[int, int]] = []
    for before, number in zip([None, *said], said, strict=False):
        parted = before is None or any(words[before].end <= a and b <= words[number].start for a, b in breaks)
        cut = [*cut, (number, number)] if parted else [*cut[:-1], (cut[-1][0], number)]
    return cut
