"""Image and Mask: the two values that travel along a workflow."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from lego.core.errors import ImageError

Pixels: TypeAlias = NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]
Source: TypeAlias = "str | os.PathLike[str] | bytes | Pillow.Image | NDArray[Any]"

MAX_PIXELS = 100_000_000  # one's own machine; a 100 Mpx photograph is the largest that medium-format cameras make
JPEG_QUALITY = 95  # visually lossless; 4:4:4 chroma, because edits put hard coloured edges where cameras put none
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


def _freeze(array: NDArray[Any]) -> Pixels:
    """Own and lock the pixels, copying only when somebody else could still write to them."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and not owner.flags.writeable and owner.base is not None:
        owner = owner.base
    writable = not isinstance(owner, np.ndarray) or owner.flags.writeable
    if writable or not array.flags.c_contiguous:
        array = np.array(array, dtype=np.uint8, order="C")
        array.flags.writeable = False
    return array


class Image:
    """A picture: read-only uint8 pixels, height x width x 3, RGB, sRGB; alpha is kept aside.

    Args:
        pixels: H x W x 3 uint8 array. It is copied unless it is already read-only.
        alpha: H x W uint8 opacity (0 = transparent) or None; put back when the picture is saved.
        notes: sentences about how it came to be (conversions); they end up in the trace.

    Raises:
        ImageError: the array has another shape or type.
    """

    __slots__ = ("__dict__", "alpha", "notes", "pixels")

    def __init__(self, pixels: NDArray[Any], alpha: NDArray[Any] | None = None, notes: tuple[str, ...] = ()) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise ImageError(
                f"an image needs a uint8 array of height x width x 3, not {pixels.dtype} {pixels.shape}",
                hint="use lego.Image.open(array), which converts grey, RGBA, 16-bit and 0..1 float arrays",
                code="bad_array",
            )
        if alpha is not None and (alpha.dtype != np.uint8 or alpha.shape != pixels.shape[:2]):
            raise ImageError(f"alpha must be uint8 {pixels.shape[:2]}, not {alpha.dtype} {alpha.shape}", code="bad_array")
        self.pixels = _freeze(pixels)
        self.alpha = None if alpha is None else _freeze(alpha)
        self.notes = notes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the pixels take."""
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)

    @cached_property
    def digest(self) -> str:
        """Content hash over kind, shape, alpha and pixels: equal pictures have equal digests."""
        return _digest("image", self.pixels, self.alpha)

    @classmethod
    def open(cls, source: Source | Image, max_pixels: int = MAX_PIXELS) -> Image:
        """Read a picture from a path, bytes, a Pillow picture or an array.

        EXIF orientation is applied, an embedded ICC profile is converted to sRGB, alpha is set aside, 16-bit and
        float data become 8-bit; every such conversion leaves a sentence in ``notes``. Arrays may be H x W or
        H x W x 1/3/4, uint8, uint16 or float 0..1, channels in RGB order.

        Raises:
            ImageError: no such file, not a picture, truncated, or more than ``max_pixels`` pixels.
        """
        if isinstance(source, Image):
            return source
        if isinstance(source, np.ndarray):
            return cls(*_from_array(source))
        if isinstance(source, Pillow.Image):
            return _from_pillow(source, "picture", max_pixels)
        name, stream = _stream(source)
        with contextlib.closing(stream), _decoding(name):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns about size below our own, explicit limit
                picture = Pillow.open(stream)
            return _from_pillow(picture, name, max_pixels)

    @classmethod
    def read_text(cls, source: Source) -> dict[str, str]:
        """Read the text chunks of a PNG (workflow and trace live there); empty for other formats."""
        name, stream = _stream(source)
        with contextlib.closing(stream), _decoding(name):
            picture = Pillow.open(stream)
            texts = getattr(picture, "text", {}) if picture.format == "PNG" else {}
            return {str(key): str(value) for key, value in texts.items()}

    def pil(self) -> Pillow.Image:
        """Return a Pillow picture, RGBA if there is alpha, else RGB."""
        if self.alpha is None:
            return Pillow.fromarray(self.pixels)
        return Pillow.fromarray(np.dstack([self.pixels, self.alpha]))

    def tensor(self, device: str = "cpu") -> Any:
        """Return a float torch tensor, 1 x 3 x H x W, 0..1, on ``device`` (needs torch)."""
        import torch

        array = np.array(self.pixels.transpose(2, 0, 1))
        return torch.from_numpy(array).to(device).float().div(255).unsqueeze(0)

    def save(self, path: str | os.PathLike[str], text: dict[str, str] | None = None) -> Path:
        """Write the picture; the format follows the suffix. The file appears whole or not at all.

        Args:
            path: where to; .png, .jpg, .webp, .tif or .bmp.
            text: text chunks for the file's metadata (PNG only, ignored by other formats).

        Raises:
            ImageError: unknown suffix, or the folder cannot be written.
        """
        path = Path(path)
        check_suffix(path)
        picture = self.pil()
        options: dict[str, Any] = {}
        if path.suffix.lower() == ".png":
            options = {"compress_level": 4, "pnginfo": _chunks(text or {})}
        elif path.suffix.lower() in (".jpg", ".jpeg"):
            picture = picture.convert("RGB")
            options = {"quality": JPEG_QUALITY, "subsampling": 0}
        elif path.suffix.lower() == ".webp":
            options = {"quality": JPEG_QUALITY, "method": 4}
        elif path.suffix.lower() == ".bmp":
            picture = picture.convert("RGB")
        buffer = io.BytesIO()
        picture.save(buffer, Pillow.registered_extensions()[path.suffix.lower()], **options)
        return write_whole(path, buffer.getvalue())

    def replace(self, pixels: NDArray[Any]) -> Image:
        """Return a picture with other pixels of the same size, keeping this one's alpha."""
        if pixels.shape != self.pixels.shape:
            raise ImageError(f"replacing pixels must keep the shape {self.pixels.shape}, not {pixels.shape}", code="bad_array")
        return Image(pixels, self.alpha)

    def map(self, change: Callable[[Pixels], NDArray[Any]]) -> Image:
        """Return a picture whose pixels and alpha went through the same geometric change.

        ``change`` gets a uint8 array (H x W x 3, then H x W if there is alpha) and returns the same kind.
        """
        return Image(change(self.pixels), None if self.alpha is None else change(self.alpha))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Image, (np.asarray(self.pixels), self.alpha, self.notes)

    def __repr__(self) -> str:
        return f"Image({self.size[0]}x{self.size[1]}{', alpha' if self.alpha is not None else ''})"

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.pil().save(buffer, "PNG")
        return buffer.getvalue()


