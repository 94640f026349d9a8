"""A served model as a builder: every way of asking, what servers do with it, and a network that really answers."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image as Pillow

import lego
import lego.tools  # registers them
from lego.builder import open as open_builder
from lego.builder import remote, served
from lego.builder.base import Request
from lego.builder.remote import Remote
from lego.core.errors import PlanError, SettingsError
from lego.core.registry import registry
from lego.core.settings import Settings, api_key
from lego.core.values import Image
from tests.serving import serving

PLAN: dict[str, Any] = {
    "thought": "warm it up: temperature", "decline": None,
    "steps": [
        {"tool": "temperature", "id": "s1",
         "args": {"image": "$image", "mask": None, "temperature": 20, "kelvin": None}}
    ],
    "result": "$s1",
}  # fmt: skip
TEXT = json.dumps(PLAN)
TOOLS = tuple(registry[name] for name in ("segment", "temperature", "remove", "crop", "draw_shape"))
REQUEST = Request(Image(np.zeros((30, 40, 3), np.uint8)), "warm it up", TOOLS)


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server; its model's name says how it behaves."""

    heard: ClassVar[list[dict[str, Any]]] = []
    models: ClassVar[list[str]] = ["only"]

    def do_GET(self) -> None:
        self.reply(200, {"data": [{"id": name} for name in self.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.heard.append({"path": self.path, "key": self.headers["Authorization"], **body})
        way = "tools" if "tools" in body else body.get("response_format", {}).get("type", "text")
        known = {"tools only": "tools", "objects only": "json_object", "words only": "text"}.get(body["model"], way)
        if way != known:
            return self.reply(400, {"error": {"message": f"'{way}' is not supported"}})
        return self.answer(body, way)

    def answer(self, body: dict[str, Any], way: str) -> None:
        message: dict[str, Any] = {"role": "assistant", "content": TEXT}
        turn = len(body["messages"])
        first = sum(1 for heard in self.heard if heard["model"] == body["model"]) == 1
        match body["model"]:
            case "Qwen2.5-VL boxes":
                step = {"tool": "crop", "id": "s1", "args": {"image": "$image", "box": [14, 0, 28, 56]}}
                message["content"] = json.dumps({**PLAN, "steps": [step]})
            case "tools only":
                message = {"content": None, "tool_calls": [{"function": {"name": "plan", "arguments": TEXT}}]}
            case "words only":
                message["content"] = f"<think>{{or {{}} this?}}</think>Here it is:\n```json\n{TEXT}\n```\nEnjoy!"
            case "opened thought":
                message["content"] = f"the user wants {{warmth}}\n</think>\n{TEXT}"
            case "thinks elsewhere":
                message = {"content": "", "reasoning_content": f"so {TEXT}"}
            case "parts":
                message["content"] = [{"type": "text", "text": TEXT[:50]}, {"type": "text", "text": TEXT[50:]}]
            case "objects":
                message = {"content": None, "tool_calls": [{"function": {"arguments": PLAN}}]}
            case "prose first":
                message["content"] = TEXT if turn > 1 else "I would make it warmer."
            case "prose":
                message["content"] = "I would make it warmer."
            case "refuses":
                message = {"content": None, "refusal": "not with people"}
            case "declines":
                message["content"] = json.dumps({"thought": "", "decline": "no such tool", "steps": [], "result": ""})
            case "busy once" if first:
                return self.reply(503, {"error": "loading"}, {"Retry-After": "0"})
            case "busy":
                return self.reply(429, {"error": "quota"}, {"Retry-After": "0"})
            case "locked":
                return self.reply(401, {"error": "no key"})
            case "elsewhere":
                return self.reply(307, {}, {"Location": "http://127.0.0.1:9/v1/chat/completions"})
            case "page":
                return self.reply(200, "<html>hello</html>")
            case "other":
                return self.reply(200, {"error": "none"})
            case "slow":
                time.sleep(0.6)
            case "cut":
                return self.reply(200, {"choices": [{"message": {"content": TEXT[:40]}, "finish_reason": "length"}]})
        return self.reply(200, {"choices": [{"message": message, "finish_reason": "stop"}]})

    def reply(self, code: int, data: Any, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write((data if isinstance(data, str) else json.dumps(data)).encode())
        except OSError:
            pass  # the slow one is not waited for

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Server) as address:
        yield f"{address}/v1"


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    Server.heard.clear()


@pytest.mark.parametrize(
    "model",
    ["strict", "tools only", "objects only", "words only", "opened thought", "thinks elsewhere", "parts", "objects",
     "prose first", "busy once"],
)  # fmt: skip
def test_whatever_a_server_understands_a_plan_comes_of_it(url: str, model: str) -> None:
    plan = Remote(f"{url}/#{model}").plan(REQUEST)
    assert plan.workflow.dump() == {
        "version": 1, "result": "$s1",
        "steps": [{"id": "s1", "tool": "temperature", "args": {"image": "$image", "temperature": 20}}],
    }  # fmt: skip
    assert plan.thought == "warm it up: temperature"


def test_the_way_that_worked_is_remembered(url: str) -> None:
    builder = Remote(f"{url}#objects only")
    builder.plan(REQUEST)
    assert len(Server.heard) == 3
    builder.plan(REQUEST)
    assert len(Server.heard) == 4
    assert Server.heard[-1]["response_format"] == {"type": "json_object"}


def test_the_model_sees_the_picture_the_cards_and_the_words_and_the_key_is_sent(url: str) -> None:
    Remote(f"{url}#strict", key="secret").plan(REQUEST)
    heard = Server.heard[-1]
    assert (heard["path"], heard["key"], heard["temperature"]) == ("/v1/chat/completions", "Bearer secret", 0)
    picture, words = heard["messages"][0]["content"]
    sent = Pillow.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2])))
    assert sent.size == (40, 30)
    assert all(tool.line_of_prompt in words["text"] for tool in TOOLS)
    assert words["text"].endswith('Instruction: "warm it up"')


