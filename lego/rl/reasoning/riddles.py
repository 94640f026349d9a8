"""Riddles: edits of scenes that can only be done right by one who answers a question about the picture first.

After Uni-Edit (arXiv 2605.21487): a condition on the answer decides whether something is done, or the answer is what is
to be added. Here are the kinds that ask about things: count, colour, shape and location; `lego.rl.reasoning.readings`
has those that write. A condition is false in half of the riddles, and then nothing is to be done.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from lego.rl import scenes
from lego.rl.pictures import CHINESE
from lego.rl.reasoning import staging
from lego.rl.reasoning.desk import NEW, PIECE, Deed, Desk, Riddle, drawn, hexed
from lego.rl.reasoning.staging import CLEAR, SIDE, Fact, box, grown, room
from lego.rl.scenes import Scene

NUMBERS = {
    "en": ("no", "one", "two", "three", "four", "five", "six", "seven", "eight"),
    "zh": ("零", "一", "两", "三", "四", "五", "六", "七", "八"),
}
WARM, LIGHTS = ("red", "orange", "yellow"), ("red", "yellow", "green")
NEITHER = {"warm": ("pink", "purple"), "light": ("orange", "cyan")}  # so to some, and not to others
CURVED, STRAIGHT = ("ball", "heart", "ring"), ("box", "triangle", "star", "cross", "diamond")


def groups(
    desk: Desk, first: int, second: int
) -> tuple[Scene, str, tuple[list[int], list[int]], tuple[str, str], bool]:
    """A scene with two kinds of things: it, by what they are alike, their numbers and names, and: is it the shape?"""
    total = first + second + desk.random.randrange(2)
    ground = desk.ground(total, total)
    kinds = staging.shapes(desk.random, 3)
    by_shape = desk.random.random() < 0.5
    which = desk.random.sample(range(total), first + second)
    parts = sorted(which[:first]), sorted(which[first:])
    looks = []
    for number in range(total):
        group = 0 if number in parts[0] else 1 if number in parts[1] else 2
        shape = kinds[group] if by_shape else desk.random.choice(kinds)
        looks.append((shape, ground.colors[number] if by_shape else ground.colors[group]))
    scene = ground.arranged(looks)
    if by_shape:
        called = desk.many(kinds[0]), desk.many(kinds[1])
    else:
        both = [ground.colors[0], ground.colors[1]]
        called = (
            desk.either(f"{both[0]} things", f"{CHINESE[both[0]]}的东西"),
            desk.either(f"{both[1]} things", f"{CHINESE[both[1]]}的东西"),
        )
    return scene, ground.colors[-1], parts, called, by_shape


def count_if(desk: Desk) -> Riddle:
    """If their number is so, remove them, or the leftmost."""
    holds, kind = bool(desk.holds), "named"
    if not desk.named:
        kind = desk.random.choice(("same", "more", "parity"))
    sizes = [(a, b) for a in (2, 3, 4) for b in (2, 3, 4) if a + b <= 6]
    fitting: dict[str, Callable[[int, int], bool]] = {"same": lambda a, b: a == b, "more": lambda a, b: a > b}
    if kind in fitting:
        sizes = [size for size in sizes if fitting[kind](*size) == holds]
    first, second = desk.random.choice(sizes)
    scene, _, (ones, _), (called, other), by_shape = groups(desk, first, second)
    if kind == "named":
        value = first if holds else desk.random.choice([n for n in (2, 3, 4, 5) if n != first])
        condition = desk.say("count if named", value=NUMBERS[desk.language][value])
    elif kind == "parity":
        condition = desk.say(f"count if {'even' if (first % 2 == 0) == holds else 'odd'}")
    else:
        condition = desk.say(f"count if {kind}", other=other)
    left = staging.first(scene, ones)
    if left is not None and desk.random.random() < 0.5:
        # the leftmost of one colour is named so, that of one shape by its own colour
        on = (
            desk.whole(scene.items[left])
            if by_shape
            else desk.either(f"the leftmost {called}"[:-1], f"最左边的{called}")
        )
        deed = desk.removed(scene, [left], desk.say("count do left", **{"class": called, "one": called}), [on])
    else:
        on = [desk.whole(scene.items[n]) for n in ones] if by_shape else [desk.either(f"the {called}", called)]  # type: ignore[assignment]
        deed = desk.removed(scene, ones, desk.say("count do all", **{"class": called}), on, called)
    question = desk.say("count q", **{"class": called})
    return desk.conditional(scene, question, str(first), (condition, kind == "named", holds), deed)


def count_add(desk: Desk) -> Riddle:
    """Add as many other things."""
    first, second = desk.random.choice([(2, 2), (2, 3), (3, 2), (4, 2)])
    scene, color, (ones, _), (called, _), _ = groups(desk, first, second)
    kind = desk.random.choice(list(NEW))
    new = desk.either(f"{color} {desk.new(kind, 2)}", f"{CHINESE[color]}的小{desk.new(kind)}")
    deed = desk.added(scene, desk.say("count add", new=new), kind, color, len(ones))
    return desk.direct(scene, desk.say("count q", **{"class": called}), str(len(ones)), deed)


def distinct(desk: Desk, least: int, most: int) -> tuple[Scene, tuple[str, ...]]:
    """A scene whose things all differ in colour and in shape, and the colours that were left."""
    ground = desk.ground(least, most)
    count = len(ground.scene.items)
    scene = ground.arranged(list(zip(staging.shapes(desk.random, count), ground.colors, strict=False)))
    return scene, ground.colors[count:]


def _changed(desk: Desk, scene: Scene, number: int, called: str, on: str, colors: Sequence[str]) -> Deed:
    """Another colour for a thing, or away with it."""
    if desk.random.random() < 0.5:
        return desk.removed(scene, [number], desk.say("do out", thing=called), [on], called)
    color = desk.random.choice(colors)
    said = desk.say("do turn", thing=called, color=desk.color(color))
    return desk.painted(scene, number, color, said, on, called)


def color_if(desk: Desk) -> Riddle:
    """If a thing has such a colour, change it."""
    scene, left = distinct(desk, 3, 5)
    number, other = desk.random.sample(range(len(scene.items)), 2)
    holds, kind = bool(desk.holds), "named"
    if not desk.named:
        kind = desk.random.choice(("same", "warm", "light"))
    item, second = scene.items[number], scene.items[other]
    on = desk.whole(item)
    if kind == "same" and holds:
        if abs(item.x - second.x) < CLEAR:
            raise LookupError("neither is clearly further left")
        scene = scene.recolored(other, item.color)
        side = ("leftmost", "最左边的") if item.x < second.x else ("rightmost", "最右边的")
        on = desk.either(f"the {side[0]} {item.color} thing", f"{side[1]}{CHINESE[item.color]}的东西")
    if kind == "named":
        value = item.color if holds else desk.random.choice([c for c in staging.VIVID if c != item.color])
        condition = desk.say("color if named", value=desk.color(value))
    elif kind == "same":
        condition = desk.say("color if same", other=desk.shape(second))
    else:
        if (item.color in (WARM if kind == "warm" else LIGHTS)) != holds or item.color in NEITHER[kind]:
            raise LookupError("the colour does not fit")
        condition = desk.say(f"color if {kind}")
    deed = _changed(desk, scene, number, desk.shape(item), on, left)
    question = desk.say("color q", thing=desk.shape(item))
    return desk.conditional(scene, question, desk.color(item.color), (condition, kind == "named", holds), deed)


def color_add(desk: Desk) -> Riddle:
    """Add a thing of the same colour, or give the colour to another."""
    scene, _ = distinct(desk, 3, 5)
    number, other = desk.random.sample(range(len(scene.items)), 2)
    item, second = scene.items[number], scene.items[other]
    if desk.random.random() < 0.6:
        kind = desk.random.choice(list(NEW))
        deed = desk.added(scene, desk.say("color add", new=desk.new(kind)), kind, item.color)
    else:
        called = desk.shape(second)
        deed = desk.painted(scene, other, item.color, desk.say("color give", other=called), desk.whole(second), called)
    return desk.direct(scene, desk.say("color q", thing=desk.shape(item)), desk.color(item.color), deed)


def shape_if(desk: Desk) -> Riddle:
    """If a thing has such a shape, change it."""
    scene, left = distinct(desk, 3, 5)
    number, other = desk.random.sample(range(len(scene.items)), 2)
    holds, kind = bool(desk.holds), "named"
    if not desk.named:
        kind = desk.random.choice(("same", "straight", "round"))
    item, second = scene.items[number], scene.items[other]
    if kind == "same" and holds:
        looks = [(item.shape if n == other else i.shape, i.color) for n, i in enumerate(scene.items)]
        scene = staging.Ground(scene, ()).arranged(looks)
    if kind == "named":
        value = item.shape if holds else desk.random.choice([s for s in scenes.SHAPES if s != item.shape])
        condition = desk.say("shape if named", value=desk.either(value, CHINESE[value]))
    elif kind == "same":
        condition = desk.say("shape if same", other=desk.tinted(second))
    else:
        if (item.shape in (CURVED if kind == "round" else STRAIGHT)) != holds:
            raise LookupError("the shape does not fit")
        condition = desk.say(f"shape if {kind}")
    deed = _changed(desk, scene, number, desk.tinted(item), desk.whole(item), left)
    question = desk.say("shape q", thing=desk.tinted(item))
    answer = desk.either(item.shape, CHINESE[item.shape])
    return desk.conditional(scene, question, answer, (condition, kind == "named", holds), deed)


def shape_add(desk: Desk) -> Riddle:
    """Add a thing of the same shape in another colour."""
    scene, left = distinct(desk, 2, 4)
    number = desk.random.randrange(len(scene.items))
    item, color = scene.items[number], desk.random.choice(left)
    mask = desk.mask(scene, number)
    x, y = (round(side, 2) for side in room(desk.random, scene, item.radius))
    if mask.box is None:
        raise LookupError("nothing of it is to be seen")
    steps: tuple[dict[str, Any], ...] = (
        {"id": "s1", "tool": "segment", "args": {"image": "$image", "target": desk.whole(item)}},
        {"id": "s2", "tool": "recolor", "args": {"image": "$image", "mask": "$s1", "color": hexed(color)}},
        {"id": "s3", "tool": "cut", "args": {"image": "$s2", "mask": "$s1"}},
        {"id": "s4", "tool": "paste", "args": {"image": "$image", "picture": "$s3.image", "x": x, "y": y,
                                               "scale": round((mask.box[2] - mask.box[0]) / SIDE, 2)}},
    )  # fmt: skip
    left_, top, right, bottom = mask.box
    middle = (left_ + right) / 2 / SIDE, (top + bottom) / 2 / SIDE
    copy = scene.moved(number, x - middle[0], y - middle[1])
    there = desk.mask(copy, number)
    deed = Deed(
        desk.say("shape add", color=desk.color(color)),
        (),
        grown(there, item, 0.12),
        (Fact("color", there, color),),
        (),
        steps,
    )
    question = desk.say("shape q", thing=desk.tinted(item))
    return desk.direct(scene, question, desk.either(item.shape, CHINESE[item.shape]), deed)


def location(desk: Desk) -> Riddle:
    """Change the thing at a place that other things tell."""
    scene, left = distinct(desk, 3, 6)
    relation, number, marks = _related(desk, scene)
    item, color = scene.items[number], desk.random.choice(left)
    said = {name: desk.whole(scene.items[n]) for name, n in zip("uw", marks, strict=False)}
    question = desk.say("location q", rel=desk.say(f"rel {relation}", **said))
    way, on = desk.random.choice(("other", "turn", "out")), desk.whole(item)
    if way == "other":
        kind = desk.random.choice([k for k in NEW if (k == "circle") != (item.shape == "ball")])
        told = desk.say("location do other", color=desk.color(color), new=desk.new(kind))
        place = box((item.x, item.y), max(PIECE * 0.8, item.radius))
        gone = desk.removed(scene, [number], told, [on])
        fact = Fact("color", staging.around(place, -round((place[2] - place[0]) * SIDE / 4000)), color)
        where = gone.where | staging.around(place)
        deed = Deed(told, (*gone.calls, drawn(kind, place, color)), where, (fact,), (number,))
    elif way == "turn":
        deed = desk.painted(scene, number, color, desk.say("location do turn", color=desk.color(color)), on)
    else:
        deed = desk.removed(scene, [number], desk.say("location do out"), [on])
    return desk.direct(scene, question, on, deed)


def _related(desk: Desk, scene: Scene) -> tuple[str, int, list[int]]:
    """A relation, the thing that has it, and the things that it is told by."""
    items = scene.items
    relation = desk.random.choice(("nearest", "farthest", "right", "left", "between"))
    mark = desk.random.randrange(len(items))
    if relation in ("nearest", "farthest"):
        far = {n: math.hypot(i.x - items[mark].x, i.y - items[mark].y) for n, i in enumerate(items) if n != mark}
        order = sorted(far, key=lambda n: far[n] * (1 if relation == "nearest" else -1))
        if abs(far[order[0]] - far[order[1]]) > CLEAR:
            return relation, order[0], [mark]
    else:
        order = sorted(range(len(items)), key=lambda n: items[n].x * (-1 if relation == "left" else 1))
        gaps = [abs(items[a].x - items[b].x) for a, b in itertools.pairwise(order)]
        at = order.index(mark)
        if relation == "between" and at + 2 < len(order) and min(gaps[at : at + 2]) > CLEAR:
            return relation, order[at + 1], [mark, order[at + 2]]
        if relation != "between" and at + 1 < len(order) and min(gaps[max(0, at - 1) : at + 2]) > CLEAR:
            return relation, order[at + 1], [mark]
    raise LookupError("no thing clearly has this relation")
