"""The editor: where the builder, the hands and the tools meet. One call of `edit` reads from top to bottom."""

from __future__ import annotations

import contextlib
import platform
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import lego.tools  # registers the embedded tools
from lego.builder import critic as critics
from lego.builder import feedback
from lego.builder import open as open_builder
from lego.builder.base import Builder, Plan, Request, Review
from lego.builder.critic import Critic
from lego.builder.feedback import Feedback
from lego.builder.thinking import Thinker
from lego.builder.verdict import Verdict
from lego.core.codec import Source, check_suffix
from lego.core.errors import ImageError, LegoError, PlanError, SettingsError, StepError, WorkflowError
from lego.core.models import Pool, shelf
from lego.core.problems import invalid
from lego.core.registry import Registry
from lego.core.registry import registry as default_registry
from lego.core.settings import Settings
from lego.core.trace import Event, Noted, Planned, Reviewed, RunStarted, StepFailed, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.cache import Cache
from lego.executor.choice import open_backend
from lego.executor.run import Cancel, Executor, Run
from lego.result import EditResult, dump
from lego.rounds import Round, Rounds, Try, Wish, chosen
from lego.tools.neural.brick import brick_painter as brick_painter  # the school looks at bricks as they are used, ...
from lego.tools.neural.brick import open_network as open_network  # ... and goes on with them

MOST_ROUNDS = 10
ATTEMPTS = 3  # a plan with problems goes back to the builder twice, with the problems in words
PACKAGES = ("lego", "numpy", "opencv-python-headless", "pillow", "pypatchmatch")  # whose versions decide the bytes
OPTIONAL = ("numba", "onnxruntime", "pymatting", "rapidocr", "scikit-image")  # and, where they are installed, these
Given: TypeAlias = dict[str, "Image | Mask"]
Box: TypeAlias = tuple[float, float, float, float]


