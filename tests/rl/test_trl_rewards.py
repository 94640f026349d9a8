"""Rewards as TRL calls them."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.core.errors import TrainingError
from lego.rl.rewards import Reward
from lego.rl.trl_rewards import for_trl


def length(completion: str, instruction: str = "") -> Reward | None:
    return None if instruction == "skip" else Reward(len(completion) / 10, {"letters": float(len(completion))})


def test_a_batch_is_judged_sample_by_sample_and_a_missing_one_is_none() -> None:
    reward = for_trl(length)
    assert reward.__name__ == "length"
    found = reward(
        prompts=["a", "b", "c"],
        completions=["12345", "x", ""],
        completion_ids=[[1], [2], [3]],
        instruction=["go", "skip", "go"],
        trainer_state=object(),
        log_extra=print,
    )
    assert found == [0.5, None, 0.0]
    assert reward(["a"], ["12"]) == [0.2]
    assert reward([], []) == []


def test_chats_and_messages_in_parts_are_read_as_text() -> None:
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "1234"}]
    parts = [{"role": "assistant", "content": [{"type": "text", "text": "12"}, {"type": "image"}]}]
    nothing: list[Any] = [{"role": "assistant", "content": None, "tool_calls": []}]
    assert for_trl(length)([None] * 4, [chat, parts, nothing, []]) == [0.4, 0.2, 0.0, 0.0]


def test_what_the_parameters_name_is_handed_in() -> None:
    def seen(prompt: str, completion: str, completion_ids: list[int], **rest: Any) -> float:
        assert not rest
        return float(len(completion_ids)) if (prompt, completion) == ("p", "c") else -1.0

    assert for_trl(seen)(["p"], ["c"], completion_ids=[[7, 8]], other=[1]) == [2.0]


def test_terms_are_logged_as_means() -> None:
    logged: dict[str, float] = {}
    for_trl(length, "long")(["", ""], ["1234", "12"], log_metric=logged.__setitem__)
    assert logged == {"long/letters": 3.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float32("nan"), "much", Reward(math.nan, {})])
def test_a_reward_that_is_no_number_stops_the_training_and_says_which(bad: Any) -> None:
    def broken(completion: str) -> Any:
        return bad if completion == "b" else 1.0

    with pytest.raises(TrainingError, match="broken, sample 2: the reward is") as caught:
        for_trl(broken)([""] * 3, ["a", "b", "c"])
    assert caught.value.code == "bad_reward"
    assert caught.value.where == "broken, sample 2"
    assert pickle.loads(pickle.dumps(caught.value)).where == "broken, sample 2"


def test_a_column_that_is_missing_or_of_another_length_is_named() -> None:
    def needy(completion: str, workflow: str) -> float:
        return 1.0

    with pytest.raises(TrainingError, match="needy: there is no column 'workflow'") as caught:
        for_trl(needy)([""], ["a"])
    assert caught.value.code == "missing_column"
    with pytest.raises(TrainingError, match="2 values for 1 completions"):
        for_trl(needy)([""], ["a"], workflow=["x", "y"])


@pytest.mark.filterwarnings("ignore::FutureWarning")  # transformers warns of names that TRL still uses
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_trainer_of_trl_takes_it(tmp_path: Path, tiny_model: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    options = GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, num_generations=2, max_completion_length=8,
        max_steps=1, report_to=[], logging_steps=1, use_cpu=True, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    data = Dataset.from_dict({"prompt": ["hello", "you"], "instruction": ["go", "skip"]})
    model, tokenizer = (kind.from_pretrained(tiny_model) for kind in (AutoModelForCausalLM, AutoTokenizer))
    trainer = GRPOTrainer(model, for_trl(length), args=options, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert 0 <= logged["rewards/length/mean"] <= 0.8  # of those that were not left out
    assert math.isfinite(logged["rewards/length/mean"])
    assert logged["length/letters"] == pytest.approx(10 * logged["rewards/length/mean"])
