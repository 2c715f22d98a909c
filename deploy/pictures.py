"""The pictures of docs/, taken anew: the demo's pages in a real browser, as its people see them.

    docs/overview.png        the overview, as anybody sees it on loopback
    docs/img/NAME.png        asset, tag, trend, report; access as a vendor and an approver, trail, break-glass, roster

The demo runs as it does for a person, with its lossy link, and its people sign in with what `people.toml` says: the
pictures are what `make demo` shows. It takes Chromium (deploy/test-packages.txt) and playwright.
Usage: python deploy/pictures.py [FOLDER]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from simulator.demo_people import FILE, STEP, DemoPerson

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium-headless-shell"
WIDTH, HEIGHT = 1280, 720
TALLEST = 1000
"""Of a picture [pixels]: what is below is left to the page."""
SEEN_S = 60.0
"""How long the demo runs before the pictures: the link has been repaired by then, a minute of samples counted."""
SETTLED_S = 5.0
START_S = 60.0
"""Longest wait for the pages, and for the people [s]."""


def take(folder: Path) -> None:
    """Start the demo, look at its pages, end it."""
    (folder / "img").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="checkvalve-pictures-") as name:
        words = ["demo", "--headless", "--seed", "3", "--seconds", str(5 * SEEN_S), "--folder", name]
        demo = subprocess.Popen([sys.executable, "-m", "checkvalve", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            url, people = _address(Path(name)), _people(Path(name))
            with (
                sync_playwright() as playwright,
                playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
                ) as browser,
            ):
                page = _opened(browser)
                page.goto(url)
                page.wait_for_timeout(SEEN_S * 1000)
                page.reload()  # site and names as a reader finds them who comes now
                page.wait_for_timeout(SETTLED_S * 1000)
                page.screenshot(path=folder / "overview.png")
                _pages(browser, url, people, folder / "img")
        finally:
            demo.terminate()
            demo.wait(60)


def _pages(browser: Browser, url: str, people: dict[str, DemoPerson], folder: Path) -> None:
    vendor = _signed_in(browser, url, people["ann.acme@acme.example"])
    vendor.goto(f"{url}asset/pump-7")
    vendor.wait_for_timeout(SETTLED_S * 1000)
    _picture(vendor, folder / "asset.png")
    vendor.goto(f"{url}tag?asset=pump-7&name=bearing_de.temperature")
    vendor.wait_for_timeout(SETTLED_S * 1000)
    _picture(vendor, folder / "tag.png")
    begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 90))
    vendor.goto(f"{url}trend?tag=pump-7/discharge_pressure&tag=pump-7/flow&tag=pump-7/motor_current&from={begin}")
    vendor.wait_for_timeout(SETTLED_S * 1000)
    _picture(vendor, folder / "trend.png")
    vendor.goto(f"{url}report?asset=pump-7&from={begin}")
    _picture(vendor, folder / "report.png")
    vendor.goto(f"{url}access")
    _picture(vendor, folder / "access-vendor.png")
    approver = _signed_in(browser, url, people["ada.approver@plant.example"])
    approver.goto(f"{url}access")
    _picture(approver, folder / "access-approver.png")
    custodian = _signed_in(browser, url, people["cleo.custodian@plant.example"])
    custodian.goto(f"{url}access/glass")
    custodian.get_by_label("Who shall read?").select_option("Bo Borealis, Borealis Turbines")
    custodian.get_by_role("button", name="Choose").click()
    custodian.get_by_label("turbine-1").check()
    _picture(custodian, folder / "break-glass.png")
    custodian.goto(f"{url}access/roster")
    _picture(custodian, folder / "roster.png")
    security = _signed_in(browser, url, people["sia.security@plant.example"])
    security.goto(f"{url}trail")
    _picture(security, folder / "trail.png")


def _opened(browser: Browser) -> Page:
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, timezone_id="UTC", locale="en-GB", color_scheme="light"
    )
    return context.new_page()


def _signed_in(browser: Browser, url: str, person: DemoPerson) -> Page:
    page = _opened(browser)
    page.goto(f"{url}sign-in")
    page.get_by_label("Login").fill(person.login)
    page.get_by_label("Password").fill(person.password)
    page.get_by_label("Code").fill(person.code(time.time() + STEP))  # the one after the one that set them up
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(url)
    return page


def _picture(page: Page, file: Path) -> None:
    """The whole page, as far as a page of docs/ has room for it."""
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)
    page.screenshot(path=file)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def _address(folder: Path) -> str:
    """Where the pages answer."""

    def found() -> str | None:
        for note in folder.rglob("portal.json"):
            return str(json.loads(note.read_text())["url"])
        return None

    return _awaited("page", found)


def _people(folder: Path) -> dict[str, DemoPerson]:
    """By login."""

    def found() -> str | None:
        return (folder / FILE).read_text() if (folder / FILE).exists() else None

    told = tomllib.loads(_awaited("people", found))["person"]
    return {
        one["login"]: DemoPerson(
            login=one["login"], name="", role=one["role"], password=one["password"], key=one["key"]
        )
        for one in told
    }


def _awaited(what: str, found: Callable[[], str | None]) -> str:
    ends = time.monotonic() + START_S
    while time.monotonic() < ends:
        if (text := found()) is not None:
            return text
        time.sleep(0.2)
    raise SystemExit(f"no {what} within {START_S:.0f} s")


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
