"""People who look, for `bench soak`: `python -m bench.soak.viewers '{JSON}'`, one process, no browser.

    pages      each holds one event stream open, as `static/stream.js` does: a quarter shows the overview, half an
               asset (every fourth of those the hall), a quarter a tag
    requests   asked at fixed moments, whether the last is answered or not, so that a slow answer is never made up for
               by fewer questions; each over a connection of its own, compressed, as a browser asks

The answers' times, in milliseconds, are printed as one line of JSON at the end. A request counts from its own moment,
connecting included, to its last byte.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from bench.soak.polls import HALL
from receiver.portal.words import tag_address

EVERY_S = {"trend": 0.5, "asset": 1.5, "overview": 2.5, "tag": 5.0}
"""Between two requests of a kind, for 40 pages [s]: each open tag page asks for its trend each 10 s (`tag.js`), and
each reader opens another page about once in half a minute."""
PAGES = 40
"""The number of pages that `EVERY_S` is meant for."""
RANGES_S = (300, 3600, 86400)
"""Of a trend, in turn: the buttons of the page."""
BUCKETS = 1000
"""Of a trend: one a pixel of a wide chart."""
TIMEOUT_S = 60.0
"""A request that takes longer has failed."""
SEEN_EVERY = 5
"""Of so many streams of values one is read closely, to tell its delay; a browser has a machine of its own."""


@dataclass(slots=True)
class ViewerFigures:
    """What the viewers saw over the time that counts."""

    times: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in EVERY_S})
    live: list[float] = field(default_factory=list)
    """From a sample's own time to its arrival at a page, the newest of each message [ms]."""
    failed: list[str] = field(default_factory=list)
    broken: int = 0
    """Streams that ended before the end."""
    received: int = 0
    """Bytes of all streams."""


class Viewers:
    """All pages and requests of one run."""

    def __init__(self, host: str, port: int, assets: dict[str, dict[str, int]], pages: int) -> None:
        self._host, self._port, self._pages = host, port, pages
        self._assets = assets
        self._random = random.Random(7)
        self.figures = ViewerFigures()
        self._counting = False

    async def run(self, warm_s: float, seconds: float) -> None:
        """Look for so long; the first `warm_s` do not count."""
        streams = [asyncio.create_task(self._stream(at, topic)) for at, topic in enumerate(self._topics())]
        askers = [asyncio.create_task(self._ask_on(name, made)) for name, made in self._questions().items()]
        await asyncio.sleep(warm_s)
        self._counting = True
        await asyncio.sleep(seconds)
        self._counting = False
        for task in (*askers, *streams):
            task.cancel()
        await asyncio.gather(*askers, *streams, return_exceptions=True)

    def _topics(self) -> list[str]:
        units = itertools.cycle([name for name in self._assets if name != HALL])
        series = itertools.cycle([next(iter(tags.values())) for tags in self._assets.values() if tags])
        topics = []
        for at in range(self._pages):
            asset = HALL if at % 8 == 1 else next(units)
            topics.append(("", f"?asset={quote(asset)}", f"?series={next(series)}", f"?asset={quote(asset)}")[at % 4])
        return topics

    def _questions(self) -> dict[str, Iterator[str]]:
        every = [one for tags in self._assets.values() for one in tags.values()]
        names = [(asset, tag) for asset, tags in self._assets.items() for tag in tags]
        assets = itertools.cycle([one for name in self._assets if name != HALL for one in (HALL, name)])
        spans = itertools.cycle(RANGES_S)

        def trend() -> str:
            to = time.time() * 1e3
            query = f"series={self._random.choice(every)}&from={to - next(spans) * 1e3:.3f}&to={to:.3f}"
            return f"/api/trend?{query}&buckets={BUCKETS}"

        makers: dict[str, Callable[[], str]] = {
            "trend": trend,
            "asset": lambda: f"/asset/{quote(next(assets))}",
            "overview": lambda: "/",
            "tag": lambda: f"{tag_address(*self._random.choice(names))}&range={next(spans)}",
        }
        return {name: iter(made, None) for name, made in makers.items()}

    async def _ask_on(self, name: str, paths: Iterator[str]) -> None:
        loop, under_way = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        every = EVERY_S[name] * PAGES / max(self._pages, 1)
        due = loop.time() + every * self._random.random()
        try:
            while True:
                await asyncio.sleep(due - loop.time())
                task = loop.create_task(self._ask(name, next(paths), due))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                due += every
        finally:
            await asyncio.gather(*under_way)

    async def _ask(self, name: str, path: str, due: float) -> None:
        counting = self._counting
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self._get(path)
            if status != 200:
                raise OSError(f"status {status}")
        except (OSError, TimeoutError, ValueError) as error:
            self.figures.failed.append(f"{path}: {error or 'too slow'}")
        if counting:
            self.figures.times[name].append((asyncio.get_running_loop().time() - due) * 1e3)

    async def _get(self, path: str) -> int:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=1 << 22)
        try:
            writer.write(_request(self._host, path, "Accept-Encoding: gzip\r\nConnection: close\r\n"))
            status = int((await reader.readline()).split()[1])
            while await reader.read(1 << 18):
                pass
            return status
        finally:
            writer.close()

    async def _stream(self, at: int, topic: str) -> None:
        """One open page; a stream that ends is opened again, as a browser does."""
        closely = topic and at % SEEN_EVERY == 0
        while True:
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port, limit=1 << 22)
                try:
                    writer.write(_request(self._host, "/live" + topic, "Accept: text/event-stream\r\n"))
                    await (self._read_closely(reader) if closely else self._read_away(reader))
                finally:
                    writer.close()
            except OSError as error:
                self.figures.failed.append(f"/live{topic}: {error}")
            self.figures.broken += 1
            await asyncio.sleep(1.0)

    async def _read_away(self, reader: asyncio.StreamReader) -> None:
        while part := await reader.read(1 << 18):
            self.figures.received += len(part)

    async def _read_closely(self, reader: asyncio.StreamReader) -> None:
        snapshot = True
        while line := await reader.readline():
            self.figures.received += len(line)
            if not line.startswith(b"data: [["):
                continue
            delay = time.time() * 1e3 - max(row[1] for row in json.loads(line[6:]))
            if self._counting and not snapshot:
                self.figures.live.append(delay)
            snapshot = False


def _request(host: str, path: str, more: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def main(given: dict[str, Any]) -> None:
    """Be the viewers for the given time, then print the figures as one line of JSON."""
    viewers = Viewers(given["host"], given["port"], given["assets"], given["pages"])
    asyncio.run(viewers.run(given["warm_s"], given["seconds"]))
    figures = viewers.figures
    print(  # noqa: T201  the parent reads it
        json.dumps(
            {
                "times": figures.times,
                "live": figures.live,
                "failed": len(figures.failed),
                "first_failure": next(iter(figures.failed), ""),
                "broken": figures.broken,
                "received": figures.received,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
