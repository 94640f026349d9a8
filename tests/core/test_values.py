"""Image, Mask and the reading and writing of files."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from lego.core.errors import ImageError
from lego.core.values import Image, Mask
from lego.tools.framing import trim
from lego.tools.geometry import flip, resize, rotate
from lego.tools.tone import exposure


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def test_pixels_cannot_be_written_to(small: Image) -> None:
    with pytest.raises(ValueError, match="read-only"):
        small.pixels[0, 0] = 0


def test_writing_to_the_source_array_does_not_reach_the_image() -> None:
    array = np.zeros((4, 4, 3), np.uint8)
    image = Image(array)
    array[:] = 255
    assert image.pixels.max() == 0


def test_a_frozen_view_of_a_writable_array_is_copied() -> None:
    array = np.zeros((4, 4, 3), np.uint8)
    view = array[:2]
    view.flags.writeable = False
    image = Image(view)
    array[:] = 9
    assert image.pixels.max() == 0


def test_equal_pixels_have_equal_digests_and_other_shapes_do_not() -> None:
    flat = np.zeros((2, 6, 3), np.uint8)
    assert Image(flat).digest == Image(flat.copy()).digest
    assert Image(flat).digest != Image(flat.reshape(6, 2, 3)).digest
    assert Image(flat).digest != Image(flat, np.full((2, 6), 255, np.uint8)).digest
    assert Mask(flat[..., 0]).digest != Mask(flat[..., 0], 0.5).digest


def test_a_pickled_image_comes_back_frozen_and_equal(small: Image) -> None:
    twin = pickle.loads(pickle.dumps(small))
    assert twin == small
    assert not twin.pixels.flags.writeable


@pytest.mark.parametrize(
    ("array", "first"),
    [
        (np.full((3, 2), 7, np.uint8), 7),
        (np.full((3, 2, 1), 7, np.uint8), 7),
        (np.full((3, 2, 3), 0.5, np.float32), 128),
        (np.full((3, 2, 3), 65535, np.uint16), 255),
        (np.full((3, 2), True), 255),
        (np.full((3, 2, 3), 200, np.int64), 200),
    ],
)
def test_arrays_of_every_depth_become_eight_bits(array: np.ndarray, first: int) -> None:
    assert Image.open(array).pixels[0, 0].tolist() == [first] * 3


@pytest.mark.parametrize("array", [np.zeros((2, 2, 5), np.uint8), np.zeros(4, np.uint8), np.full((2, 2), np.nan)])
def test_arrays_that_are_no_pictures_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ImageError):
        Image.open(array)


def test_alpha_is_set_aside_and_put_back(tmp_path: Path) -> None:
    rgba = np.dstack([np.full((5, 4, 3), 90, np.uint8), np.arange(20, dtype=np.uint8).reshape(5, 4)])
    Pillow.fromarray(rgba).save(tmp_path / "in.png")
    image = Image.open(tmp_path / "in.png")
    assert image.pixels.shape == (5, 4, 3)
    image.save(tmp_path / "out.png")
    assert np.array_equal(np.asarray(Pillow.open(tmp_path / "out.png")), rgba)


def test_exif_orientation_is_applied_and_noted(tmp_path: Path) -> None:
    picture = Pillow.new("RGB", (6, 3))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    image = Image.open(tmp_path / "turned.jpg")
    assert image.size == (3, 6)
    assert "EXIF" in image.notes[0]


def test_a_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    named = swapped.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))
    picture = Pillow.new("RGB", (2, 2), (10, 200, 60))
    picture.save(tmp_path / "profiled.png", icc_profile=named)
    image = Image.open(tmp_path / "profiled.png")
    assert "colour profile 'BGRs" in image.notes[0]
    assert np.abs(image.pixels.astype(int) - (60, 200, 10)).max() <= 2  # red and blue primaries were swapped
    picture.save(tmp_path / "broken.png", icc_profile=b"nonsense")
    assert "colour profile" in Image.open(tmp_path / "broken.png").notes[0]


def sixteen(path: Path, channels: int = 3) -> tuple[Path, NDArray[np.uint16]]:
    """Write a 16-bit file; return its values as RGB."""
    values = np.random.default_rng(5).integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    cv2.imwrite(str(path), values)
    return path, values[..., 2::-1] if channels > 1 else np.dstack([values] * 3)


@pytest.mark.parametrize(("suffix", "channels"), [(".png", 1), (".png", 3), (".png", 4), (".tif", 1), (".tif", 3)])
def test_sixteen_bits_survive_cutting_turning_and_scaling(tmp_path: Path, suffix: str, channels: int) -> None:
    path, values = sixteen(tmp_path / f"in{suffix}", channels)
    image = Image.open(path)
    assert image.deep is not None
    assert np.array_equal(image.deep, values)
    assert np.abs(image.pixels.astype(int) * 257 - values).max() <= 257
    assert any("16 bits" in note for note in image.notes)
    made = flip(rotate(trim(image, left=7), 90.0), "vertical")
    again = Image.open(made.save(tmp_path / f"out{suffix}"))
    assert again.deep is not None
    assert np.array_equal(again.deep, np.rot90(values[:, 7:], -1)[::-1])
    assert resize(image, width=15).deep is not None
    assert exposure(image, exposure=1.0).deep is None
    assert image.replace(image.pixels).deep is not None


def test_a_tiff_of_sixteen_bits_with_alpha_is_read_and_written_at_eight(tmp_path: Path) -> None:
    deep = Image.open(sixteen(tmp_path / "in.png", 4)[0])
    assert deep.deep is not None
    again = Image.open(deep.save(tmp_path / "out.tif"))
    assert again.deep is None
    assert again.pixels.tobytes() == deep.pixels.tobytes()


def test_sixteen_bits_are_turned_upright_and_keep_text_and_exif(tmp_path: Path) -> None:
    _, values = sixteen(tmp_path / "in.png")
    for orientation in range(1, 9):
        exif = Pillow.Exif()
        exif[0x0112], exif[0x010F] = orientation, "Maker"
        head = Image(np.zeros((20, 30, 3), np.uint8), deep=np.ascontiguousarray(values), exif=exif.tobytes())
        image = Image.open(head.save(tmp_path / "turned.png", {"lego_workflow": "图 {}"}))
        assert image.deep is not None
        assert np.abs(image.pixels.astype(int) - image.deep // 257).max() <= 1
        assert image.exif
        assert Image.read_text(tmp_path / "turned.png") == {"lego_workflow": "图 {}"}


def test_sixteen_bits_count_in_the_digest_in_memory_and_in_pickles(tmp_path: Path) -> None:
    image = Image.open(sixteen(tmp_path / "in.png")[0])
    assert image.deep is not None
    other = Image(image.pixels, deep=image.deep ^ np.uint16(1))
    assert image != other
    assert image.nbytes == 20 * 30 * 9
    copy = pickle.loads(pickle.dumps(image))
    assert np.array_equal(copy.deep, image.deep)
    with pytest.raises(ValueError, match="read-only"):
        image.deep[0, 0] = 0
    jpeg = Image.open(image.save(tmp_path / "out.jpg"))
    assert jpeg.deep is None


def test_a_text_file_named_jpg_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("not a picture")
    with pytest.raises(ImageError) as caught:
        Image.open(tmp_path / "note.jpg")
    assert caught.value.code == "not_an_image"
    assert "note.jpg" in caught.value.where


def test_a_header_of_900_megapixels_is_refused_before_decoding() -> None:
    with pytest.raises(ImageError) as caught:
        Image.open(png_header(30_000, 30_000))
    assert caught.value.code == "too_large"


def test_a_limit_below_pillows_own_counts() -> None:
    with pytest.raises(ImageError, match="megapixels") as caught:
        Image.open(png_header(2000, 2000), max_pixels=1_000_000)
    assert caught.value.code == "too_large"


def test_a_truncated_jpeg_is_refused(photos: Path, tmp_path: Path) -> None:
    data = (photos / "china.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError) as caught:
        Image.open(tmp_path / "half.jpg")
    assert caught.value.code == "damaged"


def test_a_missing_file_says_where() -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png"):
        Image.open("nowhere.png")


def test_a_failed_save_leaves_the_old_file_and_no_litter(small: Image, tmp_path: Path) -> None:
    path = tmp_path / "out.gif"
    path.write_bytes(b"precious")
    with pytest.raises(ImageError, match="format"):
        small.save(path)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ImageError, match="cannot write"):
        small.save(tmp_path / "missing" / "out.png")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".jpg"])
def test_pictures_survive_every_format(suffix: str, tmp_path: Path) -> None:
    image = Image(np.full((9, 7, 3), (200, 30, 60), np.uint8))
    path = image.save(tmp_path / f"out{suffix}")
    assert np.abs(Image.open(path).pixels.astype(int) - image.pixels).max() <= (
        0 if suffix in (".png", ".tif", ".bmp") else 4
    )


def test_text_chunks_come_back_from_a_png(small: Image, tmp_path: Path) -> None:
    path = small.save(tmp_path / "out.png", {"lego_workflow": '{"日本": "café"}'})
    assert Image.read_text(path) == {"lego_workflow": '{"日本": "café"}'}


def test_bytes_and_pillow_pictures_are_read() -> None:
    buffer = io.BytesIO()
    picture = Pillow.new("RGB", (3, 2), (1, 2, 3))
    picture.save(buffer, "PNG")
    assert Image.open(buffer.getvalue()) == Image.open(picture)


def test_masks_saturate_and_never_wrap() -> None:
    low, high = Mask(np.full((2, 2), 10, np.uint8)), Mask(np.full((2, 2), 250, np.uint8))
    assert (low | high).pixels.max() == 250
    assert (low & high).pixels.max() == 10
    assert (low - high).pixels.max() == 5
    assert (high - low).pixels.max() == 245
    assert (~low).pixels.max() == 245


def test_a_joined_mask_is_as_sure_as_its_least_sure_part() -> None:
    pixels = np.zeros((2, 2), np.uint8)
    assert (Mask(pixels, 0.9) | Mask(pixels, 0.4)).confidence == 0.4
    assert (Mask(pixels, 0.9) | Mask(pixels)).confidence == 0.9
    assert (Mask(pixels) & Mask(pixels)).confidence is None


def test_masks_of_other_sizes_do_not_mix() -> None:
    with pytest.raises(ImageError, match="differ in size"):
        Mask(np.zeros((2, 2), np.uint8)) | Mask(np.zeros((2, 3), np.uint8))


def test_the_box_of_a_mask_is_exact_and_none_when_empty() -> None:
    mask = Mask.from_box((10, 8), (2, 3, 5, 7))
    assert mask.box == (2, 3, 5, 7)
    assert mask.share == pytest.approx(12 / 80)
    assert Mask(np.zeros((3, 3), np.uint8)).box is None
    assert Mask.from_box((4, 4), (-5, -5, 99, 99)).share == 1


def test_a_mask_is_read_from_transparency_when_colours_say_nothing() -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:2, :, 3] = 255
    assert Mask.open(rgba).box == (0, 0, 4, 2)
    assert Mask.open(np.eye(4, dtype=bool)).share == 0.25


def photographed(path: Path) -> Path:
    """Write a picture that lies on its side, as a phone does: camera, place, preview and maker notes in its EXIF."""
    exif = Pillow.Exif()
    exif[0x010F], exif[0x0112], exif[0x8298], exif[0x0201] = "Maker", 6, "(c) somebody", 99
    exif[0x8769] = {0x9003: "2026:11:24 12:00:00", 0x927C: b"notes" * 9, 0xA002: 40}
    exif[0x8825] = {1: "N", 2: (59.0, 54.0, 0.0)}
    Pillow.new("RGB", (40, 20), "red").save(path, exif=exif.tobytes())
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
def test_exif_is_kept_but_for_what_no_longer_holds(tmp_path: Path, source: str, suffix: str) -> None:
    image = Image.open(photographed(tmp_path / f"in{source}"))
    assert image.size == (20, 40)
    with Pillow.open(image.save(tmp_path / f"out{suffix}")) as saved:
        found = saved.getexif()
        assert found[0x010F] == "Maker"
        assert found[0x8298] == "(c) somebody"
        assert found[0x0112] == 1
        assert found.get_ifd(0x8769) == {0x9003: "2026:11:24 12:00:00"}
        assert found.get_ifd(0x8825)[2] == (59.0, 54.0, 0.0)
        assert 0x0201 not in found


def test_damaged_exif_costs_the_exif_and_not_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "in.jpg"
    Pillow.new("RGB", (8, 8)).save(
        path, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x0f\x01\x02\0\xff\xff\xff\xff" * 9
    )
    image = Image.open(path)
    assert image.size == (8, 8)
    image.save(tmp_path / "out.jpg")


def test_too_much_exif_for_a_jpeg_is_left_out(tmp_path: Path) -> None:
    image = Image(np.zeros((4, 4, 3), np.uint8), exif=b"Exif\0\0" + bytes(70_000))
    with Pillow.open(image.save(tmp_path / "out.jpg")) as saved:
        assert not saved.getexif()
