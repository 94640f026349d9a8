"""Threads for steps: what they keep, and that they end."""

from __future__ import annotations

import threading
import time
import weakref

from lego.executor.backends import Threads


class Thing:
    """Stands for a network that a step used."""


def test_a_thread_that_waits_holds_nothing_of_what_it_did() -> None:
    """Else it frees tensors while Python ends, and torch aborts the process."""
    threads, done = Threads(1), threading.Event()
    thing = Thing()
    seen = weakref.ref(thing)

    def job(thing: Thing = thing) -> bool:
        done.set()
        return False

    threads.submit(job)
    assert done.wait(5)
    del job, thing
    end = time.monotonic() + 5
    while seen() is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert seen() is None
    threads.close()


def test_a_job_that_was_given_up_does_not_cost_a_thread() -> None:
    threads, stuck, done = Threads(1), threading.Event(), threading.Event()

    def job() -> bool:
        done.set()
        return False

    threads.submit(lambda: stuck.wait(5))
    threads.give_up()
    threads.submit(job)
    assert done.wait(5)
    stuck.set()
    threads.close()
