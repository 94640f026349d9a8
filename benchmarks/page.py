"""The pages that measurements write, each its own section: docs/tools-quality.md and docs/performance.md."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
HEADS = {
    "tools-quality": """# How good the tools are

Measured by `make quality` on the photographs in `docs/photos`, on one core; pictures and figures come from one run. The
figures say how near a result is to the truth, where there is one; the verdicts are one pair of eyes looking at the
pictures.
""",
    "performance": """# Performance

Written by `make bench`; every figure was measured by it. Each table comes from one run, in which the contestants took
turns. Figures are medians of **processor time** unless "wall" stands there, because it says the same on a busy machine;
where it does not, ratios do.
""",
}


def write(name: str, text: str, page: str = "tools-quality") -> None:
    """Put a section between its markers, after all others if it is new; what others wrote there stays."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    path = DOCS / f"{page}.md"
    old = path.read_text(encoding="utf-8") if path.exists() else HEADS[page]
    block = f"{first}\n{text.strip()}\n{last}"
    if first in old:
        new = old[: old.index(first)] + block + old[old.index(last) + len(last) :]
    else:
        new = f"{old.rstrip()}\n\n{block}\n"
    path.write_text(new, encoding="utf-8")


def table(head: str, rows: list[list[str]]) -> str:
    """A table of Markdown; ``head`` names the columns, divided by bars."""
    columns = head.count("|") + 1
    return "\n".join([f"| {head} |", "|" + "---|" * columns, *(f"| {' | '.join(row)} |" for row in rows)])
