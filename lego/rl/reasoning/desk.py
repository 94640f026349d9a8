"""Desks: where riddles are put together, of things that have names and edits that are known to be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lego.builder.calls import BOX, Call
from lego.core.values import Mask
from lego.rl import scenes
from lego.rl.pictures import CHINESE, names
from lego.rl.reasoning import staging
from lego.rl.reasoning.staging import GROWN, SIDE, Fact, box, grown, room
from lego.rl.reasoning.wordings import Pen, sentence
from lego.rl.scenes import Item, Scene

HOLDING = 0.5  # of the conditions are true
NAMED = 0.5  # of the conditions name a value; the others compare
NEW = {"circle": ("disc", "圆盘"), "rectangle": ("square", "方块")}  # what can be drawn, and how it is called
DOT = 0.055  # radius of small things that are added, and ...
PIECE = 0.1  # ... of others, as shares of the side
PLURAL = {"box": "boxes", "cross": "crosses"}


@dataclass(frozen=True)
class Riddle:
    """A question in an edit, over a scene.

    Attributes:
        question, answer: as in visual question answering; the answer is not in the instruction.
        condition: the words of the condition; "" for a riddle without. ``named``: does it name a value? ``holds``: is
            it true?
        said: the words that ask for the edit, if it is to be done.
        calls: what it is; or steps of a workflow.
        pointed: the same with things named in words of the instruction, or by their boxes; empty if that cannot be.
        where: where the picture may change; None for nowhere.
        facts: what must then be true; ``touched``: the things that it is about.
    """

    scene: Scene
    question: str
    answer: str
    instruction: str
    said: str = ""
    calls: tuple[Call, ...] = ()
    pointed: tuple[Call, ...] = ()
    steps: tuple[dict[str, Any], ...] = ()
    where: Mask | None = None
    facts: tuple[Fact, ...] = ()
    touched: tuple[int, ...] = ()
    condition: str = ""
    named: bool = False
    holds: bool = True


@dataclass(frozen=True)
class Deed:
    """An edit of things: how it is said, what does it, and what is then true."""

    said: str
    calls: tuple[Call, ...]
    where: Mask
    facts: tuple[Fact, ...]
    touched: tuple[int, ...]
    steps: tuple[dict[str, Any], ...] = ()
    pointed: tuple[Call, ...] = ()


@dataclass
class Desk(Pen):
    """Where riddles are made: a pen that knows how things are called.

    Attributes:
        holds, named: is the condition to be true, and is it to name a value? Drawn if left out.
    """

    holds: bool | None = None
    named: bool | None = None
    drawings: dict[Scene, scenes.Rendered] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.holds = self.random.random() < HOLDING if self.holds is None else self.holds
        self.named = self.random.random() < NAMED if self.named is None else self.named

    def ground(self, least: int, most: int, words: str = "") -> staging.Ground:
        """Make up a scene; see `staging.ground`."""
        return staging.ground(self.random, self.split, least, most, words)

    def drawing(self, scene: Scene) -> scenes.Rendered:
        """Return the picture of a scene with the masks of its things."""
        if scene not in self.drawings:
            self.drawings[scene] = scenes.render(scene, (SIDE, SIDE))
        return self.drawings[scene]

    def mask(self, scene: Scene, number: int) -> Mask:
        """Return where a thing is."""
        return self.drawing(scene).masks[number]

    def box(self, scene: Scene, number: int) -> str:
        """Name a thing by its box, as calls do."""
        sides = self.mask(scene, number).box
        if sides is None:
            raise LookupError("nothing of it is to be seen")
        return BOX + " ".join(str(round(1000 * side / SIDE)) for side in sides)

    def whole(self, item: Item) -> str:
        """Name a thing by colour and shape."""
        english, chinese = names(item)
        return self.either(f"the {english}", chinese)

    def shape(self, item: Item) -> str:
        """Name a thing by its shape."""
        return self.either(f"the {item.shape}", CHINESE[item.shape])

    def tinted(self, item: Item) -> str:
        """Name a thing by its colour."""
        return self.either(f"the {item.color} thing", f"{CHINESE[item.color]}的东西")

    def color(self, name: str) -> str:
        """Name a colour."""
        return self.either(name, CHINESE[name])

    def many(self, shape: str) -> str:
        """Name all things of a shape."""
        return self.either(PLURAL.get(shape, f"{shape}s"), CHINESE[shape])

    def new(self, kind: str, count: int = 1) -> str:
        """Name what is drawn."""
        english, chinese = NEW[kind]
        return self.either(english + "s" * (count > 1), chinese)

    def conditional(self, scene: Scene, question: str, answer: str, test: tuple[str, bool, bool], deed: Deed) -> Riddle:
        """Put a question, a condition on its answer (words, names a value, holds) and an edit together."""
        condition, named, holds = test
        words = sentence(self.say("frame if", q=question, **{"if": condition}, do=deed.said))
        if not holds:
            return Riddle(scene, question, answer, words, condition=condition, named=named, holds=False)
        return Riddle(scene, question, answer, words, **_done(deed), condition=condition, named=named)

    def direct(self, scene: Scene, question: str, answer: str, deed: Deed) -> Riddle:
        """Put a question and an edit by its answer together."""
        words = sentence(self.say("frame then", q=question, do=deed.said))
        return Riddle(scene, question, answer, words, **_done(deed))

    def removed(self, scene: Scene, numbers: Sequence[int], said: str, on: Sequence[str], told: str = "") -> Deed:
        """Take things away; ``on``: how the workflow names them, ``told``: the words do them all, "" if not at all."""
        masks = [self.mask(scene, n) for n in numbers]
        where = [grown(mask, scene.items[n], GROWN) for mask, n in zip(masks, numbers, strict=True)]
        facts = tuple(Fact("gone", mask) for mask in masks)
        calls, pointed = (
            tuple(Call(tool="remove", on=name) for name in names)
            for names in (on, [told] if told else [self.box(scene, n) for n in numbers])
        )
        return Deed(said, calls, union(where), facts, tuple(numbers), pointed=pointed)

    def painted(self, scene: Scene, number: int, color: str, said: str, on: str, told: str = "") -> Deed:
        """Give a thing another colour; names as in `removed`."""
        call, pointed = (
            Call(tool="recolor", on=name, args={"color": hexed(color)})
            for name in (on, told or self.box(scene, number))
        )
        mask = self.mask(scene, number)
        facts = (Fact("color", mask, color),)
        return Deed(said, (call,), grown(mask, scene.items[number]), facts, (number,), pointed=(pointed,))

    def added(self, scene: Scene, said: str, kind: str, color: str, count: int = 1) -> Deed:
        """Draw things where there is room."""
        radius, places = DOT if count > 1 else PIECE, list[tuple[float, float]]()
        for _ in range(count):
            places.append(room(self.random, scene, radius, places))
        boxes = [box(place, radius) for place in places]
        facts = tuple(Fact("color", staging.around(b, -4), color) for b in boxes)
        calls = tuple(drawn(kind, b, color) for b in boxes)
        return Deed(said, calls, union([staging.around(b) for b in boxes]), facts, ())

    def other_color(self, colors: Sequence[str], scene: Scene) -> str:
        """Draw a colour that nothing in the scene has."""
        return self.random.choice([color for color in colors if color not in {i.color for i in scene.items}])


def _done(deed: Deed) -> dict[str, Any]:
    """What a riddle takes of its edit."""
    names = ("said", "calls", "pointed", "steps", "where", "facts", "touched")
    return {name: getattr(deed, name) for name in names}


def drawn(kind: str, box: Sequence[int], color: str) -> Call:
    """Return the call that draws a filled shape."""
    args = {"shape": kind, "box": list(box), "color": hexed(color), "fill": hexed(color), "width": 0.4}
    return Call(tool="draw_shape", args=args)


def union(masks: Sequence[Mask]) -> Mask:
    """Return all of some masks."""
    whole = masks[0]
    for mask in masks[1:]:
        whole = whole | mask
    return whole


def hexed(color: str) -> str:
    """Return a colour's middle as tools take it."""
    return "#{:02x}{:02x}{:02x}".format(*scenes.rgb_of(color))
