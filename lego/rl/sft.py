"""Stage one, imitation: TRL's SFTTrainer over tasks and the answers that a teacher would give.

For a model of a few million parameters TRL spends more than half of the time around the network. Three parts are done
otherwise here: the collator takes one call of the processor a batch, right-padded batches go without an attention mask
(causal attention needs none, and without it the fast kernel runs), and only labelled positions meet the LM head.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
from trl import SFTConfig, SFTTrainer

from lego.builder.planning import seen
from lego.builder.pointing import hidden
from lego.core.registry import Registry
from lego.rl import supply
from lego.rl.checkpoint import Learner
from lego.rl.optimizer import muon
from lego.rl.recipe import Recipe, Stage
from lego.rl.stage import Keeping, Watch, adapters, arguments, watched

SHAPE = 8  # lengths are multiples of it: fewer shapes, for which oneDNN compiles each anew
UNMASKED = ("mm_token_type_ids", "token_type_ids", "image_grid_thw", "pixel_attention_mask")  # models that need a mask


def trainer(recipe: Recipe, learner: Learner, registry: Registry, out: Path, watch: Watch, start: int = 0) -> Any:
    """Return the trainer of the first stage; ``start`` is the step that it goes on from."""
    sft = recipe.sft

    own = {"per_device_train_batch_size": sft.batch, "dataloader_num_workers": recipe.workers}
    config = SFTConfig(**arguments(recipe, "sft", sft, out, **own), completion_only_loss=True, max_length=None)

    def rows() -> Iterator[dict[str, Any]]:
        size, done = sft.batch * sft.bucket, start * sft.batch * sft.accumulate * config.world_size
        found = supply.examples(sft.data, registry, learner.form, done // size, size)
        ordered = supply.sorted_by_length(found, sft.batch, sft.bucket, recipe.seed)
        for number, example in enumerate(ordered):
            if number >= done % size:
                yield row(example, sft.hidden)

    made = Sft(
        model=learner.model,
        args=config,
        train_dataset=supply.stream(rows),
        data_collator=Collator(learner.processor),
        processing_class=learner.processor,
        peft_config=adapters(recipe.lora),
        optimizer_cls_and_kwargs=(muon, own_rates(sft)) if sft.optimizer == "muon" else None,
    )
    return watched(made, watch)


def own_rates(sft: Stage) -> dict[str, Any]:
    """What the optimizer is made with."""
    return {"lr": sft.lr, "weight_decay": sft.decay, "betas": sft.betas}


def row(example: supply.Example, share: float = 0.0) -> dict[str, Any]:
    """Return an example as TRL's vision data has it, with a share of its words hidden."""
    return {
        "prompt": [{"role": "user", "content": hidden(example.prompt, share, Random(example.prompt))}],
        "completion": [{"role": "assistant", "content": example.answer}],
        "image": seen(example.task.request.image) if getattr(example.task, "pictured", True) else None,
    }


class Sft(Keeping, SFTTrainer):  # type: ignore[misc]  # TRL has no types
    """SFTTrainer whose loss asks the LM head at labelled positions only."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean loss of the labelled tokens; the share of them that the network has right is a metric."""
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        at = torch.zeros_like(labels, dtype=torch.bool)
        at[:, :-1] = labels[:, 1:] != -100
        targets = labels[:, 1:][at[:, :-1]]
        logits = model(**inputs, at=at).float()
        count = len(targets) if num_items_in_batch is None else num_items_in_batch
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum") / count
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes
        mode = "train" if self.model.training else "eval"
        right = (logits.detach().argmax(-1) == targets).float().mean()
        self._metrics[mode]["mean_token_accuracy"].append(right.item())
        return (loss, logits) if return_outputs else loss


class Collator:
    """Makes a batch: prompts with their pictures, answers, labels for the answers alone.

    Prompt and answer are tokenised apart, as they are when the model plans.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the batch."""
        encoded = encode(self.processor, [r["prompt"][0]["content"] for r in rows], [r["image"] for r in rows])
        answers = [r["completion"][0]["content"] + self.tokenizer.eos_token for r in rows]
        spoken = self.tokenizer(answers, add_special_tokens=False)["input_ids"]
        prompts = [ids[mask] for ids, mask in zip(encoded["input_ids"], encoded["attention_mask"].bool(), strict=True)]
        length = max(len(a) + len(b) for a, b in zip(prompts, spoken, strict=True))
        length += -length % SHAPE
        batch = {k: v for k, v in encoded.items() if k not in ("input_ids", "attention_mask")}
        ids = torch.full((len(rows), length), self.tokenizer.pad_token_id)
        labels = torch.full((len(rows), length), -100)
        mask = torch.zeros((len(rows), length), dtype=torch.long)
        for n, (prompt, answer) in enumerate(zip(prompts, spoken, strict=True)):
            end = len(prompt) + len(answer)
            ids[n, : len(prompt)] = prompt
            ids[n, len(prompt) : end] = labels[n, len(prompt) : end] = torch.tensor(answer)
            mask[n, :end] = 1
        for name in ("mm_token_type_ids", "token_type_ids"):
            if name in batch:
                batch[name] = _spread(batch[name], encoded["attention_mask"].bool(), length)
        batch |= {"input_ids": ids, "labels": labels}
        return batch | {"attention_mask": mask} if any(name in batch for name in UNMASKED) else batch


def encode(processor: Any, prompts: list[str], images: list[Any]) -> dict[str, Any]:
    """Return prompts with their pictures as tensors, padded on the left.

    Args:
        prompts: what the user says, to which the chat template adds the picture.
        images: Pillow pictures, one a prompt; None for all of them leaves the pictures out.
    """
    pictured = images[0] is not None
    texts = [chat(processor, prompt, pictured) for prompt in prompts]
    return dict(
        processor(
            images=[[image] for image in images] if pictured else None,
            text=texts,
            padding=True,
            padding_side="left",
            return_tensors="pt",
            add_special_tokens=False,
        )
    )


def chat(processor: Any, prompt: str, pictured: bool = True) -> str:
    """Return a prompt in the chat template's words, up to where the model begins."""
    content = [*[{"type": "image"}] * pictured, {"type": "text", "text": prompt}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    return str(text)


def _spread(values: Any, mask: Any, length: int) -> Any:
    """Shift left-padded values to the left, and fill up with 0."""
    made = values.new_zeros((len(values), length))
    for n, (row, there) in enumerate(zip(values, mask, strict=True)):
        made[n, : int(there.sum())] = row[there]
    return made
