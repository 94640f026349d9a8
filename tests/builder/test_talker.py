"""Talkers: a served one is asked as the protocol says, a loaded one really answers, and both leave thinking out."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image as Pillow

from lego.builder import talker
from lego.core.errors import PlanError, SettingsError
from lego.core.values import Image
from tests.builder.models import build
from tests.serving import serving

WIDE = Image(np.random.default_rng(0).integers(0, 255, (300, 2000, 3), np.uint8))


class Server(BaseHTTPRequestHandler):
    """Answers with what its model is called."""

    heard: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.heard.append(body)
        code = 400 if body["model"] == "blind" else 200
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps({"choices": [{"message": {"content": body["model"]}}]}).encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Server) as address:
        yield f"{address}/v1"


def test_a_served_model_sees_small_copies_without_loss_before_the_words(url: str) -> None:
    assert talker.open(f"{url}#a cat").say("what is it?", [WIDE, WIDE], tokens=77) == "a cat"
    body = Server.heard[-1]
    first, second, words = body["messages"][0]["content"]
    assert words == {"type": "text", "text": "what is it?"}
    assert first == second
    assert body["max_tokens"] == 77
    data = first["image_url"]["url"].partition("base64,")[2]
    seen = Pillow.open(io.BytesIO(base64.b64decode(data)))
    assert seen.size == (1024, 154)
    assert seen.format == "PNG"
    assert body["temperature"] == 0
    assert "seed" not in body


def test_a_sampled_answer_tells_its_seed(url: str) -> None:
    talker.open(f"{url}#x").say("hello", temperature=0.7, seed=5)
    assert (Server.heard[-1]["seed"], Server.heard[-1]["temperature"]) == (5, 0.7)


def test_thinking_is_left_out(url: str) -> None:
    assert talker.open(f"{url}#<think>a or b?</think>\n a").say("?") == "a"


def test_a_server_that_takes_no_pictures_is_told(url: str) -> None:
    with pytest.raises(PlanError, match="answers 400") as caught:
        talker.open(f"{url}#blind").say("what is it?", [WIDE])
    assert "sees pictures" in caught.value.hint


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(SettingsError, match="no model 'rules'"):
        talker.open("rules")


@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl", "qwen3_vl"])
def test_a_loaded_model_answers_with_one_picture_two_or_none(kind: str, tmp_path: Path) -> None:
    model = talker.open(str(build(kind, tmp_path / kind)))
    for count in range(3):
        assert model.say("make it", [WIDE] * count, tokens=6) == model.say("make it", [WIDE] * count, tokens=6)
    sampled = {model.say("make it", [WIDE], tokens=8, temperature=1.5, seed=seed) for seed in (1, 1, 2, 3)}
    assert 2 <= len(sampled) <= 3  # of one seed one answer
