"""What a request asks for: read from its form, checked, and kept with the job as plain data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from lego.core import codec
from lego.core.codec import Header
from lego.core.errors import ImageError
from lego.core.workflow import Workflow
from lego.server.errors import WebError
from lego.server.options import Options
from lego.server.store import Store

IMAGES = 16  # pictures of one request, as at OpenAI
IMAGE_BYTES = 50 << 20  # of one picture
SIDE = 16_384  # px of a side
FIELDS, TEXT_BYTES = 64, 1 << 20  # of a form
ROUNDS = 3  # of one edit: more gain next to nothing (docs/thinking.md)
STEPS = 100  # of a workflow that a client sends
FORMATS = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp"}  # that are read, by Pillow's name, and how the wire calls them
OURS = re.compile(r"^lego\[(\w+)\]$")  # a field of ``extra_body={"lego": {...}}``
SIZE = re.compile(r"^([1-9]\d{0,4})x([1-9]\d{0,4})$")
THEIRS = {"count": "n", "format": "output_format", "quality": "output_compression", "partials": "partial_images"}
NOT_HERE = ("markup", "complexity", "frame_count", "frame_duration_ms")  # of OpenAI's newest clients


class Asked(BaseModel):
    """What a job is asked for.

    Attributes:
        kind: an edit by words, a workflow to be run, or a plan alone.
        images: names of the pictures in the store; the first is the one that is edited.
        mask: of a mask; ``clear`` says that it is OpenAI's, whose clear parts are edited, else white is.
        count: of results, with seeds that follow each other.
        size: width and height of what is wanted; None for what comes out.
        quality: of JPEG and WebP, 0..100; None for ours.
        rounds: how often the critic may send a result round again.
        steps: keep the picture of every step.
        partials: of them that are streamed, at most.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Literal["edit", "run", "plan"] = "edit"
    instruction: str = ""
    workflow: dict[str, Any] | None = None
    builder: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    count: Annotated[int, Field(ge=1, le=10)] = 1
    images: list[str] = []
    mask: str = ""
    clear: bool = False
    size: tuple[int, int] | None = None
    format: Literal["png", "jpeg", "webp"] = "png"
    quality: Annotated[int, Field(ge=0, le=100)] | None = None
    opaque: bool = False
    rounds: Annotated[int, Field(ge=0, le=ROUNDS)] = 0
    steps: bool = False
    partials: Annotated[int, Field(ge=0, le=3)] = 0

    @property
    def digests(self) -> list[str]:
        """Names of all pictures in the store."""
        return [*self.images, *([self.mask] if self.mask else [])]


class Ours(BaseModel):
    """The fields that are ours alone: ``lego[seed]=7``, or ``extra_body={"lego": {"seed": 7}}`` in OpenAI's client."""

    model_config = ConfigDict(extra="forbid")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    builder: str = ""
    workflow: str = ""
    rounds: Annotated[int, Field(ge=0, le=ROUNDS)] = 0
    steps: bool = False
    trace: bool = False


@dataclass(frozen=True)
class Form:
    """The form of a request, read and checked.

    Attributes:
        asked: what for.
        stream: is the reply to be streamed?
        trace: is the trace wanted in it?
    """

    asked: Asked
    stream: bool
    trace: bool


async def read(
    request: Request, options: Options, store: Store, kind: Literal["edit", "run", "plan"], strict: bool = False
) -> Form:
    """Read a form of any door, and keep its pictures.

    Args:
        kind: what is asked for at this door; a workflow in the form makes an edit a run.
        strict: a mask must be one as OpenAI has it.

    Raises:
        WebError: something in it is missing, too much, or not what it should be.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise WebError(400, "send a form: multipart/form-data", "bad_request")
    async with request.form(max_files=IMAGES + 1, max_fields=FIELDS, max_part_size=TEXT_BYTES) as form:
        pictures, mask = await _pictures(form)
        texts = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    _refuse(texts, [key for key in form if key in NOT_HERE or key.startswith("svg")])
    ours = _ours(texts)
    headers = [checked(data, options, f"image[{number}]") for number, data in enumerate(pictures)]
    if not pictures:
        raise WebError(400, "there is no picture", "missing_required_parameter", "image")
    asked = _asked(texts, ours, kind, options)
    if mask is not None:
        drawn = checked(mask, options, "mask")
        _check_mask(drawn, headers[0], strict)
        asked.clear, asked.mask = drawn.alpha, await run_in_threadpool(store.keep, mask)
    asked.images = [await run_in_threadpool(store.keep, data) for data in pictures]
    return Form(asked, _flag(texts, "stream"), ours.trace)


async def _pictures(form: FormData) -> tuple[list[bytes], bytes | None]:
    """The bytes of the pictures in their order, and of the mask."""
    found: dict[str, list[bytes]] = {"image": [], "mask": []}
    for key, value in form.multi_items():
        name = key.removesuffix("[]")
        if not isinstance(value, UploadFile):
            continue
        if name not in found:
            continue  # fields that we do not know are no business of ours
        if value.size is not None and value.size > IMAGE_BYTES:
            raise WebError(413, f"a picture has over {IMAGE_BYTES >> 20} MB", param=name)
        found[name].append(await value.read())
    if len(found["image"]) > IMAGES or len(found["mask"]) > 1:
        raise WebError(400, f"at most {IMAGES} pictures and one mask", "unsupported_value", "image")
    return found["image"], found["mask"][0] if found["mask"] else None


def _refuse(texts: Mapping[str, str], newer: list[str]) -> None:
    """Name what we cannot do rather than leave it out."""
    if newer:
        raise WebError(400, f"'{newer[0]}' is not supported", "unsupported_value", newer[0])
    if texts.get("response_format", "b64_json") != "b64_json":
        raise WebError(
            400, "pictures come in the reply; there are no addresses", "unsupported_value", "response_format"
        )


def _ours(texts: Mapping[str, str]) -> Ours:
    named = {found[1]: text for key, text in texts.items() if (found := OURS.match(key))}
    try:
        return Ours.model_validate(named)
    except ValidationError as error:
        raise _wrong(error, "lego[{}]") from None


def _wrong(error: ValidationError, form: str) -> WebError:
    """What a field has that it should not, by the name that the client gave it."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    param = form.format(THEIRS.get(name, name))
    return WebError(400, f"{param}: {first['msg']}", "unsupported_value", param)


