"""`lego bench`: how good builders plan, and how good editors do in public benchmarks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lego.cli.opening import editor_of
from lego.cli.terminal import Progress
from lego.core.errors import SettingsError
from lego.core.settings import Settings

if TYPE_CHECKING:
    from lego.rl.bench.formulas import Mode
    from lego.rl.bench.items import Item
    from lego.rl.bench.smoke import Tried
    from lego.rl.bench.suite import Suite
    from lego.rl.bench.summary import Figure, Summary, Table

bench = typer.Typer(help="Measure builders and editors.", no_args_is_help=True)

SuiteName = Annotated[str, typer.Argument(help="gedit, imgedit, kris, rise or compbench.", show_default=False)]
Root = Annotated[Path, typer.Argument(help="The data set: a copy in its published layout.", show_default=False)]
Results = Annotated[Path, typer.Argument(help="The folder that `lego bench run` wrote.", show_default=False)]
Lang = Annotated[str, typer.Option("--lang", help="en, cn (or zh), or all.")]
Group = Annotated[str, typer.Option("--group", help="Only this group, as the suite names it.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Items of each group and language; 0 is all.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=256, help="Items that are done at once.")]
ModeName = Annotated[str, typer.Option("--mode", help="fixed, or official: with the published scripts' quirks.")]
RoundsCount = Annotated[
    int | None, typer.Option("--rounds", min=0, max=10, help="How often a critic may send a result round again.")
]
CriticName = Annotated[str | None, typer.Option("--critic", help="Who judges between the rounds.")]
Again = Annotated[bool, typer.Option("--again", help="Try again what did not succeed.")]
BuilderName = Annotated[str | None, typer.Option("--builder", help="Who plans; `lego doctor` shows the default.")]
ToolFiles = Annotated[list[Path] | None, typer.Option("--tools", help="Your own tools: a Python file, or a brick.")]


@bench.command()
def plan(
    file: Annotated[Path, typer.Argument(help="Instructions with the calls that are right, one JSON object a line.")],
    builder: BuilderName = None,
    tools: ToolFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every instruction with its outcome, a line each.")
    ] = False,
) -> None:
    """Count how many instructions a builder plans as their writers meant."""
    from lego.rl.bench import plan as planning

    editor = editor_of(Settings.load({"builder": builder}), tools)
    outcomes = list(planning.run(editor.builder, file, editor.registry))
    if as_json:
        for o in outcomes:
            facts = {"right": o.right, "wrong": o.wrong, "graph": round(o.graph, 3), "seconds": round(o.seconds, 4)}
            print(json.dumps({"instruction": o.case.instruction, **facts, "plan": o.plan}, ensure_ascii=False))
        return
    print(f"{editor.builder.name} on {len(outcomes)} instructions\n")
    print(f"{'':12} {'count':>5} {'right':>6} {'wrong edit':>11} {'agreement':>10}")
    for name, count, right, wrong, graph in planning.table(outcomes):
        print(f"{name:12} {count:5} {right:6.0%} {wrong:11.0%} {graph:10.2f}")
    slow = sorted(o.seconds for o in outcomes)
    print(f"\nplanning takes {1000 * slow[len(slow) // 2]:.0f} ms (median), {1000 * slow[-1]:.0f} ms at most")


@bench.command()
def run(
    suite: SuiteName,
    root: Root,
    out: Annotated[Path, typer.Option("--out", help="The folder of results.", show_default=False)],
    builder: BuilderName = None,
    tools: ToolFiles = None,
    lang: Lang = "all",
    group: Group = "",
    limit: Limit = 0,
    workers: Workers = 1,
    rounds: RoundsCount = None,
    critic: CriticName = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of every edit, 0 to 2^32 - 1.")] = None,
    baseline: Annotated[str, typer.Option("--baseline", help="'nothing': the result is the source.")] = "",
    name: Annotated[str, typer.Option("--name", help="Of the editor's folder, where the suite has one.")] = "",
    again: Again = False,
) -> None:
    """Do a benchmark's tasks, into the tree of the official scripts; go on where an earlier run was stopped."""
    from lego.rl.bench import running

    found, items = _items(suite, root, lang, group, limit)
    if baseline not in ("", running.NOTHING):
        hint = f"the only one is '{running.NOTHING}'"
        raise SettingsError(f"there is no baseline '{baseline}'", where="--baseline", hint=hint, code="no_baseline")
    if name:
        from lego.rl.bench.items import plain

        plain(name, "--name")
    settings = Settings.load({"builder": builder, "seed": seed, "rounds": rounds, "critic": critic})
    editor = None if baseline else editor_of(settings, tools)
    way = running.Way(editor, settings.seed, 0 if baseline else settings.rounds)
    with Progress(False, left=True) as bar:
        counts = running.run(found, items, way, out, name=name, workers=workers, again=again, listen=bar.do)
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    print(f"{found.title}, {way.builder}: {told} of {len(items)} items, in {out}")


