"""The learner: a pipeline whose denoiser learns, all of it or adapters in it, and the loss that it learns from."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lego.core.brick_card import ADAPTER, MODEL, READER
from lego.core.errors import RecipeError
from lego.rl.bricks.families import Family, Kept

PREDICTIONS = ("epsilon", "v_prediction", "sample")


class Learner:
    """What learns.

    Args:
        family: with its pipeline.

    Attributes:
        parameters: that learn, by name.
    """

    def __init__(self, family: Family) -> None:
        self.family, self.recipe = family, family.recipe
        self.net = family.net
        self.scheduler = None if family.flow else _scheduler(family.pipe)
        self._prepare()

    def _prepare(self) -> None:
        import torch

        for part in self.family.pipe.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False).eval()
        if self.recipe.lora:
            self._add_adapters()
        else:
            self.net.requires_grad_(True)
        if self.recipe.gradient_checkpointing:
            self.net.enable_gradient_checkpointing()
        self.parameters = {name: p for name, p in self.net.named_parameters() if p.requires_grad}
        for parameter in self.parameters.values():
            parameter.data = parameter.data.float()  # what learns does so in 32 bits

    def _add_adapters(self) -> None:
        import torch
        from peft import LoraConfig

        lora = self.recipe.lora
        assert lora
        torch.manual_seed(self.recipe.seed)
        targets = lora.targets or list(self.family.targets)
        known = [name for name, layer in self.net.named_modules() if isinstance(layer, torch.nn.Linear)]
        if not any(name == end or name.endswith(f".{end}") for name in known for end in targets):
            message = f"no layer of the model ends in {', '.join(targets)}"
            hint = f"such as {', '.join(dict.fromkeys(name.rpartition('.')[2] for name in known[:12]))}"
            raise RecipeError(message, where="lora.targets", hint=hint)
        self.config = LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets,
            init_lora_weights="gaussian",
        )  # fmt: skip
        self.net.add_adapter(self.config)

    def loss(self, kept: Kept, random: Any) -> Any:
        """Return the loss on a batch; ``random`` is the generator of its noise (on the processor, so that the same
        seed gives the same noise everywhere).
        """
        import torch

        clean = kept["clean"]
        noise = torch.randn(clean.shape, generator=random).to(clean)
        share = torch.rand(len(clean), generator=random)
        if self.recipe.noise == "middle":
            share = torch.sigmoid(torch.randn(len(clean), generator=random))
        share = share.to(clean.device)
        if self.scheduler is None:  # rectified flow: straight from the picture (0) to noise (1)
            along = share.view(-1, 1, 1, 1).to(clean)
            noisy, wanted, time = (1 - along) * clean + along * noise, noise - clean, share
        else:
            time = (share * self.scheduler.config.num_train_timesteps).long()
            noisy, wanted = self.scheduler.add_noise(clean, noise, time), self._wanted(clean, noise, time)
        dtype = next(iter(self.net.parameters())).dtype
        told = {n: v.to(dtype) if v.is_floating_point() else v for n, v in kept.items()}
        made = self.family.predict(noisy.to(dtype), time, told)
        error = (made.float() - wanted.float()) ** 2
        if "where" in kept:
            error = error * kept["where"] / kept["where"].mean()
        return error.mean()

    def train(self, training: bool) -> None:
        """Begin to learn, or only to be looked at: then nothing is dropped out."""
        self.net.train(training)

    def together(self, kept: Kept, words: Sequence[str], number: int, random: Any) -> Any:
        """Return all that is to be made small in a pass: the loss on a batch, and what a subclass adds.

        Args:
            words: of each example, "" for one whose words are dropped.
            number: of the pass.
        """
        return self.loss(self.drop(kept, random), random)

    def measured(self, kept: Kept, words: Sequence[str], random: Any) -> Any:
        """Return the loss on the pictures of a batch alone, for which nothing is dropped."""
        return self.loss(kept, random)

    @property
    def facts(self) -> dict[str, float]:
        """What is told of the last pass beside its loss."""
        return {}

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of the pipeline that learn."""
        return (self.family.part,)

    def _wanted(self, clean: Any, noise: Any, time: Any) -> Any:
        assert self.scheduler
        kind = self.scheduler.config.prediction_type
        if kind == "v_prediction":
            return self.scheduler.get_velocity(clean, noise, time)
        return noise if kind == "epsilon" else clean

    def drop(self, kept: Kept, random: Any) -> Kept:
        """Take the picture away from some examples, where the family can do without it."""
        import torch

        if self.recipe.family != "instruct-pix2pix" or not self.recipe.drop:
            return kept
        stay = torch.rand(len(kept["clean"]), generator=random) >= self.recipe.drop
        return {**kept, "seen": kept["seen"] * stay.view(-1, 1, 1, 1).to(kept["seen"])}

    def save(self, folder: Path) -> None:
        """Write what was learned into a brick's folder."""
        pipe = self.family.pipe
        if not self.recipe.lora:
            _forget(pipe)
            pipe.save_pretrained(folder / MODEL, safe_serialization=True)
            return
        self.save_reader(folder)
        from peft.utils import get_peft_model_state_dict

        part = self.family.part
        facts = {n: sorted(v) if isinstance(v, set) else v for n, v in self.config.to_dict().items()}
        type(pipe).save_lora_weights(
            folder, weight_name=ADAPTER, safe_serialization=True,
            **{f"{part}_lora_layers": get_peft_model_state_dict(self.net), f"{part}_lora_adapter_metadata": facts},
        )  # fmt: skip

    def save_reader(self, folder: Path) -> None:
        """Write the network that reads the words, if it is not that of the base."""
        if self.recipe.reader:
            self.family.pipe.text_encoder.save_pretrained(folder / READER)


def _forget(pipe: Any) -> None:
    """Let tokenizers forget how long their last words were filled up to, which else is saved with them: a run that went
    on after a stop, and found all words in its cache, would end with another file.
    """
    for part in pipe.components.values():
        raw = getattr(getattr(part, "tokenizer", part), "backend_tokenizer", None)
        if raw is not None:
            raw.no_truncation()
            raw.no_padding()


def _scheduler(pipe: Any) -> Any:
    """What adds noise as the pipeline's own scheduler takes it away."""
    diffusers: Any = importlib.import_module("diffusers")
    made = diffusers.DDPMScheduler.from_config(pipe.scheduler.config)
    kind = made.config.prediction_type
    if kind not in PREDICTIONS:
        hint = f"known are {', '.join(PREDICTIONS)}"
        raise RecipeError(f"the scheduler of the model predicts '{kind}'", where="scheduler", hint=hint)
    return made
