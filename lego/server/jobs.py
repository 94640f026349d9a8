"""The doors of jobs: begin one, look at it, hear of it, stop it, fetch what it made, forget it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from lego.server import documents, waiting, wire
from lego.server.documents import JobList, JobShown
from lego.server.errors import WebError
from lego.server.house import House, house_of, owner_of
from lego.server.store import PAGE, Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
Name = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="of a job", examples=["0" * 32])]
Kind = Annotated[
    Literal["edit", "run", "plan"], Query(description="what the job is for; a form with a workflow is a run")
]


@router.post(
    "", status_code=201, summary="Begin a job", openapi_extra=documents.FORM_OF_JOB, responses=documents.ERRORS
)
async def begin(request: Request, kind: Kind = "edit") -> JobShown:
    """Begin a job and return at once; with an Idempotency-Key a second try finds the job of the first."""
    _, job = await house_of(request).admit(request, kind)
    return shown(job)


@router.get("", summary="List your jobs", responses=documents.ERRORS)
async def listed(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 20,
    before: Annotated[float | None, Query(description="`created_at` of the last one of the page before")] = None,
) -> JobList:
    """List your jobs, the newest first."""
    house = house_of(request)
    found = await run_in_threadpool(house.store.of, owner_of(request).name, limit, before)
    return JobList(data=[shown(job) for job in found])


@router.get("/{name}", summary="Look at a job", responses=documents.ERRORS)
async def one(request: Request, name: Name) -> JobShown:
    """Return a job as it stands."""
    return shown(await house_of(request).job(request, name))


@router.get(
    "/{name}/events", summary="Hear of a job", response_model=None, responses=documents.EVENTS,
)  # fmt: skip
async def events(request: Request, name: Name) -> StreamingResponse:
    """Stream the events of a job until it is over; `Last-Event-ID` goes on after one."""
    house = house_of(request)
    job = await house.job(request, name)
    last = request.headers.get("last-event-id", "0")
    if not last.isdecimal() or len(last) > 12:
        raise WebError(400, "Last-Event-ID is no number of ours", "unsupported_value", "Last-Event-ID")
    return wire.stream(_told(house, job, int(last)))


@router.post("/{name}/cancel", summary="Stop a job", responses=documents.ERRORS)
async def cancel(request: Request, name: Name) -> JobShown:
    """Stop a job: at once if it waits, within a step if it runs."""
    house = house_of(request)
    job = await house.job(request, name)
    if not job.over and not await run_in_threadpool(house.work.cancel, job):
        found = await house.job(request, name)
        if not found.over:
            raise WebError(409, "it runs on another server; ask there", "elsewhere")
    return shown(await house.job(request, name))


@router.delete("/{name}", status_code=204, summary="Forget a job", responses=documents.ERRORS)
async def forget(request: Request, name: Name) -> Response:
    """Delete a job that is over, with its pictures."""
    house = house_of(request)
    job = await house.job(request, name)
    if not job.over:
        raise WebError(409, "it is not over; cancel it first", "not_over")
    await run_in_threadpool(house.store.delete, name)
    return Response(status_code=204)


@router.get("/{name}/images/{number}", summary="Fetch a result", response_model=None, responses=documents.PICTURE)
async def image(request: Request, name: Name, number: Annotated[int, Path(ge=0, le=9)]) -> Response:
    """Return a picture that a job made."""
    house = house_of(request)
    job = await house.job(request, name)
    made = job.made or {}
    names = made.get("images", [])
    if number >= len(names):
        raise WebError(404, f"the job is {job.state} and has {len(names)} pictures", "no_such_image")
    return await _picture(house, names[number], made["format"])


@router.get("/{name}/steps/{step}/{output}", summary="Fetch what a step made", response_model=None,
            responses=documents.PICTURE)  # fmt: skip
async def step(
    request: Request,
    name: Name,
    step: Annotated[str, Path(pattern=r"^\w{1,64}$")],
    output: Annotated[str, Path(pattern=r"^\w{1,64}$")],
) -> Response:
    """Return the picture or mask that a step made, of a job that was asked to keep them (`lego[steps]=true`)."""
    house = house_of(request)
    await house.job(request, name)
    for _, data in await run_in_threadpool(house.store.events, name):
        found = data.get("pictures", {}).get(output) if data.get("step") == step else None
        if found:
            return await _picture(house, found, "png")
    raise WebError(404, "no picture of that step was kept; ask with lego[steps]=true", "no_such_image")


async def _picture(house: House, digest: str, kind: str) -> Response:
    data = await run_in_threadpool(house.store.bytes_of, digest)
    return Response(data, media_type=f"image/{kind}", headers={"cache-control": "private, no-store"})


async def _told(house: House, job: Job, after: int) -> AsyncIterator[bytes]:
    async for item in waiting.events(house.work, job, after):
        if item is None:
            yield wire.ALIVE
        else:
            yield wire.event({**item[1], "pictures": sorted(item[1].get("pictures", {}))}, item[0])
    found = await run_in_threadpool(house.store.get, job.id)
    yield wire.event({"event": "job", **shown(found or job).model_dump()})


def shown(job: Job) -> JobShown:
    """Return a job as its owner sees it."""
    made: dict[str, Any] = dict(job.made or {})
    names = made.pop("images", [])
    if made:
        made["images"] = [f"/v1/jobs/{job.id}/images/{number}" for number in range(len(names))]
    return JobShown(
        id=job.id, kind=str(job.asked.get("kind", "edit")), state=job.state, instruction=str(job.asked["instruction"]),
        created_at=job.created, started_at=job.started, finished_at=job.finished, result=made or None,
        error=dict(job.error or {}).get("error"),
    )  # fmt: skip
