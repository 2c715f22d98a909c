"""Whatever a device describes, measures or says: every page, every answer and every message shows it, or says why not.

Each seed is a plant of its own: descriptions, values, texts and times are drawn from the edges of what their types
hold, and from what people write by mistake.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from portal_plant import SECOND, Clock, Plant
from starlette.applications import Starlette

from protocol.content.catalog import TYPES, Asset, Tag
from protocol.content.sample import Row, Value, from_rows
from receiver.outputs.base import BatchBody, EventBody, TallyBody
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.live import Live
from receiver.portal.streams import Topic
from receiver.portal.words import asset_address as address

MAX, TINY = sys.float_info.max, 5e-324
DOUBLES = (
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1e-323, TINY, -TINY, sys.float_info.min, 1e-30, 1e15, 1e16, 2.0**53, 1e21, 1e30),
    *(1e300, -1e300, MAX, -MAX, math.inf, -math.inf, math.nan),
)
WHOLE = (0, 1, -1, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
LIMITS: tuple[float | int | None, ...] = (*DOUBLES, None, None, 2**64 - 1, -(2**63))
TEXTS = (
    *(
        "",
        " ",
        "a",
        "\0",
        "a\0b",
        "\x1b[2J\x1b]0;x\x07",
        "\r\n",
        "\u2028",
        "\u202e\u202dtxt",
        "\u0645\u0631\u062d\u0628\u0627",
    ),
    *(
        "<script>alert(1)</script>",
        "</td></tr></table>",
        "\"'>",
        "&amp;&lt;",
        "{{ 7*7 }}{% raw %}",
        "${x}`",
        "]]>",
        "-->",
    ),
    *(
        "\ufffe\uffff",
        "\U0001f600" * 40,
        "e\u0301" * 40,
        "%00%2e/..",
        "..",
        ".",
        "/",
        "//x",
        "\\",
        "null",
        "NaN",
        "__proto__",
    ),
)
LONG = "\u00e4x\0 " * 16_000
TIMES = (0, 1, -1, -(2**62), 2**62, -(2**63) + 2, 2**63 - 1, 9_223_372_036 * SECOND, -SECOND)
PERIODS = (0.0, -0.0, 1e-300, 1.0, 60.0, 1e300, MAX, math.inf, math.nan, -1.0)


def catalog(chance: random.Random) -> tuple[list[Asset], list[Tag]]:
    """Two or three assets with a handful of tags; names differ, because a name is a key."""

    def text() -> str:
        return chance.choice(TEXTS)[:80]

    assets = [
        Asset(
            name=name, site="north-plant", path=text(), vendors=(text(),), serial=text(), model=text(),
            firmware=text(), kind=text(), collector=chance.choice(("modbus", text())), simulated=chance.random() < 0.2,
        )
        for name in chance.sample(TEXTS, 3)
    ]  # fmt: skip
    tags = []
    for number in range(8):
        ranged = chance.random() < 0.7
        low, high, normal_low, normal_high = (chance.choice(LIMITS) if ranged else None for _ in range(4))
        tags.append(
            Tag(
                id=number, asset=chance.choice(assets).name, name=f"{text()}{number}", type=chance.choice((*TYPES, "")),
                unit=text(), description=text(), low=low, high=high, normal_low=normal_low, normal_high=normal_high,
                scan_s=chance.choice(PERIODS), max_silence_s=chance.choice(PERIODS), address=text(), conversion=text(),
                states=tuple(text() for _ in range(chance.choice((0, 0, 0, 2)))),
            )
        )  # fmt: skip
    return assets, tags


def value(chance: random.Random) -> Value:
    kind = chance.random()
    if kind < 0.6:
        return chance.choice(DOUBLES)
    if kind < 0.8:
        return chance.choice(WHOLE)
    return chance.choice((True, False, None, LONG, *TEXTS))


class Strict(HTMLParser):
    """Tags close in order, nothing is written twice, and no letter is one that HTML has no place for."""

    VOID = frozenset({"meta", "link", "input", "br", "use", "rect", "path", "symbol", "circle", "line", "polygon"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, attrs)
        for name, held in attrs:
            assert not name.startswith("on"), attrs
            if name in ("x", "width", "transform", "data-after"):
                assert "nan" not in (held or ""), attrs
                assert "inf" not in (held or ""), attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    @classmethod
    def check(cls, body: bytes) -> str:
        text = body.decode()
        assert not re.search("[\x00-\x08\x0b-\x1f]", text)
        assert "<script>alert" not in text
        parser = cls()
        parser.feed(text)
        parser.close()
        assert parser.open == []
        return text


@asynccontextmanager
async def opened(app: Starlette) -> AsyncIterator[None]:
    async with app.router.lifespan_context(app):
        yield


async def get(app: Starlette, path: str, query: str = "") -> tuple[int, bytes]:
    """One answer, without a socket; `path` is as a server unquotes it."""
    told: list[Any] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": b"", "root_path": "",
        "query_string": query.encode(), "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "app": app,
        "state": {},
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    await app(scope, receive, send)
    return told[0]["status"], b"".join(one.get("body", b"") for one in told[1:])


def unquoted(path: str) -> tuple[str, str]:
    """Path and question of an address, as a server takes it."""
    before, _, query = path.partition("?")
    return unquote(before), query


def strict_json(body: bytes) -> Any:
    """JSON without NaN and infinities, which browsers refuse."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(body, parse_constant=refuse)


