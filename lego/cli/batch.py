"""`lego batch`: many pictures at once, resumable."""

from __future__ import annotations

import signal
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lego.cli.terminal import Progress
from lego.core.errors import CancelledError, SettingsError
from lego.core.settings import Settings

if TYPE_CHECKING:
    from lego.batches.books import Batch, Standing

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")  # as in `lego.batches.table`, which takes a while to import
SHOWN = 10  # failures that are printed; the table has all
LONG = 150  # characters of an error there
QUIET = 30.0  # seconds between lines where nobody looks at a bar
SOME_FAILED, STOPPED = 1, 130  # exit codes

Given = Annotated[
    list[str],
    typer.Argument(
        help="Pictures, folders, patterns in quotes ('photos/**/*.jpg'); the instruction last. "
        "Or a table (.csv, .jsonl) with the columns image, instruction, ...",
        metavar="PICTURES... INSTRUCTION", show_default=False,
    ),
]  # fmt: skip


def batch(
    given: Given,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results; it keeps the tree.")],
    workflow: Annotated[
        Path | None, typer.Option("--workflow", help="Run this on every picture instead of an instruction.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Pictures at once; by default one for each core.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Try again what failed.")] = False,
    format: Annotated[str, typer.Option("--format", help="png, jpg, webp, ...; by default as the picture.")] = "",
    quality: Annotated[int | None, typer.Option("--quality", min=0, max=100, help="Of JPEG and WebP.")] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="White = edit: a picture, or a folder named like the pictures."),
    ] = None,
    reference: Annotated[
        list[Path] | None, typer.Option("--reference", help="A further picture; may be given again.")
    ] = None,
    tools: Annotated[
        list[Path] | None, typer.Option("--tools", help="Your own tools: a Python file, or a brick.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="0 to 2^32 - 1; of which each picture's is made.")] = None,
    builder: Annotated[str | None, typer.Option("--builder", help="Who plans; `lego doctor` shows it.")] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="How often a critic may send a result back.")] = None,
    critic: Annotated[str | None, typer.Option("--critic", help="Who judges: pixels, or a model.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds that one edit may take.")] = None,
    sheet: Annotated[bool, typer.Option(help="Write sheet.html with every picture before and after.")] = True,
    backend: Annotated[str, typer.Option("--backend", help="processes, threads of one, or ray.")] = "processes",
) -> None:
    """Edit many pictures. The same command again does what is missing or has changed, and nothing else."""
    from lego.batches.run import batch as run

    flags = {"seed": seed, "builder": builder, "rounds": rounds, "critic": critic, "timeout": timeout}
    pictures, words = _parted(given, workflow)
    bar = _Bar()
    with bar, _stopping() as stop:
        try:
            made = run(
                pictures, words, output, workflow=workflow, mask=mask, references=reference or (), tools=tools or (),
                format=format, quality=quality, sheet=sheet, again=again, workers=workers,
                backend=_backend(backend),  # type: ignore[arg-type]
                settings=Settings.load(flags), listen=bar.listen, stop=stop,
            )  # fmt: skip
        except CancelledError as error:
            bar.__exit__()
            print(f"{error}\nhint: {error.hint}", file=sys.stderr)
            raise typer.Exit(STOPPED) from None
    _tell(made)
    if made.failed:
        raise typer.Exit(SOME_FAILED)


def _parted(given: list[str], workflow: Path | None) -> tuple[list[str], str]:
    """The pictures and the instruction: the last word, unless a workflow or tables say what to do."""
    if workflow or all(name.lower().endswith(TABLES) for name in given):
        return given, ""
    *pictures, words = given
    if not pictures or Path(words).exists():
        hint = 'the instruction comes after the pictures: lego batch photos "make it warmer" -o out'
        raise SettingsError("nothing says what to do", where=words, hint=hint, code="no_instruction")
    return pictures, words


def _backend(name: str) -> str:
    if name not in ("processes", "threads", "ray"):
        raise SettingsError(f"there is no backend '{name}'", where="--backend", hint="processes, threads or ray")
    return name


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C sets; the second breaks off."""
    stop = threading.Event()

    def heard(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print("\nstopping: what is under way is finished; Ctrl-C again breaks it off", file=sys.stderr)

    before = [(number, signal.signal(number, heard)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class _Bar(Progress):
    """Rate and time left: a bar where somebody looks, else a line now and then."""

    def __init__(self) -> None:
        super().__init__(False, left=True)
        self.told = time.monotonic()

    def listen(self, at: Standing) -> None:
        failed = f", {at.failed:,} failed" if at.failed else ""
        text = f"{at.finished:,} of {at.total:,}{failed}, {at.rate:,.0f} a minute"
        if self.bar:
            self.bar.update(self.task, total=at.total, completed=at.finished, description=text)
        elif time.monotonic() - self.told > QUIET:
            self.told = time.monotonic()
            left = f", {_minutes(at.left)} left" if at.left is not None else ""
            print(f"{text}{left}", file=sys.stderr, flush=True)


def _tell(made: Batch) -> None:
    at, failed = made.standing, made.failed
    before = f" ({at.finished - at.fresh:,} of them before)" if at.fresh < at.finished else ""
    speed = f" in {_minutes(at.seconds)}, {at.rate:,.0f} a minute" if at.fresh else ""
    print(f"{len(made.done):,} of {at.total:,} done{before}{speed}")
    if made.unread:
        print(f"  columns that nobody reads: {', '.join(made.unread)}")
    for line in failed[:SHOWN]:
        print(f"  failed: {line.image}: {textwrap.shorten(line.error, LONG)}")
    if len(failed) > SHOWN:
        print(f"  and {len(failed) - SHOWN:,} more")
    if failed:
        print(f"all that failed: {made.failures}; --again tries them again")
    if made.sheet.exists():
        print(f"to look at: {made.sheet}")


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