@bench.command()
def score(
    suite: SuiteName,
    root: Root,
    results: Results,
    judge: Annotated[
        str, typer.Option(help="URL#MODEL of a server, editscore:BACKBONE#MODEL, or pixels.", show_default=False)
    ],
    mode: ModeName = "fixed",
    judge_prompts: Annotated[
        Path | None, typer.Option("--judge-prompts", help="A JSON file of prompts by name; see docs/benchmarks.md.")
    ] = None,
    passes: Annotated[int, typer.Option("--passes", min=1, max=100, help="Judgements of each result.")] = 1,
    retries: Annotated[int, typer.Option("--retries", min=0, max=20, help="Further tries for a reply.")] = 3,
    temperature: Annotated[float, typer.Option("--temperature", min=0, max=2, help="Of the judge.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the judge's first pass.")] = 42,
    lang: Lang = "all",
    group: Group = "",
    limit: Limit = 0,
    workers: Workers = 1,
    again: Again = False,
) -> None:
    """Let a judge look at the results; go on where an earlier scoring was stopped."""
    from lego.rl.bench import panel, prompts, running, scoring

    found, items = _items(suite, root, lang, group, limit)
    chosen = _mode(mode)
    home = running.home_of(found, results)
    texts = prompts.read(judge_prompts, found.prompts) if judge_prompts else prompts.Prompts(found.prompts)
    who = panel.judge_of(judge, found, texts, chosen, retries, temperature, seed)
    with Progress(False, left=True) as bar:
        whole, short, absent = scoring.score(
            found, items, home, who, passes=passes, workers=workers, again=again, listen=bar.do
        )
    print(f"{found.title}, {who.name}: {whole} judged, {short} missing, {absent} not generated; {home / scoring.FILE}")


@bench.command()
def report(
    suite: SuiteName,
    root: Root,
    results: Results,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with pictures.")] = None,
    pictures: Annotated[int, typer.Option("--pictures", min=0, help="Items of each group on the page.")] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    mode: ModeName = "fixed",
    clamp: Annotated[
        bool | None, typer.Option("--clamp/--no-clamp", help="Hold scores to each other as the prompts ask.")
    ] = None,
    lang: Lang = "all",
    group: Group = "",
    limit: Limit = 0,
) -> None:
    """Make tables of the scores, with intervals and with the bounds that missing judgements leave."""
    from lego.core.codec import write_whole
    from lego.rl.bench import official, running, summary
    from lego.rl.bench.page import page

    found, items = _items(suite, root, lang, group, limit)
    made = summary.summarise(found, items, running.home_of(found, results), _mode(mode), clamp)
    written = official.export(made) if mode == "official" else []
    if html:
        written.append(write_whole(html, page(made, pictures).encode()))
    if as_json:
        print(json.dumps(made.dump(), ensure_ascii=False, indent=2))
        return
    _tell(made)
    for path in written:
        print(f"wrote {path}")


@bench.command()
def smoke(
    builder: Annotated[list[str] | None, typer.Option("--builder", help="Who plans; may be given again.")] = None,
    tools: ToolFiles = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Trials, each made up anew.")] = 200,
    rounds: RoundsCount = None,
    critic: CriticName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every trial with its outcome, a line each.")] = False,
) -> None:
    """Edit made-up scenes whose right result is known, with every builder: no data and no judge are needed."""
    from lego.rl.bench import smoke as trials

    rows = [(trials.NOTHING, trials.NOTHING), (trials.TRUTH, trials.TRUTH)]
    rows += [(name, "") for name in builder or ("rules", "nano")]
    for name, baseline in rows:
        flags = {"builder": "rules" if baseline else name, "rounds": rounds, "critic": critic}
        settings = Settings.load(flags)
        with Progress(False, left=True) as bar:
            listen = partial(_share, bar, count, name)
            tried = list(trials.run(editor_of(settings, tools), count, settings.rounds, baseline, listen))
        if as_json:
            for one in tried:
                print(json.dumps({"builder": name, **asdict(one)}))
            continue
        _tell_trials(name, trials.table(tried) if not baseline else trials.table(tried)[-1:], tried)


