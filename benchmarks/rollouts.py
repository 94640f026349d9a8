"""How many answers a second are rolled out: under the grammar as this school does it, and by TRL's own generation.

    python benchmarks/rollouts.py [FOLDER]

Both answer the same tasks with the same network, 8 prompts x 8 answers, one thread. Without a folder the network is a
nano builder that knows nothing. Its free answers would never end, so TRL's are as long as the longest of ours in the
batch (with plain generation a batch runs until its longest answer ends); their prompts run once for each answer.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from lego.builder.local import inputs_of
from lego.core.registry import registry
from lego.rl import supply
from lego.rl.checkpoint import Learner, open_learner
from lego.rl.recipe import Recipe
from lego.rl.rollouts import roll

PROMPTS, GROUP, ROUNDS, MOST = 8, 8, 6, 64


def main() -> None:
    """Print the two rates."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    recipe = Recipe.load("nano")
    with tempfile.TemporaryDirectory() as folder:
        start = Path(sys.argv[1]) if sys.argv[1:] else None
        learner = open_learner(recipe, start, Path(folder) / "start", registry)
        learner.model.eval()
        tasks = itertools.islice(supply.tasks(recipe.grpo_gt.data, registry), PROMPTS * (ROUNDS + 1))
        rounds = [list(itertools.islice(tasks, PROMPTS)) for _ in range(ROUNDS + 1)]
        ours = theirs = 0.0
        tokens = forced = 0
        for number, tasks_of_round in enumerate(rounds):
            requests = [task.request for task in tasks_of_round]
            begun = time.process_time()
            found = roll(learner.checkpoint, requests, GROUP, 1.0, number, MOST)
            mine = time.process_time() - begun
            longest = max(len(completion.ids) for completion in found)
            begun = time.process_time()
            _plain(learner, requests, longest)
            if number:  # the first round warms up
                ours, theirs = ours + mine, theirs + time.process_time() - begun
                tokens += sum(len(completion.ids) for completion in found)
                forced += sum(completion.free.count(False) for completion in found)
    answers = ROUNDS * PROMPTS * GROUP
    print(f"{answers} answers, {tokens / answers:.1f} tokens each, {forced / tokens:.0%} of them forced")
    print(f"under the grammar  {answers / ours:6.1f} answers a core-second")
    print(f"TRL's generation   {answers / theirs:6.1f}")


def _plain(learner: Learner, requests: list[Any], length: int) -> Any:
    """As TRL's GRPOTrainer does it: every answer with a prompt of its own, token by token, without a grammar."""
    repeated = [request for request in requests for _ in range(GROUP)]
    inputs = inputs_of(learner.checkpoint, repeated)
    config = GenerationConfig(
        max_new_tokens=length, min_new_tokens=length, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
        pad_token_id=learner.tokenizer.pad_token_id, eos_token_id=learner.tokenizer.eos_token_id,
        suppress_tokens=[learner.model.config.image_token_id],
    )  # fmt: skip
    with torch.no_grad():
        return learner.model.generate(**inputs, generation_config=config)


if __name__ == "__main__":
    main()
