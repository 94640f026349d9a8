"""The executor over a real Ray cluster of several nodes on this machine: one cluster for all of these tests."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

pytest.importorskip("ray", reason="the backend 'ray' needs ray: pip install 'lego[ray]'")

from benchmarks import faults
from benchmarks.faults import Nodes
from lego.builder.prompt import Json
from lego.core.errors import CancelledError, SettingsError, StepError, StepTimeoutError
from lego.core.models import Pool
from lego.core.networks import Network
from lego.core.registry import registry, tool
from lego.core.settings import Settings
from lego.core.signature import Context
from lego.core.steps import Step
from lego.core.trace import StepDone, StepProgress, StepStarted, Trace
from lego.core.values import Image
from lego.core.workflow import Workflow
from lego.editor import Editor
from lego.executor.cluster import foreman as foremen
from lego.executor.cluster import joining
from lego.executor.cluster.crew import Member, Trade
from lego.executor.cluster.hands import Ray, trade_of
from lego.executor.cluster.parcels import FarImage, handle_of
from lego.executor.cluster.shelf import Made
from lego.executor.cluster.worker import Terms
from lego.executor.run import Cancel, Executor, Run
from lego.rl.env import Environment
from lego.server.app import create
from lego.server.options import Options

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("forgetful"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]
Many = Annotated[int, Field(ge=0, le=10**9)]


def load(folder: Path, device: str, precision: str) -> Any:
    """A network that says who it is."""
    return object()


TOY = Network("toy", load, {"float32": 40 << 20}, working=4 << 20)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    made = Nodes(2)
    joining.join(made.address)
    yield made
    made.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / TOY.name).mkdir()
    return folder


@pytest.fixture(scope="module")
def hands(nodes: Nodes, models: Path) -> Ray:
    return Ray(nodes.address, Terms(models), 1 << 30)


@pytest.fixture
def far(hands: Ray) -> Executor:
    return Executor(backend=hands)


@pytest.fixture(autouse=True)
def toys(forgetful: None) -> None:
    """Tools that are easy to watch; they are no part of lego, so they travel by value."""

    @tool
    def x_add(image: Image, n: Many = 1) -> Image:
        """Add to every channel."""
        return Image((image.pixels.astype(int) + n).astype(np.uint8))

    @tool
    def x_where(image: Image, n: Many = 0) -> str:
        """Say which process did it, and whether the pixels are shared memory."""
        return f"{os.getpid()} {image.pixels.flags.writeable} {'digest' in image.__dict__}"

    @tool
    def x_fail(image: Image, path: str) -> Image:
        """Fail, and leave a line in a file each time."""
        with Path(path).open("a") as file:
            file.write("once\n")
        raise ValueError("no good")

    @tool
    def x_die(image: Image, path: str, times: Many) -> Image:
        """End the whole process, so many times."""
        with Path(path).open("a") as file:
            file.write("once\n")
        if len(Path(path).read_text().splitlines()) <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        return Image(255 - image.pixels)

    @tool
    def x_slow(image: Image, path: str, n: Many, *, context: Context) -> Image:
        """Take n hundredths of a second, and leave a line in a file at the end."""
        for step in range(n):
            context.progress(step / n)
            time.sleep(0.01)
        with Path(path).open("a") as file:
            file.write("done\n")
        return Image(image.pixels + 1)

    @tool
    def x_net(image: Image, *, net: Annotated[Any, TOY]) -> str:
        """Say which process holds the network, and which object it is."""
        return f"{os.getpid()} {id(net)}"

    @tool
    def x_deaf(image: Image, n: Many) -> Image:
        """Sleep without looking up."""
        time.sleep(600)
        return image


def flow(*steps: tuple[str, str, dict[str, Any]], result: Any) -> Workflow:
    return Workflow(tuple(Step(*step) for step in steps), result)


def chain(length: int, first: int = 1) -> Workflow:
    steps = [(f"s{n}", "x_add", {"image": f"$s{n - 1}" if n else "$image", "n": n + first}) for n in range(length)]
    return flow(*steps, result=f"$s{length - 1}")


def picture(seed: int, side: int = 400) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def failure(run: Run) -> StepError:
    assert run.failure is not None
    return run.failure


def crew(hands: Ray, name: str = "cpu") -> dict[str, Any]:
    return dict(hands.state()["crews"][name])


def test_a_chain_gives_the_bytes_and_events_of_threads_and_stays_on_one_node(far: Executor, hands: Ray) -> None:
    image, here, there = picture(1), Trace(), Trace()
    near = Executor().run(chain(5), {"image": image}, trace=here)
    before = crew(hands)["moves"] if "cpu" in hands.state()["crews"] else 0
    run = far.run(chain(5), {"image": image}, trace=there)
    assert run.results[0].digest == near.results[0].digest
    assert np.array_equal(run.results[0].pixels, near.results[0].pixels)
    assert [type(event) for event in there.events] == [type(event) for event in here.events]
    assert [event.outputs for event in there.of(StepDone)] == [event.outputs for event in here.of(StepDone)]
    assert crew(hands)["moves"] - before <= 1, "from where it was opened to the first step's node, and no further"


def test_pixels_arrive_locked_and_are_not_hashed_again(far: Executor) -> None:
    run = far.run(flow(("a", "x_where", {"image": "$image"}), result="$a.text"), {"image": picture(2)})
    pid, writeable, hashed = run.results[0].split()
    assert int(pid) != os.getpid()
    assert (writeable, hashed) == ("False", "True")


def test_only_what_is_looked_at_comes_here(far: Executor) -> None:
    run = far.run(chain(3, 50), {"image": picture(3)})
    values = [run.outputs[f"s{n}"]["image"] for n in range(3)]
    assert all(isinstance(value, FarImage) and value.size == (400, 400) for value in values)
    assert all(not handle_of(value).here for value in values)
    assert run.results[0].pixels.shape == (400, 400, 3)
    assert [not handle_of(value).here for value in values] == [True, True, False]


def test_another_program_s_executor_finds_what_was_made(far: Executor, nodes: Nodes, tmp_path: Path) -> None:
    image = picture(4)
    first = far.run(chain(3, 100), {"image": image})
    other = Executor(backend=Ray(nodes.address, Terms(tmp_path), 1 << 30))
    trace = Trace()
    second = other.run(chain(3, 100), {"image": Image(np.array(image.pixels))}, trace=trace)
    assert [event.cached for event in trace.of(StepDone)] == [True] * 3
    assert second.results[0].digest == first.results[0].digest


def test_two_runs_that_want_the_same_at_once_make_it_once(far: Executor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    slow = flow(("a", "x_slow", {"image": "$image", "path": str(log), "n": 50}), result="$a")
    image, found = picture(5), []
    threads = [threading.Thread(target=lambda: found.append(far.run(slow, {"image": image}))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run.results[0].digest for run in found}) == 1
    assert log.read_text().splitlines() == ["done"]


def test_progress_is_heard_and_a_cancelled_step_stops(far: Executor, tmp_path: Path) -> None:
    cancel, log = Cancel(), tmp_path / "log"
    heard: list[Any] = []

    def hear(event: Any) -> None:
        heard.append(event)
        if isinstance(event, StepProgress):
            cancel.cancel()

    slow = flow(("a", "x_slow", {"image": "$image", "path": str(log), "n": 3000}), result="$a")
    start = time.monotonic()
    run = far.run(slow, {"image": picture(6)}, trace=Trace(hear), cancel=cancel)
    assert isinstance(failure(run), CancelledError)
    assert time.monotonic() - start < 15
    assert [type(event) for event in heard[:2]] == [StepStarted, StepProgress]
    time.sleep(0.5)
    assert not log.exists()


def test_a_deaf_step_ends_with_its_worker_when_its_time_is_up(
    far: Executor, hands: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hands.state()["counts"].get("ended", 0)
    run = far.run(
        flow(("a", "x_deaf", {"image": "$image", "n": 1}), result="$a"), {"image": picture(7)}, step_timeout=1.0
    )
    assert isinstance(failure(run), StepTimeoutError)
    end = time.monotonic() + foremen.GRACE + 5
    while hands.state()["counts"].get("ended", 0) == before and time.monotonic() < end:
        time.sleep(0.1)
    assert hands.state()["counts"]["ended"] > before
    assert far.run(chain(1, 7), {"image": picture(7)}).failure is None


def test_a_tool_s_own_error_is_not_tried_again_and_reads_as_with_threads(far: Executor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    faulty = flow(("a", "x_fail", {"image": "$image", "path": str(log)}), result="$a")
    run, near = (executor.run(faulty, {"image": picture(8)}) for executor in (far, Executor()))
    assert str(failure(run)) == str(failure(near)) == "a (x_fail): ValueError: no good"
    assert failure(run).hint == failure(near).hint
    assert len(log.read_text().splitlines()) == 2, "once here, once there"


def test_a_worker_that_dies_is_replaced_and_the_step_done_again(far: Executor, tmp_path: Path) -> None:
    trace = Trace()
    deadly = flow(("a", "x_die", {"image": "$image", "path": str(tmp_path / "log"), "times": 1}), result="$a")
    run = far.run(deadly, {"image": picture(9)}, trace=trace)
    assert np.array_equal(run.results[0].pixels, 255 - picture(9).pixels)
    assert len(list(trace.of(StepDone))) == 1
    assert "done again: a worker died" in next(trace.of(StepDone)).reason


def test_a_step_that_kills_every_worker_is_an_error_and_not_tried_for_ever(far: Executor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    deadly = flow(("a", "x_die", {"image": "$image", "path": str(log), "times": 99}), result="$a")
    assert failure(far.run(deadly, {"image": picture(10)})).code == "worker_died"
    assert len(log.read_text().splitlines()) == foremen.ATTEMPTS


def test_what_a_dead_node_held_is_made_again_when_it_is_looked_at(far: Executor, nodes: Nodes) -> None:
    image = picture(11, 600)
    run = far.run(chain(4, 200), {"image": image})
    value = run.results[0]
    nodes.kill(next(iter(handle_of(value).nodes)))
    nodes.add()
    expected = Executor().run(chain(4, 200), {"image": image})
    assert np.array_equal(value.pixels, expected.results[0].pixels)
    for name, outputs in expected.outputs.items():
        assert np.array_equal(run.outputs[name]["image"].pixels, outputs["image"].pixels)


def test_a_run_goes_on_when_the_node_of_its_inputs_dies_between_steps(far: Executor, nodes: Nodes) -> None:
    image = picture(12, 600)
    half = far.run(chain(2, 300), {"image": image})
    dead = next(iter(handle_of(half.results[0]).nodes))

    def kill(event: Any) -> None:
        if isinstance(event, StepDone) and event.step == "s1" and any(n.node_id == dead for n in nodes.working):
            nodes.kill(dead)
            nodes.add()

    trace = Trace(kill)
    run = far.run(chain(4, 300), {"image": image}, trace=trace)
    assert run.failure is None
    assert run.results[0].digest == Executor().run(chain(4, 300), {"image": image}).results[0].digest
    assert [event.step for event in trace.of(StepDone)] == ["s0", "s1", "s2", "s3"], "each once"


def test_if_the_foreman_dies_another_takes_over(far: Executor, hands: Ray) -> None:
    import ray

    image = picture(13)
    run = far.run(chain(3, 400), {"image": image})
    ray.kill(hands.foreman, no_restart=False)
    again = far.run(chain(4, 400), {"image": image})
    near = Executor().run(chain(4, 400), {"image": image})
    assert again.results[0].digest == near.results[0].digest
    assert np.array_equal(run.results[0].pixels, near.outputs["s2"]["image"].pixels)


def test_a_network_is_held_by_a_worker_of_its_own(hands: Ray, models: Path) -> None:
    x_net = registry["x_net"]
    pool = Pool(lambda name: models / name, {"cpu": 1 << 30})
    assert trade_of(next(iter(x_net.engines.values())), pool) == Trade("toy", 0.0, 0, TOY.room("float32") + TOY.working)
    far = Executor(backend=hands, pool=pool)
    first, second = (
        far.run(flow(("a", "x_net", {"image": "$image"}), result="$a.text"), {"image": picture(seed)}).results[0]
        for seed in (14, 15)
    )
    assert first == second, "the same process, with the same network, loaded once"
    assert int(first.split()[0]) != os.getpid()
    assert len(crew(hands, "toy")["workers"]) == 1


def test_a_network_on_an_accelerator_gets_the_share_that_it_needs(hands: Ray, nodes: Nodes, models: Path) -> None:
    """The node's accelerators are made up: Ray books them, and nothing runs on them."""
    import ray

    nodes.add(num_gpus=2)
    pool = Pool(lambda name: models / name, {"cpu": 1 << 30, "cuda:0": 100 << 20})
    trade = trade_of(next(iter(registry["x_net"].engines.values())), pool)
    assert trade.accelerator >= TOY.room("float32") + TOY.working
    assert trade.gpus == pytest.approx(trade.accelerator / (100 << 20), abs=0.01)
    assert ray.get(hands.foreman.staff.remote(trade, 3)) == [nodes.working[-1].node_id] * 3
    assert ray.available_resources().get("GPU", 0.0) == pytest.approx(2 - 3 * trade.gpus)


