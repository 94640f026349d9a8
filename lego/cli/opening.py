"""What every command begins with: an editor with the user's own tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lego.core.settings import Settings
    from lego.core.trace import Event
    from lego.editor import Editor


def editor_of(
    settings: Settings, files: Iterable[Path] | None, builder: str | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Editor:  # fmt: skip
    """Return an editor that knows the tools of Python files, and the bricks in folders."""
    from lego.editor import Editor
    from lego.tools import load_tools

    editor = Editor(builder, settings=settings, on_event=on_event)
    for file in files or ():
        load_tools(editor.registry, file)
    return editor
