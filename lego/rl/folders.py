"""Folders of data sets: a file of JSON objects, one a line, and beside it pictures that are named by their content."""

from __future__ import annotations

from pathlib import Path

from lego.core.values import Image, Mask

PICTURES = "pictures"
NAME = r"[0-9a-f]{32}\.png"  # a picture's digest; nothing else is opened, so that no row can lead out of the folder


def keep(folder: Path, value: Image | Mask) -> str:
    """Write a picture into a data set unless it is there; return its name.

    Raises:
        ImageError: it cannot be written.
    """
    path = folder / PICTURES / name_of(value)
    if not path.exists():
        value.save(path)
    return path.name


def name_of(value: Image | Mask) -> str:
    """Return a picture's name in a data set."""
    return f"{value.digest}.png"
