"""What is sent again, since nobody can ask: whole runs of blocks, each at its set times after its first sending.

A run is a stretch of the spool that was sent in one go, so a repeat is the same stretch read again. Repeats leave
after everything new; one that is later than `LATE` when its turn comes is dropped and counted, newest kept, so that a
link that is too slow for its repeats still carries what is new.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.store.reader import Reader
from protocol.store.record import Record
from protocol.store.resync import START, Damage, Place

RUN_TIME = 0.1
"""Sendings closer together than this are one run [s]: keeps the list short at any load."""
LATE = 60.0
"""A repeat this much behind its time is dropped [s]."""


@dataclass(slots=True)
class SentRun:
    """A stretch of the spool."""

    at: float
    """When it was first sent, monotonic [s]."""
    start: Place
    end: Place
    blocks: int


class Repeats:
    """Pending repeats, one queue a stage."""

    def __init__(self, after: tuple[float, ...]) -> None:
        """
        Args:
            after: Times after the first sending, rising [s].
        """
        self.after = after
        self.dropped = 0
        """Blocks whose repeat did not leave."""
        self._stages: list[deque[SentRun]] = [deque() for _ in after]
        self._leaving: tuple[int, SentRun] | None = None
        """Stage and run that is being sent; until all of it has left a restart begins it again."""

    def sent(self, start: Place, end: Place, blocks: int, now: float) -> None:
        """A stretch had its first sending."""
        if not self._stages:
            return
        last = self._stages[0][-1] if self._stages[0] else None
        if last is not None and last.end == start and now - last.at < RUN_TIME:
            last.end, last.blocks = end, last.blocks + blocks
            return
        self._stages[0].append(SentRun(now, start, end, blocks))

    def due(self, now: float) -> tuple[int, SentRun] | None:
        """(copy, run) whose time has come; call `done` when it has left."""
        for stage, queue in enumerate(self._stages):
            while queue and now >= queue[0].at + self.after[stage]:
                self._leaving = stage, run = stage, queue.popleft()
                if now <= run.at + self.after[stage] + LATE:
                    return stage + 1, run
                self.dropped += run.blocks
                self.done()
        return None

    def done(self) -> None:
        """The run that was due has left, or is given up: it moves on to the next stage."""
        if self._leaving is not None and self._leaving[0] + 1 < len(self._stages):
            self._stages[self._leaving[0] + 1].append(self._leaving[1])
        self._leaving = None

    def deadline(self) -> float | None:
        """When the next repeat is due, monotonic [s]."""
        times = [queue[0].at + after for queue, after in zip(self._stages, self.after, strict=True) if queue]
        return min(times, default=None)

    def to_json(self, now: float) -> list[Any]:
        """What a restart needs: stage, age, stretch."""
        waiting = [(stage, run) for stage, queue in enumerate(self._stages) for run in queue]
        leaving = [] if self._leaving is None else [self._leaving]
        return [[stage, now - run.at, *run.start, *run.end, run.blocks] for stage, run in [*leaving, *waiting]]

    def restore(self, held: list[Any], now: float) -> None:
        """Take up what `to_json` gave; stages that are no longer configured are left out."""
        for stage, age, *rest in held:
            if stage < len(self._stages):
                start, end = Place(rest[0], rest[1]), Place(rest[2], rest[3])
                self._stages[stage].append(SentRun(now - age, start, end, rest[4]))


class Reruns:
    """Reads the runs that are due, some records at a time."""

    def __init__(self, folder: Path, repeats: Repeats) -> None:
        """
        Args:
            folder: The spool.
            repeats: Says what is due.
        """
        self.copy = 0
        """Which repeat the records of the last step are."""
        self.damaged: list[Damage] = []
        """What was stepped over; the caller takes it out."""
        self._folder, self._repeats = folder, repeats
        self._reader: Reader | None = None
        self._end = START

    def step(self, now: float) -> list[Record] | None:
        """The next records, none where a run has come to its end; None where nothing is due."""
        if self._reader is None:
            due = self._repeats.due(now)
            if due is None:
                return None
            self.copy, run = due
            self._reader, self._end = Reader(self._folder, run.start), run.end
        records = self._reader.read(16, self._end)
        self.damaged += self._reader.damaged
        self._reader.damaged.clear()
        if not records:
            self.stop()
        return records

    def stop(self) -> None:
        """Leave the rest of the run that is being read."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
            self._repeats.done()
