"""The chart of one tag in a real browser: bad data are unmistakable, and the cursor tells what stood, never what came.

The plant's clock stands still and is moved by the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from portal_plant import SECOND, Clock, Plant, batch, served
from test_portal_browser import Site, drawn, until

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Quality, Row
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app

ASSETS = (Asset(name="turbine", site="north-plant", path="hall-1", collector="opcua"),)
TAGS = (
    Tag(id=1, asset="turbine", name="load", type="float32", unit="MW", low=0, high=100),
    Tag(id=2, asset="turbine", name="mode", type="uint16", states=("off", "barring", "run"), max_silence_s=3600.0),
    Tag(id=3, asset="turbine", name="vibration", type="float32", unit="mm/s", low=0, high=20, max_silence_s=3600.0),
)
LOAD = "/tag?asset=turbine&name=load"
MODE = "/tag?asset=turbine&name=mode"
VIBRATION = "/tag?asset=turbine&name=vibration"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Site]:
    """Ten minutes: load at 1 Hz with 20 s uncertain; two tags on change, of which one fails for 90 s by one sample."""
    clock = Clock()
    plant = Plant(tmp_path_factory.mktemp("chart"), ASSETS, TAGS, clock=clock)
    end = clock()

    def at(seconds: float) -> int:
        return end - round((600 - seconds) * SECOND)

    load = [
        Row(1, at(second), 50.0 + second % 5, Quality.UNCERTAIN_SENSOR if 450 <= second < 470 else 0)
        for second in range(600)
        if not 100 <= second < 120
    ]
    held = [Row(2, at(-60), 0), Row(2, at(60), 1), Row(2, at(240), 2), Row(2, at(480), 1)]
    failing = [Row(3, at(0), 3.0), Row(3, at(300), None, Quality.BAD_SENSOR_FAILURE), Row(3, at(390), 3.5)]
    plant.send([*load, *held, *failing])
    late = [Row(1, at(second), 50.0 + second % 5) for second in range(100, 120)]
    plant.take(batch(late), healed=True)
    clock.move(0.5)
    plant.report()
    with served(create_app(plant.history, plant.state, Scope(), clock=clock, zone="Asia/Tokyo")) as base:
        yield Site(plant, clock, base, browser)
    plant.close()


def point(page: Page, share: float) -> str:
    """What is read out where the cursor stands at this share of the range."""
    page.wait_for_selector("#chart[data-drawn]")
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 60)
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + 60)
    page.wait_for_timeout(30)
    return page.locator("#readout").inner_text()


def whole(site: Site, tag: str) -> str:
    """The address of the ten minutes, which stand still."""
    end = site.clock() // 10**6
    return f"{tag}&from={end - 600_500}&to={end - 500}"


def test_a_sensor_that_failed_for_ninety_seconds_is_a_band_of_ninety_seconds_in_words(site: Site) -> None:
    """One bad sample, held: crossed to the next good one, no line in it, told in the list and at the cursor."""
    with site.open(whole(site, VIBRATION)) as page:
        told = point(page, 0.57)
        assert "Bad for 1 min 30 s: sensor failure" in told
        assert "mm/s" not in told
        assert drawn(page, "--chart-line", 0.1, 0.5) > 200  # the value held until then
        assert drawn(page, "--bad", 0.53, 0.65) > 100
        assert drawn(page, "--bad", 0.1, 0.45) == 0
        assert drawn(page, "--bad", 0.7, 1.0) == 0
        assert "Bad for 1 min 30 s: sensor failure" in page.locator("[data-holes]").inner_text()
        assert "no value to rely on" in page.locator(".legend").inner_text()


def test_uncertain_is_a_band_with_its_value_and_its_duration(site: Site) -> None:
    """A doubted value is still read, beside the reason to doubt it."""
    with site.open(whole(site, LOAD)) as page:
        told = point(page, 0.765)
        assert "MW" in told
        assert "Uncertain for 20 s: sensor not accurate" in told
        assert "Uncertain" not in point(page, 0.5)
        assert drawn(page, "--chart-uncertain", 0.74, 0.82) > 50
        assert "to be doubted" in page.locator(".legend").inner_text()


def test_what_was_healed_later_is_marked_on_the_curve(site: Site) -> None:
    """A ribbon where it lies, a word at the cursor and in the list."""
    with site.open(whole(site, LOAD)) as page:
        assert "healed: came later" in point(page, 0.18)
        assert "healed" not in point(page, 0.3)
        assert drawn(page, "--chart-healed", 0.15, 0.3) > 20
        assert drawn(page, "--chart-healed", 0.4, 1.0) == 0
        assert "Healed" in page.locator("[data-holes]").inner_text()


def test_the_cursor_reads_the_value_that_stood_with_its_time_and_its_age(site: Site) -> None:
    """A stepped tag: shortly before a change the old value, though the next sample is nearer."""
    with site.open(whole(site, MODE)) as page:
        for share, state, clock, age in (
            (0.05, "off", "08:49:00.0", "1 min (29|30) s"),
            (0.39, "barring", "08:51:00.0", "2 min 5[345] s"),
            (0.42, "run", "08:54:00.0", "1[123] s"),
        ):
            told = point(page, share)
            assert re.search(rf"   {state}   measured 2025-11-23 {clock}, {age} before", told), told


def test_the_numbers_are_those_of_the_range_and_not_of_now(site: Site) -> None:
    """Last is the value that stood at the end of what is shown, with its time; a live value does not move it."""
    end = site.clock() // 10**6
    with site.open(f"{MODE}&from={end - 500_000}&to={end - 400_000}") as page:
        page.wait_for_selector("#chart[data-drawn]")
        last = page.locator('[data-sum="last"]')
        assert last.inner_text().strip() == "barring"
        site.plant.say({("turbine", "mode"): 0})
        until(page, lambda: page.locator("#now .v").inner_text() == "off", "the live value did not arrive")
        assert last.inner_text().strip() == "barring"
    with site.open(f"{MODE}&from={end - 500_000}&to={end - 400_000}", script=False) as page:
        assert page.locator('[data-sum="last"]').inner_text().strip() == "barring"


def test_the_chart_stands_beside_it_as_a_table(site: Site) -> None:
    """Opened by the keyboard: times, numbers, and what is to be said of each stretch, in a table with headed rows."""
    with site.open(whole(site, VIBRATION)) as page:
        page.wait_for_selector("#chart[data-drawn]")
        page.locator("#chart-table summary").focus()
        page.keyboard.press("Enter")
        rows = page.locator("#chart-table tbody tr")
        until(page, lambda: rows.count() > 15, "the table is empty")
        told = {row.split("\t")[0]: row.split("\t")[1:] for row in rows.all_inner_texts()}
        assert told["2025-11-23 08:52:00"][0] == "3.00"  # no sample in that stretch: what stood
        assert told["2025-11-23 08:55:30"][-1] == "Bad for 1 min 30 s: sensor failure"
        assert told["2025-11-23 08:55:30"][0] == "\N{EM DASH}"
        assert told["2025-11-23 08:57:00"][-1] == ""
        assert page.locator("#chart-table tbody th:not([scope])").count() == 0


def test_each_mark_leads_to_what_it_means(site: Site) -> None:
    """Every word of these pages on one screen of a common size; no link to a mark leads nowhere."""
    with site.open("/help", height=800) as page:
        known = set(page.evaluate("[...document.querySelectorAll('.help > div')].map((one) => one.id)"))
        assert known >= {"stale", "bad", "uncertain", "simulated", "gap", "silence", "missing", "lost", "healed"}
        assert page.evaluate("document.documentElement.scrollHeight") <= 800
    led = set()
    for path in ("/", "/asset/turbine", whole(site, VIBRATION)):
        with site.open(path) as page:
            led |= set(
                page.evaluate("[...document.querySelectorAll('a[href^=\"/help#\"]')].map((one) => one.hash.slice(1))")
            )
    assert led <= known
    assert led >= {"stale", "bad", "uncertain", "gap", "silence", "missing", "lost", "healed"}


@pytest.mark.parametrize("tag", ["", VIBRATION])
def test_the_chart_and_the_help_are_fit_to_be_read(site: Site, tag: str) -> None:
    """No violation of axe's rules, nothing beyond the window: wide, on a phone, at 400 %; with the table opened."""
    with site.open(whole(site, tag) if tag else "/help") as page:
        if tag:
            page.wait_for_selector("#chart[data-drawn]")
            page.locator("#chart-table summary").click()
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        for width in (1280, 360, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, width


def test_times_stand_in_the_readers_zone_or_in_the_plants(site: Site) -> None:
    """A button on the strip, kept in the browser: the clock, the lists, the cursor and what is typed change with it."""
    with site.open(whole(site, VIBRATION)) as page:
        page.wait_for_selector("#chart[data-drawn]")
        clock, button = page.locator("[data-clock]"), page.locator("[data-zone-switch]")
        until(page, lambda: "UTC+01:00" in clock.inner_text(), "the reader's zone is not said")
        button.click()
        until(page, lambda: "UTC+09:00" in clock.inner_text(), "the plant's zone is not said")
        assert "Asia/Tokyo" in button.inner_text()
        assert "measured 2025-11-23 16:50:00.0" in point(page, 0.3)
        assert "2025-11-23 16:55:00: Bad" in page.locator("[data-holes]").inner_text()
        begin, end = page.locator("#custom [name=from]"), page.locator("#custom [name=to]")
        assert begin.input_value().startswith("2025-11-23T16:5")
        begin.fill("2025-11-23T16:55:00")
        end.fill("2025-11-23T16:56:30")
        page.locator("#custom button").click()
        until(page, lambda: "&from=1763884500000&to=1763884590000" in page.url, "what was typed is in another zone")
        button.click()
        until(page, lambda: "UTC+01:00" in clock.inner_text(), "the reader's zone does not come back")


def test_a_time_of_the_plant_is_found_at_both_ends_of_its_summer(site: Site) -> None:
    """An hour that comes twice is the first of them; one that never comes is one beside it."""
    found = """async () => {
      document.body.dataset.zone = "Europe/Berlin";
      localStorage.setItem("zone", "plant");
      const { instant, moment, zone } = await import("/static/format.js?again");
      localStorage.removeItem("zone");
      const told = ["07-01T12:00", "10-26T02:30", "10-26T03:30", "03-30T03:30"].map((one) => instant(`2025-${one}:00`));
      return [...told, moment(told[1]), zone(told[0]), zone(told[2])];
    }"""
    with site.open("/") as page:
        summer, twice, after, spring, *words = page.evaluate(found)
    assert [summer, twice, after, spring] == [1751364000000, 1761438600000, 1761445800000, 1743298200000]
    assert words == ["2025-10-26 02:30:00", "UTC+02:00", "UTC+01:00"]


def test_from_and_to_follow_while_the_chart_is_live(site: Site) -> None:
    """And stand still while somebody types in them."""
    with site.open(f"{LOAD}&range=300") as page:
        page.wait_for_selector("#chart[data-drawn]")
        to = page.locator("#custom [name=to]")
        before = to.input_value()
        site.renew(60)
        until(page, lambda: to.input_value() > before, "to stands still")
        to.focus()
        before = to.input_value()
        site.renew(60)
        page.wait_for_timeout(1200)
        assert to.input_value() == before
