"""A served vision-language model as a builder: vLLM, SGLang, llama.cpp, Ollama, LM Studio, OpenAI and others.

They all speak the chat completions of OpenAI, and each leaves something out. So the answer is asked for in the
strictest way that a server takes (a JSON schema; a tool call; any JSON; words), the way that worked is remembered, and
whatever comes is read and checked as if nothing had been promised.
"""

from __future__ import annotations

import base64
import functools
import http.client
import io
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lego.builder.base import Plan, Request
from lego.builder.frame import NAMED, from_pixels, seen, sides
from lego.builder.planning import check_words
from lego.builder.prompt import Json
from lego.builder.rank import offered
from lego.core.errors import PlanError, SettingsError, WorkflowError
from lego.core.problems import VERSION
from lego.core.registry import Tool
from lego.core.settings import api_key
from lego.core.signature import REFERABLE, Param
from lego.core.workflow import Workflow

WAYS = ("json_schema", "tools", "json_object", "text")  # of asking, the strictest first
TRIES = 3  # for an answer of a busy server
WAIT, LONGEST_WAIT = 1.0, 20.0  # seconds before the next try: doubled each time, or as long as the server says
BUSY = (408, 409, 429, 500, 502, 503, 504)  # of HTTP: it may answer the next time
REFUSED = (400, 404, 415, 422, 501)  # of HTTP: perhaps it does not know this way of asking
TIMEOUT = 120.0  # seconds for one answer
TOKENS = 4096  # of an answer, thinking included
LIMIT = 4 << 20  # bytes of an answer that are read
QUALITY = 90  # of the JPEG that is sent
SHOWN = 300  # characters of a server's complaint that are repeated
NAME = "plan"
AGAIN = "That was no plan. Answer with one line of JSON and nothing else."
THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
FREE = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)  # some templates open the thought themselves
SHAPE = """The plan: {"thought": "which words ask for which call", "steps": [{"tool": "...", "id": "s1", \
"args": {...}}, ...], "result": "$s1"}"""


