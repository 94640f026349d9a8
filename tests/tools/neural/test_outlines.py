"""SAM and the detectors that read words: their real classes at toy size, saved, loaded and asked through the tools."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.core.errors import StepError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.steps import Step
from lego.core.trace import StepDone, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.contract import check
from lego.executor.run import Executor
from lego.tools.neural import outlines
from lego.tools.neural import sam as sams
from lego.tools.segment import mask_refine, segment_box, segment_point
from tests.tools.neural import toys

WIDE = {"hidden_size": 32, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every network, tiny, with random weights."""
    import torch

    from lego.core.processors import hide_broken_torchvision

    hide_broken_torchvision()
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    made = {"sam": sam, "sam2": sam2, "segment-anything": official, "grounding-dino": dino, "owlv2": owl}
    for name, make in made.items():
        (folder / name).mkdir()
        make(folder / name)
    return folder


def sam(folder: Path) -> None:
    from transformers import SamConfig, SamModel, SamProcessor
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    vision = {
        **WIDE, "num_hidden_layers": 2, "image_size": 256, "patch_size": 16, "output_channels": 32, "mlp_dim": 64,
        "global_attn_indexes": [1], "window_size": 7, "num_pos_feats": 16,
    }  # fmt: skip
    prompts = {"hidden_size": 32, "image_size": 256, "patch_size": 16, "mask_input_channels": 4}
    masks = {**WIDE, "mlp_dim": 64, "attention_downsample_rate": 2, "iou_head_hidden_dim": 32, "num_hidden_layers": 2}
    SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=masks)).save_pretrained(
        folder
    )
    images = SamImageProcessorPil(
        size={"longest_edge": 256}, pad_size={"height": 256, "width": 256}, mask_size={"longest_edge": 64},
        mask_pad_size={"height": 64, "width": 64},
    )  # fmt: skip
    SamProcessor(image_processor=images).save_pretrained(folder)


def sam2(folder: Path) -> None:
    from transformers import Sam2Config, Sam2Model

    hiera = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [256, 256],
        "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 4], "window_size_per_stage": [8, 4, 8, 4],
        "global_attention_blocks": [3], "window_positional_embedding_background_size": [7, 7],
    }  # fmt: skip
    vision = {
        "backbone_config": hiera, "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]],
    }  # fmt: skip
    prompts = {"hidden_size": 32, "image_size": 256, "patch_size": 16, "mask_input_channels": 4}
    masks = {**WIDE, "mlp_dim": 64, "attention_downsample_rate": 2, "iou_head_hidden_dim": 32, "num_hidden_layers": 2}
    config = Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=masks)
    Sam2Model(config).save_pretrained(folder)


def official(folder: Path) -> None:
    import torch

    with sams._stubbed():
        from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    net = Sam(
        image_encoder=ImageEncoderViT(
            depth=2, embed_dim=32, img_size=256, mlp_ratio=2, num_heads=2, patch_size=16, use_rel_pos=True,
            global_attn_indexes=(1,), window_size=7, out_chans=32,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=32, image_embedding_size=(16, 16), input_image_size=(256, 256), mask_in_chans=4
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3, transformer_dim=32, iou_head_depth=3, iou_head_hidden_dim=32,
            transformer=TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=64, num_heads=8),
        ),
    )  # fmt: skip
    torch.save(net.state_dict(), folder / "sam_vit_tiny.pth")


def dino(folder: Path) -> None:
    from transformers import (
        BertTokenizerFast,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoProcessor,
    )
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

    letters = [chr(n) for n in range(97, 123)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *letters, *(f"##{c}" for c in letters)]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab={word: n for n, word in enumerate(words)})
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin", "image_size": 64, "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2],
            "window_size": 4, "out_features": ["stage2", "stage3", "stage4"],
        },
        text_config={
            "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 64, "vocab_size": len(words),
        },
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=10, max_text_len=32,
    )  # fmt: skip
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    GroundingDinoProcessor(
        image_processor=GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96}),
        tokenizer=tokenizer,
    ).save_pretrained(folder)


def owl(folder: Path) -> None:
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2Processor
    from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil

    tokenizer = toys.tokenizer(16)
    size = tokenizer.vocab_size
    ends = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": 0}
    config = Owlv2Config(
        text_config={
            **WIDE, **ends, "num_hidden_layers": 1, "intermediate_size": 64, "vocab_size": size,
            "max_position_embeddings": 16,
        },
        vision_config={**WIDE, "num_hidden_layers": 1, "intermediate_size": 64, "image_size": 128, "patch_size": 16},
        projection_dim=32,
    )  # fmt: skip
    Owlv2ForObjectDetection(config).save_pretrained(folder)
    images = Owlv2ImageProcessorPil(size={"height": 128, "width": 128})
    Owlv2Processor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


