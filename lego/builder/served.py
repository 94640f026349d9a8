"""A model behind an OpenAI-compatible server: how it is reached, asked and heard, whatever it is asked for.

vLLM, SGLang, llama.cpp, Ollama, LM Studio, OpenAI and others speak the same chat completions, and each leaves something
out. Who asks decides what to do about a way of asking that a server does not take (`Unsupported`).
"""

from __future__ import annotations

import base64
import functools
import http.client
import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image as Pillow

from lego.core.errors import PlanError, SettingsError
from lego.core.settings import api_key

TRIES = 3  # for an answer of a busy server
WAIT, LONGEST_WAIT = 1.0, 20.0  # seconds before the next try: doubled each time, or as long as the server says
BUSY = (408, 409, 429, 500, 502, 503, 504)  # of HTTP: it may answer the next time
REFUSED = (400, 404, 415, 422, 501)  # of HTTP: perhaps it does not know this way of asking
ABSENT = ("no_server", "bad_server", "busy", "too_slow")  # codes of errors after which nobody has answered
TIMEOUT = 120.0  # seconds for one answer
LIMIT, PICTURE_LIMIT = 4 << 20, 64 << 20  # bytes of an answer that are read
SHOWN = 300  # characters of a server's complaint that are repeated


class Unsupported(Exception):  # noqa: N818  # it is told as a PlanError where no other way of asking is left
    """The server does not take a request as it is."""

    def __init__(self, status: int, said: str, url: str) -> None:
        super().__init__(said)
        self.status, self.said, self.url = status, said, url

    def told(self) -> PlanError:
        """What the user is told where there is no other way of asking."""
        hints = {401: "give the key in the environment: LEGO_API_KEY", 403: "the key has no right to this model"}
        hint = hints.get(self.status, "see the server's log; is the model one that sees pictures?")
        code = "busy" if self.status in BUSY else "bad_server"
        return PlanError(f"the server answers {self.status}: {self.said}", hint=f"{self.url}: {hint}", code=code)


@dataclass(frozen=True)
class Reply:
    """An answer's words; was it ``cut`` at the limit of tokens; what the model says where it declines."""

    text: str
    cut: bool = False
    refusal: str = ""


