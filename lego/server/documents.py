"""What OpenAPI says about the doors: forms, replies, examples."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

WORKFLOW: dict[str, Any] = {
    "version": 1,
    "steps": [{"id": "s1", "tool": "exposure", "args": {"image": "$image", "exposure": 0.7}}],
    "result": "$s1",
}


class Fault(BaseModel):
    """Why a request is not answered as it asked."""

    message: str = Field(examples=["there is no picture"])
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(None, examples=["image"])
    code: str | None = Field(None, examples=["missing_required_parameter"])
    problems: list[dict[str, str]] | None = None


class FaultBody(BaseModel):
    """The body of every reply that is no success."""

    error: Fault


class Picture(BaseModel):
    """One picture of a reply, in base64."""

    b64_json: str


class Edited(BaseModel):
    """OpenAI's reply to an edit, and what only this server says, under `x_lego`."""

    created: int
    data: list[Picture]
    output_format: Literal["png", "jpeg", "webp"]
    size: str = Field(examples=["1024x768"])
    quality: str
    background: Literal["opaque", "transparent"]
    usage: dict[str, Any]
    x_lego: dict[str, Any]


class JobShown(BaseModel):
    """A job as its owner sees it."""

    id: str
    object: Literal["job"] = "job"
    kind: str
    state: Literal["pending", "in_progress", "completed", "failed", "canceled", "lost"]
    instruction: str
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    result: dict[str, Any] | None = None
    error: Fault | None = None


class JobList(BaseModel):
    """A page of jobs, the newest first."""

    object: Literal["list"] = "list"
    data: list[JobShown]


class PlanShown(BaseModel):
    """A workflow, and why it is so."""

    job_id: str
    workflow: dict[str, Any] = Field(examples=[WORKFLOW])
    thought: str = ""
    builder: str = ""
    timings: dict[str, float] = {}


class Checked(BaseModel):
    """Is a workflow valid, and if not, why?"""

    valid: bool
    problems: list[dict[str, str]]


class ModelShown(BaseModel):
    """A builder."""

    id: str
    object: Literal["model"] = "model"
    owned_by: Literal["lego"] = "lego"
    created: int = 0


class ModelList(BaseModel):
    """The builders."""

    object: Literal["list"] = "list"
    data: list[ModelShown]


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok"] = "ok"
    version: str
    waiting: int
    running: int


_FILE = {"type": "string", "format": "binary"}
_PICTURES = {
    "image": {**_FILE, "description": "The picture: PNG, JPEG or WebP. Several as `image[]`; the first is edited."},
    "mask": {**_FILE, "description": "As large as the picture: a PNG that is clear where to edit, or white there."},
}
_OURS = {
    "lego[seed]": {"type": "integer", "minimum": 0, "description": "The same seed gives the same bytes."},
    "lego[builder]": {"type": "string", "description": "Who plans, as `model`."},
    "lego[steps]": {"type": "boolean", "description": "Keep the picture of every step."},
    "lego[trace]": {"type": "boolean", "description": "Put the trace into the reply."},
    "lego[workflow]": {"type": "string", "description": "Run this workflow (JSON) instead of planning one."},
}
_WORDS = {"prompt": {"type": "string", "maxLength": 32000, "example": "make it warmer"}}
_REPLY = {
    "n": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
    "size": {"type": "string", "default": "auto", "example": "1024x768"},
    "output_format": {"type": "string", "enum": ["png", "jpeg", "webp"], "default": "png"},
    "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
    "background": {"type": "string", "enum": ["auto", "opaque", "transparent"], "default": "auto"},
    "stream": {"type": "boolean", "default": False},
    "partial_images": {"type": "integer", "minimum": 0, "maximum": 3, "default": 0},
}
_MODEL = {"model": {"type": "string", "description": "A builder of `GET /v1/models`."}}
_FLOW = {"workflow": {"type": "string", "description": "A workflow, as JSON."}}


def _form(required: list[str], **fields: Any) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": fields}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


FORM_OF_EDIT = _form(["image", "prompt"], **_PICTURES, **_WORDS, **_MODEL, **_REPLY, **_OURS)
FORM_OF_RUN = _form(["image", "workflow"], **_PICTURES, **_FLOW, **_REPLY, **_OURS)
FORM_OF_JOB = _form(["image"], **_PICTURES, **_WORDS, **_FLOW, **_MODEL, **_REPLY, **_OURS)
FORM_OF_PLAN = _form(["image", "prompt"], **_PICTURES, **_WORDS, **_MODEL)
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": FaultBody, "description": text}
    for status, text in (
        (400, "something in the request is wrong"), (401, "no such key"), (404, "there is none"),
        (409, "not now"), (413, "too large"), (422, "no plan could be made, or it has problems"),
        (429, "too much at once"), (500, "a step failed"), (503, "the server is going down"),
    )
}  # fmt: skip
EDITED: dict[int | str, dict[str, Any]] = {
    **ERRORS, 200: {"model": Edited, "description": "the pictures", "content": {"text/event-stream": {}}},
}  # fmt: skip
EVENTS: dict[int | str, dict[str, Any]] = {
    **ERRORS, 200: {"description": "events", "content": {"text/event-stream": {}}},
}  # fmt: skip
PICTURE: dict[int | str, dict[str, Any]] = {
    **ERRORS, 200: {"description": "a picture", "content": {f"image/{k}": {} for k in ("png", "jpeg", "webp")}},
}  # fmt: skip
