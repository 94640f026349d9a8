"""What words say of a made-up tool's parameters is learned from the training's, and holds for tools never seen."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import lego.tools  # registers them
from lego.builder.arguments import options
from lego.core.registry import registry
from lego.rl import arguments, hinting, instructions, phrasings
from lego.rl.arguments import Lesson
from lego.rl.invented import tool_of
from lego.rl.phrasings import FOLDS, belongs

SEA = tool_of(
    "[sea_state] Make the sea rough. | waves: choice calm|storm = calm; foam: number 0..9 = 2; gulls: boolean = false; "
    "tint: color = #88aacc"
)


@pytest.fixture(scope="module")
def lessons() -> list[Lesson]:
    cards = [card for card in phrasings.of_cards() if belongs(card.text, "train")]
    found = hinting._invented(registry.running(), Random(2).sample(cards, 1200), Random(1), 1.0)
    return [held for _, held in found if held]


def kinds(args: dict[str, object], *said: str) -> list[str]:
    """What is to be learned of each parameter of the sea."""
    held = arguments.lesson("let it blow", SEA, args, said, 0)
    return [row[number].token or row[number].kind for row, number in zip(held.options, held.meant, strict=True)]


def test_a_lesson_says_which_option_of_each_parameter_is_meant() -> None:
    assert kinds({}) == [""] * 4
    assert kinds({"waves": "storm", "gulls": False, "foam": 4.0}) == ["<c_1>", "<a_2>", "<no!>", ""]
    assert kinds({"waves": "storm", "foam": 4.0, "tint": "#123456"}, "waves", "foam", "tint") == [
        "<c_1>", "said", "", "said",
    ]  # fmt: skip
    assert kinds({"foam": 7.7})[1] == "said"  # no level is that much: as if it stood in the words


def test_what_is_learned_holds_for_tools_that_were_never_seen(lessons: list[Lesson]) -> None:
    assert {one.fold for one in lessons} == set(range(FOLDS))
    reader = arguments.taught(lessons, 1, 0)
    hits: dict[str, list[bool]] = {}
    for card in [card for card in phrasings.of_cards() if belongs(card.text, "val")][:250]:
        for phrasing in card.phrasings:
            tool = instructions.tool(card, phrasing.language)
            known = {one.name: one for one in (*registry.running(), tool)}
            for text, calls in list(hinting.filled(phrasing, known, Random(3), "val"))[:1]:
                args = next((call.args for call in calls if call.tool == card.name), {})
                held = arguments.lesson(text, tool, args, phrasings.slots_in(phrasing.text), 0)
                for row, meant in zip(held.options, held.meant, strict=True):
                    param = tool.param(row[0].name.replace(" ", "_"))
                    assert param is not None
                    shares = reader.shares(text, param)
                    kind = param.kind if meant else "nothing"
                    right = int(shares[1:].argmax()) + 1 == meant if meant else bool(shares[0] > 0.5)
                    hits.setdefault(kind, []).append(right)
    share = {kind: float(np.mean(found)) for kind, found in hits.items()}
    assert share["nothing"] > 0.8, share
    assert share["boolean"] > 0.7, share  # by chance a half; of all cards 84 %
    assert share["choice"] > 0.45, share  # by chance a third


def test_the_same_seed_teaches_the_same_and_a_fold_is_left_out(lessons: list[Lesson]) -> None:
    few = lessons[:600]
    one, two, other = (arguments.taught(few, 3, fold) for fold in (0, 0, 1))
    assert np.array_equal(one.weights, two.weights)
    assert not np.array_equal(one.weights, other.weights)
    assert len(options(SEA.params[1])) == 3
