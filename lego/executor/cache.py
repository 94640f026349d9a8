"""A cache of step outputs by content: in memory, and on disk if asked, each under a budget of bytes."""

from __future__ import annotations

import contextlib
import heapq
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lego.core.codec import write_whole
from lego.core.errors import ImageError, SettingsError
from lego.core.held import bytes_of, owner_of
from lego.core.values import Image, Mask

Outputs: TypeAlias = Mapping[str, Any]
MEMORY_BYTES = 1 << 30  # 29 pictures of 12 megapixels
SMALL = 256  # bytes that an entry costs beside its pixels


@dataclass(slots=True)
class _Entry:
    outputs: Outputs
    buffers: tuple[tuple[int, int], ...]
    seconds: float
    bytes: int
    score: float


class Cache:
    """Step outputs by key; what costs the least time per byte to make again goes first (GreedyDual-Size, Cao 1997).

    Args:
        memory_bytes: budget for pixels held in memory; 0 keeps nothing.
        folder: where to keep outputs on disk as well; None for memory only.
        disk_bytes: budget of that folder; the least recently used files go first.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES, folder: Path | None = None, disk_bytes: int = 0) -> None:
        self.memory_bytes = memory_bytes
        self.folder = folder if disk_bytes > 0 else None
        self.disk_bytes = disk_bytes
        self._entries: dict[str, _Entry] = {}
        self._buffers: dict[int, list[int]] = {}  # id of a block of memory: its bytes, how many entries hold it
        self._queue: list[tuple[float, str]] = []  # every entry once, by the score that it had
        self._used = 0
        self._clock = 0.0
        self._guard = threading.Lock()
        self._busy: dict[str, threading.Event | None] = {}  # keys that a thread works on, and who waits for it
        self._disk = _Disk(self.folder, disk_bytes) if self.folder else None

    @property
    def used(self) -> int:
        """Bytes held in memory, shared buffers counted once."""
        return self._used

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries or (self._disk is not None and self._disk.path(key).exists())

    def look(self, keys: list[str]) -> None:
        """Hear which keys a run is going to ask for; of use where asking takes a message."""

    def get(self, key: str) -> Outputs | None:
        """Return the outputs stored under a key, or None."""
        with self._guard:
            entry = self._entries.get(key)
            if entry:
                entry.score = self._score(entry)
                return entry.outputs
        found = self._disk.read(key) if self._disk else None
        if found:
            self._keep(key, *found)
            return found[0]
        return None

    def put(self, key: str, outputs: Outputs, seconds: float) -> None:
        """Store outputs that took ``seconds`` to make."""
        self._keep(key, outputs, seconds)
        if self._disk:
            self._disk.write(key, outputs, seconds)

    def alone(self, key: str, wait: Callable[[], None] | None = None) -> AbstractContextManager[None]:
        """Let one thread at a time work on a key, in a with block; waiting, ``wait`` is called ten times a second."""
        return _Alone(self._guard, self._busy, key, wait)

    def clear(self) -> None:
        """Forget everything in memory and on disk."""
        with self._guard:
            self._entries.clear()
            self._buffers.clear()
            self._queue.clear()
            self._used = 0
        if self._disk:
            self._disk.clear()

    def _score(self, entry: _Entry) -> float:
        return self._clock + entry.seconds / entry.bytes

    def _keep(self, key: str, outputs: Outputs, seconds: float) -> None:
        buffers = buffers_of(outputs)
        size = SMALL + sum(buffers.values())
        if size > self.memory_bytes:
            return
        with self._guard:
            if key in self._entries:
                return
            score = self._clock + seconds / size
            self._entries[key] = entry = _Entry(outputs, tuple(buffers.items()), seconds, size, score)
            self._hold(entry, 1)
            heapq.heappush(self._queue, (score, key))
            while self._used > self.memory_bytes:
                self._evict()

    def _evict(self) -> None:
        """Drop the entry with the lowest score, unless it has been asked for since it was put in the queue."""
        score, key = heapq.heappop(self._queue)
        entry = self._entries[key]
        if entry.score > score:
            heapq.heappush(self._queue, (entry.score, key))
            return
        self._clock = score
        del self._entries[key]
        self._hold(entry, -1)

    def _hold(self, entry: _Entry, count: int) -> None:
        self._used += SMALL * count
        for name, size in entry.buffers:
            held = self._buffers.setdefault(name, [size, 0])
            if held[1] == 0:
                self._used += held[0]
            held[1] += count
            if held[1] == 0:
                self._used -= held[0]
                del self._buffers[name]


class _Alone:
    """The with block of `Cache.alone`; a class, because it is entered once a step."""

    __slots__ = ("busy", "guard", "key", "wait")

    def __init__(
        self,
        guard: threading.Lock,
        busy: dict[str, threading.Event | None],
        key: str,
        wait: Callable[[], None] | None,
    ) -> None:
        self.guard, self.busy, self.key, self.wait = guard, busy, key, wait

    def __enter__(self) -> None:
        while True:
            with self.guard:
                if self.key not in self.busy:
                    self.busy[self.key] = None
                    return
                freed = self.busy[self.key] = self.busy[self.key] or threading.Event()
            freed.wait(0.1)
            if self.wait:
                self.wait()

    def __exit__(self, *error: object) -> None:
        with self.guard:
            freed = self.busy.pop(self.key)
        if freed:
            freed.set()


class _Disk:
    """The tier on disk: one uncompressed .npz file per key, never a pickle."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget
        self._guard = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "set cache_folder to a folder that you may write to"
            raise SettingsError(f"the cache folder cannot be made: {error}", where=str(folder), hint=hint) from None
        self._used = sum(file.stat().st_size for file in folder.glob("*.npz"))

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def read(self, key: str) -> tuple[Outputs, float] | None:
        path = self.path(key)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                facts = json.loads(arrays["facts"].tobytes())
                outputs = {name: _revive(fact, name, arrays) for name, fact in facts["outputs"].items()}
            os.utime(path)
            return outputs, facts["seconds"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, ImageError):
            with contextlib.suppress(OSError):
                path.unlink()  # damaged: a miss, and room for a sound one
            return None

    def write(self, key: str, outputs: Outputs, seconds: float) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        facts = {
            "seconds": seconds,
            "outputs": {name: _lay_down(name, value, arrays) for name, value in outputs.items()},
        }
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # the stubs take the names for options
        if buffer.tell() > self.budget:
            return
        with contextlib.suppress(ImageError):  # a full disk loses the entry, not the edit
            write_whole(self.path(key), buffer.getvalue())
        with self._guard:
            self._used += buffer.tell()
            if self._used > self.budget:
                self._shrink()

    def _shrink(self) -> None:
        files = sorted(
            ((f.stat().st_mtime, f.stat().st_size, f) for f in self.folder.glob("*.npz")), key=lambda item: item[0]
        )
        self._used = sum(size for _, size, _ in files)
        for _, size, file in files:
            if self._used <= self.budget:
                return
            with contextlib.suppress(OSError):
                file.unlink()
                self._used -= size

    def clear(self) -> None:
        with self._guard:
            for file in self.folder.glob("*.npz"):
                with contextlib.suppress(OSError):
                    file.unlink()
            self._used = 0


