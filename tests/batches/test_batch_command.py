"""`lego batch` as a user types it: killed, stopped, out of memory, out of room, and gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lego.batches.items import Line
from lego.core.ledger import read
from lego.core.values import Image

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "lego", "batch"]
SLOW = """
import os, signal, time
from pathlib import Path
import lego

@lego.tool
def dawdle(image: lego.Image) -> lego.Image:
    \"\"\"Take a while.\"\"\"
    time.sleep(0.15)
    return image.replace(255 - image.pixels)

@lego.tool
def die(image: lego.Image) -> lego.Image:
    \"\"\"Be killed, as by a system that has no more memory, by pictures that are red.\"\"\"
    red, once = image.pixels[0, 0, 0] == 255, image.pixels[0, 0, 1]
    marker = Path(__file__).with_name("died")
    if red and not (once and marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return image
"""


def flow(tool: str) -> str:
    step = {"id": "s1", "tool": tool, "args": {"image": "$image"}}
    return json.dumps({"version": 1, "steps": [step], "result": "$s1"})


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Twelve small pictures, slow and deadly tools."""
    (tmp_path / "in" / "more").mkdir(parents=True)
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 200, (24, 32, 3), np.uint8)
        Image(pixels).save(tmp_path / "in" / ("more" if number % 2 else "") / f"{number:02}.png")
    (tmp_path / "mine.py").write_text(SLOW)
    for tool in ("dawdle", "die"):
        (tmp_path / f"{tool}.json").write_text(flow(tool))
    return tmp_path


def words(desk: Path, out: str, tool: str = "dawdle", *more: object) -> list[str]:
    options = ["--workflow", desk / f"{tool}.json", "--tools", desk / "mine.py", "-o", desk / out, *more]
    return [*COMMAND, str(desk / "in"), *map(str, options)]


def lego(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)


def pictures(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*.png") if ".lego" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def lines(out: Path) -> list[Line]:
    return read(out / ".lego" / "ledger.jsonl", Line)


def begun(command: list[str], out: Path, count: int) -> subprocess.Popen[str]:
    """Start a batch, and wait until so many items are done."""
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    end = time.monotonic() + 60
    while len(lines(out)) < count:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    return running


def children(pid: int) -> set[int]:
    lists = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return {int(child) for found in lists for child in found.split()}


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's list of children")
def test_killed_in_the_middle_it_loses_nothing_and_does_nothing_twice(desk: Path) -> None:
    out = desk / "out"
    running = begun(words(desk, "out", "dawdle", "--workers", 2), out, 3)
    workers = children(running.pid)
    running.kill()
    running.communicate()
    assert len(workers) == 2
    end = time.monotonic() + 10
    while not all(gone(worker) for worker in workers):  # nobody goes on working for one who is dead
        assert time.monotonic() < end
        time.sleep(0.02)
    before = len(lines(out))
    assert 3 <= before < 12
    left = out / ".00.png.abcd1234"  # as a process leaves it that is killed while it writes
    left.write_bytes(b"half")
    done = lego(*words(desk, "out"))
    assert done.returncode == 0, done.stderr
    assert f"12 of 12 done ({before} of them before)" in done.stdout
    assert not left.exists()
    assert set(Counter(line.output for line in lines(out)).values()) == {1}
    assert lego(*words(desk, "whole")).returncode == 0
    assert pictures(out) == pictures(desk / "whole")
    assert len(pictures(out)) == 12


def test_ctrl_c_finishes_what_is_under_way_and_says_how_to_go_on(desk: Path) -> None:
    running = begun(words(desk, "out", "dawdle", "--workers", 2), desk / "out", 2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "of 12 are done" in said
    assert "same command again" in said
    assert "Traceback" not in said
    assert (desk / "out" / "sheet.html").exists()
    assert lego(*words(desk, "out")).returncode == 0
    assert set(Counter(line.output for line in lines(desk / "out")).values()) == {1}


def test_a_second_ctrl_c_breaks_off_what_is_under_way(desk: Path) -> None:
    (desk / "mine.py").write_text(SLOW.replace("0.15", "0.15 if image.pixels[0, 0, 0] < 150 else 90"))
    running = begun(words(desk, "out", "dawdle", "--workers", 2), desk / "out", 1)
    time.sleep(2)  # both are at one that takes ninety seconds, or will be
    begin = time.monotonic()
    for _ in range(2):
        running.send_signal(signal.SIGINT)
        time.sleep(0.5)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert time.monotonic() - begin < 30


def test_a_worker_that_is_killed_once_costs_nothing_and_twice_one_picture(desk: Path) -> None:
    for name, green in (("once", 255), ("always", 0)):
        pixels = np.zeros((24, 32, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = 255, green
        Image(pixels).save(desk / "in" / f"{name}.png")
    done = lego(*words(desk, "out", "die", "--workers", 2))
    assert done.returncode == 1
    assert "13 of 14 done" in done.stdout
    known = {line.output: line for line in lines(desk / "out")}
    assert (known["always.png"].code, known["always.png"].lost) == ("lost", 2)
    assert "killed (signal 9)" in known["always.png"].error
    assert "fewer workers" in known["always.png"].hint
    assert known["once.png"].status == "done"
    assert "always.png" in (desk / "out" / "failures.csv").read_text()
    assert "in/always.png" in done.stdout


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    place = tmp_path / "narrow"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    root = os.name == "posix" and os.geteuid() == 0 and shutil.which("mount")
    if not root or subprocess.run(mount, check=False).returncode:
        pytest.skip("nobody may mount here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_full_ends_it_with_what_is_done(narrow: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(4):
        shutil.copy(photos / "coffee.png", tmp_path / "in" / f"{number}.png")
    command = [*COMMAND, tmp_path / "in", "flip it", "-o", narrow, "--workers", 1, "--format", "webp", "--quality", 100]
    done = lego(*command)
    assert done.returncode == 2, done
    assert "disk is full" in done.stderr
    assert "same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert 1 <= len(lines(narrow)) < 4
    assert all(line.status == "done" for line in lines(narrow))
    subprocess.run(["mount", "-o", "remount,size=20m", narrow], check=True)
    assert lego(*command).returncode == 0
    assert set(Counter(line.output for line in lines(narrow)).values()) == {1}


def test_mistakes_are_told_in_two_lines(desk: Path) -> None:
    (desk / "t.csv").write_text("image,instruction\ngone.png,flip it\n")
    for command, said in (
        ([*COMMAND, desk / "in", "-o", desk / "out"], "the instruction comes after the pictures"),
        ([*COMMAND, desk / "nowhere", "flip it", "-o", desk / "out"], "no such file or folder"),
        ([*COMMAND, desk / "t.csv", "-o", desk / "out"], "line 2: no such file"),
        ([*COMMAND, desk / "in", "flip it", "-o", desk / "out", "--builder", "nobody"], "nobody"),
        ([*COMMAND, desk / "in", "flip it", "-o", desk / "out", "--backend", "magic"], "no backend 'magic'"),
    ):
        done = lego(*command)
        assert done.returncode == 2, done
        assert said in done.stderr
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
