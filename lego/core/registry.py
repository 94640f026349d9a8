"""The registry: one decorated function is a tool, and everything else is made from its signature."""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, ParamSpec, TypeAlias, TypeVar, cast, overload

from lego.core import signature
from lego.core.effects import Effect
from lego.core.errors import StepError, ToolDefinitionError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.networks import Network, Place
from lego.core.phrases import Phrase, Phrases, phrases_of
from lego.core.signature import Context, Output, Param

P = ParamSpec("P")
R = TypeVar("R")
Scope: TypeAlias = Literal["local", "global", "geometric"]


@dataclass(frozen=True)
class Engine:
    """One implementation behind a tool's card.

    Attributes:
        requires: importable modules that it needs.
        networks: what the pool hands in, by parameter.
        spare: those that it can do without; they are handed in where their weights are here and fit.
        tile, least_tile: longest side in pixels that it works on at once, as it likes it and the least that makes
            sense; `Context.tile` tells it, and gets smaller where memory runs out. 0 for what knows no tiles.
        accelerated: it is not worth waiting for on a processor, where another engine does the same.
    """

    name: str
    function: Callable[..., Any]
    requires: tuple[str, ...] = ()
    version: str = "1"
    networks: Mapping[str, Network] = field(default_factory=dict)
    tile: int = 0
    least_tile: int = 256
    accelerated: bool = False
    spare: frozenset[str] = frozenset()

    @functools.cached_property
    def needed(self) -> dict[str, Network]:
        """The networks that it cannot do without, by parameter."""
        return {name: network for name, network in self.networks.items() if name not in self.spare}

    @functools.cached_property
    def missing(self) -> list[str]:
        """Required modules that are not installed."""
        return [name for name in self.requires if importlib.util.find_spec(name) is None]

    def lacks(self, pool: Pool | None) -> str:
        """Why it cannot run here, as a half-sentence; "" if it can."""
        if self.missing:
            return f"needs {', '.join(self.missing)}"
        for network in self.needed.values():
            if pool is None or pool.folder(network) is None:
                return f"needs the weights '{network.name}' (`lego models pull {network.name}`)"
            try:
                place = pool.place(network)
            except StepError as error:
                return f"cannot run: {error.message}"
            if self.accelerated and place.device == CPU:
                return "would take minutes on a processor"
        return ""

    def places(self, pool: Pool | None) -> list[Place]:
        """Where its networks would run."""
        return [pool.place(network) for network in self.held(pool).values()] if pool else []

    def held(self, pool: Pool | None) -> dict[str, Network]:
        """Return what of its networks the pool can hand in, by parameter."""
        return {n: net for n, net in self.networks.items() if pool and (n not in self.spare or _fits(pool, net))}

    @functools.cached_property
    def code(self) -> str:
        """Hash of the function's source, so that changed code never meets an old cache entry."""
        try:
            source = inspect.getsource(self.function)
        except (OSError, TypeError):
            source = self.function.__code__.co_code.hex()
        return hashlib.blake2b(source.encode(), digest_size=8).hexdigest()


