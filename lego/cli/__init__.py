"""The command line: `lego edit photo.jpg "make the sky warmer" -o out.png`."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from lego import __version__
from lego.cli.batch import batch
from lego.cli.bench import bench
from lego.cli.brick import STAGE as BRICK
from lego.cli.brick import train_brick
from lego.cli.models import models
from lego.cli.opening import editor_of
from lego.cli.serve import mcp, serve
from lego.cli.synth import synth
from lego.cli.terminal import Progress, console
from lego.core.errors import CancelledError, LegoError, SettingsError, StepError
from lego.core.settings import Settings

if TYPE_CHECKING:
    from lego.core.models import Pool
    from lego.core.registry import Tool
    from lego.editor import Editor, EditResult

OUTPUT = Path("edited.png")
EXTRAS = {
    "find": (("onnxruntime", "rapidocr", "skimage"), "words and faces"),
    "fill": (("numba", "pymatting"), "canvases extended without seams, hair cut out"),
    "neural": (("torch", "transformers", "llguidance"), "vision-language models that plan"),
    "serve": (("fastapi", "uvicorn", "sqlalchemy", "mcp"), "edits over HTTP and for agents"),
    "studio": (("gradio",), "a page to edit on"),
    "ray": (("ray",), "steps on the nodes of a cluster"),
}  # what each brings, by the modules that it needs
WHY = {"nano": "ships with lego and runs without torch", "rules": "needs no network"}
OUTCOMES = {
    "success": "accepted", "refine": "not all of it is done", "failed": "not accepted", "missing": "not judged",
}  # fmt: skip
MISTAKE = 2  # exit code of everything that the user can mend

app = typer.Typer(
    help="Edit pictures by words.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tools = typer.Typer(help="List the tools, show one, or check your own.", invoke_without_command=True)
app.add_typer(tools, name="tools")
app.add_typer(models, name="models")
app.add_typer(synth, name="synth")
app.command()(batch)
app.command()(serve)
app.command()(mcp)
app.add_typer(bench, name="bench")

Picture = Annotated[Path, typer.Argument(help="The picture: JPEG, PNG, WebP, TIFF or BMP.", show_default=False)]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write; the suffix chooses the format.")]
MaskFile = Annotated[Path | None, typer.Option("--mask", help="Where to edit: a picture, white = edit.")]
BoxText = Annotated[
    str | None, typer.Option("--box", help="Where to edit: x0,y0,x1,y1 in pixels.", metavar="X0,Y0,X1,Y1")
]
References = Annotated[list[Path] | None, typer.Option("--reference", help="A further picture; may be given again.")]
ToolFiles = Annotated[list[Path] | None, typer.Option("--tools", help="Your own tools: a Python file, or a brick.")]
Seed = Annotated[int | None, typer.Option("--seed", help="0 to 2^32 - 1; the same seed gives the same bytes.")]
BuilderName = Annotated[str | None, typer.Option("--builder", help="Who plans; `lego doctor` shows the default.")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Write a page with the picture of every step.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the workflow and the trace as JSON.")]
Rounds = Annotated[int | None, typer.Option("--rounds", help="How often a critic may send a result round again.")]
CriticName = Annotated[str | None, typer.Option("--critic", help="Who judges: pixels, or a model as for --builder.")]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Seconds that the edit may take.")]


def _version(asked: bool) -> None:
    if asked:
        print(f"lego {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Edit pictures by words."""


@app.command()
def edit(
    image: Picture,
    instruction: Annotated[
        str, typer.Argument(help="What to do, in plain words, English or Chinese.", show_default=False)
    ],
    output: Output = OUTPUT,
    mask: MaskFile = None,
    box: BoxText = None,
    reference: References = None,
    tools: ToolFiles = None,
    seed: Seed = None,
    builder: BuilderName = None,
    rounds: Rounds = None,
    critic: CriticName = None,
    timeout: Timeout = None,
    report: ReportFile = None,
    as_json: AsJson = False,
) -> None:
    """Edit a picture as the words say."""
    _check_outputs(output, report, image, mask, reference)
    with Progress(as_json) as progress:
        editor = _editor(builder, tools, progress, seed=seed, timeout=timeout, rounds=rounds, critic=critic)
        result = editor.edit(image, instruction, mask=mask, box=_box(box), references=reference or ())
        _write(result, editor, output, report)
    _tell(result, output, report, as_json)


@app.command()
def plan(
    image: Picture,
    instruction: Annotated[
        str, typer.Argument(help="What to do, in plain words, English or Chinese.", show_default=False)
    ],
    mask: MaskFile = None,
    box: BoxText = None,
    reference: References = None,
    tools: ToolFiles = None,
    builder: BuilderName = None,
) -> None:
    """Print the workflow for an instruction without running it."""
    editor = _editor(builder, tools)
    print(editor.plan(image, instruction, mask=mask, box=_box(box), references=reference or ()).workflow.json())


