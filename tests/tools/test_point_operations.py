"""Tools that move values along curves: a run of them is one pass over the pixels, and gives the bytes of many."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import lego.tools  # noqa: F401  registers them
from lego.core.errors import ImageError
from lego.core.held import Lookup
from lego.core.registry import registry
from lego.core.steps import Step
from lego.core.trace import StepDone, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.run import Executor

CURVES: dict[str, dict[str, Any]] = {
    "exposure": {"exposure": 0.7}, "brightness": {"brightness": -30.0}, "contrast": {"contrast": 40.0},
    "whites": {"whites": 30.0}, "blacks": {"blacks": -30.0}, "curves": {"channel": "red channel"},
    "levels": {"gamma": 1.4}, "fade": {"amount": 0.8}, "invert": {}, "temperature": {"temperature": 40.0},
    "tint": {"tint": -30.0}, "white_balance": {}, "split_tone": {},
}  # fmt: skip


def photo(seed: int = 3) -> Image:
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(20, 230, 90), np.linspace(0, 60, 70))
    pixels = np.dstack([x, 200 - y - x / 3, x / 2 + y]) + rng.normal(0, 9, (70, 90, 3))
    return Image(np.clip(pixels, 0, 255).astype(np.uint8), rng.integers(0, 256, (70, 90), dtype=np.uint8))


def waits(image: Image) -> bool:
    return all(held.present is None for held in image.held[:1])


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_waits_until_somebody_looks_and_gives_its_own_bytes(name: str) -> None:
    image = photo()
    made = registry[name].function(image, **CURVES[name])
    assert waits(made)
    assert made.size == image.size
    assert made.nbytes == image.nbytes
    everywhere = Mask(np.full((70, 90), 255, np.uint8))
    at_once = registry[name].function(image, mask=everywhere, **CURVES[name])
    assert not waits(at_once)
    assert made == at_once
    assert not waits(made)
    assert not made.pixels.flags.writeable


@pytest.mark.parametrize(("first", "then"), list(itertools.product(CURVES, CURVES)))
def test_two_curves_in_one_pass_give_the_bytes_of_two_passes(first: str, then: str) -> None:
    one = registry[first].function(photo(), **CURVES[first])
    together = registry[then].function(one, **CURVES[then])
    assert waits(one), "nobody has looked at it"
    looked_at = registry[first].function(photo(), **CURVES[first])
    assert looked_at.pixels.shape == (70, 90, 3)
    by_turns = registry[then].function(looked_at, **CURVES[then])
    assert together == by_turns
    assert one == looked_at


def test_every_tool_that_waits_is_tested_here() -> None:
    image = photo()
    found = set()
    for tool in registry:
        needed = {p.name for p in tool.params if p.required} - {"image"}
        if tool.family in ("tone", "grade", "color", "histogram", "filter", "looks") and not needed:
            made = tool(image)
            found |= {tool.name} if isinstance(made, Image) and waits(made) else set()
    assert found == set(CURVES)


def test_a_run_of_curves_is_one_pass_and_each_step_keeps_its_event_and_its_key() -> None:
    steps = [
        Step(f"s{n}", name, {"image": f"$s{n - 1}" if n else "$image", **args})
        for n, (name, args) in enumerate(CURVES.items())
    ]
    flow, trace, executor = Workflow(tuple(steps), f"$s{len(steps) - 1}"), Trace(), Executor()
    run = executor.run(flow, {"image": photo()}, trace=trace)
    assert [event.step for event in trace.of(StepDone)] == [step.id for step in steps]
    assert len(executor.cache) == len(steps)
    assert all(waits(outputs["image"]) for outputs in run.outputs.values())
    wanted = photo()
    for name, args in CURVES.items():
        wanted = registry[name].function(wanted, **args)
        assert wanted.pixels is not None, "looked at after every step"
    assert run.results[0] == wanted
    assert waits(run.outputs["s3"]["image"]), "looking at the end leaves the steps between as they are"
    shorter = executor.run(Workflow(tuple(steps[:4]), "$s3"), {"image": photo()}).results[0]
    assert shorter is run.outputs["s3"]["image"], "it is in the cache"
    for event in trace.of(StepDone):
        assert event.outputs == {"image": run.outputs[event.step]["image"].digest}


def test_a_curve_keeps_alpha_and_drops_sixteen_bits() -> None:
    deep = Image(photo().pixels, photo().alpha, deep=photo().pixels.astype(np.uint16) * 257)
    made = deep.through(np.arange(256, dtype=np.uint8))
    assert made.alpha is deep.alpha
    assert made.deep is None


def test_some_of_the_pixels_can_be_had_without_the_rest() -> None:
    made = photo().through(np.arange(255, -1, -1, dtype=np.uint8))
    part = made.part(slice(10, 20, 3), slice(5, 50))
    assert waits(made)
    assert np.array_equal(part, made.pixels[10:20:3, 5:50])


@pytest.mark.parametrize("table", [np.zeros(255, np.uint8), np.zeros((256, 1), np.uint8), np.zeros(256)])
def test_a_table_of_another_form_is_refused(table: Any) -> None:
    with pytest.raises(ImageError, match="256"):
        photo().through(table)


def test_what_is_looked_up_does_not_change_with_the_table_that_was_given() -> None:
    table = np.arange(256, dtype=np.uint8)
    made = photo().through(table)
    table[:] = 0
    assert made.pixels.max() > 0
    assert isinstance(made.through(table).held[0]._later, Lookup)