class Editor:
    """Edits pictures by words.

    Args:
        builder: who plans: a name for `lego.builder.open`, or an object with a `plan(request)` method.
        critic: who judges: a name for `lego.builder.critic.open`, or an object with a `review(review)` method.
        registry: the tools on offer; by default all that are registered.
        settings: limits and budgets; by default from the environment and ``lego.toml``.
        on_event: called with every event as it happens.
        share: 0..1 of the budgets of memory; one of four processes takes a quarter.
    """

    def __init__(
        self,
        builder: str | Builder | None = None,
        *,
        critic: str | Critic | None = None,
        registry: Registry | None = None,
        settings: Settings | None = None,
        on_event: Callable[[Event], None] | None = None,
        share: float = 1.0,
    ) -> None:
        self.settings = settings or Settings.load()
        self.registry = default_registry if registry is None else registry
        name = builder or self.settings.builder
        self.builder = open_builder(name) if isinstance(name, str) else name
        self.thinker = self._thinker()
        judge = critic or self.settings.critic
        self.critic = critics.open(judge, self.thinker) if isinstance(judge, str) else judge
        backend = open_backend(self.settings)
        disk = self.settings.cache_disk_mb << 20
        cache = Cache(int((self.settings.cache_memory_mb << 20) * share), self.settings.cache_folder, disk)
        budgets = (self.settings.models_memory_mb << 20, self.settings.models_accelerator_mb << 20)
        self.pool = Pool(shelf(self.settings.models_folder), partial(backend.measure, *budgets, share))
        kept = cache if backend.cache is None else backend.cache
        held = int((self.settings.run_memory_mb << 20) * share)
        self.executor = Executor(self.registry, kept, None, self.pool, held, backend)
        weakref.finalize(self.executor, backend.close)
        self.listeners = (on_event,) if on_event else ()

    def twin(self, builder: Builder | None = None, on_event: Callable[[Event], None] | None = None) -> Editor:
        """Return an editor with another builder, or one more listener, that shares cache and networks with this."""
        made = copy(self)
        if builder:
            made.builder = builder
            made.thinker = made._thinker()
        made.listeners = (*self.listeners, *([on_event] if on_event else []))
        return made

    def _thinker(self) -> Thinker:
        """Who thinks: the model that plans, if it can be asked in words."""
        return Thinker(self.settings.concepts, getattr(self.builder, "talker", None))

    def edit(
        self,
        image: Source | Image,
        instruction: str,
        *,
        mask: Source | Mask | None = None,
        box: Box | None = None,
        references: Sequence[Source | Image] = (),
        seed: int | None = None,
        rounds: int | None = None,
        cancel: Cancel | None = None,
    ) -> EditResult:
        """Edit a picture as the words say.

        Args:
            image: path, bytes, Pillow picture, array or `Image`.
            instruction: plain words, English or Chinese.
            mask: where, white = edit; as large as the picture.
            box: where, as x0, y0, x1, y1 in pixels; another way to give a mask.
            references: further pictures that the words may speak of.
            seed: 0 to 2^32 - 1; the same seed gives the same bytes.
            rounds: how often the critic may send a result round again, 0 to 10; by default as in the settings.

        Raises:
            LegoError: see the tree in `lego.core.errors`. Nothing is written anywhere.
        """
        given = self._given(image, mask, box, references)
        count = _allowed(self.settings.rounds if rounds is None else rounds)
        refine = self.settings.strategy == "refine"
        return self._wished(Wish(given, instruction, "", self._seed(seed), count, refine, (), cancel))

    def _wished(self, wish: Wish) -> EditResult:
        trace = Trace(*self.listeners)
        wish = replace(wish, concrete=self._thought(wish.given, wish.words, trace))
        work = Rounds(self, wish, trace)
        best = work.make()
        made = work.done[best]
        return EditResult(
            _picture(wish.given), made.run.results, made.workflow, trace, made.run, wish.words,
            _explained(made.plan, wish.concrete), tuple(work.done), best, partial(self._revised, wish),
        )  # fmt: skip

    def _revised(self, wish: Wish, words: str) -> EditResult:
        """What is said of tools binds the plans to come; all else is one more wish."""
        said = feedback.read(words, self.registry)
        if said.binds:
            return self._wished(replace(wish, feedback=(*wish.feedback, said)))
        return self._wished(replace(wish, words=feedback.joined(wish.words, words)))

    def plan(
        self,
        image: Source | Image,
        instruction: str,
        *,
        mask: Source | Mask | None = None,
        box: Box | None = None,
        references: Sequence[Source | Image] = (),
    ) -> Plan:
        """Write the workflow for an instruction without running it; arguments as in `edit`."""
        given, trace = self._given(image, mask, box, references), Trace(*self.listeners)
        concrete = self._thought(given, instruction, trace)
        return _explained(self.plan_of(Try(given, concrete or instruction), trace), concrete)

    def run(
        self,
        workflow: Workflow | str | Path | Mapping[str, Any],
        image: Source | Image,
        *,
        mask: Source | Mask | None = None,
        box: Box | None = None,
        references: Sequence[Source | Image] = (),
        seed: int | None = None,
        cancel: Cancel | None = None,
    ) -> EditResult:
        """Run a workflow (a `Workflow`, a dict, JSON text or a file's path) on a picture; the rest as in `edit`."""
        given, flow, trace = self._given(image, mask, box, references), load_workflow(workflow), Trace(*self.listeners)
        run = self.run_of(flow, given, self._seed(seed), trace, cancel)
        return EditResult(_picture(given), run.results, flow, trace, run)

    def _given(
        self,
        image: Source | Image,
        mask: Source | Mask | None,
        box: Box | None,
        references: Sequence[Source | Image],
    ) -> Given:
        limit = round(self.settings.max_megapixels * 1e6)
        picture = Image.open(image, limit)
        given: Given = {"image": picture}
        if mask is not None and box is not None:
            raise ImageError("both a mask and a box were given", hint="give one of them", code="two_masks")
        if mask is not None:
            given["mask"] = _fitting(Mask.open(mask, limit), picture)
        elif box is not None:
            given["mask"] = _boxed(picture, box)
        for number, reference in enumerate(references, 1):
            given[f"reference{number if number > 1 else ''}"] = Image.open(reference, limit)
        return given

    def plan_of(self, attempt: Try, trace: Trace) -> Plan:
        """Ask the builder, and send a plan with problems back to it with the problems in words."""
        given = attempt.start
        kinds = {name: "mask" if isinstance(value, Mask) else "image" for name, value in given.items()}
        banned = attempt.without.union(*(said.without for said in attempt.feedback))
        asked = self._request(given, attempt.words)
        request = replace(
            asked, tools=tuple(tool for tool in asked.tools if tool.name not in banned), history=attempt.history,
            feedback=tuple(said.said for said in attempt.feedback), tried=attempt.tried,
        )  # fmt: skip
        for _ in range(ATTEMPTS):
            start = time.monotonic()
            plan = self._planned(request)
            problems = plan.workflow.check(self.registry, kinds)
            sentences = [str(problem) for problem in problems]
            sentences += [fault for said in attempt.feedback for fault in said.faults(plan.workflow)]
            seconds = time.monotonic() - start
            trace.add(Planned(self.builder.name, plan.thought, plan.workflow.dump(), seconds, sentences))
            if not sentences:
                return plan
            request = replace(request, history=(*request.history, *sentences))
        hint = f"the builder '{self.builder.name}' made no valid plan in {ATTEMPTS} attempts; say it differently"
        if not problems:
            raise PlanError(f"every plan breaks what was said: {sentences[0]}", hint=hint, code="feedback")
        error: WorkflowError = invalid(problems)
        error.hint = hint
        raise error

    def _request(self, given: Mapping[str, Image | Mask], words: str) -> Request:
        names = tuple(name for name in given if name != "image")
        return Request(_picture(given), words, tuple(self.registry.running(self.pool)), names, given)

    def _thought(self, given: Mapping[str, Image | Mask], words: str, trace: Trace) -> str:
        """The words in concrete ones where they are abstract, else ""."""
        thought = self.thinker.think(self._request(given, words)) if self.settings.think else None
        if thought is None:
            return ""
        trace.add(Noted(f"'{words}' was read as: {thought.concrete}"))
        return thought.concrete

    def verdict_on(self, wish: Wish, made: Round, number: int, trace: Trace) -> Verdict:
        """Let the critic look at the result of a round; it hears the user's own words."""
        start = time.monotonic()
        request = self._request(wish.given, wish.words)
        review = Review(
            request.image, made.picture, wish.words, wish.concrete, request, made.workflow, tuple(made.steps),
            partial(self._looked, made.seed), made.seed,
        )  # fmt: skip
        try:
            found = self.critic.review(review)
        except LegoError as error:  # what was made is not lost for want of a judge
            found = Verdict("missing", f"'{self.critic.name}' gave no verdict: {error.message}")
        scores = asdict(found.scores) if found.scores else None
        trace.add(
            Reviewed(
                number, self.critic.name, found.outcome, found.reason, found.then, list(found.findings), scores,
                found.scores.value if found.scores else None, dict(found.facts), made.picture.digest,
                time.monotonic() - start,
            )
        )  # fmt: skip
        return found

    def _looked(self, seed: int, workflow: Workflow, given: Mapping[str, Image | Mask]) -> tuple[Any, ...]:
        """Run a workflow for the critic: no part of the edit, and from the cache where the edit did the same."""
        run = self.executor.run(workflow, given, seed=seed)
        if run.failure:
            raise run.failure
        return run.results

    def _planned(self, request: Request) -> Plan:
        """Ask the builder; where it declines what a tool would do that cannot run here, say what that tool needs."""
        try:
            return self.builder.plan(request)
        except PlanError:
            with contextlib.suppress(PlanError):
                able = open_builder("rules").plan(replace(request, tools=tuple(self.registry), history=()))
                self._must_run([step.tool for step in able.workflow.steps], request.instruction)
            raise

    def _must_run(self, names: Sequence[str], words: str) -> None:
        for name in names:
            try:
                self.registry[name].choose(self.pool)
            except StepError as error:
                message = f"nothing here can do '{words}': {error.message}"
                raise StepError(message, hint=error.hint, code=error.code) from None

    def run_of(
        self, workflow: Workflow, given: Mapping[str, Image | Mask], seed: int, trace: Trace, cancel: Cancel | None
    ) -> Run:
        """Run a workflow; an error of a step carries what was done besides."""
        digests = {name: value.digest for name, value in given.items()}
        trace.add(RunStarted(digests, seed, versions(), len(workflow.steps)))
        for name, value in given.items():
            for note in value.notes:
                trace.add(Noted(note if name == "image" else f"{name}: {note}"))
        run = self.executor.run(
            workflow, given, seed=seed, trace=trace, cancel=cancel,
            timeout=self.settings.timeout or None, step_timeout=self.settings.step_timeout or None,
        )  # fmt: skip
        if run.failure:
            run.failure.details |= {"kept": run.outputs, "failed": list(trace.of(StepFailed)), "workflow": workflow}
            raise run.failure
        return run

    def _seed(self, seed: int | None) -> int:
        return self.settings.seed if seed is None else seed


