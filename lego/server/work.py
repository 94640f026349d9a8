"""The workers: threads that take jobs one after another, run them, and tell who watches."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lego.core import codec
from lego.core.errors import CancelledError, ImageError, LegoError, PlanError
from lego.core.steps import Step
from lego.core.trace import Event, StepDone, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.editor import Cancel, Editor, EditResult
from lego.server import errors
from lego.server.asked import Asked
from lego.server.metrics import Metrics
from lego.server.options import Options
from lego.server.store import Job, Store

BEAT = 3.0  # seconds between signs of life
EXPIRE = 300.0  # seconds between looks for what is too old
IDLE = 0.5  # seconds between looks for jobs of which nobody here was told
QUICK = 1  # zlib's level for pictures of steps
LOG = logging.getLogger("lego.server")


class Work:
    """The workers of a server.

    Args:
        store: where jobs come from and go to.
        editors: by the names of their builders.
        options: how many work at once, and how long results are kept.
        metrics: told what was done.
    """

    def __init__(self, store: Store, editors: Mapping[str, Editor], options: Options, metrics: Metrics) -> None:
        self.store, self.editors, self.options, self.metrics = store, editors, options, metrics
        self._threads: list[threading.Thread] = []
        self._cancels: dict[str, Cancel] = {}
        self._watchers: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._news = threading.Condition()
        self._stopping = False
        self._stopped = threading.Event()  # the beat waits on its own: else it might hear of a job in a worker's place

    @property
    def running(self) -> int:
        """How many jobs run here now."""
        return len(self._cancels)

    def start(self) -> None:
        """Begin to work."""
        self.store.beat()
        jobs = [(f"lego-worker-{number}", self._loop) for number in range(self.options.workers)]
        for name, run in [*jobs, ("lego-beat", self._live)]:
            self._threads.append(threading.Thread(target=run, name=name, daemon=True))
            self._threads[-1].start()

    def stop(self, patience: float = 10.0) -> None:
        """Stop; what runs is broken off and waits again, for the next start."""
        with self._news:
            self._stopping = True
            for cancel in self._cancels.values():
                cancel.cancel()
            self._news.notify_all()
        self._stopped.set()
        for thread in self._threads:
            thread.join(patience)

    def wake(self) -> None:
        """Say that there may be a job."""
        with self._news:
            self._news.notify()

    def cancel(self, job: Job) -> bool:
        """Stop a job that waits, or that runs here; False if it is over or runs on another server."""
        if self.store.cancel(job.id):
            self._tell_watchers(job.id)
            return True
        running = self._cancels.get(job.id)
        if running is not None:
            running.cancel()
        return running is not None

    @contextlib.contextmanager
    def watched(self, name: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever there is news of a job, for the length of a ``with`` block."""
        mine = (asyncio.get_running_loop(), asyncio.Event())
        self._watchers.setdefault(name, []).append(mine)
        try:
            yield mine[1]
        finally:
            self._watchers[name].remove(mine)
            if not self._watchers[name]:
                del self._watchers[name]

    def _tell_watchers(self, name: str) -> None:
        for loop, event in list(self._watchers.get(name, ())):
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server is going down
                loop.call_soon_threadsafe(event.set)

    def _loop(self) -> None:
        while not self._stopping:
            try:
                job = self.store.take()
            except Exception:
                LOG.exception("the database does not answer")
                job = None
                time.sleep(1)
            if job is None:
                with self._news:
                    if not self._stopping:
                        self._news.wait(IDLE)
            else:
                self._do(job)

    def _live(self) -> None:
        last = 0.0
        while not self._stopping:
            try:
                self.store.beat()
                if time.monotonic() > last + EXPIRE:
                    self.store.expire(self.options.keep_hours)
                    last = time.monotonic()
            except Exception:
                LOG.exception("the database does not answer")
            self._stopped.wait(BEAT)

    def _do(self, job: Job) -> None:
        """Run a job to its end, whatever it is; nothing that it raises ends the worker."""
        cancel = self._cancels[job.id] = Cancel()
        start = time.monotonic()
        state = "failed"
        try:
            asked = Asked.model_validate(job.asked)
            made, digests = _Doing(self, job, asked, cancel).done()
            state = "completed"
            self.store.finish(job.id, "completed", made, None, digests)
        except CancelledError as error:
            if self._stopping:
                state = "pending"
                self.store.put_back(job.id)
            else:
                state = "canceled"
                self.store.finish(job.id, "canceled", None, _told(error))
        except LegoError as error:
            self.store.finish(job.id, "failed", None, _told(error))
        except Exception:
            LOG.exception("job %s failed by a fault of the server", job.id)
            self.store.finish(job.id, "failed", None, _told(LegoError("the server has a fault; it is in its log")))
        finally:
            del self._cancels[job.id]
            self.metrics.job(str(job.asked.get("kind", "")), state, time.monotonic() - start)
            self._tell_watchers(job.id)

    def tell(self, job: Job, event: Event, digests: Mapping[str, str]) -> None:
        """Write an event of a job down, with the pictures of a step, and say so to who watches."""
        data = event.dump() | ({"pictures": dict(digests)} if digests else {})
        self.store.tell(job.id, data, list(digests.values()))
        self.metrics.event(event)
        self._tell_watchers(job.id)


