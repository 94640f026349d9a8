"""Thinking pairs without a model: instructions over scenes and photographs, and their concrete words.

After ReasonEdit's set (arXiv 2511.22625): complex instructions in simple edits, vague ones in concrete words, and clear
ones that are left as they are. All words are those of the training (`lego.rl.instructions`); every answer is planned by
the rules, those that have a known plan as it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from lego import __version__
from lego.builder import thinking
from lego.builder.calls import Call
from lego.builder.thinking import THING
from lego.builder.words import words_of
from lego.core.registry import Registry, Tool
from lego.core.values import Image
from lego.rl import faults, phrasings, pictures, scenes
from lego.rl.clauses import Clause, Setting, fill
from lego.rl.instructions import FAULTS, LOOK, dressed, language_of
from lego.rl.phrasings import Phrasing
from lego.rl.reasoning.lessons import Language, Provenance, Thinking, Way
from lego.rl.reasoning.plain import DOUBLED, Plain
from lego.rl.slots import Noun

SHARES: dict[str, float] = {"decomposed": 0.31, "abstract": 0.44, "unchanged": 0.25}  # 62, 88 and 50 of 200 thousand
SOURCE = "scenes"
SIDE = 256  # px of a picture
CLEAR = {"en": 2, "zh": 3}  # words, or Chinese characters, of an instruction that is left as it is, at least
MOST = 3  # simple edits of an answer
TRIES = 400  # of an instruction, until its answer can be said in words that the rules plan
KINDS = (("concept", 0.6), ("look", 0.25), ("sight", 0.15))  # of abstract ones: a concept, a look, a fault to be seen
OWN = 0.5  # of clear instructions: in the words of the tools' cards
NAMING = re.compile(r"\{(?:thing|around|keep)\}|<")  # of a phrasing: it names a thing
SENTENCE = re.compile(
    r"\{thing\} (?:is|has|lacks|got|needs|turns|shows|looks|contains|suffers|glows|blushes)\b"
)  # of a way of naming a concept: it is a sentence about the thing
OF = re.compile(r"\b(?:of|in|on) ")
AFTER_WORD = re.compile(r"(?<!\bof )(?<!\bin )(?<!\bon )(?<=[a-z] )\{thing\}$")  # "unripe {thing}"
CARRIERS: dict[tuple[str, str], tuple[str, ...]] = {
    # sentences for ways of naming a concept: of the whole picture, of a thing as a sentence, of a thing as a name
    ("en", "whole"): (
        "{way}", "make it look like {way}", "I want this to feel like {way}", "turn this picture into {way}",
        "think {way}", "could you take it towards {way}?", "the mood should be {way}", "go for {way} here",
        "{way} is what I have in mind", "I'd love it to remind people of {way}", "we need {way} for the cover",
        "let it breathe {way}", "my client asked for {way}", "something like {way}, please", "give it a touch of {way}",
    ),
    ("en", "sentence"): (
        "as if {way}", "make it look as if {way}", "pretend that {way}", "suppose {way}",
        "show what it is like when {way}", "imagine {way}", "let's say {way}", "for a lesson: {way}",
        "it should be plain to see that {way}",
        "what would we see if {way}?",
    ),
    ("en", "name"): (
        "{way}", "show {way}", "I need an example of {way}", "illustrate {way}", "let us see {way}",
        "make this a case of {way}", "the topic of my slide is {way}", "demonstrate {way} on it",
    ),
    ("zh", "whole"): (
        "{way}", "弄成{way}的感觉", "我想要{way}那种味道", "看起来像{way}", "整体往{way}靠", "给人{way}的印象",
        "能不能有{way}的气氛？", "封面需要{way}", "想让人一看就想到{way}", "带点{way}的意思", "帮我做出{way}的样子",
    ),
    ("zh", "sentence"): (
        "好像{way}一样", "假设{way}", "想象{way}", "让人一眼看出{way}", "做成{way}的样子", "如果{way}会是什么样？",
        "课件要用：{way}",
    ),
    ("zh", "name"): ("{way}", "表现出{way}", "举个例子说明{way}", "让大家看到{way}", "演示{way}", "我的主题是{way}"),
}  # fmt: skip


@dataclass(frozen=True)
class _Asked:
    """An instruction over a picture, its answer, and what it was made of."""

    image: Image
    instruction: str
    answer: str
    facts: dict[str, Any]


class Pairs:
    """Makes thinking pairs; the same seed and number give the same one.

    Args:
        registry: the tools; their phrasings of the training are asked in.
        language: "en", "zh" or "both".
    """

    def __init__(self, registry: Registry, seed: int = 0, language: str = "both") -> None:
        self.seed, self.language = seed, language
        self.plain = Plain(tuple(registry.running()))
        tools = tuple(tool for tool in registry.running() if _edits(tool))
        self.tools = {tool.name: tool for tool in tools}
        own = tuple(phrasings.of_cards_own(tools))
        self.own = {id(phrasing) for phrasing in own}
        self.ways: dict[tuple[str, str], list[Phrasing]] = {}
        for phrasing in (*phrasings.of_tools(), *own):
            names = [name for name, _ in phrasing.calls]
            known = all(name in self.tools for name in names) and len(names) <= MOST
            if known and not phrasing.alone and phrasing.within("train"):
                self.ways.setdefault((phrasing.language, phrasing.names), []).append(phrasing)
        self.weights = {key: (LOOK if " + " in key[1] else 1) * len(found) ** 0.5 for key, found in self.ways.items()}
        self.concepts = {lang: self._concepts(lang) for lang in ("en", "zh")}

    def lesson(self, number: int) -> Thinking | None:
        """Return the pair of a number, 0 or more; None if no answer was found that the rules plan."""
        key = key_of(self.seed, self.language, number)
        random = Random(f"thinking {key}")
        way = way_of(random)
        language = language_of(random, self.language)
        make = {"decomposed": self._decomposed, "abstract": self._abstract, "unchanged": self._unchanged}[way]
        for _ in range(TRIES):
            asked = make(random, language)
            if asked and (way == "unchanged") == (asked.instruction == asked.answer):
                made = Provenance(source=SOURCE, key=key, seed=self.seed, version=__version__, facts=asked.facts)
                return Thinking(asked.image, asked.instruction, asked.answer, way, language, made)
        return None

    def _decomposed(self, random: Random, language: Language) -> _Asked | None:
        scene, image, things = _seen(random, language)
        clauses: list[Clause] = []
        while sum(len(clause.calls) for clause in clauses) < 2 or (len(clauses) < MOST and random.random() < 0.35):
            clause = self._clause(random, language, things)
            if clause is None:
                return None
            clauses.append(clause)
        calls = [call for clause in clauses for call in clause.calls]
        if len(clauses) < 2 or len(calls) > MOST or len({str(call) for call in calls}) < len(calls):
            return None
        exact = any(clause.phrasing.valued for clause in clauses)
        answer = self.plain.edits(random, calls, language, exact)
        return (
            answer and _Asked(image, dressed(random, clauses, language), answer, {"calls": _dump(calls), **scene})
        ) or None

    def _abstract(self, random: Random, language: Language) -> _Asked | None:
        kind = random.choices([name for name, _ in KINDS], [share for _, share in KINDS])[0]
        if kind == "concept" and self.concepts[language]:
            return self._concept(random, language)
        return self._sight(random, language) if kind == "sight" else self._look(random, language)

    def _concept(self, random: Random, language: Language) -> _Asked | None:
        name, way, done = random.choice(self.concepts[language])
        scene, image, things = _seen(random, language)
        form = "whole"
        if THING in way:
            if not things:
                return None
            thing = random.choice(things).said
            form = "sentence" if SENTENCE.match(way) or (language == "zh" and way.startswith(THING)) else "name"
            way, done = _named(way, thing), done.replace(THING, thing)
        way = re.sub("#", lambda found: str(random.randrange(10)), way)
        carrier = random.choice(CARRIERS[language, form])
        if self.plain.plan(done) is None:
            return None
        return _Asked(image, carrier.replace("{way}", way), done, {"concept": name, **scene})

    def _look(self, random: Random, language: Language) -> _Asked | None:
        """A look, said by its name or by what it reminds of, in the edits that make it."""
        scene, image, things = _seen(random, language)
        clause = self._clause(random, language, things, look=True)
        answer = clause and self.plain.edits(random, clause.calls, language, False)
        if not clause or not answer:
            return None
        return _Asked(image, dressed(random, [clause], language), answer, {"calls": _dump(clause.calls), **scene})

    def _sight(self, random: Random, language: Language) -> _Asked | None:
        """ "Fix it", over a picture whose fault has to be seen."""
        groups = phrasings.sections("sight")
        group = random.choice(list(FAULTS))
        ways = [
            line for line in groups[group]
            if phrasings.belongs(line, "train") and phrasings.language_of(line) == language
        ]  # fmt: skip
        scene, image, _ = _seen(random, language)
        kind = random.choice(FAULTS[group])
        fault = faults.add(image, kind, random.uniform(0.2, 1), random.randrange(1 << 30))  # type: ignore[arg-type]  # one of `faults.KINDS`
        call = Call(tool=fault.tool, args=dict(fault.args) if fault.kind != "tilted" else {})
        answer = self.plain.edits(random, [call], language, False) if ways and call.tool in self.tools else None
        return _Asked(fault.image, random.choice(ways), answer, {"fault": fault.kind, **scene}) if answer else None

    def _unchanged(self, random: Random, language: Language) -> _Asked | None:
        scene, image, things = _seen(random, language)
        clause = self._clause(random, language, things, own=random.random() < OWN, look=False)
        if clause is None or len(words_of(clause.text)) < CLEAR[language] or DOUBLED.search(clause.text):
            return None
        if not self.plain.means(clause.text, clause.calls):
            return None
        return _Asked(image, clause.text, clause.text, {"calls": _dump(clause.calls), **scene})

    def _clause(
        self, random: Random, language: str, things: Sequence[Noun], own: bool = False, look: bool | None = None
    ) -> Clause | None:
        """One wish about the whole picture or a thing in it; ``look``: of several tools, of one, or of any number."""
        keys = [key for key in self.ways if key[0] == language and look in (None, " + " in key[1])]
        found = self.ways[random.choices(keys, [self.weights[key] for key in keys])[0]]
        found = [phrasing for phrasing in found if id(phrasing) in self.own] if own else found
        if not found:
            return None
        phrasing = random.choice(found)
        if not things and NAMING.search(phrasing.text):
            return None
        nouns = tuple(things) or (Noun("", ""),)  # never used: without any, everything could be named
        try:
            return fill(phrasing, Setting(random, self.tools, language, "train", things=nouns))
        except ValueError:
            return None

    def _concepts(self, language: str) -> list[tuple[str, str, str]]:
        """Name, way of saying, and what is then to be done, of all concepts in a language."""
        found = []
        for name, concept in thinking.load(thinking.FILE).items():
            done = concept.do_zh if language == "zh" else concept.do_en
            found += [(name, way, done) for way in (concept.zh if language == "zh" else concept.en) if done]
        return found


def way_of(random: Random) -> Way:
    """Draw the way of a pair."""
    return random.choices(list(SHARES), list(SHARES.values()))[0]  # type: ignore[return-value]  # one of its keys


def key_of(seed: int, language: str, number: int) -> str:
    """Return what names the pair of a number."""
    return f"{SOURCE} {language} {seed} {number}"


def made(seed: int, language: str) -> Pairs:
    """Return what makes pairs with the tools of the package; a process of its own can call it."""
    import lego.editor  # noqa: F401  # registers the tools
    from lego.core.registry import registry

    return Pairs(registry, seed, language)


def _seen(random: Random, language: str) -> tuple[dict[str, Any], Image, tuple[Noun, ...]]:
    """A picture, where it comes from, and the things in it that can be named; of a photograph none."""
    if random.random() < pictures.PHOTO_SHARE:
        return {"picture": "photograph"}, pictures.photo(random, SIDE), ()
    number = random.randrange(pictures.STORE)
    return {"picture": f"scene {number}"}, _scene(number), pictures.things(number, language)


@functools.lru_cache(maxsize=64)
def _scene(number: int) -> Image:
    return scenes.render(scenes.make(number), (SIDE, SIDE)).image


def _edits(tool: Tool[..., Any]) -> bool:
    """Does it give a picture, and need no second one?"""
    more = [p for p in tool.params if p.kind == "image"][1:]
    return any(o.kind == "image" for o in tool.outputs) and not any(p.required and p.name != "before" for p in more)


def _named(way: str, thing: str) -> str:
    """Put a thing into a way of naming a concept: "unripe {thing}" becomes "the unripe red ball"."""
    if AFTER_WORD.search(way):
        article = "" if OF.search(way) else "the "
        return f"{article}{way.replace(THING, thing.removeprefix('the '))}"
    return way.replace(THING, thing)


def _dump(calls: Sequence[Call]) -> list[dict[str, Any]]:
    return [call.model_dump(exclude_defaults=True) for call in calls]
