"""Scoring: a judge looks at every result, several at once; a line of a file for each item, judge, prompts and pass."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lego.core.errors import ImageError
from lego.core.ledger import Ledger
from lego.core.values import Image
from lego.rl.bench.items import Item
from lego.rl.bench.judging import Judge, Judged
from lego.rl.bench.running import Listen, parallel, result_of
from lego.rl.bench.suite import Suite

FILE = "scores.jsonl"
BROKEN = "result"  # the question that is missing where the result cannot be opened


class Score(BaseModel):
    """A line of the file: what a judge said of a result."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    item: str
    kind: str
    judge: str
    prompts: str = ""
    number: int = Field(0, alias="pass")
    digest: str
    scores: dict[str, list[float] | None] = {}
    missing: dict[str, str] = {}
    raw: dict[str, str] = {}
    tries: dict[str, int] = {}
    notes: list[str] = []
    facts: dict[str, Any] = {}
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """Of what a further run does not ask again."""
        return (self.item, self.judged_by, self.prompts, self.digest, self.number)

    @property
    def judged_by(self) -> str:
        """The judge with all that makes its figures its own."""
        told = ", ".join(f"{name} {value}" for name, value in sorted(self.facts.items()))
        named = self.judge if self.judge.startswith(self.kind) else f"{self.kind} {self.judge}"
        return f"{named}{f' ({told})' if told else ''}"


def score(
    suite: Suite,
    items: Sequence[Item],
    home: Path,
    judge: Judge,
    *,
    passes: int = 1,
    workers: int = 1,
    again: bool = False,
    listen: Listen = lambda done, total, item: None,
) -> tuple[int, int, int]:
    """Judge what is not judged yet; return how many judgements are whole, how many lack a score, and not generated.

    Args:
        home: the folder of the editor's results.
        passes: judgements of each result.
        again: ask again where a score is missing.
        listen: told after each judgement how many of how many there are.

    Raises:
        RecordError: the file cannot be written, another process is writing it, or the data set is broken.
        LegoError: the judge cannot be reached.
    """
    with Ledger(home / FILE, Score) as file:
        known = {line.key: line for line in file.lines()}
        found = [(item, path, digest(path)) for item in items if (path := result_of(suite, home, item))]
        wanted = [(item, path, hash_, number) for item, path, hash_ in found for number in range(passes)]

        def blank(item: Item, hash_: str, number: int) -> Score:
            facts = dict(judge.facts)
            named = {"kind": judge.kind, "judge": judge.name, "prompts": judge.prompts, "facts": facts}
            return Score(item=item.id, number=number, digest=hash_, **named)

        def missing(task: tuple[Item, Path, str, int]) -> bool:
            line = known.get(blank(task[0], *task[2:]).key)
            return line is None or (again and bool(line.missing))

        def judged(task: tuple[Item, Path, str, int]) -> Score:
            item, path, hash_, number = task
            start = time.perf_counter()
            made = _judged(judge, item, path, number)
            facts = {
                "scores": {name: None if s is None else list(s) for name, s in made.scores.items()},
                "missing": made.missing, "raw": made.raw, "tries": made.tries, "notes": made.notes,
                "seconds": round(time.perf_counter() - start, 3),
            }  # fmt: skip
            line = blank(item, hash_, number).model_copy(update=facts)
            file.add(line)
            return line

        todo = [task for task in wanted if missing(task)]
        count = len(wanted) - len(todo)
        for line in parallel(judged, todo, 1 if judge.alone else workers):
            known[line.key] = line
            count += 1
            listen(count, len(wanted), line.item)
        lines = [known[blank(item, hash_, number).key] for item, _, hash_, number in wanted]
    short = sum(bool(line.missing) for line in lines)
    return len(lines) - short, short, len(items) - len(found)


def digest(path: Path) -> str:
    """Return a hash of a file's content: a result that was made anew is judged anew."""
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


def _judged(judge: Judge, item: Item, path: Path, number: int) -> Judged:
    try:
        result = Image.open(path)
    except ImageError as error:
        return Judged(missing={BROKEN: error.message})
    return judge.judge(item, result, number)
