"""Patterns: a tool's phrases, ready for being matched with the words of a clause."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lego.builder.lexicon import Token, stem, text_of, tokens_of
from lego.core.phrases import SLOT
from lego.core.registry import Tool
from lego.core.signature import Param


@dataclass(frozen=True)
class Pattern:
    """A phrase ready for matching: words and slots in order, and the arguments that it implies."""

    parts: tuple[Token | str, ...]
    args: Mapping[str, Any]
    bare: bool  # only the name of a number: means nothing without one
    target: str = ""  # that the words name by themselves, as "white background" does

    @functools.cached_property
    def literals(self) -> list[Token]:
        return [part for part in self.parts if isinstance(part, Token)]

    @functools.cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(stem(token.text) for token in self.literals)


@functools.lru_cache(maxsize=1024)
def patterns_of(tool: Tool[..., Any]) -> tuple[Pattern, ...]:
    """Return a tool's phrases, and its name as the last of them unless it is a phrase already."""
    said, name = {phrase.text: phrase.args for phrase in tool.phrases}, tool.name.replace("_", " ")
    return tuple(_pattern(tool, *item) for item in {**said, name: said.get(name, {})}.items())


def _pattern(tool: Tool[..., Any], text: str, args: Mapping[str, Any]) -> Pattern:
    parts: list[Token | str] = []
    for piece in re.split(r"(\{\w+\})", text):
        slot = SLOT.fullmatch(piece)
        parts.extend([slot[1]] if slot else tokens_of(piece))
    numbers = {p.name.replace("_", " ") for p in numeric(tool)}
    joined = text_of([p for p in parts if isinstance(p, Token)])
    bare = (
        not args and len(numeric(tool)) > 0 and (joined in numbers or (not joined.isascii() and tool.name in numbers))
    )
    rest = {name: value for name, value in args.items() if name != "target" or tool.param("target")}
    target = "" if tool.param("target") else str(args.get("target", ""))
    return Pattern(tuple(parts), rest, bare and not any(isinstance(p, str) for p in parts), target)


def numeric(tool: Tool[..., Any]) -> list[Param]:
    return [p for p in tool.params if p.kind in ("number", "integer") and not p.many]
