"""Film looks: each a recipe of other tools, to be read and cooked by hand as well."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np

from lego.core.registry import Tool, tool
from lego.core.signature import Context, Share
from lego.core.values import Image, Mask
from lego.tools.color import black_and_white, duotone, saturation, sepia, temperature, vibrance
from lego.tools.filter import grain, vignette
from lego.tools.grade import curves, fade, split_tone
from lego.tools.haze import glow
from lego.tools.pixels import blend
from lego.tools.tone import exposure

Recipe = tuple[tuple[Tool[..., Any], dict[str, Any]], ...]
SOFT = {"points": [0, 4, 64, 58, 128, 130, 192, 200, 255, 252]}  # S-curves that keep some slope at both ends
FIRM = {"points": [0, 0, 64, 50, 128, 130, 192, 208, 255, 253]}
HARD = {"points": [0, 2, 40, 18, 80, 58, 128, 132, 180, 207, 220, 242, 255, 255]}

LOOKS: dict[str, Recipe] = {
    # colour
    "faded": (
        (saturation, {"saturation": -28.0}),
        (fade, {"amount": 0.5}),
        (split_tone, {"shadows": "#3f5f8f", "highlights": "#e8c48a", "amount": 0.35}),
    ),
    "warm film": (
        (curves, SOFT),
        (temperature, {"temperature": 10.0}),
        (split_tone, {"shadows": "#40506a", "highlights": "#f2b45a", "amount": 0.35}),
    ),
    "cool film": (
        (saturation, {"saturation": -10.0}),
        (curves, SOFT),
        (split_tone, {"shadows": "#1f6f8f", "highlights": "#a8c4dc", "amount": 0.5}),
    ),
    "teal and orange": (
        (vibrance, {"vibrance": 20.0}),
        (curves, FIRM),
        (split_tone, {"shadows": "#157a8c", "highlights": "#f2a050", "amount": 0.6}),
    ),
    "cross process": (
        (curves, {"points": [0, 0, 64, 40, 192, 222, 255, 255], "channel": "red channel"}),
        (curves, {"points": [0, 0, 64, 52, 192, 214, 255, 255], "channel": "green channel"}),
        (curves, {"points": [0, 40, 128, 124, 255, 212], "channel": "blue channel"}),
        (saturation, {"saturation": 15.0}),
    ),
    "bleach bypass": ((saturation, {"saturation": -60.0}), (curves, HARD)),
    "matte": (
        (saturation, {"saturation": -15.0}),
        (fade, {"amount": 0.65}),
        (split_tone, {"shadows": "#4a5a70", "highlights": "#e6dcc8", "amount": 0.2}),
    ),
    "portrait film": (
        (saturation, {"saturation": -8.0}),
        (curves, {"points": [0, 10, 64, 70, 128, 140, 192, 202, 255, 252]}),
        (temperature, {"temperature": 6.0}),
        (split_tone, {"shadows": "#3c6a70", "highlights": "#f4c8a0", "amount": 0.25}),
    ),
    "slide film": ((saturation, {"saturation": 28.0}), (curves, FIRM)),
    "golden film": (
        (temperature, {"temperature": 20.0}),
        (curves, SOFT),
        (fade, {"amount": 0.15}),
        (split_tone, {"shadows": "#5a4a2a", "highlights": "#f6c860", "amount": 0.45}),
    ),
    "sixties slide": (
        (saturation, {"saturation": 12.0}),
        (curves, FIRM),
        (split_tone, {"shadows": "#28304a", "highlights": "#f0b078", "amount": 0.5}),
    ),
    "instant film": (
        (saturation, {"saturation": -15.0}),
        (fade, {"amount": 0.5}),
        (split_tone, {"shadows": "#2f6f78", "highlights": "#f2dc9a", "amount": 0.6}),
        (vignette, {"amount": 0.25}),
    ),
    "cinema print": (
        (saturation, {"saturation": -8.0}),
        (curves, FIRM),
        (split_tone, {"shadows": "#1c5a60", "highlights": "#f0c070", "amount": 0.5}),
    ),
    "tungsten film": (
        (temperature, {"temperature": -18.0}),
        (curves, SOFT),
        (split_tone, {"shadows": "#105868", "highlights": "#f08858", "amount": 0.5}),
        (glow, {"amount": 0.35, "radius": 1.0}),
    ),
    "toy camera": (
        (saturation, {"saturation": 25.0}),
        (curves, HARD),
        (split_tone, {"shadows": "#0f4a6a", "highlights": "#f2d060", "amount": 0.5}),
        (vignette, {"amount": 0.6}),
    ),
    "pastel": (
        (exposure, {"exposure": 0.25}),
        (saturation, {"saturation": -15.0}),
        (fade, {"amount": 0.55}),
        (split_tone, {"shadows": "#7a8fd0", "highlights": "#f6c0c8", "amount": 0.5}),
    ),
    "moonlight": (
        (exposure, {"exposure": -1.0}),
        (saturation, {"saturation": -50.0}),
        (curves, FIRM),
        (split_tone, {"shadows": "#1c3a78", "highlights": "#8fb4e8", "amount": 1.0}),
    ),
    "neon night": (
        (vibrance, {"vibrance": 25.0}),
        (curves, FIRM),
        (split_tone, {"shadows": "#1040a0", "highlights": "#f060a0", "amount": 0.55}),
        (glow, {"amount": 0.35}),
    ),
    "autumn": (
        (temperature, {"temperature": 18.0}),
        (curves, SOFT),
        (split_tone, {"shadows": "#5a3018", "highlights": "#e89040", "amount": 0.6}),
    ),
    "desert": (
        (saturation, {"saturation": -30.0}),
        (fade, {"amount": 0.3}),
        (split_tone, {"shadows": "#6a5030", "highlights": "#f0c890", "amount": 0.8}),
    ),
    "emerald": (
        (curves, SOFT),
        (saturation, {"saturation": -15.0}),
        (split_tone, {"shadows": "#0f5a44", "highlights": "#c8e8b0", "amount": 0.5}),
    ),
    "rose": (
        (saturation, {"saturation": -10.0}),
        (fade, {"amount": 0.3}),
        (split_tone, {"shadows": "#6a3a58", "highlights": "#f8b8b8", "amount": 0.6}),
    ),
    # black and white
    "noir": (
        (black_and_white, {"glass": "orange filter"}),
        (curves, {"points": [0, 0, 48, 16, 96, 52, 150, 118, 205, 210, 255, 252]}),
    ),
    "pushed black and white": ((black_and_white, {}), (curves, HARD), (grain, {"amount": 0.5, "size": 1.0})),
    "soft black and white": (
        (black_and_white, {"glass": "yellow filter"}),
        (curves, {"points": [0, 14, 64, 72, 128, 138, 192, 198, 255, 248]}),
        (grain, {"amount": 0.12}),
    ),
    "landscape black and white": ((black_and_white, {"glass": "red filter"}), (curves, FIRM)),
    "platinum print": (
        (black_and_white, {}),
        (fade, {"amount": 0.35}),
        (split_tone, {"shadows": "#4a3c30", "highlights": "#d8c4a0", "amount": 0.6}),
    ),
    "selenium print": (
        (black_and_white, {}),
        (curves, FIRM),
        (split_tone, {"shadows": "#3c2a50", "highlights": "#d8ccd4", "amount": 0.6}),
    ),
    "cyanotype": ((curves, FIRM), (duotone, {"dark": "#081c44", "light": "#f0f4f2"})),
    "old photograph": (
        (sepia, {"amount": 0.9}),
        (fade, {"amount": 0.45}),
        (vignette, {"amount": 0.3}),
        (grain, {"amount": 0.22}),
    ),
}

Look = Literal[
    "faded", "warm film", "cool film", "teal and orange", "cross process", "bleach bypass", "matte", "portrait film",
    "slide film", "golden film", "sixties slide", "instant film", "cinema print", "tungsten film", "toy camera",
    "pastel", "moonlight", "neon night", "autumn", "desert", "emerald", "rose", "noir", "pushed black and white",
    "soft black and white", "landscape black and white", "platinum print", "selenium print", "cyanotype",
    "old photograph",
]  # fmt: skip
ALIASES: dict[str, Look] = {  # what people call them
    "faded look": "faded", "faded film": "faded", "film noir": "noir", "cross processed": "cross process",
    "matte look": "matte", "noir": "noir", "portra": "portrait film", "kodak portra": "portrait film",
    "velvia": "slide film", "fuji velvia": "slide film", "ektachrome": "slide film", "kodachrome": "sixties slide",
    "kodak gold": "golden film", "cinestill": "tungsten film", "holga": "toy camera", "toy camera": "toy camera",
    "blockbuster": "teal and orange", "orange and teal": "teal and orange", "tri-x": "pushed black and white",
    "grainy black and white": "pushed black and white", "gritty black and white": "pushed black and white",
    "high contrast black and white": "pushed black and white",
    "black and white with high contrast": "pushed black and white", "soft black and white": "soft black and white",
    "black and white film": "pushed black and white",
    "ansel adams": "landscape black and white", "platinum": "platinum print", "selenium": "selenium print",
    "blueprint": "cyanotype", "cyanotype": "cyanotype", "antique photo": "old photograph",
    "daguerreotype": "old photograph", "day for night": "moonlight", "moonlight": "moonlight", "moonlit": "moonlight",
    "pastel": "pastel", "pastel colors": "pastel", "autumnal": "autumn", "fall colors": "autumn",
    "autumn colors": "autumn", "neon colors": "neon night", "neon lights": "neon night", "cyberpunk": "neon night",
    "movie print": "cinema print",
    "褪色": "faded", "暖色胶片": "warm film", "冷色胶片": "cool film", "青橙色调": "teal and orange",
    "青橙": "teal and orange", "黑色电影": "noir", "哑光": "matte", "交叉冲印": "cross process", "正片": "slide film",
    "反转片": "slide film", "人像胶片": "portrait film", "柯达金": "golden film", "柯达胶片": "golden film",
    "跳漂白": "bleach bypass", "蓝晒": "cyanotype", "月光效果": "moonlight", "月夜": "moonlight", "秋天色调": "autumn",
    "秋色": "autumn", "粉彩": "pastel", "马卡龙": "pastel", "赛博朋克": "neon night", "霓虹色调": "neon night",
    "玩具相机": "toy camera", "电影胶片": "cinema print", "粗颗粒黑白": "pushed black and white",
    "高反差黑白": "pushed black and white", "柔和黑白": "soft black and white", "铂金印相": "platinum print",
}  # fmt: skip
NAMED = {name: name for name in LOOKS if " " in name}  # a single word, such as rose, may mean something else
SPOKEN = {f"{name} look": name for name in LOOKS} | NAMED | ALIASES


@tool(phrases={words: {"name": name} for words, name in SPOKEN.items()})
def film_look(
    image: Image, mask: Mask | None = None, name: Look = "warm film", amount: Share = 1.0, *, context: Context
) -> Image:
    """Give the picture the look of a film, print or light: faded, warm, slide, noir, cyanotype, moonlight and others.

    Each look is a recipe of other tools (`LOOKS`), cooked in order and mixed with the picture by ``amount``.
    """
    if amount == 0:
        return image.replace(image.pixels)
    edit = image
    for step, args in LOOKS[name]:
        edit = step(edit, **args, **({step.context: context} if step.context else {}))
    mixed = np.asarray(cv2.addWeighted(image.pixels, 1 - amount, edit.pixels, amount, 0), np.uint8)
    return blend(image, mixed if amount < 1 else edit.pixels, mask)
