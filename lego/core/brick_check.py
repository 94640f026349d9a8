"""The checker of the Lego-Edit paper's workflows: names, kinds, references, and the rules of every brick."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from typing import Any

from lego.core.bricks import BRICKS, FINDERS, RATIOS, REFERENCE, Call, Chain, Finding, show

LATIN = 0x36F  # the last code point that a Latin letter with accents needs


def check(chain: Chain, given: Collection[str]) -> list[Finding]:
    """Return every fault of a chain; see `dialect.check`."""
    findings: list[Finding] = []
    numbers: set[int] = set()
    for call in chain.calls:
        if call.number in numbers:
            text = f"two steps have the number {call.number}"
            findings.append(call.error("step", "duplicate_id", text, "later ones would overwrite its outputs"))
        numbers.add(call.number)
        findings += _names(call)
        for name, value in call.inputs.items():
            findings += _value(call, name, value, given)
        findings += _outputs(call)
        findings += _rules(call)
    if cycle := chain.order()[1]:
        names = ", ".join(f"step {chain.calls[index].number}" for index in cycle)
        findings.append(chain.calls[cycle[0]].error("input", "cycle", f"these steps wait for each other: {names}"))
    return findings + list(_ends(chain, given))


def _names(call: Call) -> Iterator[Finding]:
    """Check the brick's name and the names of its inputs."""
    if extra := [key for key in call.raw if key not in ("step", "model", "input", "output")]:
        yield call.warn(extra[0], "unknown_key", f"unknown names in the step: {', '.join(extra)}", "leave them out")
    if call.brick is None:
        near = difflib.get_close_matches(call.name, BRICKS, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(BRICKS)}"
        yield call.error("model", "unknown_tool", f"there is no brick '{call.name}'", hint)
        return
    for name in call.inputs:
        if name not in call.brick.inputs:
            yield call.error(name, "unknown_arg", f"{call.name} has no input '{name}'", call.brick.usage)
    for name in call.brick.inputs:
        if name not in call.inputs and name in call.brick.nullable:
            yield call.warn(name, "missing_arg", f"{call.name} is called without '{name}'", "write null")
        elif call.inputs.get(name) is None and name not in call.brick.nullable:
            yield call.error(name, "missing_arg", f"{call.name} needs '{name}'", call.brick.usage)


def _value(call: Call, name: str, value: Any, given: Collection[str]) -> Iterator[Finding]:
    """Check that an input is a reference that exists, or a literal, of the kind that the brick takes."""
    wanted = call.brick.inputs.get(name, "") if call.brick else ""
    if value is None:
        return
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        source, fault = call.chain.find(value, given)
        if source is None:
            yield call.error(name, *fault)
        elif wanted and source.kind and source.kind != wanted:
            yield call.error(name, "wrong_kind", f"{value} is of kind {source.kind}, not {wanted}")
        elif source.index is not None and source.index > call.index:
            yield call.warn(name, "forward_reference", f"{value} comes later in the list", "list steps in order")
        return
    kind = {str: "string", int: "number", float: "number"}.get(type(value), "")
    if wanted and kind != wanted:
        hint = "a reference is exactly init[key] or stepN[key]" if wanted in ("image", "mask") else ""
        yield call.error(name, "wrong_kind", f"{show(value)} is not of kind {wanted}", hint)
    elif kind == "" and not wanted:
        yield call.error(name, "wrong_kind", f"{show(value)} is neither reference, text nor number")
    elif kind == "string" and any(ord(c) > LATIN and c.isalpha() for c in value):
        yield call.warn(name, "not_english", f"{show(value)} is not English", "the bricks were trained on English")


def _outputs(call: Call) -> Iterator[Finding]:
    """Check that a step names only its own outputs, each by its own reference."""
    own = f"step{call.number}"
    for name, value in call.outputs.items():
        if call.brick and name not in call.brick.outputs:
            yield call.error(name, "unknown_output", f"{call.name} has no output '{name}'", call.brick.usage)
        match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if value is not None and match is None:
            yield call.error(name, "bad_reference", f"{show(value)} is no reference", f"write {own}[{name}] or null")
        elif match and match[1] != own:
            text = f"the output '{name}' claims the name {value}, which is not its own"
            yield call.error(name, "foreign_output", text, f"write {own}[{name}]")
        elif match and match[2] != name:
            yield call.warn(name, "renamed_output", f"the output '{name}' is called {value}", f"write {own}[{name}]")


def _ends(chain: Chain, given: Collection[str]) -> Iterator[Finding]:
    """Check the results, and that every step leads to one."""
    if not chain.results:
        yield Finding("", "result", "no_result", "the result is empty", "a mask is a legal result, too")
    for text in chain.results:
        if not REFERENCE.fullmatch(text):
            hint = "a reference is exactly init[key] or stepN[key]"
            yield Finding("", "result", "bad_reference", f"{show(text)} is no reference", hint)
            continue
        source, fault = chain.find(text, given)
        if source is None:
            yield Finding("", "result", *fault)
    live = chain.live()
    for call in chain.calls:
        if call.index not in live:
            text = f"nothing that {call.name} gives leads to a result"
            yield call.warn("output", "redundant_step", text, "leave the step out or return its output")


def _rules(call: Call) -> Iterator[Finding]:
    """Yield where a step breaks the rules of its brick (names and kinds are checked elsewhere)."""
    if rule := _RULES.get(call.name):
        yield from rule(call)


