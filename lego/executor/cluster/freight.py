"""Tools on their way to a cluster: lego's own by name, everybody else's by value."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lego.core.errors import StepError
from lego.core.registry import Engine, Tool

OURS = "lego."


@dataclass(frozen=True)
class Name:
    """A tool of lego's own, where it and its engine are, and the hash of the engine's code.

    A node with another version must not answer for it.
    """

    modules: tuple[str, str]
    tool: str
    engine: str
    code: str


def wrap(tool: Tool[..., Any], engine: Engine) -> Name | bytes:
    """Return what a worker needs to have the same tool.

    Raises:
        StepError: the tool's file holds something that cannot travel (code ``cannot_travel``).
    """
    module = sys.modules.get(tool.function.__module__)
    if tool.function.__module__.startswith(OURS) and getattr(module, tool.name, None) is tool:
        modules = (tool.function.__module__, engine.function.__module__)
        return Name(modules, tool.name, engine.name, engine.code)
    return _pickled(tool)


def unwrap(wrapped: Name | bytes, engine: str) -> tuple[Tool[..., Any], Engine]:
    """Return the tool and its engine on a worker.

    Raises:
        StepError: this node has another version of lego (code ``other_version``).
    """
    if isinstance(wrapped, bytes):
        tool = _unpickled(wrapped)
        return tool, tool.engines[engine]
    modules = [importlib.import_module(name) for name in wrapped.modules]
    found: Tool[..., Any] | None = getattr(modules[0], wrapped.tool, None)
    if found is None or wrapped.engine not in found.engines or found.engines[wrapped.engine].code != wrapped.code:
        hint = "install the same version of lego on every node, and restart them"
        raise StepError(f"a node has another version of the tool '{wrapped.tool}'", hint=hint, code="other_version")
    return found, found.engines[wrapped.engine]


@lru_cache(256)
def _pickled(tool: Tool[..., Any]) -> bytes:
    from ray import cloudpickle

    module = sys.modules.get(tool.function.__module__)
    for engine in tool.engines.values():
        _ = engine.code  # while its source is here
    try:
        foreign = module is not None and not tool.function.__module__.startswith((OURS, "__main__"))
        if foreign:
            cloudpickle.register_pickle_by_value(module)
        try:
            return bytes(cloudpickle.dumps(tool))
        finally:
            if foreign:
                cloudpickle.unregister_pickle_by_value(module)
    except Exception as error:  # whatever a user's module holds
        hint = "make it inside the function, or declare a network (docs/write-a-tool.md)"
        message = f"the tool '{tool.name}' uses something that cannot travel to a cluster: {error}"
        raise StepError(message, hint=hint, code="cannot_travel") from error


@lru_cache(64)
def _unpickled(data: bytes) -> Tool[..., Any]:
    from ray import cloudpickle

    tool: Tool[..., Any] = cloudpickle.loads(data)
    return tool
