"""The attacks that a server has to hold against, each over a real connection."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import openai
import pytest
from PIL import Image as Pillow

from lego.core.errors import SettingsError
from lego.server.keys import add
from lego.server.options import Options
from tests.server.running import Running, running

BODY_MB = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("guarded")
    options: dict[str, Any] = {"origins": ("https://good.example",), "hosts": ("edits.example",)}
    with running(folder, max_body_mb=BODY_MB, max_megapixels=1.0, body_seconds=1.0, **options) as found:
        yield found


def picture(width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(np.full((height, width, 3), 90, np.uint8)).save(file, kind)
    return file.getvalue()


def sent(
    server: Running,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    image: bytes | None = None,
) -> httpx.Response:
    files = {"image": ("a.png", picture() if image is None else image)}
    data = {"prompt": "make it warmer", **(form or {})}
    with server.http() as client:
        return client.post("/v1/images/edits", files=files, data=data, headers=headers or {})


def code(reply: httpx.Response) -> str:
    return str(reply.json()["error"]["code"])


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://good.example.evil"])
def test_pages_of_others_are_refused(server: Running, origin: str) -> None:
    reply = sent(server, {"origin": origin})
    assert (reply.status_code, code(reply)) == (403, "bad_origin")


def test_pages_of_our_own_and_allowed_ones_pass_and_so_does_who_names_none(server: Running) -> None:
    for headers in ({}, {"origin": server.url}, {"origin": "https://good.example"}):
        assert sent(server, headers).status_code == 200


def test_a_browser_that_says_that_another_site_sends_is_refused(server: Running) -> None:
    assert code(sent(server, {"sec-fetch-site": "cross-site"})) == "bad_origin"


@pytest.mark.parametrize("host", ["attacker.example", "127.0.0.1.attacker.example", "", "localhost.evil:80"])
def test_a_name_that_is_not_ours_is_refused(server: Running, host: str) -> None:
    """A name of the attacker's that leads to this machine: its page and its host agree, so the origin does not help."""
    reply = sent(server, {"host": host, "origin": f"http://{host}"})
    assert (reply.status_code, code(reply)) == (400, "bad_host")


def test_names_of_this_machine_and_allowed_ones_pass(server: Running) -> None:
    for host in ("localhost:99", "127.0.0.1", "[::1]:8000", "EDITS.example"):
        assert sent(server, {"host": host}).status_code == 200


def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_comes(server: Running) -> None:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.putrequest("POST", "/v1/images/edits")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(60 << 20))
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 413
    assert reply.headers["connection"] == "close"
    assert json.loads(reply.read())["error"]["code"] == "image_too_large"


def test_a_body_without_a_length_is_counted_as_it_comes(server: Running) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        for _ in range(2 * BODY_MB):
            yield bytes(1 << 20)

    with server.http() as client:
        reply = client.post(
            "/v1/images/edits", content=pieces(), headers={"content-type": "multipart/form-data; boundary=x"}
        )
    assert (reply.status_code, code(reply)) == (413, "image_too_large")


def test_a_body_that_does_not_come_is_given_up(server: Running) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as line:
        line.sendall(
            b"POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 1000\r\n\r\n--x\r\n"
        )
        start = time.monotonic()
        assert b" 408 " in line.recv(4096)
        assert time.monotonic() - start < 8


def test_a_large_text_in_a_form_is_refused(server: Running) -> None:
    assert sent(server, form={"prompt": "a" * ((1 << 20) + 1)}).status_code == 400


