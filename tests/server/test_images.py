"""The door of OpenAI's clients, asked by the official client: replies, streams, masks, errors."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from PIL import Image as Pillow

import lego
from lego import Editor
from lego.core.values import Image, Mask
from tests.server.running import Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    editor = Editor("rules")
    with running(tmp_path_factory.mktemp("server"), {"rules": editor, "second": editor.twin()}) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[openai.OpenAI]:
    with server.client() as found:
        yield found


@pytest.fixture(scope="module")
def coffee() -> bytes:
    return (Path(__file__).parents[2] / "docs" / "photos" / "coffee.png").read_bytes()


def opened(text: str | None) -> Image:
    return Image.open(base64.b64decode(text or ""))


def edited(client: openai.OpenAI, **asked: Any) -> tuple[list[bytes], dict[str, Any]]:
    """The pictures of a reply as files, and all else in it."""
    reply: Any = client.images.edit(**asked)
    return [base64.b64decode(one.b64_json) for one in reply.data], reply.model_dump() | {"id": reply._request_id}


def png(array: Any) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(np.asarray(array, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_an_edit_gives_the_picture_that_lego_gives(client: openai.OpenAI, coffee: bytes) -> None:
    (picture,), reply = edited(client, image=coffee, prompt="make it warmer")
    assert Image.open(picture) == lego.edit(coffee, "make it warmer").image
    assert (reply["output_format"], reply["size"], reply["background"]) == ("png", "600x400", "opaque")
    assert reply["usage"]["input_tokens"] == 3
    ours = reply["x_lego"]
    assert ours["workflow"]["steps"][0]["tool"] == "temperature"
    assert ours["builder"] == "rules"
    assert "trace" not in ours
    assert len(reply["id"]) == 32


def test_all_that_may_be_asked_for(client: openai.OpenAI, coffee: bytes) -> None:
    pictures, reply = edited(
        client, image=coffee, prompt="make it warmer", n=2, size="300x100", output_format="jpeg", output_compression=60,
        model="second", quality="high", input_fidelity="high", user="me",
        extra_body={"lego": {"seed": 7, "trace": True}},
    )  # fmt: skip
    shown = [Pillow.open(io.BytesIO(picture)) for picture in pictures]
    assert [(p.format, p.size) for p in shown] == [("JPEG", (300, 100))] * 2
    ours = reply["x_lego"]
    assert ours["seeds"] == [7, 8]
    assert ours["builder"] == "second"
    assert ours["workflow"]["steps"][-1] == {
        "id": "size", "tool": "resize", "args": {"image": "$s1", "width": 300, "height": 100}
    }  # fmt: skip
    assert ours["trace"][0]["event"] == "planned"
    assert "values" not in json.dumps(ours["trace"])


def test_a_critic_may_send_a_result_round_and_its_verdict_comes_along(client: openai.OpenAI, coffee: bytes) -> None:
    extra = {"lego": {"rounds": 2, "seed": 3, "trace": True}}
    pictures, reply = edited(client, image=coffee, prompt="make it warmer", size="300x200", n=2, extra_body=extra)
    ours = reply["x_lego"]
    assert ours["verdict"]["outcome"] == "success"
    assert ours["verdict"]["scores"]["success"] == 10
    assert [event["event"] for event in ours["trace"]].count("reviewed") == 2
    assert ours["workflow"]["steps"][-1]["tool"] == "resize"
    assert ours["seeds"] == [3, 4]
    assert [opened_size(picture) for picture in pictures] == [(300, 200)] * 2
    with pytest.raises(openai.BadRequestError, match="rounds"):
        client.images.edit(image=coffee, prompt="make it warmer", extra_body={"lego": {"rounds": 4}})


def opened_size(picture: bytes) -> tuple[int, int]:
    return Pillow.open(io.BytesIO(picture)).size


def test_a_stream_shows_the_steps_on_the_way_and_then_the_result(client: openai.OpenAI, coffee: bytes) -> None:
    words = "make it warmer, then flip it, then add a border"
    with client.images.edit(image=coffee, prompt=words, stream=True, partial_images=3) as stream:
        events = list(stream)
    assert [event.type for event in events] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    first, second, last = (opened(event.b64_json) for event in events)
    whole = lego.edit(coffee, words)
    steps = [whole.run.outputs[name]["image"] for name in ("s1", "s2", "s3")]
    assert [first, second, last] == steps
    assert [getattr(event, "partial_image_index", None) for event in events] == [0, 1, None]
    assert events[-1].size == "680x480"
    with client.images.edit(image=coffee, prompt=words, stream=True, partial_images=1) as stream:
        one, done = list(stream)
    assert (opened(one.b64_json), opened(done.b64_json)) == (steps[1], steps[2])


def test_a_stream_that_fails_raises_in_the_client(client: openai.OpenAI, coffee: bytes) -> None:
    stream = client.images.edit(image=coffee, prompt="fly me to the moon", stream=True)
    with pytest.raises(openai.APIError, match="not understood") as caught:
        list(stream)
    assert caught.value.code == "not_understood"


async def _asynchronous(server: Running, coffee: bytes) -> tuple[Any, list[Any]]:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        reply = await client.images.edit(image=coffee, prompt="make it warmer")
        stream = await client.images.edit(image=coffee, prompt="make it warmer", stream=True)
        return reply, [event async for event in stream]


def test_the_asynchronous_client_works_too(server: Running, coffee: bytes) -> None:
    import asyncio

    reply, events = asyncio.run(_asynchronous(server, coffee))
    assert reply.data[0].b64_json == events[0].b64_json


def test_a_mask_is_clear_where_to_edit(client: openai.OpenAI, coffee: bytes) -> None:
    alpha = np.full((400, 600), 255, np.uint8)
    alpha[100:300, 200:400] = 0
    mask = png(np.dstack([np.zeros((400, 600, 3), np.uint8), alpha]))
    (picture,), _ = edited(client, image=coffee, mask=mask, prompt="make it darker")
    made = Image.open(picture)
    source = Image.open(coffee)
    same = (made.pixels == source.pixels).all(2)
    assert same[alpha == 255].all()
    assert not same[150:250, 250:350].any()
    assert made == lego.edit(coffee, "make it darker", mask=Mask(255 - alpha)).image


def test_a_mask_must_have_an_alpha_and_the_size_of_the_picture(client: openai.OpenAI, coffee: bytes) -> None:
    for mask, code in (
        (png(np.zeros((400, 600, 3))), "invalid_mask"),
        (png(np.zeros((40, 60, 4))), "mask_size_mismatch"),
        (b"no picture", "invalid_mask"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.images.edit(image=coffee, mask=mask, prompt="make it darker")
        assert (caught.value.code, caught.value.param) == (code, "mask")


def test_further_pictures_are_references(client: openai.OpenAI, coffee: bytes, photos: Path) -> None:
    second = (photos / "rocket.jpg").read_bytes()
    (picture,), _ = edited(client, image=[coffee, second], prompt="match the colors of the reference")
    assert Image.open(picture) == lego.edit(coffee, "match the colors of the reference", references=[second]).image


def test_a_workflow_runs_without_a_plan(client: openai.OpenAI, server: Running, coffee: bytes) -> None:
    flow = {
        "version": 1, "result": "$a",
        "steps": [{"id": "a", "tool": "flip", "args": {"image": "$image", "direction": "horizontal"}}],
    }  # fmt: skip
    (picture,), _ = edited(client, image=coffee, prompt="-", extra_body={"lego": {"workflow": json.dumps(flow)}})
    assert (Image.open(picture).pixels == Image.open(coffee).pixels[:, ::-1]).all()
    with server.http() as http:
        again = http.post("/v1/runs", files={"image": coffee}, data={"workflow": json.dumps(flow)}).json()
    assert base64.b64decode(again["data"][0]["b64_json"]) == picture


@pytest.mark.parametrize(
    ("asked", "kind", "code", "param"),
    [
        ({"prompt": " "}, openai.BadRequestError, "missing_required_parameter", "prompt"),
        ({"prompt": "fly me to the moon"}, openai.UnprocessableEntityError, "not_understood", None),
        ({"model": "none"}, openai.NotFoundError, "model_not_found", "model"),
        ({"size": "big"}, openai.BadRequestError, "unsupported_value", "size"),
        ({"size": "16385x1"}, openai.APIStatusError, "image_too_large", "size"),
        ({"n": 11}, openai.BadRequestError, "unsupported_value", "n"),
        ({"output_format": "gif"}, openai.BadRequestError, "unsupported_value", "output_format"),
        ({"background": "transparent", "output_format": "jpeg"}, openai.BadRequestError, "unsupported_value",
         "background"),
        ({"response_format": "url"}, openai.BadRequestError, "unsupported_value", "response_format"),
        ({"image": b"no picture"}, openai.BadRequestError, "invalid_image", "image[0]"),
        ({"extra_body": {"markup": "x"}}, openai.BadRequestError, "unsupported_value", "markup"),
        ({"extra_body": {"lego": {"nonsense": 1}}}, openai.BadRequestError, "unsupported_value", "lego[nonsense]"),
        ({"extra_body": {"lego": {"seed": -1}}}, openai.BadRequestError, "unsupported_value", "lego[seed]"),
        ({"extra_body": {"lego": {"workflow": "{"}}}, openai.UnprocessableEntityError, "not_json", None),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_so_that_the_client_raises_it(
    client: openai.OpenAI,
    coffee: bytes,
    asked: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    param: str,
) -> None:
    with pytest.raises(kind) as caught:
        client.images.edit(**{"image": coffee, "prompt": "make it warmer", **asked})
    assert (caught.value.code, caught.value.param) == (code, param)


def test_problems_of_a_workflow_come_all_at_once(client: openai.OpenAI, coffee: bytes) -> None:
    flow = {
        "version": 1, "result": "$b",
        "steps": [
            {"id": "a", "tool": "nothing", "args": {"image": "$image"}},
            {"id": "b", "tool": "exposure", "args": {"image": "$a", "exposure": 99}},
        ],
    }  # fmt: skip
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.images.edit(image=coffee, prompt="-", extra_body={"lego": {"workflow": json.dumps(flow)}})
    body: Any = caught.value.body
    assert len(body["problems"]) >= 2
    assert body["problems"][0]["hint"]


def test_what_is_only_told_comes_with_the_picture_as_it_was(client: openai.OpenAI, coffee: bytes) -> None:
    (picture,), reply = edited(client, image=coffee, prompt="describe the picture")
    assert Image.open(picture) == Image.open(coffee)
    assert reply["x_lego"]["texts"]


def test_models_are_the_builders(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["rules", "second"]
