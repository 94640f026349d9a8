"""The command line, as a user types it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from lego.core.values import Image, Mask

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


def lego(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lego", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd or ROOT, check=False, timeout=120)


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One clear error of two lines at most, exit code 2, no traceback."""
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: ") or "Usage" in done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture
def coffee(photos: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(photos / "coffee.png", tmp_path / "coffee.png"))


def test_an_edit_writes_the_picture_and_tells_its_steps(coffee: Path, tmp_path: Path) -> None:
    done = lego("edit", coffee, "flip it horizontally", "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert "flip(" in done.stdout
    expected = Image.open(coffee).pixels[:, ::-1]
    assert np.array_equal(Image.open(tmp_path / "out.png").pixels, expected)


def test_an_edited_png_repeats_its_edit_on_another_picture(coffee: Path, photos: Path, tmp_path: Path) -> None:
    assert lego("edit", coffee, "flip it horizontally", "-o", tmp_path / "one.png").returncode == 0
    done = lego("run", tmp_path / "one.png", photos / "chelsea.png", "-o", tmp_path / "two.png")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(Image.open(tmp_path / "two.png").pixels, Image.open(photos / "chelsea.png").pixels[:, ::-1])


def test_a_plan_printed_can_be_run(coffee: Path, tmp_path: Path) -> None:
    done = lego("plan", coffee, "turn it black and white")
    (tmp_path / "w.json").write_text(done.stdout)
    assert json.loads(done.stdout)["version"] == 1
    assert lego("run", tmp_path / "w.json", coffee, "-o", tmp_path / "out.png").returncode == 0
    pixels = Image.open(tmp_path / "out.png").pixels
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_json_output_and_the_report_hold_the_trace(coffee: Path, tmp_path: Path) -> None:
    done = lego(
        "edit", coffee, "flip it", "--json", "--seed", 9, "-o", tmp_path / "o.png", "--report", tmp_path / "r.html"
    )
    data = json.loads(done.stdout)
    started = next(event for event in data["trace"] if event["event"] == "run_started")
    assert started["seed"] == 9
    assert "flip it" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_rounds_are_told_with_the_verdict(coffee: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    words = ("edit", coffee, "make it warmer and add grain", "--rounds", 2, "-o", tmp_path / "o.png")
    done = lego(*words, "--builder", "rules", "--report", page)
    assert done.returncode == 0, done.stderr
    assert "round 1 of 1: accepted (2 of 2 wishes can be seen)" in done.stdout
    assert "1 round" in page.read_text(encoding="utf-8")
    refused(lego(*words, "--critic", "nobody"), "no model 'nobody'")
    refused(lego("edit", coffee, "flip it", "--rounds", 11, "-o", tmp_path / "x.png"), "rounds", "less than or equal")


def test_an_abstract_wish_says_how_it_was_read(coffee: Path, tmp_path: Path) -> None:
    mine = tmp_path / "lego.toml"
    (tmp_path / "mine.toml").write_text(
        '[thirsty]\nen = ["{thing} is thirsty"]\ndo_en = "turn {thing} brown"\nwhy = "it dries"\n', encoding="utf-8"
    )
    mine.write_text('concepts = "mine.toml"\nbuilder = "rules"\n', encoding="utf-8")
    done = lego("edit", coffee, "the red cup is thirsty", "-o", tmp_path / "o.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "was read as: turn the red cup brown" in done.stdout + done.stderr
    (tmp_path / "mine.toml").write_text("[thirsty]\n", encoding="utf-8")
    refused(lego("edit", coffee, "flip it", "-o", tmp_path / "o.png", cwd=tmp_path), "mine.toml", "thirsty")


def test_a_result_in_words_is_printed_and_nothing_is_written(coffee: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = lego("edit", coffee, "describe it", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "vivid in colour" in done.stdout
    assert "wrote" not in done.stdout
    assert not out.exists()
    data = json.loads(lego("edit", coffee, "describe it", "--json", "-o", out).stdout)
    assert data["output"] is None
    assert "vivid in colour" in data["texts"][0]
    (tmp_path / "w.json").write_text(lego("plan", coffee, "describe it").stdout)
    done = lego("run", tmp_path / "w.json", coffee, "-o", out, "--report", tmp_path / "r.html")
    assert "vivid in colour" in done.stdout
    assert done.stdout.endswith(f"wrote {tmp_path / 'r.html'}\n")
    assert not out.exists()


def test_a_picture_and_words_are_written_and_printed(coffee: Path, tmp_path: Path) -> None:
    done = lego("edit", coffee, "make it black and white and describe it", "-o", tmp_path / "out.png")
    assert "without colour" in done.stdout
    assert done.stdout.endswith(f"wrote {tmp_path / 'out.png'}\n")
    assert (tmp_path / "out.png").exists()


def test_a_mask_and_a_box_say_where(coffee: Path, tmp_path: Path) -> None:
    Mask.from_box((600, 400), (100, 100, 200, 200)).save(tmp_path / "mask.png")
    for number, where in enumerate((("--mask", tmp_path / "mask.png"), ("--box", "100,100,200,200"))):
        out = tmp_path / f"{number}.png"
        done = lego("edit", coffee, "make it black and white", *where, "-o", out)
        assert done.returncode == 0, done.stderr
        changed = (Image.open(out).pixels != Image.open(coffee).pixels).any(2)
        assert changed[100:200, 100:200].any()
        changed[100:200, 100:200] = False
        assert not changed.any()


def test_a_tool_of_ones_own_is_used_from_a_plain_instruction(coffee: Path, tmp_path: Path) -> None:
    file = EXAMPLES / "my_tool.py"
    assert len([line for line in file.read_text().splitlines() if line.strip()]) <= 14
    done = lego("edit", coffee, "emboss it, depth 0.8", "--tools", file, "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert "emboss(image=$image, depth=0.8)" in done.stdout


def test_a_tool_with_a_mask_and_two_outputs_is_used_too(coffee: Path, tmp_path: Path) -> None:
    done = lego(
        "edit", coffee, "spotlight the red cup", "--tools", EXAMPLES / "spotlight.py", "-o", tmp_path / "out.png"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "segment(" in done.stdout
    assert "spotlight(" in done.stdout


def test_tools_are_listed_shown_and_checked() -> None:
    assert "segment" in lego("tools").stdout
    shown = lego("tools", "show", "segment")
    assert "target" in shown.stdout
    refused(lego("tools", "show", "segmnt"), "did you mean 'segment'")
    cards = json.loads(lego("tools", "--json").stdout)
    assert {"name", "parameters", "outputs", "phrases"} <= set(cards[0])
    assert lego("tools", "check", EXAMPLES / "my_tool.py").returncode == 0


def test_a_bad_tool_file_is_refused_with_every_fault(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import lego\n\n@lego.tool\ndef bad(image, n: int):\n    return image\n")
    done = lego("tools", "check", tmp_path / "bad.py")
    assert done.returncode == 2
    assert "bad.py:4: parameter 'image' has no type" in done.stderr
    assert "bad.py:4: parameter 'n' is a number without bounds" in done.stderr
    (tmp_path / "odd.py").write_text(
        "import lego\n\n@lego.tool\ndef odd(image: lego.Image) -> lego.Image:\n"
        "    '''Cut it.'''\n    return lego.Image(image.pixels[:9])\n"
    )
    refused(lego("tools", "check", tmp_path / "odd.py"), "broken promise")


def test_doctor_says_where_every_setting_comes_from(tmp_path: Path) -> None:
    (tmp_path / "lego.toml").write_text("seed = 5")
    done = lego("doctor", cwd=tmp_path)
    assert done.returncode == 0
    assert any("seed" in line and "lego.toml" in line for line in done.stdout.splitlines())
    assert "opencv-python-headless" in done.stdout
    assert "words and faces: installed" in done.stdout


def huge_header() -> bytes:
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def traps(photos: Path, tmp_path: Path) -> Path:
    """A folder of bad input."""
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "huge.png").write_bytes(huge_header())
    china = (photos / "china.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(china[: len(china) // 2])
    Pillow.new("L", (10, 10), 255).save(tmp_path / "small_mask.png")
    step = {"tool": "flip", "args": {"image": "$b"}}
    workflows = {
        "cycle": [{"id": "a", **step}, {"id": "b", "tool": "flip", "args": {"image": "$a"}}],
        "unknown": [{"id": "a", "tool": "segmnt", "args": {"image": "$image"}}],
        "range": [{"id": "a", "tool": "exposure", "args": {"image": "$image", "exposure": 99}}],
    }
    for name, steps in workflows.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": 1, "steps": steps, "result": "$a"}))
    (tmp_path / "broken.json").write_text('{"version": 1,')
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("edit", "PHOTO", "remove the unicorn"), ("unicorn", "--mask")),
        (("edit", "PHOTO", "add a dog"), ("dog",)),
        (("edit", "PHOTO", "what time is it?"), ()),
        (("edit", "PHOTO", ""), ("empty",)),
        (("edit", "PHOTO", "   "), ("empty",)),
        (("edit", "text.jpg", "flip it"), ("not a picture",)),
        (("edit", "huge.png", "flip it"), ("pixels",)),
        (("edit", "half.jpg", "flip it"), ("damaged",)),
        (("edit", "nowhere.jpg", "flip it"), ("nowhere.jpg",)),
        (("edit", "PHOTO", "remove it", "--mask", "small_mask.png"), ("10 x 10",)),
        (("edit", "PHOTO", "remove it", "--box", "1,2,3"), ("--box",)),
        (("edit", "PHOTO", "remove it", "--box", "1,2,3000,4"), ("not inside",)),
        (("edit", "PHOTO", "flip it", "--seed", "-1"), ("seed",)),
        (("edit", "PHOTO", "flip it", "--builder", "oracle"), ("oracle", "rules")),
        (("run", "cycle.json", "PHOTO"), ("waits for",)),
        (("run", "unknown.json", "PHOTO"), ("did you mean 'segment'",)),
        (("run", "range.json", "PHOTO"), ("-4..4",)),
        (("run", "broken.json", "PHOTO"), ("not JSON",)),
        (("run", "nowhere.json", "PHOTO"), ("nowhere.json",)),
        (("run", "PHOTO", "PHOTO"), ("no workflow in this picture",)),
    ],
)
def test_bad_input_gives_one_clear_error_and_leaves_the_output_alone(
    words: tuple[str, ...], says: tuple[str, ...], traps: Path, photos: Path
) -> None:
    output = traps / "precious.png"
    output.write_bytes(b"precious")
    done = lego(*(str(photos / "coffee.png") if w == "PHOTO" else w for w in words), "-o", output, cwd=traps)
    refused(done, *says)
    assert output.read_bytes() == b"precious"


def test_the_input_is_never_overwritten_and_formats_are_checked_first(coffee: Path, tmp_path: Path) -> None:
    before = coffee.read_bytes()
    refused(lego("edit", coffee, "flip it", "-o", coffee), "overwrite")
    refused(lego("edit", coffee, "flip it", "-o", tmp_path / "out.gif"), "format")
    refused(lego("edit", coffee, "flip it", "-o", tmp_path / "no" / "out.png"), "folder does not exist")
    assert coffee.read_bytes() == before


def test_the_version_is_printed() -> None:
    assert lego("--version").stdout.startswith("lego 0.")


def test_help_names_every_command() -> None:
    text = lego("--help").stdout
    for command in ("edit", "plan", "run", "tools", "doctor", "--install-completion"):
        assert command in text


def test_networks_are_listed_checked_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEGO_MODELS_FOLDER", str(tmp_path))
    (tmp_path / "yolox").mkdir()
    (tmp_path / "yolox" / "net.onnx").write_bytes(b"123")
    listed = lego("models", "list").stdout
    assert "CIDAS" not in listed
    assert "preset basic: yolox, yunet, hair, deeplab, clipseg, lama, depth-anything" in listed
    assert "put there by hand" not in listed
    assert "here     0 MB" in lego("models", "info", "yolox").stdout
    assert lego("models", "check").stdout == "ok   yolox\n"
    refused(lego("models", "check", "deeplab"), "1 of 1 are not whole")
    assert "yolox: 0 MB freed" in lego("models", "rm", "yolox").stdout
    assert not (tmp_path / "yolox").exists()
    refused(lego("models", "pull", "yolo"), "there are no weights 'yolo'", "did you mean 'yolox'?")


def test_engines_are_told_with_their_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEGO_MODELS_FOLDER", str(tmp_path))
    told = lego("tools", "--engines").stdout
    assert "clipseg needs the weights" in " ".join(told.split())
    cards = {card["name"]: card for card in json.loads(lego("tools", "--json").stdout)}
    assert cards["segment"]["engine"] == "embedded"
    assert "lego models pull yolox" in cards["segment"]["reason"]


def test_a_key_is_made_once_and_an_open_door_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = lego("serve", "--new-key", "me", "--keys", str(path))
    assert made.returncode == 0
    key = made.stdout.splitlines()[0]
    assert key.startswith("lego-")
    assert key not in path.read_text()
    for arguments, says in (
        (["--new-key", "me", "--keys", str(path)], "there is a key 'me' already"),
        (["--new-key", "you"], "no file to keep it in"),
        (["--host", "0.0.0.0", "--data", str(tmp_path)], "no keys are asked for"),
        (["--keys", str(tmp_path / "none.json"), "--data", str(tmp_path), "--no-studio"], "the keys cannot be read"),
        (["--database", "nothing://x", "--data", str(tmp_path), "--no-studio"], "the database cannot be opened"),
    ):
        refused(lego("serve", *arguments), says)


def test_a_brick_is_trained_on_the_command_line_and_used_by_its_folder(tmp_path: Path) -> None:
    from tests.rl import brick_data
    from tests.tools.neural import toys

    model = toys.save("instruct-pix2pix", tmp_path)
    data = brick_data.write(tmp_path / "pairs", 2)
    recipe = tmp_path / "blue.toml"
    recipe.write_text(
        f'name = "blue"\nfamily = "instruct-pix2pix"\nmodel = "{model}"\nsize = 64\nsteps = 1\nlr = 1e-3\n'
        'precision = "fp32"\ninfer_steps = 2\n[lora]\nrank = 2\n[card]\nname = "dip_in_blue"\n'
        'sentence = "Dip the ball in blue paint."\nphrases = { "dip the ball in blue" = {} }\nprompt = "blue"\n'
    )
    refused(lego("train", "brick", "--data", data), "--recipe", "needs it")
    refused(lego("train", "brick", "--recipe", recipe), "--data", "needs it")
    made = lego("train", "brick", "--recipe", recipe, "--data", data, "--out", tmp_path / "run")
    assert made.returncode == 0, made.stderr
    assert f'lego edit photo.jpg "dip the ball in blue" --tools {tmp_path / "run" / "brick"}' in made.stdout
    words = ("dip the ball in blue", "--tools", tmp_path / "run" / "brick", "--builder", "rules")
    done = lego("edit", data / "0-a.png", *words, "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert "dip_in_blue(image=$image)" in done.stdout
    assert Image.open(tmp_path / "out.png").size == (64, 64)
    refused(lego("edit", data / "0-a.png", "blue", "--tools", data), "brick.json")
