"""Builders: from a picture and words to a workflow."""

from __future__ import annotations

from lego.core.errors import SettingsError

if __name__ != "lego.builder":
    raise ImportError("this is a link into lego; write `import lego.builder`, not `import builder`")

from lego.builder.base import Builder

NAMES = ("rules",)


def open(name: str) -> Builder:
    """Return the builder of that name.

    Raises:
        SettingsError: there is none.
    """
    if name == "rules":
        from lego.builder.rules import Rules

        return Rules()
    hint = f"this release has {', '.join(NAMES)}; language models come with a later one"
    raise SettingsError(f"there is no builder '{name}'", hint=hint, code="unknown_builder")