def bomb(side: int) -> bytes:
    """A small PNG whose header promises many pixels, of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes((side // 8 + 1) * 1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [1500, 16_000, 17_000, 60_000])
def test_a_picture_that_would_unpack_too_large_is_refused_by_its_header(server: Running, side: int) -> None:
    start = time.monotonic()
    reply = sent(server, image=bomb(side))
    assert reply.status_code in (400, 413)
    assert code(reply) in ("image_too_large", "invalid_image")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(("width", "height"), [(1200, 1200), (16_000, 16_000), (16_384, 5)])
def test_what_a_tool_is_asked_to_make_has_the_same_limit(server: Running, width: int, height: int) -> None:
    args = {"image": "$image", "width": width, "height": height}
    flow = json.dumps({"version": 1, "steps": [{"id": "s1", "tool": "resize", "args": args}], "result": "$s1"})
    reply = sent(server, form={"lego[workflow]": flow})
    if width * height < 1e6:
        assert reply.status_code == 200
    else:
        assert reply.status_code in (400, 500)
        assert "megapixels" in reply.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "GIF"])
def test_formats_with_a_past_are_not_read(server: Running, kind: str) -> None:
    assert code(sent(server, image=picture(kind=kind))) == "invalid_image"


@pytest.mark.parametrize("broken", [picture()[:60], b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a"])
def test_what_is_no_picture_or_half_of_one_is_said_to_be_so(server: Running, broken: bytes) -> None:
    reply = sent(server, image=broken)
    assert reply.status_code == 400
    assert code(reply) in ("invalid_image", "damaged", "missing_required_parameter")


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs/../../etc/passwd", "/v1/jobs/%2e%2e%2f%2e%2e", "/v1/jobs/" + "0" * 32 + "/images/..%2f..%2fjobs.sqlite",
     "/pictures", "/v1/jobs/" + "0" * 32 + "/steps/..%2f/x", "/static/../../x"],
)  # fmt: skip
def test_no_path_leads_to_a_file(server: Running, path: str) -> None:
    with server.http() as client:
        reply = client.get(path)
    assert reply.status_code in (400, 404)
    assert "error" in reply.json()


def test_replies_keep_browsers_from_guessing_and_methods_are_answered_in_one_form(server: Running) -> None:
    with server.http() as client:
        replies = [
            client.get("/healthz"),
            client.get("/v1/images/edits"),
            client.get("/nothing"),
            client.put("/metrics"),
        ]
    assert [reply.status_code for reply in replies] == [200, 405, 404, 405]
    for reply in replies:
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert len(reply.headers["x-request-id"]) == 32
    assert [code(reply) for reply in replies[1:]] == ["method_not_allowed", "not_found", "method_not_allowed"]


def test_a_workflow_cannot_name_files_or_many_steps(server: Running) -> None:
    steps = [{"id": f"s{n}", "tool": "flip", "args": {"image": "$image"}} for n in range(200)]
    flow = json.dumps({"version": 1, "steps": steps, "result": "$s1"})
    assert code(sent(server, form={"lego[workflow]": flow})) == "unsupported_value"
    assert sent(server, form={"lego[workflow]": "/etc/passwd"}).status_code == 422


class TestKeys:
    @pytest.fixture(scope="class")
    @staticmethod
    def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str, str]]:
        folder = tmp_path_factory.mktemp("keyed")
        one, other = add(folder / "keys.json", "one"), add(folder / "keys.json", "other")
        entries = json.loads((folder / "keys.json").read_text())
        entries[1]["per_minute"] = 2
        (folder / "keys.json").write_text(json.dumps(entries))
        with running(folder / "data", keys=folder / "keys.json") as found:
            yield found, one, other

    def test_without_the_key_nothing_but_health_is_answered(self, keyed: tuple[Running, str, str]) -> None:
        server, one, _ = keyed
        with server.http() as client:
            for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {one}"},
                           {"authorization": b"Bearer \xff\xfe"}):  # fmt: skip
                for path in ("/v1/tools", "/v1/models", "/metrics", "/openapi.json", "/v1/jobs"):
                    reply = client.get(path, headers=header)  # type: ignore[arg-type]
                    assert (reply.status_code, code(reply)) == (401, "invalid_api_key")
            assert client.get("/healthz").status_code == 200
            assert client.get("/v1/models", headers={"authorization": f"bearer {one}"}).status_code == 200
        with pytest.raises(openai.AuthenticationError):
            server.client("wrong").images.edit(image=picture(), prompt="make it warmer")

    def test_nobody_sees_the_work_of_others(self, keyed: tuple[Running, str, str]) -> None:
        server, one, other = keyed
        mine = {"authorization": f"Bearer {one}"}
        theirs = {"authorization": f"Bearer {other}"}
        with server.http() as client:
            data = {"prompt": "make it warmer", "lego[steps]": "true"}
            job = client.post("/v1/jobs", files={"image": picture()}, data=data, headers=mine).json()["id"]
            while client.get(f"/v1/jobs/{job}", headers=mine).json()["state"] != "completed":
                time.sleep(0.02)
            for path in ("", "/events", "/images/0", "/steps/s1/image"):
                assert client.get(f"/v1/jobs/{job}{path}", headers=mine).status_code == 200
                assert client.get(f"/v1/jobs/{job}{path}", headers=theirs).status_code == 404
            assert client.post(f"/v1/jobs/{job}/cancel", headers=theirs).status_code == 404
            assert client.delete(f"/v1/jobs/{job}", headers=theirs).status_code in (404, 429)
            assert client.get("/v1/jobs", headers=theirs).json()["data"] == []
            assert len(client.get("/v1/jobs", headers=mine).json()["data"]) == 1

    def test_who_asks_too_often_is_told_when_to_come_back(self, keyed: tuple[Running, str, str]) -> None:
        server, _, other = keyed
        client = server.client(other)
        replies: list[Any] = []
        for _ in range(4):
            try:
                replies.append(client.images.edit(image=picture(), prompt="make it warmer"))
            except openai.RateLimitError as error:
                replies.append(error)
        caught = replies[-1]
        assert isinstance(caught, openai.RateLimitError)
        assert 0 < int(caught.response.headers["retry-after"]) <= 60


def test_beyond_this_machine_it_does_not_start_without_keys(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.7", "edits.example"):
        with pytest.raises(SettingsError, match="no keys are asked for"):
            Options(tmp_path, host=host).check()
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        Options(tmp_path, host=host).check()
    Options(tmp_path, host="0.0.0.0", keys=tmp_path / "keys.json").check()
