"""Looking: what is where in a scene, all of it, in some order; what a network from scratch learns to see by.

A plan names one place among many words, and 10,000 steps of plans taught no network of this size to look for it. A list
of all things with their places (as in Pix2Seq, arXiv 2109.10852) says far more about a picture, and is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from lego.builder.base import Request
from lego.builder.spelling import GRID
from lego.rl import scenes
from lego.rl.clauses import spot
from lego.rl.pictures import SIDE

COUNTS = (1, 1, 2, 2, 3, 4)  # of things; with one there is nothing to compare
Order = Literal["left", "right", "top", "bottom", "largest", "smallest"]


@dataclass(frozen=True)
class Look:
    """A picture to be looked at: no instruction, and no plan."""

    request: Request
    language: str
    workflow: None = None


def look(random: Random) -> tuple[Look, str, str]:
    """Return a scene to look at, the prompt that says where to begin, and the answer, in the form "pointing"."""
    count = random.choice(COUNTS)
    made = scenes.make(random.randrange(1 << 31), count, count)
    order: Order = random.choice(get_args(Order))
    language = random.choice(("en", "zh"))
    image = scenes.render(made, (SIDE, SIDE)).image
    said = spot(random, order, language)
    listed = [made.items[number] for number in made.order(order)]
    answer = "".join(f"{_place(item)} {item.color} {item.shape}" for item in listed)
    return Look(Request(image, said, ()), language), f"<user>look {said}<asst>", answer


def _place(item: scenes.Item) -> str:
    """A box as the form writes it: left, right, top, bottom on its grid."""
    sides = (item.x - item.radius, item.x + item.radius, item.y - item.radius, item.y + item.radius)
    return "<box>" + "".join(f"<l_{max(0, min(GRID - 1, round(side * (GRID - 1))))}>" for side in sides)
