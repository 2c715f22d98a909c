"""The trend page in a real browser: what a specialist does with it, by mouse and by keys.

Every page must log no error, break no policy, ask nobody else, and change no title by a name that would be markup.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_person import BEYOND
from playwright.sync_api import Browser, Page
from portal_plant import Clock, Plant, served
from trend_plant import EVIL, NAMES, TURBINE, trend_plant

from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.trending.tag_names import joined

FOREIGN = joined(EVIL, "<b>50%/x</b>")
HOUR = {"from": "2025-11-23T07:00:00Z", "to": "2025-11-23T08:00:00Z"}


class Site:
    def __init__(self, plant: Plant, base: str, page: Page) -> None:
        self.plant, self.base, self.page = plant, base, page
        self.wrong: list[str] = []
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(base) else self.wrong.append(asked.url))

    @contextmanager
    def open(self, *names: str, **more: str) -> Iterator[Page]:
        """The page of these tags, drawn."""
        self.wrong.clear()
        self.page.set_viewport_size({"width": 1280, "height": 900})
        self.page.goto(f"{self.base}/trend?" + urlencode([*(("tag", name) for name in names), *more.items()]))
        if names:
            self.page.wait_for_selector("#plot[data-drawn]", state="attached")
        yield self.page
        assert self.wrong == []
        assert self.page.title().endswith("· Checkvalve")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Site]:
    clock = Clock()
    plant = trend_plant(tmp_path_factory.mktemp("trend"), clock)
    context = browser.new_context(timezone_id="UTC", reduced_motion="reduce")
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        yield Site(plant, base, context.new_page())
        context.close()
    plant.close()


def until(page: Page, holds: Callable[[], bool], what: str) -> None:
    """Wait for the page, not for a time."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        page.wait_for_timeout(20)


LANE = """
(name) => {
  const canvas = document.querySelector("#lanes");
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  Object.assign(pen.canvas, { width: canvas.width, height: canvas.height });
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b] = pen.getImageData(0, 0, 1, 1).data;
  pen.drawImage(canvas, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) found += data[i] === r && data[i + 1] === g && data[i + 2] === b;
  return found;
}
"""
"""Pixels of a colour in the lanes below the chart."""


def cells(page: Page, name: str) -> list[str]:
    return page.locator(f'[data-cell="{name}"]').all_inner_texts()


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def length_s(page: Page) -> float:
    """Of the range that the address names."""
    begin, end = (time.mktime(time.strptime(asked(page)[key][0][:19], "%Y-%m-%dT%H:%M:%S")) for key in ("from", "to"))
    return end - begin


def test_one_question_brings_all_tags_and_the_cursor_reads_all_of_them(site: Site) -> None:
    """Values that held at that moment, and in words why there is none: a gap, bad data."""
    questions: list[str] = []
    site.page.on("request", lambda made: questions.append(made.url) if "/api/trends" in made.url else None)
    with site.open(*NAMES, **HOUR) as page:
        assert len(questions) == 1
        assert cells(page, "count")[:2] == ["825", "825"]
        assert cells(page, "bad")[2] == "23"
        box = page.locator("#plot .u-over").bounding_box()
        assert box is not None

        def at(share: float) -> list[str]:
            page.mouse.move(box["x"] + box["width"] * share, box["y"] + 60)
            return cells(page, "at")

        found = at(0.2)
        assert re.fullmatch(r"\d\.\d\d.*", found[0])
        assert re.fullmatch(r"\d\d\d\.\d.*", found[1])
        assert at(0.46)[:5] == ["gap"] * 5
        assert at(0.68)[2] == "bad: sensor failure"
        assert at(0.9)[5].startswith("run, ")  # sent on change: with its age
        assert "2025-11-23 07:5" in page.locator("[data-cursor]").inner_text()
        colours = ("--bad", "--healed", "--chart-gap")
        assert [page.evaluate(LANE, colour) > 20 for colour in colours] == [True] * 3


