"""Critics: who looks at a result and says whether it is what the user asked for."""

from __future__ import annotations

from typing import Protocol

from lego.builder import editreward, editscore, talker
from lego.builder.base import Review
from lego.builder.judge import Judge
from lego.builder.observer import Observer
from lego.builder.thinking import Thinker
from lego.builder.verdict import Verdict


class Critic(Protocol):
    """Whoever judges."""

    name: str

    def review(self, review: Review) -> Verdict:
        """Judge a result by the user's own words; what cannot be judged is "missing", never guessed.

        Raises:
            PlanError: a model cannot be asked at all.
        """
        ...


def open(name: str, thinker: Thinker | None = None) -> Critic:
    """Return the critic of that name.

    "pixels"; a vision-language model by its server, folder or hub id; ``editscore:BACKBONE#MODEL+ADAPTER``; or
    ``editreward:CONFIG#CHECKPOINT``.

    Args:
        thinker: for "pixels", which must know what abstract words mean.

    Raises:
        SettingsError: there is none, or it cannot be loaded here.
    """
    if name == Observer.name:
        return Observer(thinker)
    kind = name.partition(":")[0]
    if kind == editscore.KIND:
        return editscore.Rewarder(editscore.EditScore.open(name))
    return editreward.Ranker.open(name) if kind == editreward.KIND else Judge(talker.open(name))
