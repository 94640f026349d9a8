"""Marks: what the letters of an instruction say, written between its words for a small model to read.

After a passage stand the tools that it may be about, with the values that its words imply (`lego.builder.hints`), and
the cards that it is nearest to. After a word that names a choice of one of these, or a parameter of a card, stand their
tokens: `storm<w_4><t_0><p_1><c_2>`.
The model decides: comparing letters is what it is worst at, and what surrounds them is what it knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lego.builder.hints import Hints
from lego.builder.rank import card, index_of
from lego.builder.spelling import SLOTS
from lego.builder.words import Word
from lego.core.registry import Tool

PART = re.compile(r"[^\W_]+")
STEM, SHARED = 3, 0.7  # letters, and share of the longer word, that two words of one stem have in common at least
NAMED = 0.5  # share of a name's words that have to be said
RIVALS = 0.3  # how likely a card has to be: on validation tasks keeps 91 of 100 that are asked for, 29 of others
Tooling = Tool[..., Any]


def nearest(
    hints: Hints | None,
    instruction: str,
    words: Sequence[Word],
    fold: int | None,
    new: Sequence[Tooling],
    known: Sequence[Tooling],
) -> tuple[Tooling, ...]:
    """Return the tools that need a card and may be meant, the likeliest first; without hints all, by their letters.

    A network that was trained on cards of which most are asked for takes them too readily. So those are left out that
    hardly rival the known tools, as likely as `RIVALS` in no passage of the words.

    Args:
        fold: of an instruction of the training's phrasings.
        new, known: tools on offer.
    """
    if not new:
        return ()
    if hints is None:
        likely, least = index_of(tuple(new)).rank(instruction), 0.0
    else:
        texts, names = [card(tool) for tool in new], {tool.name for tool in known}
        likely, least = hints.rivalry(instruction, words, fold, texts, names), RIVALS if known else 0.0
    order = sorted(range(len(new)), key=lambda n: -likely[n])
    return tuple(new[n] for n in order if likely[n] >= least)


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
    cards = [token for token in tools if token.startswith("<t_")]
    passages = hints.passages(instruction, words, fold, [card(tools[token]) for token in cards])
    found: dict[int, list[str]] = {}
    for passage in passages:
        said = [word.text if word.kind == "word" else "" for word in words[passage.first : passage.last + 1]]
        hinted = [sense or "<none>" for sense in passage.senses]
        near = [cards[number] for number in passage.cards]
        firsts = [sense[: sense.index(">") + 1] for sense in hinted]
        for token in (token for token in (*firsts, *near) if token in tools):
            for place, own in _named(said, tools[token], params(token), token in near):
                mark = "".join([token] * (token in near) + own)
                if mark not in found.setdefault(passage.first + place, []):
                    found[passage.first + place].append(mark)
        found.setdefault(passage.last, []).extend([*hinted, *near])
    return {number: "".join(tokens) for number, tokens in found.items()}


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
