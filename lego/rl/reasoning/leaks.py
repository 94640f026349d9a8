"""Leaks: does an instruction tell the answer that is to be found by looking at the picture?

Compared is what words stand for: "crimson" tells "red", "a pair" and "两个" tell 2, "disc" tells "ball", and "he runs"
tells "running".
"""

from __future__ import annotations

import functools
import re
import unicodedata

from lego.rl.reasoning.numerals import in_digits

SHORT = 4  # things that an answer names: so short a one is told by any of them, a longer one ...
SHARE = 1 / 3  # ... by this share of them
GROUPS = (
    "red crimson scarlet ruby maroon burgundy reddish 红", "orange tangerine orangish 橙 橘",
    "yellow golden gold lemon yellowish 黄", "green emerald olive greenish 绿", "cyan turquoise teal aqua 青",
    "blue azure navy indigo bluish 蓝", "purple violet lilac lavender mauve purplish 紫",
    "pink rose fuchsia pinkish 粉", "brown chestnut brownish 棕 褐", "white whitish 白",
    "grey gray silver greyish grayish 灰", "black blackish 黑",
    "ball circle circular disc disk sphere round 球 圆盘 圆形", "box square rectangle rectangular block cube 方",
    "triangle triangular 三角", "star starlike 星", "heart heartshaped 爱心 心形", "ring hoop annulus 圆环 环形",
    "cross plus 十字", "diamond rhombus lozenge 菱形 钻石", "stop halt 停", "go drive 通行 前进", "wait 等",
    "hot warm 热", "cold cool 冷 凉",
    "0 zero none 零 〇", "2 two twice double pair couple both 二 两 双 俩", "3 three triple trio thrice 三",
    "4 four quadruple quartet 四", "5 five quintet 五", "6 six half-dozen 六", "7 seven 七", "8 eight 八", "9 nine 九",
    "10 ten 十", "11 eleven", "12 twelve dozen 一打", "13 thirteen", "14 fourteen", "15 fifteen", "16 sixteen",
    "17 seventeen", "18 eighteen", "19 nineteen",
    "left leftmost 左边 左侧", "right rightmost 右边 右侧", "top upper", "bottom lower",
    "man men guy gentleman gentlemen 男人 男子 男士", "woman women lady 女人 女子 女士", "person people human",
    "child children kid 孩子 小孩 儿童", "dog puppy hound", "cat kitten kitty feline", "car automobile 汽车 轿车",
    "bike bicycle 自行车", "motorbike motorcycle 摩托车", "plane airplane aeroplane aircraft 飞机", "boat ship",
    "sofa couch 沙发", "tv television telly 电视", "phone cellphone telephone smartphone 手机 电话", "rain rainy",
    "snow snowy", "sun sunny sunshine 太阳", "cloud cloudy", "wood wooden 木头", "glass glassy 玻璃",
    "metal metallic 金属", "big large huge", "small little tiny",
)  # fmt: skip
UNEVEN = {
    "feet": "foot", "teeth": "tooth", "mice": "mouse", "geese": "goose", "knives": "knife", "leaves": "leaf",
    "wolves": "wolf", "shelves": "shelf", "halves": "half", "ran": "run", "sat": "sit", "stood": "stand",
}  # fmt: skip
CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff〇]")  # Japanese is written with these, too
WORD = re.compile(rf"(?:(?!{CHINESE.pattern})[^\W\d_])+(?:['-](?:(?!{CHINESE.pattern})[^\W\d_])+)*|\d+(?:\.\d+)?")
SPELLED = re.compile(r"\b(?:[a-z][ .\-]){2,}[a-z]\b")  # "o-p-e-n"
COUNTED = "个只条张位件辆座棵块片头匹名"
BEFORE, AFTER = ["the", "that", "this", "which", "other"], ["of", "that", "who", "furthest", "more"]
NOT_AFTER = "".join(rf"(?<!\b{word} )" for word in BEFORE)
ONE = re.compile(  # the number, not the pronoun or the article
    rf"\b1\b|\bsingle\b|{NOT_AFTER}\bone\b(?! (?:{'|'.join(AFTER)})\b)"
    rf"|(?:只有|仅有|一共|总共)一[{COUNTED}]|^一[{COUNTED}]?$"
)
_HARMLESS = (
    "色 的 了 有 和 是 在 写 着 上 颜色 东西 形状 星期 青年 双方 红绿灯 平方 方法 地方 空的地方 方向 方式 方便 对方 "
    "他 她 它 我 你 这 那 们 很 也 都 就 不 没 与 及 或 把 被 从 到 一"
)
HARMLESS = (*_HARMLESS.split(), *COUNTED)  # they tell nothing, or contain a word of a group without meaning it
_EMPTY = (
    "a an the of in on at to its it is are was be and or with for from by this that these those there as some any all "
    "thing things object objects picture image photo answer no not he she they his her their him them i you we has "
    "have had do does did can will would"
)
EMPTY = frozenset(_EMPTY.split())


