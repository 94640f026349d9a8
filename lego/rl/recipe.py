"""Recipes: everything that decides a training run, in one TOML file; a key that does not exist is an error."""

from __future__ import annotations

import difflib
import math
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lego.core.errors import RecipeError

FOLDER = Path(__file__).parent / "recipes"
INSTRUCTIONS = "instructions"  # the source of data that never ends; any other is a folder or a .parquet file
Kind = TypeVar("Kind", bound=BaseModel)
OWN = ("nano", "shipped")  # models that are ours
SMOKE = {"model": "nano", "size": "micro", "workers": 0}  # in place of these: the least that has all their parts


class Part(BaseModel):
    """A table of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Part):
    """Where tasks come from.

    Attributes:
        source: "instructions" for those made from phrasings, else a data set of `lego.rl.records`.
        split: whose phrasings and nouns, of instructions.
        seed: of making and of shuffling.
        plain, words: how many of the first instructions are of these levels (see `instructions.tasks`) and read without
            their pictures: from them a model from scratch learns to point. Multiples of batch x bucket.
        level: of those that follow.
        unseen_words: False asks in the words of the training about the things of ``split``.
        places, riddles: shares of the tasks, after ``plain`` and ``words``, that are single wishes about a thing named
            by its place or size alone, and edits which need an answer first (`lego.rl.reasoning.intelligent.tasks`).
    """

    source: str = INSTRUCTIONS
    split: Literal["train", "val", "test", "few"] = "train"
    seed: int = 0
    plain: int = Field(default=0, ge=0)
    words: int = Field(default=0, ge=0)
    level: Literal["whole", "shown"] = "whole"
    unseen_words: bool = True
    places: float = Field(default=0, ge=0, le=1)
    riddles: float = Field(default=0, ge=0, le=1)


class Judging(Part):
    """Who judges plans without ground truth: an OpenAI-compatible server; none uses back-translation."""

    url: str
    model: str


class Stage(Part):
    """What all stages have.

    Attributes:
        steps: of the optimizer; 0 leaves the stage out.
        lr, warmup, schedule, decay, clip: AdamW's: top rate, warm-up as a share of the steps, shape after it, weight
            decay, largest norm of a gradient.
        accumulate: passes whose gradients make one step.
        save_every: steps between checkpoints; 0 for ten in all.
        exam_every: steps between exams (see `Evaluation`), after which the best model is kept; 0 for none.
    """

    data: Data = Data()
    steps: int = Field(ge=0)
    lr: float = Field(gt=0)
    warmup: float = Field(default=0.03, ge=0, le=1)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = Field(default=1.0, gt=0)
    accumulate: int = Field(default=1, ge=1)
    save_every: int = Field(default=0, ge=0)
    exam_every: int = Field(default=0, ge=0)

    @property
    def every(self) -> int:
        """Steps between checkpoints."""
        return self.save_every or max(1, self.steps // 10)


class Sft(Stage):
    """Imitation: ``batch`` examples a pass, sorted by length within ``bucket`` batches.

    Attributes:
        optimizer: "muon" learns from half of the examples where all weights are trained (see `lego.rl.optimizer`).
        hidden: share of the words that the form "pointing" hides in examples.
    """

    optimizer: Literal["adamw", "muon"] = "adamw"
    batch: int = Field(default=32, ge=1)
    bucket: int = Field(default=8, ge=1)
    hidden: float = Field(default=0.0, ge=0, lt=1)


class Grpo(Stage):
    """Reinforcement: ``prompts`` x ``group`` answers a step.

    Attributes:
        minibatch: answers a pass of the network; 0 for all at once. A divisor of prompts x group.
        temperature: of sampling.
        beta: weight of the divergence from the model that the stage began with.
        epsilon, epsilon_high: how far the ratio of probabilities may go down and up.
        max_tokens: of an answer.
        execute: run the plans, and reward the pictures.
        weights: of the terms of the reward, see `lego.rl.env`.
        picture_timeout: seconds that a run of a plan may take.
        judge: of the stage without ground truth.
    """

    prompts: int = Field(default=8, ge=1)
    group: int = Field(default=8, ge=2)
    minibatch: int = Field(default=0, ge=0)
    temperature: float = Field(default=1.0, gt=0)
    beta: float = Field(default=0.02, ge=0)
    epsilon: float = Field(default=0.2, gt=0)
    epsilon_high: float = Field(default=0.28, gt=0)
    max_tokens: int = Field(default=64, ge=1)
    execute: bool = False
    weights: dict[Literal["plan", "exact", "picture", "free"], float] = {}
    picture_timeout: float = Field(default=20.0, gt=0)
    judge: Judging | None = None


class Reason(Stage):
    """Thinking and judging, from lessons (`lego.rl.reasoning.lessons`): ``batch`` questions a pass.

    It is left out unless it is asked for by name, and sits no exams: these are of planning.

    Attributes:
        data: its ``source`` is the folder of the lessons, its ``seed`` that of their order; nothing else is looked at.
    """

    data: Data
    exam_every: Literal[0] = 0
    batch: int = Field(default=2, ge=1)

    @field_validator("data")
    @classmethod
    def _has_lessons(cls, data: Data) -> Data:
        if data.source == INSTRUCTIONS:
            raise ValueError("give the folder of the lessons as its source; `lego synth` writes one")
        return data


class Evaluation(Part):
    """An exam: the share of so many held-out tasks that are planned as meant, greedy under the grammar."""

    data: Data = Data(split="val")
    count: int = Field(default=300, ge=1)


class Lora(Part):
    """Low-rank adapters; they are merged into the model when a stage is done."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str | list[str] = "all-linear"


