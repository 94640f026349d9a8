"""The studio in a real browser: Debian's Chromium, driven by Playwright. Skipped where there is none."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

import lego
from lego import Editor
from lego.core.values import Image
from lego.server.keys import add
from tests.server.running import Running, running

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
PHOTOS = Path(__file__).parents[2] / "docs" / "photos"
WORDS = "make it warmer, then add a vignette, then flip it"
SLOW = 30_000  # milliseconds

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # gradio's
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here: apt install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("studio"), studio=True) as found:
        yield found


@pytest.fixture
def page(browser: Any, server: Running) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.goto(server.url)
    made.set_input_files("#picture input[type=file]", PHOTOS / "coffee.png")
    expect(made.locator("#picture img")).to_be_visible(timeout=SLOW)
    yield made
    context.close()
    assert not faults


def edit(page: Page, words: str, steps: int, turns: int = 1) -> None:
    """Edit, and wait until so many edits stand in the history, with so many steps of the last."""
    page.fill("#words textarea", words)
    page.click("#go")
    expect(page.locator("#history img")).to_have_count(turns + 1, timeout=SLOW)
    expect(page.locator("#steps .card.done")).to_have_count(steps, timeout=SLOW)


def fetched(page: Page, kind: str) -> bytes:
    names = page.locator("#files").locator("button")
    texts = names.all_inner_texts()
    with page.expect_download(timeout=SLOW) as found:
        names.nth(next(n for n, text in enumerate(texts) if kind in text)).click()
    return Path(found.value.path()).read_bytes()


def test_an_edit_shows_its_steps_and_gives_its_files(page: Page) -> None:
    edit(page, WORDS, 3)
    cards = page.locator("#steps .card")
    assert [re.sub(r"\n.*", "", text, flags=re.S) for text in cards.all_inner_texts()] == [
        "temperature", "vignette", "flip"
    ]  # fmt: skip
    assert re.search(r"embedded · (cached|\d+\.\d\d s)", cards.first.inner_text())
    assert page.locator("#steps .card img").count() == 3
    whole = lego.edit(PHOTOS / "coffee.png", WORDS)
    assert Image.open(fetched(page, "picture")) == whole.image
    assert json.loads(fetched(page, "workflow")) == whole.workflow.dump()
    assert b"<html" in fetched(page, "report").lower()


def test_edits_go_on_from_each_other_and_are_undone(page: Page) -> None:
    edit(page, "flip it", 1)
    edit(page, "make it warmer", 1, turns=2)
    once = lego.edit(PHOTOS / "coffee.png", "flip it").image
    assert Image.open(fetched(page, "picture")) == lego.edit(once.pixels, "make it warmer").image
    expect(page.locator("#history img")).to_have_count(3, timeout=SLOW)
    page.click("#undo")
    expect(page.locator("#history img")).to_have_count(2, timeout=SLOW)
    assert Image.open(fetched(page, "picture")) == once
    page.locator("#history img").first.click()
    expect(page.locator("#steps")).to_contain_text("The steps appear here.", timeout=SLOW)


def test_arguments_are_changed_and_what_came_before_is_cached(page: Page) -> None:
    edit(page, "flip it, then increase the exposure by 1 stop", 2)
    page.locator("#again").get_by_text("Change the arguments").click()
    cell = page.locator("#again [role=gridcell]:visible").last
    expect(cell).to_have_text(re.compile(r"^\s*1(\.0)?\s*$"), timeout=SLOW)
    cell.dblclick()
    page.keyboard.press("Control+A")
    page.keyboard.type("-1")
    page.keyboard.press("Enter")
    page.click("#rerun")
    expect(page.locator("#steps .card").nth(1)).to_contain_text("exposure -1", timeout=SLOW)
    expect(page.locator("#steps .card").first).to_contain_text("cached", timeout=SLOW)
    expect(page.locator("#steps .card.done")).to_have_count(2, timeout=SLOW)
    for _ in range(50):  # the files come last
        flow = json.loads(fetched(page, "workflow"))
        if flow["steps"][1]["args"]["exposure"] == -1:
            break
        page.wait_for_timeout(100)
    assert flow["steps"][1]["args"]["exposure"] == -1
    assert Image.open(fetched(page, "picture")) == lego.run(flow, PHOTOS / "coffee.png").image


def test_a_painted_mask_limits_the_edit(page: Page) -> None:
    page.locator("#mask").get_by_text("Only a part of it").click()
    canvas = page.locator("#mask canvas").first
    expect(canvas).to_be_visible(timeout=SLOW)
    page.wait_for_timeout(1500)  # the editor draws its picture when it likes
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=12)
    page.mouse.up()
    page.wait_for_timeout(500)
    edit(page, "make it black and white", 1)
    made, source = Image.open(fetched(page, "picture")), Image.open(PHOTOS / "coffee.png")
    changed = (made.pixels != source.pixels).any(2)
    assert 0.002 < changed.mean() < 0.4
    rows, columns = np.nonzero(changed)
    assert abs(np.median(columns) / 600 - 0.5) < 0.2
    assert abs(np.median(rows) / 400 - 0.5) < 0.2


def test_what_is_not_understood_is_said_and_nothing_is_lost(page: Page) -> None:
    edit(page, "flip it", 1)
    page.fill("#words textarea", "fly me to the moon")
    page.click("#go")
    expect(page.locator("#steps .error")).to_contain_text("not understood", timeout=SLOW)
    expect(page.locator("#history img")).to_have_count(2, timeout=SLOW)


def test_it_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    edit(page, "flip it", 1)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    go = page.locator("#go").bounding_box()
    assert go is not None
    assert go["height"] >= 38  # a finger's


def test_where_keys_are_asked_for_the_page_asks_too(browser: Any, tmp_path: Path) -> None:
    key = add(tmp_path / "keys.json", "me")
    with running(tmp_path / "data", {"rules": Editor("rules")}, studio=True, keys=tmp_path / "keys.json") as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.url)
        for password in ("wrong", key):
            page.locator("input").nth(0).fill("me")
            page.locator("input[type=password]").fill(password)
            page.get_by_role("button", name="Login").click()
            if password == "wrong":
                expect(page.get_by_text("Incorrect Credentials")).to_be_visible(timeout=SLOW)
                assert page.locator("#go").count() == 0
        expect(page.locator("#go")).to_be_visible(timeout=SLOW)
        context.close()
        with server.http() as client:
            assert client.get("/v1/tools").status_code == 401
            assert client.get("/config").status_code == 401


def test_what_may_not_be_read_is_refused_when_it_is_dropped(browser: Any, server: Running, tmp_path: Path) -> None:
    Image(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "old.bmp")
    page = browser.new_page()
    page.goto(server.url)
    page.set_input_files("#picture input[type=file]", tmp_path / "old.bmp")
    expect(page.get_by_text("BMP is not read here")).to_be_visible(timeout=SLOW)
    page.close()
