"""What is seen on the terminal: a console, and a bar that follows an edit, a training, a download."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lego.core.settings import terminal_is_plain

if TYPE_CHECKING:
    from lego.core.trace import Event


def console() -> Any:
    """Return rich's console, without colours where they are not wanted."""
    from rich.console import Console

    return Console(no_color=terminal_is_plain(), soft_wrap=not sys.stdout.isatty())


class Progress:
    """A bar on the terminal that follows the events; silent where nobody looks.

    Args:
        quiet: show nothing.
        left: tell the time that is left, not the time that has gone.
    """

    def __init__(self, quiet: bool, left: bool = False) -> None:
        self.left = left
        self.bar: Any = None
        self.task: Any = None
        self.quiet = quiet or not sys.stderr.isatty()

    def __enter__(self) -> Progress:
        if not self.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            time = TimeRemainingColumn() if self.left else TimeElapsedColumn()
            columns = (TextColumn("{task.description}"), BarColumn(), time)
            console = Console(stderr=True, no_color=terminal_is_plain())
            self.bar = Bar(*columns, console=console, transient=True)
            self.task = self.bar.add_task("planning", total=None)
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, event: Event) -> None:
        if not self.bar:
            return
        if event.name == "run_started":
            self.bar.update(self.task, total=event.steps)  # type: ignore[attr-defined]  # told apart by name: no import
        elif event.name == "step_started":
            self.bar.update(self.task, description=f"{event.step} {event.tool}")  # type: ignore[attr-defined]
        elif event.name in ("step_done", "step_failed"):
            self.bar.advance(self.task)

    def learn(self, at: Any) -> None:
        """Follow a training run."""
        if self.bar:
            left = "" if at.left is None else f", {at.left / 60:.0f} min left"
            text = f"{at.stage} {at.step}/{at.steps}, loss {at.metrics.get('loss', 0):.3f}{left}"
            self.bar.update(self.task, total=at.steps, completed=at.step, description=text)

    def make(self, done: int, count: int) -> None:
        """Follow the making of data."""
        if self.bar:
            self.bar.update(self.task, total=count, completed=done, description=f"{done:,} of {count:,}")

    def do(self, done: int, count: int, item: str) -> None:
        """Follow the items of a benchmark."""
        if self.bar:
            self.bar.update(self.task, total=count, completed=done, description=f"{done:,} of {count:,} {item}")

    def fetch(self, name: str, come: int, total: int) -> None:
        """Follow a download, or a check of what was downloaded."""
        if self.bar:
            text = f"{name} {come / 2**20:,.0f} of {total / 2**20:,.0f} MB"
            self.bar.update(self.task, total=total, completed=come, description=text)
