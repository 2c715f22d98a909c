"""A trail that is kept in memory: what a test needs of `receiver.governed.trail`, and what was written in it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence

from receiver.governed.trail.entry import GOVERNING, TrailEntry, TrailRecord


class MemoryTrail:
    """The same calls as the real one."""

    def __init__(self) -> None:
        self.records: list[TrailRecord] = []
        self.broken: Exception | None = None
        """Raised by everything that is asked, as by a disk that fails."""
        self._lock = threading.Lock()

    def act(self, after: int, decide: Callable[[Sequence[TrailRecord]], Sequence[TrailEntry]]) -> list[TrailRecord]:
        """Decide on what is on record, and add it."""
        with self._lock:
            return self._add(decide(list(self.governing(after))))

    def note(self, entries: Sequence[TrailEntry]) -> list[TrailRecord]:
        """Add without deciding."""
        with self._lock:
            return self._add(entries)

    def governing(self, after: int = 0) -> Iterator[TrailRecord]:
        """What decides, after a number."""
        if self.broken:
            raise self.broken
        return iter([one for one in self.records if one.number > after and one.entry.subject in GOVERNING])

    def kinds(self) -> list[str]:
        """What was written, in order."""
        return [one.entry.kind for one in self.records]

    def of(self, kind: str) -> list[TrailEntry]:
        """The entries of one kind."""
        return [one.entry for one in self.records if one.entry.kind == kind]

    def _add(self, entries: Sequence[TrailEntry]) -> list[TrailRecord]:
        if self.broken:
            raise self.broken
        added = []
        for entry in entries:
            before = self.records[-1].hash if self.records else b""
            made = TrailRecord(
                number=len(self.records) + 1, entry=entry, hash=hashlib.sha256(before + repr(entry).encode()).digest()
            )
            self.records.append(made)
            added.append(made)
        return added