def _pair(call: Call) -> Iterator[Finding]:
    """INVERSE and COMPOSE: two masks or two images, the other kind null in and out."""
    masks, images = call.has("mask1") or call.has("mask2"), call.has("image1") or call.has("image2")
    if masks == images:
        yield call.error(
            "mask2", "one_kind", f"{call.name} takes masks or images, one kind per call", "null the others"
        )
        return
    kind, other = ("mask", "image") if masks else ("image", "mask")
    needed = ("mask2",) if masks and call.name == "INVERSE" else (f"{kind}1", f"{kind}2")
    for name in needed:
        if not call.has(name):
            yield call.error(name, "missing_arg", f"{call.name} of {kind}s needs '{name}'")
    if call.makes(other):
        yield call.error(other, "one_kind", f"{call.name} of {kind}s gives no {other}", f"null the output '{other}'")


def _resize(call: Call) -> Iterator[Finding]:
    if call.has("mask") == call.has("image"):
        yield call.error("mask", "one_kind", "RESIZE takes a mask or an image, exactly one", "null the other")
    else:
        other = "image" if call.has("mask") else "mask"
        if call.makes(other):
            yield call.error(other, "one_kind", f"there is no {other} to resize", f"null the output '{other}'")
    yield from _above(call, "ratio", 0, "above 0", strictly=True)


def _above(call: Call, name: str, low: float, words: str, strictly: bool = False) -> Iterator[Finding]:
    value = call.inputs.get(name)
    if isinstance(value, int | float) and not (low < value or (value == low and not strictly)):
        yield call.error(name, "out_of_range", f"{name} {value} must be {words}")


def _add_pred(call: Call) -> Iterator[Finding]:
    prompt = call.inputs.get("prompt")
    if isinstance(prompt, str) and not REFERENCE.fullmatch(prompt) and not prompt.lower().startswith("add "):
        yield call.warn("prompt", "phrase", "the prompt is no full phrase", 'such as "add ... on the left"')
    if call.index not in call.chain.feeds_flux:
        yield call.warn("output", "no_flux", "no FLUX brick uses the place that ADD-PRED finds")
    maker = call.maker("mask")
    if maker and maker.name in FINDERS and not call.chain.erases:
        text = "the place is the mask of an object that is still there"
        yield call.warn("mask", "object_as_place", text, "null lets ADD-PRED choose the place")


def _cmi_pred(call: Call) -> Iterator[Finding]:
    given = [name for name in RATIOS if call.has(name)]
    if not given:
        for name in ("image", "mask"):
            if call.makes(name):
                yield call.error(name, "no_canvas", f"without ratios there is no new {name}", "null it")
        return
    if len(given) < len(RATIOS):
        missing = next(name for name in RATIOS if name not in given)
        yield call.error(missing, "all_or_none", "all four ratios are given, or all are null", "1.0 keeps a side")
    for name in given:
        yield from _above(call, name, 1, "at least 1; CMI-PRED only enlarges")
    if call.makes("image") != call.makes("mask"):
        yield call.warn("output", "canvas_without_mask", "the canvas and the mask of its new area belong together")


def _flux_inpaint(call: Call) -> Iterator[Finding]:
    maker = call.maker("preimage")
    if call.has("preimage") and (maker is None or maker.name != "FASTINPAINT"):
        yield call.warn("preimage", "no_draft", "the preimage is no draft of FASTINPAINT")
    yield from _above(call, "score", 0, "0..1, the strength of denoising")
    score = call.inputs.get("score")
    if isinstance(score, int | float) and score > 1:
        yield call.error("score", "out_of_range", f"score {score} must be 0..1, the strength of denoising")


def _flux_fill(call: Call) -> Iterator[Finding]:
    canvas, maker = call.maker("mask"), call.maker("image")
    if canvas is None or canvas.name != "CMI-PRED" or canvas is maker:
        return
    if maker is None or not call.chain.leads(maker.index, canvas.index):
        text = "the mask covers an enlarged canvas, the image is not that canvas"
        yield call.error("image", "canvas_without_mask", text, f"write step{canvas.number}[image]")


def _flux_cbg(call: Call) -> Iterator[Finding]:
    maker, prompt = call.maker("mask"), call.inputs.get("prompt")
    if maker and maker.name != "INVERSE":
        text = f"the mask of {maker.name} is not the background"
        yield call.warn("mask", "background_mask", text, "RES or SOS, then INVERSE")
    if isinstance(prompt, str) and not REFERENCE.fullmatch(prompt) and "background" not in prompt.lower():
        yield call.warn("prompt", "phrase", "the prompt names no background", '"change the background to ..."')


def _flux_style(call: Call) -> Iterator[Finding]:
    maker = call.maker("prompt")
    if call.has("prompt") and (maker is None or maker.name != "CMI-PRED"):
        yield call.warn("prompt", "no_caption", "the prompt is not CMI-PRED's caption")


def _whole(call: Call) -> Iterator[Finding]:
    """FLUX-ENV and FLUX-POSE work on a whole picture, not on what a PREDICT brick gives."""
    for name in call.inputs:
        maker = call.maker(name)
        if maker and maker.brick and maker.brick.predicts:
            yield call.warn(name, "predicted", f"{call.name} needs no {maker.name} before it")


_RULES: dict[str, Callable[[Call], Iterator[Finding]]] = {
    "INVERSE": _pair,
    "COMPOSE": _pair,
    "RESIZE": _resize,
    "ADD-PRED": _add_pred,
    "CMI-PRED": _cmi_pred,
    "FLUX-INPAINT": _flux_inpaint,
    "FLUX-FILL": _flux_fill,
    "FLUX-CBG": _flux_cbg,
    "FLUX-STYLE": _flux_style,
    "FLUX-ENV": _whole,
    "FLUX-POSE": _whole,
}
