"""Stages two and three, reinforcement: TRL's GRPOTrainer, with rollouts, probabilities and losses under the grammar.

Under a grammar most tokens are forced. TRL would roll them out one by one and train on the probabilities of choices
that the model never had. Here

- rollouts come from `lego.builder.decode`: a prompt runs once for its group, forced runs are not asked for;
- log-probabilities of policy, old policy and reference are taken over the allowed tokens, and at free places only;
- forced tokens carry no loss and do not count for its mean;
- answers of groups that agree on a reward are left out before the network sees them, and answers that are the same
  are seen once and count as often as they were given.

With vLLM the grammar is off and TRL's own ways are used.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from trl import GRPOConfig, GRPOTrainer
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.utils import split_pixel_values_by_grid, unsplit_pixel_values_by_grid

from lego.builder.frame import seen
from lego.builder.local import Checkpoint, inputs_of, text_of
from lego.core.registry import Registry
from lego.rl import supply
from lego.rl.checkpoint import Learner
from lego.rl.env import Environment, Judged
from lego.rl.head import add_head, base_of
from lego.rl.recipe import Grpo, Recipe, Vllm
from lego.rl.rollouts import choices, roll
from lego.rl.stage import Keeping, Watch, adapters, arguments, watched

WINDOW = 64  # tasks of the supply that depend on one seed
MUTE = 1e-3  # an advantage that is none: a group that agrees has 0 but for rounding


def trainer(
    recipe: Recipe, name: str, learner: Learner, registry: Registry, out: Path, watch: Watch, start: int = 0
) -> Any:
    """Return the trainer of stage "grpo_gt" or "grpo_free"; ``start`` is the step that it goes on from."""
    stage = recipe.stages[name]
    assert isinstance(stage, Grpo)
    environment = Environment(learner.form, registry, stage, recipe.reward_threads, recipe.reward_backend)
    config = _config(recipe, name, stage, out)
    done = start * stage.prompts * stage.accumulate * config.world_size

    def rows() -> Iterator[dict[str, Any]]:
        for number, task in enumerate(_usable(stage, registry, done // WINDOW)):
            if number >= done % WINDOW:
                prompt = [{"role": "user", "content": learner.form.prompt(task.request)}]
                yield {"prompt": prompt, "image": seen(task.request.image), "task": _Held(task)}

    made = Reinforcement(
        learner.checkpoint,
        environment,
        stage,
        model=learner.model,
        args=config,
        reward_funcs=_reward(name, environment, learner.checkpoint),
        train_dataset=supply.stream(rows),
        processing_class=learner.processor,
        peft_config=adapters(recipe.lora),
    )
    return watched(made, watch)


@dataclass(frozen=True)
class _Held:
    """A task in a row of TRL's data, which it copies deeply for every answer: all the tools' cards, ten times over."""

    task: supply.Task

    def __deepcopy__(self, memo: Any) -> _Held:
        return self


def _usable(stage: Grpo, registry: Registry, window: int) -> Iterator[supply.Task]:
    """The tasks that a stage can judge: a right plan is known, or else all tools can run (no made-up ones)."""
    free = "free" in stage.weights

    def accept(task: supply.Task) -> supply.Task | None:
        fit = all(tool.name in registry for tool in task.request.tools) if free else not getattr(task, "open", False)
        return task if fit else None

    return supply.drawn(stage.data, registry, accept, window, WINDOW)


def _config(recipe: Recipe, name: str, stage: Grpo, out: Path) -> GRPOConfig:
    answers = stage.prompts * stage.group
    passes = max(1, answers // (stage.minibatch or answers)) * stage.accumulate
    own = {
        "per_device_train_batch_size": stage.minibatch or answers,
        "gradient_accumulation_steps": passes,
        "steps_per_generation": passes,
        "num_generations": stage.group,
        "max_completion_length": stage.max_tokens,
        "temperature": stage.temperature,
        "beta": stage.beta,
        "epsilon": stage.epsilon,
        "epsilon_high": stage.epsilon_high,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "shuffle_dataset": False,  # the supply is random already, and a shuffled stream could not begin anywhere
        **_served(recipe.vllm),
    }
    return GRPOConfig(**{**arguments(recipe, name, stage, out), **own})


def _served(vllm: Vllm | None) -> dict[str, Any]:
    if vllm is None:
        return {"use_vllm": False}
    more = {"vllm_server_base_url": vllm.url} if vllm.mode == "server" else {"vllm_gpu_memory_utilization": vllm.memory}
    return {"use_vllm": True, "vllm_mode": vllm.mode, **more}


def _reward(name: str, environment: Environment, checkpoint: Checkpoint) -> Any:
    """The reward as TRL wants it: a function of a batch, whose name stands in the logs."""

    def reward(completion_ids: Sequence[Any], task: Sequence[Any], log_metric: Any, **more: Any) -> list[float | None]:
        texts = [text_of(checkpoint, tuple(ids)) for ids in completion_ids]
        found = environment.judge([held.task for held in task], texts)
        for term, value in means(found).items():
            log_metric(term, value)
        return [judged.total for judged in found]

    reward.__name__ = name
    return reward


def means(found: Sequence[Judged]) -> dict[str, float]:
    """Return the mean of each term over the answers that have it, and the share of each kind of failure."""
    terms: dict[str, list[float]] = {}
    for judged in found:
        for name, value in judged.terms.items():
            terms.setdefault(f"terms/{name}", []).append(value)
    failed: dict[str, float] = {}
    for judged in found:
        if judged.reason:
            kind = f"failures/{judged.reason.partition(':')[0][:40]}"
            failed[kind] = failed.get(kind, 0.0) + 1 / len(found)
    return {name: sum(values) / len(values) for name, values in terms.items()} | failed


class Reinforcement(Keeping, GRPOTrainer):  # type: ignore[misc]  # TRL has no types
    """GRPOTrainer under the grammar; see the module."""

    def __init__(self, checkpoint: Checkpoint, environment: Environment, stage: Grpo, **more: Any) -> None:
        self.checkpoint, self.environment, self.stage = checkpoint, environment, stage
        self._tasks: list[supply.Task] = []
        self._free: list[tuple[bool, ...]] = []  # of the answers being judged: which tokens were choices
        self._places: Any = None  # answers x places: rows of the table, -1 where nothing was chosen
        self._table: Any = None  # allowed tokens as packed bits
        self._leans: Any = None  # what is added to their logits
        super().__init__(**more)
        add_head(base_of(self.accelerator.unwrap_model(self.model)))
        if self.ref_model is not None:
            add_head(base_of(self.accelerator.unwrap_model(self.ref_model)))

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._tasks = [example["task"].task for example in inputs]
        torch.manual_seed(self._seed)  # TRL shuffles the answers: a resumed step must sum them in the same order
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.use_vllm:
            return batch
        batch["places"] = self._places
        batch |= _once(batch, self.num_generations)
        loud = batch["advantages"].abs() > MUTE
        counted = (batch["completion_mask"] * batch["tool_mask"])[loud].sum()
        batch["num_items_in_batch"] = self.accelerator.gather(counted).sum()
        return batch

    @property
    def _seed(self) -> int:
        """Of this step in this process."""
        return zlib.crc32(f"{self.args.seed} {self.state.global_step} {self.accelerator.process_index}".encode())

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        """Tokenise each prompt once, however many answers it gets."""
        if self.use_vllm:
            return super()._tokenize_prompts(prompts)
        images = [[part["image"] for part in prompt[0]["content"] if part["type"] == "image"] for prompt in prompts]
        read = inputs_of(self.checkpoint, [task.request for task in self._tasks[:: self.num_generations]])
        mask = read.get("attention_mask", torch.ones_like(read["input_ids"])).bool()
        ids = [row[there].tolist() for row, there in zip(read["input_ids"], mask, strict=True)]
        return [ids[number // self.num_generations] for number in range(len(prompts))], images, {}

    def _generate_single_turn(self, prompt_ids: list[Any], images: Any, fields: Any, count: int, *more: Any) -> Any:
        if self.use_vllm:
            return super()._generate_single_turn(prompt_ids, images, fields, count, *more)
        with unwrap_model_for_generation(
            self.model_wrapped, self.accelerator, gather_deepspeed3_params=self.args.ds3_gather_for_generation
        ) as model:
            checkpoint = Checkpoint(model, self.processing_class, self.checkpoint.constraint, self.checkpoint.form)
            requests = [task.request for task in self._tasks[::count]]
            found = roll(checkpoint, requests, count, self.stage.temperature, self._seed, self.stage.max_tokens)
        self._free = [completion.free for completion in found]
        made, device = choices(found), self.accelerator.device
        self._places, self._table, self._leans = (
            torch.from_numpy(part).to(device) for part in (made.places, made.table, made.leans)
        )
        return [list(completion.ids) for completion in found], None

    def _generate(self, prompts: list[Any]) -> Any:
        """As TRL's, but what was forced is marked as not the model's own, as answers of tools are in TRL."""
        ids, answers, masked, *rest = super()._generate(prompts)
        return (ids, answers, masked if self.use_vllm else [list(map(int, free)) for free in self._free], *rest)

    def _get_per_token_logps_and_entropies(self, model: Any, *given: Any, **more: Any) -> Any:
        if not self.use_vllm:
            model = _UnderGrammar(model, self._places, self._table, self._leans, self.temperature)
        return super()._get_per_token_logps_and_entropies(model, *given, **more)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        if not self.use_vllm:
            inputs = _without_mute(inputs) if self.accelerator.num_processes == 1 else _silenced(inputs)
            self._places = inputs.pop("places")
        return super()._compute_loss(model, inputs)


class _UnderGrammar:
    """Stands for a network whose logits are asked at free places, among the allowed tokens.

    TRL cuts a batch into parts and calls it with each, in order; pictures are already cut to the part.
    """

    def __init__(self, model: Any, places: Any, table: Any, leans: Any, temperature: float) -> None:
        self.model, self.places, self.table, self.temperature = model, places, table, temperature
        self.leans = leans
        self.row = 0

    def __call__(self, input_ids: Any, labels: Any = None, fused_lm_head: bool = True, **inputs: Any) -> Any:
        """Return log-probabilities and entropies of the tokens after the first, 0 where nothing was chosen."""
        rows, length = input_ids.shape
        places = self.places[self.row : self.row + rows]
        self.row += rows
        at = torch.zeros((rows, length), dtype=torch.bool, device=input_ids.device)
        at[:, length - places.shape[1] - 1 : length - 1] = places >= 0
        rows_of_table = places[places >= 0]
        logits = self.model(input_ids=input_ids, **inputs, at=at).float()
        if self.leans.numel():
            more = logits.new_zeros((len(self.table), logits.shape[-1]))
            more[self.leans[0].long(), self.leans[1].long()] = self.leans[2].to(logits.dtype)
            logits = logits + more[rows_of_table]
        logits = logits / self.temperature
        allowed = unpacked(self.table[rows_of_table], logits.shape[-1])
        scores = torch.log_softmax(logits.masked_fill(~allowed, -torch.inf), -1)
        tokens = input_ids[:, 1:][at[:, :-1]]
        said = scores.gather(1, tokens[:, None])[:, 0]
        plain = scores.detach().masked_fill(~allowed, 0.0)
        unsure = -(plain.exp() * plain * allowed).sum(-1)
        blank = scores.new_zeros((rows, length - 1))
        logps, entropies = blank.masked_scatter(at[:, :-1], said), blank.masked_scatter(at[:, :-1], unsure)
        return SimpleNamespace(log_probs=logps, entropy=entropies, aux_loss=None)


def unpacked(table: Any, width: int) -> Any:
    """Return packed bits (rows x bytes, the lowest bit first) as booleans (rows x width)."""
    bits = torch.arange(8, dtype=torch.uint8, device=table.device)
    return ((table[:, :, None] >> bits) & 1).bool().flatten(1)[:, :width]


def _silenced(inputs: dict[str, Any]) -> dict[str, Any]:
    """Keep the answers without an advantage, but without loss: TRL gathers metrics of equally many from all."""
    loud = inputs["advantages"].abs() > MUTE
    return {**inputs, "tool_mask": inputs["tool_mask"] * loud[:, None]}


def _once(batch: dict[str, Any], group: int) -> dict[str, Any]:
    """The batch's advantages and masks with answers to a prompt that are the same, and worth the same, told once.

    The tokens of the first count as often as it was given; the others have no advantage.
    """
    prompts = torch.arange(len(batch["advantages"]), device=batch["advantages"].device) // group
    answers = torch.column_stack([prompts, batch["completion_ids"], batch["advantages"].double()])
    places: dict[tuple[float, ...], list[int]] = {}
    for place, answer in enumerate(answers.tolist()):
        places.setdefault(tuple(answer), []).append(place)
    advantages, mask = batch["advantages"].clone(), batch["tool_mask"].clone()
    for first, *others in places.values():
        mask[first] *= 1 + len(others)
        advantages[others] = 0
    return {"advantages": advantages, "tool_mask": mask}


def _without_mute(inputs: dict[str, Any]) -> dict[str, Any]:
    """Leave out the answers without an advantage; at least one stays, so that every process has a pass to make."""
    loud = inputs["advantages"].abs() > MUTE
    if loud.all():
        return dict(inputs)
    keep = loud.nonzero().squeeze(1) if loud.any() else torch.zeros(1, dtype=torch.long, device=loud.device)
    rows = len(loud)
    parts = split_pixel_values_by_grid(dict(inputs))
    kept: dict[str, Any] = {}
    for name, value in parts.items():
        if isinstance(value, torch.Tensor) and value.dim() and value.shape[0] == rows:
            kept[name] = value[keep]
        elif isinstance(value, list) and len(value) == rows:
            kept[name] = [value[n] for n in keep.tolist()]
        else:
            kept[name] = value
    return dict(unsplit_pixel_values_by_grid(kept))
