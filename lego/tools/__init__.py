"""The embedded tools. Importing this package registers them all."""

if __name__ != "lego.tools":
    raise ImportError("this is a link into lego; write `import lego.tools`, not `import tools`")

from lego.tools import (
    color,
    compose,
    draw,
    fill,
    filter,
    framing,
    geometry,
    lettering,
    mask,
    perspective,
    scale,
    segment,
    text,
    tone,
)
