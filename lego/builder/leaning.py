"""Leaning: what hints add to a small model's logits while it answers.

Once an answer has said which words ask for a call, hints know how likely these are about each tool, which values of a
known tool they imply and which further tools of a look, and what they say of the parameters of a card. A network that
has learned with these additions goes by them as far as they can be trusted; see `lego.builder.prompt.Form.lean`.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.builder.arguments import options
from lego.builder.hints import LOWEST, Hints, letters
from lego.builder.rank import card
from lego.builder.spelling import TOKEN
from lego.builder.words import Word
from lego.core.registry import Tool
from lego.core.signature import Param

LIKELY = 0.5  # share from which on something is added for a token
DOUBT = 3.0  # what is taken from the logit of declining where some words certainly ask for what is on offer:
CERTAIN = 0.02  # where nothing is no likelier than this
LEAST = 0.02  # likelihood of all senses that go on from an answer: below it they say nothing
PLACE = re.compile(r"<(?:on|not|but)>(?:<drawn>|<box>(?:<l_\d+>){4}|<r:\w+>|<w_\d+><w_\d+>)|<drawn>")
STATED = re.compile(r"<(?:P:\w+|p_\d+)>(?:<neg>)?(?:<w_\d+>)+")  # a value that stands in the words
OPEN = re.compile(r"<(?:on|not|but|box|l_\d+|w_\d+)>")  # an answer that is in the middle of one of them
Tooling = Tool[..., Any]


@dataclass(eq=False)
class Leaning:
    """What is added to logits, from an answer so far: called with its tokens; see `lego.builder.prompt.Lean`.

    Attributes: as the arguments of `lego.builder.marks.marks`.
    """

    hints: Hints
    instruction: str
    words: Sequence[Word]
    fold: int | None
    tools: Mapping[str, Tooling]
    params: Callable[[str], Mapping[str, str]]

    def __post_init__(self) -> None:
        self.near = [token for token in self.tools if token.startswith("<t_")]
        self.cards = [card(self.tools[token]) for token in self.near]
        self.offered = frozenset(tool.name for token, tool in self.tools.items() if token.startswith("<T:"))
        self._senses = functools.cache(self._senses_afresh)
        self._shares = functools.cache(self._shares_afresh)

    def __call__(self, said: Sequence[str]) -> dict[str, float]:
        """Return what is added after these tokens of an answer."""
        if not said:
            return self._of_start()
        at = next((n for n in range(len(said) - 3, -1, -1) if said[n] == "<at>"), None)
        if at is None:
            return {}
        first, end = (int(token[3:-1]) for token in said[at + 1 : at + 3])
        text, rest = letters(self.instruction, self.words[first : end + 1]), list(said[at + 3 :])
        if not rest:
            known, new = self.hints.odds(text, self.fold, self.cards, self.offered)
            return {f"<T:{tool}>": more for tool, more in known.items()} | dict(zip(self.near, new, strict=True))
        unsaid = STATED.sub("", PLACE.sub("", "".join(rest)))
        if OPEN.search(unsaid):
            return {}
        return self._of_card(text, rest) if rest[0] in self.near else self._of_senses(text, unsaid)

    def _of_start(self) -> dict[str, float]:
        """Against declining, where some passage is certain to ask for what is on offer."""
        if "" not in self.hints.senses:
            return {}
        nothing = self.hints.senses.index("")
        passages = self.hints.passages(self.instruction, self.words, self.fold, self.cards)
        texts = [letters(self.instruction, self.words[part.first : part.last + 1]) for part in passages]
        certain = any(self._senses(text)[nothing] < CERTAIN for text in texts)
        return {"<none>": -DOUBT} if certain else {}

    def _of_senses(self, text: str, unsaid: str) -> dict[str, float]:
        """How the senses go on that begin as the answer does, but for what stands in the words; or that they end."""
        shares: dict[str, float] = {}
        for sense, share in zip(self.hints.senses, self._senses(text).tolist(), strict=True):
            if sense.startswith(unsaid):
                following = TOKEN.match(sense, len(unsaid))
                token = following[0] if following else ""
                shares[token] = shares.get(token, 0.0) + share
        total = sum(shares.values())
        if total < LEAST:
            return {}
        found = {token: more for token, share in shares.items() if token and (more := _odds(share / total))}
        if ended := _odds(shares.get("", 0.0) / total):
            found |= {f"<T:{tool}>": -ended for tool in self.offered}
        return found

    def _of_card(self, text: str, rest: Sequence[str]) -> dict[str, float]:
        """Which parameters the words speak of, or after one of them what they say of it."""
        found: dict[str, float] = {}
        for name, token in self.params(rest[0]).items():
            if token == rest[-1]:
                return self._of_value(text, rest[0], name)
            shares = self._shares(text, rest[0], name)
            if token not in rest and shares and (more := _odds(1 - shares[0])):
                found[token] = more
        return found

    def _of_value(self, text: str, tool: str, name: str) -> dict[str, float]:
        """What the words say of a parameter of a card, among what an answer can say without them."""
        shares = self._shares(text, tool, name)
        likely = zip(options(self._param(tool, name)), shares, strict=True) if shares else ()
        said = {option.token: share for option, share in likely if option.token}
        return {token: math.log(max(share / max(said.values()), LOWEST)) for token, share in said.items()}

    def _shares_afresh(self, text: str, tool: str, name: str) -> list[float]:
        reader = self.hints.reader(self.fold)
        return reader.shares(text, self._param(tool, name)).tolist() if reader else []

    def _param(self, tool: str, name: str) -> Param:
        found = self.tools[tool].param(name)
        assert found is not None
        return found

    def _senses_afresh(self, text: str) -> NDArray[np.float32]:
        return self.hints.senses_of(text, self.fold, self.cards, self.offered)


def _odds(share: float) -> float:
    """The logarithm of the odds of what is likely, and of what is not nothing."""
    share = min(share, 1 - LOWEST)
    return math.log(share / (1 - share)) if share > LIKELY else 0.0
