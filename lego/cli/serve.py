"""`lego serve` and `lego mcp`: edits for apps, and for agents."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lego.cli.opening import editor_of
from lego.core.errors import SettingsError
from lego.core.settings import Settings

if TYPE_CHECKING:
    from lego.editor import Editor
    from lego.server.options import Options

NEEDED = ("fastapi", "uvicorn", "multipart", "sqlalchemy", "prometheus_client", "mcp")
GRACE = 20  # seconds that replies under way have when the server is stopped
BESIDE = ("nano", "rules")  # builders that cost nothing, offered beside the default


Builders = Annotated[
    list[str] | None, typer.Option("--builder", help="Who may plan: NAME or NAME=SOURCE; the first is the default.")
]
Tools = Annotated[list[Path] | None, typer.Option("--tools", help="Your own tools: a Python file, or a brick.")]
Host = Annotated[str, typer.Option(help="Where to listen; beyond this machine only with keys.")]
Port = Annotated[int, typer.Option(min=0, max=65535)]
KeyFile = Annotated[Path | None, typer.Option(help="File of hashed keys; without one nobody needs a key.")]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    keys: KeyFile = None,
    new_key: Annotated[str | None, typer.Option(help="Make a key of that name, print it, and stop.")] = None,
    tools: Tools = None,
    builder: Builders = None,
    data: Annotated[Path | None, typer.Option(help="Folder of jobs and pictures.")] = None,
    database: Annotated[str, typer.Option(help="SQLAlchemy URL; SQLite in the folder by default.")] = "",
    host_name: Annotated[list[str] | None, typer.Option(help="A name that requests may be addressed to.")] = None,
    origin: Annotated[list[str] | None, typer.Option(help="A page that may send requests from browsers.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Jobs that run at once.")] = 1,
    queue: Annotated[int, typer.Option(min=1, help="Jobs that may wait.")] = 200,
    max_body_mb: Annotated[int, typer.Option(min=1, help="Of one request.")] = 128,
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Of one picture, given or made.")] = 64.0,
    keep_hours: Annotated[float, typer.Option(min=0.01, help="Finished jobs are deleted after them.")] = 24.0,
    studio: Annotated[bool, typer.Option(help="Show the page at /; needs the extra 'studio'.")] = True,
    backend: Annotated[str | None, typer.Option(help="Who does the steps: threads, or ray, a cluster.")] = None,
) -> None:
    """Serve edits over HTTP, so that OpenAI's clients can ask for them."""
    _check_installed()
    if new_key is not None:
        _make_key(keys, new_key)
        return
    from lego.server.options import Options

    settings = Settings.load({"backend": backend})
    options = Options(
        data or settings.cache_folder / "server", database, host, port, keys, tuple(host_name or ()),
        tuple(origin or ()), (), workers, queue, max_body_mb, max_megapixels, keep_hours,
        studio=studio and find_spec("gradio") is not None,
    )  # fmt: skip
    options.check()
    editors = _editors(settings, builder or [], tools or [], options)
    hands = next(iter(editors.values())).executor.backend
    hands.ready()
    print(f"steps: {hands.describe()}", flush=True)
    _run(options, editors)


def mcp(
    folder: Annotated[
        list[Path] | None, typer.Option(help="A folder in which agents may read and write pictures.")
    ] = None,
    http: Annotated[bool, typer.Option("--http", help="Over HTTP, at /mcp, instead of stdio.")] = False,
    host: Host = "127.0.0.1",
    port: Port = 8001,
    keys: KeyFile = None,
    host_name: Annotated[list[str] | None, typer.Option(help="A name that requests may be addressed to.")] = None,
    tools: Tools = None,
    builder: Annotated[str | None, typer.Option(help="Who plans; `lego doctor` shows the default.")] = None,
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Of one picture.")] = 64.0,
) -> None:
    """Give agents edits as a tool, by the Model Context Protocol."""
    _check_installed()
    from lego.server import mcp as server
    from lego.server.options import Options

    settings = Settings.load()
    names = tuple(host_name or ())
    options = Options(settings.cache_folder, "", host, port, keys, names, max_megapixels=max_megapixels)
    editors = _editors(settings, [builder] if builder else [], tools or [], options)
    made = server.create(next(iter(editors.values())), folder or ())
    if not http:
        made.run("stdio")
        return
    options.check()
    print(f"lego serves agents at http://{host}:{port}/mcp")
    _listen(server.guarded(made, options), options)


def _check_installed() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        hint = "pip install 'lego[serve]'"
        raise SettingsError(f"the server needs {', '.join(missing)}", hint=hint, code="not_installed")


def _make_key(keys: Path | None, name: str) -> None:
    from lego.server.keys import add

    if keys is None:
        raise SettingsError("there is no file to keep it in", hint="name one: --keys keys.json", code="no_keys")
    key = add(keys, name)
    print(f"{key}\n\nThis is the only time that it is shown; {keys} holds its hash.")


def _editors(settings: Settings, builders: list[str], tools: list[Path], options: Options) -> dict[str, Editor]:
    """An editor for each builder, the default one's first; all share cache and networks."""
    from lego.builder import open as open_builder

    named = [(name, source or name) for name, _, source in (text.partition("=") for text in builders)]
    if not named:
        names = dict.fromkeys((settings.builder, *BESIDE))
        named = [(name, name) for name in names]
    limits = replace(settings, max_megapixels=options.max_megapixels, metadata=False)
    first = editor_of(limits, tools, named[0][1])
    return {named[0][0]: first, **{name: first.twin(open_builder(source)) for name, source in named[1:]}}


def _run(options: Options, editors: dict[str, Editor]) -> None:
    from lego.server.app import create

    app = create(options, editors)
    shown = f"[{options.host}]" if ":" in options.host else options.host
    keyed = "with keys" if options.keys else "open to this machine, no keys"
    page = "" if options.studio else "; no page: it is in the extra 'studio'"
    print(f"lego serves at http://{shown}:{options.port} ({keyed}); builders: {', '.join(editors)}{page}", flush=True)
    _listen(app, options)


def _listen(app: Any, options: Options) -> None:
    import uvicorn

    uvicorn.run(
        app, host=options.host, port=options.port, log_level="warning", server_header=False, ws="none",
        timeout_graceful_shutdown=GRACE,
    )  # fmt: skip
