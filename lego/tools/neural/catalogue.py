"""The catalogue: every network that a tool here can use, with its source, its size and its licence.

Sizes are those of the files that are fetched. Memory is what the weights take, by precision; a call takes more.
"""

from __future__ import annotations

from dataclasses import dataclass

APACHE, MIT = "Apache-2.0", "MIT"
RAIL = "CreativeML OpenRAIL-M"
RAIL_XL = "CreativeML OpenRAIL++-M"
FLUX = "FLUX.1 dev Non-Commercial"
TRANSFORMERS = ("*.json", "*.txt", "*.model", "*.jinja", "*.safetensors", "*.bin")
# A pipeline's folders; beside them some repositories keep the same weights once more in one file.
PIPELINE = ("*.json", "*/*.txt", "*/*.model", "*/*.safetensors")
HALF = ("*.json", "*/*.txt", "*/*.fp16.safetensors")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Weights:
    """One network.

    Attributes:
        name: of its folder, and in `lego models`.
        what: it does, and which tools use it.
        parameters: how many, in millions.
        megabytes: to be fetched.
        licence: its name; ``commercial`` says whether it allows commercial use.
        hub, revision: its repository on huggingface.co.
        files: patterns of what is needed of it.
        gated: an account has to accept the licence first.
        url, sha256, bytes: of a single file that lies elsewhere.
    """

    name: str
    what: str
    parameters: float
    megabytes: int
    licence: str
    hub: str = ""
    revision: str = "main"
    files: tuple[str, ...] = TRANSFORMERS
    commercial: bool = True
    gated: bool = False
    url: str = ""
    sha256: str = ""
    bytes: int = 0

    @property
    def source(self) -> str:
        """Where it comes from."""
        return self.url or f"https://huggingface.co/{self.hub}"

    def memory(self, *precisions: str) -> dict[str, int]:
        """Bytes of the weights, by precision."""
        return {name: round(self.parameters * 1e6 * BYTES[name]) for name in precisions}


