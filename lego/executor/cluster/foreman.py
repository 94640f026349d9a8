"""The foreman: one actor of a cluster that knows what is made, who is free, and who died.

It owns what the workers make, so that outputs outlive the program that asked for them, and another one that asks for
the same content gets them. It runs on the head node, without which there is no cluster; if its process dies, Ray
starts it again, with empty hands: then everything is made anew when somebody needs it.

A worker or a node that dies is a fault of the system: the step is done again by another. What a tool raises is the
step's own, and goes back to who asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lego.core.errors import StepError
from lego.executor.cluster.crew import Crew, Member, Trade
from lego.executor.cluster.shelf import Made, Shelf
from lego.executor.cluster.worker import Job, Report, Terms, Worker

TICK = 0.5  # seconds between looks at nodes and crews
STARVED = 3.0  # seconds that a new worker may wait for room before an idle one of another crew makes some
LEFT = 5  # times `idle` without any worker on a node, after which its pixels go, so that it may
LATE = 3.0  # seconds that a step waits before nodes are asked for
GRACE = 3.0  # seconds that a stopped step has to come back before its worker is ended
ATTEMPTS = 4  # workers that may die of a step on nodes that live on, before the step is held to be the cause
NO_WORKER = "lego, and what its tools need, must be installed alike on every node"
EVERYWHERE = 100  # attempts in all


@dataclass(frozen=True)
class Answer:
    """What became of a job: the worker's report, and references to the pixels.

    Attributes:
        node: where they are.
        cached: somebody had made it before.
        faults: workers and nodes that died under it.
    """

    report: Report
    refs: dict[str, Any] = field(default_factory=dict)
    node: str = ""
    cached: bool = False
    faults: list[str] = field(default_factory=list)


@dataclass
class _Ticket:
    task: asyncio.Task[Any] | None
    member: Member | None = None
    stopped: bool = False


class Foreman:
    """Hands out the work of a cluster.

    Args:
        terms: for the workers.
        budget: bytes of outputs that are kept for other runs, for each node.
        most: workers of one crew; 0 for as many as the cluster has processors or accelerators.
        idle: seconds without work after which a worker goes, but for the last one of the tools without networks.
    """

    def __init__(self, terms: Terms, budget: int, most: int, idle: float) -> None:
        self.terms, self.budget, self.most, self.idle = terms, budget, most, idle
        self.shelf = Shelf(budget)
        self.crews: dict[Trade, Crew] = {}
        self.counts: Counter[str] = Counter()
        self.alive: set[str] = set()
        self._tickets: dict[str, _Ticket] = {}
        self._keys: dict[str, tuple[asyncio.Lock, list[str]]] = {}
        self._resources: dict[str, float] = {}
        self._room: list[dict[str, float]] | None = None  # what the cluster was last asked to have room for
        self._staffed: dict[str, float] = {}  # when somebody last worked, or could, on a node
        self._watch: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio alone would let them be collected while they run

    async def look(self, keys: list[str]) -> dict[str, Made]:
        """Return what is made of some keys."""
        await self._begin()
        return {key: made for key in keys if (made := self.shelf.get(key))}

    async def make(self, ticket: str, job: Job, trade: Trade) -> Answer:
        """Give the outputs of a job: made before, being made for somebody else, or made now."""
        await self._begin()
        mine = self._tickets[ticket] = _Ticket(asyncio.current_task())
        lock, users = self._keys.setdefault(job.key, (asyncio.Lock(), []))
        users.append(ticket)
        try:
            async with lock:
                made = self.shelf.get(job.key)
                if made:
                    self.counts["served"] += 1
                    return Answer(Report(facts=made.facts), made.refs, made.node, cached=True)
                mine.task = asyncio.current_task()
                return await self._make(ticket, mine, job, trade)
        except asyncio.CancelledError:
            if not mine.stopped:
                raise
            return Answer(Report(error=_stopped()))
        except StepError as error:
            return Answer(Report(error=error))
        finally:
            del self._tickets[ticket]
            users.remove(ticket)
            if not users:
                self._keys.pop(job.key, None)

    async def hear(self, ticket: str, stop: bool) -> float | None:
        """Say how far a step is, and stop it if asked."""
        mine = self._tickets.get(ticket)
        if mine is None:
            return None
        mine.stopped |= stop
        if mine.member is None:
            if stop and mine.task:
                mine.task.cancel()
            return None
        asked = mine.member.actor.hear.options(concurrency_group="control").remote(ticket, stop)
        if stop:
            asyncio.get_running_loop().call_later(GRACE, self._end_if_deaf, ticket, mine)
        try:
            share: float | None = await asked
        except _faults():
            return None  # whoever waits for the step hears of it
        return share

    async def digest(self, nodes: list[str], refs: list[Any]) -> str:
        """Return the digest of a packed value, by a worker on a node that has it; "" if there is none."""
        there = [member for crew in self.crews.values() for member in crew.members if member.node in nodes]
        if not there:
            return ""
        asked = there[0].actor.digest.options(concurrency_group="control").remote(refs)
        try:
            found: str = await asked
        except _faults():
            return ""
        return found

    async def forget(self, keys: list[str]) -> None:
        """Drop outputs that turned out to be lost, and all others on nodes that are gone."""
        await self._look_round()
        for key in keys:
            self.shelf.forget(key)

    async def clear(self) -> None:
        """Drop all outputs."""
        self.shelf.clear()

    async def measure(self, memory: int, accelerator: int, share: float = 1.0) -> dict[str, int]:
        """Return budgets for networks, as `memory.measured` finds them; on an accelerator's node, if there is one."""
        import ray

        from lego.core.memory import measured

        await self._begin()
        gpus = 0.01 if self._resources.get("GPU") else 0
        return dict(await ray.remote(num_cpus=0, num_gpus=gpus)(measured).remote(memory, accelerator, share))

    async def staff(self, trade: Trade, count: int) -> list[str]:
        """Start workers of a trade before there is work for them; return where they are."""
        await self._begin()
        crew = self._crew(trade)
        members = await asyncio.gather(*(crew.take({}) for _ in range(count)))
        for member in members:
            crew.give_back(member)
        return [member.node for member in members]

    async def state(self) -> dict[str, Any]:
        """Return what there is to know: nodes, crews, outputs, and what happened so far."""
        await self._begin()
        crews = {
            crew.trade.name: {
                "workers": [m.node for m in crew.members if m.node], "starting": sum(not m.node for m in crew.members),
                "busy": sum(m.busy for m in crew.members if m.node), "waiting": crew.waiting, "gpus": crew.trade.gpus,
                **{name: crew.counts[name] for name in ("steps", "moves", "moved_bytes")},
            }
            for crew in self.crews.values()
        }  # fmt: skip
        shelf = {"outputs": len(self.shelf), "bytes": self.shelf.used, "budget": self.shelf.budget}
        return {"nodes": sorted(self.alive), "crews": crews, "shelf": shelf, "counts": dict(self.counts)}

    async def _make(self, ticket: str, mine: _Ticket, job: Job, trade: Trade) -> Answer:
        """Do a job, however many workers die under it."""
        crew, own, avoid = self._crew(trade), 0, ""
        faults: list[str] = []
        while own < ATTEMPTS and len(faults) < EVERYWHERE:
            member = mine.member = await crew.take(job.near, avoid)
            try:
                report, refs = await self._ask(member, ticket, job)
            except _faults() as error:
                self.counts["faults"] += 1
                self._end(crew, member)
                await self._look_round()
                if mine.stopped:
                    return Answer(Report(error=_stopped()))
                own += member.node in self.alive
                avoid = member.node
                faults.append(f"done again: {_why(error, member.node in self.alive)}")
                continue
            finally:
                mine.member = None
            self._settle(crew, member, job, report, refs)
            return Answer(report, refs, member.node, False, faults)
        message = f"{len(faults)} workers died of it, one after another; the last time: {faults[-1]}"
        hint = "the tool may crash its process, or need more memory than a node has"
        return Answer(Report(error=StepError(message, hint=hint, code="worker_died")))

    async def _ask(self, member: Member, ticket: str, job: Job) -> tuple[Report, dict[str, Any]]:
        asked = member.actor.do.options(num_returns=1 + len(job.pictures)).remote(ticket, job)
        if not job.pictures:
            return await asked, {}
        report = await asked[0]
        return report, dict(zip(job.pictures, asked[1:], strict=True)) if report.facts else {}

    def _settle(self, crew: Crew, member: Member, job: Job, report: Report, refs: dict[str, Any]) -> None:
        if member in crew.members:
            crew.give_back(member)
        self.counts["made"] += bool(report.facts)
        if report.facts and job.stored and not report.other:
            self.shelf.put(job.key, Made(report.facts, refs, member.node, report.seconds))

    def _end_if_deaf(self, ticket: str, mine: _Ticket) -> None:
        """A step that was stopped and does not look up goes down with its worker."""
        if self._tickets.get(ticket) is not mine or mine.member is None:
            return
        for crew in self.crews.values():
            if mine.member in crew.members:
                self._end(crew, mine.member)

    def _crew(self, trade: Trade) -> Crew:
        if trade not in self.crews:
            self.crews[trade] = Crew(trade, self._most(trade), self._grow)
        return self.crews[trade]

    def _most(self, trade: Trade) -> int:
        """How many workers of a trade there may be: what is set, else what the cluster has room for."""
        kind = "GPU" if trade.gpus else "CPU"
        return max(1, self.most or int(self._resources.get(kind, 0) / trade.resources[kind]))

    def _grow(self, crew: Crew) -> None:
        """Start as many workers as the queue is worth and the cluster has room for."""
        import ray

        for _ in range(crew.wanted):
            trade = crew.trade
            needs = trade.resources
            made = ray.remote(
                num_cpus=needs.get("CPU", 0), num_gpus=needs.get("GPU", 0), memory=needs.get("memory"),
                concurrency_groups={"control": 2}, max_restarts=0, scheduling_strategy="SPREAD",
            )(Worker)  # fmt: skip
            member = Member(made.remote(self.terms, trade.memory, trade.accelerator))
            crew.members.append(member)
            task = asyncio.ensure_future(self._welcome(crew, member))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _welcome(self, crew: Crew, member: Member) -> None:
        try:
            member.node = await member.actor.node.remote()
        except Exception as error:  # it could not be started: those who wait must not wait for ever
            crew.drop(member)
            crew.stillborn += 1
            if crew.stillborn >= ATTEMPTS:
                crew.stillborn = 0
                crew.refuse(StepError(f"no worker can start: {error}", hint=NO_WORKER, code="no_worker"))
            return
        crew.stillborn = 0
        self.counts["started"] += 1
        crew.give_back(member)

    def _end(self, crew: Crew, member: Member) -> None:
        import ray

        crew.drop(member)
        ray.kill(member.actor)
        self.counts["ended"] += 1
        self._grow(crew)

    async def _begin(self) -> None:
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._live())
            await self._look_round()

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            await self._look_round()
            self._shrink()
            self._leave()
            for crew in self.crews.values():
                self._grow(crew)
            await self._ask_for_room()

    async def _ask_for_room(self) -> None:
        """Tell Ray's autoscaler what the queues are worth: all workers, and one more for each step that is late.

        A worker that waits for room would tell it of one node at a time. Where there is no autoscaler nobody hears it.
        """
        room: list[dict[str, float]] = []
        if any(crew.late(LATE) for crew in self.crews.values()):
            for crew in self.crews.values():
                count = len(crew.members) + crew.late(LATE)
                room += [crew.trade.resources] * min(count, self.most or count)
        if room != self._room:
            from ray.autoscaler.sdk import request_resources

            with contextlib.suppress(Exception):  # the head node is busy: it is asked again at the next look
                await asyncio.to_thread(request_resources, bundles=room)
                self._room = room

    async def _look_round(self) -> None:
        """See which nodes live; what lay or worked on others is gone."""
        import ray

        try:
            nodes = await asyncio.to_thread(ray.nodes)
        except Exception:  # the head node is busy or starts again: what was known holds until the next look
            self.counts["blind"] += 1
            return
        living = [node for node in nodes if node["Alive"]]
        gone = self.alive - {node["NodeID"] for node in living}
        self.alive = {node["NodeID"] for node in living}
        self._resources = dict(sum((Counter(node["Resources"]) for node in living), Counter()))
        self.shelf.budget = self.budget * len(living)
        if gone:
            self.counts["nodes_lost"] += len(gone)
            self.shelf.sweep(self.alive)
        for crew in self.crews.values():
            crew.most = self._most(crew.trade)
            for member in [m for m in crew.members if m.node in gone and not m.busy]:
                self._end(crew, member)  # who is busy there is heard of by who waits for the step

    def _shrink(self) -> None:
        """Let go who has long had nothing to do, and make room for a crew that cannot start."""
        for crew in self.crews.values():
            keep = 0 if crew.trade.gpus or crew.trade.memory else 1
            for member in crew.idle(self.idle)[: max(0, len(crew.members) - keep)]:
                self._end(crew, member)
        now = time.monotonic()
        for crew in self.crews.values():
            starved = [m for m in crew.members if not m.node and now - m.since > STARVED]
            if starved and crew.waiting and not any(m.node for m in crew.members):
                others = [
                    (member.since, other, member) for other in self.crews.values() if other is not crew
                    and bool(other.trade.gpus) == bool(crew.trade.gpus) for member in other.idle()
                ]  # fmt: skip
                if others:
                    _, other, member = min(others, key=lambda found: found[0])
                    self._end(other, member)

    def _leave(self) -> None:
        """Drop what lies where nobody works any more: as long as a node holds pixels, Ray's autoscaler keeps it."""
        now = time.monotonic()
        staffed = {member.node for crew in self.crews.values() for member in crew.members}
        self._staffed = {node: now if node in staffed else self._staffed.get(node, now) for node in self.alive}
        left = {node for node, at in self._staffed.items() if now - at > LEFT * self.idle}
        if left:
            self.shelf.sweep(self.alive - left)


def _faults() -> tuple[type[BaseException], ...]:
    """What Ray raises where a process, a node or the network failed, and not the step."""
    from ray import exceptions

    return (
        exceptions.RayActorError, exceptions.ObjectLostError, exceptions.WorkerCrashedError, exceptions.NodeDiedError,
        exceptions.OutOfMemoryError, exceptions.LocalRayletDiedError, exceptions.RaySystemError,
    )  # fmt: skip


def _why(error: BaseException, node_lives: bool) -> str:
    if type(error).__name__ == "OutOfMemoryError":
        return "its node ran out of memory"
    return "a worker died" if node_lives else "a node died"


def _stopped() -> StepError:
    return StepError("the run was stopped", code="cancelled")
