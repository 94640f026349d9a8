"""Hair on a real photograph, and around faces only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lego.core.errors import RefusedError
from lego.core.memory import CPU
from lego.core.models import Pool
from lego.core.networks import Network
from lego.core.registry import Engine
from lego.core.values import Image
from lego.tools.finders import hair, words
from lego.tools.neural.faces import YuNet
from lego.tools.neural.hair import load_hair
from lego.tools.segment import segment

WEIGHTS = Path(__file__).parents[4] / "shared" / "weights"
needs_weights = [
    pytest.mark.weights,
    pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the shared weights are not here"),
]
FACE = (100.0, 60.0, 40.0, 50.0, 0.9)  # of a picture of 240 x 200 px


def there(*places: tuple[int, int, int, int]) -> hair.Likelihood:
    """What sees hair in boxes (left, top, right, bottom)."""

    def likely(pixels: Any) -> Any:
        share = np.full(pixels.shape[:2], 0.02, np.float32)
        for x0, y0, x1, y1 in places:
            share[y0:y1, x0:x1] = 0.9
        return share

    return likely


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hair")
    (folder / "hair.tflite").symlink_to(WEIGHTS / "mediapipe" / "hair_segmentation.tflite")
    faces = YuNet(WEIGHTS / "yunet" / "yunet_n_dynamic.onnx")
    return {"hair": load_hair(folder, CPU, "float32"), "faces": faces}


class TestOnPhotographs:
    pytestmark = needs_weights

    def test_the_hair_is_outlined_and_nothing_else(self, networks: dict[str, Any], photos: Path) -> None:
        image = Image.open(photos / "astronaut.png")
        mask = segment.function(image, "her short brown hair", **networks)
        rows, columns = np.nonzero(mask.pixels > 127)
        assert mask.share == pytest.approx(0.036, abs=0.006)  # as its authors' own runtime has it
        assert np.percentile(columns, (5, 95)) == pytest.approx((163, 290), abs=8)
        assert np.percentile(rows, (5, 95)) == pytest.approx((26, 108), abs=8)
        assert mask.pixels[110:160, 200:250].max() == 0  # her face
        assert mask.notes[0] == "hair of one face"

    @pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "dandelion.jpg"])
    def test_fur_and_petals_are_no_hair(self, networks: dict[str, Any], photos: Path, name: str) -> None:
        with pytest.raises(RefusedError, match="no face was seen"):
            segment.function(Image.open(photos / name), "the hair", **networks)


def test_hair_that_touches_a_face_is_taken_whole_and_what_lies_apart_is_left() -> None:
    pixels = np.full((200, 240, 3), 128, np.uint8)
    likely = there((90, 30, 150, 180), (200, 150, 230, 190))
    found = hair.find(pixels, likely, lambda pixels: [FACE])
    assert found.mask[40, 120]
    assert found.mask[175, 120]  # long hair goes on beyond the surroundings of the face
    assert not found.mask[160:, 200:].any()
    assert found.confidence > hair.GATE
    bald = hair.find(pixels, there((200, 150, 230, 190)), lambda pixels: [FACE])
    assert bald.confidence == 0
    assert "no hair was seen" in bald.notes[0]


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("her hair", "hair"), ("the long red hair of the woman", "hair"), ("hairstyle", "hair"), ("她的头发", "hair"),
        ("红色的长发", "hair"), ("the hair dryer", "thing"), ("the red hairbrush", "color"), ("the chair", "thing"),
        ("the red chairs", "color"), ("her face", "face"), ("hair and face", "face"),
    ],
)  # fmt: skip
def test_hair_is_told_from_what_is_called_after_it(target: str, kind: str) -> None:
    assert words.read(target).kind == kind


def test_without_the_network_it_says_what_to_pull(small: Image) -> None:
    with pytest.raises(RefusedError) as caught:
        segment.function(small, "her hair")
    assert "lego models pull hair" in (caught.value.hint or "")


def test_a_network_whose_reader_is_not_installed_is_done_without(tmp_path: Path) -> None:

    def load(folder: Path, device: str, precision: str) -> Any:
        raise AssertionError("it cannot be loaded")

    pool = Pool(lambda name: tmp_path, {CPU: 1 << 30})
    for modules, held in (((), ["net"]), (("no_such_module",), [])):
        network = Network("lost", load, {"float32": 1}, modules=modules)
        engine = Engine("own", segment.function, networks={"net": network}, spare=frozenset({"net"}))
        assert list(engine.held(pool)) == held
