"""Counting a capture's frames: whose they are, of which kind, and the ones that should not be there, by number.

Direction is decided for every single frame by comparing its source address; what is counted in groups is only what is
shown. All that is kept is bounded: a capture made to fill the memory fills a table and is counted beyond it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

from audit.capture.frames import LINKS, ROW, FrameRow, read_row, rows, sources
from audit.capture.pcap import Capture
from audit.capture.records import HEAD_BYTES, Bytes, Frames, Numbers, window

GROUPS = 16_384
"""Most different rows counted apart; then addresses and ports of further ones are left out."""
LISTED = 200
"""Most foreign frames listed one by one; all are counted."""
_NOBODY = 2**64 - 1


@dataclass(slots=True, kw_only=True)
class FrameGroup:
    """Frames with the same row."""

    row: FrameRow
    count: int = 0
    first: int = 0
    """Number of the first one, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One frame worth a line of its own."""

    number: int
    """From 1, as tshark's frame.number."""
    time_ns: int
    length: int
    """Bytes on the wire."""
    row: FrameRow

    def plain(self, time: str) -> dict[str, str | int | None]:
        """The frame as a line of evidence."""
        row = self.row
        return {
            "frame": self.number,
            "time": time,
            "source": row.source,
            "kind": row.kind,
            "flow": row.flow,
            "bytes": self.length,
        }


@dataclass(slots=True, kw_only=True)
class FrameTally:
    """What a capture holds, frame by frame and in sum."""

    high: int | None = None
    """The high side's MAC address as a number; None: not told."""
    appliance: int | None = None
    """MAC address of a diode appliance's own plant-side port, as a number."""
    mark: bytes = b""
    """Bytes that the positive control's frame carries."""
    count: int = 0
    from_high: int = 0
    from_appliance: int = 0
    unsourced: int = 0
    """Frames whose source cannot be read: a link type without, or cut too short."""
    foreign: int = 0
    """Frames of any other source."""
    first_ns: int | None = None
    last_ns: int | None = None
    """Earliest and latest time in the file [ns since 1970 UTC]."""
    links: dict[int, int] = field(default_factory=dict)
    """Frames by link type."""
    groups: dict[bytes, FrameGroup] = field(default_factory=dict)
    beyond: int = 0
    """Frames that no group could take any more."""
    listed: list[Listed] = field(default_factory=list)
    """The first foreign and unsourced frames."""
    marked: list[Listed] = field(default_factory=list)
    """Frames that carry the mark."""
    _salt: Numbers = field(default_factory=lambda: np.frombuffer(os.urandom(ROW), np.int64) | 1)
    """Makes the groups' sums unforeseeable; they are compared byte by byte all the same."""

    def run(self, capture: Capture) -> FrameTally:
        """Count all of an open capture."""
        marks = capture.find(self.mark) if self.mark else np.empty(0, np.int64)
        for frames in capture:
            self._add(capture, frames, marks)
        return self

    def _add(self, capture: Capture, frames: Frames, marks: Numbers) -> None:
        table = np.zeros((len(frames.at), ROW), np.uint8)
        links = np.array([one.link for one in capture.interfaces], np.int64)[frames.interface]
        heads = window(capture.data, frames.at, HEAD_BYTES)
        for link in np.unique(links):
            here = links == link
            every = bool(here.all())
            table[here] = rows(heads if every else heads[here], frames.kept if every else frames.kept[here], int(link))
            self.links[int(link)] = self.links.get(int(link), 0) + int(here.sum())
        self.count += len(table)
        self._times(frames.time_ns)
        self._directions(frames, table)
        self._group(table, frames.first)
        if len(marks):
            self._find_marks(frames, table, marks)

    def _times(self, times: Numbers) -> None:
        stamped = times[times != 0]
        if stamped.size:
            first, last = int(stamped.min()), int(stamped.max())
            self.first_ns = first if self.first_ns is None else min(first, self.first_ns)
            self.last_ns = last if self.last_ns is None else max(last, self.last_ns)

    def _directions(self, frames: Frames, table: Bytes) -> None:
        source = sources(table)
        nobody = source == np.uint64(_NOBODY)
        high = source == np.uint64(_NOBODY if self.high is None else self.high)
        own = source == np.uint64(_NOBODY if self.appliance is None else self.appliance)
        high &= ~nobody
        own &= ~nobody & ~high
        foreign = ~(nobody | high | own)
        self.from_high += int(high.sum())
        self.from_appliance += int(own.sum())
        self.unsourced += int(nobody.sum())
        self.foreign += int(foreign.sum())
        if self.high is not None:
            for index in np.flatnonzero(foreign | nobody)[: LISTED - len(self.listed)]:
                self.listed.append(_listed(frames, table, int(index)))

    def _group(self, table: Bytes, first: int) -> None:
        words = table.view(np.int64)
        sums = (words * self._salt).sum(axis=1)
        sums ^= sums >> 29
        _, index, inverse, counts = np.unique(sums, return_index=True, return_inverse=True, return_counts=True)
        if not np.array_equal(words, words[index][inverse]):  # two rows with one sum: count by the bytes themselves
            _, index, counts = np.unique(words, axis=0, return_index=True, return_counts=True)
        for place, count in zip(index.tolist(), counts.tolist(), strict=True):
            self._count(table[place].tobytes(), count, first + place)

    def _count(self, row: bytes, count: int, number: int) -> None:
        group = self.groups.get(row)
        if group is None and len(self.groups) >= GROUPS:
            row = row[:16] + bytes(ROW - 16)
            group = self.groups.get(row)
        if group is None:
            if len(self.groups) >= 2 * GROUPS:
                self.beyond += count
                return
            group = self.groups[row] = FrameGroup(row=read_row(row), first=number)
        group.count += count

    def _find_marks(self, frames: Frames, table: Bytes, marks: Numbers) -> None:
        index = np.searchsorted(frames.at, marks, side="right") - 1
        inside = (index >= 0) & (marks + len(self.mark) <= (frames.at + frames.kept)[np.maximum(index, 0)])
        for one in np.unique(index[inside])[: LISTED - len(self.marked)]:
            self.marked.append(_listed(frames, table, int(one)))


def link_name(link: int) -> str:
    """A link type for people."""
    return LINKS.get(link, "not described" if link < 0 else f"link type {link}")


def _listed(frames: Frames, table: Bytes, index: int) -> Listed:
    return Listed(
        number=frames.first + index,
        time_ns=int(frames.time_ns[index]),
        length=int(frames.length[index]),
        row=read_row(table[index].tobytes()),
    )
