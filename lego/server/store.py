"""What a server remembers: jobs and their events in a database, pictures by content in a folder.

Every change is one transaction, so that a server that dies leaves no half of one. A job is taken by an update that
only one can win, so several servers may share a database; each says now and then that it lives, and what a dead one
was at is `lost`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Row

from lego.core.codec import write_whole
from lego.core.errors import SettingsError

State: TypeAlias = Literal["pending", "in_progress", "completed", "failed", "canceled", "lost"]
OVER: tuple[State, ...] = ("completed", "failed", "canceled", "lost")
DEAD = 15.0  # seconds without a sign of life, after which a server is taken for dead
FRESH = 10.0  # seconds for which a picture is kept that no job uses yet
BUSY = 30_000  # milliseconds that SQLite waits for its lock
PAGE = 100  # jobs that are listed at once, at most

_tables = sql.MetaData()
JOBS = sql.Table(
    "jobs", _tables,
    sql.Column("id", sql.String(32), primary_key=True),
    sql.Column("owner", sql.String(80), nullable=False),
    sql.Column("token", sql.String(200)),  # that a client gave so that a second try makes no second job
    sql.Column("state", sql.String(12), nullable=False),
    sql.Column("priority", sql.Integer, nullable=False),
    sql.Column("created", sql.Float, nullable=False),
    sql.Column("started", sql.Float),
    sql.Column("finished", sql.Float),
    sql.Column("server", sql.String(32)),  # that runs it
    sql.Column("beat", sql.Float),  # its last sign of life
    sql.Column("asked", sql.Text, nullable=False),
    sql.Column("made", sql.Text),
    sql.Column("error", sql.Text),
    sql.UniqueConstraint("owner", "token"),
    sql.Index("jobs_waiting", "state", "priority", "created"),
    sql.Index("jobs_of", "owner", "created"),
)  # fmt: skip
EVENTS = sql.Table(
    "events", _tables,
    sql.Column("job", sql.String(32), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("data", sql.Text, nullable=False),
)  # fmt: skip
USES = sql.Table(
    "uses", _tables,
    sql.Column("job", sql.String(32), primary_key=True),
    sql.Column("digest", sql.String(64), primary_key=True, index=True),
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A job as it stands.

    Attributes:
        asked: what for, as the door wrote it.
        made: what came out; None before.
        error: status, and the body of the reply; None if nothing went wrong.
        created, started, finished: seconds since the epoch.
    """

    id: str
    owner: str
    state: State
    priority: int
    created: float
    started: float | None = None
    finished: float | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None

    @property
    def over(self) -> bool:
        """Is it over, one way or another?"""
        return self.state in OVER


