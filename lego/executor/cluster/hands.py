"""The hands of a cluster, as the executor sees them: steps go to the foreman, references come back."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lego.core.errors import StepError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.registry import Engine
from lego.core.values import Image, Mask
from lego.executor.backends import Again, Order, Threads
from lego.executor.cache import Cache, Outputs
from lego.executor.cluster import joining
from lego.executor.cluster.crew import Trade
from lego.executor.cluster.foreman import Answer
from lego.executor.cluster.freight import wrap
from lego.executor.cluster.parcels import Facts, FarImage, FarMask, Handle, far, handle_of, pack, unpack
from lego.executor.cluster.worker import PATIENCE, Job, Slot, Terms
from lego.executor.ladder import Climbed

POLL = 0.1  # seconds between looks at the cancel token
HEAR = 0.5  # seconds between questions how far a step is
RENEWALS = 20  # times that a step's inputs may be lost and made again
AT_ONCE = 256  # steps of one program that are on their way at once; a thread waits for each
LAID = "laid"  # where a value of this program keeps its handle, so that it is put into the object store once


class Ray(Threads):
    """Steps are done by the workers of a Ray cluster.

    Args:
        address: of the cluster ("auto" finds the one of this machine); "" starts one here, for this program alone.
        terms: what the workers have in common.
        budget: bytes of outputs that are kept for other runs, for each node.
        most: workers of one kind; 0 for as many as there are processors or accelerators.

    Raises:
        SettingsError: ray is not installed, or there is no cluster (when it is first needed).
    """

    inline = False  # who asks has to hear of progress meanwhile

    def __init__(self, address: str, terms: Terms, budget: int, most: int = 0) -> None:
        super().__init__(AT_ONCE)
        self.address = address
        self._asked = (terms, budget, most)
        self._foreman: Any = None
        self._connecting = threading.Lock()
        self.cache = Shared(self)

    @property
    def foreman(self) -> Any:
        """The foreman's actor; the cluster is joined, or started, when it is first asked for."""
        with self._connecting:
            if self._foreman is None:
                joining.join(self.address)
                self._foreman = joining.hire(*self._asked)
            return self._foreman

    def measure(self, memory: int, accelerator: int, share: float = 1.0) -> Mapping[str, int]:
        """Return budgets for networks, as they are on a node with an accelerator if there is one."""
        return dict(self.ask("measure", memory, accelerator, share))

    def state(self) -> dict[str, Any]:
        """Return nodes, crews, outputs and counts."""
        return dict(self.ask("state"))

    def ready(self) -> None:
        """Join the cluster, and wait for its first worker."""
        self.ask("staff", Trade("cpu"), 1)

    def describe(self) -> str:
        """Say where the cluster is, and who works there; it is joined for that."""
        state = self.state()
        crews = [f"{len(crew['workers'])} for {name}" for name, crew in state["crews"].items()]
        where = self.address or "started on this machine for this program"
        workers = f"workers: {', '.join(crews)}" if crews else "workers start when there is work"
        return f"a cluster of {len(state['nodes'])} nodes ({where}); {workers}"

    def make(self, order: Order, pool: Pool | None, stop: Callable[[], None]) -> Climbed:
        """Do a step on the cluster; its pictures stay there until they are looked at."""
        handles: list[Handle] = []
        args = {name: self._laid(value, handles) for name, value in order.args.items()}
        job = self._job(order, args)
        trade = trade_of(order.engine, pool)
        for _ in range(RENEWALS):
            job = replace(job, refs=[handle.ref for handle in handles], near=_near(handles))
            answer = self._done(job, trade, order.context.progress, stop)
            if not answer.report.lost:
                break
            for index in answer.report.lost:
                self._renew(handles[index], job.refs[index])
        report = answer.report
        if report.error:
            raise report.error
        if report.lost:
            raise _lost(order.bound.step.id, "its inputs were lost again and again")
        for handle in handles:
            handle.nodes.add(answer.node)
        outputs = self.outputs(order.key, report.facts, answer.refs, answer.node)
        if not job.stored or report.other:  # made again they would be others
            outputs = {name: handle_of(v).value if name in answer.refs else v for name, v in outputs.items()}
        return Climbed(outputs, [*answer.faults, *report.reasons], report.other, answer.cached)

    def adopt(self, step: str, outputs: Outputs, again: Again) -> None:
        """Remember how outputs are made again, should the nodes that hold them die."""
        for name, value in outputs.items():
            if isinstance(value, FarImage | FarMask):
                handle_of(value).again = lambda name=name: again(step, name)[name]

    def outputs(self, key: str, facts: Mapping[str, Facts], refs: Mapping[str, Any], node: str) -> Outputs:
        """Return outputs as values whose pixels are elsewhere."""
        made = {}
        for name, fact in facts.items():
            if fact.kind == "plain":
                made[name] = fact.value
                continue
            handle = Handle(fact, refs[name], node, key, self._bring)
            handle.hash = self._hash
            made[name] = far(handle)
        return made

    def ask(self, method: str, *args: Any, patience: float = PATIENCE) -> Any:
        """Ask the foreman; should it die, ask the next one."""
        import ray

        end = time.monotonic() + patience
        while True:
            try:
                return ray.get(getattr(self.foreman, method).remote(*args), timeout=patience)
            except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
                if time.monotonic() > end:
                    raise joining.gone(self.address) from None
                time.sleep(POLL)

    def _job(self, order: Order, args: Mapping[str, Any]) -> Job:
        bound, context = order.bound, order.context
        pictures = tuple(output.name for output in bound.tool.outputs if output.kind in ("image", "mask"))
        return Job(
            order.key, bound.step.id, wrap(bound.tool, order.engine), order.engine.name, args, [], pictures,
            context.seed, context.device, context.tile, {}, bound.tool.deterministic,
        )  # fmt: skip

    def _done(self, job: Job, trade: Trade, progress: Callable[[float], None], stop: Callable[[], None]) -> Answer:
        """Send a job, and wait: hearing how far it is, and whether it should stop."""
        import ray

        end = time.monotonic() + PATIENCE
        while True:
            ticket = uuid.uuid4().hex
            asked = self.foreman.make.remote(ticket, job, trade)
            try:
                return self._waited(asked, ticket, progress, stop)
            except ray.exceptions.RayActorError:  # the foreman died; Ray starts it again
                if time.monotonic() > end:
                    raise joining.gone(self.address) from None
                time.sleep(POLL)
            except BaseException:
                self.foreman.hear.remote(ticket, True)
                raise

    def _waited(self, asked: Any, ticket: str, progress: Callable[[float], None], stop: Callable[[], None]) -> Answer:
        import ray

        heard = time.monotonic()
        while True:
            try:
                answer: Answer = ray.get(asked, timeout=POLL)
                return answer
            except ray.exceptions.GetTimeoutError:
                stop()
            if time.monotonic() - heard > HEAR:
                share = ray.get(self.foreman.hear.remote(ticket, False), timeout=PATIENCE)
                heard = time.monotonic()
                if share:
                    progress(share)

    def _laid(self, value: Any, handles: list[Handle]) -> Any:
        """A value as it travels: a picture is a slot, and its handle."""
        if isinstance(value, list):
            return [self._laid(item, handles) for item in value]
        if not isinstance(value, Image | Mask):
            return value
        handles.append(handle_of(value) if isinstance(value, FarImage | FarMask) else self._root(value))
        return Slot(len(handles) - 1)

    def _root(self, value: Image | Mask) -> Handle:
        """The handle of a value of this program, which is laid into the object store once."""
        import ray

        kept: tuple[Ray, Handle] | None = value.__dict__.get(LAID)
        if kept and kept[0] is self:
            return kept[1]
        _ = self.foreman
        node = str(ray.get_runtime_context().get_node_id())
        handle = Handle(Facts.of(value), ray.put(pack(value)), node, "", self._bring)
        value.__dict__[LAID] = (self, handle)
        return handle

    def _bring(self, handle: Handle) -> Image | Mask:
        import ray

        for _ in range(RENEWALS):
            ref = handle.ref
            try:
                return unpack(ray.get(ref, timeout=PATIENCE))
            except (ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
                self._renew(handle, ref)
        raise _lost(handle.key, "it was lost again and again")

    def _hash(self, handle: Handle) -> str:
        """The digest of a value, computed where it is; "" if nobody is there."""
        return str(self.ask("digest", sorted(handle.nodes), [handle.ref]))

    def _renew(self, handle: Handle, lost: Any) -> None:
        """Make a value anew, of which no node has a copy any more."""
        with handle.lock:
            if handle.ref is not lost:
                return  # somebody else did
            if handle.again is None:
                raise _lost(handle.key, "the nodes that held it died")
            self.ask("forget", [handle.key])
            value = handle.again()
            if handle.facts.digest and value.digest != handle.facts.digest:
                raise _lost(handle.key, "the nodes that held it died, and made again it is another one")
            new = handle_of(value) if isinstance(value, FarImage | FarMask) else self._root(value)
            handle.ref, handle.nodes = new.ref, new.nodes


class Shared(Cache):
    """The outputs that the cluster holds: those of every program that works with it.

    Nothing is kept here. Of those in this program who want the same, one asks; of the programs that do, one is served.
    """

    def __init__(self, hands: Ray) -> None:
        super().__init__(0)
        self.hands = hands
        self._found = threading.local()

    def look(self, keys: list[str]) -> None:
        """Ask for all keys of a run at once; `get` gives what was found, in the same thread."""
        found = self.hands.ask("look", keys)
        self._found.by_key = {
            key: self.hands.outputs(key, made.facts, made.refs, made.node) for key, made in found.items()
        }

    def get(self, key: str) -> Outputs | None:
        """Return what the last look found under a key."""
        outputs: Outputs | None = getattr(self._found, "by_key", {}).pop(key, None)
        return outputs

    def put(self, key: str, outputs: Outputs, seconds: float) -> None:
        """The foreman has stored it already."""

    def __contains__(self, key: str) -> bool:
        return bool(self.hands.ask("look", [key]))

    def __len__(self) -> int:
        return int(self.hands.state()["shelf"]["outputs"])

    @property
    def used(self) -> int:
        """Bytes that the cluster holds."""
        return int(self.hands.state()["shelf"]["bytes"])

    def clear(self) -> None:
        """Forget everything, for everybody."""
        self.hands.ask("clear")


def trade_of(engine: Engine, pool: Pool | None) -> Trade:
    """Return what a worker needs for an engine: nothing but a processor, or room for its networks.

    The share of an accelerator is that of its budget which weights and one call take, in hundredths.
    """
    networks = engine.held(pool)
    if pool is None or not networks:
        return Trade("cpu")
    needs: Counter[str] = Counter()
    for network in networks.values():
        place = pool.place(network)
        needs[place.home] += network.room(place.precision)
        needs[place.device] += place.working(network)
    name = "+".join(sorted({network.name for network in networks.values()}))
    memory = needs.pop(CPU, 0)
    if not needs:
        return Trade(name, 0.0, 0, memory)
    device, size = needs.most_common(1)[0]
    share = min(1.0, math.ceil(100 * size / pool.budgets[device]) / 100)
    return Trade(name, share, round(share * pool.budgets[device]), memory)


def _near(handles: list[Handle]) -> dict[str, int]:
    near: Counter[str] = Counter()
    for handle in handles:
        for node in handle.nodes:
            near[node] += handle.facts.nbytes
    return dict(near)


def _lost(what: str, why: str) -> StepError:
    return StepError(f"a result is lost: {why}", where=what, hint="run it again", code="lost")
