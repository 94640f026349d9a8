"""A checkpoint with graphs plans without torch, with the same tokens as with it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import lego.tools  # registers the embedded tools
from lego import Editor
from lego.builder import light, local
from lego.builder import open as open_builder
from lego.builder.base import Request
from lego.builder.decode import answers
from lego.builder.light import Light
from lego.builder.local import Checkpoint, Local
from lego.core.errors import PlanError, SettingsError
from lego.core.registry import registry
from lego.core.values import Image
from lego.rl import instructions
from tests.builder.small import configure

ROOT = Path(__file__).parents[2]
TOKENS = 60  # of an answer: random weights write up to the limit
WORDS = ("make it warmer by 20%", "remove the sign on the left, then crop it to 4:5", "把天空调亮一点", "mirror it")


@pytest.fixture(scope="module")
def folder(exported: Path) -> Path:
    return exported


@pytest.fixture(scope="module")
def ours(folder: Path) -> Light:
    return Light(folder)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Checkpoint:
    return local.load(str(folder), "cpu")


def planned(builder: Local, request: Request) -> str:
    try:
        return builder.plan(request).workflow.json()
    except PlanError as error:
        return error.message


def planned_by(editor: Editor, picture: Image, words: str) -> str:
    try:
        return editor.plan(picture, words).workflow.json(None)
    except PlanError as error:
        return error.message


def test_the_light_way_writes_the_same_tokens_as_transformers(ours: Light, theirs: Checkpoint) -> None:
    lengths = set()
    for task in itertools.islice(instructions.tasks(registry, "val", seed=7), 40):
        assert ours.ids(task.request) == local.inputs_of(theirs, [task.request])["input_ids"][0].tolist()
        grammar = ours.form.grammar(task.request)
        assert grammar == theirs.form.grammar(task.request)
        one = answers(ours.start(task.request), [ours.constraint.start(grammar)], max_tokens=TOKENS)[0]
        other = answers(theirs.start(task.request), [theirs.constraint.start(grammar)], max_tokens=TOKENS)[0]
        assert one.ids == other.ids, task.request.instruction
        assert one.free == other.free
        assert ours.text(one.ids) == theirs.text(other.ids)
        np.testing.assert_allclose(one.logps, other.logps, atol=1e-3)
        lengths.add(len(one.ids))
    assert len(lengths) > 3


def test_sampled_answers_are_those_of_transformers_too(ours: Light, theirs: Checkpoint, small: Image) -> None:
    """As after a plan with problems: the same random numbers choose the same tokens."""
    request = Request(small, WORDS[1], tuple(registry))
    grammar = ours.form.grammar(request)
    found = set()
    for seed in range(6):
        options = {"temperature": 0.7, "seed": seed, "max_tokens": 30}
        one = answers(ours.start(request), [ours.constraint.start(grammar)], **options)[0]  # type: ignore[arg-type]
        other = answers(theirs.start(request), [theirs.constraint.start(grammar)], **options)[0]  # type: ignore[arg-type]
        assert one.ids == other.ids
        found.add(one.ids)
    assert len(found) > 1


@pytest.mark.parametrize("size", [(1, 1), (3, 517), (96, 96), (97, 95), (640, 480), (1500, 900)])
def test_the_picture_is_made_ready_to_the_same_numbers(ours: Light, theirs: Checkpoint, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    request = Request(Image(pixels), WORDS[0], tuple(registry))
    wanted = local.inputs_of(theirs, [request])
    found = ours.pixels(request.image)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted["pixel_values"].numpy())
    assert ours.ids(request) == wanted["input_ids"][0].tolist()


@pytest.mark.parametrize("words", [*WORDS, "write “<image> <end>” on it", "<w_3><T:crop>", "héllo  \t ☃ x" * 30])
def test_words_of_any_kind_become_the_same_tokens(ours: Light, theirs: Checkpoint, small: Image, words: str) -> None:
    request = Request(small, words, tuple(registry))
    assert ours.ids(request) == local.inputs_of(theirs, [request])["input_ids"][0].tolist()


def test_a_tokenizer_that_was_saved_while_it_padded_pads_nothing(ours: Light, tmp_path: Path, folder: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "padding"))
    facts = {"strategy": {"Fixed": 300}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0,
             "pad_type_id": 0, "pad_token": "<pad>"}  # fmt: skip
    configure(other, light.TOKENIZER, padding=facts, truncation=None)
    request = Request(Image(np.zeros((9, 9, 3), np.uint8)), WORDS[0], tuple(registry))
    padded = Light(other)
    assert padded.ids(request) == ours.ids(request)
    assert padded.form.grammar(request) == ours.form.grammar(request)
    assert padded.constraint.start("start: <none>").forced() == ours.constraint.start("start: <none>").forced()


def test_the_picture_matters(ours: Light) -> None:
    pictures = [Image(np.full((50, 50, 3), shade, np.uint8)) for shade in (0, 255)]
    dark, bright = (ours.start(Request(picture, WORDS[0], tuple(registry))).logits for picture in pictures)
    assert np.abs(dark - bright).max() > 1e-3


def test_a_folder_with_graphs_is_planned_with_lightly_unless_a_device_is_named(folder: Path, small: Image) -> None:
    quick, full = Local(folder), Local(folder, "cpu")
    assert (quick.light, full.light) == (True, False)
    for words in WORDS:
        request = Request(small, words, tuple(registry))
        assert planned(quick, request) == planned(full, request)


def test_the_same_words_give_the_same_plan_from_any_thread(folder: Path, small: Image) -> None:
    builder = Local(folder)
    requests = [Request(small, words, tuple(registry)) for words in WORDS] * 3
    alone = [planned(builder, request) for request in requests[: len(WORDS)]]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda request: planned(builder, request), requests)) == alone * 3


def test_an_editor_plans_with_it(folder: Path, small: Image) -> None:
    editor = Editor(str(folder))
    assert editor.builder.name == str(folder)
    plans = [planned_by(editor, small, words) for words in WORDS]
    assert any(plan.startswith("{") for plan in plans)


def test_it_plans_where_torch_and_transformers_cannot_be_imported(folder: Path, small: Image) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'tokenizers', 'safetensors', 'jinja2', 'onnx'):\n"
        "    sys.modules[name] = None\n"
        "import numpy as np\n"
        "from lego import Editor, Image\n"
        "from lego.core.errors import PlanError\n"
        f"editor = Editor({str(folder)!r})\n"
        "picture = Image(np.full((40, 60, 3), 90, np.uint8))\n"
        f"for words in {WORDS!r}:\n"
        "    try: print(editor.plan(picture, words).workflow.json(None))\n"
        "    except PlanError as error: print(error.message)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    builder, picture = Local(folder, "cpu"), Image(np.full((40, 60, 3), 90, np.uint8))
    wanted = [planned_by(Editor(builder), picture, words) for words in WORDS]
    assert done.stdout.strip().splitlines() == wanted
    assert any(line.startswith("{") for line in wanted)


@pytest.mark.parametrize(
    ("hidden", "hint"),
    [
        (("onnxruntime", "torch"), "install onnxruntime, or plan by rules"),
        (("llguidance",), "install llguidance, or plan by rules"),
    ],
)
def test_without_what_it_needs_the_error_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, hidden: tuple[str, ...], hint: str
) -> None:
    for name in hidden:
        monkeypatch.setitem(sys.modules, name, None)  # what Python itself does to forbid an import
    with pytest.raises(SettingsError) as caught:
        open_builder(str(folder))
    assert str(caught.value.hint).startswith(hint)
    assert caught.value.code == "not_installed"


def test_without_onnx_runtime_torch_plans(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert not Local(folder).light


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", [light.PICTURE, light.WEIGHTS, light.TOKENIZER])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str, small: Image) -> None:
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    (broken / name).unlink()
    with pytest.raises(SettingsError, match=f"has no {name}") as caught:
        open_builder(str(broken)).plan(Request(small, WORDS[0], tuple(registry)))
    assert caught.value.where == str(broken)
    assert "lego train export" in caught.value.hint


@pytest.mark.parametrize("name", [light.PICTURE, light.TEXT, light.WEIGHTS, light.TOKENIZER, "lego.json"])
def test_half_a_file_is_refused(folder: Path, tmp_path: Path, name: str, small: Image) -> None:
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    cut(broken / name)
    with pytest.raises(SettingsError, match="cannot be"):
        open_builder(str(broken)).plan(Request(small, WORDS[0], tuple(registry)))


def test_graphs_without_their_facts_are_refused(folder: Path, tmp_path: Path) -> None:
    import onnx

    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    graph = onnx.load(broken / light.TEXT, load_external_data=False)
    del graph.metadata_props[:]
    (broken / light.TEXT).write_bytes(graph.SerializeToString())
    with pytest.raises(SettingsError, match="cannot be loaded"):
        Light(broken)


def test_graphs_of_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    """As after more training, which writes float32: the graphs would read the wrong bytes."""
    from transformers import LlavaForConditionalGeneration

    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    model = LlavaForConditionalGeneration.from_pretrained(broken).float()
    model.save_pretrained(broken)
    with pytest.raises(SettingsError, match="made for other weights"):
        Light(broken)
