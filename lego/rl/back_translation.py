"""Does a plan do what the words say? The plan is told in words again, and the two tellings are held together.

No model, no ground truth, milliseconds. It reads letters, not meaning: colloquial wishes that share no word with a
tool's card ("make it pop") are worth little whoever plans them, so compare plans for the same instruction only.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lego.builder import lexicon
from lego.builder.lexicon import Token, color_at, converted, text_of, tokens_of
from lego.builder.rank import card, grams, index_of
from lego.core.errors import WorkflowError
from lego.core.phrases import SLOT
from lego.core.registry import Registry, Tool
from lego.core.signature import Param
from lego.core.workflow import Workflow
from lego.rl.rewards import ALIKE_COLOR, Reward, similar
from lego.rl.wording import Deed, color_name, deeds

WORDS = 0.5  # of a deed: that its tool is called for; the other half are the facts, right for the right tool only
SAME_WORD = 0.5  # Dice of two words' grams from which they are taken for the same: brighten and brighter have .53
SAME_PHRASE = 0.8  # share of a phrase's grams in the words, from which on what the phrase implies is to be kept
OTHER_WAY = 0.5  # what is left of a plan whose every pair of deeds comes in the other order than the words
RUN = 4  # clauses that may ask for one deed together
COPIED = 0.8  # share of the words that a text or a target repeats, from which on it is a copy and no answer
JOINS = frozenset(lexicon.SOFT) - {"和"}  # between clauses; 和 is a part of 饱和度 as well
Fact = tuple[str, Any]  # what the words give: ("text", "SALE"), ("color", "#1f5fd0"), ("number", token)


@dataclass(frozen=True)
class Span:
    """A run of clauses: where it begins and ends among them, its words, and the facts in it."""

    start: int
    end: int
    tokens: tuple[Token, ...]

    @functools.cached_property
    def text(self) -> str:
        return text_of(self.tokens)

    @functools.cached_property
    def grams(self) -> frozenset[str]:
        return frozenset(grams(self.text))

    @functools.cached_property
    def facts(self) -> list[Fact]:
        return list(_facts(self.tokens))


def back_translation(
    instruction: str, workflow: Workflow, registry: Registry, given: Mapping[str, str] | None = None
) -> Reward:
    """Hold an instruction against the deeds of a plan, in both directions.

    ``total = F1(called, covered) * (1 - .5 inverted)``.

    ``called``: mean over the deeds (`wording.deeds`) of the best, over all runs of clauses, of ``tool * (.5 + .5
    facts)``; a deed done twice alike counts once and is called for once. ``tool``: BM25 of the clauses with the tool's
    card over that of the best card. ``facts``: mean over the texts, colours and places of the deed (are they in the
    words?) and over the quoted texts, colours and numbers of the words (are they in the deed?), and whether the ways
    of asking that stand in the words imply the same direction.
    ``covered``: mean over the clauses of the share of their words, numbers, colours and quoted texts that some deed's
    card, places or arguments hold; fillers left out.
    ``inverted``: share of the pairs of deeds resting on each other whose clauses come the other way round.

    Args:
        instruction: the user's words, English or Chinese.
        given: kinds of the given values, as in `Workflow.check`.

    Returns:
        0 for a plan with problems, and for one that does nothing.
    """
    nothing = Reward(0.0, {"called": 0.0, "covered": 0.0, "inverted": 0.0})
    try:
        done = deeds(workflow, registry, given)
    except WorkflowError:
        return nothing
    clauses = _clauses(tokens_of(instruction))
    if not done or not clauses:
        return nothing
    spans = _runs(clauses)
    best = _best(done, spans, registry)
    seen: set[str] = set()
    worth = []
    for deed in done:
        worth.append(0.0 if deed.signature in seen else best[deed.bound.step.id][0])
        seen.add(deed.signature)
    called, covered = sum(worth) / len(worth), _covered(spans[0], clauses, done)
    inverted = _inverted(done, {name: span for name, (_, span) in best.items()})
    both = 2 * called * covered / (called + covered) if called + covered else 0.0
    terms = {"called": called, "covered": covered, "inverted": inverted}
    return Reward(both * (1 - OTHER_WAY * inverted), terms)


def _best(done: Sequence[Deed], spans: Sequence[Span], registry: Registry) -> dict[str, tuple[float, Span]]:
    """For each deed how well the words call for it, and which of them do."""
    tools = tuple(registry)
    names = [tool.name for tool in tools]
    index = index_of(tools)
    ranked = [index.rank(span.text) for span in spans]
    found = {}
    for deed in done:
        at = names.index(deed.bound.tool.name)
        scored = [
            (scores[at] / max(scores) * (1 - WORDS + WORDS * _agreement(span, deed)) if max(scores) else 0.0, span)
            for span, scores in zip(spans, ranked, strict=True)
        ]
        found[deed.bound.step.id] = max(scored, key=lambda pair: (pair[0], pair[1].start - pair[1].end))
    return found


def _clauses(tokens: Sequence[Token]) -> list[list[Token]]:
    """Cut at stops and at "and", "then"; what holds fillers alone is left out."""
    cut: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "stop" or (token.kind == "word" and token.text in JOINS):
            cut.append([])
        else:
            cut[-1].append(token)
    return [clause for clause in cut if any(not token.filler for token in clause)]


def _runs(clauses: Sequence[Sequence[Token]]) -> list[Span]:
    """All of the clauses, and every run of a few of them."""
    ends = [(0, len(clauses))]
    ends += [
        (a, b) for a, b in itertools.combinations(range(len(clauses) + 1), 2) if b - a <= RUN and (a, b) != ends[0]
    ]
    return [Span(a, b, tuple(itertools.chain.from_iterable(clauses[a:b]))) for a, b in ends]


def _facts(tokens: Sequence[Token]) -> Iterator[Fact]:
    """Quoted texts, colours, numbers and ratios in the words."""
    skip = 0
    for at, token in enumerate(tokens):
        if at < skip:
            continue
        color = color_at(tokens, at) if token.kind in ("word", "hex") else None
        if color:
            skip = at + color[1]
            yield "color", (color[0], text_of(tokens[at:skip]))
        elif token.kind == "quote":
            yield "text", token.text
        elif token.kind in ("number", "ratio"):
            yield "number", token


def _agreement(span: Span, deed: Deed) -> float:
    """Mean over the facts of the words and of the deed; 1 where there are none."""
    scores = [_held(fact, deed, span) for fact in span.facts]
    params = {p.name: p for p in deed.bound.tool.params}
    colors = [fact[1][0] for fact in span.facts if fact[0] == "color"]
    for name, value in deed.said.items():
        param = params[name]
        if param.format == "color" and colors and value:
            scores.append(max(_same_color(param, value, color) for color in colors))
        elif param.kind == "string" and param.format in ("text", "") and value:
            scores.append(_quoted(str(value), span))
    scores += [_named(target, span) for target in deed.targets]
    implied = _implied(span, deed.bound.tool)
    scores += [float(_same_way(params[name], deed.bound.args.get(name), value)) for name, value in implied.items()]
    return sum(scores) / len(scores) if scores else 1.0


def _held(fact: Fact, deed: Deed, span: Span) -> float:
    """Is something that the words give in a deed's arguments, or part of a way of asking for its tool?"""
    kind, wanted = fact
    params = {p.name: p for p in deed.bound.tool.params}
    values = [(params[name], value) for name, value in deed.said.items() if value is not None]
    if kind == "text":
        texts = [str(value) for param, value in values if param.kind == "string"]
        return float(wanted.strip() in (text.strip() for text in (*texts, *deed.targets)))
    if kind == "color":
        color, word = wanted
        asked = (found for found, _ in _asked(span, deed.bound.tool))
        if any(word in target.lower() for target in deed.targets) or any(set(grams(word)) <= found for found in asked):
            return 1.0  # "red" of the red cup; "black" of black and white
        return max((_same_color(p, value, color) for p, value in values if p.format == "color"), default=0.0)
    if wanted.kind == "ratio":
        return float(any(str(value) == wanted.text for _, value in values))
    numbers = [(p, v) for p, value in values if p.kind in ("number", "integer") for v in _flat(value)]
    sizes = {abs(size) for p, _ in numbers for size in (converted(wanted, p.unit), wanted.value) if size is not None}
    return float(any(abs(abs(v) - size) < 0.011 for _, v in numbers for size in sizes))


