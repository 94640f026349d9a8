"""The studio: a page on which people edit, see each step appear, change its arguments and go back.

The picture that was dropped is never re-encoded: edits read the file itself, and a mask is painted on a small copy.
"""

from __future__ import annotations

import html
import queue
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from fastapi import FastAPI
from PIL import Image as Pillow
from PIL import ImageOps

from lego.core.errors import LegoError
from lego.core.trace import Event, Planned, StepDone, StepFailed, StepStarted
from lego.core.values import Image, Mask
from lego.editor import Cancel, Editor, EditResult
from lego.report import inline
from lego.server.asked import checked
from lego.server.errors import WebError
from lego.server.keys import Keys
from lego.server.options import Options

EXAMPLES = (
    "make it warmer and a little brighter", "remove the background", "turn it into a watercolor", "add a vignette",
    "crop it to 4:5", "给照片加一点胶片颗粒",
)  # fmt: skip
PAINTED = 1024  # px of the copy that masks are painted on
THUMB = 320  # px of a step's picture
SHOWN = 1600  # px of what the slider compares
GROUND = (128, 128, 128)  # behind a picture that does not fill its frame
KEPT = (3600, 3 * 3600)  # seconds between looks for files of sessions, and how long these are kept
LITERAL = (str, int, float, bool)
STYLE = (Path(__file__).parent / "studio.css").read_text(encoding="utf-8")
FILES = ("picture", "workflow", "report")
Rows = list[list[Any]]


@dataclass
class Turn:
    """One edit of a session.

    Attributes:
        words: what was asked for.
        source, mask: the file that it began with, and where it might change.
        result, file: what came out, and its picture as a file.
        pictures: of its steps, by their names, as data for the page.
    """

    words: str
    source: str
    mask: Mask | None
    result: EditResult
    file: str
    pictures: Mapping[str, str]

    @cached_property
    def thumb(self) -> Pillow.Image:
        """What came out, small."""
        return _fit(self.result.shown.pil(), THUMB)


