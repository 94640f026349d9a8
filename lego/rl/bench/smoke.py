"""The smoke set: trials that the project makes itself, with the picture that should come out, for whole editors.

It needs no data and no judge: minutes tell how many wishes a builder and the tools fulfil together, in English and
Chinese, for one thing and for two. What it cannot tell is how they do on photographs and free words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lego.builder.base import Plan, Request
from lego.builder.calls import workflow_of
from lego.core.errors import LegoError, PlanError
from lego.editor import Editor
from lego.rl.trials import Trial, trial

Status: TypeAlias = Literal["right", "wrong", "declined", "failed"]
FIRST = 10_000  # number of the first trial; those below were looked at while things were built
NOTHING, TRUTH = "nothing", "truth"  # the source as it is; the right plan, run by the tools here


@dataclass(frozen=True)
class Tried:
    """One trial: what came of it, how long that took, and of which kind it is."""

    number: int
    status: Status
    seconds: float
    language: str
    wishes: int
    tools: tuple[str, ...]


@dataclass
class Known:
    """The builder that knows the right plan: what comes of it is the tools' own."""

    trial: Trial
    name: str = TRUTH

    def plan(self, request: Request) -> Plan:
        """See `lego.builder.base.Builder.plan`."""
        return Plan(workflow_of(self.trial.calls, request.tools))


def run(
    editor: Editor, count: int, rounds: int = 0, baseline: str = "", progress: Callable[[float], None] = lambda s: None
) -> Iterator[Tried]:
    """Let an editor do trials; yield what came of each.

    Args:
        baseline: "nothing" or "truth", in place of the editor's builder.
    """
    for number in range(FIRST, FIRST + count):
        yield _tried(editor, trial(number), rounds, baseline)
        progress((number - FIRST + 1) / count)


def _tried(editor: Editor, item: Trial, rounds: int, baseline: str) -> Tried:
    start = time.perf_counter()
    status: Status
    try:
        if baseline == NOTHING:
            image = item.image
        else:
            hands = editor.twin(Known(item)) if baseline == TRUTH else editor
            image = hands.edit(item.image, item.instruction, rounds=rounds, seed=item.number).image
        status = "right" if item.done(image) else "wrong"
    except PlanError:
        status = "declined"
    except LegoError:
        status = "failed"
    seconds = time.perf_counter() - start
    return Tried(item.number, status, seconds, item.language, len(item.calls), tuple(call.tool for call in item.calls))


def table(tried: Sequence[Tried]) -> list[tuple[str, int, int, int, int, int]]:
    """Rows of group, count, right, wrong, declined, failed: languages, numbers of wishes, tools, and all."""
    groups: dict[str, list[Tried]] = {"English": [], "Chinese": [], "one wish": [], "two wishes": []}
    for one in tried:
        groups["English" if one.language == "en" else "Chinese"].append(one)
        groups["one wish" if one.wishes == 1 else "two wishes"].append(one)
    for name in sorted({name for one in tried for name in one.tools}):
        groups[name] = [one for one in tried if name in one.tools]
    groups["all"] = list(tried)
    return [(name, len(some), *_counts(some)) for name, some in groups.items() if some]


def _counts(some: Sequence[Tried]) -> tuple[int, int, int, int]:
    states = [one.status for one in some]
    return states.count("right"), states.count("wrong"), states.count("declined"), states.count("failed")