def _asked(texts: Mapping[str, str], ours: Ours, kind: Literal["edit", "run", "plan"], options: Options) -> Asked:
    """The fields of OpenAI's form as ours."""
    flow = ours.workflow or texts.get("workflow", "")
    kind = "run" if flow and kind == "edit" else kind
    values: dict[str, Any] = {
        "kind": kind, "instruction": texts.get("prompt", ""), "builder": _builder(texts, ours, options),
        "seed": ours.seed, "size": _size(texts.get("size", "auto"), options),
        "opaque": texts.get("background") == "opaque", "steps": ours.steps, "rounds": ours.rounds,
    }  # fmt: skip
    values |= {name: texts[key] for name, key in THEIRS.items() if texts.get(key)}
    if kind == "run":
        values["workflow"] = _workflow(flow)
    elif not values["instruction"].strip():
        raise WebError(400, "there is no instruction", "missing_required_parameter", "prompt")
    try:
        made = Asked.model_validate(values)
    except ValidationError as error:
        raise _wrong(error, "{}") from None
    if texts.get("background") == "transparent" and made.format == "jpeg":
        raise WebError(400, "JPEG has no transparency; take png or webp", "unsupported_value", "background")
    return made


def _builder(texts: Mapping[str, str], ours: Ours, options: Options) -> str:
    """Who plans: one of those that the operator has named; "" for the first of them."""
    name = ours.builder or texts.get("model", "")
    if name and name not in options.builders:
        raise WebError(404, f"there is no builder '{name}'; GET /v1/models lists them", "model_not_found", "model")
    return name or options.builders[0]


def _size(text: str, options: Options) -> tuple[int, int] | None:
    if text in ("", "auto"):
        return None
    found = SIZE.match(text)
    if not found:
        raise WebError(400, f"'{text}' is no size; say auto or 1024x768", "unsupported_value", "size")
    width, height = int(found[1]), int(found[2])
    if max(width, height) > SIDE or width * height > options.max_megapixels * 1e6:
        raise WebError(413, f"at most {options.max_megapixels:g} megapixels and {SIDE} px a side", param="size")
    return width, height


def _workflow(text: str) -> dict[str, Any]:
    """A workflow that a client sent, as plain data; whether it can run is found out when it is."""
    if not text:
        raise WebError(400, "there is no workflow", "missing_required_parameter", "workflow")
    flow = Workflow.load(text)
    if len(flow.steps) > STEPS:
        raise WebError(400, f"a workflow has at most {STEPS} steps", "unsupported_value", "workflow")
    return dict(json.loads(text))


def _flag(texts: Mapping[str, str], name: str) -> bool:
    text = texts.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise WebError(400, f"{name} is true or false", "unsupported_value", name)
    return text in ("true", "1")


def checked(data: bytes, options: Options, param: str) -> Header:
    """Look at a picture's header; nothing is decoded before the job begins.

    Raises:
        WebError: it is none, of a format that is not read here, or too large.
    """
    try:
        found = codec.header(data)
    except ImageError as error:
        code = "invalid_mask" if param == "mask" else "invalid_image"
        raise WebError(400, f"{error.message} ({error.hint})", code, param) from None
    if found.format not in FORMATS:
        raise WebError(400, f"{found.format} is not read here; send PNG, JPEG or WebP", "invalid_image", param)
    width, height = found.size
    if max(found.size) > SIDE or width * height > options.max_megapixels * 1e6:
        limit = f"{options.max_megapixels:g} megapixels and {SIDE} px a side are the limit"
        raise WebError(413, f"the picture has {width} x {height} px; {limit}", param=param)
    return found


def _check_mask(mask: Header, picture: Header, strict: bool) -> None:
    """A mask is as large as the picture; OpenAI's has an alpha, where ours may be white on black."""
    if strict and not mask.alpha:
        raise WebError(400, "a mask is a PNG with an alpha channel; clear means edit", "invalid_mask", "mask")
    if mask.size != picture.size:
        sizes = f"{mask.size[0]} x {mask.size[1]}, the picture {picture.size[0]} x {picture.size[1]}"
        raise WebError(400, f"the mask is {sizes}", "mask_size_mismatch", "mask")
