"""A hand in a process of its own: it has its own interpreter, and when it dies it takes one item with it."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any

from lego.batches.hands import LostError
from lego.batches.items import Item, Line, Way
from lego.core.settings import environment_of_child

START = "import sys; sys.path[:] = {path!r}; from lego.batches.process import main; main()"
PATIENCE = 5.0  # seconds that a process has to end by itself


class Process:
    """A process that does items, started when the first is there and again when it has died.

    Args:
        way: how they are done.
        threads: that native code takes in it.
        workflow: that is run for all items, to be checked at once; "" if there is none.
    """

    def __init__(self, way: Way, threads: int = 1, workflow: str = "") -> None:
        self.way, self.threads, self.workflow = way, threads, workflow
        self.child: subprocess.Popen[bytes] | None = None
        self.said: IO[bytes] | None = None  # what it writes beside the results: complaints of native code

    def do(self, item: Item) -> Line:
        """Do an item; see `lego.batches.hands.Hand.do`."""
        if self.child is None:
            self._ask((self.way, self.threads, self.workflow))
        line = self._ask(item)
        assert isinstance(line, Line)
        return line

    def close(self) -> None:
        """End the process: it does so as soon as nobody talks to it."""
        child, self.child = self.child, None
        if child is None:
            return
        with contextlib.suppress(OSError):
            child.stdin.close()  # type: ignore[union-attr]
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()  # type: ignore[union-attr]
        if self.said:
            self.said.close()

    def _ask(self, what: Any) -> Any:
        child = self.child or self._start()
        assert child.stdin
        assert child.stdout
        try:
            pickle.dump(what, child.stdin)
            child.stdin.flush()
            answer = pickle.load(child.stdout)
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            why = self._why(child)
            self.close()
            raise LostError(why) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        self.said = tempfile.TemporaryFile()  # noqa: SIM115
        self.child = subprocess.Popen(
            [sys.executable, "-c", START.format(path=sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.said, env=environment_of_child(self.threads),
            start_new_session=True,  # Ctrl-C is for the one who shares out the work: what is under way is finished
        )  # fmt: skip
        return self.child

    def _why(self, child: subprocess.Popen[bytes]) -> str:
        """Why the process died, as far as anybody can tell."""
        try:
            code = child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return "the worker does not answer"
        if code == -9:
            return "the worker was killed (signal 9), as the system does when memory runs out"
        if code < 0:
            return f"the worker crashed ({signal.Signals(-code).name})"
        last = ""
        if self.said and not self.said.closed:
            self.said.seek(0)
            last = self.said.read().decode(errors="replace").strip().rpartition("\n")[2]
        return f"the worker ended with code {code}: {last}" if last else f"the worker ended with code {code}"


def main() -> None:
    """Do items as they come in on stdin, until it is closed; then end at once, whatever is under way.

    So no process outlives the one that shares out the work, even if that is killed.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what tools print must not come between the answers
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    work: Any = None
    while True:
        what = asked.get()
        if work is None:
            work = _work(*what)
            answer = work if isinstance(work, BaseException) else True
        else:
            answer = work.do(what)
        pickle.dump(answer, answers)
        answers.flush()


def _listen(asked: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(EOFError):
        while True:
            asked.put(pickle.load(sys.stdin.buffer))
    os._exit(0)


def _work(way: Way, threads: int, workflow: str) -> Any:
    import cv2

    from lego.batches.work import Work
    from lego.core.errors import LegoError

    cv2.setNumThreads(threads)
    try:
        return Work(way, workflow=workflow)
    except LegoError as error:
        return error
