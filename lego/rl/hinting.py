"""Teaching the hints of a nano builder: encoders of n-grams, of all phrasings and without each fold of them."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.builder.calls import Call
from lego.builder.hints import TOOL, WIDTH, Encoder, Hints, letters
from lego.builder.ngrams import BUCKETS, buckets
from lego.builder.rank import card as text_of
from lego.builder.spelling import Spelling, sayable
from lego.builder.words import words_of
from lego.core.errors import WorkflowError
from lego.core.registry import Registry, Tool
from lego.rl import arguments, dictionary, instructions, phrasings
from lego.rl.arguments import Lesson
from lego.rl.clauses import Setting, fill
from lego.rl.embedding import ORDERS, SHARP, Embedding
from lego.rl.phrasings import FOLDS, Card, Phrasing, Split, belongs, fold_of, slots_in

COPIES = 3  # fillings of a phrasing
SHORT, MORE = 3, 24  # words, fillings of one that is no longer: the letters of a few things would decide there
BRIEF, MOST = 4, 72  # the same of one that names a thing: "car" would say more than "make" in "make the car blue"
KNOWN, ASKED, OTHERS = 244, 86, 32  # in a step: wishes for known tools, for made-up ones, and cards that none asks for
DROPPED = 0.3  # share of n-grams left out
WRONG = 2  # cards that nobody asks for, to each one that is asked for, when the bias of cards is set
TRIES = 4  # to fill a phrasing in
OFTEN = 24  # fillings that a sense must have in the training to be told from its tool
LANGUAGES = ("en", "zh")  # of wishes and cards
FURTHEST = 30.0  # that the bias of cards may be from 0


@dataclass(frozen=True)
class _Wish:
    """What is said, its n-grams, the senses that are meant (or the number of the card), and its fold."""

    text: str
    grams: NDArray[np.int64]
    senses: tuple[int, ...]
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
    """Return hints that have learned from the training's phrasings; about twenty minutes of one core.

    Args:
        registry: the tools that may be meant; those that need weights are left out.
        share: of the phrasings, the made-up tools and the dictionary; less for tests.
    """
    registry = registry.running()
    random, few = Random(seed), Random(seed)
    cards = [card for card in phrasings.of_cards() if belongs(card.text, "train") and few.random() < share]
    made = [_Made.of({lang: instructions.tool(card, lang) for lang in LANGUAGES}, fold_of(card.text)) for card in cards]
    asked = {name for phrasing in phrasings.of_tools() for name, _ in phrasing.calls}
    made += [_Made.of(dict.fromkeys(LANGUAGES, tool), None) for tool in registry if tool.name not in asked]
    said = list(_known(registry, random, share))
    senses = _senses(registry, Counter(sense for _, sense, _ in said))
    asking = list(_invented(registry, cards, random, share))
    wishes = [*_meaning(said, senses), *(wish for wish, _ in asking)]
    lessons = [lesson for _, lesson in asking if lesson]
    pairs = [pair for pair in dictionary.pairs() if random.random() < share]
    parts = [
        replace(
            _taught(wishes, made, len(senses), seed, fold, pairs),
            reader=arguments.taught(lessons, seed, fold, pairs),
        )
        for fold in (None, *range(FOLDS))
    ]
    bias = _bias(parts[1:], wishes, made, seed)
    whole, *folds = (replace(part, card=np.array([part.card[0], bias], np.float32)) for part in parts)
    return Hints(senses, whole, tuple(folds))


def _known(registry: Registry, random: Random, share: float) -> Iterator[tuple[str, str, int]]:
    """Yield what is said for known tools or to be declined, with its sense and its fold."""
    known = {tool.name: tool for tool in registry}
    for phrasing in (*phrasings.of_tools(), *phrasings.of_cards_own(registry)):
        held = phrasing.within("train") and random.random() < share
        if held and all(name in known for name, _ in phrasing.calls):
            for text, calls in filled(phrasing, known, random):
                yield text, sense_of(calls, slots_in(phrasing.text), known), fold_of(phrasing.text)
    for line in phrasings.lines("decline", "train"):
        if random.random() < share:
            yield refusal(line), "", fold_of(line)


def _senses(registry: Registry, count: Counter[str]) -> tuple[str, ...]:
    """Every tool alone, what is said often enough, and nothing."""
    alone = [f"<T:{tool.name}>" for tool in registry]
    often = (sense for sense, times in count.items() if sense and times >= OFTEN)
    return (*sorted({*alone, *often}), "")


def _meaning(said: Iterable[tuple[str, str, int]], senses: Sequence[str]) -> Iterator[_Wish]:
    """Make wishes of what is said; of a sense that is rare only the tools count."""
    numbers = {sense: number for number, sense in enumerate(senses)}
    for text, sense, fold in said:
        meant = [sense] if sense in numbers else [f"<T:{tool}>" for tool in TOOL.findall(sense)]
        yield _Wish(text, buckets(text), tuple(numbers[one] for one in meant), -1, fold)


def sense_of(calls: Iterable[Call], said: Collection[str], tools: Mapping[str, Tool[..., Any]]) -> str:
    """Return what calls mean as hints have it (`Hints.senses`), without places and without values that are ``said``."""
    spelled, parts = Spelling("", ()), []
    for call in calls:
        parts.append(f"<T:{call.tool}>")
        for param in tools[call.tool].params:
            if param.name in call.args and param.name not in said and param.format != "target" and sayable(param):
                with contextlib.suppress(WorkflowError):  # a text, which only words say
                    parts.append("".join([f"<P:{param.name}>", *spelled.value(param, call.args[param.name])]))
    return "".join(parts)


def _invented(
    registry: Registry, cards: Sequence[Card], random: Random, share: float
) -> Iterator[tuple[_Wish, Lesson | None]]:
    """Yield wishes for made-up tools, the first `COPIES` of a phrasing with what they say of its parameters."""
    known = {tool.name: tool for tool in registry}
    for number, card in enumerate(cards):
        for phrasing in card.phrasings:
            if random.random() < share:
                tool, fold = instructions.tool(card, phrasing.language), fold_of(card.text)
                for copy, (text, calls) in enumerate(filled(phrasing, {**known, card.name: tool}, random)):
                    args = next((call.args for call in calls if call.tool == card.name), {})
                    held = arguments.lesson(text, tool, args, slots_in(phrasing.text), fold) if copy < COPIES else None
                    yield _Wish(text, buckets(text), (), number, fold), held


def refusal(line: str) -> str:
    """Return what is to be declined, with its slots as words."""
    return re.sub(r"[!{}]", "", line)


def filled(
    phrasing: Phrasing, tools: dict[str, Tool[..., Any]], random: Random, split: Split = "train"
) -> Iterator[tuple[str, list[Call]]]:
    """Yield a phrasing with its slots filled, and its calls, several times; never if nothing fits.

    Args:
        tools: by name.
        split: whose nouns and texts.
    """
    named = "{thing}" in phrasing.text and phrasing.length <= BRIEF
    for _ in range(MOST if named else MORE if phrasing.length <= SHORT else COPIES):
        for _ in range(TRIES):
            try:
                clause = fill(phrasing, Setting(random, tools, phrasing.language, split))
            except ValueError:
                continue
            yield letters(clause.text, words_of(clause.text)), clause.calls
            break


def _taught(
    wishes: Sequence[_Wish],
    made: Sequence[_Made],
    senses: int,
    seed: int,
    without: int | None,
    pairs: Sequence[tuple[str, str]],
) -> Encoder:
    """Passes over the wishes for known tools, but for those of a fold, with a third as many for made-up ones beside.

    Each wish is to be nearest to what it asks for, of all senses and of the cards in the step; softmax cross-entropy,
    shared out where several senses are meant.
    """
    import torch

    known = [wish for wish in wishes if wish.card < 0 and wish.fold != without]
    asking = [wish for wish in wishes if wish.card >= 0 and wish.fold != without]
    cards = [number for number, card in enumerate(made) if card.fold not in (None, without)]
    never = {number for number, card in enumerate(made) if card.fold is None}
    net = _Net(senses, seed, pairs)
    random = np.random.default_rng(seed)

    def loss(numbers: NDArray[np.int64]) -> Any:
        said = [known[number] for number in numbers]
        asked = [asking[n] for n in random.integers(0, len(asking), ASKED)] if asking else []
        others = {cards[n] for n in random.integers(0, len(cards), OTHERS)}
        near = sorted({wish.card for wish in asked} | others | never)
        spoken = {wish.card: wish.language for wish in asked}
        shown = [made[n].grams[spoken.get(n, "en")] for n in near]
        scores = net.scores([wish.grams for wish in (*said, *asked)], shown, random)
        wanted = torch.zeros_like(scores)
        for row, wish in enumerate((*said, *asked)):
            for sense in wish.senses:
                wanted[row, sense] = 1 / len(wish.senses)
            if wish.card >= 0:
                wanted[row, senses + near.index(wish.card)] = 1
        return torch.nn.functional.cross_entropy(scores, wanted)

    orders = ORDERS if without is None else 1
    net.grams.learn([net.tools], [net.bias, net.sharp], loss, len(known), KNOWN, random, orders)
    return net.encoder()


class _Net:
    """An encoder that learns."""

    def __init__(self, senses: int, seed: int, pairs: Sequence[tuple[str, str]]) -> None:
        import torch

        torch.manual_seed(seed)
        self.grams = Embedding(BUCKETS, WIDTH, DROPPED, pairs)
        self.tools = torch.nn.Parameter(torch.randn(senses, WIDTH))
        self.bias = torch.nn.Parameter(torch.zeros(senses + 1))  # the last is that of cards
        self.sharp = torch.nn.Parameter(torch.tensor(SHARP))

    def scores(
        self, said: Sequence[NDArray[np.int64]], cards: Sequence[NDArray[np.int64]], random: np.random.Generator
    ) -> Any:
        """Of each text about each sense and each card, by their n-grams."""
        import torch

        own, near = (torch.nn.functional.normalize(self.grams.sums(texts, random), dim=1) for texts in (said, cards))
        known = own @ torch.nn.functional.normalize(self.tools, dim=1).T * self.sharp + self.bias[:-1]
        return torch.cat([known, own @ near.T * self.sharp + self.bias[-1]], 1)

    def encoder(self) -> Encoder:
        """What was learned, in few bits."""
        import torch

        weights, scale = self.grams.rounded()
        sharp = self.sharp.item()
        tools = torch.nn.functional.normalize(self.tools, dim=1).detach().numpy() * sharp
        bias = self.bias.detach().numpy()
        return Encoder(
            weights, scale, tools.astype(np.float32), bias[:-1].copy(), np.array([sharp, bias[-1]], np.float32)
        )


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
