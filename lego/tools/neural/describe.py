"""Engines of `caption`: networks that say what a picture shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from PIL import Image as Pillow

from lego.core.networks import Network
from lego.core.processors import load_processor
from lego.core.signature import Context
from lego.core.values import Image
from lego.tools.describe import Caption, caption
from lego.tools.finders.regions import small_copy
from lego.tools.neural.catalogue import CATALOGUE
from lego.tools.neural.loading import load_net, load_pair, moved

LOOK = 768  # px of the long side that is shown
MOST = 80  # tokens of an answer
ASK = "Describe this picture in one sentence."
NEEDED = ("torch", "transformers")


def load_blip(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of BLIP."""
    return load_pair(folder, device, precision, "BlipForConditionalGeneration", "BlipProcessor")


def load_talker(folder: Path, device: str, precision: str) -> Any:
    """Return model and processor of a vision-language model that is talked to."""
    return load_net(folder, device, precision, "AutoModelForImageTextToText"), load_processor(folder)


BLIP = Network("blip", load_blip, CATALOGUE["blip"].memory("float16", "float32"), working=500 << 20, shared=True)
TALKER = Network(
    "qwen2.5-vl", load_talker, CATALOGUE["qwen2.5-vl"].memory("bfloat16", "float32"), working=2 << 30, shared=True
)


@caption.engine("blip", requires=NEEDED)
def _(image: Image, context: Context = Context(), *, net: Annotated[Any, BLIP]) -> Caption:  # noqa: B008  # frozen
    model, processor = net
    return Caption(_said(model, processor, processor(images=_seen(image), return_tensors="pt"), context, 0))


@caption.engine("qwen2.5-vl", requires=NEEDED)
def _(image: Image, context: Context = Context(), *, net: Annotated[Any, TALKER]) -> Caption:  # noqa: B008  # as above
    model, processor = net
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": ASK}]}]
    prompt = processor.apply_chat_template(asked, add_generation_prompt=True)
    inputs = processor(text=[prompt], images=[_seen(image)], return_tensors="pt")
    return Caption(_said(model, processor, inputs, context, inputs["input_ids"].shape[1]))


def _seen(image: Image) -> Pillow.Image:
    return Pillow.fromarray(small_copy(image.pixels, LOOK))


def _said(model: Any, processor: Any, inputs: Any, context: Context, skip: int) -> str:
    """What a model answers, its likeliest words; cancelling takes hold between tokens."""
    import torch

    class Watch:
        """Reports progress with every token."""

        def __init__(self) -> None:
            self.count = 0

        def __call__(self, *given: Any, **more: Any) -> Any:
            self.count += 1
            context.progress(min(1.0, self.count / MOST))
            return torch.zeros(given[0].shape[0], dtype=torch.bool, device=given[0].device)

    with torch.inference_mode():
        found = model.generate(
            **moved(inputs, model), max_new_tokens=MOST, do_sample=False, stopping_criteria=[Watch()]
        )
    text = processor.batch_decode(found[:, skip:], skip_special_tokens=True)[0]
    return " ".join(str(text).split())
