"""Draw what the small networks find on the photographs that ship: docs/finds.jpg.

Needs weights: `lego models pull yolox deeplab yunet hair`, then `python docs/finds.py`.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lego import Editor
from lego.core.codec import Pixels
from lego.core.steps import Step
from lego.core.trace import StepDone
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow

HERE = Path(__file__).parent
HIGH = 360  # px of a panel
LOOKED = (
    ("astronaut.png", "the astronaut"), ("astronaut.png", "the face"), ("astronaut.png", "her hair"),
    ("chelsea.png", "the cat"), ("coffee.png", "the red cup"),
)  # fmt: skip


def main() -> None:
    editor = Editor("rules")
    panels = [panel(editor, HERE / "photos" / name, target) for name, target in LOOKED]
    cv2.imwrite(str(HERE / "finds.jpg"), np.hstack(panels)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def panel(editor: Editor, path: Path, target: str) -> Pixels:
    """The photograph, dimmed where nothing was found."""
    image = Image.open(path)
    steps = (Step("s1", "segment", {"image": "$image", "target": target}),)
    done = editor.run(Workflow(steps, "$s1"), image)
    mask = done.values[0]
    assert isinstance(mask, Mask)
    engine = next(done.trace.of(StepDone)).engine
    print(f"{path.name}: '{target}' by {engine}, {mask.share:.1%} of the picture; {'; '.join(mask.notes)}")
    share = mask.pixels[..., None].astype(np.float32) / 255
    pixels = image.pixels * (0.25 + 0.75 * share)
    width = round(image.size[0] * HIGH / image.size[1])
    return np.asarray(cv2.resize(pixels.astype(np.uint8), (width, HIGH), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
