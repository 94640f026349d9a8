"""Instructions: made from phrasings, with the calls that they ask for, endless and seeded.

A task is a request as an editor would make it (picture, words, tools on offer, what else is given) and the plan that it
asks for. Training, validation and test use other phrasings, other nouns and other made-up tools.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal, TypeAlias

from lego.builder.base import Request
from lego.builder.calls import BOX, Call, thought_of, workflow_of
from lego.core.errors import WorkflowError
from lego.core.registry import Registry, Tool
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.rl import faults, phrasings, pictures, slots
from lego.rl.clauses import Clause, Setting, chosen, fill
from lego.rl.invented import shuffled, tool_of
from lego.rl.phrasings import FOLDS, Phrasing, Split, belongs, fold_of
from lego.rl.records import Language

CHINESE_SHARE = 0.35
CLAUSES = (1,) * 50 + (2,) * 35 + (3,) * 15
DRILLED = (1,) * 40 + (2,) * 35 + (3,) * 15 + (4,) * 10  # in the training: several wishes take longest to learn
LISTED = 0.25  # of these: joined by nothing but commas, as the concrete words of a look are
PRECISE = 0.15  # of these: all wishes in phrasings that say a value
DECLINED = 0.06  # of tasks: nothing here can do it
MISSING = 0.06  # of tasks: some tools are not on offer; in half of them one that is asked for
INVENTED, HELD_INVENTED = 0.42, 0.36  # of tasks, in the training and elsewhere: cards of made-up tools in front
ASKED = 0.6  # of these: one is asked for
SEEN = 0.10  # of tasks: what is wrong with the picture has to be seen
SPOT = 0.40  # of tasks: what can be named by place or size alone is; which one it is has to be seen
DRAWN = 0.08  # of tasks: the user drew where
SECOND = 0.03  # of tasks: there is a second picture that nothing asks for
PREFIX, SUFFIX, TYPO = 0.25, 0.12, 0.08
ALIKE = 0.12  # of tasks with several wishes, in the training: all begin alike
REPEATED = 0.3  # of wishes after one about a thing, in the training: for its tool, half of these in the same words
ELLIPTIC = 0.8  # of wishes that begin as the one before: without it, "paint the car red and the door blue"
AGAIN = 0.2  # of second clauses about a thing: "it", the thing before
BRIEFLY = 0.3  # of single wishes in the training: in one of the briefest phrasings of their tool
BRIEF = {"en": 4, "zh": 6}  # words or Chinese characters of these, a slot counted as one
WHOLE = 0.3  # of tasks in the training: with hints that know their phrasings, as those of known phrasings will later be
ORDERS = 8  # in which the parameters and choices of a made-up tool come
LOOK = 0.5  # weight of a look of several tools; there are 35 of them
LIST = {"en": ("{a}, {b}",), "zh": ("{a}，{b}",) * 3 + ("{a}、{b}",)}
TRIES = 30
Level: TypeAlias = Literal["plain", "words", "whole", "shown", "placed"]


def language_of(random: Random, wanted: str = "both") -> Language:
    """Return the language that is wanted, of "both" by chance."""
    drawn: Language = "zh" if random.random() < CHINESE_SHARE else "en"
    return "en" if wanted == "en" else "zh" if wanted == "zh" else drawn


@dataclass(frozen=True)
class Task:
    """A request and the plan that it asks for; None where it is to be declined.

    Attributes:
        calls: what is asked for, one call a wish; empty if it is to be declined.
        source: the phrasings that it was made of.
        invented: does it ask for a tool that does not exist?
        seen: is the answer in the picture alone?
        thought: which words ask for which call: the trace of reasoning of models that think first.
        pictured: may the picture matter? Training begins with tasks that are read without it.
        target, mask: the picture that should come out and where it may change, if that is known.
    """

    request: Request
    workflow: Workflow | None
    language: str
    calls: tuple[Call, ...] = ()
    source: tuple[str, ...] = ()
    invented: bool = False
    seen: bool = False
    thought: str = ""
    pictured: bool = True
    target: Image | None = None
    mask: Mask | None = None


def tasks(
    registry: Registry,
    split: Split = "train",
    seed: int = 0,
    unseen_words: bool = True,
    level: Level = "whole",
) -> Iterator[Task]:
    """Yield tasks without end; the same seed gives the same ones.

    Args:
        registry: the tools to be learned, which all have phrasings; those that need weights are left out.
        split: whose phrasings, nouns and made-up tools; "few" has a fifth of the training's phrasings, and all else.
        unseen_words: False takes the phrasings of the training with the nouns of ``split``.
        level: "plain" has one wish each and no made-up tools, "words" all but what has to be seen in the picture,
            "whole" everything; in "shown" the things that are named are in the picture, a scene, and all tools exist,
            so that plans can run; "placed" has one wish each, about a thing that is named by its place or size alone.
    """
    maker = _maker(tuple(registry.running()), split, split if unseen_words else "train", level)
    number = 0
    while True:
        random = Random(f"{seed} {split} {number}")
        number += 1
        task = maker.task(random)
        if task is not None:
            yield replace(task, pictured=level not in ("plain", "words"))


@functools.lru_cache(maxsize=8)
def _maker(tools: tuple[Tool[..., Any], ...], split: Split, words: Split, level: Level) -> _Maker:
    return _Maker(tools, split, words, level)


class _Maker:
    def __init__(self, registry: tuple[Tool[..., Any], ...], split: Split, words: Split, level: Level) -> None:
        self.registry, self.words = registry, words
        self.split: Split = "train" if split == "few" else split
        self.training = self.split == "train"
        self.placed, self.shown, self.blind = level == "placed", level == "shown", level in ("plain", "words")
        self.single = level in ("plain", "placed")
        self.tools = {tool.name: tool for tool in registry}
        self.folds: tuple[int | None, ...] = tuple(range(FOLDS)) if self.training else (None,)
        self.by_tool: dict[tuple[int | None, str, str], list[Phrasing]] = {}
        for phrasing in (*phrasings.of_tools(), *phrasings.of_cards_own(registry)):
            fits = not self.placed or "{thing}" in phrasing.text
            if fits and phrasing.within(words) and all(tool in self.tools for tool, _ in phrasing.calls):
                key = (self._fold(phrasing.text), phrasing.language, phrasing.names)
                self.by_tool.setdefault(key, []).append(phrasing)
        self.names = {
            (fold, language): [n for f, lang, n in self.by_tool if (f, lang) == (fold, language)]
            for fold in self.folds
            for language in ("en", "zh")
        }
        self.precise = {key: [p for p in known if p.valued] or known for key, known in self.by_tool.items()}
        self.about = {key: [p for p in known if "{thing}" in p.text] for key, known in self.by_tool.items()}
        self.led: dict[tuple[int | None, str], dict[str, list[Phrasing]]] = {key: {} for key in self.names}
        for (fold, language, _), known in self.about.items():
            for phrasing in known:
                if phrasing.lead:
                    self.led[fold, language].setdefault(phrasing.lead, []).append(phrasing)
        self.brief = {
            key: [p for p in known if p.length <= BRIEF[p.language]] or known for key, known in self.by_tool.items()
        }
        self.weights = {
            key: [(LOOK if " + " in name else 1) * len(self.by_tool[(*key, name)]) ** 0.5 for name in names]
            for key, names in self.names.items()
        }
        self.cards = [card for card in phrasings.of_cards() if belongs(card.text, self.split)]
        self.scenes = 0 if self.training else pictures.STORE  # training never meets those from there on
        self.clauses = DRILLED if self.training else CLAUSES
        self.invented = INVENTED if self.training else HELD_INVENTED

    def _fold(self, text: str) -> int | None:
        """Of a line, if there are folds."""
        return fold_of(text) if self.folds != (None,) else None

    def _hinted(self, fold: int | None, random: Random) -> int | None:
        """The fold whose model of hints a task gets, None for that of all phrasings."""
        return None if self.training and random.random() < WHOLE else fold

    def task(self, random: Random) -> Task | None:
        language = language_of(random)
        dice = 1.0 if self.placed else random.random()
        if dice < DECLINED:
            return self._declined(random, language)
        if dice < DECLINED + SEEN and not self.blind:
            return self._seen(random, language)
        cards = self._invented(random) if random.random() < self.invented and not (self.single or self.shown) else []
        wanted = bool(cards) and random.random() < ASKED
        for _ in range(TRIES):
            try:
                return self._made(random, language, cards, wanted)
            except (ValueError, WorkflowError):
                continue
        return None

    def _made(self, random: Random, language: str, cards: Sequence[phrasings.Card], wanted: bool) -> Task:
        fold = random.choice(self.folds)
        fold = self._fold(cards[0].text) if cards else fold  # one for all wishes and cards of a task
        drawn = random.random() < DRAWN
        count = 1 if drawn or self.single else random.choice(self.clauses)
        listed, precise, alike = (
            self.training and count > 1 and random.random() < share for share in (LISTED, PRECISE, ALIKE)
        )
        clauses: list[Clause] = []
        mine = random.randrange(count) if wanted else -1
        invented = {card.name: self._tool(card, language, random) for card in cards}
        tools = {**self.tools, **invented}
        scene = self.scenes + random.randrange(pictures.STORE)
        spotted = self.placed or (random.random() < SPOT and not self.blind)
        spot = pictures.spot(scene, random) if spotted else None
        things = pictures.things(scene, language) if self.shown else ()
        for number in range(count):
            if number == mine:
                phrasing = random.choice([p for p in cards[0].phrasings if p.language == language])
            else:
                name = random.choices(self.names[fold, language], self.weights[fold, language])[0]
                brief = self.training and count == 1 and random.random() < BRIEFLY
                ways = self.precise if precise else self.brief if brief else self.by_tool
                phrasing = random.choices(ways[fold, language, name])[0]
                if alike and not clauses:
                    phrasing = self._opening(phrasing, fold, language, random)
                elif self.training and clauses:
                    phrasing = self._following(clauses[-1].phrasing, phrasing, fold, alike, random)
            if phrasing.alone and count > 1:
                raise ValueError("this one stands alone")
            led = self.training and bool(clauses) and phrasing.lead == clauses[-1].phrasing.lead != ""
            before = clauses[-1].thing if clauses and random.random() < AGAIN and not led else ""
            clauses.append(fill(phrasing, Setting(random, tools, language, self.split, drawn, before, spot, things)))
            if led and random.random() < ELLIPTIC:
                clauses[-1].pieces[0] = ("", False)
        calls = [call for clause in clauses for call in clause.calls]
        if self.placed and not any(call.on.startswith(BOX) for call in calls):
            raise ValueError("nothing here is named by its place")
        second = any(_second(tools[call.tool]) for call in calls) or random.random() < SECOND
        given = ("mask",) * drawn + ("reference",) * second
        offered = self._offer(random, {call.tool for call in calls}) + tuple(invented.values())
        text = dressed(random, clauses, language, listed)
        names = {tool.name for tool in offered}
        flow = workflow_of(calls, offered, given) if all(call.tool in names for call in calls) else None
        image = pictures.scene(scene)[1].image if spot or self.shown else pictures.any_of(random)
        request = Request(image, text, offered, given, {}, fold=self._hinted(fold, random))
        source = tuple(clause.phrasing.text for clause in clauses)
        thought = "\n".join(thought_of(clause.text, clause.calls) for clause in clauses) if flow else ""
        known = pictures.after(scene, calls[0]) if self.shown and flow and len(calls) == 1 else None
        target, mask = known or (None, None)
        return Task(
            _with_values(request, random), flow, language, tuple(calls) if flow else (), source, wanted,
            thought=thought, target=target, mask=mask,
        )  # fmt: skip

    def _opening(self, other: Phrasing, fold: int | None, language: str, random: Random) -> Phrasing:
        """A first wish that others begin like; the other where none do."""
        leads = [ways for ways in self.led[fold, language].values() if len(ways) > 1]
        return random.choice(random.choices(leads, [len(ways) ** 0.5 for ways in leads])[0]) if leads else other

    def _following(self, before: Phrasing, other: Phrasing, fold: int | None, alike: bool, random: Random) -> Phrasing:
        """After a wish about a thing one that begins as it did, or now and then one for its tool; else the other."""
        if "{thing}" not in before.text:
            return other
        ways = self.led[fold, before.language].get(before.lead, []) if alike else []
        if random.random() < REPEATED:
            same = self.about.get((fold, before.language, before.names), [])
            ways = [phrasing for phrasing in ways or same if phrasing.names == before.names]
            ways += [before] * len(ways)
        return random.choice(ways) if ways else other

    def _seen(self, random: Random, language: str) -> Task | None:
        """A wish that says no more than that something is wrong, over a picture with a fault."""
        groups = phrasings.sections("sight")
        kind = random.choice(list(FAULTS))
        ways = [line for line in groups[kind] if belongs(line, self.words) and phrasings.language_of(line) == language]
        if not ways:
            return None
        line = random.choice(ways)
        fault = pictures.faulty(random, FAULTS[kind])
        call = Call(tool=fault.tool, args=dict(fault.args) if fault.kind != "tilted" else {})
        request = Request(fault.image, _cased(random, line), self.registry)
        flow = workflow_of([call], self.registry)
        thought = f"The picture is {fault.kind}.\n{thought_of(line, [call])}"
        return Task(request, flow, language, (call,), (line,), seen=True, thought=thought, target=fault.original)

    def _offer(self, random: Random, wanted: set[str]) -> tuple[Tool[..., Any], ...]:
        """All tools, or now and then all but some."""
        if random.random() >= MISSING:
            return self.registry
        lost = set(random.sample([n for n in self.tools if n not in FINDERS], random.choice((1, 2, 4, 8, 16, 60))))
        keep = wanted if random.random() < 0.5 else set()
        return tuple(tool for tool in self.registry if tool.name not in lost - keep)

    def _invented(self, random: Random, fold: int | None = None) -> list[phrasings.Card]:
        """Some made-up tools of a fold, or all of one fold if none is given."""
        count = len(self.folds) * random.choice((1, 1, 2, 3, 4))
        found = random.sample(self.cards, min(len(self.cards), count))
        fold = self._fold(found[0].text) if fold is None else fold
        return [card for card in found if self._fold(card.text) == fold]

    def _tool(self, card: phrasings.Card, language: str, random: Random) -> Tool[..., Any]:
        """A made-up tool; in the training its parameters and choices have no fixed order."""
        return tool(card, language, 1 + random.randrange(ORDERS) if self.training else 0)

    def _declined(self, random: Random, language: str) -> Task | None:
        lines = [line for line in phrasings.lines("decline", self.words) if phrasings.language_of(line) == language]
        line = random.choice(lines)
        text = chosen(random, line.removeprefix("!").strip())
        text = text.replace("{it}", random.choice(slots.PICTURE[language]))
        text = re.sub(r"\{(thing|around|keep)\}", lambda m: slots.noun(random, language, self.split).said, text)
        if "{" in text:
            return None
        more = random.random() < self.invented and not self.shown
        fold = self._fold(line)
        cards = [self._tool(card, language, random) for card in self._invented(random, fold)] if more else []
        offered = (*self.registry, *cards)
        image, text = pictures.any_of(random), _cased(random, text)
        request = Request(image, text, offered, fold=self._hinted(fold, random))
        return Task(request, None, language, source=(line,))


FAULTS: dict[str, tuple[str, ...]] = {
    "any": faults.KINDS,
    "light": ("dark", "bright"),
    "color": ("warm", "cool", "pale"),
    "clear": ("noisy", "blurred", "hazy"),
}
FINDERS = ("segment", "segment_box", "mask_invert", "mask_subtract", "mask_refine")


def _second(tool: Tool[..., Any]) -> bool:
    """Does it need a second picture?"""
    return any(p.required and p.name != "before" for p in [p for p in tool.params if p.kind == "image"][1:])


@functools.lru_cache(maxsize=1 << 14)
def tool(card: phrasings.Card, language: str, order: int = 0) -> Tool[..., Any]:
    """Return a made-up tool, its sentence in Chinese if that is asked for and there is one.

    Args:
        order: of its parameters and choices; 0 for that in which they are written.
    """
    text = card.text
    if language == "zh" and card.chinese:
        name, _, rest = text.partition("]")
        bar = rest.find("|")
        text = f"{name}] {card.chinese}" + (f" {rest[bar:]}" if bar >= 0 else "")
    return tool_of(shuffled(text, Random(f"{card.name} {order}")) if order else text)


def dressed(random: Random, clauses: Sequence[Clause], language: str, listed: bool = False) -> str:
    """Join the clauses (as a list, if that is asked for), be polite, mistype, begin and end as people do."""
    texts = []
    for clause in clauses:
        if random.random() < TYPO and language == "en":
            clause.pieces = [(piece if kept else _mistyped(random, piece), kept) for piece, kept in clause.pieces]
        texts.append(clause.text)
    joined = texts[-1]
    joins = phrasings.sections("joins")
    for text in reversed(texts[:-1]):
        ways = LIST[language] if listed else joins[f"join_{language}"]
        joined = random.choice(ways).replace("{a}", text).replace("{b}", joined)
    alone = any(clause.phrasing.alone for clause in clauses)
    glue = " " if language == "en" else ""
    if random.random() < PREFIX and not alone:
        joined = f"{random.choice(joins[f'prefix_{language}'])}{glue}{joined}"
    if random.random() < SUFFIX:
        comma = random.choice(("", "," if language == "en" else "，"))
        joined = f"{joined}{comma}{glue}{random.choice(joins[f'suffix_{language}'])}"
    return _cased(random, joined)


def _cased(random: Random, text: str) -> str:
    dice = random.random()
    text = text[:1].upper() + text[1:] if dice < 0.45 else text
    if text and text[-1].isalnum() and random.random() < 0.35:
        text += random.choice((".", ".", ".", "!")) if text.isascii() else random.choice(("。", "！", ""))
    return text


def _mistyped(random: Random, text: str) -> str:
    """One word with a letter lost, doubled or swapped."""
    words = list(re.finditer(r"[a-z]{5,}", text))
    if not words:
        return text
    word = random.choice(words)
    at = random.randrange(word.start() + 1, word.end() - 1)
    kind = random.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    return text[:at] + (text[at] + text[at:] if kind == 1 else text[at + 1] + text[at] + text[at + 2 :])


def _with_values(request: Request, random: Random) -> Request:
    """Put in what is given: a drawn mask, a second picture."""
    values: dict[str, Image | Mask] = {"image": request.image}
    if "mask" in request.given:
        values["mask"] = pictures.drawn(request.image, random)
    if "reference" in request.given:
        values["reference"] = pictures.any_of(random)
    return replace(request, values=values)
