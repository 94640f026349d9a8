"""The books of a batch: what is asked for, what is done, and what is told of it.

A line of the ledger is written after the results that it tells of, and these appear whole or not at all: whenever the
process is killed, the next one goes on behind the last line.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lego.batches import sheet
from lego.batches.hands import Hand, LostError, run_items
from lego.batches.items import HOME, Item, Line, Seen, Way, seed_of
from lego.core.codec import write_whole
from lego.core.errors import CancelledError, LegoError
from lego.core.ledger import Ledger

LEDGER = "ledger.jsonl"
FAILURES = "failures.csv"
HINT_LOST = "take fewer workers or smaller pictures, then --again"
TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}")  # what `write_whole` leaves if it is killed


@dataclass(frozen=True)
class Standing:
    """How far a batch is: items in all, finished (in earlier runs too), failed; what this run did, and in how long."""

    total: int
    finished: int
    failed: int
    fresh: int
    seconds: float

    @property
    def rate(self) -> float:
        """Pictures a minute, of this run."""
        return 60 * self.fresh / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this rate; None before anything is done."""
        return (self.total - self.finished) * self.seconds / self.fresh if self.fresh else None


@dataclass(frozen=True)
class Batch:
    """What became of a batch.

    Attributes:
        lines: one for each item, by the name of its result.
        standing: how far it went.
        unread: columns of tables that nobody reads.
    """

    out: Path
    lines: list[Line]
    standing: Standing
    unread: Sequence[str] = ()

    @property
    def done(self) -> list[Line]:
        """What went well."""
        return [line for line in self.lines if line.status == "done"]

    @property
    def failed(self) -> list[Line]:
        """What went wrong."""
        return [line for line in self.lines if line.status == "failed"]

    @property
    def sheet(self) -> Path:
        """The page that shows all, if one was asked for."""
        return self.out / sheet.FILE

    @property
    def failures(self) -> Path:
        """The table of what went wrong; it is there only if something did."""
        return self.out / FAILURES


class Books:
    """The books of a batch: what is asked for, what is done, and what is told of it.

    Args:
        way: how items are done, and where to.
        items: all of them.
        again: whether failed ones are tried again.
        listen: told how far it is.
        stop: when it is set, nothing more is begun.

    Raises:
        RecordError: the ledger is broken, cannot be written, or another process is at it.
    """

    def __init__(
        self, way: Way, items: Sequence[Item], again: bool, listen: Callable[[Standing], None], stop: threading.Event
    ) -> None:
        self.way, self.items, self.again, self.listen, self.stop = way, items, again, listen, stop
        self.lines: dict[str, Line] = {}
        self.fresh, self.begin = 0, time.monotonic()

    def run(self, hands: Callable[[], Sequence[Hand[Item, Line]]]) -> Batch:
        """Do what is not done; see `batch`."""
        with Ledger(self.way.out / HOME / LEDGER, Line) as ledger:
            todo = self._left(ledger)
            self.begin = time.monotonic()
            self.listen(self.standing)
            try:
                if todo:
                    _sweep(self.way.out, {item.output for item in self.items})
                    self._do(todo, hands(), ledger)
            except BaseException:
                with contextlib.suppress(LegoError):  # the disk may be full
                    self._tell()
                raise
            self._tell()
        return Batch(self.way.out, self._sorted(), self.standing)

    @property
    def standing(self) -> Standing:
        """How far it is."""
        failed = sum(line.status == "failed" for line in self.lines.values())
        return Standing(len(self.items), len(self.lines), failed, self.fresh, time.monotonic() - self.begin)

    def _left(self, ledger: Ledger[Line]) -> list[Item]:
        """What is left to do; the lines of the rest are kept."""
        known = {line.output: line for line in ledger.lines()}
        for item in self.items:
            line = known.get(item.output)
            if line and line.finished(self.way.asked(item), item, self.way.out, self.again):
                self.lines[item.output] = line
        return [item for item in self.items if item.output not in self.lines]

    def _do(self, todo: list[Item], hands: Sequence[Hand[Item, Line]], ledger: Ledger[Line]) -> None:
        try:
            with contextlib.closing(run_items(todo, hands, self.stop)) as outcomes:
                for item, made, lost in outcomes:
                    self._take(item, made, lost, ledger)
        finally:
            for hand in hands:
                hand.close()
        if len(self.lines) < len(self.items):
            done = f"stopped: {len(self.lines)} of {len(self.items)} are done"
            raise CancelledError(done, hint="give the same command again to go on; what is done is not done again")

    def _take(self, item: Item, made: Line | LostError, lost: int, ledger: Ledger[Line]) -> None:
        line = self._lost(item, made) if isinstance(made, LostError) else made
        line.lost = lost
        if line.code == "disk_full":
            hint = "make room, then give the same command again: what is done is not done again"
            done = f"{len(self.lines)} of {len(self.items)} are done"
            raise LegoError(f"the disk is full; {done}", where=str(self.way.out), hint=hint, code="disk_full")
        ledger.add(line)
        self.lines[item.output] = line
        self.fresh += 1
        self.listen(self.standing)

    def _lost(self, item: Item, error: LostError) -> Line:
        inputs = [Seen.at(path) for path in item.files]
        return Line(
            output=item.output, asked=self.way.asked(item), status="failed", image=str(item.image), words=item.words,
            inputs=inputs, seed=seed_of(self.way.settings.seed, item, inputs), code="lost", error=str(error),
            hint=HINT_LOST,
        )  # fmt: skip

    def _sorted(self) -> list[Line]:
        return sorted(self.lines.values(), key=lambda line: line.output)

    def _tell(self) -> None:
        """Write the table of failures and the sheet."""
        lines = self._sorted()
        _write_failures(self.way.out / FAILURES, [line for line in lines if line.status == "failed"])
        if self.way.sheet and lines:
            sheet.write(self.way.out, lines, len(self.items))


def _write_failures(path: Path, failed: Sequence[Line]) -> None:
    """Write what went wrong as a table, or take an old one away."""
    if not failed:
        path.unlink(missing_ok=True)
        return
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(("image", "instruction", "output", "code", "error", "hint"))
    rows.writerows((line.image, line.words, line.output, line.code, line.error, line.hint) for line in failed)
    write_whole(path, file.getvalue().encode())


def _sweep(out: Path, outputs: set[str]) -> None:
    """Take away what a killed process had not finished writing, and nothing else."""
    for folder in {(out / name).parent for name in outputs}:
        for path in folder.glob(".*"):
            name = TEMPORARY.fullmatch(path.name)
            if name and (folder / name[1]).relative_to(out).as_posix().removesuffix(".txt") in outputs:
                path.unlink(missing_ok=True)
