"""Phrases: the ways to ask for a tool that its card lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import ValidationError

from lego.core.signature import Signature

Phrases: TypeAlias = "Sequence[str] | Mapping[str, Mapping[str, Any]]"
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Phrase:
    """A way to ask for a tool in plain words.

    ``{name}`` in the text is a slot for a parameter, ``{target}`` for the thing that becomes the mask; ``args`` are
    the arguments that the words imply, "target" among them if the words name the thing by themselves.
    """

    text: str
    args: Mapping[str, Any]

    def faults(self, found: Signature) -> Iterator[str]:
        """Say what is wrong with it for a function of that signature."""
        params = {p.name: p for p in found.params}
        masked = any(p.kind == "mask" for p in found.params)
        for name in SLOT.findall(self.text):
            if name not in params and not (name == "target" and masked):
                yield f"phrase '{self.text}' has a slot for '{name}', which is no parameter"
        for name, value in self.args.items():
            if name == "target" and masked and "target" not in params:
                continue
            if name not in params:
                yield f"phrase '{self.text}' gives '{name}', which is no parameter"
                continue
            try:
                params[name].validate(value)
            except ValidationError as error:
                yield f"phrase '{self.text}' gives {name}={value!r}, which the tool refuses: {error.errors()[0]['msg']}"


def phrases_of(phrases: Phrases) -> tuple[Phrase, ...]:
    """Return what a tool was declared with: texts alone, or texts with the arguments that they imply."""
    items = phrases.items() if isinstance(phrases, Mapping) else [(text, {}) for text in phrases]
    return tuple(Phrase(text, dict(args)) for text, args in items)
