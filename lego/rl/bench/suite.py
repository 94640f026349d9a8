"""What a benchmark is to the bench: how it is read, where results lie, what a judge is asked, and how that counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from lego.rl.bench.formulas import Mode
from lego.rl.bench.items import Item

Shown: TypeAlias = Literal["source", "sources", "gt", "result", "frames"]  # frames: sources, the result among them
Scores: TypeAlias = Mapping[str, tuple[float, ...] | None]  # of the questions by name; None is missing
Cells: TypeAlias = tuple[float | None, ...]  # what an item adds to a column: mostly one figure; None is missing


@dataclass(frozen=True)
class Call:
    """A question to the judge: its name, the name of its prompt, and the pictures that go with it, in order."""

    name: str
    prompt: str
    images: tuple[Shown, ...]


@dataclass(frozen=True)
class Column:
    """A figure of a table.

    Attributes:
        low, high: the ends of its scale; what is missing lies between them.
        digits: that are shown.
        rounded: the official script rounds group means to two digits.
    """

    name: str
    low: float
    high: float
    digits: int = 2
    rounded: bool = False


@dataclass(frozen=True)
class View:
    """A way of making one figure of all items: the mean over items, or over the means of groups."""

    label: str
    column: str
    how: Literal["items", "groups"] = "items"
    only: Callable[[Item], bool] = lambda item: True


class Measure(Protocol):
    """What becomes of a judge's scores.

    Attributes:
        main: the column that stands for the others.
    """

    columns: Sequence[Column]
    views: Sequence[View]
    main: str

    def values(self, item: Item, scores: Scores, mode: Mode, clamp: bool) -> Mapping[str, Cells]:
        """An item's cells by column; every one that is expected is there, None where its score is missing."""
        ...

    def sections(self, item: Item) -> Sequence[str]:
        """The lines of the table in which an item counts; the last is the one over which means of groups are taken."""
        ...


class Suite(Measure, Protocol):
    """A benchmark.

    Attributes:
        name, title: for commands, and as it is written.
        prompts: what its judge is asked, by name, in our words.
        tokens: of a reply at most.
        side: pixels of the long side of what the judge sees at most; 0 leaves pictures as they are.
        langs: of its instructions.
        fitted: a result of another size is resized to the source before it is judged.
        jpeg: the official script shows the judge JPEG.
        nested: results of several editors stand in one folder, each in one of its own.
        clamped: has scores that the prompt, but not the script, holds to each other.
    """

    name: str
    title: str
    prompts: Mapping[str, str]
    tokens: int
    side: int
    langs: Sequence[str]
    fitted: bool
    jpeg: bool
    nested: bool
    clamped: bool

    def load(self, root: Path) -> list[Item]:
        """Read the items of a local copy.

        Raises:
            RecordError: it is not in the published layout; ``where`` names file and row.
        """
        ...

    def place(self, item: Item) -> str:
        """The path of an item's result below the results, without the suffix; slashes between folders."""
        ...

    def calls(self, item: Item, mode: Mode) -> Sequence[Call]:
        """What the judge is asked about an item."""
        ...

    def read(self, item: Item, call: str, text: str, mode: Mode) -> tuple[float, ...]:
        """The scores in a judge's reply.

        Raises:
            ValueError: there are none that count; the message says why.
        """
        ...
