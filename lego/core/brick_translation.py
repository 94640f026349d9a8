"""From the bricks of the Lego-Edit paper to our tools: translated where there is a counterpart, else named honestly."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import ImageColor

from lego.core.bricks import FINDERS, RATIOS, REFERENCE, Call, Chain, reach
from lego.core.errors import WorkflowError
from lego.core.steps import REFERENCE as OURS
from lego.core.steps import Step

# Output of each tool with one output, so that a reference to it can be written without its name.
ONLY = {
    "segment": "mask", "mask_refine": "mask", "mask_invert": "mask", "mask_subtract": "mask", "mask_box": "mask",
    "mask_union": "mask", "mask_resize": "mask", "find_room": "mask", "remove": "image", "recolor": "image",
    "generate_fill": "image", "instruct_edit": "image", "paste": "image", "layer_scale": "image",
    "layer_subtract": "image", "sketch": "image", "watercolor": "image", "oil": "image", "cartoon": "image",
    "ink": "image", "caption": "caption",
}  # fmt: skip
STYLES = {  # words of a style, and our tool for it; other styles are painted by a network
    "sketch": r"pencil|charcoal|sketch", "watercolor": r"watercolou?r|aquarelle", "oil": r"\boil\b",
    "cartoon": r"cartoon|comic", "ink": r"\bink\b",
}  # fmt: skip
SCENE = re.compile(r"(?:change|turn|replace) the background (?:to|into|with|by) ", re.IGNORECASE)
LONGEST_PROMPT = 200  # characters of a prompt in which a colour is looked for; more is no plain wish for a colour
# Colour names that name a material or a thing first: "to linen" wants cloth. With the word "colour" they are colours.
THINGS = frozenset({
    "chocolate", "coral", "gold", "honeydew", "ivory", "lavender", "linen", "orchid", "papayawhip", "plum", "salmon",
    "seashell", "silver", "snow", "thistle", "tomato", "wheat",
})  # fmt: skip
RECOLORING = re.compile(
    r"(?:.*\b(?:to|into)|(?:make|paint|turn|dye|tint|colou?r) (?:the|this|that|his|her|its|their|my) \w+)"
    r" (?:an? |the )?(colou?r )?([a-z -]+?)( colou?r)?\.?",
    re.IGNORECASE,
)


class Translated(NamedTuple):
    """The parts of a `Workflow`, in its order."""

    steps: tuple[Step, ...]
    result: str | tuple[str, ...]
    notes: tuple[str, ...]


def translate(chain: Chain, repairs: Sequence[str] = ()) -> Translated:
    """Return our workflow's parts for a chain; ``notes`` are the repairs, then what was dropped or approximated.

    Raises:
        WorkflowError: code "cycle", steps wait for each other.
    """
    order, cycle = chain.order()
    if cycle:
        names = ", ".join(f"step {chain.calls[index].number}" for index in cycle)
        hint = "a step can only use what is made before it"
        raise WorkflowError(f"these steps wait for each other: {names}", where="pipeline", hint=hint, code="cycle")
    translator = _Translator(chain)
    for index in order:
        translator.add(chain.calls[index])
    return translator.finish(repairs)


class _Translator:
    """Gathers steps and notes, calls first in dependency order, then the end."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.steps: list[tuple[Call, Step]] = []
        self.notes: list[str] = []
        self.tools: dict[int, str] = {}  # tool of each translated call, "" if it keeps its brick's name
        self.same: dict[int, str] = {}  # calls that do what another has done already, and the reference to that
        used = [value for call in chain.calls for value in call.inputs.values()]
        self.used = {
            (source.index, source.output) for value in [*used, *chain.results] if (source := chain.find(value)[0])
        }

    def add(self, call: Call) -> None:
        """Append the step of a call, and those that give what the one step does not."""
        if canvas := self.filled(call):
            self.same[call.index] = self.value(call.inputs["image"])
            self.notes.append(f"{call}: left out, because the `extend_canvas` of {canvas} paints what is new")
            return
        tool, args = self.counterpart(call) or ("", {})
        self.tools[call.index] = tool
        plain = call.name.lower().replace("-", "_")
        step = Step(f"s{call.number}", tool or plain, args if tool else self.args(call, *call.inputs))
        self.steps.append((call, step))
        if tool and call.name in FINDERS and (call.index, "image") in self.used:
            whole = {"mask": f"${step.id}", "trim": False}  # theirs stands where it stood
            cut = Step(f"{step.id}_cut", "cut", self.args(call, "image") | whole)
            self.steps.append((call, cut))
        if tool == "extend_canvas" and (call.index, "caption") in self.used:
            self.steps.append((call, Step(f"{step.id}_caption", "caption", self.args(call, "image"))))

    def filled(self, call: Call) -> Call | None:
        """The call that enlarged a canvas, if this one does nothing but fill it: our `extend_canvas` does both."""
        maker = call.maker("mask") if call.name == "FLUX-FILL" else None
        if maker is None or maker is not call.maker("image") or self.tools.get(maker.index) != "extend_canvas":
            return None
        return maker

    def counterpart(self, call: Call) -> tuple[str, dict[str, Any]] | None:
        """Return our tool and its arguments, or None if the brick has none or is called against its rules."""
        return self.finding(call) or self.editing(call)

    def finding(self, call: Call) -> tuple[str, dict[str, Any]] | None:
        """Return the same of a brick that gives a mask or tells something."""
        masks, images = call.has("mask2"), call.has("image1") or call.has("image2")
        match call.name:
            case "RES":
                return "segment", self.args(call, "image", target="prompt")
            case "SOS":
                return "segment", self.args(call, "image") | {"target": "subject"}
            case "MASK-SEG":
                return "mask_refine", self.args(call, "image", "mask")
            case "INVERSE" if masks and not images and not call.has("mask1"):
                return "mask_invert", self.args(call, mask="mask2")
            case "INVERSE" if masks and not images:
                return "mask_subtract", self.args(call, first="mask1", second="mask2")
            case "COMPOSE" if masks and not images and call.has("mask1"):
                return "mask_union", self.args(call, first="mask1", second="mask2")
            case "BBOX":
                return "mask_box", self.args(call, "mask")
            case "RESIZE" if call.has("mask") and not call.has("image"):
                return "mask_resize", self.args(call, "mask", factor="ratio")
            case "ADD-PRED":
                return "find_room", self.args(call, "image", "mask", thing="prompt")
            case "CMI-PRED" if growth := growth_of(call):
                return "extend_canvas", self.args(call, "image") | growth
            case "CMI-PRED" if not any(call.has(name) for name in RATIOS):
                return "caption", self.args(call, "image")
        return None

    def editing(self, call: Call) -> tuple[str, dict[str, Any]] | None:
        """Return the same of a brick that gives a picture."""
        layers = call.has("image1", "image2") and not call.has("mask1") and not call.has("mask2")
        match call.name:
            case "FASTINPAINT" | "FLUX-INPAINT":
                if call.has("preimage") or call.has("score"):
                    self.notes.append(f"{call}: preimage and score are dropped, because `remove` makes its own draft")
                return "remove", self.args(call, "image", "mask")
            case "FLUX-RCM" if color := color_of(call.inputs.get("prompt")):
                self.notes.append(f"{call}: the prompt {call.inputs['prompt']!r} is taken as the colour {color}")
                return "recolor", self.args(call, "image", "mask") | {"color": color}
            case "FLUX-RCM" | "FLUX-ENV" | "FLUX-POSE":
                return "instruct_edit", self.args(call, "image", "mask", instruction="prompt")
            case "FLUX-FILL":
                return "generate_fill", self.args(call, "image", "mask", "prompt", picture="preimage")
            case "FLUX-CBG" if isinstance(prompt := call.inputs.get("prompt"), str):
                return "generate_fill", self.args(call, "image", "mask") | {"prompt": SCENE.sub("", prompt)}
            case "FLUX-STYLE" if isinstance(style := call.inputs.get("style"), str):
                return self.styled(call, style)
            case "COMPOSE" if layers:
                return "paste", self.args(call, image="image1", picture="image2") | {"scale": 1.0}
            case "INVERSE" if layers:
                return "layer_subtract", self.args(call, image="image1", picture="image2")
            case "RESIZE" if call.has("image") and not call.has("mask"):
                return "layer_scale", self.args(call, "image", factor="ratio")
        return None

    def styled(self, call: Call, style: str) -> tuple[str, dict[str, Any]]:
        """Return our tool for a style, which needs no caption."""
        self.notes.append(f"{call}: the caption is dropped, because our tools see the picture themselves")
        own = next((name for name, words in STYLES.items() if re.search(words, style, re.IGNORECASE)), "")
        told = {} if own else {"instruction": f"turn it into {style}"}
        return own or "instruct_edit", self.args(call, "image", "mask") | told

    def args(self, call: Call, *same: str, **renamed: str) -> dict[str, Any]:
        """Return the inputs that are not null in our syntax, under their own names or, ``ours=theirs``, under ours."""
        names = {name: name for name in same} | renamed
        return {ours: self.value(call.inputs[theirs]) for ours, theirs in names.items() if call.has(theirs)}

    def value(self, value: Any) -> Any:
        """Return a reference or literal in our syntax."""
        if isinstance(value, list):
            return [item if isinstance(item, list) else self.value(item) for item in value]
        if not isinstance(value, str):
            return value
        match = REFERENCE.fullmatch(value)
        if match is None:
            return f"${value}" if value.startswith("$") else value
        source = self.chain.find(value)[0]
        if source is None:  # points to nothing: our checker shall say so
            return f"${match[1].replace('step', 's')}.{match[2]}"
        if source.index is None:
            return f"${source.output}"
        if source.index in self.same:
            return self.same[source.index]
        name, tool = f"$s{self.chain.calls[source.index].number}", self.tools.get(source.index, "")
        if source.output == ONLY.get(tool):
            return name
        if tool and source.output == "image" and self.chain.calls[source.index].name in FINDERS:
            return f"{name}_cut.image"
        if tool == "extend_canvas" and source.output == "caption":
            return f"{name}_caption.caption"
        return f"{name}.{source.output}"

    def finish(self, repairs: Sequence[str]) -> Translated:
        """Return the workflow without the steps that only what was dropped had needed."""
        results = tuple(str(self.value(text)) for text in self.chain.results)
        args = {step.id: list(step.args.values()) for _, step in self.steps}
        kept = reach(_names(results), lambda name: _names(args.get(name, [])))
        live = self.chain.live()
        steps = []
        for call, step in self.steps:
            if step.id in kept or call.index not in live:
                steps.append(step)
            else:
                self.notes.append(f"{call}: `{step.tool}` is left out, because nothing needs it after the translation")
        return Translated(tuple(steps), results[0] if len(results) == 1 else results, (*repairs, *self.notes))


