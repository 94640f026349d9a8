"""The model pool: networks are declared by tools, loaded when first used, held while in use, and let go under a budget.

A request for networks waits its turn, takes room for all of them at once, and only then loads what is missing; nobody
who holds one ever waits for another, so requests cannot block each other. What is idle longest goes first, from an
accelerator to the memory of the machine if there is room, else away. Networks are built and moved one at a time in the
whole process: transformers and accelerate patch `torch.nn.Module` while they build, and a move beside it would strand
weights on the device "meta".
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from lego.core.errors import StepError
from lego.core.memory import CPU, own_pages, release_memory
from lego.core.networks import Network, Place

BUILDING = threading.RLock()  # held while a network is built, moved or patched; see the module
POLL = 0.1  # seconds between looks at who waits
PATIENCE = 8  # requests whose networks are there may overtake one that waits for room so often
Budgets: TypeAlias = Callable[[], Mapping[str, int]]
Key: TypeAlias = "tuple[Network, str, str, bool]"


@dataclass
class Resident:
    """A network in the pool.

    Attributes:
        device: where its weights are; another than ``place.home`` while it is set aside.
        size: bytes of its weights there.
        users: requests that hold it.
        used: when it was last asked for; larger is later.
    """

    network: Network
    place: Place
    device: str
    size: int
    users: int = 0
    used: int = 0
    net: Any = None
    broken: BaseException | None = None
    ready: threading.Event = field(default_factory=threading.Event)


@dataclass
class Counts:
    """What the pool has done."""

    requests: int = 0
    loads: int = 0
    evictions: int = 0
    offloads: int = 0


class Pool:
    """Holds networks under a budget of bytes for each device.

    Args:
        find: gives the folder of a network's weights by name, or None.
        budgets: bytes by device, or what finds them when first asked; "cpu" is the memory of the machine. Devices
            without one are not used.
    """

    def __init__(self, find: Callable[[str], Path | None], budgets: Mapping[str, int] | Budgets) -> None:
        self.find, self._budgets = find, budgets
        self.counts = Counts()
        self._residents: dict[Key, Resident] = {}
        self._leaving: list[Resident] = []  # no longer offered, but their bytes are not free yet
        self._working: Counter[str] = Counter()
        self._queue: deque[_Turn] = deque()
        self._changed = threading.Condition()
        self._ticks = itertools.count()
        self._held = threading.local()
        self._released: weakref.WeakSet[Any] = weakref.WeakSet()  # let go here; alive means that somebody kept it

    @functools.cached_property
    def budgets(self) -> Mapping[str, int]:
        """Bytes by device."""
        return self._budgets() if callable(self._budgets) else self._budgets

    def folder(self, network: Network) -> Path | None:
        """Return the folder of a network's weights, or None if they are not here."""
        if network.folder:
            return network.folder if network.folder.is_dir() else None
        return self.find(network.name)

    def place(self, network: Network, device: str | None = None) -> Place:
        """Choose where a network runs: whole on an accelerator, streamed through one, or on the processor.

        Args:
            device: ask for this one.

        Raises:
            StepError: no budget is large enough (code ``out_of_memory``).
        """
        told: list[str] = []
        for place in self._ways(network, device):
            needs = _Turn([(network, place)]).needs()
            sizes = [_megabytes(size) for size in needs.values()]
            if all(size <= self.budgets.get(name, 0) for name, size in needs.items()):
                kept = f"{sizes[0]} of weights stay in memory, " if place.streamed else ""
                why = f"{kept}{sizes[-1]} of {_megabytes(self.budgets[place.device])} in {place.precision}"
                return replace(place, reason="; ".join([f"{place.device}: {why}", *told]))
            how = "with weights in memory" if place.streamed else f"in {place.precision}"
            told.append(f"{place.device} {how} would need {' and '.join(sizes)}")
        hint = "raise the budget (`lego doctor` shows it), or use the embedded engine"
        raise StepError(f"'{network.name}' is too large: {'; '.join(told)}", hint=hint, code="out_of_memory")

    def _ways(self, network: Network, device: str | None) -> Iterator[Place]:
        """Where it might run, the quickest first."""
        names = [device] if device else list(self.budgets)
        weights, fast = self._weights(network), [name for name in names if name != CPU]
        for name in fast:
            yield from (Place(name, precision, "", weights) for precision in network.bytes)
        if network.streams:
            yield from (Place(name, next(iter(network.bytes)), "", weights, streamed=True) for name in fast)
        if CPU in names:
            yield Place(CPU, "float32", "", weights)

    @contextlib.contextmanager
    def use(
        self, *networks: Network, device: str | None = None, stop: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Any, ...]]:
        """Hand out networks, loaded and on their device, for the length of a ``with`` block.

        Args:
            networks: all that are needed at once.
            device: where they are to run; None chooses for each.
            stop: called while waiting; may raise.

        Raises:
            StepError: they do not fit (code ``out_of_memory``), or their weights are not there (``no_weights``).
            RuntimeError: this thread holds networks already. Ask for all of them at once.
        """
        if getattr(self._held, "now", False):
            raise RuntimeError("networks are asked for by a thread that holds some: ask for all of them at once")
        turn = _Turn([(network, self.place(network, device)) for network in networks])
        self._check_together(turn)
        self._held.now = True
        try:
            with self._taken(turn, stop) as residents:
                for resident in residents:
                    self._ready(resident, stop)
                yield tuple(resident.net for resident in residents)
        finally:
            self._held.now = False

    def unload(self, name: str | None = None) -> list[str]:
        """Let idle networks go, all or those of one name; return the names of those that went."""
        with self._changed:
            gone = [r for r in self._residents.values() if not r.users and name in (None, r.network.name)]
            self._leave(gone)
        self._evict(gone)
        return [resident.network.name for resident in gone]

    def rows(self) -> list[tuple[str, str, str, int, int]]:
        """Return name, device, precision, bytes and users of every network that is held, the latest used first."""
        with self._changed:
            held = sorted(self._residents.values(), key=lambda r: -r.used)
        return [(r.network.name, r.device, r.place.precision, r.size, r.users) for r in held]

    def kept(self) -> list[Any]:
        """Return networks that the pool let go and that somebody still holds: their bytes are in no budget."""
        return list(self._released)

    def _weights(self, network: Network) -> str:
        """What tells the files of a network from others that lay there before."""
        folder = self.folder(network)
        return f"{network.name} {folder.stat().st_mtime_ns}" if folder else network.name

    def _check_together(self, turn: _Turn) -> None:
        for device, needed in turn.needs().items():
            if needed > self.budgets[device]:
                names = ", ".join(network.name for network, _ in turn.wanted)
                hint = "raise the budget (`lego doctor` shows it), or use the embedded engine"
                message = f"{names} need {_megabytes(needed)} together, {device} has {_megabytes(self.budgets[device])}"
                raise StepError(message, hint=hint, code="out_of_memory")

    @contextlib.contextmanager
    def _taken(self, turn: _Turn, stop: Callable[[], None]) -> Iterator[list[Resident]]:
        """Wait for room, and hold it."""
        with self._changed:
            self.counts.requests += 1
            self._queue.append(turn)
            try:
                while not self._may_go(turn):
                    self._changed.wait(POLL)
                    stop()
                residents, going = self._hold(turn)
            finally:
                self._queue.remove(turn)
                self._changed.notify_all()
        try:
            self._evict(going)
            yield residents
        finally:
            with self._changed:
                for resident in residents:
                    resident.users -= 1
                    self._working[resident.place.device] -= resident.place.working(resident.network)
                    if resident.broken and self._residents.get(_key(resident)) is resident:
                        del self._residents[_key(resident)]
                self._changed.notify_all()

    def _may_go(self, turn: _Turn) -> bool:
        """Is there room now, and is it this one's turn? What is loaded may overtake, but not for ever."""
        ahead = list(itertools.takewhile(lambda other: other is not turn, self._queue))
        missing = [pair for pair in turn.wanted if not self._there(*pair)]
        if ahead and (missing or any(other.overtaken >= PATIENCE for other in ahead)):
            return False
        if not all(self._free(*pair) for pair in turn.wanted) or self._victims(turn) is None:
            return False
        for other in ahead:
            other.overtaken += 1
        return True

    def _there(self, network: Network, place: Place) -> bool:
        resident = self._residents.get(_key_of(network, place))
        return resident is not None and resident.device == place.home

    def _free(self, network: Network, place: Place) -> bool:
        resident = self._residents.get(_key_of(network, place))
        return resident is None or network.shared or not resident.users

    def _victims(self, turn: _Turn) -> list[Resident] | None:
        """Which idle networks have to go, the longest idle first; None if that is not enough yet."""
        mine = [_key_of(*pair) for pair in turn.wanted]
        chosen: list[Resident] = []
        for device, needed in turn.needs(self._there).items():
            free = self.budgets[device] - self._used(device)
            idle = [r for key, r in self._residents.items() if r.device == device and not r.users and key not in mine]
            for resident in sorted(idle, key=lambda r: r.used):
                if needed <= free:
                    break
                chosen.append(resident)
                free += resident.size
            if needed > free:
                return None
        return chosen

    def _used(self, device: str) -> int:
        held = [*self._residents.values(), *self._leaving]
        return sum(r.size for r in held if r.device == device) + self._working[device]

    def _hold(self, turn: _Turn) -> tuple[list[Resident], list[Resident]]:
        """Book the room; return what is held and what has to go first."""
        going = self._victims(turn)
        assert going is not None
        self._leave(going)
        residents = []
        for network, place in turn.wanted:
            resident = self._residents.get(_key_of(network, place))
            if resident is None:
                resident = Resident(network, place, place.home, network.room(place.precision))
                self._residents[_key_of(network, place)] = resident
            elif resident.device != place.home:  # set aside: it comes back
                resident.ready.clear()
                resident.device = place.home
            resident.users += 1
            resident.used = next(self._ticks)
            self._working[place.device] += place.working(network)
            residents.append(resident)
        return residents, going

    def _leave(self, going: list[Resident]) -> None:
        for resident in going:
            del self._residents[_key(resident)]
            self._leaving.append(resident)

    def _evict(self, going: list[Resident]) -> None:
        """Set networks aside, or let them go; then their bytes are free."""
        if not going:
            return
        with BUILDING:
            for resident in going:
                if not self._set_aside(resident):
                    if resident.net is not None:
                        with contextlib.suppress(TypeError):  # not everything can be referred to weakly
                            self._released.add(resident.net)
                    resident.net = None
                    self.counts.evictions += 1
            release_memory()
        with self._changed:
            self._leaving = [resident for resident in self._leaving if resident not in going]
            self._changed.notify_all()

    def _set_aside(self, resident: Resident) -> bool:
        """Move a network from an accelerator to the memory of the machine, if there is room."""
        if resident.device == CPU or not hasattr(resident.net, "to"):
            return False
        with self._changed:
            again = _key(resident) in self._residents  # somebody has asked for it since, and loads it anew
            if again or self._used(CPU) + resident.size > self.budgets.get(CPU, 0):
                return False
            aside = Resident(resident.network, resident.place, CPU, resident.size, used=resident.used, net=resident.net)
            self._residents[_key(resident)] = aside
        aside.net.to(CPU)
        aside.ready.set()
        resident.net = None
        self.counts.offloads += 1
        return True

    def _ready(self, resident: Resident, stop: Callable[[], None]) -> None:
        """Load a network, or bring it back, unless another request does."""
        while not BUILDING.acquire(timeout=POLL):
            stop()
        try:
            if not resident.ready.is_set():
                self._fill(resident)
        finally:
            BUILDING.release()
        if resident.broken:
            raise resident.broken

    def _fill(self, resident: Resident) -> None:
        network, place = resident.network, resident.place
        try:
            if resident.net is not None:
                resident.net.to(place.device)
            else:
                folder = self.folder(network)
                if folder is None:
                    hint = f"run `lego models pull {network.name}`"
                    raise StepError(f"the weights of '{network.name}' are not here", hint=hint, code="no_weights")
                with own_pages():
                    resident.net = network.load(folder, place.home, place.precision)
                    if place.streamed:
                        resident.net.stream(place.device)
                self.counts.loads += 1
        except BaseException as error:
            resident.broken = error
        resident.ready.set()


@dataclass(eq=False)
class _Turn:
    """A request that waits."""

    wanted: list[tuple[Network, Place]]
    overtaken: int = 0

    def needs(self, there: Callable[[Network, Place], bool] = lambda network, place: False) -> dict[str, int]:
        """Bytes that it needs on each device beside what is there."""
        needed: Counter[str] = Counter()
        for network, place in self.wanted:
            weights = 0 if there(network, place) else network.room(place.precision)
            needed[place.home] += weights
            needed[place.device] += place.working(network)
        return needed


def shelf(folder: Path) -> Callable[[str], Path | None]:
    """Return what finds weights by name in a folder that has one folder for each."""

    def find(name: str) -> Path | None:
        return folder / name if (folder / name).is_dir() else None

    return find


def _key_of(network: Network, place: Place) -> Key:
    return network, place.device, place.precision, place.streamed


def _key(resident: Resident) -> Key:
    return _key_of(resident.network, resident.place)


def _megabytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MB"