class Mask:
    """Where to edit: read-only uint8 H x W, 0 = leave, 255 = edit, soft values between.

    ``~a`` inverts, ``a | b`` joins, ``a & b`` intersects, ``a - b`` subtracts; all saturate, none wraps.

    Args:
        pixels: H x W uint8 (or bool) array.
        confidence: 0..1, how sure the finder is that this is what was asked for; None when a user drew it.
        notes: sentences about how it was found; they end up in the trace.
    """

    __slots__ = ("__dict__", "confidence", "notes", "pixels")

    def __init__(self, pixels: NDArray[Any], confidence: float | None = None, notes: tuple[str, ...] = ()) -> None:
        if pixels.dtype == np.bool_:
            pixels = pixels.astype(np.uint8) * 255
        if pixels.dtype != np.uint8 or pixels.ndim != 2 or 0 in pixels.shape:
            raise ImageError(
                f"a mask needs a uint8 or bool array of height x width, not {pixels.dtype} {pixels.shape}",
                hint="use lego.Mask.open(array or path)",
                code="bad_array",
            )
        self.pixels = _freeze(pixels)
        self.confidence = confidence
        self.notes = notes

    @classmethod
    def open(cls, source: Source | Mask, max_pixels: int = MAX_PIXELS) -> Mask:
        """Read a mask from a path, bytes, Pillow picture or array: white = edit, black = leave.

        A picture with transparency gives its alpha when its colours say nothing (all one colour).
        """
        if isinstance(source, Mask):
            return source
        if isinstance(source, np.ndarray) and source.dtype == np.bool_:
            return cls(source)
        image = Image.open(source, max_pixels)
        flat = bool((image.pixels == image.pixels[0, 0]).all())
        if image.alpha is not None and flat:
            return cls(image.alpha)
        return cls(np.asarray(image.pil().convert("RGB").convert("L")))

    @classmethod
    def from_box(cls, size: tuple[int, int], box: tuple[float, float, float, float]) -> Mask:
        """Return a filled rectangle. ``size`` is width, height; ``box`` is x0, y0, x1, y1 in pixels, clipped."""
        pixels = np.zeros((size[1], size[0]), np.uint8)
        x0, y0, x1, y1 = (round(v) for v in box)
        pixels[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = 255
        return cls(pixels)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the pixels take."""
        return self.pixels.nbytes

    @cached_property
    def digest(self) -> str:
        """Content hash over kind, shape, pixels and confidence."""
        return _digest(f"mask {self.confidence!r}", self.pixels, None)

    @cached_property
    def box(self) -> Box | None:
        """The smallest x0, y0, x1, y1 (end exclusive) around everything not 0; None if the mask is empty."""
        rows, columns = np.flatnonzero(self.pixels.any(1)), np.flatnonzero(self.pixels.any(0))
        if rows.size == 0:
            return None
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    @cached_property
    def share(self) -> float:
        """How much of the picture is masked, 0..1, soft pixels counted by their weight."""
        return float(self.pixels.mean(dtype=np.float64)) / 255

    def pil(self) -> Pillow.Image:
        """Return a Pillow picture of mode L."""
        return Pillow.fromarray(self.pixels)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the mask as a grey picture."""
        return Image(np.dstack([self.pixels] * 3)).save(path)

    def __invert__(self) -> Mask:
        return Mask(255 - self.pixels, self.confidence, self.notes)

    def __or__(self, other: Mask) -> Mask:
        return self._with(other, np.maximum(self.pixels, self._fit(other)))

    def __and__(self, other: Mask) -> Mask:
        return self._with(other, np.minimum(self.pixels, self._fit(other)))

    def __sub__(self, other: Mask) -> Mask:
        return self._with(other, np.minimum(self.pixels, 255 - self._fit(other)))

    def _with(self, other: Mask, pixels: Pixels) -> Mask:
        known = [c for c in (self.confidence, other.confidence) if c is not None]
        return Mask(pixels, min(known) if known else None, self.notes + other.notes)

    def _fit(self, other: Mask) -> Pixels:
        if other.size != self.size:
            raise ImageError(f"masks differ in size: {self.size} and {other.size}", code="size_mismatch")
        return other.pixels

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Mask, (np.asarray(self.pixels), self.confidence, self.notes)

    def __repr__(self) -> str:
        sure = "" if self.confidence is None else f", confidence {self.confidence:.2f}"
        return f"Mask({self.size[0]}x{self.size[1]}, {self.share:.1%}{sure})"

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.pil().save(buffer, "PNG")
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
        hint = "does the folder exist, and may you write there?"
        raise ImageError(f"cannot write: {error.strerror or error}", where=str(path), hint=hint, code="cannot_write") from None
    return path


def _digest(kind: str, pixels: Pixels, alpha: Pixels | None) -> str:
    digest = hashlib.blake2b(f"{kind} {pixels.shape} {alpha is not None}".encode(), digest_size=16)
    digest.update(pixels)
    if alpha is not None:
        digest.update(alpha)
    return digest.hexdigest()


def _stream(source: str | os.PathLike[str] | bytes | Any) -> tuple[str, Any]:
    if isinstance(source, bytes):
        return "bytes", io.BytesIO(source)
    if not isinstance(source, str | os.PathLike):
        raise ImageError(f"cannot read a picture from {type(source).__name__}", hint="give a path, bytes, a Pillow picture or an array")
    try:
        return str(source), open(source, "rb")  # noqa: SIM115 - closed by the caller
    except OSError as error:
        hint = "check the path" if isinstance(error, FileNotFoundError) else "check the file's permissions"
        raise ImageError(f"cannot open: {error.strerror}", where=str(source), hint=hint, code="cannot_open") from None


@contextlib.contextmanager
def _decoding(name: str) -> Any:
    """Turn every way in which a decoder can fail into one ImageError."""
    try:
        yield
    except UnidentifiedImageError:
        hint = "use a JPEG, PNG, WebP, TIFF or BMP picture"
        raise ImageError("this is not a picture that can be read", where=name, hint=hint, code="not_an_image") from None
    except Pillow.DecompressionBombError as error:
        raise ImageError(f"too many pixels: {error}", where=name, hint="make it smaller first", code="too_large") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, IndexError) as error:
        hint = "the file may be truncated; get it again"
        raise ImageError(f"the picture is damaged: {error}", where=name, hint=hint, code="damaged") from None


