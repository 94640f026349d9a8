"""Plans for words in pictures, drawing, framing and perspective, in both languages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lego import builder
from lego.builder.base import Request
from lego.core.errors import PlanError
from lego.core.registry import registry
from lego.core.values import Image

PICTURE = Image(np.zeros((4, 4, 3), np.uint8))


def steps(words: str) -> list[tuple[str, dict[str, Any]]]:
    made = builder.open("rules").plan(Request(PICTURE, words, tuple(registry.running()), ()))
    assert made.workflow.check(registry, {"image": "image"}) == [], words
    return [(step.tool, {k: v for k, v in step.args.items() if k != "image"}) for step in made.workflow.steps]


def aimed(target: str, tool: str, **args: Any) -> list[tuple[str, dict[str, Any]]]:
    return [("segment", {"target": target}), (tool, {"mask": "$s1", **args})]


PLANS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "remove the text": [("remove_text", {})],
    "delete all the text in the picture": [("remove_text", {})],
    "remove the caption at the bottom": [("remove_text", {"position": "bottom"})],
    "remove the text 'SALE'": aimed('"SALE"', "remove_text"),
    "remove 'SALE'": aimed('"SALE"', "remove"),
    "blur the words 'SALE'": aimed('words "SALE"', "blur", radius=1.2),
    "把图片上的文字去掉": [("remove_text", {})],
    "去掉文字“特价”": aimed('"特价"', "remove_text"),
    "去除文字": [("remove_text", {})],
    "change the text from 'OPEN' to 'CLOSED'": [("replace_text", {"old": "OPEN", "new": "CLOSED"})],
    "make the sign say 'CLOSED' instead of 'OPEN'": [("replace_text", {"old": "OPEN", "new": "CLOSED"})],
    "把“秋日”改成“春日”": [("replace_text", {"old": "秋日", "new": "春日"})],
    "write 'Note' in black on a white plate": [("add_text", {"text": "Note", "color": "#000000", "plate": "#ffffff"})],
    "write 'SALE' with an outline": [("add_text", {"text": "SALE", "outline": 0.08})],
    "draw a red circle around the red cup": aimed("red cup", "draw_shape", shape="circle", color="#c8202a"),
    "underline the words 'SALE'": aimed('words "SALE"', "draw_shape", shape="underline"),
    "draw a line": [("draw_shape", {"shape": "line"})],
    "圈出红色的杯子": aimed("红色的杯子", "draw_shape", shape="ellipse"),
    "add a yellow arrow to the cup": aimed("cup", "draw_arrow", color="#f2c81e"),
    "画一个箭头指向红色的杯子": aimed("红色的杯子", "draw_arrow"),
    "crop to the subject": [("crop_to_subject", {})],
    "crop to the red cup in 1:1": aimed("red cup", "crop_to_subject", ratio="1:1"),
    "裁剪到红色的杯子": aimed("红色的杯子", "crop_to_subject"),
    "crop to 4:5": [("crop", {"ratio": "4:5"})],
    "crop to a square": [("crop", {"ratio": "1:1"})],
    "upscale by 3": [("upscale", {"factor": 3.0})],
    "放大3倍": [("upscale", {"factor": 3.0})],
    "fix the perspective": [("perspective", {})],
    "校正透视": [("perspective", {})],
    "tilt the camera up by 8 degrees": [("perspective", {"vertical": 8.0})],
    "straighten the horizon": [("straighten", {})],
    "add a white frame": [("border", {"color": "#ffffff"})],
}


@pytest.mark.parametrize(("words", "expected"), PLANS.items(), ids=PLANS)
def test_an_instruction_becomes_this_step(words: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    assert steps(words) == expected


@pytest.mark.parametrize("words", ["draw a hat on the cat", "add a line of trees", "draw it as a castle"])
def test_what_cannot_be_drawn_is_not_taken_for_a_shape(words: str) -> None:
    with pytest.raises(PlanError):
        steps(words)
