"""One clause explained by one phrase of one tool: its arguments, its target, and nothing left over."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lego.builder import lexicon as words
from lego.builder.lexicon import (
    LONG_ENOUGH,
    Token,
    color_at,
    converted,
    graded,
    less,
    longest,
    mistyped,
    same,
    stem,
    text_of,
    tokens_of,
)
from lego.builder.patterns import Pattern, numeric, patterns_of
from lego.core.registry import Tool
from lego.core.signature import Param

ENDS = frozenset((*".;!?。；！？\n", "then", "然后", "接着", "最后", "finally", "afterwards"))  # of a wish
PRONOUNS = {"it", "them", "this", "that", "它", "它们"}
NAMED = 12  # score of a number beside its parameter's own name: "3 levels" belongs to the tool that has levels


@dataclass(frozen=True)
class Reading:
    """A clause explained: the tool, its arguments so far, what it is about, how well it fits."""

    tool: Tool[..., Any]
    args: Mapping[str, Any]
    target: str = ""
    score: float = 0.0
    notes: tuple[str, ...] = ()
    around: str = ""  # the thing whose surroundings it is about: "put the flower on a white background"


@dataclass
class _Draft:
    """A reading in the making."""

    tool: Tool[..., Any]
    pattern: Pattern
    used: set[int]
    slots: dict[str, Any]
    target: list[Token] | None = None
    notes: list[str] = field(default_factory=list)
    args: dict[str, Any] = field(default_factory=dict)
    factor: float = 1.0
    sign: int = 1
    direction: int = 0  # "increase" or "reduce" before the name of a number
    score: float = 0.0
    content: list[int] = field(default_factory=list)


def readings(tool: Tool[..., Any], tokens: Sequence[Token], vocabulary: frozenset[str]) -> Iterator[Reading]:
    """Yield every way in which a tool explains the whole clause."""
    have = {stem(token.text) for token in tokens}
    strange = [t for t in tokens if t.kind == "word" and len(t.text) >= LONG_ENOUGH and stem(t.text) not in vocabulary]
    if not strange and not _could_ask(tool, frozenset(have)):
        return
    for pattern in patterns_of(tool):
        missing = pattern.stems - have
        if len(missing) > len(strange) or not all(_typo_in(m, strange, vocabulary) for m in missing):
            continue
        for start in range(len(tokens)):
            for used, slots, typos in _walk(tool, pattern.parts, tokens, start, vocabulary):
                reading = _explain(_Draft(tool, pattern, used, slots), tokens, typos)
                if reading and not graded(reading.target):
                    yield reading


@functools.lru_cache(maxsize=16384)
def _could_ask(tool: Tool[..., Any], have: frozenset[str]) -> bool:
    """Is there a phrase of the tool all of whose words are there?"""
    return any(pattern.stems <= have for pattern in patterns_of(tool))


def _walk(
    tool: Tool[..., Any], parts: Sequence[Token | str], tokens: Sequence[Token], at: int, vocabulary: frozenset[str]
) -> Iterator[tuple[set[int], dict[str, Any], list[str]]]:
    """Match the parts of a pattern from a place on; yield the places used, the slots' values and the typos."""
    if not parts:
        yield set(), {}, []
        return
    part, rest = parts[0], parts[1:]
    for skip in _gaps(tool, tokens, at):
        if isinstance(part, Token):
            typo = None if same(part.text, tokens[skip].text) else mistyped(part.text, tokens[skip].text, vocabulary)
            if typo is None and not same(part.text, tokens[skip].text):
                continue
            for used, slots, typos in _walk(tool, rest, tokens, skip + 1, vocabulary):
                yield {skip, *used}, slots, [*typos, *([typo] if typo else [])]
            continue
        for value, length in _fills(tool, part, tokens, skip):
            for used, slots, typos in _walk(tool, rest, tokens, skip + length, vocabulary):
                yield {*range(skip, skip + length), *used}, {part: value, **slots}, typos
        if part == "target":
            break


def _gaps(tool: Tool[..., Any], tokens: Sequence[Token], at: int) -> Iterator[int]:
    """Yield the place itself and those after it that only fillers, amounts, numbers and colours separate from it."""
    colored = any(p.format == "color" for p in tool.params)
    while at < len(tokens):
        yield at
        found = color_at(tokens, at) if colored else None
        if found:
            at += found[1]
        elif tokens[at].filler or tokens[at].kind == "number" or longest(words.AMOUNTS, tokens, at):
            at += 1
        else:
            return


