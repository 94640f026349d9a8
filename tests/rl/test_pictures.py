"""Pictures to train with."""

from __future__ import annotations

import contextlib
from random import Random

import numpy as np

import lego
import lego.tools  # registers the embedded tools
from lego.builder.calls import Call, workflow_of
from lego.core.registry import registry
from lego.rl import pictures, rewards
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


def test_what_an_edit_of_a_thing_should_give_is_known() -> None:
    found = 0
    for number in range(12):
        for noun in pictures.things(number, "en") + pictures.things(number, "zh"):
            known = pictures.after(number, Call(tool="remove", on=noun.name))
            assert known is not None
            target, mask = known
            source = pictures.scene(number)[1].image
            outside = mask.pixels == 0
            assert (target.pixels == source.pixels)[outside].all()
            assert (target.pixels != source.pixels)[~outside].any()
            flow = workflow_of([Call(tool="remove", on=noun.name)], registry)
            with contextlib.suppress(lego.LegoError):  # not every thing is found in a picture so small
                made = lego.run(flow, source).image
                found += rewards.picture(made, target, source, mask).total > 0.7
    assert found > 15


def test_what_moving_recolouring_and_resizing_should_give_is_known_too() -> None:
    name = pictures.things(1, "en")[0].name
    source = pictures.scene(1)[1].image
    calls = (
        Call(tool="recolor", on=name, args={"color": "#00ff00"}),
        Call(tool="move", on=name, args={"dx": 20.0}),
        Call(tool="resize_object", on=name, args={"change": -40.0}),
    )
    for call in calls:
        known = pictures.after(1, call)
        assert known is not None
        assert (known[0].pixels != source.pixels).any()
    assert pictures.after(1, Call(tool="blur", on=name)) is None
    assert pictures.after(1, Call(tool="remove", on="zeppelin")) is None
