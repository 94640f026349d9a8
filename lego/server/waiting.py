"""Waiting for a job: until it is over, or event by event, and no longer than somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from lego.server.errors import WebError
from lego.server.store import Job
from lego.server.work import Work

QUIET = 15.0  # seconds after which a stream should say that it lives
TICK = 0.25  # seconds between looks at whether the client is still there


async def until_over(work: Work, job: Job, request: Request) -> Job:
    """Wait until a job has ended well; a client that goes takes its job along.

    Raises:
        WebError: the job failed, or was stopped.
    """
    with work.watched(job.id) as news:
        while True:
            news.clear()
            found = await run_in_threadpool(work.store.get, job.id)
            if found is None:
                raise WebError(404, "the job was deleted", "job_not_found")
            if found.over:
                return well(found)
            await _until(news)
            if await request.is_disconnected():
                await run_in_threadpool(work.cancel, job)


async def events(work: Work, job: Job, after: int = 0) -> AsyncIterator[tuple[int, dict[str, Any]] | None]:
    """Yield the events of a job with their numbers until it is over; None where nobody has heard of it for long."""
    quiet = 0.0
    with work.watched(job.id) as news:
        while True:
            news.clear()
            found = await run_in_threadpool(work.store.get, job.id)
            for number, data in await run_in_threadpool(work.store.events, job.id, after):
                after = number
                yield number, data
            if found is None or found.over:
                return
            await _until(news)
            quiet += TICK
            if quiet >= QUIET:
                quiet = 0.0
                yield None


def well(job: Job) -> Job:
    """Return a job that ended well.

    Raises:
        WebError: it did not.
    """
    if job.state == "completed":
        return job
    error = dict(job.error or {}).get("error", {})
    if job.state == "failed":
        status = int((job.error or {}).get("status", 500))
        more = {key: value for key, value in error.items() if key not in ("message", "type", "code", "param")}
        raise WebError(status, error.get("message", "it failed"), error.get("code", ""), error.get("param"), more=more)
    if job.state == "lost":
        raise WebError(503, "the server that ran the job died; ask again", "lost", again=True)
    raise WebError(409, "the job was canceled", "canceled")


async def _until(news: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(news.wait(), TICK)
    except TimeoutError:
        return
