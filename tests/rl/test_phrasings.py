"""Phrasings: every line fits the tool that it is for, and the parts of the data share nothing."""

from __future__ import annotations

import re
from collections import Counter

import pytest

import lego.tools  # registers the embedded tools
from lego.builder.calls import mask_of
from lego.core.registry import Tool, registry
from lego.rl import phrasings, slots
from lego.rl.clauses import CHOICE, PIECE
from lego.rl.invented import tool_of
from lego.rl.phrasings import Phrasing, Split, belongs

PARTS: tuple[Split, ...] = ("train", "val", "test")
FEW: Split = "few"
SLOTS = {"it", "thing", "around", "keep", "deg", "deg2"}


def faults(phrasing: Phrasing, tools: dict[str, Tool[..., object]]) -> list[str]:
    """What is wrong with a line."""
    found = []
    for name, values in phrasing.calls:
        if name not in tools:
            return [f"there is no tool '{name}'"]
        for param, value in values:
            known = tools[name].param(param)
            if known is None and param != "on":
                found.append(f"'{name}' has no '{param}'")
            elif known is not None:
                try:
                    known.validate(slots.implied(known, value))
                except ValueError as error:
                    found.append(f"{param}={value}: {error}")
    tool = tools[phrasing.calls[0][0]]
    text = CHOICE.sub(lambda match: max(match[1].split("|"), key=len), phrasing.text)
    for slot, literal in PIECE.findall(text):
        aimed = literal or slot in ("thing", "around", "keep")
        if aimed and mask_of(tool) is None and not any(p.format == "target" for p in tool.params):
            found.append(f"'{tool.name}' cannot be aimed")
        if slot and slot not in SLOTS and tool.param(slot.lstrip("-")) is None:
            found.append(f"'{slot}' is no slot")
    return found + [f"stray sign in '{text}'" for _ in re.findall(r"[{}<>]", PIECE.sub("", text))]


def test_every_phrasing_fits_its_tool() -> None:
    tools = {tool.name: tool for tool in registry}
    wrong = {p.text: found for p in phrasings.of_tools() if (found := faults(p, tools))}
    assert not wrong


def test_every_made_up_tool_is_one_and_its_phrasings_fit() -> None:
    for card in phrasings.of_cards():
        tool = tool_of(card.text)
        assert tool.name not in registry
        assert not tool.param("on"), f"{tool.name}: in a phrasing that means where"
        assert not [found for p in card.phrasings if (found := faults(p, {tool.name: tool}))], card.text
        assert {p.language for p in card.phrasings} == {"en", "zh"}, card.text


def test_every_tool_that_edits_can_be_asked_for_in_both_languages_in_every_part_of_the_data() -> None:
    single = [p for p in phrasings.of_tools() if len(p.calls) == 1]
    counts = Counter((p.calls[0][0], p.language, part) for p in single for part in PARTS if p.within(part))
    families = ("layer", "mask", "room", "segment")
    helpers = {t.name for t in registry if t.family in families} | {"mask_matte"} - {"segment"}
    for tool in registry.running():
        if tool.name in helpers - {"segment"}:
            continue
        assert counts[tool.name, "en", "train"] >= 60, tool.name
        assert counts[tool.name, "zh", "train"] >= 25, tool.name
        assert counts[tool.name, "en", "test"] >= 2, tool.name


def test_the_parts_of_the_data_share_no_phrasing() -> None:
    seen: dict[str, set[str]] = {}
    for phrasing in phrasings.of_tools():
        seen.setdefault(phrasing.text, set()).update(part for part in (*PARTS, FEW) if phrasing.within(part))
    assert all(len(parts - {FEW}) == 1 for parts in seen.values())
    shares = Counter(part for parts in seen.values() for part in parts)
    assert 0.84 < shares["train"] / len(seen) < 0.9
    assert 0.17 < shares[FEW] / shares["train"] < 0.23
    assert all("train" in parts for parts in seen.values() if FEW in parts)


@pytest.mark.parametrize("words", ["delete {thing}", "brighter", "<云>打码", "变亮"])
def test_the_plainest_phrasings_are_all_for_training(words: str) -> None:
    assert [part for part in PARTS if Phrasing((), words).within(part)] == ["train"]


def test_longer_phrasings_go_where_their_letters_say() -> None:
    longer = [Phrasing((), f"make {{thing}} number {number} disappear") for number in range(200)]
    assert all(p.within(part) == belongs(p.text, part) for p in longer for part in PARTS)
    assert sum(p.within("test") for p in longer) > 5


@pytest.mark.parametrize("name", ["nouns_en", "nouns_zh", "texts", "decline"])
def test_nouns_texts_and_refusals_are_split_as_well(name: str) -> None:
    parts = [set(phrasings.lines(name, split)) for split in ("train", "val", "test")]
    assert all(len(part) >= 5 for part in parts)
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]


def test_no_instruction_of_the_exam_is_a_phrasing_word_for_word() -> None:
    from pathlib import Path

    from lego.rl.bench.plan import cases

    exam = [case.instruction.lower().strip(" .!?。！？") for case in cases(Path("benchmarks/validation.jsonl"))]
    train = {CHOICE.sub("", p.text).lower().strip(" .!?。！？") for p in phrasings.of_tools()}
    longer = [text for text in exam if len(text.split()) > 4 or (not text.isascii() and len(text) > 8)]
    assert not [text for text in longer if text in train]


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("make {thing} bluer", "make "),
        ("把{thing}涂成{color}", "把"),
        ("{thing} {color}", ""),
        ("remove {thing}", ""),  # "and the cat" would be a second thing of one wish
        ("(just |)make {thing} bluer", ""),
        ("{color} for {thing} please", ""),
        ("blur it", ""),
    ],
)
def test_what_a_second_wish_could_leave_out_stands_before_its_thing(text: str, lead: str) -> None:
    assert Phrasing((("recolor", ()),), text).lead == lead
