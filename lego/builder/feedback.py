"""Feedback: what a user says of an earlier plan as far as it speaks of tools ("don't use segment before inpaint").

Such words bind every builder, whether it can read them or not: tools are taken off the offer, and a plan that breaks
what was said is no valid plan. All else that a user says is a wish like any other, and is planned as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lego.core.phrases import SLOT
from lego.core.registry import Tool
from lego.core.workflow import Workflow

NEVER = re.compile(
    r"\b(?:do not|don't|dont|never|without|avoid|stop|not|no)\b|instead of|rather than"
    r"|不要|不用|别|不能|禁止|避免|而不是",
    re.I,
)
USE = re.compile(
    r"\b(?:us(?:e|es|ing)|call(?:ing)?|run(?:ning)?|appl(?:y|ying)|tool|step)\b|用|调用|使用|工具|步骤", re.I
)
BEFORE = re.compile(r"\s*,?\s*(?:tool\s+)?(?:right |directly )?before\s+(?:the\s+)?|之前先?用?|前面?先?用?", re.I)
AFTER = re.compile(r"\s*,?\s*(?:tool\s+)?(?:right |directly )?after\s+(?:the\s+)?|之后再?用?|后面?再?用?", re.I)
LETTERS = 5  # of a phrase of one word that names a tool: "inpaint", but not "fix"


@dataclass(frozen=True)
class Feedback:
    """What was said of tools.

    Attributes:
        said: the user's words.
        without: tools that are not to be used.
        wanted: tools that are to be used.
        order: pairs of which the first must not come before the second.
    """

    said: str
    without: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    order: tuple[tuple[str, str], ...] = ()

    @property
    def binds(self) -> bool:
        """Does it forbid anything? To name a tool alone ("apply grain") is a wish."""
        return bool(self.without or self.order)

    def faults(self, workflow: Workflow) -> Iterator[str]:
        """Yield what in a plan breaks it, as sentences."""
        names = [step.tool for step in workflow.steps]
        for name in sorted(self.without & set(names)):
            yield f"the user does not want '{name}' to be used"
        for name in sorted(self.wanted - set(names)):
            yield f"the user wants '{name}' to be used"
        for first, second in self.order:
            if first in names and second in names and names.index(first) < names.index(second):
                yield f"the user does not want '{first}' to be used before '{second}'"


@dataclass(frozen=True)
class _Mention:
    start: int
    end: int
    tool: str


def read(said: str, tools: Iterable[Tool[..., Any]]) -> Feedback:
    """Read what the words say of the tools; a tool is known by its name, or by a word that calls it."""
    found = list(_mentions(said, tools))
    if not found or not USE.search(said):
        return Feedback(said)
    without, wanted, order = set(), set(), []
    at = 0
    while at < len(found):
        one = found[at]
        following = found[at + 1] if at + 1 < len(found) else None
        between = said[one.end : following.start] if following else ""
        negated = _negated(said, one)
        if following and negated and BEFORE.fullmatch(between):
            order.append((one.tool, following.tool))
            at += 1
        elif following and negated and AFTER.fullmatch(between):
            order.append((following.tool, one.tool))
            at += 1
        elif negated:
            without.add(one.tool)
        else:
            wanted.add(one.tool)
        at += 1
    return Feedback(said, frozenset(without), frozenset(wanted - without), tuple(order))


def _negated(said: str, mention: _Mention) -> bool:
    """Is there a negation before it in the same part of the sentence?"""
    part = re.split(r"[,.;!?，。；！？]|\bbut\b|但", said[: mention.start])[-1]
    return bool(NEVER.search(part))


def _mentions(said: str, tools: Iterable[Tool[..., Any]]) -> Iterator[_Mention]:
    """Yield the tools that are named, in order; of names within each other the longest."""
    names: dict[str, str] = {}
    for tool in tools:
        for phrase in tool.phrases:
            word = SLOT.sub("", phrase.text).strip()
            if word.isascii() and word.isalpha() and len(word) >= LETTERS:
                names.setdefault(word, tool.name)
    for tool in tools:
        names |= {tool.name: tool.name, tool.name.replace("_", " "): tool.name}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    for match in re.finditer(rf"(?<![A-Za-z_])(?:{pattern})(?![A-Za-z_])", said, re.IGNORECASE):
        yield _Mention(match.start(), match.end(), names[match[0].lower()])


def joined(instruction: str, wish: str) -> str:
    """Return an instruction with one more wish at its end."""
    chinese = any("\u3400" <= letter <= "\u9fff" for letter in instruction)
    return f"{instruction.rstrip(' .。!！')}{'，然后' if chinese else ', then '}{wish}"