def _names(values: Sequence[Any]) -> set[str]:
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return {match[1] for item in flat if isinstance(item, str) and (match := OURS.fullmatch(item))}


def color_of(prompt: Any) -> str:
    """Return the colour name that a prompt plainly asks for ("change the door to dark green"), or "".

    The words after "to", or after "paint the door", must be one known name and nothing else: "mustard yellow" is not
    yellow, and "olive green velvet" is no colour.
    """
    match = RECOLORING.fullmatch(prompt.strip()) if isinstance(prompt, str) and len(prompt) <= LONGEST_PROMPT else None
    if match is None:
        return ""
    name = re.sub(r"[ -]", "", match[2].lower())
    said = match[1] or match[3]
    return name if name in ImageColor.colormap and (said or name not in THINGS) else ""


def growth_of(call: Call) -> dict[str, float] | None:
    """Return what CMI-PRED's four ratios add to each side in % of the picture's width or height, or None.

    A side with ratio r grows by r - 1 of the size; four equal ratios mean the whole canvas, so each side gets half.
    """
    ratios = [call.inputs.get(name) for name in RATIOS]
    numbers = [r for r in ratios if isinstance(r, int | float) and not isinstance(r, bool) and math.isfinite(r)]
    if len(numbers) < len(RATIOS):
        return None
    share = 50 if len(set(numbers)) == 1 else 100
    percent = [round(share * (number - 1), 2) for number in numbers]
    sides = [name.removesuffix("_ratio") for name in RATIOS]
    return {side: int(p) if p == int(p) else p for side, p in zip(sides, percent, strict=True)}
