"""What the server itself costs: edits over HTTP beside a bare handler that only decodes and encodes the same picture.

    python benchmarks/server.py            rates and times, side by side in one run
    python benchmarks/server.py soak       1,000 edits, 200 at once: memory, and what is lost when it is killed

Both servers are processes of their own, asked in turns by the same clients; lego runs two jobs at once.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image as Pillow

SIZE = (1024, 768)
ROUNDS, EACH, CLIENTS = 5, 40, 4
MANY, AT_ONCE = 1000, 200
FLOW = {
    "version": 1, "result": "$s1",
    "steps": [{"id": "s1", "tool": "flip", "args": {"image": "$image", "direction": "horizontal"}}],
}  # fmt: skip
BARE = """
import base64, io
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image
app = FastAPI()

def work(data):
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=4)
    return {"data": [{"b64_json": base64.b64encode(file.getvalue()).decode()}]}

@app.post("/v1/images/edits")
async def edit(request: Request):
    async with request.form() as form:
        data = await form["image"].read()
    return await run_in_threadpool(work, data)
"""


def picture() -> bytes:
    """A photograph's kind of noise, as PNG."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    base = np.stack([x % 256, y % 256, (x + y) % 256], 2).astype(np.float64)
    pixels = np.clip(base + np.random.default_rng(0).normal(0, 6, base.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


@contextmanager
def started(command: list[str], port: int, path: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server as a process, from when it answers."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}{path}")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def lego_command(port: int, folder: str) -> list[str]:
    return ["-m", "lego", "serve", "--port", str(port), "--data", folder, "--builder", "rules", "--no-studio",
            "--queue", "2000", "--workers", "2"]  # fmt: skip


def asked(port: int, data: bytes, count: int) -> list[float]:
    """Seconds of each of so many requests, one after another."""
    form = {"prompt": "-", "lego[workflow]": json.dumps(FLOW)}
    seconds = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        for _ in range(count):
            start = time.perf_counter()
            reply = client.post("/v1/images/edits", files={"image": data}, data=form)
            seconds.append(time.perf_counter() - start)
            assert reply.status_code == 200, reply.text
    return seconds


def compare() -> None:
    """Print rates and times of both, and what the server adds."""
    data, ports = picture(), (free_port(), free_port())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bare.py").write_text(BARE)
        bare = ["-m", "uvicorn", "bare:app", "--app-dir", folder, "--port", str(ports[0]), "--log-level", "critical"]
        with (
            started(bare, ports[0], "/docs"),
            started(lego_command(ports[1], folder), ports[1], "/healthz"),
        ):
            times: dict[str, list[float]] = {"bare": [], "lego": []}
            rates: dict[str, list[float]] = {"bare": [], "lego": []}
            for port in ports:
                asked(port, data, 5)
            for _ in range(ROUNDS):
                for name, port in zip(times, ports, strict=True):
                    times[name] += asked(port, data, EACH)
                    start = time.perf_counter()
                    with ThreadPoolExecutor(CLIENTS) as threads:
                        list(threads.map(lambda _, port=port: asked(port, data, EACH // CLIENTS), range(CLIENTS)))
                    rates[name].append(EACH / (time.perf_counter() - start))
    for name, seconds in times.items():
        half, last = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
        rate = statistics.median(rates[name])
        print(f"{name}: p50 {1000 * half:.1f} ms, p99 {1000 * last:.1f} ms, {rate:.1f} requests/s of {CLIENTS} clients")
    own = statistics.median(times["lego"]) - statistics.median(times["bare"])
    share = own / statistics.median(times["lego"])
    print(f"beside decoding and encoding: {1000 * own:.1f} ms of an edit's time, {share:.0%}")


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident MB."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak() -> None:
    """Print the memory over many edits, and what is lost when the server is killed among 200 requests."""
    data, port = picture(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        with started(lego_command(port, folder), port, "/healthz") as process:
            for number in range(11):
                print(f"{number * MANY // 10} edits: {memory(process):.0f} MB", flush=True)
                if number < 10:
                    with ThreadPoolExecutor(10) as threads:
                        list(threads.map(lambda _: asked(port, data, MANY // 100), range(10)))
            lost = killed(port, data, process)
        with started(lego_command(port, folder), port, "/healthz"):
            report(port, lost)


def killed(port: int, data: bytes, process: subprocess.Popen[bytes]) -> list[str]:
    """Begin 200 jobs at once, kill the server while it is at them, and return the names of those it had accepted."""
    names: list[str] = []
    form = {"prompt": "-", "lego[workflow]": json.dumps(FLOW)}

    def begin(number: int) -> None:
        form_ = {**form, "lego[seed]": str(number)}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                names.append(client.post("/v1/jobs", files={"image": data}, data=form_).json()["id"])
        except (httpx.HTTPError, KeyError):
            return

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    while len(names) < AT_ONCE // 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()
    return names


def report(port: int, names: list[str]) -> None:
    """Wait until all jobs are over, and print how they ended."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        ends: dict[str, int] = {}
        for name in names:
            while True:
                reply = client.get(f"/v1/jobs/{name}")
                state = reply.json().get("state", "gone") if reply.status_code == 200 else "gone"
                if state not in ("pending", "in_progress"):
                    break
                time.sleep(0.05)
            ends[state] = ends.get(state, 0) + 1
    print(f"killed with {len(names)} jobs accepted; after the start: {ends}")


if __name__ == "__main__":
    soak() if sys.argv[1:] == ["soak"] else compare()
