"""Hands: they share a list, and one that dies loses nothing."""

from __future__ import annotations

import threading
import time

import pytest

from lego.batches.hands import LostError, run_items


class Doubler:
    """Doubles numbers; dies of some of them as often as they say."""

    def __init__(self, deadly: dict[int, int] | None = None) -> None:
        self.deadly = deadly or {}
        self.done: list[int] = []

    def do(self, item: int) -> int:
        if self.deadly.get(item, 0):
            self.deadly[item] -= 1
            raise LostError("gone")
        self.done.append(item)
        return 2 * item

    def close(self) -> None:
        pass


def test_every_item_is_done_once_whoever_does_it() -> None:
    hands = [Doubler() for _ in range(4)]
    outcomes = list(run_items(range(200), hands, threading.Event()))
    assert sorted(item for item, _, _ in outcomes) == list(range(200))
    assert all(made == 2 * item and not lost for item, made, lost in outcomes)
    assert sum(len(hand.done) for hand in hands) == 200


def test_an_item_of_which_a_hand_died_is_done_again_at_the_end() -> None:
    hand = Doubler({3: 1})
    outcomes = list(run_items(range(6), [hand], threading.Event()))
    assert hand.done == [0, 1, 2, 4, 5, 3]
    assert outcomes[-1] == (3, 6, 1)


def test_an_item_of_which_two_hands_died_is_given_up_with_the_reason() -> None:
    outcomes = list(run_items(range(6), [Doubler({3: 9})], threading.Event()))
    item, error, lost = outcomes[-1]
    assert (item, lost) == (3, 2)
    assert isinstance(error, LostError)
    assert len(outcomes) == 6


def test_after_a_stop_what_is_under_way_is_finished_and_nothing_begun() -> None:
    stop = threading.Event()

    class Stopper(Doubler):
        def do(self, item: int) -> int:
            if item == 5:
                stop.set()
            return super().do(item)

    outcomes = list(run_items(range(1000), [Stopper()], stop))
    assert [item for item, _, _ in outcomes] == list(range(6))


def test_what_makes_every_item_impossible_ends_it_all() -> None:
    class Broken(Doubler):
        def do(self, item: int) -> int:
            raise ValueError("no tools")

    with pytest.raises(ValueError, match="no tools"):
        list(run_items(range(50), [Broken(), Doubler()], threading.Event()))


def test_who_takes_no_more_waits_for_what_is_under_way() -> None:
    class Slow(Doubler):
        def do(self, item: int) -> int:
            if item:
                began.set()
                time.sleep(0.2)
            return super().do(item)

    began, hand = threading.Event(), Slow()
    outcomes = run_items(range(9), [hand], threading.Event())
    assert next(outcomes)[0] == 0
    began.wait(10)
    outcomes.close()
    assert hand.done == [0, 1]
