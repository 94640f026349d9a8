"""Cards of trained bricks: what ``brick.json`` says of a diffusion network that was trained to do one edit.

The school writes it, and `lego.tools.load_brick` makes a tool of it: it is all that the two need to agree on.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lego.core.errors import ToolDefinitionError
from lego.core.phrases import SLOT
from lego.core.signature import MAX_SENTENCE

FILE = "brick.json"
ADAPTER, MODEL = "adapter.safetensors", "model"  # a brick's weights: what is added to a larger network, or all of one
READER = "reader"  # and, where another network reads the words than in the base, its folder, or its adapter's
RUN = "brick"  # the folder of a brick in that of the run that trained it
OWN = ("image", "mask", "context", "net")  # parameters that every brick has, or may have
DIPTYCH = "One scene in two pictures side by side. The right one is the left one after this edit: {words}"
Conditioning: TypeAlias = Literal["channels", "sequence", "diptych"]


class Card(BaseModel):
    """How a brick is asked for: what prompt, grammar and builders are made from.

    Attributes:
        name: of the tool.
        sentence: what it does.
        phrases: ways to ask for it, with the arguments that the words imply, as of `lego.tool`.
        mask: what its mask covers: one "thing", an "area" of which all is meant, or "none": it takes no mask.
        mask_needed: it cannot work on all of a picture.
        prompt: what the network is told; each ``{slot}`` becomes a parameter of the tool.
        slots: what each parameter means, for the builder.
        effect: what a critic can measure, as of `lego.tool`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    sentence: str = Field(min_length=1, max_length=MAX_SENTENCE)
    phrases: dict[str, dict[str, Any]] = {}
    mask: Literal["thing", "area", "none"] = "thing"
    mask_needed: bool = False
    prompt: str = Field(min_length=1, max_length=1000)
    slots: dict[str, str] = {}
    effect: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Card:
        wanted = set(SLOT.findall(self.prompt))
        if wanted != set(self.slots):
            raise ValueError(f"the prompt has the slots {sorted(wanted)}, and those described are {sorted(self.slots)}")
        if taken := wanted & set(OWN):
            raise ValueError(f"a slot cannot be called '{taken.pop()}'")
        if self.mask_needed and self.mask == "none":
            raise ValueError("a mask cannot be needed where none is taken")
        return self

    def told(self, words: dict[str, str]) -> str:
        """Return what the network is told, with words in the slots as they are."""
        return re.sub(SLOT, lambda found: words[found[1]], self.prompt)


class BrickCard(Card):
    """A card with the network behind it.

    Attributes:
        pipeline: its class in diffusers.
        conditioning: how it sees the picture: in further channels, as further tokens, or as the left one of two.
        side: px; pictures of about this area were trained with.
        steps: of denoising.
        given: further arguments of the pipeline, such as its guidance.
        base: what an adapter is added to: a folder, or the name of weights in `lego models`; "" for a whole network.
        parameters: of the network, the base included.
        digest: of the weights.
        trained: facts about the training, for people.
    """

    format: Literal[1] = 1
    pipeline: str
    conditioning: Conditioning
    side: int = Field(ge=16, le=4096)
    steps: int = Field(ge=1, le=1000)
    given: dict[str, float | int | str | bool] = {}
    base: str = ""
    parameters: int = Field(ge=1)
    digest: str = Field(pattern="^[0-9a-f]{32}$")
    trained: dict[str, Any] = {}

    @classmethod
    def read(cls, folder: Path) -> BrickCard:
        """Read the card in a brick's folder.

        Raises:
            ToolDefinitionError: there is none, it is broken, or the weights beside it are missing.
        """
        path = folder / FILE
        try:
            card = cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            hint = "give a folder that `lego train brick` wrote"
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ToolDefinitionError(f"cannot read: {why}", where=str(path), hint=hint, code="no_brick") from None
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the card'}: {e['msg']}" for e in error.errors())
            hint = "docs/train-a-brick.md shows what belongs there"
            raise ToolDefinitionError(said, where=str(path), hint=hint, code="bad_brick") from None
        weights = ADAPTER if card.base else MODEL
        if not (folder / weights).exists():
            hint = "copy all of the folder, or train the brick again"
            raise ToolDefinitionError(f"'{weights}' is missing", where=str(folder), hint=hint, code="bad_brick")
        return card

    def write(self, folder: Path) -> None:
        """Write the card into a brick's folder."""
        text = json.dumps(self.model_dump(), ensure_ascii=False, indent=1)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")


def home_of(path: Path) -> Path:
    """Return the folder of a brick, which may be given by that of the run that trained it."""
    return path / RUN if (path / RUN / FILE).is_file() else path
