"""What tuning on edits that need an answer first does to a builder: to its understanding, to such and other edits.

    python benchmarks/riddles.py FOLDER [FOLDER ...]        # checkpoints in the form "pointing"; minutes each

Scenes, words and nouns are those of the test (of plain instructions: of the validation). "Other picture" is the
control, the same words over the picture of another riddle: what is right there was not seen.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import lego.tools  # noqa: F401  # registers them
from lego.builder.base import Request
from lego.builder.decode import answers
from lego.builder.local import Checkpoint, inputs_of, text_of
from lego.builder.words import words_of
from lego.core.errors import LegoError, PlanError
from lego.core.registry import registry, tool
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.run import Executor
from lego.rl import rollouts, scenes, supply
from lego.rl.checkpoint import open_learner
from lego.rl.pictures import CHINESE
from lego.rl.reasoning import intelligent, staging
from lego.rl.reasoning.desk import PLURAL, Riddle
from lego.rl.recipe import Data, Recipe
from lego.rl.scenes import Scene

SEED = 90
TOKENS = 64  # of an answer
OFFERED = 4  # answers to choose from
KINDS: dict[str, Sequence[str]] = {"color": staging.VIVID, "shape": scenes.SHAPES, "count": ("2", "3", "4", "5")}
SOFTNESS = 10.0  # of the ridge regression that reads answers off the network


@tool(phrases=["answer the question"])
def answer(image: Image, text: Annotated[str, Field(description="the answer", max_length=40)]) -> str:
    """Answer a question about the picture in words of the question."""
    return text


registry.remove("answer")  # it is for the questions alone


@dataclass(frozen=True)
class Asked:
    """A riddle with its picture and its category."""

    riddle: Riddle
    image: Image
    category: str


def riddles(count: int, language: str = "both", mix: dict[str, float] = intelligent.POINTED) -> Iterator[Asked]:
    """Yield riddles of the test split whose edits can be pointed at."""
    maker = intelligent.Riddles(SEED, language, "test", mix, intelligent.POINTERS)
    made = (next(maker.riddles(number), None) for number in itertools.count())
    fitting = (one for one in made if one and (one[0].pointed or not one[0].holds) and not intelligent.leaks(one[0]))
    for riddle, desk, told in itertools.islice(fitting, count):
        yield Asked(riddle, desk.drawing(riddle.scene).image, told["category"])


# -- editing ----------------------------------------------------------------------------------------------------------


def planned(checkpoint: Checkpoint, asked: Sequence[Asked], images: Sequence[Image]) -> list[Workflow | None]:
    """Return the likeliest plan under the grammar for each riddle over a picture; None for a refusal."""
    tools = tuple(registry.running())
    plans: list[Workflow | None] = []
    for start in range(0, len(asked), rollouts.AT_ONCE):
        pairs = list(zip(asked, images, strict=True))[start : start + rollouts.AT_ONCE]
        requests = [Request(image, one.riddle.instruction, tools) for one, image in pairs]
        for request, found in zip(requests, rollouts.roll(checkpoint, requests, 1, 0.0, 0, TOKENS), strict=True):
            try:
                plans.append(checkpoint.form.read(text_of(checkpoint, found.ids), request).workflow)
            except PlanError:
                plans.append(None)
    return plans


def success(executor: Executor, one: Asked, workflow: Workflow | None) -> bool:
    """Does a plan do what the riddle asks for? Nouns are found by the scene's truth, as by a perfect network."""
    if workflow is None:
        return False
    given: dict[str, Image | Mask] = {"image": one.image}
    names: dict[Any, str] = {}
    steps = []
    try:
        for step in workflow.dump()["steps"]:
            if step["tool"] == "segment":
                names[f"${step['id']}"], given[f"found_{step['id']}"] = (
                    f"$found_{step['id']}", found(one.riddle.scene, step["args"]["target"]),
                )  # fmt: skip
            else:
                args = {name: _named(value, names) for name, value in step["args"].items()}
                steps.append({**step, "args": args})
        flow = Workflow.load({"version": 1, "steps": steps, "result": _named(workflow.dump()["result"], names)})
        made = executor.run(flow, given, seed=0).results
    except (LegoError, LookupError):
        return False
    target = next((value for value in made if isinstance(value, Image)), None)
    riddle = one.riddle
    return target is not None and not staging.faults(
        one.image, target, riddle.scene, riddle.where, riddle.facts, riddle.touched
    )