class Server:
    """An OpenAI-compatible server.

    Args:
        url: the server's base, such as ``http://localhost:8000/v1``, and after ``#`` the model's name there; without
            one the server is asked, which must then have just one.
        key: sent as a bearer token; by default `lego.core.settings.api_key`.
        timeout: seconds for one answer.

    Raises:
        SettingsError: this is no address.
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = TIMEOUT) -> None:
        base, _, model = url.partition("#")
        parts = urllib.parse.urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            hint = "give something like http://localhost:8000/v1#model"
            raise SettingsError(f"'{url}' is no address of a server", hint=hint, code="bad_server")
        if parts.username or parts.password:
            hint = "give the key in the environment: LEGO_API_KEY"
            raise SettingsError("the address holds a password", where=parts.hostname, hint=hint, code="bad_server")
        self.url, self.timeout, self._model = base.rstrip("/"), timeout, model
        self.name = f"{self.url}#{model}" if model else self.url
        secret = api_key(self.url) if key is None else key
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {secret}"} if secret else {})

    @functools.cached_property
    def model(self) -> str:
        """The model's name on the server."""
        if self._model:
            return self._model
        try:
            listed = self._asked("models", None).get("data", [])
        except Unsupported as error:
            raise error.told() from None
        found = [str(entry.get("id")) for entry in listed]
        if len(found) != 1:
            names = ", ".join(found[:8]) or "none"
            hint = f"say which, such as {self.url}#{found[0] if found else 'name'}; it lists {names}"
            raise SettingsError("the server has not just one model", where=self.url, hint=hint, code="which_model")
        return found[0]

    def complete(
        self, messages: Sequence[Mapping[str, Any]], *, tokens: int, temperature: float = 0.0, **more: Any
    ) -> Reply:
        """Let the model go on with a conversation.

        Args:
            messages: as the protocol has them.
            tokens: of the answer, thinking included.
            more: further keys of the request, such as ``seed`` or ``response_format``.

        Raises:
            Unsupported: the server does not take this request.
            PlanError: it does not answer, or with something else.
        """
        body = {"model": self.model, "messages": list(messages), "temperature": temperature, "max_tokens": tokens}
        return self._read(self._asked("chat/completions", {**body, **more}))

    def paint(self, image: Pillow.Image, words: str) -> bytes:
        """Let a server that edits pictures edit one; return the result as a file.

        Raises:
            PlanError: it does not answer, declines, or gives no picture.
        """
        file = io.BytesIO()
        image.save(file, "PNG")
        fields = {"prompt": words, "n": "1", "response_format": "b64_json"}
        fields |= {"model": self._model} if self._model else {}
        line = f"lego{uuid.uuid4().hex}"
        body = b"".join(_part(line, f'name="{name}"', value.encode()) for name, value in fields.items())
        body += (
            _part(line, 'name="image"; filename="image.png"', file.getvalue(), "image/png") + f"--{line}--\r\n".encode()
        )
        try:
            made = self._asked("images/edits", body, f"multipart/form-data; boundary={line}", PICTURE_LIMIT)
            return base64.b64decode(made["data"][0]["b64_json"], validate=True)
        except Unsupported as error:
            raise error.told() from None
        except (KeyError, IndexError, TypeError, ValueError):
            hint = f"{self.url}: it must give pictures in the answer itself, as b64_json"
            raise PlanError("the server gives no picture", hint=hint, code="bad_server") from None

    def _asked(
        self,
        path: str,
        body: Mapping[str, Any] | bytes | None,
        kind: str = "application/json",
        limit: int = LIMIT,
    ) -> dict[str, Any]:
        """Send a request, again if the server is busy; return what it answers."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self._headers, "Content-Type": kind}
        for number in range(TRIES):
            asked = urllib.request.Request(f"{self.url}/{path}", data, headers)
            try:
                with _opener().open(asked, timeout=self.timeout) as reply:
                    made = json.loads(reply.read(limit))
                if not isinstance(made, dict):
                    raise ValueError("not an object")
                return made
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read(SHOWN).decode("utf-8", "replace").strip()
                if error.code not in BUSY or number == TRIES - 1:
                    refused = Unsupported(error.code, said or str(error.reason), self.url)
                    raise (refused if error.code in REFUSED else refused.told()) from None
                time.sleep(_wait(error.headers.get("Retry-After"), number))
            except ValueError:
                hint = "is it OpenAI-compatible, and does the address end in /v1?"
                raise PlanError("the server answers no JSON", hint=f"{self.url}: {hint}", code="bad_server") from None
            except (OSError, http.client.HTTPException) as error:  # no connection, a broken one, or no answer in time
                if number == TRIES - 1 or isinstance(error, TimeoutError):
                    why = getattr(error, "reason", None) or error
                    hint = f"is {self.url} running? another builder: --builder nano"
                    message = f"the server does not answer: {why or type(error).__name__}"
                    slow = isinstance(error, TimeoutError)
                    raise PlanError(message, hint=hint, code="too_slow" if slow else "no_server") from None
                time.sleep(_wait(None, number))
        raise AssertionError("the last try returns or raises")

    def _read(self, reply: Mapping[str, Any]) -> Reply:
        """The words of an answer, wherever a server puts them."""
        try:
            choice = reply["choices"][0]
            message = choice["message"]
            calls = message.get("tool_calls") or [{}]
            called = calls[0].get("function", {}).get("arguments")
            content = _joined(message.get("content"))
            text = called if isinstance(called, str) else json.dumps(called) if called else content
            text = text or str(message.get("reasoning_content") or message.get("reasoning") or "")
            refusal = str(message.get("refusal") or "")
        except (KeyError, IndexError, TypeError, AttributeError):
            hint = f"{self.url}: is it OpenAI-compatible, and does the address end in /v1?"
            raise PlanError("the server gives no chat completion", hint=hint, code="bad_server") from None
        return Reply(text, choice.get("finish_reason") == "length", refusal)


def objects(text: str, strict: bool = True) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in a model's words that is not inside another.

    Args:
        strict: refuse control characters in strings, as JSON does.
    """
    decoder, at = json.JSONDecoder(strict=strict), 0
    while (at := text.find("{", at)) >= 0:
        try:
            data, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        at = end
        if isinstance(data, dict):
            yield data


def picture(image: Pillow.Image, kind: str = "JPEG", **options: Any) -> dict[str, Any]:
    """Return a picture as a part of a message; ``kind`` and ``options`` as in Pillow's ``save``."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind.lower()};base64,{data}"}}


def _part(line: str, name: str, value: bytes, kind: str = "") -> bytes:
    """One field of a form, as browsers send them."""
    head = f"--{line}\r\nContent-Disposition: form-data; {name}\r\n"
    head += f"Content-Type: {kind}\r\n" if kind else ""
    return head.encode() + b"\r\n" + value + b"\r\n"


def _joined(content: Any) -> str:
    """Content as text: some servers give a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _wait(asked: str | None, number: int) -> float:
    """Seconds before the next try."""
    try:
        return min(LONGEST_WAIT, max(0.0, float(asked or "")))
    except ValueError:
        return min(LONGEST_WAIT, WAIT * 2.0**number)


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    """One that follows no redirect: the key must not travel to another host."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> None:
            return None

    return urllib.request.build_opener(Stay)
