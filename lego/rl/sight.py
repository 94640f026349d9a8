"""Sight: what a nano builder's eyes learn before it learns to plan.

A plan says one place of a picture among many words, and whole plans, 700,000 of them, taught no network of this size
where things stand. So the part that sees is taught first, and by itself: each token of the picture says whether the
middle of a thing lies in it, where that thing's sides are, and whether it is the first of all in some order, as anchor
points do in detection (FCOS, arXiv 1904.01355); all of them together say what is wrong with the picture. What reads
then finds a thing by looking for the token that calls itself the lowest. The heads that ask are thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from lego.builder.spelling import GRID
from lego.core.codec import Pixels
from lego.rl import faults, pictures, scenes
from lego.rl.optimizer import Muon
from lego.rl.pictures import SIDE
from lego.rl.scenes import Order

BATCH = 128
FAULTY = 0.4  # of the pictures: what is wrong with them is asked, of the others where things stand
ORDERS = get_args(Order)
MOST = 6  # things in a scene
RATE, DECAY, BETAS = 3e-3, 0.05, (0.9, 0.98)
WARMUP = 0.05  # of the steps; then the rate falls to 0
NOTHING = -100  # of a target: not asked
EDGES = 30.0  # weight of the sides as numbers
LIKE_BEFORE = 0.1  # weight of staying near to what a network that can plan already is used to see


@dataclass(frozen=True)
class Asked:
    """Pictures and what is asked of them.

    Attributes:
        pixels: B x SIDE x SIDE x 3.
        middles: 1 for tokens in which the middle of a thing lies, B x tokens; -1 where that is not asked.
        sides: of these things, left, right, top, bottom on the form's grid, B x tokens x 4; `NOTHING` elsewhere.
        firsts: number of the token of the first in each of `ORDERS`, B x orders; `NOTHING` where two are too near to
            each other to tell.
        faults: number of the fault, B; `NOTHING` where that is not asked.
    """

    pixels: Pixels
    middles: NDArray[np.int64]
    sides: NDArray[np.int64]
    firsts: NDArray[np.int64]
    faults: NDArray[np.int64]


class Heads(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """What asks the tokens of a picture, one linear layer each.

    Args:
        width: of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.middles = torch.nn.Linear(width, 1)
        self.sides = torch.nn.Linear(width, 4 * GRID)
        self.edges = torch.nn.Linear(width, 4)
        self.firsts = torch.nn.Linear(width, len(ORDERS))
        self.faults = torch.nn.Linear(width, len(faults.KINDS))

    def losses(self, tokens: Any, asked: Asked) -> dict[str, Any]:
        """Return the mean loss of each question; ``tokens`` are B x tokens x width."""
        wanted = (asked.middles, asked.sides, asked.firsts, asked.faults)
        middles, sides, firsts, kinds = (torch.from_numpy(part).to(tokens.device) for part in wanted)
        said = self.middles(tokens).squeeze(-1)
        there = middles >= 0
        edges, aimed = self.edges(tokens), sides != NOTHING
        return {
            "edges": EDGES * functional.l1_loss(edges[aimed], sides[aimed] / (GRID - 1)),
            "middles": functional.binary_cross_entropy_with_logits(said[there], middles[there].float()),
            "sides": functional.cross_entropy(
                self.sides(tokens).unflatten(-1, (4, GRID)).flatten(0, 2), sides.flatten(), ignore_index=NOTHING
            ),
            "firsts": functional.cross_entropy(
                self.firsts(tokens).transpose(1, 2).flatten(0, 1), firsts.flatten(), ignore_index=NOTHING
            ),
            "faults": functional.cross_entropy(self.faults(tokens.mean(1)), kinds, ignore_index=NOTHING),
        }


