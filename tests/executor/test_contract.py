"""Every registered tool keeps the contract, and the contract notices who does not."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

from lego.core.registry import Tool, registry, tool
from lego.core.signature import Context
from lego.core.values import Image, Mask
from lego.executor.contract import check


@pytest.mark.parametrize("name", [tool.name for tool in registry])
def test_the_tool_keeps_the_contract(name: str) -> None:
    assert check(registry[name]) == []


def broken(kind: str) -> Tool[..., Any]:
    """Make a tool with one broken promise."""
    if kind == "outside":

        @tool
        def c_outside(image: Image, mask: Mask) -> Image:
            """Change everything."""
            return image.replace(255 - image.pixels)

        return c_outside
    if kind == "size":

        @tool
        def c_size(image: Image) -> Image:
            """Cut the picture."""
            return Image(image.pixels[:1])

        return c_size
    if kind == "seed":

        @tool
        def c_seed(image: Image) -> Image:
            """Give noise without asking for a seed."""
            return image.replace(np.random.default_rng().integers(0, 256, image.pixels.shape, dtype=np.uint8))

        return c_seed
    if kind == "odd":

        @tool
        def c_odd(image: Image) -> Image:
            """Read the tenth row."""
            return image.replace(image.pixels + image.pixels[10])

        return c_odd
    if kind == "alpha":

        @tool
        def c_alpha(image: Image, mask: Mask | None = None) -> Image:
            """Forget the alpha."""
            return Image(image.pixels)

        return c_alpha

    @tool
    def c_kind(image: Image) -> Mask:
        """Promise a mask and give a picture."""
        return image  # type: ignore[return-value]

    return c_kind


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("outside", "changes pixels outside the mask"),
        ("size", "not declared geometric"),
        ("seed", "other bytes for the same seed"),
        ("odd", "fails on a picture of 1 x 1"),
        ("alpha", "loses the picture's alpha"),
        ("kind", "is Image, not mask"),
    ],
)
def test_a_broken_promise_is_found(kind: str, word: str) -> None:
    assert word in " ".join(check(broken(kind)))


@pytest.mark.usefixtures("forgetful")
def test_a_tool_with_everything_passes() -> None:
    @tool
    def c_good(
        image: Image, mask: Mask | None = None, amount: Annotated[float, Field(ge=0, le=1)] = 0.5, *, context: Context
    ) -> Image:
        """Add seeded noise inside the mask."""
        noise = np.random.default_rng(context.seed).normal(0, 40 * amount, image.pixels.shape)
        edit = np.clip(image.pixels + noise, 0, 255)
        share = 1 if mask is None else mask.pixels[..., None] / 255
        return image.replace((image.pixels * (1 - share) + edit * share).astype(np.uint8))

    assert check(c_good) == []
