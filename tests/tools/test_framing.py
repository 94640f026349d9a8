"""Cropping to a thing: it is all there, in the middle where it can be, in the ratio that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.values import Image, Mask
from lego.tools.framing import crop_to_subject, trim


def marked(box: tuple[int, int, int, int], size: tuple[int, int] = (400, 300)) -> tuple[Image, Mask]:
    """A white thing on black, and its mask."""
    mask = Mask.from_box(size, box)
    return Image(np.repeat(mask.pixels[..., None], 3, axis=2)), mask


def test_a_photographs_subject_fills_the_frame(photos: Path) -> None:
    flower = Image.open(photos / "flower.jpg")
    made = crop_to_subject(flower)
    assert 0.7 < made.size[0] / made.size[1] < 1.4
    assert made.size[0] < 0.75 * flower.size[0]
    middle = made.pixels[made.size[1] // 2, made.size[0] // 2].astype(int)
    assert middle[0] > middle[2] + 60  # orange


def test_no_clear_subject_is_refused(photos: Path) -> None:
    with pytest.raises(RefusedError, match="no clear subject"):
        crop_to_subject(Image.open(photos / "chelsea.png"))


@pytest.mark.parametrize("ratio", [None, "1:1", "4:5", "16:9"])
@pytest.mark.parametrize("box", [(150, 100, 250, 180), (0, 0, 60, 90), (360, 200, 400, 300)])
def test_the_whole_thing_stays_with_room_around_it(box: tuple[int, int, int, int], ratio: str | None) -> None:
    image, mask = marked(box)
    made = crop_to_subject(image, mask, 0.2, ratio)
    assert (made.pixels[..., 0] == 255).sum() == (box[2] - box[0]) * (box[3] - box[1])
    if ratio:
        across, down = map(int, ratio.split(":"))
        assert made.size[0] / made.size[1] == pytest.approx(across / down, rel=0.03)
    if box[0] == 150:
        x0, y0, x1, y1 = Mask(made.pixels[..., 0]).box or (0, 0, 0, 0)
        assert abs(x0 - (made.size[0] - x1)) <= 2
        assert abs(y0 - (made.size[1] - y1)) <= 2


def test_a_ratio_never_cuts_into_the_thing() -> None:
    image, mask = marked((20, 100, 380, 200))
    made = crop_to_subject(image, mask, 0.1, "1:4")
    assert (made.pixels[..., 0] == 255).sum() == 36000


def test_an_empty_mask_leaves_the_picture() -> None:
    image, mask = marked((0, 0, 0, 0))
    assert crop_to_subject(image, mask) == image


def test_strips_are_cut_off_the_sides_that_are_named(photos: Path) -> None:
    image = Image.open(photos / "coffee.png")
    made = trim(image, left=100, bottom=30)
    assert (made.pixels == image.pixels[:-30, 100:]).all()
    assert trim(image) == image
    with pytest.raises(RefusedError, match="nothing would be left of 600 x 400"):
        trim(image, left=300, right=300)
