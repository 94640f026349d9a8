"""The steps of a workflow, and how they refer to each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REFERENCE = re.compile(r"\$(\w+)(?:\.(\w+))?")


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a given value (``output`` is "") or to a named output of a step."""

    step: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call; ``args`` holds literals and ``$`` references."""

    id: str
    tool: str
    args: Mapping[str, Any]

    def __str__(self) -> str:
        args = (f"{name}={value if str(value).startswith('$') else repr(value)}" for name, value in self.args.items())
        return f"{self.tool}({', '.join(args)})"
