"""Files, bytes and arrays to pixels and back: orientation, colour profiles, bit depths, limits, whole-file writing."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from lego.core import depth
from lego.core.errors import ImageError, writing_code

Pixels: TypeAlias = NDArray[np.uint8]
Source: TypeAlias = "str | os.PathLike[str] | bytes | Pillow.Image | NDArray[Any]"
Decoded: TypeAlias = "tuple[Pixels, Pixels | None, tuple[str, ...], bytes, depth.Deep | None]"

MAX_PIXELS = 100_000_000  # one's own machine; a 100 Mpx photograph is the largest that medium-format cameras make
JPEG_QUALITY = 95  # visually lossless; 4:4:4 chroma, because edits put hard coloured edges where cameras put none
KEPT = {
    # EXIF of the main directory that still holds after an edit: who, what with, when, where, and at what resolution;
    # all else describes how the old file was stored
    0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x4746, 0x8298, 0x8769, 0x8825,
}  # fmt: skip
ORIENTATION, CAMERA, PLACE = 0x0112, 0x8769, 0x8825  # the last two are directories of their own
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
STALE = (0x927C, 0xA002, 0xA003, 0xA005)  # maker notes with offsets into the old file, old width and height, and links
LONGEST_EXIF = 65_000  # bytes; a JPEG segment holds 65,533
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


def decode(source: Source, max_pixels: int) -> Decoded:
    """Return pixels (H x W x 3, sRGB), alpha (H x W or None), notes, EXIF and 16-bit pixels; see `Image.open`."""
    if isinstance(source, np.ndarray):
        return (*_from_array(source), b"", None)
    if isinstance(source, Pillow.Image):
        return _from_pillow(source, "picture", max_pixels)
    name, stream = _stream(source)
    with contextlib.closing(stream), _decoding(name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about sizes below our own, explicit limit
            picture = Pillow.open(stream)
        return _from_pillow(picture, name, max_pixels, stream)


class Header(NamedTuple):
    """What the header of a picture says: its format ("PNG", ...), width and height upright, and if it has an alpha."""

    format: str
    size: tuple[int, int]
    alpha: bool


def header(data: bytes) -> Header:
    """Read the header of a picture; nothing is decoded.

    Raises:
        ImageError: it is no picture.
    """
    with _decoding("bytes"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Pillow.open(io.BytesIO(data)) as picture:
            turned = picture.getexif().get(ORIENTATION, 1) in SIDEWAYS
            size = picture.size[::-1] if turned else picture.size
            return Header(picture.format or "", size, "A" in picture.getbands() or "transparency" in picture.info)


def read_text(source: Source) -> dict[str, str]:
    """Return the text chunks of a PNG; empty for other formats."""
    name, stream = _stream(source)
    with contextlib.closing(stream), _decoding(name):
        picture = Pillow.open(stream)
        texts = getattr(picture, "text", {}) if picture.format == "PNG" else {}
        return {str(key): str(value) for key, value in texts.items()}


def encode(
    picture: Pillow.Image, path: Path, text: dict[str, str], exif: bytes = b"", quality: int = JPEG_QUALITY
) -> bytes:
    """Return the file's bytes in the format that the suffix names; text goes into PNG only, EXIF not into BMP.

    Args:
        quality: of JPEG and WebP, 0..100.
    """
    check_suffix(path)
    suffix = path.suffix.lower()
    options: dict[str, Any] = {}
    if suffix == ".png":
        options = {"compress_level": 4, "pnginfo": _chunks(text)}
    elif suffix in (".jpg", ".jpeg"):
        options = {"quality": quality, "subsampling": 0}
    elif suffix == ".webp":
        options = {"quality": quality, "method": 4}
    if exif and suffix != ".bmp" and len(exif) <= LONGEST_EXIF:
        options["exif"] = exif
    if suffix in (".jpg", ".jpeg", ".bmp") and picture.mode != "RGB":
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, Pillow.registered_extensions()[suffix], **options)
    return buffer.getvalue()


def check_suffix(path: Path) -> None:
    """Refuse an output path whose suffix names no format that we write."""
    if path.suffix.lower() not in SUFFIXES:
        raise ImageError(
            f"cannot write the format '{path.suffix or 'without suffix'}'",
            where=str(path),
            hint=f"end the name in one of {', '.join(SUFFIXES)}",
            code="unknown_format",
        )


def write_whole(path: Path, data: bytes) -> Path:
    """Write bytes so that the file appears whole or not at all."""
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # mkstemp makes private files; give the one that open() would have made
        os.replace(name, path)
    except OSError as error:
        if name:
            with contextlib.suppress(OSError):
                os.unlink(name)
        code = writing_code(error)
        hint = "make room on the disk" if code == "disk_full" else "does the folder exist, and may you write there?"
        raise ImageError(f"cannot write: {error.strerror or error}", where=str(path), hint=hint, code=code) from None
    return path


def _stream(source: str | os.PathLike[str] | bytes | Any) -> tuple[str, Any]:
    if isinstance(source, bytes):
        return "bytes", io.BytesIO(source)
    if not isinstance(source, str | os.PathLike):
        raise ImageError(
            f"cannot read a picture from {type(source).__name__}",
            hint="give a path, bytes, a Pillow picture or an array",
        )
    try:
        return str(source), open(source, "rb")
    except OSError as error:
        hint = "check the path" if isinstance(error, FileNotFoundError) else "check the file's permissions"
        raise ImageError(f"cannot open: {error.strerror}", where=str(source), hint=hint, code="cannot_open") from None


@contextlib.contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn every way in which a decoder can fail into one ImageError."""
    try:
        yield
    except UnidentifiedImageError:
        hint = "use a JPEG, PNG, WebP, TIFF or BMP picture"
        raise ImageError("this is not a picture that can be read", where=name, hint=hint, code="not_an_image") from None
    except Pillow.DecompressionBombError:
        limit = f"{2 * (Pillow.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} megapixels"  # above it Pillow opens nothing at all
        raise ImageError(
            f"its header promises more than {limit}", where=name, hint="make it smaller first", code="too_large"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, IndexError) as error:
        hint = "the file may be truncated; get it again"
        raise ImageError(f"the picture is damaged: {error}", where=name, hint=hint, code="damaged") from None


