"""Weights: fetched from a hub on this machine that behaves as the real one, kept, checked, removed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from lego.core.errors import SettingsError
from lego.tools.neural import weights
from lego.tools.neural.catalogue import CATALOGUE, PRESETS, Weights
from tests.serving import serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "toy"}',
    "model.safetensors": bytes(range(256)) * 40_000,
    "pytorch_model.bin": b"a pickle",
    "README.md": b"words",
    "vocab.txt": b"[PAD]\n[UNK]\n",
}
TOY = Weights("toy", "does nothing", 1.0, 10, "Apache-2.0", hub="someone/toy")


class Hub(BaseHTTPRequestHandler):
    """What of the hub's protocol its client uses to list and fetch the files of a model."""

    protocol_version = "HTTP/1.1"
    cut_after: ClassVar[int | None] = None  # bytes of the large file after which the connection breaks, once
    ranges: ClassVar[list[str]] = []
    told: ClassVar[dict[str, bytes]] = dict(FILES)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/someone/gated"):
            self.reply(403, b"{}", {"X-Error-Code": "GatedRepo"}, body)
        elif path.startswith("/api/models/someone/toy"):
            siblings = [
                {"rfilename": name, "size": len(data), **({"lfs": lfs(data)} if name.endswith("tensors") else {})}
                for name, data in self.told.items()
            ]
            facts = {"id": "someone/toy", "sha": COMMIT, "siblings": siblings}
            self.reply(200, json.dumps(facts).encode(), {"Content-Type": "application/json"}, body)
        elif path.startswith("/someone/toy/resolve/") or path.startswith("/direct/"):
            self.file(path.rpartition("/")[2], body)
        else:
            self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

    def file(self, name: str, body: bool) -> None:
        data = FILES[name]
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").partition("-")[0] or 0) if asked else 0
        if body and start:
            self.ranges.append(asked)
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        cut = type(self).cut_after if body and name.endswith("tensors") else None
        if cut is not None:
            type(self).cut_after = None
            self.send_response(200)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data[:cut])
            self.close_connection = True
            return
        self.reply(206 if start else 200, data[start:], headers, body)

    def reply(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


def lfs(data: bytes) -> dict[str, object]:
    digest = hashlib.sha256(data).hexdigest()
    return {"sha256": digest, "oid": digest, "size": len(data), "pointerSize": 130}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Hub, "told", dict(FILES))
    monkeypatch.setattr(Hub, "cut_after", None)
    Hub.ranges.clear()
    with serving(Hub) as address:
        yield address


def pulled(hub: str, folder: Path, toy: Weights = TOY) -> weights.Found:
    return weights.pull(toy, folder, endpoint=hub)


