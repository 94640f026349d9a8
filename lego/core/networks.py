"""Networks as tools declare them, and where one runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from lego.core.memory import CPU

MARGIN = 1.1  # of the weights' bytes: buffers and fragments
LAYERS = 3 << 29  # bytes of what is streamed that are on an accelerator at once: an embedding, and two layers
Load: TypeAlias = Callable[[Path, str, str], Any]


@dataclass(frozen=True)
class Network:
    """A network as a tool declares it: ``net: Annotated[Any, LAMA]``.

    Attributes:
        name: of its weights; see `lego models list`.
        load: builds it from the folder of its weights, on a device, in a precision.
        bytes: of its weights, by precision, the best for an accelerator first; "float32" must be among them.
        working: bytes that a call takes beside them.
        shared: may several threads use it at once? Pipelines keep state and may not.
        streams: has what ``load`` gives a method ``stream(device)``: weights stay in the memory of the machine, and go
            through an accelerator layer by layer? So it is run where it does not fit whole.
        modules: importable ones that ``load`` needs, if its tools do not need them anyway.
        folder: of its weights, where they are not among the others under its name.
        variant: what ``load`` makes of the weights, if it is something of its own: it tells networks from the same
            weights apart.
    """

    name: str
    load: Load = field(compare=False)
    bytes: Mapping[str, int] = field(compare=False)
    working: int = field(default=0, compare=False)
    shared: bool = False
    streams: bool = False
    modules: tuple[str, ...] = ()
    folder: Path | None = None
    variant: str = ""

    def room(self, precision: str) -> int:
        """Return the bytes that its weights take, buffers and fragments included."""
        return round(MARGIN * self.bytes[precision])


@dataclass(frozen=True)
class Place:
    """Where a network runs, in which precision, and why; ``weights`` tells its files from others of the name."""

    device: str
    precision: str
    reason: str
    weights: str = ""
    streamed: bool = False

    @property
    def home(self) -> str:
        """Where its weights are."""
        return CPU if self.streamed else self.device

    def working(self, network: Network) -> int:
        """Return the bytes that a call takes on the device beside the weights that stay there."""
        return network.working + (LAYERS if self.streamed else 0)
