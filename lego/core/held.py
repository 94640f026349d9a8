"""The arrays behind pictures: in memory, still to be looked up, or in a file until somebody looks."""

from __future__ import annotations

import math
import mmap
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", bound=np.generic)
NEGATIVE = np.arange(255, -1, -1, dtype=np.uint8)


class Later(Protocol):
    """What gives an array whenever it is asked."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self) -> NDArray[Any]:
        """Return the array, read-only."""
        ...


class Held:
    """A read-only array, or what gives it.

    Attributes:
        shape, dtype: of the array, which is not read for them.
        watch: called with this once what was still to be looked up has been, and is in memory.
    """

    __slots__ = ("__weakref__", "_array", "_later", "dtype", "shape", "watch")

    def __init__(self, source: NDArray[Any] | Later) -> None:
        self._array: NDArray[Any] | None = source if isinstance(source, np.ndarray) else None
        self._later: Later | None = None if isinstance(source, np.ndarray) else source
        self.shape, self.dtype = source.shape, source.dtype
        self.watch: Callable[[Held], None] | None = None

    @property
    def array(self) -> NDArray[Any]:
        """The array; looks it up or reads it if it is not in memory."""
        while (array := self._array) is None:
            later = self._later
            if isinstance(later, Lookup):
                self._look_up(later)
            elif later is not None:
                return later.read()
        return array

    def _look_up(self, later: Lookup) -> None:
        with later.guard:  # one thread does it, others wait
            if self._later is later:
                self._array = later.read()
                self._later = None
                if self.watch:
                    self.watch(self)

    @property
    def present(self) -> NDArray[Any] | None:
        """The array if it is in memory."""
        return self._array

    @property
    def nbytes(self) -> int:
        """Bytes that the array takes in memory, when it is there."""
        return math.prod(self.shape) * self.dtype.itemsize

    def part(self, area: tuple[slice, slice]) -> NDArray[Any]:
        """Return some rows and columns, contiguous; what is still to be looked up is so for these alone."""
        later = self._later
        if isinstance(later, Lookup):
            return looked_up(np.ascontiguousarray(later.base.array[area]), later.table)
        return np.ascontiguousarray(self.array[area])

    def leave(self, later: Later) -> None:
        """Let go of the array in memory; from now on ``later`` gives the same values."""
        self._later = later
        self._array = None

    def through(self, table: NDArray[np.uint8]) -> Held:
        """Return an array whose values are looked up in a table, once somebody looks."""
        waiting = self._later
        if isinstance(waiting, Lookup):
            return Held(Lookup(waiting.base, composed(waiting.table, table)))
        return Held(Lookup(self, table))


class Lookup:
    """Values to be looked up: H x W x 3 uint8 through 256 values, or through 256 x 3, a column a channel."""

    def __init__(self, base: Held, table: NDArray[np.uint8]) -> None:
        self.base, self.table = base, table
        self.shape, self.dtype = base.shape, base.dtype
        self.guard = threading.Lock()

    def read(self) -> NDArray[np.uint8]:
        """Return the values in an array of their own."""
        found = looked_up(self.base.array, self.table)
        found.flags.writeable = False
        return found


def composed(first: NDArray[np.uint8], then: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the one table that does what two do, one after another."""
    if then.ndim == 1:
        return then[first]
    if first.ndim == 1:
        return then[first, :]
    return np.take_along_axis(then, first.astype(np.intp), 0)


def looked_up(pixels: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Look every value up in 256 values, or in 256 x 3, one column a channel."""
    if table.ndim == 1 and np.array_equal(table, NEGATIVE):
        return np.asarray(cv2.bitwise_not(pixels), np.uint8)  # a third of the time
    return np.asarray(cv2.LUT(pixels, table if table.ndim == 1 else table[:, None, :]), np.uint8)


def frozen(array: NDArray[Kind]) -> NDArray[Kind]:
    """Return the array locked, copied only when somebody else could still write to it."""
    owner = owner_of(array)
    if isinstance(owner, np.ndarray):
        safe = not owner.flags.writeable
    else:  # what Pillow hands out, and files
        safe = isinstance(owner, bytes) or (isinstance(owner, mmap.mmap) and memoryview(owner).readonly)
    if not safe or not array.flags.c_contiguous:
        array = np.array(array, order="C")
        array.flags.writeable = False
    return array


def owner_of(array: Any) -> Any:
    """Return the block of memory behind an array, or the first on the way there that can be written to."""
    while isinstance(array, np.ndarray) and not array.flags.writeable and array.base is not None:
        array = array.base
    return array


def bytes_of(owner: Any) -> int:
    """Bytes that a block of memory takes; none if it is a file's."""
    if isinstance(owner, np.ndarray):
        return owner.nbytes
    return len(owner) if isinstance(owner, bytes | bytearray) else 0