class Vllm(Part):
    """Roll out with vLLM and without the grammar, inside the trainer's processes or on a server."""

    mode: Literal["colocate", "server"] = "colocate"
    memory: float = Field(default=0.3, gt=0, lt=1)
    url: str = ""


class Recipe(Part):
    """A training run.

    Attributes:
        name: of the recipe.
        model: "nano" is built from scratch with the dial ``size``, "shipped" is the nano that ships, to go on with;
            else a folder, or a name on the hub.
        size: see `lego.rl.nano`.
        download: may a model be fetched from the hub?
        precision: of the computing; weights stay in 32 bits without ``lora``, in ``precision`` with it.
        seed: of everything random.
        workers: processes that prepare examples beside the training, 0 or 1.
        reward_threads: plans judged at once.
        reward_backend: whose hands run plans for their rewards, "threads" or "ray"; None as in the settings. It is not
            kept with a run, which may go on elsewhere.
        gradient_checkpointing: less memory for a third more time.
        deepspeed: path of a DeepSpeed configuration; `accelerate launch` works without one.
        reason: the stage that teaches to think and to judge, for models that write free text; None for none.
    """

    name: str = Field(min_length=1)
    model: str = Field(default="nano", min_length=1)
    size: str = "nano"
    download: bool = False
    precision: Literal["fp32", "bf16"] = "bf16"
    seed: int = Field(default=0, ge=0, lt=2**31)
    workers: int = Field(default=0, ge=0, le=1)
    reward_threads: int = Field(default=4, ge=1)
    reward_backend: Literal["threads", "ray"] | None = Field(default=None, exclude=True)
    gradient_checkpointing: bool = False
    deepspeed: str = ""
    lora: Lora | None = None
    vllm: Vllm | None = None
    evaluation: Evaluation = Evaluation(count=300)
    sft: Sft
    grpo_gt: Grpo
    grpo_free: Grpo
    reason: Reason | None = None

    @model_validator(mode="after")
    def _has_words(self) -> Recipe:
        if self.reason and self.model in OWN:
            raise ValueError("the stage 'reason' needs a model that writes free text, and nano writes plans alone")
        return self

    @classmethod
    def load(cls, name: str | Path) -> Recipe:
        """Read a recipe by the name of one that comes with the package, or from a file.

        Raises:
            RecipeError: there is none, or it has a wrong value or an unknown key.
        """
        return load(cls, name, FOLDER)

    def scaled(self, factor: float) -> Recipe:
        """Return the recipe with its steps and counts times a factor, at least one of each that is not 0.

        Raises:
            RecipeError: the factor is not above 0.
        """
        check_scale(factor)

        def times(value: int) -> int:
            return max(1, round(value * factor)) if value else 0

        stages = {
            name: part.model_copy(
                update={key: times(getattr(part, key)) for key in ("steps", "save_every", "exam_every")}
            )
            for name, part in self.stages.items()
        }
        exam = {"count": times(self.evaluation.count)}
        return self.model_copy(update={**stages, "evaluation": self.evaluation.model_copy(update=exam)})

    def smoke(self) -> Recipe:
        """Return a recipe that goes through its stages with two or three steps of few examples each."""
        short = {"save_every": 1, "accumulate": 1, "exam_every": 1}
        rl = {**short, "steps": 2, "prompts": 2, "group": 4, "minibatch": 0, "execute": True, "max_tokens": 48}
        parts: dict[str, Part] = {
            "sft": self.sft.model_copy(update={**short, "steps": 3, "batch": 8, "bucket": 1}),
            "grpo_gt": self.grpo_gt.model_copy(update=rl),
            "grpo_free": self.grpo_free.model_copy(update={**rl, "judge": None}),
            "evaluation": self.evaluation.model_copy(update={"count": 8}),
        }
        if self.reason:
            parts["reason"] = self.reason.model_copy(update={**short, "exam_every": 0, "steps": 3, "batch": 2})
        return self.model_copy(update={**parts, **(SMOKE if self.model in OWN else {"workers": 0})})

    @property
    def stages(self) -> dict[str, Stage]:
        """The stages by name, in order; that of reasoning only if there is one."""
        first: dict[str, Stage] = {"reason": self.reason} if self.reason else {}
        return {**first, "sft": self.sft, "grpo_gt": self.grpo_gt, "grpo_free": self.grpo_free}


