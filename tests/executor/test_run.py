"""Running workflows: order, parallel steps, cache, failures, cancelling, time-outs, seeds."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

from lego.core.errors import CancelledError, RefusedError, StepError, StepTimeoutError, WorkflowError
from lego.core.registry import tool
from lego.core.signature import Context
from lego.core.steps import Step
from lego.core.trace import Event, RunDone, StepDone, StepFailed, StepProgress, StepStarted, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.cache import Cache
from lego.executor.run import Cancel, Executor, Run

pytestmark = pytest.mark.usefixtures("forgetful")
Many = Annotated[int, Field(ge=0, le=10**9)]
calls: list[str] = []


@pytest.fixture(autouse=True)
def toys(forgetful: None) -> None:
    """Tools that are easy to watch."""
    calls.clear()

    @tool
    def x_add(image: Image, n: Many = 1) -> Image:
        """Add to every channel."""
        calls.append(f"add {n}")
        return Image((image.pixels.astype(int) + n).astype(np.uint8))

    @tool
    def x_mean(images: list[Image]) -> Image:
        """Average pictures."""
        calls.append("mean")
        return Image(np.mean([i.pixels for i in images], 0).astype(np.uint8))

    @tool
    def x_fail(image: Image) -> Image:
        """Fail."""
        raise ValueError("no good")

    @tool
    def x_refuse(image: Image) -> Image:
        """Decline."""
        raise RefusedError("found nothing", hint="draw a mask", confidence=0.3)

    @tool
    def x_noise(image: Image, *, context: Context) -> Image:
        """Give noise."""
        calls.append("noise")
        return Image(np.random.default_rng(context.seed).integers(0, 256, image.pixels.shape, dtype=np.uint8))

    @tool
    def x_wait(image: Image, n: Many = 0, *, context: Context) -> Image:
        """Wait until somebody stops it."""
        for share in range(500):
            context.progress(share / 500)
            time.sleep(0.01)
        return image

    @tool
    def x_deaf(image: Image) -> Image:
        """Sleep without ever looking up."""
        time.sleep(1.2)
        return image

    @tool(deterministic=False)
    def x_clock(image: Image) -> Image:
        """Give something else each time."""
        calls.append("clock")
        return Image(np.random.default_rng().integers(0, 256, image.pixels.shape, dtype=np.uint8))

    @tool
    def x_greedy(image: Image, mask: Mask) -> Image:
        """Turn everything red, mask or no mask."""
        return image.replace(np.full_like(image.pixels, (255, 0, 0)))

    @tool
    def x_shrink(image: Image) -> Image:
        """Change the size without having said so."""
        return Image(image.pixels[:5, :5])

    @tool
    def x_liar(image: Image) -> Image:
        """Return something else."""
        return "a text"  # type: ignore[return-value]


def flow(*steps: tuple[str, str, dict[str, Any]], result: Any) -> Workflow:
    return Workflow(tuple(Step(*step) for step in steps), result)


def failure(run: Run) -> StepError:
    assert run.failure is not None
    return run.failure


ADD = flow(("a", "x_add", {"image": "$image"}), ("b", "x_add", {"image": "$a", "n": 5}), result="$b")


def test_steps_run_in_order_of_their_references(small: Image) -> None:
    run = Executor().run(ADD, {"image": small})
    assert run.failure is None
    assert np.array_equal(run.results[0].pixels, small.pixels + np.uint8(6))
    assert np.array_equal(run.outputs["a"]["image"].pixels, small.pixels + np.uint8(1))


def test_a_second_run_comes_from_the_cache_and_still_shows_every_step(small: Image) -> None:
    executor = Executor()
    executor.run(ADD, {"image": small})
    assert calls == ["add 1", "add 5"]
    trace = Trace()
    run = executor.run(ADD, {"image": small}, trace=trace)
    assert calls == ["add 1", "add 5"]
    assert [(e.step, e.cached) for e in trace.of(StepDone)] == [("a", True), ("b", True)]
    assert run.results[0] is not None
    assert list(run.outputs) == ["a", "b"]


def test_what_only_led_to_a_cached_step_is_not_made_again(small: Image) -> None:
    executor = Executor()
    key = executor.run(ADD, {"image": small}).outputs["b"]
    executor.cache.clear()
    trace = Trace()
    executor.run(ADD, {"image": small}, trace=trace)
    first = next(k for k, entry in executor.cache._entries.items() if entry.outputs != key)
    del executor.cache._entries[first]  # as if it had been evicted
    calls.clear()
    run = executor.run(ADD, {"image": small})
    assert calls == []
    assert list(run.outputs) == ["b"]


def test_only_what_depends_on_a_changed_argument_runs_again(small: Image) -> None:
    executor = Executor()
    executor.run(ADD, {"image": small})
    changed = flow(("a", "x_add", {"image": "$image", "n": 1}), ("q", "x_add", {"image": "$a", "n": 6}), result="$q")
    executor.run(changed, {"image": small})  # n=1 is the default: the same key, whatever the step is called
    assert calls == ["add 1", "add 5", "add 6"]


def test_another_picture_is_another_key(small: Image) -> None:
    executor = Executor()
    executor.run(ADD, {"image": small})
    executor.run(ADD, {"image": Image(255 - small.pixels)})
    assert calls.count("add 1") == 2


def test_independent_steps_run_at_once(small: Image) -> None:
    barrier = threading.Barrier(2, timeout=5)

    @tool
    def x_meet(image: Image, n: Many = 0) -> Image:
        """Return only if another one runs meanwhile."""
        barrier.wait()
        return image

    workflow = flow(
        ("a", "x_meet", {"image": "$image"}), ("b", "x_meet", {"image": "$image", "n": 1}), result=["$a", "$b"]
    )
    assert Executor(workers=2).run(workflow, {"image": small}).failure is None


def test_the_same_work_asked_for_twice_at_once_is_done_once(small: Image) -> None:
    steps = [(f"s{n}", "x_add", {"image": "$image", "n": 3}) for n in range(8)]
    Executor(workers=4).run(flow(*steps, result=[f"$s{n}" for n in range(8)]), {"image": small})
    assert calls == ["add 3"]


def test_a_failure_stops_its_descendants_only(small: Image) -> None:
    trace = Trace()
    workflow = flow(
        ("a", "x_fail", {"image": "$image"}),
        ("b", "x_add", {"image": "$a"}),
        ("c", "x_add", {"image": "$b"}),
        ("d", "x_add", {"image": "$image", "n": 9}),
        result=["$c", "$d"],
    )
    run = Executor().run(workflow, {"image": small}, trace=trace)
    assert list(run.outputs) == ["d"]
    assert {name: error.code for name, error in run.errors.items()} == {
        "a": "step_failed",
        "c": "skipped",
        "b": "skipped",
    }
    assert failure(run).where == "a (x_fail)"
    assert "ValueError: no good" in failure(run).message
    assert next(event.step for event in trace.of(StepFailed)) == "a"
    assert trace.events[-1].status == "failed"  # type: ignore[attr-defined]


def test_a_refusal_keeps_its_code_hint_and_facts(small: Image) -> None:
    error = failure(Executor().run(flow(("a", "x_refuse", {"image": "$image"}), result="$a"), {"image": small}))
    assert (error.code, error.hint, error.details["confidence"], error.where) == (
        "refused",
        "draw a mask",
        0.3,
        "a (x_refuse)",
    )


def test_failures_are_not_cached(small: Image) -> None:
    executor = Executor()
    for _ in range(2):
        assert executor.run(flow(("a", "x_fail", {"image": "$image"}), result="$a"), {"image": small}).failure
    assert len(executor.cache) == 0


def test_steps_that_no_result_needs_do_not_run(small: Image) -> None:
    workflow = flow(("a", "x_add", {"image": "$image"}), ("b", "x_add", {"image": "$image", "n": 2}), result="$a")
    assert list(Executor().run(workflow, {"image": small}).outputs) == ["a"]


def test_seeds_repeat_and_differ_by_run_and_by_work_but_not_by_name(small: Image) -> None:
    def noise(name: str, seed: int, source: str = "$image") -> Image:
        workflow = flow(("pre", "x_add", {"image": "$image"}), (name, "x_noise", {"image": source}), result=f"${name}")
        image = Executor().run(workflow, {"image": small}, seed=seed).results[0]
        assert isinstance(image, Image)
        return image

    assert noise("a", 1) == noise("a", 1) == noise("renamed", 1)
    assert noise("a", 1) != noise("a", 2)
    assert noise("a", 1) != noise("a", 1, "$pre")


def test_a_tool_that_is_not_deterministic_is_never_cached_nor_are_its_children(small: Image) -> None:
    executor = Executor()
    workflow = flow(("a", "x_clock", {"image": "$image"}), ("b", "x_add", {"image": "$a"}), result="$b")
    first, second = (executor.run(workflow, {"image": small}).results[0] for _ in range(2))
    assert first != second
    assert calls == ["clock", "add 1", "clock", "add 1"]


def test_cancelling_from_a_listener_stops_the_run_and_stores_nothing(small: Image) -> None:
    cancel = Cancel()
    trace = Trace(lambda event: cancel.cancel() if isinstance(event, StepProgress) else None)
    executor = Executor()
    steps = (
        ("a", "x_wait", {"image": "$image"}),
        ("b", "x_wait", {"image": "$image", "n": 1}),
        ("c", "x_add", {"image": "$a"}),
    )
    run = executor.run(flow(*steps, result=["$c", "$b"]), {"image": small}, trace=trace, cancel=cancel)
    assert isinstance(failure(run), CancelledError)
    assert len(executor.cache) == 0
    assert isinstance(trace.events[-1], RunDone)
    assert trace.events[-1].status == "cancelled"


def test_a_run_cancelled_beforehand_runs_nothing(small: Image) -> None:
    cancel = Cancel()
    cancel.cancel()
    assert isinstance(failure(Executor().run(ADD, {"image": small}, cancel=cancel)), CancelledError)
    assert calls == []


@pytest.mark.parametrize("slow", ["x_wait", "x_deaf"])
@pytest.mark.parametrize("limit", ["timeout", "step_timeout"])
def test_time_outs_end_even_a_step_that_never_looks_up(small: Image, slow: str, limit: str) -> None:
    start = time.monotonic()
    options: dict[str, Any] = {limit: 0.2}
    run = Executor().run(flow(("a", slow, {"image": "$image"}), result="$a"), {"image": small}, **options)
    assert isinstance(failure(run), StepTimeoutError)
    assert time.monotonic() - start < 1.0


def test_after_a_stuck_step_the_executor_still_works(small: Image) -> None:
    executor = Executor(workers=1)
    stuck = flow(("a", "x_deaf", {"image": "$image"}), result="$a")
    assert executor.run(stuck, {"image": small}, timeout=0.1).failure
    assert executor.run(ADD, {"image": small}, timeout=0.9).failure is None


def test_events_tell_the_whole_story(small: Image) -> None:
    trace = Trace()
    Executor().run(ADD, {"image": small}, trace=trace)
    kinds = [type(event) for event in trace.events]
    assert kinds == [StepStarted, StepDone, StepStarted, StepDone, RunDone]
    done = next(trace.of(StepDone))
    assert done.engine == "embedded"
    assert done.reason
    assert done.outputs == {"image": Image(small.pixels + np.uint8(1)).digest}


def test_pixels_outside_the_mask_are_put_back_and_it_is_said(small: Image, disc: Mask) -> None:
    trace = Trace()
    workflow = flow(("a", "x_greedy", {"image": "$image", "mask": "$mask"}), result="$a")
    image = Executor().run(workflow, {"image": small, "mask": disc}, trace=trace).results[0]
    outside = disc.pixels == 0
    assert np.array_equal(image.pixels[outside], small.pixels[outside])
    assert (image.pixels[~outside] == (255, 0, 0)).all()
    assert "put back" in trace.notes[0]


def test_an_empty_mask_leaves_the_picture_as_it_is_and_says_so(small: Image) -> None:
    trace = Trace()
    workflow = flow(("a", "x_greedy", {"image": "$image", "mask": "$mask"}), result="$a")
    empty = Mask(np.zeros((30, 40), np.uint8))
    assert Executor().run(workflow, {"image": small, "mask": empty}, trace=trace).results[0] == small
    assert "mask is empty" in trace.notes[0]


@pytest.mark.parametrize(
    ("name", "args", "code"),
    [
        ("x_shrink", {}, "bad_output"),
        ("x_liar", {}, "bad_output"),
        ("x_greedy", {"mask": "$mask"}, "size_mismatch"),
    ],
)
def test_broken_promises_of_a_tool_are_step_errors(small: Image, name: str, args: dict[str, str], code: str) -> None:
    workflow = flow(("a", name, {"image": "$image", **args}), result="$a")
    run = Executor().run(workflow, {"image": small, "mask": Mask(np.ones((3, 3), np.uint8))})
    assert failure(run).code == code


def test_a_faulty_workflow_runs_nothing(small: Image) -> None:
    with pytest.raises(WorkflowError):
        Executor().run(flow(("a", "x_add", {"image": "$image"}), ("b", "x_none", {}), result="$b"), {"image": small})
    assert calls == []


def chain(length: int) -> Workflow:
    steps = [(f"s{n}", "x_add", {"image": f"$s{n - 1}" if n else "$image", "n": n}) for n in range(length)]
    return flow(*steps, result=f"$s{length - 1}")


def cost(work: Callable[[], object]) -> float:
    """The smallest of three processor times: noise only ever adds."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def test_a_chain_of_three_thousand_steps_runs_without_recursion_and_in_linear_time() -> None:
    tiny = Image(np.zeros((1, 1, 3), np.uint8))
    short, long = chain(300), chain(3000)
    run = Executor().run(long, {"image": tiny})
    assert run.failure is None
    assert len(run.outputs) == 3000
    ratio = cost(lambda: Executor().run(long, {"image": tiny})) / cost(lambda: Executor().run(short, {"image": tiny}))
    assert ratio < 30  # ten times the steps; a quadratic engine would need a hundred times as long