def _fills(tool: Tool[..., Any], slot: str, tokens: Sequence[Token], at: int) -> Iterator[tuple[Any, int]]:
    """Yield what a slot can take at a place, with the number of tokens that it needs."""
    param = tool.param(slot)
    if slot == "target" and (param is None or param.format == "target"):
        for end in range(at + 1, len(tokens) + 1):
            if tokens[end - 1].kind == "number":
                return
            if _content(tokens[at:end]):
                yield list(tokens[at:end]), end - at
    elif param is None:
        return
    elif param.format == "color":
        found = color_at(tokens, at)
        if found:
            yield found
    elif param.format == "ratio":
        found_ratio = _ratio(tokens, at)
        if found_ratio:
            yield found_ratio
    elif param.kind in ("number", "integer") and tokens[at].kind == "number":
        yield tokens[at], 1
    elif param.kind == "choice":
        found_choice = _choice(param, tokens, at)
        if found_choice:
            yield found_choice
    elif param.kind == "string" and tokens[at].kind == "quote":
        yield tokens[at].text, 1
    elif param.kind == "string" and not param.format:
        yield from _prose(tokens, at)


def _prose(tokens: Sequence[Token], at: int) -> Iterator[tuple[str, int]]:
    """Yield the words from a place on that say what is wished, as far as no other wish begins: "a vase of flowers"."""
    for end in range(at + 1, len(tokens) + 1):
        if tokens[end - 1].kind == "stop" or (end < len(tokens) and _begins_another(tokens, end - 1)):
            return
        if _content(tokens[at:end]):
            yield text_of(tokens[at:end]), end - at


def _explain(draft: _Draft, tokens: Sequence[Token], typos: list[str]) -> Reading | None:
    """Give every token that the pattern left over a meaning, or none of it counts."""
    thing = draft.slots.pop("target", None)
    beside = bool(thing) and draft.pattern.target == words.AROUND
    draft.target = None if beside else thing or (tokens_of(draft.pattern.target) or None)
    draft.args = dict(draft.pattern.args)
    amounts: list[Token] = []
    for name, value in draft.slots.items():
        if isinstance(value, Token):
            amounts.append(value)
            if not _number(draft, value, name):
                return None
        else:
            draft.args[name] = value
    if any(_begins_another(tokens, n) for n in range(1, len(tokens) - 1) if not {n, n + 1} & draft.used):
        return None
    at = 0
    while at < len(tokens):
        if at in draft.used:
            at += 1
            continue
        length = _leftover(draft, tokens, at)
        if length == 0:
            return None
        at += length
    said = [
        text for p in draft.tool.params if p.kind == "string" and not p.format and (text := draft.slots.get(p.name))
    ]
    if said and draft.content:  # prose takes all that is left: "a dog on the left"
        return None
    if not _settle_target(draft, tokens) or not _settle_amount(draft):
        return None
    literal = sum(0.6 if t.filler else 2.0 if len(t.text) > 1 else 1.0 for t in draft.pattern.literals)
    size = len(_content([*(draft.target or []), *tokens_of(" ".join(said))]))
    score = 5 * literal + 3 * len(draft.slots) + draft.score - 0.7 * size - 3 * len(typos)
    notes = tuple([f"read '{typo}'" for typo in typos] + draft.notes)
    if beside and (draft.target or any(token.kind == "quote" for token in thing)):
        return None
    around = text_of(_trimmed(thing) or tokens_of("subject")) if beside else ""
    return Reading(draft.tool, draft.args, text_of(draft.target or []), score, notes, around)


def _begins_another(tokens: Sequence[Token], at: int) -> bool:
    """Does "and make it ...", which the phrase does not explain, stand at a place?"""
    return tokens[at].text in words.SOFT and tokens[at + 1].text in words.MAKERS | words.CREATE


