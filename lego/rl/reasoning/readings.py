"""Riddles whose answer is written down, or known from elsewhere: knowledge, captions, reading and arithmetic."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from math import ceil

from lego.builder.calls import Call
from lego.rl.pictures import CHINESE
from lego.rl.reasoning import riddles, staging, wordings
from lego.rl.reasoning.desk import NEW, Deed, Desk, Riddle
from lego.rl.reasoning.staging import CLEAR, Fact, band, everywhere
from lego.rl.scenes import Scene

MEDIA: dict[str, tuple[str, str, str, str, str]] = {
    # in English and Chinese; colours of the ground, the frame, and the letters
    "board": ("a school board", "教室的书写板", "#1f3d2e", "#7a4f24", "#f4f4ec"),
    "parchment": ("an old parchment", "旧羊皮纸", "#e6d3a3", "#a9824a", "#3a2412"),
    "neon": ("a neon panel", "霓虹灯牌", "#12101c", "#2d2748", "#ff4fd8"),
    "screen": ("a computer screen", "电脑屏幕", "#0f1c2e", "#30343a", "#8fe6ff"),
    "paper": ("a sheet of paper", "一张信纸", "#f6f4ee", "#d0ccc0", "#1c2a5a"),
    "slate": ("a slate", "石板", "#3b4046", "#5b4632", "#ffffff"),
}
SIGNS = (
    ("#f2e9c9", "#5a2d0c"),
    ("#1d3557", "#f1faee"),
    ("#fefefe", "#111111"),
    ("#2f2f2f", "#ffd166"),
)  # plate, letters
PLACES = {"top": "上方", "bottom": "下方"}
ROWS = (9.0, 12.0)  # height of a line on a medium, in percent of the picture's, at least and at most
SIGN = 9.0  # the same on a sign
FRAME = 6.0  # width of a medium's frame, in percent
COMPLEMENT = {
    "red": "green",
    "green": "red",
    "blue": "orange",
    "orange": "blue",
    "yellow": "purple",
    "purple": "yellow",
}
MIX = {("red", "yellow"): "orange", ("blue", "yellow"): "green", ("blue", "red"): "purple"}
RAINBOW = ("red", "orange", "yellow", "green", "blue")  # what follows blue is disputed
CORNERS = {"triangle": 3, "box": 4, "diamond": 4, "star": 5}  # that stick out
ORDERS = {"red": ("stop", "停"), "green": ("go", "通行"), "yellow": ("wait", "等待")}
TAPS = {"red": ("hot", "热"), "blue": ("cold", "冷")}
OPERATIONS: dict[str, tuple[str, Callable[[int, int], int]]] = {
    "sum": ("+", lambda a, b: a + b),
    "difference": ("-", lambda a, b: a - b),
    "product": ("x", lambda a, b: a * b),
}


def sign(desk: Desk, said: str, text: str, place: str) -> Deed:
    """Hang a sign with a text at the top or the bottom."""
    plate, ink = desk.random.choice(SIGNS)
    args = {"text": text, "position": place, "color": ink, "plate": plate, "size": SIGN}
    return Deed(said, (Call(tool="add_text", args=args),), band(place), (Fact("written", band(place)),), ())


def medium(desk: Desk, section: str, text: str) -> Deed:
    """Fill the picture with something that a text stands on; the section has a slot for what it is."""
    english, chinese, ground, frame, ink = desk.random.choice(list(MEDIA.values()))
    said = desk.say(section, medium=desk.either(english, chinese))
    args = {"shape": "rectangle", "box": [0, 0, 1000, 1000], "color": frame, "fill": ground, "width": FRAME}
    size, weight = round(desk.random.uniform(*ROWS), 1), desk.random.choice((400, 500, 700))
    calls = (
        Call(tool="draw_shape", args=args),
        Call(tool="add_text", args={"text": text, "position": "center", "color": ink, "size": size, "weight": weight}),
    )
    middle = staging.around((100, 100, 900, 900), 0)
    return Deed(said, calls, everywhere(), (Fact("written", middle),), ())


def knowledge_written(desk: Desk) -> Riddle:
    """Something that one knows of a colour or a shape, written on a sign."""
    return _knowledge(desk, ("complement", "mix", "rainbow", "corners", "light", "tap"), True)


def knowledge_put(desk: Desk) -> Riddle:
    """A colour that one knows of, put into the scene."""
    return _knowledge(desk, ("complement", "mix", "rainbow"), False)


def _knowledge(desk: Desk, kinds: tuple[str, ...], written: bool) -> Riddle:
    scene, _ = riddles.distinct(desk, 3, 5)
    items = list(enumerate(scene.items))
    kind = desk.random.choice(kinds)
    found: list[tuple[int, int, str, str]] = []  # of the thing, of a second one, and the answer in both languages
    for number, item in items:
        if kind == "complement" and item.color in COMPLEMENT:
            found.append((number, number, COMPLEMENT[item.color], ""))
        if kind == "rainbow" and item.color in RAINBOW[:-1]:
            found.append((number, number, RAINBOW[RAINBOW.index(item.color) + 1], ""))
        if kind == "mix":
            pairs = [(n, MIX.get((item.color, other.color))) for n, other in items]
            found += [(number, n, mixed, "") for n, mixed in pairs if mixed]
        if kind == "corners" and item.shape in CORNERS:
            found.append((number, number, str(CORNERS[item.shape]), str(CORNERS[item.shape])))
        if kind in ("light", "tap") and item.color in (ORDERS if kind == "light" else TAPS):
            found.append((number, number, *(ORDERS if kind == "light" else TAPS)[item.color]))
    if not found:
        raise LookupError("nothing is known of these things")
    number, second, english, chinese = desk.random.choice(found)
    answer = desk.either(english, chinese or CHINESE[english])
    call = desk.tinted if kind == "corners" else desk.shape
    question = desk.say(f"knowledge q {kind}", thing=call(scene.items[number]), other=call(scene.items[second]))
    return desk.direct(scene, question, answer, _known(desk, scene, {number, second}, english, answer, written))


def _known(desk: Desk, scene: Scene, spoken: set[int], english: str, answer: str, written: bool) -> Deed:
    """What is done with an answer: it is written, or is a colour that a new or another thing gets."""
    others = [n for n in range(len(scene.items)) if n not in spoken]
    if written:
        place = desk.random.choice(list(PLACES))
        said = desk.say("knowledge write", place=desk.either(place, PLACES[place]))
        return sign(desk, said, answer.upper(), place)
    if others and desk.random.random() < 0.5:
        number = desk.random.choice(others)
        item = scene.items[number]
        if item.color == english:
            raise LookupError("it has this colour already")
        said = desk.say("knowledge paint", paint=desk.shape(item))
        return desk.painted(scene, number, english, said, desk.whole(item), desk.shape(item))
    kind = desk.random.choice(list(NEW))
    return desk.added(scene, desk.say("knowledge put", new=desk.new(kind)), kind, english)


def caption(desk: Desk) -> Riddle:
    """What is to be seen, from left to right, written on something that fills the picture."""
    scene, _ = riddles.distinct(desk, 2, 4)
    items = sorted(scene.items, key=lambda item: item.x)
    if any(b.x - a.x < CLEAR for a, b in itertools.pairwise(items)):
        raise LookupError("it is not clear what stands further left")
    if desk.language == "zh":
        parts = [f"{CHINESE[item.color]}的{CHINESE[item.shape]}" for item in items]
        answer = "、".join(parts[:-1]) + "和" + parts[-1] + "。"
    else:
        parts = [f"{'an' if item.color == 'orange' else 'a'} {item.color} {item.shape}" for item in items]
        answer = (", ".join(parts[:-1]) + " and " + parts[-1] + ".").capitalize()
    question = desk.say("caption q")
    deed = medium(desk, "caption do", answer)
    return desk.direct(scene, question, answer, deed)


def ocr(desk: Desk) -> Riddle:
    """The text in a scene, written elsewhere."""
    text = desk.random.choice(wordings.of("texts", desk.language, desk.split))
    ground = desk.ground(2, 4, text)
    scene = ground.arranged(
        [(shape, color) for shape, color in zip(staging.shapes(desk.random, 4), ground.colors, strict=False)]
    )
    place = _place_of(scene)
    other = "bottom" if place == "top" else "top"
    said = {"place": desk.either(place, PLACES[place]), "other": desk.either(other, PLACES[other])}
    question = desk.say("ocr q", place=said["place"])
    if desk.random.random() < 0.5:
        deed = sign(desk, desk.say("ocr do sign", **said), text, other)
    else:
        deed = medium(desk, "ocr do board", text)
    return desk.direct(scene, question, text, deed)


def maths(desk: Desk) -> Riddle:
    """A calculation with what is counted or written, and its result, on something that fills the picture."""
    kind = desk.random.choice((*OPERATIONS, "mean", "written"))
    if kind == "written":
        return _written(desk)
    first, second = desk.random.choice([(a, b) for a in (2, 3, 4) for b in (2, 3, 4) if a + b <= 6])
    if kind == "difference" and first - second < 1:
        raise LookupError("there are not more")
    scene, _, _, (called, other), _ = riddles.groups(desk, first, second)
    if kind == "mean":
        mean = Fraction(first + second, 2)
        answer = ceil(mean)
        text = f"({first} + {second}) / 2 = {float(mean):g}"
        if mean != answer:
            text += desk.either(f", rounded up {answer}", f"，取整得{answer}")
    else:
        symbol, work = OPERATIONS[kind]
        answer = work(first, second)
        text = f"{first} {symbol} {second} = {answer}"
    question = desk.say(f"math q {kind}", **{"class": called}, other=other)
    deed = medium(desk, "math do", text)
    return desk.direct(scene, question, str(answer), deed)


def _written(desk: Desk) -> Riddle:
    symbol, work = desk.random.choice(list(OPERATIONS.values()))
    first, second = sorted(desk.random.sample(range(2, 13), 2), reverse=True)
    ground = desk.ground(2, 4, f"{first} {symbol} {second} =")
    shapes = staging.shapes(desk.random, 4)
    scene = ground.arranged([(shape, color) for shape, color in zip(shapes, ground.colors, strict=False)])
    place = _place_of(scene)
    question = desk.say("math q written", place=desk.either(place, PLACES[place]))
    answer = work(first, second)
    deed = medium(desk, "math do", f"{first} {symbol} {second} = {answer}")
    return desk.direct(scene, question, str(answer), deed)


def _place_of(scene: Scene) -> str:
    return "top" if scene.words and scene.words.y < 0.5 else "bottom"