def _from_pillow(picture: Pillow.Image, name: str, max_pixels: int, stream: IO[bytes] | None = None) -> Decoded:
    """Decode a picture; ``stream`` is the file that it comes from, whose 16 bits Pillow may have dropped."""
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} is {width * height / 1e6:.0f} megapixels; the limit is {max_pixels / 1e6:.0f}",
            where=name,
            hint="make it smaller first, or raise max_pixels in the settings",
            code="too_large",
        )
    notes: list[str] = []
    with _decoding(name):
        picture.load()
        turned = picture.getexif().get(ORIENTATION, 1) != 1
        if turned:
            notes.append("turned upright by its EXIF orientation")
        exif = _kept(picture.getexif(), notes)
        upright = ImageOps.exif_transpose(picture) if turned else picture  # which copies even what is upright
        told = len(notes)
        shown = _to_srgb(upright, notes)
        deep = None
        if len(notes) == told and stream:  # no profile had a say
            deep = _deep(picture, stream, upright.size)
        if deep is not None:
            notes.append(
                "16 bits a channel: kept as long as it is only cut, turned or scaled; all else works at 8 bits"
            )
        elif shown.mode.startswith(("I", "F")):
            notes.append(f"converted from {shown.mode} to 8 bits")
        elif stream and _is_deep(picture, stream):
            notes.append("converted from 16 to 8 bits")
        pixels, alpha = _eight_bits(shown)
        return pixels, alpha, tuple(notes), exif, deep


def _eight_bits(picture: Pillow.Image) -> tuple[Pixels, Pixels | None]:
    """Pixels and alpha (None where all is opaque) of any mode."""
    if picture.mode.startswith(("I", "F")):
        return _from_array(np.asarray(picture))[:2]
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        pixels = np.asarray(picture.convert("RGBA"))
        opaque = bool((pixels[..., 3] == 255).all())
        return pixels[..., :3], None if opaque else pixels[..., 3]
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB")), None


def _deep(picture: Pillow.Image, stream: IO[bytes], size: tuple[int, int]) -> depth.Deep | None:
    """The 16 bits of a file that has them, upright."""
    if not _is_deep(picture, stream):
        return None
    stream.seek(0)
    deep = depth.read(stream.read(), picture.getexif().get(ORIENTATION, 1))
    return deep if deep is not None and deep.shape[1::-1] == size else None


def _is_deep(picture: Pillow.Image, stream: IO[bytes]) -> bool:
    stream.seek(0)
    return depth.is_deep(picture, stream.read(32))


def _kept(exif: Pillow.Exif, notes: list[str]) -> bytes:
    """The EXIF to be saved with the edited picture: orientation reset, preview and maker notes left out."""
    kept = Pillow.Exif()
    try:
        for tag in KEPT & set(exif):
            kept[tag] = exif[tag]
            if tag in (CAMERA, PLACE):
                kept[tag] = {key: value for key, value in exif.get_ifd(tag).items() if key not in STALE}
        if not len(kept):
            return b""
        kept[ORIENTATION] = 1
        return kept.tobytes()
    except Exception as error:  # cameras write all kinds of nonsense, and the picture matters more
        notes.append(f"its EXIF cannot be kept ({type(error).__name__})")
        return b""


def _to_srgb(picture: Pillow.Image, notes: list[str]) -> Pillow.Image:
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "L", "CMYK"):
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        title = ImageCms.getProfileDescription(source).strip()
        if "sRGB" in title:
            return picture
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        notes.append(f"its colour profile cannot be read ({error}); taken as sRGB")
        return picture
    notes.append(f"converted from the colour profile '{title}' to sRGB")
    return converted or picture


def _from_array(array: NDArray[Any]) -> tuple[Pixels, Pixels | None, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"cannot read an array of shape {array.shape} as a picture",
            hint="H x W, or H x W x 1, 3 or 4",
            code="bad_array",
        )
    if array.dtype != np.uint8:
        notes = (f"converted from {array.dtype} to 8 bits",)
        array = _to_uint8(array)
    if array.ndim == 2 or array.shape[2] == 1:
        return np.dstack([array.reshape(array.shape[:2])] * 3), None, notes
    alpha = array[..., 3] if array.shape[2] == 4 else None
    return array[..., :3], alpha, notes


def _to_uint8(array: NDArray[Any]) -> Pixels:
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise ImageError(
                "the array holds NaN or infinity", hint="clean it first: numpy.nan_to_num", code="bad_array"
            )
        top = max(1.0, float(array.max()))  # 0..1 as it is; brighter (HDR, mode F) scaled down to its maximum
        return (np.clip(array / top, 0, 1) * 255 + 0.5).astype(np.uint8)
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) * 255 // 65535).astype(np.uint8)
    if np.issubdtype(array.dtype, np.integer):
        top = 255 if int(array.max()) <= 255 else 65535
        scaled: Pixels = (np.clip(array, 0, top).astype(np.float64) * (255 / top) + 0.5).astype(np.uint8)
        return scaled
    raise ImageError(f"cannot read {array.dtype} as pixels", hint="uint8, uint16 or float 0..1", code="bad_array")


def _chunks(text: dict[str, str]) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        info.add_itxt(key, value)  # uncompressed: Pillow refuses compressed chunks above 1 MiB
    return info
