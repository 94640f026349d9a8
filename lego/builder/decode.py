"""Decoding under a grammar: the prompt runs once, and the network is asked only where there is a choice.

`generate` of transformers appends one token at a time. A plan is mostly scaffold that the grammar forces, so here a
whole forced run goes through the network as one block, and rows of one prompt share its pass and its cache.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

ROOM = 32  # columns kept free behind a cache
Lean: TypeAlias = Callable[[Sequence[int]], Mapping[int, float]]  # from an answer so far to what is added to logits
COMPACT = 0.75  # finished rows leave the batch when they are over a quarter of it: leaving copies the cache


class Matcher(Protocol):
    """What decoding wants from `lego.builder.constraint.Matcher`."""

    n_vocab: int

    @property
    def done(self) -> bool: ...
    def copy(self) -> Any: ...
    def mask(self) -> NDArray[np.uint8]: ...
    def forced(self) -> list[int]: ...
    def take(self, token: int) -> None: ...


class Session(Protocol):
    """A network that has read its prompts and goes on, one row for each answer."""

    def feed(self, blocks: Sequence[Sequence[int]]) -> None:
        """Read a block of tokens for each row, which may be empty for some."""
        ...

    def draw(
        self,
        places: Sequence[int],
        masks: NDArray[np.uint8],
        draws: Sequence[float],
        temperature: float,
        leans: Sequence[Mapping[int, float]] = (),
    ) -> list[tuple[int, float]]:
        """Return the next token of the rows at these places and its log-probability over the allowed tokens.

        Args:
            masks: the allowed tokens of each of them, as `Matcher.mask` packs them.
            draws: a number from 0 to 1 for each of them; none at temperature 0, which takes the likeliest token.
            leans: what is added to the logits of some tokens, for each of them; none where nothing is.
        """
        ...

    def keep(self, places: Sequence[int]) -> None:
        """Drop all rows but these."""
        ...


@dataclass(frozen=True)
class Completion:
    """One answer.

    Attributes:
        ids: its tokens; an ending token is among them only where the answer could have gone on.
        free: for each token, was it a choice among several?
        logps: for each token, the log-probability that it was drawn with (over the allowed tokens, tempered; at
            temperature 0 untempered); 0 where nothing was chosen.
        masks: the allowed tokens at each free place, as `Matcher.mask` packs them: free places x bytes.
        leans: what was added to the logits at each free place.
        whole: False if it was cut at ``max_tokens``.
    """

    ids: tuple[int, ...]
    free: tuple[bool, ...]
    logps: tuple[float, ...]
    masks: NDArray[np.uint8]
    leans: tuple[Mapping[int, float], ...]
    whole: bool


def generate(
    model: Any,
    inputs: Mapping[str, Any],
    matcher_factory: Callable[[int], Matcher],
    *,
    leans: Sequence[Lean | None] = (),
    count: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int = 1024,
) -> list[Completion]:
    """Return ``count`` answers for each prompt, the answers of a prompt next to each other.

    The model is in evaluation mode meanwhile, and no gradients are kept.

    Args:
        model: an image-text-to-text model of transformers with a plain attention cache (LLaVA, Qwen-VL, ...).
        inputs: what its processor gave, on the model's device: ``input_ids`` (prompts x length), the pictures, and for
            prompts of different lengths an ``attention_mask`` with the padding on the left.
        matcher_factory: called once for each prompt, by its number, for a matcher at the start of an answer.
        leans: of each prompt, what is added to logits; none at all if empty.
        temperature: 0 takes the likeliest token.
        seed: of each row's own stream of random numbers: an answer does not depend on its neighbours.
        max_tokens: of an answer.
    """
    matchers = [matcher_factory(number) for number in range(inputs["input_ids"].shape[0])]
    training = model.training
    model.eval()
    try:
        session = TorchSession(model, inputs, count)
        more = {"count": count, "temperature": temperature, "seed": seed, "max_tokens": max_tokens}
        return answers(session, matchers, leans=leans, **more)  # type: ignore[arg-type]  # each has its own type
    finally:
        model.train(training)


def answers(
    session: Session,
    matchers: Sequence[Matcher],
    *,
    leans: Sequence[Lean | None] = (),
    count: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int = 1024,
) -> list[Completion]:
    """Return ``count`` answers for each matcher's prompt, whatever runs the network; arguments as in `generate`.

    Args:
        session: has read the prompts, each in ``count`` rows next to each other.
    """
    each = leans or [None] * len(matchers)
    starts = [_Row(matcher, max_tokens, lean) for matcher, lean in zip(matchers, each, strict=True)]
    for row in starts:
        row.settle()
    rows = [row.copy(seed, number) for row in starts for number in range(count)]
    _run(rows, session, temperature)
    return [row.completion() for row in rows]


def _run(rows: Sequence[_Row], session: Session, temperature: float) -> None:
    """Choose and feed in turns until every row has ended."""
    live = list(range(len(rows)))
    while live:
        _choose(session, [rows[r] for r in live], temperature)
        kept = [place for place, r in enumerate(live) if not rows[r].ended]
        if not kept:
            return
        if len(kept) <= COMPACT * len(live):
            session.keep(kept)
            live = [live[place] for place in kept]
        waiting = sorted(len(rows[r].pending) for r in live if not rows[r].ended)
        size = waiting[len(waiting) // 2]  # half of the rows are through at once; longer runs go on beside them
        session.feed([rows[r].next_block(size) for r in live])


class _Row:
    """One answer under way."""

    def __init__(self, matcher: Matcher, max_tokens: int, lean: Lean | None) -> None:
        self.matcher = matcher
        self.lean = lean
        self.left = max_tokens
        self.ids: list[int] = []
        self.free: list[bool] = []
        self.logps: list[float] = []
        self.masks: list[NDArray[np.uint8]] = []
        self.leans: list[Mapping[int, float]] = []
        self.pending: list[int] = []  # taken, but not yet seen by the network
        self.mask: NDArray[np.uint8] | None = None  # the choice that waits for logits
        self.ended = False
        self.random = np.random.default_rng(0)

    def copy(self, seed: int, number: int) -> _Row:
        """A row at the same place with random numbers of its own."""
        twin = _Row(self.matcher.copy(), self.left, self.lean)
        twin.ids, twin.free, twin.logps = list(self.ids), list(self.free), list(self.logps)
        twin.pending, twin.mask, twin.ended = list(self.pending), self.mask, self.ended
        twin.random = np.random.default_rng([seed, number])
        return twin

    def settle(self) -> None:
        """Take everything that is forced, up to the next choice or the end."""
        while not self.matcher.done and self.left > 0:
            run = self.matcher.forced()
            if not run:
                mask = self.matcher.mask()
                if int(np.bitwise_count(mask).sum()) > 1:
                    self.mask = mask
                    return
                run = [int(np.flatnonzero(np.unpackbits(mask, bitorder="little"))[0])]
            for token in run[: self.left]:
                self._take(token, False, 0.0)
        self.ended = True

    def choose(self, token: int, logp: float, lean: Mapping[int, float]) -> None:
        """Take a token that was a choice, and whatever it forces."""
        assert self.mask is not None
        self.masks.append(self.mask)
        self.leans.append(lean)
        self.mask = None
        self._take(token, True, logp)
        self.settle()

    def _take(self, token: int, free: bool, logp: float) -> None:
        self.matcher.take(token)
        self.left -= 1
        self.ids.append(token)
        self.free.append(free)
        self.logps.append(logp)
        self.pending.append(token)

    def next_block(self, size: int) -> list[int]:
        """The next tokens for the network; none once the answer has ended."""
        if self.ended:
            return []
        block, self.pending = self.pending[:size], self.pending[size:]
        return block

    def completion(self) -> Completion:
        width = (self.matcher.n_vocab + 7) // 8
        masks = np.stack(self.masks) if self.masks else np.zeros((0, width), np.uint8)
        free, leans = tuple(self.free), tuple(self.leans)
        return Completion(tuple(self.ids), free, tuple(self.logps), masks, leans, self.matcher.done)


def _choose(session: Session, rows: Sequence[_Row], temperature: float) -> None:
    """Let every row that has been fed up to its choice choose."""
    ready = [place for place, row in enumerate(rows) if row.mask is not None and not row.pending and not row.ended]
    if not ready:
        return
    chosen = [rows[place] for place in ready]
    masks = np.stack([row.mask for row in chosen if row.mask is not None])
    draws = [row.random.random() for row in chosen] if temperature else []
    leans = [row.lean(row.ids) if row.lean else {} for row in chosen]
    drawn = session.draw(ready, masks, draws, temperature, leans)
    for row, (token, logp), lean in zip(chosen, drawn, leans, strict=True):
        row.choose(token, logp, lean)


@functools.cache
def _roomy_layer() -> Any:
    """A layer of a cache that grows into room kept behind it: copying all of it for each token took half the time."""
    import torch
    from transformers.cache_utils import DynamicLayer

    class Roomy(DynamicLayer):  # type: ignore[misc]
        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
                self.keys, self.values = (torch.empty_like(new[:, :, :0]) for new in (key_states, value_states))
                self.room: list[Any] = [self.keys, self.values]
            kept = self.keys.shape[2]
            size = kept + key_states.shape[2]
            for place, (old, new) in enumerate(((self.keys, key_states), (self.values, value_states))):
                room = self.room[place]
                if old.data_ptr() != room.data_ptr() or room.shape[2] < size:  # full, or rows have come or gone
                    room = new.new_empty(*new.shape[:2], size + max(ROOM, size // 2), new.shape[3])
                    room[:, :, :kept] = old
                    self.room[place] = room
                room[:, :, kept:size] = new
            self.keys, self.values = (room[:, :, :size] for room in self.room)
            return self.keys, self.values

    return Roomy


class TorchSession:
    """A model of transformers that has read prompts: one cache, whose columns a row may leave empty.

    Blocks of different lengths are padded on the left, so the last column is always the last token. The padding
    stays in the cache as columns that the row's attention mask hides; places are counted without them.
    """

    def __init__(self, model: Any, inputs: Mapping[str, Any], count: int = 1) -> None:
        import torch
        from transformers import Cache

        self.model = model
        plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        names = inspect.signature(plain.forward).parameters
        self.name = "cache" if "cache" in names else "past_key_values"  # renamed in transformers 5
        self.cache = Cache(layer_class_to_replicate=_roomy_layer())
        given = dict(inputs)
        mask = given.get("attention_mask")
        mask = torch.ones_like(given["input_ids"]) if mask is None else mask
        turning = next((m for m in plain.modules() if hasattr(m, "rope_deltas")), None)
        if turning is None:
            given["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        else:
            turning.rope_deltas = None  # of an earlier picture
        given["attention_mask"] = mask
        logits = self._run(**given)
        shift = None if turning is None else turning.rope_deltas
        self.shift = torch.zeros_like(mask[:, :1]) if shift is None else shift.to(mask.device)
        self.logits = logits.repeat_interleave(count, 0)
        self.mask = mask.repeat_interleave(count, 0)
        self.shift = self.shift.repeat_interleave(count, 0)
        if count > 1:
            self.cache.batch_repeat_interleave(count)

    def draw(
        self,
        places: Sequence[int],
        masks: NDArray[np.uint8],
        draws: Sequence[float],
        temperature: float,
        leans: Sequence[Mapping[int, float]] = (),
    ) -> list[tuple[int, float]]:
        """See `Session.draw`."""
        import torch

        bits = np.unpackbits(masks, axis=1, bitorder="little")
        width = min(bits.shape[1], self.logits.shape[1])
        allowed = torch.from_numpy(bits[:, :width].astype(np.bool_)).to(self.logits.device)
        scores = self.logits[list(places), :width].float()
        for number, lean in enumerate(leans):
            if lean:
                tokens = torch.tensor(list(lean), device=scores.device)
                scores[number, tokens] += torch.tensor(list(lean.values()), device=scores.device)
        scores = scores.masked_fill(~allowed, -torch.inf)
        logps = torch.log_softmax(scores / temperature if temperature else scores, dim=-1)
        if temperature:
            ladder = logps.double().exp().cumsum(-1)
            wanted = torch.tensor(draws, dtype=torch.double, device=ladder.device)[:, None]
            tokens = torch.searchsorted(ladder, wanted * ladder[:, -1:], right=True).clamp(max=width - 1)
        else:
            tokens = scores.argmax(-1, keepdim=True)
        return list(zip(tokens[:, 0].tolist(), logps.gather(1, tokens)[:, 0].tolist(), strict=True))

    def feed(self, blocks: Sequence[Sequence[int]]) -> None:
        """See `Session.feed`."""
        import torch

        size = max(len(block) for block in blocks)
        ids = torch.tensor([[0] * (size - len(b)) + list(b) for b in blocks], device=self.mask.device)
        new = torch.tensor([[0] * (size - len(b)) + [1] * len(b) for b in blocks], device=self.mask.device)
        self.mask = torch.cat([self.mask, new.to(self.mask.dtype)], 1)
        places = (self.mask.cumsum(-1)[:, -size:] - 1).clamp(min=0) + self.shift
        self.logits = self._run(input_ids=ids, attention_mask=self.mask, position_ids=places)

    def _run(self, **given: Any) -> Any:
        """The logits after the last column (rows x vocabulary)."""
        import torch

        with torch.no_grad():
            output = self.model(**given, **{self.name: self.cache}, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1]

    def keep(self, places: Sequence[int]) -> None:
        """See `Session.keep`."""
        import torch

        index = torch.tensor(places, device=self.mask.device)
        self.cache.batch_select_indices(index)
        self.mask, self.shift = self.mask[index], self.shift[index]
