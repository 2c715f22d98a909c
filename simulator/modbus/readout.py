"""Registers whose reading has a side effect: a window that shows one record, and the next one when it was read.

Protection relays and vibration monitors are read out like this. Who reads such a window twice, or along with a block
around it, loses records for whoever was meant to have them; that is what it is here for.

    events   0  1  records left behind this one
             1  2  number            uint32, 0 for no record
             3  4  time              uint64 [ms since 1970]
             7  1  code
             8  1  state             0 or 1
             9  1  severity
            10 20  text              40 characters

    file     0  2  position          uint32 [bytes]
             2  2  size of the file  uint32 [bytes]
             4  1  length            of the data here [bytes]; 0 at the end, then it begins again
             5 60  data              120 bytes

A window moves on when its last register was in a reply. The file is the log of the asset's newest trip, as text: the
tags of `fields` from two seconds before it until four after. Pure: the plant is asked, time comes with its moments.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from simulator.plant.plant import Plant, PlantMoment
from simulator.plant.signals import SECOND
from simulator.plant.trips import TripEvent

EVENT_REGISTERS = 30
FILE_REGISTERS = 65
CHUNK = 120
"""Bytes of a file in one window."""

KEPT = 200
"""Records that wait to be read; the oldest goes first."""

BEFORE = 16
"""Records that wait at the start."""

TEXT = 40
"""Characters of a record's text."""


class ReadoutWindow(Protocol):
    """What stands in some registers until it has been read."""

    registers: int
    """How many."""

    def fill(self, moment: PlantMoment) -> None:
        """Show what the plant holds at this moment."""

    def show(self) -> bytes:
        """The registers as they are now."""

    def advance(self) -> None:
        """The registers have been read: show what comes after."""

    def restart(self) -> None:
        """The device was switched off and on: everything is unread again."""


class EventWindow:
    """The sequence of events, oldest unread record first."""

    registers = EVENT_REGISTERS

    def __init__(self, plant: Plant, asset: str) -> None:
        self._plant, self._asset = plant, asset
        self._until_ns = plant.moment.time_ns
        self._waiting: deque[TripEvent] = deque(maxlen=KEPT)
        self.restart()

    def fill(self, moment: PlantMoment) -> None:
        """Take in what happened since the last moment."""
        if moment.time_ns > self._until_ns:
            self._waiting.extend(self._plant.events(self._until_ns + 1, moment.time_ns + 1, self._asset))
        self._until_ns = moment.time_ns

    def show(self) -> bytes:
        """The oldest unread record; zeros where there is none."""
        if not self._waiting:
            return bytes(2 * EVENT_REGISTERS)
        one = self._waiting[0]
        left = len(self._waiting) - 1
        head = struct.pack(
            ">HIQHHH", left, one.number, one.time_ns // 1_000_000, one.code, int(one.state), one.severity
        )
        return head + one.text.encode("latin-1", "replace")[:TEXT].ljust(TEXT, b"\0")

    def advance(self) -> None:
        """The record is gone for everybody."""
        if self._waiting:
            self._waiting.popleft()

    def restart(self) -> None:
        """The newest few are unread again."""
        self._waiting.clear()
        self._waiting.extend(reversed(self._plant.trips.newest(self._asset, self._until_ns, BEFORE)))


class FileWindow:
    """The log of the newest trip, piece by piece."""

    registers = FILE_REGISTERS

    def __init__(self, plant: Plant, asset: str, fields: Sequence[str]) -> None:
        """
        Args:
            plant: Where the log comes from.
            asset: Whose trips.
            fields: Names of the asset's tags that are logged.

        Raises:
            KeyError: no such tag.
        """
        self._plant, self._asset = plant, asset
        self._points = [plant.point(asset, name) for name in fields]
        self._time_ns = plant.moment.time_ns
        self._position = 0
        self._content = b""
        self._number = -1

    def fill(self, moment: PlantMoment) -> None:
        """A newer trip is seen when the file is begun again."""
        self._time_ns = moment.time_ns

    def show(self) -> bytes:
        """The piece at the position."""
        if self._position == 0:
            self._load()
        data = self._content[self._position : self._position + CHUNK]
        return struct.pack(">IIH", self._position, len(self._content), len(data)) + data.ljust(CHUNK, b"\0")

    def advance(self) -> None:
        """To the next piece; after the end, which is a piece of length 0, to the first one."""
        self._position = 0 if self._position >= len(self._content) else self._position + CHUNK

    def restart(self) -> None:
        """Begin the file again at its first piece."""
        self._position = 0

    def _load(self) -> None:
        """The log of the newest trip that is over."""
        ended = [one for one in self._plant.trips.newest(self._asset, self._time_ns, KEPT) if one.code == 0]
        if not ended or ended[0].number == self._number:
            return
        end = ended[0]
        self._number = end.number
        steps = [one for one in self._plant.trips.newest(self._asset, end.time_ns, KEPT) if one.trip == end.trip]
        begin_ns = next(one.time_ns for one in steps if one.code == 1)
        tick = self._plant.tick_ns
        start_ns = begin_ns - begin_ns % tick
        times = range(start_ns - 2 * SECOND, start_ns + 4 * SECOND, tick)
        columns = [[str(one.value) for one in self._plant.past(point, times)] for point in self._points]
        lines = [f"# {self._asset} {end.trip} {begin_ns // 1_000_000} ms since 1970, event {end.number}"]
        lines.append(";".join(["ms", *(point.name for point in self._points)]))
        lines += [
            ";".join([str((time_ns - begin_ns) // 1_000_000), *row])
            for time_ns, *row in zip(times, *columns, strict=True)
        ]
        self._content = ("\n".join(lines) + "\n").encode("latin-1", "replace")
