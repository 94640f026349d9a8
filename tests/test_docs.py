"""Every Python block of the README and the docs runs, in order, and what they name exists."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

import lego.tools  # registers the embedded tools
from lego.core.registry import registry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)|!\[[^\]]*\]\(([^)]+)\)")


@pytest.mark.default_builder
@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    "page", [p for p in PAGES if "```python" in p.read_text(encoding="utf-8")], ids=lambda p: p.name
)
def test_the_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "docs"}
    for block in BLOCK.finditer(text):
        source = "\n" * text[: block.start(1)].count("\n") + block[1]  # so that errors name the page's own line
        exec(compile(source, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for first, second in LINK.findall(page.read_text(encoding="utf-8")):
        target = first or second
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_readme_names_the_tests_command_that_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip install -e ".[dev]" && pytest' in readme
    assert '-e ".[dev]"\n' in script
    assert script.endswith("\npytest\n")
    first = next(line.strip() for line in readme.splitlines() if line.startswith("    pip install . && lego edit"))
    assert first.partition("&& ")[2].partition(" -o ")[0] in script


@pytest.mark.parametrize("name", ["tools.md", "errors.md"])
def test_the_pages_made_from_the_code_are_up_to_date(name: str) -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == module.PAGES[name](), "run `make docs`"


def test_every_tool_that_gives_a_picture_is_shown_in_the_gallery() -> None:
    shown = json.loads((ROOT / "docs" / "families.json").read_text(encoding="utf-8"))
    unseen = {"red_eye"}  # there is no photograph with red eyes here that may be shown
    unseen |= {"layer_scale", "layer_subtract"}  # parts of other edits, nothing to look at by themselves
    tools = {t.name for t in registry.running() if any(o.kind == "image" for o in t.outputs)}
    assert tools - set(shown) == unseen
    assert set(shown) <= {t.name for t in registry}
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    for family in {registry[name].family for name in shown}:
        assert f"gallery/family-{family}.jpg" in page
