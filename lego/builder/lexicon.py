"""The words that every instruction is made of, English and Chinese, and how to read them.

Tools bring their own phrases; here is what they share: amounts, numbers, colours, places, politeness, styles.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import ImageColor

AMOUNTS: dict[str, float] = {
    # how strongly, as a factor on what a phrase implies
    "a tiny bit": 0.3, "a little bit": 0.5, "a little": 0.5, "a bit": 0.5, "a touch": 0.4, "a tad": 0.4, "a hint": 0.4, "slightly": 0.5,
    "slight": 0.5, "subtly": 0.4, "subtle": 0.4, "gently": 0.5, "gentle": 0.5, "lightly": 0.5, "somewhat": 0.7, "bit": 0.5,
    "little": 0.5, "moderately": 0.8, "a lot": 1.6, "lots": 1.6, "much": 1.6, "strongly": 1.6, "strong": 1.6,
    "heavily": 1.8, "heavy": 1.8, "very": 1.6, "really": 1.5, "way": 1.8, "dramatically": 1.8, "greatly": 1.6,
    "significantly": 1.5, "extremely": 2.0, "quite": 1.2, "considerably": 1.5, "completely": 2.0, "fully": 2.0, "totally": 2.0, "entirely": 2.0,
    "稍微": 0.5, "稍稍": 0.5, "略微": 0.5, "微微": 0.4, "轻微": 0.4, "有点": 0.5, "一点点": 0.3, "一点": 0.5, "一些": 0.7,
    "一丝": 0.4, "大幅": 1.6, "非常": 1.6, "很多": 1.6, "强烈": 1.6, "明显": 1.4, "大大": 1.6, "极度": 2.0, "很": 1.4,
}  # fmt: skip

LIKE_SIZES = {"little", "bit", "heavy", "strong", "slight", "subtle", "gentle"}  # amounts that also describe things

NUMBERS: dict[str, float] = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "forty-five": 45, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90, "hundred": 100, "half": 0.5, "quarter": 0.25, "third": 1 / 3,
    "半": 0.5, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10, "百": 100,
}  # fmt: skip

UNITS: dict[str, str] = {
    "%": "%", "percent": "%", "per cent": "%", "百分之": "%", "px": "px", "pixel": "px", "pixels": "px", "像素": "px",
    "degree": "degrees", "degrees": "degrees", "deg": "degrees", "°": "degrees", "度": "degrees", "stop": "stops",
    "stops": "stops", "ev": "stops", "档": "stops", "k": "K", "kelvin": "K", "kelvins": "K", "开尔文": "K",
}  # fmt: skip

_FILLERS = """
    a an the it its this that these them my our your me us i you we he she his her their please kindly could would
    can should want like d just now so let s to of on in at for with into by be is are was as and then also both
    some more make makes making made turn give get put have apply add do does set use using create need look looks
    looking feel feeling style styled effect mood vibe tone overall whole entire picture image photo photograph pic
    shot thing way will there here too again up down from out bit level amount value color colour colors colours 请
    帮我 帮忙 麻烦 把 将 给 让 使 使得 令 变得 变 得 更加 更具 更 加 具有 有 的 了 一下 这张 这个 这幅 这 那 张 幅
    个 图像 图片 照片 相片 图 画面 整体 整张 它 看起来 感觉 感 风格 效果 氛围 地 一个 一张 一种 添加 加上 做 成 点
    些 来 调 我 想要 想 要 为 在 上 并 和 处理 设置 应用 里 中 around 换成 变成 改成 改为 变为 转成 转为 加 i'd i'll let's tone fix 她
    convert converted transform transformed render rendered about how side
"""
FILLERS = set(_FILLERS.split())  # politeness, grammar, and the picture as a whole: they say nothing about what to do

_PICTURE = """
    it them this that picture image photo photograph pic shot everything all whole entire 图像 图片 照片 相片 图
    画面 整张 整体 它 全图 全部
