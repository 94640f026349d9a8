"""Measure what a user waits for: `import lego`, `lego --version`, and a whole edit of one megapixel, cold and warm."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
from page import table, write
from timing import race

import lego

ROUNDS = 7
ROOT = Path(__file__).parents[1]
EDITS = ("brighten the shadows and cool it down a little", "turn it black and white", "crop to 4:5")


def main() -> None:
    def fresh(*command: str) -> None:
        subprocess.run([sys.executable, *command], check=True, capture_output=True, cwd=ROOT)

    with tempfile.TemporaryDirectory() as folder:
        photo, out = str(Path(folder) / "one-megapixel.jpg"), str(Path(folder) / "out.jpg")
        cv2.imwrite(photo, cv2.resize(cv2.imread(str(ROOT / "docs" / "photos" / "dandelion.jpg")), (1333, 750)))
        works = {"nothing": functools.partial(fresh, "-c", "pass")}
        works["import lego"] = functools.partial(fresh, "-c", "import lego")
        works["lego --version"] = functools.partial(fresh, "-m", "lego", "--version")
        works |= {
            f"cold {words}": functools.partial(fresh, "-m", "lego", "edit", photo, words, "-o", out) for words in EDITS
        }
        walls = race(works, ROUNDS, time.perf_counter)
        warm = {}
        for words in EDITS:
            editor = lego.Editor()
            editor.edit(photo, words)

            def again(words: str = words, editor: lego.Editor = editor) -> None:
                editor.executor.cache.clear()
                editor.edit(photo, words).write(out)

            warm[words] = race({words: again}, ROUNDS)[words]
    nothing = walls["nothing"]
    rows = [
        [f"`{name}`", f"{walls[name]:.2f} s", f"{walls[name] / nothing:.1f}"]
        for name in ("import lego", "lego --version")
    ]
    rows = [["an empty Python", f"{nothing:.2f} s", "1"], *rows]
    edits = [[f'"{w}"', f"{walls[f'cold {w}']:.2f} s", f"{warm[w]:.3f} s"] for w in EDITS]
    write("startup", f"""## What a user waits for

Wall time of a fresh process, by turns; nothing heavy is loaded by `import lego`, not even numpy.

{table("command | wall | times an empty Python", rows)}

`lego edit` of one megapixel, from file to file: cold is a fresh process (wall), warm an `Editor` that has run before,
with nothing in its cache (processor time, planning, decoding and encoding included).

{table("instruction | cold, wall | warm", edits)}
""", "performance")  # fmt: skip
    for row in (*rows, *edits):
        print(" ".join(row))


if __name__ == "__main__":
    main()
