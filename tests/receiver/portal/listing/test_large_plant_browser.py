"""A large plant in a real browser: rows in view only, groups, search by keyboard, paper, and what axe says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from portal_plant import Clock, Plant, served

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app

TAGS = 400
A4 = 718
"""Width of the paper within its margins [CSS pixels]."""
BEYOND = """
[...document.querySelectorAll("body *:not(.unseen, .skip, .symbols, .symbols *)")]
  .filter((node) => node.getClientRects().length && node.getBoundingClientRect().right > innerWidth + 0.5)
  .map((node) => `${node.tagName} ${node.className} ${node.textContent.slice(0, 30)}`)
"""

UNSEEN_HEADS = """
[...document.querySelectorAll("thead th")]
  .filter((one) => !one.offsetWidth && !one.closest("details:not([open])")).length
"""


class Large:
    """Forty pumps and a turbine with paths of names."""

    def __init__(self, plant: Plant, clock: Clock, base: str, page: Page) -> None:
        self.plant, self.clock, self.base, self.page = plant, clock, base, page

    def open(self, path: str, *, width: int = 1280) -> Page:
        self.page.emulate_media(media="screen")
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.goto(self.base + path)
        return self.page


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Large]:
    clock = Clock()
    assets = [Asset(name="turbine", site="north")] + [Asset(name=f"pump-{at:02d}", site="north") for at in range(40)]
    tags = [
        Tag(id=at, asset="turbine", name=f"train-{at // 100}/bearing-{at // 10:02d}/speed-{at:03d}", unit="r/min",
            low=0, high=4000, normal_high=3000, description="Measured at the shaft")
        for at in range(TAGS)
    ]  # fmt: skip
    tags += [Tag(id=TAGS + at, asset=f"pump-{at:02d}", name="pressure", unit="bar") for at in range(40)]
    plant = Plant(tmp_path_factory.mktemp("large"), assets, tags, clock=clock)
    plant.send([Row(at, clock(), 3600.0 if at == 399 else 1500.0) for at in range(TAGS + 40)])
    for asset in assets:
        plant.condition(asset.name, "up")
    clock.move(1)
    plant.report()
    context = browser.new_context(bypass_csp=True)
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        yield Large(plant, clock, base, context.new_page())
    context.close()
    plant.close()


def until(page: Page, holds: Callable[[], bool], what: str) -> None:
    """Wait for the page, not for a time."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        page.wait_for_timeout(20)


def test_what_needs_a_look_stands_above_the_rows_of_many_assets(large: Large) -> None:
    """On the first screen, however many assets there are."""
    page = large.open("/")
    assert page.locator("[data-card]").count() == 41
    box = page.locator("[data-attention] tr").first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 800
    assert "speed-399" in page.locator("[data-attention]").inner_text()


def test_rows_are_there_while_they_are_in_view_and_groups_fold_by_the_keyboard(large: Large) -> None:
    """The find looks at all tags of the asset; a folded group keeps its heading and the focus."""
    page = large.open("/asset/turbine")
    rows, folds = page.locator("tr[data-series]"), page.locator(".fold")
    assert page.locator("[data-sum]").inner_text() == "400"
    assert 5 < rows.count() < 100
    assert folds.first.inner_text() == "train-0/bearing-00"
    folds.first.focus()
    page.keyboard.press("Enter")
    assert folds.first.get_attribute("aria-expanded") == "false"
    assert page.evaluate("document.activeElement.dataset.group") == "train-0/bearing-00"
    assert rows.first.locator("a").first.inner_text() == "speed-010"
    page.locator("#find").fill("bearing-39/speed-399")
    until(page, lambda: rows.count() == 1, "it does not find what was out of view")
    assert "above normal" in rows.inner_text()
    assert "1, 1 to look at" in page.locator("tr.group").inner_text()
    page.reload()
    until(page, lambda: rows.count() == 1, "the address does not hold what was asked for")


def test_the_whole_plant_is_searched_from_any_page_by_the_keyboard(large: Large) -> None:
    """`/`, words, an arrow, Enter: the tag's page."""
    page = large.open("/help")
    page.keyboard.press("/")
    page.keyboard.type("pump-17 press")
    lines = page.locator("#finds li")
    until(page, lambda: lines.count() == 1, "nothing is found")
    page.keyboard.press("ArrowDown")
    assert page.locator("[data-search] input").get_attribute("aria-activedescendant") == "find-0"
    found = [one["id"] for one in Axe().run(page).response["violations"]]
    assert found == []
    page.keyboard.press("Enter")
    page.wait_for_url("**/tag?asset=pump-17&name=pressure")
    page.keyboard.press("/")
    page.keyboard.type("turbine")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?find=turbine")
    assert page.locator("[data-found-assets] a").inner_text() == "turbine"


def test_a_long_list_is_whole_without_a_script_part_by_part(browser: Browser, large: Large) -> None:
    """Parts that follow one another, and a find that is a form."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(large.base + "/asset/turbine")
    assert page.locator("tr[data-series]").count() == 50
    page.get_by_role("link", name="On", exact=True).click()
    assert page.locator("tr[data-series] a").first.inner_text() == "speed-050"
    page.locator("#find").fill("speed-399")
    page.get_by_role("button", name="Show").click()
    assert page.locator("tr[data-series]").count() == 1
    context.close()


@pytest.mark.parametrize(
    "path", ["/", "/asset/turbine", "/tag?asset=turbine&name=train-0/bearing-00/speed-000", "/events"]
)
def test_paper_cuts_no_column_and_no_newest_minute(large: Large, path: str) -> None:
    """A4: no column of a table is left out, nothing lies beyond the paper; a chart is as wide as it."""
    page = large.open(path)
    if path.startswith("/tag"):
        page.wait_for_selector("#chart[data-drawn]")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4, "height": 1000})
    until(page, lambda: page.evaluate(BEYOND) == [], "it is cut")
    assert page.evaluate(UNSEEN_HEADS) == 0


def test_paper_has_every_row_of_a_long_list(large: Large, tmp_path: Path) -> None:
    """Also those that were never in view; afterwards they are gone again."""
    page = large.open("/asset/turbine")
    page.wait_for_selector(".fold")
    page.emulate_media(media="print")
    page.pdf(path=tmp_path / "asset.pdf", prefer_css_page_size=True)
    paper = pypdfium2.PdfDocument(tmp_path / "asset.pdf")
    text = " ".join(one.get_textpage().get_text_bounded() for one in paper)
    paper.close()
    text = "".join(
        text.replace("\ufffe", "-").replace("\x02", "-").split()
    )  # lines break, also at a hyphen, which is then another letter
    assert [at for at in range(TAGS) if f"speed-{at:03d}" not in text] == []
    assert "Sourcetime" in text
    until(page, lambda: page.locator("tr[data-series]").count() < 100, "the rows stay after printing")


@pytest.mark.parametrize(
    ("path", "scheme"), [("/", "dark"), ("/asset/turbine", "light"), ("/search?find=train-0 bearing-01", "dark")]
)
def test_large_pages_are_fit_to_be_read(large: Large, path: str, scheme: str) -> None:
    """No violation of axe's rules; nothing beyond the window down to 320 pixels (400 %)."""
    page = large.open(path)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    until(page, lambda: "Link live" in page.locator(".lamp").inner_text(), "it is not alive")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []
    for width in (800, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(BEYOND) == [], width
