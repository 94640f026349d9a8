"""Who of a cluster's workers gets which step, and what is kept of what they make: without Ray."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from lego.core.errors import StepError
from lego.executor.cluster import crew as crews
from lego.executor.cluster.crew import Crew, Member, Trade
from lego.executor.cluster.parcels import Facts
from lego.executor.cluster.shelf import SMALL, Made, Shelf

MB = 1 << 20


def made(size: int, node: str = "a", seconds: float = 1.0) -> Made:
    return Made({"image": Facts("mask", planes=(("pixels", (1, size), "|u1"),))}, {"image": object()}, node, seconds)


def team(*nodes: str) -> Crew:
    crew = Crew(Trade("cpu"), 10)
    crew.members = [Member(None, node, busy=False) for node in nodes]
    return crew


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_a_step_goes_to_the_node_where_most_of_its_pixels_are() -> None:
    async def work() -> None:
        crew = team("a", "b", "c")
        member = await crew.take({"a": 10, "b": 36 * MB})
        assert member.node == "b"
        assert crew.counts == {"steps": 1}

    run(work())


def test_it_waits_a_moment_for_that_node_and_then_goes_elsewhere() -> None:
    async def work() -> None:
        crew = team("a", "b")
        crew.members[0].busy = True
        start = time.monotonic()
        member = await crew.take({"a": MB})
        assert member.node == "b"
        assert time.monotonic() - start >= crews.DELAY
        assert crew.counts["moves"] == 1
        assert crew.counts["moved_bytes"] == MB

    run(work())


def test_if_that_node_is_free_again_in_the_meantime_nothing_moves() -> None:
    async def work() -> None:
        crew = team("a", "b")
        crew.members[0].busy = True
        asyncio.get_running_loop().call_later(crews.DELAY / 10, crew.give_back, crew.members[0])
        assert (await crew.take({"a": MB})).node == "a"
        assert crew.counts["moves"] == 0

    run(work())


def test_a_step_that_failed_on_a_node_goes_to_another_if_there_is_one() -> None:
    async def work() -> None:
        assert (await team("a", "b").take({"a": MB}, avoid="a")).node == "b"
        assert (await team("a").take({"a": MB}, avoid="a")).node == "a"

    run(work())


def test_the_queue_asks_for_workers_but_never_for_more_than_may_be() -> None:
    async def work() -> None:
        crew = Crew(Trade("cpu"), 3)
        waiting = [asyncio.ensure_future(crew.take({})) for _ in range(5)]
        await asyncio.sleep(0)
        assert crew.wanted == 3
        crew.members.append(Member(None))  # one is on its way
        assert crew.wanted == 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert crew.waiting == 0
        assert crew.wanted == 0

    run(work())


def test_a_worker_that_was_given_to_a_step_stopped_at_that_moment_is_free_again() -> None:
    async def work() -> None:
        crew = team("a")
        crew.members[0].busy = True
        task = asyncio.ensure_future(crew.take({}))
        await asyncio.sleep(0)
        crew.give_back(crew.members[0])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not crew.members[0].busy

    run(work())


def test_who_waits_hears_that_nobody_will_come() -> None:
    async def work() -> None:
        crew = Crew(Trade("cpu"), 1)
        task = asyncio.ensure_future(crew.take({}))
        await asyncio.sleep(0)
        crew.refuse(StepError("no worker can start"))
        with pytest.raises(StepError, match="no worker"):
            await task

    run(work())


def test_the_longest_idle_are_the_first_to_go() -> None:
    crew = team("a", "b", "c")
    for member, since in zip(crew.members, (5.0, 1.0, 3.0), strict=True):
        member.since = time.monotonic() - since
    assert [member.node for member in crew.idle(2.0)] == ["a", "c"]


def test_the_shelf_keeps_to_its_budget_and_drops_what_is_cheap_to_make_again() -> None:
    shelf = Shelf(3 * (MB + SMALL))
    for key, seconds in (("dear", 9.0), ("cheap", 0.1), ("middling", 1.0), ("new", 1.0)):
        shelf.put(key, made(MB, seconds=seconds))
    assert shelf.get("cheap") is None
    assert shelf.get("dear")
    assert len(shelf) == 3
    assert shelf.used == 3 * (MB + SMALL)


def test_what_is_larger_than_the_shelf_is_not_kept_and_the_same_key_counts_once() -> None:
    shelf = Shelf(2 * MB)
    shelf.put("large", made(3 * MB))
    shelf.put("a", made(MB))
    shelf.put("a", made(MB))
    assert len(shelf) == 1
    assert shelf.used == MB + SMALL


def test_what_lay_on_a_dead_node_is_swept_off() -> None:
    shelf = Shelf(10 * MB)
    shelf.put("a", made(MB, "a"))
    shelf.put("b", made(MB, "b"))
    shelf.sweep({"b"})
    assert shelf.get("a") is None
    assert shelf.get("b")
    assert shelf.used == MB + SMALL


def test_steps_that_wait_long_are_late_and_a_worker_books_what_its_trade_takes() -> None:
    async def work() -> None:
        crew = team()
        waiting = [asyncio.ensure_future(crew.take({})) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting.append(asyncio.ensure_future(crew.take({})))
        await asyncio.sleep(0)
        assert (crew.late(0.03), crew.late(10)) == (3, 0)
        for task in waiting:
            task.cancel()

    run(work())
    assert Trade("cpu").resources == {"CPU": 1}
    assert Trade("sam", 0.25, 1000, 7 * MB).resources == {"GPU": 0.25, "memory": 7 * MB}
