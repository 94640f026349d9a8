"""The rounds of an edit: what goes on from a result, what begins again, what is learned, and which round wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lego
from lego.builder.base import Builder, Plan, Request, Review
from lego.builder.rules import Rules
from lego.builder.verdict import Scores, Verdict
from lego.core.errors import CancelledError, LegoError, PlanError, SettingsError, StepError, StepTimeoutError
from lego.core.registry import registry as default
from lego.core.settings import Settings
from lego.core.trace import Planned, Reviewed, RunStarted
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.editor import Cancel, Editor
from lego.rounds import Round, chosen

PICTURE = Image(np.random.default_rng(1).integers(60, 180, (40, 60, 3), np.uint8))
FINE, BAD = Scores(10, 10, 10, 10), Scores(2, 10, 10, 10)
SUCCESS = Verdict("success", "as asked", scores=FINE)


def failed(why: str = "too dark", **facts: Any) -> Verdict:
    return Verdict("failed", why, "", (why,), BAD, facts)


def refine(then: str, value: float = 5) -> Verdict:
    return Verdict("refine", "on the way", then, ("something is left",), Scores(value, 10, 10, 10))


class Script:
    """A critic that says what it was told to, in order."""

    name = "script"

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts, self.seen = list(verdicts), list[Review]()

    def review(self, review: Review) -> Verdict:
        self.seen.append(review)
        return self.verdicts.pop(0)


class Listening:
    """A builder that plans the words, or others in their place, by the rules, and remembers what it was asked."""

    name = "listening"

    def __init__(self, *words: str) -> None:
        self.words, self.asked = list(words), list[Request]()

    def plan(self, request: Request) -> Plan:
        from dataclasses import replace

        self.asked.append(request)
        words = self.words.pop(0) if self.words else request.instruction
        return Rules().plan(replace(request, instruction=words))


def editor(critic: Any, builder: Builder | None = None, **settings: Any) -> Editor:
    return Editor(builder or Listening(), critic=critic, settings=Settings.load({"think": False, **settings}))


def test_without_rounds_nobody_is_asked() -> None:
    critic = Script()
    result = editor(critic).edit(PICTURE, "brighten it")
    assert result.verdict is None
    assert len(result.rounds) == 1
    assert not critic.seen


def test_what_is_right_at_once_takes_one_round() -> None:
    result = editor(Script(SUCCESS)).edit(PICTURE, "brighten it", rounds=2)
    assert (len(result.rounds), result.verdict) == (1, SUCCESS)
    assert not result.notes


def test_the_critic_hears_the_users_words_and_sees_what_was_done() -> None:
    critic = Script(SUCCESS)
    mask = Mask.from_box(PICTURE.size, (5, 5, 30, 30))
    result = editor(critic, Listening("darken it"), think=True).edit(PICTURE, "brighten it", rounds=1, mask=mask)
    (seen,) = critic.seen
    assert (seen.instruction, seen.rewritten) == ("brighten it", "")
    assert (seen.before, seen.after.digest, seen.workflow) == (PICTURE, result.image.digest, result.workflow)
    assert seen.request.given == ("mask",)
    assert [name for name, _, _ in seen.steps] == [step.tool for step in result.workflow.steps][-1:]


def test_refining_goes_on_from_the_result_in_one_workflow_that_gives_the_same_again() -> None:
    builder = Listening()
    critic = Script(refine("add grain"), SUCCESS)
    result = editor(critic, builder).edit(PICTURE, "brighten it and add grain", rounds=2, seed=7)
    assert [request.instruction for request in builder.asked] == ["brighten it and add grain", "add grain"]
    assert builder.asked[1].image.digest == result.rounds[0].picture.digest
    assert builder.asked[1].history == ()
    assert critic.seen[1].before.digest == PICTURE.digest  # always against the source
    assert [step.tool for step in result.workflow.steps] == ["exposure", "grain", "grain"]
    again = editor(Script()).run(result.workflow, PICTURE, seed=result.seed)
    assert again.image.digest == result.image.digest
    assert result.seed == 7
    assert result.chosen == 1


def test_regenerating_always_begins_from_the_source() -> None:
    builder = Listening("brighten it", "add grain")
    critic = Script(refine("add grain"), SUCCESS)
    made = editor(critic, builder, strategy="regenerate").edit(PICTURE, "brighten it and add grain", rounds=2)
    assert builder.asked[1].image.digest == PICTURE.digest
    assert builder.asked[1].instruction == "brighten it and add grain"
    assert builder.asked[1].history == ("something is left",)
    assert [step.tool for step in made.workflow.steps] == ["grain"]


def test_a_failure_begins_again_with_another_seed_and_with_what_was_wrong() -> None:
    builder = Listening("darken it", "brighten it")
    result = editor(Script(failed("too dark"), SUCCESS), builder).edit(PICTURE, "brighten it", rounds=2, seed=2**32 - 1)
    assert builder.asked[1].history == ("too dark",)
    assert builder.asked[1].tried == (result.rounds[0].workflow,)
    assert [event.seed for event in result.trace.of(RunStarted)] == [2**32 - 1, 0]
    assert result.chosen == 1


def test_the_same_plan_is_not_run_again_where_chance_has_no_part() -> None:
    critic = Script(failed())
    result = editor(critic, Listening()).edit(PICTURE, "make it sepia", rounds=3)
    assert len(result.rounds) == len(critic.seen) == 1
    assert any("does not vouch" in note for note in result.notes)


def test_where_chance_has_a_part_the_same_plan_gets_another_seed() -> None:
    critic = Script(failed(), SUCCESS)
    result = editor(critic, Listening()).edit(PICTURE, "add grain", rounds=2)
    assert len(result.rounds) == 2
    assert result.rounds[0].picture.digest != result.rounds[1].picture.digest


def test_a_picture_that_was_judged_is_not_judged_again() -> None:
    critic = Script(failed())
    result = editor(critic, Listening("flip it", "flip it horizontally, then flip it, then flip it")).edit(
        PICTURE, "turn it", rounds=1
    )
    assert len(result.rounds) == 2
    assert result.rounds[1].verdict == result.rounds[0].verdict
    assert len(critic.seen) == 1


def test_the_best_round_wins_and_not_the_last() -> None:
    builder = Listening("add grain", "darken it", "brighten it")
    critic = Script(refine("x", 8), failed("worse"), failed("worst"))
    result = editor(critic, builder, strategy="regenerate").edit(PICTURE, "brighten it", rounds=2)
    assert result.chosen == 0
    assert result.image.digest == result.rounds[0].picture.digest
    assert result.workflow == result.rounds[0].workflow
    assert any("on the way" in note for note in result.notes)


def of(*verdicts: Verdict | None) -> list[Round]:
    return [Round(Plan(Workflow((), "$image")), Workflow((), "$image"), {}, None, 0, v) for v in verdicts]  # type: ignore[arg-type]  # nothing was run


@pytest.mark.parametrize(
    ("verdicts", "best"),
    [
        ((failed(), SUCCESS, failed()), 1),
        (
            (Verdict("failed", "", scores=FINE), SUCCESS, Verdict("refine", "", scores=FINE)),
            1,
        ),  # of equals the accepted
        ((SUCCESS, SUCCESS), 1),  # of equals the later
        ((failed(), Verdict("missing", "?", scores=FINE)), 0),  # nobody judged the second
        ((failed(), Verdict("success", "no scores")), 0),
        ((None, Verdict("missing", "?")), 1),  # nobody judged any: the last
    ],
)
def test_of_judged_rounds_the_highest_value_is_taken(verdicts: Sequence[Verdict | None], best: int) -> None:
    assert chosen(of(*verdicts)) == best


def test_a_verdict_that_is_missing_ends_the_rounds_and_is_told() -> None:
    result = editor(Script(Verdict("missing", "nobody can tell"))).edit(PICTURE, "brighten it", rounds=3)
    assert len(result.rounds) == 1
    assert result.verdict
    assert result.verdict.outcome == "missing"
    assert any("nobody can tell" in note for note in result.notes)


def test_a_tool_that_did_not_do_what_it_was_told_is_not_offered_again() -> None:
    builder = Listening()
    critic = Script(failed("no", blamed=["sepia"]), SUCCESS)
    editor(critic, Listening("make it sepia", "make it warmer")).edit(PICTURE, "make it old", rounds=1)
    with_grain = Script(failed("no", blamed=["grain"]), failed("no", blamed=["grain"]), SUCCESS)
    made = editor(with_grain, builder)
    made.edit(PICTURE, "add grain", rounds=2)
    offered = [{tool.name for tool in request.tools} for request in builder.asked]
    assert "grain" in offered[1]  # chance has a part: once more
    assert "grain" not in offered[2]  # and then another tool, if there is a plan without it
    assert "grain" in offered[3]


def test_a_step_that_fails_is_learned_from() -> None:
    builder = Listening("remove the purple dragon", "brighten it")
    result = editor(Script(SUCCESS), builder).edit(PICTURE, "brighten it", rounds=1)
    assert result.verdict == SUCCESS
    assert "failed while it ran" in builder.asked[1].history[0]
    assert "segment" in builder.asked[1].history[0]


def test_where_every_round_fails_the_first_error_is_told() -> None:
    with pytest.raises(StepError, match="purple dragon"):
        editor(Script(), Listening("remove the purple dragon", "remove the green dragon")).edit(PICTURE, "x", rounds=1)


def test_a_builder_with_nothing_more_to_say_ends_the_rounds() -> None:
    class Once(Listening):
        def plan(self, request: Request) -> Plan:
            if self.asked:
                raise PlanError("nothing else comes to mind")
            return super().plan(request)

    result = editor(Script(failed()), Once()).edit(PICTURE, "brighten it", rounds=3)
    assert len(result.rounds) == 1
    with pytest.raises(PlanError, match="not understood"):
        editor(Script()).edit(PICTURE, "sing", rounds=3)


def test_who_cancels_gets_no_further_round() -> None:
    cancel = Cancel()

    class Stopping(Script):
        def review(self, review: Review) -> Verdict:
            cancel.cancel()
            return failed()

    with pytest.raises(CancelledError):
        editor(Stopping(), Listening("add grain", "blur it")).edit(PICTURE, "add grain", rounds=3, cancel=cancel)


def test_a_critic_that_is_not_there_costs_no_picture() -> None:
    class Gone(Script):
        def review(self, review: Review) -> Verdict:
            raise PlanError("the server does not answer")

    result = editor(Gone()).edit(PICTURE, "brighten it", rounds=2)
    assert result.verdict
    assert result.verdict.outcome == "missing"
    assert any("the server does not answer" in note for note in result.notes)
    assert result.image.digest != PICTURE.digest


def test_a_later_round_that_takes_too_long_leaves_the_earlier_one() -> None:
    class Late(Listening):
        def plan(self, request: Request) -> Plan:
            if self.asked:
                raise StepTimeoutError("too long")
            return super().plan(request)

    result = editor(Script(failed()), Late()).edit(PICTURE, "brighten it", rounds=3)
    assert len(result.rounds) == 1
    assert any("came to nothing: too long" in note for note in result.notes)


def test_another_builder_thinks_for_itself() -> None:
    class Talking(Listening):
        talker: Any = object()

    first = editor(Script())
    assert first.twin(Talking()).thinker.talker is Talking.talker
    assert first.twin().thinker is first.thinker


def test_words_alone_are_not_judged() -> None:
    critic = Script()
    result = editor(critic).edit(PICTURE, "describe the picture", rounds=2)
    assert result.texts
    assert not critic.seen


@pytest.mark.parametrize("rounds", [-1, 11])
def test_the_number_of_rounds_has_bounds(rounds: int) -> None:
    with pytest.raises(SettingsError, match="rounds"):
        editor(Script()).edit(PICTURE, "brighten it", rounds=rounds)
    with pytest.raises(SettingsError, match="rounds"):
        Settings.load({"rounds": rounds})


def test_every_round_is_in_the_trace_and_in_the_report(tmp_path: Path) -> None:
    critic = Script(refine("add <b>grain</b>"), failed("too <i>noisy</i>"), SUCCESS)
    builder = Listening("brighten it", "add grain", "add a vignette")
    result = editor(critic, builder).edit(PICTURE, "make it <u>nice</u>", rounds=2)
    events = list(result.trace.of(Reviewed))
    assert [(event.round, event.outcome) for event in events] == [(0, "refine"), (1, "failed"), (2, "success")]
    assert [event.picture for event in events] == [made.picture.digest for made in result.rounds]
    assert len(list(result.trace.of(Planned))) == 3
    page = result.report()
    assert "3 rounds" in page
    assert "still to be done: add &lt;b&gt;grain" in page
    assert "too &lt;i&gt;noisy" in page
    assert "<b>grain" not in page
    result.write(tmp_path / "out.png")
    again = lego.run(tmp_path / "out.png", PICTURE, seed=result.seed)
    assert again.image.digest == result.image.digest


def test_settings_make_rounds_for_everyone() -> None:
    critic = Script(failed(), SUCCESS)
    made = editor(critic, Listening("darken it", "brighten it"), rounds=1).edit(PICTURE, "brighten it")
    assert len(made.rounds) == 2


def test_feedback_about_a_tool_binds_the_next_plan() -> None:
    first = Editor("rules").edit(PICTURE, "brighten it")
    assert first.workflow.steps[0].tool == "exposure"
    with pytest.raises(LegoError) as caught:
        first.revise("never use exposure")
    assert caught.value.code in ("not_understood", "no_tool", "feedback")
    builder = Listening("brighten it", "increase the brightness")
    second = editor(Script(), builder).edit(PICTURE, "brighten it").revise("use brightness instead of exposure")
    assert [step.tool for step in second.workflow.steps] == ["brightness"]
    assert builder.asked[-1].feedback == ("use brightness instead of exposure",)
    assert "exposure" not in {tool.name for tool in builder.asked[-1].tools}
    assert "the user said of them: use brightness" in builder.asked[-1].past[-1]


def test_a_forbidden_order_is_no_valid_plan() -> None:
    pixels = np.full((80, 120, 3), 220, np.uint8)
    pixels[20:60, 30:70] = (200, 30, 40)
    first = Editor("rules").edit(Image(pixels), "remove the red box")
    assert [step.tool for step in first.workflow.steps] == ["segment", "remove"]
    with pytest.raises(PlanError, match="'segment' to be used before 'remove'"):
        first.revise("don't use segment before inpaint")


def test_any_other_feedback_is_one_more_wish_in_the_same_workflow() -> None:
    first = Editor("rules").edit(PICTURE, "brighten it")
    second = first.revise("add grain")
    assert second.instruction == "brighten it, then add grain"
    assert [step.tool for step in second.workflow.steps] == ["exposure", "grain"]
    third = second.revise("flip it")
    assert [step.tool for step in third.workflow.steps] == ["exposure", "grain", "flip"]
    assert first.image.digest != second.image.digest


def test_a_given_workflow_has_nobody_to_revise_it() -> None:
    flow = {"version": 1, "steps": [{"id": "s1", "tool": "flip", "args": {"image": "$image"}}], "result": "$s1"}
    with pytest.raises(PlanError, match="nobody planned"):
        lego.run(flow, PICTURE).revise("add grain")


def test_abstract_words_are_thought_about_once_and_kept_in_the_plan() -> None:
    builder = Listening()
    made = Editor(builder, critic=Script(failed(), SUCCESS))
    result = made.edit(PICTURE, "make it look like it was shot in 1975", rounds=1)
    assert len({request.instruction for request in builder.asked}) == 1
    assert "1975" not in builder.asked[0].instruction
    assert result.plan
    assert result.plan.concrete == builder.asked[0].instruction
    assert result.plan.concrete in result.plan.thought
    assert sum("was read as" in note for note in result.notes) == 1
    assert made.plan(PICTURE, "shot in 1975").concrete
    with pytest.raises(PlanError):
        Editor("rules", settings=Settings.load({"think": False})).plan(PICTURE, "shot in 1975")


def test_a_real_critic_mends_a_real_mistake() -> None:
    """A builder that misunderstands at first, and the pixels' own critic: the second round is right."""
    wrong: list[str] = ["darken the picture", "brighten the picture"]
    result = Editor(Listening(*wrong), critic="pixels").edit(PICTURE, "brighten the picture", rounds=2)
    assert [made.verdict.outcome for made in result.rounds if made.verdict] == ["failed", "success"]
    assert result.image.pixels.mean() > PICTURE.pixels.mean()


def test_a_broken_tool_is_left_for_another() -> None:
    """A deterministic tool that does the opposite is found out, and the rules find another way to say the same."""
    registry = default.copy()
    calls: list[str] = []

    def opposite(image: Image, mask: Mask | None = None, exposure: float = 0.5) -> Image:
        calls.append("exposure")
        return Image((image.pixels // 2).astype(np.uint8))

    registry.add(_broken("exposure", opposite))
    result = Editor(Listening("brighten it", "increase the brightness", "increase the brightness"), critic="pixels",
                    registry=registry).edit(PICTURE, "brighten it", rounds=2)  # fmt: skip
    assert calls == ["exposure"]
    assert result.verdict
    assert result.verdict.outcome == "success"


def _broken(name: str, function: Callable[..., Image]) -> Any:
    import copy
    from dataclasses import replace

    tool = copy.copy(default[name])
    tool.engines = {key: replace(engine, function=function, version="broken") for key, engine in tool.engines.items()}
    return tool
