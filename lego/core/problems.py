"""What can be wrong with a workflow: a problem, the error made from several, and the shape of the plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lego.core.errors import WorkflowError

VERSION = 1


@dataclass(frozen=True)
class Problem:
    """One fault of a workflow: which step and argument, a stable code, what is wrong, and how to mend it."""

    step: str
    arg: str
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = ".".join(part for part in (self.step, self.arg) if part)
        return f"{place + ': ' if place else ''}{self.message}{f' ({self.hint})' if self.hint else ''}"


def invalid(problems: list[Problem]) -> WorkflowError:
    """Return the error that reports these problems, the first one's code as its code."""
    lines = "".join(f"\n  {problem}" for problem in problems)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return WorkflowError(
        f"the workflow has {count}:{lines}", hint="mend it and run it again", code=problems[0].code, problems=problems
    )


def parse(text: str) -> Any:
    """Return the data of a JSON text; what is wrong with it is said with line and column."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise WorkflowError(
            f"this is not JSON: {error.msg}", where=where, hint="mend it there", code="not_json"
        ) from None
    except RecursionError:
        raise WorkflowError("the JSON is nested too deeply", hint="a workflow is flat", code="not_json") from None


def shape(data: Any) -> Iterable[Problem]:
    """Yield what keeps plain data from being a workflow at all."""
    if not isinstance(data, Mapping):
        yield Problem(
            "",
            "",
            "bad_shape",
            f"a workflow is an object, not {type(data).__name__}",
            '{"version": 1, "steps": [...], "result": "$s1"}',
        )
        return
    for key in data:
        if key not in ("version", "steps", "result"):
            yield Problem("", str(key), "bad_shape", f"unknown key '{key}'", "allowed: version, steps, result")
    if data.get("version") != VERSION:
        yield Problem(
            "",
            "version",
            "bad_version",
            f"the version is {data.get('version')!r}",
            f"this release reads version {VERSION}",
        )
    result = data.get("result")
    if result in (None, "", []):
        yield Problem("", "result", "no_result", "the workflow has no result", 'such as "result": "$s1"')
    elif not isinstance(result, str) and not (isinstance(result, list) and all(isinstance(r, str) for r in result)):
        yield Problem("", "result", "bad_shape", "result is a reference or a list of references", "")
    steps = data.get("steps")
    if not isinstance(steps, list):
        yield Problem("", "steps", "bad_shape", "steps is a list of tool calls", "")
        return
    for number, step in enumerate(steps, 1):
        yield from _step_shape(number, step)


def _step_shape(number: int, step: Any) -> Iterable[Problem]:
    if not isinstance(step, Mapping):
        yield Problem(
            f"#{number}", "", "bad_shape", "a step is an object", '{"id": "s1", "tool": "...", "args": {...}}'
        )
        return
    name = str(step.get("id", f"#{number}"))
    for key in ("id", "tool"):
        if not isinstance(step.get(key), str):
            yield Problem(name, key, "bad_shape", f"'{key}' is missing or not a text", "")
    args = step.get("args", {})
    if not isinstance(args, Mapping) or not all(isinstance(key, str) for key in args):
        yield Problem(name, "args", "bad_shape", "'args' is an object of named values", "")
    for key in step:
        if key not in ("id", "tool", "args"):
            yield Problem(name, str(key), "bad_shape", f"unknown key '{key}'", "allowed: id, tool, args")
