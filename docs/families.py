"""Try every tool on a photograph and write one sheet a family into docs/gallery (`make gallery`)."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

import lego
from lego.core.registry import Tool

HERE = Path(__file__).parent
Pixels: TypeAlias = NDArray[np.uint8]
CELL = 236  # pixels of each picture's side in a cell
WORDS = 40  # under it, for the caption
COLUMNS = 3
GAP = 8
EXAMPLES: dict[str, dict[str, Any]] = json.loads((HERE / "families.json").read_text(encoding="utf-8"))


def main() -> None:
    editor = lego.Editor("rules")
    families: dict[str, list[Tool[..., Any]]] = {}
    for tool in editor.registry:
        families.setdefault(tool.family, []).append(tool)
    for family, tools in families.items():
        cells = [cell(editor, tool, {**example}) for tool in tools for example in EXAMPLES.get(tool.name, [])]
        if cells:
            rows = [row(cells[n : n + COLUMNS]) for n in range(0, len(cells), COLUMNS)]
            path = str(HERE / "gallery" / f"family-{family}.jpg")
            cv2.imwrite(path, np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def row(cells: list[tuple[Pixels, Pixels, str]]) -> Pixels:
    """Pairs beside each other, as high as the highest picture, captions under them."""
    height = max(picture.shape[0] for before, after, _ in cells for picture in (before, after))
    page = np.full((height + WORDS + GAP, COLUMNS * (2 * CELL + 3 + GAP), 3), 255, np.uint8)
    for number, (before, after, caption) in enumerate(cells):
        left = number * (2 * CELL + 3 + GAP)
        page[: before.shape[0], left : left + before.shape[1]] = before
        page[: after.shape[0], left + CELL + 3 : left + CELL + 3 + after.shape[1]] = after
        for line, text in enumerate(textwrap.wrap(caption, 68)[:2]):
            at = (left + 2, height + 15 + 17 * line)
            cv2.putText(page, text, at, (40, 40, 40), cv2.FontFace("uni"), 12, 400)
    return page


def cell(editor: lego.Editor, tool: Tool[..., Any], example: dict[str, Any]) -> tuple[Pixels, Pixels, str]:
    """One tool: before, after, and the call."""
    photo = HERE / "photos" / example.pop("photo")
    target, box, references = example.pop("on", None), example.pop("at", None), example.pop("references", [])
    steps, args = [], dict(example)
    start = "$image"
    if first := args.pop("first", None):
        steps.append({"id": "s0", "tool": first.pop("tool"), "args": {"image": "$image", **first}})
        start = "$s0"
    images = [p for p in tool.params if p.kind == "image"]
    args |= {p.name: [start] if p.many else start for p in images[:1] if p.name not in args}
    mask = next((p for p in tool.params if p.kind == "mask"), None)
    if target:
        steps.append({"id": "s1", "tool": "segment", "args": {"image": "$image", "target": target}})
    elif box and mask and mask.format == "thing":
        steps.append({"id": "s1", "tool": "mask_refine", "args": {"image": "$image", "mask": "$mask"}})
    if mask and (target or box):
        args.setdefault(mask.name, "$s1" if steps and steps[-1]["id"] == "s1" else "$mask")
    names = [o.name for o in tool.outputs]
    result = f"$it.{'text' if 'text' in names else names[0]}" if len(names) > 1 else "$it"
    steps.append({"id": "it", "tool": tool.name, "args": args})
    workflow = {"version": 1, "steps": steps, "result": result}
    extra = [HERE / "photos" / name for name in references]
    made = editor.run(workflow, photo, box=box, references=extra)
    shown = {k: v for k, v in example.items() if k != "first" and not str(v).startswith(("$", "['$"))}
    words = ", ".join(f"{name}={value}" for name, value in shown.items())
    caption = f"{tool.name}({words})" + (f" on {target}" if target else " on a box" if box else "")
    value = made.values[0]
    after = fitted(over_checks(made.image)) if isinstance(value, lego.Image | lego.Mask) else written(str(value))
    before = made.step("s0") if start == "$s0" and "before" not in example else made.source
    return fitted(before.pixels), after, caption


def fitted(pixels: Pixels) -> Pixels:
    """Scale into a square."""
    scale = CELL / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST))


def over_checks(image: lego.Image) -> Pixels:
    """Show transparency as grey checks."""
    if image.alpha is None:
        return image.pixels
    y, x = np.indices(image.alpha.shape) // max(4, max(image.size) // 24)
    checks = np.where((x + y) % 2, 205, 240)[..., None]
    share = image.alpha[..., None] / 255
    return np.asarray(checks + (image.pixels - checks) * share, np.uint8)


def written(text: str) -> Pixels:
    page = np.full((CELL, CELL, 3), 245, np.uint8)
    for number, line in enumerate(textwrap.wrap(text, 34)[:12]):
        cv2.putText(page, line, (8, 22 + 18 * number), (40, 40, 40), cv2.FontFace("uni"), 12, 400)
    return page


if __name__ == "__main__":
    main()
