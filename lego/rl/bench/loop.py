"""How much the rounds are worth: trials with flawed plans or flawed tools, edited with and without a critic.

A result counts as flawed where it is not what the trial asks for, by its pixels, whatever the critic thinks of it: the
critic is measured against that truth, and so is what comes out after each number of rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lego.builder.critic import Critic
from lego.builder.rules import Rules
from lego.core.errors import LegoError
from lego.core.registry import Registry
from lego.core.settings import Settings
from lego.core.trace import Event, Reviewed
from lego.editor import Editor, chosen
from lego.rl import flaws
from lego.rl.flaws import HELD, PLANS, TOOLS, FlawedBuilder
from lego.rl.trials import interval, trial

Where: TypeAlias = Literal["plans", "tools"]
PLACES: dict[Where, str] = {
    "plans": "flawed plans", "tools": "flawed results of tools, which another seed may mend",
}  # fmt: skip
SHARE = 0.5  # of plans or of tools' results that are flawed
FIRST = 10_000  # number of the first trial that is measured; those below were looked at while limits were set
MOST = 3  # rounds


@dataclass(frozen=True)
class Look:
    """One result and what the critic said of it; ``kind`` of the flaw, "" if it is not known or there is none."""

    right: bool
    outcome: str
    kind: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Trialled:
    """One trial: the first result as the critic saw it, and whether the edit was right after 0, 1, ... rounds."""

    number: int
    first: Look
    after: tuple[bool, ...]


def run(
    registry: Registry,
    where: Where,
    count: int,
    critic: str | Critic = "pixels",
    seed: int = 0,
    share: float = SHARE,
    kinds: Sequence[str] = (),
    first: int = FIRST,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Trialled]:
    """Edit trials with flaws.

    Args:
        where: in plans, or in results of tools, where another seed may help.
        count: of trials.
        critic: see `lego.editor.Editor`.
        share: of plans or results that are flawed.
        kinds: of `flaws.PLANS` or `flaws.TOOLS`; all by default.
        first: number of the first trial.
    """
    found = []
    for number in range(first, first + count):
        found.append(_tried(registry, where, number, critic, seed, share, kinds))
        progress((number - first + 1) / count)
    return found


def _tried(
    registry: Registry, where: Where, number: int, critic: str | Critic, seed: int, share: float, kinds: Sequence[str]
) -> Trialled:
    item = trial(number)
    settings = Settings.load({"cache_memory_mb": 64})
    plans = (kinds or tuple(PLANS)) if where == "plans" else ()
    builder = FlawedBuilder(item, Rules(), registry, share if where == "plans" else 0.0, plans, seed)
    tools, log = registry, list[str]()
    if where != "plans":
        tools = flaws.flawed_registry(registry, kinds or tuple(TOOLS), share, seed + number, log)
    made = 0  # flaws of tools before the first look

    def hear(event: Event) -> None:
        nonlocal made
        made = len(log) if isinstance(event, Reviewed) and event.round == 0 else made

    editor = Editor(builder, critic=critic, registry=tools, settings=settings, on_event=hear)
    try:
        result = editor.edit(item.image, item.instruction, rounds=MOST)
    except LegoError:
        return Trialled(number, Look(False, "error", builder.first), (False,) * (MOST + 1))
    looks = [
        Look(item.done(one.picture), one.verdict.outcome, builder.first or " ".join(log[:made]), one.verdict.reason)
        for one in result.rounds
        if one.verdict
    ]
    after = []
    for rounds in range(MOST + 1):
        done = result.rounds[: rounds + 1]
        after.append(looks[chosen(done)].right)
    return Trialled(number, looks[0], tuple(after))


@dataclass(frozen=True)
class Summary:
    """What was measured, shares with their 95 % intervals.

    Attributes:
        recall: of flawed first results those that were not accepted.
        alarms: of right first results those that were not accepted; some hold a flaw that the pixels hardly show.
        clean: of first results that are right and were made without a flaw those that were not accepted.
        missing: of all first results those on which no verdict was possible.
        success: right results after 0, 1, 2, 3 rounds.
    """

    count: int
    recall: tuple[int, int]
    alarms: tuple[int, int]
    clean: tuple[int, int]
    missing: int
    success: tuple[int, ...]

    def lines(self) -> list[str]:
        """Return it as text, a line each."""
        rows = [("flawed results found", self.recall), ("right results rejected", self.alarms)]
        rows += [("  made without a flaw", self.clean)]
        rows += [(f"right after {n} rounds", (good, self.count)) for n, good in enumerate(self.success)]
        told = []
        for name, (some, all_) in rows:
            low, high = interval(some, all_)
            told.append(f"{name:24} {some:4} of {all_:4}  {some / max(1, all_):6.1%}  ({low:.1%} to {high:.1%})")
        return [*told, f"{'could not be judged':24} {self.missing:4} of {self.count:4}"]


def summary(found: Sequence[Trialled]) -> Summary:
    """Count."""
    flawed = [item.first for item in found if not item.first.right and item.first.outcome != "error"]
    right = [item.first for item in found if item.first.right]
    clean = [look for look in right if not look.kind]
    bad = ("refine", "failed")
    return Summary(
        len(found),
        (sum(look.outcome in bad for look in flawed), len(flawed)),
        (sum(look.outcome in bad for look in right), len(right)),
        (sum(look.outcome in bad for look in clean), len(clean)),
        sum(item.first.outcome == "missing" for item in found),
        tuple(sum(item.after[n] for item in found) for n in range(MOST + 1)),
    )


def by_kind(found: Sequence[Trialled]) -> dict[str, tuple[int, int]]:
    """Return for each kind of flaw how many flawed first results were found out, and how many there were."""
    kinds = sorted({item.first.kind for item in found if item.first.kind})
    return {
        kind: (
            sum(i.first.outcome in ("refine", "failed") for i in found if i.first.kind == kind and not i.first.right),
            sum(i.first.kind == kind and not i.first.right for i in found),
        )
        for kind in kinds
    }


__all__ = ["HELD", "PLACES", "Look", "Summary", "Trialled", "by_kind", "run", "summary"]
