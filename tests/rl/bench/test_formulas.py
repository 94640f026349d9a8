"""The formulas are the published ones on replies made by hand; each quirk of an official script has both its modes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lego.rl.bench import formulas, kris, replies, suites
from lego.rl.bench.formulas import Mode
from lego.rl.bench.items import Item
from lego.rl.bench.suite import Scores, Suite
from lego.rl.bench.summary import _figure
from tests.rl.bench import copies

GEDIT, IMGEDIT, KRIS, RISE = (suites.find(name) for name in ("gedit", "imgedit", "kris", "rise"))


def item(group: str, **meta: object) -> Item:
    return Item(f"{group}/1", (), "do it", group, meta=meta)


def value(suite: Suite, of: Item, scores: Scores, mode: Mode = "fixed", clamp: bool = False) -> float | None:
    cells = suite.values(of, scores, mode, clamp)[suite.main]
    return formulas.mean(cells)


def test_gedit_takes_the_root_of_each_item_and_not_of_the_means() -> None:
    first = value(GEDIT, item("add"), {"sc": (9, 4), "pq": (9, 10)})
    second = value(GEDIT, item("add"), {"sc": (9, 9), "pq": (1, 2)})
    assert (first, second) == (6, 3)
    assert formulas.mean([first, second]) != pytest.approx(math.sqrt(6.5 * 5))


def test_gedit_takes_the_mean_of_groups_and_not_of_items() -> None:
    column = GEDIT.columns[2]
    assert _figure([[(9.0,), (9.0,), (9.0,)], [(3.0,)]], column, "official").mean == 6
    assert _figure([[(9.0,), (9.0,), (9.0,), (3.0,)]], column, "official").mean == 7.5


def test_one_value_passes_as_the_least_in_official_mode_only() -> None:
    text = '{"score": [7], "reasoning": "fine"}'
    assert replies.listed(text, 2, 0, 10, "official") == (7,)
    with pytest.raises(ValueError, match="2 scores were asked for"):
        replies.listed(text, 2, 0, 10, "fixed")


def test_a_score_off_the_scale_counts_in_official_mode_only() -> None:
    text = '{"score": [12, 9], "reasoning": ""}'
    assert replies.listed(text, 2, 0, 10, "official") == (12, 9)
    with pytest.raises(ValueError, match="12 is not between 0 and 10"):
        replies.listed(text, 2, 0, 10, "fixed")


@pytest.mark.parametrize("mode", formulas.MODES)
@pytest.mark.parametrize(
    "text", ["I'm sorry, but I can't assist with that request.", "8, 9", "", "{broken", '{"score": []}', "[8, 9]"]
)
def test_what_official_scripts_would_guess_is_unreadable_in_both_modes(mode: Mode, text: str) -> None:
    with pytest.raises(ValueError, match="score"):
        replies.listed(text, 2, 0, 10, mode)


@pytest.mark.parametrize(
    "text",
    [
        '{"score": [8, 9], "reasoning": "a {b} c"}',
        '```json\n{"reasoning": "x", "score": [8.0, 9]}\n```',
        '<think>{"score": [1, 1]}?</think> Here: {"score": [8, 9]}',
    ],
)
def test_fences_prose_and_thoughts_around_the_scores_do_no_harm(text: str) -> None:
    assert replies.listed(text, 2, 0, 10, "fixed") == (8, 9)


@pytest.mark.parametrize("text", ['{"score": ["8", 9]}', '{"score": [true, 9]}', '{"score": [NaN, 9]}', '{"score": 8}',
                                  '{"score": [8, 9]} or {"score": [1, 2]}', '{"score": [-1, 9]}'])  # fmt: skip
def test_two_plain_numbers_and_nothing_else_are_scores(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        replies.listed(text, 2, 0, 10, "fixed")


def test_imgedit_loses_a_score_with_a_point_in_official_mode_only() -> None:
    text = "Brief reasoning: fine\nPrompt Compliance: 4.\nVisual Naturalness: 5\nPhysical Integrity: 5"
    assert value(IMGEDIT, item("add"), {"score": replies.lines(text, 3, 1, 5, "official")}, "official") == 5.0
    read = replies.lines(text, 3, 1, 5, "fixed")
    assert list(read) == [4, 5, 5]
    assert value(IMGEDIT, item("add"), {"score": read}) == pytest.approx(14 / 3)
    assert value(IMGEDIT, item("add"), {"score": read}, clamp=True) == 4


def test_imgedit_reads_numbers_by_position_whatever_their_names() -> None:
    text = "Brief reasoning: of 3 things: 2 are good\n**Style Fidelity**: 5/5\n- Content kept: 3.5\nCraft: **2**"
    assert replies.lines(text, 3, 1, 5, "fixed") == (5, 3.5, 2)
    with pytest.raises(ValueError, match="3 lines"):
        replies.lines("A: 5\nB: 4", 3, 1, 5, "fixed")
    with pytest.raises(ValueError, match="6 is not between"):
        replies.lines("A: 5\nB: 4\nC: 6", 3, 1, 5, "fixed")
    assert replies.lines("A: 5\nB: 4\nC: 6\nD: 1", 3, 1, 5, "official") == (5, 4, 6, 1)


def test_imgedit_rounds_items_and_types_in_official_mode_only() -> None:
    scores: Scores = {"score": (5, 4, 4)}
    assert value(IMGEDIT, item("add"), scores, "official") == 4.33
    assert value(IMGEDIT, item("add"), scores) == pytest.approx(13 / 3)
    column = IMGEDIT.columns[0]
    group = [(4.33,), (4.33,), (4.0,)]
    assert _figure([group], column, "official").mean == 4.22
    assert _figure([group], column, "fixed").mean == pytest.approx(12.66 / 3)


def test_kris_takes_the_flat_mean_over_all_metric_values() -> None:
    first = KRIS.values(
        item("color_change"), {"consistency": (5,), "quality": (5,), "instruction": (1,)}, "fixed", True
    )
    scores: Scores = {"consistency": (1,), "quality": (5,), "knowledge": (5, 3)}
    second = KRIS.values(item("biology"), scores, "fixed", True)
    assert list(first["score"]) == [100, 100, 0]
    assert list(second["score"]) == [0, 100, 100, 50]
    assert formulas.mean(first["score"]) == pytest.approx(66.67, abs=0.005)
    assert formulas.mean(second["score"]) == 62.5
    assert _figure([[first["score"], second["score"]]], KRIS.columns[0], "fixed").mean == pytest.approx(
        64.29, abs=0.005
    )


def test_kris_holds_knowledge_to_the_instruction_if_asked() -> None:
    scores: Scores = {"consistency": (5,), "quality": (5,), "knowledge": (2, 4)}
    assert KRIS.values(item("biology"), scores, "official", False)["KP"] == (75,)
    assert KRIS.values(item("biology"), scores, "fixed", True)["KP"] == (0,)
    assert KRIS.values(item("color_change"), scores, "fixed", True)["KP"] == ()


def test_kris_looks_for_a_digit_anywhere_in_official_mode_only() -> None:
    text = 'consistency_score: 4 because "it'
    assert replies.named(text, ["consistency_score"], 1, 5, "official") == (4,)
    with pytest.raises(ValueError, match="consistency_score was asked for"):
        replies.named(text, ["consistency_score"], 1, 5, "fixed")
    both = '{"instruction_score": "4", "knowledge_score": 2, "knowledge_reasoning": "..."}'
    assert KRIS.read(item("biology"), "knowledge", both, "fixed") == (4, 2)


def rise(
    group: str, c: float | None, r: float | None, p: float | None, mode: Mode = "fixed", **meta: bool
) -> list[float]:
    flags: dict[str, object] = {"free": False, "taken as free": False, "source shown": False, "truth in words": True}
    given = {"consistency": c, "reasoning": r, "plausibility": p}
    scores: Scores = {name: None if score is None else (score,) for name, score in given.items()}
    cells = RISE.values(item(f"{group}_reasoning", **{**flags, **meta}), scores, mode, False)
    return [-1 if v is None else round(v, 4) for name in ("accuracy", "percent") for v in cells[name]]


def test_rise_weighs_the_dimensions_as_published() -> None:
    assert rise("temporal", 5, 4, 3) == pytest.approx([0, 25 * (0.3 * 5 + 0.5 * 4 + 0.2 * 3 - 1)], abs=1e-3)
    assert rise("causal", 5, 5, 5) == [100, 100]
    assert rise("spatial", 5, 1, 5) == pytest.approx([0, 25 * (3 / 2 - 1)], abs=1e-3)  # nothing was thought out: half
    assert rise("spatial", 1, 1, 1) == [0, 0]  # but not below the scale


def test_rise_maps_the_bits_of_logical_items() -> None:
    assert rise("logical", 1, 1, None) == [100, 100]
    assert rise("logical", 1, 0, None) == pytest.approx([0, 25 * ((0.3 * 5 + 0.7) / 2 - 1)], abs=1e-3)
    assert rise("logical", 0, 1, None) == pytest.approx([0, 25 * (0.3 + 0.7 * 5 - 1)], abs=1e-3)


def test_an_item_free_of_consistency_is_never_accurate_in_official_mode_only() -> None:
    flags = {"free": True, "taken as free": True}
    assert rise("causal", None, 5, 5, "official", **flags) == [0, 100]
    assert rise("causal", None, 5, 5, "fixed", **flags) == [100, 100]
    assert rise("causal", None, 3, 5, "fixed", **flags) == pytest.approx([0, 25 * (0.8 * 3 + 0.2 * 5 - 1)], abs=1e-3)


def test_an_absent_flag_is_taken_as_free_in_official_mode_only() -> None:
    assert rise("causal", 1, 5, 5, "official", **{"taken as free": True}) == [0, 100]
    assert rise("causal", 1, 5, 5, "fixed", **{"taken as free": True}) == pytest.approx(
        [0, 25 * (0.3 + 2.5 + 1 - 1)], abs=1e-3
    )


def test_a_failed_reply_is_not_accurate_in_official_mode_and_missing_in_fixed() -> None:
    assert rise("causal", 5, None, 5, "official") == [0, -1]
    assert rise("causal", 5, None, 5, "fixed") == [-1, -1]


def test_a_final_score_with_a_fraction_is_cut_in_official_mode_only() -> None:
    text = "Good.\n**Final Score**: 3.5"
    assert replies.final(text, 1, 5, "official") == (3,)
    assert replies.final(text, 1, 5, "fixed") == (3.5,)


def test_one_final_score_is_wanted_and_official_mode_takes_several(tmp_path: Path) -> None:
    text = "Final Score: 4, 5"
    assert replies.final(text, 1, 5, "official") == (4, 5)
    with pytest.raises(ValueError, match="one final score"):
        replies.final("Final Score: 4\nFinal Score: 5", 1, 5, "fixed")
    assert replies.final("Final Score: 4 ... so, Final Score: 4", 1, 5, "fixed") == (4,)
    with pytest.raises(ValueError, match="final score"):
        replies.final("I refuse", 1, 5, "official")
    logical = next(i for i in RISE.load(copies.rise(tmp_path)) if i.group == "logical_reasoning")
    assert RISE.read(logical, "reasoning", "Final Score: 1", "fixed") == (1,)
    with pytest.raises(ValueError, match="0 and 1"):
        RISE.read(logical, "reasoning", "Final Score: 5", "fixed")


def test_rise_shows_the_judge_what_the_item_says(tmp_path: Path) -> None:
    found = {i.id.partition("/")[2]: i for i in RISE.load(copies.rise(tmp_path))}

    def shown(name: str, mode: Mode = "fixed") -> list[tuple[str, str, tuple[str, ...]]]:
        return [(call.name, call.prompt, call.images) for call in RISE.calls(found[name], mode)]

    assert [name for name, *_ in shown("causal_reasoning_1")] == ["reasoning", "plausibility"]
    assert shown("spatial_reasoning_1")[1] == ("reasoning", "reasoning_source", ("source", "result"))
    assert shown("spatial_reasoning_2")[0][2] == ("source", "result")
    assert shown("spatial_reasoning_2", "official")[0][2] == ("gt", "result")
    assert shown("spatial_reasoning_2")[1] == ("reasoning", "reasoning_truth", ("gt", "result"))
    assert [call[1] for call in shown("logical_reasoning_1")] == ["logical_consistency", "logical"]
    assert [call[1] for call in shown("logical_reasoning_2")] == ["logical_consistency", "logical_truth"]


def test_kris_judges_viewpoints_by_the_truth_and_times_by_the_frames(tmp_path: Path) -> None:
    found = {i.id: i for i in KRIS.load(copies.kris(tmp_path))}
    view = KRIS.calls(found["viewpoint_change/1"], "fixed")
    assert view[0].images == ("source", "gt", "result")
    assert KRIS.calls(found["temporal_prediction/1"], "fixed")[0].prompt == "consistency_frames"
    assert KRIS.calls(found["biology/1"], "fixed")[-1].name == "knowledge"
    assert [call.images for call in KRIS.calls(found["color_change/1"], "fixed")][1] == ("result",)


def test_a_frame_is_shown_to_the_judge_at_its_place() -> None:
    assert kris._place(["1-1.png", "1-2.png", "1-4.png"]) == 3
    assert kris._place(["7-1.png", "7-2.png", "7-3.png"]) == 4
    assert kris._place(["a.png", "b.png"]) == 3
    assert kris._place(["9-2.png", "9-3.png", "9-4.png"]) == 1


def test_anomalies_are_judged_by_the_explanation_in_fixed_mode_only() -> None:
    odd = Item("anomaly_correction/1", (), "mend it", "anomaly_correction", explain="five legs")
    assert KRIS.calls(odd, "fixed")[-1].prompt == "instruction_anomaly"
    assert KRIS.calls(odd, "official")[-1].prompt == "instruction"
