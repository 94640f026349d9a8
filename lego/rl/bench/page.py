"""The page: a report as one file of HTML, complete in itself, with the pictures of the items that fared worst."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape

from PIL import Image as Pillow

from lego.core.errors import LegoError
from lego.core.values import Image
from lego.rl.bench.items import Item
from lego.rl.bench.suite import Cells, Column
from lego.rl.bench.summary import Figure, Line, Summary, Table

SIDE = 400  # pixels of the long side of a picture: sharp at the width of a third of a card
QUALITY = 85  # of the JPEG in the page
STYLE = """
:root{color-scheme:light dark;--ink:#1c1d21;--soft:#6a6d76;--line:#e3e4e8;--ground:#fafaf8;--card:#fff;--mark:#b93d0a;
--bar:#d9dce6;--inner:#8b93ad}
@media(prefers-color-scheme:dark){:root{--ink:#ececf0;--soft:#9a9daa;--line:#2e3038;--ground:#141519;--card:#1c1d23;
--mark:#fb923c;--bar:#2f323d;--inner:#6f7897}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1160px;margin:0 auto;padding:40px 20px 80px}h1{font-size:clamp(24px,3.4vw,34px);line-height:1.2;
letter-spacing:-.01em;margin:0 0 6px}h2{font-size:20px;margin:44px 0 4px}h3{font-size:16px;margin:30px 0 10px}
p{margin:0 0 10px}.soft,small{color:var(--soft)}.wide{overflow-x:auto;margin:14px 0 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}th,td{text-align:right;padding:6px 10px;
border-bottom:1px solid var(--line);white-space:nowrap}th{font-weight:500;color:var(--soft);font-size:13px;
vertical-align:bottom;white-space:normal}th:first-child,td:first-child{text-align:left;padding-left:0}td.main{font-weight:650}
table.few{width:auto;min-width:min(100%,620px)}td .off{color:var(--mark)}td.none{color:var(--soft)}
.scale{position:relative;display:inline-block;width:150px;height:12px;vertical-align:middle}
.scale i{position:absolute;top:5px;height:2px;background:var(--line);left:0;right:0}
.scale .b{top:3px;height:6px;background:var(--bar);border-radius:3px}.scale .n{top:3px;height:6px;
background:var(--inner);border-radius:3px}.scale .m{top:0;width:2px;height:12px;margin-left:-1px;background:var(--ink);
right:auto}
.cards{display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr))}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden}
.shots{display:flex;gap:2px;background:var(--line)}figure{margin:0;flex:1;min-width:0;background:var(--card)}
figure img,figure b{display:block;width:100%;aspect-ratio:4/3;object-fit:contain;background:var(--ground)}
figure b{display:grid;place-items:center;font-weight:400;font-size:13px;color:var(--soft)}
figcaption{font-size:12px;color:var(--soft);padding:3px 10px}.words{padding:8px 14px 14px}
.words p{margin:0 0 4px;overflow-wrap:anywhere}.words code{font-size:12.5px;color:var(--soft);overflow-wrap:anywhere}
.why{color:var(--mark);font-size:13.5px}
"""
LEGEND = (
    "<p class=soft>Dark: 95 % of the bootstrap over items. Light: as far as the mean could go if all that "
    "is missing or was not generated had the lowest or the highest value.</p>"
)


def page(summary: Summary, shown: int = 6) -> str:
    """Return a whole HTML page; every text is escaped, every picture is inside, nothing is fetched.

    Args:
        shown: items of each group whose pictures are in it, the lowest figures first.
    """
    title = f"{summary.suite.title}: {summary.builder}"
    runs = ", ".join(f"{count} {status}" for status, count in summary.runs.items())
    stale = f"; {summary.stale} judgements are of results that were made anew" if summary.stale else ""
    tables = "".join(map(_table, summary.tables)) or "<p class=soft>Nothing is judged yet.</p>"
    legend = LEGEND if summary.tables else ""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p class=soft>{len(summary.items)} items: {escape(runs + stale)}</p>{legend}"
        f"{tables}{_gallery(summary, shown)}</main></body></html>\n"
    )


def number(value: float | None, column: Column) -> str:
    """Return a figure as text; an en dash if there is none."""
    return "–" if value is None else f"{value:.{column.digits}f}"


def span(ends: tuple[float, float] | None, digits: int) -> str:
    """Return two ends as text; an en dash if there are none."""
    return "–" if ends is None else f"{ends[0]:.{digits}f} – {ends[1]:.{digits}f}"


def heading(table: Table) -> str:
    """Return in words by whom, how and in which language was judged."""
    passes = f", {table.passes} passes" if table.passes > 1 else ""
    held = ", scores held to each other" if table.clamp else ""
    prompts = f", prompts {table.prompts}" if table.prompts else ""
    lang = f", {table.lang}" if table.lang else ""
    return f"{table.judge}{prompts}{passes}; {table.mode} formulas{held}{lang}"


def _table(table: Table) -> str:
    name = next(score.judge for scores in table.scores.values() for score in scores)
    titled = f"Judged by {escape(name.rpartition('#')[2] or name)}{', ' + escape(table.lang) if table.lang else ''}"
    return f"<h2>{titled}</h2><p class=soft>{escape(heading(table))}</p>{_overall(table)}{_groups(table)}"


def _groups(table: Table) -> str:
    main = next(column for column in table.columns if column.name == table.main)
    heads = "".join(f"<th>{escape(column.name)}" for column in table.columns)
    rows = "".join(_row(line, table, main) for line in table.lines)
    return (
        "<div class=wide><table><thead><tr><th>group<th>items<th>judged<th>missing<th>not generated"
        f"{heads}<th>{escape(main.name)}, 95 %<th>{escape(main.name)}, {main.low:g} to {main.high:g}"
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _row(line: Line, table: Table, main: Column) -> str:
    counts = "".join(
        f"<td>{f'<span class=off>{count}</span>' if count else '0'}" for count in (line.missing, line.absent)
    )
    cells = "".join(
        f"<td{' class=main' if column is main else ''}>{number(line.figures[column.name].mean, column)}"
        for column in table.columns
    )
    figure = line.figures[main.name]
    interval = span(figure.interval, main.digits)
    return (
        f"<tr><td>{escape(line.name)}<td>{line.items}<td>{line.judged}{counts}{cells}"
        f"<td class=none>{interval}<td>{_scale(figure, main)}"
    )


def _scale(figure: Figure, column: Column) -> str:
    def at(value: float) -> float:
        return round(100 * (min(max(value, column.low), column.high) - column.low) / (column.high - column.low), 2)

    parts = ["<i></i>"]
    for name, ends in (("b", figure.bounds), ("n", figure.interval)):
        if ends:
            parts.append(f'<i class={name} style="left:{at(ends[0])}%;right:{100 - at(ends[1]):.2f}%"></i>')
    if figure.mean is not None:
        parts.append(f'<i class=m style="left:{at(figure.mean)}%"></i>')
    return f"<span class=scale>{''.join(parts)}</span>"


def _overall(table: Table) -> str:
    rows = "".join(
        f"<tr><td>{escape(label)}<td class=main>{'–' if f.mean is None else f'{f.mean:.2f}'}"
        f"<td class=none>{span(f.interval, 2)}<td class=none>{span(f.bounds, 2)}"
        for label, f in table.overall.items()
    )
    return (
        "<div class=wide><table class=few><thead><tr><th>over all<th>mean<th>95 %<th>with what is missing</thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _gallery(summary: Summary, shown: int) -> str:
    if shown < 1:
        return ""
    groups: dict[str, list[Item]] = {}
    for item in summary.items:
        groups.setdefault(f"{item.group}{f', {item.lang}' if len(summary.suite.langs) > 1 else ''}", []).append(item)
    parts = []
    for name, items in groups.items():
        first = sorted(items, key=_order(summary))[:shown]
        cards = "".join(_card(summary, item) for item in first)
        told = f"{len(first)} of {len(items)}{', the lowest first' if summary.tables else ''}"
        parts.append(f"<h3>{escape(name)} <small>{told}</small></h3><div class=cards>{cards}</div>")
    return f"<h2>Pictures</h2>{''.join(parts)}"


def _order(summary: Summary) -> Callable[[Item], tuple[bool, float]]:
    """By what the first judge made of them; what is missing comes first, what was not generated last."""

    def order(item: Item) -> tuple[bool, float]:
        table = next((table for table in summary.tables if item.id in table.cells), None)
        cells: Cells = table.cells[item.id][table.main] if table else ()
        known = [value for value in cells if value is not None]
        return item.id not in summary.results, sum(known) / len(known) if known else float("-inf")

    return order


def _card(summary: Summary, item: Item) -> str:
    result = summary.results.get(item.id)
    shots = [_shot("source", item.images[0].open)]
    shots.append(_shot("result", lambda: Image.open(result)) if result else _shot("result", None))
    if item.gt:
        shots.append(_shot("truth", item.gt.open))
    log = summary.log.get(item.id)
    why = f"<p class=why>{log.status}: {escape(log.error)}</p>" if log and log.error else ""
    scores = "".join(_scored(table, item) for table in summary.tables if result and item.id in table.cells)
    lang = ' lang="zh"' if item.lang == "cn" else ""
    return (
        f"<div class=card><div class=shots>{''.join(shots)}</div><div class=words><p{lang}>{escape(item.instruction)}"
        f"</p>{why}{scores}<code>{escape(item.id)}</code></div></div>"
    )


def _scored(table: Table, item: Item) -> str:
    told = []
    for column in table.columns:
        cells = table.cells[item.id][column.name]
        if cells:
            told.append(f"{escape(column.name)} {', '.join(number(value, column) for value in cells)}")
    lacking = {why for score in table.scores.get(item.id, ()) for why in score.missing.values()}
    why = "".join(f"<p class=why>missing: {escape(text)}</p>" for text in sorted(lacking))
    return f"<p><small>{' · '.join(told)}</small></p>{why}"


def _shot(name: str, opened: Callable[[], Image] | None) -> str:
    try:
        shown = f'<img src="{_inline(opened())}" alt="{name}" loading=lazy>' if opened else "<b>not generated</b>"
    except LegoError as error:
        shown = f"<b>{escape(error.message)}</b>"
    return f"<figure>{shown}<figcaption>{name}</figcaption></figure>"


def _inline(image: Image) -> str:
    picture = image.pil().convert("RGB")
    picture.thumbnail((SIDE, SIDE), Pillow.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