"""
PICTURE = set(_PICTURE.split())  # the picture as a whole
WHOLE = PICTURE - {"it", "them", "this", "that", "all", "它"}  # and nothing else
MAKERS = {"make", "turn", "让", "使", "变", "变得"}  # verbs that a following "and brighter" goes on with

SOFT = {
    "and",
    "then",
    "&",
    "plus",
    "和",
    "并",
    "并且",
    "再",
    "然后",
    "接着",
    "同时",
    "最后",
    "finally",
    "afterwards",
    "next",
    "while",
}
STOPS = {",", ";", ".", "!", "?", "，", "。", "；", "！", "？", "、", "\n"}

KEEP: tuple[str, ...] = (
    # what follows is to stay as it is
    "but do not touch", "but don't touch", "but do not change", "but don't change", "but leave", "but keep", "but not",
    "except for", "except", "everything but", "all but", "apart from", "other than", "without touching", "without changing", "without affecting",
    "while keeping", "keeping", "excluding", "don't touch", "do not touch", "don't change", "do not change", "leave", "keep",
    "但是保留", "但保留", "但不要动", "但别动", "但是不要动", "不要动", "不要改变", "不要改", "别动", "保留", "保持", "除了", "除",
)  # fmt: skip
_KEEP_TAILS = """
    alone unchanged untouched intact original as is same in color colour colored stay the way it 以外 之外 外 不变
    不动 原样 原色 彩色