def test_weights_are_fetched_whole_without_pickles_where_safetensors_are(hub: str, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found = weights.pull(TOY, tmp_path, lambda *state: told.append(state), endpoint=hub)
    names = {"config.json", "model.safetensors", "vocab.txt"}
    assert set(found.files) == names
    assert {p.name for p in (tmp_path / "toy").rglob("*") if p.is_file()} == {*names, weights.MANIFEST}
    assert (tmp_path / "toy" / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert found.revision == COMMIT
    assert weights.read(tmp_path / "toy") == found
    assert told[-1] == ("toy", found.size, found.size)
    assert weights.check(tmp_path / "toy") == []


def test_a_pickle_is_taken_where_there_is_nothing_else(hub: str, tmp_path: Path) -> None:
    del Hub.told["model.safetensors"]
    assert "pytorch_model.bin" in pulled(hub, tmp_path).files


def test_what_is_here_is_not_fetched_again(hub: str, tmp_path: Path) -> None:
    first = pulled(hub, tmp_path)
    assert pulled("http://127.0.0.1:9", tmp_path) == first


def test_an_interrupted_download_goes_on_where_it_ended(hub: str, tmp_path: Path) -> None:
    one = replace(
        TOY, hub="", url=f"{hub}/direct/model.safetensors", bytes=len(FILES["model.safetensors"]),
        sha256=hashlib.sha256(FILES["model.safetensors"]).hexdigest(),
    )  # fmt: skip
    Hub.cut_after = 3_000_000
    with pytest.raises(SettingsError, match="cannot be fetched") as caught:
        weights.pull(one, tmp_path)
    assert "goes on where it ended" in caught.value.hint
    assert not (tmp_path / "toy").exists()
    found = weights.pull(one, tmp_path)
    assert found.size == len(FILES["model.safetensors"])
    assert [int(asked[6:-1]) > 1_000_000 for asked in Hub.ranges] == [True]


def test_a_file_that_is_not_what_the_hub_says_is_refused_and_not_kept(hub: str, tmp_path: Path) -> None:
    Hub.told["model.safetensors"] = bytes(len(FILES["model.safetensors"]))
    with pytest.raises(SettingsError, match=r"'model.safetensors' is not what .* says"):
        pulled(hub, tmp_path)
    assert not (tmp_path / "toy").exists()
    Hub.told.update(FILES)
    assert pulled(hub, tmp_path).files


def test_a_gated_model_says_what_to_accept(hub: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="asks for an account") as caught:
        pulled(hub, tmp_path, replace(TOY, hub="someone/gated"))
    assert "https://huggingface.co/someone/gated" in caught.value.hint


def test_a_model_that_is_gone_and_no_connection_are_told(hub: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not there any more"):
        pulled(hub, tmp_path, replace(TOY, hub="someone/else"))
    with pytest.raises(SettingsError, match="cannot be fetched: "):
        weights.pull(replace(TOY, hub="", url="http://127.0.0.1:9/x.pt", bytes=1), tmp_path)


def test_without_room_nothing_is_begun(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(SettingsError, match="'toy' needs 10 MB, 1 MB are free"):
        pulled(hub, tmp_path)


def test_damage_is_found(hub: str, tmp_path: Path) -> None:
    pulled(hub, tmp_path)
    folder = tmp_path / "toy"
    (folder / "vocab.txt").unlink()
    (folder / "config.json").write_bytes(b"{}")
    data = bytearray(FILES["model.safetensors"])
    data[5] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert [fault.partition(" ")[0] for fault in sorted(weights.check(folder))] == [
        "config.json", "model.safetensors", "vocab.txt",
    ]  # fmt: skip
    (folder / weights.MANIFEST).write_text("{", encoding="utf-8")
    with pytest.raises(SettingsError, match="is broken"):
        weights.read(folder)


def test_a_folder_that_somebody_filled_by_hand_is_as_good(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "net.onnx").write_bytes(b"12345")
    assert weights.read(tmp_path / "toy").size == 5
    assert weights.check(tmp_path / "toy") == []


def test_removing_takes_the_halves_too_and_nothing_outside(hub: str, tmp_path: Path) -> None:
    found = pulled(hub, tmp_path)
    (tmp_path / "toy.part").mkdir()
    (tmp_path / "toy.part" / "x").write_bytes(b"123")
    assert weights.remove("toy", tmp_path) > found.size
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()
    assert weights.remove("../" + tmp_path.name, tmp_path / "a") == 0
    assert tmp_path.is_dir()


def test_names_and_presets_are_understood_and_the_nearest_is_named() -> None:
    assert [one.name for one in weights.named(["yolox", "basic"])] == [
        "yolox",
        "yunet",
        "hair",
        "deeplab",
        "clipseg",
        "lama",
        "depth-anything",
    ]
    with pytest.raises(SettingsError, match="no weights 'clipsec'") as caught:
        weights.named(["clipsec"])
    assert caught.value.hint == "did you mean 'clipseg'?"


def test_the_catalogue_is_sound() -> None:
    for name, one in CATALOGUE.items():
        assert one.name == name
        assert bool(one.hub) != bool(one.url)
        assert not one.url or (len(one.sha256) == 64 and one.bytes)
        assert one.megabytes > 0
        assert one.licence
    assert all(name in CATALOGUE for names in PRESETS.values() for name in names)
