"""Verdicts: what a critic says of a result, and how the words of one that is a language model are read.

The formats and the caps are those of ReasonEdit (arXiv 2511.22625), with the defects of its release left out: nothing
is rescaled, one validator reads all, and words that cannot be read are no verdict instead of a bad one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from lego.builder.served import objects

Outcome: TypeAlias = Literal["success", "refine", "failed", "missing"]
HIGHEST = 10.0  # of a score; the lowest is 0
THINK = "<#Think>"
CLOSINGS: dict[str, Outcome] = {"<#Success>": "success", "<#Reflection>": "refine", "<#Failed>": "failed"}
TAG = re.compile(r"<#\w+>")
MEETS = {"no": 2.0, "partial": 5.0}  # caps
MAJOR_ONE, MAJOR_MORE = 8.0, 5.0
LACKING = 7.0  # something left out, or made up
FLAWED = 8.99  # anything at all is wrong
MINOR = ((6, 7.0), (3, FLAWED))  # from so many on; ReasonEdit lets any number pass


@dataclass(frozen=True)
class Scores:
    """How good a result is, each 0..10.

    Attributes:
        success: is what was asked to be seen?
        restraint: is all else as it was (10), or edited too (0)?
        naturalness, cleanness: does it look natural; is it free of artefacts?
    """

    success: float
    restraint: float
    naturalness: float
    cleanness: float

    @property
    def value(self) -> float:
        """What the best round is chosen by, 0..100: the smaller one of each pair, multiplied."""
        return min(self.success, self.restraint) * min(self.naturalness, self.cleanness)


@dataclass(frozen=True)
class Verdict:
    """What a critic says.

    Attributes:
        outcome: "success"; "refine", go on from the result; "failed", begin again from the source; "missing", the
            critic cannot tell.
        reason: why, for people.
        then: of "refine": what is still to be done, as an instruction.
        findings: what is wrong, sentence by sentence, for the next plan.
        scores: None where the critic could not give them.
        facts: how it came to be: the critic's own words, caps that applied, measures.
    """

    outcome: Outcome
    reason: str
    then: str = ""
    findings: tuple[str, ...] = ()
    scores: Scores | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def judged(self) -> bool:
        """Can the round be compared with others?"""
        return self.outcome != "missing" and self.scores is not None

    def dump(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "facts": dict(self.facts), "findings": list(self.findings)}


@dataclass(frozen=True)
class Assessment:
    """A look at the result alone: what conflicts with the instruction, and how well it is met.

    Attributes:
        meets: "yes", "partial", "no", or "" where the critic did not say.
        raw: the critic's own score, 0..10.
    """

    meets: str
    major: int
    minor: int
    omissions: int
    hallucinations: int
    raw: float
    reason: str

    @property
    def caps(self) -> list[tuple[str, float]]:
        """Every cap that applies, with its name."""
        found = [(f"meets: {self.meets}", MEETS[self.meets])] if self.meets in MEETS else []
        if self.major:
            found.append((f"major conflicts: {self.major}", MAJOR_ONE if self.major == 1 else MAJOR_MORE))
        for name, count in (("omissions", self.omissions), ("hallucinations", self.hallucinations)):
            if count:
                found.append((f"{name}: {count}", LACKING))
        found += [(f"minor conflicts: {self.minor}", cap) for least, cap in MINOR if self.minor >= least][:1]
        if found or self.meets != "yes":
            found.append(("not without a flaw", FLAWED))
        return found

    @property
    def score(self) -> float:
        """The raw score under its caps, 0..10."""
        return min([self.raw, *(cap for _, cap in self.caps)])


@dataclass(frozen=True)
class Conclusion:
    """The last word of a critic: its thought, the outcome, and what to do next for "refine"."""

    outcome: Outcome
    thought: str
    then: str = ""


def assessment(text: str) -> Assessment | None:
    """Read an assessment, a JSON object; None if there is none, or a number in it is none."""
    for data in objects(text):
        if "raw_score" not in data:
            continue
        counts = [_count(data.get(name, 0)) for name in
                  ("major_conflicts", "minor_conflicts", "omissions", "hallucinations")]  # fmt: skip
        raw = _number(data["raw_score"])
        if raw is None or None in counts:
            return None
        major, minor, omissions, made_up = (count or 0 for count in counts)
        meets = str(data.get("meets_instruction", "")).strip().lower()
        meets = meets if meets in ("yes", "partial", "no") else ""
        raw = min(HIGHEST, max(0.0, raw))
        return Assessment(meets, major, minor, omissions, made_up, raw, str(data.get("reason") or ""))
    return None


def conclusion(text: str) -> Conclusion | None:
    """Read a conclusion: ``<#Think> thought`` and one closing tag; None if there is more or less, or nothing to do.

    What stands before the thought is left out. ``<#Reflection>`` must be followed by words.
    """
    _, opened, rest = text.partition(THINK)
    tags = TAG.findall(rest)
    if not opened or len(tags) != 1 or tags[0] not in CLOSINGS:
        return None
    thought, _, then = (part.strip() for part in rest.partition(tags[0]))
    outcome = CLOSINGS[tags[0]]
    if outcome == "refine" and not then:
        return None
    return Conclusion(outcome, thought, then if outcome == "refine" else "")


def pair(text: str, highest: float = HIGHEST) -> tuple[float, float, str] | None:
    """Read ``{"score": [a, b], "reasoning": "..."}``: the scores as 0..10, and the reason.

    None unless they are two numbers from 0 to ``highest``.
    """
    for data in objects(text):
        found = data.get("score")
        if not isinstance(found, list) or len(found) != 2:
            continue
        first, second = _number(found[0]), _number(found[1])
        if first is None or second is None or not (0 <= first <= highest and 0 <= second <= highest):
            return None
        return first * HIGHEST / highest, second * HIGHEST / highest, str(data.get("reasoning") or "")
    return None


def told(conclusion: Conclusion) -> str:
    """Return a conclusion as a critic writes it."""
    tag = next(tag for tag, outcome in CLOSINGS.items() if outcome == conclusion.outcome)
    return f"{THINK} {conclusion.thought} {tag}{' ' + conclusion.then if conclusion.then else ''}"


def written(found: Assessment) -> str:
    """Return an assessment as a critic writes it."""
    data = {
        "meets_instruction": found.meets, "major_conflicts": found.major, "minor_conflicts": found.minor,
        "omissions": found.omissions, "hallucinations": found.hallucinations, "raw_score": found.raw,
        "reason": found.reason,
    }  # fmt: skip
    return json.dumps(data, ensure_ascii=False)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value == value else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 and number == int(number) else None
