"""The page with the picture of every step."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np

from lego import report
from lego.core.steps import Step
from lego.core.trace import Noted, StepDone, Trace
from lego.core.values import Image, Mask
from lego.core.workflow import Workflow

EVIL = "<script>alert(1)</script>\"'"


def example(after: Image) -> str:
    before = Image(np.full((20, 30, 3), 80, np.uint8))
    workflow = Workflow((Step("s1", "segment", {"image": "$image", "target": EVIL}), Step("s2", "blur", {})), "$s2")
    trace = Trace()
    trace.add(Noted(EVIL))
    trace.add(StepDone("s1", "segment", "embedded", "best", False, 0.1, 0, {}, []))
    outputs: dict[str, dict[str, Any]] = {
        "s1": {"mask": Mask.from_box((30, 20), (5, 5, 9, 9))},
        "s2": {"image": after, "caption": EVIL},
    }
    return report.page(EVIL, before, after, workflow, trace, outputs)


def test_the_page_shows_every_step_and_fetches_nothing() -> None:
    page = example(Image(np.zeros((20, 30, 3), np.uint8)))
    assert page.count("<div class=step>") == 2
    assert page.count("data:image/") == 4  # before, after, the mask over the picture, the second step
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "class=pair" in page


def test_hostile_words_stay_words() -> None:
    page = example(Image(np.zeros((20, 30, 3), np.uint8)))
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append(tag)  # type: ignore[method-assign]
    parser.feed(page)
    assert "script" not in seen
    assert "&lt;script&gt;" in page


def test_pictures_of_other_sizes_stand_side_by_side() -> None:
    page = example(Image(np.zeros((30, 20, 3), np.uint8)))
    assert "<div class=two>" in page
    assert "after, 20 x 30" in page
