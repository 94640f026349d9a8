"""Trials: wishes about scenes, with the picture that should come out, for judging whole edits rather than plans.

A trial asks for one or two things in plain words, English or Chinese. What should come out is drawn from the scene
where that is known (a thing removed), and else made with the thing's true mask. The wordings are
this file's own; no builder is trained on them.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from random import Random
from typing import Any

import cv2
import numpy as np

from lego.builder.calls import Call, workflow_of
from lego.core.registry import registry
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.rl import scenes
from lego.rl.pictures import CHINESE, names
from lego.rl.scenes import Rendered, Scene

SIZE = (320, 240)  # px: large enough for letters to be read, small enough for thousands of edits
DONE = 0.35  # of the distance between source and target that may be left
NEAR, AROUND, FAR = 3.0, 20.0, 40.0  # of 255: mean distances that count as none, around a place, and of a stray pixel
RING, STRAY, PART = 4, 0.002, 0.02  # px around a place; shares of stray pixels where all stays, where all changes
BOTH = 0.4  # of the trials ask for two things
WORDS = ("SALE", "OPEN", "HELLO", "PARK", "2024")


@dataclass(frozen=True)
class Kind:
    """A wish: the call that fulfils it, and ways to say it; {x} is a thing, {c} a colour, {t} a text."""

    tool: str
    args: dict[str, Any]
    en: tuple[str, ...]
    zh: tuple[str, ...]


ON_THINGS = (
    Kind("remove", {}, ("please take {x} out", "{x} has to go, delete it", "remove {x}"), ("把{x}去掉", "删除{x}")),
    Kind("recolor", {}, ("turn {x} {c}", "make {x} {c}", "paint {x} {c}"), ("把{x}变成{c}", "将{x}改成{c}")),
    Kind("exposure", {"exposure": 0.7}, ("brighten {x}", "make {x} brighter"), ("提亮{x}", "让{x}更亮")),
    Kind("exposure", {"exposure": -0.7}, ("darken {x}", "make {x} darker"), ("把{x}变暗", "让{x}更暗")),
    Kind("black_and_white", {}, ("make {x} black and white",), ("把{x}变成黑白",)),
    Kind("blur", {"radius": 2.0}, ("blur {x}",), ("模糊{x}",)),
)
ON_ALL = (
    Kind("temperature", {"temperature": 30.0}, ("make the picture warmer", "warm the photo up"), ("让画面更暖",)),
    Kind("temperature", {"temperature": -30.0}, ("make the picture cooler", "cool the photo down"), ("让画面更冷",)),
    Kind("exposure", {"exposure": 0.7}, ("brighten the picture", "make the photo brighter"), ("提亮照片",)),
    Kind("exposure", {"exposure": -0.7}, ("darken the picture", "make the photo darker"), ("把照片变暗",)),
    Kind("black_and_white", {}, ("make the whole picture black and white",), ("把照片变成黑白",)),
    Kind("saturation", {"saturation": 40.0},
         ("make the colors of the picture stronger", "increase the saturation of the photo"), ("提高照片的饱和度",)),
    Kind("contrast", {"contrast": 30.0}, ("increase the contrast of the picture",), ("增加照片的对比度",)),
    Kind("blur", {"radius": 1.5}, ("blur the picture",), ("模糊照片",)),
    Kind("sepia", {}, ("give the picture a sepia tone", "tone the photo sepia"), ("给照片加上棕褐色调",)),
    Kind("add_text", {"position": "bottom"}, ('write "{t}" at the bottom', 'add the text "{t}" at the bottom'),
         ('在底部添加文字"{t}"',)),
    Kind("flip", {"direction": "horizontal"}, ("mirror the picture", "flip the photo horizontally"), ("水平翻转照片",)),
    Kind("crop", {"ratio": "1:1"}, ("crop the picture to a square",), ("裁剪成正方形",)),
)  # fmt: skip
LAST = ("flip", "crop", "add_text")  # what else is asked for is done before these


@dataclass(frozen=True)
class Trial:
    """A wish over a scene.

    Attributes:
        calls: what fulfils it; ``parts`` are the words of each.
        target: the picture that should come out.
        places: where the things are that it speaks of.
        mask: where the picture may change; None for everywhere.
        scene: what it is of.
    """

    number: int
    image: Image
    instruction: str
    language: str
    calls: tuple[Call, ...]
    parts: tuple[str, ...]
    target: Image
    places: tuple[Mask, ...]
    mask: Mask | None
    scene: Scene

    @property
    def workflow(self) -> Workflow:
        """The right plan."""
        return workflow_of(self.calls, registry)

    def done(self, result: Image) -> bool:
        """Is a result as it should be: in each place most of the way, and nowhere else far from it?

        In a place, and in the rest if that was to change, the distance to the target must be at most a third of what it
        was at first; around a place, and in the rest if that was to stay, it must be small in itself.
        """
        if result.size != self.target.size:
            return False
        off = np.abs(result.pixels.astype(np.float32) - self.target.pixels).mean(-1)
        if self.image.size != self.target.size:
            return float(off.mean()) < NEAR and float((off > FAR).mean()) <= STRAY
        turned = slice(None, None, -1 if any(call.tool == "flip" for call in self.calls) else 1)
        due = np.abs(self.image.pixels[:, turned].astype(np.float32) - self.target.pixels).mean(-1)
        rest = np.ones(off.shape, bool)
        for place in self.places:
            cover = np.ascontiguousarray(place.pixels[:, turned])
            where = cover > 127
            wide = cv2.dilate(cover, np.ones((2 * RING + 1, 2 * RING + 1), np.uint8)) > 0
            if off[where].mean() > max(DONE * due[where].mean(), NEAR) or off[wide & ~where].mean() > AROUND:
                return False
            rest &= ~wide
        if self.mask is None and due[rest].mean() > NEAR:
            return float(off[rest].mean()) <= DONE * float(due[rest].mean()) and float((off[rest] > FAR).mean()) <= PART
        return float(off[rest].mean()) <= NEAR and float((off[rest] > FAR).mean()) <= STRAY


def trial(number: int) -> Trial:
    """Make the trial of a number, 0 or above; the same number gives the same one."""
    random = Random(f"trial {number}")
    language = "zh" if random.random() < 0.25 else "en"
    while True:
        scene = scenes.make(random.randrange(1 << 30), least=3, most=5)
        things = _things(scene)
        if things:
            break
    drawn = scenes.render(scene, SIZE)
    kinds = [random.choice(ON_THINGS if random.random() < 0.6 else ON_ALL)]
    if random.random() < BOTH:
        others = [kind for kind in (*ON_THINGS, *ON_ALL) if kind.tool != kinds[0].tool]
        kinds.append(random.choice(others))
    kinds.sort(key=lambda kind: LAST.index(kind.tool) if kind.tool in LAST else -1, reverse=False)
    kinds.sort(key=lambda kind: kind.tool in LAST)
    while sum(kind in ON_THINGS for kind in kinds) > len(things):
        kinds.pop()
    numbers = random.sample(things, min(len(things), len(kinds)))
    said, calls, places = [], [], []
    for at, kind in enumerate(kinds):
        on = numbers[at % len(numbers)] if kind in ON_THINGS else -1
        words, call = _asked(random, kind, scene, on, language)
        said.append(words)
        calls.append(call)
        places.append(on)
    joint = {"en": random.choice((", then ", " and ", ". ")), "zh": "，然后"}[language]
    target = _target(scene, drawn, calls, places)
    local = all(place >= 0 for place in places)
    masks = tuple(drawn.masks[place] for place in places if place >= 0)
    mask = reduce(operator.or_, masks) if local else None
    return Trial(
        number, drawn.image, joint.join(said), language, tuple(calls), tuple(said), target, masks, mask, scene
    )  # fmt: skip


def _things(scene: Scene) -> list[int]:
    """Numbers of the items that their colour names without doubt."""
    colors = [item.color for item in scene.items]
    vague = ("white", "grey", "black", "brown")  # a shadow, the ground: nobody finds these by their colour
    return [n for n, item in enumerate(scene.items) if colors.count(item.color) == 1 and item.color not in vague]


def _asked(random: Random, kind: Kind, scene: Scene, on: int, language: str) -> tuple[str, Call]:
    """The words of a wish and its call."""
    args, fills = dict(kind.args), {}
    if on >= 0:
        english, chinese = names(scene.items[on])
        fills["x"] = f"the {english}" if language == "en" else chinese
    if kind.tool == "recolor":
        used = {item.color for item in scene.items}
        color = random.choice([c for c in ("red", "green", "blue", "yellow", "purple", "orange") if c not in used])
        fills["c"] = color if language == "en" else CHINESE[color]
        args["color"] = "#{:02x}{:02x}{:02x}".format(*scenes.rgb_of(color))
    if kind.tool == "add_text":
        fills["t"] = args["text"] = random.choice(WORDS)
    words = random.choice(kind.en if language == "en" else kind.zh).format(**fills)
    return words, Call(tool=kind.tool, args=args, on=fills.get("x", ""))


def _target(scene: Scene, drawn: Rendered, calls: Sequence[Call], places: Sequence[int]) -> Image:
    """What should come out: the scene edited and drawn again, and all else done with true masks."""
    gone = [place for call, place in zip(calls, places, strict=True) if call.tool == "remove"]
    image = scenes.render(scene.without(*gone), SIZE).image
    for call, place in zip(calls, places, strict=True):
        if call.tool == "remove":
            continue
        where = {"mask": drawn.masks[place]} if place >= 0 else {}
        image = registry[call.tool](image=image, **where, **call.args)
    return image


def interval(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share, z = successes / count, 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)