def test_a_range_is_chosen_zoomed_and_moved_and_stands_in_the_address(site: Site) -> None:
    """By buttons, by dragging, by keys; the address alone brings the same picture back."""
    with site.open(*NAMES[:2], range="3600") as page:
        chart = page.locator("#plot")
        for text, seconds in (
            ("10 min", "600"),
            ("8 h", "28800"),
            ("24 h", "86400"),
            ("7 d", "604800"),
            ("1 h", "3600"),
        ):
            page.get_by_role("link", name=text, exact=True).click()
            assert asked(page)["range"] == [seconds]
            assert page.locator(f'[data-range="{seconds}"]').get_attribute("aria-current") == "true"
        page.wait_for_selector("#plot[data-drawn]")
        box = page.locator("#plot .u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 90, steps=3)
        page.mouse.up()
        until(page, lambda: "from" in asked(page), "dragging does not zoom")
        assert length_s(page) == pytest.approx(1800, abs=20)
        chart.focus()
        page.keyboard.press("+")
        assert length_s(page) == pytest.approx(900, abs=20)
        before = asked(page)["from"]
        page.keyboard.press("ArrowLeft")
        assert asked(page)["from"] < before
        page.keyboard.press("-")
        page.keyboard.press("l")
        assert "range" in asked(page)
        page.keyboard.press("a")
        assert asked(page)["axes"] == ["own"]
        page.locator('[data-letter="B"] input').uncheck()
        assert asked(page)["hide"] == ["B"]
        page.reload()
        page.wait_for_selector("#plot[data-drawn]")
        assert not page.locator('[data-letter="B"] input').is_checked()
        assert page.locator('[data-do="own"]').get_attribute("aria-pressed") == "true"


def test_keys_move_the_cursor_and_the_table_follows(site: Site) -> None:
    """Shift and an arrow: no mouse is needed to read a value."""
    with site.open(*NAMES[:2], **HOUR) as page:
        page.locator("#plot").focus()
        page.keyboard.press("Shift+ArrowLeft")
        until(page, lambda: "07:2" in page.locator("[data-cursor]").inner_text(), "the cursor does not move")
        first = page.locator("[data-cursor]").inner_text()
        page.keyboard.press("Shift+ArrowLeft")
        until(page, lambda: page.locator("[data-cursor]").inner_text() < first, "the cursor stands still")


def test_tags_of_one_unit_share_an_axis_and_each_may_have_its_own(site: Site) -> None:
    """Normal bands, events and letters are drawn; the axes are those of the units."""
    with site.open(*NAMES[:5], **HOUR) as page:
        told = """async () => { const u = document.querySelectorAll("#plot .u-axis"); return u.length; }"""
        shared = page.evaluate(told)
        assert shared == 1 + 4  # time, bar, m3/h, Cel of two, r/min
        page.locator('[data-do="own"]').click()
        assert page.evaluate(told) == 1 + 4  # of five, as many as there is room for
        assert page.locator("[data-events] tr").count() == 3
        assert "<img" in page.locator("[data-events]").inner_text()


def test_two_times_are_laid_over_each_other_from_one_point_on(site: Site) -> None:
    """The other time's values and the difference stand in the table; it is shifted, moved along, and taken away."""
    with site.open(*NAMES[:2], **HOUR) as page:
        assert not page.locator(".values .other").first.is_visible()
        page.locator('[data-against="before"]').click()
        until(page, lambda: page.locator(".values .other").first.is_visible(), "no other time")
        assert asked(page)["against"] == ["2025-11-23T06:00:00.000Z"]
        box = page.locator("#plot .u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
        until(page, lambda: cells(page, "other")[0] != "\N{EM DASH}", "the other time is not read")
        assert cells(page, "apart")[0] != "\N{EM DASH}"
        page.locator('[data-against="1"]').click()
        until(page, lambda: asked(page)["against"] == ["2025-11-23T06:00:36.000Z"], "it is not shifted")
        page.locator("#plot").focus()
        page.keyboard.press("ArrowLeft")
        assert asked(page)["against"] == ["2025-11-23T05:30:36.000Z"]  # both move
        page.get_by_role("button", name="Do not compare").click()
        until(page, lambda: not page.locator(".values .other").first.is_visible(), "it stays")


def test_one_tag_against_another_and_the_distribution_are_shown(site: Site) -> None:
    """Points for moments at which both are known; shares of time with their numbers, states by name."""
    with site.open(*NAMES, **HOUR) as page:
        page.get_by_role("link", name="XY").click()
        readout = page.locator("#readout")
        until(page, lambda: "moments at which both are known" in readout.inner_text(), "no pairs")
        assert int(readout.inner_text().split()[0]) > 600
        page.get_by_label("Up").select_option("C")
        assert asked(page)["y"] == ["C"]
        page.get_by_role("link", name="Distribution").click()
        until(page, lambda: page.locator(".share").count() == len(NAMES), "no distributions")
        shown = page.locator(".share").all_inner_texts()
        assert "54 min 5" in shown[0]
        assert "Above normal" in shown[0]
        assert "start" in shown[5]
        assert "run" in shown[5]
        assert "A text has no distribution." in shown[7]


def test_a_tag_is_found_by_its_name_added_and_taken_away(site: Site) -> None:
    """Names that would be markup are text in the list, in the table and in the address."""
    with site.open(NAMES[0], **HOUR) as page:
        field = page.get_by_label("Add a tag")
        field.fill("50%")
        until(page, lambda: page.locator("#found option").count() == 1, "it is not found")
        field.fill(page.locator("#found option").get_attribute("value") or "")
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_selector('[data-letter="B"]')
        page.wait_for_selector("#plot[data-drawn]")
        assert asked(page)["tag"] == [NAMES[0], FOREIGN]
        assert asked(page)["from"] == ["2025-11-23T07:00:00.000Z"]
        assert page.locator('[data-letter="B"] th').inner_text().startswith("<b>50%/x</b>")
        assert cells(page, "count")[1] == "1"
        page.get_by_role("link", name="Take away line A").click()
        page.wait_for_selector('[data-letter="B"]', state="detached")
        assert asked(page)["tag"] == [FOREIGN]


def test_the_page_is_whole_without_a_script(site: Site, browser: Browser) -> None:
    """Tags, their asset, units and normal bands; ranges and forms lead on."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.base}/trend?" + urlencode([("tag", NAMES[0]), ("tag", NAMES[4]), ("range", "600")]))
    assert "The chart needs a script" in page.locator("#plot").inner_text()
    assert "2900 to" in page.locator('[data-letter="B"]').inner_text()
    page.get_by_label("Add a tag").fill(NAMES[1])
    page.get_by_role("button", name="Add", exact=True).click()
    assert page.locator("[data-letter]").count() == 3
    page.get_by_role("link", name="24 h").click()
    assert asked(page) == {"tag": [NAMES[0], NAMES[4], NAMES[1]], "range": ["86400"]}
    context.close()


@pytest.mark.parametrize(
    ("show", "scheme"), [("time", "light"), ("time", "dark"), ("xy", "dark"), ("shares", "light"), ("", "light")]
)
def test_every_view_is_fit_to_be_read(site: Site, show: str, scheme: str) -> None:
    """No violation of axe's rules; nothing beyond the window from a wide screen to one of 320 pixels (400 %)."""
    site.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    more = HOUR | ({"show": show} if show != "time" else {"against": "2025-11-23T06:00:00Z"})
    with site.open(*(NAMES[:3] if show else ()), **more) as page:
        if show == "shares":
            page.wait_for_selector(".share")
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []
        for width in (1280, 360, 320):
            page.set_viewport_size({"width": width, "height": 900})
            until(page, lambda: page.evaluate(BEYOND) == [], f"beyond {page.viewport_size}")
            assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), width


CONTRAST = """
() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const held = getComputedStyle(document.documentElement);
  const light = (name) => {
    pen.fillStyle = held.getPropertyValue(name);
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light("--panel");
  return Array.from({ length: 8 }, (_, at) => {
    const line = light(`--trace-${at}`);
    return (Math.max(line, ground) + 0.05) / (Math.min(line, ground) + 0.05);
  });
}
"""


def test_every_colour_of_a_line_stands_out_from_its_ground(site: Site) -> None:
    """At least 4.5 : 1 in both schemes (WCAG 1.4.3): the letter in the line's colour is a text."""
    for scheme in ("light", "dark"):
        with site.open() as page:
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert min(page.evaluate(CONTRAST)) >= 4.5, scheme


def test_small_curves_stand_in_the_rows_of_an_asset(site: Site) -> None:
    """Those in view, by one question; broken at the gap; a row leads to its trend."""
    questions: list[str] = []
    page = site.page
    page.on("request", lambda made: questions.append(made.url) if "/api/sparks" in made.url else None)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{site.base}/asset/{TURBINE}")
    until(page, lambda: page.locator(".spark-line").count() >= 5, "no small curves")
    assert len(questions) == 1
    row = page.locator("tr[data-series]", has_text="pressure").first
    assert row.locator(".spark-gap").count() == 1
    assert row.locator(".spark-line").get_attribute("d").count("M") >= 2  # type: ignore[union-attr]
    page.get_by_role("link", name="Trend of its tags").click()
    page.wait_for_selector("#plot[data-drawn]", state="attached")
    assert len(asked(page)["tag"]) == 8


def test_a_month_is_drawn_first_and_its_lanes_are_filled_in_after(site: Site) -> None:
    """Bad buckets are marked from the first moment on; which of it was bad, and what was healed, follows."""
    questions: list[str] = []
    site.page.on("request", lambda made: questions.append(made.url) if "/api/trends" in made.url else None)
    with site.open(*NAMES[:3], range=str(30 * 86400)) as page:
        assert page.evaluate(LANE, "--bad") > 0
        until(page, lambda: len(questions) == 2, "the lanes are not asked for")
        assert ["marks=0" in one for one in questions] == [True, False]
        until(page, lambda: page.evaluate(LANE, "--healed") > 0, "the lanes are not filled in")