class Remote:
    """Plans with a model behind an OpenAI-compatible server.

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
        self._way = WAYS[0]

    @functools.cached_property
    def model(self) -> str:
        """The model's name on the server."""
        if self._model:
            return self._model
        found = [str(entry.get("id")) for entry in self._asked("models", None).get("data", [])]
        if len(found) != 1:
            listed = ", ".join(found[:8]) or "none"
            hint = f"say which, such as {self.url}#{found[0] if found else 'name'}; it lists {listed}"
            raise SettingsError("the server has not just one model", where=self.url, hint=hint, code="which_model")
        return found[0]

    def plan(self, request: Request) -> Plan:
        """Write a workflow for the request; see `Builder.plan`."""
        check_words(request.instruction)
        pixels = bool(NAMED.search(self.model))
        prompt = f"{SHAPE}\n\n{Json(thought=0, pixels=pixels).prompt(request)}"  # some servers hide the schema
        messages = [{"role": "user", "content": [_picture(request, pixels), {"type": "text", "text": prompt}]}]
        tools = offered(request.tools, request.instruction)
        text = self._answered(messages, tools)
        try:
            made = read(text)
        except PlanError as error:
            if error.code != "unreadable":
                raise
            again = [{"role": "assistant", "content": text[:TOKENS]}, {"role": "user", "content": AGAIN}]
            made = read(self._answered([*messages, *again], tools))
        size = sides(request.image.size, pixels)
        return replace(made, workflow=from_pixels(made.workflow, request.tools, size)) if pixels else made

    def _answered(self, messages: Sequence[Mapping[str, Any]], tools: tuple[Tool[..., Any], ...]) -> str:
        """Ask in the strictest way that the server takes."""
        complaint: _RefusedError | None = None
        for way in WAYS[WAYS.index(self._way) :]:
            body = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": TOKENS}
            try:
                reply = self._asked("chat/completions", {**body, **_constraint(way, tools)})
            except _RefusedError as error:
                complaint = error
                continue
            self._way = way
            return _said(reply, self.url)
        assert complaint
        raise complaint.told(self.url)

    def _asked(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """Send a request, again if the server is busy; return what it answers."""
        data = None if body is None else json.dumps(body).encode()
        for number in range(TRIES):
            asked = urllib.request.Request(f"{self.url}/{path}", data, self._headers)
            try:
                with _opener().open(asked, timeout=self.timeout) as reply:
                    made = json.loads(reply.read(LIMIT))
                if not isinstance(made, dict):
                    raise ValueError("not an object")
                return made
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read(SHOWN).decode("utf-8", "replace").strip()
                if error.code not in BUSY or number == TRIES - 1:
                    raise _RefusedError(error.code, said or str(error.reason)).sorted(self.url) from None
                time.sleep(_wait(error.headers.get("Retry-After"), number))
            except ValueError:
                hint = "is it OpenAI-compatible, and does the address end in /v1?"
                raise PlanError("the server answers no JSON", hint=f"{self.url}: {hint}", code="bad_server") from None
            except (OSError, http.client.HTTPException) as error:  # no connection, a broken one, or no answer in time
                if number == TRIES - 1 or isinstance(error, TimeoutError):
                    why = getattr(error, "reason", None) or error
                    hint = f"is {self.url} running? another builder: --builder nano"
                    message = f"the server does not answer: {why or type(error).__name__}"
                    raise PlanError(message, hint=hint, code="no_server") from None
                time.sleep(_wait(None, number))
        raise AssertionError("the last try returns or raises")


class _RefusedError(Exception):
    """The server does not take a request as it is."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said

    def sorted(self, url: str) -> Exception:
        """Itself if another way of asking may help, else what the user is told."""
        return self if self.status in REFUSED else self.told(url)

    def told(self, url: str) -> PlanError:
        hints = {401: "give the key in the environment: LEGO_API_KEY", 403: "the key has no right to this model"}
        hint = hints.get(self.status, "see the server's log; is the model one that sees pictures?")
        return PlanError(f"the server answers {self.status}: {self.said}", hint=f"{url}: {hint}", code="bad_server")


def read(text: str) -> Plan:
    """Read a served model's answer: thinking, fences and prose around the plan are left out, nulls are no arguments.

    Raises:
        PlanError: it holds no plan (code "unreadable"), or the model declined.
    """
    body = FREE.sub("", THOUGHT.sub("", text))
    for data in _objects(body):
        reason = data.get("decline")
        if reason and not data.get("steps"):
            raise PlanError(f"the model declined: {reason}", hint="say it differently", code="declined")
        if "steps" not in data:
            continue
        try:
            steps = [{**step, "args": _given(step["args"])} for step in data["steps"]]
            flow = Workflow.load({"version": VERSION, "steps": steps, "result": data["result"]})
        except (WorkflowError, KeyError, TypeError, AttributeError) as error:
            why = error.message if isinstance(error, WorkflowError) else f"{type(error).__name__} {error}"
            raise PlanError(f"the model's answer is no plan: {why}", hint=text[:200], code="unreadable") from None
        return Plan(flow, str(data.get("thought") or ""))
    raise PlanError("the model's answer is no plan: there is no JSON", hint=text[:200], code="unreadable")


def _given(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in args.items() if value is not None}


@functools.lru_cache(maxsize=8)
def schema(tools: tuple[Tool[..., Any], ...]) -> dict[str, Any]:
    """Return the schema of an answer as the strictest servers want it: every key required, bounds in words."""
    reference = {"type": "string", "description": "$image, $mask, $s1, or $s1.name of one of several outputs"}
    steps = [_step(tool) for tool in tools]
    plan = {
        "thought": {"type": "string", "description": "which words ask for which call"},
        "decline": {"type": ["string", "null"], "description": "why it cannot be done with these tools; else null"},
        "steps": {"type": "array", "items": {"anyOf": steps} if steps else {"type": "object"}},
        "result": reference,
    }
    return _object(plan)


def _step(tool: Tool[..., Any]) -> dict[str, Any]:
    args = {p.name: _value(p) for p in tool.params}
    return _object({"tool": {"type": "string", "const": tool.name}, "id": {"type": "string"}, "args": _object(args)})


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def _value(param: Param) -> dict[str, Any]:
    kind = "string" if param.kind in REFERABLE else param.kind
    said = [str(param).partition(": ")[2], param.description]
    one: dict[str, Any] = {"type": kind}
    if param.kind == "choice":
        one = {"type": "string", "enum": list(param.choices)}
    made: dict[str, Any] = {"type": "array", "items": one} if param.many else one
    made = made if param.required else {"anyOf": [made, {"type": "null"}]}
    return {**made, "description": ". ".join(filter(None, said))}


def _constraint(way: str, tools: tuple[Tool[..., Any], ...]) -> dict[str, Any]:
    """What is added to a request so that the answer is a plan."""
    if way == "json_schema":
        form = {"name": NAME, "strict": True, "schema": schema(tools)}
        return {"response_format": {"type": "json_schema", "json_schema": form}}
    if way == "tools":
        function = {"name": NAME, "description": "Give the plan.", "parameters": schema(tools)}
        choice = {"type": "function", "function": {"name": NAME}}
        return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
    return {"response_format": {"type": "json_object"}} if way == "json_object" else {}


def _said(reply: Mapping[str, Any], url: str) -> str:
    """The words of an answer, wherever a server puts them."""
    try:
        choice = reply["choices"][0]
        message = choice["message"]
        calls = message.get("tool_calls") or [{}]
        called = calls[0].get("function", {}).get("arguments")
        text = called if isinstance(called, str) else json.dumps(called) if called else _joined(message.get("content"))
        text = text or str(message.get("reasoning_content") or message.get("reasoning") or "")
        refusal = message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        hint = f"{url}: is it OpenAI-compatible, and does the address end in /v1?"
        raise PlanError("the server gives no chat completion", hint=hint, code="bad_server") from None
    if refusal and not text:
        raise PlanError(f"the model declined: {refusal}", hint="say it differently", code="declined")
    if choice.get("finish_reason") == "length":
        raise PlanError(f"the model's plan has over {TOKENS} tokens", hint="ask for less", code="too_long")
    return text


def _joined(content: Any) -> str:
    """Content as text: some servers give a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object in a text that is not inside another."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            data, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        at = end
        if isinstance(data, dict):
            yield data


def _picture(request: Request, pixels: bool) -> dict[str, Any]:
    file = io.BytesIO()
    seen(request.image, pixels).save(file, "JPEG", quality=QUALITY)
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}


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
