"""What runs hold in memory, under a budget of bytes: the oldest pictures beyond it wait in a file."""

from __future__ import annotations

import errno
import functools
import mmap
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lego.core.held import Held, bytes_of, owner_of
from lego.core.values import Image, Mask

MEMORY_BYTES = 2 << 30  # 59 pictures of 12 megapixels
LEAST = 4096  # bytes; what takes less than a page is not worth a place in a file
RESERVE = 1 << 30  # bytes of the disk that are left to others


@dataclass
class _Block:
    """A block of memory, and the arrays of pictures that lie in it."""

    bytes: int
    held: dict[int, weakref.ref[Held]] = field(default_factory=dict)


class Spill:
    """Keeps the pictures that steps made in memory up to a budget, and the oldest of the others in a file.

    A picture in the file is mapped into memory while somebody looks at its pixels. The file has no name, so nothing is
    left behind however the program ends; the space of pictures that nobody holds any more is used again.

    Args:
        memory_bytes: budget for pixels in memory; what a running step works on comes on top.
        folder: where the file is; by default where temporary files are.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES, folder: Path | None = None) -> None:
        self.memory_bytes, self.folder = memory_bytes, folder
        self._blocks: dict[int, _Block] = {}  # by the id of the block, the oldest first
        self._used = 0
        self._guard = threading.RLock()  # a picture may die, and be struck off, at any time
        self._file: _File | None = None
        self._fault = ""

    @property
    def used(self) -> int:
        """Bytes of pixels in memory that are counted, shared blocks once."""
        return self._used

    @property
    def laid_down(self) -> int:
        """Bytes of the file."""
        return self._file.end if self._file else 0

    def hold(self, outputs: Mapping[str, Any]) -> None:
        """Count what a step made for as long as anybody holds it, and keep to the budget."""
        for value in outputs.values():
            for held in value.held if isinstance(value, Image | Mask) else ():
                if held.nbytes >= LEAST:
                    self._add(held)

    def complaint(self) -> str:
        """Say once why the budget could not be kept to; "" if it could."""
        fault, self._fault = self._fault, ""
        return fault

    def _add(self, held: Held) -> None:
        array = held.present
        if array is None:
            held.watch = self._add  # it takes no memory before somebody looks
            return
        owner = owner_of(array)
        if not bytes_of(owner):
            return  # another file's
        with self._guard:
            block = self._blocks.setdefault(id(owner), _Block(bytes_of(owner)))
            if id(held) in block.held:
                return
            self._used += 0 if block.held else block.bytes
            block.held[id(held)] = weakref.ref(held, functools.partial(self._strike_off, id(owner), id(held)))
            while self._used > self.memory_bytes and self._blocks and not self._fault:
                self._lay_down()

    def _strike_off(self, name: int, held: int, _: object) -> None:
        with self._guard:
            block = self._blocks.get(name)
            if block and block.held.pop(held, None) and not block.held:
                del self._blocks[name]
                self._used -= block.bytes

    def _lay_down(self) -> None:
        """Put the oldest block into the file."""
        block = self._blocks.pop(next(iter(self._blocks)))
        self._used -= block.bytes
        laid: dict[int, _Laid] = {}
        for reference in block.held.values():
            held = reference()
            array = None if held is None else held.present
            if held is None or array is None:
                continue
            try:
                self._file = self._file or _File(self.folder)
                laid[id(array)] = laid.get(id(array)) or self._file.write(array)
            except OSError as error:
                self._fault = f"pictures beyond the budget of memory stay in it: {error.strerror or error}"
                return
            held.leave(laid[id(array)])


class _File:
    """A file without a name in which arrays lie one after another."""

    def __init__(self, folder: Path | None) -> None:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder or Path(tempfile.gettempdir())
        self.file = tempfile.TemporaryFile(buffering=0, prefix="lego-", dir=self.folder)  # noqa: SIM115  lives on
        weakref.finalize(self, self.file.close)
        self.end = 0
        self._free: dict[int, list[int]] = {}  # by size: where nobody's arrays lie

    def write(self, array: NDArray[Any]) -> _Laid:
        """Write an array and return what gives it back."""
        size = -(-array.nbytes // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        if not self._free.get(size):
            self._grow(size)
        place = self._free[size].pop()
        space = _Space()
        weakref.finalize(space, self._free[size].append, place).atexit = False
        self.file.seek(place)
        rest = array.reshape(-1).view(np.uint8).data
        while rest:
            rest = rest[self.file.write(rest) :]
        return _Laid(self, place, space, array)

    def _grow(self, size: int) -> None:
        if shutil.disk_usage(self.folder).free < size + RESERVE:
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({self.folder})")
        self._free.setdefault(size, []).append(self.end)
        self.end += size


class _Space:
    """A place in the file, taken while an array in it can be asked for or is looked at."""


class _Mapping(mmap.mmap):
    space: _Space


class _Laid:
    """An array in the file."""

    def __init__(self, file: _File, place: int, space: _Space, array: NDArray[Any]) -> None:
        self.shape, self.dtype, self.nbytes = array.shape, array.dtype, array.nbytes
        self.file, self.place, self.space = file, place, space
        self._seen: weakref.ref[NDArray[Any]] | None = None

    def read(self) -> NDArray[Any]:
        """Map the array into memory, for as long as somebody looks at it."""
        seen = self._seen() if self._seen else None
        if seen is not None:
            return seen
        mapped = _Mapping(self.file.file.fileno(), self.nbytes, offset=self.place, access=mmap.ACCESS_READ)
        mapped.space = self.space
        array: NDArray[Any] = np.frombuffer(mapped, self.dtype).reshape(self.shape)
        self._seen = weakref.ref(array)
        return array
