"""The contact sheet: complete, escaped, failures first, and not too large for a browser."""

from __future__ import annotations

from pathlib import Path

from lego.batches import sheet
from lego.batches.items import Line, Seen, thumb_path


def line(number: int, **facts: object) -> Line:
    return Line.model_validate(
        {"output": f"p/{number:05}.png", "asked": "x", "status": "done", "image": "a.png", "seconds": 0.5, **facts}
    )


def page(tmp_path: Path, *lines: Line, total: int = 0) -> str:
    return sheet.write(tmp_path, lines, total or len(lines)).read_text(encoding="utf-8")


def test_failures_come_first_with_what_to_do(tmp_path: Path) -> None:
    bad = line(9, status="failed", error="it is not there", hint="point at it")
    text = page(tmp_path, line(1), bad)
    assert text.index("it is not there") < text.index("p/00001.png")
    assert "point at it" in text
    assert "Failed 1" in text


def test_texts_are_escaped_and_names_lead_to_results(tmp_path: Path) -> None:
    made = [Seen(path="p/a b#1.png", size=3)]
    text = page(tmp_path, line(1, words="<script>x</script>", notes=["<b>"], made=made))
    assert "<script>x" not in text
    assert "&lt;b&gt;" in text
    assert 'href="p/a%20b%231.png"' in text


def test_small_pictures_are_inside_and_lost_ones_do_no_harm(tmp_path: Path) -> None:
    path = thumb_path(tmp_path, "abc.webp")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"small")
    text = page(tmp_path, line(1, thumbs=("abc.webp", "gone.webp")))
    assert 'loading=lazy decoding=async src="data:image/webp;base64,c21hbGw="' in text
    assert "http" not in text


def test_thousands_are_cut_into_pages_that_know_each_other(tmp_path: Path) -> None:
    lines = [line(number, words="flip it") for number in range(2 * sheet.ROWS + 1)]
    text = page(tmp_path, *lines)
    assert text.count("<article") == sheet.ROWS
    assert 'href="sheet-3.html"' in text
    assert (tmp_path / "sheet-3.html").read_text(encoding="utf-8").count("<article") == 1
    page(tmp_path, *lines[:5])
    assert not list(tmp_path.glob("sheet-*.html"))


def test_one_instruction_is_the_title_and_several_stand_with_their_pictures(tmp_path: Path) -> None:
    assert "<h1>flip it</h1>" in page(tmp_path, line(1, words="flip it"), line(2, words="flip it"))
    text = page(tmp_path, line(1, words="flip it"), line(2, words="warm it"))
    assert "<h1>2 instructions</h1>" in text
    assert "<p class=words>warm it</p>" in text
