"""The editor: where the builder, the hands and the tools meet. One call of `edit` reads from top to bottom."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import lego.tools  # registers the embedded tools
from lego.builder import open as open_builder
from lego.builder.base import Builder, Plan, Request
from lego.core.codec import Source, check_suffix, write_whole
from lego.core.errors import ImageError, PlanError, StepError, WorkflowError
from lego.core.memory import measured
from lego.core.models import Pool, shelf
from lego.core.problems import invalid
from lego.core.registry import Registry
from lego.core.registry import registry as default_registry
from lego.core.settings import Settings
from lego.core.trace import Event, Noted, Planned, RunStarted, StepFailed, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.cache import Cache
from lego.executor.run import Cancel, Executor, Run
from lego.report import fragment, page

ATTEMPTS = 3  # a plan with problems goes back to the builder twice, with the problems in words
PACKAGES = ("lego", "numpy", "opencv-python-headless", "pillow", "pypatchmatch")  # whose versions decide the bytes
OPTIONAL = ("numba", "onnxruntime", "pymatting", "rapidocr", "scikit-image")  # and, where they are installed, these
METADATA_LIMIT = 1 << 20  # bytes; Pillow refuses to read longer text chunks
Given: TypeAlias = dict[str, "Image | Mask"]
Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class EditResult:
    """What an edit gave.

    Attributes:
        source: the picture as it was given.
        values: the workflow's results in order: pictures, masks, texts.
        workflow: what was run.
        trace: everything that happened, seeds and digests included.
        plan: the builder's plan; None if a workflow was given.
        instruction: the user's words; "" if a workflow was given.
    """

    source: Image
    values: tuple[Any, ...]
    workflow: Workflow
    trace: Trace
    run: Run
    instruction: str = ""
    plan: Plan | None = None

    @property
    def image(self) -> Image:
        """The first picture among the results; a mask is shown as a grey picture if there is no other."""
        if self.images:
            return self.images[0]
        mask = next((value for value in self.values if isinstance(value, Mask)), None)
        if mask is None:
            raise ImageError("the workflow's result is no picture", hint="see `values`", code="no_picture")
        return Image.open(mask.pixels)

    @property
    def images(self) -> tuple[Image, ...]:
        """All pictures among the results."""
        return tuple(value for value in self.values if isinstance(value, Image))

    @property
    def texts(self) -> tuple[str, ...]:
        """All results that are neither pictures nor masks, as text: what a tool has to tell."""
        return tuple(str(value) for value in self.values if not isinstance(value, Image | Mask))

    @property
    def pictured(self) -> bool:
        """Is there a picture or a mask among the results?"""
        return len(self.texts) < len(self.values)

    @property
    def shown(self) -> Image:
        """The picture to look at: the result, or the source where the results are words alone."""
        return self.image if self.pictured else self.source

    @property
    def notes(self) -> list[str]:
        """What was done on the user's behalf, as sentences."""
        return self.trace.notes

    def step(self, name: str) -> Any:
        """Return what a step gave: its output, or a dict of its outputs if it has several.

        Raises:
            KeyError: no such step, or it did not have to run because a later one was cached.
        """
        outputs = self.run.outputs[name]
        return next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)

    def write(self, path: str | Path, metadata: bool = True) -> Path:
        """Write the picture with the source's EXIF; a PNG also carries the workflow and the trace for `lego run`.

        Without ``metadata`` the file holds pixels only.
        """
        text = {"lego_workflow": self.workflow.json(None), "lego_trace": self.trace.json()}
        if sum(len(value.encode()) for value in text.values()) > METADATA_LIMIT:
            del text["lego_trace"]
        return self.image.save(path, text if metadata else None, self.source.exif if metadata else b"")

    def report(self) -> str:
        """Return a page of HTML with the picture of every step."""
        title = self.instruction or "A workflow, run again"
        return page(title, self.source, self.shown, self.workflow, self.trace, self.run.outputs)

    def save(self, folder: str | Path) -> Path:
        """Write a folder: result.png (or .txt), each step's pictures, workflow.json, trace.json, report.html."""
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"the folder cannot be made: {error.strerror}", where=str(folder)) from None
        if self.pictured:
            self.write(folder / "result.png")
        if self.texts:
            write_whole(folder / "result.txt", "\n".join((*self.texts, "")).encode())
        for name, outputs in self.run.outputs.items():
            for output, value in outputs.items():
                if isinstance(value, Image | Mask):
                    value.save(folder / f"{name}-{output}.png")
        for file, text in (("workflow.json", self.workflow.json()), ("trace.json", self.trace.json(2))):
            write_whole(folder / file, (text + "\n").encode())
        write_whole(folder / "report.html", self.report().encode())
        return folder

    def _repr_png_(self) -> bytes:
        return self.shown._repr_png_()

    def _repr_html_(self) -> str:
        return fragment(self.source, self.shown, self.workflow, self.trace, self.run.outputs)


