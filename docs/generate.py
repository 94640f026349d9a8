"""Write the pages that are made from the code: docs/tools.md and docs/errors.md (`make docs`)."""

from __future__ import annotations

import inspect
from pathlib import Path

import lego.tools  # registers the embedded tools
from lego.core import errors
from lego.core.registry import Tool, registry

HERE = Path(__file__).parent
NOTICE = "<!-- written by docs/generate.py; change the code instead -->\n"


def tools_page() -> str:
    """All tools by family."""
    ready = registry.running()
    needy = [f"`{tool.name}`" for tool in registry if tool.name not in ready]
    needs = f"Beside them {' and '.join(needy)} need [weights](networks.md), and are offered where these are."
    parts = [f"# Tools\n\n{NOTICE}\n{len(ready)} tools are embedded: no weights, no network. {needs}\n"]
    family = ""
    for tool in sorted(registry, key=lambda tool: (tool.family, tool.name)):
        if tool.family != family:
            family = tool.family
            parts.append(f"\n## {family.capitalize()}\n")
        parts.append(described(tool))
    return "\n".join(parts)


def described(tool: Tool[..., object]) -> str:
    """One tool: sentence, parameters, outputs, words."""
    rows = [f"| `{p.name}` | {cell(str(p).partition(': ')[2])} | {cell(p.description)} |" for p in tool.params]
    outputs = ", ".join(f"`{o.name}`" + ("" if o.name == o.kind else f" ({o.kind})") for o in tool.outputs)
    words = ", ".join(f"“{phrase.text}”" for phrase in tool.phrases)
    table = "\n".join(["| parameter | takes | |", "|---|---|---|", *rows])
    lines = [f"\n### {tool.name}\n", f"{tool.sentence} *{tool.scope.capitalize()}*; gives {outputs}.\n", table]
    return "\n".join([*lines, f"\nSay: {words}" if words else ""]).rstrip() + "\n"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def errors_page() -> str:
    """The tree of errors, as its module draws it."""
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.LegoError)]
    rows = [f"| `{k.__name__}` | `{k.default_code}` | {(inspect.getdoc(k) or '').splitlines()[0]} |" for k in kinds]
    tree = (errors.__doc__ or "").split("\n\n", 1)[1]
    table = "\n".join(["| error | code | |", "|---|---|---|", *rows])
    return f"# Errors\n\n{NOTICE}\n{tree}\n{table}\n"


PAGES = {"tools.md": tools_page, "errors.md": errors_page}


def main() -> None:
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