def leaked(instruction: str, answer: str, strict: bool = False) -> frozenset[str]:
    """Return what of an answer an instruction tells, empty if it tells too little to matter.

    An answer that names up to `SHORT` things is told by any of them, a longer one by a third of them. Colours, shapes,
    numbers and some common things are known by their synonyms, the first three in both languages; of other words the
    stems must be the same, and other Chinese words share two letters, or the only one.

    Args:
        strict: any single thing counts, however long the answer is.
    """
    told = meanings(answer)
    found = told & meanings(instruction, True)
    return found if strict or len(told) <= SHORT or len(found) >= SHARE * len(told) else frozenset()


def meanings(text: str, letters: bool = False) -> frozenset[str]:
    """Return what a text names: the first word of each group, and other words by their stems.

    Args:
        letters: every Chinese one counts by itself as well, not only one that stands alone.
    """
    text = in_digits(SPELLED.sub(lambda found: re.sub(r"[ .\-]", "", found[0]), _plain(text)))
    found = {"1"} if ONE.search(text) else set()
    known = _english()
    for word in WORD.findall(text):
        for part in {word, *word.split("-")}:
            single = stem(part.removesuffix("'s"))
            if single in known:
                found.add(known[single])
            elif single and part not in EMPTY and part not in ("one", "1", "single"):
                found.add(single)
    return frozenset(found | _chinese(text, letters))


def stem(word: str) -> str:
    """Return a word in lower case without what English adds to it, near enough to compare: "boxes" and "box" have the
    same, "running" and "run", "roses" and "rose".
    """
    word = UNEVEN.get(word, word)
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif re.search(r"(?:s|x|z|ch|sh)es$", word):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for end in ("ing", "ed"):
        if word.endswith(end) and len(word) > len(end) + 2 and re.search("[aeiouy]", word[: -len(end)]):
            word = re.sub(r"i$", "y", re.sub(r"([^aeiouls])\1$", r"\1", word[: -len(end)]))
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _plain(text: str) -> str:
    """A text in lower case, without accents and the wide forms of letters."""
    apart = unicodedata.normalize("NFKD", text.replace("\u2019", "'")).casefold()
    return unicodedata.normalize("NFKC", "".join(sign for sign in apart if not unicodedata.combining(sign)))


def _chinese(text: str, letters: bool) -> set[str]:
    found = set()
    for run in re.findall(f"{CHINESE.pattern}+", text):
        rest = run
        for word in _compounds():  # longest first: "三角" is no 三, "十字" no 十
            if word in rest:
                rest = rest.replace(word, " ")
                if word in _words():
                    found.add(_words()[word])
        for piece in rest.split():
            found |= {piece[n : n + 2] for n in range(len(piece) - 1)}
            found |= set(piece) if letters or len(piece) == 1 else set()
    return found


@functools.cache
def _english() -> dict[str, str]:
    groups = [group.split() for group in GROUPS]
    return {stem(word): group[0] for group in groups for word in group if not CHINESE.search(word)}


@functools.cache
def _words() -> dict[str, str]:
    groups = [group.split() for group in GROUPS]
    return {word: group[0] for group in groups for word in group if CHINESE.search(word)}


@functools.cache
def _compounds() -> tuple[str, ...]:
    return tuple(sorted({*_words(), *HARMLESS}, key=lambda word: (-len(word), word)))
