"""Stage one, imitation: TRL's SFTTrainer over tasks and the answers that a teacher would give.

For a model of a few million parameters TRL spends more than half of the time around the network. Three parts are done
otherwise here: the collator takes one call of the processor a batch, right-padded batches go without an attention mask
(causal attention needs none, and without it the fast kernel runs), and only labelled positions meet the LM head.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from trl import SFTConfig, SFTTrainer

from lego.builder.frame import seen
from lego.builder.prompt import Form
from lego.builder.spelling import TOKEN
from lego.core.registry import Registry
from lego.rl import recipe as recipes
from lego.rl import supply
from lego.rl.checkpoint import Learner
from lego.rl.optimizer import muon
from lego.rl.recipe import Recipe, Stage
from lego.rl.stage import Keeping, Watch, adapters, arguments, watched

SHOWN = re.compile(r"(?<=>)[^<>]+(?=<w_\d+>)")  # a word of the user in a prompt of `lego.builder.pointing`
SHAPE = 8  # lengths are multiples of it: fewer shapes, for which oneDNN compiles each anew
UNMASKED = ("mm_token_type_ids", "token_type_ids", "image_grid_thw", "pixel_attention_mask")  # models that need a mask


def trainer(recipe: Recipe, learner: Learner, registry: Registry, out: Path, watch: Watch, start: int = 0) -> Any:
    """Return the trainer of the first stage; ``start`` is the step that it goes on from."""
    sft = recipe.sft

    def rows(processes: int) -> Iterator[dict[str, Any]]:
        size, done = sft.batch * sft.bucket, start * sft.batch * sft.accumulate * processes
        found = supply.examples(sft.data, registry, learner.form, done // size, size)
        ordered = supply.sorted_by_length(found, sft.batch, sft.bucket, recipe.seed)
        for number, example in enumerate(ordered):
            if number >= done % size:
                yield row(example, learner.form, sft.hidden)

    rates = (muon, own_rates(sft)) if sft.optimizer == "muon" else None
    return made(recipe, "sft", sft, learner, rows, out, watch, optimizer_cls_and_kwargs=rates)


def made(
    recipe: Recipe,
    name: str,
    stage: recipes.Sft | recipes.Reason,
    learner: Learner,
    rows: Callable[[int], Iterator[dict[str, Any]]],
    out: Path,
    watch: Watch,
    **more: Any,
) -> Any:
    """Return a trainer of a stage of imitation over rows without end; ``rows`` is told the number of processes."""
    own = {"per_device_train_batch_size": stage.batch, "dataloader_num_workers": recipe.workers}
    config = SFTConfig(**arguments(recipe, name, stage, out, **own), completion_only_loss=True, max_length=None)
    trained = Sft(
        model=learner.model,
        args=config,
        train_dataset=supply.stream(lambda: rows(config.world_size)),
        data_collator=Collator(learner.processor),
        processing_class=learner.processor,
        peft_config=adapters(recipe.lora),
        **more,
    )
    return watched(trained, watch)


def own_rates(sft: Stage) -> dict[str, Any]:
    """What the optimizer is made with."""
    return {"lr": sft.lr, "weight_decay": sft.decay, "betas": sft.betas}


def row(example: supply.Example, form: Form, share: float = 0.0) -> dict[str, Any]:
    """Return an example as TRL's vision data has it, with a share of its words hidden.

    ``lean`` are the additions of the form (`lego.builder.prompt.Form.lean`): number of the answer's token, token, more.
    """
    lean = form.lean(example.task.request)
    said = TOKEN.findall(example.answer) if lean else []
    return {
        "lean": [
            (n, token, more) for n in range(1, len(said)) for token, more in (lean(said[:n]) if lean else {}).items()
        ],
        "prompt": [{"role": "user", "content": hidden(example.prompt, share, Random(example.prompt))}],
        "completion": [{"role": "assistant", "content": example.answer}],
        "images": [seen(example.task.request.image)] if getattr(example.task, "pictured", True) else [],
    }


def hidden(prompt: str, share: float, random: Random) -> str:
    """Return a prompt with a share of the user's words hidden, each with its number left.

    Whoever cannot rely on every word learns to weigh all of them, and the hints.
    """
    return SHOWN.sub(lambda found: "<unk>" if random.random() < share else found[0], prompt)


class Sft(Keeping, SFTTrainer):  # type: ignore[misc]  # TRL has no types
    """SFTTrainer whose loss asks the LM head at labelled positions only."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean loss of the labelled tokens; the share of them that the network has right is a metric."""
        inputs = dict(inputs)
        labels, leans = inputs.pop("labels"), inputs.pop("leans", None)
        at = torch.zeros_like(labels, dtype=torch.bool)
        at[:, :-1] = labels[:, 1:] != -100
        targets = labels[:, 1:][at[:, :-1]]
        logits = model(**inputs, at=at).float()
        if leans is not None:
            logits = leaned(logits, at, leans)
        count = len(targets) if num_items_in_batch is None else num_items_in_batch
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum") / count
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes
        mode = "train" if self.model.training else "eval"
        right = (logits.detach().argmax(-1) == targets).float().mean()
        self._metrics[mode]["mean_token_accuracy"].append(right.item())
        return (loss, logits) if return_outputs else loss


