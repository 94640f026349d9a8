"""Pictures to train with."""

from __future__ import annotations

from random import Random

import numpy as np

from lego.rl import pictures
from lego.rl.pictures import SIDE


def test_pictures_are_small_square_and_the_same_for_the_same_seed() -> None:
    first, again = ([pictures.any_of(Random(seed)).digest for seed in range(20)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 15
    assert pictures.any_of(Random(1)).size == (SIDE, SIDE)
    assert pictures.photo(Random(1)).size == (SIDE, SIDE)


def test_a_fault_can_be_seen_and_its_remedy_is_known() -> None:
    for seed in range(20):
        fault = pictures.faulty(Random(seed), ("dark", "tilted", "noisy"))
        assert fault.image.size == fault.original.size == (SIDE, SIDE)
        assert np.abs(fault.image.pixels.astype(float) - fault.original.pixels).mean() > 1
        assert fault.tool in ("exposure", "straighten", "denoise")


def test_a_spot_is_the_box_of_the_thing_that_is_first_in_its_order() -> None:
    found = [(n, pictures.spot(n, Random(n))) for n in range(80)]
    known = [(n, spot) for n, spot in found if spot]
    assert len(known) > 30
    for number, (box, by) in known:
        left, top, right, bottom = (int(side) for side in box.split())
        scene, drawn = pictures.scene(number)
        mask = drawn.masks[scene.order(by)[0]]  # type: ignore[arg-type]  # one of its names
        y, x = np.nonzero(mask.pixels > 127)
        assert left <= 1000 * x.mean() / SIDE <= right
        assert top <= 1000 * y.mean() / SIDE <= bottom


def test_a_drawn_mask_is_no_box() -> None:
    mask = pictures.drawn(pictures.any_of(Random(1)), Random(2))
    assert 0.01 < mask.share < 0.35
    assert mask.box is not None
