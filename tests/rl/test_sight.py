"""Sight: what is asked of a picture's tokens is true, and can be learned without forgetting what was seen before."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import numpy as np
import pytest

from lego.builder.spelling import GRID
from lego.rl import faults, pictures, scenes, sight
from lego.rl.pictures import PATCH, SIDE

torch = pytest.importorskip("torch")
CELLS = SIDE // PATCH


def seeing(seed: int = 0) -> Any:
    """A small LLaVA whose words nobody asks."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration, Qwen2Config, SiglipVisionConfig

    torch.manual_seed(seed)
    vision = SiglipVisionConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE,
        patch_size=PATCH, vision_use_head=False,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=16, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=2, vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_seq_length=CELLS**2,
    )  # fmt: skip
    return LlavaForConditionalGeneration._from_config(config, attn_implementation="eager")


def test_the_tokens_that_hold_a_thing_know_its_sides_and_whether_it_is_first() -> None:
    asked = sight.batch(Random(4), 60)
    there = asked.faults == sight.NOTHING
    assert 20 < there.sum() < 50
    for number in np.flatnonzero(there):
        left, right, top, bottom = asked.sides[number][asked.middles[number] == 1].T / (GRID - 1)
        rows, columns = np.divmod(np.flatnonzero(asked.middles[number] == 1), CELLS)
        inside = (left > 0) & (right < 1) & (top > 0) & (bottom < 1)
        assert np.all(np.abs((left + right) / 2 * CELLS - columns - 0.5)[inside] < 0.65)
        assert np.all(np.abs((top + bottom) / 2 * CELLS - rows - 0.5)[inside] < 0.65)
        tokens = np.flatnonzero(asked.middles[number] == 1)
        for order, key in (("left", left + right), ("bottom", -top - bottom), ("smallest", right - left)):
            said = asked.firsts[number][sight.ORDERS.index(order)]
            if said != sight.NOTHING:
                assert key[tokens == said].item() <= key.min() + 2 / (GRID - 1)  # the grid is coarse
    assert (asked.middles[~there] == -1).all()
    assert (asked.sides[~there] == sight.NOTHING).all()
    assert set(asked.faults[~there]) <= set(range(len(faults.KINDS)))


def test_of_things_that_are_level_none_is_said_to_be_first() -> None:
    scene = next(s for s in map(scenes.make, range(99)) if len(s.items) > 1)
    for by in sight.ORDERS:
        assert pictures.first(scene, by) in (None, scene.order(by)[0])
    level = scene.moved(1, 0, scene.items[0].y - scene.items[1].y)
    pair = level.without(*range(2, len(level.items)))
    assert pictures.first(pair, "top") is None
    assert pictures.first(pair.without(1), "left") is None  # there is nothing to compare it with
    assert pictures.first(pair.moved(0, -1, 0), "left") == 0


def test_seeing_is_learned() -> None:
    model, told = seeing(), []
    sight.teach(model, 60, seed=1, listen=lambda step, losses: told.append(losses))
    first, last = (
        {name: float(np.mean([losses[name] for losses in part])) for name in part[0]} for part in (told[:5], told[-10:])
    )
    assert last["middles"] < 0.6 * first["middles"]
    assert last["edges"] < 0.7 * first["edges"]
    assert last["faults"] < 0.95 * first["faults"]
    assert "before" not in first


def test_whoever_can_plan_already_sees_much_as_before() -> None:
    asked = sight.batch(Random(5), 24)
    pixels = sight.prepared(asked.pixels)

    def moved(used: bool) -> float:
        model = seeing(3)
        before = copy.deepcopy(sight.eyes_of(model))
        sight.teach(model, 12, seed=2, used=used)
        with torch.no_grad():
            old, new = sight.tokens_of(before, pixels), sight.tokens_of(sight.eyes_of(model), pixels)
        return float((new - old).square().mean() / old.var())

    assert moved(True) < 0.5 * moved(False)


def test_pictures_are_prepared_as_the_processor_does_it() -> None:
    from PIL import Image as Pillow
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    pixels = sight.batch(Random(6), 3).pixels
    own = sight.prepared(pixels)
    processor = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    theirs = processor(images=[Pillow.fromarray(one) for one in pixels], return_tensors="pt")["pixel_values"]
    assert torch.allclose(own, theirs, atol=1e-5)
