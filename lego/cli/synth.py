"""`lego synth`: lessons for models that think before they plan and judge what came out."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lego.cli.terminal import Progress
from lego.core.errors import SettingsError

if TYPE_CHECKING:
    from lego.rl.lessons import Book, Kind

synth = typer.Typer(help="Make lessons in thinking and judging; docs/reasoning-data.md.", no_args_is_help=True)
THREADS = 8  # that ask a model

Out = Annotated[Path, typer.Option("--out", help="The folder of the data set; one that is there grows.")]
Total = Annotated[int, typer.Option("--count", min=1, help="Lessons of this kind that it shall have.")]
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
    from lego.rl import synthesis
    from lego.rl.lessons import Book
    from lego.rl.thinking_pairs import SHARES, key_of, made

    _check(pool, model)
    book = Book(out)
    with Progress(False) as bar:
        if pool and model:
            from lego.builder import talker
            from lego.rl import asking
            from lego.rl import pool as pools

            writer = asking.Writer(talker.open(model), pool.resolve().name, seed)
            asked = synthesis.Asking(book, "thinking", SHARES, count, lambda task: writer.lesson(task.label, task.wish))
            wishes = synthesis.mixed(pools.read(pool), seed)
            asked.run(synthesis.by_way(wishes), workers or THREADS, bar.make)
        else:
            key = functools.partial(key_of, seed, language)
            maker = functools.partial(made, seed, language)
            synthesis.numbered(book, "thinking", key, maker, count, workers or _cores(), bar.make)
    _tell(book, "thinking", count)


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
    from lego.rl import synthesis
    from lego.rl.lessons import Book
    from lego.rl.reflections import SHARES, key_of, made

    _check(pool, model)
    book = Book(out)
    with Progress(False) as bar:
        if pool and model:
            from lego.builder import talker
            from lego.rl import judging
            from lego.rl import pool as pools

            jury = judging.Jury(talker.open(model), builder, pool.resolve().name, seed)
            asked = synthesis.Asking(book, "reflection", SHARES, count, lambda task: jury.lesson(task.wish))
            asked.run({"": iter(synthesis.mixed(pools.read(pool), seed))}, workers or THREADS, bar.make)
        else:
            key = functools.partial(key_of, seed, language)
            maker = functools.partial(made, seed, language)
            synthesis.numbered(book, "reflection", key, maker, count, workers or _cores(), bar.make)
    _tell(book, "reflection", count)


def _check(pool: Path | None, model: str | None) -> None:
    if bool(pool) != bool(model):
        hint = "give both, or neither: without a model lessons are made of scenes"
        message = f"--{'pool' if pool else 'model'} alone does nothing"
        raise SettingsError(message, hint=hint, code="pool_and_model")


def _cores() -> int:
    return min(4, os.cpu_count() or 1)


def _tell(book: Book, kind: Kind, count: int) -> None:
    made = {label: number for (k, label), number in sorted(book.counts.items()) if k == kind}
    parts = ", ".join(f"{number} {label}" for label, number in made.items())
    print(f"{book.folder} has {sum(made.values())} lessons in {kind}: {parts or 'none'}")
    for (k, reason), number in book.dropped.most_common():
        if k == kind:
            print(f"  {number} tasks gave none: {reason}")
    if sum(made.values()) < count:
        print(f"  {count - sum(made.values())} are wanting; a larger pool gives more")
