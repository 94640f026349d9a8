"""Pointing: how a small model writes plans. It numbers the words of the instruction and points at them.

A model of a few million parameters cannot spell a thing's name or a number without mistakes, but it can say "the words
3 to 5". So the prompt is the words with their numbers, `make<w_0>the<w_1>car<w_2>blue<w_3>`, and the answer is calls
(`lego.builder.calls`) whose values are such numbers: `<T:recolor><on><w_2><w_2><P:color><w_3>`. Before a call it may
say which words ask for it, `<at><w_0><w_3>`: then it need only look there. What can be read off a word (a number in a
unit, a colour, a ratio) is read by `lego.builder.words`; the rest is one of few fixed values. `<keep>` says that
there is nothing to do, `<none>` that nobody here can do it.

Tools that the model was trained on have a token each, and hints (`lego.builder.hints`) show after a passage which of
them it may be about: `so<w_0>gritty<w_1><T:grain><P:amount><a_2><T:clarity>`. All others are described by cards in
front of the prompt, the three nearest to the instruction, and called by the card's place: `<t_0>`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from lego.builder import spelling
from lego.builder.base import Plan, Request
from lego.builder.calls import BOX, DRAWN, NOT, Call, asked_in, boxed, calls_of, mask_of, said, workflow_of
from lego.builder.hints import Hints
from lego.builder.leaning import Leaning
from lego.builder.marks import marks, nearest
from lego.builder.prompt import Lean
from lego.builder.spelling import GRID, KEEP, REGION, REGIONS, SLOTS, STRUCTURE, TOKEN, VALUES, Spelling
from lego.builder.words import MOST, Word, words_of
from lego.core.errors import PlanError, WorkflowError
from lego.core.registry import Tool
from lego.core.signature import REFERABLE
from lego.core.workflow import Workflow

CARDS, PARAMS = 3, 8  # cards in a prompt, parameters of a card
SENTENCE = 24  # words of a card's sentence that are shown
LONGEST = 14  # words of a thing's name
MOST_CALLS = 6
Tooling = Tool[..., Any]
Known: TypeAlias = Mapping[str, Mapping[str, str]]  # kinds of parameters, by tool and name


@dataclass(frozen=True)
class Vocabulary:
    """The tools that a checkpoint knows by heart: each one's parameters by name and kind."""

    tools: Known

    @classmethod
    def of(cls, tools: Iterable[Tooling]) -> Vocabulary:
        """Learn the tools on offer."""
        return cls({t.name: {p.name: p.kind for p in t.params} for t in tools})

    def knows(self, tool: Tooling) -> bool:
        """Is this the tool that was learned, and not another one of that name?"""
        return self.tools.get(tool.name) == {p.name: p.kind for p in tool.params}

    @cached_property
    def tokens(self) -> list[str]:
        """All special tokens, in the order of their ids."""
        params = sorted({param for params in self.tools.values() for param in params})
        return [
            *STRUCTURE,
            *(f"<w_{n}>" for n in range(MOST)),
            *(f"<l_{n}>" for n in range(GRID)),
            *(REGION.format(region) for region in REGIONS),
            *VALUES,
            *(f"<t_{n}>" for n in range(CARDS)),
            *(f"<p_{n}>" for n in range(PARAMS)),
            *(f"<T:{name}>" for name in self.tools),
            *(f"<P:{param}>" for param in params),
        ]


@dataclass(frozen=True)
class _Setting:
    """A request as the model sees it: numbered words, and which token stands for which tool and parameter."""

    request: Request
    words: tuple[Word, ...]
    tools: Mapping[str, Tooling]  # by token
    cards: tuple[Tooling, ...]
    absent: tuple[str, ...]  # tools known by heart that are not on offer

    def token(self, tool: str) -> str:
        return next(token for token, known in self.tools.items() if known.name == tool)

    def param_tokens(self, token: str) -> dict[str, str]:
        """Token by parameter, for those whose values can be said."""
        tool = self.tools[token]
        sayable = [p for p in tool.params if spelling.sayable(p)]
        if token.startswith("<T:"):
            return {p.name: f"<P:{p.name}>" for p in sayable}
        return {p.name: f"<p_{n}>" for n, p in enumerate(sayable[:PARAMS])}

    @property
    def boxed(self) -> bool:
        """Is the given mask a mere box?"""
        return boxed(self.request.values.get("mask"))


