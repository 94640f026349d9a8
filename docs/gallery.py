"""Edit the photographs in docs/photos and write one contact sheet a page into docs/gallery (`make gallery`)."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import lego
from lego.core.trace import StepDone

HERE = Path(__file__).parent
CELL = 460  # pixels of a picture's long side on the sheet
LINE = 19
ROWS = 6  # edits a sheet
EDITS: list[tuple[str, str, dict[str, object]]] = [
    ("flower.jpg", "make it black and white except the flower", {}),
    ("china.jpg", "brighten the shadows, cool it down a little and crop to 4:5", {}),
    ("astronaut.png", "blur the background", {}),
    ("coffee.png", "让图像更具戏剧性的复古感", {}),
    ("coffee.png", "turn the red cup and saucer blue", {}),
    ("astronaut.png", "turn the orange suit green but keep the face", {}),
    ("rocket.jpg", "remove the rocket", {"box": (300, 130, 368, 422)}),
    ("rocket.jpg", "remove the rocket", {}),
    ("astronaut.png", "blur the background", {"box": (20, 10, 375, 512)}),
    ("rocket.jpg", "add 'SpaceX' in white at the bottom right, half transparent", {}),
    ("chelsea.png", "rotate 90 degrees clockwise, then add a 20 px white border", {}),
    ("china.jpg", "make the sky a gradient from orange to purple", {}),
    ("coffee.png", "remove the unicorn", {}),
    # ten of our own
    ("china.jpg", "darken the sky by 1 stop and make the temple more vivid", {"box": (60, 30, 350, 410)}),
    ("dandelion.jpg", "crop it square and warm it up a lot, then add a vignette", {}),
    ("chelsea.png", "sharpen a little and boost the contrast by 20%", {}),
    ("astronaut.png", "pixelate the face", {}),
    ("flower.jpg", "darken the background and make the flower more vivid", {}),
    ("coffee.png", "换成黑白，加一点颗粒", {}),
    ("china.jpg", "cinematic look, then write '北京' at the top left in yellow", {}),
    ("rocket.jpg", "underexpose by 1 stop and cool it down", {}),
    ("dandelion.jpg", "flip horizontally and put a 40 px black border around it", {}),
    ("flower.jpg", "extend the canvas by 20% on the left", {}),
    ("coffee.png", "make the cup smaller", {"box": (70, 10, 490, 395)}),
    ("china.jpg", "turn it into a watercolor painting", {}),
    ("coffee.png", "keep only the red cup in color", {}),
    ("china.jpg", "remove the haze and warm it up by 500 K", {}),
    ("flower.jpg", "write '秋日花园' at the top right, then draw a white circle around the flower", {}),
    ("rocket.jpg", "write 'LAUNCH 2024' at the top, then change '2024' to '2031'", {}),
    ("flower.jpg", "move the flower to the top right corner, then make everything else black and white", {}),
    ("china.jpg", "extend the canvas on all sides", {}),
    ("flower.jpg", "remove everything except the flower", {}),
]


EXAMPLE = (
    ("coffee.png", "turn the red cup and saucer blue"),
    ("flower.jpg", "make it black and white except the flower"),
    ("china.jpg", "make the sky a gradient from orange to purple"),
)


def main() -> None:
    folder = HERE / "gallery"
    folder.mkdir(exist_ok=True)
    editor = lego.Editor("rules")
    rows = [row(editor, *edit) for edit in EDITS]
    cv2.imwrite(str(folder / "example.jpg"), example(editor)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    for number, start in enumerate(range(0, len(rows), ROWS), 1):
        sheet = np.vstack(rows[start : start + ROWS])
        cv2.imwrite(str(folder / f"sheet-{number}.jpg"), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def example(editor: lego.Editor) -> NDArray[np.uint8]:
    """Three edits side by side, before above after, for the README."""
    columns = []
    for photo, instruction in EXAMPLE:
        before = lego.Image.open(HERE / "photos" / photo)
        after = editor.edit(before, instruction).image
        pair = [cv2.resize(i.pixels, (CELL, CELL * 2 // 3), interpolation=cv2.INTER_AREA) for i in (before, after)]
        columns.append(np.vstack([pair[0], np.full((6, CELL, 3), 255, np.uint8), pair[1]]).astype(np.uint8))
    gap = np.full((columns[0].shape[0], 6, 3), 255, np.uint8)
    return np.hstack([columns[0], gap, columns[1], gap, columns[2]]).astype(np.uint8)


def row(editor: lego.Editor, photo: str, instruction: str, options: dict[str, object]) -> NDArray[np.uint8]:
    """Before, after, and the words between them."""
    before = lego.Image.open(HERE / "photos" / photo)
    start = time.monotonic()
    try:
        result = editor.edit(before, instruction, **options)  # type: ignore[arg-type]
        after = result.image
        steps = ", ".join(event.tool for event in result.trace.of(StepDone))
        text = [*wrap(f"“{instruction}”"), *wrap(f"{steps} ({time.monotonic() - start:.1f} s)"), *result.notes]
    except lego.LegoError as error:
        after = None
        text = [*wrap(f"“{instruction}”"), *wrap(f"refused: {error}"), *wrap(error.hint)]
    if options:
        text.insert(1, f"given: {options}")
    lines = [line for sentence in text for line in wrap(sentence)]
    pictures = [fit(before.pixels), fit(after.pixels) if after is not None else blank()]
    height = max(LINE * (len(lines) + 1), *(p.shape[0] for p in pictures)) + 16
    return np.hstack([padded(p, height) for p in (*pictures, words(lines, height))])


def wrap(text: str) -> list[str]:
    return textwrap.wrap(text, 58) or [""]


def fit(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    share = CELL / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * share), round(pixels.shape[0] * share))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def blank() -> NDArray[np.uint8]:
    return np.full((120, CELL, 3), 235, np.uint8)


def words(lines: list[str], height: int) -> NDArray[np.uint8]:
    page = np.full((height - 16, CELL, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(
            page, line, (0, LINE * (number + 1)), (40, 40, 40), cv2.FontFace("uni"), 14, 500 if number == 0 else 300
        )
    return page


def padded(pixels: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    page = np.full((height, CELL + 16, 3), 255, np.uint8)
    page[8 : 8 + pixels.shape[0], 8 : 8 + pixels.shape[1]] = pixels
    return page


if __name__ == "__main__":
    main()