def leaned(logits: Any, at: Any, leans: Any) -> Any:
    """Add what a form adds.

    Args:
        logits: of the positions in a mask, positions x tokens.
        at: the mask, examples x length.
        leans: position, token, addition; examples x additions x 3, filled up with zeros.
    """
    rows, length = at.shape
    order = at.flatten().cumsum(0) - 1
    first = torch.arange(rows, device=at.device)[:, None] * length
    places = order[(first + leans[..., 0].long()).flatten()].clamp(min=0)
    more = torch.zeros_like(logits)
    more.index_put_((places, leans[..., 1].long().flatten()), leans[..., 2].to(logits.dtype).flatten(), accumulate=True)
    return logits + more


class Collator:
    """Makes a batch: prompts with their pictures, answers, labels for the answers alone.

    Prompt and answer are tokenised apart, as they are when the model plans.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the batch."""
        encoded = encode(self.processor, [r["prompt"][0]["content"] for r in rows], [r["images"] for r in rows])
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
        if any(r.get("lean") for r in rows):
            batch["leans"] = self._leans([r["lean"] for r in rows], [len(prompt) for prompt in prompts])
        return batch | {"attention_mask": mask} if any(name in batch for name in UNMASKED) else batch

    def _leans(self, found: Sequence[Sequence[tuple[int, str, float]]], prompts: Sequence[int]) -> Any:
        """What is added to the logits that are asked for the token after a position; see `leaned`."""
        leans = torch.zeros((len(found), max(map(len, found)), 3), dtype=torch.float32)
        for n, (own, prompt) in enumerate(zip(found, prompts, strict=True)):
            if own:
                ids = self.tokenizer.convert_tokens_to_ids([token for _, token, _ in own])
                parts = [(prompt + place - 1, id, more) for (place, _, more), id in zip(own, ids, strict=True)]
                leans[n, : len(own)] = torch.tensor(parts, dtype=torch.float32)
        return leans


def encode(processor: Any, prompts: list[str], images: list[list[Any]]) -> dict[str, Any]:
    """Return prompts with their pictures as tensors, padded on the left.

    Args:
        prompts: what the user says, to which the chat template adds the pictures.
        images: the Pillow pictures of each prompt, in order; one at least of each, or none of all.
    """
    texts = [chat(processor, prompt, len(own)) for prompt, own in zip(prompts, images, strict=True)]
    return dict(
        processor(
            images=images if images[0] else None,
            text=texts,
            padding=True,
            padding_side="left",
            return_tensors="pt",
            add_special_tokens=False,
        )
    )


def chat(processor: Any, prompt: str, pictures: int = 1) -> str:
    """Return a prompt with so many pictures before it in the chat template's words, up to where the model begins."""
    content = [*[{"type": "image"}] * pictures, {"type": "text", "text": prompt}]
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
