"""The pages in a real browser: what a person sees, and that the strict policy never has to step in.

The plant's clock stands still and is moved by the tests, so that staleness needs no waiting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Browser, Page
from portal_plant import SECOND, Clock, Plant, ask, served

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Quality, Row
from receiver.outputs.historian.views import Scope
from receiver.portal import words
from receiver.portal.app import create_app

EVIL = '<img src=x onerror="document.title=1">'
ASSETS = (
    Asset(name="pump-7", site="north-plant", path="area-2", vendors=("Acme",), collector="modbus", simulated=True),
    Asset(name=EVIL, site="north-plant"),
)
TAGS = (
    Tag(id=1, asset="pump-7", name="pressure", type="float32", unit="bar", low=0, high=16, normal_high=7.5),
    Tag(id=2, asset="pump-7", name="mode", type="uint16", states=("off", "auto"), max_silence_s=60.0),
    Tag(id=3, asset=EVIL, name="<b>x</b>", type="float64"),
)
PRESSURE = "/tag?asset=pump-7&name=pressure"
OUTSIDE = """
[...document.querySelectorAll("body *:not(.unseen, .skip, .symbols, .symbols *)")]
  .filter((node) => node.getClientRects().length && node.getBoundingClientRect().right > innerWidth + 0.5)
  .map((node) => `${node.tagName} ${node.className} ${node.textContent.slice(0, 30)}`)
"""
WATCH = """
window.refused = [];
addEventListener("securitypolicyviolation", (event) => refused.push(event.violatedDirective + " " + event.blockedURI));
"""


class Site:
    """The plant, its pages, and a browser on them."""

    def __init__(self, plant: Plant, clock: Clock, base: str, browser: Browser) -> None:
        self.plant, self.clock, self.base, self.browser = plant, clock, base, browser

    def series(self, tag: str) -> int:
        told = ask(self.base + "/api/assets").json["assets"]
        return next(int(one["series"]) for asset in told for one in asset["series"] if one["name"] == tag)

    @contextmanager
    def open(self, path: str, *, width: int = 1280, height: int = 800, script: bool = True) -> Iterator[Page]:
        """A page; at the end it must have logged no error, broken no policy and asked nobody else."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, java_script_enabled=script, timezone_id="Europe/Berlin"
        )
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(self.base) else wrong.append(asked.url))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.add_init_script(WATCH)
        try:
            page.goto(self.base + path)
            yield page
            assert wrong == []
            if script:
                assert page.evaluate("refused") == []
        finally:
            context.close()

    def renew(self, seconds: float = 0.0) -> None:
        """Move the clock; the processes go on reporting."""
        self.clock.move(seconds)
        self.plant.report()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Site]:
    """An hour at one sample in two seconds, five minutes of it lost on the link."""
    clock = Clock()
    plant = Plant(tmp_path_factory.mktemp("browser"), ASSETS, TAGS, clock=clock)
    end = clock()
    before = [Row(1, end - second * SECOND, 6.0 + second % 7 / 10) for second in range(3600, 2100, -2)]
    after = [Row(1, end - second * SECOND, 6.0 + second % 7 / 10) for second in range(1800, 0, -2)]
    plant.send(before)
    plant.lose(4)
    plant.send(after)
    plant.say({("pump-7", "pressure"): 6.5, ("pump-7", "mode"): 1, (EVIL, "<b>x</b>"): 1.0})
    plant.condition("pump-7", "up")
    clock.move(1.5)
    plant.report()
    app = create_app(plant.history, plant.state, Scope(), clock=clock)
    with served(app) as base:
        yield Site(plant, clock, base, browser)
    plant.close()


