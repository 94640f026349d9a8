"""Train a brick from scratch and use it: a small latent editor learns to make balls blue, is saved, loaded as a tool,
and called in plain words. Prints what it measures.

    python benchmarks/brick.py OUT                 # about half an hour on a busy core
    python benchmarks/brick.py OUT --steps 300     # a rough one

All is small and starts from random weights: the autoencoder (trained here, on the same scenes), the U-Net, and a text
encoder that stays random, because the words are always the same.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lego.core.settings import Settings
from lego.core.values import Image, Mask
from lego.editor import Editor
from lego.rl import scenes
from lego.rl.bricks import result
from lego.rl.bricks.recipe import BrickRecipe
from lego.rl.bricks.training import train
from lego.rl.records import Record, write
from lego.tools import load_brick

SIZE = 64  # px
WIDE = 2  # px around the ball that count as its edge: neither in nor out
HELD = 10_000_000  # first seed of the scenes that nothing was trained on
WORDS = "dip the ball in blue paint"
LATENTS, LATENT_BATCH = 8, 8
CARD = {
    "name": "dip_in_blue",
    "sentence": "Dip the ball in blue paint.",
    "phrases": {WORDS: {}, "把球染成蓝色": {}},
    "mask": "area",
    "prompt": "the ball is blue",
}


def pairs(count: int, first: int = 0) -> list[tuple[Image, Image, Mask]]:
    """Scenes with one ball that is not blue, the same with it in blue, and where it is."""
    found: list[tuple[Image, Image, Mask]] = []
    seed = first
    while len(found) < count:
        scene = scenes.make(seed, 2, 4)
        balls = [number for number, item in enumerate(scene.items) if item.shape == "ball"]
        if len(balls) == 1 and scene.items[balls[0]].color not in ("blue", "cyan", "purple"):
            drawn = scenes.render(scene, (SIZE, SIZE))
            after = scenes.render(scene.recolored(balls[0], "blue"), (SIZE, SIZE)).image
            found.append((drawn.image, after, drawn.masks[balls[0]]))
        seed += 1
    return found


def autoencoder(pictures: Sequence[Image], steps: int, seed: int = 0, width: int = 16) -> Any:
    """Train a small AutoencoderKL (a quarter of the side, `LATENTS` channels) on pictures."""
    import torch

    diffusers: Any = importlib.import_module("diffusers")
    torch.manual_seed(seed)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(width, 2 * width, 2 * width), latent_channels=LATENTS, norm_num_groups=8, sample_size=SIZE,
        layers_per_block=1, down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        mid_block_add_attention=False,
    )  # fmt: skip
    all_pixels = torch.from_numpy(np.stack([image.pixels for image in pictures]))
    optimizer = torch.optim.AdamW(vae.parameters(), lr=2e-3)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(len(all_pixels), (LATENT_BATCH,), generator=random)
        values = all_pixels[chosen].permute(0, 3, 1, 2).float() / 127.5 - 1
        posterior = vae.encode(values).latent_dist
        loss = (vae.decode(posterior.sample(random)).sample - values).abs().mean() + 1e-6 * posterior.kl().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        falling.step()
        optimizer.zero_grad()
    with torch.inference_mode():
        values = all_pixels[:64].permute(0, 3, 1, 2).float() / 127.5 - 1
        spread = float(vae.encode(values).latent_dist.mode().std())
    vae.register_to_config(scaling_factor=1 / spread)
    return vae.eval()


def editor(vae: Any, folder: Path, seed: int = 0, width: int = 32) -> Path:
    """Save an InstructPix2Pix pipeline around an autoencoder; all else in it is random."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    diffusers: Any = importlib.import_module("diffusers")
    torch.manual_seed(seed)
    letters = [chr(n) for n in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    config = CLIPTextConfig(
        hidden_size=32, num_attention_heads=2, num_hidden_layers=1, intermediate_size=64, vocab_size=len(words),
        bos_token_id=len(words) - 2, eos_token_id=len(words) - 1, pad_token_id=len(words) - 1,
    )  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        sample_size=SIZE // 4, in_channels=2 * LATENTS, out_channels=LATENTS, block_out_channels=(width, 2 * width),
        layers_per_block=2, norm_num_groups=8, attention_head_dim=16, cross_attention_dim=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler(
        steps_offset=1, clip_sample=False, prediction_type="v_prediction", rescale_betas_zero_snr=True,
        timestep_spacing="trailing", beta_schedule="scaled_linear",
    )  # fmt: skip
    diffusers.StableDiffusionInstructPix2PixPipeline(
        vae=vae, unet=unet, scheduler=scheduler, text_encoder=CLIPTextModel(config),
        tokenizer=CLIPTokenizer(vocab={t: n for n, t in enumerate(words)}, merges=[], model_max_length=77),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip
    return folder


def recipe(model: Path, steps: int) -> BrickRecipe:
    """The recipe: all weights of the U-Net learn."""
    return BrickRecipe.model_validate(
        {
            "name": "balls", "model": str(model), "family": "instruct-pix2pix", "card": CARD, "size": SIZE,
            "steps": steps, "lr": 1e-3, "schedule": "cosine", "batch": 8, "precision": "fp32", "hold": 32,
            "look_every": max(1, steps // 5), "guidance": 1.0, "infer_steps": 10, "decay": 0.0, "looks": 6,
        }
    )  # fmt: skip


def errors(made: Image, after: Image, mask: Mask) -> tuple[float, float]:
    """Mean absolute error in the ball and out of it, of 255."""
    import cv2

    off = np.abs(made.pixels.astype(int) - after.pixels).mean(-1)
    inside = cv2.erode(mask.pixels, np.ones((2 * WIDE + 1,) * 2, np.uint8)) == 255
    outside = cv2.dilate(mask.pixels, np.ones((2 * WIDE + 1,) * 2, np.uint8)) == 0
    return float(off[inside].mean()), float(off[outside].mean())


def measure(tool: Any, held: Sequence[tuple[Image, Image, Mask]]) -> dict[str, float]:
    """Use a brick on held-out scenes, in plain words; return mean errors before and after."""
    asked = Editor(builder="rules", settings=Settings.load({"models_memory_mb": 4000}))
    rows = []
    for before, after, mask in held:
        done = asked.edit(before, WORDS)
        assert [step.tool for step in done.workflow.steps] == [tool.name]
        masked = asked.edit(before, WORDS, mask=mask)
        assert (masked.image.pixels == before.pixels)[mask.pixels == 0].all()
        was, now, within = (errors(image, after, mask) for image in (before, done.image, masked.image))
        rows.append([was[0], now[0], now[1], within[0], within[1]])
    names = ("unchanged_in", "made_in", "made_out", "masked_in", "masked_out")
    return dict(zip(names, np.mean(rows, 0).round(2).tolist(), strict=True))


def sheet(held: Sequence[tuple[Image, Image, Mask]], path: Path) -> None:
    """Draw rows: before, made, made with the ball's mask, as it should be."""
    from PIL import Image as Pillow

    asked = Editor(builder="rules")
    made = [[asked.edit(b, WORDS).image, asked.edit(b, WORDS, mask=mask).image] for b, _, mask in held]
    rows = [[b.pixels, *(image.pixels for image in both), a.pixels] for (b, a, _), both in zip(held, made, strict=True)]
    Pillow.fromarray(result.tiled(rows)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", type=int, default=2500)
    parser.add_argument("--vae-steps", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--held", type=int, default=40)
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    begun = time.monotonic()
    known = pairs(given.pairs)
    write(given.out / "data", [Record(b, WORDS, target=a, mask=None) for b, a, _ in known])
    held = pairs(given.held, HELD)
    print(f"{len(known)} pairs, {time.monotonic() - begun:.0f} s", flush=True)
    vae = autoencoder([image for before, after, _ in known for image in (before, after)], given.vae_steps)
    print(f"autoencoder, {time.monotonic() - begun:.0f} s", flush=True)
    model = editor(vae, given.out / "start")
    untrained = recipe(model, 1).model_copy(update={"lr": 1e-12, "look_every": 0})
    tool = load_brick(train(untrained, given.out / "data", given.out / "untrained"))
    found = {"untrained": measure(tool, held[:10])}
    print(json.dumps(found), flush=True)
    folder = train(recipe(model, given.steps), given.out / "data", given.out / "run")
    found["trained"] = measure(load_brick(folder), held)
    found["seconds"] = {"all": round(time.monotonic() - begun)}
    print(json.dumps(found), flush=True)
    (given.out / "found.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sheet(held[:6], given.out / "sheet.png")


if __name__ == "__main__":
    main()
