"""Entries for tests of the trail, and a process that writes some and says which are acknowledged.

`trail_entries.py FILE SEED COUNT`: `noted NUMBER WORD` is printed after each return, WORD being in the entry.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from receiver.governed.trail.entry import TrailEntry
from receiver.governed.trail.trail import Trail

T0 = 1_790_000_000 * 10**9


def entry(kind: str = "read.trend", who: str = "p-aaaaaaaa", at_ns: int = T0, **facts: Any) -> TrailEntry:
    """One entry."""
    return TrailEntry(kind=kind, at_ns=at_ns, who=who, origin="10.0.0.9", facts=facts)


def some_entries(count: int, seed: int) -> list[TrailEntry]:
    """Entries of a few people, grants and assets; every tenth or so governs."""
    chance = random.Random(seed)
    kinds = ("read.page", "read.trend", "read.refused", "session.opened")
    return [
        entry(
            chance.choice(kinds) if chance.random() > 0.1 else "grant.given",
            f"p-{chance.randrange(5)}",
            T0 + number,
            grant=f"g-{chance.randrange(6)}",
            assets=[f"pump-{chance.randrange(4)}", "mixer 7\n\x1b[31m"],
            tag="Füllstand",
        )
        for number in range(count)
    ]


def filled(path: Path, count: int, seed: int = 1) -> list[TrailEntry]:
    """A trail of so many entries, closed; what is in it."""
    entries = some_entries(count, seed)
    trail = Trail(path)
    trail.note(entries)
    trail.close()
    return entries


def tampered(path: Path, *statements: str) -> None:
    """As whoever may write the file can: without the triggers, which are put back."""
    with sqlite3.connect(path) as other:
        guards = other.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            other.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            other.execute(statement)
        for _, statement in guards:
            other.execute(statement)
    other.close()


class Disk:
    """A connection of a trail whose commits fail, or wait."""

    def __init__(self, inner: sqlite3.Connection) -> None:
        self._inner = inner
        self.failing = False
        self.held = threading.Event()
        self.held.set()
        self.asked = threading.Event()

    def execute(self, statement: str, *rest: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            self.asked.set()
            if self.failing:
                raise sqlite3.OperationalError("disk I/O error")
            assert self.held.wait(20)
        return self._inner.execute(statement, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(path: Path, seed: int, count: int) -> None:
    chance = random.Random(seed)
    trail = Trail(path)
    say("begun")
    seen = 0
    for at in range(count):
        word = f"{seed}-{at}"
        if chance.random() < 0.5:
            records = trail.note([entry(word=word)] * chance.randrange(1, 4))
        else:
            records = trail.act(seen, lambda new, word=word: [entry("grant.given", word=word, seen=len(new))])  # type: ignore[misc]
            seen = records[-1].number
        say(f"noted {records[-1].number} {word}")
    trail.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