def _leftover(draft: _Draft, tokens: Sequence[Token], at: int) -> int:
    """Explain the token at a place; return how many tokens that took, 0 if it cannot be explained."""
    token = tokens[at]
    free = [p for p in draft.tool.params if p.name not in draft.slots and p.name not in draft.args]
    if draft.tool.param("opacity") and (found := longest(words.OPACITY, tokens, at)):
        draft.args["opacity"] = words.OPACITY[found[0]]
        return found[1]
    for param in free:
        hit = _named(param, tokens, at)
        if hit:
            draft.args[param.name], length = hit
            draft.score += 2
            return length
    if any(p.unit == "degrees" for p in draft.tool.params) and token.text in words.BACKWARDS | words.FORWARDS:
        draft.sign = -1 if token.text in words.BACKWARDS else 1
        draft.score += 2
        return 1
    if token.kind == "number":
        name = _name_beside(draft.tool, tokens, at)
        draft.score += NAMED if name else 2
        return 1 if _number(draft, token, name) else 0
    if (found := longest(words.AMOUNTS, tokens, at)) and not _describes(draft, tokens, at, *found):
        draft.factor *= words.AMOUNTS[found[0]]
        return found[1]
    if token.text in words.MORE | words.LESS and draft.pattern.bare:
        draft.direction = 1 if token.text in words.MORE else -1
        draft.score += 2
        return 1
    if token.kind == "stop" or (token.text in words.SOFT and not draft.content):
        return 1
    if token.filler or any(token.text in p.name.split("_") for p in numeric(draft.tool)):
        return 1
    if token.kind in ("hex", "ratio"):
        return 0  # quoted words may name a text in the picture
    draft.content.append(at)
    return 1


def _describes(draft: _Draft, tokens: Sequence[Token], at: int, amount: str, length: int) -> bool:
    """Is it the size of a thing, as in "remove the little red car", and not an amount, as in "add a little grain"?"""
    rest = range(at + length, len(tokens))
    return amount in words.LIKE_SIZES and bool(rest) and rest[0] not in draft.used and bool(_content([tokens[rest[0]]]))


def _named(param: Param, tokens: Sequence[Token], at: int) -> tuple[Any, int] | None:
    """A value that only this parameter can take: a colour, a quoted text, a ratio, a choice."""
    if param.kind == "choice":
        return _choice(param, tokens, at)
    if param.format == "color":
        return color_at(tokens, at)
    if param.format == "ratio":
        return _ratio(tokens, at)
    if param.format == "text" and tokens[at].kind == "quote":
        return tokens[at].text, 1
    if param.kind == "boolean" and tokens[at].text == param.name.replace("_", " "):
        return True, 1
    return None


def _choice(param: Param, tokens: Sequence[Token], at: int) -> tuple[Any, int] | None:
    table: dict[str, Any] = {}
    for choice in param.choices:
        table[str(choice).replace("_", " ")] = choice
        table |= dict.fromkeys(words.PLACES.get(str(choice), ()), choice)
    found = longest(table, tokens, at)
    return (table[found[0]], found[1]) if found else None


def _ratio(tokens: Sequence[Token], at: int) -> tuple[str, int] | None:
    if tokens[at].kind == "ratio":
        return tokens[at].text, 1
    three = [t.text for t in tokens[at : at + 3]]
    if (
        len(three) == 3
        and three[1] in ("by", "to", "比")
        and all(re.fullmatch(r"\d+(\.\d+)?|[一二三四五六七八九]", t) for t in (three[0], three[2]))
    ):
        first, last = (f"{words.NUMBERS.get(t, 0):g}" if t in words.NUMBERS else t for t in (three[0], three[2]))
        return f"{first}:{last}", 3
    return None


def _number(draft: _Draft, token: Token, name: str = "") -> bool:
    """Give a number to the parameter that it is meant for, by slot, by unit, by its name, or as the only one."""
    takers = numeric(draft.tool)
    implied = next((p for p in takers if p.name in draft.pattern.args), None)
    param = draft.tool.param(name) if name else None
    if param is None and implied is not None and implied.unit == token.unit and implied.name not in draft.slots:
        param = implied
    if param is None and token.unit:
        param = next((p for p in takers if p.unit == token.unit and p.name not in draft.slots), None)
    if param is None and (not token.unit or token.unit == "%"):
        free = [p for p in takers if p.name not in draft.slots and converted(token, p.unit) is not None]
        param = implied or next(iter(free), None)
    if param is None:
        return False
    value = converted(token, param.unit)
    if value is None:
        return False
    old = draft.args.get(param.name)
    falls = isinstance(old, int | float) and old < 0 and param.name in draft.pattern.args
    if falls or draft.direction < 0:  # "darken by 1 stop": the phrase gives the sign, the user the size
        value = -abs(value) if token.unit == param.unit else converted(less(token), param.unit) or -abs(value)
    alike = [p for p in takers if p.unit == param.unit and draft.pattern.args.get(p.name) == old and old is not None]
    for same_again in alike if not name else []:  # "by 15 %" of a phrase that means all four sides
        draft.args[same_again.name] = value
        draft.slots.setdefault(same_again.name, value)
    draft.args[param.name] = value
    draft.slots.setdefault(param.name, value)
    return True