class Session:
    """What one visitor has done: ``turns`` grow with every edit and shrink with undo; pictures lie in ``folder``."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.folder = tempfile.mkdtemp(prefix="lego-studio-")

    def __deepcopy__(self, memo: Any) -> Session:
        return Session()  # each visitor begins with one of their own

    def end(self) -> None:
        """Delete the pictures."""
        shutil.rmtree(self.folder, ignore_errors=True)


def mount(app: FastAPI, options: Options, editors: Mapping[str, Editor], keys: Keys | None) -> FastAPI:
    """Put the studio on an app, at ``/``; where keys are asked for, one of them is the password."""

    def known(name: str, key: str) -> bool:
        return keys is not None and keys.owner(key.encode()) is not None

    theme = gr.themes.Base(
        primary_hue="orange", neutral_hue="stone", radius_size="md", font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )  # fmt: skip
    mounted: FastAPI = gr.mount_gradio_app(
        app, page(options, editors), "/", auth=known if keys else None, auth_message="The password is an API key.",
        allowed_paths=[], max_file_size=options.max_body_mb << 20, ssr_mode=False, theme=theme, css=STYLE,
        footer_links=[], show_error=True, mcp_server=False,
    )  # fmt: skip
    return mounted


def page(options: Options, editors: Mapping[str, Editor]) -> Any:
    """Return the page."""
    desk = _Desk(editors, options)
    with gr.Blocks(title="lego studio", analytics_enabled=False, delete_cache=KEPT, fill_width=True) as blocks:
        session = gr.State(Session(), delete_callback=Session.end)
        gr.HTML("<h1>lego <span>studio</span></h1><p>Drop a picture, say what you want, see how it is done.</p>",
                elem_id="head")  # fmt: skip
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=5, min_width=320):
                picture = gr.Image(label="Picture", type="filepath", image_mode=None, sources=["upload", "clipboard"],
                                   height=380, elem_id="picture")  # fmt: skip
                words = gr.Textbox(label="What should change?", placeholder="remove the sign, then warm it up",
                                   lines=2, max_lines=6, elem_id="words")  # fmt: skip
                with gr.Row(elem_id="buttons"):
                    go = gr.Button("Edit", variant="primary", elem_id="go")
                    stop = gr.Button("Stop", elem_id="stop")
                    undo = gr.Button("Undo", elem_id="undo")
                gr.Examples([[text] for text in EXAMPLES], [words], label="Try", elem_id="examples")
                with gr.Accordion("Only a part of it", open=False, elem_id="mask"):
                    painted = gr.ImageEditor(label="Paint over what may change", type="numpy", sources=(), layers=False,
                                             brush=gr.Brush(colors=["#ff4060"], default_size=40), transforms=(),
                                             height=360)  # fmt: skip
                with gr.Accordion("More", open=False):
                    builder = gr.Dropdown(list(editors), label="Who plans", value=next(iter(editors)))
                    seed = gr.Number(label="Seed", value=0, precision=0, minimum=0, maximum=2**32 - 1)
            with gr.Column(scale=7, min_width=320):
                slider = gr.ImageSlider(label="Before and after", type="pil", height=440, interactive=False,
                                        elem_id="slider", format="png")  # fmt: skip
                steps = gr.HTML(_hint("The steps appear here."), elem_id="steps")
                with gr.Accordion("Change the arguments and run again", open=False, elem_id="again"):
                    table = gr.Dataframe(headers=["step", "tool", "argument", "value"], interactive=True, type="array",
                                         static_columns=[0, 1, 2], label="Arguments", wrap=True,
                                         column_count=4)  # fmt: skip
                    rerun = gr.Button("Run again", elem_id="rerun")
                with gr.Row(elem_id="files"):
                    files = [gr.DownloadButton(f"↓ {name}", interactive=False) for name in FILES]
                history = gr.Gallery(label="History", columns=8, height="auto", object_fit="cover", allow_preview=False,
                                     elem_id="history", visible=False)  # fmt: skip
        shown = [session, picture, slider, steps, table, history, *files]
        asked = [session, picture, painted, words, builder, seed]
        edit = gr.on([go.click, words.submit], desk.edit, asked, shown, concurrency_limit=options.workers)
        again = rerun.click(desk.again, [*asked, table], shown, concurrency_limit=options.workers)
        undo.click(desk.undo, session, shown)
        history.select(desk.back, session, shown)
        stop.click(None, cancels=[edit, again])
        picture.change(desk.canvas, picture, painted)
    blocks.queue(max_size=options.queue)
    return blocks


class _Desk:
    """What happens when somebody presses a button."""

    def __init__(self, editors: Mapping[str, Editor], options: Options) -> None:
        self.editors, self.options = editors, options

    def canvas(self, path: str | None) -> Any:
        """Return a small copy to paint on, once a picture was dropped that may be read."""
        if not path:
            return None
        self._look(path)
        background = np.asarray(_fit(Image.open(path).pil(), PAINTED))
        return {"background": background, "layers": [], "composite": None}

    def _look(self, path: str) -> tuple[int, int]:
        """The size of a picture, by its header; it is refused before it is decoded."""
        try:
            found = checked(Path(path).read_bytes(), self.options, "image")
        except WebError as error:
            raise gr.Error(error.message) from None
        return found.size

    def edit(self, session: Session, path: str, painted: Any, words: str, builder: str, seed: float) -> Iterator[Any]:
        """Edit as the words say, showing the steps as they come."""
        if not path:
            raise gr.Error("Drop a picture first.")
        mask = _mask(painted, self._look(path))

        def work(editor: Editor, cancel: Cancel) -> EditResult:
            return editor.edit(path, words or "", mask=mask, seed=int(seed or 0), cancel=cancel)

        yield from self._run(session, session.turns, path, mask, words or "", self.editors[builder], work)

    def again(
        self, session: Session, path: str, painted: Any, words: str, builder: str, seed: float, rows: Rows
    ) -> Iterator[Any]:
        """Run the last workflow with changed arguments; steps before the change come out of the cache."""
        if not session.turns:
            raise gr.Error("There is nothing to run again yet.")
        *before, turn = session.turns
        flow = _changed(turn.result, rows)

        def work(editor: Editor, cancel: Cancel) -> EditResult:
            return editor.run(flow, turn.source, mask=turn.mask, seed=int(seed or 0), cancel=cancel)

        yield from self._run(
            session, before, turn.source, turn.mask, turn.words, self.editors[builder], work, flow
        )  # fmt: skip

    def undo(self, session: Session) -> Any:
        """Go back by one edit."""
        if not session.turns:
            raise gr.Error("There is nothing to undo.")
        gone = session.turns.pop()
        return _shown(session, gone.source)

    def back(self, session: Session, event: gr.SelectData) -> Any:
        """Go back to the picture that was chosen in the history."""
        source = session.turns[0].source if event.index == 0 else session.turns[event.index - 1].file
        del session.turns[event.index :]
        return _shown(session, source)

    def _run(
        self, session: Session, before: list[Turn], path: str, mask: Mask | None, words: str, editor: Editor, work: Any,
        flow: Mapping[str, Any] | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """Work in a thread and show what happens; whoever presses stop, or leaves, stops it.

        Args:
            before: the edits that stay in front of this one, once it is done.
        """
        news: queue.Queue[Any] = queue.Queue()
        cancel = Cancel()

        def run() -> None:
            try:
                news.put(work(editor.twin(on_event=news.put), cancel))
            except Exception as error:
                news.put(error)

        threading.Thread(target=run, daemon=True).start()
        seen: list[Event] = []
        pictures: dict[str, str] = {}
        try:
            while isinstance(found := news.get(), Event):
                seen.append(found)
                if isinstance(found, StepDone):
                    pictures |= _picture(found)
                if isinstance(found, Planned | StepStarted | StepDone | StepFailed):
                    yield [session, *[gr.skip()] * 2, _steps(seen, pictures, flow), *[gr.skip()] * 5]
            if isinstance(found, LegoError):
                yield [session, *[gr.skip()] * 2, _steps(seen, pictures, flow, found), *[gr.skip()] * 5]
                return
            if isinstance(found, Exception):
                raise found
            session.turns = [*before, _turn(session, words, path, mask, found, pictures)]
            yield _shown(session, session.turns[-1].file)
        finally:
            cancel.cancel()


def _turn(
    session: Session, words: str, path: str, mask: Mask | None, result: EditResult, pictures: Mapping[str, str]
) -> Turn:
    """Keep an edit, and its picture as a file; one that only says something leaves the picture as it was."""
    if not result.pictured:
        return Turn(words, path, mask, result, path, pictures)
    file = Path(session.folder) / f"{len(session.turns) + 1}-{result.image.digest[:8]}.png"
    result.write(file, False)
    return Turn(words, path, mask, result, str(file), pictures)


def _shown(session: Session, picture: str) -> list[Any]:
    """Everything on the page for the last edit that is left; all empty if none is."""
    off = gr.DownloadButton(interactive=False)
    if not session.turns:
        return [session, picture, None, _hint("The steps appear here."), [], gr.Gallery([], visible=False), *[off] * 3]
    turn = session.turns[-1]
    steps = _steps(turn.result.trace.events, turn.pictures, turn.result.workflow.dump())
    thumbs = [(_fit(session.turns[0].result.source.pil(), THUMB), "start")]
    thumbs += [(one.thumb, one.words or "again") for one in session.turns]
    return [
        session, picture, _pair(turn), steps, _rows(turn.result), gr.Gallery(thumbs, visible=True),
        *_files(session, turn),
    ]  # fmt: skip


def _files(session: Session, turn: Turn) -> list[Any]:
    """The picture, the workflow and the report, ready to be fetched."""
    folder = Path(session.folder)
    flow, report = folder / "workflow.json", folder / "report.html"
    flow.write_text(turn.result.workflow.json() + "\n", encoding="utf-8")
    report.write_text(turn.result.report(), encoding="utf-8")
    return [gr.DownloadButton(value=str(path), interactive=True) for path in (turn.file, flow, report)]


def _pair(turn: Turn) -> tuple[Pillow.Image, Pillow.Image]:
    """Before and after in one frame; where the size has changed, the one before lies in the middle of it."""
    before, after = _fit(turn.result.source.pil(), SHOWN), _fit(turn.result.shown.pil(), SHOWN)
    if before.size != after.size:
        framed = Pillow.new("RGB", after.size, GROUND)
        before = ImageOps.contain(before, after.size)
        framed.paste(before, ((after.width - before.width) // 2, (after.height - before.height) // 2))
        before = framed
    return before, after


def _fit(picture: Pillow.Image, side: int) -> Pillow.Image:
    picture = picture.convert("RGB")
    picture.thumbnail((side, side))
    return picture


def _mask(painted: Any, size: tuple[int, int]) -> Mask | None:
    """What was painted, at the picture's size; None if nothing was."""
    layers = (painted or {}).get("layers") or []
    covered = [layer[..., 3] for layer in layers if layer.ndim == 3 and layer.shape[2] == 4 and layer[..., 3].any()]
    if not covered:
        return None
    return Mask(np.max([np.asarray(cv2.resize(one, size), np.uint8) for one in covered], axis=0))


