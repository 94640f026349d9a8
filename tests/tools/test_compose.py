"""Cut, paste, duplicate, move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image, Mask
from lego.executor import contract
from lego.tools import compose
from lego.tools.compose import cut, duplicate, move, paste

GREY = Image(np.full((100, 200, 3), 90, np.uint8))
RED = Image(np.full((20, 40, 3), (255, 0, 0), np.uint8))


def red(image: Image) -> tuple[int, int, int, int] | None:
    return Mask((image.pixels == (255, 0, 0)).all(2)).box


def scene() -> tuple[Image, Mask]:
    pixels = np.clip(np.random.default_rng(0).normal(90, 3, (100, 200, 3)), 0, 255).astype(np.uint8)
    pixels[40:60, 20:60] = (255, 0, 0)
    return Image(pixels), Mask.from_box((200, 100), (20, 40, 60, 60))


@pytest.mark.parametrize("name", ["cut", "paste", "duplicate", "move"])
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
