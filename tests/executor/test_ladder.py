"""Steps with networks: handed in by the pool, and what happens when memory runs out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest

from lego.core.errors import StepError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.networks import Network
from lego.core.registry import Tool, tool
from lego.core.signature import Context
from lego.core.steps import Step
from lego.core.trace import StepDone, Trace
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.executor.run import Executor

MB = 2**20
TINTS = {"x_red": 10, "x_green": 20}


def load(folder: Path, device: str, precision: str) -> dict[str, Any]:
    return {"tint": TINTS[folder.name], "device": device}


RED = Network("x_red", load, {"float32": 10 * MB})
GREEN = Network("x_green", load, {"float32": 10 * MB})


class Toy:
    """A tool with an engine that runs out of memory as it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.fails = 0  # calls that run out of memory
        self.largest = 4096  # tile that fits
        self.devices = {CPU, "cuda"}  # where it fits

        @tool
        def x_tint(image: Image, *, context: Context) -> Image:
            """Tint a little."""
            self.calls.append(("embedded", context.tile))
            return Image(image.pixels // 2 + 1)

        @x_tint.engine("red", tile=1024)
        def _(image: Image, *, context: Context, net: Annotated[Any, RED]) -> Image:
            self.calls.append((net["device"], context.tile))
            assert context.device == net["device"]
            if self.fails > 0 or context.tile > self.largest or net["device"] not in self.devices:
                self.fails -= 1
                raise MemoryError
            return Image(image.pixels // 2 + net["tint"])

        self.tool: Tool[..., Any] = x_tint


@pytest.fixture
def toy(forgetful: None) -> Toy:
    return Toy()


def pool(*, there: tuple[str, ...] = ("x_red", "x_green"), **budgets: int) -> Pool:
    sizes = {CPU: 100, **budgets}
    return Pool(lambda name: Path(".") / name if name in there else None, {k: v * MB for k, v in sizes.items()})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TINTS:
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)


pytestmark = pytest.mark.usefixtures("forgetful", "here")
FLOW = Workflow((Step("s1", "x_tint", {"image": "$image"}),), "$s1")


def run(held: Pool | None, image: Image, executor: Executor | None = None) -> tuple[Image, StepDone]:
    trace = Trace()
    done = (executor or Executor(pool=held)).run(FLOW, {"image": image}, trace=trace)
    if done.failure:
        raise done.failure
    return done.results[0], next(trace.of(StepDone))


def test_an_engine_gets_its_network_and_the_reason_says_where_it_runs(toy: Toy, small: Image) -> None:
    made, event = run(pool(), small)
    assert made == Image(small.pixels // 2 + 10)
    assert event.engine == "red"
    assert event.reason == "red: cpu: 11 MB of 100 MB in float32"


def test_without_its_weights_the_next_engine_runs_and_the_reason_says_what_to_pull(toy: Toy, small: Image) -> None:
    for held in (pool(there=()), None):
        made, event = run(held, small)
        assert made == Image(small.pixels // 2 + 1)
        assert event.reason == "embedded: red needs the weights 'x_red' (`lego models pull x_red`)"


def test_what_is_too_large_for_every_budget_is_not_chosen(toy: Toy, small: Image) -> None:
    _, event = run(pool(cpu=5), small)
    assert event.engine == "embedded"
    assert "cpu in float32 would need 11 MB" in event.reason


def test_a_result_is_cached_by_what_made_it(toy: Toy, small: Image) -> None:
    executor = Executor(pool=pool())
    first, _ = run(None, small, executor)
    again, event = run(None, small, executor)
    assert event.cached
    assert first == again
    executor.pool = pool(there=())
    other, event = run(None, small, executor)
    assert not event.cached
    assert other != first


def test_when_memory_runs_out_idle_networks_go_first(toy: Toy, small: Image) -> None:
    held = pool()
    with held.use(GREEN):
        pass
    toy.fails = 1
    made, event = run(held, small)
    assert made == Image(small.pixels // 2 + 10)
    assert event.reason.endswith("; memory ran out: idle networks were let go")
    assert [row[0] for row in held.rows()] == ["x_red"]


def test_then_tiles_get_smaller_and_that_result_is_not_cached(toy: Toy, small: Image) -> None:
    toy.largest = 300
    executor = Executor(pool=pool())
    _, event = run(None, small, executor)
    assert toy.calls == [(CPU, tile) for tile in (1024, 1024, 512, 256)]
    assert event.reason.endswith("; memory ran out: tiles of 512 px; memory ran out: tiles of 256 px")
    _, event = run(None, small, executor)
    assert not event.cached


def test_then_the_processor_takes_over(toy: Toy, small: Image) -> None:
    toy.devices = {CPU}
    made, event = run(pool(cuda=50), small)
    assert made == Image(small.pixels // 2 + 10)
    assert toy.calls[-1] == (CPU, 256)
    assert event.reason.endswith("memory ran out: on the processor")


def test_then_another_engine(toy: Toy, small: Image) -> None:
    toy.devices = set()
    made, event = run(pool(), small)
    assert made == Image(small.pixels // 2 + 1)
    assert event.reason.endswith("memory ran out: engine 'embedded'")


def test_at_last_the_error_tells_all_that_was_tried(small: Image) -> None:
    @tool
    def x_tint(image: Image, *, net: Annotated[Any, RED]) -> Image:
        """Tint by a network alone."""
        raise RuntimeError("CUDA out of memory")

    assert list(x_tint.engines) == ["x_red"]
    with pytest.raises(
        StepError, match=r"s1 \(x_tint\): out of memory, also after: memory ran out: idle net"
    ) as caught:
        run(pool(), small)
    assert caught.value.code == "out_of_memory"


def test_a_tool_without_an_engine_that_can_run_is_refused_before_anything_runs(small: Image) -> None:
    @tool
    def x_tint(image: Image, *, net: Annotated[Any, RED]) -> Image:
        """Tint by a network alone."""
        return image

    assert not x_tint.runs(pool(there=()))
    assert x_tint.runs(pool())
    with pytest.raises(StepError, match="'x_tint' cannot run here: x_red needs the weights") as caught:
        run(pool(there=()), small)
    assert (caught.value.code, caught.value.where) == ("no_engine", "s1 (x_tint)")


def test_other_errors_of_a_network_leave_at_once(small: Image) -> None:
    tries = []

    @tool
    def x_tint(image: Image, *, net: Annotated[Any, RED]) -> Image:
        """Tint by a network alone."""
        tries.append(1)
        raise RuntimeError("shapes differ")

    with pytest.raises(StepError, match="shapes differ"):
        run(pool(), small)
    assert len(tries) == 1


def test_an_engine_with_another_network_must_have_the_same_parameters() -> None:
    @tool
    def x_tint(image: Image) -> Image:
        """Tint a little."""
        return image

    @x_tint.engine("red")
    def _(image: Image, *, net: Annotated[Any, RED], other: Annotated[Any, GREEN]) -> Image:
        return image

    assert list(x_tint.engines["red"].networks) == ["net", "other"]
    assert [p.name for p in x_tint.params] == ["image"]