def _rows(result: EditResult) -> Rows:
    """The arguments that are no references, a row each."""
    return [
        [step.id, step.tool, name, value]
        for step in result.workflow.steps
        for name, value in step.args.items()
        if isinstance(value, LITERAL) and not str(value).startswith("$")
    ]


def _changed(result: EditResult, rows: Rows) -> dict[str, Any]:
    """The workflow with the values of the table."""
    flow = result.workflow.dump()
    steps = {step["id"]: step["args"] for step in flow["steps"]}
    for name, _, argument, value in rows:
        old = steps.get(str(name), {}).get(str(argument))
        if old is None:
            continue
        steps[str(name)][str(argument)] = _like(old, value)
    return flow


def _like(old: Any, value: Any) -> Any:
    """A value of the table, which may be text, in the type of the one before."""
    text = str(value).strip()
    if isinstance(old, bool):
        return text.lower() in ("true", "1", "yes")
    if isinstance(old, int | float):
        try:
            number = float(text)
        except ValueError:
            raise gr.Error(f"'{text}' is no number.") from None
        return int(number) if isinstance(old, int) and number == int(number) else number
    return text


def _steps(
    events: list[Event], pictures: Mapping[str, str], flow: Mapping[str, Any] | None, error: LegoError | None = None
) -> str:
    """The steps so far, each a card: its picture, what it does, with which engine and how fast."""
    plans = [event.workflow for event in events if isinstance(event, Planned)]
    done = {event.step: event for event in events if isinstance(event, StepDone)}
    failed = {event.step: event for event in events if isinstance(event, StepFailed)}
    begun = [event.step for event in events if isinstance(event, StepStarted)]
    named = {step["id"]: step for step in (flow or (plans[-1] if plans else {"steps": []}))["steps"]}
    cards = [
        _card(step, pictures.get(name, ""), done.get(name), failed.get(name), name in begun)
        for name, step in named.items()
    ]
    notes = [_note(event) for event in done.values() if event.notes]
    texts = [
        f"<p>{html.escape(value)}</p>" for e in done.values() for value in e.values.values() if isinstance(value, str)
    ]
    said = ""
    if error is not None:
        hint = f"<small>{html.escape(error.hint)}</small>" if error.hint else ""
        said = f'<p class="error">{html.escape(str(error))}{hint}</p>'
    return f'{said}<div class="cards">{"".join(cards)}</div>{"".join(texts)}{"".join(notes)}'


