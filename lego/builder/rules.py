"""The rules builder: a deterministic planner for English and Chinese, in milliseconds.

It knows no tool by name: every tool brings its phrases in its card, and one without any is understood from its name
and sentence. An instruction is cut into clauses, and each clause has to be explained to the last word (`clause.py`).
What is not explained is not planned: half an edit is a wrong edit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lego.builder import lexicon as words
from lego.builder.base import Plan, Request
from lego.builder.clause import Reading, faults, patterns_of, readings
from lego.builder.lexicon import Token, after, find, same, stem, text_of, together, tokens_of
from lego.core.errors import PlanError
from lego.core.registry import Tool
from lego.core.steps import Step
from lego.core.workflow import Workflow

MAX_WORDS = 200  # of an instruction; longer ones are stories, and the search is quadratic in the clauses
MAX_PIECES = 24


@dataclass(frozen=True)
class Clause:
    """One thing to do (or several, for a look), and what is to stay as it is."""

    readings: tuple[Reading, ...] = ()
    keep: str = ""
    text: str = ""
    skipped: bool = False
    goes_on: bool = False  # "and brighter": about the same thing as the clause before

    @property
    def score(self) -> float:
        return sum(r.score for r in self.readings) + (2 if self.keep else 0) - 1


class Rules:
    """Plans by rules."""

    name = "rules"

    def plan(self, request: Request) -> Plan:
        """Write a workflow for the request; see `Builder.plan`."""
        if not request.instruction.strip():
            raise _refusal("the instruction is empty", "empty")
        if request.history:
            raise PlanError("the rules have no other plan", hint=request.history[-1], code="no_other_plan")
        tokens = tokens_of(request.instruction)
        if len(tokens) > MAX_WORDS:
            raise _refusal(f"the instruction has {len(tokens)} words, more than {MAX_WORDS}", "too_long")
        offered = _Offer(request.tools)
        clauses = _clauses(tokens, offered)
        return _Writer(request, offered).write(clauses)


class _Offer:
    """The tools on offer, and what their words tell."""

    def __init__(self, tools: Sequence[Tool[..., Any]]) -> None:
        self.tools = {tool.name: tool for tool in tools}

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Stems of every word that means something, so that none of them is taken for a typo."""
        literal = {stem(t.text) for tool in self.tools.values() for p in patterns_of(tool) for t in p.literals}
        shared = (words.FILLERS, words.AMOUNTS, words.COLORS, words.CSS, words.PICTURE, words.OPACITY, words.SOFT)
        return frozenset(literal | {stem(w) for table in shared for text in table for w in text.split()})

    def clause(self, tokens: Sequence[Token]) -> Clause | None:
        """Explain one clause, or nothing."""
        text = text_of(tokens)
        main, keep = _keep(tokens)
        goes_on = bool(tokens) and tokens[0].text in ("and", "&", "和", "并", "而且") and not _has_maker(tokens)
        while main and (main[0].text in words.SOFT or main[0].kind == "stop"):
            main = main[1:]
        while main and main[-1].kind == "stop":
            main = main[:-1]
        if not any(not t.filler for t in main):
            return self._kept_first(text, keep)
        negated = after(words.NEGATIONS, main)
        if negated is not None:
            return Clause(text=text, skipped=True) if self._readings(negated) else None
        found = self._readings(main)
        return Clause(found, keep, text, goes_on=goes_on) if found else None

    def _kept_first(self, text: str, keep: str) -> Clause | None:
        """Only what is kept is named so far; in "everything except the sky black and white" the edit comes after it."""
        kept = tokens_of(keep)
        for end in range(len(kept) - 1, 0, -1):
            found = self._readings(kept[end:])
            if found and not any(r.target for r in found) and not all(t.filler for t in kept[:end]):
                return Clause(found, text_of(kept[:end]), text)
        return Clause(keep=keep, text=text) if keep else None

    def _readings(self, tokens: Sequence[Token]) -> tuple[Reading, ...]:
        """The best reading of a clause; several for a look; none if no tool explains every word."""
        single = [r for tool in self.tools.values() for r in readings(tool, tokens, self.vocabulary)]
        best = max(single, key=lambda r: r.score, default=None)
        look = self._look(tokens)
        if look and (best is None or look[0].score >= best.score):
            return look
        if best:
            return (best,)
        described = self._described(tokens)
        return (described,) if described else ()

    def _look(self, tokens: Sequence[Token]) -> tuple[Reading, ...]:
        """One or more looks named in the clause, their steps merged; the rest is filler, an amount, or the target."""
        steps: dict[str, dict[str, Any]] = {}
        factor, left, hits = 1.0, list(tokens), 0.0
        for names, recipe in words.LOOKS:
            at = next(((n, k) for name in names for n, k in [find(tokens_of(name), left)] if k), None)
            if at is None or not all(name in self.tools for name, _ in recipe):
                continue
            hits += 5.0 * at[1]
            left = left[: at[0]] + left[at[0] + at[1] :]
            for name, args in recipe:
                steps[name] = {k: _stronger(steps.get(name, {}).get(k), v) for k, v in args.items()}
        for name, value in sorted(words.AMOUNTS.items(), key=lambda item: -len(item[0])):
            place, size = find(tokens_of(name), left)
            if size and steps:
                factor, left = factor * value, left[:place] + left[place + size :]
        content = [t for t in left if not t.filler and t.kind != "stop" and t.text not in words.SOFT]
        if not steps or (content and not together(content, left)):
            return ()
        first = left.index(content[0]) if content else 0
        target = text_of(left[first : left.index(content[-1]) + 1]) if content else ""
        if target and not same_rest(target):
            steps = {name: args for name, args in steps.items() if name not in words.FRAMING}
        return tuple(
            Reading(self.tools[name], _scaled(self.tools[name], args, factor), target, hits / len(steps))
            for name, args in steps.items()
        )

    def _described(self, tokens: Sequence[Token]) -> Reading | None:
        """A tool without phrases whose name and sentence hold every word of the clause, if it is the only one."""
        content = [t for t in tokens if not t.filler and t.kind == "word" and t.text not in words.AMOUNTS]
        found = []
        for tool in self.tools.values():
            said = {stem(t.text) for t in tokens_of(f"{tool.name.replace('_', ' ')}. {tool.sentence}") if not t.filler}
            if not tool.phrases and len(content) > 1 and all(stem(t.text) in said for t in content):
                needs = any(p.required and p.kind != "image" for p in tool.params)
                found.append(
                    None if needs else Reading(tool, {}, "", len(content), ("read from the tool's description",))
                )
        return found[0] if len(found) == 1 else None


