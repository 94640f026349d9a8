"""How well the hints of a nano builder tell what words that they never saw are about.

    python benchmarks/hints.py --share 0.5
    python benchmarks/hints.py --folder lego/builder/nano

Known tools: which of all tools and looks (or none, for refusals) is the likeliest for a phrasing, with which values.
Made-up tools: is the card that is asked for likelier than three others and all senses of known tools?
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import lego.tools  # noqa: F401  # registers them
from lego.builder.hints import FILE, TOOL, Hints
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
    known = [likely(hints, *wish) for wish in wishes(hints, asked.split, Random(5))]
    print(f"known tools, {len(known)}: {sum(tool for tool, _, _ in known) / len(known):.1%} right, ", end="")
    print(f"with their values {sum(whole for _, whole, _ in known) / len(known):.1%}, ", end="")
    print(f"-log {sum(-math.log(max(share, 1e-6)) for _, _, share in known) / len(known):.2f}")
    for language in ("en", "zh"):
        found = list(made_up(hints, asked.split, language, Random(5)))
        print(f"made-up tools, {language}: {sum(found) / len(found):.1%} of {len(found)} right")


def wishes(hints: Hints, split: Split, random: Random) -> Iterator[tuple[str, str]]:
    """Yield what is said for known tools and what is to be declined, with the sense that is meant."""
    known = {tool.name: tool for tool in registry.running()}
    for phrasing in phrasings.of_tools():
        if phrasing.within(split) and all(name in known for name, _ in phrasing.calls):
            for text, calls in itertools.islice(hinting.filled(phrasing, known, random, split), 1):
                yield text, hinting.sense_of(calls, phrasings.slots_in(phrasing.text), known)
    for line in phrasings.lines("decline", split):
        yield hinting.refusal(line), ""


def likely(hints: Hints, text: str, meant: str) -> tuple[bool, bool, float]:
    """Is the likeliest tool or look meant, is its likeliest sense just this one, and how likely are its tools?"""
    shares = hints.whole.shares(text)
    sums = {name: float(shares[numbers].sum()) for name, numbers in hints.groups.items()}
    best = hints.groups[max(sums, key=lambda name: sums[name])]
    sense = hints.senses[best[shares[best].argmax()]]
    tools = tuple(TOOL.findall(meant))
    share = sum(float(shares[n]) for n, own in enumerate(hints.tools) if own == tools)
    return tuple(TOOL.findall(sense)) == tools, sense == meant, share


def made_up(hints: Hints, split: Split, language: str, random: Random) -> Iterator[bool]:
    """Yield for each wish for a made-up tool whether its card is the likeliest."""
    cards = [card for card in phrasings.of_cards() if belongs(card.text, split)]
    running = registry.running()
    for card in cards:
        others = random.sample([other for other in cards if other is not card], RIVALS)
        tools = [instructions.tool(one, language) for one in (card, *others)]
        known = {tool.name: tool for tool in (*running, tools[0])}
        for phrasing in (phrasing for phrasing in card.phrasings if phrasing.language == language):
            for text, _ in itertools.islice(hinting.filled(phrasing, known, random, split), 1):
                yield int(hints.whole.shares(text, [text_of(tool) for tool in tools]).argmax()) == len(hints.senses)


if __name__ == "__main__":
    main()
