"""The files that the official scripts write, made of our scores, so that their last step can be run on them."""

from __future__ import annotations

from pathlib import Path

from lego.rl.bench.gedit import write_tables
from lego.rl.bench.imgedit import write_replies
from lego.rl.bench.judging import TALKER
from lego.rl.bench.kris import write_metrics
from lego.rl.bench.running import folder_name
from lego.rl.bench.summary import Summary


def export(summary: Summary) -> list[Path]:
    """Write what the official script of the suite would; return where it is.

    GEdit-Bench: a table for each group, of all languages, in a folder named by the judge. ImgEdit-Bench: the judge's
    replies of the first pass. KRIS-Bench: the scores of each type. Other suites: nothing. Where several judges, or one
    with several sets of prompts, have scored, the last one counts.
    """
    tables = [table for table in summary.tables if table.kind == TALKER]
    if not tables:
        return []
    last = [t for t in tables if (t.judge, t.prompts) == (tables[-1].judge, tables[-1].prompts)]
    if summary.suite.name == "gedit":
        rows = {}
        for table in last:
            for item in table.items:
                (sc,), (pq,) = table.cells[item.id]["SC"], table.cells[item.id]["PQ"]
                if sc is not None and pq is not None:
                    rows[item.id] = (item, summary.results[item.id], sc, pq)
        name = next(score.judge for scores in last[0].scores.values() for score in scores)
        return write_tables(summary.home, folder_name(name), rows)
    if summary.suite.name == "kris":
        made = {i.id: (i, t.cells[i.id]) for t in last for i in t.items if i.id in t.scores}
        return write_metrics(summary.home, made)
    if summary.suite.name == "imgedit":
        texts = {name: lines[0].raw["score"] for name, lines in last[0].scores.items() if "score" in lines[0].raw}
        return [write_replies(summary.home, texts)]
    return []
