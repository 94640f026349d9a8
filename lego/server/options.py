"""What a server is started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from lego.core.errors import SettingsError

LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")


@dataclass(frozen=True)
class Options:
    """What a server is started with.

    Attributes:
        folder: of pictures, and of the database if no other is named.
        database: SQLAlchemy's URL of one; "" for SQLite in the folder.
        host, port: where it listens.
        keys: file of hashed keys (`lego.server.keys`); None lets everybody in, which is for one's own machine alone.
        hosts: names that requests may be addressed to, beside those of this machine.
        origins: pages (``https://example.org``) that may send requests from a browser.
        builders: names of builders that a request may ask for; the first is the default.
        workers: jobs that run at once.
        queue: jobs that wait at most, of all owners; more are refused with 429.
        max_body_mb: of one request, in 2^20 bytes.
        max_megapixels: of one picture, given or made.
        keep_hours: after which finished jobs are deleted, with their pictures.
        body_seconds: in which a request's body must have come.
        studio: show the page at ``/``; needs gradio.
    """

    folder: Path
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    keys: Path | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    builders: tuple[str, ...] = ()
    workers: int = 1
    queue: int = 200
    max_body_mb: int = 128
    max_megapixels: float = 64.0
    keep_hours: float = 24.0
    body_seconds: float = 120.0
    studio: bool = False

    def check(self) -> None:
        """Refuse what would leave the door open.

        Raises:
            SettingsError: it listens beyond this machine and asks for no key.
        """
        if self.keys is None and not is_loopback(self.host):
            hint = "make keys: `lego serve --new-key NAME --keys keys.json`, then start with --keys keys.json"
            message = f"listening on {self.host} lets others in, and no keys are asked for"
            raise SettingsError(message, hint=hint, code="no_keys")

    @property
    def known_hosts(self) -> frozenset[str]:
        """Names in the header Host that are answered."""
        own = () if self.host in ("0.0.0.0", "::") else (self.host,)
        return frozenset(name.lower() for name in (*LOOPBACK, *own, *self.hosts))


def is_loopback(host: str) -> bool:
    """Is an address, or a name, of this machine alone?"""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK
