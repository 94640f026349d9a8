"""The guard in front of every request: who is addressed, from which page, with which key, and how many bytes come.

A plain ASGI middleware, because limits must hold on the wire: frameworks cap texts of a form, not its files.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from lego.server.errors import WebError
from lego.server.keys import LOCAL, Keys, Owner
from lego.server.options import Options

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
OPEN = ("/healthz",)  # paths that take no key
API = ("/v1/", "/metrics", "/openapi.json", "/docs", "/redoc")  # what takes one beside a page that asks by itself
SAFE = ("GET", "HEAD", "OPTIONS")  # methods that change nothing
MINUTE = 60.0
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
PORT = re.compile(r":\d+$")


class Guard:
    """Lets through what may come in, and counts it.

    Args:
        app: what is guarded.
        options: names, origins and limits.
        keys: whom to let in; None lets everybody.
    """

    def __init__(self, app: App, options: Options, keys: Keys | None) -> None:
        self.app, self.options, self.keys = app, options, keys
        self.begun: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard a request; what is not HTTP (the server's own start and stop) passes, WebSockets do not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        number = uuid.uuid4().hex
        marked = _marking(send, number)
        try:
            self._check_sender(headers)
            self._check_length(headers)
            owner = self._owner(scope, headers)
            self._check_pace(owner, scope)
        except WebError as error:
            await error.reply()(scope, receive, marked)
            return
        scope.setdefault("state", {}).update(owner=owner, request_id=number)
        await self.app(scope, self._counted(receive), marked)

    def _check_sender(self, headers: dict[bytes, bytes]) -> None:
        """Refuse names that are not ours (DNS rebinding), and pages of others (forged requests)."""
        host = PORT.sub("", headers.get(b"host", b"").decode("latin-1")).lower()
        if host not in self.options.known_hosts:
            raise WebError(
                400, "the request is addressed to another host; start with --host-name to allow it", "bad_host"
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._knows(origin.decode("latin-1"), headers[b"host"].decode("latin-1")):
            raise WebError(
                403, "pages of this origin may not send requests; start with --origin to allow it", "bad_origin"
            )
        if origin is None and headers.get(b"sec-fetch-site") == b"cross-site":
            raise WebError(403, "pages of other sites may not send requests", "bad_origin")

    def _knows(self, origin: str, host: str) -> bool:
        parts = urlsplit(origin)
        own = parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
        return own or origin in self.options.origins

    def _check_length(self, headers: dict[bytes, bytes]) -> None:
        said = headers.get(b"content-length", b"0")
        if not said.isdigit():
            raise WebError(400, "Content-Length is no number", "bad_request", headers={"connection": "close"})
        if int(said) > self._most:
            raise WebError(413, self._too_large, headers={"connection": "close"})

    @property
    def _most(self) -> int:
        return self.options.max_body_mb << 20

    @property
    def _too_large(self) -> str:
        return f"the request is larger than {self.options.max_body_mb} MB"

    def _owner(self, scope: Scope, headers: dict[bytes, bytes]) -> Owner:
        if self.keys is None or not self._takes_key(scope["path"]):
            return LOCAL
        kind, _, key = headers.get(b"authorization", b"").partition(b" ")
        owner = self.keys.owner(key.strip()) if kind.lower() == b"bearer" else None
        if owner is None:
            hint = "send a key: Authorization: Bearer lego-..."
            raise WebError(401, f"no such key; {hint}", "invalid_api_key", headers={"www-authenticate": "Bearer"})
        return owner

    def _takes_key(self, path: str) -> bool:
        return path.startswith(API) if self.options.studio else path not in OPEN

    def _check_pace(self, owner: Owner, scope: Scope) -> None:
        """Refuse what comes too fast; asking how things stand is free."""
        if scope["method"] in SAFE:
            return
        begun, now = self.begun.setdefault(owner.name, deque()), time.monotonic()
        while begun and begun[0] < now - MINUTE:
            begun.popleft()
        if len(begun) >= owner.per_minute:
            wait = str(max(1, round(begun[0] + MINUTE - now)))
            message = f"more than {owner.per_minute} requests a minute; wait {wait} s"
            raise WebError(429, message, again=True, headers={"retry-after": wait})
        begun.append(now)

    def _counted(self, receive: Receive) -> Receive:
        """Count the bytes that come, and the seconds; Starlette's own error becomes a reply wherever it is raised."""
        come, end, over = 0, time.monotonic() + self.options.body_seconds, False

        async def counted() -> Message:
            nonlocal come, over
            try:
                left = None if over else max(0.0, end - time.monotonic())
                message = await asyncio.wait_for(receive(), left)
            except TimeoutError:
                raise HTTPException(408, "the request's body comes too slowly", {"connection": "close"}) from None
            if message["type"] == "http.request":
                come += len(message.get("body", b""))
                over = not message.get("more_body", False)
                if come > self._most:
                    raise HTTPException(413, self._too_large, {"connection": "close"})
            return message

        return counted


def _marking(send: Send, number: str) -> Send:
    """Send a reply with a number of its own, and with what keeps browsers from guessing."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(b"x-request-id", number.encode()), *HEADERS]
            message["headers"] = [*message.get("headers", []), *own]
        await send(message)

    return marked
