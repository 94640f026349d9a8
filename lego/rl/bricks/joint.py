"""Joint training: the network that paints, and the language model that reads its words, each from a loss of its own.

ReasonEdit's third stage (arXiv 2511.22625): the loss on the picture, plus a tenth of that on the next token of lessons
in thinking and judging. The words are read anew at every step, so that the picture's loss reaches the reader too.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from lego.builder.frame import seen
from lego.builder.talker import LONG_SIDE
from lego.core.brick_card import READER
from lego.rl.bricks.families import Kept, QwenEdit
from lego.rl.bricks.learner import Learner
from lego.rl.reasoning.exchanges import Exchange, Supply

TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)"  # the attention of the language, not of the eyes
UNSEEN = -100  # what the loss on tokens leaves out


class JointLearner(Learner):
    """A learner whose reader learns as well.

    Attributes:
        lessons: exchanges of the data set that the recipe names.
    """

    def __init__(self, family: QwenEdit) -> None:
        super().__init__(family)
        from peft import LoraConfig, get_peft_model

        joint = self.recipe.joint
        assert joint
        self.lessons = Supply(joint.lessons, self.recipe.seed)
        config = LoraConfig(r=joint.rank, lora_alpha=joint.rank, target_modules=TARGETS)
        with warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.24 for things by their old names
            warnings.filterwarnings("ignore", message=".*_checkpointing.*", category=FutureWarning)
            self.reader = family.pipe.text_encoder = get_peft_model(family.pipe.text_encoder, config)
            if self.recipe.gradient_checkpointing:
                base = family.pipe.text_encoder.get_base_model()
                enable = getattr(base, "activation_checkpointing_enable", base.gradient_checkpointing_enable)
                enable({"use_reentrant": False})  # transformers 5.24 has it by the first of these names
        for name, parameter in self.reader.named_parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
                self.parameters[f"{READER}.{name}"] = parameter
        self.said: float = 0.0  # the loss on language of the last pass

    def train(self, training: bool) -> None:
        """See `Learner.train`; a reader that saves memory does so only in training."""
        super().train(training)
        self.reader.train(training)

    def together(self, kept: Kept, words: Sequence[str], number: int, random: Any) -> Any:
        """Return the loss on pictures and, weighed, on the lesson of a pass.

        Args:
            kept: with "look", the pictures as the reader sees them.
            words: of each example.
        """
        joint = self.recipe.joint
        assert joint
        language = self.language(next(itertools.islice(self.lessons.exchanges(number), 1)))
        self.said = language.item()
        return self.measured(kept, words, random) + joint.weight * language

    def measured(self, kept: Kept, words: Sequence[str], random: Any) -> Any:
        """See `Learner.measured`; the words are read anew."""
        return self.loss({**kept, **self.read(kept["look"], words)}, random)

    @property
    def facts(self) -> dict[str, float]:
        """The loss on language."""
        return {"language": self.said}

    @property
    def parts(self) -> tuple[str, ...]:
        """The reader too."""
        return (*super().parts, "text_encoder")

    def read(self, looks: Any, words: Sequence[str]) -> Kept:
        """Return what the reader makes of words and pictures, with gradients."""
        import torch

        pipe, found = self.family.pipe, []
        for look, text in zip(looks, words, strict=True):
            image = Pillow.fromarray(np.asarray(look.cpu(), np.uint8))
            shown = [image] if isinstance(self.family, QwenEdit) and self.family.plus else image
            states, _ = pipe.encode_prompt(prompt=[text or " "], image=shown, device=self.reader.device)
            found.append(states[0])
        longest = max(len(states) for states in found)
        padded = [torch.nn.functional.pad(states, (0, 0, 0, longest - len(states))) for states in found]
        masks = [[1] * len(states) + [0] * (longest - len(states)) for states in found]
        return {"text": torch.stack(padded), "text_mask": torch.tensor(masks, device=self.reader.device)}

    def language(self, exchange: Exchange) -> Any:
        """Return the loss on the answer's tokens of a question."""
        import torch

        processor = self.family.pipe.processor
        images = [seen(image, longest=LONG_SIDE) for image in exchange.images]
        eyes = "<|vision_start|><|image_pad|><|vision_end|>" * len(images)
        asked = f"<|im_start|>user\n{eyes}{exchange.prompt}<|im_end|>\n<|im_start|>assistant\n"
        before = processor(text=[asked], images=images, return_tensors="pt")["input_ids"].shape[1]
        both = processor(text=[f"{asked}{exchange.answer}<|im_end|>"], images=images, return_tensors="pt")
        given = {name: value.to(self.reader.device) for name, value in both.items()}
        labels = given["input_ids"].clone()
        labels[:, :before] = UNSEEN
        found = self.reader(**given, labels=labels).loss
        return found if found is not None else torch.zeros((), device=self.reader.device)

    def save_reader(self, folder: Path) -> None:
        """Write the reader's adapter, or all of a reader that is not that of the base."""
        reader = self.reader
        if self.recipe.reader:
            reader = copy.deepcopy(reader).merge_and_unload()
        reader.save_pretrained(folder / READER)
