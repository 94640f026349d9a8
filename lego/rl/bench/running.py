"""Running: an editor does a benchmark's tasks, several at once, into the tree in which the official scripts look.

A task is finished when its line stands in the log, which is written after its pictures, and these appear whole or not
at all: whenever the process is killed, the next one goes on behind the last finished task.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from lego.builder.served import ABSENT
from lego.core.errors import CancelledError, ImageError, LegoError, PlanError, RecordError, RefusedError
from lego.core.ledger import Ledger
from lego.core.values import Image
from lego.editor import Editor, versions
from lego.rl.bench.gedit import SOURCE
from lego.rl.bench.items import LONGEST, Item
from lego.rl.bench.suite import Suite

LOG = "run.jsonl"
SUFFIX = ".png"
SUFFIXES = (SUFFIX, ".jpg", ".jpeg")  # of results that other programs made
NOTHING = "nothing"  # the name of the baseline whose result is the source
AHEAD = 4  # tasks that wait for each thread, so that a large benchmark is not queued at once
Status: TypeAlias = Literal["done", "declined", "failed"]
Listen: TypeAlias = Callable[[int, int, str], None]
Work = TypeVar("Work")
Made = TypeVar("Made")


class Run(BaseModel):
    """A line of the log: what became of a task."""

    model_config = ConfigDict(extra="forbid")

    item: str
    status: Status
    builder: str
    seed: int
    rounds: int = 0
    critic: str = ""
    seconds: float
    version: str
    error: str = ""
    code: str = ""


@dataclass(frozen=True)
class Way:
    """How tasks are done: by which editor (None gives back the source), with which seed and rounds of judging."""

    editor: Editor | None
    seed: int = 0
    rounds: int = 0

    @property
    def builder(self) -> str:
        """Who plans."""
        return self.editor.builder.name if self.editor else NOTHING

    @property
    def critic(self) -> str:
        """Who judges between the rounds; "" without them."""
        return self.editor.critic.name if self.editor and self.rounds else ""


def run(
    suite: Suite,
    items: Sequence[Item],
    way: Way,
    out: Path,
    *,
    name: str = "",
    workers: int = 1,
    again: bool = False,
    listen: Listen = lambda done, total, item: None,
) -> Counter[Status]:
    """Do the tasks that are not finished; return how many of all are done, declined and failed.

    Args:
        out: the folder of results.
        name: of the editor's own folder in it, where the suite has such; by default the builder's.
        again: try again what was declined or failed.
        listen: told after each task how many of how many are finished.

    Raises:
        RecordError: results cannot be written, another process is writing them, the folder holds those of another
            builder, seed, critic or number of rounds, or the data set is broken.
    """
    home = out / (name or folder_name(way.builder)) if suite.nested else out
    with Ledger(home / LOG, Run) as log:
        known = {line.item: line for line in log.lines()}
        _check_same(known.values(), way, home)
        _sweep(home)
        todo = [item for item in items if not _finished(known.get(item.id), home / suite.place(item), again)]
        made = version_text()
        count = len(items) - len(todo)
        for line in parallel(lambda item: _done(suite, item, way, home, made, log), todo, workers):
            known[line.item] = line
            count += 1
            listen(count, len(items), line.item)
    return Counter(known[item.id].status for item in items)


def home_of(suite: Suite, results: Path) -> Path:
    """Return the folder of one editor's results, given that or the one above it.

    Raises:
        RecordError: there is none, or there are several.
    """
    if not suite.nested or _holds(results):
        if results.is_dir():
            return results
        raise RecordError("there are no results", where=str(results), hint="`lego bench run` writes them", code="none")
    found = sorted(path for path in results.glob("*") if _holds(path))
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        message = f"it holds the results of several: {names}" if found else "there are no results"
        hint = f"give one of its folders, such as {found[0]}" if found else "`lego bench run` writes them"
        raise RecordError(message, where=str(results), hint=hint, code="which_results" if found else "none")
    return found[0]


def _holds(folder: Path) -> bool:
    return (folder / LOG).is_file() or (folder / "fullset").is_dir()


def result_of(suite: Suite, home: Path, item: Item) -> Path | None:
    """Return the picture that was made of an item, if there is one."""
    place = home / suite.place(item)
    found = (place.with_name(place.name + suffix) for suffix in SUFFIXES)
    return next((path for path in found if path.is_file()), None)


def folder_name(builder: str) -> str:
    """Return a builder's name as that of a folder: of a server's model the model."""
    name = builder.rpartition("#")[2] or builder
    return re.sub(r"[^\w.-]+", "_", Path(name).name).strip("._")[:LONGEST] or "builder"


def version_text() -> str:
    """Return the version that made a result."""
    return versions()["lego"]


def parallel(work: Callable[[Work], Made], todo: Sequence[Work], workers: int) -> Iterator[Made]:
    """Yield what came of each, as it is finished, several at once; the first error ends it, after what is under way."""
    waiting = iter(todo)
    pool = ThreadPoolExecutor(max(1, workers), "bench")
    running: set[Future[Made]] = set()
    try:
        while True:
            while len(running) < workers * AHEAD and (task := next(waiting, None)) is not None:
                running.add(pool.submit(work, task))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(line: Run | None, place: Path, again: bool) -> bool:
    if line is None:
        return False
    if line.status == "done":
        return place.with_name(place.name + SUFFIX).is_file()
    return not again


def _check_same(known: Any, way: Way, home: Path) -> None:
    for line in known:
        facts = (line.builder, line.seed, line.rounds, line.critic)
        ours = (way.builder, way.seed, way.rounds, way.critic)
        if facts != ours:
            told = [f"builder {b}, seed {s}, {r} rounds{c and ' by ' + c}" for b, s, r, c in (facts, ours)]
            hint = "choose another --out, or ask for the same"
            message = f"these results are of {told[0]}, and {told[1]} was asked for"
            raise RecordError(message, where=str(home), hint=hint, code="other_run")


def _sweep(home: Path) -> None:
    """Take away what a killed process had not finished writing."""
    for path in home.rglob(f".*{SUFFIX}.*"):
        with contextlib.suppress(OSError):
            path.unlink()


def _done(suite: Suite, item: Item, way: Way, home: Path, version: str, log: Ledger[Run]) -> Run:
    """Do a task, and write its pictures and then its line."""
    start = time.perf_counter()
    source = item.images[0].open()
    made, status, error, code = _edited(item, source, way)
    if made is not None:
        place = home / suite.place(item)
        place.parent.mkdir(parents=True, exist_ok=True)
        if suite.nested:
            source.save(place.with_name(f"{place.name}{SOURCE}{SUFFIX}"))
        made.save(place.with_name(place.name + SUFFIX))
    line = Run(
        item=item.id, status=status, builder=way.builder, seed=way.seed, rounds=way.rounds,
        critic=way.critic,
        seconds=round(time.perf_counter() - start, 3), version=version, error=error, code=code,
    )  # fmt: skip
    log.add(line)
    return line


def _edited(item: Item, source: Image, way: Way) -> tuple[Image | None, Status, str, str]:
    """The result, or why there is none."""
    if way.editor is None:
        return source, "done", "", ""
    references = [image.open() for image in item.images[1:]]
    try:
        made = way.editor.edit(source, item.instruction, references=references, seed=way.seed, rounds=way.rounds)
        return made.image, "done", "", ""
    except CancelledError:
        raise
    except (PlanError, RefusedError) as error:
        if error.code in ABSENT:  # nobody declined, nobody was there
            raise
        return None, "declined", str(error), error.code
    except (ImageError, LegoError) as error:
        return None, "failed", str(error), error.code
