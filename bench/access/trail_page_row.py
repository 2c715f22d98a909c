"""The page of the record, `/trail`, as a browser gets it from a trail of a million entries.

    access.trail.answer     asked by an auditor over HTTP on loopback: the slowest of the ways to ask, a hundred entries

The look into the record goes on record itself, on the disk, before the page is answered; the rest is the search in the
trail, each entry held against its hash, and a page of a hundred rows.
"""

from __future__ import annotations

import http.client
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette

from bench.access.read_rows import office_of
from bench.access.signin_rows import PEOPLE
from bench.access.trail_rows import ENTRIES, GROUP, look
from bench.figures import BenchRow
from receiver.governed.people.person import PersonRole
from receiver.portal.app import create_app
from receiver.portal.serving.serve import Server, bind, url

HERE = "127.0.0.1"
ASKED = {
    "newest": "",
    "older": "?before={middle}",
    "person": "?person=p-00000017",
    "kind": "?kind=read.trend",
    "person and kind": "?person=p-00000017&kind=read.page",
    "grant": "?grant=g-00000123",
    "nothing there": "?person=p-00000017&kind=read.none",
}


def measure(runs: int = 7, *, people: int = PEOPLE, entries: int = ENTRIES) -> list[BenchRow]:
    """The row.

    Args:
        runs: Of each way to ask.
        people: Enrolled.
        entries: In the trail.
    """
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        state, chance = Path(name), random.Random(1)
        office, word = office_of(state, ["pump-1"], people, PersonRole.AUDITOR, address=HERE)
        trail = office.desk.authority.trail
        try:
            for first in range(1, entries, GROUP):
                trail.note([look(at, chance) for at in range(first, min(first + GROUP, entries))])
            app = create_app(state / "history", state, None, clock=time.time_ns, office=office)
            with _served(app) as connection:
                taken = _asked(connection, f"checkvalve={word}", runs, entries // 2)
        finally:
            office.close()
            trail.close()
    slowest = tuple(max(run) for run in zip(*taken.values(), strict=True))
    ways = ", ".join(f"{way} {sorted(times)[len(times) // 2]:.1f}" for way, times in taken.items())
    note = f"{entries:,} entries; medians: {ways}; asked for: 100 ms"
    return [BenchRow(row="access.trail.answer", unit="ms", runs=slowest, note=note)]


def _asked(connection: http.client.HTTPConnection, cookie: str, runs: int, middle: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {way: [] for way in ASKED}
    for run in range(-1, runs):
        for way, query in ASKED.items():
            begun = time.perf_counter()
            connection.request("GET", "/trail" + query.format(middle=middle), headers={"Cookie": cookie})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (way, answer.status, body[:200])
            if run >= 0:  # the one before warms up
                taken[way].append((time.perf_counter() - begun) * 1e3)
    return taken


@contextmanager
def _served(app: Starlette) -> Iterator[http.client.HTTPConnection]:
    with bind(HERE, 0) as sock:
        ready = threading.Event()
        server = Server(app, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        connection = http.client.HTTPConnection(urlsplit(url(sock)).netloc, timeout=60)
        try:
            if not ready.wait(20):
                raise OSError("the pages did not start within 20 s")
            yield connection
        finally:
            connection.close()
            server.should_exit = True
            thread.join(20)