def _named(value: Any, names: dict[Any, str]) -> Any:
    return names.get(value, value) if isinstance(value, str) else value


def found(scene: Scene, words: str) -> Mask:
    """Return the mask of the things that some words name by colour and shape.

    Raises:
        LookupError: there are none.
    """
    text = words.lower()
    colors = [color for color in staging.VIVID if color in text or CHINESE[color] in text]
    shapes = [
        shape for shape in scenes.SHAPES if shape in text or PLURAL.get(shape, shape) in text or CHINESE[shape] in text
    ]
    masks = [
        mask
        for item, mask in zip(scene.items, scenes.render(scene, (staging.SIDE, staging.SIDE)).masks, strict=True)
        if (not colors or item.color in colors) and (not shapes or item.shape in shapes)
    ]
    if not masks or not (colors or shapes):
        raise LookupError(f"'{words}' names nothing here")
    whole = masks[0]
    for mask in masks[1:]:
        whole = whole | mask
    return whole


# -- understanding ----------------------------------------------------------------------------------------------------


@functools.cache
def questions(count: int, kind: str) -> list[tuple[str, str, list[str], Image]]:
    """Return questions of a kind in English: the words, the answer, what there is to choose from, the picture."""
    random = Random(SEED)
    asked = []
    for one in riddles(count, "en", {kind: 1.0}):
        others = [value for value in KINDS[kind] if value != one.riddle.answer]
        offered = [one.riddle.answer, *random.sample(others, OFFERED - 1)]
        random.shuffle(offered)
        asked.append((one.riddle.question, one.riddle.answer, offered, one.image))
    return asked


def chosen(checkpoint: Checkpoint, question: str, offered: Sequence[str], image: Image) -> str:
    """Return the answer that the network finds likeliest of those offered, by pointing at it."""
    words = f"{question} {', '.join(offered[:-1])} or {offered[-1]}?"
    request = Request(image, words, (answer,))  # type: ignore[arg-type]  # a tool, to its registry
    texts = [word.text for word in words_of(words)]
    asked = len(words_of(question))
    places = [texts.index(one, asked) for one in offered]
    grammar = "start: <t_0> <p_0> (" + " | ".join(f"<w_{n}> <w_{n}>" for n in places) + ")"
    with rollouts.evaluating(checkpoint.model):
        made = answers(checkpoint.start(request), [checkpoint.constraint.start(grammar)])[0]
    said = text_of(checkpoint, made.ids)
    return offered[next(number for number, place in enumerate(places) if f"<w_{place}>" in said)]


def state(checkpoint: Checkpoint, asked: Sequence[tuple[str, Image]]) -> NDArray[np.float64]:
    """Return the network's last hidden state after each question over a picture, questions x width."""
    import torch

    found = []
    for start in range(0, len(asked), rollouts.AT_ONCE):
        requests = [Request(image, words, ()) for words, image in asked[start : start + rollouts.AT_ONCE]]
        with rollouts.evaluating(checkpoint.model), torch.no_grad():
            made = checkpoint.model(**inputs_of(checkpoint, requests), output_hidden_states=True, use_cache=False)
        found.append(made.hidden_states[-1][:, -1].double().numpy())
    return np.concatenate(found)


