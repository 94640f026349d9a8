"""The server as a deployment of Ray Serve: replicas on the nodes of a cluster, one foreman and its workers behind them.

    pip install "lego[ray,serve]" "ray[serve]"       # on every node
    export EDITS_FOLDER=/shared/lego                  # pictures, and keys.json: a folder that all nodes see
    export EDITS_DATABASE=postgresql+psycopg://...    # jobs; with one replica SQLite in the folder will do
    export EDITS_HOSTS="edits.example.org"            # names that requests may be addressed to
    cd docs/examples && serve run ray_serve:app

A replica takes requests and plans; the steps are done by the workers, so that it needs a processor only where the
builder that plans does. `LEGO_BUILDER` and all other settings of lego are read as always.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI
from ray import serve

from lego.core.settings import Settings
from lego.editor import Editor
from lego.server.app import create
from lego.server.options import Options

JOBS = 8  # that a replica runs at once: they wait for the workers, so there may be more than processors
PICTURES = 64.0  # megapixels of one picture


def build() -> FastAPI:
    """Return the app of one replica."""
    folder = Path(os.environ.get("EDITS_FOLDER") or Path.home() / ".cache" / "lego" / "server")
    keys = folder / "keys.json"
    settings = replace(Settings.load(), backend="ray", ray_address="auto", max_megapixels=PICTURES, metadata=False)
    editor = Editor(settings=settings)
    editor.executor.backend.ready()
    options = Options(
        folder, os.environ.get("EDITS_DATABASE", ""), keys=keys if keys.exists() else None,
        hosts=tuple(os.environ.get("EDITS_HOSTS", "").split()), workers=JOBS, max_megapixels=PICTURES,
    )  # fmt: skip
    return create(options, {editor.builder.name: editor})


app = serve.deployment(
    serve.ingress(build)(),
    name="lego",
    num_replicas=1,  # more, once the database is PostgreSQL
    ray_actor_options={"num_cpus": 0},
    max_ongoing_requests=100,
).bind()
