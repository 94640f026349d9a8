"""What an edit gave: the picture, how it came to be, and every way of keeping and showing it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lego.builder.base import Plan
from lego.builder.verdict import Verdict
from lego.core.codec import write_whole
from lego.core.errors import ImageError, PlanError
from lego.core.trace import RunStarted, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.run import Run
from lego.report import fragment, page
from lego.rounds import Round

METADATA_LIMIT = 1 << 20  # bytes; Pillow refuses to read longer text chunks


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
        rounds: all that were made, in order; empty if a workflow was given.
        chosen: the number of the one whose result this is.
    """

    source: Image
    values: tuple[Any, ...]
    workflow: Workflow
    trace: Trace
    run: Run
    instruction: str = ""
    plan: Plan | None = None
    rounds: tuple[Round, ...] = ()
    chosen: int = 0
    again: Callable[[str], EditResult] | None = field(default=None, repr=False, compare=False)

    @property
    def seed(self) -> int:
        """The seed of the run whose result this is."""
        return self.rounds[self.chosen].seed if self.rounds else next(self.trace.of(RunStarted)).seed

    @property
    def verdict(self) -> Verdict | None:
        """What the critic said of this result; None if nobody was asked."""
        return self.rounds[self.chosen].verdict if self.rounds else None

    def revise(self, words: str) -> EditResult:
        """Edit the source once more, as the words say: a tool that is not to be used, or a further wish.

        "don't use segment before inpaint" binds the next plans; "a little grain" is done as well as what was asked for.

        Raises:
            PlanError: the result was made by a given workflow; or as `Editor.edit`.
        """
        if self.again is None:
            hint = "change the workflow, or edit with an instruction"
            raise PlanError("a given workflow was run, and nobody planned it", hint=hint, code="not_planned")
        return self.again(words)

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
        text = {}
        if metadata and Path(path).suffix.lower() == ".png":  # no other format holds it
            text = {"lego_workflow": self.workflow.json(None), "lego_trace": self.trace.json()}
            if sum(len(value.encode()) for value in text.values()) > METADATA_LIMIT:
                del text["lego_trace"]
        return self.image.save(path, text, self.source.exif if metadata else b"")

    def report(self) -> str:
        """Return a page of HTML with the picture of every step."""
        title = self.instruction or "A workflow, run again"
        shown = [round.picture for round in self.rounds if round.verdict]
        return page(title, self.source, self.shown, self.workflow, self.trace, self.run.outputs, shown, self.chosen)

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


def dump(result: EditResult, path: str | None) -> str:
    """Return an edit as JSON text: where the picture is (null if there is none), texts, notes, workflow and trace."""
    facts = {"output": path, "texts": result.texts, "notes": result.notes, "workflow": result.workflow.dump()}
    return json.dumps({**facts, "trace": result.trace.dump()}, ensure_ascii=False, indent=2)