def read_off(checkpoint: Checkpoint, kind: str, count: int) -> tuple[float, float, float]:
    """Return how often a linear model reads the answer off the network, the same with other pictures, and by guessing.

    Ridge regression on one-hot answers, fitted to two thirds of the questions and asked about the rest.
    """
    asked = questions(count, kind)
    known = [KINDS[kind].index(right) for _, right, _, _ in asked]
    fit = 2 * count // 3
    states = state(checkpoint, [(words, image) for words, _, _, image in asked])
    swapped = state(checkpoint, [(asked[n][0], asked[n - 1][3]) for n in range(fit, count)])
    middle, spread = states[:fit].mean(0), states[:fit].std(0) + 1e-6
    inputs = np.hstack([(states - middle) / spread, np.ones((count, 1))])
    others = np.hstack([(swapped - middle) / spread, np.ones((count - fit, 1))])
    wanted = np.eye(len(KINDS[kind]))[known]
    weights = np.linalg.solve(
        inputs[:fit].T @ inputs[:fit] + SOFTNESS * np.eye(inputs.shape[1]), inputs[:fit].T @ wanted[:fit]
    )
    truth = np.array(known[fit:])
    most = np.bincount(known[:fit]).argmax()
    right = ((inputs[fit:] @ weights).argmax(1) == truth).mean()
    return float(right), float(((others @ weights).argmax(1) == truth).mean()), float((truth == most).mean())


# -- all of it --------------------------------------------------------------------------------------------------------


def measured(folder: Path, counts: dict[str, int]) -> dict[str, Any]:
    """Return all figures of a checkpoint: shares of what was right, by what was asked."""
    recipe = Recipe.load("nano").model_copy(update={"model": str(folder), "precision": "fp32"})
    learner = open_learner(recipe, None, folder, registry)
    learner.model.eval()
    checkpoint, executor = learner.checkpoint, Executor(registry)
    figures: dict[str, Any] = {}
    for kind in KINDS:
        asked = questions(counts["questions"], kind)
        for name, shift in (("chosen", 0), ("chosen, other picture", 1)):
            right = [chosen(checkpoint, q, o, asked[n - shift][3]) == a for n, (q, a, o, _) in enumerate(asked)]
            figures[f"{name}: {kind}"] = sum(right) / len(right)
        figures |= dict(
            zip(
                (f"read off: {kind}", f"read off, other picture: {kind}", f"most frequent: {kind}"),
                read_off(checkpoint, kind, counts["states"]), strict=True,
            )
        )  # fmt: skip
    figures |= edits(checkpoint, executor, list(riddles(counts["riddles"])))
    plain = list(itertools.islice(supply.tasks(Data(split="val"), registry), counts["plain"]))
    figures["plain instructions"] = rollouts.accuracy(checkpoint, plain, TOKENS)
    return figures


def edits(checkpoint: Checkpoint, executor: Executor, asked: list[Asked]) -> dict[str, float]:
    """Return how many riddles end as they should, in all and by category, and how conditions are judged."""
    figures = {}
    for name, images in (
        ("", [one.image for one in asked]),
        (", other picture", [asked[n - 1].image for n in range(len(asked))]),
    ):
        plans = planned(checkpoint, asked, images)
        good = [success(executor, one, plan) for one, plan in zip(asked, plans, strict=True)]
        figures[f"edits{name}"] = sum(good) / len(good)
        for category in intelligent.POINTED:
            part = [right for one, right in zip(asked, good, strict=True) if one.category == category]
            figures[f"edits{name}: {category}"] = sum(part) / max(1, len(part))
        tests = [
            (plan is not None and bool(plan.steps)) == one.riddle.holds and plan is not None
            for one, plan in zip(asked, plans, strict=True)
            if one.riddle.condition
        ]
        figures[f"conditions{name}"] = sum(tests) / len(tests)
        figures[f"refused{name}"] = sum(plan is None for plan in plans) / len(plans)
    return figures


def main() -> None:
    """Print the figures of each checkpoint, a line each, and as JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", nargs="+", type=Path)
    options.add_argument("--questions", type=int, default=200, help="of each kind, to choose an answer of")
    options.add_argument("--states", type=int, default=900, help="questions of each kind to read answers off")
    options.add_argument("--riddles", type=int, default=400)
    options.add_argument("--plain", type=int, default=400)
    asked = options.parse_args()
    counts = {name: getattr(asked, name) for name in ("questions", "states", "riddles", "plain")}
    found = {str(folder): measured(folder, counts) for folder in asked.folders}
    for name in next(iter(found.values())):
        print(f"{name:42}" + "".join(f"{figures[name]:9.1%}" for figures in found.values()))
    print(json.dumps({"counts": counts, **found}))


if __name__ == "__main__":
    main()
