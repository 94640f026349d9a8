"""Pictures on a cluster: facts that travel, pixels that stay where they are until somebody looks at them.

Pixels are packed as numpy arrays, which pickle's protocol 5 hands over out of band: they arrive read-only, in the
memory that all processes of a node share, and nobody copies or hashes them again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lego.core.held import Held
from lego.core.values import Image, Mask

Packed: TypeAlias = tuple[Any, ...]
Plane: TypeAlias = tuple[str, tuple[int, ...], str]
PLANES = ("pixels", "alpha", "deep")
HOME = "home"  # where a value's handle stands in it


@dataclass(frozen=True)
class Facts:
    """What is known of an output without its pixels.

    Attributes:
        kind: "image", "mask" or "plain", whose value stands in ``value``.
        planes: name, shape and type of each of its arrays.
        digest: "" if nobody has asked for it yet.
    """

    kind: str
    value: Any = None
    planes: tuple[Plane, ...] = ()
    digest: str = ""
    notes: tuple[str, ...] = ()
    exif: bytes = b""
    confidence: float | None = None

    @classmethod
    def of(cls, value: Any) -> Facts:
        """Return the facts of a value."""
        if not isinstance(value, Image | Mask):
            return cls("plain", value)
        arrays = {name: getattr(value, name, None) for name in PLANES}
        planes = tuple((name, array.shape, array.dtype.str) for name, array in arrays.items() if array is not None)
        digest = value.__dict__.get("digest", "")
        if isinstance(value, Mask):
            return cls("mask", None, planes, digest, value.notes, confidence=value.confidence)
        return cls("image", None, planes, digest, value.notes, value.exif)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return sum(math.prod(shape) * np.dtype(kind).itemsize for _, shape, kind in self.planes)


def pack(value: Image | Mask) -> Packed:
    """Return a value as plain arrays with its facts."""
    facts = Facts.of(value)
    return facts, *(getattr(value, name) for name, _, _ in facts.planes)


def unpack(packed: Packed) -> Image | Mask:
    """Return the value again, over the very arrays, which are read-only; its digest is not computed anew."""
    facts: Facts = packed[0]
    held = {name: Held(_locked(array)) for (name, _, _), array in zip(facts.planes, packed[1:], strict=True)}
    return _value(facts, held, Image, Mask)


def _value(facts: Facts, held: Mapping[str, Held], image: type[Image], mask: type[Mask]) -> Image | Mask:
    made: Image | Mask
    if facts.kind == "image":
        made = image(held["pixels"], held.get("alpha"), facts.notes, facts.exif, held.get("deep"))
    else:
        made = mask(held["pixels"], facts.confidence, facts.notes)
    if facts.digest:
        made.__dict__["digest"] = facts.digest
    return made


def _locked(array: NDArray[Any]) -> NDArray[Any]:
    """Small pictures travel inside messages and arrive writable."""
    array.flags.writeable = False
    return array


class Handle:
    """Where the pixels of a value lie.

    Attributes:
        ref: Ray's reference to the packed value.
        nodes: where copies lie, by what is known.
        again: makes the value once more and returns it, for when every copy is lost.
        lock: held while a copy is brought or made again.
    """

    def __init__(self, facts: Facts, ref: Any, node: str, key: str, bring: Callable[[Handle], Image | Mask]) -> None:
        self.facts, self.ref, self.nodes, self.key = facts, ref, {node}, key
        self.again: Callable[[], Any] | None = None
        self.hash: Callable[[Handle], str] = lambda handle: ""
        self.lock = threading.RLock()
        self._bring = bring
        self._value: Image | Mask | None = None

    @property
    def here(self) -> bool:
        """Have the pixels been brought?"""
        return self._value is not None

    @property
    def value(self) -> Any:
        """The value here; brought when first asked for."""
        with self.lock:
            if self._value is None:
                self._value = self._bring(self)
            return self._value

    def digest(self) -> str:
        """The value's digest, computed where its pixels are."""
        with self.lock:
            if not self.facts.digest:
                found = "" if self.here else self.hash(self)
                self.facts = replace(self.facts, digest=found or self.value.digest)
            return self.facts.digest


class FarImage(Image):
    """An image whose pixels lie elsewhere until they are looked at."""

    @cached_property
    def digest(self) -> str:
        """As of any image."""
        handle: Handle = self.__dict__[HOME]
        return handle.digest()


class FarMask(Mask):
    """A mask whose pixels lie elsewhere until they are looked at."""

    @cached_property
    def digest(self) -> str:
        """As of any mask."""
        handle: Handle = self.__dict__[HOME]
        return handle.digest()


class _Plane:
    """One array of a value that is elsewhere."""

    def __init__(self, handle: Handle, plane: Plane) -> None:
        self.handle = handle
        self.name, self.shape, kind = plane
        self.dtype = np.dtype(kind)

    def read(self) -> NDArray[Any]:
        """Bring it."""
        array: NDArray[Any] = getattr(self.handle.value, self.name)
        return array


def far(handle: Handle) -> FarImage | FarMask:
    """Return the value behind a handle, without its pixels."""
    held = {plane[0]: Held(_Plane(handle, plane)) for plane in handle.facts.planes}
    made = _value(handle.facts, held, FarImage, FarMask)
    made.__dict__[HOME] = handle
    assert isinstance(made, FarImage | FarMask)
    return made


def handle_of(value: Any) -> Handle:
    """The handle of a value that is elsewhere."""
    handle: Handle = value.__dict__[HOME]
    return handle
