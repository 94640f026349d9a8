"""What a builder is asked and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
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
        history: what was wrong with the plans before this one, as sentences.
        fold: of a task of the training the part of the phrasings that it was made of: what has learned from that part
            may not help with it (see `lego.builder.hints`).
    """

    image: Image
    instruction: str
    tools: tuple[Tool[..., Any], ...]
    given: tuple[str, ...] = ()
    values: Mapping[str, Image | Mask] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    fold: int | None = None


@dataclass(frozen=True)
class Plan:
    """A workflow, why it is so (``thought``), and words for the user (``reply``)."""

    workflow: Workflow
    thought: str = ""
    reply: str = ""


class Builder(Protocol):
    """Whoever plans."""

    name: str

    def plan(self, request: Request) -> Plan:
        """Write a workflow for the request.

        Raises:
            PlanError: the instruction is not understood, or nothing here can do it.
        """
        ...