def _flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _same_color(param: Param, value: Any, color: str) -> float:
    """Everybody has a blue of their own: alike, or called by the same name."""
    try:
        alike = similar(param, str(value), color) >= ALIKE_COLOR
    except ValueError:
        return 0.0
    return float(alike or color_name(str(value)) == color_name(color))


def _quoted(text: str, span: Span) -> float:
    """Does a text stand in the words: as a quoted one, or as a part of them, but not all of them?"""
    quotes = [fact[1] for fact in span.facts if fact[0] == "text"]
    if quotes:
        return float(text.strip() in (quote.strip() for quote in quotes))
    words = " ".join(text.lower().split())
    return float(words in span.text.lower() and len(words) < COPIED * len(span.text))


def _named(target: str, span: Span) -> float:
    """How much of the words that name a thing stands in the span; a copy of the span names nothing."""
    have = frozenset(grams(target))
    if not have or len(target) > COPIED * len(span.text) + 4:
        return 0.0
    return len(have & span.grams) / len(have)


def _implied(span: Span, tool: Tool[..., Any]) -> dict[str, Any]:
    """What the longest way of asking that stands in the words implies, as far as it is a direction or a choice."""
    _, args = max(_asked(span, tool), key=lambda pair: len(pair[0]), default=(frozenset(), {}))
    return {p.name: args[p.name] for p in tool.params if p.name in args and _turns(p)}


