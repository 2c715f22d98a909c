"""The report as people have it: on a phone, on a wide screen and on paper, in a real browser.

Everything long stands in it: paths and hashes without a space, many machines, a month of days, every rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
import real_browser
from playwright.sync_api import Browser, Page

from audit import catalogue, questions
from audit.check import AuditFindings, CheckStatus, Evidence
from audit.report import page, report, rules

LONG = "/var/lib/checkvalve/" + "f" * 90
DIGEST = "0123456789abcdef" * 4
SHARE = {"CNT-3": CheckStatus.WARN, "L1-1": CheckStatus.SKIP, "SRC-2": CheckStatus.FAIL, "CAP-4": CheckStatus.ATTESTED}
OUTSIDE = """
[...document.querySelectorAll("body *")]
  .filter((node) => node.getClientRects().length)
  .filter((node) => node.getBoundingClientRect().right > innerWidth + 0.5 || node.getBoundingClientRect().left < -0.5)
  .map((node) => `${node.tagName} ${node.className} ${node.textContent.slice(0, 30)}`)
"""
SPILT = """
[...document.querySelectorAll("section, .panel, article, td, dd, p, li, div, code")]
  .filter((node) => node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== "inline")
  .map((node) => `${node.tagName} ${node.className} ${node.textContent.slice(0, 30)}`)
"""
HEADINGS = (
    "What needs a person", "Every day", "Every change", "All checks", "Rules a site is asked for", "Each check",
    "evidence, clauses, and what it does not prove", "By clause", "Made of", "Signed",
)  # fmt: skip
A4 = (595, 842)
"""Points."""
MARGIN = 34 - 1
"""Of page.css at the sides [points]."""


def _run(what: str, day: int, idents: list[str]) -> AuditFindings:
    time = f"2026-11-{day:02d}T06:00:00Z"
    command = f"tshark -r {LONG}.pcap.gz -Y 'frame.number==1012' -T fields -e frame.protocols"
    seen = Evidence(value={"x" * 80: DIGEST * 3, "sha256": DIGEST}, command=command, time=time)
    checks = tuple(
        catalogue.check(ident, SHARE.get(ident, CheckStatus.PASS), f"{ident}: saw {LONG}, and 12 more", seen)
        for ident in idents
    )
    facts = {
        "host": "high-1.north-plant.example",
        "machine": "a" * 16,
        "tool": f"checkvalve-high 0.1.0, sha256 {DIGEST}",
    }
    return AuditFindings(what=what, time=time, facts=facts, checks=checks)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report on a month, with a missing day, changes, failures and long words everywhere."""
    every = list(catalogue.catalogue())
    live = ["CNT-1", "CNT-3", "NFT-1", "L1-1", "PR-1"]
    runs = [_run("live low", day, live if day % 5 else live[:-1]) for day in range(1, 28) if day != 9]
    runs += [_run("live high", 2, live), _run(f"capture {'c' * 60}.pcap.gz", 23, every)]
    documents = [
        report.Document(path=f"{LONG}-{place}.json", sha256=DIGEST, findings=one)
        for place, one in enumerate(sorted(runs, key=lambda one: one.time))
    ]
    facts = {"by": "J. Doe", "command": f"checkvalve audit report {LONG}"}
    found = report.make(documents, questions.Answers(hardware={}), made="2026-11-30T12:00:00Z", facts=facts)
    out = tmp_path_factory.mktemp("shown") / "report.html"
    out.write_text(page.html(found), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the module."""
    with real_browser.opened() as held:
        yield held


@pytest.fixture(scope="module")
def opened(browser: Browser, shown: Path) -> Page:
    """The page, of any width."""
    held = browser.new_page()
    held.goto(shown.as_uri())
    return held


@pytest.mark.parametrize("width", [320, 390, 900, 901, 1280])
def test_nothing_stands_beyond_the_screen(opened: Page, width: int) -> None:
    """No sideways scrolling, of the page or within it, from the narrowest phone on."""
    opened.set_viewport_size({"width": width, "height": 844})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate(OUTSIDE) == []
    assert opened.evaluate(SPILT) == []


def test_on_a_phone_each_cell_says_the_name_of_its_column(opened: Page) -> None:
    """A row is a card: its cells stand below each other, and the head that named them is gone."""
    opened.set_viewport_size({"width": 390, "height": 844})
    assert not opened.locator("thead").first.is_visible()
    told = opened.evaluate(
        """[...document.querySelectorAll("tbody tr:not(.group)")].map((row) => {
          const cells = [...row.cells].filter((cell) => cell.getClientRects().length);
          const tops = cells.map((cell) => cell.getBoundingClientRect().top);
          const named = (cell) => getComputedStyle(cell, "::before").content === JSON.stringify(cell.dataset.name);
          return [tops.every((top, at) => !at || top > tops[at - 1]),
                  cells.every((cell) => cell.dataset.name === "" || named(cell))];
        })"""
    )
    assert len(told) > 100
    assert all(below and named for below, named in told)


@pytest.fixture(scope="module")
def printed(opened: Page) -> Iterator[pypdfium2.PdfDocument]:
    """The page as the browser prints it."""
    held = pypdfium2.PdfDocument(opened.pdf(prefer_css_page_size=True, print_background=True))
    yield held
    held.close()


def test_on_paper_no_column_is_cut(printed: pypdfium2.PdfDocument) -> None:
    """A4; every letter stands between the margins, and a hash in a narrow column is whole."""
    whole = 0
    for one in printed:
        assert tuple(map(round, one.get_size())) == A4
        text = one.get_textpage()
        boxes = [text.get_charbox(at) for at in range(text.count_chars()) if not text.get_text_range(at, 1).isspace()]
        assert all(left >= MARGIN and right <= A4[0] - MARGIN for left, _, right, _ in boxes)
        whole += "".join(text.get_text_range().split()).count(DIGEST)
    assert whole >= 28, "a hash a document"


def test_on_paper_the_first_page_is_one_page_and_no_row_is_parted(printed: pypdfium2.PdfDocument) -> None:
    """Summary alone on the first; each rule begins and ends on one page; no heading stands alone at a page's end."""
    pages = [" ".join(one.get_textpage().get_text_range().split()) for one in printed]
    counts = [f"{place} / {len(pages)} " for place in range(1, len(pages) + 1)]
    assert [text.startswith(count) for text, count in zip(pages, counts, strict=True)] == [True] * len(pages)
    pages = [text.removeprefix(count) for text, count in zip(pages, counts, strict=True)]
    assert "What is not proven" in pages[0]
    assert pages[1].startswith("Weakened switches")
    bare = [re.sub(r"\W", "", text) for text in pages]  # a hyphen at the end of a line is told as another sign
    for one in rules.rules():
        start, end = (re.sub(r"\W", "", text) for text in (f"{one.id} {one.about}", one.not_proven))
        assert any(start in text and end in text for text in bare), one.id
    assert [text[-60:] for text in pages if text.endswith(HEADINGS)] == []
