"""A server that really runs, on a free port, for tests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import uvicorn
from fastapi import FastAPI

from lego.editor import Editor
from lego.server.app import create
from lego.server.options import Options


@dataclass(frozen=True)
class Running:
    """A server under test."""

    url: str
    app: FastAPI

    def client(self, key: str = "any", **options: Any) -> openai.OpenAI:
        """The official client, which tries once."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, **options)

    def http(self, **options: Any) -> httpx.Client:
        """A plain client."""
        return httpx.Client(base_url=self.url, timeout=30, **options)


@contextlib.contextmanager
def running(folder: Path, editors: Mapping[str, Editor] | None = None, **options: Any) -> Iterator[Running]:
    """Serve for the length of a ``with`` block."""
    app = create(Options(folder, **options), editors or {"rules": Editor("rules")})
    config = uvicorn.Config(app, port=0, log_level="critical", ws="none", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    assert server.started
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Running(f"http://127.0.0.1:{port}", app)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
