"""What is kept of pairs on the disk, so that encoders run once: latents of the pictures, and what words turned into."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lego.core.errors import TrainingError
from lego.core.ledger import ROOM
from lego.rl.bricks.families import Family, Kept
from lego.rl.bricks.pairs import Pair, pairs


@dataclass(frozen=True)
class Example:
    """A pair that is kept: the names of what is kept of its pictures, of its words, and of no words.

    Attributes:
        shape: of its latents; those of one batch must be alike.
        where, said: of the pair: where it was, and its words.
    """

    pictures: str
    words: str
    empty: str
    shape: tuple[tuple[int, ...], ...]
    where: str
    said: str


class Store:
    """A folder of what was kept.

    Args:
        folder: which is made.
        family: that encodes.
        model: what tells the weights of the encoders from others.
    """

    def __init__(self, folder: Path, family: Family, model: str) -> None:
        self.folder, self.family = folder, family
        recipe = family.recipe
        self.kind = f"{type(family).__name__} {model} {recipe.way} {recipe.size} {bool(recipe.joint)}"

    def fill(
        self, data: Path, hold: int, listen: Callable[[int], None] = lambda count: None
    ) -> tuple[list[Example], list[Pair]]:
        """Encode all pairs of a data set that are not kept yet; return them, and some as they are, to look at.

        These are the last ``hold`` ones, or else the first.

        Raises:
            RecordError: a pair is broken.
            TrainingError: there is no room, fewer pairs than are held back, or a latent is no number.
        """
        import torch

        found: list[Example] = []
        looks: list[Pair] = []
        with torch.inference_mode():
            for pair in pairs(data):
                found.append(self.keep(pair))
                looks = [*looks, pair][-hold:] if hold else [*looks, pair][: self.family.recipe.looks]
                listen(len(found))
        if hold >= len(found):
            message = f"{hold} of {len(found)} pairs are held back, and none is left to learn from"
            raise TrainingError(message, where=str(data), hint="give more pairs, or a smaller `hold`", code="no_pairs")
        return found, looks

    def keep(self, pair: Pair) -> Example:
        """Encode a pair, unless that is done; return its example."""
        card = self.family.recipe.card
        words = pair.words if card.slots else card.prompt  # of what is always said alike, only that is learned
        mask = pair.mask.digest if pair.mask else ""
        looks = self._name("pictures", pair.before.digest, pair.after.digest, mask)
        seen = [pair.before.digest, mask] if self.family.sees else []
        names = [self._name("words", text, *seen) for text in (words, "")]
        kept = self._kept(looks, lambda: self.family.pictures(pair), pair.where)
        for name, text in zip(names, (words, ""), strict=True):
            self._kept(name, lambda text=text: self.family.words(text, pair), pair.where)  # type: ignore[misc]
        shape = tuple(tuple(kept[name].shape) for name in sorted(kept))
        return Example(looks, names[0], names[1], shape, pair.where, words)

    def load(self, name: str) -> Kept:
        """Return what is kept under a name."""
        from safetensors.torch import load_file

        return dict(load_file(self.folder / name))

    def batch(self, examples: Sequence[Example], empty: Sequence[bool]) -> Kept:
        """Return examples of one shape as one batch; those marked ``empty`` without their words."""
        import torch

        pictures = [self.load(example.pictures) for example in examples]
        words = [self.load(e.empty if none else e.words) for e, none in zip(examples, empty, strict=True)]
        longest = max(part["text"].shape[0] for part in words)
        for part in words:
            for name in ("text", "text_mask"):
                if name in part and (short := longest - part[name].shape[0]):
                    part[name] = torch.cat([part[name], part[name].new_zeros((short, *part[name].shape[1:]))])
        rows = [{**looks, **part} for looks, part in zip(pictures, words, strict=True)]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _name(self, *facts: str) -> str:
        text = "\0".join([self.kind, *facts])
        return f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}.safetensors"

    def _kept(self, name: str, make: Callable[[], Kept], where: str) -> dict[str, Any]:
        from safetensors.torch import save_file

        path = self.folder / name
        if path.exists():
            return self.load(name)
        kept = {key: value.detach().cpu().contiguous().clone() for key, value in make().items()}
        if not all(bool(value.isfinite().all()) for value in kept.values()):
            hint = "take the pair out; if it is so with all, encode in fp32"
            raise TrainingError("its latents are no numbers", where=where, hint=hint, code="not_a_number")
        part = path.with_name(f"{name}.{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(kept, part)
            os.replace(part, path)
        except Exception as error:  # safetensors has an error of its own for a full disk
            part.unlink(missing_ok=True)
            message = f"what was encoded cannot be kept: {error}"
            raise TrainingError(message, where=str(self.folder), hint=ROOM, code="cannot_write") from error
        return kept
