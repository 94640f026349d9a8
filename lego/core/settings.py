"""Settings: one frozen object made at the door; every value knows where it came from."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError

from lego.core.errors import SettingsError

FILE = "lego.toml"
PREFIX = "LEGO_"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
KEY = "LEGO_API_KEY"  # no setting: it is neither kept nor shown


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lego"


@dataclass(frozen=True)
class Settings:
    """What can be set, by flag, environment (``LEGO_SEED=7``), ``lego.toml`` or default, the first that says so.

    Attributes:
        builder: who plans.
        critic: who judges results, where there are rounds.
        rounds: how often a result may be sent round again.
        strategy: "refine" goes on from a result that is on the way, "regenerate" always begins from the source.
        think: put abstract instructions into concrete words before they are planned.
        concepts: a file with looks and concepts of one's own, see docs/thinking.md.
        seed: of every run that is not given one.
        max_megapixels: larger pictures are refused before they are decoded.
        cache_memory_mb: budget of the cache in memory, in 2^20 bytes.
        cache_disk_mb: budget of the cache on disk; 0 writes nothing there.
        cache_folder: where the cache on disk is.
        run_memory_mb: budget of the pictures that runs hold, in 2^20 bytes; the oldest beyond it wait in a temporary
            file, in ``cache_folder`` if there is a cache on disk.
        models_folder: where weights are, a folder for each network.
        models_memory_mb, models_accelerator_mb: budgets of the networks that are held, in 2^20 bytes; 0 takes half of
            the machine's memory and 90 % of each accelerator's.
        workers: steps that run at once; 0 chooses by the number of cores.
        backend: whose hands do the steps: "threads" of this process, or the workers of a "ray" cluster.
        ray_address: of that cluster: "auto" finds the one of this machine; empty starts one for this program alone.
        timeout, step_timeout: seconds for a run and for a step; 0 waits for ever.
        metadata: write workflow and trace into PNG files.
        sources: for each name, where its value came from.
    """

    builder: Annotated[str, Field(min_length=1)] = "nano"
    critic: Annotated[str, Field(min_length=1)] = "pixels"
    rounds: Annotated[int, Field(ge=0, le=10)] = 0
    strategy: Literal["refine", "regenerate"] = "refine"
    think: bool = True
    concepts: Path | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    max_megapixels: Annotated[float, Field(gt=0, le=1000)] = 100.0
    cache_memory_mb: Annotated[int, Field(ge=0)] = 1024
    cache_disk_mb: Annotated[int, Field(ge=0)] = 0
    cache_folder: Path = field(default_factory=_cache_folder)
    run_memory_mb: Annotated[int, Field(ge=0)] = 2048
    models_folder: Path = field(default_factory=lambda: _cache_folder() / "models")
    models_memory_mb: Annotated[int, Field(ge=0)] = 0
    models_accelerator_mb: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    backend: Literal["threads", "ray"] = "threads"
    ray_address: str = ""
    timeout: Annotated[float, Field(ge=0)] = 0.0
    step_timeout: Annotated[float, Field(ge=0)] = 0.0
    metadata: bool = True
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def load(cls, flags: Mapping[str, Any] | None = None, folder: Path | None = None) -> Settings:
        """Gather the settings.

        Args:
            flags: values given by the caller; None means not given.
            folder: where ``lego.toml`` is looked for; the working directory by default.

        Raises:
            SettingsError: a wrong value or an unknown name, with the place that it came from.
        """
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        path = (folder or Path.cwd()) / FILE
        layers = [
            (str(path), _file(path)),
            ("environment", _environment()),
            ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
        ]
        known = {f.name: f.type for f in fields(cls) if f.name != "sources"}
        adapters = _adapters()
        for source, layer in layers:
            for name, value in layer.items():
                shown = f"{PREFIX}{name.upper()}" if source == "environment" else source
                if name not in known:
                    nearest = difflib.get_close_matches(name, known, 1)
                    hint = f"did you mean '{nearest[0]}'?" if nearest else f"known: {', '.join(known)}"
                    raise SettingsError(f"there is no setting '{name}'", where=shown, hint=hint, code="unknown_setting")
                try:
                    values[name] = adapters[name].validate_python(value)
                except ValidationError as error:
                    message = f"'{name}' cannot be {value!r}: {error.errors()[0]['msg']}"
                    raise SettingsError(message, where=shown, hint="mend it there, or leave it out") from None
                sources[name] = shown
        return cls(**values, sources={name: sources.get(name, "default") for name in known})

    def rows(self) -> list[tuple[str, Any, str]]:
        """Return name, value and source of every setting."""
        names = [f.name for f in fields(self) if f.name != "sources"]
        return [(name, getattr(self, name), self.sources.get(name, "default")) for name in names]


def api_key(url: str) -> str:
    """Return the key for a served model from the environment: ``LEGO_API_KEY``, for OpenAI also ``OPENAI_API_KEY``.

    A key stands in no file of lego and is never printed.
    """
    host = urlsplit(url).hostname or ""
    other = os.environ.get("OPENAI_API_KEY", "") if host == "api.openai.com" else ""
    return os.environ.get(KEY) or other


def terminal_is_plain() -> bool:
    """Has the user asked for output without colours (https://no-color.org)?"""
    return bool(os.environ.get("NO_COLOR"))


def quiet_ray() -> None:
    """Let Ray send nothing out, and say nothing of what it will change."""
    for name, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")):
        os.environ.setdefault(name, value)


def environment_of_child(threads: int) -> dict[str, str]:
    """Return the environment of a process that shares this machine with others: native code takes so many threads."""
    return {**os.environ, **dict.fromkeys(THREADS, str(threads))}


def _adapters() -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(Settings, include_extras=True)
    return {name: TypeAdapter(hint) for name, hint in hints.items() if name != "sources"}


def _environment() -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name.startswith(PREFIX) and name != KEY}
    return {name[len(PREFIX) :].lower(): value for name, value in found.items()}


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=str(path), hint="mend or remove it") from None
