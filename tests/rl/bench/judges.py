"""Judges for tests: one that answers what it is told to, and the same behind HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lego.core.values import Image
from lego.rl.bench import running, suites
from lego.rl.bench.formulas import Mode
from lego.rl.bench.judging import Asked
from lego.rl.bench.prompts import Prompts
from lego.rl.bench.running import Way
from lego.rl.bench.suite import Suite
from tests.rl.bench.copies import COPIES

Answer = Callable[[str, int], str]  # of the words and the number of the call, from 1


def good(words: str, number: int) -> str:
    """A whole reply to every question of every suite."""
    if "Brief reasoning" in words:
        return "Brief reasoning: well done\nRequest met: 5\nFit: 4\nRest kept: 4"
    if "Final Score" in words:
        return f"It is so.\nFinal Score: {1 if '1 if so' in words else 4}"
    for name in ("consistency", "quality"):
        if f'"{name}_score"' in words:
            return json.dumps({f"{name}_score": 5, f"{name}_reasoning": "kept"})
    if '"knowledge_score"' in words:
        return json.dumps({"instruction_score": 4, "knowledge_score": 3})
    if '"instruction_score"' in words:
        return json.dumps({"instruction_score": 3, "instruction_reasoning": "partly"})
    return json.dumps({"score": [9, 4] if "first picture" in words else [9, 10], "reasoning": "<b>fine</b>"})


class Canned:
    """A talker that gives prepared replies and remembers what it was asked."""

    name = "http://judge/v1#canned"

    def __init__(self, answer: Answer = good) -> None:
        self.answer, self.lock = answer, threading.Lock()
        self.asked: list[dict[str, Any]] = []

    def say(
        self,
        words: str,
        images: Sequence[Image] = (),
        *,
        tokens: int = 1024,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        with self.lock:
            facts = {"words": words, "images": list(images), "tokens": tokens, "temperature": temperature, "seed": seed}
            self.asked.append(facts)
            number = len(self.asked)
        return self.answer(words, number)


@contextlib.contextmanager
def served(answer: Answer = good) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve chat completions on this machine; give the judge's name and the list of requests."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # as the base class calls it
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            content = body["messages"][0]["content"]
            words = next(part["text"] for part in content if part["type"] == "text")
            reply = {"choices": [{"message": {"content": answer(words, len(asked))}, "finish_reason": "stop"}]}
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#judge", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def done(tmp_path: Path, name: str) -> tuple[Suite, list[Any], Path]:
    """A suite, the items of a small copy, and results that are the sources."""
    suite = suites.find(name)
    items = suite.load(COPIES[name](tmp_path / "data"))
    running.run(suite, items, Way(None), tmp_path / "out")
    return suite, items, running.home_of(suite, tmp_path / "out")


def asked(suite: Suite, answer: Answer = good, mode: Mode = "fixed", **options: Any) -> Asked:
    """A judge who gives prepared replies."""
    return Asked(suite, Canned(answer), Prompts(suite.prompts), mode, **options)
