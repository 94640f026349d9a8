"""The constraint that holds a model to a grammar: which tokens may come next. It needs llguidance, but no torch."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.core.errors import SettingsError

GRAMMARS = 16  # kept ready; each takes about a megabyte


class Constraint:
    """Holds a model to grammars: knows its tokens, reads each grammar once, and starts a matcher for every answer.

    Args:
        tokenizer: the text or path of a ``tokenizer.json``, "byte" (a token for each byte), or a fast tokenizer of
            transformers.
        n_vocab: width of the model's logits, which may exceed the tokenizer's vocabulary.
        eos: ids of the tokens that end an answer; by default the tokenizer's own.

    Raises:
        SettingsError: llguidance is not installed.
    """

    def __init__(self, tokenizer: Any, n_vocab: int | None = None, eos: int | list[int] | None = None) -> None:
        try:
            import llguidance
        except ImportError:
            hint = "install llguidance"
            raise SettingsError("a language model plans under a grammar", hint=hint, code="no_llguidance") from None
        if hasattr(tokenizer, "backend_tokenizer"):
            eos = tokenizer.eos_token_id if eos is None else eos
            n_vocab = max(n_vocab or 0, len(tokenizer))  # some checkpoints have tokens that the network never says
            backend = copy.copy(tokenizer.backend_tokenizer)
            backend.no_padding()  # a tokenizer that pads would pad the grammar's own texts
            backend.no_truncation()
            tokenizer = backend.to_str()
        if isinstance(tokenizer, str) and tokenizer.lstrip().startswith("{"):
            tokenizer = _decodable(tokenizer)
        self._tokens = llguidance.LLTokenizer(tokenizer, n_vocab=n_vocab, eos_token=eos)
        self._matcher = llguidance.LLMatcher
        self._read: dict[str, Any] = {}
        self.n_vocab = int(self._tokens.vocab_size)
        self.eos: list[int] = list(self._tokens.eos_tokens)

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text, as the tokenizer itself would; special ones are known by their names."""
        return list(self._tokens.tokenize_str(text, parse_special=True))

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, with the names of special ones."""
        return str(self._tokens.decode_str(list(ids)))

    def start(self, grammar: str) -> Matcher:
        """Return a matcher at the start of an answer.

        Raises:
            ValueError: the grammar cannot be read.
        """
        if grammar not in self._read:
            found = self._matcher(self._tokens, self._matcher.grammar_from_lark(grammar), log_level=0)
            if found.is_error():
                raise ValueError(f"the grammar cannot be read: {found.get_error()}")
            while len(self._read) >= GRAMMARS:
                self._read.pop(next(iter(self._read)))
            self._read[grammar] = found
        return Matcher(self._read[grammar].deep_copy(), self.n_vocab, self.eos)


def _decodable(text: str) -> str:
    """Describe a decoder of whole words (Metaspace) as the steps that llguidance knows: the bytes are the same."""
    data = json.loads(text)
    decoder = data.get("decoder") or {}
    if decoder.get("type") != "Metaspace":
        return text
    space = {"type": "Replace", "pattern": {"String": decoder.get("replacement", "\u2581")}, "content": " "}
    data["decoder"] = {"type": "Sequence", "decoders": [space, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    return json.dumps(data)


class Matcher:
    """One answer under way: which tokens may come next."""

    def __init__(self, state: Any, n_vocab: int, eos: list[int]) -> None:
        self._state = state
        self.n_vocab = n_vocab
        self.eos = eos

    def copy(self) -> Matcher:
        """Return a matcher at the same place that goes its own way."""
        return Matcher(self._state.deep_copy(), self.n_vocab, self.eos)

    @property
    def done(self) -> bool:
        """Is the answer whole, with nothing more allowed?"""
        return bool(self._state.is_stopped())

    @property
    def whole(self) -> bool:
        """Could the answer end here?"""
        return bool(self._state.is_accepting())

    def mask(self) -> NDArray[np.uint8]:
        """Return the allowed tokens as bits, the lowest id in the lowest bit of the first byte; see `unpacked`."""
        packed = np.frombuffer(self._state.compute_bitmask(), np.uint8)
        if self._state.is_error():
            raise ValueError(f"the matcher failed: {self._state.get_error()}")
        return packed[: (self.n_vocab + 7) // 8]

    def allowed(self) -> NDArray[np.bool_]:
        """Return for each token whether it may come next; those that end an answer where it may end."""
        return unpacked(self.mask(), self.n_vocab)

    def forced(self) -> list[int]:
        """Return the tokens that must come next, in order, none of them taken; empty where there is a choice."""
        return list(self._state.compute_ff_tokens())

    def take(self, token: int) -> None:
        """Go on by one token.

        Raises:
            ValueError: it is not allowed here.
        """
        if not self._state.consume_token(int(token)):
            raise ValueError(f"token {token} is not allowed here")


def unpacked(mask: NDArray[np.uint8], n_vocab: int) -> NDArray[np.bool_]:
    """Return the bits of masks (bytes along the last axis) as booleans, ``n_vocab`` along the last axis."""
    return np.unpackbits(mask, axis=-1, count=n_vocab, bitorder="little").view(np.bool_)