class Store:
    """The memory of a server.

    Args:
        url: SQLAlchemy's URL of the database; "" for SQLite in the folder.
        folder: of the pictures.

    Raises:
        SettingsError: the database cannot be opened.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.folder, self.server = folder / "pictures", uuid.uuid4().hex
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.engine = sql.create_engine(url or f"sqlite:///{folder / 'jobs.sqlite'}", pool_pre_ping=True)
            if self.engine.dialect.name == "sqlite":
                sql.event.listen(self.engine, "connect", _prepare)
                sql.event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
            _tables.create_all(self.engine)
        except (sql.exc.SQLAlchemyError, ImportError) as error:
            hint = "give a URL of SQLAlchemy, such as postgresql+psycopg://user@host/name, or none for SQLite"
            why = str(error).splitlines()[0]
            raise SettingsError(f"the database cannot be opened: {why}", hint=hint, code="bad_database") from None

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def keep(self, data: bytes) -> str:
        """Keep bytes; return the name by which `bytes_of` gives them: the SHA-256 of what is in them."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        try:
            os.utime(path)  # a sweep leaves what was just kept
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, data)
        return digest

    def bytes_of(self, digest: str) -> bytes:
        """Return what was kept.

        Raises:
            KeyError: nothing of that name is here.
        """
        try:
            return self._path(digest).read_bytes()
        except FileNotFoundError:
            raise KeyError(digest) from None

    def add(self, owner: str, priority: int, asked: Mapping[str, Any], digests: Sequence[str], token: str = "") -> Job:
        """Let a job wait; with a token that the owner used before, return the job of that time.

        Args:
            digests: of the pictures that it needs.
        """
        values = {
            "id": uuid.uuid4().hex, "owner": owner, "token": token or None, "state": "pending", "priority": priority,
            "created": time.time(), "asked": json.dumps(dict(asked)),
        }  # fmt: skip
        try:
            with self.engine.begin() as connection:
                connection.execute(JOBS.insert().values(values))
                _use(connection, str(values["id"]), digests)
        except sql.exc.IntegrityError:
            with self.engine.begin() as connection:
                query = sql.select(JOBS).where(JOBS.c.owner == owner, JOBS.c.token == token)
                return _job(connection.execute(query).one())
        found = self.get(str(values["id"]))
        assert found is not None
        return found

    def get(self, name: str, owner: str | None = None) -> Job | None:
        """Return a job; None if there is none, or it is somebody else's."""
        query = sql.select(JOBS).where(JOBS.c.id == name)
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None or owner not in (None, row.owner) else _job(row)

    def of(self, owner: str, limit: int = 20, before: float | None = None) -> list[Job]:
        """Return an owner's jobs, the newest first; ``before`` is the time from which the list goes on."""
        query = sql.select(JOBS).where(JOBS.c.owner == owner)
        if before is not None:
            query = query.where(JOBS.c.created < before)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(JOBS.c.created.desc()).limit(min(limit, PAGE)))
            return [_job(row) for row in rows]

    def waiting(self, owner: str | None = None) -> int:
        """Return how many jobs wait, of one owner or of all."""
        query = sql.select(sql.func.count()).select_from(JOBS).where(JOBS.c.state == "pending")
        if owner is not None:
            query = query.where(JOBS.c.owner == owner)
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def take(self) -> Job | None:
        """Take the job that is next: the highest priority, then the oldest; None if none waits."""
        order = (JOBS.c.priority.desc(), JOBS.c.created)
        query = sql.select(JOBS.c.id).where(JOBS.c.state == "pending").order_by(*order).limit(1)
        while True:
            with self.engine.begin() as connection:
                name = connection.execute(query).scalar_one_or_none()
                if name is None:
                    return None
                now = time.time()
                begun = {"state": "in_progress", "started": now, "server": self.server, "beat": now}
                if self._change(connection, name, ("pending",), begun):
                    return _job(connection.execute(sql.select(JOBS).where(JOBS.c.id == name)).one())

    def finish(
        self, name: str, state: State, made: Mapping[str, Any] | None = None, error: Mapping[str, Any] | None = None,
        digests: Sequence[str] = (),
    ) -> bool:  # fmt: skip
        """End a job that this server runs; False if it was taken for lost meanwhile.

        Args:
            digests: of the pictures that were made.
        """
        values = {
            "state": state, "finished": time.time(),
            "made": None if made is None else json.dumps(dict(made)),
            "error": None if error is None else json.dumps(dict(error)),
        }  # fmt: skip
        with self.engine.begin() as connection:
            _use(connection, name, digests)
            return self._change(connection, name, ("in_progress",), values)

    def put_back(self, name: str) -> None:
        """Let a job that runs here wait again, from its beginning: the server is being stopped."""
        values = {"state": "pending", "started": None, "server": None, "beat": None}
        with self.engine.begin() as connection:
            connection.execute(EVENTS.delete().where(EVENTS.c.job == name))
            self._change(connection, name, ("in_progress",), values)

    def cancel(self, name: str) -> bool:
        """End a job that still waits; False if it waits no more."""
        with self.engine.begin() as connection:
            return self._change(connection, name, ("pending",), {"state": "canceled", "finished": time.time()})

    def beat(self) -> int:
        """Say that this server lives, and call lost what dead ones were at; return how much that was."""
        now = time.time()
        running = JOBS.c.state == "in_progress"
        lost = {"state": "lost", "finished": now}
        with self.engine.begin() as connection:
            connection.execute(JOBS.update().where(running, JOBS.c.server == self.server).values(beat=now))
            return connection.execute(JOBS.update().where(running, JOBS.c.beat < now - DEAD).values(lost)).rowcount

    def tell(self, name: str, event: Mapping[str, Any], digests: Sequence[str] = ()) -> None:
        """Append an event of a job, and remember the pictures in it."""
        with self.engine.begin() as connection:
            last = sql.select(sql.func.coalesce(sql.func.max(EVENTS.c.number), 0)).where(EVENTS.c.job == name)
            number = int(connection.execute(last).scalar_one()) + 1
            connection.execute(EVENTS.insert().values(job=name, number=number, data=json.dumps(dict(event))))
            _use(connection, name, digests)

    def events(self, name: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """Return the events of a job behind a number, each with its own."""
        query = sql.select(EVENTS.c.number, EVENTS.c.data).where(EVENTS.c.job == name, EVENTS.c.number > after)
        with self._reading() as connection:
            return [(row.number, json.loads(row.data)) for row in connection.execute(query.order_by(EVENTS.c.number))]

    def delete(self, name: str) -> None:
        """Forget a job that is over, with its pictures."""
        with self._reading() as connection:
            mine = list(connection.execute(sql.select(USES.c.digest).where(USES.c.job == name)).scalars())
        self._forget([name])
        self._sweep(self._path(digest) for digest in mine)

    def expire(self, hours: float) -> int:
        """Forget the jobs that were over so many hours ago, with their pictures; return how many."""
        old = sql.select(JOBS.c.id).where(JOBS.c.state.in_(OVER), JOBS.c.finished < time.time() - 3600 * hours)
        with self.engine.begin() as connection:
            names = list(connection.execute(old).scalars())
        self._forget(names)
        self.sweep()
        return len(names)

    def sweep(self) -> None:
        """Delete the pictures that no job uses, but for those that came just now."""
        self._sweep(self.folder.glob("??/*"))

    def _sweep(self, paths: Iterable[Path]) -> None:
        with self._reading() as connection:
            used = set(connection.execute(sql.select(USES.c.digest).distinct()).scalars())
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                if path.name not in used and path.stat().st_mtime < time.time() - FRESH:
                    path.unlink()

    def _forget(self, names: Sequence[str]) -> None:
        with self.engine.begin() as connection:
            for table, column in ((EVENTS, EVENTS.c.job), (USES, USES.c.job), (JOBS, JOBS.c.id)):
                connection.execute(table.delete().where(column.in_(names)))

    def _reading(self) -> Connection:
        """A connection that begins no transaction, so that readers wait for nobody."""
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _change(self, connection: Connection, name: str, states: Sequence[State], values: Mapping[str, Any]) -> bool:
        """Change a job if it is in one of these states, and if it runs, here."""
        query = JOBS.update().where(JOBS.c.id == name, JOBS.c.state.in_(states))
        if "in_progress" in states:
            query = query.where(JOBS.c.server == self.server)
        return connection.execute(query.values(dict(values))).rowcount > 0

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest


def _use(connection: Connection, job: str, digests: Sequence[str]) -> None:
    known = set(connection.execute(sql.select(USES.c.digest).where(USES.c.job == job)).scalars())
    new = [{"job": job, "digest": digest} for digest in dict.fromkeys(digests) if digest not in known]
    if new:
        connection.execute(USES.insert(), new)


def _job(row: Row[Any]) -> Job:
    made = None if row.made is None else json.loads(row.made)
    error = None if row.error is None else json.loads(row.error)
    return Job(
        row.id, row.owner, row.state, row.priority, row.created, row.started, row.finished, json.loads(row.asked),
        made, error,
    )  # fmt: skip


def _prepare(connection: Any, record: Any) -> None:
    """Let SQLite write beside readers, and wait for its lock; transactions are begun by SQLAlchemy alone."""
    connection.isolation_level = None
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute(f"PRAGMA busy_timeout={BUSY}")
