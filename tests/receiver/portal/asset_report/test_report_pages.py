"""The report as a page and as a file: whole, inert, the same each time, within the scope, and on record."""

from __future__ import annotations

import base64
import hashlib
import re
import urllib.parse
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from granting_site import WHY, GrantingSite
from playwright.sync_api import Browser
from portal_plant import Answer, Clock, ask, served
from trend_plant import EVIL, TURBINE, trend_plant

from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.asset_report import report_pages

HOUR = {"from": "2025-11-23T07:00:00Z", "to": "2025-11-23T08:00:00Z"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    clock = Clock()
    plant = trend_plant(tmp_path_factory.mktemp("plant"), clock)
    with served(create_app(plant.history, plant.state, Scope(), clock=clock, zone="Europe/Berlin")) as held:
        yield held
    plant.close()


def report(base: str, **question: Any) -> Answer:
    return ask(f"{base}/report?{urllib.parse.urlencode(question, doseq=True)}")


def test_a_report_tells_what_the_range_holds(base: str) -> None:
    """Numbers, completeness, gaps, events with their first-out, and times in the plant's zone with their offset."""
    answer = report(base, asset=TURBINE, **HOUR)
    text = " ".join(unescape(re.sub("<[^>]+>", " ", answer.text)).split())
    assert answer.status == 200
    assert "From 2025-11-23 08:00:00 +01:00" in text
    assert "times are in Europe/Berlin" in text
    assert re.search(r"bearing a 51\.\d 5\d\.\d 63\.0 °C 89\.\d\d % 826 3600 23", text)
    assert "Gaps of the link 1, 5 min 4 s in all" in text
    assert "1 TRIP raised in the range" in text
    assert re.search(r"08:50:00\.000 \+01:00 \+5 min Active TRIP FIRST-OUT 900", text)
    assert "Bad for 1 min 30 s: sensor failure" in text
    assert "Healed: 3 min 16 s of samples came later" in text
    assert "by a reader of the pages who did not sign in Scope everything, open to anyone" in text
    assert answer.text.count('<svg class="report-chart"') == 7
    chart = answer.text.partition("<h3>bearing a")[2].partition("</svg>")[0]
    marks = ("normal", "stretch gap", "stretch bad", "healed", "flag trip", "line")
    assert all(f'class="{name}"' in chart for name in marks)


def test_named_tags_alone_are_told(base: str) -> None:
    """By the address, or typed one a line."""
    for question in ({"tag": ["speed", "mode"]}, {"tags": "speed\r\nmode\r\n"}):
        answer = report(base, asset=TURBINE, **HOUR, **question)
        assert re.findall(r"<h3>([\w/ ]+)", answer.text) == ["mode", "speed "]


def test_the_same_report_is_the_same_bytes(base: str) -> None:
    """Nothing in it depends on the run."""
    first, second = (report(base, asset=TURBINE, **HOUR, save="html") for _ in range(2))
    assert first.body == second.body
    assert first.headers["Content-Disposition"] == 'attachment; filename="report-20251123T070000Z.html"'


def test_a_file_needs_nothing_and_runs_nothing(base: str) -> None:
    """Its style is in it, and its policy lets in that style alone, whatever the plant's texts hold."""
    for asset in (TURBINE, EVIL):
        text = report(base, asset=asset, **HOUR, save="html").text
        style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        assert f"default-src 'none'; style-src 'sha256-{digest}'" in unescape(text)
        assert not re.search(r"<(script|link|img|iframe|object|form)\b|\bstyle=|\bon\w+=\"|https?:", text)
        assert "&lt;img" in text


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"from": "yesterday"}, "'yesterday' is no time"),
        ({"from": "2025-11-23T08:00:00Z", "to": "2025-11-23T07:00:00Z"}, "The range is empty"),
        ({"from": "2020-01-01", "to": "2025-01-01"}, "longer than 400 days"),
    ],
)
def test_a_range_that_is_none_is_told_above_the_form(base: str, question: dict[str, str], said: str) -> None:
    """And what was typed stands in it."""
    answer = report(base, asset=TURBINE, **question)
    assert answer.status == 400
    assert said in unescape(answer.text)
    assert f'value="{question["from"]}"' in answer.text


def test_what_is_not_there_is_404_and_without_an_asset_there_is_the_form(base: str) -> None:
    """An asset, a tag; the form lists what there is."""
    assert report(base, asset="nobody", **HOUR).status == 404
    assert report(base, asset=TURBINE, tag="nothing", **HOUR).status == 404
    assert 'value="turbine-1"' in report(base).text


def test_reports_at_once_are_bounded(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is told to come again, in words."""
    monkeypatch.setattr(report_pages, "AT_ONCE", 0)
    answer = report(base, asset=TURBINE, **HOUR)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "Other reports are being made" in answer.text


def test_a_report_is_cut_to_the_scope_signed_and_on_record(tmp_path: Path) -> None:
    """As `read.report`, with who made it under which grant; what is not theirs is not there."""
    site = GrantingSite(tmp_path)
    with site.pages() as web:
        acme, sponsor = (site.enter(web, who) for who in ("acme", "sponsor"))
        site.request(acme)
        sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
        before = len(site.kinds())
        day = "from=2025-11-22T20:00:00Z&to=2025-11-23T20:00:00Z"
        text = acme.get(f"/report?asset=acme-pump&{day}").text
        assert "acme-pressure" in text
        assert "by grant" in text
        assert "volta" not in text
        assert "88.0" not in text
        assert acme.get(f"/report?asset=volta-press&{day}").status == 404
        assert acme.get(f"/report?asset=acme-pump&tag=volta-force&{day}").status == 404
        assert site.kinds()[before:] == ["read.report", "read.refused", "read.refused"]
        assert site.of("read.report")[-1].facts["assets"] == ["acme-pump"]
    site.close()


def test_a_report_in_a_browser_and_on_paper(base: str, browser: Browser) -> None:
    """No rule of accessibility is broken, nothing is refused by the policy, and A4 cuts nothing off."""
    page = browser.new_page(viewport={"width": 794, "height": 1123})
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text))
    page.goto(f"{base}/report?{urllib.parse.urlencode({'asset': TURBINE, **HOUR})}")
    assert Axe().run(page).response["violations"] == []
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 between its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    assert not page.get_by_role("button").first.is_visible()
    assert wrong == []
    page.close()
