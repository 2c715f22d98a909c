"""The edges of what a device can say, in a real browser: drawn, and written alike by server and script."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from portal_plant import SECOND, Clock, Plant, ask, served
from test_portal_browser import OUTSIDE, drawn, until

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Quality, Row, Value
from receiver.outputs.historian.views import Scope
from receiver.portal import words
from receiver.portal.app import create_app
from receiver.portal.words import asset_address as address

MAX, TINY = sys.float_info.max, 5e-324
NAMES = ("edges", "..", "a\n\0b", "<b>\u202egnp.exe", "\u0645\u0636\u062e\u0629 7/b")
ASSETS = tuple(Asset(name=name, site="north-plant", path="p" * 255, model="m" * 255) for name in NAMES)
RANGES: tuple[tuple[str, tuple[float | None, ...], list[Value]], ...] = (
    ("all of the doubles", (-MAX, MAX, -MAX, MAX), [MAX, -MAX, 0.0, MAX]),
    ("all, no range", (None, None, None, None), [MAX, -MAX, MAX, -MAX]),
    ("the smallest", (0.0, 1e-323, None, 5e-324), [TINY, 1e-323, 0.0, TINY]),
    ("far beyond its range", (0.0, 16.0, None, 7.5), [6.5, 1e30, -1e30, 6.5]),
    ("low above high", (16.0, 0.0, 9.0, 2.0), [1.0, 2.0, 3.0, 4.0]),
    ("a width of nothing", (5.0, 5.0, 5.0, 5.0), [5.0, 5.0, 5.0, 5.0]),
    ("next to each other", (None, None, None, None), [1e15, 1e15 + 0.125, 1e15, 1e15 + 0.125]),
    ("one limit", (None, 10.0, None, 1e308), [1.0, 1e308, 1.0, 1e308]),
    ("no numbers", (0.0, 1.0, None, None), [float("nan"), float("inf"), None, float("-inf")]),
    ("minus zero", (-1.0, 1.0, None, None), [-0.0, 0.0, -0.0, 0.0]),
)
WHOLE: tuple[tuple[str, str, list[Value]], ...] = (
    ("int64", "int64", [2**63 - 1, -(2**63), 0, 2**63 - 1]),
    ("uint64", "uint64", [-1, 0, 2**53 + 1, -1]),
    ("a text that is a number", "float64", ["12.5.7", "1e5", "", "9007199254740993"]),
    ("a double that is a count", "uint16", [2.5, 1e300, -1.0, 70000.0]),
    ("64 KiB", "string", ["x" * 65536, "\u202eabc\u0645", "\0\x1b[2J", "<img src=x onerror=alert(1)>"]),
)
NEWEST: dict[str, Value] = {"64 KiB": "\u202e\0new", "states": 0}
WATCH = "window.refused = []; addEventListener('securitypolicyviolation', (event) => refused.push(event.blockedURI));"


class Edges:
    """The plant and its pages."""

    def __init__(self, plant: Plant, clock: Clock, base: str) -> None:
        self.plant, self.clock, self.base = plant, clock, base
        told = ask(base + "/api/assets").json["assets"]
        self.series = {one["name"]: int(one["series"]) for asset in told for one in asset["series"]}


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edges]:
    """Four samples of each tag in the last four minutes."""
    clock = Clock()
    tags = [
        Tag(id=at, asset="edges", name=name, low=one[0], high=one[1], normal_low=one[2], normal_high=one[3])
        for at, (name, one, _) in enumerate(RANGES)
    ]
    tags += [Tag(id=100 + at, asset="edges", name=name, type=kind) for at, (name, kind, _) in enumerate(WHOLE)]
    states = ("<i>off</i>", "\u202e\0", "x" * 5000)
    tags.append(Tag(id=200, asset="edges", name="states", type="uint16", states=states, unit="\x07[psi]"))
    tags.append(
        Tag(
            id=201,
            asset="edges",
            name="n" * 255,
            description="d" * 255,
            unit="u" * 255,
            address="a" * 255,
            conversion="c" * 255,
        )
    )
    tags += [Tag(id=300 + at, asset=name, name=f"v{at}") for at, name in enumerate(NAMES[1:])]
    plant = Plant(tmp_path_factory.mktemp("edges"), ASSETS, tags, clock=clock)
    rows = [
        Row(at, clock() - (240 - 60 * place) * SECOND, value)
        for at, (_, _, values) in [*enumerate(RANGES), *enumerate(WHOLE, 100)]
        for place, value in enumerate(values)
    ]
    rows += [Row(201, clock() - SECOND, MAX), Row(200, clock() - 60 * SECOND, 1)]
    rows += [Row(300 + at, clock() - SECOND, 1.0) for at in range(len(NAMES) - 1)]
    plant.send(rows)
    for name in NAMES:
        plant.condition(name, "up", "\u202e" * 9)
    plant.report(warnings=["\u202e<b>\x1b[31m"])
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        yield Edges(plant, clock, base)
    plant.close()


class Quiet:
    """A page that must have logged nothing at its end."""

    def __init__(self, browser: Browser, address: str, *scripts: str) -> None:
        self._context = browser.new_context(viewport={"width": 1280, "height": 1400})
        self.page = self._context.new_page()
        self.wrong: list[str] = []
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        for script in (WATCH, *scripts):
            self.page.add_init_script(script)
        self.page.goto(address)

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                assert self.wrong == []
                assert self.page.evaluate("refused") == []
        finally:
            self._context.close()


LISTEN = """
window.written = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  written.push(text);
  return fillText.call(this, text, ...rest);
};
"""


@pytest.mark.parametrize("name", [one[0] for one in (*RANGES, *WHOLE)] + ["states"])
def test_every_range_and_every_value_is_drawn_and_followed(edges: Edges, browser: Browser, name: str) -> None:
    """The chart stands with numbers at its axis, the newest value is drawn, and a further one is taken in."""
    number = edges.series[name]
    with Quiet(browser, f"{edges.base}/tag/{number}", LISTEN) as page:
        page.wait_for_selector("#chart[data-drawn]")
        values = [list(one[-1]) for one in RANGES if one[0] == name]
        if values and any(isinstance(one, float) and abs(one) < float("inf") for one in values[0]):
            assert drawn(page, "--chart-line", 0.0, 1.0) > 20
            written = page.evaluate("written")
            assert any(
                "e" in text or text.replace(",", "").strip("\u2212").replace(".", "").isdigit() for text in written
            )
        for key in ("f", "-", "f", "+", "l", "l"):
            page.locator("#chart").focus()
            page.keyboard.press(key)
        before = page.locator("[data-samples] tr").count()
        edges.clock.move(1)
        edges.plant.report()
        edges.plant.say({("edges", name): NEWEST.get(name, MAX)})
        until(page, lambda: page.locator("[data-samples] tr").count() > min(before, 19), "the value was not taken in")
        # As the server writes it, letter for letter.
        shown = page.locator("#now .v").inner_text()
        assert page.evaluate("refused") == []
        page.reload()
        assert page.locator("#now .v").inner_text() == shown


def test_an_asset_of_any_name_has_a_page_that_lives(edges: Edges, browser: Browser) -> None:
    """A name of dots, of line ends, of letters from right to left: its link leads there, and values come."""
    with Quiet(browser, edges.base + "/") as page:
        links = [link.get_attribute("href") for link in page.locator("[data-card] th a").all()]
        assert sorted(links, key=str) == sorted(map(address, NAMES))
    for at, name in enumerate(NAMES[1:]):
        with Quiet(browser, edges.base + address(name)) as page:
            value = page.locator("tr[data-series] .v")
            assert value.inner_text() == "1.0000"
            edges.plant.say({(name, f"v{at}"): 2.0})
            until(page, lambda value=value: value.inner_text() == "2.0000", name)  # type: ignore[misc]
            assert page.locator("#frozen").is_hidden()
            edges.plant.say({(name, f"v{at}"): 1.0})


def test_rows_of_a_table_look_the_same_before_and_after_they_come_alive(edges: Edges, browser: Browser) -> None:
    """Value, place in the bar, and side of the normal band: what the server wrote is what the script writes."""
    edges.plant.say({("edges", name): values[-1] for name, _, values in [*RANGES, *WHOLE]})
    read = """[...document.querySelectorAll("tr[data-series]")].map((row) => [row.querySelector(".v").textContent,
      row.querySelector(".bar-mark")?.getAttribute("transform").replace(".0 ", " ") ?? "",
      row.dataset.outside ?? "", row.dataset.grade])"""
    deadline = time.monotonic() + 20
    while True:
        context = browser.new_context(java_script_enabled=False)
        plain = context.new_page()
        plain.goto(edges.base + "/asset/edges")
        told = plain.evaluate(read)
        context.close()
        with Quiet(browser, edges.base + "/asset/edges") as page:
            page.wait_for_timeout(500)
            lives = page.evaluate(read)
        if told == lives:
            break
        assert time.monotonic() < deadline, [pair for pair in zip(told, lives, strict=True) if pair[0] != pair[1]]


def test_script_and_server_write_the_edges_of_the_doubles_alike(edges: Edges, browser: Browser) -> None:
    """Powers of ten and their neighbours, ties, the smallest and the largest, with and without decimals."""
    cases: list[tuple[float, int | None]] = []
    for power in range(-323, 309):
        for value in (
            float(f"1e{power}"),
            float(f"9.99995e{power}"),
            float(f"1.23445e{power}"),
            -float(f"2.5e{power}"),
        ):
            cases += [(value, places) for places in (None, 0, 2, 9)]
    cases += [(value, None) for value in (TINY, MAX, -MAX, 1e16, 1e16 - 2, 123445e4, 123455e4)]
    with Quiet(browser, edges.base + "/") as page:
        told = page.evaluate(
            """async (cases) => {
              const { number } = await import("/static/format.js");
              return cases.map(([value, places]) => number(value, places));
            }""",
            cases,
        )
    wrong = [(case, text) for case, text in zip(cases, told, strict=True) if text != words.number(*case)]
    assert wrong == []


FRAMES = f"""
() => new Promise((done) => {{
  const seen = new Set();
  let frames = 6;
  const look = () => {{
    for (const one of {OUTSIDE.strip()}) seen.add(one);
    if (--frames) next();
    else done([...seen]);
  }};
  const next = () => requestAnimationFrame(() => setTimeout(look));
  next();
}})
"""
"""What reaches beyond the window in any of the next frames, each as it is drawn: a chart takes the width of a window
that was resized in the frame after it."""


def test_long_names_and_texts_scroll_no_page_sideways(edges: Edges, browser: Browser) -> None:
    """255 letters without a space, as a name, a unit, a description and an address; 64 KiB as a value; as values come,
    and among what needs a look.
    """
    names = ("n" * 255, "64 KiB", "all of the doubles")
    edges.plant.say({("edges", names[0]): MAX}, quality=Quality.BAD_TIMEOUT)
    for path in ("/", "/asset/edges", *(f"/tag/{edges.series[name]}" for name in names)):
        with Quiet(browser, edges.base + path) as page:
            look = page.locator("[data-attention]")
            if path == "/":
                until(page, lambda look=look: "timeout" in look.inner_text(), "it is not bad")  # type: ignore[misc]
            for width, value in ((390, -MAX), (1280, 1.0), (390, MAX)):
                page.set_viewport_size({"width": width, "height": 844})
                edges.plant.say({("edges", names[1]): "x" * 65536, ("edges", names[2]): value})
                assert page.evaluate(FRAMES) == [], f"{path} at {width}"
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
