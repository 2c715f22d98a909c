"""What the trail and the scope cost a read: the same three reads, signed in under a grant and as anyone, turn by turn.

    access.read.cost          the three together                        beside the same without trail and scope
    access.read.cost.trend    a day of one tag, a sample in 10 s, in 1,000 buckets
    access.read.cost.latest   the newest value of 1,000 tags
    access.read.cost.asset    the page of an asset of 100 tags

Both are this portal, asked without a network between: 200 people and 2,000 grants are on record, the reader holds ten
of them, and each look is on the disk before its answer goes. The history is the same, and so is what is answered. The
clocks are the machine's own, and both portals look for what is new meanwhile, as they always do.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from starlette.applications import Starlette
from starlette.types import Message

from bench.access.access_plant import write_history
from bench.access.signin_rows import PEOPLE, enrolled
from bench.figures import BenchRow
from receiver.governed.authority import Authority
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.register import told
from receiver.governed.grants.request import Period
from receiver.governed.people.desk import PeopleDesk
from receiver.governed.people.enrolment import DAY_NS
from receiver.governed.people.person import PersonRole
from receiver.governed.people.secret_store import open_store
from receiver.governed.trail.entry import TrailEntry
from receiver.governed.trail.trail import Trail
from receiver.outputs.scope import Scope
from receiver.portal.app import create_app
from receiver.portal.serving.serve import SWITCH_S, YOUNG
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.reading_policy import ReadingPolicy

EACH = 10
"""Grants of one person."""
ASKS = 30
"""Of each read in one run, both ways."""
VENDOR = "Acme"
ADDRESS = "192.0.2.7"
ALLOWED = "asked for: at most a tenth more, and the first byte at most 1 ms later"


@dataclass
class ReadTimes:
    """What one way of reading took [ms]."""

    whole: list[float] = field(default_factory=list)
    """Until the last byte, the median of each run."""
    first: list[float] = field(default_factory=list)
    """Until the answer begins."""


def measure(
    runs: int = 7, *, people: int = PEOPLE, tags: int = 1000, day: int = 8640, asks: int = ASKS
) -> list[BenchRow]:
    """All rows.

    Args:
        runs: Of each.
        people: Enrolled, each with `EACH` grants.
        tags: Of the plant; they are all of one vendor's machines.
        day: Samples of the tag whose trend is read.
        asks: Of each read in a run.
    """
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        state = Path(name)
        names = write_history(state / "history", tags, day, VENDOR)
        before, young = sys.getswitchinterval(), gc.get_threshold()
        sys.setswitchinterval(SWITCH_S)  # as the portal has them
        gc.set_threshold(YOUNG, 10, 10)
        try:
            taken = asyncio.run(_turns(state, names, people, runs, asks))
        finally:
            sys.setswitchinterval(before)
            gc.set_threshold(*young)
    rows, told_of = [], f"{people} people, {people * EACH:,} grants, every look synced"
    for read, (bare, governed) in taken.items():
        later = median(governed.first) - median(bare.first)
        note = f"first byte {later:+.2f} ms"
        rows.append(_row(f"access.read.cost.{read}", governed.whole, bare.whole, note))
    governed_all = [sum(run) for run in zip(*(governed.whole for _, governed in taken.values()), strict=True)]
    bare_all = [sum(run) for run in zip(*(bare.whole for bare, _ in taken.values()), strict=True)]
    return [_row("access.read.cost", governed_all, bare_all, f"{told_of}; {ALLOWED}"), *rows]


def _row(name: str, governed: list[float], bare: list[float], note: str) -> BenchRow:
    return BenchRow(row=name, unit="ms", runs=tuple(governed), baseline=median(bare), note=note)


async def _turns(
    state: Path, names: list[str], people: int, runs: int, asks: int
) -> dict[str, tuple[ReadTimes, ReadTimes]]:
    now_ms = time.time_ns() / 1e6
    reads = {
        "trend": f"/api/trend?series=1&from={now_ms - 86_400_000:.0f}&to={now_ms:.0f}&buckets=1000",
        "latest": "/api/latest",
        "asset": f"/asset/{names[0]}",
    }
    taken = {read: (ReadTimes(), ReadTimes()) for read in reads}
    office, word = office_of(state, names, people, PersonRole.READER)
    bare = create_app(state / "history", state, Scope(), clock=time.time_ns)
    governed = create_app(state / "history", state, None, clock=time.time_ns, office=office)
    try:
        async with _running(bare), _running(governed):
            ways = ((bare, ""), (governed, f"checkvalve={word}"))
            for run in range(-1, runs):
                for read, path in reads.items():
                    held: tuple[list[tuple[float, float]], ...] = ([], [])
                    for ask in range(asks):
                        for way in (0, 1) if ask % 2 else (1, 0):
                            held[way].append(await _read(ways[way][0], path, ways[way][1]))
                    for way, times in enumerate(held):
                        if run >= 0:  # the one before warms up
                            taken[read][way].first.append(median(first for first, _ in times))
                            taken[read][way].whole.append(median(whole for _, whole in times))
    finally:
        office.close()
        office.desk.authority.trail.close()
    return taken


@contextlib.asynccontextmanager
async def _running(app: Starlette) -> AsyncIterator[None]:
    async with app.router.lifespan_context(app):
        yield


def office_of(
    state: Path, names: list[str], people: int, role: PersonRole, *, address: str = ADDRESS
) -> tuple[SignInOffice, str]:
    """Everybody enrolled, with their grants; and what the cookie of one of them holds.

    Args:
        state: The state folder.
        names: Assets that grants are for.
        people: How many.
        role: Of whoever signs in: a reader of the vendor's, or one of the site's own.
        address: Where that one comes from.
    """
    trail = Trail(state / "trail.db")
    authority = Authority(trail, AccessPolicy(), state, wall_ns=time.time_ns(), running_ns=time.monotonic_ns())
    desk = PeopleDesk(authority, time.time_ns, time.monotonic_ns)
    store = open_store(state, wall_ns=time.time_ns(), say=_refused)
    keys = enrolled(desk, people, time.time_ns(), VENDOR)
    if role is not PersonRole.READER:
        desk.act("command:bench", lambda acts: acts.change(keys[0], roles=frozenset({role})))
    from_ns = time.time_ns() - DAY_NS
    period = Period(from_ns=from_ns, until_ns=from_ns + 30 * DAY_NS)
    trail.note(
        [
            _given(f"g-{person}-{at}", key, Extent(assets=frozenset(names[at::EACH])), period)
            for person, key in enumerate(keys)
            for at in range(EACH)
        ]
    )
    desk.refresh()
    office = SignInOffice(desk, store, ReadingPolicy.own())
    reader = desk.person(keys[-1 if role is PersonRole.READER else 0])
    assert reader is not None
    return office, office.sessions.open(reader, "password", address=address, agent="bench")


def _given(grant: str, person: str, extent: Extent, period: Period) -> TrailEntry:
    facts = told(extent, period, {"preset": "standing"}, (("grant", grant), ("person", person)))
    return TrailEntry(kind="grant.given", at_ns=period.from_ns, who="system", facts=facts)


async def _read(app: Starlette, path: str, cookie: str) -> tuple[float, float]:
    """One read: until the answer begins and until it ends [ms]."""
    where, _, query = path.partition("?")
    headers = [(b"host", b"127.0.0.1")] + ([(b"cookie", cookie.encode())] if cookie else [])
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": where,
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "client": (ADDRESS, 50_000),
        "server": ("127.0.0.1", 8600),
        "app": app,
    }
    begun = time.perf_counter()
    first = 0.0

    async def send(message: Message) -> None:
        nonlocal first
        if message["type"] == "http.response.start":
            assert message["status"] == 200, (path, message["status"])
            first = time.perf_counter()

    await app(scope, _nothing, send)
    return (first - begun) * 1e3, (time.perf_counter() - begun) * 1e3


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _refused(line: str) -> None:
    raise OSError(line)
