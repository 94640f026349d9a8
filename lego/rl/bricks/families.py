"""Families of diffusion pipelines as they learn: what is kept of a pair, and what the network says of a noisy picture.

All latents here are batch x channels x rows x columns; what a transformer wants as tokens is packed on the way in and
unpacked on the way out. Conditions are exactly those that the pipeline of diffusers makes for itself at the edit.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

import numpy as np
from PIL import Image as Pillow

from lego.core.brick_card import DIPTYCH
from lego.core.codec import Pixels
from lego.core.frames import Frame, surroundings
from lego.rl.bricks.pairs import Pair
from lego.rl.bricks.recipe import BrickRecipe

Kept: TypeAlias = "dict[str, Any]"  # tensors by name
LONG_WORDS = 512  # pieces that FLUX's T5 reads, as lego asks it
AESTHETIC = 6.0  # what SDXL's refiners are told of every picture, the default of diffusers
MEGAPIXEL = 1024 * 1024  # at about which Qwen-Image-Edit sees every picture
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
JOINT = (*ATTENTION, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")


class Family(ABC):
    """A pipeline that learns.

    Args:
        pipe: of one of the classes in ``classes``.
        recipe: of the brick.

    Attributes:
        classes: of pipelines in diffusers.
        part: the name of the denoiser in them.
        multiple: of which sides must be, in px.
        flow: it learns the way from picture to noise (rectified flow), else what a DDPM scheduler says.
        targets: ends of the names of the layers of attention.
        guidance: that it is told, if it is distilled for it.
        sees: its reading of the words depends on the picture.
    """

    classes: ClassVar[tuple[str, ...]]
    part: ClassVar[str] = "transformer"
    multiple: ClassVar[int] = 16
    flow: ClassVar[bool] = True
    targets: ClassVar[tuple[str, ...]] = JOINT
    guidance: ClassVar[float] = 1.0
    sees: ClassVar[bool] = False

    def __init__(self, pipe: Any, recipe: BrickRecipe) -> None:
        self.pipe, self.recipe = pipe, recipe
        self.told = self.guidance if recipe.guidance is None else recipe.guidance

    @property
    def net(self) -> Any:
        """The denoiser."""
        return getattr(self.pipe, self.part)

    def pictures(self, pair: Pair) -> Kept:
        """Return what is kept of a pair's pictures: the "clean" latent of the one after, and the conditions.

        In a diptych ``where`` is 1 in the half that is learned.
        """
        before, after, hole = self.shown(pair)
        if self.recipe.way != "diptych":
            return {"clean": self.latent(after), **self.conditions(before, hole)}
        right = np.zeros((before.shape[0], 2 * before.shape[1]), np.uint8)
        right[:, before.shape[1] :] = 255
        both = np.concatenate([before, before], 1)
        clean = self.latent(np.concatenate([before, after], 1))
        where = clean.new_zeros((1, *clean.shape[1:]))
        where[..., clean.shape[-1] // 2 :] = 1
        return {"clean": clean, "where": where, **self.conditions(both, right)}

    def shown(self, pair: Pair) -> tuple[Pixels, Pixels, Pixels]:
        """Return both pictures and the mask (255 = paint) as the pipeline would be shown them at the edit."""
        whole = pair.mask is None or pair.mask.box is None
        hole = None if pair.mask is None or whole else pair.mask.pixels > 0
        width, height = pair.before.size
        x0, y0, x1, y1 = (0, 0, width, height) if hole is None else surroundings(hole)
        frame = Frame.of((y1 - y0, x1 - x0), self.recipe.size, self.multiple)
        before, after = (frame.show(image.pixels[y0:y1, x0:x1]) for image in (pair.before, pair.after))
        return before, after, frame.under(None if hole is None else hole[y0:y1, x0:x1])

    def latent(self, pixels: Pixels) -> Any:
        """Return the latent of a picture, channels x rows x columns, scaled as the denoiser knows it."""
        config = self.pipe.vae.config
        return (self.mode(self.tensor(pixels)) - (config.shift_factor or 0.0)) * config.scaling_factor

    def mode(self, values: Any) -> Any:
        """Return the most likely latent of values -1..1, channels x rows x columns, as the VAE has it."""
        return self.pipe.vae.encode(values[None]).latent_dist.mode()[0]

    def tensor(self, pixels: Pixels) -> Any:
        """Return pixels as the VAE takes them: channels x rows x columns, -1..1."""
        import torch

        values = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).to(self.pipe.vae.device)
        return values.to(self.pipe.vae.dtype) / 127.5 - 1

    def covered(self, before: Pixels, hole: Pixels) -> tuple[Any, Any]:
        """Return the latent of a picture without what a mask covers, and the mask, 1 x rows x columns px, 0 or 1."""
        import torch

        mask = torch.from_numpy(hole > 127)[None].to(self.pipe.vae.device, self.pipe.vae.dtype)
        config = self.pipe.vae.config
        seen = self.mode(self.tensor(before) * (1 - mask))
        return (seen - (config.shift_factor or 0.0)) * config.scaling_factor, mask

    @abstractmethod
    def conditions(self, before: Pixels, hole: Pixels) -> Kept:
        """Return what the denoiser is shown of the picture before."""

    @abstractmethod
    def words(self, words: str, pair: Pair | None) -> Kept:
        """Return what is kept of words, without a batch; "" stands for none. ``pair`` is needed if it ``sees``."""

    @abstractmethod
    def predict(self, noisy: Any, time: Any, kept: Kept) -> Any:
        """Return what the denoiser says of noisy latents.

        Args:
            noisy: batch x channels x rows x columns.
            time: batch; 0..1, 1 is all noise, for flows; else the number of the step.
            kept: conditions and words, batched.
        """

    def said(self, words: str) -> str:
        """Return words as the pipeline is told them."""
        return DIPTYCH.format(words=words) if words and self.recipe.way == "diptych" else words


class Unet(Family):
    """Stable Diffusion 1.5 and its kin that paint into masks: latent, mask and the rest of the picture in channels."""

    classes = ("StableDiffusionInpaintPipeline",)
    part, multiple, flow, targets = "unet", 8, False, ATTENTION

    def conditions(self, before: Pixels, hole: Pixels) -> Kept:
        import torch

        if self.net.config.in_channels == self.pipe.vae.config.latent_channels:
            return {}  # it is held to the picture outside the mask at every step instead
        seen, mask = self.covered(before, hole)
        small = torch.nn.functional.interpolate(mask[None], size=tuple(seen.shape[1:]))[0]
        return {"seen": torch.cat([small, seen])}

    def words(self, words: str, pair: Pair | None) -> Kept:
        found = self.pipe.encode_prompt(self.said(words), self.pipe.text_encoder.device, 1, False)
        return {"text": found[0][0]}

    def predict(self, noisy: Any, time: Any, kept: Kept) -> Any:
        return self.asked(noisy, time, kept, None)

    def asked(self, noisy: Any, time: Any, kept: Kept, more: Kept | None) -> Any:
        """Ask the denoiser, with more conditions or none."""
        import torch

        shown = torch.cat([noisy, kept["seen"]], 1) if "seen" in kept else noisy
        return self.net(shown, time, encoder_hidden_states=kept["text"], added_cond_kwargs=more, return_dict=False)[0]


class UnetXl(Unet):
    """Stable Diffusion XL that paints into masks."""

    classes = ("StableDiffusionXLInpaintPipeline",)

    def words(self, words: str, pair: Pair | None) -> Kept:
        text, _, pooled, _ = self.pipe.encode_prompt(
            self.said(words), None, self.pipe.text_encoder.device, 1, do_classifier_free_guidance=False
        )
        kept = {"text": text[0], "pooled": pooled[0]}
        empty = not words and self.pipe.config.force_zeros_for_empty_prompt
        return {name: value * 0 for name, value in kept.items()} if empty else kept

    def predict(self, noisy: Any, time: Any, kept: Kept) -> Any:
        scale = self.pipe.vae_scale_factor
        size = [float(noisy.shape[-2] * scale), float(noisy.shape[-1] * scale)]
        last = [AESTHETIC] if self.pipe.config.requires_aesthetics_score else size
        sizes = noisy.new_tensor([[*size, 0.0, 0.0, *last]]).repeat(len(noisy), 1)
        return self.asked(noisy, time, kept, {"text_embeds": kept["pooled"], "time_ids": sizes})


class Instructed(Unet):
    """InstructPix2Pix (arXiv 2211.09800): the picture in further channels, its latent not scaled."""

    classes = ("StableDiffusionInstructPix2PixPipeline",)

    def conditions(self, before: Pixels, hole: Pixels) -> Kept:
        return {"seen": self.mode(self.tensor(before))}

    def words(self, words: str, pair: Pair | None) -> Kept:
        return {"text": self.pipe._encode_prompt(words, self.pipe.text_encoder.device, 1, False)[0]}


class Sd3(Family):
    """Stable Diffusion 3 that paints into masks."""

    classes = ("StableDiffusion3InpaintPipeline",)

    def conditions(self, before: Pixels, hole: Pixels) -> Kept:
        import torch

        if self.net.config.in_channels == self.pipe.vae.config.latent_channels:
            return {}
        seen, mask = self.covered(before, hole)
        small = torch.nn.functional.interpolate(mask[None], size=tuple(seen.shape[1:]))[0]
        return {"seen": torch.cat([small, seen])}

    def words(self, words: str, pair: Pair | None) -> Kept:
        said = self.said(words)
        text, _, pooled, _ = self.pipe.encode_prompt(
            said, said, said, self.pipe.text_encoder.device, 1, do_classifier_free_guidance=False
        )
        return {"text": text[0], "pooled": pooled[0]}

    def predict(self, noisy: Any, time: Any, kept: Kept) -> Any:
        import torch

        shown = torch.cat([noisy, kept["seen"]], 1) if "seen" in kept else noisy
        told = {"encoder_hidden_states": kept["text"], "pooled_projections": kept["pooled"]}
        return self.net(hidden_states=shown, timestep=1000 * time, **told, return_dict=False)[0]


class FluxFill(Family):
    """FLUX.1 Fill: the rest of the picture and the mask in the channels of each token."""

    classes = ("FluxFillPipeline",)
    guidance = 30.0

    def conditions(self, before: Pixels, hole: Pixels) -> Kept:
        import torch

        seen, mask = self.covered(before, hole)
        fine = torch.nn.functional.pixel_unshuffle(mask[None], self.pipe.vae_scale_factor)[0]
        return {"seen": seen, "hole": fine}

    def words(self, words: str, pair: Pair | None) -> Kept:
        text, pooled, _ = self.pipe.encode_prompt(
            self.said(words), None, self.pipe.text_encoder.device, max_sequence_length=LONG_WORDS
        )
        return {"text": text[0], "pooled": pooled[0]}

    def predict(self, noisy: Any, time: Any, kept: Kept) -> Any:
        import torch

        tokens = torch.cat([packed(noisy), packed(kept["seen"]), packed(kept["hole"])], -1)
        return self.asked(tokens, places(noisy), noisy, time, kept)

    def asked(self, tokens: Any, where: Any, noisy: Any, time: Any, kept: Kept) -> Any:
        """Ask the denoiser about tokens of which the first are those of the noisy picture."""
        count, rows, columns = noisy.shape[0], noisy.shape[-2] // 2, noisy.shape[-1] // 2
        told = noisy.new_full((count,), self.told).float() if self.net.config.guidance_embeds else None
        said = self.net(
            hidden_states=tokens, timestep=time, guidance=told, pooled_projections=kept["pooled"],
            encoder_hidden_states=kept["text"], txt_ids=noisy.new_zeros((kept["text"].shape[1], 3)), img_ids=where,
            return_dict=False,
        )[0]  # fmt: skip
        return unpacked(said[:, : rows * columns], rows, columns)


class FluxKontext(FluxFill):
    """FLUX.1 Kontext: the picture as further tokens, told apart by the first number of their places."""

    classes = ("FluxKontextPipeline",)
    guidance = 3.5

    def conditions(self, before: Pixels, hole: Pixels) -> Kept:
        return {"seen": self.latent(before)}

    def predict(self, noisy: Any, time: Any, kept: Kept) -> Any:
        import torch

        tokens = torch.cat([packed(noisy), packed(kept["seen"])], 1)
        return self.asked(tokens, torch.cat([places(noisy), places(kept["seen"], 1.0)]), noisy, time, kept)


class QwenEdit(Family):
    """Qwen-Image-Edit: the picture as further tokens, and once more in front of the words, which a Qwen-VL reads."""

    classes = ("QwenImageEditPlusPipeline", "QwenImageEditPipeline")
    sees = True

    @property
    def plus(self) -> bool:
        """Is it one that takes several pictures?"""
        return type(self.pipe).__name__ == "QwenImageEditPlusPipeline"

    def resized(self, pixels: Pixels, name: str) -> Any:
        """Return a picture at the size that the pipeline itself brings it to, whatever it is given."""
        module = sys.modules[type(self.pipe).__module__]
        area = getattr(module, name, MEGAPIXEL)
        width, height = module.calculate_dimensions(area, pixels.shape[1] / pixels.shape[0])[:2]
        return self.pipe.image_processor.resize(Pillow.fromarray(pixels), int(height), int(width))

    def latent(self, pixels: Pixels) -> Any:
        config, mode = self.pipe.vae.config, self.mode(self.tensor(pixels)[:, None])[:, 0]
        mean, spread = (mode.new_tensor(v).view(-1, 1, 1) for v in (config.latents_mean, config.latents_std))
        return (mode - mean) / spread

    def conditions(self, before: Pixels, hole: Pixels) -> Kept:
        import torch

        kept = {"seen": self.latent(np.asarray(self.resized(before, "VAE_IMAGE_SIZE")))}
        if self.recipe.joint:  # the words are read anew at every step
            kept["look"] = torch.from_numpy(np.array(self.resized(before, "CONDITION_IMAGE_SIZE")))
        return kept

    def words(self, words: str, pair: Pair | None) -> Kept:
        assert pair
        seen = self.resized(self.shown(pair)[0], "CONDITION_IMAGE_SIZE")
        text, mask = self.pipe.encode_prompt(
            prompt=[words or " "], image=[seen] if self.plus else seen, device=self.pipe.text_encoder.device
        )
        return {"text": text[0], "text_mask": text.new_ones(text.shape[1]).long() if mask is None else mask[0]}

    def predict(self, noisy: Any, time: Any, kept: Kept) -> Any:
        import torch

        rows, columns = noisy.shape[-2] // 2, noisy.shape[-1] // 2
        tokens = torch.cat([packed(noisy), packed(kept["seen"])], 1)
        sizes = [(1, rows, columns), (1, kept["seen"].shape[-2] // 2, kept["seen"].shape[-1] // 2)]
        told = noisy.new_full((len(noisy),), self.told).float() if self.net.config.guidance_embeds else None
        said = self.net(
            hidden_states=tokens, timestep=time, guidance=told, encoder_hidden_states=kept["text"],
            encoder_hidden_states_mask=kept["text_mask"], img_shapes=[sizes] * len(noisy), return_dict=False,
        )[0]  # fmt: skip
        return unpacked(said[:, : rows * columns], rows, columns)


def packed(latents: Any) -> Any:
    """Return latents as tokens of 2 x 2 each: batch x tokens x 4 channels."""
    import torch

    return torch.nn.functional.pixel_unshuffle(latents, 2).flatten(2).transpose(1, 2)


def unpacked(tokens: Any, rows: int, columns: int) -> Any:
    """Return tokens as latents again."""
    import torch

    grid = tokens.transpose(1, 2).unflatten(2, (rows, columns))
    return torch.nn.functional.pixel_shuffle(grid, 2)


def places(latents: Any, first: float = 0.0) -> Any:
    """Return the places of the tokens of latents as FLUX counts them: tokens x (first, row, column)."""
    import torch

    rows, columns = latents.shape[-2] // 2, latents.shape[-1] // 2
    down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([torch.full_like(down, int(first)), down, across], -1).flatten(0, 1).to(latents)


FAMILIES: dict[str, type[Family]] = {
    "sd-inpaint": Unet, "sdxl-inpaint": UnetXl, "instruct-pix2pix": Instructed, "sd3": Sd3, "flux-fill": FluxFill,
    "flux-kontext": FluxKontext, "qwen-image-edit": QwenEdit,
}  # fmt: skip