def _clauses(tokens: list[Token], offer: _Offer) -> list[Clause]:
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


def _keep(tokens: Sequence[Token]) -> tuple[list[Token], str]:
    """Split off what is to stay as it is: "... but keep the face", "except the flower", "除了花以外都..."."""
    for phrase in sorted(words.KEEP, key=len, reverse=True):
        place, size = find(tokens_of(phrase), tokens)
        if not size or (phrase == "除" and place and tokens[place - 1].text in "去移删擦消清"):  # 去除, to remove
            continue
        kept, main = list(tokens[place + size :]), list(tokens[:place])
        close = next((n for n, t in enumerate(kept) if t.text in ("以", "之", "外", "以外", "之外")), None)
        if phrase.startswith("除") and close is not None:
            kept, main = kept[:close], main + [t for t in kept[close:] if t.text not in "以之外都"]
        main = [t for t in main if t.text not in words.REST] if len(main) > 1 else main
        while kept and (kept[-1].filler or kept[-1].text in words.KEEP_TAILS or kept[-1].kind == "stop"):
            kept = kept[:-1]
        while kept and kept[0].filler:
            kept = kept[1:]
        return main, text_of(kept)
    return list(tokens), ""


@dataclass
class _Writer:
    """Turns clauses into steps: finds each target once, hands masks in, keeps what is to be kept."""

    request: Request
    offer: _Offer
    steps: list[Step] = field(default_factory=list)
    masks: dict[str, str] = field(default_factory=dict)
    thoughts: list[str] = field(default_factory=list)
    image: str = "$image"
    source: str = "$image"  # where things are looked for: the picture before its colours were changed
    last_mask: str = ""
    last_target: str = ""
    result: str = ""

    def write(self, clauses: list[Clause]) -> Plan:
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
                self._write(self._inherit(reading, clause), keep or first)
        if not self.steps:
            raise _refusal("nothing is left to do", "nothing_to_do")
        return Plan(Workflow(tuple(self.steps), self.result), "; ".join(self.thoughts))

    def _inherit(self, reading: Reading, clause: Clause) -> Reading:
        if clause.goes_on and not reading.target and self.last_target and _mask_of(reading.tool):
            self.thoughts.append(f"'{reading.tool.name}' goes on with {self.last_target}")
            return replace(reading, target=self.last_target)
        return reading

    def _write(self, reading: Reading, keep: str) -> None:
        tool = reading.tool
        wrong = faults(reading)
        if wrong:
            raise PlanError(wrong[0], hint="give a value in that range", code="out_of_range")
        self.thoughts.extend(reading.notes)
        args: dict[str, Any] = {}
        images = [p for p in tool.params if p.kind == "image"]
        if images:
            args[images[0].name] = [self.image] if images[0].many else self.image
        for number, param in enumerate(images[1:], 1):
            name = f"reference{number if number > 1 else ''}"
            if name in self.request.given:
                args[param.name] = [f"${name}"] if param.many else f"${name}"
            elif param.required:
                hint = "give it: --reference FILE, or references=[...]"
                raise PlanError(f"'{tool.name}' needs a second picture", hint=hint, code="no_reference")
        mask = _mask_of(tool)
        found = self._mask(reading, keep, required=bool(mask and mask.required)) if mask else ""
        if mask and found:
            args[mask.name] = found
        elif keep:
            raise PlanError(
                f"'{tool.name}' works on the whole picture and cannot keep '{keep}'",
                hint="leave that out",
                code="cannot_keep",
            )
        args |= {name: _escaped(value) for name, value in reading.args.items()}
        step = self._add(tool.name, {p.name: args[p.name] for p in tool.params if p.name in args})
        self._advance(tool, step)

    def _advance(self, tool: Tool[..., Any], step: str) -> None:
        several = len(tool.outputs) > 1
        image = next((o.name for o in tool.outputs if o.kind == "image"), None)
        mask = next((o.name for o in tool.outputs if o.kind == "mask"), None)
        if image:
            self.image = f"${step}.{image}" if several else f"${step}"
            if tool.scope == "geometric":
                self.source, self.last_mask, self.last_target = self.image, "", ""
        if mask:
            self.last_mask = f"${step}.{mask}" if several else f"${step}"
        self.result = self.image if image else f"${step}.{tool.outputs[0].name}" if several else f"${step}"

    def _mask(self, reading: Reading, keep: str, required: bool) -> str:
        """The reference to where this step works; "" for everywhere."""
        target = reading.target
        drawn = "mask" in self.request.given and self.source == "$image"
        if target and same_rest(target) and self.last_mask:
            where = self._added("mask_invert", {"mask": self.last_mask})
        elif drawn and target in words.BACKGROUNDS:
            self.thoughts.append("the background is what lies outside the thing in the given mask")
            refined = self._added("mask_refine", {"image": self.source, "mask": "$mask"})
            where = self._added("mask_invert", {"mask": refined})
        elif drawn and not _region(target):
            if target:
                self.thoughts.append(f"the given mask says where '{target}' is")
            where = "$mask"
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

    def _segment(self, target: str) -> str:
        return self._added("segment", {"image": self.source, "target": _escaped(target)})

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


