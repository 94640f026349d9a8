"""What several tests share: photographs, a registry that forgets, and small pictures."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lego.tools  # registers the embedded tools
from lego.core.registry import registry as default_registry
from lego.core.values import Image, Mask

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "docs" / "photos"


@pytest.fixture(scope="module", autouse=True)
def _put_aside() -> None:
    """What is there before a module stays until the end: who collects garbage in it need not walk over a gigabyte."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _rules(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests plan with the rules, whose plans no training changes; those marked so with what users get."""
    if request.node.get_closest_marker("default_builder") is None:
        monkeypatch.setenv("LEGO_BUILDER", "rules")


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photographs."""
    return PHOTOS


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Let a test register tools that are gone afterwards."""
    before = {tool.name: tool for tool in default_registry}
    yield
    for tool in list(default_registry):
        if before.get(tool.name) is not tool:
            default_registry.remove(tool.name)
    for tool in before.values():
        if tool.name not in default_registry:
            default_registry.add(tool)


@pytest.fixture
def small() -> Image:
    """A colourful picture of 40 x 30."""
    rng = np.random.default_rng(3)
    return Image(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))


@pytest.fixture
def disc() -> Mask:
    """A soft disc in 40 x 30."""
    x, y = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 30))
    return Mask((np.clip((0.6 - np.hypot(x, y)) * 8 + 0.5, 0, 1) * 255).astype(np.uint8))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint as training leaves it; copy it to change it."""
    from tests.builder.small import build

    return build(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with graphs for ONNX Runtime; copy it to change it."""
    from lego.rl.export import export

    return export(Path(shutil.copytree(trained, tmp_path_factory.mktemp("exported"), dirs_exist_ok=True)))