@bench.command()
def rounds(
    count: Annotated[int, typer.Option("--count", min=1, help="Trials, each made up anew.")] = 300,
    critic: Annotated[str, typer.Option("--critic", help="Who judges.")] = "pixels",
    seed: Annotated[int, typer.Option("--seed", help="Of the flaws.")] = 0,
) -> None:
    """Put flaws into plans and tools: how many the critic finds, and what rounds make of them."""
    from lego.core.registry import registry
    from lego.rl.bench import loop

    print(f"critic '{critic}', {count} trials each, {loop.SHARE:.0%} of plans or results flawed")
    for where in loop.PLACES:
        with Progress(False, left=True) as bar:
            found = loop.run(registry, where, count, critic, seed, progress=partial(_share, bar, count, where))
        print(f"\n{loop.PLACES[where]}\n")
        print("\n".join(loop.summary(found).lines()))
        for kind, (some, all_) in loop.by_kind(found).items():
            print(f"  {kind + (' *' if kind in loop.HELD else ''):22} {some:4} of {all_:4}")
    print("\n* never looked at while the critic's limits were set")


def _share(bar: Progress, total: int, name: str, share: float) -> None:
    bar.do(round(share * total), total, name)


def _tell_trials(name: str, rows: list[tuple[str, int, int, int, int, int]], tried: Sequence[Tried]) -> None:
    from lego.rl.trials import interval

    slow = sorted(one.seconds for one in tried)
    print(f"\n{name}: {1000 * slow[len(slow) // 2]:.0f} ms an edit (median)\n")
    print(f"{'':16} {'count':>5} {'right':>6} {'95 %':>13} {'wrong':>6} {'declined':>9} {'failed':>7}")
    for group, count, right, wrong, declined, failed in rows:
        low, high = interval(right, count)
        span = f"{low:.0%} to {high:.0%}"
        print(f"{group:16} {count:5} {right / count:6.0%} {span:>13} {wrong:6} {declined:9} {failed:7}")


def _tell(made: Summary) -> None:
    runs = ", ".join(f"{count} {status}" for status, count in made.runs.items())
    print(f"{made.suite.title}, {made.builder}: {len(made.items)} items, {runs}")
    if made.stale:
        print(f"{made.stale} judgements are of results that were made anew, and do not count")
    if not made.tables:
        print("nothing is judged yet: `lego bench score`")
    for table in made.tables:
        _tell_table(table)


def _tell_table(table: Table) -> None:
    from lego.rl.bench.page import heading, number, span

    main = next(column for column in table.columns if column.name == table.main)
    wide = max(28, *(len(name) for name in (*(line.name for line in table.lines), *table.overall)))
    heads = " ".join(f"{column.name:>{max(7, len(column.name))}}" for column in table.columns)
    print(f"\n{heading(table)}\n")
    print(f"{'':{wide}} {'items':>6} {'judged':>7} {'missing':>8} {'absent':>7} {heads}  {main.name}, 95 %; bounds")
    for line in table.lines:
        figures = " ".join(
            f"{number(line.figures[column.name].mean, column):>{max(7, len(column.name))}}" for column in table.columns
        )
        counts = f"{line.items:6} {line.judged:7} {line.missing:8} {line.absent:7}"
        figure = line.figures[main.name]
        print(f"{line.name:{wide}} {counts} {figures}  {_ends(figure, main.digits, span)}")
    print()
    for label, figure in table.overall.items():
        mean = "–" if figure.mean is None else f"{figure.mean:.2f}"
        print(f"{label:{wide}} {mean:>7}  {_ends(figure, 2, span)}")


def _ends(figure: Figure, digits: int, span: Any) -> str:
    return f"{span(figure.interval, digits)}; {span(figure.bounds, digits)}"


def _items(name: str, root: Path, lang: str, group: str, limit: int) -> tuple[Suite, list[Item]]:
    from lego.rl.bench import suites
    from lego.rl.bench.items import chosen

    suite = suites.find(name)
    return suite, chosen(suite.load(root), lang, group, limit)


def _mode(name: str) -> Mode:
    from lego.rl.bench.formulas import MODES

    for mode in MODES:
        if name == mode:
            return mode
    raise SettingsError(f"there is no mode '{name}'", where="--mode", hint=" or ".join(MODES), code="unknown_mode")
