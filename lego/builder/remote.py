"""A served vision-language model as a builder: vLLM, SGLang, llama.cpp, Ollama, LM Studio, OpenAI and others.

They all speak the chat completions of OpenAI, and each leaves something out. So the answer is asked for in the
strictest way that a server takes (a JSON schema; a tool call; any JSON; words), the way that worked is remembered, and
whatever comes is read and checked as if nothing had been promised.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lego.builder.base import Plan, Request
from lego.builder.frame import NAMED, from_pixels, seen, sides
from lego.builder.planning import check_words
from lego.builder.prompt import Json
from lego.builder.rank import offered
from lego.builder.served import TIMEOUT, Server, Unsupported, objects, picture
from lego.builder.talker import Served, Talker
from lego.core.errors import PlanError, WorkflowError
from lego.core.problems import VERSION
from lego.core.registry import Tool
from lego.core.signature import REFERABLE, Param
from lego.core.workflow import Workflow

WAYS = ("json_schema", "tools", "json_object", "text")  # of asking, the strictest first
TOKENS = 4096  # of an answer, thinking included
QUALITY = 90  # of the JPEG that is sent
NAME = "plan"
AGAIN = "That was no plan. Answer with one line of JSON and nothing else."
THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
FREE = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)  # some templates open the thought themselves
SHAPE = """The plan: {"thought": "which words ask for which call", "steps": [{"tool": "...", "id": "s1", \
"args": {...}}, ...], "result": "$s1"}"""


class Remote:
    """Plans with a model behind an OpenAI-compatible server.

    Args and errors as in `lego.builder.served.Server`.
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = TIMEOUT) -> None:
        self.server = Server(url, key, timeout)
        self.name = self.server.name
        self._way = WAYS[0]

    @property
    def talker(self) -> Talker:
        """The same model, asked in words."""
        return Served(self.server)

    def plan(self, request: Request) -> Plan:
        """Write a workflow for the request; see `Builder.plan`."""
        check_words(request.instruction)
        pixels = bool(NAMED.search(self.server.model))
        prompt = f"{SHAPE}\n\n{Json(thought=0, pixels=pixels).prompt(request)}"  # some servers hide the schema
        look = picture(seen(request.image, pixels), quality=QUALITY)
        messages = [{"role": "user", "content": [look, {"type": "text", "text": prompt}]}]
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
        complaint: Unsupported | None = None
        for way in WAYS[WAYS.index(self._way) :]:
            try:
                reply = self.server.complete(messages, tokens=TOKENS, **_constraint(way, tools))
            except Unsupported as error:
                complaint = error
                continue
            self._way = way
            if reply.refusal and not reply.text:
                raise PlanError(f"the model declined: {reply.refusal}", hint="say it differently", code="declined")
            if reply.cut:
                raise PlanError(f"the model's plan has over {TOKENS} tokens", hint="ask for less", code="too_long")
            return reply.text
        assert complaint
        raise complaint.told()


def read(text: str) -> Plan:
    """Read a served model's answer: thinking, fences and prose around the plan are left out, nulls are no arguments.

    Raises:
        PlanError: it holds no plan (code "unreadable"), or the model declined.
    """
    body = FREE.sub("", THOUGHT.sub("", text))
    for data in objects(body):
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
