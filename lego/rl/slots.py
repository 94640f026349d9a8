"""What fills the slots of a phrasing: nouns, values said in words, degrees."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from lego.builder.lexicon import COLORS, CSS, PLACES
from lego.builder.spelling import usual
from lego.builder.words import color_from, number_at, on_grid, ratio_from, value_of, words_of
from lego.core.signature import Param
from lego.rl import phrasings
from lego.rl.phrasings import AMOUNTS, Split

ARTICLES = {
    "en": ("the",) * 12 + ("my", "my", "this", "that", "his", "her", "our"),
    "zh": ("",) * 8 + ("这个", "那个", "图里的", "我的", "画面里的", "那"),
}
PAIRED, HELD_PAIRED = 0.25, 0.08  # of things that are named, in the training and elsewhere: two of them
DESCRIBED = 0.2  # of things that are named, in the training: with a word for their colour, size, matter or place
BEHIND, ONCE = 0.25, 0.85  # of English ones, by a place behind the noun; of the others, by one word and not by two
DESCRIPTIONS = {
    "en": (
        "red", "blue", "green", "yellow", "orange", "purple", "pink", "brown", "black", "white", "grey", "gray",
        "cyan", "turquoise", "beige", "golden", "silver", "dark", "light", "dark blue", "light green", "bright red",
        "pale pink", "navy", "colourful", "striped", "big", "small", "little", "large", "tiny", "huge", "tall", "long",
        "old", "new", "round", "square", "broken", "dirty", "shiny", "wooden", "metal", "glass", "plastic", "stone",
        "paper", "leather",
    ),
    "zh": (
        "红色的", "蓝色的", "绿色的", "黄色的", "橙色的", "紫色的", "粉色的", "棕色的", "黑色的", "白色的", "灰色的",
        "青色的", "金色的", "银色的", "深蓝色的", "浅绿色的", "红", "蓝", "黄", "白", "黑", "绿", "大", "小", "旧",
        "新", "大的", "小的", "圆的", "方的", "长长的", "破的", "脏的", "木头的", "金属的", "玻璃的", "塑料",
        "石头的", "左边的", "右边的", "中间的", "后面的", "前面的", "角落里的", "背景里的", "桌上的", "地上的",
    ),
}  # fmt: skip
WHERE = (
    "on the left", "on the right", "in the middle", "in the background", "in the foreground", "in the corner",
    "at the back", "in front", "at the top", "at the bottom", "on the table", "on the ground", "in the distance",
)  # fmt: skip
OWNERS = ("her ", "his ", "my ", "their ", "our ")  # stand where an article would
JOINTS = {"en": (" and ",) * 5 + (" & ",), "zh": ("和", "和", "跟", "与")}
PLURAL = {"en": {"this": "these", "that": "those"}, "zh": {"这个": "这些", "那个": "那些", "那": "那些"}}
PICTURE = {
    "en": (
        *("it",) * 6, "the photo", "the picture", "this picture", "this photo", "the image", "this image", "this",
        "the whole thing", "my photo", "this shot", "the shot", "this pic", "the pic", "everything",
    ),
    "zh": (
        *("照片",) * 3, "图片", "这张照片", "这张图", "画面", "整张照片", "图", "整个画面", "这张图片", "它", "整体",
    ),
}  # fmt: skip
DRAWN = {
    "en": (
        "the selected area", "the marked part", "the selection", "what I marked", "the masked part", "this part",
        "that spot", "the part I painted", "the area inside the mask", "the circled bit", "here",
    ),
    "zh": (
        "选中的部分", "我圈出来的地方", "标记的区域", "选区", "这里", "涂抹的地方", "框里的东西", "遮罩里的部分",
    ),
}  # fmt: skip
DEGREES: dict[str, dict[int, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    # what the words do to the usual amount: (before the verb, after it)
    "en": {
        -1: (
            ("slightly", "a bit", "a little", "a touch", "a tad", "somewhat", "subtly", "just slightly", "a hint"),
            ("a bit", "a little", "a touch", "slightly", "a tad", "just a little", "gently", "a notch", "a smidge"),
        ),
        1: (
            ("much", "a lot", "way", "really", "far", "very", "dramatically", "considerably", "super", "extremely"),
            ("a lot", "a great deal", "heavily", "strongly", "dramatically", "by a lot", "big time", "massively"),
        ),
    },
    "zh": {
        -1: (
            ("稍微", "略微", "稍稍", "微微", "轻微", "有一点点", "一点点"),
            ("一点", "一些", "一点点", "少许", "些许", "一丢丢", "点"),
        ),
        1: (("大幅", "明显", "非常", "狠狠", "大大", "强烈", "特别"), ("很多", "不少", "许多", "得多", "好多")),
    },
}
RATIOS = ("1:1", "4:5", "5:4", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9", "2:1", "16:10", "5:7")
ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
TENS = {
    10: "ten",
    15: "fifteen",
    20: "twenty",
    30: "thirty",
    40: "forty",
    50: "fifty",
    60: "sixty",
    70: "seventy",
    80: "eighty",
    90: "ninety",
}
PERCENTS = (0.5, 1, 2, 3, 4, 5, 8, 10, 12, 15, 20, 25, 30, 33, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 100)
PIXELS = (0.5, 0.8, 1.5, 2, 3, 5, 8, 10, 12, 20, 25, 40, 50, 64, 80, 100, 150, 200, 256, 400, 512, 600, 800, 1024, 1080)
SIZES: dict[str, tuple[tuple[float, ...], tuple[str, ...], tuple[str, ...]]] = {
    # values, names in English (the first for one), names in Chinese
    "stops": ((0.3, 0.5, 0.7, 1, 1, 1.5, 2, 2.5, 3), ("stop", "stops", "ev"), ("档",)),
    "degrees": (
        (1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 45, 60, 90, 120, 180, 270), ("degree", "degrees", "deg", "°"), ("度",),
    ),
    "px": ((*PIXELS, 1200, 1600, 1920, 2000), ("pixel", "pixels", "px", "px"), ("像素", "px")),
}  # fmt: skip
HAN = "零一二三四五六七八九"
CODED, HELD_CODED = 0.25, 0.08  # of colours, in the training and elsewhere: said as a code
WORDS_SHARE = 0.15  # of numbers that are spelled


@dataclass(frozen=True)
class Noun:
    """A thing named: the words as said, and the name without its article."""

    said: str
    name: str


def noun(random: Random, language: str, split: Split) -> Noun:
    """Name a thing, with an article where that is usual; now and then two, "the cup and saucer".

    In the training some are described, "the red car", but never so that a noun of another part comes of it.
    """
    first = _noun(random, language, split)
    if random.random() >= (PAIRED if split == "train" else HELD_PAIRED):
        return first
    second = _noun(random, language, split)
    joint = random.choice(JOINTS[language]) + (second.said if random.random() < 0.5 else second.name)
    return Noun(first.said + joint, first.name + joint)


def _noun(random: Random, language: str, split: Split) -> Noun:
    line = random.choice(phrasings.lines(f"nouns_{language}", split))
    name = _bare(line)
    article = "" if line.startswith("=") else random.choice(ARTICLES[language])
    if name.startswith(OWNERS):  # drawn all the same, so that the tasks after it stay as they are
        article = ""
    if line.startswith("+"):
        article = PLURAL[language].get(article, article)
    if split == "train" and not line.startswith("=") and random.random() < DESCRIBED:
        described = _described(random, language, name)
        name = name if described in _held(language) else described
    joint = " " if article and language == "en" else ""
    return Noun(f"{article}{joint}{name}", name)


@functools.cache
def _held(language: str) -> frozenset[str]:
    """The nouns that are to be new in validation and test, "red umbrella" among them."""
    return frozenset(_bare(line) for split in ("val", "test") for line in phrasings.lines(f"nouns_{language}", split))


def _bare(line: str) -> str:
    """A noun without the marks for plurals and for those that take no article."""
    return line.lstrip("+= ")


def _described(random: Random, language: str, name: str) -> str:
    """Say of a thing what tells it from others: "red car", "big wooden table", "dog in the background"."""
    if language == "en" and random.random() < BEHIND:
        return f"{name} {random.choice(WHERE)}"
    gap = " " if language == "en" else ""
    words = gap.join(random.sample(DESCRIPTIONS[language], 1 if random.random() < ONCE else 2))
    owner = next((owner for owner in OWNERS if name.startswith(owner)), "")
    return f"{owner}{words}{gap}{name.removeprefix(owner)}"


def implied(param: Param, value: Any, degree: int = 0) -> Any:
    """The value that words imply: ``-strong`` of a number is twice its usual amount the other way.

    Raises:
        ValueError: this amount is out of the parameter's range.
    """
    if not isinstance(value, str) or param.kind not in ("number", "integer"):
        if param.kind == "choice":
            return next((choice for choice in param.choices if str(choice) == str(value)), value)
        return float(value) if param.kind == "number" else value
    sign, name = (-1, value[1:]) if value.startswith("-") else (1, value)
    level = AMOUNTS.index(name) + degree
    assert param.low is not None
    assert param.high is not None
    if level >= AMOUNTS.index("max"):
        amount = param.high if sign > 0 else param.low
    else:
        amount = sign * usual(param) * 2.0 ** (max(level, 0) - 1)
    found = on_grid(max(param.low, min(param.high, amount)), param)
    if found is None or found * sign <= 0:
        raise ValueError(f"'{value}' of {param.name} is out of range")
    return found


def said(random: Random, param: Param, language: str, split: Split, negative: bool = False) -> tuple[str, Any]:
    """Say a value of a parameter; return the words and the value that they mean.

    Raises:
        ValueError: no words were found for it.
    """
    if param.kind == "choice":
        places = [choice for choice in param.choices if choice in PLACES]  # "tiled" and "anywhere" are no places
        choice = random.choice(places or param.choices)
        return _choice(random, choice, language), choice
    if param.format == "color":
        text = _color(random, language, split)
        return text, color_from(words_of(text), 0)
    if param.format == "ratio":
        text = random.choice(RATIOS)
        return text, ratio_from(words_of(text), 0)
    if param.kind == "string":
        text = random.choice(
            [t for t in phrasings.lines("texts", split) if len(t) <= 40 and not set(t) & set("\"“”'‘’<>《》「」")]
        )
        marks = random.choice(('""', "“”", "''")) if language == "en" else random.choice(("“”", '""', "「」", "“”"))
        return f"{marks[0]}{text}{marks[1]}", text
    for _ in range(8):
        text = _number(random, param, language)
        word = number_at(words_of(text), 0)
        value = value_of(word, param, negative) if word else None
        if value is not None and value != 0:
            return text, value
    raise ValueError(f"no words for a number of '{param.name}'")


def _choice(random: Random, choice: Any, language: str) -> str:
    places = [p for p in PLACES.get(str(choice), ()) if phrasings.CHINESE.search(p) or language == "en"]
    fitting = [
        p for p in places if bool(phrasings.CHINESE.search(p)) == (language == "zh") and p[:3] not in ("at ", "in ")
    ]
    return random.choice(fitting) if fitting else str(choice).replace("_", " ")


@functools.cache
def _names(language: str) -> Sequence[str]:
    if language == "zh":
        return [name for name in COLORS if not name.isascii()]
    common = [name for name in COLORS if name.isascii()]
    return [*common * 4, *(name for name in CSS if "gr" not in name or name in ("green", "grey", "gray"))]


def _color(random: Random, language: str, split: Split) -> str:
    if random.random() < (CODED if split == "train" else HELD_CODED):
        return f"#{random.randrange(1 << 24):06x}"
    name = random.choice(_names(language))
    if language == "zh":
        return name + "色"
    shade = (
        random.choice(("dark ", "light ", "pale ", "deep ", "bright "))
        if random.random() < 0.15 and " " not in name
        else ""
    )
    return shade + name


def _number(random: Random, param: Param, language: str) -> str:
    """A number of a usual size in its unit, in digits or in words."""
    assert param.high is not None
    assert param.low is not None
    top = max(abs(param.low), abs(param.high))
    if param.unit == "K":
        return f"{random.randrange(3, 30) * 100}K"
    if param.unit == "%" or (not param.unit and top <= 1):
        value = random.choice(_within(param, PERCENTS) or (top,))
        return f"{value / 100:g}" if not param.unit and random.random() < 0.35 else _percent(random, value, language)
    if param.unit in SIZES:
        values, english, chinese = SIZES[param.unit]
        value = random.choice(_within(param, values) or (top,))
        return _unit(random, value, english, chinese, language, spelled=param.unit != "px" and value == int(value))
    if param.kind == "integer":
        return str(random.randint(int(param.low) if param.low > 0 else 1, int(min(top, 400))))
    if top > 1.5 and random.random() < 0.3:
        return _percent(random, random.choice((50, 75, 125, 150)), language)
    middle = round((param.low + param.high) / 2, 1)  # where no usual number fits, as in 35..42
    return f"{random.choice(_within(param, (0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 8)) or (middle,)):g}"


def _within(param: Param, values: Sequence[float]) -> list[float]:
    """Those values that a parameter can take, one way or the other; of a share, per cents."""
    assert param.high is not None
    assert param.low is not None
    scale = 100 if not param.unit and param.high <= 1 else 1
    low, high = max(param.low, 0.0) * scale, max(abs(param.low), abs(param.high)) * scale
    return [value for value in values if low <= value <= high and (param.kind == "number" or value == int(value))]


def _unit(
    random: Random, value: float, english: Sequence[str], chinese: Sequence[str], language: str, spelled: bool = False
) -> str:
    if language == "zh":
        digits = _han(value) if spelled and random.random() < WORDS_SHARE else f"{value:g}"
        return digits + random.choice(chinese)
    name = english[0] if value == 1 else random.choice(english[1:])
    if spelled and random.random() < WORDS_SHARE and name.isalpha() and (word := _spelled(value)):
        return f"{word} {name}"
    return f"{value:g}{random.choice(('', ' ')) if len(name) < 3 else ' '}{name}"


def _percent(random: Random, value: float, language: str) -> str:
    if language == "zh":
        return f"百分之{_han(value)}" if random.random() < WORDS_SHARE else f"{value:g}%"
    if random.random() < WORDS_SHARE and (word := _spelled(value)):
        return f"{word} percent"
    return f"{value:g}{random.choice(('%', '%', '%', ' %', ' percent', ' per cent'))}"


def _spelled(value: float) -> str:
    if value in TENS:
        return TENS[int(value)]
    if 1 <= value <= 10 and value == int(value):
        return ONES[int(value) - 1]
    tens = int(value) // 10 * 10
    return f"{TENS[tens]} {ONES[int(value) % 10 - 1]}" if 20 < value < 100 and value == int(value) else ""


def _han(value: float) -> str:
    whole = int(value)
    if whole != value or whole > 99:
        return f"{value:g}"
    tens, ones = divmod(whole, 10)
    return (HAN[tens] if tens > 1 else "") + ("十" if tens else "") + (HAN[ones] if ones else "")