def teach(model: Any, steps: int, seed: int = 0, used: bool = False, listen: Any = None) -> Heads:
    """Teach the vision tower and the projector of a LLaVA; return the heads, for whoever wants to measure.

    Args:
        model: it is changed in place.
        steps: of `BATCH` pictures.
        used: can it plan already? Then it also stays near to what it saw before.
        listen: is told the number of the step and the losses.
    """
    torch.manual_seed(seed)
    before = None
    eyes = eyes_of(model)
    heads = Heads(model.config.text_config.hidden_size)
    if used:
        import copy

        before = copy.deepcopy(eyes).requires_grad_(False)
    optimizer = Muon(torch.nn.ModuleList([eyes, heads]), RATE, DECAY, BETAS)
    falling = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, step / (WARMUP * steps)) * (1 - step / steps)
    )
    model.train()
    for step, asked in zip(range(steps), stream(seed), strict=False):
        pixels = prepared(asked.pixels)
        tokens = tokens_of(eyes, pixels)
        losses = heads.losses(tokens, asked)
        if before is not None:
            with torch.no_grad():
                old = tokens_of(before, pixels)
            losses["before"] = LIKE_BEFORE * (tokens - old).square().mean() / old.var()
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_([*eyes.parameters(), *heads.parameters()], 1.0)
        optimizer.step()
        falling.step()
        if listen is not None:
            listen(step, {name: loss.item() for name, loss in losses.items()})
    return heads


def eyes_of(model: Any) -> Any:
    """Return what sees of a LLaVA: its vision tower and its projector."""
    return torch.nn.ModuleList([model.model.vision_tower, model.model.multi_modal_projector])


def tokens_of(eyes: Any, pixels: Any) -> Any:
    """Return the tokens of pictures as the words' side gets them."""
    tower, projector = eyes
    return projector(tower(pixels).last_hidden_state)


def prepared(pixels: Pixels) -> Any:
    """Return pictures as the processor of `lego.rl.nano` makes them, -1..1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def stream(seed: int) -> Iterator[Asked]:
    """Yield batches without end."""
    random = Random(f"sight {seed}")
    while True:
        yield batch(random)


def batch(random: Random, count: int = BATCH) -> Asked:
    """Make up a batch of pictures with what is asked of them."""
    side = SIDE // pictures.PATCH
    asked = Asked(
        np.zeros((count, SIDE, SIDE, 3), np.uint8),
        np.full((count, side * side), -1, np.int64),
        np.full((count, side * side, 4), NOTHING, np.int64),
        np.full((count, len(ORDERS)), NOTHING, np.int64),
        np.full(count, NOTHING, np.int64),
    )
    for number in range(count):
        if random.random() < FAULTY:
            fault = pictures.faulty(random, faults.KINDS)
            asked.pixels[number] = fault.image.pixels
            asked.faults[number] = faults.KINDS.index(fault.kind)
        else:
            least = random.randint(1, MOST)
            scene = scenes.make(random.randrange(1 << 31), least, least)
            asked.pixels[number] = scenes.render(scene, (SIDE, SIDE)).image.pixels
            _ask(scene, side, asked.middles[number], asked.sides[number], asked.firsts[number])
    return asked


def _ask(
    scene: scenes.Scene,
    side: int,
    middles: NDArray[np.int64],
    sides: NDArray[np.int64],
    firsts: NDArray[np.int64],
) -> None:
    """Fill in where the things of a scene are; of two whose middles share a token, the larger one."""
    middles[:] = 0
    first = {order: pictures.first(scene, order) for order in ORDERS}
    for number in scene.order("smallest"):
        item = scene.items[number]
        token = min(side - 1, int(item.y * side)) * side + min(side - 1, int(item.x * side))
        middles[token] = 1
        box = (item.x - item.radius, item.x + item.radius, item.y - item.radius, item.y + item.radius)
        sides[token] = [max(0, min(GRID - 1, round(edge * (GRID - 1)))) for edge in box]
        firsts[[first[order] == number for order in ORDERS]] = token
