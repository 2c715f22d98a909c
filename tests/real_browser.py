"""The browser that tests look with: Chromium as it draws without a window, at half the cost of the one with windows.

It is the same engine from the same source; what is left out is what stands around the page. Where a machine has the one
with windows alone, that one is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def opened() -> Iterator[Browser]:
    """A browser, until the block ends; while it is open this thread can run no event loop of its own."""
    program = next((path for path in PROGRAMS if Path(path).exists()), PROGRAMS[0])
    with sync_playwright() as playwright:
        held = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield held
        finally:
            held.close()
