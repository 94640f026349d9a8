"""Builders: from a picture and words to a workflow."""

from __future__ import annotations

import os
from pathlib import Path

from lego.core.errors import SettingsError

if __name__ != "lego.builder":
    raise ImportError("this is a link into lego; write `import lego.builder`, not `import builder`")

from lego.builder.base import Builder

SMALL = "#4bit"  # after a folder or hub id: keep its weights in 4 bits
NANO = Path(__file__).parent / "nano"  # the checkpoint that ships


def open(name: str) -> Builder:
    """Return the builder of that name: "rules", "nano", or a vision-language model by its folder, hub id or server.

    With "#4bit" after a folder or hub id the weights take a quarter of the memory.

    Raises:
        SettingsError: there is none, or it cannot be loaded here.
    """
    if name == "rules":
        from lego.builder.rules import Rules

        return Rules()
    if name == "nano":
        from lego.builder.local import Local

        made = Local(NANO)
        made.name = name  # a path is no name for a trace
        return made
    if name.startswith(("http://", "https://")):
        from lego.builder.remote import Remote

        return Remote(name)
    path, small = name.removesuffix(SMALL), name.endswith(SMALL)
    if ("://" not in name and {"/", os.sep} & set(path)) or Path(path).is_dir():
        from lego.builder.local import Local

        return Local(path, small=small)
    hint = "'rules', 'nano', the folder of a vision-language model, its hub id, or http://server/v1#model"
    raise SettingsError(f"there is no builder '{name}'", hint=hint, code="unknown_builder")
