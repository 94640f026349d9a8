"""Edit pictures by words: a builder plans a workflow of tools, an executor runs it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {
    "Area": "core.signature",
    "Color": "core.signature",
    "Coordinate": "core.signature",
    "Context": "core.signature",
    "EditResult": "editor",
    "Editor": "editor",
    "Image": "core.values",
    "LegoError": "core.errors",
    "Mask": "core.values",
    "Settings": "core.settings",
    "Target": "core.signature",
    "Text": "core.signature",
    "Thing": "core.signature",
    "Workflow": "core.workflow",
    "batch": "batches.run",
    "edit": "editor",
    "plan": "editor",
    "registry": "core.registry",
    "run": "editor",
    "tool": "core.registry",
}
__all__ = [
    "Area",
    "Color",
    "Context",
    "Coordinate",
    "EditResult",
    "Editor",
    "Image",
    "LegoError",
    "Mask",
    "Settings",
    "Target",
    "Text",
    "Thing",
    "Workflow",
    "batch",
    "edit",
    "plan",
    "registry",
    "run",
    "tool",
]

if TYPE_CHECKING:
    from lego.batches.run import batch
    from lego.core.errors import LegoError
    from lego.core.registry import registry, tool
    from lego.core.settings import Settings
    from lego.core.signature import Area, Color, Context, Coordinate, Target, Text, Thing
    from lego.core.values import Image, Mask
    from lego.core.workflow import Workflow
    from lego.editor import Editor, EditResult, edit, plan, run


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'lego' has no attribute '{name}'")
    return getattr(importlib.import_module(f"lego.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_PLACES]
