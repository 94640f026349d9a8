"""Styles: drawn, painted, printed and pieced together."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import lego
from lego.core.registry import Tool, registry
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.tools.craft import halftone, pixel_art, posterize, tilt_shift
from lego.tools.mosaic import low_poly, stained_glass
from lego.tools.palette import name_of, nearest, palette
from lego.tools.pixels import gaussian, to_lab
from lego.tools.stylize import cartoon, color_pencil, ink, oil, sketch, watercolor

SEEDED: list[Tool[..., Any]] = [sketch, color_pencil, oil, watercolor, stained_glass, low_poly]
STYLES: list[Tool[..., Any]] = [*SEEDED, ink, cartoon, halftone, posterize, pixel_art, tilt_shift]
SUIT = np.s_[330:400, 60:130]  # of the astronaut: orange


def ids(tool: Tool[..., Any]) -> str:
    return tool.name


@pytest.fixture(scope="module")
def astronaut(photos: Path) -> Image:
    return Image.open(photos / "astronaut.png")


@pytest.fixture(scope="module")
def cat(photos: Path) -> Image:
    return Image.open(photos / "chelsea.png")


@pytest.fixture(scope="module")
def kitten(cat: Image) -> Image:
    """The cat in small, where size does not matter."""
    return scaled(cat, 240)


@pytest.fixture(scope="module")
def china(photos: Path) -> Image:
    return Image.open(photos / "china.jpg")


def scaled(image: Image, side: int) -> Image:
    factor = side / max(image.size)
    size = (round(image.size[0] * factor), round(image.size[1] * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return Image(np.asarray(cv2.resize(image.pixels, size, interpolation=way)))


def light(image: Image) -> NDArray[np.float32]:
    return to_lab(image.pixels)[..., 0]


def texture(image: Image) -> float:
    """How much changes from pixel to pixel, in L."""
    values = light(image)
    return float(np.abs(values - cv2.GaussianBlur(values, (0, 0), 1.0)).mean())


def colors(image: Image) -> int:
    return len(np.unique(image.pixels.reshape(-1, 3), axis=0))


@pytest.mark.parametrize("style", STYLES, ids=ids)
def test_a_grey_picture_stays_grey(style: Tool[..., Any], china: Image) -> None:
    grey = Image(np.dstack([cv2.cvtColor(scaled(china, 320).pixels, cv2.COLOR_RGB2GRAY)] * 3))
    made = style(grey)
    assert np.ptp(made.pixels, 2).max() <= 1
    assert (made.pixels != grey.pixels).mean() > 0.3


@pytest.mark.parametrize("style", STYLES, ids=ids)
def test_small_and_large_pictures_look_alike(style: Tool[..., Any], astronaut: Image) -> None:
    small, large = style(scaled(astronaut, 320)), scaled(style(scaled(astronaut, 960)), 320)
    seen = [gaussian(image.pixels.astype(np.float32), 5) for image in (small, large)]
    assert np.abs(seen[0] - seen[1]).mean() < 5
    assert abs(light(small).std() - light(large).std()) < 0.1 * light(large).std() + 1


@pytest.mark.parametrize("style", [style for style in STYLES if style is not tilt_shift], ids=ids)
def test_strength_leads_from_the_picture_to_the_style(style: Tool[..., Any], kitten: Image) -> None:
    none, half, full = (style(kitten, strength=strength).pixels.astype(int) for strength in (0.0, 0.5, 1.0))
    assert np.array_equal(none, kitten.pixels)
    assert np.abs(half - (none + full) / 2).max() <= 1
    assert np.abs(full - none).mean() > 4


@pytest.mark.parametrize("style", SEEDED, ids=ids)
def test_another_seed_draws_other_strokes_of_the_same_picture(style: Tool[..., Any], kitten: Image) -> None:
    one, same, other = (style(kitten, context=Context(seed)).pixels for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert 0.5 < np.abs(one.astype(int) - other).mean() < 40


@pytest.mark.parametrize("style", STYLES, ids=ids)
def test_a_mask_styles_a_part_and_keeps_alpha(style: Tool[..., Any], kitten: Image) -> None:
    alpha = np.full(kitten.pixels.shape[:2], 200, np.uint8)
    mask = Mask.from_box(kitten.size, (60, 30, 180, 120))
    made = style(Image(kitten.pixels, alpha), mask=mask)
    changed = (made.pixels != kitten.pixels).any(2)
    assert changed[30:120, 60:180].mean() > 0.3
    changed[30:120, 60:180] = False
    assert not changed.any()
    assert np.array_equal(made.alpha, alpha)


def test_a_sketch_is_grey_lines_on_white_paper_and_shading_fills_the_dark(china: Image) -> None:
    plain, shaded, dark = (sketch(china, shading=shading) for shading in (0.0, 0.5, 1.0))
    assert np.ptp(shaded.pixels, 2).max() == 0
    assert (light(plain) > 95).mean() > 0.5
    assert light(plain)[:80, 400:].mean() > 97  # the sky is bare paper
    assert light(dark).mean() < light(shaded).mean() - 3 < light(plain).mean() - 6
    pagoda = np.s_[120:200, 150:270]
    assert light(plain)[pagoda].mean() < light(plain).mean() - 10


def test_a_night_scene_is_sketched_on_white_paper_too(photos: Path) -> None:
    rocket = Image.open(photos / "rocket.jpg")
    assert light(rocket).mean() < 30
    assert light(sketch(rocket)).mean() > 65


def test_coloured_pencils_keep_the_hues_on_lighter_paper(astronaut: Image) -> None:
    before, after = to_lab(astronaut.pixels)[SUIT], to_lab(color_pencil(astronaut).pixels)[SUIT]
    hues = [np.degrees(np.arctan2(lab[..., 2].mean(), lab[..., 1].mean())) for lab in (before, after)]
    assert abs(hues[0] - hues[1]) < 8
    assert np.hypot(*after[..., 1:].mean((0, 1))) > 35
    assert after[..., 0].mean() > before[..., 0].mean()


def test_ink_is_black_or_white_and_its_lines_grow_with_their_width(astronaut: Image) -> None:
    fine, bold = ink(astronaut, blacks=0.0, width=1.0), ink(astronaut, blacks=0.0, width=3.0)
    for drawn in (fine, bold):
        assert ((light(drawn) > 15) & (light(drawn) < 90)).mean() < 0.12
    lines = [max(part[4] for part in _parts(light(drawn) < 40)) for drawn in (fine, bold)]
    assert lines[1] > lines[0]
    assert 0.02 < (light(fine) < 40).mean() < (light(bold) < 40).mean() < 0.35


def test_ink_fills_what_is_dark_only_as_far_as_asked(astronaut: Image) -> None:
    table = np.s_[295:330, 400:480]  # black cloth
    assert light(ink(astronaut, blacks=0.0))[table].mean() > 50
    assert light(ink(astronaut, blacks=0.5))[table].mean() < 5


def test_ink_lines_are_whole_and_not_specks(astronaut: Image) -> None:
    black = light(ink(astronaut)) < 50
    specks = sum(part[4] for part in _parts(black) if part[4] < 6)
    assert specks < 0.01 * black.sum()


def test_a_cartoon_is_flat_between_dark_outlines(cat: Image, china: Image) -> None:
    fur = np.s_[180:260, 120:220]
    flat = cartoon(cat, lines=0.0)
    assert texture(Image(flat.pixels[fur])) < 0.6 * texture(Image(cat.pixels[fur]))
    plain, drawn = light(cartoon(china, lines=0.0)), light(cartoon(china, lines=1.0))
    darker = plain - drawn > 10
    assert 0.02 < darker.mean() < 0.35
    roof = cv2.dilate(cv2.Canny(china.pixels, 100, 200), np.ones((5, 5), np.uint8)) > 0
    assert roof[darker].mean() > 0.85  # outlines lie on edges


def test_fewer_levels_make_a_flatter_cartoon(cat: Image) -> None:
    few, many = (
        np.histogram(light(cartoon(cat, levels=levels, lines=0.0)), 100, (0, 100))[0] / cat.pixels[..., 0].size
        for levels in (4, 12)
    )
    assert np.square(few).sum() > 1.3 * np.square(many).sum()  # light gathers on fewer steps


def test_oil_smooths_texture_and_keeps_the_colours_and_the_shapes(cat: Image) -> None:
    painted = oil(cat, relief=0.0)
    assert texture(painted) < 0.5 * texture(cat)
    assert np.abs(to_lab(painted.pixels).mean((0, 1)) - to_lab(cat.pixels).mean((0, 1))).max() < 4
    pupil, iris = np.s_[90:115, 140:150], np.s_[90:115, 155:165]
    before, after = (light(image)[iris].mean() - light(image)[pupil].mean() for image in (cat, painted))
    assert after > 0.6 * before


def test_a_broad_brush_leaves_less_and_relief_shows_bristles(cat: Image) -> None:
    fine, broad = (gaussian(light(oil(cat, brush=brush, relief=0.0)), 2) for brush in (2.0, 12.0))
    truth = light(cat)
    assert np.abs(fine - truth).mean() < np.abs(broad - truth).mean() - 0.5
    assert texture(oil(cat, relief=1.0)) > texture(oil(cat, relief=0.3)) > texture(oil(cat, relief=0.0))


def test_watercolour_is_lighter_flatter_and_shows_the_paper(astronaut: Image) -> None:
    bare, rough = watercolor(astronaut, paper=0.0), watercolor(astronaut, paper=1.0)
    assert light(bare).mean() > light(astronaut).mean() + 4
    assert texture(bare) < 0.6 * texture(astronaut)
    assert texture(rough) > texture(bare) + 0.3
    assert to_lab(bare.pixels)[SUIT][..., 1].mean() > 35  # the suit is still orange


def test_wetter_colours_run_further(astronaut: Image) -> None:
    dry, wet = (watercolor(astronaut, wetness=wetness, paper=0.0) for wetness in (0.0, 1.0))
    patch = np.s_[370:440, 135:205]  # the badge
    assert light(wet)[patch].std() < 0.9 * light(dry)[patch].std()


@pytest.mark.parametrize("mode", ["color", "black"])
def test_halftone_keeps_the_light_on_average(mode: Literal["color", "black"], astronaut: Image) -> None:
    printed = halftone(astronaut, mode=mode)
    before = cv2.cvtColor(astronaut.pixels, cv2.COLOR_RGB2GRAY).mean()
    assert abs(cv2.cvtColor(printed.pixels, cv2.COLOR_RGB2GRAY).mean() - before) < 4
    assert printed.pixels.std() > astronaut.pixels.std() + 10


def test_halftone_prints_as_many_dots_as_asked() -> None:
    light_grey = Image(np.full((600, 600, 3), 200, np.uint8))
    printed = halftone(light_grey, dots=60, mode="black")
    assert len(_parts(printed.pixels[..., 0] < 128)) == pytest.approx(60 * 60, rel=0.06)
    assert set(np.unique(halftone(light_grey, dots=20).pixels[::7, ::7, 0])) >= {0, 255}


def test_halftone_leaves_white_paper_white_and_black_black() -> None:
    for value in (0, 255):
        flat = Image(np.full((64, 64, 3), value, np.uint8))
        assert np.array_equal(halftone(flat, mode="black").pixels, flat.pixels)


def test_a_poster_has_as_many_colours_as_asked_in_clean_shapes(astronaut: Image) -> None:
    for count in (3, 8):
        assert colors(posterize(astronaut, colors=count)) == count
    printed = posterize(astronaut)
    grey = cv2.cvtColor(printed.pixels, cv2.COLOR_RGB2GRAY)
    assert (cv2.medianBlur(grey, 3) != grey).mean() < 0.05
    assert to_lab(printed.pixels)[SUIT][..., 1].mean() > 40
    assert len(_parts(grey == 0)) <= len(_parts(cv2.cvtColor(astronaut.pixels, cv2.COLOR_RGB2GRAY) == 0))


def test_more_detail_gives_a_poster_smaller_shapes(cat: Image) -> None:
    coarse, fine = (cv2.Canny(posterize(cat, detail=detail).pixels, 10, 20) > 0 for detail in (0.0, 1.0))
    assert fine.sum() > 1.3 * coarse.sum()


def test_pixel_art_is_even_blocks_of_a_small_palette(astronaut: Image) -> None:
    made = pixel_art(astronaut, blocks=64, colors=12).pixels
    assert colors(Image(made)) <= 12
    blocks = made.reshape(64, 8, 64, 8, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert np.abs(made.mean((0, 1)) - astronaut.pixels.mean((0, 1))).max() < 14


def test_dithering_mixes_neighbouring_colours() -> None:
    ramp = Image(np.dstack([np.tile(np.linspace(40, 200, 256).astype(np.uint8), (128, 1))] * 3))
    plain, mixed = (pixel_art(ramp, blocks=64, colors=4, dither=dither).pixels[..., 0] for dither in (0.0, 1.0))
    assert (plain[:1] == plain).all()
    assert not (mixed[:1] == mixed).all()
    smooth = [np.abs(gaussian(m.astype(np.float32), 12) - ramp.pixels[..., 0]).mean() for m in (plain, mixed)]
    assert smooth[1] < smooth[0]


def test_stained_glass_has_about_as_many_panes_as_asked_set_in_lead(photos: Path) -> None:
    flower = Image.open(photos / "flower.jpg")
    window = stained_glass(flower, panes=300, lead=1.0)
    panes = [part for part in _parts(light(window) > 14) if part[4] > 30]
    assert 200 < len(panes) < 420
    none = stained_glass(flower, panes=300, lead=0.0)
    assert light(window).mean() < light(none).mean() - 4
    petals = np.s_[150:250, 230:330]
    assert to_lab(none.pixels)[petals][..., 1].mean() > to_lab(flower.pixels)[petals][..., 1].mean()


def test_low_poly_is_flat_triangles_that_keep_to_the_edges(photos: Path) -> None:
    coffee = Image.open(photos / "coffee.png")
    made = low_poly(coffee, points=1500)
    inner = np.ones(made.pixels.shape[:2], bool)
    inner[:, 1:] = (made.pixels[:, 1:] == made.pixels[:, :-1]).all(2)
    assert inner.mean() > 0.6  # flat inside
    assert np.abs(light(made) - light(coffee)).mean() < 5
    few, many = (np.abs(light(low_poly(coffee, points=points)) - light(coffee)).mean() for points in (200, 4000))
    assert many < few - 1


def test_low_poly_covers_the_picture_to_its_rim(cat: Image) -> None:
    made = low_poly(cat, points=400).pixels
    for rim, source in ((made[0], cat.pixels[0]), (made[-1], cat.pixels[-1]), (made[:, -1], cat.pixels[:, -1])):
        assert (rim[1:] == rim[:-1]).all(1).mean() > 0.5
        assert (rim == source).all(1).mean() < 0.2


def test_tilt_shift_blurs_above_and_below_its_band_only(china: Image) -> None:
    made = tilt_shift(china, amount=1.0, center=0.5, band=0.2, vivid=0.0)
    middle, top = np.s_[180:245], np.s_[:60]
    assert np.array_equal(made.pixels[middle], china.pixels[middle])
    assert texture(Image(made.pixels[top])) < 0.3 * texture(Image(china.pixels[top]))
    lower = tilt_shift(china, amount=1.0, center=0.9, band=0.2, vivid=0.0)
    assert texture(Image(lower.pixels[middle])) < 0.5 * texture(Image(china.pixels[middle]))


def test_tilt_shift_brightens_the_colours(china: Image) -> None:
    plain, vivid = (
        np.hypot(*np.moveaxis(to_lab(tilt_shift(china, vivid=vivid).pixels)[..., 1:], 2, 0)).mean()
        for vivid in (0.0, 1.0)
    )
    assert vivid > 1.3 * plain
    assert np.array_equal(tilt_shift(china, amount=0.0, vivid=0.0).pixels, china.pixels)


def test_a_palette_stands_for_its_picture() -> None:
    halves = np.zeros((40, 40, 3), np.uint8)
    halves[:20], halves[20:] = (200, 40, 40), (40, 60, 200)
    few = palette(to_lab(halves), 6)
    assert {name_of(color) for color in few} == {"red", "blue"}
    label = nearest(to_lab(halves), few)
    assert len(np.unique(label[:20])) == 1
    assert label[0, 0] != label[-1, 0]


@pytest.mark.parametrize(
    ("words", "tool", "args"),
    [
        ("turn it into a pencil sketch", "sketch", {"strength": 1.0}),
        ("a subtle pencil drawing, shading 0.8", "sketch", {"strength": 0.4, "shading": 0.8}),
        ("把图片变成素描", "sketch", {}),
        ("draw it with coloured pencils", "color_pencil", {}),
        ("彩铅效果", "color_pencil", {}),
        ("convert to line art", "ink", {}),
        ("变成线稿", "ink", {}),
        ("make it look like a cartoon", "cartoon", {}),
        ("把背景变成卡通", "cartoon", {"mask": "$s1"}),
        ("turn this into a painting", "oil", {}),
        ("oil painting at 60%", "oil", {"strength": 0.6}),
        ("油画风格", "oil", {}),
        ("transform the photo into a watercolour", "watercolor", {}),
        ("水彩画效果", "watercolor", {}),
        ("make it look like a newspaper print", "halftone", {"mode": "black"}),
        ("halftone with 200 dots", "halftone", {"dots": 200, "mode": None}),
        ("网点效果", "halftone", {}),
        ("posterize it to 5 colors", "posterize", {"colors": 5}),
        ("波普艺术风格", "posterize", {}),
        ("make it 8-bit", "pixel_art", {}),
        ("像素画", "pixel_art", {}),
        ("turn it into a stained glass window with 300 panes", "stained_glass", {"panes": 300}),
        ("彩色玻璃效果", "stained_glass", {}),
        ("make the red cup low-poly", "low_poly", {"mask": "$s1"}),
        ("低多边形风格", "low_poly", {}),
        ("make it look like a miniature", "tilt_shift", {"amount": 0.6}),
        ("移轴效果", "tilt_shift", {}),
        ("pixelate the red cup", "pixelate", {}),
        ("turn it into a mosaic", "pixelate", {}),
        ("paint the cup blue", "recolor", {}),
        ('add the text "sketch"', "add_text", {}),
        ("brighten the sketch", "exposure", {"mask": "$s1"}),
        ("remove the poster", "remove", {}),
        ("make the pencil red", "recolor", {}),
        ("desaturate the stained glass window", "saturation", {}),
        ("make the oil darker", "exposure", {}),
        ("turn the newspaper blue", "recolor", {}),
        ("把油画调亮", "exposure", {}),
        ("去掉海报", "remove", {}),
    ],
)
def test_the_words_lead_to_the_style(words: str, tool: str, args: dict[str, Any], photos: Path) -> None:
    step = lego.plan(photos / "coffee.png", words).workflow.steps[-1]
    assert step.tool == tool
    assert {name: step.args.get(name) for name in args} == args


@pytest.mark.parametrize("words", ["draw a dog", "add a cartoon cat", "add a poster", "add a triangle"])
def test_a_thing_is_not_drawn_by_a_style(words: str, photos: Path) -> None:
    with pytest.raises(lego.LegoError, match=words.split()[-1]):
        lego.plan(photos / "coffee.png", words)


def test_every_style_says_what_it_does_to_the_builder() -> None:
    for style in STYLES:
        assert style is registry[style.name]
        assert any(not phrase.text.isascii() for phrase in style.phrases)


def _parts(mask: NDArray[np.bool_]) -> list[Any]:
    """Position, size and area of the connected parts."""
    return list(cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2][1:])


def test_a_picture_of_one_pane_is_glass_without_lead() -> None:
    plain = Image(np.full((3, 200, 3), 120, np.uint8))
    made = stained_glass(plain, panes=50, lead=1.0)  # warnings are errors: nothing overflows
    assert made.size == plain.size
