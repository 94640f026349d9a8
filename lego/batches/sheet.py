"""The contact sheet: pages of HTML, complete in themselves, with each picture before and after; failures first."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from lego.batches.items import Line, thumb_path
from lego.core.codec import write_whole
from lego.report import BASE

FILE = "sheet.html"
ROWS = 1000  # of one page: some 15 MB, which a browser opens in a second or two
LONG = 60  # characters of a title; longer ones are set smaller
OUTCOMES = {"success": "accepted", "refine": "on the way", "failed": "not accepted", "missing": "not judged"}

STYLE = (
    BASE
    + """
:root{--bad:#b42318;--badground:#fef3f2}@media(prefers-color-scheme:dark){:root{--bad:#fda29b;--badground:#2b1512}}
main{max-width:1440px;padding-top:32px}h1.long{font-size:clamp(18px,2.2vw,22px)}
nav{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:8px;align-items:center;padding:12px 0;
margin:14px 0 8px;background:var(--ground);border-bottom:1px solid var(--line)}
nav button,nav input,nav a{font:inherit;font-size:14px;color:inherit;background:var(--card);text-decoration:none;
border:1px solid var(--line);border-radius:99px;padding:5px 13px;min-height:34px}nav button{cursor:pointer}
nav button[aria-pressed=true],nav a[aria-current]{background:var(--ink);color:var(--ground);border-color:var(--ink)}
nav input{flex:1 1 160px;min-width:0;max-width:320px}nav span{flex:1}
:is(nav *,.pics):focus-visible{outline:2px solid var(--mark);outline-offset:2px}
.cards{display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));align-items:start}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden;
content-visibility:auto;contain-intrinsic-size:auto 260px}.card[hidden]{display:none}
.pics{display:grid;grid-template-columns:1fr 1fr;gap:2px;background:var(--line);color:var(--soft);font-size:13px;
text-decoration:none}.pics>*{aspect-ratio:4/3;width:100%;min-width:0;object-fit:contain;background:var(--card);
display:grid;place-items:center;text-align:center;padding:0}.pics>span{padding:8px;background:var(--ground)}
.text{padding:11px 14px 13px;overflow-wrap:anywhere}.head{display:flex;gap:10px;justify-content:space-between;
align-items:baseline}.head b{font-size:14px;font-weight:600}.head small{color:var(--soft);
white-space:nowrap;font-size:12.5px}
.words{font-size:14px;margin:2px 0 0}.steps{list-style:none;margin:6px 0 0;padding:0}
.steps li{font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace;color:var(--soft)}
.said{font-size:14px;margin:6px 0 0}details{margin-top:6px;font-size:13px}details p{margin:4px 0 0;color:var(--soft)}
.bad{border-color:var(--bad)}.why span{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:4;
overflow:hidden}.why:is(:hover,:focus) span{-webkit-line-clamp:none}
.bad .why{margin:6px 0 0;padding:8px 10px;border-radius:7px;font-size:13.5px;
background:var(--badground);color:var(--bad)}.bad .why small{display:block;color:var(--soft);font-size:12.5px}
.none{display:none;color:var(--soft);padding:40px 0;text-align:center}.none.on{display:block}
@media(max-width:480px){main{padding:22px 14px 60px}nav input{flex-basis:100%;max-width:none}.cards{gap:12px}}
"""
)
SCRIPT = """
const all=name=>[...document.querySelectorAll(name)],cards=all('.card'),[find]=all('input'),[none]=all('.none');
let kind='';function show(){const words=find.value.toLowerCase();let seen=0;for(const c of cards){
const off=(kind&&c.dataset.kind!==kind)||(words&&!c.textContent.toLowerCase().includes(words));c.hidden=off;seen+=!off}
none.classList.toggle('on',!seen)}find.oninput=show;for(const b of all('nav button'))b.onclick=()=>{
kind=b.dataset.kind;for(const o of all('nav button'))o.ariaPressed=o===b;show()};
"""


def write(out: Path, lines: Sequence[Line], total: int) -> Path:
    """Write the pages; return the first.

    Args:
        lines: of items that are finished.
        total: how many items there are.

    Raises:
        ImageError: a page cannot be written.
    """
    ordered = sorted(lines, key=lambda line: (line.status != "failed", line.output))
    parts = [ordered[begin : begin + ROWS] for begin in range(0, len(ordered), ROWS)]
    for number, part in enumerate(parts, 1):
        write_whole(out / _file(number), _page(out, part, lines, total, (number, len(parts))).encode())
    for old in out.glob("sheet-*.html"):
        if old.name not in {_file(number) for number in range(2, len(parts) + 1)}:
            old.unlink(missing_ok=True)
    return out / FILE


def _file(number: int) -> str:
    return FILE if number == 1 else f"sheet-{number}.html"


def _page(out: Path, part: Sequence[Line], lines: Sequence[Line], total: int, place: tuple[int, int]) -> str:
    wishes = {line.words or "a workflow" for line in lines}
    title = next(iter(wishes)) if len(wishes) == 1 else f"{len(wishes)} instructions"
    small = " class=long" if len(title) > LONG else ""
    cards = "".join(_card(out, line, len(wishes) > 1) for line in part)
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1{small}>{escape(title)}</h1><p class=soft>{_summary(lines, total)}</p>{_bar(lines, place)}"
        f"<div class=cards>{cards}</div><p class=none>Nothing here looks like that.</p></main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _summary(lines: Sequence[Line], total: int) -> str:
    spent = sum(line.seconds for line in lines)
    pictures = "1 picture" if total == 1 else f"{total:,} pictures"
    waiting = f", {total - len(lines):,} still to be done" if total > len(lines) else ""
    return f"{pictures}{waiting} · {spent / len(lines):.2f} s each on average"


def _bar(lines: Sequence[Line], place: tuple[int, int]) -> str:
    failed = sum(line.status == "failed" for line in lines)
    kinds = [("", f"All {len(lines):,}"), ("done", f"Done {len(lines) - failed:,}"), ("failed", f"Failed {failed:,}")]
    buttons = "".join(
        f'<button data-kind="{kind}" aria-pressed={str(not kind).lower()}>{text}</button>'
        for kind, text in (kinds if failed else kinds[:1])
    )
    number, count = place
    pages = "".join(
        f'<a href="{_file(n)}"{" aria-current=page" if n == number else ""}>{n}</a>' for n in range(1, count + 1)
    )
    links = f"<span></span>{pages}" if count > 1 else ""
    return f'<nav>{buttons}<input type=search placeholder="Find a name or word" aria-label="find">{links}</nav>'


def _card(out: Path, line: Line, worded: bool) -> str:
    bad = line.status == "failed"
    written = next((seen.path for seen in line.made), "")
    pair = f"{_thumb(out, line.thumbs[0], 'before')}{_thumb(out, line.thumbs[1], 'failed' if bad else 'after')}"
    pics = f'<a class=pics href="{quote(written)}">{pair}</a>' if written else f"<div class=pics>{pair}</div>"
    words = f"<p class=words>{escape(line.words)}</p>" if worded and line.words else ""
    steps = "".join(f"<li>{escape(step)}</li>" for step in line.steps)
    said = "".join(f"<p class=said>{escape(text)}</p>" for text in line.texts)
    notes = "".join(f"<p>{escape(note)}</p>" for note in line.notes)
    noted = f"<details><summary>Notes</summary>{notes}</details>" if notes else ""
    hint = f"<small>{escape(line.hint)}</small>" if line.hint else ""
    why = f"<p class=why tabindex=0><span>{escape(line.error)}</span>{hint}</p>" if bad else ""
    judged = f" · {OUTCOMES[line.verdict]}" if line.verdict else ""
    return (
        f'<article class="card{" bad" if bad else ""}" data-kind={line.status}>{pics}<div class=text>'
        f"<div class=head><b>{escape(line.output)}</b><small>{line.seconds:.2f} s{judged}</small></div>{words}{why}"
        f"{f'<ul class=steps>{steps}</ul>' if steps else ''}{said}{noted}</div></article>"
    )


def _thumb(out: Path, name: str, what: str) -> str:
    try:
        data = thumb_path(out, name).read_bytes() if name else b""
    except OSError:
        data = b""
    if not data:
        return f"<span>{'not read' if what == 'before' else 'nothing was made' if what == 'failed' else 'words'}</span>"
    source = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
    return f'<img loading=lazy decoding=async src="{source}" alt="{what}">'