def _name_beside(tool: Tool[..., Any], tokens: Sequence[Token], at: int) -> str:
    """The numeric parameter whose own name stands beside a number: "50 % opacity", "depth 0.7", "a depth of 0.7"."""
    names = {p.name: p.name for p in numeric(tool)}
    before = [t.text for t in tokens[max(0, at - 2) : at] if t.text not in ("of", "to", "by", "at", "为", "到")]
    after = [t.text for t in tokens[at + 1 : at + 2]]
    return next((names[word] for word in [*before[-1:], *after] if word in names), "")


def _settle_target(draft: _Draft, tokens: Sequence[Token]) -> bool:
    """The words that nothing explained are what the clause is about, if they stand together and the tool can aim."""
    aims = any(p.kind == "mask" or p.format == "target" for p in draft.tool.params)
    if draft.content:
        first, last = draft.content[0], draft.content[-1]
        aims = aims and not words.describes(tokens[first - 1].text, [t.text for t in draft.pattern.literals])
        if draft.target is not None or not aims or any(n in draft.used for n in range(first, last + 1)):
            return False
        between = range(last, min(draft.used)) if last < min(draft.used) else range(max(draft.used), first)
        if _ends([tokens[n] for n in between]) and not PRONOUNS & {token.text for token in tokens[last:]}:
            return False  # of another wish; in "see that blob? delete it" of this one
        draft.target = list(tokens[first : last + 1])
    if _ends(draft.target or ()):
        return False  # a thing's name does not go on in the next sentence, or after "then"
    draft.target = _trimmed(draft.target) if draft.target is not None else None
    name = next((p.name for p in draft.tool.params if p.format == "target"), None)
    if name and name not in draft.args:
        if not draft.target:
            return False
        draft.args[name] = text_of(draft.target)
        draft.target = None
    return all(
        p.name in draft.args
        for p in draft.tool.params
        if p.required and p.kind not in ("image", "mask") and p.format != "target"
    )


def _settle_amount(draft: _Draft) -> bool:
    """Scale what is implied, turn what is turned, and refuse what is out of range or says no number."""
    given = {p.name for p in numeric(draft.tool) if p.name in draft.slots}
    if draft.pattern.bare and not given and not draft.direction:
        return False
    only = (draft.factor != 1 or draft.direction) and not given and len(numeric(draft.tool)) == 1
    for param in numeric(draft.tool):
        value = draft.args.get(param.name)
        if value is None and only and param.default:
            value = param.default
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if param.name not in given:
            value = value * draft.factor
            value = min(max(value, param.low or value), param.high or value)  # "very" never leads out of range
        if draft.direction and param.low is not None and param.low < 0:
            value = abs(value) * draft.direction
        if param.unit == "degrees":
            value *= draft.sign
        draft.args[param.name] = round(value) if param.kind == "integer" else round(float(value), 2)
    return True


def _ends(tokens: Sequence[Token]) -> bool:
    return any(token.kind != "quote" and token.text in ENDS for token in tokens)


def _content(tokens: Sequence[Token]) -> list[Token]:
    return [t for t in tokens if not t.filler and t.kind != "stop" and t.text not in words.SOFT]


def _trimmed(tokens: list[Token]) -> list[Token] | None:
    """Without the fillers at both ends; None if that leaves the picture as a whole."""
    while tokens and (tokens[0].filler or tokens[0].text in words.SOFT | words.STOPS):
        tokens = tokens[1:]
    while tokens and (tokens[-1].filler or tokens[-1].text in words.SOFT | words.STOPS):
        tokens = tokens[:-1]
    return tokens if tokens and any(t.text not in words.PICTURE for t in tokens) else None


def _typo_in(word: str, tokens: Sequence[Token], vocabulary: frozenset[str]) -> bool:
    return any(mistyped(word, token.text, vocabulary) for token in tokens)
