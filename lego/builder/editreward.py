"""EditReward, a reward model for edits (arXiv 2509.26346): one number without a scale, which ranks results."""

from __future__ import annotations

import importlib
import math
import tempfile
from pathlib import Path
from typing import Any

from lego.builder.base import Review
from lego.builder.verdict import HIGHEST, Scores, Verdict
from lego.core.errors import SettingsError

KIND = "editreward"
PLACES = (  # of the model's class, by the generation of Qwen-VL under it; the newer one first
    ("EditReward.inference_qwen3_vl_edit", "EditRewardQwen3Inferencer"), ("EditReward", "EditRewardInferencer"),
)  # fmt: skip


class Ranker:
    """EditReward as a critic: it never accepts a result, so that all rounds are made, and the best of them is taken.

    The score of success is 10 / (1 + e^-reward), which keeps the order of rewards; the other scores are 10.

    Args:
        engine: an inferencer of the package `EditReward`, or anything with its ``reward``.
        name: of the model.
    """

    def __init__(self, engine: Any, name: str) -> None:
        self.engine, self.name = engine, name

    @classmethod
    def open(cls, text: str) -> Ranker:
        """Load ``editreward:CONFIG#CHECKPOINT``, the paths of its configuration (YAML) and of its weights.

        Raises:
            SettingsError: the package is not installed, or a path is missing.
        """
        config, _, checkpoint = text.removeprefix(f"{KIND}:").partition("#")
        if not config or not checkpoint:
            hint = "say which: editreward:CONFIG.yaml#CHECKPOINT"
            raise SettingsError(
                "EditReward needs a configuration and weights", where=text, hint=hint, code="which_model"
            )
        for place, name in PLACES if "qwen3" in config.lower() else PLACES[::-1]:
            try:
                kind = getattr(importlib.import_module(place), name)
            except (ImportError, AttributeError):
                continue
            options = {"reward_dim": "overall_detail", "rm_head_type": "ranknet_multi_head"}
            return cls(kind(config_path=config, checkpoint_path=checkpoint, device=_device(), **options), text)
        hint = "install it from its repository, TIGER-AI-Lab/EditReward"
        raise SettingsError("EditReward is not installed", where=text, hint=hint, code="not_installed")

    def review(self, review: Review) -> Verdict:
        """Rank a result; see `lego.builder.critic.Critic.review`."""
        with tempfile.TemporaryDirectory() as folder:
            before, after = (str(Path(folder) / name) for name in ("before.png", "after.png"))
            review.before.save(before)
            review.after.save(after)
            found = self.engine.reward(prompts=[review.instruction], image_src=[before], image_paths=[after])[0]
        reward = float(found[0]) if hasattr(found, "__len__") else float(found)
        if not math.isfinite(reward):
            return Verdict("missing", f"'{self.name}' gave no number")
        scores = Scores(HIGHEST / (1 + math.exp(-max(-50.0, min(50.0, reward)))), HIGHEST, HIGHEST, HIGHEST)
        return Verdict("failed", f"a reward of {reward:+.3f}: it ranks results and accepts none", scores=scores)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