def test_a_shared_cache_serves_other_executors(small: Image) -> None:
    cache = Cache()
    Executor(cache=cache).run(ADD, {"image": small})
    Executor(cache=cache).run(ADD, {"image": small})
    assert calls == ["add 1", "add 5"]


def test_a_broken_listener_ends_the_run_with_its_own_error(small: Image) -> None:
    def listener(event: Event) -> None:
        if isinstance(event, StepDone):
            raise RuntimeError("broken listener")

    with pytest.raises(RuntimeError, match="broken listener"):
        Executor().run(ADD, {"image": small}, trace=Trace(listener))


def test_given_values_can_be_results(small: Image, disc: Mask) -> None:
    run = Executor().run(flow(result=["$mask", "$image"]), {"image": small, "mask": disc})
    assert run.results == (disc, small)


def test_steps_that_were_quick_are_done_where_they_are_asked_for_and_slow_ones_side_by_side() -> None:
    where: list[str] = []
    pause = 0.05

    @tool
    def x_side(image: Image, n: Many = 0) -> Image:
        """Tell the thread."""
        where.append(threading.current_thread().name)
        time.sleep(pause)
        return Image(image.pixels + np.uint8(1))

    def side_by_side(first: int) -> set[str]:
        where.clear()
        steps = tuple(Step(f"s{n}", "x_side", {"image": "$image", "n": first + n}) for n in range(4))
        executor.run(Workflow(steps, tuple(f"$s{n}" for n in range(4))), {"image": start})
        return set(where)

    start, executor = Image(np.zeros((4, 4, 3), np.uint8)), Executor()
    me = threading.current_thread().name
    assert me not in side_by_side(0), "nothing is known of it yet, and then it was slow"
    executor.pace[start.nbytes.bit_length()]["x_side"] = 1e-6
    assert me in side_by_side(10), "it was quick"
    assert me not in side_by_side(20), "it has become slow"


def test_while_a_long_run_lasts_the_collector_looks_at_everything_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lego.executor.run.MANY", 3)
    before = gc.get_threshold()
    during: list[tuple[int, int, int]] = []

    @tool
    def x_look(image: Image) -> Image:
        """Look at the collector."""
        during.append(gc.get_threshold())
        return image

    for count in (2, 3):
        steps = tuple(Step(f"s{n}", "x_look", {"image": f"$s{n - 1}" if n else "$image"}) for n in range(count))
        Executor(cache=Cache(0)).run(Workflow(steps, f"$s{count - 1}"), {"image": Image(np.zeros((2, 2, 3), np.uint8))})
    assert during == [before] * 2 + [(*before[:2], 10 * before[2])] * 3
    assert gc.get_threshold() == before
