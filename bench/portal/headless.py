"""A site's pages served to a headless Chromium on this machine, for the rows that tell what a person waits for."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from receiver.portal.serving.serve import Server, bind, url

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run"]
START_S = 20.0
"""The pages answer within this, or are not measured [s]."""


class NoBrowser(Exception):
    """There is none here; the text says what is missing, and is the row's note."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window; raises NoBrowser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoBrowser("needs the Python package playwright") from error
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        raise NoBrowser("needs Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The application behind its real server in a thread; gives its address without the last slash."""
    with bind("127.0.0.1", 0) as sock:
        ready = threading.Event()
        server = Server(app, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        try:
            if not ready.wait(START_S):
                raise OSError(f"the pages did not start within {START_S:g} s")
            yield url(sock).rstrip("/")
        finally:
            server.should_exit = True
            thread.join(START_S)
