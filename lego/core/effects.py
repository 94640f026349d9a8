"""Effects: what a tool's card promises that can be measured in the picture, so that a critic can check it."""

from __future__ import annotations

from dataclasses import dataclass

MEASURES = ("lightness", "contrast", "saturation", "warmth", "magenta", "sharpness", "grain")
OTHERS = {
    "gone": "what the mask covers is to disappear",
    "color": "the masked thing is to have the colour of the parameter with that format",
    "text": "the text of the last parameter with that format is to be readable",
    "mirror": "the picture is to be mirrored as the parameter 'direction' says",
}


@dataclass(frozen=True)
class Effect:
    """What a tool does to what can be measured.

    Attributes:
        kind: one of `MEASURES` or `OTHERS`.
        sign: of a measure: 1 it rises, -1 it falls; where the tool's own number (the parameter of its name) is below 0,
            the other way round.
    """

    kind: str
    sign: int = 1

    @classmethod
    def read(cls, text: str) -> Effect:
        """Read "+lightness", "-sharpness", "gone", ...

        Raises:
            ValueError: there is no such effect; the message lists all.
        """
        kind = text.lstrip("+-")
        measured = text[:1] in "+-" and kind in MEASURES
        if not measured and text not in OTHERS:
            known = ", ".join([*(f"'+{name}', '-{name}'" for name in MEASURES), *(f"'{name}'" for name in OTHERS)])
            raise ValueError(f"there is no effect '{text}'; known: {known}")
        return cls(kind, -1 if text[0] == "-" else 1)