class Pointing:
    """The form of small checkpoints; see `lego.builder.prompt.Form`.

    Args:
        tools: those known by heart, as in `Vocabulary`.
        hints: which of them a passage may be about; None shows none.
        sure, sharp: see `lego.builder.prompt.Form`.
        keep: has the checkpoint learned to say that nothing is to be done?
    """

    name = "pointing"
    pixels = False

    def __init__(
        self, tools: Known, hints: Hints | None = None, sure: float = 0.0, sharp: float = 0.0, keep: bool = False
    ) -> None:
        self.vocabulary = Vocabulary(tools)
        self.hints, self.sure, self.sharp, self.keep = hints, sure, sharp, keep
        self._held: tuple[Request, _Setting] | None = None  # the last: a plan asks for it four times
        self._sorted = functools.lru_cache(maxsize=64)(self._sorted_afresh)  # the offer rarely changes

    def prompt(self, request: Request) -> str:
        """The cards of tools not known by heart, what is missing and given, and the numbered words."""
        setting = self._setting(request)
        parts = [self._card(setting, number, tool) for number, tool in enumerate(setting.cards)]
        if setting.absent:
            few = len(setting.absent) <= len(self.vocabulary.tools) / 2
            there = [t.name for token, t in setting.tools.items() if token.startswith("<T:")]
            parts.append(
                ("<no>" if few else "<only>") + "".join(f"<T:{n}>" for n in (setting.absent if few else there))
            )
        parts += ["<drawn>"] * ("mask" in request.given) + ["<ref>"] * ("reference" in request.given)
        marked = self._marks(setting)
        words = [f"{_shown(word)}<w_{n}>{marked.get(n, '')}" for n, word in enumerate(setting.words)]
        return "".join([*parts, "<user>", *words, "<asst>"])

    def grammar(self, request: Request) -> str:
        """Every answer that `read` makes a valid plan of, as Lark text for llguidance."""
        setting = self._setting(request)
        spelled = Spelling(request.instruction, setting.words)
        rules = _Rules()
        thing = rules.add(_thing(spelled, "segment" in _names(setting)))
        options = []
        for token, tool in setting.tools.items():
            parts = self._call(rules, thing, setting, spelled, token, tool)
            if parts:
                options.append(rules.add(" ".join(parts)))
        word = rules.add(" | ".join(f"<w_{n}>" for n in range(len(setting.words)))) if setting.words else ""
        asked = f"(<at> {word} {word})? " if word else ""
        calls = rules.add(f"{asked}{rules.add(' | '.join(options))}")
        chain = " ".join([calls, *[f"{calls}?"] * (MOST_CALLS - 1)])
        return f"start: <none> | {f'{KEEP} | ' * self.keep}{chain}\n{rules.text}"

    def read(self, text: str, request: Request) -> Plan:
        """Turn an answer into a plan.

        Raises:
            PlanError: the model declines, or this is no answer.
        """
        setting = self._setting(request)
        tokens = TOKEN.findall(text)
        if tokens[:1] == ["<none>"]:
            hint = "say what to do with the picture, one wish after another; `lego tools` lists what is on offer"
            raise PlanError("no tool here can do this, or it is no wish", hint=hint, code="declined")
        try:
            kept = tokens[:1] == [KEEP]
            calls = [] if kept else _Reader(tokens, setting, Spelling(request.instruction, setting.words)).calls()
            flow = workflow_of(calls, request.tools, request.given, setting.boxed)
        except (WorkflowError, LookupError, ValueError) as error:
            raise PlanError(f"the model's answer is no plan: {text[:200]}", code="unreadable") from error
        return Plan(flow, "; ".join(said(call) for call in calls))

    def lean(self, request: Request) -> Lean | None:
        """After the words that ask for a call: what they mean by their letters, see `lego.builder.leaning`."""
        if self.hints is None:
            return None
        setting = self._setting(request)
        words, fold = setting.words, request.fold
        return Leaning(self.hints, request.instruction, words, fold, setting.tools, setting.param_tokens)

    def write(self, workflow: Workflow | None, request: Request, thought: str = "") -> str:
        """What a teacher would have the model say; no workflow means that it is to decline.

        Raises:
            WorkflowError: pointing cannot say this.
        """
        if workflow is None:
            return "<none>"
        if not workflow.steps:
            return self._kept()
        setting = self._setting(request)
        spelled = Spelling(request.instruction, setting.words)
        parts = []
        begins = _begins(thought)
        for number, call in enumerate(calls_of(workflow, request.tools, request.given, setting.boxed)):
            parts += spelled.asked(begins[number]) if number in begins else []
            try:
                token = setting.token(call.tool)
            except StopIteration:
                raise WorkflowError(f"the tool '{call.tool}' is not among the cards") from None
            parts += [token, *spelled.place(call)]
            named = setting.param_tokens(token)
            tool = setting.tools[token]
            if unsaid := [name for name in call.args if name not in named]:
                raise WorkflowError(f"the parameter '{unsaid[0]}' of '{call.tool}' cannot be pointed at")
            for param in tool.params:
                if param.name in call.args:
                    parts += [named[param.name], *spelled.value(param, call.args[param.name])]
        return "".join(parts)

    def _kept(self) -> str:
        if self.keep:
            return KEEP
        raise WorkflowError("this checkpoint has no token for doing nothing")

    def _call(
        self, rules: _Rules, thing: str, setting: _Setting, spelled: Spelling, token: str, tool: Tooling
    ) -> list[str]:
        """The parts of a call of one tool; none if a value that it needs cannot be said here."""
        parts = [token]
        place = mask_of(tool)
        if place:
            parts.append(self._where(rules, thing, setting) + ("" if place.required else "?"))
        for name, own in setting.param_tokens(token).items():
            param = tool.param(name)
            assert param is not None
            values = spelled.options(param)
            if values:
                parts.append(rules.add(f"{own} {rules.add(values)}") + ("" if param.required else "?"))
            elif param.required:
                return []
        return parts

    def _marks(self, setting: _Setting) -> dict[int, str]:
        """What is shown after which word."""
        if self.hints is None:
            return {}
        request = setting.request
        return marks(self.hints, request.instruction, setting.words, request.fold, setting.tools, setting.param_tokens)

    def _setting(self, request: Request) -> _Setting:
        held = self._held
        if held is None or held[0] is not request:
            self._held = held = (request, self._setting_of(request))
        return held[1]

    def _setting_of(self, request: Request) -> _Setting:
        known, new, absent = self._sorted(request.tools, "reference" in request.given)
        words = tuple(words_of(request.instruction))
        cards = nearest(self.hints, request.instruction, words, request.fold, new, tuple(known.values()))[:CARDS]
        tools = {**known, **{f"<t_{n}>": tool for n, tool in enumerate(cards)}}
        return _Setting(request, words, tools, cards, absent)

    def _sorted_afresh(
        self, tools: tuple[Tooling, ...], second: bool
    ) -> tuple[dict[str, Tooling], list[Tooling], tuple[str, ...]]:
        """The tools with a token of their own by that token, those that need a card, and what is not on offer."""
        by_heart = {tool.name: tool for tool in tools if self.vocabulary.knows(tool)}
        new = [tool for tool in tools if tool not in by_heart.values() and _usable(tool, second)]
        names = [name for name in self.vocabulary.tools if name in by_heart]
        known = {f"<T:{name}>": by_heart[name] for name in names if _usable(by_heart[name], second)}
        return known, new, tuple(name for name in self.vocabulary.tools if name not in by_heart)

    def _card(self, setting: _Setting, number: int, tool: Tooling) -> str:
        token = f"<t_{number}>"
        parts = [f"<card>{token}{_clean(tool.name.replace('_', ' '))}<:>{_clean(tool.sentence, SENTENCE)}"]
        place = mask_of(tool)
        if place:
            parts.append("<on>" if place.required else "<on?>")
        for name, own in setting.param_tokens(token).items():
            param = tool.param(name)
            assert param is not None
            kind = "string" if param.format == "ratio" else param.format or param.kind
            parts.append(f"{own}{_clean(name.replace('_', ' '))}<k:{kind}>")
            parts += [f"<c_{n}>{_clean(str(choice))}" for n, choice in enumerate(param.choices[: len(SLOTS)])]
        return "".join([*parts, token])

    def _where(self, rules: _Rules, thing: str, setting: _Setting) -> str:
        drawn = ["<drawn>"] if "mask" in setting.request.given else []
        names = _names(setting)
        options = [f"<on> {thing}", *drawn]
        options += [f"<not> {thing}", *(f"<not> {d}" for d in drawn)] if "mask_invert" in names else []
        place = rules.add(" | ".join(options))
        return rules.add(f"{place} (<but> {thing})?") if "mask_subtract" in names else place


