"""Recipes of bricks: everything that decides the training of one, in a TOML file; an unknown key is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from lego.core.brick_card import Card, Conditioning
from lego.rl.recipe import Part, check_scale, load

FOLDER = Path(__file__).parent / "recipes"
Family: TypeAlias = Literal[
    "sd-inpaint", "sdxl-inpaint", "instruct-pix2pix", "sd3", "flux-fill", "flux-kontext", "qwen-image-edit"
]
WAYS: dict[str, tuple[Conditioning, ...]] = {  # how each family may see the picture, its own way first
    "sd-inpaint": ("channels", "diptych"),
    "sdxl-inpaint": ("channels", "diptych"),
    "instruct-pix2pix": ("channels",),
    "sd3": ("diptych", "channels"),
    "flux-fill": ("diptych", "channels"),
    "flux-kontext": ("sequence",),
    "qwen-image-edit": ("sequence",),
}
HIDES = ("sd-inpaint", "sdxl-inpaint", "sd3", "flux-fill")  # with "channels" these do not see what the mask covers
SMOKE = 3  # steps


class Adapter(Part):
    """Low-rank adapters; all other weights stay as they are.

    Attributes:
        targets: ends of the names of the layers that get one; none for the attention of the family.
    """

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ()


class Joint(Part):
    """ReasonEdit's third stage: the network that reads the words learns as well, from lessons in language beside.

    Attributes:
        weight: of the loss on the next token, beside that on the picture (0.1 in arXiv 2511.22625).
        lessons: the folder of `lego synth thinking` and `lego synth reflection`.
        rank: of its adapters.
    """

    weight: float = Field(default=0.1, gt=0)
    lessons: str = Field(min_length=1)
    rank: int = Field(default=16, ge=1)


class BrickRecipe(Part):
    """The training of a brick.

    Attributes:
        model: a folder of diffusers, that of a brick or of its run to go on with it, or a name on the hub.
        reader: what reads the words instead of the pipeline's own: the folder of a run of `lego train reason`, or of
            the model in it; for qwen-image-edit.
        download: may it be fetched from there?
        base: what the brick calls it: a name of `lego models`, or a folder; "" for the folder that it was opened from.
        card: of the tool that comes out.
        conditioning: "" for the family's own way.
        size: px; pictures are shown at about the area of its square.
        lora: without it all weights of the denoiser learn, and the brick is a whole network.
        hold: pairs at the end of the data that are not trained on, and looked at instead.
        batch, accumulate: pairs a pass; passes whose gradients make one step.
        drop: share of the examples that are learned without their words, for guidance at the edit; families that see
            the picture in channels of its own (instruct-pix2pix) go without it as often.
        noise: where on the way from picture to noise it learns: evenly, or more in the middle.
        guidance, image_guidance: at the edit; those distilled for guidance are told it in training as well.
        infer_steps: of denoising at the edit; 0 for the family's own.
        optimizer: "auto" takes AdamW in 8 bits where bitsandbytes and CUDA are.
        save_every, look_every: steps between checkpoints, and between sheets of pictures; 0 for ten in all, for none.
        looks: pictures on a sheet, at most.
        joint: the language learns too; for qwen-image-edit.
    """

    name: str = Field(min_length=1)
    model: str = Field(min_length=1)
    download: bool = False
    reader: str = ""
    base: str = ""
    family: Family
    card: Card
    conditioning: Conditioning | Literal[""] = ""
    size: int = Field(default=512, ge=32, le=2048, multiple_of=16)
    lora: Adapter | None = None
    steps: int = Field(ge=1)
    lr: float = Field(gt=0)
    warmup: float = Field(default=0.03, ge=0, le=1)
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = Field(default=1.0, gt=0)
    batch: int = Field(default=1, ge=1)
    accumulate: int = Field(default=1, ge=1)
    drop: float = Field(default=0.0, ge=0, lt=1)
    noise: Literal["even", "middle"] = "even"
    guidance: float | None = Field(default=None, ge=0)
    image_guidance: float | None = Field(default=None, ge=0)
    infer_steps: int = Field(default=0, ge=0, le=1000)
    precision: Literal["fp32", "bf16"] = "bf16"
    gradient_checkpointing: bool = False
    optimizer: Literal["auto", "adamw", "adamw8bit"] = "auto"
    seed: int = Field(default=0, ge=0, lt=2**31)
    hold: int = Field(default=0, ge=0)
    save_every: int = Field(default=0, ge=0)
    look_every: int = Field(default=0, ge=0)
    looks: int = Field(default=4, ge=1, le=16)
    joint: Joint | None = None

    @model_validator(mode="after")
    def _fits(self) -> BrickRecipe:
        ways = WAYS[self.family]
        if self.conditioning and self.conditioning not in ways:
            raise ValueError(f"conditioning: {self.family} takes {' or '.join(ways)}, not {self.conditioning}")
        if self.family in HIDES and self.way == "channels" and not self.card.mask_needed:
            raise ValueError(
                "card.mask_needed must be true: with channels this family paints a mask anew and sees nothing of what "
                "it covers; conditioning = 'diptych' sees all"
            )
        if self.image_guidance is not None and self.family != "instruct-pix2pix":
            raise ValueError("image_guidance is instruct-pix2pix's alone")
        if self.reader and self.family != "qwen-image-edit":
            raise ValueError("reader: only qwen-image-edit has its words read by a language model")
        if self.joint and (self.family != "qwen-image-edit" or self.lora is None):
            raise ValueError("joint: the words must be read by a language model (qwen-image-edit), with [lora]")
        return self

    @property
    def way(self) -> Conditioning:
        """How the picture is seen."""
        return self.conditioning or WAYS[self.family][0]

    @property
    def every(self) -> int:
        """Steps between checkpoints."""
        return self.save_every or max(1, self.steps // 10)

    @classmethod
    def load(cls, name: str | Path) -> BrickRecipe:
        """Read a recipe by the name of one that comes with the package, or from a file.

        Raises:
            RecipeError: there is none, or it has a wrong value or an unknown key.
        """
        return load(cls, name, FOLDER)

    def scaled(self, factor: float) -> BrickRecipe:
        """Return the recipe with its steps times a factor, one at least.

        Raises:
            RecipeError: the factor is not above 0.
        """
        check_scale(factor)
        counts = ("steps", "save_every", "look_every")
        found = {name: getattr(self, name) for name in counts}
        return self.model_copy(update={n: max(1, round(v * factor)) if v else 0 for n, v in found.items()})

    def smoke(self) -> BrickRecipe:
        """Return the recipe with a few steps."""
        return self.model_copy(
            update={"steps": SMOKE, "accumulate": 1, "save_every": 1, "look_every": SMOKE, "looks": 1}
        )
