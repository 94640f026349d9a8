"""Marks: what the letters of an instruction say, written between its words for a small model to read.

After a passage stand the tools that it may be about (`lego.builder.hints`), and the cards that it is nearest to. After
a word that names a choice of one of these, or a parameter of a card, stand their tokens: `storm<w_4><t_0><p_1><c_2>`.
The model decides: comparing letters is what it is worst at, and what surrounds them is what it knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lego.builder.hints import Hints, Passage, letters
from lego.builder.prompt import Lean
from lego.builder.rank import Index, card, grams, index_of
from lego.builder.spelling import SLOTS
from lego.builder.words import Word
from lego.core.registry import Tool

PART = re.compile(r"[^\W_]+")
STEM, SHARED = 3, 0.7  # letters, and share of the longer word, that two words of one stem have in common at least
NAMED = 0.5  # share of a name's words that have to be said
RIVALS = 0.6  # on validation phrasings: keeps 82 of 100 cards that are asked for, and 6 of others
SHARE, NEAR, FAR = 0.1, -1.0, -3.0  # of a passage's grams that a card has, and what is added if it has more, or less
Tooling = Tool[..., Any]


def nearest(
    hints: Hints | None,
    instruction: str,
    words: Sequence[Word],
    fold: int | None,
    new: Sequence[Tooling],
    known: Sequence[Tooling],
) -> tuple[Tooling, ...]:
    """Return the tools that need a card and may be meant, those that share most letters with the instruction first.

    A network that was trained on cards of which most are asked for takes them too readily. So those are left out that
    share with no passage of the words `RIVALS` times as much as the nearest of the tools known by heart does; in
    training none is, because its answers ask for what is shown.

    Args:
        fold: of an instruction of the training's phrasings.
        new, known: tools on offer.
    """
    if not new:
        return ()
    scores = index_of(tuple(new)).rank(instruction)
    order = sorted(range(len(new)), key=lambda n: -scores[n])
    if hints is None or fold is not None or not known:
        return tuple(new[n] for n in order)
    rank = index_of((*new, *known)).rank
    meant: set[int] = set()
    for passage in hints.passages(instruction, words):
        shared = rank(letters(instruction, words[passage.first : passage.last + 1]))
        enough = RIVALS * max(shared[len(new) :])
        meant |= {n for n in order if shared[n] and shared[n] >= enough}
    return tuple(new[n] for n in order if n in meant)


def marks(
    hints: Hints,
    instruction: str,
    words: Sequence[Word],
    fold: int | None,
    tools: Mapping[str, Tooling],
    params: Callable[[str], Mapping[str, str]],
) -> dict[int, str]:
    """Return what is to be shown after which word.

    Args:
        fold: see `Hints.passages`.
        tools: on offer, by their tokens; cards are called ``<t_0>``, ``<t_1>``, ...
        params: gives of each of them the tokens of its parameters by name.
    """
    passages = hints.passages(instruction, words, fold)
    cards = _nearest(passages, instruction, words, {token: tools[token] for token in tools if token.startswith("<t_")})
    found: dict[int, list[str]] = {}
    for passage in passages:
        said = [word.text if word.kind == "word" else "" for word in words[passage.first : passage.last + 1]]
        hinted = [f"<T:{name}>" if name else "<none>" for name in passage.tools]
        near = [token for token, last in cards.items() if last == passage.last]
        for token in (token for token in (*hinted, *near) if token in tools):
            for place, own in _named(said, tools[token], params(token), token in near):
                mark = "".join([token] * (token in near) + own)
                if mark not in found.setdefault(passage.first + place, []):
                    found[passage.first + place].append(mark)
        found.setdefault(passage.last, []).extend([*hinted, *near])
    return {number: "".join(tokens) for number, tokens in found.items()}


def lean(hints: Hints, instruction: str, words: Sequence[Word], fold: int | None, tools: Mapping[str, Tooling]) -> Lean:
    """Return what is added to the logits of tools once an answer has said which words ask for one; see `Form.lean`.

    Of tools known by heart the hints know how likely the words are about them. Of a card nobody knows; one that shares
    hardly a letter with the words is seldom meant. Arguments as in `marks`.
    """
    cards = {token: set(grams(card(tool))) for token, tool in tools.items() if token.startswith("<t_")}

    def add(last: Sequence[str]) -> dict[str, float]:
        if list(last[-3:-2]) != ["<at>"]:
            return {}
        first, end = (int(token[3:-1]) for token in last[-2:])
        text = letters(instruction, words[first : end + 1])
        said = set(grams(text))
        near = {token: len(said & own) > SHARE * len(said) for token, own in cards.items()}
        odds = {f"<T:{tool}>": more for tool, more in hints.odds(text, fold).items()}
        return odds | {token: NEAR if shared else FAR for token, shared in near.items()}

    return add


def _nearest(
    passages: Sequence[Passage], instruction: str, words: Sequence[Word], cards: Mapping[str, Tooling]
) -> dict[str, int]:
    """For each card the last word of the passage that shares most letters with it, if one does."""
    if not cards or not passages:
        return {}
    index = Index([card(tool) for tool in cards.values()])
    scores = [(p.last, index.rank(letters(instruction, words[p.first : p.last + 1]))) for p in passages]
    best = {token: max((own[n], -last) for last, own in scores) for n, token in enumerate(cards)}
    return {token: -last for token, (score, last) in best.items() if score > 0}


def _named(said: Sequence[str], tool: Tooling, params: Mapping[str, str], is_card: bool) -> list[tuple[int, list[str]]]:
    """The choices of a tool that are named, one a parameter; and of a card the other parameters that are."""
    found = []
    for name, own in params.items():
        param = tool.param(name)
        names = [str(choice) for choice in param.choices[: len(SLOTS)]] if param else []
        named = [_said(said, choice) for choice in names]
        share, count, place = max(named, default=(0.0, 0, 0))
        if share >= NAMED:
            found.append((place, [own, SLOTS[named.index((share, count, place))]]))
        elif is_card and not names:
            share, _, place = _said(said, name)
            if share >= NAMED:
                found.append((place, [own]))
    return found


def _said(said: Sequence[str], name: str) -> tuple[float, int, int]:
    """Which share of a name's words is said, how many these are, and where the last of them is."""
    parts = PART.findall(name.lower())
    firsts = (next((n for n, word in enumerate(said) if _alike(word, part)), None) for part in parts)
    places = [n for n in firsts if n is not None]
    return len(places) / max(1, len(parts)), len(places), max(places, default=0)


def _alike(word: str, other: str) -> bool:
    """Are these one word, or two of one stem?"""
    shared = next((n for n, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    return bool(word) and (word == other or shared >= max(STEM, SHARED * max(len(word), len(other))))
