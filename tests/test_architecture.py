"""The map of the house, held against the imports."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "lego").rglob("*.py"))
MAY_IMPORT = {
    "core": set(),
    "report": {"core"},
    "tools": {"core"},
    "builder": {"core"},
    "executor": {"core"},
    "rounds": {"core", "builder", "executor"},
    "result": {"core", "builder", "executor", "report", "rounds"},
    "editor": {"core", "tools", "builder", "executor", "rounds", "result"},
    "batches": {"core", "tools", "editor", "report"},
    "server": {"core", "editor", "report"},
    "rl": {"core", "builder", "editor"},
    "cli": {"core", "tools", "builder", "executor", "editor", "batches", "report", "server", "rl"},
    "__init__": {"core", "editor", "batches"},  # for type checkers only; at run time the names are lazy
    "__main__": {"cli"},
}
TRAINERS = {
    "rl/stage.py",
    "rl/sft.py",
    "rl/grpo.py",
    "rl/optimizer.py",
    "rl/sight.py",
    "server/studio.py",
}  # subclasses of torch and of trainers, imported by those who train
HEAVY = {"torch", "transformers", "diffusers", "trl", "ray", "gradio"}


def part(file: Path) -> str:
    return file.relative_to(ROOT / "lego").parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    """Full names of everything imported anywhere in a file, inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_arrows_only_run_down(file: Path) -> None:
    here = part(file)
    for name in imports(parse(file)):
        pieces = name.split(".")
        if (
            pieces[0] == "lego"
            and len(pieces) > 1
            and (ROOT / "lego" / pieces[1]).exists() | (ROOT / "lego" / f"{pieces[1]}.py").exists()
        ):
            assert pieces[1] == here or pieces[1] in MAY_IMPORT[here], f"{here} may not import {name}"


def test_no_two_files_import_each_other_in_a_circle() -> None:
    names = {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in FILES}
    graph = {}
    for name, file in names.items():
        if name == "lego":
            continue  # its imports are for type checkers only
        nearest = {found if found in names else found.rpartition(".")[0] for found in imports(parse(file))}
        wanted = {name for name in nearest if name in names and name != "lego"}
        graph[name] = {w for w in wanted if w != name}
    while graph:
        ground = {name for name, wanted in graph.items() if not wanted & set(graph)}
        assert ground, f"a circle among {sorted(graph)}"
        graph = {name: wanted for name, wanted in graph.items() if name not in ground}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_house_rules_of_a_file(file: Path) -> None:
    tree = parse(file)
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 420
    assert file.stem not in ("utils", "common", "helpers", "misc")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is longer than 60 lines"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert part(file) == "cli", "print only in cli/"
        if isinstance(node, ast.Attribute) and node.attr == "environ":
            assert file.name == "settings.py", "os.environ is read in core/settings.py only"
    top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
    if str(file.relative_to(ROOT / "lego")) not in TRAINERS:
        assert not {name.split(".")[0] for name in imports(top)} & HEAVY, "heavy imports live inside functions"


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


def test_importing_lego_loads_nothing_heavy() -> None:
    loaded = set(fresh("import lego, sys; print(*sys.modules)").split())
    assert not loaded & (HEAVY | {"numpy", "cv2", "pydantic", "typer", "rich"})


@pytest.mark.default_builder
def test_an_edit_without_networks_never_loads_torch(tmp_path: Path) -> None:
    code = (
        "import lego, sys; lego.edit('docs/photos/coffee.png', 'turn the red cup blue'); "
        "print(*[m for m in sys.modules if m.split('.')[0] in "
        f"{sorted(HEAVY)!r}])"
    )
    assert fresh(code).strip() == ""


@pytest.mark.parametrize("name", ["tools", "builder", "executor", "rl"])
def test_the_links_at_the_top_refuse_to_be_imported_by_their_bare_names(name: str) -> None:
    assert (ROOT / name).is_symlink()
    assert os.readlink(ROOT / name) == f"lego/{name}"
    done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True, cwd=ROOT)
    assert f"write `import lego.{name}`" in done.stderr


def test_every_public_name_of_lego_exists() -> None:
    import lego

    assert sorted(lego._PLACES) == sorted(lego.__all__)
    for name in lego.__all__:
        assert getattr(lego, name) is not None
    with pytest.raises(AttributeError):
        _ = lego.nothing
