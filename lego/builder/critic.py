"""Critics: who looks at a result and says whether it is what the user asked for."""

from __future__ import annotations

from typing import Protocol

from lego.builder import talker
from lego.builder.base import Review
from lego.builder.editscore import KIND, EditScore, Rewarder
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

    "pixels"; a vision-language model by its server, folder or hub id; or ``editscore:BACKBONE#MODEL+ADAPTER``.

    Args:
        thinker: for "pixels", which must know what abstract words mean.

    Raises:
        SettingsError: there is none, or it cannot be loaded here.
    """
    if name == Observer.name:
        return Observer(thinker)
    return Rewarder(EditScore.open(name)) if name.startswith(KIND) else Judge(talker.open(name))
