"""Keys are kept as hashes, and a broken file is said to be so."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from lego.core.errors import SettingsError
from lego.server.keys import PREFIX, Keys, add


def test_a_key_is_known_and_kept_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    one, other = add(path, "one"), add(path, "other")
    assert one.startswith(PREFIX)
    assert one not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = Keys.load(path)
    found = [keys.owner(key) for key in (one.encode(), other.encode(), b"", b"\xff", one.encode()[:-1])]
    assert [owner and owner.name for owner in found] == ["one", "other", None, None, None]


def test_a_name_is_given_once(tmp_path: Path) -> None:
    add(tmp_path / "keys.json", "one")
    with pytest.raises(SettingsError, match="there is a key 'one' already"):
        add(tmp_path / "keys.json", "one")


@pytest.mark.parametrize("text", ["", "[]", "{}", '[{"name": "x"}]', '[{"name": "x", "sha256": "short"}]', "[1]"])
def test_a_broken_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(SettingsError):
        Keys.load(tmp_path / "keys.json")
    with pytest.raises(SettingsError):
        Keys.load(tmp_path / "missing.json")


def test_what_an_owner_may_stands_in_the_file(tmp_path: Path) -> None:
    key = add(tmp_path / "keys.json", "one")
    entries = json.loads((tmp_path / "keys.json").read_text())
    entries[0] |= {"priority": 5, "queued": 2, "per_minute": 3}
    (tmp_path / "keys.json").write_text(json.dumps(entries))
    owner = Keys.load(tmp_path / "keys.json").owner(key.encode())
    assert owner is not None
    assert (owner.priority, owner.queued, owner.per_minute) == (5, 2, 3)
