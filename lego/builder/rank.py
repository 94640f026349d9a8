"""Which texts are nearest to a query by their letters: BM25 over character n-grams, for English and Chinese."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lego.core.phrases import SLOT
from lego.core.registry import Tool

K1, B = 1.5, 0.75  # the usual constants of BM25: how soon a repeated gram saturates, how much long texts are held back
ROOM = 40_000  # characters of a prompt for cards: about 10,000 tokens; the embedded hundred take 21,000
NEAREST = 24  # cards that are in a prompt for their letters: 8 hold the one that is meant in 9 of 10
SIZES = (3, 4)  # letters of a gram: endings and compounds still share most of theirs
WORD = re.compile(r"[^\W\u3400-\u9fff_]+|[\u3400-\u9fff]+")


class Index:
    """Texts made ready to be ranked by many queries; a hundred tools' cards take some milliseconds to index.

    Args:
        documents: the texts, in any mixture of languages.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        counts = [Counter(grams(document)) for document in documents]
        self.size = len(counts)
        lengths = np.array([count.total() for count in counts], np.float64)
        mean = lengths.mean() if lengths.any() else 1.0
        norms = K1 * (1 - B + B * lengths / mean)
        places: dict[str, list[int]] = {}
        for number, count in enumerate(counts):
            for gram in count:
                places.setdefault(gram, []).append(number)
        self._weights = {}
        for gram, held in places.items():
            often = np.array([counts[number][gram] for number in held], np.float64)
            rarity = math.log(1 + (self.size - len(held) + 0.5) / (len(held) + 0.5))
            self._weights[gram] = (np.array(held), rarity * often * (K1 + 1) / (often + norms[held]))

    def rank(self, query: str) -> list[float]:
        """Return the score of each text, in their order; 0 for one that shares nothing with the query.

        Takes under a millisecond for an instruction and a hundred cards.

        Source: Okapi BM25 (Robertson and Zaragoza, 2009) with the grams of `grams` for words.
        """
        scores = np.zeros(self.size)
        for gram, often in Counter(grams(query)).items():
            if gram in self._weights:
                held, weights = self._weights[gram]
                scores[held] += often * weights
        return [float(score) for score in scores]


def rank(query: str, documents: Sequence[str]) -> list[float]:
    """Return how near each text is to the query, 0 and up; use `Index` for many queries over the same texts."""
    return Index(documents).rank(query)


def grams(text: str) -> list[str]:
    """Return the grams of a text: 3 and 4 letters of each word, padded with spaces; pairs of Chinese characters."""
    found: list[str] = []
    for word in WORD.findall(text.lower()):
        if "\u3400" <= word[0] <= "\u9fff":
            found.extend(word[n : n + size] for size in (1, 2) for n in range(len(word) - size + 1))
            continue
        padded = f" {word} "
        found.extend(padded[n : n + size] for size in SIZES for n in range(len(padded) - size + 1))
    return found


def card(tool: Tool[..., Any]) -> str:
    """Return a tool's words for an index: name, sentence, parameters, choices, and the ways to ask for it."""
    choices = [str(choice) for param in tool.params for choice in param.choices]
    params = [param.name.replace("_", " ") for param in tool.params]
    phrases = [SLOT.sub(" ", phrase.text) for phrase in tool.phrases]
    return " . ".join([tool.name.replace("_", " "), tool.sentence, *params, *choices, *phrases])


def offered(tools: tuple[Tool[..., Any], ...], instruction: str) -> tuple[Tool[..., Any], ...]:
    """Return the tools whose cards go into a prompt: all while there is room, else the nearest and those known longest.

    The `NEAREST` by their letters come first; the rest of the room is filled in the order of registration, so that the
    tools of everyday use, whose names people seldom say, stay. The order is that of ``tools``.
    """
    sizes = _sizes(tools)
    if sum(sizes) <= ROOM:
        return tools
    scores = index_of(tools).rank(instruction)
    near = sorted(range(len(tools)), key=lambda n: -scores[n])[:NEAREST]
    chosen: set[int] = set()
    used = 0
    for number in (*near, *range(len(tools))):
        if number not in chosen and used + sizes[number] <= ROOM:
            chosen.add(number)
            used += sizes[number]
    return tuple(tool for number, tool in enumerate(tools) if number in chosen)


@functools.lru_cache(maxsize=8)
def _sizes(tools: tuple[Tool[..., Any], ...]) -> tuple[int, ...]:
    return tuple(len(tool.line_of_prompt) for tool in tools)


@functools.lru_cache(maxsize=8)
def index_of(tools: tuple[Tool[..., Any], ...]) -> Index:
    """Return an index of the cards of tools, made once for the same ones."""
    return Index([card(tool) for tool in tools])
