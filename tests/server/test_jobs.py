"""Jobs over HTTP: begun, watched, stopped, fetched, forgotten; and what a server that dies leaves behind."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as Pillow

import lego
from lego import Editor
from lego.core.registry import registry
from lego.core.values import Image
from tests.server.running import Running, running

OVER = ("completed", "failed", "canceled", "lost")


def picture() -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


TOOLS = '''
import time

import lego


@lego.tool(phrases=["dawdle"])
def slow(image: lego.Image, context: lego.Context) -> lego.Image:
    """Wait a while, a little at a time."""
    for number in range(500):
        context.progress(number / 500)
        time.sleep(0.02)
    return image
'''


def begin(client: httpx.Client, words: str = "make it warmer", headers: Any = None, **form: str) -> dict[str, Any]:
    reply = client.post("/v1/jobs", files={"image": picture()}, data={"prompt": words, **form}, headers=headers)
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def wait(client: httpx.Client, name: str, *states: str) -> dict[str, Any]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = dict(client.get(f"/v1/jobs/{name}").json())
        if found["state"] in (states or OVER):
            return found
        time.sleep(0.02)
    raise AssertionError(f"the job is still {found['state']}")


def told(reply: httpx.Response) -> list[tuple[int, dict[str, Any]]]:
    events = []
    for block in reply.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        events.append((int(lines.get("id", 0)), json.loads(lines["data"])))
    return events


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "my_tools.py").write_text(TOOLS)
    registry.load(folder / "my_tools.py")
    try:
        with running(folder, {"rules": Editor("rules")}, queue=4) as found:
            yield found
    finally:
        registry.remove("slow")


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.http() as found:
        yield found


def test_a_job_is_begun_at_once_and_its_picture_is_fetched(client: httpx.Client) -> None:
    begun = begin(client)
    assert begun["object"] == "job"
    done = wait(client, begun["id"])
    assert done["state"] == "completed"
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    fetched = client.get(done["result"]["images"][0])
    assert fetched.headers["content-type"] == "image/png"
    assert Image.open(fetched.content) == lego.edit(picture(), "make it warmer").image
    assert done["result"]["workflow"]["steps"][0]["tool"] == "temperature"
    assert client.get(f"/v1/jobs/{begun['id']}/images/1").status_code == 404


def test_every_step_can_be_fetched_if_that_was_asked_for(client: httpx.Client) -> None:
    words = "make it warmer, then flip it"
    job = wait(client, begin(client, words, **{"lego[steps]": "true"})["id"])
    first = client.get(f"/v1/jobs/{job['id']}/steps/s1/image")
    assert Image.open(first.content) == lego.edit(picture(), words).run.outputs["s1"]["image"]
    assert client.get(f"/v1/jobs/{job['id']}/steps/s9/image").status_code == 404
    plain = wait(client, begin(client, words)["id"])
    assert client.get(f"/v1/jobs/{plain['id']}/steps/s1/image").status_code == 404


def test_events_are_streamed_and_read_on_after_any_of_them(client: httpx.Client) -> None:
    name = begin(client, "make it warmer, then flip it")["id"]
    events = told(client.get(f"/v1/jobs/{name}/events"))  # ends with the job
    kinds = [data["event"] for _, data in events]
    assert kinds[:2] == ["planned", "run_started"]
    assert kinds.count("step_done") == 2
    assert kinds[-2:] == ["run_done", "job"]
    assert events[-1][1]["state"] == "completed"
    assert [number for number, _ in events[:-1]] == list(range(1, len(events)))
    rest = told(client.get(f"/v1/jobs/{name}/events", headers={"last-event-id": "3"}))
    assert rest == events[3:]
    assert client.get(f"/v1/jobs/{name}/events", headers={"last-event-id": "x"}).status_code == 400


def test_a_failure_says_what_a_reply_would_have_said(client: httpx.Client) -> None:
    done = wait(client, begin(client, "fly me to the moon")["id"])
    assert done["state"] == "failed"
    assert done["error"]["code"] == "not_understood"
    assert done["result"] is None


def test_a_running_job_and_a_waiting_one_are_stopped(client: httpx.Client) -> None:
    first, second = begin(client, "dawdle"), begin(client)
    wait(client, first["id"], "in_progress")
    assert client.post(f"/v1/jobs/{second['id']}/cancel").json()["state"] == "canceled"
    assert client.delete(f"/v1/jobs/{first['id']}").status_code == 409
    start = time.monotonic()
    client.post(f"/v1/jobs/{first['id']}/cancel")
    assert wait(client, first["id"])["state"] == "canceled"
    assert time.monotonic() - start < 2
    assert client.post(f"/v1/jobs/{first['id']}/cancel").json()["state"] == "canceled"


def test_a_client_that_goes_takes_its_edit_along(server: Running, client: httpx.Client) -> None:
    for stream in ("false", "true"):
        with pytest.raises(httpx.TimeoutException), server.http() as hasty:
            hasty.post(
                "/v1/images/edits", files={"image": picture()}, data={"prompt": "dawdle", "stream": stream}, timeout=0.6
            )
        newest = client.get("/v1/jobs", params={"limit": 1}).json()["data"][0]
        assert wait(client, newest["id"])["state"] == "canceled"


def test_a_full_queue_says_so_and_when_to_come_back(client: httpx.Client) -> None:
    jobs = [begin(client, "dawdle")]
    wait(client, jobs[0]["id"], "in_progress")
    jobs += [begin(client, "dawdle") for _ in range(4)]
    reply = client.post("/v1/jobs", files={"image": picture()}, data={"prompt": "dawdle"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert reply.headers["retry-after"] == "5"
    assert "x-should-retry" not in reply.headers
    for job in jobs[::-1]:
        client.post(f"/v1/jobs/{job['id']}/cancel")
    for job in jobs:
        assert wait(client, job["id"])["state"] == "canceled"


def test_a_second_try_with_the_same_token_finds_the_first(client: httpx.Client) -> None:
    one, again = (begin(client, headers={"idempotency-key": "once"})["id"] for _ in range(2))
    assert one == again
    assert begin(client)["id"] != one


def test_a_job_is_forgotten_with_its_pictures(client: httpx.Client) -> None:
    done = wait(client, begin(client)["id"])
    assert client.delete(f"/v1/jobs/{done['id']}").status_code == 204
    for path in ("", "/events", "/images/0"):
        assert client.get(f"/v1/jobs/{done['id']}{path}").status_code == 404


def test_lists_go_on_page_by_page(client: httpx.Client) -> None:
    names = [begin(client)["id"] for _ in range(3)]
    first = client.get("/v1/jobs", params={"limit": 2}).json()["data"]
    second = client.get("/v1/jobs", params={"limit": 1, "before": first[-1]["created_at"]}).json()["data"]
    assert [job["id"] for job in (*first, *second)] == names[::-1]
    for name in names:
        wait(client, name)


def test_plans_checks_tools_and_counters(client: httpx.Client) -> None:
    plan = client.post("/v1/plans", files={"image": picture()}, data={"prompt": "make it warmer"}).json()
    assert plan["workflow"]["steps"][0]["tool"] == "temperature"
    good = client.post("/v1/workflows/validate", json={"workflow": plan["workflow"]}).json()
    assert good == {"valid": True, "problems": []}
    plan["workflow"]["steps"][0]["args"] = {"image": "$later", "temperature": 1e9}
    bad = client.post("/v1/workflows/validate", json={"workflow": plan["workflow"]}).json()
    assert not bad["valid"]
    assert len(bad["problems"]) >= 2
    assert client.post("/v1/workflows/validate", json={"workflow": {}}).json()["valid"] is False
    cards = {card["name"]: card for card in client.get("/v1/tools").json()["data"]}
    assert cards["slow"]["description"] == "Wait a while, a little at a time."
    assert cards["exposure"]["parameters"]["properties"]["exposure"]["minimum"] < 0
    counted = client.get("/metrics").text
    assert 'lego_jobs_total{kind="edit",state="completed"}' in counted
    assert 'lego_step_seconds_count{engine="embedded",tool="temperature"}' in counted
    assert "lego_jobs_running 0.0" in counted


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    """`lego serve` as users start it."""
    tools = tmp_path / "my_tools.py"
    tools.write_text(TOOLS)
    processes: list[subprocess.Popen[str]] = []
    clients: list[httpx.Client] = []
    port = free_port()

    def start(*more: str) -> tuple[subprocess.Popen[str], httpx.Client]:
        command = [sys.executable, "-m", "lego", "serve", "--port", str(port), "--data", str(tmp_path / "data"),
                   "--builder", "rules", "--tools", str(tools), *more]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(process)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        clients.append(client)
        end = time.monotonic() + 40
        while time.monotonic() < end:
            try:
                client.get("/healthz")
                return process, client
            except httpx.TransportError:
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.1)
        raise AssertionError("it did not start")

    yield start
    for client in clients:
        client.close()
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def test_a_server_that_is_killed_loses_no_job_that_waited_and_shows_none_as_done(started: Any) -> None:
    process, client = started()
    running_ = begin(client, "dawdle")
    waiting = [begin(client)["id"] for _ in range(3)]
    wait(client, running_["id"], "in_progress")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    _, client = started()
    for name in waiting:
        done = wait(client, name)
        assert done["state"] == "completed"
        assert client.get(done["result"]["images"][0]).status_code == 200
    end = time.monotonic() + 25
    while (found := client.get(f"/v1/jobs/{running_['id']}").json())["state"] == "in_progress":
        assert time.monotonic() < end
        time.sleep(0.2)
    assert found["state"] == "lost"
    assert found["result"] is None


def test_a_server_that_is_stopped_takes_up_again_what_it_was_at(started: Any) -> None:
    process, client = started()
    job = begin(client, "dawdle")
    wait(client, job["id"], "in_progress")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in (0, -signal.SIGTERM)
    _, client = started()
    assert wait(client, job["id"], "in_progress")["state"] == "in_progress"
    assert any(tool["name"] == "slow" for tool in client.get("/v1/tools").json()["data"])


def test_many_edits_at_once_all_come_out_right(server: Running) -> None:
    whole = lego.edit(picture(), "make it warmer").image
    wrong: list[Any] = []

    def ask() -> None:
        with server.http() as client:
            for _ in range(4):
                reply = client.post("/v1/images/edits", files={"image": picture()}, data={"prompt": "make it warmer"})
                while reply.status_code == 429:
                    time.sleep(0.05)
                    reply = client.post(
                        "/v1/images/edits", files={"image": picture()}, data={"prompt": "make it warmer"}
                    )
                data = base64.b64decode(reply.json()["data"][0]["b64_json"])
                if Image.open(data) != whole:
                    wrong.append(reply)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)
