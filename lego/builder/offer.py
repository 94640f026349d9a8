"""What the tools on offer make of one clause, and what is to stay as it is."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from lego.builder import lexicon as words
from lego.builder.clause import Reading, readings
from lego.builder.lexicon import Token, after, find, stem, text_of, together, tokens_of
from lego.builder.patterns import patterns_of
from lego.core.registry import Tool


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


class Offer:
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
        literal = self._literal(tokens) if keep else ()
        if literal:
            return Clause(literal, "", text)
        if not any(not t.filler for t in main):
            return self._kept_first(text, keep)
        negated = after(words.NEGATIONS, main)
        if negated is not None:
            return Clause(text=text, skipped=True) if self._readings(negated) else None
        found = self._readings(main)
        return Clause(found, keep, text, goes_on=goes_on) if found else None

    def _literal(self, tokens: Sequence[Token]) -> tuple[Reading, ...]:
        """Readings whose phrase has the word that else protects something: "keep only the red in colour"."""
        found = self._readings([t for t in tokens if t.kind != "stop"])
        targets = [tokens_of(r.target) for r in found]
        return () if any(find(tokens_of(k), t)[1] for k in words.KEEP for t in targets) else found

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
            at = next(((n, k) for name in names for n, k in [find(_split(name), left)] if k), None)
            if at is None or not all(name in self.tools for name, _ in recipe):
                continue
            hits += 5.0 * at[1]
            left = left[: at[0]] + left[at[0] + at[1] :]
            for name, args in recipe:
                steps[name] = {k: _stronger(steps.get(name, {}).get(k), v) for k, v in args.items()}
        for name, value in sorted(words.AMOUNTS.items(), key=lambda item: -len(item[0])):
            place, size = find(_split(name), left)
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
            if not tool.phrases and len(content) > 1 and all(stem(t.text) in _said(tool) for t in content):
                needs = any(p.required and p.kind != "image" for p in tool.params)
                found.append(
                    None if needs else Reading(tool, {}, "", len(content), ("read from the tool's description",))
                )
        return found[0] if len(found) == 1 else None


@functools.lru_cache(maxsize=4096)
def _split(text: str) -> tuple[Token, ...]:
    return tuple(tokens_of(text))


@functools.lru_cache(maxsize=4096)
def _said(tool: Tool[..., Any]) -> frozenset[str]:
    """The stems of the words in a tool's name and sentence."""
    text = f"{tool.name.replace('_', ' ')}. {tool.sentence}"
    return frozenset(stem(token.text) for token in tokens_of(text) if not token.filler)


def _keep(tokens: Sequence[Token]) -> tuple[list[Token], str]:
    """Split off what is to stay as it is: "... but keep the face", "except the flower", "除了花以外都..."."""
    for phrase in sorted(words.KEEP, key=len, reverse=True):
        place, size = find(_split(phrase), tokens)
        if size and tokens[place].text == "leaves":  # of a tree: nobody says "it leaves the face alone"
            continue
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


def same_rest(target: str) -> bool:
    """Does the target mean whatever was not meant before?"""
    return target in ("rest", "the rest", "everything else", "others", "其他", "其余", "其他部分", "其余部分", "剩下")


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


def faults(reading: Reading) -> list[str]:
    """What the tool would refuse among the arguments, as sentences."""
    found = []
    for name, value in reading.args.items():
        param = reading.tool.param(name)
        if param is None or param.kind in ("image", "mask"):
            continue
        try:
            param.validate(value)
        except ValidationError:
            found.append(f"'{reading.tool.name}' takes {param}, not {value!r}")
    return found
