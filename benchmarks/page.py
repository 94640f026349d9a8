"""The page that the measurements of the tools write, each its own section: docs/tools-quality.md."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "tools-quality.md"
HEAD = """# How good the tools are

Measured by `make quality` on the photographs in `docs/photos`, on one core; pictures and figures come from one run. The
figures say how near a result is to the truth, where there is one; the verdicts are one pair of eyes looking at the
pictures.
"""


def write(name: str, text: str) -> None:
    """Put a section between its markers, after all others if it is new; what others wrote there stays."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
    block = f"{first}\n{text.strip()}\n{last}"
    if first in page:
        page = page[: page.index(first)] + block + page[page.index(last) + len(last) :]
    else:
        page = f"{page.rstrip()}\n\n{block}\n"
    PAGE.write_text(page, encoding="utf-8")
