"""Flaws on purpose: plans that miss what was asked and tools that spoil it, so that a critic can be tested.

The kinds in `HELD` were never looked at while the critics' limits were set: what is measured on them tells how it goes
with flaws that nobody thought of.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np

from lego.builder.base import Builder, Plan, Request
from lego.builder.calls import Call, workflow_of
from lego.core.codec import Pixels
from lego.core.registry import Engine, Registry, Tool
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.rl import scenes
from lego.rl.trials import Trial

Kind: TypeAlias = str
Outcome: TypeAlias = Literal["refine", "failed"]
COLORS = ("red", "green", "blue", "yellow", "purple", "orange")


@dataclass(frozen=True)
class Spoilt:
    """Calls with a flaw.

    Attributes:
        outcome: what a good critic says: go on from the result, or begin again.
        then: what is still to be done, for "refine".
    """

    calls: tuple[Call, ...]
    kind: Kind
    outcome: Outcome = "failed"
    then: str = ""


def _opposite(trial: Trial, random: Random) -> Spoilt | None:
    """An amount with the other sign."""
    for at, call in enumerate(trial.calls):
        for name in ("exposure", "temperature", "saturation", "contrast"):
            if name in call.args:
                return _with(trial, at, "opposite", args={**call.args, name: -call.args[name]})
    return None


def _other_thing(trial: Trial, random: Random) -> Spoilt | None:
    """The right thing to do, done to another thing."""
    for at, call in enumerate(trial.calls):
        if call.on:
            others = [c for c in ("red", "green", "blue", "yellow", "purple", "pink", "cyan", "orange")
                      if c in {item.color for item in trial.scene.items} and c not in call.on]  # fmt: skip
            others = [c for c in others if [i.color for i in trial.scene.items].count(c) == 1]
            if others and trial.language == "en":
                item = next(i for i in trial.scene.items if i.color == random.choice(others[:1]))
                return _with(trial, at, "other thing", on=f"the {item.color} {item.shape}")
    return None


def _left_out(trial: Trial, random: Random) -> Spoilt | None:
    """One of two wishes forgotten: the rest can still be done."""
    if len(trial.calls) < 2:
        return None
    at = random.randrange(len(trial.calls))
    rest = tuple(call for n, call in enumerate(trial.calls) if n != at)
    return Spoilt(rest, "left out", "refine", trial.parts[at])


def _other_color(trial: Trial, random: Random) -> Spoilt | None:
    for at, call in enumerate(trial.calls):
        if "color" in call.args and call.tool == "recolor":
            color = random.choice([c for c in COLORS if _hex(c) != call.args["color"] and c not in call.on])
            return _with(trial, at, "other color", args={**call.args, "color": _hex(color)})
    return None


def _more(trial: Trial, random: Random) -> Spoilt | None:
    """One thing more than was asked for."""
    more = random.choice((Call(tool="sepia", args={"amount": 1.0}), Call(tool="flip"), Call(tool="border"),
                          Call(tool="black_and_white")))  # fmt: skip
    if more.tool in {call.tool for call in trial.calls} or "saturation" in {call.tool for call in trial.calls}:
        return None
    return Spoilt((*trial.calls, more), "more than asked")


def _everywhere(trial: Trial, random: Random) -> Spoilt | None:
    """Done to the whole picture instead of a thing."""
    for at, call in enumerate(trial.calls):
        if call.on and call.tool not in ("remove", "recolor"):
            return _with(trial, at, "everywhere", on="")
    return None


def _other_tool(trial: Trial, random: Random) -> Spoilt | None:
    for at, call in enumerate(trial.calls):
        others = [t for t in ("sharpen", "vibrance", "sepia") if t != call.tool]
        return _with(trial, at, "other tool", tool=random.choice(others), args={})
    return None


PLANS: Mapping[Kind, Callable[[Trial, Random], Spoilt | None]] = {
    "opposite": _opposite, "other thing": _other_thing, "left out": _left_out,
    "other color": _other_color, "more than asked": _more, "everywhere": _everywhere, "other tool": _other_tool,
}  # fmt: skip


def spoil(trial: Trial, kind: Kind, seed: int = 0) -> Spoilt | None:
    """Return the trial's calls with a flaw of a kind of `PLANS`; None where it does not apply."""
    return PLANS[kind](trial, Random(f"{kind} {trial.number} {seed}"))


def _with(trial: Trial, at: int, kind: Kind, **changes: Any) -> Spoilt:
    calls = list(trial.calls)
    calls[at] = calls[at].model_copy(update=changes)
    return Spoilt(tuple(calls), kind)


def _hex(color: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*scenes.rgb_of(color))


Marring: TypeAlias = Callable[[Pixels, Pixels, Pixels, Random], Pixels]  # before, after, mask (255 everywhere), chance


