"""What a builder is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lego.core.registry import Tool
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow


@dataclass(frozen=True)
class Request:
    """Everything that a builder may look at.

    Attributes:
        image: the picture.
        instruction: the user's own words.
        tools: those that can run here.
        given: names of further given values: "mask", "reference", "reference2", ...
        values: all given values by name, "image" too.
        history: what was wrong with the plans and results before this one, as sentences.
        feedback: what the user said of plans before this one.
        tried: plans for the same picture that did not do.
        fold: of a task of the training the part of the phrasings that it was made of: what has learned from that part
            may not help with it (see `lego.builder.hints`).
    """

    image: Image
    instruction: str
    tools: tuple[Tool[..., Any], ...]
    given: tuple[str, ...] = ()
    values: Mapping[str, Image | Mask] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    tried: tuple[Workflow, ...] = ()
    fold: int | None = None

    @property
    def past(self) -> tuple[str, ...]:
        """What there is to learn from the plans before this one, as sentences."""
        return (*self.history, *(f"the user said of them: {words}" for words in self.feedback))


@dataclass(frozen=True)
class Plan:
    """A workflow, why it is so (``thought``), and words for the user (``reply``).

    ``concrete`` is the instruction in concrete words where it was abstract, and this is what was planned.
    """

    workflow: Workflow
    thought: str = ""
    reply: str = ""
    concrete: str = ""


class Builder(Protocol):
    """Whoever plans."""

    name: str

    def plan(self, request: Request) -> Plan:
        """Write a workflow for the request.

        Raises:
            PlanError: the instruction is not understood, or nothing here can do it.
        """
        ...


@dataclass(frozen=True)
class Review:
    """A result that is to be judged.

    Attributes:
        before, after: the source and the result.
        instruction: the user's own words.
        rewritten: these in concrete words, if they were abstract: context, not what is judged.
        request: what the builder was asked of the source: tools, given values.
        workflow: what made ``after`` of ``before``.
        steps: its steps that made a picture, as far as they are known: the tool, what it was given, what it gave.
        run: runs a workflow on given values and returns its results, for critics that measure; raises as executors do.
        seed: of an answer that is sampled.
    """

    before: Image
    after: Image
    instruction: str
    rewritten: str
    request: Request
    workflow: Workflow
    steps: tuple[tuple[str, Image, Image], ...]
    run: Callable[[Workflow, Mapping[str, Image | Mask]], tuple[Any, ...]]
    seed: int = 0
