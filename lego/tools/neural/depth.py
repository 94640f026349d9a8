"""The engine of `mask_distance`: Depth Anything (Yang 2024), or any network of its kind in transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from PIL import Image as Pillow

from lego.core.codec import Pixels
from lego.core.networks import Network
from lego.core.values import Image, Mask
from lego.tools.finders.regions import small_copy
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.neural.loading import load_pair
from lego.tools.pixels import Plane, guided
from lego.tools.segment import Far, Near, mask_distance

SIDE = 1024  # px of the long side on which distances are looked at; the network has its own size
SLIM = 4  # times as long as wide: a picture that is slimmer is shown wider
TAILS = (1.0, 99.0)  # percentiles that count as the nearest and the farthest
SOFT = 0.05  # of the way, over which the mask fades
EVEN = 1e-6  # of the range: a picture of one distance


def load_depth(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of a network that estimates distances."""
    return load_pair(folder, device, precision, "AutoModelForDepthEstimation", "AutoImageProcessor")


DEPTH = Network(
    "depth-anything", load_depth, CATALOGUE["depth-anything"].memory("float32"), working=1 << 30, shared=True
)


@mask_distance.engine("depth-anything", requires=("torch", "transformers"))
def _(
    image: Image,
    near: Near = 0.0,
    far: Far = 50.0,
    *,
    net: Annotated[Any, DEPTH],
) -> Mask:
    if near >= far:
        raise ValueError(f"near is {near:g} and far {far:g}; give near < far")
    small = small_copy(image.pixels, SIDE)
    away = distances(net, small)
    low, high = near / 100, far / 100
    rising = np.ones_like(away) if near == 0 else np.clip((away - low) / SOFT + 0.5, 0, 1)
    falling = np.ones_like(away) if far == 100 else np.clip((high - away) / SOFT + 0.5, 0, 1)
    inside = np.asarray(np.minimum(rising, falling), np.float32)
    if min(small.shape[:2]) >= 16:
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
        inside = guided(grey, inside, max(2, max(small.shape) // 100), 1e-4)
    large = cv2.resize(inside, image.size, interpolation=cv2.INTER_LINEAR)
    return Mask(np.rint(large.clip(0, 1) * 255).astype(np.uint8))


def distances(net: Any, pixels: Pixels) -> Plane:
    """Return how far every pixel is, 0 for the nearest to 1 for the farthest; all 0 where everything is equally far.

    Args:
        net: model and processor. Networks that tell metres and those that tell how near things are give the same.
        pixels: H x W x 3.
    """
    import torch

    model, processor = net
    long = max(pixels.shape[:2])
    shown = [max(side, long // SLIM, 1) for side in pixels.shape[1::-1]]  # its processor cannot read strips
    inputs = processor(Pillow.fromarray(pixels).resize((shown[0], shown[1])), return_tensors="pt")
    inputs = inputs.to(model.device, model.dtype)
    with torch.inference_mode():
        out = model(**inputs)
    sizes = [pixels.shape[:2]]
    found = processor.post_process_depth_estimation(out, target_sizes=sizes)[0]["predicted_depth"]
    depth = np.asarray(found.float().numpy(force=True), np.float32)
    if getattr(model.config, "depth_estimation_type", "relative") != "metric":
        depth = -depth  # larger is nearer there
    low, high = np.percentile(depth, TAILS)
    if high - low <= EVEN * max(1.0, float(np.abs(depth).max())):
        return np.zeros_like(depth)
    return np.asarray(((depth - low) / (high - low)).clip(0, 1), np.float32)
