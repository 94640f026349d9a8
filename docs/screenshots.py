"""Photograph the studio in a browser: docs/studio.png and docs/studio-phone.png (`make screenshots`).

Needs the extra `dev` and a Chromium: `apt install chromium`.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect, sync_playwright

HERE = Path(__file__).parent
WORDS = "turn the red cup and saucer blue, then add a vignette, then add a thin white border"
SIZES = {"studio.png": (1280, 1060), "studio-phone.png": (390, 844)}
SLOW = 60_000  # milliseconds


def main() -> None:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "lego", "serve", "--port", str(port), "--data", data, "--builder", "rules"]
        server = subprocess.Popen(command)
        try:
            photograph(f"http://127.0.0.1:{port}")
        finally:
            server.terminate()
            server.wait(30)


def photograph(url: str) -> None:
    """Edit once on each size of screen, and take its picture."""
    browser_at = shutil.which("chromium") or shutil.which("google-chrome")
    while True:
        try:
            httpx.get(f"{url}/healthz")
            break
        except httpx.TransportError:
            time.sleep(0.2)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_at, args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            edit(page, url)
            page.screenshot(path=str(HERE / name), full_page=True)
        browser.close()


def edit(page: Page, url: str) -> None:
    """Two edits, so that the history has something to show."""
    page.goto(url)
    page.set_input_files("#picture input[type=file]", HERE / "photos" / "coffee.png")
    expect(page.locator("#picture img")).to_be_visible(timeout=SLOW)
    for number, words in enumerate(("make it a little brighter", WORDS), 2):
        page.fill("#words textarea", words)
        page.click("#go")
        expect(page.locator("#history img")).to_have_count(number, timeout=SLOW)
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    main()
