"""A batch from end to end: gather what is asked for, leave out what is done, share out the rest, tell of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from lego.batches import sources, table
from lego.batches.books import Batch, Books, Standing
from lego.batches.hands import Hand
from lego.batches.items import Item, Line, Way
from lego.batches.process import Process
from lego.core.errors import RecordError, SettingsError
from lego.core.ledger import complaint
from lego.core.settings import Settings
from lego.core.workflow import Workflow

if TYPE_CHECKING:
    from lego.batches.work import Work
    from lego.editor import Editor

Backend: TypeAlias = Literal["processes", "threads", "ray"]
Pictures: TypeAlias = "str | Path | Iterable[str | Path | Mapping[str, Any]]"


def batch(
    pictures: Pictures,
    instruction: str = "",
    out: str | Path = "edited",
    *,
    workflow: Workflow | str | Path | Mapping[str, Any] | None = None,
    mask: str | Path | None = None,
    references: Sequence[str | Path] = (),
    tools: Sequence[str | Path] = (),
    format: str = "",
    quality: int | None = None,
    sheet: bool = True,
    again: bool = False,
    workers: int | None = None,
    backend: Backend = "processes",
    editor: Editor | None = None,
    settings: Settings | None = None,
    listen: Callable[[Standing], None] = lambda standing: None,
    stop: threading.Event | None = None,
) -> Batch:
    """Edit many pictures; a second call does what is missing, or was asked for differently, and nothing else.

    Args:
        pictures: files, folders, patterns, tables (.csv, .jsonl), or rows like theirs; one of them or several.
        instruction: for all pictures that have none of their own.
        out: folder of the results; it keeps the tree of a folder of pictures.
        workflow: instead of words.
        mask: for all pictures, or a folder of masks that are named like the pictures.
        references: further pictures that the words may speak of.
        tools: files and bricks with tools of your own.
        format: "png", "jpg", ...; by default as the picture.
        quality: of JPEG and WebP, 0 to 100.
        sheet: write a page that shows every picture before and after.
        again: try again what failed.
        workers: how many are edited at once; by default one for each core.
        backend: processes, threads of this one, or "ray": threads of this one wait for the workers of a cluster, where
            the pixels stay; then more ``workers`` than cores here are of use.
        editor: whoever edits, in threads of this process.
        listen: told after each picture how far the batch is.
        stop: set it, and nothing more is begun; what is under way is finished.

    Raises:
        LegoError: nothing can be done: no pictures, two results of one name, a wrong row of a table, no such builder.
        CancelledError: it was stopped; what is done stays done.
    """
    if editor is not None:
        settings, backend = editor.settings, "threads"
    chosen = settings or Settings.load()
    if "ray" in (backend, chosen.backend):
        chosen, backend = replace(chosen, backend="ray"), "threads"
    place = Path(out)
    flow = _workflow(workflow)
    items, unread = gather(pictures, instruction, flow, place)
    items = _completed(items, mask, references, format)
    sources.check_outputs(items, place)
    count = max(1, min(workers or os.cpu_count() or 1, len(items)))
    way = Way(place, chosen, tuple(map(Path, tools)), quality,
              count if backend == "processes" else 1, sheet)  # fmt: skip
    books = Books(way, items, again, listen, stop or threading.Event())
    return replace(books.run(lambda: _hands(way, count, backend, editor, flow)), unread=unread)


def _completed(items: list[Item], mask: str | Path | None, references: Sequence[str | Path], format: str) -> list[Item]:
    """Items with what is the same for all, named and in order."""
    items = sources.masked(items, Path(mask)) if mask else items
    items = [replace(item, references=item.references or tuple(map(Path, references))) for item in items]
    return sorted(sources.named(items, format), key=lambda item: item.output)


def gather(pictures: Pictures, instruction: str, workflow: str, out: Path) -> tuple[list[Item], list[str]]:
    """Return what is asked for, and the columns of tables that nobody reads.

    Raises:
        LegoError: see `batch`.
    """
    asked = [pictures] if isinstance(pictures, str | Path) else list(pictures)
    items: list[Item] = []
    unread: list[str] = []
    for number, source in enumerate(asked, 1):
        if isinstance(source, Mapping):
            items.append(_item(source, number, instruction, workflow))
        elif Path(source).suffix.lower() in table.SUFFIXES:
            rows, names = table.read(Path(source), instruction, workflow)
            items += rows
            unread += names
        else:
            if not (instruction or workflow):
                hint = "the instruction comes after the pictures; or give a workflow, or a table with a column for it"
                raise SettingsError("nothing says what to do", where=str(source), hint=hint, code="no_instruction")
            words = "" if workflow else instruction
            found = sources.pictures(str(source), len(asked) == 1, out)
            items += [Item(name, path, words, workflow) for path, name in found]
    if not items:
        raise SettingsError("there are no pictures", hint="give files, folders or a table", code="no_pictures")
    return items, unread


def _item(row: Mapping[str, Any], number: int, words: str, workflow: str) -> Item:
    try:
        return table.item_of(row, Path(), words, workflow)
    except ValueError as error:
        raise RecordError(complaint(error), where=f"row {number}", hint=table.HINT) from None


def _workflow(source: Workflow | str | Path | Mapping[str, Any] | None) -> str:
    if source is None:
        return ""
    from lego.editor import load_workflow

    return load_workflow(source).json(None)


class _Thread:
    """A hand in this process."""

    def __init__(self, work: Work) -> None:
        self.do = work.do

    def close(self) -> None:
        """There is nothing to end."""


def _hands(way: Way, count: int, backend: Backend, editor: Editor | None, workflow: str) -> Sequence[Hand[Item, Line]]:
    """Return those who will do the items."""
    if backend == "processes":
        threads = max(1, (os.cpu_count() or 1) // count)
        return [Process(way, threads, workflow) for _ in range(count)]
    from lego.batches.work import Work

    work = Work(way, editor, workflow)
    return [_Thread(work) for _ in range(count)]
