"""Image and Mask: the two values that travel along a workflow."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from lego.core import codec, depth
from lego.core.codec import MAX_PIXELS, Pixels, Source
from lego.core.depth import Deep
from lego.core.errors import ImageError
from lego.core.held import Held, frozen

Box: TypeAlias = tuple[int, int, int, int]


class Image:
    """A picture: read-only uint8 pixels, height x width x 3, RGB, sRGB; alpha is kept aside.

    Args:
        pixels: H x W x 3 uint8 array. It is copied unless it is already read-only.
        alpha: H x W uint8 opacity (0 = transparent) or None; put back when the picture is saved.
        notes: sentences about how it came to be (conversions); they end up in the trace.
        exif: of the file it was read from, ready to be saved again: upright, without preview and maker notes.
        deep: the same picture as H x W x 3 uint16, if its file had 16 bits and nothing but `map` was done to it.

    Raises:
        ImageError: the array has another shape or type.
    """

    __slots__ = ("__dict__", "_alpha", "_deep", "_pixels", "exif", "notes")

    def __init__(
        self,
        pixels: NDArray[Any] | Held,
        alpha: NDArray[Any] | Held | None = None,
        notes: tuple[str, ...] = (),
        exif: bytes = b"",
        deep: Deep | Held | None = None,
    ) -> None:
        shape = pixels.shape
        if pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ImageError(
                f"an image needs a uint8 array of height x width x 3, not {pixels.dtype} {shape}",
                hint="use lego.Image.open(array), which converts grey, RGBA, 16-bit and 0..1 float arrays",
                code="bad_array",
            )
        if alpha is not None and (alpha.dtype != np.uint8 or alpha.shape != shape[:2]):
            raise ImageError(f"alpha must be uint8 {shape[:2]}, not {alpha.dtype} {alpha.shape}", code="bad_array")
        self._pixels = _held(pixels)
        self._alpha = None if alpha is None else _held(alpha)
        self._deep = None if deep is None else _held(deep)
        self.notes = notes
        self.exif = exif

    @property
    def pixels(self) -> Pixels:
        """H x W x 3, uint8, read-only."""
        return self._pixels.array

    @property
    def alpha(self) -> Pixels | None:
        """H x W, uint8, read-only; None where all is opaque."""
        return None if self._alpha is None else self._alpha.array

    @property
    def deep(self) -> Deep | None:
        """H x W x 3, uint16, read-only; None where there are but 8 bits."""
        return None if self._deep is None else self._deep.array

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width, _ = self._pixels.shape
        return width, height

    @property
    def held(self) -> tuple[Held, ...]:
        """The arrays behind it."""
        if self._alpha is None and self._deep is None:
            return (self._pixels,)
        return tuple(held for held in (self._pixels, self._alpha, self._deep) if held is not None)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the pixels take."""
        return sum(held.nbytes for held in self.held)

    @cached_property
    def digest(self) -> str:
        """Content hash over kind, shape, alpha and pixels: equal pictures have equal digests."""
        return _digest("image", self.pixels, self.alpha, self.deep)

    @classmethod
    def open(cls, source: Source | Image, max_pixels: int = MAX_PIXELS) -> Image:
        """Read a picture from a path, bytes, a Pillow picture or an array.

        EXIF orientation is applied, an embedded ICC profile is converted to sRGB, alpha is set aside, float
        data become 8-bit, 16-bit files are kept in ``deep`` beside their 8 bits; every such thing leaves a sentence in
        ``notes``. Arrays may be H x W or
        H x W x 1/3/4, uint8, uint16 or float 0..1, channels in RGB order.

        Raises:
            ImageError: no such file, not a picture, truncated, or more than ``max_pixels`` pixels.
        """
        if isinstance(source, Image):
            return source
        return cls(*codec.decode(source, max_pixels))

    @classmethod
    def read_text(cls, source: Source) -> dict[str, str]:
        """Read the text chunks of a PNG (workflow and trace live there); empty for other formats."""
        return codec.read_text(source)

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

    def save(self, path: str | os.PathLike[str], text: dict[str, str] | None = None, exif: bytes | None = None) -> Path:
        """Write the picture; the format follows the suffix. The file appears whole or not at all.

        Args:
            path: where to; .png, .jpg, .webp, .tif or .bmp.
            text: text chunks for the file's metadata (PNG only, ignored by other formats).
            exif: instead of the picture's own; BMP holds none.

        Raises:
            ImageError: unknown suffix, or the folder cannot be written.
        """
        exif = self.exif if exif is None else exif
        suffix = Path(path).suffix.lower()
        if self.deep is not None and depth.can_hold(suffix, self.alpha):
            return codec.write_whole(Path(path), depth.encode(self.deep, self.alpha, suffix, text or {}, exif))
        return codec.write_whole(Path(path), codec.encode(self.pil(), Path(path), text or {}, exif))

    def replace(self, pixels: NDArray[Any]) -> Image:
        """Return a picture with other pixels of the same size, keeping this one's alpha."""
        if pixels.shape != self._pixels.shape:
            raise ImageError(
                f"replacing pixels must keep the shape {self._pixels.shape}, not {pixels.shape}", code="bad_array"
            )
        return Image(pixels, self.alpha, deep=self.deep if self._deep and pixels is self.pixels else None)

    def through(self, table: NDArray[np.uint8]) -> Image:
        """Return a picture whose values are looked up in a table, keeping this one's alpha.

        Nothing is computed until somebody looks at the pixels. Several tables, one after another, become one, so that
        a run of curves costs one pass; the bytes are those of the passes one by one.

        Args:
            table: 256 values for all channels, or 256 x 3, one column a channel; uint8.

        Raises:
            ImageError: the table has another shape or type.
        """
        if table.dtype != np.uint8 or table.shape not in ((256,), (256, 3)):
            raise ImageError(
                f"a table needs 256 or 256 x 3 values of uint8, not {table.dtype} {table.shape}", code="bad_array"
            )
        return Image(self._pixels.through(frozen(table)), self._alpha)

    def part(self, rows: slice, columns: slice) -> Pixels:
        """Return some of the pixels; if the picture still waits for a table, they alone are looked up."""
        return self._pixels.part((rows, columns))

    def map(self, change: Callable[[Any], NDArray[Any]]) -> Image:
        """Return a picture whose pixels and alpha went through the same geometric change.

        ``change`` gets a uint8 array (H x W x 3, then H x W if there is alpha, then H x W x 3 of uint16 if there are 16
        bits) and returns the same kind.
        """
        alpha = None if self.alpha is None else change(self.alpha)
        return Image(change(self.pixels), alpha, deep=None if self.deep is None else change(self.deep))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Image, (np.asarray(self.pixels), self.alpha, self.notes, self.exif, self.deep)

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

    __slots__ = ("__dict__", "_pixels", "confidence", "notes")

    def __init__(
        self, pixels: NDArray[Any] | Held, confidence: float | None = None, notes: tuple[str, ...] = ()
    ) -> None:
        if isinstance(pixels, np.ndarray) and pixels.dtype == np.bool_:
            pixels = pixels.astype(np.uint8) * 255
        if pixels.dtype != np.uint8 or len(pixels.shape) != 2 or 0 in pixels.shape:
            raise ImageError(
                f"a mask needs a uint8 or bool array of height x width, not {pixels.dtype} {pixels.shape}",
                hint="use lego.Mask.open(array or path)",
                code="bad_array",
            )
        self._pixels = _held(pixels)
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
        height, width = self._pixels.shape
        return width, height

    @property
    def pixels(self) -> Pixels:
        """H x W, uint8, read-only."""
        return self._pixels.array

    @property
    def held(self) -> tuple[Held, ...]:
        """The array behind it."""
        return (self._pixels,)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the pixels take."""
        return self._pixels.nbytes

    @cached_property
    def digest(self) -> str:
        """Content hash over kind, shape, pixels and confidence."""
        return _digest(f"mask {self.confidence!r}", self.pixels)

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
        return Mask(255 - self.pixels, self.confidence)

    def __or__(self, other: Mask) -> Mask:
        return self._with(other, np.maximum(self.pixels, self._fit(other)))

    def __and__(self, other: Mask) -> Mask:
        return self._with(other, np.minimum(self.pixels, self._fit(other)))

    def __sub__(self, other: Mask) -> Mask:
        return self._with(other, np.minimum(self.pixels, 255 - self._fit(other)))

    def _with(self, other: Mask, pixels: Pixels) -> Mask:
        known = [c for c in (self.confidence, other.confidence) if c is not None]
        return Mask(pixels, min(known) if known else None)

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


def _held(array: NDArray[Any] | Held) -> Held:
    return array if isinstance(array, Held) else Held(frozen(array))


def _digest(kind: str, pixels: Pixels, alpha: Pixels | None = None, deep: Deep | None = None) -> str:
    digest = hashlib.blake2b(f"{kind} {pixels.shape} {alpha is not None}".encode(), digest_size=16)
    for array in (pixels, alpha, deep):
        if array is not None:
            digest.update(array.data)
    return digest.hexdigest()
