"""Weights: which networks make the tools better, where they come from, and fetching them when somebody asks.

Each lies in a folder of its own, with a file that says what it is and the checksum of every file. Nothing else of lego
downloads anything: a network whose folder is missing is not there.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlparse

from lego.core.errors import SettingsError
from lego.tools.neural.catalogue import CATALOGUE, PRESETS, Weights

MANIFEST = "lego-weights.json"
PART = ".part"  # suffix of the folder of a download that has not come to its end
ROOM = 1.05  # of the bytes to come that must be free on the disk
CHUNK = 1 << 20
MISSING = ("RepositoryNotFoundError", "RevisionNotFoundError", "EntryNotFoundError")
TIMEOUT, PARTIAL = 30.0, 206  # seconds without a byte; HTTP's status for a part of a file
POLL = 0.2  # seconds between looks at how much has come
SAFE = "*.safetensors"
PICKLES = ("*.bin", "*.ckpt", "*.pth", "*.pt", "*.pkl", "*.h5", "*.msgpack", "*.onnx", "*.onnx_data", "*.xml")
Progress: TypeAlias = Callable[[str, int, int], None]  # name, bytes that have come, bytes in all


@dataclass(frozen=True)
class File:
    """One file to fetch: its path in the folder, its bytes, its SHA-256 if the source tells it."""

    path: str
    size: int
    sha256: str = ""


@dataclass(frozen=True)
class Found:
    """What is in the folder of some weights: where it came from, and bytes and SHA-256 of each file."""

    source: str
    revision: str
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for size, _ in self.files.values())


def named(names: Sequence[str]) -> list[Weights]:
    """Return the entries of the catalogue that names and presets stand for, each once.

    Raises:
        SettingsError: there is no such name; the hint has the nearest.
    """
    import difflib

    found: dict[str, Weights] = {}
    for name in names:
        for one in PRESETS.get(name, (name,)):
            if one not in CATALOGUE:
                near = difflib.get_close_matches(one, [*CATALOGUE, *PRESETS], 1)
                hint = f"did you mean '{near[0]}'?" if near else "`lego models list` shows all"
                raise SettingsError(f"there are no weights '{one}'", hint=hint, code="unknown_weights")
            found[one] = CATALOGUE[one]
    return list(found.values())


def pull(
    weights: Weights, folder: Path, progress: Progress = lambda *state: None, endpoint: str | None = None
) -> Found:
    """Fetch weights into their folder; what has come before an interruption is kept and gone on with.

    Args:
        folder: of all weights.
        progress: told now and then.
        endpoint: of the hub, if it is not huggingface.co.

    Raises:
        SettingsError: no connection, no room, no permission, or a file that is not what the source says; what is good
            so far stays.
    """
    target, part = folder / weights.name, folder / (weights.name + PART)
    if target.is_dir():
        return read(target)
    files, revision = _listed(weights, endpoint)
    total = sum(file.size for file in files)
    _check_room(folder, weights, files, part)
    part.mkdir(parents=True, exist_ok=True)
    with _watched(part, lambda come: progress(weights.name, min(come, total), total)):
        for file in files:
            _fetch(weights, file, revision, part, endpoint)
    found = Found(weights.source, revision, {f.path: (f.size, _verified(part, f, weights)) for f in files})
    facts = {"name": weights.name, "source": found.source, "revision": revision, "licence": weights.licence}
    listed = {path: {"size": size, "sha256": digest} for path, (size, digest) in found.files.items()}
    (part / MANIFEST).write_text(json.dumps({**facts, "files": listed}, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(part / ".cache", ignore_errors=True)  # of the hub's client, about downloads under way
    part.rename(target)
    progress(weights.name, total, total)
    return found


def read(folder: Path) -> Found:
    """Return what the folder of some weights says about itself; one that somebody else made says nothing."""
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = {path: (int(file["size"]), str(file["sha256"])) for path, file in facts["files"].items()}
        return Found(str(facts["source"]), str(facts["revision"]), files)
    except FileNotFoundError:
        sizes = {str(p.relative_to(folder)): (p.stat().st_size, "") for p in folder.rglob("*") if p.is_file()}
        return Found("put there by hand", "", sizes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = f"remove the folder and pull '{folder.name}' again"
        raise SettingsError(f"its {MANIFEST} is broken: {error}", where=str(folder), hint=hint) from None


def check(folder: Path, progress: Progress = lambda *state: None) -> list[str]:
    """Return what is wrong with the files of some weights: missing, cut off, changed."""
    found = read(folder)
    faults, done = [], 0
    for path, (size, digest) in found.files.items():
        file = folder / path
        if not file.is_file():
            faults.append(f"{path} is missing")
        elif file.stat().st_size != size:
            faults.append(f"{path} has {file.stat().st_size:,} bytes, not {size:,}")
        elif digest and _digest(file) != digest:
            faults.append(f"{path} was changed: its SHA-256 is another")
        done += size
        progress(folder.name, done, found.size)
    return faults


def remove(name: str, folder: Path) -> int:
    """Delete weights, also half-fetched ones; return the bytes that this freed."""
    freed = 0
    for path in (folder / name, folder / (name + PART)):
        if path.is_dir() and path.parent == folder:
            freed += sum(_sizes(path))
            shutil.rmtree(path)
    return freed


def _listed(weights: Weights, endpoint: str | None) -> tuple[list[File], str]:
    """The files to fetch, and the revision that they are of."""
    if weights.url:
        return [File(Path(urlparse(weights.url).path).name, weights.bytes, weights.sha256)], weights.sha256
    from huggingface_hub import HfApi

    with _telling(weights):
        info = HfApi(endpoint=endpoint).model_info(weights.hub, revision=weights.revision, files_metadata=True)
    known = [(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else "") for s in info.siblings or []]
    chosen = _chosen([path for path, *_ in known], weights)
    return [File(*entry) for entry in known if entry[0] in chosen], str(info.sha)


def _chosen(paths: Sequence[str], weights: Weights) -> set[str]:
    """What of a repository is needed: what the entry asks for, without pickles where safetensors are."""
    asked = [p for p in paths if any(fnmatch.fnmatch(p, pattern) for pattern in weights.files)]
    safe = any(fnmatch.fnmatch(p, SAFE) for p in asked)
    unsafe = {p for p in asked for pattern in PICKLES if safe and fnmatch.fnmatch(p, pattern)}
    return set(asked) - unsafe


def _fetch(weights: Weights, file: File, revision: str, part: Path, endpoint: str | None) -> None:
    if (part / file.path).is_file() and (part / file.path).stat().st_size == file.size:
        return
    with _telling(weights):
        if weights.url:
            _fetch_url(weights.url, part / file.path, file.size)
        else:
            from huggingface_hub import hf_hub_download
            from huggingface_hub.utils import disable_progress_bars

            disable_progress_bars()
            hf_hub_download(weights.hub, file.path, revision=revision, local_dir=part, endpoint=endpoint)


def _fetch_url(url: str, path: Path, size: int) -> None:
    """Fetch one file, going on where an earlier try ended."""
    from urllib.request import Request, urlopen

    half = path.with_name(path.name + ".incomplete")
    have = half.stat().st_size if half.exists() else 0
    asked = Request(url, headers={"Range": f"bytes={have}-", "User-Agent": "lego"} if have else {"User-Agent": "lego"})
    with urlopen(asked, timeout=TIMEOUT) as answer, half.open("ab" if answer.status == PARTIAL else "wb") as file:
        shutil.copyfileobj(answer, file, CHUNK)
    if half.stat().st_size < size:
        raise ConnectionError(f"it ended after {half.stat().st_size:,} of {size:,} bytes")
    half.rename(path)


def _verified(part: Path, file: File, weights: Weights) -> str:
    """The SHA-256 of a file that has come, which must be the one that the source says."""
    path = part / file.path
    digest = _digest(path)
    if (file.sha256 and digest != file.sha256) or path.stat().st_size != file.size:
        path.unlink()
        hint = "pull again; if it happens again, the source was changed: tell lego's maintainers"
        raise SettingsError(f"'{file.path}' is not what {weights.source} says", hint=hint, code="bad_checksum")
    return digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_room(folder: Path, weights: Weights, files: Sequence[File], part: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    come = sum(_sizes(part)) if part.exists() else 0
    needed = round(ROOM * sum(file.size for file in files)) - come
    free = shutil.disk_usage(folder).free
    if needed > free:
        hint = "make room, or set models_folder to another disk"
        message = f"'{weights.name}' needs {needed >> 20:,} MB, {free >> 20:,} MB are free"
        raise SettingsError(message, where=str(folder), hint=hint, code="no_room")


@contextlib.contextmanager
def _watched(folder: Path, tell: Callable[[int], None]) -> Iterator[None]:
    """Tell now and then how many bytes there are in a folder while it is filled."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(POLL):
            tell(sum(_sizes(folder)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
            yield path.stat().st_size if path.is_file() else 0


@contextlib.contextmanager
def _telling(weights: Weights) -> Iterator[None]:
    """Turn what the network and the hub's client raise into errors that say what to do."""
    try:
        yield
    except Exception as error:  # of whatever library carries the bytes
        name, source = type(error).__name__, weights.source
        if name == "GatedRepoError":
            hint = f"accept the licence at https://huggingface.co/{weights.hub}, then `hf auth login`"
            raise SettingsError(f"{source} asks for an account", hint=hint, code="gated") from None
        if name in MISSING:
            hint = "it may have been moved: tell lego's maintainers"
            raise SettingsError(f"{source} is not there any more", hint=hint, code="no_source") from None
        why = str(error).strip().splitlines()
        hint = "check the connection and pull again: it goes on where it ended"
        message = f"{source} cannot be fetched: {name}{': ' + why[0] if why else ''}"
        raise SettingsError(message, hint=hint, code="no_connection") from error