def _idle(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    return before


def _half(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    """A quarter of the effect."""
    return np.rint(before + 0.25 * (after.astype(np.float32) - before)).astype(np.uint8)


def _spilling(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    """A patch elsewhere changed as well."""
    height, width = before.shape[:2]
    y, x = (random.randrange(side * 2 // 3) for side in (height, width))
    made = after.copy()
    made[y : y + height // 3, x : x + width // 3] //= 2
    return made


def _seamed(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    """A bright line around what was edited."""
    made = after.copy()
    outlines, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(made, outlines, -1, (255, 255, 255), 3)
    return made


def _patched(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    """One flat colour that has nothing to do with what is around."""
    made = after.copy()
    made[mask > 127] = [random.randrange(256) for _ in range(3)]
    return made


def _black(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    return np.zeros_like(after)


def _tinged(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    """All of the picture in the light of another lamp."""
    return np.asarray(np.clip(after * np.array([1.25, 1.0, 0.7]), 0, 255), np.uint8)


def _moved(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    """The picture some pixels to the side."""
    return np.roll(after, 5, axis=1)


def _smeared(before: Pixels, after: Pixels, mask: Pixels, random: Random) -> Pixels:
    return np.asarray(cv2.GaussianBlur(after, (0, 0), 4), np.uint8)


TOOLS: Mapping[Kind, Marring] = {
    "idle": _idle, "half": _half, "spilling": _spilling, "seam": _seamed, "patch": _patched, "black": _black,
    "tinged": _tinged, "moved": _moved, "smeared": _smeared,
}  # fmt: skip
HELD = frozenset({"other color", "more than asked", "everywhere", "other tool", "half", "tinged", "moved", "smeared"})


def mar(kind: Kind, before: Image, after: Image, mask: Mask | None, seed: int = 0) -> Image:
    """Return a result with a flaw of a kind of `TOOLS`; as it is where a flaw needs another shape of picture."""
    if before.size != after.size:
        return after
    cover = np.full(before.pixels.shape[:2], 255, np.uint8) if mask is None else mask.pixels
    return Image(TOOLS[kind](before.pixels, after.pixels, cover, Random(f"{kind} {seed}")))


def flawed_registry(registry: Registry, kinds: Sequence[Kind], share: float, seed: int, log: list[Kind]) -> Registry:
    """Return tools of which some results are marred.

    Args:
        kinds: of `TOOLS`, one of which each marred result gets.
        share: of the calls that are marred; the same call with another seed of the run may turn out well.
        log: gets the kind of each flaw as it is made.
    """
    made = Registry()
    for tool in registry:
        pictures = any(p.kind == "image" for p in tool.params) and [o.kind for o in tool.outputs] == ["image"]
        made.add(_marred(tool, kinds, share, seed, log) if pictures and tool.scope != "geometric" else tool)
    return made


def _marred(tool: Tool[..., Any], kinds: Sequence[Kind], share: float, seed: int, log: list[Kind]) -> Tool[..., Any]:
    worse = copy.copy(tool)
    worse.context = tool.context or "context"
    options = (kinds, share, seed, log)
    worse.engines = {name: _worse(tool, engine, *options) for name, engine in tool.engines.items()}
    return worse


def _worse(
    tool: Tool[..., Any],
    engine: Engine,
    kinds: Sequence[Kind],
    share: float,
    seed: int,
    log: list[Kind],
) -> Engine:
    image = next(p.name for p in tool.params if p.kind == "image")
    mask = next((p.name for p in tool.params if p.kind == "mask"), "")

    def work(**args: Any) -> Any:
        context: Context = args["context" if not tool.context else tool.context]
        if not tool.context:
            del args["context"]
        result = engine.function(**args)
        dice = Random(f"{seed} {tool.name} {args[image].digest} {context.seed}")
        if dice.random() >= share:
            return result
        log.append(dice.choice(list(kinds)))
        return mar(log[-1], args[image], result, args.get(mask), dice.randrange(1 << 30))

    return replace(engine, function=work, version=f"{engine.version} {kinds} {share} {seed}")


@dataclass
class FlawedBuilder:
    """Plans a trial as it should be, but for some plans.

    Args:
        trial: whose right plan is known.
        inner: plans what is still to be done, in a round that goes on from a result.
        share: of the plans that have a flaw.
        kinds: of `PLANS`.
    """

    trial: Trial
    inner: Builder
    registry: Registry
    share: float
    kinds: Sequence[Kind]
    seed: int = 0
    count: int = 0
    first: Kind = ""
    name: str = field(default="flawed", init=False)

    def plan(self, request: Request) -> Plan:
        """See `lego.builder.base.Builder.plan`."""
        self.count += 1
        dice = Random(f"{self.seed} {self.trial.number} {self.count}")
        if request.instruction != self.trial.instruction:
            return self.inner.plan(request)
        flaws = [found for kind in self.kinds if (found := spoil(self.trial, kind, dice.randrange(1 << 30)))]
        if not flaws or dice.random() >= self.share:
            return Plan(workflow_of(self.trial.calls, self.registry))
        chosen = dice.choice(flaws)
        self.first = self.first or (chosen.kind if self.count == 1 else "")
        return Plan(workflow_of(chosen.calls, self.registry), thought=f"flaw: {chosen.kind}")