def load_workflow(source: Workflow | str | Path | Mapping[str, Any]) -> Workflow:
    """Read a workflow from JSON text, a JSON file, or a PNG that an edit wrote.

    Raises:
        WorkflowError: no such file, no workflow in it, or not a workflow.
    """
    if isinstance(source, str) and not source.lstrip().startswith(("{", "[")):
        source = Path(source)
    if isinstance(source, Path) and source.suffix.lower() == ".png":
        text = Image.read_text(source).get("lego_workflow")
        if text is None:
            hint = "only PNG files that lego wrote carry one; give a .json file"
            raise WorkflowError(
                "there is no workflow in this picture", where=str(source), hint=hint, code="no_workflow"
            )
        source = text
    return Workflow.load(source)


@cache
def versions() -> dict[str, str]:
    """Return the versions that a repeated run depends on."""
    packages = {name: version(name) for name in PACKAGES}
    for name in OPTIONAL:
        with contextlib.suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {"python": platform.python_version(), **packages}


@cache
def _default() -> Editor:
    return Editor()


def edit(image: Source | Image, instruction: str, **options: Any) -> EditResult:
    """Edit a picture as the words say, with the default editor; see `Editor.edit` for the options."""
    return _default().edit(image, instruction, **options)


def plan(image: Source | Image, instruction: str, **options: Any) -> Plan:
    """Write the workflow for an instruction without running it; see `Editor.plan` for the options."""
    return _default().plan(image, instruction, **options)


