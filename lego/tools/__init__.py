"""The embedded tools. Importing this package registers them all."""

if __name__ != "lego.tools":
    raise ImportError("this is a link into lego; write `import lego.tools`, not `import tools`")

from pathlib import Path
from typing import Any

from lego.core.registry import Registry, Tool
from lego.tools import (
    color,
    compose,
    craft,
    describe,
    draw,
    fill,
    filter,
    focus,
    framing,
    generate,
    geometry,
    grade,
    haze,
    histogram,
    layer,
    layout,
    lettering,
    looks,
    mask,
    matting,
    mosaic,
    perspective,
    portrait,
    room,
    scale,
    segment,
    stylize,
    text,
    tone,
    watermark,
)
from lego.tools.neural import depth, outlines
from lego.tools.neural import describe as neural_describe
from lego.tools.neural import fill as neural_fill  # engines of the tools above
from lego.tools.neural import generate as neural_generate
from lego.tools.neural import scale as neural_scale
from lego.tools.neural.brick import load_brick as load_brick


def load_tools(registry: Registry, path: Path) -> list[Tool[..., Any]]:
    """Register the tools of a Python file, or the brick in a folder; return them.

    Raises:
        ToolDefinitionError: a function there cannot become a tool.
    """
    return [load_brick(path)] if path.is_dir() else registry.load(path)
