"""docs/overview.png, taken anew: the demo's overview in a real browser, once it has something to tell.

The demo runs as it does for a person, with its lossy link, so the picture is what `make demo` shows.
It takes Chromium (deploy/test-packages.txt) and playwright. Usage: python deploy/overview.py [FILE]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1280, 720
SEEN_S = 60.0
"""How long the demo runs before the picture: the link has been repaired by then, and a minute of samples counted."""
SETTLED_S = 5.0
START_S = 60.0
"""Longest wait for the pages [s]."""


def take(file: Path) -> None:
    """Start the demo, look at its page, end it."""
    with tempfile.TemporaryDirectory(prefix="checkvalve-overview-") as name:
        words = ["demo", "--headless", "--seed", "3", "--seconds", str(3 * SEEN_S), "--folder", name]
        demo = subprocess.Popen([sys.executable, "-m", "checkvalve", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            url = _address(Path(name))
            with (
                sync_playwright() as playwright,
                playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
                ) as browser,
            ):
                page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, timezone_id="UTC", locale="en-GB")
                page.goto(url)
                page.wait_for_timeout(SEEN_S * 1000)
                page.reload()  # site and names as a reader finds them who comes now
                page.wait_for_timeout(SETTLED_S * 1000)
                page.screenshot(path=file)
        finally:
            demo.terminate()
            demo.wait(60)


def _address(folder: Path) -> str:
    """Where the pages answer."""
    ends = time.monotonic() + START_S
    while time.monotonic() < ends:
        for note in folder.rglob("portal.json"):
            return str(json.loads(note.read_text())["url"])
        time.sleep(0.2)
    raise SystemExit(f"no page within {START_S:.0f} s")


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/overview.png")
