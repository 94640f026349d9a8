"""Hints: passages are cut where wishes end, the file keeps them, and a broken file is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lego.builder.arguments import KINDS, ROWS, SIZE, Reader
from lego.builder.hints import FILE, LOWEST, WIDTH, Encoder, Hints, letters
from lego.builder.ngrams import BUCKETS, buckets, grams
from lego.builder.prompt import form_of
from lego.builder.words import words_of
from lego.core.errors import SettingsError

TOOLS = ("crop", "black_and_white", "blur")
SENSES = tuple(f"<T:{tool}>" for tool in TOOLS)


def encoder(**said: str) -> Encoder:
    """A model that knows some words: they lie on the axis of their tool, black or white alone between two."""
    weights = np.zeros((BUCKETS, WIDTH), np.int8)
    weights[:, -1] = 30
    for number, tool in enumerate(TOOLS):
        weights[buckets(said.get(tool, "")), number] = 100
    weights[buckets("black")] = weights[buckets("white")] = [90] * 2 + [0] * (WIDTH - 2)
    tools = 10 * np.eye(len(TOOLS), WIDTH, dtype=np.float32)
    flat = np.zeros(len(TOOLS), np.float32)
    return Encoder(weights, np.full(WIDTH, 0.05, np.float32), tools, flat, np.array([10, 0], np.float32))


@pytest.fixture
def hints() -> Hints:
    return Hints(
        SENSES, encoder(crop="crop 裁剪", black_and_white="make black and white 黑白", blur="blur blurry 模糊")
    )


def passages(hints: Hints, text: str, fold: int | None = None) -> list[tuple[str, str]]:
    """Last word and likeliest sense, without its brackets, of each passage."""
    words = words_of(text)
    return [(words[found.last].text, found.senses[0][3:-1]) for found in hints.passages(text, words, fold)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("crop it to 4.5 cm and blur the sky", [("cm", "crop"), ("sky", "blur")]),
        ("Make it black and white", [("white", "black_and_white")]),
        ("black and white; then blur it, crop", [("white", "black_and_white"), ("it", "blur"), ("crop", "crop")]),
        ("裁剪，然后把天空模糊", [("剪", "crop"), ("糊", "blur")]),
        ("crop it + blur the sky", [("it", "crop"), ("sky", "blur")]),
        ("crop it - blur the sky", [("it", "crop"), ("sky", "blur")]),
        ("裁剪 天空模糊", [("剪", "crop"), ("糊", "blur")]),
        ("blur +20 on the well-lit sky", [("sky", "blur")]),
    ],
)
def test_a_passage_ends_where_a_wish_ends(hints: Hints, text: str, found: list[tuple[str, str]]) -> None:
    assert [(word.split()[-1].removeprefix("4.5"), tool) for word, tool in passages(hints, text)] == found


@pytest.mark.parametrize(("clear", "count"), [(80, 2), (10, 1)])
def test_two_wishes_for_one_tool_are_two_passages_where_each_is_clear(clear: int, count: int) -> None:
    model = encoder()
    blur, other = TOOLS.index("blur"), len(TOOLS)
    for word, side in (("softly", 80), ("gently", -80)):  # together they say more than each
        model.weights[buckets(word)] = 0
        model.weights[buckets(word), blur], model.weights[buckets(word), other] = clear, side
    assert [tool for _, tool in passages(Hints(SENSES, model), "softly and gently")] == ["blur"] * count


def test_an_instruction_without_words_has_no_passages(hints: Hints) -> None:
    for text in ("", "?!,", "and"):
        assert all(found.first <= found.last for found in hints.passages(text, words_of(text)))
    assert hints.passages("", []) == []


def test_what_is_quoted_says_nothing() -> None:
    text = 'write "blur, crop and 裁剪" on it'
    assert letters(text, words_of(text)) == 'write "" on it'
    assert letters("", []) == ""


def test_numbers_are_alike_and_letters_are_small() -> None:
    assert grams("Blur 12.5 px") == grams("blur 7 PX")
    assert "bl" in grams("Blur")
    assert {"模", "模糊"} <= grams("模糊")


def test_only_likely_tools_are_named_likeliest_first(hints: Hints) -> None:
    (found,) = hints.passages("blur blurry crop", words_of("blur blurry crop"))
    assert (found.first, found.last) == (0, 2)
    assert found.senses[0] == "<T:blur>"
    assert "<T:black_and_white>" not in found.senses


def test_a_task_of_a_fold_gets_hints_that_never_saw_the_fold(hints: Hints) -> None:
    held = Hints(SENSES, hints.whole, (encoder(crop="blur"), encoder(black_and_white="blur")))
    assert passages(held, "blur") == [("blur", "blur")]
    assert passages(held, "blur", 0) == [("blur", "crop")]
    assert passages(held, "blur", 1) == [("blur", "black_and_white")]
    assert passages(hints, "blur", 1) == [("blur", "blur")]  # training is over: there is but one


def test_a_card_is_named_where_the_words_are_near_to_its_text(hints: Hints) -> None:
    text = "blur it, then crop the sky"
    first, second = hints.passages(text, words_of(text), None, ["sharpen", "crop tightly"])
    assert (first.senses[0], first.cards) == ("<T:blur>", ())
    assert second.cards == (1,)
    assert hints.passages(text, words_of(text))[1].senses[0] == "<T:crop>"


def test_a_card_rivals_only_the_tools_that_are_on_offer(hints: Hints) -> None:
    def likely(text: str, known: tuple[str, ...]) -> list[float]:
        return hints.rivalry(text, words_of(text), None, ["crop tightly", "sharpen"], known)

    there, gone = likely("crop the sky", TOOLS), likely("crop the sky", ("blur",))
    assert there[0] > there[1]
    assert there[0] < gone[0] > 0.5
    assert likely("", TOOLS) == [0, 0]
    both = likely("blur it, then crop the sky", ("blur",))
    assert both[0] == pytest.approx(gone[0], abs=0.2)  # the passage that it is nearest to counts


def test_odds_are_of_all_tools_and_cards_and_have_a_floor(hints: Hints) -> None:
    known, cards = hints.odds("crop", None, ["crop", "blur"], TOOLS)
    assert set(known) == set(TOOLS)
    assert cards[0] == pytest.approx(known["crop"], abs=0.5)
    assert cards[1] == known["blur"] == pytest.approx(np.log(LOWEST))


LOOK = "<T:blur><P:radius><a_2><T:crop>"
HARD = "<T:blur><P:radius><a_2>"


def of_senses(*senses: str, **said: str) -> Hints:
    """Hints whose third axis stands for these senses, the first a bit nearer than the next."""
    model = encoder(**said)
    rows = np.stack([*model.tools[:2], *(model.tools[2] * (1 - 0.02 * n) for n in range(len(senses)))])
    whole = Encoder(model.weights, model.scale, rows, np.zeros(len(rows), np.float32), model.card)
    return Hints((*SENSES[:2], *senses), whole)


def test_the_values_that_words_imply_are_shown_where_one_sense_stands_out() -> None:
    (found,) = of_senses(HARD, blur="soften").passages("soften", words_of("soften"))
    assert found.senses == (HARD,)
    unclear = of_senses(HARD, "<T:blur>", "<T:blur><P:radius><a_0.5>", blur="soften")
    (found,) = unclear.passages("soften", words_of("soften"))
    assert found.senses == ("<T:blur>",)  # three of about a third: the tool is sure, its strength is not


def test_senses_of_a_tool_are_likely_together_and_a_look_counts_for_its_first_tool() -> None:
    both = of_senses(HARD, "<T:blur>", LOOK, blur="soften")
    assert both.groups.keys() == {"<T:crop>", "<T:black_and_white>", "<T:blur>", LOOK}
    (found,) = both.passages("soften", words_of("soften"))
    assert [sense[:8] for sense in found.senses] == ["<T:blur>", "<T:blur>"]
    assert found.senses[1] == LOOK
    known, _ = both.odds("soften", None, [], TOOLS)
    assert known["blur"] == pytest.approx(0, abs=0.01)
    assert known["crop"] == pytest.approx(np.log(LOWEST))
    whole, _ = both.odds("soften", None, [], ("blur", "black_and_white"))
    assert whole["blur"] == pytest.approx(0, abs=0.01)  # the look needs a tool that is not there


def test_a_card_takes_the_place_of_a_tool_that_is_not_on_offer(hints: Hints) -> None:
    known, (card,) = hints.odds("crop it", None, ["crop tightly"], ("blur",))
    assert known["crop"] == pytest.approx(np.log(LOWEST))
    assert card > hints.odds("crop it", None, ["crop tightly"], TOOLS)[1][0]


def test_the_file_keeps_them(hints: Hints, tmp_path: Path) -> None:
    held = Hints(SENSES, hints.whole, (encoder(crop="blur"),))
    held.save(tmp_path / FILE)
    found = Hints.load(tmp_path / FILE)
    assert found.senses == SENSES
    assert np.array_equal(found.whole.weights, hints.whole.weights)
    assert passages(found, "blur", 0) == [("blur", "crop")]
    assert found.reader(None) is None


def test_the_file_keeps_what_reads_of_cards(hints: Hints, tmp_path: Path) -> None:
    none, kinds = np.zeros(len(KINDS), np.float32), np.zeros((len(KINDS), SIZE), np.float32)
    weights, scale = np.zeros((ROWS, SIZE), np.int8), np.ones(SIZE, np.float32)
    readers = [Reader(weights + np.int8(n), scale, kinds, none, none[:3]) for n in range(3)]
    whole, *folds = (replace(hints.whole, reader=reader) for reader in readers)
    replace(hints, whole=whole, folds=tuple(folds)).save(tmp_path / FILE)
    found = Hints.load(tmp_path / FILE)
    for fold, number in ((None, 0), (0, 1), (1, 2)):
        reader = found.reader(fold)
        assert reader is not None
        assert reader.weights[0, 0] == number
    finished = replace(found, folds=())
    assert [reader.weights[0, 0] for reader in (finished.reader(0), finished.reader(None)) if reader] == [0, 0]
    small = replace(readers[0], weights=weights[1:])
    replace(hints, whole=replace(whole, reader=small)).save(tmp_path / FILE)
    with pytest.raises(ValueError, match="another size"):
        Hints.load(tmp_path / FILE)


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_broken_file_is_told(hints: Hints, tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "lego.json").write_text(json.dumps({"form": "pointing", "hints": True, "tools": {}}))
    if content is None:
        hints.save(tmp_path / FILE)
        (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:200])
    else:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(SettingsError, match="form cannot be read"):
        form_of(tmp_path)


def test_hints_of_another_size_are_told(hints: Hints, tmp_path: Path) -> None:
    Hints((*SENSES, "<T:flip>"), hints.whole).save(tmp_path / FILE)
    with pytest.raises(ValueError, match="another size"):
        Hints.load(tmp_path / FILE)
