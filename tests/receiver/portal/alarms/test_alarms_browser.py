"""Trips, alarms and events as a person meets them, in a real browser."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_person import BEYOND
from playwright.sync_api import Browser, Page
from portal_plant import SECOND, Clock, Plant, ask, served, write_report

from protocol.content.catalog import Asset, Tag
from receiver.outputs.base import EventBody, TallyBody
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app

EVIL = '<img src=x onerror="document.title=1">'
ASSETS = (
    Asset(name="turbine-1", site="north-plant", path="area-1", collector="opcua"),
    *(Asset(name=f"pump-{number}", site="north-plant", collector="modbus") for number in range(1, 9)),
)
TAGS = (
    Tag(id=1, asset="turbine-1", name="Turbine.Tripped", type="bool"),
    Tag(id=2, asset="turbine-1", name="Turbine.Speed", unit="r/min", low=0, high=6000, normal_high=5200),
    *(Tag(id=10 + number, asset=f"pump-{number}", name="pressure", unit="bar") for number in range(1, 9)),
    *(Tag(id=30 + number, asset="pump-1", name=f"level {number}") for number in range(12)),
)
SHOTS = os.environ.get("CHECKVALVE_SHOTS", "")
STEPS = (("FuelValve", "S-2", 118, 700), ("Breaker", "S-3", 407, 700), ("Load", "S-4", 431, 500))


class AlarmSite:
    """The plant, its pages, and a browser on them."""

    def __init__(self, plant: Plant, clock: Clock, base: str, browser: Browser) -> None:
        self.plant, self.clock, self.base, self.browser = plant, clock, base, browser
        self.sequence = 0

    def tell(self, source: str, code: str, at_ms: int, severity: int, state: str, asset: str = "turbine-1") -> None:
        self.sequence += 1
        event = EventBody(
            asset=asset,
            source=source,
            time_ns=self.clock() + at_ms * 10**6,
            severity=severity,
            code=code,
            text=EVIL,
            state=state,
            sequence=self.sequence,
        )
        self.plant.take(event)

    def trip(self, state: str = "active") -> None:
        """The turbine's protection acts, or is acknowledged, or is over."""
        self.tell("Turbine.Tripped", "S-1", 0, 900, state)

    @contextmanager
    def open(self, path: str, *, width: int = 1280, dark: bool = False) -> Iterator[Page]:
        """A page; at the end it must have logged no error."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
        )
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        try:
            page.goto(self.base + path)
            yield page
            assert wrong == []
        finally:
            context.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[AlarmSite]:
    clock = Clock()
    plant = Plant(tmp_path_factory.mktemp("alarms"), ASSETS, TAGS, clock=clock)
    for asset in ASSETS:
        plant.condition(asset.name, "up")
    plant.say({(tag.asset, tag.name): 1.0 for tag in TAGS})
    plant.report()
    app = create_app(plant.history, plant.state, Scope(), clock=clock)
    with served(app) as base:
        yield AlarmSite(plant, clock, base, browser)
    plant.close()


def until(page: Page, holds: Callable[[], bool], what: str) -> None:
    """Wait for the page, not for a time."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        page.wait_for_timeout(20)


def test_a_trip_stands_first_by_itself_and_no_calm_sentence_stands_beside_it(site: AlarmSite) -> None:
    """Above every asset; acknowledged apart; over when it is over. What a device says is text."""
    with site.open("/") as page:
        standing, look = page.locator("[data-alarms]"), page.locator("[data-attention]")
        assert "No trip and no alarm stands" in standing.inner_text()
        assert "every tag with a value is good" in look.inner_text()
        site.trip()
        until(page, lambda: "Not acknowledged: 1" in standing.inner_text(), "the trip is not shown")
        assert "1 trip; 1 not acknowledged" in standing.inner_text()
        assert EVIL in standing.inner_text()
        first = page.locator("main > section").first
        assert first.get_attribute("data-worst") == "trip"
        until(page, lambda: "every tag" not in look.inner_text(), "a calm sentence beside a trip")
        row = page.locator('[data-card="turbine-1"]')
        until(page, lambda: "TRIP" in row.inner_text(), "the asset's row is calm")
        assert row.get_attribute("data-calm") == "no"
        standing.get_by_role("link", name="Turbine.Tripped").focus()
        site.trip("acked")
        until(page, lambda: "Acknowledged: 1" in standing.inner_text(), "the acknowledgement is not shown")
        assert page.evaluate("document.activeElement.textContent") == "Turbine.Tripped", "the focus stays"
        site.trip("cleared")
        until(page, lambda: "No trip and no alarm stands" in standing.inner_text(), "it stands for ever")
        until(page, lambda: "every tag with a value is good" in look.inner_text(), "the calm sentence does not return")


