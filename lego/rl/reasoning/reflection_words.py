"""The words of reflection lessons: what an edit makes of a picture, what went wrong, and what comes next.

Sentences are put together from the calls of a wish and from what was spoilt, in English and in Chinese.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from lego.builder.calls import Call
from lego.rl import scenes
from lego.rl.pictures import CHINESE, names
from lego.rl.scenes import Item, Scene

STOPS = {"en": " ", "zh": ""}  # between sentences
COMMAS = {"en": ", ", "zh": "、"}
WHOLE = {"en": "the whole picture", "zh": "整张照片"}
DONE: dict[tuple[str, str], tuple[str, ...]] = {
    # what is to be seen once a call was carried out: {x} a thing or the whole picture, {c} a colour, {t} a text
    ("remove", "en"): ("{x} is gone and the ground goes on in its place", "where {x} was there is only the ground"),
    ("remove", "zh"): ("{x}不见了，原处只剩背景", "原来{x}的位置现在是背景"),
    ("recolor", "en"): ("{x} is {c} and keeps its shape and surface", "{x} has turned {c}, lit as before"),
    ("recolor", "zh"): ("{x}变成了{c}，形状和质感不变", "{x}现在是{c}的"),
    ("exposure+", "en"): ("{x} is clearly brighter", "there is more light on {x}"),
    ("exposure+", "zh"): ("{x}明显变亮", "{x}亮了起来"),
    ("exposure-", "en"): ("{x} is clearly darker", "there is less light on {x}"),
    ("exposure-", "zh"): ("{x}明显变暗", "{x}暗了下来"),
    ("temperature+", "en"): ("{x} is in a warmer, yellower light", "the tones of {x} are warmer"),
    ("temperature+", "zh"): ("{x}色调更暖", "{x}偏向暖黄"),
    ("temperature-", "en"): ("{x} is in a cooler, bluer light", "the tones of {x} are cooler"),
    ("temperature-", "zh"): ("{x}色调更冷", "{x}偏向冷蓝"),
    ("saturation+", "en"): ("the colours of {x} are stronger", "{x} is more colourful"),
    ("saturation+", "zh"): ("{x}的颜色更浓", "{x}更鲜艳"),
    ("saturation-", "en"): ("the colours of {x} are weaker", "{x} is less colourful"),
    ("saturation-", "zh"): ("{x}的颜色更淡", "{x}没那么鲜艳"),
    ("contrast+", "en"): ("light and dark in {x} are further apart", "{x} has more contrast"),
    ("contrast+", "zh"): ("{x}明暗差别更大", "{x}对比更强"),
    ("contrast-", "en"): ("light and dark in {x} are closer together", "{x} has less contrast"),
    ("contrast-", "zh"): ("{x}明暗差别更小", "{x}对比更弱"),
    ("black_and_white", "en"): ("{x} is in shades of grey", "{x} has no colour any more"),
    ("black_and_white", "zh"): ("{x}只有黑白灰", "{x}没有颜色了"),
    ("blur", "en"): ("{x} is soft and out of focus", "the edges in {x} are blurred"),
    ("blur", "zh"): ("{x}变得柔和模糊", "{x}的边缘虚化了"),
    ("sepia", "en"): ("{x} has a brown tone as of old prints", "{x} is toned sepia"),
    ("sepia", "zh"): ("{x}带有老照片的棕褐色", "{x}是棕褐色调"),
    ("add_text", "en"): ('the text "{t}" can be read at the bottom', '"{t}" is written at the bottom'),
    ("add_text", "zh"): ("底部写着“{t}”", "可以在底部读到“{t}”"),
    ("flip", "en"): ("{x} is mirrored, left and right have changed places", "left and right of {x} are exchanged"),
    ("flip", "zh"): ("{x}左右镜像", "{x}左右对调了"),
    ("crop", "en"): ("{x} is cropped to a square", "{x} is as wide as it is high"),
    ("crop", "zh"): ("{x}裁成了正方形", "{x}宽高相等"),
}
LACK: dict[str, tuple[str, ...]] = {
    "en": ("It cannot be seen that {s}.", "Missing: {s}.", "What was asked for is not there: {s}."),
    "zh": ("看不出{s}。", "还缺：{s}。", "没有做到：{s}。"),
}
RIGHT: dict[str, tuple[str, ...]] = {
    "en": ("All that was asked for is to be seen: {s}.", "As asked, {s}.", "The instruction is met: {s}."),
    "zh": ("要求都做到了：{s}。", "符合要求：{s}。", "指令已完成：{s}。"),
}
KEPT: dict[str, tuple[str, ...]] = {
    "en": ("All else is as it was.", "Everything else stays the same.", "The rest of the picture is unchanged."),
    "zh": ("其余部分保持原样。", "其他地方没有变化。", "画面其余不变。"),
}
SAME_SHAPES: dict[str, tuple[str, ...]] = {
    # in place of `KEPT` where all of the picture was to change
    "en": ("Shapes and places are as they were.", "What is in the picture stays where it was."),
    "zh": ("物体的形状和位置不变。", "画面内容还在原处。"),
}
PARTLY: dict[str, tuple[str, ...]] = {
    "en": ("This much is done: {s}.", "So far {s}.", "One part is right: {s}."),
    "zh": ("已经做到：{s}。", "目前{s}。", "有一部分是对的：{s}。"),
}
INSTEAD: dict[str, tuple[str, ...]] = {
    "en": ("Instead, {s}.", "What happened is something else: {s}."),
    "zh": ("反而{s}。", "实际却是{s}。"),
}
FLAWS: dict[tuple[str, str], tuple[str, ...]] = {
    # what is seen of a marred result
    ("spilling", "en"): ("A dark rectangle lies over a part of it.", "Elsewhere a box-shaped area is far too dark."),
    ("spilling", "zh"): ("不该动的地方多了一块暗色矩形。", "别处有一块方形区域明显变暗。"),
    ("seam", "en"): ("A bright line runs around the edited place.", "The edited part has a white outline."),
    ("seam", "zh"): ("修改处周围有一圈亮线。", "编辑区域带着不该有的白边。"),
    ("patch", "en"): ("A flat patch of one colour covers the place.", "One colour that fits nothing fills the place."),
    ("patch", "zh"): ("那里盖着一块单色。", "该处被一种与周围不符的纯色填满。"),
    ("black", "en"): ("The picture is black all over.", "Nothing can be seen: all is black."),
    ("black", "zh"): ("整张图全黑。", "画面什么也看不到，全是黑色。"),
    ("overdone", "en"): ("The effect is far too strong.", "It goes much further than asked for."),
    ("overdone", "zh"): ("效果过强。", "做得太过头了。"),
    ("idle", "en"): ("Nothing has changed.", "The result is the source itself."),
    ("idle", "zh"): ("什么都没有变。", "结果就是原图。"),
}  # fmt: skip
NEXT: dict[tuple[str, str], str] = {
    # what comes next where an effect is too strong
    ("exposure+", "en"): "darken {x} a little", ("exposure+", "zh"): "把{x}稍微变暗",
    ("exposure-", "en"): "brighten {x} a little", ("exposure-", "zh"): "把{x}稍微提亮",
    ("temperature+", "en"): "make {x} a little cooler", ("temperature+", "zh"): "让{x}稍微变冷",
    ("temperature-", "en"): "make {x} a little warmer", ("temperature-", "zh"): "让{x}稍微变暖",
    ("saturation+", "en"): "reduce the saturation of {x} a little", ("saturation+", "zh"): "稍微降低{x}的饱和度",
    ("contrast+", "en"): "lower the contrast of {x} a little", ("contrast+", "zh"): "稍微降低{x}的对比度",
}  # fmt: skip
CLOSE: dict[tuple[str, str], tuple[str, ...]] = {
    # the last sentence of a thought, by outcome
    ("success", "en"): ("Nothing is left to do.", "So the edit is done."),
    ("success", "zh"): ("不需要再修改。", "因此编辑完成。"),
    ("refine", "en"): ("The result is a good start, and one more edit will do.", "This can be mended from here."),
    ("refine", "zh"): ("结果可以继续用，再改一步即可。", "在此基础上再做一步就好。"),
    ("failed", "en"): ("It is better to begin again from the source.", "This result is of no use; start over."),
    ("failed", "zh"): ("最好从原图重新开始。", "这个结果不能用，应当重来。"),
}
THERE = {"en": ("The scene shows {s}.", "In the picture there are {s}."), "zh": ("画面里有{s}。", "图中能看到{s}。")}
SIDES = {"en": ("on the left", "in the middle", "on the right"), "zh": ("左边", "中间", "右边")}
THIRDS = (0.36, 0.64)  # of the width: where the middle begins and ends


def form_of(call: Call) -> str:
    """Return what a call does, as the tables name it: the tool, and the sign of its amount if that matters."""
    for name in ("exposure", "temperature", "saturation", "contrast"):
        if call.tool == name:
            return f"{name}{'+' if call.args.get(name, 1) > 0 else '-'}"
    return call.tool


def seen(random: Random, call: Call, language: str) -> str | None:
    """Say what a call that was carried out makes of the picture; None where there are no words for it."""
    ways = DONE.get((form_of(call), language))
    if not ways:
        return None
    thing = call.on or WHOLE[language]
    return random.choice(ways).format(x=thing, c=_color(call, language), t=call.args.get("text", ""))


def joined(parts: Sequence[str], language: str) -> str:
    """Join parts of a sentence."""
    if language == "zh":
        return "，".join(parts)
    return ", and ".join(parts)


def sentence(random: Random, ways: Sequence[str], parts: Sequence[str], language: str) -> str:
    """Put parts into one of several sentences; "" without any."""
    return random.choice(ways).format(s=joined(parts, language)) if parts else ""


def paragraph(parts: Sequence[str], language: str) -> str:
    """Join sentences, those that are "" left out, each with a capital letter."""
    return STOPS[language].join(part[:1].upper() + part[1:] for part in parts if part)


def kept(random: Random, calls: Sequence[Call], language: str) -> str:
    """Say what stays as it is whatever the calls do; "" where nothing does."""
    if any(call.tool in ("flip", "crop") for call in calls):
        return ""
    local = all(call.on or call.tool == "add_text" for call in calls)
    return random.choice((KEPT if local else SAME_SHAPES)[language])


def things(random: Random, scene: Scene, language: str, mirrored: bool = False) -> str:
    """Say what a scene shows, from left to right."""
    items = sorted(scene.items, key=lambda item: (1 - item.x) if mirrored else item.x)
    listed = []
    for item in items:
        x = 1 - item.x if mirrored else item.x
        side = SIDES[language][(x > THIRDS[0]) + (x > THIRDS[1])]
        name = names(item)
        listed.append(f"{_article(item)} {name[0]} {side}" if language == "en" else f"{side}的{name[1]}")
    return random.choice(THERE[language]).format(s=COMMAS[language].join(listed)) if listed else ""


def _article(item: Item) -> str:
    return "an" if item.color[0] in "aeiou" else "a"


def _color(call: Call, language: str) -> str:
    code = str(call.args.get("color", ""))
    for name in scenes.COLORS:
        if code == "#{:02x}{:02x}{:02x}".format(*scenes.rgb_of(name)):
            return name if language == "en" else CHINESE[name]
    return code