"""
KEEP_TAILS = set(_KEEP_TAILS.split())  # what ends 'keep the face as it is'
REST = {"everything", "all", "anything", "whole", "rest", "其他", "其余", "全部"}  # "everything except X"
AROUND = "everything else"  # a phrase's target beside its slot: "put {target} on a white ground" is about the rest
BACKGROUNDS = {"background", "backdrop", "背景"}
MORE = {"increase", "raise", "boost", "up", "more", "higher", "add", "增加", "提高", "增强", "提升", "加强"}
LESS = {"decrease", "reduce", "lower", "less", "cut", "drop", "down", "降低", "减少", "减弱", "调低"}
FRAMING = {"vignette", "border"}  # of a look, what makes sense for a whole picture only
REGIONS = {"background", "sky", "foreground", "face", "背景", "天空", "前景", "脸"}  # named, they win over a drawn mask
NEGATIONS: tuple[str, ...] = ("do not", "don't", "dont", "never", "no need to", "不要", "别", "无需", "不用")
CREATE = {
    "add",
    "insert",
    "put",
    "place",
    "draw",
    "generate",
    "create",
    "give",
    "添加",
    "加",
    "画",
    "放",
    "生成",
    "加入",
    "增加",
}

PLACES: dict[str, tuple[str, ...]] = {
    "top left": ("top left corner", "top left", "upper left", "top-left", "左上角", "左上"),
    "top right": ("top right corner", "top right", "upper right", "top-right", "右上角", "右上"),
    "bottom left": ("bottom left corner", "bottom left", "lower left", "bottom-left", "左下角", "左下"),
    "bottom right": ("bottom right corner", "bottom right", "lower right", "bottom-right", "右下角", "右下"),
    "top": ("at top", "top", "upper", "顶部", "上方", "上边", "上面"),
    "bottom": ("at bottom", "bottom", "lower", "底部", "下方", "下边", "下面"),
    "left": ("left side", "left", "左侧", "左边", "左"),
    "right": ("right side", "right", "右侧", "右边", "右"),
    "center": ("in center", "center", "centre", "middle", "中央", "中间", "正中", "居中"),
    "horizontal": ("horizontally", "horizontal", "left to right", "left-right", "sideways", "水平", "左右"),
    "vertical": ("vertically", "vertical", "upside down", "top to bottom", "垂直", "上下"),
}
BACKWARDS = {
    "counterclockwise", "counter-clockwise", "anticlockwise", "anti-clockwise", "counter", "left", "ccw", "逆时针", "向左",
}  # fmt: skip
FORWARDS = {"clockwise", "right", "cw", "顺时针", "向右"}
OPACITY: dict[str, float] = {
    "half transparent": 0.5, "half-transparent": 0.5, "semi transparent": 0.5, "semi-transparent": 0.5,
    "semitransparent": 0.5, "translucent": 0.5, "see-through": 0.5, "transparent": 0.5, "faint": 0.3, "faded": 0.5,
    "半透明": 0.5, "透明": 0.5,
}  # fmt: skip

COLORS: dict[str, str] = {
    # what CSS lacks or means as a screen does: by "blue" people mean a blue that things have
    "red": "#c8202a", "green": "#2e9e4a", "blue": "#1f5fd0", "yellow": "#f2c81e", "purple": "#7a2fa8", "pink": "#f08cb0",
    "brown": "#7a4a22", "orange": "#f08020", "cyan": "#20b0b0", "magenta": "#c8308c",
    "burgundy": "#800020", "mustard": "#d9a521", "cream": "#fff4d6", "rose": "#e0527a", "emerald": "#1f9e63", "lilac": "#c0a0d8",
    "peach": "#ffcba4", "mint": "#98e2c0", "charcoal": "#36454f", "bronze": "#b0793d", "copper": "#b87333", "ruby": "#b3123c",
    "amber": "#ffbf00", "sky blue": "#87ceeb", "navy blue": "#10206b", "royal blue": "#4169e1", "forest green": "#228b22",
    "dark red": "#8b0000", "light grey": "#d3d3d3", "light gray": "#d3d3d3", "hot pink": "#ff69b4", "off white": "#f5f2e8",
    "红": "#d0202a", "橙": "#f08020", "橘": "#f08020", "黄": "#f2c81e", "绿": "#2e9e4a", "青": "#20b0b0", "蓝": "#1f5fd0",
    "紫": "#8030b0", "粉": "#f08cb0", "粉红": "#f08cb0", "棕": "#8a5a2b", "褐": "#8a5a2b", "黑": "#000000", "白": "#ffffff",
    "灰": "#808080", "金": "#d4af37", "银": "#c0c0c0", "深蓝": "#0a2a7a", "浅蓝": "#8fc1f0", "天蓝": "#87ceeb", "深红": "#8b0000",
    "深绿": "#0f5a28", "浅绿": "#90dc96", "米": "#f2e6c8",
}  # fmt: skip
CSS: dict[str, str] = {name: code for name, code in ImageColor.colormap.items() if isinstance(code, str)}
SHADES: dict[str, float] = {
    "dark": 0.55, "deep": 0.65, "stormy": 0.6, "light": 1.5, "pale": 1.6, "bright": 1.15, "vivid": 1.1,
}  # fmt: skip

LOOKS: tuple[tuple[tuple[str, ...], tuple[tuple[str, dict[str, Any]], ...]], ...] = (
    # (words, steps): the words of a style and the darkroom work behind it; steps of the same tool merge
    (("vintage", "retro", "old-fashioned", "old fashioned", "nostalgic", "复古", "怀旧风", "老式"),
     (("contrast", {"contrast": 15.0}), ("sepia", {"amount": 0.55}), ("vignette", {"amount": 0.45}))),
    (("dramatic", "drama", "戏剧性", "戏剧", "戏剧化"),
     (("contrast", {"contrast": 30.0}), ("clarity", {"clarity": 30.0}), ("vignette", {"amount": 0.5}))),
    (("cinematic", "movie", "film look", "hollywood", "电影感", "电影"),
     (("contrast", {"contrast": 12.0}), ("film_look", {"name": "teal and orange", "amount": 0.75}),
      ("vignette", {"amount": 0.3}))),
    (("dreamy", "ethereal", "soft and dreamy", "梦幻", "梦境"),
     (("highlights", {"highlights": 25.0}), ("clarity", {"clarity": -45.0}), ("temperature", {"temperature": 12.0}))),
    (("moody", "gloomy", "brooding", "忧郁", "阴郁", "情绪"),
     (("exposure", {"exposure": -0.5}), ("contrast", {"contrast": 18.0}), ("saturation", {"saturation": -25.0}),
      ("vignette", {"amount": 0.4}))),
    (("golden hour", "sunset light", "sunset glow", "golden hour glow", "黄金时刻", "夕阳"),
     (("temperature", {"temperature": 45.0}), ("highlights", {"highlights": 12.0}), ("vibrance", {"vibrance": 25.0}))),
    (("high key", "high-key", "airy", "light and airy", "高调", "清新", "通透"),
     (("exposure", {"exposure": 0.6}), ("shadows", {"shadows": 35.0}), ("contrast", {"contrast": -10.0}))),
    (("low key", "low-key", "低调", "暗调"),
     (("exposure", {"exposure": -0.9}), ("contrast", {"contrast": 25.0}), ("vignette", {"amount": 0.5}))),
    (("polaroid", "instant film", "宝丽来", "拍立得"),
     (("film_look", {"name": "instant film", "amount": 1.0}), ("border", {"width": 40, "color": "#f5f2e8"}))),
    (("film", "analog", "analogue", "kodak", "胶片"),
     (("film_look", {"name": "warm film", "amount": 0.8}), ("grain", {"amount": 0.3}))),
    (("matte", "faded", "washed out", "washed-out", "哑光", "褪色"),
     (("film_look", {"name": "matte", "amount": 0.9}), ("saturation", {"saturation": -15.0}))),
    (("gritty", "rugged", "硬朗", "粗犷"),
     (("clarity", {"clarity": 55.0}), ("contrast", {"contrast": 20.0}), ("saturation", {"saturation": -25.0}))),
    (("cozy", "cosy", "温馨", "温暖"),
     (("temperature", {"temperature": 32.0}), ("shadows", {"shadows": 15.0}), ("vignette", {"amount": 0.3}))),
    (("wintry", "icy", "frosty", "arctic", "冬日", "冰冷"),
     (("temperature", {"temperature": -40.0}), ("exposure", {"exposure": 0.2}), ("saturation", {"saturation": -15.0}))),
    (("lo-fi", "lofi", "lomo", "lomography", "低保真"),
     (("film_look", {"name": "toy camera", "amount": 1.0}), ("grain", {"amount": 0.3}))),
    (("hdr", "high dynamic range", "高动态范围"),
     (("shadows", {"shadows": 55.0}), ("highlights", {"highlights": -50.0}), ("clarity", {"clarity": 40.0}))),
    (("punchy", "snappy", "pop", "醒目"),
     (("contrast", {"contrast": 18.0}), ("vibrance", {"vibrance": 40.0}), ("clarity", {"clarity": 15.0}))),
    (("noir style", "detective", "侦探片"),
     (("film_look", {"name": "noir", "amount": 1.0}), ("vignette", {"amount": 0.6}), ("grain", {"amount": 0.3}))),
    (("seventies", "70s", "1970s", "七十年代"),
     (("film_look", {"name": "faded", "amount": 0.7}), ("temperature", {"temperature": 30.0}), ("grain", {"amount": 0.35}))),
)  # fmt: skip

EXAMPLES = (
    "brighten the shadows a little and crop to 4:5",
    "turn the red cup blue",
    "make the sky a gradient from orange to purple",
)

KNOWN = sorted((w for w in FILLERS | SOFT if len(w) > 1 and not w.isascii()), key=len, reverse=True)
UNIT = "|".join(sorted((re.escape(u) for u in UNITS if u != "百分之"), key=len, reverse=True))
DIGITS = "[一二两三四五六七八九十百半]"
TOKEN = re.compile(
    r"(?P<quote>\"[^\"]+\"|“[^”]+”|「[^」]+」|『[^』]+』|《[^》]+》|‘[^’]+’|(?<![a-z0-9])'[^']+'(?![a-z0-9]))"
    r"|(?P<hex>#(?:[0-9a-f]{6}|[0-9a-f]{3})(?![0-9a-z]))"
    r"|(?P<ratio>\d+(?:\.\d+)?\s*[:：/]\s*\d+(?:\.\d+)?)"
    rf"|(?P<number>(?:百分之)?(?:[+-]?\d+(?:\.\d+)?|{DIGITS}+(?={UNIT})|(?<=百分之){DIGITS}+)\s*(?P<unit>(?:{UNIT})(?![a-z]))?)"
    r"|(?P<by>(?<=\d)\s*[x×](?=\s*\d))"
    r"|(?P<word>[a-z0-9]*[a-z][a-z0-9'’-]*|&)"
    rf"|(?P<known>{'|'.join(map(re.escape, KNOWN))})"
    r"|(?P<char>[\u3400-\u9fff])"
    r"|(?P<stop>[,;.!?，。；！？、\n])",
    re.IGNORECASE,
)


LONG_ENOUGH = 5  # letters of a word in which one wrong letter is forgiven


@dataclass(frozen=True)
class Token:
    """A word, a Chinese character or known word, a number with its unit, a quoted text, a ratio, a colour code."""

    text: str
    kind: str = "word"
    value: float = 0.0
    unit: str = ""

    @property
    def filler(self) -> bool:
        """Does it say nothing about what to do?"""
        return self.kind in ("word", "known", "char") and self.text in FILLERS


def tokens_of(text: str) -> list[Token]:
    """Split an instruction into tokens, lower case but for quoted texts."""
    found: list[Token] = []
    for match in TOKEN.finditer(text):
        kind = match.lastgroup or "word"
        raw = match[0]
        if match["quote"]:
            found.append(Token(raw[1:-1], "quote"))
        elif match["number"]:
            percent = raw.startswith("百分之")
            digits = raw.removeprefix("百分之")[: len(raw) - (len(match["unit"] or "")) - (3 if percent else 0)].strip()
            unit = "%" if percent else UNITS.get((match["unit"] or "").lower(), "")
            found.append(Token(raw.lower().strip(), "number", _number(digits), unit))
        elif match["ratio"]:
            found.append(Token(re.sub(r"\s|：|/", lambda m: "" if m[0].isspace() else ":", raw), "ratio"))
        else:
            word = "x" if kind == "by" else raw.lower().replace("’", "'")
            if word in UNITS and found and found[-1].text in NUMBERS:  # "ninety degrees"
                found[-1] = Token(found[-1].text, "number", NUMBERS[found[-1].text], UNITS[word])
            else:
                found.append(Token(word, "hex" if kind == "hex" else "stop" if kind == "stop" else "word"))
    return found


def _number(digits: str) -> float:
    if not digits or digits[-1] in "0123456789.":
        return float(digits or 0)
    total, one = 0.0, 0.0
    for digit in digits:
        if digit in "十百":
            total += (one or 1) * NUMBERS[digit]
            one = 0
        else:
            one = NUMBERS[digit]
    return total + one


def text_of(tokens: Sequence[Token]) -> str:
    """Join tokens again: words with spaces, Chinese without; quotes keep their marks."""
    text = ""
    for token in tokens:
        piece = f'"{token.text}"' if token.kind == "quote" else token.text
        glue = "" if not text or not (text[-1].isascii() and piece[:1].isascii()) else " "
        text += glue + piece
    return text


def converted(token: Token, unit: str) -> float | None:
    """Return a number in another unit; None if it cannot be. Without a unit of its own it is in that one already."""
    if token.unit == unit or not token.unit:
        return token.value
    if token.unit != "%":
        return None
    if unit == "stops":
        return math.log2(1 + token.value / 100)
    return None if unit else token.value / 100


def less(token: Token) -> Token:
    """The same number as something taken away: 30 % less is the factor .7, not one over 1.3."""
    return replace(token, value=max(-95.0, -abs(token.value)) if token.unit == "%" else -abs(token.value))


def graded(target: str) -> bool:
    """Does a target hold a degree or a condition, as in "the sky a little darker"? Then part of the wish went into it."""
    tokens = tokens_of(target)
    found = (longest(AMOUNTS, tokens, n) for n in range(len(tokens)))
    if any(hit is not None and hit[0] not in LIKE_SIZES for hit in found):
        return True
    if any(longest((*NEGATIONS, "but", "except", "without"), tokens, n) for n in range(len(tokens))):
        return True
    return bool(tokens) and all(t.filler or t.text in NUMBERS for t in tokens)


def longest(table: Iterable[str], tokens: Sequence[Token], at: int) -> tuple[str, int] | None:
    """Return the longest entry of a table that stands at a place, and how many tokens it takes."""
    for length in range(min(6, len(tokens) - at), 0, -1):
        text = text_of(tokens[at : at + length])
        if text in table and all(t.kind == "word" for t in tokens[at : at + length]):
            return text, length
    return None


def color_at(tokens: Sequence[Token], at: int) -> tuple[str, int] | None:
    """Return the colour that is named at a place, as #rrggbb, and how many tokens it takes."""
    if tokens[at].kind == "hex":
        red, green, blue = ImageColor.getrgb(tokens[at].text)[:3]
        return f"#{red:02x}{green:02x}{blue:02x}", 1
    shade = SHADES.get(tokens[at].text)
    named = longest({**COLORS, **CSS}, tokens, at)
    if named:
        text, length = named
        if at + length < len(tokens) and tokens[at + length].text == "色":
            length += 1
        return COLORS.get(text) or CSS[text], length
    joined = "".join(t.text for t in tokens[at : at + 2])
    if shade and joined in CSS and at + 1 < len(tokens):
        return CSS[joined], 2
    inner = color_at(tokens, at + 1) if shade and at + 1 < len(tokens) else None
    return (_shaded(inner[0], shade or 1.0), inner[1] + 1) if inner else None


