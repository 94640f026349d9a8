"""Pipelines that generate, of the real classes at toy size: what every one of them keeps, whatever its habits."""

from __future__ import annotations

import importlib
import json
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lego.core import frames
from lego.core.errors import CancelledError, RefusedError, StepError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.registry import Tool
from lego.core.signature import Context
from lego.core.steps import Step
from lego.core.trace import StepDone, StepProgress, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow
from lego.executor.contract import check
from lego.executor.run import Cancel, Executor, Run
from lego.tools.fill import remove
from lego.tools.generate import generate_fill, instruct_edit
from lego.tools.geometry import Extended, extend_canvas
from lego.tools.neural import diffusion
from lego.tools.neural.generate import distrust, refined, standing
from tests.tools.neural import toys

ROOM = 300 << 30
STEPS = 3
DIALECT = Path(__file__).parents[2] / "core" / "lego-edit-dialect.json"
NAMES = list(toys.BUILT)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in NAMES:
        toys.save(name, folder)
    return folder


@pytest.fixture(scope="module")
def pools(models: Path) -> dict[str, Pool]:
    """For each toy a pool in which it alone has weights."""
    return {name: Pool(partial(only, models, name), {CPU: ROOM}) for name in NAMES}


def only(models: Path, name: str, asked: str) -> Path | None:
    return models / name if asked == name else None


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps on few pixels: the toys know nothing anyway."""
    short = {name: replace(habits, side=96, steps=STEPS) for name, habits in diffusion.FAMILIES.items()}
    monkeypatch.setattr(diffusion, "FAMILIES", short)
    qwen = importlib.import_module("diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus")
    monkeypatch.setattr(qwen, "VAE_IMAGE_SIZE", 64 * 64)  # it looks at a megapixel, whatever it is given
    monkeypatch.setattr(qwen, "CONDITION_IMAGE_SIZE", 64 * 64)


def tool_of(name: str) -> tuple[Tool[..., Any], dict[str, Any]]:
    if name in generate_fill.engines:
        return generate_fill, {"prompt": "a bowl of cherries"}
    return instruct_edit, {"instruction": "make it winter"}


def run(pool: Pool, tool: str, image: Image, mask: Mask | None, seed: int = 0, **more: Any) -> tuple[Run, Trace]:
    options = {name: more.pop(name) for name in ("cancel", "trace") if name in more}
    trace = options.setdefault("trace", Trace())
    args = {"image": "$image", **({"mask": "$mask"} if mask else {}), **more}
    given: dict[str, Image | Mask] = {"image": image, **({"mask": mask} if mask else {})}
    return Executor(pool=pool).run(Workflow((Step("s1", tool, args),), "$s1"), given, seed=seed, **options), trace


def picture(width: int, height: int) -> Image:
    return Image(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_any_size_comes_back_and_outside_the_mask_not_a_bit_changes(name: str, pools: dict[str, Pool]) -> None:
    tool, words = tool_of(name)
    for size in ((97, 61), (3, 130)):
        image = picture(*size)
        mask = Mask.from_box(size, (0, 10, size[0] // 2 + 1, 40))
        done, trace = run(pools[name], tool.name, image, mask, **words)
        if done.failure:
            raise done.failure
        made = done.results[0]
        assert next(trace.of(StepDone)).engine == name
        assert made.size == size
        assert (made.pixels != image.pixels)[mask.pixels > 0].mean() > 0.5
        assert (made.pixels == image.pixels)[mask.pixels == 0].all()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes_also_when_loaded_anew(name: str, pools: dict[str, Pool]) -> None:
    tool, words = tool_of(name)
    image, mask = picture(60, 40), Mask.from_box((60, 40), (10, 10, 50, 30))
    first, again = (run(pools[name], tool.name, image, mask, seed=5, **words)[0].results[0].digest for _ in range(2))
    pools[name].unload()
    anew = run(pools[name], tool.name, image, mask, seed=5, **words)[0].results[0].digest
    other = run(pools[name], tool.name, image, mask, seed=6, **words)[0].results[0].digest
    assert first == again == anew
    assert other != first


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_reported_and_stopping_takes_hold_at_the_next(name: str, pools: dict[str, Pool]) -> None:
    tool, words = tool_of(name)
    image, mask = picture(60, 40), Mask.from_box((60, 40), (10, 10, 50, 30))
    _, trace = run(pools[name], tool.name, image, mask, **words)
    assert [round(event.share, 2) for event in trace.of(StepProgress)] == [0.33, 0.67, 1.0]
    cancel, seen = Cancel(), []

    def listen(event: Any) -> None:
        if isinstance(event, StepProgress):
            seen.append(event.share)
            cancel.cancel()

    done, _ = run(pools[name], tool.name, image, mask, seed=9, cancel=cancel, trace=Trace(listen), **words)
    assert isinstance(done.failure, CancelledError)
    assert len(seen) == 1
    whole = run(pools[name], tool.name, image, mask, seed=5, **words)[0].results[0]
    pools[name].unload()
    assert whole.digest == run(pools[name], tool.name, image, mask, seed=5, **words)[0].results[0].digest


@pytest.mark.parametrize("name", NAMES)
def test_the_engines_keep_the_contract_of_every_tool(name: str, pools: dict[str, Pool]) -> None:
    tool, _ = tool_of(name)
    only = copy(tool)
    only.engines = {name: tool.engines[name]}
    assert check(only, pools[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_streamed_layer_by_layer_it_makes_the_same_bytes(name: str, models: Path) -> None:
    tool, words = tool_of(name)
    given = {**words, "image": picture(60, 40), "mask": Mask.from_box((60, 40), (10, 10, 50, 30))}
    paint = partial(tool.engines[name].function, **given)
    whole = paint(context=Context(seed=5), net=diffusion.load_painter(models / name, CPU, "float32"))
    painter = diffusion.load_painter(models / name, CPU, "float32")
    painter.stream(CPU)
    networks = [part for part in painter.pipe.components.values() if hasattr(part, "parameters")]
    layers = [layer for part in networks for layer in part.modules() if type(layer).__name__ in ("Linear", "Conv2d")]
    assert len(networks) >= 3
    assert all(getattr(layer, "_diffusers_hook", None) for layer in layers)

    def stop(share: float) -> None:
        raise CancelledError("the run was stopped")

    with pytest.raises(CancelledError):
        paint(context=Context(seed=1, progress=stop), net=painter)
    assert paint(context=Context(seed=5), net=painter).digest == whole.digest


def test_without_weights_they_are_not_offered_and_say_what_to_pull() -> None:
    nothing = Pool(lambda name: None, {CPU: ROOM})
    assert not generate_fill.runs(nothing)
    assert not instruct_edit.runs()
    with pytest.raises(StepError, match=r"flux-fill needs the weights 'flux-fill' \(`lego models pull flux-fill`\)"):
        generate_fill(picture(8, 8), "a cat")


def test_words_in_another_script_are_declined_by_networks_that_read_english(pools: dict[str, Pool]) -> None:
    image, mask = picture(60, 40), Mask.from_box((60, 40), (10, 10, 50, 30))
    for name, reads in (("sd-inpaint", False), ("flux-fill", False), ("qwen-image", True)):
        failure = run(pools[name], "generate_fill", image, mask, prompt="一只猫")[0].failure
        assert (failure is None) is reads
        if failure:
            assert failure.code == "language"
    assert run(pools["sd-inpaint"], "generate_fill", image, mask, prompt="a café, 3 cups")[0].failure is None


def test_a_weak_strength_keeps_more_of_what_is_there(pools: dict[str, Pool]) -> None:
    image = Image(np.full((64, 64, 3), 128, np.uint8))
    mask = Mask.from_box((64, 64), (10, 10, 50, 50))
    for strength in (0.05, 0.4, 1.0):
        done, trace = run(pools["sd-inpaint"], "generate_fill", image, mask, prompt="a cat", strength=strength)
        assert done.failure is None
        assert next(reversed(list(trace.of(StepProgress)))).share == 1.0


def test_what_is_withheld_or_no_number_is_no_picture(pools: dict[str, Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = generate_fill.engines["sd-inpaint"]
    made = SimpleNamespace(images=np.zeros((1, 96, 96, 3)), nsfw_content_detected=[True])
    with pools["sd-inpaint"].use(*engine.networks.values()) as (net,):
        monkeypatch.setattr(type(net.pipe), "__call__", lambda self, **given: made)
        pixels, hole = np.zeros((50, 50, 3), np.uint8), np.ones((50, 50), np.bool_)
        with pytest.raises(RefusedError, match="filter withheld"):
            net.paint(pixels, hole, "a cat", Context())
        made.nsfw_content_detected = None
        made.images[:] = np.nan
        with pytest.raises(StepError, match="no number"):
            net.paint(pixels, hole, "a cat", Context())


def test_a_hole_is_seen_with_its_surroundings_and_painted_a_little_beyond_its_edge() -> None:
    hole = np.zeros((400, 600), np.bool_)
    hole[100:150, 300:400] = True
    assert frames.surroundings(hole) == (250, 50, 450, 200)
    frame = frames.Frame.of((150, 200), 512, 8)
    assert frame.shown == (443, 591)
    assert frame.padded == (448, 592)
    handed = frame.under(hole[50:200, 250:450])
    assert handed.shape == frame.padded
    rows, columns = np.nonzero(handed)
    scale = 443 / 150
    assert abs(rows.min() - (50 * scale - frames.OVERLAP)) <= 4
    assert abs(columns.max() - (150 * scale + frames.OVERLAP)) <= 4


def test_a_large_picture_is_said_to_come_out_softer(pools: dict[str, Pool]) -> None:
    _, trace = run(pools["instruct-pix2pix"], "instruct_edit", picture(300, 200), None, instruction="make it winter")
    assert next(trace.of(StepDone)).notes == ("painted at 118 x 78 px and enlarged; a smaller area comes out sharper",)
    _, trace = run(pools["instruct-pix2pix"], "instruct_edit", picture(60, 40), None, instruction="winter " * 50)
    assert next(trace.of(StepDone)).notes == ("the network read only the first 77 pieces of the words",)


def test_adapters_beside_the_weights_are_merged_into_them(models: Path, tmp_path: Path, small: Image) -> None:
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    plain = diffusion.load_painter(models / "sd-inpaint", CPU, "float32")
    hole = np.ones((30, 40), np.bool_)
    before, _ = plain.paint(small.pixels, hole, "a cat", Context(seed=1))
    plain.pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    adapter = get_peft_model_state_dict(plain.pipe.unet)
    folder = toys.save("sd-inpaint", tmp_path)
    type(plain.pipe).save_lora_weights(folder / diffusion.LORAS, unet_lora_layers=adapter)
    merged = diffusion.load_painter(folder, CPU, "float32")
    after, _ = merged.paint(small.pixels, hole, "a cat", Context(seed=1))
    assert (before != after).any()
    assert not [name for name, _ in merged.pipe.unet.named_parameters() if "lora" in name]


def test_a_pipeline_of_another_kind_is_refused(tmp_path: Path) -> None:
    toys.sd("StableDiffusionImg2ImgPipeline", 4).save_pretrained(tmp_path / "other")
    with pytest.raises(StepError, match="how to ask a StableDiffusionImg2ImgPipeline"):
        diffusion.load_painter(tmp_path / "other", CPU, "float32")


def test_diffusion_takes_over_from_faster_engines_on_an_accelerator_only(models: Path) -> None:
    every = Pool(lambda name: models, {CPU: ROOM})
    assert remove.choose(every)[1].startswith("lama:")
    assert "lama and flux-fill would take minutes on a processor" in remove.choose(every)[1]
    assert extend_canvas.choose(every)[0].name == "embedded"
    fast = Pool(lambda name: models, {CPU: ROOM, "cuda": 80 << 30})
    assert remove.choose(fast)[0].name == "lama and flux-fill"
    assert extend_canvas.choose(fast)[0].name == "flux-fill"
    small = Pool(lambda name: models, {CPU: 16 << 30, "cuda": 24 << 30})
    assert extend_canvas.choose(small)[0].name == "sdxl-inpaint"
    beside = Pool(lambda name: models, {CPU: 64 << 30, "cuda": 24 << 30})  # room to stream from
    engine, reason = extend_canvas.choose(beside)
    assert engine.name == "flux-fill"
    assert "of weights stay in memory" in reason


def test_a_removal_is_drafted_and_painted_over_as_far_as_the_draft_is_off(pools: dict[str, Pool]) -> None:
    pixels = np.full((90, 120, 3), 100, np.uint8)
    hole = np.zeros((90, 120), np.bool_)
    hole[30:60, 40:80] = True
    asked: list[float] = []
    with pools["flux-fill"].use(*generate_fill.engines["flux-fill"].networks.values()) as (net,):
        made = refined(lambda image, mask: image, net, pixels, hole, Context(progress=asked.append))
    assert (made.pixels == pixels)[~hole].all()
    assert made.notes[:2] == ("filled one hole with LaMa", "painted over it with strength 0.7")
    assert asked == sorted(asked)
    assert asked[-1] == 1
    for shade, strength in {10: 0.9, 60: 0.8, 100: 0.7, 250: 0.9}.items():
        pixels[hole] = shade
        assert distrust(pixels, hole) == strength
    hole[:] = True
    assert distrust(pixels, hole) == 1


def test_new_room_is_painted_and_the_old_picture_stays(pools: dict[str, Pool]) -> None:
    engine = extend_canvas.engines["sdxl-inpaint"]
    image = picture(60, 40)
    with pools["sdxl-inpaint"].use(*engine.networks.values()) as (net,):
        made: Extended = engine.function(image, right=50.0, top=10.0, net=net)
        assert made.image.size == (90, 44)
        assert (made.image.pixels[4:, :60] == image.pixels).all()
        mirrored = extend_canvas.engines["embedded"].function(image, right=50.0, top=10.0, mode="reflect").image
        assert (made.image.pixels != mirrored.pixels)[made.mask.pixels > 0].mean() > 0.5
        flat: Extended = engine.function(image, right=50.0, mode="color", net=net)
        assert (flat.image.pixels[:, 60:] == 255).all()


def test_a_cut_out_is_put_into_the_mask_and_fitted_in(pools: dict[str, Pool]) -> None:
    image = Image(np.full((80, 120, 3), 90, np.uint8))
    alpha = np.zeros((40, 60), np.uint8)
    alpha[10:30, 20:30] = 255
    thing = Image(np.full((40, 60, 3), (250, 20, 20), np.uint8), alpha)
    put = standing(image, thing, (40, 20, 100, 60))  # 10 x 20 becomes 20 x 40
    assert (put[20:60, 60:80] == (250, 20, 20)).all()
    assert (put != 90).any(2).sum() == 20 * 40
    mask = Mask.from_box(image.size, (40, 20, 100, 60))
    given: dict[str, Image | Mask] = {"image": image, "mask": mask, "reference": thing}
    args = {"image": "$image", "mask": "$mask", "prompt": "a red pole", "picture": "$reference"}
    trace = Trace()
    done = Executor(pool=pools["sd-inpaint"]).run(
        Workflow((Step("s1", "generate_fill", args),), "$s1"), given, trace=trace
    )
    assert done.failure is None
    assert (done.results[0].pixels == image.pixels)[mask.pixels == 0].all()
    assert [round(event.share, 2) for event in trace.of(StepProgress)] == [1.0]  # one of three steps: strength .5


def test_without_a_mask_it_is_put_where_there_is_room(pools: dict[str, Pool]) -> None:
    image = Image(np.full((60, 90, 3), 90, np.uint8))
    done, trace = run(pools["sd-inpaint"], "generate_fill", image, None, prompt="a bird at the top right")
    changed = Mask((done.results[0].pixels != image.pixels).any(2))
    assert changed.box is not None
    assert changed.box[0] > 40
    assert changed.box[3] < 40
    assert next(trace.of(StepDone)).notes[0].startswith("painted at the top right")


def bricks(name: str) -> Workflow:
    """A right workflow of Lego-Edit's dialect, its targets those of the picture here."""
    raw = next(e["raw"] for e in json.loads(DIALECT.read_text(encoding="utf-8")) if e["id"] == name)
    for target in ("scooter", "ottoman", "cushion on the ottoman", "stepladder [the tall one]", "lantern"):
        raw = raw.replace(f'"prompt": "{target}"', '"prompt": "red disc"')
    return Workflow.from_lego_edit(raw.replace("1.75", "1.5"))