def _mask_of(tool: Tool[..., Any]) -> Any:
    return next((p for p in tool.params if p.kind == "mask" and not p.many), None)


def _region(target: str) -> bool:
    return any(same(t.text, region) for t in tokens_of(target) for region in words.REGIONS) or target in words.REGIONS


def same_rest(target: str) -> bool:
    """Does the target mean whatever was not meant before?"""
    return target in ("rest", "the rest", "everything else", "others", "其他", "其余", "其他部分", "其余部分", "剩下")


def _escaped(value: Any) -> Any:
    return f"${value}" if isinstance(value, str) and value.startswith("$") else value


def _stronger(old: Any, new: Any) -> Any:
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    return old if numbers and abs(old) >= abs(new) else new


def _scaled(tool: Tool[..., Any], args: dict[str, Any], factor: float) -> dict[str, Any]:
    scaled = dict(args)
    for name, value in args.items():
        param = tool.param(name)
        if param and param.kind == "number" and isinstance(value, float):
            scaled[name] = round(min(max(value * factor, param.low or value * factor), param.high or value * factor), 2)
    return scaled


def _has_maker(tokens: Sequence[Token]) -> bool:
    verbs = words.MAKERS | words.CREATE | {"it", "them", "它"}
    return any(t.text in verbs for t in tokens)


def _refusal(message: str, code: str) -> PlanError:
    return PlanError(message, hint=f"say what to do, such as: {'; '.join(words.EXAMPLES)}", code=code)


def _misunderstood(pieces: list[list[Token]], offer: _Offer) -> PlanError:
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
    near = _nearest(content, offer)
    hint = f"did you mean {near}? " if near else ""
    examples = "; ".join(words.EXAMPLES)
    return PlanError(
        f"'{quote}' is not understood{strange}", hint=f"{hint}say it like: {examples}", code="not_understood"
    )


def _nearest(content: list[Token], offer: _Offer) -> str:
    """Tools whose words share the most letter triples with the clause."""
    grams = _grams(" ".join(t.text for t in content))
    scored = []
    for tool in offer.tools.values():
        said = _grams(" ".join([tool.name.replace("_", " "), tool.sentence, *(p.text for p in tool.phrases)]))
        scored.append((len(grams & said) / (len(grams) or 1), tool.name))
    return " or ".join(f"'{name}'" for share, name in sorted(scored, reverse=True)[:2] if share > 0.5)


def _grams(text: str) -> set[str]:
    padded = f" {re.sub(r'[^a-z]+', ' ', text.lower())} "
    return {padded[n : n + 3] for n in range(len(padded) - 2)}