class Editor:
    """Edits pictures by words.

    Args:
        builder: who plans: a name for `lego.builder.open`, or an object with a `plan(request)` method.
        registry: the tools on offer; by default all that are registered.
        settings: limits and budgets; by default from the environment and ``lego.toml``.
        on_event: called with every event as it happens.
    """

    def __init__(
        self,
        builder: str | Builder | None = None,
        *,
        registry: Registry | None = None,
        settings: Settings | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.settings = settings or Settings.load()
        self.registry = default_registry if registry is None else registry
        chosen = builder or self.settings.builder
        self.builder = open_builder(chosen) if isinstance(chosen, str) else chosen
        disk = self.settings.cache_disk_mb << 20
        cache = Cache(self.settings.cache_memory_mb << 20, self.settings.cache_folder, disk)
        budgets = (self.settings.models_memory_mb << 20, self.settings.models_accelerator_mb << 20)
        self.pool = Pool(shelf(self.settings.models_folder), partial(measured, *budgets))
        self.executor = Executor(self.registry, cache, self.settings.workers or None, self.pool)
        self.listeners = (on_event,) if on_event else ()

    def twin(self, builder: Builder | None = None, on_event: Callable[[Event], None] | None = None) -> Editor:
        """Return an editor with another builder, or one more listener, that shares cache and networks with this."""
        made = copy(self)
        made.builder = builder or self.builder
        made.listeners = (*self.listeners, *([on_event] if on_event else []))
        return made

    def edit(
        self,
        image: Source | Image,
        instruction: str,
        *,
        mask: Source | Mask | None = None,
        box: Box | None = None,
        references: Sequence[Source | Image] = (),
        seed: int | None = None,
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

        Raises:
            LegoError: see the tree in `lego.core.errors`. Nothing is written anywhere.
        """
        given = self._given(image, mask, box, references)
        trace = Trace(*self.listeners)
        plan = self._plan(given, instruction, trace)
        return self._run(plan.workflow, given, seed, trace, cancel, instruction, plan)

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
        return self._plan(self._given(image, mask, box, references), instruction, Trace(*self.listeners))

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
        given = self._given(image, mask, box, references)
        return self._run(load_workflow(workflow), given, seed, Trace(*self.listeners), cancel)

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

    def _plan(self, given: Given, instruction: str, trace: Trace) -> Plan:
        """Ask the builder, and send a plan with problems back to it with the problems in words."""
        kinds = {name: "mask" if isinstance(value, Mask) else "image" for name, value in given.items()}
        request = Request(
            image=_picture(given),
            instruction=instruction,
            tools=tuple(self.registry.running(self.pool)),
            given=tuple(name for name in given if name != "image"),
            values=given,
        )
        for _ in range(ATTEMPTS):
            start = time.monotonic()
            plan = self._planned(request)
            problems = plan.workflow.check(self.registry, kinds)
            sentences = [str(problem) for problem in problems]
            seconds = time.monotonic() - start
            trace.add(Planned(self.builder.name, plan.thought, plan.workflow.dump(), seconds, sentences))
            if not problems:
                return plan
            request = replace(request, history=(*request.history, *sentences))
        error: WorkflowError = invalid(problems)
        error.hint = f"the builder '{self.builder.name}' made no valid plan in {ATTEMPTS} attempts; say it differently"
        raise error

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

    def _run(
        self,
        workflow: Workflow,
        given: Given,
        seed: int | None,
        trace: Trace,
        cancel: Cancel | None,
        instruction: str = "",
        plan: Plan | None = None,
    ) -> EditResult:
        seed = self.settings.seed if seed is None else seed
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
        return EditResult(_picture(given), run.results, workflow, trace, run, instruction, plan)


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


def _picture(given: Given) -> Image:
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


def dump(result: EditResult, path: str | None) -> str:
    """Return an edit as JSON text: where the picture is (null if there is none), texts, notes, workflow and trace."""
    facts = {"output": path, "texts": result.texts, "notes": result.notes, "workflow": result.workflow.dump()}
    return json.dumps({**facts, "trace": result.trace.dump()}, ensure_ascii=False, indent=2)


__all__ = ["Cancel", "EditResult", "Editor", "check_suffix", "edit", "load_workflow", "plan", "run"]