@pytest.mark.parametrize(
    "name",
    [
        "move-with-cutout", "user-mask-literals", "new-scene-then-style", "mask-difference-zh", "outpaint-unequal",
        "resize-and-compose-images", "mask-only-result", "global-chain-outpaint-equal",
    ],
)  # fmt: skip
def test_chains_of_the_papers_bricks_run(name: str, models: Path) -> None:
    pixels = np.full((96, 128, 3), (90, 130, 90), np.uint8)
    disc = np.hypot(*np.mgrid[-60:36, -40:88]) < 22
    pixels[disc] = (220, 20, 20)
    image = Image(pixels)
    known = {"sd-inpaint", "instruct-pix2pix"}
    pool = Pool(lambda asked: models / asked if asked in known else None, {CPU: ROOM})
    workflow = bricks(name)
    given: dict[str, Image | Mask] = {"image": image, "mask": Mask.from_box(image.size, (10, 30, 70, 90))}
    done = Executor(pool=pool).run(workflow, given)
    assert done.failure is None
    assert len(done.results) == len(workflow.result if isinstance(workflow.result, tuple) else (workflow.result,))
    size = image.size
    if "outpaint" in name:
        size = (179, 144) if name == "outpaint-unequal" else (192, 144)
    assert {result.size for result in done.results} == {size}
