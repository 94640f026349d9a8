"""The workflow dialect of the Lego-Edit paper (arXiv 2509.12883): read it, and repair what its builder gets wrong.

The text of a builder goes down a ladder, and every repair on the way is recorded as a sentence: cut off the reasoning,
find the object with a pipeline, strict JSON, punctuation outside strings, JSON5 if installed, shape. What cannot be
repaired without guessing is an error that goes back to the builder. `check` judges what was read; `to_workflow`
translates it into our own form.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from lego.core import brick_check, brick_translation
from lego.core.brick_translation import Translated
from lego.core.bricks import REFERENCE, Chain, Finding
from lego.core.errors import WorkflowError

__all__ = ["Finding", "Parsed", "check", "parse", "translate"]

MARKS = str.maketrans("，：｛｝［］", ",:{}[]")  # what a builder that thinks in Chinese writes outside strings
SPACES = " \t\n\r"  # the only white space of JSON
JSON5_LIMIT = 100_000  # characters; the json5 module is pure Python, and a plan of 4096 tokens has about 16,000

# Where an object may begin; a brace in prose, such as {step 2}, is passed over.
START = re.compile(r"[{｛]\s*+(?:[\"'}｝]|/[/*]|\w++\s*+[:：])")
# Every alternative takes all it can, and what is left open ends with the text, so that no character is read twice.
TOKEN = re.compile(
    r"""(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))
    |(?P<quoted>'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+')
    |(?P<comment>(?<!:)//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))
    |(?P<mark>[{}\[\],:｛｝［］，：])
    |(?P<atom>[^\s"{}\[\],:｛｝［］，：]++)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Parsed:
    """A workflow of the dialect in canonical form.

    Attributes:
        process: the instruction as the builder repeated it; a comment.
        pipeline: the steps, value for value; the last element is ``{"result": [references]}``.
        repairs: a sentence for every kind of fault that was mended, empty for a clean text.
        thought: what stood inside ``<think>``.
    """

    process: str
    pipeline: list[dict[str, Any]]
    repairs: tuple[str, ...] = ()
    thought: str = ""


def parse(text: str) -> Parsed:
    """Read what a builder wrote: reasoning, fences and prose around a workflow, and the usual slips of punctuation.

    Time is linear in the length of the text. Brackets are never closed and words never corrected by guess.

    Raises:
        WorkflowError: code "truncated" (the reasoning or the object never ends), "no_workflow" (no object has a
            pipeline), "not_json" (the punctuation cannot be mended) or "bad_shape" (JSON, but no workflow).
    """
    text = text.removeprefix("\ufeff")
    close = text.rfind("</think>")
    head, body = (text[:close], text[close + len("</think>") :]) if close >= 0 else ("", text)
    prose, opened, thought = head.partition("<think>")
    if not opened:  # chat templates often write the opening tag themselves
        prose, thought = "", head
    start, end = _locate(body)
    repairs = _surroundings(prose + body[:start], body[end:])
    data, mended = _load(body[start:end], text.count("\n", 0, len(text) - len(body) + start))
    process, pipeline, shaped = _shape(data)
    return Parsed(process, pipeline, (*repairs, *mended, *shaped), thought.strip())


def translate(parsed: Parsed) -> Translated:
    """Return the parts of our own `Workflow`; ``notes`` tell every repair and whatever was dropped or approximated.

    A brick without a counterpart becomes a step with the brick's name in lower case and underscores, so that
    `Workflow.check` reports it as an unknown tool, unless such a tool is registered.

    Raises:
        WorkflowError: code "cycle", steps wait for each other.
    """
    return brick_translation.translate(Chain(parsed.pipeline), parsed.repairs)


def check(parsed: Parsed, given: Collection[str] = ("image", "mask")) -> list[Finding]:
    """Return every fault of a workflow as the paper's bricks see it; never raises.

    A finding of level "error" cannot run or would mean something else; a "warning" breaks advice or wastes a step.

    Args:
        given: what the request holds, as in ``init[image]``; leave "mask" out if the user painted none.
    """
    return brick_check.check(Chain(parsed.pipeline), given)


def _locate(text: str) -> tuple[int, int]:
    """Find the first balanced object that has a pipeline of its own; return where it starts and ends."""
    position, span = 0, None
    while span is None and position >= 0 and (opening := START.search(text, position)):
        span, position = _scan(text, opening.start())
    if "<think>" in (text if span is None else text[: span[0]]):
        _truncated("the reasoning is never closed, so the answer was cut off")
    if span is None and position < 0:
        _truncated("the workflow ends in the middle")
    if span is None:
        raise WorkflowError(
            "there is no workflow in the text",
            hint='the dialect is {"process": "...", "pipeline": [...]}; Workflow.load reads our own form',
            code="no_workflow",
        )
    return span


def _scan(text: str, start: int) -> tuple[tuple[int, int] | None, int]:
    """Read one outermost object; return the workflow in it, if any, and where to go on (-1: it never ends)."""
    opened: list[tuple[int, bool]] = []  # where each open object starts, and whether it has a pipeline
    found: list[tuple[int, int]] = []
    key = False
    for token in TOKEN.finditer(text, start):
        piece, kind = token[0], token.lastgroup
        if kind == "comment":
            continue
        mark = piece.translate(MARKS) if kind == "mark" else ""
        if mark == "{":
            opened.append((token.start(), False))
        elif mark == ":" and key:
            opened[-1] = (opened[-1][0], True)
        elif mark == "}":
            begin, complete = opened.pop()
            if complete:
                while found and found[-1][0] > begin:
                    found.pop()  # it lies inside this one
                found.append((begin, token.end()))
            if not opened:
                return (found[0] if found else None), token.end()
        key = piece in ('"pipeline"', "'pipeline'", "pipeline")
    if any(complete for _, complete in opened):
        return None, -1
    return (found[0] if found else None), -1


def _truncated(message: str) -> NoReturn:
    raise WorkflowError(message, hint="let the builder write more tokens, and ask again", code="truncated")


def _surroundings(before: str, after: str) -> Iterator[str]:
    """Say what stood around the workflow."""
    bare = [re.sub(r"```\w*", "", part).strip() for part in (before, after)]
    if "```" in before + after:
        yield "cut off the code fence around the workflow"
    if any(bare):
        yield f"cut off prose around the workflow ({len(bare[0])} characters before it, {len(bare[1])} after it)"


def _load(text: str, lines_before: int) -> tuple[Any, list[str]]:
    """Read one object by rungs 3 to 5: strict JSON, mended punctuation, JSON5."""
    try:
        return _strict(text), []
    except ValueError:
        mended, repairs = _mend(text)
    try:
        return _strict(mended), repairs
    except ValueError as error:
        data = _json5(mended)
        if data is not None:
            return data, [*repairs, "read single quotes, comments or bare names as JSON5"]
        where = ""
        if isinstance(error, json.JSONDecodeError):
            near = mended[max(0, error.pos - 20) : error.pos + 20]
            where = f"line {lines_before + error.lineno}, near {near!r}"
            error = ValueError(error.msg)
        raise WorkflowError(
            f"the workflow is not JSON: {error}", where=where, hint="mend it there", code="not_json"
        ) from None


def _strict(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_constant, object_pairs_hook=_members)
    except RecursionError:
        raise WorkflowError("the workflow is nested too deeply", hint="a pipeline is flat", code="not_json") from None


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        _bad_shape(f"the name '{twice}' is given twice in one object", "", "which value counts cannot be known")
    return members


def _mend(text: str) -> tuple[str, list[str]]:
    """Mend punctuation outside strings; what the strings hold is never touched."""
    out: list[str] = []
    wide = dropped = missing = last = 0
    comma = -1  # where in `out` a comma stands that nothing but space followed so far
    ended = False  # the last token ends a value
    for token in TOKEN.finditer(text):
        gap, piece = text[last : token.start()], token[0]
        last = token.end()
        if gap.strip(SPACES):
            wide += 1
            gap = "".join(c if c in SPACES else " " for c in gap)
        mark = piece.translate(MARKS) if token.lastgroup == "mark" else ""
        wide += bool(mark) and mark != piece
        if mark in ("}", "]") and comma >= 0:
            out[comma] = ""
            dropped += 1
        if ended and (mark in ("{", "[") or token.lastgroup in ("string", "quoted", "atom")):
            out.append(",")
            missing += 1
        out += [gap, mark or piece]
        if token.lastgroup != "comment":
            comma = len(out) - 1 if mark == "," else -1
            ended = mark in ("}", "]", "")
    counted = {
        "turned full-width punctuation outside strings into ASCII": wide,
        "dropped trailing commas": dropped,
        "put in missing commas": missing,
    }
    return "".join(out), [f"{what} ({count})" for what, count in counted.items() if count]


def _json5(text: str) -> Any:
    """Return the object, or None if json5 is not installed or cannot read it either."""
    if len(text) > JSON5_LIMIT:
        return None
    try:
        return importlib.import_module("json5").loads(text, parse_constant=_constant, object_pairs_hook=_members)
    except (ImportError, ValueError, RecursionError):
        return None


def _shape(data: dict[str, Any]) -> tuple[str, list[dict[str, Any]], list[str]]:
    """Bring a JSON object into canonical form: process, pipeline with the result at its end, repairs."""
    repairs: list[str] = []
    process, elements = data.get("process"), data.get("pipeline")
    if process is None:
        process = ""
        repairs.append("took the missing process as empty")
    if not isinstance(process, str):
        _bad_shape("process is not a text", "process", "repeat the instruction there")
    if not isinstance(elements, list):
        _bad_shape("pipeline is not a list", "pipeline", "a list of steps with the result as its last element")
    found = [data["result"]] if "result" in data else []
    if found:
        repairs.append("moved the result from the top level to the end of the pipeline")
    steps = []
    for index, element in enumerate(elements):
        if isinstance(element, dict) and "result" in element and "model" not in element:
            found.append(element["result"])
            if index < len(elements) - 1:
                repairs.append("moved the result to the end of the pipeline")
            if len(element) > 1:
                repairs.append("dropped what stood beside the result")
        else:
            steps.append(_step(element, f"pipeline[{index}]"))
    if unknown := [key for key in data if key not in ("process", "pipeline", "result")]:
        repairs.append(f"dropped unknown names at the top level: {', '.join(unknown)}")
    return process, [*steps, {"result": _result(found, repairs)}], repairs


def _step(element: Any, where: str) -> dict[str, Any]:
    if not isinstance(element, dict):
        _bad_shape("a step is not an object", where, '{"step": 1, "model": "...", "input": {...}, "output": {...}}')
    number = element.get("step")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        _bad_shape("'step' is missing or no integer from 1", where, "number the steps 1, 2, 3")
    if not isinstance(element.get("model"), str):
        _bad_shape("'model' is missing or no text", where, "the name of a brick")
    for key in ("input", "output"):
        if not isinstance(element.get(key), dict):
            _bad_shape(f"'{key}' is missing or no object", where, "an object of named values")
    return element


def _result(found: list[Any], repairs: list[str]) -> list[str]:
    """Return the one result as a list of references; it may be written several times, but not differently."""
    read = [_references(value, repairs) for value in found]
    if not read:
        _bad_shape("there is no result", "pipeline", 'end it with {"result": "[step1[image]]"}')
    if any(references != read[0] for references in read):
        _bad_shape("two results contradict each other", "result", "give one, as the last element of the pipeline")
    if len(read) > 1:
        repairs.append("dropped a repeated result")
    return read[0]


def _references(value: Any, repairs: list[str]) -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    if not isinstance(value, str):
        _bad_shape("the result is no list of references", "result", '{"result": "[step1[image]]"}')
    inner = value.strip()
    if REFERENCE.fullmatch(inner):
        repairs.append("put the single result into a list")
    elif inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    else:
        _bad_shape(f"the result {inner[:60]!r} is no list of references", "result", '{"result": "[step1[image]]"}')
    return [part.strip() for part in inner.split(",")] if inner.strip() else []


def _bad_shape(message: str, where: str, hint: str) -> NoReturn:
    raise WorkflowError(message, where=where, hint=hint, code="bad_shape")
