"""When the frames of a block leave, so that a burst of loss costs nothing. Pure: time is handed in.

A block with `spare` spares survives the loss of any `spare` frames. So it leaves in portions of at most `spare`
frames, with a pause between the end of one and the beginning of the next, in which other blocks' portions leave:

    light load   spare >= need: the data are one portion and leave at once, the spares a pause later:
                 good weather costs no latency
    above it     spare < need: ceil((need + spare) / spare) portions, the blocks under way interleaved

One outage that is shorter than the pause touches at most one portion of any block, whatever the load, since the pause
is counted from when a portion has really left. At the full rate D = pause / (spare x frame time) blocks are under way:
the outage is worth spare x D frames. The pause is `spread_ms`, but less where the last portion would be later than
LATENCY_MOST or the blocks under way would be more than HELD_BYTES.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from protocol.store.resync import Place
from sender.store.spans import Mark

LATENCY_MOST = 0.5
"""Most time from a block's first frame to its last where spares are fewer than data, on a link with room [s]."""
HELD_BYTES = 32 * 1024 * 1024
"""Most bytes of blocks under way at the full rate [bytes]: what a receiver's cache and this process bear."""


@dataclass(slots=True)
class Group:
    """A stretch of the spool on its first sending."""

    start: Place
    end: Place
    mark: Mark | None
    """A record before it."""
    left: int
    """Blocks of it that have not finished."""


class Done(NamedTuple):
    """A block whose first sending is finished once this has left."""

    stream: bytes
    number: int
    group: Group


@dataclass(frozen=True, slots=True)
class Parcel:
    """Frames that may leave together, in order."""

    frames: memoryview
    """Equally long frames, one after another."""
    length: int
    """Bytes of one."""
    done: Done | None = None

    @property
    def count(self) -> int:
        """Frames in it."""
        return -(-len(self.frames) // self.length)


@dataclass(frozen=True, slots=True)
class Portions:
    """How a block leaves."""

    counts: tuple[int, ...]
    """Frames of each portion, data first."""
    pause: float
    """From the end of one to the beginning of the next [s]: one outage shorter than this costs nothing."""


@lru_cache(maxsize=4096)
def portions(need: int, spare: int, spread_s: float, rate: float) -> Portions:
    """How a block leaves.

    Args:
        need: Its data shards.
        spare: Its spares.
        spread_s: The pause that is wished for [s]; 0: everything leaves at once.
        rate: Of the link [bytes/s].
    """
    total = need + spare
    if not spread_s or not spare:
        return Portions((total,), 0.0)
    if spare >= need:
        return Portions((need, spare), spread_s)
    counts = (*[spare] * (total // spare), *([total % spare] if total % spare else []))
    pauses = len(counts) - 1
    return Portions(counts, min(spread_s, LATENCY_MOST / pauses, HELD_BYTES / rate / pauses))


@dataclass(slots=True)
class _Under:
    """A block under way."""

    frames: memoryview
    length: int
    rest: list[int]
    """Frames of the portions to come, the next one last."""
    pause: float
    done: Done
    at: int = 0
    """Where the next portion begins [bytes]."""


class Interleave:
    """Blocks under way; what is due first leaves first."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, _Under]] = []
        self._serial = itertools.count()
        self._out: _Under | None = None

    def __len__(self) -> int:
        return len(self._due) + (self._out is not None)

    def add(self, frames: memoryview, length: int, how: Portions, done: Done, now: float) -> None:
        """A block begins.

        Args:
            frames: All its frames, data first.
            length: Bytes of one.
            how: See `portions`.
            done: What its last portion carries.
            now: Monotonic time [s].
        """
        one = _Under(frames, length, list(reversed(how.counts)), how.pause, done)
        heapq.heappush(self._due, (now, next(self._serial), one))

    def settle(self, now: float) -> None:
        """What `next` gave has left: its following portion is due a pause from now."""
        if self._out is not None:
            heapq.heappush(self._due, (now + self._out.pause, next(self._serial), self._out))
            self._out = None

    def next(self, now: float) -> Parcel | None:
        """The next portion, None while none is due. Call `settle` when it has left and before the next one."""
        assert self._out is None
        if not self._due or self._due[0][0] > now:
            return None
        one = heapq.heappop(self._due)[2]
        start, one.at = one.at, one.at + one.rest.pop() * one.length
        if one.rest:
            self._out = one
        return Parcel(one.frames[start : one.at], one.length, None if one.rest else one.done)

    def deadline(self) -> float | None:
        """When the next portion is due, monotonic [s]."""
        return self._due[0][0] if self._due else None
