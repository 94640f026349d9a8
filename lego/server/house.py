"""What the doors of one server share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from lego.core.registry import Registry
from lego.server import asked
from lego.server.asked import Form
from lego.server.errors import WebError
from lego.server.keys import Owner
from lego.server.metrics import Metrics
from lego.server.options import Options
from lego.server.store import Job, Store
from lego.server.work import Work

AGAIN = "5"  # seconds after which a client may ask a full queue again
TOKEN = 200  # characters of an Idempotency-Key


@dataclass(frozen=True)
class House:
    """What the doors of one server share."""

    options: Options
    registry: Registry
    store: Store
    work: Work
    metrics: Metrics

    async def admit(
        self, request: Request, kind: Literal["edit", "run", "plan"], strict: bool = False
    ) -> tuple[Form, Job]:
        """Read a form, and let what it asks for wait its turn; arguments and errors as in `asked.read`.

        Raises:
            WebError: the queue is full.
        """
        owner = owner_of(request)
        await run_in_threadpool(self._check_room, owner)
        form = await asked.read(request, self.options, self.store, kind, strict)
        token = request.headers.get("idempotency-key", "")
        if len(token) > TOKEN:
            raise WebError(400, f"an Idempotency-Key has at most {TOKEN} characters", "unsupported_value")
        job = await run_in_threadpool(
            self.store.add, owner.name, owner.priority, form.asked.model_dump(), form.asked.digests, token
        )
        self.work.wake()
        return form, job

    async def job(self, request: Request, name: str) -> Job:
        """Return a job of who asks.

        Raises:
            WebError: there is none, or it is somebody else's: both look alike.
        """
        found = await run_in_threadpool(self.store.get, name, owner_of(request).name)
        if found is None:
            raise WebError(404, "there is no such job", "job_not_found")
        return found

    def _check_room(self, owner: Owner) -> None:
        wait = {"retry-after": AGAIN}
        if self.store.waiting() >= self.options.queue:
            raise WebError(429, "the queue is full; ask again later", again=True, headers=wait)
        if self.store.waiting(owner.name) >= owner.queued:
            raise WebError(429, f"{owner.queued} of your jobs wait already", again=True, headers=wait)


def owner_of(request: Request) -> Owner:
    """Return who asks, as the guard found out."""
    owner = request.state.owner
    assert isinstance(owner, Owner)
    return owner


def house_of(request: Request) -> House:
    """Return the house that a door belongs to."""
    house = request.app.state.house
    assert isinstance(house, House)
    return house