def _told(error: LegoError) -> dict[str, Any]:
    web = errors.of(error)
    return {"status": web.status, **web.body()}


class _Doing:
    """One job while it runs."""

    def __init__(self, work: Work, job: Job, asked: Asked, cancel: Cancel) -> None:
        self.work, self.job, self.asked, self.cancel = work, job, asked, cancel
        if asked.builder not in work.editors:
            hint = f"ask again with one of {', '.join(work.editors)}"
            raise PlanError(f"the builder '{asked.builder}' is not here any more", hint=hint, code="model_not_found")
        self.editor = work.editors[asked.builder].twin(on_event=self._hear)
        self.shown = asked.steps or asked.partials > 0
        self.trace = Trace()
        self.limit = round(work.options.max_megapixels * 1e6)

    def done(self) -> tuple[dict[str, Any], list[str]]:
        """Do it; return what came out as data, and the names of the pictures that were kept."""
        store, asked = self.work.store, self.asked
        pictures = [Image.open(store.bytes_of(name), self.limit) for name in asked.images]
        mask = _mask(store.bytes_of(asked.mask), asked.clear, self.limit) if asked.mask else None
        given = {"mask": mask, "references": pictures[1:]}
        start = time.monotonic()
        thought, flow = "", asked.workflow
        if asked.kind == "edit" and asked.rounds:
            return self._rounds(pictures[0], given)
        if asked.kind != "run":
            plan = self.editor.plan(pictures[0], asked.instruction, **given)  # type: ignore[arg-type]  # by its keys
            thought, flow = plan.thought, plan.workflow.dump()
        planned = time.monotonic()
        made: dict[str, Any] = {"workflow": flow, "thought": thought, "builder": asked.builder}
        if asked.kind == "plan":
            return made | {"timings": {"plan": round(planned - start, 4)}}, []
        workflow = self._sized(Workflow.load(flow or {}))
        results = [
            self.editor.run(workflow, pictures[0], seed=seed, cancel=self.cancel, **given)  # type: ignore[arg-type]
            for seed in self._seeds
        ]
        timings = {"plan": planned - start, "run": time.monotonic() - planned}
        return self._kept(results, made | {"workflow": workflow.dump()}, timings)

    def _rounds(self, picture: Image, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Edit with a critic; planning and running go by turns, and are timed together."""
        asked, start = self.asked, time.monotonic()
        results = []
        for seed in self._seeds:
            made = self.editor.edit(
                picture, asked.instruction, seed=seed, rounds=asked.rounds, cancel=self.cancel, **given
            )
            results.append(made)
        workflow, verdict = results[0].workflow, results[0].verdict
        if asked.size:  # from the cache, but for the last step
            workflow = self._sized(workflow)
            results = [
                self.editor.run(self._sized(one.workflow), picture, seed=one.seed, cancel=self.cancel, **given)
                for one in results
            ]
        thought = results[0].plan.thought if results[0].plan else ""
        facts: dict[str, Any] = {"workflow": workflow.dump(), "thought": thought, "builder": asked.builder}
        facts["verdict"] = verdict.dump() if verdict else None
        return self._kept(results, facts, {"edit": time.monotonic() - start})

    @property
    def _seeds(self) -> list[int]:
        return [(self.asked.seed + number) % 2**32 for number in range(self.asked.count)]

    def _kept(
        self, results: Sequence[EditResult], facts: Mapping[str, Any], timings: Mapping[str, float]
    ) -> tuple[dict[str, Any], list[str]]:
        """Keep what came out; return it as data, and the names of the pictures."""
        asked, ran = self.asked, time.monotonic()
        shown = [result.shown for result in results]
        names = [self.work.store.keep(_encoded(picture, asked)) for picture in shown]
        timings = {**timings, "encode": time.monotonic() - ran}
        made = {
            **facts, "images": names, "format": asked.format, "size": list(shown[0].size),
            "background": "transparent" if shown[0].alpha is not None and not asked.opaque else "opaque",
            "texts": [text for result in results for text in result.texts],
            "notes": list(dict.fromkeys(note for result in results for note in result.notes)),
            "seeds": self._seeds, "trace": self.trace.dump(),
            "timings": {k: round(v, 4) for k, v in timings.items()},
        }  # fmt: skip
        return made, names

    def _sized(self, flow: Workflow) -> Workflow:
        """With one step more where another size is wanted."""
        if self.asked.size is None:
            return flow
        name = "size"
        while name in {step.id for step in flow.steps}:
            name += "_"
        width, height = self.asked.size
        step = Step(name, "resize", {"image": flow.results[0], "width": width, "height": height})
        return Workflow((*flow.steps, step), (f"${name}", *flow.results[1:]))

    def _hear(self, event: Event) -> None:
        """Write an event down; what a step made too large ends the run here, whatever its arguments were."""
        self.trace.add(event)
        digests: dict[str, str] = {}
        values = event.values.items() if isinstance(event, StepDone) else ()
        found = {name: value for name, value in values if isinstance(value, Image | Mask)}
        for value in found.values():
            width, height = value.size
            if width * height > self.limit:
                message = f"{width} x {height} is more than the {self.limit / 1e6:g} megapixels that are made here"
                raise ImageError(message, where=str(getattr(event, "step", "")), hint="ask for less", code="too_large")
        if self.shown:
            digests = {name: self.work.store.keep(_quick(value)) for name, value in found.items()}
        self.work.tell(self.job, event, digests)


def _mask(data: bytes, clear: bool, limit: int) -> Mask:
    """A mask as it was sent: OpenAI's has an alpha that is clear where to edit, ours is white there."""
    if not clear:
        return Mask.open(data, limit)
    drawn = Image.open(data, limit)
    if drawn.alpha is None:  # nothing of it is clear
        return Mask(drawn.pixels[..., 0] * 0)
    return Mask(255 - drawn.alpha)


def _encoded(picture: Image, asked: Asked) -> bytes:
    """A picture as a file of the format that is asked for."""
    drawn = picture.pil().convert("RGB") if asked.opaque else picture.pil()
    quality = codec.JPEG_QUALITY if asked.quality is None else asked.quality
    return codec.encode(drawn, Path(f"picture.{asked.format}"), {}, quality=quality)


def _quick(value: Image | Mask) -> bytes:
    file = io.BytesIO()
    value.pil().save(file, "PNG", compress_level=QUICK)
    return file.getvalue()
