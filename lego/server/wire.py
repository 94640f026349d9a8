"""How replies go out: pictures as base64 inside JSON, in pieces, so that nobody waits while a large one is written.

Codecs let other threads run; base64 and JSON of a large picture as a whole would hold everybody up for 200 ms.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from lego.server.asked import Asked
from lego.server.store import Job, Store

SLICE = 768 << 10  # bytes of a picture that are written at once; a multiple of 3, so that base64 goes on seamlessly
ALIVE = b": still at it\n\n"  # a comment, which clients pass over


def stream(pieces: AsyncIterator[bytes]) -> StreamingResponse:
    """Return a reply of server-sent events, which nobody on the way may keep."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(pieces, media_type="text/event-stream", headers=headers)


async def edit_reply(store: Store, job: Job, asked: Asked, trace: bool) -> AsyncIterator[bytes]:
    """Yield the body of OpenAI's reply to an edit."""
    assert job.made
    yield (json.dumps({"created": int(job.created)})[:-1] + ', "data": [').encode()
    for number, name in enumerate(job.made["images"]):
        yield b', {"b64_json": "' if number else b'{"b64_json": "'
        for piece in base64_of(await run_in_threadpool(store.bytes_of, name)):
            yield piece
        yield b'"}'
    rest = facts(job.made, asked) | {"usage": usage(asked), "x_lego": ours(job, trace)}
    yield b"], " + json.dumps(rest).encode()[1:]


async def event_with(data: bytes, event: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """Yield an event of a stream that holds a picture."""
    yield b"data: " + json.dumps(event).encode()[:-1] + b', "b64_json": "'
    for piece in base64_of(data):
        yield piece
    yield b'"}\n\n'


def base64_of(data: bytes) -> Iterator[bytes]:
    """Yield base64 in pieces."""
    return (base64.b64encode(data[at : at + SLICE]) for at in range(0, len(data), SLICE))


def event(data: Mapping[str, Any], number: int | None = None) -> bytes:
    """Return an event of a stream; with a number a client can ask for what came after it."""
    said = f"id: {number}\n" if number is not None else ""
    return f"{said}data: {json.dumps(data)}\n\n".encode()


def facts(made: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """Return what OpenAI's replies say about a picture."""
    return {
        "output_format": made["format"], "size": "x".join(str(side) for side in made["size"]), "quality": "high",
        "background": made["background"],
    }  # fmt: skip


def usage(asked: Asked) -> dict[str, Any]:
    """Return OpenAI's counts: nothing here is paid by the token, so only words are counted."""
    words = len(asked.instruction.split())
    return {
        "input_tokens": words, "output_tokens": 0, "total_tokens": words,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": words},
    }  # fmt: skip


def ours(job: Job, trace: bool) -> dict[str, Any]:
    """Return what only this server says about an edit."""
    made = dict(job.made or {})
    shown = (
        "workflow",
        "thought",
        "verdict",
        "builder",
        "texts",
        "notes",
        "seeds",
        "timings",
        *(["trace"] if trace else []),
    )
    return {"job_id": job.id, **{name: made[name] for name in shown if name in made}}
