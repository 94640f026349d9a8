"""Faces by YuNet on real photographs, and a network that is handed in only where its weights are."""

from __future__ import annotations

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
from lego.tools.finders import face
from lego.tools.neural.faces import YuNet
from lego.tools.portrait import smooth_skin
from lego.tools.segment import segment

WEIGHTS = Path(__file__).parents[4] / "shared" / "weights" / "yunet"
FACE = (181, 60, 90, 117)  # of astronaut.png, as its authors' own code finds it
needs_weights = [
    pytest.mark.weights,
    pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the shared weights are not here"),
]


def found(image: Image, tool: str, pool: Pool | None, **args: Any) -> tuple[Any, str]:
    trace = Trace()
    flow = Workflow((Step("s1", tool, {"image": "$image", **args}),), "$s1")
    done = Executor(pool=pool).run(flow, {"image": image}, trace=trace)
    if done.failure:
        raise done.failure
    return done.results[0], next(trace.of(StepDone)).reason


@pytest.fixture
def pool() -> Pool:
    return Pool(lambda name: WEIGHTS if name == "yunet" else None, {CPU: 1 << 30})


class TestOnPhotographs:
    pytestmark = needs_weights

    def test_the_face_is_outlined(self, pool: Pool, photos: Path) -> None:
        image = Image.open(photos / "astronaut.png")
        mask, reason = found(image, "segment", pool, target="her face")
        box = Mask.from_box(image.size, (FACE[0], FACE[1], FACE[0] + FACE[2], FACE[1] + FACE[3]))
        both, either = (mask & box).pixels.sum(), (mask | box).pixels.sum()
        assert both / either > 0.65
        assert "cpu" in reason
        assert pool.counts.loads == 1

    @pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "dandelion.jpg"])
    def test_nothing_else_is_taken_for_a_face(self, pool: Pool, photos: Path, name: str) -> None:
        with pytest.raises(Exception, match="no faces"):
            found(Image.open(photos / name), "segment", pool, target="the face")

    def test_small_and_several_faces_are_found(self, pool: Pool, photos: Path) -> None:
        one = Image.open(photos / "astronaut.png").pixels[0:300, 80:380]
        crowd = np.full((700, 1000, 3), 128, np.uint8)
        for number, side in enumerate((100, 160, 240)):
            small = Image(one).pil().resize((side, side))
            crowd[100 : 100 + side, 100 + 300 * number : 100 + 300 * number + side] = np.asarray(small)
        mask, _ = found(Image(crowd), "segment", pool, target="faces")
        assert "found 3 faces" in mask.notes
        assert all(mask.pixels[:, x : x + 300].any() for x in (0, 350, 650))

    def test_skin_is_smoothed_in_the_face_that_was_found(self, pool: Pool, photos: Path) -> None:
        image = Image.open(photos / "astronaut.png")
        made, _ = found(image, "smooth_skin", pool)
        rows, columns = np.nonzero((made.pixels != image.pixels).any(2))
        assert 40 < rows.min() < rows.max() < 200
        assert 160 < columns.min() < columns.max() < 290

    def test_tiny_pictures_have_no_faces(self) -> None:
        detect = YuNet(next(WEIGHTS.glob("*.onnx")))
        for size in ((1, 1), (3, 517), (9, 9)):
            assert detect(np.zeros((*size, 3), np.uint8)) == []


def test_the_boxes_of_a_detector_become_outlines(small: Image) -> None:
    pixels = np.full((120, 160, 3), 60, np.uint8)
    pixels[40:80, 60:95] = (220, 170, 140)
    seen = face.find(pixels, lambda given: [(60.0, 40.0, 35.0, 40.0, 0.9)])
    assert seen.confidence == 0.9
    assert seen.notes == ("found one face",)
    assert seen.mask[60, 77]
    assert not seen.mask[:20].any()
    assert face.find(pixels, lambda given: []).notes == ("found no faces",)


def test_it_is_done_without_where_the_weights_are_missing() -> None:
    nothing = Pool(lambda name: None, {CPU: 1 << 30})
    here = Pool(lambda name: Path(), {CPU: 1 << 30})
    full = Pool(lambda name: Path(), {CPU: 1})
    for tool, spare in ((segment, ["faces", "hair"]), (smooth_skin, ["faces"])):
        engine = tool.engines["embedded"]
        assert [list(engine.held(pool)) for pool in (None, nothing, full, here)] == [[], [], [], spare]
        assert not any(engine.lacks(pool) for pool in (None, nothing, full, here))
    with pytest.raises(RefusedError):
        smooth_skin(Image(np.zeros((50, 50, 3), np.uint8)))
