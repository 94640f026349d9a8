"""Measure every tool that takes a picture: with its defaults, at 12 megapixels, on one thread.

Writes its section of docs/tools-quality.md. Tools that only move values along curves are compared with a bare
`cv2.LUT` of the same picture with a table of the same kind (one curve, or one a channel), measured beside them. Names
of tools as arguments measure these alone.
"""

from __future__ import annotations

import functools
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from page import write

from lego.core.errors import LegoError
from lego.core.registry import Tool, registry
from lego.core.signature import Param
from lego.core.values import Image, Mask

ROUNDS = 3
PATIENCE = 10.0  # seconds after which a tool is measured once only
SIZE = (4000, 3000)
PHOTO = Path(__file__).parents[1] / "docs" / "photos" / "dandelion.jpg"
ONE_CURVE = ("exposure", "brightness", "contrast", "whites", "blacks", "curves", "levels", "fade", "invert")
CURVE_A_CHANNEL = ("temperature", "tint", "white_balance", "split_tone")
SECTION = """## Speed

Processor seconds at 12 megapixels, one thread, defaults, medians of 3, by `python benchmarks/speed.py`; a mask covers
3 % of the picture. What moves values along curves is compared with a bare `cv2.LUT` of the same kind. Over 2 s are
filling (`remove`, `move`, `resize_object`), matting (`mask_matte`), `denoise`, and `upscale` (to 48 megapixels).

| tool | s | times a bare cv2.LUT |
|---|---|---|
"""
WORDS = {"color": "#2a6fb0", "target": "orange", "ratio": "4:5", "text": "lego"}


def seconds(work: Callable[[], object]) -> float:
    """Median of several runs, after one that does not count; of one run if it is slow."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
        if times[-1] > PATIENCE:
            return times[-1]
    return statistics.median(times[1:])


def value(param: Param, image: Image, mask: Mask) -> Any:
    """Something for a parameter that has no default."""
    if param.kind == "image":
        found: Any = image
    elif param.kind == "mask":
        found = mask
    elif param.kind in ("number", "integer"):
        found = ((param.low or 0) + (param.high or 0)) / 2
        found = round(found) if param.kind == "integer" else found
    elif param.kind == "choice":
        found = param.choices[0]
    else:
        found = True if param.kind == "boolean" else WORDS.get(param.format, "lego")
    return [found] if param.many else found


def measure(tool: Tool[..., Any], image: Image, mask: Mask) -> tuple[float | None, str]:
    """Seconds of a tool, or why there are none."""
    args = {p.name: value(p, image, mask) for p in tool.params if p.required}
    try:
        return seconds(lambda: tool(**args)), ""
    except (LegoError, ValueError) as error:
        return None, f"declines: {str(error).splitlines()[0][:80]}"


def main() -> None:
    importlib.import_module("lego.tools")  # registers the embedded tools
    cv2.setNumThreads(1)
    wanted = set(sys.argv[1:])
    picture = cv2.cvtColor(cv2.resize(cv2.imread(str(PHOTO)), SIZE, interpolation=cv2.INTER_CUBIC), cv2.COLOR_BGR2RGB)
    image = Image(np.asarray(picture, np.uint8))
    disc = np.zeros(SIZE[::-1], np.uint8)
    mask = Mask(cv2.circle(disc, (SIZE[0] // 4, SIZE[1] // 3), SIZE[1] // 10, 255, -1))
    curve = np.arange(256, dtype=np.uint8)[::-1].copy()
    tables = dict.fromkeys(ONE_CURVE, curve) | dict.fromkeys(CURVE_A_CHANNEL, np.repeat(curve[:, None, None], 3, 2))
    rows = []
    for tool in registry:
        if (wanted and tool.name not in wanted) or not any(p.kind == "image" for p in tool.params):
            continue
        took, why = measure(tool, image, mask)
        ratio = ""
        if took is not None and tool.name in tables:
            beside = seconds(functools.partial(cv2.LUT, image.pixels, tables[tool.name]))
            ratio = f"{took / beside:.2f} of {beside:.3f} s"
        rows.append(f"| {tool.name} | {'-' if took is None else f'{took:.3f}'} | {why or ratio} |")
        print(rows[-1], flush=True)
    if not wanted:
        write("speed", SECTION + "\n".join(rows))


if __name__ == "__main__":
    main()
