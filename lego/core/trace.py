"""Trace: the list of events of one edit, which progress bars, reports, servers and logs all read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeAlias


class Digests(Mapping[str, str]):
    """Digests of what came out of a step, each made when asked for: hashing can cost more than a step.

    Args:
        values: what came out, by name; pictures and masks have a digest, all else is shown as it is.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        value = self._values[name]
        return getattr(value, "digest", None) or repr(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(slots=True)
class Event:
    """Something that happened; ``at`` is seconds since the epoch. Nobody changes one: all listeners get the same.

    That is not enforced, because it would cost every step of every run more than the event itself.
    """

    name: ClassVar[str] = "event"
    at: float = field(default_factory=time.time, kw_only=True)

    def dump(self) -> dict[str, Any]:
        """Return the event as plain data."""
        return {"event": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}


@dataclass(slots=True)
class RunStarted(Event):
    """A run begins: digests of what was given, the seed, versions of everything that matters."""

    name = "run_started"
    given: dict[str, str]
    seed: int
    versions: dict[str, str]
    steps: int


@dataclass(slots=True)
class Planned(Event):
    """A builder wrote a workflow."""

    name = "planned"
    builder: str
    thought: str
    workflow: dict[str, Any]
    seconds: float
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Noted(Event):
    """A sentence about something that was done on the user's behalf, such as a colour conversion."""

    name = "noted"
    text: str
    step: str = ""


@dataclass(slots=True)
class StepStarted(Event):
    """A step begins."""

    name = "step_started"
    step: str
    tool: str


@dataclass(slots=True)
class StepProgress(Event):
    """A step is ``share`` (0..1) done."""

    name = "step_progress"
    step: str
    share: float


@dataclass(slots=True)
class StepDone(Event):
    """A step ended well: which engine did it and why, from the cache or not, how long, and what came out, by name.

    As data it has digests instead.
    """

    name = "step_done"
    step: str
    tool: str
    engine: str
    reason: str
    cached: bool
    seconds: float
    seed: int
    values: Mapping[str, Any]
    notes: Sequence[str] = ()

    @property
    def outputs(self) -> Mapping[str, str]:
        """Digests of what came out."""
        return Digests(self.values)

    def dump(self) -> dict[str, Any]:
        """Return the event as plain data, with digests of what came out."""
        facts = Event.dump(self)
        del facts["values"]
        return {**facts, "outputs": dict(self.outputs)}


@dataclass(slots=True)
class StepFailed(Event):
    """A step failed, or was skipped because one that it needs failed."""

    name = "step_failed"
    step: str
    tool: str
    code: str
    message: str
    hint: str = ""


@dataclass(slots=True)
class Reviewed(Event):
    """A critic judged the result of a round, the first of which is 0.

    ``outcome``: "success", "refine" (``then`` is still to be done), "failed" or "missing". ``scores`` are 0..10 each,
    ``value`` 0..100 is what the best round is chosen by; None where there are none. ``picture`` is the result's digest.
    """

    name = "reviewed"
    round: int
    critic: str
    outcome: str
    reason: str
    then: str
    findings: list[str]
    scores: dict[str, float] | None
    value: float | None
    facts: dict[str, Any]
    picture: str
    seconds: float


@dataclass(slots=True)
class RunDone(Event):
    """The run is over: "done", "failed", "cancelled" or "timeout"."""

    name = "run_done"
    status: str
    seconds: float


Listener: TypeAlias = Callable[[Event], None]


class Trace:
    """An append-only list of events; listeners hear each one as it happens, in order.

    Appending is safe from several threads; a listener that raises stops the run, so that errors are not swallowed.
    """

    def __init__(self, *listeners: Listener) -> None:
        self.events: list[Event] = []
        self.listeners = listeners

    def add(self, event: Event) -> None:
        """Append an event and tell every listener."""
        self.events.append(event)
        for listener in self.listeners:
            listener(event)

    def of(self, kind: type[Event]) -> Iterator[Any]:
        """Yield the events of one kind."""
        return (event for event in self.events if isinstance(event, kind))

    @property
    def notes(self) -> list[str]:
        """Every sentence that the user should read, with the step that it belongs to; what is said again, once."""
        found = []
        for event in self.events:
            if isinstance(event, Noted):
                found.append(f"{event.step}: {event.text}" if event.step else event.text)
            elif isinstance(event, StepDone):
                found.extend(f"{event.step}: {note}" for note in event.notes)
        return list(dict.fromkeys(found))

    def dump(self) -> list[dict[str, Any]]:
        """Return all events as plain data, progress left out."""
        return [event.dump() for event in self.events if not isinstance(event, StepProgress)]

    def json(self, indent: int | None = None) -> str:
        """Return all events as JSON text."""
        return json.dumps(self.dump(), ensure_ascii=False, indent=indent)

    def __len__(self) -> int:
        return len(self.events)

    def __repr__(self) -> str:
        return f"<trace of {len(self.events)} events>"
