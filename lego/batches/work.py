"""The work: an editor does one item, and its results appear whole or not at all."""

from __future__ import annotations

import hashlib
import io
import time
import traceback
from pathlib import Path

from PIL import Image as Pillow

from lego.batches.items import Item, Line, Seen, Way, seed_of, thumb_path
from lego.core import codec
from lego.core.errors import LegoError, WorkflowError, writing_code
from lego.core.problems import invalid
from lego.core.values import Image
from lego.editor import Editor, EditResult, load_workflow
from lego.tools import load_tools

SIDE = 240  # pixels of a thumbnail's long side: sharp at 120 on a phone's screen, some 8 kB
THUMB_QUALITY = 72
GAP = 3.0  # how much larger than the thumbnail the picture is when it is resized well; before that it is quick


class Work:
    """Does items, one or several at a time.

    Args:
        way: how.
        editor: who; by default one as the way's settings say.
        workflow: that is run for all items; checked at once.

    Raises:
        LegoError: nobody can do anything in this way: no such builder, a tool's file is broken, ...
    """

    def __init__(self, way: Way, editor: Editor | None = None, workflow: str = "") -> None:
        self.way = way
        self.editor = editor or Editor(settings=way.settings, share=1 / way.shares)
        for path in way.tools:
            load_tools(self.editor.registry, path)
        if workflow:
            given = {"image": "image", "mask": "mask"} | {f"reference{n or ''}": "image" for n in (0, *range(2, 10))}
            problems = load_workflow(workflow).check(self.editor.registry, given)
            if problems:
                error: WorkflowError = invalid(problems)
                raise error

    def do(self, item: Item) -> Line:
        """Edit a picture and write the result; what goes wrong stands in the line."""
        start = time.perf_counter()
        line = Line(
            output=item.output, asked=self.way.asked(item), status="failed", image=str(item.image), words=item.words,
            inputs=[Seen.at(path) for path in item.files],
        )  # fmt: skip
        line.seed = seed_of(self.way.settings.seed, item, line.inputs)
        try:
            self._edit(item, line)
        except LegoError as error:
            line.code, line.error, line.hint = error.code, str(error), error.hint
        except OSError as error:
            line.code, line.error = writing_code(error), str(error)
        except MemoryError:
            line.code, line.error, line.hint = "out_of_memory", "memory ran out", "take fewer workers"
        except Exception as error:  # a bug of ours or of a user's tool spoils its own picture only
            at = traceback.extract_tb(error.__traceback__)[-1]
            line.code = "bug"
            line.error = f"{type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno})"
        line.seconds = round(time.perf_counter() - start, 3)
        return line

    def _edit(self, item: Item, line: Line) -> None:
        source = Image.open(item.image, round(self.way.settings.max_megapixels * 1e6))
        before = self._thumb(source)
        line.thumbs = (before, "")
        given = {"mask": item.mask, "box": item.box, "references": item.references, "seed": line.seed}
        if item.workflow:
            result = self.editor.run(item.workflow, source, **given)  # type: ignore[arg-type]
        else:
            result = self.editor.edit(source, item.words, rounds=item.rounds, **given)  # type: ignore[arg-type]
        line.steps = [str(step) for step in result.workflow.steps]
        line.notes, line.texts = result.notes, list(result.texts)
        line.verdict = result.verdict.outcome if result.verdict else ""
        line.made = self._write(result, item.output, line.seed)
        line.thumbs = (before, self._thumb(result.image) if result.pictured else "")
        line.status = "done"

    def _write(self, result: EditResult, name: str, seed: int) -> list[Seen]:
        """Write the picture without a trace, whose times would make every file different; words beside it."""
        path = self.way.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made = []
        if result.pictured:
            tagged = self.way.settings.metadata
            text = {"lego_workflow": result.workflow.json(None), "lego_seed": str(seed)} if tagged else {}
            exif = result.source.exif if tagged else b""
            self._save(result.image, path, text, exif)
            made.append(name)
        if result.texts:
            codec.write_whole(path.parent / f"{path.name}.txt", "\n".join((*result.texts, "")).encode())
            made.append(f"{name}.txt")
        return [Seen.at(self.way.out / name).model_copy(update={"path": name}) for name in made]

    def _save(self, image: Image, path: Path, text: dict[str, str], exif: bytes) -> None:
        if self.way.quality is None or path.suffix.lower() not in (".jpg", ".jpeg", ".webp"):
            image.save(path, text, exif)
        else:
            codec.write_whole(path, codec.encode(image.pil(), path, text, exif, self.way.quality))

    def _thumb(self, image: Image) -> str:
        """Keep a small picture, named by its content; return its name."""
        if not self.way.sheet:
            return ""
        small = image.pil()
        small.thumbnail((SIDE, SIDE), Pillow.Resampling.LANCZOS, GAP)
        file = io.BytesIO()
        small.save(file, "WEBP", quality=THUMB_QUALITY, method=4)
        name = f"{hashlib.blake2b(file.getvalue(), digest_size=12).hexdigest()}.webp"
        path = thumb_path(self.way.out, name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            codec.write_whole(path, file.getvalue())
        return name
