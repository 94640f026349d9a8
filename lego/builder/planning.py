"""From a request to a plan with a network at hand, whatever runs it: the one loop of all local builders."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from lego.builder.base import Plan, Request
from lego.builder.constraint import Constraint
from lego.builder.decode import Completion, Lean, Session, answers
from lego.builder.prompt import Form
from lego.builder.rules import Rules
from lego.builder.spelling import TOKEN
from lego.core.errors import PlanError

MAX_TOKENS = 4096  # of an answer; the grammar bounds it too, but by the longest text of every argument
MAX_INSTRUCTION = 4000  # characters; the cards of a hundred tools take 21,000
SIDE = re.compile(r"<l_\d+>")  # of a box on a grid
SAMPLES = 4  # until one is a plan that was not tried before
AGAIN = 0.7  # temperature after a plan with problems: the likeliest plan was the one that failed


class Network(Protocol):
    """A loaded checkpoint: its form, the constraint over its tokens, and a way to run it."""

    @property
    def form(self) -> Form: ...
    @property
    def constraint(self) -> Constraint: ...
    def start(self, request: Request) -> Session:
        """Read the picture and the prompt of a request."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """Return an answer's text, with its special tokens."""
        ...


def plan(network: Network, request: Request) -> Plan:
    """Write a workflow for the request; see `Builder.plan`."""
    check_words(request.instruction)
    if request.history:
        others = _others(network, request)
        made = next(others)
        while made.workflow in request.tried and (other := next(others, None)):
            made = other
        return made
    made, found = _answered(network, request, 0.0, 0)
    if network.form.sure and _likelihood(network, found) < network.form.sure:
        hint = f"say it in other words, one wish after another; the nearest plan would be: {made.thought}"
        raise PlanError("it is not clear enough what is meant", hint=hint, code="unsure")
    return made


def _others(network: Network, request: Request) -> Iterator[Plan]:
    """What to do after a plan that did not do: the rules' for a form too small to read what was wrong, then samples."""
    if network.form.name == "pointing":
        with contextlib.suppress(PlanError):
            yield Rules().plan(request)
    for number in range(SAMPLES):
        yield _answered(network, request, AGAIN, len(request.history) + number)[0]


def _answered(network: Network, request: Request, temperature: float, seed: int) -> tuple[Plan, Completion]:
    """A plan, and the answer that it was read from."""
    matcher = network.constraint.start(network.form.grammar(request))
    found = answers(
        network.start(request), [matcher], leans=[lean_of(network, request)], temperature=temperature, seed=seed,
        max_tokens=MAX_TOKENS,
    )[0]  # fmt: skip
    if not found.whole:
        raise PlanError(f"the model's plan has over {MAX_TOKENS} tokens", hint="ask for less", code="too_long")
    return network.form.read(network.text(found.ids), request), found


def _likelihood(network: Network, found: Completion) -> float:
    """How likely an answer is: 0 if it boxes what it does not see clearly.

    Sides count no further: neighbours on the grid, as good, share the likelihood.
    """
    said = [(SIDE.fullmatch(network.text([token])), logp) for token, logp in zip(found.ids, found.logps, strict=True)]
    sides = [logp for side, logp in said if side]
    if sides and math.exp(sum(sides) / len(sides)) < network.form.sharp:
        return 0.0
    return math.exp(sum(logp for side, logp in said if not side))


def check_words(instruction: str) -> None:
    """Refuse what no model need be asked.

    Raises:
        PlanError: the instruction is empty or too long.
    """
    if not instruction.strip():
        raise PlanError("the instruction is empty", hint="say what to do", code="empty")
    if len(instruction) > MAX_INSTRUCTION:
        raise PlanError(f"the instruction has over {MAX_INSTRUCTION} characters", hint="ask for less", code="too_long")


def lean_of(network: Network, request: Request) -> Lean | None:
    """Return what the network's form adds to its logits, token by token; None if nothing."""
    lean = network.form.lean(request)
    if lean is None:
        return None

    def add(ids: Sequence[int]) -> dict[int, float]:
        said = TOKEN.findall(network.text(ids))
        return {network.constraint.ids(token)[0]: more for token, more in lean(said).items()}

    return add
