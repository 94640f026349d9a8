"""Python's garbage collector while runs are planned and done: it would walk over what lasts, again and again."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

SELDOM = 10  # times as seldom as it is set to


@contextlib.contextmanager
def at_rest() -> Iterator[None]:
    """Make many objects and no circles: the collector would walk over all of them, again and again, for nothing."""
    runs = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if runs:
            gc.enable()


class _Seldom:
    """While runs of many steps last, the collector looks at everything more seldom: it keeps all that they made.

    What is young it looks at as ever, so circles that tools leave behind are still collected.
    """

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.runs = 0
        self.before = gc.get_threshold()

    def __enter__(self) -> None:
        with self.guard:
            if not self.runs:
                self.before = gc.get_threshold()
                gc.set_threshold(*self.before[:2], SELDOM * self.before[2])
            self.runs += 1

    def __exit__(self, *error: object) -> None:
        with self.guard:
            self.runs -= 1
            if not self.runs:
                gc.set_threshold(*self.before)


seldom = _Seldom()