def until(page: Page, holds: Callable[[], bool], what: str, *, within_s: float = 20) -> None:
    """Wait for the page, not for a time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, what
        page.wait_for_timeout(20)


def test_overview_shows_every_asset_and_a_value_that_turns_bad(site: Site) -> None:
    """Names are text; what needs a look appears by itself and goes again."""
    with site.open("/") as page:
        assert page.locator("[data-card]").count() == 2
        assert page.get_by_role("link", name=EVIL, exact=True).is_visible()
        assert page.title() == "Overview · Checkvalve"
        assert page.locator(".strip").get_attribute("data-lamp") == "live"
        site.plant.say({("pump-7", "pressure"): None}, quality=Quality.BAD_TIMEOUT)
        look = page.locator("[data-attention]")
        until(page, lambda: "bad: timeout" in look.inner_text(), "the bad value is not listed")
        assert page.locator('[data-card="pump-7"] [data-count="bad"]').inner_text() == "1"
        site.plant.say({("pump-7", "pressure"): 6.5})
        until(page, lambda: "every tag with a value is good" in look.inner_text(), "the list did not clear")


def test_value_changes_live_with_its_quality_its_bar_and_its_place_in_the_normal_band(site: Site) -> None:
    """Within a second, without a reload."""
    with site.open("/asset/pump-7") as page:
        row = page.locator(f'tr[data-series="{site.series("pressure")}"]')
        site.plant.say({("pump-7", "pressure"): 9.876}, quality=Quality.UNCERTAIN_SENSOR)
        until(page, lambda: row.locator(".v").inner_text() == "9.88", "the value did not change")
        assert row.locator(".letter").inner_text() == "U"
        assert "sensor not accurate" in row.inner_text()
        assert "above normal" in row.inner_text()
        assert row.locator(".bar-mark").get_attribute("transform") == "translate(74.1 0)"
        site.plant.say({("pump-7", "pressure"): 6.5, ("pump-7", "mode"): 0})
        until(page, lambda: row.locator(".v").inner_text() == "6.50", "the value did not come back")
        assert row.locator(".letter").count() == 0
        assert not row.locator(".outside").is_visible()
        mode = page.locator(f'tr[data-series="{site.series("mode")}"] .v')
        until(page, lambda: mode.inner_text() == "off", "the state has no name")


def test_stale_appears_in_words_and_hatching_when_a_tag_is_not_renewed(site: Site) -> None:
    """And only on the tag whose time has passed; it goes when the tag speaks again."""
    with site.open("/asset/pump-7") as page:
        pressure = page.locator(f'tr[data-series="{site.series("pressure")}"]')
        mode = page.locator(f'tr[data-series="{site.series("mode")}"]')
        site.plant.say({("pump-7", "pressure"): 6.5, ("pump-7", "mode"): 1})
        until(page, lambda: not pressure.locator(".stale-mark").is_visible(), "it is stale from the start")
        site.renew(6)
        until(page, lambda: pressure.locator(".stale-mark").is_visible(), "STALE did not appear")
        assert "STALE" in pressure.inner_text()
        assert "repeating-linear-gradient" in pressure.locator(".value").evaluate(
            "(cell) => getComputedStyle(cell).backgroundImage"
        )
        assert not mode.locator(".stale-mark").is_visible()
        site.plant.say({("pump-7", "pressure"): 6.5})
        until(page, lambda: not pressure.locator(".stale-mark").is_visible(), "STALE stayed")


def test_lost_beat_is_unmistakable_and_every_value_goes_stale_with_it(site: Site) -> None:
    """A red strip with words, a line of alarm, and no value that looks alive."""
    with site.open("/asset/pump-7") as page:
        lamp, note = page.locator(".lamp"), page.locator("#silent")
        site.plant.report(link={"beat_age_s": 30.0})
        until(page, lambda: "Link silent for 30 s" in lamp.inner_text(), "no word of the lost beat")
        assert "STALE" in note.inner_text()
        until(page, lambda: page.locator("tr[data-stale]").count() == 2, "a value looks alive")
        site.renew()
        until(page, lambda: not note.is_visible(), "the alarm stayed")


def test_a_sender_three_days_back_is_unmistakable_though_the_link_is_live(site: Site) -> None:
    """The strip, a line of alarm and the list that needs a look say it, on an open page, and let go of it."""
    with site.open("/") as page:
        strip, alarms = page.locator("[data-clock-apart]"), page.locator("#alarms")
        rows = page.locator("[data-concerns] tr")
        assert not strip.is_visible()
        site.plant.report(watch={"beat": {"session": 1, "apart_s": -259_200.0}})
        until(page, lambda: strip.is_visible() and "3 d behind" in strip.inner_text(), "the strip is silent")
        until(page, lambda: rows.count() == 1, "nothing needs a look")
        assert "Link live" in page.locator(".lamp").inner_text()
        assert "differ by 3 d" in alarms.inner_text()
        assert "date -u" in rows.inner_text()
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        site.renew()
        until(page, lambda: not strip.is_visible() and not alarms.is_visible() and not rows.count(), "it stayed")


def test_catch_that_does_not_run_is_unmistakable(site: Site) -> None:
    """Its report is gone: the page says which process it is."""
    with site.open("/") as page:
        note = page.locator("#silent")
        (site.plant.state / "status-catch.json").unlink()
        until(page, lambda: "catch is not running" in note.inner_text(), "no word of catch")
        assert page.locator(".strip").get_attribute("data-lamp") == "none"
        until(page, lambda: "NOT RUNNING" in page.locator("[data-processes]").inner_text(), "the list does not say so")
        site.renew()
        until(page, lambda: not note.is_visible(), "the alarm stayed")


COUNT = """
([name, from, to, down, up]) => {
  const canvas = document.querySelector("#chart canvas");
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height + 1;
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 1);
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b] = pen.getImageData(0, 0, 1, 1).data;
  const width = Math.max(1, Math.round(canvas.width * (to - from)));
  const [top, end] = [up, down].map((share) => Math.round(canvas.height * share));
  const { data } = pen.getImageData(Math.round(canvas.width * from), 1 + top, width, end - top);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) {
    found += Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 24 && data[i + 3] > 200;
  }
  return found;
}
"""


def drawn(page: Page, colour: str, start: float, end: float, *, down: float = 1.0, up: float = 0.0) -> int:
    """Pixels of a colour in a slice of the chart, given as shares of its width and, from the top, of its height."""
    return int(page.evaluate(COUNT, [colour, start, end, down, up]))


def test_chart_draws_the_line_breaks_it_at_the_gap_and_hatches_the_gap_with_its_reason(site: Site) -> None:
    """The lost five minutes stand in the middle of the hour: hatched there, the line everywhere else."""
    with site.open(f"{PRESSURE}&range=3600") as page:
        page.wait_for_selector("#chart[data-drawn]")
        # The plot begins right of the value axis: about 4 % of the width.
        assert drawn(page, "--chart-line", 0.1, 0.4) > 300
        assert drawn(page, "--chart-line", 0.6, 0.9) > 300
        assert drawn(page, "--chart-gap", 0.1, 0.4) == 0
        assert drawn(page, "--chart-gap", 0.44, 0.52) > 300
        assert drawn(page, "--chart-gap", 0.6, 0.9) == 0
        assert drawn(page, "--chart-line", 0.455, 0.505, up=0.1) < 20  # below the label, whose letters are as dark
        assert "4 blocks missing" in page.locator("[data-holes]").inner_text()
        box = page.locator(".u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.46, box["y"] + 80)
        until(page, lambda: "Link gap" in page.locator("#readout").inner_text(), "the gap has no reason")
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 80)
        until(page, lambda: " bar" in page.locator("#readout").inner_text(), "the cursor reads nothing")


def test_chart_follows_live_values_and_is_moved_and_zoomed_by_keys(site: Site) -> None:
    """The keyboard does what the mouse does, and the address names what is shown."""
    with site.open(f"{PRESSURE}&range=300") as page:
        page.wait_for_selector("#chart[data-drawn]")
        assert drawn(page, "--chart-line", 0.9, 1.0, down=0.3) == 0
        site.renew(2)
        site.plant.say({("pump-7", "pressure"): 12.34})
        last = page.locator('[data-sum="last"]')
        until(page, lambda: last.inner_text() == "12.34 bar", "the live value did not arrive")
        newest = page.locator("[data-samples] tr").first
        until(page, lambda: newest.inner_text().split("\t")[1] == "12.34", "the table does not follow")
        # Long before the whole trend is fetched again, which is after ten seconds.
        until(
            page,
            lambda: drawn(page, "--chart-line", 0.9, 1.0, down=0.3) > 20,
            "the live value is not drawn",
            within_s=6,
        )
        chart = page.locator("#chart")
        chart.focus()
        page.keyboard.press("+")
        until(page, lambda: page.url.endswith("&range=150"), "+ does not zoom")
        page.keyboard.press("ArrowLeft")
        until(page, lambda: "&from=" in page.url, "the arrow does not move")
        assert page.locator('[data-do="live"]').get_attribute("aria-pressed") == "false"
        page.keyboard.press("-")
        page.keyboard.press("l")
        until(page, lambda: page.url.endswith("&range=300"), "l does not follow again")
        page.get_by_role("link", name="24 h").click()
        until(page, lambda: page.url.endswith("&range=86400"), "the range is not in the address")
        until(page, lambda: page.locator("[data-range='86400']").get_attribute("aria-current") == "true", "no mark")
        page.keyboard.press("f")
        site.plant.say({("pump-7", "pressure"): 6.5})


def test_page_whose_server_is_gone_says_so_and_believes_nothing_any_more(tmp_path: Path, browser: Browser) -> None:
    """A picture must not pass for the plant."""
    clock = Clock()
    plant = Plant(tmp_path, ASSETS, TAGS, clock=clock)
    plant.say({("pump-7", "pressure"): 6.5})
    plant.report()
    context = browser.new_context()
    page = context.new_page()
    page.clock.install()
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        page.goto(base + "/asset/pump-7")
        until(page, lambda: "Link live" in page.locator(".lamp").inner_text(), "the link is not live")
        until(page, lambda: page.locator("[data-stale]").count() == 0, "it is stale from the start")
    page.clock.fast_forward(6000)
    until(page, lambda: page.locator("#frozen").is_visible(), "the page does not notice")
    assert "heard nothing" in page.locator("#frozen").inner_text()
    until(page, lambda: page.locator("tr[data-stale]").count() == 1, "the value is still believed")
    context.close()
    plant.close()


def test_no_setting_of_the_clock_moves_the_age_of_a_value_on_an_open_page(tmp_path: Path, browser: Browser) -> None:
    """An hour back, an hour forward: the age goes on, the clock of the page follows, and silence is still stale."""
    clock = Clock()
    plant = Plant(tmp_path, ASSETS, TAGS, clock=clock)
    plant.say({("pump-7", "pressure"): 6.5})
    plant.report()
    context = browser.new_context(timezone_id="UTC")
    page = context.new_page()
    app = create_app(plant.history, plant.state, Scope(), clock=clock, since_boot=clock.since_boot)
    with served(app) as base:
        page.goto(base + "/asset/pump-7")
        row = page.locator("tr[data-series]", has_text="pressure")
        shown = page.locator("[data-clock]")
        for step_s, hour in ((-3600, "07:00:"), (7200, "09:00:")):
            clock.step(step_s)
            plant.report()
            until(page, lambda hour=hour: hour in shown.inner_text(), "the clock is not shown")  # type: ignore[misc]
            assert row.locator(".age-text").inner_text() in ("< 1 s", "1 s", "2 s", "3 s")
            assert not row.locator(".stale-mark").is_visible()
        clock.move(3)
        plant.report()
        until(page, lambda: row.locator(".age-text").inner_text()[0] in "345", "the age stands still")
        clock.step(-3600)
        clock.move(3)
        plant.report()
        until(page, lambda: row.locator(".stale-mark").is_visible(), "it is fresh for ever")
    context.close()
    plant.close()


def test_pages_fit_the_screen_and_can_be_read_by_structure(site: Site) -> None:
    """No sideways scrolling; one heading, headed tables, named controls, and a way to skip to the content."""
    for path in ("/", "/asset/pump-7", PRESSURE):
        with site.open(path, width=390, height=844) as page:
            if path.startswith("/tag"):
                page.wait_for_selector("#chart[data-drawn]")
            for width in (390, 1280):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
                assert page.evaluate(OUTSIDE) == [], (path, width)
            assert page.locator("h1").count() == 1
            assert page.locator("thead th:not([scope]), tbody th:not([scope])").count() == 0
            nameless = page.evaluate(
                "[...document.querySelectorAll('button, a, input:not([type=hidden])')].filter((node) => "
                "!node.textContent.trim() && !node.labels?.length && !node.getAttribute('aria-label')).length"
            )
            assert nameless == 0, path
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.className") == "skip"


def test_pages_are_whole_without_a_script(site: Site) -> None:
    """Values, states, the link and the numbers of a range; only the chart needs a script, and says so."""
    with site.open("/", script=False) as page:
        assert "pump-7" in page.locator("main").inner_text()
        assert "Link live" in page.locator(".strip").inner_text()
    with site.open(PRESSURE, script=False) as page:
        assert "The chart needs a script" in page.locator("#chart").inner_text()
        assert "bar" in page.locator('[data-sum="high"]').inner_text()
        assert not page.locator(".zoom").is_visible()


APPENDED = """
async (values) => {
  const { append } = await import("/static/curve.js");
  const curve = { at_ms: [], low: [], high: [], mean: [], count: [], bad: [], width_ms: 1000, bands: [] };
  Object.assign(curve, { first: [], last: [], first_ms: [], last_ms: [] });
  values.forEach(([time, value, bad]) => append(curve, { time, value, grade: bad ? "bad" : "good", words: "" }, 5000));
  return [curve.mean, curve.low, curve.count, curve.bad];
}
"""


def test_a_text_that_arrives_live_is_no_bad_sample(site: Site) -> None:
    """It has no point on the chart, and no mark of a bad one; what has no value, or bad quality, has that mark."""
    with site.open("/") as page:
        texts = [[0, "HIGH", False], [100, "HIGH", False], [5000, "9007199254740993", False], [9000, "X", True]]
        assert page.evaluate(APPENDED, texts) == [[None] * 3, [None] * 3, [2, 1, 0], [0, 0, 1]]
        mixed = [[0, "9007199254740993", False], [100, 4, False], [200, 6, False], [300, None, False]]
        assert page.evaluate(APPENDED, mixed)[1:] == [[4], [3], [1]]


def test_script_and_server_write_numbers_alike(site: Site) -> None:
    """A value must not change its form when its page comes alive."""
    seed = 7
    chance = random.Random(seed)
    cases: list[tuple[float, int | None]] = [(0.0, None), (-0.0, 2), (0.5, 0), (2.5, 0), (-2.5, 0), (1e-5, None)]
    for _ in range(3000):
        value = chance.uniform(-1, 1) * 10.0 ** chance.randint(-12, 17)
        cases.append((value, chance.choice([None, 0, 1, 2, 3, 6])))
    spans = [0.0, 0.99, 9.99, 10.0, 59.9, 60.0, 3599.0, 3600.0, 86399.0, 86400.0, 1e6] + [
        chance.uniform(0, 4e5) for _ in range(300)
    ]
    with site.open("/") as page:
        told = page.evaluate(
            """async ([cases, spans]) => {
              const { number, span } = await import("/static/format.js");
              return [cases.map(([value, places]) => number(value, places)), spans.map(span)];
            }""",
            [cases, spans],
        )
    for (value, places), text in zip(cases, told[0], strict=True):
        assert text == words.number(value, places), (seed, value, places)
    assert told[1] == [words.span(one) for one in spans]


def test_what_stands_at_a_mark_of_a_chart_is_its_value(site: Site) -> None:
    """Steps of 2.5 and 0.25 as well: a mark at 202.5 does not read 203."""
    steps = [one * 10.0**power for one in (1, 2, 2.5, 5) for power in range(-6, 7)]
    with site.open("/") as page:
        told = page.evaluate(
            """async (steps) => {
              const { stepPlaces } = await import("/static/format.js");
              return steps.map((step) => [step, 3 * step, 81 * step].map((at) => Number(at.toFixed(stepPlaces(step)))));
            }""",
            steps,
        )
    assert told == [[pytest.approx(step * by, rel=1e-9) for by in (1, 3, 81)] for step in steps]


def test_script_and_server_link_to_a_tag_alike(site: Site) -> None:
    """The same tag, whatever its names are made of."""
    names = [EVIL, "a/b?c&d=e#f", "!'()*~ %41", "ü\u202e\n\0", ".."]
    with site.open("/") as page:
        for asset in names:
            told = page.evaluate(
                """async ([asset, name]) => {
                  const { tagAddress } = await import("/static/format.js");
                  return [...new URL(tagAddress(asset, name), location).searchParams];
                }""",
                [asset, names[0]],
            )
            assert told == [["asset", asset], ["name", names[0]]]
            assert parse_qsl(words.tag_address(asset, names[0]).partition("?")[2]) == [
                ("asset", asset),
                ("name", names[0]),
            ]


def test_thousand_tags_are_shown_and_alive_within_three_seconds(tmp_path: Path, browser: Browser) -> None:
    """From the click to the first rows, on the largest asset, of which only the rows in view are there: seconds of a
    processor, the server's and the page's, which others that use the machine do not make longer.
    """
    clock = Clock()
    asset = Asset(name="turbine", site="north")
    tags = [
        Tag(id=at, asset="turbine", name=f"channel_{at:04d}", unit="Cel", low=0, high=900, normal_high=800)
        for at in range(1000)
    ]
    plant = Plant(tmp_path, [asset], tags, clock=clock)
    plant.send([Row(at, clock(), 400.0 + at / 7) for at in range(1000)])
    plant.report()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    inspector = context.new_cdp_session(page)
    inspector.send("Performance.enable")

    def spent_s() -> float:
        told = {one["name"]: one["value"] for one in inspector.send("Performance.getMetrics")["metrics"]}
        return float(told["ProcessTime"]) + time.process_time()

    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        page.goto(base + "/changes")  # the process of the browser's that draws the pages begins
        for path, ready in (("/", "[data-card]"), ("/asset/turbine", "tr[data-series]")):
            before = spent_s()
            page.goto(base + path)
            page.wait_for_selector(ready)
            taken = spent_s() - before
            assert 0.0 < taken < 3.0, (path, taken)
        rows = page.locator("tr[data-series]")
        assert page.locator("[data-sum]").inner_text() == "1000"
        until(page, lambda: 10 < rows.count() < 100, "it holds rows that nobody sees")
        assert page.evaluate("document.querySelectorAll('*').length") < 4000
        plant.send([Row(at, clock() + 1, 100.0) for at in range(1000)])
        first = page.locator("tr[data-series] .v").first
        until(page, lambda: first.inner_text() == "100.0", "the first of a thousand did not change")
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        until(page, lambda: "channel_0999" in rows.last.inner_text(), "the last is not there")
        assert rows.last.locator(".v").inner_text() == "100.0"
        assert rows.count() < 100
        page.locator("#find").fill("channel_0500")
        until(page, lambda: rows.count() == 1, "the search does not sift")
        assert "channel_0500" in rows.inner_text()
        assert page.url.endswith("find=channel_0500")
        page.locator("#find").fill("")
        page.locator("#abnormal").check()
        until(page, lambda: page.locator("#nothing").is_visible(), "all are well")
        plant.send([Row(998, clock() + 2, 850.0)])
        until(page, lambda: rows.count() == 1 and "850.0" in rows.inner_text(), "what is wrong did not come")
    context.close()
    plant.close()
