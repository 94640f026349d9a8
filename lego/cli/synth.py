"""`lego synth`: lessons for models that think before they plan and judge what came out."""

from __future__ import annotations

import functools
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lego.cli.terminal import Progress
from lego.core.errors import SettingsError

if TYPE_CHECKING:
    from lego.rl.reasoning.lessons import Book, Kind
    from lego.rl.reasoning.pool import Wish

synth = typer.Typer(help="Make lessons in thinking and judging; docs/reasoning-data.md.", no_args_is_help=True)
THREADS = 8  # that ask a model

Out = Annotated[Path, typer.Option("--out", help="The folder of the data set; one that is there grows.")]
Total = Annotated[
    int, typer.Option("--count", min=1, help="How many lessons; those of the same seed or pool that are there count.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same lessons, without a model.")]
Language = Annotated[
    Literal["en", "zh", "both"], typer.Option("--language", help="Of the instructions made without a model.")
]
Pool = Annotated[Path | None, typer.Option("--pool", help="Pictures with instructions, for --model to work on.")]
Model = Annotated[
    str | None, typer.Option("--model", help="Who is asked: http://localhost:8000/v1#model, or a model's folder.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads that ask the model, or processes without one.")
]
BuilderName = Annotated[str | None, typer.Option("--builder", help="Who plans the edits of the pool.")]
LESSONS = Path("lessons")


@synth.command("thinking")
def make_thinking(
    out: Out = LESSONS,
    count: Total = 1000,
    seed: Seed = 0,
    language: Language = "both",
    pool: Pool = None,
    model: Model = None,
    workers: Workers = None,
) -> None:
    """Write pairs of an instruction and its concrete words: decomposed, made abstract, or left as it is."""
    from lego.rl.reasoning import synthesis
    from lego.rl.reasoning.lessons import Book
    from lego.rl.reasoning.thinking_pairs import SHARES, key_of, made

    wishes = _wishes(pool, model, seed)
    book = Book(out)
    with Progress(False) as bar:
        if pool and model:
            from lego.builder import talker
            from lego.rl.reasoning import asking

            name = pool.resolve().name
            writer = asking.Writer(talker.open(model), name, seed)
            asked = synthesis.Asking(
                book, "thinking", name, SHARES, count, lambda task: writer.lesson(task.label, task.wish)
            )
            asked.run(synthesis.by_way(wishes), workers or THREADS, bar.make)
            wanting = sum(asked.lacking().values())
        else:
            key = functools.partial(key_of, seed, language)
            maker = functools.partial(made, seed, language)
            wanting = synthesis.numbered(book, "thinking", key, maker, count, workers or _cores(), bar.make)
    _tell(book, "thinking", wanting)


@synth.command("reflection")
def make_reflection(
    out: Out = LESSONS,
    count: Total = 1000,
    seed: Seed = 0,
    language: Language = "both",
    pool: Pool = None,
    model: Model = None,
    builder: BuilderName = None,
    workers: Workers = None,
) -> None:
    """Write results of edits with the verdict on them: right, to be refined, or failed."""
    from lego.rl.reasoning import synthesis
    from lego.rl.reasoning.lessons import Book
    from lego.rl.reasoning.reflections import SHARES, key_of, made

    wishes = _wishes(pool, model, seed)
    book = Book(out)
    with Progress(False) as bar:
        if pool and model:
            from lego.builder import talker
            from lego.rl.reasoning import judging

            name = pool.resolve().name
            jury = judging.Jury(talker.open(model), builder, name, seed)
            asked = synthesis.Asking(book, "reflection", name, SHARES, count, lambda task: jury.lesson(task.wish))
            asked.run({"": iter(wishes)}, workers or THREADS, bar.make)
            wanting = sum(asked.lacking().values())
        else:
            key = functools.partial(key_of, seed, language)
            maker = functools.partial(made, seed, language)
            wanting = synthesis.numbered(book, "reflection", key, maker, count, workers or _cores(), bar.make)
    _tell(book, "reflection", wanting)


def _wishes(pool: Path | None, model: str | None, seed: int) -> list[Wish]:
    """The wishes of a pool in random order; none without one."""
    if bool(pool) != bool(model):
        hint = "give both, or neither: without a model lessons are made of scenes"
        message = f"--{'pool' if pool else 'model'} alone does nothing"
        raise SettingsError(message, hint=hint, code="pool_and_model")
    if pool is None:
        return []
    from lego.rl.reasoning import pool as pools
    from lego.rl.reasoning import synthesis

    return synthesis.mixed(pools.read(pool), seed)


def _cores() -> int:
    return min(4, os.cpu_count() or 1)


def _tell(book: Book, kind: Kind, wanting: int) -> None:
    made: Counter[str] = Counter()
    for (found, _, label), number in book.counts.items():
        made[label] += number if found == kind else 0
    parts = ", ".join(f"{number} {label}" for label, number in sorted(made.items()) if number)
    print(f"{book.folder} has {made.total()} lessons in {kind}: {parts or 'none'}")
    for (found, reason), number in book.dropped.most_common():
        if found == kind:
            print(f"  {number} tasks gave none: {reason}")
    if wanting:
        print(f"  {wanting} are wanting; a larger pool, or a larger --count, gives more")