def test_a_sequence_tells_milliseconds_what_was_first_and_how_long_after(site: AlarmSite) -> None:
    """Steps 24 ms apart do not read alike."""
    site.clock.move(60)
    site.plant.report()
    site.trip()
    for source, code, at_ms, severity in STEPS:
        site.tell(source, code, at_ms, severity, "")
    with site.open("/asset/turbine-1") as page:
        burst = page.locator(".burst tbody tr")
        until(page, lambda: burst.count() == 4, "no sequence")
        told = [line.split("\t") for line in burst.all_inner_texts()]
        assert [row[0].strip() for row in told] == ["First-out", "+118 ms", "+407 ms", "+431 ms"]
        assert [row[1].strip() for row in told] == ["\N{EM DASH}", "+118 ms", "+289 ms", "+24 ms"]
        assert len({row[2] for row in told}) == 4, "each time is another one"
        assert told[3][2].endswith(".431")
        events = page.locator("[data-events] tbody tr")
        assert "+24 ms" in events.first.inner_text()
        site.tell("Turbine.Speed", "A-9", 900, 300, "active")
        until(page, lambda: "A-9" in events.first.inner_text(), "the list does not go on by itself")
    site.tell("Turbine.Speed", "A-9", 950, 300, "cleared")
    site.trip("cleared")


def test_events_are_filtered_by_state_gravity_and_words_over_all_assets(site: AlarmSite) -> None:
    """The address is the question; the table is the same; what looks like a formula is none."""
    site.tell("pressure", "=HYPERLINK(1)", 0, 850, "active", asset="pump-3")
    with site.open("/events") as page:
        page.get_by_label("Severity").select_option("800")
        page.get_by_label("State").select_option("active")
        page.get_by_label("Find").fill("hyper")
        page.get_by_role("button", name="Show").click()
        rows = page.locator("div[data-events] tbody tr")
        until(page, lambda: "q=hyper" in page.url and rows.count() == 1, "the filter does not work")
        assert "pump-3" in rows.first.inner_text()
        table = page.get_by_role("link", name="CSV").get_attribute("href")
        assert table is not None
        lines = ask(site.base + table).text.splitlines()
        assert (len(lines), lines[0].split(",")[:3]) == (2, ["time", "received", "asset"])
        assert "'=HYPERLINK" in lines[1]
        site.tell("pressure", "=HYPERLINK(1)", 5, 850, "cleared", asset="pump-3")
        until(page, lambda: "No trip" in page.locator("[data-alarms]").inner_text(), "it stands for ever")
        assert "q=hyper" in page.url
    for path in ("/events?state=odd", "/events?severity=x", "/events?before=1", "/events?from=noon"):
        assert ask(site.base + path).status == 400
    assert ask(site.base + "/events?asset=nobody").status == 404


def test_tags_that_are_only_stale_are_one_line_and_hide_no_abnormal_one(site: AlarmSite) -> None:
    """By asset and cause; a tag outside of its band stands before them."""
    site.clock.move(120)
    site.plant.report()
    others = {(tag.asset, tag.name): 1.0 for tag in TAGS if not tag.name.startswith("level")}
    site.plant.say(others | {("turbine-1", "Turbine.Speed"): 5300.0})
    with site.open("/") as page:
        look = page.locator("[data-attention] tr")
        until(page, lambda: look.count() == 2, "not one line for all")
        assert ["Turbine.Speed" in look.nth(0).inner_text(), "12 tags" in look.nth(1).inner_text()] == [True, True]
        assert "STALE: not renewed; others of this asset are" in look.nth(1).inner_text()
    site.plant.say({(tag.asset, tag.name): 1.0 for tag in TAGS})


def test_missing_samples_are_not_called_lost(site: AlarmSite) -> None:
    """While blocks are missing that a repeat may bring; afterwards what is still absent is lost."""
    number = site.plant.number
    site.plant.take(TallyBody(time_ns=site.clock(), number=number, assets={"pump-8": (100, 100)}))
    now = site.clock()
    gap = {"stream": "00ff" * 4, "from": 102, "to": 105, "since_ns": now, "heals_ns": now + 20 * SECOND}
    site.plant.report(gaps=[gap], blocks={"missing": 3})
    write = {"latency_ms": {"p50": 1.0, "p99": 2.0}, "waiting": 0, "trouble": ""}
    write_report(site.plant.state, "historian", now, write)
    with site.open("/") as page:
        row = page.locator('[data-card="pump-8"]')
        missing, lost = row.locator('[data-count="missing"]'), row.locator('[data-count="lost"]')
        until(page, lambda: missing.inner_text() > "9" and lost.inner_text() == "0", "missing ones are called lost")
        assert "Lost (no repeat left)" not in page.locator("main").inner_text()
        site.plant.report(blocks={"expired": 3})
        write_report(site.plant.state, "historian", now, write)
        until(page, lambda: missing.inner_text() == "0" and lost.inner_text() > "9", "lost ones are called missing")
    site.plant.report()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True), (320, False)])
def test_pages_with_a_trip_are_fit_to_be_read(site: AlarmSite, width: int, dark: bool) -> None:
    """No violation of axe's rules and nothing beyond the window: wide, on a phone, and at 400 %."""
    site.trip()
    site.tell("Bearing", "B-2", 20, 500, "active")
    site.tell("Oil", "B-3", 40, 300, "acked", asset="pump-2")
    for path in ("/", "/asset/turbine-1", "/events"):
        with site.open(path, width=width, dark=dark) as page:
            page.locator("[data-alarms]", has_text="1 trip").wait_for()
            found = Axe().run(page).response["violations"]
            assert [f"{one['id']}: {[node['html'][:120] for node in one['nodes']]}" for one in found] == []
            if SHOTS:
                name = path.strip("/").replace("/", "-") or "overview"
                page.screenshot(path=str(Path(SHOTS) / f"{name}-{width}.png"), full_page=True)
            assert page.evaluate(BEYOND) == [], path
            assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), path
