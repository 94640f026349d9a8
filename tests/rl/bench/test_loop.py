"""What rounds are worth, and how builders do: counted against pixels, not against the critic."""

from __future__ import annotations

import lego.tools  # registers them
from lego.builder.base import Review
from lego.builder.verdict import Scores, Verdict
from lego.core.registry import registry
from lego.editor import Editor
from lego.rl.bench import loop, smoke


class Yes:
    """A critic that likes everything."""

    name = "yes"

    def review(self, review: Review) -> Verdict:
        return Verdict("success", "fine", scores=Scores(10, 10, 10, 10))


class No:
    """A critic that likes nothing."""

    name = "no"

    def review(self, review: Review) -> Verdict:
        return Verdict("failed", "no", "", ("no",), Scores(1, 1, 1, 1))


def test_a_critic_that_likes_everything_finds_nothing_and_gains_nothing() -> None:
    found = loop.summary(loop.run(registry, "plans", 12, Yes(), share=1.0, first=0))
    assert found.recall[0] == found.alarms[0] == 0
    assert found.recall[1] >= 8
    assert len(set(found.success)) == 1


def test_a_critic_that_likes_nothing_rejects_what_is_right() -> None:
    found = loop.summary(loop.run(registry, "plans", 8, No(), share=0.0, first=0))
    assert found.alarms[0] == found.alarms[1] > 0


def test_the_critic_that_measures_mends_flawed_plans() -> None:
    made = loop.run(registry, "plans", 14, share=0.7, first=0, kinds=["opposite", "other thing"])
    found = loop.summary(made)
    assert found.recall[0] >= 0.6 * found.recall[1] > 0
    assert found.success[2] > found.success[0]
    assert sum(all_ for _, all_ in loop.by_kind(made).values()) <= len(made)
    assert len(found.lines()) == 8


def test_marred_results_are_seen_before_the_first_look_only() -> None:
    made = loop.run(registry, "tools", 8, share=1.0, first=0, kinds=["idle"])
    assert all(set(item.first.kind.split()) <= {"idle"} for item in made)
    assert not any(item.first.right for item in made if item.first.kind and item.first.outcome != "error")


def test_the_smoke_set_has_a_floor_and_a_ceiling() -> None:
    editor = Editor("rules")
    rows = {
        name: smoke.table(list(smoke.run(editor, 25, baseline=name)))[-1] for name in (smoke.NOTHING, smoke.TRUTH, "")
    }
    assert rows[smoke.NOTHING][2] == 0
    assert rows[smoke.TRUTH][2] >= 22
    assert 10 <= rows[""][2] <= rows[smoke.TRUTH][2]
    assert all(sum(row[2:]) == row[1] for row in rows.values())


def test_the_table_is_by_language_wishes_and_tool() -> None:
    tried = list(smoke.run(Editor("rules"), 12))
    rows = {row[0]: row[1] for row in smoke.table(tried)}
    assert rows["English"] + rows.get("Chinese", 0) == rows["one wish"] + rows["two wishes"] == rows["all"] == 12
    assert {tool for one in tried for tool in one.tools} <= set(rows)
