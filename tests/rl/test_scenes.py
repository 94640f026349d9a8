"""Scenes whose truth is known: what their masks, orders and edits promise."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.rl import scenes
from lego.tools.segment import segment

SEEDS = range(40)
SIZE = (160, 120)


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    drawn = [scenes.render(scenes.make(seed)).image.digest for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_item_hides_another_or_leaves_the_picture(seed: int) -> None:
    scene = scenes.make(seed)
    masks = scenes.render(scene, SIZE).masks
    assert 2 <= len(masks) <= 6
    for item, mask in zip(scene.items, masks, strict=True):
        assert mask.box is not None
        x0, y0, x1, y1 = mask.box
        assert x0 > 0 < y0
        assert x1 < SIZE[0]
        assert y1 < SIZE[1]
        assert abs((x0 + x1) / 2 / SIZE[0] - item.x) < 0.6 * item.radius
    for first, second in itertools.combinations(masks, 2):
        assert not ((first.pixels > 0) & (second.pixels > 0)).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_edit_of_the_scene_changes_the_picture_only_where_its_mask_is(seed: int) -> None:
    scene = scenes.make(seed)
    whole, removed = scenes.render(scene, SIZE), scenes.render(scene.without(0), SIZE)
    outside = whole.masks[0].pixels == 0
    assert np.array_equal(whole.image.pixels[outside], removed.image.pixels[outside])
    assert (whole.image.pixels != removed.image.pixels).any()
    assert [m.digest for m in removed.masks] == [m.digest for m in whole.masks[1:]]
    other = "blue" if scene.items[0].color != "blue" else "red"
    painted = scenes.render(scene.recolored(0, other), SIZE)
    assert np.array_equal(whole.image.pixels[outside], painted.image.pixels[outside])


def test_moving_and_resizing_move_and_resize_the_mask() -> None:
    scene = scenes.make(7)
    before = scenes.render(scene, (400, 400)).masks[0]
    moved = scenes.render(scene.moved(0, 0.05, -0.02), (400, 400)).masks[0]
    assert np.array_equal(np.roll(before.pixels, (-8, 20), (0, 1)), moved.pixels)
    smaller = scenes.render(scene.resized(0, 0.5), (400, 400)).masks[0]
    assert smaller.share == pytest.approx(before.share / 4, rel=0.06)  # OpenCV draws outlines half a pixel wide


def test_orders_count_from_the_side_that_they_name() -> None:
    scene = scenes.make(11, least=4)
    masks = scenes.render(scene, (400, 400)).masks
    centers = [np.argwhere(m.pixels > 127).mean(0) for m in masks]
    left, bottom = scene.order("left"), scene.order("bottom")
    assert [n for n, _ in sorted(enumerate(centers), key=lambda c: c[1][1])] == left
    assert scene.items[scene.order("largest")[0]].radius == max(i.radius for i in scene.items)
    assert bottom == list(reversed(scene.order("top")))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_item_can_be_seen_and_has_the_colour_of_its_name(seed: int) -> None:
    scene = scenes.make(seed)
    drawn = scenes.render(scene, SIZE)
    for item, mask in zip(scene.items, drawn.masks, strict=True):
        inside = drawn.image.pixels[mask.pixels == 255].astype(float)
        around = cv2.dilate(mask.pixels, np.ones((9, 9), np.uint8)) > 0
        ring = drawn.image.pixels[around & (mask.pixels == 0)].astype(float)
        assert np.linalg.norm(inside.mean(0) - ring.mean(0)) > 25
        hue, saturation, _ = scenes.COLORS[item.color]
        if saturation > 0:
            median = np.median(inside, 0)[None, None] / 255
            seen = float(cv2.cvtColor(median.astype(np.float32), cv2.COLOR_RGB2HSV)[0, 0, 0])
            assert abs((seen - hue + 180) % 360 - 180) < 12


def test_the_finder_of_colours_finds_the_items_of_a_scene() -> None:
    overlaps = []
    for seed in range(30):
        scene = scenes.make(seed)
        drawn = scenes.render(scene, (256, 256))
        names = [item.color for item in scene.items]
        for item, mask in zip(scene.items, drawn.masks, strict=True):
            if names.count(item.color) == 1 and item.color in ("red", "green", "blue") and item.size == "large":
                try:
                    found = segment(drawn.image, f"the {item.color} {item.shape}").pixels > 127
                except RefusedError:
                    continue
                truth = mask.pixels > 127
                overlaps.append((found & truth).sum() / (found | truth).sum())
    assert len(overlaps) >= 5
    assert np.mean(overlaps) > 0.8


def test_words_are_written_where_they_are_said_to_be_and_clear_of_the_items() -> None:
    for seed in range(20):
        scene = scenes.make(seed, words="SALE")
        drawn = scenes.render(scene, (256, 256))
        assert scene.words is not None
        assert drawn.words is not None
        assert drawn.words.box is not None
        x0, y0, x1, y1 = drawn.words.box
        assert abs((x0 + x1) / 2 / 256 - 0.5) < 0.03
        assert abs((y0 + y1) / 2 / 256 - scene.words.y) < 0.05
        assert not any(((m.pixels > 0) & (drawn.words.pixels > 0)).any() for m in drawn.masks)