class Tool(Generic[P, R]):
    """A registered tool: its card, its engines, and the function itself when called.

    Attributes:
        name: how workflows call it.
        sentence: what it does, the first sentence of its docstring.
        params, outputs: what goes in and comes out, in order; ``image``, ``mask``: the first name of its kind.
        scope: "local" changes only what its mask covers, "global" may change every pixel but not the size,
            "geometric" may change the size.
        family: the module that it lives in.
        phrases: ways to ask for it in plain words.
        deterministic: False if the same arguments may give different results; then it is never cached.
        effect: what it does that can be measured; None if nothing was declared.
    """

    def __init__(
        self,
        function: Callable[P, R],
        found: signature.Signature,
        scope: Scope,
        phrases: tuple[Phrase, ...],
        version: str,
        deterministic: bool,
        abstract: bool = False,
        effect: Effect | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name = function.__name__
        self.sentence = found.sentence
        self.doc = found.doc
        self.params, self.outputs, self.context = found.params, found.outputs, found.context
        self.named = {p.name: p for p in found.params}
        self.image, self.mask = found.first("image"), found.first("mask")
        self.line = found.line
        self.file = function.__code__.co_filename
        self.family = function.__module__.rpartition(".")[2]
        self.scope, self.phrases, self.version = scope, phrases, version
        self.deterministic, self.effect = deterministic, effect
        self.function = function
        self.engines: dict[str, Engine] = {}
        if not abstract:
            own = Engine("embedded", function, (), version, found.networks, spare=found.spare)
            first = next((network.name for network in own.needed.values()), own.name)
            self.engines[first] = replace(own, name=first)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the best engine directly, without a workflow; defaults apply, bounds are not checked."""
        if self.context and self.context not in kwargs:
            kwargs[self.context] = Context()
        engine, _ = self.choose()
        return cast(R, engine.function(*args, **kwargs))

    def param(self, name: str) -> Param | None:
        """Return the parameter of that name, or None."""
        return self.named.get(name)

    def engine(
        self, name: str, requires: Sequence[str] = (), version: str = "1", tile: int = 0, accelerated: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a better way of doing the same thing: same parameters, used where what it needs is there.

        Args:
            requires: modules that must be installed. Networks are parameters: ``net: Annotated[Any, LAMA]``.
            tile, accelerated: see `Engine`.
        """

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            found, faults = signature.read(_documented(function, self.doc))
            mine = [(p.name, p.kind, p.low, p.high, p.choices, p.default) for p in found.params]
            card = [(p.name, p.kind, p.low, p.high, p.choices, p.default) for p in self.params]
            if mine != card:
                faults.append(f"{found.line}: its parameters differ from those of the tool: {mine} is not {card}")
            if found.outputs != self.outputs:
                faults.append(f"{found.line}: its outputs differ from those of the tool")
            if name in self.engines:
                faults.append(f"{found.line}: an engine '{name}' is registered already")
            if faults:
                raise _faulty(f"engine '{name}' of tool '{self.name}'", function.__code__.co_filename, faults)
            self.engines[name] = Engine(
                name, function, tuple(requires), version, found.networks, tile, accelerated=accelerated,
                spare=found.spare,
            )  # fmt: skip
            return function

        return register

    def choose(self, pool: Pool | None = None) -> tuple[Engine, str]:
        """Return the best engine that can run here, and the reason as a sentence.

        Args:
            pool: where its networks would come from; without one, only engines without networks can run.

        Raises:
            StepError: none can (code ``no_engine``).
        """
        told: list[str] = []
        for engine in reversed(self.engines.values()):
            lack = engine.lacks(pool)
            if not lack:
                told = [*(place.reason for place in engine.places(pool)), *told]
                return engine, f"{engine.name}: {'; '.join(told) or 'the best engine of this tool'}"
            told.append(f"{engine.name} {lack}")
        hint = "install or pull what it needs, or ask for something else"
        raise StepError(f"'{self.name}' cannot run here: {'; '.join(told)}", hint=hint, code="no_engine")

    def runs(self, pool: Pool | None = None) -> bool:
        """Is there an engine that can run here?"""
        return any(not engine.lacks(pool) for engine in self.engines.values())

    @property
    def line_of_prompt(self) -> str:
        """The tool as one line: signature and sentence."""
        inputs = ", ".join(str(p) for p in self.params)
        outputs = ", ".join(o.name if o.name == o.kind else f"{o.name}: {o.kind}" for o in self.outputs)
        return f"{self.name}({inputs}) -> {outputs}. {self.sentence}"

    @property
    def card(self) -> dict[str, Any]:
        """The tool as data: name, sentence, JSON schema of its arguments, outputs, scope."""
        return {
            "name": self.name,
            "description": self.sentence,
            "family": self.family,
            "scope": self.scope,
            "version": self.version,
            "parameters": {
                "type": "object",
                "properties": {p.name: p.schema for p in self.params},
                "required": [p.name for p in self.params if p.required],
                "additionalProperties": False,
            },
            "outputs": [{"name": o.name, "kind": o.kind} for o in self.outputs],
            "phrases": [p.text for p in self.phrases],
        }

    def __repr__(self) -> str:
        return f"<tool {self.line_of_prompt}>"


class Registry:
    """Tools by name."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool[..., Any]] = {}

    def add(self, tool: Tool[..., Any]) -> None:
        """Register a tool; running the same definition again replaces it, any other duplicate is an error."""
        old = self._tools.get(tool.name)
        if old and (old.function.__module__, old.function.__qualname__) != (
            tool.function.__module__,
            tool.function.__qualname__,
        ):
            fault = f"{tool.line}: the name is taken by the tool at {old.file}:{old.line}; choose another"
            raise _faulty(f"tool '{tool.name}'", tool.file, [fault])
        self._tools[tool.name] = tool

    def remove(self, name: str) -> None:
        """Forget a tool."""
        del self._tools[name]

    def __getitem__(self, name: str) -> Tool[..., Any]:
        return self._tools[name]

    def get(self, name: str) -> Tool[..., Any] | None:
        """Return the tool of that name, or None."""
        return self._tools.get(name)

    def nearest(self, name: str) -> str | None:
        """Return the registered name that looks most like this one, or None."""
        return next(iter(difflib.get_close_matches(name, self._tools, 1, 0.5)), None)

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def copy(self) -> Registry:
        """Return a registry with the same tools, to add to or take from without touching this one."""
        twin = Registry()
        twin._tools = dict(self._tools)
        return twin

    def running(self, pool: Pool | None = None) -> Registry:
        """Return a registry of the tools that can run here; without a pool, of those that can run without weights."""
        twin = Registry()
        twin._tools = {name: tool for name, tool in self._tools.items() if tool.runs(pool)}
        return twin

    def load(self, path: str | Path) -> list[Tool[..., Any]]:
        """Run a Python file and return the tools that it registered.

        Raises:
            ToolDefinitionError: no such file, the file fails, or it registers nothing.
        """
        path = Path(path)
        name = f"lego_tools_of_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}"
        spec = importlib.util.spec_from_file_location(name, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise ToolDefinitionError(
                "no such Python file", where=str(path), hint="give the path of a .py file with @lego.tool functions"
            )
        before = dict(self._tools)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except ToolDefinitionError:
            self._tools = before
            raise
        except Exception as error:  # the file is the user's: anything can happen in it
            self._tools = before
            trace = error.__traceback__
            while trace and trace.tb_next:
                trace = trace.tb_next
            at = f" (line {trace.tb_lineno})" if trace else ""
            raise ToolDefinitionError(
                f"the file fails{at}: {type(error).__name__}: {error}", where=str(path), hint="mend it and try again"
            ) from error
        new = [tool for name, tool in self._tools.items() if before.get(name) is not tool]
        if not new:
            raise ToolDefinitionError(
                "the file registers no tool", where=str(path), hint="put @lego.tool above a function"
            )
        return new


registry = Registry()
"""The registry that `tool` fills and that editors use unless they are given another."""


@overload
def tool(function: Callable[P, R]) -> Tool[P, R]: ...
@overload
def tool(
    *,
    phrases: Phrases = (),
    scope: Scope | None = None,
    version: str = "1",
    deterministic: bool = True,
    abstract: bool = False,
    effect: str = "",
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    phrases: Phrases = (),
    scope: Scope | None = None,
    version: str = "1",
    deterministic: bool = True,
    abstract: bool = False,
    effect: str = "",
) -> Any:
    """Register a function as a tool that every builder uses at once.

    The signature is the schema, the docstring's first sentence is the prompt. See docs/write-a-tool.md.

    Args:
        phrases: ways to ask for it in plain words, any language; ``{name}`` is a slot for a parameter. A mapping
            also gives the arguments that the words imply: ``{"brighten": {"exposure": 0.7}}``.
        scope: "local" (the default with a mask parameter), "global" (the default without) or "geometric" (may change
            the size).
        version: raise it when results change, so that cached ones are not served.
        deterministic: False if the same arguments may give different results.
        abstract: the function is only the card, and its body is never run; engines do the work, where they can run.
        effect: what it does that a critic can measure, such as "+lightness" (see `lego.core.effects`).

    Raises:
        ToolDefinitionError: lists every fault of the function with its line.
    """

    def register(function: Callable[..., Any]) -> Tool[..., Any]:
        found, faults = signature.read(function)
        known = phrases_of(phrases)
        faults += [f"{found.line}: {fault}" for phrase in known for fault in phrase.faults(found)]
        local = any(p.kind == "mask" and not p.many for p in found.params) and _returns_image(found.outputs)
        chosen = scope or ("local" if local else "global")
        if chosen == "local" and not local:
            faults.append(f"{found.line}: scope 'local' needs a parameter of type Mask and an output of type Image")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", function.__name__) or function.__name__ in ("image", "mask"):
            faults.append(f"{found.line}: '{function.__name__}' cannot be a tool's name; use lower case, digits and _")
        does = None
        try:
            does = Effect.read(effect) if effect else None
        except ValueError as error:
            faults.append(f"{found.line}: {error}")
        if faults:
            raise _faulty(f"tool '{function.__name__}'", function.__code__.co_filename, faults)
        made: Tool[..., Any] = Tool(function, found, chosen, known, version, deterministic, abstract, does)
        registry.add(made)
        return made

    return register if function is None else register(function)


def _fits(pool: Pool, network: Network) -> bool:
    """Are the weights here, and what loads them, and is there a budget that they fit?"""
    if any(importlib.util.find_spec(name) is None for name in network.modules):
        return False
    try:
        return pool.folder(network) is not None and bool(pool.place(network))
    except StepError:
        return False


def _returns_image(outputs: tuple[Output, ...]) -> bool:
    return any(o.kind == "image" for o in outputs)


def _documented(function: Callable[..., Any], doc: str) -> Callable[..., Any]:
    function.__doc__ = function.__doc__ or doc  # an engine needs no docstring of its own
    return function


def _faulty(what: str, file: str, faults: list[str]) -> ToolDefinitionError:
    lines = "".join(f"\n  {file}:{fault}" for fault in faults)
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return ToolDefinitionError(
        f"{what} has {count}:{lines}", hint="docs/write-a-tool.md shows the rules", faults=faults
    )