def test_tools_of_a_user_s_file_reach_the_workers_with_what_they_use(far: Executor, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\nimport lego\nfrom lego import Image\n\nBY = 3\n\n\n"
        "def moved(pixels):\n    return np.roll(pixels, BY, 1)\n\n\n"
        '@lego.tool\ndef x_roll(image: Image) -> Image:\n    """Roll."""\n    return Image(moved(image.pixels))\n'
    )
    registry.load(file)
    run = far.run(flow(("a", "x_roll", {"image": "$image"}), result="$a"), {"image": picture(16)})
    assert np.array_equal(run.results[0].pixels, np.roll(picture(16).pixels, 3, 1))


def test_a_tool_that_holds_what_cannot_travel_says_so(far: Executor) -> None:
    lock = threading.Lock()

    @tool
    def x_locked(image: Image) -> Image:
        """Hold a lock."""
        with lock:
            return image

    run = far.run(flow(("a", "x_locked", {"image": "$image"}), result="$a"), {"image": picture(17)})
    assert failure(run).code == "cannot_travel"


def test_rewards_are_the_same_on_a_cluster(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.rl.test_env import STAGE, one, task

    monkeypatch.setenv("LEGO_RAY_ADDRESS", nodes.address)
    image = picture(18)
    wanted = task(image, one("exposure", exposure=1.0))
    plans = [one("exposure", exposure=1.0), one("exposure", exposure=2.0), one("flip", direction="horizontal")]
    texts = [Json().write(plan, wanted.request) for plan in plans]
    patient = STAGE.model_copy(update={"picture_timeout": 120.0})
    far, near = (Environment(Json(), registry, patient, backend=name) for name in ("ray", "threads"))
    assert [judged.total for judged in far.judge([wanted] * 3, texts)] == [
        judged.total for judged in near.judge([wanted] * 3, texts)
    ]


def test_a_server_s_job_is_done_on_a_cluster_with_all_its_events(nodes: Nodes, tmp_path: Path, photos: Path) -> None:
    from fastapi.testclient import TestClient

    settings = replace(Settings.load({"builder": "rules"}), backend="ray", ray_address=nodes.address, metadata=False)
    options = Options(tmp_path, studio=False, hosts=("testserver",))
    with TestClient(create(options, {"rules": Editor("rules", settings=settings)})) as client:
        asked = {"prompt": "make it black and white", "response_format": "b64_json"}
        photo = (photos / "coffee.png").read_bytes()
        answer = client.post("/v1/images/edits", data=asked, files={"image": ("a.png", photo, "image/png")})
    assert answer.status_code == 200, answer.text
    made = Image.open(base64.b64decode(answer.json()["data"][0]["b64_json"]))
    assert made == Editor("rules").edit(photos / "coffee.png", "make it black and white").image


def test_edits_of_photographs_while_parts_of_the_cluster_are_killed(nodes: Nodes) -> None:
    """The short form of benchmarks/faults.py: rounds of edits until three kills were among them."""
    kills = 0
    for seed in range(20):
        log = faults.run(faults.edits(12, seed), nodes, 4, seed, lambda text: None)
        assert (log.submitted, log.delivered) == (12, 12)
        assert (log.lost, log.doubled, log.wrong) == ([], [], [])
        kills += sum(log.kills.values())
        if kills >= 3:
            return
    pytest.fail(f"only {kills} kills in 240 edits")


def test_an_address_of_ray_s_client_is_refused_and_so_is_one_where_nothing_answers() -> None:
    with pytest.raises(SettingsError, match="memory of a node") as caught:
        joining.join("ray://somewhere:10001")
    assert "auto" in caught.value.hint


def test_a_head_node_that_does_not_answer_for_a_while_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foremen, "TICK", 0.01)
    looks = 0

    def nodes() -> list[dict[str, Any]]:
        nonlocal looks
        looks += 1
        if looks in (2, 3):
            raise RuntimeError("the head node is busy")
        return [{"Alive": True, "NodeID": name, "Resources": {"CPU": 1}} for name in "ab"[: 1 + (looks > 3)]]

    async def work() -> dict[str, Any]:
        foreman = foremen.Foreman(Terms(Path()), 1000, 0, 60)
        assert (await foreman.state())["nodes"] == ["a"]
        while looks < 5:
            await asyncio.sleep(0.01)
        return await foreman.state()

    monkeypatch.setattr("ray.nodes", nodes)
    state = asyncio.run(work())
    assert (state["nodes"], state["shelf"]["budget"], state["counts"]["blind"]) == (["a", "b"], 2000, 2)