async def look_around(app: Starlette, clock: Clock, series: int) -> list[tuple[str, int]]:
    """Every page, answer and first message; the statuses that are no 200."""
    live: Live = app.state.live
    wrong: list[tuple[str, int]] = []
    now = clock() / 1e6
    pages = ["/", *(live.picture.tags[number].page for number in range(1, series + 1))]
    answers = [("/api/assets", ""), ("/api/latest", ""), ("/api/events", ""), ("/api/link", "")]
    answers += [
        ("/api/trend", f"series={number}&from={start}&to={end}&buckets=50")
        for number in range(1, series + 1)
        for start, end in ((now - 6e5, now + 1), (-1000, 1000), (9.2e12 / 2 - 1000, 9.2e12 / 2))
    ]
    first = quote(next(iter(live.picture.assets)), safe="")
    pages.append(f"/report?asset={first}&from={now - 6e5}&to={now + 1}")
    assert (await get(app, "/tag/1"))[0] == 307
    for path in [*pages, *map(address, live.picture.assets)]:
        status, body = await get(app, *unquoted(path))
        if status == 200:
            Strict.check(body)
        else:
            wrong.append((path, status))
    for path, query in answers:
        status, body = await get(app, path, query)
        if status == 200:
            strict_json(body)
        else:
            wrong.append((path + "?" + query, status))
    topics = [Topic(), *(Topic(asset=name) for name in live.picture.assets)]
    for topic in [*topics, *(Topic(series=number) for number in range(1, series + 1))]:
        for message in live.first(topic):
            strict_json(message.partition(b"data: ")[2])
    return wrong


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The history's files are small, and no seed waits for the disk."""
    monkeypatch.setattr("os.fsync", lambda file: None)


@pytest.mark.parametrize(
    "first", [*range(0, 60, 20), *(pytest.param(first, marks=pytest.mark.soak) for first in range(60, 2000, 20))]
)
def test_whatever_a_device_says_every_page_and_every_answer_is_whole(tmp_path: Path, small: None, first: int) -> None:
    """Ranges, values, texts, times and periods from the edges of their types; the seed is printed."""
    for seed in range(first, first + 20):
        chance = random.Random(seed)
        clock = Clock()
        assets, tags = catalog(chance)
        plant = Plant(tmp_path / str(seed), assets, tags, clock=clock)
        for _ in range(3):
            rows = []
            for tag in tags:
                for _ in range(chance.randint(0, 4)):
                    time_ns = chance.choice((clock() - chance.randint(0, 500) * SECOND, clock(), chance.choice(TIMES)))
                    quality = chance.choice((0, 0, 0, 0x40000000, 0x80000000, 0xFFFFFFFF))
                    rows.append(Row(tag.id, time_ns, value(chance), quality, chance.choice((0, 2, 2**32 - 1))))
            if rows:
                plant.take(
                    BatchBody(columns=from_rows(rows), first_ns=clock(), last_ns=clock())
                )  # the poller's own clock
            plant.lose(chance.choice((0, 0, 3)))
        for asset in assets:
            plant.condition(asset.name, chance.choice(("up", "down")), chance.choice((*TEXTS, LONG)))
        event = {name: chance.choice(TEXTS) for name in ("source", "code", "text", "state")}
        plant.take(
            EventBody(asset=assets[0].name, time_ns=chance.choice(TIMES), severity=1000, sequence=2**63 - 1, **event)
        )
        plant.take(TallyBody(time_ns=clock(), number=plant.number, assets={assets[0].name: (2**62, 2**62)}))
        wild: Any = chance.choice((10**400, -(10**400), 1e308, "\ud800", [], None, {"a": "\udcff"}))
        plant.report(
            link={"beat_age_s": chance.choice((0.4, wild)), "loss": wild, "frames_received": wild, "session": wild},
            warnings=["\udcff\ud800 x", *TEXTS],
            gaps=[{"stream": wild, "from": wild, "to": wild, "since_ns": wild, "heals_ns": wild}],
            codes=[{"code": wild}],
        )
        clock.move(chance.choice((0.5, 30.0)))
        app = create_app(plant.history, plant.state, Scope(), clock=clock)

        async def scene(app: Starlette = app, clock: Clock = clock, seed: int = seed) -> list[tuple[str, int]]:
            async with opened(app):
                live: Live = app.state.live
                assert live.trouble == "", seed
                return await look_around(app, clock, 8)

        try:
            wrong = asyncio.run(scene())
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        plant.close()
        assert [one for one in wrong if one[1] != 404 or "/tag" not in one[0]] == [], f"seed {seed}"
