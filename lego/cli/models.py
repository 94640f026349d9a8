"""`lego models`: the networks that make tools better."""

from __future__ import annotations

from typing import Annotated

import typer

from lego.cli.terminal import Progress, console
from lego.core.errors import LegoError
from lego.core.settings import Settings

models = typer.Typer(
    help="List the networks that make tools better, fetch, check and remove them.", no_args_is_help=True
)
Names = Annotated[list[str], typer.Argument(help="Networks or presets; `lego models list` shows them.")]
Chosen = Annotated[list[str] | None, typer.Argument(help="Networks; by default all that are here.")]


@models.command("list")
def list_models() -> None:
    """List the networks that lego can use, and which of them are here."""
    from rich.table import Table

    from lego.tools.neural.catalogue import CATALOGUE, PRESETS

    folder = Settings.load().models_folder
    table = Table("name", "here", "MB", "licence", "what it does", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for one in CATALOGUE.values():
        here = "yes" if (folder / one.name).is_dir() else ""
        licence = one.licence if one.commercial else f"{one.licence} (not for commercial use)"
        table.add_row(f"[bold]{one.name}[/]", here, f"{one.megabytes:,}", licence, one.what)
    console().print(table)
    for preset, names in PRESETS.items():
        total = sum(CATALOGUE[name].megabytes for name in names)
        print(f"preset {preset}: {', '.join(names)} ({total:,} MB)")


@models.command("pull")
def pull_models(names: Names) -> None:
    """Fetch networks; an interrupted download goes on where it ended."""
    from lego.tools.neural import weights

    folder = Settings.load().models_folder
    for one in weights.named(names):
        with Progress(False) as bar:
            found = weights.pull(one, folder, bar.fetch)
        print(f"{one.name}: {found.size / 2**20:,.0f} MB in {folder / one.name}")


@models.command("info")
def show_model(name: Annotated[str, typer.Argument(help="The network's name.")]) -> None:
    """Show a network: source, licence, size, memory, and what is here of it."""
    from lego.tools.neural import weights

    folder = Settings.load().models_folder
    (one,) = weights.named([name])[:1]
    memory = ", ".join(f"{size / 2**20:,.0f} MB in {name}" for name, size in one.memory("float16", "float32").items())
    print(f"{one.name}: {one.what}\n  source   {one.source}\n  licence  {one.licence}")
    print(f"  weights  {one.parameters:,g} million, {memory}")
    found = weights.read(folder / one.name) if (folder / one.name).is_dir() else None
    state = f"{found.size / 2**20:,.0f} MB, revision {found.revision[:12] or 'unknown'}" if found else "not fetched"
    print(f"  here     {state}")


@models.command("check")
def check_models(
    names: Annotated[list[str] | None, typer.Argument(help="Networks; by default all here.")] = None,
) -> None:
    """Compare the files of networks with their checksums."""
    from lego.tools.neural import weights

    folder = Settings.load().models_folder
    here = [p for p in sorted(folder.glob("*")) if p.is_dir() and p.suffix != weights.PART]
    chosen = [folder / one.name for one in weights.named(names)] if names else here
    broken = 0
    for path in chosen:
        with Progress(False) as bar:
            faults = weights.check(path, bar.fetch) if path.is_dir() else ["it was never fetched"]
        broken += bool(faults)
        print(
            f"{'ok  ' if not faults else 'FAIL'} {path.name}{''.join(f'{chr(10)}       {fault}' for fault in faults)}"
        )
    if broken:
        hint = "`lego models rm NAME` and `lego models pull NAME`"
        raise LegoError(f"{broken} of {len(chosen)} are not whole", where=str(folder), hint=hint, code="bad_checksum")


@models.command("rm")
def remove_models(names: Names) -> None:
    """Delete networks."""
    from lego.tools.neural import weights

    folder = Settings.load().models_folder
    for one in weights.named(names):
        print(f"{one.name}: {weights.remove(one.name, folder) / 2**20:,.0f} MB freed")