def _turns(param: Param) -> bool:
    """Can the parameter's value be the other way round, rather than only more or less?"""
    return param.kind in ("choice", "boolean") or (param.kind in ("number", "integer") and (param.low or 0) < 0)


def _asked(span: Span, tool: Tool[..., Any]) -> list[tuple[frozenset[str], Mapping[str, Any]]]:
    """The ways of asking for a tool that stand in the words, as grams, and what they imply."""
    return [(have, args) for have, args in _phrases(tool) if len(have & span.grams) >= SAME_PHRASE * len(have) > 0]


@functools.lru_cache(maxsize=1024)
def _phrases(tool: Tool[..., Any]) -> tuple[tuple[frozenset[str], Mapping[str, Any]], ...]:
    return tuple((frozenset(grams(SLOT.sub(" ", phrase.text))), phrase.args) for phrase in tool.phrases)


def _same_way(param: Param, value: Any, wanted: Any) -> bool:
    """Same choice, or same sign."""
    try:
        wanted = param.validate(wanted)
    except ValidationError:
        return True
    if param.kind in ("choice", "boolean"):
        return bool(value == wanted)
    return value is not None and value * wanted >= 0


def _covered(span: Span, clauses: Sequence[Sequence[Token]], done: Sequence[Deed]) -> float:
    """Share of the words and facts of each clause that some deed holds, averaged over the clauses."""
    known = [_vocabulary(deed.bound.tool) | _own(deed, span) for deed in done]
    shares = []
    for clause in clauses:
        facts = list(_facts(clause))
        named = {word for kind, value in facts if kind == "color" for word in value[1].split()}
        words = [t.text for t in clause if t.kind == "word" and not t.filler and t.text not in named]
        scores = [max(_held(fact, deed, span) for deed in done) for fact in facts]
        scores += [max(_explained(word, have) for have in known) for word in words if word not in lexicon.AMOUNTS]
        shares += [sum(scores) / len(scores)] if scores else []
    return sum(shares) / len(shares) if shares else 0.0


def _own(deed: Deed, span: Span) -> frozenset[str]:
    """The words of a deed's places and arguments; of texts and targets those that stand in the instruction rightly."""
    free = {p.name for p in deed.bound.tool.params if p.kind == "string" and p.format in ("text", "")}
    values = [str(value) for name, value in deed.said.items() if name not in free or _quoted(str(value), span)]
    place = [deed.place] if all(_named(target, span) for target in deed.targets) else []
    return frozenset(token.text for token in tokens_of(" . ".join([*place, *values]).replace('"', " ").lower()))


@functools.lru_cache(maxsize=1024)
def _vocabulary(tool: Tool[..., Any]) -> frozenset[str]:
    return frozenset(token.text for token in tokens_of(card(tool).replace('"', " ").lower()) if not token.filler)


def _explained(word: str, have: frozenset[str]) -> float:
    return float(word in have or any(_dice(word, other) >= SAME_WORD for other in have if other[:1] == word[:1]))


@functools.lru_cache(maxsize=65536)
def _dice(first: str, second: str) -> float:
    a, b = frozenset(grams(first)), frozenset(grams(second))
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def _inverted(done: Sequence[Deed], spans: Mapping[str, Span]) -> float:
    """Share of the pairs of deeds, one resting on the other, whose words come in the other order."""
    pairs = [(spans[before], spans[deed.bound.step.id]) for deed in done for before in deed.after]
    apart = [(one, two) for one, two in pairs if one.end <= two.start or two.end <= one.start]
    return sum(two.end <= one.start for one, two in apart) / len(apart) if apart else 0.0
