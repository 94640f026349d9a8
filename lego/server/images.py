"""The door that OpenAI's clients know: `client.images.edit(...)`, waiting or streamed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from lego.core.codec import header
from lego.core.steps import REFERENCE
from lego.server import documents, waiting, wire
from lego.server.asked import Form
from lego.server.errors import WebError
from lego.server.house import House, house_of
from lego.server.store import Job

router = APIRouter(tags=["images"])


@router.post(
    "/v1/images/edits", summary="Edit a picture by words", openapi_extra=documents.FORM_OF_EDIT,
    response_model=None, responses=documents.EDITED,
)  # fmt: skip
async def edit(request: Request) -> StreamingResponse:
    """Edit a picture, in the form and with the reply of OpenAI's images API."""
    house = house_of(request)
    form, job = await house.admit(request, "edit", strict=True)
    return await replied(house, request, form, job)


@router.post(
    "/v1/runs", summary="Run a workflow on a picture", openapi_extra=documents.FORM_OF_RUN,
    response_model=None, responses=documents.EDITED,
)  # fmt: skip
async def run(request: Request) -> StreamingResponse:
    """Run a workflow; the reply is that of an edit."""
    house = house_of(request)
    form, job = await house.admit(request, "run")
    return await replied(house, request, form, job)


async def replied(house: House, request: Request, form: Form, job: Job) -> StreamingResponse:
    """Return the reply to an edit: when it is done, or event by event."""
    if form.stream:
        return wire.stream(_streamed(house, form, job))
    job = await waiting.until_over(house.work, job, request)
    return StreamingResponse(wire.edit_reply(house.store, job, form.asked, form.trace), media_type="application/json")


async def _streamed(house: House, form: Form, job: Job) -> AsyncIterator[bytes]:
    """The events of OpenAI's stream: pictures on the way, then the result, or an error; never anything else."""
    over = False
    try:
        async with contextlib.aclosing(_partials(house, form, job)) as partials:
            async for piece in partials:
                yield piece
        found = await run_in_threadpool(house.store.get, job.id)
        over = True
        try:
            done = waiting.well(found or job)
        except WebError as error:
            yield wire.event(error.body())
            return
        assert done.made
        facts = wire.facts(done.made, form.asked) | {"usage": wire.usage(form.asked), "created_at": int(done.created)}
        for name in done.made["images"]:
            data = await run_in_threadpool(house.store.bytes_of, name)
            said = {"type": "image_edit.completed", **facts, "x_lego": wire.ours(done, form.trace)}
            async for piece in wire.event_with(data, said):
                yield piece
    finally:
        if not over:  # the client has gone
            house.work.cancel(job)


async def _partials(house: House, form: Form, job: Job) -> AsyncGenerator[bytes]:
    """The pictures of the last steps before the result, as many as are wanted."""
    shown = _steps_shown(house, form.asked.workflow, form.asked.partials)
    count = 0
    async for item in waiting.events(house.work, job):
        if item is None:
            yield wire.ALIVE
            continue
        data = item[1]
        if data["event"] == "planned":
            shown = _steps_shown(house, data["workflow"], form.asked.partials)
        name = next(iter(data.get("pictures", {}).values()), None)
        if name is None or data.get("step") not in shown or count >= form.asked.partials:
            continue
        picture = await run_in_threadpool(house.store.bytes_of, name)
        said = {
            "type": "image_edit.partial_image", "partial_image_index": count, "created_at": int(data["at"]),
            "output_format": "png", "quality": "high", "background": "opaque", "size": _size_of(picture),
        }  # fmt: skip
        async for piece in wire.event_with(picture, said):
            yield piece
        count += 1


def _steps_shown(house: House, flow: Mapping[str, Any] | None, count: int) -> Sequence[str]:
    """Steps that make pictures, but for the one that makes the result; the last of them."""
    if not flow or not count:
        return ()
    result = flow["result"] if isinstance(flow["result"], str) else flow["result"][0]
    found = REFERENCE.fullmatch(result)
    drawing = [
        step["id"] for step in flow["steps"]
        if step["tool"] in house.registry and any(o.kind == "image" for o in house.registry[step["tool"]].outputs)
    ]  # fmt: skip
    return [name for name in drawing if found is None or name != found[1]][-count:]


def _size_of(picture: bytes) -> str:
    return "x".join(str(side) for side in header(picture).size)
