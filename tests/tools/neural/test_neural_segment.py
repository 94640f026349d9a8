"""Things found by name: real small networks on real photographs, and CLIPSeg's classes at toy size."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.steps import Step
from lego.core.trace import StepDone, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.run import Executor
from lego.tools.finders import words
from lego.tools.finders.candidates import Candidate, candidate
from lego.tools.neural import segment as engines
from lego.tools.neural.classes import COCO, class_of
from lego.tools.segment import segment
from tests.tools.neural import toys

SHARED = Path(__file__).parents[4] / "shared" / "weights"
REAL = {"deeplab": "deeplabv3_mnv2_10_hf", "yolox": "yolox_nano"}
real = pytest.mark.weights


def find(*names: str) -> Pool:
    """A pool that finds some of the real networks."""
    for name in names:
        if not (SHARED / REAL[name]).is_dir():
            pytest.skip(f"the weights of {name} are not on this machine")
    return Pool(lambda name: SHARED / REAL[name] if name in names else None, {CPU: 2 << 30})


def run(pool: Pool, image: Image, target: str) -> tuple[Mask, StepDone]:
    trace = Trace()
    flow = Workflow((Step("s1", "segment", {"image": "$image", "target": target}),), "$s1")
    done = Executor(pool=pool).run(flow, {"image": image}, trace=trace)
    if done.failure:
        raise done.failure
    return done.results[0], next(trace.of(StepDone))


def share(mask: Mask, x0: int, y0: int, x1: int, y1: int) -> float:
    return float((mask.pixels[y0:y1, x0:x1] > 127).mean())


@real
def test_a_person_is_outlined_on_a_real_photograph(photos: Path) -> None:
    mask, event = run(find("deeplab"), Image.open(photos / "astronaut.png"), "the astronaut")
    assert event.engine == "deeplab"
    assert 0.36 < mask.share < 0.46
    assert share(mask, 200, 80, 250, 150) == 1  # her face
    assert share(mask, 100, 300, 220, 400) > 0.98  # the suit
    assert share(mask, 360, 20, 480, 200) < 0.02  # the shuttle behind her
    assert mask.confidence is not None
    assert mask.confidence > 0.8


@real
def test_a_cat_is_outlined_and_what_is_not_there_is_declined(photos: Path) -> None:
    pool = find("deeplab")
    mask, _ = run(pool, Image.open(photos / "chelsea.png"), "猫")
    assert 0.82 < mask.share < 0.94
    with pytest.raises(RefusedError, match="nothing that could be 'the dog'"):
        run(pool, Image.open(photos / "china.jpg"), "the dog")
    with pytest.raises(RefusedError, match="'teapot' is nothing that this network knows") as caught:
        run(pool, Image.open(photos / "china.jpg"), "the teapot")
    assert "bicycle" in caught.value.hint


@real
def test_a_detector_knows_more_things_and_colours_decide_among_them(photos: Path) -> None:
    pool, coffee = find("yolox"), Image.open(photos / "coffee.png")
    mask, event = run(pool, coffee, "the cup")
    assert event.engine == "yolox"
    assert 0.12 < mask.share < 0.19
    assert share(mask, 220, 40, 380, 150) > 0.95
    assert run(pool, coffee, "the red cup")[0] == mask
    with pytest.raises(RefusedError, match="nothing that could be 'the green cup'"):
        run(pool, coffee, "the green cup")


@real
def test_what_does_not_fill_its_box_is_declined_rather_than_cut_out_wrongly(photos: Path) -> None:
    with pytest.raises(RefusedError, match="'table' was seen, but its outline is not clear"):
        run(find("yolox"), Image.open(photos / "coffee.png"), "the table")


@real
def test_with_both_the_one_that_knows_outlines_comes_first(photos: Path) -> None:
    pool = find("deeplab", "yolox")
    mask, event = run(pool, Image.open(photos / "astronaut.png"), "the person")
    assert event.engine == "deeplab and yolox"
    assert share(mask, 170, 35, 225, 60) > 0.85  # her hair, which the box alone would lose
    assert run(pool, Image.open(photos / "coffee.png"), "the cup")[0].share < 0.19


@real
def test_text_sky_and_subject_stay_with_the_finders_that_need_no_network(photos: Path) -> None:
    image = Image.open(photos / "china.jpg")
    assert run(find("yolox"), image, "the sky")[0] == segment.function(image, "the sky")


def test_what_a_place_a_number_or_a_colour_picks() -> None:
    pixels = np.full((100, 300, 3), 128, np.uint8)
    pixels[30:70, 30:70], pixels[30:70, 130:170], pixels[20:80, 220:280] = (200, 20, 20), (20, 20, 200), (30, 30, 30)
    boxes = [(30, 30, 70, 70), (130, 30, 170, 70), (220, 20, 280, 80)]

    def things(found: Any, noun: str) -> list[Candidate]:
        made = []
        for x0, y0, x1, y1 in boxes:
            mask = np.zeros((100, 300), np.bool_)
            mask[y0:y1, x0:x1] = True
            made.append(candidate(mask, 0.9))
        return made

    def picked(target: str) -> int:
        mask = engines.named(Image(pixels), target, things)
        return [share(mask, *box) > 0.9 for box in boxes].index(True) if mask.share < 0.15 else -1

    wanted = {
        "the box on the left": 0, "the rightmost box": 2, "the second box from the left": 1, "the blue box": 1,
        "the largest box": 2, "the black box": 2, "左边的箱子": 0, "第三个箱子": 2, "红色的箱子": 0, "the boxes": -1,
    }  # fmt: skip
    assert {target: picked(target) for target in wanted} == wanted
    with pytest.raises(RefusedError, match="found only 3"):
        picked("the fifth box")


@pytest.mark.parametrize(
    ("target", "noun"),
    [
        ("the red car on the left", "car"), ("my dog", "dog"), ("the second largest cat", "cat"),
        ("a hot dog", "hot dog"),
        ("左边的红色汽车", "汽车"), ("第二只猫", "猫"), ("那个行人", "行人"), ("teddy bear", "teddy bear"),
    ],
)  # fmt: skip
def test_nouns_are_freed_of_place_colour_and_number(target: str, noun: str) -> None:
    assert words.noun_of(target) == noun


@pytest.mark.parametrize(
    ("noun", "name"),
    [
        ("kitten", "cat"), ("puppies", "dog"), ("tourists", "person"), ("小狗", "dog"), ("black horse", "horse"),
        ("red wine glasses", "wine glass"), ("cat bed", "bed"), ("knives", "knife"), ("红色汽车", "car"),
        ("teapot", ""),
        ("women", "person"), ("buses", "bus"), ("长颈鹿", "giraffe"), ("独角兽", ""), ("hot dog", "hot dog"),
    ],
)  # fmt: skip
def test_what_people_call_things_leads_to_their_class(noun: str, name: str) -> None:
    assert class_of(noun) == name


def test_networks_that_read_english_are_asked_in_english() -> None:
    assert [engines.english(noun) for noun in ("spoon", "小狗", "红酒杯")] == ["spoon", "dog", "wine glass"]
    with pytest.raises(RefusedError, match="reads English, and '独角兽' is not"):
        engines.english("独角兽")


def test_no_name_stands_for_two_classes() -> None:
    names = [form for name, others in COCO.items() for form in {name, *others.split()}]
    assert len(names) == len(set(names))
    assert len(COCO) == 80


@pytest.fixture(scope="module")
def clipseg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLIPSeg's real classes, tiny, with random weights."""
    import torch
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    from lego.core.processors import hide_broken_torchvision

    hide_broken_torchvision()
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "clipseg"
    tokenizer = toys.tokenizer()
    count = tokenizer.vocab_size
    ends = {"bos_token_id": count - 2, "eos_token_id": count - 1, "pad_token_id": count - 1}
    small = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    config = CLIPSegConfig(
        text_config={**small, **ends, "num_hidden_layers": 2, "vocab_size": count},
        vision_config={**small, "num_hidden_layers": 3, "image_size": 64, "patch_size": 16},
        projection_dim=32, reduce_dim=16, extract_layers=[1, 2], conditional_layer=0, decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )  # fmt: skip
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    size = {"height": 64, "width": 64}
    CLIPSegProcessor(image_processor=ViTImageProcessorPil(size=size), tokenizer=tokenizer).save_pretrained(folder)
    return folder


def test_clipseg_is_loaded_from_its_folder_asked_in_words_and_gives_the_same_every_time(
    clipseg: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "CLIPSEG_GATE", 0.0)  # random weights: whatever is likeliest
    pool = Pool(lambda name: clipseg if name == "clipseg" else None, {CPU: 2 << 30})
    image = Image.open(photos / "china.jpg")
    mask, event = run(pool, image, "the pagoda")
    assert event.engine == "clipseg"
    assert mask.size == image.size
    assert mask.notes[0].startswith("found 1 x 'pagoda'")
    assert run(pool, image, "the pagoda")[0].digest == mask.digest
    assert pool.counts.loads == 1


def test_a_folder_without_the_right_files_is_an_error_that_says_so(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "clipseg").mkdir()
    pool = Pool(lambda name: tmp_path / name if name == "clipseg" else None, {CPU: 2 << 30})
    with warnings.catch_warnings(), pytest.raises(Exception, match="clipseg") as caught:
        run(pool, Image.open(photos / "china.jpg"), "the pagoda")
    assert "s1" in str(caught.value)
