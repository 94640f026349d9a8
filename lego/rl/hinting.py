"""Teaching the hints of a nano builder: encoders of n-grams, of all phrasings and without each fold of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.builder.hints import BUCKETS, WIDTH, Encoder, Hints, buckets, letters
from lego.builder.rank import card as text_of
from lego.builder.words import words_of
from lego.core.registry import Registry, Tool
from lego.rl import instructions, phrasings
from lego.rl.clauses import Setting, fill
from lego.rl.phrasings import FOLDS, Card, Phrasing, Split, belongs, fold_of

COPIES = 3  # fillings of a phrasing
SHORT, MORE = 3, 24  # words, fillings of one that is no longer: the letters of a few things would decide there
KNOWN, ASKED, OTHERS = 170, 86, 32  # in a step: wishes for known tools, for made-up ones, and cards that none asks for
RATE, LAST = 6e-3, 0.05  # Adam's, and the share of it that is left at the end
FREE = 5  # how much quicker biases and sharpness learn
DROPPED = 0.3  # share of n-grams left out
SHARP, SPREAD = 10.0, 0.3  # at the start: of likelihoods, and the length of an n-gram's vector
WRONG = 2  # cards that nobody asks for, to each one that is asked for, when the bias of cards is set
TRIES = 4  # to fill a phrasing in
LANGUAGES = ("en", "zh")  # of wishes and cards
FURTHEST = 30.0  # that the bias of cards may be from 0


@dataclass(frozen=True)
class _Wish:
    """What is said, its n-grams, the known tools that are meant (or the number of the card), and its fold."""

    text: str
    grams: NDArray[np.int64]
    tools: tuple[int, ...]
    card: int
    fold: int

    @property
    def language(self) -> str:
        return phrasings.language_of(self.text)


@dataclass(frozen=True)
class _Made:
    """A tool that needs a card: its text and n-grams by language, and its fold; None for one that nobody asks for."""

    texts: dict[str, str]
    grams: dict[str, NDArray[np.int64]]
    fold: int | None

    @classmethod
    def of(cls, tools: dict[str, Tool[..., Any]], fold: int | None) -> _Made:
        texts = {language: text_of(tool) for language, tool in tools.items()}
        return cls(texts, {language: buckets(text) for language, text in texts.items()}, fold)


def teach(registry: Registry, seed: int = 0, share: float = 1.0) -> Hints:
    """Return hints that have learned from the training's phrasings; about eight minutes of one core.

    Args:
        registry: the tools that may be meant; those that need weights are left out.
        share: of the phrasings and the made-up tools; less for tests.
    """
    registry = registry.running()
    tools = (*sorted(tool.name for tool in registry), "")
    random, few = Random(seed), Random(seed)
    cards = [card for card in phrasings.of_cards() if belongs(card.text, "train") and few.random() < share]
    made = [_Made.of({lang: instructions.tool(card, lang) for lang in LANGUAGES}, fold_of(card.text)) for card in cards]
    asked = {name for phrasing in phrasings.of_tools() for name, _ in phrasing.calls}
    made += [_Made.of(dict.fromkeys(LANGUAGES, tool), None) for tool in registry if tool.name not in asked]
    wishes = [*_known(registry, tools, random, share), *_invented(registry, cards, random, share)]
    parts = [_taught(wishes, made, len(tools), seed, fold) for fold in (None, *range(FOLDS))]
    bias = _bias(parts[1:], wishes, made, seed)
    whole, *folds = (replace(part, card=np.array([part.card[0], bias], np.float32)) for part in parts)
    return Hints(tools, whole, tuple(folds))


def _known(registry: Registry, tools: Sequence[str], random: Random, share: float) -> Iterator[_Wish]:
    known = {tool.name: tool for tool in registry}
    numbers = {name: number for number, name in enumerate(tools)}
    for phrasing in (*phrasings.of_tools(), *phrasings.of_cards_own(registry)):
        held = phrasing.within("train") and random.random() < share
        if held and all(name in known for name, _ in phrasing.calls):
            meant = tuple(numbers[name] for name, _ in phrasing.calls)
            for text in filled(phrasing, known, random):
                yield _Wish(text, buckets(text), meant, -1, fold_of(phrasing.text))
    for line in phrasings.lines("decline", "train"):
        if random.random() < share:
            text = refusal(line)
            yield _Wish(text, buckets(text), (numbers[""],), -1, fold_of(line))


def _invented(registry: Registry, cards: Sequence[Card], random: Random, share: float) -> Iterator[_Wish]:
    known = {tool.name: tool for tool in registry}
    for number, card in enumerate(cards):
        for phrasing in card.phrasings:
            if random.random() < share:
                tools = {**known, card.name: instructions.tool(card, phrasing.language)}
                for text in filled(phrasing, tools, random):
                    yield _Wish(text, buckets(text), (), number, fold_of(card.text))


def refusal(line: str) -> str:
    """Return what is to be declined, with its slots as words."""
    return re.sub(r"[!{}]", "", line)


def filled(
    phrasing: Phrasing, tools: dict[str, Tool[..., Any]], random: Random, split: Split = "train"
) -> Iterator[str]:
    """Yield a phrasing with its slots filled, several times; never if nothing fits.

    Args:
        tools: by name.
        split: whose nouns and texts.
    """
    for _ in range(MORE if phrasing.length <= SHORT else COPIES):
        for _ in range(TRIES):
            try:
                text = fill(phrasing, Setting(random, tools, phrasing.language, split)).text
            except ValueError:
                continue
            yield letters(text, words_of(text))
            break


def _taught(wishes: Sequence[_Wish], made: Sequence[_Made], tools: int, seed: int, without: int | None) -> Encoder:
    """One pass over the wishes for known tools, but for those of a fold, with half as many for made-up ones among them.

    Each wish is to be nearest to what it asks for, of all known tools and of the cards in the step; softmax
    cross-entropy, shared out where several tools are meant.
    """
    import torch

    known = [wish for wish in wishes if wish.card < 0 and wish.fold != without]
    asking = [wish for wish in wishes if wish.card >= 0 and wish.fold != without]
    cards = [number for number, card in enumerate(made) if card.fold not in (None, without)]
    never = {number for number, card in enumerate(made) if card.fold is None}
    net = _Net(tools, seed)
    random = np.random.default_rng(seed)
    order = random.permutation(len(known))
    steps = max(1, len(order) // KNOWN)

    def left(step: int) -> float:
        return 1 - (1 - LAST) * step / steps

    fading = [torch.optim.lr_scheduler.LambdaLR(optimizer, left) for optimizer in net.optimizers]
    for start in range(0, steps * KNOWN, KNOWN):
        said = [known[n] for n in order[start : start + KNOWN]]
        asked = [asking[n] for n in random.integers(0, len(asking), ASKED)] if asking else []
        others = {cards[n] for n in random.integers(0, len(cards), OTHERS)}
        near = sorted({wish.card for wish in asked} | others | never)
        spoken = {wish.card: wish.language for wish in asked}
        shown = [made[n].grams[spoken.get(n, "en")] for n in near]
        scores = net.scores([wish.grams for wish in (*said, *asked)], shown, random)
        wanted = torch.zeros_like(scores)
        for row, wish in enumerate((*said, *asked)):
            for tool in wish.tools:
                wanted[row, tool] = 1 / len(wish.tools)
            if wish.card >= 0:
                wanted[row, tools + near.index(wish.card)] = 1
        loss = torch.nn.functional.cross_entropy(scores, wanted)
        loss.backward()
        for optimizer, rate in zip(net.optimizers, fading, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            rate.step()
    return net.encoder()


class _Net:
    """An encoder that learns."""

    def __init__(self, tools: int, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        self.grams = torch.nn.EmbeddingBag(BUCKETS, WIDTH, mode="sum", sparse=True)
        torch.nn.init.normal_(self.grams.weight, std=SPREAD / WIDTH**0.5)
        self.tools = torch.nn.Parameter(torch.randn(tools, WIDTH))
        self.bias = torch.nn.Parameter(torch.zeros(tools + 1))  # the last is that of cards
        self.sharp = torch.nn.Parameter(torch.tensor(SHARP))
        free = {"params": [self.bias, self.sharp], "lr": FREE * RATE}
        few = torch.optim.SparseAdam([self.grams.weight], RATE, betas=(0.0, 0.999))
        self.optimizers = (few, torch.optim.Adam([{"params": [self.tools]}, free], RATE))

    def scores(
        self, said: Sequence[NDArray[np.int64]], cards: Sequence[NDArray[np.int64]], random: np.random.Generator
    ) -> Any:
        """Of each text about each tool and each card, by their n-grams."""
        import torch

        own, near = self._vectors(said, random), self._vectors(cards, random)
        known = own @ torch.nn.functional.normalize(self.tools, dim=1).T * self.sharp + self.bias[:-1]
        return torch.cat([known, own @ near.T * self.sharp + self.bias[-1]], 1)

    def _vectors(self, texts: Sequence[NDArray[np.int64]], random: np.random.Generator) -> Any:
        import torch

        kept = [grams[random.random(len(grams)) >= DROPPED] for grams in texts]
        places = torch.tensor([0, *(len(grams) for grams in kept[:-1])]).cumsum(0)
        return torch.nn.functional.normalize(self.grams(torch.from_numpy(np.concatenate(kept)), places), dim=1)

    def encoder(self) -> Encoder:
        """What was learned, in few bits."""
        import torch

        grams = self.grams.weight.detach().numpy()
        scale = np.maximum(np.abs(grams).max(0), 1e-6) / 127
        sharp = self.sharp.item()
        tools = torch.nn.functional.normalize(self.tools, dim=1).detach().numpy() * sharp
        bias = self.bias.detach().numpy()
        weights = np.round(grams / scale).astype(np.int8)
        card = np.array([sharp, bias[-1]], np.float32)
        return Encoder(weights, scale.astype(np.float32), tools.astype(np.float32), bias[:-1].copy(), card)


def _bias(folds: Sequence[Encoder], wishes: Sequence[_Wish], made: Sequence[_Made], seed: int) -> float:
    """The bias of cards with which those that a model has never seen are as likely as they are right.

    Cards whose phrasings were learned are nearer to these than any other is to its own. So it is set with wishes of
    the fold that each model lacks: a card that is asked for, and `WRONG` others that are not.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    random = Random(seed)
    ahead, right = [], []
    for fold, model in enumerate(folds):
        own = [n for n, card in enumerate(made) if card.fold == fold]
        there = [wish for wish in wishes if wish.fold == fold]
        asking, known = ([w for w in there if (w.card >= 0) == new] for new in (True, False))
        count = min(len(asking), len(known) // WRONG)
        for wish in (*random.sample(asking, count), *random.sample(known, WRONG * count)):
            text = made[wish.card if wish.card >= 0 else random.choice(own)].texts[wish.language]
            scores = model.scores(wish.text, [text])
            ahead.append(float(scores[-1] - model.card[1]) - float(np.logaddexp.reduce(scores[:-1])))
            right.append(wish.card >= 0)
    # the likelihoods are to sum to as many as are right
    return float(brentq(lambda bias: expit(np.array(ahead) + bias).sum() - sum(right), -FURTHEST, FURTHEST))