def run(workflow: Workflow | str | Path | Mapping[str, Any], image: Source | Image, **options: Any) -> EditResult:
    """Run a workflow on a picture, with the default editor; see `Editor.run` for the options."""
    return _default().run(workflow, image, **options)


def _explained(plan: Plan, concrete: str) -> Plan:
    """A plan with the concrete words that it was made for."""
    return replace(plan, concrete=concrete, thought="; ".join(filter(None, (concrete, plan.thought))))


def _allowed(rounds: int) -> int:
    if 0 <= rounds <= MOST_ROUNDS:
        return rounds
    hint = f"0 to {MOST_ROUNDS}; two are worth their time"
    raise SettingsError(f"there cannot be {rounds} rounds", where="rounds", hint=hint, code="bad_rounds")


def _picture(given: Mapping[str, Image | Mask]) -> Image:
    picture = given["image"]
    assert isinstance(picture, Image)
    return picture


def _fitting(mask: Mask, picture: Image) -> Mask:
    if mask.size == picture.size:
        return mask
    raise ImageError(
        f"the mask is {mask.size[0]} x {mask.size[1]}, the picture {picture.size[0]} x {picture.size[1]}",
        hint="make the mask as large as the picture (after its EXIF rotation)",
        code="size_mismatch",
    )


def _boxed(picture: Image, box: Box) -> Mask:
    x0, y0, x1, y1 = box
    width, height = picture.size
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ImageError(
            f"the box {x0:g},{y0:g},{x1:g},{y1:g} is not inside the picture of {width} x {height}",
            hint="give x0,y0,x1,y1 in pixels: left, top, right, bottom",
            code="bad_box",
        )
    return Mask.from_box(picture.size, box)


__all__ = ["Cancel", "EditResult", "Editor", "check_suffix", "chosen", "dump", "edit", "load_workflow", "plan", "run"]