def _note(event: StepDone) -> str:
    said = f"{event.tool.replace('_', ' ')}: {'; '.join(event.notes)}"
    return f'<p class="note">{html.escape(said)}</p>'


def _picture(done: StepDone) -> dict[str, str]:
    """The picture of a step, by the step's name; made once, however often the page is written."""
    found = next((value for value in done.values.values() if isinstance(value, Image | Mask)), None)
    return {} if found is None else {done.step: inline(found, THUMB)}


def _card(step: Mapping[str, Any], picture: str, done: StepDone | None, failed: StepFailed | None, begun: bool) -> str:
    args = ", ".join(f"{k} {v}" for k, v in step["args"].items() if not str(v).startswith("$"))
    shown = f'<img src="{picture}" alt="">' if picture else '<div class="blank"></div>'
    if done:
        state = "cached" if done.cached else f"{done.seconds:.2f} s"
        state = f"{done.engine} · {state}"
    else:
        state = html.escape(failed.message) if failed else "working ..." if begun else "waits"
    kind = "failed" if failed else "done" if done else "working" if begun else "waits"
    return (
        f'<div class="card {kind}">{shown}<b>{html.escape(step["tool"].replace("_", " "))}</b>'
        f"<span>{html.escape(args)}</span><small>{state}</small></div>"
    )


def _hint(text: str) -> str:
    return f'<p class="hint">{html.escape(text)}</p>'