def load(kind: type[Kind], name: str | Path, folder: Path) -> Kind:
    """Read a recipe of a kind by its name in a folder, or from a file.

    Raises:
        RecipeError: there is none, or it has a wrong value or an unknown key.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = folder / f"{name}.toml"
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        hint = f"a file ending in .toml, or one of {', '.join(names(folder))}"
        raise RecipeError(f"there is no recipe '{name}'", hint=hint, code="no_recipe") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"the recipe cannot be read: {error}", where=str(path), hint="it is TOML") from None
    except ValidationError as error:
        raise _told(error, path, kind) from None


def check_scale(factor: float) -> None:
    """Check what steps are multiplied by.

    Raises:
        RecipeError: it is not above 0, or no number.
    """
    if not 0 < factor < math.inf:
        raise RecipeError(f"the scale cannot be {factor:g}", where="--scale", hint="such as 0.1, or 2")


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def _told(error: ValidationError, path: Path, kind: type[BaseModel]) -> RecipeError:
    """Every fault in one sentence; unknown keys with the nearest that exists."""
    said, hints = [], []
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            known = _keys(fault["loc"][:-1], kind)
            near = difflib.get_close_matches(str(fault["loc"][-1]), known, 1, 0.4)
            said.append(f"there is no key '{key}'")
            hints.append(f"did you mean '{near[0]}'?" if near else f"known there: {', '.join(known)}")
        else:
            why = fault["msg"].removeprefix("Value error, ")
            said.append(f"'{key}': {why}" if key else why)
            hints.append(f"{'docs/training.md' if kind is Recipe else 'docs/train-a-brick.md'} lists the keys")
    return RecipeError("; ".join(said), where=str(path), hint="; ".join(dict.fromkeys(hints)), code="bad_recipe")


def _keys(path: tuple[Any, ...], kind: type[BaseModel]) -> list[str]:
    """The keys that a table of the recipe may have."""
    for name in path:
        found = kind.model_fields[str(name)].annotation
        options = [found, *getattr(found, "__args__", ())]
        kind = next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
    return list(kind.model_fields)