def test_a_model_that_counts_pixels_is_sent_whole_patches_and_its_boxes_are_brought_back(url: str) -> None:
    plan = Remote(f"{url}#Qwen2.5-VL boxes").plan(REQUEST)  # the picture of 40 x 30 is sent as 56 x 56
    assert plan.workflow.steps[0].args["box"] == [250, 0, 500, 1000]
    picture, text = Server.heard[-1]["messages"][0]["content"]
    data = base64.b64decode(picture["image_url"]["url"].partition(",")[2])
    assert Pillow.open(io.BytesIO(data)).size == (56, 56)
    assert "56 wide, 56 high" in text["text"]


def test_the_schema_is_one_that_the_strictest_servers_take() -> None:
    def walk(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            yield part
            for value in part.values():
                yield from walk(value)
        elif isinstance(part, list):
            for value in part:
                yield from walk(value)

    made = remote.schema(tuple(registry))
    objects = [part for part in walk(made) if part.get("type") == "object" and isinstance(part.get("properties"), dict)]
    assert len(objects) == 1 + 2 * len(registry)
    assert all(part["required"] == list(part["properties"]) for part in objects)
    assert all(part["additionalProperties"] is False for part in objects)
    forbidden = {"oneOf", "default", "prefixItems", "minLength", "maxLength", "pattern", "minimum", "multipleOf"}
    assert not [part for part in walk(made) if forbidden & set(part)]
    first = [next(iter(step["properties"])) for step in made["properties"]["steps"]["items"]["anyOf"]]
    assert set(first) == {"tool"}


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        ("refuses", "declined", "not with people"), ("declines", "declined", "no such tool"),
        ("prose", "unreadable", "there is no JSON"), ("busy", "busy", "429"), ("locked", "bad_server", "401"),
        ("elsewhere", "bad_server", "307"), ("page", "bad_server", "no JSON"), ("other", "bad_server", "no chat"),
        ("slow", "too_slow", "does not answer"), ("cut", "too_long", "tokens"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_with_what_to_do(url: str, model: str, code: str, says: str) -> None:
    with pytest.raises(PlanError, match=says) as caught:
        Remote(f"{url}#{model}", timeout=0.3).plan(REQUEST)
    assert caught.value.code == code
    assert caught.value.hint


def test_nobody_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "WAIT", 0.0)
    with pytest.raises(PlanError, match="does not answer") as caught:
        Remote("http://127.0.0.1:9/v1#x").plan(REQUEST)
    assert "--builder nano" in caught.value.hint


def test_without_a_name_the_only_model_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Remote(url).plan(REQUEST)
    assert Server.heard[-1]["model"] == "only"
    monkeypatch.setattr(Server, "models", ["one", "two"])
    with pytest.raises(SettingsError, match="not just one model") as caught:
        Remote(url).plan(REQUEST)
    assert "one, two" in caught.value.hint


@pytest.mark.parametrize("address", ["ftp://x/v1", "http://", "http://me:secret@host/v1"])
def test_addresses_that_are_none_are_refused_and_passwords_are_not_repeated(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Remote(address)
    assert "secret" not in str(caught.value) or "address of a server" not in str(caught.value)


def test_the_key_comes_from_the_environment_goes_to_its_own_host_only_and_is_no_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    assert api_key("https://api.openai.com/v1") == "theirs"
    assert api_key("https://api.openai.com.evil.example/v1") == ""
    assert api_key("http://localhost:8000/v1") == ""
    monkeypatch.setenv("LEGO_API_KEY", "mine")
    assert api_key("http://localhost:8000/v1") == "mine"
    assert "mine" not in str(Settings.load().rows())


def test_a_served_builder_edits_by_its_address(url: str, photos: Path) -> None:
    builder = open_builder(f"{url}#strict")
    result = lego.Editor(builder).edit(photos / "coffee.png", "warm it up")
    assert [step.tool for step in result.workflow.steps] == ["temperature"]
    before, after = result.source.pixels.mean((0, 1)), result.image.pixels.mean((0, 1))
    assert after[0] - after[2] > before[0] - before[2]


def test_a_grammar_engine_lets_a_plan_through_and_nothing_else() -> None:
    import llguidance

    options = {"whitespace_flexible": False}
    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(remote.schema(TOOLS)), overrides=options)
    tokenizer = llguidance.LLTokenizer("byte")

    def whole(plan: dict[str, Any]) -> bool:
        matcher = llguidance.LLMatcher(tokenizer, grammar)
        assert not matcher.get_error()
        text = json.dumps(plan, separators=(",", ":"))
        return bool(matcher.consume_tokens(list(text.encode()))) and bool(matcher.is_accepting())

    assert whole(PLAN)
    step = PLAN["steps"][0]
    assert not whole({**PLAN, "steps": [{**step, "tool": "rm"}]})
    assert not whole({**PLAN, "steps": [{**step, "args": {"image": "$image"}}]})
    assert not whole({"steps": []})