def _from_pillow(picture: Pillow.Image, name: str, max_pixels: int) -> Image:
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} is {width * height / 1e6:.0f} megapixels, more than the limit of {max_pixels / 1e6:.0f}",
            where=name,
            hint="make it smaller first, or raise max_pixels in the settings",
            code="too_large",
        )
    notes: list[str] = []
    with _decoding(name):
        picture.load()
        if picture.getexif().get(0x0112, 1) != 1:
            notes.append("turned upright by its EXIF orientation")
        picture = ImageOps.exif_transpose(picture)
        picture = _to_srgb(picture, notes)
        if picture.mode.startswith(("I", "F")):
            notes.append(f"converted from {picture.mode} to 8 bits")
            pixels, alpha, _ = _from_array(np.asarray(picture))
            return Image(pixels, alpha, tuple(notes))
        if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
            pixels = np.asarray(picture.convert("RGBA"))
            opaque = bool((pixels[..., 3] == 255).all())
            return Image(pixels[..., :3], None if opaque else pixels[..., 3], tuple(notes))
        return Image(np.asarray(picture.convert("RGB")), None, tuple(notes))


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
        raise ImageError(f"cannot read an array of shape {array.shape} as a picture", hint="H x W, or H x W x 1, 3 or 4", code="bad_array")
    if array.dtype != np.uint8:
        notes = (f"converted from {array.dtype} to 8 bits",)
        array = _to_uint8(array)
    if array.ndim == 2 or array.shape[2] == 1:
        return np.dstack([array.reshape(array.shape[:2])] * 3), None, notes
    alpha = array[..., 3] if array.shape[2] == 4 else None
    return array[..., :3], alpha, notes


def _to_uint8(array: NDArray[Any]) -> Pixels:
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise ImageError("the array holds NaN or infinity", hint="clean it first: numpy.nan_to_num", code="bad_array")
        top = max(1.0, float(array.max()))  # 0..1 as it is; brighter (HDR, mode F) scaled down to its maximum
        return (np.clip(array / top, 0, 1) * 255 + 0.5).astype(np.uint8)
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) * 255 // 65535).astype(np.uint8)
    if np.issubdtype(array.dtype, np.integer):
        top = 255 if int(array.max()) <= 255 else 65535
        return (np.clip(array, 0, top).astype(np.float64) * (255 / top) + 0.5).astype(np.uint8)
    raise ImageError(f"cannot read {array.dtype} as pixels", hint="uint8, uint16 or float 0..1", code="bad_array")


def _chunks(text: dict[str, str]) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        info.add_itxt(key, value)  # uncompressed: Pillow refuses compressed chunks above 1 MiB
    return info
