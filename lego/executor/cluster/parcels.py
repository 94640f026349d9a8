"""Pictures on a cluster: facts that travel, pixels that stay where they are until somebody looks at them.

Pixels are packed as numpy arrays, which pickle's protocol 5 hands over out of band: they arrive read-only, in the
memory that all processes of a node share, and nobody copies or hashes them again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

from numpy.typing import NDArray

from lego.core.held import Held
from lego.core.values import Image, Mask

Packed: TypeAlias = tuple[Any, ...]
HELD = ("_pixels", "_alpha", "_deep")  # where a value keeps its arrays


@dataclass(frozen=True)
class Facts:
    """What is known of an output without its pixels.

    Attributes:
        kind: "image", "mask" or "plain", whose value stands in ``value``.
        size: width and height.
        nbytes: of the pixels.
    """

    kind: str
    value: Any = None
    digest: str = ""
    size: tuple[int, int] = (0, 0)
    nbytes: int = 0
    notes: tuple[str, ...] = ()
    exif: bytes = b""
    confidence: float | None = None

    @classmethod
    def of(cls, value: Any) -> Facts:
        """Return the facts of a value."""
        if isinstance(value, Image):
            return cls("image", None, value.digest, value.size, value.nbytes, value.notes, value.exif)
        if isinstance(value, Mask):
            facts = ("mask", None, value.digest, value.size, value.nbytes, value.notes)
            return cls(*facts, confidence=value.confidence)
        return cls("plain", value)


def pack(value: Image | Mask) -> Packed:
    """Return a value as plain arrays with its facts."""
    facts = Facts.of(value)
    if isinstance(value, Image):
        return facts, value.pixels, value.alpha, value.deep
    return facts, value.pixels


def unpack(packed: Packed) -> Image | Mask:
    """Return the value again, over the very arrays, which are read-only; its digest is not computed anew."""
    facts: Facts = packed[0]
    value: Any
    if facts.kind == "image":
        value = Image.__new__(Image)
        value.exif = facts.exif
    else:
        value = Mask.__new__(Mask)
        value.confidence = facts.confidence
    for name, array in zip(HELD, packed[1:], strict=False):  # a mask has no alpha
        setattr(value, name, None if array is None else Held(_locked(array)))
    value.notes = facts.notes
    value.__dict__["digest"] = facts.digest
    return value  # type: ignore[no-any-return]


def _locked(array: NDArray[Any]) -> NDArray[Any]:
    """Small pictures travel inside messages and arrive writable."""
    if array.flags.writeable:
        array.flags.writeable = False
    return array


class Handle:
    """Where the pixels of a value lie.

    Attributes:
        ref: Ray's reference to the packed value.
        nodes: where copies lie, by what is known.
        again: makes the value once more and returns it, for when every copy is lost.
    """

    def __init__(self, facts: Facts, ref: Any, node: str, key: str, bring: Callable[[Handle], Image | Mask]) -> None:
        self.facts, self.ref, self.nodes, self.key = facts, ref, {node}, key
        self.again: Callable[[], Any] | None = None
        self.lock = threading.RLock()
        self._bring = bring
        self._value: Image | Mask | None = None

    @property
    def value(self) -> Any:
        """The value here; brought when first asked for."""
        with self.lock:
            if self._value is None:
                self._value = self._bring(self)
            return self._value


class _Far:
    """A value whose pixels lie elsewhere until they are looked at; what is known of them is known here."""

    handle: Handle

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.handle.facts.size

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the pixels take, wherever they are."""
        return self.handle.facts.nbytes

    @property
    def held(self) -> tuple[Held, ...]:
        """None are held here: the memory is the cluster's."""
        return ()


class FarImage(_Far, Image):
    """An image of a cluster."""

    def __init__(self, handle: Handle) -> None:
        facts = handle.facts
        self.handle, self.notes, self.exif = handle, facts.notes, facts.exif
        self.__dict__["digest"] = facts.digest

    _pixels, _alpha, _deep = (property(attrgetter(f"handle.value.{name}")) for name in HELD)


class FarMask(_Far, Mask):
    """A mask of a cluster."""

    def __init__(self, handle: Handle) -> None:
        facts = handle.facts
        self.handle, self.notes, self.confidence = handle, facts.notes, facts.confidence
        self.__dict__["digest"] = facts.digest

    _pixels = property(attrgetter("handle.value._pixels"))


def handles_of(outputs: Mapping[str, Any]) -> dict[str, Handle]:
    """The handles among outputs, by name."""
    return {name: value.handle for name, value in outputs.items() if isinstance(value, FarImage | FarMask)}
