"""Hold `segment` against outlines drawn by hand (`python benchmarks/finding.py [--held-out FOLDER]`).

Writes its section of docs/tools-quality.md. Accepted answers are judged by intersection over union; accepting what is
not there, or with less than .3, is an edit of the wrong thing.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from page import write

from lego.core.errors import RefusedError
from lego.core.values import Image
from lego.tools.segment import segment

ROOT = Path(__file__).parents[1]
WRONG = 0.3  # below this overlap the edit would be of another thing
LONG = 1600  # px; finders look at 320 to 640 px, and larger photographs only cost time here


@dataclass(frozen=True)
class Answer:
    """What became of one target: confidence, accepted or not, overlap (None if it is not in the picture)."""

    photo: str
    target: str
    confidence: float
    accepted: bool
    overlap: float | None

    @property
    def wrong(self) -> bool:
        return self.accepted and (self.overlap is None or self.overlap < WRONG)


def drawn(shapes: dict[str, Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill the outlines of one target; ``size`` is width, height."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    for value, polygons, ellipses in ((1, "plus", "ellipse"), (0, "minus", "minus_ellipse")):
        for points in shapes.get(polygons, ()):
            corners = np.array(points, float).reshape(-1, 2) * size / 1000
            cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], value)
        for x, y, across, down in shapes.get(ellipses, ()):
            center, axes = (
                (x * size[0] // 1000, y * size[1] // 1000),
                (across * size[0] // 1000, down * size[1] // 1000),
            )
            cv2.ellipse(canvas, center, axes, 0, 0, 360, value, -1)
    return canvas > 0


def answers(folder: Path, truth: dict[str, Any]) -> list[Answer]:
    found = []
    for photo, targets in truth.items():
        image = Image.open(folder / photo)
        scale = min(1.0, LONG / max(image.size))
        image = Image(cv2.resize(image.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        for target, shapes in targets.items():
            try:
                mask = segment(image, target)
                accepted, confidence, pixels = True, mask.confidence or 0.0, mask.pixels
            except RefusedError as error:
                accepted, confidence = False, float(error.details.get("confidence", 0.0))
                pixels = error.details["mask"].pixels if "mask" in error.details else np.zeros(image.pixels.shape[:2])
            overlap = None
            if shapes is not None:
                wanted, got = drawn(shapes, image.size), pixels > 127
                overlap = float((wanted & got).sum() / max(1, (wanted | got).sum()))
            found.append(Answer(photo, target, confidence, accepted, overlap))
    return found


def table(found: list[Answer]) -> str:
    rows = ["| photograph | target | confidence | answer | IoU |", "|---|---|---|---|---|"]
    for a in found:
        if a.overlap is None and not a.accepted:
            continue
        word = "**wrong**" if a.wrong else "accepted" if a.accepted else "declined"
        overlap = "not there" if a.overlap is None else f"{a.overlap:.2f}"
        rows.append(
            f"| {a.photo.split('_by_')[0].split('.')[0]} | {a.target} | {a.confidence:.2f} | {word} | {overlap} |"
        )
    absent = [a for a in found if a.overlap is None]
    rows.append(f"\nNot there and declined: {sum(not a.accepted for a in absent)} of {len(absent)} targets.")
    return "\n".join(rows)


def summary(found: list[Answer]) -> str:
    there = [a for a in found if a.overlap is not None]
    taken = [a.overlap for a in there if a.accepted and a.overlap is not None]
    mean = float(np.mean(taken)) if taken else 0.0
    return (
        f"accepted {len(taken)} of {len(there)} targets that are there (coverage {len(taken) / len(there):.0%}), "
        f"mean IoU of the accepted {mean:.2f}, edits of the wrong thing {sum(a.wrong for a in found)} of {len(found)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", type=Path, help="folder with the photographs that truth.json calls held_out")
    folder = parser.parse_args().held_out
    truth = json.loads((ROOT / "benchmarks" / "truth.json").read_text(encoding="utf-8"))
    shipped = answers(ROOT / "docs" / "photos", truth["shipped"])
    text = "## Finding\n\nMade by `python benchmarks/finding.py`; outlines in benchmarks/truth.json.\n\n"
    text += f"On the shipped photographs, on which the gates were set: {summary(shipped)}.\n\n{table(shipped)}\n"
    if folder:
        held = answers(folder, truth["held_out"])
        text += f"\nOn held-out photographs: {summary(held)}.\n\n{table(held)}\n"
    print(text)
    write("finding", text)


if __name__ == "__main__":
    main()
