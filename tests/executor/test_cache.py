"""The cache of outputs by content."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lego.core.values import Image, Mask
from lego.executor.cache import Cache


def picture(fill: int, side: int = 32) -> Image:
    return Image(np.full((side, side, 3), fill, np.uint8))


def test_memory_stays_within_its_budget_and_counts_bytes() -> None:
    cache = Cache(memory_bytes=20_000)
    for n in range(20):
        cache.put(str(n), {"image": picture(n)}, 1.0)
        assert cache.used <= 20_000
    assert 4 <= len(cache) <= 6


def test_what_is_cheap_to_make_goes_before_what_is_dear() -> None:
    cache = Cache(memory_bytes=10_000)
    cache.put("dear", {"image": picture(1)}, 9.0)
    for n in range(10):
        cache.put(f"cheap {n}", {"image": picture(n)}, 0.001)
    assert "dear" in cache
    assert cache.get("cheap 0") is None


def test_what_nobody_asks_for_ages_out_in_the_end() -> None:
    cache = Cache(memory_bytes=10_000)
    cache.put("old", {"image": picture(1)}, 2.0)
    for n in range(30):
        cache.put(f"new {n}", {"image": picture(n)}, 1.0)
        cache.get(f"new {n}")
    assert "old" not in cache


def test_a_buffer_that_several_entries_share_is_counted_once() -> None:
    cache = Cache()
    image = picture(5, 100)
    cache.put("a", {"image": image}, 1.0)
    before = cache.used
    cache.put("b", {"image": Image(image.pixels, notes=("same pixels",))}, 1.0)
    assert cache.used - before < 1000


def test_an_entry_larger_than_the_budget_is_not_kept() -> None:
    cache = Cache(memory_bytes=1000)
    cache.put("a", {"image": picture(1)}, 1.0)
    assert len(cache) == 0
    assert cache.used == 0


def test_everything_survives_the_disk(tmp_path: Path) -> None:
    alpha = np.arange(12, dtype=np.uint8).reshape(3, 4)
    outputs = {
        "image": Image(np.arange(36, dtype=np.uint8).reshape(3, 4, 3), alpha, ("said so",)),
        "mask": Mask(alpha, 0.25, ("found",)),
        "caption": "杯子",
        "score": 0.7,
    }
    Cache(folder=tmp_path / "c", disk_bytes=1 << 20).put("key", outputs, 1.5)
    found = Cache(folder=tmp_path / "c", disk_bytes=1 << 20).get("key")
    assert found == outputs
    assert found["image"].notes == ("said so",)
    assert found["mask"].confidence == 0.25
    assert not found["image"].pixels.flags.writeable


def test_a_damaged_file_is_a_miss_and_goes_away(tmp_path: Path) -> None:
    cache = Cache(memory_bytes=0, folder=tmp_path, disk_bytes=1 << 20)
    cache.put("key", {"image": picture(1)}, 1.0)
    file = next(tmp_path.glob("*.npz"))
    for damage in (b"", b"nonsense", file.read_bytes()[:500]):
        file.write_bytes(damage)
        assert cache.get("key") is None
        assert not file.exists()


def test_the_disk_stays_within_its_budget_and_drops_the_least_recently_used(tmp_path: Path) -> None:
    cache = Cache(memory_bytes=0, folder=tmp_path, disk_bytes=40_000)
    for n in range(20):
        cache.put(str(n), {"image": picture(n)}, 1.0)
    assert sum(file.stat().st_size for file in tmp_path.glob("*.npz")) <= 40_000
    assert cache.get("19") is not None
    assert cache.get("0") is None


def test_nothing_is_written_without_a_disk_budget(tmp_path: Path) -> None:
    Cache(folder=tmp_path / "never", disk_bytes=0).put("a", {"image": picture(1)}, 1.0)
    assert not (tmp_path / "never").exists()


def test_one_thread_at_a_time_works_on_a_key_and_a_waiter_takes_over() -> None:
    cache, inside, order = Cache(), threading.Event(), []

    def first() -> None:
        with contextlib.suppress(RuntimeError), cache.alone("key"):
            inside.set()
            time.sleep(0.2)
            order.append("first")
            raise RuntimeError

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(5)
    with cache.alone("key"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert cache._busy == {}


def test_a_waiter_can_give_up() -> None:
    cache = Cache()

    def tired() -> None:
        raise TimeoutError

    def wait() -> None:
        with pytest.raises(TimeoutError), cache.alone("key", tired):
            raise AssertionError

    with cache.alone("key"):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
    assert cache._busy == {}
