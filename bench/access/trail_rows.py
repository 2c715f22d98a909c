"""The trail of a plant with 200 people and 2,000 grants: a million entries, read and verified.

    access.trail.note     one entry, durable, alone: what a look waits for
    access.trail.crowd    entries a second of 32 threads that note at once
    access.trail.page     50 entries, the slowest of the ways to ask for them
    access.trail.verify   `trail verify`: every entry read, hashed, and compared with the index

The trail is made from a seed: looks at a hundred assets for the most part, every hundredth entry governs. Pages and
verification read it from the page cache.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import BenchRow
from receiver.governed.trail.entry import Fact, TrailEntry
from receiver.governed.trail.trail import Trail
from receiver.governed.trail.trail_reader import TrailReader
from receiver.governed.trail.verifying import verify

ENTRIES = 1_000_000
PEOPLE, GRANTS, ASSETS = 200, 2_000, 100
START_NS = 1_764_000_000 * 10**9
GROUP = 5_000
"""Entries of one transaction, while the trail is made."""
THREADS, EACH = 32, 50
"""Of the crowd, and what each of it notes, as one reader alone does."""
ASKED: Sequence[tuple[str, dict[str, list[str]]]] = (
    ("newest", {}),
    ("person", {"who": ["p-00000017"]}),
    ("kind", {"kinds": ["read"]}),
    ("rare kind", {"kinds": ["grant"]}),
    ("grant", {"grant": ["g-00000123"]}),
    ("asset", {"asset": ["pump-42"]}),
    ("person and asset", {"who": ["p-00000017"], "asset": ["pump-42"]}),
    ("nothing there", {"who": ["p-00000017"], "kinds": ["read.none"]}),
)


def measure(runs: int = 7, *, entries: int = ENTRIES, each: int = EACH) -> list[BenchRow]:
    """All rows.

    Args:
        runs: Of each.
        entries: In the trail that is read.
        each: Entries that one reader notes.
    """
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as held:
        path = Path(held) / "trail.db"
        fill(path, entries)
        size = path.stat().st_size
        note = f"{entries:,} entries, {size / entries:.0f} bytes each with the index"
        rows = [_page(path, runs, note), _verify(path, runs, note)]
        return [*_written(Path(held) / "small.db", runs, each), *rows]


def fill(path: Path, count: int) -> None:
    """Make a trail of so many entries."""
    chance = random.Random(1)
    trail = Trail(path)
    for first in range(0, count, GROUP):
        trail.note([_entry(at, chance) for at in range(first, min(first + GROUP, count))])
    trail.close()


def _entry(at: int, chance: random.Random) -> TrailEntry:
    who, grant, asset = chance.randrange(PEOPLE), f"g-{chance.randrange(GRANTS):08}", f"pump-{chance.randrange(ASSETS)}"
    facts: dict[str, Fact] = {"grant": grant, "request": f"r-{chance.randrange(GRANTS):08}", "person": f"p-{who:08}"}
    if at % 100:
        tags: list[Fact] = [[asset, "flow"], [asset, "pressure"]]
        facts = {"assets": [asset], "grants": [grant], "session": f"{who:08x}", "tags": tags, "rows": 1000}
        facts |= {"from_ns": START_NS, "to_ns": START_NS + at}
    return TrailEntry(
        kind=chance.choice(("read.page", "read.trend", "read.live")) if at % 100 else "grant.given",
        at_ns=START_NS + at * 10**9,
        who=f"p-{who:08}",
        origin="192.0.2.17",
        facts=facts,
    )


def look(at: int, chance: random.Random) -> TrailEntry:
    """An entry that governs nothing."""
    return _entry(at + (at % 100 == 0), chance)


def _page(path: Path, runs: int, note: str) -> BenchRow:
    trail = TrailReader(path)
    middle = (trail.end() or trail.at(1)).number // 2
    slowest: list[float] = []
    taken: dict[str, list[float]] = {name: [] for name, _ in ASKED}
    for _ in range(runs):
        for before in (None, middle):
            for name, asked in ASKED:
                begun = time.perf_counter()
                trail.page(before=before, limit=50, **asked)
                taken[name].append((time.perf_counter() - begun) * 1e3)
        slowest.append(max(max(one[-2:]) for one in taken.values()))
    trail.close()
    ways = ", ".join(f"{name} {sorted(one)[len(one) // 2]:.1f}" for name, one in taken.items())
    return BenchRow(row="access.trail.page", unit="ms", runs=tuple(slowest), note=f"{note}; medians: {ways}")


def _verify(path: Path, runs: int, note: str) -> BenchRow:
    rates = []
    for at in range(max(1, min(runs, 3))):
        begun = time.perf_counter()
        done = verify(path, random=random.Random(at).randrange)
        assert done.sound, done.faults
        rates.append(done.entries / (time.perf_counter() - begun))
    return BenchRow(row="access.trail.verify", unit="entries/s", runs=tuple(rates), note=f"{note}; two processes")


def _written(path: Path, runs: int, each: int) -> list[BenchRow]:
    chance, trail = random.Random(2), Trail(path)
    alone: list[float] = []
    crowds: list[float] = []
    for _ in range(runs):
        times = []
        for at in range(each):
            begun = time.perf_counter()
            trail.note([_entry(at + 1, chance)])
            times.append((time.perf_counter() - begun) * 1e3)
        alone.append(sorted(times)[len(times) // 2])
        crowds.append(THREADS * each / _crowd(trail, chance, each))
    trail.close()
    sync = "one sync of this machine's disk in it"
    return [
        BenchRow(row="access.trail.note", unit="ms", runs=tuple(alone), note=sync),
        BenchRow(row="access.trail.crowd", unit="entries/s", runs=tuple(crowds), note=f"{THREADS} threads share syncs"),
    ]


def _crowd(trail: Trail, chance: random.Random, each: int) -> float:
    entries = [_entry(at + 1, chance) for at in range(each)]

    def work() -> None:
        for one in entries:
            trail.note([one])

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    begun = time.perf_counter()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return time.perf_counter() - begun
