"""`lego synth`: lessons in thinking and judging, and edits that need an answer first."""

from __future__ import annotations

import functools
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lego.cli.terminal import Progress
from lego.core.errors import SettingsError

if TYPE_CHECKING:
    from lego.rl.phrasings import Split
    from lego.rl.reasoning.ledger import Ledger, Records
    from lego.rl.reasoning.lessons import Lesson
    from lego.rl.reasoning.pool import Wish

synth = typer.Typer(help="Make data that teaches: thinking, judging, answering.", no_args_is_help=True)
THREADS = 8  # that ask a model
PAINTING = 600.0  # seconds for a picture that a server makes

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
RIDDLES = Path("riddles")


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
            asked: synthesis.Asking[Wish, Lesson] = synthesis.Asking(
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
            asked: synthesis.Asking[Wish, Lesson] = synthesis.Asking(
                book, "reflection", name, SHARES, count, lambda task: jury.lesson(task.wish)
            )
            asked.run({"": iter(wishes)}, workers or THREADS, bar.make)
            wanting = sum(asked.lacking().values())
        else:
            key = functools.partial(key_of, seed, language)
            maker = functools.partial(made, seed, language)
            wanting = synthesis.numbered(book, "reflection", key, maker, count, workers or _cores(), bar.make)
    _tell(book, "reflection", wanting)


@synth.command("intelligent")
def make_intelligent(
    out: Out = RIDDLES,
    scenes: Annotated[int, typer.Option("--scenes", min=0, help="How many records of scenes, without a model.")] = 0,
    mix: Annotated[str, typer.Option("--mix", help="Categories: 40k, 148k, equal, or count=2,color=1.")] = "40k",
    split: Annotated[
        Literal["train", "val", "test"], typer.Option("--split", help="Of scenes and wordings.")
    ] = "train",
    seed: Seed = 0,
    language: Language = "both",
    rows: Annotated[Path | None, typer.Option("--rows", help="Questions about pictures: .jsonl or .parquet.")] = None,
    columns: Annotated[
        tuple[str, str, str], typer.Option("--columns", help="Names of the columns: image, question, answer.")
    ] = ("image", "question", "answer"),
    pictures: Annotated[Path | None, typer.Option("--pictures", help="The folder of the rows' images.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many records of the rows.")] = 1000,
    model: Model = None,
    images: Annotated[str | None, typer.Option("--images", help="Who makes targets: http://server/v1#model.")] = None,
    builder: BuilderName = None,
    workers: Workers = None,
    export: Annotated[Literal["bagel", "janus"] | None, typer.Option("--export", help="Write their rows too.")] = None,
) -> None:
    """Write edits that need an answer first: a question about the picture is part of what is asked."""
    from lego.rl.reasoning import layouts
    from lego.rl.reasoning.intelligent import mix_of
    from lego.rl.reasoning.ledger import Records

    if bool(rows) != bool(model):
        hint = "give both; or --scenes alone: records are then made without a model"
        raise SettingsError(f"--{'rows' if rows else 'model'} alone does nothing", hint=hint, code="rows_and_model")
    if not (scenes or rows or export):
        raise SettingsError("there is nothing to make", hint="give --scenes, or --rows and --model", code="nothing")
    shares, book = mix_of(mix), Records(out)
    wanting = _of_scenes(book, scenes, (seed, language, split, shares), workers or _cores()) if scenes else 0
    if rows and model:
        work = _Asked(rows, columns, pictures, count, model, images, builder, seed, workers or THREADS)
        wanting += work.run(book, shares)
    _tell(book, book.kind, wanting)
    if export:
        print(f"{layouts.write(out, export)} is written")


def _of_scenes(book: Records, count: int, how: tuple[int, str, Split, dict[str, float]], workers: int) -> int:
    from lego.rl.reasoning import synthesis
    from lego.rl.reasoning.intelligent import key_of, made

    with Progress(False) as bar:
        key, maker = functools.partial(key_of, *how), functools.partial(made, *how)
        return synthesis.numbered(book, book.kind, key, maker, count, workers, bar.make)


@dataclass(frozen=True)
class _Asked:
    """What is to be made of a file of questions."""

    rows: Path
    columns: tuple[str, str, str]
    pictures: Path | None
    count: int
    model: str
    images: str | None
    builder: str | None
    seed: int
    workers: int

    def run(self, book: Records, shares: dict[str, float]) -> int:
        """Ask, and return how many are wanting."""
        from lego.builder import talker
        from lego.builder.served import Server
        from lego.rl.reasoning import questions, synthesis
        from lego.rl.reasoning.composing import Composer
        from lego.rl.records import Record

        name, lost = self.rows.name, Counter[str]()
        painter = Server(self.images, timeout=PAINTING) if self.images else None

        def wanted(category: str) -> bool:
            return asked.lacking().get(category, 0) > 0

        composer = Composer(
            talker.open(self.model), painter, self.builder, book.folder, name, self.seed, wanted
        )  # fmt: skip
        asked: synthesis.Asking[questions.Question, Record] = synthesis.Asking(
            book, book.kind, name, shares, self.count, lambda task: composer.record(task.wish)
        )
        found = questions.read(self.rows, questions.Columns(*self.columns), self.pictures, lost)
        with Progress(False) as bar:
            asked.run({"": found}, self.workers, bar.make)
        for reason, number in lost.most_common():
            print(f"  {number} rows were passed over: {reason}")
        return sum(asked.lacking().values())


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


def _tell(book: Ledger[Any], kind: str, wanting: int) -> None:
    made: Counter[str] = Counter()
    for (found, _, label), number in book.counts.items():
        made[label] += number if found == kind else 0
    parts = ", ".join(f"{number} {label}" for label, number in sorted(made.items()) if number)
    what = f"{book.called} in {kind}" if book.called == "lessons" else book.called
    print(f"{book.folder} has {made.total()} {what}: {parts or 'none'}")
    for (found, reason), number in book.dropped.most_common():
        if found == kind and number:
            print(f"  {number} tasks gave none: {reason}")
    if wanting:
        print(f"  {wanting} are wanting; a larger pool, or a larger --count, gives more")
