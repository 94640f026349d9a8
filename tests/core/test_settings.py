"""Settings and their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from lego.core.errors import SettingsError
from lego.core.settings import Settings

pytestmark = pytest.mark.default_builder


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lego.toml").write_text("seed = 1\nworkers = 3\ntimeout = 5")
    monkeypatch.setenv("LEGO_SEED", "2")
    monkeypatch.setenv("LEGO_WORKERS", "4")
    settings = Settings.load({"seed": 3, "builder": None}, tmp_path)
    assert (settings.seed, settings.workers, settings.timeout, settings.builder) == (3, 4, 5.0, "nano")
    sources = settings.sources
    assert (sources["seed"], sources["workers"], sources["builder"]) == ("flag", "LEGO_WORKERS", "default")
    assert sources["timeout"].endswith("lego.toml")


@pytest.mark.parametrize("text", ["sed = 1", "seed = -1", "seed = 'many'", "seed = ", "max_megapixels = 0"])
def test_a_wrong_file_is_refused_with_its_place(text: str, tmp_path: Path) -> None:
    (tmp_path / "lego.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        Settings.load(folder=tmp_path)
    assert "lego.toml" in caught.value.where


def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEGO_SEED", "x")
    with pytest.raises(SettingsError) as caught:
        Settings.load(folder=tmp_path)
    assert caught.value.where == "LEGO_SEED"
    monkeypatch.setenv("LEGO_SEED", "1")
    monkeypatch.setenv("LEGO_SEEED", "1")
    with pytest.raises(SettingsError) as caught:
        Settings.load(folder=tmp_path)
    assert "did you mean 'seed'" in caught.value.hint
