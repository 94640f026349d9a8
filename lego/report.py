"""The report: one page of HTML, complete in itself, with the picture of every step."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image as Pillow

from lego.core.steps import Step
from lego.core.trace import Planned, Reviewed, StepDone, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow

LARGE = 1400  # pixels of the long side of the two main pictures: sharp on a laptop's screen, a few 100 kB
SMALL = 480
TINT = (255, 64, 96)  # a pink that photographs seldom hold, for masks laid over the picture

BASE = """
:root{color-scheme:light dark;--ink:#1c1d21;--soft:#6c6f78;--line:#e3e4e8;--ground:#fafaf8;--card:#fff;--mark:#c2410c}
@media(prefers-color-scheme:dark){:root{--ink:#ececf0;--soft:#9a9daa;--line:#2e3038;--ground:#141519;--card:#1c1d23;
--mark:#fb923c}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 20px 80px}h1{font-size:clamp(22px,3.4vw,34px);line-height:1.25;
font-weight:650;letter-spacing:-.01em;margin:0 0 6px;text-wrap:balance}p{margin:0 0 10px}.soft{color:var(--soft)}
"""  # what all our pages look like
STYLE = (
    BASE
    + """
.pair{position:relative;margin:26px 0 10px;border-radius:10px;overflow:hidden;background:var(--card);
border:1px solid var(--line);touch-action:pan-y}.pair img{display:block;width:100%;height:auto;-webkit-user-drag:none}
.pair .top{position:absolute;inset:0;clip-path:inset(0 calc(100% - var(--cut,50%)) 0 0)}
.pair .top img{height:100%;object-fit:cover}.pair .bar{position:absolute;top:0;bottom:0;left:var(--cut,50%);width:2px;
background:#fff;box-shadow:0 0 0 1px #0005;pointer-events:none}.pair input{position:absolute;inset:0;width:100%;
height:100%;margin:0;opacity:0;cursor:ew-resize}.pair span{position:absolute;bottom:10px;padding:2px 9px;
border-radius:99px;background:#000a;color:#fff;font-size:12px;pointer-events:none}.pair .l{left:10px}
.pair .r{right:10px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:14px;margin:26px 0 10px}
.two figure{margin:0}.two img{width:100%;border-radius:10px;border:1px solid var(--line)}figcaption{font-size:13px;
color:var(--soft);padding-top:4px}h2{font-size:19px;margin:38px 0 12px}.steps{display:grid;gap:14px;
grid-template-columns:repeat(auto-fill,minmax(300px,1fr))}.step{background:var(--card);border:1px solid var(--line);
border-radius:10px;overflow:hidden}.step img{display:block;width:100%;aspect-ratio:3/2;object-fit:contain;
background:repeating-conic-gradient(#8882 0 25%,#0000 0 50%) 0 0/18px 18px}.step div{padding:12px 14px}
.step b{font-size:16px}.step code{font-size:12.5px;overflow-wrap:anywhere}.step small{color:var(--soft);display:block}
.note,.taken{color:var(--mark)}.note{font-size:14px}
pre{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:14px;overflow:auto;font-size:13px}details{margin-top:14px}summary{cursor:pointer;color:var(--soft)}
"""
)
OUTCOMES = {
    "success": "accepted", "refine": "on the way", "failed": "not accepted", "missing": "could not be judged",
}  # fmt: skip
SLIDE = "this.parentNode.style.setProperty('--cut',this.value+'%')"


def page(
    title: str,
    before: Image,
    after: Image,
    workflow: Workflow,
    trace: Trace,
    outputs: Mapping[str, Mapping[str, Any]],
    rounds: Sequence[Image] = (),
    chosen: int = 0,
) -> str:
    """Return a whole HTML page; every text is escaped, every picture is inside, nothing is fetched.

    Args:
        title: the instruction.
        before, after: the picture given and the picture made.
        outputs: by step, what each step gave.
        rounds: the result of each round that was judged; ``chosen`` is the number of the one that was taken.
    """
    planned = next(iter(trace.of(Planned)), None)
    thought = f"<p class=soft>{escape(planned.thought)}</p>" if planned and planned.thought else ""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{thought}{_pair(before, after)}{_notes(trace)}"
        f"{_rounds(rounds, chosen, trace)}"
        f"<h2>{_count(len(workflow.steps))}</h2>{_steps(before, workflow, trace, outputs)}"
        f"<details><summary>The workflow as JSON</summary><pre>{escape(workflow.json())}</pre></details>"
        f"<details><summary>The trace as JSON</summary><pre>{escape(trace.json(2))}</pre></details>"
        "</main></body></html>\n"
    )


def fragment(
    before: Image, after: Image, workflow: Workflow, trace: Trace, outputs: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return a piece of HTML for a notebook: before and after, and the steps."""
    style = "display:inline-block;max-width:48%;margin:0 1% 6px 0"
    pictures = "".join(f"<img style='{style}' src='{inline(image, SMALL)}'>" for image in (before, after))
    lines = "".join(f"<li><code>{escape(str(step))}</code></li>" for step in workflow.steps)
    return f"<div>{pictures}<ol>{lines}</ol>{_notes(trace)}</div>"


def _pair(before: Image, after: Image) -> str:
    """Two pictures of one shape become a slider, others stand side by side."""
    old, new = inline(before, LARGE), inline(after, LARGE)
    if before.size == after.size:
        slider = f'<input type=range min=0 max=100 value=50 aria-label="before and after" oninput="{SLIDE}">'
        return (
            f'<div class=pair><img src="{new}" alt="after"><div class=top><img src="{old}" alt="before"></div>'
            f"<div class=bar></div><span class=l>before</span><span class=r>after</span>{slider}</div>"
        )
    sizes = ((old, "before", before.size), (new, "after", after.size))
    figures = "".join(
        f'<figure><img src="{source}" alt="{name}"><figcaption>{name}, {width} x {height}</figcaption></figure>'
        for source, name, (width, height) in sizes
    )
    return f"<div class=two>{figures}</div>"


def _notes(trace: Trace) -> str:
    return "".join(f"<p class=note>{escape(note)}</p>" for note in trace.notes)


def _rounds(pictures: Sequence[Image], chosen: int, trace: Trace) -> str:
    """What came out of each round, and what the critic said."""
    if not pictures:
        return ""
    said = {event.round: event for event in trace.of(Reviewed)}
    cards = "".join(
        _judged(picture, number, number == chosen, said.get(number)) for number, picture in enumerate(pictures)
    )
    return f"<h2>{len(pictures)} {'round' if len(pictures) == 1 else 'rounds'}</h2><div class=steps>{cards}</div>"


def _judged(picture: Image, number: int, taken: bool, event: Reviewed | None) -> str:
    outcome = OUTCOMES[event.outcome] if event else "the same picture as before"
    value = f" · {event.value:.0f} of 100" if event and event.value is not None else ""
    lines = [event.reason, *([f"still to be done: {event.then}"] if event.then else [])] if event else []
    told = "".join(f"<p class=soft>{escape(line)}</p>" for line in lines)
    mark = " class=taken" if taken else ""
    return (
        f'<div class=step><img src="{inline(picture, SMALL)}" alt="round {number + 1}"><div><b{mark}>'
        f"Round {number + 1}{', taken' if taken else ''}</b> <small>{escape(outcome)}{value}</small>{told}</div></div>"
    )


def _steps(before: Image, workflow: Workflow, trace: Trace, outputs: Mapping[str, Mapping[str, Any]]) -> str:
    done = {event.step: event for event in trace.of(StepDone)}
    cards = [_card(step, before, done.get(step.id), outputs.get(step.id, {})) for step in workflow.steps]
    return f"<div class=steps>{''.join(cards)}</div>"


def _card(step: Step, before: Image, event: StepDone | None, outputs: Mapping[str, Any]) -> str:
    shown = next((_shown(value, before) for value in outputs.values() if isinstance(value, Image | Mask)), None)
    picture = f'<img src="{inline(shown, SMALL)}" alt="after {escape(step.id)}">' if shown else ""
    texts = "".join(f"<p>{escape(repr(v))}</p>" for v in outputs.values() if not isinstance(v, Image | Mask))
    took = "not run: a later step was cached"
    if event:
        took = f"{event.engine} engine, {'from the cache' if event.cached else f'{event.seconds:.2f} s'}"
    return (
        f"<div class=step>{picture}<div><b>{escape(step.tool)}</b> <small>{escape(step.id)} · {escape(took)}</small>"
        f"<code>{escape(str(step))}</code>{texts}</div></div>"
    )


def _shown(value: Image | Mask, before: Image) -> Image:
    """A mask is shown as a tint over the picture that it belongs to, if it has its size."""
    if isinstance(value, Image):
        return value
    if value.size != before.size:
        return Image.open(value.pixels)
    grey = before.pixels.mean(2, keepdims=True) * 0.6 + 60
    share = value.pixels[..., None] / np.float32(255) * 0.7
    return Image((grey * (1 - share) + np.array(TINT, np.float32) * share).astype(np.uint8))


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"


def inline(image: Image | Mask, side: int) -> str:
    """Return a picture as a data URI, its long side at most so many px: JPEG, or PNG where parts of it are clear."""
    picture = image.pil()
    picture.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if picture.mode == "RGBA":
        picture.save(buffer, "PNG")
    else:
        picture.save(buffer, "JPEG", quality=88)
    kind = "png" if picture.mode == "RGBA" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
