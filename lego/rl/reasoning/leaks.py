"""Leaks: does an instruction tell the answer that is to be found by looking at the picture?

Compared is what words stand for: "crimson" tells "red", "a pair" and "两个" tell 2, "disc" tells "ball".
"""

from __future__ import annotations

import functools
import re

SHORT = 4  # things that an answer names: so short a one is told by any of them, a longer one ...
SHARE = 1 / 3  # ... by this share of them
GROUPS = (
    "red crimson scarlet ruby 红", "orange tangerine 橙 橘", "yellow golden lemon 黄", "green emerald 绿",
    "cyan turquoise teal 青", "blue azure navy 蓝", "purple violet lilac 紫", "pink rose 粉", "brown 棕 褐", "white 白",
    "grey gray silver 灰", "black 黑",
    "ball circle circular disc disk sphere round 球 圆盘 圆形", "box square rectangle rectangular block cube 方",
    "triangle triangular 三角", "star starlike 星", "heart heartshaped 爱心 心形", "ring hoop annulus 圆环 环形",
    "cross plus 十字", "diamond rhombus lozenge 菱形 钻石", "stop halt 停", "go drive 通行 前进", "wait 等",
    "hot warm 热", "cold cool 冷 凉",
    "0 zero none 零 〇", "2 two twice double pair couple both 二 两 双 俩", "3 three triple trio thrice 三",
    "4 four quadruple 四", "5 five 五", "6 six half-dozen 六", "7 seven 七", "8 eight 八", "9 nine 九", "10 ten 十",
    "11 eleven 十一", "12 twelve dozen 十二", "13 thirteen 十三", "14 fourteen 十四", "15 fifteen 十五",
    "16 sixteen 十六", "17 seventeen 十七", "18 eighteen 十八", "19 nineteen 十九", "20 twenty 二十",
)  # fmt: skip
CHINESE = re.compile(r"[\u3400-\u9fff〇]")
ENGLISH = re.compile(r"[a-z]+(?:['-][a-z]+)*|\d+(?:\.\d+)?")
BEFORE, AFTER = ["the", "that", "this", "which", "other"], ["of", "that", "who", "furthest", "more"]
NOT_AFTER = "".join(rf"(?<!\b{word} )" for word in BEFORE)
ONE = re.compile(rf"\b1\b|\bsingle\b|{NOT_AFTER}\bone\b(?! (?:{'|'.join(AFTER)})\b)")  # the number, not the pronoun
_HARMLESS = "色 的 了 有 个 和 是 在 写 着 上 颜色 东西 形状 星期 青年 双方 红绿灯 平方 方法 地方 空的地方 方向"
HARMLESS = tuple(_HARMLESS.split())  # they tell nothing, or contain a word of a group without meaning it
_EMPTY = (
    "a an the of in on at to its it is are was be and or with for from by this that these those there as some any all "
    "thing things object objects picture image photo answer no not"
)
EMPTY = frozenset(_EMPTY.split())


def leaked(instruction: str, answer: str, strict: bool = False) -> frozenset[str]:
    """Return what of an answer an instruction tells, empty if it tells too little to matter.

    An answer that names up to `SHORT` things is told by any of them, a longer one by a third of them. Colours, shapes,
    small numbers and a few more are known by their synonyms and in both languages; other words must be the same, up to
    a plural s, and other Chinese words share two letters.

    Args:
        strict: any single thing counts, however long the answer is.
    """
    told = meanings(answer)
    found = told & meanings(instruction)
    return found if strict or len(told) <= SHORT or len(found) >= SHARE * len(told) else frozenset()


def meanings(text: str) -> frozenset[str]:
    """Return what a text names: the first word of each group, and other words as they are."""
    text = text.casefold()
    found = {"1"} if ONE.search(text) else set()
    known = _english()
    for word in ENGLISH.findall(text):
        for part in {word, *word.split("-")}:
            single = part.removesuffix("'s")
            single = single[:-1] if single not in known and single.endswith("s") else single
            single = single[:-1] if single not in known and single.endswith("e") and single[:-1] in known else single
            if single in known:
                found.add(known[single])
            elif single and part not in EMPTY and single not in ("one", "1", "single"):
                found.add(single)
    return frozenset(found | _chinese(text))


def _chinese(text: str) -> set[str]:
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
    return found


@functools.cache
def _english() -> dict[str, str]:
    groups = [group.split() for group in GROUPS]
    return {word: group[0] for group in groups for word in group if not CHINESE.search(word)}


@functools.cache
def _words() -> dict[str, str]:
    groups = [group.split() for group in GROUPS]
    return {word: group[0] for group in groups for word in group if CHINESE.search(word)}


@functools.cache
def _compounds() -> tuple[str, ...]:
    return tuple(sorted({*_words(), *HARMLESS}, key=lambda word: (-len(word), word)))
