"""Every text that the grammar lets through is a workflow without problems, whatever tools are registered."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pytest
from pydantic import Field

import lego.tools  # registers the embedded tools
from lego.builder.base import Request
from lego.builder.constraint import Constraint, Matcher
from lego.builder.grammar import workflow_grammar, workflow_rules
from lego.builder.prompt import Json
from lego.builder.rules import Rules
from lego.core.errors import PlanError
from lego.core.registry import Registry, Tool, tool
from lego.core.registry import registry as default_registry
from lego.core.signature import Color
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow

EVERYTHING = {"image": "image", "mask": "mask", "reference": "image"}
ALONE = {"image": "image"}


@pytest.fixture(scope="module")
def bytewise() -> Constraint:
    return Constraint("byte")


def walk(matcher: Matcher, rng: np.random.Generator, limit: int = 20000) -> str:
    """Sample uniformly from the mask; forced runs are taken as they are, as decoding does."""
    taken: list[int] = []
    while not matcher.done:
        run = matcher.forced() or [int(rng.choice(np.flatnonzero(matcher.allowed())))]
        for token in run:
            matcher.take(token)
        taken += run
        assert len(taken) < limit, "an answer must end"
    return bytes(taken).decode()


def accepts(matcher: Matcher, text: str) -> bool:
    try:
        for byte in text.encode():
            matcher.take(byte)
    except ValueError:
        return False
    return matcher.whole


class Twins(NamedTuple):
    image: Image
    mask: Mask


class Told(NamedTuple):
    words: str
    number: int


def random_registry(rng: np.random.Generator) -> Registry:
    """A registry of one to nine tools with parameters, bounds and outputs drawn at random."""
    made = Registry()
    for number in range(int(rng.integers(1, 10))):
        name = f"{''.join(rng.choice(list(string.ascii_lowercase), 4))}_{number}"
        made.add(random_tool(name, rng))
    return made


def random_tool(name: str, rng: np.random.Generator) -> Tool[..., Any]:
    annotations: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for number in range(int(rng.integers(0, 6))):
        param = f"p{number}"
        hint, default = random_parameter(rng)
        annotations[param] = hint
        if rng.random() < 0.6:
            defaults[param] = default
            if default is None:
                annotations[param] = hint | None
    outputs = [Image, Image, Image, Mask, Mask, Twins, str, Told]
    annotations["return"] = outputs[int(rng.integers(len(outputs)))]
    names = [p for p in annotations if p != "return"]
    signature = ", ".join(f"{p}={p}_default" if p in defaults else p for p in names)
    scope: dict[str, Any] = {f"{p}_default": value for p, value in defaults.items()}
    exec(f"def {name}(*, {signature}): ..." if names else f"def {name}(): ...", scope)
    function = scope[name]
    function.__annotations__ = annotations
    function.__doc__ = "Do something."
    function.__module__ = __name__
    made = tool(function)
    default_registry.remove(name)
    return made


def random_parameter(rng: np.random.Generator) -> tuple[Any, Any]:
    low = round(float(rng.uniform(-50, 50)), int(rng.integers(0, 4)))
    high = round(low + float(rng.choice([0.004, 0.5, 3, 1000])), 3)
    step = float(rng.choice([0.01, 0.05, 0.25, 0.5]))
    kinds: list[tuple[Any, Any]] = [
        (Image, None),
        (Mask, None),
        (Annotated[float, Field(ge=low, le=high)], low),
        (Annotated[float, Field(ge=-1, le=step * 7, multiple_of=step)], 0.0),
        (Annotated[float, Field(ge=0, le=2)] | None, 1.0),
        (Annotated[int, Field(ge=int(low), le=int(low) + 7)], int(low)),
        (bool, True),
        (Literal["a", 'say "b"', "$c", "d\\e", 5], "a"),
        (str, ""),
        (Annotated[str, Field(min_length=2, max_length=5)], "ab"),
        (Annotated[str, Field(pattern=r"^[a-c]+/[0-9]{2}$", max_length=8)], "a/00"),
        (Color, "red"),
        (list[Image], None),
        (Annotated[list[Annotated[int, Field(ge=0, le=9)]], Field(min_length=2, max_length=4)], [1, 2]),
        (list[Annotated[str, Field(max_length=3)]], []),
    ]
    return kinds[int(rng.integers(len(kinds)))]


@pytest.mark.parametrize("given", [ALONE, EVERYTHING, {"image": "image", "mask": "mask"}], ids=len)
def test_random_walks_over_all_tools_are_plans_without_problems(bytewise: Constraint, given: Mapping[str, str]) -> None:
    rng = np.random.default_rng(len(given))
    matcher = bytewise.start(workflow_grammar(default_registry, given))
    lengths = set()
    for _ in range(70):
        text = walk(matcher.copy(), rng)
        workflow = Workflow.load(text)
        assert workflow.check(default_registry, given) == [], text
        lengths.add(len(workflow.steps))
    assert max(lengths) > 4


def test_random_walks_over_random_registries_are_plans_without_problems(bytewise: Constraint) -> None:
    rng = np.random.default_rng(11)
    walked = 0
    while walked < 200:
        registry = random_registry(rng)
        given = [ALONE, EVERYTHING][int(rng.integers(2))]
        try:
            grammar = workflow_grammar(registry, given)
        except ValueError:
            continue  # nothing can be called: a lone tool that wants a mask which none makes
        matcher = bytewise.start(grammar)
        for _ in range(4):
            text = walk(matcher.copy(), rng)
            assert Workflow.load(text).check(registry, given) == [], f"{text}\n{[t.line_of_prompt for t in registry]}"
            walked += 1


def test_what_is_read_can_be_written_again_in_one_form(bytewise: Constraint, small: Image) -> None:
    """A random walk may hold idle steps and long numbers; written, it is let through and read the same."""
    rng = np.random.default_rng(5)
    form = Json(thought=0)
    values: dict[str, Image | Mask] = {
        "image": small,
        "reference": small,
        "mask": Mask.from_box(small.size, (1, 1, 9, 9)),
    }
    request = Request(small, "anything", tuple(default_registry), ("mask", "reference"), values)
    start = bytewise.start(form.grammar(request))
    plans = bytewise.start(workflow_grammar(default_registry, EVERYTHING))
    for _ in range(150):
        text = form.write(form.read(walk(plans.copy(), rng), request).workflow, request)
        assert accepts(start.copy(), text), text
        assert form.write(form.read(text, request).workflow, request) == text


def plan(*steps: tuple[str, dict[str, Any]], result: Any = None) -> str:
    data = [{"id": f"s{n}", "tool": name, "args": args} for n, (name, args) in enumerate(steps, 1)]
    whole = {"version": 1, "steps": data, "result": result or f"$s{len(steps)}"}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


SEGMENT = ("segment", {"image": "$image", "target": "the cat"})
GOOD = {
    "one step": plan(("exposure", {"image": "$image", "exposure": 0.5})),
    "all defaults": plan(("exposure", {"image": "$image"})),
    "an earlier mask": plan(SEGMENT, ("remove", {"image": "$image", "mask": "$s1"})),
    "an optional mask and a number": plan(SEGMENT, ("exposure", {"image": "$image", "mask": "$s1", "exposure": -1})),
    "a chain": plan(
        SEGMENT, ("remove", {"image": "$image", "mask": "$s1"}), ("exposure", {"image": "$s2", "exposure": -0.25})
    ),
    "a named output": plan(
        ("cut", {"image": "$image", "mask": "$mask"}), ("exposure", {"image": "$s1.image", "mask": "$s1.mask"})
    ),
    "a mask alone": plan(SEGMENT),
    "masks alone": plan(SEGMENT, ("mask_invert", {"mask": "$s1"})),
    "words alone": plan(("describe", {"image": "$image"}), result="$s1.text"),
    "words and a picture": plan(
        ("exposure", {"image": "$image"}), ("describe", {"image": "$s1"}), result=["$s2.text", "$s1"]
    ),
    "a picture and its mask": plan(SEGMENT, ("remove", {"image": "$image", "mask": "$s1"}), result=["$s2", "$s1"]),
    "a list of pictures": plan(("collage", {"image": "$image", "pictures": ["$reference", "$image"]})),
    "a box": plan(("crop", {"image": "$image", "box": [0, 10, 500, 1000]})),
    "a ratio": plan(("crop", {"image": "$image", "ratio": "16:9"})),
    "a choice": plan(("flip", {"image": "$image", "direction": "vertical"})),
    "a colour's name": plan(("recolor", {"image": "$image", "mask": "$mask", "color": "teal"})),
    "a colour's code": plan(("recolor", {"image": "$image", "mask": "$mask", "color": "#0a0b0c"})),
    "any letters": plan(("segment", {"image": "$image", "target": '左边的 "$ \\ é'})),
    "a dollar": plan(("segment", {"image": "$image", "target": "$$5"})),
    "twelve steps": plan(*[("exposure", {"image": f"$s{n}" if n else "$image"}) for n in range(12)]),
}
BAD = {
    "an unknown tool": plan(("explode", {"image": "$image"})),
    "out of range": plan(("exposure", {"image": "$image", "exposure": 4.01})),
    "off the grid": plan(("exposure", {"image": "$image", "exposure": 0.505})),
    "a forward reference": plan(("exposure", {"image": "$s2"}), ("exposure", {"image": "$image"})),
    "itself": plan(("exposure", {"image": "$s1"})),
    "a mask for a picture": plan(SEGMENT, ("exposure", {"image": "$s1"})),
    "a picture for a mask": plan(("exposure", {"image": "$image"}), ("remove", {"image": "$image", "mask": "$s1"})),
    "a missing mask": plan(("remove", {"image": "$image"})),
    "an output that is not there": plan(("cut", {"image": "$image", "mask": "$mask"}), ("exposure", {"image": "$s1"})),
    "a mask after a picture": plan(("exposure", {"image": "$image"}), SEGMENT),
    "no steps": plan(result="$image"),
    "an unknown argument": plan(("exposure", {"image": "$image", "gain": 1})),
    "a missing argument": plan(("segment", {"image": "$image"})),
    "no such choice": plan(("flip", {"image": "$image", "direction": "diagonal"})),
    "a box of three": plan(("crop", {"image": "$image", "box": [0, 10, 500]})),
    "no colour": plan(("recolor", {"image": "$image", "mask": "$mask", "color": "reddish"})),
    "a literal that looks like a reference": plan(("segment", {"image": "$image", "target": "$5"})),
    "a result of another step": plan(SEGMENT, ("remove", {"image": "$image", "mask": "$s1"}), result="$s1"),
    "thirteen steps": plan(*[("exposure", {"image": f"$s{n}" if n else "$image"}) for n in range(13)]),
    "spaces": plan(("exposure", {"image": "$image"})).replace(":", ": "),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_plan_is_let_through(bytewise: Constraint, name: str) -> None:
    assert Workflow.load(GOOD[name]).check(default_registry, EVERYTHING) == []
    assert accepts(bytewise.start(workflow_grammar(default_registry, EVERYTHING)), GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plan_is_refused(bytewise: Constraint, name: str) -> None:
    assert not accepts(bytewise.start(workflow_grammar(default_registry, EVERYTHING)), BAD[name])


def test_given_values_can_be_used_only_where_they_are_given(bytewise: Constraint) -> None:
    text = plan(("remove", {"image": "$image", "mask": "$mask"}))
    assert accepts(bytewise.start(workflow_grammar(default_registry, EVERYTHING)), text)
    assert not accepts(bytewise.start(workflow_grammar(default_registry, ALONE)), text)


def test_every_plan_of_the_rules_can_be_written_and_is_let_through(bytewise: Constraint, small: Image) -> None:
    """Each phrase of each tool, planned by the rules, is what a teacher would have the model say."""
    form, written = Json(), 0
    values: dict[str, Image | Mask] = {
        "image": small,
        "mask": Mask.from_box(small.size, (3, 3, 20, 20)),
        "reference": small,
    }
    for card in default_registry:
        for phrase in card.phrases[:6]:
            words = phrase.text.replace("{target}", "the dog")
            request = Request(small, words, tuple(default_registry), ("mask", "reference"), values)
            try:
                made = Rules().plan(request).workflow
            except PlanError:
                continue
            text = form.write(made, request, "because")
            assert accepts(bytewise.start(form.grammar(request)), text), text
            back = form.read(text, request).workflow
            assert back.check(default_registry, EVERYTHING) == []
            written += 1
    assert written > 350


def test_a_new_tool_is_in_the_next_grammar(bytewise: Constraint) -> None:
    registry = default_registry.copy()
    assert workflow_rules(registry, ALONE) is workflow_rules(registry.copy(), ALONE), "the same tools: made once"
    registry.remove("exposure")
    assert not accepts(bytewise.start(workflow_grammar(registry, ALONE)), GOOD["one step"])
    registry.add(default_registry["exposure"])
    assert accepts(bytewise.start(workflow_grammar(registry, ALONE)), GOOD["one step"])


def test_a_registry_of_many_shapes_has_shorter_plans() -> None:
    """Over thirty-one kinds of outputs, the 64 bits of a rule hold fewer steps, and the rest still holds."""
    rng = np.random.default_rng(0)
    registry = Registry()
    for number in range(40):
        outputs = NamedTuple(f"Out{number}", [(f"image{number}", Image), ("mask", Mask)])  # type: ignore[misc]
        scope: dict[str, Any] = {}
        exec(f"def shaped{number}(image): ...", scope)
        function = scope[f"shaped{number}"]
        function.__annotations__ = {"image": Image, "return": outputs}
        function.__doc__, function.__module__ = "Do something.", __name__
        registry.add(tool(function))
        default_registry.remove(f"shaped{number}")
    matcher = Constraint("byte").start(workflow_grammar(registry, ALONE))
    for _ in range(20):
        text = walk(matcher.copy(), rng)
        assert Workflow.load(text).check(registry, ALONE) == []
        assert len(Workflow.load(text).steps) <= 10


def test_the_grammar_of_all_tools_is_ready_at_once(bytewise: Constraint) -> None:
    """A generous bound for a busy machine: 0.01 s for the text and 0.02 s for llguidance were measured."""
    start = time.perf_counter()
    grammar = workflow_grammar(list(default_registry), {"image": "image", "reference9": "image"})
    Constraint("byte").start(grammar)
    assert time.perf_counter() - start < 1.0
