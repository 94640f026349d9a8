"""The server as a whole: one FastAPI app from options and an editor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI

from lego import __version__
from lego.editor import Editor
from lego.server import errors, images, jobs, plans
from lego.server.guard import Guard
from lego.server.house import House
from lego.server.keys import Keys
from lego.server.metrics import Metrics
from lego.server.options import Options
from lego.server.store import Store
from lego.server.work import Work

ABOUT = (
    "Edits of pictures by words. `POST /v1/images/edits` is what OpenAI's clients call; "
    "jobs, plans, runs and tools are this server's own."
)


def create(options: Options, editors: Mapping[str, Editor]) -> FastAPI:
    """Return the app; its workers begin when it is started, and end with it.

    Args:
        editors: by the names under which clients ask for their builders; the first is the default. They should be
            twins, so that they share cache and networks.

    Raises:
        SettingsError: the options leave the door open, or the keys or the database cannot be read.
    """
    options.check()
    options = replace(options, builders=tuple(editors))
    keys = Keys.load(options.keys) if options.keys else None
    options.folder.mkdir(parents=True, exist_ok=True)
    store = Store(options.database, options.folder)
    metrics = Metrics(store.waiting, lambda: work.running)
    work = Work(store, editors, options, metrics)

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        work.start()
        yield
        work.stop()
        store.close()

    app = FastAPI(title="lego", version=__version__, description=ABOUT, lifespan=alive)
    app.state.house = House(options, next(iter(editors.values())).registry, store, work, metrics)
    errors.install(app)
    for part in (images, jobs, plans):
        app.include_router(part.router)
    if options.studio:
        from lego.server import studio

        studio.mount(app, options, editors, keys)
    app.add_middleware(Guard, options=options, keys=keys)
    return app
