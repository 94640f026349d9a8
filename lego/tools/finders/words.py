"""What the words of a target ask for: a colour, a place, the sky, the subject, or something that nobody here can check."""

from __future__ import annotations

import re
from dataclasses import dataclass

COLORS: dict[str, str] = {
    "red": "red", "crimson": "red", "scarlet": "red", "maroon": "red", "ruby": "red", "红": "red", "orange": "orange",
    "橙": "orange", "橘": "orange", "yellow": "yellow", "golden": "yellow", "gold": "yellow", "黄": "yellow", "金": "yellow",
    "green": "green", "绿": "green", "cyan": "cyan", "turquoise": "cyan", "teal": "cyan", "青": "cyan", "blue": "blue",
    "navy": "blue", "蓝": "blue", "purple": "purple", "violet": "purple", "紫": "purple", "pink": "pink",
    "magenta": "pink", "粉": "pink", "brown": "brown", "棕": "brown", "褐": "brown",
}  # fmt: skip
GREYS = {"white", "black", "grey", "gray", "silver", "白", "黑", "灰", "银"}
SKY = {"sky", "skies", "heaven", "天空", "天"}
SUBJECT = {"subject", "foreground", "main", "主体", "前景", "主角", "主题"}
BACKGROUND = {"background", "backdrop", "背景", "后景"}
ALL = {"everything", "all", "whole", "entire", "picture", "image", "photo", "全部", "整张", "所有", "图片", "画面"}
FLOWERS = {"flower", "blossom", "bloom", "dahlia", "rose", "tulip", "花", "花朵", "鲜花"}
TEXT = {
    "text", "word", "lettering", "letter", "writing", "inscription", "caption", "headline", "slogan",
    "subtitle", "文字", "字样", "文本", "字幕", "字母", "的字",
}  # fmt: skip
QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|「([^」]+)」|『([^』]+)』|‘([^’]+)’|(?<!\w)'([^']+)'(?!\w)")
SAYING = re.compile(r"\b(?:says?|saying|reads?|reading)\s+(.+)|(?:写着|写有)(.+?)(?:的|$)", re.IGNORECASE)
FACE = {"face", "head shot", "脸", "人脸", "面部", "脸部"}
HAIR = re.compile(r"\bhair(?:s|style|do)?(?=$| (?:of|on|and)\b)|(?:头发|发型|秀发|长发|短发|发丝)$", re.IGNORECASE)
PLACES: dict[str, str] = {
    "leftmost": "left", "left": "left", "左": "left", "rightmost": "right", "right": "right", "右": "right",
    "topmost": "top", "top": "top", "upper": "top", "上": "top", "bottom": "bottom", "lower": "bottom", "下": "bottom",
    "center": "center", "centre": "center", "middle": "center", "central": "center", "中": "center", "largest": "largest",
    "biggest": "largest", "largest one": "largest", "最大": "largest", "smallest": "smallest", "tiniest": "smallest",
    "最小": "smallest",
}  # fmt: skip
SIDES = ("left", "right", "top", "bottom", "largest", "smallest")  # from which things can be counted
ORDINALS: dict[str, str] = {
    "first": "1", "1st": "1", "second": "2", "2nd": "2", "third": "3", "3rd": "3", "fourth": "4", "4th": "4", "fifth": "5",
    "第一": "1", "第二": "2", "第三": "3", "第四": "4", "第五": "5",
}  # fmt: skip
FILLERS = (
    "the", "a", "an", "this", "that", "these", "those", "my", "our", "your", "his", "her", "their", "on", "in", "at",
    "of", "to", "side", "corner", "one", "most", "very", "边", "侧", "面", "方", "的", "角", "色", "我",
)  # fmt: skip
COUNTED = re.compile(
    r"(?:第?[一二两三四五六七八九十几]|最[左右大小]的?|那|这|每)[只个位辆条张头匹架艘朵棵座幅]?"
)  # with measure words


@dataclass(frozen=True)
class Wanted:
    """What a target asks for.

    Attributes:
        kind: "color", "grey", "sky", "subject", "background", "all", "flower", "face", "hair", "text" or "thing".
        color: its English name.
        choose: "left", ..., "largest", or a number and where it is counted from: "2 right".
        said: what the text that is looked for says; "" for any.
    """

    kind: str
    color: str = ""
    choose: str = ""
    said: str = ""


def read(target: str) -> Wanted:
    """Read a target such as "the second red ball from the left", the words 'SALE' or 左边的红色汽车."""
    quoted = QUOTED.search(target)
    if quoted:
        return Wanted("text", said=next(filter(None, quoted.groups())).strip())
    words = re.findall(r"[a-z0-9]+", target.lower())
    chinese = "".join(re.findall(r"[\u3400-\u9fff]+", target))

    def says(table: set[str] | dict[str, str]) -> str:
        entries = sorted(table, key=len, reverse=True)
        forms = {form for word in words for form in (word, word.removesuffix("s"), word.removesuffix("ish"))}
        return next((e for e in entries if (e in forms if e.isascii() else e in chinese)), "")

    place, ordinal, color = says(PLACES), says(ORDINALS), says(COLORS)
    choose = PLACES[place] if place else ""
    if ordinal:
        choose = f"{ORDINALS[ordinal]} {choose if choose in SIDES else 'left'}"
    if says(TEXT) or chinese == "字":
        said = SAYING.search(target)
        words_said = next(filter(None, said.groups()), "").strip() if said else ""
        return Wanted("text", choose="" if words_said else choose, said=words_said)
    for kind, table in (("sky", SKY), ("background", BACKGROUND), ("subject", SUBJECT), ("face", FACE)):
        if says(table):
            return Wanted(kind)
    if HAIR.search(target.strip()):
        return Wanted("hair")
    if color:
        return Wanted("color", COLORS[color], choose)
    if says(GREYS):
        return Wanted("grey")
    if says(FLOWERS) and not choose:
        return Wanted("flower")
    return Wanted("all") if says(ALL) else Wanted("thing", choose=choose)


def noun_of(target: str) -> str:
    """Return what a thing is called, in small letters, without articles, place, number and colour."""
    chinese = "".join(re.findall(r"[\u3400-\u9fff]+", target))
    if chinese:
        chinese = COUNTED.sub("", chinese)
        for part in sorted((*FILLERS, *PLACES, *ORDINALS, *COLORS, *GREYS), key=len, reverse=True):
            chinese = chinese if part.isascii() else chinese.replace(part, "")
        return chinese
    words = re.findall(r"[a-z0-9]+(?:[-'][a-z]+)*", target.lower().split(" from the ")[0])
    skipped = {*FILLERS, *PLACES, *ORDINALS, *COLORS, *GREYS}
    return " ".join(word for word in words if word not in skipped)
