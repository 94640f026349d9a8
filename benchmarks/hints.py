"""How well the hints of a nano builder tell what words that they never saw are about.

    python benchmarks/hints.py --share 0.5
    python benchmarks/hints.py --folder lego/builder/nano

Known tools: which of all tools (or none, for refusals) is the likeliest for a phrasing. Made-up tools: is the card that
is asked for likelier than three others and all known tools?
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import lego.tools  # noqa: F401  # registers them
from lego.builder.hints import FILE, Hints
from lego.builder.rank import card as text_of
from lego.core.registry import registry
from lego.rl import hinting, instructions, phrasings
from lego.rl.phrasings import Split, belongs

RIVALS = 3


def main() -> None:
    """Print the shares that are right."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--share", type=float, default=1.0, help="of the phrasings and the made-up tools to learn from"
    )
    options.add_argument("--folder", type=Path, help="a checkpoint whose hints are measured, instead")
    options.add_argument("--split", choices=("val", "test"), default="val")
    asked = options.parse_args()
    hints = Hints.load(asked.folder / FILE) if asked.folder else hinting.teach(registry, 0, asked.share)
    known = [likelihoods(hints, text, tools) for text, tools in wishes(hints, asked.split, Random(5))]
    print(f"known tools: {sum(best for best, _ in known) / len(known):.1%} of {len(known)} right, ", end="")
    print(f"-log {sum(-math.log(max(share, 1e-6)) for _, share in known) / len(known):.2f}")
    for language in ("en", "zh"):
        found = list(made_up(hints, asked.split, language, Random(5)))
        print(f"made-up tools, {language}: {sum(found) / len(found):.1%} of {len(found)} right")


def wishes(hints: Hints, split: Split, random: Random) -> Iterator[tuple[str, set[int]]]:
    """Yield what is said for known tools and what is to be declined, with the numbers of the tools that are meant."""
    known = {tool.name: tool for tool in registry.running()}
    for phrasing in phrasings.of_tools():
        names = {name for name, _ in phrasing.calls}
        if phrasing.within(split) and names <= set(hints.tools):
            for text in itertools.islice(hinting.filled(phrasing, known, random, split), 1):
                yield text, {hints.tools.index(name) for name in names}
    for line in phrasings.lines("decline", split):
        yield hinting.refusal(line), {hints.tools.index("")}


def likelihoods(hints: Hints, text: str, meant: set[int]) -> tuple[bool, float]:
    """Is the likeliest tool among those meant, and how likely are they together?"""
    shares = hints.whole.shares(text)
    return int(shares.argmax()) in meant, float(sum(shares[number] for number in meant))


def made_up(hints: Hints, split: Split, language: str, random: Random) -> Iterator[bool]:
    """Yield for each wish for a made-up tool whether its card is the likeliest."""
    cards = [card for card in phrasings.of_cards() if belongs(card.text, split)]
    for card in cards:
        others = random.sample([other for other in cards if other is not card], RIVALS)
        tools = [instructions.tool(one, language) for one in (card, *others)]
        known = {tool.name: tool for tool in (*registry.running(), tools[0])}
        for phrasing in (phrasing for phrasing in card.phrasings if phrasing.language == language):
            for text in itertools.islice(hinting.filled(phrasing, known, random, split), 1):
                yield int(hints.whole.shares(text, [text_of(tool) for tool in tools]).argmax()) == len(hints.tools)


if __name__ == "__main__":
    main()
