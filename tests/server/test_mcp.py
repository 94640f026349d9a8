"""Agents, with the official client: on stdio as they start it, in memory, and over HTTP behind the guard."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import numpy as np
import pytest
import uvicorn
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

import lego
from lego import Editor
from lego.core.values import Image
from lego.server import mcp
from lego.server.keys import add
from lego.server.options import Options

NAMES = ["edit_image", "plan_edit", "run_workflow", "list_tools"]


async def _asked(server: Any, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any], list[str]]:
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async with Client(server) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        replies = [await client.call_tool(name, args, progress_callback=hear) for name, args in calls]
    return names, replies, heard


def asked(server: Any, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any], list[str]]:
    """The names of the tools, the replies, and what was said about progress."""
    return asyncio.run(_asked(server, *calls))


@pytest.fixture(scope="module")
def coffee() -> bytes:
    return (Path(__file__).parents[2] / "docs" / "photos" / "coffee.png").read_bytes()


@pytest.fixture
def folder(tmp_path: Path, coffee: bytes) -> Path:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "coffee.png").write_bytes(coffee)
    (tmp_path / "secret.png").write_bytes(coffee)
    (tmp_path / "open" / "link.png").symlink_to(tmp_path / "secret.png")
    return tmp_path / "open"


@pytest.fixture
def server(folder: Path) -> Any:
    return mcp.create(Editor("rules"), [folder])


def test_an_agent_edits_a_file_and_sees_the_result(server: Any, folder: Path, coffee: bytes) -> None:
    call = {"image": "coffee.png", "instruction": "make it warmer, then flip it", "output": "out.png"}
    names, (reply,), heard = asked(server, ("edit_image", call))
    assert names == NAMES
    whole = lego.edit(coffee, "make it warmer, then flip it").image
    assert Image.open(base64.b64decode(reply.content[0].data)) == whole
    assert reply.content[0].mime_type == "image/png"
    assert Image.open(folder / "out.png") == whole
    facts = json.loads(reply.content[1].text)
    assert facts["size"] == [600, 400]
    assert facts["written"] == str(folder / "out.png")
    assert "s2: flip done" in heard


def test_an_agent_may_ask_for_rounds_and_hears_the_verdict(server: Any) -> None:
    call = {"image": "coffee.png", "instruction": "make it warmer", "rounds": 1}
    _, (reply,), _ = asked(server, ("edit_image", call))
    assert json.loads(reply.content[1].text)["verdict"]["outcome"] == "success"


def test_pictures_come_as_base64_too_and_a_plan_is_changed_and_run(server: Any, coffee: bytes) -> None:
    data = base64.b64encode(coffee).decode()
    _, (plan,), _ = asked(server, ("plan_edit", {"image": data, "instruction": "make it warmer"}))
    flow = json.loads(plan.content[0].text)["workflow"]
    flow["steps"][0]["args"]["temperature"] = -30
    call = {"image": f"data:image/png;base64,{data}", "workflow": flow}
    _, (reply,), _ = asked(server, ("run_workflow", call))
    assert Image.open(base64.b64decode(reply.content[0].data)) == lego.run(flow, coffee).image


def test_a_large_picture_is_shown_small_and_written_whole(server: Any, folder: Path) -> None:
    Image(np.full((2000, 3000, 3), 80, np.uint8)).save(folder / "large.png")
    call = {"image": "large.png", "instruction": "make it warmer", "output": "large_out.jpg"}
    _, (reply,), _ = asked(server, ("edit_image", call))
    assert Image.open(base64.b64decode(reply.content[0].data)).size == (1568, 1045)
    assert Image.open(folder / "large_out.jpg").size == (3000, 2000)


def test_the_cards_of_all_tools_are_told(server: Any) -> None:
    _, (reply,), _ = asked(server, ("list_tools", {}))
    cards = {card["name"]: card for card in json.loads(reply.content[0].text)}
    assert "exposure" in cards["exposure"]["parameters"]["properties"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"image": "coffee.png", "instruction": "fly me to the moon"}, "not understood"),
        ({"image": "../secret.png", "instruction": "make it warmer"}, "neither base64 nor a file that may be read"),
        ({"image": "link.png", "instruction": "make it warmer"}, "neither base64 nor a file that may be read"),
        ({"image": "/etc/passwd", "instruction": "make it warmer"}, "neither base64 nor a file that may be read"),
        ({"image": "a\0b", "instruction": "make it warmer"}, "neither base64 nor a file that may be read"),
        ({"image": "coffee.png", "instruction": "make it warmer", "output": "../out.png"}, "may not be written"),
        ({"image": "coffee.png", "instruction": "make it warmer", "output": "out.exe"}, "cannot write the format"),
        ({"image": "aGVsbG8=", "instruction": "make it warmer"}, "not a picture"),
        ({"image": "coffee.png", "instruction": "make it warmer", "mask": "aGVsbG8="}, "not a picture"),
        ({"image": "coffee.png", "instruction": "x", "seed": -1}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_done_is_said_to_the_agent(server: Any, folder: Path, call: dict[str, Any], says: str) -> None:
    before = sorted(folder.parent.rglob("*"))
    _, (reply,), _ = asked(server, ("edit_image", call))
    assert reply.is_error
    assert says in reply.content[0].text
    assert sorted(folder.parent.rglob("*")) == before


def test_it_is_started_by_agents_on_stdio(folder: Path, coffee: bytes) -> None:
    tools = folder / "my_tools.py"
    tools.write_text(
        "import lego\n\n\n@lego.tool(phrases=['polish'])\ndef polish(image: lego.Image) -> lego.Image:\n"
        '    """Polish the picture."""\n    return image\n'
    )
    command = ["-m", "lego", "mcp", "--folder", str(folder), "--builder", "rules", "--tools", str(tools)]
    started = StdioServerParameters(command=sys.executable, args=command)
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("edit_image", {"image": "coffee.png", "instruction": "polish it"}),
        ("list_tools", {}),
    )
    names, (reply, cards), _ = asked(started, *calls)
    assert names == NAMES
    assert json.loads(reply.content[1].text)["workflow"]["steps"][0]["tool"] == "polish"
    assert '"name": "polish"' in cards.content[0].text


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Over HTTP, with a key."""
    key = add(tmp_path / "keys.json", "agent")
    options = Options(tmp_path, keys=tmp_path / "keys.json")
    app = mcp.guarded(mcp.create(Editor("rules")), options)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none", timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp", key
    server.should_exit = True
    thread.join(20)


def test_over_http_it_stands_behind_the_guard(served: tuple[str, str], coffee: bytes) -> None:
    url, key = served
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    assert httpx.post(url, json=body).status_code == 401
    good = {"authorization": f"Bearer {key}"}
    assert httpx.post(url, json=body, headers={**good, "origin": "https://evil.example"}).status_code == 403
    assert httpx.post(url, json=body, headers={**good, "host": "evil.example"}).status_code == 400

    async def ask() -> Any:
        call = {"image": base64.b64encode(coffee).decode(), "instruction": "make it warmer"}
        async with (
            httpx2.AsyncClient(headers=good) as http,
            Client(streamable_http_client(url, http_client=http)) as one,
        ):
            return await one.call_tool("edit_image", call)

    reply = asyncio.run(ask())
    assert Image.open(base64.b64decode(reply.content[0].data)) == lego.edit(coffee, "make it warmer").image
