"""Keys: who may ask, kept as hashes in a file that the operator writes with `lego serve --new-key`."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lego.core.codec import write_whole
from lego.core.errors import SettingsError

PREFIX = "lego-"  # by which a key is known where it was lost
BYTES = 32


class Entry(BaseModel):
    """One key of the file: whose it is, its SHA-256, and what its owner may."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=80)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    queued: Annotated[int, Field(ge=1)] = 50
    per_minute: Annotated[int, Field(ge=1)] = 600


@dataclass(frozen=True)
class Owner:
    """Who asks.

    Attributes:
        name: of the key; "local" where none is asked for.
        priority: of the owner's jobs; those of a higher one run first.
        queued: jobs of the owner that may wait at once.
        per_minute: requests that begin work.
    """

    name: str
    priority: int = 0
    queued: int = 10_000
    per_minute: int = 1_000_000


LOCAL = Owner("local")
_FILE = TypeAdapter(list[Entry])


class Keys:
    """The keys of a file.

    Args:
        entries: what is in it.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)

    @classmethod
    def load(cls, path: Path) -> Keys:
        """Read the file.

        Raises:
            SettingsError: it cannot be read, holds no key, or is not what `add` writes.
        """
        hint = f"make one: `lego serve --new-key NAME --keys {path}`"
        try:
            entries = _FILE.validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
            message = f"the keys cannot be read: {why}"
            raise SettingsError(message, where=str(path), hint=hint, code="bad_keys") from None
        if not entries:
            raise SettingsError("there is no key in it", where=str(path), hint=hint, code="bad_keys")
        return cls(entries)

    def owner(self, key: bytes) -> Owner | None:
        """Return whose key this is; the time that it takes tells nothing about the keys."""
        digest = hashlib.sha256(key).hexdigest().encode()
        found = None
        for entry in self.entries:
            if hmac.compare_digest(digest, entry.sha256.encode()):
                found = Owner(entry.name, entry.priority, entry.queued, entry.per_minute)
        return found


def add(path: Path, name: str) -> str:
    """Make a key, write its hash into the file, and return it: it is kept nowhere.

    Raises:
        SettingsError: the file is broken, or has a key of that name.
    """
    entries = list(Keys.load(path).entries) if path.exists() else []
    if name in [entry.name for entry in entries]:
        hint = "choose another name, or take the old entry out of the file"
        raise SettingsError(f"there is a key '{name}' already", where=str(path), hint=hint, code="bad_keys")
    key = PREFIX + secrets.token_urlsafe(BYTES)
    entries.append(Entry(name=name, sha256=hashlib.sha256(key.encode()).hexdigest()))
    write_whole(path, json.dumps([entry.model_dump() for entry in entries], indent=1).encode() + b"\n")
    path.chmod(0o600)
    return key
