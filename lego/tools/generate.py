"""What only networks can do: paint what words describe, and change a picture as a sentence says.

These are cards alone; their engines are in `lego.tools.neural.generate`. They are offered where one of them can run.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from lego.core.registry import tool
from lego.core.signature import Area, Context, Thing
from lego.core.values import Image

MOST_WORDS = 400  # characters
Prompt: TypeAlias = Annotated[
    str, Field(max_length=MOST_WORDS, description="what is to be seen there, in English, with its material and light")
]
Order: TypeAlias = Annotated[
    str, Field(max_length=MOST_WORDS, description="what to change, in English, as an order: make it winter")
]
Strength: TypeAlias = Annotated[
    float, Field(ge=0.05, le=1, description="1 paints anew, less keeps the form and colours of what is there")
]


@tool(
    abstract=True,
    phrases={
        "generate {prompt}": {}, "paint in {prompt}": {}, "add {prompt}": {}, "put in {prompt}": {},
        "replace {target} with {prompt}": {}, "replace {target} by {prompt}": {}, "swap {target} for {prompt}": {},
        "change {target} to {prompt}": {}, "change {target} into {prompt}": {}, "turn {target} into {prompt}": {},
        "put {prompt} in place of {target}": {}, "生成{prompt}": {}, "把{target}换成{prompt}": {},
        "把{target}变成{prompt}": {},
    },
)  # fmt: skip
def generate_fill(
    image: Image,
    prompt: Prompt,
    mask: Area | None = None,
    strength: Strength = 1.0,
    picture: Image | None = None,
    context: Context = Context(),  # noqa: B008  # frozen, so sharing it is safe
) -> Image:
    """Paint what the words describe into the masked place, to fit the light and forms around it.

    For a new thing, one instead of another, or a new background (mask it). Without a mask the place is that of
    `find_room` for these words. It is shown with its surroundings at the size that the network knows; outside of it
    nothing changes. With ``strength`` below 1 it begins with what is there. With a ``picture``, a cut-out, this very
    thing is put there first, its feet on the mask's bottom edge, and then fitted in with a strength of .5 at most.

    Raises:
        RefusedError: the words are not English (code ``language``), or the network's filter withheld what it made.
    """
    raise NotImplementedError


@tool(
    abstract=True,
    phrases={
        "make it winter": {"instruction": "make it winter"}, "make it summer": {"instruction": "make it summer"},
        "make it autumn": {"instruction": "make it autumn"}, "make it spring": {"instruction": "make it spring"},
        "turn day into night": {"instruction": "turn day into night"},
        "make it night": {"instruction": "make it night"},
        "make it snow": {"instruction": "make it snow"}, "make it rain": {"instruction": "make it rain"},
        "make it foggy": {"instruction": "make it foggy"}, "make it sunset": {"instruction": "make it sunset"},
        "make {target} smile": {"instruction": "make the person smile"},
        "变成冬天": {"instruction": "make it winter"}, "变成夏天": {"instruction": "make it summer"},
        "变成秋天": {"instruction": "make it autumn"}, "变成春天": {"instruction": "make it spring"},
        "变成夜晚": {"instruction": "make it night"}, "变成雪天": {"instruction": "make it snow"},
        "变成雨天": {"instruction": "make it rain"}, "让{target}微笑": {"instruction": "make the person smile"},
    },
)  # fmt: skip
def instruct_edit(
    image: Image,
    instruction: Order,
    mask: Thing | None = None,
    context: Context = Context(),  # noqa: B008  # as above
) -> Image:
    """Change the picture as a sentence says: material, season, weather, time of day, posture, expression, style.

    For what no other tool does. Without a mask all of the picture is made anew, at the size that the network knows, so
    fine detail is lost; with one, nothing outside of it changes.

    Raises:
        RefusedError: as `generate_fill`.
    """
    raise NotImplementedError