def _lay_down(name: str, value: Any, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    if isinstance(value, Image):
        arrays[name] = value.pixels
        if value.alpha is not None:
            arrays[f"{name}.alpha"] = value.alpha
        if value.deep is not None:
            arrays[f"{name}.deep"] = value.deep
        return {"kind": "image", "notes": value.notes}
    if isinstance(value, Mask):
        arrays[name] = value.pixels
        return {"kind": "mask", "confidence": value.confidence, "notes": value.notes}
    return {"kind": "plain", "value": value}


def _revive(fact: dict[str, Any], name: str, arrays: Any) -> Any:
    if fact["kind"] == "image":
        alpha = arrays.get(f"{name}.alpha")
        return Image(arrays[name], alpha, tuple(fact["notes"]), deep=arrays.get(f"{name}.deep"))
    if fact["kind"] == "mask":
        return Mask(arrays[name], fact["confidence"], tuple(fact["notes"]))
    return fact["value"]


def buffers_of(outputs: Outputs) -> dict[int, int]:
    """The blocks of memory behind outputs and their bytes; a slice keeps all of its block alive, so all of it counts.

    What is still to be looked up counts as if it were there, because it may be at any time.
    """
    found: dict[int, int] = {}
    for value in outputs.values():
        for held in value.held if isinstance(value, Image | Mask) else ():
            if (array := held.present) is None:
                found[id(held)] = held.nbytes
            else:
                owner = owner_of(array)
                found[id(owner)] = bytes_of(owner)
    return found