@app.command()
def run(
    workflow: Annotated[
        Path, typer.Argument(help="A workflow (.json), or a PNG that `lego edit` wrote.", show_default=False)
    ],
    image: Picture,
    output: Output = OUTPUT,
    mask: MaskFile = None,
    box: BoxText = None,
    reference: References = None,
    tools: ToolFiles = None,
    seed: Seed = None,
    timeout: Timeout = None,
    report: ReportFile = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow, or repeat the edit of another picture."""
    _check_outputs(output, report, image, mask, reference, workflow)
    with Progress(as_json) as progress:
        editor = _editor(None, tools, progress, seed=seed, timeout=timeout)
        result = editor.run(workflow, image, mask=mask, box=_box(box), references=reference or ())
        _write(result, editor, output, report)
    _tell(result, output, report, as_json)


@tools.callback()
def list_tools(
    context: typer.Context,
    files: ToolFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False,
    engines: Annotated[bool, typer.Option("--engines", help="Tell which engine each would use here, and why.")] = False,
) -> None:
    """List the tools, show one, or check your own."""
    if context.invoked_subcommand:
        return
    editor = _editor(None, files)
    chosen = {tool.name: _engine(tool, editor.pool) for tool in editor.registry}
    if as_json:
        facts = [{**t.card, **dict(zip(("engine", "reason"), chosen[t.name], strict=True))} for t in editor.registry]
        print(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    from rich.table import Table

    last = "why" if engines else "what it does"
    table = Table("tool", "family", "engine", last, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for tool in sorted(editor.registry, key=lambda tool: (tool.family, tool.name)):
        name, reason = chosen[tool.name]
        table.add_row(f"[bold]{tool.name}[/]", tool.family, name, reason if engines else tool.sentence)
    console().print(table)


@tools.command("show")
def show_tool(name: Annotated[str, typer.Argument(help="The tool's name.")], files: ToolFiles = None) -> None:
    """Show a tool: its parameters with their bounds, its outputs, the words that call it."""
    editor = _editor(None, files)
    tool = editor.registry.get(name)
    if tool is None:
        nearest = editor.registry.nearest(name)
        hint = f"did you mean '{nearest}'?" if nearest else "`lego tools` lists them"
        raise LegoError(f"there is no tool '{name}'", hint=hint, code="unknown_tool")
    print(_described(tool, editor.pool))


@tools.command("check")
def check_tools(file: Annotated[Path, typer.Argument(help="A file with @lego.tool functions, or a brick.")]) -> None:
    """Check tools of your own against the contract that every tool keeps."""
    from lego.executor.contract import check
    from lego.tools import load_tools

    editor = _editor(None, None)
    broken = 0
    for tool in load_tools(editor.registry, file):
        faults = check(tool, editor.pool)
        broken += len(faults)
        print(f"{'ok  ' if not faults else 'FAIL'} {tool.line_of_prompt}")
        for fault in faults:
            print(f"       {fault}")
    if broken:
        raise LegoError(
            f"{broken} broken promise{'s' if broken > 1 else ''}",
            where=str(file),
            hint="docs/write-a-tool.md says what each means",
        )


@app.command()
def train(
    stage: Annotated[str, typer.Argument(help="sft, grpo-gt, grpo-free, all of these; reason; export; brick.")] = "all",
    recipe: Annotated[str | None, typer.Option("--recipe", help="A recipe's name, or a TOML file; else nano.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Of a brick: the folder of its pairs.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder of the run.")] = Path("run"),
    scale: Annotated[float, typer.Option("--scale", help="Times the steps of the recipe.")] = 1.0,
    smoke: Annotated[bool, typer.Option("--smoke", help="Go through with a few steps of each stage.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    backend: Annotated[str | None, typer.Option("--backend", help="Who runs plans for rewards: threads, ray.")] = None,
    tools: ToolFiles = None,
) -> None:
    """Train a builder (to think and judge; by imitation; by reinforcement with truth, and without), or a brick."""
    from lego.rl import school
    from lego.rl.recipe import Recipe

    if stage == "export":
        return print(f"wrote {school.export(out)}")
    if stage == BRICK:
        return train_brick(recipe, data, out, scale, smoke, resume)
    made = Recipe.load(recipe or "nano").scaled(scale)
    editor, stages = _editor(None, tools, backend=backend), school.stages_of(stage)
    made = made.model_copy(update={"reward_backend": editor.settings.backend})
    with Progress(False) as bar:
        made = made.smoke() if smoke else made
        folder = school.train(made, stages, out, editor.registry, resume=resume, listen=bar.learn)
    print(f"wrote {folder}")


@app.command()
def doctor() -> None:
    """Show versions, settings with their sources, and which engine each tool would use and why."""
    from lego import editor

    made = _editor(None, None)
    for name, number in editor.versions().items():
        print(f"{name:24} {number}")
    for complaint in _complaints():
        print(f"! {complaint}")
    print("\nsettings")
    for setting, value, source in made.settings.rows():
        print(f"  {setting:18} {value!s:36} {source}")
    print(f"\nbuilder\n  {made.builder.name}: {WHY.get(made.builder.name, 'chosen in the settings above')}")
    print(f"\nbackend\n  {made.settings.backend}: {made.executor.backend.describe()}")
    print("\nextras")
    for extra, (modules, what) in EXTRAS.items():
        missing = ", ".join(name for name in modules if find_spec(name) is None)
        print(f"  {extra:18} {what}: {'not installed, lacks ' + missing if missing else 'installed'}")
    budgets = ", ".join(f"{size / 2**20:,.0f} MB on {device}" for device, size in made.pool.budgets.items())
    print(f"\nnetworks\n  may take {budgets}; they are looked for in {made.settings.models_folder}")
    print(f"\nengines of {len(made.registry)} tools that are not the embedded one, or have a better one to install")
    for tool in made.registry:
        if len(tool.engines) > 1:
            print(f"  {tool.name:18} {_engine(tool, made.pool)[1]}")


def main() -> None:
    """Run the command line; a user's mistake prints what and what next, and exits with 2."""
    try:
        app()
    except KeyboardInterrupt:
        _fail(CancelledError("stopped", hint="nothing was written"), 130)
    except LegoError as error:
        _fail(error, MISTAKE)


def _fail(error: LegoError, code: int) -> NoReturn:
    lines = [f"error: {error}", *([f"hint: {error.hint}"] if error.hint else [])]
    print("\n".join(lines), file=sys.stderr)
    raise SystemExit(code)


def _editor(builder: str | None, files: list[Path] | None, progress: Progress | None = None, **flags: Any) -> Editor:
    return editor_of(Settings.load({"builder": builder, **flags}), files, on_event=progress)


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        hint = "four numbers in pixels: left,top,right,bottom, such as --box 40,20,300,240"
        raise SettingsError(f"'{text}' is not a box", where="--box", hint=hint, code="bad_box") from None
    return x0, y0, x1, y1


def _check_outputs(output: Path, report: Path | None, *inputs: Any) -> None:
    """Find out before the work that the result could not be written, or would overwrite what was given."""
    from lego.core.codec import check_suffix

    check_suffix(output)
    flat = [path for item in inputs if item for path in (item if isinstance(item, list) else [item])]
    for path in (output, report):
        if path is None:
            continue
        if not path.resolve().parent.is_dir():
            raise SettingsError(
                "its folder does not exist", where=str(path), hint=f"mkdir -p {path.parent}", code="no_folder"
            )
        if any(path.resolve() == given.resolve() for given in flat):
            raise SettingsError(
                "this would overwrite what was given", where=str(path), hint="choose another name", code="overwrite"
            )


def _write(result: EditResult, editor: Editor, output: Path, report: Path | None) -> None:
    """Write what there is to write: a result of words alone is printed and leaves the output as it is."""
    from lego.core.codec import write_whole

    page = result.report() if report else ""
    if result.pictured:
        result.write(output, editor.settings.metadata)
    if report:
        write_whole(report, page.encode())


def _tell(result: EditResult, output: Path, report: Path | None, as_json: bool) -> None:
    written = [str(path) for path in (output if result.pictured else None, report) if path]
    if as_json:
        from lego.editor import dump

        print(dump(result, str(output) if result.pictured else None))
        return
    for step in result.workflow.steps:
        print(f"  {step.id:4} {step}")
    for note in result.notes:
        print(f"  note: {note}")
    for text in result.texts:
        print(text)
    if result.verdict:
        number = f"round {result.chosen + 1} of {len(result.rounds)}"
        print(f"{number}: {OUTCOMES[result.verdict.outcome]} ({result.verdict.reason})")
    if written:
        print(f"wrote {' and '.join(written)}")


def _engine(tool: Tool[..., Any], pool: Pool) -> tuple[str, str]:
    """Which engine a tool would use here, and why; "none" if it cannot run."""
    try:
        engine, reason = tool.choose(pool)
    except StepError as error:
        return "none", error.message
    return engine.name, reason


def _described(tool: Tool[..., Any], pool: Pool) -> str:
    lines = [tool.sentence, "", f"  scope    {tool.scope}", f"  engine   {_engine(tool, pool)[1]}"]
    lines += [f"  in       {param}{'  - ' + param.description if param.description else ''}" for param in tool.params]
    lines += [f"  out      {output.name}: {output.kind}" for output in tool.outputs]
    lines += [f"  say      {', '.join(phrase.text for phrase in tool.phrases)}"] if tool.phrases else []
    return "\n".join([tool.name, *lines])


def _complaints() -> list[str]:
    from importlib.metadata import packages_distributions

    owners = sorted(set(packages_distributions().get("cv2", [])))
    if len(owners) > 1:
        return [f"{' and '.join(owners)} both install cv2, and the last one wins: keep opencv-python-headless"]
    return []
