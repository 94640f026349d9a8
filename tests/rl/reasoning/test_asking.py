"""Asking a model for lessons: what is read strictly, what is dropped, and that nothing is asked twice."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from lego.cli import app
from lego.core.errors import PlanError, RecordError
from lego.core.values import Image
from lego.rl import records
from lego.rl.reasoning import asking, lessons, pool, synthesis
from lego.rl.reasoning.asking import Unfit
from lego.rl.reasoning.lessons import Book
from tests.serving import serving

INSTRUCTION = re.compile(r'INSTRUCTION: (".*")')


class Server(BaseHTTPRequestHandler):
    """Answers as a good model does, but for instructions that name what it does wrong."""

    asked: ClassVar[Counter[str]] = Counter()
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = body["messages"][0]["content"][-1]["text"]
        found = INSTRUCTION.search(words)
        assert found
        own = json.loads(found[1])
        with self.lock:
            self.asked[own] += 1
        self.send_response(400 if "broken" in own else 200)
        self.end_headers()
        said = self.answer(own, '"edits"' in words)
        self.wfile.write(json.dumps({"choices": [{"message": {"content": said}}]}).encode())

    def answer(self, own: str, decompose: bool) -> str:
        if "nonsense" in own:
            return "I would rather not"
        if "second try" in own and self.asked[own] == 1:
            return "{"
        if not decompose:
            return json.dumps({"abstract": f"as on a day that nobody forgets ({len(own)})"})
        edits = [part.strip() for part in re.split(", then | and ", own)]
        return "```json\n" + json.dumps({"edits": [f"please {edit}" for edit in edits]}) + "\n```"

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.asked.clear()
    with serving(Server) as address:
        yield f"{address}/v1#m"


def folder(path: Path, small: Image, instructions: list[str]) -> Path:
    """A pool of pictures with a file of instructions."""
    path.mkdir()
    small.save(path / "a.png")
    lines = [json.dumps({"image": "a.png", "instruction": text}) for text in instructions]
    (path / pool.FILE).write_text("\n".join(lines) + "\n")
    return path


SIMPLE = [f"brighten thing {n}" for n in range(40)]
COMPLEX = [f"brighten thing {n} and blur the sky" for n in range(20)]


def test_a_pool_gives_the_mix_and_a_second_run_asks_nothing_again(url: str, tmp_path: Path, small: Image) -> None:
    place = folder(tmp_path / "pool", small, SIMPLE + COMPLEX)
    command = ["synth", "thinking", "--pool", str(place), "--model", url, "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--count", "20", "--workers", "3"])
    assert done.exit_code == 0, done.output
    assert "20 lessons in thinking: 9 abstract, 6 decomposed, 5 unchanged" in done.output
    found = list(lessons.read(tmp_path / "out"))
    assert len({lesson.provenance.key for lesson in found}) == 20
    for lesson in found:
        assert isinstance(lesson, lessons.Thinking)
        assert lesson.provenance.source == "pool"
        assert lesson.provenance.model == ("" if lesson.way == "unchanged" else url)
        if lesson.way == "decomposed":
            assert lesson.answer == "please " + lesson.instruction.replace(" and ", ", please ")
        if lesson.way == "abstract":
            assert lesson.instruction.startswith("as on a day")
            assert lesson.answer in SIMPLE
    asked = Counter(Server.asked)
    again = CliRunner().invoke(app, [*command, "--count", "20"])
    assert again.output == done.output
    assert Server.asked == asked
    more = CliRunner().invoke(app, [*command, "--count", "30"])
    assert "30 lessons" in more.output
    assert max(Server.asked.values()) == 1


def test_what_cannot_be_used_is_dropped_with_its_reason_and_not_asked_again(
    url: str, tmp_path: Path, small: Image
) -> None:
    place = folder(tmp_path / "pool", small, [*(f"nonsense {n}" for n in range(8)), "second try"])
    with (place / pool.FILE).open("a") as file:
        file.write(json.dumps({"image": "gone.png", "instruction": "blur it"}) + "\n")
    command = ["synth", "thinking", "--pool", str(place), "--model", url, "--out", str(tmp_path / "out")]
    for _ in range(2):
        done = CliRunner().invoke(app, [*command, "--count", "100"])
        assert done.exit_code == 0, done.output
        assert re.search("[4-8] tasks gave none: not the JSON that was asked for", done.output)
        assert "1 tasks gave none: the picture cannot be read" in done.output
        assert "are wanting; a larger pool, or a larger --count, gives more" in done.output
    assert {Server.asked[f"nonsense {n}"] for n in range(8)} == {0, asking.TRIES}
    assert all(count <= asking.TRIES for count in Server.asked.values())


def test_a_model_that_is_down_ends_the_run_and_what_was_not_asked_is_asked_the_next_time(
    url: str, tmp_path: Path, small: Image
) -> None:
    place = folder(tmp_path / "pool", small, [f"broken {n}" for n in range(30)])
    from lego.builder import talker

    book = Book(tmp_path / "out")
    writer = asking.Writer(talker.open(url), "pool")
    job: synthesis.Asking[pool.Wish, lessons.Lesson] = synthesis.Asking(
        book, "thinking", "pool", {"abstract": 1.0}, 30, lambda t: writer.lesson(t.label, t.wish)
    )
    with pytest.raises(PlanError, match="answers 400"):
        job.run({"abstract": iter(pool.read(place))}, 2)
    assert sum(Server.asked.values()) < 12
    assert not book.counts
    assert not (tmp_path / "out" / lessons.DROPPED).read_text()


def test_a_new_pool_adds_to_what_other_sources_gave(url: str, tmp_path: Path, small: Image) -> None:
    for name in ("one", "two"):
        place = folder(tmp_path / name, small, [f"{text} of {name}" for text in SIMPLE + COMPLEX])
        command = ["synth", "thinking", "--pool", str(place), "--model", url, "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(app, [*command, "--count", "8"])
    assert "16 lessons in thinking" in done.output
    assert "wanting" not in done.output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no", "not the JSON"),
        ('{"edits": ["a", "b"], "more": 1}', "not the JSON"),
        ('{"edits": ["a"]} {"edits": ["b"]}', "not the JSON"),
        ('{"edits": []}', "not one to 3"),
        ('{"edits": ["a", "b", "c", "d"]}', "not one to 3"),
        ('{"edits": ["a", 2]}', "not one to 3"),
        ('{"edits": ["a", ""]}', "empty"),
        ('{"edits": ["1. a", "2. b"]}', "numbered"),
        ('{"edits": ["a", "A!"]}', "repeated"),
        ('{"edits": ["变亮"]}', "another language"),
        ('{"edits": ["brighten it and write \\"Hi There\\""]}', "repeated"),
        ('{"edits": ["brighten it", "write \\"Hi\\""]}', "quoted text is lost"),
    ],
)
def test_a_decomposition_is_read_strictly(text: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        asking.decomposition(text, 'Brighten it and write "Hi There"', "en")
    good = '{"edits": ["brighten the picture", "write \\"Hi There\\" at the top."]}'
    found = asking.decomposition(good, 'Brighten it and write "Hi There"', "en")
    assert found == ["brighten the picture", 'write "Hi There" at the top']


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"abstract": ["a"]}', "not one sentence"),
        ('{"abstract": "Please, brighten it!"}', "only repeated"),
        ('{"abstract": "两行"}', "another language"),
        ('{"abstract": "two\\nlines"}', "several lines"),
        ('{"abstract": "a <image> of it"}', "several lines"),
    ],
)
def test_an_abstraction_is_read_strictly(text: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        asking.abstraction(text, "brighten it", "en")
    assert asking.abstraction('{"abstract": "as at noon"}', "brighten it", "en") == "as at noon"


def test_records_are_a_pool_with_their_targets(tmp_path: Path, small: Image) -> None:
    target = small.map(lambda pixels: pixels // 2)
    records.write(tmp_path, [records.Record(small, "变暗", "zh", target=target), records.Record(small, "blur it")] * 2)
    first, second = pool.read(tmp_path)
    assert (first.instruction, first.language, first.image(), first.aim()) == ("变暗", "zh", small, target)
    assert second.aim() is None


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "link/secret.png"])
def test_no_line_of_a_pool_leads_out_of_its_folder(name: str, tmp_path: Path, small: Image) -> None:
    place = folder(tmp_path / "pool", small, ["blur it"])
    small.save(tmp_path / "secret.png")
    (place / "link").symlink_to(tmp_path)
    with (place / pool.FILE).open("a") as file:
        file.write(json.dumps({"image": name, "instruction": "blur it"}) + "\n")
    with pytest.raises(RecordError, match="not in the pool's folder") as caught:
        pool.read(place)
    assert caught.value.where == f"{place / pool.FILE}, line 2"


def test_a_pool_that_is_none_and_half_of_the_options_are_told(tmp_path: Path, small: Image) -> None:
    with pytest.raises(RecordError, match="cannot read"):
        pool.read(tmp_path)
    (tmp_path / pool.FILE).write_text("")
    with pytest.raises(RecordError, match="no instructions"):
        pool.read(tmp_path)
    done = CliRunner().invoke(app, ["synth", "thinking", "--pool", str(tmp_path)])
    assert "--pool alone does nothing" in str(done.exception)


def test_what_is_complex_is_seen_by_its_clauses_and_its_length() -> None:
    def complex_(text: str) -> bool:
        return pool.Wish("", text, "en", Path(), None, "").complex

    assert complex_("brighten it, then blur the sky")
    assert complex_("brighten it and blur the sky")
    assert complex_("put the dog that sits " + "near the red chair " * 5)
    assert not complex_("brighten it.")
    assert not complex_('write "rain, wind and snow"')
