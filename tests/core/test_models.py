"""The model pool: what it holds, what it lets go, and that it never holds too much."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest

from lego.core.errors import CancelledError, StepError
from lego.core.memory import CPU
from lego.core.models import PATIENCE, Pool, shelf
from lego.core.networks import LAYERS, Network

MB = 2**20


class Weights:
    """What stands for a network: bytes, and where they are. It counts what lives, and who is in it."""

    alive: ClassVar[dict[str, int]] = {}
    guard = threading.Lock()

    def __init__(self, name: str, size: int, device: str) -> None:
        self.name, self.size, self.device, self.inside = name, size, device, 0
        self._count(device, size)

    def _count(self, device: str, size: int) -> None:
        with self.guard:
            self.alive[device] = self.alive.get(device, 0) + size

    def to(self, device: str) -> Weights:
        self._count(self.device, -self.size)
        self._count(device, self.size)
        self.device = device
        return self

    def stream(self, device: str) -> None:
        self.through = device

    def __del__(self) -> None:
        self._count(self.device, -self.size)


@pytest.fixture(autouse=True)
def nothing_alive() -> None:
    gc.collect()
    Weights.alive.clear()


def network(
    name: str, size: int = 10, working: int = 0, shared: bool = False, seconds: float = 0.0, streams: bool = False
) -> Network:
    def load(folder: Path, device: str, precision: str) -> Weights:
        time.sleep(seconds)
        return Weights(name, sizes[precision], device)

    sizes = {"float16": size * MB // 2, "float32": size * MB}
    return Network(name, load, sizes, working * MB, shared, streams)


def pool(cpu: int, **others: int) -> Pool:
    return Pool(lambda name: Path(), {CPU: cpu * MB, **{name: size * MB for name, size in others.items()}})


def names(held: Pool) -> list[str]:
    return [row[0] for row in held.rows()]


def test_a_network_is_loaded_once_and_stays() -> None:
    held, net = pool(100), network("a")
    with held.use(net) as (first,):
        assert first.device == CPU
    with held.use(net) as (second,):
        assert second is first
    assert held.counts.loads == 1


def test_what_is_idle_longest_goes_first() -> None:
    held = pool(25)
    for name in ("a", "b", "a", "c"):
        with held.use(network(name)):
            pass
    assert names(held) == ["c", "a"]
    assert Weights.alive[CPU] == 20 * MB


def test_what_is_in_use_stays_and_who_needs_its_room_waits() -> None:
    held, order = pool(15), []

    def other() -> None:
        with held.use(network("b")):
            order.append("b")

    with held.use(network("a")):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.3)
        order.append("a")
    thread.join(5)
    assert order == ["a", "b"]


def test_a_pipeline_is_never_in_two_threads_and_a_shared_network_may_be() -> None:
    for shared, most in ((False, 1), (True, 3)):
        held, net = pool(100), network("a", shared=shared)
        seen: list[int] = []
        gate = threading.Barrier(3) if shared else None

        def work(held: Pool = held, net: Network = net, seen: list[int] = seen, gate: Any = gate) -> None:
            with held.use(net) as (weights,):
                with Weights.guard:
                    weights.inside += 1
                    seen.append(weights.inside)
                if gate:
                    gate.wait(5)
                time.sleep(0.02)
                with Weights.guard:
                    weights.inside -= 1

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert max(seen) == most


def test_the_room_that_a_call_takes_counts_while_it_lasts() -> None:
    held = pool(30)
    with held.use(network("a")):
        pass
    with held.use(network("b", working=12)):
        assert names(held) == ["b"]
    with held.use(network("a")):
        assert names(held) == ["a", "b"]


def test_several_networks_are_taken_at_once_and_never_one_after_another() -> None:
    held = pool(100)
    with held.use(network("a"), network("b")) as both:
        assert [weights.name for weights in both] == ["a", "b"]
        with pytest.raises(RuntimeError, match="all of them at once"), held.use(network("c")):
            pass


def test_an_accelerator_comes_first_and_a_smaller_precision_if_it_fits_only_so() -> None:
    held = pool(100, cuda=8)
    place = held.place(network("a"))
    assert (place.device, place.precision) == ("cuda", "float16")
    assert "6 MB of 8 MB in float16" in place.reason
    place = held.place(network("b", size=40))
    assert (place.device, place.precision) == (CPU, "float32")
    assert "cuda in float16 would need 22 MB" in place.reason


def test_what_leaves_the_accelerator_is_set_aside_and_comes_back_without_loading() -> None:
    held = pool(100, cuda=8)
    for name in ("a", "b", "a"):
        with held.use(network(name)) as (weights,):
            assert weights.device == "cuda"
    assert (held.counts.loads, held.counts.offloads, held.counts.evictions) == (2, 2, 0)
    assert Weights.alive == {"cuda": 5 * MB, CPU: 5 * MB}


def test_what_is_asked_for_again_while_it_leaves_is_held_once() -> None:
    held, net = pool(100, cuda=20), network("a")
    with held.use(net):
        pass
    (old,) = held._residents.values()
    with held._changed:
        held._leave([old])  # another thread has taken its room, and has not evicted it yet
    with held.use(net) as (fresh,):
        held._evict([old])
        assert [row[1] for row in held.rows()] == ["cuda"]
        assert fresh.device == "cuda"
    assert Weights.alive == {"cuda": 5 * MB}


def test_who_waits_for_another_load_can_be_stopped() -> None:
    held, begun = pool(100), threading.Event()

    def slow(folder: Path, device: str, precision: str) -> Any:
        begun.set()
        time.sleep(0.6)
        return Weights("slow", MB, device)

    def stop() -> None:
        raise CancelledError("the run was stopped")

    thread = threading.Thread(target=lambda: held.use(Network("slow", slow, {"float32": MB})).__enter__())
    thread.start()
    begun.wait(5)
    with pytest.raises(CancelledError), held.use(network("b"), stop=stop):
        pass
    thread.join(5)


def test_without_room_aside_it_goes_away() -> None:
    held = pool(3, cuda=8)
    for name in ("a", "b", "a"):
        with held.use(network(name)):
            pass
    assert (held.counts.loads, held.counts.evictions) == (3, 2)


def test_what_an_accelerator_is_too_small_for_is_streamed_through_it() -> None:
    room = LAYERS // MB
    held, large = pool(7000, cuda=room + 100), network("large", 8000, working=50, streams=True)  # 4,400 MB in half
    place = held.place(large)
    assert (place.device, place.precision, place.home) == ("cuda", "float16", CPU)
    assert f"4,400 MB of weights stay in memory, {room + 50:,} MB of {room + 100:,} MB in float16" in place.reason
    with held.use(large) as (weights,):
        assert (weights.device, weights.through) == (CPU, "cuda")
        assert held._used("cuda") == LAYERS + 50 * MB
        assert held._used(CPU) == large.room("float16")
    assert held._used("cuda") == 0
    with held.use(network("whole", 200)) as (small,):  # its weights take the accelerator's room meanwhile
        assert small.device == "cuda"
    assert names(held) == ["whole", "large"]
    with held.use(large) as (again,):  # and leave it again
        assert again is weights
    assert held.counts.offloads == 1
    assert held.counts.loads == 2


def test_what_does_not_fit_into_the_memory_either_is_not_streamed() -> None:
    held = pool(3000, cuda=LAYERS // MB)
    with pytest.raises(StepError, match="cuda with weights in memory would need 4,400 MB and 1,536 MB; cpu in float32"):
        held.place(network("large", 8000, streams=True))
    with pytest.raises(StepError, match="too large"):
        held.place(network("large", 4000))


def test_what_can_never_fit_is_refused_with_the_figures() -> None:
    held = pool(15)
    with pytest.raises(StepError, match="'big' is too large: cpu in float32 would need 44 MB") as caught:
        held.place(network("big", size=40))
    assert caught.value.code == "out_of_memory"
    with (
        pytest.raises(StepError, match="a, b need 22 MB together, cpu has 15 MB"),
        held.use(network("a"), network("b")),
    ):
        pass


def test_missing_weights_and_a_loader_that_fails_leave_nothing_behind() -> None:
    held = Pool(lambda name: None, {CPU: 100 * MB})
    with pytest.raises(StepError, match="weights of 'a' are not here") as caught, held.use(network("a")):
        pass
    assert caught.value.hint == "run `lego models pull a`"

    def fails(folder: Path, device: str, precision: str) -> Any:
        raise ValueError("broken file")

    held = pool(100)
    with pytest.raises(ValueError, match="broken file"), held.use(Network("a", fails, {"float32": MB})):
        pass
    assert held.rows() == []
    with held.use(network("a")):
        pass


def test_who_waits_can_be_stopped() -> None:
    held = pool(15)

    def stop() -> None:
        raise CancelledError("the run was stopped")

    caught: list[BaseException] = []

    def other() -> None:
        try:
            with held.use(network("b"), stop=stop):
                pass
        except CancelledError as error:
            caught.append(error)

    with held.use(network("a")):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(5)
    assert caught
    with held.use(network("b")):
        pass


def test_unloading_takes_what_is_idle_only() -> None:
    held = pool(100)
    with held.use(network("a")):
        pass
    with held.use(network("b")):
        assert held.unload() == ["a"]
    assert held.unload("c") == []
    assert held.unload("b") == ["b"]
    assert Weights.alive[CPU] == 0


def test_networks_that_somebody_kept_are_told() -> None:
    held = pool(100)
    with held.use(network("a")) as (kept,):
        pass
    held.unload()
    assert held.kept() == [kept]


def test_who_waits_for_room_is_not_overtaken_for_ever() -> None:
    held, order = pool(15), []
    running = threading.Event()

    def often() -> None:
        for number in range(4 * PATIENCE):
            with held.use(network("a", shared=True)):
                order.append(f"a{number}")
                running.set()
                time.sleep(0.01)

    def once() -> None:
        with held.use(network("b")):
            order.append("b")

    threads = [threading.Thread(target=often) for _ in range(2)]
    for thread in threads:
        thread.start()
    running.wait(5)
    waiter = threading.Thread(target=once)
    waiter.start()
    for thread in (*threads, waiter):
        thread.join(20)
    assert order.index("b") < len(order) - 1


@pytest.mark.parametrize("devices", [{}, {"cuda": 30}])
def test_a_load_of_five_hundred_requests_is_never_over_the_budget(devices: dict[str, int]) -> None:
    held = pool(38, **devices)
    nets = [network(f"n{n}", size=12 + 3 * n, working=n, shared=n % 2 == 0, seconds=0.001) for n in range(6)]
    jobs = [Random(7).sample(nets, 1) for _ in range(500)]
    jobs = [Random(n).sample(nets, 1 if n % 10 else 2) if not devices else job for n, job in enumerate(jobs)]
    fits = [j for j in jobs if sum(1.1 * n.bytes["float32"] + n.working for n in j) <= 38 * MB]
    over: list[str] = []
    done: list[int] = []

    def work(part: list[list[Network]]) -> None:
        for job in part:
            with held.use(*job) as weights:
                if [w.name for w in weights] != [n.name for n in job]:
                    over.append("wrong network")
                over.extend(
                    f"{size >> 20} MB on {device}"
                    for device, size in list(Weights.alive.items())
                    if size > held.budgets[device]
                )
                done.append(1)
                del weights  # as a tool's own name for it ends with the call

    threads = [threading.Thread(target=work, args=(fits[n::8],), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not over
    assert len(done) == len(fits) > 400
    assert held.counts.loads < len(fits)


def test_weights_are_found_by_name_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert shelf(tmp_path)("a") == tmp_path / "a"
    assert shelf(tmp_path)("b") is None
    assert shelf(tmp_path / "nowhere")("a") is None


def test_budgets_are_measured_when_first_asked_for() -> None:
    asked = []

    def budgets() -> dict[str, int]:
        asked.append(1)
        return {CPU: 100 * MB}

    held = Pool(lambda name: Path(), budgets)
    assert not asked
    for _ in range(2):
        with held.use(network("a")):
            pass
    assert len(asked) == 1
