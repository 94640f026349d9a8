"""Errors on the wire: the body that OpenAI's clients read, and which status an error of ours is."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lego.core.errors import (
    CancelledError,
    ImageError,
    LegoError,
    PlanError,
    RefusedError,
    SettingsError,
    StepTimeoutError,
    WorkflowError,
)

INVALID = "invalid_request_error"
KINDS = {401: "authentication_error", 403: "permission_error", 429: "requests"}
CODES = {
    400: "bad_request", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 408: "too_slow",
    413: "image_too_large", 429: "rate_limit_exceeded",
}  # fmt: skip
LASTING = (408, 409, 429, 500, 503)  # statuses after which clients try again, unless they are told not to
OURS: tuple[tuple[type[LegoError], int], ...] = (
    (ImageError, 400), (RefusedError, 422), (PlanError, 422), (WorkflowError, 422), (StepTimeoutError, 504),
    (CancelledError, 409), (SettingsError, 500),
)  # fmt: skip


class WebError(Exception):
    """Something that a request is answered with instead of what it asked for.

    Args:
        status: of HTTP.
        message, code, param: what, as a stable name, and about which field.
        again: is it worth trying again as it is?
        more: further facts in the body.
        headers: of the reply.
    """

    def __init__(
        self, status: int, message: str, code: str = "", param: str | None = None, *, again: bool = False,
        headers: dict[str, str] | None = None, more: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code or CODES.get(status, "error"), param
        self.again, self.headers, self.more = again, headers or {}, more or {}

    def body(self) -> dict[str, Any]:
        """Return the body."""
        kind = KINDS.get(self.status, INVALID if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code, **self.more}}

    def reply(self) -> JSONResponse:
        """Return the reply; clients are kept from trying again where it would fail again."""
        stop = {} if self.again or self.status not in LASTING else {"x-should-retry": "false"}
        return JSONResponse(self.body(), self.status, headers={**stop, **self.headers})


def of(error: LegoError) -> WebError:
    """Return what an error of an edit is on the wire."""
    status = next((status for kind, status in OURS if isinstance(error, kind)), 500)
    hint = f" ({error.hint})" if error.hint else ""
    problems = error.details.get("problems") or []
    first = problems[0] if problems else None
    param = f"steps.{first.step}.args.{first.arg}" if first and first.step else None
    more = {"problems": [problem_of(problem) for problem in problems]} if problems else {}
    return WebError(status, f"{error}{hint}", first.code if first else error.code, param, more=more)


def problem_of(problem: Any) -> dict[str, Any]:
    """Return a problem of a workflow as data."""
    return {name: getattr(problem, name) for name in ("step", "arg", "code", "message", "hint")}


def install(app: FastAPI) -> None:
    """Let every error of an app have that body, FastAPI's own ones and the router's too."""

    async def web(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, WebError)
        return error.reply()

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, LegoError)
        return of(error).reply()

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return WebError(error.status_code, str(error.detail), headers=dict(error.headers or {})).reply()

    async def unread(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"][1:]) or None
        return WebError(400, f"{param or 'the body'}: {first['msg']}", "unsupported_value", param).reply()

    async def bug(request: Request, error: Exception) -> JSONResponse:
        return WebError(500, "the server has a fault; it is in its log", "internal_error").reply()

    for kind, handler in (
        (WebError, web), (LegoError, ours), (HTTPException, http), (RequestValidationError, unread), (Exception, bug),
    ):  # fmt: skip
        app.add_exception_handler(kind, handler)