def _usable(tool: Tooling, second: bool) -> bool:
    """Can a call of it be said: a picture to work on, a second one if it needs that, every required parameter?"""
    pictures = [p for p in tool.params if p.kind == "image"]
    masks = [p for p in tool.params if p.kind == "mask"]
    return (
        bool(pictures)
        and not pictures[0].many
        and len(masks) <= 1
        and not any(p.many for p in masks)
        and (second or not any(p.required and p.name != "before" for p in pictures[1:]))
        and all(spelling.sayable(p) for p in tool.params if p.required and p.kind not in REFERABLE)
    )


class _Rules:
    """Rules of a grammar, each text once."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def add(self, text: str) -> str:
        return self.known.setdefault(text, f"r{len(self.known)}")

    @property
    def text(self) -> str:
        return "\n".join(f"{name}: {text}" for text, name in self.known.items())


def _thing(spelled: Spelling, words: bool) -> str:
    options = [spelled.spans(LONGEST)] if words and spelled.words else []
    options += [REGION.format(region) for region in REGIONS] if words else []
    return " | ".join([*options, f"<box> {_pair()} {_pair()}"]) if words else f"<box> {_pair()} {_pair()}"


def _pair() -> str:
    """Two places of the grid, the second behind the first."""
    return (
        "("
        + " | ".join(f"<l_{a}> ({' | '.join(f'<l_{b}>' for b in range(a + 1, GRID))})" for a in range(GRID - 1))
        + ")"
    )


class _Reader:
    """Reads the tokens of an answer from left to right."""

    def __init__(self, tokens: Sequence[str], setting: _Setting, spelled: Spelling) -> None:
        self.tokens, self.setting, self.spelled = list(tokens), setting, spelled

    def calls(self) -> list[Call]:
        found = []
        while self.tokens and self.tokens[0] not in ("<end>", "<pad>"):
            found.append(self._call())
        if not found:
            raise ValueError("no call")
        return found

    def _call(self) -> Call:
        if self._next() == "<at>":  # which words ask for it: a thought, not a part of the plan
            del self.tokens[:3]
        token = self._take()
        tool = self.setting.tools[token]
        on = but = ""
        if self._next() in ("<on>", "<not>", "<drawn>"):
            on = self._place()
        if on and self._next() == "<but>":
            self._take()
            but = self._thing()
        named = {own: name for name, own in self.setting.param_tokens(token).items()}
        args: dict[str, Any] = {}
        while self._next() in named:
            param = tool.param(named[self._take()])
            assert param is not None
            args[param.name], used = self.spelled.read(param, self.tokens)
            del self.tokens[:used]
        return Call(tool=tool.name, args=args, on=on, but=but)

    def _place(self) -> str:
        kind = self._take()
        if kind == "<drawn>":
            return DRAWN
        if kind == "<not>" and self._next() == "<drawn>":
            self._take()
            return NOT + DRAWN
        return (NOT if kind == "<not>" else "") + self._thing()

    def _thing(self) -> str:
        if self._next() == "<box>":
            left, right, top, bottom = (round(1000 * int(t[3:-1]) / (GRID - 1)) for t in self.tokens[1:5])
            del self.tokens[:5]
            return f"{BOX}{left} {top} {right} {bottom}"
        if self._next().startswith("<r:"):
            return self._take()[3:-1]
        text, used = self.spelled.read_span(self.tokens)
        del self.tokens[:used]
        return text

    def _next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def _take(self) -> str:
        return self.tokens.pop(0)


def _begins(thought: str) -> dict[int, str]:
    """Of the calls that are the first of some words those words, by the call's number."""
    found, number = {}, 0
    for words, count in asked_in(thought):
        found[number] = words
        number += count
    return found


def _names(setting: _Setting) -> set[str]:
    return {tool.name for tool in setting.request.tools}


def _clean(text: str, most: int = 8) -> str:
    """Words of a card without signs that could be taken for tokens."""
    return " ".join(re.sub(r"[<>]", " ", text.lower()).split()[:most])


def _shown(word: Word) -> str:
    """A word as the model sees it: of numbers the shape, of quotes the beginning."""
    if word.kind in ("number", "ratio"):
        return re.sub(r"\d", "#", re.sub(r"\s", "", word.text))
    if word.kind == "hex":
        return "#hex"
    return '"' + _clean(word.text, 3)[:24] if word.kind == "quote" else word.text
