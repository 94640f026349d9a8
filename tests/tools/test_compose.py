"""Cut, paste, duplicate, move, resize a thing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image, Mask
from lego.executor import contract
from lego.tools import compose
from lego.tools.compose import cut, duplicate, move, paste, resize_object
from lego.tools.pixels import to_lab
from lego.tools.segment import segment

GREY = Image(np.full((100, 200, 3), 90, np.uint8))
RED = Image(np.full((20, 40, 3), (255, 0, 0), np.uint8))


def red(image: Image) -> tuple[int, int, int, int] | None:
    return Mask((image.pixels == (255, 0, 0)).all(2)).box


def scene() -> tuple[Image, Mask]:
    pixels = np.clip(np.random.default_rng(0).normal(90, 3, (100, 200, 3)), 0, 255).astype(np.uint8)
    pixels[40:60, 20:60] = (255, 0, 0)
    return Image(pixels), Mask.from_box((200, 100), (20, 40, 60, 60))


@pytest.fixture(scope="module")
def dahlia(photos: Path) -> tuple[Image, Mask]:
    """The photograph of a flower and where the flower is."""
    image = Image.open(photos / "flower.jpg")
    return image, segment(image, "orange flower")


@pytest.mark.parametrize("name", ["cut", "paste", "duplicate", "move", "resize_object"])
def test_every_tool_for_pieces_keeps_the_contract(name: str) -> None:
    assert contract.check(getattr(compose, name)) == []


def test_a_piece_is_trimmed_and_carries_its_mask_as_alpha(small: Image, disc: Mask) -> None:
    piece = cut(small, disc)
    x0, y0, x1, y1 = disc.box or (0, 0, 0, 0)
    assert piece.image.size == piece.mask.size == (x1 - x0, y1 - y0)
    assert (np.asarray(piece.image.alpha) == disc.pixels[y0:y1, x0:x1]).all()
    solid = disc.pixels[y0:y1, x0:x1] == 255
    assert (piece.image.pixels[solid] == small.pixels[y0:y1, x0:x1][solid]).all()
    assert cut(small, disc, trim=False).image.size == small.size


def test_cutting_nothing_is_refused(small: Image) -> None:
    with pytest.raises(RefusedError, match="empty"):
        cut(small, Mask(np.zeros((30, 40), np.uint8)))


def test_the_alpha_of_the_picture_limits_that_of_the_piece(small: Image) -> None:
    half = Image(small.pixels, np.full((30, 40), 128, np.uint8))
    assert np.asarray(cut(half, Mask.from_box((40, 30), (0, 0, 9, 9))).image.alpha).max() == 128


@pytest.mark.parametrize(
    ("position", "box"),
    [
        ("top left", (4, 4, 44, 24)),
        ("top", (80, 4, 120, 24)),
        ("top right", (156, 4, 196, 24)),
        ("left", (4, 40, 44, 60)),
        ("center", (80, 40, 120, 60)),
        ("right", (156, 40, 196, 60)),
        ("bottom left", (4, 76, 44, 96)),
        ("bottom", (80, 76, 120, 96)),
        ("bottom right", (156, 76, 196, 96)),
    ],
)
def test_a_piece_lands_at_its_place(position: compose.Position, box: tuple[int, int, int, int]) -> None:
    assert red(paste(GREY, RED, position, scale=0.2)) == box


def test_a_high_piece_is_made_to_fit() -> None:
    tall = Image(np.full((400, 40, 3), (255, 0, 0), np.uint8))
    assert red(paste(GREY, tall, scale=1.0)) == (95, 0, 105, 100)


def test_opacity_mixes_colours() -> None:
    made = paste(GREY, RED, scale=0.2, opacity=0.5).pixels[50, 100].astype(int)
    assert np.abs(made - (172, 45, 45)).max() <= 1
    assert paste(GREY, RED, opacity=0.0) == GREY


def test_the_transparent_ground_of_a_piece_does_not_bleed_into_its_edge() -> None:
    pixels = np.full((60, 60, 3), (0, 255, 0), np.uint8)
    alpha = np.zeros((60, 60), np.uint8)
    pixels[20:40, 20:40], alpha[20:40, 20:40] = (255, 0, 0), 255
    made = paste(GREY, Image(pixels, alpha), scale=0.113).pixels.astype(int)
    assert (made[..., 1] - made[..., 0]).max() <= 2
    share = (90 - made[..., 1]) / 90
    assert np.abs(made[..., 0] - (90 + 165 * share)).max() < 12  # darker edges would mean that black bled in


def test_a_piece_makes_transparent_ground_opaque() -> None:
    clear = Image(GREY.pixels, np.zeros((100, 200), np.uint8))
    made = paste(clear, RED, scale=0.2)
    alpha = np.asarray(made.alpha)
    assert (alpha > 0).sum() == 800
    assert red(made) == (80, 40, 120, 60)


def test_a_copy_stands_beside_the_thing() -> None:
    image, mask = scene()
    assert red(duplicate(image, mask, dx=50.0)) == (20, 40, 160, 60)
    assert red(duplicate(image, mask, dx=0.0, dy=-30.0)) == (20, 10, 60, 60)


def test_a_moved_thing_leaves_its_place_to_the_ground() -> None:
    image, mask = scene()
    made = move(image, mask, dx=50.0)
    assert red(made) == (120, 40, 160, 60)
    assert np.abs(made.pixels[40:60, 20:60].mean((0, 1)) - 90).max() < 4
    assert made.notes


def test_a_thing_moved_out_of_the_frame_is_gone() -> None:
    image, mask = scene()
    made = move(image, mask, dx=-100.0)
    assert red(made) is None
    assert any("outside" in note for note in made.notes)


def test_moving_by_nothing_changes_nothing() -> None:
    image, mask = scene()
    assert move(image, mask) == image


def test_a_thing_of_a_photograph_can_be_cut_and_pasted_back(photos: Path) -> None:
    image = Image.open(photos / "flower.jpg")
    mask = Mask.from_box(image.size, (0, 0, *image.size))
    assert paste(image, cut(image, mask).image, scale=1.0) == image


def test_a_piece_can_be_put_at_a_share_of_the_sides() -> None:
    assert red(paste(GREY, RED, scale=0.2, x=0.25, y=0.7)) == (30, 60, 70, 80)
    assert red(paste(GREY, RED, "top left", scale=0.2, y=0.5)) == (4, 40, 44, 60)


def test_half_opacity_halves_the_shadow_too() -> None:
    full, half = (paste(GREY, RED, scale=0.8, opacity=o, shadow=1.0).pixels[91, 100].astype(int) for o in (1.0, 0.5))
    assert 90 - full[0] > 15
    assert abs((90 - half[0]) * 2 - (90 - full[0])) <= 2


def test_a_matched_piece_moves_towards_the_ground_but_keeps_its_hue(dahlia: tuple[Image, Mask], photos: Path) -> None:
    flower = cut(*dahlia).image
    ground = Image.open(photos / "rocket.jpg")  # a dark blue evening
    plain, made = (paste(ground, flower, scale=0.4, blending=b) for b in ("alpha", "match"))
    inside = (np.abs(plain.pixels.astype(int) - ground.pixels) > 0).any(2)
    before, after, there = (to_lab(i.pixels)[inside].mean(0) for i in (plain, made, ground))
    assert 4 < before[0] - after[0] <= 16
    assert before[0] - after[0] < before[0] - there[0]
    assert 0 < before[2] - after[2] <= 7  # a little less yellow, still orange
    assert after[1] > 15
    assert after[2] > 15


def test_poisson_lets_the_colours_flow_in_and_keeps_the_detail(photos: Path) -> None:
    sky = Image(np.full((200, 300, 3), (120, 160, 210), np.uint8))
    patch = np.full((80, 80, 3), (140, 150, 160), np.uint8)
    patch[30:50, 30:50] += 40
    plain, made = (paste(sky, Image(patch), scale=0.3, blending=b) for b in ("alpha", "poisson"))
    row = made.pixels[100].astype(int)
    assert np.abs(row[112:125] - (120, 160, 210)).max() <= 3  # the patch's own ground has become sky
    assert np.abs(row[150] - row[120] - 40).max() <= 4
    assert np.abs(plain.pixels[100, 120].astype(int) - (140, 150, 160)).max() == 0


def test_poisson_of_a_few_pixels_is_laid_over_as_it_is() -> None:
    made = paste(GREY, RED, scale=0.05, blending="poisson")
    assert red(made) is not None
    assert any("too small" in note for note in made.notes)


def test_poisson_works_on_pieces_that_hang_over_the_frame() -> None:
    made = paste(GREY, Image(np.full((60, 60, 3), 150, np.uint8)), scale=0.5, x=0.0, y=0.0, blending="poisson")
    assert np.abs(made.pixels[:40, :40].astype(int) - 90).max() < 12


def test_a_thing_stands_on_its_shadow_and_a_picture_throws_one_around() -> None:
    alpha = np.zeros((60, 60), np.uint8)
    alpha[10:50, 20:40] = 255
    ground = Image(np.full((200, 300, 3), 200, np.uint8))
    thing = Image(np.full((60, 60, 3), 90, np.uint8), alpha)
    plain, made = (paste(ground, thing, scale=0.6, shadow=s).pixels[..., 0].astype(int) for s in (0.0, 1.0))
    assert 60 < made[161, 150] < 150  # dark just below its foot, but never a hole
    assert np.abs(made - plain)[:140].max() == 0  # and nothing above
    card = paste(ground, RED, scale=0.6, shadow=1.0).pixels[..., 1]
    assert all(card[y, x] < 195 for y, x in ((100, 58), (100, 241), (146, 150)))


def test_a_thing_goes_to_a_place_of_the_picture() -> None:
    image, mask = scene()
    assert red(move(image, mask, to="top right")) == (156, 4, 196, 24)
    assert red(move(image, mask, to="right")) == (156, 40, 196, 60)  # as high as it was
    assert red(duplicate(image, mask, to="bottom")) == (20, 40, 60, 96)


def test_a_thing_that_the_frame_cuts_off_stays_at_that_side() -> None:
    pixels = np.array(scene()[0].pixels)
    pixels[40:60] = pixels[0:20]
    pixels[80:, 20:60] = (255, 0, 0)
    image, mask = Image(pixels), Mask.from_box((200, 100), (20, 80, 60, 100))
    assert red(move(image, mask, to="center")) == (80, 80, 120, 100)
    assert red(resize_object(image, mask, to=50.0)) == (30, 90, 50, 100)


def test_a_sky_is_no_thing_to_be_moved() -> None:
    image, _ = scene()
    sky = Mask.from_box((200, 100), (0, 0, 200, 40))
    with pytest.raises(RefusedError, match="three sides"):
        move(image, sky, dx=10.0)
    with pytest.raises(RefusedError, match="three sides"):
        resize_object(image, sky)


def test_a_smaller_thing_keeps_its_foot_and_the_ground_comes_back() -> None:
    image, mask = scene()
    made = resize_object(image, mask, -50.0)
    box = red(made)
    assert box is not None
    assert box[3] == 60
    assert box[2] - box[0] <= 20
    assert (box[0] + box[2]) // 2 in (39, 40, 41)
    assert np.abs(made.pixels[40:46, 20:60].mean((0, 1)) - 90).max() < 4


def test_a_larger_thing_needs_no_fill_where_it_covers_itself(dahlia: tuple[Image, Mask]) -> None:
    image, mask = scene()
    made = resize_object(image, mask, 50.0)
    assert red(made) == (10, 30, 70, 60)
    assert resize_object(image, mask, 0.0) == image
    flower, where = dahlia
    changed = Mask((resize_object(flower, where, 20.0).pixels != flower.pixels).any(2)).box
    assert changed is not None
    assert where.box is not None
    assert (changed[2] - changed[0]) / (where.box[2] - where.box[0]) == pytest.approx(1.2, abs=0.02)
    assert changed[3] == pytest.approx(where.box[3], abs=20)


def test_a_cut_for_hair_reaches_beyond_the_mask(photos: Path) -> None:
    image = Image.open(photos / "dandelion.jpg").map(lambda a: cv2.resize(a, (400, 225), interpolation=cv2.INTER_AREA))
    x, y = np.meshgrid(np.arange(400), np.arange(225))
    mask = Mask((np.hypot(x - 119, y - 74) < 54) * np.uint8(255))
    plain, fine = cut(image, mask), cut(image, mask, edge="hair")
    assert fine.image.size > plain.image.size
    assert any("found anew" in note for note in fine.image.notes)
    soft = ((fine.mask.pixels > 20) & (fine.mask.pixels < 235)).sum()
    assert soft > 5 * ((plain.mask.pixels > 20) & (plain.mask.pixels < 235)).sum() + 300