def _shaded(color: str, factor: float) -> str:
    """Darken towards black, or lighten towards white."""
    channels = ImageColor.getrgb(color)[:3]
    if factor <= 1:
        mixed = [round(c * factor) for c in channels]
    else:
        mixed = [round(255 - (255 - c) / factor) for c in channels]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


@functools.lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """A word without the endings that do not change what is asked for: removed, removing, removes."""
    if not word.isascii() or len(word) < 5:
        return word
    for ending in ("ing", "ed", "es", "s", "ly"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and not base.endswith("s"):
            base = base[:-1] if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "ls" else base
            return base.removesuffix("e")
    return word.removesuffix("e")


def same(first: str, second: str) -> bool:
    """Are two words the same but for their endings?"""
    return first == second or (len(first) > 2 and stem(first) == stem(second))


def describes(word: str, plurals: Iterable[str]) -> bool:
    """Is the word the singular of one of these? Before a noun it tells what it is like: a white shirt has no whites."""
    return any(word != plural and plural in (f"{word}s", f"{word}es") for plural in plurals)


@functools.lru_cache(maxsize=65536)
def mistyped(meant: str, typed: str, vocabulary: frozenset[str]) -> str | None:
    """One letter wrong, missing, doubled or swapped in a long word that is no word of ours."""
    if len(meant) < LONG_ENOUGH or len(typed) < LONG_ENOUGH or not typed.isascii() or stem(typed) in vocabulary:
        return None
    if abs(len(meant) - len(typed)) > 1 or meant[0] != typed[0]:
        return None
    start = next((n for n, (a, b) in enumerate(zip(meant, typed, strict=False)) if a != b), min(len(meant), len(typed)))
    a, b = meant[start:], typed[start:]
    swapped = a[:2] == b[1::-1] and a[2:] == b[2:] and len(b) > 1
    if a[1:] == b[1:] or a[1:] == b or a == b[1:] or swapped:
        return f"{typed}' as '{meant}"
    return None


def find(needle: Sequence[Token], tokens: Sequence[Token]) -> tuple[int, int]:
    """Where a sequence of words stands, and its length; (0, 0) if nowhere."""
    size = len(needle)
    for at in range(len(tokens) - size + 1):
        if all(same(a.text, b.text) for a, b in zip(needle, tokens[at : at + size], strict=True)):
            return at, size
    return 0, 0


def after(phrases: Sequence[str], tokens: Sequence[Token]) -> list[Token] | None:
    """Return what follows the first of the phrases that the tokens begin with, fillers aside; None if none does."""
    for phrase in phrases:
        place, size = find(tokens_of(phrase), tokens)
        if size and all(t.filler for t in tokens[:place]):
            return list(tokens[place + size :])
    return None


def together(content: list[Token], tokens: list[Token]) -> bool:
    """Do only fillers stand between these tokens?"""
    first, last = tokens.index(content[0]), tokens.index(content[-1])
    return all(t.filler or t in content for t in tokens[first : last + 1])
