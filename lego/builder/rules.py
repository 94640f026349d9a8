"""The rules builder: a deterministic planner for English and Chinese, in milliseconds.

It knows no tool by name: every tool brings its phrases in its card, and one without any is understood from its name
and sentence. An instruction is cut into clauses, and each clause has to be explained to the last word (`clause.py`).
What is not explained is not planned: half an edit is a wrong edit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lego.builder import lexicon as words
from lego.builder.base import Plan, Request
from lego.builder.calls import boxed, escaped, mask_of
from lego.builder.clause import Reading
from lego.builder.lexicon import LONG_ENOUGH, Token, same, stem, text_of, tokens_of
from lego.builder.offer import Clause, Offer, faults, same_rest
from lego.core.errors import PlanError
from lego.core.registry import Tool
from lego.core.steps import Step
from lego.core.workflow import Workflow

MAX_WORDS = 200  # of an instruction; longer ones are stories, and the search is quadratic in the clauses
MAX_PIECES = 24
QUESTION = re.compile(  # about the picture; "could you make it warmer?" and "how about ...?" are wishes
    r"\s*(is|are|was|were|does|do|did|has|have|what|who|where|when|which|why(?! not)|how(?! about))\b[^.!;\n]*\?\s*$"
    r"|.*(吗|呢|什么|几点)\s*[？?]\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Understood:
    """A plan, and by step the clause that asks for it; "" where it cannot stand alone ("and brighter")."""

    plan: Plan
    said: Mapping[str, str]


class Rules:
    """Plans by rules."""

    name = "rules"

    def plan(self, request: Request) -> Plan:
        """Write a workflow for the request; see `Builder.plan`."""
        return self.read(request).plan

    def read(self, request: Request) -> Understood:
        """Return the plan with the words that each of its steps was made of; errors as `plan`."""
        if not request.instruction.strip():
            raise _refusal("the instruction is empty", "empty")
        if QUESTION.match(request.instruction):
            hint = "say what to do; 'describe the picture' tells what can be measured"
            raise PlanError("this is a question, and nothing is edited for it", hint=hint, code="question")
        tokens = tokens_of(request.instruction)
        if len(tokens) > MAX_WORDS:
            raise _refusal(f"the instruction has {len(tokens)} words, more than {MAX_WORDS}", "too_long")
        offered = Offer(request.tools)
        return _Writer(request, offered).write(_clauses(tokens, offered))


def _clauses(tokens: list[Token], offer: Offer) -> list[Clause]:
    """Cut the instruction so that every clause is explained and the whole fits best."""
    pieces = _pieces(tokens)
    best: list[tuple[float, list[Clause]] | None] = [None] * len(pieces) + [(0.0, [])]
    for start in range(len(pieces) - 1, -1, -1):
        for end in range(start + 1, len(pieces) + 1):
            rest = best[end]
            if rest is None:
                continue
            clause = offer.clause([t for piece in pieces[start:end] for t in piece])
            known = best[start]
            if clause and (known is None or clause.score + rest[0] > known[0]):
                best[start] = (clause.score + rest[0], [clause, *rest[1]])
    if best[0] is None:
        raise _misunderstood(pieces, offer)
    return best[0][1]


def _pieces(tokens: list[Token]) -> list[list[Token]]:
    """The smallest parts that could be clauses: between commas, "and", "then"."""
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        joint = token.kind == "stop" or token.text in words.SOFT
        if joint and any(t.kind != "stop" and t.text not in words.SOFT for t in pieces[-1]):
            pieces.append([])
        pieces[-1].append(token)
    if len(pieces) > 1 and not any(t.kind != "stop" and t.text not in words.SOFT for t in pieces[-1]):
        pieces[-2].extend(pieces.pop())
    if len(pieces) > MAX_PIECES:
        raise _refusal(f"the instruction has over {MAX_PIECES} parts", "too_long")
    return pieces


@dataclass
class _Writer:
    """Turns clauses into steps: finds each target once, hands masks in, keeps what is to be kept."""

    request: Request
    offer: Offer
    steps: list[Step] = field(default_factory=list)
    masks: dict[str, str] = field(default_factory=dict)
    thoughts: list[str] = field(default_factory=list)
    image: str = "$image"
    source: str = "$image"  # where things are looked for: the picture before its colours were changed
    last_mask: str = ""
    last_target: str = ""
    result: str = ""
    told: list[str] = field(default_factory=list)  # results in words, which follow the picture
    said: dict[str, str] = field(default_factory=dict)

    def write(self, clauses: list[Clause]) -> Understood:
        protected = ", ".join(c.keep for c in clauses if c.keep and not c.readings)
        for number, clause in enumerate(clauses):
            following = clauses[number + 1] if number + 1 < len(clauses) else None
            keep = clause.keep or (following.keep if following and not following.readings else "")
            if clause.skipped:
                self.thoughts.append(f"nothing to do for '{clause.text}'")
            if number == 0 and not clause.readings and protected:
                continue
            first = clauses[0].keep if clauses[0].keep and not clauses[0].readings else ""
            for reading in clause.readings:
                alone = self._inherit(reading, clause)
                self.said[self._write(alone, keep or first)] = (
                    _alone(clause.text) if alone is reading and not keep else ""
                )
        if not self.steps:
            raise _refusal("nothing is left to do", "nothing_to_do")
        results = tuple(ref for ref in (self.result, *self.told) if ref)
        workflow = Workflow(tuple(self.steps), results if len(results) > 1 else results[0])
        return Understood(Plan(workflow, "; ".join(self.thoughts)), self.said)

    def _inherit(self, reading: Reading, clause: Clause) -> Reading:
        everywhere = any(token.text in words.WHOLE for token in tokens_of(clause.text))  # "and blur the picture"
        if clause.goes_on and not everywhere and not reading.target and self.last_target and mask_of(reading.tool):
            self.thoughts.append(f"'{reading.tool.name}' goes on with {self.last_target}")
            return replace(reading, target=self.last_target)
        return reading

    def _write(self, reading: Reading, keep: str) -> str:
        """Write the steps of a reading; return the id of the last one."""
        tool = reading.tool
        if wrong := faults(reading):
            raise PlanError(wrong[0], hint="give a value in that range", code="out_of_range")
        self.thoughts.extend(reading.notes)
        args: dict[str, Any] = {}
        images = [p for p in tool.params if p.kind == "image"]
        if images:
            args[images[0].name] = [self.image] if images[0].many else self.image
        for number, param in enumerate(images[1:], 1):
            name = f"reference{number if number > 1 else ''}"
            if param.name == "before":
                args[param.name] = "$image"
            elif name in self.request.given:
                rest = [f"${given}" for given in self.request.given if given.startswith("reference")][number - 1 :]
                args[param.name] = rest if param.many else rest[0]
            elif param.required:
                hint = "give it: --reference FILE, or references=[...]"
                raise PlanError(f"'{tool.name}' needs a second picture", hint=hint, code="no_reference")
        mask = mask_of(tool)
        found = self._mask(reading, keep, required=bool(mask and mask.required)) if mask else ""
        if mask and found:
            args[mask.name] = found
        elif keep:
            raise PlanError(
                f"'{tool.name}' works on the whole picture and cannot keep '{keep}'",
                hint="leave that out",
                code="cannot_keep",
            )
        args |= {name: escaped(value) for name, value in reading.args.items()}
        step = self._add(tool.name, {p.name: args[p.name] for p in tool.params if p.name in args})
        self._advance(tool, step)
        return step

    def _advance(self, tool: Tool[..., Any], step: str) -> None:
        several = len(tool.outputs) > 1
        image = next((o.name for o in tool.outputs if o.kind == "image"), None)
        mask = next((o.name for o in tool.outputs if o.kind == "mask"), None)
        if image:
            self.image = f"${step}.{image}" if several else f"${step}"
            lifts = tool.scope == "global" and getattr(mask_of(tool), "format", "") == "thing"  # it is elsewhere now
            if tool.scope == "geometric" or lifts:
                self.source, self.last_mask = self.image, ""
                self.last_target = self.last_target if tool.scope == "global" else ""
        if mask:
            self.last_mask = f"${step}.{mask}" if several else f"${step}"
        first = f"${step}.{tool.outputs[0].name}" if several else f"${step}"
        if image or mask:
            self.result = self.image if image else first
        else:
            self.told.append(first)

    def _mask(self, reading: Reading, keep: str, required: bool) -> str:
        """The reference to where this step works; "" for everywhere."""
        target = reading.target
        drawn = "mask" in self.request.given and self.source == "$image"
        if reading.around:
            thing = self._outlined() if drawn else self._segment(reading.around)
            where = self._added("mask_invert", {"mask": thing})
        elif keep and drawn and not target and not _region(keep):  # "all but the dog" with a box: the box is the dog's
            self.thoughts.append(f"the given mask says where '{keep}' is")
            where, keep = self._added("mask_invert", {"mask": "$mask"}), ""
        elif target and same_rest(target) and (self.last_mask or self.last_target):
            where = self._added("mask_invert", {"mask": self.last_mask or self._segment(self.last_target)})
        elif drawn and target in words.BACKGROUNDS:
            self.thoughts.append("the background is what lies outside the thing in the given mask")
            where = self._added("mask_invert", {"mask": self._outlined()})
        elif drawn and not _region(target):
            if target:
                self.thoughts.append(f"the given mask says where '{target}' is")
            value, form = self.request.values.get("mask"), getattr(mask_of(reading.tool), "format", "")
            round_a_thing = form == "thing" or (target and form != "area")
            where = self._outlined() if round_a_thing and boxed(value) else "$mask"
        elif target:
            where = self._segment(target)
        elif required and not keep:
            hint = "name it (such as 'the red car'), or give --mask FILE or --box X0,Y0,X1,Y1"
            raise PlanError(f"what to {reading.tool.name.replace('_', ' ')} is not said", hint=hint, code="no_target")
        else:
            where = ""
        if where:
            self.last_mask, self.last_target = where, target
        if not keep:
            return where
        kept = self._segment(keep)
        if where:
            return self._added("mask_subtract", {"first": where, "second": kept})
        return self._added("mask_invert", {"mask": kept})

    def _outlined(self) -> str:
        return self._added("mask_refine", {"image": self.source, "mask": "$mask"})

    def _segment(self, target: str) -> str:
        return self._added("segment", {"image": self.source, "target": escaped(target)})

    def _added(self, name: str, args: dict[str, Any]) -> str:
        """The reference to a mask step, which is written once however often it is asked for."""
        if name not in self.offer.tools:
            raise PlanError(f"this needs the tool '{name}', which is not on offer", hint="register it", code="no_tool")
        key = f"{name} {args}"
        if key not in self.masks:
            self.masks[key] = f"${self._add(name, args)}"
        return self.masks[key]

    def _add(self, tool: str, args: dict[str, Any]) -> str:
        self.steps.append(Step(f"s{len(self.steps) + 1}", tool, args))
        return self.steps[-1].id


def _alone(clause: str) -> str:
    """A clause as an instruction: without the "and then" that led to it."""
    tokens = tokens_of(clause)
    while tokens and (tokens[0].kind == "stop" or tokens[0].text in words.SOFT):
        tokens = tokens[1:]
    return text_of(tokens)


def _region(target: str) -> bool:
    return any(same(t.text, region) for t in tokens_of(target) for region in words.REGIONS) or target in words.REGIONS


def _refusal(message: str, code: str) -> PlanError:
    return PlanError(message, hint=f"say what to do, such as: {'; '.join(words.EXAMPLES)}", code=code)


def _misunderstood(pieces: list[list[Token]], offer: Offer) -> PlanError:
    """Say which part was not understood, which words are unknown, and what could be meant."""
    failed = [p for p in pieces if offer.clause(p) is None] or pieces
    quote = text_of([t for t in failed[0] if t.kind != "stop"])
    content = [t for t in failed[0] if not t.filler and t.kind == "word" and t.text not in words.SOFT]
    if any(t.text in words.CREATE for t in failed[0]) and content:
        thing = text_of([t for t in content if t.text not in words.CREATE]) or quote
        hint = "that needs a generative engine; here pictures are retouched, and text or a --reference picture added"
        return PlanError(f"nothing here can make '{thing}' (in '{quote}')", hint=hint, code="no_tool")
    unknown = [t.text for t in content if stem(t.text) not in offer.vocabulary]
    strange = f"; unknown words: {', '.join(unknown)}" if unknown else ""
    hint = f"did you mean {near}? " if (near := _nearest(content, offer)) else ""
    examples = "; ".join(words.EXAMPLES)
    return PlanError(
        f"'{quote}' is not understood{strange}", hint=f"{hint}say it like: {examples}", code="not_understood"
    )


def _nearest(content: list[Token], offer: Offer) -> str:
    """Tools whose words share the most letter triples with the longer words of the clause."""
    grams = _grams(" ".join(t.text for t in content if len(t.text) >= LONG_ENOUGH))
    scored = []
    for tool in offer.tools.values():
        said = _grams(" ".join([tool.name.replace("_", " "), tool.sentence, *(p.text for p in tool.phrases)]))
        scored.append((len(grams & said) / (len(grams) or 1), tool.name))
    return " or ".join(f"'{name}'" for share, name in sorted(scored, reverse=True)[:2] if share > 0.5)


def _grams(text: str) -> set[str]:
    padded = f" {re.sub(r'[^a-z]+', ' ', text.lower())} "
    return {padded[n : n + 3] for n in range(len(padded) - 2)}