def test_nodes_are_asked_for_when_steps_wait_long_and_let_go_when_nobody_works_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foremen, "TICK", 0.01)
    monkeypatch.setattr(foremen, "LATE", 0.05)
    monkeypatch.setattr(foremen.Foreman, "_grow", lambda self, crew: None)
    nodes = [{"Alive": True, "NodeID": name, "Resources": {"CPU": 1}} for name in "ab"]
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    asked: list[list[dict[str, float]]] = []
    monkeypatch.setattr("ray.autoscaler.sdk.request_resources", lambda bundles: asked.append(bundles))

    async def work() -> None:
        foreman = foremen.Foreman(Terms(Path()), 10_000, 3, 0.02)
        await foreman.state()
        crew = foreman._crew(Trade("cpu"))
        crew.members = [Member(None, "a")]
        for name in "ab":
            foreman.shelf.put(name, Made({}, {}, name, 1.0))
        waiting = [asyncio.ensure_future(crew.take({})) for _ in range(9)]
        while len(asked) < 2:
            await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        while len(asked) < 3 or foreman.shelf.get("b"):
            await asyncio.sleep(0.01)
        assert foreman.shelf.get("a"), "somebody is there, if only to wait"

    asyncio.run(asyncio.wait_for(work(), 20))
    assert asked == [[], [{"CPU": 1}] * 3, []], "what the crew may have, and nothing once nobody waits"