def run(models: Path, names: set[str], image: Image, tool: str, **args: Any) -> tuple[Mask, StepDone]:
    pool = Pool(lambda name: models / name if name in names else None, {CPU: 8 << 30})
    trace = Trace()
    given: dict[str, Image | Mask] = {"image": image}
    if "mask" in args:
        given["mask"], args["mask"] = args["mask"], "$mask"
    done = Executor(pool=pool).run(
        Workflow((Step("s1", tool, {"image": "$image", **args}),), "$s1"), given, trace=trace
    )
    if done.failure:
        raise done.failure
    return done.results[0], next(trace.of(StepDone))


@pytest.fixture(scope="module")
def picture(photos: Path) -> Image:
    image = Image.open(photos / "coffee.png")
    return Image(image.pixels[::2, ::2])


@pytest.mark.parametrize("name", ["sam", "sam2", "segment-anything"])
def test_boxes_points_and_rough_masks_are_outlined_by_sam(name: str, models: Path, picture: Image) -> None:
    box = {"left": 200, "top": 100, "right": 700, "bottom": 800}
    rough = Mask.from_box(picture.size, (60, 20, 200, 180))
    for tool, args in (("segment_box", box), ("segment_point", {"x": 450, "y": 400}), ("mask_refine", {"mask": rough})):
        mask, event = run(models, {name}, picture, tool, **args)
        assert event.engine == name, tool
        assert mask.size == picture.size
        assert mask.confidence is not None
        assert 0 <= mask.confidence <= 1
        assert run(models, {name}, picture, tool, **args)[0].digest == mask.digest


def test_what_sam_is_told_reaches_it_in_its_own_pixels() -> None:
    told: list[Any] = []

    class Spy:
        def outline(self, pixels: Any, box: Any, point: Any) -> tuple[Any, float]:
            told.append((pixels.shape[:2], box, point))
            return np.ones(pixels.shape[:2], np.bool_), 1.7

    wide = Image(np.zeros((500, 2048, 3), np.uint8))
    mask = outlines._outlined(Spy(), wide, (204.8, 100, 1024, 400), None)
    assert told == [((250, 1024), (102.4, 50, 512, 200), None)]
    assert mask.confidence == 1
    assert mask.size == (2048, 500)


def test_a_checkpoint_of_another_network_is_refused(models: Path, picture: Image, tmp_path: Path) -> None:
    import torch

    (tmp_path / "segment-anything").mkdir()
    torch.save({"weight": torch.zeros(2)}, tmp_path / "segment-anything" / "x.pth")
    with pytest.raises(StepError, match="no checkpoint of SAM"):
        run(tmp_path, {"segment-anything"}, picture, "segment_point", x=500, y=500)


def test_a_pickle_that_would_run_code_is_not_loaded(picture: Image, tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "ran").touch, ())

    (tmp_path / "segment-anything").mkdir()
    (tmp_path / "segment-anything" / "x.pth").write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(StepError):
        run(tmp_path, {"segment-anything"}, picture, "segment_point", x=500, y=500)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("detector", ["grounding-dino", "owlv2"])
def test_a_detector_that_reads_words_and_sam_find_things_together(
    detector: str, models: Path, picture: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "WORDS_GATE", 0.0)  # random weights: whatever is likeliest
    monkeypatch.setattr(outlines, "OWL_GATE", 0.0)
    mask, event = run(models, {detector, "sam"}, picture, "segment", target="the spoon on the left")
    assert event.engine == f"{detector} and sam"
    assert mask.size == picture.size
    assert "'spoon'" in mask.notes[0]


@pytest.mark.parametrize("detector", ["grounding-dino", "owlv2"])
def test_boxes_of_detectors_lie_in_the_picture(
    detector: str, models: Path, picture: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "WORDS_GATE", 0.0)
    monkeypatch.setattr(outlines, "OWL_GATE", 0.0)
    load, ask = {
        "grounding-dino": (outlines.load_dino, outlines.dino_boxes), "owlv2": (outlines.load_owl, outlines.owl_boxes),
    }[detector]  # fmt: skip
    found = ask(load(models / detector, CPU, "float32"), picture.pixels, "spoon")
    assert found
    width, height = picture.size
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for (x0, y0, x1, y1), _ in found)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_things_that_overlap_are_one_thing() -> None:
    class Boxes:
        def outline(self, pixels: Any, box: Any, point: Any) -> tuple[Any, float]:
            mask = np.zeros(pixels.shape[:2], np.bool_)
            mask[round(box[1]) : round(box[3]), round(box[0]) : round(box[2])] = True
            return mask, 0.5

    boxes = [((0.0, 0.0, 20.0, 20.0), 0.9), ((1.0, 1.0, 19.0, 19.0), 0.8), ((40.0, 0.0, 60.0, 20.0), 0.6)]
    found = outlines._cut_out(Boxes(), np.zeros((50, 80, 3), np.uint8), boxes)
    assert [round(c.weight, 2) for c in found] == [0.45, 0.3]


def test_all_engines_keep_the_contract_of_every_tool(models: Path) -> None:
    pool = Pool(lambda name: models / name, {CPU: 8 << 30})
    for tool in (segment_box, segment_point, mask_refine):
        only = copy(tool)
        only.engines = {name: tool.engines[name] for name in ("sam", "sam2", "segment-anything")}
        assert check(only, pool) == []
