"""Pictures of 16 bits a channel: read beside the 8 bits that tools work on, and written if nothing drew on them."""

from __future__ import annotations

import struct
import zlib
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

Deep: TypeAlias = NDArray[np.uint16]
BITS_PER_SAMPLE = 258  # TIFF's tag
SCALE = 257  # from 8 to 16 bits: 255 becomes 65535
TURNS: dict[int, Any] = {
    # EXIF orientation to what makes the picture upright
    2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2), 8: np.rot90,
}  # fmt: skip


def is_deep(picture: Pillow.Image, head: bytes) -> bool:
    """Whether the file holds 16 bits a channel; ``head`` are its first 32 bytes."""
    if picture.format == "PNG":
        return head[24:25] == b"\x10"
    tags = getattr(picture, "tag_v2", {}) if picture.format == "TIFF" else {}
    return tags.get(BITS_PER_SAMPLE, ()) in ((16,), (16, 16, 16))  # OpenCV reads no TIFF with alpha without complaint


def read(data: bytes, orientation: int) -> Deep | None:
    """Return H x W x 3, RGB, upright; None if OpenCV cannot read it as 16 bits."""
    try:
        array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if array is None or array.dtype != np.uint16:
        return None
    color = np.dstack([array] * 3) if array.ndim == 2 else array[..., 2::-1]
    return np.ascontiguousarray(TURNS.get(orientation, lambda a: a)(color), np.uint16)


def can_hold(suffix: str, alpha: NDArray[np.uint8] | None) -> bool:
    """Whether a format takes 16 bits from here: PNG, and TIFF without alpha (which then goes without EXIF)."""
    return suffix == ".png" or (suffix in (".tif", ".tiff") and alpha is None)


def encode(deep: Deep, alpha: NDArray[np.uint8] | None, suffix: str, text: dict[str, str], exif: bytes) -> bytes:
    """Return the bytes of a PNG or TIFF file; alpha has 8 bits and is scaled up."""
    color = deep[..., ::-1]
    array = color if alpha is None else np.dstack([color, alpha.astype(np.uint16) * SCALE])
    made = cv2.imencode(".png" if suffix == ".png" else ".tiff", np.ascontiguousarray(array))[1].tobytes()
    if suffix != ".png":
        return made
    extra = b"".join(_chunk(b"iTXt", _text(key, value)) for key, value in text.items())
    extra += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) if exif else b""
    end = 8 + 25  # after signature and header
    return made[:end] + extra + made[end:]


def _text(key: str, value: str) -> bytes:
    """An uncompressed international text chunk, as Pillow writes it."""
    return key.encode("latin-1") + b"\0\0\0\0\0" + value.encode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
