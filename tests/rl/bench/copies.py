"""Small copies of public benchmarks in their published layouts, with made-up pictures and words."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

SIZE = (48, 40)
WORDS = ("flip it horizontally", "make it black and white", "make it brighter", "sing me a song")  # the last: declined
CHINESE = ("水平翻转", "变成黑白", "亮一点", "给我唱首歌")


def pixels(seed: int, size: tuple[int, int] = SIZE) -> Any:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Pillow.fromarray(coarse).resize(size, Pillow.Resampling.BILINEAR))


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(pixels(seed)).save(file, "PNG")
    return file.getvalue()


def save(path: Path, seed: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(seed))
    return path.name


def gedit_rows(groups: tuple[str, ...] = ("color_alter", "subject-remove"), count: int = 4) -> list[dict[str, Any]]:
    return [
        {
            "task_type": group,
            "key": f"{group[:2]}{n:03}",
            "instruction": words[n % len(words)],
            "instruction_language": lang,
            "input_image": {"bytes": png(n), "path": None},
            "input_image_raw": {"bytes": png(n + 50), "path": None},
            "Intersection_exist": n % 2 == 0,
        }
        for group in groups
        for lang, words in (("en", WORDS), ("cn", CHINESE))
        for n in range(count)
    ]


def table(rows: list[dict[str, Any]], pictures: tuple[str, ...]) -> Any:
    from datasets import Dataset, Features, Value
    from datasets import Image as Picture

    features = {}
    for name, value in rows[0].items():
        many = isinstance(value, list)
        kind: Any = Picture() if name in pictures else Value("bool" if isinstance(value, bool) else "string")
        features[name] = [kind] if many else kind
    return Dataset.from_dict({name: [row[name] for row in rows] for name in rows[0]}, features=Features(features))


def gedit(root: Path, form: str = "parquet", rows: list[dict[str, Any]] | None = None) -> Path:
    from datasets import DatasetDict

    made = table(rows or gedit_rows(), ("input_image", "input_image_raw"))
    if form == "parquet":
        (root / "data").mkdir(parents=True, exist_ok=True)
        half = len(made) // 2
        made.select(range(half)).to_parquet(root / "data" / "train-00000-of-00002.parquet")
        made.select(range(half, len(made))).to_parquet(root / "data" / "train-00001-of-00002.parquet")
    elif form == "dict":
        DatasetDict({"train": made}).save_to_disk(root)
    else:
        made.save_to_disk(root)
    return root


def imgedit(root: Path, form: str = "archive", entries: dict[str, Any] | None = None) -> Path:
    kinds = ("add", "remove", "style", "adjust", "compose")
    rows = entries or {
        f"{n}": {"id": f"animal/{n:09}.jpg", "prompt": WORDS[n % 4], "edit_type": kinds[n % len(kinds)]}
        for n in range(10)
    }
    pictures = root / "Benchmark" / "singleturn"
    for n, row in enumerate(rows.values()):
        if "/../" not in row["id"] and not row["id"].startswith(("..", "/")):
            save(pictures / row["id"], n)
    path = pictures / "singleturn.json" if form == "archive" else root / "Benchmark" / "Basic" / "basic_edit.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows), "utf-8")
    return root


def kris(root: Path) -> Path:
    for number, kind in enumerate(("color_change", "viewpoint_change", "temporal_prediction", "biology")):
        folder = root / "KRIS_Bench" / kind
        rows = {}
        for n in range(1, 4):
            sources = [save(folder / f"{n}-{k}.png", 10 * number + n + k) for k in range(2)]
            truth = save(folder / f"{n}_gt.png", n + 30) if kind == "viewpoint_change" else None
            many = kind == "temporal_prediction"
            rows[str(n)] = {
                "ori_img": sources if many else sources[0], "gt_img": truth, "ins_en": WORDS[n % 4],
                "explain_en": "water freezes" if kind == "biology" else None,
            }  # fmt: skip
        (folder / "annotation.json").write_text(json.dumps(rows), "utf-8")
    return root


def rise_rows() -> list[dict[str, Any]]:
    return [
        {"index": "temporal_reasoning_1", "category": "temporal_reasoning", "reference": "older"},
        {"index": "causal_reasoning_1", "category": "causal_reasoning", "reference": "wet", "consistency_free": "True"},
        {"index": "spatial_reasoning_1", "category": "spatial_reasoning", "reference": "left", "reasoning_img": "True"},
        {"index": "spatial_reasoning_2", "category": "spatial_reasoning", "reference_img": "refs/s2.png"},
        {"index": "logical_reasoning_1", "category": "logical_reasoning", "reference_txt": "a cross"},
        {"index": "logical_reasoning_2", "category": "logical_reasoning", "reference_img": "refs/l2.png"},
    ]


def rise(root: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    rows = rows or rise_rows()
    for n, row in enumerate(rows):
        row.setdefault("instruction", WORDS[n % 3])
        row.setdefault("subtask", "life")
        row.setdefault("image", f"{row['category']}_images/{n}.png")
        if ".." not in row["image"]:
            save(root / "data" / row["image"], n)
        if row.get("reference_img"):
            save(root / "data" / row["reference_img"], n + 20)
    (root / "datav2_total_w_subtask.json").write_text(json.dumps(rows), "utf-8")
    return root


def comp_row(n: int, task: str = "remove") -> dict[str, Any]:
    """The truth is the source, turned grey inside the mask."""
    source = pixels(n)
    mask = np.zeros(source.shape[:2], np.uint8)
    mask[10:25, 12:30] = 255
    truth = np.where(mask[..., None] > 0, source.mean(2, keepdims=True).astype(np.uint8), source)
    cells = {}
    for name, array in (("input_image", source), ("edited_image", truth), ("mask", mask)):
        file = io.BytesIO()
        Pillow.fromarray(array).save(file, "PNG")
        cells[name] = {"bytes": file.getvalue(), "path": None}
    return {"task": task, "image_path": f"{n}.jpg", "instruction": WORDS[n % 4], "caption": "a picture", **cells}


def compbench(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    pictures = ("input_image", "edited_image", "mask")
    table([comp_row(n) for n in range(4)], pictures).to_parquet(root / "remove.parquet")
    first, second = comp_row(4), comp_row(5)
    turns = {name: [first[name], second[name]] for name in first}
    table([turns], pictures).to_parquet(root / "zz-multi_turn.parquet")
    return root


COPIES: dict[str, Callable[[Path], Path]] = {
    "gedit": gedit, "imgedit": imgedit, "kris": kris, "rise": rise, "compbench": compbench,
}  # fmt: skip
