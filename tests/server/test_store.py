"""What a server remembers: jobs taken once, pictures kept as long as somebody uses them, dead servers found out."""

from __future__ import annotations

import importlib
import os
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from lego.core.errors import SettingsError
from lego.server import store as module
from lego.server.store import FRESH, Store

ASKED: dict[str, Any] = {"kind": "edit", "instruction": "make it warmer"}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of our own, for as long as these tests run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells where it puts its files
        pgserver: Any = importlib.import_module("pgserver")  # it has no types
        server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    yield str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Of a database without jobs."""
    if request.param == "sqlite":
        return ""
    found = str(request.getfixturevalue("postgres"))
    engine = sqlalchemy.create_engine(found)
    module._tables.drop_all(engine)
    engine.dispose()
    return found


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    made = Store(url, tmp_path)
    yield made
    made.close()


def aged(store: Store) -> None:
    """Let the pictures be older than those that a sweep leaves."""
    for path in store.folder.glob("??/*"):
        os.utime(path, (time.time() - 2 * FRESH,) * 2)


def test_jobs_go_by_priority_and_then_by_age(store: Store) -> None:
    names = [store.add("me", priority, ASKED, []).id for priority in (0, 0, 5)]
    taken = [store.take() for _ in range(4)]
    assert [job and job.id for job in taken] == [names[2], names[0], names[1], None]
    assert all(job is None or (job.state, job.started is not None) == ("in_progress", True) for job in taken)


def test_a_job_is_taken_once_however_many_ask(store: Store, url: str, tmp_path: Path) -> None:
    names = {store.add("me", 0, ASKED, []).id for _ in range(40)}
    other = Store(url, tmp_path)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda n: (store, other)[n % 2].take(), range(48)))
    found = [job.id for job in taken if job]
    assert len(found) == 40
    assert set(found) == names
    other.close()


def test_a_token_makes_one_job_for_each_owner(store: Store) -> None:
    first, again = (store.add("me", 0, ASKED, [], "token") for _ in range(2))
    assert first.id == again.id
    assert store.add("you", 0, ASKED, [], "token").id != first.id
    assert store.add("me", 0, ASKED, []).id != store.add("me", 0, ASKED, []).id
    assert store.waiting() == 4
    assert store.waiting("me") == 3


def test_what_is_over_stays_over(store: Store) -> None:
    job = store.add("me", 0, ASKED, [])
    assert store.cancel(job.id)
    assert not store.cancel(job.id)
    assert store.take() is None
    found = store.get(job.id)
    assert found is not None
    assert (found.state, found.over) == ("canceled", True)
    assert not store.finish(job.id, "completed", {})


def test_a_job_is_its_owners_alone(store: Store) -> None:
    job = store.add("me", 0, ASKED, [])
    assert store.get(job.id, "me") == job
    assert store.get(job.id, "you") is None
    assert store.get("0" * 32) is None
    assert store.of("you") == []


def test_what_a_dead_server_was_at_is_lost_and_what_waited_still_waits(
    store: Store, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, waiting = store.add("me", 0, ASKED, []), store.add("me", 0, ASKED, [])
    assert store.take()
    other = Store(url, tmp_path)
    assert other.beat() == 0  # the first still lives
    monkeypatch.setattr(module, "DEAD", -1.0)
    assert other.beat() == 1
    found = other.get(running.id)
    assert found is not None
    assert found.state == "lost"
    taken = other.take()
    assert taken is not None
    assert taken.id == waiting.id
    assert not store.finish(running.id, "completed", {})  # it was not dead, but comes too late
    assert not store.finish(waiting.id, "completed", {})  # somebody else's
    other.close()


def test_pictures_live_as_long_as_a_job_uses_them(store: Store) -> None:
    shared, own = store.keep(b"shared"), store.keep(b"own")
    assert store.keep(b"own") == own
    jobs = [store.add("me", 0, ASKED, names) for names in ([shared, own], [shared])]
    for job in jobs:
        assert store.take()
        assert store.finish(job.id, "completed", {}, None, [store.keep(job.id.encode())])
    aged(store)
    store.delete(jobs[0].id)
    assert store.bytes_of(shared) == b"shared"
    for name in (own,):
        with pytest.raises(KeyError):
            store.bytes_of(name)
    assert store.get(jobs[0].id) is None
    store.delete(jobs[1].id)
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def test_what_was_kept_just_now_survives_a_sweep(store: Store) -> None:
    fresh, old = store.keep(b"fresh"), store.keep(b"old")
    aged(store)
    assert store.keep(b"fresh") == fresh
    store.sweep()
    assert store.bytes_of(fresh) == b"fresh"
    with pytest.raises(KeyError):
        store.bytes_of(old)


def test_old_jobs_expire_and_young_and_waiting_ones_do_not(store: Store) -> None:
    done, waits = store.add("me", 0, ASKED, []), store.add("me", 0, ASKED, [])
    assert store.take()
    store.finish(done.id, "failed", None, {"status": 500})
    assert store.expire(1.0) == 0
    assert store.expire(-1.0) == 1
    assert [job.id for job in store.of("me")] == [waits.id]


def test_events_are_numbered_and_read_on_from_any_number(store: Store) -> None:
    job = store.add("me", 0, ASKED, [])
    for number in range(5):
        store.tell(job.id, {"event": "noted", "text": str(number)})
    assert [number for number, _ in store.events(job.id)] == [1, 2, 3, 4, 5]
    assert [data["text"] for _, data in store.events(job.id, 3)] == ["3", "4"]


def test_a_job_that_is_put_back_begins_anew(store: Store) -> None:
    job = store.add("me", 0, ASKED, [])
    assert store.take()
    store.tell(job.id, {"event": "noted"})
    store.put_back(job.id)
    found = store.get(job.id)
    assert found is not None
    assert (found.state, found.started) == ("pending", None)
    assert store.events(job.id) == []


def test_the_list_is_read_page_by_page(store: Store) -> None:
    names = [store.add("me", 0, ASKED, []).id for _ in range(5)]
    first = store.of("me", 2)
    second = store.of("me", 10, first[-1].created)
    assert [job.id for job in (*first, *second)] == names[::-1]


@pytest.mark.parametrize("wrong", ["nonsense", "sqlite:////no/such/folder/x.sqlite", "nothing://x"])
def test_a_database_that_cannot_be_opened_is_told(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be opened"):
        Store(wrong, tmp_path)
