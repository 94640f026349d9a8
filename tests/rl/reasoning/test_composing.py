"""Edits made of any questions by asking a model: strict reading, reasons, nothing asked twice."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from lego.cli import app
from lego.core.errors import PlanError, RecordError
from lego.core.values import Image
from lego.rl import records, scenes
from lego.rl.reasoning import composing, questions
from lego.rl.reasoning.asking import TRIES, Unfit
from lego.rl.reasoning.ledger import Records
from lego.rl.reasoning.questions import Columns, Question
from lego.rl.records import Record
from tests.serving import serving

QUESTION = re.compile(r'QUESTION: (".*")')
ROW = Question("k", "What colour is the ball?", "It is red.", "a", b"", "")


class Server(BaseHTTPRequestHandler):
    """A model and an editor of pictures; questions say what it does wrong."""

    asked: ClassVar[Counter[str]] = Counter()
    painted: ClassVar[list[str]] = []
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = self.edited(body) if self.path.endswith("images/edits") else self.answered(json.loads(body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def edited(self, body: bytes) -> dict[str, Any]:
        """Turn the picture upside down."""
        form = message_from_bytes(f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}  # type: ignore[union-attr]
        with self.lock:
            self.painted.append(bytes(parts["prompt"].get_payload(decode=True)).decode())  # type: ignore[union-attr]
        image = Pillow.open(io.BytesIO(bytes(parts["image"].get_payload(decode=True))))  # type: ignore[union-attr]
        file = io.BytesIO()
        image.transpose(Pillow.Transpose.FLIP_TOP_BOTTOM).save(file, "PNG")
        return {"data": [{"b64_json": base64.b64encode(file.getvalue()).decode()}]}

    def answered(self, body: dict[str, Any]) -> dict[str, Any]:
        words = body["messages"][0]["content"][-1]["text"]
        found = QUESTION.search(words)
        question = json.loads(found[1]) if found else ""
        with self.lock:
            self.asked[question] += 1
        return {"choices": [{"message": {"content": self.said(words, question)}}]}

    def said(self, words: str, question: str) -> str:
        if '"quality"' in words:
            return '{"quality": 4}'
        if '"follows"' in words:
            return json.dumps({"follows": "no" if "disobey" in question else "yes"})
        if '"category"' in words:
            if "nonsense" in question:
                return "I would rather not"
            if "sunny" in question:
                return '{"category": "yes_no", "answer": "yes", "wrong": "no"}'
            kind, answer, wrong = ("color", "red", "green") if "colour" in question else ("location", "the ball", "")
            return json.dumps({"category": kind, "answer": answer, "wrong": wrong})
        value = re.search(r'if it is "(\w+)"', words)
        if "chatter" in question:
            return json.dumps({"instruction": f"{question} It is the red ball.", "edit": "remove the red ball"})
        edit = "fly to the moon" if "moon" in question else "turn the red ball blue"
        then = f"If it is {value[1]}, turn that thing blue; if not, leave it." if value else "Turn the blue one over."
        return json.dumps({"instruction": f"{question} {then}", "edit": edit})

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.asked.clear()
    Server.painted.clear()
    with serving(Server) as address:
        yield f"{address}/v1#m"


@pytest.fixture(scope="module")
def picture() -> Image:
    """A red ball, and little else."""
    made = scenes.make(5, 1, 1)
    items = tuple(replace(i, shape="ball", color="red", rgb=scenes.rgb_of("red")) for i in made.items)
    return scenes.render(replace(made, items=items, colors=((240, 240, 230), (200, 220, 240))), (96, 96)).image


def rows(path: Path, picture: Image, asked: list[str]) -> Path:
    """A file of questions about a picture."""
    picture.save(path / "a.png")
    lines = [{"file": "a.png", "ask": text, "say": "red", "more": 1} for text in asked]
    (path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path / "rows.jsonl"


def command(file: Path, url: str, out: Path, *more: str) -> list[str]:
    names = ["--columns", "file", "ask", "say"]
    return ["synth", "intelligent", "--rows", str(file), *names, "--model", url, "--out", str(out), *more]


def test_our_own_editor_makes_targets_and_a_second_run_asks_nothing_again(
    url: str, tmp_path: Path, picture: Image
) -> None:
    file = rows(tmp_path, picture, [f"What colour has ball number {n}?" for n in range(24)])
    given = command(file, url, tmp_path / "out", "--mix", "color=1", "--count", "20", "--builder", "rules")
    done = CliRunner().invoke(app, [*given, "--workers", "3"])
    assert done.exit_code == 0, done.output
    assert "has 20 records: 20 color" in done.output
    made = list(records.read(tmp_path / "out"))
    idle = [record for record in made if not record.provenance["holds"]]
    assert 1 <= len(idle) < 15
    for record in made:
        told = record.provenance
        assert record.instruction.startswith(told["question"])
        assert told["source"] == "rows.jsonl"
        assert (told["model"], told["answer"], told["original"]) == (url, "red", "red")
        assert record.workflow is not None
        assert (record.target == record.image) == (not told["holds"])
        assert told["condition"] in ("", "red" if told["holds"] else "green")
        assert bool(record.workflow.steps) == told["holds"]
    asked = Counter(Server.asked)
    assert CliRunner().invoke(app, given).output == done.output
    assert Server.asked == asked


def test_a_server_makes_targets_under_names_that_are_not_asked_for_again(
    url: str, tmp_path: Path, picture: Image
) -> None:
    file = rows(tmp_path, picture, [f"What is on the left of thing {n}?" for n in range(4)])
    given = command(file, url, tmp_path / "out", "--mix", "location=1", "--count", "4", "--images", url)
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    for record in records.read(tmp_path / "out"):
        said = hashlib.md5(record.instruction.encode(), usedforsecurity=False).hexdigest()[:8]
        name = f"a_{said}_{record.image.digest[:8]}.png"
        assert Image.open(tmp_path / "out" / composing.RENDERED / name) == record.target
        assert (record.workflow, record.provenance["painter"]) == (None, url)
        assert record.provenance["quality"] == 4
    assert len(Server.painted) == 4
    assert all("the ball" in words for words in Server.painted)  # who paints may know the answer
    (tmp_path / "out" / records.FILE).unlink()
    again = CliRunner().invoke(app, given)
    assert again.output == done.output
    assert len(Server.painted) == 4


def test_what_cannot_be_used_is_left_out_with_its_reason_and_not_asked_again(
    url: str, tmp_path: Path, picture: Image
) -> None:
    asked = [
        "nonsense?",
        "Is it sunny?",
        "chatter: what is there?",
        "Is the moon there?",
        "disobey: what is it?",
    ]
    file = rows(tmp_path, picture, [*asked, asked[0], "What is on the left?", "What is on the right?"])
    with file.open("a") as lines:
        lines.write(json.dumps({"file": "gone.png", "ask": "what?", "say": "red"}) + "\n")
        lines.write(json.dumps({"file": "../a.png", "ask": "what?", "say": "red"}) + "\n")
        lines.write(json.dumps({"file": ["a.png", "a.png"], "ask": "what?", "say": "red"}) + "\n")
        lines.write(json.dumps({"file": "a.png", "ask": "what?", "say": ""}) + "\n")
    given = command(file, url, tmp_path / "out", "--mix", "location=1", "--count", "9", "--builder", "rules")
    for _ in range(2):
        done = CliRunner().invoke(app, given)
        assert done.exit_code == 0, done.output
        assert "has 2 records: 2 location" in done.output
        for reason in (
            "not the JSON that was asked for", "a question of the kind yes_no", "it tells the answer",
            "no picture came out", "the result is not what was asked for", "the picture cannot be read",
        ):  # fmt: skip
            assert re.search(f"  1 tasks gave none: {reason}", done.output), done.output
        for reason in (
            "a row stands there twice", "a picture is not in the folder", "a row has not just one picture",
            "a row has no question or no answer",
        ):  # fmt: skip
            assert f"  1 rows were passed over: {reason}" in done.output
        assert "7 are wanting" in done.output
    assert Server.asked["nonsense?"] == TRIES
    assert Server.asked["chatter: what is there?"] == 1 + TRIES


def test_no_more_is_written_of_a_category_than_its_share(url: str, tmp_path: Path, picture: Image) -> None:
    asked = [f"What colour has ball number {n}?" for n in range(6)] + [f"What is near {n}?" for n in range(4)]
    given = command(rows(tmp_path, picture, asked), url, tmp_path / "out", "--mix", "color=1,location=1")
    done = CliRunner().invoke(app, [*given, "--count", "6", "--workers", "1", "--builder", "rules"])
    assert "has 6 records: 3 color, 3 location" in done.output, done.output
    assert "3 tasks gave none: enough of 'color'" in done.output
    assert Server.asked["What colour has ball number 5?"] == 1  # it was sorted, and nothing else


def test_categories_come_out_evenly_however_uneven_the_rows_are(tmp_path: Path, picture: Image) -> None:
    said = {"color": "red", "location": "the lamp", "ocr": "SALE", "math": "12", "caption": "a lamp by the bed"}

    class Uneven(Server):
        def said(self, words: str, question: str) -> str:
            if '"quality"' in words:
                return super().said(words, question)
            number = int(question.rpartition(" ")[2][:-1])
            if '"category"' in words:
                kind = Random(number).choices([*said, "yes_no"], (8, 16, 4, 4, 10, 4))[0]
                return json.dumps({"category": kind, "answer": said.get(kind, "yes"), "wrong": ""})
            if '"follows"' in words:
                return super().said(words, "disobey" if number % 5 == 0 else question)
            value = f" If it is {found[1]}, so be it." if (found := re.search(r'if it is "(\w+)"', words)) else ""
            return json.dumps({"instruction": f"{question}{value} Turn it over.", "edit": "turn it over"})

    file = rows(tmp_path, picture, [f"What is it with number {n}?" for n in range(260)])
    mix = ",".join(f"{kind}=1" for kind in said)
    with serving(Uneven) as address:
        url = f"{address}/v1#m"
        given = command(file, url, tmp_path / "out", "--mix", mix, "--count", "60", "--images", url)
        done = CliRunner().invoke(app, given)
    assert "has 60 records: 12 caption, 12 color, 12 location, 12 math, 12 ocr" in done.output, done.output


def test_what_was_left_out_as_enough_is_taken_when_more_is_wanted(url: str, tmp_path: Path, picture: Image) -> None:
    asked = [f"What colour has ball number {n}?" for n in range(6)] + [f"What is near {n}?" for n in range(4)]
    given = command(rows(tmp_path, picture, asked), url, tmp_path / "out", "--mix", "color=1,location=1")
    given += ["--workers", "1", "--builder", "rules", "--count"]
    assert "3 tasks gave none: enough of 'color'" in CliRunner().invoke(app, [*given, "6"]).output
    done = CliRunner().invoke(app, [*given, "10"])
    assert "has 9 records: 5 color, 4 location" in done.output, done.output
    assert "1 tasks gave none: enough of 'color'" in done.output


def test_a_folder_is_written_by_one_process_at_a_time(url: str, tmp_path: Path, picture: Image) -> None:
    given = command(rows(tmp_path, picture, ["What is near 1?"]), url, tmp_path / "out", "--builder", "rules")
    with Records(tmp_path / "out").alone():
        done = CliRunner().invoke(app, given)
        assert isinstance(done.exception, RecordError)
        assert done.exception.code == "busy"
    book = Records(tmp_path / "out")
    Records(tmp_path / "out").drop(book.kind, "a", "another process tried it")
    assert not book.done(book.kind, "a")
    with book.alone():
        assert book.done(book.kind, "a"), "what others wrote before is known"


def test_parquet_is_read_with_its_pictures_in_it(tmp_path: Path, picture: Image) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    file = io.BytesIO()
    picture.pil().save(file, "PNG")
    cells: list[Any] = [{"bytes": file.getvalue(), "path": "x/one.png"}, {"bytes": file.getvalue(), "path": None}]
    table = arrow.table({"image": cells, "question": ["a?", "b?"], "answer": [["red", "crimson"], ["2"]]})
    parquet.write_table(table, tmp_path / "rows.parquet")
    first, second = questions.read(tmp_path / "rows.parquet")
    assert (first.question, first.answer, first.stem, first.image()) == ("a?", "red", "x_one", picture)
    assert (second.answer, second.image()) == ("2", picture)
    with pytest.raises(RecordError, match="no column 'ask'"):
        list(questions.read(tmp_path / "rows.parquet", Columns(question="ask")))
    with pytest.raises(RecordError, match="cannot read"):
        list(questions.read(tmp_path / "none.parquet"))


def test_rows_come_as_people_have_them(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": "two"}]
    talk = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "多少？"},
        {"role": "assistant", "content": "二"},
    ]
    lines = [
        {"image": "a b/ü:1.jpg", "talk": turns},
        {"image": "x" * 300 + ".jpg", "talk": talk},
        {"image": "c.jpg"},
        {},
    ]
    lines.append({"image": "d.jpg", "talk": turns[:1]})
    text = "\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())  # as Windows writes it
    lost = Counter[str]()
    one, other = questions.read(file, Columns("image", "talk", "talk"), lost=lost)
    assert (one.question, one.answer, one.stem) == ("How many?", "two", "a_b_ü_1")
    assert (other.question, other.answer) == ("多少？", "二")
    assert len(other.stem) <= questions.LONGEST
    assert lost == {"a row has no question or no answer": 2}
    file.write_text('{"image": "a.jpg", "question": "what?", "answer": "b"}\n{"image": \n')
    with pytest.raises(RecordError, match="not JSON") as caught:
        list(questions.read(file))
    assert caught.value.where.endswith("line 2")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(RecordError, match="UTF-8"):
        list(questions.read(file))
    file.write_text('{"image": "a.jpg", "ask": "what?"}\n')
    with pytest.raises(RecordError, match="no column 'question'"):
        list(questions.read(file))


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("no", "", "not the JSON"),
        ('{"instruction": "What colour has the ball? Draw a box of it."}', "", "not the JSON"),
        ('{"instruction": "", "edit": "x"}', "", "empty"),
        ('{"instruction": ["x"], "edit": "x"}', "", "empty"),
        ('{"instruction": "球是什么颜色？", "edit": "x"}', "", "another language"),
        ('{"instruction": "The ball is red: draw a box of that colour.", "edit": "x"}', "", "tells the answer"),
        ('{"instruction": "Draw a scarlet box.", "edit": "x"}', "", "tells the answer"),
        ('{"instruction": "If the ball is red, remove it; it is red.", "edit": "x"}', "red", "tells the answer"),
        (
            '{"instruction": "If the ball is red, drop it, it is not green.", "edit": "x"}',
            "green",
            "tells the answer",
        ),
        ('{"instruction": "Remove the ball.", "edit": "x"}', "green", "does not name its value"),
        (
            '{"instruction": "If the covered ball is scarlet, remove it.", "edit": "x"}',
            "red",
            "does not name its value",
        ),
    ],
)
def test_an_instruction_is_read_strictly(text: str, value: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        composing.written(text, ROW, "red", value)
    good = '```json\n{"instruction": "If the ball is red, remove it; if not, stop.", "edit": "remove the ball"}\n```'
    assert composing.written(good, ROW, "red", "red").edit == "remove the ball"


@pytest.mark.parametrize("text", ["5", '{"quality": 0}', '{"quality": "4"}', '{"quality": true}', '{"quality": 6}'])
def test_a_quality_is_a_whole_number_of_one_to_five(text: str) -> None:
    with pytest.raises(Unfit):
        composing.quality(text)
    assert composing.quality('{"quality": 5}') == 5


def test_following_is_yes_or_no_and_a_category_is_one_that_is_known() -> None:
    assert composing.follows('{"follows": "yes"}')
    assert not composing.follows('{"follows": "no"}')
    with pytest.raises(Unfit, match="neither"):
        composing.follows('{"follows": "maybe"}')
    with pytest.raises(Unfit, match="no category"):
        composing.sorted_as('{"category": "taste", "answer": "sweet", "wrong": ""}')
    assert composing.sorted_as('{"category": "color", "answer": "Red", "wrong": "red"}').wrong == ""
    assert composing.sorted_as('{"category": "color", "answer": "red", "wrong": "crimson"}').wrong == ""
    assert composing.sorted_as('{"category": "count", "answer": "2", "wrong": "two"}').wrong == ""
    assert composing.sorted_as('{"category": "count", "answer": "2", "wrong": "three"}').wrong == "three"


def test_a_server_that_gives_no_picture_is_told(url: str, picture: Image) -> None:
    from lego.builder.served import Server as Client

    class Empty(Server):
        def edited(self, body: bytes) -> dict[str, Any]:
            return {"data": [{"url": "http://elsewhere/picture.png"}]}

    with serving(Empty) as address, pytest.raises(PlanError, match="gives no picture"):
        Client(f"{address}/v1#m").paint(picture.pil(), "turn it over")
    assert Image.open(Client(url).paint(picture.pil(), "turn it over")).size == picture.size


def test_two_rows_do_not_say_the_same_of_one_picture(url: str, tmp_path: Path, picture: Image) -> None:
    from lego.builder import talker

    maker = composing.Composer(talker.open(url), None, "rules", tmp_path, "rows", 0)
    file = io.BytesIO()
    picture.pil().save(file, "PNG")
    first = maker.record(Question("1", "What is on the left?", "a ball", "a", file.getvalue(), ""))
    assert isinstance(first, Record)
    with pytest.raises(Unfit, match="said before"):
        maker.record(Question("2", "What is on the left?", "the ball", "a", file.getvalue(), ""))
    Records(tmp_path).add(first)
    later = composing.Composer(talker.open(url), None, "rules", tmp_path, "rows", 0)  # as in the next run
    with pytest.raises(Unfit, match="said before"):
        later.record(Question("3", "What is on the left?", "that ball", "b", file.getvalue(), ""))
