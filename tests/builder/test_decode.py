"""Decoding under a grammar: the same answers alone and in company, and the network's own probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lego.tools  # registers the embedded tools
from lego.builder.base import Request
from lego.builder.constraint import Matcher, unpacked
from lego.builder.decode import Completion, generate
from lego.builder.local import Checkpoint, inputs_of, load, text_of
from lego.core.registry import registry
from lego.core.values import Image
from tests.builder.models import KINDS, build

TOOLS = tuple(registry)[:10]
WORDS = ("warmer", "make the picture a good deal darker, please", "sepia")


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load(str(build(request.param, tmp_path_factory.mktemp("checkpoint"))), "cpu")


def requests(count: int) -> list[Request]:
    rng = np.random.default_rng(5)
    sizes = ((48, 70), (90, 40), (33, 33))
    pictures = [Image(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]
    return [Request(pictures[n], WORDS[n], TOOLS) for n in range(count)]


def start(checkpoint: Checkpoint, asked: list[Request]) -> Callable[[int], Matcher]:
    return lambda number: checkpoint.constraint.start(checkpoint.form.grammar(asked[number]))


def run(checkpoint: Checkpoint, asked: list[Request], **options: Any) -> list[Completion]:
    matchers = start(checkpoint, asked)
    return generate(checkpoint.model, inputs_of(checkpoint, asked), matchers, max_tokens=150, **options)


def full_pass(checkpoint: Checkpoint, asked: Request, found: Completion, temperature: float) -> list[float]:
    """Log-probabilities of the free tokens by one pass over prompt and answer, as a trainer would run it."""
    import torch

    inputs = inputs_of(checkpoint, [asked])
    length = inputs["input_ids"].shape[1]
    added = torch.tensor([found.ids])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], added], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if "mm_token_type_ids" in inputs:
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(added)], 1)
    with torch.inference_mode():
        logits = checkpoint.model(**inputs).logits[0, length - 1 : -1]
    free = [n for n, choice in enumerate(found.free) if choice]
    allowed = torch.from_numpy(unpacked(found.masks, logits.shape[1]).copy())
    scores = logits[free].masked_fill(~allowed, -torch.inf) / (temperature or 1.0)
    picked = torch.tensor([found.ids[n] for n in free])
    found_logps: list[float] = torch.log_softmax(scores, -1)[torch.arange(len(free)), picked].tolist()
    return found_logps


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_probabilities_are_those_of_one_pass_over_the_whole_answer(
    checkpoint: Checkpoint, temperature: float
) -> None:
    asked = requests(3)
    found = run(checkpoint, asked, count=3, temperature=temperature, seed=2)
    assert len(found) == 9
    for number, completion in enumerate(found):
        free = [n for n, choice in enumerate(completion.free) if choice]
        expected = full_pass(checkpoint, asked[number // 3], completion, temperature)
        assert len(free) == len(completion.masks) > 3
        assert [completion.logps[n] for n in free] == pytest.approx(expected, abs=1e-4)
        assert all(completion.logps[n] == 0 for n in range(len(completion.ids)) if n not in free)


def test_an_answer_is_the_same_alone_and_in_company(checkpoint: Checkpoint) -> None:
    asked = requests(3)
    together = run(checkpoint, asked, count=2)
    for number, request in enumerate(asked):
        alone = run(checkpoint, [request])[0]
        assert together[2 * number].ids == together[2 * number + 1].ids == alone.ids
        assert together[2 * number].logps == pytest.approx(alone.logps, abs=1e-4)


def test_the_likeliest_allowed_token_is_taken_at_every_choice(checkpoint: Checkpoint) -> None:
    """Step by step without a cache, every token asked for: the plain way of decoding."""
    import torch

    request = requests(1)[0]
    found = run(checkpoint, [request])[0]
    inputs = inputs_of(checkpoint, [request])
    matcher = start(checkpoint, [request])(0)
    for token in found.ids[:40]:
        with torch.inference_mode():
            scores = checkpoint.model(**inputs).logits[0, -1]
        allowed = torch.from_numpy(matcher.allowed().copy())
        assert int(scores.masked_fill(~allowed, -torch.inf).argmax()) == token
        matcher.take(token)
        added = torch.tensor([[token]])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], added], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if "mm_token_type_ids" in inputs:
            inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(added)], 1)


def test_a_seed_gives_the_same_answers_and_rows_differ(checkpoint: Checkpoint) -> None:
    asked = requests(1)
    first = run(checkpoint, asked, count=4, temperature=1.0, seed=7)
    assert [c.ids for c in first] == [c.ids for c in run(checkpoint, asked, count=4, temperature=1.0, seed=7)]
    assert len({c.ids for c in first}) > 1
    assert [c.ids for c in first] != [c.ids for c in run(checkpoint, asked, count=4, temperature=1.0, seed=8)]


def test_whole_answers_are_plans_and_cut_ones_say_so(checkpoint: Checkpoint) -> None:
    asked = requests(1)
    found = run(checkpoint, asked, count=8, temperature=1.0, seed=3)
    whole = [c for c in found if c.whole]
    assert whole
    for completion in whole:
        text = text_of(checkpoint, completion.ids)
        if "decline" not in text:
            assert checkpoint.form.read(text, asked[0]).workflow.check(registry) == []
    cut = generate(checkpoint.model, inputs_of(checkpoint, asked), start(checkpoint, asked), max_tokens=7)[0]
    assert not cut.whole
    assert len(cut.ids) == 7


def test_the_network_runs_once_for_the_prompt_and_then_only_for_choices(checkpoint: Checkpoint) -> None:
    request = requests(1)
    shapes: list[tuple[int, ...]] = []
    hook = checkpoint.model.register_forward_pre_hook(
        lambda _, __, options: shapes.append(tuple(options["input_ids"].shape)), with_kwargs=True
    )
    found = run(checkpoint, request, count=1, temperature=1.0, seed=1)[0]
    hook.remove()
    assert shapes[0][1] == inputs_of(checkpoint, request)["input_ids"].shape[1]
    assert len(shapes) <= sum(found.free) + 1
    assert sum(columns for _, columns in shapes[1:]) <= len(found.ids)


def test_a_model_in_training_is_in_training_afterwards(checkpoint: Checkpoint) -> None:
    checkpoint.model.train()
    try:
        found = run(checkpoint, requests(1))
        assert checkpoint.model.training
    finally:
        checkpoint.model.eval()
    assert found[0].ids == run(checkpoint, requests(1))[0].ids


def test_prompts_of_different_tools_are_held_to_their_own(checkpoint: Checkpoint) -> None:
    first, second = requests(2)
    asked = [first, replace(second, tools=(registry["flip"],))]
    for number, completion in enumerate(run(checkpoint, asked, count=2, temperature=1.0, seed=4)):
        matcher = start(checkpoint, asked)(number // 2)
        for token in completion.ids:
            matcher.take(token)  # raises where it is not allowed
        assert matcher.done == completion.whole