_RAW = "https://raw.githubusercontent.com"
_ALL = (
    Weights(
        "yolox", "finds things of 80 kinds by boxes: segment", 0.91, 4, APACHE,
        url=f"{_RAW}/opencv/opencv_zoo/371cb249700106b50b2f934b7f18df3f9d127473/models/object_detection_yolox/yolox_nano.onnx",
        sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d", bytes=3_659_407,
    ),
    Weights(
        "yunet", "finds faces: segment, smooth_skin, red_eye, whiten_teeth", 0.08, 1, APACHE,
        url=f"{_RAW}/ShiqiYu/libfacedetection.train/2b5e61dee21441ef4676505f835ab63ee53bae1e/onnx/yunet_n_dynamic.onnx",
        sha256="93ed7ecec91aca5943177185a8b218882faf61f7e3581a803b1f0844499178cc", bytes=322_906,
    ),
    Weights(
        "hair", "outlines hair: segment", 0.19, 1, APACHE,
        url=f"{_RAW}/google-ai-edge/mediapipe/d68f5e416903e3d756ebe07d08c4a3b911741a91/mediapipe/models/hair_segmentation.tflite",
        sha256="d2c940c4fd80edeaf38f5d7387d1b4235ee320ed120080df67c663e749e77633", bytes=780_588,
    ),
    Weights(
        "deeplab", "outlines things of 20 kinds: segment", 2.55, 10, "not stated (the code is Apache-2.0)",
        hub="google/deeplabv3_mobilenet_v2_1.0_513",
    ),
    Weights(
        "segment-anything", "outlines what a box or a point marks: segment_box, segment_point, mask_refine",
        93.7, 375, APACHE,
        url="https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912", bytes=375_042_383,
    ),
    Weights(
        "sam", "the same, and with a detector of words: segment", 93.7, 375, APACHE, hub="facebook/sam-vit-base",
    ),
    Weights(
        "sam2", "the same as sam, three times faster: segment, segment_box, segment_point, mask_refine", 38.9, 156,
        APACHE, hub="facebook/sam2.1-hiera-tiny",
    ),
    Weights(
        "grounding-dino", "finds whatever words name, by boxes: segment, with sam", 172.2, 690, APACHE,
        hub="IDEA-Research/grounding-dino-tiny",
    ),
    Weights(
        "owlv2", "finds whatever words name, by boxes: segment, with sam", 155.0, 620, APACHE,
        hub="google/owlv2-base-patch16-ensemble",
    ),
    Weights(
        "lama", "invents what stands behind a thing: remove", 51.0, 206, APACHE,
        url="https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt",
        sha256="344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9", bytes=205_669_692,
    ),
    Weights(
        "sd-inpaint", "paints what words describe into a mask: generate_fill", 1370, 2_740, RAIL,
        hub="stable-diffusion-v1-5/stable-diffusion-inpainting", files=HALF,
    ),
    Weights(
        "sdxl-inpaint", "the same, finer: generate_fill", 3469, 6_939, RAIL_XL,
        hub="diffusers/stable-diffusion-xl-1.0-inpainting-0.1", files=HALF,
    ),
    Weights(
        "flux-fill", "the same, finest: generate_fill", 16_870, 33_740, FLUX, hub="black-forest-labs/FLUX.1-Fill-dev",
        files=PIPELINE, commercial=False, gated=True,
    ),
    Weights(
        "qwen-image", "the same, also writes, English and Chinese: generate_fill", 28_850, 57_700, APACHE,
        hub="Qwen/Qwen-Image", files=PIPELINE,
    ),
    Weights(
        "instruct-pix2pix", "changes a picture as a sentence says: instruct_edit", 1370, 5_480, MIT,
        hub="timbrooks/instruct-pix2pix", files=PIPELINE,
    ),
    Weights(
        "qwen-image-edit", "the same, finer, English and Chinese: instruct_edit", 28_850, 57_700, APACHE,
        hub="Qwen/Qwen-Image-Edit-2509", files=PIPELINE,
    ),
    Weights(
        "flux-kontext", "the same, finer: instruct_edit", 16_870, 33_740, FLUX,
        hub="black-forest-labs/FLUX.1-Kontext-dev", files=PIPELINE, commercial=False, gated=True,
    ),
    Weights(
        "depth-anything", "sees how far things are: mask_distance", 24.8, 99, APACHE,
        hub="depth-anything/Depth-Anything-V2-Small-hf",
    ),
    Weights(
        "swin2sr", "enlarges twice, with the detail that is likely: upscale", 12.1, 49, APACHE,
        hub="caidas/swin2SR-classical-sr-x2-64",
    ),
    Weights(
        "blip", "says in a sentence what a picture shows: caption", 247, 990, "BSD-3-Clause",
        hub="Salesforce/blip-image-captioning-base",
    ),
    Weights(
        "qwen2.5-vl", "the same, with more detail: caption", 3755, 7_510, "Qwen Research",
        hub="Qwen/Qwen2.5-VL-3B-Instruct", commercial=False,
    ),
    Weights("clipseg", "outlines whatever words name: segment", 150.7, 603, APACHE, hub="CIDAS/clipseg-rd64-refined"),
)  # fmt: skip
CATALOGUE: dict[str, Weights] = {weights.name: weights for weights in _ALL}
_SEES = ("grounding-dino", "sam2", "yunet", "hair", "depth-anything", "blip")  # seconds a picture on an accelerator
_MENDS = ("lama", "swin2sr")
PRESETS: dict[str, tuple[str, ...]] = {
    "basic": (
        "yolox",
        "yunet",
        "hair",
        "deeplab",
        "clipseg",
        "lama",
        "depth-anything",
    ),  # what a processor runs in seconds
    "precise": ("grounding-dino", "sam2", "yunet", "hair", "lama"),  # half a minute a step on a processor
    "gpu-12gb": (*_SEES, *_MENDS, "sd-inpaint", "instruct-pix2pix"),
    "gpu-24gb": (*_SEES, *_MENDS, "sdxl-inpaint", "instruct-pix2pix"),
    "gpu-80gb": (*_SEES, *_MENDS, "flux-fill", "qwen-image-edit"),
}
